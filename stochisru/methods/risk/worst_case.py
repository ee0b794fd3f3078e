"""The worst of what can come (Wald's maximin)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scenario_trees.arrays import Array
from stochisru.methods.risk.coherent import Coherent


@dataclass(frozen=True)
class WorstCase(Coherent):
    """The smallest value that has a positive probability."""

    label: str = "worst case"

    @property
    def neutral(self) -> bool:
        """It is not the expectation."""
        return False

    def weights(self, probability: Array, value: Array, states: Array | None = None) -> Array:
        """All on the worst outcome that can come, the first of several; shape ``(n, m)``."""
        found = np.zeros_like(probability)
        possible = np.where(probability > 0, value, np.inf)
        found[np.arange(found.shape[0]), possible.argmin(axis=1)] = 1.0
        return found
