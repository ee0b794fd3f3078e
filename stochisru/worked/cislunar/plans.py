"""Plans for a campaign: built window by window, then improved a few windows at a time.

Flights of one window are whole numbers, later ones may still be fractions, earlier ones are decided. Rounds follow in
which the flights of some windows and all plants are free and every other flight stays as it is.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from stochisru.errors import SolverError, TimeLimitError
from stochisru.programs.effort import Budget
from stochisru.programs.sparse import LinearProgram, Solution
from stochisru.worked.cislunar.levels import block
from stochisru.worked.cislunar.program import CampaignProgram
from stochisru.worked.cislunar.units import solve_campaign_program

#: Windows that are free at a time, narrow neighbourhoods first.
_WIDTHS = (2, 3)
#: A window without a plan in its time gets so many times as much.
_PATIENCE = 4.0
#: Relative improvement that counts.
_BETTER = 1e-6
#: Gap at which a window is built, and one to which windows are improved.
_BUILD_GAP, _ROUND_GAP = 1e-2, 1e-3


def built(
    program: CampaignProgram, level: LinearProgram, budget: Budget, *, longest: float, solver: str
) -> Solution | None:
    """A plan of a level window by window, or None if that leads into a dead end or the time is up.

    ``longest`` is the time of a window, seconds.
    """
    window, bought = program.window, block(level, "bought")
    lower, upper = level.lower.copy(), level.upper.copy()
    last = int(window.max())
    for first in range(last + 1):
        # Whole curves of plants only at the end: they slow a window down and hardly change its flights.
        whole = level.integer if first == last else bought | ((window >= 0) & (window <= first))
        now = replace(level.with_bounds(lower, upper), integer=whole)
        for seconds in (longest, _PATIENCE * longest):
            if not budget.left:
                return None
            try:
                found = solve_campaign_program(
                    now, rel_gap=_BUILD_GAP, time_limit=min(seconds, budget.left), solver=solver
                )
                break
            except TimeLimitError:
                continue
            except SolverError:
                return None  # what is decided leads nowhere
        else:
            return None
        decided = window == first
        lower[decided] = upper[decided] = np.round(found.x[decided])
    return replace(found, program=program.program, bound=-np.inf)


def improved(
    program: CampaignProgram, plan: Solution, level: LinearProgram, budget: Budget, *, longest: float, solver: str
) -> Solution:
    """The plan after rounds over neighbouring windows, until none of them helps or the time is up.

    ``longest`` is the time of a round, seconds.
    """
    window = program.window
    count = int(window.max()) + 1
    moves = [range(first, first + width) for width in _WIDTHS for first in range(max(count - width + 1, 1))]
    idle, turn = 0, 0
    while idle < len(moves) and budget.left:
        free = np.isin(window, list(moves[turn % len(moves)])) | (window < 0)
        turn += 1
        at = np.round(plan.x)
        lower, upper = np.where(free, level.lower, at), np.where(free, level.upper, at)
        try:
            found = solve_campaign_program(
                level.with_bounds(lower, upper), rel_gap=_ROUND_GAP, time_limit=min(longest, budget.left), start=plan.x,
                solver=solver,
            )  # fmt: skip
        except SolverError:
            idle += 1
            continue
        if found.objective < plan.objective * (1 - _BETTER):
            plan, idle = replace(found, program=program.program, bound=plan.bound), 0
        else:
            idle += 1
    return plan
