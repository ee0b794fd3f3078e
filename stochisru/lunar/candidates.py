"""Orders above the cut that are worth trying: near what the subtrees want, and neighbours of the best ones so far.

The orders of all subtrees that share a decision have to be equal, and such that they can be placed. Where costs are
linear, the mean of the subtrees' plants and the bends nearest to it do. Elsewhere the mean is a poor guide: if half of
the subtrees build in one year and half in the next, it builds in both and pays for two campaigns. There the plants of
single subtrees are candidates as well, and the best candidate is improved step by step: by a level up or down, by
giving a campaign up or putting it off, and by merging it with the next.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from scenario_trees.arrays import Array, Index
from stochisru.lunar.exact.levels import candidate_levels, shrinkage
from stochisru.lunar.operations import MeritOrder
from stochisru.lunar.subtrees import DeploymentSubtrees
from stochisru.lunar.tree_program import feasible_orders

#: A level is another one if it differs by more than this share.
_SAME = 1e-6
#: Step through the subtrees that share a decision, as a share of them: neighbours in time lie far apart.
_GOLDEN = (5**0.5 - 1) / 2


@dataclass(frozen=True, eq=False)
class Candidates:
    """Orders to try for a cut tree; all tables have the shape ``(subtrees, years)``."""

    subtrees: DeploymentSubtrees

    @cached_property
    def _sharing(self) -> dict[int, tuple[Index, int]]:
        """Subtrees that share each commitment, and the year's column, by commitment."""
        found = {}
        for column, commitments in enumerate(self.subtrees.shared.T):
            order = np.argsort(commitments, kind="stable")
            distinct, first = np.unique(commitments[order], return_index=True)
            for commitment, rows in zip(distinct, np.split(order, first[1:]), strict=True):
                found[int(commitment)] = rows, column
        return found

    @cached_property
    def _levels(self) -> dict[int, Array]:
        """Plant that may be optimal, kg, ascending, by shared commitment.

        Where costs are linear, that at which the profit of the commitment's own year bends; elsewhere that of all later
        years too (see `stochisru.lunar.exact.levels`).
        """
        case, tree, commitments = self.subtrees.case, self.subtrees.tree, self.subtrees.commitments
        if not case.is_linear:
            return {c: self._levels_ahead(c) for c in self._sharing}
        merit = MeritOrder.of(case)
        found = {}
        for c in self._sharing:
            year = tree.at(int(commitments.year[c]))
            demand = tree.value[year][commitments.of_node[year] == c]
            served = np.concatenate([demand, merit.beyond_earth(demand)]) if merit.limited else demand
            found[c] = np.unique(served / case.technology.eta)
        return found

    def _levels_ahead(self, commitment: int) -> Array:
        case, tree, commitments = self.subtrees.case, self.subtrees.tree, self.subtrees.commitments
        year = int(commitments.year[commitment])
        node = first = int(commitments.node[commitment])
        end = node + 1  # nodes below the decision are consecutive in every stage
        levels = []
        for t in range(int(tree.stage[node]), tree.horizon + 1):
            if t >= year:
                demand = np.unique(tree.value[first:end])
                levels.append(candidate_levels(case, demand[None, :], np.array([t])).ravel())
            if t < tree.horizon:
                first, end = int(tree.first_child[first]), int(tree.first_child[end - 1] + tree.child_count[end - 1])
        return np.asarray(np.unique(np.concatenate(levels)) * shrinkage(case)[year])

    def near(self, plants: Array, number: int) -> Iterator[Array]:
        """Orders near the subtrees' ``plants``; a new ``number`` takes other subtrees for single ones."""
        mean = self.subtrees.node_mean(plants)
        yield self.orders(mean)
        yield self.orders(self._moved_to_levels(mean))
        if not self.subtrees.case.is_linear:
            yield self.orders(self._moved_to_levels(self._of_some_subtree(plants, (number * _GOLDEN) % 1)))

    def _moved_to_levels(self, plant: Array) -> Array:
        moved = np.empty_like(plant)
        for commitment, (rows, column) in self._sharing.items():
            levels = self._levels[commitment]
            moved[rows, column] = levels[np.abs(levels - plant[rows[0], column]).argmin()]
        return moved

    def _of_some_subtree(self, plants: Array, share: float) -> Array:
        chosen = np.empty_like(plants)
        for rows, column in self._sharing.values():
            chosen[rows, column] = plants[rows[int(share * rows.size)], column]
        return chosen

    def neighbours(self, orders: Array) -> Iterator[Array]:
        """Orders that differ from the given ones in one commitment and what follows from it."""
        plant = self._plant(orders)
        kept = 1 - self.subtrees.case.technology.degradation
        for commitment, (rows, column) in self._sharing.items():
            row = rows[0]
            now = plant[row, column]
            levels = self._levels[commitment]
            left = now - orders[row, column]
            below = levels[(levels < now * (1 - _SAME)) & (levels > left)][-1:]
            above = levels[levels > now * (1 + _SAME)][:1]
            targets = [left] if orders[row, column] > 0 else []
            targets += [*below, *above] if targets else [*above]
            later = plant[rows, column + 1 :] if column + 1 < plant.shape[1] else np.empty((rows.size, 0))
            for target in targets:  # later plant moves along: later orders stay
                moved = plant.copy()
                moved[rows, column] = target
                moved[rows, column + 1 :] = later + (target - now) * kept ** np.arange(1, later.shape[1] + 1)
                yield self.orders(moved)
            ahead = [later[:, 0].max() / kept] if later.size and later[:, 0].max() > now * (1 + _SAME) else []
            for target in targets + ahead:  # later plant stays: later orders make up for it
                moved = plant.copy()
                moved[rows, column] = target
                yield self.orders(moved)

    def _plant(self, orders: Array) -> Array:
        kept = 1 - self.subtrees.case.technology.degradation
        plant = np.empty_like(orders)
        before = np.full(self.subtrees.count, self.subtrees.case.technology.M0)
        for t in self.subtrees.years:
            plant[:, t] = before = before * (kept if t else 1.0) + orders[:, t]
        return plant

    def orders(self, plant: Array) -> Array:
        """Orders ΔM that can be placed and come near to coordinated plant M, kg.

        Plant that is already there cannot be taken away: M is raised to what is left of the year before.
        """
        case, order_upper, plant_upper = self.subtrees.case, self.subtrees.order_upper, self.subtrees.upper
        kept, lot = 1 - case.technology.degradation, case.launch.lot
        orders = np.empty_like(plant)
        before = np.full(self.subtrees.count, case.technology.M0)
        for t in self.subtrees.years:
            left = before * (kept if t else 1.0)
            room = np.clip(plant_upper[:, t] - left, 0.0, order_upper[:, t])
            if lot is not None:
                room = np.floor(room / lot + 1e-9) * lot  # plant stays within its bounds to a solver's tolerance
            orders[:, t] = feasible_orders(case, np.minimum(plant[:, t] - left, room), order_upper[:, t])
            before = left + orders[:, t]
        return orders
