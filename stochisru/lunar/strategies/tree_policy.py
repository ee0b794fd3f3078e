"""A strategy taken from a plan on a scenario tree.

A path of the true process falls between the nodes of the tree. It is followed down the tree: each year it
moves to the child whose demand is nearest to its own on the logarithmic scale (among those of its regime, and with
beliefs as near as demand). The plan of that node then
says how much plant should be in place when today's order arrives:

``nearest``
    as much as at the node;
``scaled``
    where the node orders, as much as at the node times the ratio of the path's demand to the node's (values and
    decisions scale with demand); where the node does not order, nothing is ordered.

On the nodes themselves both repeat the plan.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from scenario_trees.arrays import Array, Index
from stochisru.errors import InputError
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.information import Commitments
from stochisru.lunar.strategies.places import log_demand, weights
from stochisru.lunar.strategies.protocol import Observation, believed, require_made_for, root_years
from stochisru.lunar.tree_program import TreePlan

MAPPINGS = ("scaled", "nearest")


@dataclass(frozen=True, eq=False)
class TreePolicy:
    """Follow a tree plan; see the module for ``mapping``."""

    plan: TreePlan
    mapping: str = "scaled"
    name: str = "tree"

    def __post_init__(self) -> None:
        if self.mapping not in MAPPINGS:
            raise InputError(f"mapping: must be one of {', '.join(MAPPINGS)}, got {self.mapping!r}")

    @cached_property
    def _commitments(self) -> Commitments:
        return Commitments(self.plan.tree, self.plan.case.horizon.lead_time)

    @cached_property
    def _first_node(self) -> Index:
        """A node of the tree that each commitment governs."""
        first = np.empty(self._commitments.count, dtype=np.int64)
        first[self._commitments.of_node[::-1]] = np.arange(self.plan.tree.n_nodes)[::-1]
        return first

    def start(self, case: DeploymentCase) -> Array:
        """Root deployments of the plan."""
        require_made_for(self.name, "tree", self.plan.case, self.plan.tree.origin, case)
        return self.plan.deployment[self.plan.tree.offsets[: root_years(case)]]

    def order(self, observation: Observation) -> Array:
        """Order up to the plan of the nearest node."""
        tree = self.plan.tree
        node = self._follow(observation)
        arrival = observation.year + observation.case.horizon.lead_time
        commitment = self._commitments.offsets[arrival] + node - tree.offsets[observation.year]
        later = self._first_node[commitment]
        target = self.plan.plant[later]
        if self.mapping == "scaled":
            ordering = self.plan.deployment[later] > 1e-9 * target  # a solver's dust is no order
            here = tree.value[node]  # a node of demand 0 orders nothing
            ratio = np.divide(observation.demand[-1], here, out=np.zeros_like(here), where=here > 0)
            target = np.where(ordering, target * ratio, 0.0)
        return np.asarray(np.maximum(target - observation.projected(), 0.0))

    def _follow(self, observation: Observation) -> Index:
        """Node of the tree that each path has come to; what is seen beside demand is the node's wherever one has it."""
        tree, demand = self.plan.tree, observation.demand
        seen = None if tree.others is None else observation.beside(tree.names[1:])
        node = np.zeros(demand.shape[1], dtype=np.int64)
        for t in range(1, demand.shape[0]):
            level = log_demand(demand[t])
            first, count = tree.first_child[node], tree.child_count[node]
            best, nearest = first, self._apart(first, level, seen, t)
            for j in range(1, int(count.max())):
                candidate = np.minimum(first + j, tree.n_nodes - 1)
                distance = np.where(j < count, self._apart(candidate, level, seen, t), np.inf)
                best = np.where(distance < nearest, candidate, best)
                nearest = np.minimum(nearest, distance)
            node = best
        return node

    def _apart(self, node: Index, level: Array, seen: Array | None, t: int) -> Array:
        """Distance of paths to nodes, by the logarithm of demand."""
        apart = np.abs(level - self._log_value[node])
        if seen is None or self.plan.tree.others is None:
            return np.asarray(apart)
        return np.asarray(apart + np.abs(self.plan.tree.others[node] - seen[t]) @ self._weights)

    @cached_property
    def _weights(self) -> Array:
        assert self.plan.tree.others is not None
        return weights(self.plan.tree.others)

    @cached_property
    def _log_value(self) -> Array:
        return log_demand(self.plan.tree.value)

    def describe(self, case: DeploymentCase) -> str:
        """The rule as one sentence."""
        return (
            f"Follow the nearest node of the optimal plan on a tree of {self.plan.tree.n_leaves:,} scenarios"
            f"{believed(self.plan.tree.origin)} ({self.mapping} to the demand seen)."
        )
