"""Values on a process that is no geometric Brownian motion: all of them from fresh paths, between ends that hold.

RP lies between the value of a policy, chosen on paths of its own and judged on fresh ones, and perfect information on
the same paths at a price that no policy pays on average (`stochisru.lunar.exact.layer_relaxation`), or for nothing
where there is no such price. Where costs are linear it is no more than the optimum of the mean path (Jensen). The
policies are the plan of a lattice, the heuristics, and the plans that are fixed in advance. Plans that are fixed lie
between what they earn on the paths and their optimum on bins of the law of every year (Jensen again). NPV is measured
against the discounted sum of demand, whose mean is known (a control variate; Glasserman 2004, section 4.1).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from scenario_trees.arrays import Array, Index
from stochisru.errors import InputError
from stochisru.estimate import Estimate
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.exact.in_advance import why_not_in_advance
from stochisru.lunar.exact.wait_and_see import foresight_sample, wait_and_see_on_paths
from stochisru.lunar.operations import discount_factors
from stochisru.lunar.policies import open_loop_optima
from stochisru.lunar.relaxation import as_placed
from stochisru.lunar.simulation.drawing import drawn_paths
from stochisru.lunar.simulation.monte_carlo import simulated
from stochisru.lunar.simulation.outcome import demand_kurtosis
from stochisru.lunar.solving import optimum_on_lattice
from stochisru.lunar.strategies import STRATEGIES, Schedule, Strategy
from stochisru.lunar.values.penalised import best_above, nearer, other_seed, penalised_ends
from stochisru.lunar.values.rule_plan import RulePlan
from stochisru.lunar.values.simulated import PolicyValues, ProcessValue
from stochisru.lunar.values.table import DIFFERENCES
from stochisru.lunar.values.upper import rp_at_most
from stochisru.methods.result import Bounds, Kind, Of, Reason, Result, Termination, require_order
from stochisru.protocols import Plan
from stochisru.simulation.estimators import mean_estimate, why_no_mean
from stochisru.simulation.sampling import Sampling

#: Paths on which a policy is chosen.
_PILOT = 4096
#: Standard errors by which a simulated end may pass another by chance.
_FAR = 5.0


class _Control:
    """The discounted sum of demand of every path of a sample, less its mean."""

    def __init__(self, case: DeploymentCase, sample: Sampling) -> None:
        demand, _ = drawn_paths(case, sample.paths, sample.seed, sample.source)
        discount = discount_factors(case)
        self.off = discount @ demand - float(discount @ case.process.mean(np.arange(case.horizon.T + 1)))

    def mean(self, npv: Array, units: Index, confidence: float, chosen: Index | None = None) -> Estimate:
        """Mean of NPV on all paths, or on the chosen ones."""
        off = self.off if chosen is None else self.off[chosen]
        spread = float(off @ off)
        slope = float((npv - npv.mean()) @ off) / spread if spread > 0 else 0.0
        return mean_estimate(npv - slope * off, units, confidence)


def path_values(case: DeploymentCase, sample: Sampling) -> PolicyValues:
    """Brackets of all values but those of supply from Earth and of a single deployment.

    Raises
    ------
    InputError
        If tails are too heavy for intervals of so many paths.
    """
    heavy = why_no_mean(sample.paths, demand_kurtosis(case))
    if heavy:
        raise InputError(f"paths: {heavy}")
    confidence, units = sample.confidence, sample.source.units(sample.paths)
    solved = why_not_in_advance(case) is None
    optima = open_loop_optima(case)
    plan = optimum_on_lattice(case)
    rules: dict[str, Strategy] = {
        name: Schedule(name, tuple(map(float, found.deployment))) for name, found in optima.items()
    }
    rules["nothing"] = Schedule("nothing", (0.0,) * (case.horizon.T + 1))
    best = _chosen(case, plan, rules, sample)
    run = simulated(case, [best.policy(name="chosen"), *rules.values()], sample)
    npv = dict(zip(("chosen", *rules), run.npv, strict=True))
    control = _Control(case, sample)
    worth = {name: control.mean(row, units, confidence) for name, row in npv.items()}
    chosen, seen = foresight_sample(units)
    foresight = wait_and_see_on_paths(case if solved else case.linear_bound, chosen, sample)
    known = control.mean(foresight, seen, confidence, chosen)
    ceiling = optima["ev"].value if case.is_linear else np.inf
    ends = penalised_ends(case, best.policy(name="chosen"), sample)
    paid = best_above(case, known, ends, sample)
    worth["chosen"] = nearer(worth["chosen"], ends)
    top = min(paid.upper, ceiling)
    if ends is None:
        top = min(top, rp_at_most(case))
    flows = abs(optima["ev"].value) + abs(worth["nothing"].value)
    found = {"nothing": ProcessValue.estimated(worth["nothing"]), "eev": ProcessValue.estimated(worth["ev"])}
    found["ev"] = ProcessValue.bounded(optima["ev"].value, optima["ev"].value, optima["ev"].bound or optima["ev"].value)
    for name in ("static", "fixed"):
        proven = optima[name].bound
        bound = optima[name].value if proven is None else proven
        own, far = worth[name], _FAR * worth[name].standard_error
        require_order(f"{name} plan on paths", own.lower - far, f"optimum of {name} on bins", bound, flows)
        found[name] = _between(own.lower, own.value, max(bound, own.lower))
    floor = max(found[name].lower for name in ("static", "fixed", "nothing"))
    chance = _FAR * max(worth["chosen"].standard_error, paid.standard_error)
    require_order("lower bound of RP", max(worth["chosen"].lower, floor) - chance, "upper bound of RP", top, flows)
    below = min(max(worth["chosen"].lower, floor), top)
    found["rp"] = _between(below, max(worth["chosen"].value, found["static"].value), top)
    if case.horizon.lead_time >= case.horizon.T:  # all is decided at the root
        found["rp"] = found["static"]
    above = mean_estimate(foresight - npv["chosen"][chosen], seen, confidence)
    lowest = found["rp"].lower
    highest = max(min(known.upper, ceiling), lowest)
    found["ws"] = _between(max(lowest, known.lower) if solved else lowest, known.value, highest)
    gain = max(0.0, found["ws"].value - found["rp"].value)
    least = max(0.0, known.lower - top) if solved else 0.0
    found["evpi"] = _between(min(least, gain), gain, max(above.upper, gain))
    for name, (high, low) in DIFFERENCES.items():
        if name not in found and high in found and low in found:
            found[name] = found[high].over(found[low])
    best = replace(best, plan=as_placed(best.plan, case))
    if isinstance(best.plan, RulePlan):
        rp = found["rp"]
        bounds = Bounds(rp.lower, rp.upper, Kind.STATISTICAL, Of.PROCESS, flows, confidence)
        best = replace(best, objective=rp.value, bounds=bounds)
    return PolicyValues(found, best, chosen.size, "case" if solved else "linear relaxation", sample.source.name)


def _between(lower: float, value: float, upper: float) -> ProcessValue:
    return ProcessValue(min(max(value, lower), upper), lower, upper, Kind.STATISTICAL)


def _chosen(case: DeploymentCase, plan: Result[Plan], rules: dict[str, Strategy], sample: Sampling) -> Result[Plan]:
    """The plan that earns most on paths of their own: that of the lattice, or a simpler rule."""
    pilot = replace(sample, paths=min(sample.paths, _PILOT), seed=other_seed(sample.seed))
    tried: list[Strategy] = [*STRATEGIES.values(), *rules.values()]
    own: Strategy = plan.policy(name="lattice")
    run = simulated(case, [own, *tried], pilot)
    best = run.strategies[int(run.npv.mean(axis=1).argmax())]
    if best is own:
        return plan
    why = Termination(Reason.LIMIT, detail=f"of the rules at hand {best.name} earns most on pilot paths")
    return replace(plan, method=best.name, plan=RulePlan.of(case, best), termination=why, solver="none")
