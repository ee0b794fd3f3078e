"""Discrete growth factors that stand for one step of a geometric Brownian motion.

Every quantisation keeps the mean growth ``e^{μ dt}`` exactly. Notation: ``v = e^{σ² dt}``, so that the k-th
moment of the growth factor divided by its mean is ``v^{k(k−1)/2}``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scenario_trees.arrays import Array
from scenario_trees.errors import TreeError, require_number
from scenario_trees.processes.gbm import GeometricBrownianMotion, require_gbm
from scenario_trees.protocols import Quantization


def _require(process: GeometricBrownianMotion, dt: float) -> None:
    require_gbm(process, "give a quantization of your own, or build from its paths (tree_from_paths, from_paths)")
    require_number("dt", dt, low=0.0, strict=True)


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


QUANTIZATIONS: dict[str, Quantization] = {
    q.name: q for q in (GaussHermite(), EqualProbability(), Binomial(), Trinomial())
}
