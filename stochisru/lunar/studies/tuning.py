"""Tuning of a trigger rule, and how much of the optimum it reaches.

The parameters are searched on common random paths (`stochisru.studies.search`): every rule sees the same ones, so the
objective is a deterministic function. What is best on those paths is partly luck; the rule is therefore judged on fresh
ones, beside the exact policy and the rigid plans, by paired differences.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from scenario_trees.arrays import Array
from stochisru.errors import InputError, require_integer
from stochisru.estimate import Estimate
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.exact.unit_value import UnitValue
from stochisru.lunar.policies import policy_named
from stochisru.lunar.simulation import Simulation
from stochisru.lunar.simulation.monte_carlo import simulated
from stochisru.lunar.strategies import AGGRESSIVE, CONSERVATIVE, MODERATE, Strategy, Trigger
from stochisru.lunar.studies.rules import (
    HURDLE,
    RULE_RANGES,
    exact_policy,
    named_rule,
    no_plants,
    require_ranges,
    rule_parameters,
)
from stochisru.lunar.values.process import exact_values
from stochisru.simulation.estimators import mean_estimate, share_reached, unit_error
from stochisru.simulation.sampling import Sampling
from stochisru.studies.search import RuleSearch
from stochisru.studies.store import Execution, Point, Row

if TYPE_CHECKING:
    import pandas as pd


#: How much of the optimum is reached, measured from 0, from doing nothing, and from the best design that cannot react.
SHARES = ("share_of_npv", "share_of_gain", "share_of_flexibility")


@dataclass(frozen=True)
class Objective:
    """What a rule is tuned for: (1 − w)·mean NPV − w·CVaR of the loss at 95 %, $, maximised.

    Attributes
    ----------
    risk_weight
        w in [0, 1].
    """

    risk_weight: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.risk_weight <= 1:
            raise InputError(f"risk_weight: must lie in [0, 1], got {self.risk_weight!r}")

    def sample(self, npv: Array) -> Array:
        """Numbers per path whose mean is the objective, $, shape ``(paths,)``."""
        w = self.risk_weight
        if w == 0:
            return npv
        level = np.partition(npv, k := max(int(np.ceil(0.05 * npv.size)) - 1, 0))[k]
        tail = level - np.maximum(level - npv, 0.0) / 0.05  # mean: −CVaR (Rockafellar and Uryasev 2000)
        return np.asarray((1 - w) * npv + w * tail)

    def value(self, npv: Array) -> float:
        """The objective on a sample, $."""
        return float(self.sample(npv).mean())


@dataclass(frozen=True, eq=False)
class Tuning:
    """A tuned rule and how it does on fresh paths.

    Attributes
    ----------
    rule
        The rule, its parameters in whole per cent.
    in_sample, fresh
        Objective on the paths it was tuned on and on fresh ones, $.
    optimism
        in_sample − fresh, both less the same of the exact policy where there is one, $: what the tuning paths promise
        too much.
    rows
        The tuned rule, the preset rules, the rigid plans and the exact policy on the same fresh paths: ``strategy``,
        ``rule``, parameters, ``objective``, ``npv_mean``, ``gap`` (mean NPV of the exact policy less its own) and
        shares of the optimum, 1 − gap/(RP − start), with intervals; start is 0 for ``share_of_npv``, deploying nothing
        for ``share_of_gain``, the fixed design for ``share_of_flexibility``. None where RP does not exceed the start.
    evaluations
        Rules that were simulated in the search.
    at_bound
        Parameters that ended at an end of their range.
    """

    case: DeploymentCase
    rule: Trigger
    objective: Objective
    in_sample: float
    fresh: Estimate
    optimism: Estimate
    rows: tuple[Row, ...]
    evaluations: int
    at_bound: tuple[str, ...]
    sample: Mapping[str, Any]

    def share(self, name: str = "share_of_npv") -> Estimate:
        """How much of the optimum the rule reaches: ``share_of_npv``, ``share_of_gain`` or ``share_of_flexibility``."""
        row = self.rows[0]
        if row.get(name) is None:
            raise InputError(f"{name}: is not defined for this case (no exact policy, or no gain to share)")
        return Estimate(row[name], float("nan"), row[f"{name}_lower"], row[f"{name}_upper"])

    def describe(self) -> str:
        """The rule as one sentence."""
        return self.rule.describe(self.case)

    def to_rows(self) -> list[Row]:
        """Plain rows for JSON, each with case and sample."""
        head = {"study": "tune", "case": self.case.name, "horizon": self.case.horizon.T, **self.sample}
        head |= {"risk_weight": self.objective.risk_weight, "evaluations": self.evaluations, "sense": "maximise"}
        return [{**head, **row} for row in self.rows]

    def to_frame(self) -> pd.DataFrame:
        """The rows as a table."""
        import pandas as pd

        return pd.DataFrame(list(self.rows))

    def __repr__(self) -> str:
        fresh = f"objective {self.fresh.value:,.0f} $ [{self.fresh.lower:,.0f}, {self.fresh.upper:,.0f}] on fresh paths"
        return f"Tuning({self.describe()!r}; {fresh}, optimism {self.optimism.value:,.0f} $)"


def tune(
    case: DeploymentCase,
    *,
    base: Trigger = MODERATE,
    ranges: Mapping[str, tuple[float, float]] | None = None,
    objective: Objective | None = None,
    paths: int = 4000,
    seed: int = 0,
    fresh_paths: int = 20_000,
    fresh_seed: int | None = None,
    sampler: str = "pseudo-random",
    generations: int = 40,
    confidence: float = 0.95,
    execution: Execution | None = None,
) -> Tuning:
    """Tune a trigger rule and compare it with the exact policy on fresh paths.

    Parameters
    ----------
    base
        Rule whose other parameters are kept; ``hurdle=False`` there tunes the plain trigger.
    ranges
        Lowest and highest value per tuned parameter; `RULE_RANGES` if not given, without those of the hurdle where
        ``base`` has none.
    objective
        Mean NPV if not given.
    paths, seed
        Paths that rules are tuned on.
    fresh_paths, fresh_seed
        Paths that the result is judged on; seed + 1 if not given.
    generations
        Most generations of differential evolution, ≥ 1; it stops early when all rules of a generation are equally good.
    sampler, confidence
        See `stochisru.simulate`.
    execution
        Workers, checkpoint and so on; the result does not depend on it.

    Raises
    ------
    InputError
        If an argument is out of range, or the fresh paths are the tuning paths.

    Examples
    --------
    >>> from stochisru import load_case
    >>> case = load_case("lunar-reference").replace(T=5)
    >>> result = tune(case, paths=500, generations=5, fresh_paths=2000)
    >>> result.share("share_of_npv").value > 0.9
    True
    """
    objective = objective or Objective()
    unused = () if base.hurdle else HURDLE
    if ranges is None:
        ranges = {name: span for name, span in RULE_RANGES.items() if name not in unused}
    require_ranges(ranges)
    for name in unused:
        if name in ranges:
            raise InputError(f"{name}: is not used by a rule without hurdle")
    seen = Sampling(paths, seed, sampler, confidence=confidence)
    fresh_seed = seed + 1 if fresh_seed is None else fresh_seed
    fresh = replace(seen, paths=fresh_paths, seed=fresh_seed)
    if fresh_seed == seed:
        raise InputError(f"fresh_seed: must differ from seed, got {fresh_seed!r} for both")
    require_integer("generations", generations, 1)
    identity = {
        "study": "tune",
        "case": case.digest(),
        "paths": paths,
        "seed": seed,
        "sampler": seen.source.name,
        "risk_weight": objective.risk_weight,
        "base": rule_parameters(base),
    }
    judge = partial(_judge, case, base, objective, seen)
    with (execution or Execution()).opened(identity, judge) as evaluator:
        search = RuleSearch(evaluator, ranges)
        search.evolve(seed, generations)
        search.polish()
        best = search.rounded()
    tuned = named_rule("tuned", best, base)
    return _validated(
        case,
        tuned,
        objective,
        seen,
        fresh,
        evaluations=len(search.seen),
        at_bound=tuple(name for name, (low, high) in ranges.items() if not low < best[name] < high),
    )


def _judge(
    case: DeploymentCase,
    base: Trigger,
    objective: Objective,
    sample: Sampling,
    point: Point,
) -> list[Row]:
    outcome = simulated(case, [named_rule("candidate", point, base)], sample)
    return [{"objective": objective.value(outcome.npv[0])}]


def _validated(
    case: DeploymentCase,
    tuned: Trigger,
    objective: Objective,
    tuned_on: Sampling,
    judged_on: Sampling,
    evaluations: int,
    at_bound: tuple[str, ...],
) -> Tuning:
    exact = exact_policy(case)
    rigid = [policy_named(name, case) for name in ("static", "fixed")]
    compared: list[Strategy] = [tuned, CONSERVATIVE, MODERATE, AGGRESSIVE, *rigid, no_plants(case)]
    worth = {}
    if exact is not None:
        compared.append(exact)
        values = exact_values(case)
        rp = values.point("rp")
        starts = (0.0, -UnitValue.of(case).without_plants(), values.point("fixed"))
        worth = {share: rp - start for share, start in zip(SHARES, starts, strict=True)}
    seen, fresh = simulated(case, compared, tuned_on), simulated(case, compared, judged_on)
    rows = [_row(case, strategy, fresh, seen, objective, worth) for strategy in compared]
    gains = [objective.sample(s.npv[0]) for s in (seen, fresh)]
    promised = objective.value(seen.npv[0])
    if exact is not None:
        gains = [g - objective.sample(s.npv[-1]) for g, s in zip(gains, (seen, fresh), strict=True)]
    return Tuning(
        case=case,
        rule=tuned,
        objective=objective,
        in_sample=promised,
        fresh=mean_estimate(objective.sample(fresh.npv[0]), fresh.units, fresh.confidence),
        optimism=_independent_difference(gains[0], seen, gains[1], fresh),
        rows=tuple(rows),
        evaluations=evaluations,
        at_bound=at_bound,
        sample={
            "paths": tuned_on.paths,
            "seed": tuned_on.seed,
            "sampler": tuned_on.source.name,
            "confidence": tuned_on.confidence,
            "fresh_paths": judged_on.paths,
            "fresh_seed": judged_on.seed,
        },
    )


def _independent_difference(first: Array, one: Simulation, second: Array, other: Simulation) -> Estimate:
    """Difference of the means of two independent samples (normal interval)."""
    from scipy.special import ndtri

    value = float(first.mean() - second.mean())
    error = float(
        np.hypot(unit_error(first - first.mean(), one.units), unit_error(second - second.mean(), other.units))
    )
    half = float(ndtri(0.5 + one.confidence / 2)) * error
    return Estimate(value, error, value - half, value + half)


def _row(
    case: DeploymentCase,
    strategy: Strategy,
    fresh: Simulation,
    seen: Simulation,
    objective: Objective,
    worth: Mapping[str, float],
) -> Row:
    """A strategy on fresh paths; ``worth`` is RP less each start that shares are measured from."""
    at = {name: i for i, name in enumerate(fresh.names)}
    npv = fresh.npv[at[strategy.name]]
    row: Row = {"strategy": strategy.name, "rule": strategy.describe(case), **rule_parameters(strategy)}
    row["objective_in_sample"] = objective.value(seen.npv[at[strategy.name]])
    row |= _entries("objective", mean_estimate(objective.sample(npv), fresh.units, fresh.confidence))
    row |= _entries("npv_mean", mean_estimate(npv, fresh.units, fresh.confidence))
    gap = mean_estimate(fresh.npv[at["threshold"]] - npv, fresh.units, fresh.confidence) if "threshold" in at else None
    row |= _entries("gap", gap)
    for share in SHARES:
        row |= _entries(share, share_reached(worth[share], gap) if gap is not None and worth[share] > 0 else None)
    return row


def _entries(name: str, estimate: Estimate | None) -> Row:
    value, low, high = (None,) * 3 if estimate is None else (estimate.value, estimate.lower, estimate.upper)
    return {name: value, f"{name}_lower": low, f"{name}_upper": high}
