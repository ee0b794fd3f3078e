"""Policies of cases with tables: the metrics of the base case, cash by year, paths of one's own."""

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from stochisru import InputError, load_case, simulate
from stochisru.cli.main import app
from stochisru.lunar.general_policies import simulate_general
from stochisru.lunar.simulation.monte_carlo import simulated_on
from stochisru.lunar.simulation.of_tables import simulate_tables
from stochisru.lunar.strategies import STRATEGIES
from stochisru.lunar.strategies.by_technology import heuristic
from stochisru.problem.policies import Planned, follow
from stochisru.simulation.metrics import UNITS
from stochisru.simulation.sampling import Sampling
from tests.test_by_technology import CASES, case_named, two


@pytest.mark.parametrize(
    "symbols",
    [
        {},
        {"lead_time": 2, "M0": 30.0},
        {"earth_limit": 300.0, "c_bu": 30e3, "degradation": 0.1},
        {"initial_deployment": "fixed", "lot": 10.0},
    ],
)
@pytest.mark.parametrize("given", [False, True])
def test_metrics_are_those_of_the_base_case(reference, tmp_path, symbols, given):
    case = reference.replace(T=5, **symbols)
    (tmp_path / "case.toml").write_text(case.to_toml() + "\n[[customers]]\nshare = 1.0\n")
    general, names = load_case(tmp_path / "case.toml"), ["moderate", "reactive"]
    if given:
        demand = np.vstack([np.full(300, case.demand.D0), np.random.default_rng(2).uniform(500, 4000, (5, 300))])
        base, found = simulated_on(case, names, demand), simulate_general(general, names, None, demand)
    else:
        base, found = simulate(case, names, paths=300, seed=4), simulate_general(general, names, Sampling(300, 4))
    assert found.values == pytest.approx(base.npv, rel=1e-9)
    assert found.cash == pytest.approx(base.cash, rel=1e-9, abs=1e-3)
    for name in names:
        mine, other = found.metrics[name], base.metrics[name]
        assert list(mine) == list(other) == list(UNITS)
        for metric, estimate in other.items():
            for side in ("value", "lower", "upper"):
                expected = getattr(estimate, side)
                got = getattr(mine[metric], side)
                assert got == pytest.approx(expected, rel=1e-6, abs=1e-6, nan_ok=True), (name, metric, side)
    assert found.difference(*names).value == pytest.approx(base.difference(*names).value)


@pytest.mark.parametrize("name", list(CASES))
def test_cash_discounted_is_npv(tmp_path, name):
    found = simulate_general(case_named(tmp_path, name), list(STRATEGIES), Sampling(30, 5))
    npv = np.einsum("t,ptn->pn", found.model.discount, found.cash)
    assert npv == pytest.approx(found.values, rel=1e-9)


def test_cash_is_in_the_year_in_which_it_is_paid(tmp_path):
    case = two(tmp_path, '[payment]\nwhen = "shares"\nshares = { ice = [0.2, 0.3, 0.5], regolith = [1.0] }\n')
    paths = np.full((1, 4), 1000.0)
    model = case.model_on(paths)
    bought, nothing = (
        follow(model, Planned({"dM_ice": [0.0, 0.0, 0.0, mass], "dM_regolith": np.zeros(4)}), paths).plan
        for mass in (10.0, 0.0)
    )
    bill = 10.0 * (5000.0 * 0.9**3 * 5.5 + 10_000.0)
    earned = 10.0 * (7.0 * (3000.0 + 3000.0) - 1800.0)
    assert (bought.cash - nothing.cash)[:, 0] == pytest.approx([0.0, -0.2 * bill, -0.3 * bill, earned - 0.5 * bill])
    assert bought.cash[:, 0] @ model.discount == pytest.approx(bought.value)


def test_a_policy_that_breaks_a_row_has_no_metrics(tmp_path):
    case = two(tmp_path, mass_limit="1.0")
    model = case.model_on(np.full((1, 4), 1000.0))
    too_much = Planned({"dM_ice": np.full(4, 0.1), "dM_regolith": np.full(4, 0.1)}, "too much")
    found = simulate_tables(case, model, [too_much, heuristic("moderate", case)], Sampling(40, 1))
    assert np.isfinite(found.metrics["moderate"]["npv_mean"].value)
    assert found.metrics["too much"]["npv_mean"].value == -np.inf
    assert "a row is broken on 40 of 40 paths" in found.metrics["too much"]["utilization"].reason
    assert found.to_dict()["differences"] == []


def test_command_takes_paths_of_ones_own(tmp_path):
    case = "docs/two-technologies.toml"
    demand = np.column_stack([np.full(50, 1000.0), np.random.default_rng(1).uniform(800, 2000, (50, 3))])
    pd.DataFrame(demand, columns=[str(t) for t in range(4)]).to_csv(tmp_path / "paths.csv", index=False)
    out = tmp_path / "out.json"
    arguments = ["simulate", case, "--strategies", "moderate,static", "--demand-paths", str(tmp_path / "paths.csv")]
    assert CliRunner().invoke(app, [*arguments, "--json", str(out)]).exit_code == 0
    data = json.loads(out.read_text())
    assert (data["of"], data["paths"], data["seed"]) == ("paths", 50, None)
    found = simulate_general(load_case(case), ["moderate", "static"], None, demand.T)
    for name in ("moderate", "static"):
        assert data["strategies"][name]["npv_mean"] == pytest.approx(found.values[found.names.index(name)].mean())
        assert 0 < data["strategies"][name]["utilization"] <= 1


def test_paths_of_demand_tell_no_other_factor(tmp_path):
    with pytest.raises(InputError, match="factors beside demand"):
        simulate_general(case_named(tmp_path, "factor"), ["nothing"], None, np.full((4, 3), 1000.0))
