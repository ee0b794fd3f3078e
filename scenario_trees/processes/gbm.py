"""Geometric Brownian motion: moments, quantiles, sampling and calibration.

The process solves ``dD = μ D dt + σ D dW``. With ``Z`` standard normal, one step of length ``dt`` multiplies
``D`` by ``G = exp((μ − σ²/2) dt + σ √dt Z)``, so ``E[G] = e^{μ dt}`` (Dixit and Pindyck 1994, ch. 3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from scenario_trees.arrays import Array
from scenario_trees.errors import TreeError, numbers, require_integer, require_number, times
from scenario_trees.law import Mixture, StepLaw
from scenario_trees.protocols import Process, Quantization, Sampler, Spread, draws_of
from scenario_trees.sampling import require_sampler

if TYPE_CHECKING:
    import pandas as pd

    from scenario_trees.calibration import ProcessFit


def levels_of_values(level: ArrayLike) -> Array:
    """Levels of a value as an array; `TreeError` unless all are >= 0."""
    levels = numbers("level", level)
    if not (levels >= 0).all():
        raise TreeError(f"level: must be >= 0, got {level!r}")
    return levels


@lru_cache(maxsize=256)
def lognormal_law(log_mean: float, log_sd: float) -> Mixture:
    """One lognormal law; recursions ask for the same one thousands of times."""
    return Mixture.of(1, 1.0, log_mean, log_sd)


@dataclass(frozen=True)
class GeometricBrownianMotion:
    """Geometric Brownian motion with known start.

    Parameters
    ----------
    initial
        Value at time 0 (> 0), in any unit; all values of the process have that unit.
    drift
        μ, growth rate of the mean, per unit of time.
    volatility
        σ ≥ 0, per square root of the unit of time.

    Raises
    ------
    TreeError
        If a parameter is out of its range or not finite.
    """

    initial: float
    drift: float
    volatility: float

    def __post_init__(self) -> None:
        require_number("initial", self.initial, low=0.0, strict=True)
        require_number("drift", self.drift)
        require_number("volatility", self.volatility, low=0.0)

    def growth(self, z: ArrayLike, dt: float = 1.0) -> Array:
        """Growth factor of one step for standard normal numbers ``z``."""
        require_number("dt", dt, low=0.0, strict=True)
        log_drift = (self.drift - 0.5 * self.volatility**2) * dt
        return np.asarray(np.exp(log_drift + self.volatility * np.sqrt(dt) * numbers("z", z)))

    def log_growth(self, h: float, t: float = 0.0) -> Mixture:
        """Law of D_{t+h}/D_t, for h ≥ 0: the same for all ``t`` and D_t."""
        spread = self.volatility * float(np.sqrt(h))
        return lognormal_law((self.drift - 0.5 * self.volatility**2) * h, spread)

    def mean(self, t: ArrayLike) -> Array:
        """E[D_t] = D_0 e^{μt}."""
        return np.asarray(self.initial * np.exp(self.drift * times(t)))

    def variance(self, t: ArrayLike) -> Array:
        """Var[D_t] = D_0² e^{2μt} (e^{σ²t} − 1)."""
        return np.asarray(self.mean(t) ** 2 * np.expm1(self.volatility**2 * times(t)))

    def quantile(self, q: ArrayLike, t: ArrayLike) -> Array:
        """Quantile of D_t at level ``q`` in (0, 1); broadcasts ``q`` against ``t``."""
        from scipy.special import ndtri

        levels = numbers("q", q)
        if not np.all((levels > 0) & (levels < 1)):
            raise TreeError(f"q: levels must lie in (0, 1), got {q!r}")
        t = times(t)
        return np.asarray(
            self.initial
            * np.exp((self.drift - 0.5 * self.volatility**2) * t + self.volatility * np.sqrt(t) * ndtri(levels))
        )

    def exceedance(self, level: ArrayLike, t: ArrayLike) -> Array:
        """P(D_t > level) for levels ≥ 0; broadcasts ``level`` against ``t``."""
        from scipy.special import ndtr

        return np.asarray(ndtr(self._distance(level, t)))

    def limited_mean(self, level: ArrayLike, t: ArrayLike) -> Array:
        """E[min(D_t, level)] for levels ≥ 0, the lognormal partial expectation; broadcasts ``level`` against ``t``."""
        from scipy.special import ndtr

        level, t = levels_of_values(level), times(t)
        distance = self._distance(level, t)
        # One distance for both tails: its rounding, of 1e-16/σ, then cancels.
        below = self.mean(t) * ndtr(-distance - self.volatility * np.sqrt(t))
        return np.asarray(np.where(level > 0, level * ndtr(distance) + below, 0.0))

    def _distance(self, level: ArrayLike, t: ArrayLike) -> Array:
        """(ln(D_0/level) + (μ − σ²/2) t) / (σ √t), infinite where D_t is certain."""
        level, t = levels_of_values(level), times(t)
        spread = self.volatility * np.sqrt(t)
        with np.errstate(divide="ignore", invalid="ignore"):
            ahead = np.log(self.initial / level) + (self.drift - 0.5 * self.volatility**2) * t
            # Where demand is certain, "greater" is meant strictly.
            return np.where(spread > 0, ahead / spread, np.where(ahead > 0, np.inf, -np.inf))

    def fan(
        self, horizon: int, levels: Sequence[float] = (0.05, 0.25, 0.5, 0.75, 0.95), dt: float = 1.0
    ) -> pd.DataFrame:
        """Quantile fan.

        Returns
        -------
        pandas.DataFrame
            Index ``t`` (stages 0..horizon), column ``mean`` and one column per level.
        """
        return fan_of(self, horizon, levels, dt)

    def paths(self, normals: Array, dt: float = 1.0) -> Array:
        """Turn standard normal numbers into paths.

        Parameters
        ----------
        normals
            Shape ``(steps, paths)``; one row per step.

        Returns
        -------
        numpy.ndarray
            Shape ``(steps + 1, paths)``; row 0 is the initial value.
        """
        normals = numbers("normals", normals)
        if normals.ndim != 2:
            raise TreeError(f"normals: must have shape (steps, paths), got {normals.shape}")
        require_number("dt", dt, low=0.0, strict=True)
        steps, n = normals.shape
        out = np.empty((steps + 1, n))
        out[0] = self.initial
        log_drift = (self.drift - 0.5 * self.volatility**2) * dt
        factor = np.empty(n)
        with np.errstate(over="ignore"):
            for k in range(steps):
                np.multiply(normals[k], self.volatility * np.sqrt(dt), out=factor)
                factor += log_drift
                np.exp(factor, out=factor)
                np.multiply(out[k], factor, out=out[k + 1])
        if not np.isfinite(out[-1]).all():
            raise TreeError(
                f"drift, volatility: paths of {steps} steps exceed the largest number with drift {self.drift:g} "
                f"and volatility {self.volatility:g}"
            )
        return out

    def sample(self, paths: int, horizon: int, *, seed: int, sampler: Sampler | None = None, dt: float = 1.0) -> Array:
        """Draw sample paths.

        Returns
        -------
        numpy.ndarray
            Shape ``(horizon + 1, paths)``, in the unit of ``initial``.
        """
        return draw_paths(self, paths, horizon, seed, sampler, dt)

    # ------------------------------------------ as a member of the family

    @classmethod
    def example(cls) -> GeometricBrownianMotion:
        """A member with plain numbers, for tests and documents."""
        return cls(1000.0, 0.05, 0.2)

    @property
    def names(self) -> tuple[str, ...]:
        """``value``."""
        return ("value",)

    @property
    def start(self) -> Array:
        """State at time 0."""
        return np.array([self.initial])

    def scaled(self, initial: float) -> GeometricBrownianMotion:
        """The same process from another start."""
        return replace(self, initial=initial)

    def law(self, states: Array, t: float, dt: float) -> StepLaw:
        """Law of the value ``dt`` after each state, shape ``(n, 1)``."""
        step = (self.drift - 0.5 * self.volatility**2) * dt
        middle = np.log(states[:, :1]) + step
        return StepLaw.one(Mixture.of(states.shape[0], 1.0, middle, self.volatility * np.sqrt(dt)))

    def state_paths(self, normals: Array, dt: float = 1.0) -> Array:
        """Paths of the whole state, shape ``(steps + 1, n, 1)``."""
        return self.paths(normals, dt)[:, :, None]

    def expected(self, states: Array, *, t: float = 0.0, dt: float = 1.0) -> Array:
        """Mean of the value ``dt`` after each state, shape ``(n,)``."""
        return np.asarray(states[:, 0] * (float(self.mean(dt)) / self.initial))

    def spread(self, states: Array, *, t: float = 0.0, dt: float = 1.0) -> Array:
        """Standard deviation of the value ``dt`` after each state, shape ``(n,)``."""
        return np.asarray(states[:, 0] * (float(np.sqrt(self.variance(dt))) / self.initial))

    def step(
        self, states: Array, branches: int, quantization: Quantization | None = None, *, t: float = 0.0, dt: float = 1.0
    ) -> tuple[Array, Array]:
        """Successors of states, shape ``(n, branches, 1)``, and their probabilities, shape ``(n, branches)``."""
        from scenario_trees.quantization import GaussHermite

        factor, weight = (quantization or GaussHermite()).growth(self, branches, dt)
        return np.multiply.outer(states[:, 0], factor)[:, :, None], np.tile(weight, (states.shape[0], 1))

    def same_step(self, other: GeometricBrownianMotion, dt: float = 1.0, other_dt: float = 1.0) -> bool:
        """Whether a step of length ``dt`` has the law of ``other``'s step of ``other_dt``, and both begin alike.

        Numbers are compared to rounding: within 1e-9 of their size.
        """
        mine = self.initial, self.drift * dt, self.volatility * np.sqrt(dt)
        theirs = other.initial, other.drift * other_dt, other.volatility * np.sqrt(other_dt)
        return bool(np.allclose(mine, theirs, rtol=1e-9, atol=1e-15))

    def __str__(self) -> str:
        """The process in one line."""
        return f"GBM(initial {self.initial:.10g}, drift {self.drift:.10g}, volatility {self.volatility:.10g})"

    @classmethod
    def fit(cls, series: ArrayLike | pd.Series, dt: float | ArrayLike | None = None) -> ProcessFit:
        """Maximum-likelihood calibration from a series: see `scenario_trees.calibration.fit`."""
        from scenario_trees.calibration import fit

        return fit(series, dt)


def fan_of(process: Spread, horizon: int, levels: Sequence[float], dt: float) -> pd.DataFrame:
    """Quantile fan of a process: index ``t`` (stages 0..horizon), column ``mean`` and one column per level."""
    import pandas as pd

    require_integer("horizon", horizon, 0)
    require_number("dt", dt, low=0.0, strict=True)
    stages = np.arange(horizon + 1)
    table = {"mean": process.mean(stages * dt)} | {q: process.quantile(q, stages * dt) for q in levels}
    return pd.DataFrame(table, index=pd.Index(stages, name="t"))


def draw_paths(process: Process, paths: int, horizon: int, seed: int, sampler: Sampler | None, dt: float) -> Array:
    """Sample paths of a process, block by block, shape ``(horizon + 1, paths)``."""
    require_integer("paths", paths, 1)
    require_integer("horizon", horizon, 0)
    require_integer("seed", seed, 0)
    require_number("dt", dt, low=0.0, strict=True)
    sampler = require_sampler(sampler)
    size, rows = sampler.block_size(paths), horizon * draws_of(process)
    out = np.empty((horizon + 1, paths))
    for index, first in enumerate(range(0, paths, size)):
        last = min(first + size, paths)
        out[:, first:last] = process.paths(sampler.block(seed, index, last - first, rows), dt)
    return out


def require_gbm(process: object, way: str) -> None:
    """Refuse what only looks like a geometric Brownian motion, such as a subclass with another law.

    Parameters
    ----------
    way
        What the error advises instead.
    """
    if type(process) is not GeometricBrownianMotion:
        raise TreeError(
            f"process: must be a GeometricBrownianMotion, got {type(process).__name__}, whose law may be another; {way}"
        )
