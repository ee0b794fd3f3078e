"""The value of information and of flexibility on the demand process itself, for any horizon.

Where the exact policy exists (linear costs, no limit on supply from Earth) every value but wait-and-see is exact up to
the stated error of integration, so T = 50 takes about a second. Wait-and-see is simulated with the exact policy as
control variate: its value is known, so

    EVPI = E[NPV with perfect information − NPV of the exact policy]

is estimated from paired differences and WS = RP + EVPI. Both are cut at ends that are exact: the optimum without lead
time, which knows less, and that of the mean path (Jensen). Where tails are too heavy for an interval these alone are
left. Elsewhere RP is a bracket: the simulated value of a policy
below, an upper bound that holds for the process above (`stochisru.lunar.values.simulated`). The value of flexibility is
decomposed into options:

    flexibility = RP − fixed = (single − fixed) + (RP − single) = value of deferring + value of staging,

with ``single`` the best single deployment whose time and size may wait (`stochisru.lunar.exact.single_deployment`), and
beside them the value of Earth supply as a back-up: RP less RP where Earth supplies nothing and all that plants cannot
serve is short.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from scenario_trees.processes import GeometricBrownianMotion
from scenario_trees.protocols import Sampler
from stochisru.errors import InputError
from stochisru.files import plainly
from stochisru.lunar.case import DeploymentCase, require_case
from stochisru.lunar.comparison import compared
from stochisru.lunar.exact.layers import OpenLoopPlan
from stochisru.lunar.exact.root_plan import (
    expected_value_plan_on_process,
    fixed_design_on_process,
    plan_value_on_process,
    static_plan_on_process,
)
from stochisru.lunar.exact.single_deployment import single_deployment
from stochisru.lunar.exact.threshold import ThresholdPlan, threshold
from stochisru.lunar.exact.unit_value import UnitValue
from stochisru.lunar.simulation.outcome import demand_kurtosis
from stochisru.lunar.solving import has_exact_policy
from stochisru.lunar.tables.case import GeneralCase, is_general
from stochisru.lunar.values.general import PATHS, general_values
from stochisru.lunar.values.on_paths import path_values
from stochisru.lunar.values.simulated import PolicyValues, ProcessValue, policy_values
from stochisru.lunar.values.table import DIFFERENCES as _ON_TREES
from stochisru.lunar.values.table import MEANING, Differences
from stochisru.methods.result import ROUNDING, Bounds, Kind, Of, Result, require_order, versions
from stochisru.protocols import Plan
from stochisru.shown import Shown
from stochisru.simulation.estimators import why_no_mean
from stochisru.simulation.sampling import Sampling
from stochisru.values import entries

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

#: Paths of a base case where none are asked for.
_PATHS = 16_384
#: Differences and the two values each is made of: high less low.
DIFFERENCES = {
    **_ON_TREES,
    "defer": ("single", "fixed"),
    "staging": ("rp", "single"),
    "earth_backup": ("rp", "no_earth"),
}


@dataclass(frozen=True, eq=False)
class ExactValues(Differences):
    """Values of a case on its demand process, each computed when asked for; $ (maximised).

    Raises
    ------
    InputError
        If the exact policy does not exist for the case.
    """

    case: DeploymentCase

    def __post_init__(self) -> None:
        require_case(self.case)
        UnitValue.of(self.case)  # refuses what is not exact at once

    @cached_property
    def recourse(self) -> Result[ThresholdPlan]:
        """The exact policy."""
        return threshold(self.case)

    @cached_property
    def _flows(self) -> float:
        return UnitValue.of(self.case).without_plants()

    def _exact(self, value: float) -> Bounds:
        return Bounds.point(value, Kind.EXACT, Of.PROCESS, self._flows)

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
    def nothing(self) -> Bounds:
        """No deployment at all."""
        return self._exact(plan_value_on_process(self.case, np.zeros(self.case.horizon.T + 1)))

    @cached_property
    def single(self) -> Bounds:
        """Best single deployment whose time and size may wait."""
        found = single_deployment(self.case)
        return Bounds(found.value - found.error, found.value + found.error, Kind.EXACT, Of.PROCESS, self._flows)

    @cached_property
    def no_earth(self) -> Bounds:
        """RP where Earth supplies nothing."""
        return threshold(self.case.replace(earth_limit=0.0)).bounds

    @cached_property
    def around_foresight(self) -> tuple[float, float]:
        """Exact ends around WS, $: RP without lead time knows less, and NPV is concave in demand (EV, by Jensen)."""
        lead = self.case.horizon.lead_time
        floor = self.rp.lower if lead == 0 else threshold(self.case.replace(lead_time=0)).bounds.lower
        ceiling = self.ev.upper + ROUNDING * self._flows
        require_order("RP without lead time", floor, "EV", ceiling, self._flows)
        return floor, max(floor, ceiling)

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
        if isinstance(name, str) and name in DIFFERENCES:
            return self._apart(*DIFFERENCES[name], self._flows)
        bounds = self.bracket(name)
        return 0.5 * (bounds.lower + bounds.upper)

    def check_order(self) -> None:
        """Check EEV ≤ static ≤ RP and nothing ≤ fixed ≤ single ≤ RP, fixed ≤ static; `BoundsError` otherwise."""
        pairs = [("eev", "static"), ("static", "rp"), ("fixed", "static"), ("fixed", "single"), ("single", "rp")]
        pairs.append(("nothing", "fixed"))
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
    >>> from stochisru.lunar.values.process import exact_values
    >>> values = exact_values(load_case("contested-market").replace(T=30))
    >>> for name in ("flexibility", "defer", "staging"):
    ...     print(f"{name:12}{values.point(name) / 1e6:9.1f} $ million")
    flexibility    1077.6 $ million
    defer           443.5 $ million
    staging         634.1 $ million
    """
    return ExactValues(case)


_OPTIONS = {
    "single": "best single deployment whose time and size may wait for demand",
    "no_earth": "recourse problem without supply from Earth",
    "defer": "value of deferring the start, single − fixed",
    "staging": "value of staging, RP − single",
    "earth_backup": "value of Earth supply as a back-up, RP − RP without it",
}
_ORDER = (
    "ws rp static fixed single nothing no_earth ev eev evpi vss vms scheduling flexibility defer staging earth_backup"
)
#: All values in the order of the report.
_MEANING = {name: (MEANING | _OPTIONS)[name] for name in _ORDER.split()}


@dataclass(frozen=True, eq=False, repr=False)
class ProcessValues(Shown):
    """All values of a case on its demand process, $ (maximised).

    Attributes
    ----------
    values
        By name, in the order of the report. What has no closed form and no simulated bracket for the case is missing.
    recourse
        The plan behind ``rp``: the exact policy, or the best policy at hand (see `stochisru.lunar.values.simulated`).
    paths
        Fresh paths behind the simulated values.
    foresight_paths
        Paths behind ``ws`` and ``evpi``.
    foresight
        The problem whose perfect information ``ws`` is: ``case``, or ``linear relaxation`` where it is not solved for
        the case itself; ``ws`` then bounds RP but is no more than an upper bound on the case's own WS.
    """

    case: DeploymentCase | GeneralCase
    values: Mapping[str, ProcessValue]
    recourse: Result[Plan]
    paths: int
    foresight_paths: int
    foresight: str
    seed: int
    sampler: str
    confidence: float

    @property
    def base(self) -> DeploymentCase:
        """The case where it is a base one; `InputError` where it says more."""
        require_case(self.case)
        assert isinstance(self.case, DeploymentCase)
        return self.case

    @property
    def exact(self) -> bool:
        """Whether ``rp`` is the optimum itself, not a bracket."""
        return self.method == "threshold" if is_general(self.case) else has_exact_policy(self.case)

    @property
    def method(self) -> str:
        """Method of the plan behind ``rp``; exact for this case only where `exact` is true."""
        return self.recourse.method

    @property
    def decision(self) -> dict[str, Any]:
        """What to commit now, ΔM_0..ΔM_L (kg), and the rule that the plan follows after it.

        Of several technologies it has a table for each by its name.
        """
        policy, first = self.recourse.policy(), self.recourse.first_stage
        if is_general(self.case):
            first, rule = self.case.first_stage(first), policy.describe()
        else:
            rule = policy.describe(self.case)
        return {**first, "rule": rule, "method": self.method, "of": Of.PROCESS.value}

    def point(self, name: str) -> float:
        """One value, $; `InputError` where the case has none of that name."""
        if not isinstance(name, str) or name not in self.values:
            raise InputError(f"name: must be one of the case's values, {', '.join(self.values)}, got {name!r}")
        return self.values[name].value

    def plot(self) -> Figure:
        """The values as a ladder, from doing nothing to perfect information."""
        from stochisru.report.figures import value_ladder

        return value_ladder(self.to_frame().reset_index()).figure()

    def to_frame(self) -> pd.DataFrame:
        """One row per value: value, lower, upper ($), kind, of, unit, sense, meaning."""
        import pandas as pd

        rows = [
            {"quantity": name, **v.to_dict(), "unit": "$", "sense": "maximise", "meaning": _MEANING[name]}
            for name, v in self.values.items()
        ]
        return pd.DataFrame(rows).set_index("quantity")

    @plainly
    def to_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON: the keys of ``docs/cli.md``, brackets beside them."""
        points = {name: self.values[name].value if name in self.values else None for name in _MEANING}
        return {
            "case": self.case.name,
            "horizon": self.case.horizon.T,
            "unit": "$",
            **entries(Of.PROCESS, "maximise", points, self.values),
            "reacting": points["vms"],
            "certified": False,
            "method": self.method,
            "decision": self.decision,
            "foresight": self.foresight,
            "paths": self.paths,
            "foresight_paths": self.foresight_paths,
            "seed": self.seed,
            "sampler": self.sampler,
            "confidence": self.confidence,
            "versions": versions(),
        }

    def __repr__(self) -> str:
        values = ", ".join(f"{name} {v.value:,.0f}" for name, v in self.values.items())
        return f"ProcessValues({self.case.name}, T = {self.case.horizon.T}, $ of the process, maximised: {values})"


def process_values(
    case: DeploymentCase | GeneralCase,
    *,
    paths: int | None = None,
    seed: int = 0,
    sampler: Sampler | str = "sobol",
    workers: int = 1,
    confidence: float = 0.95,
) -> ProcessValues:
    """Compute all values of a case on its demand process.

    Exact where the exact policy exists, but for wait-and-see, which is simulated. With a limit on supply from Earth, or
    costs that are not linear, see `stochisru.lunar.values.simulated`; of a general case see
    `stochisru.lunar.values.general`.

    Parameters
    ----------
    paths
        Fresh paths; 16,384 if not given, and 1,024 of a general case, whose every path is a program.
    seed, sampler, workers, confidence
        Monte Carlo, see `stochisru.simulate`.

    Raises
    ------
    InputError
        If an argument is out of range.
    BoundsError
        If exact values are out of their order.

    Examples
    --------
    >>> from stochisru import load_case
    >>> from stochisru.lunar.values.process import process_values
    >>> values = process_values(load_case("lunar-reference").replace(T=30), paths=4096)
    >>> low, high = values.values["evpi"].lower, values.values["evpi"].upper
    >>> 0.9 * values.point("evpi") < low < values.point("evpi") < high
    True
    """
    if not is_general(case):
        require_case(case)
    if paths is None:
        paths = PATHS if is_general(case) else _PATHS
    sample = Sampling(paths, seed, sampler, workers, confidence).at_least(2)
    if is_general(case):
        found = general_values(case, sample)
    elif has_exact_policy(case):
        found = _exact_values(case, sample)
    elif isinstance(case.process, GeometricBrownianMotion):
        found = policy_values(case, sample)
    else:
        found = path_values(case, sample)
    values = {name: replace(found.values[name], confidence=confidence) for name in _MEANING if name in found.values}
    if not is_general(case) and case.is_certain:  # all paths are one path, and what it earns is no sample
        values = {name: replace(v, kind=Kind.EXACT) for name, v in values.items()}
    return ProcessValues(
        case=case,
        values=values,
        recourse=found.recourse,
        paths=paths,
        foresight_paths=found.foresight_paths,
        foresight=found.foresight,
        seed=seed,
        sampler=found.sampler,
        confidence=confidence,
    )


def _exact_values(case: DeploymentCase, sample: Sampling) -> PolicyValues:
    exact = exact_values(case)
    exact.check_order()
    outcome = compared(case, [exact.recourse.policy()], sample)
    assert outcome.evpi is not None  # the exact policy exists
    assert outcome.wait_and_see is not None
    error = exact.rp.upper - exact.recourse.objective
    floor, ceiling = exact.around_foresight
    ws, evpi = (ProcessValue.estimated(e, error) for e in (outcome.wait_and_see, outcome.evpi))
    above = max(0.0, floor - exact.rp.upper), max(0.0, ceiling - exact.rp.lower)
    if why_no_mean(outcome.foresight_paths, demand_kurtosis(case)):
        ws, evpi = ProcessValue.bounded(floor, ws.value, ceiling), ProcessValue.bounded(above[0], evpi.value, above[1])
    found = {"ws": ws.within(floor, ceiling), "evpi": evpi.within(*above)}
    for name in _MEANING:
        if name not in found:
            bounds, value = exact.bracket(name), exact.point(name)
            found[name] = ProcessValue(value, min(bounds.lower, value), max(bounds.upper, value), Kind.EXACT)
    return PolicyValues(found, exact.recourse, outcome.foresight_paths, "case", outcome.simulation.sampler)
