"""The recourse problem RP on a tree under economies of scale, exactly: a dynamic programme over levels of plant.

See `stochisru.lunar.exact.levels` for why few levels of plant can be optimal. There is no solver and no gap; what the
method needs is a cost that is concave in the size of a deployment, modules or not.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from scenario_trees.arrays import Array
from scenario_trees.tree import ScenarioTree
from stochisru.lunar.case import DeploymentCase, why_no_case
from stochisru.lunar.exact.levels import TreeLevels, why_no_exact_levels
from stochisru.lunar.information import flows, require_match
from stochisru.lunar.learning.case import LearningCase, is_learning
from stochisru.lunar.tree_program import TreePlan
from stochisru.methods.options import NoOptions
from stochisru.methods.result import Bounds, Kind, Of, Reason, Result, Termination
from stochisru.problem.information import Held


class TreeDynamicProgramme:
    """Exact on a tree, over the levels of plant that can be optimal; see `tree_dp`."""

    name, summary, on = "dp", "exact on the tree where the cost of a deployment is concave in its size", Of.TREE
    options = NoOptions

    def refuses(self, case: DeploymentCase | LearningCase) -> str | None:
        """Costs that are not concave in size, and modules that degrade."""
        if is_learning(case):
            return None
        return why_no_case(case, "dp") or why_no_exact_levels(case)

    def kind(self, case: DeploymentCase) -> Kind:
        """An exact recursion."""
        return Kind.CERTIFIED

    def solve(
        self,
        case: DeploymentCase | LearningCase,
        on: ScenarioTree,
        options: NoOptions,
        progress: Callable[[Any], None] | None = None,
    ) -> Result[TreePlan]:
        """Solve a problem on a tree."""
        if is_learning(case):
            from stochisru.lunar.learning.solving import learned_on_tree

            return learned_on_tree(case, on)
        assert isinstance(case, DeploymentCase)
        return tree_dp(case, on)

    def holding(
        self, case: DeploymentCase, on: ScenarioTree, held: Sequence[Held], options: NoOptions
    ) -> Iterator[Result[TreePlan]]:
        """Solve once for every given start of a plan, its orders one per year."""
        years = [plan.years("dM", case.horizon.lead_time) for plan in held]
        return tree_dps(case, on, [np.asarray(p.plan.get("dM", ()))[:n] for p, n in zip(held, years, strict=True)])


def tree_dp(case: DeploymentCase, tree: ScenarioTree) -> Result[TreePlan]:
    """Solve the multistage problem on ``tree`` exactly.

    Returns
    -------
    Result
        The lower bound is the optimal plan evaluated node by node, the upper bound the value of the dynamic
        programme; they differ by rounding.

    Raises
    ------
    InputError
        If tree and case do not match, the cost of a deployment is not concave in its size, modules degrade, or the
        tree has more levels than the method takes.

    Examples
    --------
    >>> from scenario_trees import ScenarioTree
    >>> from stochisru import load_case
    >>> from stochisru.lunar.exact.tree_dp import tree_dp
    >>> case = load_case("lunar-reference").replace(T=4, lot=50.0, fixed_cost=2e6)
    >>> result = tree_dp(case, ScenarioTree.from_process(case.process, [3] * 4))
    >>> result.bounds.gap < 1e-9, result.plan.root.tolist()
    (True, [300.0, 0.0])
    """
    return next(tree_dps(case, tree, [np.zeros(0)]))


def tree_dps(case: DeploymentCase, tree: ScenarioTree, held: Sequence[Array]) -> Iterator[Result[TreePlan]]:
    """Solve the problem once for every given start of one plan.

    Parameters
    ----------
    held
        Plans ΔM_0, ΔM_1, … (kg), each fixed in advance for as many years as it is long, and each the start of the
        longest one; later years are free.
    """
    require_match(case, tree)
    start = time.perf_counter()
    longest = max(held, key=len)
    levels = TreeLevels(case, tree, tuple(map(float, longest)))
    size = flows(case, tree)
    for plan in held:
        value, deployment = levels.optimum(len(plan))
        found = TreePlan(case, tree, deployment)
        bounds = Bounds(found.value, value, Kind.CERTIFIED, Of.TREE, size)
        seconds = time.perf_counter() - start
        yield Result(
            method="dp",
            objective=found.value,
            bounds=bounds,
            termination=Termination(
                Reason.OPTIMAL, detail=f"exact dynamic programme over {levels.levels.size:,} levels of plant"
            ),
            plan=found,
            timings={"solve": seconds},
            solver="dynamic programme",
        )
        start = time.perf_counter()
