"""Geometric Brownian motion whose growth and volatility change with time: ``dD = μ(t) D dt + σ(t) D dW``.

With A(t) = ∫μ and V(t) = ∫σ², growth from s to t is lognormal with the mean e^{A(t) − A(s)} and the variance
V(t) − V(s) of its logarithm, whatever D_s is (Merton 1973, on options under a volatility that is known in advance).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from scenario_trees.arrays import Array
from scenario_trees.errors import TreeError, require_integer, require_number, times
from scenario_trees.law import Mixture, StepLaw
from scenario_trees.processes.gbm import GeometricBrownianMotion, levels_of_values, lognormal_law
from scenario_trees.processes.markov import MarkovProcess


@dataclass(frozen=True)
class VaryingBrownianMotion(MarkovProcess):
    """Geometric Brownian motion with growth and volatility of each period.

    Parameters
    ----------
    initial
        Value at time 0 (> 0).
    drifts
        μ from time k to k + 1, for k = 0, 1, …; the last holds on.
    volatilities
        σ ≥ 0 likewise, as many.

    Examples
    --------
    A market that is uncertain and booms for two years, then settles:

    >>> from scenario_trees import VaryingBrownianMotion
    >>> demand = VaryingBrownianMotion(1000.0, (0.3, 0.3, 0.02), (0.5, 0.5, 0.1))
    >>> [round(float(x)) for x in demand.mean([1, 2, 5])]
    [1350, 1822, 1935]
    """

    initial: float
    drifts: tuple[float, ...]
    volatilities: tuple[float, ...]

    scales = True

    def __post_init__(self) -> None:
        require_number("initial", self.initial, low=0.0, strict=True)
        for name, low in (("drifts", None), ("volatilities", 0.0)):
            given = getattr(self, name)
            if isinstance(given, str) or not isinstance(given, Sequence) or not len(given):
                raise TreeError(f"{name}: must be numbers, one per period, got {given!r}")
            for number in given:
                require_number(name, number, low=low) if low is not None else require_number(name, number)
            object.__setattr__(self, name, tuple(map(float, given)))
        if len(self.drifts) != len(self.volatilities):
            raise TreeError(
                f"volatilities: must be as many as drifts, {len(self.drifts)}, got {len(self.volatilities)}"
            )

    @classmethod
    def example(cls) -> VaryingBrownianMotion:
        """A boom that ends, and calms down."""
        return cls(1000.0, (0.2, 0.1, -0.05), (0.3, 0.2, 0.1))

    @property
    def limit(self) -> GeometricBrownianMotion | None:
        """The process of one growth and one volatility."""
        if len(set(self.drifts)) > 1 or len(set(self.volatilities)) > 1:
            return None
        return GeometricBrownianMotion(self.initial, self.drifts[0], self.volatilities[0])

    @property
    def volatility(self) -> float:
        """The least σ of all periods."""
        return min(self.volatilities)

    def scaled(self, initial: float) -> VaryingBrownianMotion:
        """The same process from another start."""
        return replace(self, initial=initial)

    def later(self, period: int) -> VaryingBrownianMotion:
        """The process from a period on, from the same start: growth and volatility of its first period are those of it.

        Examples
        --------
        >>> VaryingBrownianMotion(1.0, (0.3, 0.2, 0.1), (0.5, 0.4, 0.3)).later(1).drifts
        (0.2, 0.1)
        """
        require_integer("period", period, 0)
        first = min(period, len(self.drifts) - 1)
        return replace(self, drifts=self.drifts[first:], volatilities=self.volatilities[first:])

    @cached_property
    def _sums(self) -> tuple[Array, Array]:
        drifts, squares = np.array(self.drifts), np.square(self.volatilities)
        return np.concatenate([[0.0], np.cumsum(drifts)]), np.concatenate([[0.0], np.cumsum(squares)])

    def _integrals(self, t: Array) -> tuple[Array, Array]:
        """A and V at times, each of the shape of ``t``."""
        n = len(self.drifts)
        at, beyond = np.arange(n + 1.0), np.maximum(t - n, 0.0)
        growth, square = (np.interp(t, at, each) for each in self._sums)
        return growth + beyond * self.drifts[-1], square + beyond * self.volatilities[-1] ** 2

    def log_growth(self, h: float, t: float = 0.0) -> Mixture:
        """Law of D_{t+h}/D_t, for h ≥ 0: the same for all D_t."""
        growth, square = self._integrals(np.array([t, t + h]))
        spread = max(float(square[1] - square[0]), 0.0)
        return lognormal_law(float(growth[1] - growth[0]) - 0.5 * spread, float(np.sqrt(spread)))

    def law(self, states: Array, t: float, dt: float) -> StepLaw:
        """Lognormal."""
        step = self.log_growth(dt, t)
        middle = np.log(states[:, :1]) + step.log_mean[0, 0]
        return StepLaw.one(Mixture.of(states.shape[0], 1.0, middle, float(step.log_sd[0, 0])))

    def mean(self, t: ArrayLike) -> Array:
        """E[D_t] = D_0 e^{A(t)}."""
        return np.asarray(self.initial * np.exp(self._integrals(times(t))[0]))

    def variance(self, t: ArrayLike) -> Array:
        """Var[D_t] = D_0² e^{2A(t)} (e^{V(t)} − 1)."""
        growth, square = self._integrals(times(t))
        return np.asarray((self.initial * np.exp(growth)) ** 2 * np.expm1(square))

    def _over(self, t: float) -> GeometricBrownianMotion:
        """A geometric Brownian motion that has the law of D_t at time 1."""
        growth, square = self._integrals(np.array(t))
        return GeometricBrownianMotion(self.initial, float(growth), float(np.sqrt(square)))

    def _by_time(self, level: ArrayLike, t: ArrayLike, what: str) -> Array:
        levels, at = np.broadcast_arrays(levels_of_values(level), times(t))
        out = np.empty(levels.shape)
        for x in np.unique(at):
            here = at == x
            out[here] = getattr(self._over(float(x)), what)(levels[here], 1.0)
        return out

    def exceedance(self, level: ArrayLike, t: ArrayLike) -> Array:
        """P(D_t > level) for levels ≥ 0; broadcasts ``level`` against ``t``."""
        return self._by_time(level, t, "exceedance")

    def limited_mean(self, level: ArrayLike, t: ArrayLike) -> Array:
        """E[min(D_t, level)] for levels ≥ 0; broadcasts ``level`` against ``t``."""
        return self._by_time(level, t, "limited_mean")

    def __str__(self) -> str:
        """The process in one line."""
        drifts, volatilities = (", ".join(f"{x:.10g}" for x in each) for each in (self.drifts, self.volatilities))
        return f"GBM by period(initial {self.initial:.10g}, drifts {drifts}; volatilities {volatilities})"
