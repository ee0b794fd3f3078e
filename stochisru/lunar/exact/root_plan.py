"""Deployments that are decided together at the root, on the demand process itself.

With M_0 = … = M_R decided while only D_0 is known, the layer at m kg (of year 0) starts in the year τ ≤ R that
maximises

    g_τ(m) = Σ_{t=τ}^{R−1} w_t(m) + tail(m) − p_τ,

or never if all are negative; w_t is the layer's expected profit in year t, p_τ its price in year τ and tail(m) what it
is worth from year R on, for the exact policy less the option to order it later. Every g_τ − g_σ with τ < σ falls
with m, so deeper layers never start earlier, and the largest layer that starts by year τ is found by bisection.
With R = T and tail = w_T this is the static plan; with only τ = 0 allowed the fixed design.

Plant that was ordered before and is still on its way is there in year t whatever is decided, so that layers of new
plant lie on top of e_t kilograms. In every w_t the layer at n new kilograms is then that at e_t + n, which falls with n
as before, and nothing else changes. An order of x kilograms that is held is such plant too, less its price.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from scenario_trees.arrays import Array, Mask
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.exact.in_advance import perfect_information
from stochisru.lunar.exact.layers import OpenLoopPlan, allowed_years
from stochisru.lunar.exact.unit_value import UnitValue
from stochisru.lunar.operations import MeritOrder, discount_factors


class Tail(Protocol):
    """Worth of plant from the last committed year on, $ of year 0; plant in kilograms of year 0."""

    def margin(self, layer: Array) -> Array:
        """Of the kilogram at ``layer``."""
        ...

    def earned(self, plant: Array) -> Array:
        """Of all kilograms up to ``plant``."""
        ...


@dataclass(frozen=True)
class LastYear:
    """Tail of a plan that is committed to the end: the profit of year T."""

    unit: UnitValue

    def margin(self, layer: Array) -> Array:
        """Of the kilogram at ``layer``."""
        return self.unit.margin(self.unit.years, layer)

    def earned(self, plant: Array) -> Array:
        """Of all kilograms up to ``plant``."""
        return self.unit.earned(self.unit.years, plant)


class UnitOfRoot(Protocol):
    """What plant earns and costs in the years of the root; see `stochisru.lunar.exact.unit_value.UnitValue`."""

    @property
    def process(self) -> Any:
        """Process of demand, whose ``initial`` is that of year 0."""

    @property
    def years(self) -> int:
        """T."""

    def left(self, year: ArrayLike) -> Array:
        """s_t: what is left in a year of a kilogram of year 0."""

    def bill(self, year: ArrayLike) -> Array:
        """Cost of a kilogram that arrives in a year, $ of year 0."""

    def starting(self, year: ArrayLike) -> Array:
        """Cost of a layer that arrives in a year, $ of year 0 per kg of year 0."""

    def margin(self, year: ArrayLike, layer: ArrayLike) -> Array:
        """Expected profit in a year of the layer at ``layer`` kg, $ of year 0 per kg of year 0."""

    def earned(self, year: ArrayLike, plant: ArrayLike) -> Array:
        """Expected profit in a year of all layers up to ``plant`` kg of year 0, $ of year 0."""

    def without_plants(self) -> float:
        """Expected cost of serving all demand without plants, $."""

    def reach(self, first: int, last: int) -> tuple[float, float]:
        """Logarithms of plant over demand of today between which the layers lie that demand decides about."""


def deployments(unit: UnitOfRoot, layers: Array, existing: float) -> Array:
    """ΔM_t, kg, of the largest layers that start by each year t."""
    return np.asarray(np.diff(layers, prepend=existing) * unit.left(np.arange(layers.size)))


def plan_gain(unit: UnitOfRoot, deployment: Array, existing: ArrayLike, tail: Tail) -> float:
    """Worth of a plan ΔM_0..ΔM_R over having no plants at all until then, $; ``existing`` as in `best_root_plan`."""
    year = np.arange(deployment.size)
    layers = np.asarray(existing) + np.cumsum(deployment / unit.left(year))
    profit = unit.earned(year[:-1], layers[:-1]).sum() + float(tail.earned(layers[-1:])[0])
    return float(profit - unit.bill(year) @ deployment)


def best_root_plan(unit: UnitOfRoot, allowed: Mask, existing: ArrayLike, tail: Tail) -> Array:
    """Optimal ΔM_0..ΔM_R, kg.

    Parameters
    ----------
    allowed
        Years 0..R in which plants may arrive, shape ``(R + 1,)``.
    existing
        M0, kg; or with plant that arrives in years 0..R whatever is decided, what of it and of M0 is there in each, kg
        of year 0, ascending, shape ``(R + 1,)``.
    """
    year = np.arange(allowed.size)
    there = np.broadcast_to(np.asarray(existing, dtype=float), year.shape)
    coming = there[-1] - there  # a layer is named by where it lies in year R
    price = unit.starting(year)[:, None]
    lowest, highest = unit.reach(0, unit.years)
    if coming.max() > 0:  # a layer of an early year lies higher in year R, by all that comes between
        highest = float(np.log(np.exp(highest) + coming.max() / unit.process.initial))

    def advantage(layer: Array) -> Array:
        """Best start up to year τ less the best later one (or never), one layer per τ, shape ``(R + 1,)``."""
        earned = np.empty((year.size, layer.size))
        earned[-1] = tail.margin(layer)
        earned[:-1] = unit.margin(year[:-1, None], np.maximum(layer - coming[:-1, None], 0.0))
        gain = np.where(allowed[:, None], np.cumsum(earned[::-1], axis=0)[::-1] - price, -np.inf)
        early = np.maximum.accumulate(gain, axis=0).diagonal()
        late = np.maximum.accumulate(np.vstack([gain[1:], np.zeros(layer.size)])[::-1], axis=0)[::-1].diagonal()
        return np.asarray(early - late)

    log_demand = np.log(unit.process.initial)
    low, high = np.full(year.size, lowest + log_demand), np.full(year.size, highest + log_demand)
    some = advantage(np.exp(low)) > 0
    while (high - low).max() > 1e-15 * max(1.0, abs(lowest), abs(highest)):
        middle = 0.5 * (low + high)
        if not ((middle > low) & (middle < high)).any():
            break
        start = advantage(np.exp(middle)) > 0  # only a strict gain is worth a plant
        low, high = np.where(start, middle, low), np.where(start, high, middle)
    layers = np.where(some, np.exp(low), 0.0)
    # Ties and years that are not allowed: no year may undo what an earlier one deployed.
    layers = np.maximum.accumulate(np.maximum(np.where(allowed, layers, 0.0), there[-1]))
    return deployments(unit, layers, float(there[-1]))


@dataclass(frozen=True)
class RootProblem:
    """What is decided at the root, and what follows it.

    Attributes
    ----------
    allowed
        Years 0..R in which plant that is ordered at the root may arrive, shape ``(R + 1,)``.
    existing
        M0, kg.
    tail
        Worth of plant from year R on.
    later
        Worth of all orders after the root to someone without plants, $.
    """

    unit: UnitOfRoot
    allowed: Mask
    existing: float
    tail: Tail
    later: float

    def there(self, ordered: ArrayLike = 0.0) -> Array:
        """Plant of M0 and of what arrives in years 0..R whatever is decided (kg), in kg of year 0."""
        arriving = np.broadcast_to(np.asarray(ordered, dtype=float), self.allowed.shape)
        return np.asarray(self.existing + np.cumsum(arriving / self.unit.left(np.arange(self.allowed.size))))

    def best(self, ordered: ArrayLike = 0.0, allowed: Mask | None = None) -> Array:
        """Optimal ΔM_0..ΔM_R, kg, beside what is ordered already."""
        return best_root_plan(self.unit, self.allowed if allowed is None else allowed, self.there(ordered), self.tail)

    def value(self, deployment: Array, ordered: ArrayLike = 0.0) -> float:
        """Expected NPV of a plan at the root and the best orders after it, $; what is ordered already is paid."""
        gain = plan_gain(self.unit, deployment, self.there(ordered), self.tail)
        return gain + self.later - self.unit.without_plants()


def _committed_to_the_end(case: DeploymentCase, allowed: Mask) -> OpenLoopPlan:
    unit = UnitValue.of(case)
    existing, tail = case.technology.M0, LastYear(unit)
    plan = best_root_plan(unit, allowed, existing, tail)
    return OpenLoopPlan(plan_gain(unit, plan, existing, tail) - unit.without_plants(), plan)


def static_plan_on_process(case: DeploymentCase) -> OpenLoopPlan:
    """Best plan with all ΔM_t decided at the root, exact for lognormal demand.

    Raises
    ------
    InputError
        If the case has a limit on supply from Earth.
    """
    return _committed_to_the_end(case, allowed_years(case))


def fixed_design_on_process(case: DeploymentCase) -> OpenLoopPlan:
    """Best single ΔM_0, exact for lognormal demand; nothing where the case fixes ΔM_0 = 0."""
    return _committed_to_the_end(case, allowed_years(case) & (np.arange(case.horizon.T + 1) == 0))


def expected_value_plan_on_process(case: DeploymentCase) -> OpenLoopPlan:
    """EV: optimum of the mean path D_0·e^{μt}, with its deployment plan."""
    value, plan = perfect_information(case, case.process.mean(np.arange(case.horizon.T + 1))[:, None])
    return OpenLoopPlan(float(value[0]), plan[:, 0])


def plan_value_on_process(case: DeploymentCase, deployment: Array) -> float:
    """Expected NPV, $, of a plan ΔM_0..ΔM_T held on every path, operations free; for any costs and Earth limit.

    Exact for lognormal demand: with K = η·M_t given, a year's profit is made of min(D, level) at the levels K, the
    limit l of Earth and l + K, since min(K, (D − l)^+) = min(D, l + K) − min(D, l).
    """
    merit, process = MeritOrder.of(case), case.gbm
    year = np.arange(case.horizon.T + 1)
    kept = (1 - case.technology.degradation) ** year
    plant = kept * (case.technology.M0 + np.cumsum(deployment / kept))
    capacity, mean = case.technology.eta * plant, process.mean(year)
    served = process.limited_mean(capacity, year)
    if merit.limited:
        earth = process.limited_mean(merit.earth_limit, year)
        first = process.limited_mean(merit.earth_limit + capacity, year) - earth
        profit = merit.against_shortage * first + merit.against_alternative * (served - first)
        profit -= merit.earth_cost * earth + merit.shortage_cost * (mean - earth)
    else:
        profit = merit.against_alternative * served - min(merit.earth_cost, merit.shortage_cost) * mean
    cash = profit - merit.idle * capacity - case.costs.c_op * plant - case.investment(deployment)
    return float(discount_factors(case) @ cash)
