"""Growth that switches between regimes which are seen: a Markov chain modulates drift and volatility.

In a step of one ``period`` of regime i, D grows by ``exp((μ_i − σ_i²/2) dt + σ_i √dt Z)``; the next step has regime j
with probability P_ij (Hamilton 1989, with regimes seen; Guo, Miao and Morellec 2005). With ``m_i = e^{μ_i dt}`` the
mean after n steps is ``D_0 (e_i′ (diag(m) P)^n 1)``; given how many steps each regime had, D is lognormal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from scenario_trees.arrays import Array, Index
from scenario_trees.errors import TreeError, numbers, require_integer, require_number
from scenario_trees.law import Mixture, StepLaw
from scenario_trees.processes.gbm import GeometricBrownianMotion
from scenario_trees.processes.markov import MarkovProcess, require_period

_MAX_COUNTS = 20_000


@dataclass(frozen=True)
class RegimeSwitching(MarkovProcess):
    """A geometric Brownian motion in each of several regimes.

    Parameters
    ----------
    initial
        Value at time 0 (> 0).
    drifts, volatilities
        μ and σ ≥ 0 of every regime, per unit of time and its square root.
    switching
        Probability of regime j in the next period after regime i; every row sums to 1.
    regime
        Regime at time 0, counted from 0.
    period
        Length of a step, in the unit of time: the process takes steps of this length only.

    Examples
    --------
    >>> from scenario_trees import RegimeSwitching
    >>> demand = RegimeSwitching(1000.0, (0.2, -0.1), (0.1, 0.3), ((0.9, 0.1), (0.3, 0.7)))
    >>> [round(float(x)) for x in demand.mean([1, 2, 10])]
    [1221, 1453, 4938]
    """

    initial: float
    drifts: tuple[float, ...]
    volatilities: tuple[float, ...]
    switching: tuple[tuple[float, ...], ...]
    regime: int = 0
    period: float = 1.0

    hidden = ("regime",)
    scales = True

    def __post_init__(self) -> None:
        require_number("initial", self.initial, low=0.0, strict=True)
        require_number("period", self.period, low=0.0, strict=True)
        drift, sigma = numbers("drifts", self.drifts), numbers("volatilities", self.volatilities)
        if drift.ndim != 1 or drift.size == 0 or not np.isfinite(drift).all():
            raise TreeError(f"drifts: must be one finite number per regime, got {self.drifts!r}")
        if sigma.shape != drift.shape or not (np.isfinite(sigma) & (sigma >= 0)).all():
            raise TreeError(
                f"volatilities: must be {drift.size} numbers >= 0, one per regime, got {self.volatilities!r}"
            )
        try:
            matrix = numbers("switching", self.switching)
        except TreeError as error:
            raise TreeError(f"switching: must have {drift.size} rows of {drift.size} numbers") from error
        if matrix.shape != (drift.size, drift.size):
            raise TreeError(f"switching: must have shape {(drift.size, drift.size)}, got {matrix.shape}")
        bad = ~((matrix >= 0).all(axis=1) & (np.abs(matrix.sum(axis=1) - 1) <= 1e-9))
        if bad.any():
            i = int(np.flatnonzero(bad)[0])
            raise TreeError(f"switching: every row must be >= 0 and sum to 1, row {i} is {matrix[i].tolist()}")
        require_integer("regime", self.regime, 0, drift.size - 1)
        object.__setattr__(self, "drifts", tuple(map(float, drift)))
        object.__setattr__(self, "volatilities", tuple(map(float, sigma)))
        object.__setattr__(self, "switching", tuple(tuple(map(float, row)) for row in matrix))

    @classmethod
    def example(cls) -> RegimeSwitching:
        """Growth, and a slump with more risk."""
        return cls(1000.0, (0.15, -0.1), (0.12, 0.3), ((0.85, 0.15), (0.4, 0.6)))

    @property
    def limit(self) -> GeometricBrownianMotion | None:
        """The process where one regime stays for good, or all are alike."""
        i = self.regime
        alike = len({*zip(self.drifts, self.volatilities, strict=True)}) == 1
        if not alike and self.switching[i][i] < 1:
            return None
        return GeometricBrownianMotion(self.initial, self.drifts[i], self.volatilities[i])

    @property
    def hidden_start(self) -> tuple[float, ...]:
        """The first regime."""
        return (float(self.regime),)

    @property
    def step_length(self) -> float:
        """One period."""
        return self.period

    def require_step(self, dt: float) -> None:
        """Refuse steps of another length than the period."""
        if self.limit is None:
            require_period(dt, self.period)

    def scaled(self, initial: float) -> RegimeSwitching:
        """The same process from another start."""
        return replace(self, initial=initial)

    def law(self, states: Array, t: float, dt: float) -> StepLaw:
        """Lognormal by the regime of the step; one kind of future per regime of the next."""
        now = states[:, 1].astype(np.int64)
        mu, sigma = np.array(self.drifts)[now, None], np.array(self.volatilities)[now, None]
        step = Mixture.of(now.size, 1.0, np.log(states[:, :1]) + (mu - 0.5 * sigma**2) * dt, sigma * np.sqrt(dt))
        return StepLaw(np.array(self.switching)[now], (step,) * len(self.drifts))

    def after(self, states: Array, kind: Index, value: Array, t: float, dt: float) -> Array:
        """The regime that follows."""
        return kind[:, None].astype(float)

    def marginal(self, t: float) -> StepLaw:
        """Mixture over how many steps each regime had; the last step may be shorter."""
        steps = int(t / self.period + 1e-9)
        rest = max(t - steps * self.period, 0.0) if t > (steps + 1e-9) * self.period else 0.0
        counts, chance = _counts(self.switching, self.regime, steps)
        spent = counts * self.period
        mu, sigma = np.array(self.drifts), np.array(self.volatilities)
        middle, variance, weight = [], [], []
        for i in range(mu.size) if rest else [0]:
            time = spent + (rest * np.eye(mu.size)[i] if rest else 0.0)
            middle.append(time @ (mu - 0.5 * sigma**2))
            variance.append(time @ sigma**2)
            weight.append(chance[:, i] if rest else chance.sum(1))
        logs = np.log(self.initial) + np.concatenate(middle)
        return StepLaw.one(Mixture.of(1, np.concatenate(weight), logs, np.sqrt(np.concatenate(variance))))

    def over_periods(self, steps: int) -> tuple[Array, Array, Array]:
        """Growth of the logarithm over some periods, from every regime.

        Returns
        -------
        chance
            Of every way to spend the periods and the regime after them, shape ``(regimes, ways, regimes)``.
        middle, sd
            Of every way, shape ``(ways,)``.
        """
        found = [_counts(self.switching, r, steps) for r in range(len(self.drifts))]
        counts = np.unique(np.concatenate([c for c, _ in found]), axis=0)
        place = {tuple(row): i for i, row in enumerate(counts)}
        chance = np.zeros((len(found), counts.shape[0], len(self.drifts)))
        for r, (own, share) in enumerate(found):
            chance[r, [place[tuple(row)] for row in own]] = share
        mu, sigma = np.array(self.drifts), np.array(self.volatilities)
        time = counts * self.period
        return chance, time @ (mu - 0.5 * sigma**2), np.sqrt(time @ sigma**2)

    def __str__(self) -> str:
        """The process in one line."""

        def shown(row: Sequence[float]) -> str:
            return "/".join(f"{x:.10g}" for x in row)

        return (
            f"regimes(initial {self.initial:.10g}, drifts {shown(self.drifts)}, "
            f"volatilities {shown(self.volatilities)}, switching "
            f"{' | '.join(map(shown, self.switching))}, regime {self.regime})"
        )


@lru_cache(maxsize=256)
def _counts(switching: tuple[tuple[float, ...], ...], first: int, steps: int) -> tuple[Array, Array]:
    """How many steps each regime had, shape ``(m, regimes)``, and the chance of each with each next regime."""
    matrix = np.array(switching)
    size = matrix.shape[0]
    law = {(0,) * size: np.eye(size)[first]}
    for _ in range(steps):
        new: dict[tuple[int, ...], Array] = {}
        for count, chance in law.items():
            for i in np.flatnonzero(chance):
                key = (*count[:i], count[i] + 1, *count[i + 1 :])
                new[key] = new.get(key, np.zeros(size)) + chance[i] * matrix[i]
        if len(new) > _MAX_COUNTS:
            raise TreeError(f"t: too many ways to spend {steps} steps in {size} regimes; take fewer regimes or steps")
        law = new
    return np.array(list(law), dtype=float), np.array(list(law.values()))
