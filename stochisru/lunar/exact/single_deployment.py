"""The best single deployment whose time and size may wait for demand, on the demand process itself.

Between the fixed design (one ΔM_0, now or never) and the multistage optimum (as many as one likes) stands a holder who
may deploy once, whenever it suits: what waiting adds to the fixed design is the value of deferring, what the optimum
adds to that is the value of staging. Per unit of demand and in dollars of year t, deploying at t up to y kilograms
(counted in kilograms of year t, old plant included) is worth

    A_t(y) = Σ_{u=L}^{T−t} E[profit u years on of all layers up to y] − d^L·κ^L·c_I·y,

which is concave with its maximum at y*_t, so with x = M0·κ^t/D_t of old plant stopping is worth
``D_t·(A_t(max(x, y*_t)) − A_t(x))`` and the holder solves the optimal stopping problem (Dixit and Pindyck 1994, ch. 4)

    W_t(D) = max(D·(A_t(max(x, y*_t)) − A_t(x)), d·E[W_{t+1}(D·G)]).

Without old plant W_t is proportional to D, so the best time is known in advance and only the size waits. With old plant
the expectation is a trapezoidal sum on a grid of log D, whose error is estimated from two coarser grids.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scenario_trees.arrays import Array, Mask
from scenario_trees.processes.gbm import GeometricBrownianMotion
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.exact.layers import allowed_years
from stochisru.lunar.exact.unit_value import TAIL, UnitValue

#: Steps of the grid of log demand per standard deviation of a year's growth, at least.
_STEPS = 24
#: Factor on the largest difference to coarser grids.
_MARGIN = 4.0


@dataclass(frozen=True)
class SingleDeployment:
    """Value of the best single deployment.

    Attributes
    ----------
    value
        Expected NPV, $ (maximised).
    error
        Estimated error of integration, $; 0 where the value is in closed form.
    """

    value: float
    error: float


@dataclass(frozen=True, eq=False)
class _Stop:
    """Worth of deploying at one time per unit of demand, for an arrival ``arrival`` years on."""

    unit: UnitValue
    arrival: int

    def _worth(self, plant: Array) -> Array:
        years = np.arange(self.arrival, self.unit.years + 1)[:, None]
        earned = self.unit.earned(years, plant[None, :]).sum(axis=0)
        return np.asarray(earned - self.unit.starting(self.arrival) * plant)

    def _best(self) -> float:
        """Plant up to which deploying pays, y*."""
        from scipy.optimize import brentq

        years = np.arange(self.arrival, self.unit.years + 1)
        price = float(self.unit.starting(self.arrival))
        low, high = self.unit.reach(0, self.unit.years)

        def excess(log_plant: float) -> float:
            return float(self.unit.margin(years, np.exp(log_plant)).sum()) - price

        if excess(low) <= 0:
            return 0.0
        return float(np.exp(high if excess(high) > 0 else brentq(excess, low, high, xtol=1e-14, rtol=1e-14)))

    def gain(self, old: Array) -> Array:
        """Worth of deploying on top of ``old`` plant, both per unit of demand."""
        return self._worth(np.maximum(old, self._best())) - self._worth(old)


def _stops(unit: UnitValue, lead: int) -> list[_Stop]:
    """Stopping at t = 1..T−L, seen from a demand of 1 at t."""
    return [_Stop(unit.from_year(t), lead) for t in range(1, unit.years - lead + 1)]


def _waiting_without_plant(unit: UnitValue, stops: list[_Stop]) -> float:
    """Worth of waiting in year 0 without old plant, $: proportional to demand."""
    per_demand = 0.0
    for t in range(len(stops), 0, -1):
        stopping = float(stops[t - 1].gain(np.zeros(1))[0])
        growth = float(unit.process.log_growth(1, t - 1).moment()[0])
        per_demand = unit.discount * growth * max(stopping, per_demand)
    return per_demand * unit.process.initial


def _waiting_for_certain(unit: UnitValue, stops: list[_Stop], old: float) -> float:
    """Worth of waiting in year 0 with ``old`` kg of plant and without volatility, $."""
    worth = 0.0
    for t in range(len(stops), 0, -1):
        demand = float(unit.process.mean(t))
        stopping = demand * float(stops[t - 1].gain(np.array([old * float(unit.left(t)) / demand]))[0])
        worth = max(stopping, unit.discount * worth)
    return unit.discount * worth


def _waiting_on_grid(unit: UnitValue, stops: list[_Stop], old: float, steps: int) -> float:
    """Worth of waiting in year 0 with ``old`` kg of plant, $, on a grid of log demand that moves with the drift."""
    process = unit.process
    assert isinstance(process, GeometricBrownianMotion)
    drift = process.drift - 0.5 * process.volatility**2
    step = process.volatility / steps
    half = int(np.ceil(TAIL * np.sqrt(len(stops)) * steps))
    reach = int(np.ceil(TAIL * steps))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / steps) ** 2)
    kernel /= kernel.sum()
    grid = np.log(process.initial) + step * np.arange(-half, half + 1)

    def expected(worth: Array) -> Array:
        # Beyond the grid worth goes on in proportion to demand at the top, and waiting has none at the bottom.
        above = worth[-1] * np.exp(step * np.arange(1, reach + 1))
        return np.convolve(np.concatenate([np.zeros(reach), worth, above]), kernel, mode="valid")

    worth = np.zeros(grid.size)
    for t in range(len(stops), 0, -1):
        demand = np.exp(grid + drift * t)
        stopping = demand * stops[t - 1].gain(old * float(unit.left(t)) / demand)
        worth = np.maximum(stopping, unit.discount * expected(worth))
    return unit.discount * float(expected(worth)[half])


def single_deployment(case: DeploymentCase) -> SingleDeployment:
    """Best single deployment: at the root for any year 0..L, or once in a later year that is chosen as demand unfolds.

    Raises
    ------
    InputError
        If the case has a limit on supply from Earth.
    """
    return best_single(UnitValue.of(case), allowed_years(case), case.horizon.lead_time, case.technology.M0)


def best_single(unit: UnitValue, allowed: Mask, lead: int, old: float) -> SingleDeployment:
    """Best single deployment of unit values.

    Parameters
    ----------
    unit
        Of a geometric Brownian motion where there is old plant.
    allowed
        Years in which plant may arrive, shape ``(T + 1,)``; all but year 0 are.
    lead
        Years from order to arrival.
    old
        Plant of year 0, kg.
    """
    stops = _stops(unit, lead)
    error = 0.0
    if not stops:
        waiting = 0.0
    elif old == 0:
        waiting = _waiting_without_plant(unit, stops)
    elif unit.process.volatility == 0:
        waiting = _waiting_for_certain(unit, stops, old)
    else:
        waiting = _waiting_on_grid(unit, stops, old, 2 * _STEPS)
        # The kink makes the error irregular in the step: two coarser grids, and a margin.
        coarser = [_waiting_on_grid(unit, stops, old, steps) for steps in (_STEPS, 3 * _STEPS // 2)]
        error = _MARGIN * max(abs(waiting - other) for other in coarser)
    now = unit.from_year(0)
    ratio = np.array([old / unit.process.initial])
    root = [
        unit.process.initial * float(_Stop(now, year).gain(ratio)[0])
        for year in range(min(lead, unit.years) + 1)
        if allowed[year]
    ]
    kept = float(unit.earned(np.arange(unit.years + 1), old).sum())
    return SingleDeployment(max(waiting, 0.0, *root) + kept - unit.without_plants(), error)
