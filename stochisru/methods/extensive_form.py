"""The recourse problem RP on a tree, solved whole."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from scenario_trees.tree import ScenarioTree
from stochisru.case import DeploymentCase
from stochisru.deployment.information import Commitments, flows, require_match
from stochisru.deployment.tree_program import TreePlan, plan_from_solution, plant_limits, tree_program
from stochisru.linear_program import solve_family
from stochisru.methods.result import REL_GAP, Bounds, Reason, Result, Termination

Array = NDArray[np.float64]


def extensive_form(
    case: DeploymentCase, tree: ScenarioTree, *, solver: str = "highs", rel_gap: float = REL_GAP
) -> Result[TreePlan]:
    """Solve the multistage problem on ``tree`` whole.

    Parameters
    ----------
    case, tree
        The problem.
    solver
        ``highs`` or ``gurobi``.
    rel_gap
        Gap up to which the result is called optimal.

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
    return next(extensive_forms(case, tree, [np.zeros(0)], solver=solver, rel_gap=rel_gap))


def extensive_forms(
    case: DeploymentCase,
    tree: ScenarioTree,
    held: Iterable[Array],
    *,
    solver: str = "highs",
    rel_gap: float = REL_GAP,
) -> Iterator[Result[TreePlan]]:
    """Solve the problem once for every given start of the plan.

    Parameters
    ----------
    held
        Plans ΔM_0, ΔM_1, … (kg), each fixed in advance for as many years as it is long; later years are free.
        Each program starts from the optimum of the one before.
    """
    require_match(case, tree)
    start = time.perf_counter()
    commitments = Commitments(tree, case.horizon.lead_time)
    program = tree_program(case, tree)
    size = flows(case, tree)
    building = time.perf_counter() - start
    variants = (plant_limits(program, commitments.plant_bounds(case, plan)) for plan in held)
    for solution in solve_family(program, variants, solver):
        solved = time.perf_counter()
        plan = plan_from_solution(case, tree, solution)
        bounds = Bounds(plan.value, solution.bound, certified=True, flows=size)
        met = bounds.meets(rel_gap)
        read = time.perf_counter() - solved
        yield Result(
            method="ef",
            objective=plan.value,
            bounds=bounds,
            termination=Termination(
                Reason.OPTIMAL if met else Reason.LIMIT,
                None if met else "numerical",
                f"{solution.solver} solved the whole tree; gap {bounds.gap:.2g}, {rel_gap:.2g} asked for",
            ),
            plan=plan,
            timings={"build": building, "solve": solution.seconds, "read": read},
            solver=solution.solver,
        )
