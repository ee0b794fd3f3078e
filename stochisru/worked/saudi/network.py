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

The network is the folder ``data``, which `stochisru.networks.load_network` reads; the bounds of its flows are fitted in
`stochisru.worked.saudi.limits`. The connections are not published; ``connections.csv`` rebuilds a comparable set (see
the README of the data). What else the thesis leaves open is a field of `SaudiOptions`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from stochisru.errors import InputError
from stochisru.networks.files import load_network
from stochisru.networks.network import Network, position
from stochisru.worked.saudi.infrastructure import DATA, text_parameters
from stochisru.worked.saudi.limits import FlowLimits

#: Years of the study and the population that scales the demands of 2030 (Section 5.3.2).
YEARS = {
    2010: "population_kingdom_2010",
    2030: "population_kingdom_2030",
    2050: "population_kingdom_2050",
}
Powerlines = Literal["existing", "new"]
POWERLINES: tuple[Powerlines, ...] = ("existing", "new")


@dataclass(frozen=True)
class SaudiOptions:
    """What the thesis leaves open, and what its research questions change.

    Attributes
    ----------
    year
        2010 (the basis year, whose capacities the network has), 2030 or 2050.
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
    parameters
        Numbers in place of parameters of the network's files, by name.
    demand_factors
        Factors on the demand of cities, by name.
    capacity_factors
        Factors on what the processes of a site have as capacity, by name.
    closed_to_building
        Names of sites whose capacity is not expanded.
    closed_pipelines
        Pairs of node names between which no pipeline is built; one that exists stays.
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
    parameters: Mapping[str, float] = field(default_factory=dict)
    demand_factors: Mapping[str, float] = field(default_factory=dict)
    capacity_factors: Mapping[str, float] = field(default_factory=dict)
    closed_to_building: tuple[str, ...] = ()
    closed_pipelines: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if self.year not in YEARS:
            raise InputError(f"year: must be one of {', '.join(map(str, YEARS))}, got {self.year}")
        if not self.pipe_diameter_m > 0:
            raise InputError(f"pipe_diameter_m: must be > 0, got {self.pipe_diameter_m}")
        position(POWERLINES, self.powerlines, "powerlines")
        if not self.headroom >= 1:
            raise InputError(f"headroom: must be >= 1, got {self.headroom}")
        for name in ("pipeline_capacity", "treatment_opex"):
            if not getattr(self, name) >= 0:
                raise InputError(f"{name}: must be >= 0, got {getattr(self, name)}")
        for name in ("demand_factors", "capacity_factors"):
            for site, factor in getattr(self, name).items():
                if not 0 <= factor < np.inf:
                    raise InputError(f"{name}: must be >= 0, got {factor} for {site}")

    def replace(self, **changes: object) -> SaudiOptions:
        """A copy with some fields changed."""
        return replace(self, **changes)  # type: ignore[arg-type]


def saudi_network(options: SaudiOptions | None = None) -> Network:
    """The network with capacity expansion and fixed use (Table 3.2); criteria capex, opex, co2.

    Raises
    ------
    InputError
        If an option names a node or pipeline that does not exist.
    """
    options = options or SaudiOptions()
    growth = text_parameters()[YEARS[options.year]] / text_parameters()[YEARS[2030]]
    most = FlowLimits(growth, options.headroom, options.demand_factors)
    network = load_network(
        str(DATA),
        {
            "growth": growth,
            "pipe_diameter_m": options.pipe_diameter_m,
            "pipeline_capacity": options.pipeline_capacity,
            "new_powerlines": float(options.powerlines == "new"),
            "treatment_opex": options.treatment_opex,
            "most_water": most.all_water,
            "most_electricity": most.all_electricity,
            **options.parameters,
        },
    ).replace(name=f"Saudi Arabia {options.year}")
    network = _scaled(most.fitted(network), options)
    for name in options.lost:
        network = network.closed(network.between(name, name))
    for pair in options.lost_pipelines:
        both = [pipeline(network, *ends) for ends in (pair, pair[::-1])]
        network = network.closed(np.array(both), ["potable water"])
    for pair in options.forced_pipelines:
        network = network.forced(np.array([pipeline(network, *pair)]), "potable water")
    return network


def _scaled(network: Network, options: SaudiOptions) -> Network:
    """The network with other demands and capacities, and closed to building where that is asked for."""
    supply, capacity, expansion = network.supply.copy(), network.out.capacity.copy(), network.out.expansion.copy()
    for city, factor in options.demand_factors.items():
        row = network.node(city)
        supply[row] = np.where(supply[row] < 0, factor * supply[row], supply[row])
    for site, factor in options.capacity_factors.items():
        loop = network.between(site, site)
        capacity[loop] = np.where(np.isfinite(capacity[loop]), factor * capacity[loop], capacity[loop])
    for site in options.closed_to_building:
        expansion[network.between(site, site)] = 0.0
    use_upper, water = network.use_upper.copy(), network.commodity("potable water")
    new = network.criterion("capex").use[:, water] > 0
    for pair in options.closed_pipelines:
        for ends in (pair, pair[::-1]):
            arc = pipeline(network, *ends)
            use_upper[arc, water] = 0.0 if new[arc] else use_upper[arc, water]
    return network.replace(
        supply=supply, out=replace(network.out, capacity=capacity, expansion=expansion), use_upper=use_upper
    )


def pipeline(network: Network, tail: str, head: str) -> int:
    """Number of the arc from one site to another."""
    found = network.between(tail, head)
    if not found.size:
        raise InputError(f"pipeline: must join two connected sites, got {tail} and {head}")
    return int(found[0])
