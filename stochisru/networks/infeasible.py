"""Why a network has no solution: demands that nothing can reach, and demands that are in conflict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from scenario_trees.arrays import Mask
from stochisru.errors import InputError
from stochisru.networks.assembly import Assembly, assemble
from stochisru.networks.network import Network
from stochisru.programs.solvers.highs import conflicting
from stochisru.programs.sparse import LinearProgram, ProgramBuilder, solve


@dataclass(frozen=True)
class NodeDemand:
    """A demand (or the use of a limited supply) that takes part in a conflict."""

    node: str
    commodity: str
    amount: float
    unit: str

    def __str__(self) -> str:
        return f"{self.amount:g} {self.unit} of {self.commodity} at {self.node}"


@dataclass(frozen=True)
class Conflict:
    """Demands that cannot be met together.

    Attributes
    ----------
    demands
        The demands in conflict; each alone may be possible.
    supplies
        Limited supplies that the conflict is about.
    forced
        Flows that must be and cannot, as ``arc: commodity``.
    shortfall
        Least unmet share of each demand if all shares are summed, {(node, commodity): amount}.
    method
        ``irreducible`` (an irreducible infeasible subsystem from the solver) or ``elastic`` (demands that an elastic
        relaxation leaves unmet).
    """

    demands: tuple[NodeDemand, ...]
    supplies: tuple[NodeDemand, ...]
    forced: tuple[str, ...]
    shortfall: Mapping[tuple[str, str], float]
    method: str

    def __str__(self) -> str:
        text = ""
        if self.forced:
            text = "lower: flows that must be and cannot: " + ", ".join(self.forced)
        if not self.demands:
            return text
        text = f"{text}; " if text else ""
        text += "supply: demands cannot be met together: " + ", ".join(map(str, self.demands))
        if self.supplies:
            text += "; supplies that limit them: " + ", ".join(map(str, self.supplies))
        short = ", ".join(f"{amount:.6g} of {c} at {n}" for (n, c), amount in self.shortfall.items())
        return f"{text}; least shortfall: {short}"


def require_reachable(network: Network) -> None:
    """Raise `InputError` for a demand that no chain of arcs joins to a supply.

    Commodity c at node i is reachable if i supplies it, or an arc brings it: its departure needs everything that
    A⁺ takes, and B and A⁻ make c of it.
    """
    reached = network.supply > 0
    wanted = network.supply < 0
    open_ = (network.out.limit > 0) & (network.use_upper > 0)
    needs = network.out.requirement > 0
    # What an arc gives to its head per commodity that departs.
    brings = (
        np.einsum("aij,ajl->ail", np.maximum(network.in_.requirement, 0), np.maximum(network.transformation, 0)) > 0
    )
    while True:
        missing = (needs & ~reached[network.tail][:, :, None]).any(axis=1)
        departs = open_ & ~missing
        arrives = (brings & departs[:, None, :]).any(axis=2)
        after = reached.copy()
        np.logical_or.at(after, network.head, arrives)
        if (after == reached).all():
            break
        reached = after
    lost = [
        f"{network.commodities[c]} at {network.nodes[i]}" for i, c in zip(*np.nonzero(wanted & ~reached), strict=True)
    ]
    if lost:
        more = f" and {len(lost) - 5} more" if len(lost) > 5 else ""
        raise InputError(f"supply: demands must be reachable from a supply, got none for {', '.join(lost[:5])}{more}")


def conflict(network: Network, limits: Mapping[str, float] | None = None) -> Conflict | None:
    """Find demands in conflict, or None if the network has a solution.

    The demands are made elastic first (binaries relaxed): if some must stay unmet, the solver's irreducible
    infeasible subsystem says which demands conflict, and where it has none the unmet ones do.
    """
    assembly = assemble(network, limits=limits)
    program = replace(assembly.program, integer=np.zeros_like(assembly.program.integer))
    shortfall, forced = _least_shortfall(assembly, program)
    if not shortfall and not forced:
        return None
    found = conflicting(program)
    node, commodity = (np.zeros(0, dtype=np.int64),) * 2
    if found is not None:
        node, commodity = np.nonzero(np.isin(assembly.balance, found[0]) & (assembly.balance >= 0))
    demands = [(int(i), int(c)) for i, c in zip(node, commodity, strict=True) if network.supply[i, c] < 0]
    supplies = [(int(i), int(c)) for i, c in zip(node, commodity, strict=True) if network.supply[i, c] > 0]
    method = "irreducible"
    if not demands:
        method = "elastic"
        demands = [(network.node(n), network.commodity(c)) for n, c in shortfall]
    return Conflict(
        demands=tuple(_demand(network, *at) for at in demands),
        supplies=tuple(_demand(network, *at) for at in supplies),
        forced=forced,
        shortfall=shortfall,
        method=method,
    )


def _demand(network: Network, node: int, commodity: int) -> NodeDemand:
    amount = abs(float(network.supply[node, commodity]))
    return NodeDemand(network.nodes[node], network.commodities[commodity], amount, network.units[commodity])


def _least_shortfall(
    assembly: Assembly, program: LinearProgram
) -> tuple[dict[tuple[str, str], float], tuple[str, ...]]:
    """Least sum of missing shares of demands and of flows that must be: unmet amounts, and these flows."""
    network = assembly.network
    wanted: Mask = (network.supply < 0) & (assembly.balance >= 0)
    node, commodity = np.nonzero(wanted)
    amount = -network.supply[wanted]
    builder = ProgramBuilder(f"{network.name} (elastic)", "minimise")
    must = assembly.x_out[(assembly.x_out >= 0) & (network.out.lower > 0)]
    lower = program.lower.copy()
    lower[must] = 0.0
    columns = builder.variables("x", program.shape[1], lower=lower, upper=program.upper)
    missing = builder.variables("missing", must.size, lower=0.0, upper=1.0, objective=1.0)
    each, least = np.arange(must.size), program.lower[must]
    builder.rows("lower", least, np.inf, (each, columns.index[must], 1.0), (each, missing.index, least))
    unmet = builder.variables("unmet", amount.size, lower=0.0, upper=1.0, objective=1.0)
    matrix = program.matrix.tocoo()
    terms = (matrix.coords[0].astype(np.int64), columns.index[matrix.coords[1]], matrix.data)
    relaxed = (assembly.balance[wanted], unmet.index, -amount)
    builder.rows("rows", program.row_lower, program.row_upper, terms, relaxed)
    solution = solve(builder.build())
    share = solution.values("unmet")
    arc, good = np.nonzero((assembly.x_out >= 0) & (network.out.lower > 0))
    forced = tuple(
        f"{network.arcs[a]}: {network.commodities[c]}"
        for a, c, s in zip(arc, good, solution.values("missing"), strict=True)
        if s > 1e-7
    )
    found = {
        (network.nodes[i], network.commodities[c]): float(a * s)
        for i, c, a, s in zip(node, commodity, amount, share, strict=True)
        if s > 1e-7
    }
    return found, forced
