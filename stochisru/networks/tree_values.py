"""What foresight and recourse are worth to a network on a tree: WS, RP and EEV as brackets of costs (minimised)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from scenario_trees.tree import ScenarioTree
from stochisru.errors import InfeasibleError
from stochisru.methods.result import Bounds
from stochisru.networks.on_tree import NetworkAt, Stages, TreeSolution, solve_on_tree
from stochisru.problem.paths import chain


@dataclass(frozen=True, eq=False)
class TreeValues:
    """What foresight and recourse are worth to a network, as brackets of costs (minimised).

    Attributes
    ----------
    ws
        Every path planned for itself with all known.
    rp
        The plan on the tree.
    eev
        What is decided at the root as for the mean path; bounds of infinity where that leaves no plan.
    ev
        Cost of the mean path alone, which bounds nothing if costs depend on the value.
    plan, mean
        The plan on the tree and on the mean path.
    """

    ws: Bounds
    rp: Bounds
    eev: Bounds
    ev: float
    plan: TreeSolution
    mean: TreeSolution

    @property
    def vss(self) -> tuple[float, float]:
        """EEV − RP, least and most; at least 0."""
        return max(0.0, self.eev.lower - self.rp.upper), self.eev.upper - self.rp.lower

    @property
    def evpi(self) -> tuple[float, float]:
        """RP − WS, least and most; at least 0."""
        return max(0.0, self.rp.lower - self.ws.upper), self.rp.upper - self.ws.lower


def values_on_tree(
    tree: ScenarioTree,
    at: NetworkAt,
    weights: Mapping[str, float] | None = None,
    stages: Stages | None = None,
    *,
    rel_gap: float = 1e-4,
    time_limit: float | None = None,
    solver: str = "highs",
) -> TreeValues:
    """Wait-and-see, the plan on the tree, and the plan whose root is that of the mean path; see `solve_on_tree`.

    Examples
    --------
    A line that may be built before it is known whether demand is 4 or 16; lorries bring at most 12, and what is short
    costs 100. For the mean, 10, no line is worth it:

    >>> from scenario_trees.tree import ScenarioTree
    >>> from stochisru.networks import NetworkBuilder, Stages, values_on_tree
    >>> def network(stage, demand):
    ...     builder = NetworkBuilder("line or lorry", {"water": "m3"}, {"cost": "$"})
    ...     builder.node("sea", {"water": 100.0})
    ...     builder.node("town", {"water": -demand})
    ...     builder.arc("sea", "town", "line", limit={"water": 20.0}, use_cost={"cost": {"water": 50.0}})
    ...     builder.arc("sea", "town", "lorry", limit={"water": 12.0}, cost={"cost": {"water": 4.5}})
    ...     return builder.build()
    >>> tree = ScenarioTree([-1, 0, 0], [0, 1, 1], [1.0, 0.5, 0.5], [10.0, 4.0, 16.0])
    >>> found = values_on_tree(tree, network, stages=Stages(weights=[0, 1], lead=1, unmet_price={"water": 100}))
    >>> round(found.ws.upper, 6), round(found.rp.upper, 6), round(found.eev.upper, 6)
    (34.0, 50.0, 236.0)
    """
    stages = stages or Stages()
    options = {"rel_gap": rel_gap, "time_limit": time_limit, "solver": solver}
    plan = solve_on_tree(tree, at, weights, stages, **options)  # type: ignore[arg-type]
    ends = [
        (tree.probability[leaf], solve_on_tree(_path(tree, leaf), at, weights, stages, **options).bounds)  # type: ignore[arg-type]
        for leaf in range(*tree.leaves.indices(tree.n_nodes))
    ]
    ws = Bounds(
        math.fsum(p * b.lower for p, b in ends), math.fsum(p * b.upper for p, b in ends), plan.bounds.kind,
        plan.bounds.of, plan.bounds.flows,
    )  # fmt: skip
    mean = solve_on_tree(line_tree(tree.stage_mean()), at, weights, stages, **options)  # type: ignore[arg-type]
    try:
        eev = solve_on_tree(tree, at, weights, stages, root=mean, **options).bounds  # type: ignore[arg-type]
    except InfeasibleError:
        eev = Bounds(np.inf, np.inf, plan.bounds.kind, plan.bounds.of)
    return TreeValues(ws, plan.bounds, eev, mean.objective, plan, mean)


def _path(tree: ScenarioTree, leaf: int) -> ScenarioTree:
    """The path to a leaf as a tree."""
    nodes = [leaf]
    while tree.parent[nodes[-1]] >= 0:
        nodes.append(int(tree.parent[nodes[-1]]))
    return line_tree(tree.value[nodes[::-1]])


def line_tree(values: ArrayLike) -> ScenarioTree:
    """A tree without branches: one node per stage with its value, > 0."""
    return chain(values)
