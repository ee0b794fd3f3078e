"""States of Markov lattices: bins of a law, recombined growth, cells of sample paths."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from scenario_trees.arrays import Array, Index
from scenario_trees.cells import cells
from scenario_trees.errors import TreeError
from scenario_trees.normal_bins import bin_masses, bin_transitions, normal_edges
from scenario_trees.processes.gbm import GeometricBrownianMotion
from scenario_trees.protocols import Quantization

MAX_STATES = 5_000
#: Values that differ by less than this share are one state of a recombining lattice.
_SAME = 1e-10


def normal_states(
    process: GeometricBrownianMotion, horizon: int, states: int, dt: float, tilt: float
) -> tuple[list[Array], list[Array]]:
    """Bins of the lognormal law of every stage, and the transitions between them."""
    count = states if process.volatility > 0 else 1
    with np.errstate(over="ignore"):
        means = process.mean(np.arange(horizon + 1) * dt)
    if not (np.isfinite(means) & (means > 0)).all():
        raise TreeError(f"drift: the mean of stage {horizon} must be a finite number, got {means[-1]:g}")
    values, edges = [means[:1]], [np.array([-np.inf, np.inf])]
    for t in range(1, horizon + 1):
        spread = process.volatility * np.sqrt(t * dt)
        edges.append(normal_edges(count, tilt, spread))
        share = bin_masses(edges[t] - spread)
        level = share / share.sum() / bin_masses(edges[t])
        if not (np.diff(level) > 0).all():
            raise TreeError(
                f"states: {count} states cannot be told apart at stage {t}; "
                f"use fewer, or a volatility other than {process.volatility:g}"
            )
        values.append(means[t] * level)
    transitions = [bin_masses(edges[1])[None, :]] if horizon else []
    transitions += [bin_transitions(edges[t], edges[t + 1], t) for t in range(1, horizon)]
    return values, transitions


def recombined_states(
    process: Any, branching: Sequence[int], rule: Quantization, dt: float
) -> tuple[list[Array], list[Array]]:
    """Values that growth factors lead to, those of equal value one state."""
    values, transitions = [np.array([process.initial])], []
    for t, branches in enumerate(branching):
        factor, weight = rule.growth(process, int(branches), dt)
        with np.errstate(over="ignore"):
            reached = np.multiply.outer(values[-1], factor)
        order = np.argsort(reached, axis=None)
        ascending = reached.ravel()[order]
        new = np.concatenate([[True], np.diff(ascending) > _SAME * ascending[1:]])
        shape = (reached.shape[0], int(new.sum()))
        if shape[1] > MAX_STATES:
            raise TreeError(
                f"branching: stage {t + 1} would have {shape[1]:,} states, at most {MAX_STATES:,} are allowed; "
                "take fewer branches, or 2 or 3 at every stage, which recombine"
            )
        state = np.empty(order.size, dtype=np.int64)
        state[order] = np.cumsum(new) - 1
        cell = np.repeat(np.arange(shape[0]) * shape[1], factor.size) + state
        mass = np.bincount(cell, weights=np.tile(weight, shape[0]), minlength=shape[0] * shape[1])
        values.append(ascending[new])
        transitions.append(mass.reshape(shape))
    return values, transitions


def states_of_paths(sample: Array, counts: tuple[int, ...]) -> tuple[list[Array], list[Array]]:
    """Cells of sample paths, stage by stage, and how often paths go from one to the next.

    Cells of the first factor are those of its sorted values; within each, those of the next factor, and so on.

    Parameters
    ----------
    sample
        Shape ``(T + 1, paths, k)``.
    counts
        Most cells of each of the k factors.

    Returns
    -------
    states
        Means of all factors in every cell, one array of shape ``(cells, k)`` per stage; the first ascends.
    transitions
        One matrix per stage 0..T−1.
    """
    states, before = [sample[0].mean(axis=0)[None, :]], np.zeros(sample.shape[1], dtype=np.int64)
    transitions = []
    for stage in sample[1:]:
        label = np.zeros(sample.shape[1], dtype=np.int64)
        for column, count in enumerate(counts):
            label = _within(stage[:, column], label, count)
        size = np.bincount(label)
        mean = np.stack([np.bincount(label, weights=x) / size for x in stage.T], axis=1)
        order = np.lexsort(mean.T[::-1])
        rank = np.empty_like(order)
        rank[order] = np.arange(order.size)
        after = rank[label]
        shape = (states[-1].shape[0], order.size)
        visits = np.bincount(before * shape[1] + after, minlength=shape[0] * shape[1]).reshape(shape)
        transitions.append(visits / visits.sum(axis=1, keepdims=True))
        states.append(mean[order])
        before = after
    return states, transitions


def _within(values: Array, group: Index, count: int) -> Index:
    """Cells of the values of each group, numbered on."""
    if not group.any():
        return cells(values, count)[1]
    out, first = np.empty_like(group), 0
    order = np.argsort(group, kind="stable")
    ends = np.searchsorted(group[order], np.arange(group[order[-1]] + 2))
    for low, high in pairwise(ends):
        inside = order[low:high]
        found = cells(values[inside], count)[1]
        out[inside] = first + found
        first += int(found.max()) + 1
        if first > MAX_STATES:
            raise TreeError(f"states: {count} of each number would be more than {MAX_STATES:,} a stage; take fewer")
    return out
