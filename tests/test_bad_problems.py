"""Bad problems, plans and grounds: one line that names part, year and what is expected."""

import re

import numpy as np
import pytest

from scenario_trees import GeometricBrownianMotion, MarkovLattice, ScenarioTree
from stochisru import InputError, extensive_form, progressive_hedging, sddp, simulate_policies
from stochisru.errors import InfeasibleError
from stochisru.problem import Decision, Factor, Model, Operation, Row, State, held, on_tree
from stochisru.problem.evaluate import evaluate
from stochisru.problem.policies import Planned
from stochisru.values import values

GBM = GeometricBrownianMotion(100.0, 0.05, 0.2)
TREE = ScenarioTree.from_process(GBM, [3, 3])
LATTICE = MarkovLattice.from_process(GBM, 2, 5)
PATHS = GBM.sample(20, 2, seed=1).T


def shop(horizon=2, process=GBM, discount_rate=0.05, sense="maximise", factors=("demand",), risk=None, **decision):
    """Buy a year ahead, sell from what is kept."""
    buy = {"lead": 1, "cost": 1.0, "upper": 200.0} | decision
    parts = [
        Decision("buy", **buy),
        State("stock", keep=0.5, gains={"buy": 1.0}),
        Operation("sold", value=3.0, upper=Factor("demand")),
        Row("have", {"sold": 1.0, "stock": -1.0}, upper=0.0),
    ]
    return Model("shop", horizon, parts, sense, discount_rate, factors, process, risk)


def one_line(error):
    text = str(error.value)
    assert "\n" not in text
    return text


# ------------------------------------------------------------------ infeasible


def test_a_fixed_design_keeps_lower_bounds_of_later_years():
    """What must be bought in year 2 cannot be left: there is no fixed design (it was valued as if there were)."""
    found = values(shop(lower=(0.0, 0.0, 10.0)), TREE)
    assert found.to_dict()["fixed"] == "infeasible"
    assert found.point("static") > 0


def test_a_lower_bound_holds_in_the_decision_s_own_years_only():
    found = values(shop(lower=10.0, years=[0]), TREE)
    assert found.point("fixed") == pytest.approx(found.point("rp"))


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (Row("need", {"sold": 1.0}, lower=150.0, years=[1]), "row 'need' of year 1"),
        (Row("need", {"sold": 1.0}, lower=300.0, years=[2]), "row 'need' of year 2"),
        (Row("need", {"stock": 1.0}, equals=900.0, years=[1]), "row 'need' of year 1"),
    ],
)
@pytest.mark.parametrize("solve", [extensive_form, progressive_hedging])
def test_an_infeasible_problem_names_row_and_year(solve, row, said):
    with pytest.raises(InfeasibleError) as error:
        solve(shop().with_part(row), TREE)
    assert said in one_line(error)


def test_whole_numbers_alone_can_be_what_cannot_be_kept():
    model = shop(lot=7.0).with_part(Row("exact", {"buy": 1.0}, equals=10.0, years=[1]))
    with pytest.raises(InfeasibleError) as error:
        extensive_form(model, TREE)
    assert "its rows can be kept, but not by whole numbers" in one_line(error)


@pytest.mark.parametrize("on", [TREE, PATHS])
def test_a_plan_that_breaks_a_row_names_it(on):
    model = shop().with_part(Row("room", {"stock": 1.0}, upper=50.0))
    with pytest.raises(InfeasibleError) as error:
        evaluate(model, {"buy": [0, 40, 40]}, on)
    assert "row 'room' of year 2" in one_line(error)


def test_sddp_ends_where_every_plan_breaks_a_row():
    """It bought what is missing at the price of slacks until its limit of iterations."""
    with pytest.raises(InfeasibleError) as error:
        sddp(shop().with_part(Row("need", {"sold": 1.0}, lower=150.0, years=[1, 2])), states=5)
    assert "'need' of year" in one_line(error)


def test_sddp_names_rows_of_the_first_stage():
    with pytest.raises(InfeasibleError) as error:
        sddp(shop().with_part(Row("need", {"sold": 1.0}, lower=150.0, years=[0])), states=5)
    assert "'need' of year 0" in one_line(error)


def test_sddp_goes_on_where_a_row_can_be_kept_with_foresight():
    """The least that must be there in year 2 asks for an order in year 1 whatever the demand: few plans, but some."""
    least = Row("least", {"stock": 1.0}, lower=120.0, years=[2])
    found = sddp(shop().with_part(least), LATTICE)
    tree = LATTICE.to_tree()
    assert found.objective == pytest.approx(extensive_form(shop().with_part(least), tree).objective, rel=2e-3)


# ---------------------------------------------------------------------- parts


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"cost": None}, "decision 'buy': cost must be a number"),
        ({"lower": -3}, "decision 'buy': lower must be >= 0"),
        ({"lot": "a"}, "decision 'buy': lot: must be a finite number > 0"),
        ({"lead": 1.5}, "decision 'buy': lead: must be an integer"),
        ({"payment": 3}, "decision 'buy': payment must be lead + 1 = 2 shares"),
        ({"payment": ["a", "b"]}, "decision 'buy': a share of payment: must be a finite number"),
        ({"discount_rate": "a"}, "discount_rate: must be a finite number > -1"),
        ({"discount_rate": None}, "discount_rate: must be a finite number > -1"),
        ({"process": "gbm"}, "process: must be a process"),
        ({"risk": 3}, "risk: must be a TailOfTotal"),
        ({"factors": [3]}, "factors: must be different names"),
        ({"factors": ["demand", "demand"]}, "factors: must be different names"),
    ],
)
def test_bad_parts(changed, said):
    with pytest.raises(InputError) as error:
        shop(**changed)
    assert said in one_line(error)


@pytest.mark.parametrize("initial", ["a", None, np.nan])
def test_bad_start_of_a_state(initial):
    with pytest.raises(InputError, match="state 'x': initial: must be a finite number"):
        State("x", initial=initial)


def test_a_problem_of_nothing():
    with pytest.raises(InputError, match="parts: must have a decision, a state or an operation"):
        Model("empty", horizon=2, parts=[])


def test_a_part_that_is_none():
    with pytest.raises(InputError, match="parts: must be Decision, State"):
        shop().with_part("sold")


def test_the_order_of_parts_is_explained():
    with pytest.raises(InputError) as error:
        Model("shop", 1, [State("b", gains={"a": 1.0}), Operation("a")])
    assert "stated before it are no parts; 'a' comes after it, state it first" in one_line(error)


def test_what_bounds_an_operation_may_be_stated_too_late():
    parts = [Decision("buy", upper=9.0), Operation("sold"), State("stock", gains={"buy": 1.0, "sold": -1.0})]
    with pytest.raises(InputError) as error:
        values(Model("shop", 2, parts), TREE)
    assert "operation 'sold'" in one_line(error)
    assert "or state 'stock' before it" in one_line(error)


@pytest.mark.parametrize(
    ("cost", "said"),
    [
        (lambda year, factors: factors["demand"][5000], "IndexError"),
        (lambda year, factors: factors.demand, "AttributeError"),
        (lambda year: 1.0, "TypeError"),
    ],
)
def test_a_function_that_fails_is_named_with_its_year(cost, said):
    for solve in (lambda model: values(model, TREE), lambda model: sddp(model, states=3)):
        with pytest.raises(InputError) as error:
            solve(shop(cost=cost))
        assert re.match(rf"decision 'buy': cost of year \d cannot be computed: {said}", one_line(error))


# --------------------------------------------------------------------- grounds

GROUNDS = [ScenarioTree.from_process(GBM, [3]), LATTICE, None, "x", PATHS[:, :2], PATHS[0], -PATHS, [["a", "b", "c"]]]


@pytest.mark.parametrize("ground", GROUNDS, ids=lambda ground: type(ground).__name__)
@pytest.mark.parametrize(
    "use",
    [
        values,
        on_tree,
        extensive_form,
        progressive_hedging,
        lambda model, ground: evaluate(model, {"buy": [0, 10, 10]}, ground),
    ],
)
def test_bad_grounds(use, ground):
    with pytest.raises(InputError) as error:
        use(shop(), ground)
    assert re.match("tree|paths|on|plan", one_line(error))


@pytest.mark.parametrize("ground", [TREE, "a", MarkovLattice.from_process(GBM, 3, 5)])
def test_bad_lattices(ground):
    with pytest.raises(InputError, match=r"lattice: (must be a MarkovLattice or a number of states|needs one stage)"):
        sddp(shop(), ground)


# ----------------------------------------------------------------------- plans


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        ({"buy": "abc"}, "'buy' must be finite numbers"),
        ({"buy": [[1, 2]]}, "'buy' must be finite numbers"),
        ({"buy": [1, 2]}, "one amount per year, 3"),
        ([0, 1, 2], "must be a table of amounts by decision, got list"),
        (None, "must be a table of amounts by decision, got NoneType"),
        ({"buy": [1, 2, 3], "rent": [1, 2, 3]}, "'rent' is no decision of shop; its decisions are buy"),
        ({}, "needs amounts of 'buy'"),
    ],
)
def test_bad_plans(plan, said):
    with pytest.raises(InputError) as error:
        evaluate(shop(), plan, PATHS)
    assert said in one_line(error)


def test_bad_held_plans():
    with pytest.raises(InputError, match="'bogus' is no decision of shop"):
        on_tree(shop(), TREE, held({"bogus": [1, 2, 3]}))
    with pytest.raises(InputError, match="through: must be an integer >= 0"):
        held({"buy": [1, 2, 3]}, through="a")


def test_bad_policies():
    longer = extensive_form(shop(horizon=3), ScenarioTree.from_process(GBM, [2, 2, 2])).plan.policy("long")
    more = shop().with_part(Decision("rent", upper=5.0))
    for model, policies, said in (
        (shop(), ["x"], "policies: must be policies with a name that decide, got 'x'"),
        (shop(), None, "policies: must be one or more of different names"),
        (shop(), [longer], "policy long: is one of shop with buy in years 0..3"),
        (more, [extensive_form(shop(), TREE).plan.policy("own")], "shop has buy, rent in years 0..2"),
        (more, [sddp(shop(), states=3).plan.policy("own")], "shop has buy, rent in years 0..2"),
        (shop(), [Planned({"buy": [0, 1, 2], "x": [0, 1, 2]})], "'x' is no decision of shop"),
        (shop(), [Planned({"buy": "abc"})], "'buy' must be finite numbers"),
    ):
        with pytest.raises(InputError) as error:
            simulate_policies(model, policies, paths=10)
        assert said in one_line(error)
