"""What a strategy of the lunar problem must keep."""

from __future__ import annotations

import numpy as np

from scenario_trees.arrays import Array, Index
from scenario_trees.sampling import PseudoRandom
from stochisru.errors import require_integer
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.simulation import follow
from stochisru.lunar.simulation.drawing import drawn_paths
from stochisru.lunar.strategies.protocol import Strategy
from stochisru.testing.require import require, require_parts


def check_strategy(strategy: Strategy, case: DeploymentCase, *, paths: int = 64, seed: int = 0) -> None:
    """Check that a strategy keeps its protocol on a case.

    Deployments must have the right shape, be finite and not negative; calling the strategy twice must give the
    same; a path must be treated alike whatever the other paths and their order are; and a deployment that arrives
    in year t must not change when the demand after year t − L is exchanged between paths or replaced.

    Raises
    ------
    AssertionError
        Naming the rule that is broken and the first year in which it is.
    InputError
        If deployments are malformed.
    ValueError
        If the strategy writes to the arrays that it is shown (numpy's: they are read-only).
    """
    require_integer("paths", paths, 2)
    require_parts(strategy, "name", "start", "order", "describe", described=(case,))
    lead, T = case.horizon.lead_time, case.horizon.T
    demand, beside = drawn_paths(case, paths, seed, PseudoRandom())
    rng = np.random.default_rng(seed)

    def deployments(paths_of_demand: Array, which: slice | Index = slice(None)) -> Array:
        seen = None if beside is None else beside[:, which]
        return np.stack([arriving for arriving, _ in follow(case, strategy, paths_of_demand, seen)])

    base = deployments(demand)
    require(np.array_equal(base, deployments(demand)), f"{strategy.name}: two runs on the same paths differ")
    order = rng.permutation(paths)
    require(
        np.allclose(base[:, order], deployments(np.ascontiguousarray(demand[:, order]), order), rtol=1e-12),
        f"{strategy.name}: the order of the paths changes its deployments",
    )
    alone = deployments(np.ascontiguousarray(demand[:, : paths // 2]), slice(paths // 2))
    require(
        np.allclose(base[:, : paths // 2], alone, rtol=1e-12),
        f"{strategy.name}: its deployments on one path depend on the other paths",
    )
    for known in range(T + 1):
        last = min(T, known + lead)  # the last deployment that may depend on years 0..known
        shuffled = demand.copy()
        shuffled[known + 1 :] = shuffled[known + 1 :, rng.permutation(paths)]
        scaled = demand.copy()
        scaled[known + 1 :] *= rng.uniform(0.2, 5.0, size=shuffled[known + 1 :].shape)
        for other in (shuffled, scaled):
            same = np.isclose(base[: last + 1], deployments(other)[: last + 1], rtol=1e-12).all(axis=1)
            require(
                bool(same.all()),
                f"{strategy.name}: the deployment of year {int((~same).argmax())} depends on demand after year {known}",
            )
