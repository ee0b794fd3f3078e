"""What may be missing in the rows of a stage, and which rows can be kept whatever the stage starts from.

A row can be kept from everywhere if there is one choice of the stage's columns with which it holds for every state in
its bounds, or would if columns that stand in no other row take up the rest. All rows are judged by one choice, that of
a small linear program in which each may be short: where it is not, the row needs no slack.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scenario_trees.arrays import Array, Mask
from stochisru.errors import SolverError
from stochisru.programs.solvers.highs import optimise
from stochisru.programs.stage import StateProgram
from stochisru.programs.stage_model import small_model

#: A row that is short by no more than this, its coefficients near 1, can be kept.
_TOLERANCE = 1e-9


@dataclass(frozen=True, eq=False)
class Missing:
    """Slacks of the rows of a stage.

    Attributes
    ----------
    coefficients
        1 or −1 in the row of each, shape ``(slacks, rows)``.
    most
        How large each may have to be, shape ``(slacks,)``.
    """

    coefficients: Array
    most: Array

    @classmethod
    def none(cls, rows: int) -> Missing:
        """Nothing may be missing."""
        return cls(np.zeros((0, rows)), np.zeros(0))

    @classmethod
    def of(cls, rows: Array, low: Array, high: Array, lower: Array, upper: Array, own: int) -> Missing:
        """What may be missing in the program of a stage, its states of the lattice taken together.

        Parameters
        ----------
        rows, low, high
            Coefficients and sides, shapes ``(n, rows, columns)``, ``(n, rows)``.
        lower, upper
            Bounds of the columns, shape ``(n, columns)``.
        own
            Columns that the stage chooses; the others are the state that it starts from.
        """
        ends = rows * lower[:, None], rows * upper[:, None]
        least, most = np.minimum(*ends), np.maximum(*ends)
        below, above = (low - least.sum(axis=2)).max(axis=0), (most.sum(axis=2) - high).max(axis=0)
        short = _short(rows, low, high, lower, upper, least, most, own)
        coefficients, sizes = [], []
        for sign, size, needed in ((1.0, below, short[0]), (-1.0, above, short[1])):
            for r in np.flatnonzero(np.isfinite(size) & (size > 0) & needed):
                coefficients.append(sign * np.eye(size.size)[r])
                sizes.append(size[r])
        return cls(np.array(coefficients).reshape(len(sizes), low.shape[1]), np.array(sizes))


def _short(
    rows: Array, low: Array, high: Array, lower: Array, upper: Array, least: Array, most: Array, own: int
) -> tuple[Mask, Mask]:
    """Rows that fall short of their lower side, or go beyond the upper one, in the best choice for all."""
    count = rows.shape[1]
    used = (rows != 0).any(axis=0)[:, :own]
    alone = (used.sum(axis=0) == 1) & (rows[:, :, :own] != 0).all(axis=0).any(axis=0)  # take up what is left
    rest = np.append(~alone, np.zeros(rows.shape[2] - own, dtype=bool))
    adapts = np.append(alone, np.zeros(rows.shape[2] - own, dtype=bool))
    state = np.arange(rows.shape[2]) >= own
    # low ≤ A·x + state + taken ≤ high for every state: the most that can be taken up helps below, the least above.
    floor = low - most[:, :, adapts].sum(axis=2) - least[:, :, state].sum(axis=2)
    roof = high - least[:, :, adapts].sum(axis=2) - most[:, :, state].sum(axis=2)
    matrix = rows[:, :, rest]
    if (matrix == matrix[:1]).all():
        matrix, floor, roof = matrix[:1], floor.max(axis=0, keepdims=True), roof.min(axis=0, keepdims=True)
    blocks = matrix.shape[0]
    x_low, x_high = lower[:, rest].max(axis=0), upper[:, rest].min(axis=0)
    if (x_low > x_high).any():
        return np.ones(count, dtype=bool), np.ones(count, dtype=bool)
    eye, none = np.tile(np.eye(count), (blocks, 1)), np.zeros((blocks * count, count))
    flat = matrix.reshape(blocks * count, matrix.shape[2])
    left = np.concatenate([np.hstack([-flat, -eye, none]), np.hstack([flat, none, -eye])])
    right = np.concatenate([-floor.ravel(), roof.ravel()])
    kept = np.isfinite(right)
    cost = np.append(np.zeros(x_low.size), -np.ones(2 * count))
    x_low, x_high = np.append(x_low, np.zeros(2 * count)), np.append(x_high, np.full(2 * count, np.inf))
    model = small_model(StateProgram(cost, x_low, x_high, left[kept], np.full(kept.sum(), -np.inf), right[kept], 0.0))
    try:
        optimise(model, "slacks of a stage")
    except SolverError:
        return np.ones(count, dtype=bool), np.ones(count, dtype=bool)
    short = np.asarray(model.getSolution().col_value)[int(rest.sum()) :] > _TOLERANCE
    return short[:count], short[count:]
