"""Trees grown from a process, stage by stage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from scenario_trees.arrays import Array
from scenario_trees.errors import TreeError, is_integer
from scenario_trees.origin import plain
from scenario_trees.processes import PROCESSES
from scenario_trees.processes.gbm import GeometricBrownianMotion
from scenario_trees.processes.several import CorrelatedFactors
from scenario_trees.protocols import Quantization, Stepping
from scenario_trees.tree import require_branching

if TYPE_CHECKING:
    from scenario_trees.lattice import MarkovLattice


def grown(
    process: Any, branching: Sequence[int | tuple[int, ...]], rule: Quantization, dt: float, most: int
) -> dict[str, Any]:
    """Arrays of the tree of a process: ``parent``, ``stage``, ``probability``, ``value``, ``others``."""
    own = plain(process)
    if isinstance(own, Stepping) and not isinstance(own, GeometricBrownianMotion):
        return _by_steps(own, branching, rule, dt, most)
    if type(own) in PROCESSES.values() and not isinstance(own, Stepping):
        raise TreeError(
            f"process: {type(own).__name__} has no steps, it is for simulation only; "
            "tree_from_paths makes a tree of its paths"
        )
    return _by_growth(own, branching, rule, dt, most)


def _by_growth(process: Any, branching: Sequence[Any], rule: Quantization, dt: float, most: int) -> dict[str, Any]:
    """The tree of a process whose growth is the same in all nodes of a stage."""
    require_branching(branching)
    counts = [1]
    for b in branching:
        counts.append(counts[-1] * int(b))
    n = sum(counts)
    if n > most:
        raise TreeError(f"branching: the tree must have at most {most:,} nodes, got {n:,}")
    offsets = np.concatenate([[0], np.cumsum(counts)])
    parent = np.empty(n, dtype=np.int32)
    stage = np.empty(n, dtype=np.int16)
    probability = np.empty(n)
    value = np.empty(n)
    parent[0], stage[0], probability[0], value[0] = -1, 0, 1.0, process.initial
    steps: dict[int, tuple[Array, Array]] = {}
    for t, b in enumerate(branching):
        if b not in steps:
            steps[b] = rule.growth(process, int(b), dt)
        factor, weight = steps[b]
        above, here = slice(offsets[t], offsets[t + 1]), slice(offsets[t + 1], offsets[t + 2])
        shape = (counts[t], int(b))
        parent[here].reshape(shape)[:] = np.arange(offsets[t], offsets[t + 1], dtype=np.int32)[:, None]
        stage[here] = t + 1
        with np.errstate(over="ignore", invalid="ignore"):  # the constructor refuses values that are not finite
            np.multiply.outer(value[above], factor, out=value[here].reshape(shape))
        np.multiply.outer(probability[above], weight, out=probability[here].reshape(shape))
    return {"parent": parent, "stage": stage, "probability": probability, "value": value}


def _by_steps(process: Stepping, branching: Sequence[Any], rule: Quantization, dt: float, most: int) -> dict[str, Any]:
    """The tree of a process whose steps depend on its state; what cannot follow has no node."""
    several = isinstance(process, CorrelatedFactors)
    require_branching([1 if several and not is_integer(b) else b for b in branching])
    states, chance = process.start[None, :], np.ones(1)
    parents, stages, chances, values = [np.array([-1])], [np.zeros(1)], [chance], [states]
    first, total = 0, 1
    for t, b in enumerate(branching):
        if states.shape[0] * int(np.prod(b)) + total > most:
            raise TreeError(f"branching: the tree must have at most {most:,} nodes, got more at stage {t + 1}")
        after, share = process.step(states, b, rule, t=t * dt, dt=dt)
        above, place = np.nonzero(share > 0)
        parents.append(above + first)
        first, total = total, total + above.size
        states, chance = after[above, place], chance[above] * share[above, place]
        stages.append(np.full(above.size, t + 1))
        chances.append(chance)
        values.append(states)
    found = np.concatenate(values)
    return {
        "parent": np.concatenate(parents).astype(np.int32),
        "stage": np.concatenate(stages).astype(np.int16),
        "probability": np.concatenate(chances),
        "value": np.ascontiguousarray(found[:, 0]),
        "others": np.ascontiguousarray(found[:, 1:]),
    }


def unfolded(lattice: MarkovLattice, most: int) -> dict[str, Any]:
    """Arrays of the tree of all histories of positive probability on a lattice."""
    reach = np.ones(1)
    total = 1.0
    for matrix in lattice.transitions:
        reach = reach @ (matrix > 0)
        total += float(reach.sum())
    if total > most:
        raise TreeError(f"max_nodes: the unfolded tree has {total:,.0f} nodes, at most {most:,} are allowed")
    state = np.zeros(1, dtype=np.int64)
    states, parent, stage, probability = [state], [np.array([-1])], [np.array([0])], [np.ones(1)]
    offset = 0
    for t, matrix in enumerate(lattice.transitions):
        above, after = np.nonzero(matrix[state] > 0)
        parent.append(above + offset)
        stage.append(np.full(above.size, t + 1))
        probability.append(probability[-1][above] * matrix[state[above], after])
        offset += state.size
        state = after
        states.append(state)
    arrays = {"parent": parent, "stage": stage, "probability": probability}
    arrays["value"] = [value[i] for value, i in zip(lattice.values, states, strict=True)]
    if lattice.others is not None:
        arrays["others"] = [other[i] for other, i in zip(lattice.others, states, strict=True)]
    return {name: np.concatenate(parts) for name, parts in arrays.items()}
