"""Which figures a run has, by file name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from stochisru.report import figures as draw
from stochisru.report.answer import by_order, regret_name
from stochisru.report.indicator_figures import indicator_distributions

if TYPE_CHECKING:
    import pandas as pd

    from stochisru.report.chart import Chart


def all_figures(manifest: Mapping[str, Any], tables: Mapping[str, pd.DataFrame]) -> dict[str, Chart]:
    """Figures of a run by file name."""
    last = _last_committed(manifest["decision"])
    found: dict[str, Chart] = {}
    if "regret" in tables:
        found |= _regrets(tables["regret"])
    npv = tables["npv"]
    if np.isfinite(npv.to_numpy(dtype=float)).any():
        found["target_curves"] = draw.target_curves(npv)
    if "prices" in tables:
        found["break_even"] = _map(tables)
    if "fan" in tables:
        found["demand_fan"] = draw.demand_fan(tables["fan"], tables["tree"], last)
    if "schedule" in tables:
        found["deployment_schedule"] = draw.deployment_schedule(tables["schedule"], last)
    if "group" in tables["operations"]:
        found["plant"] = draw.plant_by_year(tables["operations"], last)
        found["supply"] = draw.supply_by_year(tables["operations"])
    else:
        found["operations"] = draw.operations_over_time(tables["operations"])
        found["distributions"] = indicator_distributions(tables["distributions"])
        found["deployment_times"] = draw.deployment_timing(tables["deployment_times"])
    found["value_ladder"] = draw.value_ladder(tables["values"] if "values" in tables else tables["tree_values"])
    if "iterations" in tables:
        found["convergence"] = draw.bounds_by_iteration(tables["iterations"])
    return found


def _last_committed(decision: Mapping[str, Any]) -> int:
    """Last year whose plant is committed now."""
    years = [decision, *(table for table in decision.values() if isinstance(table, Mapping))]
    return max((int(name[2:]) for table in years for name in table if name.startswith("dM")), default=0)


def _regrets(regret: pd.DataFrame) -> dict[str, Chart]:
    """A curve of each order that is placed, or that loses little beside one."""
    found = {}
    for technology, arrival, rows in by_order(regret):
        known = rows[rows["regret"].notna()]
        if len(known) < 2 or not known["best"].any():
            continue
        if float(known[known["best"]]["kg"].iloc[0]) <= 0 and len(regret["arrival"].unique()) > 2:
            continue  # of many years in which nothing is ordered a line each says enough
        of = f"{technology} " if technology else ""
        chart = draw.regret_curve(known, f"{of}to arrive in year {arrival}")
        found[regret_name(technology, arrival)] = chart
    return found


def _map(tables: Mapping[str, pd.DataFrame]) -> Chart:
    names = ("price of oxygen", "price of launch")
    if "parameters" not in tables:  # prices that may move by year or customer: as multiples of what they are
        told = tuple(f"{name}, times the case's" for name in names)
        return draw.break_even(tables["prices"], tables.get("break_even"), {"x": 1.0, "y": 1.0}, (told[0], told[1]))
    parameters = tables["parameters"].set_index("symbol")["value"]
    base = {"x": float(parameters["P_m"]), "y": float(parameters["c_L"])}
    return draw.break_even(tables["prices"], tables.get("break_even"), base, (f"{names[0]}, $/kg", f"{names[1]}, $/kg"))
