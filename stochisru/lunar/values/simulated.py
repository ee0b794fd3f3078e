"""Values on the process where no exact policy exists: a limit on supply from Earth, or costs that are not linear.

What is fixed in advance has an exact value (`plan_value_on_process`): the static plan and the fixed design lie between
the value of the plan in hand and the optimum on a lattice whose states are the means of their bins
(`stochisru.lunar.policies.open_loop_optima`). RP is a bracket. From below it is the value of the best of three policies
that are at hand, chosen on paths of its own and then judged on fresh ones: the plan of a lattice, and the exact
policies of two problems nearby, one in which Earth supplies any amount and one in which it supplies nothing. From above
it is the least of three bounds that hold for the process:

- the exact optimum of a relaxation, in which Earth supplies any amount and no deployment costs more than the dearest
  linear cost that undercuts it (`DeploymentCase.linear_bound`);
- where Earth's supply is limited and tails are too heavy for an interval, the optimum of the linear problem with growth
  in bins and demand as a state (`stochisru.methods.jensen`), which knows the limit;
- perfect information on the same paths at a price that no policy pays on average
  (`stochisru.lunar.exact.layer_relaxation`), or for nothing where costs are not linear and that is less: wait-and-see;
  and that of the mean path under linear costs, which bounds wait-and-see (Jensen).

Where tails are too heavy for an interval of a mean only ends that are exact are left: plans that are fixed in advance,
the exact optimum without Earth, the relaxation and the mean path.

What is simulated is a difference to the exact policy of a problem nearby, whose expected value is known (a control
variate): of the two, the one that varies less from the policy on the paths on which the policy was chosen. Or it is
the policy's NPV less what its own plant would pay for knowledge, where that varies less.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from scenario_trees.arrays import Array, Index
from stochisru.estimate import Estimate
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.exact.climb import climbed
from stochisru.lunar.exact.in_advance import why_not_in_advance
from stochisru.lunar.exact.layers import allowed_years
from stochisru.lunar.exact.root_plan import expected_value_plan_on_process, plan_value_on_process
from stochisru.lunar.exact.threshold import ThresholdPlan, threshold
from stochisru.lunar.exact.wait_and_see import foresight_sample, wait_and_see_on_paths
from stochisru.lunar.policies import open_loop_optima
from stochisru.lunar.relaxation import as_placed
from stochisru.lunar.simulation.monte_carlo import simulated
from stochisru.lunar.simulation.outcome import demand_kurtosis
from stochisru.lunar.solving import has_exact_policy, optimum_on_lattice
from stochisru.lunar.strategies.protocol import Strategy
from stochisru.lunar.values.penalised import best_above, nearer, other_seed, penalised_ends
from stochisru.lunar.values.table import DIFFERENCES
from stochisru.lunar.values.upper import rp_at_most
from stochisru.methods.result import ROUNDING, Kind, Of, Result, require_order
from stochisru.protocols import Plan
from stochisru.simulation.estimators import mean_estimate, shifted, why_no_mean
from stochisru.simulation.sampling import Sampling

#: Paths on which a policy and its control variate are chosen.
_PILOT = 4096
#: Standard errors by which a simulated lower end may pass a proven upper one by chance.
_FAR = 5.0


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
    confidence
        Share of samples in which a statistical bracket holds the value.
    """

    value: float
    lower: float
    upper: float
    kind: Kind
    confidence: float = 0.95

    @property
    def label(self) -> str:
        """What stands behind the bracket, in a word: see `Kind.label`."""
        return self.kind.label(self.confidence)

    @classmethod
    def estimated(cls, estimate: Estimate, error: float = 0.0) -> ProcessValue:
        """A simulated value; ``error`` is that of a known value it was measured against."""
        return cls(estimate.value, estimate.lower - error, estimate.upper + error, Kind.STATISTICAL)

    @classmethod
    def bounded(cls, lower: float, value: float, upper: float) -> ProcessValue:
        """A value between two ends that are exact; ``value`` is the best guess, cut at them."""
        return cls(min(max(value, lower), upper), lower, upper, Kind.BOUNDED)

    def within(self, lower: float, upper: float) -> ProcessValue:
        """A simulated value cut at ends that are exact, which alone are left where the sample says nothing more."""
        ends = max(self.lower, lower), min(self.upper, upper)
        if not ends[0] <= ends[1] or ends == (lower, upper):  # NaN, beside the exact ends, or wider
            return ProcessValue.bounded(lower, self.value, upper)
        return replace(self, value=min(max(self.value, ends[0]), ends[1]), lower=ends[0], upper=ends[1])

    @classmethod
    def between(cls, lower: float, value: float, upper: float) -> ProcessValue:
        """A value of a policy in its bracket, cut where chance alone put it outside."""
        return cls(min(max(value, lower), upper), lower, upper, Kind.STATISTICAL)

    def over(self, other: ProcessValue) -> ProcessValue:
        """Bracket of a difference that cannot be negative, as weak as the weaker of the two."""
        weaker = max(self.kind, other.kind, key=list(Kind).index)
        lower, upper = max(0.0, self.lower - other.upper), max(0.0, self.upper - other.lower)
        return ProcessValue(min(max(self.value - other.value, lower), upper), lower, upper, weaker)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "value": self.value,
            "lower": self.lower,
            "upper": self.upper,
            "kind": self.label,
            "of": Of.PROCESS.value,
        }


@dataclass(frozen=True)
class PolicyValues:
    """Values by name, the plan behind ``rp``, and the sample: see `stochisru.lunar.values.process.ProcessValues`."""

    values: Mapping[str, ProcessValue]
    recourse: Result[Plan]
    foresight_paths: int
    foresight: str
    sampler: str


def relaxation(case: DeploymentCase) -> DeploymentCase:
    """A case with an exact policy in which no policy earns less than in ``case``.

    Costs are those of `DeploymentCase.linear_bound`; Earth, where a limit is in the way of an exact policy, supplies
    any amount.
    """
    linear = case.linear_bound
    return linear if has_exact_policy(linear) else linear.replace(earth_limit=None)


def _npv(case: DeploymentCase, policies: Mapping[str, Strategy], sample: Sampling) -> dict[str, Array]:
    """NPV of policies by name on common fresh paths, $, one number per path."""
    run = simulated(case, list(policies.values()), sample)
    return dict(zip(policies, run.npv, strict=True))


@dataclass(frozen=True)
class _Control:
    """A problem nearby with an exact policy, whose NPV on common paths has a known mean."""

    case: DeploymentCase
    exact: Result[ThresholdPlan]

    @classmethod
    def of(cls, case: DeploymentCase) -> _Control:
        return cls(case, threshold(case))

    def npv(self, sample: Sampling) -> Array:
        return _npv(self.case, {"control": self.exact.policy(name="control")}, sample)["control"]

    def estimate(self, npv: Array, own: Array, units: Index, confidence: float) -> Estimate:
        """Mean of ``npv``, as a difference to the control's own, with the control's error of integration."""
        found = shifted(mean_estimate(npv - own, units, confidence), self.exact.objective)
        error = self.exact.bounds.upper - self.exact.objective
        return replace(found, lower=found.lower - error, upper=found.upper + error)


@dataclass(frozen=True)
class _Judged:
    """The chosen policy, its NPV on the fresh paths, and the estimate of its mean."""

    plan: Result[Plan]
    npv: Array
    worth: Estimate


def _best_policy(case: DeploymentCase, controls: Mapping[str, _Control], sample: Sampling) -> _Judged:
    """Choose a policy and its control on pilot paths, and judge it on ``sample``."""
    plans: dict[str, Result[Plan]] = {name: control.exact for name, control in controls.items()}
    plans["lattice"] = optimum_on_lattice(case)
    policies = {name: plan.policy(name=name) for name, plan in plans.items()}
    pilot = replace(sample, paths=min(sample.paths, _PILOT), seed=other_seed(sample.seed))
    tried = _npv(case, policies, pilot)
    best = max(tried, key=lambda name: float(tried[name].mean()))
    closest = min(controls, key=lambda name: float((tried[best] - controls[name].npv(pilot)).std()))
    control = controls[closest]
    npv = _npv(case, {best: policies[best]}, sample)[best]
    units = sample.source.units(sample.paths)
    return _Judged(plans[best], npv, control.estimate(npv, control.npv(sample), units, sample.confidence))


def policy_values(case: DeploymentCase, sample: Sampling) -> PolicyValues:
    """Brackets of all values.

    Raises
    ------
    InputError
        If an argument is out of range.
    BoundsError
        If brackets cross by more than chance.
    """
    units, confidence = sample.source.units(sample.paths), sample.confidence
    solved = why_not_in_advance(case) is None
    relaxed = _Control.of(relaxation(case))
    controls = {"relaxed": relaxed, "alone": _Control.of(case.linear_bound.replace(earth_limit=0.0))}
    found = _fixed_in_advance(case)
    found["nothing"] = _exactly(plan_value_on_process(case, np.zeros(case.horizon.T + 1)))
    judged = _best_policy(case, controls, sample)
    found["no_earth"] = _without_earth(case, controls["alone"], judged, sample)
    chosen, seen = foresight_sample(units)
    foresight = wait_and_see_on_paths(case if solved else case.linear_bound, chosen, sample)
    known = relaxed.estimate(foresight, relaxed.npv(sample)[chosen], seen, confidence)
    paying = penalised_ends(case, judged.plan.policy(name="chosen"), sample)
    worth = nearer(judged.worth, paying)
    paid = best_above(case, known, paying, sample)
    heavy = bool(why_no_mean(chosen.size, demand_kurtosis(case)))
    flows = relaxed.exact.bounds.flows
    ceiling = expected_value_plan_on_process(case.linear_bound).value + ROUNDING * flows
    proven = min(relaxed.exact.bounds.upper, ceiling)
    if not has_exact_policy(case.linear_bound) and (heavy or paying is None):
        proven = min(proven, rp_at_most(case))
    top = proven if heavy else min(paid.upper, proven)
    if case.horizon.lead_time >= case.horizon.T:  # all is decided at the root
        found["rp"] = found["static"]
        judged = replace(judged, plan=optimum_on_lattice(case))  # which is the static plan then
    else:
        held = [found[name] for name in ("static", "fixed", "no_earth", "nothing")]
        floor = max(held, key=lambda value: value.lower)
        simulated = not heavy and worth.lower > floor.lower
        below = worth.lower if simulated else floor.lower
        chance = 0.0 if heavy else _FAR * max(worth.standard_error, paid.standard_error)
        require_order("lower bound of RP", below - chance, "upper bound of RP", top, flows)
        kind = Kind.STATISTICAL if simulated or top < proven else max(Kind.BOUNDED, floor.kind, key=list(Kind).index)
        found["rp"] = replace(ProcessValue.bounded(min(below, top), worth.value, top), kind=kind)
    rp = found["rp"]
    # Where perfect information is not solved, that of the relaxation bounds it, and its EVPI is the best guess.
    above = mean_estimate(foresight - judged.npv[chosen], seen, confidence)
    guess = rp.value + max(0.0, above.value if solved else known.value - relaxed.exact.objective)
    if heavy:
        found["ws"] = ProcessValue.bounded(min(rp.lower, ceiling), guess, ceiling)
        upper, least = found["ws"].upper - rp.lower, 0.0
    else:
        highest = min(known.upper, ceiling)
        ends = (rp.lower, highest) if highest >= rp.lower else (highest, rp.lower)
        found["ws"] = ProcessValue.between(
            max(ends[0], min(known.lower, ends[1])) if solved else ends[0], guess, ends[1]
        )
        upper = above.upper
        least = max(0.0, known.lower - top) if solved else 0.0
    upper = max(0.0, upper)
    gain = min(max(found["ws"].value - rp.value, min(least, upper)), upper)
    found["evpi"] = replace(found["ws"], value=gain, lower=min(least, upper), upper=upper)
    for name, (high, low) in (DIFFERENCES | {"earth_backup": ("rp", "no_earth")}).items():
        if name not in found and high in found and low in found:
            found[name] = found[high].over(found[low])
    if found["rp"] is found.get("static"):
        found["vms"] = _exactly(0.0)
    if case.costs.earth_limit == 0:
        found["no_earth"], found["earth_backup"] = found["rp"], _exactly(0.0)
    plan = replace(judged.plan, plan=as_placed(judged.plan.plan, case))
    return PolicyValues(found, plan, chosen.size, "case" if solved else "linear relaxation", sample.source.name)


def _exactly(value: float) -> ProcessValue:
    return ProcessValue(value, value, value, Kind.EXACT)


def _fixed_in_advance(case: DeploymentCase) -> dict[str, ProcessValue]:
    """``static``, ``fixed``, ``ev`` and ``eev``."""
    plans = open_loop_optima(case)
    ev = plans["ev"]
    found = {"ev": _between(ev.value, ev.bound), "eev": _exactly(plan_value_on_process(case, ev.deployment))}
    for name, allowed in (("static", allowed_years(case)), ("fixed", np.arange(case.horizon.T + 1) == 0)):
        plan, best = climbed(case, plans[name].deployment, allowed & allowed_years(case))
        worth = plan_value_on_process(case, plan)
        own = plans[name]
        bound = own.value if own.bound is None else own.bound
        # The optimum on bins is an upper bound up to rounding; it is the value itself where nothing is uncertain.
        size = ROUNDING * max(abs(worth), abs(bound))
        require_order(f"{name} plan", worth - size, f"optimum of {name} on bins", bound, 0.0)
        if best or bound - worth <= size:
            found[name] = _exactly(worth)
        elif own.bound is None:
            found[name] = ProcessValue.bounded(worth, worth, bound)
        else:
            found[name] = _between(worth, bound)
    return found


def _between(worth: float, bound: float | None) -> ProcessValue:
    """A plan's worth, and the bound of a solver where there is one."""
    return _exactly(worth) if bound is None else ProcessValue(worth, worth, bound, Kind.SOLVER)


def _without_earth(case: DeploymentCase, alone: _Control, judged: _Judged, sample: Sampling) -> ProcessValue:
    """RP where Earth supplies nothing: exact where costs are linear, else below that of linear costs."""
    if has_exact_policy(case.replace(earth_limit=0.0)):
        bounds = alone.exact.bounds
        return ProcessValue(alone.exact.objective, bounds.lower, bounds.upper, Kind.EXACT)
    top = alone.exact.bounds.upper
    if case.costs.earth_limit == 0:
        worth = judged.worth
    else:
        worth = _best_policy(case.replace(earth_limit=0.0), {"alone": alone}, sample).worth
    if why_no_mean(sample.paths, demand_kurtosis(case)):
        idle = plan_value_on_process(case.replace(earth_limit=0.0), np.zeros(case.horizon.T + 1))
        return ProcessValue.bounded(idle, worth.value, top)
    return ProcessValue.between(min(worth.lower, top), worth.value, top)
