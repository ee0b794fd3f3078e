"""Tiers of demand of a general case: what each wants, and what it pays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scenario_trees.arrays import Array
from scenario_trees.lattice import MarkovLattice
from scenario_trees.tree import ScenarioTree
from stochisru.errors import InputError
from stochisru.lunar.tables.parts import CustomerTable
from stochisru.lunar.tables.plants import Symbols
from stochisru.lunar.tables.quantity import Quantity
from stochisru.problem.coefficients import Coefficient, Factor, Factors

if TYPE_CHECKING:
    from stochisru.lunar.tables.case import GeneralCase


@dataclass(frozen=True)
class Tier:
    """A tier of demand.

    Attributes
    ----------
    suffix
        Ends the names of its parts; nothing where there is one tier.
    wanted
        kg/yr by stage and factors.
    stated
        The same as a coefficient: in proportion to demand, or known beforehand, where it is.
    price, shortage
        $ per kg delivered, and per kg that is not.
    earth
        Whether Earth may serve it.
    """

    suffix: str
    wanted: Callable[[int, Factors], Array]
    stated: Coefficient
    price: Quantity
    shortage: Quantity
    earth: bool


def tiers(case: GeneralCase) -> list[Tier]:
    """The tiers of a case in the order of its file; one that wants all demand where it names none.

    Raises
    ------
    InputError
        If shares exceed 1 together, or a price is missing.
    """
    symbols = Symbols(case)
    price, shortage = symbols.get("P_m"), _needed(symbols, "c_bu")
    if not case.customers:
        if price is None:
            raise InputError("economics.P_m: missing")
        return [Tier("", lambda t, factors: factors["demand"], Factor("demand"), price, shortage, True)]
    found: list[Tier] = []
    last = case.horizon.T
    shares = np.zeros(last + 1)
    above: list[Callable[[int, Factors], Array]] = []
    for i, customer in enumerate(case.customers):
        own = None if customer.price is None else symbols.series(customer.price)
        if own is None and price is None:
            raise InputError(f"customers.{i}.price: missing, and economics.P_m is as well")
        if customer.c_bu is not None:
            penalty = symbols.series(customer.c_bu)
        else:
            penalty = Quantity.of(0.0) if customer.firm else shortage
        wanted = _wanted(customer, symbols, tuple(above), last)
        if not customer.firm:
            above.append(wanted)
        if customer.share is not None:
            years = range(customer.first, (last if customer.last is None else customer.last) + 1)
            shares[years] += symbols.series(customer.share).known(last)[years]
        suffix = "" if len(case.customers) == 1 else f"_{i + 1}"
        stated = _stated(customer, symbols, wanted, last)
        found.append(Tier(suffix, wanted, stated, own or price, penalty, customer.earth))  # type: ignore[arg-type]
    if shares.max() > 1 + 1e-9:
        raise InputError(f"customers: shares must sum to at most 1, got {shares.max():g} in year {shares.argmax()}")
    return found


def _needed(symbols: Symbols, symbol: str) -> Quantity:
    found = symbols.get(symbol)
    if found is None:
        raise InputError(f"costs.{symbol}: missing")
    return found


def _wanted(
    customer: CustomerTable, symbols: Symbols, above: tuple[Callable[[int, Factors], Array], ...], T: int
) -> Callable[[int, Factors], Array]:
    """What a tier wants: a share of demand, a quantity of what the tiers above leave, or a firm quantity."""
    last = T if customer.last is None else customer.last
    size = symbols.series(customer.share if customer.share is not None else customer.quantity)  # type: ignore[arg-type]
    numbers = size.known(T)

    def wanted(t: int, factors: Factors) -> Array:
        demand = np.asarray(factors["demand"], dtype=float)
        if not customer.first <= t <= last:
            return np.zeros_like(demand)
        if customer.share is not None:
            return np.asarray(numbers[t] * demand)
        if customer.firm:
            return np.full_like(demand, numbers[t])
        left = demand - sum((tier(t, factors) for tier in above), start=np.zeros_like(demand))
        return np.asarray(np.clip(left, 0.0, numbers[t]))

    return wanted


def _stated(customer: CustomerTable, symbols: Symbols, wanted: Callable[[int, Factors], Array], T: int) -> Coefficient:
    """What a tier wants as a coefficient: a share of demand by year, firm quantities by year, or the function."""
    if customer.quantity is not None and not customer.firm:
        return wanted
    size = symbols.series(customer.share if customer.share is not None else customer.quantity)  # type: ignore[arg-type]
    years, last = np.arange(T + 1), T if customer.last is None else customer.last
    numbers = np.where((years >= customer.first) & (years <= last), size.known(T), 0.0)
    return Factor("demand", numbers) if customer.share is not None else tuple(numbers.tolist())


def all_wanted(case: GeneralCase) -> Callable[[int, Factors], Array]:
    """What all tiers want and a government buys at most, kg/yr by stage and factors."""
    wanting = [tier.wanted for tier in tiers(case)]
    purchase = case.support.purchase
    bought = None if purchase is None else Symbols(case).series(purchase.quantity)

    def wanted(t: int, factors: Factors) -> Array:
        total = sum((tier(t, factors) for tier in wanting), start=np.zeros(np.shape(factors["demand"])))
        return np.asarray(total if bought is None else total + bought.at(t, factors))

    return wanted


def highest_wanted(case: GeneralCase, ground: ScenarioTree | MarkovLattice | Array) -> list[float]:
    """The most that all customers want in each year, anywhere on a tree, a lattice or paths, shape ``(T + 1,)``.

    Paths have shape ``(paths, T + 1)``, with further factors ``(paths, T + 1, factors)``.
    """
    wanted = all_wanted(case)
    if isinstance(ground, MarkovLattice):
        values = list(ground.values)
    elif isinstance(ground, ScenarioTree):
        values = [ground.value[ground.at(t)] for t in range(ground.horizon + 1)]
    else:  # of several factors demand is the first
        values = list(np.reshape(ground, (*np.shape(ground)[:2], -1))[:, :, 0].T)
    return [float(np.max(wanted(t, {"demand": demand}))) for t, demand in enumerate(values[: case.horizon.T + 1])]
