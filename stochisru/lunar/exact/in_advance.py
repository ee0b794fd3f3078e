"""Exact optima of plans that are known in advance: by layers where costs are linear, by levels where they are not."""

from __future__ import annotations

from scenario_trees.arrays import Array, Mask
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.exact import layers, levels


def open_loop(
    case: DeploymentCase,
    demand: list[Array],
    probability: list[Array],
    allowed: Mask | None = None,
) -> layers.OpenLoopPlan:
    """Best deployment plan that is fixed in advance; see `layers.open_loop`."""
    best = layers.open_loop if case.is_linear else levels.open_loop
    return best(case, demand, probability, allowed)


def perfect_information(case: DeploymentCase, demand: Array) -> tuple[Array, Array]:
    """Best plan of every path, each known in advance; see `layers.perfect_information`."""
    best = layers.perfect_information if case.is_linear else levels.perfect_information
    return best(case, demand)
