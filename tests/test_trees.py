"""Processes, quantisations, trees: closed forms, quadrature and invariants as oracles."""

import time
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from scenario_trees import (
    QUANTIZATIONS,
    SAMPLERS,
    GeometricBrownianMotion,
    ScenarioTree,
    TreeError,
    check,
    conditional_means,
    forward_selection,
    k_means,
    tree_from_paths,
)

processes = st.builds(GeometricBrownianMotion, st.floats(0.1, 1e4), st.floats(-0.5, 0.5), st.floats(0, 0.8))


def branches_of(name, wanted):
    return {"binomial": 2, "trinomial": 3}.get(name, wanted)


@given(processes, st.sampled_from(sorted(QUANTIZATIONS)), st.integers(1, 7), st.floats(0.1, 2))
def test_quantization_keeps_mean_and_probabilities(process, name, wanted, dt):
    b = branches_of(name, wanted)
    factor, probability = QUANTIZATIONS[name].growth(process, b, dt)
    assert probability.sum() == pytest.approx(1, rel=1e-12)
    assert (probability > 0).all()
    assert (np.diff(factor) >= -1e-12).all()
    assert probability @ factor == pytest.approx(np.exp(process.drift * dt), rel=1e-12)


@given(processes, st.floats(0.1, 2))
def test_binomial_and_trinomial_match_their_moments(process, dt):
    v = np.exp(process.volatility**2 * dt)
    for name, moments in (("binomial", 2), ("trinomial", 3)):
        factor, probability = QUANTIZATIONS[name].growth(process, branches_of(name, 0), dt)
        scaled = factor / np.exp(process.drift * dt)
        for k in range(1, moments + 1):
            assert probability @ scaled**k == pytest.approx(v ** (k * (k - 1) / 2), rel=1e-9)


def test_equal_probability_factors_are_conditional_means():
    process = GeometricBrownianMotion(1, 0.1, 0.4)
    factor, _ = QUANTIZATIONS["equal-probability"].growth(process, 4, 1.0)
    law = stats.lognorm(s=0.4, scale=np.exp(0.1 - 0.08))
    edges = law.ppf([0, 0.25, 0.5, 0.75, 1])
    for i in range(4):
        mass, _ = integrate.quad(lambda x: x * law.pdf(x), edges[i], min(edges[i + 1], 50))
        assert factor[i] == pytest.approx(mass / 0.25, rel=1e-6)


def test_gauss_hermite_integrates_the_lognormal_call():
    process = GeometricBrownianMotion(1, 0.05, 0.3)
    factor, probability = QUANTIZATIONS["gauss-hermite"].growth(process, 60, 1.0)
    d1 = (0.05 + 0.045) / 0.3  # Black-Scholes with strike 1, not discounted
    exact = np.exp(0.05) * stats.norm.cdf(d1) - stats.norm.cdf(d1 - 0.3)
    assert probability @ np.maximum(factor - 1, 0) == pytest.approx(exact, rel=1e-2)


def test_process_moments_and_quantiles_agree_with_samples():
    process = GeometricBrownianMotion(1000, 0.2, 0.2)
    paths = process.sample(200_000, 3, seed=1)
    assert paths.shape == (4, 200_000)
    se = np.sqrt(process.variance(3) / paths.shape[1])
    assert abs(paths[3].mean() - process.mean(3)) < 4 * se
    assert paths[3].var() == pytest.approx(float(process.variance(3)), rel=0.03)
    assert np.quantile(paths[3], 0.9) == pytest.approx(float(process.quantile(0.9, 3)), rel=0.01)
    fan = process.fan(3)
    assert list(fan.columns) == ["mean", 0.05, 0.25, 0.5, 0.75, 0.95]
    assert (fan.iloc[0] == 1000).all()


@pytest.mark.parametrize("name", sorted(SAMPLERS))
def test_samplers_have_standard_normal_margins_and_units(name):
    sampler = SAMPLERS[name]
    paths = 40_001
    units = sampler.units(paths)
    assert units.sum() == paths
    size = sampler.block_size(paths)
    block = sampler.block(3, 0, min(size, paths), 5)
    assert block.shape == (5, min(size, paths))
    assert abs(block.mean()) < 0.02
    assert block.std() == pytest.approx(1, abs=0.02)
    assert np.array_equal(block, sampler.block(3, 0, min(size, paths), 5))
    assert not np.array_equal(block[:, :10], sampler.block(3, 1, min(size, paths), 5)[:, :10])


def test_antithetic_and_sobol_reduce_the_error_of_the_mean():
    process = GeometricBrownianMotion(1, 0.0, 0.3)
    errors = {
        name: np.std([process.sample(512, 2, seed=s, sampler=SAMPLERS[name])[2].mean() for s in range(40)])
        for name in SAMPLERS
    }
    assert errors["antithetic"] < 0.6 * errors["pseudo-random"]
    assert errors["sobol"] < 0.3 * errors["pseudo-random"]


def test_fit_recovers_parameters_within_its_standard_errors():
    truth = GeometricBrownianMotion(5, 0.1, 0.25)
    estimates = [GeometricBrownianMotion.fit(truth.sample(1, 400, seed=s)[:, 0]) for s in range(200)]
    drift_z = [(e.process.drift - 0.1) / e.drift_se for e in estimates]
    volatility_z = [(e.process.volatility - 0.25) / e.volatility_se for e in estimates]
    for z in (drift_z, volatility_z):
        assert abs(np.mean(z)) < 0.3
        assert 0.8 < np.std(z) < 1.2


@given(
    processes,
    st.lists(st.integers(1, 4), min_size=1, max_size=5),
    st.sampled_from(["gauss-hermite", "equal-probability"]),
)
def test_tree_invariants(process, branching, name):
    tree = ScenarioTree.from_process(process, branching, QUANTIZATIONS[name])
    report = check(tree, process)
    assert report.probability_error.max() < 1e-12
    assert np.abs(report.mean_error).max() < 1e-11
    assert tree.n_leaves == np.prod(branching)
    assert tree.branching == tuple(branching)
    nodes = tree.node_paths()
    assert (tree.stage[nodes] == np.arange(len(branching) + 1)).all()
    for t in range(len(branching)):
        below = tree.children_sum(tree.probability[tree.at(t + 1)] * tree.value[tree.at(t + 1)], t)
        conditional = below / tree.probability[tree.at(t)] / tree.value[tree.at(t)]
        assert conditional == pytest.approx(np.exp(process.drift), rel=1e-11)
        assert (tree.ancestor(1)[tree.at(t + 1)] == tree.parent[tree.at(t + 1)]).all()
    for t, level in enumerate(tree.subtree_maximum(1)):
        brute = [
            tree.value[np.unique(nodes[nodes[:, t] == n, 1:])].max() for n in range(*tree.at(t).indices(tree.n_nodes))
        ]
        assert level == pytest.approx(brute)


def test_wasserstein_distance_against_quadrature_and_convergence():
    process = GeometricBrownianMotion(10, 0.1, 0.5)
    tree = ScenarioTree.from_process(process, [3])
    distance = check(tree, process).wasserstein[1] * process.mean(1)
    u = (np.arange(200_000) + 0.5) / 200_000
    atoms = tree.value[1:][np.searchsorted(np.cumsum(tree.probability[1:]), u).clip(0, 2)]
    assert distance == pytest.approx(np.abs(atoms - process.quantile(u, 1)).mean(), rel=1e-3)
    finer = [check(ScenarioTree.from_process(process, [b]), process).wasserstein[1] for b in (2, 4, 8, 16, 32)]
    assert all(a > b for a, b in pairwise(finer))


def test_large_tree_is_fast_and_lean():
    process = GeometricBrownianMotion(1000, 0.2, 0.2)
    ScenarioTree.from_process(process, [3])
    start = time.perf_counter()
    tree = ScenarioTree.from_process(process, [3] * 12)
    built = time.perf_counter() - start
    start = time.perf_counter()
    for _ in range(10):
        np.sqrt(tree.value)
    ten_passes = time.perf_counter() - start
    assert tree.n_nodes == 797_161
    assert built < 20 * ten_passes  # a ratio, not seconds: about two in practice
    arrays = sum(getattr(tree, name).nbytes for name in ("parent", "stage", "probability", "value"))
    held = sum(value.nbytes for value in vars(tree).values() if isinstance(value, np.ndarray))
    assert held < 1.01 * arrays


def test_tree_round_trip_and_immutability(tmp_path):
    tree = ScenarioTree.from_process(GeometricBrownianMotion(10, 0.1, 0.3), [3, 2])
    path = tree.save(tmp_path / "tree.npz")
    again = ScenarioTree.load(path)
    assert again == tree
    assert again.digest() == tree.digest()
    with pytest.raises(ValueError):
        tree.value[0] = 1
    mine = np.array([1.0, 2.0, 3.0])
    ScenarioTree(np.array([-1, 0, 0]), np.array([0, 1, 1]), np.array([1, 0.5, 0.5]), mine)
    mine[0] = 5  # the caller's array stays the caller's
    assert [p.name for p in tmp_path.iterdir()] == ["tree.npz"]
    assert list(tree.to_frame().columns) == ["parent", "stage", "probability", "value"]


@pytest.mark.parametrize(
    "change, message",
    [
        ({"probability": [1, 0.6, 0.6]}, "children of node 0 must sum"),
        ({"probability": [0.9, 0.45, 0.45]}, "root must have probability 1"),
        ({"probability": [1, 1.5, -0.5]}, "probability: must lie in"),
        ({"value": [1, np.nan, 1]}, "value: must be >= 0 and finite"),
        ({"value": [1, -1, 1]}, "value: must be >= 0 and finite"),
        ({"parent": [-1, 0, 5]}, "parent: must be known before"),
        ({"stage": [0, 1, 2]}, "stage: must be the parent's stage"),
        ({"value": [1.0]}, "one length"),
        ({"parent": [-1, 0.7, 0.2]}, "parent: must hold integers"),
        ({"parent": [[-1, 0, 0]]}, "parent: must have one dimension"),
        ({"value": ["1", "2", "3"]}, "value: must hold numbers"),
    ],
)
def test_bad_trees_are_refused(change, message):
    good = {"parent": [-1, 0, 0], "stage": [0, 1, 1], "probability": [1, 0.5, 0.5], "value": [1, 2, 3]}
    with pytest.raises(TreeError, match=message):
        ScenarioTree(**{k: np.array(v) for k, v in {**good, **change}.items()})


@pytest.mark.parametrize("arguments", [(0, 0, 0), (-1, 0, 0.1), (1, np.nan, 0.1), (1, 0, -0.1), (1, 0, np.nan)])
def test_bad_processes_are_refused(arguments):
    with pytest.raises(TreeError, match="must be"):
        GeometricBrownianMotion(*arguments)


def test_bad_inputs_name_the_field(tmp_path):
    process = GeometricBrownianMotion(1, 0, 0.1)
    for branching in ([0], [2, -1], [1.5], [True]):
        with pytest.raises(TreeError, match="branching: every factor"):
            ScenarioTree.from_process(process, branching)
    with pytest.raises(TreeError, match="at most"):
        ScenarioTree.from_process(process, [10] * 12)
    with pytest.raises(TreeError, match="2 branches"):
        ScenarioTree.from_process(process, [3], QUANTIZATIONS["binomial"])
    with pytest.raises(TreeError, match="series"):
        GeometricBrownianMotion.fit([1, 2, -3, 4])
    with pytest.raises(TreeError, match="drift, volatility"):
        GeometricBrownianMotion(1, 50, 0.1).sample(2, 30, seed=1)
    with pytest.raises(TreeError, match="value: must be >= 0 and finite"):
        ScenarioTree.from_process(GeometricBrownianMotion(1, 500, 0.1), [1, 1, 1])
    with pytest.raises(TreeError, match="paths"):
        process.sample(0, 3, seed=1)
    (tmp_path / "x.npz").write_text("no tree")
    with pytest.raises(TreeError, match=r"not a saved tree|cannot read"):
        ScenarioTree.load(tmp_path / "x.npz")
    with pytest.raises(TreeError, match="cannot read"):
        ScenarioTree.load(tmp_path / "missing.npz")


@pytest.mark.parametrize("reducer", [k_means, forward_selection])
def test_reduction_and_tree_from_paths(reducer):
    process = GeometricBrownianMotion(10, 0.1, 0.3)
    paths = process.sample(300, 3, seed=4)
    coarse, fine = reducer(paths, 3), reducer(paths, 30)
    assert fine.distance < coarse.distance
    assert coarse.probability.sum() == pytest.approx(1)
    everything = forward_selection(paths, 300)
    assert everything.distance == pytest.approx(0, abs=1e-6)
    tree = tree_from_paths(paths, [4, 3, 2], reducer, seed=1)
    assert tree.stage_mean() == pytest.approx(paths.mean(axis=1), rel=1e-12)
    assert tree == tree_from_paths(paths, [4, 3, 2], reducer, seed=1)
    for t in range(3):
        assert (tree.child_count[tree.at(t)] <= (4, 3, 2)[t]).all()


@pytest.mark.parametrize("reducer, paths", [(k_means, 8000), (forward_selection, 2000)])
def test_nodes_of_trees_from_paths_do_not_know_the_future(reducer, paths):
    process = GeometricBrownianMotion(1000.0, 0.2, 0.2)
    for seed in (1, 2):
        sample = process.sample(paths, 3, seed=seed)
        tree = tree_from_paths(sample, [8, 6, 4], reducer, seed=seed)
        report = tree.check(process, paths=paths)
        average, sampling = report.conditional_mean_error_average[1:], report.conditional_mean_error_sampling[1:]
        assert (average < 1.6 * sampling).all()
        for t in range(1, 3):  # node by node: growth within its sampling error
            at, share = tree.at(t), tree.probability[tree.at(t)]
            below = tree.children_sum((tree.probability * tree.value)[tree.at(t + 1)], t)
            z = (below / (share * tree.value[at]) / np.exp(0.2) - 1) * np.sqrt(paths * share / np.expm1(0.04))
            assert np.abs(z).max() < 4.5
            assert np.sqrt((share * z**2).sum()) < 1.6
    assert np.isnan(tree.check(process).conditional_mean_error_sampling[1:]).all()


def test_check_shows_clairvoyance():
    """Two paths that part at once and differ later: every marginal law may be right, no conditional mean is."""
    process = GeometricBrownianMotion(1000.0, 0.2, 0.2)
    sample = process.sample(4000, 3, seed=1)
    order = np.argsort(sample[3])  # nodes of year 1 tell year 3, as grouping by all later values did
    groups = np.array_split(order, 8)
    tree = ScenarioTree(
        parent=np.concatenate([[-1], np.zeros(8), np.arange(1, 17)]).astype(int),
        stage=np.repeat(np.arange(4), [1, 8, 8, 8]),
        probability=np.concatenate([[1.0], *(np.full(8, 1 / 8) for _ in range(3))]),
        value=np.concatenate([[1000.0], *([row[g].mean() for g in groups] for row in sample[1:])]),
    )
    report = tree.check(process, paths=4000)
    assert np.abs(report.mean_error).max() < 0.01
    assert (report.conditional_mean_error_average[2:] > 5 * report.conditional_mean_error_sampling[2:]).all()
    assert (report.conditional_mean_error >= report.conditional_mean_error_average).all()
    plain = ScenarioTree.from_process(process, [4, 3, 2]).check(process)
    assert plain.conditional_mean_error.max() < 1e-12


def test_forward_selection_matches_brute_force_for_one_path():
    paths = GeometricBrownianMotion(10, 0.1, 0.3).sample(40, 2, seed=2)
    distance = np.sqrt(((paths[:, :, None] - paths[:, None, :]) ** 2).sum(0))
    chosen = forward_selection(paths, 1)
    assert chosen.distance == pytest.approx(distance.mean(axis=0).min())


def test_forward_selection_is_greedy_to_the_end():
    paths = GeometricBrownianMotion(10, 0.1, 0.3).sample(30, 2, seed=8)
    distance = np.sqrt(((paths[:, :, None] - paths[:, None, :]) ** 2).sum(0))
    chosen = []
    for _ in range(4):
        costs = [distance[:, [*chosen, u]].min(axis=1).sum() for u in range(30)]
        chosen.append(int(np.argmin(costs)))
    found = forward_selection(paths, 4)
    assert found.paths == pytest.approx(paths[:, sorted(chosen)])
    assert found.distance == pytest.approx(distance[:, chosen].min(axis=1).mean())


def test_k_means_represents_groups_by_their_means():
    paths = GeometricBrownianMotion(1e6, 0.1, 0.3).sample(2000, 3, seed=8)
    found = k_means(paths, 20, seed=1)
    for g in range(found.probability.size):
        assert found.paths[:, g] == pytest.approx(paths[:, found.group == g].mean(axis=1))
    assert found.paths @ found.probability == pytest.approx(paths.mean(axis=1))
    assert k_means(np.ones((2, 5)), 3).probability.size == 1


def test_branches_are_the_tree_given_a_node():
    tree = ScenarioTree.from_process(GeometricBrownianMotion(10, 0.1, 0.3), [3, 2, 2])
    total = np.zeros(4)
    for node in range(*tree.at(2).indices(tree.n_nodes)):
        branch, origin = tree.branch(node)
        assert branch.branching == (1, 1, 2)
        assert (tree.value[origin] == branch.value).all()
        total += tree.probability[node] * branch.stage_mean()
    assert total == pytest.approx(tree.stage_mean())
    assert tree.branch(0)[0] == tree


def test_reducers_refuse_bad_input():
    paths = np.ones((3, 4))
    with pytest.raises(TreeError, match="count"):
        k_means(paths, 5)
    with pytest.raises(TreeError, match="finite"):
        forward_selection(np.full((2, 2), np.nan), 1)
    with pytest.raises(TreeError, match="branching: needs 2"):
        tree_from_paths(paths, [2])
    with pytest.raises(TreeError, match=">= 0"):
        tree_from_paths(-paths, [2, 2])


def test_a_tree_of_one_path_per_node_is_seen_to_know_the_future():
    """Its errors are no larger than sampling makes them; oracle: the variance that its nodes tell is all of it."""
    process = GeometricBrownianMotion(1000.0, 0.2, 0.2)
    sample = process.sample(500, 3, seed=1)
    told = tree_from_paths(sample, [500, 1, 1]).check(process, paths=500)
    assert (told.conditional_mean_error_average[2:] < 1.2 * told.conditional_mean_error_sampling[2:]).all()
    assert told.foresight[2:] == pytest.approx(1.0, abs=0.25)
    fair = tree_from_paths(sample, [5, 3, 2]).check(process, paths=500)
    assert (fair.foresight < 0.1).all()
    assert ScenarioTree.from_process(process, [3, 3]).check(process).foresight == pytest.approx(0, abs=1e-20)
    assert "foresight" in told.to_frame()


def test_conditional_means_by_node():
    process = GeometricBrownianMotion(1000.0, 0.2, 0.2)
    tree = tree_from_paths(process.sample(2000, 3, seed=1), [4, 3, 2])
    table = conditional_means(tree, process, paths=2000)
    report = tree.check(process)
    assert len(table) == tree.offsets[3]
    for t in range(3):
        rows = table[table["stage"] == t]
        assert rows["error"].abs().max() == pytest.approx(report.conditional_mean_error[t + 1])
        assert rows["probability"] @ rows["error"].abs() == pytest.approx(report.conditional_mean_error_average[t + 1])
        by_hand = [
            (tree.probability * tree.value)[tree.parent == node].sum() / tree.probability[node] for node in rows["node"]
        ]
        assert list(rows["mean"]) == pytest.approx(by_hand)
    assert ((table["error"] / table["sampling_error"]).abs() < 4.5).all()
    assert conditional_means(tree, process)["sampling_error"].isna().all()
