"""What is decided at the root of a Markov lattice, layer by layer, before the best orders of later years.

The layers of `stochisru.lunar.exact.lattice_layers` in the terms of `stochisru.lunar.exact.root_plan`: marginal worth
is a step function of plant, and what all plant earns its integral.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from scenario_trees.arrays import Array
from scenario_trees.processes import OneFactor
from stochisru.lunar.exact.lattice_layers import LatticeLayers
from stochisru.lunar.exact.layers import allowed_years
from stochisru.lunar.exact.root_plan import RootProblem


@dataclass(frozen=True, eq=False)
class _Steps:
    """A function of plant that is constant between edges, which ascend from 0, and after the last; and its integral."""

    edges: Array
    heights: Array

    def at(self, layer: ArrayLike) -> Array:
        return np.asarray(self.heights[np.searchsorted(self.edges, layer, side="right") - 1])

    @cached_property
    def _sums(self) -> Array:
        return np.concatenate([[0.0], np.cumsum(self.heights[:-1] * np.diff(self.edges))])

    def up_to(self, plant: ArrayLike) -> Array:
        place = np.searchsorted(self.edges, plant, side="right") - 1
        return np.asarray(self._sums[place] + self.heights[place] * (np.asarray(plant) - self.edges[place]))

    @property
    def total(self) -> float:
        """Integral over all plant, of a function that is 0 after the last edge."""
        return float(self._sums[-1])


@dataclass(frozen=True, eq=False)
class LayerUnit:
    """What plant earns and costs in the years of the root on a lattice; see `UnitOfRoot`."""

    layers: LatticeLayers

    @property
    def process(self) -> OneFactor:
        """The process of demand."""
        return self.layers.case.process

    @property
    def years(self) -> int:
        """T."""
        return self.layers.case.horizon.T

    @cached_property
    def _yearly(self) -> list[_Steps]:
        found = []
        for t in range(min(self.layers.case.horizon.lead_time, self.years)):
            edges = self.layers.edges_of(t)
            found.append(_Steps(edges, self.layers.in_year(t, edges)))
        return found

    def left(self, year: ArrayLike) -> Array:
        """s_t: what is left in a year of a kilogram of year 0."""
        return np.asarray(self.layers.left[np.asarray(year, dtype=np.int64)])

    def starting(self, year: ArrayLike) -> Array:
        """Cost of a layer that arrives in a year, $ of year 0 per kg of year 0."""
        return np.asarray(self.layers.price[np.asarray(year, dtype=np.int64)])

    def bill(self, year: ArrayLike) -> Array:
        """Cost of a kilogram that arrives in a year, $ of year 0."""
        return np.asarray(self.starting(year) / self.left(year))

    def _by_year(self, year: ArrayLike, plant: ArrayLike, what: str) -> Array:
        years, plants = np.broadcast_arrays(np.asarray(year, dtype=np.int64), np.asarray(plant, dtype=float))
        found = np.zeros(plants.shape)
        for t in np.unique(years):
            found[years == t] = getattr(self._yearly[t], what)(plants[years == t])
        return found

    def margin(self, year: ArrayLike, layer: ArrayLike) -> Array:
        """Expected profit in a year of the layer at ``layer`` kg, $ of year 0 per kg of year 0."""
        return self._by_year(year, layer, "at")

    def earned(self, year: ArrayLike, plant: ArrayLike) -> Array:
        """Expected profit in a year of all layers up to ``plant`` kg of year 0, $ of year 0."""
        return self._by_year(year, plant, "up_to")

    def without_plants(self) -> float:
        """Expected cost of serving all demand without plants, $."""
        return self.layers.unserved

    def reach(self, first: int, last: int) -> tuple[float, float]:
        """As `UnitValue.reach`: logarithms of plant over demand of today between which all layers lie."""
        edges = np.concatenate([self.layers.edges_of(t) for t in range(first, last + 1)])
        some = np.log(edges[edges > 0] / self.process.initial)
        return float(some.min()) - 1e-3, float(some.max()) + 1e-3


@dataclass(frozen=True, eq=False)
class _Reacting:
    """Worth of plant from year min(L, T) on: what it earns, less what it is worth to order it later."""

    gain: _Steps

    def margin(self, layer: Array) -> Array:
        return self.gain.at(layer)

    def earned(self, plant: Array) -> Array:
        return self.gain.up_to(plant)


def root_problem(layers: LatticeLayers) -> RootProblem:
    """What is decided at the root before the optimal orders on the lattice."""
    case = layers.case
    edges, there, waiting = layers.at_root()
    years = min(case.horizon.lead_time, case.horizon.T) + 1
    tail = _Reacting(_Steps(edges, there - waiting))
    later = _Steps(edges, waiting).total
    return RootProblem(LayerUnit(layers), allowed_years(case)[:years], case.technology.M0, tail, later)
