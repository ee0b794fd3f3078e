"""Laws of one step as mixtures of lognormals, by what kind of future follows.

Every member of the family states one step in these terms; sampling, quantisation, moments, trees and lattices follow.
With weights w_c, means m_c and standard deviations s_c of the logarithm, ``P(X ≤ e^y) = Σ w_c Φ((y − m_c)/s_c)``,
``E[X^k] = Σ w_c exp(k m_c + k² s_c²/2)`` and ``E[X; X ≤ e^y] = Σ w_c exp(m_c + s_c²/2) Φ((y − m_c)/s_c − s_c)``
(McLachlan and Peel 2000, ch. 1; Johnson, Kotz and Balakrishnan 1994, ch. 14). m = −∞ is the value 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from scenario_trees.arrays import Array, Index

#: Rounds of bisection: an interval of 1e3 is then known to 1e-15.
_ROUNDS = 60
#: Deviations between which shares of a law are tabulated, and how many.
_DEEP, _FINE = 8.0, 4001
#: Standard deviations of a logarithm below which it is certain.
CERTAIN = 1e-10


@dataclass(frozen=True)
class Mixture:
    """n mixtures of c lognormals.

    Attributes
    ----------
    weight, log_mean, log_sd
        Of every component, shape ``(n, c)``; rows of ``weight`` sum to 1.
    """

    weight: Array
    log_mean: Array
    log_sd: Array

    @classmethod
    def of(cls, n: int, weight: ArrayLike, log_mean: ArrayLike, log_sd: ArrayLike) -> Mixture:
        """A mixture of arrays that broadcast to ``(n, c)``."""
        parts = [np.atleast_1d(np.asarray(part, dtype=float)) for part in (weight, log_mean, log_sd)]
        shape = np.broadcast_shapes(*(part.shape for part in parts), (n, 1))
        return cls(*(np.broadcast_to(part, shape) for part in parts))

    @classmethod
    def nothing(cls, n: int) -> Mixture:
        """The value 0 for good."""
        return cls.of(n, 1.0, -np.inf, 0.0)

    @property
    def n(self) -> int:
        """Number of laws."""
        return int(self.weight.shape[0])

    @property
    def is_nothing(self) -> bool:
        """Whether all laws are the value 0."""
        return bool(np.isneginf(self.log_mean).all())

    def rows(self, rows: slice | Index) -> Mixture:
        """Some of the laws."""
        return Mixture(self.weight[rows], self.log_mean[rows], self.log_sd[rows])

    def shifted(self, by: Array) -> Mixture:
        """The laws of values multiplied by ``e^by``, shape ``(n,)``."""
        return Mixture(self.weight, self.log_mean + by[:, None], self.log_sd)

    def moment(self, power: float = 1.0) -> Array:
        """E[X^power], shape ``(n,)``."""
        with np.errstate(over="ignore"):
            return np.asarray((self.weight * np.exp(power * self.log_mean + 0.5 * (power * self.log_sd) ** 2)).sum(1))

    def _standard(self, y: Array) -> Array:
        """(y − m)/s of logarithms ``y`` of shape ``(n, b)``, shape ``(n, b, c)``; ±∞ where a component is certain."""
        m, s = self.log_mean[:, None, :], self.log_sd[:, None, :]
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            z = (y[:, :, None] - m) / s
        return np.where(s > CERTAIN, z, np.where(y[:, :, None] >= m, np.inf, -np.inf))

    def below(self, y: Array) -> Array:
        """P(ln X ≤ y) for logarithms ``y`` of shape ``(n, b)``."""
        from scipy.special import ndtr

        return np.asarray((self.weight[:, None, :] * ndtr(self._standard(y))).sum(2))

    def above(self, y: Array) -> Array:
        """P(ln X > y) for logarithms ``y`` of shape ``(n, b)``, exact in the upper tail."""
        from scipy.special import ndtr

        return np.asarray((self.weight[:, None, :] * ndtr(-self._standard(y))).sum(2))

    def mean_below(self, y: Array) -> Array:
        """E[X; ln X ≤ y] for logarithms ``y`` of shape ``(n, b)``."""
        from scipy.special import ndtr

        whole = self.weight * np.exp(self.log_mean + 0.5 * self.log_sd**2)
        return np.asarray((whole[:, None, :] * ndtr(self._standard(y) - self.log_sd[:, None, :])).sum(2))

    def limited_mean(self, level: Array) -> Array:
        """E[min(X, level)] for levels ≥ 0 of shape ``(n, b)``."""
        with np.errstate(divide="ignore"):
            y = np.log(level)
        return self.mean_below(y) + level * (1.0 - self.below(y))

    def mean_up_to(self, share: Array) -> Array:
        """∫_0^u of the quantile function for shares u in [0, 1], shape ``(n, shares)``.

        That is the mean below the quantile, plus what an atom there gives up to u; the value 0 gives nothing.
        """
        nought = np.where(np.isneginf(self.log_mean), self.weight, 0.0).sum(1)
        if nought.any():
            alive = np.where(np.isneginf(self.log_mean), 0.0, self.weight)
            rest = 1 - nought
            kept = Mixture(
                np.divide(alive, rest[:, None], out=np.full(alive.shape, 1 / alive.shape[1]), where=rest[:, None] > 0),
                np.where(np.isneginf(self.log_mean), 0.0, self.log_mean),
                self.log_sd,
            )
            level = np.clip((share - nought[:, None]) / np.maximum(rest, 1e-300)[:, None], 0.0, 1.0)
            return np.asarray(rest[:, None] * kept._mean_up_to(level))
        return self._mean_up_to(np.tile(share, (self.n, 1)))

    def _mean_up_to(self, level: Array) -> Array:
        at = self.log_quantile(np.clip(level, 1e-15, 1 - 1e-15))
        under = np.nextafter(at, -np.inf) - 1e-12 * np.abs(at)
        found = self.mean_below(under) + np.exp(at) * (level - self.below(under))
        return np.where(level <= 0, 0.0, np.where(level >= 1, self.moment()[:, None], found))

    def bins(self, count: int, tilt: float = 0.0) -> tuple[Array, Array]:
        """Conditional means of bins of one law, ascending, and their probabilities.

        Bins have equal shares of ``(1 − tilt)·probability + tilt·mean``.
        """
        from scipy.special import ndtr

        share = np.arange(count + 1) / count
        if tilt > 0:
            below = ndtr(np.linspace(-_DEEP, _DEEP, _FINE))
            worth = self.mean_up_to(below)[0] / self.moment()[0] if self.moment()[0] > 0 else below
            share[1:-1] = np.interp(share[1:-1], (1 - tilt) * below + tilt * worth, below)
        chance = np.diff(share)
        return np.diff(self.mean_up_to(share)[0]) / chance, chance

    def log_density(self, y: Array) -> Array:
        """Logarithm of the density of ln X at logarithms ``y`` of shape ``(n,)``."""
        z = (y[:, None] - self.log_mean) / np.maximum(self.log_sd, CERTAIN)
        with np.errstate(divide="ignore"):
            each = np.log(self.weight) - 0.5 * z**2 - np.log(np.maximum(self.log_sd, CERTAIN)) - 0.5 * np.log(2 * np.pi)
        top = each.max(axis=1, keepdims=True)
        return np.asarray(top[:, 0] + np.log(np.exp(each - top).sum(axis=1)))

    def log_quantile(self, level: Array) -> Array:
        """Logarithms y with P(ln X ≤ y) = level in [0, 1], of shape ``(n, b)``; ±∞ at 0 and 1."""
        from scipy.special import ndtri

        if self.weight.shape[1] == 1:
            with np.errstate(invalid="ignore"):
                spread = np.where(self.log_sd > 0, self.log_sd * ndtri(level), 0.0)
            return np.where(level <= 0, -np.inf, np.where(level >= 1, np.inf, self.log_mean + spread))
        inside = np.clip(level, 1e-300, 1 - 1e-16)
        ends = self.log_mean[:, None, :] + self.log_sd[:, None, :] * ndtri(inside)[:, :, None]
        some = np.broadcast_to((self.weight > 0)[:, None, :], ends.shape)
        low = np.where(some, ends, np.inf).min(2)
        high = np.where(some, ends, -np.inf).max(2)
        for _ in range(_ROUNDS):
            middle = 0.5 * (low + high)
            under = self.below(middle) < level
            low, high = np.where(under, middle, low), np.where(under, high, middle)
        return np.where(level <= 0, -np.inf, np.where(level >= 1, np.inf, high))


@dataclass(frozen=True)
class StepLaw:
    """What may follow n states: kinds of future, and the values in each.

    Attributes
    ----------
    probability
        Of every kind, shape ``(n, kinds)``; rows sum to 1.
    kinds
        Law of the value in every kind, each a `Mixture` of n laws.
    """

    probability: Array
    kinds: tuple[Mixture, ...]

    @classmethod
    def one(cls, law: Mixture) -> StepLaw:
        """One kind of future."""
        return cls(np.ones((law.n, 1)), (law,))

    def moment(self, power: float = 1.0) -> Array:
        """E[X^power], shape ``(n,)``."""
        return np.asarray(sum(p * law.moment(power) for p, law in zip(self.probability.T, self.kinds, strict=True)))

    @property
    def merged(self) -> Mixture:
        """All kinds as one mixture, zeros among them."""
        parts = [(p[:, None] * law.weight, law) for p, law in zip(self.probability.T, self.kinds, strict=True)]
        return Mixture(
            np.concatenate([weight for weight, _ in parts], axis=1),
            np.concatenate([law.log_mean for _, law in parts], axis=1),
            np.concatenate([law.log_sd for _, law in parts], axis=1),
        )

    @property
    def kind_of_component(self) -> Index:
        """Kind of each component of `merged`."""
        return np.repeat(np.arange(len(self.kinds)), [law.weight.shape[1] for law in self.kinds])
