"""Studies as they were published: without uncertainty, their own plan evaluated, and what would have been best."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy.optimize import brentq

from scenario_trees.arrays import Array
from scenario_trees.tree import ScenarioTree
from stochisru.lunar.tables.case import GeneralCase, general_case
from stochisru.methods.extensive_form import extensive_form
from stochisru.problem.evaluate import evaluate
from stochisru.problem.paths import chain

#: Range in which an internal rate of return is looked for, 1/yr.
_RATES = (1e-4, 3.0)


def mean_path(case: GeneralCase) -> ScenarioTree:
    """The tree of mean demand alone, which is demand at σ = 0."""
    return chain(case.process.mean(np.arange(case.horizon.T + 1)))


def worth(case: GeneralCase, plan: Mapping[str, Array]) -> float:
    """NPV of a plan at σ = 0, of year 0, in the case's money."""
    tree = mean_path(case)
    return evaluate(case.model_on(tree), plan, tree).value


def nothing(plan: Mapping[str, Array]) -> dict[str, Array]:
    """The plan that never deploys."""
    return {name: np.zeros_like(amounts) for name, amounts in plan.items()}


def internal_rate(case: GeneralCase, plan: Mapping[str, Array]) -> float | None:
    """Discount rate at which a plan is worth as much as doing nothing, 1/yr; None if there is none in 0.0001 to 3."""

    def gain(rate: float) -> float:
        at = case.replace(r=float(rate))
        return worth(at, plan) - worth(at, nothing(plan))

    if gain(_RATES[0]) * gain(_RATES[1]) > 0:
        return None
    return float(brentq(gain, *_RATES, xtol=1e-7))


def at_prices(case: GeneralCase, share: float) -> GeneralCase:
    """The case with all prices times a share."""
    data = case.to_dict()
    for tier in data.get("customers", []):
        if "price" in tier:
            tier["price"] = _times(tier["price"], share)
    if "P_m" in data["economics"]:
        data["economics"]["P_m"] = _times(data["economics"]["P_m"], share)
    return general_case(data)


def _times(amount: Any, share: float) -> Any:
    """A number over time, as a case file gives it, times a share."""
    if isinstance(amount, list):
        return [share * each for each in amount]
    if isinstance(amount, dict):
        key = "start" if "start" in amount else "values"
        return amount | {key: _times(amount[key], share)}
    return share * amount


def average_price(case: GeneralCase) -> float | None:
    """Price of what is wanted by all firm customers together, $/kg, weighted by quantity; None where none is firm."""
    years = np.arange(case.horizon.T + 1.0)
    sold = [(c.quantity.over(years)[-1], c.price.over(years)[-1]) for c in case.customers if c.quantity and c.price]
    total = sum(quantity for quantity, _ in sold)
    return float(sum(quantity * price for quantity, price in sold) / total) if total else None


def break_even(case: GeneralCase, plan: Mapping[str, Array]) -> float | None:
    """Average price at which a plan is worth nothing, all prices in proportion, $/kg: what is sold does not change."""
    average = average_price(case)
    if average is None:
        return None
    free = worth(at_prices(case, 0.0), plan)
    return average * -free / (worth(case, plan) - free)


def best(case: GeneralCase) -> tuple[float, dict[str, Array]]:
    """Optimal NPV at σ = 0, and its deployments by year of arrival, shape ``(T + 1,)``."""
    tree = mean_path(case)
    result = extensive_form(case, tree, rel_gap=1e-6)
    decisions = {name: amounts for name, amounts in result.plan.quantities.items() if name.startswith("dM")}
    return result.objective, decisions


def _npv(case: GeneralCase, plan: Mapping[str, Array]) -> float:
    return worth(case, plan) / 1e6


def _commissioning(case: GeneralCase, plan: Mapping[str, Array]) -> float:
    """NPV of the year before the first of operation, M$."""
    return _npv(case, plan) * float((1 + case.economics.r) ** (case.horizon.lead_time - 1))


def _rate(case: GeneralCase, plan: Mapping[str, Array]) -> float | None:
    rate = internal_rate(case, plan)
    return None if rate is None else 100 * rate


#: Quantities of published results, in their units: how ours comes about from a case and the study's plan.
QUANTITIES: dict[str, Callable[[GeneralCase, Mapping[str, Array]], float | None]] = {
    "npv": _npv,
    "npv_commissioning": _commissioning,
    "irr": _rate,
    "break_even": break_even,
    "cost": lambda case, plan: -_npv(case, plan),
    "cost_of_nothing": lambda case, plan: -_npv(case, nothing(plan)),
}
