"""Problems whose optimum is 0, or as near to it as rounding: every method says that they are solved."""

import pytest

from scenario_trees import GeometricBrownianMotion, MarkovLattice
from stochisru import extensive_form, progressive_hedging, sddp
from stochisru.methods.result import NEAR_ZERO, relative_gap
from stochisru.problem import Decision, Factor, Model, Operation, Row, State

LATTICE = MarkovLattice.from_process(GeometricBrownianMotion(100.0, 0.05, 0.25), 3, 4)
TREE = LATTICE.to_tree()


def shop(price, cost, sense="maximise", start=0.0, rent=0.0, fixed=0.0):
    return Model(
        "shop",
        3,
        [
            Decision("order", lead=1, cost=cost, upper=1000.0, fixed_cost=fixed),
            State("plant", keep=0.9, gains={"order": 1.0}, initial=start),
            Operation("sold", price, upper=Factor("demand")),
            Row("capacity", {"sold": 1.0, "plant": -1.0}, upper=0.0),
            Operation("rent", -rent, years=[0], lower=[1.0, 0.0, 0.0, 0.0], upper=[1.0, 0.0, 0.0, 0.0]),
        ],
        sense=sense,
    )


def nothing():
    return shop(1.0, 5.0)


def least():
    return shop(1.0, 5.0, sense="minimise")


def even():
    """The price is the cost: any amount is as good."""
    sold = Operation("sold", 2.0, upper=Factor("demand"))
    return Model(
        "even", 3, [Decision("order", cost=2.0, upper=1e3), sold, Row("r", {"sold": 1, "order": -1}, equals=0)]
    )


def balanced():
    """Much is earned, and all of it is rent."""
    return shop(3.0, 2.0, start=50.0, rent=extensive_form(shop(3.0, 2.0, start=50.0), TREE).objective)


@pytest.mark.parametrize("made", [nothing, least, even, balanced])
@pytest.mark.parametrize("method", [extensive_form, progressive_hedging, sddp])
def test_an_optimum_of_zero_is_solved(made, method):
    result = method(made(), LATTICE if method is sddp else TREE)
    assert result.termination.reason == "optimal", result
    assert result.bounds.gap <= 1e-3
    assert result.bounds.lower <= 1e-9
    assert result.bounds.upper >= -1e-9
    assert abs(result.objective) <= 0.01  # of some thousand that flow


@pytest.mark.parametrize("method", [extensive_form, progressive_hedging])
def test_the_same_with_whole_numbers(method):
    assert method(shop(1.0, 5.0, fixed=100.0), TREE).termination.reason == "optimal"


def test_gaps_near_zero_are_relative_to_flows():
    assert relative_gap(0.0, 0.0) == relative_gap(0.0, 0.0, 100.0) == 0.0
    assert relative_gap(0.0, 1e-9) == 1.0
    assert relative_gap(0.0, 1e-9, 100.0) == pytest.approx(1e-9 / (NEAR_ZERO * 100.0))
    assert relative_gap(90.0, 100.0, 1000.0) == relative_gap(-100.0, -90.0) == pytest.approx(0.1)
    assert relative_gap(float("-inf"), 0.0, 100.0) == float("inf")
