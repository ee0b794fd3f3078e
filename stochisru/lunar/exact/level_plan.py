"""A plan on a Markov lattice under economies of scale: root deployments, then levels by state and level before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scenario_trees.arrays import Array
from stochisru.errors import InputError
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.exact.lattice_levels import LatticeLevels, LevelChoices
from stochisru.lunar.exact.levels import shrinkage
from stochisru.lunar.orders import RootOrders
from stochisru.shown import PlanShown

if TYPE_CHECKING:
    import pandas as pd

    from scenario_trees.lattice import MarkovLattice
    from stochisru.lunar.strategies.protocol import Strategy


@dataclass(frozen=True, eq=False, repr=False)
class LevelPlan(RootOrders, PlanShown):
    """Raise plant to a level that depends on year, state and the plant there is."""

    problem: LatticeLevels
    rule: LevelChoices

    @property
    def case(self) -> DeploymentCase:
        """The problem."""
        return self.problem.case

    @property
    def lattice(self) -> MarkovLattice:
        """Its lattice."""
        return self.problem.lattice

    @property
    def root(self) -> Array:
        """ΔM_0..ΔM_min(L, T), kg."""
        level = self.problem.levels[np.concatenate([[0], self.rule.root])]
        return np.asarray(shrinkage(self.case)[: self.rule.root.size] * np.diff(level))

    @property
    def size(self) -> dict[str, int]:
        """States of the lattice, in all and per stage at most, and levels of plant."""
        sizes = self.lattice.sizes
        return {"states": sum(sizes), "states_per_stage": max(sizes), "levels": self.problem.levels.size}

    @property
    def details(self) -> dict[str, Any]:
        """Process that the lattice was made from, None for one's own numbers; the table has the rest."""
        return {"origin": self.lattice.origin}

    def to_frame(self) -> pd.DataFrame:
        """One row per state and level before in which plant is ordered.

        Returns
        -------
        pandas.DataFrame
            ``stage``, ``state``, ``demand`` (kg/yr), ``plant`` (kg in year ``stage`` + L without the order) and
            ``level`` (kg, with it).
        """
        import pandas as pd

        levels, parts = self.problem.levels, []
        for t, choice in enumerate(self.rule.choice, start=1):
            state, before = np.nonzero(choice > np.arange(levels.size))
            scale = shrinkage(self.case)[t + self.case.horizon.lead_time]
            parts.append(
                pd.DataFrame(
                    {
                        "stage": t,
                        "state": state,
                        "demand": self.lattice.values[t][state],
                        "plant": scale * levels[before],
                        "level": scale * levels[choice[state, before]],
                    }
                )
            )
        columns = ["stage", "state", "demand", "plant", "level"]
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)

    def policy(self, name: str, mapping: str | None = None) -> Strategy:
        """The plan as a strategy on any path; see `stochisru.lunar.strategies.level_policy`."""
        from stochisru.lunar.strategies.level_policy import LevelPolicy

        if mapping is not None:
            raise InputError(f"mapping: plans on a lattice take none, got {mapping!r}")
        return LevelPolicy(plan=self, name=name)
