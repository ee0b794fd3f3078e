"""The data of the literature: published results, costs of plants, launch markets, and the plans of the studies."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from scenario_trees.arrays import Array
from stochisru.lunar.case import load_case
from stochisru.lunar.plan_file import read_plan
from stochisru.lunar.tables.case import GeneralCase, is_general

#: Folder of the tables.
DATA = Path(__file__).parent / "data"


@dataclass(frozen=True)
class Published:
    """A published number of a case.

    Attributes
    ----------
    quantity
        One of `stochisru.worked.literature.certain.QUANTITIES`.
    value
        As printed; None where only a range is known.
    rounding
        How far a number may be off that rests on all that its study says: of printed digits, and of printed revenues.
    lower, upper
        Range in which what the study leaves open lets the number lie, None where it leaves nothing open.
    source
        Where it stands: given, or derived.
    """

    case: str
    quantity: str
    value: float | None
    rounding: float | None
    lower: float | None
    upper: float | None
    unit: str
    source: str


@dataclass(frozen=True)
class LaunchMarket:
    """A market of launches after some years, as Metzger (2023) has it.

    Attributes
    ----------
    price
        Launch to low Earth orbit, $/kg.
    traffic
        Mass launched, kg/yr.
    fall
        Change of the price a year on the way there from today's, a share (negative).
    growth
        Growth rate of traffic on the way there, 1/yr.
    """

    name: str
    price: float
    traffic: float
    fall: float
    growth: float


#: Years from the launch market of today to those of Metzger.
LAUNCH_YEARS = 30


@cache
def launch_markets() -> dict[str, LaunchMarket]:
    """Metzger's markets by name, ``today`` first, then as the price falls."""
    rows = [(row["market"], float(row["price"]), float(row["traffic"])) for row in table("launch")]
    _, price, traffic = rows[0]
    return {
        name: LaunchMarket(
            name, last, mass, (last / price) ** (1 / LAUNCH_YEARS) - 1, math.log(mass / traffic) / LAUNCH_YEARS
        )
        for name, last, mass in rows
    }


def _number(text: str) -> float | None:
    return float(text) if text else None


@cache
def published() -> tuple[Published, ...]:
    """All published numbers, in the order of the table."""
    return tuple(
        Published(
            row["case"],
            row["quantity"],
            _number(row["value"]),
            _number(row["rounding"]),
            _number(row["lower"]),
            _number(row["upper"]),
            row["unit"],
            row["source"],
        )
        for row in table("published")
    )


def table(name: str) -> list[dict[str, str]]:
    """Rows of a file of the data: ``published``, ``plants`` or ``launch``."""
    return list(csv.DictReader((DATA / f"{name}.csv").read_text(encoding="utf-8").splitlines()))


@cache
def cases() -> tuple[str, ...]:
    """Names of the cases of the literature: those that have a plan of their study."""
    return tuple(sorted(path.stem for path in (DATA / "plans").glob("*.csv")))


@cache
def study_case(name: str) -> GeneralCase:
    """A case of the literature."""
    case = load_case(name)
    assert is_general(case)
    return case


def study_plan(name: str) -> dict[str, Array]:
    """The plan that a study had: kg by year of arrival, shape ``(T + 1,)``, by decision."""
    return read_plan(study_case(name), DATA / "plans" / f"{name}.csv")
