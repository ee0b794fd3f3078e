"""A tree cut at one stage into subtrees, whose problems are coordinated above the cut only.

Subtree i hangs at the i-th node of stage ``cut_stage`` and carries the way from the root to that node. Its
problem is the tree program of `ScenarioTree.branch`. The commitments decided before the cut are shared with
other subtrees: they are the *nonanticipative* quantities. Coordinated is M, the plant in place, and not the
orders ΔM: the optimal M of one year hardly depends on that of another, so prices on M do not fight each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from scenario_trees.arrays import Array, Index
from scenario_trees.tree import ScenarioTree
from stochisru.errors import InputError, require_integer
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.information import Commitments, PlantBounds, flows, plan_value, require_match
from stochisru.lunar.tree_program import TreePlan, feasible_orders, tree_program
from stochisru.programs.sparse import LinearProgram

if TYPE_CHECKING:
    from stochisru.lunar.candidates import Candidates


#: What stands for a probability of zero: means over a node need a weight, and nothing else must notice.
_NEVER = 1e-200


@dataclass(frozen=True, eq=False)
class SubtreeProgram:
    """The program of one subtree.

    Attributes
    ----------
    case, branch
        The problem that it is the program of.
    program
        Its tree program; the objective is the conditional expectation given the subtree's node.
    plant, order
        Columns of M and ΔM of the coordinated years.
    origin
        Node of the whole tree that each node of the branch is.
    of_node
        Commitment of the branch at each of its nodes.
    """

    case: DeploymentCase
    branch: ScenarioTree
    program: LinearProgram
    plant: Index
    order: Index
    origin: Index
    of_node: Index

    @property
    def linear(self) -> bool:
        """Whether the value of a solved program is that of its orders as they are."""
        return self.case.is_linear

    @property
    def mixed(self) -> bool:
        """Whether the program has whole numbers."""
        return bool(self.program.integer.any())

    def feasible(self, orders: Array) -> Array:
        """Orders ΔM of all commitments of the branch as they can be placed, kg."""
        return feasible_orders(self.case, orders, self.program.upper[self.program.columns["dM"].span])

    def worth(self, orders: Array) -> float:
        """Value of feasible orders ΔM of all commitments of the branch, $, operations optimal: no solver is asked."""
        return plan_value(self.case, self.branch, orders[self.of_node])


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
        require_integer("cut_stage", self.cut_stage, 1, self.tree.horizon)
        if self.count < 2:
            raise InputError(
                f"cut_stage: must leave at least 2 subtrees, stage {self.cut_stage} of this tree has {self.count} node"
            )

    @property
    def identity(self) -> dict[str, Any]:
        """What a checkpoint must agree in."""
        return {"case": self.case.digest(), "tree": self.tree.digest(), "cut_stage": self.cut_stage}

    @property
    def linear(self) -> bool:
        """Whether costs are linear: the best orders then lie near the mean of the subtrees' plants."""
        return self.case.is_linear

    @cached_property
    def flows(self) -> float:
        """Size of the sums of money that values are differences of, $."""
        return flows(self.case, self.tree)

    @property
    def candidates(self) -> Candidates:
        """Orders above the cut that are worth trying."""
        from stochisru.lunar.candidates import Candidates

        return Candidates(self)

    @property
    def largest_plant(self) -> float:
        """Largest plant of the coordinated years, kg; where none can be wanted before the cut, by demand."""
        return float(self.plant_upper.max()) or float(self.tree.value.max()) / self.case.technology.eta

    @property
    def plant_cost(self) -> Array:
        """Discounted cost of the largest plant per kilogram in each coordinated year, $/kg."""
        case, largest = self.case, self.largest_plant
        unit = float(case.investment(largest)) / largest + case.costs.c_op
        return np.asarray(unit * (1 + case.economics.r) ** -np.array(self.years, dtype=float))

    def plan(self, deployment: Array) -> TreePlan:
        """The plan of deployments ΔM at all nodes of the tree, kg."""
        return TreePlan(self.case, self.tree, deployment)

    @cached_property
    def commitments(self) -> Commitments:
        """Commitments of the whole tree."""
        return Commitments(self.tree, self.case.horizon.lead_time)

    @property
    def nodes(self) -> range:
        """Nodes at which the subtrees hang."""
        at = self.tree.at(self.cut_stage)
        return range(at.start, at.stop)

    @cached_property
    def mixed(self) -> bool:
        """Whether programs of the case need whole numbers: modules, or a cost that is not convex in size."""
        return self.case.launch.lot is not None or not self.case.investment.is_convex

    @property
    def count(self) -> int:
        """Number of subtrees."""
        return len(self.nodes)

    @cached_property
    def node_probability(self) -> Array:
        """Probability of each node of the tree down to the cut, positive also where the tree has zero."""
        tree = self.tree
        found = tree.probability[: tree.at(self.cut_stage).stop].copy()
        for node in np.flatnonzero(found == 0):  # parents come first
            parent = int(tree.parent[node])
            share = _NEVER if tree.probability[parent] > 0 else 1 / float(tree.child_count[parent])
            found[node] = found[parent] * share
        return np.asarray(found)

    @property
    def probability(self) -> Array:
        """Probability of each subtree, positive also where the tree has zero."""
        return self.node_probability[self.tree.at(self.cut_stage)]

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
    def order_upper(self) -> Array:
        """Valid upper bound on ΔM of each coordinated year, kg, shape ``(count, years)``."""
        return self._bounds.order_upper[self.shared]

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
            case=self.case,
            branch=branch,
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
