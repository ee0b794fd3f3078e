"""Markov lattices and the dynamic programme on them: normal integrals, samples and unfolded trees as oracles."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from scenario_trees import (
    SAMPLERS,
    GeometricBrownianMotion,
    MarkovLattice,
    ScenarioTree,
    TreeError,
    forward_selection,
    k_means,
    tree_from_paths,
)
from stochisru import (
    InputError,
    extensive_form,
    fixed_design,
    load_case,
    simulate,
    static_plan,
    threshold,
    wait_and_see,
)
from stochisru.lunar.exact.lattice_dp import lattice_dp
from stochisru.lunar.exact.lattice_layers import LatticeLayers
from stochisru.testing import check_strategy
from tests.cases import deployment_cases

PROCESS = GeometricBrownianMotion(1000.0, 0.2, 0.2)


@given(
    st.builds(GeometricBrownianMotion, st.floats(0.1, 1e4), st.floats(-0.5, 0.5), st.floats(0.01, 0.8)),
    st.integers(1, 12),
    st.integers(0, 6),
    st.floats(0.1, 2),
)
def test_lattice_keeps_stage_means_and_equal_probabilities(process, states, horizon, dt):
    lattice = MarkovLattice.from_process(process, horizon, states, dt)
    assert lattice.sizes == (1, *[states] * horizon)
    assert lattice.stage_mean() == pytest.approx(process.mean(np.arange(horizon + 1) * dt), rel=1e-11)
    for law in lattice.probabilities[1:]:
        assert law == pytest.approx(np.full(states, 1 / states), rel=1e-10)
    errors = lattice.check(process, dt)
    assert (errors.variance_error <= 1e-9).all()
    assert (errors.conditional_mean_error >= errors.conditional_mean_error_average - 1e-12).all()


@pytest.mark.parametrize("states, t", [(4, 1), (5, 30), (9, 3)])
def test_transitions_are_the_bivariate_normal_law_of_bins(states, t):
    from scipy.special import ndtri

    lattice = MarkovLattice.from_process(PROCESS, t + 1, states)
    edges = np.clip(ndtri(np.arange(states + 1) / states), -30, 30)
    law = stats.multivariate_normal(cov=[[1, np.sqrt(t / (t + 1))], [np.sqrt(t / (t + 1)), 1]])
    joint = np.array([[law.cdf([a, b]) for b in edges] for a in edges])
    expected = states * np.diff(np.diff(joint, axis=0), axis=1)
    assert lattice.transitions[t] == pytest.approx(expected, abs=1e-9)


def test_lattice_converges_to_the_process():
    found = [MarkovLattice.from_process(PROCESS, 10, n).check(PROCESS) for n in (10, 30, 90)]
    variance = [np.abs(c.variance_error[10]) for c in found]
    conditional = [c.conditional_mean_error_average[10] for c in found]
    distance = [c.wasserstein[10] for c in found]
    for errors in (variance, conditional, distance):
        assert errors[0] > 2 * errors[1] > 4 * errors[2]
    frame = found[0].to_frame()
    assert frame.index.name == "stage"
    assert len(frame) == 11


def test_lattice_without_volatility_is_one_path():
    process = GeometricBrownianMotion(10.0, 0.1, 0.0)
    lattice = MarkovLattice.from_process(process, 4, 7)
    assert lattice.sizes == (1, 1, 1, 1, 1)
    assert np.concatenate(lattice.values) == pytest.approx(process.mean(np.arange(5)))
    assert np.abs(lattice.check(process).variance_error).max() == 0


def test_lattice_from_paths_keeps_the_sample_means():
    paths = PROCESS.sample(3000, 5, seed=3)
    lattice = MarkovLattice.from_paths(paths, 8, seed=1)
    assert lattice == MarkovLattice.from_paths(paths, 8, seed=1)
    assert lattice.stage_mean() == pytest.approx(paths.mean(axis=1), rel=1e-12)
    assert max(lattice.sizes) <= 8
    assert np.abs(lattice.check(PROCESS).variance_error[1:]).max() < 0.15
    few = MarkovLattice.from_paths(paths[:, :3], 8)
    assert few.sizes == (1, 3, 3, 3, 3, 3)
    same = MarkovLattice.from_paths(np.full((3, 5), 2.0), 4)
    assert same.sizes == (1, 1, 1)


def test_sampling_follows_the_transitions():
    lattice = MarkovLattice.from_process(PROCESS, 4, 5)
    states = lattice.sample(60_000, seed=2)
    assert states.shape == (5, 60_000)
    for t, matrix in enumerate(lattice.transitions):
        for i in range(lattice.sizes[t]):
            here = states[t] == i
            freq = np.bincount(states[t + 1][here], minlength=5) / here.sum()
            assert np.abs(freq - matrix[i]).max() < 5 * 0.5 / np.sqrt(here.sum())
    assert np.array_equal(states, lattice.sample(60_000, seed=2))
    assert not np.array_equal(states, lattice.sample(60_000, seed=3))
    sobol = lattice.sample(4096, seed=2, sampler=SAMPLERS["sobol"])
    assert np.abs(np.bincount(sobol[4]) / 4096 - 0.2).max() < 0.01


def test_walk_never_takes_an_impossible_step():
    matrix = np.array([[0.0, 1.0, 0.0]])
    lattice = MarkovLattice(([1.0], [1.0, 2.0, 3.0], [4.0]), (matrix, np.ones((3, 1))))
    edge = lattice.walk(np.array([[0.0, 0.5, np.nextafter(1.0, 0.0)], [0.0, 0.3, 0.9]]))
    assert (edge[1] == 1).all()
    assert lattice.to_tree().n_nodes == 3


def test_unfolded_tree_has_the_laws_of_the_lattice():
    lattice = MarkovLattice.from_process(PROCESS, 3, 4)
    tree = lattice.to_tree()
    assert tree.n_nodes == 1 + 4 + 16 + 64
    for t in range(4):
        at = tree.at(t)
        mass = [tree.probability[at][tree.value[at] == v].sum() for v in lattice.values[t]]
        assert mass == pytest.approx(lattice.probabilities[t])
    with pytest.raises(TreeError, match="max_nodes: the unfolded tree has 85 nodes, at most 50"):
        lattice.to_tree(max_nodes=50)


def test_save_load_and_digest(tmp_path):
    for lattice in (MarkovLattice.from_process(PROCESS, 3, 4), MarkovLattice.from_process(PROCESS, 0, 4)):
        path = lattice.save(tmp_path / "lattice.npz")
        again = MarkovLattice.load(path)
        assert again == lattice
        assert again.digest() == lattice.digest()
    assert MarkovLattice.from_process(PROCESS, 3, 5).digest() != lattice.digest()
    assert list(lattice.to_frame().columns) == ["stage", "state", "probability", "value"]
    tree = tmp_path / "tree.npz"
    MarkovLattice.from_process(PROCESS, 2, 2).to_tree().save(tree)
    (tmp_path / "text.npz").write_text("no")
    for bad in ("tree.npz", "text.npz", "missing.npz"):
        with pytest.raises(TreeError, match=r"^path: "):
            MarkovLattice.load(tmp_path / bad)
    with pytest.raises(TreeError, match="path: cannot write"):
        lattice.save(tmp_path / "no" / "lattice.npz")


@pytest.mark.parametrize(
    "values, transitions, message",
    [
        (([1.0, 2.0],), (), "values: stage 0 must have 1 state, got 2"),
        (
            ([1.0], [2.0, 2.0]),
            ([[0.5, 0.5]],),
            "values: must be >= 0, finite and ascending, violated at stage 1, state 1",
        ),
        (([1.0], [2.0]), ([[0.5, 0.5]],), r"transitions: must have shape \(1, 1\) at stage 0"),
        (([1.0], [2.0, 3.0]), ([[0.5, 0.6]],), "transitions: every row must be >= 0 and sum to 1, row 0 of stage 0"),
        (([1.0], [2.0, 3.0]), ([[1.5, -0.5]],), "transitions: every row must be >= 0"),
        (([1.0], [2.0, 3.0]), ([[np.nan, 0.5]],), "transitions: every row must be >= 0"),
        (([1.0], []), (np.zeros((1, 0)),), "values: must be >= 0, finite and ascending, violated at stage 1, no state"),
        (([1.0],), ([[1.0]],), "transitions: must have one matrix less"),
        ((["x"],), (), "values: must hold numbers"),
        ("abc", (), "values: must be a sequence"),
    ],
)
def test_lattices_that_cannot_be_are_refused(values, transitions, message):
    with pytest.raises(TreeError, match=message):
        MarkovLattice(values, transitions)


@pytest.mark.parametrize(
    "process, horizon, states, message",
    [
        (PROCESS, -1, 3, "horizon: must be an integer >= 0"),
        (PROCESS, 3, 0, "states: must be an integer >= 1"),
        (PROCESS, 3, 2.5, "states: must be an integer >= 1"),
        (PROCESS, 5000, 3, "drift: the mean of stage 5000"),
        (GeometricBrownianMotion(1.0, 0.0, 30.0), 3, 3, "states: 3 states cannot be told apart"),
    ],
)
def test_bad_sizes_are_refused(process, horizon, states, message):
    with pytest.raises(TreeError, match=message):
        MarkovLattice.from_process(process, horizon, states)
    with pytest.raises(TreeError, match="paths: every value must be >= 0"):
        MarkovLattice.from_paths(-np.ones((2, 3)), 2)
    with pytest.raises(TreeError, match="dt: must be > 0"):
        MarkovLattice.from_process(PROCESS, 2, 2, dt=0.0)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: MarkovLattice.from_process(PROCESS, 2, 2, dt="x"), "dt: must be > 0"),
        (lambda: MarkovLattice.from_process(PROCESS, 2, 2, tilt=1.5), r"tilt: must be in \[0, 1\]"),
        (lambda: MarkovLattice.from_growth(PROCESS, [2], dt=-1.0), "dt: must be > 0"),
        (lambda: MarkovLattice.from_paths(np.ones((2, 3)), 2, seed=-1), "seed: must be an integer >= 0, got -1"),
        (lambda: MarkovLattice.from_paths("x", 2), "paths: must hold numbers"),
        (lambda: MarkovLattice.from_process(PROCESS, 2, 2).sample("x", seed=1), "paths: must be an integer >= 1"),
        (lambda: MarkovLattice.from_process(PROCESS, 2, 2).sample(5, seed=-1), "seed: must be an integer >= 0"),
        (lambda: MarkovLattice.from_process(PROCESS, 2, 2).walk(np.zeros((3, 4))), "uniforms: must have shape"),
        (lambda: tree_from_paths(np.ones((2, 3)), [2], seed=-1), "seed: must be an integer >= 0"),
        (lambda: k_means(np.ones((2, 3)), 2, seed=-1), "seed: must be an integer >= 0"),
        (lambda: k_means(np.ones((2, 3)), "x"), "count: must be an integer >= 1 and <= 3, got 'x'"),
        (lambda: forward_selection([["a"]], 1), "paths: must hold numbers"),
        (lambda: ScenarioTree.from_process(PROCESS, [2], dt=0.0), "dt: must be > 0"),
        (lambda: ScenarioTree.from_process(PROCESS, [2]).check(PROCESS, paths=0), "paths: must be an integer >= 1"),
        (lambda: ScenarioTree.from_process(PROCESS, [2]).check(PROCESS, dt=0), "dt: must be > 0"),
    ],
)
def test_arguments_name_themselves(call, message):
    with pytest.raises(TreeError, match=rf"^{message}"):
        call()


# --------------------------------------------------------------------- dynamic programme


@settings(max_examples=60)
@given(deployment_cases(max_T=4), st.integers(1, 5))
def test_dynamic_programme_equals_the_extensive_form(case, states):
    lattice = MarkovLattice.from_process(case.process, case.horizon.T, states)
    tree = lattice.to_tree()
    result, exact = lattice_dp(case, lattice), extensive_form(case, tree)
    size = exact.bounds.flows
    assert abs(result.objective - exact.objective) <= 1e-9 * size
    assert result.bounds.gap * abs(result.objective) <= 1e-9 * size
    assert result.objective >= static_plan(case, tree).objective - 1e-9 * size
    assert result.objective >= fixed_design(case, tree).objective - 1e-9 * size
    assert result.objective <= wait_and_see(case, tree).bounds.upper + 1e-9 * size


def node_levels(plan, tree):
    """Deployment at every node of the unfolded tree that follows the plan's levels."""
    case = plan.case
    lead, kept = case.horizon.lead_time, 1 - case.technology.degradation
    plant = np.empty(tree.n_nodes)
    deployment = np.empty(tree.n_nodes)
    above = tree.ancestor(lead)
    for node in range(tree.n_nodes):
        t = int(tree.stage[node])
        before = kept * plant[tree.parent[node]] if t else case.technology.M0
        if t <= lead:
            deployment[node] = plan.root[t]
        else:
            state = int(np.searchsorted(plan.lattice.values[t - lead], tree.value[above[node]] * (1 - 1e-12)))
            deployment[node] = max(plan.levels[t - lead - 1][state] - before, 0.0)
        plant[node] = before + deployment[node]
    return deployment


@pytest.mark.parametrize("lead", [0, 1, 2])
def test_value_of_any_levels_is_that_of_the_plan_on_the_tree(reference, lead):
    from stochisru.lunar.exact.lattice_plan import LatticePlan
    from stochisru.lunar.information import plan_value

    case = reference.replace(T=4, lead_time=lead, degradation=0.1, M0=40.0, earth_limit=700.0)
    lattice = MarkovLattice.from_process(case.process, 4, 3)
    tree = lattice.to_tree()
    rng = np.random.default_rng(lead)
    for _ in range(5):
        levels = tuple(rng.uniform(0, 400, 3) for _ in range(4 - lead))
        plan = LatticePlan(case, lattice, rng.uniform(0, 200, lead + 1), levels)
        value = LatticeLayers(case, lattice).value(plan.root, plan.levels)
        assert value == pytest.approx(plan_value(case, tree, node_levels(plan, tree)), rel=1e-12)
    best = lattice_dp(case, lattice)
    assert plan_value(case, tree, node_levels(best.plan, tree)) == pytest.approx(best.objective, rel=1e-12)


def test_policy_on_fresh_paths(reference):
    case = reference.replace(T=12)
    result = lattice_dp(case, states=60)
    outcome = simulate(case, [result.policy(), "moderate", "reactive"], paths=20_000, seed=5)
    mean = outcome.metrics["lattice-dp"]["npv_mean"]
    assert outcome.difference("lattice-dp", "moderate").lower > 0
    assert outcome.difference("lattice-dp", "reactive").lower > 0
    assert mean.lower * 0.99 < result.objective < mean.upper * 1.01
    frame = result.deployments
    assert len(frame) == 60 * 11
    assert frame["trigger"].between(0.2, 2).all()
    assert {"dM0", "dM1"} == set(result.first_stage)
    assert result.to_dict()["states"] == 1 + 12 * 60
    with pytest.raises(InputError, match="mapping: plans on a lattice take none"):
        result.policy(mapping="nearest")
    with pytest.raises(InputError, match="strategy lattice-dp: its lattice has T = 12"):
        simulate(reference, [result.policy()], paths=10)


@pytest.mark.parametrize("lead", [0, 1, 3])
def test_policy_is_a_good_strategy(reference, lead):
    case = reference.replace(T=5, lead_time=lead)
    check_strategy(lattice_dp(case, states=10).policy(), case)


def test_lattice_must_belong_to_the_case(reference):
    with pytest.raises(InputError, match="lattice: needs one stage per year, T = 10, got T = 3"):
        lattice_dp(reference, MarkovLattice.from_process(PROCESS, 3, 2))
    with pytest.raises(InputError, match="lattice: must begin with the demand D0 = 1000, got 5"):
        lattice_dp(reference, MarkovLattice.from_process(GeometricBrownianMotion(5.0, 0.2, 0.2), 10, 2))
    with pytest.raises(InputError, match="degradation: plant must not decay to nothing"):
        lattice_dp(reference.replace(T=200, degradation=0.99), states=2)


def test_contested_market_waits(reference):
    case = load_case("contested-market").replace(T=30)
    result = lattice_dp(case, states=40)
    assert result.objective > 0
    assert result.bounds.gap < 1e-9


@pytest.mark.parametrize("limit", [None, 500.0])
@pytest.mark.parametrize("T, degradation", [(13, 0.9), (30, 0.5), (50, 0.3)])
def test_fast_decay_over_long_horizons(limit, T, degradation):
    case = load_case("contested-market").replace(T=T, degradation=degradation, earth_limit=limit)
    result = lattice_dp(case, states=20)
    assert result.bounds.upper - result.bounds.lower <= 1e-10 * result.bounds.flows
    if limit is None:
        exact = threshold(case)
        assert result.objective == pytest.approx(exact.objective, abs=0.02 * exact.bounds.flows)


def test_policy_between_and_beyond_states_keeps_the_ratio(reference):
    from stochisru.lunar.strategies.protocol import Observation

    case = reference.replace(T=4)
    plan = lattice_dp(case, states=6).plan
    policy = plan.policy("p")
    states, level = plan.lattice.values[2], plan.levels[1]
    middle = np.sqrt(states[2] * states[3])
    demand = np.array([states[0] / 10, states[2], middle, states[-1] * 10])
    history = np.stack([np.full(4, 1000.0), np.full(4, 1000.0), demand])
    order = policy.order(Observation(case, 2, history, np.zeros((3, 4)), np.zeros((3, 4))))
    ratio = level / states
    expected = [ratio[0], ratio[2], 0.5 * (ratio[2] + ratio[3]), ratio[-1]]
    assert order / demand == pytest.approx(expected, rel=1e-9)
