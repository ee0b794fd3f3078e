"""What a tree or a lattice was made from, so that nobody takes it for another process in silence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

from scenario_trees.errors import TreeError
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

    process: GeometricBrownianMotion
    dt: float = 1.0

    @classmethod
    def of(cls, process: object, dt: float) -> Origin | None:
        """Origin of what is made from ``process``; None where that only looks like a geometric Brownian motion."""
        return cls(process, float(dt)) if type(process) is GeometricBrownianMotion else None

    def same(self, other: Origin) -> bool:
        """Whether both begin alike and have the same law per step, to rounding."""
        return self.process.same_step(other.process, self.dt, other.dt)

    def to_dict(self) -> dict[str, float]:
        """Plain numbers for a file's header."""
        return {**vars(self.process), "dt": self.dt}

    @classmethod
    def from_dict(cls, data: Any) -> Origin | None:
        """The origin in a file's header; None where it has none."""
        if data is None:
            return None
        try:
            numbers = dict(data)
            dt = numbers.pop("dt")
            return cls(GeometricBrownianMotion(**numbers), dt)
        except (KeyError, TypeError, ValueError) as error:
            raise TreeError(f"path: the origin in the file's header is none: {data!r}") from error

    def __str__(self) -> str:
        """Process and step in one line."""
        return str(self.process) + ("" if self.dt == 1 else f" in steps of {self.dt:g}")


def made_from(origin: Origin | None, made: Made) -> Made:
    """Give a new tree or lattice its origin: only what makes the numbers can say what they were made from.

    ``origin`` is no argument of the constructors, so arrays of one's own, and copies with changed arrays
    (`dataclasses.replace`), have none.
    """
    object.__setattr__(made, "origin", origin)
    return made
