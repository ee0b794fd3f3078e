"""Runs of cases with tables beyond the base problem: folder, numbers against other ways to them, page."""

import json
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from stochisru import InputError, ScenarioTree, extensive_form, load_case, process_values
from stochisru.cli.main import main
from stochisru.lunar.case import problem_from_dict
from stochisru.lunar.general_policies import simulate_general
from stochisru.lunar.general_run import run_general_case
from stochisru.lunar.strategies import STRATEGIES
from stochisru.lunar.tables.worth_of_each import without, worth_of_each
from stochisru.lunar.trees import case_tree
from stochisru.simulation.sampling import Sampling
from tests.test_tables import stated

TWO = Path(__file__).parents[1] / "docs" / "two-technologies.toml"


def changed(**tables):
    """The documented case with other tables."""
    data = tomllib.loads(TWO.read_text())
    for factor in tables.get("factors", []):
        data["costs"].pop(factor["symbol"])
    for name, table in tables.items():
        data[name] = {**data.get(name, {}), **table} if isinstance(table, dict) else table
    return problem_from_dict(data)


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    case = load_case(TWO)
    folder = tmp_path_factory.mktemp("run") / "two"
    return run_general_case(case, folder, tree=case_tree(case, [3, 3, 3]), paths=300, seed=1)


def test_a_run_is_what_its_parts_are(ran):
    case, tree = load_case(TWO), case_tree(load_case(TWO), [3, 3, 3])
    values = process_values(case, paths=300, seed=1)
    assert ran.values.values == values.values
    assert ran.decision == values.decision
    assert set(ran.decision) >= {"ice", "regolith", "rule"}
    assert ran.tree_values.point("rp") == pytest.approx(extensive_form(case, tree).objective, rel=1e-6)
    mean = ran.simulation.metrics["policy"]["npv_mean"]
    assert mean.value == pytest.approx(values.point("rp"), abs=5 * mean.standard_error)
    plant = pd.read_parquet(ran.folder / "tables" / "operations.parquet")
    plant = plant[(plant["strategy"] == "policy") & (plant["year"] == 0)].set_index("quantity")["mean"]
    assert plant["M_ice"] == pytest.approx(ran.decision["ice"]["dM0"], rel=1e-6)


def test_what_a_policy_earns_is_what_its_quantities_cost(ran):
    """Plant that arrives over the years is what stands, and what is wanted is supplied by someone."""
    table = pd.read_parquet(ran.folder / "tables" / "operations.parquet")
    own = table[table["strategy"] == "static"]
    by = own.pivot(index="year", columns="quantity", values="mean")
    assert np.allclose(by["dM_ice"].cumsum(), by["M_ice"])
    fan = pd.read_parquet(ran.folder / "tables" / "fan.parquet")["mean"].to_numpy()
    assert np.allclose(by[["Q_ice", "Q_regolith", "Q_earth", "S"]].sum(axis=1), fan, rtol=0.08)


def test_worth_of_a_technology_is_rp_with_it_less_rp_without():
    case = load_case(TWO)
    tree = ScenarioTree.from_process(case.process, [3, 2, 2])
    rp = extensive_form(case, tree).objective
    for worth in worth_of_each(case, tree):
        alone = extensive_form(without(case, worth.name), tree).objective
        assert worth.value == pytest.approx(rp - alone, abs=1e-6 * abs(rp) + 1.0)
        assert worth.bounds.lower <= worth.value <= worth.bounds.upper
    data = tomllib.loads(TWO.read_text())
    twin = {**data["technologies"][1], "name": "again"}
    twice = problem_from_dict({**data, "technologies": [*data["technologies"], twin]})
    found = {worth.name: worth.value for worth in worth_of_each(twice, tree)}
    assert found["again"] == pytest.approx(0.0, abs=1e-6 * abs(rp))
    assert found["regolith"] == pytest.approx(0.0, abs=1e-6 * abs(rp))
    assert worth_of_each(without(case, "ice"), tree) == ()


def test_page_and_folder(ran):
    page = (ran.folder / "report.html").read_text()
    for words in (
        "kg of plant this year:",
        "of ice for year 0",
        "regolith is built",
        "CVaR 95 % of the loss",
        "Values of the process",
    ):
        assert words in page
    assert page.count("<script>") == 1  # our own
    assert {"case.toml", "tree.npz", "report.html", "figures/plant.png", "tables/metrics.csv"} <= set(ran.files)
    assert load_case(ran.folder / "case.toml").digest() == load_case(TWO).digest()


def _command(arguments):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 0


def test_run_of_the_command_line_and_its_page_again(tmp_path, capsys):
    out, told = tmp_path / "out", tmp_path / "run.json"
    arguments = ["run", str(TWO), "--branching", "2,2,1", "--paths", "256", "--out", str(out), "--json", str(told)]
    _command(arguments)
    found = json.loads(told.read_text())
    assert set(found) >= {"decision", "values", "strategies", "files", "tree", "technologies"}
    assert set(found["strategies"]) == {"policy", "tree", "static", "fixed", "ev", "nothing", *STRATEGIES}
    assert found["technologies"]["regolith"]["of"] == "tree"
    before = (out / "report.html").read_bytes()
    _command(["report", str(out)])
    assert (out / "report.html").read_bytes() == before
    capsys.readouterr()


def test_a_case_without_values_of_the_process_is_decided_on_its_tree(tmp_path):
    risky = changed(risk={"measure": "mean-cvar", "kind": "total", "weight": 0.5, "tail": 0.2})
    several = changed(factors=[{"symbol": "c_E", "initial": 3000.0, "mu": 0.0, "sigma": 0.2}])
    for name, case, branching in (("risky", risky, [2, 2, 1]), ("several", several, [(2, 2), (2, 1), (1, 1)])):
        tree = ScenarioTree.from_process(case.process, branching)
        found = run_general_case(case, tmp_path / name, tree=tree, paths=200)
        assert found.values is None
        assert found.no_values
        assert found.decision["of"] == "tree"
        assert found.simulation.names == ["policy", "nothing", *STRATEGIES]
        assert json.dumps(found.to_dict(), default=str)
        assert found.no_values in (tmp_path / name / "report.html").read_text()


def test_policies_are_judged_on_the_same_paths(ran, tmp_path):
    told = tmp_path / "simulate.json"
    _command(["simulate", str(TWO), "--paths", "300", "--seed", "1", "--json", str(told)])
    found = json.loads(told.read_text())["strategies"]
    assert set(found) == {"policy", "static", "fixed", "ev", "nothing", *STRATEGIES}
    for name in ("static", "fixed", "ev", "nothing"):  # the run's policy is chosen on other pilot paths
        assert found[name]["npv_mean"] == pytest.approx(ran.simulation.metrics[name]["npv_mean"].value, rel=1e-9)
    best = max(found, key=lambda name: found[name]["npv_mean"])
    assert best == "policy"


def test_policies_that_a_case_lacks_are_refused():
    risky = changed(risk={"measure": "mean-cvar", "kind": "total", "weight": 0.5, "tail": 0.2})
    with pytest.raises(InputError, match=r"^strategies: must be among tree, nothing, conservative, .*, as risk: "):
        simulate_general(risky, ["static"])
    with pytest.raises(InputError, match=r"^strategies: must be among policy, tree, .*, got 'rolling'"):
        simulate_general(risky, ["rolling"])
    assert simulate_general(risky, None, Sampling(200, 1)).names == ["tree", "nothing", *STRATEGIES]


@pytest.mark.parametrize(
    "tables",
    [
        {"storage": {"capacity": 500.0, "boil_off": 0.1}},
        {
            "customers": [
                {"name": "fuel", "share": 0.6, "price": 3000.0},
                {"name": "air", "share": 0.4, "price": 5000.0},
            ]
        },
        {"payment": {"when": "order"}},
    ],
    ids=["store", "customers", "payment"],
)
def test_runs_of_stores_customers_and_payments(tables, tmp_path):
    case = problem_from_dict(stated(**tables))
    found = run_general_case(case, tmp_path / "run", tree=case_tree(case, [2] + [1] * (case.horizon.T - 1)), paths=256)
    assert found.values is not None
    assert (found.folder / "report.html").exists()


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--method", "sddp"], "method: must be one of"),
        (["--paths", "1"], "paths: must be"),
        (["--branching", "2,2"], "branching: needs one factor per year"),
        (["--solver", "none"], "solver: must be"),
    ],
)
def test_bad_arguments_are_one_line(arguments, message, tmp_path, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["run", str(TWO), "--out", str(tmp_path / "out"), *arguments])
    assert caught.value.code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
