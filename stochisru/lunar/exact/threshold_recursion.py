"""The exact policy: marginal value of plant by a one-dimensional recursion on the ratio of plant to demand.

If costs are linear and Earth supply is not limited, every kilogram of plant is an option of its own (Pindyck 1988) and
the value scales with demand. Let y be the plant in place at t + L, counted before later orders, per unit of D_t.
In dollars of year t, one more kilogram of it is worth

    F'_t(y) = d^L·[η·a·P(D_{t+L} > η·y·D_t) − h] + d·κ·E[u_{t+1}(κ·y/G)],      u_t(y) = min(p, F'_t(y)),

with d = 1/(1 + r), κ = 1 − δ, G = D_{t+1}/D_t and p = d^L·c_I. F'_t falls in y, so the optimal order at t raises y to
k*_t, where F'_t(k*_t) = p (0 if F'_t(0) ≤ p): with more plant the kilogram waits. Orders are placed at t ≤ T − L.

``u_{t+1}`` is p up to k*_{t+1} and F'_{t+1} beyond, an analytic function that is tabulated at Gauss–Legendre nodes of
panels in log y; where no demand decides any more it is constant. The expectation over lognormal G is then a sum over
the nodes near log κ·y and two normal tails (Nyström's method): its error falls exponentially with the order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

from scenario_trees.arrays import Array
from stochisru.lunar.exact.unit_value import NEGLIGIBLE, TAIL, UnitValue

#: Nodes at which a stage is tabulated at most; small volatility on a long horizon needs many.
MAX_NODES = 200_000
#: Entries of a kernel matrix held at once.
_CHUNK = 1_000_000


@cache
def _legendre(order: int) -> tuple[Array, Array]:
    return np.polynomial.legendre.leggauss(order)


@dataclass(frozen=True)
class Rule:
    """Gauss–Legendre rule per panel: its order, and the width of a panel in standard deviations of log G."""

    order: int
    width: float

    def nodes(self, breaks: Sequence[float], volatility: float) -> tuple[Array, Array]:
        """Nodes and weights on the panels between ascending ``breaks``."""
        x, w = _legendre(self.order)
        parts = [np.empty((2, 0))]
        for start, stop in pairwise(breaks):
            panels = max(1, int(np.ceil((stop - start) / (self.width * volatility))))
            edges = np.linspace(start, stop, panels + 1)
            half = 0.5 * np.diff(edges)[:, None]
            parts.append(np.stack([(edges[:-1, None] + half * (1 + x)).ravel(), (half * w).ravel()]))
        points, weights = np.concatenate(parts, axis=1)
        return points, weights


FINE, COARSE = Rule(16, 1.5), Rule(10, 1.5)


def fits(unit: UnitValue, lead_time: int, rule: Rule = FINE) -> bool:
    """Whether a stage needs at most `MAX_NODES` nodes: panels are as narrow as the volatility, their range is not."""
    low, high = unit.reach(lead_time, unit.years)
    return rule.order * (high - low) <= MAX_NODES * rule.width * unit.process.volatility


@dataclass(frozen=True, eq=False)
class RecursionStage:
    """u_t as a table: constant up to ``start``, ``values`` at ``nodes`` of log y, constant from ``stop`` on.

    Attributes
    ----------
    log_position
        log k*_t, −inf for never.
    before
        u_t below the position: p, or F'_t(0) where nothing is ordered.
    after
        F'_t beyond the last node.
    option
        U_t(0): worth of all later orders to someone without plants, $ of year t per unit of D_t.
    """

    log_position: float
    option: float
    start: float
    stop: float
    before: float
    after: float
    nodes: Array
    weights: Array
    values: Array


def _of_lognormal(stage: RecursionStage, centre: Array, sd: float) -> Array:
    """E[u(x/G)] for a tabulated u and lognormal G: ``centre`` is log x less the mean of log G."""
    from scipy.special import ndtr

    out = stage.before * ndtr((stage.start - centre) / sd)
    out += stage.after * ndtr((centre - stage.stop) / sd)
    if stage.nodes.size == 0:
        return np.asarray(out)
    first = np.searchsorted(stage.nodes, centre - TAIL * sd)
    count = np.searchsorted(stage.nodes, centre + TAIL * sd) - first
    span = np.arange(int(count.max(initial=0)))
    weighted = stage.weights * stage.values / (sd * np.sqrt(2 * np.pi))
    rows = max(1, _CHUNK // max(1, span.size))
    for i in range(0, centre.size, rows):
        part = slice(i, i + rows)
        index = np.minimum(first[part, None] + span, stage.nodes.size - 1)
        distance = (stage.nodes[index] - centre[part, None]) / sd
        kernel = np.where(span < count[part, None], np.exp(-0.5 * distance**2), 0.0)
        out[part] += np.einsum("ij,ij->i", kernel, weighted[index])
    return np.asarray(out)


class ThresholdRecursion:
    """Thresholds and value function of the exact policy, for volatility > 0.

    Parameters
    ----------
    unit
        Unit values of the case.
    lead_time
        L ≤ T.
    rule
        Quadrature; `fits` says whether its tables are of a reasonable size.
    """

    def __init__(self, unit: UnitValue, lead_time: int, rule: Rule = FINE) -> None:
        self.unit, self.lead_time, self.rule = unit, lead_time, rule
        self.last = unit.years - lead_time
        self.price = unit.discount**lead_time * unit.price
        self._sigma = unit.process.volatility  # of a year without jumps, the least of all years
        self.stages: dict[int, RecursionStage] = {}
        for t in range(self._from_year, 0, -1):
            self.stages[t] = self._solve(t)

    @property
    def _from_year(self) -> int:
        """Last year that is solved here."""
        return self.last

    def _reach(self, t: int) -> tuple[float, float]:
        return self.unit.reach(self.lead_time, self.unit.years - t)

    def _breaks(self, start: float, stop: float) -> list[float]:
        """Ends of an interval of log y, and the point between them where F' jumps (no lead time: D_t is known)."""
        jumps = self.unit.jumps if self.lead_time == 0 else ()
        return [start, *(jump for jump in jumps if start < jump < stop), stop]

    # What may move with the year is asked for here; an order of year t arrives in year t + L.

    def _price(self, t: int) -> float:
        """p_t, $ of year t per kg."""
        return self.price

    def _kept(self, t: int) -> float:
        """κ of plant in place in year t + L, a year later."""
        return self.unit.kept

    def _now(self, t: int, log_ratio: Array) -> Array:
        """Expected profit of year t + L, $ of year t per kg."""
        return np.asarray(self.unit.discount**self.lead_time * self.unit.next_year(self.lead_time, log_ratio))

    def _full(self, t: int) -> float:
        """The same of a kilogram that is used as long as there is demand."""
        used = self.unit.alive(self.lead_time) * self.unit.eta * self.unit.worth
        return self.unit.discount**self.lead_time * (used - self.unit.holding)

    def _idle(self, t: int) -> float:
        """The same of one that is never used."""
        return -(self.unit.discount**self.lead_time) * self.unit.holding

    def log_position(self, t: int) -> float:
        """Logarithm of k*_t, −inf for never."""
        return self.stages[t].log_position

    def _at_zero(self, t: int) -> float:
        if t == self.last:
            return self._full(t)
        alive = self.unit.alive(1, t)
        later = alive * self.end(t + 1, "before") + (1 - alive) * self.end(t + 1, "after")
        return self._full(t) + self.unit.discount * self._kept(t) * later

    def option(self, t: int) -> float:
        """Worth at t of all orders after t to someone without plants, $ of year t per unit of D_t."""
        growth = float(self.unit.process.log_growth(1, t).moment()[0])
        return self.unit.discount * growth * self.end(t + 1, "option") if t < self.last else 0.0

    def end(self, t: int, which: str) -> float:
        """``before``, ``after`` or ``option`` of a stage."""
        return float(getattr(self.stages[t], which))

    def later(self, t: int, log_ratio: Array) -> Array:
        """E[u_t(κ·y/G)] at log y of the year before."""
        return self._expected(t, log_ratio + np.log(self._kept(t - 1)))

    def marginal(self, t: int, log_ratio: ArrayLike) -> Array:
        """F'_t at log y, $ of year t per kg; any shape."""
        at = np.asarray(log_ratio, dtype=float)
        flat = at.ravel()
        value = self._now(t, flat)
        if t < self.last:
            value = value + self.unit.discount * self._kept(t) * self.later(t + 1, flat)
        return np.asarray(value.reshape(at.shape))

    def _expected(self, t: int, log_ratio: Array) -> Array:
        """E[u_t(x/G)] at log x, G being the growth from the year before."""
        stage = self.stages[t]
        total, law = np.zeros(log_ratio.shape), self.unit.process.log_growth(1, t - 1)
        for weight, mean, sd in zip(law.weight[0], law.log_mean[0], law.log_sd[0], strict=True):
            if np.isneginf(mean):  # demand has ended: plant is never used again
                total += weight * stage.after
            elif weight > NEGLIGIBLE:
                total += weight * _of_lognormal(stage, log_ratio - mean, float(sd))
        return total

    def integral(self, t: int, log_ratio: float) -> float:
        """∫ F'_t from 0 to y, $ of year t per unit of D_t."""
        low = self._reach(t)[0]
        if log_ratio <= low:
            return self._at_zero(t) * float(np.exp(log_ratio))
        nodes, weights = self.rule.nodes(self._breaks(low, log_ratio), self._sigma)
        inside = float(self.marginal(t, nodes) @ (weights * np.exp(nodes)))
        return self._at_zero(t) * float(np.exp(low)) + inside

    def _solve(self, t: int) -> RecursionStage:
        from scipy.optimize import brentq

        low, high = self._reach(t)
        at_zero, price = self._at_zero(t), self._price(t)

        def excess(s: float) -> float:
            return float(self.marginal(t, s)) - price

        option = self.option(t)
        if at_zero <= price or excess(low) <= 0:
            log_position, start = -np.inf, low
        else:
            # Free plants that cost nothing to hold are worth something as long as any demand may meet them.
            log_position = start = (
                high if excess(high) > 0 else float(brentq(excess, low, high, xtol=1e-14, rtol=1e-14))
            )
            option += self.integral(t, log_position) - price * float(np.exp(log_position))
        nodes, weights = self.rule.nodes(self._breaks(start, high), self._sigma)
        later = self.unit.discount * self._kept(t) * self.end(t + 1, "after") if t < self.last else 0.0
        return RecursionStage(
            log_position=log_position,
            option=option,
            start=start,
            stop=high,
            before=min(price, at_zero),
            after=self._idle(t) + later,
            nodes=nodes,
            weights=weights,
            values=self.marginal(t, nodes),
        )
