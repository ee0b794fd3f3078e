"""What a policy of a model must keep."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from scenario_trees.arrays import Array
from scenario_trees.lattice import MarkovLattice
from stochisru.errors import InputError, require_integer
from stochisru.problem.model import Model
from stochisru.problem.paths import Paths
from stochisru.problem.policies.follow import Followed, follow
from stochisru.problem.policies.protocol import Policy
from stochisru.simulation.of_model import drawn_paths
from stochisru.simulation.sampling import Sampling
from stochisru.testing.require import require, require_parts

#: Differences that are a solver's tolerance, as a share of the largest amount.
_TOLERANCE = 1e-6


def check_policy(policy: Policy, model: Model, *, process: Any = None, paths: int = 16, seed: int = 0) -> None:
    """Check that a policy keeps its protocol on a model.

    Amounts must have the right shape and lie within their bounds; calling the policy twice must give the same; a path
    must be treated alike whatever the other paths and their order are; and what is decided in a year must not change
    when the factors of later years are exchanged between paths or replaced.

    Parameters
    ----------
    process
        What paths are drawn from, a process or a `MarkovLattice`; the model's own if not given.
    paths
        Number of paths, ≥ 2.

    Raises
    ------
    AssertionError
        Naming the rule that is broken, the part and the year.
    InputError
        If the policy gives something else than it must.

    Examples
    --------
    >>> from scenario_trees import GeometricBrownianMotion
    >>> from stochisru.problem import Decision, Factor, Model, Operation, Row
    >>> from stochisru.problem.policies import Planned
    >>> from stochisru.testing import check_policy
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
    >>> check_policy(Planned({"order": [0, 80]}), newsvendor)
    """
    require_integer("paths", paths, 2)
    require_parts(policy, "name", "decide", "describe")
    source = model.process if process is None else process
    if source is None:
        raise InputError(f"process: {model.name} has none; name the process to draw paths from")
    rng = np.random.default_rng(seed)
    drawn = drawn_paths(model, source, Sampling(paths, seed))
    check = _Check(model, policy)
    base = check.decided(drawn)
    check.alike(base, check.decided(drawn), "two runs on the same paths differ")
    order = rng.permutation(paths)
    check.alike(base[..., order], check.decided(drawn[order]), "the order of the paths changes its decisions")
    half = paths // 2
    check.alike(base[..., :half], check.decided(drawn[:half]), "its decisions on one path depend on the other paths")
    moved = [] if isinstance(source, MarkovLattice) else range(len(tuple(model.factors)))
    for known in model.years[:-1]:
        values = drawn.values.copy()
        for year in model.years[known + 1 :]:
            values[:, year] = values[rng.permutation(paths), year]
            for factor in moved:
                values[:, year, factor] *= rng.uniform(0.6, 1.6, paths)
        other = replace(drawn, values=values)
        changed = check.decided(other)
        for d, decision in enumerate(model.decisions):
            last = min(known + decision.lead, model.horizon)  # what may depend on years 0..known
            what = f"what it decides by year {known} depends on factors after it"
            check.alike(base[d, : last + 1], changed[d, : last + 1], f"{decision.name!r}: {what}")


@dataclass(frozen=True, eq=False)
class _Check:
    model: Model
    policy: Policy

    def decided(self, paths: Paths) -> Array:
        """All decisions, shape ``(decisions, T + 1, paths)``."""
        found: Followed = follow(self.model, self.policy, paths)
        amounts = []
        for decision in self.model.decisions:
            at_nodes = found.plan.columns[decision.name]
            later = at_nodes[1:].reshape(self.model.horizon, len(paths))
            amounts.append(np.concatenate([np.full((1, len(paths)), at_nodes[0]), later]))
        return np.stack(amounts)

    def alike(self, one: Array, other: Array, rule: str) -> None:
        """Fail where amounts differ by more than a solver's tolerance."""
        size = max(float(np.abs(one).max(initial=0.0)), 1.0)
        far = float(np.abs(one - other).max(initial=0.0))
        require(far <= _TOLERANCE * size, f"{self.policy.name}: {rule}: by {far:g}")
