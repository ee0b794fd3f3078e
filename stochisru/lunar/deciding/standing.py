"""What stands when a year's order is decided: plant in place, and plant that is ordered already and on its way."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scenario_trees.arrays import Array
from scenario_trees.errors import is_integer, is_number
from stochisru.errors import InputError
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.plan_file import TECHNOLOGY
from stochisru.lunar.tables.case import GeneralCase, general_case, is_general
from stochisru.lunar.tables.plants import plants
from stochisru.networks.tables import TableRow, read_rows

#: Plant by technology, or of the only one; kg.
Plant = float | Mapping[str, float]
#: Plant on its way by year of arrival, by technology or of the only one; kg.
Pipeline = Mapping[int, float] | Mapping[str, Mapping[int, float]]


@dataclass(frozen=True)
class OrderOf:
    """An order that can be placed this year: of a technology, to arrive so many years from now.

    Attributes
    ----------
    technology
        Nothing where there is one.
    lot
        Plant comes in whole numbers of it, kg; None where any amount does.
    """

    technology: str
    arrival: int
    lot: float | None = None

    @property
    def name(self) -> str:
        """``dM1``, of several technologies ``NAME dM1``."""
        return f"{self.technology} dM{self.arrival}".strip()


def technologies(case: DeploymentCase | GeneralCase) -> dict[str, int]:
    """Last year in which plant that is on its way may arrive, min(L, T), by technology."""
    T = case.horizon.T
    if not is_general(case):
        return {TECHNOLOGY: min(case.horizon.lead_time, T)}
    return {kind.name: min(kind.lead_time, T) for kind in plants(case)}


def open_orders(case: DeploymentCase | GeneralCase) -> tuple[OrderOf, ...]:
    """The orders that can be placed this year: years 0..min(L, T), without 0 where the case fixes ΔM_0 = 0."""
    first = 0 if case.horizon.initial_deployment == "free" else 1
    last = technologies(case)
    lots = {TECHNOLOGY: case.launch.lot} if not is_general(case) else {kind.name: kind.lot for kind in plants(case)}
    several = len(last) > 1
    return tuple(
        OrderOf(name if several else "", arrival, lots[name])
        for name, end in last.items()
        for arrival in range(first, end + 1)
    )


def by_technology(case: DeploymentCase | GeneralCase, orders: Mapping[OrderOf, float]) -> dict[str, object]:
    """Orders as commands say them: dM0, dM1, …; of several technologies a table of each by name."""
    found: dict[str, object] = {}
    for order, kg in orders.items():
        if not order.technology:
            found[order.name] = kg
            continue
        table = found.setdefault(order.technology, {})
        assert isinstance(table, dict)
        table[f"dM{order.arrival}"] = kg
    return found


# ---------------------------------------------------------------------- plant


def placed(case: DeploymentCase | GeneralCase, plant: Plant | None) -> DeploymentCase | GeneralCase:
    """The case with other plant in place; as it is for None.

    Raises
    ------
    InputError
        If plant is negative or not a number, or is not said of each technology.
    """
    if plant is None:
        return case
    known = technologies(case)
    amounts = _of_each("plant", known, plant)
    for name, kg in amounts.items():
        _require_mass("plant" if len(known) == 1 else f"plant of {name}", kg)
    if not is_general(case) or not case.technologies:
        return case.replace(M0=float(amounts[next(iter(known))]))
    data = case.to_dict()
    for table in data["technologies"]:
        if table["name"] in amounts:
            table["M0"] = float(amounts[table["name"]])
    return general_case(data)


def _of_each(field: str, known: Mapping[str, int], given: Any) -> dict[str, Any]:
    """What is given by technology, or of the only one."""
    if not isinstance(given, Mapping):
        if len(known) > 1:
            said = ", ".join(f"{name}:KG" for name in known)
            shown = given.table if isinstance(given, _Whole) else given
            raise InputError(f"{field}: must be said of each technology, {said}, got {shown!r}")
        return {next(iter(known)): given}
    for name in given:
        if name not in known:
            raise InputError(f"{field}: must name one of {', '.join(known)}, got {name!r}")
    return dict(given)


def _require_mass(what: str, kg: object) -> float:
    if not is_number(kg) or not 0 <= float(kg) < math.inf:  # type: ignore[arg-type]
        raise InputError(f"{what}: must be a finite number >= 0 kg, got {kg!r}")
    return float(kg)  # type: ignore[arg-type]


def plant_of_text(text: str) -> Plant:
    """Plant as the command line says it: ``KG``, or ``NAME:KG,NAME:KG``."""
    from stochisru.terminal import number

    if ":" not in text:
        return number(text, "plant")
    found = {}
    for item in text.split(","):
        name, colon, kg = item.rpartition(":")
        if not colon or not name.strip():
            raise InputError(f"plant: must be KG, or NAME:KG,NAME:KG of several technologies, got {text!r}")
        found[name.strip()] = number(kg.strip(), "plant")
    return found


# ------------------------------------------------------------------- pipeline


def ordered(case: DeploymentCase | GeneralCase, pipeline: Pipeline | None) -> dict[str, Array]:
    """What arrives whatever is decided, by technology: kg of years 0..min(L, T), shape ``(min(L, T) + 1,)``.

    Raises
    ------
    InputError
        If a year is none in which an order of the past may arrive, or a mass is no number >= 0.
    """
    known = technologies(case)
    found = {name: np.zeros(last + 1) for name, last in known.items()}
    if pipeline is None:
        return found
    if not isinstance(pipeline, Mapping):
        raise InputError(f"pipeline: must be a table of kg by year of arrival, got {type(pipeline).__name__}")
    several = any(isinstance(value, Mapping) for value in pipeline.values())
    for name, table in _of_each("pipeline", known, pipeline if several else _Whole(pipeline)).items():
        amounts = table.table if isinstance(table, _Whole) else table
        if not isinstance(amounts, Mapping):
            raise InputError(f"pipeline of {name}: must be a table of kg by year of arrival, got {amounts!r}")
        for year, kg in amounts.items():
            _require_arrival("pipeline", year, known[name], name if len(known) > 1 else "")
            found[name][int(year)] += _require_mass(f"pipeline: year {year}", kg)
    return found


@dataclass(frozen=True)
class _Whole:
    """A table of the only technology."""

    table: Mapping[Any, Any]


def _require_arrival(where: str, year: object, last: int, name: str) -> None:
    if not is_integer(year) or not 0 <= int(year) <= last:  # type: ignore[call-overload]
        of = f" of {name}" if name else ""
        span = "0" if last == 0 else f"0 to {last}"
        raise InputError(
            f"{where}: year must be {span}, counted from the year of the decision, as what{of} is on its way arrives "
            f"within the lead time, got {year!r}"
        )


def read_pipeline(case: DeploymentCase | GeneralCase, path: str | Path) -> dict[str, dict[int, float]]:
    """Plant on its way from a CSV file with the columns ``year``, ``kg`` and, of several, ``technology``.

    Years count from that of the decision; lines of one year add up.

    Raises
    ------
    InputError
        One line that names file, line, column and what is expected.
    """
    path, known = Path(path), technologies(case)
    wanted = ("year", "kg") if len(known) == 1 else ("year", "kg", "technology")
    found: dict[str, dict[int, float]] = {name: {} for name in known}
    for row in read_rows(path, wanted):
        name = next(iter(known)) if len(known) == 1 else row.known("technology", known)
        year = _year(row, known[name], name if len(known) > 1 else "")
        kg = row.number("kg", least=0.0)
        found[name][year] = found[name].get(year, 0.0) + kg
    return found


def _year(row: TableRow, last: int, name: str) -> int:
    year = row.number("year")
    _require_arrival(row.where("year").removesuffix(": year"), int(year) if year == int(year) else year, last, name)
    return int(year)
