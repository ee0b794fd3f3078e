"""Mean reversion of the logarithm: exact discretisation of an Ornstein–Uhlenbeck process.

``d ln D = (g − σ²/2 + κ (ln L_t − ln D)) dt + σ dW`` with the level ``L_t = L e^{gt}`` (Schwartz 1997, model 1; Dixit
and Pindyck 1994, ch. 3). Over a step, ``x = ln D − ln L_t`` goes to a normal law of mean ``x e^{−κdt} − (σ²/2κ)(1 −
e^{−κdt})`` and variance ``σ² (1 − e^{−2κdt})/2κ``. With κ = 0 this is a geometric Brownian motion of drift g.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scenario_trees.arrays import Array
from scenario_trees.errors import require_number
from scenario_trees.law import Mixture, StepLaw
from scenario_trees.processes.gbm import GeometricBrownianMotion
from scenario_trees.processes.markov import MarkovProcess


@dataclass(frozen=True)
class MeanReverting(MarkovProcess):
    """A process whose logarithm is drawn to that of a level.

    Parameters
    ----------
    initial
        Value at time 0 (> 0).
    level
        L at time 0 (> 0): where D neither rises nor falls on average, but for the trend.
    reversion
        κ ≥ 0 per unit of time; a distance to the level is halved in ``ln 2/κ``.
    volatility
        σ ≥ 0 per square root of the unit of time.
    trend
        g, growth rate of the level.

    Examples
    --------
    >>> from scenario_trees import MeanReverting
    >>> price = MeanReverting(3000.0, level=1500.0, reversion=0.3, volatility=0.2)
    >>> [round(float(x)) for x in price.mean([0, 5, 50])]
    [3000, 1716, 1451]
    """

    initial: float
    level: float
    reversion: float
    volatility: float
    trend: float = 0.0

    def __post_init__(self) -> None:
        require_number("initial", self.initial, low=0.0, strict=True)
        require_number("level", self.level, low=0.0, strict=True)
        require_number("reversion", self.reversion, low=0.0)
        require_number("volatility", self.volatility, low=0.0)
        require_number("trend", self.trend)

    @classmethod
    def example(cls) -> MeanReverting:
        """From above its level, which grows."""
        return cls(1000.0, 600.0, 0.25, 0.2, 0.03)

    @property
    def limit(self) -> GeometricBrownianMotion | None:
        """The process without reversion."""
        if self.reversion > 0:
            return None
        return GeometricBrownianMotion(self.initial, self.trend, self.volatility)

    def law(self, states: Array, t: float, dt: float) -> StepLaw:
        """Lognormal."""
        kappa, half = self.reversion, 0.5 * self.volatility**2
        left = -np.expm1(-kappa * dt)
        x = np.log(states[:, :1]) - (np.log(self.level) + self.trend * t)
        middle = np.log(self.level) + self.trend * (t + dt) + x * (1 - left) - half * left / kappa
        sd = self.volatility * np.sqrt(-np.expm1(-2 * kappa * dt) / (2 * kappa))
        return StepLaw.one(Mixture.of(states.shape[0], 1.0, middle, sd))

    def __str__(self) -> str:
        """The process in one line."""
        return (
            f"mean-reverting(initial {self.initial:.10g}, level {self.level:.10g}, reversion {self.reversion:.10g}, "
            f"volatility {self.volatility:.10g}, trend {self.trend:.10g})"
        )
