"""A network over time whose future is not known: what leaves at a step is decided at the node of a scenario tree.

Every path of the tree has a network over time of its own (demands, costs, failures as they turn out), one step per
stage. Flows that leave at step t, and what is built for them, are one decision for all paths that are still together at
stage t; what arrives follows from the path. The extensive form has the columns of a step once per node of its stage,
and the rows once per path, or once for all paths where they say the same of common steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from scenario_trees.arrays import Array, Index
from scenario_trees.tree import ScenarioTree
from stochisru.errors import InputError
from stochisru.methods.result import Bounds, Termination
from stochisru.networks.assembly import Flows, assemble
from stochisru.networks.solution import bracket, solve_linear, value_of, with_integers_fixed
from stochisru.networks.time_expansion import TimeExpandedNetwork
from stochisru.programs.extensive import JointProgram, by_stage, join
from stochisru.programs.sparse import solve_mixed

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
    program = form.joint.program
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
        flows={
            leaf: assembly.flows(form.joint.of(best.x, path))
            for path, (leaf, assembly) in enumerate(form.assemblies.items())
        },
        size={"variables": program.shape[1], "rows": program.shape[0], "binaries": int(program.integer.sum())},
        seconds=found.seconds + (0.0 if best is found else best.seconds),
    )


class _Paths:
    """The programs of the paths, joined in what is decided at nodes that they have in common."""

    def __init__(
        self, tree: ScenarioTree, at: ExpandedAt, weights: Mapping[str, float] | None, root: OverTimeSolution | None
    ) -> None:
        self.leaves = range(*tree.leaves.indices(tree.n_nodes))
        self.networks = {
            leaf: at(tree.value[nodes]) for leaf, nodes in zip(self.leaves, tree.node_paths(), strict=True)
        }
        first = self.networks[self.leaves[0]]
        for leaf, expanded in self.networks.items():
            if expanded.steps != tree.horizon + 1:
                raise InputError(f"network of leaf {leaf}: must have {tree.horizon + 1} steps, got {expanded.steps}")
            if expanded.network.arcs != first.network.arcs:
                raise InputError(f"network of leaf {leaf}: must have the arcs of the others")
        self.assemblies = {leaf: assemble(e.network, weights) for leaf, e in self.networks.items()}
        self.joint = self._join(tree, first.departure, root)

    def _join(self, tree: ScenarioTree, departure: Index, root: OverTimeSolution | None) -> JointProgram:
        # Axes: paths, what is decided (variables of all arcs and commodities).
        column = np.array([[getattr(a, name) for name in _DECIDED] for a in self.assemblies.values()])
        stage = np.broadcast_to(departure[:, None], column.shape[1:]).ravel()
        column = column.reshape(len(self.leaves), -1)
        sets, there = by_stage(tree, stage), column >= 0
        # What is closed on one path is closed on those that are not known to be another yet.
        closed = np.isin(sets, sets[~there]) & (sets >= 0)
        held = None if root is None else np.concatenate([_decided(root, name).ravel() for name in _DECIDED])
        programs, shared = [], []
        for path, assembly in enumerate(self.assemblies.values()):
            base = assembly.program
            lower, upper = base.lower.copy(), base.upper.copy()
            upper[column[path, there[path] & closed[path]]] = 0.0
            if held is not None:
                first = there[path] & (stage == 0)
                lower[column[path, first]] = upper[column[path, first]] = held[first]
            ids = np.full(base.shape[1], -1, dtype=np.int64)
            ids[column[path, there[path]]] = sets[path, there[path]]
            programs.append(base.with_bounds(lower, upper))
            shared.append(ids)
        names = [f"path {leaf}" for leaf in self.leaves]
        probability = tree.probability[tree.leaves]
        return join(f"{len(names)} paths over time", programs, probability, shared, names)


def _decided(plan: OverTimeSolution, name: str) -> Array:
    """What a plan decides at its root, (arcs, k)."""
    flows = next(iter(plan.flows.values()))
    values = {"x_out": flows.out, "y_out": flows.expansion_out, "y_in": flows.expansion_in, "z": np.round(flows.use)}
    return np.asarray(np.maximum(values[name], 0.0))
