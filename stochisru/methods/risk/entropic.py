"""The certainty equivalent of exponential utility.

With aversion γ, in 1/$, the measure and its dual (Föllmer and Schied 2002) are

    ρ(v) = −(1/γ)·log E[exp(−γ·v)] = min over q of Σ q_j·v_j + KL(q‖p)/γ,      q*_j = p_j·exp(−γ·v_j)/E[exp(−γ·v)].

It is concave and monotone but not coherent: money of another size is judged by other weights.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scenario_trees.arrays import Array
from stochisru.errors import require_number


@dataclass(frozen=True)
class Entropic:
    """−(1/γ)·log E[exp(−γ·v)], of money in $ of year 0.

    Attributes
    ----------
    aversion
        γ ≥ 0, 1/$; 0 is the expectation, and the worst case is the limit.

    Raises
    ------
    InputError
        If it is no number ≥ 0.
    """

    aversion: float

    def __post_init__(self) -> None:
        require_number("aversion", self.aversion, low=0.0)

    @property
    def label(self) -> str:
        """Name and parameter."""
        return "expectation" if self.neutral else f"entropic, aversion {self.aversion:.12g} per $"

    @property
    def neutral(self) -> bool:
        """Whether there is no aversion."""
        return self.aversion == 0

    def weights(self, probability: Array, value: Array, states: Array | None = None) -> Array:
        """The gradient p_j·exp(−γ·v_j) over its sum, shape ``(n, m)``."""
        if self.neutral:
            return probability
        least = np.where(probability > 0, value, np.inf).min(axis=1, keepdims=True)
        raised = probability * np.exp(-self.aversion * np.maximum(value - least, 0.0))
        return np.asarray(raised / raised.sum(axis=1, keepdims=True))

    def penalty(self, probability: Array, weights: Array) -> Array:
        """KL(q‖p)/γ, $, shape ``(n,)``.

        As Σ p·((1 + δ)·log(1 + δ) − δ) with δ = q/p − 1, whose terms are all ≥ 0: for a small γ the sum of q·log(q/p)
        is rounding alone.
        """
        if self.neutral:
            return np.zeros(probability.shape[0])
        p = probability / probability.sum(axis=1, keepdims=True)
        off = np.where(p > 0, weights / np.where(p > 0, p, 1.0), 1.0) - 1
        some = off > -1
        terms = np.where(some, (1 + off) * np.log1p(np.where(some, off, 0.0)), 0.0) - off
        return np.asarray(np.einsum("ij,ij->i", p, np.maximum(terms, 0.0)) / self.aversion)
