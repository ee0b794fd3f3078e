"""Cuts in which the factor is a state as a policy: the year's program at the growth that is seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scenario_trees.arrays import Array, Index
from scenario_trees.lattice import MarkovLattice
from stochisru.problem.policies.by_cuts import ByCuts, with_states_of
from stochisru.problem.policies.protocol import Seen


@dataclass(frozen=True, eq=False)
class ByGrowth(ByCuts):
    """Cuts of programs whose factor is a state and grows by independent factors; see `stochisru.methods.jensen`.

    No state of a lattice stands for the factor that is seen: the cuts know it.

    Attributes
    ----------
    level
        Name of the state that is the factor.
    """

    level: str = "demand_level"

    def _lattice(self, seen: Seen) -> tuple[MarkovLattice, Index]:
        lattice, t = self.plan.programs.lattice, seen.year
        (factor,) = seen.factors.values()
        before = np.vstack([factor[:1], factor[:-1]])
        growth = np.where(before > 0, factor / np.where(before > 0, before, 1.0), 1.0)
        states = lattice.values[t]
        state = np.searchsorted((states[1:] + states[:-1]) / 2, growth[t])
        values = list(lattice.values)
        for s in range(t):  # bounds of the factor hold for what was seen
            if values[s].size > 1:
                ends = min(values[s][0], growth[s].min()), max(values[s][-1], growth[s].max())
                values[s] = np.concatenate([[ends[0]], values[s][1:-1], [ends[1]]])
        return with_states_of(lattice, t, growth[t][:, None], state, values), state

    def _amount(self, seen: Seen, name: str, year: int) -> Array:
        if name != self.level:
            return super()._amount(seen, name, year)
        (factor,) = seen.factors.values()
        return np.asarray(factor[year])

    def describe(self) -> str:
        """The rule as one sentence."""
        return (
            f"Every year do what is best for its cash and the {self.plan.size['cuts']:,} cuts that know "
            "what is in place, what is ordered, and the factor."
        )
