"""Sparse linear and mixed-integer programs assembled from blocks of variables and rows.

A `ProgramBuilder` collects blocks as arrays; `LinearProgram` is the immutable result in the sense of the
problem (here: maximise), handed to a solver of `stochisru.programs.solvers`. `dual_bound` turns any row duals into a
bound that is valid whatever the solver's tolerances, because every variable is bounded.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike

from scenario_trees.arrays import Array, Index, Mask
from scenario_trees.files import replacing
from stochisru.errors import InputError, SolverError
from stochisru.limits import Limit
from stochisru.programs.effort import SolverLimits

if TYPE_CHECKING:
    from scipy.sparse import csc_array

Sense = Literal["maximise", "minimise"]

#: A row or a bound may be missed by this share of its terms, and of what counts as 1 in it. Solvers promise 1e-6 or
#: better of the latter, in the scale in which they are handed a program.
FEASIBILITY = 2e-6


@dataclass(frozen=True)
class Block:
    """A named range of columns or rows.

    Attributes
    ----------
    years
        Year of each, for messages; None where they have none.
    """

    name: str
    start: int
    size: int
    years: Index | None = field(default=None, compare=False, repr=False)

    @property
    def span(self) -> slice:
        """The block as a slice."""
        return slice(self.start, self.start + self.size)

    @property
    def index(self) -> Index:
        """Numbers of the block's columns or rows."""
        return np.arange(self.start, self.start + self.size)


@dataclass(frozen=True, eq=False)
class LinearProgram:
    """``sense cᵀx + constant`` subject to ``row_lower ≤ A x ≤ row_upper``, ``lower ≤ x ≤ upper``."""

    name: str
    sense: Sense
    objective: Array
    constant: float
    lower: Array
    upper: Array
    integer: Mask
    matrix: csc_array
    row_lower: Array
    row_upper: Array
    columns: dict[str, Block]
    rows: dict[str, Block]

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of rows and columns."""
        return self.row_lower.size, self.objective.size

    def dual_bound(self, row_dual: Array, objective: Array | None = None) -> float:
        """Bound on the optimal value that holds for any row duals (weak duality; Neumaier and Shcherbina 2004).

        ``objective`` replaces the program's own, as in a Lagrangian.

        For maximisation ``c'x ≤ Σ_i sup(y_i a_i) + Σ_j sup(d_j x_j)`` with ``d = c − Aᵀy``, each supremum over
        its own bounds; duals that would meet an infinite bound of a row are set to zero. An allowance for rounding
        in ``d`` and in the sums is added. The bound is infinite if a variable that matters has none.
        """
        sign = 1.0 if self.sense == "maximise" else -1.0
        y = sign * row_dual
        y = np.where((y > 0) & np.isinf(self.row_upper), 0.0, y)
        y = np.where((y < 0) & np.isinf(self.row_lower), 0.0, y)
        cost = sign * (self.objective if objective is None else objective)
        reduced = cost - self.matrix.T @ y
        eps = np.finfo(float).eps
        blur = 16 * eps * (np.abs(cost) + abs(self.matrix).T @ np.abs(y))
        with np.errstate(invalid="ignore"):
            rows = np.where(y > 0, y * self.row_upper, np.where(y < 0, y * self.row_lower, 0.0))
            # d is known up to blur: d·x + blur·|x| is convex in x, so its supremum is at a bound.
            ends = [(reduced * np.sign(x) + blur) * np.abs(x) for x in (self.lower, self.upper)]
        cols = np.maximum(*(np.where(np.isnan(end), 0.0, end) for end in ends))  # 0 · ∞: the variable does not matter
        bound = rows.sum() + cols.sum() + sign * self.constant
        magnitude = np.abs(rows).sum() + np.abs(cols).sum() + abs(self.constant)
        return float(sign * (bound + 64 * eps * magnitude))

    def require_feasible(self, x: Array, column_unit: Array | float = 1.0, row_unit: Array | float = 1.0) -> None:
        """Check a point against the program as it was stated, whatever a solver was handed and made of it.

        Parameters
        ----------
        x
            Values of all variables, ``(columns,)``.
        column_unit, row_unit
            What counts as 1 in each column, ``(columns,)``, and in each row, ``(rows,)``: the units of the scale in
            which a solver has worked.

        Raises
        ------
        SolverError
            If a row, a bound or a whole number is missed by more than `FEASIBILITY`; the message names the block.
        """
        terms = abs(self.matrix) @ np.abs(x)
        activity = self.matrix @ x
        checks = (
            (self.rows, "row", activity, self.row_lower, self.row_upper, terms, row_unit),
            (self.columns, "variable", x, self.lower, self.upper, np.abs(x), column_unit),
            (self.columns, "whole number", x, *(np.where(self.integer, np.rint(x), x),) * 2, np.abs(x), 1.0),
        )
        for blocks, kind, value, low, high, size, unit in checks:
            excess = np.maximum(low - value, value - high)
            # ~(a <= b) also finds what is not a number.
            missed = np.flatnonzero(~(excess <= FEASIBILITY * (size + unit)))
            if missed.size:
                worst = int(missed[np.argmax(excess[missed] / (size + unit)[missed])])
                block = next(b for b in blocks.values() if b.start <= worst < b.start + b.size)
                raise SolverError(
                    f"{self.name}: the solver's point breaks {missed.size:,} of the program's conditions, {kind} "
                    f"{worst - block.start} of {block.name!r} by {excess[worst]:.3g}, its terms being "
                    f"{size[worst]:.3g}; are its numbers too far apart?"
                )

    def value(self, x: Array) -> float:
        """Value of the objective at a point."""
        return float(self.objective @ x + self.constant)

    def with_bounds(self, lower: Array, upper: Array) -> LinearProgram:
        """The same program with other bounds on its variables."""
        return replace(self, lower=lower, upper=upper)

    def write(self, path: str | os.PathLike[str], names: tuple[Sequence[str], Sequence[str]] | None = None) -> Path:
        """Export to an ``.mps`` or ``.lp`` file, chosen by the suffix.

        Parameters
        ----------
        names
            Of all columns and of all rows; those of the blocks, with numbers, if not given.
        """
        from stochisru.programs.solvers.highs import write_program

        target = Path(path)
        if target.suffix not in (".mps", ".lp"):
            raise InputError(f"path: must end in .mps or .lp, got {target.name!r}")
        with replacing(target) as part:
            write_program(self, part, names)
        return target


def _new(name: str, blocks: dict[str, Block]) -> None:
    """Refuse a second block of one name: the first could not be read from a solution any more."""
    if name in blocks:
        raise InputError(f"name: must be new in the program, {name!r} is there already")


@dataclass
class ProgramBuilder:
    """Collects the blocks of a program.

    Examples
    --------
    >>> import numpy as np
    >>> builder = ProgramBuilder("knapsack", "maximise")
    >>> x = builder.variables("x", 2, lower=0, upper=[1, 2], objective=[3, 2])
    >>> weight = builder.rows("weight", -np.inf, 2.5, (np.zeros(2, int), x.index, np.ones(2)))
    >>> builder.build().shape
    (1, 2)
    """

    name: str
    sense: Sense
    constant: float = 0.0
    _columns: dict[str, Block] = field(default_factory=dict)
    _rows: dict[str, Block] = field(default_factory=dict)
    _column_data: list[tuple[Array, Array, Array, Mask]] = field(default_factory=list)
    _row_data: list[tuple[Array, Array]] = field(default_factory=list)
    _entries: list[tuple[Index, Index, Array]] = field(default_factory=list)
    _objective_entries: list[tuple[Index, Array]] = field(default_factory=list)
    _n_columns: int = 0
    _n_rows: int = 0

    @classmethod
    def extending(cls, program: LinearProgram) -> ProgramBuilder:
        """A builder that holds all of a program already: what is added comes after its columns and rows."""
        matrix = program.matrix.tocoo()
        row, column = (c.astype(np.int64) for c in matrix.coords)
        return cls(
            program.name,
            program.sense,
            program.constant,
            _columns=dict(program.columns),
            _rows=dict(program.rows),
            _column_data=[(program.lower, program.upper, program.objective, program.integer)],
            _row_data=[(program.row_lower, program.row_upper)],
            _entries=[(row, column, matrix.data)],
            _n_columns=program.objective.size,
            _n_rows=program.row_lower.size,
        )

    @property
    def columns(self) -> int:
        """Number of columns so far."""
        return self._n_columns

    def variables(
        self,
        name: str,
        size: int,
        *,
        lower: ArrayLike,
        upper: ArrayLike,
        objective: ArrayLike = 0.0,
        integer: bool | Mask = False,
        years: Index | None = None,
    ) -> Block:
        """Add a block of variables; bounds, objective and ``integer`` broadcast to ``size``."""
        _new(name, self._columns)
        block = Block(name, self._n_columns, size, years)
        self._columns[name] = block
        self._n_columns += size
        low, high, cost = (np.broadcast_to(np.asarray(a, float), (size,)) for a in (lower, upper, objective))
        self._column_data.append((low, high, cost, np.broadcast_to(np.asarray(integer, bool), (size,))))
        return block

    def add_objective(self, column: Index, coefficient: ArrayLike) -> None:
        """Add to the objective of columns that are there already; repeated columns add up."""
        self._objective_entries.append((column, np.broadcast_to(np.asarray(coefficient, float), column.shape)))

    def bounds(self, column: Index) -> tuple[Array, Array]:
        """Lower and upper bounds of columns that are there already."""
        low, high, _, _ = (np.concatenate(list(parts)) for parts in zip(*self._column_data, strict=True))
        return low[column], high[column]

    def rows(
        self,
        name: str,
        lower: ArrayLike,
        upper: ArrayLike,
        *terms: tuple[Index, Index, ArrayLike],
        years: Index | None = None,
    ) -> Block:
        """Add rows; every term is (row within the block, column, coefficient), coefficients broadcasting."""
        low, high = np.broadcast_arrays(np.atleast_1d(np.asarray(lower, float)), np.asarray(upper, float))
        _new(name, self._rows)
        block = Block(name, self._n_rows, low.size, years)
        self._rows[name] = block
        self._n_rows += low.size
        self._row_data.append((low, high))
        for row, column, coefficient in terms:
            data = np.broadcast_to(np.asarray(coefficient, float), row.shape)
            self._entries.append((row + block.start, column, data))
        return block

    def add_terms(self, row: Index, column: Index, coefficient: ArrayLike) -> None:
        """Add to the coefficients of columns in rows that are there already; repeated entries add up."""
        self._entries.append((row, column, np.broadcast_to(np.asarray(coefficient, float), row.shape)))

    def build(self) -> LinearProgram:
        """Assemble the program."""
        from scipy.sparse import coo_array

        low, high, cost, integer = (np.concatenate(list(parts)) for parts in zip(*self._column_data, strict=True))
        for at, coefficient in self._objective_entries:
            np.add.at(cost, at, coefficient)
        none = np.zeros(0)
        row_data = self._row_data or [(none, none)]
        entries = self._entries or [(none.astype(int), none.astype(int), none)]
        row_low, row_high = (np.concatenate(list(parts)) for parts in zip(*row_data, strict=True))
        # Filled in place: large programs are made of few blocks, and each pass over their numbers takes time.
        size = sum(row.size for row, _, _ in entries)
        row, column, data = np.empty(size, np.int32), np.empty(size, np.int32), np.empty(size)
        first = 0
        for rows, columns, numbers in entries:
            here = slice(first, first + rows.size)
            row[here], column[here], data[here] = rows, columns, numbers
            first = here.stop
        matrix = coo_array((data, (row, column)), shape=(self._n_rows, self._n_columns)).tocsc()
        return LinearProgram(
            name=self.name,
            sense=self.sense,
            objective=cost,
            constant=self.constant,
            lower=low,
            upper=high,
            integer=integer,
            matrix=matrix,
            row_lower=row_low,
            row_upper=row_high,
            columns=dict(self._columns),
            rows=dict(self._rows),
        )


@dataclass(frozen=True, eq=False)
class Solution:
    """A solution of a `LinearProgram`: an optimal one of `solve`, the best one found of `solve_mixed`.

    Attributes
    ----------
    objective
        Value of ``x`` in the sense of the program.
    bound
        Bound on the optimum from the other side: `LinearProgram.dual_bound` for a linear program, the
        solver's own bound for an integer one.
    x
        Values of the variables.
    row_dual
        Change of the objective per unit of a row's right-hand side (linear programs only).
    solver
        Name and version.
    limit
        The limit that ended the search before the gap was reached, or None.
    """

    program: LinearProgram
    objective: float
    bound: float
    x: Array
    row_dual: Array
    solver: str
    seconds: float
    limit: Limit | None = None

    def values(self, block: str) -> Array:
        """Values of one block of variables."""
        return self.x[self.program.columns[block].span]

    def duals(self, block: str) -> Array:
        """Duals of one block of rows."""
        return self.row_dual[self.program.rows[block].span]


def solve(program: LinearProgram, solver: str = "highs") -> Solution:
    """Solve a program; see `solve_family` for what is raised."""
    return next(solve_family(program, [(program.lower, program.upper)], solver))


def solve_mixed(
    program: LinearProgram,
    *,
    rel_gap: float,
    time_limit: float | None = None,
    start: Array | None = None,
    cutoff: float | None = None,
    solver: str = "highs",
) -> Solution:
    """Solve a mixed-integer program to a relative gap, or as far as the time limit allows.

    Parameters
    ----------
    rel_gap
        ``|objective − bound| / |objective|`` at which the search ends.
    time_limit
        Seconds; none if not given.
    start
        Values of all variables of a known solution, from which the search goes on; the result is never worse.
    cutoff
        Only solutions better than this are wanted. Far fewer nodes are then left to a proof that there are none, to
        which all time goes: none to heuristics.

    Raises
    ------
    InputError
        If the solver is unknown or not installed, or a number is out of range.
    SolverError
        If the program is infeasible or has no solution better than the cutoff (`InfeasibleError`), is unbounded, or has
        no solution or no bound within the time limit (`TimeLimitError`).
    """
    from stochisru.programs.solvers import solver_named

    limits = SolverLimits(rel_gap, time_limit)
    if cutoff is not None and not np.isfinite(cutoff):
        raise InputError(f"cutoff: must be a finite number, got {cutoff}")
    if start is not None and start.shape != program.objective.shape:
        raise InputError(f"start: must be {program.objective.size} numbers, one per variable, got {start.size}")
    return solver_named(solver).solve_mixed(program, limits, start, cutoff)


def solve_to_gap(
    program: LinearProgram, *, rel_gap: float, time_limit: float | None = None, solver: str = "highs"
) -> Solution:
    """Solve any program: one with whole numbers as `solve_mixed` does, a linear one to its optimum as `solve` does."""
    if program.integer.any():
        return solve_mixed(program, rel_gap=rel_gap, time_limit=time_limit, solver=solver)
    return solve(program, solver)


def solve_family(
    program: LinearProgram, bounds: Iterable[tuple[Array, Array]], solver: str = "highs"
) -> Iterator[Solution]:
    """Solve a program once for each pair of bounds on its variables, warm from the time before.

    Raises
    ------
    InputError
        If the solver is unknown or not installed.
    SolverError
        If the program is infeasible, unbounded, or the solver fails.
    """
    from stochisru.programs.solvers import solver_named

    return solver_named(solver).solve(program, bounds)
