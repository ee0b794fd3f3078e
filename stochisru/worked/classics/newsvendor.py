"""Newsvendors: order before demand is known.

Known: the best order is the smallest that meets demand with probability 1 − cost/price; of `newsvendor` it is 100, and
perfect information is worth 80 $. Of `newsvendor_lognormal` order and profit are closed forms, `lognormal_answer`.
"""

from __future__ import annotations

from math import exp, log
from statistics import NormalDist

import numpy as np

from scenario_trees import MarkovLattice
from stochisru.problem import Decision, Factor, Model, Operation, Part, Row

COST, PRICE = 4.0, 8.0
#: Mean demand and volatility of its logarithm in `newsvendor_lognormal`.
MEAN, SIGMA = 100.0, 0.4


def _order_and_sell(most: float) -> Model:
    parts: list[Part] = [
        Decision("order", lead=1, years=[1], cost=COST, upper=most),
        Operation("sold", value=PRICE, upper=Factor("demand")),
        Row("there", {"sold": 1.0, "order": -1.0}, upper=0.0),
    ]
    return Model("newsvendor", horizon=1, parts=parts)


def newsvendor() -> tuple[Model, MarkovLattice]:
    """Demand is 60, 100 or 140."""
    return _order_and_sell(140.0), MarkovLattice.independent(
        [[100.0], [60.0, 100.0, 140.0]], [[1.0], [0.25, 0.5, 0.25]]
    )


def newsvendor_lognormal(bins: int = 400) -> tuple[Model, MarkovLattice]:
    """Demand is lognormal, as so many equally likely conditional means."""
    law, edges = NormalDist(), np.linspace(0, 1, bins + 1)[1:-1]
    # E[D; D ≤ d] is the mean times the normal probability of that quantile, less sigma.
    below = np.array([0.0, *(law.cdf(law.inv_cdf(edge) - SIGMA) for edge in edges), 1.0])
    demand = MEAN * bins * np.diff(below)
    return _order_and_sell(float(demand[-1])), MarkovLattice.independent([[MEAN], demand])


def lognormal_answer() -> tuple[float, float]:
    """Best order and expected profit ($) of `newsvendor_lognormal` without bins."""
    law = NormalDist()
    z = law.inv_cdf(1 - COST / PRICE)
    return exp(log(MEAN) - SIGMA**2 / 2 + SIGMA * z), PRICE * MEAN * law.cdf(z - SIGMA)
