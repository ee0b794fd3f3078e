"""Demand satisfaction, shortage, distributions of indicators and times of deployment, against every path and year."""

import numpy as np
import pytest

from stochisru import simulate, simulate_panel
from stochisru.lunar.indicators import INDICATORS, LEVELS
from stochisru.lunar.simulation import monte_carlo
from stochisru.report.figures import operations_over_time
from stochisru.report.indicator_figures import distributions_caption, indicator_distributions

NAMES = ["moderate", "conservative", "upfront"]


@pytest.mark.parametrize(
    "symbols",
    [
        {},
        {"earth_limit": 300.0, "degradation": 0.1, "M0": 40.0},
        {"earth_limit": 0.0, "lead_time": 0, "initial_deployment": "fixed"},
        {"c_bu": 100.0, "lead_time": 2},
    ],
)
def test_indicators_by_brute_force(reference, symbols):
    case = reference.replace(T=5, **symbols)
    outcome = simulate(case, NAMES, paths=500, seed=3)
    panel = simulate_panel(case, NAMES, paths=500, seed=3)
    quantiles = outcome.distributions().set_index(["strategy", "indicator"])
    times = outcome.deployment_times().set_index("strategy")
    numbers = outcome.deployment_numbers().set_index("strategy")
    yearly = outcome.yearly().set_index("strategy")
    for name in NAMES:
        p = {k: v.to_numpy() for k, v in panel.sel(strategy=name).data_vars.items()}
        demand = p["demand"].sum(axis=1)
        m = outcome.metrics[name]
        assert m["shortage"].value == pytest.approx(p["shortage"].sum(axis=1).mean(), abs=1e-6)
        served = (p["delivered"] + p["earth"]).sum() / demand.sum()
        assert m["demand_satisfaction"].value == pytest.approx(served)
        assert m["demand_satisfaction"].lower <= served + 1e-12
        assert m["demand_satisfaction"].upper >= served - 1e-12
        assert yearly.loc[name, "shortage"].to_numpy() == pytest.approx(p["shortage"].mean(axis=0), abs=1e-6)
        met = (p["delivered"] + p["earth"]).mean(axis=0) / p["demand"].mean(axis=0)
        assert yearly.loc[name, "demand_satisfaction"].to_numpy() == pytest.approx(met)

        with np.errstate(invalid="ignore"):
            expected = {
                "self_sufficiency": p["delivered"].sum(axis=1) / demand,
                "utilization": p["delivered"].sum(axis=1) / p["capacity"].sum(axis=1),
                "demand_satisfaction": (p["delivered"] + p["earth"]).sum(axis=1) / demand,
                "shortage": p["shortage"].sum(axis=1),
                "final_capacity": p["capacity"][:, -1],
                "total_deployment": p["deployment"].sum(axis=1),
            }
        assert set(expected) == set(INDICATORS)
        for indicator, values in expected.items():
            part = quantiles.loc[(name, indicator)]
            assert part["level"].to_numpy() == pytest.approx(LEVELS)
            ordered = np.sort(values[~np.isnan(values)])
            at = np.maximum(np.ceil(LEVELS * ordered.size - 1e-9).astype(int) - 1, 0)
            assert part["value"].to_numpy() == pytest.approx(ordered[at], rel=1e-9, abs=1e-6), indicator
            assert set(part["paths"]) == {500}

        arrives = p["deployment"] > 0
        part = times.loc[name]
        assert part["deploying"].to_numpy() == pytest.approx(arrives.mean(axis=0))
        assert part["mass"].to_numpy() == pytest.approx(p["deployment"].mean(axis=0), abs=1e-9)
        some = arrives.any(axis=0)
        mass = p["deployment"].sum(axis=0)[some] / arrives.sum(axis=0)[some]
        assert part["mass_if_deploying"].to_numpy()[some] == pytest.approx(mass)
        assert (part["mass_if_deploying"].to_numpy()[~some] == 0).all()
        first = np.where(arrives[:, 1:].any(axis=1), arrives[:, 1:].argmax(axis=1) + 1, -1)
        assert part["first"].to_numpy() == pytest.approx([(first == t).mean() for t in range(6)])
        count = arrives.sum(axis=1)
        assert numbers.loc[name, "share"].to_numpy() == pytest.approx([(count == k).mean() for k in range(7)])
        mean = (numbers.loc[name, "share"] * numbers.loc[name, "deployments"]).sum()
        assert mean == pytest.approx(m["expansions"].value)


def test_interval_of_shortage_covers_the_mean_of_many_paths(reference):
    case = reference.replace(T=3, earth_limit=200.0)
    truth = simulate(case, ["conservative"], paths=200_000, seed=99).metrics["conservative"]
    for name in ("shortage", "demand_satisfaction"):
        runs = [simulate(case, ["conservative"], paths=800, seed=s).metrics["conservative"][name] for s in range(60)]
        assert sum(e.lower <= truth[name].value <= e.upper for e in runs) >= 51


def test_kept_paths_are_the_first_and_do_not_grow(reference, monkeypatch):
    few = simulate(reference, NAMES, paths=100, seed=1).indicators
    monkeypatch.setattr(monte_carlo, "KEPT_PATHS", 17_000)  # ends inside a block
    runs = [simulate(reference, NAMES, paths=40_000, seed=1, workers=w, chunk=c) for w, c in ((1, None), (1, 1))]
    for run in runs:
        assert run.indicators.shape == (3, len(INDICATORS), 17_000)
        assert set(run.distributions()["paths"]) == {17_000}
        assert run.counts.numbers.sum(axis=1).tolist() == [40_000] * 3
        assert run.indicators.tobytes() == runs[0].indicators.tobytes()
    assert few.shape == (3, len(INDICATORS), 100)
    assert runs[0].first(2).indicators.shape[0] == runs[0].first(2).counts.deploying.shape[0] == 2


def test_figures_leave_out_what_does_not_vary(reference):
    free = simulate(reference, NAMES, paths=200, seed=1)
    short = simulate(reference.replace(earth_limit=0.0), NAMES, paths=200, seed=1)
    shown = {}
    for key, run in (("free", free), ("short", short)):
        shown[key] = [panel.x.label for panel in indicator_distributions(run.distributions()).panels]
    # Without wear total deployment is final capacity in another unit, and has no panel of its own.
    assert len(shown["free"]) == 3
    assert len(shown["short"]) == 5
    worn = simulate(reference.replace(degradation=0.1), NAMES, paths=200, seed=1).distributions()
    assert len(indicator_distributions(worn).panels) == 4
    assert "in another unit" in distributions_caption(free.distributions())
    assert "in another unit" not in distributions_caption(worn)
    assert "demand satisfaction Σ(Q + Q_earth)/ΣD = 1, shortage ΣS (kg) = 0." in distributions_caption(
        free.distributions()
    )
    assert "The same" not in distributions_caption(short.distributions())
    assert len(operations_over_time(free.yearly()).panels) == 2
    assert len(operations_over_time(short.yearly()).panels) == 3
