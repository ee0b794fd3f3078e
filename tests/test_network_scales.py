"""Economies of scale on any arc of a network, against enumeration and by hand; the same from a file."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import Bounds, LinearConstraint, milp

from stochisru.errors import InputError
from stochisru.networks import (
    ArcScale,
    NetworkBuilder,
    epsilon_front,
    expand,
    line_tree,
    load_network,
    solve_network,
    solve_on_tree,
)
from stochisru.programs.curves import Curve

FORMS = pytest.mark.parametrize("form", ["literal", "reduced"])


def plants(curves, demand, of="expansion"):
    """Plants that bring water to a town; each costs what its curve says of its capacity, or of its flow."""
    builder = NetworkBuilder("plants", {"water": "t"}, {"cost": "$", "carbon": "t"})
    builder.node("sea", {"water": np.inf})
    builder.node("town", {"water": -demand})
    for number, curve in enumerate(curves):
        builder.arc(
            "sea", "town", f"plant {number}", limit={"water": 20.0}, capacity={"water": 0.0},
            expansion={"water": 20.0}, cost={"cost": {"water": 0.5}, "carbon": {"water": 1.0 + number}},
            scales=[ArcScale("cost", "water", curve, of)],
        )  # fmt: skip
    return builder.build()


@FORMS
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_costs_of_scale_are_those_of_enumeration(form, data):
    whole = st.integers(0, 9)
    curves = [
        Curve(
            [0.0, 4.0, 9.0, 20.0],
            np.concatenate([[0.0], np.cumsum([data.draw(whole) for _ in range(3)])]),
            fixed=float(data.draw(whole)),
        )
        for _ in range(2)
    ]
    demand = float(data.draw(st.integers(1, 30)))
    of = data.draw(st.sampled_from(["expansion", "flow"]))
    found = solve_network(plants(curves, demand, of), form=form, rel_gap=0.0)
    grid = np.union1d([0.0, 4.0, 9.0, 20.0, demand - 4, demand - 9, demand - 20, demand], np.linspace(0, 20, 41))
    grid = grid[(grid >= 0) & (grid <= 20) & (demand - grid <= 20) & (demand - grid >= 0)]
    best = min(float(curves[0](a)) + float(curves[1](demand - a)) for a in grid) + 0.5 * demand
    assert found.objective == pytest.approx(best, abs=1e-6)
    assert found.criteria["cost"] == pytest.approx(found.objective, abs=1e-6)


CHEAP_WHEN_LARGE = Curve([0, 4, 20], [0, 20, 36], fixed=2.0)  # 2 + 5 a tonne, from 4 t on 1 a tonne


@pytest.mark.parametrize("demand", [3.0, 8.0, 19.0, 33.0])
def test_both_forms_agree_with_a_program_written_by_hand(demand):
    """scipy on min Σ 2·u + 5·a + b, 4·v <= a <= 4·u, b <= 16·v: pieces of a concave curve fill in order."""
    cost = np.tile([2.0, 0.0, 5.5, 1.5], 2)  # u, v, a, b of each plant; each tonne costs 0.5 more to bring
    rows, upper = [], []
    for plant in range(2):
        for row in ([0, 4, -1, 0], [-4, 0, 1, 0], [0, -16, 0, 1]):
            rows.append(np.concatenate([np.zeros(4 * plant), row, np.zeros(4 - 4 * plant)]))
            upper.append(0.0)
    rows.append(np.tile([0.0, 0.0, -1.0, -1.0], 2))
    upper.append(-demand)
    hand = milp(
        cost,
        constraints=LinearConstraint(np.array(rows), -np.inf, upper),
        integrality=np.tile([1, 1, 0, 0], 2),
        bounds=Bounds(0, np.tile([1, 1, 4, 16], 2)),
    )
    network = plants([CHEAP_WHEN_LARGE] * 2, demand)
    for form in ("literal", "reduced"):
        assert solve_network(network, form=form, rel_gap=0.0).objective == pytest.approx(
            hand.fun, abs=1e-5
        )  # scipy's feasibility


def test_convex_costs_need_no_binaries():
    dear = Curve([0, 4, 20], [0, 4, 84])
    assert solve_network(plants([dear], 5.0)).size["binaries"] == 0
    assert solve_network(plants([CHEAP_WHEN_LARGE], 5.0)).size["binaries"] > 0


def test_one_large_plant_beats_two_small_ones():
    found = solve_network(plants([CHEAP_WHEN_LARGE] * 2, 8.0), rel_gap=0.0)
    assert sorted(found.flows.expansion_out[:, 0]) == pytest.approx([0.0, 8.0])
    assert found.objective == pytest.approx(2 + 20 + 4 + 4.0)


def test_limits_and_fronts_count_costs_of_scale():
    network = plants([CHEAP_WHEN_LARGE, Curve.linear(6.0, 20.0)], 8.0)
    capped = solve_network(network, {"carbon": 1.0}, limits={"cost": 30.0}, rel_gap=0.0)
    assert capped.criteria["cost"] <= 30.0 + 1e-6
    with pytest.raises(InputError, match="demands cannot be met together: 8 t of water at town"):
        solve_network(network, {"carbon": 1.0}, limits={"cost": 3.0})
    front = epsilon_front(network, {"cost": 1.0}, {"carbon": 1.0}, points=2, rel_gap=0.0)
    assert front.points[0].first == pytest.approx(30.0)  # the first plant is the cleaner one as well


def test_time_and_trees_copy_costs_of_scale():
    base = plants([CHEAP_WHEN_LARGE], 8.0, of="flow")
    twice = solve_network(expand(base, 2, demand_steps=[0, 1]).network, rel_gap=0.0)
    assert twice.objective == pytest.approx(2 * 30.0)
    plan = solve_on_tree(line_tree([8.0, 4.0]), lambda _, d: plants([CHEAP_WHEN_LARGE], d), rel_gap=0.0)
    # Eight tonnes stand in both stages, four flow in the second.
    assert plan.objective == pytest.approx(30.0 + 26.0 + 2.0)
    assert sum(plan.criteria(n)["cost"] for n in (0, 1)) == pytest.approx(plan.objective)


FILE = """
name = "plants"
[commodities]
water = "t"
[criteria]
cost = "$"
[nodes.sea]
water = inf
[nodes.town]
water = -8
[[arcs]]
tail = "sea"
head = "town"
capacity = { water = 0 }
expansion = { water = 20 }
scales = [{ criterion = "cost", commodity = "water", sizes = [0, 4, 20], costs = [0, 20, 36], fixed = 2 }]
"""


def test_a_file_says_it_too(tmp_path):
    file = tmp_path / "plants.toml"
    file.write_text(FILE)
    assert solve_network(load_network(file), rel_gap=0.0).objective == pytest.approx(26.0)
    file.write_text(FILE.replace("[0, 20, 36]", '[0, "5 * 4", 36]'))
    assert solve_network(load_network(file), rel_gap=0.0).objective == pytest.approx(26.0)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[0, 4, 20]", "[1, 4, 20]", r"arcs\[0\].scales: breakpoints: must be at least two finite numbers that ascend"),
        ("fixed = 2", "jump = 2", r"arcs\[0\].scales: unknown key 'jump'"),
        ('criterion = "cost"', 'criterion = "price"', "criterion: must be one of cost, got 'price'"),
        ("sizes = [0, 4, 20]", "sizes = 4", r"arcs\[0\].scales.sizes: must be a list of numbers, got 4"),
        ("fixed = 2", 'of = "size"', "of: must be one of flow, expansion, got 'size'"),
        ("fixed = 2", 'of = "flow"', "scales of flow: must have a finite limit on arc"),
    ],
)
def test_bad_scales_are_refused_by_field(tmp_path, old, new, message):
    file = tmp_path / "plants.toml"
    file.write_text(FILE.replace(old, new))
    with pytest.raises(InputError, match=message):
        load_network(file)
