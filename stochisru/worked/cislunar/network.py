"""The cislunar network over time: Earth, LEO, GEO, EML1 and Moon in launch windows half a year apart.

Every window has four points in time and a flight from each of the first three to the next. Launches leave at the first
point, and with propellant alone also at the next two. From the last point to the first one of the next window
everything waits and plants work. What extraction makes in a half year is there at its end, and electrolysis at the same
place takes it in within the same half year: it has all the water there by then, and acts at that point without a
duration. Identical stages are one integer flow: what they carry can be divided among them at will, so nothing is lost.

Commodities in kg, stages in number. Propellant in the tanks of stages is a commodity of its own: delivered oxygen and
hydrogen fly as cargo in tanks and may be filled into a stage in the mixture that its engine burns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from scenario_trees.arrays import Mask
from stochisru.networks.builder import NetworkBuilder
from stochisru.networks.events import Burn, Conversion, Wear, propellant_fraction
from stochisru.networks.network import Network
from stochisru.networks.pruning import pruned
from stochisru.networks.time_expansion import TimeExpandedNetwork, expand
from stochisru.worked.cislunar.parameters import DEMANDED, PLACES, WINDOWS_PER_YEAR, Campaign

#: Points in time per window: before, between and after its three flights.
POINTS = 4
#: Launches of everything at the first point of a window, of propellant at the next two.
LAUNCHES = ("launch", "propellant launch")
LEGS = (("LEO", "GEO"), ("LEO", "EML1"), ("EML1", "GEO"), ("EML1", "Moon"))
PLANTS = {"SWE": "extraction plant", "DWE": "electrolysis plant"}
GASES = ("oxygen", "hydrogen")
CARGO = (*DEMANDED, "water tank", "cryogenic tank", *PLANTS.values(), "spares")
COMMODITIES = ("stage", "propellant", *CARGO, "soil")
#: What a working plant takes in.
FEED = {"SWE": "soil", "DWE": "water"}


def windows(campaign: Campaign) -> int:
    """Number of launch windows: every half year from the start to the end."""
    return WINDOWS_PER_YEAR * campaign.years + 1


def deploy_arc(kind: str, site: str) -> str:
    """Name of the loop on which a plant is set up."""
    return f"{site} {kind} set-up"


def work_duration(campaign: Campaign, kind: str) -> int:
    """Steps for which a plant works: from the last point of a window to the first of the next, or at the latter."""
    return 0 if kind == "DWE" and campaign.reading.same_half_year else 1


def work_arc(kind: str, site: str) -> str:
    """Name of the loop on which a plant works."""
    return f"{site} {kind} work"


def delta_v_of(campaign: Campaign, tail: str, head: str) -> float:
    """Velocity change of a leg of `LEGS`, km/s."""
    return campaign[f"delta_v_{tail}_{head}".lower()]


def base_network(campaign: Campaign) -> Network:
    """The network of one point in time; durations in steps from point to point."""
    p = campaign
    builder = NetworkBuilder(
        f"cislunar campaign, {p.title}",
        {c: "number" if c == "stage" else "kg" for c in COMMODITIES},
        {"cost": "$", "launched": "kg"},
    )
    _nodes(builder, p)
    _launch(builder, p)
    for tail, head in LEGS:
        for ends in ((tail, head), (head, tail)):
            if ends[1] != "LEO" or p.reading.return_to_leo:
                _flight(builder, p, *ends, delta_v_of(p, tail, head))
    for place in PLACES[1:]:
        _loops(builder, p, place)
    for kind, site in p.structures:
        _plant(builder, p, kind, site)
    return builder.build()


def _nodes(builder: NetworkBuilder, p: Campaign) -> None:
    builder.node("Earth", dict.fromkeys(("stage", "propellant", *CARGO), np.inf))
    for place in PLACES[1:]:
        supply = {c: -kg for (node, c), kg in p.yearly.items() if node == place}
        builder.node(place, {**supply, **({"soil": np.inf} if place == "Moon" else {})})


def _prices(p: Campaign) -> dict[str, float]:
    """Price on Earth, $ per unit."""
    mixed = (p["mixture"] * p["oxygen_price"] + p["hydrogen_price"]) / (1 + p["mixture"])
    return {
        "stage": p["stage_price"],
        "propellant": mixed,
        **{c: p[f"{c}_price"] for c in DEMANDED},
        "water tank": p["water_tank_price"],
        "cryogenic tank": p["cryo_tank_price"],
        "spares": p["spares_price"],
        **dict.fromkeys(PLANTS.values(), 0.0),  # by their curves
    }


def masses(p: Campaign) -> dict[str, float]:
    """Mass of a unit, kg."""
    return {c: p["stage_dry_mass"] if c == "stage" else 1.0 for c in COMMODITIES}


def _launch(builder: NetworkBuilder, p: Campaign) -> None:
    mass = masses(p)
    paid = {**mass, "stage": mass["stage"] if p.reading.launch_of_stage_paid else 0.0}
    carried = ("stage", "propellant", *CARGO)
    cost = {c: price + p["launch_price"] * paid[c] for c, price in _prices(p).items()}
    builder.arc(
        "Earth",
        "LEO",
        LAUNCHES[0],
        carries=carried,
        concurrency_out=_tanks(p),
        limit={**dict.fromkeys(carried, _most(p)), "stage": p["new_stages"]},
        cost={"cost": cost, "launched": {c: mass[c] for c in carried}},
    )
    builder.arc(
        "Earth",
        "LEO",
        LAUNCHES[1],
        carries=["propellant"],
        limit={"propellant": _most(p)},
        cost={"cost": {"propellant": cost["propellant"]}, "launched": {"propellant": 1.0}},
    )


def lift(p: Campaign, delta_v: float) -> float:
    """Most cargo that one stage with full tanks moves over a leg, tanks of the cargo included, kg.

    A burn takes the share φ of all mass: ``propellant ≥ φ·(dry mass + cargo + propellant)``.
    """
    phi = propellant_fraction(delta_v, p["isp"])
    return max(min(p["stage_payload"], p["stage_propellant"] * (1 - phi) / phi - p["stage_dry_mass"]), 0.0)


def _most(p: Campaign) -> float:
    """More than ever flies or waits, kg."""
    carried = max(lift(p, delta_v_of(p, *leg)) for leg in LEGS)
    return p["most_stages"] * max(carried, p["stage_propellant"]) + sum(p.yearly.values()) * p.years


def _tanks(p: Campaign) -> list[dict[str, float]]:
    return [
        {**dict.fromkeys(GASES, 1 / p["cryo_per_tank"]), "cryogenic tank": -1.0},
        {"water": 1 / p["water_per_tank"], "water tank": -1.0},
    ]


def _flight(builder: NetworkBuilder, p: Campaign, tail: str, head: str, delta_v: float) -> None:
    stages, most = p["most_stages"], lift(p, delta_v)
    builder.arc(
        tail,
        head,
        events=[Burn(delta_v, p["isp"], {"propellant": 1.0}, {"stage": p["stage_dry_mass"]})],
        carries=("stage", "propellant", *CARGO),
        concurrency_out=[
            {**dict.fromkeys(CARGO, 1.0), "stage": -most},
            {"propellant": 1.0, "stage": -p["stage_propellant"]},
            *_tanks(p),
        ],
        limit={
            "stage": stages,
            "propellant": stages * p["stage_propellant"],
            **dict.fromkeys(CARGO, stages * most),
        },
        cost={"cost": {"stage": p["flight_price"]}},
        duration=1,
    )


def _loops(builder: NetworkBuilder, p: Campaign, place: str) -> None:
    """Waiting, and moving oxygen and hydrogen between cargo and the tanks of stages."""
    oxygen, hydrogen = p["mixture"] / (1 + p["mixture"]), 1 / (1 + p["mixture"])
    kept = ("stage", "propellant", *DEMANDED, "water tank", "cryogenic tank", "spares", *PLANTS.values())
    builder.arc(
        place,
        place,
        f"{place} waiting",
        carries=kept,
        concurrency_out=[
            {"propellant": 1.0, "stage": -p["stage_propellant"]},
            *(_tanks(p) if p.reading.storage_in_tanks else []),
        ],
        limit={**dict.fromkeys(kept, _most(p)), "stage": p["most_stages"]},
        duration=1,
    )
    builder.arc(
        place,
        place,
        f"{place} fuelling",
        carries=["propellant"],
        takes={"propellant": {"propellant": -1.0, "oxygen": oxygen, "hydrogen": hydrogen}},
        limit={"propellant": _most(p)},
    )
    if p.reading.delivers_own_propellant:
        builder.arc(
            place,
            place,
            f"{place} defuelling",
            events=[Conversion({"propellant": {"oxygen": oxygen, "hydrogen": hydrogen}})],
            carries=["propellant"],
            limit={"propellant": _most(p)},
        )


def _plant(builder: NetworkBuilder, p: Campaign, kind: str, site: str) -> None:
    split = p["water_split"]
    products = {"oxygen": split / (1 + split), "hydrogen": 1 / (1 + split)} if kind == "DWE" else {"water": 1.0}
    feed, plant = FEED[kind], PLANTS[kind]
    builder.arc(
        site,
        site,
        deploy_arc(kind, site),
        events=[Wear({plant: 1.0})],
        carries=[plant],
        limit={plant: largest(p, kind)},
    )
    builder.arc(
        site,
        site,
        work_arc(kind, site),
        events=[Conversion({feed: products}), Wear({"spares": 1.0})],
        carries=[feed, "spares"],
        limit={feed: _most(p), "spares": _most(p)},
        duration=work_duration(p, kind),
    )


def largest(p: Campaign, kind: str) -> float:
    """Largest plant of a kind at a site, kg."""
    return p["largest_extraction" if kind == "SWE" else "largest_electrolysis"]


def campaign_network(campaign: Campaign) -> TimeExpandedNetwork:
    """The network over all windows of a campaign."""
    base = base_network(campaign)
    count = windows(campaign)
    steps = POINTS * count
    last = [POINTS * w + POINTS - 1 for w in range(count)]
    flights = [t for t in range(steps) if t % POINTS < POINTS - 1]
    opens: dict[str, Sequence[int]] = {
        LAUNCHES[0]: [POINTS * w for w in range(count)],
        LAUNCHES[1]: [t for t in flights if t % POINTS > 0],
    }
    for arc in base.arcs:
        if "→" in arc:
            opens[arc] = flights
    for kind, site in campaign.structures:
        opens[deploy_arc(kind, site)] = [last[w] for k, s, w in campaign.builds if (k, s) == (kind, site)]
        opens[work_arc(kind, site)] = [t + 1 - work_duration(campaign, kind) for t in last[:-1]]
    due = [POINTS * WINDOWS_PER_YEAR * year + POINTS - 1 for year in campaign.due]
    expanded = expand(base, steps, demand_steps=due, windows=opens)
    return _tightened(expanded, campaign)


def _tightened(expanded: TimeExpandedNetwork, p: Campaign) -> TimeExpandedNetwork:
    """Bounds that follow from time: stages bought so far, and plants that fly in the first window only."""
    network = expanded.network
    limit = network.out.limit.copy()
    window = expanded.departure // POINTS
    stage = network.commodity("stage")
    limit[:, stage] = np.minimum(limit[:, stage], p["new_stages"] * (window + 1))
    plants = [network.commodity(c) for c in PLANTS.values()]
    takes_time = expanded.base.duration[expanded.arc] > 0
    last = max(w for _, _, w in p.builds)
    late = (window > last) | ((expanded.departure == POINTS * last + POINTS - 1) & takes_time)
    limit[np.ix_(late, plants)] = 0.0
    limit[_detours(expanded, p)] = 0.0
    network = network.replace(out=replace(network.out, limit=limit))
    return replace(expanded, network=pruned(network, _ends(expanded, p)))


def _detours(expanded: TimeExpandedNetwork, p: Campaign) -> Mask:
    """Flights of cargo on no simple path from where it can come from to where it can be of use, (arcs, k).

    Waiting is free, so cargo that would come back to a place may as well stay there.
    """
    base, network = expanded.base, expanded.network
    made: dict[str, set[str]] = {c: set() for c in CARGO}
    used: dict[str, set[str]] = {c: {node for (node, good), kg in p.yearly.items() if good == c and kg} for c in CARGO}
    for kind, site in p.structures:
        used[PLANTS[kind]].add(site)
        used["spares"].add(site)
        if kind == "DWE":
            used["water"].add(site)
        for good in GASES if kind == "DWE" else ("water",):
            made[good].add(site)
    for gas in GASES:
        used[gas] |= set(PLACES[1:])  # fuel
    found = np.zeros((network.n_arcs, network.k), dtype=bool)
    for good in CARGO:
        if good.endswith("tank"):  # goes to and fro
            continue
        kept = _simple_arcs({"LEO", *made[good]}, used[good])
        for tail, head in LEGS:
            for ends in ((tail, head), (head, tail)):
                name = "→".join(ends)
                if name in base.arcs and ends not in kept:
                    found[expanded.arc == base.arc(name), network.commodity(good)] = True
    return found


def _simple_arcs(origins: set[str], destinations: set[str]) -> set[tuple[str, str]]:
    """Arcs on paths without repetition from an origin to a destination."""
    neighbours = {place: {b for leg in LEGS for a, b in (leg, leg[::-1]) if a == place} for place in PLACES[1:]}
    found: set[tuple[str, str]] = set()
    paths: list[tuple[str, ...]] = [(place,) for place in origins]
    while paths:
        path = paths.pop()
        if path[-1] in destinations:
            found.update(pairwise(path))
        paths.extend((*path, place) for place in neighbours[path[-1]] - set(path))
    return found


def _ends(expanded: TimeExpandedNetwork, p: Campaign) -> Mask:
    """What is wanted for itself: plants where they are set up, and spares where these work."""
    base, network = expanded.base, expanded.network
    ends = np.zeros((network.n_arcs, network.k), dtype=bool)
    for kind, site in p.structures:
        ends[expanded.arc == base.arc(deploy_arc(kind, site)), network.commodity(PLANTS[kind])] = True
        ends[expanded.arc == base.arc(work_arc(kind, site)), network.commodity("spares")] = True
    return ends
