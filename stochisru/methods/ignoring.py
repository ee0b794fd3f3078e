"""Methods for linear costs where costs are not linear: what they ignore, and what their plans are worth all the same.

The exact policy and SDDP need a cost in proportion to size. They solve the problem of `DeploymentCase.linear_bound`,
in which no deployment costs more than it does and any mass may fly, so their upper bound holds for the case as well.
The plan is then judged on paths with everything that it ignored, its orders rounded up to whole modules. Where its
value without that is known exactly, only the difference is simulated: on the same paths it varies far less.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from scenario_trees.lattice import MarkovLattice
from scenario_trees.sampling import SAMPLERS
from stochisru.case import DeploymentCase
from stochisru.methods.result import Bounds, Kind, Plan, Reason, Result, Termination
from stochisru.methods.sddp import sddp
from stochisru.methods.threshold import ThresholdPlan, threshold
from stochisru.metrics import Estimate, mean_estimate, shifted
from stochisru.simulation import npv_on_paths, simulate
from stochisru.trees import SDDP_STATES, case_lattice

Array = NDArray[np.float64]
P = TypeVar("P", bound=Plan)


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
        Nothing is certified, and the termination is a limit, ``approximation``.

    Examples
    --------
    >>> from stochisru import load_case
    >>> from stochisru.methods.ignoring import threshold_ignoring
    >>> result = threshold_ignoring(load_case("lunar-reference").replace(lot=50.0, fixed_cost=1e6))
    >>> result.termination.limit, result.bounds.lower < result.objective < result.bounds.upper
    ('approximation', True)
    """
    exact = threshold(case.linear_bound)
    start = time.perf_counter()
    plain, all_costs = (
        simulate(flown, [exact.policy()], paths=paths, seed=seed, sampler="antithetic")
        for flown in (case.linear_bound, case)
    )
    lost = mean_estimate(all_costs.npv[0] - plain.npv[0], plain.units, confidence)
    kind = Kind.STATISTICAL if case.process.volatility > 0 else Kind.EXACT
    return _judged(case, exact, shifted(lost, exact.objective), kind, confidence, f"{paths:,} paths", start)


def sddp_ignoring(
    case: DeploymentCase,
    lattice: MarkovLattice | None = None,
    *,
    states: int = SDDP_STATES,
    paths: int = 4096,
    seed: int = 0,
    confidence: float = 0.95,
    **options: Any,
) -> Result[Any]:
    """SDDP on the linear problem below a case with modules, fixed costs or economies of scale.

    Parameters
    ----------
    lattice, states, seed, options
        As in `stochisru.methods.sddp.sddp`, without store and risk measure.
    paths, confidence
        Paths of the lattice by which the plan is judged with what it ignores.

    Returns
    -------
    Result
        As of `threshold_ignoring`, on the lattice.
    """
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
        objective=min(found.value, upper),
        bounds=Bounds(min(found.lower, upper), upper, kind, bounds.of, bounds.flows, confidence),
        termination=Termination(
            Reason.LIMIT,
            "approximation",
            f"the rule ignores {case.describe_scale()}; with all costs it earns {found.value:,.0f} $ {interval} on "
            f"{sample}; the upper bound is the optimum of the linear problem, in which no deployment costs more",
        ),
        timings={**relaxed.timings, "judge": time.perf_counter() - start},
    )
