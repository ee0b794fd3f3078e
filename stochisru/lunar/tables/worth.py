"""What plant is worth when it is of use no more: its scrap, at the end or before, or some years of its last margin."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from scenario_trees.arrays import Array
from stochisru.errors import InputError
from stochisru.lunar.tables.customers import Tier
from stochisru.lunar.tables.plants import KindOfPlant, Symbols
from stochisru.lunar.tables.quantity import Quantity
from stochisru.problem.coefficients import Factors

if TYPE_CHECKING:
    from stochisru.lunar.tables.case import GeneralCase


def scrapped(case: GeneralCase, kind: KindOfPlant, bill: Quantity, keep: Sequence[float]) -> Quantity:
    """Scrap that a kilogram is worth: held in year T; of plant with a lifetime, of what arrives in each year.

    Parameters
    ----------
    bill
        What the firm pays for a kilogram, $.
    keep
        Share of plant left from one stage to the next, shape ``(T + 1,)``.

    Raises
    ------
    InputError
        If a price is not known beforehand, cost depends on size, or buying to scrap would pay.
    """
    T, share = case.horizon.T, None if case.terminal is None else case.terminal.salvage
    if share is None:
        return Quantity.of(0.0)
    new = kind.c_L * kind.alpha + kind.c_dev
    if new.random or bill.random or kind.c_op.random:
        raise InputError("terminal.salvage: takes prices that are known beforehand, no factors")
    if kind.has_scale:
        raise InputError("terminal.salvage: takes costs in proportion to size; leave scale out")
    value = share * float(new.known(T)[T])
    left = np.array([np.prod(keep[t + 1 :]) for t in range(T + 1)])
    discount = (1 + case.economics.r) ** (-case.horizon.step * np.arange(T + 1.0))
    if kind.lifetime is not None:
        used = np.minimum(T + 1 - np.arange(T + 1), kind.lifetime)
        left = left * (1 - used / kind.lifetime)
    _require_dear(case, kind, bill, value * left * discount[T], discount, "terminal.salvage")
    if kind.lifetime is None:
        return Quantity.of(np.where(np.arange(T + 1) == T, value, 0.0))
    return Quantity.of(value * left * discount[T] / discount)


def abandoned(case: GeneralCase, kind: KindOfPlant, bill: Quantity, keep: Sequence[float]) -> Quantity | None:
    """What a kilogram brings that is taken out of service in a year, $ of that year; None where plant stays.

    Parameters
    ----------
    bill, keep
        As of `scrapped`.

    Raises
    ------
    InputError
        If a price is not known beforehand, cost depends on size, plant has a lifetime, or buying to scrap would pay.
    """
    if kind.scrap is None:
        return None
    T, new = case.horizon.T, kind.c_L * kind.alpha + kind.c_dev
    if new.random or bill.random:
        raise InputError("technology.scrap: takes prices that are known beforehand, no factors")
    if kind.has_scale:
        raise InputError("technology.scrap: takes costs in proportion to size; leave scale out")
    if kind.lifetime is not None:
        raise InputError("technology.scrap: takes plant without a lifetime, whose age is not told apart")
    price = kind.scrap * new
    discount = (1 + case.economics.r) ** (-case.horizon.step * np.arange(T + 1.0))
    best = discount * price.known(T)  # of what arrives in a year, scrapped in the best one
    for t in range(T - 1, -1, -1):
        best[t] = max(best[t], keep[t + 1] * best[t + 1])
    _require_dear(case, kind, bill, best, discount, "technology.scrap")
    return price


def _require_dear(
    case: GeneralCase, kind: KindOfPlant, bill: Quantity, scrap: Array, discount: Array, key: str
) -> None:
    """Refuse scrap for which plant would be bought though it served nobody."""
    T = case.horizon.T
    shares = kind.payment or (1.0,)
    paid = [
        sum(share * discount[max(t - (len(shares) - 1) + j, 0)] for j, share in enumerate(shares)) for t in range(T + 1)
    ]
    cost = bill.known(T) * np.array(paid)
    first = 1 if case.horizon.initial_deployment == "fixed" else 0
    worse = first + np.flatnonzero((scrap > cost * (1 + 1e-12))[first:])
    if worse.size:
        raise InputError(
            f"{key}: buying plant to scrap it would pay in year {worse[0]}: a kilogram costs "
            f"{cost[worse[0]]:,.0f} $ and brings {scrap[worse[0]]:,.0f} $, both of year 0"
        )


def idle_worth(
    case: GeneralCase, tiers: Sequence[Tier], c_E: Quantity, symbols: Symbols
) -> Callable[[int, Factors], Array] | None:
    """What is taken off the terminal margin, by factors: the last year's flows without plant, times the margin's years.

    Earth serves the tiers in the order of what that is worth, up to its limit; None where there is no margin.
    """
    margin = None if case.terminal is None else case.terminal.margin_years
    if margin is None:
        return None
    limit, T = symbols.get("earth_limit"), case.horizon.T

    def worth(t: int, factors: Factors) -> Array:
        if t != T:
            return np.zeros(np.shape(factors["demand"]))
        wanted = np.array([tier.wanted(t, factors) for tier in tiers])
        penalty = np.array([np.broadcast_to(tier.shortage.at(t, factors), wanted.shape[1:]) for tier in tiers])
        gain = np.array(
            [
                (tier.price.at(t, factors) if case.economics.earth_sold else 0.0)
                - c_E.at(t, factors)
                + tier.shortage.at(t, factors)
                + np.zeros(wanted.shape[1:])
                if tier.earth
                else np.full(wanted.shape[1:], -np.inf)
                for tier in tiers
            ]
        )
        order = np.argsort(-gain, axis=0, kind="stable")
        asked = np.take_along_axis(np.where(gain > 0, wanted, 0.0), order, axis=0)
        room = np.inf if limit is None else limit.at(t, factors)
        before = np.cumsum(asked, axis=0) - asked
        flown = np.clip(room - before, 0.0, asked)
        best = np.take_along_axis(np.where(gain > 0, gain, 0.0), order, axis=0)
        return -margin * np.asarray((best * flown).sum(axis=0) - (penalty * wanted).sum(axis=0))

    return worth
