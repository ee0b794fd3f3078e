"""The numbers that a solver is handed: powers of two by which a program's rows, columns and objective are multiplied.

Tolerances of solvers are absolute (HiGHS: 1e-7; it drops coefficients of 1e-9 and less, and takes 1e20 as infinite).
Coefficients that carry small probabilities, or quantities in units of very different sizes, would drown in them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from scenario_trees.arrays import Array, Index
from stochisru.programs.sparse import LinearProgram

#: Coefficients between these, and quantities above the second, are left in their units.
_COEFFICIENTS, _SMALLEST = (1e-6, 1e8), 1e-4
#: Right-hand sides below this share of the unit get a unit of their own where there is another unit than 1.
_SMALL_BESIDE = 0.1
#: A program's largest quantity may lie between these as it is.
_LARGEST = (1.0, 1e9)
#: What the largest quantity becomes where it does not.
_TARGET = 2.0**17
#: What the largest cost becomes in a program whose rows and columns are scaled one by one.
_COST = 2.0**20
#: Binary digits from 1 up to which a coefficient is made near 1.
_SAY = 50.0
#: Rounds of equilibration.
_ROUNDS = 20


class Units(NamedTuple):
    """One unit for all quantities: a program is ``objective·f`` over ``x/q``."""

    f: float
    q: float

    @classmethod
    def by_size(cls, program: LinearProgram, size: float) -> Units:
        """Units in which quantities of ``size`` are about 1."""
        q = float(2.0 ** np.round(np.log2(size)))
        return cls(_lift(program.objective) / q, q)


class Scaling(NamedTuple):
    """Powers of two by which a solver is handed a program: ``objective·f`` over ``x/column`` with rows times ``row``.

    Attributes
    ----------
    f
        Factor of the objective.
    column
        What counts as 1 in each variable, ``(columns,)``; 1 for whole numbers.
    row
        Factor of each row, ``(rows,)``.
    """

    f: float
    column: Array
    row: Array

    @classmethod
    def uniform(cls, program: LinearProgram, units: Units) -> Scaling:
        """One unit for all quantities."""
        rows, columns = program.shape
        return cls(units.f, np.full(columns, units.q), np.full(rows, 1 / units.q))

    @classmethod
    def none(cls, program: LinearProgram) -> Scaling:
        """The program as it is stated."""
        return cls.uniform(program, Units(1.0, 1.0))

    @classmethod
    def of(cls, program: LinearProgram) -> Scaling:
        """Scales of a program: one unit for all quantities where that will do, else one for each row and column.

        The unit is 1 while the largest bound lies between 1 and 1e9.
        """
        sides = _finite(program.row_lower, program.row_upper)
        quantities = np.concatenate([sides, _finite(program.upper)])
        largest = float(quantities.max(initial=0.0))
        fits = largest == 0 or _LARGEST[0] <= largest <= _LARGEST[1]
        q = 1.0 if fits else largest / _TARGET
        coefficients = np.abs(program.matrix.data[program.matrix.data != 0])
        apart = coefficients.size > 0 and not (
            coefficients.min() >= _COEFFICIENTS[0] and coefficients.max() <= _COEFFICIENTS[1]
        )
        drowned = float(sides.min(initial=np.inf)) < (_SMALLEST if fits else _SMALL_BESIDE) * q
        if apart or drowned or (program.integer.any() and not fits):
            return cls.equilibrated(program)
        return cls.uniform(program, Units.by_size(program, q))

    @classmethod
    def equilibrated(cls, program: LinearProgram) -> Scaling:
        """Scales in which numbers are near 1, by their geometric means (Curtis and Reid 1972).

        Whole numbers keep their unit. Columns without a coefficient are measured by their bound.
        """
        matrix = program.matrix.tocoo()
        used = matrix.data != 0
        row, column = (np.asarray(c)[used].astype(np.int64) for c in matrix.coords)
        # Numbers further from 1 than that have no say: some are rounding.
        size = np.clip(np.log2(np.abs(matrix.data[used])), -_SAY, _SAY)
        rows, columns = program.shape
        # Right-hand sides are entries of one more column, whose unit is 1.
        side_row, side = _sides(program)
        free = ~program.integer
        per_row = np.bincount(row, minlength=rows) + np.bincount(side_row, minlength=rows)
        per_column = np.bincount(column, minlength=columns)
        sides = np.bincount(side_row, weights=side, minlength=rows)
        upper = np.where(np.isfinite(program.upper) & (program.upper > 0), program.upper, 1.0)
        alone = np.where(free, np.log2(upper), 0.0)
        anchor = 0.0 if side.size or not free.any() else float(alone[free].mean())
        by_column = np.where(free, anchor, 0.0)
        by_row = np.zeros(rows)
        for _ in range(_ROUNDS):
            total = np.bincount(row, weights=size + by_column[column], minlength=rows) + sides
            by_row = -np.divide(total, per_row, out=np.zeros(rows), where=per_row > 0)
            total = np.bincount(column, weights=size + by_row[row], minlength=columns)
            wanted = -np.divide(total, per_column, out=-alone, where=per_column > 0)
            by_column = np.where(free, wanted, 0.0)
        units = np.exp2(np.round(by_column))
        costs = _finite(program.objective * units)
        f = 2.0 ** np.round(np.log2(_COST / costs.max())) if costs.size else 1.0
        return cls(float(f), np.asarray(units), np.asarray(np.exp2(np.round(by_row))))


def _lift(costs: Array) -> float:
    """Factor that lifts the geometric mean of costs towards a thousand, by a million at most."""
    costs = np.abs(costs[costs != 0])
    return float(2.0 ** np.clip(np.ceil(10 - np.log2(costs).mean()), 0, 20)) if costs.size else 1.0


def _finite(*sides: Array) -> Array:
    """Sizes of what is neither 0 nor infinite."""
    every = np.abs(np.concatenate(sides))
    return every[np.isfinite(every) & (every > 0)]


def _sides(program: LinearProgram) -> tuple[Index, Array]:
    """Rows with a right-hand side, and the logarithm of its size."""
    low, high = (np.where(np.isfinite(s), np.abs(s), 0.0) for s in (program.row_lower, program.row_upper))
    size = np.maximum(low, high)
    rows = np.flatnonzero(size)
    return rows, np.log2(size[rows])
