"""The command ``evaluate``: values against closed forms, and every way in which a plan's file can be wrong."""

import json
import sys

import numpy as np
import pytest

from scenario_trees import ScenarioTree
from stochisru import load_case
from stochisru.cli.main import main
from stochisru.lunar.information import plan_value
from stochisru.lunar.operations import MeritOrder, discount_factors


def call(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["stochisru", "evaluate", *map(str, words)])
    with pytest.raises(SystemExit) as stop:
        main()
    return stop.value.code or 0


@pytest.fixture
def plan(tmp_path):
    def written(text):
        path = tmp_path / "plan.csv"
        path.write_text(text)
        return path

    return written


def test_a_plan_on_a_tree_is_worth_its_closed_form(plan, monkeypatch, capsys):
    path = plan("year,technology,kg\n2, plant, 30\n0,plant,100\n")
    words = ("lunar-reference", "--plan", path, "--branching", "3,2,2", "--horizon", 3, "--json", "-")
    assert call(monkeypatch, *words) == 0
    told = json.loads(capsys.readouterr().out)
    case = load_case("lunar-reference").replace(T=3)
    tree = ScenarioTree.from_process(case.process, [3, 2, 2])
    deployment = np.array([100.0, 0, 30.0, 0])
    assert told["value"] == pytest.approx(plan_value(case, tree, deployment[tree.stage]), rel=1e-9)
    assert told["bounds"]["lower"] <= told["value"] <= told["bounds"]["upper"]
    assert told["bounds"]["of"] == told["of"] == "tree"
    assert told["plan"] == {"dM0": 100.0, "dM1": 0.0, "dM2": 30.0, "dM3": 0.0}


def test_a_plan_on_the_process_has_the_interval_of_its_paths(plan, monkeypatch, capsys):
    path = plan("year,kg\n0,100\n")
    words = ("lunar-reference", "--plan", path, "--horizon", 2, "--paths", 400, "--seed", 5, "--json", "-")
    assert call(monkeypatch, *words) == 0
    told = json.loads(capsys.readouterr().out)
    case = load_case("lunar-reference").replace(T=2)
    paths = case.process.sample(400, 2, seed=5)
    cash = MeritOrder.of(case).profit(np.full_like(paths, 100 * case.technology.eta), paths) - 100 * case.costs.c_op
    cash[0] -= 100 * case.investment_cost
    npv = discount_factors(case) @ cash
    assert told["value"] == pytest.approx(npv.mean(), rel=1e-9)
    half = (told["bounds"]["upper"] - told["bounds"]["lower"]) / 2
    assert half == pytest.approx(1.97 * npv.std(ddof=1) / 20, rel=0.02)
    assert (told["of"], told["bounds"]["kind"], told["bounds"]["certified"]) == ("process", "95 %", False)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("year;kg\n0;1\n", "must have the columns year, kg and, if any, technology, once each, got 'year;kg'"),
        ("year,kg,kg\n0,1,2\n", "technology, once each, got 'year, kg, kg'"),
        ("PK\x03" + "x" * 500, "xxxxxx...xxxxxxxxxxxxx'"),
        ("year,kg\n", "has no rows; a plan of nothing is a row with 0 kg"),
        ("", "must have the columns year, kg and, if any, technology, once each, got an empty file"),
        ("year,kg\n0\n", "line 2: must have 2 values, one per column"),
        ("year,kg\n0,1,2\n", "line 2: must have 2 values, one per column"),
        ("year,kg\n0,1\n9,1\n", "line 3: year must be a whole number in 0..2, got 9"),
        ("year,kg\n0.5,1\n", "line 2: year must be a whole number in 0..2, got 0.5"),
        ("year,kg\nx,1\n", "line 2: year must be a whole number in 0..2, got 'x'"),
        ("year,kg\n0,1\n0,2\n", "line 3: year 0 of plant is there already"),
        ("year,kg\n0,-1\n", "line 2: kg must be a number in 0..1e+15, got -1"),
        ("year,kg\n0,inf\n", "line 2: kg must be a number in 0..1e+15, got inf"),
        ("year,kg\n0,1e30\n", "line 2: kg must be a number in 0..1e+15, got 1e30"),
        ("year,technology,kg\n0,ice,1\n", "line 2: technology must be plant, got 'ice'"),
    ],
)
def test_what_is_wrong_with_a_plan_is_said_in_one_line(plan, monkeypatch, capsys, text, message):
    assert call(monkeypatch, "lunar-reference", "--plan", plan(text), "--horizon", 2) == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.startswith("error: plan: ")
    assert told.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--on", "lattice"], "on: must be process, tree or paths, got 'lattice'"),
        (["--on", "lattice", "--branching", "2,2"], "on: must be process, tree or paths, got 'lattice'"),
        (["--on", "process", "--branching", "2,2"], "branching: is an option of --on tree"),
        (["--quantization", "binomial"], "quantization: is an option of --on tree"),
        (["--on", "tree", "--paths", "9"], "paths: is an option of --on process"),
        (["--paths", "1"], "paths: must be an integer >= 2, got 1"),
    ],
)
def test_options_without_a_meaning_are_refused(plan, monkeypatch, capsys, words, message):
    assert call(monkeypatch, "lunar-reference", "--plan", plan("year,kg\n0,1\n"), "--horizon", 2, *words) == 2
    assert message in capsys.readouterr().err


def test_a_plan_that_cannot_be_carried_out_is_bad_input(plan, monkeypatch, capsys, tmp_path):
    case = load_case("lunar-reference").replace(T=2, lot=50.0, name="modules")
    file = tmp_path / "modules.toml"
    file.write_text(case.to_toml())
    assert call(monkeypatch, file, "--plan", plan("year,kg\n1,20\n")) == 2
    assert "the plan's 20 of year 1 is no whole number of lots of 50" in capsys.readouterr().err
    assert call(monkeypatch, file, "--plan", tmp_path / "none.csv") == 2
    assert "plan: cannot read" in capsys.readouterr().err
