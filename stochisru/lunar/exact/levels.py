"""Exact deployment under economies of scale: a dynamic programme over the levels of plant that can be optimal.

Where cost is concave in size, or plants come in whole modules, the problem is no longer a linear program. It is still
one of few candidates. Let ``m_t = M_t/κ^t`` be plant counted in kilograms of year 0 (κ = 1 − δ), so that m never falls,
and look at one commitment's m while all others stay. Profit is concave and piecewise linear in m with bends where
capacity equals a demand, or the demand that Earth cannot serve; the cost of getting to m and on from m is concave, so
the objective is convex between two neighbouring bends. Hence some optimum has every m at a bend or at the level before
it, and by induction all levels are bends of the problem or the plant in place. With modules m runs through whole
numbers, and the same holds for the numbers next to a bend (the extreme-point argument of lot sizing: Zangwill 1968;
Luss 1982, section 2).

A *chain* is the problem of a plan that is known in advance (wait-and-see on a path, static plan, mean path); the
multistage problem is one on a tree of commitments (`Commitments`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scenario_trees.arrays import Array, Index, Mask
from scenario_trees.tree import ScenarioTree
from stochisru.errors import InputError
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.exact.layers import OpenLoopPlan, allowed_years
from stochisru.lunar.information import Commitments
from stochisru.lunar.operations import MeritOrder, discount_factors

Choice = NDArray[np.int16]
#: Cost of raising plant from one level to another in a year, $ of that year: (year, levels) to a (k, k) table, of which
#: the part above the diagonal counts.
StepCost = Callable[[int, Array], Array]

#: Entries (path, level, level) or (commitment, level) handled at once; bounds the memory.
_CHUNK = 4_000_000
#: Entries (commitment, level) that stay in the processor's cache while all steps between levels are tried.
_NEAR = 100_000
#: Levels that a tree may have: time grows with their square.
MOST_LEVELS = 2_000
#: Levels up to which the dynamic programme is quicker than a program of the tree.
FEW_LEVELS = 250
#: Holds the number of a level of a tree, of which there is one per commitment and level.
_NUMBER = np.int16
#: Two levels closer than this share of the larger are one.
_SAME = 1e-12


def has_exact_levels(case: DeploymentCase) -> bool:
    """Whether the optimal levels of plant are among those of `Levels`."""
    whole = case.launch.lot is not None
    return not (whole and case.technology.degradation > 0) and case.investment.is_concave


def why_no_exact_levels(case: DeploymentCase) -> str | None:
    """Why the case has no exact levels, in one sentence that names the field, or None where it has."""
    if has_exact_levels(case):
        return None
    what = (
        "degradation: must be 0 with a launch.lot"
        if case.investment.is_concave
        else "scale: the cost of a deployment must be concave in its size"
    )
    return f"{what} for the exact dynamic programme (--method ef takes any curve)"


def has_few_levels(case: DeploymentCase, tree: ScenarioTree) -> bool:
    """Whether a tree of a case with exact levels has so few that the dynamic programme over them is quick."""
    return levels_on_tree(case, tree).size <= FEW_LEVELS


def require_exact_levels(case: DeploymentCase) -> None:
    """Raise `InputError` unless the case has exact levels."""
    reason = why_no_exact_levels(case)
    if reason is not None:
        raise InputError(reason)


def shrinkage(case: DeploymentCase) -> Array:
    """κ^t: what is left in year t of a kilogram of year 0, shape ``(T + 1,)``."""
    return np.asarray((1 - case.technology.degradation) ** np.arange(case.horizon.T + 1.0))


def plain_cost(case: DeploymentCase) -> StepCost:
    """What a deployment of the case costs by its size."""

    def cost(year: int, levels: Array) -> Array:
        return case.investment(shrinkage(case)[year] * np.maximum(levels[None, :] - levels[:, None], 0.0))

    return cost


def candidate_levels(case: DeploymentCase, demand: Array, year: Index) -> Array:
    """Levels of plant at which profit bends, kg of year 0, not sorted.

    Parameters
    ----------
    demand, year
        Demands (kg/yr) and the years that they belong to; ``year`` broadcasts along the first axis.

    Returns
    -------
    numpy.ndarray
        Shape of ``demand``, repeated along the first axis where a limit on supply from Earth, or modules, make several
        levels of one demand; none below the plant in place.
    """
    merit = MeritOrder.of(case)
    per_plant = case.technology.eta * shrinkage(case)[year]
    per_plant = per_plant.reshape(-1, *[1] * (demand.ndim - 1))
    bends = [demand / per_plant]
    if merit.limited:
        bends.append(merit.beyond_earth(demand) / per_plant)
    levels = np.concatenate(bends)
    start, lot = case.technology.M0, case.launch.lot
    if lot is not None:
        modules = np.maximum(levels - start, 0.0) / lot
        levels = start + lot * np.concatenate([np.floor(modules), np.ceil(modules)])
    return np.maximum(levels, start)


def levels_of(case: DeploymentCase, demand: Iterable[Array], also: ArrayLike = ()) -> Array:
    """Levels of plant that can be optimal for any of the demands of years 0..T, kg of year 0, ascending, each once.

    Parameters
    ----------
    demand
        Demands that may occur, kg/yr, one array per year.
    also
        Further levels that are wanted.

    Returns
    -------
    numpy.ndarray
        The first is the plant in place.
    """
    bends = [candidate_levels(case, np.unique(d)[None, :], np.array([t])).ravel() for t, d in enumerate(demand)]
    levels = np.unique(np.concatenate([[case.technology.M0], also, *bends]))
    return np.asarray(levels[np.append(True, np.diff(levels) > _SAME * levels[1:])])


def profit_at(case: DeploymentCase, year: int, level: Array, demand: Array) -> Array:
    """Operating profit less operating cost of a year, $ of year 0; ``level`` and ``demand`` broadcast."""
    plant = level * shrinkage(case)[year]
    cash = MeritOrder.of(case).profit(case.technology.eta * plant, demand) - case.costs.c_op * plant
    return np.asarray(discount_factors(case)[year] * cash)


@dataclass(frozen=True, eq=False)
class ChainOptimum:
    """Best plans that are known in advance, one per chain.

    Attributes
    ----------
    value
        $ of year 0 (maximised), shape ``(n,)``.
    deployment
        ΔM_t, kg, shape ``(T + 1, n)``.
    """

    value: Array
    deployment: Array


def chain_optimum(case: DeploymentCase, levels: Array, profit: Array, allowed: Mask | None = None) -> ChainOptimum:
    """Best plan of every chain among its levels.

    Parameters
    ----------
    levels
        Levels of each chain, kg of year 0, ascending (repeats allowed), the first the plant in place; ``(n, k)``.
    profit
        Profit of each year at each level, $ of year 0, ``(T + 1, n, k)``.
    allowed
        Years in which plant may arrive, as well as what the case allows.
    """
    years, n, k = profit.shape
    free = allowed_years(case) if allowed is None else allowed & allowed_years(case)
    discount, scale = discount_factors(case), shrinkage(case)
    cost = case.investment
    best = np.zeros((n, k))
    choice = np.empty((years, n, k), dtype=np.int16 if k < 2**15 else np.int32)
    # Without degradation a step costs the same in every year.
    few = bool(scale[-1] == 1) and n * k * k <= 4 * _CHUNK
    steps = cost(np.maximum(levels[:, None, :] - levels[:, :, None], 0.0)) if few else None
    for t in range(years - 1, -1, -1):
        total = profit[t] + best  # at the level of year t, (n, k)
        if not free[t]:
            best = total
            choice[t] = np.arange(k)
            continue
        best = np.empty((n, k))
        for i in range(k):
            if steps is not None:
                price = discount[t] * steps[:, i, i:]
            else:
                price = discount[t] * cost(scale[t] * (levels[:, i:] - levels[:, i : i + 1]))
            net = total[:, i:] - price
            at = net.argmax(axis=1)  # ties: the lowest level
            choice[t, :, i] = at + i
            best[:, i] = net[np.arange(n), at]
    at = np.zeros(n, dtype=np.int64)
    deployment = np.empty((years, n))
    rows = np.arange(n)
    for t in range(years):
        then = choice[t, rows, at].astype(np.int64)
        deployment[t] = scale[t] * (levels[rows, then] - levels[rows, at])
        at = then
    return ChainOptimum(best[:, 0], deployment)


def perfect_information(case: DeploymentCase, demand: Array) -> tuple[Array, Array]:
    """Best plan of every path, each known in advance; see `layers.perfect_information`, which this extends.

    Parameters
    ----------
    demand
        Paths, shape ``(T + 1, paths)``, kg/yr.
    """
    require_exact_levels(case)
    years, paths = demand.shape
    value, deployment = np.empty(paths), np.empty_like(demand)
    several = 4 if case.launch.lot is not None else 2
    chunk = max(1, _CHUNK // (several * years + 1) ** 2)
    for first in range(0, paths, chunk):
        part = demand[:, first : first + chunk]
        here = candidate_levels(case, part, np.arange(years))
        start = np.full((1, part.shape[1]), case.technology.M0)
        levels = np.sort(np.concatenate([start, here]), axis=0).T
        profit = np.stack([profit_at(case, t, levels, part[t][:, None]) for t in range(years)])
        found = chain_optimum(case, levels, profit)
        value[first : first + chunk], deployment[:, first : first + chunk] = found.value, found.deployment
    return value, deployment


def open_loop(
    case: DeploymentCase,
    demand: list[Array],
    probability: list[Array],
    allowed: Mask | None = None,
) -> OpenLoopPlan:
    """Best deployment plan that is fixed in advance; see `layers.open_loop`, which this extends."""
    require_exact_levels(case)
    laws = []
    for values, weights in zip(demand, probability, strict=True):
        points, which = np.unique(values, return_inverse=True)
        laws.append((points, np.bincount(which, weights=weights)))
    levels = levels_of(case, (points for points, _ in laws))
    profit = np.zeros((len(laws), levels.size))
    rows = max(1, _CHUNK // levels.size)
    for t, (points, weight) in enumerate(laws):
        for first in range(0, points.size, rows):
            part = slice(first, first + rows)
            profit[t] += weight[part] @ profit_at(case, t, levels[None, :], points[part, None])
    found = chain_optimum(case, levels[None, :], profit[:, None, :], allowed)
    return OpenLoopPlan(float(found.value[0]), found.deployment[:, 0])


def held_levels(case: DeploymentCase, held: Sequence[float]) -> Array:
    """Level of plant, kg of year 0, after each of the deployments ΔM_0, ΔM_1, … (kg) that are held."""
    added = np.array(held, dtype=float) / shrinkage(case)[: len(held)]
    return np.asarray(case.technology.M0 + np.cumsum(added))


def levels_on_tree(case: DeploymentCase, tree: ScenarioTree, held: Sequence[float] = ()) -> Array:
    """`levels_of` a tree, with those of deployments that are held."""
    stages = (tree.value[tree.at(t)] for t in range(tree.horizon + 1))
    return levels_of(case, stages, held_levels(case, held))


def expected_profit(case: DeploymentCase, tree: ScenarioTree, commitments: Commitments, levels: Array, t: int) -> Array:
    """Expected profit of year t of its commitments at every level, weighted by probability; $ of year 0.

    Returns
    -------
    numpy.ndarray
        Shape ``(commitments of year t, levels)``.
    """
    from scipy.sparse import csr_array

    here = tree.at(t)
    # Many nodes of a stage share one demand: profit is computed once for each.
    demand, which = np.unique(tree.value[here], return_inverse=True)
    table = profit_at(case, t, levels[None, :], demand[:, None])
    own = commitments.of_node[here] - int(commitments.offsets[t])
    count = commitments.at(t).stop - commitments.at(t).start
    weights = csr_array((tree.probability[here], (own, which)), shape=(count, demand.size))
    return np.asarray(weights @ table)


def best_steps(total: Array, cost: Array, weight: Array) -> tuple[Array, Choice]:
    """Best worth before a step of what ``total`` is worth after it, and the level to go to.

    Parameters
    ----------
    total
        Shape ``(n, levels)``, $.
    cost
        Of a step by level before and after, $, shape ``(levels, levels)``; what lies below the diagonal is not read.
    weight
        Of the cost for each row of ``total``, shape ``(n,)``.
    """
    k = cost.shape[0]
    best, choice = np.empty_like(total), np.empty(total.shape, dtype=_NUMBER)
    size = max(1, _NEAR // k)
    for first in range(0, weight.size, size):
        part = slice(first, first + size)
        after, share = total[part], weight[part, None]
        rows = np.arange(after.shape[0])
        for i in range(k):
            net = share * cost[i, i:]
            np.subtract(after[:, i:], net, out=net)
            at = net.argmax(axis=1)  # ties: the lowest level
            choice[part, i], best[part, i] = at + i, net[rows, at]
    return best, choice


@dataclass(frozen=True, eq=False)
class TreeLevels:
    """The multistage problem of a case on a tree, on the levels that can be optimal.

    Parameters
    ----------
    held
        Deployments ΔM_0, ΔM_1, … (kg) whose levels are wanted as well, to be able to hold them.

    Raises
    ------
    InputError
        If the case has no exact levels, or the tree has more than `MOST_LEVELS` (it does not recombine).
    """

    case: DeploymentCase
    tree: ScenarioTree
    held: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        require_exact_levels(self.case)
        if self.levels.size > MOST_LEVELS:
            raise InputError(
                f"tree: has {self.levels.size:,} levels of plant that may be optimal, {MOST_LEVELS:,} are the most for "
                "the exact dynamic programme: trees with the same branches in every year have few"
            )

    @cached_property
    def commitments(self) -> Commitments:
        """Who knows what when."""
        return Commitments(self.tree, self.case.horizon.lead_time)

    @cached_property
    def levels(self) -> Array:
        """Levels of plant, kg of year 0, ascending; the first is the plant in place."""
        return levels_on_tree(self.case, self.tree, self.held)

    @property
    def held_levels(self) -> Array:
        """Level of each held year, kg of year 0."""
        return held_levels(self.case, self.held)

    def _best_step(self, t: int, total: Array, weight: Array) -> tuple[Array, Choice]:
        """Best worth of (commitments, levels) before the deployment of year t, and the level to go to."""
        return best_steps(total, discount_factors(self.case)[t] * plain_cost(self.case)(t, self.levels), weight)

    @cached_property
    def _held_at(self) -> Index:
        """Number of the level that each held year ends at, after that of the plant in place."""
        return np.append(0, np.searchsorted(self.levels, self.held_levels * (1 - 1e-9)))

    @cached_property
    def _tables(self) -> tuple[list[Choice], Array, Array]:
        """Level to go to by (commitment, level before) of every year, and what holding a start of the plan is worth.

        The second is the optimal worth of the years from t on where the years before are held, the third the profit of
        year t where it is held as well; both $ of year 0, for t = 0..number of held years. The tables that they are
        read from are as large as those of the levels and are not kept.
        """
        commitments, wanted = self.commitments, self._held_at
        years, k = self.tree.horizon + 1, self.levels.size
        choice: list[Choice] = [np.empty(0, dtype=_NUMBER)] * years
        worth, earned = np.zeros((2, years + 1))
        later = np.zeros((commitments.at(years - 1).stop - commitments.at(years - 1).start, k))
        allowed = allowed_years(self.case)
        for t in range(years - 1, -1, -1):
            total = expected_profit(self.case, self.tree, commitments, self.levels, t)
            if t + 1 < wanted.size:
                earned[t] = float(total[:, wanted[t + 1]].sum())
            total += later
            if allowed[t]:
                total, choice[t] = self._best_step(t, total, commitments.probability[commitments.at(t)])
            else:
                choice[t] = np.broadcast_to(np.arange(k, dtype=_NUMBER), total.shape)
            if t < wanted.size:
                worth[t] = float(total[:, wanted[t]].sum())
            if t:
                before = commitments.previous[commitments.at(t)] - int(commitments.offsets[t - 1])
                count = commitments.at(t - 1).stop - commitments.at(t - 1).start
                later = np.zeros((count, k))
                np.add.at(later, before, total)
        return choice, worth, earned

    def optimum(self, held: int = 0) -> tuple[float, Array]:
        """Optimal value ($, maximised) and ΔM per node (kg), the first ``held`` years as given by ``self.held``."""
        choice, worth, earned = self._tables
        commitments, levels, scale = self.commitments, self.levels, shrinkage(self.case)
        paid = discount_factors(self.case)[:held] * self.case.investment(np.array(self.held[:held], dtype=float))
        value = float(worth[held] + (earned[:held] - paid).sum())
        at = np.zeros(1, dtype=np.int64)  # level before the deployment, per commitment of the year
        orders = np.empty(commitments.count)
        for t in range(self.tree.horizon + 1):
            here = commitments.at(t)
            if t:
                at = at[commitments.previous[here] - int(commitments.offsets[t - 1])]
            if t < held:
                then = np.full(at.size, self._held_at[t + 1])
                orders[here] = self.held[t]
            else:
                then = choice[t][np.arange(at.size), at].astype(np.int64)
                orders[here] = scale[t] * (levels[then] - levels[at])
            at = then
        return value, orders[commitments.of_node]
