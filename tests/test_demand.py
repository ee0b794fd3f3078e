"""Cases that say their process: what is stated, what takes it, and what refuses it by name."""

import json

import numpy as np
import pytest

from scenario_trees import (
    DatedStep,
    DiscreteDrift,
    GeometricBrownianMotion,
    HiddenRegimes,
    JumpDiffusion,
    MarkovLattice,
    MeanReverting,
    RegimeSwitching,
    SaturatingGrowth,
    ScenarioTree,
    UnknownDrift,
)
from scenario_trees.origin import Origin
from stochisru import (
    InputError,
    exact_values,
    extensive_form,
    lattice_dp,
    load_case,
    policy_named,
    process_values,
    sddp,
    simulate,
    simulate_panel,
    threshold,
    value_table,
    wait_and_see,
)
from stochisru.lunar.run import run_case
from stochisru.lunar.simulation import npv_on_paths
from stochisru.lunar.simulation.outcome import demand_kurtosis
from stochisru.lunar.strategies.outlook import quantile_growth
from stochisru.lunar.strategies.trigger import added_margin
from stochisru.lunar.trees import case_lattice, case_tree
from stochisru.lunar.values.lattice import lattice_values
from stochisru.problem.sampled import SampledScenarios
from stochisru.simulation.metrics import lognormal_kurtosis
from stochisru.testing import check_strategy

ENDS = {"kind": "jumps", "jumps": [{"rate": 0.1, "size": -1.0}]}
REGIMES = {
    "kind": "regimes",
    "drifts": [0.25, 0.0],
    "volatilities": [0.15, 0.3],
    "switching": [[0.8, 0.2], [0.3, 0.7]],
}
#: Process tables and the process that is meant.
STATED = {
    "gbm": ({"kind": "gbm"}, GeometricBrownianMotion(1000.0, 0.2, 0.2)),
    "jumps": (ENDS, JumpDiffusion),
    "mean-reverting": ({"kind": "mean-reverting", "level": 3000.0, "reversion": 0.3}, MeanReverting),
    "regimes": (REGIMES, RegimeSwitching),
    "hidden-regimes": ({**REGIMES, "kind": "hidden-regimes", "prior": [0.6, 0.4]}, HiddenRegimes),
    "unknown-drift": ({"kind": "unknown-drift", "prior_sd": 0.05}, UnknownDrift),
    "cut prior": ({"kind": "unknown-drift", "prior_sd": 0.1, "low": 0.0, "high": 0.4}, DiscreteDrift),
    "discrete-drift": (
        {"kind": "discrete-drift", "drifts": [0.0, 0.3], "weights": [0.5, 0.5]},
        DiscreteDrift,
    ),
    "saturating": ({"kind": "saturating", "capacity": 8000.0, "imitation": 0.5}, SaturatingGrowth),
    "step": ({"kind": "step", "size": 2.0, "dates": [2.0], "probabilities": [0.6]}, DatedStep),
}
KINDS = [name for name in STATED if name != "gbm"]


def stated(process, T=3, **symbols):
    """The reference case with a process."""
    return load_case("lunar-reference").replace(process=process, T=T, **symbols)


def case_of(name, **symbols):
    return stated(STATED[name][0], **symbols)


@pytest.mark.parametrize("name", STATED)
def test_a_case_states_its_process_and_keeps_it(name, tmp_path):
    case, meant = case_of(name), STATED[name][-1]
    assert case.process == meant if name == "gbm" else isinstance(case.process, meant)
    assert case.process.initial == case.demand.D0
    file = tmp_path / "case.toml"
    file.write_text(case.to_toml(), encoding="utf-8")
    again = load_case(file)
    assert again == case
    assert again.digest() == case.digest() != load_case("lunar-reference").replace(T=3).digest()
    assert again.process == case.process
    assert case.to_frame().loc["process", "value"] == str(case.process)
    assert case.replace(D0=500.0).process.initial == 500.0


def test_cases_without_a_process_are_as_they_were():
    case = load_case("lunar-reference")
    assert case.to_frame().loc["process", "value"] is None
    assert case.process == case.gbm == GeometricBrownianMotion(1000.0, case.demand.mu, case.demand.sigma)
    assert stated({"kind": "jumps", "jumps": [{"rate": 0.0, "size": -1.0}]}).process == stated({"kind": "gbm"}).process


@pytest.mark.parametrize(
    "process, message",
    [
        ({"kind": "levy"}, r"demand.process: must be one of 'gbm', 'jumps', .*got"),
        ({"drifts": [1.0]}, r"demand.process: must be one of"),
        ({"kind": "jumps", "jumps": []}, r"demand.process.jumps.jumps"),
        ({"kind": "jumps", "jumps": [{"rate": 0.1, "size": -1.5}]}, r"demand.process.size: must be >= -1"),
        ({"kind": "jumps", "jumps": [{"rate": 0.1}]}, r"demand.process.jumps.jumps.0.size: missing"),
        ({"kind": "step", "size": 2.0, "dates": [2.0], "colour": 1}, r"demand.process.step.colour: unknown key"),
        ({**REGIMES, "regime": 2}, r"demand.process.regime: must be an integer >= 0 and <= 1, got 2"),
        ({**STATED["unknown-drift"][0], "low": 0.0}, r"demand.process.low, high: a prior is cut off at both ends"),
    ],
)
def test_bad_tables_are_one_line(process, message):
    with pytest.raises(InputError, match=message) as caught:
        stated(process)
    assert "\n" not in str(caught.value)


def test_rows_of_regimes_and_missing_growth_are_one_line():
    with pytest.raises(InputError, match=r"demand.process.switching: every row must be >= 0 and sum to 1, row 0"):
        stated({**REGIMES, "switching": [[0.8, 0.3], [0.3, 0.7]]})
    with pytest.raises(InputError, match=r"demand.mu: kind regimes does not take it; leave it out"):
        stated(REGIMES, mu=0.2)
    with pytest.raises(InputError, match=r"demand.mu: missing; demand.sigma: missing"):
        stated(REGIMES).replace(process=ENDS)


@pytest.mark.parametrize("name", KINDS)
def test_what_needs_a_geometric_brownian_motion_refuses_by_name(name):
    case, kind = case_of(name), STATED[name][0]["kind"]
    for call in (
        lambda: threshold(case),
        lambda: exact_values(case),
        lambda: simulate(case, ["rolling"], paths=10),
        lambda: simulate(case, ["threshold"], paths=10),
    ):
        with pytest.raises(InputError, match=rf"needs a geometric Brownian motion, got {kind}") as caught:
            call()
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", KINDS)
def test_methods_agree_on_any_process(name):
    """Program and layers on the tree; layers and cuts on the lattice; and values in their order."""
    case = case_of(name, T=2)
    tree = ScenarioTree.from_process(case.process, [2, 2])
    found = extensive_form(case, tree)
    table = value_table(case, tree)
    assert table.rp.lower == pytest.approx(found.objective, rel=1e-7)
    assert table.eev.lower <= table.static.lower <= table.rp.lower <= table.ws.lower
    assert table.fixed.lower <= table.static.lower
    lattice = case_lattice(case, 6)
    exact = lattice_dp(case, lattice)
    cuts = sddp(case, lattice, rel_gap=1e-5)
    assert cuts.bounds.lower <= exact.objective * (1 + 1e-6)
    assert cuts.bounds.upper >= exact.objective * (1 - 1e-6)
    assert cuts.objective == pytest.approx(exact.objective, rel=1e-3)
    small = MarkovLattice.from_process(case.process, 2, 3)
    unfolded = small.to_tree()
    assert extensive_form(case, unfolded).objective == pytest.approx(lattice_dp(case, small).objective, rel=1e-7)


@pytest.mark.parametrize("name", KINDS)
def test_policies_of_plans_earn_what_the_process_allows(name):
    case = case_of(name)
    plan = lattice_dp(case, case_lattice(case, 60))
    rules = [
        plan.policy(name="lattice"),
        policy_named("tree", case),
        policy_named("static", case),
        "moderate",
        "reactive",
    ]
    found = simulate(case, rules, paths=4096, sampler="sobol")
    earned = {rule: found.metrics[rule]["npv_mean"] for rule in found.names}
    assert earned["lattice"].value == pytest.approx(plan.objective, rel=0.03)
    for rule in found.names:
        assert earned[rule].value <= earned["lattice"].value + 3 * found.difference(rule, "lattice").standard_error
    for rule in (plan.policy(name="lattice"), policy_named("tree", case), policy_named("moderate", case)):
        check_strategy(rule, case)


@pytest.mark.parametrize("name", ["jumps", "regimes", "unknown-drift"])
def test_brackets_of_the_process(name):
    case = case_of(name)
    found = process_values(case, paths=4096, seed=1)
    table = value_table(case, case_tree(case, [5, 4, 3]))
    rp = found.values["rp"]
    assert rp.lower <= table.rp.lower * 1.01
    assert table.rp.lower <= rp.upper * 1.01
    assert rp.lower <= rp.value <= rp.upper <= found.values["ws"].upper
    for value in ("static", "fixed", "nothing", "eev"):
        assert found.point(value) == pytest.approx(getattr(table, value).lower, rel=0.03)
    assert json.dumps(found.to_dict())
    assert found.decision["dM1"] > 0


def test_what_is_committed_is_what_the_value_is_of(tmp_path):
    """Where a plan without modules earns less than a simple rule: the rule is the decision, and a run flies it."""
    case = case_of("regimes").replace(lot=300.0, degradation=0.1, lead_time=2)
    found = process_values(case, paths=4096, seed=1)
    rule = found.recourse.policy(name="again")
    assert found.method in found.recourse.termination.detail
    assert found.decision["rule"] == rule.describe(case)
    assert found.recourse.bounds.of == "process"
    worth = simulate(case, [rule], paths=4096, seed=99).metrics["again"]["npv_mean"]
    assert worth.lower < found.values["rp"].value < worth.upper
    outcome = run_case(case, tmp_path / "run", tree=case_tree(case, [2, 2, 1]), paths=200)
    assert outcome.values.decision["rule"] == rule.describe(case)
    assert sum(outcome.values.decision[f"dM{year}"] for year in range(3)) > 0


def test_values_are_those_of_the_exact_policy_where_it_exists(monkeypatch):
    """The way by paths, sent down a geometric Brownian motion: its brackets hold the exact values."""
    from stochisru.lunar.values.on_paths import path_values
    from stochisru.simulation.sampling import Sampling

    case = load_case("lunar-reference").replace(T=4)
    exact, found = exact_values(case), path_values(case, Sampling(8192, 3, "sobol")).values
    for name in ("rp", "static", "fixed", "eev", "nothing"):
        value = exact.point(name)
        room = 0.002 * abs(value)
        assert found[name].lower - room <= value <= found[name].upper + room
    assert found["ev"].value == pytest.approx(exact.point("ev"), rel=1e-12)


def test_a_programme_that_has_ended_orders_nothing_and_breaks_nothing():
    case = stated({"kind": "jumps", "jumps": [{"rate": 1.0, "size": -1.0}]}, T=4)
    panel = simulate_panel(case, ["moderate", policy_named("lattice", case), policy_named("tree", case)], paths=300)
    demand = panel["demand"].values
    assert (demand == 0).any(axis=1).mean() > 0.8
    ended = np.concatenate([np.zeros((300, 1), dtype=bool), demand[:, :-1] == 0], axis=1)
    for policy in ("lattice", "tree"):
        assert panel["deployment"].sel(strategy=policy).values[ended].max() == 0
    run = simulate(case, ["moderate", "lattice"], paths=300)
    assert np.isfinite(run.npv).all()
    assert np.isfinite(run.distributions()["value"]).all()
    tree = case_tree(case, [2, 2, 2, 2])
    assert np.isfinite(wait_and_see(case, tree).leaf_value).all()
    nothing = npv_on_paths(case, policy_named("moderate", case), np.array([[1000.0], [0.0], [0.0], [0.0], [0.0]]))
    assert np.isfinite(nothing).all()


def test_hurdles_look_from_where_demand_stands():
    """Quantile of the growth from a regime, against simulation; of a jump process it is the process's."""
    case = case_of("regimes", T=4)
    for regime in (0, 1):
        process = RegimeSwitching(1.0, (0.25, 0.0), (0.15, 0.3), ((0.8, 0.2), (0.3, 0.7)), regime=regime)
        wanted = process.quantile(0.3, np.array([1, 2]))
        demand = np.array([1200.0, 1500.0])
        seen = np.full((2, 1), float(regime))
        found = quantile_growth(case.process, case.horizon.T, 2, 0.3, np.array([1, 2]), demand, seen)
        assert np.allclose(found, wanted[:, None], rtol=0.03)
    jumps = case_of("jumps")
    assert np.array_equal(
        quantile_growth(jumps.process, jumps.horizon.T, 1, 0.4, np.arange(3), demand, None)[:, 0],
        jumps.process.quantile(0.4, np.arange(3)) / 1000.0,
    )
    margins = added_margin(case, 1, demand, np.array([100.0, 100.0]), 0.5, 0.5, np.array([[0.0], [1.0]]))
    assert margins.shape == (2,)
    with pytest.raises(InputError, match="demand: the rule needs regime beside demand"):
        npv_on_paths(case, policy_named("moderate", case), np.full((5, 3), 1000.0))


def test_sample_trees_of_mpi_sppy_take_as_many_normal_numbers_as_a_step_needs():
    for kind, draws in (("mean-reverting", 1), ("regimes", 2)):
        case = case_of(kind, T=2)
        sampled = SampledScenarios(case.model, case_tree(case, [2, 2]), [2, 2], [1])
        path = sampled.path(np.zeros(2 * draws))
        assert path.shape == (3, 1)
        assert path[0, 0] == case.demand.D0


def test_kurtosis_of_demand():
    case = load_case("lunar-reference")
    near = stated({"kind": "jumps", "jumps": [{"rate": 1e-9, "size": -0.5}]}, T=10)
    assert demand_kurtosis(near) == pytest.approx(demand_kurtosis(case), rel=1e-6)
    assert demand_kurtosis(case) == lognormal_kurtosis(0.2**2 * 10)


def test_trees_of_many_kinds_are_small_or_refused():
    case = case_of("regimes", T=6)
    assert case_tree(case).n_nodes <= 100_000
    with pytest.raises(
        InputError, match=r"branching: the smallest tree of regimes.* over 30 years has .* take a lattice"
    ):
        case_tree(case.replace(T=30))
    assert case_tree(case_of("jumps", T=20)).n_nodes <= 100_000


def test_origin_of_a_case_tree_is_its_process():
    case = case_of("step")
    assert case_tree(case).origin.same(Origin(case.process))
    with pytest.raises(InputError, match=r"tree: was made from GBM with a step\(.*the case's demand is GBM\("):
        value_table(load_case("lunar-reference").replace(T=3), case_tree(case))


@pytest.mark.slow
def test_commands_take_any_process(run_cli, tmp_path):
    file = tmp_path / "ends.toml"
    file.write_text(stated(ENDS).to_toml(), encoding="utf-8")
    found = json.loads(run_cli("value", str(file), "--paths", "2048", "--json", "-").stdout)
    assert found["of"] == "process"
    assert found["rp"] <= found["ws"]
    run_cli("run", str(file), "--paths", "300", "--out", str(tmp_path / "run"))
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "jumps -1 at rate 0.1" in page
    outcome = run_cli("solve", str(file), "--method", "threshold", check=2)
    assert "needs a geometric Brownian motion, got jumps" in outcome.stderr
    assert outcome.stderr.count("\n") <= 2


def test_values_of_a_lattice_with_regimes_are_those_of_its_tree():
    """Perfect information is less the control of a policy that looks at the regime (it was refused)."""
    found = lattice_values(case_of("regimes", T=2), states=6, paths=4096)
    table = value_table(found.case, found.lattice.to_tree())
    assert found.rp.lower == pytest.approx(table.point("rp"))
    assert found.static.lower == pytest.approx(table.point("static"))
    assert found.ws.lower <= table.point("ws") <= found.ws.upper
