"""A general case as a `Model`: kinds of plant, tiers of demand, and what binds them.

With one kind of plant and one tier the parts have the names of the base problem (`stochisru.lunar.model`); with
several each name ends with that of its technology or the number of its tier. Money is that of the firm: with support
(`[support]`) bills, sales, operation and by-product carry the shares of the government.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from scenario_trees.arrays import Array
from stochisru.errors import InputError
from stochisru.lunar.storage import Storage, worth_keeping
from stochisru.lunar.tables.customers import Tier, all_wanted, tiers
from stochisru.lunar.tables.parts import StoreTable
from stochisru.lunar.tables.plants import KindOfPlant, Symbols, plants
from stochisru.lunar.tables.quantity import Quantity
from stochisru.lunar.tables.worth import abandoned, idle_worth, scrapped
from stochisru.problem.coefficients import Coefficient, Factor, Factors
from stochisru.problem.model import Model
from stochisru.problem.parts import Decision, Expression, Operation, Part, Row, State
from stochisru.programs.curves.curve import Curve

if TYPE_CHECKING:
    from stochisru.lunar.tables.case import GeneralCase

Wanted = Callable[[int, Factors], Array]


def general_model(case: GeneralCase, highest: Sequence[float] | None = None) -> Model:
    """The deployment problem of a general case.

    Parameters
    ----------
    highest
        Most that all customers can want in each year, kg/yr, shape ``(T + 1,)``; needed where a store has no capacity,
        and where campaigns of several technologies have no limit.

    Raises
    ------
    InputError
        If tables do not fit each other, or ``highest`` is needed.
    """
    stated, risk = StatedCase(case, highest), case.risk
    return Model(
        case.name,
        horizon=case.horizon.T,
        parts=stated.parts(),
        sense="maximise",
        discount_rate=(1 + case.economics.r) ** case.horizon.step - 1,
        factors=case.factor_names,
        process=case.process,
        risk=None if risk is None or risk.kind == "nested" else risk.total(),
    )


class StatedCase:
    """What the parts of one case share."""

    def __init__(self, case: GeneralCase, highest: Sequence[float] | None) -> None:
        self.case, self.highest = case, highest
        self.T, self.step = case.horizon.T, case.horizon.step
        #: Discount factor of one stage.
        self.discount = float((1 + case.economics.r) ** -self.step)
        self.symbols = Symbols(case)
        self.kinds, self.tiers = plants(case), tiers(case)
        self.wanted = all_wanted(case)
        self.support = {
            key: self.symbols.series(getattr(case.support, key))
            for key in ("dev_share", "launch_share", "grant", "premium", "equity")
        }
        self.ours = 1.0 - self.support["equity"]
        self.store = None if case.storage is None else _store_by_stage(case.storage, self.step)
        #: Flows of a year by stage: a step of them, and in the last year those of the terminal margin as well.
        years = np.full(self.T + 1, self.step)
        if case.terminal is not None and case.terminal.margin_years is not None:
            years[-1] += case.terminal.margin_years
        self.years = Quantity.of(years)
        self._require_storable()

    def cost(self, symbol: str) -> Quantity:
        """A cost of the base tables."""
        found = self.symbols.get(symbol)
        if found is None:
            raise InputError(f"costs.{symbol}: missing")
        return found

    def number(self, quantity: Quantity) -> Coefficient:
        """As a coefficient."""
        return quantity.coefficient(self.T)

    def parts(self) -> list[Part]:
        """All parts, each after what it refers to."""
        found: list[Part] = []
        for kind in self.kinds:
            found += self._plant(kind)
        found += [*self._launch(), *self._deliveries(), *self._tiers()]
        worth = idle_worth(self.case, self.tiers, self.cost("c_E"), self.symbols)
        if worth is not None:
            # What the last year would earn without plant is no margin of the plant's.
            found.append(self._idle(worth))
        return found

    def _idle(self, worth: Callable[[int, Factors], Array]) -> Operation:
        """A flow of the last year that nobody chooses; in proportion to demand where it is."""
        limit, c_E = self.symbols.get("earth_limit"), self.cost("c_E")
        prices = [c_E, *(number for tier in self.tiers for number in (tier.price, tier.shortage))]
        if limit is None and self._shared is not None and not any(number.random for number in prices):
            value: Coefficient = tuple(float(worth(t, {"demand": np.ones(1)})[0]) for t in range(self.T + 1))
            return Operation("idle", value=value, years=[self.T], lower=Factor("demand"), upper=Factor("demand"))
        return Operation("idle", value=worth, years=[self.T], lower=1.0, upper=1.0)

    @cached_property
    def _shared(self) -> Array | None:
        """What all want as a share of demand, shape ``(T + 1,)``; None where it is not in proportion to demand."""
        stated = [tier.stated for tier in self.tiers if isinstance(tier.stated, Factor)]
        if len(stated) < len(self.tiers) or self.case.support.purchase is not None:
            return None
        return np.asarray(sum((each.by_year(self.T) for each in stated), start=np.zeros(self.T + 1)))

    # ------------------------------------------------------------------ plant

    def _plant(self, kind: KindOfPlant) -> list[Part]:
        """ΔM, M and capacity of a kind of plant."""
        x, T = kind.suffix, self.T
        keep = kind.keep(T, self.step)
        scrap = scrapped(self.case, kind, self.bill(kind), keep)
        held = kind.c_op * self.ours * self.years
        cost = self.bill(kind)
        if kind.lifetime is None:
            held = held - scrap
        else:
            # Scrap is worth something in year T, whenever its bill is paid.
            discount = self.discount ** np.arange(T + 1.0)
            cost = cost - scrap * Quantity.of(discount / kind.paid(self.discount, T))
        state = State(
            f"M{x}",
            keep=keep,
            gains={f"dM{x}": 1.0},
            initial=kind.M0,
            cost=self.number(held),
            enough=self._enough(kind),
            lifetime=kind.lifetime,
            rule=f"balance{x}",
        )
        old = [] if kind.lifetime is None or kind.M0 == 0 else [self._old_scrap(kind, scrap)]
        brought, leaving = abandoned(self.case, kind, self.bill(kind), keep), list[Part]()
        if brought is not None:
            leaving = [self._abandonment(kind, brought)]
            state = replace(state, gains={f"dM{x}": 1.0, f"scrap{x}": -1.0})
        return [
            self._order(kind, cost),
            *leaving,
            state,
            *old,
            Expression(f"Qcap{x}", {f"M{x}": self.number(kind.capacity)}, rule=f"capacity{x}"),
        ]

    def _abandonment(self, kind: KindOfPlant, brought: Quantity) -> Decision:
        """Plant that is taken out of service when the year's demand is seen, before it is operated."""
        return Decision(f"scrap{kind.suffix}", cost=self.number(-(brought * self.ours)))

    def _old_scrap(self, kind: KindOfPlant, scrap: Quantity) -> Operation:
        """Scrap of plant that was there before year 0, which counts as arrived in it: a constant."""
        return Operation(f"old{kind.suffix}", value=scrap.at(0, {}) * kind.M0, years=[0], lower=1.0, upper=1.0)

    def bill(self, kind: KindOfPlant) -> Quantity:
        """What the firm pays for a kilogram by year of arrival, $."""
        launch = (1.0 - self.support["launch_share"]) * kind.c_L * kind.alpha
        bill = (launch + (1.0 - self.support["dev_share"]) * kind.c_dev) * self.ours
        if not kind.priced_at_order:
            return bill
        return Quantity.of(bill.known(self.T)[np.maximum(np.arange(self.T + 1) - kind.lead_time, 0)])

    def _order(self, kind: KindOfPlant, cost: Quantity) -> Decision:
        fixed = Quantity.of(kind.fixed_cost)
        if len(self.kinds) == 1:
            fixed = fixed + self.campaign()
        first = 1 if self.case.horizon.initial_deployment == "fixed" else 0
        order = {
            "lead": kind.lead_time,
            "years": range(first, self.T + 1),
            "lot": kind.lot,
            "payment": kind.payment,
            "upper": None if np.isinf(most := self._allowed(kind)).all() else tuple(most.tolist()),
        }
        paid = fixed * self.ours
        if not kind.has_scale:
            return Decision(f"dM{kind.suffix}", cost=self.number(cost), fixed_cost=self.number(paid), **order)  # type: ignore[arg-type]
        return Decision(f"dM{kind.suffix}", curve=self.curve(kind, paid), **order)  # type: ignore[arg-type]

    def curve(self, kind: KindOfPlant, fixed: Quantity) -> Curve:
        """Bill of a deployment by its size, where size matters: of prices that do not move."""
        support = self.support
        parts = (kind.c_L, kind.alpha, kind.c_dev, support["dev_share"], support["launch_share"], self.ours, fixed)
        steady = [part for part in parts if not part.random and np.ptp(part.known(self.T)) == 0]
        if len(steady) < len(parts):
            raise InputError("scale: takes prices and shares that do not move; leave scale out or give single numbers")
        c_L, alpha, c_dev, dev, launch, ours, campaign = (float(part.known(self.T)[0]) for part in parts)
        development = kind.scale.by_mass("c_dev", c_dev)
        scaled = Curve(development.breakpoints, development.values * ((1 - dev) * ours))
        flight = Curve.linear(c_L * alpha * (1 - launch) * ours, development.upper, fixed=campaign)
        return scaled.plus(flight).of(kind.mass)

    def _enough(self, kind: KindOfPlant) -> Coefficient:
        """Plant of which more earns nothing: it serves all that is wanted, and may fill a store for later years."""
        room: Sequence[float] = [0.0] * (self.T + 1)
        # Where plant neither wears out nor stands still, what is there serves later years itself.
        rests = kind.capacity.random or not np.all(kind.capacity.known(self.T))
        if self.store is not None and (rests or kind.lifetime is not None or np.any(kind.degradation.known(self.T))):
            room = [each / self.step for each in self._room()]
        if self._shared is not None and not np.any(room) and not kind.capacity.random:
            capacity = kind.capacity.known(self.T)
            served = np.where(capacity > 0, self._shared / np.where(capacity > 0, capacity, 1.0), 0.0)
            return Factor("demand", served)

        def enough(t: int, factors: Factors) -> Array:
            capacity = np.asarray(kind.capacity.at(t, factors), dtype=float)
            needed = self.wanted(t, factors) + room[t]
            return np.where(capacity > 0, needed / np.where(capacity > 0, capacity, 1.0), 0.0)

        return enough

    def _room(self) -> list[float]:
        """Most that is worth keeping in the store at the end of each year, kg."""
        assert self.store is not None
        if self.highest is not None:
            return worth_keeping(self.store, [each * self.step for each in self.highest])
        if self.store.capacity is None:
            raise InputError("storage.capacity: is needed where the largest demand is not known")
        return [self.store.capacity] * (self.T + 1)

    # ----------------------------------------------------------------- launch

    def campaign(self) -> Quantity:
        """Cost of a launch campaign less the grant for it."""
        fixed = self.case.launch.fixed_cost
        return Quantity.of(np.maximum(fixed - self.support["grant"].known(self.T), 0.0))

    def _launch(self) -> list[Part]:
        """A limit on the mass launched in a year, and the cost of a campaign that several technologies share."""
        found: list[Part] = []
        limit = self.case.launch.mass_limit
        if limit is not None:
            if any(kind.mass.pieces > 1 for kind in self.kinds):
                raise InputError("launch.mass_limit: takes plant whose landed mass is in proportion to its size")
            masses = {f"dM{k.suffix}": self.number(k.alpha * float(k.mass.slopes[0])) for k in self.kinds}
            found.append(Row("launch_mass", masses, upper=self.number(self.symbols.series(limit))))
        if not self.case.shares_campaigns:
            return found
        lead = min(kind.lead_time for kind in self.kinds)
        shares = {kind.payment for kind in self.kinds if kind.lead_time == lead}
        first = 1 if self.case.horizon.initial_deployment == "fixed" else 0
        campaign = Decision(
            "campaign",
            lead=lead,
            years=range(first, self.T + 1),
            cost=self.number(self.campaign() * self.ours),
            upper=1.0,
            lot=1.0,
            payment=next(iter(shares)) if len(shares) == 1 else None,
        )
        rows = [
            Row(f"flies{k.suffix}", {f"dM{k.suffix}": 1.0, "campaign": tuple(-self._most(k))}, upper=0.0)
            for k in self.kinds
        ]
        return [*found, campaign, *rows]

    def _allowed(self, kind: KindOfPlant) -> Array:
        """Most of a kind that the limits on it and on what is launched allow in each year, kg, shape ``(T + 1,)``.

        The row of launched mass says the second too, but an order that takes more would break it years later.
        """
        most = np.full(self.T + 1, np.inf)
        if kind.build_limit is not None:
            most = np.minimum(most, kind.build_limit.known(self.T))
        if self.case.launch.mass_limit is not None and not kind.alpha.random:
            limit = self.symbols.series(self.case.launch.mass_limit).known(self.T)
            most = np.minimum(most, limit / (kind.alpha.known(self.T) * float(kind.mass.slopes[0])))
        return most

    def _most(self, kind: KindOfPlant) -> Array:
        """Most of a kind that may arrive in each year, kg, shape ``(T + 1,)``."""
        most = self._allowed(kind)
        if self.highest is not None and not kind.capacity.random:
            capacity, keep = kind.capacity.known(self.T), kind.keep(self.T, self.step)
            room = np.zeros(self.T + 1) if self.store is None else np.array(self._room()) / self.step
            need = np.where(capacity > 0, (np.array(self.highest) + room) / np.where(capacity > 0, capacity, 1.0), 0.0)
            for t in range(self.T - 1, -1, -1):
                need[t] = max(need[t], need[t + 1] / keep[t + 1]) if keep[t + 1] > 0 else need[t]
            if kind.lot is not None:
                need = np.ceil(need / kind.lot) * kind.lot
            most = np.minimum(most, need)
        if not np.isfinite(most).all():
            raise InputError(
                "build_limit: is needed for campaigns that technologies share, and for a store without capacity, where "
                "the largest demand is not known; so would be launch.mass_limit"
            )
        return most

    # ------------------------------------------------------------- operations

    def _require_storable(self) -> None:
        betas = [kind.beta.known(self.T) for kind in self.kinds]
        if self.store is None or all(np.array_equal(beta, betas[0]) for beta in betas):
            return
        c_by = self.cost("c_by")
        if c_by.random or np.any(c_by.known(self.T)):
            raise InputError("storage: takes technologies of one beta where c_by > 0: what is stored has no origin")

    def _most_delivered(self, t: int, factors: Factors) -> Array:
        return 2 * self.wanted(t, factors)

    def _deliveries(self) -> list[Part]:
        """What plant delivers, and what of its capacity is neither delivered nor stored: E."""
        c_by, c_S = self.cost("c_by") * self.ours, self.cost("c_S")
        if self.store is not None:
            return self._stored(c_by, c_S)
        found: list[Part] = []
        for kind in self.kinds:
            x = kind.suffix
            paid = self._paid_alone() - c_by * kind.beta
            found += [
                Operation(f"Q{x}", value=self.number(paid * self.years), upper=self._most_delivered),
                Row(f"delivery{x}", {f"Q{x}": 1.0, f"Qcap{x}": -1.0}, upper=0.0),
                Expression(
                    f"E{x}", {f"Qcap{x}": 1.0, f"Q{x}": -1.0}, cost=self.number(c_S * self.years), rule=f"excess{x}"
                ),
            ]
        return found

    def _stored(self, c_by: Quantity, c_S: Quantity) -> list[Part]:
        """stored_t = (1 − b)·stored_{t−1} + Σ Qcap − Q − E, and in_0 = initial."""
        assert self.store is not None
        step, store = self.step, self.store
        paid = self._paid_alone() - c_by * self.kinds[0].beta
        gains = {f"Qcap{kind.suffix}": step for kind in self.kinds} | {"Q": -step, "E": -step}
        return [
            Operation("Q", value=self.number(paid * self.years), upper=self._most_delivered),
            Operation("E", value=self.number(-(c_S * self.years))),
            State(
                "stored",
                keep=1 - store.boil_off,
                gains=gains,
                initial=store.initial,
                cost=store.holding_cost,
                upper=self._all_made() if store.capacity is None else store.capacity,
            ),
        ]

    def _all_made(self) -> float:
        """What a store without capacity can hold at most, kg: all that all plant can make.

        More than all later demand may be worth keeping where excess is penalised.
        """
        assert self.store is not None
        total = self.store.initial
        for kind in self.kinds:
            if kind.capacity.random:
                raise InputError("storage.capacity: is needed where eta or availability is a factor")
            total += self.step * float(kind.capacity.known(self.T) @ (kind.M0 + np.cumsum(self._most(kind))))
        return total

    @property
    def alone(self) -> bool:
        """Whether all that is delivered goes to one tier."""
        return len(self.tiers) == 1 and self.case.support.purchase is None

    def _paid_alone(self) -> Quantity:
        """Price of what is delivered, where it is the same for all."""
        return self.price(self.tiers[0]) if self.alone else Quantity.of(0.0)

    def price(self, tier: Tier) -> Quantity:
        """What the firm gets for a kilogram that plant delivers to a tier, $."""
        return tier.price * self.ours + self.support["premium"]

    def _tiers(self) -> list[Part]:
        """What each tier gets: from plant, from Earth, or not at all; Σ Q + Q_earth + S = wanted."""
        delivered = ["Q"] if self.store is not None else [f"Q{kind.suffix}" for kind in self.kinds]
        limit, c_E = self.symbols.get("earth_limit"), self.cost("c_E")
        found: list[Part] = []
        earths, received = [], []
        for tier in self.tiers:
            x, most = tier.suffix, _times_two(tier.wanted)
            served = dict.fromkeys(delivered, 1.0)
            if not self.alone:
                name = f"sold{x}"
                found.append(Operation(name, value=self.number(self.price(tier) * self.years), upper=most))
                received.append(name)
                served = {name: 1.0}
            if tier.earth:
                sold = tier.price if self.case.economics.earth_sold else Quantity.of(0.0)
                single = limit is not None and len(self.tiers) == 1
                found.append(
                    Operation(
                        f"Q_earth{x}",
                        value=self.number((sold - c_E) * self.years),
                        upper=_at_most(most, limit) if single else most,  # type: ignore[arg-type]
                    )
                )
                served[f"Q_earth{x}"] = 1.0
                earths.append(f"Q_earth{x}")
            found += [
                Operation(f"S{x}", value=self.number(-(tier.shortage * self.years)), upper=most),
                Row(f"demand{x}", served | {f"S{x}": 1.0}, equals=tier.stated),
            ]
        if limit is not None and len(self.tiers) > 1 and earths:
            found.append(Row("earth", dict.fromkeys(earths, 1.0), upper=self.number(limit)))
        return [*found, *self._bought(delivered, received)]

    def _bought(self, delivered: list[str], received: list[str]) -> list[Part]:
        """The purchase that a government guarantees, and that all is delivered to somebody."""
        if self.alone:
            return []
        found: list[Part] = []
        purchase = self.case.support.purchase
        if purchase is not None:
            price, quantity = self.symbols.series(purchase.price), self.symbols.series(purchase.quantity)
            found.append(Operation("bought", value=self.number(price * self.years), upper=self.number(quantity)))
            received = [*received, "bought"]
        balance = dict.fromkeys(delivered, 1.0) | dict.fromkeys(received, -1.0)
        return [*found, Row("sales", balance, equals=0.0)]


def _store_by_stage(table: StoreTable, step: float) -> Storage:
    """The store, its loss and cost by stage."""
    boil_off = 1 - (1 - table.boil_off) ** step
    return Storage(boil_off, table.capacity, table.holding_cost * step, table.initial)


def _times_two(wanted: Wanted) -> Wanted:
    """A bound that never binds: the price of demand stays in its row."""
    return lambda t, factors: 2 * wanted(t, factors)


def _at_most(most: Wanted, limit: Quantity) -> Wanted:
    return lambda t, factors: np.minimum(most(t, factors), limit.at(t, factors))
