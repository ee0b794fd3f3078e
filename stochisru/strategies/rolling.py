"""The rolling-horizon strategy: each year solve a small tree from the present state and take its first decision.

The tree looks ``look_ahead`` years beyond today with the same branches every year, so it recombines and is solved as a
lattice, exactly and without a solver, whatever its number of scenarios. Every kilogram of plant is an option of its own
(`stochisru.deployment.lattice_layers`), so the first order raises the plant of year t + L to a level that does not
depend on the plant there is: one solve per year serves all paths where the value scales with demand, and a solve on
each point of a grid of demand, interpolated in between, where a limit on supply from Earth keeps it from scaling.

Nothing beyond the look-ahead has a value, so a short one orders too little and too late.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from scenario_trees.lattice import MarkovLattice
from scenario_trees.process import GeometricBrownianMotion
from scenario_trees.quantization import QUANTIZATIONS
from stochisru.case import DeploymentCase
from stochisru.deployment.lattice_layers import LatticeLayers
from stochisru.deployment.unit_value import scales_with_demand
from stochisru.errors import InputError
from stochisru.strategies.protocol import Observation

Array = NDArray[np.float64]

#: Grid of log demand, in standard deviations of D_t, on which levels are tabulated under a limit from Earth.
_GRID = np.linspace(-6.0, 6.0, 49)


@dataclass(frozen=True)
class RollingHorizon:
    """Re-solve a small tree every year.

    Parameters
    ----------
    look_ahead
        Years that the tree of a year looks ahead, ≥ 1 and ≥ the lead time of the case; never beyond year T.
    branches
        Branches a year, ≥ 1.
    quantization
        Growth factors of the branches, by name.
    """

    look_ahead: int = 15
    branches: int = 3
    quantization: str = "gauss-hermite"
    name: str = "rolling"

    def __post_init__(self) -> None:
        for field, value in (("look_ahead", self.look_ahead), ("branches", self.branches)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise InputError(f"{field}: must be an integer >= 1, got {value!r}")
        if self.quantization not in QUANTIZATIONS:
            raise InputError(f"quantization: must be one of {', '.join(QUANTIZATIONS)}, got {self.quantization!r}")

    def _require(self, case: DeploymentCase) -> None:
        if self.look_ahead < case.horizon.lead_time:
            raise InputError(
                f"look_ahead: must be >= the lead time, {case.horizon.lead_time}, or no order ever serves a demand "
                f"that is looked at; got {self.look_ahead}"
            )

    def lattice(self, case: DeploymentCase, year: int, demand: float) -> MarkovLattice:
        """The tree of ``year``, recombined, from a demand of ``demand`` kg/yr."""
        process = GeometricBrownianMotion(demand, case.demand.mu, case.demand.sigma)
        horizon = min(self.look_ahead, case.horizon.T - year)
        return MarkovLattice.from_growth(process, horizon, self.branches, QUANTIZATIONS[self.quantization])

    def start(self, case: DeploymentCase) -> Array:
        """First deployments of the tree of year 0."""
        self._require(case)
        lattice = self.lattice(case, 0, case.demand.D0)
        return LatticeLayers(case.replace(T=lattice.horizon), lattice).best().root

    def order(self, observation: Observation) -> Array:
        """First order of the tree of this year."""
        demand = observation.demand[-1]
        place, ratio = _levels(self, observation.case, observation.year)
        level = (ratio[0] if ratio.size == 1 else np.interp(np.log(demand), place, ratio)) * demand
        return np.asarray(np.maximum(level - observation.projected(), 0.0))

    def describe(self, case: DeploymentCase) -> str:
        """The rule as one sentence."""
        return (
            f"Each year solve a tree of {self.branches} branches a year over the next {self.look_ahead} years and "
            "place its first order."
        )


@lru_cache(maxsize=1024)
def _levels(rule: RollingHorizon, case: DeploymentCase, year: int) -> tuple[Array, Array]:
    """Log demand, and plant in year + L per unit of today's demand, at the points that are solved."""
    lead = case.horizon.lead_time
    demand = np.array([case.demand.D0])
    if not scales_with_demand(case):
        spread = case.demand.sigma * np.sqrt(year)
        middle = np.log(case.demand.D0) + (case.demand.mu - 0.5 * case.demand.sigma**2) * year
        demand = np.exp(middle + spread * _GRID) if spread > 0 else np.exp([middle])
    only_now = np.arange(lead + 1) == lead  # what was ordered before is on its way and is no decision of today
    levels = []
    for d in demand:
        lattice = rule.lattice(case, year, float(d))
        today = case.replace(T=lattice.horizon, D0=float(d), M0=0.0)
        levels.append(float(LatticeLayers(today, lattice).best(only_now).root[lead]) / d)
    return np.log(demand), np.array(levels)
