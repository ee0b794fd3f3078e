"""The expected value: no aversion to risk."""

from __future__ import annotations

from dataclasses import dataclass

from scenario_trees.arrays import Array
from stochisru.methods.risk.coherent import Coherent


@dataclass(frozen=True)
class Expectation(Coherent):
    """The expected value."""

    label: str = "expectation"

    @property
    def neutral(self) -> bool:
        """It is the expectation."""
        return True

    def weights(self, probability: Array, value: Array, states: Array | None = None) -> Array:
        """The probabilities themselves, shape ``(n, m)``."""
        return probability
