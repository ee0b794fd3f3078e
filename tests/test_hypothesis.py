"""The hypothesis on the risk of the rules: measures, exposure to demand, verdicts that must come out."""

import numpy as np
import pytest

from stochisru import InputError, load_case, simulate
from stochisru.lunar.strategies import Schedule
from stochisru.simulation.metrics import npv_metrics
from stochisru.worked.deployment.hypothesis import (
    MEASURES,
    RULES,
    Exposure,
    hypothesis,
    risk,
    riskier,
    unserved_cost,
    verdict,
)


def test_measures_are_those_of_the_metrics():
    for n in (7, 100, 1013):
        npv = np.random.default_rng(n).lognormal(size=n)
        m = npv_metrics(npv)
        assert risk(npv) == pytest.approx([m["npv_sd"].value, -m["npv_p5"].value, m["cvar95"].value])


def test_a_riskier_sample_is_recognised_and_a_twin_is_not():
    rng = np.random.default_rng(3)
    wide, narrow, twin = 2 * rng.normal(size=1000), rng.normal(size=1000), rng.normal(size=1000)
    each, pairs = np.ones(1000, dtype=np.int64), np.full(500, 2)
    for units in (each, pairs):
        assert riskier(wide, narrow, units, 0).tolist() == [1.0] * len(MEASURES)
        assert riskier(narrow, wide, units, 0).tolist() == [0.0] * len(MEASURES)
        assert verdict(list(riskier(narrow, twin, units, 0))) == "open"
        assert riskier(narrow, narrow, units, 0).tolist() == [0.5] * len(MEASURES)
    assert [verdict(x) for x in ([1, 1, 1], [0, 0.02, 0], [1, 0, 0], [0.5, 0, 0], [0.5, 0.5, 0.9])] == [
        *("holds", "fails", "holds in part", "open", "open")
    ]


def test_exposure_of_a_line_and_of_doing_nothing(reference):
    demand = np.random.default_rng(1).lognormal(size=500)
    line = Exposure.of(5 - 3 * demand, demand)
    assert (line.slope, line.explained) == pytest.approx((-3.0, 1.0))
    assert line.worst_demand == pytest.approx(np.sort(demand)[-25:].mean() / demand.mean())
    assert Exposure.of(np.full(500, 2.0), demand).explained == 0
    # Without plants every kilogram of demand costs what Earth, or shortage, does.
    for limit in (None, 0.0):
        case = reference.replace(T=3, earth_limit=limit)
        npv = simulate(case, [Schedule("nothing", (0.0,) * 4)], paths=300, seed=2).npv[0]
        paths = case.process.sample(300, 3, seed=2)
        total = (1 + case.economics.r) ** -np.arange(4.0) @ paths
        assert Exposure.of(npv, total).slope == pytest.approx(-unserved_cost(case))
    assert unserved_cost(case) == case.costs.c_bu


@pytest.mark.parametrize(
    ("name", "symbols", "expected"),
    [
        ("lunar-reference", {"T": 10}, "fails"),
        ("contested-market", {"T": 10}, "fails"),
        # Unused capacity is dear there; at its own c_E the standard deviations are too near to call.
        ("predecessor", {"T": 30, "c_E": 10_000.0}, "holds"),
    ],
)
def test_where_it_fails_and_holds(name, symbols, expected):
    case = load_case(name).replace(**symbols)
    found = hypothesis(case, simulate(case, list(RULES), paths=1000, seed=4), seed=1)
    assert found.verdict == expected
    assert found.by(expected) == list(MEASURES)
    bold, careful = (abs(found.exposure[rule].slope) for rule in RULES)
    assert (bold > careful) == (expected == "holds")
    rows = {(r["price_factor"], r["unserved_factor"], r["sigma_factor"]): r for r in found.rows}
    assert rows[(1.0, 1.0, 1.0)]["verdict"] == expected
    assert rows[(0.1, 0.0, 1.0)]["verdict"] == "holds"  # a poor price, and demand left to Earth costs nothing
    assert rows[(0.25, 0.5, 2.0)]["sigma"] == pytest.approx(2 * case.demand.sigma)


def test_no_uncertainty_and_missing_rules(reference):
    certain = reference.replace(sigma=0.0, T=3)
    assert hypothesis(certain, simulate(certain, list(RULES), paths=20)) is None
    with pytest.raises(InputError, match="has no conservative"):
        hypothesis(reference, simulate(reference, ["aggressive"], paths=20))
