"""The exact policy where prices, costs and yield move with the year and tiers want shares of demand.

Nothing of the recursion of `stochisru.lunar.exact.threshold_recursion` asks that a year is like another: a kilogram of
plant is worth what it earns, or what it costs while that is less,

    F'_t(y) = d^L·[η_s·Σ_i (a_i,s − a_{i+1},s)·P(C_i,s·D_s > η_s·y·D_t) − h_s] + d·κ_{s+1}·E[u_{t+1}(κ_{s+1}·y/G)],

with s = t + L, u_t = min(p_t, F'_t), tiers in the order of what a kilogram is worth to them and C_i the share of all
up to i. p_t is the bill of what arrives in year s, in the shares in which it is paid. Scrap in year T is a holding
cost that is negative; a margin that is paid for more years weighs the last year.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from scenario_trees.arrays import Array, Mask
from scenario_trees.processes.gbm import GeometricBrownianMotion
from scenario_trees.processes.jumps import JumpDiffusion
from scenario_trees.processes.varying import VaryingBrownianMotion
from stochisru.errors import InputError
from stochisru.lunar.exact.root_plan import LastYear, RootProblem, best_root_plan, plan_gain
from stochisru.lunar.exact.single_deployment import SingleDeployment, best_single
from stochisru.lunar.exact.threshold import Continuation
from stochisru.lunar.exact.threshold_recursion import COARSE, FINE, Rule, ThresholdRecursion, fits
from stochisru.lunar.exact.unit_value import UnitValue
from stochisru.lunar.tables.case import GeneralCase
from stochisru.lunar.tables.model import StatedCase
from stochisru.lunar.tables.worth import scrapped
from stochisru.methods.result import Bounds, Kind, Of, Reason, Result, Termination
from stochisru.problem.coefficients import Factor

if TYPE_CHECKING:
    import pandas as pd

    from stochisru.problem.policies.protocol import Seen


def why_no_layers(case: GeneralCase) -> str | None:
    """Why plant of a case with tables is no sum of layers that earn by themselves, or None where it is one."""
    tables = (
        ("technologies", len(case.technologies) > 1, "one technology"),
        ("factors", bool(case.factors), "demand alone"),
        ("risk", case.risk is not None, "the expectation"),
        ("storage", case.storage is not None, "no store"),
        ("launch.mass_limit", case.launch.mass_limit is not None, "no limit"),
        ("support.purchase", case.support.purchase is not None, "no quantity"),
        ("customers", any(each.quantity is not None for each in case.customers), "tiers of shares"),
        ("technology.scrap", case.can_abandon, "plant that stays"),
        ("launch, scale", not case.is_linear, "costs in proportion to size"),
    )
    for name, said, allowed in tables:
        if said:
            return f"{name}: the exact policy takes {allowed}; trees (ef) and, where costs are linear, sddp take it"
    stated = case.stated
    (kind,) = stated.kinds
    if kind.build_limit is not None or kind.lifetime is not None:
        name = "lifetime" if kind.build_limit is None else "build_limit"
        return f"{name}: the exact policy takes plant without one; trees (ef) and sddp take it"
    limit = stated.symbols.get("earth_limit")
    if limit is not None and np.any(limit.known(case.horizon.T)):
        return "earth_limit: must be none or 0 for an exact policy: with a limit value does not scale with demand"
    if not np.all(np.array(kind.keep(case.horizon.T, 1.0)) > 0):
        return "degradation: the exact policy takes plant of which something is left"
    return None


def why_no_exact_policy(case: GeneralCase) -> str | None:
    """Why a case with tables has no exact policy on its process, in one sentence, or None where it has one."""
    reason = why_no_layers(case)
    if reason is not None:
        return reason
    stated, process = case.stated, case.process
    (kind,) = stated.kinds
    if not isinstance(process, (GeometricBrownianMotion, JumpDiffusion, VaryingBrownianMotion)):
        return (
            "demand.process: the exact policy takes a geometric Brownian motion, by year or with jumps, "
            f"got {type(process).__name__}"
        )
    if not np.all(kind.capacity.known(case.horizon.T) > 0):
        return "availability: the exact policy takes plant that never rests"
    unit = YearlyUnitValue.stated(stated)
    if process.volatility == 0 or not fits(unit, min(kind.lead_time, unit.years)):
        return f"sigma: must be large enough for tables of the exact policy, got {process.volatility:g}"
    return None


@dataclass(frozen=True, eq=False)
class YearlyUnitValue(UnitValue):
    """Unit values that move with the year; those of `UnitValue` that do not are not a number.

    Attributes
    ----------
    capacity, idle_cost, bills, keeps, alternative
        η; h ($/(kg yr)); what arriving plant costs ($ of year 0 per kg); κ; and the cost of serving a kilogram of
        demand without plant ($), each of shape ``(T + 1,)``.
    shares, steps
        Shares of demand of all tiers up to one, and how much more a kilogram is worth to it than to the next ($/kg),
        each of shape ``(tiers, T + 1)``.
    """

    capacity: Array
    idle_cost: Array
    bills: Array
    keeps: Array
    alternative: Array
    shares: Array
    steps: Array

    @classmethod
    def stated(cls, stated: StatedCase) -> YearlyUnitValue:
        """Unit values of a case of one technology and tiers of shares."""
        case, T = stated.case, stated.T
        (kind,) = stated.kinds
        discount = (1 + case.economics.r) ** -stated.step
        years = stated.years.known(T)
        capacity = kind.capacity.known(T)
        c_S, c_E = stated.cost("c_S").known(T), stated.cost("c_E").known(T)
        c_by = (stated.cost("c_by") * stated.ours * kind.beta).known(T)
        limit = stated.symbols.get("earth_limit")
        wanted, worth = np.zeros((2, len(stated.tiers), T + 1))
        alternative = np.zeros(T + 1)
        for i, tier in enumerate(stated.tiers):
            assert isinstance(tier.stated, Factor)
            wanted[i] = tier.stated.by_year(T)
            other = tier.shortage.known(T)
            if tier.earth and limit is None:
                sold = tier.price.known(T) if case.economics.earth_sold else 0.0
                other = np.minimum(other, c_E - sold)
            worth[i] = np.maximum(stated.price(tier).known(T) - c_by + c_S + other, 0.0)
            alternative += stated.step * wanted[i] * other
        order = np.argsort(-worth, axis=0, kind="stable")
        worth, wanted = np.take_along_axis(worth, order, axis=0), np.take_along_axis(wanted, order, axis=0)
        keep = np.array(kind.keep(T, stated.step))
        scrap = scrapped(case, kind, stated.bill(kind), keep.tolist()).known(T)
        held = (kind.c_op * stated.ours).known(T) * years
        nan = float("nan")
        return cls(
            process=case.process,
            years=T,
            eta=nan,
            worth=nan,
            holding=nan,
            unserved=nan,
            price=nan,
            discount=discount,
            kept=nan,
            capacity=capacity,
            idle_cost=held - scrap + capacity * c_S * years,
            bills=stated.bill(kind).known(T) * kind.paid(discount, T),
            keeps=keep,
            alternative=alternative,
            shares=np.cumsum(wanted, axis=0),
            steps=-np.diff(worth, axis=0, append=np.zeros((1, T + 1))) * years,
        )

    def from_year(self, year: int) -> YearlyUnitValue:
        """As `UnitValue.from_year`."""
        process: Any = self.process
        if isinstance(process, VaryingBrownianMotion):
            process = process.later(year)
        return replace(
            self,
            process=replace(process, initial=1.0),
            years=self.years - year,
            capacity=self.capacity[year:],
            idle_cost=self.idle_cost[year:],
            bills=self.bills[year:] / self.discount**year,
            keeps=self.keeps[year:],
            alternative=self.alternative[year:],
            shares=self.shares[:, year:],
            steps=self.steps[:, year:],
        )

    @cached_property
    def _left(self) -> Array:
        return np.cumprod(np.concatenate([[1.0], self.keeps[1:]]))

    def left(self, year: ArrayLike) -> Array:
        """s_t: what is left in a year of a kilogram of year 0."""
        return np.asarray(self._left[np.asarray(year, dtype=np.int64)])

    def bill(self, year: ArrayLike) -> Array:
        """Cost of a kilogram that arrives in a year, $ of year 0."""
        return np.asarray(self.bills[np.asarray(year, dtype=np.int64)])

    def starting(self, year: ArrayLike) -> Array:
        """Cost of a layer that arrives in a year, $ of year 0 per kg of year 0."""
        return self.bill(year) * self.left(year)

    def scale(self, year: ArrayLike) -> Array:
        """s_t·(1 + r)^−t: dollars of year 0 per dollar and kilogram of year t."""
        return np.asarray(self.discount ** np.asarray(year, dtype=float) * self.left(year))

    def margin(self, year: ArrayLike, layer: ArrayLike) -> Array:
        """Expected profit in a year of the layer at ``layer`` kg, $ of year 0 per kg of year 0."""
        at = np.asarray(year, dtype=np.int64)
        level = self.capacity[at] * self.left(at) * np.asarray(layer)
        used = np.zeros(np.broadcast_shapes(np.shape(level), at.shape))
        for share, step in zip(self.shares, self.steps, strict=True):
            some = np.where(share[at] > 0, share[at], 1.0)
            tail = self.process.exceedance(level / some, at.astype(float))
            used = used + np.where(share[at] > 0, step[at], 0.0) * tail
        return np.asarray(self.scale(at) * (self.capacity[at] * used - self.idle_cost[at]))

    def earned(self, year: ArrayLike, plant: ArrayLike) -> Array:
        """Expected profit in a year of all layers up to ``plant`` kg of year 0, $ of year 0."""
        at, plant = np.asarray(year, dtype=np.int64), np.asarray(plant, dtype=float)
        level = self.capacity[at] * self.left(at) * plant
        served = np.zeros(np.broadcast_shapes(np.shape(level), at.shape))
        for share, step in zip(self.shares, self.steps, strict=True):
            some = np.where(share[at] > 0, share[at], 1.0)
            served = served + step[at] * share[at] * self.process.limited_mean(level / some, at.astype(float))
        now = self.discount ** at.astype(float)
        return np.asarray(now * served - self.scale(at) * self.idle_cost[at] * plant)

    def used(self, year: int, lead: int, log_ratio: Array) -> Array:
        """Expected profit in ``year`` of a kilogram at log y of plant over demand ``lead`` years before, $ of it."""
        level = np.log(self.capacity[year]) + log_ratio
        worth = np.zeros(log_ratio.shape)
        for share, step in zip(self.shares[:, year], self.steps[:, year], strict=True):
            if share <= 0:
                continue
            worth = worth + step * self.growth_above(lead, level - np.log(share), year - lead)
        return np.asarray(self.capacity[year] * worth - self.idle_cost[year])

    def full(self, year: int, lead: int) -> float:
        """Expected profit ``lead`` years ahead of a kilogram that is used while there is demand, $ of ``year``."""
        wanted = self.shares[:, year] > 0
        used = self.alive(lead, year - lead) * self.steps[wanted, year].sum()
        return float(self.capacity[year] * used - self.idle_cost[year])

    @property
    def jumps(self) -> tuple[float, ...]:
        """Logarithms of y at which profit of some year jumps: plant is as much as some tiers ask for."""
        some = (self.shares > 0) & (self.steps > 0)
        found = np.where(some, np.log(np.where(some, self.shares, 1.0)) - np.log(self.capacity), np.nan)
        return tuple(np.unique(found[np.isfinite(found)]).tolist())

    def without_plants(self) -> float:
        """Expected cost of serving all demand without plants, $."""
        year = np.arange(self.years + 1)
        return float((self.discount**year * self.alternative) @ self.process.mean(year))

    def reach(self, first: int, last: int) -> tuple[float, float]:
        """As `UnitValue.reach` from year 0."""
        return self.reach_from(0, first)

    def reach_from(self, t: int, lead: int) -> tuple[float, float]:
        """Logarithms of plant of year t + ``lead`` over D_t between which the layers lie that demand decides about."""
        year = np.arange(t + lead, self.years + 1)
        ahead = year - t
        low, high = self.log_ends(ahead, t)
        middle = -np.log(self.left(year) / self.left(t + lead)) - np.log(self.capacity[year])
        some = (self.shares[:, year] > 0) & (self.steps[:, year] > 0)
        if not some.any():
            return -1.0, 1.0
        asked = np.where(some, np.log(np.where(some, self.shares[:, year], 1.0)), np.nan)
        margin = 1e-3  # keeps certain demand strictly inside
        return float(np.nanmin(asked + middle + low)) - margin, float(np.nanmax(asked + middle + high)) + margin


class YearlyRecursion(ThresholdRecursion):
    """The recursion where every year has numbers of its own."""

    unit: YearlyUnitValue

    def _reach(self, t: int) -> tuple[float, float]:
        return self.unit.reach_from(t, self.lead_time)

    def _price(self, t: int) -> float:
        return float(self.unit.bills[t + self.lead_time] / self.unit.discount**t)

    def _kept(self, t: int) -> float:
        return float(self.unit.keeps[min(t + self.lead_time + 1, self.unit.years)])

    def _now(self, t: int, log_ratio: Array) -> Array:
        return np.asarray(
            self.unit.discount**self.lead_time * self.unit.used(t + self.lead_time, self.lead_time, log_ratio)
        )

    def _full(self, t: int) -> float:
        return float(self.unit.discount**self.lead_time * self.unit.full(t + self.lead_time, self.lead_time))

    def _idle(self, t: int) -> float:
        return float(-(self.unit.discount**self.lead_time) * self.unit.idle_cost[t + self.lead_time])


@dataclass(frozen=True)
class UpToShare:
    """Orders that raise plant of year t + L to k_t·D_t, after given ones at the root.

    Attributes
    ----------
    root, position
        As in `YearlyPlan`.
    """

    root: tuple[float, ...]
    position: tuple[float, ...]
    keeps: tuple[float, ...]
    name: str = "threshold"

    def decide(self, seen: Seen) -> dict[str, Array]:
        """The order of the year."""
        due = seen.due.get("dM", ())
        if not due:
            return {}
        if seen.year == 0:
            return {"dM": np.array([np.full(seen.paths, self.root[t]) for t in due])}
        (arrival,), demand = due, next(iter(seen.factors.values()))[seen.year]
        there = self.keeps[arrival] * seen.amount("M", arrival - 1)
        return {"dM": np.maximum(self.position[seen.year - 1] * demand - there, 0.0)[None]}

    def describe(self) -> str:
        """The rule as one sentence."""
        share = ", ".join(f"{k:.3g}" for k in self.position[:3])
        more = ", …" if len(self.position) > 3 else ""
        return f"Order up to a multiple of demand, k_t·D_t with k = {share}{more} kg per kg/yr in years 1, 2, …"


@dataclass(frozen=True, eq=False)
class YearlyPlan:
    """The exact policy of a case with tables.

    Attributes
    ----------
    amounts
        ΔM_0..ΔM_min(L, T), kg.
    position
        k*_t of years 1..T − L, kg per kg/yr, shape ``(max(T − L, 0),)``.
    """

    case: GeneralCase
    amounts: Array
    position: Array
    unit: YearlyUnitValue

    @property
    def root(self) -> Array:
        """ΔM_0..ΔM_min(L, T), kg."""
        return self.amounts

    @property
    def first_stage(self) -> dict[str, float]:
        """The same by name."""
        return {f"dM{t}": float(mass) for t, mass in enumerate(self.amounts)}

    @property
    def size(self) -> dict[str, int]:
        """Number of decision years after the root."""
        return {"stages": self.position.size}

    @property
    def details(self) -> dict[str, Any]:
        """k*_t of years 1..T − L."""
        return {"position": self.position.tolist()}

    def to_frame(self) -> pd.DataFrame:
        """Tidy table: year of the decision, arrival, quantity, value, unit."""
        import pandas as pd

        lead = self.amounts.size - 1
        rows = [(0, t, "dM", float(x), "kg") for t, x in enumerate(self.amounts)]
        rows += [(t, t + lead, "position", float(k), "kg/(kg/yr)") for t, k in enumerate(self.position, start=1)]
        return pd.DataFrame(rows, columns=["year", "arrival", "quantity", "value", "unit"])

    def policy(self, name: str, mapping: str | None = None) -> UpToShare:
        """The policy at any demand; `InputError` if a mapping is given."""
        if mapping is not None:
            raise InputError(f"mapping: the exact policy acts at any demand and takes none, got {mapping!r}")
        return UpToShare(
            tuple(self.amounts.tolist()), tuple(self.position.tolist()), tuple(self.unit.keeps.tolist()), name
        )


def exact_policy(case: GeneralCase) -> Result[YearlyPlan]:
    """The exact policy of a case with tables, and its value on the process.

    Raises
    ------
    InputError
        If it has none; see `why_no_exact_policy`.
    """
    reason = why_no_exact_policy(case)
    if reason is not None:
        raise InputError(reason)
    start = time.perf_counter()
    stated = case.stated
    unit = YearlyUnitValue.stated(stated)
    plan, value = _plan(stated, unit, FINE)
    error = abs(value - _plan(stated, unit, COARSE)[1]) + 1e-13 * (abs(value) + abs(unit.without_plants()))
    bounds = Bounds(value - error, value + error, Kind.EXACT, Of.PROCESS, abs(unit.without_plants()))
    detail = f"exact recursion on the demand process; estimated error of integration {error:.2g} $"
    return Result(
        method="threshold",
        objective=value,
        bounds=bounds,
        termination=Termination(Reason.OPTIMAL, detail=detail),
        plan=plan,
        timings={"solve": time.perf_counter() - start},
        solver="recursion",
    )


def _plan(stated: StatedCase, unit: YearlyUnitValue, rule: Rule) -> tuple[YearlyPlan, float]:
    problem, recursion = _root_problem(stated, unit, rule)
    later = range(1, stated.T - stated.kinds[0].lead_time + 1)
    position = np.empty(0) if recursion is None else np.exp([recursion.log_position(t) for t in later])
    root = problem.best()
    return YearlyPlan(stated.case, root, position, unit), problem.value(root)


def root_problem(case: GeneralCase, rule: Rule = FINE) -> tuple[RootProblem, YearlyRecursion | None]:
    """As `stochisru.lunar.exact.threshold.root_problem`, of a case with tables that has an exact policy."""
    stated = case.stated
    return _root_problem(stated, YearlyUnitValue.stated(stated), rule)


def _root_problem(stated: StatedCase, unit: YearlyUnitValue, rule: Rule) -> tuple[RootProblem, YearlyRecursion | None]:
    (kind,), T = stated.kinds, stated.T
    lead = kind.lead_time
    allowed = allowed_years(stated)[: min(lead, T) + 1]
    if lead > T:
        return RootProblem(unit, allowed, kind.M0, LastYear(unit), 0.0), None
    recursion = YearlyRecursion(unit, lead, rule)
    later = unit.process.initial * recursion.option(0)
    return RootProblem(unit, allowed, kind.M0, Continuation(unit, lead, recursion), later), recursion


def allowed_years(stated: StatedCase) -> Mask:
    """Years in which plant may arrive, shape ``(T + 1,)``."""
    allowed = np.ones(stated.T + 1, dtype=bool)
    allowed[0] = stated.case.horizon.initial_deployment == "free"
    return allowed


def exact_in_advance(case: GeneralCase, fixed: bool = False) -> tuple[float, Array]:
    """Value of the best plan that is fixed in advance and its deployments, $ and kg; of one in year 0 alone."""
    stated = case.stated
    unit, (kind,) = YearlyUnitValue.stated(stated), stated.kinds
    allowed = allowed_years(stated) & (np.arange(stated.T + 1) == 0) if fixed else allowed_years(stated)
    plan = best_root_plan(unit, allowed, kind.M0, LastYear(unit))
    return exact_plan_value(case, plan), plan


def has_exact_single(case: GeneralCase) -> bool:
    """Whether `exact_single` takes a case: with old plant its time waits for demand, of which a density is needed."""
    stated = case.stated
    return stated.kinds[0].M0 == 0 or isinstance(case.process, GeometricBrownianMotion)


def exact_single(case: GeneralCase) -> SingleDeployment:
    """Value of the best single deployment whose time and size may wait for demand.

    Raises
    ------
    InputError
        If demand jumps or grows by year and there is old plant; see `has_exact_single`.
    """
    if not has_exact_single(case):
        raise InputError("M0: must be 0 for the best single deployment where demand jumps or grows by year")
    stated = case.stated
    (kind,) = stated.kinds
    return best_single(YearlyUnitValue.stated(stated), allowed_years(stated), kind.lead_time, kind.M0)


def exact_plan_value(case: GeneralCase, deployment: Array) -> float:
    """Expected NPV of a plan ΔM_0..ΔM_T held on every path, $."""
    stated = case.stated
    unit, (kind,) = YearlyUnitValue.stated(stated), stated.kinds
    return plan_gain(unit, deployment, kind.M0, LastYear(unit)) - unit.without_plants()
