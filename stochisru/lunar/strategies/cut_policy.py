"""A strategy that evaluates cuts: for lead times at which the level depends on the plants on order.

Values scale with demand: at demand D, between the lattice's D_i and D_{i+1}, the plants on order are multiplied by
D_i/D, the level of state i is read off its cuts and multiplied by D/D_i; likewise for i + 1; the two are interpolated
in the logarithm of demand; see `stochisru.lunar.strategies.places.between` for the rest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scenario_trees.arrays import Array
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.cut_plan import CutPlan
from stochisru.lunar.strategies.places import between
from stochisru.lunar.strategies.protocol import Observation, believed, ignored_by, require_made_for


@dataclass(frozen=True, eq=False)
class CutPolicy:
    """Order up to the level that the cuts of the neighbouring states give."""

    plan: CutPlan
    name: str = "sddp"

    def start(self, case: DeploymentCase) -> Array:
        """Root deployments of the plan."""
        require_made_for(self.name, "lattice", self.plan.case, self.plan.lattice.origin, case)
        return self.plan.root

    def order(self, observation: Observation) -> Array:
        """Order what is missing of the level."""
        demand, year = observation.demand[-1], observation.year
        lattice = self.plan.lattice
        values = lattice.values[year]
        kept = 1 - observation.case.technology.degradation
        passing = np.empty(observation.pipeline.shape)
        left = observation.plant
        for k, arriving in enumerate(observation.pipeline):
            passing[k] = left = kept * left + arriving
        level = np.zeros(demand.size)
        below, above, part = between(lattice.known(year), demand, observation.today(lattice.names[1:]))
        for state, share in ((below, 1 - part), (above, part)):
            share = np.where((demand > 0) & (values[state] > 0), share, 0.0)
            for i in np.unique(state[share > 0]):
                here = (state == i) & (share > 0)
                ratio = values[i] / demand[here]
                level[here] += share[here] * self.plan.level(year, int(i), passing[:, here] * ratio) / ratio
        return np.maximum(level - observation.projected(), 0.0)

    def describe(self, case: DeploymentCase) -> str:
        """The rule as one sentence."""
        return (
            "Order up to the level at which another kilogram is worth its price by the cuts of SDDP, "
            f"from a lattice of up to {max(self.plan.lattice.sizes):,} states a year"
            f"{believed(self.plan.lattice.origin)}{ignored_by(case)}"
        )
