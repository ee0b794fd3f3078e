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
from stochisru.methods.sddp.engine import small_model
from stochisru.programs.solvers.highs import optimise
from stochisru.programs.stage import Stage
from stochisru.protocols import RiskMeasure, StagePrograms

#: Entries of a state up to which its corners are listed.
MOST_DIMENSIONS = 6
#: Points per stage, besides corners.
POINTS = 60
#: Allowance for the solver's tolerance, per unit of money.
_SLACK = 1e-8


def vertex_bound(programs: StagePrograms[Any], risk: RiskMeasure, points: list[Array]) -> float:
    """Lower bound on the value at the root, $.

    Parameters
    ----------
    points
        States leaving stages 0..T−1 in units of the next stage, shapes ``(k, d)``; corners are added.
    """
    worth: Array | None = None  # of the points that a stage leaves, per state, in its own money
    left: Array | None = None  # these points
    for stage in programs.stages[::-1]:
        t = stage.year
        upper = programs.state_upper(t) / programs.state_unit(t)
        here = _with_corners(points[t - 1], upper) if t else np.zeros((1, 0))
        value = np.empty((programs.lattice.sizes[t], here.shape[0]))
        for i in range(value.shape[0]):
            model = _model(stage, i, None if worth is None else worth[i], left)
            value[i] = [_solve(model, stage, x, f"lower bound of stage {t}, state {i}") for x in here]
        largest = 0.0 if worth is None else float(np.abs(worth).max())
        value -= _SLACK * (1 + np.abs(value) + largest)
        if t == 0:
            return float(value[0, 0]) * stage.money
        before = programs.stages[t - 1]
        matrix = programs.lattice.transitions[t - 1]
        worth = before.factor * np.stack([(risk.weights(matrix, v) @ v) for v in value.T], axis=1)
        left = here
    raise AssertionError("there is a stage 0")


def _with_corners(points: Array, upper: Array) -> Array:
    inside = np.clip(points, 0.0, upper)
    corners = np.array(list(itertools.product(*((0.0, u) for u in upper)))).reshape(-1, upper.size)
    return np.unique(np.concatenate([corners, inside[-POINTS:]]), axis=0)


def _model(stage: Stage, state: int, worth: Array | None, points: Array | None) -> Any:
    """The stage program with a mixture of points in place of θ."""
    import highspy

    columns = stage.cost.size
    cost, upper = stage.cost.copy(), stage.upper.copy()
    cost[stage.theta] = 0.0
    matrix, low, high = stage.rows, [-np.inf, stage.demand[state]], [stage.supply, stage.demand[state]]
    if worth is not None and points is not None:
        count = worth.size
        cost, upper = np.append(cost, worth), np.append(upper, np.ones(count))
        weights = np.append(np.zeros(columns), np.ones(count))
        mixed = np.concatenate([stage.carry, -points.T], axis=1)
        matrix = np.concatenate([np.pad(matrix, ((0, 0), (0, count))), weights[None], mixed])
        low, high = [*low, 1.0, *-stage.offset], [*high, 1.0, *-stage.offset]
    row, column = np.nonzero(matrix)
    lp = highspy.HighsLp()
    lp.num_row_, lp.num_col_ = matrix.shape
    lp.sense_ = highspy.ObjSense.kMaximize
    lp.offset_ = stage.constant
    lp.col_cost_, lp.col_lower_, lp.col_upper_ = cost, np.zeros(cost.size), upper
    lp.row_lower_, lp.row_upper_ = np.array(low), np.array(high)
    lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    lp.a_matrix_.start_ = np.searchsorted(row, np.arange(matrix.shape[0] + 1)).astype(np.int32)
    lp.a_matrix_.index_, lp.a_matrix_.value_ = column.astype(np.int32), matrix[row, column]
    model = small_model()
    model.passModel(lp)
    return model


def _solve(model: Any, stage: Stage, state: Array, name: str) -> float:
    fixed = np.arange(stage.state.start, stage.state.stop, dtype=np.int32)
    if fixed.size:
        model.changeColsBounds(fixed.size, fixed, state, state)
    optimise(model, name)
    return float(model.getInfo().objective_function_value)
