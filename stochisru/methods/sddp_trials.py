"""Where SDDP makes its cuts: the trial points of a pass.

A pass follows a few paths at once. Which points it takes does not matter for the validity of its cuts, but much for
their use, so three kinds are mixed:

- The first iteration spreads plants evenly over what the states' demand asks for, before any cut is known.
- Then the policy of the present cuts is followed down paths of the lattice. A kilogram counts by its money, and there is
  more of that where demand is high, so three paths in four are drawn under probabilities weighted by final demand.
- Every other path holds a random multiple of the largest demand so far instead, the shape of good policies: it is not
  thrown off by an early error of the cuts, as the policy is.

Uniform numbers are stratified over the paths of a pass (Latin hypercube) and depend on seed, iteration and pass only.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from scenario_trees.lattice import MarkovLattice
from stochisru.deployment.stage_program import StagePrograms
from stochisru.methods.sddp_engine import Engine

Array = NDArray[np.float64]
Index = NDArray[np.int64]

#: Paths that a pass follows.
PATHS = 8
#: Multiples of demand that plants are tried at.
_LOW, _HIGH = 0.6, 2.0


@dataclass(frozen=True, eq=False)
class Trials:
    """Trial points of a problem."""

    programs: StagePrograms
    seed: int

    @cached_property
    def _weighted(self) -> MarkovLattice:
        """The lattice under probabilities in proportion to final demand."""
        lattice = self.programs.lattice
        worth = [lattice.values[-1]]
        for matrix in lattice.transitions[::-1]:
            worth.append(matrix @ worth[-1])
        tilted = [
            matrix * later / (matrix @ later)[:, None]
            for matrix, later in zip(lattice.transitions, worth[-2::-1], strict=True)
        ]
        return MarkovLattice(lattice.values, tuple(tilted))

    def rows(self, engine: Engine, number: int, index: int, passes: int) -> Array:
        """Cuts of pass ``index`` of iteration ``number`` (from 0); see `Engine.backward`."""
        engine.begin()
        stream = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(number, index)))
        T = self.programs.horizon
        shuffled = stream.permuted(np.tile(np.arange(PATHS), (T + 2, 1)), axis=1)
        uniforms = (shuffled + stream.uniform(size=shuffled.shape)) / PATHS
        if number == 0:
            order = np.arange(index, passes * PATHS, passes) / max(passes * PATHS - 1, 1)
            return engine.backward(self._spread(order))
        plain = PATHS // 4
        paths = np.concatenate(
            [
                self.programs.lattice.walk(uniforms[:T, :plain]),
                self._weighted.walk(uniforms[:T, plain:]),
            ],
            axis=1,
        )
        ruled = np.arange(PATHS) % 2 == 1
        points = self._by_rule(paths[:, ruled], uniforms[T:, ruled])
        followed = [engine.forward(path) for path in paths[:, ~ruled].T]
        return engine.backward([np.concatenate([a, b]) for a, *b in zip(points, *followed, strict=True)])

    def _spread(self, quantile: Array) -> list[Array]:
        """Points at quantiles of the states of each stage, plants of all years alike."""
        found = []
        for t, values in enumerate(self.programs.lattice.values[1:]):
            place = (np.arange(values.size) + 0.5) / values.size
            demand = np.exp(np.interp(quantile, place, np.log(values)))
            plant = 1.1 * demand / self.programs.case.technology.eta
            found.append(self._points(t, np.tile(plant, (len(self.programs.committed(t + 1)), 1)), demand * quantile))
        return found

    def _by_rule(self, paths: Index, uniforms: Array) -> list[Array]:
        """Points of plants that hold a multiple of the largest demand so far."""
        lattice, T = self.programs.lattice, self.programs.horizon
        tech, lead = self.programs.case.technology, self.programs.case.horizon.lead_time
        demand = np.stack([value[row] for value, row in zip(lattice.values, paths, strict=True)])
        mean = lattice.stage_mean()
        multiple = _LOW * (_HIGH / _LOW) ** uniforms[0]
        plant = np.empty_like(demand)
        left = np.full(demand.shape[1], tech.M0)
        for y in range(T + 1):
            known = max(y - lead, 0)
            plant[y] = np.maximum(left, multiple * demand[known] * (mean[y] / mean[known]) / tech.eta)
            left = (1 - tech.degradation) * plant[y]
        store = np.maximum(uniforms[1] - 0.5, 0.0)
        return [self._points(t, plant[list(self.programs.committed(t + 1))], demand[t] * store) for t in range(T)]

    def _points(self, t: int, plants: Array, store: Array) -> Array:
        """States leaving stage t within their bounds, shape ``(k, d)``, of plants ``(years, k)`` and store ``(k,)``."""
        state = plants if self.programs.storage is None else np.concatenate([plants, store[None]])
        state = np.minimum(state.T, self.programs.state_upper(t + 1))
        return np.asarray(state / self.programs.state_unit(t + 1))
