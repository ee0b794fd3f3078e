"""A plan on a Markov lattice: deployments at the root, then an order-up-to level in every state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scenario_trees.arrays import Array
from scenario_trees.lattice import MarkovLattice
from stochisru.errors import InputError
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.orders import RootOrders
from stochisru.shown import PlanShown

if TYPE_CHECKING:
    import pandas as pd

    from stochisru.lunar.strategies.protocol import Strategy


@dataclass(frozen=True, eq=False, repr=False)
class LatticePlan(RootOrders, PlanShown):
    """Order up to a level that depends on year and state.

    Attributes
    ----------
    root
        ΔM_0..ΔM_min(L, T), kg.
    levels
        Plant to have in place in year t + L, kg, per state of stage t, for t = 1..T−L: the order of year t is what is
        missing of it.
    """

    case: DeploymentCase
    lattice: MarkovLattice
    root: Array
    levels: tuple[Array, ...]

    @property
    def size(self) -> dict[str, int]:
        """States of the lattice, in all and per stage at most."""
        return {"states": sum(self.lattice.sizes), "states_per_stage": max(self.lattice.sizes)}

    @property
    def details(self) -> dict[str, Any]:
        """Process that the lattice was made from, None for one's own numbers; the table has the rest."""
        return {"origin": self.lattice.origin}

    def to_frame(self) -> pd.DataFrame:
        """One row per state in which orders are placed.

        Returns
        -------
        pandas.DataFrame
            ``stage``, ``state``, ``demand`` (kg/yr), ``probability``, ``level`` (kg, for year ``stage`` + L) and
            ``trigger``: an order is placed when demand over the projected capacity exceeds it (infinite where none is).
        """
        import pandas as pd

        stages = range(1, len(self.levels) + 1)
        demand = [self.lattice.values[t] for t in stages]
        table = pd.DataFrame(
            {
                "stage": np.repeat(np.array(stages, dtype=np.int64), [d.size for d in demand]),
                "state": np.concatenate([np.arange(d.size) for d in demand] or [np.zeros(0, dtype=np.int64)]),
                "demand": np.concatenate([*demand, np.zeros(0)]),
                "probability": np.concatenate([*(self.lattice.probabilities[t] for t in stages), np.zeros(0)]),
                "level": np.concatenate([*self.levels, np.zeros(0)]),
            }
        )
        with np.errstate(divide="ignore"):
            table["trigger"] = table["demand"].to_numpy() / (self.case.technology.eta * table["level"].to_numpy())
        return table

    def policy(self, name: str, mapping: str | None = None) -> Strategy:
        """The plan as a strategy on any path; see `stochisru.lunar.strategies.lattice_policy`.

        Raises
        ------
        InputError
            If a mapping is given: the plan takes none.
        """
        from stochisru.lunar.strategies.lattice_policy import LatticePolicy

        if mapping is not None:
            raise InputError(f"mapping: plans on a lattice take none, got {mapping!r}")
        return LatticePolicy(plan=self, name=name)
