"""Published parameters of lunar plants, markets and discount rates, each with its study, and the ranges they span."""

from __future__ import annotations

import csv
from functools import cache
from importlib import resources

from stochisru.errors import InputError
from stochisru.lunar.case import DeploymentCase

#: Unit of each quantity of the table in which its numbers can be compared; others, as €/kg, stay as they are.
UNITS = {"eta": "kg/(kg yr)", "c_dev": "$/kg", "landed": "$/kg", "demand": "t/yr", "price": "$/kg", "r": "1/yr"}


@cache
def published_parameters() -> tuple[dict[str, str], ...]:
    """Rows of the table: ``study``, ``quantity``, ``value``, ``unit``, ``price_year``, ``source``."""
    text = (resources.files("stochisru.lunar") / "published.csv").read_text(encoding="utf-8")
    return tuple(csv.DictReader(text.splitlines()))


def published_values(quantity: str) -> list[float]:
    """Published numbers of a quantity of `UNITS`, in that unit, rising."""
    if quantity not in UNITS:
        raise InputError(f"quantity: must be one of {', '.join(UNITS)}, got {quantity!r}")
    return sorted(
        float(row["value"])
        for row in published_parameters()
        if row["quantity"] == quantity and row["unit"] == UNITS[quantity]
    )


def published_ranges(case: DeploymentCase) -> dict[str, tuple[float, float]]:
    """Ends of what is published by symbol of a case: eta, c_dev, c_L, D0, P_m and r.

    c_L is the price of a landed kilogram over the case's α; demand is in kg/yr. Ranges are of all studies, whatever
    their product is, so that they are wide: η spans a factor of 60, demand one of 4,000.

    Examples
    --------
    >>> from stochisru import load_case
    >>> published_ranges(load_case("lunar-reference"))["eta"]
    (0.9008, 54.7)
    """
    ends = {quantity: (values[0], values[-1]) for quantity in UNITS for values in [published_values(quantity)]}
    low, high = ends.pop("landed")
    ends["c_L"] = low / case.technology.alpha, high / case.technology.alpha
    low, high = ends.pop("demand")
    ends["D0"] = 1000 * low, 1000 * high
    ends["P_m"] = ends.pop("price")
    return ends
