"""Studies with uncertain demand: customers want a share of it, all or some, and its mean is what the study sells.

Demand is the geometric Brownian motion of the case with a volatility σ; at σ = 0 the case is the study again, as firm
customers buy as much as their share then. Trees have a move of demand in some of the years, up or down by
``exp(±σ√Δ)/cosh(σ√Δ)`` with Δ the years since the last one: means are those of the process, and so are variances of the
logarithm in the years that have a move.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from scenario_trees.arrays import Array
from scenario_trees.tree import ScenarioTree
from stochisru.lunar.tables.case import GeneralCase, general_case
from stochisru.lunar.values.tree import value_table
from stochisru.methods.extensive_form import extensive_form
from stochisru.problem.evaluate import evaluate
from stochisru.worked.literature.certain import nothing

#: NPV that counts as a loss, as a share of the money that flows.
_LOSS = 1e-6


def with_shares(case: GeneralCase, sigma: float, customers: Collection[str] | None = None) -> GeneralCase:
    """The case with volatile demand, of which firm customers want the share that they buy of the whole.

    ``customers`` names those that do, all if not given; the others stay firm.
    """
    data = case.to_dict()
    data["demand"]["sigma"] = sigma
    for tier in data.get("customers", []):
        if (customers is None or tier["name"] in customers) and tier.pop("firm", False):
            tier["share"] = tier.pop("quantity") / data["demand"]["D0"]
            tier["c_bu"] = 0.0  # that of a firm customer
    return general_case(data)


def moving_tree(case: GeneralCase, moves: int) -> ScenarioTree:
    """Tree of demand that moves in evenly spaced years; 2^moves scenarios."""
    T, demand = case.horizon.T, case.demand
    assert demand.sigma is not None
    years = sorted({max(1, i * T // moves) for i in range(1, moves + 1)})
    mean, sigma = case.process.mean(np.arange(T + 1)), demand.sigma.over(np.arange(T + 1))
    parent, stage, probability, value = [np.array([-1])], [np.zeros(1, dtype=int)], [np.ones(1)], [mean[:1]]
    level, first, last = np.ones(1), 0, 0
    for t in range(1, T + 1):
        above = first + np.arange(level.size)
        if t in years:
            step = np.sqrt(np.sum(sigma[last + 1 : t + 1] ** 2))
            level = (level[:, None] * (np.exp([step, -step]) / np.cosh(step))).ravel()
            above, last = np.repeat(above, 2), t
        first += probability[-1].size
        parent.append(above)
        stage.append(np.full(level.size, t))
        probability.append(np.full(level.size, 1 / level.size))
        value.append(mean[t] * level)
    return ScenarioTree(
        parent=np.concatenate(parent).astype(np.int32),
        stage=np.concatenate(stage).astype(np.int16),
        probability=np.concatenate(probability),
        value=np.concatenate(value),
    )


def now_or_never(case: GeneralCase) -> GeneralCase:
    """The case in which nothing may be ordered after year 0."""
    data = case.to_dict()
    count = case.horizon.T - case.horizon.lead_time
    data["technology"]["build_limit"] = [1e9] * (case.horizon.lead_time + 1) + [0.0] * count
    return general_case(data)


def uncertain(case: GeneralCase, plan: Mapping[str, Array], tree: ScenarioTree) -> dict[str, Any]:
    """What a case with uncertain demand is worth on a tree.

    Returns
    -------
    dict
        In the money of the case: ``own`` and ``p_loss_own`` of the study's own plan, ``rp`` with ``lower`` and
        ``upper``, ``p_loss``, ``evpi``, ``reacting`` (VMS), ``deferring`` (RP less the optimum of orders in year 0
        alone), ``nothing``; ``first_order`` (kg that are ordered in year 0), ``orders_later`` (probability of an order
        after year 0). A loss is less than doing nothing is worth.
    """
    model = case.model_on(tree)
    values = value_table(case, tree)
    optimum = values.optima["rp"]
    assert optimum is not None
    assert optimum.plan is not None
    best, own, none = (evaluate(model, each, tree) for each in (optimum.plan, plan, nothing(plan)))
    chance = tree.probability[tree.leaves]
    lead, mass = case.horizon.lead_time, optimum.plan["dM"]
    orders = np.where(mass > 1e-6, mass, 0.0)
    root = [float(orders[tree.at(t)][0]) for t in range(min(lead, case.horizon.T) + 1)]
    later = np.array([orders[node] if tree.stage[node] > lead else 0.0 for node in range(tree.n_nodes)])
    for t in range(1, tree.horizon + 1):
        here = tree.at(t)
        later[here] += later[tree.parent[here]]
    now = extensive_form(now_or_never(case), tree, rel_gap=1e-4)

    def lost(scenarios: Array) -> float:
        return float(chance @ (scenarios < none.scenarios - _LOSS * max(1.0, own.flows)))

    return {
        "nodes": tree.n_nodes,
        "scenarios": tree.n_leaves,
        "nothing": none.value,
        "own": own.value,
        "p_loss_own": lost(own.scenarios),
        "rp": best.value,
        "lower": optimum.bounds.lower,
        "upper": optimum.bounds.upper,
        "first_order": sum(root),
        "orders_later": float(chance @ (later[tree.leaves] > 0)),
        "p_loss": lost(best.scenarios),
        "reacting": values.point("vms"),
        "deferring": max(0.0, best.value - now.objective),
        "evpi": values.point("evpi"),
    }
