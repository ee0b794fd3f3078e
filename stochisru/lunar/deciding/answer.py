"""What stands around the order of a run: what other orders lose, the rule of later years, what would change it.

All of it is of one ground, see `stochisru.lunar.deciding.orders`: the exact policy where there is one, else a lattice,
cuts or a small tree. The order of the run may be of another ground; what it loses here is then told as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import brentq

from stochisru.errors import BoundsError, InfeasibleError, InputError, SolverError
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.deciding.orders import FirstOrders, first_orders
from stochisru.lunar.deciding.programs import OnPrograms
from stochisru.lunar.deciding.standing import OrderOf, ordered
from stochisru.lunar.exact import by_year, threshold
from stochisru.lunar.exact.root_plan import RootProblem
from stochisru.lunar.exact.threshold_recursion import Rule
from stochisru.lunar.solving import has_exact_policy
from stochisru.lunar.studies.values import moved
from stochisru.lunar.tables.case import GeneralCase, general_case, is_general
from stochisru.lunar.tables.plants import Symbols, plants

if TYPE_CHECKING:
    import pandas as pd

#: Quadrature of changed cases: far more are solved than the case itself, and three digits of them are shown.
_QUICK = Rule(6, 1.5)
#: Shares of an order that are held; of each that is nothing, shares of what serves this year's demand.
_SHARES = (0.0, 0.5, 0.8, 1.0, 1.2, 1.5, 2.0)
#: The same where each takes its time.
_FEW = (0.0, 0.5, 1.0, 1.5)
#: Symbols that are changed, the others stay; what is derived from them moves along.
SYMBOLS = {
    "P_m": ("price of oxygen", "$/kg"),
    "c_L": ("price of launch", "$/kg"),
    "c_dev": ("cost of plant", "$/kg"),
    "eta": ("oxygen per kilogram of plant", "kg a year"),
    "mu": ("growth of demand", "a year"),
    "sigma": ("volatility of demand", "a year"),
    "r": ("discount rate", "a year"),
}
#: By how much, as shares of their values.
CHANGE = 0.2
#: Axes of the map of cases with an exact policy, and its points as multiples of their values.
_AXES = ("P_m", "c_L")
_MULTIPLES = ((0.25, 0.5, 1.0, 2.0), (0.5, 1.0, 2.0))
#: Share of itself to which a price that breaks even is found, and how far down and up it is looked for.
_CLOSE, _REACH = 1e-2, (0.05, 20.0)
#: Share of the plan's worth that is as good as nothing: where building nothing costs nothing, no plan is worth less.
_WORTHLESS = 1e-4


@dataclass(frozen=True, eq=False)
class RunAnswer:
    """Tables around the order of a run.

    Attributes
    ----------
    orders
        The orders of the run, kg.
    ground
        What stands for the future, and where orders are held.
    """

    case: DeploymentCase | GeneralCase
    orders: Mapping[OrderOf, float]
    ground: FirstOrders

    @cached_property
    def _quick(self) -> bool:
        return self.ground.method == "exact policy"

    @cached_property
    def _top(self) -> float:
        best = self.ground.best()
        if best is None:
            raise InputError("no plan keeps all that the case asks for")
        return best.worth

    def _lost(self, held: Mapping[OrderOf, float]) -> float:
        found = self.ground.best(held)
        return float("nan") if found is None else max(0.0, self._top - found.worth)

    def regret(self) -> pd.DataFrame:
        """What amounts of each order lose, the others of this year as they are and all later ones decided again.

        Returns
        -------
        pandas.DataFrame
            ``order``, ``technology``, ``arrival``, ``kg``, ``regret`` ($; NaN where there is no such plan), ``lot``,
            and ``best``: whether it is the order of the run.
        """
        import pandas as pd

        rows: list[dict[str, Any]] = []
        for order, chosen in self.orders.items():
            head = {"order": order.name, "technology": order.technology, "arrival": order.arrival}
            for kg in _amounts(self.case, order, chosen, _SHARES if self._quick else _FEW):
                row = {"kg": kg, "regret": self._lost({**self.orders, order: kg}), "lot": order.lot is not None}
                rows.append({**head, **row, "best": kg == chosen})
        frame = pd.DataFrame(rows)
        # A solver with a gap may find better where an order is held: that is the best then.
        least = frame["regret"].min() if len(frame) else 0.0
        small = 1e-9 * abs(self._top)
        frame["regret"] = (frame["regret"] - (least if least > small else 0.0)).where(frame["regret"] > small, 0.0)
        return frame

    def nothing(self) -> float:
        """What is lost by ordering nothing this year, $; NaN where there is no such plan."""
        return self._lost(dict.fromkeys(self.orders, 0.0))

    def rule(self) -> pd.DataFrame:
        """k_t by year of order, kg of plant per kg/yr: ``year``, ``arrival``, ``k``; empty without such a rule."""
        import pandas as pd

        lead = max((order.arrival for order in self.orders), default=0)
        rows = [{"year": t, "arrival": t + lead, "k": k} for t, k in self.ground.positions.items()]
        return pd.DataFrame(rows, columns=["year", "arrival", "k"])

    def projected(self) -> float | None:
        """Plant in the year in which the next year's order arrives, without it, kg; None of several technologies."""
        if any(order.technology for order in self.orders):
            return None
        T, lead = self.case.horizon.T, max((order.arrival for order in self.orders), default=0)
        if is_general(self.case):
            (kind,) = plants(self.case)
            there, keep = kind.M0, np.array(kind.keep(T, self.case.horizon.step))
        else:
            there, keep = self.case.technology.M0, np.full(T + 1, 1 - self.case.technology.degradation)
        placed = {order.arrival: kg for order, kg in self.orders.items()}
        for year in range(min(lead + 1, T) + 1):
            there = there * (float(keep[year]) if year else 1.0) + placed.get(year, 0.0)
        return float(there)

    def changes(self) -> pd.DataFrame:
        """The optimum where one symbol is another; empty where each would be solved anew by programs.

        Returns
        -------
        pandas.DataFrame
            ``symbol``, ``meaning``, ``unit``, ``change`` (a share), ``value``, ``moves`` (derived symbols that move
            along), ``worth`` ($) and orders by name (kg); the first row is the case as it is.
        """
        import pandas as pd

        if isinstance(self.ground, OnPrograms):
            return pd.DataFrame()
        told = {"symbol": "", "meaning": "as it is", "unit": "", "change": 0.0, "value": np.nan, "moves": ""}
        rows: list[dict[str, Any]] = [{**told, **_optimum(self.case)}]
        for symbol, (meaning, unit) in SYMBOLS.items():
            for change in (-CHANGE, CHANGE):
                try:
                    here = _scaled(self.case, symbol, 1 + change)
                    if here is None:
                        continue
                    found = _optimum(here)
                except (InputError, InfeasibleError, BoundsError, SolverError):
                    continue  # a value that the symbol may not have, or a case without a plan
                value = _number_of(here, symbol)
                moves = _moved(self.case, here, symbol)
                head = {"symbol": symbol, "meaning": meaning, "unit": unit, "change": change, "value": value}
                rows.append({**head, "moves": moves, **found})
        return pd.DataFrame(rows)

    def _at_prices(self, price: float, launch: float) -> float:
        """RP at multiples of the prices of oxygen and launch, $; what is derived from them stays as it is."""
        if is_general(self.case):
            scaled = _scaled(_still(self.case), _AXES[0], price)
            scaled = None if scaled is None else _scaled(scaled, _AXES[1], launch)
            assert scaled is not None
            return _optimum(scaled)["worth"]
        held = {name: self.case.values[name] for name in self.case.derivation}
        x, y = self._prices
        return _optimum(self.case.replace(**{**held, _AXES[0]: price * x, _AXES[1]: launch * y}))["worth"]

    @property
    def _has_prices(self) -> bool:
        return self._quick and all(_scaled(self.case, name, 1.0) is not None for name in _AXES)

    @property
    def _prices(self) -> tuple[float, float]:
        """Prices of oxygen and launch, $/kg; 1 where they may move by year or by customer."""
        if is_general(self.case):
            return 1.0, 1.0
        x, y = (float(_number_of(self.case, name) or 0.0) for name in _AXES)
        return x, y

    def grid(self) -> pd.DataFrame:
        """RP over the prices of oxygen and launch, all else as it is: ``x``, ``y`` and ``value`` ($).

        Prices are in $/kg, and multiples of the case's in cases with tables, where they may move. Empty for cases
        without an exact policy, for which it takes long.
        """
        import pandas as pd

        if not self._has_prices:
            return pd.DataFrame(columns=["x", "y", "value"])
        x, y = self._prices
        points = [(a, b) for b in _MULTIPLES[1] for a in _MULTIPLES[0]]
        return pd.DataFrame([{"x": a * x, "y": b * y, "value": self._at_prices(a, b)} for a, b in points])

    def break_even(self, launch: float = 1.0) -> float | None:
        """Multiple of the price of oxygen at which the plan is worth nothing, all else as it is.

        Parameters
        ----------
        launch
            Multiple of the price of launch.

        Returns
        -------
        float or None
            None where there is none near, or the case has no exact policy.
        """
        if not self._has_prices:
            return None
        level = _WORTHLESS * abs(self._top)

        def worth(multiple: float) -> float:
            return self._at_prices(multiple, launch) - level

        near, value = 1.0, worth(1.0)
        factor = 0.5 if value > 0 else 2.0
        while _REACH[0] <= (far := near * factor) <= _REACH[1]:
            if worth(far) * value <= 0:
                low, high = sorted((near, far))
                return float(brentq(worth, low, high, xtol=_CLOSE * low, rtol=_CLOSE))
            near = far
        return None

    def break_even_line(self) -> pd.DataFrame:
        """Prices of oxygen and launch, as in `grid`, at which the plan is worth nothing: ``x`` and ``y``."""
        import pandas as pd

        x, y = self._prices if self._has_prices else (1.0, 1.0)
        found = {launch: self.break_even(launch) for launch in _MULTIPLES[1]}
        rows = [{"x": price * x, "y": launch * y} for launch, price in found.items() if price is not None]
        return pd.DataFrame(rows, columns=["x", "y"])


def answer(case: DeploymentCase | GeneralCase, decision: Mapping[str, Any]) -> RunAnswer:
    """What stands around the orders of a run.

    Parameters
    ----------
    decision
        The orders as a run says them: dM0, dM1, …; of several technologies a table of each by name.

    Raises
    ------
    InputError
        If orders of the case cannot be held; the message says why.
    """
    ground = first_orders(case, ordered(case, None))
    told = {}
    for order in ground.places:
        table = decision.get(order.technology, decision) if order.technology else decision
        told[order] = float(table.get(f"dM{order.arrival}", 0.0))
    return RunAnswer(case, told, ground)


def answer_tables(
    case: DeploymentCase | GeneralCase, decision: Mapping[str, Any], say: Callable[[str], None]
) -> tuple[dict[str, pd.DataFrame], dict[str, Any]]:
    """Tables of `RunAnswer` for a run folder, and what its manifest says of them.

    Returns
    -------
    tables
        ``regret``, ``rule``, ``changes``, ``prices`` and ``break_even``, those that there are.
    entries
        ``method``, ``of``, ``error`` ($), ``nothing`` ($, None where there is no such plan), ``break_even``
        (see `RunAnswer.break_even`) and the same as a ``price`` ($/kg, None where it may move), ``projected`` (see
        `RunAnswer.projected`), ``demand`` of this year (kg/yr), ``refused``: why there are none.
    """
    say("what other orders lose")
    try:
        found = answer(case, decision)
        regret, nothing = found.regret(), found.nothing()
    except (InputError, InfeasibleError, BoundsError, SolverError) as refused:
        unknown = dict.fromkeys(("error", "nothing", "break_even", "price", "projected"))
        return {}, {"method": "", "of": "", **unknown, "refused": str(refused), "demand": float(case.demand.D0)}
    say("what would change the answer")
    tables = {"regret": regret, "rule": found.rule(), "changes": found.changes()}
    tables |= {"prices": found.grid(), "break_even": found.break_even_line()}
    even = _at(tables["break_even"], found._prices)
    price = None if even is None or is_general(case) else even * found._prices[0]
    ground, error = found.ground, found.ground.error
    entries: dict[str, Any] = {
        "method": ground.method,
        "of": ground.of.value,
        "error": error if np.isfinite(error) else None,
    }
    entries |= {"nothing": nothing if np.isfinite(nothing) else None, "refused": "", "break_even": even, "price": price}
    entries |= {"demand": float(case.demand.D0), "projected": found.projected()}
    return {name: table for name, table in tables.items() if len(table)}, entries


def _at(line: pd.DataFrame, prices: tuple[float, float]) -> float | None:
    """Multiple of the price of oxygen at the case's price of launch, on the line that breaks even."""
    here = line[np.isclose(line["y"], prices[1])]
    return float(here["x"].iloc[0]) / prices[0] if len(here) else None


def _amounts(
    case: DeploymentCase | GeneralCase, order: OrderOf, chosen: float, shares: tuple[float, ...]
) -> list[float]:
    from stochisru.lunar.deciding.decide import amounts

    if order.lot is not None:
        found = amounts(case, order, chosen, len(shares))
        return sorted({*found, chosen})
    most = max(amounts(case, order, chosen, 2))
    return sorted({*(share * most / 2 for share in shares), chosen})


def _optimum(case: DeploymentCase | GeneralCase) -> dict[str, float]:
    """Worth ($) and orders (kg) of a case."""
    problem = _exact(case)
    if problem is not None:
        root = problem.best()
        first = 0 if case.horizon.initial_deployment == "free" else 1
        return {"worth": problem.value(root)} | {f"dM{t}": float(kg) for t, kg in enumerate(root) if t >= first}
    best = first_orders(case, ordered(case, None)).best()
    if best is None:
        raise InputError("no plan keeps all that the case asks for")
    return {"worth": best.worth} | {order.name: kg for order, kg in best.orders.items()}


def _exact(case: DeploymentCase | GeneralCase) -> RootProblem | None:
    """What is decided this year before the exact policy, by a rule that is quick; None where there is none."""
    if is_general(case):
        return by_year.root_problem(case, _QUICK)[0] if by_year.why_no_exact_policy(case) is None else None
    if has_exact_policy(case) and threshold.is_tabulated(case):
        return threshold.root_problem(case, _QUICK)[0]
    return None


def _scaled(case: DeploymentCase | GeneralCase, symbol: str, factor: float) -> DeploymentCase | GeneralCase | None:
    """The case with one symbol a multiple of what it is, in every year and of every technology; None where it is 0."""
    if not is_general(case):
        value = _number_of(case, symbol)
        return case.replace(**{symbol: value * factor}) if value else None
    if symbol in case.derivation:
        derived = _derived(case).get(symbol)
        return None if derived is None else case.replace(**{symbol: _times(derived, factor)})
    data = case.to_dict()
    tables = [data.get(name, {}) for name in ("economics", "technology", "costs", "demand")]
    places = [(table, symbol) for table in (*tables, *data.get("technologies", ()))]
    if symbol == _AXES[0]:
        places += [(customer, "price") for customer in data.get("customers", ())]
    found = [(table, key) for table, key in places if table.get(key)]
    for table, key in found:
        table[key] = _times(table[key], factor)
    return general_case(data) if found else None


def _still(case: GeneralCase) -> GeneralCase:
    """The case with numbers in the place of what is derived, which stay when others are changed."""
    return case.replace(**_derived(case))


def _derived(case: GeneralCase) -> dict[str, Any]:
    """What rules of a case derive, but from factors: one number, or one per year."""
    symbols, found = Symbols(case), dict[str, Any]()
    for name in case.derivation:
        quantity = symbols.get(name)
        if quantity is not None and not quantity.random:
            years = quantity.known(case.horizon.T)
            found[name] = float(years[0]) if (years == years[0]).all() else years.tolist()
    return found


def _moved(case: DeploymentCase | GeneralCase, here: DeploymentCase | GeneralCase, symbol: str) -> str:
    """Derived symbols that are others where a symbol is, comma-separated."""
    if is_general(case) and is_general(here):
        after = _derived(here)
        return ", ".join(s for s, value in _derived(case).items() if s != symbol and after.get(s) != value)
    assert not is_general(case)
    return moved(case, {symbol: _number_of(here, symbol)})


def _times(given: Any, factor: float) -> Any:
    """A number over time, as a case file gives it, times a factor."""
    if isinstance(given, Mapping):
        return {key: _times(x, factor) if key in ("start", "values") else x for key, x in given.items()}
    if isinstance(given, list | tuple):
        return [x * factor for x in given]
    return given * factor


def _number_of(case: DeploymentCase | GeneralCase, symbol: str) -> float | None:
    """A symbol's value where it is one number."""
    if not is_general(case):
        value = case.values[symbol]
        return float(value) if isinstance(value, int | float) else None
    data = case.to_dict()
    found = [
        data[name][symbol] for name in ("economics", "technology", "costs", "demand") if symbol in data.get(name, {})
    ]
    return float(found[0]) if found and isinstance(found[0], int | float) else None
