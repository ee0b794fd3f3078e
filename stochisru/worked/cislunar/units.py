"""The campaign's program in tonnes and million dollars for the search.

In kilograms and dollars, integers of about 1 stand beside flows of 1e5 and costs of 1e8: branch and cut of HiGHS then
found a plan of 3.27 billion $ in two minutes where it finds one of 2.91 in seconds in these units (measured on the
concentrated campaign of three years). Units are powers of two, so nothing is rounded.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.sparse import csc_array, diags_array

from scenario_trees.arrays import Array
from stochisru.errors import TimeLimitError
from stochisru.programs.sparse import LinearProgram, Solution, solve_mixed

#: A tonne, nearly, in kg, and a million dollars, nearly.
_MASS, _COST = 2.0**10, 2.0**20


def solve_campaign_program(
    program: LinearProgram,
    *,
    rel_gap: float,
    time_limit: float | None = None,
    start: Array | None = None,
    cutoff: float | None = None,
    solver: str = "highs",
) -> Solution:
    """`solve_mixed` of a campaign's program, handed to the solver in tonnes; solution and bound in kg and $."""
    unit = np.where(program.integer, 1.0, _MASS)
    largest = abs(program.matrix @ diags_array(unit)).max(axis=1).toarray().ravel()
    row = np.exp2(-np.round(np.log2(np.where(largest > 0, largest, 1.0))))
    scaled = replace(
        program,
        objective=program.objective * unit / _COST,
        constant=program.constant / _COST,
        lower=program.lower / unit,
        upper=program.upper / unit,
        matrix=csc_array(diags_array(row) @ program.matrix @ diags_array(unit)),
        row_lower=program.row_lower * row,
        row_upper=program.row_upper * row,
    )
    at = None if start is None else start / unit
    try:
        found = solve_mixed(
            scaled, rel_gap=rel_gap, time_limit=time_limit, start=at, solver=solver,
            cutoff=None if cutoff is None else cutoff / _COST,
        )  # fmt: skip
    except TimeLimitError as error:
        if error.bound is not None:
            error.bound *= _COST
        raise
    x = found.x * unit
    program.require_feasible(x, unit, 1 / row)
    return replace(found, program=program, x=x, objective=program.value(x), bound=found.bound * _COST)
