"""(1 − λ)·E + λ·CVaR: the worst share counts more (Rockafellar and Uryasev 2000)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scenario_trees.arrays import Array
from stochisru.errors import InputError
from stochisru.methods.risk.coherent import Coherent


@dataclass(frozen=True)
class MeanCVaR(Coherent):
    """(1 − λ)·E + λ·CVaR of the worst share α of outcomes.

    Attributes
    ----------
    weight
        λ in [0, 1]; 0 is the expectation.
    tail
        α in (0, 1]; 1 is the expectation.

    Raises
    ------
    InputError
        If a number is out of range.
    """

    weight: float
    tail: float

    def __post_init__(self) -> None:
        if not 0 <= self.weight <= 1:
            raise InputError(f"weight: must lie in [0, 1], got {self.weight!r}")
        if not 0 < self.tail <= 1:
            raise InputError(f"tail: must lie in (0, 1], got {self.tail!r}")

    @property
    def label(self) -> str:
        """Name and parameters."""
        return "expectation" if self.neutral else f"mean-CVaR, weight {self.weight:g}, tail {self.tail:g}"

    @property
    def neutral(self) -> bool:
        """Whether weight or tail make it the expectation."""
        return self.weight == 0 or self.tail == 1

    def weights(self, probability: Array, value: Array, states: Array | None = None) -> Array:
        """The worst outcomes get up to p/α, in their order until the share is used up; shape ``(n, m)``."""
        if self.neutral:
            return probability
        order = np.argsort(value, kind="stable")
        p = probability[:, order]
        before = np.cumsum(p, axis=1) - p
        worst = np.empty_like(p)
        worst[:, order] = np.clip(self.tail - before, 0.0, p) / self.tail
        worst /= worst.sum(axis=1, keepdims=True)
        return np.asarray((1 - self.weight) * probability + self.weight * worst)
