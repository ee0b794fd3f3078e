"""Wait-and-see: every path known in advance, solved in closed form for all leaves or paths at once."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from scenario_trees.arrays import Array, Index
from scenario_trees.protocols import draws_of
from scenario_trees.tree import ScenarioTree
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.exact.in_advance import perfect_information
from stochisru.lunar.information import flows, require_match
from stochisru.methods.result import Bounds, Kind, Of
from stochisru.simulation.sampling import Sampling

#: Paths on which perfect information is solved at most; the time per path grows as T².
FORESIGHT_PATHS = 20_000
#: Groups of paths that are enough for an interval.
_MANY_GROUPS = 1000


@dataclass(frozen=True, eq=False)
class WaitAndSeeValues:
    """Optima of all leaves under perfect information.

    Attributes
    ----------
    bounds
        WS, $ (maximised).
    leaf_value
        Optimal NPV per leaf, $, shape ``(leaves,)``.
    leaf_deployment
        ΔM_t per leaf, kg, shape ``(T + 1, leaves)``.
    probability
        Probability per leaf.
    """

    bounds: Bounds
    leaf_value: Array
    leaf_deployment: Array
    probability: Array
    seconds: float


def wait_and_see(case: DeploymentCase, tree: ScenarioTree) -> WaitAndSeeValues:
    """Expected optimum under perfect information.

    Information is perfect, so the lead time plays no part.
    """
    start = time.perf_counter()
    require_match(case, tree)
    nodes = tree.node_paths()
    value, deployment = perfect_information(case, np.ascontiguousarray(tree.value[nodes].T))
    probability = tree.probability[tree.leaves]
    return WaitAndSeeValues(
        bounds=Bounds.point(float(probability @ value), Kind.CERTIFIED, Of.TREE, flows(case, tree)),
        leaf_value=value,
        leaf_deployment=deployment,
        probability=probability,
        seconds=time.perf_counter() - start,
    )


def wait_and_see_on_paths(case: DeploymentCase, chosen: Index, sample: Sampling) -> Array:
    """Optimal NPV under perfect information of some of the paths of a sample, those that `simulate` draws, $.

    Parameters
    ----------
    chosen
        Numbers of the paths, ascending.

    Returns
    -------
    numpy.ndarray
        Shape of ``chosen``.
    """
    total, source = sample.paths, sample.source
    size = source.block_size(total)
    value = np.empty(chosen.size)
    for block in np.unique(chosen // size):
        first = int(block) * size
        inside = chosen // size == block
        # A block is drawn whole: its numbers depend on its size.
        rows = draws_of(case.process) * case.horizon.T
        demand = case.process.paths(source.block(sample.seed, int(block), min(size, total - first), rows))
        value[inside] = perfect_information(case, np.ascontiguousarray(demand[:, chosen[inside] - first]))[0]
    return value


def foresight_sample(units: Index, most: int = FORESIGHT_PATHS) -> tuple[Index, Index]:
    """Paths on which perfect information is solved, and the sizes of their independent groups.

    At most ``most`` paths (or one per group): the first groups where they are many, else the first paths of every
    group.
    """
    total = int(units.sum())
    if total <= most:
        return np.arange(total), units
    whole = most // int(units[0])
    if whole >= _MANY_GROUPS:
        return np.arange(int(units[:whole].sum())), units[:whole]
    each = np.minimum(units, max(1, most // units.size))
    starts = np.concatenate([[0], np.cumsum(units)[:-1]])
    return np.concatenate([start + np.arange(n) for start, n in zip(starts, each, strict=True)]), each
