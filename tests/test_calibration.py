"""Calibration: likelihoods, samples and other libraries' tests as oracles; bad series and arguments name themselves."""

import math
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats

from scenario_trees import CalibrationWarning, GeometricBrownianMotion, TreeError
from stochisru import threshold

TRUTH = GeometricBrownianMotion(5.0, 0.1, 0.25)


def yearly(count, seed=1, first=1990):
    return pd.Series(TRUTH.sample(1, count - 1, seed=seed)[:, 0], index=range(first, first + count))


def same(a, b):
    for name in ("drift_se", "volatility_se", "span"):
        assert getattr(a, name) == pytest.approx(getattr(b, name), rel=1e-9)
    assert a.returns == b.returns
    assert a.process.same_step(b.process)


def test_a_missing_year_is_a_gap_of_two_years():
    series = yearly(20)
    whole = GeometricBrownianMotion.fit(series)
    short = series.drop([1995, 2002])
    found = GeometricBrownianMotion.fit(short)
    # m = ln(last/first)/span does not see what lies between; in silence it was ln(last/first)/(span - 2).
    m, before = (f.process.drift - f.process.volatility**2 / 2 for f in (found, whole))
    assert m == pytest.approx(before, rel=1e-12)
    assert GeometricBrownianMotion.fit(short.to_numpy()).process.drift > found.process.drift + 0.01
    assert (found.returns, found.span) == (17, 19.0)
    gaps = series.mask(series.index.isin([1995, 2002]))
    for same_series in (
        gaps,
        gaps.to_numpy(),
        list(gaps),
        gaps.astype("Float64"),
        short.set_axis(pd.to_datetime(short.index.astype(str) + "-12-31")),
        short.set_axis(pd.PeriodIndex(short.index.astype(str), freq="Y")),
        short.set_axis(short.index.astype(float)),
        short.set_axis(pd.to_datetime(short.index.astype(str)).tz_localize("Europe/Berlin")),
    ):
        same(GeometricBrownianMotion.fit(same_series), found)
    same(GeometricBrownianMotion.fit(short.to_numpy(), np.diff(short.index)), found)


def test_uneven_steps_have_the_greatest_likelihood():
    rng = np.random.default_rng(4)
    h = rng.uniform(0.1, 3.0, 30)
    x = 0.07 * h + 0.3 * np.sqrt(h) * rng.standard_normal(30)
    found = GeometricBrownianMotion.fit(np.exp(np.concatenate([[0.0], np.cumsum(x)])), h)

    def minus_log_likelihood(p):
        mu, sigma = p
        return -stats.norm.logpdf(x, (mu - sigma**2 / 2) * h, sigma * np.sqrt(h)).sum()

    best = optimize.minimize(minus_log_likelihood, [0.1, 0.2], method="Nelder-Mead", options={"xatol": 1e-9}).x
    assert [found.process.drift, found.process.volatility] == pytest.approx(list(best), abs=1e-5)
    step, at = 1e-4, np.array([found.process.drift, found.process.volatility])
    hessian = np.empty((2, 2))
    for i, a in enumerate(np.eye(2) * step):
        for j, b in enumerate(np.eye(2) * step):
            corners = [minus_log_likelihood(at + sa * a + sb * b) * sa * sb for sa in (-1, 1) for sb in (-1, 1)]
            hessian[i, j] = sum(corners) / (4 * step**2)
    assert [found.drift_se, found.volatility_se] == pytest.approx(np.sqrt(np.diag(np.linalg.inv(hessian))), rel=1e-4)


def test_standard_errors_hold_for_dates_with_gaps():
    z = []
    for seed in range(300):
        paths = pd.Series(
            TRUTH.sample(1, 479, seed=seed, dt=1 / 12)[:, 0], pd.date_range("1980-01-01", periods=480, freq="MS")
        )
        keep = np.random.default_rng(seed).uniform(size=480) < 0.6
        found = GeometricBrownianMotion.fit(paths[keep])
        z.append(
            [(found.process.drift - 0.1) / found.drift_se, (found.process.volatility - 0.25) / found.volatility_se]
        )
    assert np.abs(np.mean(z, axis=0)).max() < 0.25
    assert (np.abs(np.std(z, axis=0) - 1) < 0.15).all()


@pytest.mark.parametrize("freq, steps", [("MS", 12), ("ME", 12), ("QS", 4), ("D", 365.25), ("W", 365.25 / 7)])
def test_steps_of_dates_are_parts_of_years(freq, steps):
    index = pd.date_range("2001-01-01", periods=40, freq=freq)
    series = pd.Series(TRUTH.sample(1, 39, seed=2)[:, 0], index)
    assert GeometricBrownianMotion.fit(series).span == pytest.approx(39 / steps, rel=0.01)
    if freq in ("MS", "ME", "QS"):
        same(GeometricBrownianMotion.fit(series), GeometricBrownianMotion.fit(series.to_numpy(), 1 / steps))


def test_outlying_increments_are_a_warning():
    series = yearly(25)
    mixed = series.copy()
    mixed.loc[2003:] /= 1000  # tonnes from 2003 on
    with pytest.warns(CalibrationWarning, match=r"1 of 24 increments .* to 2003; .* value by 0\.00\d+ .*unit"):
        found = GeometricBrownianMotion.fit(mixed)
    assert found.process.volatility > 1
    mixed = series.set_axis(pd.date_range("1990-01-01", periods=25, freq="YS"))
    mixed.iloc[7] *= 1000
    with pytest.warns(CalibrationWarning, match=r"2 of 24 increments .* 1997-01-01, 1998-01-01;") as caught:
        GeometricBrownianMotion.fit(mixed)
    assert caught[0].filename == __file__  # it points at the call
    with pytest.warns(CalibrationWarning, match="position 4"):
        GeometricBrownianMotion.fit([1, 1.2, 1.4, 1.7, 2000.0, 2.5, 2.9, 3.1])
    false_alarms = 0
    for n in (5, 8, 12, 40):
        for seed in range(150):
            with warnings.catch_warnings(record=True) as seen:
                warnings.simplefilter("always")
                GeometricBrownianMotion.fit(yearly(n, seed))
            false_alarms += bool(seen)
    assert false_alarms <= 12  # of 600


def test_a_series_that_mostly_stands_still_is_no_alarm():
    """Prices revised in two years of five: the median deviation is 0, and a revision is what is usual."""
    revised = np.tile([0.0, 0.05, 0.0, 0.0, -0.04], 6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = GeometricBrownianMotion.fit(np.exp(np.cumsum(revised)))
    assert found.process.volatility == pytest.approx(revised[1:].std(), rel=1e-9)
    still = np.ones(30)
    still[20:] = 1000.0  # the unit changes in a series that stands still
    with pytest.warns(CalibrationWarning, match="1 of 29 increments .* position 20"):
        GeometricBrownianMotion.fit(still)


@pytest.mark.parametrize(
    "index, years",
    [
        (pd.date_range("2021-03-01", periods=24, freq="h"), 23 / 24 / 365),
        (pd.date_range("2021-01-31", periods=24, freq="h"), 23 / 24 / 365),
        (pd.period_range("2021-03-01", periods=24, freq="h"), 23 / 24 / 365),
        (pd.date_range("2021-03-28", periods=24, freq="h", tz="Europe/Berlin"), 23 / 24 / 365),
        (pd.date_range("2021-12-31 12:00", periods=24, freq="h"), 23 / 24 / 365),
        (pd.date_range("2021-06-01", periods=40, freq="s"), 39 / 86_400 / 365),
        (pd.date_range("2023-12-01", periods=60, freq="D"), 31 / 365 + 28 / 366),
    ],
)
def test_values_within_a_day_or_month_are_apart_by_their_dates(index, years):
    values = TRUTH.sample(1, len(index) - 1, seed=3, dt=years / len(index))[:, 0]
    found = GeometricBrownianMotion.fit(pd.Series(values, index))
    assert found.span == pytest.approx(years, rel=1e-8)
    if index[0].year == index[-1].year:
        even = GeometricBrownianMotion.fit(values, years / (len(index) - 1))
        assert found.process.drift == pytest.approx(even.process.drift, rel=1e-6)
        assert found.process.volatility == pytest.approx(even.process.volatility, rel=1e-6)
    values[5] = -1.0
    with pytest.raises(TreeError, match=str(index[5])[:10]):
        GeometricBrownianMotion.fit(pd.Series(values, index))


def test_goodness_of_fit_finds_what_is_no_brownian_motion():
    rejected = np.zeros((3, 2))
    for seed in range(200):
        rng = np.random.default_rng(seed)
        plain, heavy = rng.standard_normal(60), rng.standard_t(2, 60)
        linked = np.empty(60)
        linked[0] = plain[0]
        for t in range(1, 60):
            linked[t] = 0.6 * linked[t - 1] + 0.8 * plain[t]
        for i, z in enumerate((plain, heavy, linked)):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", CalibrationWarning)  # heavy tails may hold outliers
                found = GeometricBrownianMotion.fit(np.exp(0.2 * np.concatenate([[0.0], np.cumsum(z)])))
            rejected[i] += found.normality.p_value < 0.05, found.autocorrelation.p_value < 0.05
    rejected /= 200
    assert (np.abs(rejected[0] - 0.05) < 0.05).all()
    assert rejected[1, 0] > 0.8
    assert rejected[2, 1] > 0.8


def test_tests_agree_with_their_definitions():
    found = GeometricBrownianMotion.fit(yearly(31))
    z = found.standardised
    assert z @ z / z.size == pytest.approx(1)
    assert found.normality == ("Shapiro-Wilk", *stats.shapiro(z))
    rho = [np.sum((z - z.mean())[k:] * (z - z.mean())[:-k]) / np.sum((z - z.mean()) ** 2) for k in range(1, 7)]
    q = 30 * 32 * sum(r**2 / (30 - k) for k, r in enumerate(rho, start=1))
    assert found.autocorrelation == ("Ljung-Box, 6 lags", pytest.approx(q), pytest.approx(stats.chi2(6).sf(q)))
    frame = found.to_frame()
    assert list(frame.index) == ["drift", "volatility", "normality", "autocorrelation", "jumps"]
    assert frame.loc["drift", "standard_error"] == found.drift_se
    assert frame.loc["normality", "p_value"] == found.normality.p_value
    long = GeometricBrownianMotion.fit(TRUTH.sample(1, 6000, seed=1, dt=0.01)[:, 0], 0.01)
    assert long.normality.test == "Jarque-Bera"
    certain = GeometricBrownianMotion.fit(10 * 1.2 ** np.arange(6))
    assert certain.process.drift == pytest.approx(np.log(1.2))
    assert np.isnan([certain.normality.p_value, certain.autocorrelation.p_value]).all()


def test_standard_errors_carry_into_values(reference):
    found = GeometricBrownianMotion.fit(yearly(30))
    assert found.at() == found.process
    assert found.at(drift_se=-1).drift == pytest.approx(found.process.drift - found.drift_se)
    assert found.at(volatility_se=1).volatility == pytest.approx(found.process.volatility + found.volatility_se)
    values = []
    for k in (-1, 0, 1):
        process = found.at(drift_se=k)
        values.append(threshold(reference.replace(T=3, mu=process.drift, sigma=process.volatility)).objective)
    assert values[0] < values[1] < values[2]
    with pytest.raises(TreeError, match="volatility_se: must leave a volatility >= 0"):
        found.at(volatility_se=-100)
    with pytest.raises(TreeError, match="drift_se: must be finite"):
        found.at(drift_se="x")


GOOD = [1.0, 1.1, 1.3, 1.2, 1.5]


@pytest.mark.parametrize(
    "series, dt, message",
    [
        ([1, 2, -3, 4], None, r"^series: every value must be > 0 and finite, got -3.0 at position 2$"),
        ([1, 2, np.inf, 4], None, "series: .* at position 2"),
        ([1.0, 2.0, 3.0], None, r"^series: needs at least 4 values \(3 steps\), got 3$"),
        ([1.0, np.nan, 2.0, 3.0], None, "series: needs at least 4 values .*, got 3"),
        ([], None, "series: needs at least 4 values .*, got 0"),
        (np.ones((3, 3)), None, "series: needs one dimension"),
        (["a", "b", "c", "d"], None, "series: must hold numbers"),
        (5.0, None, "series: needs one dimension"),
        (GOOD, [1, 1], r"^dt: needs one number, or one per step, 4 for 5 values, got shape \(2,\)"),
        (GOOD, [1, 1, 0, 1], "dt: every step must be > 0 and finite, got 0 at position 2"),
        (GOOD, [1, 1, np.nan, 1], "dt: every step must be > 0"),
        (GOOD, 0.0, "dt: must be > 0"),
        (GOOD, "x", "dt: must hold numbers"),
        (pd.Series(GOOD, index=range(2000, 2005)), 1.0, "dt: must not be given"),
        (pd.Series(GOOD, index=[2000, 2001, 2001, 2003, 2004]), None, "series: its index must ascend .* at 2001"),
        (pd.Series(GOOD, index=[2004, 2003, 2002, 2001, 2000]), None, r"violated at 2003; sort_index\(\)"),
        (pd.Series(GOOD, index=list("abcde")), None, "series: its index must hold dates, periods or years"),
        (pd.Series(GOOD, index=[2000, 2001, np.nan, 2003, 2004]), None, "series: its index must hold dates"),
        (
            pd.Series(GOOD, index=pd.DatetimeIndex(["2000", "2001", None, "2003", "2004"])),
            None,
            "series: its index must have no missing date, got one at position 2",
        ),
        (
            pd.Series([1.0, 2.0, -1.0, 3.0, 4.0], index=pd.date_range("2000", periods=5, freq="YS")),
            None,
            r"^series: .* got -1.0 at 2002-01-01$",
        ),
    ],
)
def test_bad_series_name_themselves(series, dt, message):
    with pytest.raises(TreeError, match=message) as error:
        GeometricBrownianMotion.fit(series, dt)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda p: p.sample(10, 3, seed=-1), "seed: must be an integer >= 0, got -1"),
        (lambda p: p.sample("x", 3, seed=1), "paths: must be an integer >= 1, got 'x'"),
        (lambda p: p.sample(2.5, 3, seed=1), "paths: must be an integer"),
        (lambda p: p.sample(True, 3, seed=1), "paths: must be an integer"),
        (lambda p: p.sample(2, -1, seed=1), "horizon: must be an integer >= 0"),
        (lambda p: p.sample(2, 3, seed=None), "seed: must be an integer"),
        (lambda p: p.sample(2, 3, seed=1, dt=0.0), "dt: must be > 0"),
        (lambda p: p.sample(2, 3, seed=1, sampler="sobol"), "sampler: must be a Sampler"),
        (lambda p: p.paths(np.zeros(3)), "normals: must have shape"),
        (lambda p: p.paths(np.zeros((2, 3)), dt=-1.0), "dt: must be > 0"),
        (lambda p: p.growth("x"), "z: must hold numbers"),
        (lambda p: p.growth(0.0, dt=-1), "dt: must be > 0"),
        (lambda p: p.mean("x"), "t: must hold numbers"),
        (lambda p: p.mean(-1), "t: times must be >= 0"),
        (lambda p: p.variance([1, np.nan]), "t: times must be >= 0"),
        (lambda p: p.quantile(0, 1), r"q: levels must lie in \(0, 1\), got 0"),
        (lambda p: p.quantile("x", 1), "q: must hold numbers"),
        (lambda p: p.quantile(0.5, -1), "t: times must be >= 0"),
        (lambda p: p.exceedance(-1.0, 1), "level: must be >= 0"),
        (lambda p: p.limited_mean("x", 1), "level: must hold numbers"),
        (lambda p: p.fan(-1), "horizon: must be an integer >= 0"),
        (lambda p: p.fan(3, levels=[2]), "q: levels must lie"),
        (lambda p: GeometricBrownianMotion("1", 0, 0), "initial: must be > 0 and finite, got '1'"),
    ],
)
def test_bad_arguments_name_themselves(call, message):
    with pytest.raises(TreeError, match=rf"^{message}"):
        call(GeometricBrownianMotion(10.0, 0.1, 0.2))


@pytest.mark.parametrize("wrong", [1, 5, 8])
def test_units_that_are_often_wrong_do_not_hide_each_other(wrong):
    """Five of 21 values in tonnes once gave sigma 4.86 in silence: they widen what they are measured by."""
    for seed in range(10):
        values = GeometricBrownianMotion(1000.0, 0.1, 0.2).sample(1, 20, seed=seed)[:, 0].copy()
        values[np.random.default_rng(seed).choice(21, wrong, replace=False)] /= 1000
        with pytest.warns(CalibrationWarning, match="is its unit always the same"):
            GeometricBrownianMotion.fit(values)


def test_series_of_one_unit_are_seldom_warned_of():
    process, warned = GeometricBrownianMotion(1000.0, 0.1, 0.5), 0
    for seed in range(300):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            process_of = GeometricBrownianMotion.fit(process.sample(1, 20, seed=seed)[:, 0])
        assert process_of.process.volatility < 1
        warned += bool(caught)
    assert warned <= 6


def fit_of(z):
    """Fit of a series with these standardised increments."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CalibrationWarning)
        return GeometricBrownianMotion.fit(np.exp(0.2 * np.concatenate([[0.0], np.cumsum(z)])))


def test_jump_test_agrees_with_its_definition():
    found = fit_of(np.random.default_rng(3).standard_normal(40))
    z = np.abs(found.standardised - found.standardised.mean())
    n, rv = z.size, (z**2).sum()
    bv = math.pi / 2 * n / (n - 1) * sum(z[i] * z[i - 1] for i in range(1, n))
    mu = 2 ** (2 / 3) * math.gamma(7 / 6) / math.gamma(1 / 2)
    tq = n * n / (n - 2) * mu**-3 * sum((z[i] * z[i - 1] * z[i - 2]) ** (4 / 3) for i in range(2, n))
    j = (1 - bv / rv) / math.sqrt((math.pi**2 / 4 + math.pi - 5) / n * max(1, tq / bv**2))
    assert found.jumps.test == "Barndorff-Nielsen-Shephard"
    assert found.jumps.statistic == pytest.approx(j)


@pytest.mark.parametrize("n", [8, 40, 800])
def test_jump_test_rejects_in_its_share_of_series(n):
    """p-values of normal increments are uniform, at few steps too; large jumps are found."""
    p = [fit_of(np.random.default_rng(seed).standard_normal(n)).jumps.p_value for seed in range(300)]
    if n < 800:  # simulated, not its limit
        assert stats.kstest(p, "uniform").pvalue > 0.001
    assert np.mean(np.array(p) < 0.05) == pytest.approx(0.05, abs=0.04)
    if n > 8:
        z = np.random.default_rng(1).standard_normal(n)
        z[:: n // 4] -= 12.0
        assert fit_of(z).jumps.p_value < 0.001


def test_jump_test_of_increments_that_are_next_to_none():
    z = np.zeros(12)
    z[5] = 1.0
    found = fit_of(z).jumps
    assert np.isfinite(found.statistic)
    assert 0 < found.p_value <= 1
