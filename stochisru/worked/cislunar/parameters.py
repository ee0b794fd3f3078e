"""Parameters and readings of the cislunar campaign, every number with its unit, range, status and source.

The case is that of E. Gkaravela, H. W. Lee and H. Chen, *Distributed Space Resource Logistics Architecture Optimization
under Economies of Scale* (arXiv 2504.16385). ``status`` is ``given`` (stands in the paper, in the table, equation or
section that ``source`` names), ``reading`` (the text leaves it open) or ``search`` (a bound of the search). Its Tables
3, 4 and 5 are files of their own, as printed.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources
from typing import Any, Literal

from stochisru.errors import InputError, require_integer
from stochisru.networks.network import one_of, position

Architecture = Literal["concentrated", "distributed"]
Kind = Literal["SWE", "DWE"]
ARCHITECTURES: tuple[Architecture, ...] = ("concentrated", "distributed")
#: Places of the network; ISRU in the concentrated architecture is all on the Moon.
PLACES = ("Earth", "LEO", "GEO", "EML1", "Moon")
#: Where electrolysis may stand; extraction always stands on the Moon.
ELECTROLYSIS_SITES: dict[Architecture, tuple[str, ...]] = {
    "concentrated": ("Moon",),
    "distributed": ("Moon", "EML1"),
}
#: What can be in demand.
DEMANDED = ("payload", "oxygen", "hydrogen", "water")
INITIAL = ("SWE", "DWE", "none")
MOST_YEARS = 10
WINDOWS_PER_YEAR = 2


@dataclass(frozen=True)
class Parameter:
    """A number of the case: value, unit, allowed range, status and source."""

    key: str
    value: float
    unit: str
    lower: float
    upper: float
    status: str
    source: str


def _rows(name: str) -> list[dict[str, str]]:
    path = resources.files("stochisru.worked.cislunar") / "data" / f"{name}.csv"
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@cache
def parameters() -> dict[str, Parameter]:
    """All parameters by key."""
    found = {}
    for row in _rows("cislunar"):
        value, lower, upper = (float(row[key]) for key in ("value", "lower", "upper"))
        found[row["key"]] = Parameter(row["key"], value, row["unit"], lower, upper, row["status"], row["source"])
    return found


@cache
def demands() -> dict[tuple[str, str], float]:
    """Table 3 of the paper: demand of a year by place and commodity, kg."""
    return {(row["node"], row["commodity"]): float(row["kg_per_year"]) for row in _rows("table_3")}


@cache
def assumptions() -> list[dict[str, str]]:
    """Table 4 of the paper and what its Section 3.1 adds, as printed: parameter, value, unit, source."""
    return _rows("table_4")


@cache
def published() -> dict[tuple[str, bool], tuple[float, float]]:
    """Table 5 of the paper: cost in $ and ISRU mass in kg by architecture and set-up phase (three years)."""
    return {
        (row["architecture"], row["setup"] == "yes"): (float(row["cost"]), float(row["isru_mass"]))
        for row in _rows("table_5")
    }


@dataclass(frozen=True)
class Reading:
    """What the text of the paper leaves open; the defaults are the reading that came close to its Table 5.

    Attributes
    ----------
    initial
        Kind of the plant that stands on the Moon at the start: SWE, DWE or none.
    initial_counts
        Whether it counts in the ISRU mass. It is paid for in any case.
    launch_of_stage_paid
        Whether the launch of a stage's dry mass to LEO is paid by the kilogram.
    return_to_leo
        Whether stages may fly back to LEO.
    delivers_own_propellant
        Whether what is left in a stage's tank may serve demand, without a tank of its own.
    storage_in_tanks
        Whether oxygen, hydrogen and water need tanks while they wait, as they do in flight.
    same_half_year
        Whether electrolysis takes in what is extracted beside it in the same half year; else only in the next one.
    plants_in_any_window
        Whether plants may be set up after every window; else after the first only. What is set up later is a structure
        of its own, on the curves from zero (``B_iet`` of Eq 23).
    """

    initial: str = "SWE"
    initial_counts: bool = True
    launch_of_stage_paid: bool = True
    return_to_leo: bool = True
    delivers_own_propellant: bool = False
    storage_in_tanks: bool = False
    same_half_year: bool = True
    plants_in_any_window: bool = False

    def __post_init__(self) -> None:
        one_of(INITIAL, self.initial, "initial")


@dataclass(frozen=True)
class Campaign:
    """One cell: architecture, horizon and all numbers.

    Attributes
    ----------
    architecture
        ``concentrated`` (all plants on the Moon) or ``distributed`` (electrolysis also elsewhere).
    setup
        Whether the first year is for setting up: its demand is dropped.
    years
        Years of the campaign; demand is due at the end of each.
    changes
        ``{key: value}`` of parameters that differ from the data file.
    demand
        Demand of a year, kg by (place, commodity); the paper's (Table 3) if not given.
    reading
        What the paper leaves open.

    Raises
    ------
    InputError
        If a name is unknown or a number out of its range.
    """

    architecture: Architecture = "concentrated"
    setup: bool = False
    years: int = 3
    changes: Mapping[str, float] = field(default_factory=dict)
    demand: Mapping[tuple[str, str], float] | None = None
    reading: Reading = Reading()

    def __post_init__(self) -> None:
        one_of(ARCHITECTURES, self.architecture, "architecture")
        require_integer("years", self.years, 1, MOST_YEARS)
        if self.setup and self.years < 2:
            raise InputError(f"years: must be >= 2 with a set-up year, got {self.years}")
        known = parameters()
        for key, value in self.changes.items():
            position(tuple(known), key, "parameter")
            one = known[key]
            if not one.lower <= value <= one.upper:
                raise InputError(f"{key}: must be in [{one.lower:g}, {one.upper:g}] {one.unit}, got {value}")
        for key in ("new_stages", "most_stages"):
            if self[key] != int(self[key]):
                raise InputError(f"{key}: must be a whole number of stages, got {self[key]}")
        for (node, commodity), kg in self.yearly.items():
            position(PLACES[1:], node, "demand place")
            position(DEMANDED, commodity, "demand commodity")
            if not 0 <= kg < 1e9:
                raise InputError(f"demand of {commodity} at {node}: must be in [0, 1e9) kg/yr, got {kg}")

    def __getitem__(self, key: str) -> float:
        """Value of a parameter."""
        return float(self.changes[key]) if key in self.changes else parameters()[key].value

    @property
    def yearly(self) -> Mapping[tuple[str, str], float]:
        """Demand of a year, kg by (place, commodity)."""
        return demands() if self.demand is None else self.demand

    @property
    def due(self) -> tuple[int, ...]:
        """Years at whose end demand is due."""
        return tuple(range(2 if self.setup else 1, self.years + 1))

    @property
    def structures(self) -> tuple[tuple[Kind, str], ...]:
        """Plants that may be built: kind and site."""
        return ("SWE", "Moon"), *(("DWE", site) for site in ELECTROLYSIS_SITES[self.architecture])

    @property
    def builds(self) -> tuple[tuple[Kind, str, int], ...]:
        """Plants that may be built by the window after whose flights they are set up: kind, site, window."""
        last = WINDOWS_PER_YEAR * self.years if self.reading.plants_in_any_window else 1
        return tuple((kind, site, window) for kind, site in self.structures for window in range(last))

    @property
    def title(self) -> str:
        """Architecture, horizon and phase in words."""
        phase = ", set-up year" if self.setup else ""
        return f"{self.architecture}, {self.years} year{'s' if self.years > 1 else ''}{phase}"

    def replace(self, **changes: Any) -> Campaign:
        """A copy with some fields replaced."""
        return replace(self, **changes)

    def with_values(self, **values: float) -> Campaign:
        """A copy with some parameters changed."""
        return self.replace(changes={**self.changes, **values})
