"""Solving the Saudi network: cost against CO2, beside the published tables.

The objective is ``w·cost/cost* + (1 − w)·CO2/CO2*`` (Eq. 5.6), dimensionless and minimised; the factors cost* and CO2*
are the optima of either alone. By default they are the published ones, so that a run does not depend on how far two
further programs were solved; any other pair only changes what a weight means.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from scenario_trees.arrays import Array, Index
from stochisru.errors import InputError
from stochisru.files import plainly
from stochisru.networks.assembly import Form
from stochisru.networks.pareto import lexicographic
from stochisru.networks.solution import NetworkSolution, improved, solve_network
from stochisru.worked.saudi.infrastructure import saudi_data
from stochisru.worked.saudi.network import SaudiOptions, saudi_network

if TYPE_CHECKING:
    import pandas as pd

#: Weights of cost in Tables 5.3 and 5.5.
WEIGHTS = (0.999, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.001)
#: Tables with the published results.
_TABLES = {2030: "table_5_3", 2050: "table_5_5"}
#: Year whose published factors are used where the thesis has no table.
_BASIS = {2010: 2030}
#: Columns of those tables by our names.
_COLUMNS = {
    "cost": "total_cost_BUSD_y",
    "capex": "capex_BUSD_y",
    "opex": "opex_BUSD_y",
    "co2": "co2_Mt_y",
    "water": "water_production_Mm3_y",
    "electricity": "electricity_GWh_y",
    "gap": "gap_percent",
}
#: What breaks ties at the ends of the front, by weight of cost.
_TIES = {0.0: {"capex": 1.0, "opex": 1.0}, 1.0: {"co2": 1.0}}
UNITS = {
    "objective": "-",
    "cost": "billion USD/yr",
    "capex": "billion USD/yr",
    "opex": "billion USD/yr",
    "co2": "Mt/yr",
    "water": "million m3/yr",
    "electricity": "GWh/yr",
}
#: 1000 m³/day to million m³ per year, and MWh/day to GWh per year.
_YEARLY = 0.365


@dataclass(frozen=True)
class Scales:
    """Factors of the objective: billion USD/yr and Mt/yr that count as one."""

    cost: float
    co2: float

    def weights(self, weight: float) -> dict[str, float]:
        """Weights of the criteria for a weight of cost."""
        if not 0 <= weight <= 1:
            raise InputError(f"weight: must be in [0, 1], got {weight}")
        money = weight / self.cost
        return {"capex": money, "opex": money, "co2": (1 - weight) / self.co2}


@dataclass(frozen=True, eq=False)
class SaudiResult:
    """A solution for one weight."""

    options: SaudiOptions
    weight: float
    scales: Scales
    solution: NetworkSolution

    @property
    def values(self) -> dict[str, float]:
        """The columns of Tables 5.3 and 5.5, in `UNITS`."""
        criteria = self.solution.criteria
        return {
            "cost": criteria["capex"] + criteria["opex"],
            "capex": criteria["capex"],
            "opex": criteria["opex"],
            "co2": criteria["co2"],
            "water": _YEARLY * self._made("raw water"),
            "electricity": _YEARLY * self._made("fuel"),
        }

    def _made(self, commodity: str) -> float:
        return float(self.solution.flows.out[:, self.solution.network.commodity(commodity)].sum())

    @property
    def published(self) -> dict[str, float] | None:
        """The published line for this year and weight, or None."""
        return published_lines(self.options.year).get(round(self.weight, 6))

    @property
    def investments(self) -> pd.DataFrame:
        """What is built, dearest first: capex (million USD/yr), what, tail, head, capacity, unit (Table 5.4)."""
        import pandas as pd

        network, flows = self.solution.network, self.solution.flows
        capex = network.criterion("capex")
        cost = capex.expansion_out * flows.expansion_out + capex.use * flows.use
        arc, commodity = np.nonzero(cost > 1e-7)
        what = {"raw water": "water", "waste water": "treatment", "fuel": "power"}
        loop = network.loops
        rows = [
            {
                "capex": 1000 * cost[a, c],
                "what": what[network.commodities[c]] if loop[a] else f"line for {network.commodities[c]}",
                "tail": network.nodes[network.tail[a]],
                "head": network.nodes[network.head[a]],
                "capacity": flows.expansion_out[a, c] if loop[a] else flows.out[a, c],
                "unit": network.units[c],
            }
            for a, c in zip(arc, commodity, strict=True)
        ]
        columns = ["capex", "what", "tail", "head", "capacity", "unit"]
        return pd.DataFrame(rows, columns=columns).sort_values("capex", ascending=False, ignore_index=True)

    @plainly
    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        data = self.solution.to_dict()
        return {
            "year": self.options.year,
            "weight": self.weight,
            "scales": {"cost": self.scales.cost, "co2": self.scales.co2},
            **{key: data[key] for key in ("sense", "objective", "bounds", "termination")},
            **self.values,
            "units": UNITS,
            "published": self.published,
            "investments": self.investments,
            **{key: data[key] for key in ("size", "seconds", "solver")},
        }


@cache
def published_lines(year: int) -> Mapping[float, dict[str, float]]:
    """Table 5.3 or 5.5 by weight of cost, ``gap`` in percent; no lines for 2010."""
    if year not in _TABLES:
        return {}
    return {
        round(float(row["w_cost"]), 6): {name: float(row[column]) for name, column in _COLUMNS.items()}
        for row in saudi_data(_TABLES[year])
    }


def published_scales(year: int) -> Scales:
    """The published optima of cost alone (w = 0.999) and CO2 alone (w = 0.001); those of 2030 for 2010."""
    lines = published_lines(_BASIS.get(year, year))
    return Scales(lines[0.999]["cost"], lines[0.001]["co2"])


def own_scales(options: SaudiOptions, rel_gap: float = 0.02, time_limit: float | None = None) -> Scales:
    """The optima of cost alone and CO2 alone on the network that is shipped."""
    network = saudi_network(options)
    cheap = solve_network(network, {"capex": 1.0, "opex": 1.0}, rel_gap=rel_gap, time_limit=time_limit)
    clean = solve_network(network, {"co2": 1.0}, rel_gap=rel_gap, time_limit=time_limit)
    return Scales(cheap.objective, clean.objective)


def solve_ksa(
    weight: float,
    options: SaudiOptions | None = None,
    *,
    scales: Scales | None = None,
    form: Form = "reduced",
    rel_gap: float = 0.02,
    time_limit: float | None = 60.0,
    solver: str = "highs",
) -> SaudiResult:
    """Minimise ``w·cost/cost* + (1 − w)·CO2/CO2*``; at w = 0 and 1 ties are broken by what has no weight.

    Parameters
    ----------
    weight
        w, in [0, 1].
    scales
        cost* and CO2*; the published ones if not given.
    rel_gap, time_limit
        Where to stop; below a gap of 3 % times are erratic.
    """
    options = options or SaudiOptions()
    scales = scales or published_scales(options.year)
    weights = scales.weights(weight)
    network, other = saudi_network(options), _TIES.get(weight)
    if other is None:
        solution = solve_network(network, weights, form=form, rel_gap=rel_gap, time_limit=time_limit, solver=solver)
    else:
        solution = lexicographic(
            network, weights, other, form=form, rel_gap=rel_gap, time_limit=time_limit, solver=solver
        )
    return SaudiResult(options, weight, scales, solution)


def solve_weights(
    weights: Iterable[float],
    options: SaudiOptions | None = None,
    *,
    scales: Scales | None = None,
    form: Form = "reduced",
    rel_gap: float = 0.02,
    time_limit: float | None = 60.0,
    solver: str = "highs",
    progress: Callable[[str], None] = lambda _: None,
) -> list[SaudiResult]:
    """`solve_ksa` for several weights; each then tries the lines of its neighbours, so that the front is not ragged.

    The ends, where ties were broken, stay as they are.
    """
    results = []
    for weight in weights:
        progress(f"w = {weight:g}")
        results.append(
            solve_ksa(weight, options, scales=scales, form=form, rel_gap=rel_gap, time_limit=time_limit, solver=solver)
        )
    for order in (range(1, len(results)), range(len(results) - 2, -1, -1)):
        step = order.step
        for i in order:
            if results[i].weight in _TIES:
                continue
            better = improved(results[i].solution, results[i - step].solution, solver)
            results[i] = replace(results[i], solution=better)
    return results


def comparison(results: Iterable[SaudiResult]) -> pd.DataFrame:
    """A row per weight: gap in percent, and every value with the published one beside it."""
    import pandas as pd

    rows = []
    for result in results:
        published = result.published or {}
        values = {**result.values, "gap": 100 * result.solution.bounds.gap}
        row: dict[str, float] = {"weight": result.weight}
        for name in _COLUMNS:
            row[name] = values[name]
            row[f"{name} published"] = published.get(name, np.nan)
        rows.append(row)
    return pd.DataFrame(rows)


def water_lines(result: SaudiResult) -> tuple[Index, Array]:
    """Arcs between sites that carry potable water, and how much leaves their tails (1000 m³/day)."""
    network = result.solution.network
    flow = result.solution.flows.out[:, network.commodity("potable water")]
    arcs = np.flatnonzero(~network.loops & (flow > 1e-3)).astype(np.int64)
    return arcs, flow[arcs]
