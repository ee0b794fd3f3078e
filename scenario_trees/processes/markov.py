"""What every member of the family has once the law of one step is stated.

A member states ``law``: given states and time, a `StepLaw`. Sampling picks a component of that mixture and then a
normal number; quantisation splits each kind of future; moments and quantiles are those of the law over the whole
time, where the law of a long step is exact, or what the member says itself.

A member that is a geometric Brownian motion for some of its parameters names it in ``limit``; everything is then that
process's, bit for bit.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike

from scenario_trees.arrays import Array, Index
from scenario_trees.errors import TreeError, numbers, require_integer, require_number, times
from scenario_trees.law import StepLaw
from scenario_trees.processes.gbm import GeometricBrownianMotion, draw_paths, fan_of
from scenario_trees.protocols import Quantization, Sampler

if TYPE_CHECKING:
    import pandas as pd

#: Rows whose laws are quantised at once.
_CHUNK = 4096


class MarkovProcess(ABC):
    """A process with one value whose steps are mixtures of lognormals; see the module.

    A value of 0 stays 0. Members are frozen dataclasses with a field ``initial``.
    """

    #: Whether growth depends on time and on what is seen besides the value, but not on the value.
    scales: ClassVar[bool] = False
    #: Whether what is seen besides the value are beliefs: any number of a range, and not one of few.
    continuous: ClassVar[bool] = False
    initial: float

    # ------------------------------------------------------------ to be stated

    @classmethod
    @abstractmethod
    def example(cls) -> Self:
        """A member with plain numbers, for tests and documents."""

    @abstractmethod
    def law(self, states: Array, t: float, dt: float) -> StepLaw:
        """Law of the value ``dt`` after time ``t`` given states with values > 0, shape ``(n, k)``."""

    def after(self, states: Array, kind: Index, value: Array, t: float, dt: float) -> Array:
        """What is seen besides the value after a step of each kind to each value, shape ``(n, k − 1)``."""
        return states[:, 1:]

    def after_step(self, states: Array, kind: Index, value: Array, probability: Array, t: float, dt: float) -> Array:
        """What is seen besides the value on each branch of a step of n states.

        Parameters
        ----------
        kind, value, probability
            Of every branch, shape ``(n, b)``; the branches of a kind have its mean.

        Returns
        -------
        numpy.ndarray
            Shape ``(n, b, k − 1)``.
        """
        again = np.repeat(states, value.shape[1], axis=0)
        return self.after(again, kind.ravel(), value.ravel(), t, dt).reshape(*value.shape, -1)

    @property
    def limit(self) -> GeometricBrownianMotion | None:
        """The geometric Brownian motion that this is, None if it is none."""
        return None

    def marginal(self, t: float) -> StepLaw:
        """Law of the value at time t > 0."""
        return self.law(self.start[None, :], 0.0, t)

    # ----------------------------------------------------------------- states

    @property
    def names(self) -> tuple[str, ...]:
        """``value`` and what else is seen."""
        return ("value",) if self.limit else ("value", *self.hidden)

    @property
    def start(self) -> Array:
        """State at time 0."""
        return np.array([self.initial, *(() if self.limit else self.hidden_start)])

    @property
    def hidden(self) -> tuple[str, ...]:
        """Names of what is seen besides the value."""
        return ()

    @property
    def beliefs(self) -> tuple[str, ...]:
        """Those of `names` that follow from the path of values."""
        return self.names[1:] if self.continuous else ()

    @property
    def hidden_start(self) -> tuple[float, ...]:
        """What is seen besides the value at time 0."""
        return (0.0,) * len(self.hidden)

    @property
    def draws(self) -> int:
        """Standard normal numbers per step: one for the kind of step if there are several, and one for its size."""
        return 1 if self._single else 2

    @cached_property
    def _single(self) -> bool:
        return (
            self.limit is not None or self.law(self.start[None, :], 0.0, self.step_length).merged.weight.shape[1] == 1
        )

    @property
    def step_length(self) -> float:
        """A length of step that the process takes."""
        return 1.0

    def require_step(self, dt: float) -> None:
        """Raise `TreeError` for a length of step that the process does not take."""
        require_number("dt", dt, low=0.0, strict=True)

    # ---------------------------------------------------------------- moments

    def moment(self, t: ArrayLike, power: float) -> Array:
        """E[D_t^power] at times ``t`` ≥ 0."""
        at = times(t)
        found = {0.0: self.initial**power}
        for x in np.unique(at):
            if x > 0:
                found[float(x)] = float(self.marginal(float(x)).moment(power)[0])
        out = np.array([found[float(x)] for x in at.ravel()]).reshape(at.shape)
        if not np.isfinite(out).all():
            raise TreeError(f"{self}: moment {power:g} of time {at.max():g} exceeds the largest number")
        return out

    def mean(self, t: ArrayLike) -> Array:
        """E[D_t] at times ``t`` ≥ 0."""
        return self.limit.mean(t) if self.limit else self.moment(t, 1.0)

    def variance(self, t: ArrayLike) -> Array:
        """Var[D_t] at times ``t`` ≥ 0."""
        if self.limit:
            return self.limit.variance(t)
        return np.asarray(np.maximum(self.moment(t, 2.0) - self.moment(t, 1.0) ** 2, 0.0))

    def quantile(self, q: ArrayLike, t: ArrayLike) -> Array:
        """Quantile of D_t at level ``q`` in (0, 1); broadcasts ``q`` against ``t``."""
        if self.limit:
            return self.limit.quantile(q, t)
        level, at = np.broadcast_arrays(numbers("q", q), times(t))
        if not ((level > 0) & (level < 1)).all():
            raise TreeError(f"q: levels must lie in (0, 1), got {q!r}")
        out = np.full(level.shape, float(self.initial))
        for x in np.unique(at[at > 0]):
            law, here = self.marginal(float(x)).merged, at == x
            nought = float(law.weight[0, np.isneginf(law.log_mean[0])].sum())
            alive = law.log_mean[0] > -np.inf
            if nought >= 1:
                out[here] = 0.0
                continue
            wanted = (level[here] - nought) / (1 - nought)
            rest = type(law)(law.weight[:, alive] / (1 - nought), law.log_mean[:, alive], law.log_sd[:, alive])
            found = np.exp(rest.log_quantile(np.clip(wanted, 1e-300, 1.0)[None, :])[0])
            out[here] = np.where(wanted <= 0, 0.0, found)
        return out

    def fan(
        self, horizon: int, levels: Sequence[float] = (0.05, 0.25, 0.5, 0.75, 0.95), dt: float = 1.0
    ) -> pd.DataFrame:
        """Quantile fan: index ``t`` (stages 0..horizon), column ``mean`` and one column per level."""
        return fan_of(self, horizon, levels, dt)

    def expected(self, states: Array, *, t: float = 0.0, dt: float = 1.0) -> Array:
        """Mean of the value ``dt`` after each state of time ``t``, shape ``(n,)``."""
        if self.limit:
            return self.limit.expected(states, t=t, dt=dt)
        return self._given(states, t, dt, 1.0)

    def spread(self, states: Array, *, t: float = 0.0, dt: float = 1.0) -> Array:
        """Standard deviation of the value ``dt`` after each state of time ``t``, shape ``(n,)``."""
        if self.limit:
            return self.limit.spread(states, t=t, dt=dt)
        mean, square = self._given(states, t, dt, 1.0), self._given(states, t, dt, 2.0)
        return np.asarray(np.sqrt(np.maximum(square - mean**2, 0.0)))

    def _given(self, states: Array, t: float, dt: float, power: float) -> Array:
        self.require_step(dt)
        out, alive = np.zeros(states.shape[0]), states[:, 0] > 0
        if alive.any():
            out[alive] = self.law(states[alive], t, dt).moment(power)
        return out

    # --------------------------------------------------------------- sampling

    def paths(self, normals: Array, dt: float = 1.0) -> Array:
        """Turn standard normal numbers, ``draws`` rows per step, into paths of shape ``(steps + 1, n)``."""
        return self.state_paths(normals, dt)[:, :, 0]

    def state_paths(self, normals: Array, dt: float = 1.0) -> Array:
        """Paths of the whole state, shape ``(steps + 1, n, k)``."""
        from scipy.special import ndtr

        normals = numbers("normals", normals)
        if normals.ndim != 2 or normals.shape[0] % self.draws:
            raise TreeError(f"normals: must have shape ({self.draws} per step, paths), got {normals.shape}")
        self.require_step(dt)
        if self.limit:
            return self.limit.paths(normals, dt)[:, :, None]
        steps, n = normals.shape[0] // self.draws, normals.shape[1]
        out = np.empty((steps + 1, n, self.start.size))
        out[0] = self.start
        for k in range(steps):
            z, here = normals[self.draws * k], out[k]
            alive = here[:, 0] > 0
            safe = np.where(alive, here[:, 0], 1.0)
            law = self.law(np.column_stack([safe, here[:, 1:]]), k * dt, dt)
            merged = law.merged
            if self.draws == 1:
                m, s, kind = merged.log_mean[:, 0], merged.log_sd[:, 0], np.zeros(n, dtype=np.int64)
            else:
                u = ndtr(normals[2 * k + 1])
                chosen = (u[:, None] >= np.cumsum(merged.weight, axis=1)[:, :-1]).sum(1)[:, None]
                m = np.take_along_axis(merged.log_mean, chosen, 1)[:, 0]
                s = np.take_along_axis(merged.log_sd, chosen, 1)[:, 0]
                kind = law.kind_of_component[chosen[:, 0]]
            with np.errstate(over="ignore"):
                out[k + 1, :, 0] = np.where(alive, np.exp(m + s * z), 0.0)
            out[k + 1, :, 1:] = self.after(here, kind, out[k + 1, :, 0], k * dt, dt)
        if not np.isfinite(out[-1]).all():
            raise TreeError(f"{self}: paths of {steps} steps exceed the largest number")
        return out

    def sample(self, paths: int, horizon: int, *, seed: int, sampler: Sampler | None = None, dt: float = 1.0) -> Array:
        """Draw sample paths, shape ``(horizon + 1, paths)``, in the unit of ``initial``."""
        return draw_paths(self, paths, horizon, seed, sampler, dt)

    # ----------------------------------------------------------- quantisation

    def step(
        self, states: Array, branches: int, quantization: Quantization | None = None, *, t: float = 0.0, dt: float = 1.0
    ) -> tuple[Array, Array]:
        """Successors of states and their probabilities.

        Every kind of future (a regime that follows, a date that has come) has ``branches`` values, which have its
        conditional mean; the value 0 is one branch. A state of value 0 has one successor, itself.

        Returns
        -------
        successors
            Shape ``(n, b, k)``.
        probability
            Shape ``(n, b)``; 0 for what cannot follow.
        """
        from scenario_trees.quantization import GaussHermite, require_quantization

        if self.limit:
            return self.limit.step(states, branches, quantization, t=t, dt=dt)
        require_integer("branches", branches, 1)
        self.require_step(dt)
        rule = require_quantization(quantization or GaussHermite())
        states = np.asarray(states, dtype=float)
        distinct, inverse = states, np.arange(states.shape[0])
        if self.scales:  # the laws differ by what else is seen alone
            same = np.column_stack([(states[:, 0] > 0).astype(float), states[:, 1:]])
            distinct, inverse = np.unique(same, axis=0, return_inverse=True)
            inverse = inverse.reshape(-1)
        parts = [
            self._split(distinct[i : i + _CHUNK], branches, rule, t, dt) for i in range(0, distinct.shape[0], _CHUNK)
        ]
        values, probability, kind = (np.concatenate([part[j] for part in parts]) for j in range(3))
        values, probability, kind = values[inverse], probability[inverse], kind[inverse].astype(np.int64)
        if self.scales:
            values = values * states[:, :1]
        seen = self.after_step(states, kind, values, probability, t, dt)
        return np.concatenate([values[:, :, None], seen], axis=2), probability

    def _split(self, states: Array, branches: int, rule: Any, t: float, dt: float) -> tuple[Array, Array, Array]:
        alive = states[:, 0] > 0
        safe = np.column_stack([np.where(alive, states[:, 0], 1.0), states[:, 1:]])
        law = self.law(safe, t, dt)
        values, probability, kinds = [], [], []
        for kind, (share, mixture) in enumerate(zip(law.probability.T, law.kinds, strict=True)):
            if mixture.is_nothing:
                at, weight = np.zeros((safe.shape[0], 1)), np.ones((safe.shape[0], 1))
            else:
                at, weight = rule.split(mixture, branches)
            values.append(at)
            probability.append(share[:, None] * weight)
            kinds.append(np.full(at.shape, kind))
        value, chance, which = (np.concatenate(part, axis=1) for part in (values, probability, kinds))
        value[~alive] = 0.0
        chance[~alive] = np.eye(1, chance.shape[1])
        return value, chance, which


def require_period(dt: float, period: float) -> None:
    """Raise `TreeError` unless a step is one period long."""
    require_number("dt", dt, low=0.0, strict=True)
    if not np.isclose(dt, period, rtol=1e-9):
        raise TreeError(
            f"dt: must be the period of the process, {period:g}, got {dt:g}; state the process with period={dt:g}"
        )
