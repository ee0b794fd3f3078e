"""The process is the headline: values, brackets and decisions say of what they are."""

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy.special import ndtr

from scenario_trees import GeometricBrownianMotion, ScenarioTree
from stochisru import BoundsError, InputError, exact_values, load_case, process_values, threshold, value_table
from stochisru.lunar.exact.root_plan import expected_value_plan_on_process, plan_value_on_process
from stochisru.lunar.relaxation import sddp_ignoring, threshold_ignoring
from stochisru.lunar.run import run_case
from stochisru.lunar.simulation import npv_on_paths, simulate_panel
from stochisru.lunar.strategies import Schedule
from stochisru.lunar.trees import case_lattice, case_tree
from stochisru.lunar.values.distance import distance
from stochisru.lunar.values.lattice import lattice_values
from stochisru.lunar.values.simulated import relaxation
from stochisru.methods.result import Bounds, Kind, Of


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    case = load_case("lunar-reference").replace(T=5)
    folder = tmp_path_factory.mktemp("runs") / "run"
    return run_case(case, folder, tree=case_tree(case, [3, 3, 2, 2, 1]), paths=200), folder


def test_a_difference_of_a_tree_and_the_process_is_neither():
    tree = Bounds.point(2.0, Kind.CERTIFIED, Of.TREE)
    process = Bounds.point(1.0, Kind.EXACT, Of.PROCESS)
    with pytest.raises(BoundsError, match="of: a value of the tree cannot be compared with one of the process"):
        tree.minus(process)
    simulated = Bounds(0.0, 1.0, Kind.STATISTICAL, Of.PROCESS)
    assert process.minus(simulated).kind is Kind.STATISTICAL  # as weak as the weaker
    assert process.minus(replace(simulated, confidence=0.9)).label == "90 %"
    assert process.label == process.kind.value
    assert not process.certified


def test_headline_is_the_process(run):
    outcome, _ = run
    exact = exact_values(outcome.values.case)
    assert outcome.values.point("rp") == exact.point("rp")
    data = json.loads(json.dumps(outcome.to_dict()))
    assert data["values"]["of"] == data["decision"]["of"] == "process"
    assert data["tree"]["values"]["of"] == data["tree"]["distance"]["of"] == "tree"
    assert data["decision"]["dM1"] == exact.recourse.first_stage["dM1"]
    assert data["decision"]["rule"].startswith("Order when demand exceeds")
    # the tree leaves out extremes, which a forecast is worth most in
    assert data["tree"]["values"]["evpi"] < data["values"]["evpi"]
    off = data["tree"]["distance"]["values"]["rp"]
    assert off == pytest.approx(data["tree"]["values"]["rp"] - data["values"]["rp"])


def test_page_names_the_problem_of_every_table(run):
    _, folder = run
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "Values of the process (NPV, maximised)" in page
    assert "Values of the tree (NPV, maximised)" in page
    assert page.index("Commit ") < page.index("Values of the process") < page.index("Values of the tree")


@pytest.mark.parametrize("horizon", [12, 13])
def test_value_does_not_jump_where_trees_end(run_cli, horizon):
    """Once `value` took the tree up to T = 12 and the process beyond: EVPI jumped from 9.3 to 25.4."""
    call = ("value", "lunar-reference", "--horizon", str(horizon), "--paths", "2048", "--json", "-")
    found = json.loads(run_cli(*call, check=0).stdout)
    assert found["of"] == "process"
    assert found["rp"] == pytest.approx(threshold(load_case("lunar-reference").replace(T=horizon)).objective, rel=1e-9)
    assert 19e6 < found["evpi"] < 28e6


def test_flexibility_without_uncertainty_is_all_scheduling():
    values = exact_values(load_case("lunar-reference").replace(sigma=0.0))
    assert values.point("flexibility") > 20e6
    assert values.point("scheduling") == pytest.approx(values.point("flexibility"), rel=1e-9)
    assert values.point("vms") == pytest.approx(0.0, abs=1.0)


def test_doing_nothing_is_the_base_of_a_plan():
    case = load_case("lunar-reference")
    nothing = exact_values(case).point("nothing")
    c, years = case.costs, np.arange(case.horizon.T + 1)
    served = min(c.c_E, c.c_bu)
    by_hand = -(served * case.process.mean(years) / (1 + case.economics.r) ** years).sum()
    assert nothing == pytest.approx(by_hand)
    tree = ScenarioTree.from_process(case.process, [2] * case.horizon.T)
    assert value_table(case, tree).nothing.lower == pytest.approx(by_hand)  # linear in demand: a tree has it exactly


@pytest.mark.parametrize(
    "changed",
    [
        {"earth_limit": 300.0},
        {"lot": 50.0, "fixed_cost": 1e6},
        {"c_dev_exponent": 0.7, "reference": 100.0},
        pytest.param({"lot": 50.0, "degradation": 0.05}, marks=pytest.mark.slow),
        {"earth_limit": 300.0, "lot": 50.0},
    ],
)
def test_brackets_where_no_exact_policy_exists(changed):
    case = load_case("lunar-reference").replace(T=4, **changed)
    found = process_values(case, paths=2048, seed=3)
    assert not found.exact
    rp = found.values["rp"]
    assert rp.lower <= rp.value <= rp.upper <= threshold(relaxation(case)).bounds.upper
    for low, high in pairwise([n for n in ("eev", "static", "rp", "ws") if n in found.values]):
        assert found.values[low].lower <= found.values[high].upper
    for name in ("evpi", "vss", "vms", "scheduling", "flexibility"):
        if name in found.values:
            assert 0 <= found.values[name].lower <= found.values[name].value <= found.values[name].upper
    data = found.to_dict()
    assert data["of"] == "process"
    assert data["kind"]["rp"] == "95 %"
    if "static" in found.values and "earth_limit" not in changed:
        # a fine tree's optimum lies in the bracket but for the tree's own error
        there = value_table(case, ScenarioTree.from_process(case.process, [9, 7, 5, 3]))
        assert rp.lower <= there.rp.upper * 1.01
        assert there.rp.lower <= rp.upper * 1.01


def limited(case, limit, plant, paths=400_000):
    """NPV of a constant plant under a limit on Earth by plain simulation: mean and standard error, $."""
    demand = case.process.sample(paths, case.horizon.T, seed=17)
    npv = npv_on_paths(case.replace(earth_limit=limit), Schedule("plan", plant), demand)
    return npv.mean(), npv.std() / np.sqrt(paths)


@pytest.mark.parametrize("changed", [{}, {"degradation": 0.1, "M0": 50.0}, {"c_bu": 20_000.0, "c_S": 100.0}])
def test_plans_fixed_in_advance_have_an_exact_value(changed):
    case = load_case("lunar-reference").replace(T=4, **changed)
    plant = (100.0, 0.0, 200.0, 0.0, 50.0)
    for limit in (0.0, 500.0, 1500.0):
        exact = plan_value_on_process(case.replace(earth_limit=limit), np.array(plant))
        mean, error = limited(case, limit, plant)
        assert abs(exact - mean) < 4.5 * error


@pytest.mark.slow
def test_no_plan_is_worth_less_than_one_without_earth():
    """A lattice's plan alone was, at T = 30: 7,266 to 7,319 million against 7,293 without Earth."""
    case = load_case("lunar-reference").replace(T=30, earth_limit=10_000.0)
    found = process_values(case, paths=4096).values
    assert found["no_earth"].upper <= found["rp"].lower
    assert (found["rp"].upper - found["rp"].lower) / found["rp"].value < 0.005
    assert found["earth_backup"].lower > 0


def test_a_case_without_earth_has_one_optimum():
    found = process_values(load_case("lunar-reference").replace(T=5, earth_limit=0.0, lot=50.0), paths=2048).values
    assert found["rp"] == found["no_earth"]
    assert found["earth_backup"].upper == 0


def test_where_nothing_can_be_reacted_to():
    """Seed 240 once ended with bounds that crossed by chance."""
    case = load_case("lunar-reference").replace(T=2, lead_time=3, sigma=0.05, earth_limit=2000.0)
    values = process_values(case, paths=2048, seed=240)
    found = values.values
    assert found["vms"].lower == found["vms"].upper == 0
    assert found["rp"] == found["static"]
    assert values.decision["dM0"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("limit", [300.0, 1500.0])
def test_brackets_hold_over_seeds(limit):
    """Each end is a 97.5 % limit: of 40 seeds it fails in five or more with probability 0.003."""
    case = load_case("lunar-reference").replace(T=4, earth_limit=limit)
    known = process_values(case, paths=200_000, seed=999, sampler="pseudo-random").values["rp"]
    found = [process_values(case, paths=512, seed=seed, sampler="pseudo-random").values["rp"] for seed in range(40)]
    assert sum(f.lower <= known.upper for f in found) >= 36
    assert sum(known.lower <= f.upper for f in found) >= 36


def test_distance_of_a_lattice_is_said():
    case = load_case("contested-market").replace(T=30)
    away = distance(case, case_lattice(case, 30))
    assert away.of is Of.LATTICE
    assert away.variance_error < -0.05
    text = away.describe(496.4e6, {"dM0": 139.4, "dM1": 70.3})
    assert "the lattice is not the process" in text
    assert "(-1.38% here)" in text


@pytest.mark.parametrize("changed", [{}, {"earth_limit": 300.0}, {"lot": 50.0, "fixed_cost": 1e6}, {"lead_time": 2}])
def test_values_of_a_lattice_are_those_of_its_tree(changed):
    """A lattice unfolded to a tree has the same problem."""
    case = load_case("lunar-reference").replace(T=3, **changed)
    values = lattice_values(case, states=6, paths=4096)
    tree = value_table(case, values.lattice.to_tree())
    for name in ("rp", "static", "fixed", "nothing", "ev", "eev", "vss", "vms", "scheduling", "flexibility"):
        assert values.point(name) == pytest.approx(tree.point(name), abs=1e-9 * tree.rp.flows), name
    assert values.ws.lower <= tree.ws.upper
    assert tree.ws.lower <= values.ws.upper
    assert values.ws.kind is Kind.STATISTICAL
    assert values.rp.of is values.evpi.of is Of.LATTICE


def test_value_on_a_lattice(run_cli):
    call = ("value", "contested-market", "--on", "lattice", "--states", "12", "--horizon", "8", "--paths", "500")
    data = json.loads(run_cli(*call, "--json", "-", check=0).stdout)
    assert data["of"] == data["distance"]["of"] == "lattice"
    assert data["eev"] <= data["static"] <= data["rp"]
    assert "the lattice is not the process" in run_cli(*call, check=0).stdout


@pytest.mark.parametrize("changes", [{}, {"earth_limit": 500.0}, {"lot": 25.0}])
def test_brackets_say_their_confidence_and_certain_demand_has_no_statistics(changes):
    case = load_case("lunar-reference").replace(T=4, **changes)
    ninety, most = (process_values(case, paths=1024, seed=3, confidence=c).to_dict() for c in (0.9, 0.999))
    assert set(ninety["kind"].values()) - {"exact", "bounded"} == {"90 %"}
    assert set(most["kind"].values()) - {"exact", "bounded"} <= {"99.9 %"}
    for sigma in (1e-12, 1e-9, 1e-6):  # values go over into those of certain demand
        near = process_values(case.replace(sigma=sigma), paths=256)
        assert near.point("rp") == pytest.approx(
            process_values(case.replace(sigma=0.0), paths=256).point("rp"), rel=1e-3
        )
    certain = process_values(case.replace(sigma=0.0), paths=256)
    assert set(certain.to_dict()["kind"].values()) == {"exact"}
    assert certain.values["ws"].lower == pytest.approx(certain.values["ws"].upper, rel=1e-9)
    there = lattice_values(case.replace(sigma=0.0), paths=64) if not changes else None
    assert there is None or there.ws.label == "certified"


def test_distance_takes_the_optimum_that_is_known():
    case = load_case("lunar-reference").replace(T=3)
    tree = ScenarioTree.from_process(case.process, [2, 2, 2])
    exact = threshold(case)
    assert distance(case, tree, exact).exact is exact
    assert distance(case, tree).to_dict() == distance(case, tree, exact).to_dict()


def test_partial_expectation_of_tiny_volatility():
    """E[min(D, K)] at K = E[D] is E[D]·(2·Φ(−σ/2)) exactly; the parts of its sum are rounded by 1e-16/σ."""
    for sigma in (1e-12, 1e-9, 1e-6, 1e-3, 0.2):
        process = GeometricBrownianMotion(1000.0, 0.1, sigma)
        level = process.mean(1.0)
        # 2·Φ(−σ/2) = 1 − σ/√(2π) + O(σ³)
        assert float(process.limited_mean(level, 1.0) / level) == pytest.approx(2 * ndtr(-sigma / 2), abs=1e-15)
        near = process.limited_mean(level * np.linspace(1 - 5 * sigma, 1 + 5 * sigma, 400), 1.0)
        assert (np.diff(near) > -1e-12).all()


@pytest.mark.parametrize("changed", [{"lot": 50.0}, {"lot": 50.0, "degradation": 0.05}, {"lot": 80.0, "lead_time": 2}])
def test_what_is_committed_is_what_is_flown(changed):
    """Modules of 50 kg once came with an order of 139.4 kg: the oracle is the plant that the simulation has."""
    case = load_case("lunar-reference").replace(T=5, **changed)
    solved = [process_values(case, paths=256).recourse, threshold_ignoring(case, paths=64)]
    solved.append(sddp_ignoring(case, states=4, paths=64, iterations=2))
    for result in solved:
        panel = simulate_panel(case, [result.policy(name="plan")], paths=3)
        years = range(min(case.horizon.lead_time, case.horizon.T) + 1)
        flown = {f"dM{t}": panel["deployment"].sel(strategy="plan", year=t).values for t in years}
        for name, mass in result.first_stage.items():
            assert mass == pytest.approx(flown[name])
            assert mass / case.launch.lot == pytest.approx(round(mass / case.launch.lot), abs=1e-9)
    assert "whole modules" in solved[1].policy().describe(case)
    assert "ignores modules" not in solved[1].policy().describe(case)
    decision = process_values(case, paths=256).decision
    assert decision["dM0"] == solved[0].first_stage["dM0"]


@pytest.mark.parametrize(
    "changed",
    [
        {"T": 10, "sigma": 1.5},
        {"T": 10, "sigma": 2.0},
        {"T": 12, "lead_time": 5},
        {"T": 10, "sigma": 1.0, "earth_limit": 3000.0},
        {"T": 4, "sigma": 2.5, "lot": 100.0},
        {"T": 4, "c_dev_exponent": 1.3, "reference": 100.0},
        {"T": 4, "fixed_cost": 1e12},
    ],
)
def test_values_keep_to_what_is_proven(changed):
    """Oracles: RP without lead time knows less than WS; NPV is concave in demand, so the mean path is worth more.

    Intervals of wait-and-see alone missed both: at sigma 1.5 [101, 528] million, floor 438, ceiling 485.
    """
    case = load_case("lunar-reference").replace(**changed)
    found = process_values(case, paths=1024, seed=5).values
    linear = case.linear_bound
    ceiling = expected_value_plan_on_process(linear).value
    assert found["ws"].upper <= ceiling * (1 + 1e-9) + 1.0
    if case.is_linear and case.costs.earth_limit is None:
        assert found["ws"].lower >= threshold(case.replace(lead_time=0)).bounds.lower - 1.0
    assert found["rp"].value >= found["nothing"].value
    for name, value in found.items():
        assert value.lower <= value.value <= value.upper, name
    assert found["ws"].value >= found["rp"].value
    assert found["evpi"].value == pytest.approx(found["ws"].value - found["rp"].value, abs=1e-6 * abs(ceiling))
    if changed.get("sigma", 0) >= 1:  # no interval from samples without their extremes
        assert found["ws"].label == found["evpi"].label == "bounded"


@pytest.mark.parametrize(("lot", "T"), [(200.0, 30), (50.0, 5), (1000.0, 12)])
def test_fixed_design_of_whole_modules_is_the_best_multiple(lot, T):
    """Oracle: every number of modules. Once the design of a lattice was printed with a bracket called exact."""
    case = load_case("lunar-reference").replace(lot=lot, T=T)
    found = process_values(case, paths=64).values["fixed"]
    plan = np.zeros(T + 1)
    best = -np.inf
    for n in range(600):
        plan[0] = n * lot
        best = max(best, plan_value_on_process(case, plan))
    assert found.value == pytest.approx(best, rel=1e-12)
    assert (found.lower, found.upper, found.label) == (found.value, found.value, "exact")


def test_a_bracket_between_two_values_is_not_called_exact():
    found = process_values(load_case("lunar-reference").replace(lot=200.0, T=10), paths=64).values["static"]
    assert found.upper > found.lower
    assert found.label == "bounded"


def test_values_that_a_case_has_not_are_named():
    found = process_values(load_case("lunar-reference").replace(T=3, c_dev_exponent=1.3, reference=100.0), paths=64)
    with pytest.raises(InputError, match=r"^name: must be one of the case's values, ws, rp, .*got 'defer'"):
        found.point("defer")
    for value in (found.values["ws"], found.values["evpi"]):  # a relaxation's foresight bounds them, it is not theirs
        assert value.lower < value.value < value.upper


def test_a_store_or_risk_does_not_hide_the_distance_of_the_lattice(run_cli):
    call = ("solve", "lunar-reference", "--method", "sddp", "--horizon", "2", "--states", "4", "--iterations", "2")
    for more in (("--boil-off", "0.1"), ("--risk-weight", "0.5")):
        run = run_cli(*call, *more)
        assert "the lattice is not the process: variance of demand" in run.stdout
        assert "optimum of the process" not in run.stdout  # it is of another problem
        assert "of the lattice (maximise)" in run.stdout


def test_small_money_is_shown(run_cli, tmp_path):
    case = load_case("lunar-reference").replace(T=2, D0=1e-3)
    (tmp_path / "tiny.toml").write_text(case.to_toml(), encoding="utf-8")
    shown = run_cli("value", str(tmp_path / "tiny.toml"), "--paths", "64", check=0).stdout
    assert "($, NPV maximised)" in shown
    assert f"{threshold(case).objective:,.3f}" in shown


@pytest.mark.parametrize("command", ["value", "run"])
def test_one_path_is_too_few(run_cli, command):
    run = run_cli(command, "lunar-reference", "--horizon", "2", "--paths", "1", check=2)
    assert "paths: must be an integer >= 2, got 1" in run.stderr
