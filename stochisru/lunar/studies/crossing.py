"""Break-even search: the value of a symbol at which a quantity of a case crosses a target."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from stochisru.errors import InputError
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.studies.values import (
    UNITS,
    case_identity,
    changed,
    require_quantity,
    require_span,
    require_target,
    unit_of,
    values_at,
)
from stochisru.studies.store import Execution, Point, Row, Study, run_study

#: Relative width of the bracket around a root.
_WIDTH = 1e-6
#: Range in which a root is looked for if none is given, as multiples of the symbol's value.
_REACH = (0.1, 10.0)


@dataclass(frozen=True)
class BreakEven:
    """Where a quantity crosses a target.

    Attributes
    ----------
    value
        The root, in ``unit``.
    lower, upper
        Bracket of the root, whose ends were evaluated; the quantity is at or below the target at one and at or above it
        at the other.
    at_lower, at_upper
        The quantity there, in its unit.
    evaluations
        Times the case was valued.
    """

    symbol: str
    unit: str
    quantity: str
    target: float
    value: float
    lower: float
    upper: float
    at_lower: float
    at_upper: float
    evaluations: int


def break_even(
    case: DeploymentCase, symbol: str, quantity: str = "rp", *, low: float, high: float, target: float = 0.0
) -> BreakEven:
    """Find the value of a symbol at which a quantity crosses a target.

    Parameters
    ----------
    symbol
        Symbol that is varied; what the case derives from it moves along.
    quantity
        One of `stochisru.lunar.studies.values.UNITS`.
    low, high
        Range of the symbol that is searched; the quantity must lie on different sides of the target at its ends. With
        several crossings one of them is found.
    target
        In the unit of the quantity. Where the quantity is on it from some value of the symbol on (staging that is worth
        nothing), that value is found.

    Raises
    ------
    InputError
        If the quantity is on the same side of the target at both ends (the message gives both values), or not defined
        at a point.

    Examples
    --------
    >>> from stochisru import load_case
    >>> case = load_case("lunar-reference")
    >>> found = break_even(case, "P_m", low=1000, high=50_000)
    >>> found.unit, found.lower <= found.value <= found.upper
    ('$/kg', True)
    """
    from scipy.optimize import brentq

    require_quantity(quantity)
    require_target(target)
    low, high = require_span(case, symbol, (low, high), _REACH)
    seen: dict[float, float] = {}

    def excess(value: float) -> float:
        value = min(max(float(value), low), high)
        if value not in seen:
            (row,) = values_at(case, [changed(case, symbol, value)])
            if row["note"]:
                raise InputError(f"{row['note']} (at {symbol} = {value:g})")
            seen[value] = row[quantity] - target
        return seen[value]

    unit = UNITS[quantity]
    ends = f"{excess(low) + target:,.6g} {unit} and {excess(high) + target:,.6g} {unit}"
    if excess(low) * excess(high) > 0 or excess(low) == excess(high) == 0:
        raise InputError(
            f"{symbol}: {quantity} must cross {target:g} {unit} between {low:g} and {high:g}, is {ends} there"
        )
    width = _WIDTH * max(abs(low), abs(high))
    if excess(low) == 0 or excess(high) == 0:
        lower, upper, root = _edge(excess, low, high, width)
    else:
        root = float(brentq(excess, low, high, xtol=0.01 * width, rtol=0.01 * _WIDTH))
        for near in (root - _WIDTH * abs(root), root + _WIDTH * abs(root)):
            excess(near)
        lower = max((x for x in seen if x <= root and seen[x] * excess(high) <= 0), default=low)
        upper = min((x for x in seen if x >= root and seen[x] * excess(low) <= 0), default=high)
    return BreakEven(
        symbol=symbol,
        unit=unit_of(case, symbol),
        quantity=quantity,
        target=target,
        value=root,
        lower=lower,
        upper=upper,
        at_lower=seen[lower] + target,
        at_upper=seen[upper] + target,
        evaluations=len(seen),
    )


def _edge(excess: Callable[[float], float], low: float, high: float, width: float) -> tuple[float, float, float]:
    """Bracket of where a quantity that stays on its target at one end leaves it, and the last value on the target."""
    on, off = (high, low) if excess(high) == 0 else (low, high)
    while abs(on - off) > width:
        middle = 0.5 * (on + off)
        on, off = (middle, off) if excess(middle) == 0 else (on, middle)
    return min(on, off), max(on, off), on


def break_evens(
    case: DeploymentCase,
    ranges: Mapping[str, tuple[float, float] | None],
    quantity: str = "rp",
    *,
    target: float = 0.0,
    execution: Execution | None = None,
) -> list[Row]:
    """Break-even of several symbols, one at a time.

    Parameters
    ----------
    ranges
        Range per symbol; None for a tenth to ten times its value.

    Returns
    -------
    list of dict
        Per symbol ``base`` (its value in the case), ``low`` and ``high`` (the range searched) and the fields of
        `BreakEven`; where there is no crossing, these are None and ``note`` says what the quantity is at the ends.

    Raises
    ------
    InputError
        If a symbol is unknown or cannot be varied, or a given range leaves what it may be.
    """
    require_quantity(quantity)
    require_target(target)
    points = []
    for symbol, span in ranges.items():
        low, high = require_span(case, symbol, span, _REACH)
        points.append({"symbol": symbol, "low": low, "high": high})
    identity = {"study": "break-even", **case_identity(case), "quantity": quantity, "target": target}
    return run_study(Study(identity, points, partial(_row, case, quantity, target)), execution)


def _row(case: DeploymentCase, quantity: str, target: float, point: Point) -> list[Row]:
    symbol = point["symbol"]
    head = {"study": "break-even", "case": case.name, "horizon": case.horizon.T, "symbol": symbol}
    head |= {"unit": unit_of(case, symbol), "quantity": quantity, "target": target}
    head |= {"base": case.values[symbol], "low": point["low"], "high": point["high"]}
    empty = dict.fromkeys(("value", "lower", "upper", "at_lower", "at_upper", "evaluations"))
    try:
        found = break_even(case, symbol, quantity, low=point["low"], high=point["high"], target=target)
    except InputError as error:
        return [{**head, **empty, "note": str(error)}]
    return [{**head, **{name: getattr(found, name) for name in empty}, "note": None}]
