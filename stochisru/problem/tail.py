"""Risk of the total of a scenario: mean and CVaR of discounted money at the end of the horizon.

With worth W_s of scenario s (more is better, whatever the model's sense) and λ, α the program maximises

    (1 − λ)·E[W] + λ·max_v { v − E[(v − W)⁺] / α },

the second part being the mean of the worst share α (Rockafellar and Uryasev 2000). v is a column at the root, and W is
summed up year by year where it is known. The plan is a commitment: it is not what would be chosen again later.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scenario_trees.arrays import Array, Index
from stochisru.errors import InputError, require_number
from stochisru.problem.coefficients import Number
from stochisru.problem.places import Places

if TYPE_CHECKING:
    from stochisru.problem.bounds import ColumnBounds
    from stochisru.problem.sheet import Linear, Sheet
    from stochisru.programs.sparse import Block, ProgramBuilder


@dataclass(frozen=True)
class TailOfTotal:
    """Mean-CVaR of the discounted total of a scenario.

    Attributes
    ----------
    weight
        λ in [0, 1] of the tail; 0 is the expectation.
    tail
        α in (0, 1]: share of the scenarios, the worst, of which the mean is taken.
    """

    weight: float
    tail: float

    def __post_init__(self) -> None:
        if require_number("risk.weight", self.weight, low=0.0) > 1:
            raise InputError(f"risk.weight: must lie in [0, 1], got {self.weight!r}")
        if require_number("risk.tail", self.tail, low=0.0, strict=True) > 1:
            raise InputError(f"risk.tail: must lie in (0, 1], got {self.tail!r}")

    def worth(self, probability: Array, value: Array) -> float:
        """Mean-CVaR of outcomes, more being better."""
        order = np.argsort(value)
        p, v = probability[order], value[order]
        share = np.clip(self.tail - (np.cumsum(p) - p), 0.0, p)
        return float((1 - self.weight) * (p @ v) + self.weight * (share @ v) / self.tail)


@dataclass(eq=False)
class TailRows:
    """The columns and rows by which a tree program knows the tail."""

    sheet: Sheet
    builder: ProgramBuilder
    blocks: Mapping[str, Block]
    bounds: Mapping[str, ColumnBounds]

    def add(self, risk: TailOfTotal) -> None:
        """Add them, and their part of the objective.

        Raises
        ------
        InputError
            If a cost is not in proportion to the amount.
        """
        sheet, sign = self.sheet, self.sheet.model.sign
        for part in sheet.model.decisions:
            if part.curve is not None or np.any(part.fixed_cost):
                raise InputError(f"{part.label}: the risk of a total takes no curve and no fixed cost")
        gains = self._gains()
        places = Places(sheet.ancestry, sheet.model.years, self._stages(gains))
        least, most = self._ends(gains, places)
        total = self.builder.variables("total", places.count, lower=least, upper=most)
        self._sum_up(gains, places, total)
        last = places.at(sheet.model.horizon)
        outcomes = np.arange(last.start, last.stop)
        probability = sheet.ancestry.probability(places.stage(sheet.model.horizon))
        low, high = float(least[last].min()), float(most[last].max())
        var = self.builder.variables("value_at_risk", 1, lower=low, upper=high, objective=sign * risk.weight)
        short = self.builder.variables(
            "shortfall",
            outcomes.size,
            lower=0.0,
            upper=high - low,
            objective=-sign * risk.weight / risk.tail * probability,
        )
        every = np.arange(outcomes.size)
        self.builder.rows(
            "shortfall_is",
            np.zeros(outcomes.size),
            np.inf,
            (every, short.index, 1.0),
            (every, total.start + outcomes, 1.0),
            (every, np.full(outcomes.size, var.start), -1.0),
        )

    def _gains(self) -> list[Linear]:
        """Discounted worth of a year, as coefficients of columns."""
        worth = self.sheet.worth
        return [
            {name: numbers[t] for name, numbers in worth.items() if np.any(numbers[t] != 0)}
            for t in self.sheet.model.years
        ]

    def _stages(self, gains: list[Linear]) -> list[int]:
        """Stage at which the total so far is known, by year."""
        found: list[int] = []
        for t, terms in enumerate(gains):
            known = [t if isinstance(number, np.ndarray) else 0 for number in terms.values()]
            placed = [self.sheet.places[name].stage(t) for name in terms]
            found.append(max(found[-1] if found else 0, *known, *placed, 0))
        return found

    def _ends(self, gains: list[Linear], places: Places) -> tuple[Array, Array]:
        """Least and most that the total so far can be, at its places."""
        ancestry = self.sheet.ancestry
        least, most = np.zeros((2, places.count))
        for t, terms in enumerate(gains):
            here, stage = places.at(t), places.stage(t)
            if t:
                before = places.at(t - 1)
                for side in (least, most):
                    side[here] = ancestry.seen(side[before], places.stage(t - 1), stage)
            for name, number in terms.items():
                at = self.sheet.places[name].seen_from(t, stage)
                factor: Number = ancestry.seen(number, t, stage) if isinstance(number, np.ndarray) else number
                ends = [factor * side[at] for side in (self.bounds[name].lower, self.bounds[name].upper)]
                least[here] += np.minimum(*ends)
                most[here] += np.maximum(*ends)
        return least, most

    def _sum_up(self, gains: list[Linear], places: Places, total: Block) -> None:
        """total_t = total_{t−1} + Σ worth·x."""
        rows: list[Index] = [np.arange(places.count)]
        columns: list[Index] = [total.index]
        numbers: list[Array] = [np.ones(places.count)]

        def entry(row: Index, column: Index, number: Number) -> None:
            rows.append(row)
            columns.append(column)
            numbers.append(np.broadcast_to(number, row.shape))

        for t, terms in enumerate(gains):
            here, stage = places.at(t), places.stage(t)
            row = np.arange(here.start, here.stop)
            if t:
                entry(row, places.seen_from(t - 1, stage, total.start), -1.0)
            for name, number in terms.items():
                column = self.sheet.places[name].seen_from(t, stage, self.blocks[name].start)
                factor = self.sheet.ancestry.seen(number, t, stage) if isinstance(number, np.ndarray) else number
                entry(row, column, -factor)
        entries = np.concatenate(rows), np.concatenate(columns), np.concatenate(numbers)
        self.builder.rows("total_is", np.zeros(places.count), 0.0, entries)
