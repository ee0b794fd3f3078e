"""The numbers of a model at every state of a Markov lattice, as `StageNumbers` has them of the nodes of a tree."""

from __future__ import annotations

from typing import Any

import numpy as np

from scenario_trees.lattice import MarkovLattice
from stochisru.errors import InputError
from stochisru.exchange.staged import StageNumbers
from stochisru.problem.model import Model
from stochisru.problem.on_lattice import Key, ModelStages
from stochisru.programs.names import plain_word


def on_states(problem: Any, lattice: MarkovLattice) -> tuple[Model, tuple[StageNumbers, ...]]:
    """The model of a problem on a lattice, and its numbers at every stage, state by state.

    Parameters
    ----------
    problem
        A case or a `Model` with linear costs.

    Raises
    ------
    InputError
        If problem and lattice do not match, or the problem has lots, curves or fixed costs.
    """
    model = _model_on(problem, lattice)
    stages = ModelStages(model, lattice)
    place = {key: (stage, j) for stage, keys in enumerate(stages.decided) for j, key in enumerate(keys)}
    return model, tuple(_numbers(stages, stage, place) for stage in model.years)


def _model_on(problem: Any, lattice: MarkovLattice) -> Model:
    """The model; a case with tables states bounds that hold on the lattice."""
    if isinstance(problem, Model):
        model = problem
    elif hasattr(problem, "model_on"):
        model = problem.model_on(lattice)
    elif hasattr(problem, "model"):
        model = problem.model
    else:
        raise InputError(f"problem: must be a case or a Model, got {type(problem).__name__}")
    model.require_neutral("a lattice")
    return model


def _numbers(stages: ModelStages, stage: int, place: dict[Key, tuple[int, int]]) -> StageNumbers:
    sheet, sign = stages.sheet, stages.sign
    count, keys, rows = stages.lattice.sizes[stage], stages.decided[stage], stages.stated[stage]
    cost, lower, upper = np.zeros((3, count, len(keys)))
    for j, key in enumerate(keys):
        cost[:, j] = sign * np.asarray(sheet.expected(sheet.worth[key[0]][key[1]], key[1], stage))
        lower[:, j], upper[:, j] = stages.bounds(key)
    low, high = np.zeros((2, count, len(rows)))
    entries: list[tuple[int, int, int]] = []
    values = []
    for i, row in enumerate(rows):
        low[:, i], high[:, i] = row.low, row.high
        for key, number in row.terms.items():
            entries.append((i, *place[key]))
            values.append(np.broadcast_to(number, count))
    at = np.array(entries, dtype=np.int64).reshape(-1, 3)
    return StageNumbers(
        tuple(f"{plain_word(name)}(y{year})" for name, year in keys),
        tuple(f"{plain_word(row.rule)}(y{row.year})" for row in rows),
        cost,
        lower,
        upper,
        np.zeros(len(keys), dtype=bool),
        low,
        high,
        at[:, 0],
        at[:, 1],
        at[:, 2],
        np.stack(values, axis=1) if values else np.zeros((count, 0)),
    )
