"""Policies by name, the rolling horizon and comparisons out of sample, against the exact policy and closed forms."""

import json

import numpy as np
import pytest
from hypothesis import given, settings

from scenario_trees import SAMPLERS, MarkovLattice, ScenarioTree, TreeError
from stochisru import InputError, extensive_form, load_case, simulate, threshold, value_table
from stochisru.lunar.comparison import compare
from stochisru.lunar.exact.layers import perfect_information
from stochisru.lunar.exact.wait_and_see import FORESIGHT_PATHS, foresight_sample, wait_and_see_on_paths
from stochisru.lunar.operations import MeritOrder, discount_factors
from stochisru.lunar.policies import POLICIES, open_loop_plans, policy_named
from stochisru.lunar.simulation import follow
from stochisru.lunar.strategies import STRATEGIES, RollingHorizon
from stochisru.lunar.values.process import DIFFERENCES, exact_values, process_values
from stochisru.methods.extensive_form import extensive_forms
from stochisru.problem import Held
from stochisru.simulation.sampling import Sampling
from stochisru.testing import check_strategy
from tests.cases import deployment_cases


@pytest.fixture(scope="module")
def contested():
    return load_case("contested-market")


@pytest.mark.parametrize("name", sorted(set(POLICIES) - set(STRATEGIES)))
@pytest.mark.parametrize("limit", [None, 900.0])
def test_every_policy_keeps_the_protocol(contested, name, limit):
    lead = 1 if name == "sddp" else 2  # SDDP with a pipeline of orders has tests of its own
    case = contested.replace(T=4, lead_time=lead, earth_limit=limit, M0=30.0, degradation=0.05)
    if name == "threshold" and limit is not None:
        with pytest.raises(InputError, match="earth_limit: must be none or 0"):
            policy_named(name, case)
        return
    policy = policy_named(name, case)
    assert policy.name == name
    check_strategy(policy, case, paths=16)
    assert policy.describe(case).endswith(".")


def test_names_are_checked_before_any_policy_is_made(contested):
    with pytest.raises(InputError, match=r"strategies: must be among conservative, .*, got 'magic'"):
        simulate(contested, ["tree", "magic"], paths=2)
    with pytest.raises(InputError, match="strategies: names must differ, 'threshold' is given twice"):
        compare(contested, ["threshold", "threshold"])


# ------------------------------------------------------------------------------ rolling horizon


@settings(max_examples=30)
@given(deployment_cases(max_T=4))
def test_first_decision_is_that_of_the_small_tree(case):
    T = case.horizon.T
    rule = RollingHorizon((2,) * (T + 1))
    tree = ScenarioTree.from_process(case.process, [2] * T)
    assert rule.lattice(case, T, case.demand.D0) == MarkovLattice.from_growth(case.process, [2] * T)
    start = np.zeros(T + 1)
    start[: rule.start(case).size] = rule.start(case)
    best, held = extensive_forms(case, tree, [Held(), Held({"dM": start}, through=0)])
    assert held.objective == pytest.approx(best.objective, abs=1e-8 * best.bounds.flows)


def test_rolling_over_the_whole_tree_is_the_tree_policy(contested):
    """On the paths of its own tree a look-ahead to the end re-solves what the tree has solved."""
    case = contested.replace(T=4)
    rule = RollingHorizon((2,) * 4)
    tree = ScenarioTree.from_process(case.process, [2] * 4)
    demand = tree.value[tree.node_paths()].T
    probability = tree.probability[tree.leaves]
    merit, npv = MeritOrder.of(case), np.zeros(demand.shape[1])
    for t, (order, plant) in enumerate(follow(case, rule, demand)):
        cash = merit.profit(case.technology.eta * plant, demand[t]) - case.costs.c_op * plant
        npv += discount_factors(case)[t] * (cash - case.investment_cost * order)
    assert float(probability @ npv) == pytest.approx(extensive_form(case, tree).objective, rel=1e-9)


def test_longer_look_ahead_and_more_branches_come_nearer_to_the_optimum(contested):
    case = contested.replace(T=15)
    shapes = {"one": (12,), "two": (12, 6), "four": (12, 6, 3, 2), "few": (3, 3, 3, 3)}
    rules = [RollingHorizon(b, name=name) for name, b in shapes.items()]
    gap = compare(case, rules, paths=4096, seed=3, sampler="sobol").gaps
    assert gap["one"].lower > gap["two"].upper > gap["two"].lower > gap["four"].upper
    assert gap["few"].lower > gap["four"].upper
    assert gap["four"].upper < 0.005 * threshold(case).objective


@pytest.mark.parametrize("lead", [0, 2])
def test_rolling_under_a_limit_from_earth(contested, lead):
    case = contested.replace(T=5, lead_time=lead, earth_limit=900.0, c_bu=9000.0)
    check_strategy(RollingHorizon((4, 2, 2, 1)), case, paths=16)
    outcome = simulate(case, ["rolling", "lattice", "moderate"], paths=2048, seed=1, sampler="sobol")
    assert outcome.difference("rolling", "moderate").lower > 0
    assert abs(outcome.difference("rolling", "lattice").value) < 0.02 * abs(
        outcome.metrics["lattice"]["npv_mean"].value
    )


def test_rolling_under_a_limit_is_near_a_solve_of_its_own(contested):
    from stochisru.lunar.strategies.protocol import Observation
    from stochisru.lunar.strategies.rolling import _level

    case = contested.replace(T=6, earth_limit=900.0, c_bu=9000.0)
    rule = RollingHorizon()
    demand = case.process.quantile(np.linspace(0.002, 0.998, 41), 3)
    history = np.stack([np.full(41, 1000.0)] * 3 + [demand])
    order = rule.order(Observation(case, 3, history, np.zeros((4, 41)), np.zeros((4, 41))))
    solved = np.array([_level(rule, case, 3, float(d)) for d in demand])
    assert order == pytest.approx(solved, rel=0.03)


def test_rolling_refuses_what_it_cannot_do(contested):
    with pytest.raises(TreeError, match=r"branching: every factor must be an integer >= 1, got 1\.5"):
        RollingHorizon((3, 1.5))
    with pytest.raises(InputError, match="quantization: must be one of"):
        RollingHorizon(quantization="magic")
    with pytest.raises(InputError, match="branching: must look at least 3 years ahead"):
        simulate(contested.replace(lead_time=3), [RollingHorizon((2, 2))], paths=2)


# ---------------------------------------------------------------------------------- comparison


def test_foresight_is_that_of_the_simulated_paths(contested):
    case = contested.replace(T=5)
    for sampler in SAMPLERS.values():
        sample = Sampling(10_000, 4, sampler)
        demand = case.process.sample(10_000, 5, seed=4, sampler=sampler)
        whole = wait_and_see_on_paths(case, np.arange(10_000), sample)
        assert whole == pytest.approx(perfect_information(case, demand)[0])
        some = np.array([0, 7, 4500, 4501, 9999])
        part = wait_and_see_on_paths(case, some, sample)
        assert part == pytest.approx(whole[some], rel=1e-12)


@pytest.mark.parametrize("sampler", sorted(SAMPLERS))
@pytest.mark.parametrize("paths", [500, 20_000, 30_001, 170_000, 400_000])
def test_perfect_information_is_solved_on_independent_groups(sampler, paths):
    units = SAMPLERS[sampler].units(paths)
    chosen, groups = foresight_sample(units)
    assert chosen.size == groups.sum() <= max(FORESIGHT_PATHS, units.size)
    assert groups.size >= min(units.size, 1000)
    starts = np.concatenate([[0], np.cumsum(units)[:-1]])
    owner = np.searchsorted(starts, chosen, side="right") - 1
    assert (np.bincount(owner)[: groups.size] == groups).all()
    assert chosen.size >= min(paths, FORESIGHT_PATHS) - units.size


def test_interval_of_perfect_information_stays_with_many_paths(contested):
    few, many = (
        compare(contested.replace(T=2), ["static"], paths=n, seed=1, sampler="sobol").evpi for n in (16_384, 400_000)
    )
    assert 0 < many.upper - many.lower < 3 * (few.upper - few.lower)


def test_comparison_brackets_the_optimum(contested):
    case = contested.replace(T=12)
    names = ["moderate", "threshold", "static", "fixed", "ev", "rolling", "lattice"]
    outcome = compare(case, names, paths=8192, seed=5, sampler="sobol")
    assert outcome.simulation.names == names
    values = exact_values(case)
    assert outcome.gaps["threshold"].value == 0
    for name in ("static", "fixed"):
        gap = outcome.gaps[name]
        exact = values.point("rp") - values.point(name)
        assert gap.lower - gap.standard_error < exact < gap.upper + gap.standard_error
    vss = outcome.gaps["ev"]
    assert vss.lower - vss.standard_error < values.point("vss") < vss.upper + vss.standard_error
    assert all(gap.lower >= -gap.standard_error for gap in outcome.gaps.values())
    assert outcome.wait_and_see.lower > values.point("rp")
    plain = wait_and_see_on_paths(case, np.arange(8192), Sampling(8192, 5, "sobol"))
    assert plain.mean() == pytest.approx(outcome.wait_and_see.value, rel=5e-3)
    free = compare(case, ["threshold"], paths=8192, seed=5)  # independent paths: the pairing takes most of the noise
    unpaired = wait_and_see_on_paths(case, np.arange(8192), Sampling(8192, 5)).std()
    assert free.evpi.standard_error < 0.3 * unpaired / np.sqrt(8192)
    frame = outcome.to_frame()
    assert frame["strategy"][0] == "threshold"
    assert frame["gap"].is_monotonic_increasing
    again = compare(case, names, paths=8192, seed=5, sampler="sobol", workers=2)
    assert json.dumps(again.to_dict()) == json.dumps(outcome.to_dict())


def test_comparison_without_an_exact_policy(contested):
    case = contested.replace(T=5, earth_limit=700.0)
    outcome = compare(case, ["lattice", "moderate"], paths=30_000, seed=1)
    assert outcome.optimum is None
    assert outcome.gaps == {}
    assert outcome.foresight_paths == 20_000
    assert outcome.wait_and_see.lower > outcome.simulation.metrics["lattice"]["npv_mean"].value
    assert np.isnan(outcome.to_frame()["gap"]).all()
    assert outcome.to_dict()["optimum"] is None


# -------------------------------------------------------------------------- values on the process


def test_process_values_agree_with_trees(contested):
    """Values on fine trees are those of the process, up to what the tree leaves out."""
    case = contested.replace(T=3)
    tree = value_table(case, ScenarioTree.from_process(case.process, [24, 16, 12]))
    process = process_values(case, paths=16_384)
    size = tree.rp.flows
    for name in ("ws", "rp", "static", "fixed", "ev", "eev", "evpi", "vss", "vms", "flexibility"):
        assert process.point(name) == pytest.approx(tree.point(name), abs=2e-3 * size), name


def test_process_values_are_in_order_and_add_up(contested):
    values = process_values(contested.replace(T=30), paths=4096)
    for low, high in (("eev", "static"), ("static", "rp"), ("rp", "ws"), ("fixed", "single"), ("single", "rp")):
        assert values.point(low) < values.point(high)
    for name, (high, low) in DIFFERENCES.items():
        assert values.point(name) == pytest.approx(values.point(high) - values.point(low))
    assert values.point("evpi") == pytest.approx(values.point("ws") - values.point("rp"))
    assert values.values["rp"].kind == "exact"
    assert values.values["evpi"].label == "95 %"
    frame = values.to_frame()
    assert (frame["lower"] <= frame["upper"]).all()
    data = values.to_dict()
    assert {"ws", "rp", "ev", "eev", "static", "fixed", "evpi", "vss", "vms", "flexibility", "defer"} <= set(data)


def test_simulated_values_meet_the_exact_ones_where_the_limit_never_binds(contested):
    case = contested.replace(T=6)
    exact = process_values(case, paths=4096, seed=2)
    simulated = process_values(case.replace(earth_limit=1e7), paths=4096, seed=2)
    assert not simulated.exact
    assert {name for name, v in simulated.values.items() if v.label == "95 %"} >= {"rp", "ws", "evpi", "vss", "vms"}
    for name, value in simulated.values.items():
        known = exact.values[name]
        slack = 0.004 * abs(exact.point("rp"))  # the lattice's plan is not quite optimal
        assert value.lower - slack <= known.upper, name
        assert known.lower <= value.upper + slack, name
    assert simulated.to_dict()["staging"] is None


def test_open_loop_plans_under_a_limit(contested):
    free, loose = open_loop_plans(contested), open_loop_plans(contested.replace(earth_limit=1e7))
    for name, plan in free.items():
        assert loose[name] == pytest.approx(plan, abs=0.02 * plan.max())
    tight = open_loop_plans(contested.replace(earth_limit=100.0, c_bu=20_000.0))
    assert tight["static"].sum() > free["static"].sum()


def test_commands(run_cli):
    solved = json.loads(run_cli("solve", "lunar-reference", "--method", "threshold", "--horizon", "50", "--json", "-",
                                check=0).stdout)  # fmt: skip
    assert set(solved["first_stage"]) == {"dM0", "dM1"}
    assert len(solved["trigger"]) == 49
    assert solved["seconds"] < 30
    value = json.loads(run_cli("value", "contested-market", "--horizon", "30", "--json", "-", check=0).stdout)
    assert value["kind"]["rp"] == "exact"
    assert value["rp"] - value["fixed"] == pytest.approx(value["flexibility"])
    assert "staging" in run_cli("value", "contested-market", "--on", "process", "--paths", "500", check=0).stdout
    call = ("simulate", "contested-market", "--strategies", "threshold,static,rolling,tree", "--horizon", "5")
    shown = run_cli(*call, "--branching", "3,3,3,1,1", "--rolling", "4,2", "--mapping", "nearest", check=0).stdout
    assert "exact optimum RP" in shown
    data = json.loads(run_cli(*call, "--json", "-", check=0).stdout)
    assert data["strategies"]["threshold"]["gap"] == 0
    assert data["wait_and_see"]["value"] > data["optimum"]["lower"]
    assert "rolling" in run_cli("policies", check=0).stdout


@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            ("solve", "lunar-reference", "--method", "threshold", "--branching", "3"),
            "branching: is an option of --method",
        ),
        (
            ("solve", "lunar-reference", "--method", "magic"),
            "method: must be one of ef, ph, dp, sddp, lattice-dp, threshold",
        ),
        (("value", "lunar-reference", "--on", "moon"), "on: must be one of tree, lattice, process"),
        (("value", "lunar-reference", "--on", "process", "--branching", "3"), "branching: is an option of --on tree"),
        (("value", "lunar-reference", "--branching", "3", "--paths", "7"), "paths: is an option of --on process"),
        (("value", "lunar-reference", "--horizon", "30", "--solver", "gurobi"), "solver: is an option of --on tree"),
        (("simulate", "lunar-reference", "--strategies", "static", "--rolling", "3"), "rolling: belongs to"),
        (("simulate", "lunar-reference", "--mapping", "nearest"), "mapping: belongs to"),
    ],
)
def test_bad_input(run_cli, arguments, message):
    outcome = run_cli(*arguments)
    assert outcome.returncode == 2
    assert outcome.stderr.startswith(f"error: {message}")
    assert len(outcome.stderr.splitlines()) == 1


@pytest.mark.slow
def test_solve_by_sddp(run_cli):
    call = ("solve", "contested-market", "--method", "sddp", "--horizon", "5", "--states", "8")
    data = json.loads(run_cli(*call, "--json", "-", check=0).stdout)
    assert data["bounds"]["certified"] is True
    assert data["bounds"]["gap"] <= 1e-3
    assert data["simulated"]["lower"] < data["simulated"]["upper"]
    assert set(data["first_stage"]) == {"dM0", "dM1"}
    assert "risk-adjusted NPV" in run_cli(*call, "--risk-weight", "0.5", check=0).stdout
    assert "rule:" not in run_cli(*call, "--boil-off", "0.1", "--iterations", "2", check=1).stdout
    for options, message in (
        (("--store-capacity", "5"), "store_capacity: belongs to a store"),
        (("--risk-tail", "0.1"), "risk_tail: belongs to a risk_weight"),
        (("--cut-stage", "1"), "cut_stage: is an option of --method ph"),
    ):
        outcome = run_cli(*call, *options)
        assert outcome.returncode == 2
        assert outcome.stderr.startswith(f"error: {message}")
