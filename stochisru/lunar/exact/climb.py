"""Plans that are fixed in advance, in whole modules, on the demand process itself: a climb from a lattice's plan."""

from __future__ import annotations

import numpy as np

from scenario_trees.arrays import Array, Mask
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.exact.root_plan import plan_value_on_process

#: Rounds of the climb over whole modules; each tries every year that may deploy.
_ROUNDS = 20


def climbed(case: DeploymentCase, plan: Array, allowed: Mask) -> tuple[Array, bool]:
    """A plan that no module more or less, now or a year later, makes better; and whether it is the optimum.

    A lattice rounds demand to its bins, and the best number of modules with it. With one deployment and costs that are
    linear but for modules and a fixed cost, value is concave in their number, so the top of the climb, or nothing, is
    the optimum.
    """
    lot = case.launch.lot
    if lot is None:
        return plan, False
    plan, worth = plan.copy(), plan_value_on_process(case, plan)
    years = np.flatnonzero(allowed)
    single = np.zeros((years.size, plan.size))
    single[np.arange(years.size), years] = lot
    steps = np.concatenate([single, -single, single[1:] - single[:-1], single[:-1] - single[1:]])
    for _ in range(_ROUNDS):
        before = worth
        for step in steps:
            reach = 1.0
            while (plan + reach * step >= -1e-9 * lot).all():
                tried = np.maximum(plan + reach * step, 0.0)
                value = plan_value_on_process(case, tried)
                if value <= worth:
                    break
                plan, worth, reach = tried, value, 2 * reach
        if worth == before:
            break
    else:
        return plan, False
    if years.size > 1 or not case.replace(lot=None, fixed_cost=0.0).is_linear:
        return plan, False
    idle = np.zeros(plan.size)
    return (idle if plan_value_on_process(case, idle) > worth else plan), True
