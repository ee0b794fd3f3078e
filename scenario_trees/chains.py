"""Lattices of any process of the family with one value, by a fine chain on the logarithm.

The law of every stage is kept on several hundred cells of the logarithm, narrow in the middle, per kind of state (a
regime; a date that has come); each cell stands at its conditional mean. The step from each cell into the next stage's
cells is exact: masses and means of a mixture of lognormals between ends. Cells are then put together into the states
that were asked for, with the probability and the mean that is in them. So stage means are kept as far as the mean
given the value is linear (growth that does not depend on the value: to rounding; else to about 1e-5), and conditional
means on average over each state.
"""

from __future__ import annotations

import numpy as np

from scenario_trees.arrays import Array, Index, Mask
from scenario_trees.errors import TreeError
from scenario_trees.law import Mixture
from scenario_trees.processes.markov import MarkovProcess
from scenario_trees.states import MAX_STATES

#: Cells of a stage per kind of state, at least and per state that is asked for; deviations of a component that count.
_CELLS, _PER_STATE, _REACH = 400, 4, 8.0
#: How much narrower cells are in the middle than at the ends: cosh of it.
_BEND = 2.5
#: Mass, and share of the mean, of what is cut off at each end of the law of a stage.
_TAIL = 1e-14
#: Elements of the arrays of one step at once.
_CHUNK = 4_000_000


def chain_states(
    process: MarkovProcess, horizon: int, states: int, dt: float, tilt: float
) -> tuple[list[Array], list[Array]]:
    """States of a lattice, one array of shape ``(states, k)`` per stage, and transitions; see the module.

    Parameters
    ----------
    states
        States per kind of state; the value 0 is one more.
    tilt
        States have equal shares of ``(1 − tilt)·probability + tilt·mean`` of their kind.
    """
    process.require_step(dt)
    means = process.mean(np.arange(horizon + 1) * dt)
    points, mass = process.start[None, :], np.ones(1)
    state: Index = np.zeros(1, dtype=np.int64)
    found, transitions = [points], []
    for t in range(horizon):
        points_after, flow = _advance(process, points, mass, t * dt, dt, max(_CELLS, _PER_STATE * states))
        mass_after = mass @ flow
        # Where the mean bends with the value the points of this stage stand for their cells but nearly.
        points_after[:, 0] *= means[t + 1] / float(mass_after @ points_after[:, 0])
        label, size = _group(points_after, mass_after, states, tilt)
        if size > MAX_STATES:
            raise TreeError(f"states: stage {t + 1} would have {size:,} states, at most {MAX_STATES:,} are allowed")
        total = np.bincount(label, weights=mass_after, minlength=size)
        mean = np.stack([np.bincount(label, weights=mass_after * x, minlength=size) / total for x in points_after.T], 1)
        order = np.lexsort(mean.T[::-1])
        label = np.argsort(order)[label]
        found.append(mean[order])
        joint = np.zeros((found[-2].shape[0], size))
        np.add.at(joint, state, _columns(mass[:, None] * flow, label, size))
        transitions.append(joint / joint.sum(axis=1, keepdims=True))
        points, mass, state = points_after, mass_after, label
    return found, transitions


def _columns(matrix: Array, label: Index, size: int) -> Array:
    """Sums of the columns of a matrix by label."""
    out = np.zeros((matrix.shape[0], size))
    order = np.argsort(label, kind="stable")
    starts = np.searchsorted(label[order], np.arange(size))
    out[:] = np.add.reduceat(matrix[:, order], starts, axis=1)
    return out


def _advance(
    process: MarkovProcess, points: Array, mass: Array, t: float, dt: float, cells: int
) -> tuple[Array, Array]:
    """Points of the next stage and the probability of each from each, shape ``(points, points after)``."""
    alive = points[:, 0] > 0
    safe = np.column_stack([np.where(alive, points[:, 0], 1.0), points[:, 1:]])
    law = process.law(safe, t, dt)
    after: list[Array] = []
    flows: list[Array] = []
    dead = np.where(alive, 0.0, 1.0)
    for kind, (share, mixture) in enumerate(zip(law.probability.T, law.kinds, strict=True)):
        chance = np.where(alive, share, 0.0)
        if mixture.is_nothing:
            dead = dead + chance
            continue
        some = chance > 0
        if not some.any():
            continue
        value, flow = _cells(mixture, chance, mass, some, cells)
        seen = process.after(np.repeat(points[some][:1], value.size, axis=0), np.full(value.size, kind), value, t, dt)
        after.append(np.column_stack([value, seen]))
        flows.append(flow)
    if dead.any():
        after.append(np.column_stack([np.zeros((1, 1)), points[:1, 1:]]))
        flows.append(dead[:, None])
    flow = np.concatenate(flows, axis=1)
    return np.concatenate(after), flow / flow.sum(axis=1, keepdims=True)


def _cells(mixture: Mixture, chance: Array, mass: Array, some: Mask, cells: int) -> tuple[Array, Array]:
    """Means of the cells of one kind of future, and the probability of each from each point."""
    low, centre, high = _range(mixture, mass * chance)
    place = np.linspace(-1, 1, cells + 1)[1:-1]
    width = np.sinh(_BEND * np.abs(place)) / np.sinh(_BEND)
    ends = np.where(place < 0, centre - (centre - low) * width, centre + (high - centre) * width)
    ends = ends if high > low else np.zeros(0)
    n, c = mixture.weight.shape
    reached, value = np.zeros((n, ends.size + 1)), np.zeros((n, ends.size + 1))
    rows = np.flatnonzero(some)
    per = max(1, _CHUNK // (c * (ends.size + 1)))
    for i in range(0, rows.size, per):
        here = rows[i : i + per]
        part = mixture.rows(here)
        y = np.tile(ends, (here.size, 1))
        one = np.ones((here.size, 1))
        reached[here] = np.diff(np.concatenate([0 * one, part.below(y), one], axis=1), axis=1)
        value[here] = np.diff(np.concatenate([0 * one, part.mean_below(y), part.moment()[:, None]], axis=1), axis=1)
    flow = chance[:, None] * np.maximum(reached, 0.0)
    total = mass @ flow
    first = (mass * chance) @ value
    keep = (total > 1e-300) & (first > 0)
    # Cells that hold next to nothing are left to their neighbours: their means would be rounding.
    keep &= (total > _TAIL * total.sum()) | (first > _TAIL * first.sum())
    label: Index = np.maximum(np.cumsum(keep) - 1, 0).astype(np.int64)
    size = int(keep.sum())
    mean = np.bincount(label, weights=first, minlength=size) / np.bincount(label, weights=total, minlength=size)
    return np.asarray(mean), _columns(flow, label, size)


def _range(mixture: Mixture, mass: Array) -> tuple[float, float, float]:
    """Low end, mean and high end of the logarithm of the next value.

    Tails of next to no mass and no share of the mean are left out.
    """
    joint = mass[:, None] * mixture.weight
    counts = joint > _TAIL * joint.sum()
    m, s = mixture.log_mean[counts], mixture.log_sd[counts]
    if not m.size:
        return 0.0, 0.0, 0.0
    low = float((m - _REACH * s).min())
    high = float((m + s * (_REACH + s)).max())
    return low, float(np.average(m, weights=joint[counts])), high


def _group(points: Array, mass: Array, states: int, tilt: float) -> tuple[Index, int]:
    """State of every point: by kind of state, in the order of values, equal shares of probability and mean."""
    _, kind = np.unique(np.column_stack([points[:, 0] > 0, points[:, 1:]]), axis=0, return_inverse=True)
    kind = kind.reshape(-1)
    label, first = np.empty(points.shape[0], dtype=np.int64), 0
    for k in range(int(kind.max()) + 1):
        inside = np.flatnonzero(kind == k)
        inside = inside[np.argsort(points[inside, 0], kind="stable")]
        p, x = mass[inside], points[inside, 0]
        worth = p * x
        share = (1 - tilt) * p / p.sum() + (tilt * worth / worth.sum() if worth.sum() > 0 else 0.0)
        middle = (np.cumsum(share) - share / 2) / share.sum()
        own = np.minimum((middle * states).astype(np.int64), states - 1)
        _, own = np.unique(own, return_inverse=True)
        label[inside] = first + own
        first += int(own.max()) + 1
    return label, first
