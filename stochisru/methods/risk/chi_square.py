"""The worst expectation in a χ² ball around the probabilities.

The ball is that of the modified χ² divergence (Ben-Tal et al. 2013; Philpott, de Matos and Kapelevich 2018),

    min over q ≥ 0, Σ q_j = 1 of Σ q_j·v_j,      Σ (q_j − p_j)²/p_j ≤ ρ.

Its dual is a convex problem in one number, the value a beyond which an outcome has no weight:

    q_j = p_j·(a − v_j)⁺/E[(a − v)⁺],      E[((a − v)⁺)²] = (1 + ρ)·E[(a − v)⁺]².

The ratio of the two sides falls in a. Between two neighbouring outcomes, of which those below have probability P, mean
m and variance s², the equation is solved by a = m + s/√((1 + ρ)·P − 1): with sorted outcomes there is nothing to
iterate. For small ρ the value is E[v] − √(ρ·Var[v]).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from scenario_trees.arrays import Array
from stochisru.methods.risk.ball import Ball


@dataclass(frozen=True)
class ChiSquareBall(Ball):
    """The smallest expectation over all q ≥ 0 with Σ (q − p)²/p ≤ radius.

    Attributes
    ----------
    radius
        ρ ≥ 0; 0 is the expectation, and from 1/p_min − 1 on it is the worst case.

    Raises
    ------
    InputError
        If it is no number ≥ 0.
    """

    distance: ClassVar[str] = "chi-square"

    def weights(self, probability: Array, value: Array, states: Array | None = None) -> Array:
        """The worst probabilities of the ball, shape ``(n, m)``."""
        span = float(value.max() - value.min())
        if self.neutral or span == 0:
            return probability
        order = np.argsort(value, kind="stable")
        v = (value[order] - value.min()) / span
        p = probability[:, order] / probability.sum(axis=1, keepdims=True)
        mass, first, second = np.cumsum(p, axis=1), np.cumsum(p * v, axis=1), np.cumsum(p * v * v, axis=1)
        # χ² + 1 where the next outcome is the first without weight, per number of outcomes with one.
        below = np.append(v[1:], np.inf)[:-1]
        short = mass[:, :-1] * below - first[:, :-1]
        squares = mass[:, :-1] * below**2 - 2 * first[:, :-1] * below + second[:, :-1]
        within = (short > 0) & (squares <= (1 + self.radius) * short**2)
        last = np.where(within.any(axis=1), within.argmax(axis=1), v.size - 1)
        row = np.arange(p.shape[0])
        most = mass[row, last]
        mean = first[row, last] / most
        variance = np.maximum(second[row, last] / most - mean**2, 0.0)
        beyond = np.sqrt(variance / np.maximum((1 + self.radius) * most - 1, np.finfo(float).eps))
        raised = np.maximum((mean + beyond)[:, None] - v, 0.0)
        raised[variance == 0] = 1.0  # all that is left is worth the same
        raised = np.where(np.arange(v.size) <= last[:, None], p * raised, 0.0)
        q = raised / raised.sum(axis=1, keepdims=True)
        # Rounding may leave the ball, but a cut is one for probabilities inside only.
        off = np.einsum("ij,ij->i", (q - p) ** 2, 1 / np.where(p > 0, p, np.inf))
        q = p + np.sqrt(self.radius / np.maximum(off, self.radius))[:, None] * (q - p)
        found = np.empty(q.shape)
        found[:, order] = np.maximum(q, 0.0)
        return found
