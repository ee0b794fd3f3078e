"""The recursion of `stochisru.lunar.exact.threshold_recursion` for demand that grows without volatility.

F'_t is then a step function of y. Its steps are where plant meets the demand of a later year,
``y = e^{μs}/(η·κ^{s−L})`` for s = L..T − t, so it is known from its values between them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from scenario_trees.arrays import Array
from stochisru.lunar.exact.unit_value import UnitValue


class CertainRecursion:
    """Thresholds and value function of the exact policy, for volatility 0; methods as in `ThresholdRecursion`."""

    def __init__(self, unit: UnitValue, lead_time: int) -> None:
        self.unit, self.lead_time = unit, lead_time
        self.last = unit.years - lead_time
        self.price = unit.discount**lead_time * unit.price
        self._log_position: dict[int, float] = {}
        self._option = {self.last + 1: 0.0}
        growth = float(np.exp(unit.process.drift))
        for t in range(self.last, 0, -1):
            self._log_position[t] = self._solve(t)
            gain = self.integral(t, self.log_position(t)) - self.price * float(np.exp(self.log_position(t)))
            self._option[t] = unit.discount * growth * self._option[t + 1] + gain

    def log_position(self, t: int) -> float:
        """Logarithm of k*_t, −inf for never."""
        return self._log_position[t]

    def option(self, t: int) -> float:
        """Worth at t of all orders after t to someone without plants, $ of year t per unit of D_t."""
        return self.unit.discount * float(np.exp(self.unit.process.drift)) * self._option[t + 1]

    def marginal(self, t: int, log_ratio: ArrayLike) -> Array:
        """F'_t at log y, $ of year t per kg; any shape."""
        at = np.asarray(log_ratio, dtype=float)
        used = np.log(self.unit.eta) + at < self.unit.process.drift * self.lead_time
        now = self.unit.discount**self.lead_time * (self.unit.eta * self.unit.worth * used - self.unit.holding)
        if t == self.last:
            return np.asarray(now)
        next_year = at + np.log(self.unit.kept) - self.unit.process.drift
        later = np.minimum(self.price, self.marginal(t + 1, next_year))
        return np.asarray(now + self.unit.discount * self.unit.kept * later)

    def _steps(self, t: int) -> tuple[Array, Array]:
        """Ascending steps of F'_t in log y, and its value below each."""
        ahead = np.arange(self.lead_time, self.unit.years - t + 1)
        steps = np.unique(
            self.unit.process.drift * ahead - (ahead - self.lead_time) * np.log(self.unit.kept) - np.log(self.unit.eta)
        )
        between = steps - 0.5 * np.diff(steps, prepend=steps[0] - 2.0)
        return steps, self.marginal(t, between)

    def integral(self, t: int, log_ratio: float) -> float:
        """∫ F'_t from 0 to y, $ of year t per unit of D_t."""
        steps, values = self._steps(t)
        ends = np.minimum(np.exp(steps), np.exp(log_ratio))
        beyond = max(float(np.exp(log_ratio) - np.exp(steps[-1])), 0.0)
        idle = float(self.marginal(t, steps[-1] + 1.0)) if beyond else 0.0
        return float(values @ np.diff(ends, prepend=0.0)) + idle * beyond

    def _solve(self, t: int) -> float:
        steps, values = self._steps(t)
        worth = np.flatnonzero(values > self.price)
        return float(steps[worth[-1]]) if worth.size else -np.inf
