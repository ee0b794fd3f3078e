"""A network over time whose future is not known: what leaves at a step is decided at the node of a scenario tree.

Every path of the tree has a network over time of its own (demands, costs, failures as they turn out), one step per
stage. Flows that leave at step t, and what is built for them, are one decision for all paths that are still together at
stage t; what arrives follows from the path. The extensive form has the columns of a step once per node of its stage,
and the rows once per path.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from scenario_trees.arrays import Array, Index
from scenario_trees.tree import ScenarioTree
from stochisru.errors import InputError
from stochisru.methods.result import Bounds, Termination
from stochisru.networks.assembly import Assembly, Flows, assemble
from stochisru.networks.solution import bracket, solve_linear, value_of, with_integers_fixed
from stochisru.networks.time_expansion import TimeExpandedNetwork
from stochisru.programs.sparse import LinearProgram, ProgramBuilder, solve_mixed

#: The network over time of a path, from the values of its nodes, shape (T + 1,).
ExpandedAt = Callable[[Array], TimeExpandedNetwork]
#: Columns of an assembly that are decided with the departure of their arc.
_DECIDED = ("x_out", "y_out", "y_in", "z")


@dataclass(frozen=True, eq=False)
class OverTimeSolution:
    """A plan for a network over time on a tree.

    Attributes
    ----------
    tree, networks
        The tree, and the network over time of every path, by its leaf.
    objective
        Expected weighted sum of the criteria (minimised).
    bounds
        Bracket of its optimum.
    flows
        Values of the variables by leaf.
    """

    tree: ScenarioTree
    networks: dict[int, TimeExpandedNetwork]
    objective: float
    bounds: Bounds
    termination: Termination
    flows: dict[int, Flows]
    size: dict[str, int]
    seconds: float

    def criteria(self, leaf: int) -> dict[str, float]:
        """Value of every criterion on a path."""
        return {c.name: value_of(c, self.flows[leaf]) for c in self.networks[leaf].network.criteria}


def solve_over_time(
    tree: ScenarioTree,
    at: ExpandedAt,
    weights: Mapping[str, float] | None = None,
    *,
    root: OverTimeSolution | None = None,
    rel_gap: float = 1e-4,
    time_limit: float | None = None,
    solver: str = "highs",
) -> OverTimeSolution:
    """Minimise the expected weighted criteria of a network over time on a tree.

    Parameters
    ----------
    at
        Network over time of a path: same arcs at the same steps, other numbers.
    weights
        ``{criterion: weight}``; the first criterion alone if not given.
    root
        A plan on another tree: what leaves at the first step is as there (EEV).

    Raises
    ------
    InputError
        If the networks have other arcs, or not one step per stage.
    SolverError
        If there is no plan.

    Examples
    --------
    Oxygen for the Moon is flown at once for 1 or later for 3, when it is known whether 4 or 10 t are wanted:

    >>> from scenario_trees.tree import ScenarioTree
    >>> from stochisru.networks import NetworkBuilder, expand, solve_over_time
    >>> def network(values):
    ...     builder = NetworkBuilder("oxygen", {"oxygen": "t"}, {"cost": "$"})
    ...     builder.node("earth", {"oxygen": 99.0})
    ...     builder.node("moon", {"oxygen": -values[1]})
    ...     for name, step, price in (("early", 0, 1.0), ("late", 1, 3.0)):
    ...         builder.arc("earth", "moon", name, duration=1 - step, cost={"cost": {"oxygen": price}})
    ...     windows = {"early": [0], "late": [1]}
    ...     return expand(builder.build(), 2, demand_steps=[1], windows=windows)
    >>> tree = ScenarioTree([-1, 0, 0], [0, 1, 1], [1.0, 0.5, 0.5], [7.0, 4.0, 10.0])
    >>> plan = solve_over_time(tree, network)
    >>> round(plan.objective, 6), plan.criteria(1), plan.criteria(2)  # 10 t fly early: 3 · 0.5 > 1
    (10.0, {'cost': 10.0}, {'cost': 10.0})
    """
    form = _Paths(tree, at, weights, root)
    program = form.program
    if program.integer.any():
        found = solve_mixed(program, rel_gap=rel_gap, time_limit=time_limit, solver=solver)
        best = with_integers_fixed(program, found.x, solver)
    else:
        found = best = solve_linear(program, solver)
    bounds, termination = bracket(program, best.x, found.bound, found.limit)
    return OverTimeSolution(
        tree=tree,
        networks=form.networks,
        objective=best.objective,
        bounds=bounds,
        termination=termination,
        flows={leaf: form.assemblies[leaf].flows(best.x[place]) for leaf, place in form.places.items()},
        size={"variables": program.shape[1], "rows": program.shape[0], "binaries": int(program.integer.sum())},
        seconds=found.seconds + (0.0 if best is found else best.seconds),
    )


class _Paths:
    """The extensive form, and where the columns of each path are in it."""

    def __init__(
        self, tree: ScenarioTree, at: ExpandedAt, weights: Mapping[str, float] | None, root: OverTimeSolution | None
    ) -> None:
        self.tree = tree
        leaves = range(*tree.leaves.indices(tree.n_nodes))
        self.nodes = {leaf: _nodes_to(tree, leaf) for leaf in leaves}
        self.networks = {leaf: at(tree.value[nodes]) for leaf, nodes in self.nodes.items()}
        first = next(iter(self.networks.values()))
        for leaf, expanded in self.networks.items():
            if expanded.steps != tree.horizon + 1:
                raise InputError(f"network of leaf {leaf}: must have {tree.horizon + 1} steps, got {expanded.steps}")
            if expanded.network.arcs != first.network.arcs:
                raise InputError(f"network of leaf {leaf}: must have the arcs of the others")
        self.departure = first.departure
        self.assemblies = {leaf: assemble(e.network, weights) for leaf, e in self.networks.items()}
        self.places = {leaf: np.full(a.program.shape[1], -1, dtype=np.int64) for leaf, a in self.assemblies.items()}
        self.program = self._build(root)

    def _build(self, root: OverTimeSolution | None) -> LinearProgram:
        builder = ProgramBuilder(f"{len(self.places)} paths over time", "minimise")
        for name in _DECIDED:
            for node in range(self.tree.n_nodes):
                self._decide(builder, name, node, root)
        for leaf, assembly in self.assemblies.items():
            self._follow(builder, leaf, assembly)
        return builder.build()

    def _decide(self, builder: ProgramBuilder, name: str, node: int, root: OverTimeSolution | None) -> None:
        """Columns of what leaves at the stage of a node, for all paths through it."""
        leaves = [leaf for leaf, nodes in self.nodes.items() if node in nodes]
        leaving = (self.departure == self.tree.stage[node])[:, None]
        index = {leaf: np.where(leaving, getattr(self.assemblies[leaf], name), -1) for leaf in leaves}
        there = np.any([i >= 0 for i in index.values()], axis=0)
        lower, upper = np.zeros(there.shape), np.full(there.shape, np.inf)
        cost, whole = np.zeros(there.shape), np.zeros(there.shape, dtype=bool)
        for leaf, i in index.items():
            program = self.assemblies[leaf].program
            mine = i >= 0
            lower[mine] = np.maximum(lower[mine], program.lower[i[mine]])
            upper[mine] = np.minimum(upper[mine], program.upper[i[mine]])
            upper[~mine] = 0.0  # closed on this path, which is not known to be another yet
            cost[mine] += self.tree.probability[leaf] * program.objective[i[mine]]
            whole[mine] |= program.integer[i[mine]]
        if root is not None and node == 0:
            lower = upper = _decided(root, name)
        block = builder.variables(
            f"{name} {node}", int(there.sum()), lower=lower[there], upper=upper[there], objective=cost[there],
            integer=whole[there],
        )  # fmt: skip
        column = np.full(there.shape, -1, dtype=np.int64)
        column[there] = block.index
        for leaf, i in index.items():
            self.places[leaf][i[i >= 0]] = column[i >= 0]

    def _follow(self, builder: ProgramBuilder, leaf: int, assembly: Assembly) -> None:
        """Columns and rows of a path alone."""
        base, place = assembly.program, self.places[leaf]
        own = np.flatnonzero(place < 0)
        block = builder.variables(
            f"path {leaf}", own.size, lower=base.lower[own], upper=base.upper[own],
            objective=self.tree.probability[leaf] * base.objective[own], integer=base.integer[own],
        )  # fmt: skip
        place[own] = block.index
        matrix = base.matrix.tocoo()
        row, column = (c.astype(np.int64) for c in matrix.coords)
        builder.rows(f"rows {leaf}", base.row_lower, base.row_upper, (row, place[column], matrix.data))


def _decided(plan: OverTimeSolution, name: str) -> Array:
    """What a plan decides at its root, (arcs, k)."""
    flows = next(iter(plan.flows.values()))
    values = {"x_out": flows.out, "y_out": flows.expansion_out, "y_in": flows.expansion_in, "z": np.round(flows.use)}
    return np.asarray(np.maximum(values[name], 0.0))


def _nodes_to(tree: ScenarioTree, leaf: int) -> Index:
    """Nodes from the root to a leaf."""
    nodes = [leaf]
    while tree.parent[nodes[-1]] >= 0:
        nodes.append(int(tree.parent[nodes[-1]]))
    return np.array(nodes[::-1], dtype=np.int64)
