"""What a plan read off cuts earns on fresh paths of its lattice."""

from __future__ import annotations

import numpy as np

from scenario_trees.arrays import Array, Index
from stochisru.estimate import Estimate
from stochisru.lunar.cut_plan import CutPlan, plant_paths
from stochisru.lunar.operations import MeritOrder, discount_factors
from stochisru.problem.lattice_plan import worth_on_paths
from stochisru.simulation.estimators import mean_estimate


def simulate_on_lattice(plan: CutPlan, paths: int, seed: int, confidence: float) -> Estimate:
    """Mean NPV on fresh paths of the lattice."""
    states = plan.lattice.sample(paths, seed=seed)
    npv = _without_store(plan, states) if plan.storage is None else worth_on_paths(plan, states)
    return mean_estimate(npv, np.ones(paths, dtype=np.int64), confidence)


def _without_store(plan: CutPlan, states: Index) -> Array:
    case, merit = plan.case, MeritOrder.of(plan.case)
    plant = plant_paths(plan, states)
    kept, npv, before = 1 - case.technology.degradation, np.zeros(states.shape[1]), np.full(states.shape[1], 0.0)
    for t, weight in enumerate(discount_factors(case)):
        demand = plan.lattice.values[t][states[t]]
        deployed = plant[t] - (kept * before if t else case.technology.M0)
        cash = merit.profit(case.technology.eta * plant[t], demand) - case.costs.c_op * plant[t]
        npv += weight * (cash - case.investment_cost * deployed)
        before = plant[t]
    return npv
