"""The variants among which the default case of the main job was chosen, and what was asked of it.

A variant takes a plant's costs from one study, its productivity from one, customers from Kornuta et al. (2019), and a
launch price that stays or falls as in one of Metzger's markets, with demand that grows as launch traffic does there. It
is judged by its decision alone: is the first order an interior one, is deferring worth something, is the plant paid
back in more than a year, and does demand grow more slowly than money is discounted, so that far years do not decide?
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from stochisru.lunar.exact.by_year import exact_in_advance, exact_policy, exact_single
from stochisru.lunar.published import published_values
from stochisru.lunar.tables.case import GeneralCase, general_case
from stochisru.studies.store import Row
from stochisru.worked.literature.sources import launch_markets, table

#: Horizons that are tried, years.
HORIZONS = (10, 15, 20)
#: Discount rate of Kornuta et al. (2019), 1/yr, and the volatility that is assumed, 1/√yr.
RATE, SIGMA = 0.1, 0.2
#: Customers of Kornuta et al. (2019) at the lunar surface: kg/yr and $/kg (LPI-002142 Table 14 p. 109).
CUSTOMERS = {"Moon": (100_000.0, 7500.0), "EML1": (280_000.0, 3750.0), "LEO": (1_260_000.0, 500.0)}
#: Shares of what mean demand of year 0 asks for between which a first order is interior.
INTERIOR = (0.05, 0.95)
#: What deferring has to be worth, as a share of the optimum.
DEFERRING = 1e-3
#: Years in which a plant may be paid back at least.
PAYBACK = 1.0


@dataclass(frozen=True)
class Variant:
    """A market and a plant that may serve it.

    Attributes
    ----------
    plant
        Study of the plant's costs, a name of `plants`.
    eta
        kg of oxygen a year by kg of plant, from any study.
    customer
        A name of `CUSTOMERS`.
    market
        A name of `launch_markets`; in that of ``today`` nothing moves.
    T
        Years.
    """

    plant: str
    eta: float
    customer: str
    market: str
    T: int

    @property
    def case(self) -> GeneralCase:
        """The variant as a case: it sells what it makes, and what it does not deliver costs nothing."""
        quantity, price = CUSTOMERS[self.customer]
        plant, market = plants()[self.plant], launch_markets()[self.market]
        data: dict[str, Any] = {
            "name": f"{self.plant} for {self.customer}"[:100],
            "horizon": {"T": self.T, "lead_time": 1},
            "economics": {"r": RATE},
            "technology": {"eta": self.eta, "alpha": plant["alpha"]},
            "costs": {
                "c_L": {"start": plant["c_L"], "growth": market.fall},
                "c_dev": plant["c_dev"],
                **dict.fromkeys(("c_bu", "c_S", "c_by", "c_E"), 0.0),
            },
            "demand": {"D0": quantity, "mu": market.growth, "sigma": SIGMA},
            "customers": [{"name": self.customer, "share": 1.0, "price": price, "earth": False}],
        }
        if "spares" in plant:
            data["derivation"] = {"c_op": {"rule": "spares_cost", "fraction_per_year": plant["spares"]}}
        else:
            data["costs"]["c_op"] = plant["c_op"]
        return general_case(data)

    @property
    def payback(self) -> float:
        """Years in which what a kilogram of plant costs today comes back if all is sold; infinite if it never does."""
        plant = plants()[self.plant]
        cost = plant["c_dev"] + plant["alpha"] * plant["c_L"]
        earned = self.eta * CUSTOMERS[self.customer][1] - plant.get("c_op", plant.get("spares", 0.0) * cost)
        return cost / earned if earned > 0 else float("inf")


@cache
def plants() -> dict[str, dict[str, float]]:
    """Costs of plants by study: c_dev, c_L ($/kg), alpha, and c_op ($/(kg yr)) or spares (share a year)."""
    numbers = ("c_dev", "c_L", "alpha", "c_op", "spares")
    return {row["plant"]: {key: float(row[key]) for key in numbers if row[key]} for row in table("plants")}


def variants(
    horizons: Iterable[int] = HORIZONS, names: Sequence[str] | None = None, markets: Sequence[str] | None = None
) -> list[Variant]:
    """All variants of some horizons, plants and launch markets; all plants and markets if not given."""
    return [
        Variant(plant, eta, customer, market, T)
        for T in horizons
        for plant in (plants() if names is None else names)
        for customer in CUSTOMERS
        for eta in published_values("eta")
        for market in (launch_markets() if markets is None else markets)
    ]


def judged(variant: Variant) -> Row:
    """What a variant decides, and which of the criteria it fails.

    Returns
    -------
    dict
        ``plant``, ``eta``, ``customer``, ``market``, ``T``, ``payback`` (yr); ``fails``: the first criterion that is
        not met (``payback``, ``growth``, ``interior``, ``deferring``), or None; and where the first two are met the
        exact values of the process: ``rp``, ``deferring``, ``reacting`` ($), ``first_order`` (what is ordered now over
        what mean demand of year 0 asks for).
    """
    row: Row = {**vars(variant), "payback": variant.payback, "fails": None}
    row |= dict.fromkeys(("rp", "deferring", "reacting", "first_order"))
    if not PAYBACK < variant.payback < float("inf"):
        return {**row, "fails": "payback"}
    if np.exp(launch_markets()[variant.market].growth) >= 1 + RATE:
        return {**row, "fails": "growth"}
    case = variant.case
    found = exact_policy(case)
    fixed, once = exact_in_advance(case, fixed=True)[0], exact_single(case).value
    row["rp"], row["deferring"] = found.objective, max(0.0, once - fixed)
    row["reacting"] = found.objective - exact_in_advance(case)[0]
    row["first_order"] = sum(found.first_stage.values()) * variant.eta / case.demand.D0
    if not INTERIOR[0] < row["first_order"] < INTERIOR[1]:
        row["fails"] = "interior"
    elif row["deferring"] <= DEFERRING * found.objective:
        row["fails"] = "deferring"
    return row
