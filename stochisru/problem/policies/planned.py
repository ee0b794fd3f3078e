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
        Amounts in the year of effect by name of the decision, each of shape ``(T + 1,)``; where operations are carried
        over (`stochisru.problem.Model.stores`), also the level of each store that is to be left at the end of the year.
    """

    plan: Mapping[str, ArrayLike] = field(default_factory=dict)
    name: str = "planned"

    def decide(self, seen: Seen) -> dict[str, Array]:
        """Amounts of the years that are due, and levels of stores."""
        stores = {state.name: (seen.year,) for state in seen.model.stores if state.name in self.plan}
        decided = {name: amounts for name, amounts in self.plan.items() if name not in stores}
        Held(decided).require_of(seen.model.decisions, seen.model.name)
        found = {}
        for name, years in {**seen.due, **stores}.items():
            amounts = np.asarray(self.plan.get(name, ()), dtype=float)
            if amounts.shape != (seen.model.horizon + 1,):
                raise InputError(
                    f"policy {self.name}: needs amounts of {name!r}, one per year 0..{seen.model.horizon}, "
                    f"got shape {amounts.shape}"
                )
            found[name] = np.repeat(amounts[list(years), None], seen.paths, axis=1)
        return found

    def describe(self) -> str:
        """The rule as one sentence."""
        return f"Do as planned in year 0, whatever happens: {', '.join(self.plan)}."
