"""Paths of a case's demand, and of what is seen beside it: a regime, whether a date has come."""

from __future__ import annotations

import numpy as np

from scenario_trees.arrays import Array, Index
from scenario_trees.processes import MarkovProcess
from scenario_trees.protocols import Sampler, draws_of
from stochisru.lunar.case import DeploymentCase


def drawn_block(case: DeploymentCase, source: Sampler, seed: int, block: int, size: int) -> tuple[Array, Array | None]:
    """One block of paths of a sample.

    Returns
    -------
    demand
        Shape ``(T + 1, size)``, kg/yr.
    seen
        What is seen beside it, shape ``(T + 1, size, k)``; None where there is nothing.
    """
    process = case.process
    normals = source.block(seed, block, size, draws_of(process) * case.horizon.T)
    if not isinstance(process, MarkovProcess) or len(process.names) == 1:
        return process.paths(normals), None
    states = process.state_paths(normals)
    return np.ascontiguousarray(states[:, :, 0]), states[:, :, 1:]


def drawn_paths(case: DeploymentCase, paths: int, seed: int, source: Sampler) -> tuple[Array, Array | None]:
    """All paths of a sample, as `drawn_block` has them."""
    size = source.block_size(paths)
    firsts = range(0, paths, size)
    blocks = [drawn_block(case, source, seed, i, min(size, paths - first)) for i, first in enumerate(firsts)]
    demand = np.concatenate([block for block, _ in blocks], axis=1)
    seen = [more for _, more in blocks if more is not None]
    return demand, np.concatenate(seen, axis=1) if seen else None


def starting_elsewhere(initial: float, demand: Array) -> Index:
    """Numbers of given paths, shape ``(T + 1, paths)``, that do not start at D0, up to rounding."""
    return np.flatnonzero(~np.isclose(demand[0], initial, rtol=1e-9, atol=0.0))
