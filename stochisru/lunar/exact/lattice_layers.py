"""The deployment problem on a Markov lattice, layer by layer, without a solver.

Plant is measured before decay, ``M_t = κ^t·m_t`` with ``κ = 1 − δ``, so that m never falls. A *layer* is the kilograms
of m between two neighbouring breakpoints of any year's marginal profit. What a layer earns does not depend on the other
layers, so each is an irreversible investment of its own (Pindyck 1988): ordered in year t it arrives in year t + L,
costs p_{t+L} and earns from then on, F_t(i) seen from state i of stage t. Ordering there is worth F_t(i) − p_{t+L}, and
a layer that is not yet ordered

    W_t(i) = max(F_t(i) − p_{t+L}, E[W_{t+1} | i]),      F_t(i) = E[marginal profit of year t + L | i] + E[F_{t+1} | i].

Marginal profit falls with m, so deeper layers are never ordered earlier: together the layers are a plan "order up to
a level", one level per stage and state. At the root the years 0..L of a layer's arrival are compared with waiting.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from scenario_trees.arrays import Array, Mask
from scenario_trees.lattice import MarkovLattice
from stochisru.errors import InputError, require_kind
from stochisru.lunar.case import DeploymentCase, require_case
from stochisru.lunar.exact.layers import allowed_years
from stochisru.lunar.information import require_origin
from stochisru.lunar.operations import MeritOrder, discount_factors

#: Which layers to order in year t: (t, worth of ordering, worth of waiting, lower edges) → mask (states, layers).
_Rule = Callable[[int, Array, Array, Array], Mask]

#: Share of possible transitions below which a sparse product is faster.
_DENSE = 0.1
#: Entries (state, layer) handled at once.
_CHUNK = 1_000_000


def require_lattice(case: DeploymentCase, lattice: MarkovLattice) -> None:
    """Refuse a lattice that does not belong to the case.

    Raises
    ------
    InputError
        If horizon or initial demand differ, or the lattice was made from another process than the case's demand.
    """
    require_case(case)
    require_kind("lattice", lattice, MarkovLattice, "a MarkovLattice")
    T = case.horizon.T
    if lattice.horizon != T:
        raise InputError(f"lattice: needs one stage per year, T = {T}, got T = {lattice.horizon}")
    if not np.isclose(lattice.values[0][0], case.demand.D0, rtol=1e-9):
        raise InputError(
            f"lattice: must begin with the demand D0 = {case.demand.D0:g}, got {float(lattice.values[0][0]):g}"
        )
    require_origin(case, "lattice", lattice.origin)


@dataclass(frozen=True, eq=False)
class OrderLevels:
    """Deployments at the root, and order-up-to levels in every state after it.

    Attributes
    ----------
    root
        ΔM_0..ΔM_min(L, T), kg.
    levels
        Plant to have in place in year t + L, kg, per state of stage t, for t = 1..T−L.
    value
        Expected net present value on the lattice, $.
    """

    root: Array
    levels: tuple[Array, ...]
    value: float


@dataclass(frozen=True, eq=False)
class LatticeLayers:
    """The layers of a case on a lattice.

    Raises
    ------
    InputError
        If case and lattice do not match, or plant decays to nothing within the horizon.
    """

    case: DeploymentCase
    lattice: MarkovLattice

    def __post_init__(self) -> None:
        require_lattice(self.case, self.lattice)
        self.case.require_linear("the dynamic programme by layers")
        if self._shrinkage[-1] < 1e-200:
            raise InputError(
                f"degradation: plant must not decay to nothing within T = {self.case.horizon.T} years, "
                f"got {self.case.technology.degradation:g}"
            )

    # ------------------------------------------------------------------- parts

    @cached_property
    def _shrinkage(self) -> Array:
        return np.asarray((1 - self.case.technology.degradation) ** np.arange(self.case.horizon.T + 1.0))

    @cached_property
    def _price(self) -> Array:
        """p_t: discounted cost of a kilogram of m that arrives in year t, $."""
        return discount_factors(self.case) * self._shrinkage * self.case.investment_cost

    @cached_property
    def _merit(self) -> MeritOrder:
        return MeritOrder.of(self.case)

    @property
    def _lead(self) -> int:
        return self.case.horizon.lead_time

    @cached_property
    def _steps(self) -> tuple[Any, ...]:
        """Transition matrices, sparse where few states follow each: the lattice of a tree."""
        from scipy.sparse import csr_array

        sparse = [np.count_nonzero(m) < _DENSE * m.size for m in self.lattice.transitions]
        return tuple(csr_array(m) if few else m for m, few in zip(self.lattice.transitions, sparse, strict=True))

    @cached_property
    def _reach(self) -> tuple[Array, ...]:
        """Probabilities of going from stage t to stage t + L, for t = 0..T−L."""
        found = []
        for t in range(max(self.case.horizon.T - self._lead + 1, 0)):
            matrix = np.eye(self.lattice.sizes[t])
            for step in range(t, t + self._lead):
                matrix = matrix @ self._steps[step]
            found.append(matrix)
        return tuple(found)

    def _bends(self, t: int) -> tuple[Array, Array]:
        """Values of m at which the profit of year t bends: where all demand is served, and what Earth cannot serve."""
        value = self.lattice.values[t]
        per_layer = self.case.technology.eta * self._shrinkage[t]
        return value / per_layer, self._merit.beyond_earth(value) / per_layer

    def _marginal(self, t: int, law: Array, lower: Array) -> Array:
        """Expected discounted earnings of a kilogram of each layer in year t, $.

        Parameters
        ----------
        law
            Probabilities of the states of stage t, one row per condition.
        lower
            Lower edges of the layers.

        Returns
        -------
        numpy.ndarray
            Shape ``(conditions, layers)``.
        """
        merit = self._merit
        # P(demand serves the layer) is the tail of the law from the first bend beyond the layer's lower edge.
        tail = np.zeros((law.shape[0], law.shape[1] + 1))
        tail[:, :-1] = np.cumsum(law[:, ::-1], axis=1)[:, ::-1]
        full, beyond = self._bends(t)
        worth = merit.against_alternative * tail[:, np.searchsorted(full, lower, side="right")]
        if merit.limited:
            extra = merit.against_shortage - merit.against_alternative
            worth += extra * tail[:, np.searchsorted(beyond, lower, side="right")]
        weight = discount_factors(self.case)[t] * self._shrinkage[t]
        return np.asarray(weight * (self.case.technology.eta * (worth - merit.idle) - self.case.costs.c_op))

    def _edges(self, *more: Array) -> Array:
        points = [np.array([0.0, self.case.technology.M0]), *more]
        for t in range(self.case.horizon.T + 1):
            full, beyond = self._bends(t)
            points += [full, beyond] if self._merit.limited else [full]
        return np.unique(np.concatenate(points))

    @cached_property
    def _unserved(self) -> float:
        """Discounted expected cost of serving all demand without plants, $."""
        yearly = [
            p @ self._merit.without_plants(v)
            for p, v in zip(self.lattice.probabilities, self.lattice.values, strict=True)
        ]
        return float(discount_factors(self.case) @ np.array(yearly))

    # --------------------------------------------------------------- recursion

    def _from_year(self, lower: Array) -> Array:
        """Expected earnings from each year 0..T + 1 on, seen from the root, $ per kg, shape ``(T + 2, layers)``."""
        laws = enumerate(self.lattice.probabilities)
        yearly = [self._marginal(t, p[None, :], lower) for t, p in laws] + [np.zeros((1, lower.size))]
        return np.asarray(np.cumsum(np.concatenate(yearly)[::-1], axis=0)[::-1])

    def _waiting(self, lower: Array, rule: _Rule) -> tuple[Array, list[Mask]]:
        """Worth of a layer that is not ordered at the root, and the layers that the rule orders in years 1..T−L."""
        last = self.case.horizon.T - self._lead
        ordered: list[Mask] = []
        now = later = np.zeros(
            (1, lower.size)
        )  # earnings of a layer that arrives next, and worth of one not yet ordered
        for t in range(last, 0, -1):
            now = self._marginal(t + self._lead, self._reach[t], lower) + (self._steps[t] @ now if t < last else 0.0)
            waiting = self._steps[t] @ later if t < last else np.zeros_like(now)
            gain = now - self._price[t + self._lead]
            chosen = rule(t, gain, waiting, lower)
            later = np.where(chosen, gain, waiting)  # 0 for what is never ordered, however much it would lose
            ordered.append(chosen)
        return (self._steps[0] @ later)[0] if last > 0 else np.zeros(lower.size), ordered[::-1]

    def _chunks(self, edges: Array) -> list[tuple[Array, Array]]:
        """Lower edges and widths of the layers, a part at a time."""
        size = max(1, _CHUNK // max(self.lattice.sizes))
        lower, width = edges[:-1], np.diff(edges)
        return [(lower[a : a + size], width[a : a + size]) for a in range(0, lower.size, size)]

    def best(self, allowed: Mask | None = None) -> OrderLevels:
        """The optimal plan: an order waits as long as that is worth more.

        Parameters
        ----------
        allowed
            Years 0..min(L, T) in which plants ordered at the root may arrive; all that the case allows if not given.
        """
        years = min(self._lead, self.case.horizon.T) + 1
        stages = range(1, self.case.horizon.T - self._lead + 1)
        allowed = allowed_years(self.case)[:years] if allowed is None else allowed
        root = np.zeros(years)
        levels = [np.zeros(self.lattice.sizes[t]) for t in stages]
        total = 0.0
        for lower, width in self._chunks(self._edges()):
            earned = self._from_year(lower)
            waiting, ordered = self._waiting(lower, lambda t, gain, waiting, lower: gain > waiting)
            for level, chosen in zip(levels, ordered, strict=True):
                level += chosen @ width
            starts = np.where(allowed[:, None], earned[:years] - self._price[:years, None], -np.inf)
            year = starts.argmax(axis=0)  # ties go to the earlier year; starts stay monotone over the layers
            start = starts.max(axis=0)
            existing = lower < self.case.technology.M0
            ordering = (start > waiting) & ~existing
            root += np.bincount(year[ordering], weights=width[ordering], minlength=years)
            total += float(np.where(existing, earned[0], np.maximum(start, waiting)) @ width)
        shrinkage = self._shrinkage
        return OrderLevels(
            root=root * shrinkage[:years],
            levels=tuple(level * shrinkage[t + self._lead] for t, level in zip(stages, levels, strict=True)),
            value=total - self._unserved,
        )

    def at_root(self) -> tuple[Array, Array, Array]:
        """What layers are worth at the root, $ per kg of year 0.

        Returns
        -------
        edges
            Lower edges of the layers, kg of year 0, ascending from 0; the last one has no end.
        there
            Earnings from year min(L, T) on of a layer that is in place then.
        waiting
            Worth of one that is not ordered at the root.
        """
        edges = self._edges()
        years = min(self._lead, self.case.horizon.T)
        there, waiting = [], []
        for lower, _ in self._chunks(np.append(edges, edges[-1] + 1.0)):
            there.append(self._from_year(lower)[years])
            waiting.append(self._waiting(lower, lambda t, gain, waiting, lower: gain > waiting)[0])
        return edges, np.concatenate(there), np.concatenate(waiting)

    def in_year(self, t: int, lower: Array) -> Array:
        """Expected earnings in year t of layers by their lower edges, seen from the root, $ per kg of year 0."""
        return np.asarray(self._marginal(t, self.lattice.probabilities[t][None, :], lower)[0])

    def edges_of(self, t: int) -> Array:
        """Where earnings of year t change, kg of year 0, ascending from 0."""
        full, beyond = self._bends(t)
        return np.unique(np.concatenate([[0.0], full, beyond] if self._merit.limited else [[0.0], full]))

    @property
    def price(self) -> Array:
        """Cost of a kilogram of year 0 that arrives in year t, $ of year 0, shape ``(T + 1,)``."""
        return self._price

    @property
    def left(self) -> Array:
        """What is left in year t of a kilogram of year 0, shape ``(T + 1,)``."""
        return self._shrinkage

    @property
    def unserved(self) -> float:
        """Discounted expected cost of serving all demand without plants, $."""
        return self._unserved

    def value(self, root: Array, levels: Sequence[Array]) -> float:
        """Expected net present value of a plan on the lattice, exact, $.

        Parameters
        ----------
        root, levels
            As in `OrderLevels`, in kg ≥ 0.
        """
        years = min(self._lead, self.case.horizon.T) + 1
        kept = [level / self._shrinkage[t + self._lead] for t, level in enumerate(levels, start=1)]
        held = self.case.technology.M0 + np.concatenate([[0.0], np.cumsum(root / self._shrinkage[:years])])
        total = 0.0
        for lower, width in self._chunks(self._edges(held, *kept)):
            earned = self._from_year(lower)
            waiting, _ = self._waiting(lower, lambda t, gain, waiting, lower: lower < kept[t - 1][:, None])
            gain = np.concatenate([earned[:1], earned[:years] - self._price[:years, None], waiting[None]])
            start = np.searchsorted(held, lower, side="right")
            total += float(gain[start, np.arange(lower.size)] @ width)
        return total - self._unserved
