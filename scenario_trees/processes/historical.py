"""Growth as it was: blocks of past growth factors, drawn again (stationary bootstrap, for simulation only).

Every step takes one growth factor of the sample: the one after the last taken with probability ``1 − 1/b``, the first
after the last; else any, alike. Blocks have b steps on average and keep the dependence within them (Politis and
Romano 1994). With ``f_n(i) = E[D_n; last factor i]``, ``f_{n+1}(j) = g_j (Σf_n/(bN) + (1 − 1/b) f_n(j − 1))`` gives
the mean exactly, and with squares the variance. What comes next depends on the place in the sample, which nobody
sees: there are no steps for trees.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from scenario_trees.arrays import Array
from scenario_trees.errors import TreeError, numbers, require_number, times
from scenario_trees.processes.gbm import draw_paths, fan_of
from scenario_trees.processes.markov import require_period
from scenario_trees.protocols import Sampler

if TYPE_CHECKING:
    import pandas as pd

#: Growth factors below which a bootstrap says nothing.
_FEWEST = 3
#: Paths behind the quantiles of `HistoricalIncrements.quantile`, and their seed.
_PATHS, _SEED = 20_000, 0


@dataclass(frozen=True)
class HistoricalIncrements:
    """A process that repeats the growth of a sample.

    Parameters
    ----------
    initial
        Value at time 0 (> 0).
    factors
        Growth factors ≥ 0 of the sample in their order, at least three.
    block
        Mean length of blocks in steps, ≥ 1; 1 makes steps independent.
    period
        Length of a step of the sample, in the unit of time: the process takes steps of this length only.

    Examples
    --------
    >>> from scenario_trees import HistoricalIncrements
    >>> demand = HistoricalIncrements.of([300, 348, 419, 530, 572, 690], block=2)
    >>> demand.initial, [round(float(x)) for x in demand.mean([1, 2])]
    (690.0, [816, 965])
    """

    initial: float
    factors: tuple[float, ...]
    block: float = 1.0
    period: float = 1.0

    def __post_init__(self) -> None:
        require_number("initial", self.initial, low=0.0, strict=True)
        require_number("block", self.block, low=1.0)
        require_number("period", self.period, low=0.0, strict=True)
        found = numbers("factors", self.factors)
        if found.ndim != 1 or found.size < _FEWEST:
            raise TreeError(f"factors: needs at least {_FEWEST} growth factors, got {found.size}")
        bad = np.flatnonzero(~(np.isfinite(found) & (found >= 0)))
        if bad.size:
            raise TreeError(f"factors: every growth factor must be >= 0 and finite, got {found[bad[0]]:g} at {bad[0]}")
        object.__setattr__(self, "factors", tuple(map(float, found)))

    @classmethod
    def example(cls) -> HistoricalIncrements:
        """Ten years in blocks of three."""
        return cls(1000.0, (1.1, 1.2, 1.15, 0.95, 0.9, 1.0, 1.1, 1.25, 1.2, 1.05), 3.0)

    @classmethod
    def of(cls, series: ArrayLike, block: float = 1.0, period: float = 1.0) -> HistoricalIncrements:
        """The process that goes on from a series of evenly spaced values > 0."""
        values = numbers("series", series)
        if values.ndim != 1 or values.size < _FEWEST + 1:
            raise TreeError(f"series: needs at least {_FEWEST + 1} values ({_FEWEST} steps), got {values.size}")
        bad = np.flatnonzero(~(np.isfinite(values) & (values > 0)))
        if bad.size:
            raise TreeError(
                f"series: every value must be > 0 and finite, got {float(values[bad[0]])!r} at position {bad[0]}"
            )
        return cls(float(values[-1]), tuple(values[1:] / values[:-1]), block, period)

    @property
    def draws(self) -> int:
        """Whether a block ends, and where the next begins; one number where every step is a block."""
        return 1 if self.block == 1 else 2

    def scaled(self, initial: float) -> HistoricalIncrements:
        """The same process from another start."""
        return replace(self, initial=initial)

    def require_step(self, dt: float) -> None:
        """Refuse steps of another length than the period."""
        require_period(dt, self.period)

    def moment(self, t: ArrayLike, power: float) -> Array:
        """E[D_t^power] at times ``t`` ≥ 0."""
        at = times(t)
        stage = np.rint(at / self.period).astype(np.int64)
        if not np.allclose(stage * self.period, at, rtol=1e-9):
            raise TreeError(f"t: must be whole numbers of periods of {self.period:g}, got {t!r}")
        growth, n, end = np.array(self.factors) ** power, len(self.factors), 1 / self.block
        found, f = [self.initial**power], growth * self.initial**power / n
        for _ in range(int(stage.max(initial=0))):
            found.append(float(f.sum()))
            f = growth * (end * f.sum() / n + (1 - end) * np.roll(f, 1))
        return np.asarray(np.array(found)[stage])

    def mean(self, t: ArrayLike) -> Array:
        """E[D_t] at whole numbers of periods."""
        return self.moment(t, 1.0)

    def variance(self, t: ArrayLike) -> Array:
        """Var[D_t] at whole numbers of periods."""
        return np.asarray(np.maximum(self.moment(t, 2.0) - self.moment(t, 1.0) ** 2, 0.0))

    def quantile(self, q: ArrayLike, t: ArrayLike) -> Array:
        """Quantile of D_t of 20,000 paths, always the same; broadcasts ``q`` against ``t``."""
        level, at = np.broadcast_arrays(numbers("q", q), times(t))
        if not ((level > 0) & (level < 1)).all():
            raise TreeError(f"q: levels must lie in (0, 1), got {q!r}")
        stage = np.rint(at / self.period).astype(np.int64)
        drawn = self.sample(_PATHS, int(stage.max(initial=0)), seed=_SEED, dt=self.period)
        return np.array([np.quantile(drawn[s], x) for s, x in zip(stage.ravel(), level.ravel(), strict=True)]).reshape(
            level.shape
        )

    def fan(
        self, horizon: int, levels: Sequence[float] = (0.05, 0.25, 0.5, 0.75, 0.95), dt: float = 1.0
    ) -> pd.DataFrame:
        """Quantile fan: index ``t`` (stages 0..horizon), column ``mean`` and one column per level."""
        return fan_of(self, horizon, levels, dt)

    def paths(self, normals: Array, dt: float = 1.0) -> Array:
        """Turn standard normal numbers, ``draws`` rows per step, into paths of shape ``(steps + 1, n)``."""
        from scipy.special import ndtr

        normals = numbers("normals", normals)
        if normals.ndim != 2 or normals.shape[0] % self.draws:
            raise TreeError(f"normals: must have shape ({self.draws} per step, paths), got {normals.shape}")
        self.require_step(dt)
        steps, growth, n = normals.shape[0] // self.draws, np.array(self.factors), len(self.factors)
        out = np.empty((steps + 1, normals.shape[1]))
        out[0] = self.initial
        place = np.zeros(normals.shape[1], dtype=np.int64)
        for k in range(steps):
            new = np.minimum((n * ndtr(normals[self.draws * k])).astype(np.int64), n - 1)
            if k == 0 or self.draws == 1:
                place = new
            else:
                place = np.where(ndtr(normals[2 * k + 1]) < 1 / self.block, new, (place + 1) % n)
            out[k + 1] = out[k] * growth[place]
        return out

    def sample(self, paths: int, horizon: int, *, seed: int, sampler: Sampler | None = None, dt: float = 1.0) -> Array:
        """Draw sample paths, shape ``(horizon + 1, paths)``."""
        return draw_paths(self, paths, horizon, seed, sampler, dt)

    def __str__(self) -> str:
        """The process in one line."""
        return (
            f"historical growth(initial {self.initial:.10g}, {len(self.factors)} factors, blocks of {self.block:.10g})"
        )
