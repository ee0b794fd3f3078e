"""Perfect information at a price: bounds on RP of the process from paths, layer by layer of capacity.

A layer m of plant is an option of its own (`stochisru.lunar.exact.lattice_layers`), so that RP is an integral over
layers of problems of optimal stopping. Whoever knows a path pays, year by year, what his knowledge is worth by an
approximation J of a layer's worth (Rogers 2002; Haugh and Kogan 2004; Brown, Smith and Sun 2010):

    z(m) = Σ_u (J_u(m) − E[J_u(m) | years before u]),    J = W where m is not ordered by year u − 1, else what it earns.

A sum over years of what has mean 0 given all before has mean 0 under every policy, so the mean of

    max over plans of  NPV(path) − ∫ z(m) dm

is no less than RP, whatever J. Here J is found by going backward through tables of demand and m, straight lines between
their entries, whose expectations under the process are known (`scenario_trees.knots`). An error of the tables costs
tightness, not validity. Of each cell of m one level is taken, at random, so that the sum over cells has the integral as
its mean.

The price is linear in what is in place at each level of capacity: a gradient penalty (Brown and Smith 2014) with a
gradient at every level, not only at the one that a policy reaches. z itself, along the plant of any policy, is a
control variate for its NPV.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import cast

import numpy as np

from scenario_trees.arrays import Array
from scenario_trees.knots import Knots, StepAhead, knots_of
from scenario_trees.processes import GeometricBrownianMotion, MarkovProcess
from stochisru.errors import InputError
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.exact.layers import allowed_years
from stochisru.lunar.exact.levels import candidate_levels, chain_optimum, profit_at, require_exact_levels
from stochisru.lunar.operations import MeritOrder, discount_factors

#: Cells of m.
_CELLS = 160
#: As many of them are one where costs are not linear.
_COARSE = 2
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
    >>> bound = float(LayerRelaxation(case).known(case.process.sample(500, 10, seed=1)).mean())
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
        return knots_of(self.case.process, self._years)

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
    def _worths(self) -> tuple[list[Array], list[list[Array]], Array]:
        """J at the edges of cells in the knots of every year, $ of year 0 per kg of m, tables ``(states, edges)``.

        Returns
        -------
        waiting
            W_t, by year; less its jumps.
        arriving
            What a kilogram earns that arrives j years later, by year and j = 0..L; with j = 0 without the year itself.
        jumps
            By how much W_t rises where demand passes each of `_offsets` above the layer, shape ``(T + 1, offsets,
            edges)``: plant that is there at once earns from then on.
        """
        T, lead, edges = self._years, self._lead, self._edges
        jumps = np.zeros((T + 1, len(self._offsets), edges.size))
        waiting: list[Array] = []
        arriving: list[list[Array]] = []
        for t in range(T, -1, -1):
            states = self._knots[t].states
            later = np.zeros((states.shape[0], edges.size))
            arriving.insert(0, [later])
            if t < T:
                step = StepAhead.of(self.case.process, t, states, self._knots[t + 1])
                after = self._profit(step.above, edges[None, :], t + 1) + step.table(arriving[1][0])
                arriving[0] = [after, after, *(step.table(table) for table in arriving[1][1:lead])]
                later = step.table(waiting[0])
                if not lead:
                    later = later + self._risen(step.above, edges[None, :], t + 1, jumps[t + 1][:, None])
            if 0 < t <= T - lead:
                now = arriving[0][lead] - self._price[t + lead]
                if not lead:
                    jumps[t] = self._jumps(t, now, later)
                    seen = _seen(states[:, 0])
                    now = now + self._profit(seen, edges[None, :], t)
                    risen = self._risen(seen, edges[None, :], t, jumps[t][:, None])
                    waiting.insert(0, np.maximum(now, later) - risen)
                    continue
                later = np.maximum(later, now)
            waiting.insert(0, later)
        return waiting, arriving, jumps

    @property
    def _offsets(self) -> tuple[float, ...]:
        """What demand must be beyond the capacity up to a layer for it to earn, and to earn more, kg/yr."""
        return (0.0, self._merit.earth_limit) if self._merit.limited else (0.0,)

    def _capacity(self, level: Array, year: int) -> Array:
        return np.asarray(self.case.technology.eta * self._kept[year] * level)

    def _jumps(self, year: int, now: Array, later: Array) -> Array:
        """By how much the better of ordering and waiting rises at each of `_offsets`, shape ``(offsets, edges)``."""
        merit, knots, found = self._merit, self._knots[year], []
        least = -self._idle[year]
        for offset, worth in zip(
            self._offsets, (merit.against_alternative, merit.against_shortage - merit.against_alternative), strict=False
        ):
            at = knots.states[:1].repeat(self._edges.size, axis=0)
            at[:, 0] = self._capacity(self._edges, year) + offset
            weights = knots.weights(at)
            here, waits = (np.einsum("ij,ji->i", weights, table) for table in (now, later))
            most = least + self._weight[year] * self.case.technology.eta * worth
            found.append(np.maximum(here + most, waits) - np.maximum(here + least, waits))
            least = most
        return np.array(found)

    def _risen(self, above: Callable[[Array], Array], level: Array, year: int, jumps: Array) -> Array:
        """Jumps of shape ``(offsets, n or 1, levels)`` so far as demand is above them, or as that is likely."""
        capacity = self._capacity(level, year)
        return np.asarray(
            sum(jump * above(capacity + offset) for jump, offset in zip(jumps, self._offsets, strict=True))
        )

    def _profit(self, above: Callable[[Array], Array], level: Array, year: int) -> Array:
        """Profit of a kilogram of m at given levels in a year, $ of year 0.

        Parameters
        ----------
        above
            Whether demand is above a level, or its probability.
        """
        merit, eta = self._merit, self.case.technology.eta
        capacity = self._capacity(level, year)
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
                law = cast("MarkovProcess", process).marginal(float(t)).merged
                within[t] = float(law.limited_mean(np.array([[merit.earth_limit]]))[0, 0])
        yearly = merit.earth_cost * within + merit.shortage_cost * (mean - within)
        return float(discount_factors(self.case) @ yearly)

    # --------------------------------------------------------------------- paths

    def _states(self, demand: Array, seen: Array | None, year: int) -> Array:
        value = demand[year][:, None]
        if self._knots[year].kinds.shape[1] == 0:
            return np.asarray(value)
        if seen is None:
            raise InputError("demand: what is seen beside it decides what is expected; give it too")
        return np.concatenate([value, seen[year]], axis=1)

    def _parts(self, demand: Array) -> list[slice]:
        size = max(1, _CHUNK // ((self._edges.size + self._knots[-1].value.size) * (self._years + 1)))
        return [slice(first, first + size) for first in range(0, demand.shape[1], size)]

    def _prices(self, demand: Array, seen: Array | None) -> tuple[list[StepAhead], Array, Array]:
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
        waiting, arriving, _ = self._worths
        steps = []
        for u in range(1, T + 1):
            was, now = (self._states(demand, seen, t) for t in (u - 1, u))
            step = StepAhead.of(self.case.process, u - 1, was, self._knots[u])
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

        seen_profit = [self._profit(_seen(demand[t]), level, t) for t in range(T + 1)]
        profit = seen_profit[:1] + [self._expected(steps[t - 1], level, t, seen_profit[t]) for t in range(1, T + 1)]
        # Of what is not there yet, where its worth jumps with demand.
        waited = np.zeros((T + 1, *level.shape))
        if not lead:
            jumps = self._worths[2]
            for t in range(1, T + 1):
                rise = np.array([there(jump[None, :]) for jump in jumps[t]])
                off = (self._risen(above, level, t, rise) for above in (_seen(demand[t]), steps[t - 1].above))
                waited[t] = waited[t - 1] + steps[t - 1].alive[:, None] * np.subtract(*off)
        best = -there(before[T + 1]) - waited[T]
        earned = np.zeros_like(best)
        for t in range(T, -1, -1):
            later = earned
            earned = earned + profit[t] - there(after[t])
            if allowed[t]:
                start = earned if lead or t == 0 else later + seen_profit[t]  # ordered when the year is seen
                best = np.maximum(best, start - self._price[t] - there(before[t]) - waited[t])
        best = np.where(level < self.case.technology.M0, earned, best)
        return np.asarray(best @ width) + self._beyond(demand)

    def _expected(self, step: StepAhead, level: Array, year: int, profit: Array) -> Array:
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

    def known_with(self, case: DeploymentCase, demand: Array, seen: Array | None = None) -> Array:
        """`known` where a deployment costs what ``case`` says: modules, fixed costs, economies of scale, $.

        The penalty is that of linear costs, of which only its mean matters, but a mean in cells of m: what whoever
        knows the path has to pay is then straight between their edges, and some optimum has every m at an edge or at a
        bend of the profit (`stochisru.lunar.exact.levels`).

        Parameters
        ----------
        case
            The case whose `DeploymentCase.linear_bound` this one is; its costs must be concave in size.
        demand, seen
            As in `known`.
        """
        require_exact_levels(case)
        size = max(1, _CHUNK // (2 * self._edges.size + 4 * self._years) ** 2)
        found = np.empty(demand.shape[1])
        for first in range(0, demand.shape[1], size):
            part = slice(first, first + size)
            found[part] = self._known_with(case, demand[:, part], None if seen is None else seen[:, part])
        return found - self._unserved

    def _known_with(self, case: DeploymentCase, demand: Array, seen: Array | None) -> Array:
        T, n, carried = self._years, demand.shape[1], case.technology.M0
        steps, before, after = self._prices(demand, seen)
        edges = self._edges[:: _COARSE if (self._edges.size - 1) % _COARSE == 0 else 1]
        if not np.isin(carried, edges):
            edges = self._edges
        fine, width = np.searchsorted(self._edges, edges), np.diff(self._edges)
        ahead = candidate_levels(case, demand, np.arange(T + 1))
        lumps = np.concatenate([[carried], edges[edges > carried]])
        if case.launch.lot is not None:
            modules = (lumps - carried) / case.launch.lot
            lumps = carried + case.launch.lot * np.unique(np.concatenate([np.floor(modules), np.ceil(modules)]))
        fixed = np.broadcast_to(lumps[:, None], (lumps.size, n))
        levels = np.sort(np.concatenate([fixed, ahead]), axis=0).T
        cell = np.clip(np.searchsorted(edges, levels, side="right") - 1, 0, edges.size - 2)
        share = np.minimum((levels - edges[cell]) / np.diff(edges)[cell], 1.0)

        def at_levels(total: Array) -> Array:
            low, high = (np.take_along_axis(total, cell + k, axis=1) for k in (0, 1))
            return np.asarray(low + share * (high - low))

        def whole(cells: Array) -> Array:
            """Sums over the cells up to each edge."""
            return np.concatenate([np.zeros((n, 1)), np.cumsum(cells, axis=1)], axis=1)[:, fine]

        def of_cells(table: Array) -> Array:
            return whole(0.5 * (table[:, :-1] + table[:, 1:]) * width)

        jumps, risen = self._worths[2], np.zeros((n, width.size))
        waited = []
        for t in range(T + 2):
            if not self._lead and 0 < t <= T:
                middle = 0.5 * (jumps[t][:, :-1] + jumps[t][:, 1:])
                risen = risen + self._jumped(steps[t - 1], demand[t], middle) * width
            waited.append(of_cells(before[t]) + (whole(risen) if t else 0.0))
        profit = np.stack([profit_at(case, t, levels, demand[t][:, None]) for t in range(T + 1)])
        for t in range(T + 1):
            profit[t] -= at_levels(waited[t] - waited[t + 1])
            if t > 0:  # what is ordered when the year is seen knows the year
                capacity = np.broadcast_to(self._capacity(edges, t), (n, edges.size))
                paid = of_cells(after[t]) + self._earned(steps[t - 1], demand[t], capacity)
                profit[t if self._lead else t - 1] -= at_levels(paid)
        whole_price = waited[T + 1][:, -1]
        best = chain_optimum(case, levels, profit).value
        return np.asarray(best - whole_price + discount_factors(case) @ self._merit.without_plants(demand))

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
        width, eta, jumps = np.diff(self._edges), self.case.technology.eta, self._worths[2]

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
                total += self._earned(steps[t - 1], demand[t], capacity)[:, 0]
                if not self._lead:
                    total += (self._jumped(steps[t - 1], demand[t], middle(jumps[t])) * (width - held)).sum(axis=1)
            held = there
        return np.asarray(total + ((width - held) * middle(before[-1])).sum(axis=1))

    def _earned(self, step: StepAhead, demand: Array, capacity: Array) -> Array:
        """What capacity earns less what was expected of it, $ of year 0, shape of ``capacity``."""
        merit = self._merit
        worth = merit.against_alternative * step.surprise(demand, capacity)
        if merit.limited:
            limit = np.full((demand.size, 1), merit.earth_limit)
            beyond = step.surprise(demand, capacity + limit) - step.surprise(demand, limit)
            worth = worth + (merit.against_shortage - merit.against_alternative) * beyond
        return np.asarray(discount_factors(self.case)[step.year] * worth)

    def _jumped(self, step: StepAhead, demand: Array, jumps: Array) -> Array:
        """Jumps by cell less what was expected of them, means of cells, $ of year 0 per kg of m."""
        capacity = self._capacity(self._edges, step.year)
        found = np.zeros((demand.size, jumps.shape[1]))
        for offset, jump in zip(self._offsets, jumps, strict=True):
            level = np.broadcast_to(capacity + offset, (demand.size, capacity.size))
            found += jump * np.diff(step.surprise(demand, level), axis=1) / np.diff(capacity)
        return found


def _seen(demand: Array) -> Callable[[Array], Array]:
    """Whether demand is above a level."""
    return lambda level: (demand[:, None] > level).astype(float)
