"""The places of the Saudi network and their connections, as the data files list them."""

from __future__ import annotations

from functools import cache
from typing import Any, Literal, NamedTuple

from stochisru.worked.saudi.infrastructure import saudi_data

Kind = Literal["city", "desalination", "power"]


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
    """A connection of two sites, by name."""

    first: str
    second: str
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
    """The 302 connections of ``connections.csv``."""
    return tuple(
        Connection(r["first"], r["second"], float(r["km"]), r["existing_pipeline"] == "1")
        for r in saudi_data("connections")
    )
