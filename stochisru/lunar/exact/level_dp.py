"""The multistage optimum under economies of scale on a Markov lattice, exact over levels of plant."""

from __future__ import annotations

import time

from scenario_trees.lattice import MarkovLattice
from stochisru.lunar.case import DeploymentCase, require_case
from stochisru.lunar.exact.lattice_levels import LatticeLevels
from stochisru.lunar.exact.level_plan import LevelPlan
from stochisru.lunar.information import flows
from stochisru.lunar.trees import LEVEL_STATES, case_lattice
from stochisru.methods.result import Bounds, Kind, Of, Reason, Result, Termination


def level_dp(
    case: DeploymentCase, lattice: MarkovLattice | None = None, *, states: int = LEVEL_STATES
) -> Result[LevelPlan]:
    """Solve the multistage problem on a lattice exactly where costs are not linear.

    Any horizon and lead time; no solver. The time grows as T³ times the cube of the states of a stage.

    Parameters
    ----------
    lattice
        Lattice of demand, one stage per year; `stochisru.lunar.trees.case_lattice` with ``states`` per stage if not
        given.
    states
        States per stage of the lattice that is made.

    Returns
    -------
    Result
        The lower bound is the plan evaluated on the lattice, the upper bound the value of the dynamic programme; they
        differ by rounding. Both are values on the lattice.

    Raises
    ------
    InputError
        If lattice and case do not match, or the cost of a deployment is not concave in its size.

    Examples
    --------
    >>> from stochisru import load_case
    >>> from stochisru.lunar.exact.level_dp import level_dp
    >>> result = level_dp(load_case("lunar-reference").replace(T=30, lot=500.0, fixed_cost=2e7), states=10)
    >>> result.bounds.gap < 1e-9
    True
    """
    require_case(case)
    start = time.perf_counter()
    if lattice is None:
        lattice = case_lattice(case, states)
    problem = LatticeLevels(case, lattice)
    value, rule = problem.optimum()
    solved = time.perf_counter()
    worth = problem.course(rule).value
    return Result(
        method="lattice-dp",
        objective=worth,
        bounds=Bounds(worth, value, Kind.CERTIFIED, Of.LATTICE, flows(case, lattice)),
        termination=Termination(Reason.OPTIMAL, detail=f"exact on {lattice!r} and {problem.levels.size:,} levels"),
        plan=LevelPlan(problem, rule),
        timings={"solve": solved - start, "evaluate": time.perf_counter() - solved},
        solver="dynamic programme",
    )
