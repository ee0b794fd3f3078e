"""The bound on the process with the factor as a state, against exact policies, large trees and other problems."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenario_trees import GeometricBrownianMotion, Jump, JumpDiffusion, MarkovLattice, ScenarioTree
from stochisru import InputError, extensive_form, load_case, process_values, threshold
from stochisru.lunar.exact.lattice_dp import lattice_dp
from stochisru.lunar.trees import case_lattice
from stochisru.lunar.values.upper import bounded_by_rows, rp_at_most
from stochisru.methods.jensen import jensen_bound
from stochisru.problem import Decision, Factor, Model, Operation, Row, State
from tests import models

DEMAND = GeometricBrownianMotion(100.0, 0.05, 0.25)


@pytest.mark.parametrize(
    ("name", "changed", "near"),
    [
        ("lunar-reference", {"T": 10}, 0.005),
        ("contested-market", {"T": 6}, 0.01),
        ("lunar-reference", {"T": 5, "lead_time": 0}, 0.005),
        ("lunar-reference", {"T": 5, "lead_time": 2}, 0.01),
        ("lunar-reference", {"T": 5, "degradation": 0.1, "M0": 80.0}, 0.005),
        ("lunar-reference", {"T": 4, "initial_deployment": "fixed"}, 0.006),
        ("lunar-reference", {"T": 4, "earth_limit": 0.0}, 0.01),
        ("lunar-reference", {"T": 3, "sigma": 1.0}, 0.03),
    ],
)
def test_it_is_just_above_the_exact_policy(name, changed, near):
    case = load_case(name).replace(**changed)
    exact = threshold(case)
    found = rp_at_most(case)
    assert found >= exact.bounds.lower
    assert found - exact.objective <= near * max(abs(exact.objective), 0.05 * exact.bounds.flows)


def test_more_bins_are_nearer():
    case = load_case("lunar-reference").replace(T=3)
    model, exact = bounded_by_rows(case), threshold(case).objective
    found = [jensen_bound(model, bins=bins) for bins in (1, 4, 16)]
    assert found[0] > found[1] > found[2] >= exact * (1 - 1e-9)


def test_one_bin_is_the_mean_path():
    """Growth without bins is certain: EV of the same model, to what two passes leave open."""
    case = load_case("lunar-reference").replace(T=4)
    ev = process_values(case, paths=64).point("ev")
    found = jensen_bound(bounded_by_rows(case), bins=1, passes=6)
    assert ev * (1 - 1e-9) <= found <= ev * 1.01


@settings(max_examples=8, deadline=None, derandomize=True)
@given(keep=st.sampled_from([0.8, 1.0]), lead=st.integers(0, 2), cost=st.floats(5.0, 60.0), sigma=st.floats(0.05, 0.6))
def test_costs_that_are_minimised_are_bounded_from_below(keep, lead, cost, sigma):
    """Any policy costs more; the best on a large tree, whose nodes are means of bins, costs about what is optimal."""
    process = GeometricBrownianMotion(100.0, 0.05, sigma)
    model = Model(
        "serve",
        2,
        [
            Decision("order", lead=lead, cost=cost),
            State("plant", keep=keep, gains={"order": 1.0}, cost=1.0, enough=Factor("demand")),
            Operation("made", value=-2.0, upper=Factor("demand")),
            Operation("bought", value=-30.0),
            Row("served", {"made": 1.0, "bought": 1.0}, equals=Factor("demand")),
            Row("capacity", {"made": 1.0, "plant": -1.0}, upper=0.0),
        ],
        sense="minimise",
        discount_rate=0.1,
        process=process,
    )
    found = jensen_bound(model, bins=12)
    tree = ScenarioTree.from_process(process, [24, 24])
    assert found <= extensive_form(model, tree).bounds.upper * (1 + 1e-3)
    assert found >= 0.97 * extensive_form(model, ScenarioTree.from_process(process, [1, 1])).bounds.lower


def test_an_inflow_is_a_gain():
    """A reservoir that the factor fills, with release sold at a price: the plan cannot sell more than has come."""
    model = Model(
        "river",
        2,
        [
            Operation("sold", value=3.0, upper=80.0),
            Operation("spilled"),
            State("water", gains={"sold": -1.0, "spilled": -1.0}, inflow=Factor("demand"), initial=10.0, upper=150.0),
        ],
        process=DEMAND,
    )
    lattice = MarkovLattice.from_process(DEMAND, 2, 12)
    best = extensive_form(model, lattice.to_tree()).bounds
    found = jensen_bound(model)
    assert best.lower <= found * (1 + 1e-3)
    assert found <= 3 * 3 * 80.0 + 1e-6


@pytest.mark.parametrize("name", ["lunar-reference", "contested-market"])
def test_a_limit_on_supply_from_earth_is_known_to_the_bound(name):
    """With a limit that binds the relaxation with any supply is far above; RP's bracket ends at the bound."""
    case = load_case(name).replace(T=4, earth_limit=50.0, sigma=0.5)
    relaxed, found = threshold(case.replace(earth_limit=None)).objective, rp_at_most(case)
    values = process_values(case, paths=4096).values
    assert values["rp"].lower <= values["rp"].upper <= found + 1.0
    assert found - values["rp"].lower < 0.75 * (relaxed - values["rp"].lower)


@pytest.mark.parametrize("sizes", [[-1.0], [-0.5], pytest.param([-0.3, 0.4], marks=pytest.mark.slow)])
def test_jumps_and_ends(sizes):
    """Below the bound: a policy on fresh paths; just below it: the optimum of a fine lattice."""
    jumps = [{"rate": 0.08, "size": size, "spread": 0.0} for size in sizes]
    case = load_case("lunar-reference").replace(T=4, process={"kind": "jumps", "jumps": jumps})
    found = rp_at_most(case)
    rp = process_values(case, paths=4096).values["rp"]
    assert rp.lower <= rp.upper <= found + 1.0
    assert found - rp.lower < 0.01 * abs(found)
    assert found == pytest.approx(lattice_dp(case, case_lattice(case, 100)).objective, rel=0.01)


def test_jumps_that_never_come_change_nothing():
    case = load_case("lunar-reference").replace(T=3)
    never = JumpDiffusion(case.demand.D0, case.demand.mu, case.demand.sigma, (Jump(0.0, -1.0),))
    model = bounded_by_rows(case)
    assert jensen_bound(replace(model, process=never)) == pytest.approx(jensen_bound(model), rel=1e-9)


def test_far_factors_leave_no_bound():
    case = load_case("lunar-reference").replace(T=30, sigma=2.0)
    assert jensen_bound(bounded_by_rows(case)) == np.inf


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (models.power(2), r"process: must grow by independent factors, .*, power has None"),
        (
            replace(models.power(2), process=DEMAND).with_part(Operation("blackout", value=-5.0 * Factor("demand"))),
            "operation 'blackout': value depends on demand other than in sides of rows",
        ),
    ],
)
def test_what_is_refused(model, message):
    with pytest.raises(InputError, match=message):
        jensen_bound(model)
