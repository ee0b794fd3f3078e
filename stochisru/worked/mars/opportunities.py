"""Chickens before they hatch: the Mars network over several launch opportunities.

The static network lets a plant feed the flight that brings it. Here every launch opportunity is a step: within a step
everything flies as in the static network, but what a plant makes, and the plant itself, are there only at the next
opportunity, 26 months later. A share ``Δ/lifetime`` of a plant wears out from one opportunity to the next, so that it
makes as much in its whole life as the static one. Anything but people may be left where it is until then, propellants
boil off meanwhile.

The optimum lies between the static one (no waiting, and the plants work at once) and the one without plants, which it
equals with a single opportunity.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from stochisru.errors import InputError, require_integer
from stochisru.files import plainly
from stochisru.networks.events import BoilOff, Production, compose
from stochisru.networks.network import Network
from stochisru.networks.solution import NetworkSolution, solve_network
from stochisru.networks.time_expansion import TimeExpandedNetwork, expand, with_storage
from stochisru.worked.mars.network import SITES, MarsScenario, mars_network, parameters

if TYPE_CHECKING:
    import pandas as pd

#: Days from one launch opportunity to Mars to the next (synodic period).
SYNODIC_DAYS = 779.94
_DAYS_PER_YEAR = 365.25
_PEOPLE = ("crew", "crewRe")


@dataclass(frozen=True, eq=False)
class OpportunitiesResult:
    """Optimum over several launch opportunities."""

    scenario: MarsScenario
    missions: tuple[int, ...]
    expanded: TimeExpandedNetwork
    solution: NetworkSolution

    @property
    def objective(self) -> float:
        """Mass that leaves KSC over all opportunities, kg (minimised)."""
        return self.solution.objective

    @property
    def schedule(self) -> pd.DataFrame:
        """Per opportunity: mass at KSC, and plant that lands and that works until the next one, by site, kg."""
        import pandas as pd

        base, flows = self.expanded.base, self.solution.flows
        at = np.array([self.expanded.departure, self.expanded.arc])
        plant = base.commodity("plant")
        rows = []
        for step in range(self.expanded.steps):
            now = at[0] == step
            row: dict[str, Any] = {
                "opportunity": step,
                "mass at KSC": float(flows.out[now & (base.tail[at[1]] == base.node("KSC"))].sum()),
            }
            for site in SITES:
                landing = now & (base.head[at[1]] == base.node(site)) & ~base.loops[at[1]]
                working = now & (at[1] == base.arc(f"{site} plant"))
                row[f"{site} lands"] = float(flows.in_[landing, plant].sum())
                row[f"{site} works"] = float(flows.out[working, plant].sum())
            rows.append(row)
        return pd.DataFrame(rows)

    @plainly
    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        data = self.solution.to_dict()
        return {
            "scenario": self.scenario.name,
            "opportunities": self.expanded.steps,
            "missions": list(self.missions),
            "unit": "kg",
            **{key: data[key] for key in ("sense", "objective", "bounds", "termination")},
            "schedule": self.schedule,
            **{key: data[key] for key in ("size", "seconds", "solver")},
        }


#: Eight take about a minute, and each more adds less.
MOST_OPPORTUNITIES = 8


def opportunities_network(
    scenario: MarsScenario | None = None,
    opportunities: int = 3,
    missions: Sequence[int] | None = None,
    days: float = SYNODIC_DAYS,
) -> TimeExpandedNetwork:
    """The Mars network over launch opportunities ``days`` apart.

    Parameters
    ----------
    missions
        Opportunities at which a crew flies; the last one if not given.
    """
    if not days > 0:
        raise InputError(f"days: must be > 0, got {days}")
    require_integer("opportunities", opportunities, 1, MOST_OPPORTUNITIES)
    scenario = scenario or MarsScenario()
    base = _with_waiting(_with_lasting_plants(mars_network(scenario), scenario, days), scenario, days)
    return expand(base, opportunities, demand_steps=[opportunities - 1] if missions is None else missions)


def solve_opportunities(
    scenario: MarsScenario | None = None,
    opportunities: int = 3,
    missions: Sequence[int] | None = None,
    days: float = SYNODIC_DAYS,
    solver: str = "highs",
) -> OpportunitiesResult:
    """Minimise the mass at KSC over all launch opportunities."""
    scenario = scenario or MarsScenario()
    expanded = opportunities_network(scenario, opportunities, missions, days)
    flown = (opportunities - 1,) if missions is None else tuple(missions)
    return OpportunitiesResult(
        scenario, flown, expanded, solve_network(expanded.network, form="literal", solver=solver)
    )


def _with_lasting_plants(network: Network, scenario: MarsScenario, days: float) -> Network:
    """Plants that work from one opportunity to the next and then are still there, but for their wear."""
    years = days / _DAYS_PER_YEAR
    worn = min(1.0, years / scenario.lifetime) if scenario.lifetime > 0 else 1.0
    worked = min(years, scenario.lifetime)
    transformation, duration = network.transformation.copy(), network.duration.copy()
    for site in SITES:
        arc = network.arc(f"{site} plant")
        event = Production(
            "plant",
            {"oxygen" if site == "GC" else "water": scenario.isru_rate * worked},
            {"maintenance": parameters()["maint_rate"] * worked},
            remains=1 - worn,
        )
        transformation[arc], duration[arc] = compose([event], network.commodities), 1.0
    return network.replace(transformation=transformation, duration=duration)


def _with_waiting(network: Network, scenario: MarsScenario, days: float) -> Network:
    """Storage everywhere and for everything but people, until the next opportunity."""
    rates = {c: scenario.boil_off * parameters()[key] for c, key in (("hydrogen", "boil_h2"), ("oxygen", "boil_o2"))}
    waiting = []
    for node in network.nodes:
        factor = scenario.reading.stay_boil_factor if node == "GC" else 1.0
        waiting.append(compose([BoilOff({c: factor * r for c, r in rates.items()}, days)], network.commodities))
    limit = np.full((network.n_nodes, network.k), scenario.flow_limit)
    limit[:, [network.commodity(c) for c in _PEOPLE]] = 0.0
    return with_storage(network, network.nodes, np.array(waiting), limit)
