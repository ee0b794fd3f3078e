"""The exact policy where the yield of the deposit, a multiple of η, is one of several, until it is seen or for good.

Nothing changes in the recursion but what a kilogram is expected to earn: the mean over yields of its profit. So plans
are exact for who never learns the yield. Where it is seen in year R, the years before take the mean over yields of what
the exact policies of each are worth from then on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from scenario_trees.arrays import Array
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.exact.layers import allowed_years
from stochisru.lunar.exact.root_plan import LastYear, Tail, best_root_plan, plan_gain
from stochisru.lunar.exact.threshold import Continuation
from stochisru.lunar.exact.threshold_recursion import COARSE, Rule, ThresholdRecursion
from stochisru.lunar.exact.unit_value import UnitValue


@dataclass(frozen=True)
class PooledUnit(UnitValue):
    """Unit values in the mean over yields; ``eta`` and ``holding`` are means, profits are means of profits."""

    parts: tuple[UnitValue, ...] = ()
    weights: tuple[float, ...] = ()

    @classmethod
    def over(cls, parts: Sequence[UnitValue], weights: ArrayLike) -> PooledUnit:
        """The mean of some."""
        share = np.asarray(weights, dtype=float)
        first = vars(parts[0]) | {
            name: float(share @ np.array([getattr(part, name) for part in parts])) for name in ("eta", "holding")
        }
        return cls(**first, parts=tuple(parts), weights=tuple(share.tolist()))

    def margin(self, year: ArrayLike, layer: ArrayLike) -> Array:
        """Expected profit in a year of the layer at ``layer`` kg."""
        return sum((w * p.margin(year, layer) for w, p in self._likely), start=np.zeros(()))

    def earned(self, year: ArrayLike, plant: ArrayLike) -> Array:
        """Expected profit in a year of all layers up to ``plant`` kg."""
        return sum((w * p.earned(year, plant) for w, p in self._likely), start=np.zeros(()))

    def next_year(self, lead: int, log_ratio: Array) -> Array:
        """Expected profit in the year ``lead`` ahead of a kilogram."""
        return sum((w * p.next_year(lead, log_ratio) for w, p in self._likely), start=np.zeros(()))

    def reach(self, first: int, last: int) -> tuple[float, float]:
        """Logarithms of plant over demand between which demand decides, of any yield."""
        ends = [part.reach(first, last) for part in self.parts]
        return min(low for low, _ in ends), max(high for _, high in ends)

    @property
    def jumps(self) -> tuple[float, ...]:
        """Where profit of the present year jumps, of each yield."""
        return tuple(sorted(jump for part in self.parts for jump in part.jumps))

    @property
    def _likely(self) -> list[tuple[float, UnitValue]]:
        return [(w, p) for w, p in zip(self.weights, self.parts, strict=True) if w > 1e-14]


class SeenLater(ThresholdRecursion):
    """The recursion where the yield is seen in year ``seen`` ≥ 1, before that year's orders.

    Parameters
    ----------
    unit
        The mean over yields.
    known
        Exact recursions of each yield.
    """

    def __init__(
        self, unit: PooledUnit, lead_time: int, known: Sequence[ThresholdRecursion], seen: int, rule: Rule
    ) -> None:
        self._known = [(w, r) for w, r in zip(unit.weights, known, strict=True) if w > 1e-14]
        self._seen = seen
        super().__init__(unit, lead_time, rule)

    @property
    def _from_year(self) -> int:
        return min(self._seen - 1, self.last)

    def end(self, t: int, which: str) -> float:
        """Of a stage that sees the yield, the mean over yields."""
        if t < self._seen:
            return super().end(t, which)
        return float(sum(w * r.end(t, which) for w, r in self._known))

    def later(self, t: int, log_ratio: Array) -> Array:
        """E[u_t(κ·y/G)], from the year in which the yield is seen in the mean over yields."""
        if t < self._seen:
            return super().later(t, log_ratio)
        return np.asarray(sum(w * r.later(t, log_ratio) for w, r in self._known))


class UnknownYield:
    """Values of a case whose yield is one of several.

    Parameters
    ----------
    case
        Linear costs, no limit on supply from Earth, a geometric Brownian motion.
    yields
        Multiples of η.
    """

    def __init__(self, case: DeploymentCase, yields: Array, rule: Rule = COARSE) -> None:
        self.case, self.rule = case, rule
        self.units = [UnitValue.of(case.replace(eta=case.technology.eta * float(y))) for y in yields]
        lead = case.horizon.lead_time
        self.known = [ThresholdRecursion(unit, lead, rule) if lead <= unit.years else None for unit in self.units]

    def value_known(self) -> Array:
        """RP of each yield, known from the start, $."""
        return np.array([self._value(u, r, 0.0)[0] for u, r in zip(self.units, self.known, strict=True)])

    def never_seen(self, weights: Array, *, nothing_now: bool = False) -> tuple[float, Array]:
        """Best value for who never learns the yield, $, and what is committed at the root, kg.

        ``nothing_now`` deploys nothing in year 0.
        """
        unit = PooledUnit.over(self.units, weights)
        lead = self.case.horizon.lead_time
        recursion = ThresholdRecursion(unit, lead, self.rule) if lead <= unit.years else None
        return self._value(unit, recursion, 0.0, nothing_now)

    def with_pilot(self, weights: Array, pilot: float, seen: int) -> tuple[float, Array]:
        """Best value with a deployment of ``pilot`` kg or more in year 0, which shows the yield in year ``seen``."""
        unit = PooledUnit.over(self.units, weights)
        known = [r for r in self.known if r is not None]
        lead = self.case.horizon.lead_time
        return self._value(unit, SeenLater(unit, lead, known, seen, self.rule) if known else None, pilot)

    def _value(
        self, unit: UnitValue, recursion: ThresholdRecursion | None, pilot: float, nothing_now: bool = False
    ) -> tuple[float, Array]:
        tail: Tail = LastYear(unit)
        existing, later = self.case.technology.M0, 0.0
        if recursion is not None:
            tail = Continuation(unit, self.case.horizon.lead_time, recursion)
            later = unit.process.initial * recursion.option(0)
        years = min(self.case.horizon.lead_time, self.case.horizon.T) + 1
        allowed = allowed_years(self.case)[:years]
        if nothing_now:
            allowed[0] = False
        root = best_root_plan(unit, allowed, existing + pilot, tail)
        root[0] += pilot
        return plan_gain(unit, root, existing, tail) + later - unit.without_plants(), root
