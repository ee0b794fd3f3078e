"""The recourse problem RP on a tree, solved whole."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from scenario_trees.tree import ScenarioTree
from stochisru.case import DeploymentCase
from stochisru.deployment.information import Commitments, require_match
from stochisru.deployment.tree_program import plan_from_solution, tree_program
from stochisru.linear_program import LinearProgram, solve_family
from stochisru.methods.result import Bounds, Reason, Result, Termination

Array = NDArray[np.float64]


def extensive_form(case: DeploymentCase, tree: ScenarioTree, *, solver: str = "highs") -> Result:
    """Solve the multistage problem on ``tree`` to optimality.

    Parameters
    ----------
    case, tree
        The problem.
    solver
        ``highs`` or ``gurobi``.

    Returns
    -------
    Result
        The lower bound is the optimal plan evaluated node by node in closed form, the upper bound a dual
        bound that holds whatever the solver's tolerances.

    Raises
    ------
    InputError
        If tree and case do not match, or the solver is not there.
    SolverError
        If the solver fails.
    """
    return next(extensive_forms(case, tree, [np.zeros(0)], solver=solver))


def extensive_forms(
    case: DeploymentCase, tree: ScenarioTree, held: Iterable[Array], *, solver: str = "highs"
) -> Iterator[Result]:
    """Solve the problem once for every given start of the plan.

    Parameters
    ----------
    held
        Plans ΔM_0, ΔM_1, … (kg), each fixed in advance for as many years as it is long; later years are free.
        Each program starts from the optimum of the one before.
    """
    require_match(case, tree)
    commitments = Commitments(tree, case.horizon.lead_time)
    start = time.perf_counter()
    building = 0.0

    def programs() -> Iterator[LinearProgram]:
        nonlocal building
        for plan in held:
            begin = time.perf_counter()
            program = tree_program(case, tree, commitments.plant_bounds(case, plan))
            building = time.perf_counter() - begin
            yield program

    for solution in solve_family(programs(), solver):
        solved = time.perf_counter()
        plan = plan_from_solution(case, tree, solution)
        bounds = Bounds(plan.value, solution.bound, certified=True)
        read = time.perf_counter() - solved
        yield Result(
            method="ef",
            objective=plan.value,
            bounds=bounds,
            termination=Termination(Reason.OPTIMAL, detail=f"{solution.solver} solved the whole tree"),
            plan=plan,
            timings={"build": building, "solve": solved - start - building, "read": read},
            solver=solution.solver,
        )
        start = time.perf_counter()
