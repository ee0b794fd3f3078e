"""The exact policy on the demand process itself: a threshold on plant over demand, with its value.

See `stochisru.lunar.exact.threshold_recursion` for the recursion. There is no tree and no sampling; what is left is the
error of numerical integration, which is estimated by solving again with a coarser rule.

Volatility that is positive but too small for tables is met with the policy of certain demand, whose value V0 there is
known. Let R_t = D_t/E[D_t], a martingale with R_0 = 1, and e = max_t abs(R_t − 1), so that E[e] ≤ 2·√(exp(σ²T) − 1)
(Doob's inequality). Plant of an order-up-to policy is a maximum of multiples of demands of the past, so it differs from
that on the mean path by a share of at most e, and

    abs(E[NPV of the policy] − V0) ≤ E[e]·Σ_t d^t·((a + c_u)·E[D_t] + (η·a + h)·M_t + c_I·(M_t + κ·M_{t−1})),

with M the plant on the mean path. No policy is worth more than V0, the best that the mean path allows: NPV is concave
in the path of demand (Jensen).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from scenario_trees.arrays import Array
from scenario_trees.origin import Origin
from stochisru.errors import InputError
from stochisru.lunar.case import DeploymentCase, require_case
from stochisru.lunar.exact.layers import allowed_years
from stochisru.lunar.exact.root_plan import LastYear, RootProblem
from stochisru.lunar.exact.threshold_certain import CertainRecursion
from stochisru.lunar.exact.threshold_recursion import COARSE, FINE, Rule, ThresholdRecursion, fits
from stochisru.lunar.exact.unit_value import UnitValue
from stochisru.lunar.orders import RootOrders
from stochisru.lunar.strategies.order_up_to import OrderUpTo
from stochisru.lunar.strategies.protocol import root_years
from stochisru.methods.result import Bounds, Kind, Of, Reason, Result, Termination
from stochisru.shown import PlanShown

if TYPE_CHECKING:
    import pandas as pd


class Recursion(Protocol):
    """Marginal value of plant, stage by stage; units as in `ThresholdRecursion`."""

    def log_position(self, t: int) -> float:
        """Logarithm of k*_t, −inf for never."""
        ...

    def option(self, t: int) -> float:
        """Worth at t of all orders after t to someone without plants."""
        ...

    def marginal(self, t: int, log_ratio: ArrayLike) -> Array:
        """F'_t at log y."""
        ...

    def integral(self, t: int, log_ratio: float) -> float:
        """∫ F'_t from 0 to y."""
        ...


@dataclass(frozen=True)
class Continuation:
    """Worth of plant from year L on when orders follow a policy, as the tail of a root plan."""

    unit: UnitValue
    lead_time: int
    recursion: Recursion

    def _log_ratio(self, layer: Array) -> Array:
        with np.errstate(divide="ignore"):
            log_layer = np.log(layer)
        return np.asarray(np.log(self.unit.left(self.lead_time)) + log_layer - np.log(self.unit.process.initial))

    def margin(self, layer: Array) -> Array:
        """Of the kilogram at ``layer``."""
        return self.unit.left(self.lead_time) * self.recursion.marginal(0, self._log_ratio(layer))

    def earned(self, plant: Array) -> Array:
        """Of all kilograms up to ``plant``."""
        ratio = self._log_ratio(plant)
        return np.array([self.unit.process.initial * self.recursion.integral(0, float(s)) for s in ratio])


@dataclass(frozen=True, eq=False, repr=False)
class ThresholdPlan(RootOrders, PlanShown):
    """The exact policy of a case.

    Attributes
    ----------
    root
        ΔM_0..ΔM_min(L, T), kg.
    position
        k*_t of years t = 1..T − L: plant that should be in place at t + L per unit of D_t, kg per kg/yr, shape
        ``(max(T − L, 0),)``; 0 means that nothing is ordered in that year whatever demand does.
    """

    case: DeploymentCase
    root: Array
    position: Array
    recursion: Recursion | None

    @property
    def size(self) -> dict[str, int]:
        """Number of decision years after the root."""
        return {"stages": self.position.size}

    @property
    def details(self) -> dict[str, Any]:
        """k*_t and the trigger of years 1..T − L; an infinite trigger is none at all."""
        return {"position": self.position.tolist(), "trigger": self.trigger.tolist()}

    @cached_property
    def trigger(self) -> Array:
        """Utilisation 1/(η·k*_t) at which year t orders, shape ``(max(T − L, 0),)``; infinite for never."""
        with np.errstate(divide="ignore"):
            return np.asarray(1 / (self.case.technology.eta * self.position))

    def to_frame(self) -> pd.DataFrame:
        """Tidy table: year, arrival, quantity, value, unit.

        Root deployments are ``dM`` (kg, decided in year 0); then ``position`` (k*_t, kg per kg/yr) and ``trigger``
        (utilisation, -) of every later year that may order.
        """
        import pandas as pd

        lead = self.case.horizon.lead_time
        rows = [(0, t, "dM", float(x), "kg") for t, x in enumerate(self.root)]
        for t, (k, u) in enumerate(zip(self.position, self.trigger, strict=True), start=1):
            rows += [(t, t + lead, "position", float(k), "kg/(kg/yr)"), (t, t + lead, "trigger", float(u), "-")]
        return pd.DataFrame(rows, columns=["year", "arrival", "quantity", "value", "unit"])

    def policy(self, name: str, mapping: str | None) -> OrderUpTo:
        """The policy as a strategy; it knows what to do at any demand."""
        if mapping is not None:
            raise InputError(f"mapping: the exact policy acts at any demand and takes none, got {mapping!r}")
        return OrderUpTo(
            name, tuple(map(float, self.root)), tuple(map(float, self.position)), Origin(self.case.process)
        )

    def value(self, year: int, plant: ArrayLike, demand: ArrayLike) -> Array:
        """Value function: expected NPV of everything that an order of ``year`` can still change.

        Parameters
        ----------
        year
            1 ≤ year ≤ T − L.
        plant
            Plant that will be in place in year + L without today's order, kg.
        demand
            Demand of ``year``, kg/yr; broadcasts against ``plant``.

        Returns
        -------
        numpy.ndarray
            $ of ``year`` (not discounted to year 0): profit of the years from year + L on, less all orders from today
            on.
        """
        if self.recursion is None or not 1 <= year <= self.position.size:
            raise InputError(f"year: must be a decision year, 1 to {self.position.size}, got {year!r}")
        unit, lead = UnitValue.of(self.case), self.case.horizon.lead_time
        plant, demand = np.broadcast_arrays(np.asarray(plant, dtype=float), np.asarray(demand, dtype=float))
        ahead = np.arange(lead, unit.years - year + 1)
        unserved = unit.unserved * float(unit.discount**ahead @ np.exp(unit.process.drift * ahead))
        best, price = self.position[year - 1], unit.discount**lead * unit.price
        out = np.empty(plant.shape)
        for i in np.ndindex(plant.shape):
            ratio = plant[i] / demand[i]
            target = max(float(ratio), float(best))
            worth = self.recursion.integral(year, float(np.log(target))) if target > 0 else 0.0
            worth += self.recursion.option(year) - price * (target - ratio) - unserved
            out[i] = demand[i] * worth
        return out


def is_tabulated(case: DeploymentCase) -> bool:
    """Whether volatility is large enough for tables, or nothing is uncertain."""
    unit, T, lead = UnitValue.of(case), case.horizon.T, case.horizon.lead_time
    return unit.process.volatility == 0 or lead > T or fits(unit, lead)


def root_problem(case: DeploymentCase, rule: Rule = FINE) -> tuple[RootProblem, Recursion | None]:
    """What is decided at the root before the exact policy, and its recursion by one rule of integration.

    The recursion is None where all is decided at the root.
    """
    unit = UnitValue.of(case)
    T, lead = case.horizon.T, case.horizon.lead_time
    allowed, existing = allowed_years(case)[: root_years(case)], case.technology.M0
    if lead > T:
        return RootProblem(unit, allowed, existing, LastYear(unit), 0.0), None
    certain = unit.process.volatility == 0
    recursion: Recursion = CertainRecursion(unit, lead) if certain else ThresholdRecursion(unit, lead, rule)
    later = unit.process.initial * recursion.option(0)
    return RootProblem(unit, allowed, existing, Continuation(unit, lead, recursion), later), recursion


def threshold_plan(case: DeploymentCase, rule: Rule) -> tuple[ThresholdPlan, float]:
    """The exact policy by one rule of integration, and its value, $."""
    problem, recursion = root_problem(case, rule)
    later = range(1, case.horizon.T - case.horizon.lead_time + 1)
    position = np.empty(0) if recursion is None else np.exp([recursion.log_position(t) for t in later])
    root = problem.best()
    return ThresholdPlan(case, root, position, recursion), problem.value(root)


def _error_of_certainty(unit: UnitValue, plan: ThresholdPlan) -> float:
    """How far the policy's value, and the optimum, can be from that without volatility, $: see the module."""
    mean = unit.process.mean(np.arange(unit.years + 1))
    plant = np.empty(unit.years + 1)
    before = plan.case.technology.M0
    wanted = np.concatenate([np.zeros(plan.root.size), plan.position * mean[1 : plan.position.size + 1]])
    for t in range(unit.years + 1):
        kept = before * (unit.kept if t else 1.0)
        plant[t] = before = kept + plan.root[t] if t < plan.root.size else max(kept, wanted[t])
    year = np.arange(unit.years + 1)
    yearly = (unit.worth + unit.unserved) * mean + (unit.eta * unit.worth + unit.holding) * plant
    yearly += unit.price * (plant + unit.kept * np.concatenate([[0.0], plant[:-1]]))
    spread = 2 * np.sqrt(np.expm1(unit.process.volatility**2 * unit.years))
    return float(spread * (unit.discount**year @ yearly))


def threshold(case: DeploymentCase) -> Result[ThresholdPlan]:
    """Solve the multistage problem exactly on the demand process, for any lead time and horizon.

    Returns
    -------
    Result
        The objective is the optimum RP itself, $ (maximised); its bounds are the objective ∓ the estimated error of
        integration (exact, of the process). The plan holds root deployments, thresholds and value function.

    Raises
    ------
    InputError
        If the policy is not exact for the case: costs are not linear (see `stochisru.lunar.relaxation`), Earth supply
        is limited.

    Examples
    --------
    >>> from stochisru import load_case, threshold
    >>> result = threshold(load_case("lunar-reference").replace(T=50))
    >>> result.bounds.gap < 1e-9
    True
    >>> [f"{u:.0%}" for u in result.plan.trigger[[0, 20, 48]]]  # utilisation that triggers an order
    ['53%', '53%', '63%']
    """
    require_case(case)
    start = time.perf_counter()
    unit = UnitValue.of(case)
    tabulated = is_tabulated(case)
    plan, value = threshold_plan(case if tabulated else case.replace(sigma=0.0), FINE)
    solved = time.perf_counter()
    if tabulated:
        error = abs(value - threshold_plan(case, COARSE)[1])
        detail = "exact recursion on the demand process; estimated error of integration"
    else:
        plan = replace(plan, case=case)
        error = _error_of_certainty(unit, plan)
        detail = f"policy of certain demand: sigma = {unit.process.volatility:g} is too small for tables; error below"
    error += 1e-13 * (abs(value) + unit.without_plants())
    return Result(
        method="threshold",
        objective=value,
        bounds=Bounds(value - error, value + error, Kind.EXACT, Of.PROCESS, unit.without_plants()),
        termination=Termination(
            Reason.OPTIMAL,
            detail=f"{detail} {error:.2g} $",
        ),
        plan=plan,
        timings={"solve": solved - start, "error": time.perf_counter() - solved},
        solver="recursion",
    )
