"""Learning the drift: against the exact policy, a brute-force program, lattices, reweighted priors, simulation."""

import json

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import norm

from scenario_trees import DiscreteDrift, UnknownDrift
from stochisru import InputError, lattice_dp, load_case, simulate, threshold
from stochisru.cli.main import main
from stochisru.lunar.exact.believed_rate import BelievedRate
from stochisru.lunar.exact.drift_layers import DriftLayers
from stochisru.lunar.operations import MeritOrder
from stochisru.lunar.studies import learning
from stochisru.lunar.studies.drift import _fewer, _prior, _solved
from stochisru.lunar.studies.knowledge_figures import learning_figure

CONTESTED = load_case("contested-market")
TWO = {"kind": "discrete-drift", "drifts": [0.0, 0.3], "weights": [0.5, 0.5]}


def layers(case, drifts, weights, **more):
    return DriftLayers(case, case.demand.sigma, np.array(drifts), np.array(weights), **more)


@pytest.mark.parametrize(
    ("symbols", "drift"),
    [
        ({"T": 15}, 0.15),
        ({"T": 8, "degradation": 0.07, "M0": 60.0}, 0.1),
        ({"T": 10, "lead_time": 3, "sigma": 0.4}, 0.05),
        ({"T": 6, "initial_deployment": "fixed"}, 0.2),
        ({"T": 6, "lead_time": 0}, 0.1),
        ({"T": 3, "lead_time": 4}, 0.1),
        ({"T": 1}, -0.1),
    ],
)
def test_one_drift_is_the_exact_policy(symbols, drift):
    case = CONTESTED.replace(mu=drift, **symbols)
    exact = threshold(case)
    ours = layers(case, [drift], [1.0])
    found = _solved(ours)
    assert found.value == pytest.approx(exact.objective, abs=found.error)
    assert found.error < 2e-4 * exact.bounds.flows
    root = [exact.first_stage[name] for name in sorted(exact.first_stage)]
    assert ours.deployments == pytest.approx(np.array(root)[: ours.deployments.size], rel=2e-3, abs=0.1)


def test_two_years_are_a_program_of_three_numbers():
    """T = 2, L = 1: ΔM_0, ΔM_1 and, when D_1 is seen, what to raise plant to; by scipy, from the definition."""
    case = CONTESTED.replace(T=2, process=TWO, c_dev=1000.0, c_L=1000.0)
    merit, eta, cost = MeritOrder.of(case), case.technology.eta, case.investment_cost
    d, sigma = 1 / 1.08, case.demand.sigma
    a, holding = merit.against_alternative, case.costs.c_op + eta * merit.idle
    drifts, prior = np.array([0.0, 0.3]), np.array([0.5, 0.5])
    z, w = np.polynomial.hermite_e.hermegauss(120)
    w = w / w.sum()

    def served(level, mean_log, sd):
        """E[min(level, e^(mean_log + sd Z))]."""
        top = norm.cdf((np.log(level) - mean_log) / sd - sd) * np.exp(mean_log + 0.5 * sd**2)
        return top + level * norm.sf((np.log(level) - mean_log) / sd)

    log1 = np.log(1000.0) + (drifts[:, None] - 0.5 * sigma**2) + sigma * z  # drift, node
    weight1 = prior[:, None] * w
    process = DiscreteDrift(1000.0, tuple(drifts), tuple(prior), sigma)
    belief = process.posterior(1.0, np.exp(log1))  # drift, node, posterior

    def last_year(plant):
        """Best profit of year 2 less what raising plant costs, for each D_1."""
        low, high = np.full(log1.shape, -12.0), np.full(log1.shape, 4.0)  # log of η·M_2 over D_1
        for _ in range(60):
            mid = 0.5 * (low + high)
            tail = sum(belief[..., j] * norm.sf((mid - m + 0.5 * sigma**2) / sigma) for j, m in enumerate(drifts))
            pays = eta * a * tail - holding > cost
            low, high = np.where(pays, mid, low), np.where(pays, high, mid)
        target = np.maximum(np.exp(log1 + low) / eta, plant)
        got = sum(belief[..., j] * served(eta * target, log1 + m - 0.5 * sigma**2, sigma) for j, m in enumerate(drifts))
        return a * got - holding * target - cost * (target - plant)

    def npv(plants):
        m0, m1 = np.exp(plants[0]), np.exp(plants[0]) + np.exp(plants[1])
        now = a * min(eta * m0, 1000.0) - holding * m0 - cost * m0
        one = prior @ [served(eta * m1, np.log(1000.0) + m - 0.5 * sigma**2, sigma) for m in drifts]
        next_year = a * one - holding * m1 - cost * (m1 - m0)
        unserved = min(merit.earth_cost, merit.shortage_cost)
        lost = unserved * sum(d**t * 1000.0 * (prior @ np.exp(drifts * t)) for t in range(3))
        return now + d * next_year + d**2 * float((weight1 * last_year(m1)).sum()) - lost

    best = max(
        -minimize(lambda x: -npv(x), start, method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-3}).fun
        for start in ([4.9, 2.0], [4.0, 4.0])
    )
    assert layers(case, drifts, prior).value == pytest.approx(best, rel=3e-5)


def test_numbers_of_the_contested_market():
    case = CONTESTED.replace(T=15, process=TWO)
    found = learning(case, studies=[1.0])
    # A first computation on a lattice had 81.8, 83.2, 70.9, 80.5 million $; lattices approach RP from below.
    assert found.learning.value / 1e6 == pytest.approx(82.263, abs=2e-3)
    assert found.known.value / 1e6 == pytest.approx(83.214, abs=1e-3)
    assert found.at_prior / 1e6 == pytest.approx(70.987, abs=1e-3)
    assert found.at_matched / 1e6 == pytest.approx(80.569, abs=1e-3)
    assert found.ignoring.value / 1e6 == pytest.approx(81.132, abs=1e-3)
    assert found.best_rate == pytest.approx(0.29, abs=2e-3)
    known = [threshold(CONTESTED.replace(T=15, mu=mu)).objective for mu in (0.0, 0.3)]
    assert found.known.value == pytest.approx(np.mean(known), rel=1e-9)
    coarse, fine = (lattice_dp(case, states=n) for n in (30, 100))
    assert coarse.objective < fine.objective < found.learning.value < 1.004 * fine.objective
    policy = fine.policy(name="lattice")
    mean = simulate(case, [policy], paths=20_000, seed=4).metrics["lattice"]["npv_mean"]
    assert mean.value < found.learning.value + 3 * mean.standard_error
    assert mean.value > found.learning.value - 4 * mean.standard_error
    data = found.to_dict()
    assert data["ignoring"] < data["learning"] < data["studies"][0]["value"] < data["known"]
    assert data["first_stage"]["known 0"]["dM1"] < data["first_stage"]["learning"]["dM1"]
    learning_figure(found)


def test_planning_with_a_wrong_rate_is_what_simulation_says():
    case = CONTESTED.replace(T=10, mu=0.05, M0=30.0, degradation=0.03)
    believed = BelievedRate(case, 0.2, np.array([0.05]), np.ones(1))
    assert believed.value(0.05) == pytest.approx(threshold(case).objective, rel=1e-10)
    for rate in (-0.1, 0.2):
        rule = believed.plan(rate).policy("rule", None).as_belief()
        mean = simulate(case, [rule], paths=40_000, seed=1).metrics["rule"]["npv_mean"]
        assert believed.value(rate) == pytest.approx(mean.value, abs=4 * mean.standard_error)
        assert believed.value(rate) < believed.value(0.05)


def test_a_study_is_a_prior_reweighted():
    """EVSI from the definition: for each outcome of the study another prior, and RP of that."""
    case, drifts, prior, n = CONTESTED.replace(T=4, process=TWO), np.array([0.0, 0.3]), np.array([0.3, 0.7]), 3.0
    sigma, rate = 0.2, np.array([0.0, 0.3]) - 0.02
    z, w = np.polynomial.hermite_e.hermegauss(48)
    total = 0.0
    for j in range(2):
        for node, share in zip(z, w / w.sum(), strict=True):
            if share < 1e-9:
                continue
            seen = rate[j] * n + sigma * np.sqrt(n) * node
            log = np.log(prior) - (seen - rate * n) ** 2 / (2 * sigma**2 * n)
            after = np.exp(log - log.max())
            total += prior[j] * share * layers(case, drifts, after / after.sum(), points=10).value
    assert layers(case, drifts, prior, studied=n, points=10).value == pytest.approx(total, rel=3e-6)


@pytest.mark.slow
def test_studies_are_worth_more_the_longer_and_end_at_evpi():
    found = learning(CONTESTED.replace(T=8, process=TWO), studies=[0.1, 1.0, 5.0, 100.0])
    evsi = [value.value for value in found.evsi.values()]
    assert all(np.diff(evsi) > 0)
    assert evsi[0] < 0.1 * found.evpi.value
    assert evsi[-1] == pytest.approx(found.evpi.value, abs=found.evpi.error)
    assert max(evsi) <= found.evpi.value + found.evpi.error


def test_a_prior_without_spread_leaves_nothing_to_learn():
    case = CONTESTED.replace(T=5, process={"kind": "unknown-drift", "prior_sd": 0.0})
    found = learning(case, studies=[])
    exact = threshold(CONTESTED.replace(T=5)).objective
    for value in (found.ignoring, found.known, found.learning):
        assert value.value == pytest.approx(exact, abs=value.error)
    assert found.best_rate == 0.2
    assert found.evpi.value <= found.evpi.error


def test_points_of_a_normal_prior_know_what_the_prior_knows():
    case = CONTESTED.replace(T=12, mu=0.1, process={"kind": "unknown-drift", "prior_sd": 0.05})
    volatility, drifts, weights = _prior(case, 3.0)
    own = DriftLayers(case, volatility, drifts, weights)
    process = UnknownDrift(1000.0, 0.1, 0.05, 0.2)
    assert weights @ np.exp(drifts * 12) == pytest.approx(np.exp(0.1 * 12 + 0.05**2 * 12**2 / 2), rel=1e-6)
    for t, x in ((1.0, 0.5), (6.0, -0.4), (12.0, 2.0)):
        belief = own._log_likelihood(t, np.array([x]))[0][0]
        mean, sd = process.posterior(t, 1000.0 * np.exp(x))
        assert belief @ drifts == pytest.approx(float(mean), abs=1e-6)
        assert np.sqrt(belief @ (drifts - mean) ** 2) == pytest.approx(float(sd), abs=1e-6)
        assert float(sd) == pytest.approx((1 / 0.05**2 + t / 0.2**2) ** -0.5)


def test_gauss_rule_of_a_prior_keeps_its_moments():
    rng = np.random.default_rng(1)
    drifts, weights = np.sort(rng.normal(0.1, 0.1, 40)), rng.dirichlet(np.ones(40))
    node, share = _fewer(drifts, weights, 12)
    for power in range(20):
        assert share @ node**power == pytest.approx(weights @ drifts**power, rel=1e-9)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--drifts", "0,0.3", "--weights", "0.5,0.6"], "weights: must be 2 numbers >= 0 that sum to 1"),
        (["--prior-sd", "0.5"], "demand.process.prior_sd: 0.5 multiplies the mean"),
        (["--drifts", "0,3", "--weights", "0.9999,0.0001"], "half of the mean of year 10 is that of rates"),
        ([], "demand.process: must have an unknown drift"),
        (["--drifts", "0,0.3", "--study", "0"], "studies: must be 0.1 to 200 years, got 0"),
        (["--prior-sd", "0.1", "--low", "0.3"], "give both"),
        (["--drifts", "0,0.3", "--prior-sd", "0.1"], "not both"),
        (["--weights", "1"], "weights: belong to --drifts"),
        (["--low", "0"], "low, high: belong to --prior-sd"),
    ],
)
def test_bad_priors_are_one_line(capsys, options, message):
    with pytest.raises(SystemExit) as end:
        main(["learning", "contested-market", *options])
    error = capsys.readouterr().err
    assert end.value.code == 2
    assert message in error
    assert error.count("\n") == 1


def test_what_is_not_exact_is_refused():
    for symbols in ({"earth_limit": 50.0}, {"lot": 20.0}):
        with pytest.raises(InputError, match=r"earth_limit|launch"):
            learning(CONTESTED.replace(T=3, process=TWO, **symbols))
    with pytest.raises(InputError, match="a study tells"):
        _ = layers(CONTESTED.replace(T=3), [0.1], [1.0], studied=1.0).deployments


def test_the_command(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as end:
        main(
            [
                *["learning", "contested-market", "--horizon", "4", "--drifts", "0,0.3", "--study", "2"],
                f"--json={tmp_path / 'l.json'}",
                f"--out={tmp_path / 'l'}",
            ]
        )
    assert end.value.code == 0
    assert "EVPI of the drift" in capsys.readouterr().out
    data = json.loads((tmp_path / "l.json").read_text())
    assert data["ignoring"] <= data["learning"] <= data["known"]
    assert data["of"] == "process"
    assert (tmp_path / "l" / "figures" / "learning.png").exists()
