"""Stopping rules of iterative methods; they compose.

A rule looks at the log of a run and says why to stop, or None. `any_of` stops with the first of several.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from stochisru.errors import InputError, require_integer, require_number
from stochisru.estimate import Estimate
from stochisru.limits import Limit
from stochisru.methods.result import relative_gap
from stochisru.protocols import BoundsLine, RunStatus, StoppingRule


def _no_simulation(paths: int, confidence: float) -> Estimate:
    raise InputError("stopping: must not need simulated paths, which this method does not make")


@dataclass(frozen=True, eq=False)
class Status:
    """A run so far.

    Attributes
    ----------
    log
        Lines of the log, the last one of the present iteration; not empty.
    seconds
        Time of this part of the run.
    simulate
        Mean NPV of the present plan on so many fresh paths, at a confidence level; `InputError` from methods that
        cannot.
    flows
        Size of the sums of money that the bounds are differences of, $.
    """

    log: Sequence[BoundsLine]
    seconds: float
    simulate: Callable[[int, float], Estimate] = _no_simulation
    flows: float = 0.0


@dataclass(frozen=True)
class GapReached:
    """Stop when the gap of the bounds is at most ``rel_gap``."""

    rel_gap: float = 1e-3

    def __post_init__(self) -> None:
        require_number("rel_gap", self.rel_gap, low=0.0)

    def met(self, status: RunStatus) -> Limit | None:
        """Whether the gap is small enough."""
        return Limit.GAP if status.log[-1].gap <= self.rel_gap else None


@dataclass(frozen=True)
class BoundStalled:
    """Stop when the upper bound fell by no more than a share ``tolerance`` over ``iterations`` iterations."""

    iterations: int = 10
    tolerance: float = 1e-5

    def __post_init__(self) -> None:
        require_number("iterations", self.iterations, low=1)
        require_number("tolerance", self.tolerance, low=0.0)

    def met(self, status: RunStatus) -> Limit | None:
        """Whether the bound stalled."""
        if len(status.log) <= self.iterations:
            return None
        before, now = status.log[-1 - self.iterations].upper, status.log[-1].upper
        return Limit.STALLED_BOUND if before - now <= self.tolerance * max(abs(before), abs(now)) else None


@dataclass(frozen=True)
class GapStalled:
    """Stop when the gap shrank by less than a share ``shrinkage`` over ``iterations`` iterations.

    For mixed-integer programs, whose bounds may never meet.
    """

    iterations: int = 20
    shrinkage: float = 0.05

    def __post_init__(self) -> None:
        require_integer("iterations", self.iterations, 1)
        require_number("shrinkage", self.shrinkage, low=0.0)

    def met(self, status: RunStatus) -> Limit | None:
        """Whether the gap stalled."""
        if len(status.log) <= self.iterations:
            return None
        before, now = status.log[-1 - self.iterations].gap, status.log[-1].gap
        return Limit.STALLED if now > (1 - self.shrinkage) * before else None


@dataclass(frozen=True)
class GapWithConfidence:
    """Stop when the upper bound exceeds the lower end of the interval of a simulated mean by at most ``rel_gap``.

    It simulates ``paths`` fresh paths every so many iterations. For the expectation only.
    """

    rel_gap: float = 1e-2
    confidence: float = 0.95
    paths: int = 1000
    every: int = 5

    def __post_init__(self) -> None:
        require_number("rel_gap", self.rel_gap, low=0.0)
        require_number("paths", self.paths, low=2)
        require_number("every", self.every, low=1)
        if not 0 < self.confidence < 1:
            raise InputError(f"confidence: must lie in (0, 1), got {self.confidence!r}")

    def met(self, status: RunStatus) -> Limit | None:
        """Whether the simulated gap is small enough."""
        last = status.log[-1]
        if last.number % self.every:
            return None
        low = status.simulate(self.paths, self.confidence).lower
        return Limit.CONFIDENCE if relative_gap(low, last.upper, status.flows) <= self.rel_gap else None


@dataclass(frozen=True)
class TimeLimit:
    """Stop after so many seconds of this part of the run."""

    seconds: float

    def __post_init__(self) -> None:
        require_number("time_limit", self.seconds, low=0.0, strict=True)

    def met(self, status: RunStatus) -> Limit | None:
        """Whether the time is up."""
        return Limit.TIME if status.seconds >= self.seconds else None


@dataclass(frozen=True)
class IterationLimit:
    """Stop after so many iterations, those of earlier parts included."""

    iterations: int

    def __post_init__(self) -> None:
        require_integer("iterations", self.iterations, 1)

    def met(self, status: RunStatus) -> Limit | None:
        """Whether that many were done."""
        return Limit.ITERATIONS if status.log[-1].number >= self.iterations else None


@dataclass(frozen=True)
class AnyOf:
    """Stop with the first rule that is met, in their order."""

    rules: tuple[StoppingRule, ...]

    def met(self, status: RunStatus) -> Limit | None:
        """Name of the first limit that was hit."""
        return next((name for rule in self.rules if (name := rule.met(status)) is not None), None)


def any_of(*rules: StoppingRule) -> AnyOf:
    """Combine rules: stop with the first that is met."""
    return AnyOf(rules)
