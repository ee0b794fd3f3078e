"""Mars beside DRA 5.0 and Table 4.3, steady state beside launch opportunities, and failures with recourse."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenario_trees.tree import ScenarioTree
from stochisru.errors import InputError
from stochisru.networks import NetworkBuilder, expand, line_tree, solve_network, solve_over_time
from stochisru.worked.mars.comparison import beside_dra, side_by_side, table_4_3
from stochisru.worked.mars.failures import MarsFailure, failed, solve_mars_failures
from stochisru.worked.mars.network import SCENARIOS, SITES, MarsScenario
from stochisru.worked.mars.opportunities import opportunities_network, solve_opportunities
from stochisru.worked.mars.study import solve_mars


@pytest.fixture(scope="module")
def baseline():
    return solve_mars()


def test_savings_over_dra_5_are_the_published_ones(baseline):
    frame = beside_dra(baseline)
    assert frame["imleo reference"].tolist() == [848.7, 1251.8]
    assert frame["saving"].tolist() == pytest.approx([67.5, 78.0], abs=0.06)
    assert frame["saving published"].tolist() == [67.5, 78.0]
    assert beside_dra(solve_mars(MarsScenario(isru_rate=5.0)))["saving published"].isna().all()


def test_table_4_3_to_the_kilogram(baseline):
    frame = table_4_3(baseline).set_index("quantity")
    for site in SITES:
        for quantity in ("plant", "resources", "maintenance"):
            assert frame.loc[quantity, site] == pytest.approx(frame.loc[quantity, f"{site} published"], abs=0.51)


def test_answers_stand_between_no_plants_and_steady_state(baseline):
    frame = side_by_side(baseline, solve_opportunities(opportunities=2), solve_mars(SCENARIOS["7"]))
    none, two, static = frame["mass at KSC"]
    assert none > two > static
    assert static == baseline.objective
    assert frame.iloc[0][list(SITES)].max() == pytest.approx(0, abs=1e-6)


def supply(values, *, now=1.0, later=3.0, store=0.0):
    builder = NetworkBuilder("oxygen", {"oxygen": "t"}, {"cost": "$"})
    builder.node("earth", {"oxygen": np.inf})
    builder.node("moon")
    builder.arc("earth", "moon", "early", limit={"oxygen": 50.0}, cost={"cost": {"oxygen": now}})
    builder.arc("earth", "moon", "late", limit={"oxygen": 50.0}, cost={"cost": {"oxygen": later}})
    builder.arc("moon", "moon", "store", limit={"oxygen": 50.0}, cost={"cost": {"oxygen": store}}, duration=1)
    demand = {("moon", "oxygen"): [-v for v in values]}
    windows = {"early": [0], "late": list(range(1, len(values)))}
    return expand(builder.build(), len(values), demand_steps=[], windows=windows, supplies=demand)


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_early_flights_are_a_newsvendor(data):
    """Order q now at 1, the rest at c later when demand is known: the quantile 1 − 1/c of demand is optimal."""
    n = data.draw(st.integers(2, 5))
    demand = np.array([float(data.draw(st.integers(1, 30))) for _ in range(n)])
    later = data.draw(st.sampled_from([1.5, 2.0, 4.0]))
    tree = ScenarioTree(
        np.array([-1, *[0] * n], dtype=np.int32), np.array([0, *[1] * n], dtype=np.int16),
        np.array([1.0, *[1 / n] * n]), np.array([1.0, *demand]),
    )  # fmt: skip
    plan = solve_over_time(tree, lambda v: supply([0.0, v[1]], later=later))
    best = min(q + later * np.maximum(demand - q, 0).mean() for q in (0.0, *demand))
    assert plan.objective == pytest.approx(best)
    assert plan.bounds.lower <= plan.objective
    early = {round(float(f.out[0, 0]), 6) for f in plan.flows.values()}
    assert len(early) == 1  # one decision for all paths
    mean = np.array([plan.criteria(leaf)["cost"] for leaf in plan.flows]).mean()
    assert mean == pytest.approx(plan.objective)


def test_one_path_is_the_network_over_time_and_stages_are_told_apart():
    alone = solve_over_time(line_tree([1.0, 5.0, 2.0]), lambda v: supply([0.0, *v[1:]]))
    assert alone.objective == pytest.approx(solve_network(supply([0.0, 5.0, 2.0]).network).objective)
    # Known after stage 1, so the second late flight still reacts.
    tree = ScenarioTree(
        np.array([-1, 0, 1, 1], dtype=np.int32), np.array([0, 1, 2, 2], dtype=np.int16),
        np.array([1.0, 1.0, 0.5, 0.5]), np.array([1.0, 4.0, 2.0, 8.0]),
    )  # fmt: skip
    plan = solve_over_time(tree, lambda v: supply([0.0, *v[1:]], later=1.2))
    # 4 + 2 for sure at 1; the six that come half of the time later at 1.2.
    assert plan.objective == pytest.approx(6.0 + 0.5 * 6 * 1.2)
    held = solve_over_time(tree, lambda v: supply([0.0, *v[1:]], later=1.2), root=alone)
    assert held.objective >= plan.objective - 1e-9


def test_networks_of_paths_must_fit_the_tree():
    with pytest.raises(InputError, match="network of leaf 1: must have 2 steps, got 3"):
        solve_over_time(line_tree([1.0, 2.0]), lambda v: supply([0.0, 0.0, 0.0]))


@pytest.fixture(scope="module")
def phobos():
    return solve_mars_failures([MarsFailure("PHOB", 0.4)])


@pytest.mark.slow
def test_values_under_failures_are_ordered(phobos):
    assert phobos.ws.lower <= phobos.plan.objective <= phobos.eev.objective * (1 + 1e-9)
    assert all(b.certified and b.gap < 1e-5 for b in phobos.values.values())
    assert phobos.nominal.objective == pytest.approx(solve_opportunities(opportunities=2).objective, rel=1e-6)
    table = phobos.table
    assert (table["probability"] * table["planned for"]).sum() == pytest.approx(phobos.plan.objective, rel=1e-9)
    assert (table["probability"] * table["as if nothing failed"]).sum() == pytest.approx(phobos.eev.objective, rel=1e-6)
    # A plan that knows of the failure relies less on Phobos.
    first = phobos.first.set_index("plan")
    assert first.loc["planned for", "PHOB"] < first.loc["as if nothing failed", "PHOB"]
    assert first.loc["as if nothing failed", "PHOB"] > 100


def test_a_certain_failure_is_a_mission_without_the_site():
    sure = solve_mars_failures([MarsFailure("PHOB", 1.0)])
    without = solve_opportunities(MarsScenario(sites=("LSP", "DEIM", "GC")), opportunities=2)
    assert sure.plan.objective == pytest.approx(without.objective, rel=1e-6)


def test_what_failed_works_no_more():
    whole = opportunities_network(opportunities=2)
    site, aero = failed(whole, "GC"), failed(whole, "aerobrake")
    plant = np.flatnonzero(whole.arc == whole.base.arc("GC plant"))
    c = whole.network.commodity
    assert site.network.transformation[plant, c("oxygen"), c("plant")].max() == 0
    assert site.network.transformation[plant, c("plant"), c("plant")].min() > 0
    late = np.array([" aero" in a for a in whole.network.arcs]) & (whole.departure > 0)
    assert late.sum() > 50
    assert aero.network.out.limit[late].max() == 0
    early = np.array([" aero" in a for a in whole.network.arcs]) & (whole.departure == 0)
    assert (aero.network.out.limit[early] == whole.network.out.limit[early]).all()


@pytest.mark.parametrize(
    ("failures", "message"),
    [
        ([("MOON", 0.1)], "failure: must be one of LSP, DEIM, PHOB, GC, aerobrake, got 'MOON'"),
        ([("GC", 0.0)], r"probability of GC: must be in \(0, 1\], got 0.0"),
        ([("GC", 0.6), ("LSP", 0.6)], "failures: probabilities must sum to at most 1, got 1.2"),
        ([("GC", 0.1), ("GC", 0.1)], "failures: must be different ones, at least one, got GC, GC"),
        ([], "failures: must be different ones, at least one, got none"),
    ],
)
def test_bad_failures(failures, message):
    with pytest.raises(InputError, match=message):
        solve_mars_failures([MarsFailure(*f) for f in failures])


@pytest.mark.slow
def test_commands(run_cli):
    one = json.loads(run_cli("network", "mars", "--json", "-", check=0).stdout)
    assert [round(r["saving"], 1) for r in one["dra"]] == [67.5, 77.9]
    assert [r["quantity"] for r in one["table_4_3"]] == ["plant", "resources", "maintenance"]
    text = run_cli("network", "mars", check=0).stdout
    assert "DRA 5.0" in text
    assert "241,074" in text
    over = json.loads(run_cli("network", "mars", "--opportunities", "2", "--json", "-", check=0).stdout)
    assert [r["answer"] for r in over["side_by_side"]] == ["no plants", "2 launch opportunities", "steady state"]
    found = json.loads(run_cli("network", "mars-failures", "--fail", "GC=0.2", "--json", "-", check=0).stdout)
    assert {"ws", "rp", "eev", "vss", "evpi", "scenarios", "first", "objective", "size"} <= set(found)
    bad = run_cli("network", "mars-failures", "--fail", "GC", check=2)
    assert bad.stderr.startswith("error: fail: must be WHAT=PROBABILITY")
