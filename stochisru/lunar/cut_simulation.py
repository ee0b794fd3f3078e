"""What a plan read off cuts earns on fresh paths of its lattice."""

from __future__ import annotations

import numpy as np

from scenario_trees.arrays import Array, Index
from stochisru.estimate import Estimate
from stochisru.lunar.cut_plan import CutPlan, plant_paths
from stochisru.lunar.operations import MeritOrder, discount_factors
from stochisru.simulation.metrics import mean_estimate


def simulate_on_lattice(plan: CutPlan, paths: int, seed: int, confidence: float) -> Estimate:
    """Mean NPV on fresh paths of the lattice."""
    states = plan.lattice.sample(paths, seed=seed)
    npv = _without_store(plan, states) if plan.storage is None else _with_store(plan, states)
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


def _with_store(plan: CutPlan, states: Index) -> Array:
    """Every stage program is solved on every path; cash is formed from decisions that are made feasible first."""
    from stochisru.programs.stage_model import StageModel

    models: dict[tuple[int, int], StageModel] = {}
    npv = np.zeros(states.shape[1])
    discount = discount_factors(plan.case)
    for p, path in enumerate(states.T):
        state = np.empty(0)
        for t, (stage, i) in enumerate(zip(plan.programs.stages, path, strict=True)):
            if (t, i) not in models:
                models[t, i] = StageModel(stage, int(i))
                if t < plan.programs.horizon:
                    models[t, i].add(*_scaled(plan, t, int(i)))
            columns, _ = models[t, i].solve(state, epoch=0)
            columns = stage.feasible(columns, state, int(i))
            npv[p] += discount[t] * stage.money * stage.cash(columns, int(i))
            state = stage.carry @ columns + stage.offset
    return npv


def _scaled(plan: CutPlan, t: int, i: int) -> tuple[Array, Array]:
    """Cuts of a state in the units of its program."""
    stage, known = plan.programs.stages[t], np.isfinite(plan.intercept[t][i])
    slope = plan.slope[t][i][known] * plan.programs.state_unit(t + 1)
    return plan.intercept[t][i][known] / stage.money, slope / stage.money
