"""What a quantile path of demand looks like from where a path stands, for hurdles.

Where steps are independent and scale with demand (a geometric Brownian motion, jumps, history repeated) the growth
over h years has one law, and its quantile is that of the process. Elsewhere, in regimes, before a date or near a
level, it depends on the state: then it is read off a lattice of the process, from the state nearest to the path's
own.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from scenario_trees.arrays import Array, Index
from scenario_trees.lattice import MarkovLattice
from scenario_trees.processes import GeometricBrownianMotion, HistoricalIncrements, JumpDiffusion
from stochisru.lunar.strategies.places import log_demand, nearest

#: States per kind of state of the lattice behind the table.
_STATES = 100


def has_one_outlook(process: Any) -> bool:
    """Whether growth over some years has the same law wherever demand stands."""
    return isinstance(process, (GeometricBrownianMotion, JumpDiffusion, HistoricalIncrements))


def quantile_growth(
    process: Any, horizon: int, year: int, level: float, ahead: Index, demand: Array, seen: Array | None
) -> Array:
    """Quantile of D_{year + h}/D_year given what is known in ``year``.

    Parameters
    ----------
    process, horizon
        Process of demand, and the last year T of which there may be a question.
    level
        In (0, 1).
    ahead
        h, whole years ≥ 0, shape ``(m,)``.
    demand
        D_year of n paths, kg/yr.
    seen
        What is seen beside it, shape ``(n, k)``, or None.

    Returns
    -------
    numpy.ndarray
        Shape ``(m, 1)`` where it is the same for all paths, else ``(m, n)``; 0 for a demand of 0.
    """
    if has_one_outlook(process):
        return np.asarray(process.quantile(level, ahead) / process.initial)[:, None]
    states, table = _table(process, horizon, level)[year]
    place = nearest(states, demand, np.zeros((demand.size, 0)) if seen is None else seen)
    return np.asarray(np.where(demand > 0, table[place][:, ahead].T, 0.0))


@lru_cache(maxsize=64)
def _table(process: Any, T: int, level: float) -> tuple[tuple[Array, Array], ...]:
    """States of every year, shape ``(states, k)``, and quantiles of growth from each, ``(states, T − year + 1)``."""
    lattice = _lattice(process, T)
    found = []
    for year in range(T + 1):
        value = lattice.values[year]
        growth, reach = np.zeros((value.size, T - year + 1)), np.eye(value.size)
        for h in range(T - year + 1):
            if h:
                reach = reach @ lattice.transitions[year + h - 1]
            then = _quantiles(lattice.values[year + h], reach, level)
            growth[:, h] = np.divide(then, value, out=np.zeros_like(then), where=value > 0)
        found.append((lattice.known(year), growth))
    return tuple(found)


@lru_cache(maxsize=2)
def _lattice(process: Any, T: int) -> MarkovLattice:
    return MarkovLattice.from_process(process, T, _STATES, tilt=0.5)


def _quantiles(value: Array, chance: Array, level: float) -> Array:
    """Quantile of each row's law on bins: their means stand at the middle of their shares, straight in the logarithm.

    Parameters
    ----------
    value
        Ascending, shape ``(m,)``.
    chance
        Shape ``(n, m)``; rows sum to 1.
    """
    dead = chance[:, value == 0].sum(axis=1)
    some = (chance > 0) & (value > 0)
    middle = np.cumsum(chance, axis=1) - chance / 2
    columns, log = np.arange(value.size), log_demand(value)
    last = np.where(some, columns, -1).max(axis=1)
    first = np.where(some, columns, value.size).min(axis=1)
    low = np.where(some & (middle <= level), columns, -1).max(axis=1)
    high = np.where(some & (middle > level), columns, value.size).min(axis=1)
    low, high = np.maximum(low, np.minimum(first, last)), np.minimum(high, np.maximum(last, 0))
    rows = np.arange(chance.shape[0])
    below, above = middle[rows, low], middle[rows, high]
    part = np.divide(level - below, above - below, out=np.zeros_like(below), where=above > below)
    found = np.exp(log[low] + np.clip(part, 0.0, 1.0) * (log[high] - log[low]))
    return np.where((last < 0) | (level <= dead) & (dead > 0), 0.0, found)
