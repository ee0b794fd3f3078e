"""The two passes of SDDP over stage programs.

Duals of a degenerate program depend on the basis that its solver starts from. So that a pass gives the same cuts
whatever its process did before, every program starts each pass from the basis of slacks; within the pass it is warm.
With so few columns the start from slacks costs little (measured: 0.10 ms against 0.08 ms).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from scenario_trees.arrays import Array, Index
from stochisru.methods.risk import Nested
from stochisru.methods.sddp.cuts import CutLayout, CutPool
from stochisru.programs.stage import Duals
from stochisru.programs.stage_model import StageModel
from stochisru.protocols import RiskMeasure, StagePrograms


class Engine:
    """All programs of a lattice, made when they are first needed, with the cuts of a pool.

    What it does depends on the rows that it has absorbed only.
    """

    def __init__(self, programs: StagePrograms[Any], risk: RiskMeasure) -> None:
        self.programs = programs
        self.risk = risk
        self._nested = Nested(risk, programs.lattice)
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

    @property
    def epoch(self) -> int:
        """Number of the pass that goes on."""
        return self._epoch

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
        """Affine bounds from above on the values of all states of stage t, tight at ``state``; see `Stage.bound`.

        A program that fails has a weaker one; see `StageModel.duals`.
        """
        solved = [self.model(t, i).duals(state, self._epoch) for i in range(self.programs.lattice.sizes[t])]
        return self.programs.stages[t].bound(Duals(*(np.array(part) for part in zip(*solved, strict=True))))

    def root(self) -> tuple[float, Array]:
        """Upper bound, $, and what is decided at the root, in the units of the problem.

        Raises
        ------
        SolverError
            If its program fails.
        """
        self.begin()
        intercept, _ = self.values(0, np.empty(0))
        columns, _ = self.model(0, 0).solve(np.empty(0), self._epoch)
        return float(intercept[0]) * self.programs.stages[0].money, self.programs.root(columns)

    def forward(self, states: Sequence[int]) -> list[Array]:
        """States that the policy passes on a path of the lattice: those leaving stages 0..T−1.

        Raises
        ------
        SolverError
            If one of its programs fails.
        """
        found = []
        state = np.empty(0)
        for stage, i in zip(self.programs.stages[:-1], states, strict=False):
            columns, _ = self.model(stage.year, i).solve(state, self._epoch)
            state = stage.left(columns)
            found.append(state)
        return found

    def backward(self, points: Sequence[Array], until: float | None = None) -> Array:
        """Cuts of every stage at its trial points, the later stages' already used for the earlier.

        Where time is over the cuts that are left say no more than the ceiling of their stage.

        Parameters
        ----------
        points
            Trial points of the states leaving stages 0..T−1, shapes ``(k, d)``.
        until
            Time (`time.monotonic`) at which it is to be over.

        Returns
        -------
        numpy.ndarray
            Rows for the pool, shape ``(k, length)``.
        """
        rows = np.empty((points[0].shape[0] if points else 0, self.layout.length))
        for t in range(self.programs.horizon - 1, -1, -1):
            intercept, slope, point = self.layout.split(rows, t)
            factor, money = self.programs.stages[t].factor, self.programs.stages[t + 1].money
            point[:] = points[t]
            intercept[:], slope[:] = self.programs.stages[t].ceiling, 0.0
            for k, x in enumerate(points[t]):
                if until is not None and time.monotonic() >= until:
                    break
                later_intercept, later_slope = self.values(t + 1, x)
                weights, added = self._nested.weights(t, money * (later_intercept + later_slope @ x))
                weights = factor * weights
                # einsum, not BLAS: the sums must not depend on the number of threads.
                intercept[k] = np.einsum("ij,j->i", weights, later_intercept) + factor / money * added
                slope[k] = np.einsum("ij,jd->id", weights, later_slope)
            for i in range(intercept.shape[1] if t else 0):
                self.model(t, i).add(intercept[:, i], slope[:, i])
        for (t, i), model in self._models.items():
            if 0 < t < self.programs.horizon:
                model.keep(self.kept[t][i].size)
        return rows
