"""Decisions that are fixed in advance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from scenario_trees.arrays import Array
from stochisru.errors import InputError
from stochisru.problem.information import Held
from stochisru.problem.policies.protocol import Seen


@dataclass(frozen=True)
class Planned:
    """A table of amounts by decision, whatever happens.

    Attributes
    ----------
    plan
        Amounts in the year of effect by name of the decision, each of shape ``(T + 1,)``.
    """

    plan: Mapping[str, ArrayLike] = field(default_factory=dict)
    name: str = "planned"

    def decide(self, seen: Seen) -> dict[str, Array]:
        """Amounts of the years that are due."""
        Held(self.plan).require_of(seen.model.decisions, seen.model.name)
        found = {}
        for decision, years in seen.due.items():
            amounts = np.asarray(self.plan.get(decision, ()), dtype=float)
            if amounts.shape != (seen.model.horizon + 1,):
                raise InputError(
                    f"policy {self.name}: needs amounts of {decision!r}, one per year 0..{seen.model.horizon}, "
                    f"got shape {amounts.shape}"
                )
            found[decision] = np.repeat(amounts[list(years), None], seen.paths, axis=1)
        return found

    def describe(self) -> str:
        """The rule as one sentence."""
        return f"Do as planned in year 0, whatever happens: {', '.join(self.plan)}."
