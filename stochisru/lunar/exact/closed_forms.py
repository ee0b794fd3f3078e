"""Values of a case on a tree without a solver, as `stochisru.values` takes them: by layers, and by levels of plant.

Plans that are known in advance (wait-and-see, static plan, fixed design, a certain path) have closed forms where costs
are linear (`layers`) and few levels where they are concave (`levels`); there the multistage problem has levels too.
Where these do not apply they say why, and the program of the case's model is solved.
"""

from __future__ import annotations

import numpy as np

from scenario_trees.arrays import Array
from scenario_trees.tree import ScenarioTree
from stochisru.lunar.case import DeploymentCase, why_no_case
from stochisru.lunar.exact.in_advance import why_not_in_advance
from stochisru.lunar.exact.levels import MOST_LEVELS, TreeLevels, levels_on_tree
from stochisru.lunar.exact.open_loop import fixed_design, static_plan
from stochisru.lunar.exact.wait_and_see import wait_and_see
from stochisru.lunar.information import flows, plan_value, require_match
from stochisru.methods.result import Bounds, Kind, Of
from stochisru.problem.information import Fixed, Held, Information, Recourse, Static, WaitAndSee
from stochisru.values import Optimum


class ClosedForms:
    """Optima of a case by layers and levels; see `stochisru.values.ClosedForm`."""

    def refuses(self, problem: object, tree: ScenarioTree, information: Information) -> str | None:
        """Problems that are no cases, costs that are not concave in size, recourse where costs are linear."""
        if not isinstance(problem, DeploymentCase):
            return why_no_case(problem, "a closed form")
        reason = why_not_in_advance(problem)
        if reason is not None:
            return reason
        if isinstance(information, Held):
            return self._refuses_held(problem, tree, information)
        if type(information) in (Static, Fixed, WaitAndSee) or tree.n_leaves == 1:
            return None
        return self._refuses_recourse(problem, tree)

    def optimum(self, problem: DeploymentCase, tree: ScenarioTree, information: Information) -> Optimum:
        """Optimum of a case under an information that is not refused."""
        require_match(problem, tree)
        if isinstance(information, WaitAndSee):
            return Optimum(wait_and_see(problem, tree).bounds, None)
        if isinstance(information, Fixed):
            found = fixed_design(problem, tree)
        elif isinstance(information, Static) or (type(information) is Recourse and tree.n_leaves == 1):
            found = static_plan(problem, tree)
        elif isinstance(information, Held) and self._years(problem, information) > tree.horizon:
            return self._given(problem, tree, self._orders(information))
        else:
            start = self._orders(information)[: self._years(problem, information)]
            value, deployment = TreeLevels(problem, tree, tuple(start.tolist())).optimum(start.size)
            own = self._given(problem, tree, deployment)
            bounds = Bounds(own.bounds.lower, value, Kind.CERTIFIED, Of.TREE, flows(problem, tree))
            return Optimum(bounds, {"dM": deployment})
        return Optimum(found.bounds, {"dM": found.plan.deployment})

    def _refuses_recourse(self, case: DeploymentCase, tree: ScenarioTree, held: Array | None = None) -> str | None:
        if case.is_linear:
            return "recourse: has no closed form where costs are linear, but a linear program"
        count = levels_on_tree(case, tree, () if held is None else held.tolist()).size
        return None if count <= MOST_LEVELS else f"tree: has {count:,} levels of plant, {MOST_LEVELS:,} are the most"

    def _refuses_held(self, case: DeploymentCase, tree: ScenarioTree, information: Held) -> str | None:
        orders = self._orders(information)
        if orders.shape != (tree.horizon + 1,):
            return "plan: must have one order per year"
        given = orders[: self._years(case, information)]
        lot = case.launch.lot
        whole = lot is None or np.array_equal(given, np.rint(given / lot) * lot)
        first_fixed = case.horizon.initial_deployment == "fixed" and given.size and given[0] != 0
        if given.min(initial=0.0) < 0 or first_fixed or not whole:
            return "plan: must be one that can be placed"
        if given.size == orders.size:
            return None
        return self._refuses_recourse(case, tree, given)

    @staticmethod
    def _years(case: DeploymentCase, information: Information) -> int:
        """Years whose orders are held, from year 0 on."""
        years = information.years("dM", case.horizon.lead_time) if isinstance(information, Held) else 0
        return case.horizon.T + 1 if years is None else min(years, case.horizon.T + 1)

    @staticmethod
    def _orders(information: Information) -> Array:
        given = information.plan.get("dM", ()) if isinstance(information, Held) else ()
        return np.asarray(given, dtype=float)

    @staticmethod
    def _given(case: DeploymentCase, tree: ScenarioTree, orders: Array) -> Optimum:
        """A plan in hand, one order per year or per node."""
        deployment = orders if orders.size == tree.n_nodes else orders[tree.stage]
        value = plan_value(case, tree, deployment)
        return Optimum(Bounds.point(value, Kind.CERTIFIED, Of.TREE, flows(case, tree)), {"dM": deployment})
