"""Trees and few representative paths from many sample paths.

`forward_selection` picks paths that minimise the Kantorovich distance to the sample greedily (Heitsch and
Römisch 2003, fast forward selection); `k_means` moves representatives to cluster means. `tree_from_paths`
applies either to the next values at every node, and to nothing later, to build a branching tree whose node values are
the conditional means.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from scenario_trees.arrays import Array, Index
from scenario_trees.errors import TreeError, numbers, require_integer
from scenario_trees.tree import ScenarioTree, require_branching


@dataclass(frozen=True)
class Reduction:
    """A sample of paths partitioned into groups.

    Attributes
    ----------
    paths
        Representative of every group, shape ``(T + 1, groups)``.
    probability
        Probability of every group, shape ``(groups,)``.
    group
        Group of every path of the sample, shape ``(paths,)``.
    distance
        Mean Euclidean distance of a path of the sample to its representative, in the unit of the paths.
    """

    paths: Array
    probability: Array
    group: Index
    distance: float


Reducer = Callable[[Array, int, np.random.SeedSequence], Reduction]


def _paths(paths: ArrayLike) -> Array:
    array = numbers("paths", paths)
    if array.ndim != 2 or 0 in array.shape:
        raise TreeError(f"paths: must have shape (T + 1, paths), got {array.shape}")
    if not np.isfinite(array).all():
        raise TreeError("paths: every value must be finite")
    return array


def _distances(a: Array, b: Array) -> Array:
    from scipy.spatial.distance import cdist

    return np.asarray(cdist(a.T, b.T))


def _reduction(sample: Array, representatives: Array, group: Index) -> Reduction:
    apart = np.sqrt(((sample - representatives[:, group]) ** 2).sum(axis=0))
    return Reduction(
        paths=representatives,
        probability=np.bincount(group) / group.size,
        group=group,
        distance=float(apart.mean()),
    )


def forward_selection(paths: ArrayLike, count: int, seed: np.random.SeedSequence | int | None = None) -> Reduction:
    """Select ``count`` of the given paths by fast forward selection.

    The work is O(count · paths²) and the memory O(paths²). The method is deterministic; ``seed`` is accepted
    so that all reducers are called alike. Equal paths are selected once.
    """
    sample = _paths(paths)
    n = sample.shape[1]
    require_integer("count", count, 1, n)
    distance = _distances(sample, sample)
    nearest = np.full(n, np.inf)
    chosen: list[int] = []
    for _ in range(count):
        cost = np.minimum(distance, nearest[:, None]).sum(axis=0)
        cost[chosen] = np.inf
        best = int(cost.argmin())
        if chosen and nearest[best] == 0:  # every path is represented exactly
            break
        chosen.append(best)
        nearest = np.minimum(nearest, distance[:, best])
    chosen.sort()
    return _reduction(sample, sample[:, chosen], distance[:, chosen].argmin(axis=1).astype(np.int64))


def k_means(paths: ArrayLike, count: int, seed: np.random.SeedSequence | int = 0) -> Reduction:
    """Cluster the paths into at most ``count`` groups around their means; the best of four random starts."""
    from scipy.cluster.vq import kmeans2

    sample = _paths(paths)
    require_integer("count", count, 1, sample.shape[1])
    if not isinstance(seed, np.random.SeedSequence):
        require_integer("seed", seed, 0)
    distinct = np.unique(sample, axis=1)
    count = min(count, distinct.shape[1])
    rng = np.random.default_rng(seed)
    lowest, group = np.inf, np.zeros(sample.shape[1], dtype=np.int64)
    for _ in range(4):
        start = distinct[:, np.sort(rng.choice(distinct.shape[1], size=count, replace=False))]
        with warnings.catch_warnings():  # a cluster may run empty: the result then has one group fewer
            warnings.simplefilter("ignore", UserWarning)
            centres, label = kmeans2(sample.T, start.T, minit="matrix", iter=100)
        cost = float(((sample.T - centres[label]) ** 2).sum())
        if cost < lowest:
            lowest, group = cost, label.astype(np.int64)
    _, group = np.unique(group, return_inverse=True)
    weight = np.bincount(group)
    means = np.stack([np.bincount(group, weights=row) / weight for row in sample])
    return _reduction(sample, means, group.astype(np.int64))


def tree_from_paths(
    paths: ArrayLike,
    branching: Sequence[int],
    reducer: Reducer = k_means,
    seed: int = 0,
) -> ScenarioTree:
    """Build a tree from sample paths by grouping, node by node, the next values of the paths.

    At a node of stage ``t`` the paths that reach it are grouped by their values at stage ``t + 1``, and by nothing
    later, into at most ``branching[t]`` groups: groups that share their future would tell it to whoever stands at
    the node. A child's value is the mean of its paths, so the tree keeps the sample mean of every stage exactly. The
    tree is of the paths and not of a process: it carries none.

    Parameters
    ----------
    paths
        Shape ``(T + 1, paths)``, ≥ 0.
    branching
        Most children per node at stages 0..T−1.
    reducer
        `k_means` or `forward_selection`.
    seed
        Seed of the reducer, an integer >= 0.
    """
    sample = _paths(paths)
    if not (sample >= 0).all():
        raise TreeError("paths: every value must be >= 0")
    if len(branching) != sample.shape[0] - 1:
        raise TreeError(f"branching: needs {sample.shape[0] - 1} factors for these paths, got {len(branching)}")
    require_branching(branching)
    require_integer("seed", seed, 0)
    root = np.random.SeedSequence(seed)
    parent, stage, probability = [-1], [0], [1.0]
    value = [float(sample[0].mean())]
    frontier: list[tuple[int, Index]] = [(0, np.arange(sample.shape[1]))]
    for t, b in enumerate(branching):
        following: list[tuple[int, Index]] = []
        for node, members in frontier:
            (stream,) = root.spawn(1)
            groups = reducer(sample[t + 1 : t + 2, members], min(int(b), members.size), stream)
            heads = [float(sample[t + 1, members[groups.group == g]].mean()) for g in range(groups.probability.size)]
            for g in np.argsort(heads, kind="stable"):
                inside = members[groups.group == g]
                parent.append(node)
                stage.append(t + 1)
                probability.append(inside.size / sample.shape[1])
                value.append(heads[g])
                following.append((len(parent) - 1, inside))
        frontier = following
    return ScenarioTree(
        parent=np.array(parent),
        stage=np.array(stage),
        probability=np.array(probability),
        value=np.array(value),
    )
