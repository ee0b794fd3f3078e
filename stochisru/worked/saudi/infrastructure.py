"""Water and power: unit costs, emissions, consumption and losses of the thesis' Case Study II (Chapter 5, Appendix B).

Water is in m³/day, electricity in kWh/day unless a network says otherwise; costs are per year, CAPEX divided by the
lifetime. Data are the package's, transcribed from Tables B.1 and B.3 and the text of Chapter 5.
"""

from __future__ import annotations

import csv
from functools import cache
from importlib import resources

from stochisru.errors import InputError

DAYS_PER_YEAR = 365.0
#: Density of water, kg/m³, and joules in a kilowatt hour.
WATER_DENSITY = 1000.0
JOULES_PER_KWH = 3.6e6


#: The network as a folder that `load_network` reads, and the published tables.
DATA = resources.files("stochisru.worked.saudi") / "data"
#: Where the numbers of ``parameters.csv`` stand in the thesis, beside its text.
_COSTS, _POWER = "Table B.1", "Table B.3"


def saudi_data(name: str) -> list[dict[str, str]]:
    """Rows of a file of the package's Saudi data."""
    path = DATA / f"{name}.csv"
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


@cache
def _parameters(table: str | None) -> dict[str, float]:
    """Numbers of ``parameters.csv`` from a table, or those from the text (None)."""
    rows = saudi_data("parameters")
    chosen = [r for r in rows if (r["where"] == table if table else r["where"] not in (_COSTS, _POWER))]
    return {row["name"]: float(row["value"]) for row in chosen}


@cache
def assumptions() -> dict[tuple[str, str], float]:
    """Table B.1: {(capex, opex or co2, item): value}, with the units of the table."""
    split = ((name.partition("_"), value) for name, value in _parameters(_COSTS).items())
    return {(group, item): value for (group, _, item), value in split}


def text_parameters() -> dict[str, float]:
    """Numbers in the text of Chapter 5, by name."""
    return _parameters(None)


@cache
def power_use() -> dict[str, float]:
    """Table B.3: kWh per m³ of feed (or waste) water by process."""
    return {name.removeprefix("power_use_"): value for name, value in _parameters(_POWER).items()}


def yearly_capex(item: str) -> float:
    """CAPEX of Table B.1 per year of lifetime, USD/yr per unit of capacity (or per km)."""
    return assumptions()["capex", item] / text_parameters()["lifetime"]


def pumping_energy(km: float, rise_m: float, diameter_m: float) -> float:
    """Electricity to pump water through a pipe, kWh/m³ (Section 5.2.4).

    ``ρ (g Δh + f (L/D) v²/2)`` with the Darcy–Weisbach friction of the thesis; never negative: a pipe that falls gives
    nothing back.

    Parameters
    ----------
    km, rise_m
        Length, and elevation of the end over the start.
    diameter_m
        Inner diameter of the pipe.
    """
    if not (km >= 0 and diameter_m > 0):
        raise InputError(f"km, diameter_m: must be >= 0 and > 0, got {km} and {diameter_m}")
    text = text_parameters()
    friction = text["friction_coefficient"] * 1000 * km / diameter_m * text["flow_velocity"] ** 2 / 2
    return max(0.0, WATER_DENSITY * (text["gravity"] * rise_m + friction) / JOULES_PER_KWH)
