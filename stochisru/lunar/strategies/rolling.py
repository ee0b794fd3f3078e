"""The rolling-horizon strategy: each year solve a small tree from the present state and take its first decision.

The tree is solved exactly and without a solver, as a lattice of the values that its nodes take. Every kilogram of plant
is an option of its own (`stochisru.lunar.exact.lattice_layers`), so the first order raises the plant of year t + L to a
level that does not depend on the plant there is. Where value scales with demand so does the level: one solve serves
all paths, and all years that look equally far ahead. Where a limit on supply from Earth keeps it from scaling, each
year is solved on a grid of demand and interpolated.

Nothing beyond the look-ahead has a value, so a short one orders too little and too late; and an order meets the demand
of a node exactly, so few branches in the first years make coarse orders. Branches pay most in the first years. Modules,
fixed costs and economies of scale are ignored: the trees are those of `DeploymentCase.linear_bound`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import prod

import numpy as np

from scenario_trees.arrays import Array
from scenario_trees.lattice import MarkovLattice
from scenario_trees.processes.gbm import GeometricBrownianMotion
from scenario_trees.quantization import QUANTIZATIONS
from scenario_trees.tree import require_branching
from stochisru.errors import InputError
from stochisru.lunar.case import DeploymentCase, why_no_gbm
from stochisru.lunar.exact.lattice_layers import LatticeLayers
from stochisru.lunar.exact.unit_value import why_no_unit_value
from stochisru.lunar.operations import MeritOrder
from stochisru.lunar.strategies.protocol import Observation, ignored_by

#: Branches a year of the tree that is solved if nothing else is asked for.
ROLLING_BRANCHING = (12, 6, 3, 2)
#: Grid of log demand, in standard deviations of D_t, on which levels are tabulated under a limit from Earth.
_GRID = np.linspace(-6.0, 6.0, 25)


@dataclass(frozen=True)
class RollingHorizon:
    """Re-solve a small tree every year.

    Parameters
    ----------
    branching
        Branches of the tree in each of the years that it looks ahead, ≥ 1; at least as many years as the lead time. The
        tree of a year never goes beyond year T.
    quantization
        Growth factors of the branches, by name.
    """

    branching: tuple[int, ...] = ROLLING_BRANCHING
    quantization: str = "gauss-hermite"
    name: str = "rolling"

    def __post_init__(self) -> None:
        require_branching(self.branching)
        if self.quantization not in QUANTIZATIONS:
            raise InputError(f"quantization: must be one of {', '.join(QUANTIZATIONS)}, got {self.quantization!r}")

    def _require(self, case: DeploymentCase) -> None:
        if not isinstance(case.process, GeometricBrownianMotion):
            raise InputError(why_no_gbm(case, f"strategy {self.name}"))
        least = max(case.horizon.lead_time, 1)
        if len(self.branching) < least:
            raise InputError(
                f"branching: must look at least {least} years ahead, or no order serves a demand that is looked at; "
                f"got {len(self.branching)} years"
            )

    def lattice(self, case: DeploymentCase, ahead: int, demand: float) -> MarkovLattice:
        """The tree that looks ``ahead`` years ahead from a demand of ``demand`` kg/yr, recombined."""
        process = GeometricBrownianMotion(demand, case.demand.mu, case.demand.sigma)
        return MarkovLattice.from_growth(process, self.branching[:ahead], QUANTIZATIONS[self.quantization])

    def _ahead(self, case: DeploymentCase, year: int) -> int:
        return min(len(self.branching), case.horizon.T - year)

    def start(self, case: DeploymentCase) -> Array:
        """First deployments of the tree of year 0."""
        self._require(case)
        lattice = self.lattice(case, self._ahead(case, 0), case.demand.D0)
        return LatticeLayers(case.linear_bound.replace(T=lattice.horizon), lattice).best().root

    def order(self, observation: Observation) -> Array:
        """First order of the tree of this year."""
        case, year, demand = observation.case.linear_bound, observation.year, observation.demand[-1]
        ahead = self._ahead(case, year)
        if why_no_unit_value(case) is None:
            level = _level(self, case, ahead, case.demand.D0) / case.demand.D0 * demand
        else:
            place, ratio = _grid(self, case, year, ahead)
            level = np.interp(np.log(demand), place, ratio) * demand
        return np.asarray(np.maximum(level - observation.projected(), 0.0))

    def describe(self, case: DeploymentCase) -> str:
        """The rule as one sentence."""
        return (
            f"Each year solve a tree of {prod(self.branching):,} scenarios over the next {len(self.branching)} years "
            f"and place its first order{ignored_by(case)}"
        )


@lru_cache(maxsize=1024)
def _grid(rule: RollingHorizon, case: DeploymentCase, year: int, ahead: int) -> tuple[Array, Array]:
    """Log demand, and plant in year + L per unit of today's demand, at the points that are solved."""
    spread = case.demand.sigma * np.sqrt(year)
    middle = np.log(case.demand.D0) + (case.demand.mu - 0.5 * case.demand.sigma**2) * year
    place = middle + spread * _GRID if spread > 0 else np.array([middle])
    return place, np.array([_level(rule, case, ahead, float(d)) / d for d in np.exp(place)])


@lru_cache(maxsize=4096)
def _level(rule: RollingHorizon, case: DeploymentCase, ahead: int, demand: float) -> float:
    """Plant to have in place L years from now, kg."""
    if ahead == 0:
        return _last_level(case, demand)
    lead = case.horizon.lead_time
    only_now = np.arange(lead + 1) == lead  # what was ordered before is on its way and is no decision of today
    today = case.replace(T=ahead, D0=demand, M0=0.0)
    return float(LatticeLayers(today, rule.lattice(case, ahead, demand)).best(only_now).root[lead])


def _last_level(case: DeploymentCase, demand: float) -> float:
    """Plant that pays for itself within its first and only year, kg."""
    merit, tech = MeritOrder.of(case), case.technology

    def pays(worth: float) -> bool:
        return tech.eta * (worth - merit.idle) - case.costs.c_op > case.investment_cost

    if pays(merit.against_alternative):
        return demand / tech.eta
    return float(merit.beyond_earth(np.array(demand))) / tech.eta if pays(merit.against_shortage) else 0.0
