"""Cuts of all stages as rows of one matrix, and the choice of those that matter.

A pass gives one cut per stage, with an intercept and slopes for every state of the stage: θ ≤ a_i + b_i·x. A row holds,
for t = 0..T−1, the intercepts ``(n,)``, the slopes ``(n, d)`` and the trial point ``(d,)`` at which it was made, all in
units of `StagePrograms`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from scenario_trees.arrays import Array, Index
from stochisru.protocols import StagePrograms


@dataclass(frozen=True, eq=False)
class CutLayout:
    """Where the cut of each stage stands in a row."""

    programs: StagePrograms[Any]

    @cached_property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """States and entries of the state per stage 0..T−1."""
        sizes = self.programs.lattice.sizes
        return tuple((sizes[s.year], s.leaving) for s in self.programs.stages[:-1])

    @cached_property
    def starts(self) -> Index:
        """First entry of every stage and, last, the length of a row."""
        return np.cumsum([0] + [n + n * d + d for n, d in self.shapes])

    @property
    def length(self) -> int:
        """Numbers in a row."""
        return int(self.starts[-1])

    def split(self, rows: Array, t: int) -> tuple[Array, Array, Array]:
        """Intercepts ``(k, n)``, slopes ``(k, n, d)`` and trial points ``(k, d)`` of stage t: views of ``rows``."""
        (n, d), at = self.shapes[t], self.starts[t]
        a, b = at + n, at + n + n * d
        return rows[:, at:a], rows[:, a:b].reshape(rows.shape[0], n, d), rows[:, b : self.starts[t + 1]]


class CutPool:
    """All cuts so far, and per stage and state those that are lowest at a trial point that was visited.

    A cut that is lowest nowhere is dominated there ("level one": de Matos, Philpott and Finardi 2015). Ties go to the
    older cut, so what is kept depends on the rows and their order only.
    """

    def __init__(self, layout: CutLayout) -> None:
        self.layout = layout
        self._rows = np.empty((64, layout.length))
        self.count = 0
        self._lowest: list[tuple[Array, Index]] = [
            (np.empty((0, n)), np.empty((0, n), dtype=np.int64)) for n, _ in layout.shapes
        ]
        self._compared = 0

    @property
    def rows(self) -> Array:
        """The rows, shape ``(count, length)``; not to be written to."""
        return self._rows[: self.count]

    def append(self, rows: Array) -> None:
        """Add rows."""
        needed = self.count + rows.shape[0]
        if needed > self._rows.shape[0]:
            grown = np.empty((max(needed, 2 * self._rows.shape[0]), self.layout.length))
            grown[: self.count] = self.rows
            self._rows = grown
        self._rows[self.count : needed] = rows
        self.count = needed

    def of(self, t: int) -> tuple[Array, Array, Array]:
        """Intercepts, slopes and trial points of stage t; see `CutLayout.split`."""
        return self.layout.split(self.rows, t)

    def select(self) -> list[list[Index]]:
        """Rows to keep, ascending, per stage and state."""
        old, new = self._compared, self.count
        kept = []
        for t, (n, _) in enumerate(self.layout.shapes):
            intercept, slope, point = self.of(t)
            value, owner = self._lowest[t]
            # New cuts at old points, then all cuts at new points.
            if new > old and old > 0:
                at_old = _values(intercept[old:], slope[old:], point[:old])
                first = at_old.argmin(axis=0)
                least = np.take_along_axis(at_old, first[None], axis=0)[0]
                value, owner = np.where(least < value, least, value), np.where(least < value, first + old, owner)
            at_new = _values(intercept, slope, point[old:])
            first = at_new.argmin(axis=0)
            value = np.concatenate([value, np.take_along_axis(at_new, first[None], axis=0)[0]])
            owner = np.concatenate([owner, first])
            self._lowest[t] = value, owner
            kept.append([np.unique(owner[:, i]) for i in range(n)])
        self._compared = new
        return kept


def _values(intercept: Array, slope: Array, point: Array) -> Array:
    """Values of cuts at points, shape ``(cuts, points, states)``, added up in a fixed order."""
    value = np.repeat(intercept[:, None, :], point.shape[0], axis=1)
    for k in range(point.shape[1]):
        value += slope[:, None, :, k] * point[None, :, k, None]
    return value
