"""A plant that is ordered whole while the price of launch falls, for certain or not: when is it best ordered.

What a published plan is worth is affine in the price of launch, at which its own transport is paid; where it sells at
what delivery from Earth costs, so are its sales. Let X_t be that price over today's, a geometric Brownian motion with
the drift of one of Metzger's markets. A plant that is ordered in year t and works for its study's years is worth

    a + b·X_t,

whatever t is: b > 0 where launch is more of what is earned than of what is paid, b < 0 where it is a cost alone. Who
may order once, now or in a later year, holds a call on the price of launch, or a put. In continuous time and without a
last year it is exercised at ``X* = β/(β − 1)·(−a/b)`` with β the root of ``½σ²β(β − 1) + μβ − ρ = 0`` that is > 1 of a
call and < 0 of a put (McDonald and Siegel 1986); where σ = 0 a put waits until ``X = ρ·a/((ρ − μ)·(−b))``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from scenario_trees.arrays import Array, Mask
from stochisru.lunar.tables.case import GeneralCase, general_case
from stochisru.studies.store import Row
from stochisru.worked.literature.certain import at_prices, best, break_even, worth
from stochisru.worked.literature.sources import (
    LAUNCH_YEARS,
    LaunchMarket,
    cases,
    launch_markets,
    study_case,
    study_plan,
)

#: Volatilities of the price of launch, 1/√yr: assumed, no study has one.
LAUNCH_VOLATILITIES = (0.0, 0.1, 0.2)
#: Years in which the trigger is told, and years of waiting that are told of Metzger's baseline.
TOLD, WAIT = (0, 5, 10, 20), 5
#: Kilograms to low Earth orbit for one that Earth lands (Metzger, Sections 4.9 and 4.11).
_EARTH_GEAR = 10.0
#: Points of the grid of the logarithm per standard deviation of a step, and standard deviations that it reaches.
_POINTS, _REACH = 20, 8.0


@dataclass(frozen=True, eq=False)
class LaunchOption:
    """The right to order one plant, in a step from now to a last one, worth ``fixed + slope·X`` when it is ordered.

    Attributes
    ----------
    fixed, slope
        a and b: NPV in the year of the order, $ (maximised), and by the price of launch over today's.
    rate
        Discount rate, 1/yr.
    drift, volatility
        μ and σ of X, 1/yr and 1/√yr; X_0 = 1.
    years
        Last year of an order.
    step
        Years between two decisions.
    """

    fixed: float
    slope: float
    rate: float
    drift: float
    volatility: float
    years: float
    step: float = 1.0

    @property
    def now(self) -> float:
        """NPV of the order now, $."""
        return self.fixed + self.slope

    @property
    def _steps(self) -> int:
        return round(self.years / self.step)

    @cached_property
    def _grid(self) -> tuple[Array, Array]:
        """Ln X less its mean path, and weights of a step on the points around a point."""
        sd = self.volatility * np.sqrt(self.step)
        if sd == 0:
            return np.zeros(1), np.ones(1)
        h = sd / _POINTS
        around = np.arange(-int(_REACH * _POINTS), int(_REACH * _POINTS) + 1)
        weights = np.exp(-0.5 * (around / _POINTS) ** 2)
        count = int(np.ceil(_REACH * self.volatility * np.sqrt(self.years) / h))
        return np.arange(-count, count + 1) * h, np.asarray(weights / weights.sum())

    def _price(self, step: int) -> Array:
        """X on the grid."""
        lower = (self.drift - 0.5 * self.volatility**2) * self.step * step
        return np.asarray(np.exp(self._grid[0] + lower))

    @cached_property
    def _solved(self) -> tuple[list[Mask], Array]:
        """By step: where ordering is best; and what waiting is worth in year 0 on the grid."""
        weights = self._grid[1]
        discount = (1 + self.rate) ** -self.step
        ordered: list[Mask] = []
        waiting = np.zeros(self._grid[0].size)
        for step in range(self._steps, -1, -1):
            stop = self.fixed + self.slope * self._price(step)
            ordered.append((stop > 0) & (stop >= waiting))
            if step > 0:
                waiting = discount * self._ahead(np.maximum(np.maximum(stop, waiting), 0.0), weights)
        return ordered[::-1], waiting

    @staticmethod
    def _ahead(row: Array, weights: Array) -> Array:
        """Expectation a step ahead; beyond the grid a row goes on along a line."""
        reach = weights.size // 2
        if reach == 0:
            return row
        ends = np.arange(1, reach + 1)
        low = row[0] + (row[0] - row[1]) * ends[::-1]
        high = row[-1] + (row[-1] - row[-2]) * ends
        return np.convolve(np.concatenate([np.maximum(low, 0.0), row, np.maximum(high, 0.0)]), weights, mode="valid")

    @property
    def waiting(self) -> float:
        """What the right to order later is worth, $ of year 0."""
        return float(self._solved[1][self._grid[0].size // 2])

    @property
    def value(self) -> float:
        """Worth of the option, $ of year 0."""
        return max(0.0, self.now, self.waiting)

    @property
    def order_now(self) -> bool:
        """Whether ordering now is best."""
        return bool(self._solved[0][0][self._grid[0].size // 2])

    def trigger(self, year: float) -> float | None:
        """Price of launch over today's at which an order is best in a year: from it on (b > 0), or up to it (b < 0).

        None where ordering is best nowhere or everywhere on the grid. It lies between two points: the middle of both.
        """
        step = round(year / self.step)
        ordered, price = self._solved[0][step], self._price(step)
        if ordered.all() or not ordered.any():
            return None
        edge = int(np.argmax(ordered)) if self.slope > 0 else int(ordered.size - np.argmax(ordered[::-1]))
        return float(np.sqrt(price[edge - 1] * price[edge]))

    @cached_property
    def order(self) -> tuple[float, float | None]:
        """Probability that the plant is ever ordered, and the mean year in which it is, or None where it never is."""
        weights = self._grid[1]
        here = np.zeros(self._grid[0].size)
        here[here.size // 2] = 1.0
        chance = late = 0.0
        for step, ordered in enumerate(self._solved[0]):
            found = float(here[ordered].sum())
            chance, late = chance + found, late + found * step * self.step
            here = np.where(ordered, 0.0, here)
            if self.volatility > 0:
                here = np.convolve(here, weights, mode="same")
        return chance, late / chance if chance > 1e-12 else None


def at_launch(case: GeneralCase, share: float, fall: float, with_sales: bool) -> GeneralCase:
    """The case where launch costs a share of today's and changes by ``fall`` a year, its prices too or not."""
    data = case.to_dict()
    path = share * (1 + fall) ** np.arange(case.horizon.T + 1.0)
    data["costs"]["c_L"] = [float(data["costs"]["c_L"] * x) for x in path]
    if with_sales:
        for tier, stated in zip(data["customers"], case.customers, strict=True):
            assert stated.price is not None
            tier["price"] = (stated.price.over(np.arange(case.horizon.T + 1.0)) * path).tolist()
    return general_case(data)


def launch_option(
    name: str, market: LaunchMarket, volatility: float, with_sales: bool, years: int = LAUNCH_YEARS
) -> LaunchOption:
    """The option to order the plan of a study of the literature.

    Parameters
    ----------
    name
        A case that sells.
    market
        Where the price of launch goes.
    volatility
        σ of the price of launch, 1/√yr.
    with_sales
        Whether what is sold fetches what delivery from Earth costs, which moves with launch, or the price of the study.
    """
    case, plan = study_case(name), study_plan(name)
    half, whole = (worth(at_launch(case, share, market.fall, with_sales), plan) for share in (0.5, 1.0))
    slope = 2 * (whole - half)
    drift = float(np.log1p(market.fall))
    return LaunchOption(whole - slope, slope, case.economics.r, drift, volatility, years)


def sellers(names: Sequence[str]) -> list[str]:
    """Those of some cases that sell, and pay for launch."""
    found = []
    for name in names:
        case = study_case(name)
        sold = [tier for tier in case.customers if tier.price is not None]
        if sold and case.to_dict()["costs"]["c_L"] > 0:
            found.append(name)
    return found


def timings(names: Sequence[str] | None = None) -> list[Row]:
    """When the plans of the studies are best ordered as launch gets cheaper: by case, market, sales and volatility.

    Returns
    -------
    list of dict
        ``case``, ``market``, ``final`` ($/kg to low Earth orbit after `LAUNCH_YEARS`), ``sales`` (``Earth's price`` or
        ``study's price``), ``volatility``; ``now``, ``slope`` (b) and ``value`` ($ of year 0), ``order_now``,
        ``chance`` of an order, ``mean_year``, and ``trigger_0`` …: the price of launch over today's at which an order
        is best in that year.
    """
    rows: list[Row] = []
    for name in sellers(cases() if names is None else names):
        for market in list(launch_markets().values())[1:]:
            for with_sales in (True, False):
                for volatility in LAUNCH_VOLATILITIES:
                    option = launch_option(name, market, volatility, with_sales)
                    chance, year = option.order
                    rows.append(
                        {
                            "case": name,
                            "market": market.name,
                            "final": market.price,
                            "sales": "Earth's price" if with_sales else "study's price",
                            "volatility": volatility,
                            "now": option.now,
                            "slope": option.slope,
                            "value": option.value,
                            "order_now": option.order_now,
                            "chance": chance,
                            "mean_year": year,
                            **{f"trigger_{t}": option.trigger(t) for t in TOLD},
                        }
                    )
    return rows


def thresholds() -> list[Row]:
    """Metzger's baseline against Earth at his prices of launch, which both pay."""
    case, plan = study_case("metzger-2023"), study_plan("metzger-2023")
    product = product_over_mass("metzger-2023")
    today = launch_markets()["today"].price
    rows: list[Row] = []
    for market in launch_markets().values():
        earth = _EARTH_GEAR * market.price
        lunar = break_even(at_launch(case, market.price / today, 0.0, with_sales=True), plan)
        assert lunar is not None
        rows.append(
            {
                "launch": market.price,
                "earth": earth,
                "lunar": lunar,
                "product_over_mass": product,
                "threshold": product * lunar / earth,
            }
        )
    return rows


def product_over_mass(name: str) -> float:
    """What the plan of a study makes in the years in which it sells, over the mass of its plant (Metzger's φ)."""
    case = study_case(name)
    first = min((tier.first for tier in case.customers if tier.price is not None), default=0)
    mass = sum(float(amounts.sum()) for amounts in study_plan(name).values())
    return case.demand.D0 * (case.horizon.T - max(first, 0) + 1) / mass


def threshold_map(products: Array, gears: Array) -> Array:
    """NPV of Metzger's baseline by its product over capital mass, and by what a landed kilogram costs from Earth.

    Exact at σ = 0: it sells all that it makes, at the price of delivery from Earth, so that its sales are in proportion
    to both, and neither moves what it costs.

    Parameters
    ----------
    products
        φ, kg over the life per kg of capital, shape ``(n,)``.
    gears
        Kilograms launched for one that Earth lands, at the launch price of today, shape ``(m,)``.

    Returns
    -------
    numpy.ndarray
        $ of year 0 (maximised), shape ``(m, n)``; 0 on Metzger's threshold.
    """
    case, plan = study_case("metzger-2023"), study_plan("metzger-2023")
    whole, free = worth(case, plan), worth(at_prices(case, 0.0), plan)
    share = products / product_over_mass("metzger-2023")
    return np.asarray(free + (whole - free) * share * (gears / _EARTH_GEAR)[:, None])


def launch_paths() -> list[Row]:
    """Metzger's baseline over the years of his launch prices, in which a plant works for as long as it does there."""
    today, *markets = launch_markets().values()
    base = study_case("metzger-2023")
    lead = base.horizon.lead_time
    case = base.replace(T=LAUNCH_YEARS, lifetime=base.horizon.T - lead + 1)
    plant = float(study_plan("metzger-2023")["dM"].sum())

    def ordered(at: GeneralCase, year: int) -> float:
        return worth(at, {"dM": np.where(np.arange(LAUNCH_YEARS + 1) == year + lead, plant, 0.0)})

    rows: list[Row] = []
    for market in markets:
        moving = at_launch(case, 1.0, market.fall, with_sales=True)
        value, plan = best(moving)
        rows.append(
            {
                "initial": today.price,
                "final": market.price,
                "years": LAUNCH_YEARS,
                "npv": value,
                "orders": [int(year) - lead for year in np.flatnonzero(plan["dM"] > plant / 2)],
                "now": ordered(moving, 0),
                "wait": WAIT,
                "waited": ordered(moving, WAIT),
            }
        )
    return rows
