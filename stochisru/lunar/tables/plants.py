"""Kinds of plant of a general case, each with its numbers by stage, whatever table they come from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from scenario_trees.arrays import Array
from stochisru.errors import InputError
from stochisru.lunar.parts import Scale
from stochisru.lunar.tables.parts import PaymentTable, PlantTable
from stochisru.lunar.tables.quantity import Quantity
from stochisru.lunar.tables.series import Series
from stochisru.problem.parts import Decision
from stochisru.programs.curves.curve import Curve

if TYPE_CHECKING:
    from stochisru.lunar.tables.case import GeneralCase


def identifier(name: str) -> str:
    """A name of a technology as part of a name of a model."""
    return re.sub(r"\W", "_", name)


class Symbols:
    """Symbols of the base tables of a case by stage: given, derived, or a factor."""

    def __init__(self, case: GeneralCase) -> None:
        self.case = case
        self.years = np.arange(case.horizon.T + 1) * case.horizon.step
        self._random = {f.symbol: f.symbol for f in case.factors if f.technology is None}
        self._own: dict[tuple[str | None, str], str] = {
            (f.technology, f.symbol): n for f, n in zip(case.factors, case.factor_names[1:], strict=True)
        }

    def series(self, given: Series) -> Quantity:
        """A series by stage."""
        return Quantity.of(given.given) if isinstance(given.given, float) else Quantity.of(given.over(self.years))

    def get(self, symbol: str, asked: tuple[str, ...] = ()) -> Quantity | None:
        """A symbol, None where the case says nothing of it.

        Raises
        ------
        InputError
            If a rule needs a symbol that is not there, or itself.
        """
        rule = self.case.derivation.get(symbol)
        given = self._given(symbol)
        if symbol in self._random:
            if given is not None or rule is not None:
                raise InputError(f"factors.{symbol}: {symbol} is given as well; keep one of the two")
            return Quantity.factor(self._random[symbol])
        if rule is None:
            return given
        if given is not None:
            raise InputError(f"derivation.{symbol}: {symbol} is given as well; keep one of the two")
        if symbol in asked:
            raise InputError(f"derivation.{symbol}: depends on itself")
        needed = self._needed(symbol, asked)

        def computed(*numbers: object) -> object:
            return rule.compute(dict(zip(needed, numbers, strict=True)))  # type: ignore[arg-type]

        try:
            found = Quantity.computed(computed, *needed.values())
            if not found.random:
                return Quantity.of(found.known(self.case.horizon.T))
        except (ValueError, ZeroDivisionError, OverflowError) as error:
            raise InputError(f"derivation.{symbol}: {error}") from error
        return found

    def own(self, technology: str, symbol: str) -> Quantity | None:
        """A symbol of a technology that is a factor of its own, None where it is none."""
        name = self._own.get((technology, symbol))
        return None if name is None else Quantity.factor(name)

    def _given(self, symbol: str) -> Quantity | None:
        case = self.case
        for table in (case.economics, case.technology, case.costs):
            value = getattr(table, symbol, None)
            if isinstance(value, Series):
                return self.series(value)
        return None

    def _needed(self, symbol: str, asked: tuple[str, ...]) -> dict[str, Quantity]:
        found = {name: self.get(name, (*asked, symbol)) for name in self.case.derivation[symbol].needs}
        missing = [name for name, quantity in found.items() if quantity is None]
        if missing:
            raise InputError(f"derivation.{symbol}: needs {missing[0]}, which the case does not give")
        return {name: quantity for name, quantity in found.items() if quantity is not None}


@dataclass(frozen=True)
class KindOfPlant:
    """A kind of plant: quantities by stage, the rules of its orders, and its names in the model.

    Attributes
    ----------
    suffix
        Ends the names of its parts; nothing where there is one kind.
    eta
        η at which an output by size (``scale.eta_curve``) counts kilograms; 1 where it does not matter.
    capacity
        Oxygen per year and kilogram in place, a·η.
    scrap
        Share of its bill that a kilogram brings when it is taken out of service; None where plant stays.
    """

    name: str
    suffix: str
    eta: float
    capacity: Quantity
    alpha: Quantity
    beta: Quantity
    c_L: Quantity
    c_dev: Quantity
    c_op: Quantity
    degradation: Quantity
    build_limit: Quantity | None
    scrap: Quantity | None
    M0: float
    lead_time: int
    lifetime: int | None
    lot: float | None
    fixed_cost: float
    scale: Scale
    payment: tuple[float, ...] | None
    priced_at_order: bool

    @cached_property
    def mass(self) -> Curve:
        """Mass that lands (kg) for a deployment of ΔM, as of a base case."""
        output = self.scale.by_mass("eta", self.eta)
        return Curve(output.values / self.eta, output.breakpoints)

    def paid(self, discount: float, years: int) -> Array:
        """Discount factor of the bill of what arrives in each of years 0..``years``, shape ``(years + 1,)``."""
        order = Decision("dM", lead=self.lead_time, payment=self.payment)
        return np.array([sum(x * discount**when for when, x in order.pays_in(t).items()) for t in range(years + 1)])

    @property
    def has_random_price(self) -> bool:
        """Whether what a kilogram costs is a factor."""
        return self.c_L.random or self.c_dev.random or self.alpha.random

    @cached_property
    def has_scale(self) -> bool:
        """Whether cost or output are not proportional to size."""
        return self.scale != Scale()

    @property
    def is_linear(self) -> bool:
        """Whether any amount is allowed and costs in proportion."""
        return self.lot is None and self.fixed_cost == 0 and not self.has_scale

    def keep(self, horizon: int, step: float) -> tuple[float, ...]:
        """Share of plant that is left from one stage to the next."""
        return tuple(((1 - self.degradation.known(horizon)) ** step).tolist())


def plants(case: GeneralCase) -> list[KindOfPlant]:
    """The kinds of plant of a case.

    Raises
    ------
    InputError
        If one lacks a number that has no default.
    """
    symbols = Symbols(case)
    if not case.technologies:
        return [_kind(case, symbols, None, "")]
    single = len(case.technologies) == 1
    for factor in case.factors:
        if factor.technology is None and all(getattr(t, factor.symbol, None) is not None for t in case.technologies):
            raise InputError(
                f"factors.{factor.symbol}: every technology has its own; say of which one it is the factor"
            )
    return [_kind(case, symbols, technology, "" if single else technology.name) for technology in case.technologies]


def _kind(case: GeneralCase, symbols: Symbols, technology: PlantTable | None, suffix: str) -> KindOfPlant:
    base, own = case.technology, technology
    name = getattr(own, "name", "plant")
    where = "technology" if own is None else f"technologies {name!r}"

    def found(symbol: str, default: float | None = None) -> Quantity:
        value = None if own is None else getattr(own, symbol, None)
        quantity = symbols.own(name, symbol) or (symbols.series(value) if value is not None else symbols.get(symbol))
        if quantity is not None:
            return quantity
        if default is None:
            home = "costs" if symbol.startswith("c_") else "technology"
            raise InputError(f"{home if own is None or symbol == 'c_L' else where}.{symbol}: missing")
        return Quantity.of(default)

    def plain(symbol: str, default: object = None) -> object:
        value = None if own is None else getattr(own, symbol, None)
        return default if value is None else value

    limit = scrap = None
    if (None if own is None else own.scrap) is not None or base.scrap is not None:
        scrap = found("scrap")
    if (None if own is None else own.build_limit) is not None or base.build_limit is not None:
        limit = found("build_limit")
    degradation = found("degradation", 0.0)
    scale, eta = plain("scale", case.scale), found("eta")
    assert isinstance(scale, Scale)
    lead = int(plain("lead_time", case.horizon.lead_time))  # type: ignore[call-overload]
    kind = KindOfPlant(
        name=name,
        suffix=f"_{identifier(suffix)}" if suffix else "",
        eta=1.0 if scale.eta_curve is None else _steady(eta, case.horizon.T),
        capacity=Quantity.computed(lambda share: np.minimum(share, 1.0), found("availability", 1.0)) * eta,
        alpha=found("alpha"),
        beta=found("beta", 0.0),
        c_L=found("c_L"),
        c_dev=found("c_dev"),
        c_op=found("c_op"),
        degradation=degradation,
        build_limit=limit,
        scrap=scrap,
        M0=float((base.M0 if own is None else own.M0) or 0.0),
        lead_time=lead,
        lifetime=plain("lifetime", base.lifetime),  # type: ignore[arg-type]
        lot=plain("lot", case.launch.lot),  # type: ignore[arg-type]
        fixed_cost=float(plain("fixed_cost", 0.0)),  # type: ignore[arg-type]
        scale=scale,
        payment=None,
        priced_at_order=False,
    )
    said = plain("payment", case.payment)
    assert isinstance(said, PaymentTable)
    return replace(kind, payment=_shares(said, kind, where), priced_at_order=_priced_at_order(said, kind))


def _steady(eta: Quantity, T: int) -> float:
    """η where an output by size says what a kilogram makes."""
    if eta.random or np.ptp(eta.known(T)) > 0:
        raise InputError("scale.eta_curve: takes an eta that does not move; give one number")
    return float(eta.known(T)[0])


def _priced_at_order(payment: PaymentTable, kind: KindOfPlant) -> bool:
    """Whether a bill is at the prices of the year of order."""
    if payment.price == "arrival":
        return False
    if kind.has_random_price:
        raise InputError(
            'payment.price: "order" takes prices that are known beforehand: a cost may depend on the factors of the '
            'year of arrival alone; give price = "arrival" and when = "arrival"'
        )
    return True


def _shares(payment: PaymentTable, kind: KindOfPlant, where: str) -> tuple[float, ...] | None:
    """Shares of a bill from order to arrival, None where all is paid at arrival."""
    lead = kind.lead_time
    if payment.when == "arrival":
        return None
    if payment.when == "order":
        found: tuple[float, ...] = (1.0, *(0.0,) * lead)
    else:
        given = payment.shares
        if isinstance(given, Mapping):
            if kind.name not in given:
                raise InputError(f"payment.shares: lacks {kind.name!r}; give lead_time + 1 shares for each technology")
            given = given[kind.name]
        found = tuple(given or ())
        if len(found) != lead + 1 or abs(sum(found) - 1) > 1e-9:
            raise InputError(
                f"payment.shares: must be lead_time + 1 = {lead + 1} numbers >= 0 that sum to 1 for {where}, "
                f"got {list(found)}"
            )
    if found[-1] == 1:
        return None
    if kind.has_random_price:
        raise InputError(
            "payment.when: a bill whose price is a factor is known at arrival and is paid then; "
            f'give when = "arrival", got {payment.when!r}'
        )
    return found
