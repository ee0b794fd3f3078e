"""A strategy taken from a plan over levels of plant on a Markov lattice.

What a path sees is mapped to the nearest state (`stochisru.lunar.strategies.places`); plant and levels are measured
against demand, as value nearly scales with it, and orders come in the nearest number of modules.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scenario_trees.arrays import Array
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.exact.level_plan import LevelPlan
from stochisru.lunar.exact.levels import shrinkage
from stochisru.lunar.strategies.places import nearest
from stochisru.lunar.strategies.protocol import Observation, believed, require_made_for


@dataclass(frozen=True, eq=False)
class LevelPolicy:
    """Raise plant to the level of the nearest state."""

    plan: LevelPlan
    name: str = "lattice"

    def start(self, case: DeploymentCase) -> Array:
        """Root deployments of the plan."""
        require_made_for(self.name, "lattice", self.plan.case, self.plan.lattice.origin, case)
        return self.plan.root

    def order(self, observation: Observation) -> Array:
        """Order what is missing of the level."""
        year, demand = observation.year, observation.demand[-1]
        lattice = self.plan.lattice
        state = nearest(lattice.known(year), demand, observation.today(lattice.names[1:]))
        levels = self.plan.problem.levels
        case = self.plan.case
        value = lattice.values[year][state]
        share = np.divide(demand, value, out=np.zeros(demand.size), where=value > 0)
        unit = shrinkage(case)[year + case.horizon.lead_time] * np.where(share > 0, share, 1.0)
        there = observation.projected()
        before = np.searchsorted((levels[1:] + levels[:-1]) / 2, there / unit)
        then = self.plan.rule.choice[year - 1][state, before]
        missing = np.where((then > before) & (share > 0), np.maximum(levels[then] * unit - there, 0.0), 0.0)
        lot = case.launch.lot
        return np.asarray(missing if lot is None else np.rint(missing / lot) * lot)

    def describe(self, case: DeploymentCase) -> str:
        """The rule as one sentence."""
        return (
            "Raise plant to a level that depends on year, demand and the plant there is, from a lattice of up to "
            f"{max(self.plan.lattice.sizes):,} states a year and {self.plan.problem.levels.size:,} levels"
            f"{believed(self.plan.lattice.origin)}."
        )
