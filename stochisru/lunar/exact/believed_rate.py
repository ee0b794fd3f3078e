"""What planning with one fixed rate of growth is worth where the rate is unknown.

Who believes in a rate m follows the exact policy of m for good: ΔM_0..ΔM_L, then "order up to k_t·D_t", whatever
demand tells. Of each drift that may be true such a policy is valued exactly (`stochisru.lunar.exact.policy_value`), and
the prior's mean of those is its value on the process that a Bayesian expects.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from scenario_trees.arrays import Array
from stochisru.errors import InputError
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.exact.drift_layers import known_drift
from stochisru.lunar.exact.policy_value import value_on
from stochisru.lunar.exact.threshold import ThresholdPlan, threshold_plan
from stochisru.lunar.exact.threshold_recursion import COARSE, FINE, Rule, fits
from stochisru.lunar.exact.unit_value import UnitValue


@dataclass(frozen=True, eq=False)
class BelievedRate:
    """A case whose drift is one of several, for policies that take it to be one number.

    Attributes
    ----------
    case
        Linear costs, no limit on supply from Earth.
    volatility
        σ > 0.
    drifts, weights
        What may be true.
    """

    case: DeploymentCase
    volatility: float
    drifts: Array
    weights: Array

    def __post_init__(self) -> None:
        for unit in self.units:
            if not fits(unit, min(self.case.horizon.lead_time, self.case.horizon.T)):
                raise InputError(f"sigma: {self.volatility:g} is too small for the tables of an exact policy")

    @cached_property
    def units(self) -> tuple[UnitValue, ...]:
        """Unit values for each drift."""
        return tuple(UnitValue.of(known_drift(self.case, float(mu), self.volatility)) for mu in self.drifts)

    def plan(self, rate: float, rule: Rule = FINE) -> ThresholdPlan:
        """The exact policy of a rate."""
        return threshold_plan(known_drift(self.case, rate, self.volatility), rule)[0]

    def optimum(self, rate: float, rule: Rule = FINE) -> float:
        """RP where the drift is known to be this one, $."""
        return threshold_plan(known_drift(self.case, rate, self.volatility), rule)[1]

    def mean_optimum(self, rule: Rule = FINE) -> float:
        """Mean over the drifts of RP where the drift is known, $."""
        return float(self.weights @ np.array([self.optimum(float(mu), rule) for mu in self.drifts]))

    def value(self, rate: float, rule: Rule = COARSE) -> float:
        """Expected NPV of the policy of a rate, over the drifts that may be true, $."""
        plan = self.plan(rate, rule)
        worth = [value_on(self.case, unit, plan.root, plan.position, rule) for unit in self.units]
        return float(self.weights @ np.array(worth))
