"""The efficient frontier of mean and CVaR of total NPV."""

import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stochisru import InputError, extensive_form, load_case
from stochisru.cli.main import main
from stochisru.lunar.studies.figures import tail_curve
from stochisru.lunar.studies.tail_frontier import tail_frontier
from stochisru.lunar.trees import case_tree

CASE = load_case("contested-market").replace(T=5)
TREE = case_tree(CASE, [5, 5, 3, 3, 2])


def call(monkeypatch, *words):
    monkeypatch.setattr("sys.argv", ["stochisru", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code or 0


def test_known_frontier():
    """Objectives and orders of issue 18's table, from a program of another hand."""
    found = tail_frontier(CASE, TREE, tail=0.1, weights=[0.0, 0.5, 1.0])
    assert [round(row["objective"] / 1e6, 3) for row in found.rows] == [8.356, 6.305, 4.769]
    assert [round(row["dM1"], 1) for row in found.rows] == [79.5, 60.4, 41.0]
    assert found.rows[0]["objective"] == pytest.approx(extensive_form(CASE, TREE).objective)


@settings(max_examples=8, deadline=None)
@given(st.sampled_from(["lunar-reference", "contested-market"]), st.floats(0.02, 0.9), st.integers(0, 2))
def test_more_weight_is_a_safer_tail_for_less_in_the_mean(name, tail, lead):
    case = load_case(name).replace(T=3, lead_time=lead)
    found = tail_frontier(case, case_tree(case, [4, 3, 2]), tail=tail)
    slack = 1e-6 * max(abs(row["mean"]) for row in found.rows)
    for bold, careful in pairwise(found.rows):
        assert careful["mean"] <= bold["mean"] + slack
        assert careful["cvar"] >= bold["cvar"] - slack
        assert careful["objective"] <= bold["objective"] + slack  # the tail is never above the mean
    for row in found.rows:
        assert row["objective"] == pytest.approx((1 - row["weight"]) * row["mean"] + row["weight"] * row["cvar"])
        assert row["lower"] <= row["objective"] <= row["upper"] + slack


def test_a_tail_of_everything_is_the_mean():
    rows = tail_frontier(CASE, TREE, tail=1.0, weights=[0.0, 1.0]).rows
    assert rows[0]["objective"] == pytest.approx(rows[1]["objective"])
    assert rows[1]["cvar"] == pytest.approx(rows[1]["mean"])


def test_the_command(monkeypatch, capsys, tmp_path):
    words = "contested-market", "--horizon", 3, "--branching", "4,3,2", "--tail", 0.1, "--weights", "0,0.5,1"
    assert call(monkeypatch, "risk", *words, "--out", tmp_path / "study", "--json", "-") == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["weight"] for row in rows] == [0, 0.5, 1]
    assert {(row["of"], row["unit"], row["sense"]) for row in rows} == {("tree", "$", "maximise")}
    assert (tmp_path / "study" / "figures" / "risk.pdf").stat().st_size > 1000
    assert call(monkeypatch, "risk", *words) == 0
    text = capsys.readouterr().out
    assert "CVaR of the worst 0.1" in text
    assert max(map(len, text.splitlines())) <= 80


def test_a_case_with_tables_has_orders_by_technology(monkeypatch, capsys):
    words = "docs/two-technologies.toml", "--horizon", 3, "--branching", "3,2,2", "--weights", "0,1", "--json", "-"
    assert call(monkeypatch, "risk", *words) == 0
    bold, careful = json.loads(capsys.readouterr().out)
    assert {"ice dM0", "ice dM1", "regolith dM0"} <= bold.keys()
    assert careful["ice dM1"] <= bold["ice dM1"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--weights", "1,0"), "weights: must be ascending numbers in [0, 1], got 1.0, 0.0"),
        (("--weights", "0,2"), "weights: must be ascending numbers in [0, 1]"),
        (("--weights", "a"), "weights: must be numbers"),
        (("--tail", "0"), "risk.tail: must be a finite number > 0"),
        (("--tail", "1.5"), "risk.tail: must lie in (0, 1]"),
    ],
)
def test_bad_input_is_one_line(monkeypatch, capsys, words, said):
    assert call(monkeypatch, "risk", "contested-market", "--horizon", 2, *words) == 2
    assert said in capsys.readouterr().err


def test_fixed_costs_are_refused():
    case = CASE.replace(fixed_cost=1e5)
    with pytest.raises(InputError, match="the risk of a total takes no curve and no fixed cost"):
        tail_frontier(case, TREE, tail=0.1)


def test_the_figure_has_a_point_per_weight():
    found = tail_frontier(CASE, TREE, tail=0.1, weights=[0.0, 0.5, 1.0])
    left, right = tail_curve(found).axes[:2]
    assert np.array_equal(left.lines[0].get_xdata(), [row["cvar"] for row in found.rows])
    assert len(right.lines) == len(found.orders) == 2
