"""The multistage optimum under learning by doing on a tree and on a lattice."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from scenario_trees.arrays import Array
from scenario_trees.lattice import MarkovLattice
from scenario_trees.tree import ScenarioTree
from stochisru.lunar.exact.lattice_levels import LatticeLevels
from stochisru.lunar.exact.level_plan import LevelPlan
from stochisru.lunar.exact.levels import Choice
from stochisru.lunar.information import Commitments, flows, require_match
from stochisru.lunar.learning.bracket import Grid, on_lattice, on_tree
from stochisru.lunar.learning.case import LearningCase
from stochisru.lunar.learning.plan import LearnedPlan
from stochisru.methods.result import ROUNDING, Bounds, Kind, Of, Reason, Result, Termination


def stages(tree: ScenarioTree) -> list[Array]:
    """Demand of each year, kg/yr."""
    return [tree.value[tree.at(t)] for t in range(tree.horizon + 1)]


def orders(case: LearningCase, tree: ScenarioTree, lead: int, levels: Array, choices: Sequence[Choice]) -> Array:
    """ΔM at every node, kg, of choices by commitment and level before, each of ``lead`` years before."""
    known = Commitments(tree, lead)
    at, placed = np.zeros(1, dtype=np.int64), np.empty(known.count)
    for t, choice in enumerate(choices):
        here = known.at(t)
        if t:
            at = at[known.previous[here] - int(known.offsets[t - 1])]
        then = choice[np.arange(at.size), at].astype(np.int64)
        placed[here] = levels[then] - levels[at]
        at = then
    return np.asarray(placed[known.of_node])


def learned_on_tree(case: LearningCase, tree: ScenarioTree, lead: int | None = None) -> Result[LearnedPlan]:
    """Optimum on a tree; with modules exact, else between a plan and a relaxation, both certified.

    Parameters
    ----------
    lead
        Years between order and arrival, those of the case if not given; all is decided at the root where they are T.

    Raises
    ------
    InputError
        If tree and case do not match, or the tree is too large.

    Examples
    --------
    >>> from scenario_trees import ScenarioTree
    >>> from stochisru import load_case
    >>> from stochisru.lunar.learning.case import LearningCase
    >>> from stochisru.lunar.learning.rate import Learning
    >>> from stochisru.lunar.learning.solving import learned_on_tree
    >>> case = LearningCase(load_case("contested-market").replace(T=3, lot=20.0), Learning(0.2, 40.0))
    >>> result = learned_on_tree(case, ScenarioTree.from_process(case.process, [3, 3, 3]))
    >>> result.bounds.certified, result.bounds.gap < 1e-9
    (True, True)
    """
    base = case.base
    require_match(base, tree)
    start = time.perf_counter()
    lead = base.horizon.lead_time if lead is None else lead
    grid = Grid.of(base, case.learning, stages(tree), Commitments(tree, lead).count)
    known = on_tree(base, tree, grid.levels, lead)
    value, choices = grid.floor(known)
    plan = LearnedPlan(base, tree, orders(case, tree, lead, grid.levels, choices), whole=case)
    upper = value if grid.whole else grid.ceiling(known)
    return Result(
        method="dp",
        objective=plan.value,
        bounds=_bracket(plan.value, upper, Of.TREE, flows(base, tree)),
        termination=Termination(Reason.OPTIMAL, detail=_told(grid)),
        plan=plan,
        timings={"solve": time.perf_counter() - start},
        solver="dynamic programme",
    )


def learned_on_lattice(case: LearningCase, lattice: MarkovLattice) -> Result[LevelPlan]:
    """Optimum on a lattice; with modules exact, else between a plan and a relaxation, both certified.

    Raises
    ------
    InputError
        If lattice and case do not match.
    """
    base, start = case.base, time.perf_counter()
    grid = Grid.of(base, case.learning, lattice.values, sum(lattice.sizes))
    problem = LatticeLevels(base, lattice, case.learning.cost(base), tuple(grid.levels.tolist()))
    value, rule = problem.optimum()
    worth = problem.course(rule).value
    grid = Grid(base, case.learning, problem.levels)
    upper = value if grid.whole else grid.ceiling(on_lattice(problem))
    return Result(
        method="lattice-dp",
        objective=worth,
        bounds=_bracket(worth, upper, Of.LATTICE, flows(base, lattice)),
        termination=Termination(Reason.OPTIMAL, detail=_told(grid)),
        plan=LevelPlan(problem, rule),
        timings={"solve": time.perf_counter() - start},
        solver="dynamic programme",
    )


def _bracket(lower: float, upper: float, of: Of, size: float) -> Bounds:
    """Both ends are recursions over finitely many numbers; they may cross by rounding."""
    return Bounds(lower, upper + ROUNDING * size, Kind.CERTIFIED, of, size)


def _told(grid: Grid) -> str:
    count = f"{grid.levels.size:,} levels of plant"
    return f"exact over all numbers of modules, {count}" if grid.whole else f"between a policy and a bound on {count}"
