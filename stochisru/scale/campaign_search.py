"""A search for good campaigns: branch and cut, improved by solving a few windows anew while the others stay.

Branch and cut alone proves bounds but finds good plans late: stages fly in whole numbers, and their flights can be
moved between windows in many ways that cost nearly the same. What it does not settle in a short first attempt is
therefore built window by window: flights of two windows are whole numbers, later ones may still be fractions, earlier
ones are decided. Rounds follow in which the flights of some windows and all plants are free and every other flight
stays as it is. The rest of the time belongs to branch and cut of the whole program, from the best plan: it proves the
bound.
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from stochisru.errors import SolverError, TimeLimitError
from stochisru.linear_program import Array, Solution, solve
from stochisru.methods.result import relative_gap
from stochisru.scale.campaign_program import COUNTS, CampaignProgram
from stochisru.scale.campaign_units import solve_campaign_program

#: Share of the time for a first attempt.
_FIRST = 0.08
#: Share of the time up to the end of building and improving a plan; the rest goes to the bound.
_PLAN = 0.75
#: Windows that are free at a time, narrow neighbourhoods first.
_WIDTHS = (2, 3)
#: Longest time of a round: a share of all, and seconds at least.
_ROUND, _ROUND_LEAST = 0.06, 2.0
#: A window without a plan in that time gets so many times as much.
_PATIENCE = 3.0
#: Times that branch and cut goes on for twice as long where there is no plan at all yet.
_ATTEMPTS = 5
#: Relative improvement that counts.
_BETTER = 1e-6


def search(
    program: CampaignProgram, *, rel_gap: float, time_limit: float, start: Array | None = None, solver: str = "highs"
) -> Solution:
    """The best plan found within the time limit, with a bound on all plans; longer where there is none by then.

    Parameters
    ----------
    start
        Values of all columns of a known plan; the result is never worse.

    Raises
    ------
    SolverError
        If there is no plan, or none was found in many times the time limit.
    """
    began = time.perf_counter()
    whole = program.program
    until, longest = began + _PLAN * time_limit, max(_ROUND * time_limit, _ROUND_LEAST)
    # Costs are not negative, and the relaxation bounds them before branch and cut does.
    known = max(solve(replace(whole, integer=np.zeros_like(whole.integer)), solver).bound, 0.0)
    try:
        plan = solve_campaign_program(whole, rel_gap=rel_gap, time_limit=_FIRST * time_limit, start=start, solver=solver)
        if plan.limit is None:
            return plan
        known = max(known, plan.bound)
    except TimeLimitError:
        plan = None
    # Also beside a known plan: what is good about more sites is often far from it.
    fresh = built(program, longest=longest, solver=solver)
    if fresh is not None and (plan is None or fresh.objective < plan.objective):
        plan = fresh
    if plan is not None:
        plan = improved(program, plan, until=until, longest=longest, solver=solver)
    left = max(time_limit - (time.perf_counter() - began), 0.1 * time_limit)
    for attempt in range(_ATTEMPTS):
        try:
            best = solve_campaign_program(
                whole,
                rel_gap=rel_gap,
                time_limit=left * 2**attempt,
                start=None if plan is None else plan.x,
                solver=solver,
            )
            break
        except TimeLimitError:
            if attempt == _ATTEMPTS - 1:
                raise
    bound = max(known, best.bound)
    if plan is not None and plan.objective < best.objective:
        best = plan
    done = relative_gap(bound, best.objective) <= rel_gap
    spent = time.perf_counter() - began
    return replace(best, program=whole, bound=bound, seconds=spent, limit=None if done else "time")


def built(program: CampaignProgram, *, longest: float, solver: str) -> Solution | None:
    """A plan window by window, or None if that leads into a dead end."""
    whole, window = program.program, program.window
    plants = whole.integer.copy()
    for name in COUNTS:
        plants[whole.columns[name].span] = False
    plants &= window < 0
    lower, upper = whole.lower.copy(), whole.upper.copy()
    last = int(window.max())
    for first in range(last + 1):
        now = replace(whole.with_bounds(lower, upper), integer=plants | ((window >= 0) & (window <= first)))
        for seconds in (longest, _PATIENCE * longest):
            try:
                found = solve_campaign_program(now, rel_gap=5e-3, time_limit=seconds, solver=solver)
                break
            except TimeLimitError:
                continue
            except SolverError:
                return None  # what is decided leads nowhere
        else:
            return None
        decided = window == first
        lower[decided] = upper[decided] = np.round(found.x[decided])
    return replace(found, program=whole, bound=-np.inf)


def improved(program: CampaignProgram, plan: Solution, *, until: float, longest: float, solver: str) -> Solution:
    """The plan after rounds over neighbouring windows, until none of them helps or the clock says ``until``."""
    whole, window = program.program, program.window
    count = int(window.max()) + 1
    moves = [range(first, first + width) for width in _WIDTHS for first in range(max(count - width + 1, 1))]
    idle, turn = 0, 0
    while idle < len(moves) and time.perf_counter() < until:
        free = np.isin(window, list(moves[turn % len(moves)])) | (window < 0)
        turn += 1
        at = np.round(plan.x)
        lower, upper = np.where(free, whole.lower, at), np.where(free, whole.upper, at)
        part = whole.with_bounds(lower, upper)
        try:
            found = solve_campaign_program(
                part, rel_gap=1e-3, time_limit=max(min(longest, until - time.perf_counter()), 0.1), start=plan.x,
                solver=solver,
            )  # fmt: skip
        except SolverError:
            idle += 1
            continue
        if found.objective < plan.objective * (1 - _BETTER):
            plan, idle = replace(found, bound=plan.bound), 0
        else:
            idle += 1
    return plan
