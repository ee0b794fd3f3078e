"""Lot sizing of Wagner and Whitin (1958), with the numbers of Snyder and Shen (2019), example 3.9.

Published: cost 1,380.
"""

from __future__ import annotations

from scenario_trees import MarkovLattice
from stochisru.problem import Decision, Factor, Model, Operation, Part, Row, State

ORDERING, HOLDING, DEMAND = 500.0, 2.0, (90.0, 120.0, 80.0, 70.0)


def wagner_whitin() -> tuple[Model, MarkovLattice]:
    """The problem: known demand, a fixed cost of every order, and a cost of what is kept over the night."""
    parts: list[Part] = [
        Decision("order", fixed_cost=ORDERING, upper=sum(DEMAND)),
        Operation("served", upper=Factor("demand")),
        State("stock", gains={"order": 1.0, "served": -1.0}, cost=HOLDING, upper=sum(DEMAND)),
        Row("all_is_served", {"served": 1.0}, equals=Factor("demand")),
    ]
    model = Model("Wagner-Whitin", horizon=len(DEMAND) - 1, parts=parts, sense="minimise")
    return model, MarkovLattice.independent([[demand] for demand in DEMAND])
