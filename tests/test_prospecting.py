"""Surveys of a deposit: a brute-force program, the exact policy, limits, monotony, the cut-off from its definition."""

import json

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import norm

from stochisru import InputError, load_case, threshold
from stochisru.cli.main import main
from stochisru.lunar.exact.unknown_yield import UnknownYield
from stochisru.lunar.operations import MeritOrder
from stochisru.lunar.studies import survey
from stochisru.lunar.studies.knowledge_figures import survey_figure

CONTESTED = load_case("contested-market")


@pytest.mark.parametrize(
    "symbols", [{}, {"lead_time": 2}, {"lead_time": 0}, {"degradation": 0.1, "M0": 40.0}, {"lead_time": 6}], ids=str
)
def test_one_yield_is_the_exact_policy(symbols):
    case = CONTESTED.replace(T=5, **symbols)
    exact = threshold(case).objective
    problem = UnknownYield(case, np.array([1.0, 2.0]))
    sure = np.array([1.0, 0.0])
    assert problem.value_known()[0] == pytest.approx(exact, rel=1e-9)
    assert problem.never_seen(sure)[0] == pytest.approx(exact, rel=1e-9)
    assert problem.with_pilot(sure, 1e-9, 1)[0] == pytest.approx(exact, rel=1e-7)


@pytest.mark.parametrize("seen", [True, False])
def test_two_years_against_a_program_by_scipy(seen):
    """T = 2, L = 1, two yields: ΔM_0, ΔM_1, and what plant is raised to in year 1, with the yield seen or not."""
    case = CONTESTED.replace(T=2, c_dev=1000.0, c_L=1000.0)
    merit, cost, sigma, mu = MeritOrder.of(case), case.investment_cost, 0.2, 0.2
    eta, prior = case.technology.eta * np.array([0.5, 1.5]), np.array([0.4, 0.6])
    a, holding, d = merit.against_alternative, case.costs.c_op, 1 / 1.08
    z, w = np.polynomial.hermite_e.hermegauss(60)
    w = w / w.sum()
    D1 = 1000.0 * np.exp(mu - 0.5 * sigma**2 + sigma * z)

    def served(level, start):
        middle, level = np.log(start) + mu - 0.5 * sigma**2, np.maximum(level, 1e-12)
        u = (np.log(level) - middle) / sigma
        return norm.cdf(u - sigma) * np.exp(middle + 0.5 * sigma**2) + level * norm.sf(u)

    def raised(plant, etas, share):
        """Year 2: raise plant where the mean margin of a kilogram over yields exceeds its cost."""
        low, high = np.full(D1.size, 1e-9), np.full(D1.size, 5000.0)
        for _ in range(70):
            mid = 0.5 * (low + high)
            tail = [norm.sf((np.log(e * mid / D1) - mu + 0.5 * sigma**2) / sigma) for e in etas]
            pays = sum(p * e * a * q for p, e, q in zip(share, etas, tail, strict=True)) - holding > cost
            low, high = np.where(pays, mid, low), np.where(pays, high, mid)
        target = np.maximum(low, plant)
        got = sum(p * served(e * target, D1) for p, e in zip(share, etas, strict=True))
        return w @ (a * got - holding * target - cost * (target - plant))

    def npv(x):
        m0, m1 = x[0], x[0] + x[1]
        if min(x) < 0:
            return -1e12
        now = a * (prior @ np.minimum(eta * m0, 1000.0)) - holding * m0 - cost * m0
        one = a * (prior @ served(eta * m1, 1000.0)) - holding * m1 - cost * x[1]
        last = prior @ [raised(m1, [e], [1.0]) for e in eta] if seen else raised(m1, eta, prior)
        lost = sum(d**t * 1000.0 * np.exp(mu * t) for t in range(3)) * min(merit.earth_cost, merit.shortage_cost)
        return now + d * one + d**2 * last - lost

    starts = ([100.0, 50.0], [250.0, 20.0], [20.0, 100.0])
    options = {"xatol": 1e-5, "fatol": 1e-2, "maxiter": 2000}
    best = max(-minimize(lambda x: -npv(x), x0, method="Nelder-Mead", options=options).fun for x0 in starts)
    problem = UnknownYield(case, np.array([0.5, 1.5]))
    found = problem.with_pilot(prior, 1e-6, 1) if seen else problem.never_seen(prior)
    assert found[0] == pytest.approx(best, rel=1e-5)


@pytest.mark.slow
def test_accuracy_from_nothing_to_everything():
    found = survey(CONTESTED.replace(T=6), 0.5, accuracies=[0.0, 0.02, 0.3, 0.6, 0.95, 1.0], cost=1e5)
    worth = list(found.worth.values())
    assert worth[0] == 0.0
    assert all(np.diff(worth) > 0)
    assert worth[1] < 0.1 * found.evpi
    assert worth[-1] == found.evpi > 0
    rows = found.to_rows()
    assert [row["pays"] for row in rows] == [row["worth"] > 1e5 for row in rows]
    assert found.unsurveyed.pilots
    assert found.unsurveyed.with_pilot > found.unsurveyed.without_pilot
    assert found.nothing < found.unsurveyed.value < found.known
    assert len(survey_figure(found).axes) == 1


def test_evpi_is_the_mean_of_exact_policies():
    case = CONTESTED.replace(T=4)
    found = survey(case, 0.3, accuracies=[])
    z, w = np.polynomial.hermite_e.hermegauss(24)
    by_yield = [threshold(case.replace(eta=case.technology.eta * np.exp(0.3 * x - 0.045))).objective for x in z]
    assert found.known == pytest.approx(w @ by_yield / w.sum(), rel=1e-3)


def test_little_spread_leaves_little_to_find():
    found = survey(CONTESTED.replace(T=4), 0.01, accuracies=[1.0])
    exact = threshold(CONTESTED.replace(T=4)).objective
    assert found.known == pytest.approx(exact, rel=1e-3)
    # Of first order in the spread: demand of year 0 is known, and plant for exactly that is a kink.
    assert found.evpi < 3e-3 * abs(exact)


def test_the_cut_off_is_where_the_exact_policy_begins_to_deploy():
    case = CONTESTED.replace(T=8, degradation=0.05, c_S=10.0)
    found = survey(case, 0.3, accuracies=[])
    for share, deploys in ((0.99, False), (1.01, True)):
        plan = threshold(case.replace(eta=case.technology.eta * found.cut_off * share)).plan
        assert bool(plan.root.any() or plan.position.any()) is deploys
        plan = threshold(case.replace(eta=case.technology.eta * found.cut_off_now * share)).plan
        assert bool(plan.root.any()) is deploys


def test_without_year_0_there_is_no_pilot():
    found = survey(CONTESTED.replace(T=4, initial_deployment="fixed"), 0.3, accuracies=[0.5])
    assert not found.unsurveyed.pilots
    assert found.to_dict()["unsurveyed"]["with_pilot"] is None
    assert found.worth[0.5] <= found.evpi


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--spread=0"], "spread: must be > 0 and at most 1.5"),
        (["--accuracy=0.97"], "accuracies: must be 0 to 0.95, or 1, got 0.97"),
        (["--accuracy=-0.1"], "accuracies: must be"),
        (["--accuracy=x"], "accuracy: must be numbers"),
        (["--cost=-1"], "cost: must be a finite number >= 0"),
        (["--pilot=0"], "pilot: must be a finite number > 0"),
    ],
)
def test_bad_options_are_one_line(capsys, options, message):
    with pytest.raises(SystemExit) as end:
        main(["survey", "contested-market", *options])
    error = capsys.readouterr().err
    assert end.value.code == 2
    assert message in error
    assert error.count("\n") == 1


def test_what_is_not_exact_is_refused():
    with pytest.raises(InputError, match="earth_limit"):
        survey(CONTESTED.replace(earth_limit=10.0), 0.3)
    with pytest.raises(InputError, match="process"):
        survey(CONTESTED.replace(process={"kind": "unknown-drift", "prior_sd": 0.02}), 0.3)


def test_the_command(capsys, tmp_path):
    target = tmp_path / "s.json"
    with pytest.raises(SystemExit) as end:
        main(["survey", "contested-market", "--horizon=3", "--accuracy=0.5,1", "--cost=1000", f"--json={target}"])
    assert end.value.code == 0
    assert "cut-off grade" in capsys.readouterr().out
    data = json.loads(target.read_text())
    assert [row["accuracy"] for row in data["surveys"]] == [0.5, 1.0]
    assert data["surveys"][1]["worth"] == data["evpi"]
