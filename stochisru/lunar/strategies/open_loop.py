"""Strategies that follow a schedule, whatever demand does: upfront, gradual, and any given plan."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from scenario_trees.arrays import Array
from scenario_trees.origin import Origin
from stochisru.errors import InputError
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.strategies.protocol import Observation, first_arrival, require_process, root_years


@dataclass(frozen=True)
class Schedule:
    """A given plan ΔM_0..ΔM_T, kg.

    ``origin`` is the process of demand that it is optimal for, which a case must have; None for numbers of one's own.
    """

    name: str
    deployment: tuple[float, ...]
    origin: Origin | None = None

    def as_belief(self) -> Schedule:
        """The same plan, to be judged on any process."""
        return replace(self, origin=None)

    def plan(self, case: DeploymentCase) -> Array:
        """ΔM_t, kg, shape ``(T + 1,)``."""
        if len(self.deployment) != case.horizon.T + 1:
            raise InputError(
                f"deployment: needs {case.horizon.T + 1} values for T = {case.horizon.T}, got {len(self.deployment)}"
            )
        require_process(self.name, self.origin, case)
        return np.array(self.deployment)

    def start(self, case: DeploymentCase) -> Array:
        """First deployments of the plan."""
        return self.plan(case)[: root_years(case)]

    def order(self, observation: Observation) -> Array:
        """Next deployment of the plan."""
        arrival = observation.year + observation.case.horizon.lead_time
        return np.full_like(observation.plant, self.plan(observation.case)[arrival])

    def describe(self, case: DeploymentCase) -> str:
        """The rule as one sentence."""
        return f"Deploy {sum(self.deployment):,.0f} kg on a schedule fixed in advance."


@dataclass(frozen=True)
class Upfront(Schedule):
    """All plants at once, for the expected demand of the last year."""

    name: str = "upfront"
    deployment: tuple[float, ...] = ()

    def plan(self, case: DeploymentCase) -> Array:
        """ΔM_t, kg, shape ``(T + 1,)``."""
        plan = np.zeros(case.horizon.T + 1)
        plan[first_arrival(case)] = expected_final_need(case)
        return plan

    def describe(self, case: DeploymentCase) -> str:
        """The rule as one sentence."""
        return (
            f"Deploy in year {first_arrival(case)} all the plant that expected demand needs in year {case.horizon.T}."
        )


@dataclass(frozen=True)
class Gradual(Schedule):
    """The same total as `Upfront`, spread evenly over all years."""

    name: str = "gradual"
    deployment: tuple[float, ...] = ()

    def plan(self, case: DeploymentCase) -> Array:
        """ΔM_t, kg, shape ``(T + 1,)``."""
        plan = np.zeros(case.horizon.T + 1)
        first = first_arrival(case)
        plan[first:] = expected_final_need(case) / (plan.size - first)
        return plan

    def describe(self, case: DeploymentCase) -> str:
        """The rule as one sentence."""
        return (
            f"Deploy the plant that expected demand needs in year {case.horizon.T} in equal steps, "
            f"one in each of the years {first_arrival(case)} to {case.horizon.T}."
        )


def expected_final_need(case: DeploymentCase) -> float:
    """Plant missing to serve the expected demand of the last year, kg."""
    need = float(case.process.mean(case.horizon.T)) / case.technology.eta
    return max(0.0, need - case.technology.M0)
