"""Operations of a year on given paths, where they are carried over: what leaves the store as it is meant to be.

Of all operations that keep the rows of the year, those are taken that leave each state nearest to the level aimed at,
and of these the best for the cash of the year. They look at nothing later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from scenario_trees.arrays import Array, Index
from stochisru.errors import InfeasibleError
from stochisru.problem.bounds import said_bounds
from stochisru.problem.information import Recourse
from stochisru.problem.model import Model
from stochisru.problem.on_tree import program_of
from stochisru.problem.paths import Paths
from stochisru.problem.sheet import Sheet
from stochisru.programs.sparse import LinearProgram, ProgramBuilder, solve

#: A level is met if it is missed by no more than this share of it.
_MET = 1e-9
#: Columns of a year, where they are in its program, and the level aimed at.
_Aim = tuple[Index, Array]


class Operating:
    """Operations year by year on paths.

    Parameters
    ----------
    model
        The problem, its decisions without lots, curves and fixed costs: operations do not see what those cost.
    """

    def __init__(self, model: Model, paths: Paths) -> None:
        self._model, self._paths = model, len(paths)
        self._sheet = Sheet(model, paths.fan(), Recourse())
        # No bounds but those that parts say: a policy may decide on more than is ever best.
        bounds = {part.name: said_bounds(self._sheet, part) for part in model.columns}
        self._program = program_of(self._sheet, bounds).program
        self._rows = self._program.matrix.tocsr()
        self._there = self._rows.copy()
        self._there.data[:] = 1.0
        self._known = np.full(self._program.objective.size, np.nan)

    def _columns(self, name: str, year: int) -> Index:
        here = self._sheet.places[name].at(year)
        return self._program.columns[name].start + np.arange(here.start, here.stop)

    def year(self, t: int, amounts: Mapping[str, Array], levels: Mapping[str, Array]) -> dict[str, Array]:
        """Operations of a year by name, each of shape ``(paths,)``.

        On a path where none keep the rows they are some that break them least.

        Parameters
        ----------
        amounts
            All that is known by now, shape ``(T + 1, paths)`` each, NaN where it is not.
        levels
            Level of each state at the end of the year that is aimed at, shape ``(paths,)`` each.
        """
        for name, values in amounts.items():
            for year in self._model.years:
                if not np.isnan(values[year]).any():
                    at = self._columns(name, year)
                    self._known[at] = values[year] if at.size == self._paths else values[year, 0]
        names = [part.name for part in (*self._model.operations, *self._model.states)]
        new = np.unique(np.concatenate([self._columns(name, t) for name in names]))
        new = new[np.isnan(self._known[new])]
        if new.size:
            aims = [(self._columns(name, t), level) for name, level in levels.items()]
            aims = [(np.searchsorted(new, at), level[: at.size]) for at, level in aims if np.isin(at, new).all()]
            self._known[new] = _best(self._of_year(new), aims)
        return {
            part.name: np.broadcast_to(self._known[self._columns(part.name, t)], (self._paths,)).copy()
            for part in self._model.operations
        }

    def _of_year(self, new: Index) -> LinearProgram:
        """The program of columns that are not known yet, in all rows in which no others are open."""
        whole = self._program
        mine = np.zeros(whole.objective.size)
        mine[new] = 1.0
        later = np.isnan(self._known) & (mine == 0)
        rows = np.flatnonzero((self._there @ mine > 0) & (self._there @ later.astype(float) == 0))
        given = self._rows[rows] @ np.where(np.isnan(self._known), 0.0, self._known)
        part = self._rows[rows][:, new].tocoo()
        row, column = (c.astype(np.int64) for c in part.coords)
        builder = ProgramBuilder(f"a year of {whole.name}", whole.sense)
        builder.variables(
            "year", new.size, lower=whole.lower[new], upper=whole.upper[new], objective=whole.objective[new]
        )
        builder.rows("rows", whole.row_lower[rows] - given, whole.row_upper[rows] - given, (row, column, part.data))
        return builder.build()


def _best(program: LinearProgram, aims: Sequence[_Aim]) -> Array:
    """The best columns of those that come nearest to the levels."""
    try:
        return _nearest(program, aims)
    except InfeasibleError:
        return _nearest(_relaxed(program), aims)


def _nearest(program: LinearProgram, aims: Sequence[_Aim]) -> Array:
    """The same where there are any that keep the rows."""
    builder = ProgramBuilder.extending(program)
    off = []
    for k, (at, level) in enumerate(aims):
        above, below = (
            builder.variables(f"{side} {k}", at.size, lower=0.0, upper=np.inf) for side in ("above", "below")
        )
        every = np.arange(at.size)
        terms = (every, at, 1.0), (every, above.index, -1.0), (every, below.index, 1.0)
        builder.rows(f"level {k}", level, level, *terms)
        off += [above.index, below.index]
    lower, upper = program.lower.copy(), program.upper.copy()
    if off:
        x = _least(builder.build(), np.concatenate(off))
        for at, level in aims:
            met = np.abs(x[at] - level) <= _MET * np.maximum(np.abs(level), 1.0)
            lower[at] = upper[at] = np.clip(np.where(met, level, x[at]), program.lower[at], program.upper[at])
    return solve(program.with_bounds(lower, upper)).x


def _relaxed(program: LinearProgram) -> LinearProgram:
    """The program, its rows as wide as they must be for any solution."""
    builder, every = ProgramBuilder.extending(program), np.arange(program.row_lower.size)
    missing = []
    for side in (1.0, -1.0):
        block = builder.variables(f"missing {side:+g}", every.size, lower=0.0, upper=np.inf)
        builder.add_terms(every, block.index, side)
        missing.append(block.index)
    x = _least(builder.build(), np.concatenate(missing))
    activity = program.matrix @ x[: program.objective.size]
    low, high = np.minimum(program.row_lower, activity), np.maximum(program.row_upper, activity)
    return replace(program, row_lower=low, row_upper=high)


def _least(program: LinearProgram, columns: Index) -> Array:
    """Where the sum of some columns is least."""
    objective = np.zeros(program.objective.size)
    objective[columns] = 1.0
    return solve(replace(program, sense="minimise", objective=objective)).x
