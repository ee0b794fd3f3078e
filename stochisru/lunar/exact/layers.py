"""Exact open-loop deployment by layers of capacity, without a solver.

If deployments do not react to demand, the plan solves

    max over non-decreasing m_t of  Σ_t disc_t·E[π_t(s_t·m_t)] − Σ_t disc_t·s_t·c_I·(m_t − m_{t−1}),

with ``M_t = s_t·m_t``, ``s_t = (1 − δ)^t`` and π_t concave and piecewise linear in M_t. The problem separates by
*layer*, the kilograms of m between two neighbouring breakpoints: a layer starts in the year τ that
maximises what it earns from τ on less its price at τ, or never. Because marginal profit falls with m in
every year, deeper layers never start earlier, so the layers together form a feasible plan. This gives
wait-and-see (one deterministic problem per path), the expected-value plan (the mean path), the static plan
(all nodes of a stage as one distribution) and the fixed design (only one starting year allowed), exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scenario_trees.arrays import Array, Index, Mask
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.operations import MeritOrder, discount_factors

#: Entries (path, year, layer) handled at once; bounds the memory of `perfect_information`.
_CHUNK = 1_000_000


@dataclass(frozen=True)
class OpenLoopPlan:
    """An open-loop optimum.

    Attributes
    ----------
    value
        NPV of the plan, $ (maximised).
    deployment
        ΔM_t, kg, shape ``(T + 1,)``.
    bound
        NPV that no plan exceeds by a solver's word, $; None where ``value`` is the optimum itself.
    """

    value: float
    deployment: Array
    bound: float | None = None


def _shrinkage(case: DeploymentCase) -> Array:
    return np.asarray((1 - case.technology.degradation) ** np.arange(case.horizon.T + 1.0))


def allowed_years(case: DeploymentCase) -> Mask:
    """Years in which plants may arrive at all."""
    allowed = np.ones(case.horizon.T + 1, dtype=bool)
    allowed[0] = case.horizon.initial_deployment == "free"
    return allowed


def _best_start(marginal: Array, price: Array, allowed: Mask) -> tuple[Array, Index]:
    """Best net benefit of each layer and its starting year (T + 1: never).

    ``marginal`` has shape (T + 1, ...): what one kilogram of the layer earns per year, discounted.
    """
    years = marginal.shape[0]
    best = np.zeros(marginal.shape[1:])
    start = np.full(marginal.shape[1:], years, dtype=np.int64)
    earned = np.zeros(marginal.shape[1:])
    for t in range(years - 1, -1, -1):
        earned += marginal[t]
        if allowed[t]:
            net = earned - price[t]
            # Ties go to the earlier year, but only a strict gain is worth a plant: starts stay
            # monotone over layers either way.
            better = np.where(start == years, net > best, net >= best)
            best = np.where(better, net, best)
            start = np.where(better, t, start)
    return best, start


def _weights(case: DeploymentCase) -> tuple[Array, Array, Array]:
    """Discounted scale of a year's marginal profit, price of starting a layer, and s_t."""
    scale = _shrinkage(case)
    discount = discount_factors(case)
    return discount * scale, discount * scale * case.investment_cost, scale


def open_loop(
    case: DeploymentCase,
    demand: list[Array],
    probability: list[Array],
    allowed: Mask | None = None,
) -> OpenLoopPlan:
    """Best deployment plan that is fixed in advance.

    Parameters
    ----------
    demand, probability
        Distribution of demand (kg/yr) in every year t = 0..T.
    allowed
        Years in which plants may arrive; all that the case allows if not given.
    """
    merit = MeritOrder.of(case)
    eta = case.technology.eta
    weight, price, scale = _weights(case)
    years = case.horizon.T + 1
    allowed = allowed_years(case) if allowed is None else allowed & allowed_years(case)
    carried = case.technology.M0

    # Breakpoints in m at which the marginal profit of some year falls.
    steps: list[list[tuple[Array, Array, float]]] = []
    for t in range(years):
        pieces = [(demand[t], merit.against_alternative)]
        if merit.limited:
            pieces.append((merit.beyond_earth(demand[t]), merit.against_shortage - merit.against_alternative))
        year = []
        for kilograms, worth in pieces:
            order = np.argsort(kilograms, kind="stable")
            tail = np.concatenate([np.cumsum(probability[t][order][::-1])[::-1], [0.0]])
            year.append((kilograms[order] / (eta * scale[t]), tail, worth))
        steps.append(year)
    edges = np.unique(np.concatenate([[0.0, carried], *(x for year in steps for x, _, _ in year)]))
    lower, width = edges[:-1], np.diff(edges)

    # P(breakpoint > layer) is the tail from the first breakpoint beyond the layer's lower edge.
    marginal = np.empty((years, width.size))
    for t in range(years):
        earned = np.zeros(width.size)
        for x, tail, worth in steps[t]:
            earned += worth * tail[np.searchsorted(x, lower, side="right")]
        marginal[t] = weight[t] * (eta * (earned - merit.idle) - case.costs.c_op)

    best, start = _best_start(marginal, price, allowed)
    existing = lower < carried
    total = float(marginal[:, existing].sum(axis=0) @ width[existing] + best[~existing] @ width[~existing])
    served = sum(
        d * float(p @ merit.without_plants(x))
        for d, p, x in zip(discount_factors(case), probability, demand, strict=True)
    )
    plan = np.bincount(start[~existing], weights=width[~existing], minlength=years + 1)[:years]
    return OpenLoopPlan(value=total - float(served), deployment=plan * scale)


def perfect_information(case: DeploymentCase, demand: Array) -> tuple[Array, Array]:
    """Best plan of every path, each known in advance.

    Parameters
    ----------
    demand
        Paths, shape ``(T + 1, paths)``, kg/yr.

    Returns
    -------
    value
        Optimal NPV per path, $, shape ``(paths,)``.
    deployment
        ΔM_t per path, kg, shape ``(T + 1, paths)``.
    """
    paths = demand.shape[1]
    value = np.empty(paths)
    deployment = np.empty_like(demand)
    chunk = max(1, _CHUNK // demand.shape[0] ** 2)
    for first in range(0, paths, chunk):
        part = slice(first, first + chunk)
        value[part], deployment[:, part] = _perfect_information(case, demand[:, part])
    return value, deployment


def _perfect_information(case: DeploymentCase, demand: Array) -> tuple[Array, Array]:
    merit = MeritOrder.of(case)
    eta = case.technology.eta
    weight, price, scale = _weights(case)
    years, paths = demand.shape
    per_plant = (eta * scale)[:, None]
    full = demand / per_plant
    beyond = merit.beyond_earth(demand) / per_plant
    carried = case.technology.M0
    points = [np.full((1, paths), 0.0), np.full((1, paths), carried), full]
    if merit.limited:
        points.append(beyond)
    edges = np.sort(np.concatenate(points), axis=0)
    lower, width = edges[:-1], np.diff(edges, axis=0)

    marginal = np.empty((years, *lower.shape))
    for t in range(years):
        worth = merit.against_alternative * (lower < full[t])
        if merit.limited:
            worth = worth + (merit.against_shortage - merit.against_alternative) * (lower < beyond[t])
        marginal[t] = weight[t] * (eta * (worth - merit.idle) - case.costs.c_op)
    best, start = _best_start(marginal, price, allowed_years(case))
    existing = lower < carried
    gain = np.where(existing, marginal.sum(axis=0), best)
    value = (gain * width).sum(axis=0) - discount_factors(case) @ merit.without_plants(demand)
    new = np.where(existing, 0.0, width)
    plan = np.stack([np.where(start == t, new, 0.0).sum(axis=0) for t in range(years)])
    return value, plan * scale[:, None]
