"""How well a tree or a lattice represents a process.

Per stage: the error of the mean, of the variance, and the Wasserstein-1 distance between the node values and the law
of the process. It is the integral over u of ``|F_tree^{-1}(u) − F^{-1}(u)|``. For a lognormal law it is exact: on the
interval of u that belongs to one node the quantile integrates in closed form, ``∫_a^b F^{-1}(u) du = E[D] (Φ(z_b − s)
− Φ(z_a − s))`` with ``s = σ√t``. For others it is the mean over the middles of 2,000 equal shares of u.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scenario_trees.arrays import Array
from scenario_trees.errors import TreeError, require_integer, require_number
from scenario_trees.origin import plain
from scenario_trees.processes.gbm import GeometricBrownianMotion
from scenario_trees.protocols import Spread, Stepping

if TYPE_CHECKING:
    import pandas as pd

    from scenario_trees.lattice import MarkovLattice
    from scenario_trees.tree import ScenarioTree

#: Shares of probability over which the distance to a law that is no lognormal is averaged.
_SHARES = 2_000


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


def _distances(laws: list[tuple[Array, Array]], process: Spread, mean: Array, dt: float) -> Array:
    """Wasserstein-1 distance of the values of every stage to the process."""
    own = plain(process)
    if isinstance(own, GeometricBrownianMotion):
        spread = own.volatility * np.sqrt(np.arange(len(laws)) * dt)
        return np.array([_lognormal_distance(x, p, mean[t], spread[t]) for t, (x, p) in enumerate(laws)])
    level = (np.arange(_SHARES) + 0.5) / _SHARES
    found = []
    for t, (x, p) in enumerate(laws):
        order = np.argsort(x, kind="stable")
        place = np.searchsorted(np.cumsum(p[order]), level * p.sum())
        found.append(float(np.abs(x[order][np.minimum(place, x.size - 1)] - process.quantile(level, t * dt)).mean()))
    return np.array(found)


def _next_means(process: Spread, value: Array, others: Array | None, t: int, dt: float) -> tuple[Array, Array]:
    """Mean of the next stage's value given each of these states of stage ``t``, and its deviation over that mean."""
    if isinstance(own := plain(process), GeometricBrownianMotion):
        growth = float(own.mean(dt)) / own.initial
        return growth * value, np.full(value.size, float(np.sqrt(own.variance(dt))) / float(own.mean(dt)))
    if not isinstance(process, Stepping):
        raise TreeError(f"process: {type(process).__name__} has no steps, so no conditional means to compare with")
    seen = np.zeros((value.size, 0)) if others is None else others
    states = np.column_stack([value, seen])
    if states.shape[1] != len(process.names):
        raise TreeError(f"process: needs {', '.join(process.names)} at every node, got {states.shape[1]} number(s)")
    mean = process.expected(states, t=t * dt, dt=dt)
    spread = getattr(process, "spread", None)
    if spread is None:
        return mean, np.full(value.size, np.nan)
    deviation = np.divide(spread(states, t=t * dt, dt=dt), mean, out=np.zeros_like(mean), where=mean > 0)
    return mean, deviation


def _off(found: Array, expected: Array) -> Array:
    """Relative error; 0 where both are 0."""
    return np.divide(found, expected, out=np.ones_like(found), where=(expected > 0) | (found > 0)) - 1


def _variance_error(found: Array, variance: Array, found_mean: Array) -> Array:
    """Relative error; 0 where neither law has a variance, infinite where only the approximation has one."""
    with np.errstate(divide="ignore", invalid="ignore"):
        some = found > 1e-18 * found_mean**2
        return np.where(variance > 0, found / variance - 1, np.where(some, np.inf, 0.0))


def check(tree: ScenarioTree, process: Spread, dt: float = 1.0, paths: int | None = None) -> TreeCheck:
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
    stage = [tree.at(t) for t in range(tree.horizon + 1)]
    distance = _distances([(tree.value[here], tree.probability[here]) for here in stage], process, mean, dt)
    largest, average, sampling, foresight = np.zeros((4, stages.size))
    sampling[1:] = np.nan
    for t in range(tree.horizon):
        found, weight = _conditional_means(tree, t)
        possible = weight > 0
        others = None if tree.others is None else tree.others[tree.at(t)]
        expected, spread = _next_means(process, tree.value[tree.at(t)], others, t, dt)
        weight, spread = weight[possible], spread[possible]
        error = np.abs(_off(found, expected))[possible]
        largest[t + 1], average[t + 1] = error.max(), weight @ error
        if (unsure := weight @ spread**2) > 0:
            foresight[t + 1] = weight @ error**2 / unsure
        if paths is not None:  # E|N(0, 1)| = √(2/π), and a node of probability p has p·paths of them
            sampling[t + 1] = np.sqrt(2 / (np.pi * paths)) * (spread * np.sqrt(weight)).sum()
    return TreeCheck(
        probability_error=np.abs(total - 1),
        mean_error=tree_mean / mean - 1,
        variance_error=_variance_error(tree_variance, variance, tree_mean),
        wasserstein=distance / mean,
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


def conditional_means(tree: ScenarioTree, process: Spread, dt: float = 1.0, paths: int | None = None) -> pd.DataFrame:
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
    parts = []
    for t in range(tree.horizon):
        found, probability = _conditional_means(tree, t)
        value, others = tree.value[tree.at(t)], None if tree.others is None else tree.others[tree.at(t)]
        expected, spread = _next_means(process, value, others, t, dt)
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
                    "process_mean": expected,
                    "error": _off(found, expected),
                    "sampling_error": sampling,
                }
            )
        )
    columns = ["node", "stage", "probability", "value", "mean", "process_mean", "error", "sampling_error"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def check_lattice(lattice: MarkovLattice, process: Spread, dt: float = 1.0) -> LatticeCheck:
    """Compare the marginal laws and the conditional means of ``lattice`` with ``process``."""
    require_number("dt", dt, low=0.0, strict=True)
    stages = np.arange(lattice.horizon + 1)
    mean, variance = process.mean(stages * dt), process.variance(stages * dt)
    laws = list(zip(lattice.values, lattice.probabilities, strict=True))
    lattice_mean = lattice.stage_mean()
    lattice_variance = np.array([p @ (v - m) ** 2 for (v, p), m in zip(laws, lattice_mean, strict=True)])
    distance = _distances(laws, process, mean, dt)
    largest, average = np.zeros(stages.size), np.zeros(stages.size)
    for t, matrix in enumerate(lattice.transitions):
        value, probability = laws[t]
        others = None if lattice.others is None else lattice.others[t]
        error = np.abs(_off(matrix @ lattice.values[t + 1], _next_means(process, value, others, t, dt)[0]))
        largest[t + 1], average[t + 1] = error[probability > 0].max(), probability @ error
    return LatticeCheck(
        probability_error=np.abs(np.array([p.sum() for _, p in laws]) - 1),
        mean_error=lattice_mean / mean - 1,
        variance_error=_variance_error(lattice_variance, variance, lattice_mean),
        wasserstein=distance / mean,
        conditional_mean_error=largest,
        conditional_mean_error_average=average,
    )
