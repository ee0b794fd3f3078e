"""Exact values of a case with some symbols changed: the points that sensitivity studies are made of."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from stochisru.errors import InputError
from stochisru.lunar.case import DeploymentCase
from stochisru.studies.store import Execution, Point, Row, Study, run_study

#: Values at a point, $ (maximised); see `stochisru.lunar.values.process`.
VALUES = {
    "rp": "expected NPV of the optimum (RP)",
    "static": "expected NPV of the static plan",
    "fixed": "expected NPV of the fixed design",
    "eev": "expected NPV of the mean path's plan (EEV)",
    "flexibility": "value of flexibility",
    "defer": "value of deferring the start",
    "staging": "value of staging",
    "vss": "value of the stochastic solution (VSS)",
    "vms": "value of the multistage solution (VMS)",
    "earth_backup": "value of Earth supply as a back-up",
}
#: What else is known at a point.
DEPLOYMENTS = {"dM0": "first-year deployment", "first_year_capital": "first-year capital"}
#: Unit of every quantity of a point.
UNITS = {**dict.fromkeys(VALUES, "$"), "dM0": "kg", "first_year_capital": "$"}
MEANING = {**VALUES, **DEPLOYMENTS}


def require_quantity(name: str) -> None:
    """Raise `InputError` for a name that is no quantity of a point."""
    if name not in UNITS:
        raise InputError(f"quantity: must be one of {', '.join(UNITS)}, got {name!r}")


def require_target(target: float) -> None:
    """Raise `InputError` for a level that is no number."""
    if not math.isfinite(target):
        raise InputError(f"target: must be a finite number, got {target!r}")


def unit_of(case: DeploymentCase, symbol: str) -> str:
    """Unit of a symbol."""
    return str(case.to_frame().loc[symbol, "unit"])


def require_number(case: DeploymentCase, symbol: str) -> float:
    """Value of a symbol; raise `InputError` if it is unknown or no number in this case."""
    if symbol not in case.values:
        raise InputError(f"{symbol}: unknown symbol; known are {', '.join(case.values)}")
    value = case.values[symbol]
    if isinstance(value, str) or value is None:
        raise InputError(f"{symbol}: is {value or 'none'} in this case, not a number that can be varied")
    return float(value)


def require_span(
    case: DeploymentCase, symbol: str, span: tuple[float, float] | None, reach: tuple[float, float]
) -> tuple[float, float]:
    """Range of a symbol that varies continuously; ``reach`` times its value if none is given.

    Raises
    ------
    InputError
        If the symbol is unknown, no number, takes whole numbers, or may not have the values; if low is not below high.
    """
    base = require_number(case, symbol)
    if isinstance(case.values[symbol], int):
        raise InputError(f"{symbol}: takes whole numbers, must be a symbol that varies continuously")
    if span is None:
        if base == 0:
            raise InputError(f"{symbol}: is 0, so it needs a range, as in {symbol}=0:1")
        low, high = sorted((reach[0] * base, reach[1] * base))
    else:
        low, high = map(float, span)
    if not low < high:
        raise InputError(f"{symbol}: range must have low < high, got {low:g} to {high:g}")
    for end in (low, high):
        changed(case, symbol, end)
    return low, high


def changed(case: DeploymentCase, symbol: str, value: float) -> dict[str, float]:
    """Point at which a symbol has another value.

    Raises
    ------
    InputError
        If the symbol may not have that value.
    """
    whole = isinstance(case.values[symbol], int)
    given = int(value) if whole and float(value).is_integer() else float(value)
    case.replace(**{symbol: given})
    return {symbol: given}


def hold(case: DeploymentCase, symbols: Sequence[str]) -> DeploymentCase:
    """Case in which derived symbols keep their values when what they are derived from changes.

    Raises
    ------
    InputError
        If a symbol is not derived in this case.
    """
    for symbol in symbols:
        if symbol not in case.derivation:
            derived = ", ".join(case.derivation) or "none"
            raise InputError(f"hold: must be among the derived symbols ({derived}), got {symbol!r}")
    return case.replace(**{symbol: case.values[symbol] for symbol in symbols})


def moved(case: DeploymentCase, point: Point) -> str:
    """Derived symbols that move along with those of a point, comma-separated."""
    other = case.replace(**point).values
    return ", ".join(s for s in case.derivation if s not in point and other[s] != case.values[s])


def values_study(case: DeploymentCase, points: Sequence[Mapping[str, Any]]) -> Study:
    """Exact values at changed symbols.

    The rows hold every quantity of `UNITS`, ``error`` (half the width of the widest bracket, $), and ``note`` (why the
    quantities are None, or None).
    """
    return Study({"study": "values", **case_identity(case)}, points, partial(_values, case))


def case_identity(case: DeploymentCase) -> dict[str, str]:
    """What changed copies of a case depend on."""
    rules = {symbol: rule.model_dump() for symbol, rule in case.derivation.items()}
    text = json.dumps(rules, sort_keys=True)
    return {"case": case.digest(), "derivation": hashlib.sha256(text.encode()).hexdigest()[:16]}


def values_at(
    case: DeploymentCase, points: Sequence[Mapping[str, Any]], execution: Execution | None = None
) -> list[Row]:
    """Rows of `values_study`, one per point; points may repeat."""
    different = {json.dumps(dict(p), sort_keys=True): dict(p) for p in points}
    rows = run_study(values_study(case, list(different.values())), execution)
    found = dict(zip(different, rows, strict=True))
    return [found[json.dumps(dict(p), sort_keys=True)] for p in points]


def _values(case: DeploymentCase, point: Point) -> list[Row]:
    from stochisru.lunar.values.process import exact_values

    try:
        here = case.replace(**point)
        exact = exact_values(here)
        row: Row = {name: exact.point(name) for name in VALUES}
    except InputError as error:
        return [{**dict.fromkeys(UNITS), "error": None, "note": str(error)}]
    row["dM0"] = float(exact.recourse.plan.root[0])
    row["first_year_capital"] = float(here.investment(row["dM0"]))
    brackets = [getattr(exact, name) for name in VALUES]
    row["error"] = max(0.5 * (b.upper - b.lower) for b in brackets)
    return [{**row, "note": None}]
