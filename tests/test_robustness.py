"""Curves of robustness: balls against the nested optimum, boxes against exact policies and simulation; the command."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest

from stochisru import InputError, load_case, simulate, threshold
from stochisru.lunar.exact.lattice_dp import lattice_dp
from stochisru.lunar.exact.nested_dp import nested_dp
from stochisru.lunar.exact.policy_value import policy_value
from stochisru.lunar.strategies.order_up_to import OrderUpTo
from stochisru.lunar.studies import robust_ball, robust_box
from stochisru.lunar.trees import case_lattice
from stochisru.methods.risk import ChiSquareBall, WorstCase

CASE = load_case("contested-market").replace(T=4)
CHANGES = [{}, {"lead_time": 0, "c_S": 20.0}, {"lead_time": 2, "degradation": 0.1}, {"lead_time": 9}]


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_the_value_of_the_best_policy_is_the_optimum(change):
    case = CASE.replace(**change)
    best = threshold(case)
    value, error = policy_value(case, best.policy())
    assert value == pytest.approx(best.objective, rel=1e-12)
    assert error < 1e-3


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_the_value_of_a_policy_on_another_process_is_that_of_simulation(change):
    """Beliefs far off, so that positions lie outside the range in which the true demand decides."""
    case = CASE.replace(**change)
    never = OrderUpTo("never", (0.0,) * len(threshold(case).plan.root), (0.0,) * threshold(case).plan.position.size)
    beliefs = [
        threshold(case.replace(mu=m, sigma=s)).policy(name="plan").as_belief() for m, s in ((0.4, 0.1), (0, 0.5))
    ]
    for truth in ({"mu": 0.1, "sigma": 0.3}, {"mu": 0.3, "sigma": 0.02}, {"mu": 0.2, "sigma": 0.0}):
        here = case.replace(**truth)
        for policy in (*beliefs, never):
            value, error = policy_value(here, policy)
            found = simulate(here, [policy], paths=4000, sampler="antithetic", confidence=0.9999).metrics[policy.name]
            mean = found["npv_mean"]
            room = error + 1e-9 * abs(value) + (0.0 if mean.lower == mean.lower else np.inf)
            assert mean.lower - room <= value <= mean.upper + room
            assert value <= threshold(here).objective + error + 1e-6


def test_a_policy_of_another_horizon_or_tiny_volatility_is_refused():
    policy = threshold(CASE.replace(T=5)).policy().as_belief()
    with pytest.raises(InputError, match="made for 2 root deployments and 4 later orders"):
        policy_value(CASE, policy)
    own = threshold(CASE).policy().as_belief()
    with pytest.raises(InputError, match="sigma: must be 0 or large enough for tables of a policy's value, got 1e-09"):
        policy_value(CASE.replace(sigma=1e-9), own)


@pytest.mark.parametrize("ball", ["chi-square", "wasserstein"])
def test_the_curve_of_a_ball(ball):
    lattice = case_lattice(CASE, 6)
    study = robust_ball(CASE, ball, [0.0, 0.05, 0.5, 1e9], states=6)
    best = lattice_dp(CASE, lattice).objective
    first, *_, last = study.rows
    assert study.of == "lattice"
    assert study.rp == pytest.approx(best, rel=1e-12)
    assert first["guaranteed"] == pytest.approx(best, rel=1e-9)
    assert first["price"] == pytest.approx(0.0, abs=1e-6)
    worst = nested_dp(CASE, lattice, risk=WorstCase())
    assert last["guaranteed"] == pytest.approx(worst.objective, rel=1e-9)
    for less, more in pairwise(study.rows):
        assert more["guaranteed"] <= less["ceiling"]
        assert more["guaranteed"] < more["nominal"]
    for row in study.rows:
        assert 0 <= row["ceiling"] - row["guaranteed"] <= 1e-3 * abs(best)
        assert -1e-6 <= row["price"] == pytest.approx(best - row["nominal"])


def test_balls_of_modules_and_of_long_lead_times():
    modules = robust_ball(CASE.replace(lot=50.0), "chi-square", [0.0, 0.3], states=5)
    row = modules.rows[1]
    same = nested_dp(CASE.replace(lot=50.0), case_lattice(CASE, 5), risk=ChiSquareBall(0.3))
    assert row["guaranteed"] == pytest.approx(same.objective, rel=1e-12)
    assert row["ceiling"] == pytest.approx(row["guaranteed"], rel=1e-9)
    assert row["dM0"] % 50 == row["dM1"] % 50 == 0
    long = robust_ball(CASE.replace(T=3, lead_time=2), "chi-square", [0.0, 0.3], states=3)
    assert long.rows[1]["nominal_lower"] < long.rows[1]["nominal"] < long.rows[1]["nominal_upper"]
    assert long.rows[1]["guaranteed"] < long.rows[0]["guaranteed"]
    with pytest.raises(InputError, match=r"launch.lot: a nested risk measure takes costs that are linear"):
        robust_ball(CASE.replace(fixed_cost=1e6), "chi-square", [0.1])


def test_the_curve_of_a_box():
    study = robust_box(CASE, mu=(0.05, 0.3), sigma=(0.1, 0.4), sizes=(0.0, 0.5, 1.0))
    first, half, whole = study.rows
    best = threshold(CASE).objective
    assert study.of == "process"
    assert study.rp == pytest.approx(best, rel=1e-12)
    assert first["guaranteed"] == first["ceiling"] == pytest.approx(best, rel=1e-12)
    assert first["price"] == pytest.approx(0.0, abs=1e-3)
    assert (whole["mu_low"], whole["mu_high"], half["mu_low"]) == pytest.approx((0.05, 0.3, 0.125))
    for less, more in pairwise(study.rows):
        assert more["guaranteed"] < less["guaranteed"]
        assert more["unprepared"] <= more["guaranteed"] <= more["ceiling"]
        assert more["price"] >= -1e-3
        assert more["price"] == pytest.approx(best - more["nominal"], abs=1e-3)
    # By hand: every plan of the nominal point and all corners, at worst over the nominal point and four corners.
    corners = [(m, s) for m in (0.05, 0.3) for s in (0.1, 0.4)]
    inner = [(m, s) for m in (0.125, 0.25) for s in (0.15, 0.3)]
    cases = [CASE.replace(mu=m, sigma=s) for m, s in [(0.2, 0.2), *corners]]
    plans = [threshold(CASE.replace(mu=m, sigma=s)).policy().as_belief() for m, s in [(0.2, 0.2), *corners, *inner]]
    at_worst = [min(policy_value(case, plan)[0] for case in cases) for plan in plans]
    assert whole["guaranteed"] == pytest.approx(max(at_worst), rel=1e-12)
    assert whole["unprepared"] == pytest.approx(at_worst[0], rel=1e-12)
    assert whole["ceiling"] == pytest.approx(min(threshold(case).objective for case in cases), rel=1e-12)
    assert whole["guaranteed"] > whole["unprepared"]


def test_a_plan_that_meets_the_ceiling_is_best_of_all():
    """Over ten years least growth and most volatility are worst for the plan that is best for them."""
    row = robust_box(CASE.replace(T=10), mu=(0.1, 0.3), sigma=(0.1, 0.3), sizes=(1.0,)).rows[0]
    assert (row["worst_mu"], row["worst_sigma"]) == (row["plan_mu"], row["plan_sigma"]) == (0.1, 0.3)
    assert row["guaranteed"] == pytest.approx(row["ceiling"], rel=1e-9)
    assert row["price"] > 1e6


def test_a_box_without_an_exact_policy_is_simulated_on_common_paths():
    case = CASE.replace(T=3, earth_limit=300.0)
    study = robust_box(case, mu=(0.05, 0.3), sizes=(0.0, 1.0), paths=2000)
    calm, whole = study.rows
    assert calm["price"] == calm["price_lower"] == 0.0
    assert whole["ceiling"] is None
    assert whole["price_lower"] <= whole["price"] <= whole["price_upper"]
    assert whole["price_upper"] - whole["price_lower"] < whole["nominal_upper"] - whole["nominal_lower"]
    assert whole["guaranteed"] < calm["guaranteed"]
    again = robust_box(case, mu=(0.05, 0.3), sizes=(0.0, 1.0), paths=2000)
    assert again.rows == study.rows
    modules = robust_box(case.replace(lot=50.0), mu=(0.1, 0.3), sizes=(1.0,), paths=500)
    assert modules.rows[0]["dM1"] % 50 == 0


def test_the_command(run_cli, tmp_path):
    call = ("robustness", "contested-market", "--horizon", "3")
    run_cli(*call, "--ball", "chi-square", "--radii", "0,0.2", "--states", "5", "--json", "b.json", check=0)
    rows = json.loads((tmp_path / "b.json").read_text())
    assert [row["size"] for row in rows] == [0, 0.2]
    assert {"guaranteed", "ceiling", "nominal", "price", "rp", "of", "dM0", "dM1"} <= rows[0].keys()
    box = ("--mu", "0.1,0.3", "--sizes", "0,1")
    done = run_cli(*call, *box, "--out", "folder", check=0, env={"COLUMNS": "80"})
    assert "Worst are mu = 0.3 and sigma = 0.2." in done.stdout  # plans are short of what Earth then serves
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert (tmp_path / "folder" / "figures" / "robustness.png").stat().st_size > 0
    assert (tmp_path / "folder" / "tables" / "robustness.csv").exists()


def test_bad_input_of_the_command_is_one_line(run_cli):
    for words, message in (
        (("--ball", "kl"), "ball: must be chi-square or wasserstein, got 'kl'"),
        (("--ball", "chi-square", "--radii", "0.2,0.1"), "radii: must be ascending finite numbers >= 0, got 0.2, 0.1"),
        (("--ball", "chi-square", "--mu", "0.1,0.3"), "mu: belongs to a box, without --ball"),
        (("--mu", "0.1,0.3", "--radii", "0"), "radii: belongs to a ball, as in --ball chi-square"),
        ((), "mu, sigma: at least one needs a range, as in 0.1,0.3"),
        (("--mu", "0.3,0.4"), "mu: the box must hold the case's own 0.2, got 0.3 to 0.4"),
        (("--mu", "0.1"), "mu: must be the two ends of the box, as in 0.1,0.3, got '0.1'"),
        (("--sigma", "-0.1,0.3"), "demand.sigma: must be a finite number >= 0 and <= 5, got -0.1"),
        (("--mu", "0.1,0.3", "--points", "1"), "points: must be an integer >= 2, got 1"),
        (("--mu", "0.1,0.3", "--sizes", "0,2"), "sizes: must be ascending numbers in [0, 1], got 0, 2"),
    ):
        done = run_cli("robustness", "contested-market", *words, check=2)
        assert done.stderr.strip() == f"error: {message}"
    jumps = CASE.replace(process={"kind": "jumps", "jumps": [{"rate": 0.05, "size": -1.0}]})
    with pytest.raises(InputError, match=r"demand\.process: a box of mu and sigma needs a geometric Brownian motion"):
        robust_box(jumps, mu=(0.1, 0.3))
    curve = robust_ball(jumps.replace(T=2), "wasserstein", [0.0, 0.5], states=5)  # any process has a lattice
    assert curve.rows[1]["guaranteed"] < curve.rows[0]["guaranteed"]
