"""The reactive strategy: close last year's gap."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scenario_trees.arrays import Array
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.strategies.protocol import Observation, first_arrival, root_years


@dataclass(frozen=True)
class Reactive:
    """Order what the latest demand that is known, but not today's where plants arrive at once, lacks."""

    name: str = "reactive"

    def start(self, case: DeploymentCase) -> Array:
        """Serve D_0 from the first year that allows it."""
        plan = np.zeros(root_years(case))
        first = first_arrival(case)
        if first < plan.size:
            plan[first] = max(0.0, case.demand.D0 / case.technology.eta - case.technology.M0)
        return plan

    def order(self, observation: Observation) -> Array:
        """Order the gap between the demand of the year before arrival at the latest and the position."""
        case = observation.case
        known = observation.demand[-1 if case.horizon.lead_time else -2]
        return np.asarray(np.maximum(known / case.technology.eta - observation.position, 0.0))

    def describe(self, case: DeploymentCase) -> str:
        """The rule as one sentence."""
        lag = max(case.horizon.lead_time, 1)
        return f"Each year add the plant that was missing {lag} year{'s' if lag > 1 else ''} before."
