"""Every quantity of every strategy, path and year, for plots and audits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from scenario_trees.arrays import Array
from scenario_trees.protocols import Sampler
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.operations import MeritOrder
from stochisru.lunar.simulation.chosen import resolve
from stochisru.lunar.simulation.drawing import drawn_paths
from stochisru.lunar.simulation.following import follow
from stochisru.lunar.strategies.protocol import Strategy
from stochisru.simulation.sampling import Sampling

if TYPE_CHECKING:
    import xarray as xr


def simulate_panel(
    case: DeploymentCase,
    strategies: Sequence[Strategy | str],
    *,
    paths: int = 200,
    seed: int = 0,
    sampler: Sampler | str = "pseudo-random",
) -> xr.Dataset:
    """Every quantity of every strategy, path and year, for plots and audits.

    The paths are those of `simulate` with the same number, seed and sampler.

    Returns
    -------
    xarray.Dataset
        ``demand`` (path, year) and ``deployment``, ``plant`` (kg), ``capacity``, ``delivered``, ``earth``,
        ``shortage`` (kg/yr), ``cash`` ($, not discounted) with dimensions (strategy, path, year).
    """
    import xarray as xr

    chosen = resolve(case, strategies)
    source = Sampling(paths, seed, sampler).source
    demand, seen = drawn_paths(case, paths, seed, source)
    merit = MeritOrder.of(case)
    shape = (len(chosen), *demand.shape)
    deployment, plant = np.empty(shape), np.empty(shape)
    for s, strategy in enumerate(chosen):
        for t, (arriving, standing) in enumerate(follow(case, strategy, demand, seen)):
            deployment[s, t], plant[s, t] = arriving, standing
    capacity = case.technology.eta * plant
    delivered = merit.delivered(capacity, demand)
    earth, shortage = merit.alternatives(delivered, np.broadcast_to(demand, shape))
    cash = merit.profit(capacity, demand) - case.investment(deployment) - case.costs.c_op * plant
    data: dict[str, tuple[tuple[str, ...], Array, dict[str, str]]] = {
        "demand": (("path", "year"), demand.T, {"unit": "kg/yr"})
    }
    for name, values, unit in (
        ("deployment", deployment, "kg"),
        ("plant", plant, "kg"),
        ("capacity", capacity, "kg/yr"),
        ("delivered", delivered, "kg/yr"),
        ("earth", earth, "kg/yr"),
        ("shortage", shortage, "kg/yr"),
        ("cash", cash, "$"),
    ):
        data[name] = (("strategy", "path", "year"), values.transpose(0, 2, 1), {"unit": unit})
    return xr.Dataset(
        data,
        coords={
            "strategy": [s.name for s in chosen],
            "path": np.arange(paths),
            "year": np.arange(case.horizon.T + 1),
        },
        attrs={"case": case.name, "seed": seed},
    )
