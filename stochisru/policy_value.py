"""Values on the process where no exact policy exists: a limit on supply from Earth, or costs that are not linear.

RP is then a bracket. From below it is the value of an implementable policy, the plan of a lattice, on fresh paths. From
above it is the lower of two bounds that hold for the process:

- the exact optimum of a relaxation, in which Earth supplies any amount and no deployment costs more than the dearest
  linear cost that undercuts it (`DeploymentCase.linear_bound`);
- wait-and-see on the same paths, of the case where perfect information is solved for it and else of its linear bound.

The exact policy of the relaxation is the control variate of all: its expected value is known, so what is simulated is a
difference to it. Plans that are fixed in advance have a bound of their own from above: the optimum on a lattice whose
states are the means of their bins (`stochisru.policies.open_loop_optima`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scenario_trees.sampling import Sampler
from stochisru.case import DeploymentCase
from stochisru.comparison import foresight_sample
from stochisru.deployment.levels import has_exact_levels
from stochisru.deployment.operations import MeritOrder
from stochisru.methods.result import Kind, Of, Result, require_order
from stochisru.methods.threshold import threshold
from stochisru.methods.wait_and_see import wait_and_see_on_paths
from stochisru.metrics import Estimate, mean_estimate, shifted
from stochisru.policies import lattice_optimum, open_loop_optima
from stochisru.simulation import require_sampling, simulate
from stochisru.strategies import Schedule
from stochisru.strategies.protocol import Strategy

Array = NDArray[np.float64]


@dataclass(frozen=True)
class ProcessValue:
    """One value on the process.

    Attributes
    ----------
    value, lower, upper
        $ (maximised): the value and its bracket. The bracket of an exact value is its error of integration, that of a
        statistical one has the confidence that was asked for.
    kind
        What stands behind the bracket.
    """

    value: float
    lower: float
    upper: float
    kind: Kind

    @classmethod
    def estimated(cls, estimate: Estimate, error: float = 0.0) -> ProcessValue:
        """A simulated value; ``error`` is that of a known value it was measured against."""
        return cls(estimate.value, estimate.lower - error, estimate.upper + error, Kind.STATISTICAL)

    @classmethod
    def between(cls, lower: float, value: float, upper: float) -> ProcessValue:
        """A value of a policy in its bracket, cut where chance alone put it outside."""
        return cls(min(max(value, lower), upper), lower, upper, Kind.STATISTICAL)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "value": self.value,
            "lower": self.lower,
            "upper": self.upper,
            "kind": self.kind.value,
            "of": Of.PROCESS.value,
        }


@dataclass(frozen=True)
class PolicyValues:
    """Values by name, the plan behind ``rp``, and the sample: see `stochisru.process_value.ProcessValues`."""

    values: Mapping[str, ProcessValue]
    recourse: Result[Any]
    foresight_paths: int
    foresight: str
    sampler: str


def relaxation(case: DeploymentCase) -> DeploymentCase:
    """A case with an exact policy in which no policy earns less than in ``case``.

    Costs are those of `DeploymentCase.linear_bound`; Earth, where its supply is limited, supplies any amount.
    """
    linear = case.linear_bound
    return linear.replace(earth_limit=None) if MeritOrder.of(linear).limited else linear


def policy_values(
    case: DeploymentCase, *, paths: int, seed: int, sampler: Sampler | str, workers: int, confidence: float
) -> PolicyValues:
    """Brackets of all values from policies on common fresh paths.

    Parameters
    ----------
    paths, seed, sampler, workers, confidence
        Monte Carlo, see `stochisru.simulate`.

    Raises
    ------
    InputError
        If an argument is out of range.
    BoundsError
        If brackets cross.
    """
    source = require_sampling(paths, seed, sampler, workers)
    recourse = lattice_optimum(case)
    solved = case.is_linear or has_exact_levels(case)
    plans = open_loop_optima(case) if solved else {}
    strategies: list[Strategy] = [recourse.policy(name="rp"), Schedule("nothing", (0.0,) * (case.horizon.T + 1))]
    names = {"static": "static", "fixed": "fixed", "ev": "eev"}
    strategies += [Schedule(names[plan], tuple(map(float, found.deployment))) for plan, found in plans.items()]

    def npv_of(problem: DeploymentCase, judged: list[Strategy]) -> dict[str, Array]:
        run = simulate(problem, judged, paths=paths, seed=seed, sampler=source, workers=workers)
        return dict(zip(run.names, run.npv, strict=True))

    relaxed = threshold(relaxation(case))
    control = npv_of(relaxation(case), [relaxed.policy(name="control")])["control"]
    units = source.units(paths)

    def estimate(npv: Array) -> Estimate:
        return shifted(mean_estimate(npv - control, units, confidence), relaxed.objective)

    npv = npv_of(case, strategies)
    chosen, seen = foresight_sample(units)
    foresight = wait_and_see_on_paths(case if solved else case.linear_bound, chosen, paths, seed=seed, sampler=source)
    known = shifted(mean_estimate(foresight - control[chosen], seen, confidence), relaxed.objective)
    found: dict[str, ProcessValue] = {}
    rp = estimate(npv["rp"])
    top = max(min(known.upper, relaxed.bounds.upper), rp.lower)  # they cross by chance where the relaxation is tight
    found["rp"] = ProcessValue.between(rp.lower, rp.value, top)
    found["ws"] = ProcessValue.estimated(known) if solved else ProcessValue.between(rp.lower, known.value, known.upper)
    above = mean_estimate(foresight - npv["rp"][chosen], seen, confidence)
    found["evpi"] = ProcessValue.between(max(0.0, known.lower - top if solved else 0.0), above.value, above.upper)
    found["nothing"] = ProcessValue.estimated(estimate(npv["nothing"]))
    for name, plan in plans.items():
        if name == "ev":
            found["ev"] = ProcessValue(plan.value, plan.value, plan.value, Kind.EXACT)
            found["eev"] = ProcessValue.estimated(estimate(npv["eev"]))
        else:
            worth = estimate(npv[name])
            found[name] = ProcessValue.between(worth.lower, worth.value, max(min(plan.value, top), worth.lower))
    found["no_earth"] = _without_earth(case, npv_of, confidence, units)
    pairs = {"vms": ("rp", "static"), "scheduling": ("static", "fixed"), "flexibility": ("rp", "fixed")}
    pairs["earth_backup"] = ("rp", "no_earth")
    for name, (high, low) in pairs.items():
        if high in found and low in found:
            a, b = found[high], found[low]
            found[name] = ProcessValue.between(max(0.0, a.lower - b.upper), a.value - b.value, a.upper - b.lower)
    if "eev" in npv:
        below = mean_estimate(npv["rp"] - npv["eev"], units, confidence)
        highest = found["rp"].upper - found["eev"].lower
        found["vss"] = ProcessValue.between(min(max(0.0, below.lower), highest), below.value, highest)
    for low, high in (("eev", "static"), ("static", "rp"), ("fixed", "static"), ("rp", "ws")):
        if low in found and high in found:
            require_order(low, found[low].lower, high, found[high].upper, relaxed.bounds.flows)
    return PolicyValues(found, recourse, chosen.size, "case" if solved else "linear relaxation", source.name)


def _without_earth(case: DeploymentCase, npv_of: Any, confidence: float, units: NDArray[np.int64]) -> ProcessValue:
    """RP where Earth supplies nothing, between a lattice's policy and the exact optimum of the linear problem."""
    alone = case.replace(earth_limit=0.0)
    bound = threshold(alone.linear_bound)
    control = npv_of(alone.linear_bound, [bound.policy(name="control")])["control"]
    plan = bound if alone.is_linear else lattice_optimum(alone)
    npv = npv_of(alone, [plan.policy(name="rp")])["rp"]
    found = shifted(mean_estimate(npv - control, units, confidence), bound.objective)
    return ProcessValue.between(min(found.lower, bound.bounds.upper), found.value, bound.bounds.upper)
