"""States nearest to what is seen on a path: demand by its logarithm, and what stands beside it.

What takes whole numbers only, such as a regime, is a kind: it comes first. Anything else, such as a belief, is a
distance like that of the logarithms of demand.
"""

from __future__ import annotations

import numpy as np

from scenario_trees.arrays import Array, Index

#: Distance of another kind: more than any two demands are apart.
OTHER_KIND = 1e4
#: Standard deviations below this share of the largest number are rounding.
_ROUNDING = 1e-9


def weights(others: Array) -> Array:
    """What a unit of each thing beside demand weighs against one of the logarithm of demand, shape ``(k,)``.

    Parameters
    ----------
    others
        What is seen beside demand in the states of a stage, or at the nodes of a tree, shape ``(n, k)``.
    """
    kinds = (others == np.rint(others)).all(axis=0)
    return np.where(kinds, OTHER_KIND, 1.0)


def log_demand(value: Array) -> Array:
    """Logarithm; that of 0 is far below all others."""
    return np.asarray(np.log(np.maximum(value, 1e-300)))


def nearest(states: Array, demand: Array, seen: Array) -> Index:
    """The state nearest to each path, in standard deviations among the states.

    Parameters
    ----------
    states
        Shape ``(n, 1 + k)``, demand first.
    demand
        Shape ``(paths,)``.
    seen
        What is seen beside it, shape ``(paths, k)``.
    """
    from scipy.spatial import cKDTree

    known = np.column_stack([log_demand(states[:, 0]), states[:, 1:]])
    here = np.column_stack([log_demand(demand), seen])
    unit = np.append(1.0, weights(states[:, 1:]))
    spread = known.std(axis=0)
    apart = (unit < OTHER_KIND) & (spread > _ROUNDING * np.abs(known).max(axis=0))
    unit = np.where(apart, unit / np.where(apart, spread, 1.0), unit)
    return np.asarray(cKDTree(known * unit).query(here * unit)[1], dtype=np.int64)


def between(states: Array, demand: Array, seen: Array) -> tuple[Index, Index, Array]:
    """States on both sides of each path's demand, of its kind, and the share of the upper one, each ``(paths,)``.

    Shares are those of logarithms; beyond the outermost states, where beliefs are seen, and where a kind has no state
    with demand, both are the nearest state. Arguments are as of `nearest`.
    """
    kinds, kind = np.unique(states[:, 1:], axis=0, return_inverse=True)
    if (weights(states[:, 1:]) < OTHER_KIND).any():
        kinds = kinds[:0]
    below, above = np.full(demand.size, -1), np.full(demand.size, -1)
    share, log = np.zeros(demand.size), log_demand(demand)
    for number, own in enumerate(kinds):
        here = np.flatnonzero((seen == own).all(axis=1))
        alive = np.flatnonzero((kind.reshape(-1) == number) & (states[:, 0] > 0))
        if alive.size:
            place = np.interp(log[here], log_demand(states[alive, 0]), np.arange(alive.size))
            low = place.astype(np.int64)
            below[here], above[here] = alive[low], alive[np.minimum(low + 1, alive.size - 1)]
            share[here] = place - low
    left = np.flatnonzero(below < 0)
    if left.size:
        below[left] = above[left] = nearest(states, demand[left], seen[left])
    return below, above, share
