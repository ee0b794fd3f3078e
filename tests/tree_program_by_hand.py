"""The lunar problem's tree program written out by hand, block by block: the oracle of what follows from its model."""

import numpy as np

from stochisru.lunar.information import Commitments, require_match
from stochisru.lunar.operations import discount_factors
from stochisru.programs.curves.formulations import add_curve
from stochisru.programs.sparse import ProgramBuilder


def bounds_by_hand(case, commitments):
    """Bounds on ΔM and M per commitment, kg: no plant is worth ordering beyond what the demand that may follow needs.

    Where orders are cheaper together, plant may be worth ordering ahead of what will have degraded by then.
    """
    T, kept, lot = case.horizon.T, 1 - case.technology.degradation, case.launch.lot or 0.0
    order_upper, plant_upper = np.empty((2, commitments.count))
    for t in range(T + 1):
        here = commitments.at(t)
        left = kept * plant_upper[commitments.previous[here]] if t else np.array([case.technology.M0])
        if t == 0 and case.horizon.initial_deployment == "fixed":
            order_upper[here], plant_upper[here] = 0.0, left
            continue
        stage = commitments.decided_at(t)
        needed = np.zeros(commitments.tree.at(stage).stop - commitments.tree.at(stage).start)
        for s in range(t, T + 1):
            ahead = kept ** (s - t) if not case.is_linear else 1.0
            below = commitments.tree.ancestor(s - stage)[commitments.tree.at(s)] - commitments.tree.at(stage).start
            np.maximum.at(needed, below, commitments.tree.value[commitments.tree.at(s)] / case.technology.eta / ahead)
        order_upper[here] = needed if lot == 0 else np.ceil(needed / lot) * lot
        plant_upper[here] = np.maximum(needed + lot, left)
    return order_upper, plant_upper


def tree_program_by_hand(case, tree):
    require_match(case, tree)
    c, tech = case.costs, case.technology
    commitments = Commitments(tree, case.horizon.lead_time)
    n, k = tree.n_nodes, commitments.count
    discount = discount_factors(case)
    weight = tree.probability * discount[tree.stage]
    order_weight = commitments.probability * discount[commitments.year]
    # E = ηM − Q costs c_S: it is charged on capacity here and credited to Q below. Expected excess is
    # summed over the nodes under a commitment, whose probabilities add up to its own.
    order_upper, plant_upper = bounds_by_hand(case, commitments)

    builder = ProgramBuilder(f"tree program of {case.name}", "maximise")
    cost = case.investment
    price = -cost.slopes[0] * order_weight if cost.is_linear else 0.0
    dM = builder.variables("dM", k, lower=0.0, upper=order_upper, objective=price)
    M = builder.variables("M", k, lower=0.0, upper=plant_upper, objective=-(c.c_op + c.c_S * tech.eta) * order_weight)
    own = case.economics.P_m - c.c_by * tech.beta + c.c_S
    # Never binding, so that the demand rows alone carry the price of demand.
    loose = 2 * tree.value
    Q = builder.variables("Q", n, lower=0.0, upper=loose, objective=own * weight)
    limit = np.inf if c.earth_limit is None else c.earth_limit
    Q_earth = builder.variables("Q_earth", n, lower=0.0, upper=np.minimum(loose, limit), objective=-c.c_E * weight)
    S = builder.variables("S", n, lower=0.0, upper=loose, objective=-c.c_bu * weight)

    every = np.arange(k)
    later = every[1:]
    start = np.zeros(k)
    start[0] = tech.M0
    builder.rows(
        "balance",
        start,
        start,
        (every, M.index, 1.0),
        (later, M.start + commitments.previous[1:], -(1 - tech.degradation)),
        (every, dM.index, -1.0),
    )
    if case.launch.lot is not None:
        modules = builder.variables("modules", k, lower=0.0, upper=np.ceil(order_upper / case.launch.lot), integer=True)
        whole = ((every, dM.index, 1.0), (every, modules.index, -case.launch.lot))
        builder.rows("whole", np.zeros(k), 0.0, *whole)
    if not cost.is_linear:
        add_curve(builder, "investment", cost, dM.index, direction="small").in_objective(builder, -order_weight)
    nodes = np.arange(n)
    builder.rows(
        "capacity",
        np.full(n, -np.inf),
        0.0,
        (nodes, Q.index, 1.0),
        (nodes, M.start + commitments.of_node, -tech.eta),
    )
    builder.rows(
        "demand",
        tree.value,
        tree.value,
        (nodes, Q.index, 1.0),
        (nodes, Q_earth.index, 1.0),
        (nodes, S.index, 1.0),
    )
    return builder.build()
