"""A lower bound for any risk measure, with or without a store: values at points, and mixtures of them.

Values of a stage are concave in the state it starts from. Where they are known from below at some points they are known
from below at every mixture of these, so with θ replaced by a mixture of the next stage's points, the stage programs
give lower bounds at points of their own (Philpott, de Matos and Finardi 2013). The policy that acts by these mixtures
is worth at least the value found at the root, in the nested measure of the run.
"""

from __future__ import annotations

import itertools
import time
from typing import Any

import numpy as np

from scenario_trees.arrays import Array
from stochisru.errors import SolverError
from stochisru.methods.risk import Nested
from stochisru.programs.solvers.highs import optimise
from stochisru.programs.stage import Stage, StateProgram
from stochisru.programs.stage_model import small_model
from stochisru.protocols import RiskMeasure, StagePrograms

#: Entries of a state up to which its corners are listed.
MOST_DIMENSIONS = 6
#: Points per stage, besides corners, and the fewest where time is short.
POINTS, FEWEST_POINTS = 60, 4
#: Allowance for the solver's tolerance, per unit of money.
_SLACK = 1e-8
#: Most by which a plan may break a row whose coefficients are near 1; its price, as the solver has it, is taken off.
_BROKEN = 1e-7
#: Share of a problem's flows by which such allowances may keep bounds apart that have met.
ALLOWANCES = 1e-7


def vertex_bound(
    programs: StagePrograms[Any], risk: RiskMeasure, points: list[Array], until: float | None = None
) -> float:
    """Lower bound on the value at the root, $.

    A point at which a program has no solution, or fails, is left out of the mixtures, which weakens the bound; it is −∞
    where nothing is left.

    Parameters
    ----------
    points
        States leaving stages 0..T−1 in units of the next stage, shapes ``(k, d)``; corners are added.
    until
        Time (`time.monotonic`) at which it should be done: stages take fewer points where it draws near.
    """
    nested = Nested(risk, programs.lattice)
    pace = _Pace(programs, until)
    worth: Array | None = None  # of the points that a stage leaves, per state, in its own money
    left: Array | None = None  # these points
    for stage in programs.stages[::-1]:
        t = stage.year
        here = _with_corners(points[t - 1], stage, pace.points(t)) if t else np.zeros((1, 0))
        value = np.empty((programs.lattice.sizes[t], here.shape[0]))
        for i in range(value.shape[0]):
            mixed = _Mixed(stage, i, None if worth is None else worth[i], left)
            value[i] = [mixed.value(x) for x in here]
        pace.solved(value.size)
        known = np.isfinite(value)
        largest = 0.0 if worth is None else float(np.abs(worth[np.isfinite(worth)]).max(initial=0.0))
        value -= _SLACK * (1 + np.abs(value) + largest)
        if t == 0:
            return float(value[0, 0]) * stage.money
        before = programs.stages[t - 1]
        matrix = programs.lattice.transitions[t - 1]
        filled = np.where(known, value, 0.0)
        worth = np.stack([nested.worth(t - 1, stage.money * v) for v in filled.T], axis=1) / before.money
        worth[(matrix > 0) @ ~known] = -np.inf
        left = here
    raise AssertionError("there is a stage 0")


class _Pace:
    """How many points the stages that are left can take in the time that is left."""

    def __init__(self, programs: StagePrograms[Any], until: float | None) -> None:
        self._sizes, self._until = programs.lattice.sizes, until
        self._before = time.monotonic()
        self._each: float | None = None

    def solved(self, count: int) -> None:
        """So many programs of a stage were solved."""
        now = time.monotonic()
        self._each, self._before = (now - self._before) / count, now

    def points(self, t: int) -> int:
        """Points of stage t."""
        if self._until is None:
            return POINTS
        if self._each is None:
            return FEWEST_POINTS
        left = self._until - time.monotonic()
        return int(np.clip(left / (self._each * sum(self._sizes[: t + 1])), FEWEST_POINTS, POINTS))


def _with_corners(points: Array, stage: Stage, most: int) -> Array:
    lower, upper = stage.lower[0, stage.state], stage.upper[0, stage.state]
    inside = np.clip(points, lower, upper)
    corners = np.array(list(itertools.product(*zip(lower, upper, strict=True)))).reshape(2**upper.size, upper.size)
    latest = inside[-POINTS:]
    chosen = latest[np.linspace(0, len(latest) - 1, min(most, len(latest))).round().astype(int)]  # trials are in order
    return np.unique(np.concatenate([corners, chosen]), axis=0)


class _Mixed:
    """The program of a stage in one state, with a mixture of points in place of θ."""

    def __init__(self, stage: Stage, state: int, worth: Array | None, points: Array | None) -> None:
        program = stage.at(state)
        cost, lower, upper = program.cost.copy(), program.lower.copy(), program.upper.copy()
        cost[stage.theta], lower[stage.theta], upper[stage.theta] = 0.0, 0.0, 0.0
        upper[stage.slack] = 0.0
        matrix, low, high = program.rows, program.low, program.high
        if worth is not None and points is not None:
            count, known = worth.size, np.isfinite(worth)
            cost = np.append(cost, np.where(known, worth, 0.0))
            lower, upper = np.append(lower, np.zeros(count)), np.append(upper, known.astype(float))
            weights = np.append(np.zeros(stage.columns), np.ones(count))
            mixed = np.concatenate([stage.carry, -points.T], axis=1)
            matrix = np.concatenate([np.pad(matrix, ((0, 0), (0, count))), weights[None], mixed])
            low, high = np.concatenate([low, [1.0], -stage.offset]), np.concatenate([high, [1.0], -stage.offset])
        self._program = StateProgram(cost, lower, upper, matrix, low, high, program.constant)
        self._model = small_model(self._program)
        self._fixed = np.arange(stage.state.start, stage.state.stop, dtype=np.int32)
        self._name = f"lower bound of stage {stage.year}, state {state}"

    def value(self, state: Array) -> float:
        """What HiGHS's plan is worth from a state; −∞ where it finds none that keeps the rows as they stand here."""
        if self._fixed.size:
            self._model.changeColsBounds(self._fixed.size, self._fixed, state, state)
        try:
            optimise(self._model, self._name)
        except SolverError:
            return -np.inf
        program, solution = self._program, self._model.getSolution()
        columns, duals = np.asarray(solution.col_value), np.asarray(solution.row_dual)
        columns = np.clip(columns, program.lower, program.upper)
        columns[self._fixed] = state
        broken = program.broken(columns)
        if broken.max(initial=0.0) > _BROKEN:
            return -np.inf
        return float(program.constant + program.cost @ columns - np.abs(duals) @ broken)
