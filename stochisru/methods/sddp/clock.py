"""The time that a run may take, and how much of it its end needs."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

#: Share of the time that is kept for the end of a run at first, and at most: the last lower bound and the simulation.
_FIRST, _MOST = 0.25, 0.4
#: What is kept for the end, in terms of the last lower bound.
_ROOM = 1.3
#: Share of the time left that a lower bound may take: on the way, and at the end, before the simulation.
ON_THE_WAY, AT_THE_END = 0.3, 0.7


@dataclass
class Clock:
    """Keeps a run of so many seconds within them: passes stop in time for what comes after them.

    Attributes
    ----------
    limit
        Seconds from now, or None for any.
    start
        By `time.monotonic`, which all processes share.
    """

    limit: float | None
    start: float = field(default_factory=time.monotonic)
    _needed: float | None = None

    @property
    def until(self) -> float | None:
        """Time at which the run is to be over."""
        return None if self.limit is None else self.start + self.limit

    @property
    def passes_until(self) -> float | None:
        """Time at which passes are to be over."""
        if self.limit is None:
            return None
        needed = _FIRST * self.limit if self._needed is None else _ROOM * self._needed
        return self.start + self.limit - min(needed, _MOST * self.limit)

    @property
    def over(self) -> bool:
        """Whether the time of passes is over."""
        return self.passes_until is not None and time.monotonic() >= self.passes_until

    @property
    def has_room(self) -> bool:
        """Whether there is time for a lower bound on the way, and for passes after it."""
        return self.limit is None or time.monotonic() - self.start < (1 - _MOST) * self.limit / 2

    @contextlib.contextmanager
    def bounding(self, share: float) -> Iterator[float | None]:
        """Time by which a lower bound is to be done, in a share of what is left; what it takes is measured."""
        before = time.monotonic()
        left = None if self.until is None else max(self.until - before, 0.0)
        yield None if left is None else before + share * left
        self._needed = time.monotonic() - before
