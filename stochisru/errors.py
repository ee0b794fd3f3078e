"""Errors that are meant for people: one line that names the field and the allowed range."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from scenario_trees.errors import TreeError, is_number
from scenario_trees.errors import require_integer as _integer


class StochisruError(Exception):
    """Base of the errors that this package raises on purpose."""


class InputError(StochisruError, ValueError):
    """Input that cannot be used; the command line exits with code 2."""


class SolverError(StochisruError, RuntimeError):
    """A program that could not be solved; the message names program, solver and status."""


class InfeasibleError(SolverError):
    """A program that has no solution.

    Parameters
    ----------
    reason
        Says which rows cannot be kept, or None where that is not known; asked for when the message is read, since many
        such errors are no more than an answer.
    """

    def __init__(self, message: str, reason: Callable[[], str | None] | None = None) -> None:
        super().__init__(message)
        self._reason = reason

    def __str__(self) -> str:
        if self._reason is not None:
            reason, self._reason = self._reason(), None
            if reason is not None:
                self.args = (f"{self.args[0]}: {reason}",)
        return super().__str__()

    def __reduce__(self) -> tuple[type[InfeasibleError], tuple[str]]:
        return InfeasibleError, (str(self),)


class UnboundedError(SolverError):
    """A program whose objective has no limit."""


class TimeLimitError(SolverError):
    """A mixed-integer program without a solution or a bound when its time was over.

    Attributes
    ----------
    bound
        Bound on the optimum that is known all the same, in the sense of the program, or None.
    """

    def __init__(self, message: str, bound: float | None = None) -> None:
        super().__init__(message)
        self.bound = bound


class FigureError(StochisruError, RuntimeError):
    """A figure or page that could not be made; what it shows was computed and is kept.

    Attributes
    ----------
    kept
        The outcome, a `Run` or study, or None where the caller has it.
    """

    def __init__(self, message: str, kept: object = None) -> None:
        super().__init__(message)
        self.kept = kept


class OutputError(StochisruError, RuntimeError):
    """A file that could not be written when the work was done; the command line prints the result and exits with 3.

    Attributes
    ----------
    kept
        The outcome that it was to hold, or None where the caller has it.
    """

    def __init__(self, message: str, kept: object = None) -> None:
        super().__init__(message)
        self.kept = kept


class WorkerError(StochisruError, RuntimeError):
    """A process of this computation that was killed, most often for want of memory."""


class FileWarning(RuntimeWarning):
    """Something about files that is not as asked for, while the work goes on."""


class UnwrittenWarning(FileWarning):
    """A file that cannot be written while the work goes on without it; the command line exits with 3 in the end."""


class BoundsError(StochisruError, ArithmeticError):
    """Bounds that cross or values out of their order: a defect, never reported as a gap."""


__all__ = [
    "BoundsError",
    "FigureError",
    "FileWarning",
    "InfeasibleError",
    "InputError",
    "OutputError",
    "SolverError",
    "StochisruError",
    "TimeLimitError",
    "TreeError",
    "UnboundedError",
    "UnwrittenWarning",
    "WorkerError",
]


#: Most of anything that is counted (paths, draws, iterations), and most processes on one machine.
MOST, MOST_WORKERS = 10**9, 1024


def require_integer(name: str, value: object, low: int, high: int | None = None) -> int:
    """The value if it is an integer from ``low`` to ``high``; raise `InputError` that names it otherwise.

    Where no ``high`` is given it is `MOST`, as a count of what is made; of `MOST_WORKERS` processes, and none of seeds.
    """
    try:
        found = _integer(name, value, low, high)
        if high is None and name != "seed":
            _integer(name, value, low, MOST_WORKERS if name == "workers" else MOST)
    except TreeError as error:
        raise InputError(str(error)) from None
    return found


def require_number(name: str, value: object, *, low: float = -math.inf, strict: bool = False) -> float:
    """The value if it is a finite number >= ``low`` (``strict``: > ``low``); raise `InputError` otherwise."""
    if is_number(value) and math.isfinite(value) and (value > low if strict else value >= low):  # type: ignore[arg-type, operator]
        return float(value)  # type: ignore[arg-type]
    allowed = f" {'>' if strict else '>='} {low:g}" if math.isfinite(low) else ""
    raise InputError(f"{name}: must be a finite number{allowed}, got {value!r}")


def require_kind(name: str, value: object, kinds: type | tuple[type, ...], words: str) -> None:
    """Raise `InputError` unless a value is of some type, which ``words`` say with their article."""
    if not isinstance(value, kinds):
        raise InputError(f"{name}: must be {words}, got {type(value).__name__}")


def require_choice(name: str, value: object, known: Iterable[str]) -> None:
    """Raise `InputError` unless a value is one of some words."""
    words = list(known)
    if not isinstance(value, str) or value not in words:
        raise InputError(f"{name}: must be one of {', '.join(words)}, got {value!r}")


def require_path(name: str, value: object) -> Path:
    """The value as a path; raise `InputError` for what is none."""
    require_kind(name, value, (str, os.PathLike), "a path")
    return Path(value)  # type: ignore[arg-type]


def require_confidence(confidence: float) -> None:
    """Raise `InputError` unless a level of confidence lies in (0, 1)."""
    if not is_number(confidence) or not 0 < confidence < 1:
        raise InputError(f"confidence: must lie in (0, 1), got {confidence!r}")
