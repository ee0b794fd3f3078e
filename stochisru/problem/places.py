"""Where columns and rows stand: one for each pair of a year and a node of the stage at which it is known.

A decision of year t that is taken at stage s has one column per node of stage s, whatever the number of nodes of year
t. *Places* are such pairs, numbered year by year and within a year in the order of nodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate, pairwise

import numpy as np

from scenario_trees.arrays import Array, Index
from scenario_trees.tree import ScenarioTree
from stochisru.problem.coefficients import Number


@dataclass(frozen=True, eq=False)
class Ancestry:
    """Ancestors of the nodes of one stage at another, by their number within the stage."""

    tree: ScenarioTree
    _up: dict[tuple[int, int], Index] = field(default_factory=dict)

    @cached_property
    def nodes(self) -> list[slice]:
        """Nodes of every stage."""
        return [self.tree.at(stage) for stage in range(self.tree.horizon + 1)]

    def count(self, stage: int) -> int:
        """Number of nodes of a stage."""
        here = self.nodes[stage]
        return int(here.stop - here.start)

    def up(self, low: int, high: int) -> Index:
        """Ancestor at stage ``high ≤ low`` of every node of stage ``low``; ascending."""
        if (low, high) not in self._up:
            if low == high:
                above = np.arange(self.count(low))
            else:
                parent = self.tree.parent[self.nodes[low]].astype(np.int64) - self.nodes[low - 1].start
                above = parent if high == low - 1 else self.up(low - 1, high)[parent]
            self._up[low, high] = above
        return self._up[low, high]

    def _first(self, low: int, high: int) -> Index:
        """First descendant at stage ``low`` of every node of stage ``high``."""
        if low == high:
            return np.arange(self.count(low))
        first = self._first(low - 1, high)
        return np.asarray(self.tree.first_child[self.nodes[low - 1]][first] - self.nodes[low].start)

    def probability(self, stage: int) -> Array:
        """Probability of every node of a stage."""
        return self.tree.probability[self.nodes[stage]]

    # A number of one year is known at the year's own stage. The following bring it to the nodes of another one.

    def expected(self, number: Number, year: int, stage: int) -> Array:
        """Probability of each node of ``stage`` times the expectation of a number of ``year`` there."""
        if isinstance(number, float):
            return number * self.probability(stage)
        if stage >= year:
            return number[self.up(stage, year)] * self.probability(stage)
        weighted = self.probability(year) * number
        return np.bincount(self.up(year, stage), weights=weighted, minlength=self.count(stage)).astype(float)

    def seen(self, number: Number, high: int, stage: int) -> Number:
        """A number known at the nodes of stage ``high`` (its year's, or another) at those of a later stage."""
        return number if isinstance(number, float) or stage == high else number[self.up(stage, high)]

    def least(self, number: Number, year: int, stage: int) -> Number:
        """Smallest of a number of ``year`` that may still come at the nodes of ``stage``."""
        if isinstance(number, float) or stage >= year:
            return self.seen(number, year, stage)
        return np.asarray(np.minimum.reduceat(number, self._first(year, stage)))

    def largest(self, number: Number, year: int, stage: int) -> Number:
        """Largest of a number of ``year`` that may still come at the nodes of ``stage``."""
        if isinstance(number, float) or stage >= year:
            return self.seen(number, year, stage)
        return np.asarray(np.maximum.reduceat(number, self._first(year, stage)))


@dataclass(frozen=True, eq=False)
class Places:
    """Where the columns or rows of one part stand.

    Attributes
    ----------
    ancestry
        Of the tree.
    years
        Years in which the part has columns or rows, ascending.
    stages
        Stage at whose nodes they stand, one per year of ``years``.
    """

    ancestry: Ancestry
    years: Sequence[int]
    stages: Sequence[int]

    @cached_property
    def _slices(self) -> dict[int, slice]:
        ends = [0, *accumulate(self.ancestry.count(stage) for stage in self.stages)]
        return {year: slice(*span) for year, span in zip(self.years, pairwise(ends), strict=True)}

    @property
    def count(self) -> int:
        """Number of places."""
        return sum(self.ancestry.count(stage) for stage in self.stages)

    @cached_property
    def _stage(self) -> dict[int, int]:
        return dict(zip(self.years, self.stages, strict=True))

    def stage(self, year: int) -> int:
        """Stage at whose nodes those of ``year`` stand."""
        return self._stage[year]

    def at(self, year: int) -> slice:
        """Places of one year."""
        return self._slices[year]

    def seen_from(self, year: int, stage: int, start: int = 0) -> Index:
        """Place of ``year`` above every node of ``stage``, not earlier than its own; places count from ``start``."""
        first: int = start + self.at(year).start
        return first + self.ancestry.up(stage, self.stage(year))

    def of(self, year: Index, node: Index) -> Index:
        """Places by their years and the nodes of the tree at which they are known."""
        first = {t: self.at(t).start - self.ancestry.nodes[self.stage(t)].start for t in self.years}
        return np.array([first.get(t, 0) for t in range(max(first) + 1)])[year] + node

    @cached_property
    def year(self) -> Index:
        """Year of every place."""
        return np.repeat(np.asarray(self.years, dtype=np.int64), [self.ancestry.count(stage) for stage in self.stages])

    @cached_property
    def node(self) -> Index:
        """Node of the tree at which each place is known."""
        tree = self.ancestry.tree
        return np.concatenate([np.arange(tree.n_nodes)[self.ancestry.nodes[s]] for s in self.stages]).astype(np.int64)

    def on_nodes(self, values: Array) -> Array:
        """Values of the places at every node of the tree, shape ``(nodes,)``.

        The places must be known at the stage of their year at the latest, as under every information but wait-and-see.
        """
        return np.concatenate([values[self.seen_from(year, year)] for year in self.years])
