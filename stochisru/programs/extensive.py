"""The extensive form: programs of scenarios or nodes joined into one, where what is decided alike has one column.

Every column of every program belongs to an information set, a whole number: columns of one set are one decision and one
column of the joint program; −1 is a column of its own. With weights w_i and the programs
``c_i x_i + k_i, A_i x_i in R_i, x_i in B_i``::

    minimise or maximise  Σ_i w_i (c_i x_i + k_i)
    subject to            A_i x_i in R_i,  x_i in B_i    for every i
                          x_i[j] = x_h[l]                for columns j, l of one information set

There are no copies and no nonanticipativity rows. Rows that say the same of shared columns alone are stated once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from scenario_trees.arrays import Array, Index, Mask
from scenario_trees.tree import ScenarioTree
from stochisru.errors import InputError
from stochisru.programs.sparse import LinearProgram, ProgramBuilder

if TYPE_CHECKING:
    from scipy.sparse import csr_array


@dataclass(frozen=True, eq=False)
class JointProgram:
    """Programs joined into one; see `join`.

    Attributes
    ----------
    program
        The extensive form: the block ``shared``, in the order of the information sets, then what is each program's own.
    columns
        Column in it of every column of each program.
    """

    program: LinearProgram
    columns: tuple[Index, ...]

    def of(self, x: Array, number: int) -> Array:
        """Values of the columns of one program in a solution of the joint one."""
        return x[self.columns[number]]

    def point(self, plans: Sequence[Array]) -> Array:
        """Values of all columns from those of each program; of what is shared, the last program's."""
        x = np.zeros(self.program.shape[1])
        for columns, plan in zip(self.columns, plans, strict=True):
            x[columns] = plan
        return x


def join(
    name: str,
    programs: Sequence[LinearProgram],
    weights: ArrayLike,
    shared: Sequence[ArrayLike],
    names: Sequence[str] | None = None,
) -> JointProgram:
    """Join programs into one that has a column per information set.

    Parameters
    ----------
    programs
        Of one sense. A shared column is a whole number if it is one anywhere, within the bounds of all.
    weights
        What each objective counts, ≥ 0, shape ``(programs,)``.
    shared
        Information set of every column of each program, −1: a column of its own.
    names
        Of the programs' blocks of columns and rows; ``scenario 0``, … if not given.

    Raises
    ------
    InputError
        If senses differ, there is not one weight and one information set per column, a set is below −1 or twice in a
        program, or the bounds of a shared column cross; the message names the column.

    Examples
    --------
    What is ordered at 1 before demand is known, 50 or 100, is sold at 3:

    >>> import numpy as np
    >>> from stochisru.programs.extensive import join
    >>> from stochisru.programs.sparse import ProgramBuilder, solve
    >>> def newsvendor(demand):
    ...     builder = ProgramBuilder("newsvendor", "maximise")
    ...     order = builder.variables("order", 1, lower=0, upper=200, objective=-1)
    ...     sold = builder.variables("sold", 1, lower=0, upper=demand, objective=3)
    ...     first = np.zeros(1, dtype=int)
    ...     builder.rows("there", -np.inf, 0.0, (first, sold.index, 1.0), (first, order.index, -1.0))
    ...     return builder.build()
    >>> joint = join("newsvendor", [newsvendor(50), newsvendor(100)], [0.5, 0.5], [[0, -1]] * 2)
    >>> solution = solve(joint.program)
    >>> joint.program.shape, round(solution.objective, 6), joint.of(solution.x, 0).round(6).tolist()
    ((2, 3), 125.0, [100.0, 50.0])
    """
    names = [f"scenario {i}" for i in range(len(programs))] if names is None else names
    known = [np.asarray(ids) for ids in shared]
    factors = _checked(programs, weights, known, names)
    sets = np.unique(np.concatenate([ids[ids >= 0] for ids in known]))
    columns = [np.where(ids >= 0, np.searchsorted(sets, ids), -1) for ids in known]
    builder = ProgramBuilder(name, programs[0].sense)
    builder.constant = float(sum(w * p.constant for w, p in zip(factors, programs, strict=True)))
    _add_shared(builder, sets.size, programs, factors, columns, names)
    stated = _rows_to_state(programs, columns, sets.size)
    for program, weight, column, block, new in zip(programs, factors, columns, names, stated, strict=True):
        own = np.flatnonzero(column < 0)
        column[own] = builder.variables(
            block, own.size, lower=program.lower[own], upper=program.upper[own],
            objective=weight * program.objective[own], integer=program.integer[own],
        ).index  # fmt: skip
        matrix = program.matrix.tocoo()
        row, entry = (c.astype(np.int64) for c in matrix.coords)
        number, here = np.cumsum(new) - 1, new[row]
        terms = number[row[here]], column[entry[here]], matrix.data[here]
        builder.rows(block, program.row_lower[new], program.row_upper[new], terms)
    return JointProgram(builder.build(), tuple(columns))


def join_scenarios(
    name: str,
    programs: Sequence[LinearProgram],
    probability: ArrayLike,
    shared: Sequence[ArrayLike],
    names: Sequence[str] | None = None,
) -> JointProgram:
    """Join programs of scenarios: the objective is the expectation; see `join`.

    Raises
    ------
    InputError
        As `join`, and if the probabilities do not sum to 1.
    """
    joint = join(name, programs, probability, shared, names)
    total = float(np.sum(probability))
    if abs(total - 1) > 1e-9:
        raise InputError(f"probability: must sum to 1 over the scenarios, got {total:g}")
    return joint


def by_stage(tree: ScenarioTree, stage: ArrayLike) -> Index:
    """Information sets of the programs of a tree's paths, which have the same columns.

    A column that is decided at a stage is one for all paths that have the node of this stage in common. The stage of a
    decision under an information is its `decided_at` (`stochisru.problem.information`).

    Parameters
    ----------
    stage
        Stage at which each column is decided, 0 to T, shape ``(columns,)``; −1: never alike. At stage T every path is
        known.

    Returns
    -------
    numpy.ndarray
        Shape ``(leaves, columns)``.

    Raises
    ------
    InputError
        If a stage is not one of the tree.
    """
    at = np.asarray(stage)
    if at.ndim != 1 or at.dtype.kind not in "iu" or not ((at >= -1) & (at <= tree.horizon)).all():
        raise InputError(f"stage: must be integers from -1 to {tree.horizon}, one per column, got {stage!r}")
    sets = tree.node_paths()[:, at] * at.size + np.arange(at.size)
    return np.where((at >= 0) & (at < tree.horizon), sets, -1)


def _checked(
    programs: Sequence[LinearProgram], weights: ArrayLike, shared: Sequence[Index], names: Sequence[str]
) -> Array:
    """The weights, if everything fits."""
    if not programs or any(p.sense != programs[0].sense for p in programs):
        senses = ", ".join(sorted({p.sense for p in programs})) or "none"
        raise InputError(f"programs: must be at least one, all of one sense, got {senses}")
    factors = np.asarray(weights, dtype=float)
    if factors.shape != (len(programs),) or not (np.isfinite(factors) & (factors >= 0)).all():
        raise InputError(f"weights: must be {len(programs)} finite numbers >= 0, one per program, got {weights!r}")
    if len(shared) != len(programs) or len(names) != len(programs):
        raise InputError(f"shared, names: must be {len(programs)}, one per program, got {len(shared)} and {len(names)}")
    for program, ids, name in zip(programs, shared, names, strict=True):
        if ids.shape != program.objective.shape or ids.dtype.kind not in "iu":
            raise InputError(
                f"shared: must be {program.objective.size} integers for {name!r}, one per column, got "
                f"{ids.dtype} of shape {ids.shape}"
            )
        if (ids < -1).any():
            raise InputError(f"shared: must be information sets >= 0, or -1, got {ids.min()} in {name!r}")
        alike = np.sort(ids[ids >= 0])
        if (twice := alike[1:] == alike[:-1]).any():
            raise InputError(f"shared: must have a set once in a program, got {alike[1:][twice][0]} twice in {name!r}")
    return factors


def _add_shared(
    builder: ProgramBuilder,
    count: int,
    programs: Sequence[LinearProgram],
    factors: Array,
    columns: Sequence[Index],
    names: Sequence[str],
) -> None:
    """One column per information set, within the bounds of all programs."""
    lower, upper = np.full(count, -np.inf), np.full(count, np.inf)
    cost, integer = np.zeros(count), np.zeros(count, dtype=bool)
    for program, weight, column, name in zip(programs, factors, columns, names, strict=True):
        mine = np.flatnonzero(column >= 0)
        at = column[mine]
        lower[at] = np.maximum(lower[at], program.lower[mine])
        upper[at] = np.minimum(upper[at], program.upper[mine])
        cost[at] += weight * program.objective[mine]
        integer[at] |= program.integer[mine]
        if (crossed := np.flatnonzero(lower[at] > upper[at])).size:
            bad = int(mine[crossed[0]])
            block = next(b for b in program.columns.values() if b.start <= bad < b.start + b.size)
            low, high = lower[at[crossed[0]]], upper[at[crossed[0]]]
            raise InputError(
                f"programs: bounds of a shared column must have a value in common, got >= {low:g} and <= {high:g} for "
                f"column {bad - block.start} of {block.name!r} in {name!r}"
            )
    builder.variables("shared", count, lower=lower, upper=upper, objective=cost, integer=integer)


def _rows_to_state(programs: Sequence[LinearProgram], columns: Sequence[Index], count: int) -> list[Mask]:
    """Rows of each program, without those of shared columns alone that an earlier program has too."""
    from scipy.sparse import vstack

    stated = [np.ones(program.row_lower.size, dtype=bool) for program in programs]
    alone = [_of_shared_alone(program, column) for program, column in zip(programs, columns, strict=True)]
    if sum(rows.size > 0 for rows in alone) < 2:
        return stated
    every = list(zip(programs, columns, alone, strict=True))
    matrix = vstack([_by_set(program, column, count)[rows] for program, column, rows in every], format="csr")
    sides = np.concatenate([[p.row_lower[rows], p.row_upper[rows]] for p, _, rows in every], axis=1)
    low, high = (np.unique(side, return_inverse=True)[1] for side in sides)
    # Rows that are alike have one mark, and few others have; the earliest of a mark is looked at.
    marks = matrix @ np.sqrt(np.arange(2, count + 2)) + np.pi * low + np.e * high
    _, first, which = np.unique(marks, return_index=True, return_inverse=True)
    earliest, owner = first[which], np.repeat(np.arange(len(alone)), [rows.size for rows in alone])
    later = np.flatnonzero((owner > owner[earliest]) & (sides == sides[:, earliest]).all(axis=0))
    apart = matrix[later] - matrix[earliest[later]]
    apart.eliminate_zeros()
    said = later[np.diff(apart.indptr) == 0]
    number = np.concatenate(alone)[said]
    for program, new in enumerate(stated):
        new[number[owner[said] == program]] = False
    return stated


def _of_shared_alone(program: LinearProgram, column: Index) -> Index:
    """Rows in which shared columns stand and no others."""
    matrix = program.matrix
    shared = np.repeat(column >= 0, np.diff(matrix.indptr))
    found = np.zeros(program.row_lower.size, dtype=bool)
    found[matrix.indices[shared]] = True
    found[matrix.indices[~shared]] = False
    return np.flatnonzero(found)


def _by_set(program: LinearProgram, column: Index, count: int) -> csr_array:
    """A program's rows over the shared columns of the joint program, whatever their order in the program."""
    from scipy.sparse import csr_array

    shared = np.flatnonzero(column >= 0)
    shared = shared[np.argsort(column[shared])]
    part = program.matrix[:, shared].tocsr()
    return csr_array((part.data, column[shared][part.indices], part.indptr), shape=(program.row_lower.size, count))
