"""The parking garage of de Neufville, Scholtes and Wang (2006) under certain demand, and how many levels it has.

Published: six levels, NPV $6,238,416. What demand that is not certain does to it: ``docs/garage.md``.
"""

from __future__ import annotations

import numpy as np

from scenario_trees import MarkovLattice
from stochisru.problem import Decision, Factor, Model, Operation, Part, Row, State
from stochisru.programs.curves import Curve

LEVEL, MOST, YEARS, RATE = 200.0, 9, 15, 0.12
LEASE = 3.6e6


def garage() -> tuple[Model, MarkovLattice]:
    """The problem: whole levels are built in year 0, open from year 1 on; levels above two grow dearer by 10 % each."""
    slopes = 16_000 * np.maximum(1.1 ** (np.arange(MOST) - 1.0), 1.0)
    construction = Curve.from_slopes(LEVEL * np.arange(MOST + 1), slopes)
    parts: list[Part] = [
        Decision("construction", years=[0], lot=LEVEL, curve=construction, upper=MOST * LEVEL),
        State("spaces", gains={"construction": 1.0}, upper=MOST * LEVEL),
        Operation("used", value=[0.0, *[10_000.0] * YEARS], upper=Factor("cars")),
        Operation("kept", value=[0.0, *[-2_000.0] * YEARS], upper=MOST * LEVEL),
        Operation("lease", value=-LEASE, lower=1.0, upper=1.0),
        Row("there", {"used": 1.0, "spaces": -1.0}, upper=0.0),
        Row("all_are_kept", {"kept": 1.0, "spaces": -1.0}, equals=0.0),
    ]
    year = np.arange(1, YEARS + 1)
    cars = np.round(1750 - 1000 * 4.0 ** (-(year - 1) / 9))
    model = Model("garage", horizon=YEARS, parts=parts, discount_rate=RATE, factors=["cars"])
    return model, MarkovLattice.independent([[cars[0]], *cars[:, None]])
