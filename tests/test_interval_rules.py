"""Refusals in use, groups and arguments: what the rules of `stochisru.simulation.metrics` do to simulations."""

import numpy as np
import pytest

from stochisru import InputError, compare, load_case, simulate, simulate_panel
from stochisru.lunar.simulation import npv_on_paths
from stochisru.report.figures import target_curves
from stochisru.simulation.metrics import mean_estimate, npv_metrics, strategy_metrics


def test_every_missing_interval_has_a_reason(reference):
    for T, paths in ((10, 1000), (10, 4000), (30, 4000), (50, 4000)):
        for metrics in simulate(reference.replace(T=T), ["moderate", "reactive"], paths=paths, seed=1).metrics.values():
            for name, estimate in metrics.items():
                assert np.isfinite(estimate.lower) == (not estimate.reason), (T, paths, name)


def test_sortino_needs_losing_paths(reference):
    """4,000 runs of reactive over 10 years, some 60 with a loss: plain intervals cover 84 %."""
    run = simulate(reference.replace(T=10), ["reactive", "conservative"], paths=4000, seed=1)
    losses = int((run.npv[0] < 0).sum())
    assert losses < 200 < (run.npv[1] < 0).sum()
    assert (
        run.metrics["reactive"]["sortino"].reason == f"too few paths with a loss: {losses}, 200 needed for an interval"
    )
    assert run.metrics["conservative"]["sortino"].reason == ""


def test_fifty_years_have_no_interval_of_cvar_and_of_ratios_to_demand(reference):
    """4,000 runs: plain intervals of reactive's CVaR cover 72 %, of aggressive's self-sufficiency 86 %."""
    run = simulate(reference.replace(T=50), ["moderate"], paths=4000, seed=1)
    found = run.metrics["moderate"]
    for name in ("cvar95", "self_sufficiency"):
        assert found[name].reason.startswith("tails too heavy: ")
        assert np.isnan(found[name].lower)
        assert np.isfinite(found[name].value)
    assert np.isfinite(found["utilization"].lower)
    light = strategy_metrics(run.npv[0], run.moments[0], run.units, kurtosis=1.0)
    assert np.isfinite(light["self_sufficiency"].lower)


def test_groups_of_equal_paths_tell_as_much_as_one():
    rng = np.random.default_rng(0)
    apart = np.where(rng.random(400) < 0.3, 0.5, -0.5)
    alone = npv_metrics(apart)["p_positive"]
    copies = npv_metrics(np.repeat(apart, 5), np.full(400, 5))["p_positive"]
    assert (copies.lower, copies.upper) == pytest.approx((alone.lower, alone.upper), rel=0.01)


def test_wrong_types_are_named_everywhere(reference):
    case = load_case("lunar-reference").replace(T=3)
    demand = case.process.sample(4, 3, seed=1)
    assert npv_on_paths(case, "moderate", demand) == pytest.approx(simulate(case, ["moderate"], paths=4, seed=1).npv[0])
    for call in (lambda c: simulate_panel(c, ["moderate"], paths=2), lambda c: npv_on_paths(c, "moderate", demand)):
        for given in ("lunar-reference", None):
            with pytest.raises(InputError, match=r"^case: must be a DeploymentCase"):
                call(given)
    for function in (simulate, compare):
        for name, values in (
            ("paths", ("x", 0, 2.5, None, True)),
            ("seed", (-1, 0.5, "1", None)),
            ("workers", (0, "2")),
            ("sampler", ("dice", 3, None)),
            ("confidence", (0.0, 1.0, 95, "0.9", None)),
        ):
            for value in values:
                with pytest.raises(InputError, match=rf"^{name}: must"):
                    function(case, ["moderate"], **{"paths": 2, name: value})
    for strategies in ("moderate", 3, None):
        with pytest.raises(InputError, match=r"^strategies: must be a list"):
            simulate(case, strategies, paths=2)
    for chunk in (0, 1.5, "a"):
        with pytest.raises(InputError, match=r"^chunk: must be an integer >= 1"):
            simulate(case, ["moderate"], paths=2, chunk=chunk)
    for level in (0, 1, -0.5, 95, float("nan"), "0.95", None, True):
        with pytest.raises(InputError, match=r"^confidence: must lie in"):
            mean_estimate([1.0, 2.0], confidence=level)
    for npv in ({}, {"a": []}, {"a": [1.0, np.nan]}, {"a": np.ones(1), "b": np.ones(2)}):
        with pytest.raises(InputError, match=r"^npv"):
            target_curves(npv)
