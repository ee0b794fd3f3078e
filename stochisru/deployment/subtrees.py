"""A tree cut at one stage into subtrees, whose problems are coordinated above the cut only.

Subtree i hangs at the i-th node of stage ``cut_stage`` and carries the way from the root to that node. Its
problem is the tree program of `ScenarioTree.branch`. The commitments decided before the cut are shared with
other subtrees: they are the *nonanticipative* quantities. Coordinated is M, the plant in place, and not the
orders ΔM: the optimal M of one year hardly depends on that of another, so prices on M do not fight each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from scenario_trees.tree import ScenarioTree
from stochisru.case import DeploymentCase
from stochisru.deployment.information import Commitments, PlantBounds, require_match
from stochisru.deployment.operations import MeritOrder
from stochisru.deployment.tree_program import tree_program
from stochisru.errors import InputError
from stochisru.linear_program import LinearProgram

Array = NDArray[np.float64]
Index = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class SubtreeProgram:
    """The program of one subtree.

    Attributes
    ----------
    program
        Its tree program; the objective is the conditional expectation given the subtree's node.
    plant, order
        Columns of M and ΔM of the coordinated years.
    origin
        Node of the whole tree that each node of the branch is.
    of_node
        Commitment of the branch at each of its nodes.
    """

    program: LinearProgram
    plant: Index
    order: Index
    origin: Index
    of_node: Index


@dataclass(frozen=True, eq=False)
class Subtrees:
    """The problem of a case on a tree, cut at ``cut_stage``.

    Raises
    ------
    InputError
        If the stage is not between 1 and T or leaves fewer than two subtrees.
    """

    case: DeploymentCase
    tree: ScenarioTree
    cut_stage: int

    def __post_init__(self) -> None:
        require_match(self.case, self.tree)
        if not 1 <= self.cut_stage <= self.tree.horizon:
            raise InputError(f"cut_stage: must be an integer >= 1 and <= T = {self.tree.horizon}, got {self.cut_stage}")
        if self.count < 2:
            raise InputError(
                f"cut_stage: must leave at least 2 subtrees, stage {self.cut_stage} of this tree has {self.count} node"
            )

    @cached_property
    def commitments(self) -> Commitments:
        """Commitments of the whole tree."""
        return Commitments(self.tree, self.case.horizon.lead_time)

    @property
    def nodes(self) -> range:
        """Nodes at which the subtrees hang."""
        at = self.tree.at(self.cut_stage)
        return range(at.start, at.stop)

    @property
    def count(self) -> int:
        """Number of subtrees."""
        return len(self.nodes)

    @property
    def probability(self) -> Array:
        """Probability of each subtree."""
        return self.tree.probability[self.tree.at(self.cut_stage)]

    @property
    def years(self) -> range:
        """Coordinated years: those whose deployment is decided before the cut."""
        return range(min(self.cut_stage + self.case.horizon.lead_time, self.tree.horizon + 1))

    @cached_property
    def way(self) -> Index:
        """Nodes of stages 0..cut_stage on the way to each subtree, shape ``(count, cut_stage + 1)``."""
        nodes = np.empty((self.count, self.cut_stage + 1), dtype=np.int64)
        nodes[:, -1] = self.nodes
        for t in range(self.cut_stage, 0, -1):
            nodes[:, t - 1] = self.tree.parent[nodes[:, t]]
        return nodes

    @cached_property
    def shared(self) -> Index:
        """Commitment of the whole tree behind each coordinated year, shape ``(count, years)``."""
        c = self.commitments
        columns = [
            c.offsets[year] + self.way[:, c.decided_at(year)] - self.tree.offsets[c.decided_at(year)]
            for year in self.years
        ]
        return np.stack(columns, axis=1)

    @cached_property
    def _bounds(self) -> PlantBounds:
        return self.commitments.plant_bounds(self.case)

    @property
    def plant_upper(self) -> Array:
        """Valid upper bound on M of each coordinated year, kg, shape ``(count, years)``."""
        return self._bounds.plant_upper[self.shared]

    def program(self, i: int) -> SubtreeProgram:
        """Build the program of subtree ``i``.

        Its bounds are those of the whole tree: plant that it shares may have to serve other subtrees.
        """
        branch, origin = self.tree.branch(self.nodes[i])
        own = Commitments(branch, self.case.horizon.lead_time)
        whole = np.empty(own.count, dtype=np.int64)
        whole[own.of_node] = self.commitments.of_node[origin]
        program = tree_program(self.case, branch, self._bounds.at(whole))
        first = np.arange(len(self.years))  # the way is a chain: one commitment per coordinated year
        return SubtreeProgram(
            program=program,
            plant=program.columns["M"].start + first,
            order=program.columns["dM"].start + first,
            origin=origin,
            of_node=own.of_node,
        )

    def node_mean(self, values: Array) -> Array:
        """Replace ``values`` (count, years) by their mean over the subtrees that share each commitment."""
        total = np.bincount(self.shared.ravel(), weights=(values * self.probability[:, None]).ravel())
        weight = np.bincount(self.shared.ravel(), weights=np.repeat(self.probability, len(self.years)))
        return np.asarray(total[self.shared] / weight[self.shared])

    @cached_property
    def _kinks(self) -> dict[int, Array]:
        """Plant at which the profit of a commitment's own year bends, kg, ascending, by shared commitment."""
        eta = self.case.technology.eta
        merit = MeritOrder.of(self.case)
        found = {}
        for commitment in np.unique(self.shared):
            year = self.tree.at(int(self.commitments.year[commitment]))
            below = self.commitments.of_node[year] == commitment
            demand = self.tree.value[year][below]
            served = np.concatenate([demand, merit.beyond_earth(demand)]) if merit.limited else demand
            found[int(commitment)] = np.unique(served / eta)
        return found

    def nearest_kinks(self, plant: Array) -> Array:
        """Coordinated plant moved to the nearest bend of its own year's profit, where optima of the program lie."""
        moved = np.empty_like(plant)
        for commitment, kinks in self._kinks.items():
            here = self.shared == commitment
            at = float(plant[here][0])
            moved[here] = kinks[np.abs(kinks - at).argmin()]
        return moved

    def implementable_orders(self, plant: Array) -> Array:
        """Orders ΔM that come as near to coordinated plant M as possible, kg, shape ``(count, years)``.

        Plant that is already there cannot be taken away: M is raised to what is left of the year before.
        """
        kept = 1 - self.case.technology.degradation
        orders = np.empty_like(plant)
        before = np.full(self.count, self.case.technology.M0)
        for t in self.years:
            left = before * (kept if t else 1.0)
            before = np.maximum(plant[:, t], left)
            if t == 0 and self.case.horizon.initial_deployment == "fixed":
                before = left
            orders[:, t] = before - left
        return orders
