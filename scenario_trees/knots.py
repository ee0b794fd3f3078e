"""Functions of what a process shows, and what is expected of them a step before, in closed form.

A function that is straight between *knots* and constant beyond is a sum of multiples of ``min(D, k)``, whose means
under mixtures of lognormals are known (`scenario_trees.law`). What it turns out to be less what was expected of it has
mean 0 under the process itself, whatever its values in the knots: no quadrature stands between.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from scenario_trees.arrays import Array, Index, Mask
from scenario_trees.lattice import MarkovLattice
from scenario_trees.law import Mixture

#: Knots of a year, at the quantiles of evenly spaced normal numbers between these.
_KNOTS, _REACH = 90, (-4.0, 5.5)
#: Knots nearer to each other than this share are one: rounding would weigh in what is expected of a line between them.
_APART = 1e-9


@dataclass(frozen=True, eq=False)
class Knots:
    """Where functions of what is seen are known; between values they are straight, beyond them constant.

    Attributes
    ----------
    value
        Of the process, ascending, shape ``(k,)``.
    kinds
        What may be seen beside it, one row each; a row of no numbers where there is nothing.
    """

    value: Array
    kinds: Array

    @cached_property
    def states(self) -> Array:
        """Values by kind, shape ``(kinds·k, 1 + beside)``."""
        values = np.tile(self.value, self.kinds.shape[0])[:, None]
        return np.concatenate([values, np.repeat(self.kinds, self.value.size, axis=0)], axis=1)

    def kind_of(self, beside: Array) -> Index:
        """Kind of each row; their number for what is none of them."""
        alike = (beside[:, None, :] == self.kinds[None]).all(axis=2)
        return np.asarray(np.where(alike.any(axis=1), alike.argmax(axis=1), self.kinds.shape[0]))

    def straight(self, there: Array, limited: Array) -> Array:
        """Weights of the values in functions of ``min(D, value)`` and of being there, shape ``(n, k)``.

        With h_j the value in knot j, ``h = h_0 + Σ (h_{j+1} − h_j)/(v_{j+1} − v_j)·(min(D, v_{j+1}) − min(D, v_j))``.
        """
        share = np.diff(limited, axis=1) / np.diff(self.value)
        found = np.zeros(limited.shape)
        found[:, 1:] += share
        found[:, :-1] -= share
        found[:, 0] += there
        return found

    def weights(self, states: Array) -> Array:
        """Weights of the knots in what is known of given states, shape ``(n, kinds·k)``."""
        kind = self.kind_of(states[:, 1:])
        limited = np.minimum(states[:, :1], self.value)
        return np.concatenate(
            [self.straight((kind == k) * 1.0, (kind == k)[:, None] * limited) for k in range(self.kinds.shape[0])],
            axis=1,
        )


def knots_of(process: Any, horizon: int) -> tuple[Knots, ...]:
    """Knots of years 0..horizon: quantiles far into both tails, by what may be seen beside the value."""
    from scipy.special import ndtr

    levels, beside = ndtr(np.linspace(*_REACH, _KNOTS)), None
    if len(process.names) > 1:
        beside = MarkovLattice.from_process(process, horizon, 2).others
    found = []
    for t in range(horizon + 1):
        value = np.unique(process.quantile(levels, float(t))) if t else np.array([float(process.initial)])
        value = value[np.append(True, np.diff(value) > _APART * value[1:])]
        kinds = np.empty((1, 0)) if beside is None else np.unique(beside[t], axis=0)
        found.append(Knots(value, kinds))
    return tuple(found)


@dataclass(frozen=True, eq=False)
class StepAhead:
    """What is expected of a year in each of n states of the year before.

    Attributes
    ----------
    year
        The year.
    laws
        Of every kind of future: its probability, the law of the value, and what is then seen beside it, its number
        among the kinds of ``knots``.
    states
        Of the year before, shape ``(n, 1 + beside)``.
    knots
        Of the year.
    """

    year: int
    laws: tuple[tuple[Array, Mixture, Index], ...]
    states: Array
    knots: Knots

    @classmethod
    def of(cls, process: Any, year: int, states: Array, knots: Knots) -> StepAhead:
        """The step from ``year`` of a process whose steps are mixtures of lognormals."""
        alive = states[:, 0] > 0
        safe = np.concatenate([np.where(alive, states[:, 0], 1.0)[:, None], states[:, 1:]], axis=1)
        law, n = process.law(safe, float(year), 1.0), states.shape[0]
        if knots.kinds.shape[1] == 0:
            return cls(year + 1, ((np.ones(n), law.merged, np.zeros(n, dtype=np.int64)),), states, knots)
        laws = []
        for k, (share, mixture) in enumerate(zip(law.probability.T, law.kinds, strict=True)):
            beside = process.after(safe, np.full(n, k), safe[:, 0], float(year), 1.0)
            laws.append((share, mixture, knots.kind_of(beside)))
        return cls(year + 1, tuple(laws), states, knots)

    @property
    def alive(self) -> Mask:
        """Where the value is not 0; from there it stays what it is."""
        return np.asarray(self.states[:, 0] > 0)

    def limited(self, level: Array) -> Array:
        """E[min(D, level)] for levels of shape ``(n, levels)``."""
        found = sum(share[:, None] * law.limited_mean(level) for share, law, _ in self.laws)
        return np.asarray(self.alive[:, None] * found)

    def surprise(self, value: Array, level: Array) -> Array:
        """``min(D, level)`` less what was expected of it, shape of ``level``."""
        off = np.minimum(value[:, None], level) - self.limited(level)
        return np.asarray(np.where(self.alive[:, None], off, 0.0))

    def above(self, level: Array) -> Array:
        """P(D > level) for levels of shape ``(n or 1, levels)``."""
        with np.errstate(divide="ignore"):
            log = np.broadcast_to(np.log(level), (self.alive.size, level.shape[1]))
        found = sum(share[:, None] * (1.0 - law.below(log)) for share, law, _ in self.laws)
        return np.asarray(self.alive[:, None] * found)

    @cached_property
    def weights(self) -> Array:
        """Weights of the knots in what is expected, shape ``(n, kinds·k)``."""
        levels = np.broadcast_to(self.knots.value, (self.alive.size, self.knots.value.size))
        parts = []
        for k in range(self.knots.kinds.shape[0]):
            there, limited = np.zeros(self.alive.size), np.zeros(levels.shape)
            for share, law, kind in self.laws:
                inside = share * (kind == k) * self.alive
                if inside.any():
                    there += inside
                    limited += inside[:, None] * law.limited_mean(levels)
            parts.append(self.knots.straight(there, limited))
        return np.where(self.alive[:, None], np.concatenate(parts, axis=1), self.knots.weights(self.states))

    def table(self, values: Array) -> Array:
        """Expected value of functions given in the knots, shape ``(n, functions)``."""
        return np.asarray(self.weights @ values)
