"""Derivative-free search for the best parameters of a rule.

Differential evolution (Storn and Price 1997) over the whole box, then Nelder and Mead's simplex (1965) from its best
point. A search is remembered by its evaluations. Run again, it asks for the same rules in the same order and finds the
answers, so a resumed search is the search that was never interrupted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from scenario_trees.arrays import Array
from stochisru.studies.store import Evaluator

#: Rules per parameter in a generation.
_POPULATION = 8
#: Digits of a parameter while searching, and of the rule that is found: whole per cent, as its sentence says.
_DIGITS, _FINAL_DIGITS = 4, 2
#: Most evaluations per parameter of the simplex.
_SIMPLEX = 60


def most_evaluations(parameters: int, generations: int) -> int:
    """Most rules that a search may try."""
    return parameters * (_POPULATION * (generations + 1) + _SIMPLEX)


class RuleSearch:
    """Search in the unit cube of the ranges; every rule asked for is evaluated once."""

    def __init__(self, evaluator: Evaluator, ranges: Mapping[str, tuple[float, float]]) -> None:
        self.evaluator, self.names = evaluator, list(ranges)
        self.low, self.high = np.array(list(ranges.values())).T
        self.seen: dict[tuple[float, ...], float] = {}

    def _values(self, unit: Array, digits: int) -> tuple[float, ...]:
        value = np.round(self.low + np.clip(unit, 0, 1) * (self.high - self.low), digits)
        return tuple(float(x) for x in np.clip(value, self.low, self.high))

    def losses(self, units: Array) -> Array:
        """−objective of the columns of ``units``, shape ``(parameters, rules)``."""
        rules = [self._values(column, _DIGITS) for column in np.asarray(units).T]
        return -np.array(self._objectives(rules))

    def _loss(self, unit: Array) -> float:
        return float(self.losses(unit[:, None])[0])

    def _objectives(self, rules: list[tuple[float, ...]]) -> list[float]:
        new = [r for r in dict.fromkeys(rules) if r not in self.seen]
        points = [dict(zip(self.names, r, strict=True)) for r in new]
        for rule, (row,) in zip(new, self.evaluator.rows(points), strict=True):
            self.seen[rule] = row["objective"]
        return [self.seen[r] for r in rules]

    @property
    def _best(self) -> tuple[float, ...]:
        return max(self.seen, key=lambda rule: self.seen[rule])

    def evolve(self, seed: int, generations: int) -> None:
        """Differential evolution."""
        from scipy.optimize import Bounds, differential_evolution

        losses: Any = self.losses  # scipy's stubs ask for more arguments than are passed
        differential_evolution(
            losses,
            Bounds(np.zeros(len(self.names)), np.ones(len(self.names))),
            popsize=_POPULATION,
            maxiter=generations,
            tol=1e-4,
            rng=np.random.default_rng(np.random.SeedSequence(seed)),
            polish=False,
            init="latinhypercube",
            updating="deferred",
            vectorized=True,
        )

    def polish(self) -> None:
        """Nelder and Mead's simplex from the best rule so far."""
        from scipy.optimize import Bounds, minimize

        start = (np.array(self._best) - self.low) / (self.high - self.low)
        steps = np.where(start < 0.95, 0.05, -0.05)
        options: Any = {
            "initial_simplex": np.vstack([start, start + np.diag(steps)]),
            "xatol": 1e-3,
            "fatol": 1e-6 * abs(self.seen[self._best]),
            "maxfev": _SIMPLEX * len(self.names),
        }
        cube = Bounds(np.zeros(start.size), np.ones(start.size))
        loss: Any = self._loss
        minimize(loss, start, method="Nelder-Mead", bounds=cube, options=options)

    def rounded(self) -> dict[str, float]:
        """Best rule, rounded to whole per cent (where the range allows), by name."""
        value = np.clip(np.round(self._best, _FINAL_DIGITS), self.low, self.high)
        return dict(zip(self.names, map(float, value), strict=True))
