"""A search for good campaigns and for proofs that none is much better.

It is divided into `levels`, one per number of stages that are bought. Levels whose bound is above a known plan are
closed at once; `plans` are built on the others and improved. The rest of the time goes into the bound, where the gap
is: branch and cut is asked whether a level has any plan that would halve the gap. Nodes that lead to no such plan are
cut off, which is most of them, so the answer "none" comes many times faster than the level's optimum would.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from scenario_trees.arrays import Array
from stochisru.errors import InfeasibleError, SolverError, TimeLimitError
from stochisru.limits import Limit
from stochisru.methods.result import relative_gap
from stochisru.programs.effort import Budget
from stochisru.programs.sparse import LinearProgram, Solution
from stochisru.worked.cislunar.levels import Level, level_of, levels_of
from stochisru.worked.cislunar.plans import built, improved
from stochisru.worked.cislunar.program import CampaignProgram
from stochisru.worked.cislunar.units import solve_campaign_program

#: Shares of the time: of a first branch and cut of all levels, up to the end of finding plans (the rest goes to the
#: bound), of building a plan on a level, of improving one on another level than the best, of a round, of a window.
_FIRST, _PLAN, _BUILD, _OTHER, _ROUND, _WINDOW = 0.08, 0.4, 0.12, 0.2, 0.05, 0.02
#: Levels on which plans are built window by window.
_BUILT = 3
#: Share of what is left that a level gets while others wait.
_SLICE = 0.5
#: First step of a bound, the least that is worth a proof after one failed, and a gap that is wide: shares of the cost.
_STEP, _LEAST, _WIDE = 0.04, 5e-4, 0.3
#: A gap is halved each time, to a little less than half of it.
_HALF = 0.5 * (1 - 1e-9)


@dataclass(frozen=True)
class _Effort:
    """Time, gap, solver and progress of a search."""

    budget: Budget
    rel_gap: float
    solver: str
    progress: Callable[[str], None]


def search(
    program: CampaignProgram,
    *,
    budget: Budget,
    rel_gap: float,
    start: Array | None = None,
    patience: int = 5,
    solver: str = "highs",
    progress: Callable[[str], None] = lambda _: None,
) -> Solution:
    """The best plan found within the time, with a bound on all plans; longer only where there is no plan by then.

    Parameters
    ----------
    start
        Values of all columns of a known plan; the result is never worse.
    patience
        Times that branch and cut goes on, for twice as long each time, where there is no plan when the time is up.

    Raises
    ------
    SolverError
        If there is no plan, or none was found.
    """
    effort = _Effort(budget, rel_gap, solver, progress)
    whole = program.program
    plan, known = None if start is None else _plan_at(whole, start, solver), -np.inf
    try:
        first = solve_campaign_program(
            whole, rel_gap=rel_gap, time_limit=max(budget.until(_FIRST), 0.01), start=start, solver=solver
        )
        if first.limit is None:
            return first
        plan, known = first, first.bound
    except TimeLimitError as error:
        known = known if error.bound is None else error.bound
    levels = levels_of(program, known, budget, solver)
    plan = _planned(program, levels, plan, effort)
    if plan is None:
        plan = _any_plan(program, levels, effort, patience)
    if relative_gap(min(one.bound for one in levels), plan.objective) > _WIDE:
        plan = _nearer(program, levels, plan, effort)
    plan = _proven(levels, plan, effort)
    bound = min(min(one.bound for one in levels), plan.objective)
    done = relative_gap(bound, plan.objective) <= rel_gap
    return replace(plan, program=whole, bound=bound, seconds=budget.spent, limit=None if done else Limit.TIME)


def _planned(program: CampaignProgram, levels: list[Level], plan: Solution | None, effort: _Effort) -> Solution | None:
    """The best plan of the levels with the lowest bounds, or None if there is none."""
    budget, solver = effort.budget, effort.solver
    longest, window = _ROUND * budget.limit, _WINDOW * budget.limit
    if plan is not None:  # that of a campaign within this one: what is new here often helps
        mine, some = level_of(program, levels, plan), Budget(max(_OTHER * budget.limit, 0.01), budget.now)
        plan = improved(program, plan, mine.program, some, longest=longest, solver=solver)
    for level in sorted(levels, key=lambda one: one.bound)[:_BUILT]:
        left = budget.until(_PLAN)
        if not left or (plan is not None and level.bound >= plan.objective):
            continue
        effort.progress(f"plan with {level.stages} stages")
        some = Budget(min(_BUILD * budget.limit, left), budget.now)
        fresh = built(program, level.program, some, longest=window, solver=solver)
        left = budget.until(_PLAN)
        if fresh is not None and left:
            some = Budget(left if plan is None else min(left, _OTHER * budget.limit), budget.now)
            fresh = improved(program, fresh, level.program, some, longest=longest, solver=solver)
        if fresh is not None and (plan is None or fresh.objective < plan.objective):
            plan = fresh
    left = budget.until(_PLAN)
    if plan is not None and left:
        mine = level_of(program, levels, plan)
        plan = improved(program, plan, mine.program, Budget(left, budget.now), longest=longest, solver=solver)
    return plan


def _any_plan(program: CampaignProgram, levels: list[Level], effort: _Effort, patience: int) -> Solution:
    """Some plan, by branch and cut of the level with the lowest bound, for twice as long each time."""
    budget, seconds = effort.budget, _FIRST * effort.budget.limit
    while budget.left or patience > 0:
        level = min(levels, key=lambda one: one.bound)
        if not np.isfinite(level.bound):
            raise InfeasibleError(f"{program.program.name}: there is no plan")
        patience -= not budget.left
        seconds = max(2 * level.seconds, seconds)
        if patience <= 0 and budget.left:
            seconds = min(seconds, budget.left)
        effort.progress(f"any plan with {level.stages} stages")
        try:
            found = solve_campaign_program(
                level.program, rel_gap=effort.rel_gap / 2, time_limit=seconds, solver=effort.solver
            )
        except InfeasibleError:
            level.bound = np.inf
            continue
        except TimeLimitError as error:
            level.seconds = seconds
            level.bound = max(level.bound, -np.inf if error.bound is None else error.bound)
            continue
        level.bound = max(level.bound, found.bound)
        return found
    raise TimeLimitError(f"{program.program.name}: no plan was found in {budget.spent:.0f} s")


def _nearer(program: CampaignProgram, levels: list[Level], plan: Solution, effort: _Effort) -> Solution:
    """A plan at least as good by branch and cut of its level: where the gap is wide the plan is far, not the bound."""
    level = level_of(program, levels, plan)
    try:
        found = solve_campaign_program(
            level.program, rel_gap=_WIDE / 2, time_limit=max(_SLICE * effort.budget.left, 0.01), start=plan.x,
            solver=effort.solver,
        )  # fmt: skip
    except SolverError:
        return plan
    level.bound = max(level.bound, found.bound)
    return found if found.objective < plan.objective else plan


def _proven(levels: list[Level], plan: Solution, effort: _Effort) -> Solution:
    """The plan, or a better one that turned up, after proofs that go farther each time, up to half of the gap.

    They end where the gap is small or the time is up. After one that failed, the next goes half as far.
    """
    budget, rel_gap = effort.budget, effort.rel_gap
    step, too_high = _STEP, np.inf
    while budget.left:
        lowest = min(one.bound for one in levels)
        gap = relative_gap(lowest, plan.objective)
        if gap <= rel_gap:
            break
        wanted = plan.objective - max(_HALF * gap, (1 - 1e-9) * rel_gap) * abs(plan.objective)
        wanted = min(wanted, lowest + step * abs(plan.objective), (lowest + too_high) / 2)
        if np.isfinite(too_high) and wanted - lowest < _LEAST * abs(plan.objective):
            break
        waiting = sorted((one for one in levels if one.bound < wanted), key=lambda one: one.bound)
        level, seconds = waiting[0], budget.left * (1.0 if len(waiting) == 1 else _SLICE)
        effort.progress(f"bound with {level.stages} stages, gap {gap:.1%}")
        try:
            found = solve_campaign_program(
                level.proof, rel_gap=rel_gap / 2, time_limit=seconds, cutoff=wanted, solver=effort.solver
            )
        except InfeasibleError:
            level.bound = wanted
            step *= 1.0 if len(waiting) > 1 else 2.0
        except TimeLimitError as error:
            too_high = wanted
            level.bound = max(level.bound, -np.inf if error.bound is None else min(error.bound, wanted))
        else:
            level.bound = max(level.bound, found.bound)
            plan = replace(plan, x=found.x[: plan.x.size], objective=found.objective)
            too_high = np.inf
    return plan


def _plan_at(program: LinearProgram, x: Array, solver: str) -> Solution:
    return Solution(program, program.value(x), -np.inf, x, np.zeros(program.shape[0]), solver, 0.0)
