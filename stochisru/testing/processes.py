"""What a process must keep."""

from __future__ import annotations

from typing import Any

import numpy as np

from stochisru.errors import require_integer
from stochisru.testing.require import require

#: Standard errors by which a mean may be off; of a right process one in 60,000 tests is.
_ERRORS = 4.2


def check_process(process: Any, *, horizon: int = 10, paths: int = 20_000, seed: int = 0) -> None:
    """Check that a process keeps `scenario_trees.protocols.Process`.

    Paths must have shape ``(steps + 1, n)``, start at ``initial``, be finite and the same for the same normals; a path
    must not depend on the other paths, nor a year on later normals; and the mean of many must be ``mean``, to within
    4.2 of its standard errors in every year.

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
    name = type(process).__name__
    normals = np.random.default_rng(seed).standard_normal((horizon, paths))
    given = normals.copy()
    found = np.asarray(process.paths(given), dtype=float)
    require(np.array_equal(given, normals), f"{name}: paths writes to the normals that it is given")
    require(
        found.shape == (horizon + 1, paths), f"{name}: paths must have shape {horizon + 1, paths}, has {found.shape}"
    )
    require(bool(np.isfinite(found).all()), f"{name}: paths must be finite")
    require(bool((found[0] == process.initial).all()), f"{name}: paths must start at initial = {process.initial!r}")
    again = np.asarray(process.paths(normals.copy()), dtype=float)
    require(np.array_equal(found, again), f"{name}: the same normals give other paths")
    some = np.asarray(process.paths(normals[:, :7].copy()), dtype=float)
    require(np.allclose(some, found[:, :7], rtol=1e-12), f"{name}: a path depends on the other paths")
    for known in range(horizon):
        changed = normals[:, :50].copy()
        changed[known:] = -changed[known:] + 0.5
        other = np.asarray(process.paths(changed), dtype=float)
        same = np.allclose(other[: known + 1], found[: known + 1, :50], rtol=1e-12)
        require(same, f"{name}: year {known} depends on normals of later years")
    mean = np.asarray(process.mean(np.arange(horizon + 1.0)), dtype=float)
    require(mean.shape == (horizon + 1,), f"{name}: mean must have the shape of t, ({horizon + 1},), has {mean.shape}")
    error = found.std(axis=1, ddof=1) / np.sqrt(paths)
    off = np.abs(found.mean(axis=1) - mean)
    far = off > _ERRORS * error + 1e-9 * np.abs(mean)
    t = int(far.argmax())
    require(
        not far.any(),
        f"{name}: mean of year {t} is {mean[t]:g}, that of {paths:,} paths {found[t].mean():g} ± {error[t]:.2g}",
    )
