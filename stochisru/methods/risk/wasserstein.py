"""The worst expectation in a Wasserstein ball around the probabilities.

Probability may be moved between outcomes that can come, at a cost of mass times distance (type 1):

    min over π ≥ 0 of Σ π_ij·v_j,      Σ_j π_ij = p_i,      Σ π_ij·d_ij ≤ ρ.

For each source i the worth of a move is a convex function of its cost, the lower hull of the points (d_ij, v_j); the
steepest pieces of all hulls are taken first until the budget ρ is used up. That is the linear program's solution (a
fractional knapsack with multiple choice), and needs no solver.

Distances are between the states of next year, in standard deviations of what comes next from the state of today, summed
over factors: a radius means the same in every year and state, whatever the unit of a factor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from scenario_trees.arrays import Array, Index
from stochisru.errors import InputError
from stochisru.methods.risk.ball import Ball


@dataclass(frozen=True)
class WassersteinBall(Ball):
    """The smallest expectation over all probabilities of the same outcomes at a distance of at most ``radius``.

    Attributes
    ----------
    radius
        ρ ≥ 0, in standard deviations of next year's state; 0 is the expectation, and from the mean distance to the
        worst outcome on it is the worst case.

    Raises
    ------
    InputError
        If it is no number ≥ 0.
    """

    distance: ClassVar[str] = "Wasserstein"

    def weights(self, probability: Array, value: Array, states: Array | None = None) -> Array:
        """The worst probabilities of the ball, shape ``(n, m)``.

        Raises
        ------
        InputError
            If states are not given.
        """
        if self.neutral:
            return probability
        if states is None:
            raise InputError("states: a Wasserstein ball needs the states whose distance it measures")
        found = np.array(probability)
        possible = probability > 0
        # With one factor distances differ between rows by a scale only, so rows of the same outcomes share a hull.
        alike: dict[Any, list[int]] = {}
        for i, row in enumerate(possible):
            alike.setdefault(row.tobytes() if states.shape[1] == 1 else i, []).append(i)
        for members in alike.values():
            rows = np.array(members)
            here = np.flatnonzero(possible[rows[0]])
            p, x, v = probability[np.ix_(rows, here)], states[here], value[here]
            spread = _spread(p, x)
            if states.shape[1] == 1:
                distance, budget = np.abs(x - x.T), self.radius * spread[:, 0]
            else:
                unit = np.where(spread[0] > 0, spread[0], 1.0)
                distance, budget = np.abs((x[:, None] - x[None]) / unit).sum(axis=2), np.array([self.radius])
            found[np.ix_(rows, here)] = _moved(p, distance, v, budget)
        return found


def _spread(p: Array, x: Array) -> Array:
    """Standard deviation of every factor, shape ``(n, k)``."""
    share = p / p.sum(axis=1, keepdims=True)
    centred = x[None] - (share @ x)[:, None]
    return np.asarray(np.sqrt(np.einsum("ij,ijk->ik", share, centred**2)))


def _moved(p: Array, distance: Array, value: Array, budget: Array) -> Array:
    """Probabilities after the best moves within a budget per row, shape ``(n, m)``."""
    source, before, after, cost = _pieces(distance, value)
    price = p[:, source] * cost
    spent = np.cumsum(price, axis=1) - price
    left = np.maximum(budget[:, None] - spent, 0.0)
    share = np.where(price > 0, np.minimum(left / np.where(price > 0, price, 1.0), 1.0), 1.0)
    mass = p[:, source] * share
    moved = np.array(p)
    np.add.at(moved.T, before, -mass.T)
    np.add.at(moved.T, after, mass.T)
    return np.maximum(moved, 0.0)


def _pieces(distance: Array, value: Array) -> tuple[Index, Index, Index, Array]:
    """Pieces of all hulls, steepest first: source, outcomes that a piece moves from and to, and its cost per mass."""
    everyone = np.arange(value.size)
    at, steepest = everyone.copy(), np.full(value.size, -np.inf)
    parts: list[tuple[Index, Index, Index, Array, Array]] = []
    while True:
        step = distance - distance[everyone, at][:, None]
        gain = value[None, :] - value[at][:, None]
        better = (gain < 0) & (step >= 0)
        slope = np.where(better, -np.inf, np.inf)
        np.divide(gain, step, out=slope, where=better & (step > 0))
        there = slope.argmin(axis=1)
        on = np.flatnonzero(better.any(axis=1))
        if on.size == 0:
            break
        steepest[on] = np.maximum(steepest[on], slope[on, there[on]])  # a hull is convex, rounding or not
        parts.append((on, at[on], there[on], step[on, there[on]], steepest[on]))
        at[on] = there[on]
    if not parts:
        none = np.empty(0, dtype=np.int64)
        return none, none, none, np.empty(0)
    source, before, after, cost, slope = (np.concatenate(part) for part in zip(*parts, strict=True))
    order = np.argsort(slope, kind="stable")
    return source[order], before[order], after[order], cost[order]
