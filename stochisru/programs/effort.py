"""How close and for how long a mixed-integer program is solved."""

from __future__ import annotations

from dataclasses import dataclass

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
