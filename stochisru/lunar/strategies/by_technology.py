"""The heuristic strategies for cases with tables: rules about capacity, whose orders go to the cheapest technology.

Demand is what all customers want, plant is its capacity, and an order goes to the technology whose oxygen is cheapest
over the years that are left, as far as limits allow, then to the next (`stochisru.lunar.tables.fleet.Fleet`). With one
technology and one customer they order what the strategies of the base case do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar, cast

import numpy as np

from scenario_trees.arrays import Array, Mask
from stochisru.lunar.strategies import STRATEGIES, Gradual, Reactive, Trigger, Upfront
from stochisru.lunar.strategies.on_model import seen_beside
from stochisru.lunar.strategies.outlook import quantile_growth
from stochisru.lunar.tables.fleet import Fleet, Orders
from stochisru.problem.model import Model
from stochisru.problem.policies.protocol import Policy, Seen

if TYPE_CHECKING:
    from stochisru.lunar.tables.case import GeneralCase

_Made = TypeVar("_Made")
#: Share of the capacity in place that is wanted, below which ``abandoning`` scraps what stands idle.
ABANDONS_BELOW = 0.5


class _OfModel(Generic[_Made]):
    """What is made of a model, kept for the model that was asked for last."""

    def __init__(self, make: Callable[[Model], _Made]) -> None:
        self._make, self._last = make, cast("tuple[Model, _Made] | None", None)

    def on(self, model: Model) -> _Made:
        """It, of a model."""
        if self._last is None or self._last[0] is not model:
            self._last = model, self._make(model)
        return self._last[1]


class CapacityRule(Protocol):
    """How much capacity a rule adds, kg/yr, shape ``(n,)``."""

    def first(self, wanted: Array, there: Array) -> Array:
        """In the first year in which plant may arrive: ``there`` is what the case begins with."""

    def later(self, fleet: Fleet, seen: Seen, orders: Orders, arrivals: Mapping[str, int]) -> Array:
        """Ordered today, in year 0 beside `first`, of the technologies and for the years in ``arrivals``."""


@dataclass(frozen=True)
class TriggerOfCapacity:
    """`Trigger` for capacity: expand by a share when utilisation is high and the expansion clears a hurdle."""

    of: Trigger

    def first(self, wanted: Array, there: Array) -> Array:
        """The initial ratio of what is wanted."""
        return np.maximum(self.of.initial_ratio * wanted - there, 0.0)

    def later(self, fleet: Fleet, seen: Seen, orders: Orders, arrivals: Mapping[str, int]) -> Array:
        """A share of what is there and on order where utilisation and hurdle allow; a start where there is nothing."""
        now, rule = _of(seen, seen.year), self.of
        position, wanted = fleet.position(orders, seen.year, now), fleet.wanted(seen.year, now)
        go: Mask = wanted >= rule.threshold * position
        capacity = rule.magnitude * position
        if rule.hurdle and rule.magnitude > 0 and (go & (position > 0)).any():
            go = go & self._earns(fleet, seen, orders, capacity, arrivals)
        return np.where(position > 0, capacity * go, rule.initial_ratio * wanted)

    def _earns(self, fleet: Fleet, seen: Seen, orders: Orders, capacity: Array, arrivals: Mapping[str, int]) -> Mask:
        """Whether an order earns its hurdle on a quantile path of demand; further factors stay as they are."""
        now, year = _of(seen, seen.year), seen.year
        both = {name: amounts.copy() for name, amounts in orders.items()}
        fleet.spread(both, capacity, arrivals, now)
        added = {name: both[name] - orders[name] for name in both}
        process = fleet.demand_process
        beside = seen_beside(process, seen)
        growth = quantile_growth(
            process,
            fleet.T,
            year,
            self.of.risk_tolerance,
            np.arange(fleet.T - year + 1),
            now["demand"],
            None if beside is None else beside[-1],
        )
        margin = fleet.added_margin(orders, added, now["demand"] * growth, now, year)
        return np.asarray(margin >= self.of.cost_sensitivity * fleet.investment(added, now, year, orders))


@dataclass(frozen=True)
class GapOfCapacity:
    """`Reactive` for capacity: order what the latest demand lacks; last year's if all plant is there at once."""

    def first(self, wanted: Array, there: Array) -> Array:
        """What is wanted and not there."""
        return np.maximum(wanted - there, 0.0)

    def later(self, fleet: Fleet, seen: Seen, orders: Orders, arrivals: Mapping[str, int]) -> Array:
        """What is wanted and neither there nor on order."""
        if seen.year == 0:
            return np.zeros(seen.paths)
        known = seen.year if any(kind.lead_time for kind in fleet.kinds) else seen.year - 1
        position = fleet.position(orders, seen.year, _of(seen, seen.year))
        return np.maximum(fleet.wanted(known, _of(seen, known)) - position, 0.0)


@dataclass(frozen=True, eq=False)
class ByTechnology:
    """A rule about capacity as a policy of a case with tables.

    Attributes
    ----------
    words
        The rule as a sentence.
    abandons_below
        Share of the capacity in place that is wanted, below which plant that stands idle is scrapped; never if 0.
    """

    name: str
    case: GeneralCase
    rule: CapacityRule
    words: str
    fleets: _OfModel[Fleet]
    abandons_below: float = 0.0

    def decide(self, seen: Seen) -> dict[str, Array]:
        """Orders of today, campaigns that they need, and what is left in store."""
        fleet = self.fleets.on(seen.model)
        orders = fleet.decided(seen)
        if self.abandons_below:
            fleet.scrap_idle(orders, self.abandons_below, seen.year, _of(seen, seen.year))
        before = {name: amounts.copy() for name, amounts in orders.items()}
        if seen.year == 0:
            now = _of(seen, 0)
            there = fleet.position(orders, 0, now)
            first = {name: fleet.first for name in orders if fleet.first in seen.due.get(name, ())}
            fleet.spread(orders, self.rule.first(fleet.wanted(0, now), there), first, now)
        arrivals = {f"dM{kind.suffix}": seen.year + kind.lead_time for kind in fleet.kinds}
        # In year 0 what arrives at once is the first order.
        today = {name: year for name, year in arrivals.items() if year > 0 and year in seen.due.get(name, ())}
        if today:
            fleet.spread(orders, self.rule.later(fleet, seen, orders, today), today, _of(seen, seen.year))
        fleet.round_up(orders, before)
        return _with_store(fleet, seen, orders)

    def describe(self) -> str:
        """The rule as one sentence."""
        return _with_technologies(self.case, self.words)


@dataclass(frozen=True, eq=False)
class Steps:
    """A schedule fixed in advance: capacity for the expected demand of the last year, at once or in equal steps."""

    name: str
    case: GeneralCase
    words: str
    scheduled: _OfModel[tuple[Fleet, dict[str, Array]]]

    def decide(self, seen: Seen) -> dict[str, Array]:
        """Orders of the schedule, campaigns that they need, and what is left in store."""
        fleet, table = self.scheduled.on(seen.model)
        return _with_store(fleet, seen, {name: np.repeat(x, seen.paths, axis=1) for name, x in table.items()})

    def describe(self) -> str:
        """The rule as one sentence."""
        return _with_technologies(self.case, self.words)


@dataclass(frozen=True, eq=False)
class NoOrders:
    """No deployment at all; what is in a store is delivered."""

    case: GeneralCase
    fleets: _OfModel[Fleet]
    name: str = "nothing"

    def decide(self, seen: Seen) -> dict[str, Array]:
        """Nothing, and what customers leave in store."""
        fleet = self.fleets.on(seen.model)
        return _with_store(fleet, seen, fleet.no_orders(seen.paths))

    def describe(self) -> str:
        """The rule as one sentence."""
        return "Order nothing."


def abandoning(case: GeneralCase) -> Policy:
    """``moderate``, which scraps idle plant where less than `ABANDONS_BELOW` of what is there is wanted."""
    plain = heuristic("moderate", case)
    assert isinstance(plain, ByTechnology)
    words = f"{plain.words} Whenever less than {ABANDONS_BELOW:.0%} of the capacity in place is wanted, scrap the rest."
    return replace(plain, name="abandoning", words=words, abandons_below=ABANDONS_BELOW)


def no_orders(case: GeneralCase) -> Policy:
    """Doing nothing, with a rule for the store."""
    return NoOrders(case, _OfModel(partial(Fleet, case)))


def heuristic(name: str, case: GeneralCase) -> Policy:
    """A heuristic strategy, one of `stochisru.lunar.strategies.STRATEGIES`, for a case with tables."""
    strategy, T, fleets = STRATEGIES[name], case.horizon.T, _OfModel(partial(Fleet, case))
    first = 1 if case.horizon.initial_deployment == "fixed" else 0
    if isinstance(strategy, Trigger):
        words = (
            f"Start with capacity for {strategy.initial_ratio:.0%} of what is wanted today; whenever that reaches "
            f"{strategy.threshold:.0%} of the capacity in place and on order, order {strategy.magnitude:.0%} more, "
            f"provided that on the {strategy.risk_tolerance:.0%}-quantile of demand it earns back at least "
            f"{strategy.cost_sensitivity:.0%} of its cost before year {T}."
        )
        return ByTechnology(name, case, TriggerOfCapacity(strategy), words, fleets)
    if isinstance(strategy, Reactive):
        return ByTechnology(name, case, GapOfCapacity(), "Each year order the capacity that is missing.", fleets)
    assert isinstance(strategy, (Upfront, Gradual))
    at_once = isinstance(strategy, Upfront)
    when = f"in year {first}" if at_once else f"in equal steps, one in each of the years {first} to {T},"
    words = f"Deploy {when} the capacity for what is wanted of the expected demand of year {T}."
    return Steps(name, case, words, _OfModel(partial(_in_steps, case, at_once)))


def _in_steps(case: GeneralCase, at_once: bool, model: Model) -> tuple[Fleet, dict[str, Array]]:
    """Fleet on a model, and orders of the schedule by name and year of arrival, each of shape ``(T + 1, 1)``."""
    fleet = Fleet(case, model)
    orders, last = fleet.no_orders(1), fleet.mean(fleet.T)
    there = sum(kind.capacity.at(fleet.T, last) * kind.M0 for kind in fleet.kinds)
    missing = np.maximum(fleet.wanted(fleet.T, last) - there, 0.0)
    years = range(fleet.first, fleet.first + 1 if at_once else fleet.T + 1)
    for year in years:
        fleet.spread(orders, missing / len(years), dict.fromkeys(orders, year), fleet.mean(year))
    fleet.round_up(orders, fleet.no_orders(1))
    return fleet, orders


def _of(seen: Seen, year: int) -> dict[str, Array]:
    """Factors of a year by name, each of shape ``(n,)``."""
    return {name: values[year] for name, values in seen.factors.items()}


def _with_store(fleet: Fleet, seen: Seen, orders: Orders) -> dict[str, Array]:
    """Orders as a policy gives them, with the campaigns that they need and what customers leave in the store."""
    found = fleet.due(seen, orders)
    store = fleet.case.storage
    if store is not None:
        now, step = _of(seen, seen.year), fleet.case.horizon.step
        before = seen.amount("stored", seen.year - 1) * (1 - store.boil_off) ** step if seen.year else store.initial
        left = before + step * (fleet.capacity(orders, seen.year, now) - fleet.wanted(seen.year, now))
        found["stored"] = np.clip(left, 0.0, np.inf if store.capacity is None else store.capacity)
    return found


def _with_technologies(case: GeneralCase, words: str) -> str:
    if len(case.technologies) < 2:
        return words
    return f"{words[:-1]}; orders go to the technology whose oxygen is cheapest over the years left."
