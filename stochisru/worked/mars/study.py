"""Solving the Mars scenarios: optima beside the published ones, sweeps, and the published flows as a check."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from scenario_trees.arrays import Array, Mask
from stochisru.files import plainly
from stochisru.networks.network import Network
from stochisru.networks.solution import NetworkSolution, solve_network
from stochisru.worked.mars.network import SCENARIOS, SITES, MarsScenario, mars_data, mars_network

if TYPE_CHECKING:
    import pandas as pd

Parameter = Literal["isru_rate", "lifetime"]
#: The sweeps of Figures 4-17 (rate) and 4-16 (lifetime): field of a scenario and its usual values.
SWEEPS: dict[str, tuple[Parameter, tuple[float, ...]]] = {
    "rate": ("isru_rate", (0.0, 0.25, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 12.0, 15.0, 20.0)),
    "lifetime": ("lifetime", (0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0)),
}


@dataclass(frozen=True)
class PublishedOptimum:
    """A line of Table 4.7: objective, kg at KSC, and plants, kg by site."""

    title: str
    objective: float
    plants: dict[str, float]


@dataclass(frozen=True, eq=False)
class MarsResult:
    """Optimum of a scenario."""

    scenario: MarsScenario
    solution: NetworkSolution

    @property
    def objective(self) -> float:
        """Mass that leaves KSC, kg (minimised)."""
        return self.solution.objective

    @property
    def imleo(self) -> float:
        """Initial mass in low Earth orbit: what the launch delivers, kg."""
        network = self.solution.network
        return float(self.solution.flows.in_[network.tail == network.node("KSC")].sum())

    @property
    def plants(self) -> dict[str, float]:
        """Plant at work by site, kg."""
        return {site: max(0.0, self.solution.outflow(f"{site} plant", "plant")) for site in SITES}

    @property
    def published(self) -> PublishedOptimum | None:
        """The line of Table 4.7 of this scenario, or None if it is not one of the table's."""
        known = SCENARIOS.get(self.scenario.name)
        return published_optima()[self.scenario.name] if known == self.scenario else None

    @plainly
    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        data = self.solution.to_dict()
        published = self.published
        return {
            "scenario": self.scenario.name,
            "unit": "kg",
            **{key: data[key] for key in ("sense", "objective", "bounds", "termination")},
            "imleo": self.imleo,
            "plants": self.plants,
            "published": None if published is None else {"objective": published.objective, "plants": published.plants},
            **{key: data[key] for key in ("flows", "prices", "size", "seconds", "solver")},
        }


@cache
def published_optima() -> dict[str, PublishedOptimum]:
    """Table 4.7 by scenario."""
    return {
        row["scenario"]: PublishedOptimum(
            row["title"], float(row["objective"]), {site: float(row[site]) for site in SITES}
        )
        for row in mars_data("table_4_7")
    }


def solve_mars(scenario: MarsScenario | None = None, solver: str = "highs") -> MarsResult:
    """Minimise the mass at KSC in a scenario (the baseline if not given)."""
    scenario = scenario or MarsScenario()
    return MarsResult(scenario, solve_network(mars_network(scenario), form="literal", solver=solver))


def table_4_7(results: Iterable[MarsResult]) -> pd.DataFrame:
    """Optima beside the published ones: a row per scenario, masses in kg."""
    import pandas as pd

    rows = []
    for result in results:
        published = result.published
        row = {
            "scenario": result.scenario.name,
            "objective": result.objective,
            "published": np.nan if published is None else published.objective,
            "imleo": result.imleo,
        }
        for site in SITES:
            row[site] = result.plants[site]
            row[f"{site} published"] = np.nan if published is None else published.plants[site]
        rows.append(row)
    return pd.DataFrame(rows)


def arrivals(result: MarsResult) -> pd.DataFrame:
    """Arrivals on the transport arcs in the form of Table 4.2: a row per arc, a column per commodity, kg."""
    import pandas as pd

    network = result.solution.network
    flow = result.solution.flows.in_
    used = np.flatnonzero(~network.loops & (flow.sum(axis=1) > 0.5))
    frame = pd.DataFrame(np.round(flow[used]) + 0.0, columns=network.commodities)
    frame.insert(0, "arc", [network.arcs[a] for a in used])
    return frame


def sweep(
    parameter: Parameter, values: Iterable[float], scenario: MarsScenario | None = None, solver: str = "highs"
) -> pd.DataFrame:
    """Optimum against production rate (Figure 4-17) or lifetime (Figure 4-16): value, objective, imleo, plants, kg."""
    import pandas as pd

    base = scenario or MarsScenario()
    rows = []
    for value in values:
        result = solve_mars(base.replace(**{parameter: float(value)}), solver)
        rows.append({parameter: value, "objective": result.objective, "imleo": result.imleo, **result.plants})
    return pd.DataFrame(rows)


def published_arrivals(network: Network) -> tuple[Array, Mask]:
    """Table 4.2 as arrivals x⁻ on the transport arcs, (arcs, k), kg, and which of them it prints, (arcs,)."""
    arrivals = np.zeros((network.n_arcs, network.k))
    printed = np.zeros(network.n_arcs, dtype=bool)
    for row in mars_data("table42"):
        aero = " aero" if row["mode"] == "aero" else ""
        arc = network.arc(f"{row['origin']}→{row['dest']} {row['engine']}{aero}")
        printed[arc] = True
        for i, commodity in enumerate(network.commodities):
            arrivals[arc, i] = float(row[commodity])
    return arrivals, printed


def distance_to_published_flows(scenario: MarsScenario | None = None, rounding: float = 0.5) -> float:
    """By how much Table 4.2 must be moved beyond its rounding to be a solution, kg (sum over all its cells).

    The arrivals of printed arcs may differ from the table by ``rounding``, those of all other transport arcs are
    zero; loops are free, since the table does not print them. Zero means that the published flows are feasible.
    """
    from stochisru.networks.assembly import assemble
    from stochisru.programs.sparse import ProgramBuilder, solve

    network = mars_network(scenario)
    arrivals, printed = published_arrivals(network)
    free = network.loops
    network = network.closed(np.flatnonzero(~printed & ~free))
    assembly = assemble(network, form="literal")
    program = assembly.program
    builder = ProgramBuilder("Table 4.2", "minimise")
    x = builder.variables("x", program.shape[1], lower=program.lower, upper=program.upper)
    cells = np.flatnonzero(np.repeat(printed, network.k))
    over = builder.variables("over", cells.size, lower=0.0, upper=np.inf, objective=1.0)
    under = builder.variables("under", cells.size, lower=0.0, upper=np.inf, objective=1.0)
    matrix = program.matrix.tocoo()
    row, column = (c.astype(np.int64) for c in matrix.coords)
    builder.rows("network", program.row_lower, program.row_upper, (row, x.index[column], matrix.data))
    each = np.arange(cells.size)
    table = arrivals.ravel()[cells]
    arriving = x.index[program.columns["x_in"].span][cells]
    builder.rows(
        "cells", table - rounding, table + rounding, (each, arriving, 1.0), (each, over.index, -1.0),
        (each, under.index, 1.0),
    )  # fmt: skip
    return solve(builder.build()).objective
