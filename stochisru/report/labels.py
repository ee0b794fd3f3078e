"""Where the name of a line has room beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from scenario_trees.arrays import Array

#: Places along a line that are tried, and points of lines that a name keeps clear of, per line.
_TRIED, _KEPT = 28, 90
_GAP = 5.0


class Spot(NamedTuple):
    """Where a name stands, pixels, and on which side of it the text begins."""

    x: float
    y: float
    anchor: str


def spots(
    own: Sequence[Array], every: Sequence[Array], sizes: Sequence[tuple[float, float]], box: tuple[float, ...]
) -> list[Spot]:
    """Places of names, one after the other: clear of lines, of each other, and near their own line.

    Parameters
    ----------
    own
        Lines that have a name, each of shape ``(n, 2)`` in pixels; NaN breaks them.
    every
        All lines.
    sizes
        Width and height of each name.
    box
        Left, top, right and bottom of the panel.
    """
    points = np.concatenate([_dense(path) for path in every]) if every else np.zeros((0, 2))
    taken: list[Array] = []
    found = []
    for path, (width, height) in zip(own, sizes, strict=True):
        mine = _dense(path)
        if not len(mine):
            found.append(Spot(box[0] + 4, box[1] + 12, "start"))
            continue
        at = mine[np.unique(np.linspace(0, len(mine) - 1, _TRIED).astype(int))]
        shift = np.array([[dx, dy] for _, dx, dy in _SIDES])
        begins = np.array([{"start": 0.0, "middle": 0.5, "end": 1.0}[side] for side, _, _ in _SIDES])
        anchor = (at[:, None, :] + shift).reshape(-1, 2)
        left = anchor[:, 0] - width * np.tile(begins, len(at))
        top, low = anchor[:, 1] - 0.8 * height, anchor[:, 1] + 0.25 * height
        rect = np.stack([left, top, left + width, low], axis=1)
        cost = _outside(rect, box) + _crossed(rect, points)
        for other in taken:
            cost += _overlap(rect, other)
        cost += 0.02 * np.abs(anchor[:, 0] - box[2]) / max(box[2] - box[0], 1.0)  # else to the right
        best = int(np.argmin(cost))
        taken.append(rect[best])
        found.append(Spot(float(anchor[best, 0]), float(anchor[best, 1]), _SIDES[best % len(_SIDES)][0]))
    return found


#: Sides of a point: where the text begins, and how far from it.
_SIDES = (
    ("start", 7.0, 4.0),
    ("end", -7.0, 4.0),
    ("middle", 0.0, -7.0),
    ("middle", 0.0, 16.0),
    ("start", 6.0, 15.0),
    ("end", -6.0, -6.0),
)


def _dense(path: Array) -> Array:
    """Points close to each other along a line."""
    known = path[~np.isnan(path).any(axis=1)]
    if len(known) < 2:
        return known
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(known, axis=0).T))])
    if along[-1] == 0:
        return known[:1]
    even = np.linspace(0.0, along[-1], _KEPT)
    return np.stack([np.interp(even, along, known[:, 0]), np.interp(even, along, known[:, 1])], axis=1)


def _outside(rect: Array, box: Sequence[float]) -> Array:
    left, top, right, bottom = rect.T
    over = np.maximum(0, box[0] - left) + np.maximum(0, box[1] - top)
    return np.asarray(4.0 * (over + np.maximum(0, right - box[2]) + np.maximum(0, bottom - box[3])))


def _overlap(rect: Array, other: Array) -> Array:
    wide = np.minimum(rect[:, 2], other[2]) - np.maximum(rect[:, 0], other[0]) + _GAP
    high = np.minimum(rect[:, 3], other[3]) - np.maximum(rect[:, 1], other[1]) + 2
    return np.where((wide > 0) & (high > 0), 30.0 + wide * high, 0.0)


def _crossed(rect: Array, points: Array) -> Array:
    left, top, right, bottom = rect.T[:, :, None]
    x, y = points.T
    return np.asarray(((x > left - 2) & (x < right + 2) & (y > top) & (y < bottom)).sum(axis=1), dtype=float)
