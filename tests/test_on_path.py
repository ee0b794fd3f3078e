"""The readable form of a model, in Pyomo: the same optima as the sparse program, with any solver."""

import json

import numpy as np
import pyomo.environ as pyo
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.mpisppy_ef import mpisppy_extensive_form
from scenario_trees import ScenarioTree
from stochisru import InputError, load_case
from stochisru.lunar.information import flows
from stochisru.lunar.model import deployment_model
from stochisru.lunar.path_model import path_model as lunar_path
from stochisru.lunar.storage import Storage
from stochisru.methods.extensive_form import ExtensiveFormOptions
from stochisru.methods.registry import method_named
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
)
from stochisru.problem.on_path import path_model, scenario_model, solve_pyomo
from stochisru.programs.curves import Curve
from tests.test_problem import optimum, problems

SIZES = [
    {"lot": 40.0},
    {"fixed_cost": 1e6},
    {"c_dev_curve": Curve([0, 100, 400], [0, 2e6, 5e6]), "lot": 20.0},
    {"reference": 100.0, "c_dev_exponent": 0.7, "fixed_cost": 5e5},
]


def available():
    names = ["appsi_highs", "glpk", "cbc", "gurobi"]
    return [name for name in names if pyo.SolverFactory(name).available(exception_flag=False)]


@settings(max_examples=15)
@given(problems(max_T=2), st.sampled_from([Recourse(), Static(), Fixed(), WaitAndSee()]))
def test_scenario_form_has_the_value_of_the_tree_program(problem, information):
    case, tree = problem
    slack = 1e-7 * flows(case, tree) + 1e-6
    if not isinstance(information, Fixed):  # which years are open is the model's in a scenario form
        form = solve_pyomo(scenario_model(case.model, tree, information))
    else:
        first = case.model["dM"]
        if case.horizon.initial_deployment == "fixed":
            return
        form = solve_pyomo(scenario_model(case.model.with_part(Decision("dM", years=[0], cost=first.cost)), tree))
    assert form == pytest.approx(optimum(case.model, tree, information), rel=0, abs=slack)


@pytest.mark.parametrize("solver", available())
@pytest.mark.parametrize("symbols", SIZES)
def test_whole_numbers_and_curves_are_the_same_with_every_solver(symbols, solver):
    case = load_case("lunar-reference").replace(T=3, degradation=0.1, **symbols)
    path = [500.0, 700.0, 650.0, 900.0]
    ours = optimum(case.model, chain(path))
    assert solve_pyomo(path_model(case.model, path), solver) == pytest.approx(ours, rel=1e-5)


@pytest.mark.parametrize("symbols", SIZES[:2])
def test_scenarios_with_whole_numbers(symbols):
    case = load_case("lunar-reference").replace(T=2, **symbols)
    tree = ScenarioTree.from_process(case.process, [2, 2])
    ours = optimum(case.model, tree)
    assert solve_pyomo(scenario_model(case.model, tree)) == pytest.approx(ours, rel=1e-5)
    assert mpisppy_extensive_form(case, tree).objective == pytest.approx(ours, rel=1e-5)


@pytest.mark.parametrize("solver", available())
@pytest.mark.parametrize("symbols", [{}, {"lot": 50.0, "degradation": 0.05}, {"fixed_cost": 1e6}])
def test_any_solver_of_pyomo_takes_the_recourse_problem(symbols, solver):
    case = load_case("lunar-reference").replace(T=2, **symbols)
    tree = ScenarioTree.from_process(case.process, [3, 2])
    best = optimum(case.model, tree)
    for problem in (case, case.model):
        found = method_named("ef").solve(problem, tree, ExtensiveFormOptions(pyomo_solver=solver))
        assert found.objective == pytest.approx(best, rel=1e-4)
        assert found.bounds.lower <= best * (1 + 1e-6)
        assert found.bounds.upper >= best * (1 - 1e-6)
        assert found.solver == f"{solver} by Pyomo"
        assert (
            evaluate(case.model, {"dM": found.plan.columns["dM"]}, tree).value
            == pytest.approx(found.objective, rel=1e-9)
            if problem is case.model
            else found.plan.value == found.objective
        )


def test_the_solver_of_pyomo_is_an_option(run_cli):
    words = ["solve", "lunar-reference", "--horizon", "2", "--branching", "2,2", "--pyomo-solver"]
    done = run_cli(*words, "highs", "--json", "-")
    assert json.loads(done.stdout)["solver"] == "highs by Pyomo"
    for more, message in (
        (["nosuch"], "error: solver: 'nosuch' is not available to Pyomo on this machine"),
        (["highs", "--rel-gap", "0.1"], "error: pyomo_solver: takes no solver, rel_gap and time_limit"),
    ):
        done = run_cli(*words, *more)
        assert done.returncode == 2
        assert done.stderr.startswith(message)
        assert done.stderr.count("\n") == 1


def test_operations_that_are_carried_over_know_nothing_later():
    case = load_case("lunar-reference").replace(T=2, M0=600.0, sigma=0.9)
    tree = ScenarioTree.from_process(case.process, [3, 2])
    model = deployment_model(case, Storage(0.1, 2000.0, 2000.0, 800.0))
    known = optimum(model, tree)
    assert solve_pyomo(scenario_model(model, tree)) == pytest.approx(known, rel=1e-7)
    assert optimum(model, tree, WaitAndSee()) > known + 1


def test_lifetimes_payments_and_minimisation():
    model = Model(
        "all of it",
        horizon=4,
        sense="minimise",
        discount_rate=0.1,
        parts=[
            Decision("built", lead=1, cost=[5, 4, 3, 2, 2], payment=[0.5, 0.5], lot=0.5, fixed_cost=[1, 2, 1, 2, 1]),
            State("plant", keep=0.9, gains={"built": 1.0}, initial=1.0, cost=0.1, enough=Factor("demand"), lifetime=2),
            Operation("served", value=-0.2),
            Operation("bought", value=-9.0),
            Row("capacity", {"served": 1.0, "plant": -1.0}, upper=0.0),
            Row("demand", {"served": 1.0, "bought": 1.0}, equals=Factor("demand")),
        ],
    )
    path = [1.0, 2.0, 3.0, 2.0, 4.0]
    assert solve_pyomo(path_model(model, path)) == pytest.approx(optimum(model, chain(path)), rel=1e-6)


def test_variables_and_constraints_have_the_names_of_the_source():
    case = load_case("lunar-reference").replace(T=2)
    m = lunar_path(case, [500.0, 600.0, 700.0])
    variables = {v.name for v in m.component_objects(pyo.Var)}
    assert {"dM", "M_leo", "M", "Qcap", "Q", "E", "Q_earth", "S"} <= variables
    assert {c.name for c in m.component_objects(pyo.Constraint)} == {
        "launch", "balance", "capacity", "delivery", "byproduct_is", "excess", "demand",
    }  # fmt: skip
    solve_pyomo(m)
    value = lambda v: np.array([pyo.value(v[t]) for t in m.years])  # noqa: E731
    assert value(m.E) == pytest.approx(value(m.Qcap) - value(m.Q))
    assert value(m.M_leo) == pytest.approx(case.technology.alpha * value(m.dM))
    with pytest.raises(InputError, match="demand: every value must be > 0"):
        lunar_path(case, [1.0, 0.0, 1.0])
    with pytest.raises(InputError, match="state 's': rule must be a new name, row 'r' has it"):
        Model("m", 1, [State("s", upper=1, rule="r"), Row("r", {"s": 1}, upper=1)])


@pytest.mark.parametrize("name", ["total", "objective", "load", "years"])
def test_names_that_pyomo_has_for_something_else_are_refused(name):
    """A row of such a name was replaced, and mpi-sppy's tools solved another problem."""
    model = Model("m", 1, [Operation("sold", value=1.0, upper=5.0), Row(name, {"sold": 1.0}, upper=3.0)])
    with pytest.raises(InputError, match=f"row '{name}': a path model has '{name}' for something else"):
        path_model(model, [1.0, 1.0])
