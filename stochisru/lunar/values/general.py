"""Values on the process of a case with tables beyond the base problem: all of them between ends from fresh paths.

Of every value two rows of numbers are known, one number per path: what a plan in hand earns, whose mean the value
exceeds, and what cannot be bettered, whose mean exceeds the value.

- RP: a policy that is chosen on paths of its own below, and above perfect information, or the Jensen bound where that
  is proven and less (`stochisru.methods.jensen`). The policy is that of the cuts of the same programs, which know
  demand; where there are none that of the cuts of a lattice; where costs are not linear the plan of a tree; or a plan
  that is fixed in advance.
- Static and fixed: the plan that is best on pilot paths below, and above the best plan of each group of paths alone,
  which earns more on average than any plan on all of them (Mak, Morton and Wood 1999).
- EEV and doing nothing: what they earn.

Where the exact policy exists (`stochisru.lunar.exact.by_year`) all but perfect information is exact, and that is
measured against it. Elsewhere differences are paired path by path: VMS is no less than what the policy earns more than
the best static plan of each group, and no more than what perfect information earns more than the static plan in hand.
NPV is measured against demand, whose mean is known (control variates; Glasserman 2004, section 4.1). Where operations
are carried over, as by a store, plans that are fixed in advance are operated by the cuts of a lattice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np

from scenario_trees.arrays import Array, Index
from stochisru.errors import InputError
from stochisru.estimate import Estimate
from stochisru.lunar.exact.by_year import (
    exact_in_advance,
    exact_plan_value,
    exact_policy,
    exact_single,
    has_exact_single,
    why_no_exact_policy,
)
from stochisru.lunar.exact.yearly_layers import foreseen
from stochisru.lunar.simulation.outcome import demand_kurtosis
from stochisru.lunar.strategies import STRATEGIES
from stochisru.lunar.strategies.by_technology import heuristic
from stochisru.lunar.tables.case import GeneralCase
from stochisru.lunar.tables.merit_order import best_of
from stochisru.lunar.trees import case_tree
from stochisru.lunar.values.held_plan import HeldPlan, operated_by_cuts
from stochisru.lunar.values.penalised import other_seed
from stochisru.lunar.values.rule_plan import PolicyPlan
from stochisru.lunar.values.simulated import PolicyValues, ProcessValue
from stochisru.lunar.values.table import DIFFERENCES
from stochisru.lunar.values.upper import growing
from stochisru.methods.extensive_form import MIXED_GAP, extensive_form
from stochisru.methods.jensen import jensen_cuts, why_no_jensen
from stochisru.methods.result import Bounds, Kind, Of, Reason, Result, Termination, require_order
from stochisru.methods.sddp.run import cuts_on
from stochisru.problem.information import Fixed, Held, Information, Recourse, Static, WaitAndSee
from stochisru.problem.model import Model
from stochisru.problem.on_tree import on_tree
from stochisru.problem.paths import chain, fan
from stochisru.problem.plan import ModelPlan
from stochisru.problem.policies.protocol import Policy
from stochisru.problem.relaxed import relaxed
from stochisru.problem.tree_problem import flows_on_mean_path
from stochisru.programs.sparse import FEASIBILITY, solve, solve_to_gap
from stochisru.protocols import Plan
from stochisru.simulation.estimators import mean_estimate, shifted, why_no_mean
from stochisru.simulation.of_model import simulate_policies
from stochisru.simulation.sampling import Sampling

#: Paths of a sample where none are asked for, and those on which a policy and plans are chosen.
PATHS, _PILOT = 1024, 256
#: Paths of a sample at least: of fewer groups are too small for what is skewed.
FEWEST = 256
#: Groups of paths: the best plan of each is an end of static and fixed.
_GROUPS = 16
#: Years whose demand is a control variate, at most one for so many paths as `FEWEST`.
_CONTROLS = 6
#: Passes of SDDP, states of a lattice per stage, and seconds for a program with whole numbers.
_PASSES, _STATES, _SECONDS = 4, 16, 60.0
#: Standard errors by which a simulated end may pass another by chance.
_FAR = 5.0
#: Values of plans that are made without the sample.
_PLANNED = ("eev", "nothing")


def why_no_process_values(case: GeneralCase) -> str | None:
    """Why a case has no values on the process, in one sentence, or None where it has."""
    if case.factors:
        return (
            f"factors: {case.name} has {', '.join(case.factor_names[1:])} beside demand, and values on the process are "
            "of demand alone; those of a tree are of all"
        )
    if case.risk is not None and case.risk.kind == "nested":
        return (
            f"risk: values on the process are expectations, {case.name} asks for nested {case.risk.measure}, which "
            "solve --method sddp takes; leave [risk] out"
        )
    if case.risk is not None:
        return (
            f"risk: values on the process are expectations, {case.name} asks for {case.risk.measure}; those of a tree "
            "are under the measure of a total"
        )
    return None


@dataclass(frozen=True, eq=False)
class _Rows:
    """What is known of a value: NPV per path of what is in hand, and of what cannot be bettered; and a proven limit."""

    hand: Array
    limit: Array
    proven: float = np.inf


@dataclass(frozen=True, eq=False)
class _Sample:
    """Fresh paths, their independent groups, and the control variate."""

    case: GeneralCase
    sampling: Sampling
    #: What solvers' tolerances may be worth, $: that share of the sums of money that NPV is a difference of.
    rounding: float = 0.0

    @cached_property
    def paths(self) -> Array:
        """Demand, shape ``(paths, T + 1)``."""
        sampling = self.sampling
        drawn = self.case.process.sample(
            sampling.paths, self.case.horizon.T, seed=sampling.seed, sampler=sampling.source
        )
        return np.ascontiguousarray(drawn.T)

    @cached_property
    def units(self) -> Index:
        """Sizes of the groups."""
        units = self.sampling.source.units(self.sampling.paths)
        return np.array([part.sum() for part in np.array_split(units, min(_GROUPS, units.size))], dtype=np.int64)

    @cached_property
    def _off(self) -> Array:
        """Demand of some years less its mean, in terms of it, shape ``(paths, years)``."""
        T = self.case.horizon.T
        count = min(T, _CONTROLS, self.sampling.paths // FEWEST)
        years = np.unique(np.linspace(T, 1, count).astype(np.int64))
        mean = np.asarray(self.case.process.mean(years.astype(float)))
        return np.asarray(self.paths[:, years] / mean - 1.0)

    def mean(self, rows: Array) -> Estimate:
        """Mean of a row of numbers, one per path; slopes on demand are those of all groups but a path's own."""
        left = rows.astype(float)
        group = np.repeat(np.arange(self.units.size), self.units)
        for g in range(self.units.size):
            here = group == g
            others = self._off[~here], rows[~here] - rows[~here].mean()
            left[here] -= self._off[here] @ np.linalg.lstsq(*others, rcond=None)[0]
        found = mean_estimate(left, self.units, self.sampling.confidence)
        return replace(found, lower=found.lower - self.rounding, upper=found.upper + self.rounding)

    def npv(self, model: Model, *policies: Policy) -> Array:
        """NPV of policies, shape ``(policies, paths)``; −∞ where a row is broken."""
        operations = best_of(self.case)
        found = simulate_policies(
            model, policies, sampling=self.sampling, process=self.case.process, operations=operations
        )
        return found.values

    @property
    def groups(self) -> list[Array]:
        """Paths of each group."""
        ends = np.concatenate([[0], np.cumsum(self.units)])
        return [self.paths[a:b] for a, b in pairwise(ends)]

    def best(self, model: Model, information: Information) -> Array:
        """What no plan of each group betters under an information, a number per path whose mean is the bound."""
        return np.concatenate([_optimum(model, paths, information)[1] for paths in self.groups])

    def foreseen(self, model: Model) -> Array:
        """What perfect information earns on every path in a linear model."""
        return np.concatenate([_foreseen(model, paths) for paths in self.groups])


def _optimum(model: Model, paths: Array, information: Information) -> tuple[ModelPlan, Array]:
    """Best plan on paths, and NPV of each, raised by what the solver leaves open."""
    ours = on_tree(model, fan(paths), information)
    solution = solve_to_gap(ours.program, rel_gap=MIXED_GAP, time_limit=_SECONDS)
    columns = {part.name: ours.on_nodes(solution.x, part.name) for part in model.columns}
    plan = ModelPlan(model, ours.tree, columns, information)
    return plan, plan.scenarios + max(0.0, solution.bound - plan.value)


def _foreseen(model: Model, paths: Array) -> Array:
    """What perfect information earns on each path, in one program for all; what stands at the root is shared."""
    ours = on_tree(model, fan(paths), WaitAndSee())
    solution = solve(ours.program)
    earned = ours.program.objective * solution.x
    total = np.full(len(paths), (solution.objective - earned.sum()) / len(paths))
    for part in model.columns:
        node, money = ours.places[part.name].node, earned[ours.program.columns[part.name].span]
        total += money[node == 0].sum() / len(paths)
        np.add.at(total, (node[node > 0] - 1) % len(paths), money[node > 0])
    return total * len(paths)


def general_values(case: GeneralCase, sampling: Sampling) -> PolicyValues:
    """Brackets of all values of a case on its process.

    Raises
    ------
    InputError
        If the case has further factors or a risk measure, paths are fewer than `FEWEST`, or tails are too heavy for
        intervals of so many paths.
    BoundsError
        If brackets cross by more than chance.
    """
    reason = why_no_process_values(case)
    if reason is not None:
        nested = case.risk is not None and case.risk.kind == "nested"  # trees refuse it as well
        raise InputError(reason if nested else f"{reason}; give --branching")
    sampling = sampling.at_least(FEWEST)
    heavy = why_no_mean(sampling.paths, demand_kurtosis(case))
    if heavy:
        raise InputError(f"paths: {heavy}")
    sample = _Sample(case, sampling)
    pilot = _Sample(case, replace(sampling, paths=_PILOT, seed=other_seed(sampling.seed)))
    model = case.model_on(np.vstack([sample.paths, pilot.paths]))
    linear = relaxed(model)
    flows = flows_on_mean_path(linear, fan(pilot.paths))
    sample = replace(sample, rounding=FEASIBILITY * flows)
    if why_no_exact_policy(case) is None:
        return _around_exact(case, model, sample)
    held = _fixed_in_advance(case, model, pilot)
    proven, recourse = _recourse(case, model)
    chosen = _chosen(model, recourse, held, pilot)
    policies = [chosen.policy(name="rp"), *(plan.policy(name) for name, plan in held.items())]
    npv = dict(zip(("rp", *held), sample.npv(model, *policies), strict=True))
    if not np.isfinite(npv["rp"]).all():  # a row is broken, which did not happen on the pilot paths
        chosen, npv["rp"] = _as_result(held["static"]), npv["static"]
    foresight = sample.foreseen(linear)
    # What is carried over in operations is operated by a rule, and who sees the whole path can do better.
    above = {name: sample.best(model, Held(held[name].amounts)) if model.stores else npv[name] for name in _PLANNED}
    rows = {name: _Rows(npv[name], above[name]) for name in _PLANNED}
    rows["rp"] = _Rows(npv["rp"], foresight, proven)
    rows["ws"] = _Rows(foresight if case.is_linear else npv["rp"], foresight)
    for name, information in (("static", Static()), ("fixed", Fixed())):
        rows[name] = _Rows(npv[name], sample.best(model, information), proven)
    found = _in_their_order({name: _value(name, sample, row) for name, row in rows.items()})
    found["ev"] = _mean_path(held["eev"])
    for name, (high, low) in DIFFERENCES.items():
        if high in rows and low in rows:
            found[name] = _difference(sample, (found[high], rows[high]), (found[low], rows[low]))
    rp = found["rp"]
    bounds = Bounds(rp.lower, rp.upper, Kind.STATISTICAL, Of.PROCESS, flows, sampling.confidence)
    return PolicyValues(
        found,
        replace(chosen, objective=rp.value, bounds=bounds),
        sampling.paths,
        "case" if case.is_linear else "linear relaxation",
        sampling.source.name,
    )


def _around_exact(case: GeneralCase, model: Model, sample: _Sample) -> PolicyValues:
    """All values of a case with an exact policy: perfect information is what it earns more than that, path by path."""
    exact = exact_policy(case)
    error = exact.bounds.upper - exact.objective
    mean = np.asarray(case.process.mean(np.arange(case.horizon.T + 1.0)))
    ev = _of_mean_path(case, model, mean)
    known = {
        "rp": exact.objective,
        "static": exact_in_advance(case)[0],
        "fixed": exact_in_advance(case, fixed=True)[0],
        "eev": exact_plan_value(case, ev.amounts["dM"]),
        "nothing": exact_plan_value(case, np.zeros(case.horizon.T + 1)),
    }
    order = [("eev", "static"), ("static", "rp"), ("fixed", "static")]
    errors = dict.fromkeys(known, error)
    if has_exact_single(case):
        once = exact_single(case)
        known["single"], errors["single"] = once.value, max(error, once.error)
        order += [("fixed", "single"), ("single", "rp")]
    for less, more in order:
        require_order(less, known[less] - errors[less], more, known[more] + errors[more], exact.bounds.flows)
    found = {
        name: ProcessValue(value, value - errors[name], value + errors[name], Kind.EXACT)
        for name, value in known.items()
    }
    if "single" in found:
        found |= {"defer": found["single"].over(found["fixed"]), "staging": found["rp"].over(found["single"])}
    found["ev"] = _mean_path(ev)
    earned = sample.npv(model, exact.policy(name="rp"))[0]
    gain = sample.mean(foreseen(case, sample.paths.T) - earned)
    found["evpi"] = ProcessValue.estimated(gain).within(0.0, max(0.0, found["ev"].upper - exact.bounds.lower))
    found["ws"] = ProcessValue.estimated(shifted(gain, exact.objective), error)
    for name, (high, low) in DIFFERENCES.items():
        if name not in found and high in found and low in found:
            found[name] = found[high].over(found[low])
    return PolicyValues(found, exact, sample.sampling.paths, "case", sample.sampling.source.name)


def plans_in_advance(case: GeneralCase, model: Model, sampling: Sampling) -> dict[str, HeldPlan]:
    """Plans that do not react, by value: ``static``, ``fixed``, ``eev`` and ``nothing``.

    Where a case has further factors or a risk measure only the last.

    Parameters
    ----------
    model
        Of the paths that they are to be judged on.
    sampling
        Of those paths; plans are made on others.
    """
    nothing = HeldPlan(case, model, {d.name: np.zeros(case.horizon.T + 1) for d in model.decisions})
    if why_no_process_values(case) is not None:
        return {"nothing": nothing}
    if why_no_exact_policy(case) is None:
        mean = np.asarray(case.process.mean(np.arange(case.horizon.T + 1.0)))
        best = {name: exact_in_advance(case, fixed=name == "fixed")[1] for name in ("static", "fixed")}
        held = {name: HeldPlan(case, model, {"dM": plan}) for name, plan in best.items()}
        return {**held, "eev": _of_mean_path(case, model, mean), "nothing": nothing}
    pilot = replace(sampling, paths=_PILOT, seed=other_seed(sampling.seed))
    return _fixed_in_advance(case, model, _Sample(case, pilot))


def plan_that_reacts(case: GeneralCase, model: Model, sampling: Sampling) -> Result[Plan]:
    """The plan behind RP: the exact policy, or what earns most on pilot paths; see `plans_in_advance`."""
    if why_no_exact_policy(case) is None:
        return exact_policy(case)
    pilot = _Sample(case, replace(sampling, paths=_PILOT, seed=other_seed(sampling.seed)))
    return _chosen(model, _recourse(case, model)[1], _fixed_in_advance(case, model, pilot), pilot)


def _fixed_in_advance(case: GeneralCase, model: Model, pilot: _Sample) -> dict[str, HeldPlan]:
    """Plans that do not react: the best on pilot paths, that of the mean path, and doing nothing."""
    T = case.horizon.T
    mean = np.asarray(case.process.mean(np.arange(T + 1.0)))
    plans = {
        "static": _optimum(model, pilot.paths, Static())[0],
        "fixed": _optimum(model, pilot.paths, Fixed())[0],
    }
    found = {}
    for name, plan in plans.items():
        first = plan.tree.offsets[: T + 1]
        found[name] = HeldPlan(case, model, {d.name: plan.columns[d.name][first] for d in model.decisions})
    found["eev"] = _of_mean_path(case, model, mean)
    found["nothing"] = HeldPlan(case, model, {d.name: np.zeros(T + 1) for d in model.decisions})
    if model.carried_over is None:
        return found
    lattice = case.lattice(_STATES)
    return {name: operated_by_cuts(plan, lattice, _PASSES) for name, plan in found.items()}


def _of_mean_path(case: GeneralCase, model: Model, mean: Array) -> HeldPlan:
    """The plan that is best on the mean path."""
    certain = on_tree(model, chain(mean), Recourse())
    solution = solve_to_gap(certain.program, rel_gap=MIXED_GAP, time_limit=_SECONDS)
    amounts = certain.plan(solution.x)
    plan = {part.name: np.asarray(amounts[part.name]) for part in model.decisions}
    return HeldPlan(case, model, plan, worth=(solution.objective, solution.bound))


def _recourse(case: GeneralCase, model: Model) -> tuple[float, Result[Plan] | None]:
    """A proven bound on RP, infinite where there is none, and a plan that reacts."""
    proven = np.inf
    linear = growing(case)
    if why_no_jensen(linear) is None:
        proven, plan = jensen_cuts(linear, passes=_PASSES)
        if plan is not None and case.is_linear:
            return proven, _as_result(plan, "sddp", "cuts that know demand")
    if not case.is_linear:
        if model.carried_over is not None:
            return proven, None
        return proven, _of_tree(case)
    lattice = case.lattice(_STATES)
    if lattice.others is not None:
        return proven, None if case.storage is not None else _of_tree(case)
    return proven, _as_result(cuts_on(case.on_lattice(lattice), _PASSES), "sddp", "cuts of a lattice")


def _of_tree(case: GeneralCase) -> Result[Plan]:
    return extensive_form(case, case_tree(case), time_limit=_SECONDS)


def _as_result(plan: Plan, method: str = "static", detail: str = "fixed in advance") -> Result[Plan]:
    """A plan in hand as a result; its bracket is that of RP and comes later."""
    return Result(
        method=method,
        objective=float("nan"),
        bounds=Bounds(-np.inf, np.inf, Kind.STATISTICAL, Of.PROCESS),
        termination=Termination(Reason.LIMIT, detail=f"{detail}: of the policies at hand it earns most on pilot paths"),
        plan=plan,
        timings={},
        solver="highs",
    )


def _chosen(model: Model, recourse: Result[Plan] | None, held: Mapping[str, HeldPlan], pilot: _Sample) -> Result[Plan]:
    """The plan that earns most on pilot paths, which are others than those that plans in advance were fitted to."""
    judge = replace(pilot, sampling=replace(pilot.sampling, seed=other_seed(pilot.sampling.seed)))
    plans = {name: _as_result(plan, name) for name, plan in held.items()}
    for name in STRATEGIES:
        plan = PolicyPlan.of(pilot.case, model, heuristic(name, pilot.case), pilot.paths[:1])
        plans[name] = _as_result(plan, name, "a rule")
    if recourse is not None:
        plans["rp"] = recourse
    npv = judge.npv(model, *(plan.policy(name=name) for name, plan in plans.items()))
    return list(plans.values())[int(npv.mean(axis=1).argmax())]


def _mean_path(plan: HeldPlan) -> ProcessValue:
    value, bound = plan.worth
    return ProcessValue(value, min(value, bound), max(value, bound), Kind.SOLVER)


def _value(name: str, sample: _Sample, rows: _Rows) -> ProcessValue:
    """Bracket of a value."""
    hand, limit = sample.mean(rows.hand), sample.mean(rows.limit)
    return _bracket(name, hand, limit, min(limit.upper, rows.proven))


def _in_their_order(found: dict[str, ProcessValue]) -> dict[str, ProcessValue]:
    """EEV, nothing and fixed ≤ static ≤ RP: what bounds the greater bounds the less."""
    ordered = dict(found)
    for greater, less in (("rp", ("static",)), ("static", ("fixed", *_PLANNED))):
        top = ordered[greater].upper
        ordered |= {name: ordered[name].within(-np.inf, top) for name in less}
    return ordered


def _difference(sample: _Sample, high: tuple[ProcessValue, _Rows], low: tuple[ProcessValue, _Rows]) -> ProcessValue:
    """Bracket of a difference that cannot be negative."""
    (more, better), (less, worse) = high, low
    short, far = sample.mean(better.hand - worse.limit), sample.mean(better.limit - worse.hand)
    least = more.lower - worse.proven if worse.proven < float(worse.limit.mean()) else short.lower
    most = min(far.upper, better.proven - less.lower)
    chance = _FAR * max(short.standard_error, far.standard_error)
    lower, upper = _in_order("difference", max(0.0, least), most, chance)
    lower = max(0.0, lower)
    return ProcessValue(min(max(more.value - less.value, lower), upper), lower, upper, Kind.STATISTICAL)


def _bracket(name: str, hand: Estimate, limit: Estimate, top: float) -> ProcessValue:
    chance = _FAR * max(hand.standard_error, limit.standard_error)
    lower, upper = _in_order(name, hand.lower, top, chance)
    return ProcessValue(min(max(hand.value, lower), upper), lower, upper, Kind.STATISTICAL)


def _in_order(name: str, lower: float, upper: float, chance: float) -> tuple[float, float]:
    """Ends of a bracket; where they cross by chance the lower one gives way by all that chance may have done.

    Raises
    ------
    BoundsError
        If they cross by more than chance.
    """
    if lower <= upper:
        return lower, upper
    require_order(f"lower bound of {name}", lower - chance, f"upper bound of {name}", upper, abs(upper))
    return min(lower - chance, upper), upper
