"""Conformance checks for strategies and methods that users write."""

from __future__ import annotations

from typing import Any

import numpy as np

from scenario_trees.arrays import Array
from scenario_trees.lattice import MarkovLattice
from scenario_trees.tree import ScenarioTree
from stochisru.errors import InputError, require_integer
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.simulation import follow
from stochisru.lunar.strategies.protocol import Strategy
from stochisru.methods.registry import Method, options_for
from stochisru.methods.result import Kind


def check_strategy(strategy: Strategy, case: DeploymentCase, *, paths: int = 64, seed: int = 0) -> None:
    """Check that a strategy keeps its protocol on a case.

    Deployments must have the right shape, be finite and not negative; calling the strategy twice must give the
    same; a path must be treated alike whatever the other paths and their order are; and a deployment that arrives
    in year t must not change when the demand after year t − L is exchanged between paths or replaced.

    Raises
    ------
    AssertionError
        Naming the rule that is broken and the first year in which it is.
    InputError
        If deployments are malformed.
    ValueError
        If the strategy writes to the arrays that it is shown (numpy's: they are read-only).
    """
    require_integer("paths", paths, 2)
    lead, T = case.horizon.lead_time, case.horizon.T
    demand = case.process.sample(paths, T, seed=seed)
    rng = np.random.default_rng(seed)

    def deployments(paths_of_demand: Array) -> Array:
        return np.stack([arriving for arriving, _ in follow(case, strategy, paths_of_demand)])

    base = deployments(demand)
    _require(np.array_equal(base, deployments(demand)), f"{strategy.name}: two runs on the same paths differ")
    order = rng.permutation(paths)
    _require(
        np.allclose(base[:, order], deployments(np.ascontiguousarray(demand[:, order])), rtol=1e-12),
        f"{strategy.name}: the order of the paths changes its deployments",
    )
    alone = deployments(np.ascontiguousarray(demand[:, : paths // 2]))
    _require(
        np.allclose(base[:, : paths // 2], alone, rtol=1e-12),
        f"{strategy.name}: its deployments on one path depend on the other paths",
    )
    for known in range(T + 1):
        last = min(T, known + lead)  # the last deployment that may depend on years 0..known
        shuffled = demand.copy()
        shuffled[known + 1 :] = shuffled[known + 1 :, rng.permutation(paths)]
        scaled = demand.copy()
        scaled[known + 1 :] *= rng.uniform(0.2, 5.0, size=shuffled[known + 1 :].shape)
        for other in (shuffled, scaled):
            same = np.isclose(base[: last + 1], deployments(other)[: last + 1], rtol=1e-12).all(axis=1)
            _require(
                bool(same.all()),
                f"{strategy.name}: the deployment of year {int((~same).argmax())} depends on demand after year {known}",
            )


def check_method(method: Method, case: DeploymentCase, on: ScenarioTree | MarkovLattice | None, **options: Any) -> None:
    """Check that a method keeps its protocol on a case that it takes.

    Its result must bear its word, be about what it works on, have a plan of this very case and tree or lattice, and a
    bracket that rests on what the method said (`Method.kind`) or on more.

    Parameters
    ----------
    on
        Tree or lattice of the case; None for a method on the process.
    options
        Options of the method that are not left at their defaults.

    Raises
    ------
    AssertionError
        Naming the rule that is broken.
    InputError
        If the method refuses the case, or an option is not its own or out of range.

    Examples
    --------
    >>> from stochisru import load_case
    >>> from stochisru.lunar.trees import case_tree
    >>> from stochisru.methods.registry import method_named
    >>> from stochisru.testing import check_method
    >>> case = load_case("lunar-reference").replace(T=2)
    >>> check_method(method_named("ef"), case, case_tree(case, [3, 3]))
    """
    reason = method.refuses(case)
    if reason is not None:
        raise InputError(reason)
    result = method.solve(case, on, options_for(method, options))
    name, strength = method.name, list(Kind).index
    _require(result.method == name, f"{name}: its result is called {result.method!r}")
    _require(result.bounds.of == method.on, f"{name}: works on a {method.on}, its bracket is of the {result.bounds.of}")
    kind = Kind(method.kind(case))
    _require(
        strength(result.bounds.kind) <= strength(kind),
        f"{name}: says that its bracket is {kind} at the least, and it is {result.bounds.kind}",
    )
    _require(result.plan.case in (case, case.linear_bound), f"{name}: its plan is of another case")
    for what in ("tree", "lattice"):
        own = getattr(result.plan, what, None)
        _require(own is None or method.on != what or own == on, f"{name}: its plan is on another {what}")
    _require(
        result.bounds.lower <= result.objective <= result.bounds.upper or not result.bounds.certified,
        f"{name}: its objective is outside its bracket",
    )


def _require(holds: bool, message: str) -> None:
    """Raise explicitly: ``assert`` is silent under ``python -O``."""
    if not holds:
        raise AssertionError(message)
