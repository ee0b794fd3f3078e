"""The study of the literature: published numbers, ours, and what the same studies say once demand is uncertain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from scenario_trees.arrays import Array
from scenario_trees.errors import is_number
from stochisru.errors import InputError, require_integer
from stochisru.lunar.published import published_values
from stochisru.lunar.tables.case import GeneralCase
from stochisru.studies.store import Execution, Point, Row, Study, run_study
from stochisru.worked.literature.certain import QUANTITIES, at_prices, average_price, best, break_even, worth
from stochisru.worked.literature.launch import launch_paths, thresholds, timings
from stochisru.worked.literature.sources import cases, published, study_case, study_plan
from stochisru.worked.literature.uncertain import moving_tree, uncertain, with_shares

if TYPE_CHECKING:
    import pandas as pd

#: Volatilities of demand, assumed: the studies have none.
VOLATILITIES = (0.2, 0.4)
#: Years in which demand moves on a tree, and the most of them where cost has a curve: 256 and 16 scenarios.
MOVES, CURVED_MOVES = 8, 4
#: Cases whose answer is moved over the range of what is published.
SWUNG = ("kornuta-2019-all", "sowers-2020-lunar")


@dataclass(frozen=True, eq=False)
class LiteratureStudy:
    """Studies of the literature beside what they say with uncertain demand.

    Attributes
    ----------
    published
        One per published number: ``case``, ``quantity``, ``published``, ``rounding``, ``lower``, ``upper``, ``ours``,
        ``difference``, ``unit``, ``source``.
    rows
        One per case and volatility: what is known at σ = 0 (``published_npv``, ``own_certain``, ``best_certain``,
        ``break_even``, ``average_price``; ``cost_by_mass``, ``sold_by_mass`` by kilogram of plant), and
        `stochisru.worked.literature.uncertain.uncertain` on a tree.
    swings
        One per case and symbol: optimal NPV (``low``, ``high``) at both ends of what is published.
    thresholds
        One per launch price: break-even price of Metzger's baseline, and product over capital mass over life at which
        it competes with Earth.
    launch
        One per path of the launch price, which moves the price from Earth with it: optimal NPV of Metzger's baseline at
        σ = 0 and the years of its orders; NPV of one plant ordered ``now``, and ``waited`` for some years.
    timings
        One per case that sells, market of launches, price of what is sold, and volatility of the launch price: when the
        plan is best ordered; see `stochisru.worked.literature.launch.timings`.
    """

    published: tuple[Row, ...]
    rows: tuple[Row, ...]
    swings: tuple[Row, ...]
    thresholds: tuple[Row, ...]
    launch: tuple[Row, ...]
    timings: tuple[Row, ...]

    def findings(self) -> list[str]:
        """What the numbers say, in sentences."""
        from stochisru.worked.literature.findings import findings

        return findings(self)

    def to_frame(self) -> pd.DataFrame:
        """`rows` as a table."""
        import pandas as pd

        return pd.DataFrame(list(self.rows))

    def to_dict(self) -> dict[str, Any]:
        """All tables and the findings for JSON."""
        return {
            "published": list(self.published),
            "rows": list(self.rows),
            "swings": list(self.swings),
            "thresholds": list(self.thresholds),
            "launch": list(self.launch),
            "timings": list(self.timings),
            "findings": self.findings(),
        }

    def __repr__(self) -> str:
        return f"LiteratureStudy({len(self.published)} published numbers, {len(self.rows)} rows; NPV, maximise)"


def literature_study(
    names: Sequence[str] | None = None,
    *,
    volatilities: Sequence[float] = VOLATILITIES,
    moves: int = MOVES,
    customers: Sequence[str] | None = None,
    execution: Execution | None = None,
) -> LiteratureStudy:
    """Rerun studies of the literature, and solve them with uncertain demand.

    Parameters
    ----------
    names
        Cases of the literature; all if not given.
    volatilities
        σ of demand, > 0.
    moves
        Years in which demand moves, up or down: trees have 2^moves scenarios, where cost has a curve at most 16.
    customers
        Those whose demand is uncertain, by name, in the cases that have any of them; all if not given.
    execution
        Workers, checkpoint and so on; the rows do not depend on it.

    Raises
    ------
    InputError
        If a name is no case of the literature, none of them has a customer, or a number is out of range.

    Examples
    --------
    >>> from stochisru.worked.literature.study import literature_study
    >>> study = literature_study(["kornuta-2019-leo"], volatilities=[0.2], moves=2)
    >>> row = study.rows[0]
    >>> round(row["published_npv"] / 1e6), round(row["own_certain"] / 1e6), row["first_order"]
    (-972, -972, 0.0)
    """
    known = cases()
    chosen = known if names is None else tuple(names)
    unknown = [name for name in chosen if name not in known]
    if unknown or not chosen or len(set(chosen)) < len(chosen):
        raise InputError(f"cases: must be of {', '.join(known)}, once each, got {', '.join(chosen) or 'none'}")
    require_integer("moves", moves, 1, 12)
    for sigma in volatilities:
        if not is_number(sigma) or not 0 < sigma <= 2:
            raise InputError(f"volatilities: must be numbers > 0 and <= 2, got {sigma!r}")
    who = {name: _uncertain_customers(name, customers) for name in chosen}
    if not any(who.values()):
        every = dict.fromkeys(tier for name in chosen for tier in _uncertain_customers(name, None))
        raise InputError(f"customers: must be of {', '.join(every)}, got {', '.join(customers or ()) or 'none'}")
    points: list[Point] = [
        {"case": name, "sigma": float(sigma), "uncertain": list(who[name])}
        for name in chosen
        for sigma in volatilities
        if who[name]
    ]
    identity = {"study": "literature", "moves": moves, "cases": {name: study_case(name).digest() for name in chosen}}
    rows = run_study(Study(identity, points, partial(_row, moves)), execution)
    swings = [row for name in SWUNG if name in chosen for row in _swings(name, min(moves, 6), volatilities)]
    metzger = "metzger-2023" in chosen
    return LiteratureStudy(
        published=tuple(_published(chosen)),
        rows=tuple(rows),
        swings=tuple(swings),
        thresholds=tuple(thresholds()) if metzger else (),
        launch=tuple(launch_paths()) if metzger else (),
        timings=tuple(timings(chosen)),
    )


def _uncertain_customers(name: str, customers: Sequence[str] | None) -> tuple[str, ...]:
    """Customers of a case whose demand is uncertain."""
    known = (tier.name or "" for tier in study_case(name).customers)
    return tuple(tier for tier in known if customers is None or tier in customers)


def _published(names: Sequence[str]) -> list[Row]:
    """Published numbers of some cases beside ours."""
    rows: list[Row] = []
    for row in published():
        if row.case not in names:
            continue
        ours = QUANTITIES[row.quantity](study_case(row.case), study_plan(row.case))
        rows.append(
            {
                "case": row.case,
                "quantity": row.quantity,
                "published": row.value,
                "rounding": row.rounding,
                "lower": row.lower,
                "upper": row.upper,
                "ours": ours,
                "difference": None if ours is None or row.value is None else ours - row.value,
                "unit": row.unit,
                "source": row.source,
            }
        )
    return rows


def _row(moves: int, point: Point) -> list[Row]:
    """A case at one volatility: what it is at σ = 0, and on the tree."""
    name, sigma = point["case"], point["sigma"]
    case, plan = study_case(name), study_plan(name)
    printed = [row.value for row in published() if row.case == name and row.quantity == "npv"]
    value, order = best(case)
    volatile = with_shares(case, sigma, point["uncertain"])
    curved = not case.is_linear and case.launch.lot is None
    tree = moving_tree(volatile, min(moves, CURVED_MOVES) if curved else moves)
    return [
        {
            "case": name,
            "sigma": sigma,
            "uncertain": list(point["uncertain"]),
            "customers": len(case.customers),
            "money": "€" if name.startswith("roxy") else "$",
            "plan": float(sum(amounts.sum() for amounts in plan.values())),
            "published_npv": 1e6 * printed[0] if printed and printed[0] is not None else None,
            "own_certain": worth(case, plan),
            "best_certain": value,
            "best_order": float(order["dM"].sum()),
            "break_even": break_even(case, plan),
            "average_price": average_price(case),
            **_by_mass(case, plan),
            "r": case.economics.r,
            "horizon": case.horizon.T,
            **uncertain(volatile, plan, tree),
        }
    ]


def _by_mass(case: GeneralCase, plan: Mapping[str, Array]) -> Row:
    """What a kilogram of the plan costs and sells, discounted to year 0, at σ = 0."""
    average, mass = average_price(case), float(sum(amounts.sum() for amounts in plan.values()))
    free = worth(at_prices(case, 0.0), plan)
    sold = None if average is None else (worth(case, plan) - free) / average / mass
    return {"cost_by_mass": -free / mass, "sold_by_mass": sold}


def _ends(quantity: str) -> tuple[float, float]:
    """Least and largest of the published parameters of a kind."""
    known = published_values(quantity)
    return known[0], known[-1]


def _swings(name: str, moves: int, volatilities: Sequence[float]) -> list[Row]:
    """Optimal NPV of a case where one symbol is at either end of what is published, the others as in the case."""
    case = study_case(name)
    alpha = case.to_dict()["technology"]["alpha"]
    ranges = {
        "eta": _ends("eta"),
        "c_dev": _ends("c_dev"),
        "c_L": tuple(price / alpha for price in _ends("landed")),
        "r": _ends("r"),
    }
    rows: list[Row] = [
        _swing(name, symbol, ends, [best(case.replace(**{symbol: end}))[0] for end in ends])
        for symbol, ends in ranges.items()
    ]
    last = with_shares(case, max(volatilities))
    volatile = uncertain(last, study_plan(name), moving_tree(last, moves))["rp"]
    return [*rows, _swing(name, "sigma", (0.0, max(volatilities)), [best(case)[0], volatile])]


def _swing(name: str, symbol: str, ends: tuple[float, ...], found: Sequence[float]) -> Row:
    return {
        "case": name,
        "symbol": symbol,
        "from": ends[0],
        "to": ends[1],
        "low": found[0],
        "high": found[1],
        "swing": abs(found[1] - found[0]),
    }
