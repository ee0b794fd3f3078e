"""Results in a console and a notebook: short lines, tables, pictures."""

import pytest
from matplotlib.figure import Figure

from scenario_trees import ScenarioTree
from stochisru import decide, extensive_form, load_case, process_values, sddp, simulate, threshold, value_table
from stochisru.networks import solve_network
from tests.networks import small


@pytest.fixture(scope="module")
def results():
    case = load_case("lunar-reference").replace(T=3)
    tree = ScenarioTree.from_process(case.process, [3, 3, 3])
    result = extensive_form(case, tree)
    return {
        "case": case,
        "tree": tree,
        "model": case.model,
        "result": result,
        "plan": result.plan,
        "plan of a model": extensive_form(case.model, tree).plan,
        "policy": result.policy(),
        "exact plan": threshold(case).plan,
        "plan of cuts": sddp(case, states=3).plan,
        "values": value_table(case, tree),
        "process values": process_values(case),
        "simulation": simulate(case, ["moderate"], paths=100),
        "advice": decide(case, [900.0, 1000.0]),
        "network": solve_network(small(mixed=False)),
        "tables": case.with_tables(launch={"mass_limit": 500.0}),
    }


def test_lines_are_short(results):
    long = {name: len(repr(thing)) for name, thing in results.items() if len(repr(thing)) > 700 or "\n" in repr(thing)}
    assert long == {}
    assert "dM0" in repr(results["plan"])


def test_a_notebook_shows_tables(results):
    for name, thing in results.items():
        if name in ("model", "policy"):
            continue
        text = thing._repr_html_()
        assert "<table" in text or "<pre" in text, name
        assert len(text) < 20_000, name


def test_what_was_changed_is_told(results):
    case = load_case("lunar-reference")
    assert "c_dev 10,000 → 9,000, c_op 1,866 → 1,816 (spares_cost)" in repr(case.replace(c_dev=9000.0))
    assert "mass_limit none → 500" in repr(case.with_tables(launch={"mass_limit": 500.0}))
    assert "mass_limit none → 500" in repr(case.replace(T=3).with_tables(launch={"mass_limit": 500.0}))
    assert list(case.differences(case.replace(c_dev=9000.0)).index) == ["c_dev", "c_op"]
    assert case.differences(case).empty
    assert case.with_tables(launch={"mass_limit": 500.0}).with_tables(launch=None) == case


@pytest.mark.parametrize("name", ["tree", "values", "process values", "simulation"])
def test_pictures(results, name, tmp_path):
    figure = results[name].plot()
    assert isinstance(figure, Figure)
    figure.savefig(tmp_path / "figure.svg")
    assert (tmp_path / "figure.svg").stat().st_size > 2_000
