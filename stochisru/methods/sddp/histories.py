"""What a plan of cuts is worth over all histories of a lattice, where they are few: a sharp lower bound.

The plan is followed along every history, a program for every node of the unfolded lattice. So its value in the nested
measure of the run is known but for the solver's tolerances, which are taken off.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from scenario_trees.arrays import Array
from scenario_trees.lattice import MarkovLattice
from stochisru.errors import SolverError
from stochisru.methods.risk import Nested
from stochisru.methods.sddp.engine import Engine

#: Nodes of the unfolded lattice up to which histories are few: some tenths of a second.
MOST_HISTORIES = 3000
#: Allowance for the solver's tolerance, per unit of money.
_SLACK = 1e-8
#: Most by which a plan may break a row; its price is taken off.
_BROKEN = 1e-6


def histories(lattice: MarkovLattice, neutral: bool) -> int:
    """Nodes of the unfolded lattice, `MOST_HISTORIES` + 1 where there are more.

    Parameters
    ----------
    neutral
        Whether states that cannot follow do not matter; a measure may give them weight.
    """
    total, here = 1, np.ones(1)
    for matrix in lattice.transitions:
        here = here @ (matrix > 0) if neutral else np.full(matrix.shape[1], here.sum())
        total += here.sum()
        if total > MOST_HISTORIES:
            return MOST_HISTORIES + 1
    return int(total)


def history_bound(engine: Engine, until: float | None = None) -> float:
    """Value at the root of the plan that the cuts of an engine are, $, as worth; −∞ where it breaks a row.

    Parameters
    ----------
    until
        Time (`time.monotonic`) at which it is left; the value is −∞ then.
    """
    engine.begin()
    try:
        return _Walk(engine, until).worth(0, 0, np.empty(0))
    except (SolverError, TimeoutError):
        return -np.inf


class _Walk:
    """The plan from a node on."""

    def __init__(self, engine: Engine, until: float | None) -> None:
        self._engine, self._until = engine, until
        self._programs: Any = engine.programs
        self._nested = Nested(engine.risk, engine.programs.lattice)
        self._neutral = engine.risk.neutral
        self._at = [[stage.at(i) for i in range(n)] for stage, n in zip(self._stages, self._sizes, strict=True)]

    @property
    def _stages(self) -> Any:
        return self._programs.stages

    @property
    def _sizes(self) -> Any:
        return self._programs.lattice.sizes

    def worth(self, t: int, i: int, state: Array) -> float:
        """Worth from state ``i`` of stage ``t`` on, $ of year 0."""
        if self._until is not None and time.monotonic() >= self._until:
            raise TimeoutError
        stage, program = self._stages[t], self._at[t][i]
        columns, (rows, *_) = self._engine.model(t, i).solve(state, self._engine.epoch)
        columns = np.clip(columns, program.lower, program.upper)
        columns[stage.state] = state
        broken = program.broken(columns)
        if max(broken.max(initial=0.0), columns[stage.slack].max(initial=0.0)) > _BROKEN:
            return -np.inf
        cash = program.cash(columns, stage.theta)
        cash -= np.abs(rows) @ broken + _SLACK * (1 + abs(cash))
        here = float(cash) * float(stage.money)
        if t == self._programs.horizon:
            return here
        chance, left = self._programs.lattice.transitions[t][i], stage.left(columns)
        follow = [self.worth(t + 1, j, left) if not self._neutral or p > 0 else 0.0 for j, p in enumerate(chance)]
        later = np.array(follow)
        if not np.isfinite(later).all():
            return -np.inf
        expected = chance @ later if self._neutral else self._nested.worth(t, later)[i]
        return here + float(expected)
