"""Bundles (Eq. 2.7b), flows that must be (Eq. 2.2b) and whole flows, against closed forms and other solvers."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from stochisru.errors import InputError
from stochisru.networks import Bundle, NetworkBuilder, conflict, expand, load_network, solve_network
from stochisru.networks.recourse import Failure, solve_with_failures
from stochisru.networks.solution import violation
from tests.networks import plain_networks

FORMS = pytest.mark.parametrize("form", ["literal", "reduced"])


def two_ways(demand, saving, weight, capacity, dear=10.0):
    """Every commodity may go the dear way or, cheaper by its saving, a way with a capacity that all share."""
    goods = [f"g{i}" for i in range(len(demand))]
    builder = NetworkBuilder("two ways", dict.fromkeys(goods, "t"), {"cost": "$"})
    builder.node("a", dict.fromkeys(goods, np.inf))
    builder.node("b", {g: -d for g, d in zip(goods, demand, strict=True)})
    most = dict.fromkeys(goods, 1e3)
    weights = dict(zip(goods, weight, strict=True))
    cheap = {g: dear - s for g, s in zip(goods, saving, strict=True)}
    builder.arc("a", "b", "cheap", bundles=[Bundle(capacity, weights)], limit=most, cost={"cost": cheap})
    builder.arc("a", "b", "dear", limit=most, cost={"cost": dict.fromkeys(goods, dear)})
    return builder.build()


@FORMS
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_bundle_is_a_fractional_knapsack(form, data):
    n = data.draw(st.integers(1, 4))
    numbers = lambda low, high: data.draw(st.lists(st.integers(low, high), min_size=n, max_size=n))  # noqa: E731
    demand, saving, weight = numbers(0, 20), numbers(0, 9), numbers(1, 5)
    room = capacity = float(data.draw(st.integers(0, 60)))
    cost = 10.0 * sum(demand)
    for d, s, w in sorted(zip(demand, saving, weight, strict=True), key=lambda g: -g[1] / g[2]):
        moved = min(d, room / w)
        room, cost = room - w * moved, cost - s * moved
    found = solve_network(two_ways(demand, saving, weight, capacity), form=form)
    assert found.objective == pytest.approx(cost, abs=1e-6)
    for block, excess in violation(found.network, found.flows.out).items():
        assert excess.max(initial=0.0) < 1e-6, block


@FORMS
@settings(max_examples=40, deadline=None)
@given(case=plain_networks(), data=st.data())
def test_flows_that_must_be_are_those_of_another_solver(form, case, data):
    network, arcs, demand = case
    lower = np.array([float(data.draw(st.integers(0, min(capacity, 4)))) for *_, capacity, _ in arcs])[:, None]
    out = network.out.__class__(**{**vars(network.out), "lower": lower})
    n = len(demand)
    rows = np.zeros((n, len(arcs)))
    for a, (i, j, *_) in enumerate(arcs):
        rows[i, a] += 1
        rows[j, a] -= 1
    bounds = [(low, capacity) for low, (_, _, capacity, _) in zip(lower[:, 0], arcs, strict=True)]
    other = linprog([cost for *_, cost in arcs], A_ub=rows, b_ub=[-d for d in demand], bounds=bounds)
    if other.status == 2:
        with pytest.raises(InputError, match=r"flows that must be and cannot|demands cannot be met together"):
            solve_network(network.replace(out=out), form=form)
        return
    found = solve_network(network.replace(out=out), form=form)
    assert found.objective == pytest.approx(other.fun, abs=1e-6)
    assert (found.flows.out >= lower - 1e-7).all()


def trucks(tonnes, capacity=7.0, trip=50.0, size="whole"):
    builder = NetworkBuilder("trucks", {"goods": "t", "truck": "number"}, {"cost": "$"})
    builder.node("depot", {"goods": np.inf, "truck": np.inf})
    builder.node("shop", {"goods": -tonnes})
    builder.arc(
        "depot",
        "shop",
        "road",
        concurrency_out=[{"goods": 1.0, "truck": -capacity}],
        limit={"goods": 1e3, "truck": 1e3},
        whole=["truck"] if size == "whole" else [],
        cost={"cost": {"truck": trip, "goods": 1.0}},
    )
    return builder.build()


@FORMS
@pytest.mark.parametrize("tonnes", [0.5, 7.0, 7.5, 40.0])
def test_vehicles_are_counted_in_whole_numbers(form, tonnes):
    found = solve_network(trucks(tonnes), form=form, rel_gap=0.0)
    assert found.outflow("road", "truck") == math.ceil(tonnes / 7.0)
    assert found.objective == pytest.approx(50.0 * math.ceil(tonnes / 7.0) + tonnes)
    relaxed = solve_network(trucks(tonnes, size="any"), form=form)
    assert relaxed.objective == pytest.approx(50.0 * tonnes / 7.0 + tonnes)


def test_whole_flows_react_to_failures():
    """Half of the time the short road is closed: two trucks on the long one then, with their price."""
    builder = NetworkBuilder("roads", {"goods": "t", "truck": "number"}, {"cost": "$"})
    builder.node("depot", {"goods": np.inf, "truck": np.inf})
    builder.node("shop", {"goods": -10.0})
    for name, trip in (("short", 50.0), ("long", 90.0)):
        builder.arc(
            "depot", "shop", name, concurrency_out=[{"goods": 1.0, "truck": -7.0}], whole=["truck"],
            limit={"goods": 1e3, "truck": 1e3}, lower={"truck": 1.0} if name == "short" else None,
            cost={"cost": {"truck": trip}},
        )  # fmt: skip
    states = [Failure("normal", 0.5), Failure("closed", 0.5, ("short",))]
    found = solve_with_failures(builder.build(), states, unmet_price={"goods": 1e3}, rel_gap=0.0)
    assert found.objective == pytest.approx(0.5 * 2 * 50 + 0.5 * 2 * 90)


def test_a_closed_arc_must_carry_nothing():
    network = trucks(5.0)
    lower = network.out.lower + np.array([0.0, 2.0])
    network = network.replace(out=network.out.__class__(**{**vars(network.out), "lower": lower}))
    assert solve_network(network, rel_gap=0.0).outflow("road", "truck") == 2
    assert network.closed(np.array([0])).out.lower.max() == 0


def test_all_bounds_are_copied_over_time():
    builder = NetworkBuilder("line", {"goods": "t", "truck": "number"}, {"cost": "$"})
    builder.node("a", {"goods": np.inf, "truck": np.inf})
    builder.node("b", {"goods": -3.0})
    builder.arc(
        "a", "b", "road", bundles=[Bundle(4.0)], whole=["truck"], lower={"truck": 1.0}, duration=1,
        cost={"cost": {"truck": 5.0}},
    )  # fmt: skip
    expanded = expand(builder.build(), 3, demand_steps=[1, 2])
    found = solve_network(expanded.network, rel_gap=0.0)
    assert found.objective == pytest.approx(2 * 5.0)
    assert np.allclose(found.flows.out, [[3.0, 1.0], [3.0, 1.0]])


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"lower": {"goods": 3.0}, "limit": {"goods": 2.0}}, "out.lower: must be <= the limit 2, got 3 on arc 'road'"),
        ({"lower": {"goods": 3.0}, "bundles": [Bundle(2.0)]}, "lower: must be <= 2, the most that can flow, got 3 on"),
        ({"bundles": [Bundle(math.inf)]}, "bundles of arc 'road': limit: must be finite and >= 0, got inf"),
        ({"bundles": [Bundle(1.0, {"goods": -1.0})]}, "bundles of arc 'road': weights: must be >= 0, got -1"),
        ({"whole": ["train"]}, "commodity: must be one of goods, got 'train'"),
        ({"lower": {"goods": -1.0}}, "out.lower: must be >= 0, got -1"),
    ],
)
def test_bad_bounds(more, message):
    builder = NetworkBuilder("road", {"goods": "t"}, {"cost": "$"})
    builder.node("a", {"goods": np.inf})
    builder.node("b")

    def solved():
        builder.arc("a", "b", "road", **more)
        return solve_network(builder.build())

    with pytest.raises(InputError, match=message):
        solved()


def test_flows_that_cannot_be_are_named():
    builder = NetworkBuilder("road", {"goods": "t"}, {"cost": "$"})
    builder.node("a", {"goods": 2.0})
    builder.node("b")
    builder.arc("a", "b", "road", limit={"goods": 9.0}, lower={"goods": 3.0})
    with pytest.raises(InputError, match=r"^lower: flows that must be and cannot: road: goods$"):
        solve_network(builder.build())
    assert conflict(builder.build().with_supply({("a", "goods"): 3.0})) is None


def test_a_file_says_the_same_as_python(tmp_path):
    file = tmp_path / "road.toml"
    file.write_text(
        """
name = "trucks"
[commodities]
goods = "t"
truck = "number"
[criteria]
cost = "$"
[nodes.depot]
goods = inf
truck = inf
[nodes.shop]
goods = -10
[[arcs]]
tail = "depot"
head = "shop"
concurrency_out = [{ goods = 1, truck = -7 }]
bundles = [{ limit = 4, weights = { truck = 1 } }, { limit = 30 }]
whole = ["truck"]
lower = { truck = 3 }
cost = { cost = { truck = 50 } }
"""
    )
    assert solve_network(load_network(file), rel_gap=0.0).objective == pytest.approx(150.0)
    text = file.read_text()
    for old, new, message in (
        ("limit = 4", "most = 4", r"arcs\[0\]: bundles: must be a list of tables"),
        ("limit = 30", "limit = 30, share = 1", r"arcs\[0\].bundles: unknown key 'share'"),
        ('["truck"]', '"truck"', r"arcs\[0\]: whole: must be a list of commodities"),
    ):
        file.write_text(text.replace(old, new))
        with pytest.raises(InputError, match=message):
            load_network(file)
