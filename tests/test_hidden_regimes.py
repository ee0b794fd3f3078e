"""Regimes that nobody sees: Bayes over all histories, an unknown drift and those who see the regime as oracles."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenario_trees import (
    CorrelatedFactors,
    DiscreteDrift,
    GeometricBrownianMotion,
    HiddenRegimes,
    MarkovLattice,
    RegimeSwitching,
    ScenarioTree,
    TreeError,
)
from scenario_trees.estimation import estimate, regime_beliefs
from stochisru import extensive_form, lattice_dp, load_case, process_values, sddp, simulate
from stochisru.lunar.calibration import calibrate, read_series
from stochisru.lunar.policies import policy_named
from stochisru.lunar.solving import optimum_on_lattice
from stochisru.lunar.strategies.protocol import Observation
from stochisru.lunar.trees import case_lattice, year_laws
from stochisru.lunar.values.penalised import penalised_ends, revealed
from stochisru.simulation.sampling import Sampling

SWITCHING = ((0.8, 0.2), (0.3, 0.7))
DEMAND = HiddenRegimes(1000.0, (0.25, 0.0), (0.15, 0.3), SWITCHING, (0.6, 0.4))
THREE = HiddenRegimes(
    10.0, (0.3, 0.0, -0.4), (0.1, 0.2, 0.4), ((0.7, 0.2, 0.1), (0.1, 0.8, 0.1), (0.3, 0.3, 0.4)), (0.2, 0.5, 0.3), 0.5
)


def normal(x, middle, sd):
    return np.exp(-0.5 * ((x - middle) / sd) ** 2) / sd


def by_histories(process, growths):
    """Belief about the period after growths: Bayes' rule over every history of regimes."""
    m = len(process.drifts)
    mu, sigma, step = np.array(process.drifts), np.array(process.volatilities), process.period
    weight = np.zeros(m)
    for history in product(range(m), repeat=len(growths) + 1):
        chance = process.prior[history[0]]
        for now, after, growth in zip(history, history[1:], growths, strict=False):
            density = normal(np.log(growth), (mu[now] - sigma[now] ** 2 / 2) * step, sigma[now] * np.sqrt(step))
            chance *= density * process.switching[now][after]
        weight[history[-1]] += chance
    return weight / weight.sum()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0.3, 3.0), min_size=1, max_size=5), st.sampled_from([DEMAND, THREE]))
def test_belief_is_that_of_bayes_over_all_histories(growths, process):
    belief, value, states = np.array(process.prior), process.initial, process.start[None, :]
    for t, growth in enumerate(growths):
        belief, value = process.updated(belief, growth), value * growth
        seen = process.after(states, np.zeros(1, dtype=int), np.array([value]), t * process.period, process.period)
        states = np.column_stack([[value], seen])
        assert np.allclose(states[0, 1:], belief[1:], atol=1e-12)
    assert np.allclose(belief, by_histories(process, growths), atol=1e-12)


def test_regimes_that_stay_are_an_unknown_drift():
    hidden = HiddenRegimes(1000.0, (0.3, 0.0), (0.2, 0.2), ((1.0, 0.0), (0.0, 1.0)), (0.4, 0.6))
    drift = DiscreteDrift(1000.0, (0.3, 0.0), (0.4, 0.6), 0.2)
    t = np.arange(8)
    assert np.allclose(hidden.mean(t), drift.mean(t), rtol=1e-12)
    assert np.allclose(hidden.quantile(0.2, t), drift.quantile(0.2, t), rtol=1e-9)
    for mine, theirs in zip(*(p.sample(200, 6, seed=3) for p in (hidden, drift)), strict=True):
        assert np.allclose(mine, theirs, rtol=1e-9)
    mine, theirs = (ScenarioTree.from_process(p, [6, 6]) for p in (hidden, drift))
    assert np.allclose(mine.value, theirs.value, rtol=1e-3)  # beliefs are scaled to keep the means of later years
    assert np.allclose(mine.probability, theirs.probability, rtol=5e-3)
    at = mine.at(1)
    assert np.allclose(mine.factor("belief_1")[at], drift.posterior(1.0, theirs.value[at])[:, 1], atol=5e-3)


@pytest.mark.parametrize("process", [DEMAND, THREE], ids=["two", "three"])
def test_laws_are_those_of_whoever_sees_the_regime_on_average(process):
    t = np.arange(6) * process.period
    seen = sum(p * process.seen(i).mean(t) for i, p in enumerate(process.prior))
    assert np.allclose(process.mean(t), seen, rtol=1e-12)
    paths = process.state_paths(np.random.default_rng(5).standard_normal((10, 40_000)), process.period)
    chance = np.array(process.prior)
    for k, when in enumerate(t):
        error = paths[k, :, 0].std() / 200
        assert abs(paths[k, :, 0].mean() - process.mean(when)) <= 4 * error
        assert np.allclose(paths[k, :, 1:].mean(axis=0), chance[1:], atol=0.006)  # beliefs are right on average
        chance = chance @ np.array(process.switching)


def test_beliefs_come_true():
    """Of regimes drawn and values seen: among paths of like belief the regime is as often as believed."""
    rng, n = np.random.default_rng(8), 60_000
    regime, belief = (rng.random(n) < DEMAND.prior[1]).astype(int), np.tile(DEMAND.prior, (n, 1))
    mu, sigma = np.array(DEMAND.drifts), np.array(DEMAND.volatilities)
    for _ in range(4):
        growth = np.exp(mu[regime] - sigma[regime] ** 2 / 2 + sigma[regime] * rng.standard_normal(n))
        states = np.column_stack([np.ones(n), belief[:, 1:]])
        rest = DEMAND.after(states, np.zeros(n, dtype=int), growth, 0.0, 1.0)
        belief = np.column_stack([1 - rest.sum(axis=1), rest])
        regime = (rng.random(n) < np.array(SWITCHING)[regime, 1]).astype(int)
    cell = np.digitize(belief[:, 1], [0.3, 0.4, 0.5, 0.6])
    for i in np.unique(cell):
        here = cell == i
        assert regime[here].mean() == pytest.approx(belief[here, 1].mean(), abs=4 * 0.5 / np.sqrt(here.sum()))


@pytest.mark.parametrize("branches", [1, 2, 3, 5])
@pytest.mark.parametrize("process", [DEMAND, THREE], ids=["two", "three"])
def test_trees_keep_the_means_of_later_years(process, branches):
    """What is expected two steps ahead is what is expected once a step was made and its belief is known."""
    after, chance = process.step(process.start[None, :], branches, dt=process.period)
    later = process.expected(after[0], dt=process.period)
    assert chance[0] @ later == pytest.approx(process.mean(2 * process.period), rel=1e-12)
    tree = ScenarioTree.from_process(process, [branches] * 4, dt=process.period)
    assert np.allclose(tree.stage_mean(), process.mean(np.arange(5) * process.period), rtol=1e-12)


def test_regimes_far_apart_keep_means_nearly():
    far = HiddenRegimes(1.0, (1.0, -1.0), (0.05, 0.05), ((0.9, 0.1), (0.2, 0.8)), (0.6, 0.4))
    for branches in (2, 3, 5):
        tree = ScenarioTree.from_process(far, [branches] * 4)
        assert np.allclose(tree.stage_mean(), far.mean(np.arange(5)), rtol=1e-4)


def hidden_case(prior=(0.6, 0.4), **symbols):
    table = {"kind": "hidden-regimes", "drifts": [0.25, 0.0], "volatilities": [0.15, 0.3], "prior": prior}
    return load_case("contested-market").replace(process={**table, "switching": SWITCHING}, **symbols)


def test_who_sees_the_regime_earns_more_and_who_ignores_it_less():
    case = hidden_case(T=6)
    table = {"kind": "regimes", "drifts": [0.25, 0.0], "volatilities": [0.15, 0.3], "switching": SWITCHING}
    seen = [load_case("contested-market").replace(process={**table, "regime": i}, T=6) for i in range(2)]
    best = sum(p * lattice_dp(c, case_lattice(c, 60)).objective for p, c in zip((0.6, 0.4), seen, strict=True))
    found = lattice_dp(case, MarkovLattice.from_process(case.process, 6, (40, 5)))
    assert found.objective < best
    rate = float(np.log(case.process.mean(6.0) / case.demand.D0) / 6)
    ignoring = load_case("contested-market").replace(mu=rate, sigma=0.23, T=6)
    plain = lattice_dp(ignoring, case_lattice(ignoring, 60).as_belief()).policy(name="ignores")
    simulated = simulate(case, [found.policy(name="believes"), plain], paths=20_000, seed=4)
    plan, other = (simulated.npv[simulated.names.index(name)] for name in ("believes", "ignores"))
    lost = plan - other
    assert lost.mean() > 3 * lost.std() / np.sqrt(lost.size)
    assert plan.mean() == pytest.approx(found.objective, abs=4 * plan.std() / np.sqrt(plan.size))


def test_no_policy_earns_more_than_whoever_sees_the_regime():
    """The upper end is the optimum of those who see it, as the lattices of both first regimes have it."""
    case, sample = hidden_case(T=5), Sampling(2000, 3)
    assert [chance for chance, _ in revealed(case)] == [0.6, 0.4]
    best = sum(p * lattice_dp(c, case_lattice(c, 60)).objective for p, c in revealed(case))
    policy = lattice_dp(case, case_lattice(case, 40)).policy(name="believes")
    ends = penalised_ends(case, policy, sample)
    assert ends.known.lower <= ends.known.value <= ends.known.upper
    assert ends.known.value == pytest.approx(best, rel=5e-3)
    assert ends.policy.upper < ends.known.lower
    found = process_values(case, paths=2000, seed=3).values["rp"]
    assert found.lower < ends.policy.value < found.upper == pytest.approx(best, rel=5e-3)


def test_methods_agree_on_a_lattice():
    case = hidden_case(T=3)
    lattice = MarkovLattice.from_process(case.process, 3, (4, 2))
    exact = lattice_dp(case, lattice).objective
    assert extensive_form(case, lattice.to_tree()).objective == pytest.approx(exact, rel=1e-6)
    found = sddp(case, lattice, iterations=40, seed=1)
    assert found.bounds.lower * (1 - 1e-9) <= exact <= found.bounds.upper * (1 + 1e-9)


def test_states_of_lattices():
    lattice = MarkovLattice.from_process(DEMAND, 5, 20)
    assert lattice.names == ("value", "belief_1")
    assert max(lattice.sizes) == 100
    assert np.allclose(lattice.stage_mean(), DEMAND.mean(np.arange(6)), rtol=2e-3)
    assert max(MarkovLattice.from_process(THREE, 3, (6, 2, 2), dt=0.5).sizes) == 24
    with pytest.raises(TreeError, match=r"^states: needs one number per factor, value, belief_1, got \(3, 3, 3\)"):
        MarkovLattice.from_process(DEMAND, 3, (3, 3, 3))


def test_the_last_belief_of_a_series_is_the_prior(tmp_path):
    demand = RegimeSwitching(1000.0, (0.2, -0.15), (0.08, 0.2), ((0.9, 0.1), (0.2, 0.8))).sample(1, 80, seed=2)[:, 0]
    lines = "".join(f"{1950 + i},{x!r}\n" for i, x in enumerate(demand.tolist()))
    (tmp_path / "demand.csv").write_text("year,demand\n" + lines)
    found = calibrate(read_series(tmp_path / "demand.csv"), "hidden-regimes")
    fit = estimate("regimes", found.series.data)
    matrix = np.array(fit.process.switching)
    first = np.array([matrix[1, 0], matrix[0, 1]]) / (matrix[1, 0] + matrix[0, 1])  # stationary, as the filter begins
    replayed = HiddenRegimes(1.0, fit.process.drifts, fit.process.volatilities, fit.process.switching, tuple(first))
    belief = first
    for growth in demand[1:] / demand[:-1]:
        belief = replayed.updated(belief, growth)
    assert np.allclose(found.process.prior, belief, atol=1e-6)
    assert "hidden-regimes" in found.to_toml()
    drawn = found.draws(3, 1)
    for process, seen in zip(drawn, fit.draws(3, 1), strict=True):
        assert process.drifts == seen.drifts
        assert np.allclose(process.prior, regime_beliefs(seen, found.series.data))


@pytest.mark.parametrize("initial", ["free", "fixed"])
def test_fixed_plans_keep_their_bounds(initial):
    """Their laws are those of the process: cells of paths would be off by chance, and bounds would cross."""
    case = hidden_case(T=3, initial_deployment=initial)
    found = process_values(case, paths=500, seed=0).values
    for below, above in (("fixed", "static"), ("static", "rp"), ("rp", "ws")):
        assert found[below].lower <= found[above].upper
    values, probabilities = year_laws(case, 400)
    for year, (value, probability) in enumerate(zip(values, probabilities, strict=True)):
        assert probability.sum() == pytest.approx(1, rel=1e-12)
        assert value @ probability == pytest.approx(float(case.process.mean(year)), rel=1e-9)
    seen = [year_laws(c, 400) for _, c in revealed(case)]
    for year in range(1, 4):  # E[min(D, 1.2 E D)] of those who see the regime, on average
        cap = 1.2 * float(case.process.mean(year))
        parts = [
            chance * (p[year] @ np.minimum(v[year], cap))
            for (chance, _), (v, p) in zip(revealed(case), seen, strict=True)
        ]
        assert probabilities[year] @ np.minimum(values[year], cap) == pytest.approx(sum(parts), rel=1e-4)


def test_a_belief_that_is_certain_tells_nothing_apart():
    case = hidden_case(T=3, prior=(1.0, 0.0))
    policy = lattice_dp(case, MarkovLattice.from_process(case.process, 3, (20, 3))).policy(name="sure")
    seen = np.array([[[0.0]], [[0.2 + 1e-15]]])
    level = [policy.order(_seen_in(case, demand, seen))[0] for demand in (800.0, 1200.0)]
    assert level[0] < level[1]  # the belief of year 1 is that of the switching, but for rounding


def _seen_in(case, demand, seen):
    there = np.array([[case.demand.D0], [demand]])
    return Observation(case, 1, there, np.zeros((2, 1)), np.zeros((2, 1)), seen)


@pytest.mark.parametrize("symbols", [{}, {"lot": 20.0}, {"lead_time": 2}], ids=["linear", "modules", "lead"])
def test_plans_of_lattices_follow_the_belief(symbols):
    case = hidden_case(T=4, **symbols)
    found = simulate(case, [policy_named("lattice", case)], paths=4000, seed=1)
    optimum = optimum_on_lattice(case).objective
    assert found.npv[0].mean() == pytest.approx(optimum, abs=4 * found.npv[0].std() / np.sqrt(4000) + 0.01 * optimum)


def test_beside_other_factors_means_are_kept_as_well():
    price = GeometricBrownianMotion(3000.0, -0.05, 0.15)
    both = CorrelatedFactors(("demand", "price"), (DEMAND, price), ((1.0, 0.5), (0.5, 1.0)))
    tree = ScenarioTree.from_process(both, [(2, 2)] * 3)
    assert np.allclose(tree.stage_mean(), DEMAND.mean(np.arange(4)), rtol=1e-12)
    assert both.beliefs == ("demand.belief_1",)


def test_too_many_states_are_one_line():
    with pytest.raises(TreeError, match=r"^states: \d+ of each number would be more than 5,000 a stage; take fewer"):
        MarkovLattice.from_process(DEMAND, 3, (3000, 5))


def test_growth_beyond_numbers_says_nothing():
    with np.errstate(all="raise"):
        after = DEMAND.after(np.array([[1.0, 0.4]]), np.zeros(1, dtype=int), np.array([np.inf]), 0.0, 1.0)
    assert after[0, 0] == pytest.approx(0.6 * 0.2 + 0.4 * 0.7)


@pytest.mark.parametrize(
    "changed, message",
    [
        ({"prior": (0.5, 0.4)}, r"^prior: must be 2 numbers >= 0 that sum to 1, one per regime, got \(0.5, 0.4\)"),
        ({"prior": (1.0,)}, r"^prior: must be 2 numbers >= 0 that sum to 1"),
        ({"prior": (1.5, -0.5)}, r"^prior: must be 2 numbers >= 0 that sum to 1"),
        (
            {"volatilities": (0.1, 0.0)},
            r"^volatilities: must be > 1e-10, as a step without noise tells its regime, got 0",
        ),
        ({"switching": ((0.8, 0.1), (0.3, 0.7))}, r"^switching: every row must be >= 0 and sum to 1, row 0"),
        ({"drifts": (0.1, np.inf)}, r"^drifts: must be one finite number per regime"),
    ],
)
def test_what_is_no_belief_is_refused(changed, message):
    given = {"drifts": (0.2, 0.0), "volatilities": (0.1, 0.3), "switching": SWITCHING, "prior": (0.5, 0.5), **changed}
    with pytest.raises(TreeError, match=message):
        HiddenRegimes(1.0, **given)


@pytest.mark.parametrize("growth", [0.0, -1.0, np.nan, np.inf, "a", None])
def test_growth_that_is_none_is_refused(growth):
    with pytest.raises(TreeError, match=r"^growth: must be > 0 and finite"):
        DEMAND.updated([0.5, 0.5], growth)
