"""Piecewise linear curves in linear and mixed-integer programs.

`add_curves` adds what a program needs so that one or more curves of the size of each structure can be put into its
rows and objective. Three formulations do the same:

- ``interval`` (multiple choice): per run of pieces a binary and a copy of the size, of which at most one is not zero
  (Gkaravela, Lee and Chen 2025, Eqs 5-14);
- ``convex-combination``: the size is an average of the ends of the pieces of one run;
- ``incremental``: pieces are filled one after the other.

All three have the convex hull of each structure's curves as their linear relaxation. A binary is used only where a
curve bends, or jumps at zero, against what the program wants of it (see `stochisru.programs.curves.pieces`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from scenario_trees.arrays import Array, Index, Mask
from stochisru.errors import InputError
from stochisru.programs.curves.curve import Curve
from stochisru.programs.curves.pieces import Direction, Pieces, cut
from stochisru.programs.sparse import ProgramBuilder

Formulation = Literal["interval", "convex-combination", "incremental"]


@dataclass(frozen=True, eq=False)
class Terms:
    """A linear expression of a program's columns for each structure: ``Σ coefficient·x[column]``.

    Attributes
    ----------
    structure, column
        Structure and column of each term.
    coefficient
        In units of the curve per unit of the column.
    """

    structure: Index
    column: Index
    coefficient: Array

    def rows(self, factor: ArrayLike = 1.0, row: Index | None = None) -> tuple[Index, Index, Array]:
        """Term of `ProgramBuilder.rows`: structure i, times ``factor``, in row ``row[i]``, by default i."""
        scale = np.asarray(factor, float)
        at = self.structure if row is None else row[self.structure]
        return at, self.column, self.coefficient * (scale[self.structure] if scale.ndim else scale)

    def in_objective(self, builder: ProgramBuilder, factor: ArrayLike = 1.0) -> None:
        """Add the expression of every structure, times ``factor`` (one for all or one each), to the objective."""
        _, column, coefficient = self.rows(factor)
        builder.add_objective(column, coefficient)

    def values(self, x: Array, structures: int) -> Array:
        """The expression of each structure at a solution, shape ``(structures,)``."""
        return np.bincount(self.structure, self.coefficient * x[self.column], minlength=structures).astype(float)

    @classmethod
    def joined(cls, parts: Sequence[tuple[Index, Index, Array]]) -> Terms:
        """One expression of parts (structure, column, coefficient); zeros are left out."""
        structure, column, coefficient = (np.concatenate(p) for p in zip(*parts, strict=True))
        there = coefficient != 0
        return cls(structure[there], column[there], coefficient[there])


def add_curves(
    builder: ProgramBuilder,
    name: str,
    curves: Sequence[tuple[Curve, Direction]],
    size: Index,
    *,
    least: ArrayLike = 0.0,
    formulation: Formulation = "interval",
) -> tuple[Terms, ...]:
    """Add curves of the sizes of structures to a program; all curves of a structure share its binaries.

    Parameters
    ----------
    builder
        The program. Columns and rows are added to it under names that start with ``name``.
    curves
        Pairs of a curve and what the program wants of its value: ``"small"`` (a cost), ``"large"`` (an output), or
        ``"either"`` where that is not known. A value that is wanted small may be larger than the curve where the
        program gains nothing by it, and the other way round; with ``"either"`` it is the curve.
    size
        Column of the size of each structure, shape ``(n,)``. Its bounds are the structure's: finite, the lower one
        at least 0. Pieces beyond the upper one are left out; beyond its last breakpoint a curve goes on.
    least
        Least size of a structure that is there at all, one for all or one each: the size is 0 or at least ``least``.

    Returns
    -------
    tuple of Terms
        The value of each curve, as an expression of columns, per structure.

    Raises
    ------
    InputError
        If a bound is not finite or negative, the formulation or a direction is unknown, or a curve with ``fixed`` > 0
        is not wanted small and ``least`` is 0: a program cannot tell an infinitely small structure from none.

    Examples
    --------
    Two plants of at most 3,000 and 800 kg that make 4,000 kg a year together; output grows more than in proportion:

    >>> import numpy as np
    >>> from stochisru.programs.sparse import ProgramBuilder, solve_mixed
    >>> from stochisru.programs.curves import Curve, add_curves
    >>> cost = Curve([0, 1000, 3000], [0, 10e6, 26e6], fixed=5e6)  # $
    >>> output = Curve([0, 1000, 3000], [0, 1000, 5000])  # kg/yr
    >>> builder = ProgramBuilder("plants", "minimise")
    >>> size = builder.variables("size", 2, lower=0, upper=[3000, 800])
    >>> dollars, makes = add_curves(builder, "plant", [(cost, "small"), (output, "large")], size.index)
    >>> dollars.in_objective(builder)
    >>> demand = builder.rows("demand", 4000, np.inf, makes.rows(row=np.array([0, 0])))
    >>> solution = solve_mixed(builder.build(), rel_gap=0)
    >>> solution.values("size").round(3).tolist(), round(solution.objective)
    ([2500.0, 0.0], 27000000)
    """
    column = np.asarray(size)
    if column.dtype.kind not in "iu" or column.ndim != 1 or np.unique(column).size < column.size:
        raise InputError(f"size: must be different numbers of columns, got {column.tolist()}")
    column = column.astype(np.int64)
    if column.size and not (column.min() >= 0 and column.max() < builder.columns):
        raise InputError(f"size: must be numbers of columns below {builder.columns}, got {column.tolist()}")
    low, high = builder.bounds(column)
    floor = np.broadcast_to(np.asarray(least, float), column.shape)
    for i in np.flatnonzero(~(np.isfinite(high) & (low >= 0) & (high >= 0))):
        raise InputError(f"size: bounds must be finite and >= 0, got [{low[i]:g}, {high[i]:g}] for structure {i}")
    if not (np.isfinite(floor) & (floor >= 0)).all():
        raise InputError("least: must be finite and >= 0")
    if formulation not in _FORMULATIONS:
        raise InputError(f"formulation: must be one of {', '.join(_FORMULATIONS)}, got {formulation!r}")
    whole = cut(curves, high, floor)
    straight = ~whole.jumps & (np.bincount(whole.structure, minlength=column.size) == 1)
    direct, rest = straight[whole.structure], np.flatnonzero(~straight)
    pieces = cut(curves, high[rest], floor[rest])
    added = _FORMULATIONS[formulation](builder, name, pieces, column[rest]) if rest.size else ()
    at = whole.structure[direct]
    parts = [[(at, column[at], whole.slope[c, direct])] for c in range(whole.curves)]
    for part, terms in zip(parts, added, strict=False):
        part.extend((rest[structure], columns, coefficients) for structure, columns, coefficients in terms)
    return tuple(Terms.joined(part) for part in parts)


def add_curve(
    builder: ProgramBuilder,
    name: str,
    curve: Curve,
    size: Index,
    *,
    direction: Direction,
    least: ArrayLike = 0.0,
    formulation: Formulation = "interval",
) -> Terms:
    """Add one curve of the sizes of structures to a program; see `add_curves`."""
    return add_curves(builder, name, [(curve, direction)], size, least=least, formulation=formulation)[0]


#: A part of an expression: structure, column and coefficient of each term.
_Part = tuple[Index, Index, Array]


def _interval(builder: ProgramBuilder, name: str, p: Pieces, size: Index) -> list[list[_Part]]:
    """``Σ x_g = x``, ``lower·z_g ≤ x_g ≤ upper·z_g``, ``Σ z_g ≤ 1``; value ``Σ slope·x_g + intercept·z_g``."""
    first, last, owner = p.first, p.last, p.owner
    binary = _binaries(builder, name, p)
    has = binary >= 0
    copy = size[owner]
    several = ~p.alone
    copy[several] = _variables(builder, f"{name}_size", np.zeros(several.sum()), p.upper[last][several])
    low, high = p.lower[first], p.upper[last]
    _rows(builder, f"{name}_most", has, -np.inf, 0.0, (copy, 1.0), (binary, -high))
    _rows(builder, f"{name}_least", has & (low > 0), 0.0, np.inf, (copy, 1.0), (binary, -low))
    _sum_rows(builder, name, p, size, [(owner[several], copy[several], np.ones(several.sum()))], p.runs != 1)
    _one_run(builder, name, p, binary)
    values: list[list[_Part]] = []
    ends = np.stack([p.end_values(p.lower), p.end_values(p.upper)])
    for c in range(p.curves):
        slope, intercept = p.slope[c], p.intercept[c]
        bent = slope[first] != slope[last]
        flat = ~bent
        parts = [(owner[flat], copy[flat], slope[first][flat])]
        offset = flat & has
        parts.append((owner[offset], binary[offset], intercept[first][offset]))
        # In a run that bends, the value is a column of its own on the right side of all the lines.
        smallest = np.minimum(np.minimum.reduceat(ends[:, c].min(axis=0), first), 0.0) if first.size else low
        largest = np.maximum(np.maximum.reduceat(ends[:, c].max(axis=0), first), 0.0) if first.size else high
        value = np.full(owner.size, -1)
        suffix = f"_{c}" if p.curves > 1 else ""
        value[bent] = _variables(builder, f"{name}_value{suffix}", smallest[bent], largest[bent])
        parts.append((owner[bent], value[bent], np.ones(bent.sum())))
        convex = bent & (slope[last] > slope[first])
        for kind, chosen in (("above", convex), ("below", bent & ~convex)):
            line = chosen[p.run]
            run = p.run
            terms = (value[run], 1.0), (copy[run], -slope), (binary[run], -intercept)
            side = (0.0, np.inf) if kind == "above" else (-np.inf, 0.0)
            _rows(builder, f"{name}_{kind}{suffix}", line, *side, *terms)
        values.append(parts)
    return values


def _convex_combination(builder: ProgramBuilder, name: str, p: Pieces, size: Index) -> list[list[_Part]]:
    """``x = Σ λ_k·end_k``, ``Σ λ_k = z_g`` over the ends of the pieces of a run, ``Σ z_g ≤ 1``."""
    binary = _binaries(builder, name, p)
    # The ends of a run are the lower end of its first piece and the upper ends of all; none at zero without a jump.
    head = ~p.free
    run = np.concatenate([np.flatnonzero(head), p.run])
    order = np.argsort(run, kind="stable")
    run = run[order]
    piece = np.concatenate([p.first[head], np.arange(p.run.size)])[order]
    lower = np.concatenate([np.ones(head.sum(), bool), np.zeros(p.run.size, bool)])[order]
    end = np.where(lower, p.lower[piece], p.upper[piece])
    weight = _variables(builder, f"{name}_weight", np.zeros(run.size), np.ones(run.size))
    owner = p.owner[run]
    has = binary >= 0
    free = p.free
    for kind, chosen, low in (("weights", has & ~free, 0.0), ("weights_free", free, -np.inf)):
        number = np.cumsum(chosen) - 1
        mine = chosen[run]
        terms = [(number[run[mine]], weight[mine], np.ones(mine.sum()))]
        with_binary = chosen & has
        terms.append((number[with_binary], binary[with_binary], -np.ones(with_binary.sum())))
        if chosen.any():
            high = np.where(has[chosen], 0.0, 1.0)
            builder.rows(f"{name}_{kind}", np.full(high.size, low), high, *terms)
    _sum_rows(builder, name, p, size, [(owner, weight, end)], np.ones(p.structures, bool))
    _one_run(builder, name, p, binary)
    return [[(owner, weight, p.slope[c, piece] * end + p.intercept[c, piece])] for c in range(p.curves)]


def _incremental(builder: ProgramBuilder, name: str, p: Pieces, size: Index) -> list[list[_Part]]:
    """``x = lower·w_1 + Σ δ_j``, ``δ_j ≤ length_j·w_g`` in run g, ``δ_j ≥ length_j·w_{g+1}`` before run g + 1."""
    leads, owner = p.leads, p.owner
    binary = _variables_where(builder, f"{name}_piece", ~p.free, integer=True)
    length = p.upper - p.lower
    fill = _variables(builder, f"{name}_fill", np.zeros(length.size), length)
    of_run = binary[p.run]
    _rows(builder, f"{name}_open", of_run >= 0, -np.inf, 0.0, (fill, 1.0), (of_run, -length))
    follows = np.append(~leads[1:], False)
    after = np.where(follows, np.append(binary[1:], -1), -1)[p.run] if owner.size else of_run
    _rows(builder, f"{name}_full", after >= 0, 0.0, np.inf, (fill, 1.0), (after, -length))
    start = leads & (binary >= 0)
    base = p.first[start]
    first = (owner[start], binary[start])
    _sum_rows(
        builder,
        name,
        p,
        size,
        [(p.structure, fill, np.ones(fill.size)), (*first, p.lower[base])],
        np.ones(p.structures, bool),
    )
    at_base = p.end_values(p.lower)[:, base]
    return [[(p.structure, fill, p.slope[c]), (*first, at_base[c])] for c in range(p.curves)]


_FORMULATIONS: dict[str, Callable[[ProgramBuilder, str, Pieces, Index], list[list[_Part]]]] = {
    "interval": _interval,
    "convex-combination": _convex_combination,
    "incremental": _incremental,
}


def _binaries(builder: ProgramBuilder, name: str, p: Pieces) -> Index:
    """Column per run that is 1 if the size lies in it, −1 for the only run of a structure without a jump.

    The first run of a structure without a jump costs nothing by itself: its column may be any number.
    """
    chosen = ~(p.free & p.alone)
    whole = ~p.free
    column = np.full(p.owner.size, -1)
    column[chosen & whole] = _variables_where(builder, f"{name}_piece", chosen & whole, integer=True)[chosen & whole]
    column[chosen & ~whole] = _variables_where(builder, f"{name}_start", chosen & ~whole)[chosen & ~whole]
    return column


def _one_run(builder: ProgramBuilder, name: str, p: Pieces, binary: Index) -> None:
    """Rows ``Σ z_g ≤ 1`` of the structures with several runs."""
    several = p.runs > 1
    number = np.cumsum(several) - 1
    mine = several[p.owner]
    if several.any():
        side = np.ones(several.sum())
        terms = (number[p.owner[mine]], binary[mine], np.ones(mine.sum()))
        builder.rows(f"{name}_one", np.full(side.size, -np.inf), side, terms)


def _sum_rows(
    builder: ProgramBuilder, name: str, p: Pieces, size: Index, parts: Sequence[_Part], structures: Mask
) -> None:
    """Rows ``Σ coefficient·column = x`` of the given structures."""
    number = np.cumsum(structures) - 1
    chosen = np.flatnonzero(structures)
    if chosen.size:
        zero = np.zeros(chosen.size)
        terms = [(number[structure], column, coefficient) for structure, column, coefficient in parts]
        builder.rows(f"{name}_sum", zero, zero, *terms, (number[chosen], size[chosen], -np.ones(chosen.size)))


def _variables(builder: ProgramBuilder, name: str, lower: Array, upper: Array, *, integer: bool = False) -> Index:
    """Columns of a new block; none of an empty one."""
    if not lower.size:
        return np.zeros(0, dtype=np.int64)
    return builder.variables(name, lower.size, lower=lower, upper=upper, integer=integer).index


def _variables_where(builder: ProgramBuilder, name: str, chosen: Mask, *, integer: bool = False) -> Index:
    """Columns between 0 and 1 for the chosen ones, −1 for the others."""
    column = np.full(chosen.size, -1)
    count = int(chosen.sum())
    column[chosen] = _variables(builder, name, np.zeros(count), np.ones(count), integer=integer)
    return column


def _rows(
    builder: ProgramBuilder,
    name: str,
    chosen: Mask,
    lower: float,
    upper: float,
    *terms: tuple[Index, ArrayLike],
) -> None:
    """Rows for the chosen ones, each with a coefficient and a column per term; column −1 is the constant 1."""
    count = int(chosen.sum())
    if not count:
        return
    number = np.arange(count)
    constant = np.zeros(count)
    entries: list[_Part] = []
    for column, coefficient in terms:
        at = column[chosen]
        value = np.broadcast_to(np.asarray(coefficient, float), chosen.shape)[chosen]
        there = (at >= 0) & (value != 0)
        entries.append((number[there], at[there], value[there]))
        constant += np.where(at < 0, value, 0.0)
    builder.rows(name, lower - constant, upper - constant, *entries)
