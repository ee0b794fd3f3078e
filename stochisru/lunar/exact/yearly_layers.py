"""Layers of plant on a tree where prices, costs and yield move with the year and tiers want shares of demand.

As in `stochisru.lunar.exact.lattice_layers` a layer, the kilograms between two neighbouring breakpoints of any year's
marginal profit, is an irreversible investment of its own: what it earns does not depend on the others. Ordered at a
node of stage d it arrives in a year s that is decided there, costs the bill of that year and earns from then on,

    W(n) = max(max_s {E[F(n') | n] − p_s}, E[W(child) | n]),      F(n) = marginal profit at n + E[F(child) | n],

n' being the nodes of year s below n. Which years are decided at which stage is what the information says: max(s − L, 0)
for recourse, 0 for the static plan, all at the end with foresight. There is no program and no gap.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from scenario_trees.arrays import Array, Index, Mask
from scenario_trees.tree import ScenarioTree
from stochisru.lunar.exact.by_year import YearlyUnitValue, allowed_years, why_no_layers
from stochisru.lunar.tables.case import GeneralCase
from stochisru.lunar.tables.plants import KindOfPlant
from stochisru.methods.result import Bounds, Kind, Of
from stochisru.problem.information import Fixed, Held, Information, Recourse, Static, WaitAndSee
from stochisru.values import Optimum

#: Name of the decision of the one kind of plant.
DECISION = "dM"
#: Entries (node, layer) handled at once, and the most there may be.
_CHUNK, MOST_ENTRIES = 4_000_000, 400_000_000


class YearlyLayers:
    """Optima of a case with tables by layers; see `stochisru.values.ClosedForm`."""

    def refuses(self, problem: object, tree: ScenarioTree, information: Information) -> str | None:
        """Problems that are no cases with tables, more than one kind of plant, costs beyond proportion, limits."""
        if not isinstance(problem, GeneralCase):
            return f"problem: layers by year are of a case with tables, got {type(problem).__name__}"
        reason = why_no_layers(problem)
        if reason is not None:
            return reason
        if tree.horizon != problem.horizon.T:
            return f"tree: must have one stage per year, T = {problem.horizon.T}, got {tree.horizon}"
        if type(information) not in (Recourse, Static, Fixed, WaitAndSee, Held):
            return "information: is none that layers know"
        if isinstance(information, Held):
            given = np.asarray(information.plan.get(DECISION, ()), dtype=float)
            late = problem.horizon.initial_deployment == "fixed" and given.size > 0 and given[0] != 0
            if given.size not in (0, tree.horizon + 1) or given.min(initial=0.0) < 0 or late:
                return "plan: must be one that can be placed, one order per year"
        if not isinstance(information, WaitAndSee) and TreeLayers(problem, tree).size > MOST_ENTRIES:
            return f"tree: nodes times levels must be <= {MOST_ENTRIES:,}"
        return None

    def optimum(self, problem: GeneralCase, tree: ScenarioTree, information: Information) -> Optimum:
        """Optimum of a case under an information that is not refused."""
        layers = TreeLayers(problem, tree)
        if isinstance(information, WaitAndSee):
            worth = foreseen(problem, tree.value[tree.node_paths()].T)
            value = float(tree.probability[tree.leaves] @ worth)
            return Optimum(Bounds.point(value, Kind.CERTIFIED, Of.TREE, layers.flows), None)
        value, orders = layers.best(information)
        bounds = Bounds(layers.worth(orders), value, Kind.CERTIFIED, Of.TREE, layers.flows)
        return Optimum(bounds, {DECISION: orders})


@dataclass(frozen=True, eq=False)
class TreeLayers:
    """The layers of a case with tables on a tree; the case is none that `why_no_layers` refuses."""

    case: GeneralCase
    tree: ScenarioTree

    @cached_property
    def unit(self) -> YearlyUnitValue:
        """What a kilogram earns and costs, by year."""
        return YearlyUnitValue.stated(self.case.stated)

    @property
    def _kind(self) -> KindOfPlant:
        return self.case.stated.kinds[0]

    @cached_property
    def _spans(self) -> list[slice]:
        return [self.tree.at(t) for t in range(self.tree.horizon + 1)]

    @cached_property
    def _parents(self) -> list[Index]:
        """Of the nodes of each stage but the first, their parents' places in the stage before."""
        return [self.tree.parent[here] - before.start for before, here in pairwise(self._spans)]

    @cached_property
    def _steps(self) -> list[Any]:
        """Probabilities of the next stage's nodes given those of a stage, sparse."""
        found = []
        for (before, here), up in zip(pairwise(self._spans), self._parents, strict=True):
            mass = self.tree.probability[before][up]
            share = np.divide(self.tree.probability[here], mass, out=np.zeros(mass.size), where=mass > 0)
            places = (up, np.arange(up.size))
            found.append(csr_array((share, places), shape=(before.stop - before.start, up.size)))
        return found

    @cached_property
    def _bends(self) -> Array:
        """Where marginal profit of a node's year falls, kg of year 0, ascending from 0."""
        unit, points = self.unit, [np.array([0.0, self._kind.M0])]
        for t, here in enumerate(self._spans):
            points += [bend for bend, _ in _bends(unit, t, np.unique(self.tree.value[here]))]
        return np.unique(np.concatenate(points))

    @property
    def size(self) -> int:
        """Nodes times layers."""
        return int(self.tree.n_nodes * self._bends.size)

    @cached_property
    def _unserved(self) -> float:
        """Expected cost of serving all demand without plants, $."""
        unit, tree = self.unit, self.tree
        year = unit.discount ** tree.stage.astype(float)
        return float(tree.probability @ (year * unit.alternative[tree.stage] * tree.value))

    @cached_property
    def flows(self) -> float:
        """What all demand is worth to plants, and what it costs to serve it without them, $."""
        unit, tree = self.unit, self.tree
        most = (unit.shares * unit.steps).sum(axis=0)[tree.stage] * unit.discount ** tree.stage.astype(float)
        return float(tree.probability @ (most * tree.value)) + abs(self._unserved)

    def best(self, information: Information) -> tuple[float, Array]:
        """Optimum under an information, $, and ΔM at every node in the year in which it takes effect, kg."""
        lead, T = self._kind.lead_time, self.tree.horizon
        years = information.years(DECISION, lead) if isinstance(information, Held) else 0
        count = T + 1 if years is None else min(years, T + 1)
        given = np.zeros(count)
        if isinstance(information, Held) and count:
            given = np.asarray(information.plan[DECISION], dtype=float)[:count]
        there = self._kind.M0 + np.concatenate([[0.0], np.cumsum(given / self.unit.left(np.arange(count)))])
        allowed = allowed_years(self.case.stated)
        arrivals: dict[int, list[int]] = {}
        for s in range(count, T + 1):
            if allowed[s] and information.is_open(s):
                arrivals.setdefault(information.decided_at(s, lead, T), []).append(s)
        edges = np.unique(np.concatenate([self._bends, there]))
        total, orders = 0.0, np.zeros(self.tree.n_nodes)
        for s, amount in enumerate(given):
            orders[self._spans[s]] = amount
        size = max(1, _CHUNK // self.tree.n_nodes)
        for first in range(0, edges.size - 1, size):
            part = edges[first : first + size + 1]
            total += self._chunk(part[:-1], np.diff(part), there, arrivals, orders)
        return total - self._unserved, orders

    def _chunk(
        self, lower: Array, width: Array, there: Array, arrivals: Mapping[int, list[int]], orders: Array
    ) -> float:
        """Worth of some layers, $; what is ordered of them is added to ``orders``."""
        T, unit = self.tree.horizon, self.unit
        earned: list[Array] = []
        for t in range(T, -1, -1):
            now = profit(unit, t, self.tree.value[self._spans[t]], lower)
            earned.append(now if t == T else now + self._steps[t] @ earned[-1])
        earned.reverse()
        # Which year a layer that is there in advance comes in: 0 for plant in place, then s + 1 for that of year s.
        start = np.searchsorted(there, lower, side="right")
        total = float(earned[0][0, start == 0] @ width[start == 0])
        for s in range(there.size - 1):
            mine = start == s + 1
            total += float((self._seen(earned[s], s, 0)[0, mine] - unit.starting(s)) @ width[mine])
        free = start == there.size
        later = np.zeros((self._spans[T].stop - self._spans[T].start, lower.size))
        chosen: dict[int, Index] = {}
        for d in range(T, -1, -1):
            waiting = self._steps[d] @ later if d < T else later
            later = waiting
            if d in arrivals:
                gains = np.stack([self._seen(earned[s], s, d) - unit.starting(s) for s in arrivals[d]])
                year, gain = gains.argmax(axis=0), gains.max(axis=0)  # ties go to the earlier year
                chosen[d] = np.where(gain > waiting, year, -1)
                later = np.maximum(gain, waiting)
        total += float(later[0, free] @ width[free])
        self._ordered(chosen, arrivals, free, width, orders)
        return total

    def _seen(self, worth: Array, s: int, d: int) -> Array:
        """Expectation of what is known in year s at the nodes of stage d, shape ``(nodes, layers)``."""
        if d == 0:
            return np.asarray(self.tree.probability[self._spans[s]] @ worth)[None]
        for t in range(s - 1, d - 1, -1):
            worth = self._steps[t] @ worth
        return worth

    def _ordered(
        self, chosen: Mapping[int, Index], arrivals: Mapping[int, list[int]], free: Mask, width: Array, orders: Array
    ) -> None:
        """Add what is ordered for the first time at each node to the nodes at which it arrives."""
        pending = free[None]
        for d in range(self.tree.horizon + 1):
            if d:
                pending = pending[self._parents[d - 1]]
            if d not in chosen:
                continue
            for k, s in enumerate(arrivals[d]):
                amount = np.where(pending & (chosen[d] == k), width, 0.0).sum(axis=1) * self.unit.left(s)
                for t in range(d, s):
                    amount = amount[self._parents[t]]
                orders[self._spans[s]] += amount
            pending = pending & (chosen[d] < 0)

    def worth(self, orders: Array) -> float:
        """Expected net present value of deployments at every node, carried out node by node, $."""
        unit, tree, plant = self.unit, self.tree, np.full(1, self._kind.M0)
        total = -self._unserved
        for t, here in enumerate(self._spans):
            if t:
                plant = unit.keeps[t] * plant[self._parents[t - 1]]
            plant = plant + orders[here]
            demand = tree.value[here]
            served = np.zeros(demand.size)
            for share, step in zip(unit.shares[:, t], unit.steps[:, t], strict=True):
                served += step * np.minimum(share * demand, unit.capacity[t] * plant)
            cash = unit.discount**t * (served - unit.idle_cost[t] * plant) - unit.bills[t] * orders[here]
            total += float(tree.probability[here] @ cash)
        return total


def profit(unit: YearlyUnitValue, t: int, demand: Array, lower: Array) -> Array:
    """What layers earn in a year, $ of year 0 per kg of year 0.

    Parameters
    ----------
    demand
        kg/yr, shape ``(n,)``.
    lower
        Their lower edges, kg of year 0, shape ``(layers,)``, or one row of them per demand.

    Returns
    -------
    numpy.ndarray
        Shape ``(n, layers)``.
    """
    lower = np.atleast_2d(lower)
    used = np.zeros((demand.size, lower.shape[1]))
    for bend, step in _bends(unit, t, demand):
        used += np.where(lower < bend[:, None], step, 0.0)
    return np.asarray(unit.scale(t) * (unit.capacity[t] * used - unit.idle_cost[t]))


def _bends(unit: YearlyUnitValue, t: int, demand: Array) -> list[tuple[Array, float]]:
    """Plant that all tiers up to one keep busy in a year, kg of year 0, and what a kilogram of oxygen earns less above.

    Edges of layers and what lies below them are compared as they come from here: a bend is an edge to the last digit.
    """
    if unit.capacity[t] == 0:
        return []
    tiers = zip(unit.shares[:, t], unit.steps[:, t], strict=True)
    kept = unit.capacity[t] * unit.left(t)
    return [(share * demand / kept, float(step)) for share, step in tiers if share > 0 and step != 0]


def foreseen(case: GeneralCase, demand: Array) -> Array:
    """What perfect information earns on every path, $, shape ``(paths,)``.

    Parameters
    ----------
    demand
        kg/yr, shape ``(T + 1, paths)``.
    """
    stated = case.stated
    unit, allowed, plant = YearlyUnitValue.stated(stated), allowed_years(stated), stated.kinds[0].M0
    size = max(1, _CHUNK // (demand.shape[0] * unit.shares.shape[0]))
    return np.concatenate(
        [_foreseen(unit, allowed, plant, demand[:, a : a + size]) for a in range(0, demand.shape[1], size)]
    )


def _foreseen(unit: YearlyUnitValue, allowed: Mask, plant: float, demand: Array) -> Array:
    years, paths = demand.shape
    points = [np.zeros((paths, 1)), np.full((paths, 1), plant)]
    for t in range(years):
        points += [bend[:, None] for bend, _ in _bends(unit, t, demand[t])]
    edges = np.sort(np.concatenate(points, axis=1), axis=1)
    lower, width = edges[:, :-1], np.diff(edges, axis=1)
    earned, best = np.zeros(lower.shape), np.zeros(lower.shape)
    for t in range(years - 1, -1, -1):
        earned += profit(unit, t, demand[t], lower)
        if allowed[t]:
            best = np.maximum(best, earned - unit.starting(t))
    worth = (np.where(lower < plant, earned, best) * width).sum(axis=1)
    year = np.arange(years)
    return np.asarray(worth - (unit.discount**year * unit.alternative) @ demand)
