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


def saudi_data(name: str) -> list[dict[str, str]]:
    """Rows of a file of the package's Saudi data."""
    path = resources.files("stochisru.worked.saudi") / "data" / f"{name}.csv"
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


@cache
def assumptions() -> dict[tuple[str, str], float]:
    """Table B.1: {(capex, opex or co2, item): value}, with the units of the table."""
    return {(row["group"], row["item"]): float(row["value"]) for row in saudi_data("assumptions")}


@cache
def text_parameters() -> dict[str, float]:
    """Numbers in the text of Chapter 5, by name."""
    return {row["name"]: float(row["value"]) for row in saudi_data("text_parameters") if row["value"]}


@cache
def power_use() -> dict[str, float]:
    """Table B.3: kWh per m³ of feed (or waste) water by process."""
    return {row["process"]: float(row["value"]) for row in saudi_data("power_consumption")}


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
