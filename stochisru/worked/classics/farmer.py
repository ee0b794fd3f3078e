"""The farmer of Birge and Louveaux (2011), section 1.1: land is sown before the yield is known.

Published: RP −108,390 $, EVPI 7,015.56 $, VSS 1,150 $; 170, 80 and 250 acres of wheat, corn and sugar beets.
"""

from __future__ import annotations

from scenario_trees import MarkovLattice
from stochisru.problem import Coefficient, Decision, Factor, Model, Operation, Part, Row

#: Cost of sowing ($/acre), mean yield (t/acre), and what cattle need (t).
CROPS = {"wheat": (150.0, 2.5, 200.0), "corn": (230.0, 3.0, 240.0), "beets": (260.0, 20.0, 0.0)}
#: Price ($/t) and most that is sold at it (t).
SALES: dict[str, list[tuple[float, float | None]]] = {
    "wheat": [(170.0, None)],
    "corn": [(150.0, None)],
    "beets": [(36.0, 6_000.0), (10.0, None)],
}
#: Price of what is bought, $/t.
PURCHASES = {"wheat": 238.0, "corn": 210.0}
ACRES = 500.0


def farmer() -> tuple[Model, MarkovLattice]:
    """The problem, with yields 20 % below their mean, at it, or 20 % above."""
    parts: list[Part] = []
    for crop, (cost, mean, need) in CROPS.items():
        parts.append(Decision(crop, lead=1, years=[1], cost=cost, upper=ACRES))
        balance: dict[str, Coefficient] = {crop: Factor("yields", mean)}
        for i, (price, most) in enumerate(SALES[crop]):
            parts.append(Operation(f"{crop}_sold_{i}", value=price, upper=most, years=[1]))
            balance[f"{crop}_sold_{i}"] = -1.0
        if crop in PURCHASES:
            parts.append(Operation(f"{crop}_bought", value=-PURCHASES[crop], upper=need, years=[1]))
            balance[f"{crop}_bought"] = 1.0
        parts.append(Row(f"{crop}_balance", balance, lower=need, years=[1]))
    parts.append(Row("land", dict.fromkeys(CROPS, 1.0), upper=ACRES))
    model = Model("farmer", horizon=1, parts=parts, sense="minimise", factors=["yields"])
    return model, MarkovLattice.independent([[1.0], [0.8, 1.0, 1.2]])
