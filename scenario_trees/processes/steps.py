"""A step of known or random date: a base opens in year 4, a programme ends in year 8 or never.

A geometric Brownian motion that is multiplied by ``1 + y`` once, at a date τ with ``P(τ = t_i) = p_i``; with ``1 − Σ
p_i`` it never comes. Whether it has come is seen. ``E[D_t] = D_0 e^{μt} (1 + y P(τ ≤ t))`` (Dixit and Pindyck 1994,
section 9.3, of policy changes of random date).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from scenario_trees.arrays import Array, Index
from scenario_trees.errors import TreeError, numbers, require_number
from scenario_trees.law import Mixture, StepLaw
from scenario_trees.processes.gbm import GeometricBrownianMotion
from scenario_trees.processes.markov import MarkovProcess

#: Dates within this share of a step of its end belong to the step.
_SAME = 1e-9


@dataclass(frozen=True)
class DatedStep(MarkovProcess):
    """A geometric Brownian motion with one step up or down.

    Parameters
    ----------
    initial
        Value at time 0 (> 0).
    drift, volatility
        μ and σ ≥ 0 besides the step.
    size
        Relative change by the step, ≥ −1; −1 ends the process at 0.
    dates
        Times > 0 at which it may come, ascending; it counts at the end of the step of time in which it lies.
    probabilities
        Of every date; what is missing from 1 is that it never comes. Certain if there is one date and nothing is given.

    Examples
    --------
    A base that opens in year 4 and triples demand, and one that opens in year 4 or 6 or never:

    >>> from scenario_trees import DatedStep
    >>> [round(float(x)) for x in DatedStep(1000.0, 0.0, 0.1, 2.0, (4.0,)).mean([3, 4])]
    [1000, 3000]
    >>> [round(float(x)) for x in DatedStep(1000.0, 0.0, 0.1, 2.0, (4.0, 6.0), (0.5, 0.3)).mean([3, 4, 6])]
    [1000, 2000, 2600]
    """

    initial: float
    drift: float
    volatility: float
    size: float
    dates: tuple[float, ...]
    probabilities: tuple[float, ...] = (1.0,)

    hidden = ("happened",)
    scales = True

    def __post_init__(self) -> None:
        require_number("initial", self.initial, low=0.0, strict=True)
        require_number("drift", self.drift)
        require_number("volatility", self.volatility, low=0.0)
        require_number("size", self.size, low=-1.0)
        dates, chance = numbers("dates", self.dates), numbers("probabilities", self.probabilities)
        if (
            dates.ndim != 1
            or dates.size == 0
            or not (np.isfinite(dates) & (dates > 0)).all()
            or (np.diff(dates) <= 0).any()
        ):
            raise TreeError(f"dates: must be one or more ascending times > 0, got {self.dates!r}")
        if chance.shape != dates.shape or not (chance >= 0).all() or chance.sum() > 1 + 1e-9:
            raise TreeError(
                f"probabilities: must be {dates.size} numbers >= 0 with a sum of at most 1, got {self.probabilities!r}"
            )
        object.__setattr__(self, "dates", tuple(map(float, dates)))
        object.__setattr__(self, "probabilities", tuple(map(float, chance)))

    @classmethod
    def example(cls) -> DatedStep:
        """A base that opens in year 2 or 4, or never."""
        return cls(1000.0, 0.05, 0.15, 1.5, (2.0, 4.0), (0.5, 0.3))

    @property
    def limit(self) -> GeometricBrownianMotion | None:
        """The process without a step."""
        if self.size != 0 and any(self.probabilities):
            return None
        return GeometricBrownianMotion(self.initial, self.drift, self.volatility)

    def scaled(self, initial: float) -> DatedStep:
        """The same process from another start."""
        return replace(self, initial=initial)

    def come(self, t: float) -> float:
        """P(τ ≤ t)."""
        chance = zip(self.dates, self.probabilities, strict=True)
        return float(min(sum(p for date, p in chance if date <= t + _SAME), 1.0))

    def law(self, states: Array, t: float, dt: float) -> StepLaw:
        """Lognormal; a kind of future in which the step has not come, and one in which it has."""
        before, after = self.come(t), self.come(t + dt)
        hazard = (after - before) / (1 - before) if before < 1 - 1e-12 else 1.0
        happened, n = states[:, 1:2] > 0.5, states.shape[0]
        middle = np.log(states[:, :1]) + (self.drift - 0.5 * self.volatility**2) * dt
        with np.errstate(divide="ignore"):
            up = np.where(happened, 0.0, np.log1p(self.size))
        sd = self.volatility * np.sqrt(dt)
        chance = np.where(happened, 1.0, hazard)
        kinds = (Mixture.of(n, 1.0, middle, sd), Mixture.of(n, 1.0, middle + up, sd))
        return StepLaw(np.concatenate([1 - chance, chance], axis=1), kinds)

    def after(self, states: Array, kind: Index, value: Array, t: float, dt: float) -> Array:
        """Whether the step has come."""
        return kind[:, None].astype(float)

    def __str__(self) -> str:
        """The process in one line."""
        when = ", ".join(f"{date:.10g}: {p:.10g}" for date, p in zip(self.dates, self.probabilities, strict=True))
        return (
            f"GBM with a step(initial {self.initial:.10g}, drift {self.drift:.10g}, volatility {self.volatility:.10g}, "
            f"size {self.size:+.10g}, dates {when})"
        )
