"""LandS (Louveaux and Smeers 1988): capacity of four kinds of power plant for a load in three modes.

Published: optimal cost 381.853.
"""

from __future__ import annotations

from scenario_trees import MarkovLattice
from stochisru.problem import Decision, Factor, Model, Operation, Part, Row

#: Cost of capacity by kind of plant.
BUILD = (10.0, 7.0, 16.0, 6.0)
#: Cost of operation by kind of plant and mode.
OPERATE = ((40.0, 24.0, 4.0), (45.0, 27.0, 4.5), (32.0, 19.2, 3.2), (55.0, 33.0, 5.5))
LEAST, BUDGET = 12.0, 120.0
#: Load of the first mode, with probabilities; loads of the others.
LOADS, PROBABILITIES, OTHERS = (3.0, 5.0, 7.0), (0.3, 0.4, 0.3), (3.0, 2.0)


def lands() -> tuple[Model, MarkovLattice]:
    """The problem: build before the load of the first mode is known."""
    kinds, modes = range(len(BUILD)), range(3)
    parts: list[Part] = [
        Decision(f"build_{k}", lead=1, years=[1], cost=BUILD[k], upper=BUDGET / BUILD[k]) for k in kinds
    ]
    parts += [Operation(f"run_{k}_{m}", value=-OPERATE[k][m], upper=BUDGET) for k in kinds for m in modes]
    parts += [
        Row("least", {f"build_{k}": 1.0 for k in kinds}, lower=LEAST, years=[1]),
        Row("budget", {f"build_{k}": BUILD[k] for k in kinds}, upper=BUDGET),
    ]
    parts += [
        Row(f"capacity_{k}", {f"build_{k}": -1.0, **{f"run_{k}_{m}": 1.0 for m in modes}}, upper=0.0) for k in kinds
    ]
    loads = (Factor("load"), *OTHERS)
    parts += [Row(f"load_{m}", {f"run_{k}_{m}": 1.0 for k in kinds}, lower=loads[m], years=[1]) for m in modes]
    model = Model("LandS", horizon=1, parts=parts, sense="minimise", factors=["load"])
    return model, MarkovLattice.independent([[5.0], LOADS], [[1.0], PROBABILITIES])
