"""The program of one stage as arrays, with the cut that weak duality makes of any duals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scenario_trees.arrays import Array

_EPS = float(np.finfo(float).eps)


@dataclass(frozen=True, eq=False)
class Duals:
    """Duals of the programs of one stage, one entry per state; those of cuts are combined.

    Attributes
    ----------
    capacity, demand
        Of the two rows, shape ``(n,)``.
    intercept, slope
        Cuts weighted by their duals, shapes ``(n,)`` and ``(n, d)``.
    weight
        Sum of the duals of the cuts, ≤ 1, shape ``(n,)``.
    """

    capacity: Array
    demand: Array
    intercept: Array
    slope: Array
    weight: Array


@dataclass(frozen=True, eq=False)
class Stage:
    """The program of one stage in its own units; columns are orders, θ, Q, Q_earth, S, stored, state.

    Attributes
    ----------
    year
        t.
    mass, oxygen, money
        Units: kg of plant, kg/yr (= η·mass), $ of year t.
    cost, upper
        Of the columns, which are ≥ 0; the state has the bound that it may ever reach, θ none here but ``ceiling``.
    rows
        Coefficients of the rows capacity (≤ ``supply``) and demand (= ``demand`` of the state), shape ``(2, columns)``.
    constant
        Cash that nothing can change.
    orders
        Years in which the first columns arrive.
    theta
        Column of θ.
    state
        Columns of the state.
    ceiling
        Upper bound of θ per state.
    carry, offset
        The state it leaves is ``carry @ columns + offset``, in units of the next stage.
    factor
        Worth of the next stage's unit of money, discounted, in this one's.
    """

    year: int
    mass: float
    oxygen: float
    money: float
    cost: Array
    upper: Array
    rows: Array
    supply: float
    demand: Array
    constant: float
    orders: tuple[int, ...]
    theta: int
    state: slice
    ceiling: Array
    carry: Array
    offset: Array
    factor: float

    @property
    def dimensions(self) -> int:
        """Entries of the state that the stage starts from."""
        return int(self.state.stop - self.state.start)

    @property
    def leaving(self) -> int:
        """Entries of the state that it leaves."""
        return self.offset.size

    def feasible(self, columns: Array, state: Array, i: int) -> Array:
        """Columns near the given ones that keep all bounds and rows in state ``i``, to rounding."""
        out = np.clip(columns, 0.0, self.upper)
        out[self.state] = state
        Q, earth, short = self.theta + 1, self.theta + 2, self.theta + 3
        room = self.supply - self.rows[0] @ out + out[Q]  # for deliveries and what is stored
        if short + 1 < self.state.start:
            stored = short + 1
            room += out[stored]
            out[stored] = min(out[stored], max(room, 0.0))
            room -= out[stored]
        out[Q] = min(out[Q], max(room, 0.0), self.demand[i])
        out[earth] = min(out[earth], self.demand[i] - out[Q])
        out[short] = self.demand[i] - out[Q] - out[earth]
        return out

    def cash(self, columns: Array) -> float:
        """Cash of the year, θ left out."""
        return float(self.constant + self.cost @ columns - columns[self.theta] * self.cost[self.theta])

    def bound(self, duals: Duals) -> tuple[Array, Array]:
        """Affine bounds from above on the values of all states that hold for any duals (weak duality).

        As in `LinearProgram.dual_bound`, with the state as a variable: every other column counts with the better of
        its bounds, and an allowance for rounding is added.

        Returns
        -------
        intercept, slope
            Shapes ``(n,)`` and ``(n, dimensions)``.
        """
        rows = duals.capacity[:, None] * self.rows[0] + duals.demand[:, None] * self.rows[1]
        carried = duals.slope @ self.carry
        reduced = self.cost - rows + carried
        worth = np.maximum(reduced, 0.0) * self.upper
        worth[:, self.theta] = np.maximum(1.0 - duals.weight, 0.0) * self.ceiling
        worth[:, self.state] = 0.0
        parts = [duals.capacity * self.supply, duals.demand * self.demand, duals.intercept, duals.slope @ self.offset]
        intercept = self.constant + worth.sum(axis=1) + sum(parts)
        blur = 16 * _EPS * (np.abs(self.cost) + np.abs(rows) + np.abs(duals.slope) @ np.abs(self.carry))
        size = abs(self.constant) + np.abs(worth).sum(axis=1) + sum(np.abs(part) for part in parts)
        return np.asarray(intercept + blur @ self.upper + 64 * _EPS * size), reduced[:, self.state]
