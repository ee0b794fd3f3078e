"""A plan at the nodes of a tree as a policy: on a path, do as at the node that is nearest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scenario_trees.arrays import Array, Index
from stochisru.errors import InputError
from stochisru.problem.information import WaitAndSee
from stochisru.problem.plan import ModelPlan
from stochisru.problem.policies.protocol import Seen, require_suits


@dataclass(frozen=True, eq=False)
class AtNodes:
    """Decisions of a plan on a tree: every year go to the child whose factor is nearest, and do what is planned there.

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
        """What is planned at the nodes below the nearest one; it is alike at all of them."""
        require_suits(self.name, self.plan.model, seen.model)
        tree = self.plan.tree
        (factor,) = seen.factors.values()
        here = np.zeros(seen.paths, dtype=np.int64)
        for year in range(1, seen.year + 1):
            here = self._nearest(here, factor[year])
        below = {seen.year: here}
        for year in range(seen.year, seen.model.horizon):
            below[year + 1] = tree.first_child[below[year]].astype(np.int64)
        return {
            name: np.stack([self.plan.columns[name][below[year]] for year in years]) for name, years in seen.due.items()
        }

    def _nearest(self, node: Index, value: Array) -> Index:
        """Child of every node whose factor is nearest to a value."""
        tree = self.plan.tree
        first, count = tree.first_child[node].astype(np.int64), tree.child_count[node]
        best, least = first, np.full(node.size, np.inf)
        for k in range(int(count.max())):
            child = np.where(k < count, first + k, first)
            distance = np.abs(tree.value[child] - value)
            best, least = np.where(distance < least, child, best), np.minimum(distance, least)
        return best

    def describe(self) -> str:
        """The rule as one sentence."""
        return f"Do as at the nearest node of a tree of {self.plan.tree.n_nodes:,} nodes."
