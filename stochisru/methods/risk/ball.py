"""What balls around the probabilities have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from stochisru.errors import require_number
from stochisru.methods.risk.coherent import Coherent


@dataclass(frozen=True)
class Ball(Coherent):
    """The smallest expectation over all probabilities within ``radius`` of the given ones; see the members.

    Raises
    ------
    InputError
        If the radius is no number ≥ 0.
    """

    radius: float
    #: What the distance is called.
    distance: ClassVar[str]

    def __post_init__(self) -> None:
        require_number("radius", self.radius, low=0.0)

    @property
    def label(self) -> str:
        """Name and parameter."""
        return "expectation" if self.neutral else f"{self.distance} ball, radius {self.radius:.12g}"

    @property
    def neutral(self) -> bool:
        """Whether the ball is a point."""
        return self.radius == 0
