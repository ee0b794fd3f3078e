"""Whether a problem on a lattice has a plan at all.

What may be missing in rows is bought at a price (`stochisru.programs.stage.Stage.slack`), so the programs of a problem
without a plan have solutions as others have. The expectation of what is missing is itself the value of a problem on the
lattice, that in which nothing else costs anything. SDDP bounds it from below: where that bound is above 0, every plan
breaks a row somewhere.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from scenario_trees.arrays import Array
from scenario_trees.lattice import MarkovLattice
from stochisru.errors import InfeasibleError
from stochisru.methods.risk import Expectation
from stochisru.methods.sddp.engine import Engine
from stochisru.methods.sddp.trials import Trials
from stochisru.programs.stage import Stage
from stochisru.protocols import StagePrograms

#: Iterations in which what is missing is to be found.
_ITERATIONS = 5
#: Least that counts as missing, coefficients being near 1.
_SOME = 1e-6
#: Paths on which rows are looked for.
_PATHS = 20


@dataclass(frozen=True, eq=False)
class LeastMissing:
    """The programs of a problem with nothing to pay but one unit for each that is missing in a row."""

    programs: StagePrograms[Any]

    @property
    def lattice(self) -> MarkovLattice:
        """The lattice."""
        return self.programs.lattice

    @property
    def horizon(self) -> int:
        """Last stage."""
        return self.programs.horizon

    @cached_property
    def stages(self) -> tuple[Stage, ...]:
        """Programs of all stages."""
        return tuple(_unpaid(stage, last=stage.year == self.horizon) for stage in self.programs.stages)

    def root(self, columns: Array) -> Array:
        """What is decided at the root."""
        return self.programs.root(columns)

    def spread(self, t: int, place: Array, store: Array) -> Array:
        """States leaving stage t that are spread over their range."""
        return self.programs.spread(t, place, store)


def _unpaid(stage: Stage, last: bool) -> Stage:
    cost = np.zeros((1, stage.columns))
    cost[:, stage.slack], cost[:, stage.theta] = -1.0, 1.0
    none = np.zeros_like(stage.ceiling)
    return replace(stage, money=1.0, cost=cost, constant=np.zeros(1), ceiling=none, factor=0.0 if last else 1.0)


def require_a_plan(programs: StagePrograms[Any], seed: int, until: float | None = None) -> None:
    """Raise `InfeasibleError` where every plan is proven to break a row; the message names rows.

    Parameters
    ----------
    until
        Time (`time.monotonic`) at which it is to be over, proven or not.
    """
    if all(stage.slack.start == stage.slack.stop for stage in programs.stages):
        return
    least: Any = LeastMissing(programs)  # all that engine and trials ask of stage programs
    engine, trials = Engine(least, Expectation()), Trials(least, seed)
    for number in range(_ITERATIONS):
        if until is not None and time.monotonic() >= until:
            return
        engine.absorb(trials.rows(engine, number, 0, 1, until))
        missing = -engine.root()[0]
        if missing > _SOME:
            raise InfeasibleError(f"every plan breaks a row on the lattice, the best one breaks {_broken(engine)}")


def _broken(engine: Engine) -> str:
    """Rows in which most is missing on some paths of the lattice."""
    stages, lattice = engine.programs.stages, engine.programs.lattice
    uniforms = np.random.default_rng(0).uniform(size=(len(stages) - 1, _PATHS))
    found: dict[str, float] = {}
    for path in lattice.walk(uniforms).T:
        states = [np.empty(0), *engine.forward(path)]
        for stage, i, state in zip(stages, path, states, strict=True):
            columns, _ = engine.model(stage.year, int(i)).solve(state, engine.epoch)
            for k in np.flatnonzero(columns[stage.slack] > _SOME):
                row = int(np.flatnonzero(stage.at(int(i)).rows[:, stage.slack.start + k])[0])
                found[stage.names[row]] = found.get(stage.names[row], 0.0) + columns[stage.slack][k]
    worst = sorted(found, key=lambda name: -found[name])[:2]
    return " and ".join(worst) or "one that is seldom met"
