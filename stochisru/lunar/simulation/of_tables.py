"""Policies of a case with tables on common paths, with the metrics of the base case."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from scenario_trees.arrays import Array
from stochisru.errors import InputError
from stochisru.estimate import Estimate
from stochisru.files import plainly
from stochisru.lunar.indicators import KEPT_CASH
from stochisru.lunar.simulation.outcome import demand_kurtosis
from stochisru.lunar.tables.fleet import Fleet
from stochisru.lunar.tables.merit_order import best_of
from stochisru.methods.result import versions
from stochisru.problem.model import Model
from stochisru.problem.paths import Paths
from stochisru.problem.plan import ModelPlan
from stochisru.problem.policies.follow import Followed
from stochisru.problem.policies.protocol import Policy
from stochisru.simulation.metrics import UNITS, Moments, metrics_frame, strategy_metrics, told_metrics
from stochisru.simulation.of_model import Outcomes, drawn_paths, in_words, walked
from stochisru.simulation.returns import return_metrics, whole_groups
from stochisru.simulation.sampling import Sampling

if TYPE_CHECKING:
    import pandas as pd

    from stochisru.lunar.tables.case import GeneralCase


@dataclass(frozen=True, eq=False)
class OutcomesOfTables(Outcomes):
    """Policies of a case with tables on the same paths.

    Attributes
    ----------
    outcomes
        `stochisru.simulation.metrics.OUTCOMES` of every path, shape ``(policies, outcomes, paths)``: what plants
        deliver to customers, what customers want, and so on; kg of all years.
    cash
        Undiscounted cash of the first paths by year, $, shape ``(policies, T + 1, paths kept)``.
    kurtosis
        Of demand in the last year, where demand is the only factor; None elsewhere and of given paths.
    drawn
        Whether the paths were drawn, and not given.
    """

    case: GeneralCase
    outcomes: Array
    cash: Array
    kurtosis: float | None
    drawn: bool

    @cached_property
    def metrics(self) -> dict[str, dict[str, Estimate]]:
        """All metrics of `stochisru.simulation.metrics.UNITS` by policy, as of a base case."""
        return {name: self._of(i) for i, name in enumerate(self.names)}

    @property
    def paths(self) -> int:
        """Number of paths."""
        return int(self.values.shape[1])

    @property
    def confidence(self) -> float:
        """Level of the intervals."""
        return self.sampling.confidence

    def to_frame(self) -> pd.DataFrame:
        """Tidy table: strategy, metric, value, lower, upper, standard_error, unit, reason."""
        return metrics_frame(self.metrics)

    @cached_property
    def _never_short(self) -> bool:
        return Fleet(self.case, self.model).earth_serves_all

    def _of(self, i: int) -> dict[str, Estimate]:
        broken, nan = int(np.sum(~np.isfinite(self.values[i]))), float("nan")
        if broken:
            why = f"a row is broken on {broken:,} of {self.values.shape[1]:,} paths"
            return dict.fromkeys(UNITS, Estimate(nan, nan, nan, nan, why)) | {
                "npv_mean": Estimate(-np.inf, nan, nan, nan, why)
            }
        confidence = self.sampling.confidence
        moments = Moments.of(list(self.outcomes[i]), self.units)
        found = strategy_metrics(self.values[i], moments, self.units, confidence, self.kurtosis, self._never_short)
        known, units = whole_groups(self.units, self.cash.shape[2])
        found |= return_metrics(self.cash[i, :, :known], units, confidence, self.case.horizon.step)
        return {name: found[name] for name in UNITS}

    @plainly
    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, with the keys of a base case's."""
        return {
            "case": self.case.name,
            "horizon": self.model.horizon,
            "process": self.process,
            "paths": self.values.shape[1],
            "seed": self.sampling.seed if self.drawn else None,
            "sampler": self.sampling.source.name if self.drawn else "given paths",
            "confidence": self.sampling.confidence,
            "sense": "maximise",
            "units": dict(UNITS),
            "strategies": {p.name: told_metrics(self.metrics[p.name]) | {"rule": p.describe()} for p in self.policies},
            "differences": self.differences(),
            "versions": versions(),
        }

    def differences(self) -> list[dict[str, Any]]:
        """Paired differences of mean NPV of every pair of policies, $; none with one that breaks a row."""
        whole = [name for i, name in enumerate(self.names) if np.isfinite(self.values[i]).all()]
        return [
            {"first": a, "second": b, **vars(self.difference(a, b)), "unit": "$"}
            for i, a in enumerate(whole)
            for b in whole[i + 1 :]
        ]


def simulate_tables(
    case: GeneralCase, model: Model, policies: Sequence[Policy], sample: Sampling, given: Array | None = None
) -> OutcomesOfTables:
    """Judge policies of a case with tables.

    Parameters
    ----------
    model
        The case's, on a ground that holds all demand that may come.
    given
        Paths of the factors in place of fresh ones, shape ``(paths, T + 1)`` or ``(paths, T + 1, factors)``.

    Raises
    ------
    InputError
        If names occur twice, or a policy gives something else than it must.
    """
    names = [policy.name for policy in policies]
    if not names or len(set(names)) < len(names):
        raise InputError(f"strategies: must be one or more of different names, got {', '.join(names) or 'none'}")
    drawn = drawn_paths(model, case.process, sample) if given is None else Paths.of(model, given)
    fleet, count = Fleet(case, model), len(drawn)

    def told(followed: Followed, first: int) -> tuple[Array, ...]:
        cash = followed.plan.cash
        return followed.values, _outcomes(fleet, followed.plan, cash), cash[:, : max(0, KEPT_CASH - first)].copy()

    values, outcomes, cash = walked(model, policies, drawn, best_of(case), sample.workers, told)
    words = in_words(case.process) if given is None else "given paths"
    units = sample.source.units(count) if given is None else np.ones(count, dtype=np.int64)
    kurtosis = demand_kurtosis(case) if given is None and not case.factors else None
    each = (case, outcomes, cash, kurtosis, given is None)
    return OutcomesOfTables(model, tuple(policies), values, units, sample, words, *each)


def _outcomes(fleet: Fleet, plan: ModelPlan, cash: Array) -> Array:
    """`OUTCOMES` of every path of a fan, shape ``(outcomes, n)``."""
    n, T = plan.tree.n_leaves, fleet.T
    step = fleet.case.horizon.step

    def rows(*names: str) -> Array:
        total = np.zeros((T + 1, n))
        for name in names:
            flat = plan.quantities.get(name)
            if flat is not None:
                total[0] += flat[0]
                total[1:] += flat[1:].reshape(T, n)
        return total

    suffixes = [kind.suffix for kind in fleet.kinds]
    made = rows(*(["Q"] if fleet.case.storage is not None else [f"Q{x}" for x in suffixes]))
    delivered = made - rows("bought")
    short = rows(*(f"S{x}" for x in fleet.tier_suffixes))
    wanted = delivered + short + rows(*(f"Q_earth{x}" for x in fleet.tier_suffixes))
    capacity = rows(*(f"Qcap{x}" for x in suffixes))
    orders = {f"dM{x}": rows(f"dM{x}") for x in suffixes}
    arrives = np.any([amounts > 0 for amounts in orders.values()], axis=0)
    first = {name: np.concatenate([amounts[:1], np.zeros((T, n))]) for name, amounts in orders.items()}
    none = {name: np.zeros((T + 1, n)) for name in orders}
    factors = dict(zip(plan.model.factors, _factors(plan), strict=False))
    # NPV of cash up to a year has the sign of the discounted sum.
    worth = np.cumsum(cash * plan.model.discount[:, None], axis=0)
    paid = worth >= 0
    years = np.where(paid.any(axis=0), paid.argmax(axis=0), T + 1)
    total, lacking = wanted.sum(axis=0) * step, short.sum(axis=0) * step
    return np.stack(
        [
            delivered.sum(axis=0) * step,
            total,
            lacking,
            (lacking > 1e-9 * total).astype(float),
            capacity.sum(axis=0) * step,
            capacity[-1],
            arrives.sum(axis=0).astype(float),
            np.broadcast_to(fleet.investment(first, factors, 0, none), (n,)),
            (years <= T).astype(float),
            np.where(years <= T, years, 0) * step,
        ]
    )


def _factors(plan: ModelPlan) -> list[Array]:
    """Factors of year 0, each of shape ``(1,)``."""
    tree = plan.tree
    return [tree.value[:1], *(tree.others[:1].T if tree.others is not None else ())]
