"""Discrete growth factors that stand for one step of a process.

Every quantisation keeps the mean growth exactly: ``growth`` the ``e^{μ dt}`` of a geometric Brownian motion, ``split``
that of any law of a step, row by row. Notation: ``v = E[G²]/E[G]²``, which is ``e^{σ² dt}`` for a lognormal G; its k-th
moment divided by its mean is then ``v^{k(k−1)/2}``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scenario_trees.arrays import Array
from scenario_trees.errors import TreeError, require_number
from scenario_trees.law import CERTAIN, Mixture
from scenario_trees.processes.gbm import GeometricBrownianMotion, require_gbm
from scenario_trees.protocols import Quantization, QuantizesLaws


def _require(process: GeometricBrownianMotion, dt: float) -> None:
    require_gbm(process, "give a quantization of your own, or build from its paths (tree_from_paths, from_paths)")
    require_number("dt", dt, low=0.0, strict=True)


def _spread(law: Mixture) -> Array:
    """V = E[X²]/E[X]² of n laws; 1 for the value 0."""
    scaled = law.shifted(-law.log_mean.max(axis=1))  # squares of large values overflow
    mean = scaled.moment()
    return np.asarray(np.maximum(scaled.moment(2.0) / mean**2, 1.0))


def _alike(n: int, weight: Array) -> Array:
    """The same probabilities for n laws."""
    return np.tile(weight, (n, 1))


def _mean_growth(process: GeometricBrownianMotion, dt: float) -> float:
    return float(np.exp(process.drift * dt))


@dataclass(frozen=True)
class GaussHermite:
    """Gauss–Hermite nodes on Z, the factors then rescaled by one number so that their mean is exact."""

    name: str = "gauss-hermite"

    def growth(self, process: GeometricBrownianMotion, branches: int, dt: float) -> tuple[Array, Array]:
        """Growth factors and probabilities."""
        _require(process, dt)
        from scipy.special import roots_hermitenorm

        z, weight = roots_hermitenorm(branches)
        probability = weight / weight.sum()
        factor = process.growth(z, dt)
        return factor * (_mean_growth(process, dt) / float(probability @ factor)), probability

    def split(self, law: Mixture, branches: int) -> tuple[Array, Array]:
        """Values and probabilities; of a mixture the Gauss rule of the logarithm, which keeps 2·branches − 1 moments.

        The rule of a mixture of c normals follows from the c·branches nodes of their own rules, which have its moments,
        by the recurrence of orthogonal polynomials (Gautschi 2004, section 2.2.3; Golub and Welsch 1969).
        """
        from scipy.special import roots_hermitenorm

        z, weight = roots_hermitenorm(branches)
        share = weight / weight.sum()
        if law.weight.shape[1] == 1:
            log, probability = law.log_mean + law.log_sd * z, _alike(law.n, share)
        else:
            at = (law.log_mean[:, :, None] + law.log_sd[:, :, None] * z).reshape(law.n, -1)
            log, probability = _gauss(at, (law.weight[:, :, None] * share).reshape(law.n, -1), branches)
        top = log.max(axis=1, keepdims=True)
        factor = np.exp(log - top)
        return factor * (law.moment() / (probability * factor).sum(1))[:, None], probability


@dataclass(frozen=True)
class EqualProbability:
    """Bins of equal probability, each represented by its conditional mean (closed form for a lognormal)."""

    name: str = "equal-probability"

    def growth(self, process: GeometricBrownianMotion, branches: int, dt: float) -> tuple[Array, Array]:
        """Growth factors and probabilities."""
        _require(process, dt)
        from scipy.special import ndtr, ndtri

        edges = ndtri(np.linspace(0.0, 1.0, branches + 1))
        mass = np.diff(ndtr(edges - process.volatility * np.sqrt(dt)))
        return _mean_growth(process, dt) * branches * mass, np.full(branches, 1.0 / branches)

    def split(self, law: Mixture, branches: int) -> tuple[Array, Array]:
        """Values and probabilities: means of the bins between quantiles."""
        probability = _alike(law.n, np.full(branches, 1.0 / branches))
        if not (law.log_sd > CERTAIN).all():  # atoms lie across the ends of bins
            return _means_by_share(law, np.arange(branches + 1) / branches), probability
        edges = law.log_quantile(np.tile(np.arange(branches + 1) / branches, (law.n, 1)))
        return branches * np.diff(law.mean_below(edges), axis=1), probability


@dataclass(frozen=True)
class Binomial:
    """Two recombining factors ``e^{μ dt} x`` and ``e^{μ dt} / x`` that match mean and variance.

    ``x + 1/x = v + 1`` and the upper factor has probability ``1/(1 + x)``; both exist for every μ and σ.
    """

    name: str = "binomial"

    def growth(self, process: GeometricBrownianMotion, branches: int, dt: float) -> tuple[Array, Array]:
        """Growth factors and probabilities."""
        _require(process, dt)
        if branches not in (1, 2):
            raise TreeError(f"branching: a binomial step has 2 branches (or 1), got {branches}")
        if branches == 1:
            return np.array([_mean_growth(process, dt)]), np.ones(1)
        v = np.exp(process.volatility**2 * dt)
        x = float(np.exp(np.arccosh((v + 1) / 2)))
        return _mean_growth(process, dt) * np.array([1 / x, x]), np.array([x, 1.0]) / (1 + x)

    def split(self, law: Mixture, branches: int) -> tuple[Array, Array]:
        """Values and probabilities that match mean and variance of any law."""
        if branches not in (1, 2):
            raise TreeError(f"branching: a binomial step has 2 branches (or 1), got {branches}")
        mean = law.moment()[:, None]
        if branches == 1:
            return mean, np.ones((law.n, 1))
        x = np.exp(np.arccosh((_spread(law)[:, None] + 1) / 2))
        return mean * np.concatenate([1 / x, x], axis=1), np.concatenate([x, np.ones_like(x)], axis=1) / (1 + x)


@dataclass(frozen=True)
class Trinomial:
    """Three recombining factors ``e^{μ dt} (1/x, 1, x)`` that match the first three moments.

    ``x + 1/x = v² + v``; the middle factor has probability ``(v + 1)/(v + 2)`` and the outer two share the
    rest as ``x : 1``, the lower one being the likelier.
    """

    name: str = "trinomial"

    def growth(self, process: GeometricBrownianMotion, branches: int, dt: float) -> tuple[Array, Array]:
        """Growth factors and probabilities."""
        _require(process, dt)
        if branches not in (1, 3):
            raise TreeError(f"branching: a trinomial step has 3 branches (or 1), got {branches}")
        if branches == 1:
            return np.array([_mean_growth(process, dt)]), np.ones(1)
        v = float(np.exp(process.volatility**2 * dt))
        x = float(np.exp(np.arccosh((v**2 + v) / 2)))
        outer = 1 / ((v + 2) * (1 + x))
        return _mean_growth(process, dt) * np.array([1 / x, 1.0, x]), np.array([x * outer, 1 - (1 + x) * outer, outer])

    def split(self, law: Mixture, branches: int) -> tuple[Array, Array]:
        """Values and probabilities of lognormal steps; `TreeError` for a mixture, whose third moment is another."""
        if branches not in (1, 3):
            raise TreeError(f"branching: a trinomial step has 3 branches (or 1), got {branches}")
        if law.weight.shape[1] > 1:
            raise TreeError(
                "quantization: trinomial takes steps with one lognormal law, got a mixture of "
                f"{law.weight.shape[1]}; take gauss-hermite, equal-probability or binomial"
            )
        mean = law.moment()[:, None]
        if branches == 1:
            return mean, np.ones((law.n, 1))
        v = _spread(law)[:, None]
        x = np.exp(np.arccosh((v**2 + v) / 2))
        outer = 1 / ((v + 2) * (1 + x))
        return mean * np.concatenate([1 / x, np.ones_like(x), x], axis=1), np.concatenate(
            [x * outer, 1 - (1 + x) * outer, outer], axis=1
        )


def _gauss(at: Array, weight: Array, branches: int) -> tuple[Array, Array]:
    """Gauss rules of n discrete measures: nodes and weights, both of shape ``(n, branches)``."""
    middle = (weight * at).sum(1, keepdims=True)
    sd = np.sqrt((weight * (at - middle) ** 2).sum(1, keepdims=True))
    y = (at - middle) / np.where(sd > 0, sd, 1.0)
    matrix = np.zeros((at.shape[0], branches, branches))
    before, now, norm = np.zeros_like(y), np.ones_like(y), np.ones(at.shape[0])
    beta = np.zeros(at.shape[0])
    for k in range(branches):
        some = norm > 1e-13  # measures of fewer points than branches end early; further nodes have no weight
        alpha = np.divide((weight * y * now**2).sum(1), norm, out=np.zeros_like(norm), where=some)
        matrix[:, k, k] = alpha
        after = (y - alpha[:, None]) * now - beta[:, None] * before
        size = (weight * after**2).sum(1)
        beta = np.divide(size, norm, out=np.zeros_like(norm), where=some & (size > 1e-13))
        if k + 1 < branches:
            matrix[:, k, k + 1] = matrix[:, k + 1, k] = np.sqrt(beta)
        before, now, norm = now, after, size
    nodes, vectors = np.linalg.eigh(matrix)
    share = vectors[:, 0, :] ** 2
    share = np.where(share > 1e-14, share, 0.0)
    return middle + sd * nodes, share / share.sum(1, keepdims=True)


def _means_by_share(law: Mixture, share: Array) -> Array:
    """Mean of every bin between shares of n laws: the integral of the quantile function over the bin."""
    return np.asarray(np.diff(law.mean_up_to(share), axis=1) / np.diff(share))


def require_quantization(rule: Quantization) -> QuantizesLaws:
    """The quantisation, if it takes steps of every process; `TreeError` for one that only has ``growth``."""
    if not isinstance(rule, QuantizesLaws):
        raise TreeError(
            "quantization: must have split(law, branches) for a process that is no GeometricBrownianMotion, got "
            f"{type(rule).__name__}"
        )
    return rule


QUANTIZATIONS: dict[str, Quantization] = {
    q.name: q for q in (GaussHermite(), EqualProbability(), Binomial(), Trinomial())
}
