"""Where SDDP makes its cuts: the trial points of a pass.

A pass makes cuts at several points of every stage at once, so that those of later stages serve all of the earlier ones.
Which points it takes does not matter for the validity of its cuts, but much for their use, so two kinds are mixed:

- Points spread evenly, in logarithms, over the plants that the states' demand may ask for. Values are flat near their
  maximum, and the policy of the present cuts jumps about there; only cuts all over the region renew what earlier
  cuts overrate. The first iteration takes this kind alone.
- Points that the policy of the present cuts visits on paths of the lattice. A kilogram counts by its money, and there
  is more of that where demand is high, so three paths in four are drawn under probabilities weighted by final demand.

Uniform numbers are stratified (Latin hypercube) and depend on seed, iteration and pass only.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from scenario_trees.arrays import Array
from scenario_trees.lattice import MarkovLattice
from stochisru.errors import SolverError
from stochisru.methods.sddp.engine import Engine
from stochisru.protocols import StagePrograms

#: Points of a pass. One dense pass is worth many sparse ones: a cut is as good as the later cuts of its own pass.
POINTS = 64
#: How many of them follow the policy after the first iteration: few where the state is one number, which spread points
#: cover, half of them where it has several.
_FOLLOWING_ONE, _FOLLOWING_MORE = 8, 32


@dataclass(frozen=True, eq=False)
class Trials:
    """Trial points of a problem."""

    programs: StagePrograms[Any]
    seed: int

    @cached_property
    def _weighted(self) -> MarkovLattice:
        """The lattice under probabilities in proportion to final demand."""
        lattice = self.programs.lattice
        worth = [lattice.values[-1]]
        for matrix in lattice.transitions[::-1]:
            worth.append(np.einsum("ij,j->i", matrix, worth[-1]))
        worth.reverse()
        tilted = []
        for matrix, before, after in zip(lattice.transitions, worth, worth[1:], strict=False):
            ended = before == 0  # nobody comes here: from a demand of 0 there is no final demand
            tilted.append(np.where(ended[:, None], matrix, matrix * after / np.where(ended, 1.0, before)[:, None]))
        return MarkovLattice(lattice.values, tuple(tilted), lattice.others, lattice.names)

    @cached_property
    def _following(self) -> int:
        entries = max(stage.dimensions for stage in self.programs.stages)
        return _FOLLOWING_ONE if entries == 1 else _FOLLOWING_MORE

    def count(self, number: int, passes: int) -> int:
        """Passes of an iteration: one in the first, whose points no cut has a say in."""
        return passes if number else 1

    def rows(self, engine: Engine, number: int, index: int, passes: int, until: float | None = None) -> Array:
        """Cuts of pass ``index`` of iteration ``number`` (from 0); see `Engine.backward`.

        A path on which a program fails gives no points.
        """
        engine.begin()
        passes = self.count(number, passes)
        T = self.programs.horizon
        stream = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(number, index)))
        following = self._following if number else 0
        spread = POINTS - following
        # Stratified over the passes: pass ``index`` takes every so many-th stratum.
        place = (np.arange(spread) * passes + index + stream.uniform(size=spread)) / (spread * passes)
        points = self._spread(place, _stratified(stream, (T, spread)))
        if following:
            plain, uniforms = following // 4, _stratified(stream, (T, following))
            lattices = (self.programs.lattice, uniforms[:, :plain]), (self._weighted, uniforms[:, plain:])
            visited = []
            for path in (path for lattice, u in lattices for path in lattice.walk(u).T):
                with contextlib.suppress(SolverError):
                    visited.append(engine.forward(path))
            points = [np.concatenate([a, b]) if b else a for a, *b in zip(points, *visited, strict=True)]
        return engine.backward(points, until)

    def _spread(self, place: Array, store: Array) -> list[Array]:
        """States leaving stages 0..T−1 with plants at ``place`` in [0, 1] of their range, shapes ``(k, d)``."""
        return [self.programs.spread(t, place, store[t]) for t in range(self.programs.horizon)]


def _stratified(stream: np.random.Generator, shape: tuple[int, int]) -> Array:
    """Numbers uniform in [0, 1), one of every row in each of its equal strata, in random order."""
    strata = stream.permuted(np.tile(np.arange(shape[1]), (shape[0], 1)), axis=1)
    return np.asarray((strata + stream.uniform(size=shape)) / shape[1])
