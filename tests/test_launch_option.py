"""Orders while the price of launch falls: closed forms of calls and puts, certain timing, the studies' own plans."""

import numpy as np
import pytest

from stochisru.lunar.project import value_to_cost
from stochisru.lunar.tables.case import general_case
from stochisru.worked.literature.certain import worth
from stochisru.worked.literature.launch import (
    WAIT,
    LaunchOption,
    at_launch,
    launch_option,
    launch_paths,
    product_over_mass,
    sellers,
    threshold_map,
    thresholds,
    timings,
)
from stochisru.worked.literature.sources import cases, launch_markets, study_case, study_plan


@pytest.mark.parametrize(
    ("sigmas", "correlation", "printed"),
    [((0.2, 0.15), 0.0, 3.297), ((0.2, 0.15), 0.5, 2.896), ((0.2, 0.0), 0.0, 2.306)],
)
def test_value_and_cost_that_both_move(sigmas, correlation, printed):
    """McDonald and Siegel 1986: the cost is the numeraire, so rates are less its drift and σ is that of the ratio."""
    value, cost = sigmas
    sigma = np.sqrt(value**2 + cost**2 - 2 * correlation * value * cost)
    rho, drift, fall = 0.08, 0.03, -0.04 if cost else 0.0
    assert value_to_cost(rho - fall, drift - fall, sigma) == pytest.approx(printed, abs=5e-4)


@pytest.mark.parametrize("slope", [300.0, -100.0])
@pytest.mark.parametrize("sigma", [0.1, 0.2])
def test_the_trigger_is_that_of_a_perpetual_option(slope, sigma):
    """Short steps, far last year; who decides every dt stops at a price nearer by exp(0.5826 σ √dt)."""
    fixed, rate, drift, step = (-200.0 if slope > 0 else 80.0), 0.10, -0.05, 0.125
    option = LaunchOption(fixed, slope, rate, drift, sigma, years=50, step=step)
    rho, sign = np.log1p(rate), np.sign(slope)
    half = 0.5 - drift / sigma**2
    beta = half + sign * np.sqrt(half**2 + 2 * rho / sigma**2)
    perpetual = beta / (beta - 1) * -fixed / slope
    found = option.trigger(0)
    assert found == pytest.approx(perpetual * np.exp(-sign * 0.5826 * sigma * np.sqrt(step)), rel=0.006)
    if (1 - perpetual) * sign < 0:
        expected = (fixed + slope * perpetual) * (1 / perpetual) ** beta
        assert option.value == pytest.approx(expected, rel=0.02)
        assert not option.order_now


@pytest.mark.parametrize("market", ["small", "middle", "large"])
def test_a_certain_fall_is_waited_for_as_in_closed_form(market):
    """A put waits until X = ρa/((ρ − μ)(−b)); a call whose price falls is taken now or never."""
    moving = launch_markets()[market]
    put = launch_option("kornuta-2019-moon", moving, 0.0, with_sales=False)
    rho = np.log1p(put.rate)
    year = np.log(rho * put.fixed / ((rho - put.drift) * -put.slope)) / put.drift
    chance, ordered = put.order
    assert chance == 1
    assert abs(ordered - year) < 1
    t = np.arange(31)
    by_year = (1 + put.rate) ** -t * (put.fixed + put.slope * (1 + moving.fall) ** t)
    assert ordered == by_year.argmax()
    assert put.value == pytest.approx(by_year.max())
    call = launch_option("kornuta-2019-all", moving, 0.0, with_sales=True)
    assert (call.slope > 0, call.order) == (True, (1.0, 0.0))
    never = launch_option("kornuta-2019-moon", moving, 0.0, with_sales=True)
    assert (never.value, never.order) == (0.0, (0.0, None))


def test_worth_is_affine_in_the_price_of_launch_whenever_the_order_comes():
    """At the study's own prices it is the study, at a third of launch a point of the line; later orders are a shift."""
    market = launch_markets()["small"]
    for name, with_sales in (("kornuta-2019-moon-eml1", True), ("sowers-2020-mars", False)):
        option, case, plan = launch_option(name, market, 0.1, with_sales), study_case(name), study_plan(name)
        third = worth(at_launch(case, 1 / 3, market.fall, with_sales), plan)
        assert third == pytest.approx(option.fixed + option.slope / 3, rel=1e-6)
        assert worth(at_launch(case, 1.0, 0.0, with_sales), plan) == pytest.approx(worth(case, plan), rel=1e-9)
    for row in launch_paths():  # one plant in the calendar of the launch prices, ordered now and later
        market = next(each for each in launch_markets().values() if each.price == row["final"])
        option = launch_option("metzger-2023", market, 0.0, with_sales=True)
        assert option.now == pytest.approx(row["now"], rel=1e-6)
        later = option.fixed + option.slope * (1 + market.fall) ** WAIT
        assert later / (1 + option.rate) ** WAIT == pytest.approx(row["waited"], rel=1e-6)


def test_the_rule_earns_the_value_of_the_option_on_fresh_paths():
    option = launch_option("sowers-2020-commercial", launch_markets()["small"], 0.2, with_sales=False)
    rng = np.random.default_rng(np.random.SeedSequence(11))
    steps = option.drift - 0.02 + 0.2 * rng.standard_normal((20_000, 30))
    price = np.exp(np.concatenate([np.zeros((20_000, 1)), steps.cumsum(axis=1)], axis=1))
    trigger = np.array([option.trigger(t) for t in range(31)])
    reached = price <= trigger
    year = np.where(reached.any(axis=1), reached.argmax(axis=1), -1)
    last = np.maximum(year, 0)
    earned = (option.fixed + option.slope * price[np.arange(20_000), last]) * (1 + option.rate) ** -last.astype(float)
    earned = np.where(year < 0, 0.0, earned)
    error = earned.std(ddof=1) / np.sqrt(20_000)
    assert abs(earned.mean() - option.value) < 4 * error
    chance, mean_year = option.order
    assert (year >= 0).mean() == pytest.approx(chance, abs=0.01)
    assert year[year >= 0].mean() == pytest.approx(mean_year, abs=0.2)


def test_metzgers_threshold_is_a_contour():
    """NPV is 0 on a hyperbola through about 35 at a gear of 10, and has the sign of the case itself beside it."""
    found = thresholds()[0]["threshold"]
    assert found == pytest.approx(35, abs=0.5)
    at = threshold_map(np.array([found, 2 * found, found]), np.array([10.0, 5.0]))
    size = -threshold_map(np.zeros(1), np.ones(1))[0, 0]
    assert at[0, 0] == pytest.approx(0, abs=1e-6 * size)
    assert at[1, 1] == pytest.approx(0, abs=1e-6 * size)
    assert at[0, 1] > 0 > at[1, 2]
    case, plan = study_case("metzger-2023"), study_plan("metzger-2023")
    data = case.to_dict()
    data["technology"]["eta"] *= 0.3
    for tier in data["customers"]:
        tier["quantity"] *= 0.3
        tier["price"] *= 0.7
    by_hand = worth(general_case(data), plan)
    ours = threshold_map(np.array([0.3 * product_over_mass("metzger-2023")]), np.array([7.0]))[0, 0]
    assert ours == pytest.approx(by_hand, rel=1e-6)
    assert product_over_mass("kornuta-2019-all") == pytest.approx(1640 / 30 * 10, rel=1e-6)


def test_rows_of_the_study():
    names = [name for name in cases() if name not in sellers(cases())]
    assert all(name.startswith("jones-hw") for name in names)
    rows = timings(["kornuta-2019-moon", "jones-hw-2021-100"])
    assert len(rows) == 3 * 2 * 3
    for row in rows:
        assert row["value"] >= max(0.0, row["now"]) - 1e-6
        assert row["order_now"] is False  # the printed NPV is negative
    waited = {(row["market"], row["volatility"]): row["mean_year"] for row in rows if row["sales"] == "study's price"}
    assert waited["small", 0.0] > waited["middle", 0.0] > waited["large", 0.0]
