"""The error and the warning of the package, and the checks of arguments that many functions share."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from typing import Any

import numpy as np

from scenario_trees.arrays import Array

_LARGEST = int(sys.float_info.max)


class TreeError(ValueError):
    """Input that no process or tree can have; the message names the field and the allowed range."""


class CalibrationWarning(UserWarning):
    """A series that can be calibrated but looks wrong; the message names place and size of what is unusual."""


def is_integer(value: object) -> bool:
    """Whether a value is a whole number; true and false are none."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def is_number(value: object) -> bool:
    """Whether a value is a real number; true and false are none, and a whole number that no float can be is none."""
    if isinstance(value, int) and not isinstance(value, bool):
        return abs(value) <= _LARGEST
    return isinstance(value, (float, np.integer, np.floating))


def require_integer(name: str, value: object, low: int, high: int | None = None) -> int:
    """Return ``value`` if it is an integer from ``low`` to ``high``; raise `TreeError` otherwise."""
    if not is_integer(value) or value < low or (high is not None and value > high):  # type: ignore[operator]
        allowed = f">= {low:,}" + ("" if high is None else f" and <= {high:,}")
        raise TreeError(f"{name}: must be an integer {allowed}, got {value!r}")
    return int(value)  # type: ignore[call-overload, no-any-return]


def require_number(name: str, value: object, *, low: float = -math.inf, strict: bool = False) -> float:
    """Return ``value`` if it is a finite number >= ``low`` (``strict``: > ``low``); raise `TreeError` otherwise."""
    if not is_number(value) or not np.isfinite(value) or value < low or (strict and value == low):  # type: ignore[call-overload, operator]
        allowed = f"{'>' if strict else '>='} {low:g} and finite" if np.isfinite(low) else "finite"
        raise TreeError(f"{name}: must be {allowed}, got {value!r}")
    return float(value)  # type: ignore[arg-type]


def is_list(value: object) -> bool:
    """Whether a value is a list of things, which a text is not."""
    return isinstance(value, Iterable) and not isinstance(value, (str, bytes))


def require_process(process: object) -> None:
    """Raise `TreeError` for anything but a process, as for its name or numbers."""
    if not (hasattr(process, "initial") and callable(getattr(process, "mean", None))):
        raise TreeError(f"process: must be a process of scenario_trees, got {type(process).__name__}")


def numbers(name: str, values: Any) -> Array:
    """``values`` as an array of floats; raise `TreeError` for anything that is not a number."""
    try:
        return np.asarray(values, dtype=float)
    except (TypeError, ValueError) as error:
        shown = " ".join(repr(values).split())
        raise TreeError(f"{name}: must hold numbers, got {shown[:60]}{'…' * (len(shown) > 60)}") from error


def times(t: Any) -> Array:
    """Times as an array; raise `TreeError` for negative ones."""
    found = numbers("t", t)
    if not (found >= 0).all():  # also refuses NaN
        raise TreeError(f"t: times must be >= 0, got {t!r}")
    return found
