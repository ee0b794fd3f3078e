"""Levels on lattices, learning, and the study of economies of scale."""

import itertools
import json

import numpy as np
import pytest

from scenario_trees import MarkovLattice, ScenarioTree
from stochisru import InputError, load_case
from stochisru.lunar.exact.lattice_levels import LatticeLevels
from stochisru.lunar.exact.level_dp import level_dp
from stochisru.lunar.exact.open_loop import fixed_design, static_plan
from stochisru.lunar.exact.tree_dp import tree_dp
from stochisru.lunar.information import plan_value
from stochisru.lunar.learning.rate import Learning
from stochisru.lunar.operations import discount_factors
from stochisru.lunar.simulation import npv_on_paths
from stochisru.lunar.trees import case_lattice
from stochisru.lunar.values.process import process_values
from stochisru.studies.store import Execution
from stochisru.testing import check_strategy
from stochisru.worked.scale.study import scale_study, stage_wise
from tests.test_scale_deployment import SCALES


def pair(T=3, **changes):
    case = load_case("lunar-reference").replace(T=T, **changes)
    return case, ScenarioTree.from_process(case.process, [3] * T), MarkovLattice.from_growth(case.process, [3] * T)


# ------------------------------------------------------------------ levels on a lattice


@pytest.mark.parametrize("changes", SCALES)
def test_lattice_and_tree_agree(changes):
    case, tree, lattice = pair(**changes)
    problem = LatticeLevels(case, lattice)
    value, policy = problem.optimum()
    assert value == pytest.approx(tree_dp(case, tree).objective, rel=1e-10)
    assert problem.course(policy).value == pytest.approx(value, rel=1e-10)
    assert problem.static()[0] == pytest.approx(static_plan(case, tree).objective, rel=1e-10)
    fixed, plan = problem.static(last=0)
    assert fixed == pytest.approx(fixed_design(case, tree).objective, rel=1e-10)
    assert (plan[1:] == 0).all()


@pytest.mark.parametrize("changes", SCALES)
def test_the_policy_earns_on_all_paths_of_its_lattice_what_it_is_said_to(changes):
    case, _, lattice = pair(**changes)
    result = level_dp(case, lattice)
    tree = lattice.to_tree()
    demand = np.ascontiguousarray(tree.value[tree.node_paths()].T)
    npv = npv_on_paths(case, result.policy(), demand)
    assert tree.probability[tree.leaves] @ npv == pytest.approx(result.objective, rel=1e-9)
    assert result.bounds.gap < 1e-9
    table = result.plan.to_frame()
    assert (table["level"] > table["plant"]).all()


def test_a_policy_over_levels_looks_at_nothing_later():
    case = load_case("contested-market").replace(T=8, lot=40.0, fixed_cost=1e5)
    policy = level_dp(case, states=8).policy()
    check_strategy(policy, case)
    assert "levels" in policy.describe(case)


def test_values_on_the_process_keep_their_order():
    case = load_case("lunar-reference").replace(T=14, lot=100.0, fixed_cost=5e6)
    values = process_values(case, paths=2048)
    points = {name: values.point(name) for name in ("eev", "static", "rp", "ws", "fixed")}
    assert points["eev"] < points["static"] < points["rp"] < points["ws"]
    assert points["fixed"] < points["static"]


# ------------------------------------------------------------------ learning


def test_without_learning_the_cost_is_that_of_the_case():
    case, _, lattice = pair(reference=200.0, c_dev_exponent=0.7, fixed_cost=1e6)
    plain = LatticeLevels(case, lattice).optimum()[0]
    assert LatticeLevels(case, lattice, Learning(0.0, 200.0).cost(case)).optimum()[0] == pytest.approx(plain, rel=1e-12)
    assert Learning(0.2, 100.0).factor(np.array([50.0, 100.0, 200.0, 400.0])) == pytest.approx([1, 1, 0.8, 0.64])


def test_learning_on_one_path_by_brute_force():
    case = load_case("lunar-reference").replace(T=2, lot=60.0, fixed_cost=2e6, sigma=0.0, mu=0.5)
    learning = Learning(0.3, 60.0)
    lattice = MarkovLattice.from_growth(case.process, [1, 1])
    tree = lattice.to_tree()
    best = -np.inf
    for plan in itertools.product(range(9), repeat=3):
        modules = 60.0 * np.array(plan, dtype=float)
        before = np.concatenate([[0.0], np.cumsum(modules)[:-1]])
        saved = (1 - learning.factor(before)) * case.costs.c_dev * modules
        best = max(best, plan_value(case, tree, modules) + float(discount_factors(case) @ saved))
    assert LatticeLevels(case, lattice, learning.cost(case)).optimum()[0] == pytest.approx(best, rel=1e-12)
    # What is certain is expected: the approximation is exact.
    certain = stage_wise(case, lattice, learning)
    assert certain.claim == pytest.approx(certain.value, rel=1e-12)


def test_the_levels_are_good_enough_with_learning():
    # With learning the levels need not hold an optimum: four times as many change little.
    case = load_case("lunar-reference").replace(T=6, reference=139.4, c_dev_exponent=0.7)
    lattice = case_lattice(case, 6)
    cost = Learning(0.2, 139.4).cost(case)
    coarse, fine = LatticeLevels(case, lattice, cost), LatticeLevels(case, lattice, cost)
    levels = coarse.levels
    fine.__dict__["levels"] = np.interp(np.arange(0, levels.size - 0.9, 0.25), np.arange(levels.size), levels)
    assert fine.optimum()[0] >= coarse.optimum()[0] - 1e-3
    assert fine.optimum()[0] == pytest.approx(coarse.optimum()[0], rel=1e-4)


def test_the_stage_wise_approximation_loses_little_and_says_how_much():
    case = load_case("lunar-reference").replace(T=8, reference=139.4, sigma=0.4)
    lattice = case_lattice(case, 8)
    learning = Learning(0.3, 139.4)
    best = LatticeLevels(case, lattice, learning.cost(case)).optimum()[0]
    found = stage_wise(case, lattice, learning)
    assert found.value <= best * (1 + 1e-12)
    assert found.value == pytest.approx(best, rel=0.01)
    assert found.claim != pytest.approx(found.value, rel=1e-9)
    ignoring = LatticeLevels(case, lattice).optimum()[0]
    assert ignoring < found.value  # learning is worth something


# ------------------------------------------------------------------ the study


@pytest.fixture(scope="module")
def study():
    case = load_case("lunar-reference").replace(T=8)
    return scale_study(case, exponents=[0.5, 1.0], learning_rates=[0.0, 0.2], discount_rates=[0.08], states=8)


def test_scale_pulls_to_few_large_plants_and_volatility_to_flexibility(study):
    assert len(study.rows) == 2 * 2 * 1 * 3
    for rate, sigma in itertools.product((0.0, 0.2), (0.1, 0.2, 0.4)):
        big, small = (study.at(exponent=b, learning=rate, sigma=sigma) for b in (0.5, 1.0))
        assert big["deployments"] < small["deployments"]
        assert big["first_plant"] >= small["first_plant"]
        assert big["flexibility"] < small["flexibility"]
    for row in study.rows:
        assert row["fixed"] <= row["static"] + 1e-3
        assert row["static"] <= row["rp"] + 1e-3
        assert row["stage_wise_loss"] >= -1e-3
        assert abs(row["lattice_error"]) < 0.03 * row["rp"]
    for b, sigma in itertools.product((0.5, 1.0), (0.1, 0.2, 0.4)):
        without, with_learning = (study.at(exponent=b, learning=rate, sigma=sigma) for rate in (0.0, 0.2))
        assert with_learning["rp"] >= without["rp"]
    assert len(study.findings()) == 6


def test_rows_do_not_depend_on_workers(study):
    case = load_case("lunar-reference").replace(T=8)
    again = scale_study(
        case,
        exponents=[0.5, 1.0],
        learning_rates=[0.0, 0.2],
        discount_rates=[0.08],
        states=8,
        execution=Execution(workers=2),
    )
    assert again.rows == study.rows


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"exponents": ["a"]}, "exponents: must be numbers that differ, got ['a']"),
        ({"exponents": [1.2]}, "exponents: must be numbers with 0 < b <= 1, got 1.2"),
        ({"learning_rates": [1.0]}, "learning_rates: must be numbers with 0 <= λ < 1, got 1.0"),
        ({"discount_rates": [0.1, 0.1]}, "discount_rates: must be numbers that differ"),
        ({"volatilities": [-0.1]}, "demand.sigma: must be a finite number >= 0"),
        ({"states": 0}, "states: must be an integer >= 1 and <= 100, got 0"),
        ({"reference": -1.0}, "scale.reference: must be a finite number > 0"),
    ],
)
def test_numbers_out_of_range_are_named(changes, message):
    with pytest.raises(InputError) as error:
        scale_study(load_case("lunar-reference").replace(T=3), **changes)
    assert message in str(error.value)


def test_a_case_with_a_curve_of_its_own_is_refused():
    case = load_case("lunar-reference").replace(reference=100.0, c_dev_exponent=0.8)
    with pytest.raises(InputError, match="the study varies the exponent itself"):
        scale_study(case)


@pytest.mark.parametrize("changes", [{"lot": 50.0}, {"fixed_cost": 1e6}, {"earth_limit": 300.0}])
def test_without_an_exact_optimum_there_is_no_lattice_error(changes):
    case = load_case("lunar-reference").replace(T=3, **changes)
    study = scale_study(case, learning_rates=[0.1], discount_rates=[0.08], volatilities=[0.2], states=4)
    assert [row["lattice_error"] for row in study.rows] == [None] * 3
    assert not any("off the exact optimum" in sentence for sentence in study.findings())


def test_a_case_without_exact_levels_is_refused_before_any_work():
    case = load_case("lunar-reference").replace(T=3, lot=50.0, degradation=0.1)
    with pytest.raises(InputError, match=r"degradation: must be 0 with a launch.lot") as error:
        scale_study(case)
    assert "exponent =" not in str(error.value)


def test_the_command_makes_a_folder(run_cli, tmp_path):
    out, target = tmp_path / "study", tmp_path / "rows.json"
    args = ["study", "scale", "lunar-reference", "--horizon", "4", "--states", "4", "--exponents", "0.6,1"]
    args += ["--learning", "0,0.2", "--rates", "0.08", "--volatilities", "0.2", "--out", str(out)]
    done = run_cli(*args, "--json", str(target))
    assert done.returncode == 0, done.stderr
    data = json.loads(target.read_text())
    assert len(data["rows"]) == 4
    assert data["findings"]
    assert {"rp", "fixed", "flexibility", "stage_wise_error", "deployments"} <= data["rows"][0].keys()
    assert (out / "figures" / "flexibility.png").stat().st_size > 10_000
    assert (out / "tables" / "scale.csv").exists()
    bad = run_cli(*args[:5], "--learning", "a")
    assert bad.returncode == 2
    assert bad.stderr.strip().splitlines() == ["error: learning: must be numbers, as in 0.1,0.2, got 'a'"]


def test_solve_takes_modules_and_fixed_costs_by_every_method(run_cli):
    head = ["solve", "lunar-reference", "--horizon", "3", "--lot", "50", "--fixed-cost", "2e6", "--json", "-"]
    found = {}
    for method in ("ef", "dp"):
        done = run_cli(*head, "--method", method, "--branching", "3,3,3")
        assert done.returncode == 0, done.stderr
        found[method] = json.loads(done.stdout)
    assert found["ef"]["bounds"]["lower"] <= found["dp"]["objective"] * (1 + 1e-9) <= found["ef"]["bounds"]["upper"]
    for method in ("threshold", "sddp"):
        done = run_cli(*head, "--method", method)
        assert done.returncode == 0, done.stderr
        data = json.loads(done.stdout)
        assert data["termination"]["limit"] == "relaxation"
        assert "ignores modules of 50 kg and 2,000,000 $ per campaign" in data["termination"]["detail"]
    refused = run_cli(*head, "--method", "sddp", "--boil-off", "0.02")
    assert refused.returncode == 2
    assert "SDDP with a store or a risk measure takes costs in proportion to size" in refused.stderr


def test_the_main_job_runs_on_such_a_case(run_cli, tmp_path):
    case = load_case("lunar-reference").replace(name="bulk", T=3, lot=50.0, fixed_cost=2e6)
    (tmp_path / "bulk.toml").write_text(case.to_toml(), encoding="utf-8")
    run_cli("run", "bulk.toml", "--branching", "3,3,3", "--paths", "200", "--out", "done", check=0)
    page = (tmp_path / "done" / "report.html").read_text(encoding="utf-8")
    assert "solved by <code>dp</code>, exact on the tree where the cost of a deployment is concave in its size" in page
    run_cli("report", "done", check=0)
