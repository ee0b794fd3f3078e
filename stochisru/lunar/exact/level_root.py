"""What is decided at the root of a Markov lattice under economies of scale, beside plant that is ordered already.

All plant that is there or on its way counts as in place, less what of it is not there yet in the years of the root.
Levels are those of `stochisru.lunar.exact.lattice_levels` for what of demand such plant leaves in each year.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from scenario_trees.arrays import Array
from scenario_trees.lattice import MarkovLattice
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.exact.lattice_levels import LatticeLevels
from stochisru.lunar.exact.levels import levels_of, shrinkage


@dataclass(frozen=True, eq=False)
class RootLevels:
    """The orders of the root on levels of plant.

    Attributes
    ----------
    ordered
        What arrives in years 0..min(L, T) whatever is decided, kg.
    """

    case: DeploymentCase
    lattice: MarkovLattice
    ordered: Array

    @cached_property
    def _there(self) -> Array:
        arriving = self.ordered / shrinkage(self.case)[: self.ordered.size]
        return np.asarray(self.case.technology.M0 + np.cumsum(arriving))

    @cached_property
    def _coming(self) -> Array:
        return np.asarray(self._there[-1] - self._there)

    @cached_property
    def _placed(self) -> DeploymentCase:
        """The case with all of it in place."""
        return self.case.replace(M0=float(self._there[-1]))

    @cached_property
    def problem(self) -> LatticeLevels:
        """The problem on the levels that can be optimal."""
        per_plant = self.case.technology.eta * shrinkage(self.case)
        values = list(self.lattice.values)
        for t, late in enumerate(self._coming):
            values[t] = np.concatenate([values[t], values[t] + per_plant[t] * late])
        return LatticeLevels(self._placed, self.lattice, also=tuple(levels_of(self._placed, values)))

    def best(self, held: Mapping[int, float]) -> tuple[float, Array]:
        """Value ($, maximised; −∞ where there is no such plan) and ΔM_0..ΔM_L (kg), some of them held by year."""
        levels, problem = self.problem.levels, self.problem
        moves = [order / shrinkage(self.case)[year] for year, order in held.items() if order > 0]
        wanted = [levels] + [levels + move for move in moves]
        if len(moves) > 1:
            wanted.append(levels + sum(moves))
        also = levels_of(self._placed, (), np.concatenate(wanted))
        if moves and also.size > levels.size:
            problem = LatticeLevels(self._placed, self.lattice, also=tuple(also))
        return problem.root_beside(self._coming, held)
