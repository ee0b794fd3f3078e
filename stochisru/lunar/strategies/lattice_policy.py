"""A strategy taken from a plan on a Markov lattice.

Values and decisions of the problem scale with demand (under a limit on supply from Earth only nearly so), and what is
carried over from the states to any demand is the ratio of the order-up-to level to the demand of the state: it is
interpolated in the logarithm of demand, kept constant beyond the outermost states, and multiplied by the demand seen;
where beliefs are seen beside demand, it is that of the nearest state.
On the states themselves the plan is repeated.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from scenario_trees.arrays import Array
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.exact.lattice_plan import LatticePlan
from stochisru.lunar.strategies.places import OTHER_KIND, nearest, weights
from stochisru.lunar.strategies.protocol import Observation, believed, ignored_by, require_made_for


@dataclass(frozen=True, eq=False)
class LatticePolicy:
    """Order up to the level of a lattice plan, interpolated between states."""

    plan: LatticePlan
    name: str = "lattice"

    @cached_property
    def _curves(self) -> tuple[tuple[tuple[Array | None, Array, Array], ...], ...]:
        """What is seen beside demand, logarithm of demand and level per demand, for the states of stages 1..T−L."""
        lattice = self.plan.lattice
        found: list[tuple[tuple[Array | None, Array, Array], ...]] = []
        for t, level in enumerate(self.plan.levels, start=1):
            value, alive = lattice.values[t], lattice.values[t] > 0
            if lattice.others is None:
                found.append(((None, np.log(value[alive]), (level[alive] / value[alive])),))
                continue
            kinds, kind = np.unique(lattice.others[t], axis=0, return_inverse=True)
            own = [alive & (kind.reshape(-1) == k) for k in range(kinds.shape[0])]
            found.append(
                tuple(
                    (seen, np.log(value[here]), level[here] / value[here])
                    for seen, here in zip(kinds, own, strict=True)
                    if here.any()
                )
            )
        return tuple(found)

    def start(self, case: DeploymentCase) -> Array:
        """Root deployments of the plan."""
        require_made_for(self.name, "lattice", self.plan.case, self.plan.lattice.origin, case)
        return self.plan.root

    def order(self, observation: Observation) -> Array:
        """Order what is missing of the level."""
        demand, lattice, year = observation.demand[-1], self.plan.lattice, observation.year
        if lattice.others is not None and (weights(lattice.others[year]) < OTHER_KIND).any():
            state = nearest(lattice.known(year), demand, observation.beside(lattice.names[1:])[-1])
            own = self.plan.levels[year - 1] / np.maximum(lattice.values[year], 1e-300)
            return np.asarray(np.maximum(own[state] * demand - observation.projected(), 0.0))
        level = np.zeros(demand.size)  # where demand is 0, and will be
        log = np.log(np.maximum(demand, 1e-300))
        for kind, place, ratio in self._curves[year - 1]:
            here = demand > 0
            if kind is not None:
                here &= (observation.beside(lattice.names[1:])[-1] == kind).all(axis=1)
            level[here] = np.interp(log[here], place, ratio) * demand[here]
        return np.asarray(np.maximum(level - observation.projected(), 0.0))

    def describe(self, case: DeploymentCase) -> str:
        """The rule as one sentence."""
        return (
            "Order up to a multiple of demand that depends on year and demand, "
            f"from a lattice of up to {max(self.plan.lattice.sizes):,} states a year"
            f"{believed(self.plan.lattice.origin)}{ignored_by(case)}"
        )
