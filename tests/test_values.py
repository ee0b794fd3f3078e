"""Values of any problem by its programs: against today's tables, in both senses, infeasible ones, whole numbers."""

import itertools
import json
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenario_trees import ScenarioTree
from stochisru import BoundsError, load_case, value_table
from stochisru.lunar.exact.root_plan import plan_value_on_process
from stochisru.lunar.information import flows, plan_value
from stochisru.lunar.root_programs import program_optima
from stochisru.lunar.trees import case_tree
from stochisru.lunar.values.process import process_values
from stochisru.methods.registry import closed_forms
from stochisru.methods.result import Bounds, Kind, Of
from stochisru.problem import (
    Decision,
    Factor,
    Fixed,
    Model,
    Operation,
    Recourse,
    Row,
    State,
    Static,
    WaitAndSee,
    chain,
    evaluate,
    held,
    mean_path,
)
from stochisru.programs.effort import SolverLimits
from stochisru.values import DIFFERENCES, MEANING, Optimum, Values, _neighbours, optimum, values
from tests.test_problem import problems

FORK = ScenarioTree([-1, 0, 0], [0, 1, 1], [1, 0.5, 0.5], [1, 50, 100])


#: What no linear program has: modules, campaigns, economies of scale.
MIXED = [
    {},
    {"lot": 40.0},
    {"fixed_cost": 1e6},
    {"lot": 60.0, "fixed_cost": 5e5},
    {"reference": 100.0, "c_dev_exponent": 0.7},
    {"lot": 50.0, "degradation": 0.05},
    {"reference": 100.0, "eta_exponent": 0.8, "degradation": 0.1},
]


@settings(max_examples=30)
@given(problems())
def test_values_of_a_case_are_those_of_its_table(problem):
    case, tree = problem
    today = value_table(case, tree)
    slack = 1e-9 * flows(case, tree) + 1e-9
    for ours in (values(case, tree), values(case.model, tree)):
        for name in (*MEANING, *DIFFERENCES):
            assert ours.point(name) == pytest.approx(today.point(name), rel=0, abs=2 * slack), name
        for t, bounds in enumerate(today.eev_t):
            assert ours.point(f"eev_{t}") == pytest.approx(bounds.lower, rel=0, abs=slack)


@settings(max_examples=25)
@given(problems(max_T=3), st.sampled_from(MIXED))
def test_closed_forms_are_the_generic_programs(problem, symbols):
    """Every closed form that does not refuse a case has the optimum of the case's model, and a plan worth as much."""
    case, tree = problem
    case = case.replace(**symbols)
    plan = {"dM": np.rint(np.linspace(0, 3, case.horizon.T + 1)) * (case.launch.lot or 7.0)}
    if case.horizon.initial_deployment == "fixed":
        plan["dM"][0] = 0.0
    informations = [Recourse(), Static(), Fixed(), WaitAndSee(), held(plan), held(plan, 0)]
    slack = 1e-6 * flows(case, tree) + 1e-6
    tried = 0
    for form in closed_forms():
        for information in informations:
            for on in (tree, mean_path(tree)):
                if form.refuses(case, on, information) is not None:
                    continue
                tried += 1
                ours = form.optimum(case, on, information)
                program = optimum(case.model, on, information, "highs", SolverLimits(1e-9))
                assert ours.bounds.lower == pytest.approx(program.bounds.lower, rel=0, abs=slack)
                assert ours.bounds.certified
                if ours.plan is not None:
                    nodes = ours.plan["dM"] if ours.plan["dM"].size == on.n_nodes else ours.plan["dM"][on.stage]
                    assert evaluate(case.model, {"dM": nodes}, on).value == pytest.approx(
                        ours.bounds.lower, rel=0, abs=slack
                    )
    assert tried >= 4 or case.technology.degradation > 0


def test_closed_forms_say_why_they_refuse(monkeypatch):
    form, by_year = closed_forms()
    case = load_case("lunar-reference").replace(T=3)
    tree = ScenarioTree.from_process(case.process, [2, 2, 2])
    assert "DeploymentCase" in form.refuses(case.model, tree, Static())
    assert "linear program" in form.refuses(case, tree, Recourse())
    assert "degradation" in form.refuses(case.replace(lot=50.0, degradation=0.1), tree, Static())
    lots = case.replace(lot=50.0)
    assert form.refuses(lots, tree, Recourse()) is None
    assert "can be placed" in form.refuses(lots, tree, held({"dM": [10.0, 0, 0, 0]}))
    monkeypatch.setattr("stochisru.lunar.exact.closed_forms.MOST_LEVELS", 3)
    assert "levels of plant" in form.refuses(lots, tree, Recourse())
    assert "DeploymentCase" in by_year.refuses(case, tree, Recourse())


@pytest.mark.parametrize("symbols", [s for s in MIXED if s.get("degradation")])
def test_every_case_has_values(symbols):
    """Cases that no closed form takes in full have their programs."""
    case = load_case("lunar-reference").replace(T=3, **symbols)
    tree = ScenarioTree.from_process(case.process, [2, 2, 2])
    found = values(case, tree, rel_gap=1e-7)
    for name in MEANING:
        assert found.bracket(name).gap < 1e-5
    for name in DIFFERENCES:
        assert found.bracket(name).lower <= found.point(name) <= found.bracket(name).upper
        assert found.point(name) >= 0


def mirrored(sense):
    """One problem in both senses: gains maximised, or costs minimised."""
    sign = 1.0 if sense == "maximise" else -1.0
    return Model(
        "mirror",
        horizon=1,
        sense=sense,
        parts=[
            Decision("order", lead=1, cost=1.0, upper=200, lot=7.0, fixed_cost=3.0),
            Operation("sold", value=3.0, upper=Factor("demand")),
            State("stock", keep=0.5, gains={"order": 1.0, "sold": -1.0}),
        ],
    ), sign


def test_both_senses_have_the_same_values():
    (up, _), (down, _) = mirrored("maximise"), mirrored("minimise")
    ours, theirs = values(up, FORK, rel_gap=0), values(down, FORK, rel_gap=0)
    for name in MEANING:
        assert ours.point(name) == pytest.approx(-theirs.point(name))
    for name in DIFFERENCES:
        assert ours.point(name) == pytest.approx(theirs.point(name))
        assert ours.point(name) >= 0
    assert theirs.point("ws") <= theirs.point("rp") <= theirs.point("static")


def test_what_has_no_plan_is_infeasible_and_has_no_differences():
    """All demand must be met and none may be left: only who knows it orders right."""
    must = [Row("met", {"order": 1.0}, equals=Factor("demand"), years=[1])]
    order = Decision("order", lead=1, years=[1], cost=1.0, upper=200)
    found = values(Model("must", 1, [order, *must], sense="minimise"), FORK)
    assert found.point("ws") == pytest.approx(75.0)
    assert found.point("rp") == found.point("eev") == np.inf
    assert found.bracket("rp") is None
    assert found.point("evpi") is None
    assert "rp infeasible" in repr(found)
    assert "evpi none" in repr(found)
    told = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert told["rp"] == "infeasible"
    assert told["evpi"] is None
    assert found.to_frame().loc["rp", "kind"] == "infeasible"
    gain = values(Model("must", 1, [order, *must]), FORK)
    assert gain.point("rp") == -np.inf


def test_a_plan_that_breaks_a_bound_on_some_scenario_is_infeasible():
    """The mean path allows an order of 75; where demand is 50 no more than 50 may be ordered."""
    model = Model(
        "bound",
        horizon=1,
        parts=[
            Decision("order", lead=1, years=[1], cost=1.0, upper=Factor("demand")),
            Operation("sold", value=3.0),
            Row("stock", {"sold": 1.0, "order": -1.0}, upper=0.0),
        ],
    )
    found = values(model, FORK)
    assert found.point("ev") == pytest.approx(150.0)
    assert found.point("eev") == -np.inf
    assert found.point("rp") == pytest.approx(100.0)
    assert found.point("vss") is None


@given(
    st.lists(st.floats(-100, 100), min_size=4, max_size=4),
    st.sampled_from([1.0, -1.0]),
)
def test_neighbours_tell_each_other_what_they_prove(numbers, sign):
    a, b = sorted(numbers[:2]), sorted(numbers[2:])
    low, high = (Optimum(Bounds(*x, Kind.SOLVER, Of.TREE), {"of": np.array([i])}) for i, x in enumerate((a, b)))
    out_of_order = a[0] > b[1] + 1e-3 if sign > 0 else b[0] > a[1] + 1e-3
    if out_of_order:
        with pytest.raises(BoundsError, match="out of order"):
            _neighbours(sign, "less", low, "more", high)
        return
    in_order = a[0] <= b[1] if sign > 0 else b[0] <= a[1]
    less, more = _neighbours(sign, "less", low, "more", high)
    if in_order:  # the true values, somewhere in both brackets and in their order, stay in them
        assert less.bounds.lower >= a[0]
        assert less.bounds.upper <= a[1]
        assert more.bounds.lower >= b[0]
        assert more.bounds.upper <= b[1]
        hand = (less.bounds.lower, more.bounds.lower) if sign > 0 else (-less.bounds.upper, -more.bounds.upper)
        assert hand[0] <= hand[1]


def test_unknown_names_are_refused():
    found = Values(mirrored("maximise")[0], FORK, {})
    with pytest.raises(Exception, match="name: must be one of"):
        found.point("wsx")


# ------------------------------------------------------------------ on the process, where no exact method is


def best_of_all(case, worth, allowed):
    """Largest worth of all plans with up to nine modules a year, no closed form and no program."""
    counts = [range(10) if year in allowed else [0] for year in range(case.horizon.T + 1)]
    return max(worth(np.array(plan) * case.launch.lot) for plan in itertools.product(*counts))


@pytest.mark.parametrize("symbols", [{"degradation": 0.1}, {"degradation": 0.3, "fixed_cost": 2e6, "M0": 30.0}])
def test_modules_that_degrade_have_all_values_of_the_process(symbols):
    case = load_case("lunar-reference").replace(T=3, lot=100.0, sigma=0.4, **symbols)
    found = process_values(case, paths=1024).values
    mean = chain(case.process.mean(np.arange(4)))
    on_process, on_mean = partial(plan_value_on_process, case), partial(plan_value, case, mean)
    for name, worth, allowed in (
        ("static", on_process, range(4)),
        ("fixed", on_process, [0]),
        ("ev", on_mean, range(4)),
    ):
        best, bracket = best_of_all(case, worth, allowed), found[name]
        assert bracket.lower - 1e-3 <= best <= bracket.upper + 1e-3, name
        assert bracket.upper - bracket.lower <= 1e-3 * abs(best), name
        assert bracket.value == bracket.lower
    assert found["eev"].value <= found["static"].upper
    for name in ("vss", "vms", "scheduling", "flexibility"):
        assert found[name].lower <= found[name].value <= found[name].upper


def test_a_bound_on_bins_is_above_every_plan_of_the_process():
    """Jensen: with two bins a year the program promises more than it can keep, and never less."""
    case = load_case("lunar-reference").replace(T=3, degradation=0.1, lot=100.0, sigma=0.6)
    fine = program_optima(case)["static"]
    worth = plan_value_on_process(case, fine.deployment)
    assert worth <= fine.value <= fine.bound
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("stochisru.lunar.root_programs._BINS", 2)
        coarse = program_optima(case)["static"]
    assert coarse.bound > fine.bound + 1e-4 * abs(worth)


def test_trees_of_cases_without_exact_methods_are_small_unless_asked_for():
    case = load_case("lunar-reference")
    assert case_tree(case).n_leaves == 3**10
    assert case_tree(case.replace(lot=50.0, degradation=0.05)).n_leaves == 12
    assert case_tree(case.replace(reference=100.0, c_dev_exponent=1.3)).n_leaves == 2**9
    assert case_tree(case.replace(lot=50.0)).n_leaves == 3**10
    assert case_tree(case.replace(T=2, lot=50.0, degradation=0.05), [9, 9]).n_leaves == 81


def test_the_ladder_of_any_problem_has_a_figure():
    """In the sense of the problem, without bars of what is infeasible."""
    from stochisru import InputError
    from stochisru.report.chart import Bars
    from stochisru.report.figures import value_ladder
    from stochisru.worked.classics import farmer, financial_planning

    for name, label, bars in ((farmer, "expected cost", 5), (financial_planning, "expected NPV", 2)):
        model, lattice = name()
        found = values(model, lattice.to_tree())
        (panel,) = value_ladder(found.to_frame()).panels
        assert panel.x.label.startswith(label)
        assert sum(len(piece.at) for piece in panel.pieces if isinstance(piece, Bars)) == bars
    frame = found.to_frame()
    frame.loc["rp", "value"] = -np.inf
    with pytest.raises(InputError, match="rp is infeasible"):
        value_ladder(frame)


@pytest.mark.parametrize("symbols", [{}, {"lead_time": 3}, {"degradation": 0.1}, {"earth_limit": 500.0}])
def test_tables_are_the_same_by_the_dynamic_programme_and_by_programs(symbols, monkeypatch):
    case = load_case("contested-market").replace(T=5, **symbols)
    tree = ScenarioTree.from_process(case.process, [3] * 5)
    quick = value_table(case, tree)
    assert quick.recourse.method == "dp"
    monkeypatch.setattr("stochisru.lunar.exact.levels.FEW_LEVELS", 0)
    slow = value_table(case, tree)
    assert slow.recourse.method == "ef"
    for bounds, other in zip((quick.rp, *quick.eev_t), (slow.rp, *slow.eev_t), strict=True):
        assert bounds.lower == pytest.approx(other.lower, rel=1e-9)
        assert bounds.upper == pytest.approx(other.upper, rel=1e-9)
