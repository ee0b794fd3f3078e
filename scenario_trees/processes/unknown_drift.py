"""Growth whose rate nobody knows: a Bayesian learns it from the values that come.

``dD = μ D dt + σ D dW`` with μ unknown. The law of D_t that a Bayesian expects is Markov in (t, D_t), as the growth
so far is all that the values say of μ (Liptser and Shiryaev 2001, ch. 12).

- *Normal prior* N(m, s²): the posterior of time t is normal with precision ``1/s² + t/σ²`` and mean
  ``v (m/s² + (ln(D_t/D_0) + σ²t/2)/σ²)``; ``ln D_t`` has variance ``σ²t + s²t²`` and ``E[D_t] = D_0 exp(mt + s²t²/2)``,
  which becomes absurd at long horizons: truncate the prior there.
- *Discrete prior* on rates μ_j with weights w_j: posterior weights are ``w_j exp((a_j y − a_j² t/2)/σ²)`` up to a
  factor, with ``a_j = μ_j − σ²/2`` and ``y = ln(D_t/D_0)``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from scenario_trees.arrays import Array
from scenario_trees.errors import TreeError, numbers, require_integer, require_number
from scenario_trees.law import Mixture, StepLaw
from scenario_trees.processes.gbm import GeometricBrownianMotion
from scenario_trees.processes.markov import MarkovProcess

#: The spread of a normal prior may multiply the mean by so much; beyond, the mean is that of what nobody believes.
_ABSURD = 100.0


@dataclass(frozen=True)
class UnknownDrift(MarkovProcess):
    """A geometric Brownian motion whose drift has a normal prior.

    Parameters
    ----------
    initial
        Value at time 0 (> 0).
    prior_mean, prior_sd
        m and s ≥ 0 of the drift, per unit of time.
    volatility
        σ ≥ 0, known.

    Examples
    --------
    >>> from scenario_trees import UnknownDrift
    >>> demand = UnknownDrift(1000.0, 0.1, 0.05, 0.2)
    >>> mean, sd = demand.posterior(4.0, 2000.0)
    >>> round(float(mean), 4), round(float(sd), 4)
    (0.1187, 0.0447)
    """

    initial: float
    prior_mean: float
    prior_sd: float
    volatility: float

    def __post_init__(self) -> None:
        require_number("initial", self.initial, low=0.0, strict=True)
        require_number("prior_mean", self.prior_mean)
        require_number("prior_sd", self.prior_sd, low=0.0)
        require_number("volatility", self.volatility, low=0.0)

    @classmethod
    def example(cls) -> UnknownDrift:
        """A drift known to 5 % a year."""
        return cls(1000.0, 0.08, 0.05, 0.2)

    @property
    def limit(self) -> GeometricBrownianMotion | None:
        """The process of known drift."""
        if self.prior_sd > 0:
            return None
        return GeometricBrownianMotion(self.initial, self.prior_mean, self.volatility)

    def posterior(self, t: float, value: ArrayLike) -> tuple[Array, Array]:
        """Mean and standard deviation of the drift given the value at time ``t``, both of the shape of ``value``."""
        seen = np.asarray(numbers("value", value))
        s2, v2 = self.prior_sd**2, self.volatility**2
        if t == 0 or s2 == 0:
            return np.full(seen.shape, self.prior_mean), np.full(seen.shape, self.prior_sd)
        growth = np.log(seen / self.initial) + 0.5 * v2 * t
        share = s2 * t / (s2 * t + v2)  # weight of what was seen
        mean = (1 - share) * self.prior_mean + share * growth / t
        return np.asarray(mean), np.full(seen.shape, np.sqrt(s2 * v2 / (s2 * t + v2)))

    def law(self, states: Array, t: float, dt: float) -> StepLaw:
        """Lognormal, as the Bayesian expects it."""
        if 0.5 * (self.prior_sd * (t + dt)) ** 2 > np.log(_ABSURD):
            raise TreeError(
                f"prior_sd: {self.prior_sd:g} multiplies the mean of time {t + dt:g} by more than {_ABSURD:g}; take a "
                "shorter horizon or a truncated prior (DiscreteDrift.truncated_normal)"
            )
        mean, sd = self.posterior(t, states[:, :1])
        middle = np.log(states[:, :1]) + (mean - 0.5 * self.volatility**2) * dt
        return StepLaw.one(Mixture.of(states.shape[0], 1.0, middle, np.sqrt(self.volatility**2 * dt + (sd * dt) ** 2)))

    def __str__(self) -> str:
        """The process in one line."""
        return (
            f"unknown drift(initial {self.initial:.10g}, prior mean {self.prior_mean:.10g}, "
            f"prior sd {self.prior_sd:.10g}, volatility {self.volatility:.10g})"
        )


@dataclass(frozen=True)
class DiscreteDrift(MarkovProcess):
    """A geometric Brownian motion whose drift is one of several.

    Parameters
    ----------
    initial
        Value at time 0 (> 0).
    drifts
        Rates that are possible, per unit of time.
    weights
        Prior probability of each; they sum to 1.
    volatility
        σ > 0, known: without it the first step would tell the drift.

    Examples
    --------
    Launch price of 1,500 $/kg that falls in 20 years to 30, 119 or 436 $/kg:

    >>> import numpy as np
    >>> from scenario_trees import DiscreteDrift
    >>> rates = tuple(np.log(np.array([30, 119, 436]) / 1500) / 20)
    >>> price = DiscreteDrift(1500.0, rates, (0.25, 0.5, 0.25), volatility=0.1)
    >>> round(float(price.mean(20)), 6)
    176.0
    """

    initial: float
    drifts: tuple[float, ...]
    weights: tuple[float, ...]
    volatility: float

    def __post_init__(self) -> None:
        require_number("initial", self.initial, low=0.0, strict=True)
        require_number("volatility", self.volatility, low=0.0, strict=True)
        drift, weight = numbers("drifts", self.drifts), numbers("weights", self.weights)
        if drift.ndim != 1 or drift.size == 0 or not np.isfinite(drift).all():
            raise TreeError(f"drifts: must be one or more finite numbers, got {self.drifts!r}")
        if weight.shape != drift.shape or not (weight >= 0).all() or abs(weight.sum() - 1) > 1e-9:
            raise TreeError(f"weights: must be {drift.size} numbers >= 0 that sum to 1, got {self.weights!r}")
        object.__setattr__(self, "drifts", tuple(map(float, drift)))
        object.__setattr__(self, "weights", tuple(map(float, weight)))

    @classmethod
    def example(cls) -> DiscreteDrift:
        """A market that grows or does not."""
        return cls(1000.0, (0.0, 0.15), (0.4, 0.6), 0.2)

    @classmethod
    def truncated_normal(
        cls,
        initial: float,
        mean: float,
        sd: float,
        low: float,
        high: float,
        volatility: float,
        points: int = 21,
    ) -> DiscreteDrift:
        """A normal prior cut off at both ends, by Gauss–Legendre nodes.

        Parameters
        ----------
        mean, sd
            Of the normal law before it is cut, sd > 0.
        low, high
            Ends.
        points
            Nodes: 21 give moments of D_t to 1e-9 where ``(high − low) t`` is below 10.
        """
        for name, value in (("mean", mean), ("low", low), ("high", high)):
            require_number(name, value)
        require_number("sd", sd, low=0.0, strict=True)
        require_integer("points", points, 2, 200)
        if high <= low:
            raise TreeError(f"high: must be > low = {low:g}, got {high:g}")
        node, weight = np.polynomial.legendre.leggauss(points)
        at = 0.5 * (low + high) + 0.5 * (high - low) * node
        log = -0.5 * ((at - mean) / sd) ** 2
        share = weight * np.exp(log - log.max())
        return cls(initial, tuple(at), tuple(share / share.sum()), volatility)

    @property
    def limit(self) -> GeometricBrownianMotion | None:
        """The process of one drift."""
        possible = {m for m, w in zip(self.drifts, self.weights, strict=True) if w > 0}
        return GeometricBrownianMotion(self.initial, possible.pop(), self.volatility) if len(possible) == 1 else None

    def posterior(self, t: float, value: ArrayLike) -> Array:
        """Weights of the drifts given the value at time ``t``, of the shape of ``value`` with one axis more."""
        seen = np.log(np.asarray(numbers("value", value)) / self.initial)[..., None]
        rate, v2 = np.array(self.drifts) - 0.5 * self.volatility**2, self.volatility**2
        with np.errstate(divide="ignore"):
            log = np.log(np.array(self.weights)) + (rate * seen - 0.5 * rate**2 * t) / v2
        share = np.exp(log - log.max(axis=-1, keepdims=True))
        return np.asarray(share / share.sum(axis=-1, keepdims=True))

    def law(self, states: Array, t: float, dt: float) -> StepLaw:
        """A mixture over the drifts with their posterior weights."""
        middle = np.log(states[:, :1]) + (np.array(self.drifts) - 0.5 * self.volatility**2) * dt
        weight = self.posterior(t, states[:, 0]) if t > 0 else np.array(self.weights)
        return StepLaw.one(Mixture.of(states.shape[0], weight, middle, self.volatility * np.sqrt(dt)))

    def __str__(self) -> str:
        """The process in one line."""
        few = len(self.drifts) <= 4
        rates = (
            "/".join(f"{x:.10g}" for x in self.drifts) if few else f"{min(self.drifts):.10g}..{max(self.drifts):.10g}"
        )
        weights = "/".join(f"{x:.10g}" for x in self.weights) if few else f"of {len(self.weights)} rates"
        return (
            f"discrete drift(initial {self.initial:.10g}, drifts {rates}, weights {weights}, "
            f"volatility {self.volatility:.10g})"
        )
