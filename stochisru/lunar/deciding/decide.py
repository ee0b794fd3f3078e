"""What to order this year, from a history of demand; the rule after it; what other orders lose; what turns it.

What is lost by ordering another amount is a difference of two optima on the same ground: of the best orders, and of the
best orders of all else where this one is held. Where the problem is linear it is convex in what is held. Demand is what
the history ends with; had it been another, the belief would be another too, and parameters as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scenario_trees.arrays import Array
from stochisru.errors import InputError
from stochisru.files import plainly
from stochisru.lunar.calibration.series import ObservedSeries
from stochisru.lunar.case import DeploymentCase, require_case
from stochisru.lunar.deciding.belief import Belief, History, Informed, read_history
from stochisru.lunar.deciding.orders import PASSES, FirstOrders, Placed, first_orders
from stochisru.lunar.deciding.standing import OrderOf, Pipeline, Plant, by_technology, ordered, placed
from stochisru.lunar.deciding.words import amount, listed, money, money_digits
from stochisru.lunar.tables.case import GeneralCase, is_general
from stochisru.methods.result import versions
from stochisru.shown import Shown

if TYPE_CHECKING:
    import pandas as pd

#: This year's demand less and more than it is, for how much the order leans on it.
CHANGES = (-0.2, -0.1, 0.1, 0.2)
#: Passes of SDDP for other demands.
_FEWER = 4
#: Shares of this year's demand down and multiples up to which its turns are looked for.
_DOWN, _UP = (0.5, 0.25, 0.125, 0.0625), (2.0, 4.0, 8.0, 16.0)
#: Halvings up to which a ground is slow: turns are then looked for nearby alone.
_SLOW = 5
#: Orders below this share of the plant that would serve demand are none.
_NOTHING = 1e-6


@dataclass(frozen=True)
class Regret:
    """What is lost by ordering ``kg`` instead of the best of one order, all else decided again; $ of expected NPV."""

    order: OrderOf
    kg: float
    lost: float


@dataclass(frozen=True)
class Turn:
    """A demand of this year at which the order changes.

    Attributes
    ----------
    demand
        kg/yr.
    meaning
        What happens there, as ``below it nothing is ordered``.
    """

    demand: float
    meaning: str


@dataclass(frozen=True, eq=False, repr=False)
class Advice(Shown):
    """What to order this year.

    Attributes
    ----------
    case
        The case in the year of the decision: demand, belief and plant are those of it.
    history
        The series of demand.
    arriving
        Plant on its way, kg by technology and year of arrival.
    best
        The orders, and what they are worth.
    nothing
        What is lost by ordering nothing this year, $; NaN where there is no such plan.
    regret
        What is lost by other amounts of each order.
    leaning
        Orders if this year's demand were another, by the share by which it is.
    turns, searched
        Demands of this year at which the order changes, and between which shares of what it is they were looked for.
    rule, positions
        What to do after this year; k_t by year of order, kg of plant per kg/yr of demand, where there is such a rule.
    method, of
        How the orders are found, and what stands for the future.
    error
        How far worth may be off beside that, $: what is lost is known no better.
    """

    case: DeploymentCase | GeneralCase
    history: ObservedSeries
    belief: Belief
    arriving: Mapping[str, Array]
    best: Placed
    nothing: float
    regret: tuple[Regret, ...]
    leaning: Mapping[float, Mapping[OrderOf, float]]
    turns: tuple[Turn, ...]
    searched: tuple[float, float]
    rule: str
    positions: Mapping[int, float]
    method: str
    of: str
    error: float

    @property
    def demand(self) -> float:
        """Demand of this year, kg/yr."""
        return float(self.case.demand.D0)

    @property
    def order(self) -> dict[str, Any]:
        """The orders, kg: dM0, dM1, …; of several technologies a table of each by name."""
        return by_technology(self.case, self.best.orders)

    @property
    def has_factors(self) -> bool:
        """Whether something beside demand is uncertain."""
        return is_general(self.case) and bool(self.case.factors)

    def when(self, year: int) -> str:
        """A year of the decision in words: ``year 1``, with that of the calendar where the history has whole years."""
        label = self.history.labels[-1]
        ahead = year * (self.case.horizon.step if is_general(self.case) else 1.0)
        if not self.history.by_calendar or not label.isdigit() or ahead != int(ahead):
            return f"year {year}"
        return f"{int(label) + int(ahead)} (year {year})"

    def __repr__(self) -> str:
        return f"Advice({self.case.name}: {self.sentence})"

    @property
    def sentence(self) -> str:
        """What to order this year, in one sentence."""
        placed = [(order, kg) for order, kg in self.best.orders.items() if kg > self.small]
        if not placed:
            from_it = [turn.demand for turn in self.turns]
            if not from_it:
                return f"Order nothing this year; up to {self.searched[1]:g} times its demand none pays."
            return f"Order nothing this year; from a demand of {amount(from_it[0])} kg/yr on an order pays."
        words = [f"{amount(kg)} kg {_of(order)}to arrive in {self.when(order.arrival)}" for order, kg in placed]
        if self.nothing != self.nothing:
            return f"Order {listed(words)}; with nothing ordered this year no plan keeps all that the case asks for."
        return f"Order {listed(words)}; ordering nothing this year loses $ {money(self.nothing)} million."

    @property
    def small(self) -> float:
        """Mass below which an order is none, kg."""
        return _NOTHING * max(self.best.total, 1.0)

    @property
    def worth(self) -> str:
        """What the plan is worth, of what and how sure, in one sentence."""
        measure = self.case.measure if is_general(self.case) else "expected NPV"
        sure = f"; losses are known to $ {money(self.error)} million" if self.error >= 1.0 else ""
        if self.error != self.error:
            sure = "; an upper bound, and losses are estimates of its cuts"
        return (
            f"worth $ {money(self.best.worth)} million of {measure} over {self.case.horizon.T} years "
            f"(of the {self.of}; {self.method}{sure})"
        )

    def money_digits(self, order: OrderOf) -> int:
        """Digits of $ million after the point at which losses by an order are said: no more than are known."""
        return money_digits([row.lost for row in self.regret_of(order)], self.error)

    def regret_of(self, order: OrderOf) -> list[Regret]:
        """What is lost by amounts of one order, ascending."""
        return [row for row in self.regret if row.order == order]

    def leaning_table(self) -> pd.DataFrame:
        """Orders by this year's demand: ``demand`` (kg/yr), ``change`` in words, and a column of kg for each order."""
        import pandas as pd

        rows = []
        for change, orders in sorted({**self.leaning, 0.0: self.best.orders}.items()):
            told = "as it is" if change == 0 else f"{change:+.0%}"
            kg = {order.name: orders.get(order, float("nan")) for order in self.best.orders}
            rows.append({"demand": self.demand * (1 + change), "change": told, **kg})
        return pd.DataFrame(rows)

    @property
    def turning_lines(self) -> list[str]:
        """Which demand would change the order, a line each."""
        if self.turns:
            return [f"at a demand of {amount(turn.demand)} kg/yr: {turn.meaning}" for turn in self.turns]
        if self.best.total > self.small:
            return [f"even at 1/{1 / self.searched[0]:g} of this year's demand something is ordered"]
        return [f"up to {self.searched[1]:g} times this year's demand nothing is ordered"]

    def to_frame(self) -> pd.DataFrame:
        """One row per amount of each order: ``technology``, ``order``, ``arrival``, ``kg`` and ``regret`` ($)."""
        import pandas as pd

        return pd.DataFrame(self._regret_rows())

    def _regret_rows(self) -> list[dict[str, Any]]:
        rows = []
        for each in self.regret:
            of = {"technology": each.order.technology} if each.order.technology else {}
            where = {"order": f"dM{each.order.arrival}", "arrival": each.order.arrival}
            rows.append({**of, **where, "kg": each.kg, "regret": each.lost})
        return rows

    @plainly
    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: the keys of ``docs/cli.md``."""
        case = self.case
        now = {"demand": self.demand, "change": 0.0, "order": self.order}
        others = [
            {"demand": self.demand * (1 + change), "change": change, "order": by_technology(case, orders)}
            for change, orders in self.leaning.items()
        ]
        return {
            "case": case.name,
            "horizon": case.horizon.T,
            "year": self.history.labels[-1],
            "order": self.order,
            "rule": self.rule,
            "rule_by_year": [{"year": t, "k": k} for t, k in self.positions.items()],
            "belief": {**self.belief.to_dict(), "demand": self.demand},
            "regret": self._regret_rows(),
            "nothing": self.nothing,
            "worth": self.best.worth,
            "unit": "$",
            "demand": {
                "now": self.demand,
                "orders": sorted([now, *others], key=lambda row: row["change"]),
                "turns": [{"demand": turn.demand, "meaning": turn.meaning} for turn in self.turns],
            },
            "plant": _plant(case),
            "pipeline": {name: kg for name, kg in self.arriving.items() if kg.any()},
            "method": self.method,
            "error": self.error,
            "of": self.of,
            "versions": versions(),
        }


def _of(order: OrderOf) -> str:
    return f"of {order.technology} " if order.technology else ""


def _plant(case: DeploymentCase | GeneralCase) -> Any:
    from stochisru.lunar.tables.plants import plants

    if not is_general(case):
        return case.technology.M0
    kinds = plants(case)
    return kinds[0].M0 if len(kinds) == 1 else {kind.name: kind.M0 for kind in kinds}


def decide(
    case: DeploymentCase | GeneralCase,
    history: History,
    *,
    plant: Plant | None = None,
    pipeline: Pipeline | None = None,
    calibrate: bool = False,
    progress: Callable[[str], None] | None = None,
) -> Advice:
    """Decide this year's order from a history of demand.

    Parameters
    ----------
    history
        Demand by year, kg/yr: a CSV file as `stochisru.lunar.calibration.read_series` reads it, a pandas Series or a
        table by year, or yearly values. The last one is demand of year 0; T stays the case's number of years ahead.
    plant
        Plant in place, kg, or a table by technology; the case's M0 if not given.
    pipeline
        Plant that is ordered already, kg by year of arrival counted from this one, 0 to min(L, T), or such a table of
        each technology; none if not given.
    calibrate
        Take parameters that the case's kind of process has on the history, instead of the case's.
    progress
        Called with the name of each step.

    Returns
    -------
    Advice
        The order, the rule after it, the belief, and what other orders lose.

    Raises
    ------
    InputError
        If the history, an amount or the case cannot be used; the message names it.

    Examples
    --------
    >>> from stochisru import decide, load_case
    >>> case = load_case("lunar-reference")
    >>> advice = decide(case, {2022: 820.0, 2023: 905.0, 2025: 1000.0}, plant=100.0)
    >>> {name: round(kg, 1) for name, kg in advice.order.items()}
    {'dM0': 39.4, 'dM1': 124.9}
    """
    if not is_general(case):
        require_case(case)
    say = progress or (lambda _: None)
    say("reading the history")
    series = read_history(history, calibrated=calibrate)
    informed = Informed.of(placed(case, plant), series, calibrate)
    arriving = ordered(case, pipeline)

    def at(demand: float, passes: int = PASSES) -> tuple[DeploymentCase | GeneralCase, Belief, FirstOrders]:
        now, belief = informed.at(demand)
        return now, belief, first_orders(now, arriving, passes)

    now, belief, ground = at(informed.demand)
    if not ground.places:
        raise InputError(
            "initial_deployment: nothing can be ordered this year, as lead_time or T is 0 and the case fixes dM0 = 0"
        )
    say("this year's order")
    best = ground.best()
    if best is None:
        raise InputError(f"case: {now.name} has no plan at all from this year on; its rows contradict each other")
    say("what other orders lose")
    best, nothing, regret = _regret(now, ground, best)

    def orders(share: float) -> Mapping[OrderOf, float]:
        say(f"the order at {share:.4g} times this year's demand")
        found = at(informed.demand * share, _FEWER)[2].best()
        return {} if found is None else found.orders

    far = len(_DOWN) if ground.steps > _SLOW else 1
    away = (0.9, 0.8, *_DOWN[:far]), (1.1, 1.2, *_UP[:far])
    leaning, turns = _turning(informed.demand, ground, best, orders, away)
    return Advice(
        case=now,
        history=series,
        belief=belief,
        arriving=arriving,
        best=best,
        nothing=nothing,
        regret=regret,
        leaning=leaning,
        turns=turns,
        searched=(away[0][-1], away[1][-1]),
        rule=ground.rule,
        positions=ground.positions,
        method=ground.method,
        of=ground.of.value,
        error=ground.error,
    )


def _regret(
    case: DeploymentCase | GeneralCase, ground: FirstOrders, best: Placed
) -> tuple[Placed, float, tuple[Regret, ...]]:
    """The best orders, what is lost by none, and by other amounts of each.

    An order that is held may lead a solver with a gap to better ones than it found before: these are the best then.
    """
    tried: list[tuple[OrderOf, float, Placed]] = []
    for order in ground.places:
        for kg in amounts(case, order, best.orders[order], ground.points):
            held = ground.best({order: kg})
            if held is not None:
                tried.append((order, kg, held))
    none = ground.best(dict.fromkeys(ground.places, 0.0))
    top = max([best, *(held for *_, held in tried)], key=lambda found: found.worth)
    if top.worth <= best.worth + 1e-9 * abs(best.worth):
        top = best
    rows = [Regret(order, kg, max(0.0, top.worth - held.worth)) for order, kg, held in tried]
    for order in ground.places:  # the order itself loses nothing, whatever rounding says
        rows = [row for row in rows if row.order != order or not np.isclose(row.kg, top.orders[order], rtol=1e-9)]
        rows.append(Regret(order, top.orders[order], 0.0))
    rows.sort(key=lambda row: (ground.places.index(row.order), row.kg))
    lost = float("nan") if none is None else max(0.0, top.worth - none.worth)
    return top, lost, tuple(rows)


def amounts(case: DeploymentCase | GeneralCase, order: OrderOf, best: float, points: int) -> list[float]:
    """Amounts of an order that are held: from none to twice the best, or to what serves this year's demand."""
    most = 2 * best if best > 0 else case.demand.D0 / _eta(case, order)
    if order.lot is None:
        return sorted({*np.linspace(0.0, most, points).tolist(), best})
    lots, mine = int(np.ceil(most / order.lot)), round(best / order.lot)
    stride = max(1, -(-lots // (points - 1)))
    near = {mine - 1, mine, mine + 1}
    return [float(n * order.lot) for n in sorted({*range(0, lots + 1, stride), *near}) if n >= 0]


def _eta(case: DeploymentCase | GeneralCase, order: OrderOf) -> float:
    """Oxygen per year and kilogram of plant in year 0, as far as it is known."""
    from stochisru.lunar.tables.plants import plants

    if not is_general(case):
        return case.technology.eta
    kind = next(kind for kind in plants(case) if kind.name == order.technology or not order.technology)
    known = 0.0 if kind.capacity.random else float(kind.capacity.known(case.horizon.T)[0])
    return known if known > 0 else 1.0


def _turning(
    demand: float,
    ground: FirstOrders,
    best: Placed,
    orders: Callable[[float], Mapping[OrderOf, float]],
    away: tuple[tuple[float, ...], tuple[float, ...]],
) -> tuple[dict[float, Mapping[OrderOf, float]], tuple[Turn, ...]]:
    """Orders at demands nearby, and the demands at which the order becomes nothing, starts, or moves by a lot."""
    leaning = {change: orders(1 + change) for change in CHANGES}
    totals = {1 + change: sum(found.values()) for change, found in leaning.items()} | {1.0: best.total}
    least = _NOTHING * max(best.total, 1.0)

    def total(share: float) -> float:
        if share not in totals:
            totals[share] = sum(orders(share).values())
        return totals[share]

    def between(same: float, other: float, holds: Callable[[float], bool]) -> float:
        """Share of demand at which ``holds`` ends, which it does between ``same`` and ``other``."""
        for _ in range(ground.steps):
            middle = 0.5 * (same + other)
            same, other = (middle, other) if holds(total(middle)) else (same, middle)
        return 0.5 * (same + other)

    def turn(away: tuple[float, ...], holds: Callable[[float], bool]) -> float | None:
        near = 1.0
        for share in away:
            if not holds(total(share)):
                return between(near, share, holds)
            near = share
        return None

    down, up = away
    found: list[Turn] = []

    def add(share: float | None, meaning: str) -> None:
        if share is not None:
            found.append(Turn(demand * share, meaning))

    if best.total <= least:
        add(turn(up, lambda kg: kg <= least), "from it on something is ordered")
        return leaning, tuple(found)
    add(turn(down, lambda kg: kg > least), "below it nothing is ordered")
    if any(order.lot is not None for order in ground.places):
        half = 0.5 * min(order.lot for order in ground.places if order.lot is not None)
        add(turn(down, lambda kg: kg > best.total - half), "below it less is ordered")
        add(turn(up, lambda kg: kg < best.total + half), "from it on more is ordered")
    return leaning, tuple(found)
