"""The value of information and of flexibility on the demand process itself, for any horizon.

Where the exact policy exists (linear costs, no limit on supply from Earth) every value but wait-and-see is exact up to
the stated error of integration, so T = 50 takes about a second. Wait-and-see is simulated with the exact policy as
control variate: its value is known, so

    EVPI = E[NPV with perfect information − NPV of the exact policy]

is estimated from paired differences and WS = RP + EVPI. The value of flexibility is decomposed into options:

    flexibility = RP − fixed = (single − fixed) + (RP − single) = value of deferring + value of staging,

with ``single`` the best single deployment whose time and size may wait (`stochisru.deployment.single_deployment`), and
beside them the value of Earth supply as a back-up: RP less RP where Earth supplies nothing and all that plants cannot
serve is short.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from stochisru.case import DeploymentCase
from stochisru.deployment.layers import OpenLoopPlan
from stochisru.deployment.root_plan import (
    expected_value_plan_on_process,
    fixed_design_on_process,
    plan_value_on_process,
    static_plan_on_process,
)
from stochisru.deployment.single_deployment import single_deployment
from stochisru.deployment.unit_value import UnitValue
from stochisru.methods.result import ROUNDING, Bounds, Result, require_order
from stochisru.methods.threshold import ThresholdPlan, threshold

#: Differences and the two values each is made of: high less low.
DIFFERENCES = {
    "vss": ("rp", "eev"),
    "vms": ("rp", "static"),
    "flexibility": ("rp", "fixed"),
    "defer": ("single", "fixed"),
    "staging": ("rp", "single"),
    "earth_backup": ("rp", "no_earth"),
}


@dataclass(frozen=True, eq=False)
class ExactValues:
    """Values of a case on its demand process, each computed when asked for; $ (maximised).

    Raises
    ------
    InputError
        If the exact policy does not exist for the case.
    """

    case: DeploymentCase

    def __post_init__(self) -> None:
        UnitValue.of(self.case)  # refuses what is not exact at once

    @cached_property
    def recourse(self) -> Result[ThresholdPlan]:
        """The exact policy."""
        return threshold(self.case)

    @cached_property
    def _flows(self) -> float:
        return UnitValue.of(self.case).without_plants()

    def _exact(self, value: float) -> Bounds:
        return Bounds.exact(value, self._flows)

    @property
    def rp(self) -> Bounds:
        """Recourse problem: the multistage optimum."""
        return self.recourse.bounds

    @cached_property
    def static_plan(self) -> OpenLoopPlan:
        """Best plan with all ΔM_t decided at the root."""
        return static_plan_on_process(self.case)

    @cached_property
    def fixed_plan(self) -> OpenLoopPlan:
        """Best single ΔM_0."""
        return fixed_design_on_process(self.case)

    @cached_property
    def expected_plan(self) -> OpenLoopPlan:
        """Optimum of the mean path."""
        return expected_value_plan_on_process(self.case)

    @property
    def static(self) -> Bounds:
        """Value of the static plan."""
        return self._exact(self.static_plan.value)

    @property
    def fixed(self) -> Bounds:
        """Value of the fixed design."""
        return self._exact(self.fixed_plan.value)

    @property
    def ev(self) -> Bounds:
        """EV: optimum of the mean path."""
        return self._exact(self.expected_plan.value)

    @cached_property
    def eev(self) -> Bounds:
        """EEV: the mean path's plan held on every path."""
        return self._exact(plan_value_on_process(self.case, self.expected_plan.deployment))

    @cached_property
    def single(self) -> Bounds:
        """Best single deployment whose time and size may wait."""
        found = single_deployment(self.case)
        return Bounds(found.value - found.error, found.value + found.error, certified=False, flows=self._flows)

    @cached_property
    def no_earth(self) -> Bounds:
        """RP where Earth supplies nothing."""
        return threshold(self.case.replace(earth_limit=0.0)).bounds

    @property
    def vss(self) -> Bounds:
        """RP − EEV."""
        return self.rp.minus(self.eev)

    @property
    def vms(self) -> Bounds:
        """RP − static plan."""
        return self.rp.minus(self.static)

    @property
    def flexibility(self) -> Bounds:
        """RP − fixed design."""
        return self.rp.minus(self.fixed)

    @property
    def defer(self) -> Bounds:
        """Value of deferring the start: single − fixed."""
        return self.single.minus(self.fixed)

    @property
    def staging(self) -> Bounds:
        """Value of staging: RP − single."""
        return self.rp.minus(self.single)

    @property
    def earth_backup(self) -> Bounds:
        """Value of Earth supply as a back-up: RP − RP without it."""
        return self.rp.minus(self.no_earth)

    def point(self, name: str) -> float:
        """Middle of the bracket of one value, or the difference of two such."""
        if name in DIFFERENCES:
            high, low = DIFFERENCES[name]
            difference = self.point(high) - self.point(low)
            return difference if abs(difference) > ROUNDING * self._flows else 0.0
        bounds: Bounds = getattr(self, name)
        return 0.5 * (bounds.lower + bounds.upper)

    def check_order(self) -> None:
        """Check EEV ≤ static ≤ RP and fixed ≤ single ≤ RP, fixed ≤ static; `BoundsError` otherwise."""
        pairs = (("eev", "static"), ("static", "rp"), ("fixed", "static"), ("fixed", "single"), ("single", "rp"))
        for low, high in pairs:
            below, above = getattr(self, low), getattr(self, high)
            require_order(low, below.lower, high, above.upper, self._flows)


def exact_values(case: DeploymentCase) -> ExactValues:
    """Exact values of a case on its demand process.

    Raises
    ------
    InputError
        If the exact policy does not exist for the case.

    Examples
    --------
    >>> from stochisru import load_case
    >>> from stochisru.process_value import exact_values
    >>> values = exact_values(load_case("contested-market").replace(T=30))
    >>> for name in ("flexibility", "defer", "staging"):
    ...     print(f"{name:12}{values.point(name) / 1e6:9.1f} $ million")
    flexibility    1077.6 $ million
    defer           443.5 $ million
    staging         634.1 $ million
    """
    return ExactValues(case)
