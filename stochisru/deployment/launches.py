"""Costs of launching that are not linear: whole modules, and a fixed cost per campaign."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scenario_trees.sampling import SAMPLERS
from stochisru.case import DeploymentCase
from stochisru.deployment.operations import discount_factors
from stochisru.errors import InputError
from stochisru.metrics import Estimate, mean_estimate
from stochisru.simulation import simulate_panel
from stochisru.strategies.protocol import Observation, Strategy

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Launches:
    """What a launch costs beyond its mass.

    Attributes
    ----------
    lot
        Mass of a module, kg: a deployment is a whole number of them. None for any mass.
    fixed_cost
        Cost of a campaign, $ of its year: charged in every year in which plant arrives.

    Raises
    ------
    InputError
        If a number is out of range.
    """

    lot: float | None = None
    fixed_cost: float = 0.0

    def __post_init__(self) -> None:
        if self.lot is not None and not (math.isfinite(self.lot) and self.lot > 0):
            raise InputError(f"lot: must be a finite number > 0, got {self.lot!r}")
        if not (math.isfinite(self.fixed_cost) and self.fixed_cost >= 0):
            raise InputError(f"fixed_cost: must be a finite number >= 0, got {self.fixed_cost!r}")

    def __str__(self) -> str:
        lots = [] if self.lot is None else [f"modules of {self.lot:g} kg"]
        fixed = [] if self.fixed_cost == 0 else [f"{self.fixed_cost:,.0f} $ per campaign"]
        return " and ".join([*lots, *fixed]) or "nothing"

    def worth(self, case: DeploymentCase, strategy: Strategy, *, paths: int, seed: int, confidence: float) -> Estimate:
        """Mean NPV of a strategy that is rounded up to whole modules and pays for its campaigns, $."""
        flown = strategy if self.lot is None else InLots(strategy, self.lot)
        sampler = SAMPLERS["antithetic"]
        panel = simulate_panel(case, [flown], paths=paths, seed=seed, sampler=sampler)
        cash = panel["cash"].to_numpy()[0] - self.fixed_cost * (panel["deployment"].to_numpy()[0] > 0)
        return mean_estimate(cash @ discount_factors(case), sampler.units(paths), confidence)


@dataclass(frozen=True)
class InLots:
    """A strategy whose deployments are rounded up to whole modules."""

    strategy: Strategy
    lot: float

    @property
    def name(self) -> str:
        """Name of the strategy."""
        return self.strategy.name

    def _whole(self, mass: Array) -> Array:
        return np.asarray(np.ceil(mass / self.lot - 1e-9) * self.lot)  # rounding is no reason for one more

    def start(self, case: DeploymentCase) -> Array:
        """Deployments at the root in whole modules."""
        return self._whole(self.strategy.start(case))

    def order(self, observation: Observation) -> Array:
        """The order in whole modules."""
        return self._whole(self.strategy.order(observation))

    def describe(self, case: DeploymentCase) -> str:
        """The rule as one sentence."""
        return f"{self.strategy.describe(case).rstrip('.')}, rounded up to modules of {self.lot:g} kg."
