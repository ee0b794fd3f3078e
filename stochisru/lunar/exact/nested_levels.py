"""Levels of plant on a Markov lattice under a nested risk measure.

Under a nested measure ρ the levels of `stochisru.lunar.exact.levels` need not hold an optimum: what is worth least
changes between bends of profit. Where plants come in modules all numbers of modules are tried, else levels that are
given, which hold the best policy on them. A year's profit counts
in the year and state in which it is made, so with lead time L ≤ 1 and discounted money

    V_t(i, y) = profit_t(i, y) + max_{y' ≥ y} −cost_{t+1}(y, y') + ρ(V_{t+1}(·, y') | i)      (L = 1),
    V_t(i, y) = max_{y' ≥ y} −cost_t(y, y') + profit_t(i, y') + ρ(V_{t+1}(·, y') | i)      (L = 0).

No plan has more modules than serve the largest demand to come: on every path a further one earns nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from scenario_trees.arrays import Array, Index
from scenario_trees.lattice import MarkovLattice
from stochisru.errors import InputError
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.exact.lattice_levels import LatticeLevels, LevelChoices
from stochisru.lunar.exact.levels import MOST_LEVELS, levels_of, why_no_exact_levels
from stochisru.methods.risk import Nested
from stochisru.protocols import RiskMeasure


def why_no_nested_levels(case: DeploymentCase) -> str | None:
    """Why the dynamic programme takes no risk measure for a case, in one sentence, or None where it does."""
    if not case.is_linear and case.launch.lot is None:
        return "launch.lot: a nested risk measure takes costs that are linear, or plants in modules"
    if not case.is_linear:
        reason = why_no_exact_levels(case)
        if reason is not None:
            return reason
    if case.horizon.lead_time > 1:
        return f"lead_time: must be at most 1 for a nested risk measure on levels, got {case.horizon.lead_time}"
    return None


def modules_of(case: DeploymentCase, lattice: MarkovLattice) -> Array | None:
    """All numbers of modules, as kg of plant, ascending; None where plants come in any mass.

    Raises
    ------
    InputError
        If there are more than `MOST_LEVELS`.
    """
    lot = case.launch.lot
    if lot is None:
        return None
    most = round((float(levels_of(case, lattice.values)[-1]) - case.technology.M0) / lot)
    if most > MOST_LEVELS:
        raise InputError(
            f"launch.lot: {most:,} modules serve the largest demand, {MOST_LEVELS:,} are the most for a risk measure"
        )
    return np.asarray(case.technology.M0 + lot * np.arange(most + 1))


@dataclass(frozen=True, eq=False)
class NestedLevels(LatticeLevels):
    """The multistage problem of a case with L ≤ 1 on a lattice and given levels, under a nested measure.

    Attributes
    ----------
    given
        Levels of plant, kg of year 0, ascending; the first is the plant in place.
    """

    risk: RiskMeasure = field(kw_only=True)
    given: Array = field(kw_only=True)

    @property
    def levels(self) -> Array:  # those of the expectation are computed
        """The levels."""
        return self.given

    @cached_property
    def _nested(self) -> Nested:
        return Nested(self.risk, self.lattice)

    def _ahead(self, t: int, worth: Array) -> Array:
        """Risk-adjusted worth of stage t + 1 by state of stage t and level."""
        return np.stack([self._nested.worth(t, column) for column in worth.T], axis=1)

    def optimum(self) -> tuple[float, LevelChoices]:
        """Optimal risk-adjusted value, $ (maximised), and policy."""
        return self._backward(None)

    def value(self, rule: LevelChoices) -> float:
        """Risk-adjusted value of a policy, $."""
        return self._backward(rule)[0]

    def _backward(self, rule: LevelChoices | None) -> tuple[float, LevelChoices]:
        """The recursion with the best choices, or those of a rule."""
        T, lead = self._last, self._lead
        root: list[Index] = []
        tables: list[Index] = []
        worth = self._profit[T] if lead else np.zeros((self.lattice.sizes[T], self.levels.size))
        for t in range(T - lead, -1, -1):
            total = self._profit[t] + (self._ahead(t, worth) if t < T else 0.0) if not lead else self._ahead(t, worth)
            given = None if rule is None or t == 0 else rule.choice[t - 1]
            worth, table = self._stepped(total, t + lead, given, rule if t == 0 else None)
            worth = worth + self._profit[t] if lead else worth
            (tables if t else root).append(table)
        if lead:
            worth, table = self._stepped(worth, 0, None, rule)
            root.append(table)
        at, chosen = 0, []
        for table in reversed(root):
            at = int(table[0, at])
            chosen.append(at)
        return float(worth[0, 0]), LevelChoices(np.array(chosen), tuple(reversed(tables)))

    def _stepped(self, total: Array, year: int, given: Index | None, rule: LevelChoices | None) -> tuple[Array, Index]:
        """Worth before the step of a year and the level to go to: the best, a given table, or that of the root."""
        if rule is not None:
            given = np.full((1, self.levels.size), rule.root[year])
        if given is None:
            return self._raised(total, year)
        steps = self._steps(year)
        before = np.arange(self.levels.size)[None, :]
        kept = np.maximum(given, before)
        return np.take_along_axis(total, kept, axis=1) - steps[before, kept], kept
