"""Numbers over time: a number, a list with one per year, ``{start, growth}`` or ``{years, values}``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic_core import PydanticCustomError, core_schema

from scenario_trees.errors import is_number
from stochisru.lunar.parts import not_too_large

Plain = float | tuple[float, ...] | dict[str, Any]


@dataclass(frozen=True)
class Series:
    """A number over time, as a case file gives it.

    Attributes
    ----------
    given
        A number; one number per stage; ``{start, growth}``: start·(1 + growth)^t; or ``{years, values}``: linear
        between the years and constant outside. t is in years.
    """

    given: Plain

    @property
    def is_steady(self) -> bool:
        """Whether it is one number."""
        return isinstance(self.given, float)

    @property
    def count(self) -> int | None:
        """How many numbers a list has, None of what is no list."""
        return len(self.given) if isinstance(self.given, tuple) else None

    def over(self, years: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Values at the times of stages 0..T, in years, shape ``(T + 1,)``."""
        if isinstance(self.given, float):
            return np.full(years.size, self.given)
        if isinstance(self.given, tuple):
            return np.array(self.given)
        if "start" in self.given:
            return np.asarray(self.given["start"] * (1 + self.given["growth"]) ** years)
        return np.asarray(np.interp(years, self.given["years"], self.given["values"]))

    def cut(self, horizon: int) -> Series:
        """Without what a list says of stages after a horizon."""
        return Series(self.given[: horizon + 1]) if isinstance(self.given, tuple) else self


def _number(given: object, allowed: str, ok: Any) -> float:
    if not is_number(given) or not math.isfinite(float(given)) or not ok(float(given)):  # type: ignore[arg-type]
        raise PydanticCustomError("series", "must be {allowed}", {"allowed": f"a finite number {allowed}".strip()})
    return not_too_large(float(given))  # type: ignore[arg-type]


def _read(given: object, allowed: str, ok: Any) -> Series:
    """A series whose numbers are all in range."""
    if isinstance(given, Series):
        return given
    if is_number(given):
        return Series(_number(given, allowed, ok))
    if isinstance(given, (list, tuple)):
        return Series(tuple(_number(each, f"{allowed}, in a list one per year", ok) for each in given))
    if isinstance(given, Mapping):
        table = dict(given)
        if table.keys() == {"start", "growth"}:
            start = _number(table["start"], f"{allowed}, as start", ok)
            growth = _number(table["growth"], "> -1, as growth", lambda x: x > -1)
            return Series({"start": start, "growth": growth})
        if table.keys() == {"years", "values"}:
            return Series(_points(table, allowed, ok))
    raise PydanticCustomError(
        "series",
        "must be a number {allowed}, a list of them, {tables}",
        {"allowed": allowed, "tables": "{start, growth} or {years, values}"},
    )


def _points(table: Mapping[str, Any], allowed: str, ok: Any) -> dict[str, Any]:
    years, values = table["years"], table["values"]
    lists = isinstance(years, (list, tuple)) and isinstance(values, (list, tuple)) and len(years) > 0
    if not lists or len(years) != len(values):
        raise PydanticCustomError(
            "series", "must be {table}, two lists of the same length", {"table": "{years, values}"}
        )
    at = [_number(year, "as a year", lambda _: True) for year in years]
    if at != sorted(set(at)):
        raise PydanticCustomError("series", "years must ascend", {})
    return {"years": at, "values": [_number(value, f"{allowed}, as values", ok) for value in values]}


def _plain(series: Series) -> Any:
    return list(series.given) if isinstance(series.given, tuple) else series.given


@dataclass(frozen=True)
class Within:
    """Annotation of a field that is a series: the range of its numbers.

    Attributes
    ----------
    low, high
        Ends of the range.
    strict, open_above
        Whether it is open below and above.
    """

    low: float
    high: float = math.inf
    strict: bool = False
    open_above: bool = False

    @property
    def allowed(self) -> str:
        """The range in words."""
        words = f"{'>' if self.strict else '>='} {self.low:g}"
        return words if self.high == math.inf else f"{words} and {'<' if self.open_above else '<='} {self.high:g}"

    def holds(self, number: float) -> bool:
        """Whether a number is in the range."""
        above = number > self.low if self.strict else number >= self.low
        return above and (number < self.high if self.open_above else number <= self.high)

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            lambda given: _read(given, self.allowed, self.holds),
            serialization=core_schema.plain_serializer_function_ser_schema(_plain),
        )
