"""What a solver is handed and what it hands back: schedulers, small and large numbers, points that break rows."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from scenario_trees.tree import ScenarioTree
from stochisru import extensive_form, load_case, progressive_hedging, value_table
from stochisru.cli.main import main
from stochisru.errors import BoundsError, InfeasibleError, InputError, SolverError, UnboundedError
from stochisru.lunar.exact.open_loop import static_plan
from stochisru.lunar.exact.tree_dp import tree_dp
from stochisru.networks.files import load_network
from stochisru.networks.solution import bracket, solve_network
from stochisru.programs.solvers.scaling import Scaling
from stochisru.programs.sparse import ProgramBuilder, solve, solve_mixed

OURS = """
from stochisru import load_case, extensive_form, sddp, ScenarioTree, MarkovLattice
case = load_case("lunar-reference").replace(T=2)
tree = ScenarioTree.from_process(case.process, [2, 2])
assert extensive_form(case, tree).termination.reason == "optimal"
assert extensive_form(case.replace(lot=50.0), tree).termination.reason == "optimal"
assert sddp(case, MarkovLattice.from_process(case.process, 2, 3), rel_gap=1e-2).termination.reason == "optimal"
"""
HIGHSPY = """
import highspy
h = highspy.Highs()
h.setOptionValue("output_flag", False)
h.setOptionValue("threads", {threads})
h.setOptionValue("parallel", "on")
x = [h.addIntegral(0, 4) for _ in range(5)]
h.addConstr(sum((i + 2) * v for i, v in enumerate(x)) <= 17)
h.maximize(sum((i + 1) * v for i, v in enumerate(x)))
assert h.getModelStatus() == highspy.HighsModelStatus.kOptimal, h.getModelStatus()
"""
PYOMO = """
import pyomo.environ as pyo
m = pyo.ConcreteModel()
m.x = pyo.Var(range(4), within=pyo.Integers, bounds=(0, 4))
m.c = pyo.Constraint(expr=sum((i + 2) * m.x[i] for i in range(4)) <= 17)
m.o = pyo.Objective(expr=sum((i + 1) * m.x[i] for i in range(4)), sense=pyo.maximize)
pyo.assert_optimal_termination(pyo.SolverFactory("{name}").solve(m))
"""
PATH_MODEL = """
from stochisru import load_case
from stochisru.lunar.path_model import path_model
from stochisru.problem.on_path import solve_pyomo
import numpy as np
solve_pyomo(path_model(load_case("lunar-reference").replace(T=2), np.array([50.0, 60.0, 70.0])))
"""
THEIRS = {
    "highspy, its own choice": HIGHSPY.format(threads=0),
    "highspy, two threads": HIGHSPY.format(threads=2),
    "pyomo highs": PYOMO.format(name="highs"),
    "pyomo appsi_highs": PYOMO.format(name="appsi_highs"),
    "solve_pyomo": PATH_MODEL,
}


@pytest.mark.parametrize("theirs", THEIRS)
def test_what_ran_before_and_what_runs_after_do_not_matter(theirs):
    code = THEIRS[theirs]
    for order in ((code, OURS), (OURS, code, OURS)):
        out = subprocess.run([sys.executable, "-c", "\n".join(order)], capture_output=True, text=True, check=False)
        assert out.returncode == 0, out.stderr


def test_mixed_programs_give_the_same_bytes_twice():
    case = load_case("lunar-reference").replace(T=4, lot=50.0, fixed_cost=2e6)
    tree = ScenarioTree.from_process(case.process, [3] * 4)
    first, second = (extensive_form(case, tree) for _ in range(2))
    assert first.plan.deployment.tobytes() == second.plan.deployment.tobytes()
    assert first.bounds == second.bounds


SMALL = """
name = "litres"
[commodities]
water = "l/day"
power = "GWh/day"
[criteria]
cost = "USD/day"
[nodes.plant]
water = inf
power = {power}
[nodes.city]
water = -1e10
[[arcs]]
tail = "plant"
head = "city"
carries = ["water"]
takes = {{ water = {{ power = 5e-10 }} }}
limit = {{ water = 1e11 }}
cost = {{ cost = {{ water = 0.001 }} }}
"""


@pytest.mark.parametrize("form", ["literal", "reduced"])
def test_small_coefficients_count(tmp_path, form):
    """Pumping needs 5 GWh a day: one is too little, six are enough."""
    file = tmp_path / "litres.toml"
    file.write_text(SMALL.format(power=1.0))
    with pytest.raises(InputError, match="power at plant"):
        solve_network(load_network(file), form=form)
    file.write_text(SMALL.format(power=6.0))
    assert solve_network(load_network(file), form=form).objective == pytest.approx(1e7, rel=1e-9)


def pair(small, *, integer=False, need=1e10, most=1e11):
    """Least x with x >= need and small·x <= 1, beside a variable near 1."""
    builder = ProgramBuilder("pair", "minimise")
    x = builder.variables("x", 1, lower=0, upper=most, objective=1.0)
    y = builder.variables("y", 1, lower=0, upper=10, objective=1.0, integer=integer)
    builder.rows("need", need, np.inf, (np.zeros(1, int), x.index, 1.0))
    builder.rows("power", -np.inf, 1.0, (np.zeros(1, int), x.index, small), (np.zeros(1, int), y.index, -1.0))
    return builder.build()


@pytest.mark.parametrize("small", [1e-9, 5e-10, 1e-10 / 3, 1e-13])
@pytest.mark.parametrize("integer", [False, True])
def test_small_coefficients_beside_large_ones(small, integer):
    solved = solve_mixed(pair(small, integer=integer), rel_gap=0) if integer else solve(pair(small))
    wanted = max(small * 1e10 - 1, 0)
    assert solved.values("y")[0] == pytest.approx(np.ceil(wanted - 1e-9) if integer else wanted, abs=1e-6)


def test_large_numbers_are_scaled_or_refused():
    assert solve(pair(1e-20, need=1e20, most=1e22)).values("x")[0] == pytest.approx(1e20)
    huge = pair(1e-10)
    assert solve(replace(huge, objective=huge.objective * 1e25)).values("x")[0] == pytest.approx(1e10)


def test_a_point_that_breaks_a_row_is_refused_and_the_block_named():
    program = pair(5e-10)
    x = np.array([1e10, 0.0])
    with pytest.raises(SolverError, match=r"row 0 of 'power' by 4"):
        program.require_feasible(x)
    program.require_feasible(np.array([1e10, 4.0]))
    with pytest.raises(SolverError, match="variable 0 of 'y'"):
        program.require_feasible(np.array([1e9, 11.0]) * [10, 1])
    with pytest.raises(SolverError, match="whole number 0 of 'y'"):
        pair(5e-10, integer=True).require_feasible(np.array([1e10, 4.5]))
    with pytest.raises(SolverError):
        program.require_feasible(np.array([np.nan, 4.0]))


def test_every_solution_is_checked(monkeypatch):
    """A scale that hides the coefficient: HiGHS drops it, and its point is refused."""
    monkeypatch.setattr(Scaling, "of", Scaling.none)
    monkeypatch.setattr("stochisru.programs.solvers.highs.SMALL_COEFFICIENT", 1e-9)
    with pytest.raises(SolverError, match="'power'"):
        solve(pair(5e-10))
    with pytest.raises(SolverError, match="'power'"):
        solve_mixed(pair(5e-10, integer=True), rel_gap=0)


def test_unbounded_and_infeasible_are_errors_of_their_own():
    builder = ProgramBuilder("open", "maximise")
    builder.variables("x", 1, lower=0, upper=np.inf, objective=1.0)
    with pytest.raises(UnboundedError):
        solve(builder.build())
    builder.variables("z", 1, lower=0, upper=np.inf, objective=1.0, integer=True)
    with pytest.raises(UnboundedError):
        solve_mixed(builder.build(), rel_gap=0)
    with pytest.raises(InfeasibleError):
        solve(replace(pair(1.0), upper=np.array([1e9, 10.0])))


@pytest.mark.parametrize("change", [{"D0": 1e-7, "lot": 1e-8}, {"eta": 1e10, "lot": 1e-9}, {"D0": 1e9, "lot": 1e7}])
def test_mixed_programs_at_extreme_units(change):
    case = load_case("lunar-reference").replace(T=3, fixed_cost=1e4 * change.get("D0", 50.0) / 50, **change)
    tree = ScenarioTree.from_process(case.process, [3, 3, 2])
    exact, found = tree_dp(case, tree).objective, extensive_form(case, tree)
    assert found.termination.reason == "optimal"
    assert found.bounds.lower <= exact + 1e-6 * abs(exact)
    assert found.bounds.upper >= exact - 1e-6 * abs(exact)
    hedged = progressive_hedging(case, tree, rel_gap=1e-2, iterations=30)
    assert hedged.bounds.lower <= exact + 1e-6 * abs(exact)
    assert hedged.bounds.upper >= exact - 1e-6 * abs(exact)


@pytest.mark.parametrize("sigma, branching", [(1.0, [60, 60]), (2.0, [40, 40]), (0.9, [14, 14, 14])])
def test_demand_that_may_grow_a_millionfold(sigma, branching):
    case = load_case("lunar-reference").replace(T=len(branching), sigma=sigma)
    tree = ScenarioTree.from_process(case.process, branching)
    found = extensive_form(case, tree)
    assert found.objective == pytest.approx(tree_dp(case, tree).objective, rel=1e-8)
    assert found.bounds.certified
    assert found.bounds.gap < 1e-6


def test_values_with_many_branches_are_in_order():
    case = load_case("lunar-reference").replace(T=2, sigma=1.0)
    values = value_table(case, ScenarioTree.from_process(case.process, [60, 60]))
    assert values.rp.lower == pytest.approx(34.2467848e6, rel=1e-7)  # tree_dp
    for name in ("evpi", "vss", "vms", "flexibility"):
        assert values.point(name) > 0


def test_a_bad_plan_for_rp_is_replaced_by_the_static_one_and_bad_points_are_refused():
    case = load_case("lunar-reference").replace(T=3)
    tree = ScenarioTree.from_process(case.process, [3, 3, 2])
    best, static = extensive_form(case, tree), static_plan(case, tree)
    poor = replace(best, objective=-1e9, bounds=replace(best.bounds, lower=-1e9))
    values = value_table(case, tree, recourse=poor)
    assert values.rp.lower >= static.bounds.lower
    assert values.recourse.plan.value == values.rp.lower
    with pytest.raises(BoundsError, match="plan of static"):
        replace(values, rp=replace(values.rp, lower=static.bounds.lower - 1e6))


def never(tree, node):
    """The tree without probability below and at a node; its siblings take it."""
    p = tree.probability.copy()
    for n in range(tree.n_nodes):
        kids = np.flatnonzero((tree.parent == n) & (np.arange(tree.n_nodes) > 0))
        if kids.size:
            weight = np.where(kids == node, 0.0, tree.probability[kids])
            p[kids] = p[n] * weight / weight.sum()
    return replace(tree, probability=p)


@pytest.mark.parametrize("node", [1, 4])
@pytest.mark.parametrize("launch", [{}, {"lot": 50.0, "fixed_cost": 1e6}])
def test_a_branch_that_never_happens(node, launch):
    case = load_case("lunar-reference").replace(T=3, **launch)
    tree = never(ScenarioTree.from_process(case.process, [3, 3, 2]), node)
    exact = tree_dp(case, tree).objective
    assert extensive_form(case, tree).objective == pytest.approx(exact, rel=1e-3)
    for cut in (1, 2):
        found = progressive_hedging(case, tree, cut_stage=cut, rel_gap=1e-2, iterations=20)
        assert found.bounds.lower <= exact * (1 + 1e-9)
        assert found.bounds.upper >= exact * (1 - 1e-9)
    values = value_table(case, tree)
    assert values.eev.lower <= values.static.lower <= values.rp.lower <= values.ws.lower


def test_hedging_where_the_shared_plant_can_only_be_zero(tmp_path, capsys):
    case = load_case("predecessor").replace(T=2, lead_time=0, initial_deployment="fixed", M0=0.0)
    tree = ScenarioTree.from_process(case.process, [9, 3])
    found = progressive_hedging(case, tree, cut_stage=1)
    assert found.objective == pytest.approx(tree_dp(case, tree).objective, rel=1e-9)
    assert found.termination.reason == "optimal"


def test_a_missed_gap_is_exit_code_1(capsys):
    call = "solve lunar-reference --method ph --horizon 4 --branching 3,3,3,3 --rel-gap 1e-12 --iterations 1 --json -"
    assert exit_code(*call.split()) == 1
    data = json.loads(capsys.readouterr().out)
    assert data["termination"]["reason"] == "limit"
    assert exit_code(*call.replace("1e-12", "0.5").split()) == 0


def exit_code(*arguments):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    return stopped.value.code


def test_bounds_of_a_mixed_network_that_cross_are_an_error():
    program = pair(5e-10, integer=True)
    x = np.array([1e10, 4.0])
    bounds, termination = bracket(program, x, 1e10 + 5.0, None)  # within the solver's tolerance
    assert not bounds.certified
    assert bounds.gap == 0
    assert "bound of the solver" in termination.detail
    with pytest.raises(BoundsError):
        bracket(program, x, 1.001e10, None)
    assert bracket(pair(5e-10), x, 1e10, None)[0].certified


def test_a_point_is_checked_in_the_size_of_its_row():
    """Beside a bound of 1e12 a row of 1,000 once took 990."""
    builder = ProgramBuilder("far", "minimise")
    x = builder.variables("x", 1, lower=0.0, upper=1e12, objective=1.0)
    builder.rows("least", 1000.0, np.inf, (np.zeros(1, dtype=int), x.index, np.ones(1)))
    program = builder.build()
    scale = Scaling.of(program)
    with pytest.raises(SolverError, match="least"):
        program.require_feasible(np.array([999.9]), scale.column, 1 / scale.row)
    assert solve(program).x[0] == pytest.approx(1000.0)
