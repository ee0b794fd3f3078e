"""Geometric Brownian motion: moments, quantiles, sampling and calibration.

The process solves ``dD = μ D dt + σ D dW``. With ``Z`` standard normal, one step of length ``dt`` multiplies
``D`` by ``G = exp((μ − σ²/2) dt + σ √dt Z)``, so ``E[G] = e^{μ dt}`` (Dixit and Pindyck 1994, ch. 3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scenario_trees.errors import TreeError
from scenario_trees.sampling import PseudoRandom, Sampler

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[np.float64]


def _finite(name: str, value: float, *, low: float, strict: bool) -> None:
    if not np.isfinite(value) or value < low or (strict and value == low):
        allowed = f"{'>' if strict else '>='} {low:g} and finite" if np.isfinite(low) else "finite"
        raise TreeError(f"{name}: must be {allowed}, got {value!r}")


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
        _finite("initial", self.initial, low=0.0, strict=True)
        _finite("drift", self.drift, low=-np.inf, strict=False)
        _finite("volatility", self.volatility, low=0.0, strict=False)

    def growth(self, z: ArrayLike, dt: float = 1.0) -> Array:
        """Growth factor of one step for standard normal numbers ``z``."""
        log_drift = (self.drift - 0.5 * self.volatility**2) * dt
        return np.asarray(np.exp(log_drift + self.volatility * np.sqrt(dt) * np.asarray(z, dtype=float)))

    def mean(self, t: ArrayLike) -> Array:
        """E[D_t] = D_0 e^{μt}."""
        return np.asarray(self.initial * np.exp(self.drift * np.asarray(t, dtype=float)))

    def variance(self, t: ArrayLike) -> Array:
        """Var[D_t] = D_0² e^{2μt} (e^{σ²t} − 1)."""
        return np.asarray(self.mean(t) ** 2 * np.expm1(self.volatility**2 * np.asarray(t, dtype=float)))

    def quantile(self, q: ArrayLike, t: ArrayLike) -> Array:
        """Quantile of D_t at level ``q`` in (0, 1); broadcasts ``q`` against ``t``."""
        from scipy.special import ndtri

        levels = np.asarray(q, dtype=float)
        if not np.all((levels > 0) & (levels < 1)):
            raise TreeError(f"quantile: levels must lie in (0, 1), got {q!r}")
        t = np.asarray(t, dtype=float)
        return np.asarray(
            self.initial
            * np.exp((self.drift - 0.5 * self.volatility**2) * t + self.volatility * np.sqrt(t) * ndtri(levels))
        )

    def exceedance(self, level: ArrayLike, t: ArrayLike) -> Array:
        """P(D_t > level) for levels ≥ 0; broadcasts ``level`` against ``t``."""
        from scipy.special import ndtr

        return np.asarray(ndtr(self._distance(level, t, -0.5)))

    def limited_mean(self, level: ArrayLike, t: ArrayLike) -> Array:
        """E[min(D_t, level)] for levels ≥ 0, the lognormal partial expectation; broadcasts ``level`` against ``t``."""
        from scipy.special import ndtr

        level = np.asarray(level, dtype=float)
        below = self.mean(t) * ndtr(-self._distance(level, t, 0.5))
        return np.asarray(np.where(level > 0, level * self.exceedance(level, t) + below, 0.0))

    def _distance(self, level: ArrayLike, t: ArrayLike, share: float) -> Array:
        """(ln(D_0/level) + (μ + share·σ²) t) / (σ √t), infinite where D_t is certain."""
        level, t = np.asarray(level, dtype=float), np.asarray(t, dtype=float)
        spread = self.volatility * np.sqrt(t)
        with np.errstate(divide="ignore", invalid="ignore"):
            ahead = np.log(self.initial / level) + (self.drift + share * self.volatility**2) * t
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
        import pandas as pd

        stages = np.arange(horizon + 1)
        table = {"mean": self.mean(stages * dt)} | {q: self.quantile(q, stages * dt) for q in levels}
        return pd.DataFrame(table, index=pd.Index(stages, name="t"))

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
        if paths < 1:
            raise TreeError(f"paths: must be >= 1, got {paths}")
        if horizon < 0:
            raise TreeError(f"horizon: must be >= 0, got {horizon}")
        sampler = sampler or PseudoRandom()
        size = sampler.block_size(paths)
        out = np.empty((horizon + 1, paths))
        for index, first in enumerate(range(0, paths, size)):
            last = min(first + size, paths)
            out[:, first:last] = self.paths(sampler.block(seed, index, last - first, horizon), dt)
        return out

    @classmethod
    def fit(cls, series: ArrayLike, dt: float = 1.0) -> ProcessFit:
        """Maximum-likelihood calibration from an evenly spaced series.

        With log returns ``x`` the estimates are ``σ² = var(x)/dt`` and ``μ = mean(x)/dt + σ²/2``. Standard
        errors come from the inverse Fisher information (Campbell, Lo and MacKinlay 1997, eq. 9.3.28 f.):
        ``se(σ) = σ/√(2n)`` and ``se(μ)² = σ²/(n dt) + σ⁴/(2n)``.

        Parameters
        ----------
        series
            At least three positive, finite values; the process starts at the last one.
        dt
            Time between two values.
        """
        values = np.asarray(series, dtype=float)
        if values.ndim != 1 or values.size < 3:
            raise TreeError(f"series: needs at least 3 values in one dimension, got shape {values.shape}")
        if not np.all(np.isfinite(values) & (values > 0)):
            bad = int(np.flatnonzero(~(np.isfinite(values) & (values > 0)))[0])
            raise TreeError(f"series: every value must be > 0 and finite, got {values[bad]!r} at position {bad}")
        _finite("dt", dt, low=0.0, strict=True)
        returns = np.diff(np.log(values))
        n = returns.size
        variance = float(np.var(returns)) / dt
        drift = float(np.mean(returns)) / dt + variance / 2
        return ProcessFit(
            process=cls(initial=float(values[-1]), drift=drift, volatility=variance**0.5),
            drift_se=float(np.sqrt(variance / (n * dt) + variance**2 / (2 * n))),
            volatility_se=float(np.sqrt(variance / (2 * n))),
            returns=n,
        )


@dataclass(frozen=True)
class ProcessFit:
    """Calibrated process with the asymptotic standard errors of its estimates."""

    process: GeometricBrownianMotion
    drift_se: float
    volatility_se: float
    returns: int
