"""Efficiency frontiers: which strategies and rules are not beaten in what a decision maker trades off.

Two pairs are judged: mean NPV (more is better) against CVaR of the loss (less is better), and mean NPV against the
capital of the first year (less is better). A strategy is dominated if another one is at least as good in both and
better in one, on the same paths.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from scenario_trees.arrays import Array, Mask
from stochisru.errors import InputError
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.simulation.chosen import resolve
from stochisru.lunar.simulation.monte_carlo import simulated
from stochisru.lunar.solving import has_exact_policy
from stochisru.lunar.strategies import STRATEGIES, Strategy
from stochisru.lunar.studies.rules import exact_policy, rule_parameters
from stochisru.methods.checkpoint import code_of
from stochisru.simulation.sampling import Sampling
from stochisru.studies.store import Execution, Point, Row, Study, run_study

if TYPE_CHECKING:
    import pandas as pd

#: Metrics of a row, each with ``_lower`` and ``_upper``; units as in `stochisru.simulation.metrics.UNITS`.
METRICS = ("npv_mean", "npv_sd", "cvar95", "first_year_capital", "p_positive")
#: What is traded off against mean NPV; less of it is better.
TRADED = {"cvar95": "risk", "first_year_capital": "capital"}


def non_dominated(first: ArrayLike, second: ArrayLike) -> Mask:
    """Points that no other point dominates.

    Parameters
    ----------
    first, second
        Two qualities of each point, more is better, shape ``(n,)``, not NaN.

    Returns
    -------
    numpy.ndarray
        Shape ``(n,)``. Of points that are equal in both qualities all or none are non-dominated.

    Examples
    --------
    >>> non_dominated([3, 2, 1, 1], [1, 2, 2, 3]).tolist()
    [True, True, False, True]
    """
    a, b = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    order = np.lexsort((-b, -a))
    # Along falling first quality a point survives if its second exceeds that of all points before it.
    ahead = np.concatenate([[-np.inf], np.maximum.accumulate(b[order])[:-1]])
    survives = b[order] > ahead
    same = np.zeros(a.size, dtype=bool)
    same[1:] = (np.diff(a[order]) == 0) & (np.diff(b[order]) == 0)
    leader = np.maximum.accumulate(np.where(same, 0, np.arange(a.size)))
    out = np.empty(a.size, dtype=bool)
    out[order] = survives[leader]
    return out


#: Entry of a point that tells the code of a strategy from another; not part of its row.
_CODE = "code"


@dataclass(frozen=True, eq=False)
class Frontier:
    """Strategies judged on common paths, with who is dominated.

    Attributes
    ----------
    rows
        One per strategy: ``strategy``, ``rule`` (its sentence), the parameters of a trigger rule, each metric with its
        interval, ``gap`` (mean NPV of the exact policy on the same paths less that of the strategy, $, with interval;
        None where there is no exact policy), and for ``risk`` and ``capital``: ``efficient_…`` and ``dominated_by_…``.
    """

    case: DeploymentCase
    rows: tuple[Row, ...]
    paths: int
    seed: int
    sampler: str
    confidence: float

    @property
    def dominated(self) -> list[str]:
        """Strategies that are dominated both in (mean, CVaR) and in (capital, NPV)."""
        return [r["strategy"] for r in self.rows if not any(r[f"efficient_{side}"] for side in TRADED.values())]

    def efficient(self, side: str) -> list[str]:
        """Non-dominated strategies by falling mean NPV; ``side`` is ``risk`` or ``capital``."""
        if side not in TRADED.values():
            raise InputError(f"side: must be one of {', '.join(TRADED.values())}, got {side!r}")
        chosen = [r for r in self.rows if r[f"efficient_{side}"]]
        return [r["strategy"] for r in sorted(chosen, key=lambda r: -r["npv_mean"])]

    def to_rows(self) -> list[Row]:
        """Plain rows for JSON, each with case and sample."""
        sample = {"paths": self.paths, "seed": self.seed, "sampler": self.sampler, "confidence": self.confidence}
        head = {"study": "frontier", "case": self.case.name, "horizon": self.case.horizon.T, **sample}
        return [{**head, "sense": "maximise", **row} for row in self.rows]

    def to_frame(self) -> pd.DataFrame:
        """The rows as a table."""
        import pandas as pd

        return pd.DataFrame(list(self.rows))

    def __repr__(self) -> str:
        return (
            f"Frontier({len(self.rows)} strategies, {self.paths:,} paths, T = {self.case.horizon.T}; non-dominated: "
            f"{len(self.efficient('risk'))} in (mean, CVaR), {len(self.efficient('capital'))} in (capital, NPV))"
        )


def default_strategies(case: DeploymentCase) -> list[str]:
    """The heuristics, the exact policy where there is one, and the static, fixed and expected-value plans."""
    exact = ["threshold"] if has_exact_policy(case) else []
    return [*STRATEGIES, *exact, "static", "fixed", "ev"]


def frontier(
    case: DeploymentCase,
    strategies: Sequence[Strategy | str] | None = None,
    *,
    paths: int = 10_000,
    seed: int = 0,
    sampler: str = "pseudo-random",
    confidence: float = 0.95,
    execution: Execution | None = None,
) -> Frontier:
    """Judge strategies on common paths and mark who is dominated.

    Parameters
    ----------
    strategies
        Strategies, or names of `stochisru.lunar.policies.POLICIES`; `default_strategies` if not given. Add rules by
        `stochisru.lunar.studies.rules.sample_rules`.
    paths, seed, sampler, confidence
        See `stochisru.simulate`; every strategy sees the same paths.
    execution
        Workers, checkpoint and so on; the rows do not depend on it.

    Raises
    ------
    InputError
        If an argument is out of range, or a strategy misbehaves.

    Examples
    --------
    >>> from stochisru import load_case
    >>> result = frontier(load_case("lunar-reference").replace(T=5), paths=2000)
    >>> result.efficient("risk")[0]
    'threshold'
    """
    sample = Sampling(paths, seed, sampler, confidence=confidence)
    source = sample.source
    chosen = {s.name: s for s in resolve(case, default_strategies(case) if strategies is None else strategies)}
    # Of two names: a strategy of the user may be called as it likes.
    exact, beside = exact_policy(case), exact_policy(case, "exact policy (reference)")
    points = [
        {"strategy": s.name, "rule": s.describe(case), **rule_parameters(s), _CODE: code_of(s)} for s in chosen.values()
    ]
    identity = {"study": "frontier", "case": case.digest(), "paths": paths, "seed": seed, "sampler": source.name}
    identity["confidence"] = confidence
    judge = partial(_judge, case, chosen, exact, beside, sample)
    rows = run_study(Study(identity, points, judge), execution)
    for traded, side in TRADED.items():
        _mark(rows, traded, side)
    return Frontier(case, tuple(rows), paths, seed, source.name, confidence)


def _judge(
    case: DeploymentCase,
    strategies: dict[str, Strategy],
    exact: Strategy | None,
    reference: Strategy | None,
    sample: Sampling,
    point: Point,
) -> list[Row]:
    """Row of one strategy, the exact policy beside it on the same paths."""
    strategy = strategies[point["strategy"]]
    beside = [] if reference is None or exact == strategy else [reference]
    outcome = simulated(case, [strategy, *beside], sample)
    metrics = outcome.metrics[strategy.name]
    row: dict[str, Any] = {key: value for key, value in point.items() if key != _CODE}
    for name in METRICS:
        estimate = metrics[name]
        row |= {name: estimate.value, f"{name}_lower": estimate.lower, f"{name}_upper": estimate.upper}
    gap = outcome.difference(beside[0].name, strategy.name) if beside else None
    if gap is None:
        nothing = None if exact is None else 0.0
        row |= {"gap": nothing, "gap_lower": nothing, "gap_upper": nothing}
    else:
        row |= {"gap": gap.value, "gap_lower": gap.lower, "gap_upper": gap.upper}
    return [row]


def _mark(rows: list[Row], traded: str, side: str) -> None:
    """Mark the non-dominated rows; name for each dominated one the best that dominates it."""
    mean = _without_rounding(np.array([r["npv_mean"] for r in rows]))
    less = -_without_rounding(np.array([r[traded] for r in rows]))
    efficient = non_dominated(mean, less)
    for i, row in enumerate(rows):
        row[f"efficient_{side}"] = bool(efficient[i])
        better = efficient & (mean >= mean[i]) & (less >= less[i]) & ((mean > mean[i]) | (less > less[i]))
        best = int(np.argmax(np.where(better, mean, -np.inf)))
        row[f"dominated_by_{side}"] = rows[best]["strategy"] if better.any() else None


def _without_rounding(values: Array) -> Array:
    """Values without the digits in which two evaluations of one number differ."""
    size = float(np.abs(values).max(initial=0.0))
    return np.round(values / size, 10) * size if size > 0 else values
