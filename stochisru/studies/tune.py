"""Tuning of a trigger rule, and how much of the optimum it reaches.

The parameters are searched by differential evolution (Storn and Price 1997) and polished by Nelder and Mead's simplex,
on common random paths: every rule sees the same ones, so the objective is a deterministic function. What is best on
those paths is partly luck; the rule is therefore judged on fresh ones, beside the exact policy and the rigid plans, by
paired differences.

A search is remembered by its evaluations. Run again, it asks for the same rules in the same order and finds the
answers, so a resumed search is the search that was never interrupted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stochisru.case import DeploymentCase
from stochisru.errors import InputError
from stochisru.metrics import Estimate, mean_estimate, unit_error
from stochisru.simulation import Simulation, require_sampling, simulate
from stochisru.strategies import AGGRESSIVE, CONSERVATIVE, MODERATE, Strategy, Trigger
from stochisru.studies.rules import (
    RULE_RANGES,
    exact_policy,
    named_rule,
    no_plants,
    require_ranges,
    rigid_plans,
    rule_parameters,
)
from stochisru.studies.store import Evaluator, Execution, Point, Row

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]

#: Rules per parameter in a generation.
_POPULATION = 8
#: Digits of a parameter while searching, and of the rule that is found: whole per cent, as its sentence says.
_DIGITS, _FINAL_DIGITS = 4, 2
#: Strategies that shares are measured from: doing nothing, and the best design that cannot react.
_SHARES = {"share_of_gain": "none", "share_of_flexibility": "fixed"}


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
        ``rule``, parameters, ``objective``, ``npv_mean``, ``regret`` (mean NPV lost against the exact policy) and
        shares of the optimum, with intervals.
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
    ranges: Mapping[str, tuple[float, float]] = RULE_RANGES,
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
        Lowest and highest value per tuned parameter.
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
    require_ranges(ranges)
    source = require_sampling(paths, seed, sampler)
    fresh_seed = seed + 1 if fresh_seed is None else fresh_seed
    require_sampling(fresh_paths, fresh_seed, sampler)
    if fresh_seed == seed:
        raise InputError(f"fresh_seed: must differ from seed, got {fresh_seed!r} for both")
    if isinstance(generations, bool) or not isinstance(generations, int) or generations < 1:
        raise InputError(f"generations: must be an integer >= 1, got {generations!r}")
    identity = {
        "study": "tune",
        "case": case.digest(),
        "paths": paths,
        "seed": seed,
        "sampler": source.name,
        "risk_weight": objective.risk_weight,
        "base": rule_parameters(base),
    }
    judge = partial(_judge, case, base, objective, paths, seed, sampler)
    with (execution or Execution()).opened(identity, judge) as evaluator:
        search = _Search(evaluator, ranges)
        search.evolve(seed, generations)
        search.polish()
        best = search.rounded()
    tuned = named_rule("tuned", best, base)
    return _validated(
        case,
        tuned,
        objective,
        {"paths": paths, "seed": seed, "sampler": source.name, "confidence": confidence}
        | {"fresh_paths": fresh_paths, "fresh_seed": fresh_seed},
        evaluations=len(search.seen),
        at_bound=tuple(name for name, (low, high) in ranges.items() if not low < best[name] < high),
    )


def _judge(
    case: DeploymentCase,
    base: Trigger,
    objective: Objective,
    paths: int,
    seed: int,
    sampler: str,
    point: Point,
) -> list[Row]:
    outcome = simulate(case, [named_rule("candidate", point, base)], paths=paths, seed=seed, sampler=sampler)
    return [{"objective": objective.value(outcome.npv[0])}]


class _Search:
    """Search in the unit cube of the ranges; every rule asked for is evaluated once."""

    def __init__(self, evaluator: Evaluator, ranges: Mapping[str, tuple[float, float]]) -> None:
        self.evaluator, self.names = evaluator, list(ranges)
        self.low, self.high = np.array(list(ranges.values())).T
        self.seen: dict[tuple[float, ...], float] = {}

    def _values(self, unit: Array, digits: int) -> tuple[float, ...]:
        value = np.round(self.low + np.clip(unit, 0, 1) * (self.high - self.low), digits)
        return tuple(float(x) for x in np.clip(value, self.low, self.high))

    def losses(self, units: Array) -> Array:
        """−objective of the columns of ``units``, shape ``(parameters, rules)``."""
        rules = [self._values(column, _DIGITS) for column in np.asarray(units).T]
        return -np.array(self._objectives(rules))

    def _objectives(self, rules: list[tuple[float, ...]]) -> list[float]:
        new = [r for r in dict.fromkeys(rules) if r not in self.seen]
        points = [dict(zip(self.names, r, strict=True)) for r in new]
        for rule, (row,) in zip(new, self.evaluator.rows(points), strict=True):
            self.seen[rule] = row["objective"]
        return [self.seen[r] for r in rules]

    @property
    def _best(self) -> tuple[float, ...]:
        return max(self.seen, key=lambda rule: self.seen[rule])

    def evolve(self, seed: int, generations: int) -> None:
        """Differential evolution."""
        from scipy.optimize import Bounds, differential_evolution

        differential_evolution(
            self.losses,
            Bounds(np.zeros(len(self.names)), np.ones(len(self.names))),
            popsize=_POPULATION,
            maxiter=generations,
            tol=1e-4,
            rng=np.random.default_rng(np.random.SeedSequence(seed)),
            polish=False,
            init="latinhypercube",
            updating="deferred",
            vectorized=True,
        )

    def polish(self) -> None:
        """Nelder and Mead's simplex from the best rule so far."""
        from scipy.optimize import Bounds, minimize

        start = (np.array(self._best) - self.low) / (self.high - self.low)
        steps = np.where(start < 0.95, 0.05, -0.05)
        minimize(
            lambda unit: float(self.losses(unit[:, None])[0]),
            start,
            method="Nelder-Mead",
            bounds=Bounds(np.zeros(start.size), np.ones(start.size)),
            options={
                "initial_simplex": np.vstack([start, start + np.diag(steps)]),
                "xatol": 1e-3,
                "fatol": 1e-6 * abs(self.seen[self._best]),
                "maxfev": 60 * len(self.names),
            },
        )

    def rounded(self) -> dict[str, float]:
        """Best rule, rounded to whole per cent (where the range allows), by name."""
        value = np.clip(np.round(self._best, _FINAL_DIGITS), self.low, self.high)
        return dict(zip(self.names, map(float, value), strict=True))


def _validated(
    case: DeploymentCase,
    tuned: Trigger,
    objective: Objective,
    sample: Mapping[str, Any],
    evaluations: int,
    at_bound: tuple[str, ...],
) -> Tuning:
    exact = exact_policy(case)
    compared: list[Strategy] = [tuned, CONSERVATIVE, MODERATE, AGGRESSIVE, *rigid_plans(case), no_plants(case)]
    if exact is not None:
        compared.append(exact)
    common = {"sampler": sample["sampler"], "confidence": sample["confidence"]}
    seen = simulate(case, compared, paths=sample["paths"], seed=sample["seed"], **common)
    fresh = simulate(case, compared, paths=sample["fresh_paths"], seed=sample["fresh_seed"], **common)
    rows = [_row(case, strategy, fresh, seen, objective) for strategy in compared]
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
        sample=sample,
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


def _row(case: DeploymentCase, strategy: Strategy, fresh: Simulation, seen: Simulation, objective: Objective) -> Row:
    at = {name: i for i, name in enumerate(fresh.names)}
    npv = fresh.npv[at[strategy.name]]
    row: Row = {"strategy": strategy.name, "rule": strategy.describe(case), **rule_parameters(strategy)}
    row["objective_in_sample"] = objective.value(seen.npv[at[strategy.name]])
    row |= _entries("objective", mean_estimate(objective.sample(npv), fresh.units, fresh.confidence))
    row |= _entries("npv_mean", mean_estimate(npv, fresh.units, fresh.confidence))
    if "threshold" not in at:
        return row
    best = fresh.npv[at["threshold"]]
    row |= _entries("regret", mean_estimate(best - npv, fresh.units, fresh.confidence))
    row |= _entries("share_of_npv", _ratio(npv, best, fresh))
    for share, start in _SHARES.items():
        base = fresh.npv[at[start]]
        row |= _entries(share, _ratio(npv - base, best - base, fresh))
    return row


def _entries(name: str, estimate: Estimate | None) -> Row:
    value, low, high = (None,) * 3 if estimate is None else (estimate.value, estimate.lower, estimate.upper)
    return {name: value, f"{name}_lower": low, f"{name}_upper": high}


def _ratio(top: Array, bottom: Array, outcome: Simulation) -> Estimate | None:
    """Ratio of two means on the same paths (delta method); None unless the lower one is surely positive."""
    below = mean_estimate(bottom, outcome.units, outcome.confidence)
    if not below.lower > 0:
        return None
    ratio = float(top.mean() / below.value)
    spread = mean_estimate((top - ratio * bottom) / below.value, outcome.units, outcome.confidence)
    return Estimate(
        ratio, spread.standard_error, ratio + spread.lower - spread.value, ratio + spread.upper - spread.value
    )
