"""Stage programs in HiGHS, and the two passes of SDDP over them.

Duals of a degenerate program depend on the basis that its solver starts from. So that a pass gives the same cuts
whatever its process did before, every program starts each pass from the basis of slacks; within the pass it is warm.
With so few columns the start from slacks costs little (measured: 0.10 ms against 0.08 ms).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from scenario_trees.arrays import Array, Index
from stochisru.methods.sddp.cuts import CutLayout, CutPool
from stochisru.programs.solvers.highs import new_model, optimise
from stochisru.programs.stage import Duals, Stage
from stochisru.protocols import RiskMeasure, StagePrograms

#: Feasibility tolerances of HiGHS; quantities and money are near 1.
_TOLERANCE = 1e-9


def small_model() -> Any:
    """An empty HiGHS model for a program of few columns that is near 1 already."""
    model = new_model()
    for option, value in (
        ("presolve", "off"),
        ("simplex_scale_strategy", 0),
        ("primal_feasibility_tolerance", _TOLERANCE),
        ("dual_feasibility_tolerance", _TOLERANCE),
    ):
        model.setOptionValue(option, value)
    return model


class StageModel:
    """The program of one state of a stage in HiGHS, with its cuts."""

    def __init__(self, stage: Stage, state: int) -> None:
        import highspy

        self._stage = stage
        self._name = f"stage {stage.year}, state {state}"
        self._model = small_model()
        columns = stage.cost.size
        lower, upper = np.zeros(columns), stage.upper.copy()
        lower[stage.theta], upper[stage.theta] = -np.inf, stage.ceiling[state]
        row, column = np.nonzero(stage.rows)
        lp = highspy.HighsLp()
        lp.num_row_, lp.num_col_ = 2, columns
        lp.sense_ = highspy.ObjSense.kMaximize
        lp.col_cost_, lp.col_lower_, lp.col_upper_ = stage.cost, lower, upper
        lp.row_lower_ = np.array([-np.inf, stage.demand[state]])
        lp.row_upper_ = np.array([stage.supply, stage.demand[state]])
        lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        lp.a_matrix_.start_ = np.searchsorted(row, np.arange(3)).astype(np.int32)
        lp.a_matrix_.index_, lp.a_matrix_.value_ = column.astype(np.int32), stage.rows[row, column]
        self._model.passModel(lp)
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
            self._model.deleteRows(extra, np.arange(2 + count, 2 + count + extra, dtype=np.int32))
            self._intercept, self._slope = self._intercept[:count], self._slope[:count]

    def solve(self, state: Array, epoch: int) -> tuple[Array, tuple[float, float, float, Array, float]]:
        """Solve for a state, shape ``(dimensions,)``; warm if it was solved before in this ``epoch``.

        Returns
        -------
        columns
            Optimal values.
        duals
            Of capacity and demand; intercept and slope of the cuts weighted by their duals, and the sum of these.

        Raises
        ------
        SolverError
            If there is no optimum; the message names stage and state.
        """
        if self._fixed.size:
            self._model.changeColsBounds(self._fixed.size, self._fixed, state, state)
        if epoch != self._epoch:
            self._model.clearSolver()
            self._epoch = epoch
        optimise(self._model, self._name)
        solution = self._model.getSolution()
        dual = np.asarray(solution.row_dual)
        cuts = np.maximum(dual[2:], 0.0)
        total = float(cuts.sum())
        if total > 1.0:  # rounding: θ has no lower bound to charge it to
            cuts /= total
            total = 1.0
        found = max(float(dual[0]), 0.0), float(dual[1]), float(cuts @ self._intercept), cuts @ self._slope, total
        return np.asarray(solution.col_value), found


class Engine:
    """All programs of a lattice, made when they are first needed, with the cuts of a pool.

    What it does depends on the rows that it has absorbed only.
    """

    def __init__(self, programs: StagePrograms[Any], risk: RiskMeasure) -> None:
        self.programs = programs
        self.risk = risk
        self.layout = CutLayout(programs)
        self.pool = CutPool(self.layout)
        self.version = 0
        #: Rows of the pool that the program of each stage and state holds, ascending.
        self.kept: list[list[Index]] = [[np.empty(0, dtype=np.int64)] * n for n, _ in self.layout.shapes]
        self._models: dict[tuple[int, int], StageModel] = {}
        self._epoch = 0

    def begin(self) -> None:
        """Forget all bases: what follows does not depend on what was solved before."""
        self._epoch += 1

    def absorb(self, rows: Array) -> None:
        """Take the cuts of one iteration, and drop what is dominated."""
        self.pool.append(rows)
        self.kept = self.pool.select()
        self.version += 1
        for (t, i), model in self._models.items():
            model.keep(0)
            self._load(model, t, i)

    def _load(self, model: StageModel, t: int, i: int) -> None:
        if t < self.programs.horizon:
            intercept, slope, _ = self.pool.of(t)
            rows = self.kept[t][i]
            model.add(intercept[rows, i], slope[rows, i])

    def model(self, t: int, i: int) -> StageModel:
        """Program of a state."""
        found = self._models.get((t, i))
        if found is None:
            found = self._models[t, i] = StageModel(self.programs.stages[t], i)
            self._load(found, t, i)
        return found

    def values(self, t: int, state: Array) -> tuple[Array, Array]:
        """Affine bounds from above on the values of all states of stage t, tight at ``state``; see `Stage.bound`."""
        solved = [self.model(t, i).solve(state, self._epoch)[1] for i in range(self.programs.lattice.sizes[t])]
        capacity, demand, intercept, slope, weight = (np.array(part) for part in zip(*solved, strict=True))
        return self.programs.stages[t].bound(Duals(capacity, demand, intercept, slope, weight))

    def root(self) -> tuple[float, Array]:
        """Upper bound, $, and deployments at the root, kg."""
        self.begin()
        intercept, _ = self.values(0, np.empty(0))
        columns, _ = self.model(0, 0).solve(np.empty(0), self._epoch)
        stage = self.programs.stages[0]
        return float(intercept[0]) * stage.money, np.maximum(columns[: stage.theta], 0.0) * stage.mass

    def forward(self, states: Sequence[int]) -> list[Array]:
        """States that the policy passes on a path of the lattice: those leaving stages 0..T−1."""
        found = []
        state = np.empty(0)
        for stage, i in zip(self.programs.stages[:-1], states, strict=False):
            columns, _ = self.model(stage.year, i).solve(state, self._epoch)
            state = np.maximum(stage.carry @ columns + stage.offset, 0.0)
            found.append(state)
        return found

    def backward(self, points: Sequence[Array]) -> Array:
        """Cuts of every stage at its trial points, the later stages' already used for the earlier.

        Parameters
        ----------
        points
            Trial points of the states leaving stages 0..T−1, shapes ``(k, d)``.

        Returns
        -------
        numpy.ndarray
            Rows for the pool, shape ``(k, length)``.
        """
        rows = np.empty((points[0].shape[0], self.layout.length))
        for t in range(self.programs.horizon - 1, -1, -1):
            intercept, slope, point = self.layout.split(rows, t)
            transition, factor = self.programs.lattice.transitions[t], self.programs.stages[t].factor
            point[:] = points[t]
            for k, x in enumerate(points[t]):
                later_intercept, later_slope = self.values(t + 1, x)
                weights = factor * self.risk.weights(transition, later_intercept + later_slope @ x)
                # einsum, not BLAS: the sums must not depend on the number of threads.
                intercept[k] = np.einsum("ij,j->i", weights, later_intercept)
                slope[k] = np.einsum("ij,jd->id", weights, later_slope)
            for i in range(intercept.shape[1] if t else 0):
                self.model(t, i).add(intercept[:, i], slope[:, i])
        for (t, i), model in self._models.items():
            if 0 < t < self.programs.horizon:
                model.keep(self.kept[t][i].size)
        return rows
