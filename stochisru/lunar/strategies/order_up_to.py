"""Strategy that keeps plant in proportion to demand: an exact policy is of this form."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from scenario_trees.arrays import Array
from scenario_trees.origin import Origin
from stochisru.errors import InputError
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.strategies.protocol import Observation, ignored_by, require_process, root_years


@dataclass(frozen=True)
class OrderUpTo:
    """Raise the plant that will be in place when an order arrives to a multiple of the demand of today.

    Attributes
    ----------
    root
        ΔM_0..ΔM_min(L, T), kg.
    position
        Plant per demand, kg per kg/yr, of the orders of years 1..T − L; 0 orders nothing.
    origin
        Process of demand that it was made for, which a case must have; None for numbers of one's own.
    """

    name: str
    root: tuple[float, ...]
    position: tuple[float, ...]
    origin: Origin | None = None

    def as_belief(self) -> OrderUpTo:
        """The same rule, to be judged on any process."""
        return replace(self, origin=None)

    def _require(self, case: DeploymentCase) -> None:
        made_for = (len(self.position), len(self.root))
        T, lead = case.horizon.T, case.horizon.lead_time
        if made_for != (max(T - lead, 0), root_years(case)):
            raise InputError(
                f"strategy {self.name}: made for {made_for[1]} root deployments and {made_for[0]} later orders, "
                f"the case has T = {T} and lead time {lead}"
            )
        require_process(self.name, self.origin, case)

    def start(self, case: DeploymentCase) -> Array:
        """Root deployments."""
        self._require(case)
        return np.array(self.root)

    def order(self, observation: Observation) -> Array:
        """What is missing to this year's multiple of demand."""
        target = self.position[observation.year - 1] * observation.demand[-1]
        return np.asarray(np.maximum(target - observation.projected(), 0.0))

    def describe(self, case: DeploymentCase) -> str:
        """The rule as one sentence."""
        ordering = [k for k in self.position if k > 0]
        if not ordering:
            return f"Deploy {sum(self.root):,.0f} kg decided at the start and nothing later{ignored_by(case)}"
        low, high = (f"{1 / (case.technology.eta * k):.0%}" for k in (max(ordering), min(ordering)))
        span = low if low == high else f"{low} to {high}"
        return (
            f"Order when demand exceeds {span} of the capacity to come (by year), up to where it does not; "
            f"{len(ordering)} of {len(self.position)} years may order{ignored_by(case)}"
        )
