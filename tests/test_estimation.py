"""Calibration of the family: closed forms, enumeration and recovery as oracles."""

from itertools import pairwise, product

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from scenario_trees import (
    GeometricBrownianMotion,
    Jump,
    JumpDiffusion,
    MeanReverting,
    RegimeSwitching,
    SaturatingGrowth,
    TreeError,
    UnknownDrift,
    compare_processes,
    drift_prior,
    estimate,
    history,
)
from scenario_trees.estimation import _likelihood

TRUE = {
    "jumps": (JumpDiffusion(1.0, 0.15, 0.1, (Jump(0.2, -0.4, 0.1),)), 250),
    "mean-reverting": (MeanReverting(1.0, 2.0, 0.4, 0.2), 150),
    "regimes": (RegimeSwitching(1.0, (0.2, -0.15), (0.08, 0.2), ((0.9, 0.1), (0.2, 0.8))), 250),
    "saturating": (SaturatingGrowth(1.0, 20.0, 0.5, 0.1), 60),
}
MEANT = {
    "jumps": {"drift": 0.15, "volatility": 0.1, "rate": 0.2, "size": -0.4, "spread": 0.1},
    "mean-reverting": {"level": 2.0, "reversion": 0.4, "volatility": 0.2},
    "regimes": {
        "drift_0": 0.2,
        "drift_1": -0.15,
        "volatility_0": 0.08,
        "volatility_1": 0.2,
        "stay_0": 0.9,
        "stay_1": 0.8,
    },
    "saturating": {"capacity": 20.0, "imitation": 0.5, "volatility": 0.1},
}


def drawn(kind, seed=2):
    process, steps = TRUE[kind]
    return process.sample(1, steps, seed=seed)[:, 0]


def thinned(values, seed=0):
    """A third of the values missing, and the lengths of the steps between the others."""
    kept = np.random.default_rng(seed).choice(np.arange(1, values.size - 1), size=2 * values.size // 3, replace=False)
    kept = np.sort(np.concatenate([[0], kept, [values.size - 1]]))
    return values[kept], np.diff(kept).astype(float)


def test_a_geometric_brownian_motion_is_that_of_the_closed_form():
    values, dt = thinned(GeometricBrownianMotion(1.0, 0.1, 0.2).sample(1, 60, seed=4)[:, 0])
    found, closed = estimate("gbm", values, dt), GeometricBrownianMotion.fit(values, dt)
    assert found.process.drift == pytest.approx(closed.process.drift, rel=1e-5)
    assert found.process.volatility == pytest.approx(closed.process.volatility, rel=1e-5)
    assert found.standard_errors["drift"] == pytest.approx(closed.drift_se, rel=1e-3)
    assert found.standard_errors["volatility"] == pytest.approx(closed.volatility_se, rel=1e-3)
    assert np.allclose(found.standardised, closed.standardised, atol=1e-4)
    by_hand = stats.norm.logpdf(
        np.diff(np.log(values)),
        (closed.process.drift - closed.process.volatility**2 / 2) * dt,
        closed.process.volatility * np.sqrt(dt),
    ).sum()
    assert found.log_likelihood == pytest.approx(by_hand, rel=1e-9)
    assert found.aic == pytest.approx(4 - 2 * by_hand)
    assert found.bic == pytest.approx(2 * np.log(dt.size) - 2 * by_hand)


def test_mean_reversion_of_even_steps_is_a_regression():
    values = drawn("mean-reverting")
    y = np.log(values)
    slope, cut = np.polyfit(y[:-1], y[1:], 1)
    variance = ((y[1:] - cut - slope * y[:-1]) ** 2).mean()
    kappa = -np.log(slope)
    sigma2 = variance * 2 * kappa / (1 - slope**2)
    level = np.exp(cut / (1 - slope) + sigma2 / (2 * kappa))
    found = estimate("mean-reverting", values)
    assert found.estimates["reversion"] == pytest.approx(kappa, rel=1e-4)
    assert found.estimates["volatility"] == pytest.approx(np.sqrt(sigma2), rel=1e-4)
    assert found.estimates["level"] == pytest.approx(level, rel=1e-4)


def test_likelihood_of_regimes_is_the_sum_over_all_their_histories():
    process = RegimeSwitching(1.0, (0.2, -0.1), (0.1, 0.3), ((0.9, 0.1), (0.3, 0.7)))
    P, stationary = np.array(process.switching), np.array([0.75, 0.25])
    y = np.log(process.sample(1, 6, seed=1)[:, 0])
    mu, sigma = np.array(process.drifts), np.array(process.volatilities)
    for kept in (np.arange(7), np.array([0, 1, 3, 6])):  # with gaps of two and three years
        total = 0.0
        for regimes in product(range(2), repeat=6):
            chance = stationary[regimes[0]] * np.prod([P[i, j] for i, j in pairwise(regimes)])
            for first, last in pairwise(kept):
                own = list(regimes[first:last])
                middle, spread = (mu - sigma**2 / 2)[own].sum(), np.sqrt((sigma**2)[own].sum())
                chance *= stats.norm.pdf(y[last] - y[first], middle, spread)
            total += chance
        found, residuals = _likelihood(process, np.exp(y[kept]), kept.astype(float))
        assert found == pytest.approx(np.log(total), rel=1e-9)
        assert residuals.shape == (kept.size - 1,)


@pytest.mark.parametrize("kind", TRUE)
@pytest.mark.parametrize("gaps", [False, True])
def test_what_is_true_is_found_within_its_errors(kind, gaps):
    values, dt = thinned(drawn(kind)) if gaps else (drawn(kind), None)
    found = estimate(kind, values, dt)
    for name, meant in MEANT[kind].items():
        assert abs(found.estimates[name] - meant) < 4 * found.standard_errors[name] + 1e-3, name
    times = np.arange(values.size) * 1.0 if dt is None else np.cumsum(np.append(0.0, dt))
    assert found.log_likelihood >= _likelihood(TRUE[kind][0], values, times)[0]
    assert found.process.initial == values[-1]
    assert found.normality.p_value > 0.001
    assert found.autocorrelation.p_value > 0.001
    assert list(found.to_frame().index) == list(MEANT[kind])


@pytest.mark.parametrize("kind", ["jumps", "mean-reverting", "regimes"])
def test_the_true_member_is_the_best_of_all(kind):
    table = compare_processes(drawn(kind), kinds=("gbm", kind))
    assert table.index[0] == kind
    assert table.loc[kind, "bic"] < table.loc["gbm", "bic"] - 10


def test_dated_series_and_too_short_ones():
    seen = [300, 348, 419, 530, 572, 1615, 1962, 2799, 3688, 4422, 4548, 4078]
    series = pd.Series(seen, index=[2010, 2011, 2012, 2013, 2014, *range(2016, 2023)])
    table = compare_processes(series)
    assert table.loc["regimes", "reason"] == "series: regimes has 6 parameters and needs 12 steps, got 11"
    assert np.isfinite(table.drop(index="regimes")["bic"].astype(float)).all()
    plain = estimate("gbm", np.array(seen, dtype=float), [1, 1, 1, 1, 2, *[1] * 6])
    assert estimate("gbm", series).estimates == pytest.approx(plain.estimates)


def test_what_an_estimate_leaves_open_is_a_prior():
    found = GeometricBrownianMotion.fit([1.0, 1.2, 1.3, 1.7, 1.9])
    assert drift_prior(found) == UnknownDrift(1.9, found.process.drift, found.drift_se, found.process.volatility)
    repeated = history([1.0, 1.2, 1.5, 1.2], block=2.0)
    assert repeated.factors == pytest.approx((1.2, 1.25, 0.8))
    assert (repeated.initial, repeated.block, repeated.period) == (1.2, 2.0, 1.0)


@pytest.mark.parametrize(
    "call, message",
    [
        (
            lambda: estimate("levy", [1, 2, 3, 4]),
            r"^kind: must be one of gbm, jumps, mean-reverting, regimes, saturating",
        ),
        (lambda: estimate("gbm", [1, 2, 3]), r"^series: needs at least 4 values \(3 steps\), got 3"),
        (
            lambda: estimate("gbm", [1, 2, 0, 3, 4]),
            r"^series: every value must be > 0 and finite, got 0.0 at position 2",
        ),
        (
            lambda: estimate("mean-reverting", [1, 2, -3, 4, 5]),
            r"^series: every value must be > 0 and finite, got -3.0",
        ),
        (lambda: estimate("jumps", [1, 2, 3, 4, 5]), r"^series: jumps has 5 parameters and needs 10 steps, got 4"),
        (lambda: estimate("regimes", np.arange(1, 20), 0.5), r"^series: regimes change once a unit of time, .*got 0.5"),
        (
            lambda: history(pd.Series([1.0, 2, 3, 4, 5], index=[1, 2, 3, 5, 6])),
            r"^series: history needs steps of one length",
        ),
        (lambda: compare_processes([1, 2, 3]), r"^series: needs at least 4 values"),
    ],
)
def test_bad_series_are_one_line(call, message):
    with pytest.raises(TreeError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("seed", [0, 4, 11])
def test_a_regime_without_volatility_does_not_win(seed):
    """Of these twelve steps of a geometric Brownian motion an unbounded likelihood of regimes was e^9 times as high."""
    values = GeometricBrownianMotion(1.0, 0.1, 0.2).sample(1, 12, seed=seed)[:, 0]
    table = compare_processes(values, kinds=("gbm", "regimes"))
    assert table.loc["gbm", "bic"] - table.loc["regimes", "bic"] < 6
    found = estimate("regimes", values)
    ratio = found.estimates["volatility_0"] / found.estimates["volatility_1"]
    assert 0.1 * (1 - 1e-9) <= ratio <= 10 * (1 + 1e-9)


def test_a_flat_direction_is_said_and_no_crash():
    values = GeometricBrownianMotion(1.0, 0.1, 0.2).sample(1, 30, seed=12)[:, 0]  # its information was singular
    found = {kind: estimate(kind, values) for kind in ("jumps", "mean-reverting", "regimes", "saturating")}
    for fit in found.values():
        assert fit.identified == bool(np.isfinite(list(fit.standard_errors.values())).all())
    assert not found["jumps"].identified
    assert np.isnan(found["jumps"].interval("rate")).all()
    with pytest.raises(TreeError, match="likelihood of jumps has a flat direction"):
        found["jumps"].draws(10, 0)


def test_three_steps_are_enough_for_a_geometric_brownian_motion_alone():
    assert estimate("gbm", [1.0, 1.2, 1.1, 1.5]).steps == 3
    with pytest.raises(TreeError, match="mean-reverting has 3 parameters and needs 6 steps, got 3"):
        estimate("mean-reverting", [1.0, 1.2, 1.1, 1.5])
    with pytest.raises(TreeError, match="must not grow by the same factor"):
        estimate("gbm", [1.0, 2.0, 4.0, 8.0])


def test_intervals_hold_the_truth_in_their_share_of_series():
    """95 % intervals of 30 uneven steps; 3 standard errors of a share of 200 series are 4.6 %."""
    held, kept = np.zeros(2), np.array([0, 1, 2, 4, 5, 8, 9, 10, 12, 13, *range(15, 36)])
    for seed in range(200):
        values = GeometricBrownianMotion(1.0, 0.1, 0.2).sample(1, 35, seed=seed)[kept, 0]
        found = estimate("gbm", values, np.diff(kept).astype(float))
        for i, (name, true) in enumerate((("drift", 0.1), ("volatility", 0.2))):
            low, high = found.interval(name)
            held[i] += low <= true <= high
    assert (np.abs(held / 200 - 0.95) < 0.046).all()


def test_draws_have_the_law_of_the_estimates():
    """By the closed form: var(ln σ) = 1/2n, var(μ) = σ²/H + σ⁴/2n, cov(μ, ln σ) = σ²/2n."""
    values, dt = thinned(GeometricBrownianMotion(1.0, 0.1, 0.4).sample(1, 90, seed=4)[:, 0])
    found = estimate("gbm", values, dt)
    drawn = found.draws(40_000, 5)
    mu = np.array([p.drift for p in drawn])
    log = np.log([p.volatility for p in drawn])
    n, span, sigma = dt.size, dt.sum(), found.estimates["volatility"]
    meant = np.array([[sigma**2 / span + sigma**4 / (2 * n), sigma**2 / (2 * n)], [sigma**2 / (2 * n), 1 / (2 * n)]])
    assert np.cov(mu, log) == pytest.approx(meant, rel=0.05)
    assert mu.mean() == pytest.approx(found.estimates["drift"], abs=4 * np.sqrt(meant[0, 0] / 40_000))
    assert {p.initial for p in drawn} == {float(values[-1])}
    assert drawn[:3] == found.draws(40_000, 5)[:3]


@pytest.mark.parametrize("kind", TRUE)
def test_draws_keep_their_range_and_the_regime(kind):
    found = estimate(kind, drawn(kind))
    for process in found.draws(50, 1):
        assert type(process) is type(found.process)
        assert process.initial == found.process.initial
        assert getattr(process, "regime", 0) == getattr(found.process, "regime", 0)
    for name, value in found.estimates.items():
        low, high = found.interval(name, 0.9)
        assert low < value < high
        if name not in ("drift", "drift_0", "drift_1"):
            assert low > (-1 if name == "size" else 0)
        if name.startswith("stay"):
            assert high < 1


def test_reversion_over_uneven_steps_is_the_exact_discretisation():
    values, dt = thinned(drawn("mean-reverting"))
    found = estimate("mean-reverting", values, dt)
    level, kappa, sigma = found.estimates.values()
    y, fade = np.log(values), np.exp(-kappa * dt)
    target = np.log(level) - sigma**2 / (2 * kappa)
    by_hand = stats.norm.logpdf(
        y[1:], target + (y[:-1] - target) * fade, sigma * np.sqrt((1 - fade**2) / (2 * kappa))
    ).sum()
    assert found.log_likelihood == pytest.approx(by_hand, rel=1e-9)


def test_dates_that_are_rounded_are_of_one_length():
    values = GeometricBrownianMotion(1.0, 0.1, 0.2).sample(1, 40, seed=4, dt=1 / 12)[:, 0]
    dated = pd.Series(values, index=pd.date_range("2010-01-01", periods=41, freq="MS"))
    for kind in ("gbm", "mean-reverting"):
        assert estimate(kind, dated).log_likelihood == pytest.approx(estimate(kind, values, 1 / 12).log_likelihood)
    with pytest.raises(TreeError, match="regimes change once a unit of time"):
        estimate("regimes", dated)
    daily = pd.Series(values, index=pd.bdate_range("2015-01-01", periods=41))
    with pytest.raises(TreeError, match=r"whole units, got 0\.0027"):
        estimate("regimes", daily)
