"""One-at-a-time sensitivity: how the value of a case, and the value of flexibility in it, answer to each symbol.

Every symbol is set to a low and a high value, the others stay; symbols that the case derives from it move along
(`stochisru.lunar.studies.values.hold` keeps them). All values are exact up to the stated error of integration.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stochisru.errors import InputError
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.parts import Launch, Scale
from stochisru.lunar.studies.values import changed, moved, require_number, require_quantity, unit_of, values_at
from stochisru.studies.store import Execution, Row

if TYPE_CHECKING:
    import pandas as pd

#: A symbol's low and high value; None for the relative change.
Range = tuple[float, float] | None

_LEVELS = ("low", "base", "high")
#: Ranges of symbols that are usually 0, of which no share can be taken.
_DEFAULTS: dict[str, tuple[float, float]] = {"degradation": (0.0, 0.05)}
#: Time is varied when asked for, not by default.
_TIME = ("T", "lead_time")
#: Symbols of costs that are not linear, for which there are no exact values on the process.
_NOT_LINEAR = {*Launch.model_fields, *Scale.model_fields}


@dataclass(frozen=True, eq=False)
class Tornado:
    """One-at-a-time sensitivity.

    Attributes
    ----------
    rows
        Three per symbol (low, base, high), largest swing of RP first: ``symbol``, ``unit``, ``level``, ``value``,
        ``moves`` (derived symbols that move along), every quantity of `stochisru.lunar.studies.values.UNITS`,
        ``error``, ``note``.
    left_out
        Symbols that were not varied, with the reason.
    """

    case: DeploymentCase
    rows: tuple[Row, ...]
    left_out: Mapping[str, str]

    def swing(self, symbol: str, quantity: str = "rp") -> float:
        """Largest less smallest value of a quantity over the levels of a symbol; NaN where one is refused."""
        require_quantity(quantity)
        found = [r[quantity] for r in self.rows if r["symbol"] == symbol]
        if not found:
            raise InputError(f"{symbol}: is not among the symbols of this study")
        return float("nan") if None in found else float(max(found) - min(found))

    def ranked(self, quantity: str = "rp") -> list[str]:
        """Symbols by falling swing of a quantity; those without effect or refused come last.

        Swings that are equal but for rounding (c_L and α enter as their product) keep the order of the rows: the
        ranking is the same on every machine.
        """
        symbols = list(dict.fromkeys(r["symbol"] for r in self.rows))
        swings = {s: float(f"{self.swing(s, quantity):.9g}") for s in symbols}
        return sorted(symbols, key=lambda s: -swings[s] if swings[s] == swings[s] else float("inf"))

    def to_rows(self) -> list[Row]:
        """Plain rows for JSON."""
        head = {"study": "tornado", "case": self.case.name, "horizon": self.case.horizon.T, "sense": "maximise"}
        return [{**head, **row} for row in self.rows]

    def to_frame(self) -> pd.DataFrame:
        """The rows as a table."""
        import pandas as pd

        return pd.DataFrame(list(self.rows))

    def __repr__(self) -> str:
        top = [f"{s} {self.swing(s):,.0f}" for s in self.ranked()[:3]]
        return f"Tornado({self.case.name}, T = {self.case.horizon.T}; largest swings of RP in $: {', '.join(top)})"


def default_ranges(case: DeploymentCase) -> tuple[dict[str, Range], dict[str, str]]:
    """Symbols that are varied if none are named, with their ranges, and those that are not, with the reason."""
    ranges: dict[str, Range] = {}
    left_out: dict[str, str] = {}
    for symbol, value in case.values.items():
        if symbol in _TIME or symbol in _NOT_LINEAR or symbol == "process" or isinstance(value, str):
            continue
        if value is None:
            left_out[symbol] = "is none"
        elif value == 0 and symbol not in _DEFAULTS:
            left_out[symbol] = "is 0"
        else:
            ranges[symbol] = None
    return ranges, left_out


def tornado(
    case: DeploymentCase,
    ranges: Mapping[str, Range] | None = None,
    *,
    change: float = 0.2,
    execution: Execution | None = None,
) -> Tornado:
    """Vary symbols one at a time.

    Parameters
    ----------
    ranges
        Low and high value per symbol, or None for the relative change (for a degradation of 0: 0 to 0.05). If not
        given, all numbers of economics, technology, costs and demand that are not 0.
    change
        Relative change c in [0, 1): a symbol goes from (1 − c) to (1 + c) times its value, whole years at least one up
        and down.
    execution
        Workers, checkpoint and so on; the rows do not depend on it.

    Returns
    -------
    Tornado
        A relative change that leaves a symbol's range is not clipped: the row is empty and its ``note`` says why.

    Raises
    ------
    InputError
        If a symbol is unknown or cannot be varied, a given range leaves what the symbol may be, or the case has no
        exact policy.

    Examples
    --------
    >>> from stochisru import load_case
    >>> result = tornado(load_case("lunar-reference"), {"sigma": (0.1, 0.3), "c_dev": None})
    >>> result.ranked("flexibility")
    ['sigma', 'c_dev']
    """
    if not 0 <= change < 1:
        raise InputError(f"change: must lie in [0, 1), got {change!r}")
    chosen, left_out = default_ranges(case) if ranges is None else (dict(ranges), {})
    if not chosen:
        raise InputError("symbols: needs at least one")
    levels = {symbol: _levels(case, symbol, span, change) for symbol, span in chosen.items()}
    cells = [(symbol, level) for symbol in levels for level in _LEVELS]
    points = [levels[symbol][level] for symbol, level in cells]
    rows = []
    values = values_at(case, points, execution)
    if values[points.index({})]["note"]:
        raise InputError(values[points.index({})]["note"])
    for (symbol, level), point, found in zip(cells, points, values, strict=True):
        head = {"symbol": symbol, "unit": unit_of(case, symbol), "level": level}
        head |= {"value": point.get(symbol, case.values[symbol])}
        rows.append({**head, "moves": "" if found["note"] else moved(case, point), **found})
    order = Tornado(case, tuple(rows), left_out).ranked()
    rows.sort(key=lambda row: order.index(row["symbol"]))
    return Tornado(case, tuple(rows), left_out)


def _levels(case: DeploymentCase, symbol: str, span: Range, change: float) -> dict[str, dict[str, float]]:
    """Points of the levels; the base is the case itself."""
    base = require_number(case, symbol)
    if span is None and base == 0:
        span = _DEFAULTS.get(symbol)
    if span is not None:
        low, high = sorted(span)
        return {"low": changed(case, symbol, low), "base": {}, "high": changed(case, symbol, high)}
    if base == 0 and change > 0:
        raise InputError(f"{symbol}: is 0, of which no share can be taken; give a range, as in {symbol}=0:1")
    step = change * abs(base)
    if isinstance(case.values[symbol], int):
        step = max(1, round(step)) if change > 0 else 0
        return {"low": {symbol: int(base - step)}, "base": {}, "high": {symbol: int(base + step)}}
    if step == 0:
        return {level: {} for level in _LEVELS}
    return {"low": {symbol: base - step}, "base": {}, "high": {symbol: base + step}}
