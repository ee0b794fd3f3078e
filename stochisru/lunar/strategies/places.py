"""States nearest to what is seen on a path: demand by its logarithm, and what stands beside it.

What takes whole numbers only, such as a regime, is a kind: it comes first. Anything else, such as a belief, counts as
much as the logarithm of demand, each in standard deviations among the states.
"""

from __future__ import annotations

import numpy as np

from scenario_trees.arrays import Array, Index

#: Distance of another kind: more than any two demands are apart.
OTHER_KIND = 1e4


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
    """The state nearest to each path.

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
    unit = np.where((unit < OTHER_KIND) & (spread > 0), unit / np.where(spread > 0, spread, 1.0), unit)
    return np.asarray(cKDTree(known * unit).query(here * unit)[1], dtype=np.int64)
