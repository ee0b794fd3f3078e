"""Exact optima of plans that are known in advance: by layers where costs are linear, by levels where they are not."""

from __future__ import annotations

from scenario_trees.arrays import Array, Mask
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.exact import layers, levels

#: States per stage of a lattice whose law of a year is close to the process'; fewer where levels of plant are tried.
FINE_STATES, FINE_LEVEL_STATES = 400, 60


def why_not_in_advance(case: DeploymentCase) -> str | None:
    """Why plans that are known in advance have no exact optimum, in one sentence, or None where they have."""
    return None if case.is_linear else levels.why_no_exact_levels(case)


def foresight_is_concave(case: DeploymentCase) -> bool:
    """Whether the optimum of a known path is concave in its demand, so that the mean path bounds WS (Jensen)."""
    return case.is_linear


def fine_states(case: DeploymentCase) -> int:
    """States per stage of a lattice on which `open_loop` stands for the process."""
    return FINE_STATES if case.is_linear else FINE_LEVEL_STATES


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
