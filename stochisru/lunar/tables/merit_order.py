"""Best operations of a year, for several kinds of plant and tiers of demand, without a program.

What plant delivers to a tier is worth its price and what the tier would otherwise cost: shortage, or Earth where that
is cheaper. Where Earth is not limited that is a market for one good: buyers are the tiers (and the purchase of a
government) by their worth v, sellers the kinds of plant by their cost c = c_by·β − c_S, and the volume traded is

    max_k min( Σ_{i: v_i > c_k} wanted_i,  Σ_{j: c_j ≤ c_k} capacity_j ).

A limit on Earth has a price λ ≥ 0 that is added to c_E, and a tier's worth depends on it. The use of Earth falls with λ
in steps, at the λ where two of these numbers meet; between two such breakpoints flows do not change. The price at which
use passes the limit is found among them, and there the flows of both sides are mixed such that the limit is met: both
are optimal for the Lagrangian, so the mixture is optimal (Boyd and Vandenberghe, *Convex Optimization*, 2004, 5.5).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scenario_trees.arrays import Array, Index
from stochisru.lunar.tables.model import StatedCase
from stochisru.lunar.tables.quantity import Quantity
from stochisru.problem.coefficients import Factors

if TYPE_CHECKING:
    from stochisru.lunar.tables.case import GeneralCase


@dataclass(frozen=True, eq=False)
class Market:
    """Who may buy and sell oxygen in a year.

    Every array has a column per path, or one where all paths are alike.

    Attributes
    ----------
    wanted, capacity
        kg/yr by buyer and by kind of plant.
    price, shortage
        $ per kg that plant delivers, and that nobody does, by buyer.
    cost
        $ per kg delivered less what it costs to leave it, by kind of plant.
    flown
        $ per kg from Earth, less what it is sold for, by buyer; infinite where Earth does not serve.
    limit
        Most that Earth supplies, kg/yr; infinite where it is not limited.
    """

    wanted: Array
    capacity: Array
    price: Array
    shortage: Array
    cost: Array
    flown: Array
    limit: Array

    def dispatched(self) -> Dispatch:
        """What is best for the year."""
        n = np.broadcast_shapes(*(each.shape[1:] for each in (self.wanted, self.capacity, self.limit)))[0]
        free = self._at(np.zeros(1))
        flown = free.flown.sum(axis=0)
        short = np.flatnonzero(np.broadcast_to(flown > self.limit * (1 + 1e-12), (n,)))
        if not short.size:
            return free
        bound = self._of(short)._limited()
        return Dispatch(*(_replaced(a, b, short, n) for a, b in zip(free.all, bound.all, strict=True)))

    def worth(self, dispatch: Dispatch) -> Array:
        """What a dispatch earns, $/yr, shape ``(n,)``."""
        short = self.wanted - dispatch.sold - dispatch.flown
        flown = np.where(np.isfinite(self.flown), self.flown, 0.0) * dispatch.flown
        made = (self.cost * dispatch.delivered).sum(axis=0)
        return np.asarray((self.price * dispatch.sold - flown - self.shortage * short).sum(axis=0) - made)

    def _of(self, paths: Index) -> Market:
        """Some paths alone."""
        arrays = (self.wanted, self.capacity, self.price, self.shortage, self.cost, self.flown, self.limit)
        return Market(*(x if x.shape[-1] == 1 else x[..., paths] for x in arrays))

    def _at(self, premium: Array) -> Dispatch:
        """What is best where a kilogram from Earth costs a premium, and is not limited."""
        flown = self.flown + premium
        flies = flown <= self.shortage  # Earth serves where it is no dearer, as in the base case
        worth = self.price + np.where(flies, flown, self.shortage)
        sold, delivered = traded(worth, self.wanted, self.cost, self.capacity)
        return Dispatch(sold, delivered, (self.wanted - sold) * flies)

    def _limited(self) -> Dispatch:
        """What is best where the limit of Earth binds."""
        steps = self._breakpoints()
        # Between step k − 1 and step k, the first of them beyond 0 and the last without end, nothing changes.
        low, high = np.zeros(steps.shape[1], dtype=np.int64), np.full(steps.shape[1], len(steps), dtype=np.int64)
        while (high - low > 1).any():
            middle = (low + high) // 2
            over = self._at(_between(steps, middle)).flown.sum(axis=0) > self.limit
            low, high = np.where(over, middle, low), np.where(over, high, middle)
        more, less = self._at(_between(steps, low)), self._at(_between(steps, high))
        most, least = more.flown.sum(axis=0), less.flown.sum(axis=0)
        spread = most - least
        share = np.where(spread > 0, (self.limit - least) / np.where(spread > 0, spread, 1.0), 0.0)
        share = np.clip(share, 0.0, 1.0)
        return Dispatch(*(share * a + (1 - share) * b for a, b in zip(more.all, less.all, strict=True)))

    def _breakpoints(self) -> Array:
        """Premiums at which the order of worths and costs may change, in order by path, none below 0."""
        base = self.price + self.flown  # worth of a tier that Earth serves, but for the premium
        others = self.price + self.shortage
        rows: list[Array] = []
        for i in np.flatnonzero(np.isfinite(self.flown).any(axis=1)):
            rows += [self.shortage[i] - self.flown[i], *(self.cost - base[i]), *(others - base[i])]
        n = self.wanted.shape[1]
        return np.sort(np.stack([np.broadcast_to(np.maximum(row, 0.0), (n,)) for row in rows]), axis=0)


@dataclass(frozen=True, eq=False)
class Dispatch:
    """From plant by buyer, by kind of plant, and from Earth by buyer, kg/yr, a column a path."""

    sold: Array
    delivered: Array
    flown: Array

    @property
    def all(self) -> tuple[Array, Array, Array]:
        """The three."""
        return self.sold, self.delivered, self.flown


def traded(worth: Array, wanted: Array, cost: Array, capacity: Array) -> tuple[Array, Array]:
    """Volumes of a market for one good, by buyer and by seller.

    Parameters
    ----------
    worth, cost
        Of a unit, shape ``(buyers, n)`` and ``(sellers, n)``; or with one column.
    wanted, capacity
        Most of each, of the same shapes.
    """
    buying, selling = _order(-worth), _order(cost)
    worth, wanted = _taken(worth, buying), _taken(wanted, buying)
    cost, capacity = _taken(cost, selling), _taken(capacity, selling)
    asked, offered = np.cumsum(wanted, axis=0), np.cumsum(capacity, axis=0)
    volume: Array | float = 0.0
    for k in range(len(cost)):
        volume = np.maximum(volume, np.minimum(_asked_above(worth, cost[k], wanted, asked), offered[k]))
    bought = np.minimum(np.maximum(volume - asked + wanted, 0.0), wanted)
    sold = np.minimum(np.maximum(volume - offered + capacity, 0.0), capacity)
    return _returned(bought, buying), _returned(sold, selling)


def _asked_above(worth: Array, cost: Array, wanted: Array, asked: Array) -> Array:
    """What buyers want to whom a unit is worth more than it costs; they are in the order of that."""
    above = worth > cost
    if above.shape[1] == 1:  # alike on all paths
        count = int(above.sum())
        return asked[count - 1] if count else np.zeros(1)
    return np.asarray((wanted * above).sum(axis=0))


def _order(keys: Array) -> Index:
    return np.argsort(keys, axis=0, kind="stable")


def _taken(rows: Array, order: Index) -> Array:
    if order.shape[1] == 1:
        return rows[order[:, 0]]
    return np.take_along_axis(np.broadcast_to(rows, (len(rows), order.shape[1])), order, axis=0)


def _returned(rows: Array, order: Index) -> Array:
    """Rows in the order before `_taken`."""
    found = np.empty_like(rows)
    if order.shape[1] == 1:
        found[order[:, 0]] = rows
    else:
        np.put_along_axis(found, order, rows, axis=0)
    return found


def _between(steps: Array, at: Index) -> Array:
    """A premium between two steps, below the first or above the last, by path."""
    last = len(steps) - 1
    lower = np.where(at > 0, np.take_along_axis(steps, np.maximum(at - 1, 0)[None], axis=0)[0], 0.0)
    upper = np.take_along_axis(steps, np.minimum(at, last)[None], axis=0)[0]
    return np.where(at > last, 2 * lower + 1.0, (lower + upper) / 2)


def _replaced(whole: Array, part: Array, paths: Index, n: int) -> Array:
    found = np.broadcast_to(whole, (len(whole), n)).copy()
    found[:, paths] = part
    return found


class BestOfTables:
    """Best operations of a case with tables, see `stochisru.problem.policies.protocol.BestOperations`.

    Parameters
    ----------
    stated
        Of a case without a store: with one the best of a year depends on later ones.
    """

    def __init__(self, stated: StatedCase) -> None:
        self._stated, case = stated, stated.case
        symbols, purchase = stated.symbols, case.support.purchase
        c_E, c_S, c_by = stated.cost("c_E"), stated.cost("c_S"), stated.cost("c_by") * stated.ours
        never, nothing = Quantity.of(np.inf), Quantity.of(0.0)
        self._wanted = [tier.wanted for tier in stated.tiers]
        self._price = [stated.price(tier) for tier in stated.tiers]
        self._shortage = [tier.shortage for tier in stated.tiers]
        sold = [tier.price if case.economics.earth_sold else nothing for tier in stated.tiers]
        self._flown = [c_E - price if tier.earth else never for tier, price in zip(stated.tiers, sold, strict=True)]
        if purchase is not None:
            quantity = symbols.series(purchase.quantity)
            self._wanted.append(lambda t, factors: np.full(np.shape(factors["demand"]), quantity.at(t, factors)))
            self._price.append(symbols.series(purchase.price))
            self._shortage.append(nothing)
            self._flown.append(never)
        self._cost = [c_by * kind.beta - c_S for kind in stated.kinds]
        self._limit = symbols.get("earth_limit") or never

    def market(self, t: int, factors: Factors, plant: Sequence[Array]) -> Market:
        """Who buys and sells in a year.

        Parameters
        ----------
        factors
            Each of shape ``(n,)``.
        plant
            Plant in place of each technology, kg, each of shape ``(n,)``.
        """
        capacity = [kind.capacity.at(t, factors) * mass for kind, mass in zip(self._stated.kinds, plant, strict=True)]
        limit = np.atleast_1d(np.asarray(self._limit.at(t, factors), dtype=float))
        price, shortage, cost, flown = (
            _rows(each, t, factors) for each in (self._price, self._shortage, self._cost, self._flown)
        )
        wanted = np.stack([wanted(t, factors) for wanted in self._wanted])
        return Market(wanted, np.stack(capacity), price, shortage, cost, flown, limit)

    def gain(self, t: int, factors: Factors, plant: Sequence[Array]) -> Array:
        """What a year earns but for the cost of all capacity as if unused, and of plant, $/yr, shape ``(n,)``."""
        market = self.market(t, factors, plant)
        return market.worth(market.dispatched())

    def year(self, t: int, factors: Factors, amounts: Mapping[str, Array]) -> dict[str, Array]:
        """Operations of a year by name."""
        stated = self._stated
        market = self.market(t, factors, [amounts[f"M{kind.suffix}"][t] for kind in stated.kinds])
        flows = market.dispatched()
        short = market.wanted - flows.sold - flows.flown
        found = {f"Q{kind.suffix}": made for kind, made in zip(stated.kinds, flows.delivered, strict=True)}
        for i, tier in enumerate(stated.tiers):
            found[f"S{tier.suffix}"] = short[i]
            if tier.earth:
                found[f"Q_earth{tier.suffix}"] = flows.flown[i]
            if not stated.alone:
                found[f"sold{tier.suffix}"] = flows.sold[i]
        if stated.case.support.purchase is not None:
            found["bought"] = flows.sold[-1]
        return found


def best_of(case: GeneralCase) -> BestOfTables | None:
    """Best operations of a case in closed form; None where a store joins the years."""
    return None if case.storage is not None else BestOfTables(case.stated)


def _rows(quantities: Sequence[Quantity], t: int, factors: Factors) -> Array:
    """Quantities of a year, a row each: one column where all paths are alike."""
    numbers = [np.atleast_1d(np.asarray(each.at(t, factors), dtype=float)) for each in quantities]
    return np.stack(np.broadcast_arrays(*numbers))
