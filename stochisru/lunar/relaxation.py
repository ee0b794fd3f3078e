"""Methods for linear costs where costs are not linear: what they ignore, and what their plans are worth all the same.

The exact policy and SDDP need a cost in proportion to size. They solve the problem of `DeploymentCase.linear_bound`,
in which no deployment costs more than it does and any mass may fly, so their upper bound holds for the case as well.
The plan is then judged on paths with everything that it ignored, its orders rounded up to whole modules. Where its
value without that is known exactly, only the difference is simulated: on the same paths it varies far less.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from scenario_trees.lattice import MarkovLattice
from scenario_trees.sampling import SAMPLERS
from stochisru.errors import InputError, require_confidence
from stochisru.estimate import Estimate
from stochisru.limits import Limit
from stochisru.lunar.case import DeploymentCase, require_case, why_no_case
from stochisru.lunar.cut_plan import CutPlan
from stochisru.lunar.exact.by_year import exact_policy, why_no_exact_policy
from stochisru.lunar.exact.threshold import ThresholdPlan, threshold
from stochisru.lunar.exact.unit_value import why_no_unit_value
from stochisru.lunar.simulation import npv_on_paths, simulate
from stochisru.lunar.storage import Storage
from stochisru.lunar.strategies.protocol import whole_modules
from stochisru.lunar.tables.case import GeneralCase, is_general
from stochisru.lunar.tables.in_lots import sddp_in_lots
from stochisru.lunar.trees import case_lattice
from stochisru.methods.options import NoOptions, option
from stochisru.methods.result import Bounds, Kind, Of, Reason, Result, Termination
from stochisru.methods.risk.options import RiskOptions
from stochisru.methods.sddp.method import STATES, sddp
from stochisru.problem.model import Model
from stochisru.protocols import Plan
from stochisru.simulation.estimators import mean_estimate, shifted

P = TypeVar("P", bound=Plan)


class ExactPolicy:
    """The exact policy on the process; where costs are not linear, that of the relaxation, judged with all costs."""

    name, summary, on = "threshold", "exact policy on the process", Of.PROCESS
    options = NoOptions

    def refuses(self, case: DeploymentCase | GeneralCase) -> str | None:
        """A limit on supply from Earth; of a general case what is not in proportion to demand."""
        if is_general(case):
            return why_no_exact_policy(case)
        return why_no_case(case, "threshold") or why_no_unit_value(case.linear_bound)

    def kind(self, case: DeploymentCase | GeneralCase) -> Kind:
        """Closed forms; of the relaxation's plan a simulation."""
        return Kind.EXACT if case.is_linear else Kind.STATISTICAL

    def solve(
        self,
        case: DeploymentCase | GeneralCase,
        on: None,
        options: NoOptions,
        progress: Callable[[Any], None] | None = None,
    ) -> Result[Any]:
        """Solve a problem on its process."""
        if is_general(case):
            return exact_policy(case)
        return threshold(case) if case.is_linear else threshold_ignoring(case)


@dataclass(frozen=True)
class DualDynamicOptions(RiskOptions):
    """Options of SDDP."""

    rel_gap: float = option(1e-3, "relative gap to reach", low=0.0)
    iterations: int = option(500, "stop after so many iterations", low=1)
    time_limit: float | None = option(
        None, "stop after so many seconds", default="none", unit="s", low=0.0, strict=True
    )
    passes: int = option(2, "passes per iteration", low=1)
    workers: int = option(1, "processes; results do not depend on it", low=1)
    seed: int = option(0, "seed of trial points and simulation", low=0)
    boil_off: float | None = option(
        None, "a store of oxygen that loses this share a year", default="no store", poses=True
    )
    store_capacity: float | None = option(None, "most oxygen in the store", default="any", unit="kg", poses=True)
    holding_cost: float | None = option(None, "cost of stored oxygen", default="0", unit="$/(kg yr)", poses=True)
    checkpoint: Path | None = option(None, "folder for the state of the run", default="none")
    resume: bool = option(False, "go on from the checkpoint")

    @property
    def storage(self) -> Storage | None:
        """The store, or None."""
        sizes = {"capacity": self.store_capacity, "holding_cost": self.holding_cost}
        given = {name: size for name, size in sizes.items() if size is not None}
        if self.boil_off is None:
            if given:
                name = "store_capacity" if self.store_capacity is not None else "holding_cost"
                raise InputError(f"{name}: belongs to a store; give its boil-off, as in --boil-off 0.02")
            return None
        return Storage(boil_off=self.boil_off, **given)

    @property
    def how(self) -> dict[str, Any]:
        """The arguments of `sddp` that say how, not what."""
        names = ("rel_gap", "iterations", "time_limit", "passes", "workers", "seed", "checkpoint", "resume")
        return {name: getattr(self, name) for name in names}


class DualDynamicProgramming:
    """SDDP; where costs are not linear, on the relaxation, its plan judged with all costs."""

    name, summary, on = "sddp", "stochastic dual dynamic programming on a lattice", Of.LATTICE
    options = DualDynamicOptions

    def refuses(self, case: DeploymentCase | GeneralCase | Model) -> str | None:
        """Nothing that can be stated on a lattice; models, general cases, store and risk ask for linear costs."""
        if isinstance(case, Model):
            return (
                None if case.is_linear else "problem: SDDP of a model takes costs in proportion to size and any amount"
            )
        if is_general(case):
            if case.is_linear or (case.storage is None and case.risk is None):
                return None
            return "launch, scale: SDDP of a case with a store or a measure of risk takes costs in proportion to size"
        return why_no_case(case, "sddp")

    def kind(self, case: DeploymentCase) -> Kind:
        """A simulation of the plan, but where its value is known."""
        return Kind.STATISTICAL

    def states(self, case: DeploymentCase) -> int:
        """Stage programs are solved for every state and iteration."""
        return STATES

    def solve(
        self,
        case: DeploymentCase | GeneralCase | Model,
        on: MarkovLattice,
        options: DualDynamicOptions,
        progress: Callable[[Any], None] | None = None,
    ) -> Result[Any]:
        """Solve a problem on a lattice."""
        storage, risk = options.storage, options.risk
        if isinstance(case, Model):
            if storage is not None:
                raise InputError(f"boil_off: {case.name} is a model, a store is one of its states")
        elif is_general(case):
            if case.risk is not None and not risk.neutral:
                raise InputError(f"risk: {case.name} says its measure in a table [risk]; leave the options out")
            if storage is not None:
                raise InputError(f"boil_off: {case.name} says its store in a table [storage]; leave the options out")
            if not case.is_linear:
                if not risk.neutral:
                    raise InputError("launch, scale: SDDP with a measure of risk takes costs in proportion to size")
                return sddp_in_lots(case, on, progress=progress, **options.how)
            if case.risk is not None:
                risk = case.risk.nested()
        elif not case.is_linear:
            if storage is not None or not risk.neutral:
                case.require_linear("SDDP with a store or a risk measure")
            return sddp_ignoring(case, on, progress=progress, **options.how)
        elif storage is not None:
            return sddp(case.stored(storage), on, risk=risk, progress=progress, **options.how)
        return sddp(case, on, risk=risk, progress=progress, **options.how)


def threshold_ignoring(
    case: DeploymentCase, *, paths: int = 4096, seed: int = 0, confidence: float = 0.95
) -> Result[ThresholdPlan]:
    """The exact policy of the linear problem below a case with modules, fixed costs or economies of scale.

    Parameters
    ----------
    paths, seed, confidence
        Monte Carlo by which the policy is judged with what it ignores.

    Returns
    -------
    Result
        The objective is the simulated mean NPV of the policy with all costs, $ (maximised), cut at the upper bound. The
        lower bound is the lower end of its confidence interval, the upper bound the optimum of the linear problem.
        Nothing is certified, and the termination is a limit, ``relaxation``.

    Examples
    --------
    >>> from stochisru import load_case
    >>> from stochisru.lunar.relaxation import threshold_ignoring
    >>> result = threshold_ignoring(load_case("lunar-reference").replace(lot=50.0, fixed_cost=1e6))
    >>> result.termination.limit, result.bounds.lower < result.objective < result.bounds.upper
    (<Limit.RELAXATION: 'relaxation'>, True)
    """
    require_case(case)
    exact = threshold(case.linear_bound)
    start = time.perf_counter()
    plain, all_costs = (
        simulate(flown, [exact.policy()], paths=paths, seed=seed, sampler="antithetic")
        for flown in (case.linear_bound, case)
    )
    lost = mean_estimate(all_costs.npv[0] - plain.npv[0], plain.units, confidence)
    kind = Kind.EXACT if case.is_certain else Kind.STATISTICAL
    return _judged(case, exact, shifted(lost, exact.objective), kind, confidence, f"{paths:,} paths", start)


def sddp_ignoring(
    case: DeploymentCase,
    lattice: MarkovLattice | None = None,
    *,
    states: int = STATES,
    paths: int = 4096,
    seed: int = 0,
    confidence: float = 0.95,
    **options: Any,
) -> Result[CutPlan]:
    """SDDP on the linear problem below a case with modules, fixed costs or economies of scale.

    Parameters
    ----------
    lattice, states, seed, options
        As in `stochisru.methods.sddp.method.sddp`, without store and risk measure.
    paths, confidence
        Paths of the lattice by which the plan is judged with what it ignores.

    Returns
    -------
    Result
        As of `threshold_ignoring`, on the lattice.
    """
    require_case(case)
    require_confidence(confidence)
    if lattice is None:
        lattice = case_lattice(case, states)
    relaxed = sddp(case.linear_bound, lattice, seed=seed, confidence=confidence, **options)
    start = time.perf_counter()
    walk = lattice.sample(paths, seed=seed, sampler=SAMPLERS["antithetic"])
    demand = np.stack([values[state] for values, state in zip(lattice.values, walk, strict=True)])
    npv = npv_on_paths(case, relaxed.policy(), demand)
    units, known = SAMPLERS["antithetic"].units(paths), relaxed.bounds.certified
    if known:
        npv = npv - npv_on_paths(case.linear_bound, relaxed.policy(), demand)
    found = shifted(mean_estimate(npv, units, confidence), relaxed.bounds.lower if known else 0.0)
    relaxed = replace(relaxed, plan=replace(relaxed.plan, simulated=found))
    kind = Kind.STATISTICAL if max(lattice.sizes) > 1 else Kind.CERTIFIED
    return _judged(case, relaxed, found, kind, confidence, f"{paths:,} paths of the lattice", start)


def as_placed(plan: P, case: DeploymentCase) -> P:
    """The plan with the deployments that it commits at the root of ``case``: whole modules where plants come so.

    A plan that was made for linear costs has any mass; what is flown, simulated and paid for is rounded up.
    """
    placed = whole_modules(np.asarray(plan.root, dtype=float), case.launch.lot)
    if np.allclose(placed, plan.root, rtol=1e-9, atol=0):
        return plan
    return replace(plan, root=placed)  # type: ignore[type-var]  # every plan for linear costs has it as a field


def _judged(
    case: DeploymentCase,
    relaxed: Result[P],
    found: Estimate,
    kind: Kind,
    confidence: float,
    sample: str,
    start: float,
) -> Result[P]:
    bounds, upper = relaxed.bounds, relaxed.bounds.upper
    interval = f"[{found.lower:,.0f}, {found.upper:,.0f}]"
    return replace(
        relaxed,
        plan=as_placed(relaxed.plan, case),
        objective=min(found.value, upper),
        bounds=Bounds(min(found.lower, upper), upper, kind, bounds.of, bounds.flows, confidence),
        termination=Termination(
            Reason.LIMIT,
            Limit.RELAXATION,
            f"the rule ignores {case.describe_scale()}; with all costs it earns {found.value:,.0f} $ {interval} on "
            f"{sample}; the upper bound is the optimum of the linear problem, in which no deployment costs more",
        ),
        timings={**relaxed.timings, "judge": time.perf_counter() - start},
    )
