"""Bins of a Brownian motion, normalised to variance 1 at every stage: edges, masses, transitions between stages."""

from __future__ import annotations

import numpy as np

from scenario_trees.arrays import Array

#: Beyond this many standard deviations nothing counts, not even weighed with the mean (2e-33).
_TAIL = 12.0
#: Largest shift of the law that weighs with the mean; a bin's probability must stay a number.
_MAX_SHIFT = 5.0
#: Gauss–Legendre nodes per piece of a bin; pieces are at most one width of the kernel long.
_NODES = 14


def normal_edges(count: int, tilt: float, spread: float) -> Array:
    """Edges, from −∞ to ∞, of bins of a standard normal number Z with equal shares of a mixture.

    The mixture is ``(1 − tilt)·Φ(z) + tilt·Φ(z − spread)``; the second law weighs Z with ``e^{spread·Z}``.
    """
    from scipy.special import ndtr, ndtri

    level = np.arange(count + 1) / count
    edges = np.asarray(ndtri(level))
    edges = 0.5 * (edges - edges[::-1])  # symmetric to the last digit
    shift = min(spread, _MAX_SHIFT)
    if tilt == 0 or shift == 0 or count == 1:
        return edges
    low, high = edges[1:-1], edges[1:-1] + shift  # the mixture lies between the two laws
    for _ in range(60):
        middle = 0.5 * (low + high)
        below = (1 - tilt) * ndtr(middle) + tilt * ndtr(middle - shift) < level[1:-1]
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return np.concatenate([edges[:1], 0.5 * (low + high), edges[-1:]])


def bin_masses(edges: Array) -> Array:
    """Normal probability between neighbouring edges; accurate in both tails."""
    from scipy.special import ndtr

    lower, upper = edges[:-1], edges[1:]
    return np.where(lower > 0, ndtr(-lower) - ndtr(-upper), ndtr(upper) - ndtr(lower))


def bin_transitions(edges: Array, after: Array, t: int) -> Array:
    """Probability of going from each bin of stage ``t`` to each bin of stage ``t + 1``.

    With Z the normalised Brownian motion of stage t, that of the next stage is ``(√t Z + ε)/√(t + 1)``, so the bin
    (a, b) is reached from Z = z with probability ``Φ(√(t+1) b − √t z) − Φ(√(t+1) a − √t z)``.
    """
    from scipy.special import ndtr

    node, weight = np.polynomial.legendre.leggauss(_NODES)
    z: list[Array] = []
    w: list[Array] = []
    first = []
    for low, high in zip(np.maximum(edges[:-1], -_TAIL), np.minimum(edges[1:], _TAIL), strict=True):
        pieces = int(np.ceil((high - low) * np.sqrt(t + 1.0)))
        cuts = np.linspace(low, high, pieces + 1)
        half = np.diff(cuts)[:, None] / 2
        first.append(sum(part.size for part in z))
        # Densities are relative to that of the bin's end nearer to 0: those of far bins would vanish.
        nearest = max(low, -high, 0.0)
        points = (cuts[:-1, None] + half + half * node).ravel()
        z.append(points)
        w.append((half * weight).ravel() * np.exp(0.5 * (nearest**2 - points**2)))
    at, mass = np.concatenate(z), np.concatenate(w)
    reached = ndtr(np.sqrt(t + 1.0) * after - np.sqrt(t) * at[:, None])
    joint = np.add.reduceat(mass[:, None] * np.diff(reached, axis=1), first)
    return np.asarray(joint / joint.sum(axis=1, keepdims=True))
