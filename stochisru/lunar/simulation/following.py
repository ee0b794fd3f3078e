"""A strategy down given paths of demand: what it orders, what stands, one year after the other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from scenario_trees.arrays import Array
from stochisru.errors import InputError
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.strategies.protocol import Observation, Strategy, root_years, whole_modules


def _checked(orders: Any, shape: tuple[int, ...], who: str, lot: float | None) -> Array:
    """Orders of a strategy, up to whole modules where plants come in modules."""
    array = np.asarray(orders, dtype=float)
    if array.shape != shape:
        raise InputError(f"strategy {who}: must return shape {shape}, got {array.shape}")
    if not array.min() >= 0:  # also refuses NaN; infinity shows in the NPV
        raise InputError(f"strategy {who}: deployments must be >= 0 kg and not NaN")
    return whole_modules(array, lot)


def follow(
    case: DeploymentCase, strategy: Strategy, demand: Array, seen: Array | None = None
) -> Iterator[tuple[Array, Array]]:
    """Run a strategy down paths of demand; where plants come in modules, orders are rounded up to whole ones.

    Parameters
    ----------
    demand
        Shape ``(T + 1, n)``, kg/yr.
    seen
        What is seen beside it, shape ``(T + 1, n, k)``.

    Yields
    ------
    deployment, plant
        ΔM_t and M_t, kg, shape ``(n,)``, for t = 0..T; not to be written to.
    """
    T, lead = case.horizon.T, case.horizon.lead_time
    kept, lot = 1 - case.technology.degradation, case.launch.lot
    n = demand.shape[1]
    start = _checked(strategy.start(case), (root_years(case),), strategy.name, lot)
    if case.horizon.initial_deployment == "fixed" and start[0] > 0:
        raise InputError(f"strategy {strategy.name}: ΔM_0 is fixed at 0 in this case, got {start[0]:g} kg")
    deployments = [np.full(n, x) for x in start]
    plants: list[Array] = []
    plant = np.full(n, case.technology.M0)
    for t in range(T + 1):
        if t > 0 and kept < 1:
            plant = plant * kept
        if lead > 0 or t == 0:
            plant = plant + deployments[t]
        if t > 0 and t + lead <= T:
            history = demand[: t + 1]
            history.setflags(write=False)
            plant.setflags(write=False)
            known = (history, (*plants, plant), tuple(deployments))
            today = Observation(case, t, *known, None if seen is None else seen[: t + 1])
            order = _checked(strategy.order(today), (n,), strategy.name, lot)
            order.setflags(write=False)
            deployments.append(order)
            if lead == 0:
                plant = plant + order
        plants.append(plant)
        yield deployments[t], plant
