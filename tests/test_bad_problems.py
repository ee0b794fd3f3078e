"""Bad problems, plans and grounds: one line that names part, year and what is expected."""

import re

import numpy as np
import pandas as pd
import pytest

from scenario_trees import GeometricBrownianMotion, MarkovLattice, ScenarioTree
from stochisru import InputError, extensive_form, progressive_hedging, sddp, simulate_policies
from stochisru.errors import InfeasibleError
from stochisru.problem import Decision, Factor, Model, Operation, Row, State, held, on_tree
from stochisru.problem.evaluate import evaluate
from stochisru.problem.on_path import path_model, scenario_model, solve_pyomo
from stochisru.problem.paths import chain
from stochisru.problem.policies import Planned
from stochisru.programs.curves import Curve
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


# ------------------------------------------- found by a newcomer: wrong optima, then words

WALK = GeometricBrownianMotion(60.0, 0.1, 0.2)
SMALL = ScenarioTree.from_process(WALK, [2, 2])


def plant(order=(), state=(), T=2, **kw):
    """Order a year ahead, sell up to plant and demand."""
    parts = [
        Decision("o", **{"lead": 1, "cost": 5.0, "upper": 100.0, **dict(order)}),
        State("p", **{"gains": {"o": 1.0}, **dict(state)}),
        Operation("q", value=9.0),
        Row("cap", {"q": 1.0, "p": -1.0}, upper=0.0),
        Row("dem", {"q": 1.0}, upper=Factor("demand")),
    ]
    return Model("m", T, parts, **kw)


LEAST = Row("min", {"p": 1.0}, lower=150.0, years=[2])
LEAST_TOO = Row("min", {"p": -1.0}, upper=-150.0, years=[2])


@pytest.mark.parametrize("row", [LEAST, LEAST_TOO])
def test_enough_is_no_constraint_where_a_row_asks_for_the_state(row):
    """The optimum is that of the model without enough, 1,046.35; it was infeasible."""
    plain = values(plant({"upper": 300.0}).with_part(row), SMALL).point("rp")
    said = plant({"upper": 300.0}, {"enough": Factor("demand")}).with_part(row)
    assert values(said, SMALL).point("rp") == pytest.approx(plain)
    with pytest.raises(InputError, match="decision 'o': needs a finite upper bound"):
        values(plant({"upper": None}, {"enough": Factor("demand")}).with_part(row), SMALL)


def test_enough_is_no_constraint_where_a_row_couples_states():
    """As much as three of the first asks for plenty of the second: enough of the second's own use is too little."""
    cheap = [Decision("b", lead=1, cost=1.0, upper=1000.0), State("r", gains={"b": 1.0}, enough=Factor("demand"))]
    ratio = Row("ratio", {"r": 1.0, "p": -3.0}, lower=0.0)
    told = plant({}, {"enough": Factor("demand")}).with_part(*cheap, ratio)
    untold = plant().with_part(cheap[0], State("r", gains={"b": 1.0}), ratio)
    assert values(told, SMALL).point("rp") == pytest.approx(values(untold, SMALL).point("rp"))


def test_enough_still_bounds_plant_that_operations_use():
    free = plant({"upper": None}, {"enough": Factor("demand")})
    assert values(free, SMALL).point("rp") == pytest.approx(values(plant(), SMALL).point("rp"))


@pytest.mark.parametrize("lower", [Factor("demand", -0.1), lambda year, factors: -1.0])
def test_amounts_are_not_negative_by_factors_either(lower):
    with pytest.raises(InputError, match=r"decision 'o': lower must be >= 0, got -.* in year 0"):
        extensive_form(plant({"lower": lower}), SMALL)


@pytest.mark.parametrize("enough", [-1.0, Factor("demand", -1.0)])
def test_less_than_nothing_is_not_enough(enough):
    with pytest.raises(InputError, match=r"state 'p': enough must be >= 0"):
        values(plant({}, {"enough": enough}), SMALL)


def test_a_horizon_of_one_year():
    """Order today, sell today: 60 at 9 less 60 at 5."""
    year = chain([60.0])
    assert values(plant(T=0), year).point("rp") == pytest.approx(240.0)
    assert evaluate(plant(T=0), {"o": [3.0]}, year).value == pytest.approx(12.0)


@pytest.mark.parametrize("solver", ["highs", "appsi_highs"])
@pytest.mark.parametrize("form", [lambda m: path_model(m, [60, 66, 73]), lambda m: scenario_model(m, SMALL)])
def test_infeasible_pyomo_models(solver, form):
    model = plant().with_part(Row("need", {"p": 1.0}, lower=500.0, years=[1]))
    with pytest.raises(InfeasibleError, match="ended with infeasible"):
        solve_pyomo(form(model), solver)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (
            lambda: plant().with_part(Row("n", {"p": 1.0}, lower=5, upper=1)),
            "row 'n': lower must be <= upper in year 0",
        ),
        (lambda: plant().with_part(Row("n", {"p": 1.0}, lower=1, upper=None)), "row 'n': upper must be a number"),
        (lambda: Factor("demand", "a"), "factor 'demand': times: must be a finite number"),
        (lambda: Factor("demand") * Factor("demand"), "give a function of (year, factors)"),
        (lambda: Factor("demand") + 1, "give a function of (year, factors)"),
        (
            lambda: plant({"fixed_cost": 3.0}).with_part(Operation("o_cost")),
            "programs have 'o_cost' for sizes of decision",
        ),
        (
            lambda: plant({"lot": 3.0}).with_part(Operation("o_lots")),
            "programs have 'o_lots' for sizes of decision 'o'",
        ),
        (lambda: State("p", rule="a b"), "state 'p': rule must be letters, digits and _"),
        (lambda: values(None, SMALL), "problem: must be a Model or a case, got NoneType"),
        (lambda: values(plant(), SMALL, rel_gap="a"), "rel_gap: must be in [0, 1)"),
        (lambda: evaluate("m", {}, SMALL), "model: must be a Model, got str"),
        (lambda: on_tree(plant(), SMALL, "static"), "information: must be one, such as Static()"),
        (lambda: path_model(plant(), [60, 61]), "path: must have one number per year 0..2 of m, got 2"),
        (lambda: path_model("m", [60, 61]), "model: must be a Model, got str"),
        (lambda: solve_pyomo(None), "model: must be a ConcreteModel of Pyomo, got NoneType"),
        (lambda: Model("a\nb", 1, [Operation("q")]), "name: must be text of one line"),
        (lambda: plant({"cost": [1, 2, np.nan]}), "cost must not be NaN, it is in year 2"),
        (lambda: plant({"cost": pd.Series([1.0, 2.0, 3.0], index=[2, 3, 4])}), "must have the years 0..2 as its index"),
    ],
)
def test_what_else_is_wrong_is_said(make, said):
    with pytest.raises(InputError) as error:
        make()
    assert said in one_line(error)


def test_a_series_of_numbers_goes_by_its_years():
    assert plant({"cost": pd.Series([1.0, 2.0, 3.0], index=[2, 1, 0])})["o"].cost == (3.0, 2.0, 1.0)


def test_convex_curves_in_pyomo_are_quiet(caplog):
    """Pyomo warned of a component that was replaced, ``value``."""
    path_model(plant({"curve": Curve([0, 30, 80], [0, 30, 200])}), [60, 66, 73])
    assert not caplog.records


STORE = State("store", gains={"p": 1.0, "q": -1.0}, upper=1000.0)


@pytest.mark.parametrize(
    "more",
    [
        (STORE, Row("end", {"store": 1.0}, lower=50.0, years=[2])),  # a row asks for what is in store
        (State("store", gains={"p": 1.0, "q": -1.0}, upper=1000.0, cost=[0.0, 0.0, -9.0]),),  # stock is worth something
        (  # drawn by force
            Operation("waste", value=-0.1, upper=100.0),
            Row("must", {"waste": 1.0}, lower=20.0),
            Row("both", {"q": 1.0, "waste": 1.0, "p": -1.0}, upper=0.0),
        ),
    ],
)
def test_enough_is_refused_where_what_the_state_feeds_asks_for_more(more):
    """Each was a wrong optimum with a tight bracket: 0 for 125, 270 for 4,650, −94 for −74 in other examples."""
    said = plant({"upper": None}, {"enough": Factor("demand")}).with_part(*more)
    with pytest.raises(InputError, match="decision 'o': needs a finite upper bound"):
        extensive_form(said, SMALL)


def test_a_short_run_asks_too_whether_there_is_a_plan():
    """A run of two iterations was never asked."""
    with pytest.raises(InfeasibleError, match="'need' of year"):
        sddp(shop().with_part(Row("need", {"sold": 1.0}, lower=150.0, years=[1, 2])), states=5, iterations=2)


def test_one_year_and_one_scenario_are_solved_or_sent_on():
    """SDDP of T = 0 ended in IndexError, PH asked for a cut stage >= 1 and <= 0."""
    year = MarkovLattice.independent([[60.0]])
    assert sddp(plant(T=0), year).objective == pytest.approx(240.0, rel=1e-6)
    for tree in (year.to_tree(), MarkovLattice.independent([[60.0], [60.0], [70.0]]).to_tree()):
        with pytest.raises(InputError, match="tree: has one scenario"):
            progressive_hedging(plant(T=tree.horizon), tree)
