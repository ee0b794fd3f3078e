"""Deployment with modules, fixed costs and economies of scale: exact levels against programs and brute force."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenario_trees import MarkovLattice, ScenarioTree
from stochisru import InputError, extensive_form, load_case, simulate, threshold, value_table
from stochisru.lunar.case import case_from_dict
from stochisru.lunar.exact import layers, levels
from stochisru.lunar.exact.open_loop import expected_value, fixed_design, static_plan
from stochisru.lunar.exact.tree_dp import tree_dp
from stochisru.lunar.information import plan_value
from stochisru.lunar.policies import POLICIES
from stochisru.lunar.relaxation import sddp_ignoring, threshold_ignoring
from stochisru.lunar.simulation import simulate_panel
from stochisru.lunar.tree_program import tree_program
from stochisru.methods.result import Reason
from stochisru.testing import check_strategy
from tests.cases import deployment_cases

CURVE = {"breakpoints": [0, 200, 1000], "values": [0, 4e6, 12e6]}
SCALES = (
    {"lot": 50.0},
    {"fixed_cost": 5e6},
    {"lot": 50.0, "fixed_cost": 5e6, "M0": 30.0},
    {"reference": 1000.0, "c_dev_exponent": 0.6, "fixed_cost": 2e6},
    {"reference": 500.0, "eta_exponent": 1.3, "earth_limit": 500.0, "M0": 40.0},
    {"reference": 1000.0, "c_dev_exponent": 0.6, "degradation": 0.1, "fixed_cost": 1e6, "lead_time": 2},
    {"lot": 40.0, "lead_time": 0, "initial_deployment": "fixed"},
    {"c_dev_curve": CURVE, "earth_limit": 900.0},
)


def problem(T=3, branches=3, **changes):
    case = load_case("lunar-reference").replace(T=T, **changes)
    return case, ScenarioTree.from_process(case.process, [branches] * T)


@st.composite
def scaled_cases(draw, max_T=3):
    """Cases with any mixture of modules, fixed costs and concave curves."""
    case = draw(deployment_cases(max_T=max_T))
    scale = draw(
        st.sampled_from(
            [
                {},
                {"reference": 300.0, "c_dev_exponent": 0.7},
                {"reference": 300.0, "eta_exponent": 1.4},
                {"reference": 300.0, "c_dev_exponent": 0.8, "eta_exponent": 1.2},
            ]
        )
    )
    lot = draw(st.sampled_from([None, 37.0, 150.0]))
    if lot is not None:
        scale = scale | {"lot": lot, "degradation": 0.0}
    return case.replace(fixed_cost=draw(st.sampled_from([0.0, 1e5, 3e6])), **scale)


# ------------------------------------------------------------------ exact levels


@pytest.mark.parametrize("changes", SCALES)
def test_levels_are_the_optimum_of_the_mixed_integer_program(changes):
    case, tree = problem(**changes)
    exact = tree_dp(case, tree)
    program = extensive_form(case, tree, rel_gap=1e-7)
    assert tree_program(case, tree).integer.any()
    assert exact.bounds.gap < 1e-9
    assert exact.bounds.certified
    assert not program.bounds.certified
    assert program.bounds.lower <= exact.objective * (1 + 1e-9)
    assert exact.objective <= program.bounds.upper
    assert program.objective == pytest.approx(exact.objective, rel=1e-6)


@given(scaled_cases(max_T=2), st.lists(st.integers(1, 3), min_size=2, max_size=2))
@settings(max_examples=15)
def test_levels_are_the_optimum_of_any_small_program(case, branching):
    tree = ScenarioTree.from_process(case.process, branching[: case.horizon.T])
    exact, program = tree_dp(case, tree), extensive_form(case, tree, rel_gap=0.0)
    slack = 1e-7 * program.bounds.flows
    assert program.objective - slack <= exact.objective <= program.bounds.upper + slack
    assert program.objective == pytest.approx(exact.objective, rel=1e-6, abs=slack)


@given(deployment_cases(max_T=3), st.lists(st.integers(1, 3), min_size=3, max_size=3))
def test_levels_are_the_linear_optimum_too(case, branching):
    tree = ScenarioTree.from_process(case.process, branching[: case.horizon.T])
    linear = extensive_form(case, tree)
    found = tree_dp(case, tree)
    slack = 1e-9 * linear.bounds.flows
    assert found.objective == pytest.approx(linear.objective, rel=1e-9, abs=slack)
    paths = np.ascontiguousarray(tree.value[tree.node_paths()].T)
    value = layers.perfect_information(case, paths)[0]
    assert levels.perfect_information(case, paths)[0] == pytest.approx(value, rel=1e-9, abs=slack)
    law = [tree.value[tree.at(t)] for t in range(case.horizon.T + 1)]
    weight = [tree.probability[tree.at(t)] for t in range(case.horizon.T + 1)]
    open_loop = layers.open_loop(case, law, weight).value
    assert levels.open_loop(case, law, weight).value == pytest.approx(open_loop, rel=1e-9, abs=slack)


@given(scaled_cases(), st.lists(st.integers(1, 3), min_size=3, max_size=3))
def test_values_are_in_their_order(case, branching):
    tree = ScenarioTree.from_process(case.process, branching[: case.horizon.T])
    values = value_table(case, tree)  # raises BoundsError if not
    slack = 1e-9 * values.rp.flows
    eev_t = [b.lower for b in values.eev_t]
    for low, high in itertools.pairwise([*reversed(eev_t), values.rp.lower]):
        assert low <= high + slack
    if set(branching[: case.horizon.T]) == {1}:
        assert values.ws.lower == pytest.approx(values.rp.lower, rel=1e-9, abs=slack)
    assert values.rp.upper <= tree_dp(case.linear_bound, tree).objective + slack


@given(scaled_cases(max_T=2))
def test_static_plan_is_the_optimum_without_recourse(case):
    # Where everything is decided at the root there is no recourse: another code path for the same number.
    tree = ScenarioTree.from_process(case.process, [3] * case.horizon.T)
    committed = case.replace(lead_time=case.horizon.T)
    static = static_plan(case, tree)
    slack = 1e-9 * static.bounds.flows
    assert tree_dp(committed, tree).objective == pytest.approx(static.objective, rel=1e-9, abs=slack)


@pytest.mark.parametrize("fixed_cost", [0.0, 4e6])
def test_modules_on_one_path_by_brute_force(fixed_cost):
    case = load_case("lunar-reference").replace(T=3, lot=60.0, fixed_cost=fixed_cost, M0=20.0, sigma=0.0, mu=0.5)
    tree = ScenarioTree.from_process(case.process, [1, 1, 1])
    plans = itertools.product(range(11), repeat=4)
    best = max(plan_value(case, tree, 60.0 * np.array(plan, dtype=float)) for plan in plans)
    assert tree_dp(case, tree).objective == pytest.approx(best, rel=1e-12)
    assert fixed_design(case, tree).objective == pytest.approx(
        max(plan_value(case, tree, 60.0 * np.array([n, 0, 0, 0.0])) for n in range(30)), rel=1e-12
    )


def test_a_concave_cost_on_a_fine_grid():
    case, tree = problem(T=2, reference=200.0, c_dev_exponent=0.5, fixed_cost=1e6, lead_time=2)
    grid = np.linspace(0, 600, 61)
    best = max(plan_value(case, tree, np.array(plan)[tree.stage]) for plan in itertools.product(grid, repeat=3))
    exact = tree_dp(case, tree).objective
    assert best <= exact * (1 + 1e-12)
    assert best == pytest.approx(exact, rel=5e-3)


def test_dearer_is_worse_and_coarser_is_worse():
    case, tree = problem(T=3)
    free = tree_dp(case, tree).objective
    dear = [tree_dp(case.replace(fixed_cost=cost), tree).objective for cost in (1e6, 3e6, 1e7)]
    assert sorted([free, *dear], reverse=True) == [free, *dear]
    lots = [tree_dp(case.replace(lot=lot), tree).objective for lot in (10.0, 20.0, 40.0, 80.0)]
    assert sorted([free, *lots], reverse=True) == [free, *lots]
    powers = [tree_dp(case.replace(reference=1000.0, c_dev_exponent=b), tree).objective for b in (1.0, 0.9, 0.8, 0.7)]
    assert sorted(powers, reverse=True) == powers  # below the reference size economies of scale make plants dearer


def test_no_volatility_and_one_branch_leave_nothing_to_know():
    case = load_case("lunar-reference").replace(T=4, sigma=0.0, lot=50.0, fixed_cost=2e6)
    values = value_table(case, ScenarioTree.from_process(case.process, [2, 1, 1, 1]))
    for name in ("ws", "static", "ev", "eev"):
        assert getattr(values, name).lower == pytest.approx(values.rp.lower, rel=1e-12)
    assert values.point("evpi") == 0.0


def test_held_plans_of_the_table_are_those_of_the_program():
    case, tree = problem(T=3, lot=50.0, fixed_cost=3e6)
    values = value_table(case, tree)
    plan = values.expected.plan.deployment[tree.offsets[:-1]]
    assert (plan % 50.0 == 0).all()
    from stochisru.methods.extensive_form import extensive_forms
    from stochisru.problem import Held

    held = [Held({"dM": values.expected.plan.deployment}, through=t) for t in (0, 1)]
    programs = extensive_forms(case, tree, held, rel_gap=1e-7)
    for bounds, program in zip(values.eev_t, programs, strict=False):
        assert bounds.lower == pytest.approx(program.objective, rel=1e-6)


def test_what_the_dynamic_programme_does_not_take_is_refused_in_one_line():
    case, tree = problem(lot=50.0, degradation=0.1)
    with pytest.raises(InputError, match=r"degradation: must be 0 with a launch\.lot"):
        tree_dp(case, tree)
    steep = load_case("lunar-reference").replace(T=3, c_dev_curve={"breakpoints": [0, 100, 200], "values": [0, 1, 9e6]})
    with pytest.raises(InputError, match="must be concave in its size"):
        static_plan(steep, tree)
    # A convex cost is a linear program, which the extensive form takes.
    program = tree_program(steep, tree)
    assert not program.integer.any()
    assert extensive_form(steep, tree).bounds.certified


# ------------------------------------------------------------------ the case file


def test_a_case_file_holds_it_all():
    case = load_case("lunar-reference").replace(lot=50.0, fixed_cost=1e6, c_dev_curve=CURVE, reference=1.0)
    import tomllib

    again = case_from_dict(tomllib.loads(case.to_toml()))
    assert again == case
    assert again.digest() == case.digest() != load_case("lunar-reference").digest()
    assert case.describe_scale() == (
        "modules of 50 kg and 1,000,000 $ per campaign and a cost of development that is not proportional to mass"
    )


def test_costs_by_size():
    linear = load_case("lunar-reference")
    unit = linear.investment_cost
    case = linear.replace(reference=1000.0, c_dev_exponent=0.7, fixed_cost=3e6)
    flight = linear.costs.c_L * linear.technology.alpha
    sizes = np.array([0.0, 62.5, 1000.0, 4000.0])
    expected = flight * sizes + 1e7 * (sizes / 1000) ** 0.7 + 3e6 * (sizes > 0)
    assert case.investment(sizes) == pytest.approx(expected)
    assert linear.investment(sizes) == pytest.approx(unit * sizes)
    # A plant of the reference size is as productive as η says, a larger one more so.
    larger = linear.replace(reference=1000.0, eta_exponent=1.25)
    assert larger.mass(1000.0) == pytest.approx(1000.0)
    assert larger.mass(2000.0 * 2**0.25) == pytest.approx(2000.0)
    assert larger.investment(2000.0 * 2**0.25) == pytest.approx(unit * 2000.0)


@pytest.mark.parametrize(
    "changes",
    [
        {"c_dev_curve": {"breakpoints": [0, 1000], "values": [0, 5e7]}},
        {"eta_curve": {"breakpoints": [0, 100], "values": [0, 300.0]}},
    ],
)
def test_a_straight_curve_is_worth_its_own_slope(changes):
    # Methods for linear costs know c_L, c_dev and η alone, not a line of another slope.
    case, tree = problem(**changes)
    assert not case.is_linear
    assert "by a straight line other than" in case.describe_scale()
    below = case.linear_bound
    assert below.investment_cost == pytest.approx(float(case.investment(1.0)), rel=1e-12)
    same = tree_dp(case, tree).objective
    assert same == pytest.approx(extensive_form(case, tree).objective, rel=1e-9)
    assert same == pytest.approx(extensive_form(below, tree).objective, rel=1e-9)
    assert static_plan(case, tree).objective == pytest.approx(static_plan(below, tree).objective, rel=1e-9)
    as_given = load_case("lunar-reference").replace(c_dev_curve={"breakpoints": [0, 1000], "values": [0, 1e7]})
    assert as_given.is_linear


@pytest.mark.parametrize(
    ("changes", "unit"),
    [({"fixed_cost": 1e6}, 0.0), ({"c_dev_curve": {"breakpoints": [0, 1], "values": [0, 7.0]}}, 7.0)],
)
def test_the_linear_bound_of_a_plant_that_costs_nothing_by_mass(changes, unit):
    case = load_case("lunar-reference").replace(c_L=0.0, c_dev=0.0, **changes)
    assert case.linear_bound.investment_cost == unit


@pytest.mark.parametrize("changes", SCALES)
def test_no_deployment_undercuts_the_linear_bound(changes):
    case = load_case("lunar-reference").replace(**changes)
    sizes = np.geomspace(1e-3, 1e7, 2001)
    below = case.linear_bound
    assert below.is_linear
    assert not case.is_linear
    assert (below.investment(sizes) <= case.investment(sizes) * (1 + 1e-12)).all()
    assert below.costs.c_op == case.costs.c_op
    assert below.costs.c_E == case.costs.c_E


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lot": 0.0}, "launch.lot: must be a finite number > 0 and <= 1e+09, got 0.0"),
        ({"lot": float("nan")}, "launch.lot: must be a finite number > 0 and <= 1e+09, got nan"),
        ({"fixed_cost": -1.0}, "launch.fixed_cost: must be a finite number >= 0 and <= 1e+15, got -1.0"),
        ({"c_dev_exponent": 0.7}, "scale.reference: needed by c_dev_exponent, in kg"),
        ({"c_dev_curve": 3}, "scale.c_dev_curve: must be a table, got 3"),
        ({"c_dev_curve": {"breakpoints": [0, 1], "values": [0, -1]}}, "scale.c_dev_curve.values: must ascend"),
        ({"eta_curve": {"breakpoints": [1, 2], "values": [0, 1]}}, "scale.eta_curve.breakpoints: must be at least two"),
        ({"c_dev_curve": CURVE, "c_dev_exponent": 0.7, "reference": 1.0}, "keep one of the two"),
        ({"eta_curve": {"breakpoints": [0, 1], "values": [0, "2"]}}, "scale.eta_curve.values.1"),
        ({"eta_exponent": 0.0}, "scale.eta_exponent: must be a finite number > 0 and <= 3, got 0.0"),
    ],
)
def test_what_cannot_be_is_refused_by_name(changes, message):
    with pytest.raises(InputError) as error:
        load_case("lunar-reference").replace(**changes)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


# ------------------------------------------------------------------ strategies and simulation


def test_every_policy_flies_whole_modules_and_pays_for_them():
    case = load_case("contested-market").replace(T=4, lot=64.0, fixed_cost=1e5, reference=200.0, c_dev_exponent=0.8)
    names = [name for name in POLICIES if name != "sddp"]
    panel = simulate_panel(case, names, paths=16, seed=3)
    deployment = panel["deployment"].to_numpy()
    assert np.allclose(deployment / 64.0, np.rint(deployment / 64.0))
    cost = np.where(deployment > 0, 1e5, 0.0) + case.costs.c_L * case.technology.alpha * deployment
    cost += case.scale.by_mass("c_dev", case.costs.c_dev)(deployment)
    linear = simulate_panel(case.replace(fixed_cost=0.0, c_dev_exponent=1.0), names[:4], paths=16, seed=3)
    kept = linear["cash"].to_numpy() + case.investment_cost * linear["deployment"].to_numpy()
    same = (linear["deployment"].to_numpy() == deployment[:4]).all(axis=2)
    assert same.any()
    # Where a rule does the same, the difference is the cost.
    assert np.allclose(panel["cash"].to_numpy()[:4][same], (kept - cost[:4])[same])


def test_fixed_cost_is_paid_once_per_year_with_plant():
    # Everything is deployed at the root, so the campaigns are known.
    case = load_case("lunar-reference").replace(T=2, lead_time=2)
    exact = threshold(case)
    years = np.flatnonzero(exact.plan.root > 0)
    free, dear = (simulate(case.replace(fixed_cost=c), [exact.policy()], paths=64).npv.mean() for c in (0.0, 1e6))
    assert years.size > 1
    assert free - dear == pytest.approx(1e6 * (1.08 ** -years.astype(float)).sum(), rel=1e-9)
    check_strategy(exact.policy(), case.replace(lot=64.0))


# ------------------------------------------------------------------ what linear methods ignore


def test_ignored_costs_are_labelled_and_bracketed():
    case = load_case("contested-market").replace(T=8)
    exact = threshold(case)
    free = threshold_ignoring(case)
    assert free.objective == pytest.approx(exact.objective)
    last = free.objective
    for changes in ({"lot": 20.0}, {"lot": 100.0}, {"lot": 100.0, "fixed_cost": 1e6}):
        here = case.replace(**changes)
        result = threshold_ignoring(here)
        assert result.bounds.lower < result.objective < last  # dearer each time, on the same paths
        assert result.bounds.upper == exact.bounds.upper
        assert (result.termination.reason, result.termination.limit) == (Reason.LIMIT, "relaxation")
        assert here.describe_scale() in result.termination.detail
        rule = result.policy().describe(here)  # modules are kept, and what else is not in proportion is ignored
        assert f"whole modules of {changes['lot']:g} kg" in rule
        assert ("it ignores 1,000,000 $ per campaign" in rule) is ("fixed_cost" in changes)
        assert result.bounds.certified is False
        last = result.objective


@pytest.mark.parametrize("changes", [{"lot": 50.0, "fixed_cost": 2e6}, {"reference": 500.0, "c_dev_exponent": 0.7}])
def test_sddp_brackets_the_optimum_of_the_same_lattice(changes):
    case, tree = problem(T=4, **changes)
    lattice = MarkovLattice.from_growth(case.process, [3] * 4)
    exact = tree_dp(case, tree).objective
    result = sddp_ignoring(case, lattice, paths=2048)
    assert result.bounds.lower < exact < result.bounds.upper
    assert result.objective < exact
    assert result.termination.limit == "relaxation"


@pytest.mark.parametrize("name", ["threshold", "lattice_dp", "sddp"])
def test_linear_methods_refuse_what_they_ignore(name):
    from stochisru.lunar.exact.lattice_dp import lattice_dp
    from stochisru.methods.sddp.method import sddp

    method = {"threshold": threshold, "lattice_dp": lattice_dp, "sddp": sddp}[name]
    with pytest.raises(InputError, match="takes costs in proportion to size, got modules of 50 kg"):
        method(load_case("lunar-reference").replace(T=3, lot=50.0))


def test_expected_value_plan_is_the_optimum_of_the_mean_path():
    case, tree = problem(T=3, lot=50.0, fixed_cost=2e6)
    chain = ScenarioTree.from_process(case.process, [1, 1, 1])
    deployment = tree_dp(case, chain).plan.deployment
    assert expected_value(case, tree).objective == pytest.approx(plan_value(case, tree, deployment[tree.stage]))
