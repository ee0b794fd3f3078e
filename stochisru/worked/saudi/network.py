"""The Saudi water and power network (thesis, Section 3.2.2, Chapter 5, Appendix B): data and assembly.

97 cities, 42 desalination plants and 69 power plants are 208 nodes; 302 connections are 604 arcs that carry potable
water and electricity; a loop at every node holds all its processes. Six commodities: raw water (sea or ground),
potable, non-potable and waste water in 1000 m³/day, fuel (as the electricity it makes) and electricity in MWh/day.

========================  ===========================================================================================
on a loop                 becomes
========================  ===========================================================================================
raw water                 potable water, taking electricity (desalination, or ground water in a city)
potable water             non-potable water (in a city)
waste water               0.9 of non-potable water, taking electricity (treatment in a city)
fuel                      electricity
========================  ===========================================================================================

The connections are not published; `network.csv` rebuilds a comparable set (see its README). What else the thesis leaves
open is a field of `SaudiOptions`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal, NamedTuple

import numpy as np

from scenario_trees.arrays import Array
from stochisru.errors import InputError
from stochisru.networks.builder import NetworkBuilder
from stochisru.networks.events import Conversion, LineLoss
from stochisru.networks.network import Network, position
from stochisru.worked.saudi.infrastructure import (
    DAYS_PER_YEAR,
    assumptions,
    power_use,
    pumping_energy,
    saudi_data,
    text_parameters,
    yearly_capex,
)

COMMODITIES = {
    "raw water": "1000 m3/day",
    "potable water": "1000 m3/day",
    "non-potable water": "1000 m3/day",
    "waste water": "1000 m3/day",
    "fuel": "MWh/day",
    "electricity": "MWh/day",
}
CRITERIA = {"capex": "billion USD/yr", "opex": "billion USD/yr", "co2": "Mt/yr"}
#: Years of the study and the population that scales the demands of 2030 (Section 5.3.2).
YEARS = {2030: "population_kingdom_2030", 2050: "population_kingdom_2050"}
#: From USD per unit and day to billion USD per thousand units and year; the same factor takes kg to Mt.
_PER_YEAR = 1000 * DAYS_PER_YEAR / 1e9

Kind = Literal["city", "desalination", "power"]
Powerlines = Literal["existing", "new"]
POWERLINES: tuple[Powerlines, ...] = ("existing", "new")


@dataclass(frozen=True)
class SaudiOptions:
    """What the thesis leaves open, and what its research questions change.

    Attributes
    ----------
    year
        2030 or 2050.
    pipe_diameter_m
        Of all pipelines; not published, 1.5 fits the published totals best.
    powerlines
        ``existing``: a powerline lies along every connection; ``new``: each must be built.
    pipeline_capacity
        Of existing pipelines, 1000 m³/day; a pipeline that is built anew has the capacity it needs.
    treatment_opex
        OPEX of waste-water treatment, USD/m³. Table B.1 prints 0.5; the published OPEX at w ≥ 0.9 is only
        consistent without it.
    headroom
        Factor on the bound of each flow (M): what the flow could have to serve, grossed up by losses.
    lost
        Names of nodes (their processes stop) that are lost.
    lost_pipelines
        Pairs of node names whose pipeline is lost, in both directions.
    forced_pipelines
        Pairs of node names whose pipeline must be built or kept, used or not, from the first to the second.
    """

    year: int = 2030
    pipe_diameter_m: float = 1.5
    powerlines: Powerlines = "existing"
    pipeline_capacity: float = float("inf")
    treatment_opex: float = 0.5
    headroom: float = 1.1
    lost: tuple[str, ...] = ()
    lost_pipelines: tuple[tuple[str, str], ...] = ()
    forced_pipelines: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if self.year not in YEARS:
            raise InputError(f"year: must be one of {', '.join(map(str, YEARS))}, got {self.year}")
        if not self.pipe_diameter_m > 0:
            raise InputError(f"pipe_diameter_m: must be > 0, got {self.pipe_diameter_m}")
        position(POWERLINES, self.powerlines, "powerlines")
        if not self.headroom >= 1:
            raise InputError(f"headroom: must be >= 1, got {self.headroom}")
        for field in ("pipeline_capacity", "treatment_opex"):
            if not getattr(self, field) >= 0:
                raise InputError(f"{field}: must be >= 0, got {getattr(self, field)}")

    def replace(self, **changes: object) -> SaudiOptions:
        """A copy with some fields changed."""
        return replace(self, **changes)  # type: ignore[arg-type]


class Site(NamedTuple):
    """A node: place, and what its loop can do. Capacities in 1000 m³/day and MWh/day."""

    number: int
    name: str
    kind: Kind
    latitude: float
    longitude: float
    elevation_m: float
    technology: str = ""
    fuel: str = ""
    water_capacity: float = 0.0
    treatment_capacity: float = 0.0
    power_capacity: float = 0.0
    potable_demand: float = 0.0
    nonpotable_demand: float = 0.0
    waste_water: float = 0.0


class Connection(NamedTuple):
    """A connection of two sites, numbers as in the thesis."""

    first: int
    second: int
    km: float
    existing_pipeline: bool


@cache
def sites() -> tuple[Site, ...]:
    """The 208 nodes, demands of 2030; facilities that are planned but not built have no capacity yet."""

    def site(row: dict[str, str], name: str, kind: Kind, **what: Any) -> Site:
        return Site(
            number=int(row["id"]),
            name=row[name],
            kind=kind,
            latitude=float(row["latitude_degN"]),
            longitude=float(row["longitude_degE"]),
            elevation_m=float(row["elevation_m"]),
            **what,
        )

    found = []
    for row in saudi_data("cities"):

        def water(field: str, row: dict[str, str] = row) -> float:
            return float(row[f"{field}_m3d"]) / 1000

        found.append(
            site(
                row,
                "city",
                "city",
                technology="groundwater",
                water_capacity=water("groundwater_cap"),
                treatment_capacity=water("treatment_cap"),
                potable_demand=water("potable_demand"),
                nonpotable_demand=water("nonpotable_demand"),
                waste_water=water("wastewater_gen"),
            )
        )
    for row in saudi_data("desalination_plants"):
        built = row["status"] == "existing"
        power = float(row["power_cap_MW"])
        found.append(
            site(
                row,
                "plant",
                "desalination",
                technology=row["technology"],
                fuel=row["primary_fuel"] if power else "",
                water_capacity=float(row["water_cap_m3d"]) / 1000 * built,
                power_capacity=24 * power * built,
            )
        )
    found += [
        site(row, "plant", "power", fuel=row["primary_fuel"], power_capacity=24 * float(row["power_cap_MW"]))
        for row in saudi_data("power_plants")
    ]
    return tuple(found)


@cache
def connections() -> tuple[Connection, ...]:
    """The 302 connections of ``network.csv``."""
    return tuple(
        Connection(int(r["from"]), int(r["to"]), float(r["km"]), r["existing_pipeline"] == "1")
        for r in saudi_data("network")
    )


def saudi_network(options: SaudiOptions | None = None) -> Network:
    """The network with capacity expansion and fixed use (Table 3.2); criteria capex, opex, co2.

    Raises
    ------
    InputError
        If an option names a node or pipeline that does not exist.
    """
    options = options or SaudiOptions()
    builder = NetworkBuilder(f"Saudi Arabia {options.year}", COMMODITIES, CRITERIA)
    growth = text_parameters()[YEARS[options.year]] / text_parameters()[YEARS[2030]]
    most = _FlowLimits(options, growth)
    for site in sites():
        builder.node(
            site.name,
            {
                "raw water": np.inf,
                "fuel": np.inf,
                "potable water": -growth * site.potable_demand,
                "non-potable water": -growth * site.nonpotable_demand,
                "waste water": growth * site.waste_water,
            },
        )
    for link in connections():
        for tail, head in ((link.first, link.second), (link.second, link.first)):
            _add_connection(builder, link, most.number[tail], most.number[head], options, most)
    for site in sites():
        _add_processes(builder, site, options, most, growth)
    network = builder.build()
    for name in options.lost:
        network = network.closed(network.between(name, name))
    for pair in options.lost_pipelines:
        both = [pipeline(network, *ends) for ends in (pair, pair[::-1])]
        network = network.closed(np.array(both), ["potable water"])
    for pair in options.forced_pipelines:
        network = network.forced(np.array([pipeline(network, *pair)]), "potable water")
    return network


def pipeline(network: Network, tail: str, head: str) -> int:
    """Number of the arc from one site to another."""
    found = network.between(tail, head)
    if not found.size:
        raise InputError(f"pipeline: must join two connected sites, got {tail} and {head}")
    return int(found[0])


def _add_connection(
    builder: NetworkBuilder, link: Connection, i: int, j: int, options: SaudiOptions, most: _FlowLimits
) -> None:
    table, text = assumptions(), text_parameters()
    tail, head = sites()[i], sites()[j]
    have = link.existing_pipeline
    line = 0.0 if options.powerlines == "existing" else yearly_capex("powerline")
    builder.arc(
        tail.name,
        head.name,
        f"{tail.name}→{head.name}",
        events=[
            LineLoss(
                {"potable water": text["loss_water_per_km"], "electricity": text["loss_electricity_per_km"]}, link.km
            )
        ],
        takes={
            "potable water": {
                "electricity": pumping_energy(link.km, head.elevation_m - tail.elevation_m, options.pipe_diameter_m)
            }
        },
        carries=("potable water", "electricity"),
        capacity={"potable water": options.pipeline_capacity} if have else None,
        limit={"potable water": most.water(i, j), "electricity": most.electricity(i, j)},
        use_cost={
            "capex": {
                "potable water": 0.0 if have else link.km * yearly_capex("pipeline") / 1e9,
                "electricity": link.km * line / 1e9,
            },
            "opex": {
                "potable water": link.km * table["opex", "pipeline"] / 1e9,
                "electricity": link.km * table["opex", "powerline"] / 1e9,
            },
        },
    )


def _add_processes(
    builder: NetworkBuilder, site: Site, options: SaudiOptions, most: _FlowLimits, growth: float
) -> None:
    """The loop of a site with everything that it can make."""
    table, text = assumptions(), text_parameters()
    becomes: dict[str, dict[str, float]] = {"raw water": {"potable water": 1.0}, "fuel": {"electricity": 1.0}}
    takes: dict[str, dict[str, float]] = {}
    capacity: dict[str, float] = {}
    limit: dict[str, float] = {}
    opex: dict[str, float] = {}
    co2: dict[str, float] = {}
    capex: dict[str, float] = {}
    if site.technology:
        item = "groundwater" if site.kind == "city" else "desalination"
        takes["raw water"] = {"electricity": power_use()[site.technology]}
        capacity["raw water"], limit["raw water"] = site.water_capacity, most.all_water
        opex["raw water"] = _PER_YEAR * table["opex", item]
        co2["raw water"] = _PER_YEAR * table["co2", site.technology]
        capex["raw water"] = yearly_capex(item) * 1000 / 1e9
    if site.kind == "city":
        becomes |= {
            "potable water": {"non-potable water": 1.0},
            "waste water": {"non-potable water": text["ww_recovery"]},
        }
        takes["waste water"] = {"electricity": power_use()["wastewater_treatment"]}
        capacity["waste water"], limit["waste water"] = site.treatment_capacity, growth * site.waste_water
        limit["potable water"] = growth * site.nonpotable_demand
        opex["waste water"] = _PER_YEAR * options.treatment_opex
        co2["waste water"] = _PER_YEAR * table["co2", "wastewater_treatment"]
        capex["waste water"] = yearly_capex("wastewater_treatment") * 1000 / 1e9
    if site.fuel:
        capacity["fuel"], limit["fuel"] = site.power_capacity, most.all_electricity
        opex["fuel"] = _PER_YEAR * table["opex", "electricity_generation"]
        co2["fuel"] = _PER_YEAR * table["co2", "natural_gas" if site.fuel == "Gas" else "oil"]
        capex["fuel"] = yearly_capex("electricity_generation") / 24 / 1e9
    builder.arc(
        site.name,
        site.name,
        f"processes {site.name}",
        events=[Conversion(becomes)],
        takes=takes,
        carries=list(limit),
        capacity=capacity,
        limit=limit,
        expansion={c: limit[c] for c in capex},
        cost={"opex": opex, "co2": co2},
        expansion_cost={"capex": capex},
    )


class _FlowLimits:
    """A bound for every flow, instead of one large M.

    What goes from i to j serves the part of the network that hangs on j when i is taken out (water that came back
    through i would only have been lost on the way): the demand there, grossed up by the least losses, times a headroom
    for detours.
    """

    def __init__(self, options: SaudiOptions, growth: float) -> None:
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components, dijkstra

        self.number = {site.number: i for i, site in enumerate(sites())}
        n = len(sites())
        ends = np.array([(self.number[c.first], self.number[c.second]) for c in connections()])
        km = np.array([c.km for c in connections()])
        demand = growth * np.array([s.potable_demand + s.nonpotable_demand for s in sites()])
        loss = -np.log1p(-text_parameters()["loss_water_per_km"] * km) + 1e-12
        graph = coo_array((np.tile(loss, 2), (ends.T.ravel(), ends[:, ::-1].T.ravel())), shape=(n, n)).tocsr()
        grossed: Array = demand * np.exp(np.asarray(dijkstra(graph)))
        uses = np.array([s.kind != "power" for s in sites()])
        self.all_water = options.headroom * float(grossed.sum(axis=1).max())
        # Nothing uses more electricity per water than multi-stage flash.
        self.all_electricity = self.all_water * power_use()["MSF"]
        self._water: dict[tuple[int, int], float] = {}
        self._electricity: dict[tuple[int, int], float] = {}
        for i in range(n):
            rest = np.flatnonzero(np.arange(n) != i)
            _, part = connected_components(graph[rest][:, rest], directed=False)
            label = np.full(n, -1)
            label[rest] = part
            for j in graph.indices[graph.indptr[i] : graph.indptr[i + 1]]:
                there = label == label[j]
                gain = np.exp(-graph[i, j])
                self._water[i, int(j)] = options.headroom * float(grossed[j, there].sum()) / gain
                self._electricity[i, int(j)] = self.all_electricity * float(uses[there].any())

    def water(self, i: int, j: int) -> float:
        """Most potable water from i to j, 1000 m³/day."""
        return self._water[i, j]

    def electricity(self, i: int, j: int) -> float:
        """Most electricity from i to j, MWh/day."""
        return self._electricity[i, j]
