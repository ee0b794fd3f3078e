"""The optimum on a Markov lattice under a nested risk measure, by a dynamic programme over levels of plant."""

from __future__ import annotations

import time

import numpy as np

from scenario_trees.arrays import Array
from scenario_trees.lattice import MarkovLattice
from stochisru.errors import InputError
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.exact.lattice_layers import require_lattice
from stochisru.lunar.exact.level_plan import LevelPlan
from stochisru.lunar.exact.levels import levels_of
from stochisru.lunar.exact.nested_bound import NestedBound
from stochisru.lunar.exact.nested_levels import NestedLevels, modules_of, why_no_nested_levels
from stochisru.lunar.information import flows
from stochisru.lunar.trees import LEVEL_STATES, case_lattice
from stochisru.methods.result import Bounds, Kind, Of, Reason, Result, Termination
from stochisru.methods.risk import Nested
from stochisru.protocols import RiskMeasure

#: Levels of a linear case that a first bound is formed on, and the most bends and stops of plans that are kept.
_FIRST, _MOST = 60, 400
#: Allowance for rounding, per unit of the money that flows.
_ROUNDING = 1e-13


def nested_dp(
    case: DeploymentCase, lattice: MarkovLattice | None = None, *, states: int = LEVEL_STATES, risk: RiskMeasure
) -> Result[LevelPlan]:
    """Solve a case on a lattice under a nested risk measure, without a solver.

    Parameters
    ----------
    case
        Linear costs with any Earth limit and degradation, or plants in modules that last; L ≤ 1.
    lattice
        Lattice of demand, one stage per year; `stochisru.lunar.trees.case_lattice` with ``states`` per stage if not
        given.
    states
        States per stage of the lattice that is made.
    risk
        One of `stochisru.methods.risk`, nested over the years.

    Returns
    -------
    Result
        The lower bound is the plan evaluated on the lattice under the measure. With modules it is the optimum, and the
        upper bound differs by rounding. With linear costs the plan keeps to some hundred levels, and the upper bound is
        `NestedBound` on the same; they meet within about 1e-4. Both are certified values on the lattice, under that
        measure. ``plan.problem.course(plan.rule)`` is the same plan under expectation.

    Raises
    ------
    InputError
        If lattice and case do not match, or the case is none of these.

    Examples
    --------
    >>> from stochisru import load_case
    >>> from stochisru.methods.risk import ChiSquareBall
    >>> result = nested_dp(load_case("contested-market").replace(T=5), states=8, risk=ChiSquareBall(0.1))
    >>> result.bounds.certified, result.bounds.gap < 1e-3
    (True, True)
    """
    start = time.perf_counter()
    reason = why_no_nested_levels(case)
    if reason is not None:
        raise InputError(reason)
    if lattice is None:
        lattice = case_lattice(case, states)
    require_lattice(case, lattice)
    size = flows(case, lattice)
    upper: float | None = None
    levels = modules_of(case, lattice)
    if levels is None:
        levels, upper = _continuous(case, Nested(risk, lattice))
        upper += _ROUNDING * (case.horizon.T + 1) * size
    problem = NestedLevels(case, lattice, risk=risk, given=levels)
    value, rule = problem.optimum()
    solved = time.perf_counter()
    worth = problem.value(rule)
    return Result(
        method="lattice-dp",
        objective=worth,
        bounds=Bounds(worth, value if upper is None else upper, Kind.CERTIFIED, Of.LATTICE, size),
        termination=Termination(
            Reason.OPTIMAL, detail=f"on {lattice!r} and {levels.size:,} levels of plant, {risk.label}"
        ),
        plan=LevelPlan(problem, rule),
        timings={"solve": solved - start, "evaluate": time.perf_counter() - solved},
        solver="dynamic programme",
    )


def _continuous(case: DeploymentCase, nested: Nested) -> tuple[Array, float]:
    """Levels for a plan of any mass, and the upper bound on them."""
    bends = levels_of(case, nested.lattice.values)
    _, stops = NestedBound(case, nested, _thinned(bends, _FIRST)).solve()
    grid = np.unique(np.concatenate([_thinned(bends, _MOST), _thinned(np.unique(stops), _MOST)]))
    # Few states have few bends: other levels, where the years to come are weighed otherwise, lie between them.
    between = max(1, _MOST // grid.size)
    share = np.arange(between) / between
    grid = np.append((grid[:-1, None] + share * np.diff(grid)[:, None]).ravel(), grid[-1])
    upper, stops = NestedBound(case, nested, grid).solve()
    return np.unique(np.concatenate([grid, _thinned(np.unique(stops), _MOST)])), upper


def _thinned(levels: Array, most: int) -> Array:
    """At most so many of ascending levels, evenly."""
    return levels[np.unique(np.linspace(0, levels.size - 1, min(most, levels.size)).round().astype(np.int64))]
