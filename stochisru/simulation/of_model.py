"""Policies of a model judged on common fresh paths of its factors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from scenario_trees.arrays import Array, Index
from scenario_trees.lattice import MarkovLattice
from scenario_trees.origin import Origin
from scenario_trees.protocols import draws_of
from stochisru.errors import InputError
from stochisru.estimate import Estimate
from stochisru.files import plainly
from stochisru.problem.model import Model, require_model
from stochisru.problem.paths import Paths
from stochisru.problem.policies.follow import Followed, follow
from stochisru.problem.policies.protocol import BestOperations, Policy
from stochisru.shown import Shown
from stochisru.simulation.blocks import in_order
from stochisru.simulation.metrics import npv_metrics
from stochisru.simulation.sampling import Sampling

if TYPE_CHECKING:
    import pandas as pd

#: Paths of one task where operations are a program: programs of so many are small, and workers get their share.
_PER_PROGRAM = 250
#: Paths of one task where they are not.
_PER_TASK = 4096
#: Metrics of `Outcomes`, and those of `stochisru.simulation.metrics.npv_metrics` that they are where worth is maximised
#: and where cost is minimised; there quantiles change ends.
_METRICS = {
    "mean": ("npv_mean", "npv_mean"),
    "sd": ("npv_sd", "npv_sd"),
    "p5": ("npv_p5", "npv_p95"),
    "p50": ("npv_p50", "npv_p50"),
    "p95": ("npv_p95", "npv_p5"),
}


@dataclass(frozen=True, eq=False)
class Outcomes(Shown):
    """Policies of a model on the same fresh paths.

    Attributes
    ----------
    values
        Discounted money in the sense of the model, shape ``(policies, paths)``; −∞ (maximised) or ∞ (minimised) on
        paths on which a policy breaks a row.
    units
        Sizes of the independent groups of paths.
    process
        What the paths were drawn from, in words.
    """

    model: Model
    policies: tuple[Policy, ...]
    values: Array
    units: Index
    sampling: Sampling
    process: str

    @property
    def names(self) -> list[str]:
        """Names of the policies."""
        return [policy.name for policy in self.policies]

    @cached_property
    def metrics(self) -> dict[str, dict[str, Estimate]]:
        """By policy: ``mean``, ``sd``, ``p5``, ``p50``, ``p95``, ``worst5`` (mean of the worst 5 %), in money.

        All are in the sense of the model: where cost is minimised the worst are the dearest.
        """
        return {name: self._metrics(self.values[i]) for i, name in enumerate(self.names)}

    def _metrics(self, values: Array) -> dict[str, Estimate]:
        sign, nan = self.model.sign, float("nan")
        broken = int(np.sum(~np.isfinite(values)))
        if broken:
            why = f"a row is broken on {broken:,} of {values.size:,} paths"
            return dict.fromkeys([*_METRICS, "worst5"], Estimate(-sign * np.inf, nan, nan, nan, why))
        found = npv_metrics(sign * values, self.units, self.sampling.confidence)
        table = {name: _signed(found[pair[sign < 0]], sign) for name, pair in _METRICS.items()}
        table["sd"] = found["npv_sd"]
        table["worst5"] = _signed(found["cvar95"], -sign)
        return table

    def difference(self, first: str, second: str) -> Estimate:
        """Mean of one policy less another's, path by path: the interval of a paired comparison."""
        from stochisru.simulation.estimators import mean_estimate

        rows = []
        for name in (first, second):
            if name not in self.names:
                raise InputError(f"policy: must be one of {', '.join(self.names)}, got {name!r}")
            rows.append(self.values[self.names.index(name)])
        return mean_estimate(rows[0] - rows[1], self.units, self.sampling.confidence)

    def to_frame(self) -> pd.DataFrame:
        """Tidy table: policy, metric, value, lower, upper, standard_error, reason (why there is no interval)."""
        import pandas as pd

        rows = [
            {"policy": policy, "metric": name, **vars(estimate)}
            for policy, table in self.metrics.items()
            for name, estimate in table.items()
        ]
        return pd.DataFrame(rows)[["policy", "metric", "value", "lower", "upper", "standard_error", "reason"]]

    @plainly
    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "model": self.model.name,
            "sense": self.model.sense,
            "process": self.process,
            "paths": self.values.shape[1],
            "seed": self.sampling.seed,
            "sampler": self.sampling.source.name,
            "confidence": self.sampling.confidence,
            "policies": {
                policy.name: {
                    "rule": policy.describe(),
                    **{name: estimate.value for name, estimate in self.metrics[policy.name].items()},
                    "intervals": {name: [e.lower, e.upper] for name, e in self.metrics[policy.name].items()},
                }
                for policy in self.policies
            },
        }


def simulate_policies(
    model: Model,
    policies: Sequence[Policy],
    *,
    paths: int = 1000,
    seed: int = 0,
    sampling: Sampling | None = None,
    process: Any = None,
    operations: BestOperations | None = None,
) -> Outcomes:
    """Judge policies on common fresh paths.

    Parameters
    ----------
    policies
        Such as ``result.policy()`` of a solved model, `stochisru.problem.policies.Planned`, or one's own.
    paths, seed
        Number of paths, ≥ 1, and seed ≥ 0 of all random streams; the result does not depend on the number of workers.
    sampling
        All of the sample in place of ``paths`` and ``seed``: sampler, workers, confidence.
    process
        What the paths are drawn from: a process or a `MarkovLattice`; the model's own if not given.
    operations
        As in `stochisru.problem.policies.follow`.

    Raises
    ------
    InputError
        If there is no process, or it lacks a factor of the model, names occur twice, or a policy gives something else
        than it must.

    Examples
    --------
    >>> from scenario_trees import GeometricBrownianMotion
    >>> from stochisru.problem import Decision, Factor, Model, Operation, Row
    >>> from stochisru.problem.policies import Planned
    >>> from stochisru.simulation.of_model import simulate_policies
    >>> newsvendor = Model(
    ...     "newsvendor",
    ...     horizon=1,
    ...     parts=[
    ...         Decision("order", lead=1, years=[1], cost=1.0, upper=200),
    ...         Operation("sold", value=3.0, upper=Factor("demand")),
    ...         Row("stock", {"sold": 1.0, "order": -1.0}, upper=0.0),
    ...     ],
    ...     process=GeometricBrownianMotion(100.0, 0.0, 0.3),
    ... )
    >>> found = simulate_policies(newsvendor, [Planned({"order": [0, q]}, f"{q}") for q in (80, 110, 140)], paths=2000)
    >>> max(found.names, key=lambda name: found.metrics[name]["mean"].value)
    '110'
    """
    require_model(model)
    sample = Sampling(paths, seed) if sampling is None else sampling
    source = model.process if process is None else process
    if source is None:
        raise InputError(f"process: {model.name} has none; name the process or lattice to draw paths from")
    chosen = tuple(policies) if isinstance(policies, Iterable) else ()
    for policy in chosen:
        if not (hasattr(policy, "name") and callable(getattr(policy, "decide", None))):
            raise InputError(f"policies: must be policies with a name that decide, got {policy!r}")
    names = [policy.name for policy in chosen]
    if not chosen or len(set(names)) < len(names):
        raise InputError(f"policies: must be one or more of different names, got {', '.join(names) or 'none'}")
    drawn = drawn_paths(model, source, sample)

    (values,) = walked(model, chosen, drawn, operations, sample.workers, lambda followed, _: (followed.values,))
    return Outcomes(model, chosen, values, sample.source.units(sample.paths), sample, in_words(source))


def walked(
    model: Model,
    policies: Sequence[Policy],
    paths: Paths,
    operations: BestOperations | None,
    workers: int,
    told: Callable[[Followed, int], tuple[Array, ...]],
) -> tuple[Array, ...]:
    """What is told of policies down paths, in any number of processes; the result does not depend on it.

    Parameters
    ----------
    told
        Arrays of some paths, whose last axis is the path, of what a policy came to on them and the number of the first.

    Returns
    -------
    tuple of numpy.ndarray
        Each of shape ``(policies, …, paths)``.
    """
    size = _PER_PROGRAM if operations is None else _PER_TASK

    def task(first: int) -> list[tuple[Array, ...]]:
        here = paths[first : first + size]
        return [told(follow(model, policy, here, operations), first) for policy in policies]

    tasks = in_order(task, range(0, len(paths), size), workers)
    by_policy = zip(*tasks, strict=True)
    joined = [[np.concatenate(parts, axis=-1) for parts in zip(*own, strict=True)] for own in by_policy]
    return tuple(np.stack(rows) for rows in zip(*joined, strict=True))


def in_words(source: Any) -> str:
    """What paths are drawn from, in words."""
    return repr(source) if isinstance(source, MarkovLattice) else str(Origin(source))


def drawn_paths(model: Model, source: Any, sample: Sampling) -> Paths:
    """Fresh paths of all that is seen of a process or a lattice.

    Raises
    ------
    InputError
        If it lacks a factor of the model, or a lattice has another horizon.
    """
    if isinstance(source, MarkovLattice):
        return Paths.of_states(model, source, source.sample(sample.paths, seed=sample.seed, sampler=sample.source))
    sampler, size = sample.source, sample.source.block_size(sample.paths)
    blocks = []
    for index, first in enumerate(range(0, sample.paths, size)):
        normals = sampler.block(sample.seed, index, min(size, sample.paths - first), draws_of(source) * model.horizon)
        blocks.append(Paths.driven(model, source, normals))
    return replace(blocks[0], values=np.concatenate([block.values for block in blocks]))


def _signed(estimate: Estimate, sign: float) -> Estimate:
    """The estimate, or that of the negative."""
    if sign > 0:
        return estimate
    return replace(estimate, value=-estimate.value, lower=-estimate.upper, upper=-estimate.lower)
