"""Intervals that hold, or none; and inputs that are no samples."""

import numpy as np
import pytest

from stochisru import InputError, compare, extensive_form, load_case, process_values, simulate, threshold, value_table
from stochisru.lunar.simulation import npv_on_paths
from stochisru.lunar.strategies import STRATEGIES
from stochisru.simulation.estimators import mean_estimate, wilson
from stochisru.simulation.metrics import lognormal_kurtosis, npv_metrics


def coverage(draw, truth, name, n, rounds=400, **options):
    rng = np.random.default_rng(11)
    hits = 0
    for _ in range(rounds):
        estimate = npv_metrics(draw(rng, n), **options)[name]
        hits += estimate.lower <= truth <= estimate.upper
    return hits / rounds


@pytest.mark.parametrize(
    "name, truth",
    [("npv_sd", np.sqrt(np.expm1(0.25) * np.exp(0.25))), ("sharpe", 1 / np.sqrt(np.expm1(0.25)))],
)
def test_intervals_of_a_skewed_law_cover_it(name, truth):
    """Lognormal with log-sd 0.5, kurtosis 8.9: the plain delta method covers 90 % of standard deviations."""
    assert lognormal_kurtosis(0.25) == pytest.approx(8.898, abs=1e-3)
    found = coverage(lambda rng, n: rng.lognormal(0.0, 0.5, n), truth, name, 2000, kurtosis=8.9)
    assert 0.92 <= found <= 0.985


def test_interval_of_cvar_covers_it():
    from scipy.stats import norm

    truth = norm.pdf(norm.ppf(0.05)) / 0.05
    assert 0.92 <= coverage(lambda rng, n: rng.normal(size=n), truth, "cvar95", 4000) <= 0.985


def test_standard_errors_are_those_of_resampling():
    """The bootstrap knows nothing of influences: 1,000 samples drawn from the sample, each with its own metrics."""
    rng = np.random.default_rng(3)
    sample = rng.normal(0.3, 1.0, 4000)
    draws = sample[rng.integers(0, sample.size, (1000, sample.size))]
    mean, sd = draws.mean(axis=1), draws.std(axis=1)
    lowest = np.partition(draws, 200, axis=1)[:, :200]
    each = {
        "npv_mean": mean,
        "npv_sd": sd,
        "sharpe": mean / sd,
        "sortino": mean / (np.minimum(draws, 0.0) ** 2).mean(axis=1) ** 0.5,
        "cvar95": -lowest.mean(axis=1),
        "p_positive": (draws > 0).mean(axis=1),
    }
    found = npv_metrics(sample)
    for name, values in each.items():
        assert found[name].value == pytest.approx(values.mean(), abs=0.2 * values.std()), name
        assert found[name].standard_error == pytest.approx(values.std(), rel=0.1), name
        assert found[name].lower < found[name].value < found[name].upper, name


def test_heavy_tails_and_few_points_get_no_interval():
    heavy = np.random.default_rng(1).lognormal(0.0, 0.5, 2000)
    found = npv_metrics(heavy, kurtosis=lognormal_kurtosis(1.2))
    for name in ("npv_sd", "sharpe"):
        assert np.isnan(found[name].lower)
        assert np.isfinite(found[name].value)
        assert found[name].reason == "tails too heavy: 8.9 effective points, 200 needed"
    assert found["cvar95"].reason == "too few points in the tail: 100, 200 needed for an interval"
    assert np.isnan(found["cvar95"].upper)


def test_refusal_depends_on_the_case_and_not_on_the_sample():
    case = load_case("lunar-reference")
    short = simulate(case, ["moderate"], paths=4000)
    long = simulate(case.replace(T=30), ["moderate"], paths=4000)
    assert np.isfinite(short.metrics["moderate"]["npv_sd"].lower)
    assert "effective points" in long.metrics["moderate"]["npv_sd"].reason
    data = long.to_dict()["strategies"]["moderate"]
    assert data["ci"]["npv_sd"] == [None, None]
    assert "npv_sd" in data["no_interval"]


def test_shares_have_width_at_their_ends():
    low, high = wilson(1.0, 0.0, 100)
    assert (low, high) == (pytest.approx(100 / (100 + 1.959964**2)), 1.0)
    sure = npv_metrics(np.arange(1.0, 101.0))["p_positive"]
    assert sure.value == 1
    assert sure.lower == pytest.approx(0.963, abs=1e-3)
    never = npv_metrics(-np.arange(1.0, 101.0))["p_positive"]
    assert (never.lower, never.value) == (0.0, 0.0)
    assert never.upper == pytest.approx(0.037, abs=1e-3)
    half = npv_metrics(np.concatenate([np.ones(50), -np.ones(50)]))["p_positive"]
    assert half.lower == pytest.approx(0.404, abs=2e-3)


def test_share_of_few_groups_uses_their_degrees_of_freedom():
    """Wilson's interval solves (p − x)² = q²·x(1 − x)/n at its ends; q is Student's of groups − 1."""
    for degrees, q in ((3, 3.182446), (7, 2.364624), (np.inf, 1.959964)):
        for x in wilson(0.3, 0.05, 4, degrees=degrees):
            n = 0.3 * 0.7 / 0.05**2
            assert (0.3 - x) ** 2 == pytest.approx(q**2 * x * (1 - x) / n, rel=1e-5)
    covered, rounds, normal = 0, 400, 0
    rng = np.random.default_rng(5)
    for _ in range(rounds):  # four groups that vary among themselves: the normal quantile is too short
        share = rng.beta(20, 20, 4)
        found = npv_metrics((rng.random((4, 500)) < share[:, None]).ravel() - 0.5, units=[500] * 4)["p_positive"]
        low, high = wilson(found.value, found.standard_error, 4)
        covered += found.lower <= 0.5 <= found.upper
        normal += low <= 0.5 <= high
    assert 0.92 <= covered / rounds <= 0.985
    assert normal / rounds < 0.9


def test_a_constant_sample_has_points_and_every_missing_interval_a_reason():
    constant = npv_metrics(np.full(50, -2.5))
    for name, value in (("npv_p5", -2.5), ("npv_p50", -2.5), ("npv_p95", -2.5), ("var95", 2.5), ("npv_sd", 0.0)):
        found = constant[name]
        assert (found.value, found.lower, found.upper, found.standard_error) == (value, value, value, 0.0)
        assert found.reason == "the sample does not vary"
    rng = np.random.default_rng(1)
    for sample in (np.full(50, 3.0), [1.0], rng.normal(size=12), np.abs(rng.normal(size=5000)), rng.normal(size=300)):
        for name, found in npv_metrics(sample).items():
            assert np.isfinite([found.lower, found.upper]).all() or found.reason, name
    # Nothing is ever deployed, so nothing varies: neither metric nor reason is missing.
    for found in (
        simulate(load_case("lunar-reference").replace(sigma=0.0), ["reactive"], paths=20).metrics["reactive"].values()
    ):
        assert np.isfinite([found.lower, found.upper]).all() or found.reason


def test_share_of_the_optimum_is_at_most_all_of_it():
    case = load_case("lunar-reference")
    frame = compare(case, ["threshold", "moderate", "tree"], paths=200, seed=3).to_frame().set_index("strategy")
    assert (frame["share"] <= 1).all()
    assert (frame["share_upper"] <= 1).all()
    assert (frame["share_lower"] <= frame["share"]).all()


@pytest.mark.parametrize("given", [[1.0, float("nan")], [], [[1.0, 2.0]], ["x"], [1.0, float("inf")]])
def test_what_is_no_sample(given):
    for function, name in ((npv_metrics, "npv"), (mean_estimate, "sample")):
        with pytest.raises(InputError, match=f"^{name}: "):
            function(given)


def test_lists_are_samples():
    assert npv_metrics([1.0, 2.0, 3.0])["npv_mean"].value == 2.0
    with pytest.raises(InputError, match=r"^confidence: must lie in"):
        npv_metrics([1.0, 2.0], confidence=1.0)
    with pytest.raises(InputError, match=r"^units: "):
        npv_metrics([1.0, 2.0], units=[3])


def test_paths_that_are_none():
    case = load_case("lunar-reference").replace(T=2)
    rule = STRATEGIES["moderate"]
    good = np.full((3, 2), 1000.0)
    assert npv_on_paths(case, rule, good.tolist()).shape == (2,)
    for bad, message in (
        (good[:2], r"demand: must have shape \(T \+ 1, paths\) with T \+ 1 = 3, got \(2, 2\)"),
        (np.where(np.arange(2) == 1, -1.0, good), "demand: must be >= 0 and finite, got -1.0 in year 0 of path 1"),
        (good * np.nan, "demand: must be >= 0 and finite, got nan"),
        ("paths", "demand: must be an array of numbers"),
        (
            2 * good,
            r"demand: must start at the case's D0 = 1000 kg/yr, got 2000 in year 0 of path 0; give case.replace",
        ),
        (0 * good, r"demand: must start at the case's D0"),
    ):
        with pytest.raises(InputError, match=message):
            npv_on_paths(case, rule, bad)


def test_wrong_types_name_the_argument():
    case = load_case("lunar-reference").replace(T=3)
    name = r"^case: must be a DeploymentCase( or a Model)?, got str; load_case\('lunar-reference'\) makes one"
    for call in (
        lambda: simulate("lunar-reference", ["moderate"]),
        lambda: compare("lunar-reference", ["moderate"]),
        lambda: process_values("lunar-reference"),
        lambda: threshold("lunar-reference"),
        lambda: extensive_form("lunar-reference", None),
    ):
        with pytest.raises(InputError, match=name):
            call()
    for call in (extensive_form, value_table):
        with pytest.raises(InputError, match=r"^tree: must be a ScenarioTree, got list"):
            call(case, [3, 3, 3])
    for options, argument in (({"paths": "x"}, "paths"), ({"seed": -1}, "seed"), ({"confidence": 2.0}, "confidence")):
        with pytest.raises(InputError, match=f"^{argument}: "):
            simulate(case, ["moderate"], **options)
        with pytest.raises(InputError, match=f"^{argument}: "):
            process_values(case, **options)


@pytest.mark.parametrize("given", [[1e300, 1.0], [1.0, -1e100], np.array([1.0, 2.0j])])
def test_numbers_without_moments_are_refused(given):
    with pytest.raises(InputError, match=r"^npv: "):
        npv_metrics(given)
