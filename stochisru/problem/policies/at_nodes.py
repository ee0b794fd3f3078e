"""A plan at the nodes of a tree as a policy: on a path, do as at the node that is nearest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from scenario_trees.arrays import Array, Index
from stochisru.errors import InputError
from stochisru.problem.information import WaitAndSee
from stochisru.problem.plan import ModelPlan
from stochisru.problem.policies.nearest import at, scales
from stochisru.problem.policies.protocol import Seen, require_suits


@dataclass(frozen=True, eq=False)
class AtNodes:
    """Decisions of a plan on a tree: every year go to the child whose factors are nearest, and do as planned there.

    Distances of several factors are summed, each in standard deviations among the children; a child of the same regime
    is nearer than any other. Stores are left as at that node, as far as they can be.

    Attributes
    ----------
    plan
        Of a model on a tree, such as that of the extensive form or of progressive hedging.
    """

    plan: ModelPlan
    name: str = "tree"

    def __post_init__(self) -> None:
        if isinstance(self.plan.information, WaitAndSee):
            raise InputError(f"policy {self.name}: a plan of wait-and-see decides by what nobody knows yet")

    def decide(self, seen: Seen) -> dict[str, Array]:
        """What is planned at the nodes below the nearest one, alike at all of them, and what is left in stores."""
        require_suits(self.name, self.plan.model, seen.model)
        tree = self.plan.tree
        told = scales(f"policy {self.name}", "tree", seen, tree.names, self._values, self._deviation)
        here = np.zeros(seen.paths, dtype=np.int64)
        for year in range(1, seen.year + 1):
            here = self._nearest(here, [(*each, at(seen, name, year)) for name, each in told.items()])
        below = {seen.year: here}
        for year in range(seen.year, seen.model.horizon):
            below[year + 1] = tree.first_child[below[year]].astype(np.int64)
        return {
            name: np.stack([self.plan.columns[name][below[year]] for year in years]) for name, years in seen.due.items()
        } | {state.name: self.plan.columns[state.name][here] for state in seen.model.stores}

    @cached_property
    def _values(self) -> dict[str, Array]:
        return {name: self.plan.tree.factor(name) for name in self.plan.tree.names}

    @cached_property
    def _deviation(self) -> dict[str, Array]:
        """Standard deviation among the children of every node."""
        tree = self.plan.tree
        parent, chance, n = tree.parent[1:], tree.probability[1:], tree.n_nodes
        total = np.bincount(parent, weights=chance, minlength=n)
        share = np.divide(chance, total[parent], out=np.zeros_like(chance), where=total[parent] > 0)
        found = {}
        for name, values in self._values.items():
            mean = np.bincount(parent, weights=share * values[1:], minlength=n)
            found[name] = np.sqrt(np.bincount(parent, weights=share * (values[1:] - mean[parent]) ** 2, minlength=n))
        return found

    def _nearest(self, node: Index, told: Sequence[tuple[str, Array, Array]]) -> Index:
        """Child of every node that is nearest to what is seen: its name on the tree, what a unit weighs, its values."""
        tree = self.plan.tree
        first, count = tree.first_child[node].astype(np.int64), tree.child_count[node]
        best, least = first, np.full(node.size, np.inf)
        for k in range(int(count.max())):
            child = np.where(k < count, first + k, first)
            distance = np.zeros(node.size)
            for name, weight, seen in told:
                distance += weight[node] * np.abs(self._values[name][child] - seen)
            best, least = np.where(distance < least, child, best), np.minimum(distance, least)
        return best

    def describe(self) -> str:
        """The rule as one sentence."""
        return f"Do as at the nearest node of a tree of {self.plan.tree.n_nodes:,} nodes."
