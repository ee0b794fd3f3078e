"""The Mars logistics network: sixteen places from Kennedy Space Center to Gale Crater (thesis, Chapter 4).

Six people stay 500 days on Mars and come home; propellant may be made on the Moon, on Phobos and Deimos, and on Mars.
The mass that leaves KSC is minimised. Fourteen commodities in kilograms, 174 pairs of place and mode times two engines,
and nine loops: 357 arcs. The network is the folder ``data``, which `stochisru.networks.load_network` reads: ΔV, times
of flight and parameters are the thesis', each with its source.

What the text leaves open is a `MarsReading`: `PUBLISHED` holds what the published flows (Table 4.2) tell and reproduces
all optima of Table 4.7, `TEXT_ONLY` what the text alone gives.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from importlib import resources
from typing import Literal

import numpy as np

from stochisru.errors import InputError
from stochisru.networks.files import load_network
from stochisru.networks.network import Network, position

Engine = Literal["LOX", "NTR"]
Rule = Literal["published", "text"]

#: Where plants may work; water ice everywhere but at Gale Crater, whose atmosphere gives oxygen.
SITES = ("LSP", "DEIM", "PHOB", "GC")
ENGINES: tuple[Engine, ...] = ("LOX", "NTR")


@dataclass(frozen=True)
class MarsReading:
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


PUBLISHED = MarsReading(
    hardware_loss=0.001,
    zero_delta_v=0.001,
    small_vehicle="published",
    leak_volume_vehicle=102.0,
    leak_volume_stay=140.4,
    stay_boil_factor=0.1,
)
TEXT_ONLY = MarsReading(
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
    reading: MarsReading = PUBLISHED
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


#: The network as a folder that `load_network` reads, and the published tables.
DATA = resources.files("stochisru.worked.mars") / "data"


def mars_data(name: str) -> list[dict[str, str]]:
    """Rows of a file of the package's Mars data."""
    path = DATA / f"{name}.csv"
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


@cache
def parameters() -> dict[str, float]:
    """Parameters of the thesis' Table 4.1 and appendix by key."""
    return {row["name"]: float(row["value"]) for row in mars_data("parameters")}


def mars_network(scenario: MarsScenario | None = None) -> Network:
    """The network of a scenario (the baseline if not given): the folder of the package's data with its parameters.

    Every arc has three rows of outflow concurrency and one of inflow concurrency, empty where it needs fewer, as the
    thesis counts them.
    """
    return _network(scenario or MarsScenario())


@lru_cache(maxsize=16)
def _network(scenario: MarsScenario) -> Network:
    reading = scenario.reading
    network = load_network(
        str(DATA),
        {
            "boil_off": scenario.boil_off,
            "isru_rate": scenario.isru_rate,
            "lifetime": scenario.lifetime,
            "aerobraking": float(scenario.aerobraking),
            **{f"use_{engine}": float(engine in scenario.engines) for engine in ENGINES},
            "flow_limit": scenario.flow_limit,
            "hardware_loss": reading.hardware_loss,
            "dv_zero": reading.zero_delta_v,
            "small_by_text": float(reading.small_vehicle == "text"),
            "leak_volume_mth": reading.leak_volume_vehicle,
            "leak_volume_stay": reading.leak_volume_stay,
            "stay_boil_factor": reading.stay_boil_factor,
        },
    )
    idle = [network.arc(f"{site} plant") for site in SITES if site not in scenario.sites]
    return network.closed(np.array(idle, dtype=np.int64)).replace(name=f"Mars, {scenario.name}")
