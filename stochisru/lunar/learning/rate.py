"""The learning curve of Wright (1936): what a deployment costs after what was built before it.

    cost of a deployment = flight + development·max(X/m_ref, 1)^log2(1 − λ),

X being the mass that was built before it and m_ref the mass from which on there is learning, so every doubling of X
makes the next deployment cheaper by λ. A whole deployment has the price of its first kilogram: what it teaches serves
later ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scenario_trees.arrays import Array
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.exact.levels import StepCost, shrinkage


@dataclass(frozen=True)
class Learning:
    """A cost that falls with what was built before.

    Attributes
    ----------
    rate
        λ: share by which cost falls with every doubling, 0 ≤ λ < 1.
    reference
        m_ref: mass from which on there is learning, kg.
    """

    rate: float
    reference: float

    @property
    def exponent(self) -> float:
        """log2(1 − λ) ≤ 0."""
        return float(np.log2(1 - self.rate))

    def factor(self, built: Array) -> Array:
        """Cost relative to that of the first plant, after so many kg; falls in ``built``."""
        return np.asarray(np.maximum(built / self.reference, 1.0) ** self.exponent)

    def integral(self, built: Array) -> Array:
        """Sum of `factor` over all kilograms up to so many: what they cost if each had the price of its own, kg."""
        share, power = np.maximum(built / self.reference, 1.0), self.exponent + 1
        learned = np.log(share) if power == 0 else np.expm1(power * np.log(share)) / power
        return np.asarray(np.minimum(built, self.reference) + self.reference * learned)

    def saving(self, case: DeploymentCase, deployment: Array, built: Array) -> Array:
        """What deployments (kg) cost less than without learning, after so many kg each, $ of their year."""
        developed = case.scale.by_mass("c_dev", case.costs.c_dev)(case.mass(deployment))
        return np.asarray((1 - self.factor(built)) * developed)

    def cost(self, case: DeploymentCase, by_year: Array | None = None) -> StepCost:
        """Cost of a step between levels: by the plant before it, or with a given factor of each year.

        With degradation the plant before it is what stands of it, in kilograms of year 0.
        """
        scale = shrinkage(case)
        c_dev = case.scale.by_mass("c_dev", case.costs.c_dev)

        def cost(year: int, levels: Array) -> Array:
            size = scale[year] * np.maximum(levels[None, :] - levels[:, None], 0.0)
            developed = c_dev(case.mass(size))
            factor = self.factor(levels)[:, None] if by_year is None else by_year[year]
            return np.asarray(case.investment(size) - (1 - factor) * developed)

        return cost
