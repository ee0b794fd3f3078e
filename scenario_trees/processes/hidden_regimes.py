"""Growth that switches between regimes which nobody sees: a belief about them is updated by the values that come.

In a step of one ``period`` of regime i, D grows by ``exp((μ_i − σ_i²/2) dt + σ_i √dt Z)``; the next step has regime j
with probability P_ij (Hamilton 1989). With ``b_i`` the probability of regime i given the values so far, a growth g of
density ``φ_i(g)`` in regime i leaves

``b′_j = Σ_i b_i φ_i(g) P_ij / Σ_i b_i φ_i(g)``   (Hamilton 1994, section 22.4),

and the value's law is the mixture of the regimes' by b. So (D, b) is Markov: it is what is seen, the regime is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from scenario_trees.arrays import Array, Index
from scenario_trees.errors import TreeError, numbers, require_number
from scenario_trees.law import CERTAIN, Mixture, StepLaw
from scenario_trees.processes.gbm import GeometricBrownianMotion
from scenario_trees.processes.markov import MarkovProcess, require_period
from scenario_trees.processes.regimes import RegimeSwitching

#: Rounds in which shares are scaled, at most, and how near to their sums they come.
_ROUNDS, _NEAR = 2_000, 1e-14
#: Share of a regime's belief that every branch keeps: between certain shares nothing could be scaled.
_DOUBT = 1e-6


@dataclass(frozen=True)
class HiddenRegimes(MarkovProcess):
    """A geometric Brownian motion in each of several regimes, of which only the value is seen.

    A state is the value and the belief in every regime but the first, ``belief_1``, ``belief_2``, …, by its number
    counted from 0.

    Parameters
    ----------
    initial
        Value at time 0 (> 0).
    drifts, volatilities
        μ and σ > 0 of every regime, per unit of time and its square root: without σ a step would tell the regime.
    switching
        Probability of regime j in the next period after regime i; every row sums to 1.
    prior
        Probability of every regime in the first period; they sum to 1.
    period
        Length of a step, in the unit of time: the process takes steps of this length only.

    Examples
    --------
    A slump that may have begun, and what a year of growth by a tenth says of it:

    >>> from scenario_trees import HiddenRegimes
    >>> demand = HiddenRegimes(1000.0, (0.2, -0.1), (0.1, 0.3), ((0.9, 0.1), (0.3, 0.7)), (0.5, 0.5))
    >>> demand.updated([0.5, 0.5], 1.1).round(3)
    array([0.729, 0.271])
    """

    initial: float
    drifts: tuple[float, ...]
    volatilities: tuple[float, ...]
    switching: tuple[tuple[float, ...], ...]
    prior: tuple[float, ...]
    period: float = 1.0

    scales = True
    continuous = True

    def __post_init__(self) -> None:
        seen = RegimeSwitching(self.initial, self.drifts, self.volatilities, self.switching, 0, self.period)
        for name in ("drifts", "volatilities", "switching"):
            object.__setattr__(self, name, getattr(seen, name))
        if not min(self.volatilities) > CERTAIN:
            raise TreeError(
                f"volatilities: must be > {CERTAIN:g}, as a step without noise tells its regime, "
                f"got {min(self.volatilities):g}"
            )
        object.__setattr__(self, "prior", tuple(map(float, self._require_belief("prior", self.prior))))

    def _require_belief(self, name: str, belief: ArrayLike) -> Array:
        found = numbers(name, belief)
        size = len(self.drifts)
        if found.shape != (size,) or not (found >= 0).all() or abs(found.sum() - 1) > 1e-9:
            raise TreeError(f"{name}: must be {size} numbers >= 0 that sum to 1, one per regime, got {belief!r}")
        return np.asarray(found / found.sum())

    @classmethod
    def example(cls) -> HiddenRegimes:
        """Growth, and a slump with more risk that may have begun."""
        return cls(1000.0, (0.15, -0.1), (0.12, 0.3), ((0.85, 0.15), (0.4, 0.6)), (0.8, 0.2))

    def seen(self, regime: int) -> RegimeSwitching:
        """The same process for those who see the regime, the first being this one."""
        return RegimeSwitching(self.initial, self.drifts, self.volatilities, self.switching, regime, self.period)

    @cached_property
    def limit(self) -> GeometricBrownianMotion | None:
        """The process where one regime is certain for good, or all are alike."""
        found = {self.seen(i).limit for i in np.flatnonzero(self.prior).tolist()}
        return found.pop() if len(found) == 1 else None

    @property
    def hidden(self) -> tuple[str, ...]:
        """Names of the beliefs."""
        return tuple(f"belief_{i}" for i in range(1, len(self.drifts)))

    @property
    def hidden_start(self) -> tuple[float, ...]:
        """The prior of all regimes but the first."""
        return self.prior[1:]

    @property
    def step_length(self) -> float:
        """One period."""
        return self.period

    def require_step(self, dt: float) -> None:
        """Refuse steps of another length than the period."""
        if self.limit is None:
            require_period(dt, self.period)

    def scaled(self, initial: float) -> HiddenRegimes:
        """The same process from another start."""
        return replace(self, initial=initial)

    def updated(self, belief: ArrayLike, growth: float) -> Array:
        """Belief about the next period after a period in which the value grew by a factor.

        Parameters
        ----------
        belief
            Probability of every regime in that period, shape ``(regimes,)``.
        growth
            Value at its end over that at its start, > 0.
        """
        before = self._require_belief("belief", belief)
        require_number("growth", growth, low=0.0, strict=True)
        return np.asarray(self._after(before[None, :], np.log([growth]))[0])

    def _after(self, belief: Array, growth: Array) -> Array:
        """Beliefs about the next period after growths of the logarithm."""
        return np.asarray(self._posterior(belief, growth) @ np.array(self.switching))

    def _posterior(self, belief: Array, growth: Array) -> Array:
        """Beliefs about a period after its growth of the logarithm; one that is not finite says nothing."""
        middle, sd = self._growth
        known = np.isfinite(growth)[:, None]
        with np.errstate(divide="ignore"):
            log = np.log(belief) - 0.5 * ((np.where(known, growth[:, None], middle) - middle) / sd) ** 2 - np.log(sd)
        share = np.exp(log - log.max(axis=1, keepdims=True))
        return np.where(known, share / share.sum(axis=1, keepdims=True), belief)

    @property
    def _growth(self) -> tuple[Array, Array]:
        """Mean and standard deviation of the growth of the logarithm in a period of every regime."""
        mu, sigma = np.array(self.drifts), np.array(self.volatilities)
        return (mu - 0.5 * sigma**2) * self.period, sigma * np.sqrt(self.period)

    @staticmethod
    def _beliefs(states: Array) -> Array:
        """Probability of every regime, shape ``(n, regimes)``."""
        rest = states[:, 1:]
        return np.column_stack([np.maximum(1.0 - rest.sum(axis=1), 0.0), rest])

    def law(self, states: Array, t: float, dt: float) -> StepLaw:
        """A mixture over the regimes by the belief in them."""
        middle, sd = self._growth
        return StepLaw.one(Mixture.of(states.shape[0], self._beliefs(states), np.log(states[:, :1]) + middle, sd))

    def after(self, states: Array, kind: Index, value: Array, t: float, dt: float) -> Array:
        """The beliefs about the next period."""
        with np.errstate(divide="ignore", invalid="ignore"):
            growth = np.log(value / states[:, 0])
        return self._after(self._beliefs(states), growth)[:, 1:]

    def after_step(self, states: Array, kind: Index, value: Array, probability: Array, t: float, dt: float) -> Array:
        """The beliefs on each branch, so scaled that means of later years are kept.

        A branch stands for many growths, and Bayes' rule at its own one would leave the regimes with other shares of
        the mean than they have. So the shares ``p_b v_b b_bi`` of the mean by branch b and regime i are scaled to
        their sums over branches, ``b_i E_i[v]``, and over regimes, ``p_b v_b`` (Deming and Stephan 1940).
        """
        found = super().after_step(states, kind, value, probability, t, dt)
        alive = np.flatnonzero(states[:, 0] > 0)
        belief, before, after = self._beliefs(states[alive]), states[alive, :1], value[alive]
        middle, sd = self._growth
        growth = np.log(after / before)
        share = self._posterior(np.repeat(belief, value.shape[1], axis=0), growth.ravel())
        share = np.maximum(share.reshape(*after.shape, -1), _DOUBT * belief[:, None, :])
        share = share / share.sum(axis=2, keepdims=True)
        share = _scaled(probability[alive] * after, share, belief * before * np.exp(middle + 0.5 * sd**2))
        found[alive] = (share @ np.array(self.switching))[:, :, 1:]
        return found

    def marginal(self, t: float) -> StepLaw:
        """The marginals of those who see the regime, weighted by the prior."""
        parts = [(p, self.seen(i).marginal(t).merged) for i, p in enumerate(self.prior) if p > 0]
        weight = np.concatenate([p * part.weight[0] for p, part in parts])
        middle, sd = (np.concatenate([getattr(part, of)[0] for _, part in parts]) for of in ("log_mean", "log_sd"))
        return StepLaw.one(Mixture.of(1, weight, middle, sd))

    def __str__(self) -> str:
        """The process in one line."""

        def shown(row: Sequence[float]) -> str:
            return "/".join(f"{x:.10g}" for x in row)

        return (
            f"hidden regimes(initial {self.initial:.10g}, drifts {shown(self.drifts)}, "
            f"volatilities {shown(self.volatilities)}, switching "
            f"{' | '.join(map(shown, self.switching))}, prior {shown(self.prior)})"
        )


def _scaled(mass: Array, share: Array, total: Array) -> Array:
    """Shares of n tables, rows ``mass`` (n, b) by columns, so scaled that columns sum to ``total``, (n, columns).

    Shares of a row sum to 1, shape ``(n, b, columns)``.
    """
    for _ in range(_ROUNDS):
        found = np.einsum("nb,nbi->ni", mass, share)
        factor = np.divide(total, found, out=np.ones_like(found), where=found > 0)
        if np.abs(factor - 1).max(initial=0.0) <= _NEAR:
            break
        share = share * factor[:, None, :]
        share = share / share.sum(axis=2, keepdims=True)
    return share
