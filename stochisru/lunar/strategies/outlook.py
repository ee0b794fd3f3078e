"""What a quantile path of demand looks like from where a path stands, for hurdles.

Where steps are independent and scale with demand (a geometric Brownian motion, jumps, history repeated) the growth
over h years has one law, and its quantile is that of the process. Elsewhere, in regimes, before a date or near a
level, it depends on the state: then it is read off a lattice of the process, from the state nearest to the path's
own.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from scenario_trees.arrays import Array, Index
from scenario_trees.lattice import MarkovLattice
from scenario_trees.processes import GeometricBrownianMotion, HistoricalIncrements, JumpDiffusion
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.strategies.places import nearest

#: States per kind of state of the lattice behind the table.
_STATES = 100


def has_one_outlook(case: DeploymentCase) -> bool:
    """Whether growth over some years has the same law wherever demand stands."""
    return isinstance(case.process, (GeometricBrownianMotion, JumpDiffusion, HistoricalIncrements))


def quantile_growth(
    case: DeploymentCase, year: int, level: float, ahead: Index, demand: Array, seen: Array | None
) -> Array:
    """Quantile of D_{year + h}/D_year given what is known in ``year``.

    Parameters
    ----------
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
    if has_one_outlook(case):
        return np.asarray(case.process.quantile(level, ahead) / case.demand.D0)[:, None]
    states, table = _table(case, level)[year]
    place = nearest(states, demand, np.zeros((demand.size, 0)) if seen is None else seen)
    return np.asarray(np.where(demand > 0, table[place][:, ahead].T, 0.0))


@lru_cache(maxsize=64)
def _table(case: DeploymentCase, level: float) -> tuple[tuple[Array, Array], ...]:
    """States of every year, shape ``(states, k)``, and quantiles of growth from each, ``(states, T − year + 1)``."""
    T = case.horizon.T
    lattice = MarkovLattice.from_process(case.process, T, _STATES, tilt=0.5)
    found = []
    for year in range(T + 1):
        value = lattice.values[year]
        others = np.zeros((value.size, 0)) if lattice.others is None else lattice.others[year]
        growth, reach = np.zeros((value.size, T - year + 1)), np.eye(value.size)
        for h in range(T - year + 1):
            if h:
                reach = reach @ lattice.transitions[year + h - 1]
            then = np.array([_quantile(lattice.values[year + h], chance, level) for chance in reach])
            growth[:, h] = np.divide(then, value, out=np.zeros_like(then), where=value > 0)
        found.append((np.column_stack([value, others]), growth))
    return tuple(found)


def _quantile(value: Array, chance: Array, level: float) -> float:
    """Quantile of a law on bins: their means stand at the middle of their shares, logarithms between are straight."""
    some = chance > 0
    value, chance = value[some], chance[some]
    middle = np.cumsum(chance) - chance / 2
    if value[0] == 0:
        if level <= chance[0] or value.size == 1:
            return 0.0
        value, middle = value[1:], middle[1:]
    return float(np.exp(np.interp(level, middle, np.log(value))))
