"""A search for good campaigns, divided by the number of stages that are bought.

A stage is dear, and few are bought: three years need two or three. So the search is divided into *levels*, one per
number of stages. On a level stages fly in small whole numbers, its relaxation is much tighter than that of all levels
together, and the least of the levels' bounds holds for every campaign. Levels whose bound is above a known plan are
closed at once.

Plans are found window by window: flights of one window are whole numbers, later ones may still be fractions, earlier
ones are decided. Rounds follow in which the flights of some windows and all plants are free and every other flight
stays as it is. The rest of the time belongs to branch and cut of the level with the lowest bound, where the gap is.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from scenario_trees.arrays import Array, Mask
from stochisru.errors import InfeasibleError, SolverError, TimeLimitError
from stochisru.limits import Limit
from stochisru.methods.result import relative_gap
from stochisru.programs.effort import SolverLimits
from stochisru.programs.sparse import LinearProgram, Solution, solve
from stochisru.worked.cislunar.program import COUNTS, CampaignProgram, campaign_program
from stochisru.worked.cislunar.units import solve_campaign_program

#: Levels with a number of stages of their own; the last one has all larger numbers.
_LEVELS = 4
#: Share of the time up to the end of finding plans; the rest goes to the bound.
_PLAN = 0.4
#: Share of what is left that a level gets while others have not been tried; how much longer a second try must be.
_SLICE, _AGAIN = 0.5, 1.5
#: Share of the time for building a plan on a level.
_BUILD = 0.12
#: Levels on which plans are built window by window.
_BUILT = 3
#: Windows that are free at a time, narrow neighbourhoods first.
_WIDTHS = (2, 3)
#: Longest time of a round, of a window, and of a first branch and cut: shares of all, and seconds at least.
_ROUND, _WINDOW, _FIRST, _LEAST = 0.05, 0.02, 0.08, 2.0
#: A window without a plan in that time gets so many times as much.
_PATIENCE = 4.0
#: Times that branch and cut goes on for twice as long where there is no plan at all yet.
_ATTEMPTS = 5
#: Relative improvement that counts.
_BETTER = 1e-6
#: Gap at which a window is built.
_BUILD_GAP = 1e-2
#: Gap at which a level's relaxation is good enough.
_RELAXED_GAP = 2e-3


@dataclass
class Level:
    """Campaigns with a number of stages, or more: their program, what none of them can undercut, seconds of search.

    ``program`` has the columns of the whole program, so a plan of one is a plan of the other.
    """

    stages: int
    program: LinearProgram
    bound: float
    seconds: float = 0.0


def search(
    program: CampaignProgram,
    *,
    rel_gap: float,
    time_limit: float,
    start: Array | None = None,
    solver: str = "highs",
    progress: Callable[[str], None] = lambda _: None,
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
    plan, known = None if start is None else _plan_at(whole, start, solver), -np.inf
    try:
        first = solve_campaign_program(
            whole, rel_gap=rel_gap, time_limit=_FIRST * time_limit, start=start, solver=solver
        )
        if first.limit is None:
            return first
        plan, known = first, first.bound
    except TimeLimitError as error:
        known = known if error.bound is None else error.bound
    levels = _levels(program, known, solver, _WINDOW * time_limit)
    longest = max(_ROUND * time_limit, _LEAST)
    until = began + _PLAN * time_limit
    for level in sorted(levels, key=lambda one: one.bound)[:_BUILT]:
        if plan is not None and (level.bound >= plan.objective or time.perf_counter() > until):
            continue
        progress(f"plan with {level.stages} stages")
        enough = time.perf_counter() + max(_BUILD * time_limit, 5 * _LEAST)
        fresh = built(program, level.program, until=enough, longest=max(_WINDOW * time_limit, _LEAST), solver=solver)
        if fresh is not None:
            at_most = until if plan is None else min(until, time.perf_counter() + 4 * longest)
            fresh = improved(program, fresh, level.program, until=at_most, longest=longest, solver=solver)
            if plan is None or fresh.objective < plan.objective:
                plan = fresh
    if plan is not None:
        mine = _level_of(program, levels, plan)
        plan = improved(program, plan, mine.program, until=until, longest=longest, solver=solver)
    return _proven(program, levels, plan, began, SolverLimits(rel_gap, time_limit), solver, progress)


def _proven(
    program: CampaignProgram,
    levels: list[Level],
    plan: Solution | None,
    began: float,
    limits: SolverLimits,
    solver: str,
    progress: Callable[[str], None],
) -> Solution:
    """Branch and cut of the level with the lowest bound, for longer each time, until the gap or the time is reached."""
    attempts, rel_gap, time_limit = 0, limits.rel_gap, limits.time_limit or np.inf
    while True:
        lowest = level = min(levels, key=lambda one: one.bound)
        left = time_limit - (time.perf_counter() - began)
        if plan is not None and (relative_gap(level.bound, plan.objective) <= rel_gap or left <= 0):
            break
        if plan is None and (not np.isfinite(level.bound) or attempts == _ATTEMPTS):
            error = TimeLimitError if np.isfinite(level.bound) else InfeasibleError
            raise error(f"{program.program.name}: no plan was found in {time.perf_counter() - began:.0f} s")
        if plan is None:
            budget, attempts = max(2 * level.seconds, _FIRST * time_limit), attempts + (left <= 0)
        else:
            # Branch and cut begins anew each time, so no level is tried twice before the others, nor for less time.
            goal = plan.objective
            fresh = [one for one in levels if not one.seconds and relative_gap(one.bound, goal) > rel_gap]
            level = min(fresh, key=lambda one: one.bound, default=lowest)
            budget = left if len(fresh) <= 1 else _SLICE * left
            if not fresh and left < _AGAIN * level.seconds:
                break
        mine = plan is not None and _level_of(program, levels, plan) is level
        progress(f"bound with {level.stages} stages")
        try:
            found = solve_campaign_program(
                level.program,
                rel_gap=rel_gap / 2,
                time_limit=budget,
                start=plan.x if plan is not None and mine else None,
                solver=solver,
            )
        except InfeasibleError:
            level.bound = np.inf
            continue
        except TimeLimitError as error:
            level.seconds = budget
            level.bound = max(level.bound, -np.inf if error.bound is None else error.bound)
            continue
        level.bound, level.seconds = max(level.bound, found.bound), budget
        if plan is None or found.objective < plan.objective:
            plan = found
        if found.limit is None and relative_gap(level.bound, plan.objective) > rel_gap:
            break  # the level is solved as well as it was asked for
    bound = min(min(one.bound for one in levels), plan.objective)
    done = relative_gap(bound, plan.objective) <= rel_gap
    spent = time.perf_counter() - began
    return replace(plan, program=program.program, bound=bound, seconds=spent, limit=None if done else Limit.TIME)


def _levels(program: CampaignProgram, known: float, solver: str, seconds: float) -> list[Level]:
    """Levels from the least number of stages on, each with the bound of its relaxation with whole plants and purchases.

    ``known`` is a bound of all of them.
    """
    whole = program.program
    bought = whole.columns["bought"].index
    fewest = replace(whole, integer=np.zeros_like(whole.integer), objective=np.zeros_like(whole.objective))
    fewest.objective[bought[-1]] = 1.0
    least = int(np.ceil(solve(fewest, solver).objective - 1e-6))
    found: list[Level] = []
    for stages in range(least, least + _LEVELS + 1):
        last = stages == least + _LEVELS
        if stages > whole.upper[bought[-1]]:
            break
        level = whole if last else _with_at_most(program, stages)
        lower, upper = level.lower.copy(), level.upper.copy()
        lower[bought[-1]] = stages
        if not last:
            upper[bought] = np.minimum(upper[bought], stages)
        level = level.with_bounds(lower, upper)
        found.append(Level(stages, level, max(known, _relaxed(program, level, solver, max(seconds, _LEAST)))))
    return found


def _with_at_most(program: CampaignProgram, stages: int) -> LinearProgram:
    """The program of the campaign with no more stages on a leg than there are."""
    p = program.campaign
    small = p.with_values(most_stages=float(max(1, min(stages, p["most_stages"]))))
    return campaign_program(small, formulation=program.formulation).program


def _relaxed(program: CampaignProgram, level: LinearProgram, solver: str, seconds: float) -> float:
    """Bound of a level with whole plants and purchases, flights in fractions; infinite if there is no such plan."""
    try:
        linear = solve(replace(level, integer=np.zeros_like(level.integer)), solver).bound
        mixed = replace(level, integer=_plants(program) | _block(level, "bought"))
        return max(linear, solve_campaign_program(mixed, rel_gap=_RELAXED_GAP, time_limit=seconds, solver=solver).bound)
    except InfeasibleError:
        return np.inf
    except TimeLimitError as error:
        return linear if error.bound is None else max(linear, error.bound)


def _plan_at(program: LinearProgram, x: Array, solver: str) -> Solution:
    return Solution(program, program.value(x), -np.inf, x, np.zeros(program.shape[0]), solver, 0.0)


def _level_of(program: CampaignProgram, levels: list[Level], plan: Solution) -> Level:
    """Level of a plan by the stages that it buys."""
    stages = round(float(plan.x[program.program.columns["bought"].index[-1]]))
    return max((one for one in levels if one.stages <= stages), key=lambda one: one.stages, default=levels[0])


def _block(program: LinearProgram, name: str) -> Mask:
    found = np.zeros(program.shape[1], dtype=bool)
    found[program.columns[name].span] = True
    return found


def _plants(program: CampaignProgram) -> Mask:
    """Whole numbers of the plants' curves."""
    whole = program.program
    found = whole.integer & (program.window < 0)
    for name in COUNTS:
        found &= ~_block(whole, name)
    return found


def built(
    program: CampaignProgram, level: LinearProgram, *, until: float, longest: float, solver: str
) -> Solution | None:
    """A plan of a level window by window, or None if that leads into a dead end or the clock says ``until``."""
    window, bought = program.window, _block(level, "bought")
    lower, upper = level.lower.copy(), level.upper.copy()
    last = int(window.max())
    for first in range(last + 1):
        if time.perf_counter() > until:
            return None
        # Whole curves of plants only at the end: they slow a window down and hardly change its flights.
        whole = level.integer if first == last else bought | ((window >= 0) & (window <= first))
        now = replace(level.with_bounds(lower, upper), integer=whole)
        for seconds in (longest, _PATIENCE * longest):
            try:
                found = solve_campaign_program(now, rel_gap=_BUILD_GAP, time_limit=seconds, solver=solver)
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
    program: CampaignProgram, plan: Solution, level: LinearProgram, *, until: float, longest: float, solver: str
) -> Solution:
    """The plan after rounds over neighbouring windows, until none of them helps or the clock says ``until``."""
    window = program.window
    count = int(window.max()) + 1
    moves = [range(first, first + width) for width in _WIDTHS for first in range(max(count - width + 1, 1))]
    idle, turn = 0, 0
    while idle < len(moves) and time.perf_counter() < until:
        free = np.isin(window, list(moves[turn % len(moves)])) | (window < 0)
        turn += 1
        at = np.round(plan.x)
        lower, upper = np.where(free, level.lower, at), np.where(free, level.upper, at)
        try:
            found = solve_campaign_program(
                level.with_bounds(lower, upper), rel_gap=1e-3,
                time_limit=max(min(longest, until - time.perf_counter()), 0.1), start=plan.x, solver=solver,
            )  # fmt: skip
        except SolverError:
            idle += 1
            continue
        if found.objective < plan.objective * (1 - _BETTER):
            plan, idle = replace(found, program=program.program, bound=plan.bound), 0
        else:
            idle += 1
    return plan
