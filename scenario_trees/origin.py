"""What a tree or a lattice was made from, so that nobody takes it for another process in silence."""

from __future__ import annotations

import reprlib
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, TypeVar

import numpy as np

from scenario_trees.errors import TreeError
from scenario_trees.files import MISSHAPEN
from scenario_trees.processes import PROCESSES, Jump
from scenario_trees.processes.gbm import GeometricBrownianMotion

Made = TypeVar("Made")


@dataclass(frozen=True)
class Origin:
    """The process behind a tree or lattice and the length of its steps.

    Attributes
    ----------
    process
        Process whose values the nodes take.
    dt
        Time between two stages.
    """

    process: Any
    dt: float = 1.0

    @classmethod
    def of(cls, process: object, dt: float) -> Origin | None:
        """Origin of what is made from ``process``; None where that is none of the package's, or only looks like one."""
        return cls(process, float(dt)) if type(process) in PROCESSES.values() else None

    def same(self, other: Origin) -> bool:
        """Whether both begin alike and have the same law per step, to rounding.

        Geometric Brownian motions are compared by the law of a step, members that are one for their parameters among
        them; others by kind, parameters and step.
        """
        mine, theirs = plain(self.process), plain(other.process)
        if type(mine) is GeometricBrownianMotion and type(theirs) is GeometricBrownianMotion:
            return mine.same_step(theirs, self.dt, other.dt)
        return mine == theirs and bool(np.isclose(self.dt, other.dt, rtol=1e-9))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a file's header."""
        if type(self.process) is GeometricBrownianMotion:
            return {**vars(self.process), "dt": self.dt}
        return {"process": _plain(self.process), "dt": self.dt}

    @classmethod
    def from_dict(cls, data: Any) -> Origin | None:
        """The origin in a file's header; None where it has none."""
        if data is None:
            return None
        try:
            values = dict(data)
            dt = values.pop("dt")
            if "process" in values:
                return cls(_made(values["process"]), dt)
            return cls(GeometricBrownianMotion(**values), dt)
        except MISSHAPEN as error:
            raise TreeError(f"path: the origin in the file's header is none: {reprlib.repr(data)}") from error

    def __str__(self) -> str:
        """Process and step in one line."""
        return str(self.process) + ("" if self.dt == 1 else f" in steps of {self.dt:g}")


def plain(process: Any) -> Any:
    """The geometric Brownian motion that a member is for its parameters, or the process itself."""
    return getattr(process, "limit", None) or process


def _plain(value: Any) -> Any:
    """Parameters of a process, and of what it is made of, as plain values."""
    if is_dataclass(value):
        return {"kind": type(value).__name__, **{f.name: _plain(getattr(value, f.name)) for f in fields(value)}}
    return [_plain(part) for part in value] if isinstance(value, tuple) else value


def _made(value: Any) -> Any:
    """The process that `_plain` wrote."""
    if isinstance(value, dict):
        parts = {name: _made(part) for name, part in value.items()}
        return (PROCESSES | {"Jump": Jump})[parts.pop("kind")](**parts)
    return tuple(map(_made, value)) if isinstance(value, list) else value


def made_from(origin: Origin | None, made: Made) -> Made:
    """Give a new tree or lattice its origin: only what makes the numbers can say what they were made from.

    ``origin`` is no argument of the constructors, so arrays of one's own, and copies with changed arrays
    (`dataclasses.replace`), have none.
    """
    object.__setattr__(made, "origin", origin)
    return made
