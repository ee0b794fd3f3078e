"""The trigger family: expand by a fixed share when utilisation is high and the expansion clears a hurdle."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from scenario_trees.arrays import Array
from stochisru.errors import InputError
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.operations import MeritOrder
from stochisru.lunar.strategies.outlook import has_one_outlook, quantile_growth
from stochisru.lunar.strategies.protocol import Observation, first_arrival, root_years


@dataclass(frozen=True)
class Trigger:
    """Utilisation trigger with hurdle.

    Parameters
    ----------
    name
        Name of the strategy.
    initial_ratio
        Initial deployment relative to D_0/η, ≥ 0. Where there is no plant at all, the same ratio of today's
        demand is ordered.
    threshold
        Order when ``D/(η·position)`` reaches this utilisation, > 0.
    magnitude
        Size of an order relative to the position, ≥ 0.
    risk_tolerance
        Level in (0, 1) of the demand quantile on which the hurdle is computed.
    cost_sensitivity
        Hurdle: share of its investment, ≥ 0, that an order must earn as discounted margin over the
        remaining horizon on that quantile path.
    hurdle
        False leaves the plain trigger.
    """

    name: str
    initial_ratio: float
    threshold: float
    magnitude: float
    risk_tolerance: float = 0.5
    cost_sensitivity: float = 0.0
    hurdle: bool = True

    def __post_init__(self) -> None:
        for field, low, open_low, high in (
            ("initial_ratio", 0.0, False, np.inf),
            ("threshold", 0.0, True, np.inf),
            ("magnitude", 0.0, False, np.inf),
            ("risk_tolerance", 0.0, True, 1.0),
            ("cost_sensitivity", 0.0, False, np.inf),
        ):
            value = getattr(self, field)
            if not (low < value if open_low else low <= value) or not value < high:
                allowed = f"{'>' if open_low else '>='} {low:g}" + (f" and < {high:g}" if np.isfinite(high) else "")
                raise InputError(f"{field}: must be {allowed}, got {value!r}")

    def start(self, case: DeploymentCase) -> Array:
        """Initial deployment, and the first order if the trigger is met at once."""
        plan = np.zeros(root_years(case))
        first = first_arrival(case)
        D0, eta = case.demand.D0, case.technology.eta
        if first < plan.size:
            plan[first] = max(0.0, self.initial_ratio * D0 / eta - case.technology.M0)
        if plan.size > 1:
            position = np.array([case.technology.M0 + plan.sum()])
            plan[-1] += float(self._orders(case, 0, np.array([D0]), position, _seen_at_the_root(case))[0])
        return plan

    def order(self, observation: Observation) -> Array:
        """Order ``magnitude·position`` where utilisation and hurdle allow."""
        names = getattr(observation.case.process, "names", ("value",))[1:]
        seen = observation.beside(names)[-1] if names and self.hurdle else None
        return self._orders(observation.case, observation.year, observation.demand[-1], observation.position, seen)

    def _orders(
        self, case: DeploymentCase, year: int, demand: Array, position: Array, seen: Array | None = None
    ) -> Array:
        eta = case.technology.eta
        if self.hurdle and not _scales(case):
            go = demand >= self.threshold * eta * position
            margin = added_margin(case, year, demand, position, self.magnitude, self.risk_tolerance, seen)
            go &= margin >= self.cost_sensitivity * _investment(case, self.magnitude * position)
        else:
            critical = _critical_utilization(self, case)[year]
            go = demand >= (critical * eta) * position if np.isfinite(critical) else np.zeros(demand.shape, dtype=bool)
        order = position * self.magnitude
        order *= go  # several times faster than a masked choice
        if position.min() <= 0:
            order = np.where(position > 0, order, self.initial_ratio * demand / eta)
        return order

    def describe(self, case: DeploymentCase) -> str:
        """The rule as one sentence."""
        text = (
            f"Start with {self.initial_ratio:.0%} of today's need; whenever demand reaches {self.threshold:.0%} of "
            f"the capacity in place and on order, order {self.magnitude:.0%} more"
        )
        if self.hurdle:
            text += (
                f", provided that on the {self.risk_tolerance:.0%}-quantile of demand the order earns back at least "
                f"{self.cost_sensitivity:.0%} of its cost before year {case.horizon.T}"
            )
        return text + "."


def _scales(case: DeploymentCase) -> bool:
    """Whether margin and cost of an order are in proportion to the position, wherever demand stands."""
    return not MeritOrder.of(case).limited and has_one_outlook(case.process) and case.investment.is_linear


def _seen_at_the_root(case: DeploymentCase) -> Array | None:
    """What is seen beside demand in year 0, shape ``(1, k)``."""
    start = getattr(case.process, "start", np.zeros(1))
    return start[None, 1:] if start.size > 1 else None


def _investment(case: DeploymentCase, order: Array) -> Array:
    """Cost of an order, discounted from its arrival to today, $."""
    return np.asarray(case.investment(order) / (1 + case.economics.r) ** case.horizon.lead_time)


def added_margin(
    case: DeploymentCase,
    year: int,
    demand: Array,
    position: Array,
    magnitude: float,
    quantile: float,
    seen: Array | None = None,
) -> Array:
    """Discounted margin that an order earns on a quantile path of demand, $.

    Parameters
    ----------
    demand
        Demand today, kg/yr, shape ``(n,)``.
    position
        Plant in place and on order, kg, shape ``(n,)``; the order is ``magnitude`` times that.
    quantile
        Level of the path: its demand ``h`` years from now is the quantile of D_{year + h} given D_year.
    seen
        What is seen beside demand today, shape ``(n, k)``.
    """
    merit = MeritOrder.of(case)
    tech, lead = case.technology, case.horizon.lead_time
    kept = 1 - tech.degradation
    h = np.arange(lead, case.horizon.T - year + 1)[:, None]
    growth = quantile_growth(case.process, case.horizon.T, year, quantile, h[:, 0].astype(np.int64), demand, seen)
    old = position * kept**h
    added = magnitude * position * kept ** (h - lead)
    seen = demand * growth
    gain = merit.gain(tech.eta * (old + added), seen) - merit.gain(tech.eta * old, seen)
    return np.asarray(((gain - case.costs.c_op * added) / (1 + case.economics.r) ** h).sum(axis=0))


@lru_cache(maxsize=256)
def _critical_utilization(rule: Trigger, case: DeploymentCase) -> tuple[float, ...]:
    """Smallest utilisation per year at which the rule orders, in a case that `_scales`.

    Margin and investment then scale with the position, so the hurdle depends on utilisation alone, and the
    margin is a non-decreasing piecewise linear function of it: its inverse is exact between breakpoints.
    """
    if not rule.hurdle or rule.magnitude == 0:
        return (rule.threshold,) * (case.horizon.T + 1)
    eta, lead = case.technology.eta, case.horizon.lead_time
    kept = 1 - case.technology.degradation
    position = np.array([1.0])
    need = float(rule.cost_sensitivity * _investment(case, rule.magnitude * position)[0])
    limits = []
    for year in range(case.horizon.T + 1):
        horizon = np.arange(lead, case.horizon.T - year + 1)
        if horizon.size == 0:
            limits.append(np.inf)
            continue
        growth = case.process.quantile(rule.risk_tolerance, horizon) / case.demand.D0
        old = kept**horizon
        added = rule.magnitude * kept ** (horizon - lead)
        some = growth > 0  # years in which demand has ended on that path bend nothing
        bends = [x[some] / growth[some] for x in (old, old + added)]
        points = np.unique(np.concatenate([[0.0], *bends]))
        margin = added_margin(case, year, points * eta, position, rule.magnitude, rule.risk_tolerance)
        above = np.flatnonzero(margin >= need)
        if above.size == 0:
            limits.append(np.inf)
            continue
        k = int(above[0])
        critical = float(points[k])
        if k > 0:
            slope = (margin[k] - margin[k - 1]) / (points[k] - points[k - 1])
            critical = float(points[k - 1] + (need - margin[k - 1]) / slope)
        limits.append(max(rule.threshold, critical))
    return tuple(limits)


CONSERVATIVE = Trigger("conservative", 0.60, 0.85, 0.25, 0.3, 0.8)
MODERATE = Trigger("moderate", 0.90, 0.80, 0.35, 0.5, 0.5)
AGGRESSIVE = Trigger("aggressive", 1.20, 0.70, 0.50, 0.8, 0.3)
