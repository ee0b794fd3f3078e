"""A network written node by node and arc by arc, with names instead of positions.

Examples
--------
>>> from stochisru.networks.builder import NetworkBuilder
>>> from stochisru.networks.events import LineLoss
>>> from stochisru.networks.solution import solve_network
>>> builder = NetworkBuilder("pipe", {"water": "m3/day"}, {"cost": "USD/day"})
>>> builder.node("plant", {"water": 20_000})
>>> builder.node("city", {"water": -10_000})
>>> builder.arc("plant", "city", events=[LineLoss({"water": 5e-4}, km=30)], cost={"cost": {"water": 1.5}})
>>> solution = solve_network(builder.build())
>>> round(solution.objective), round(solution.price("city", "water"), 4)
(15228, 1.5228)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scenario_trees.arrays import Array, Index
from stochisru.errors import InputError
from stochisru.networks.events import Event, compose
from stochisru.networks.network import MEASURED, Criterion, End, Measured, Network, ScaledCost, one_of, position
from stochisru.programs.curves.curve import Curve

#: Numbers by commodity; what is not named has the default.
Amounts = Mapping[str, float]
#: Numbers by criterion and commodity.
Costs = Mapping[str, Amounts]


@dataclass(frozen=True)
class Bundle:
    """Commodities that share a capacity of an arc (Eq. 2.7b): the weighted sum of their outflows is at most a limit.

    Attributes
    ----------
    limit
        Capacity, in units of commodity times weight.
    weights
        What a unit of a commodity takes of it; 1 for every commodity of the network if not given.
    """

    limit: float
    weights: Amounts | None = None


@dataclass(frozen=True)
class ArcScale:
    """An economy of scale of an arc: the cost of a flow or expansion in a criterion by its size.

    Attributes
    ----------
    criterion, commodity
        Their names.
    curve
        Cost by size; see `stochisru.programs.curves`.
    of
        ``expansion`` (what is built) or ``flow``.
    """

    criterion: str
    commodity: str
    curve: Curve
    of: Measured = "expansion"


class NetworkBuilder:
    """Collects nodes and arcs; `build` checks them and makes a `Network`.

    Parameters
    ----------
    name
        Name of the network.
    commodities, criteria
        Names and units.
    """

    def __init__(self, name: str, commodities: Mapping[str, str], criteria: Mapping[str, str]) -> None:
        self.name = name
        self.commodities = dict(commodities)
        self.criteria = dict(criteria)
        self._names = list(commodities)
        self._nodes: dict[str, Array] = {}
        self._numbers: dict[str, int] = {}
        self._arcs: list[dict[str, Any]] = []
        self._rows: dict[str, list[tuple[int, Array, float]]] = {"out": [], "in_": []}
        self._arc_names: dict[str, int] = {}
        self._scales: list[tuple[int, ScaledCost]] = []

    def node(self, name: str, supply: Amounts | None = None) -> None:
        """Add a node; ``supply`` is what it can give (> 0, inf: unlimited) or must get (< 0), 0 if not named."""
        if name in self._nodes:
            raise InputError(f"nodes: must be unique names, got {name!r} twice")
        self._nodes[name] = self._vector(supply or {}, 0.0, f"supply of {name!r}")
        self._numbers[name] = len(self._numbers)

    def arc(
        self,
        tail: str,
        head: str,
        name: str | None = None,
        *,
        events: Sequence[Event] = (),
        takes: Mapping[str, Amounts] | None = None,
        concurrency_out: Sequence[Amounts] = (),
        concurrency_in: Sequence[Amounts] = (),
        bundles: Sequence[Bundle] = (),
        carries: Sequence[str] | None = None,
        capacity: Amounts | None = None,
        limit: Amounts | None = None,
        lower: Amounts | None = None,
        whole: Sequence[str] = (),
        expansion: Amounts | None = None,
        cost: Costs | None = None,
        arrival_cost: Costs | None = None,
        expansion_cost: Costs | None = None,
        use_cost: Costs | None = None,
        scales: Sequence[ArcScale] = (),
        duration: float = 0.0,
    ) -> None:
        """Add an arc, or a loop where head and tail are one.

        Parameters
        ----------
        tail, head
            Names of nodes that were added before.
        name
            Unique name; ``tail→head`` if not given.
        events
            What happens to the flow, in order; their product is B.
        takes
            ``{commodity: {other: amount}}``: what a unit of outflow takes from the tail beside itself (A⁺ − I).
        concurrency_out, concurrency_in
            Rows ``{commodity: coefficient}``, each times the flow ≤ 0 (C⁺, C⁻).
        bundles
            Capacities that commodities share at departure.
        carries
            Commodities that may enter; all if not given.
        capacity, limit, expansion
            Outflow without expansion (u⁺), with any expansion (M⁺), and the largest expansion (y⁺); unlimited,
            unlimited and 0 if not named.
        lower
            What must depart (l⁺); 0 if not named.
        whole
            Commodities that depart in whole numbers, such as vehicles.
        cost, arrival_cost, expansion_cost, use_cost
            ``{criterion: {commodity: coefficient}}`` per unit of outflow, inflow and expansion, and for use.
        scales
            Costs of scale beside those that are linear.
        duration
            Time from departure to arrival, for time expansion.
        """
        label = name if name is not None else f"{tail}→{head}"
        if label in self._arc_names:
            raise InputError(f"arcs: must be unique names, got {label!r} twice; name parallel arcs")
        where = f"of arc {label!r}"
        limits = self._vector(limit or {}, np.inf, f"limit {where}")
        if carries is not None:
            closed = np.ones(len(self._names), dtype=bool)
            closed[[position(self._names, c, "commodity") for c in carries]] = False
            limits[closed] = 0.0
        integral = np.zeros(len(self._names), dtype=bool)
        integral[[position(self._names, c, "commodity") for c in whole]] = True
        requirement = np.eye(len(self._names))
        for commodity, amounts in (takes or {}).items():
            requirement[:, position(self._names, commodity, "commodity")] += self._vector(
                amounts, 0.0, f"takes {where}"
            )
        number = len(self._arcs)
        found = [
            (
                position(list(self.criteria), scale.criterion, "criterion"),
                ScaledCost(
                    number, position(self._names, scale.commodity, "commodity"), one_of(MEASURED, scale.of, "of"),
                    scale.curve,
                ),
            )
            for scale in scales
        ]  # fmt: skip
        self._scales.extend(found)
        self._arc_names[label] = number
        for side, rows in (("out", concurrency_out), ("in_", concurrency_in)):
            self._rows[side].extend((number, self._vector(row, 0.0, f"concurrency {where}"), 0.0) for row in rows)
        for bundle in bundles:
            if not 0 <= bundle.limit < np.inf:
                raise InputError(f"bundles {where}: limit: must be finite and >= 0, got {bundle.limit}")
            weights = self._vector(bundle.weights or {}, 1.0 if bundle.weights is None else 0.0, f"bundles {where}")
            if not (weights >= 0).all():
                raise InputError(f"bundles {where}: weights: must be >= 0, got {weights.min():g}")
            self._rows["out"].append((number, weights, bundle.limit))
        self._arcs.append(
            {
                "tail": self._node(tail),
                "head": self._node(head),
                "transformation": compose(events, self._names),
                "requirement": requirement,
                "capacity": self._vector(capacity or {}, np.inf, f"capacity {where}"),
                "limit": limits,
                "lower": self._vector(lower or {}, 0.0, f"lower {where}"),
                "whole": integral,
                "expansion": self._vector(expansion or {}, 0.0, f"expansion {where}"),
                "cost": self._matrix(cost, f"cost {where}"),
                "arrival_cost": self._matrix(arrival_cost, f"arrival_cost {where}"),
                "expansion_cost": self._matrix(expansion_cost, f"expansion_cost {where}"),
                "use_cost": self._matrix(use_cost, f"use_cost {where}"),
                "duration": duration,
            }
        )

    def build(self) -> Network:
        """Make the network; raise `InputError` for what is inconsistent."""
        if not self._arcs:
            raise InputError("arcs: must have at least one name, got none")
        k, n = len(self._names), len(self._arcs)
        column: dict[str, NDArray[Any]] = {key: np.array([arc[key] for arc in self._arcs]) for key in self._arcs[0]}
        nothing = np.zeros((n, k))
        out = End(
            column["requirement"],
            column["capacity"],
            column["limit"],
            column["lower"],
            column["expansion"],
            *self._concurrency("out"),
        )
        unlimited = np.full((n, k), np.inf)
        in_ = End(np.tile(np.eye(k), (n, 1, 1)), unlimited, unlimited, nothing, nothing, *self._concurrency("in_"))
        criteria = tuple(
            Criterion(
                name,
                unit,
                out=column["cost"][:, q],
                in_=column["arrival_cost"][:, q],
                expansion_out=column["expansion_cost"][:, q],
                expansion_in=nothing,
                use=column["use_cost"][:, q],
                scales=tuple(scale for at, scale in self._scales if at == q),
            )
            for q, (name, unit) in enumerate(self.criteria.items())
        )
        return Network(
            name=self.name,
            nodes=tuple(self._nodes),
            commodities=tuple(self._names),
            units=tuple(self.commodities.values()),
            arcs=tuple(self._arc_names),
            tail=column["tail"].astype(np.int64),
            head=column["head"].astype(np.int64),
            supply=np.array(list(self._nodes.values())),
            transformation=column["transformation"],
            out=out,
            in_=in_,
            criteria=criteria,
            use_lower=nothing,
            use_upper=np.ones((n, k)),
            whole=column["whole"],
            duration=column["duration"].astype(float),
        )

    def _node(self, name: str) -> int:
        if name not in self._numbers:
            position(list(self._nodes), name, "node")  # raises, with the nearest names
        return self._numbers[name]

    def _concurrency(self, side: str) -> tuple[Array, Array, Index]:
        rows = self._rows[side]
        matrix = np.array([row for _, row, _ in rows]).reshape(len(rows), len(self._names))
        return matrix, np.array([limit for *_, limit in rows]), np.array([arc for arc, *_ in rows], dtype=np.int64)

    def _vector(self, amounts: Amounts, default: float, field: str) -> Array:
        vector = np.full(len(self._names), default)
        for commodity, amount in amounts.items():
            if commodity not in self._names:
                raise InputError(f"{field}: must name commodities of {', '.join(self._names)}, got {commodity!r}")
            vector[self._names.index(commodity)] = amount
        return vector

    def _matrix(self, costs: Costs | None, field: str) -> Array:
        matrix = np.zeros((len(self.criteria), len(self._names)))
        for criterion, amounts in (costs or {}).items():
            if criterion not in self.criteria:
                raise InputError(f"{field}: must name criteria of {', '.join(self.criteria)}, got {criterion!r}")
            matrix[list(self.criteria).index(criterion)] = self._vector(amounts, 0.0, field)
        return matrix
