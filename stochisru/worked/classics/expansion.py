"""Generation expansion, an example of SDDP.jl: up to five whole units, built as demand is seen.

Published (its test, atol 1e3): bound 2.078860e6.
"""

from __future__ import annotations

import numpy as np

from scenario_trees import MarkovLattice
from scenario_trees.arrays import Array
from stochisru.problem import Decision, Factors, Model, Operation, Part, Row, State

BUILD, USE, PENALTY, RHO, UNITS = 1e4, 4.0, 5e5, 0.99, 5
#: Demand in units of capacity, eight equally likely outcomes per stage.
DEMAND = 0.5 * np.array(
    [
        [5, 5, 5, 5, 5, 5, 5, 5],
        [4, 3, 1, 3, 0, 9, 8, 17],
        [0, 9, 4, 2, 19, 19, 13, 7],
        [25, 11, 4, 14, 4, 6, 15, 12],
        [6, 7, 5, 3, 8, 4, 17, 13],
    ]
)


def generation_expansion() -> tuple[Model, MarkovLattice]:
    """The problem; the factor is the number of an outcome. Penalties are not discounted, as in the source."""
    levels = [np.unique(row, return_counts=True) for row in DEMAND]

    def demand(year: int, factors: Factors) -> Array:
        return np.asarray(levels[year][0][factors["outcome"].astype(int) - 1])

    discount = np.asarray(RHO ** np.arange(5.0))
    parts: list[Part] = [
        Decision("build", lot=1.0, cost=(BUILD * discount).tolist(), upper=UNITS),
        State("units", gains={"build": 1.0}, upper=UNITS),
        Operation("generation", value=(-USE * discount).tolist(), upper=UNITS),
        Operation("unmet", value=-PENALTY, upper=float(DEMAND.max())),
        Row("capacity", {"generation": 1.0, "units": -1.0}, upper=0.0),
        Row("balance", {"generation": 1.0, "unmet": 1.0}, lower=demand),
    ]
    model = Model("generation expansion", horizon=4, parts=parts, sense="minimise", factors=["outcome"])
    outcomes = [np.arange(1.0, values.size + 1) for values, _ in levels]
    return model, MarkovLattice.independent(outcomes, [counts / counts.sum() for _, counts in levels])
