"""Optima under learning on a tree or a lattice, between the best policy on a grid of levels and two relaxations.

Cost falls with the plant that a step starts from, so it is not concave in that level, and an optimum may lie between
the levels at which profit bends (`stochisru.lunar.exact.levels`). With modules there are no levels between: the dynamic
programme over all numbers of modules is exact. Else the value lies between

* *below*, the best policy on a grid of levels, which holds all bends;
* *above*, the lesser of two relaxations. Both take the telescoping part φ(y′) − φ(y) of a step's cost out of the steps
  and into the years: as d_t falls in t, it is a cost of holding φ(y) of d_t − d_{t+1} a year. What is left of a step,
  e(y, y′) ≥ 0, falls in the level before it and rises in the one after it.

  - by *kilogram*: each has the price that learning has reached with it, φ = flight + ∫ development·factor, and e is the
    cost of the campaign alone. Whole deployments cost no less, since the factor falls. φ is concave, so an optimum of
    this problem is at bends, and the dynamic programme over them is exact.
  - by *cell*: the state is the cell of the grid that the level is in. A step pays e from the upper end of one cell to
    the lower end of the other, a year earns the most that it can in its cell. Between bends that is at an end, as
    −φ is convex there. The finer the grid, the closer the bound.

Levels above the largest bend are never needed: a plan that is cut off there pays no more in any step, since the level
before a step counts only below it, and earns no less.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from scenario_trees.arrays import Array
from scenario_trees.tree import ScenarioTree
from stochisru.errors import InputError
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.exact.lattice_levels import LatticeLevels
from stochisru.lunar.exact.layers import allowed_years
from stochisru.lunar.exact.levels import MOST_LEVELS, Choice, best_steps, expected_profit, levels_of, profit_at
from stochisru.lunar.information import Commitments
from stochisru.lunar.learning.rate import Learning
from stochisru.lunar.operations import discount_factors

#: Levels of a grid besides the bends, and steps between levels that are tried at most: about 2 s a value.
_FINE, _WORK = 600, 5e8


@dataclass(frozen=True, eq=False)
class Knowledge:
    """Who decides what when: profit of each year by what is known when its plant is ordered.

    Attributes
    ----------
    profit
        By year, $ of year 0 at every level, shape ``(n_t, levels)``.
    weight
        By year, weight of the cost of a step, shape ``(n_t,)``.
    back
        By year from 1, what a year is worth to the one before it: a matrix, shape ``(n_{t−1}, n_t)``.
    """

    profit: Sequence[Array]
    weight: Sequence[Array]
    back: Sequence[Any]


def on_tree(case: DeploymentCase, tree: ScenarioTree, levels: Array, lead: int) -> Knowledge:
    """Orders follow the history of ``lead`` years before; all are placed at the root where that is T."""
    from scipy.sparse import csr_array

    known, years = Commitments(tree, lead), range(tree.horizon + 1)
    back = []
    for t in years[1:]:
        before = known.previous[known.at(t)] - int(known.offsets[t - 1])
        count = known.at(t - 1).stop - known.at(t - 1).start
        back.append(csr_array((np.ones(before.size), (before, np.arange(before.size))), shape=(count, before.size)))
    profit = [expected_profit(case, tree, known, levels, t) for t in years]
    return Knowledge(profit, [known.probability[known.at(t)] for t in years], back)


def foreseen(case: DeploymentCase, tree: ScenarioTree, levels: Array) -> Knowledge:
    """All of a path is known from the start."""
    from scipy.sparse import eye_array

    probability, nodes = tree.probability[tree.leaves], tree.node_paths()
    profit = []
    for t in range(tree.horizon + 1):
        demand, which = np.unique(tree.value[nodes[:, t]], return_inverse=True)
        profit.append(probability[:, None] * profit_at(case, t, levels[None, :], demand[:, None])[which])
    return Knowledge(profit, [probability] * len(profit), [eye_array(probability.size)] * tree.horizon)


def on_lattice(problem: LatticeLevels) -> Knowledge:
    """Orders follow the state of L years before."""
    case, lattice, levels = problem.case, problem.lattice, problem.levels
    T, lead = case.horizon.T, min(case.horizon.lead_time, case.horizon.T)
    profit = []
    for t in range(T + 1):
        seen = problem.seen_from(t)
        profit.append(seen if t > lead else seen[:1])
    weight = [np.ones(each.shape[0]) for each in profit]
    back = [lattice.transitions[t - 1 - lead] if t > lead else np.ones((1, 1)) for t in range(1, T + 1)]
    assert all(each.shape[1] == levels.size for each in profit)
    return Knowledge(profit, weight, back)


@dataclass(frozen=True, eq=False)
class Grid:
    """Levels of a case with learning, and what steps between them cost.

    Attributes
    ----------
    levels
        Plant, kg, ascending; the first is the plant in place.
    """

    case: DeploymentCase
    learning: Learning
    levels: Array

    @classmethod
    def of(cls, case: DeploymentCase, learning: Learning, demand: Sequence[Array], rows: int) -> Grid:
        """All modules; or all bends of given demands by year, and as many between as ``rows`` in all years allow.

        Raises
        ------
        InputError
            If there are more than `MOST_LEVELS`.
        """
        bends, lot = levels_of(case, demand), case.launch.lot
        if lot is not None:
            count = round((float(bends[-1]) - float(bends[0])) / lot) + 1
            if count > MOST_LEVELS:
                raise InputError(
                    f"launch.lot: {count - 1:,} modules serve the largest demand, {MOST_LEVELS - 1:,} are the most "
                    "with learning"
                )
            return cls(case, learning, bends[0] + lot * np.arange(count))
        if bends.size > MOST_LEVELS or bends.size**2 * rows > _WORK:
            raise InputError(
                f"branching: leaves {bends.size:,} levels of plant that may be best and {rows:,} orders, too many for "
                "learning; give fewer branches, or --method lattice-dp"
            )
        between = int(min(_FINE, np.sqrt(_WORK / rows) - bends.size))
        fine = np.linspace(bends[0], bends[-1], max(between, 0) + 2)[1:-1]
        apart = np.abs(fine - bends[np.clip(np.searchsorted(bends, fine), 1, bends.size - 1)]) > 1e-9 * fine
        return cls(case, learning, np.unique(np.concatenate([bends, fine[apart]])))

    @property
    def whole(self) -> bool:
        """Whether plant comes in modules, which leaves nothing between the levels."""
        return self.case.launch.lot is not None

    def floor(self, known: Knowledge, last: int | None = None) -> tuple[float, list[Choice]]:
        """Worth of the best policy on the grid, $, and the level to go to by year, row and level before.

        Parameters
        ----------
        last
            Year after which nothing arrives; T if not given.
        """
        cost, discount = self.learning.cost(self.case), discount_factors(self.case)
        return self._climbed(known, known.profit, lambda t: discount[t] * cost(t, self.levels), last)

    def ceiling(self, known: Knowledge, last: int | None = None) -> float:
        """What no policy exceeds, $."""
        if self.whole:
            return self.floor(known, last)[0]
        return min([self._by_cell(known, last), *self._by_kilogram(known, last)])

    @cached_property
    def _flight(self) -> float:
        """Least that launch of another kilogram costs, $."""
        case, top = self.case, float(self.levels[-1] - self.levels[0])
        rates = case.mass.slopes[: int(np.searchsorted(case.mass.breakpoints, top))]
        return case.costs.c_L * case.technology.alpha * float(rates.min(initial=case.mass.slopes[-1]))

    @cached_property
    def _unit(self) -> float | None:
        """Development of a kilogram, $; None where it depends on the size of a deployment."""
        c_dev = self.case.scale.by_mass("c_dev", self.case.costs.c_dev)
        if c_dev.pieces > 1 or self.case.mass.pieces > 1:
            return None
        return float(c_dev.slopes[0] * self.case.mass.slopes[0])

    @cached_property
    def _potential(self) -> Array:
        """φ at every level, $."""
        learned = 0.0 if self._unit is None else self._unit * self.learning.integral(self.levels)
        return np.asarray(self._flight * self.levels + learned)

    def _held(self, known: Knowledge) -> list[Array]:
        """Profit less what holding φ costs, $ of year 0."""
        discount = np.append(discount_factors(self.case), 0.0)
        return [
            profit - (discount[t] - discount[t + 1]) * weight[:, None] * self._potential
            for t, (profit, weight) in enumerate(zip(known.profit, known.weight, strict=True))
        ]

    def _by_kilogram(self, known: Knowledge, last: int | None) -> list[float]:
        """The relaxation by kilogram, where development has a price a kilogram."""
        if self._unit is None:
            return []
        discount, fixed = discount_factors(self.case), self.case.launch.fixed_cost
        flown = fixed * (1 - np.eye(self.levels.size))
        return [
            self._climbed(known, self._held(known), lambda t: discount[t] * flown, last)[0] + float(self._potential[0])
        ]

    def _by_cell(self, known: Knowledge, last: int | None) -> float:
        """The relaxation by cell: cell i is what lies above level i − 1 and at most at level i."""
        discount, k = discount_factors(self.case), self.levels.size
        lower = np.append(self.levels[0], self.levels[:-1])
        size = np.maximum(lower[None, :] - self.levels[:, None], 0.0)
        developed = self.case.scale.by_mass("c_dev", self.case.costs.c_dev)(self.case.mass(size))
        whole = self.case.investment(size) - (1 - self.learning.factor(self.levels))[:, None] * developed
        own = self._flight * size
        if self._unit is not None:
            own = own + self._unit * np.maximum(
                self.learning.integral(lower)[None, :] - self.learning.integral(self.levels)[:, None], 0.0
            )
        left = np.maximum(whole - own, 0.0)
        # From one cell to the next a step may be as small as one likes, and flies all the same.
        flown = np.maximum(left, self.case.launch.fixed_cost * (1 - np.eye(k)))
        np.fill_diagonal(flown, 0.0)
        best = [np.maximum(each, np.concatenate([each[:, :1], each[:, :-1]], axis=1)) for each in self._held(known)]
        return self._climbed(known, best, lambda t: discount[t] * flown, last)[0] + float(self._potential[0])

    def _climbed(
        self, known: Knowledge, earned: Sequence[Array], cost: Callable[[int], Array], last: int | None
    ) -> tuple[float, list[Choice]]:
        """The dynamic programme: worth from the first level on, and the choices."""
        allowed = allowed_years(self.case)
        if last is not None:
            allowed[last + 1 :] = False
        worth, choices = np.zeros(0), list[Choice]()
        for t in range(self.case.horizon.T, -1, -1):
            total = earned[t] if not choices else earned[t] + known.back[t] @ worth
            table = cost(t)
            if not allowed[t]:
                table = np.full_like(table, np.inf)
                np.fill_diagonal(table, 0.0)
            worth, choice = best_steps(np.asarray(total), table, known.weight[t])
            choices.append(choice)
        return float(worth[:, 0].sum()), choices[::-1]
