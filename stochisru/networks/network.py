"""The data of a generalised multi-commodity network flow (GMCNF).

Arcs (loops and parallel arcs allowed) carry ``k`` commodities. On arc ``a`` from ``i`` to ``j`` leaves the outflow
``x⁺`` and arrives the inflow ``x⁻``; per arc and commodity there may be capacity expansion ``y±`` and a binary ``z``
of use (T. Ishimatsu, *Generalized Multi-Commodity Network Flows*, PhD thesis, MIT 2013, Tables 3.1 and 3.2)::

    minimise   Σ c±ᵀx± + e±ᵀy± + fᵀz
    subject to Σ A⁺x⁺ (arcs out of i) − Σ A⁻x⁻ (arcs into i) ≤ b_i      at every node i
               B x⁺ = x⁻,  C⁺x⁺ ≤ d⁺,  C⁻x⁻ ≤ d⁻                        on every arc
               l± ≤ x± ≤ u± + y±,  x± ≤ M± z                            on every arc

``A±`` says what a unit of flow takes from (gives to) the node, ``B`` how the flow changes on its way, ``C±`` what must
go together (d = 0) or shares a capacity d: the bundle constraint of Eq. 2.7b. ``l±`` is what must flow (Eq. 2.2b); some
outflows may be whole numbers, such as vehicles. A `Network` holds all of it as arrays; `NetworkBuilder` makes one arc
by arc.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, TypeVar

import numpy as np

from scenario_trees.arrays import Array, Index, Mask
from stochisru.errors import InputError
from stochisru.programs.curves.curve import Curve

T = TypeVar("T", bound=str)
#: What a cost of scale is of.
Measured = Literal["flow", "expansion"]
MEASURED: tuple[Measured, ...] = ("flow", "expansion")


@dataclass(frozen=True, eq=False)
class End:
    """One end of all arcs: where flow leaves its tail (+) or arrives at its head (−).

    Attributes
    ----------
    requirement
        A±, shape (arcs, k, k): column c is what one unit of commodity c takes from the tail (gives to the head).
    capacity
        u±, (arcs, k): flow possible without expansion; inf where there is no limit.
    limit
        M±, (arcs, k): bound of the flow with any expansion; 0 where a commodity cannot go. Finite and tight
        limits make bounds certified and mixed-integer programs solvable.
    lower
        l±, (arcs, k): what must flow.
    expansion
        (arcs, k): largest expansion y±; 0 where capacity is given.
    concurrency
        C±, (rows, k): each row times the flow of its arc must be ≤ its limit.
    concurrency_limit
        d±, (rows,): 0 for what must go together, a capacity for a bundle of commodities.
    concurrency_arc
        (rows,): the arc of each row.
    """

    requirement: Array
    capacity: Array
    limit: Array
    lower: Array
    expansion: Array
    concurrency: Array
    concurrency_limit: Array
    concurrency_arc: Index


@dataclass(frozen=True, eq=False)
class ScaledCost:
    """An economy of scale: what a flow or an expansion costs in a criterion beside what is linear.

    Attributes
    ----------
    arc, commodity
        Numbers of the arc and the commodity.
    of
        ``flow`` (x⁺) or ``expansion`` (y⁺).
    curve
        Cost by size, piecewise linear; one with a jump at zero is paid as soon as there is anything.
    factor
        Weight of the curve in a weighted sum.
    """

    arc: int
    commodity: int
    of: Measured
    curve: Curve
    factor: float = 1.0


@dataclass(frozen=True, eq=False)
class Criterion:
    """Something to be kept small, such as cost or emissions: its coefficients, each of shape (arcs, k).

    Attributes
    ----------
    name
        Name.
    unit
        Unit of the sum.
    out, in_
        Per unit of outflow x⁺ and inflow x⁻.
    expansion_out, expansion_in
        Per unit of expansion y⁺ and y⁻.
    use
        For using the arc at all for a commodity (z).
    scales
        Costs of scale.
    """

    name: str
    unit: str
    out: Array
    in_: Array
    expansion_out: Array
    expansion_in: Array
    use: Array
    scales: tuple[ScaledCost, ...] = ()


@dataclass(frozen=True, eq=False)
class Network:
    """A network as arrays; see the module for the model and `NetworkBuilder` for an easy way to make one.

    Attributes
    ----------
    name
        Name.
    nodes, commodities, units, arcs
        Names of nodes, commodities (k), their units, and arcs.
    tail
        (arcs,): number of the node that an arc leaves.
    head
        (arcs,): number of the node at which it arrives.
    supply
        b, (nodes, k): what a node can give (> 0, inf where unlimited) or must get (< 0).
    transformation
        B, (arcs, k, k).
    out, in_
        The two ends of the arcs.
    criteria
        What may be minimised.
    use_lower, use_upper
        (arcs, k): bounds of z; both 1 force an arc into use, both 0 forbid it.
    whole
        (arcs, k): outflows that must be whole numbers.
    duration
        (arcs,): time from departure to arrival, in the unit of `time_expansion` (0 in a static network).

    Raises
    ------
    InputError
        If shapes or names are inconsistent, or a number is out of its range.
    """

    name: str
    nodes: tuple[str, ...]
    commodities: tuple[str, ...]
    units: tuple[str, ...]
    arcs: tuple[str, ...]
    tail: Index
    head: Index
    supply: Array
    transformation: Array
    out: End
    in_: End
    criteria: tuple[Criterion, ...]
    use_lower: Array
    use_upper: Array
    whole: Mask
    duration: Array

    def __post_init__(self) -> None:
        _check_names(self)
        _check_shapes(self)
        _check_ranges(self)

    @property
    def n_nodes(self) -> int:
        """Number of nodes."""
        return len(self.nodes)

    @property
    def n_arcs(self) -> int:
        """Number of arcs, loops included."""
        return len(self.arcs)

    @property
    def k(self) -> int:
        """Number of commodities."""
        return len(self.commodities)

    @property
    def loops(self) -> Mask:
        """Which arcs are loops, (arcs,)."""
        return np.asarray(self.tail == self.head)

    @property
    def mixed(self) -> bool:
        """Whether the program has expansions y± and binaries z (Table 3.2) or flows alone (Table 3.1)."""
        return bool(
            (self.out.expansion > 0).any()
            or (self.in_.expansion > 0).any()
            or any((c.use != 0).any() for c in self.criteria)
            or (self.use_lower > 0).any()
            or (self.use_upper < 1).any()
        )

    def node(self, name: str) -> int:
        """Number of a node."""
        return position(self.nodes, name, "node")

    def commodity(self, name: str) -> int:
        """Number of a commodity."""
        return position(self.commodities, name, "commodity")

    def arc(self, name: str) -> int:
        """Number of an arc."""
        return position(self.arcs, name, "arc")

    def criterion(self, name: str) -> Criterion:
        """Criterion of a name."""
        return self.criteria[position([c.name for c in self.criteria], name, "criterion")]

    def between(self, tail: str, head: str) -> Index:
        """Numbers of the arcs from one node to another."""
        return np.flatnonzero((self.tail == self.node(tail)) & (self.head == self.node(head)))

    def replace(self, **changes: Any) -> Network:
        """A copy with some arrays replaced."""
        return replace(self, **changes)

    def with_supply(self, supply: Mapping[tuple[str, str], float]) -> Network:
        """A copy with other supplies: {(node, commodity): b}."""
        changed = self.supply.copy()
        for (node, commodity), value in supply.items():
            changed[self.node(node), self.commodity(commodity)] = value
        return self.replace(supply=changed)

    def closed(self, arcs: Index, commodities: Sequence[str] | None = None) -> Network:
        """A copy in which nothing, or none of some commodities, departs on some arcs or must."""
        which = self.commodities if commodities is None else commodities
        at = np.ix_(arcs, np.array([self.commodity(c) for c in which], dtype=np.int64))
        limit, lower, arriving = self.out.limit.copy(), self.out.lower.copy(), self.in_.lower.copy()
        limit[at] = lower[at] = arriving[at] = 0.0
        return self.replace(out=replace(self.out, limit=limit, lower=lower), in_=replace(self.in_, lower=arriving))

    def forced(self, arcs: Index, commodity: str) -> Network:
        """A copy in which the use of some arcs for a commodity is paid for, used or not (z = 1)."""
        lower = self.use_lower.copy()
        lower[arcs, self.commodity(commodity)] = 1.0
        return self.replace(use_lower=lower)

    def __repr__(self) -> str:
        return (
            f"Network({self.name!r}: {self.n_nodes} nodes, {self.n_arcs} arcs of which {int(self.loops.sum())} loops, "
            f"{self.k} commodities)"
        )


def position(names: Sequence[str], name: str, kind: str) -> int:
    """Position of a name in a list; `InputError` names the nearest ones if it is not there."""
    try:
        return names.index(name)
    except ValueError:
        import difflib

        near = difflib.get_close_matches(str(name), names, n=3) or list(names[:8])
        raise InputError(f"{kind}: must be one of {', '.join(near)}{', …' if len(names) > len(near) else ''}, "
                         f"got {name!r}") from None  # fmt: skip


def one_of(allowed: Sequence[T], name: str, kind: str) -> T:
    """The allowed value that is equal to a name; `InputError` if there is none."""
    return allowed[position(allowed, name, kind)]


def _check_names(network: Network) -> None:
    for field in ("nodes", "commodities", "arcs"):
        names = getattr(network, field)
        if not names:
            raise InputError(f"{field}: must have at least one name, got none")
        seen: set[str] = set()
        for name in names:
            if name in seen:
                raise InputError(f"{field}: must be unique names, got {name!r} twice")
            seen.add(name)
    names = tuple(c.name for c in network.criteria)
    if not names or len(set(names)) < len(names):
        raise InputError(f"criteria: must be at least one and unique names, got {names}")
    if len(network.units) != len(network.commodities):
        raise InputError(f"units: must be one per commodity ({len(network.commodities)}), got {len(network.units)}")


def _check_shapes(network: Network) -> None:
    n, k = network.n_arcs, network.k
    shapes: dict[str, tuple[Array | Index | Mask, tuple[int, ...]]] = {
        "tail": (network.tail, (n,)),
        "head": (network.head, (n,)),
        "duration": (network.duration, (n,)),
        "supply": (network.supply, (network.n_nodes, k)),
        "transformation": (network.transformation, (n, k, k)),
        "use_lower": (network.use_lower, (n, k)),
        "use_upper": (network.use_upper, (n, k)),
        "whole": (network.whole, (n, k)),
    }
    for side, end in (("out", network.out), ("in_", network.in_)):
        rows = end.concurrency_arc.size
        wanted = {
            "requirement": (n, k, k),
            "concurrency": (rows, k),
            "concurrency_limit": (rows,),
            "concurrency_arc": (rows,),
        }
        for field in fields(End):
            shapes[f"{side}.{field.name}"] = (getattr(end, field.name), wanted.get(field.name, (n, k)))
    for criterion in network.criteria:
        for name in ("out", "in_", "expansion_out", "expansion_in", "use"):
            shapes[f"criterion {criterion.name}.{name}"] = (getattr(criterion, name), (n, k))
    for name, (array, shape) in shapes.items():
        if array.shape != shape:
            raise InputError(f"{name}: must have shape {shape}, got {array.shape}")
    for name in ("tail", "head"):
        ends = getattr(network, name)
        if ends.min() < 0 or ends.max() >= network.n_nodes:
            raise InputError(
                f"{name}: must be node numbers 0 to {network.n_nodes - 1}, got {ends.min()} to {ends.max()}"
            )


def _check_ranges(network: Network) -> None:
    def first(bad: Mask) -> str:
        arc, commodity = (int(i[0]) for i in np.nonzero(bad)[:2])
        return f"on arc {network.arcs[arc]!r}, commodity {network.commodities[commodity]!r}"

    for side, end in (("out", network.out), ("in_", network.in_)):
        for name in ("capacity", "limit", "lower", "expansion"):
            array = getattr(end, name)
            if (bad := ~(array >= 0)).any():
                raise InputError(f"{side}.{name}: must be >= 0, got {array[bad][0]} {first(bad)}")
        if (bad := end.lower > end.limit).any():
            least, most = end.lower[bad][0], end.limit[bad][0]
            raise InputError(f"{side}.lower: must be <= the limit {most:g}, got {least:g} {first(bad)}")
        if not (end.concurrency_limit >= 0).all():
            raise InputError(f"{side}.concurrency_limit: must be >= 0, got {end.concurrency_limit.min():g}")
        if (bad := np.any(~np.isfinite(end.requirement), axis=1)).any():
            raise InputError(f"{side}.requirement: must be finite numbers, got others {first(bad)}")
        if not np.isfinite(end.concurrency).all():
            raise InputError(f"{side}.concurrency: must be finite numbers")
        arc = end.concurrency_arc
        if arc.size and (arc.min() < 0 or arc.max() >= network.n_arcs):
            raise InputError(f"{side}.concurrency_arc: must be arc numbers 0 to {network.n_arcs - 1}, got others")
    if (bad := np.any(~np.isfinite(network.transformation), axis=1)).any():
        raise InputError(f"transformation: must be finite numbers, got others {first(bad)}")
    if (bad := ~(network.supply < np.inf) & ~np.isposinf(network.supply) | np.isneginf(network.supply)).any():
        node, commodity = (int(i[0]) for i in np.nonzero(bad))
        where = f"at node {network.nodes[node]!r}, commodity {network.commodities[commodity]!r}"
        raise InputError(f"supply: must be a number or inf, got {network.supply[node, commodity]} {where}")
    if not ((network.duration >= 0) & np.isfinite(network.duration)).all():
        raise InputError(f"duration: must be finite and >= 0, got {network.duration.min()}")
    for criterion in network.criteria:
        for scale in criterion.scales:
            most = network.out.limit if scale.of == "flow" else network.out.expansion
            if not most[scale.arc, scale.commodity] < np.inf:
                where = f"on arc {network.arcs[scale.arc]!r}, commodity {network.commodities[scale.commodity]!r}"
                raise InputError(f"criterion {criterion.name}: scales of {scale.of}: must have a finite limit {where}")
        for name in ("out", "in_", "expansion_out", "expansion_in", "use"):
            if (bad := ~np.isfinite(getattr(criterion, name))).any():
                raise InputError(f"criterion {criterion.name}.{name}: must be finite numbers, got others {first(bad)}")
    allowed = (network.use_lower >= 0) & (network.use_lower <= network.use_upper) & (network.use_upper <= 1)
    if not allowed.all():
        raise InputError(f"use_lower, use_upper: must be 0 <= lower <= upper <= 1, got others {first(~allowed)}")
