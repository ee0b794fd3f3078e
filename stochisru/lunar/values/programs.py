"""Values of a tree where no exact method takes the case: every value by a program, the extensive form.

Costs that rise faster than size, and modules that degrade, have no few levels of plant that can be optimal
(`stochisru.lunar.exact.levels`). Any curve has a program: RP and EEV_t are the extensive form, the static plan and the
fixed design the program of the case's model under less information, perfect information one program a scenario.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from scenario_trees.arrays import Array
from scenario_trees.tree import ScenarioTree
from stochisru.errors import InputError, SolverError
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.exact.in_advance import why_not_in_advance
from stochisru.lunar.exact.wait_and_see import WaitAndSeeValues
from stochisru.lunar.information import flows, plan_value
from stochisru.lunar.tree_program import TreePlan
from stochisru.lunar.values.table import InAdvance
from stochisru.methods.extensive_form import MIXED_GAP, bettered, extensive_form
from stochisru.methods.result import MIXED_ROUNDING, Bounds, Kind, Of, Reason, Result, Termination
from stochisru.problem.information import Fixed, Information, Static
from stochisru.problem.paths import mean_path
from stochisru.programs.effort import SolverLimits
from stochisru.values import optimum

#: Scenarios of a tree whose perfect information is a program each: about 15 s.
MOST_SCENARIOS = 1_000
#: Seconds after which a program with whole numbers is left with the gap that it has.
TIME_LIMIT = 60.0


def why_no_tree_values(case: DeploymentCase, tree: ScenarioTree) -> str | None:
    """Why a tree is too large for values by programs, in one sentence, or None where it is not or needs none."""
    reason = why_not_in_advance(case)
    if reason is None or tree.n_leaves <= MOST_SCENARIOS:
        return None
    return (
        f"branching: must leave at most {MOST_SCENARIOS:,} scenarios where perfect information is a program for each, "
        f"got {tree.n_leaves:,}; no exact method takes the case: {reason.partition(' for the exact')[0]}"
    )


def in_advance_by_programs(
    case: DeploymentCase, tree: ScenarioTree, solver: str, say: Callable[[str], None]
) -> InAdvance:
    """What is known in advance of a case that no exact method takes.

    Raises
    ------
    InputError
        If the tree has more than `MOST_SCENARIOS` scenarios.
    """
    reason = why_no_tree_values(case, tree)
    if reason is not None:
        raise InputError(reason)
    say("ws")
    foresight = _foresight(case, tree, solver)
    say("static, fixed, ev, eev")
    ev = extensive_form(case, mean_path(tree), solver=solver, time_limit=TIME_LIMIT)
    plan = np.asarray(ev.plan.deployment)
    expected = _given("eev", case, tree, plan[tree.stage])
    fixed = bettered(
        _in_advance("fixed", case, tree, Fixed(), solver), [_given("nothing", case, tree, np.zeros(tree.n_nodes))]
    )
    static = bettered(_in_advance("static", case, tree, Static(), solver), [fixed, expected])
    return InAdvance(foresight, static, fixed, expected, ev.bounds, plan)


def _foresight(case: DeploymentCase, tree: ScenarioTree, solver: str) -> WaitAndSeeValues:
    """Perfect information, one program for each scenario."""
    start = time.perf_counter()
    found = []
    for leaf in range(tree.leaves.start, tree.leaves.stop):
        path, _ = tree.branch(leaf)
        found.append(extensive_form(case, path, solver=solver, time_limit=TIME_LIMIT))
    probability = tree.probability[tree.leaves]
    lower, upper = (np.array([getattr(result.bounds, end) for result in found]) for end in ("lower", "upper"))
    kind = max((result.bounds.kind for result in found), key=list(Kind).index)
    return WaitAndSeeValues(
        bounds=Bounds(float(probability @ lower), float(probability @ upper), kind, Of.TREE, flows(case, tree)),
        leaf_value=lower,
        leaf_deployment=np.stack([result.plan.deployment for result in found], axis=1),
        probability=probability,
        seconds=time.perf_counter() - start,
    )


def _given(name: str, case: DeploymentCase, tree: ScenarioTree, deployment: Array) -> Result[TreePlan]:
    """A plan in hand, evaluated on the tree."""
    value = plan_value(case, tree, deployment)
    bounds = Bounds.point(value, Kind.CERTIFIED, Of.TREE, flows(case, tree))
    return Result(
        method=name,
        objective=value,
        bounds=bounds,
        termination=Termination(Reason.OPTIMAL, detail="a plan that is given"),
        plan=TreePlan(case, tree, deployment),
        timings={},
        solver="none",
    )


def _in_advance(
    name: str, case: DeploymentCase, tree: ScenarioTree, information: Information, solver: str
) -> Result[TreePlan]:
    """Optimum of a plan that does not react: the plan evaluated node by node below, the solver's bound above."""
    start = time.perf_counter()
    found = optimum(case.model, tree, information, solver, SolverLimits(MIXED_GAP, TIME_LIMIT))
    if found is None or found.plan is None:
        raise SolverError(f"{name}: the solver found no plan, though doing nothing is one")
    held = _given(name, case, tree, found.plan["dM"])
    upper = found.bounds.upper + MIXED_ROUNDING * held.bounds.flows  # the solver's bound holds to its tolerances
    return replace(
        held,
        bounds=Bounds(held.objective, upper, Kind.SOLVER, Of.TREE, held.bounds.flows),
        termination=Termination(Reason.OPTIMAL, detail="a program whose decisions are all taken at the root"),
        timings={"solve": time.perf_counter() - start},
        solver=solver,
    )
