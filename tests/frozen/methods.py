"""Every method as a function of a row, its answer as plain numbers, and how close two answers must be.

Money is compared relative to the money flows of the problem, which the table keeps: a value is a difference of sums,
and 1e-9 of the sums is what two ways of adding may differ by. What a solver leaves open (the gap of a mixed-integer
program, of progressive hedging) is compared up to that gap.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import stochisru
from scenario_trees import TreeError
from stochisru import (
    MeanCVaR,
    StochisruError,
    Storage,
    exact_values,
    expected_value,
    extensive_form,
    fixed_design,
    process_values,
    progressive_hedging,
    sddp,
    static_plan,
    threshold,
    value_table,
    wait_and_see,
)
from tests.frozen.problems import Problem

# Names that the package makes on first use are not known to a type checker.
lattice_dp, level_dp, tree_dp = stochisru.lattice_dp, stochisru.level_dp, stochisru.tree_dp
sddp_ignoring, threshold_ignoring = stochisru.sddp_ignoring, stochisru.threshold_ignoring

Answer = dict[str, Any]

#: Share of the money flows by which two exact values may differ.
MONEY = 1e-9
#: Share of the largest order, or of the plant that serves the first year's demand, by which orders may differ.
ORDERS = 1e-6
#: Gap of mixed-integer programs here, of progressive hedging, of SDDP, and of SDDP with a store or a risk measure.
MIXED_GAP, HEDGING_GAP, SDDP_GAP, MIXTURE_GAP = 1e-6, 1e-3, 1e-7, 1e-5
#: Sample paths of what is simulated.
PATHS = 256

_VALUES_ON_TREES = ("ws", "rp", "static", "fixed", "nothing", "ev", "eev")
_EXACT_VALUES = ("rp", "static", "fixed", "single", "nothing", "no_earth", "ev", "eev")


def number(value: float) -> float:
    """A number as the table keeps it: 13 digits, far more than are compared."""
    return float(f"{value:.13g}")


def pair(bounds: Any) -> list[float]:
    """A bracket."""
    return [number(bounds.lower), number(bounds.upper)]


def result_answer(result: Any, gap: float = 0.0) -> Answer:
    """What is kept of a `Result`: the keys of ``docs/cli.md``, which outlive the attributes."""
    told = result.to_dict()
    return {
        "objective": number(told["objective"]),
        "bounds": pair(result.bounds),
        "kind": told["bounds"]["kind"],
        "of": told["bounds"]["of"],
        "reason": told["termination"]["reason"],
        "limit": told["termination"]["limit"],
        "flows": number(result.bounds.flows),
        **({"gap": gap} if gap else {}),
        "orders": [number(x) for x in told["first_stage"].values()],
        **{key: told[key] for key in ("nodes", "leaves") if key in told},
    }


def _extensive_form(p: Problem) -> Answer:
    answer = result_answer(extensive_form(p.case, p.tree, rel_gap=MIXED_GAP))
    # The gap of a linear program is rounding: only what a solver left open is compared up to its gap.
    return answer | ({"gap": MIXED_GAP} if answer["kind"] == "solver" else {})


def _wait_and_see(p: Problem) -> Answer:
    found = wait_and_see(p.case, p.tree)
    return {
        "bounds": pair(found.bounds),
        "of": str(found.bounds.of),
        "flows": number(found.bounds.flows),
        "leaves": int(found.leaf_value.size),
        "values": {
            "least": number(found.leaf_value.min()),
            "most": number(found.leaf_value.max()),
        },
    }


def _value_table(p: Problem) -> Answer:
    found = value_table(p.case, p.tree)
    told = found.to_dict()
    gap = {} if told["certified"] else {"gap": MIXED_GAP}
    return {
        "of": told["of"],
        "flows": number(found.rp.flows),
        **gap,
        "nodes": told["nodes"],
        "values": {
            **{name: number(told[name]) for name in _VALUES_ON_TREES},
            **{f"{name} bound": number(told["brackets"][name][1]) for name in ("rp", "static", "fixed")},
            **{f"eev_{t}": number(value) for t, value in enumerate(told["eev_t"])},
        },
    }


def _exact_values(p: Problem) -> Answer:
    found = exact_values(p.case)
    return {
        "of": str(found.rp.of),
        "flows": number(found.rp.flows),
        "values": {name: number(found.point(name)) for name in _EXACT_VALUES},
    }


def _process_values(p: Problem) -> Answer:
    found = process_values(p.case, paths=PATHS)
    told = found.to_dict()
    return {
        "of": told["of"],
        "flows": number(found.recourse.bounds.flows),
        "method": told["method"],
        "kinds": told["kind"],
        "values": {
            f"{name} {side}": number(bound)
            for name, bracket in told["brackets"].items()
            for side, bound in zip(("lower", "upper"), bracket, strict=True)
        },
    }


def _by_sddp(p: Problem, gap: float = SDDP_GAP, store: Storage | None = None, **options: Any) -> Answer:
    problem: Any = p.case if store is None else p.case.stored(store)
    return result_answer(sddp(problem, p.lattice, rel_gap=gap, iterations=60, simulations=2, **options), gap)


#: Every method by its name in the table.
METHODS: Mapping[str, Callable[[Problem], Answer]] = {
    "extensive_form": _extensive_form,
    "tree_dp": lambda p: result_answer(tree_dp(p.case, p.tree)),
    "static_plan": lambda p: result_answer(static_plan(p.case, p.tree)),
    "fixed_design": lambda p: result_answer(fixed_design(p.case, p.tree)),
    "expected_value": lambda p: result_answer(expected_value(p.case, p.tree)),
    "wait_and_see": _wait_and_see,
    "value_table": _value_table,
    "progressive_hedging": lambda p: result_answer(
        progressive_hedging(p.case, p.tree, rel_gap=HEDGING_GAP, iterations=60), HEDGING_GAP
    ),
    "lattice_dp": lambda p: result_answer(lattice_dp(p.case, p.lattice)),
    "level_dp": lambda p: result_answer(level_dp(p.case, p.lattice)),
    "sddp": _by_sddp,
    "sddp_store": lambda p: _by_sddp(p, MIXTURE_GAP, Storage(boil_off=0.05, capacity=400.0, holding_cost=20.0)),
    "sddp_risk": lambda p: _by_sddp(p, MIXTURE_GAP, risk=MeanCVaR(weight=0.4, tail=0.3)),
    "sddp_ignoring": lambda p: result_answer(
        sddp_ignoring(p.case, p.lattice, paths=PATHS, rel_gap=SDDP_GAP, iterations=60, simulations=2), SDDP_GAP
    ),
    "threshold": lambda p: result_answer(threshold(p.case)),
    "threshold_ignoring": lambda p: result_answer(threshold_ignoring(p.case, paths=PATHS)),
    "exact_values": _exact_values,
    "process_values": _process_values,
}
#: What runs on every case; the others where the row says so.
ALWAYS = (
    "extensive_form",
    "tree_dp",
    "static_plan",
    "fixed_design",
    "expected_value",
    "wait_and_see",
    "lattice_dp",
    "level_dp",
    "threshold",
    "exact_values",
)


@dataclass(frozen=True)
class Difference:
    """One number that is not what it was."""

    field: str
    was: Any
    now: Any

    def __str__(self) -> str:
        return f"{self.field}: was {self.was!r}, is {self.now!r}"


def refusal(error: BaseException) -> Answer:
    """A refusal by the kind of error, and the kinds that it is a special one of; messages may be made better."""
    return {"error": type(error).__name__, "classes": [kind.__name__ for kind in type(error).__mro__]}


def answer(method: str, problem: Problem) -> Answer:
    """The answer of one method, or its refusal; what the package does not raise on purpose is not caught."""
    try:
        return METHODS[method](problem)
    except (StochisruError, TreeError) as error:
        return refusal(error)


def differences(was: Answer, now: Answer, order_scale: float) -> list[Difference]:
    """All that is not what it was.

    Parameters
    ----------
    was
        The answer in the table; its orders are missing where they are not unique.
    now
        The answer today.
    order_scale
        Plant that serves the first year's demand, kg.
    """
    if "error" in was or "error" in now:  # a more special error is still the error that it was
        same = was.get("error") in now.get("classes", ())
        return [] if same else [Difference("answer", was.get("error", "a result"), now.get("error", "a result"))]
    found = []
    for field in ("kind", "of", "reason", "limit", "nodes", "leaves", "method", "kinds"):
        if was.get(field) != now.get(field):
            found.append(Difference(field, was.get(field), now.get(field)))
    slack = MONEY * was["flows"]

    def compare(field: str, old: float, new: float) -> None:
        near = slack + was.get("gap", 0.0) * abs(old)
        if not (old == new or abs(old - new) <= near):
            found.append(Difference(field, old, new))

    if not math.isclose(was["flows"], now["flows"], rel_tol=MONEY):
        found.append(Difference("flows", was["flows"], now["flows"]))
    if "objective" in was:
        compare("objective", was["objective"], now["objective"])
    if "bounds" in was:
        compare("lower bound", was["bounds"][0], now["bounds"][0])
        compare("upper bound", was["bounds"][1], now["bounds"][1])
    if set(was.get("values", {})) != set(now.get("values", {})):
        found.append(Difference("values", sorted(was["values"]), sorted(now["values"])))
    else:
        for name, value in was.get("values", {}).items():
            compare(name, value, now["values"][name])
    if was.get("orders") is not None:
        near = ORDERS * max(order_scale, *was["orders"])
        if len(was["orders"]) != len(now["orders"]) or any(
            abs(old - new) > near for old, new in zip(was["orders"], now["orders"], strict=True)
        ):
            found.append(Difference("orders", was["orders"], now["orders"]))
    return found
