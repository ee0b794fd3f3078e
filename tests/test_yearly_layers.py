"""Optima of cases with tables by layers, against the programs of their models."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from scenario_trees import ScenarioTree
from stochisru import extensive_form, load_case, value_table
from stochisru.lunar.exact.yearly_layers import TreeLayers, YearlyLayers, foreseen
from stochisru.problem import Fixed, Recourse, Static, WaitAndSee, chain, evaluate, held, mean_path
from stochisru.programs.effort import SolverLimits
from stochisru.values import optimum, values
from tests.test_by_year import TABLES, case_of

FORM = YearlyLayers()
BASE = load_case("contested-market").replace(T=4)
MORE = {
    "half years": {"horizon": {"step": 0.5}},
    "all at the root": {"horizon": {"lead_time": 6}, "costs": {"c_L": {"start": 5000.0, "growth": -0.2}}},
    "two years ahead, nothing in year 0": {
        "horizon": {"lead_time": 2, "initial_deployment": "fixed"},
        "economics": {"P_m": {"start": 9000.0, "growth": 0.1}},
    },
    "at once, with years of rest": {
        "horizon": {"lead_time": 0},
        "technology": {"availability": [1.0, 0.0, 0.5, 1.0, 1.0]},
    },
}
INFORMATIONS = [Recourse(), Static(), Fixed(), WaitAndSee()]


def grown(tables):
    """Lists of three years as long as the horizon."""
    text = {name: dict(table) if isinstance(table, dict) else table for name, table in tables.items()}
    for table in text.values():
        for each in table if isinstance(table, list) else [table]:
            for key, value in list(each.items()):
                if isinstance(value, list) and len(value) == 3 and key != "shares":
                    each[key] = [*value, value[1], value[2]]
    return text


@pytest.mark.parametrize("tables", [*TABLES.values(), *MORE.values()], ids=[*TABLES, *MORE])
def test_layers_are_the_programs(tables):
    case = case_of(BASE, **grown(tables))
    tree = ScenarioTree.from_process(case.process, [3, 2, 1, 2])
    plan = np.array([0.0, 30.0, 0.0, 55.5, 10.0])
    informations = [*INFORMATIONS, *(held({"dM": plan}, through) for through in (0, 1, 3, None))]
    model = case.model_on(tree)
    for information, on in itertools.product(informations, (tree, mean_path(tree))):
        assert FORM.refuses(case, on, information) is None
        ours = FORM.optimum(case, on, information)
        program = optimum(model, on, information, "highs", SolverLimits(1e-9))
        slack = 1e-9 * ours.bounds.flows
        assert ours.bounds.upper - ours.bounds.lower <= slack
        assert ours.bounds.lower == pytest.approx(program.bounds.lower, rel=0, abs=slack)
        if ours.plan is not None:
            assert evaluate(model, ours.plan, on).value == pytest.approx(ours.bounds.lower, rel=0, abs=slack)


def test_chunks_add_up(monkeypatch):
    case = case_of(BASE, **grown(TABLES["all together"]))
    tree = ScenarioTree.from_process(case.process, [3, 2, 2, 2])
    whole, plan = TreeLayers(case, tree).best(Recourse())
    monkeypatch.setattr("stochisru.lunar.exact.yearly_layers._CHUNK", 5 * tree.n_nodes)
    parts, pieces = TreeLayers(case, tree).best(Recourse())
    assert parts == pytest.approx(whole, rel=1e-12)
    assert pieces == pytest.approx(plan, rel=1e-9)


def test_a_foreseen_path_is_a_tree_of_one():
    case = case_of(BASE, **grown(TABLES["all together"]))
    paths = np.array([[1000.0, 1200.0, 900.0, 2000.0, 0.0], [1000.0, 0.0, 0.0, 10.0, 5000.0]])
    for path, worth in zip(paths, foreseen(case, paths.T), strict=True):
        tree = chain(path)
        found = optimum(case.model_on(tree), tree, Recourse(), "highs", SolverLimits(1e-9))
        assert worth == pytest.approx(found.bounds.lower, rel=1e-9)


def test_values_of_a_case_take_them():
    case = case_of(BASE, **grown(TABLES["costs fall"]))
    tree = ScenarioTree.from_process(case.process, [3, 2, 2, 1])
    found, programs = value_table(case, tree), values(case.model_on(tree), tree)
    for name, bounds in found.optima.items():
        assert bounds.bounds.certified, name
        assert bounds.bounds.lower == pytest.approx(programs.optima[name].bounds.lower, rel=1e-9, abs=1.0), name
    assert found.bracket("rp").lower == pytest.approx(extensive_form(case, tree).objective, rel=1e-9)


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        ({"launch": {"mass_limit": 1e4}}, "launch.mass_limit"),
        ({"technology": {"lifetime": 3}}, "lifetime"),
        ({"storage": {"capacity": 10.0}}, "storage"),
        ({"risk": {"kind": "total", "weight": 0.5, "tail": 0.1}}, "risk"),
        ({"launch": {"lot": 50.0}, "economics": {"P_m": [9000.0] * 5}}, "launch, scale"),
    ],
)
def test_what_is_no_sum_of_layers_is_refused(tables, words):
    case = case_of(BASE, **tables)
    tree = ScenarioTree.from_process(case.process, [2, 2, 1, 1])
    assert words in FORM.refuses(case, tree, Recourse())


def test_plans_that_cannot_be_placed_are_refused():
    case = case_of(BASE, **MORE["two years ahead, nothing in year 0"])
    tree = ScenarioTree.from_process(case.process, [2, 2, 1, 1])
    for plan in ([5.0, 0, 0, 0, 0], [0.0, -1.0, 0, 0, 0], [0.0, 1.0]):
        assert "can be placed" in FORM.refuses(case, tree, held({"dM": plan}))
    assert "stage per year" in FORM.refuses(case, ScenarioTree.from_process(case.process, [2]), Recourse())
