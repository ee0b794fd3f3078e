"""Monte Carlo evaluation of strategies on common random numbers.

Paths are drawn in the blocks of `scenario_trees.sampling`; every strategy sees the same paths. Blocks are
independent of each other, so they are simulated in any number of processes and added up in their order: the
same seed gives the same bytes. Memory is the net present values (8 bytes per path and strategy), the indicators of
the first paths (`stochisru.lunar.indicators`) and a few blocks.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import reduce

import numpy as np
from numpy.typing import ArrayLike

from scenario_trees.arrays import Array, Index
from scenario_trees.protocols import Sampler
from stochisru.errors import InputError, require_integer
from stochisru.lunar.case import DeploymentCase, require_case
from stochisru.lunar.indicators import KEPT_CASH, KEPT_PATHS
from stochisru.lunar.learning.case import LearningCase, is_learning
from stochisru.lunar.learning.rate import Learning
from stochisru.lunar.simulation.block import PathBlock, simulate_block
from stochisru.lunar.simulation.chosen import resolve
from stochisru.lunar.simulation.drawing import drawn_block, starting_elsewhere
from stochisru.lunar.simulation.outcome import Simulation, demand_kurtosis
from stochisru.lunar.strategies.protocol import Strategy
from stochisru.simulation.blocks import in_order
from stochisru.simulation.sampling import Sampling

#: Given paths that are simulated at once.
_GIVEN_BLOCK = 8192


def simulate(
    case: DeploymentCase | LearningCase,
    strategies: Sequence[Strategy | str],
    *,
    paths: int = 1000,
    seed: int = 0,
    sampler: Sampler | str = "pseudo-random",
    workers: int = 1,
    chunk: int | None = None,
    confidence: float = 0.95,
    progress: Callable[[int], None] | None = None,
) -> Simulation:
    """Judge strategies on common fresh paths of the demand process.

    Parameters
    ----------
    case
        The problem. With learning plant is paid with what was built before; strategies see the case without it.
    strategies
        Strategies, or names of `stochisru.lunar.policies.POLICIES`.
    paths
        Number of paths, ≥ 1.
    seed
        Seed of all random streams, ≥ 0.
    sampler
        ``pseudo-random``, ``antithetic``, ``sobol``, or a `Sampler`.
    workers
        Processes; the result does not depend on it.
    chunk
        Paths simulated in one task (rounded up to whole blocks); the result does not depend on it.
    confidence
        Level of all intervals.
    progress
        Called with the number of paths that were just done.

    Raises
    ------
    InputError
        If an argument is out of range or a strategy misbehaves.

    Examples
    --------
    >>> from stochisru import load_case, simulate
    >>> outcome = simulate(load_case("lunar-reference"), ["moderate", "upfront"], paths=500, seed=7)
    >>> outcome.names
    ['moderate', 'upfront']
    """
    return simulated(case, strategies, Sampling(paths, seed, sampler, workers, confidence), chunk, progress)


def simulated(
    case: DeploymentCase | LearningCase,
    strategies: Sequence[Strategy | str],
    sample: Sampling,
    chunk: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Simulation:
    """`simulate` with the sample as one object."""
    case, learning = _parted(case)
    chosen = resolve(case, strategies)
    source, paths, seed, workers = sample.source, sample.paths, sample.seed, sample.workers
    if chunk is not None:
        require_integer("chunk", chunk, 1)
    size = source.block_size(paths)
    blocks = -(-paths // size)
    per_task = max(1, -(-chunk // size)) if chunk else min(16, -(-blocks // workers))
    units = source.units(paths)
    # Independent units end where blocks end, so each block has its own.
    last_unit = np.searchsorted(np.cumsum(units), np.minimum(np.arange(1, blocks + 1) * size, paths)) + 1
    first_unit = np.concatenate([[0], last_unit[:-1]])

    def task(first: int) -> list[PathBlock]:
        done = []
        for block in range(first, min(first + per_task, blocks)):
            count = min(size, paths - block * size)
            demand, seen = drawn_block(case, source, seed, block, count)
            own = units[first_unit[block] : last_unit[block]]
            keep, keep_cash = (max(0, min(count, kept - block * size)) for kept in (KEPT_PATHS, KEPT_CASH))
            done.append(simulate_block(case, chosen, demand, own, keep, keep_cash, seen, learning))
        return done

    npv = np.empty((len(chosen), paths))
    parts: list[PathBlock] = []
    at = 0
    for done in in_order(task, range(0, blocks, per_task), workers):
        for block in done:
            count = block.npv.shape[1]
            npv[:, at : at + count] = block.npv
            at += count
            parts.append(replace(block, npv=np.empty(0)))
            if progress:
                progress(count)
    return _outcome(case, chosen, npv, parts, units, sample)


def simulated_on(
    case: DeploymentCase | LearningCase,
    strategies: Sequence[Strategy | str],
    demand: ArrayLike,
    *,
    confidence: float = 0.95,
    progress: Callable[[int], None] | None = None,
) -> Simulation:
    """Judge strategies on given paths of demand, with all metrics; each path is as likely as another.

    Parameters
    ----------
    demand
        Shape ``(T + 1, n)``, kg/yr, >= 0; the first row is the case's D0. A history is one path.
    strategies, confidence, progress
        As in `simulate`; intervals take the paths for independent draws of what they are from.

    Raises
    ------
    InputError
        If an argument is out of range, the case's process has more that is seen than demand, or a strategy misbehaves.
    """
    case, learning = _parted(case)
    chosen = resolve(case, strategies)
    given = _demand(case, demand)
    if len(names := getattr(case.process, "names", ("value",))) > 1:
        raise InputError(
            f"demand: strategies of {case.name} see {' and '.join(names[1:])} beside demand, which paths of demand lack"
        )
    paths = given.shape[1]
    sample, units = Sampling(paths, confidence=confidence), np.ones(paths, dtype=np.int64)
    npv, parts = np.empty((len(chosen), paths)), []
    for first in range(0, paths, _GIVEN_BLOCK):
        here = slice(first, min(first + _GIVEN_BLOCK, paths))
        keep, keep_cash = (max(0, min(here.stop, kept) - first) for kept in (KEPT_PATHS, KEPT_CASH))
        block = simulate_block(case, chosen, given[:, here].copy(), units[here], keep, keep_cash, learning=learning)
        npv[:, here] = block.npv
        parts.append(replace(block, npv=np.empty(0)))
        if progress:
            progress(here.stop - first)
    return replace(_outcome(case, chosen, npv, parts, units, sample), seed=None, sampler="given paths", kurtosis=None)


def _parted(case: DeploymentCase | LearningCase) -> tuple[DeploymentCase, Learning | None]:
    """The base case, which strategies see, and what makes its plant cheaper."""
    if is_learning(case):
        return case.base, case.learning
    require_case(case)
    assert isinstance(case, DeploymentCase)
    return case, None


def _outcome(
    case: DeploymentCase,
    chosen: tuple[Strategy, ...],
    npv: Array,
    parts: Sequence[PathBlock],
    units: Index,
    sample: Sampling,
) -> Simulation:
    """Blocks of paths put together."""
    paths = npv.shape[1]
    return Simulation(
        case=case,
        strategies=chosen,
        npv=npv,
        moments=tuple(reduce(operator.add, (p.moments[s] for p in parts)) for s in range(len(chosen))),
        demand=reduce(operator.add, (p.demand for p in parts)) / paths,
        delivered=reduce(operator.add, (p.delivered for p in parts)) / paths,
        shortage=reduce(operator.add, (p.shortage for p in parts)) / paths,
        plant=reduce(operator.add, (p.plant for p in parts)) / paths,
        counts=reduce(operator.add, (p.counts for p in parts)),
        indicators=np.concatenate([p.indicators for p in parts], axis=2),
        cash=np.concatenate([p.cash for p in parts], axis=2),
        units=units,
        seed=sample.seed,
        sampler=sample.source.name,
        confidence=sample.confidence,
        kurtosis=demand_kurtosis(case),
    )


def _demand(case: DeploymentCase, demand: ArrayLike) -> Array:
    """Given paths of demand as an array; `InputError` where they are none of this case."""
    try:
        paths = np.asarray(demand, dtype=float)
    except (TypeError, ValueError) as error:
        raise InputError("demand: must be an array of numbers") from error
    years, initial = case.horizon.T + 1, case.process.initial
    if paths.ndim != 2 or paths.shape[0] != years or not paths.shape[1]:
        raise InputError(f"demand: must have shape (T + 1, paths) with T + 1 = {years}, got {paths.shape}")
    good = np.isfinite(paths) & (paths >= 0)
    if not good.all():
        year, path = np.argwhere(~good)[0]
        raise InputError(f"demand: must be >= 0 and finite, got {paths[year, path]} in year {year} of path {path}")
    other = starting_elsewhere(initial, paths)
    if other.size:
        raise InputError(
            f"demand: must start at the case's D0 = {initial:g} kg/yr, got {paths[0, other[0]]:g} in year 0 of path "
            f"{other[0]}; give case.replace(D0=…) with paths of another start"
        )
    return paths


def npv_on_paths(case: DeploymentCase, strategy: Strategy, demand: ArrayLike, seen: Array | None = None) -> Array:
    """Net present value of a strategy on given paths, $.

    Parameters
    ----------
    demand
        Shape ``(T + 1, n)``, kg/yr, >= 0; the first row is the case's D0.
    seen
        What is seen beside it, such as a regime, shape ``(T + 1, n, k)``, for strategies that look at it.

    Returns
    -------
    numpy.ndarray
        Shape ``(n,)``.

    Raises
    ------
    InputError
        If an argument is no case, no strategy or no such array.
    """
    require_case(case)
    chosen = resolve(case, [strategy])
    demand = _demand(case, demand)
    return np.asarray(simulate_block(case, chosen, demand, np.array([demand.shape[1]]), 0, 0, seen).npv[0])
