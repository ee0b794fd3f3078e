"""Networks on scenario trees against enumeration, closed forms and programs of their own."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenario_trees.tree import ScenarioTree
from stochisru.errors import InputError
from stochisru.networks import NetworkBuilder, Stages, line_tree, solve_network, solve_on_tree, values_on_tree
from stochisru.problem.information import Static, WaitAndSee


def supply(demand, price=1.0, *, pump=0.0, line=30.0, per_unit=2.0):
    """A line with a fixed cost, pumping cost and capacity that is bought, beside lorries."""
    builder = NetworkBuilder("supply", {"water": "m3"}, {"capex": "$", "opex": "$"})
    builder.node("sea", {"water": 1e3})
    builder.node("town", {"water": -demand})
    builder.arc(
        "sea", "town", "line", limit={"water": 40.0}, capacity={"water": 0.0}, expansion={"water": 40.0},
        expansion_cost={"capex": {"water": per_unit}},
        use_cost={"capex": {"water": line}, "opex": {"water": pump}},
    )  # fmt: skip
    builder.arc("sea", "town", "lorry", limit={"water": 100.0}, cost={"opex": {"water": 5.0 * price}})
    return builder.build()


ALL = {"capex": 1.0, "opex": 1.0}


def binary_tree(values, probability):
    return ScenarioTree(
        np.array([-1, 0, 0, 1, 1, 2, 2], dtype=np.int32), np.array([0, 1, 1, 2, 2, 2, 2], dtype=np.int16),
        np.array(probability), np.array(values, dtype=float),
    )  # fmt: skip


def best_by_enumeration(tree, lead, weights, pump):
    """Least expected cost over all stocks from a grid that holds the optimum: capacities are demands, uses 0 or 1."""
    stage, parent = tree.stage, tree.parent
    keys = []
    for n in range(tree.n_nodes):
        up = n
        while stage[up] > max(stage[n] - lead, 0):
            up = parent[up]
        keys.append((int(stage[n]), int(up)))
    decisions = sorted(set(keys))
    before = {}
    for n in range(1, tree.n_nodes):
        before[keys[n]] = keys[parent[n]]
    sizes = sorted({0.0, *(min(v, 40.0) for v in tree.value)})
    options = [(0, 0.0), *((1, size) for size in sizes if size > 0)]
    best = np.inf
    for plan in itertools.product(options, repeat=len(decisions)):
        at = dict(zip(decisions, plan, strict=True))
        if any(at[k][0] < at[b][0] or at[k][1] < at[b][1] for k, b in before.items()):
            continue
        total = 0.0
        for n in range(tree.n_nodes):
            use, size = at[keys[n]]
            demand = tree.value[n]
            capex = 30.0 * use + 2.0 * size
            run = min((pump if use else 0.0) + 5.0 * max(0.0, demand - size), 5.0 * demand)
            total += tree.probability[n] * weights[stage[n]] * (capex + run)
        best = min(best, total)
    return best


@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_plans_on_trees_are_those_of_enumeration(data):
    values = [10.0, *(float(data.draw(st.integers(1, 30))) for _ in range(2))]
    values += [values[1], float(data.draw(st.integers(1, 30))), values[2], 12.0]
    p, q = data.draw(st.sampled_from([(0.5, 0.5), (0.3, 0.8)]))
    probability = [1, p, 1 - p, p * q, p * (1 - q), (1 - p) * q, (1 - p) * (1 - q)]
    lead, pump = data.draw(st.sampled_from([1, 2])), data.draw(st.sampled_from([0.0, 8.0]))
    weights = data.draw(st.sampled_from([(1.0, 1.0, 1.0), (1.0, 2.0, 0.5)]))
    tree = binary_tree(values, probability)
    plan = solve_on_tree(
        tree, lambda _, d: supply(d, pump=pump), ALL, Stages(weights, lead, built=("capex",)), rel_gap=0.0
    )
    assert plan.objective == pytest.approx(best_by_enumeration(tree, lead, weights, pump), rel=1e-7)
    total = sum(
        tree.probability[n] * weights[tree.stage[n]] * sum(plan.criteria(n).values()) for n in range(tree.n_nodes)
    )
    assert total == pytest.approx(plan.objective, rel=1e-9)


def test_one_node_is_the_network_itself():
    alone = solve_network(supply(20.0), ALL, rel_gap=0.0)
    plan = solve_on_tree(line_tree([20.0]), lambda _, d: supply(d), ALL, rel_gap=0.0)
    assert plan.objective == pytest.approx(alone.objective)
    np.testing.assert_allclose(plan.flows[0].out, alone.flows.out)


def test_without_building_every_node_is_a_network_of_its_own():
    tree = ScenarioTree.from_process(_process(), [3, 2])
    lorries = lambda _, d: supply(d).closed(np.array([0]))  # noqa: E731
    plan = solve_on_tree(tree, lorries, ALL)
    assert plan.objective == pytest.approx(5.0 * (tree.probability * tree.value).sum())


def _process():
    from scenario_trees.processes.gbm import GeometricBrownianMotion

    return GeometricBrownianMotion(initial=10.0, drift=0.1, volatility=0.4)


def test_what_was_built_stays_and_is_paid():
    """Demand falls from 20 to 1: capacity for it stands on, and is paid in both stages."""
    plan = solve_on_tree(line_tree([20.0, 1.0]), lambda _, d: supply(d, line=5.0), ALL, rel_gap=0.0)
    assert plan.flows[1].expansion_out[0, 0] == pytest.approx(20.0)
    assert plan.objective == pytest.approx(2 * (5.0 + 2.0 * 20.0))
    later = solve_on_tree(line_tree([1.0, 20.0]), lambda _, d: supply(d, line=5.0), ALL, rel_gap=0.0)
    assert later.objective == pytest.approx(5.0 + (5.0 + 2.0 * 20.0))  # lorries first


def test_costs_as_scenarios():
    """The price of lorries is the value: dear ones make the line worth it, but it is decided before that is known."""
    tree = ScenarioTree(
        np.array([-1, 0, 0], dtype=np.int32), np.array([0, 1, 1], dtype=np.int16), np.array([1.0, 0.5, 0.5]),
        np.array([1.0, 0.2, 4.0]),
    )  # fmt: skip
    found = values_on_tree(tree, lambda _, p: supply(10.0, p), ALL, Stages((0.0, 1.0), lead=1), rel_gap=0.0)
    line, cheap, dear = 30.0 + 20.0, 10.0, 200.0
    assert found.ws.upper == pytest.approx(0.5 * cheap + 0.5 * line)
    # A line of 10 for sure, or lorries in either case.
    assert found.rp.upper == pytest.approx(min(line, 0.5 * cheap + 0.5 * dear))
    assert found.ws.upper <= found.rp.upper <= found.eev.upper
    assert found.evpi[0] <= found.rp.upper - found.ws.upper <= found.evpi[1] + 1e-9


@settings(max_examples=10, deadline=None)
@given(values=st.lists(st.integers(1, 30), min_size=3, max_size=3))
def test_information_is_ordered(values):
    tree = binary_tree([10, values[0], values[1], *values, 5], [1, 0.4, 0.6, 0.2, 0.2, 0.3, 0.3])
    stages = Stages(lead=1)
    at = lambda _, d: supply(d, line=12.0)  # noqa: E731
    found = values_on_tree(tree, at, ALL, stages, rel_gap=0.0)
    static = solve_on_tree(tree, at, ALL, stages, information=Static(), rel_gap=0.0)
    assert found.ws.upper <= found.rp.upper * (1 + 1e-9)
    assert found.rp.upper <= min(found.eev.upper, static.objective) * (1 + 1e-9)
    assert found.vss[0] >= 0


def test_unmet_demand_has_its_price():
    plan = solve_on_tree(line_tree([200.0]), lambda _, d: supply(d), ALL, Stages(unmet_price={"water": 9.0}))
    assert plan.unmet[0].sum() == pytest.approx(200.0 - 40.0 - 100.0)
    with pytest.raises(InputError, match="unmet_price of water: must be >= 0, got -1"):
        Stages(unmet_price={"water": -1.0})


def test_what_stands_is_paid_where_it_failed():
    """Both states pay the line, the one without it brings all by lorry."""
    tree = ScenarioTree(
        np.array([-1, 0, 0], dtype=np.int32), np.array([0, 1, 1], dtype=np.int16), np.array([1.0, 0.9, 0.1]),
        np.array([1.0, 1.0, 2.0]),
    )  # fmt: skip
    networks = [supply(20.0), supply(20.0).closed(np.array([0]))]
    plan = solve_on_tree(tree, lambda _, s: networks[int(s) - 1], ALL, Stages((0, 1), lead=1), rel_gap=0.0)
    assert plan.objective == pytest.approx(30.0 + 2.0 * 20.0 + 0.1 * 5.0 * 20.0)
    assert plan.criteria(2)["capex"] == pytest.approx(70.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"lead": -1}, "lead: must be >= 0 stages, got -1"),
        ({"weights": (1.0,)}, "weights of stages: must be 2 numbers, got 1"),
        ({"weights": (0.0, 0.0)}, "weights of stages: must be >= 0 and one of them > 0"),
        ({"built": ("cost",)}, "built: must be one of capex, opex, got 'cost'"),
    ],
)
def test_bad_stages(arguments, message):
    with pytest.raises(InputError, match=message):
        solve_on_tree(line_tree([1.0, 2.0]), lambda _, d: supply(d), ALL, Stages(**arguments))


def test_networks_must_be_alike_and_foresight_is_another_program():
    other = NetworkBuilder("other", {"water": "m3"}, {"capex": "$", "opex": "$"})
    other.node("sea", {"water": 1.0})
    other.arc("sea", "sea", "idle")
    with pytest.raises(InputError, match="network of node 1: must have the nodes of the others"):
        solve_on_tree(line_tree([1.0, 2.0]), lambda t, d: other.build() if t else supply(d), ALL)
    with pytest.raises(InputError, match="network of node 1: must have the expansions of the others"):
        solve_on_tree(line_tree([1.0, 2.0]), lambda t, d: _wider(supply(d)) if t else supply(d), ALL)
    with pytest.raises(InputError, match="information: must not look ahead of the stage"):
        solve_on_tree(line_tree([1.0, 2.0]), lambda _, d: supply(d), ALL, information=WaitAndSee())


def _wider(network):
    return network.replace(out=replace(network.out, expansion=2 * network.out.expansion))
