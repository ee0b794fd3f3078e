"""Financial planning of Birge and Louveaux (2011), section 1.2: savings for a goal, in stocks and bonds.

Published: expected utility −1.514. What is held of each is decided period by period; amounts that are fixed in advance
cannot follow what the returns have made of them, so the static plan and EEV are infeasible.
"""

from __future__ import annotations

from collections.abc import Callable

from scenario_trees import MarkovLattice
from scenario_trees.arrays import Array
from stochisru.problem import Decision, Factors, Model, Operation, Part, Row, State

WEALTH, GOAL = 55.0, 80.0  # $1,000
SURPLUS, SHORTFALL = 1.0, 4.0  # utility per $1,000
#: Returns over five years in the bad and in the good outcome.
RETURNS = {"stocks": (1.06, 1.25), "bonds": (1.12, 1.14)}
BAD, GOOD = 1.0, 2.0
#: More than any asset can become, $1,000.
MOST = 200.0


def financial_planning() -> tuple[Model, MarkovLattice]:
    """The problem: three periods of five years, both outcomes equally likely in each."""
    parts: list[Part] = []
    for asset in RETURNS:
        parts += [
            Decision(f"hold_{asset}", years=[0, 1, 2], upper=MOST),
            Operation(f"buy_{asset}", lower=-MOST, upper=MOST, years=[0, 1, 2]),
            State(asset, keep=_returns(asset), gains={f"buy_{asset}": 1.0}, upper=MOST),
            Row(f"{asset}_held", {asset: 1.0, f"hold_{asset}": -1.0}, equals=0.0, years=[0, 1, 2]),
        ]
    parts += [
        Row("budget", {f"buy_{asset}": 1.0 for asset in RETURNS}, equals=[WEALTH, 0.0, 0.0, 0.0]),
        Operation("surplus", value=SURPLUS, upper=MOST, years=[3]),
        Operation("shortfall", value=-SHORTFALL, upper=GOAL, years=[3]),
        Row("goal", {**dict.fromkeys(RETURNS, 1.0), "surplus": -1.0, "shortfall": 1.0}, equals=GOAL, years=[3]),
    ]
    model = Model("financial planning", horizon=3, parts=parts, factors=["outcome"])
    return model, MarkovLattice.independent([[GOOD], *[[BAD, GOOD]] * 3])


def _returns(asset: str) -> Callable[[int, Factors], Array]:
    low, high = RETURNS[asset]
    return lambda year, factors: low + (high - low) * (factors["outcome"] - BAD) / (GOOD - BAD)
