"""A network as a sparse program: literally as Tables 3.1 and 3.2 of the thesis, or reduced to what can differ from 0.

Blocks of columns of the literal program: ``x_out``, ``x_in`` (arcs × commodities each) and, for a network with
expansion or use, ``y_out``, ``y_in``, ``z``. Blocks of rows: ``balance`` (nodes × commodities), ``transformation``,
``concurrency_out``, ``concurrency_in`` and, for a mixed-integer network, ``capacity_out``, ``capacity_in``,
``use_out``, ``use_in``. The reduced program has the same optimum: it substitutes ``x⁻ = Bx⁺`` and leaves out every
column that is fixed and every row that cannot bind.

Every flow has its own bound M: `tight_limits` carries the given limits through B from one end of an arc to the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from scenario_trees.arrays import Array, Index, Mask
from stochisru.errors import InputError
from stochisru.networks.network import Criterion, Network, one_of
from stochisru.programs.curves.formulations import Terms as Scaled
from stochisru.programs.curves.formulations import add_curve
from stochisru.programs.names import block_names, once_each, plain_word
from stochisru.programs.sparse import LinearProgram, ProgramBuilder

Form = Literal["literal", "reduced"]
FORMS: tuple[Form, ...] = ("literal", "reduced")
#: Terms of rows: row, column, coefficient.
Terms = tuple[Index, Index, Array]


@dataclass(frozen=True, eq=False)
class Flows:
    """Values of all variables of a network, each of shape (arcs, k)."""

    out: Array
    in_: Array
    expansion_out: Array
    expansion_in: Array
    use: Array


@dataclass(frozen=True, eq=False)
class Assembly:
    """A program and where the network's variables are in it.

    ``x_out``, ``y_out``, ``y_in``, ``z`` hold column numbers, shape (arcs, k), −1 where the program has no column;
    ``balance`` row numbers, (nodes, k), −1 where it has no row.
    """

    network: Network
    program: LinearProgram
    x_out: Index
    y_out: Index
    y_in: Index
    z: Index
    balance: Index

    def names(self) -> tuple[list[str], list[str]]:
        """Names of columns and rows for files: flows by arc and commodity, balances by node and commodity."""
        columns, rows = block_names(self.program.columns), block_names(self.program.rows)
        network = self.network
        for names, word, number, places in (
            *((columns, word, number, network.arcs) for word, number in self._flows.items()),
            (rows, "balance", self.balance, network.nodes),
        ):
            for place, commodity in np.argwhere(number >= 0).tolist():
                told = f"{plain_word(places[place])},{plain_word(network.commodities[commodity])}"
                names[number[place, commodity]] = f"{word}({told})"
        return once_each(columns), once_each(rows)

    @property
    def _flows(self) -> dict[str, Index]:
        """Columns by the word of their kind."""
        return {"x_out": self.x_out, "y_out": self.y_out, "y_in": self.y_in, "z": self.z}

    def flows(self, x: Array) -> Flows:
        """All variables of the network from the values of the program's columns."""
        padded = np.append(x, 0.0)
        out = padded[self.x_out]
        # Use without a column is free, or has a price but nothing can flow.
        without = np.where(_used(self.network), self.network.use_lower, self.network.use_upper)
        return Flows(
            out=out,
            in_=np.einsum("aij,aj->ai", self.network.transformation, out),
            expansion_out=padded[self.y_out],
            expansion_in=padded[self.y_in],
            use=np.where(self.z >= 0, padded[self.z], without),
        )


def weights_of(network: Network, weights: Mapping[str, float] | None) -> dict[str, float]:
    """Weights by criterion; without any, the first criterion alone."""
    if weights is None:
        return {network.criteria[0].name: 1.0}
    for name, weight in weights.items():
        network.criterion(name)
        if not (weight >= 0 and np.isfinite(weight)):
            raise InputError(f"weight of {name}: must be >= 0, got {weight}")
    if not any(weights.values()):
        raise InputError("weights: must have one that is > 0, got none")
    return dict(weights)


def weighted(network: Network, weights: Mapping[str, float]) -> Criterion:
    """The weighted sum of criteria as one."""
    parts = [(weight, network.criterion(name)) for name, weight in weights.items()]
    total = {
        field: np.sum([w * getattr(c, field) for w, c in parts], axis=0)
        for field in ("out", "in_", "expansion_out", "expansion_in", "use")
    }
    scales = [replace(scale, factor=w * scale.factor) for w, c in parts if w > 0 for scale in c.scales]
    return Criterion("objective", "", **total, scales=tuple(scales))


def tight_limits(network: Network) -> tuple[Array, Array]:
    """M⁺ and M⁻, (arcs, k): the limits, tightened through capacity, expansion, use, bundles and B."""
    allowed = network.use_upper > 0
    limits = [
        np.where(allowed, np.minimum(end.limit, end.capacity + end.expansion), 0.0)
        for end in (network.out, network.in_)
    ]
    out, in_ = limits
    for limit, end in zip(limits, (network.out, network.in_), strict=True):
        # A row without a negative coefficient bounds each of its flows alone.
        alone = np.flatnonzero((end.concurrency >= 0).all(axis=1))
        weight = end.concurrency[alone]
        with np.errstate(divide="ignore", invalid="ignore"):
            most = np.where(weight > 0, end.concurrency_limit[alone][:, None] / weight, np.inf)
        np.minimum.at(limit, end.concurrency_arc[alone], most)
    B = network.transformation
    gain = np.maximum(B, 0.0)
    in_ = np.minimum(in_, _largest_arrival(B, out))
    # Where an arrival is made of one commodity alone, its limit bounds that commodity.
    alone = ((B != 0).sum(axis=2) == 1)[:, :, None] & (gain > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        backwards = np.where(alone, in_[:, :, None] / np.where(alone, gain, 1.0), np.inf).min(axis=1)
    # Not below what rounding makes of the limit itself on its way forth and back.
    out = np.where(backwards < out * (1 - 1e-12), backwards, out)
    return out, in_


def _largest_arrival(B: Array, limit_out: Array) -> Array:
    """Inflow if every outflow is at its limit and nothing is used up, (arcs, k)."""
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(B > 0, B * limit_out[:, None, :], 0.0).sum(axis=2))


def assemble(
    network: Network,
    weights: Mapping[str, float] | None = None,
    limits: Mapping[str, float] | None = None,
    form: Form = "reduced",
) -> Assembly:
    """Assemble the program that minimises a weighted sum of criteria.

    Parameters
    ----------
    weights
        ``{criterion: weight}``; the first criterion alone if not given.
    limits
        ``{criterion: largest value}`` as further rows (ε-constraints).
    form
        ``literal`` or ``reduced``, see the module.

    Raises
    ------
    InputError
        If a criterion or form is unknown, or more must flow on an arc than can.
    """
    build = {"literal": _literal, "reduced": _reduced}[one_of(FORMS, form, "form")]
    target = weighted(network, weights_of(network, weights))
    _require_room(network)
    caps = [(network.criterion(name), float(value)) for name, value in (limits or {}).items()]
    return build(network, target, caps)


def _entries(matrices: Array, keep: Mask | None = None) -> tuple[Index, Index, Index, Array]:
    """Arc, row, column and value of the entries of (arcs, k, k) that are not zero."""
    found = matrices != 0
    if keep is not None:
        found &= keep
    arc, row, column = np.nonzero(found)
    return arc, row, column, matrices[arc, row, column]


def _balance(network: Network, x_out: Index, x_in: Index) -> list[Terms]:
    """Σ A⁺x⁺ − Σ A⁻x⁻ over columns that exist."""
    k = network.k
    terms = []
    sides = ((1.0, network.out, network.tail, x_out), (-1.0, network.in_, network.head, x_in))
    for sign, end, node, column in sides:
        arc, row, commodity, value = _entries(end.requirement, (column >= 0)[:, None, :])
        terms.append((node[arc] * k + row, column[arc, commodity], sign * value))
    return terms


def _concurrency(matrix: Array, arcs: Index, column: Index) -> Terms:
    row, commodity = np.nonzero((matrix != 0) & (column[arcs] >= 0))
    return row, column[arcs[row], commodity], matrix[row, commodity]


def _literal(network: Network, target: Criterion, caps: list[tuple[Criterion, float]]) -> Assembly:
    n, k = network.n_arcs, network.k
    limit_out, limit_in = tight_limits(network)
    builder = ProgramBuilder(network.name, "minimise")
    shape = (n, k)

    def block(name: str, upper: Array, cost: Array, lower: Array | float = 0.0, whole: Mask | bool = False) -> Index:
        low, integer = np.broadcast_to(lower, shape).ravel(), np.broadcast_to(whole, shape).ravel()
        found = builder.variables(name, n * k, lower=low, upper=upper.ravel(), objective=cost.ravel(), integer=integer)
        return found.index.reshape(shape)

    x_out = block("x_out", limit_out, target.out, network.out.lower, network.whole)
    x_in = block("x_in", limit_in, target.in_, network.in_.lower)
    missing = np.full(shape, -1, dtype=np.int64)
    y_out = y_in = z = missing
    if network.mixed:
        y_out = block("y_out", network.out.expansion, target.expansion_out)
        y_in = block("y_in", network.in_.expansion, target.expansion_in)
        z = block("z", network.use_upper, target.use, network.use_lower, whole=True)
    builder.rows("balance", -np.inf, network.supply.ravel(), *_balance(network, x_out, x_in))
    arc, row, column, value = _entries(network.transformation)
    every = np.arange(n * k)
    builder.rows(
        "transformation",
        np.zeros(n * k),
        0.0,
        (arc * k + row, x_out[arc, column], value),
        (every, x_in.ravel(), -1.0),
    )
    for name, end, x in (("out", network.out, x_out), ("in", network.in_, x_in)):
        if end.concurrency_arc.size:
            builder.rows(
                f"concurrency_{name}",
                -np.inf,
                end.concurrency_limit,
                _concurrency(end.concurrency, end.concurrency_arc, x),
            )
    if network.mixed:
        for name, end, x, y in (("out", network.out, x_out, y_out), ("in", network.in_, x_in, y_in)):
            builder.rows(
                f"capacity_{name}", -np.inf, end.capacity.ravel(), (every, x.ravel(), 1.0), (every, y.ravel(), -1.0)
            )
        for name, x, limit in (("out", x_out, limit_out), ("in", x_in, limit_in)):
            finite = np.isfinite(limit)
            _require_limit(network, _used(network) & ~finite)
            big = np.where(finite, limit, 0.0)
            builder.rows(
                f"use_{name}",
                -np.inf,
                np.where(finite, 0.0, np.inf).ravel(),
                (every, x.ravel(), 1.0),
                (every, z.ravel(), -big.ravel()),
            )
    columns = {"out": x_out, "in_": x_in, "expansion_out": y_out, "expansion_in": y_in, "use": z}
    for terms in _scaled(builder, "scale", target, x_out, y_out):
        terms.in_objective(builder)
    _cap(builder, caps, columns)
    rows = np.arange(network.n_nodes * k).reshape(-1, k)
    return Assembly(network, builder.build(), x_out, y_out, y_in, z, rows)


def _require_room(network: Network) -> None:
    for least, most in zip((network.out.lower, network.in_.lower), tight_limits(network), strict=True):
        if (bad := least > most * (1 + 1e-9)).any():
            arc, commodity = (int(i[0]) for i in np.nonzero(bad))
            raise InputError(
                f"lower: must be <= {most[arc, commodity]:g}, the most that can flow, got {least[arc, commodity]:g} on "
                f"arc {network.arcs[arc]!r}, commodity {network.commodities[commodity]!r}"
            )


def _used(network: Network) -> Mask:
    """Where z decides something that counts: use has a cost in some criterion."""
    used: Mask = np.any([c.use != 0 for c in network.criteria], axis=0)
    return used


def _require_limit(network: Network, unbounded: Mask) -> None:
    if unbounded.any():
        arc, commodity = (int(i[0]) for i in np.nonzero(unbounded))
        raise InputError(
            f"limit: must be finite where use has a cost, got inf on arc {network.arcs[arc]!r}, "
            f"commodity {network.commodities[commodity]!r}"
        )


def _reduced(network: Network, target: Criterion, caps: list[tuple[Criterion, float]]) -> Assembly:
    n, k = network.n_arcs, network.k
    limit_out, limit_in = tight_limits(network)
    B = network.transformation
    builder = ProgramBuilder(network.name, "minimise")
    flows = limit_out > 0

    def block(
        name: str, mask: Mask, upper: Array, cost: Array, lower: Array | float = 0.0, whole: Mask | bool = False
    ) -> Index:
        index = np.full((n, k), -1, dtype=np.int64)
        low, integer = np.broadcast_to(lower, (n, k))[mask], np.broadcast_to(whole, (n, k))[mask]
        found = builder.variables(
            name, int(mask.sum()), lower=low, upper=upper[mask], objective=cost[mask], integer=integer
        )
        index[mask] = found.index
        return index

    at_tail = target.out + np.einsum("ai,aij->aj", target.in_, B)
    x = block("x_out", flows, limit_out, at_tail, network.out.lower, network.whole)
    grows_out = flows & (network.out.expansion > 0)
    grows_in = (limit_in > 0) & (network.in_.expansion > 0)
    y_out = block("y_out", grows_out, network.out.expansion, target.expansion_out)
    y_in = block("y_in", grows_in, network.in_.expansion, target.expansion_in)
    decides = (flows | (limit_in > 0) | (network.use_lower > 0)) & (network.use_upper > 0) & _used(network)
    z = block("z", decides, network.use_upper, target.use, network.use_lower, whole=True)

    # Inflow needs rows of its own only where it could be negative or has a limit that B does not imply.
    arriving = _largest_arrival(B, limit_out)
    negative = ((B < 0) & flows[:, None, :]).any(axis=2)
    bounded = arriving > limit_in * (1 + 1e-9)
    checked = negative | bounded | (network.in_.lower > 0)
    _rows(builder, "inflow", checked, network.in_.lower, limit_in, B, x)
    rows = _reduced_balance(network, builder, x)
    for name, end, through in (("out", network.out, None), ("in", network.in_, B)):
        if end.concurrency_arc.size:
            matrix = end.concurrency
            if through is not None:
                matrix = np.einsum("ri,rij->rj", matrix, through[end.concurrency_arc])
            binds = ((matrix > 0) & flows[end.concurrency_arc]).any(axis=1)
            if binds.any():
                builder.rows(
                    f"concurrency_{name}",
                    -np.inf,
                    end.concurrency_limit[binds],
                    _concurrency(matrix[binds], end.concurrency_arc[binds], x),
                )
    eye = np.eye(k)[None]
    for name, grows, capacity, matrix, y in (
        ("out", grows_out, network.out.capacity, eye, y_out),
        ("in", grows_in, network.in_.capacity, B, y_in),
    ):
        _rows(builder, f"capacity_{name}", grows & np.isfinite(capacity), -np.inf, capacity, matrix, x, (y, -1.0))
    use = decides & flows
    _require_limit(network, use & ~np.isfinite(limit_out))
    _rows(builder, "use", use, -np.inf, np.zeros((n, k)), eye, x, (z, -limit_out))
    # An arrival that is made of its own commodity alone needs no z row: that of its departure implies it.
    mixed = ((B != 0) & flows[:, None, :] & ~np.eye(k, dtype=bool)).any(axis=2)
    _rows(builder, "use_in", decides & (limit_in > 0) & mixed, -np.inf, np.zeros((n, k)), B, x, (z, -limit_in))
    columns = {"out": x, "in_": x, "expansion_out": y_out, "expansion_in": y_in, "use": z}
    for terms in _scaled(builder, "scale", target, x, y_out):
        terms.in_objective(builder)
    caps = [(_at_tail(c, B), value) for c, value in caps]
    _cap(builder, caps, columns)
    return Assembly(network, builder.build(), x, y_out, y_in, z, rows)


def _at_tail(criterion: Criterion, B: Array) -> Criterion:
    """The criterion with arrivals priced at their departure."""
    out = criterion.out + np.einsum("ai,aij->aj", criterion.in_, B)
    nothing = np.zeros_like(out)
    return replace(criterion, out=out, in_=nothing)


def _rows(
    builder: ProgramBuilder,
    name: str,
    mask: Mask,
    lower: Array | float,
    upper: Array,
    matrix: Array,
    x: Index,
    *columns: tuple[Index, Array | float],
) -> None:
    """Rows where the mask holds: a matrix of shape (arcs or 1, k, k) times flows, plus single columns."""
    if not mask.any():
        return
    number = np.full(mask.shape, -1, dtype=np.int64)
    number[mask] = np.arange(int(mask.sum()))
    full = np.broadcast_to(matrix, (mask.shape[0], *matrix.shape[1:]))
    arc, row, commodity, value = _entries(full, mask[:, :, None] & (x >= 0)[:, None, :])
    terms: list[Terms] = [(number[arc, row], x[arc, commodity], value)]
    for column, coefficient in columns:
        there = mask & (column >= 0)
        data = np.broadcast_to(np.asarray(coefficient, float), mask.shape)[there]
        terms.append((number[there], column[there], data))
    builder.rows(name, np.broadcast_to(lower, mask.shape)[mask], upper[mask], *terms)


def _reduced_balance(network: Network, builder: ProgramBuilder, x: Index) -> Index:
    """Balance rows with x⁻ = Bx⁺ substituted, without those that cannot bind; their numbers, (nodes, k)."""
    k = network.k
    arriving = np.einsum("aij,ajl->ail", network.in_.requirement, network.transformation)
    terms: list[Terms] = []
    for sign, matrix, node in ((1.0, network.out.requirement, network.tail), (-1.0, arriving, network.head)):
        arc, row, commodity, value = _entries(matrix, (x >= 0)[:, None, :])
        terms.append((node[arc] * k + row, x[arc, commodity], sign * value))
    row, column, value = (np.concatenate(parts) for parts in zip(*terms, strict=True))
    supply = network.supply.ravel()
    binds = np.zeros(supply.size, dtype=bool)
    binds[row[value > 0]] = True
    binds = (binds & (supply < np.inf)) | (supply < 0)
    number = np.full(supply.size, -1, dtype=np.int64)
    number[binds] = np.arange(int(binds.sum()))
    kept = binds[row]
    block = builder.rows("balance", -np.inf, supply[binds], (number[row[kept]], column[kept], value[kept]))
    return np.where(number >= 0, number + block.start, -1).reshape(-1, k)


def _scaled(builder: ProgramBuilder, name: str, criterion: Criterion, x: Index, y: Index) -> Iterator[Scaled]:
    """Costs of scale of a criterion as expressions of columns, each times its factor; binaries only where they must."""
    for number, scale in enumerate(criterion.scales):
        column = (x if scale.of == "flow" else y)[scale.arc, scale.commodity]
        if column < 0:
            continue
        found = add_curve(builder, f"{name} {number}", scale.curve, np.array([column]), direction="small")
        yield Scaled(found.structure, found.column, scale.factor * found.coefficient)


def _cap(builder: ProgramBuilder, caps: list[tuple[Criterion, float]], columns: Mapping[str, Index]) -> None:
    """One row per limited criterion."""
    for criterion, value in caps:
        terms = []
        for field, column in columns.items():
            coefficient = getattr(criterion, field)
            there = (coefficient != 0) & (column >= 0)
            terms.append((np.zeros(int(there.sum()), dtype=np.int64), column[there], coefficient[there]))
        for scaled in _scaled(builder, f"limit_{criterion.name}", criterion, columns["out"], columns["expansion_out"]):
            terms.append(scaled.rows())
        builder.rows(f"limit_{criterion.name}", -np.inf, value, *terms)
