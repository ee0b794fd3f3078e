"""Solving a network and reading the solution: flows, nodal prices, expansions, as tables and as a graph.

All programs minimise; ``bounds.upper`` is what the solution costs, ``bounds.lower`` what no solution can undercut.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from scenario_trees.arrays import Array, Mask
from stochisru.errors import InputError, SolverError, UnboundedError
from stochisru.files import plainly
from stochisru.limits import Limit
from stochisru.methods.result import SWITCH_ROUNDING, Bounds, Kind, Of, Reason, Termination
from stochisru.networks.assembly import Assembly, Flows, Form, assemble, weights_of
from stochisru.networks.network import Criterion, End, Network
from stochisru.programs.sparse import LinearProgram, Solution, solve, solve_mixed
from stochisru.shown import Shown

if TYPE_CHECKING:
    import networkx as nx
    import pandas as pd

#: Flows below this share of the largest one of their commodity are left out of tables and graphs.
_SMALL = 1e-9
#: Bounds this many times the largest supply or demand are left out at first.
_FAR = 100.0


@dataclass(frozen=True, eq=False)
class NetworkSolution(Shown):
    """A solution of a network.

    Attributes
    ----------
    assembly
        The program that was solved and its network.
    weights
        Weights of the criteria in the objective.
    flows
        Values of all variables, each (arcs, k).
    objective
        Weighted sum of the criteria (minimised).
    bounds
        Bracket of its optimum.
    termination
        Why the solver stopped.
    prices
        (nodes, k): cost of one more unit of demand, in units of the objective; with binaries, of the program in
        which they are fixed at their values.
    reduced_costs
        (arcs, k): cost of one unit more on an arc beside what it is worth, NaN where nothing can flow.
    seconds, solver
        Time to solve and the solver's name and version.
    """

    assembly: Assembly
    weights: dict[str, float]
    flows: Flows
    objective: float
    bounds: Bounds
    termination: Termination
    prices: Array
    reduced_costs: Array
    seconds: float
    solver: str

    @property
    def network(self) -> Network:
        """The network."""
        return self.assembly.network

    @cached_property
    def criteria(self) -> dict[str, float]:
        """Value of every criterion."""
        return {c.name: value_of(c, self.flows) for c in self.network.criteria}

    @property
    def size(self) -> dict[str, int]:
        """Size of the program."""
        return program_size(self.assembly)

    def price(self, node: str, commodity: str) -> float:
        """Cost of one more unit of demand of a commodity at a node."""
        return float(self.prices[self.network.node(node), self.network.commodity(commodity)])

    def outflow(self, arc: str, commodity: str) -> float:
        """What leaves the tail of an arc."""
        return float(self.flows.out[self.network.arc(arc), self.network.commodity(commodity)])

    def inflow(self, arc: str, commodity: str) -> float:
        """What arrives at the head of an arc."""
        return float(self.flows.in_[self.network.arc(arc), self.network.commodity(commodity)])

    @cached_property
    def table(self) -> pd.DataFrame:
        """Tidy flows: arc, tail, head, commodity, unit, outflow, inflow, expansion, used, reduced cost."""
        import pandas as pd

        network, flows = self.network, self.flows
        shown = (flows.out > _least(flows.out)) | (flows.in_ > _least(flows.in_))
        shown |= (flows.expansion_out > _least(flows.expansion_out)) | (flows.expansion_in > 0)
        arc, commodity = np.nonzero(shown)
        nodes = np.array(network.nodes, dtype=object)
        return pd.DataFrame(
            {
                "arc": np.array(network.arcs, dtype=object)[arc],
                "tail": nodes[network.tail[arc]],
                "head": nodes[network.head[arc]],
                "commodity": np.array(network.commodities, dtype=object)[commodity],
                "unit": np.array(network.units, dtype=object)[commodity],
                "outflow": flows.out[arc, commodity],
                "inflow": flows.in_[arc, commodity],
                "expansion": flows.expansion_out[arc, commodity] + flows.expansion_in[arc, commodity],
                "used": flows.use[arc, commodity] > 0.5,
                "reduced_cost": self.reduced_costs[arc, commodity],
            }
        )

    @cached_property
    def price_table(self) -> pd.DataFrame:
        """Tidy nodal prices: node, commodity, unit, supply, price, where the node has a price."""
        import pandas as pd

        network = self.network
        node, commodity = np.nonzero((self.prices != 0) | (network.supply < 0))
        return pd.DataFrame(
            {
                "node": np.array(network.nodes, dtype=object)[node],
                "commodity": np.array(network.commodities, dtype=object)[commodity],
                "unit": np.array(network.units, dtype=object)[commodity],
                "supply": network.supply[node, commodity],
                "price": self.prices[node, commodity],
            }
        )

    def to_networkx(self) -> nx.MultiDiGraph[str]:
        """The network with its flows: an edge per arc that carries something, keyed by the arc's name.

        Nodes have ``supply`` and ``price``, edges ``outflow``, ``inflow`` and ``expansion``, each a dictionary by
        commodity.
        """
        import networkx as nx

        network = self.network
        graph: nx.MultiDiGraph[str] = nx.MultiDiGraph(name=network.name)
        for i, node in enumerate(network.nodes):
            supply = {c: float(v) for c, v in zip(network.commodities, network.supply[i], strict=True) if v}
            price = {c: float(v) for c, v in zip(network.commodities, self.prices[i], strict=True) if v}
            graph.add_node(node, supply=supply, price=price)
        for (tail, head, arc), rows in self.table.groupby(["tail", "head", "arc"], sort=False):
            parts = {
                name: dict(zip(rows["commodity"], rows[name].astype(float), strict=True))
                for name in ("outflow", "inflow", "expansion")
            }
            graph.add_edge(tail, head, key=arc, **parts)
        return graph

    @plainly
    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        flows = self.table.drop(columns=["used"])
        return {
            "network": self.network.name,
            "sense": "minimise",
            "objective": self.objective,
            "bounds": bracket_of(self.bounds),
            "termination": self.termination,
            "weights": self.weights,
            "criteria": self.criteria,
            "units": {c.name: c.unit for c in self.network.criteria},
            "flows": flows,
            "prices": self.price_table,
            "size": self.size,
            "seconds": self.seconds,
            "solver": self.solver,
        }

    def to_frame(self) -> pd.DataFrame:
        """`table`, as every result has it."""
        return self.table

    def __repr__(self) -> str:
        return (
            f"NetworkSolution({self.network.name}: {self.objective:,.6g}, minimise, bounds [{self.bounds.lower:,.6g}, "
            f"{self.bounds.upper:,.6g}], gap {self.bounds.gap:.2g})"
        )


def solve_network(
    network: Network,
    weights: Mapping[str, float] | None = None,
    *,
    limits: Mapping[str, float] | None = None,
    form: Form = "reduced",
    rel_gap: float = 1e-4,
    time_limit: float | None = None,
    solver: str = "highs",
) -> NetworkSolution:
    """Minimise a weighted sum of criteria on a network.

    Parameters
    ----------
    weights
        ``{criterion: weight}``; the first criterion alone if not given.
    limits
        ``{criterion: largest value}``.
    form
        ``literal`` (Tables 3.1 and 3.2 row by row) or ``reduced``; the optimum is the same.
    rel_gap, time_limit
        For mixed-integer networks: the gap at which to stop, and seconds.

    Raises
    ------
    InputError
        If a demand cannot be reached, or demands are in conflict: the message names them.
    SolverError
        If the solver fails.
    """
    from stochisru.networks.infeasible import conflict, require_reachable

    require_reachable(network)
    assembly = assemble(network, weights, limits, form)
    program = assembly.program
    try:
        if program.integer.any():
            found = solve_mixed(program, rel_gap=rel_gap, time_limit=time_limit, solver=solver)
            priced = with_integers_fixed(program, found.x, solver)
        else:
            found = priced = solve_linear(program, solver)
    except SolverError as error:
        if (reason := conflict(network, limits)) is not None:
            raise InputError(str(reason)) from error
        if isinstance(error, UnboundedError):
            raise InputError(
                f"{network.name}: is unbounded: some flow has a negative price and no limit; give it one"
            ) from error
        raise
    return _read(assembly, weights_of(network, weights), found, priced)


def improved(solution: NetworkSolution, other: NetworkSolution, solver: str = "highs") -> NetworkSolution:
    """The solution with the uses (z) and whole flows of another one of its network, if that is better, else as it is.

    The bound stays: what is found for one weight often serves its neighbours.
    """
    assembly = solution.assembly
    if any(c.scales for c in assembly.network.criteria):  # which pieces of its curves it is on is not known
        return solution
    there = assembly.z >= 0
    x = np.zeros(assembly.program.shape[1])
    x[assembly.z[there]] = other.flows.use[there]
    counted = assembly.network.whole & (assembly.x_out >= 0)
    x[assembly.x_out[counted]] = other.flows.out[counted]
    priced = with_integers_fixed(assembly.program, x, solver)
    if priced.objective >= solution.objective:
        return solution
    found = replace(priced, bound=solution.bounds.lower, seconds=solution.seconds, limit=solution.termination.limit)
    return _read(assembly, solution.weights, found, priced)


def solve_linear(program: LinearProgram, solver: str) -> Solution:
    """Solve a linear program first without bounds that are too far to bind: they slow the simplex method down."""
    sides = np.concatenate([program.row_upper, program.row_lower])
    far = program.upper > _FAR * np.abs(sides[np.isfinite(sides)]).max(initial=1.0)
    if far.any() and (program.objective >= 0).all():  # bounded without them
        found = solve(program.with_bounds(program.lower, np.where(far, np.inf, program.upper)), solver)
        if (found.x <= program.upper).all():
            return replace(found, program=program, bound=program.dual_bound(found.row_dual))
    return solve(program, solver)


def _read(assembly: Assembly, weights: Mapping[str, float], found: Solution, priced: Solution) -> NetworkSolution:
    """A network's solution from a program's: ``found`` bounds the optimum, ``priced`` has flows and duals."""
    flows = assembly.flows(priced.x)
    padded = np.append(priced.row_dual, 0.0)
    bounds, termination = bracket(assembly.program, priced.x, found.bound, found.limit)
    return NetworkSolution(
        assembly=assembly,
        weights=dict(weights),
        flows=flows,
        objective=bounds.upper,
        bounds=bounds,
        termination=termination,
        prices=-padded[assembly.balance] + 0.0,
        reduced_costs=_reduced_costs(assembly, priced),
        seconds=found.seconds + (0.0 if priced is found else priced.seconds),
        solver=found.solver,
    )


def bracket(program: LinearProgram, x: Array, bound: float, limit: Limit | None) -> tuple[Bounds, Termination]:
    """Bracket of the optimum of a program that is minimised, and why its solver stopped.

    That of a linear program is certified: its bound is repaired (`LinearProgram.dual_bound`), or minus infinity where
    none is proven. The bound of a mixed-integer program is the solver's own and holds to its tolerances: where it
    exceeds the solution by no more, it is lowered to it.

    Parameters
    ----------
    x
        The solution, ``(columns,)``.
    bound, limit
        What no solution can undercut, and the limit that ended the search.

    Raises
    ------
    BoundsError
        If the bound is above the solution.
    """
    worth = program.value(x)
    moved = float(np.abs(program.objective * x).sum())
    mixed = bool(program.integer.any())
    if mixed and worth < bound <= worth + SWITCH_ROUNDING * moved:
        bound = worth
    proven = not mixed and bool(np.isfinite(bound))
    bounds = Bounds(bound, worth, Kind.CERTIFIED if proven else Kind.SOLVER, Of.PROGRAM, moved)
    if mixed:
        detail = f"bound of the solver, gap {bounds.gap:.2g}"
    elif bounds.certified:
        detail = f"gap {bounds.gap:.2g}"
    else:
        detail = "no bound is proven, not certified: some flows have no limit"
    return bounds, Termination(Reason.OPTIMAL if limit is None else Reason.LIMIT, limit, detail)


def bracket_of(bounds: Bounds) -> dict[str, Any]:
    """Bounds for JSON; where there is no bound from below it is null, and so is the gap."""
    found = bounds.to_dict()
    return found if np.isfinite(bounds.lower) else {**found, "lower": None, "gap": None}


def with_integers_fixed(program: LinearProgram, x: Array, solver: str) -> Solution:
    """Optimum of the linear program that is left when the integers stay at their values in ``x``: exact flows, prices.

    `SolverError` is raised if there is none.
    """
    whole = program.integer
    at = np.round(x)
    lower, upper = np.where(whole, at, program.lower), np.where(whole, at, program.upper)
    fixed = replace(program, integer=np.zeros_like(whole), lower=lower, upper=upper)
    return solve(fixed, solver)


def _reduced_costs(assembly: Assembly, priced: Solution) -> Array:
    program = priced.program
    cost = program.objective - program.matrix.T @ priced.row_dual
    padded = np.append(cost, np.nan)
    reduced: Array = padded[assembly.x_out]
    if "x_in" in program.columns:  # literal: carry the arrivals back to the departures
        arrivals = cost[program.columns["x_in"].span].reshape(reduced.shape)
        reduced = reduced + np.einsum("ai,aij->aj", arrivals, assembly.network.transformation)
    return reduced


def value_of(criterion: Criterion, flows: Flows) -> float:
    """Value of a criterion at given flows."""
    sizes = {"flow": flows.out, "expansion": flows.expansion_out}
    scaled = sum(
        s.factor * float(s.curve(np.maximum(sizes[s.of][s.arc, s.commodity], 0.0))) for s in criterion.scales
    )  # fmt: skip
    return scaled + float(
        (criterion.out * flows.out).sum()
        + (criterion.in_ * flows.in_).sum()
        + (criterion.expansion_out * flows.expansion_out).sum()
        + (criterion.expansion_in * flows.expansion_in).sum()
        + (criterion.use * flows.use).sum()
    )


def violation(network: Network, out: Array) -> dict[str, Array]:
    """How far outflows break the flow constraints: positive entries per block, in the units of the flows.

    ``balance`` (nodes, k), ``inflow`` (arcs, k: negative arrivals), ``lower_out`` and ``lower_in`` (arcs, k),
    ``concurrency_out`` and ``concurrency_in`` (rows,).
    """
    arriving = np.einsum("aij,aj->ai", network.transformation, out)
    return {
        "balance": np.maximum(net_outflow(network, out, arriving) - network.supply, 0.0),
        "inflow": np.maximum(-arriving, 0.0),
        "lower_out": np.maximum(network.out.lower - out, 0.0),
        "lower_in": np.maximum(network.in_.lower - arriving, 0.0),
        "concurrency_out": _concurrency_excess(network.out, out),
        "concurrency_in": _concurrency_excess(network.in_, arriving),
    }


def net_outflow(network: Network, out: Array, in_: Array) -> Array:
    """Σ A⁺x⁺ − Σ A⁻x⁻ at every node, (nodes, k)."""
    net = np.zeros_like(network.supply)
    np.add.at(net, network.tail, np.einsum("aij,aj->ai", network.out.requirement, out))
    np.subtract.at(net, network.head, np.einsum("aij,aj->ai", network.in_.requirement, in_))
    return net


def _concurrency_excess(end: End, flow: Array) -> Array:
    used = (end.concurrency * flow[end.concurrency_arc]).sum(axis=1)
    return np.asarray(np.maximum(used - end.concurrency_limit, 0.0))


def _least(values: Array) -> Array:
    """What counts as nothing, per commodity."""
    return np.asarray(_SMALL * np.abs(values).max(axis=0, initial=0.0))


def program_size(assembly: Assembly) -> dict[str, int]:
    """Nodes, arcs, commodities, variables, binaries, inequalities, equalities."""
    program = assembly.program
    equal: Mask = program.row_lower == program.row_upper
    return {
        "nodes": assembly.network.n_nodes,
        "arcs": assembly.network.n_arcs,
        "loops": int(assembly.network.loops.sum()),
        "commodities": assembly.network.k,
        "variables": program.shape[1],
        "binaries": int(program.integer.sum()),
        "inequalities": int((~equal).sum()),
        "equalities": int(equal.sum()),
        "nonzeros": int(program.matrix.nnz),
    }
