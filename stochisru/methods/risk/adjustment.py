"""One measure of one set of outcomes, and measures nested on a lattice."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from scenario_trees.arrays import Array
from scenario_trees.lattice import MarkovLattice
from stochisru.errors import InputError
from stochisru.protocols import RiskMeasure


@dataclass(frozen=True, eq=False)
class Adjusted:
    """What outcomes are worth under a measure.

    Attributes
    ----------
    value
        Risk-adjusted value.
    probability
        Probabilities behind it, shape ``(m,)``: the worst of a coherent measure, the gradient of another.
    """

    value: float
    probability: Array


def adjusted(
    measure: RiskMeasure,
    value: ArrayLike,
    probability: ArrayLike,
    states: ArrayLike | None = None,
    sense: str = "maximise",
) -> Adjusted:
    """Risk-adjusted value of outcomes, and the probabilities behind it.

    Parameters
    ----------
    value
        Values of the outcomes, shape ``(m,)``.
    probability
        Their probabilities, shape ``(m,)``, ≥ 0 and of sum 1.
    states
        What distances are measured between, shape ``(m,)`` or ``(m, k)``; asked for by a Wasserstein ball only.
    sense
        ``maximise``: low values are bad. ``minimise``: they are costs, and high ones are bad.

    Raises
    ------
    InputError
        If shapes do not match, probabilities are none, the sense is unknown, or states are missing.

    Examples
    --------
    >>> from stochisru.methods.risk import ChiSquareBall, WorstCase, adjusted
    >>> adjusted(WorstCase(), [3.0, 1.0], [0.5, 0.5], sense="minimise").value
    3.0
    >>> round(adjusted(ChiSquareBall(0.25), [0.0, 2.0], [0.5, 0.5]).value, 12)  # mean 1, deviation 1: 1 − √0.25
    0.5
    """
    v, p = np.asarray(value, dtype=float), np.asarray(probability, dtype=float)
    if v.ndim != 1 or v.shape != p.shape or v.size == 0 or not np.isfinite(v).all():
        raise InputError(f"value: must be finite numbers, one per probability, got shapes {v.shape} and {p.shape}")
    if not ((p >= 0).all() and abs(p.sum() - 1) <= 1e-9):
        raise InputError(f"probability: must be >= 0 and sum to 1, got a sum of {p.sum():g}")
    if sense not in ("maximise", "minimise"):
        raise InputError(f"sense: must be maximise or minimise, got {sense!r}")
    x = None if states is None else np.asarray(states, dtype=float).reshape(v.size, -1)
    sign = 1.0 if sense == "maximise" else -1.0
    weights = measure.weights(p[None], sign * v, x)
    worth = float(weights[0] @ (sign * v)) + float(measure.penalty(p[None], weights)[0])
    return Adjusted(sign * worth, weights[0])


@dataclass(frozen=True, eq=False)
class Nested:
    """A measure of next year's value in every state of a lattice, nested over the years (Ruszczyński 2010).

    What a stage is worth is ``cash + ρ(value of the next stage | state)``: of values that are conditioned on what is
    known, so a plan that is best today is best tomorrow.
    """

    measure: RiskMeasure
    lattice: MarkovLattice

    @cached_property
    def _states(self) -> list[Array]:
        return [self.lattice.known(t) for t in range(self.lattice.horizon + 1)]

    def weights(self, t: int, value: Array) -> tuple[Array, Array]:
        """Cut weights of stage t by state, shape ``(n, m)``, and what is added to the expectation under them, ``(n,)``.

        Parameters
        ----------
        value
            Values of the states of stage t + 1, $ of year 0, shape ``(m,)``.
        """
        probability = self.lattice.transitions[t]
        found = self.measure.weights(probability, value, self._states[t + 1])
        return found, self.measure.penalty(probability, found)

    def worth(self, t: int, value: Array) -> Array:
        """Risk-adjusted values of the states of stage t, $ of year 0, shape ``(n,)``."""
        weights, added = self.weights(t, value)
        return np.asarray(weights @ value + added)
