"""Reservoirs: the hydro-thermal problem of the FAST toolbox, and a store of three seasons.

Published for the first (tests of FAST and of SDDP.jl): cost 10.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from scenario_trees import MarkovLattice
from scenario_trees.arrays import Array
from stochisru.problem import Factor, Factors, Model, Operation, Part, Row, State


def fast_hydro_thermal() -> tuple[Model, MarkovLattice]:
    """Two stages, demand 6, thermal power at 5, a reservoir of 8; the rain of the second stage is 2 or 10."""
    parts: list[Part] = [
        Operation("hydro", upper=18.0),
        Operation("spilled", upper=18.0),
        Operation("thermal", value=-5.0, upper=6.0),
        State("water", gains={"hydro": -1.0, "spilled": -1.0}, inflow=Factor("rain"), upper=8.0),
        Row("demand", {"hydro": 1.0, "thermal": 1.0}, lower=6.0),
    ]
    model = Model("FAST hydro-thermal", horizon=1, parts=parts, sense="minimise", factors=["rain"])
    return model, MarkovLattice.independent([[6.0], [2.0, 10.0]])


#: Seasons of `reservoir`: cost of thermal power in each; inflow and demand of its three outcomes.
THERMAL, INFLOW, DEMAND = (1.0, 2.0, 3.0), (0.0, 3.0, 10.0), (7.5, 5.0, 2.5)


def reservoir() -> tuple[Model, MarkovLattice]:
    """Three seasons after a known one: a reservoir of 5 to 15, spilling costs 1; less inflow comes with more demand."""
    outcomes = [1.0, 2.0, 3.0]

    def of(table: tuple[float, ...]) -> Callable[[int, Factors], Array]:
        return lambda year, factors: np.array(table)[factors["outcome"].astype(int) - 1]

    parts: list[Part] = [
        Operation("hydro", upper=8.0),
        Operation("spilled", value=-1.0, upper=25.0),
        Operation("thermal", value=[-THERMAL[0], *(-cost for cost in THERMAL)], upper=8.0),
        State("water", initial=10.0, gains={"hydro": -1.0, "spilled": -1.0}, inflow=of(INFLOW), lower=5.0, upper=15.0),
        Row("demand", {"hydro": 1.0, "thermal": 1.0}, equals=of(DEMAND)),
    ]
    model = Model("reservoir", horizon=3, parts=parts, sense="minimise", factors=["outcome"])
    return model, MarkovLattice.independent([[2.0], outcomes, outcomes, outcomes])
