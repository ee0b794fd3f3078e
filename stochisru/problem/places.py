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
    #: Of `Places.above`, by the years and stages of the two.
    above: dict[tuple[object, ...], Index] = field(default_factory=dict)
    #: Probabilities of places, by their stages.
    weights: dict[tuple[int, ...], Array] = field(default_factory=dict)

    @cached_property
    def nodes(self) -> list[slice]:
        """Nodes of every stage."""
        return [slice(*span) for span in pairwise(self.tree.offsets.tolist())]

    @cached_property
    def _counts(self) -> list[int]:
        return [here.stop - here.start for here in self.nodes]

    def count(self, stage: int) -> int:
        """Number of nodes of a stage."""
        return self._counts[stage]

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

    @cached_property
    def counts(self) -> list[int]:
        """Number of places in each year of ``years``."""
        return [self.ancestry.count(stage) for stage in self.stages]

    @cached_property
    def count(self) -> int:
        """Number of places."""
        return sum(self.counts)

    def chosen(self, years: Sequence[bool]) -> Places:
        """Those of some of the years."""
        pairs = zip(self.years, self.stages, strict=True)
        kept = [pair for pair, wanted in zip(pairs, years, strict=True) if wanted]
        return Places(self.ancestry, [year for year, _ in kept], [stage for _, stage in kept])

    @cached_property
    def _key(self) -> tuple[object, ...]:
        return tuple(self.years), tuple(self.stages)

    @cached_property
    def in_step(self) -> bool:
        """Whether those of every year stand at the nodes of the year's own stage."""
        return all(year == stage for year, stage in zip(self.years, self.stages, strict=True))

    def above(self, other: Places, lag: int = 0) -> Index:
        """Place of ``other``, ``lag`` years before, above every place; the first ``lag`` years are left out.

        Those of a year of ``other`` must be known at the stage of the places that look for them.
        """
        key = *self._key, *other._key, lag
        known = self.ancestry.above
        if key not in known:
            if lag == 0 and self._key == other._key:
                known[key] = np.arange(self.count)
            else:
                pairs = [
                    (year - lag, stage) for year, stage in zip(self.years, self.stages, strict=True) if year >= lag
                ]
                found = [other.seen_from(year, stage) for year, stage in pairs]
                known[key] = np.concatenate(found) if found else np.zeros(0, dtype=np.int64)
        return known[key]

    def spread(self, numbers: Sequence[Number]) -> Number:
        """Numbers by year, from year 0 on, at all places that know them; one number where it is the same."""
        own = [numbers[year] for year in self.years]
        if all(isinstance(number, float) for number in own):
            first = own[0] if own else 0.0
            return first if all(x is first or x == first for x in own) else np.repeat(np.array(own), self.counts)
        if self.in_step and not any(isinstance(number, float) for number in own):
            return np.concatenate(own)
        seen = (self.ancestry.seen(x, t, s) for x, t, s in zip(own, self.years, self.stages, strict=True))
        return np.concatenate([np.broadcast_to(x, n) for x, n in zip(seen, self.counts, strict=True)])

    def expected(self, numbers: Sequence[Number]) -> Array:
        """Probability of every place times the expectation of the year's number there."""
        if self.in_step or all(isinstance(numbers[year], float) for year in self.years):
            return np.asarray(self.spread(numbers) * self._probability)
        triples = zip((numbers[year] for year in self.years), self.years, self.stages, strict=True)
        return np.concatenate([self.ancestry.expected(*triple) for triple in triples])

    @property
    def _probability(self) -> Array:
        """Probability of every place."""
        key, known = tuple(self.stages), self.ancestry.weights
        if key not in known:
            known[key] = np.concatenate([self.ancestry.probability(stage) for stage in self.stages])
        return known[key]

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
