"""Exact deployment under economies of scale on a Markov lattice, for any horizon and for costs that fall with plant.

The levels of `stochisru.lunar.exact.levels` are the second state beside the lattice's. In state i of stage t the level
of year t + L is raised from y to y' for what the step costs,

    V_t(i, y) = max_{y' ≥ y} E[profit of year t + L at y' | i] − disc_{t+L}·cost_{t+L}(y, y') + Σ_j p_ij·V_{t+1}(j, y'),

and at the root the levels of years 0..L are chosen one after the other. A step may cost anything; the levels hold an
optimum wherever the cost of every year is concave in y' − y (`has_exact_levels`), otherwise the value is that of the
best policy on these levels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from scenario_trees.arrays import Array, Index
from scenario_trees.lattice import MarkovLattice
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.exact.lattice_layers import require_lattice
from stochisru.lunar.exact.layers import allowed_years
from stochisru.lunar.exact.levels import (
    StepCost,
    levels_of,
    plain_cost,
    profit_at,
    require_exact_levels,
    shrinkage,
)
from stochisru.lunar.operations import discount_factors

#: Share of a level within which it is another.
_NEAR = 1e-9


@dataclass(frozen=True, eq=False)
class LevelChoices:
    """Levels to go to.

    Attributes
    ----------
    root
        Level (its number) of years 0..L, shape ``(min(L, T) + 1,)``.
    choice
        Per stage t = 1..T − L, the level of year t + L by state and level before, shape ``(states, levels)``.
    """

    root: Index
    choice: tuple[Index, ...]


@dataclass(frozen=True)
class Course:
    """What a policy does on average.

    Attributes
    ----------
    value
        Expected NPV, $.
    deployments
        Expected number of years in which plant arrives.
    step
        Expectation of a quantity of the level before the step of each year, shape ``(T + 1,)``.
    """

    value: float
    deployments: float
    step: Array


@dataclass(frozen=True, eq=False)
class LatticeLevels:
    """The multistage problem of a case on a lattice, on the levels that can be optimal.

    Parameters
    ----------
    cost
        Cost of a step; that of the case if not given.
    also
        Further levels that are wanted, kg of year 0.

    Raises
    ------
    InputError
        If case and lattice do not match, or the case has no exact levels.
    """

    case: DeploymentCase
    lattice: MarkovLattice
    cost: StepCost | None = field(default=None)
    also: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        require_lattice(self.case, self.lattice)
        require_exact_levels(self.case)

    @property
    def _last(self) -> int:
        return self.case.horizon.T

    @property
    def _lead(self) -> int:
        return min(self.case.horizon.lead_time, self._last)

    @cached_property
    def levels(self) -> Array:
        """Levels of plant, kg of year 0, ascending; the first is the plant in place."""
        return levels_of(self.case, self.lattice.values, self.also)

    @cached_property
    def _profit(self) -> list[Array]:
        """Profit of a year by state of that year and level, $ of year 0."""
        return [
            profit_at(self.case, t, self.levels[None, :], values[:, None])
            for t, values in enumerate(self.lattice.values)
        ]

    def seen_from(self, year: int) -> Array:
        """Expected profit of ``year`` by the state in which its level is decided, $ of year 0."""
        table = self._profit[year]
        for t in range(year - 1, max(year - self.case.horizon.lead_time, 0) - 1, -1):
            table = self.lattice.transitions[t] @ table
        return np.asarray(table)

    @cached_property
    def _steady(self) -> Array | None:
        """Cost of the steps, $ of their year, where it is the same in every year."""
        steady = self.cost is None and shrinkage(self.case)[-1] == 1
        return plain_cost(self.case)(0, self.levels) if steady else None

    def _steps(self, year: int) -> Array:
        """Cost of the steps of a year, $ of year 0, by level before and after; infinite where nothing may arrive.

        Only what lies above the diagonal is meant to be looked at.
        """
        cost = self.cost or plain_cost(self.case)
        table = self._steady if self._steady is not None else cost(year, self.levels)
        table = (
            table * discount_factors(self.case)[year] if allowed_years(self.case)[year] else np.full_like(table, np.inf)
        )
        np.fill_diagonal(table, 0.0)
        return table

    def _steps_beside(self, year: int, beside: float) -> Array:
        """`_steps` of plant that comes beside so much, kg, which is paid."""
        size = shrinkage(self.case)[year] * np.maximum(self.levels[None, :] - self.levels[:, None], 0.0)
        table = self.case.investment(beside + size) - self.case.investment(np.array([beside]))
        table = table * discount_factors(self.case)[year]
        if not allowed_years(self.case)[year]:
            table = np.full_like(table, np.inf)
        np.fill_diagonal(table, 0.0)
        return np.asarray(table)

    def _raised(self, total: Array, year: int, beside: float = 0.0) -> tuple[Array, Index]:
        """Best worth before the step of a year of ``total`` (states, levels) after it, and the level to go to.

        ``beside`` is what arrives in the year anyway, kg.
        """
        best, choice = np.empty_like(total), np.empty(total.shape, dtype=np.int64)
        rows = np.arange(total.shape[0])
        for i, steps in enumerate(self._steps(year) if beside == 0 else self._steps_beside(year, beside)):
            net = total[:, i:] - steps[i:]
            at = net.argmax(axis=1)
            choice[:, i], best[:, i] = at + i, net[rows, at]
        return best, choice

    def optimum(self) -> tuple[float, LevelChoices]:
        """Optimal value, $ (maximised), and policy."""
        return self._from_root(*self._after_root, self._lead)

    @cached_property
    def _after_root(self) -> tuple[Array, tuple[Index, ...]]:
        """Worth at the root of all years after its own by level, shape ``(1, levels)``, and the choices of later years.

        Its own years are 0..L.
        """
        choices: list[Index] = []
        later = np.zeros((1, self.levels.size))
        for t in range(self._last - self._lead, 0, -1):
            best, choice = self._raised(self.seen_from(t + self._lead) + later, t + self._lead)
            choices.append(choice)
            later = self.lattice.transitions[t - 1] @ best
        return later, tuple(reversed(choices))

    def root_beside(self, coming: Array, held: Mapping[int, float], ordered: Array) -> tuple[float, Array]:
        """Best orders at the root where plant is ordered already and some orders are held.

        Parameters
        ----------
        coming
            Plant in place that is not there yet in years 0..min(L, T), kg of year 0, shape ``(L + 1,)``.
        held
            Orders (kg) by year of arrival; `levels` must have those that they lead to.
        ordered
            What arrives in years 0..min(L, T) in any case and is paid, kg: an order costs what it adds to the bill.

        Returns
        -------
        value, orders
            $ (maximised), −∞ where there is no such plan; and ΔM_0..ΔM_L, kg.
        """
        worth, tables = self._after_root[0], []
        for year in range(self._lead, -1, -1):
            demand, law = self.lattice.values[year], self.lattice.probabilities[year]
            plant = np.maximum(self.levels - coming[year], 0.0)
            total = worth + law[None, :] @ profit_at(self.case, year, plant[None, :], demand[:, None])
            if year in held:
                worth, table = self._moved(total, year, held[year], float(ordered[year]))
            else:
                worth, table = self._raised(total, year, float(ordered[year]))
            tables.append(table)
        at, levels = 0, [self.levels[0]]
        for table in reversed(tables):
            at = int(table[0, at])
            levels.append(self.levels[at])
        return float(worth[0, 0]), shrinkage(self.case)[: self._lead + 1] * np.diff(levels)

    def _moved(self, total: Array, year: int, order: float, beside: float) -> tuple[Array, Index]:
        """As `_raised`, where the step is given, kg; −∞ from levels from which it leads to none."""
        target = self.levels + order / shrinkage(self.case)[year]
        place = np.minimum(np.searchsorted(self.levels, target * (1 - _NEAR)), self.levels.size - 1)
        found = np.abs(self.levels[place] - target) <= _NEAR * target
        bill = self.case.investment(np.array([beside + order, beside]))
        paid = discount_factors(self.case)[year] * float(bill[0] - bill[1])
        return np.where(found, total[:, place] - paid, -np.inf), place[None, :]

    def _from_root(self, later: Array, choices: tuple[Index, ...], last: int) -> tuple[float, LevelChoices]:
        """Levels of years 0..last, all chosen at the root, before what is worth ``later`` at each level."""
        worth = later
        tables: list[Index] = []
        for year in range(last, -1, -1):
            worth, table = self._raised(self._mean_profit[year] + worth, year)
            tables.append(table)
        at, root = 0, []
        for table in reversed(tables):
            at = int(table[0, at])
            root.append(at)
        return float(worth[0, 0]), LevelChoices(np.array(root), choices)

    @cached_property
    def _mean_profit(self) -> list[Array]:
        return [p[None, :] @ table for p, table in zip(self.lattice.probabilities, self._profit, strict=True)]

    def static(self, last: int | None = None) -> tuple[float, Array]:
        """Best plan fixed at the root with arrivals in years 0..last only (all years if not given).

        Returns
        -------
        value, deployment
            $ (maximised), and ΔM_t, kg, shape ``(T + 1,)``.
        """
        last = self._last if last is None else last
        later = np.sum(self._mean_profit[last + 1 :], axis=0) if last < self._last else np.zeros((1, self.levels.size))
        value, policy = self._from_root(later, (), last)
        level = self.levels[np.concatenate([[0], policy.root, np.repeat(policy.root[-1:], self._last - last)])]
        return value, np.asarray(shrinkage(self.case) * np.diff(level))

    def value(self, policy: LevelChoices) -> float:
        """Value of a policy, $, in the sense of `optimum`."""
        return self.course(policy).value

    def course(self, policy: LevelChoices, quantity: Array | None = None) -> Course:
        """Evaluate a policy exactly with the costs of this problem.

        Parameters
        ----------
        quantity
            A number per level, whose expectation before the step of each year is wanted.
        """
        k = self.levels.size
        worth = np.zeros(k) if quantity is None else quantity
        value, arrivals, step = 0.0, 0.0, np.empty(self._last + 1)
        at = 0
        for year, then in enumerate(policy.root):
            step[year] = worth[at]
            value += float(self._mean_profit[year][0, then]) - float(self._steps(year)[at, then])
            arrivals += float(then > at)
            at = int(then)
        mass = np.zeros((1, k))
        mass[0, at] = 1.0
        for t, choice in enumerate(policy.choice, start=1):
            mass = self.lattice.transitions[t - 1].T @ mass  # probability of (state, level)
            year = t + self._lead
            state, before = np.nonzero(mass)
            then, weight = choice[state, before], mass[state, before]
            step[year] = float(weight @ worth[before])
            value += float(weight @ (self.seen_from(year)[state, then] - self._steps(year)[before, then]))
            arrivals += float(weight @ (then > before))
            mass = np.zeros_like(mass)
            np.add.at(mass, (state, then), weight)
        return Course(value, arrivals, step)
