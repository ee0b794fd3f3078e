"""Strategies on one block of paths: net present value of every path, sums and moments of all else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scenario_trees.arrays import Array, Index
from stochisru.errors import InputError
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.indicators import DeploymentCounts, indicators_of_paths
from stochisru.lunar.learning.rate import Learning
from stochisru.lunar.operations import MeritOrder, discount_factors
from stochisru.lunar.simulation.following import follow
from stochisru.lunar.strategies.protocol import Strategy
from stochisru.simulation.metrics import Moments


@dataclass(frozen=True, eq=False)
class PathBlock:
    """Outcome of one block of paths.

    NPV (strategies, paths), moments per strategy, sums over paths of demand (years), deliveries, shortage and plant
    (strategies, years), counts of deployments, and of the paths that are kept the indicators (strategies, indicators,
    paths) and cash (strategies, years, paths).
    """

    npv: Array
    moments: list[Moments]
    demand: Array
    delivered: Array
    shortage: Array
    plant: Array
    counts: DeploymentCounts
    indicators: Array
    cash: Array


def simulate_block(
    case: DeploymentCase,
    strategies: Sequence[Strategy],
    demand: Array,
    units: Index,
    keep: int,
    keep_cash: int,
    seen: Array | None = None,
    learning: Learning | None = None,
) -> PathBlock:
    """Outcome of strategies on paths of demand, shape ``(T + 1, n)``; ``units`` are their independent groups.

    Indicators are of the first ``keep`` paths, cash of the first ``keep_cash``; ``seen`` is what is seen beside demand,
    shape ``(T + 1, n, k)``. With ``learning`` plant does not degrade, and what stands before a deployment was built.
    """
    demand.setflags(write=False)  # strategies look, they do not touch: all see the same paths
    merit = MeritOrder.of(case)
    discount = discount_factors(case)
    eta, operate, invest = case.technology.eta, case.costs.c_op, case.investment
    n = demand.shape[1]
    total_demand = demand.sum(axis=0)
    unserved = [d * merit.without_plants(row) for d, row in zip(discount, demand, strict=True)]
    npv = np.empty((len(strategies), n))
    yearly_demand = demand.sum(axis=1)
    yearly_delivered, yearly_shortage, yearly_plant = (np.empty((len(strategies), demand.shape[0])) for _ in range(3))
    counts = DeploymentCounts.empty(len(strategies), demand.shape[0])
    indicators = []
    cash = np.empty((len(strategies), demand.shape[0], keep_cash))
    moments = []
    buffer, mask = np.empty(n), np.empty(n, dtype=bool)
    for s, strategy in enumerate(strategies):
        worth = np.zeros(n)
        delivered, plant_years = np.zeros(n), np.zeros(n)
        # Counts of years in one byte each (T ≤ 200): a fraction of the traffic of floats.
        expansions, unpaid_years = np.zeros(n, dtype=np.uint8), np.zeros(n, dtype=np.uint8)
        unpaid = np.ones(n, dtype=bool)
        waiting = np.ones(n, dtype=bool)
        shortage = np.zeros(n)
        for t, (deployment, plant) in enumerate(follow(case, strategy, demand, seen)):
            capacity = plant * eta
            served = merit.delivered(capacity, demand[t])
            if merit.limited:
                worth += discount[t] * merit.gain(capacity, demand[t])
                holding = operate
                short = merit.alternatives(served, demand[t])[1]
                shortage += short
                yearly_shortage[s, t] = np.add.reduce(short)
            else:
                worth += np.multiply(served, discount[t] * merit.against_alternative, out=buffer)
                holding = operate + merit.idle * eta
            worth -= np.multiply(plant, discount[t] * holding, out=buffer)
            spent = invest(deployment)
            if learning is not None:
                spent = spent - learning.saving(case, deployment, plant - deployment)
            worth -= np.multiply(spent, discount[t], out=buffer)
            worth -= unserved[t]
            if keep_cash:
                cash[s, t] = merit.profit(capacity[:keep_cash], demand[t, :keep_cash]) - operate * plant[:keep_cash]
                cash[s, t] -= spent[:keep_cash]
            delivered += served
            plant_years += plant
            yearly_delivered[s, t], yearly_plant[s, t] = np.add.reduce(served), np.add.reduce(plant)
            expansions += np.greater(deployment, 0.0, out=mask).view(np.uint8)
            counts.deploying[s, t] = np.count_nonzero(mask)
            if t > 0:
                np.greater(waiting, mask, out=waiting)
            counts.waiting[s, t] = np.count_nonzero(waiting)
            unpaid &= np.less(worth, 0.0, out=mask)
            unpaid_years += unpaid.view(np.uint8)
            if t == 0:
                capital = spent
        if not np.isfinite(worth).all():
            raise InputError(f"strategy {strategy.name}: deployments must be finite, the NPV of a path is not")
        if not merit.limited:  # one source serves all that plants do not, so sums over years or paths are enough
            shortage = np.maximum(merit.alternatives(delivered, total_demand)[1], 0.0)
            yearly_shortage[s] = np.maximum(merit.alternatives(yearly_delivered[s], yearly_demand)[1], 0.0)
        npv[s] = worth
        counts.numbers[s] = np.bincount(expansions, minlength=demand.shape[0] + 1)
        sums = (total_demand, delivered, shortage, plant_years, plant)
        indicators.append(indicators_of_paths(case, *(x[:keep] for x in sums)))
        paid = (~unpaid).astype(float)
        outcomes = [
            delivered,
            total_demand,
            shortage,
            (shortage > 1e-9 * total_demand).astype(float),
            plant_years * eta,
            plant * eta,
            expansions.astype(float),
            capital,
            paid,
            unpaid_years * paid,
        ]
        moments.append(Moments.of(outcomes, units))
    return PathBlock(
        npv,
        moments,
        yearly_demand,
        yearly_delivered,
        yearly_shortage,
        yearly_plant,
        counts,
        np.stack(indicators),
        cash,
    )
