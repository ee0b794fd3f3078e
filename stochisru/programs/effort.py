"""How close and for how long a mixed-integer program is solved."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from scenario_trees.errors import is_number
from stochisru.errors import InputError


@dataclass(frozen=True)
class SolverLimits:
    """Where the search for a mixed-integer optimum ends.

    Attributes
    ----------
    rel_gap
        ``|objective − bound| / |objective|`` at which it ends, in [0, 1).
    time_limit
        Seconds after which it ends, > 0; none if None.

    Raises
    ------
    InputError
        If a number is out of range.
    """

    rel_gap: float
    time_limit: float | None = None

    def __post_init__(self) -> None:
        if not (is_number(self.rel_gap) and 0 <= self.rel_gap < 1):
            raise InputError(f"rel_gap: must be in [0, 1), got {self.rel_gap}")
        if self.time_limit is not None and not (is_number(self.time_limit) and self.time_limit > 0):
            raise InputError(f"time_limit: must be > 0 seconds, got {self.time_limit}")


@dataclass(frozen=True)
class Budget:
    """Time of a search of several programs, of the limit of the whole.

    Attributes
    ----------
    limit
        Seconds that the search may take, > 0.
    now
        Reads a clock, in seconds.
    began
        What it said at the start.
    """

    limit: float
    now: Callable[[], float] = time.perf_counter
    began: float = field(default=-math.inf)

    def __post_init__(self) -> None:
        if not (is_number(self.limit) and self.limit > 0):
            raise InputError(f"time_limit: must be > 0 seconds, got {self.limit}")
        if self.began == -math.inf:
            object.__setattr__(self, "began", self.now())

    @property
    def spent(self) -> float:
        """Seconds since the start."""
        return self.now() - self.began

    @property
    def left(self) -> float:
        """Seconds up to the limit, ≥ 0."""
        return max(self.limit - self.spent, 0.0)

    def until(self, share: float) -> float:
        """Seconds up to a share of the limit, ≥ 0."""
        return max(share * self.limit - self.spent, 0.0)

    def part(self, share: float) -> Budget:
        """A budget that starts now, for a share of what is left, at least a hundredth of a second."""
        return Budget(max(share * self.left, 0.01), self.now)
