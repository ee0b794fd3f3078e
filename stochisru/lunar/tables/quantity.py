"""Numbers of a case by stage that may depend on factors, and what is computed from them."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from scenario_trees.arrays import Array
from stochisru.problem.coefficients import Coefficient, Factors

Number = float | Array


@dataclass(frozen=True)
class Quantity:
    """A number of every stage; a function of the factors where it is ``random``."""

    at: Callable[[int, Factors], Number]
    random: bool = False

    @classmethod
    def of(cls, values: float | Array) -> Quantity:
        """One number, or one per stage, shape ``(T + 1,)``."""
        if np.ndim(values) == 0:
            number = float(values)
            return cls(lambda t, factors: number)
        listed = np.asarray(values, dtype=float).tolist()
        return cls(lambda t, factors: listed[t])

    @classmethod
    def factor(cls, name: str) -> Quantity:
        """A factor."""
        return cls(lambda t, factors: factors[name], random=True)

    @classmethod
    def computed(cls, rule: Callable[..., Any], *from_: Quantity) -> Quantity:
        """What a function of numbers says of some quantities, stage by stage."""
        return cls(lambda t, factors: rule(*(q.at(t, factors) for q in from_)), any(q.random for q in from_))

    def __add__(self, other: Quantity | float) -> Quantity:
        return Quantity.computed(operator.add, self, _as_quantity(other))

    def __sub__(self, other: Quantity | float) -> Quantity:
        return Quantity.computed(operator.sub, self, _as_quantity(other))

    def __rsub__(self, other: float) -> Quantity:
        return Quantity.of(other) - self

    def __mul__(self, other: Quantity | float) -> Quantity:
        return Quantity.computed(operator.mul, self, _as_quantity(other))

    __rmul__ = __mul__
    __radd__ = __add__

    def __neg__(self) -> Quantity:
        return Quantity.computed(operator.neg, self)

    def known(self, horizon: int) -> Array:
        """Numbers of stages 0..T, shape ``(T + 1,)``, of what is not random."""
        return np.array([self.at(t, {}) for t in range(horizon + 1)], dtype=float)

    def coefficient(self, horizon: int) -> Coefficient:
        """As a coefficient of a part: a number, one per stage, or a function of stage and factors."""
        if self.random:
            return self.at
        numbers = self.known(horizon)
        return float(numbers[0]) if (numbers == numbers[0]).all() else tuple(numbers.tolist())


def _as_quantity(number: Quantity | float) -> Quantity:
    return number if isinstance(number, Quantity) else Quantity.of(number)
