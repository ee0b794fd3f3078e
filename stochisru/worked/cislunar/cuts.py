"""Rows that a campaign's plans keep anyway, or some best plan does, and that its relaxation breaks.

*Flights into a place.* In the relaxation a hundredth of a stage carries a hundredth of the spares. Whatever must have
come into a set K of places by some window, and can have come only as cargo, must have flown over the legs into K:

    Σ_l lift_l·n_l ≥ kg,    so    Σ_l min(⌈lift_l/lift_d⌉, r)·n_l ≥ r = ⌈kg/lift_d⌉    for every leg d into K,

n_l the flights of leg l so far and lift_l the most that one stage moves over it.

*As early as possible.* A flight whose stages, cargo and propellant were all there one point earlier may leave there and
then and wait at its head instead. So some best plan, the one with the earliest flights, flies from a place only if a
stage has just arrived there: nothing else arrives, except launches from Earth, which could have come before, and what
plants make between windows. Between windows this holds where no plant stands:

    Σ n_f ≤ fleet·(stages that arrived for this point + (plants stand there and the point is the first of a window)),

over the flights f from a place at a point; new stages in LEO count as arrivals.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from math import ceil

import numpy as np

from scenario_trees.arrays import Index
from stochisru.networks.time_expansion import TimeExpandedNetwork
from stochisru.programs.sparse import ProgramBuilder
from stochisru.worked.cislunar.network import LEGS, POINTS, delta_v_of, lift, windows
from stochisru.worked.cislunar.parameters import PLACES, WINDOWS_PER_YEAR, Campaign

#: Rounding that is no more cargo, as a share.
_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class FlightColumns:
    """Single flights of a program: their columns, tails, heads and steps, each (flights,).

    ``bought`` are the columns of new stages and ``bought_at`` the steps at which they come into LEO.
    """

    column: Index
    tail: np.ndarray
    head: np.ndarray
    step: Index
    bought: Index
    bought_at: Index

    @classmethod
    def of(cls, expanded: TimeExpandedNetwork, stages: Index) -> FlightColumns:
        """Flights among all arcs; ``stages`` is the column of stages of each arc, −1 where none can fly."""
        base = expanded.base
        places = np.array(base.nodes, dtype=object)
        tail, head = places[base.tail[expanded.arc]], places[base.head[expanded.arc]]
        flown = np.flatnonzero((stages >= 0) & (tail != head) & (tail != "Earth"))
        new = np.flatnonzero((stages >= 0) & (tail == "Earth"))
        return cls(
            stages[flown], tail[flown], head[flown], expanded.departure[flown], stages[new], expanded.departure[new]
        )


def add_cuts(builder: ProgramBuilder, campaign: Campaign, flights: FlightColumns) -> None:
    """Add rows on flights into places, and on flights within windows that are as early as they can be."""
    _arrivals(builder, campaign, flights)
    later = np.flatnonzero(flights.step % POINTS > 0)
    most = builder.bounds(flights.column)[1][later]
    before = (flights.head == flights.tail[later][:, None]) & (flights.step == flights.step[later][:, None] - 1)
    row, arrival = np.nonzero(before)
    builder.rows(
        "early",
        -np.inf,
        np.zeros(later.size),
        (np.arange(later.size), flights.column[later], 1.0),
        (row, flights.column[arrival], -most[row]),
    )


def _arrivals(builder: ProgramBuilder, campaign: Campaign, flights: FlightColumns) -> None:
    for places in _place_sets():
        legs = [(a, b) for leg in LEGS for a, b in (leg, leg[::-1]) if b in places and a not in places]
        lifts = {leg: lift(campaign, _delta_v(campaign, *leg)) for leg in legs}
        into = np.array([(a, b) in lifts for a, b in zip(flights.tail, flights.head, strict=True)], dtype=bool)
        of_flight = np.array([lifts.get((a, b), 0.0) for a, b in zip(flights.tail, flights.head, strict=True)])
        done: dict[float, int] = {}
        for window in range(windows(campaign)):
            kg = must_have_arrived(campaign, places, window)
            chosen = into & (flights.step < POINTS * (window + 1))
            for divisor in sorted({v for v in lifts.values() if v > 0}):
                count = ceil(kg / divisor * (1 - _ROUNDING))
                if count <= done.get(divisor, 0):
                    continue
                done[divisor] = count
                at = np.flatnonzero(chosen)
                worth = np.minimum(np.ceil(of_flight[at] / divisor * (1 - _ROUNDING)), count)
                builder.rows(
                    f"flights into {'+'.join(places)} by {window} over {divisor:.0f}",
                    np.array([float(count)]),
                    np.inf,
                    (np.zeros(at.size, dtype=np.int64), flights.column[at], worth),
                )


def _place_sets() -> Iterator[tuple[str, ...]]:
    far = PLACES[2:]  # beyond LEO
    for size in range(1, len(far) + 1):
        yield from combinations(far, size)


def _delta_v(campaign: Campaign, tail: str, head: str) -> float:
    return delta_v_of(campaign, *((tail, head) if (tail, head) in LEGS else (head, tail)))


def must_have_arrived(campaign: Campaign, places: tuple[str, ...], window: int) -> float:
    """Cargo that has come into a set of places as such by the end of a window in every plan, tanks included, kg.

    Payload that is due there by then, goods due there that no plant there can make, and the spares of the plant that
    stands there at the start.
    """
    p = campaign
    makes = {good for kind, site in p.structures if site in places for good in _products(kind)}
    if p.reading.delivers_own_propellant:
        makes |= {"oxygen", "hydrogen"}  # may come in the tanks of stages
    per_tank = {"oxygen": p["cryo_per_tank"], "hydrogen": p["cryo_per_tank"], "water": p["water_per_tank"]}
    years = sum(WINDOWS_PER_YEAR * year <= window for year in p.due)
    due = sum(
        years * kg * (1 + (1 / per_tank[good] if good in per_tank else 0.0))
        for (place, good), kg in p.yearly.items()
        if place in places and good not in makes
    )
    half_years = min(window + 1, windows(p) - 1)
    kept_up = p["initial_plant"] * half_years / WINDOWS_PER_YEAR * p["spares"]
    return due + (kept_up if "Moon" in places and p.reading.initial != "none" else 0.0)


def _products(kind: str) -> tuple[str, ...]:
    return ("water",) if kind == "SWE" else ("oxygen", "hydrogen")


def add_early(builder: ProgramBuilder, flights: FlightColumns, stands: Mapping[str, int | None], fleet: int) -> None:
    """Add rows on all flights from a place at a point, between windows too.

    Parameters
    ----------
    stands
        Column that is 1 where plants are built at a place, by place; None where one stands in any case.
    fleet
        Most stages that there are.
    """
    first = flights.step % POINTS == 0
    certain = np.isin(flights.tail, [place for place, column in stands.items() if column is None])
    late = np.flatnonzero((flights.step > 0) & ~(first & certain))
    places = np.unique(flights.tail, return_inverse=True)[1]
    together = places[late] * (flights.step.max() + 1) + flights.step[late]
    _, one, row_of = np.unique(together, return_index=True, return_inverse=True)
    tail, step, first = flights.tail[late[one]], flights.step[late[one]], first[late[one]]
    before = step - np.where(first, 2, 1)  # none leaves at the last point of a window
    row, arrival = np.nonzero((flights.head == tail[:, None]) & (flights.step == before[:, None]))
    in_leo, new = np.nonzero((tail == "LEO")[:, None] & (flights.bought_at == step[:, None]))
    plants = [
        (at, np.full(at.size, column), -float(fleet))
        for place, column in stands.items()
        if column is not None and (at := np.flatnonzero(first & (tail == place))).size
    ]
    builder.rows(
        "earliest",
        -np.inf,
        np.zeros(one.size),
        (row_of, flights.column[late], 1.0),
        (row, flights.column[arrival], -float(fleet)),
        (in_leo, flights.bought[new], -float(fleet)),
        *plants,
    )
