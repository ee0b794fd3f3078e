"""A plan flown again, event by event, by its own arithmetic: what is where, what is burnt, and what all of it costs.

The search solves a program; this module knows nothing of it. It takes the events of a plan (launches, flights,
fuelling, plants set up and at work, what is left where) and the numbers of the campaign, keeps a store at every place,
burns by the rocket equation, sizes plants by Eqs 38-40 interval by interval, hands over what is in demand, and adds up
the bill. Whatever a store, a tank or a plant lacks on the way is a shortage.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import exp
from typing import TYPE_CHECKING, Any

from stochisru.lunar.derivation import STANDARD_GRAVITY
from stochisru.worked.cislunar.network import GASES, LEGS, PLANTS, POINTS, windows
from stochisru.worked.cislunar.parameters import PLACES, WINDOWS_PER_YEAR, Campaign

if TYPE_CHECKING:
    from stochisru.worked.cislunar.campaign import CampaignResult

#: A shortage or surplus of so many kg, or of this share of a quantity or a cost, is the solver's rounding.
TOLERANCE, RELATIVE = 0.5, 1e-6


#: Order of events at one point in time. Plants are set up before they work, which extraction does from then on.
_ORDER = ("launch", "set-up", "work", "defuelling", "fuelling", "flight")


@dataclass(frozen=True)
class Happening:
    """One event of a plan.

    Attributes
    ----------
    step
        Point in time: window times `POINTS` plus the point within it.
    kind
        ``launch``, ``flight``, ``fuelling``, ``defuelling``, ``set-up``, ``work`` or ``waiting``.
    place, head
        Where it happens, and where a flight goes.
    amounts
        By commodity: what leaves (kg; stages in number), what is filled in, the plant set up, feed and spares of work,
        what is left at the place until the next point.
    plant
        Kind of the plant that is set up or works.
    """

    step: int
    kind: str
    place: str
    amounts: Mapping[str, float]
    head: str = ""
    plant: str = ""


@dataclass
class Replay:
    """What a plan comes to when it is flown again.

    Attributes
    ----------
    cost
        Its bill, $.
    claimed
        The cost that the search gave it, $.
    shortages
        ``{rule: largest shortage}`` in kg (stages in number), 0 where a rule is kept.
    delivered
        What was handed over, kg by (place, commodity).
    """

    cost: float
    claimed: float
    shortages: dict[str, float] = field(default_factory=dict)
    delivered: dict[tuple[str, str], float] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        """Whether nothing is short and the bill is the claimed cost."""
        right = abs(self.cost - self.claimed) <= RELATIVE * max(self.claimed, 1.0) + 1.0
        return right and all(amount == 0 for amount in self.shortages.values())

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"cost": self.cost, "holds": self.holds, "shortages": self.shortages}


def replay(result: CampaignResult) -> Replay:
    """Fly the plan of a result again."""
    return fly(result.campaign, happenings(result), result.builds, result.cost)


def happenings(result: CampaignResult) -> list[Happening]:
    """The events of a plan, read off the flows of its network."""
    expanded, out = result.program.expanded, result.flows.out
    base = expanded.base
    found = []
    for arc, step in enumerate(expanded.departure):
        amounts = {c: float(kg) for c, kg in zip(base.commodities, out[arc], strict=True) if kg > 0}
        number = int(expanded.arc[arc])
        name, tail, head = base.arcs[number], base.nodes[base.tail[number]], base.nodes[base.head[number]]
        if not amounts:
            continue
        if tail == "Earth":
            found.append(Happening(int(step), "launch", tail, amounts, head))
        elif tail != head:
            found.append(Happening(int(step), "flight", tail, amounts, head))
        else:
            _, *plant, kind = name.split(" ")
            found.append(Happening(int(step), kind, tail, amounts, plant=plant[0] if plant else ""))
    return found


#: Plants that have been set up, kg by (kind, site, window).
_Standing = defaultdict[tuple[str, str, int], float]


class _Ledger:
    """Stores, bill and shortages while a plan is flown."""

    def __init__(self, campaign: Campaign) -> None:
        self.p = campaign
        self.store: dict[str, defaultdict[str, float]] = {place: defaultdict(float) for place in PLACES[1:]}
        self.cost = 0.0
        self.shortages: dict[str, float] = {}

    def require(self, rule: str, have: float, need: float) -> None:
        """Note by how much something is short."""
        short = need - have
        small = RELATIVE * abs(need) if rule.startswith("stages") else TOLERANCE + RELATIVE * abs(need)
        self.shortages[rule] = max(self.shortages.get(rule, 0.0), short if short > small else 0.0)

    def take(self, place: str, commodity: str, amount: float, rule: str) -> None:
        """Take out of a store."""
        here = self.store[place]
        self.require(rule, here[commodity], amount)
        here[commodity] = max(here[commodity] - amount, 0.0)

    def tanks(self, amounts: Mapping[str, float], rule: str) -> None:
        """Tanks of what flies."""
        gases = sum(amounts.get(gas, 0.0) for gas in GASES)
        self.require(
            f"tanks for oxygen and hydrogen {rule}", amounts.get("cryogenic tank", 0.0) * self.p["cryo_per_tank"], gases
        )
        water = amounts.get("water tank", 0.0) * self.p["water_per_tank"]
        self.require(f"tanks for water {rule}", water, amounts.get("water", 0.0))


def fly(
    campaign: Campaign, events: list[Happening], plants: Mapping[tuple[str, str, int], float], claimed: float = 0.0
) -> Replay:
    """Fly events in their order against the rules and demands of a campaign.

    Parameters
    ----------
    plants
        Mass of every plant, kg by (kind, site, window after whose flights it is set up), what stands there at the start
        included.
    claimed
        The cost to compare with, $.
    """
    ledger, p = _Ledger(campaign), campaign
    by_step: defaultdict[int, list[Happening]] = defaultdict(list)
    waiting: defaultdict[int, dict[str, Mapping[str, float]]] = defaultdict(dict)
    for event in events:
        if event.kind == "waiting":
            waiting[event.step][event.place] = event.amounts
        else:
            by_step[event.step].append(event)
    arriving: defaultdict[int, list[tuple[str, dict[str, float]]]] = defaultdict(list)
    standing: _Standing = defaultdict(float)
    if p.reading.initial != "none":
        standing[p.reading.initial, "Moon", 0] = p["initial_plant"]
    bought_in: defaultdict[int, float] = defaultdict(float)
    delivered: defaultdict[tuple[str, str], float] = defaultdict(float)
    for step in range(POINTS * windows(p)):
        window, point = divmod(step, POINTS)
        for place, amounts in arriving.pop(step, ()):
            for commodity, kg in amounts.items():
                ledger.store[place][commodity] += kg
        now = sorted(by_step[step], key=lambda event: _ORDER.index(event.kind))
        for event in now:
            if event.kind == "launch":
                _launch(ledger, event, point)
                bought_in[window] += event.amounts.get("stage", 0.0)
            elif event.kind == "work":
                _work(ledger, event, standing, point, arriving)
            elif event.kind == "flight":
                _flight(ledger, event, point, arriving)
            elif event.kind == "set-up":
                _set_up(ledger, event, standing, point)
            else:
                _fuel(ledger, event)
        if point == POINTS - 1 and window % WINDOWS_PER_YEAR == 0 and window // WINDOWS_PER_YEAR in p.due:
            for (place, commodity), kg in p.yearly.items():
                before = ledger.store[place][commodity]
                ledger.take(place, commodity, kg, f"demand of {commodity} at {place}")
                delivered[place, commodity] += min(before, kg)
        _wait(ledger, waiting[step])
    for window, stages in bought_in.items():
        ledger.require(f"stages on Earth in window {window}", p["new_stages"], stages)
    _upkeep(ledger, events, plants)
    for build, kg in plants.items():
        ledger.require("plants as large as paid for", kg, standing[build])
        ledger.cost += price_of_plant(p, kg)
    for build in set(standing) - set(plants):
        ledger.require("plants as large as paid for", 0.0, standing[build])
    return Replay(ledger.cost, claimed, ledger.shortages, dict(delivered))


def _launch(ledger: _Ledger, event: Happening, point: int) -> None:
    p, amounts = ledger.p, event.amounts
    ledger.require("launches at the first point of a window", float(point == 0 or set(amounts) == {"propellant"}), 1.0)
    oxygen = p["mixture"] / (1 + p["mixture"])
    price = {
        "stage": p["stage_price"],
        "propellant": oxygen * p["oxygen_price"] + (1 - oxygen) * p["hydrogen_price"],
        "water tank": p["water_tank_price"],
        "cryogenic tank": p["cryo_tank_price"],
        **{good: p[f"{good}_price"] for good in ("payload", "oxygen", "hydrogen", "water", "spares")},
    }
    for commodity, amount in amounts.items():
        mass = p["stage_dry_mass"] if commodity == "stage" else 1.0
        paid = mass if commodity != "stage" or p.reading.launch_of_stage_paid else 0.0
        ledger.cost += amount * (price.get(commodity, 0.0) + paid * p["launch_price"])
        ledger.store["LEO"][commodity] += amount
    ledger.tanks(amounts, "at launch")


def _flight(
    ledger: _Ledger, event: Happening, point: int, arriving: defaultdict[int, list[tuple[str, dict[str, float]]]]
) -> None:
    p, amounts = ledger.p, dict(event.amounts)
    ledger.require("flights within windows", float(point < POINTS - 1), 1.0)
    leg = (event.place, event.head) if (event.place, event.head) in LEGS else (event.head, event.place)
    delta_v = p[f"delta_v_{leg[0]}_{leg[1]}".lower()]
    stages, propellant = amounts.get("stage", 0.0), amounts.get("propellant", 0.0)
    ledger.require("stages in whole numbers", -abs(stages - round(stages)), -1e-5)
    cargo = sum(kg for commodity, kg in amounts.items() if commodity not in ("stage", "propellant"))
    mass = stages * p["stage_dry_mass"] + cargo + propellant
    burnt = mass * (1 - exp(-1000 * delta_v / (STANDARD_GRAVITY * p["isp"])))
    ledger.require("propellant for the burn", propellant, burnt)
    ledger.require("propellant within the stages' tanks", stages * p["stage_propellant"], propellant)
    ledger.require("cargo within the stages' limit", stages * p["stage_payload"], cargo)
    ledger.tanks(amounts, "in flight")
    for commodity, amount in amounts.items():
        ledger.take(event.place, commodity, amount, f"{'stages' if commodity == 'stage' else 'cargo'} for flights")
    ledger.cost += stages * p["flight_price"]
    amounts["propellant"] = max(propellant - burnt, 0.0)
    arriving[event.step + 1].append((event.head, amounts))


def _set_up(ledger: _Ledger, event: Happening, standing: _Standing, point: int) -> None:
    plant = PLANTS[event.plant]
    kg = event.amounts[plant]
    ledger.require("plants set up between windows", float(point == POINTS - 1), 1.0)
    ledger.take(event.place, plant, kg, "plants at their site")
    standing[event.plant, event.place, event.step // POINTS] += kg


def _fuel(ledger: _Ledger, event: Happening) -> None:
    p, kg = ledger.p, event.amounts["propellant"]
    oxygen = kg * p["mixture"] / (1 + p["mixture"])
    here = ledger.store[event.place]
    if event.kind == "fuelling":
        ledger.take(event.place, "oxygen", oxygen, "oxygen for fuelling")
        ledger.take(event.place, "hydrogen", kg - oxygen, "hydrogen for fuelling")
        here["propellant"] += kg
    else:
        ledger.require("a stage's own propellant stays its own", float(p.reading.delivers_own_propellant), 1.0)
        ledger.take(event.place, "propellant", kg, "propellant for defuelling")
        here["oxygen"] += oxygen
        here["hydrogen"] += kg - oxygen


def _work(
    ledger: _Ledger,
    event: Happening,
    standing: _Standing,
    point: int,
    arriving: defaultdict[int, list[tuple[str, dict[str, float]]]],
) -> None:
    p, kind, site = ledger.p, event.plant, event.place
    feed = event.amounts.get("soil" if kind == "SWE" else "water", 0.0)
    half_year = _half_year(p, event)
    set_up = [kg for (k, s, window), kg in standing.items() if (k, s) == (kind, site) and window < half_year]
    most = sum(output_of_plant(p, kind, kg) for kg in set_up) / WINDOWS_PER_YEAR
    ledger.require(f"output of {kind} {site}", most, feed)
    ledger.take(site, "spares", event.amounts.get("spares", 0.0), "spares at work")
    if kind == "SWE":
        ledger.require("work between windows", float(point == POINTS - 1), 1.0)
        arriving[event.step + 1].append((site, {"water": feed}))
        return
    ledger.take(site, "water", feed, f"water for DWE {site}")
    gases = {"oxygen": feed * p["water_split"] / (1 + p["water_split"]), "hydrogen": feed / (1 + p["water_split"])}
    if p.reading.same_half_year:
        ledger.require("work between windows", float(point == 0), 1.0)
        for gas, kg in gases.items():
            ledger.store[site][gas] += kg
    else:
        ledger.require("work between windows", float(point == POINTS - 1), 1.0)
        arriving[event.step + 1].append((site, gases))


def _half_year(campaign: Campaign, event: Happening) -> int:
    """Half year in which a plant works, 1 for the first."""
    starts = event.plant == "SWE" or not campaign.reading.same_half_year
    return event.step // POINTS + (1 if starts else 0)


def _upkeep(ledger: _Ledger, events: list[Happening], plants: Mapping[tuple[str, str, int], float]) -> None:
    """Spares of every plant in every half year, whether it works or not."""
    p = ledger.p
    used: defaultdict[tuple[str, str, int], float] = defaultdict(float)
    for event in events:
        if event.kind == "work":
            used[event.plant, event.place, _half_year(p, event)] += event.amounts.get("spares", 0.0)
    for kind, site in {(kind, site) for kind, site, _ in plants}:
        for half_year in range(1, windows(p)):
            mass = sum(kg for (k, s, window), kg in plants.items() if (k, s) == (kind, site) and window < half_year)
            need = mass * p["spares"] / WINDOWS_PER_YEAR
            ledger.require(f"spares of {kind} {site}", used[kind, site, half_year], need)


def _wait(ledger: _Ledger, waiting: Mapping[str, Mapping[str, float]]) -> None:
    """What a plan leaves at a place stays there; anything beyond it is lost."""
    p = ledger.p
    for place, here in ledger.store.items():
        kept = waiting.get(place, {})
        for commodity, amount in kept.items():
            ledger.require("stages that wait" if commodity == "stage" else "what waits", here[commodity], amount)
        ledger.require(
            "propellant within the stages' tanks",
            kept.get("stage", 0.0) * p["stage_propellant"],
            kept.get("propellant", 0.0),
        )
        if p.reading.storage_in_tanks:
            ledger.tanks(kept, "in store")
        ledger.store[place] = defaultdict(float, kept)


def output_of_plant(campaign: Campaign, kind: str, kg: float) -> float:
    """Eqs 38 and 39, interval by interval: kg of water a year."""
    rate = campaign["extraction_rate" if kind == "SWE" else "electrolysis_rate"]
    total, interval = 0.0, 0
    while kg > 0:
        part = min(kg, campaign["interval"])
        total += part * rate * (1 + campaign["volume_discount"]) ** interval
        kg, interval = kg - part, interval + 1
    return total


def price_of_plant(campaign: Campaign, kg: float) -> float:
    """Eq 40, interval by interval: $, for anything below the first plant's mass its price."""
    if kg <= 0:
        return 0.0
    total, interval, done = campaign["first_plant_price"], 0, 0.0
    while done < kg:
        end = min(kg, (interval + 1) * campaign["interval"])
        charged = max(end - max(done, campaign["first_plant_mass"]), 0.0)
        total += charged * campaign["plant_price"] * (1 - campaign["cost_discount"]) ** interval
        done, interval = end, interval + 1
    return total
