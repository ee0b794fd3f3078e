"""Trees and few representative paths from many sample paths.

`forward_selection` picks paths that minimise the Kantorovich distance to the sample greedily (Heitsch and
Römisch 2003, fast forward selection); `k_means` moves representatives to cluster means. `tree_from_paths`
applies either at every node to build a branching tree whose node values are the conditional means.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scenario_trees.errors import TreeError
from scenario_trees.tree import ScenarioTree

Array = NDArray[np.float64]


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
    group: NDArray[np.int64]
    distance: float


Reducer = Callable[[Array, int, np.random.SeedSequence], Reduction]


def _paths(paths: ArrayLike) -> Array:
    array = np.asarray(paths, dtype=float)
    if array.ndim != 2 or 0 in array.shape:
        raise TreeError(f"paths: must have shape (T + 1, paths), got {array.shape}")
    if not np.isfinite(array).all():
        raise TreeError("paths: every value must be finite")
    return array


def _distances(a: Array, b: Array) -> Array:
    squared = (a**2).sum(0)[:, None] + (b**2).sum(0)[None, :] - 2 * a.T @ b
    return np.asarray(np.sqrt(np.maximum(squared, 0.0)))


def _reduction(paths: Array, representatives: Array) -> Reduction:
    distance = _distances(paths, representatives)
    group = distance.argmin(axis=1)
    used, group = np.unique(group, return_inverse=True)
    return Reduction(
        paths=representatives[:, used],
        probability=np.bincount(group) / group.size,
        group=group.astype(np.int64),
        distance=float(distance[np.arange(group.size), used[group]].mean()),
    )


def forward_selection(paths: ArrayLike, count: int, seed: np.random.SeedSequence | int | None = None) -> Reduction:
    """Select ``count`` of the given paths by fast forward selection.

    The work is O(count · paths²) and the memory O(paths²). The method is deterministic; ``seed`` is accepted
    so that all reducers are called alike.
    """
    sample = _paths(paths)
    n = sample.shape[1]
    if not 1 <= count <= n:
        raise TreeError(f"count: must lie in [1, {n}], got {count}")
    distance = _distances(sample, sample)
    nearest = np.full(n, np.inf)
    chosen: list[int] = []
    for _ in range(count):
        cost = np.minimum(distance, nearest[:, None]).sum(axis=0)
        cost[chosen] = np.inf
        best = int(cost.argmin())
        chosen.append(best)
        nearest = np.minimum(nearest, distance[:, best])
    return _reduction(sample, sample[:, sorted(chosen)])


def k_means(paths: ArrayLike, count: int, seed: np.random.SeedSequence | int = 0) -> Reduction:
    """Cluster the paths into at most ``count`` groups around their means."""
    from scipy.cluster.vq import kmeans2

    sample = _paths(paths)
    distinct = np.unique(sample, axis=1).shape[1]
    if not 1 <= count <= sample.shape[1]:
        raise TreeError(f"count: must lie in [1, {sample.shape[1]}], got {count}")
    count = min(count, distinct)
    rng = np.random.default_rng(seed)
    lowest, group = np.inf, np.zeros(sample.shape[1], dtype=np.int64)
    for _ in range(4):
        start = np.sort(rng.choice(sample.shape[1], size=count, replace=False))
        for _ in range(1000):
            if np.unique(sample[:, start], axis=1).shape[1] == count:
                break
            start = np.sort(rng.choice(sample.shape[1], size=count, replace=False))
        centres, label = kmeans2(sample.T, sample.T[start], minit="matrix", iter=30, missing="warn")
        cost = float(((sample.T - centres[label]) ** 2).sum())
        if cost < lowest:
            lowest, group = cost, label.astype(np.int64)
    _, group = np.unique(group, return_inverse=True)
    weight = np.bincount(group)
    means = np.stack([np.bincount(group, weights=row) / weight for row in sample])
    return _reduction(sample, means)


def tree_from_paths(
    paths: ArrayLike,
    branching: Sequence[int],
    reducer: Reducer = k_means,
    seed: int = 0,
) -> ScenarioTree:
    """Build a tree from sample paths by grouping, node by node, what the paths do next.

    At a node of stage ``t`` the paths that reach it are grouped by their values from stage ``t + 1`` on into
    at most ``branching[t]`` groups. A child's value is the mean of its paths, so the tree keeps the sample mean
    of every stage exactly.

    Parameters
    ----------
    paths
        Shape ``(T + 1, paths)``, positive.
    branching
        Most children per node at stages 0..T−1.
    reducer
        `k_means` or `forward_selection`.
    """
    sample = _paths(paths)
    if not (sample > 0).all():
        raise TreeError("paths: every value must be > 0")
    if len(branching) != sample.shape[0] - 1:
        raise TreeError(f"branching: needs {sample.shape[0] - 1} factors for these paths, got {len(branching)}")
    for t, b in enumerate(branching):
        if b < 1:
            raise TreeError(f"branching: every factor must be an integer >= 1, got {b!r} at stage {t}")
    root = np.random.SeedSequence(seed)
    parent, stage, probability = [-1], [0], [1.0]
    value = [float(sample[0].mean())]
    frontier: list[tuple[int, NDArray[np.int64]]] = [(0, np.arange(sample.shape[1]))]
    for t, b in enumerate(branching):
        following: list[tuple[int, NDArray[np.int64]]] = []
        for node, members in frontier:
            (stream,) = root.spawn(1)
            groups = reducer(sample[t + 1 :, members], min(int(b), members.size), stream)
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
