"""A strategy taken from a plan on a Markov lattice.

Values and decisions of the problem scale with demand (under a limit on supply from Earth only nearly so), and what is
carried over from the states to any demand is the ratio of the order-up-to level to the demand of the state: it is
interpolated in the logarithm of demand, kept constant beyond the outermost states, and multiplied by the demand seen;
see `stochisru.lunar.strategies.places.between` for the rest.
On the states themselves the plan is repeated.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scenario_trees.arrays import Array
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.exact.lattice_plan import LatticePlan
from stochisru.lunar.strategies.places import between
from stochisru.lunar.strategies.protocol import Observation, believed, ignored_by, require_made_for


@dataclass(frozen=True, eq=False)
class LatticePolicy:
    """Order up to the level of a lattice plan, interpolated between states."""

    plan: LatticePlan
    name: str = "lattice"

    def start(self, case: DeploymentCase) -> Array:
        """Root deployments of the plan."""
        require_made_for(self.name, "lattice", self.plan.case, self.plan.lattice.origin, case)
        return self.plan.root

    def order(self, observation: Observation) -> Array:
        """Order what is missing of the level."""
        demand, lattice, year = observation.demand[-1], self.plan.lattice, observation.year
        below, above, share = between(lattice.known(year), demand, observation.today(lattice.names[1:]))
        value, level = lattice.values[year], self.plan.levels[year - 1]
        ratio = np.divide(level, value, out=np.zeros_like(level), where=value > 0)
        own = (1 - share) * ratio[below] + share * ratio[above]
        return np.asarray(np.maximum(own * demand - observation.projected(), 0.0))

    def describe(self, case: DeploymentCase) -> str:
        """The rule as one sentence."""
        return (
            "Order up to a multiple of demand that depends on year and demand, "
            f"from a lattice of up to {max(self.plan.lattice.sizes):,} states a year"
            f"{believed(self.plan.lattice.origin)}{ignored_by(case)}"
        )
