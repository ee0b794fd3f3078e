"""The multistage problem on a whole tree as one sparse program, in node form.

It is that of the case's `Model` (`stochisru.lunar.model`, `stochisru.problem.on_tree`): one column per commitment (dM,
M) or per node (Q, Q_earth, S), and the rows

=============  =====================================================================
``balance``    M − (1 − δ)·M_previous − ΔM = M0 in year 0, else 0 (per commitment)
``delivery``   Q − η·M ≤ 0 (per node)
``demand``     Q + Q_earth + S = D (per node)
=============  =====================================================================

Excess ``E = η·M − Q`` and launched mass are substituted. Where costs are not linear, the rows ``whole_dM`` make ΔM a
whole number of ``dM_lots``, and blocks ``dM_cost…`` (`stochisru.programs.curves`) hold what a deployment costs by its
size: the program is a mixed-integer one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from scenario_trees.arrays import Array
from scenario_trees.tree import ScenarioTree
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.information import Commitments, capacity_of, flows, node_cash, require_match
from stochisru.lunar.operations import MeritOrder, discount_factors
from stochisru.lunar.orders import RootOrders
from stochisru.problem.on_tree import on_tree
from stochisru.programs.sparse import LinearProgram, Solution
from stochisru.shown import PlanShown

if TYPE_CHECKING:
    import pandas as pd

    from stochisru.lunar.strategies.protocol import Strategy


#: Share of its bound up to which an order is a solver's tolerance.
_NOTHING = 1e-7
#: Prices of a dual bound are moved by this share of themselves to the side on which rounding does no harm.
_ASIDE = 1e-13


def tree_program(case: DeploymentCase, tree: ScenarioTree) -> LinearProgram:
    """Build the program; the tree needs one stage per year."""
    require_match(case, tree)
    return on_tree(case.model, tree).program


def tree_bound(case: DeploymentCase, tree: ScenarioTree, program: LinearProgram, row_dual: Array) -> float:
    """Bound on the optimum of a linear tree program, $, that holds for any row duals.

    Where demand may grow a millionfold, bounds on plant are so large that prices of plant that are wrong in their last
    digits spoil `LinearProgram.dual_bound`. Only the worth of capacity is taken from ``row_dual`` here. The prices of
    plant follow from it, year by year backwards; where plant would be worth more than it costs, the worth of
    capacity is lowered until it is not. The price of demand is the best one at every node.
    """
    commitments, kept = Commitments(tree, case.horizon.lead_time), 1 - case.technology.degradation
    eta, of_node = case.technology.eta, commitments.of_node
    cost, upper = program.objective, program.upper
    dM, M, Q, earth, S = (program.columns[name].span for name in ("dM", "M", "Q", "Q_earth", "S"))
    worth = np.maximum(row_dual[program.rows["delivery"].span], 0.0)
    own = np.bincount(of_node, weights=eta * worth, minlength=commitments.count)
    price = cost[M] + _ASIDE * (np.abs(cost[M]) + own)
    free = program.lower[dM] < upper[dM]
    for t in range(tree.horizon, -1, -1):
        here = commitments.at(t)
        price[here] += own[here]
        excess = np.where(free[here], price[here] + cost[dM][here] * (1 - _ASIDE), 0.0)
        cut = np.clip(excess, 0.0, own[here])
        price[here] -= cut
        own[here] -= cut
        if t:
            # A little more than what is left is worth, so that rounding does no harm.
            passed = price[here] * kept
            np.add.at(price, commitments.previous[here], passed + _ASIDE * np.abs(passed))
    before = np.bincount(of_node, weights=eta * worth, minlength=commitments.count)
    worth *= np.divide(own, before, out=np.zeros_like(own), where=before > 0)[of_node]
    # What a kilogram of demand brings from each source; the total is convex in the price, and least at one of these.
    brought = np.stack([cost[Q] - worth, cost[earth], cost[S]])
    most = np.stack([upper[Q], upper[earth], upper[S]])
    paid = [tree.value * p + (most * np.maximum(brought - p, 0.0)).sum(axis=0) for p in brought]
    demand = np.take_along_axis(brought, np.argmin(paid, axis=0)[None], axis=0)[0]
    dual = np.zeros_like(row_dual)
    dual[program.rows["balance"].span] = price
    dual[program.rows["delivery"].span] = worth
    dual[program.rows["demand"].span] = demand + _ASIDE * (np.abs(cost[Q]) + np.abs(worth) + np.abs(demand))
    return min(program.dual_bound(row_dual), program.dual_bound(dual))


@dataclass(frozen=True, eq=False, repr=False)
class TreePlan(RootOrders, PlanShown):
    """Deployments on a tree and the optimal operation that follows from them.

    Everything has one entry per node; commitments shared by several nodes are repeated.

    Attributes
    ----------
    deployment
        ΔM, kg.
    capacity_value
        Worth of one more kilogram per year of capacity at the node, $ of that year per kg (dual of
        ``delivery``), or None where no program was solved.
    demand_value
        Worth of one more kilogram of demand at the node, $ of that year per kg (dual of ``demand``).
    """

    case: DeploymentCase
    tree: ScenarioTree
    deployment: Array
    capacity_value: Array | None = None
    demand_value: Array | None = None

    @cached_property
    def plant(self) -> Array:
        """M at every node, kg."""
        return capacity_of(self.case, self.tree, self.deployment)

    @cached_property
    def value(self) -> float:
        """Expected NPV on the tree, $."""
        cash = node_cash(self.case, self.tree, self.deployment, self.plant)
        return float(discount_factors(self.case) @ self.tree.stage_mean(cash))

    @cached_property
    def flows(self) -> float:
        """Size of the sums of money that `value` is a difference of, $."""
        return flows(self.case, self.tree)

    @property
    def root(self) -> Array:
        """ΔM_0..ΔM_min(L, T), kg."""
        years = min(self.case.horizon.lead_time, self.tree.horizon) + 1
        return self.deployment[self.tree.offsets[:years]]

    @property
    def size(self) -> dict[str, int]:
        """Nodes and leaves of the tree."""
        return {"nodes": self.tree.n_nodes, "leaves": self.tree.n_leaves}

    @property
    def details(self) -> dict[str, Any]:
        """Process that the tree was made from, None for one's own numbers; the table has the rest."""
        return {"origin": self.tree.origin}

    def policy(self, name: str, mapping: str | None = None) -> Strategy:
        """The plan as a strategy; see `stochisru.lunar.strategies.tree_policy` for ``mapping``."""
        from stochisru.lunar.strategies.tree_policy import TreePolicy

        return TreePolicy(plan=self, mapping=mapping or "scaled", name=name)

    def quantities(self) -> dict[str, tuple[Array, str]]:
        """All variables of the source formulation with their units."""
        merit = MeritOrder.of(self.case)
        capacity = self.case.technology.eta * self.plant
        delivered = merit.delivered(capacity, self.tree.value)
        earth, shortage = merit.alternatives(delivered, self.tree.value)
        table = {
            "D": (self.tree.value, "kg/yr"),
            "dM": (self.deployment, "kg"),
            "M_leo": (self.case.technology.alpha * self.case.mass(self.deployment), "kg"),
            "M": (self.plant, "kg"),
            "Qcap": (capacity, "kg/yr"),
            "Q": (delivered, "kg/yr"),
            "E": (capacity - delivered, "kg/yr"),
            "Q_earth": (earth, "kg/yr"),
            "S": (shortage, "kg/yr"),
        }
        if self.capacity_value is not None and self.demand_value is not None:
            table["capacity_value"] = (self.capacity_value, "$/kg")
            table["demand_value"] = (self.demand_value, "$/kg")
        return table

    def to_frame(self) -> pd.DataFrame:
        """Tidy table: node, stage, year, quantity, value, unit, probability."""
        import pandas as pd

        table = self.quantities()
        n, stage = self.tree.n_nodes, self.tree.stage
        count = len(table)
        return pd.DataFrame(
            {
                "node": np.tile(np.arange(n), count),
                "stage": np.tile(stage, count),
                "year": np.tile(stage, count),
                "quantity": pd.Categorical(np.repeat(list(table), n), categories=list(table)),
                "value": np.concatenate([values for values, _ in table.values()]),
                "unit": pd.Categorical(np.repeat([unit for _, unit in table.values()], n)),
                "probability": np.tile(self.tree.probability, count),
            }
        )


def feasible_orders(case: DeploymentCase, orders: Array, upper: Array) -> Array:
    """Orders as they can be placed: not negative, whole modules, and no campaign that is a solver's tolerance.

    Parameters
    ----------
    orders, upper
        ΔM and its upper bounds, kg, any shape.
    """
    orders = np.maximum(orders, 0.0)
    if case.launch.lot is not None:
        return np.asarray(np.rint(orders / case.launch.lot) * case.launch.lot)
    return orders if case.is_linear else np.where(orders > _NOTHING * upper, orders, 0.0)


def plan_from_solution(case: DeploymentCase, tree: ScenarioTree, solution: Solution) -> TreePlan:
    """Read deployments and prices off a solved tree program.

    The plan is feasible to the last digit (`feasible_orders`). The prices are per kilogram in their node and year: the
    duals divided by probability and discount factor. A mixed-integer program has none.
    """
    commitments = Commitments(tree, case.horizon.lead_time)
    upper = solution.program.upper[solution.program.columns["dM"].span]
    deployment = feasible_orders(case, solution.values("dM"), upper)[commitments.of_node]
    if not case.is_linear:
        return TreePlan(case, tree, deployment)
    weight = tree.probability * discount_factors(case)[tree.stage]
    with np.errstate(divide="ignore", invalid="ignore"):
        capacity_value = np.where(weight > 0, solution.duals("delivery") / weight, 0.0)
        demand_value = np.where(weight > 0, solution.duals("demand") / weight, 0.0)
    return TreePlan(case, tree, deployment, capacity_value, demand_value)
