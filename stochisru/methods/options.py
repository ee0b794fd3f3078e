"""Options of methods: fields of a frozen dataclass that say what they mean and which values they take.

Command line, its help, the table in the docs and the words of errors are all made from these fields.
"""

from __future__ import annotations

import math
from dataclasses import MISSING, dataclass, field, fields
from typing import Any

from scenario_trees.errors import is_integer, is_number
from stochisru.errors import InputError


@dataclass(frozen=True)
class About:
    """What is said of an option.

    Attributes
    ----------
    help
        What it does, in a few words.
    default
        What holds where it is not given, in words, if the value does not say it.
    unit
        Unit of its value.
    low, high
        Ends of its range; the lower one belongs to it unless ``strict``.
    choices
        The words that it takes.
    poses
        Whether another problem is solved with it: another objective, or one more part.
    """

    help: str
    default: str = ""
    unit: str = ""
    low: float | None = None
    high: float | None = None
    strict: bool = False
    choices: tuple[str, ...] = ()
    poses: bool = False

    @property
    def allowed(self) -> str:
        """The range in words."""
        if self.choices:
            return " or ".join(self.choices)
        parts = [] if self.low is None else [f"{'>' if self.strict else '>='} {self.low:g}"]
        parts += [] if self.high is None else [f"<= {self.high:g}"]
        return " and ".join(parts)


def option(value: Any, help: str, **about: Any) -> Any:
    """Field of an options dataclass with a default; ``about`` are the other attributes of `About`."""
    return field(default=value, metadata={"about": About(help, **about)})


class Options:
    """Base of options dataclasses: values out of range are an `InputError` that names the option."""

    def __post_init__(self) -> None:
        for item in fields(self):  # type: ignore[arg-type]
            about: About = item.metadata["about"]
            value = getattr(self, item.name)
            if value is None and item.default is None:
                continue
            if about.choices and not (isinstance(value, str) and value in about.choices):
                raise InputError(f"{item.name}: must be {about.allowed}, got {value!r}")
            if isinstance(item.default, bool) and not isinstance(value, bool):
                raise InputError(f"{item.name}: must be true or false, got {value!r}")
            if about.low is not None or about.high is not None:
                _require_range(item.name, value, about, isinstance(item.default, int))


@dataclass(frozen=True)
class NoOptions(Options):
    """Options of a method that takes none."""


def _require_range(name: str, value: Any, about: About, whole: bool) -> None:
    kind = "an integer" if whole else "a finite number"
    known = is_integer(value) if whole else is_number(value)
    if known and math.isfinite(value):
        above = about.low is None or (value > about.low if about.strict else value >= about.low)
        if above and (about.high is None or value <= about.high):
            return
    raise InputError(f"{name}: must be {kind} {about.allowed}, got {value!r}")


def default_in_words(value: Any, about: About) -> str:
    """What holds where an option is not given; nothing for what is off."""
    if about.default or isinstance(value, bool):
        return about.default
    return f"{value:g}" if isinstance(value, float) else str(value)


def options_of(kind: type[Any]) -> dict[str, tuple[Any, About]]:
    """Default and description of every option, by name."""
    return {f.name: (None if f.default is MISSING else f.default, f.metadata["about"]) for f in fields(kind)}
