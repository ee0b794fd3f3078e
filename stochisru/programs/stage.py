"""The program of one stage as arrays, with the cut that weak duality makes of any duals.

Everything is maximised. The states of a stage differ in what has an axis of that length; an axis of length 1 is shared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from scenario_trees.arrays import Array

_EPS = float(np.finfo(float).eps)


@dataclass(frozen=True, eq=False)
class Duals:
    """Duals of the programs of one stage, one entry per state; those of cuts are combined.

    Attributes
    ----------
    rows
        Of the rows, shape ``(n, rows)``; ≥ 0 where a row has no lower side, ≤ 0 where it has no upper one.
    intercept, slope
        Cuts weighted by their duals, shapes ``(n,)`` and ``(n, d)``.
    weight
        Sum of the duals of the cuts, ≤ 1, shape ``(n,)``.
    """

    rows: Array
    intercept: Array
    slope: Array
    weight: Array


class StateProgram(NamedTuple):
    """The program of one state of a stage, without cuts; bounds of θ are −∞ and its ceiling."""

    cost: Array
    lower: Array
    upper: Array
    rows: Array
    low: Array
    high: Array
    constant: float

    def broken(self, columns: Array) -> Array:
        """By how much each row is broken, shape ``(rows,)``."""
        kept = self.rows @ columns
        return np.maximum(np.maximum(self.low - kept, kept - self.high), 0.0)

    def cash(self, columns: Array, theta: int) -> float:
        """Cash of the year, θ left out."""
        return float(self.constant + self.cost @ columns - columns[theta] * self.cost[theta])


@dataclass(frozen=True, eq=False)
class Stage:
    """The program of one stage in its own units; the last columns are the state that it starts from.

    Attributes
    ----------
    year
        t.
    money
        Unit of money, $.
    cost, lower, upper
        Of the columns, shape ``(n or 1, columns)``; the state has bounds that it may ever reach, θ none here but
        ``ceiling``.
    rows
        Coefficients, shape ``(n or 1, rows, columns)``.
    low, high
        Sides of the rows, shape ``(n or 1, rows)``.
    constant
        Cash that nothing can change, shape ``(n or 1,)``.
    slack
        Columns that stand for what is missing in rows, at a price: the programs have a solution whatever they start
        from. Where one is not 0 there is none in truth.
    theta
        Column of θ.
    state
        Columns of the state.
    ceiling
        Upper bound of θ per state, shape ``(n,)``.
    carry, offset
        The state it leaves is ``carry @ columns + offset``, in units of the next stage.
    least
        What that is at least.
    factor
        Worth of the next stage's unit of money in this one's.
    names
        Of the rows, for messages.
    """

    year: int
    money: float
    cost: Array
    lower: Array
    upper: Array
    rows: Array
    low: Array
    high: Array
    constant: Array
    slack: slice
    theta: int
    state: slice
    ceiling: Array
    carry: Array
    offset: Array
    least: Array
    factor: float
    names: tuple[str, ...]

    @property
    def columns(self) -> int:
        """Number of columns."""
        return int(self.cost.shape[1])

    @property
    def dimensions(self) -> int:
        """Entries of the state that the stage starts from."""
        return int(self.state.stop - self.state.start)

    @property
    def leaving(self) -> int:
        """Entries of the state that it leaves."""
        return self.offset.size

    def at(self, i: int) -> StateProgram:
        """The program of state ``i``."""

        def of(array: Array) -> Array:
            return np.asarray(array[i if array.shape[0] > 1 else 0])

        lower, upper = of(self.lower).copy(), of(self.upper).copy()
        lower[self.theta], upper[self.theta] = -np.inf, self.ceiling[i]
        return StateProgram(
            of(self.cost), lower, upper, of(self.rows), of(self.low), of(self.high), float(of(self.constant))
        )

    def left(self, columns: Array) -> Array:
        """The state that it leaves."""
        return np.asarray(np.maximum(self.carry @ columns + self.offset, self.least))

    def cash(self, columns: Array, i: int) -> float:
        """Cash of the year in state ``i``, θ left out."""
        return self.at(i).cash(columns, self.theta)

    def broken(self, columns: Array, i: int) -> float:
        """Most by which a row is broken in state ``i``."""
        return float(self.at(i).broken(columns).max(initial=0.0))

    def bound(self, duals: Duals) -> tuple[Array, Array]:
        """Affine bounds from above on the values of all states that hold for any duals (weak duality).

        As in `LinearProgram.dual_bound`, with the state as a variable: every other column counts with the better of
        its bounds, and an allowance for rounding is added.

        Returns
        -------
        intercept, slope
            Shapes ``(n,)`` and ``(n, dimensions)``.
        """
        used = range(self.rows.shape[1])
        rows = np.zeros((duals.rows.shape[0], self.columns))
        for r in used:
            rows += duals.rows[:, r, None] * self.rows[:, r]
        carried = duals.slope @ self.carry
        reduced = self.cost - rows + carried
        worth = np.maximum(reduced * self.lower, reduced * self.upper)
        worth[:, self.theta] = np.maximum(1.0 - duals.weight, 0.0) * self.ceiling
        worth[:, self.state] = 0.0
        parts = [self._sided(duals.rows[:, r], r) for r in used]
        parts += [duals.intercept, duals.slope @ self.offset]
        intercept = self.constant + worth.sum(axis=1) + sum(parts)
        largest = np.maximum(np.abs(self.lower), np.abs(self.upper))
        blur = 16 * _EPS * (np.abs(self.cost) + np.abs(rows) + np.abs(duals.slope) @ np.abs(self.carry))
        size = np.abs(self.constant) + np.abs(worth).sum(axis=1) + sum(np.abs(part) for part in parts)
        blurred = (blur * largest).sum(axis=1) + 16 * _EPS * np.abs(self.ceiling)  # duals of cuts sum to 1 ± rounding
        return np.asarray(intercept + blurred + 64 * _EPS * size), reduced[:, self.state]

    def _sided(self, dual: Array, row: int) -> Array:
        """Duals of a row times the sides that they hold to."""
        sides = np.where(dual >= 0, self.high[:, row], self.low[:, row])
        return np.where(dual == 0.0, 0.0, dual * np.where(np.isfinite(sides), sides, 0.0))
