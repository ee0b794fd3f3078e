"""The family of processes: moments in closed form, limits, published thresholds and what is refused as oracles."""

import importlib
import inspect
import pkgutil
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, optimize, stats

import scenario_trees.processes
from scenario_trees import (
    PROCESSES,
    QUANTIZATIONS,
    CorrelatedFactors,
    DatedStep,
    DiscreteDrift,
    GeometricBrownianMotion,
    HiddenRegimes,
    HistoricalIncrements,
    Jump,
    JumpDiffusion,
    MarkovLattice,
    MeanReverting,
    RegimeSwitching,
    SaturatingGrowth,
    ScalesWithInitial,
    ScenarioTree,
    Stepping,
    TreeError,
    UnknownDrift,
    k_means,
    tree_from_paths,
)
from scenario_trees.cells import cells
from scenario_trees.law import Mixture
from scenario_trees.quantization import EqualProbability, GaussHermite
from stochisru.testing import check_process

STEPPING = [name for name in PROCESSES if name != "HistoricalIncrements"]
GBM = GeometricBrownianMotion(1000.0, 0.07, 0.2)
#: Members that are the geometric Brownian motion above.
LIMITS = {
    "jumps at rate 0": JumpDiffusion(1000.0, 0.07, 0.2, (Jump(0.0, -0.5), Jump(0.3, 0.0))),
    "no jumps": JumpDiffusion(1000.0, 0.07, 0.2),
    "no reversion": MeanReverting(1000.0, 300.0, 0.0, 0.2, 0.07),
    "one regime": RegimeSwitching(1000.0, (0.07,), (0.2,), ((1.0,),)),
    "a regime that stays": RegimeSwitching(1000.0, (0.3, 0.07), (0.1, 0.2), ((0.5, 0.5), (0.0, 1.0)), regime=1),
    "regimes alike": RegimeSwitching(1000.0, (0.07, 0.07), (0.2, 0.2), ((0.5, 0.5), (0.4, 0.6))),
    "a hidden regime that stays": HiddenRegimes(1000.0, (0.3, 0.07), (0.1, 0.2), ((0.5, 0.5), (0.0, 1.0)), (0.0, 1.0)),
    "hidden regimes alike": HiddenRegimes(1000.0, (0.07, 0.07), (0.2, 0.2), ((0.5, 0.5), (0.4, 0.6)), (0.3, 0.7)),
    "known drift": UnknownDrift(1000.0, 0.07, 0.0, 0.2),
    "one drift": DiscreteDrift(1000.0, (0.07, 0.5), (1.0, 0.0), 0.2),
    "no saturation": SaturatingGrowth(1000.0, np.inf, 0.07, 0.2),
    "no step": DatedStep(1000.0, 0.07, 0.2, 0.0, (3.0,)),
    "a step that never comes": DatedStep(1000.0, 0.07, 0.2, 2.0, (3.0,), (0.0,)),
}


def members():
    """Classes of the package's files that draw paths."""
    for found in pkgutil.iter_modules(scenario_trees.processes.__path__):
        module = importlib.import_module(f"scenario_trees.processes.{found.name}")
        for name, item in vars(module).items():
            own = inspect.isclass(item) and item.__module__ == module.__name__
            if own and hasattr(item, "paths") and not inspect.isabstract(item):
                yield name


def test_every_member_of_the_family_is_known():
    assert set(members()) == set(PROCESSES)


@pytest.mark.parametrize("name", PROCESSES)
def test_members_keep_the_rules_of_a_process(name):
    check_process(PROCESSES[name].example(), seed=3)


@pytest.mark.parametrize(
    "process",
    [
        RegimeSwitching(1.0, (0.3, -0.2), (0.1, 0.4), ((0.8, 0.2), (0.5, 0.5)), period=0.25),
        SaturatingGrowth(1.0, 5.0, 0.8, 0.3, period=0.5),
        HistoricalIncrements(1.0, (1.1, 0.9, 1.2, 1.0), block=2, period=0.25),
    ],
    ids=lambda process: type(process).__name__,
)
def test_periods_other_than_a_year(process):
    check_process(process, horizon=6)
    with pytest.raises(TreeError, match=r"^dt: must be the period of the process, .*got 1"):
        process.sample(3, 2, seed=0)


@pytest.mark.parametrize("name", STEPPING)
def test_laws_of_two_short_steps_and_of_a_long_one(name):
    """Where a member takes any step, tower property: a long step's mean is that of two short ones."""
    process = PROCESSES[name].example()
    if hasattr(process, "period"):
        pytest.skip("takes steps of its period only")
    after, chance = process.step(process.start[None, :], 7, dt=0.5)
    seen = np.array([process.expected(after[0], t=0.5, dt=0.5)])
    assert (chance * seen).sum() == pytest.approx(process.expected(process.start[None, :], dt=1.0)[0], rel=1e-6)
    assert process.expected(process.start[None, :], dt=1.0)[0] == pytest.approx(process.mean(1.0), rel=1e-12)


# ------------------------------------------------------------------------ limits


@pytest.mark.parametrize("process", LIMITS.values(), ids=LIMITS)
def test_limits_are_the_geometric_brownian_motion_bit_for_bit(process):
    t = np.arange(9)
    for mine, theirs in (
        (process.mean(t), GBM.mean(t)),
        (process.variance(t), GBM.variance(t)),
        (process.quantile(0.3, t), GBM.quantile(0.3, t)),
        (process.sample(100, 8, seed=1), GBM.sample(100, 8, seed=1)),
        (process.sample(100, 8, seed=1, dt=0.25), GBM.sample(100, 8, seed=1, dt=0.25)),
    ):
        assert np.array_equal(mine, theirs)
    for rule in QUANTIZATIONS.values():
        branches = [2, 2] if rule.name == "binomial" else [3, 3]
        assert ScenarioTree.from_process(process, branches, rule) == ScenarioTree.from_process(GBM, branches, rule)
    assert MarkovLattice.from_process(process, 4, 9, tilt=0.5) == MarkovLattice.from_process(GBM, 4, 9, tilt=0.5)
    assert MarkovLattice.from_growth(process, [3, 3]) == MarkovLattice.from_growth(GBM, [3, 3])
    assert ScenarioTree.from_process(process, [2]).origin.same(ScenarioTree.from_process(GBM, [2]).origin)


def test_members_go_to_their_limits():
    """Beside the limits the laws are near: nothing jumps where a parameter vanishes."""
    small = 1e-9
    t = np.array([1.0, 5.0, 20.0])
    for process in (
        JumpDiffusion(1000.0, 0.07, 0.2, (Jump(small, -0.9),)),
        MeanReverting(1000.0, 300.0, small, 0.2, 0.07),
        RegimeSwitching(1000.0, (0.07, 5.0), (0.2, 0.2), ((1 - small, small), (1.0, 0.0))),
        HiddenRegimes(1000.0, (0.07, 5.0), (0.2, 0.2), ((1 - small, small), (1.0, 0.0)), (1 - small, small)),
        UnknownDrift(1000.0, 0.07, small, 0.2),
        DiscreteDrift(1000.0, (0.07 - small, 0.07 + small), (0.5, 0.5), 0.2),
        SaturatingGrowth(1000.0, 1e15, 0.07, 0.2),
        DatedStep(1000.0, 0.07, 0.2, small, (1.0,)),
    ):
        assert process.limit is None
        assert np.allclose(process.mean(t), GBM.mean(t), rtol=1e-5)
        assert np.allclose(process.quantile(0.2, t), GBM.quantile(0.2, t), rtol=1e-5)


def test_one_factor_among_several_is_the_factor_alone():
    both = CorrelatedFactors(("demand", "price"), (GBM, MeanReverting.example()), ((1, 0.6), (0.6, 1)))
    normals = np.random.default_rng(1).standard_normal((10, 50))
    assert np.array_equal(both.paths(normals), GBM.paths(normals[::2]))
    tree = ScenarioTree.from_process(CorrelatedFactors(("demand",), (GBM,)), [3, 3])
    assert np.allclose(tree.value, ScenarioTree.from_process(GBM, [3, 3]).value, rtol=1e-12)


# ----------------------------------------------------------------------- moments


def test_moments_of_jumps():
    """Merton's: E[D_t] = D_0 exp((μ + Σλy)t), E[D_t²] = D_0² exp((2μ + σ² + Σλ E[(1 + Y)² − 1])t)."""
    kinds = (Jump(0.4, -0.3, 0.2), Jump(0.1, 0.5), Jump(0.05, -1.0))
    process = JumpDiffusion(100.0, 0.1, 0.15, kinds)
    t = np.array([0.5, 1.0, 7.0, 30.0])
    first = 0.1 + sum(j.rate * j.size for j in kinds)
    second = 2 * 0.1 + 0.15**2 + sum(j.rate * ((1 + j.size) ** 2 * np.exp(j.spread**2) - 1) for j in kinds)
    assert np.allclose(process.mean(t), 100 * np.exp(first * t), rtol=1e-12)
    assert np.allclose(process.variance(t), 100**2 * (np.exp(second * t) - np.exp(2 * first * t)), rtol=1e-9)
    gone = -np.expm1(-0.05 * 30)
    assert process.quantile(gone - 1e-6, 30) == 0 < process.quantile(gone + 1e-6, 30)


def test_moments_of_mean_reversion():
    process = MeanReverting(1000.0, 400.0, 0.5, 0.3, 0.02)
    t, fade = 3.0, np.exp(-0.5 * 3.0)
    middle = np.log(400) + 0.06 + fade * np.log(2.5) - 0.3**2 / (2 * 0.5) * (1 - fade)
    law = stats.lognorm(np.sqrt(0.3**2 / (2 * 0.5) * (1 - fade**2)), scale=np.exp(middle))
    assert process.mean(t) == pytest.approx(law.mean(), rel=1e-12)
    assert process.variance(t) == pytest.approx(law.var(), rel=1e-9)
    assert process.quantile(0.8, t) == pytest.approx(law.ppf(0.8), rel=1e-12)


def test_moments_of_regimes_are_products_of_matrices():
    process = RegimeSwitching(
        10.0, (0.2, -0.1, 0.0), (0.1, 0.3, 0.0), ((0.8, 0.1, 0.1), (0.3, 0.6, 0.1), (0.0, 0.5, 0.5)), regime=1
    )
    P, mu, sigma = np.array(process.switching), np.array(process.drifts), np.array(process.volatilities)
    for steps in (1, 2, 9):
        first = np.linalg.matrix_power(np.diag(np.exp(mu)) @ P, steps)[1].sum()
        second = np.linalg.matrix_power(np.diag(np.exp(2 * mu + sigma**2)) @ P, steps)[1].sum()
        assert process.mean(steps) == pytest.approx(10 * first, rel=1e-12)
        assert process.variance(steps) == pytest.approx(100 * (second - first**2), rel=1e-9)
    partly = np.linalg.matrix_power(np.diag(np.exp(mu)) @ P, 2) @ np.exp(0.4 * mu)
    assert process.mean(2.4) == pytest.approx(10 * partly[1], rel=1e-12)


def test_moments_and_posterior_of_an_unknown_drift():
    process = UnknownDrift(1.0, 0.1, 0.1, 0.25)
    assert process.mean(10.0) == pytest.approx(np.exp(1.0 + 0.1**2 * 100 / 2), rel=1e-12)
    for level in (0.1, 0.5):
        z = stats.norm.ppf(level)
        log = (0.1 - 0.25**2 / 2) * 10 + z * np.sqrt(0.25**2 * 10 + 0.1**2 * 100)
        assert process.quantile(level, 10.0) == pytest.approx(np.exp(log), rel=1e-12)
    for t in (0.5, 4.0, 20.0):
        mean, sd = process.posterior(t, 2.0)
        assert sd == pytest.approx((1 / 0.1**2 + t / 0.25**2) ** -0.5, rel=1e-12)
        prior, noise = stats.norm(0.1, 0.1), 0.25 * np.sqrt(t)

        def weight(m, t=t, prior=prior, noise=noise):
            return prior.pdf(m) * stats.norm.pdf(np.log(2.0), (m - 0.25**2 / 2) * t, noise)

        whole = integrate.quad(weight, -1, 1.2, points=[float(mean)])[0]
        by_hand = integrate.quad(lambda m: m * weight(m), -1, 1.2, points=[float(mean)])[0] / whole
        assert mean == pytest.approx(by_hand, rel=1e-8)


def test_a_prior_of_many_points_is_the_normal_one_and_a_cut_one_is_less():
    points = np.linspace(-0.4, 0.6, 401)
    weight = stats.norm.pdf(points, 0.1, 0.1)
    fine = DiscreteDrift(1.0, tuple(points), tuple(weight / weight.sum()), 0.25)
    normal = UnknownDrift(1.0, 0.1, 0.1, 0.25)
    states = np.array([[0.5], [1.0], [4.0]])
    assert np.allclose(fine.expected(states, t=5.0), normal.expected(states, t=5.0), rtol=1e-6)
    assert np.allclose(fine.mean([1, 10]), normal.mean([1, 10]), rtol=1e-4)
    cut = DiscreteDrift.truncated_normal(1.0, 0.1, 0.1, -0.1, 0.3, 0.25)
    law = stats.truncnorm(-2, 2, 0.1, 0.1)
    for t in (5.0, 20.0):
        by_hand = integrate.quad(lambda m, t=t: law.pdf(m) * np.exp(m * t), -0.1, 0.3)[0]
        assert cut.mean(t) == pytest.approx(by_hand, rel=1e-8)
    assert cut.mean(20.0) < 0.6 * normal.mean(20.0)
    shares = cut.posterior(3.0, np.array([0.5, 3.0]))
    assert shares.sum(axis=1) == pytest.approx(1)
    assert shares[0] @ cut.drifts < shares[1] @ cut.drifts


def test_saturating_growth_without_noise_is_bass_and_verhulst():
    bass = SaturatingGrowth(1000.0, 8000.0, 0.5, 0.0, 0.03)
    t = np.arange(13.0)
    solved = integrate.solve_ivp(
        lambda _, d: (0.03 + 0.5 * d / 8000) * (8000 - d), (0, 12), [1000.0], t_eval=t, rtol=1e-10, atol=1e-6
    )
    assert np.allclose(bass.mean(t), solved.y[0], rtol=1e-7)
    verhulst = SaturatingGrowth(1000.0, 8000.0, 0.5, 0.0)
    assert np.allclose(verhulst.mean(t), 8000 / (1 + 7 * np.exp(-0.5 * t)), rtol=1e-12)


def test_moments_of_a_dated_step():
    process = DatedStep(100.0, 0.03, 0.2, -0.6, (2.0, 5.0), (0.3, 0.5))
    come = np.array([0, 0.3, 0.3, 0.8, 0.8])
    assert np.allclose(process.mean([1, 2, 4, 5, 9]), 100 * np.exp(0.03 * np.array([1, 2, 4, 5, 9])) * (1 - 0.6 * come))
    tree = ScenarioTree.from_process(process, [1] * 6)
    happened = tree.stage_mean(tree.factor("happened"))
    assert np.allclose(happened, [0, 0, 0.3, 0.3, 0.3, 0.8, 0.8])
    end = DatedStep(100.0, 0.03, 0.2, -1.0, (2.0,))
    assert ScenarioTree.from_process(end, [2, 2, 2]).stage_mean()[2:].tolist() == [0, 0]
    assert end.quantile(0.5, 2.0) == 0 < end.quantile(0.5, 1.9)


def test_correlation_of_factors():
    """E[XY] = E[X] E[Y] e^{ρσσ't}, on paths and on trees."""
    x, y = GeometricBrownianMotion(100.0, 0.05, 0.2), GeometricBrownianMotion(10.0, -0.03, 0.3)
    for rho in (-0.7, 0.0, 0.5):
        both = CorrelatedFactors(("x", "y"), (x, y), ((1, rho), (rho, 1)))
        tree = ScenarioTree.from_process(both, [(9, 9)])
        wanted = float(x.mean(1) * y.mean(1) * np.exp(rho * 0.2 * 0.3))
        assert tree.stage_mean(tree.value * tree.factor("y"))[1] == pytest.approx(wanted, rel=1e-7)
        paths = both.state_paths(np.random.default_rng(0).standard_normal((6, 200_000)))
        product = paths[3].prod(axis=1)
        wanted = float(x.mean(3) * y.mean(3) * np.exp(rho * 0.2 * 0.3 * 3))
        assert abs(product.mean() - wanted) < 4.5 * product.std() / np.sqrt(200_000)
    table = both.means([0, 2])
    assert table.shape == (2, 2)
    assert table[1, 1] == pytest.approx(float(y.mean(2)))


def test_blocks_keep_their_order():
    """With endless blocks the history runs round from a random year: the mean is that of its rotations."""
    growth = (1.5, 0.5, 2.0, 1.0)
    process = HistoricalIncrements(1.0, growth, block=1e12)
    rotations = [np.prod([growth[(i + k) % 4] for k in range(3)]) for i in range(4)]
    assert process.mean(3) == pytest.approx(np.mean(rotations))
    found = np.unique(process.sample(500, 3, seed=0)[-1])
    assert np.allclose(found, np.unique(rotations))
    assert HistoricalIncrements(1.0, growth).mean(3) == pytest.approx(np.mean(growth) ** 3)


# -------------------------------------------------------------- option to invest

RATE, SIGMA = 0.04, 0.2


@pytest.mark.parametrize("size, beta, trigger", [(-1.0, 3.193, 1.456), (-0.5, 3.080, 1.481)])
def test_option_to_invest_with_down_jumps(size, beta, trigger):
    """Dixit and Pindyck (1994, section 5.5): V^β discounted is a martingale; stopping on a lattice finds V*."""
    value = JumpDiffusion(1.0, 0.0, SIGMA, (Jump(0.1, size),))
    law = value.law(np.ones((1, 1)), 0.0, 1.0)
    found = optimize.brentq(lambda b: float(law.moment(b)[0]) - np.exp(RATE), 1.5, 6.0)
    assert found == pytest.approx(beta, abs=5e-4)
    assert found / (found - 1) == pytest.approx(trigger, abs=5e-4)

    dt, horizon = 0.5, 80
    lattice = MarkovLattice.from_process(value, horizon, 120, dt, tilt=0.5)
    worth = np.maximum(lattice.values[-1] - 1, 0.0)
    for t in range(horizon - 1, -1, -1):
        wait = np.exp(-RATE * dt) * lattice.transitions[t] @ worth
        now = lattice.values[t] - 1
        if t == 20:
            stops = lattice.values[t][now > wait]
            # Who may stop at the ends of steps only stops earlier, by this factor (Broadie, Glasserman and Kou 1997).
            assert stops.min() == pytest.approx(trigger * np.exp(-0.5826 * SIGMA * np.sqrt(dt)), rel=0.02)
        worth = np.maximum(now, wait)
    anytime = (trigger - 1) * trigger**-beta
    assert 0.98 * anytime < worth[0] < anytime


# ---------------------------------------------------------------- quantisations


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0.05, 1), st.floats(-2, 2), st.floats(0, 1)), min_size=1, max_size=4),
    st.integers(1, 6),
)
def test_quantisations_of_any_mixture_keep_the_mean(components, branches):
    weight, middle, sd = np.array(components).T
    law = Mixture.of(1, weight / weight.sum(), middle, sd)
    for rule in (GaussHermite(), EqualProbability(), QUANTIZATIONS["binomial"]):
        count = min(branches, 2) if rule.name == "binomial" else branches
        value, chance = rule.split(law, count)
        assert chance.sum() == pytest.approx(1, abs=1e-12)
        assert (value >= 0).all()
        assert (chance * value).sum() == pytest.approx(law.moment()[0], rel=1e-9)
        if rule.name == "binomial" and count == 2:
            assert (chance * value**2).sum() == pytest.approx(law.moment(2.0)[0], rel=1e-9)
        if rule.name == "equal-probability":
            assert (np.diff(value[0]) >= -1e-9 * value.max()).all()


def test_gauss_rule_of_a_mixture_keeps_its_moments():
    """2b − 1 moments of the logarithm, against those of the normals; and a mixture of equals is no mixture."""
    weight, middle, sd = np.array([0.2, 0.5, 0.3]), np.array([-1.0, 0.3, 0.8]), np.array([0.2, 0.1, 0.5])
    law = Mixture.of(1, weight, middle, sd)
    value, chance = GaussHermite().split(law, 4)
    log = np.log(value[0]) - np.log(value[0] / np.exp(np.log(value[0]))).mean()
    shift = np.log(law.moment()[0] / (chance[0] @ np.exp(log)))  # the rule is scaled to the mean as a whole
    assert shift == pytest.approx(0, abs=1e-9)
    scaled = log - log @ chance[0] + weight @ middle
    for k in range(1, 8):
        exact = sum(w * stats.norm(m, s).moment(k) for w, m, s in zip(weight, middle, sd, strict=True))
        assert (chance[0] * scaled**k).sum() == pytest.approx(exact, rel=1e-9)
    alike = Mixture.of(1, [0.4, 0.6], 0.1, 0.3)
    one = Mixture.of(1, 1.0, 0.1, 0.3)
    for rule in (GaussHermite(), EqualProbability()):
        assert np.allclose(rule.split(alike, 3)[0], rule.split(one, 3)[0], rtol=1e-7)


def test_equal_probability_bins_of_a_mixture_are_means_of_sorted_draws():
    process = JumpDiffusion(1.0, 0.1, 0.2, (Jump(0.7, -0.4, 0.1),))
    drawn = np.sort(process.sample(400_000, 1, seed=5)[1]).reshape(4, -1).mean(axis=1)
    value, chance = process.step(process.start[None, :], 4, EqualProbability())
    assert np.allclose(chance, 0.25)
    assert np.allclose(value[0, :, 0], drawn, rtol=5e-3)


# ------------------------------------------------------- trees, lattices, files


@pytest.mark.parametrize("name", STEPPING)
def test_trees_and_lattices_are_saved_with_their_process(name, tmp_path):
    process = PROCESSES[name].example()
    tree = ScenarioTree.from_process(process, [2, 2])
    lattice = MarkovLattice.from_process(process, 3, 4)
    for made in (tree, lattice):
        again = type(made).load(made.save(tmp_path / "made.npz"))
        assert again == made
        assert again.digest() == made.digest()
        assert again.names == made.names == process.names
        assert again.origin.process == process
        assert again.origin.same(made.origin)
        assert not again.origin.same(type(made.origin)(GBM))
    assert list(tree.to_frame().columns) == ["parent", "stage", "probability", "value", *process.names[1:]]
    assert list(lattice.to_frame().columns) == ["stage", "state", "probability", "value", *process.names[1:]]
    branch, origin = tree.branch(1)
    assert branch.names == tree.names
    assert np.array_equal(branch.value, tree.value[origin])


def test_states_of_lattices_know_their_regime():
    process = RegimeSwitching.example()
    lattice = MarkovLattice.from_process(process, 5, 12)
    for t in range(5):
        regime = lattice.others[t + 1][:, 0]
        chance = lattice.probabilities[t] * (lattice.others[t][:, 0] if t else 0.0)
        in_slump = lattice.probabilities[t + 1] @ regime
        stays = chance.sum() * 0.6 + (1 - chance.sum()) * 0.15
        assert in_slump == pytest.approx(stays, rel=1e-9)
    unfolded = MarkovLattice.from_process(process, 2, 3).to_tree()
    assert unfolded.names == ("value", "regime")
    assert np.allclose(unfolded.stage_mean(), process.mean(np.arange(3)), rtol=1e-9)


def test_states_of_any_process_are_the_bins_of_a_normal_law_where_it_is_one():
    """The fine chain, sent down a geometric Brownian motion with one jump in 10¹² years: quadrature as oracle."""
    near = JumpDiffusion(1000.0, 0.07, 0.2, (Jump(1e-12, -0.5),))
    exact, found = (MarkovLattice.from_process(process, 15, 30, tilt=0.5) for process in (GBM, near))
    assert found.sizes == exact.sizes
    for t in (1, 5, 15):
        assert np.allclose(found.values[t], exact.values[t], rtol=0.03)
        assert np.allclose(found.probabilities[t], exact.probabilities[t], atol=0.01)
    assert np.allclose(found.transitions[5], exact.transitions[5], atol=0.03)
    assert np.allclose(found.stage_mean(), exact.stage_mean(), rtol=1e-10)


def test_demand_that_has_ended_stays_at_nothing():
    process = JumpDiffusion(1000.0, 0.1, 0.2, (Jump(0.2, -1.0),))
    tree = ScenarioTree.from_process(process, [2, 2, 2])
    ended = tree.value == 0
    assert ended.any()
    assert (tree.value[1:][ended[tree.parent[1:]]] == 0).all()
    assert (tree.child_count[ended & (tree.stage < 3)] == 1).all()
    lattice = MarkovLattice.from_process(process, 3, 5)
    for t in range(1, 4):
        assert lattice.probabilities[t][0] == pytest.approx(1 - np.exp(-0.2 * t), rel=1e-9)
        assert lattice.values[t][0] == 0 < lattice.values[t][1]
    paths = process.sample(4000, 3, seed=1)
    of_paths = MarkovLattice.from_paths(paths, 5)
    assert of_paths.values[3][0] == 0 < of_paths.values[3][1]
    assert of_paths.probabilities[3][0] == pytest.approx((paths[3] == 0).mean(), abs=1e-12)
    assert np.allclose(tree_from_paths(paths, [3, 3, 3]).stage_mean(), paths.mean(axis=1))
    for check in (tree.check(process), lattice.check(process)):
        found = check.to_frame().drop(columns="conditional_mean_error_sampling", errors="ignore")
        assert np.isfinite(found.to_numpy()).all()
    assert tree.check(process).conditional_mean_error.max() < 1e-12


def test_lattices_of_two_factors():
    process = CorrelatedFactors.example()
    lattice = MarkovLattice.from_process(process, 4, (10, 5))
    assert lattice.names == ("demand", "price")
    assert max(lattice.sizes) <= 50
    prices = [p @ other[:, 0] for p, other in zip(lattice.probabilities, lattice.others, strict=True)]
    assert np.allclose(prices, process.means(np.arange(5))[:, 1], rtol=5e-3)
    assert np.allclose(lattice.stage_mean(), process.mean(np.arange(5)), rtol=5e-3)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=60), st.integers(1, 8))
def test_cells_are_nearest_to_their_means(numbers, count):
    values = np.array(numbers, dtype=float)
    mean, cell = cells(values, count)
    assert mean.size <= max(count, 1)
    assert (np.diff(mean) > 0).all()
    assert np.allclose(mean, [values[cell == i].mean() for i in range(mean.size)])
    if not ((values == 0).any() and values.any()):  # zeros are apart, whatever is nearest
        apart = np.abs(values[:, None] - mean)
        assert np.allclose(apart[np.arange(values.size), cell], apart.min(axis=1))


def test_cells_are_as_near_as_clusters():
    sample = GBM.sample(5000, 1, seed=2)[1]
    mean, cell = cells(sample, 20)
    found = k_means(sample[None, :], 20, 0)
    cost = ((sample - mean[cell]) ** 2).sum()
    assert cost <= 1.15 * ((sample - found.paths[0][found.group]) ** 2).sum()


def test_who_scales_with_the_start():
    scaling = {name for name in PROCESSES if isinstance(PROCESSES[name].example(), ScalesWithInitial)}
    assert scaling == {
        *("GeometricBrownianMotion", "JumpDiffusion", "RegimeSwitching", "HiddenRegimes", "DatedStep"),
        *("VaryingBrownianMotion", "HistoricalIncrements"),
    }
    for name in scaling:
        process = PROCESSES[name].example()
        assert np.allclose(
            process.scaled(7.0).sample(50, 4, seed=1) * process.initial, 7 * process.sample(50, 4, seed=1)
        )
    assert not isinstance(HistoricalIncrements.example(), Stepping)


# ------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: Jump(0.1, -1.2), r"^size: must be >= -1 and finite, got -1.2"),
        (lambda: Jump(-0.1, 0.2), r"^rate: must be >= 0"),
        (lambda: Jump(0.1, -1.0, 0.3), r"^spread: must be 0 for jumps of size -1"),
        (lambda: JumpDiffusion(1.0, 0.0, 0.1, (0.1,)), r"^jumps: must be Jump\(rate, size, spread\), got 0.1"),
        (
            lambda: RegimeSwitching(1, (0, 1), (0, 0), ((0.5, 0.4), (0, 1))),
            r"^switching: every row .* row 0 is \[0.5, 0.4\]",
        ),
        (lambda: RegimeSwitching(1, (0, 1), (0,), ((1, 0), (0, 1))), r"^volatilities: must be 2 numbers >= 0"),
        (lambda: RegimeSwitching(1, (0, 1), (0, 0), ((1, 0),)), r"^switching: must have shape \(2, 2\), got \(1, 2\)"),
        (
            lambda: RegimeSwitching(1, (0,), (0,), ((1,),), regime=1),
            r"^regime: must be an integer >= 0 and <= 0, got 1",
        ),
        (lambda: UnknownDrift(1.0, 0.1, 0.3, 0.2).mean(30), r"^prior_sd: 0.3 multiplies the mean of time 30 by more"),
        (lambda: UnknownDrift(1.0, 0.1, 0.3, 0.2).sample(9, 30, seed=0), r"^prior_sd: .*truncated_normal"),
        (lambda: DiscreteDrift(1, (0, 1), (0.5, 0.6), 0.1), r"^weights: must be 2 numbers >= 0 that sum to 1"),
        (lambda: DiscreteDrift(1, (0, 1), (0.5, 0.5), 0.0), r"^volatility: must be > 0"),
        (lambda: DiscreteDrift.truncated_normal(1, 0, 1, 0.2, 0.1, 0.2), r"^high: must be > low = 0.2, got 0.1"),
        (lambda: SaturatingGrowth(1, -3.0, 0.2, 0.1), r"^capacity: must be > 0, got -3"),
        (lambda: SaturatingGrowth(1, np.inf, 0.2, 0.1, 0.1), r"^innovation: must be 0 where the capacity is infinite"),
        (lambda: DatedStep(1, 0, 0.1, 2.0, (3, 2)), r"^dates: must be one or more ascending times > 0"),
        (
            lambda: DatedStep(1, 0, 0.1, 2.0, (2, 3), (0.7, 0.7)),
            r"^probabilities: must be 2 numbers .* sum of at most 1",
        ),
        (lambda: DatedStep(1, 0, 0.1, -2.0, (2,)), r"^size: must be >= -1"),
        (lambda: HistoricalIncrements.of([1, 2, 3]), r"^series: needs at least 4 values \(3 steps\), got 3"),
        (
            lambda: HistoricalIncrements.of([1, 2, 0, 3]),
            r"^series: every value must be > 0 and finite, got 0.0 at position 2",
        ),
        (
            lambda: HistoricalIncrements(1, (1, -0.1, 1)),
            r"^factors: every growth factor must be >= 0 and finite, got -0.1",
        ),
        (lambda: CorrelatedFactors(("a", "a"), (GBM, GBM)), r"^factors: must be one or more different names, got a, a"),
        (lambda: CorrelatedFactors(("a", "b"), (GBM,)), r"^processes: must be 2, one per factor, got 1"),
        (
            lambda: CorrelatedFactors(("a",), (HistoricalIncrements.example(),)),
            r"^processes: .*got HistoricalIncrements",
        ),
        (lambda: two(((1, 2), (2, 1))), r"^correlation: must be 1 on the diagonal and in \[-1, 1\]"),
        (lambda: two(((1, 0.5), (0.4, 1))), r"^correlation: must be symmetric"),
        (lambda: two(((1, 1), (1, 1))), r"^correlation: must be positive definite, its smallest eigenvalue is"),
        (lambda: two(((1, 0, 0), (0, 1, 0))), r"^correlation: must have shape \(2, 2\), got \(2, 3\)"),
        (lambda: two().step(two().start[None, :], (2, 2, 2)), r"^branching: needs one number per factor, 2, got"),
        (
            lambda: two().step(two().start[None, :], 2, QUANTIZATIONS["binomial"]),
            r"^quantization: several factors take",
        ),
        (lambda: MarkovLattice.from_process(two(), 2, (3, 4, 5)), r"^states: needs one number per factor, a, b, got"),
        (
            lambda: MarkovLattice.from_process(GBM, 2, (3, 4)),
            r"^states: must be one number for a process of one factor",
        ),
        (lambda: ScenarioTree.from_process(HistoricalIncrements.example(), [2]), r"^process: .*for simulation only"),
        (lambda: MarkovLattice.from_process(HistoricalIncrements.example(), 2, 3), r"^process: .*for simulation only"),
        (lambda: tree_of(JumpDiffusion.example(), "trinomial"), r"^quantization: trinomial takes steps with one"),
        (lambda: ScenarioTree.from_process(two(), [2]).factor("c"), r"^factor: must be one of a, b, got 'c'"),
        (lambda: JumpDiffusion.example().quantile(1.5, 2), r"^q: levels must lie in \(0, 1\)"),
        (lambda: JumpDiffusion.example().paths(np.zeros((3, 2))), r"^normals: must have shape \(2 per step, paths\)"),
        (lambda: MeanReverting(1, 0, 1, 1), r"^level: must be > 0"),
    ],
)
def test_bad_input_is_one_line_that_names_the_field(call, message):
    with pytest.raises(TreeError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def two(correlation=None):
    return CorrelatedFactors(("a", "b"), (GBM, GBM), correlation)


def tree_of(process, rule):
    return ScenarioTree.from_process(process, [3], QUANTIZATIONS[rule])


# ---------------------------------------------------- checks that must find faults


class Faulty(JumpDiffusion):
    """A jump diffusion with one fault."""

    fault = ""

    def expected(self, states, *, t=0.0, dt=1.0):
        return super().expected(states, t=t, dt=dt) * (1.05 if self.fault == "expected" else 1.0)

    def variance(self, t):
        return super().variance(t) * (1.5 if self.fault == "variance" else 1.0)

    def quantile(self, q, t):
        return super().quantile(q, t) * (1.05 if self.fault == "quantile" else 1.0)

    def step(self, states, branches, quantization=None, *, t=0.0, dt=1.0):
        after, chance = super().step(states, branches, quantization, t=t, dt=dt)
        if self.fault == "revives":
            after = np.maximum(after, 1e-6)
        return (after * 1.01 if self.fault == "mean" else after), (chance * 1.01 if self.fault == "chance" else chance)


@pytest.mark.parametrize(
    "fault, message",
    [
        ("expected", "what states of year 0 expect"),
        ("variance", "variance of year"),
        ("quantile", "quantile 0.1 of year"),
        ("mean", "the mean of what follows"),
        ("chance", "probabilities must sum to 1"),
        ("revives", "a value of 0 must stay 0|the mean of what follows"),
    ],
)
def test_faults_of_processes_with_steps_are_found(fault, message):
    process = Faulty(1000.0, 0.1, 0.1, (Jump(0.2, -0.3),))
    check_process(process, horizon=3)
    object.__setattr__(process, "fault", fault)
    with pytest.raises(AssertionError, match=f"Faulty.*{message}"):
        check_process(process, horizon=3)


def test_replace_keeps_members_checked():
    with pytest.raises(TreeError, match="volatility"):
        replace(JumpDiffusion.example(), volatility=-1.0)
