"""Why a program has no solution: the rows that cannot all be kept, by name and year."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from scenario_trees.arrays import Index
from stochisru.errors import InfeasibleError, SolverError
from stochisru.programs.sparse import Block, LinearProgram

#: Rows and bounds that are named; a conflict that runs through more of them says so.
_NAMED = 4


def conflict(program: LinearProgram) -> str | None:
    """Rows and bounds of an irreducible conflict of an infeasible program, as the end of a message.

    Equal blocks are named once with their years. None where the solver finds no conflict.
    """
    from stochisru.programs.solvers.highs import conflicting

    try:
        found = conflicting(replace(program, integer=np.zeros_like(program.integer)))
    except SolverError:
        return None
    if found is None:
        return "its rows can be kept, but not by whole numbers" if program.integer.any() else None
    rows, columns = found
    named = [*_named(program.rows, rows, "row"), *_named(program.columns, columns, "bounds of")]
    more = f" and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
    return f"what cannot be kept together: {', '.join(named[:_NAMED])}{more}"


def failed(kind: type[SolverError], message: str, program: LinearProgram | None) -> SolverError:
    """The error of a program without a solution; one that is infeasible says why when it is read."""
    if kind is InfeasibleError and program is not None:
        return InfeasibleError(message, lambda: conflict(program))
    return kind(message)


def _named(blocks: dict[str, Block], numbers: Index, kind: str) -> list[str]:
    found = []
    for block in blocks.values():
        inside = numbers[(numbers >= block.start) & (numbers < block.start + block.size)] - block.start
        if inside.size:
            years = [] if block.years is None else np.unique(block.years[inside]).tolist()
            found.append(f"{kind} {block.name!r}{_of(years)}")
    return found


def _of(years: list[int]) -> str:
    if not years:
        return ""
    return f" of year {years[0]}" if len(years) == 1 else f" of years {', '.join(map(str, years))}"
