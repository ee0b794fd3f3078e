"""Growth towards saturation with noise: logistic, and Bass's diffusion of innovations.

Over a step the value first follows ``dD/dt = (p + q D/K)(K − D)`` (Bass 1969; p = 0: the logistic equation of
Verhulst with rate q) and is then multiplied by ``exp(σ√dt Z − σ²dt/2)``, of mean 1. With ``u = (K − D)/(pK + qD)``
the flow is ``u(dt) = u e^{−(p+q)dt}``, ``D = K (1 − pu)/(1 + qu)``, so steps are lognormal with a mean that bends.
The law of later stages follows by integration over the logarithm on a grid (trapezoidal rule; the error of smooth
densities on it is below 1e-10).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from scenario_trees.arrays import Array
from scenario_trees.errors import TreeError, is_number, require_number
from scenario_trees.law import Mixture, StepLaw
from scenario_trees.processes.gbm import GeometricBrownianMotion
from scenario_trees.processes.markov import MarkovProcess, require_period

#: Points of the grid of a stage, and its half width in standard deviations of all noise so far.
_POINTS, _WIDTH = 600, 9.0


@dataclass(frozen=True)
class SaturatingGrowth(MarkovProcess):
    """Logistic or Bass growth with lognormal noise, in steps of one period.

    Parameters
    ----------
    initial
        Value at time 0 (> 0).
    capacity
        K > 0, where growth ends; infinite with ``innovation`` 0: exponential growth.
    imitation
        q ≥ 0, rate of growth far below the capacity, per unit of time.
    volatility
        σ ≥ 0 per square root of the unit of time.
    innovation
        p ≥ 0, share of what is missing that comes by itself per unit of time.
    period
        Length of a step, in the unit of time: the process takes steps of this length only.

    Examples
    --------
    >>> from scenario_trees import SaturatingGrowth
    >>> demand = SaturatingGrowth(1000.0, capacity=20_000.0, imitation=0.5, volatility=0.1)
    >>> [round(float(x)) for x in demand.mean([5, 10, 30])]
    [7755, 17467, 19808]
    """

    initial: float
    capacity: float
    imitation: float
    volatility: float
    innovation: float = 0.0
    period: float = 1.0

    def __post_init__(self) -> None:
        require_number("initial", self.initial, low=0.0, strict=True)
        if not is_number(self.capacity) or not self.capacity > 0:
            raise TreeError(f"capacity: must be > 0, got {self.capacity!r}")
        require_number("imitation", self.imitation, low=0.0)
        require_number("volatility", self.volatility, low=0.0)
        require_number("innovation", self.innovation, low=0.0)
        require_number("period", self.period, low=0.0, strict=True)
        if np.isinf(self.capacity) and self.innovation > 0:
            raise TreeError(f"innovation: must be 0 where the capacity is infinite, got {self.innovation!r}")

    @classmethod
    def example(cls) -> SaturatingGrowth:
        """Bass growth to ten times the start."""
        return cls(1000.0, 10_000.0, 0.4, 0.15, 0.02)

    @property
    def limit(self) -> GeometricBrownianMotion | None:
        """Growth without end, or none at all."""
        rate = self.imitation + self.innovation
        if rate > 0 and np.isfinite(self.capacity):
            return None
        return GeometricBrownianMotion(
            self.initial, self.imitation if np.isinf(self.capacity) else 0.0, self.volatility
        )

    @property
    def step_length(self) -> float:
        """One period."""
        return self.period

    def require_step(self, dt: float) -> None:
        """Refuse steps of another length than the period."""
        if self.limit is None:
            require_period(dt, self.period)

    def flow(self, value: Array, dt: float) -> Array:
        """Where values > 0 are after ``dt`` without noise."""
        p, q, K = self.innovation, self.imitation, self.capacity
        u = (K - value) / (p * K + q * value) * np.exp(-(p + q) * dt)
        return np.asarray(K * (1 - p * u) / (1 + q * u))

    def law(self, states: Array, t: float, dt: float) -> StepLaw:
        """Lognormal around the flow."""
        sd = self.volatility * np.sqrt(dt)
        return StepLaw.one(Mixture.of(states.shape[0], 1.0, np.log(self.flow(states[:, :1], dt)) - 0.5 * sd**2, sd))

    def marginal(self, t: float) -> StepLaw:
        """A mixture over the values one step before; the last step may be shorter."""
        steps = int(np.ceil(t / self.period - 1e-9))
        y, weight = _grid(self, steps - 1)
        last = t - (steps - 1) * self.period
        law = self.law(np.exp(y)[:, None], 0.0, last).kinds[0]
        return StepLaw.one(Mixture.of(1, weight, law.log_mean[:, 0], law.log_sd[:, 0]))

    def __str__(self) -> str:
        """The process in one line."""
        return (
            f"saturating(initial {self.initial:.10g}, capacity {self.capacity:.10g}, imitation {self.imitation:.10g}, "
            f"innovation {self.innovation:.10g}, volatility {self.volatility:.10g})"
        )


@lru_cache(maxsize=256)
def _grid(process: SaturatingGrowth, steps: int) -> tuple[Array, Array]:
    """Logarithms of the value after so many steps, and their weights."""
    start = np.array([np.log(process.initial)])
    if steps == 0:
        return start, np.ones(1)
    if process.volatility == 0:
        return np.log(process.flow(np.exp(_grid(process, steps - 1)[0]), process.period)), np.ones(1)
    before, weight = _grid(process, steps - 1)
    law = process.law(np.exp(before)[:, None], 0.0, process.period).kinds[0]
    middle, sd = law.log_mean[:, 0], law.log_sd[:, 0]
    centre, reach = float(weight @ middle), _WIDTH * process.volatility * np.sqrt(steps * process.period)
    at = np.linspace(centre - reach, centre + reach, _POINTS)
    density = np.exp(-0.5 * ((at[:, None] - middle) / sd) ** 2) @ (weight / sd)
    return at, density / density.sum()
