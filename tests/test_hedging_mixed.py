"""Progressive hedging where deployments come in modules or cost less together: bounds around the exact optimum."""

import json

import numpy as np
import pytest

from scenario_trees import ScenarioTree
from stochisru import InputError, load_case, progressive_hedging
from stochisru.lunar.candidates import Candidates
from stochisru.lunar.exact.tree_dp import tree_dp
from stochisru.lunar.subtrees import DeploymentSubtrees as Subtrees
from stochisru.methods.hedging.monitor import Monitor
from stochisru.methods.hedging.proximal import proximal_term, subproblem
from tests.test_hedging import launch, mpiexec  # noqa: F401 (a fixture)

CURVE = {"c_dev_exponent": 0.7, "reference": 1000.0}


def problem(**symbols):
    case = load_case("lunar-reference").replace(**{"T": 3, **symbols})
    return case, ScenarioTree.from_process(case.process, [3] * case.horizon.T)


def assert_brackets(result, optimum):
    slack = 1e-9 * abs(optimum)
    assert result.bounds.lower <= optimum + slack
    assert result.bounds.upper >= optimum - slack
    assert not result.bounds.certified
    assert result.objective == result.plan.value
    met = result.bounds.meets(1e-3)
    assert (result.termination.reason, result.termination.limit is None) == ("optimal" if met else "limit", met)


@pytest.mark.parametrize(
    ("symbols", "cut"),
    [
        ({"lot": 100.0}, 2),
        ({"lot": 50.0, "lead_time": 2}, 1),
        ({"fixed_cost": 5e6, "lead_time": 2}, 1),
        ({"fixed_cost": 2e6, "degradation": 0.1}, 1),
        (CURVE, 1),
        ({"lot": 50.0, "fixed_cost": 2e6, **CURVE}, 1),
        ({"fixed_cost": 2e6, "earth_limit": 500.0, "M0": 60.0}, 1),
        ({"lot": 50.0, "initial_deployment": "fixed"}, 1),
    ],
)
def test_bounds_enclose_the_exact_optimum_and_come_close(symbols, cut):
    case, tree = problem(**symbols)
    result = progressive_hedging(case, tree, cut_stage=cut, iterations=4)
    optimum = tree_dp(case, tree).objective
    assert_brackets(result, optimum)
    assert result.bounds.gap < 0.02
    assert result.objective == pytest.approx(optimum, rel=1e-3)
    if case.launch.lot is not None:
        modules = result.plan.deployment / case.launch.lot
        assert (modules == np.rint(modules)).all()


def test_modules_that_degrade_are_solved_too():
    case, tree = problem(lot=50.0, degradation=0.1)
    result = progressive_hedging(case, tree, cut_stage=1, iterations=8)
    modules = result.plan.deployment / 50
    assert (modules == np.rint(modules)).all()
    assert result.bounds.gap < 0.01


def test_bounds_hold_at_any_prices_that_cancel():
    from stochisru.methods.hedging.engine import engine_arguments, engine_class, import_mpisppy

    import_mpisppy(serial=True)
    case, tree = problem(lot=100.0, fixed_cost=2e6)
    parts = Subtrees(case, tree, 2)
    engine = engine_class(parts, "highs", "linearised")(**engine_arguments(parts, 1))
    engine._create_solvers()
    optimum = tree_dp(case, tree).objective
    rng = np.random.default_rng(1)
    for scale in (0, 1e3, 1e5):
        price = rng.normal(0, 1, parts.shared.shape) * scale
        price -= parts.node_mean(price)
        assert engine.lagrangian(price) >= optimum * (1 - 1e-9)
    # Neighbours of a plan can be carried out, and none beats the optimum.
    candidates = Candidates(parts)
    orders = candidates.orders(np.full(parts.shared.shape, 240.0))
    assert (orders[:, 0] == 200).all()
    tried = list(candidates.neighbours(orders))
    assert len(tried) > 5
    for other in tried[:12]:
        assert np.abs(other - parts.node_mean(other)).max() < 1e-9
        assert engine.incumbent(other) <= optimum * (1 + 1e-9)


def test_the_run_ends_when_the_gap_no_longer_shrinks():
    case, tree = problem(fixed_cost=2e6)
    lines = [(i, 100.0 + 50 / (1 + i) if i < 5 else 101.0) for i in range(40)]
    ends = {}
    for name, parts in (("mixed", Subtrees(case, tree, 1)), ("linear", Subtrees(*problem(), 1))):
        monitor = Monitor(parts, 0.0, 500, None, None, None)
        for i, upper in lines:
            monitor.lower, monitor.upper = 100.0, upper
            if monitor.finished(i):
                break
        ends[name] = monitor.limit, monitor.log[-1].number
    assert ends == {"mixed": ("stalled", 25), "linear": (None, 39)}


def test_checkpoint_keeps_bounds(tmp_path):
    case, tree = problem(lot=50.0, lead_time=2)
    call = {"cut_stage": 2, "checkpoint": tmp_path, "checkpoint_interval": 0, "rel_gap": 1e-4}
    first = progressive_hedging(case, tree, **call, iterations=2)
    second = progressive_hedging(case, tree, **call, iterations=5, resume=True)
    assert [line.number for line in second.iterations] == list(range(6))
    assert second.bounds.lower >= first.bounds.lower
    assert second.bounds.upper <= first.bounds.upper
    assert second.bounds.upper < first.bounds.upper  # prices go on
    optimum = tree_dp(case, tree).objective
    assert second.bounds.lower <= optimum * (1 + 1e-9) <= second.bounds.upper * (1 + 2e-9)


def test_quadratic_term_is_refused_with_highs():
    case, tree = problem(lot=100.0)
    with pytest.raises(InputError, match="proximal: must be linearised with highs"):
        progressive_hedging(case, tree, proximal="quadratic")
    with pytest.raises(InputError, match="proximal: must be linearised with highs"):
        subproblem(Subtrees(case, tree, 1).program(0), "x", "highs", "quadratic")
    assert proximal_term("gurobi", None, mixed=True) == "quadratic"


def test_gurobi_takes_whole_numbers_and_squares():
    pytest.importorskip("gurobipy")
    case, tree = problem(lot=100.0, fixed_cost=2e6)
    result = progressive_hedging(case, tree, cut_stage=1, solver="gurobi", iterations=4)
    assert_brackets(result, tree_dp(case, tree).objective)
    assert result.bounds.gap < 0.02


def test_three_ranks(mpiexec, tmp_path):  # noqa: F811
    case, tree = problem(lot=50.0, fixed_cost=2e6, lead_time=2)
    (tmp_path / "case.toml").write_text(case.to_toml())
    call = ("solve", "case.toml", "--method", "ph", "--branching", "3,3,3", "--cut-stage", "1", "--iterations", "6")
    out = launch(mpiexec, 3, *call, "--json", "-", cwd=tmp_path)
    data = json.loads(out.stdout)
    assert out.returncode == (data["termination"]["reason"] == "limit"), out.stderr  # the gap was not met
    optimum = tree_dp(case, tree).objective
    assert data["bounds"]["lower"] <= optimum * (1 + 1e-9)
    assert data["bounds"]["upper"] >= optimum * (1 - 1e-9)
    assert data["bounds"]["gap"] < 0.02
    assert "3 ranks in 3 cylinders" in data["termination"]["detail"]
