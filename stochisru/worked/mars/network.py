"""The Mars logistics network: sixteen places from Kennedy Space Center to Gale Crater (thesis, Chapter 4).

Six people stay 500 days on Mars and come home; propellant may be made on the Moon, on Phobos and Deimos, and on Mars.
The mass that leaves KSC is minimised. Fourteen commodities in kilograms, 174 pairs of place and mode times two engines,
and nine loops: 357 arcs. ΔV, times of flight and parameters are the thesis' (package data, with sources).

What the text leaves open is a `Reading`: `PUBLISHED` holds what the published flows (Table 4.2) tell and reproduces all
optima of Table 4.7, `TEXT_ONLY` what the text alone gives.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import Any, Literal, NamedTuple

from stochisru.errors import InputError
from stochisru.networks.builder import NetworkBuilder
from stochisru.networks.events import (
    BoilOff,
    Burn,
    Consumption,
    Event,
    Leakage,
    Production,
    Wear,
    electrolysis_and_synthesis,
    stoichiometry,
    switch,
    tank_ratio,
)
from stochisru.networks.network import Network, position

Engine = Literal["LOX", "NTR"]
Rule = Literal["published", "text"]

NODES = (
    "KSC", "PAC", "LEO", "GTO", "GEO", "LSP", "LLO", "EML1", "EML2", "EML45", "DTO", "DEIM", "PTO", "PHOB", "LMO", "GC",
)  # fmt: skip
COMMODITIES = (
    "vehicle", "habitat", "crew", "crewRe", "hydrogen", "oxygen", "water", "food", "waste",
    "inertLOX", "inertNTR", "aeroshell", "plant", "maintenance",
)  # fmt: skip
#: Where plants may work; water ice everywhere but at Gale Crater, whose atmosphere gives oxygen.
SITES = ("LSP", "DEIM", "PHOB", "GC")
ENGINES: tuple[Engine, ...] = ("LOX", "NTR")
_HARDWARE = ("inertLOX", "inertNTR", "aeroshell")
_TANK = {"LOX": "inertLOX", "NTR": "inertNTR"}
#: What the tanks of an engine must hold; oxygen flies without a tank on arcs of the nuclear engine (see docs).
_IN_TANKS = {"LOX": ("hydrogen", "oxygen", "water"), "NTR": ("hydrogen", "water")}
_MOONS = {"LSP", "DEIM", "PHOB"}
_LANDINGS = ({"DTO", "DEIM"}, {"PTO", "PHOB"}, {"LMO", "GC"}, {"LLO", "LSP"})
_SURFACES = {"KSC", "PAC", "GC", *_MOONS}
#: Days above which an arc is an interplanetary transfer.
_TRANSFER_DAYS = 100.0


@dataclass(frozen=True)
class Reading:
    """What the text of the thesis does not say; each is switched off by the value in `TEXT_ONLY`.

    Attributes
    ----------
    hardware_loss
        Share of tanks and aeroshells lost on every transport arc.
    zero_delta_v
        ΔV of the aerobraking arcs that are printed 0.00, km/s.
    small_vehicle
        Where the crew vehicle of 10 t is enough. ``published``: with LOX on the launch, on arcs into PAC shorter
        than 100 days, between a moon and its orbit and LMO–GC; with NTR on every arc that touches KSC, PAC or GC,
        however long. ``text``: on all arcs shorter than 100 days that touch a surface.
    leak_volume_vehicle
        Volume by which the whole crew vehicle leaks oxygen, m³; other vehicles leak in proportion to mass.
    leak_volume_stay
        Volume by which the habitat leaks during the stay, m³.
    stay_boil_factor
        Boil-off rate on Mars over that in space.
    """

    hardware_loss: float
    zero_delta_v: float
    small_vehicle: Rule
    leak_volume_vehicle: float
    leak_volume_stay: float
    stay_boil_factor: float


PUBLISHED = Reading(
    hardware_loss=0.001,
    zero_delta_v=0.001,
    small_vehicle="published",
    leak_volume_vehicle=102.0,
    leak_volume_stay=140.4,
    stay_boil_factor=0.1,
)
TEXT_ONLY = Reading(
    hardware_loss=0.0,
    zero_delta_v=0.0,
    small_vehicle="text",
    leak_volume_vehicle=0.0,
    leak_volume_stay=0.0,
    stay_boil_factor=1.0,
)
READINGS = {"published": PUBLISHED, "text-only": TEXT_ONLY}


@dataclass(frozen=True)
class MarsScenario:
    """What may be flown and built.

    Attributes
    ----------
    name
        Name.
    sites
        Where plants may work, of `SITES`.
    engines
        Engines in space, of `ENGINES`; the launch is LOX/LH2 always.
    aerobraking
        Whether arcs with an aeroshell may be used.
    boil_off
        Factor on the boil-off rates; 0 is no boil-off.
    isru_rate
        Resource per plant and year, kg/(kg yr).
    lifetime
        Years that a plant works.
    reading
        What the text leaves open.
    flow_limit
        Largest flow of a commodity on an arc, kg; far above any optimum, it makes bounds finite.
    """

    name: str = "baseline"
    sites: tuple[str, ...] = SITES
    engines: tuple[Engine, ...] = ENGINES
    aerobraking: bool = True
    boil_off: float = 1.0
    isru_rate: float = 10.0
    lifetime: float = 5.0
    reading: Reading = PUBLISHED
    flow_limit: float = 1e8

    def __post_init__(self) -> None:
        for field, names, allowed in (("sites", self.sites, SITES), ("engines", self.engines, ENGINES)):
            for name in names:
                position(allowed, name, field)
        if not self.engines:
            raise InputError(f"engines: must be at least one of {', '.join(ENGINES)}, got none")
        for field in ("boil_off", "isru_rate", "lifetime"):
            if not 0 <= getattr(self, field) <= 1e6:
                raise InputError(f"{field}: must be in [0, 1e6], got {getattr(self, field)}")
        if self.lifetime == 0:
            raise InputError("lifetime: must be > 0, got 0 (for no plants, give no sites)")

    def replace(self, **changes: object) -> MarsScenario:
        """A copy with some fields changed."""
        return replace(self, **changes)  # type: ignore[arg-type]


#: The scenarios of Table 4.7 by their name there.
SCENARIOS: dict[str, MarsScenario] = {
    scenario.name: scenario
    for scenario in (
        MarsScenario("baseline"),
        MarsScenario("1", engines=("LOX",)),
        MarsScenario("2", engines=("NTR",)),
        MarsScenario("3", aerobraking=False),
        MarsScenario("4", sites=("LSP", "GC")),
        MarsScenario("5", sites=("LSP",)),
        MarsScenario("6", sites=("GC",)),
        MarsScenario("7", sites=()),
        MarsScenario("8", boil_off=0.0),
    )
}


class Transport(NamedTuple):
    """A transport arc."""

    tail: str
    head: str
    mode: str
    engine: Engine
    delta_v_km_s: float
    days: float

    @property
    def name(self) -> str:
        """Name of its arc."""
        return f"{self.tail}→{self.head} {self.engine}{' aero' if self.mode == 'aero' else ''}"


def mars_data(name: str) -> list[dict[str, str]]:
    """Rows of a file of the package's Mars data."""
    path = resources.files("stochisru.worked.mars") / "data" / f"{name}.csv"
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


@cache
def parameters() -> dict[str, float]:
    """Parameters of the thesis' Table 4.1 and appendix by key."""
    return {row["key"]: float(row["value"]) for row in mars_data("params")}


@cache
def transports() -> tuple[Transport, ...]:
    """The 348 transport arcs."""
    days = {(r["origin"], r["dest"], r["mode"]): float(r["value"]) for r in mars_data("tof")}
    return tuple(
        Transport(tail, head, mode, engine, float(row["value"]), days[tail, head, mode])
        for row in mars_data("deltav")
        for tail, head, mode in [(row["origin"], row["dest"], row["mode"])]
        for engine in ENGINES
    )


def mars_network(scenario: MarsScenario | None = None) -> Network:
    """The network of a scenario (the baseline if not given).

    Every arc has three rows of outflow concurrency and one of inflow concurrency, empty where it needs fewer, as the
    thesis counts them.
    """
    scenario = scenario or MarsScenario()
    p = parameters()
    builder = NetworkBuilder(f"Mars, {scenario.name}", dict.fromkeys(COMMODITIES, "kg"), {"launch_mass": "kg at KSC"})
    supply = {
        "KSC": {c: float("inf") for c in COMMODITIES if c != "crewRe"},
        "PAC": {"crewRe": -p["crew_mass"]},
        "GC": {"habitat": -p["habitat_demand"]},
    }
    for node in NODES:
        builder.node(node, supply.get(node))
    everything = dict.fromkeys(COMMODITIES, scenario.flow_limit)
    mass = {"launch_mass": dict.fromkeys(COMMODITIES, 1.0)}
    for arc in transports():
        builder.arc(
            arc.tail,
            arc.head,
            arc.name,
            events=_flight(arc, scenario),
            concurrency_out=_outflow_rows(arc, scenario.reading),
            concurrency_in=[_aeroshell(p["theta"]) if arc.mode == "aero" else {}],
            limit=everything if _flies(arc, scenario) else dict.fromkeys(COMMODITIES, 0.0),
            cost=mass if arc.tail == "KSC" else None,
        )
    for site in SITES:
        working = everything if site in scenario.sites else dict.fromkeys(COMMODITIES, 0.0)
        builder.arc(site, site, f"{site} plant", events=[_plant(site, scenario)], **_EMPTY, limit=working)
    for site in SITES:
        builder.arc(
            site,
            site,
            f"{site} water",
            events=[electrolysis_and_synthesis()],
            concurrency_out=[*stoichiometry(), {}],
            concurrency_in=[{}],
            carries=("hydrogen", "oxygen", "water"),
            limit=everything,
        )
    builder.arc("GC", "GC", "GC stay", events=_stay(scenario), **_EMPTY, limit=everything)
    return builder.build()


_EMPTY: dict[str, Any] = {"concurrency_out": ({}, {}, {}), "concurrency_in": ({},)}


def _flies(arc: Transport, scenario: MarsScenario) -> bool:
    if arc.mode == "aero" and not scenario.aerobraking:
        return False
    if arc.tail == "KSC":
        return arc.engine == "LOX"
    return arc.engine in scenario.engines


def _flight(arc: Transport, scenario: MarsScenario) -> list[Event]:
    """Burn, boil-off, crew, leakage, wear."""
    p, reading = parameters(), scenario.reading
    braked_for_nothing = arc.mode == "aero" and arc.delta_v_km_s == 0
    delta_v = reading.zero_delta_v if braked_for_nothing else arc.delta_v_km_s
    hydrogen = 1 / (1 + p["mixture_lox"])
    mixture = {"hydrogen": hydrogen, "oxygen": 1 - hydrogen} if arc.engine == "LOX" else {"hydrogen": 1.0}
    leak = p["leak_rate"] * reading.leak_volume_vehicle / p["mth_cev"]
    return [
        Burn(delta_v, p["isp_lox"] if arc.engine == "LOX" else p["isp_ntr"], mixture),
        _boil_off(scenario.boil_off, arc.days),
        _crew("crew", arc.days),
        _crew("crewRe", arc.days),
        Leakage("oxygen", "vehicle", leak, arc.days),
        Wear(dict.fromkeys(_HARDWARE, reading.hardware_loss)),
    ]


def _boil_off(factor: float, days: float) -> BoilOff:
    p = parameters()
    return BoilOff({"hydrogen": factor * p["boil_h2"], "oxygen": factor * p["boil_o2"]}, days)


def _crew(crew: str, days: float) -> Consumption:
    """A crew's food, water and oxygen become waste; rates are per kilogram of crew."""
    p = parameters()
    per = p["n_crew"] / p["crew_mass"]
    uses = {"oxygen": p["o2_use"] * per, "water": p["water_use"] * per, "food": p["food_use"] * per}
    return Consumption(crew, uses, {"waste": p["waste_gen"] * per}, days)


def _stay(scenario: MarsScenario) -> list[Event]:
    """The crew's stay on Mars, after which it is a returning crew."""
    p, reading = parameters(), scenario.reading
    days = p["stay_days"]
    return [
        _boil_off(scenario.boil_off * reading.stay_boil_factor, days),
        _crew("crew", days),
        Leakage("oxygen", "crew", p["leak_rate"] * reading.leak_volume_stay / p["crew_mass"], days),
        switch("crew", "crewRe"),
    ]


def _plant(site: str, scenario: MarsScenario) -> Production:
    """A plant's whole life: it makes its resource, uses maintenance, and is used up."""
    resource = "oxygen" if site == "GC" else "water"
    made = scenario.isru_rate * scenario.lifetime
    return Production("plant", {resource: made}, {"maintenance": parameters()["maint_rate"] * scenario.lifetime})


def _outflow_rows(arc: Transport, reading: Reading) -> list[dict[str, float]]:
    """A crew needs its vehicle; propellant needs tanks, of the engine that flies."""
    p = parameters()
    vehicle = (p["cev"] if _small_vehicle(arc, reading.small_vehicle) else p["mth_cev"]) / p["crew_mass"]
    rows: list[dict[str, float]] = [{"crew": vehicle, "crewRe": vehicle, "vehicle": -1.0}]
    for engine in ENGINES:
        tanks = {_TANK[engine]: -1.0, **dict.fromkeys(_IN_TANKS[engine], tank_ratio(_inert_fraction(arc)))}
        rows.append(tanks if engine == arc.engine else {})
    return rows


def _inert_fraction(arc: Transport) -> float:
    p = parameters()
    if arc.engine == "NTR":
        return p["finert_ntr"]
    on_a_moon = bool({arc.tail, arc.head} & _MOONS)
    return p["finert_lox_surface"] if on_a_moon or arc.tail == "GC" else p["finert_lox"]


def _small_vehicle(arc: Transport, rule: Rule) -> bool:
    touched = {arc.tail, arc.head}
    if rule == "text":
        return bool(touched & _SURFACES) and arc.days < _TRANSFER_DAYS
    if arc.engine == "NTR":
        return bool(touched & {"KSC", "PAC", "GC"})
    return arc.tail == "KSC" or (arc.head == "PAC" and arc.days < _TRANSFER_DAYS) or touched in _LANDINGS


def _aeroshell(share: float) -> dict[str, float]:
    """The shell is a share of everything else that is braked."""
    return {**dict.fromkeys(COMMODITIES, share), "aeroshell": -1.0}
