"""Plant of several kinds as one capacity: what is there, what is on order, and of which kind an order is best made.

A rule that thinks in capacity, as the heuristics do, says how much oxygen a year is to be added; the order goes to the
kind of plant whose oxygen is cheapest over the years that are left, and what its limits refuse to the next.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from scenario_trees.arrays import Array
from stochisru.lunar.strategies.protocol import whole_modules
from stochisru.lunar.tables.merit_order import BestOfTables
from stochisru.lunar.tables.plants import KindOfPlant
from stochisru.lunar.tables.quantity import Quantity
from stochisru.problem.coefficients import Factors
from stochisru.problem.model import Model
from stochisru.problem.parts import Row
from stochisru.problem.policies.protocol import Seen

if TYPE_CHECKING:
    from stochisru.lunar.tables.case import GeneralCase

#: Share of an order that is rounding.
_DUST = 1e-12
#: Orders by name of the decision in the year of arrival, and scrap in the year in which plant leaves, kg, each of shape
#: ``(T + 1, n)``; 0 where nothing is decided.
Orders = Mapping[str, Array]


class Fleet:
    """The kinds of plant of a case, as one capacity.

    Parameters
    ----------
    model
        The case's, on the ground on which orders are placed.
    """

    def __init__(self, case: GeneralCase, model: Model) -> None:
        self.case, self._model = case, model
        self._stated = case.stated
        self.T, self.kinds = self._stated.T, self._stated.kinds
        self._flows = BestOfTables(self._stated)
        self._discount = (1 + case.economics.r) ** (-case.horizon.step * np.arange(self.T + 1.0))
        self.first = 1 if case.horizon.initial_deployment == "fixed" else 0

    @property
    def tier_suffixes(self) -> list[str]:
        """What ends the names of the parts of each tier."""
        return [tier.suffix for tier in self._stated.tiers]

    @property
    def earth_serves_all(self) -> bool:
        """Whether Earth may serve all customers without limit, for no more than shortage costs in any year."""
        if self.case.factors or self._stated.symbols.get("earth_limit") is not None:
            return False
        flown = self._stated.cost("c_E").known(self.T)
        return all(tier.earth and (flown <= tier.shortage.known(self.T)).all() for tier in self._stated.tiers)

    # ------------------------------------------------------------------ what is there

    @cached_property
    def _alive(self) -> dict[str, Array]:
        """Share of what arrived in year s that is there in year t, shape ``(T + 1, T + 1)``, by name of the order."""
        found = {}
        for kind in self.kinds:
            keep = np.array(kind.keep(self.T, self._stated.step))
            alive = np.zeros((self.T + 1, self.T + 1))
            for s in range(self.T + 1):
                end = self.T + 1 if kind.lifetime is None else min(self.T + 1, s + kind.lifetime)
                alive[s, s:end] = np.cumprod(np.concatenate([[1.0], keep[s + 1 : end]]))
            found[f"dM{kind.suffix}"] = alive
        return found

    def plant(self, orders: Orders, year: int) -> list[Array]:
        """Plant in place of each kind, kg, each of shape ``(n,)``."""
        found = []
        for kind in self.kinds:
            alive = self._alive[f"dM{kind.suffix}"][: year + 1, year]
            came = orders[f"dM{kind.suffix}"][: year + 1]
            if kind.scrap is not None:
                came = came - orders[f"scrap{kind.suffix}"][: year + 1]
            found.append(alive[0] * kind.M0 + alive @ came)
        return found

    def position(self, orders: Orders, year: int, factors: Factors) -> Array:
        """Capacity in place and on order, kg/yr, shape ``(n,)``: as if all of it stood in ``year``."""
        waiting = [orders[f"dM{kind.suffix}"][year + 1 :].sum(axis=0) for kind in self.kinds]
        makes = [kind.capacity.at(year, factors) for kind in self.kinds]
        return np.asarray(
            self.capacity(orders, year, factors) + sum(a * b for a, b in zip(makes, waiting, strict=True))
        )

    def capacity(self, orders: Orders, year: int, factors: Factors) -> Array:
        """Capacity in place, kg/yr, shape ``(n,)``."""
        each = zip(self.kinds, self.plant(orders, year), strict=True)
        return np.asarray(sum((kind.capacity.at(year, factors) * mass for kind, mass in each), start=np.zeros(1)))

    def wanted(self, year: int, factors: Factors) -> Array:
        """What customers want and a government buys, kg/yr, shape ``(n,)``."""
        return self._stated.wanted(year, factors)

    # ------------------------------------------------------------------ orders

    @cached_property
    def _processes(self) -> tuple[Any, ...]:
        process = self.case.process
        return (process,) if len(self.case.factor_names) == 1 else process.processes

    @property
    def demand_process(self) -> Any:
        """Process of demand, without further factors."""
        return self._processes[0]

    def mean(self, year: int) -> dict[str, Array]:
        """Mean of every factor in a year by name, each of shape ``(1,)``."""
        at = np.array([float(year)])
        return {n: np.asarray(p.mean(at)) for n, p in zip(self.case.factor_names, self._processes, strict=True)}

    @cached_property
    def unit_costs(self) -> Array:
        """Cost of a kilogram of oxygen by year of arrival of the plant, $, shape ``(kinds, T + 1)``.

        Bill and operation per kilogram that can be made, both discounted, at the mean of further factors; infinite
        where none can.
        """
        found = np.full((len(self.kinds), self.T + 1), np.inf)
        for k, kind in enumerate(self.kinds):
            alive = self._alive[f"dM{kind.suffix}"]
            makes = self._expected(kind.capacity) * self._stated.step
            held, bill = self._expected(kind.c_op * self._stated.ours), self._expected(self._stated.bill(kind))
            made = alive @ (makes * self._discount)
            cost = bill * self.paid(kind) + alive @ (held * self._stated.step * self._discount)
            found[k, made > 0] = cost[made > 0] / made[made > 0]
        return found

    def _expected(self, quantity: Quantity) -> Array:
        """A quantity by year at the mean of the factors, shape ``(T + 1,)``."""
        return np.array([np.asarray(quantity.at(t, self.mean(t))).item() for t in range(self.T + 1)])

    def paid(self, kind: KindOfPlant) -> Array:
        """Discount factor of the bill of what arrives in each year, shape ``(T + 1,)``."""
        return kind.paid(float(self._discount[1]) if self.T else 1.0, self.T)

    def spread(self, orders: dict[str, Array], capacity: Array, arrivals: Mapping[str, int], factors: Factors) -> None:
        """Add to ``orders`` what makes so much capacity, cheapest oxygen first.

        Parameters
        ----------
        orders
            All that is decided; changed in place.
        capacity
            To be added, kg/yr, shape ``(n,)``.
        arrivals
            Year of arrival by name of the decision, of the kinds that may be ordered.
        factors
            Of today.
        """
        rest = capacity
        at = {k: arrivals[f"dM{kind.suffix}"] for k, kind in enumerate(self.kinds) if f"dM{kind.suffix}" in arrivals}
        for k in sorted(at, key=lambda k: (self.unit_costs[k, at[k]], k)):
            kind, year = self.kinds[k], at[k]
            makes = kind.capacity.at(year, factors) + np.zeros(rest.shape)
            wished = np.divide(rest, makes, out=np.zeros_like(rest), where=makes > 0)
            mass = np.minimum(wished, self._room(orders, kind, year))
            orders[f"dM{kind.suffix}"][year] += mass
            left = rest - makes * mass
            rest = np.where(left > _DUST * rest, left, 0.0)

    def no_orders(self, paths: int) -> dict[str, Array]:
        """No orders, by name, each of shape ``(T + 1, paths)``."""
        found = {f"dM{kind.suffix}": np.zeros((self.T + 1, paths)) for kind in self.kinds}
        leaving = [f"scrap{kind.suffix}" for kind in self.kinds if kind.scrap is not None]
        return found | {name: np.zeros((self.T + 1, paths)) for name in leaving}

    def decided(self, seen: Seen) -> dict[str, Array]:
        """All orders that are decided before today."""
        orders = self.no_orders(seen.paths)
        for kind in self.kinds if seen.year else ():
            name = f"dM{kind.suffix}"
            for year in range(self.first, min(seen.year + kind.lead_time - 1, self.T) + 1):
                orders[name][year] = seen.amount(name, year)
            if kind.scrap is not None:
                for year in range(seen.year):
                    orders[f"scrap{kind.suffix}"][year] = seen.amount(f"scrap{kind.suffix}", year)
        return orders

    def due(self, seen: Seen, orders: Orders) -> dict[str, Array]:
        """Orders as a policy gives them today, with the campaigns that they need."""
        found = {name: orders[name][list(years)] for name, years in seen.due.items() if name in orders}
        if "campaign" in seen.due:
            flies = np.any([orders[f"dM{kind.suffix}"] > 0 for kind in self.kinds], axis=0)
            found["campaign"] = flies[list(seen.due["campaign"])].astype(float)
        return found

    def scrap_idle(self, orders: dict[str, Array], threshold: float, year: int, factors: Factors) -> None:
        """Scrap capacity that stands idle where less than a share of all is wanted, dearest oxygen first.

        Parameters
        ----------
        orders
            All that is decided; changed in place.
        threshold
            Share of the capacity in place.
        factors
            Of today.
        """
        there, wanted = self.plant(orders, year), self.wanted(year, factors)
        capacity = self.capacity(orders, year, factors)
        idle = np.where(wanted < threshold * capacity, np.maximum(capacity - wanted, 0.0), 0.0)
        leaving = [k for k, kind in enumerate(self.kinds) if kind.scrap is not None]
        for k in sorted(leaving, key=lambda k: (-self.unit_costs[k, year], k)):
            makes = self.kinds[k].capacity.at(year, factors) + np.zeros(idle.shape)
            mass = np.divide(idle, makes, out=np.zeros_like(idle), where=makes > 0)
            mass = np.minimum(mass, there[k])
            orders[f"scrap{self.kinds[k].suffix}"][year] += mass
            idle = np.maximum(idle - makes * mass, 0.0)

    def round_up(self, orders: dict[str, Array], before: Orders) -> None:
        """What was added to ``before``, up to whole lots where plant comes in lots, as far as limits allow."""
        for kind in self.kinds:
            name, lot = f"dM{kind.suffix}", kind.lot
            if lot is None:
                continue
            for year in np.flatnonzero((orders[name] > before[name]).any(axis=1)):
                mass, orders[name][year] = orders[name][year] - before[name][year], before[name][year]
                up, room = whole_modules(mass, lot), self._room(orders, kind, int(year))
                orders[name][year] += np.where(up <= room * (1 + 1e-9), up, np.floor(room / lot + 1e-9) * lot)

    def _room(self, orders: Orders, kind: KindOfPlant, year: int) -> Array:
        """What limits still allow of a kind in a year of arrival, kg, shape ``(n,)``."""
        already = orders[f"dM{kind.suffix}"][year]
        most = np.full(already.shape, np.inf)
        if self.case.shares_campaigns:  # what the row that joins order and campaign takes
            row = cast("Row", self._model[f"flies{kind.suffix}"])
            most = -np.broadcast_to(np.asarray(row.terms["campaign"]), (self.T + 1,))[year] - already
        if kind.build_limit is not None:
            most = np.minimum(most, kind.build_limit.known(self.T)[year] - already)
        limit = self.case.launch.mass_limit
        if limit is not None and not any(each.alpha.random for each in self.kinds):
            per_kilogram = [float(e.alpha.known(self.T)[year]) * float(e.mass.slopes[0]) for e in self.kinds]
            flown = sum(w * orders[f"dM{e.suffix}"][year] for w, e in zip(per_kilogram, self.kinds, strict=True))
            left = float(self._stated.symbols.series(limit).known(self.T)[year]) - flown
            most = np.minimum(most, left / per_kilogram[self.kinds.index(kind)])
        return np.maximum(most, 0.0)

    # ------------------------------------------------------------------ what an order is worth

    def added_margin(self, orders: Orders, added: Orders, demand: Array, factors: Factors, year: int) -> Array:
        """Discounted margin that orders add to all years after ``year`` and to it, $ of that year, shape ``(n,)``.

        Parameters
        ----------
        orders, added
            What is decided without them, and they alone.
        demand
            Demand of years ``year``..T on the path that is looked at, shape ``(T + 1 − year, n)``.
        factors
            Of today; those beside demand stay as they are.
        """
        total = np.zeros(demand.shape[1])
        idle = self._stated.cost("c_S")
        for t in range(year, self.T + 1):
            then = {**factors, "demand": demand[t - year]}
            old, new = self.plant(orders, t), []
            for kind in self.kinds:
                alive = self._alive[f"dM{kind.suffix}"][: t + 1, t]
                new.append(alive @ added[f"dM{kind.suffix}"][: t + 1])
                makes, held = kind.capacity.at(t, then), (kind.c_op * self._stated.ours).at(t, then)
                total -= self._share(t, year) * (held + idle.at(t, then) * makes) * new[-1]
            if not any(mass.any() for mass in new):
                continue
            with_them = self._flows.gain(t, then, [a + b for a, b in zip(old, new, strict=True)])
            total += self._share(t, year) * (with_them - self._flows.gain(t, then, old))
        return total

    def _share(self, t: int, year: int) -> float:
        """Discount of the flows of a year, which are those of a step, to another."""
        return float(self._discount[t] / self._discount[year] * self._stated.years.at(t, {}))

    def investment(self, added: Orders, factors: Factors, year: int, orders: Orders) -> Array:
        """What orders cost the firm, $ of ``year``, shape ``(n,)``, with the campaigns that ``orders`` do not fly."""
        total: Array | float = 0.0
        for kind in self.kinds:
            mass, bill, paid = added[f"dM{kind.suffix}"], self._stated.bill(kind), self.paid(kind)
            curve = self._stated.curve(kind, Quantity.of(0.0)) if kind.has_scale else None
            for t in np.flatnonzero(mass.any(axis=1)):
                cost = bill.at(int(t), factors) * mass[t] if curve is None else curve(mass[t])
                cost = cost + kind.fixed_cost * self._stated.ours.at(int(t), {}) * (mass[t] > 0)
                total = total + paid[t] / self._discount[year] * cost
        names = [f"dM{kind.suffix}" for kind in self.kinds]
        new, old = (np.any([each[name] > 0 for name in names], axis=0) for each in (added, orders))
        flight = (self._stated.campaign() * self._stated.ours).known(self.T) * self._discount
        return np.asarray(total + flight @ (new & ~old) / self._discount[year])
