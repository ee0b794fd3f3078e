"""A project of a given size, built whole now, later or never, and the support that it asks for.

Two questions have two answers. The first is which share x of the bill makes building now earn nothing less than not
building at all: x = 1 − V/I, with V what the plant earns and I its bill. The second is which share makes building *now*
the best: who may wait gives up the option to wait, so that V has to exceed the bill by a multiple (McDonald and Siegel
1986, *Quarterly Journal of Economics* 101(4); of a perpetual flow β₁/(β₁ − 1)). Between the two lies the worth of
waiting. Of single kilograms with linear costs, each of which may wait for itself, the best plan builds those for which
both are the same.

Waiting is a recursion over years on a grid of log demand: in year t of the order

    W_t(D) = max(G_t(D) − (1 − x)·I_t, d·E[W_{t+1}]),

with G_t the expected gain of the plant in closed form. The support of x is a share of every bill, now and later.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from scenario_trees.arrays import Array
from scenario_trees.processes.gbm import GeometricBrownianMotion
from stochisru.errors import InputError, require_number
from stochisru.files import plainly
from stochisru.lunar.case import DeploymentCase, require_case
from stochisru.lunar.exact.by_year import YearlyUnitValue, exact_in_advance, why_no_exact_policy
from stochisru.lunar.tables.case import GeneralCase, general_case, is_general
from stochisru.lunar.tables.model import StatedCase

#: Points of the grid per standard deviation of a year's growth, and standard deviations that it reaches.
_POINTS, _REACH = 24, 8.0
#: Steps of the search for a share.
_HALVINGS = 40
#: Bills that are looked at, in terms of the project's own.
_DEAREST = 1e4


def hurdle_rate(rho: float, mu: float, sigma: float) -> float:
    """Rate of return of an investment at which it is best made at once, μ + (ρ − μ)·β₁/(β₁ − 1).

    What it earns in the first year over its cost is then (ρ − μ)·β₁/(β₁ − 1), and grows at μ. With μ = 0 it is
    ρ·β₁/(β₁ − 1): Dixit (1992), *Journal of Economic Perspectives* 6(1).

    Parameters
    ----------
    rho
        Discount rate, per year, continuous, as the result is.
    mu, sigma
        Drift < ρ and volatility of what it earns.

    Examples
    --------
    >>> [round(100 * hurdle_rate(0.10, 0.0, sigma), 1) for sigma in (0.2, 0.3, 0.424, 0.5)]
    [15.6, 19.3, 25.0, 29.1]
    """
    return mu + (rho - mu) * value_to_cost(rho, mu, sigma)


def value_to_cost(rho: float, mu: float, sigma: float) -> float:
    """V*/I at which a perpetual investment is best made at once, β₁/(β₁ − 1) (McDonald and Siegel 1986).

    Examples
    --------
    >>> round(value_to_cost(0.04, 0.0, 0.2), 12)
    2.0
    """
    for name, value in (("rho", rho), ("sigma", sigma)):
        require_number(name, value, low=0.0, strict=True)
    if not mu < rho:
        raise InputError(f"mu: must be < rho = {rho:g}, or waiting for ever is worth any amount, got {mu:g}")
    half = 0.5 - mu / sigma**2
    beta = half + np.sqrt(half**2 + 2 * rho / sigma**2)
    return float(beta / (beta - 1))


@dataclass(frozen=True)
class Supported:
    """What a project earns under a share of its bill that is paid for it, $ of year 0.

    Attributes
    ----------
    share
        Of the bill.
    firm, government, both
        NPV of building now, each as a difference to doing nothing.
    per_kg
        Cost of the government per additional kilogram, both discounted: against what is built without support when
        that is best. None where there is none.
    """

    share: float
    firm: float
    government: float
    both: float
    per_kg: float | None


@dataclass(frozen=True, eq=False)
class Project:
    """A plant of a given size that is built whole.

    Attributes
    ----------
    case
        The problem; of one kind of plant, whose value scales with demand. Lots and costs of a campaign are allowed.
    plant
        Size, kg.
    """

    case: GeneralCase
    plant: float

    def __post_init__(self) -> None:
        require_number("plant", self.plant, low=0.0, strict=True)
        reason = why_no_exact_policy(linear(self.case))
        if reason is not None:
            raise InputError(reason.replace("the exact policy takes", "a project takes").partition("; trees")[0])
        if not isinstance(self.case.process, GeometricBrownianMotion):
            kind = type(self.case.process).__name__
            raise InputError(f"demand.process: a project takes a geometric Brownian motion, got {kind}")

    @cached_property
    def _stated(self) -> StatedCase:
        return self.case.stated

    @cached_property
    def _unit(self) -> YearlyUnitValue:
        return YearlyUnitValue.stated(linear(self.case).stated)

    @property
    def _lead(self) -> int:
        return self._stated.kinds[0].lead_time

    def _bills(self, unit: YearlyUnitValue, supported: bool = True) -> Array:
        """Bill by year of arrival, $ of year 0, with the fixed costs of a campaign."""
        (kind,) = self._stated.kinds
        fixed = np.full(unit.years + 1, kind.fixed_cost + self.case.launch.fixed_cost)
        if supported:
            grant = self._stated.support["grant"].known(unit.years)
            ours = self._stated.ours.known(unit.years)
            fixed = (kind.fixed_cost + np.maximum(self.case.launch.fixed_cost - grant, 0.0)) * ours
        return np.asarray(unit.bills * self.plant + fixed * kind.paid(unit.discount, unit.years))

    def gains(self, unit: YearlyUnitValue, t: int, demand: Array, arrival: int) -> tuple[Array, Array]:
        """Expected gain over doing nothing and additional deliveries from an arrival on, seen from D_t, both of year t.

        Parameters
        ----------
        demand
            D_t, kg/yr, shape ``(n,)``.

        Returns
        -------
        tuple
            $ and kg, discounted to year t, each of shape ``(years from arrival, n)``.
        """
        growth = GeometricBrownianMotion(1.0, unit.process.drift, unit.process.volatility)
        money: list[Array] = []
        mass: list[Array] = []
        there = self._stated.kinds[0].M0
        for s in range(arrival, unit.years + 1):
            old = there * float(unit.left(s))
            new = self.plant * float(unit.left(s) / unit.left(arrival))
            served: Array = np.zeros(demand.size)
            total: Array = np.zeros(demand.size)
            for share, step in zip(unit.shares[:, s], unit.steps[:, s], strict=True):
                if share > 0:
                    ends = [unit.capacity[s] * x / (share * demand) for x in (old, old + new)]
                    before, after = (growth.limited_mean(e, float(s - t)) for e in ends)
                    more = share * demand * (after - before)
                    served = served + step * more
                    total = more if step > 0 else total
            now = unit.discount ** (s - t)
            money.append(np.asarray(now * (served - unit.idle_cost[s] * new)))
            mass.append(np.asarray(now * total * self._stated.step))
        return np.stack(money), np.stack(mass)

    @cached_property
    def arrival(self) -> int:
        """Year in which what is ordered now arrives: 0 where year 0 takes deployments, else the first that does."""
        first = 1 if self.case.horizon.initial_deployment == "fixed" else 0
        return min(first, self._unit.years)

    def _today(self, unit: YearlyUnitValue, arrival: int) -> tuple[Array, Array]:
        """`gains` of what is ordered now, shapes ``(years from arrival,)``."""
        money, mass = self.gains(unit, 0, np.array([unit.process.initial]), arrival)
        return money[:, 0], mass[:, 0]

    @cached_property
    def _now(self) -> tuple[Array, Array]:
        """Gain and additional deliveries of building now by year, $ and kg, discounted."""
        return self._today(self._unit, self.arrival)

    @cached_property
    def value(self) -> float:
        """V: what the plant earns if it is built now, $ of year 0."""
        return float(self._now[0].sum())

    @cached_property
    def bill(self) -> float:
        """I: what it costs now, $ of year 0."""
        return float(self._bills(self._unit)[self.arrival])

    @cached_property
    def _delivered(self) -> float:
        """Additional deliveries of building now, kg, discounted."""
        return float(self._now[1].sum())

    @cached_property
    def _grid(self) -> tuple[Array, Array]:
        """Logarithms of demand over that of year 0, and weights of a year's growth on the points around a point."""
        process = self._unit.process
        h = float(process.volatility) / _POINTS
        span = _REACH * process.volatility * np.sqrt(self._unit.years) + abs(process.drift) * self._unit.years
        count = int(np.ceil(span / h))
        # The mean step is taken by the points themselves: the grid of year t is moved by t times it.
        around = np.arange(-int(_REACH * _POINTS), int(_REACH * _POINTS) + 1) * h
        weights = np.exp(-0.5 * (around / process.volatility) ** 2)
        return np.arange(-count, count + 1.0) * h, np.asarray(weights / weights.sum())

    @cached_property
    def _later(self) -> list[tuple[Array, Array, float]]:
        """By year t ≥ 1 of an order: gain and deliveries by demand of the grid, and the bill; all of year t."""
        unit, lead = self._unit, self._lead
        step = unit.process.drift - 0.5 * unit.process.volatility**2
        bills, found = self._bills(unit), []
        for t in range(1, unit.years - lead + 1):
            demand = unit.process.initial * np.exp(self._grid[0] + step * t)
            money, mass = self.gains(unit, t, demand, t + lead)
            found.append((money.sum(axis=0), mass.sum(axis=0), float(bills[t + lead] / unit.discount**t)))
        return found

    def waiting(self, share: float = 0.0) -> tuple[float, float]:
        """Worth of the option to build later, and its expected deliveries: $ and kg of year 0; bills are supported.

        Later is what is ordered in later years, with what is seen by then, and what is ordered now for a later arrival.
        """
        x, weights = self._grid
        worth, mass = np.zeros(x.size), np.zeros(x.size)
        for gain, delivered, bill in reversed(self._later):
            stop = gain - (1 - share) * bill
            build = stop > worth
            worth, mass = np.where(build, stop, worth), np.where(build, delivered, mass)
            worth = self._unit.discount * self._ahead(worth, weights)
            mass = self._unit.discount * self._ahead(mass, weights)
        middle = x.size // 2
        found = float(worth[middle]), float(mass[middle])
        for earned, kg, cost in self._ordered_now:
            found = max(found, (earned - (1 - share) * cost, kg))
        return found

    @cached_property
    def _ordered_now(self) -> list[tuple[float, float, float]]:
        """Of arrivals in years after the first that are ordered now as well: gain, deliveries and bill, of year 0."""
        unit, found = self._unit, []
        bills = self._bills(unit)
        for arrival in range(self.arrival + 1, min(self._lead, unit.years) + 1):
            money, mass = self._today(unit, arrival)
            found.append((float(money.sum()), float(mass.sum()), float(bills[arrival])))
        return found

    def _ahead(self, row: Array, weights: Array) -> Array:
        """Expectation a year ahead; beyond the grid a row goes on as at its ends."""
        reach = weights.size // 2
        return np.convolve(np.pad(row, reach, mode="edge"), weights, mode="valid")

    @property
    def option(self) -> float:
        """Worth of waiting beyond building now or never, without further support, $ of year 0."""
        return max(0.0, self.waiting()[0] - max(0.0, self.value - self.bill))

    @property
    def to_earn(self) -> float:
        """Share of the bill that makes the NPV of building now 0; 0 where it is positive."""
        return max(0.0, 1 - self.value / self.bill) if self.bill > 0 else 0.0

    @cached_property
    def just_now(self) -> float | None:
        """Share of all bills from which on building now is the best, negative where it is without support; or None."""

        def best(share: float) -> bool:
            return self.value - (1 - share) * self.bill >= max(0.0, self.waiting(share)[0])

        if not best(1.0):
            return None
        low, high = 0.0, 1.0
        while best(low) and high - low < _DEAREST:
            low, high = 2 * low - 1, low
        for _ in range(_HALVINGS):
            middle = 0.5 * (low + high)
            low, high = (low, middle) if best(middle) else (middle, high)
        return high

    @property
    def to_build_now(self) -> float | None:
        """Share of all bills that makes building now the best; 0 where it is, None where no share ≤ 1 does."""
        return None if self.just_now is None else max(0.0, self.just_now)

    @cached_property
    def hurdle(self) -> float | None:
        """Implied hurdle: internal rate of return, per year, of building now at the bill at which that is just best."""
        from scipy.optimize import brentq

        share, unit = self.just_now, self._unit
        if share is None:
            return None
        years = np.arange(self.arrival, unit.years + 1)
        flows, net = self._now[0] / unit.discount**years, (1 - share) * self.bill / unit.discount**self.arrival

        def off(log_rate: float) -> float:
            return float(flows @ np.exp(-log_rate * (years - self.arrival)) - net)

        if net <= 0 or not off(-1.0) > 0 > off(5.0):
            return None
        return float(np.exp(brentq(off, -1.0, 5.0, xtol=1e-12) / self.case.horizon.step) - 1)

    def supported(self, share: float) -> Supported:
        """NPV of all sides where a share of the bill is paid."""
        firm, both = self.value - (1 - share) * self.bill, self._both
        additional = self._delivered - self._unsupported
        per_kg = (firm - both) / additional if additional > 1e-9 * self._delivered else None
        return Supported(share, firm, both - firm, both, per_kg)

    @cached_property
    def _both(self) -> float:
        """NPV of building now to firm and government together: whoever supports it pays what the other gets."""
        bare = YearlyUnitValue.stated(_without_support(linear(self.case)).stated)
        money, _ = self._today(bare, self.arrival)
        return float(money.sum()) - float(self._bills(bare, supported=False)[self.arrival])

    @cached_property
    def _unsupported(self) -> float:
        """Expected deliveries of the project where nobody supports it, discounted kg: now, later or never."""
        alone = Project(_without_support(self.case), self.plant)
        if alone.value - alone.bill >= max(0.0, alone.waiting()[0]):
            return alone._delivered
        return alone.waiting()[1]

    @plainly
    def to_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON."""
        waiting = self.waiting()[0]
        now = self.to_build_now
        horizon, process = self.case.horizon, self._unit.process
        rho, mu = np.log1p(self.case.economics.r), process.drift / horizon.step
        known = rho > max(mu, 0.0) and process.volatility > 0
        sigma = process.volatility / horizon.step**0.5
        return {
            "case": self.case.name,
            "unit": "$",
            "plant": self.plant,
            "value": self.value,
            "bill": self.bill,
            "npv_now": self.value - self.bill,
            "waiting": waiting,
            "option": self.option,
            "best": "now" if now == 0.0 else "later" if waiting > 0 else "never",
            "support_to_earn": self.to_earn,
            "support_to_build_now": now,
            "hurdle": self.hurdle,
            "perpetual_hurdle": float(np.expm1(hurdle_rate(rho, mu, sigma))) if known else None,
            "unsupported": vars(self.supported(0.0)),
            "to_earn": vars(self.supported(self.to_earn)),
            "to_build_now": None if now is None else vars(self.supported(now)),
        }


def linear(case: GeneralCase) -> GeneralCase:
    """The case without lots and costs of campaigns, which a project of given size has or has not."""
    data = case.to_dict()
    launch = {key: value for key, value in data.pop("launch", {}).items() if key not in ("lot", "fixed_cost")}
    for each in data.get("technologies", []):
        each.pop("lot", None)
        each.pop("fixed_cost", None)
    data["support"] = {key: value for key, value in data.get("support", {}).items() if key != "grant"}
    return general_case({**data, **({"launch": launch} if launch else {})})


def _without_support(case: GeneralCase) -> GeneralCase:
    return general_case({key: table for key, table in case.to_dict().items() if key != "support"})


def project(case: DeploymentCase | GeneralCase, plant: float | None = None) -> Project:
    """A project of a case.

    Parameters
    ----------
    plant
        Size, kg; the case's lot if not given, else the size of the fixed design.

    Raises
    ------
    InputError
        If no size is given and the fixed design builds nothing, or the case is none that scales with demand.
    """
    if not is_general(case):
        require_case(case)
        case = general_case(tomllib.loads(case.to_toml()))
    if plant is None:
        lots = [each.lot for each in case.technologies if each.lot is not None]
        plant = lots[0] if lots else case.launch.lot
    if plant is None:
        alone = linear(case)
        reason = why_no_exact_policy(alone)
        if reason is not None:
            raise InputError(reason)
        plant = float(exact_in_advance(alone, fixed=True)[1][0])
        if plant <= 0:
            raise InputError("plant: give a size in kg; the case has no lot, and its fixed design builds nothing")
    return Project(case, plant)
