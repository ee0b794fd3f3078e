"""How well a tree or a lattice represents a process.

Per stage: the error of the mean, of the variance, and the Wasserstein-1 distance between the node values
and the lognormal law of the process. The distance is exact: it is the integral over u of
``|F_tree^{-1}(u) − F^{-1}(u)|``, and on the interval of u that belongs to one node the lognormal quantile
integrates in closed form, ``∫_a^b F^{-1}(u) du = E[D] (Φ(z_b − s) − Φ(z_a − s))`` with ``s = σ√t``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scenario_trees.arrays import Array
from scenario_trees.errors import require_integer, require_number
from scenario_trees.processes.gbm import GeometricBrownianMotion

if TYPE_CHECKING:
    import pandas as pd

    from scenario_trees.lattice import MarkovLattice
    from scenario_trees.tree import ScenarioTree


class _ByStage:
    """Errors of a check, each an array with an entry per stage."""

    def to_frame(self) -> pd.DataFrame:
        """One row per stage."""
        import pandas as pd

        return pd.DataFrame(vars(self), index=pd.RangeIndex(len(next(iter(vars(self).values()))), name="stage"))


@dataclass(frozen=True)
class TreeCheck(_ByStage):
    """Errors of a tree against its process, one entry per stage 0..T.

    Attributes
    ----------
    probability_error
        ``|Σ p − 1|`` per stage.
    mean_error
        Relative error of the mean.
    variance_error
        Relative error of the variance; 0 where neither process nor tree has one, infinite where only the tree has.
    wasserstein
        Wasserstein-1 distance to the process divided by the mean.
    conditional_mean_error
        Largest relative error of E[D_t | node before] over the nodes of the stage before; 0 at stage 0. A tree whose
        nodes know what comes next has it large, however good its marginal laws.
    conditional_mean_error_average
        The same, averaged in absolute value with the probabilities of those nodes.
    conditional_mean_error_sampling
        What that average would be from sampling alone, in a tree of so many paths of the process; NaN if their number
        was not given. A tree of paths whose average is well above it tells the future.
    foresight
        Share of the variance of D_t given the node before that the node tells in advance, E[error²] over the relative
        variance of one step: 0 of the process, 1 where every node has one future, as in a tree of one path per node,
        whose errors are no larger than sampling makes them. 0 where nothing is uncertain.
    """

    probability_error: Array
    mean_error: Array
    variance_error: Array
    wasserstein: Array
    conditional_mean_error: Array
    conditional_mean_error_average: Array
    conditional_mean_error_sampling: Array
    foresight: Array


@dataclass(frozen=True)
class LatticeCheck(_ByStage):
    """Errors of a lattice against its process, one entry per stage 0..T.

    Attributes
    ----------
    probability_error
        ``|Σ p − 1|`` per stage.
    mean_error, variance_error, wasserstein
        As in `TreeCheck`.
    conditional_mean_error
        Largest relative error of E[D_t | state before] over the states of the stage before; 0 at stage 0.
    conditional_mean_error_average
        The same, averaged in absolute value with the probabilities of those states.
    """

    probability_error: Array
    mean_error: Array
    variance_error: Array
    wasserstein: Array
    conditional_mean_error: Array
    conditional_mean_error_average: Array


def _lognormal_distance(value: Array, probability: Array, mean: float, s: float) -> float:
    from scipy.special import ndtr, ndtri

    order = np.argsort(value, kind="stable")
    x, p = value[order], probability[order]
    if s == 0:
        return float(p @ np.abs(x - mean))
    u = np.clip(np.concatenate([[0.0], np.cumsum(p)]), 0.0, 1.0)
    u[-1] = 1.0
    # Level at which the process passes x; the sign of the integrand changes there.
    z_x = (np.log(x / mean) + 0.5 * s**2) / s
    cut = np.clip(ndtr(z_x), u[:-1], u[1:])

    def integral(a: Array, b: Array) -> Array:
        return np.asarray(mean * (ndtr(ndtri(b) - s) - ndtr(ndtri(a) - s)))

    below = x * (cut - u[:-1]) - integral(u[:-1], cut)
    above = integral(cut, u[1:]) - x * (u[1:] - cut)
    return float(np.sum(below + above))


def _variance_error(found: Array, variance: Array, found_mean: Array) -> Array:
    """Relative error; 0 where neither law has a variance, infinite where only the approximation has one."""
    with np.errstate(divide="ignore", invalid="ignore"):
        some = found > 1e-18 * found_mean**2
        return np.where(variance > 0, found / variance - 1, np.where(some, np.inf, 0.0))


def check(tree: ScenarioTree, process: GeometricBrownianMotion, dt: float = 1.0, paths: int | None = None) -> TreeCheck:
    """Compare the marginal law of every stage of ``tree``, and the conditional mean of every node, with ``process``.

    Parameters
    ----------
    dt
        Time between two stages.
    paths
        Number of paths that the tree was made from by `tree_from_paths`; gives ``conditional_mean_error_sampling``.
    """
    require_number("dt", dt, low=0.0, strict=True)
    if paths is not None:
        require_integer("paths", paths, 1)
    stages = np.arange(tree.horizon + 1)
    total = np.add.reduceat(tree.probability, tree.offsets[:-1])
    mean = process.mean(stages * dt)
    variance = process.variance(stages * dt)
    tree_mean = tree.stage_mean()
    centred = (tree.value - np.repeat(tree_mean, np.diff(tree.offsets))) ** 2
    tree_variance = tree.stage_mean(centred)
    distance = [
        _lognormal_distance(
            tree.value[tree.at(t)],
            tree.probability[tree.at(t)],
            mean[t],
            process.volatility * np.sqrt(t * dt),
        )
        for t in range(tree.horizon + 1)
    ]
    growth = float(process.mean(dt)) / process.initial
    spread = float(np.sqrt(process.variance(dt))) / float(process.mean(dt))  # of the growth of one path
    largest, average, sampling, foresight = np.zeros((4, stages.size))
    sampling[1:] = np.nan
    for t in range(tree.horizon):
        found, weight = _conditional_means(tree, t)
        possible = weight > 0
        weight = weight[possible]
        error = np.abs(found / (growth * tree.value[tree.at(t)]) - 1)[possible]
        largest[t + 1], average[t + 1] = error.max(), weight @ error
        if spread > 0:
            foresight[t + 1] = weight @ error**2 / spread**2
        if paths is not None:  # E|N(0, 1)| = √(2/π), and a node of probability p has p·paths of them
            sampling[t + 1] = spread * np.sqrt(2 / (np.pi * paths)) * np.sqrt(weight).sum()
    return TreeCheck(
        probability_error=np.abs(total - 1),
        mean_error=tree_mean / mean - 1,
        variance_error=_variance_error(tree_variance, variance, tree_mean),
        wasserstein=np.array(distance) / mean,
        conditional_mean_error=largest,
        conditional_mean_error_average=average,
        conditional_mean_error_sampling=sampling,
        foresight=foresight,
    )


def _conditional_means(tree: ScenarioTree, t: int) -> tuple[Array, Array]:
    """E[D_{t+1} | node] of the nodes of stage t, NaN where they cannot be reached, and their probabilities."""
    below, probability = tree.at(t + 1), tree.probability[tree.at(t)]
    total = tree.children_sum(tree.probability[below] * tree.value[below], t)
    return np.divide(total, probability, out=np.full(total.shape, np.nan), where=probability > 0), probability


def conditional_means(
    tree: ScenarioTree, process: GeometricBrownianMotion, dt: float = 1.0, paths: int | None = None
) -> pd.DataFrame:
    """What every node expects next, against the process.

    Parameters
    ----------
    dt, paths
        As in `check`.

    Returns
    -------
    pandas.DataFrame
        One row per node before the last stage: ``node``, ``stage``, ``probability``, ``value``, ``mean`` (of the next
        stage, given the node), ``process_mean``, ``error`` (relative), and the standard error of ``error`` from
        sampling alone, ``sampling_error``: NaN if the number of paths was not given.

    Examples
    --------
    >>> from scenario_trees import GeometricBrownianMotion, ScenarioTree
    >>> from scenario_trees.diagnostics import conditional_means
    >>> process = GeometricBrownianMotion(1000.0, 0.1, 0.2)
    >>> found = conditional_means(ScenarioTree.from_process(process, [3, 3]), process)
    >>> len(found), bool((abs(found["error"]) < 1e-12).all())
    (4, True)
    """
    import pandas as pd

    require_number("dt", dt, low=0.0, strict=True)
    if paths is not None:
        require_integer("paths", paths, 1)
    growth = float(process.mean(dt)) / process.initial
    spread = float(np.sqrt(process.variance(dt))) / float(process.mean(dt))
    parts = []
    for t in range(tree.horizon):
        found, probability = _conditional_means(tree, t)
        value = tree.value[tree.at(t)]
        with np.errstate(divide="ignore"):
            sampling = np.full(value.size, np.nan) if paths is None else spread / np.sqrt(paths * probability)
        parts.append(
            pd.DataFrame(
                {
                    "node": np.arange(tree.offsets[t], tree.offsets[t + 1]),
                    "stage": t,
                    "probability": probability,
                    "value": value,
                    "mean": found,
                    "process_mean": growth * value,
                    "error": found / (growth * value) - 1,
                    "sampling_error": sampling,
                }
            )
        )
    columns = ["node", "stage", "probability", "value", "mean", "process_mean", "error", "sampling_error"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def check_lattice(lattice: MarkovLattice, process: GeometricBrownianMotion, dt: float = 1.0) -> LatticeCheck:
    """Compare the marginal laws and the conditional means of ``lattice`` with ``process``."""
    require_number("dt", dt, low=0.0, strict=True)
    stages = np.arange(lattice.horizon + 1)
    mean, variance = process.mean(stages * dt), process.variance(stages * dt)
    laws = list(zip(lattice.values, lattice.probabilities, strict=True))
    lattice_mean = lattice.stage_mean()
    lattice_variance = np.array([p @ (v - m) ** 2 for (v, p), m in zip(laws, lattice_mean, strict=True)])
    distance = [
        _lognormal_distance(value, probability, mean[t], process.volatility * np.sqrt(t * dt))
        for t, (value, probability) in enumerate(laws)
    ]
    growth = float(process.mean(dt)) / process.initial
    largest, average = np.zeros(stages.size), np.zeros(stages.size)
    for t, matrix in enumerate(lattice.transitions):
        value, probability = laws[t]
        error = np.abs(matrix @ lattice.values[t + 1] / (growth * value) - 1)
        largest[t + 1], average[t + 1] = error[probability > 0].max(), probability @ error
    return LatticeCheck(
        probability_error=np.abs(np.array([p.sum() for _, p in laws]) - 1),
        mean_error=lattice_mean / mean - 1,
        variance_error=_variance_error(lattice_variance, variance, lattice_mean),
        wasserstein=np.array(distance) / mean,
        conditional_mean_error=largest,
        conditional_mean_error_average=average,
    )
