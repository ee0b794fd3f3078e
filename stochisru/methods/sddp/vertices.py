"""A lower bound for any risk measure, with or without a store: values at points, and mixtures of them.

Values of a stage are concave in the state it starts from. Where they are known from below at some points they are known
from below at every mixture of these, so with θ replaced by a mixture of the next stage's points, the stage programs
give lower bounds at points of their own (Philpott, de Matos and Finardi 2013). The policy that acts by these mixtures
is worth at least the value found at the root, in the nested measure of the run.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from scenario_trees.arrays import Array
from stochisru.errors import SolverError
from stochisru.programs.solvers.highs import optimise
from stochisru.programs.stage import Stage, StateProgram
from stochisru.programs.stage_model import small_model
from stochisru.protocols import RiskMeasure, StagePrograms

#: Entries of a state up to which its corners are listed.
MOST_DIMENSIONS = 6
#: Points per stage, besides corners.
POINTS = 60
#: Allowance for the solver's tolerance, per unit of money.
_SLACK = 1e-8


def vertex_bound(programs: StagePrograms[Any], risk: RiskMeasure, points: list[Array]) -> float:
    """Lower bound on the value at the root, $.

    A point at which a program has no solution, or fails, is left out of the mixtures, which weakens the bound; it is −∞
    where nothing is left.

    Parameters
    ----------
    points
        States leaving stages 0..T−1 in units of the next stage, shapes ``(k, d)``; corners are added.
    """
    worth: Array | None = None  # of the points that a stage leaves, per state, in its own money
    left: Array | None = None  # these points
    for stage in programs.stages[::-1]:
        t = stage.year
        here = _with_corners(points[t - 1], stage) if t else np.zeros((1, 0))
        value = np.empty((programs.lattice.sizes[t], here.shape[0]))
        for i in range(value.shape[0]):
            model = _model(stage, i, None if worth is None else worth[i], left)
            value[i] = [_solve(model, stage, x, f"lower bound of stage {t}, state {i}") for x in here]
        known = np.isfinite(value)
        largest = 0.0 if worth is None else float(np.abs(worth[np.isfinite(worth)]).max(initial=0.0))
        value -= _SLACK * (1 + np.abs(value) + largest)
        if t == 0:
            return float(value[0, 0]) * stage.money
        before = programs.stages[t - 1]
        matrix = programs.lattice.transitions[t - 1]
        filled = np.where(known, value, 0.0)
        worth = before.factor * np.stack([(risk.weights(matrix, v) @ v) for v in filled.T], axis=1)
        worth[(matrix > 0) @ ~known] = -np.inf
        left = here
    raise AssertionError("there is a stage 0")


def _with_corners(points: Array, stage: Stage) -> Array:
    lower, upper = stage.lower[0, stage.state], stage.upper[0, stage.state]
    inside = np.clip(points, lower, upper)
    corners = np.array(list(itertools.product(*zip(lower, upper, strict=True)))).reshape(-1, upper.size)
    return np.unique(np.concatenate([corners, inside[-POINTS:]]), axis=0)


def _model(stage: Stage, state: int, worth: Array | None, points: Array | None) -> Any:
    """The stage program with a mixture of points in place of θ."""
    program = stage.at(state)
    columns = stage.columns
    cost, lower, upper = program.cost.copy(), program.lower.copy(), program.upper.copy()
    cost[stage.theta], lower[stage.theta], upper[stage.theta] = 0.0, 0.0, 0.0
    upper[stage.slack] = 0.0
    matrix, low, high = program.rows, program.low, program.high
    if worth is not None and points is not None:
        count, known = worth.size, np.isfinite(worth)
        cost = np.append(cost, np.where(known, worth, 0.0))
        lower, upper = np.append(lower, np.zeros(count)), np.append(upper, known.astype(float))
        weights = np.append(np.zeros(columns), np.ones(count))
        mixed = np.concatenate([stage.carry, -points.T], axis=1)
        matrix = np.concatenate([np.pad(matrix, ((0, 0), (0, count))), weights[None], mixed])
        low, high = np.concatenate([low, [1.0], -stage.offset]), np.concatenate([high, [1.0], -stage.offset])
    return small_model(StateProgram(cost, lower, upper, matrix, low, high, program.constant))


def _solve(model: Any, stage: Stage, state: Array, name: str) -> float:
    fixed = np.arange(stage.state.start, stage.state.stop, dtype=np.int32)
    if fixed.size:
        model.changeColsBounds(fixed.size, fixed, state, state)
    try:
        optimise(model, name)
    except SolverError:
        return -np.inf
    return float(model.getInfo().objective_function_value)
