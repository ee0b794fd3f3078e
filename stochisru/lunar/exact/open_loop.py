"""Plans that do not react to demand: static plan, fixed design, expected value.

All three are exact and need no solver (`stochisru.lunar.exact.layers`, with economies of scale `levels`).
"""

from __future__ import annotations

import time

import numpy as np

from scenario_trees.arrays import Array
from scenario_trees.tree import ScenarioTree
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.exact import layers
from stochisru.lunar.exact.in_advance import open_loop
from stochisru.lunar.information import flows, plan_value, require_match
from stochisru.lunar.tree_program import TreePlan
from stochisru.methods.result import Bounds, Kind, Of, Reason, Result, Termination


def _stages(tree: ScenarioTree) -> tuple[list[Array], list[Array]]:
    years = range(tree.horizon + 1)
    return [tree.value[tree.at(t)] for t in years], [tree.probability[tree.at(t)] for t in years]


def _result(
    method: str, case: DeploymentCase, tree: ScenarioTree, deployment: Array, bounds: Bounds, start: float
) -> Result[TreePlan]:
    plan = TreePlan(case, tree, deployment[tree.stage])
    return Result(
        method=method,
        objective=bounds.lower,
        bounds=bounds,
        termination=Termination(
            Reason.OPTIMAL, detail=f"exact, {'layer by layer' if case.is_linear else 'level by level'}"
        ),
        plan=plan,
        timings={"solve": time.perf_counter() - start},
        solver="closed form",
    )


def static_plan(case: DeploymentCase, tree: ScenarioTree) -> Result[TreePlan]:
    """Best plan with all ΔM_t decided at the root (open loop, two stages).

    Its lower bound is the plan evaluated on the tree, its upper bound the optimum of the layer problem; they
    differ by rounding.
    """
    start = time.perf_counter()
    require_match(case, tree)
    best = open_loop(case, *_stages(tree))
    bounds = Bounds(
        plan_value(case, tree, best.deployment[tree.stage]), best.value, Kind.CERTIFIED, Of.TREE, flows(case, tree)
    )
    return _result("static", case, tree, best.deployment, bounds, start)


def fixed_design(case: DeploymentCase, tree: ScenarioTree) -> Result[TreePlan]:
    """Best single deployment ΔM_0 with none later.

    Where the case fixes ΔM_0 = 0 this is the value of never deploying.
    """
    start = time.perf_counter()
    require_match(case, tree)
    first = np.zeros(tree.horizon + 1, dtype=bool)
    first[0] = True
    best = open_loop(case, *_stages(tree), allowed=first)
    bounds = Bounds(
        plan_value(case, tree, best.deployment[tree.stage]), best.value, Kind.CERTIFIED, Of.TREE, flows(case, tree)
    )
    return _result("fixed", case, tree, best.deployment, bounds, start)


def expected_value_plan(case: DeploymentCase, tree: ScenarioTree) -> layers.OpenLoopPlan:
    """EV: optimum of the mean path of ``tree``, with its deployment plan."""
    require_match(case, tree)
    mean = tree.stage_mean()
    return open_loop(case, [mean[t : t + 1] for t in range(mean.size)], [np.ones(1)] * mean.size)


def expected_value(case: DeploymentCase, tree: ScenarioTree) -> Result[TreePlan]:
    """EEV: the deployment plan of the mean path held on every path, operations free."""
    start = time.perf_counter()
    best = expected_value_plan(case, tree)
    value = plan_value(case, tree, best.deployment[tree.stage])
    bounds = Bounds.point(value, Kind.CERTIFIED, Of.TREE, flows(case, tree))
    return _result("eev", case, tree, best.deployment, bounds, start)
