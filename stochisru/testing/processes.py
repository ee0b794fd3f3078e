"""What a process must keep."""

from __future__ import annotations

from typing import Any

import numpy as np

from scenario_trees.arrays import Array
from scenario_trees.lattice import MarkovLattice
from scenario_trees.protocols import Stepping, draws_of
from scenario_trees.quantization import QUANTIZATIONS
from scenario_trees.sampling import SAMPLERS
from scenario_trees.tree import ScenarioTree
from stochisru.errors import require_integer
from stochisru.testing.require import require

#: Standard errors by which a mean may be off; of a right process one in 60,000 tests is.
_ERRORS = 4.2
#: Levels at which quantiles are compared with shares of paths.
_LEVELS = (0.1, 0.5, 0.9)
#: Relative error of what is exact but for rounding.
_EXACT = 1e-9


def check_process(process: Any, *, horizon: int = 10, paths: int = 20_000, seed: int = 0) -> None:
    """Check that a process keeps `scenario_trees.protocols.Process`, and `Stepping` if it has steps.

    Paths must have shape ``(steps + 1, n)``, start at ``initial``, be finite and the same for the same normals; a
    path must not depend on the other paths, nor a year on later normals; and the mean of many must be ``mean``, to
    within 4.2 of its standard errors in every year. The same holds for ``variance`` and ``quantile`` where there are
    any, for the means of the paths of every sampler where there is ``sample``, and for those of all factors where there
    are ``means``. From states of all years, what may follow must have probabilities ≥ 0 that sum to 1 and the mean
    ``expected``, whatever the quantisation and the number of branches; a value of 0 must stay 0; ``expected`` of many
    states must have the mean of the next year; and trees and lattices must be made of the process.

    Raises
    ------
    AssertionError
        Naming the rule that is broken.

    Examples
    --------
    >>> from scenario_trees import GeometricBrownianMotion
    >>> from stochisru.testing import check_process
    >>> check_process(GeometricBrownianMotion(100.0, 0.05, 0.2))
    """
    require_integer("horizon", horizon, 1)
    require_integer("paths", paths, 100)
    dt = float(getattr(process, "step_length", getattr(process, "period", 1.0)))
    found = _check_paths(process, horizon, paths, seed, dt)
    _check_moments(process, found, dt)
    if hasattr(process, "sample"):
        _check_samplers(process, horizon, paths, seed, dt)
    if isinstance(process, Stepping):
        _check_steps(process, horizon, paths, seed, dt)
        _check_discrete(process, min(horizon, 3), dt)


def _check_paths(process: Any, horizon: int, paths: int, seed: int, dt: float) -> Array:
    name, draws = type(process).__name__, draws_of(process)
    normals = np.random.default_rng(seed).standard_normal((draws * horizon, paths))

    def drawn(rows: Array) -> Array:
        return np.asarray(process.paths(rows) if dt == 1 else process.paths(rows, dt), dtype=float)

    given = normals.copy()
    found = drawn(given)
    require(np.array_equal(given, normals), f"{name}: paths writes to the normals that it is given")
    require(
        found.shape == (horizon + 1, paths), f"{name}: paths must have shape {horizon + 1, paths}, has {found.shape}"
    )
    require(bool(np.isfinite(found).all()), f"{name}: paths must be finite")
    require(bool((found[0] == process.initial).all()), f"{name}: paths must start at initial = {process.initial!r}")
    require(np.array_equal(found, drawn(normals.copy())), f"{name}: the same normals give other paths")
    some = drawn(normals[:, :7].copy())
    require(np.allclose(some, found[:, :7], rtol=1e-12), f"{name}: a path depends on the other paths")
    for known in range(horizon):
        changed = normals[:, :50].copy()
        changed[draws * known :] = -changed[draws * known :] + 0.5
        same = np.allclose(drawn(changed)[: known + 1], found[: known + 1, :50], rtol=1e-12)
        require(same, f"{name}: year {known} depends on normals of later years")
    return found


def _check_moments(process: Any, found: Array, dt: float) -> None:
    name, times = type(process).__name__, np.arange(found.shape[0]) * dt
    _check_mean(name, "mean", process.mean(times), found)
    if hasattr(process, "variance"):
        centred = (found - found.mean(axis=1, keepdims=True)) ** 2
        _check_mean(name, "variance", process.variance(times), centred)
    if not hasattr(process, "quantile"):
        return
    n = found.shape[1]
    for level in _LEVELS:
        value = np.asarray(process.quantile(level, times[1:]), dtype=float)
        low, high = ((found[1:] < (1 - _EXACT) * value[:, None]), (found[1:] <= (1 + _EXACT) * value[:, None]))
        # Quantiles may be sampled themselves: twice the error of a share.
        room = 2 * _ERRORS * np.sqrt(level * (1 - level) / n)
        off = (low.mean(axis=1) > level + room) | (high.mean(axis=1) < level - room)
        t = int(off.argmax()) + 1
        share = float(high[t - 1].mean())
        require(not off.any(), f"{name}: quantile {level:g} of year {t} has {share:.4f} of {n:,} paths at or below it")


def _check_mean(name: str, what: str, stated: Any, found: Array) -> None:
    mean, (years, n) = np.asarray(stated, dtype=float), found.shape
    require(mean.shape == (years,), f"{name}: {what} must have the shape of t, ({years},), has {mean.shape}")
    error = found.std(axis=1, ddof=1) / np.sqrt(n)
    off = np.abs(found.mean(axis=1) - mean)
    far = off > _ERRORS * error + 1e-9 * np.abs(mean)
    t = int(far.argmax())
    require(
        not far.any(),
        f"{name}: {what} of year {t} is {mean[t]:g}, that of {n:,} paths {found[t].mean():g} ± {error[t]:.2g}",
    )


def _check_samplers(process: Any, horizon: int, paths: int, seed: int, dt: float) -> None:
    name, mean = type(process).__name__, np.asarray(process.mean(np.arange(horizon + 1) * dt), dtype=float)
    for sampler in SAMPLERS.values():
        found = process.sample(paths, horizon, seed=seed, sampler=sampler, dt=dt)
        require(found.shape == (horizon + 1, paths), f"{name}: sample must have shape {horizon + 1, paths}")
        # Antithetic and Sobol paths are no worse than independent ones.
        error = found.std(axis=1, ddof=1) / np.sqrt(paths)
        far = np.abs(found.mean(axis=1) - mean) > _ERRORS * error + 1e-9 * np.abs(mean)
        require(not far.any(), f"{name}: the mean of {sampler.name} paths of year {int(far.argmax())} is off")


def _check_steps(process: Any, horizon: int, paths: int, seed: int, dt: float) -> None:
    name, draws = type(process).__name__, draws_of(process)
    start = np.asarray(process.start, dtype=float)
    require(start.shape == (len(process.names),), f"{name}: start must have one number per name, has {start.shape}")
    require(start[0] == process.initial, f"{name}: start must begin with initial = {process.initial!r}")
    normals = np.random.default_rng(seed + 1).standard_normal((draws * horizon, paths))
    states = process.state_paths(normals, dt)
    if hasattr(process, "means"):
        stated = np.asarray(process.means(np.arange(horizon + 1) * dt), dtype=float)
        require(stated.ndim == 2 and stated.shape[0] == horizon + 1, f"{name}: means must have one row per time")
        for factor in range(stated.shape[1]):
            _check_mean(name, f"mean of {process.names[factor]!r}", stated[:, factor], states[:, :, factor])
    for t in range(horizon):
        expected = np.asarray(process.expected(states[t], t=t * dt, dt=dt), dtype=float)
        error = expected.std(ddof=1) / np.sqrt(paths)
        mean = float(process.mean((t + 1) * dt))
        require(
            abs(expected.mean() - mean) <= _ERRORS * error + 1e-8 * abs(mean),
            f"{name}: what states of year {t} expect is {expected.mean():g} ± {error:.2g} on average, the mean of year "
            f"{t + 1} is {mean:g}",
        )
        some = np.vstack([states[t, :6], np.where(np.arange(start.size) == 0, 0.0, states[t, 0])])
        for rule in (*QUANTIZATIONS.values(), None):
            for branches in (1, 2, 3, 5):
                if _takes(rule, branches, process):
                    _check_successors(process, rule, branches, some, t * dt, dt)


def _takes(rule: Any, branches: int, process: Any) -> bool:
    """Whether a quantisation takes so many branches of a step of the process."""
    if rule is None or rule.name in ("gauss-hermite", "equal-probability"):
        return True
    if hasattr(process, "processes"):
        return False
    mixed = any(m.weight.shape[1] > 1 for m in process.law(process.start[None, :], 0.0, 1.0).kinds)
    return branches in ((1, 2) if rule.name == "binomial" else (1,) if mixed else (1, 3)) and not (
        rule.name == "trinomial" and mixed
    )


def _check_successors(process: Any, rule: Any, branches: int, states: Array, t: float, dt: float) -> None:
    name = f"{type(process).__name__} with {branches} branches of {rule.name if rule else 'the default quantisation'}"
    after, chance = process.step(states, branches, rule, t=t, dt=dt)
    shape = (states.shape[0], chance.shape[1], states.shape[1])
    require(after.shape == shape, f"{name}: successors must have shape {shape}, have {after.shape}")
    require(bool((chance >= 0).all()), f"{name}: probabilities must be >= 0")
    require(np.allclose(chance.sum(axis=1), 1, rtol=1e-12), f"{name}: probabilities must sum to 1")
    expected = process.expected(states, t=t, dt=dt)
    mean = (chance * after[:, :, 0]).sum(axis=1)
    require(np.allclose(mean, expected, rtol=_EXACT), f"{name}: the mean of what follows is {mean}, not {expected}")
    require(not (chance[-1] * after[-1, :, 0]).any(), f"{name}: a value of 0 must stay 0")


def _check_discrete(process: Any, horizon: int, dt: float) -> None:
    name, mean = type(process).__name__, np.asarray(process.mean(np.arange(horizon + 1) * dt), dtype=float)
    tree = ScenarioTree.from_process(process, [5] * horizon, dt=dt)
    require(np.allclose(tree.stage_mean(), mean, rtol=2e-4), f"{name}: stage means of a tree are {tree.stage_mean()}")
    require(tree.names == process.names, f"{name}: a tree has the names {tree.names}")
    check = tree.check(process, dt)
    require(bool((check.conditional_mean_error < _EXACT).all()), f"{name}: nodes of a tree do not keep the mean")
    lattice = MarkovLattice.from_process(process, horizon, 20, dt)
    off = np.abs(lattice.stage_mean() / mean - 1)
    require(bool((off < 5e-3).all()), f"{name}: stage means of a lattice are off by up to {off.max():.2g}")
