"""What one kilogram of plant earns when the demand process itself, not a tree, stands for the future.

Holds for cases whose value scales with demand: linear costs and no limit on supply from Earth (or none at all). Then
capacity K earns ``a·min(K, D) − h·M`` a year beyond what it costs to serve demand without plants, so the expectation of
every kilogram is a lognormal tail. As in `stochisru.lunar.exact.layers`, plant is counted in kilograms of year 0:
``M_t = s_t·m_t`` with ``s_t = (1 − δ)^t``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from scenario_trees.arrays import Array, Index
from scenario_trees.processes.gbm import GeometricBrownianMotion
from scenario_trees.processes.jumps import JumpDiffusion
from stochisru.errors import InputError
from stochisru.lunar.case import DeploymentCase, why_no_gbm
from stochisru.lunar.operations import MeritOrder, discount_factors


def scales_with_demand(case: DeploymentCase) -> bool:
    """Whether twice the demand with twice the plant is worth twice as much.

    Costs have to be linear, and Earth without a limit, or not there at all.
    """
    merit = MeritOrder.of(case)
    if not case.is_linear:
        return False
    return not merit.limited or merit.earth_limit == 0 or merit.earth_cost == merit.shortage_cost


def why_no_unit_value(case: DeploymentCase) -> str | None:
    """Why a case with linear costs has no exact policy on its process, in one sentence, or None where it has one."""
    if not isinstance(case.process, GeometricBrownianMotion):
        return why_no_gbm(case, "an exact policy") + "; lattices and simulation take any process"
    if scales_with_demand(case):
        return None
    return (
        f"earth_limit: must be none or 0 for an exact policy, got {MeritOrder.of(case).earth_limit:g} kg/yr: with a "
        "limit the value does not scale with demand (trees, lattices and SDDP have no such rule)"
    )


@dataclass(frozen=True)
class UnitValue:
    """Unit values of a case whose value scales with demand.

    Attributes
    ----------
    worth
        a: worth of a delivered kilogram, $/kg.
    holding
        h = c_op + η·c_S: yearly cost of a kilogram of plant that delivers nothing, $/(kg yr).
    unserved
        Cost of serving a kilogram of demand without plants, $/kg.
    price
        c_I, $ per kilogram of plant.
    discount, kept
        1/(1 + r) and 1 − δ, per year.
    """

    process: GeometricBrownianMotion | JumpDiffusion  # of `YearlyUnitValue` by year as well
    years: int
    eta: float
    worth: float
    holding: float
    unserved: float
    price: float
    discount: float
    kept: float

    @classmethod
    def of(cls, case: DeploymentCase) -> UnitValue:
        """Unit values of a case.

        Raises
        ------
        InputError
            If costs are not linear, or a limit on supply from Earth makes the worth of a kilogram depend on the level
            of demand.
        """
        case.require_linear("an exact policy on the demand process")
        merit = MeritOrder.of(case)
        reason = why_no_unit_value(case)
        if reason is not None:
            raise InputError(reason)
        scarce = merit.limited and merit.earth_limit == 0
        years = np.arange(case.horizon.T + 1)
        with np.errstate(over="ignore", invalid="ignore"):
            largest = case.gbm.mean(years) * np.exp(case.demand.sigma**2 * years)
        if not np.isfinite(largest).all():
            raise InputError(
                f"mu, sigma: the moments of demand in year {case.horizon.T} must be finite numbers, "
                f"got mu = {case.demand.mu:g} and sigma = {case.demand.sigma:g}"
            )
        return cls(
            process=case.gbm,
            years=case.horizon.T,
            eta=case.technology.eta,
            worth=merit.against_shortage if scarce else merit.against_alternative,
            holding=case.costs.c_op + case.technology.eta * case.costs.c_S,
            unserved=float(merit.without_plants(np.ones(1))[0]),
            price=case.investment_cost,
            discount=float(discount_factors(case)[1]),
            kept=1 - case.technology.degradation,
        )

    def from_year(self, year: int) -> UnitValue:
        """The same from a year on, of which money and kilograms are, with a demand of 1 in it."""
        return replace(self, process=replace(self.process, initial=1.0), years=self.years - year)

    def scale(self, year: ArrayLike) -> Array:
        """s_t·(1 + r)^−t: dollars of year 0 per dollar and kilogram of year t."""
        return np.asarray((self.discount * self.kept) ** np.asarray(year, dtype=float))

    def left(self, year: ArrayLike) -> Array:
        """s_t: what is left in a year of a kilogram of year 0."""
        return np.asarray(self.kept ** np.asarray(year))

    def bill(self, year: ArrayLike) -> Array:
        """Cost of a kilogram that arrives in a year, $ of year 0; of the root's orders."""
        return np.asarray(self.price * self.discount ** np.asarray(year))

    def starting(self, year: ArrayLike) -> Array:
        """Cost of a layer that arrives in a year, $ of year 0 per kg of year 0."""
        return np.asarray(self.price * self.scale(year))

    def margin(self, year: ArrayLike, layer: ArrayLike) -> Array:
        """Expected profit in a year of the layer at ``layer`` kg, $ of year 0 per kg of year 0."""
        year = np.asarray(year, dtype=float)
        tail = self.process.exceedance(self.eta * self.kept**year * np.asarray(layer), year)
        return np.asarray(self.scale(year) * (self.eta * self.worth * tail - self.holding))

    def earned(self, year: ArrayLike, plant: ArrayLike) -> Array:
        """Expected profit in a year of all layers up to ``plant`` kg of year 0, $ of year 0."""
        year, plant = np.asarray(year, dtype=float), np.asarray(plant, dtype=float)
        served = self.process.limited_mean(self.eta * self.kept**year * plant, year)
        return np.asarray(self.discount**year * self.worth * served - self.scale(year) * self.holding * plant)

    def next_year(self, lead: int, log_ratio: Array) -> Array:
        """Expected profit in the year ``lead`` ahead of a kilogram at log y of plant over demand, $ of that year."""
        tail = self.growth_above(lead, np.log(self.eta) + log_ratio)
        return np.asarray(self.eta * self.worth * tail - self.holding)

    def growth_above(self, lead: int, log_level: Array, t: int = 0) -> Array:
        """P(ln D_{t+lead}/D_t > log_level) for logarithms of any shape; certain where ``lead`` is 0."""
        return self.process.log_growth(lead, t).above(log_level.reshape(1, -1)).reshape(log_level.shape)

    def alive(self, lead: int, t: int = 0) -> float:
        """Probability that demand of year t has not ended ``lead`` years later."""
        law = self.process.log_growth(lead, t)
        return float(law.weight[0, np.isfinite(law.log_mean[0])].sum())

    def log_ends(self, ahead: Index, t: int = 0) -> tuple[Array, Array]:
        """Ends of the logarithm of growth over some years from year t, but for 1e-17, each of shape ``(years,)``."""
        laws = [self.process.log_growth(float(h), t) for h in ahead]
        some = [(law.weight > NEGLIGIBLE) & np.isfinite(law.log_mean) for law in laws]
        low = [(law.log_mean - TAIL * law.log_sd)[those].min() for law, those in zip(laws, some, strict=True)]
        high = [(law.log_mean + TAIL * law.log_sd)[those].max() for law, those in zip(laws, some, strict=True)]
        return np.array(low), np.array(high)

    @property
    def jumps(self) -> tuple[float, ...]:
        """Logarithms of y at which profit of the present year jumps: plant is as much as demand asks for."""
        return (-float(np.log(self.eta)),)

    def without_plants(self) -> float:
        """Expected cost of serving all demand without plants, $."""
        year = np.arange(self.years + 1)
        return float(self.unserved * (self.discount**year @ self.process.mean(year)))

    def reach(self, first: int, last: int) -> tuple[float, float]:
        """Logarithms of plant over demand of today between which the layers lie that demand decides about.

        Plant is counted in kilograms of year ``first``; below the lower end it is used in every year
        ``first``..``last`` from today, above the upper end in none, but for a probability of 1e-17.
        """
        ahead = np.arange(first, last + 1)
        worn = (ahead - first) * np.log(self.kept)
        low, high = self.log_ends(ahead)
        log_eta = float(np.log(self.eta))
        margin = 1e-3  # keeps certain demand strictly inside
        return float((low - worn).min()) - log_eta - margin, float((high - worn).max()) - log_eta + margin


#: Standard deviations beyond which a normal tail (1e-17) is beyond double precision.
TAIL = 8.5
#: Probability beyond double precision.
NEGLIGIBLE = 1e-17
