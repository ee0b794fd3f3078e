"""The program of one state of a stage in HiGHS, with its cuts."""

from __future__ import annotations

from typing import Any

import numpy as np

from scenario_trees.arrays import Array
from stochisru.errors import InfeasibleError, SolverError
from stochisru.programs.solvers.highs import SMALL_COEFFICIENT, conflict_in, new_model, optimise
from stochisru.programs.stage import Stage, StateProgram

#: Feasibility tolerances of HiGHS; quantities and money are near 1.
_TOLERANCE = 1e-9

#: Duals of cuts whose sum is no further from 1 than this are scaled to it: any duals ≥ 0 give a bound.
_NEARLY = 1e-6


def small_model(program: StateProgram) -> Any:
    """A program of few columns that is near 1 already, in HiGHS."""
    import highspy

    model = new_model()
    for option, value in (
        ("presolve", "off"),
        ("simplex_scale_strategy", 0),
        ("primal_feasibility_tolerance", _TOLERANCE),
        ("dual_feasibility_tolerance", _TOLERANCE),
        ("small_matrix_value", SMALL_COEFFICIENT),
    ):
        model.setOptionValue(option, value)
    row, column = np.nonzero(program.rows)
    lp = highspy.HighsLp()
    lp.num_row_, lp.num_col_ = program.rows.shape
    lp.sense_ = highspy.ObjSense.kMaximize
    lp.offset_ = program.constant
    lp.col_cost_, lp.col_lower_, lp.col_upper_ = program.cost, program.lower, program.upper
    lp.row_lower_, lp.row_upper_ = program.low, program.high
    lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    lp.a_matrix_.start_ = np.searchsorted(row, np.arange(lp.num_row_ + 1)).astype(np.int32)
    lp.a_matrix_.index_, lp.a_matrix_.value_ = column.astype(np.int32), program.rows[row, column]
    model.passModel(lp)
    return model


class StageModel:
    """The program of one state of a stage in HiGHS, with its cuts."""

    def __init__(self, stage: Stage, state: int) -> None:
        self._stage = stage
        self._name = f"stage {stage.year}, state {state}"
        program = stage.at(state)
        self._model = small_model(program)
        self._rows = program.low.size
        # What a dual must be at least and at most: 0 where a row has no side to hold to.
        self._least = np.where(np.isfinite(program.low), -np.inf, 0.0)
        self._most = np.where(np.isfinite(program.high), np.inf, 0.0)
        self._fixed = np.arange(stage.state.start, stage.state.stop, dtype=np.int32)
        # Columns that a cut may touch: θ and those that the state depends on.
        self._touched = np.flatnonzero(np.abs(stage.carry).sum(axis=0))
        self._entries = np.append(self._touched, stage.theta).astype(np.int32)
        self._intercept = np.empty(0)
        self._slope = np.empty((0, stage.leaving))
        self._epoch = -1

    def add(self, intercept: Array, slope: Array) -> None:
        """Append cuts, shapes ``(k,)`` and ``(k, d)``."""
        count, width = intercept.size, self._entries.size
        values = np.ones((count, width))
        values[:, :-1] = -(slope @ self._stage.carry[:, self._touched])
        self._model.addRows(
            count,
            np.full(count, -np.inf),
            intercept + slope @ self._stage.offset,
            count * width,
            np.arange(count, dtype=np.int32) * width,
            np.tile(self._entries, count),
            values.ravel(),
        )
        self._intercept = np.concatenate([self._intercept, intercept])
        self._slope = np.concatenate([self._slope, slope])

    def keep(self, count: int) -> None:
        """Drop all cuts but the first ones."""
        extra = self._intercept.size - count
        if extra > 0:
            first = self._rows + count
            self._model.deleteRows(extra, np.arange(first, first + extra, dtype=np.int32))
            self._intercept, self._slope = self._intercept[:count], self._slope[:count]

    def solve(self, state: Array | None, epoch: int) -> tuple[Array, tuple[Array, float, Array, float]]:
        """Solve for a state, shape ``(dimensions,)``; warm if it was solved before in this ``epoch``.

        Parameters
        ----------
        state
            None leaves it free between its bounds.

        Returns
        -------
        columns
            Optimal values.
        duals
            Of the rows; intercept and slope of the cuts weighted by their duals, and the sum of these.

        Raises
        ------
        SolverError
            If there is no optimum; the message names stage and state.
        """
        if self._fixed.size and state is not None:
            self._model.changeColsBounds(self._fixed.size, self._fixed, state, state)
        if epoch != self._epoch:
            self._model.clearSolver()
            self._epoch = epoch
        try:
            optimise(self._model, self._name)
        except InfeasibleError as error:
            raise InfeasibleError(str(error), self._conflict) from None
        solution = self._model.getSolution()
        dual = np.asarray(solution.row_dual)
        cuts = np.maximum(dual[self._rows :], 0.0)
        total = float(cuts.sum())
        if total > 1.0 - _NEARLY:  # θ is free: but for tolerances they sum to 1, and its ceiling may be large
            cuts /= total
            total = 1.0
        rows = np.clip(dual[: self._rows], self._least, self._most)
        return np.asarray(solution.col_value), (rows, float(cuts @ self._intercept), cuts @ self._slope, total)

    def _conflict(self) -> str | None:
        """Rows that cannot be kept together."""
        found = conflict_in(self._model)
        rows = () if found is None else found[0][found[0] < self._rows].tolist()
        return f"what cannot be kept: {', '.join(self._stage.names[r] for r in rows)}" if rows else None

    def duals(self, state: Array | None, epoch: int) -> tuple[Array, float, Array, float]:
        """Duals of `solve`; where it fails they are 0, which bound the value too: all columns at their best."""
        try:
            return self.solve(state, epoch)[1]
        except SolverError:
            return np.zeros(self._rows), 0.0, np.zeros(self._stage.leaving), 0.0
