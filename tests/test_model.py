"""Three forms of the model agree; operations and layers against brute force; limits of the theory."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.optimize import linprog

from benchmarks.mpisppy_ef import mpisppy_extensive_form
from scenario_trees import (
    QUANTIZATIONS,
    GeometricBrownianMotion,
    ScenarioTree,
    forward_selection,
    k_means,
    tree_from_paths,
)
from stochisru import (
    Bounds,
    BoundsError,
    InputError,
    SolverError,
    extensive_form,
    load_case,
    progressive_hedging,
    simulate,
    threshold,
    value_table,
)
from stochisru.lunar.exact.open_loop import expected_value, fixed_design, static_plan
from stochisru.lunar.exact.wait_and_see import wait_and_see
from stochisru.lunar.information import Commitments, plan_value
from stochisru.lunar.operations import MeritOrder
from stochisru.lunar.path_model import path_model, scenario_model
from stochisru.lunar.tree_program import tree_program
from stochisru.methods.result import Kind, Of
from stochisru.problem.on_path import solve_pyomo
from stochisru.programs.sparse import ProgramBuilder, solve
from tests.cases import deployment_cases

branchings = st.lists(st.integers(1, 3), min_size=3, max_size=3)


def tree_for(case, branching):
    return ScenarioTree.from_process(case.process, branching[: case.horizon.T])


def close(a, b, rel=1e-7):
    return a == pytest.approx(b, rel=rel, abs=1e-4)


@given(deployment_cases(), st.floats(0, 5000), st.floats(0, 5000))
def test_merit_order_is_the_optimal_operation(case, capacity, demand):
    c, beta = case.costs, case.technology.beta
    merit = MeritOrder.of(case)
    limit = np.inf if c.earth_limit is None else c.earth_limit
    # variables Q, Q_earth, S, E
    cost = [-(case.economics.P_m - c.c_by * beta), c.c_E, c.c_bu, c.c_S]
    best = linprog(
        cost,
        A_eq=[[1, 1, 1, 0], [1, 0, 0, 1]],
        b_eq=[demand, capacity],
        bounds=[(0, None), (0, limit if np.isfinite(limit) else None), (0, None), (0, None)],
    )
    K, D = np.array([capacity]), np.array([demand])
    assert close(float(merit.profit(K, D)[0]), -best.fun)
    Q = merit.delivered(K, D)
    earth, shortage = merit.alternatives(Q, D)
    assert (earth <= limit + 1e-9).all()
    assert (shortage >= -1e-9).all()
    value = -np.dot(cost, [Q[0], earth[0], shortage[0], capacity - Q[0]])
    assert close(value, -best.fun)


@given(deployment_cases(), branchings)
def test_tree_program_equals_scenario_form(case, branching):
    tree = tree_for(case, branching)
    ours = extensive_form(case, tree)
    assert close(ours.objective, solve_pyomo(scenario_model(case, tree)))
    assert ours.bounds.certified
    assert ours.bounds.gap < 1e-9


@pytest.mark.parametrize(
    "symbols",
    [
        {},
        {"lead_time": 0},
        {"lead_time": 2, "degradation": 0.1},
        {"earth_limit": 500.0, "M0": 50.0},
        {"initial_deployment": "fixed", "c_S": 100.0},
    ],
)
def test_tree_program_equals_mpisppy_extensive_form(reference, symbols):
    case = reference.replace(T=3, **symbols)
    tree = ScenarioTree.from_process(case.process, [3, 2, 2])
    assert close(extensive_form(case, tree).objective, mpisppy_extensive_form(case, tree, "highs").objective)


@given(deployment_cases(), branchings)
def test_plans_are_feasible_and_nonanticipative(case, branching):
    tree = tree_for(case, branching)
    plan = extensive_form(case, tree).plan
    table = {name: values for name, (values, _) in plan.quantities().items()}
    tol = 1e-6 * (1 + tree.value.max())
    assert (table["dM"] >= 0).all()
    assert np.abs(table["Q"] + table["Q_earth"] + table["S"] - table["D"]).max() <= tol
    assert (table["Q"] <= table["Qcap"] + tol).all()
    assert table["E"] == pytest.approx(table["Qcap"] - table["Q"])
    assert table["M_leo"] == pytest.approx(case.technology.alpha * table["dM"])
    if case.costs.earth_limit is not None:
        assert (table["Q_earth"] <= case.costs.earth_limit + tol).all()
    if case.horizon.initial_deployment == "fixed":
        assert table["dM"][0] == 0
    above = tree.ancestor(case.horizon.lead_time)
    for t in range(tree.horizon + 1):
        nodes = np.arange(*tree.at(t).indices(tree.n_nodes))
        for group in np.unique(above[nodes]):
            assert np.ptp(table["M"][nodes[above[nodes] == group]]) <= tol
    frame = plan.to_frame()
    assert list(frame.columns) == ["node", "stage", "year", "quantity", "value", "unit", "probability"]
    assert len(frame) == tree.n_nodes * len(table)


def test_duals_are_marginal_values(reference):
    """Prices equal finite differences of the optimum."""
    case = reference.replace(T=2, M0=20.0, sigma=0.4)
    tree = ScenarioTree.from_process(case.process, [3, 2])
    base = extensive_form(case, tree)
    weight = tree.probability * (1 + case.economics.r) ** -tree.stage.astype(float)
    h = 1e-3
    for node in (1, 5):
        value = tree.value.copy()
        value[node] += h
        bumped = ScenarioTree(tree.parent, tree.stage, tree.probability, value)
        slope = (extensive_form(case, bumped).objective - base.objective) / h
        assert slope == pytest.approx(base.plan.demand_value[node] * weight[node], rel=1e-3)
    program = tree_program(case, tree)
    block = program.rows["delivery"]
    for node in (0, 1, 6):
        upper = program.row_upper.copy()
        upper[block.start + node] += h
        relaxed = type(program)(**{**vars(program), "row_upper": upper})
        slope = (solve(relaxed).objective - base.objective) / h
        assert slope == pytest.approx(base.plan.capacity_value[node] * weight[node], rel=1e-3, abs=1e-2)


@given(deployment_cases(), branchings)
def test_wait_and_see_equals_one_program_per_path(case, branching):
    tree = tree_for(case, branching)
    found = wait_and_see(case, tree)
    for i, path in enumerate(tree.value[tree.node_paths()][:4]):
        assert close(found.leaf_value[i], solve_pyomo(path_model(case, path)))
    assert (found.leaf_deployment >= 0).all()


@given(deployment_cases(), branchings)
def test_static_plan_equals_the_program_with_everything_at_the_root(case, branching):
    tree = tree_for(case, branching)
    root = extensive_form(case.replace(lead_time=case.horizon.T), tree)
    assert close(static_plan(case, tree).objective, root.objective)


@given(deployment_cases(), branchings)
def test_fixed_design_is_the_best_of_a_grid(case, branching):
    tree = tree_for(case, branching)
    best = fixed_design(case, tree)
    top = 1.2 * tree.value.max() / case.technology.eta / (1 - case.technology.degradation) ** case.horizon.T
    grid = np.linspace(0, top, 101) if case.horizon.initial_deployment == "free" else [0.0]
    for mass in grid:
        plan = np.where(tree.stage == 0, mass, 0.0)
        assert plan_value(case, tree, plan) <= best.objective + 1e-6 * (1 + abs(best.objective))
    assert (best.plan.deployment[1:] == 0).all()


@given(deployment_cases(), branchings)
def test_values_are_in_order(case, branching):
    v = value_table(case, tree_for(case, branching))
    slack = 1e-7 * (1 + max(abs(v.eev.lower), abs(v.ws.upper)))
    assert v.eev.lower <= v.static.upper + slack
    assert v.fixed.lower <= v.static.upper + slack
    assert v.static.lower <= v.rp.upper + slack
    assert v.rp.lower <= v.ws.upper + slack
    ladder = [b.lower for b in v.eev_t]
    assert all(b <= a + slack for a, b in pairwise(ladder))
    assert min(v.evpi.upper, v.vss.upper, v.vms.upper, v.flexibility.upper) >= -slack
    assert v.ws.lower <= v.ev.upper + slack  # the value is concave in demand (Jensen)


@pytest.mark.parametrize("lead", [0, 1, 2])
def test_eev_t_holds_what_is_decided_up_to_its_stage(reference, lead):
    """Against the Pyomo scenario form with the deployments fixed."""
    case = reference.replace(T=3, lead_time=lead)
    tree = ScenarioTree.from_process(case.process, [3, 2, 2])
    v = value_table(case, tree)
    plan = v.expected.plan.deployment[tree.offsets[:-1]]
    assert len(v.eev_t) == 3 - lead + 1
    for t, bounds in enumerate(v.eev_t):
        model = scenario_model(case, tree)
        for leaf in model.scenario.values():
            for year in range(t + lead + 1):
                leaf.dM[year].fix(plan[year])
                leaf.dM[year].setub(None)
        assert close(bounds.lower, solve_pyomo(model))


@given(deployment_cases())
def test_without_uncertainty_information_is_worth_nothing(case):
    certain = case.replace(sigma=0.0)
    v = value_table(certain, tree_for(certain, [2, 2, 2]))
    assert close(v.ws.lower, v.rp.lower)
    assert close(v.eev.lower, v.rp.lower)
    assert close(v.static.lower, v.rp.lower)
    one = value_table(case, tree_for(case, [1, 1, 1]))
    for name in ("ws", "static", "ev", "eev"):
        assert close(getattr(one, name).lower, one.rp.lower)


@given(deployment_cases(), branchings)
def test_a_longer_lead_time_is_never_better(case, branching):
    tree = tree_for(case, branching)
    values = [extensive_form(case.replace(lead_time=lead), tree).objective for lead in range(case.horizon.T + 1)]
    slack = 1e-7 * (1 + abs(values[0]))
    assert all(b <= a + slack for a, b in pairwise(values))


def test_lead_time_zero_makes_information_nearly_worthless(reference):
    tree = ScenarioTree.from_process(reference.process, [3, 3, 3])
    shares = []
    for lead in (0, 1):
        v = value_table(reference.replace(T=3, lead_time=lead), tree)
        shares.append(v.evpi.lower / v.rp.lower)
    assert shares[0] < 0.1 * shares[1]


def test_newsvendor_limit(reference):
    """One year ahead, one decision: capacity is the critical fractile of demand."""
    underage = 20_000.0  # what a kilogram served by Earth costs more than one from the plant
    case = reference.replace(
        T=1, lead_time=1, initial_deployment="fixed", c_op=500.0, P_m=0.0, c_E=underage, c_bu=2 * underage
    )
    overage = (case.investment_cost + 500.0) / case.technology.eta
    fractile = 1 - overage / underage
    tree = ScenarioTree.from_process(case.process, [2000], QUANTIZATIONS["equal-probability"])
    result = extensive_form(case, tree)
    capacity = case.technology.eta * result.plan.plant[1]
    position = np.searchsorted(tree.value[1:], capacity * (1 - 1e-9))
    assert position == int(np.ceil(fractile * 2000)) - 1
    best = float(case.process.quantile(fractile, 1))
    assert capacity == pytest.approx(best, rel=2e-3)
    k = stats.norm.ppf(fractile)
    mean, sigma = float(case.process.mean(1)), case.demand.sigma
    served = mean * stats.norm.cdf(k - sigma) + best * stats.norm.cdf(-k)
    value = -1000 * underage + (underage * (served - mean) - overage * best) / (1 + case.economics.r)
    assert result.objective == pytest.approx(value, rel=1e-5)


def test_farmer_values_through_the_sparse_program():
    """Birge and Louveaux: RP −108,390, WS −115,405.56, EEV −107,240 (minimisation)."""
    yields = np.array([[3.0, 3.6, 24.0], [2.5, 3.0, 20.0], [2.0, 2.4, 16.0]])

    def farmer(scenarios, probability, land=None):
        n = len(scenarios)
        builder = ProgramBuilder("farmer", "minimise")
        low = np.zeros(3) if land is None else land
        high = np.full(3, 500.0) if land is None else land
        x = builder.variables("x", 3, lower=low, upper=high, objective=[150, 230, 260])
        names = ("buy_wheat", "buy_corn", "sell_wheat", "sell_corn", "sell_beets", "sell_surplus")
        price = dict(zip(names, (238, 210, -170, -150, -36, -10), strict=True))
        upper = dict.fromkeys(names, 1e5) | {"sell_beets": 6000}
        y = {
            name: builder.variables(name, n, lower=0, upper=upper[name], objective=price[name] * np.array(probability))
            for name in names
        }
        builder.rows("land", -np.inf, 500.0, (np.zeros(3, int), x.index, 1.0))
        s = np.arange(n)
        for j, (buy, sell, need) in enumerate((("buy_wheat", "sell_wheat", 200), ("buy_corn", "sell_corn", 240))):
            builder.rows(
                buy,
                np.full(n, float(need)),
                np.inf,
                (s, np.full(n, x.start + j), scenarios[:, j]),
                (s, y[buy].index, 1.0),
                (s, y[sell].index, -1.0),
            )
        builder.rows(
            "beets",
            np.full(n, -np.inf),
            0.0,
            (s, y["sell_beets"].index, 1.0),
            (s, y["sell_surplus"].index, 1.0),
            (s, np.full(n, x.start + 2), -scenarios[:, 2]),
        )
        return solve(builder.build())

    third = [1 / 3] * 3
    rp = farmer(yields, third)
    ws = np.mean([farmer(yields[i : i + 1], [1.0]).objective for i in range(3)])
    ev = farmer(yields.mean(axis=0, keepdims=True), [1.0])
    eev = farmer(yields, third, ev.values("x"))
    assert rp.objective == pytest.approx(-108_390, abs=0.5)
    assert ws == pytest.approx(-115_405.56, abs=0.01)
    assert eev.objective == pytest.approx(-107_240, abs=0.5)
    assert rp.bound <= rp.objective + 1e-6  # a lower bound, for minimisation
    assert rp.bound == pytest.approx(rp.objective, rel=1e-9)


def test_irregular_trees_from_data_work_too(reference):
    case = reference.replace(T=3)
    paths = case.process.sample(200, 3, seed=5)
    tree = tree_from_paths(paths, [3, 3, 2])
    v = value_table(case, tree)
    assert close(v.rp.lower, solve_pyomo(scenario_model(case, tree)))


@pytest.mark.parametrize("reducer, paths", [(k_means, 8000), (forward_selection, 2000)])
def test_plans_on_trees_from_paths_earn_what_they_promise(reference, reducer, paths):
    """No plan beats the exact policy on fresh paths; this one comes near, and the static plan does not."""
    case = reference.replace(T=3)
    exact = threshold(case)
    assert exact.objective == pytest.approx(99.349e6, rel=1e-4)
    tree = tree_from_paths(case.process.sample(paths, 3, seed=1), [8, 6, 4], reducer)
    values = value_table(case, tree)
    # Eight groups of the next value lose little of the process, and what they fit of the sample lifts RP a little.
    assert values.point("rp") == pytest.approx(exact.objective, rel=0.015)
    if paths == 8000:
        assert values.point("rp") == pytest.approx(99.87e6, rel=1e-4)
        assert values.point("evpi") == pytest.approx(4.21e6, rel=2e-3)
    policies = [values.recourse.policy(name="tree"), exact.policy(name="exact"), "static"]
    fresh = simulate(case, policies, paths=60_000, seed=5)
    assert fresh.difference("exact", "tree").lower > 0
    assert fresh.difference("exact", "tree").upper < 0.005 * exact.objective
    assert fresh.difference("tree", "static").lower > 0


def test_dual_bound_holds_for_any_duals(reference):
    case = reference.replace(T=2)
    tree = ScenarioTree.from_process(case.process, [3, 2])
    program = tree_program(case, tree)
    solution = solve(program)
    rng = np.random.default_rng(0)
    for scale in (0, 1e-6, 0.1, 1, 10):
        noisy = solution.row_dual * (1 + scale * rng.standard_normal(solution.row_dual.size))
        assert program.dual_bound(noisy) >= solution.objective * (1 - 1e-12)


def test_small_probabilities_do_not_spoil_the_bracket(reference):
    """Objective coefficients down to 1e-20 against HiGHS's absolute dual tolerance."""
    case = reference.replace(T=4, sigma=0.8)
    result = extensive_form(case, ScenarioTree.from_process(case.process, [12] * 4))
    assert result.bounds.gap < 1e-6
    assert result.termination.reason == "optimal"
    strict = extensive_form(case, ScenarioTree.from_process(case.process, [12] * 4), rel_gap=0.0)
    assert strict.bounds.meets(0.0) or strict.termination.reason == "limit"


@pytest.mark.parametrize("D0", [1e-9, 1e-3, 1e6, 1e12])
def test_values_scale_with_demand(reference, D0):
    """Without limits all values are proportional to demand, whatever its unit."""
    case = reference.replace(T=3)
    base = value_table(case, ScenarioTree.from_process(case.process, [3, 2, 3]))
    other = case.replace(D0=D0)
    tree = ScenarioTree.from_process(other.process, [3, 2, 3])
    scaled = value_table(other, tree)
    for name in ("ws", "rp", "static", "fixed", "ev", "eev", "evpi", "flexibility"):
        assert scaled.point(name) == pytest.approx(base.point(name) * D0 / 1000, rel=1e-6)
    hedged = progressive_hedging(other, tree, rel_gap=1e-3)
    assert hedged.bounds.gap <= 1e-3
    assert hedged.bounds.upper >= scaled.rp.lower * (1 - 1e-9)


def test_values_near_zero_are_no_crossing_bounds(reference):
    """The optimum as a difference of sums of hundreds of millions, tuned to vanish."""
    case = reference.replace(T=4)
    tree = ScenarioTree.from_process(case.process, [3] * 4)
    low, high = 0.0, case.economics.P_m
    for _ in range(50):
        price = (low + high) / 2
        result = extensive_form(case.replace(P_m=price), tree)
        low, high = (low, price) if result.objective > 0 else (price, high)
    assert abs(result.objective) < 1e-2
    value_table(case.replace(P_m=price), tree)


def test_bounds_that_cross_are_an_error():
    with pytest.raises(BoundsError, match="bounds cross"):
        Bounds(2.0, 1.0, Kind.CERTIFIED, Of.TREE)
    with pytest.raises(BoundsError, match="bounds cross"):
        Bounds(float("nan"), 1.0, Kind.CERTIFIED, Of.TREE)
    assert Bounds(1.0 + 1e-12, 1.0, Kind.CERTIFIED, Of.TREE).upper == 1.0 + 1e-12
    assert Bounds(-1e-3, 0.0, Kind.CERTIFIED, Of.TREE, flows=1e9).meets(0.0)


def test_commitments_follow_the_lead_time(reference):
    tree = ScenarioTree.from_process(reference.process, [2, 2, 2])
    for lead in range(5):
        c = Commitments(tree, lead)
        assert c.count == sum(2 ** max(t - lead, 0) for t in range(4))
        assert (c.node[c.of_node] == tree.ancestor(lead)).all()
        assert (c.year[c.of_node] == tree.stage).all()
        for k in range(1, c.count):
            assert c.year[c.previous[k]] == c.year[k] - 1
        assert c.probability[c.at(3)].sum() == pytest.approx(1)


def test_mismatches_and_missing_solvers_are_refused(reference):
    tree = ScenarioTree.from_process(reference.process, [2, 2])
    with pytest.raises(InputError, match="one factor per year"):
        extensive_form(reference, tree)
    other = ScenarioTree.from_process(GeometricBrownianMotion(5, 0.2, 0.2), [2, 2])
    with pytest.raises(InputError, match="demand D0"):
        extensive_form(reference.replace(T=2), other)
    with pytest.raises(InputError, match="solver: must be one of"):
        extensive_form(reference.replace(T=2), tree, solver="abacus")
    with pytest.raises(InputError, match="solver"):
        solve_pyomo(path_model(reference.replace(T=1), np.ones(2)), "abacus")
    for demand in (np.ones(3), np.array([1.0, np.nan]), np.array([1.0, -1.0])):
        with pytest.raises(InputError, match="demand"):
            path_model(reference.replace(T=1), demand)


def test_infeasible_programs_name_themselves():
    builder = ProgramBuilder("impossible", "maximise")
    x = builder.variables("x", 1, lower=0, upper=1, objective=1)
    builder.rows("row", [2.0], [3.0], (np.zeros(1, int), x.index, 1.0))
    with pytest.raises(SolverError, match="impossible: highs ended with status 'Infeasible'"):
        solve(builder.build())


def test_integer_programs_carry_the_solvers_bound():
    builder = ProgramBuilder("knapsack", "maximise")
    x = builder.variables("x", 3, lower=0, upper=1, objective=[5, 4, 3], integer=True)
    builder.rows("weight", [-np.inf], [5.0], (np.zeros(3, int), x.index, np.array([2.0, 3.0, 1.0])))
    solution = solve(builder.build())
    assert solution.objective == pytest.approx(9)
    assert solution.bound >= 9 - 1e-6


def test_expected_value_plan_serves_the_mean_path():
    case = load_case("lunar-reference").replace(T=3)
    tree = ScenarioTree.from_process(case.process, [3, 3, 3])
    plan = expected_value(case, tree).plan
    need = case.process.mean(np.arange(4)) / case.technology.eta
    assert plan.plant[tree.offsets[:-1]] == pytest.approx(need)
