"""Arcs added to a network that is there already: storage, and help from outside where demand cannot be met."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from scenario_trees.arrays import Array, Index
from stochisru.errors import InputError
from stochisru.networks.network import Criterion, End, Network

#: Node and criterion of help from outside.
RELIEF = "relief"


def with_arcs(
    network: Network,
    names: Sequence[str],
    tail: Index,
    head: Index,
    *,
    transformation: Array,
    limit: Array,
    duration: float = 0.0,
    cost: Mapping[str, Array] | None = None,
) -> Network:
    """A copy with plain arcs more: no expansion, concurrency or use.

    Parameters
    ----------
    tail, head
        Numbers of their nodes, (arcs,).
    transformation, limit
        B, (arcs, k, k), and M⁺, (arcs, k).
    cost
        ``{criterion: (arcs, k)}`` per unit of outflow.
    """
    n, k = len(names), network.k
    for field, array, shape in (("transformation", transformation, (n, k, k)), ("limit", limit, (n, k))):
        if array.shape != shape:
            raise InputError(f"{field}: must have shape {shape}, got {array.shape}")
    nothing, unlimited = np.zeros((n, k)), np.full((n, k), np.inf)

    def longer(end: End, limits: Array) -> End:
        added = {
            "requirement": np.tile(np.eye(k), (n, 1, 1)), "capacity": unlimited, "limit": limits, "lower": nothing,
            "expansion": nothing,
        }  # fmt: skip
        return replace(end, **{f: np.concatenate([getattr(end, f), a]) for f, a in added.items()})

    def priced(criterion: Criterion) -> Criterion:
        found = changed(criterion, lambda array: np.concatenate([array, nothing]))
        price = (cost or {}).get(criterion.name)
        return found if price is None else replace(found, out=np.concatenate([criterion.out, price]))

    return network.replace(
        arcs=(*network.arcs, *names),
        tail=np.concatenate([network.tail, tail]),
        head=np.concatenate([network.head, head]),
        transformation=np.concatenate([network.transformation, transformation]),
        out=longer(network.out, limit),
        in_=longer(network.in_, unlimited),
        criteria=tuple(priced(c) for c in network.criteria),
        use_lower=np.concatenate([network.use_lower, nothing]),
        use_upper=np.concatenate([network.use_upper, np.ones((n, k))]),
        whole=np.concatenate([network.whole, np.zeros((n, k), dtype=bool)]),
        duration=np.concatenate([network.duration, np.full(n, duration)]),
    )


def with_relief(network: Network, price: Mapping[str, float], unit: str = "") -> Network:
    """A copy in which help from outside meets any demand of some commodities at a price: what stays unmet.

    The node ``relief`` has all of them, an arc leads from it to every node that wants some, and what they carry is paid
    for in the criterion ``relief``.

    Parameters
    ----------
    price
        ``{commodity: price per unit of demand}``, > 0.
    unit
        Unit of the criterion.

    Examples
    --------
    >>> from stochisru.networks import NetworkBuilder, solve_network
    >>> builder = NetworkBuilder("dry", {"water": "m3"}, {"cost": "$"})
    >>> builder.node("well", {"water": 4.0})
    >>> builder.node("town", {"water": -10.0})
    >>> builder.arc("well", "town", cost={"cost": {"water": 1.0}})
    >>> helped = with_relief(builder.build(), {"water": 100.0}, "$")
    >>> solution = solve_network(helped, {"cost": 1.0, "relief": 1.0})
    >>> solution.outflow("relief→town", "water"), solution.price("town", "water")
    (6.0, 100.0)
    """
    for commodity, value in price.items():
        if not 0 < value < np.inf:
            raise InputError(f"price of {commodity}: must be > 0 and finite, got {value}")
    priced = np.zeros(network.k)
    for commodity, value in price.items():
        priced[network.commodity(commodity)] = value
    wanted = (network.supply < 0) & (priced > 0)
    where = np.flatnonzero(wanted.any(axis=1))
    supply = np.where(priced > 0, np.inf, 0.0)[None]
    outside = network.replace(
        nodes=(*network.nodes, RELIEF),
        supply=np.concatenate([network.supply, supply]),
        criteria=(*network.criteria, _free(network, RELIEF, unit)),
    )
    return with_arcs(
        outside,
        [f"{RELIEF}→{network.nodes[i]}" for i in where],
        np.full(where.size, network.n_nodes),
        where,
        transformation=np.tile(np.eye(network.k), (where.size, 1, 1)),
        limit=np.where(wanted, -network.supply, 0.0)[where],
        cost={RELIEF: np.tile(priced, (where.size, 1))},
    )


def _free(network: Network, name: str, unit: str) -> Criterion:
    nothing = np.zeros((network.n_arcs, network.k))
    return Criterion(name, unit, nothing, nothing, nothing, nothing, nothing)


def changed(criterion: Criterion, change: Callable[[Array], Array]) -> Criterion:
    """The criterion with every array of coefficients changed."""
    arrays: dict[str, Any] = {
        field: change(getattr(criterion, field)) for field in ("out", "in_", "expansion_out", "expansion_in", "use")
    }
    return replace(criterion, **arrays)
