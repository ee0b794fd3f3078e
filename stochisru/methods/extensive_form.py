"""The recourse problem RP on a tree, solved whole."""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from scenario_trees.tree import ScenarioTree
from stochisru.case import DeploymentCase
from stochisru.deployment.tree_program import plan_from_solution, tree_program
from stochisru.linear_program import solve
from stochisru.methods.result import Bounds, Reason, Result, Termination

Array = NDArray[np.float64]


def extensive_form(
    case: DeploymentCase, tree: ScenarioTree, *, solver: str = "highs", held: Array | None = None
) -> Result:
    """Solve the multistage problem on ``tree`` to optimality.

    Parameters
    ----------
    case, tree
        The problem.
    solver
        ``highs`` or ``gurobi``.
    held
        Deployments ΔM_0, ΔM_1, … (kg) that are fixed in advance.

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
    start = time.perf_counter()
    program = tree_program(case, tree, held)
    built = time.perf_counter()
    solution = solve(program, solver)
    solved = time.perf_counter()
    plan = plan_from_solution(case, tree, solution)
    bounds = Bounds(plan.value, solution.bound, certified=True)
    return Result(
        method="ef",
        objective=plan.value,
        bounds=bounds,
        termination=Termination(Reason.OPTIMAL, detail=f"{solution.solver} solved the whole tree"),
        plan=plan,
        timings={"build": built - start, "solve": solved - built, "read": time.perf_counter() - solved},
        solver=solution.solver,
    )
