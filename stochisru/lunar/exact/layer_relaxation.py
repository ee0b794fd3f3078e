"""Perfect information at a price: bounds on RP of the process from paths, layer by layer of capacity.

A layer m of plant is an option of its own (`stochisru.lunar.exact.lattice_layers`), so that RP is an integral over
layers of problems of optimal stopping. Whoever knows a path pays, year by year, what his knowledge is worth by an
approximation J of a layer's worth (Rogers 2002; Haugh and Kogan 2004; Brown, Smith and Sun 2010):

    z(m) = Σ_u (J_u(m) − E[J_u(m) | years before u]),    J = W where m is not ordered by year u − 1, else what it earns.

A sum over years of what has mean 0 given all before has mean 0 under every policy, so the mean of

    max over plans of  NPV(path) − ∫ z(m) dm

is no less than RP, whatever J. J comes from a lattice, its states joined by straight lines in demand and levels of m in
small cells; expectations are those of the process, in closed form: J is a sum of multiples of ``min(D, k)``, whose means
under mixtures of lognormals are known. An error of the lattice costs tightness, not validity. The price is linear in
what is in place at each level of capacity and so a gradient penalty (Brown and Smith 2014) with a gradient at every
level; where all levels are priced as the one that is reached it is theirs.

z itself, along the plant of any policy, is a control variate for its NPV.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.special import ndtr

from scenario_trees.arrays import Array, Index
from scenario_trees.lattice import MarkovLattice
from scenario_trees.law import Mixture
from scenario_trees.processes import GeometricBrownianMotion, MarkovProcess
from stochisru.errors import InputError
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.exact.layers import allowed_years
from stochisru.lunar.operations import MeritOrder, discount_factors

#: Knots of demand in a year, at the quantiles of evenly spaced normal numbers between these.
_KNOTS, _REACH = 90, (-4.0, 5.5)
#: Cells of m.
_CELLS = 160
#: Key of their random numbers.
_LEVELS = 17
#: Numbers handled at once.
_CHUNK = 2_000_000


def why_no_layer_relaxation(case: DeploymentCase) -> str | None:
    """Why a case's paths have no price for what they tell, in one sentence, or None where they have one."""
    if not case.is_linear:
        return f"launch, scale: layers of plant take costs in proportion to size, got {case.describe_scale()}"
    process = case.process
    if isinstance(process, GeometricBrownianMotion) or (isinstance(process, MarkovProcess) and not process.continuous):
        return None
    return f"process: layers of plant take steps that are mixtures of lognormals, got {process}"


@dataclass(frozen=True, eq=False)
class LayerRelaxation:
    """The penalty of a case with linear costs.

    Raises
    ------
    InputError
        If `why_no_layer_relaxation` says why.

    Examples
    --------
    >>> from stochisru import load_case, threshold
    >>> from stochisru.lunar.exact.layer_relaxation import LayerRelaxation
    >>> case = load_case("contested-market")
    >>> bound = LayerRelaxation(case).known(case.process.sample(500, 10, seed=1)).mean()
    >>> exact = threshold(case).objective
    >>> 0 < bound / exact - 1 < 0.005
    True
    """

    case: DeploymentCase

    def __post_init__(self) -> None:
        reason = why_no_layer_relaxation(self.case)
        if reason is not None:
            raise InputError(reason)

    # ------------------------------------------------------------------- tables

    @property
    def _years(self) -> int:
        return self.case.horizon.T

    @property
    def _lead(self) -> int:
        return min(self.case.horizon.lead_time, self._years)

    @cached_property
    def _merit(self) -> MeritOrder:
        return MeritOrder.of(self.case)

    @cached_property
    def _kept(self) -> Array:
        """κ^t for t = 0..T."""
        return np.asarray((1 - self.case.technology.degradation) ** np.arange(self._years + 1.0))

    @cached_property
    def _weight(self) -> Array:
        return discount_factors(self.case) * self._kept

    @cached_property
    def _price(self) -> Array:
        """Of a kilogram of m that arrives in year t, $ of year 0."""
        return self._weight * self.case.investment_cost

    @cached_property
    def _idle(self) -> Array:
        """Cost of a kilogram of m that delivers nothing, by year, $ of year 0."""
        return self._weight * (self.case.technology.eta * self._merit.idle + self.case.costs.c_op)

    @cached_property
    def _knots(self) -> tuple[Knots, ...]:
        """Of the years 0..T: quantiles, far into both tails."""
        process, T = self.case.process, self._years
        levels = ndtr(np.linspace(*_REACH, _KNOTS))
        beside = None
        if isinstance(process, MarkovProcess) and len(process.names) > 1:
            beside = MarkovLattice.from_process(process, T, 2).others
        found = []
        for t in range(T + 1):
            value = np.unique(process.quantile(levels, float(t))) if t else np.array([process.initial])
            kinds = np.empty((1, 0)) if beside is None else np.unique(beside[t], axis=0)
            found.append(Knots(value, kinds))
        return tuple(found)

    @cached_property
    def _edges(self) -> Array:
        """Edges of the cells, from 0: as dense as the knots; what lies beyond has no price."""
        bends = []
        for t, knots in enumerate(self._knots):
            per_layer = self.case.technology.eta * self._kept[t]
            bends += [knots.value / per_layer, self._merit.beyond_earth(knots.value) / per_layer]
        found = np.concatenate(bends)
        some = np.exp(np.quantile(np.log(found[found > 0]), np.linspace(0, 1, _CELLS)))
        return np.unique(np.concatenate([[0.0, self.case.technology.M0], some]))

    @cached_property
    def _worths(self) -> tuple[list[Array], list[list[Array]]]:
        """J at the edges of cells in the knots of every year, $ of year 0 per kg of m, tables ``(states, edges)``.

        Returns
        -------
        waiting
            W_t, by year.
        arriving
            What a kilogram earns that arrives j years later, by year and j = 0..L; with j = 0 without the year itself.
        """
        T, lead = self._years, self._lead
        last = np.zeros((self._knots[T].states.shape[0], self._edges.size))
        waiting, arriving = [last], [[last]]
        for t in range(T - 1, -1, -1):
            step = Step.of(self.case.process, t, self._knots[t].states, self._knots[t + 1])
            after = self._profit(step.above, self._edges[None, :], t + 1) + step.table(arriving[0][0])
            arriving.insert(0, [after, after, *(step.table(table) for table in arriving[0][1:lead])])
            later = step.table(waiting[0])
            if 0 < t <= T - lead:
                now = arriving[0][lead]
                if not lead:
                    now = now + self._profit(_seen(self._knots[t].states[:, 0]), self._edges[None, :], t)
                later = np.maximum(later, now - self._price[t + lead])
            waiting.insert(0, later)
        return waiting, arriving

    def _profit(self, above: Callable[[Array], Array], level: Array, year: int) -> Array:
        """Profit of a kilogram of m at given levels in a year, $ of year 0.

        Parameters
        ----------
        above
            Whether demand is above a level, or its probability.
        """
        merit, eta = self._merit, self.case.technology.eta
        capacity = eta * self._kept[year] * level
        worth = merit.against_alternative * above(capacity)
        if merit.limited:
            extra = merit.against_shortage - merit.against_alternative
            worth = worth + extra * above(capacity + merit.earth_limit)
        return np.asarray(self._weight[year] * eta * worth - self._idle[year])

    @cached_property
    def _unserved(self) -> float:
        """Discounted expected cost of serving all demand without plants, $."""
        process, merit, year = self.case.process, self._merit, np.arange(self._years + 1)
        mean = np.asarray(process.mean(year), dtype=float)
        if not merit.limited:
            return float(discount_factors(self.case) @ (merit.without_plants(np.ones(1)) * mean))
        within = np.minimum(mean, merit.earth_limit)
        for t in year[1:]:
            if isinstance(process, GeometricBrownianMotion):
                within[t] = process.limited_mean(merit.earth_limit, t)
            else:
                law = process.marginal(float(t)).merged
                within[t] = law.limited_mean(np.array([[merit.earth_limit]]))[0, 0]
        yearly = merit.earth_cost * within + merit.shortage_cost * (mean - within)
        return float(discount_factors(self.case) @ yearly)

    # --------------------------------------------------------------------- paths

    def _states(self, demand: Array, seen: Array | None, year: int) -> Array:
        if self._knots[year].kinds.shape[1] == 0:
            return demand[year][:, None]
        if seen is None:
            raise InputError("demand: what is seen beside it decides what is expected; give it too")
        return np.concatenate([demand[year][:, None], seen[year]], axis=1)

    def _parts(self, demand: Array) -> list[slice]:
        size = max(1, _CHUNK // ((self._edges.size + _KNOTS) * (self._years + 1)))
        return [slice(first, first + size) for first in range(0, demand.shape[1], size)]

    def _prices(self, demand: Array, seen: Array | None) -> tuple[list[Step], Array, Array]:
        """What knowledge of worth costs at the edges of cells, $ of year 0 per kg of m; that of profit is left out.

        Returns
        -------
        steps
            To the years 1..T.
        before
            Of a kilogram that arrives in year a, up to its arrival, shape ``(T + 2, n, edges)``; the last is one that
            never arrives.
        after
            In every year in which it is there, shape ``(T + 1, n, edges)``.
        """
        T, lead, n = self._years, self._lead, demand.shape[1]
        before, after = np.zeros((T + 2, n, self._edges.size)), np.zeros((T + 1, n, self._edges.size))
        waited = before[T + 1]
        waiting, arriving = self._worths
        steps = []
        for u in range(1, T + 1):
            was, now = (self._states(demand, seen, t) for t in (u - 1, u))
            step = Step.of(self.case.process, u - 1, was, self._knots[u])
            off = step.alive[:, None] * (self._knots[u].weights(now) - step.weights)
            after[u] = off @ arriving[u][0]
            for year in range(u + 1, min(u + lead - 1, T) + 1):  # ordered before u, not yet there
                before[year] += off @ arriving[u][year - u]
            if u <= T - lead:
                waited += off @ waiting[u]
                before[u + lead] += waited
            steps.append(step)
        return steps, before, after

    def known(self, demand: Array, seen: Array | None = None, *, seed: int = 0) -> Array:
        """Best NPV of every path for whoever knows it and pays for that, $: its mean is no less than RP.

        Parameters
        ----------
        demand
            Paths of the process, kg/yr, shape ``(T + 1, paths)``.
        seen
            What is seen beside it, shape ``(T + 1, paths, k)``; None where there is nothing.
        seed
            Of the levels at which the integral over a cell is taken, one in each, uniform: its mean is the integral.
        """
        found = np.empty(demand.shape[1])
        stream = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_LEVELS,)))
        for part in self._parts(demand):
            place = stream.uniform(size=(demand[0, part].size, self._edges.size - 1))
            found[part] = self._known(demand[:, part], None if seen is None else seen[:, part], place)
        return found - self._unserved

    def _known(self, demand: Array, seen: Array | None, place: Array) -> Array:
        T, lead, allowed = self._years, self._lead, allowed_years(self.case)
        steps, before, after = self._prices(demand, seen)
        width = np.diff(self._edges)
        level = self._edges[:-1] + place * width

        def there(table: Array) -> Array:
            return np.asarray((1 - place) * table[:, :-1] + place * table[:, 1:])

        best = -there(before[T + 1])
        earned = np.zeros_like(best)
        for t in range(T, -1, -1):
            seen_profit = self._profit(_seen(demand[t]), level, t)
            profit = seen_profit if t == 0 else self._expected_profit(steps[t - 1], level, t, seen_profit)
            later = earned
            earned = earned + profit - there(after[t])
            if allowed[t]:
                start = earned if lead or t == 0 else later + seen_profit  # ordered when the year is seen
                best = np.maximum(best, start - self._price[t] - there(before[t]))
        best = np.where(level < self.case.technology.M0, earned, best)
        return (best @ width) + self._beyond(demand)

    def _expected_profit(self, step: Step, level: Array, year: int, profit: Array) -> Array:
        """Profit as expected a year before; where demand has ended it is as it is."""
        return np.where(step.alive[:, None], self._profit(step.above, level, year), profit)

    def _beyond(self, demand: Array) -> Array:
        """What layers beyond the last cell earn for whoever knows the path."""
        found = np.zeros(demand.shape[1])
        last, per_plant = self._edges[-1], self.case.technology.eta * self._kept
        far = np.flatnonzero((demand > (last * per_plant)[:, None]).any(axis=0))
        for path in far:
            full, beyond = demand[:, path] / per_plant, self._merit.beyond_earth(demand[:, path]) / per_plant
            edges = np.unique(np.concatenate([[last, max(last, self.case.technology.M0)], full, beyond]))
            edges = edges[edges >= last]
            lower = edges[:-1]
            yearly = [
                self._profit(_seen(demand[t, path : path + 1]), lower[None, :], t)[0] for t in range(self._years + 1)
            ]
            earned = np.cumsum(np.array(yearly)[::-1], axis=0)[::-1]
            start = (earned - self._price[:, None])[allowed_years(self.case)].max(axis=0)
            found[path] = np.where(lower < self.case.technology.M0, earned[0], np.maximum(start, 0.0)) @ np.diff(edges)
        return found

    def control(self, demand: Array, seen: Array | None, plant: Array) -> Array:
        """What a policy's own plant would cost for knowledge, and cost of serving all demand less its mean, $.

        Its mean is 0 for every policy, and its NPV varies with it.

        Parameters
        ----------
        demand, seen
            As in `known`.
        plant
            M_t, kg, shape ``(T + 1, paths)``, decided as early as the lead time asks for.
        """
        level = np.maximum.accumulate(plant / self._kept[:, None], axis=0)
        found = self._unserved - discount_factors(self.case) @ self._merit.without_plants(demand)
        for part in self._parts(demand):
            own = None if seen is None else seen[:, part]
            found[part] += self._paid(demand[:, part], own, level[:, part])
        return found

    def _paid(self, demand: Array, seen: Array | None, level: Array) -> Array:
        steps, before, after = self._prices(demand, seen)
        width, merit, eta = np.diff(self._edges), self._merit, self.case.technology.eta

        def middle(table: Array) -> Array:
            return np.asarray(0.5 * (table[:, :-1] + table[:, 1:]))

        total = np.zeros(level.shape[1])
        held = np.broadcast_to(np.clip(self.case.technology.M0 - self._edges[:-1], 0, width), (total.size, width.size))
        for t in range(self._years + 1):
            there = np.clip(level[t][:, None] - self._edges[:-1], 0.0, width)
            # What is ordered when the year is seen knows the year.
            known = there if self._lead or t == 0 else held
            total += ((there - held) * middle(before[t]) + known * middle(after[t])).sum(axis=1)
            if t > 0:
                capacity = eta * self._kept[t] * level[t if self._lead else t - 1][:, None]
                off = self._off(steps[t - 1], demand[t], capacity)
                worth = merit.against_alternative * off
                if merit.limited:
                    limit = np.full((total.size, 1), merit.earth_limit)
                    extra = merit.against_shortage - merit.against_alternative
                    rest = self._off(steps[t - 1], demand[t], capacity + limit) - self._off(
                        steps[t - 1], demand[t], limit
                    )
                    worth = worth + extra * rest
                total += discount_factors(self.case)[t] * worth
            held = there
        return np.asarray(total + ((width - held) * middle(before[-1])).sum(axis=1))

    @staticmethod
    def _off(step: Step, demand: Array, level: Array) -> Array:
        """``min(D, level)`` less what was expected of it."""
        off = np.minimum(demand[:, None], level) - step.limited(level)
        return np.asarray(np.where(step.alive[:, None], off, 0.0)[:, 0])


def _seen(demand: Array) -> Callable[[Array], Array]:
    """Whether demand is above a level."""
    return lambda level: (demand[:, None] > level) * 1.0


@dataclass(frozen=True, eq=False)
class Knots:
    """Where functions of what is seen in a year are known; between values they are straight, beyond constant.

    Attributes
    ----------
    value
        Of demand, ascending, shape ``(k,)``.
    kinds
        What may be seen beside it, one row each; a row of no numbers where there is nothing.
    """

    value: Array
    kinds: Array

    @cached_property
    def states(self) -> Array:
        """Values by kind, shape ``(kinds·k, 1 + beside)``."""
        values = np.tile(self.value, self.kinds.shape[0])[:, None]
        return np.concatenate([values, np.repeat(self.kinds, self.value.size, axis=0)], axis=1)

    def kind_of(self, beside: Array) -> Index:
        """Kind of each row; their number for what is none of them."""
        alike = (beside[:, None, :] == self.kinds[None]).all(axis=2)
        return np.where(alike.any(axis=1), alike.argmax(axis=1), self.kinds.shape[0])

    def straight(self, there: Array, limited: Array) -> Array:
        """Weights of the values in functions of ``min(D, value)`` and of being there, shape ``(n, k)``.

        With h_j the value in knot j, ``h = h_0 + Σ (h_{j+1} − h_j)/(v_{j+1} − v_j)·(min(D, v_{j+1}) − min(D, v_j))``.
        """
        share = np.diff(limited, axis=1) / np.diff(self.value)
        found = np.zeros(limited.shape)
        found[:, 1:] += share
        found[:, :-1] -= share
        found[:, 0] += there
        return found

    def weights(self, states: Array) -> Array:
        """Weights of the knots in what is known of given states, shape ``(n, kinds·k)``."""
        kind = self.kind_of(states[:, 1:])
        limited = np.minimum(states[:, :1], self.value)
        return np.concatenate(
            [self.straight((kind == k) * 1.0, (kind == k)[:, None] * limited) for k in range(self.kinds.shape[0])],
            axis=1,
        )


@dataclass(frozen=True, eq=False)
class Step:
    """What is expected of the next year, under the process, in each of n states."""

    laws: tuple[tuple[Array, Mixture, Index], ...]
    alive: Array
    knots: Knots

    @classmethod
    def of(cls, process: Any, year: int, states: Array, knots: Knots) -> Step:
        """The step from ``year``, states of shape ``(n, 1 + beside)``."""
        alive = states[:, 0] > 0
        safe = np.concatenate([np.where(alive, states[:, 0], 1.0)[:, None], states[:, 1:]], axis=1)
        law, n = process.law(safe, float(year), 1.0), states.shape[0]
        if knots.kinds.shape[1] == 0:
            return cls(((np.ones(n), law.merged, np.zeros(n, dtype=np.int64)),), alive, knots)
        laws = []
        for k, (share, mixture) in enumerate(zip(law.probability.T, law.kinds, strict=True)):
            beside = process.after(safe, np.full(n, k), safe[:, 0], float(year), 1.0)
            laws.append((share, mixture, knots.kind_of(beside)))
        return cls(tuple(laws), alive, knots)

    def limited(self, level: Array) -> Array:
        """E[min(D, level)] for levels of shape ``(n, levels)``."""
        found = sum(share[:, None] * law.limited_mean(level) for share, law, _ in self.laws)
        return np.asarray(self.alive[:, None] * found)

    def above(self, level: Array) -> Array:
        """P(D > level) for levels of shape ``(n or 1, levels)``."""
        with np.errstate(divide="ignore"):
            log = np.broadcast_to(np.log(level), (self.alive.size, level.shape[1]))
        found = sum(share[:, None] * (1.0 - law.below(log)) for share, law, _ in self.laws)
        return np.asarray(self.alive[:, None] * found)

    @cached_property
    def weights(self) -> Array:
        """Weights of the knots in what is expected, shape ``(n, kinds·k)``."""
        levels = np.broadcast_to(self.knots.value, (self.alive.size, self.knots.value.size))
        parts = []
        for k in range(self.knots.kinds.shape[0]):
            there, limited = np.zeros(self.alive.size), np.zeros(levels.shape)
            for share, law, kind in self.laws:
                inside = share * (kind == k) * self.alive
                if inside.any():
                    there += inside
                    limited += inside[:, None] * law.limited_mean(levels)
            parts.append(self.knots.straight(there, limited))
        return np.concatenate(parts, axis=1)

    def table(self, values: Array) -> Array:
        """Expected value of functions that are given in the knots, shape ``(n, functions)``; 0 where demand has ended."""
        return self.weights @ values
