"""Optimal operation of given capacity: a merit order, in closed form.

In one year, capacity ``K = η·M`` and demand ``D`` are given and

    max  P_m·Q − c_by·β·Q − c_E·Q_earth − c_bu·S − c_S·(K − Q)
    s.t. Q + Q_earth + S = D,  Q ≤ K,  Q_earth ≤ limit,  all ≥ 0.

Every kilogram of demand is served by the source that is worth most, so the year's profit is concave and
piecewise linear in capacity:

    π(K, D) = a_1·min(K, D_1) + a_2·(min(K, D) − min(K, D_1)) − h·K − u(D),

where ``D_1 = (D − limit)^+`` is the demand that Earth cannot serve, ``a_1`` and ``a_2`` what a delivered
kilogram is worth against shortage and against the cheapest alternative, ``h = c_S`` the cost of unused
capacity and ``u(D)`` the cost of serving all demand without plants.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scenario_trees.arrays import Array
from stochisru.lunar.case import DeploymentCase


@dataclass(frozen=True)
class MeritOrder:
    """Unit values of the three sources of oxygen, $ per kg.

    Attributes
    ----------
    against_shortage
        ``a_1``: worth of a delivered kilogram that would otherwise be short.
    against_alternative
        ``a_2 ≤ a_1``: worth of a delivered kilogram that Earth could supply.
    idle
        ``c_S``: cost of a kilogram of unused capacity.
    earth_used
        Whether supply from Earth is no dearer than shortage.
    """

    against_shortage: float
    against_alternative: float
    idle: float
    earth_used: bool
    earth_cost: float
    shortage_cost: float
    earth_limit: float

    @classmethod
    def of(cls, case: DeploymentCase) -> MeritOrder:
        """Merit order of a case."""
        c = case.costs
        own = case.economics.P_m - c.c_by * case.technology.beta + c.c_S
        earth_used = c.c_E <= c.c_bu
        return cls(
            against_shortage=max(0.0, own + c.c_bu),
            against_alternative=max(0.0, own + min(c.c_E, c.c_bu)),
            idle=c.c_S,
            earth_used=earth_used,
            earth_cost=c.c_E,
            shortage_cost=c.c_bu,
            earth_limit=np.inf if c.earth_limit is None or not earth_used else c.earth_limit,
        )

    @property
    def limited(self) -> bool:
        """Whether the Earth limit matters."""
        return bool(np.isfinite(self.earth_limit))

    def beyond_earth(self, demand: Array) -> Array:
        """D_1, the demand that Earth cannot serve, kg/yr."""
        if not self.limited:
            return np.zeros_like(demand)
        return np.maximum(demand - self.earth_limit, 0.0)

    def delivered(self, capacity: Array, demand: Array) -> Array:
        """Optimal Q, kg/yr, for capacity in kg/yr."""
        if self.against_alternative > 0:
            return np.minimum(capacity, demand)
        if self.against_shortage > 0:
            return np.minimum(capacity, self.beyond_earth(demand))
        return np.zeros(np.broadcast_shapes(np.shape(capacity), np.shape(demand)))

    def alternatives(self, delivered: Array, demand: Array) -> tuple[Array, Array]:
        """Optimal Q_earth and S, kg/yr, for given deliveries."""
        rest = demand - delivered
        if not self.earth_used:
            return np.zeros_like(rest), rest
        earth = np.minimum(rest, self.earth_limit)
        return earth, rest - earth

    def without_plants(self, demand: Array) -> Array:
        """u(D): cost of serving all demand without plants, $/yr."""
        if not self.limited:
            return min(self.earth_cost, self.shortage_cost) * demand
        beyond = self.beyond_earth(demand)
        return self.earth_cost * (demand - beyond) + self.shortage_cost * beyond

    def gain(self, capacity: Array, demand: Array) -> Array:
        """π(K, D) + u(D): what capacity adds to the year's profit, $/yr."""
        if not self.limited:
            return self.against_alternative * np.minimum(capacity, demand) - self.idle * capacity
        first = np.minimum(capacity, self.beyond_earth(demand))
        second = np.minimum(capacity, demand) - first
        return self.against_shortage * first + self.against_alternative * second - self.idle * capacity

    def profit(self, capacity: Array, demand: Array) -> Array:
        """π(K, D), $/yr."""
        return self.gain(capacity, demand) - self.without_plants(demand)


def discount_factors(case: DeploymentCase) -> Array:
    """(1 + r)^−t for t = 0..T."""
    return np.asarray((1 + case.economics.r) ** -np.arange(case.horizon.T + 1.0))
