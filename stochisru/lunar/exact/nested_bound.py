"""An upper bound on what plant is worth under a nested risk measure, from tangents and without a solver.

With linear costs, lead time L ≤ 1 and plant m in kilograms of year 0, the worth V_t(i, m) of the years from t on is
concave in m. Let v and b be bounds from above on values and supergradients at the points of a grid. A measure ρ is
monotone and concave, so with its weights q at the values of a point

    ρ(V_{t+1}(·, m)) ≤ ρ(v_{t+1}(·, m_g)) + Σ_j q_j·b_{t+1}(j, m_g)·(m − m_g)      for all m.

Raising plant at the price p is worth most where slopes of neighbouring tangents cross p: below that point x* the worth
is a line of slope p, beyond it the tangents hold on. The points x* make the next grid.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scenario_trees.arrays import Array
from scenario_trees.lattice import MarkovLattice
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.exact.layers import allowed_years
from stochisru.lunar.exact.levels import profit_at, shrinkage
from stochisru.lunar.operations import MeritOrder, discount_factors
from stochisru.methods.risk import Nested


@dataclass(frozen=True, eq=False)
class Tangents:
    """Values and slopes of lines above concave functions of plant, one per state and grid point, ``(n, k)``."""

    value: Array
    slope: Array

    def __add__(self, other: Tangents) -> Tangents:
        return Tangents(self.value + other.value, self.slope + other.slope)


@dataclass(frozen=True, eq=False)
class NestedBound:
    """The bound for a linear case with L ≤ 1.

    Attributes
    ----------
    grid
        Plant, kg of year 0, ascending; the first is the plant in place, the last serves the largest demand.
    """

    case: DeploymentCase
    nested: Nested
    grid: Array

    @property
    def _lattice(self) -> MarkovLattice:
        return self.nested.lattice

    def _profit(self, t: int) -> Tangents:
        """Profit of a year and its slope to the right, $ of year 0."""
        case, merit, demand = self.case, MeritOrder.of(self.case), self._lattice.values[t][:, None]
        value = profit_at(case, t, self.grid[None, :], demand)
        eta, scale = case.technology.eta, shrinkage(case)[t]
        capacity = eta * scale * self.grid[None, :]
        beyond = merit.beyond_earth(demand) if merit.limited else np.zeros_like(demand)
        worth = np.where(capacity < demand, merit.against_alternative, 0.0)
        worth = np.where(capacity < beyond, merit.against_shortage, worth)
        slope = discount_factors(case)[t] * scale * (eta * (worth - merit.idle) - case.costs.c_op)
        return Tangents(value, slope)

    def _ahead(self, t: int, later: Tangents) -> Tangents:
        """Risk-adjusted worth of stage t + 1 by state of stage t."""
        value, slope = np.empty((2, self._lattice.sizes[t], self.grid.size))
        for g in range(self.grid.size):
            weights, added = self.nested.weights(t, later.value[:, g])
            value[:, g] = weights @ later.value[:, g] + added
            slope[:, g] = weights @ later.slope[:, g]
        return Tangents(value, slope)

    def _raised(self, after: Tangents, year: int) -> tuple[Tangents, Array]:
        """Worth before plant is raised in a year, and the points up to which it is, by state."""
        if not allowed_years(self.case)[year]:
            return after, np.empty(0)
        price = self.case.investment_cost * shrinkage(self.case)[year] * discount_factors(self.case)[year]
        grid, rows = self.grid, np.arange(after.value.shape[0])
        flat = after.slope <= price
        last = np.where(flat.any(axis=1), flat.argmax(axis=1), grid.size - 1)  # the tangent right of the point
        first = np.maximum(last - 1, 0)
        v, b, w, c = (a[rows, at] for at in (first, last) for a in (after.value, after.slope))
        x, y = grid[first], grid[last]
        crossing = (b > price) & (c <= price) & (b > c)
        meet = np.where(crossing, (w - v + b * x - c * y) / np.where(crossing, b - c, 1.0), y)
        meet = np.clip(meet, x, y)
        top = np.where(crossing, v + b * (meet - x), w)
        below = grid[None, :] < meet[:, None]
        line = top[:, None] - price * (meet[:, None] - grid[None, :])
        return Tangents(np.where(below, line, after.value), np.where(below, price, after.slope)), meet

    def solve(self) -> tuple[float, Array]:
        """The bound, $, and the points x* of all stages and states."""
        T, lead = self.case.horizon.T, min(self.case.horizon.lead_time, self.case.horizon.T)
        found, points = self._profit(T), []
        if not lead:
            found, meet = self._raised(found, T)
            points.append(meet)
        for t in range(T - 1, -1, -1):
            found = self._ahead(t, found)
            if lead:
                found, meet = self._raised(found, t + 1)
                found = found + self._profit(t)
            else:
                found, meet = self._raised(found + self._profit(t), t)
            points.append(meet)
        if lead:
            found, meet = self._raised(found, 0)
            points.append(meet)
        return float(found.value[0, 0]), np.concatenate(points)
