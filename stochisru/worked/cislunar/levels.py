"""Levels of a campaign's search: its plans by the number of stages that they buy.

A stage is dear, and few are bought: three years need two or three. On a level stages fly in small whole numbers, its
relaxation is much tighter than that of all levels together, and the least of the levels' bounds holds for every plan.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from scenario_trees.arrays import Mask
from stochisru.errors import InfeasibleError, TimeLimitError
from stochisru.programs.effort import Budget
from stochisru.programs.sparse import LinearProgram, Solution, solve
from stochisru.worked.cislunar.program import COUNTS, CampaignProgram, campaign_program
from stochisru.worked.cislunar.units import solve_campaign_program

#: Levels with a number of stages of their own; the last one has all larger numbers.
_LEVELS = 4
#: Shares of the time: by which the bounds of all levels are there, and that each of them may take anyway.
_SHARE, _LEAST = 0.15, 0.01
#: Gap at which a level's relaxation is good enough.
_RELAXED_GAP = 2e-3


@dataclass
class Level:
    """Plans with a number of stages, or more: their program, what none of them can undercut, seconds of search.

    ``program`` has the columns of the whole program, so a plan of one is a plan of the other. ``proof`` holds only the
    plans that do everything as early as they can, of which one is as cheap as any: it is for bounds, since plans are
    harder to find among so few. Its first columns are those of the program.
    """

    stages: int
    program: LinearProgram
    proof: LinearProgram
    bound: float
    seconds: float = 0.0


def levels_of(program: CampaignProgram, known: float, budget: Budget, solver: str) -> list[Level]:
    """Levels from the least number of stages on, each with the bound of its relaxation with whole plants.

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
        if last:
            lower = whole.lower.copy()
            lower[bought[-1]] = stages
            level = proof = whole.with_bounds(lower, whole.upper)
        else:
            level = _with(program, stages)
            proof = _bought_early(program, _with(program, stages, fleet=max(1, stages)), stages)
        seconds = max(budget.until(_SHARE) / (least + _LEVELS + 1 - stages), _LEAST * budget.limit)
        found.append(Level(stages, level, proof, max(known, _relaxed(program, proof, solver, seconds))))
    return found


def _with(program: CampaignProgram, stages: int, fleet: int | None = None) -> LinearProgram:
    """The program of the campaign with a number of stages, and so no more of them on a leg."""
    p = program.campaign
    small = p.with_values(most_stages=float(max(1, min(stages, p["most_stages"]))))
    level = campaign_program(small, formulation=program.formulation, fleet=fleet).program
    lower, upper = level.lower.copy(), level.upper.copy()
    bought = level.columns["bought"].index
    lower[bought[-1]] = stages
    upper[bought] = np.minimum(upper[bought], stages)
    return level.with_bounds(lower, upper)


def _bought_early(program: CampaignProgram, level: LinearProgram, stages: int) -> LinearProgram:
    """Plans that buy all stages as early as they can: one costs no more, since a stage waits in LEO for nothing."""
    p = program.campaign
    if stages > p["most_stages"]:  # so many cannot wait there
        return level
    bought = level.columns["bought"].index
    lower, upper = level.lower.copy(), level.upper.copy()
    lower[bought] = upper[bought] = np.minimum(stages, p["new_stages"] * np.arange(1, bought.size + 1))
    return level.with_bounds(lower, upper)


def _relaxed(program: CampaignProgram, level: LinearProgram, solver: str, seconds: float) -> float:
    """Bound of a level with whole plants and purchases, flights in fractions; infinite if there is no such plan."""
    try:
        # Not its certified bound, which is loose in kilograms: bounds of branch and cut are the solver's anyway.
        linear = solve(replace(level, integer=np.zeros_like(level.integer)), solver).objective
        whole = block(level, "bought")
        whole[: program.program.shape[1]] |= _plants(program)
        mixed = replace(level, integer=whole)
        return max(linear, solve_campaign_program(mixed, rel_gap=_RELAXED_GAP, time_limit=seconds, solver=solver).bound)
    except InfeasibleError:
        return np.inf
    except TimeLimitError as error:
        return linear if error.bound is None else max(linear, error.bound)


def level_of(program: CampaignProgram, levels: list[Level], plan: Solution) -> Level:
    """Level of a plan by the stages that it buys."""
    stages = round(float(plan.x[program.program.columns["bought"].index[-1]]))
    return max((one for one in levels if one.stages <= stages), key=lambda one: one.stages, default=levels[0])


def block(program: LinearProgram, name: str) -> Mask:
    """Columns of a block, (columns,)."""
    found = np.zeros(program.shape[1], dtype=bool)
    found[program.columns[name].span] = True
    return found


def _plants(program: CampaignProgram) -> Mask:
    """Whole numbers of the plants' curves."""
    whole = program.program
    found = whole.integer & (program.window < 0)
    for name in COUNTS:
        found &= ~block(whole, name)
    return found
