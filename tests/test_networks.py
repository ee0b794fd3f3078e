"""The network library: events, classical special cases, duality, both forms, errors, fronts, time, recourse, files."""

import itertools
import json
import math
from dataclasses import replace

import networkx as nx
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.optimize import linprog

from stochisru.errors import InputError, TimeLimitError
from stochisru.networks import events as ev
from stochisru.networks import pareto
from stochisru.networks.assembly import assemble, tight_limits
from stochisru.networks.builder import NetworkBuilder
from stochisru.networks.files import load_network
from stochisru.networks.infeasible import conflict
from stochisru.networks.pareto import epsilon_front, lexicographic, weighted_front
from stochisru.networks.recourse import Failure, solve_with_failures
from stochisru.networks.solution import net_outflow, solve_network, violation
from stochisru.networks.time_expansion import expand, with_storage

from .networks import plain_networks, rich_networks, small

C = ("hydrogen", "oxygen", "water", "food", "waste", "crew", "plant", "spares", "tank")
positive = st.floats(0, 5, allow_nan=False)
share = st.floats(0, 1, allow_nan=False)


# --- events: what their columns must sum to -----------------------------------------------------------------------


@given(st.floats(0, 15), st.floats(200, 1000), share)
def test_burn_takes_the_same_share_of_everything(delta_v, isp, hydrogen):
    matrix = ev.Burn(delta_v, isp, {"hydrogen": hydrogen, "oxygen": 1 - hydrogen}).matrix(C)
    np.testing.assert_allclose(matrix.sum(axis=0), np.exp(-delta_v * 1000 / (9.80665 * isp)), rtol=1e-12)


@given(st.floats(0, 4), st.floats(0, 4), st.floats(300, 900))
def test_two_burns_are_one(first, second, isp):
    burn = lambda dv: ev.Burn(dv, isp, {"hydrogen": 1 / 7, "oxygen": 6 / 7})  # noqa: E731
    np.testing.assert_allclose(
        ev.compose([burn(first), burn(second)], C), burn(first + second).matrix(C), rtol=1e-10, atol=1e-12
    )


@given(share, st.floats(0, 400), st.floats(0, 400))
def test_boil_off_compounds_and_touches_its_commodity_alone(rate, first, second):
    boil = lambda days: ev.BoilOff({"hydrogen": rate}, days)  # noqa: E731
    np.testing.assert_allclose(
        ev.compose([boil(first), boil(second)], C), boil(first + second).matrix(C), rtol=1e-9, atol=1e-15
    )
    sums = boil(first).matrix(C).sum(axis=0)
    assert sums[0] == pytest.approx((1 - rate) ** first)
    assert (sums[1:] == 1).all()


@given(positive, positive, positive, st.floats(0, 600))
def test_crew_turns_what_it_uses_into_waste(oxygen, water, food, days):
    uses = {"oxygen": oxygen, "water": water, "food": food}
    closed = ev.Consumption("crew", uses, {"waste": oxygen + water + food}, days).matrix(C)
    np.testing.assert_allclose(closed.sum(axis=0), 1, atol=1e-9)
    leaking = ev.Leakage("oxygen", "crew", oxygen, days).matrix(C)
    assert leaking.sum(axis=0)[C.index("crew")] == pytest.approx(1 - oxygen * days)


def test_water_chemistry_conserves_mass():
    np.testing.assert_allclose(ev.electrolysis().matrix(C).sum(axis=0), 1, rtol=1e-12)
    both = ev.electrolysis_and_synthesis().matrix(C)
    np.testing.assert_allclose(both.sum(axis=0), 1, rtol=1e-12)
    # Water that is split and joined again is water; the stoichiometric rows hold for the gases in between.
    water = np.zeros(len(C))
    water[C.index("water")] = 3.0
    gases = both @ water
    np.testing.assert_allclose(both @ gases, water, rtol=1e-12)
    for row in ev.stoichiometry():
        assert sum(v * gases[C.index(c)] for c, v in row.items()) == pytest.approx(0, abs=1e-12)


@given(positive, positive, share)
def test_production_wear_and_losses(made, used, remains):
    plant = ev.Production("plant", {"water": made}, {"spares": used}, remains).matrix(C)
    assert plant.sum(axis=0)[C.index("plant")] == pytest.approx(made - used + remains)
    assert np.delete(plant.sum(axis=0), C.index("plant")) == pytest.approx(np.ones(len(C) - 1))
    assert ev.Wear({"tank": remains}).matrix(C).sum(axis=0)[C.index("tank")] == pytest.approx(1 - remains)
    assert ev.LineLoss({"water": remains}, 1).matrix(C).sum(axis=0)[C.index("water")] == pytest.approx(1 - remains)
    assert ev.switch("crew", "waste").matrix(C).sum(axis=0) == pytest.approx(np.ones(len(C)))


def test_events_happen_in_the_order_in_which_they_are_named():
    burn, wear = ev.Burn(3, 450, {"oxygen": 1.0}), ev.Wear({"tank": 0.5})
    assert not np.allclose(ev.compose([burn, wear], C), ev.compose([wear, burn], C))
    np.testing.assert_array_equal(ev.compose([burn, wear], C), wear.matrix(C) @ burn.matrix(C))


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (ev.Burn(-1, 450, {"oxygen": 1.0}), "delta_v_km_s: must be >= 0"),
        (ev.Burn(1, 0, {"oxygen": 1.0}), "isp_s: must be > 0"),
        (ev.Burn(1, 450, {"oxygen": 0.5}), "mixture: must be shares that sum to 1"),
        (ev.BoilOff({"oxygen": 1.5}, 1), r"daily_rate of oxygen: must be in \[0, 1\]"),
        (ev.BoilOff({"oxygen": 0.5}, -1), "days: must be >= 0"),
        (ev.Wear({"oxigen": 0.5}), "commodity: must be one of oxygen.*got 'oxigen'"),
        (ev.LineLoss({"water": 0.1}, 20), "rate_per_km of water times km: must be in"),
        (ev.Production("plant", {}, {}, remains=2), r"remains: must be in \[0, 1\]"),
    ],
)
def test_events_refuse_impossible_numbers(event, message):
    with pytest.raises(InputError, match=message):
        event.matrix(C)


# --- classical special cases --------------------------------------------------------------------------------------


@given(plain_networks())
@pytest.mark.parametrize("form", ["literal", "reduced"])
def test_min_cost_flow_is_that_of_networkx(form, case):
    network, arcs, demand = case
    graph = nx.MultiDiGraph()
    for i, d in enumerate(demand):
        graph.add_node(i, demand=d)
    for i, j, capacity, cost in arcs:
        graph.add_edge(i, j, capacity=capacity, weight=cost)
    expected = _networkx_cost(graph)
    solution = solve_network(network, form=form)
    assert solution.objective == pytest.approx(expected, abs=1e-6)
    assert solution.bounds.certified
    assert solution.bounds.lower == pytest.approx(expected, abs=1e-5)


def _networkx_cost(graph):
    """Cost by the network simplex of networkx; parallel arcs are split by a node, which it cannot do itself."""
    simple = nx.DiGraph()
    simple.add_nodes_from(graph.nodes(data=True))
    for number, (i, j, data) in enumerate(graph.edges(data=True)):
        middle = ("arc", number)
        simple.add_node(middle, demand=0)
        simple.add_edge(i, middle, **data)
        simple.add_edge(middle, j, capacity=data["capacity"], weight=0)
    return nx.network_simplex(simple)[0]


@given(st.data())
def test_generalised_flow_is_the_cheapest_lossy_path(data):
    """Delivering one unit through gains costs V(j) = min over arcs (c + V(i)) / gain: a recursion of its own."""
    n = data.draw(st.integers(2, 6))
    gain = {
        (i, j): (data.draw(st.floats(0.3, 1.5)), data.draw(st.floats(0.1, 5)))
        for i in range(n)
        for j in range(i + 1, n)
        if j == i + 1 or data.draw(st.booleans())
    }
    builder = NetworkBuilder("gains", {"flow": "-"}, {"cost": "-"})
    for i in range(n):
        builder.node(str(i), {"flow": np.inf if i == 0 else -1.0 if i == n - 1 else 0.0})
    for (i, j), (g, c) in gain.items():
        event = ev.Conversion({"flow": {"flow": g}})
        builder.arc(str(i), str(j), events=[event], limit={"flow": 1e4}, cost={"cost": {"flow": c}})
    value = [0.0]
    for j in range(1, n):
        value.append(min((c + value[i]) / g for (i, k), (g, c) in gain.items() if k == j))
    solution = solve_network(builder.build())
    assert solution.objective == pytest.approx(value[-1], rel=1e-7)
    assert solution.price(str(n - 1), "flow") == pytest.approx(value[-1], rel=1e-7)


@given(st.data())
def test_multicommodity_flow_with_shared_arcs(data):
    """Two commodities share each arc's width; scipy solves the same problem written down directly."""
    arcs = [(0, 1), (0, 2), (1, 3), (2, 3), (1, 2)]
    width = [data.draw(st.integers(3, 9)) for _ in arcs]
    cost = np.array([[data.draw(st.integers(1, 9)) for _ in arcs] for _ in range(2)], float)
    demand = [data.draw(st.integers(0, 3)) for _ in range(2)]
    slots = [f"slot {a}" for a in range(len(arcs))]
    builder = NetworkBuilder("shared", dict.fromkeys(("a", "b", *slots), "-"), {"cost": "-"})
    for i in range(4):
        supply = {f"slot {a}": float(width[a]) for a, (tail, _) in enumerate(arcs) if tail == i}
        supply |= {"a": 10.0, "b": 10.0} if i == 0 else {}
        supply |= {"a": -float(demand[0]), "b": -float(demand[1])} if i == 3 else {}
        builder.node(str(i), supply)
    for a, (i, j) in enumerate(arcs):
        builder.arc(
            str(i), str(j), carries=["a", "b"], takes={c: {f"slot {a}": 1.0} for c in ("a", "b")},
            cost={"cost": {"a": cost[0, a], "b": cost[1, a]}},
        )  # fmt: skip
    balance = np.zeros((4, len(arcs)))
    for a, (i, j) in enumerate(arcs):
        balance[i, a], balance[j, a] = 1, -1
    supply = np.array([[10, 0, 0, -d] for d in demand], float)
    expected = linprog(
        cost.ravel(),
        A_ub=np.vstack([np.kron(np.eye(2), balance), np.hstack([np.eye(len(arcs))] * 2)]),
        b_ub=np.concatenate([supply.ravel(), width]),
    )
    assume(expected.success)
    assert solve_network(builder.build()).objective == pytest.approx(expected.fun, abs=1e-6)


@given(st.data())
def test_fixed_use_and_expansion_against_enumeration(data):
    """Every choice of open arcs by itself: the mixed program finds the best of them."""
    builder = NetworkBuilder("sites", {"flow": "t"}, {"cost": "$"})
    sites = [
        tuple(float(data.draw(st.integers(low, high))) for low, high in ((0, 9), (0, 6), (0, 3), (0, 20)))
        for _ in range(3)
    ]
    demand = float(data.draw(st.integers(1, 12)))
    builder.node("store", {"flow": np.inf})
    builder.node("town", {"flow": -demand})
    for number, (unit, have, more, fixed) in enumerate(sites):
        builder.arc(
            "store", "town", f"site {number}", capacity={"flow": have}, expansion={"flow": 20.0}, limit={"flow": 30.0},
            cost={"cost": {"flow": unit}}, expansion_cost={"cost": {"flow": more}}, use_cost={"cost": {"flow": fixed}},
        )  # fmt: skip
    best = np.inf
    for chosen in itertools.product([False, True], repeat=3):
        steps = sorted(
            step
            for used, (unit, have, more, _) in zip(chosen, sites, strict=True)
            if used
            for step in ((unit, have), (unit + more, min(20.0, 30.0 - have)))
        )
        left, cost = demand, sum(f for used, (*_, f) in zip(chosen, sites, strict=True) if used)
        for unit, room in steps:
            cost += unit * min(left, room)
            left -= min(left, room)
        if left <= 1e-9:
            best = min(best, cost)
    for form in ("literal", "reduced"):
        solution = solve_network(builder.build(), form=form, rel_gap=0.0)
        assert solution.objective == pytest.approx(best, abs=1e-6)
        assert solution.bounds.upper - solution.bounds.lower <= 1e-5 * max(1, best)


# --- both forms, duality, feasibility -----------------------------------------------------------------------------


@given(rich_networks())
def test_literal_and_reduced_have_one_optimum_and_true_duals(network):
    literal, reduced = solve_network(network, form="literal"), solve_network(network)
    assert literal.objective == pytest.approx(reduced.objective, rel=1e-6, abs=1e-5)
    assert reduced.size["variables"] <= literal.size["variables"]
    for solution in (literal, reduced):
        assert solution.bounds.certified
        assert solution.bounds.gap < 1e-5 or solution.objective < 1e-3
        for block, excess in violation(network, solution.flows.out).items():
            assert excess.max(initial=0) < 1e-5, block
        # Prices are not negative, and nothing that is left over has one.
        assert (solution.prices >= -1e-6).all()
        slack = network.supply - net_outflow(network, solution.flows.out, solution.flows.in_)
        finite = np.isfinite(slack)
        assert np.abs(np.where(finite, slack, 0) * solution.prices).max() < 1e-3
        # What is used has no reduced cost, except at its limit.
        limit, arriving = tight_limits(network)
        inner = (solution.flows.out > 1e-4) & (solution.flows.out < limit - 1e-4)
        inner &= (solution.flows.in_ < arriving - 1e-4).all(axis=1, keepdims=True)
        # What arrives is never negative: that is a limit, too, where a flow takes from another.
        takes = (network.transformation < 0).any(axis=2)
        inner &= ~(takes & (solution.flows.in_ < 1e-4)).any(axis=1, keepdims=True)
        assert np.abs(solution.reduced_costs[inner]).max(initial=0) < 1e-4
    scale = max(1.0, abs(reduced.objective))
    assert sum(c * w for c, w in zip(reduced.criteria.values(), (1, 0), strict=True)) == pytest.approx(
        reduced.objective, abs=1e-6 * scale
    )


@given(rich_networks(mixed=True))
def test_literal_and_reduced_mixed_programs_have_one_optimum(network):
    weights = {"cost": 1.0, "carbon": 0.5}
    literal = solve_network(network, weights, form="literal", rel_gap=1e-7)
    reduced = solve_network(network, weights, rel_gap=1e-7)
    assert literal.objective == pytest.approx(reduced.objective, rel=1e-5, abs=1e-4)
    for solution in (literal, reduced):
        total = sum(weights[name] * value for name, value in solution.criteria.items())
        assert total == pytest.approx(solution.objective, rel=1e-9, abs=1e-9)
    flows = reduced.flows
    assert (flows.out <= network.out.capacity + flows.expansion_out + 1e-5).all()
    assert (flows.in_ <= network.in_.capacity + flows.expansion_in + 1e-5).all()
    limit, arriving = tight_limits(network)
    assert (flows.in_ <= np.where(np.isfinite(arriving), arriving, 0) * flows.use + 1e-5).all()
    assert (flows.out <= np.where(np.isfinite(limit), limit, 0) * flows.use + 1e-5).all()


def test_a_price_is_the_cost_of_one_unit_more():
    network = small(mixed=False)
    base = solve_network(network)
    for demand in (10.5, 11.0):
        more = solve_network(network.with_supply({("town", "water"): -demand}))
        assert more.objective - base.objective == pytest.approx((demand - 10) * base.price("town", "water"))
    assert base.price("town", "water") > 0


def test_prices_of_a_mixed_network_hold_its_binaries_fixed():
    network = small(mixed=True)
    base = solve_network(network, rel_gap=0.0)
    more = solve_network(network.with_supply({("town", "water"): -10.5}), rel_gap=0.0)
    assert more.objective - base.objective == pytest.approx(0.5 * base.price("town", "water"))
    assert base.flows.use[network.arc("pipe"), 0] == 1


def test_graph_and_tables_say_the_same():
    solution = solve_network(small(mixed=True), rel_gap=0.0)
    graph = solution.to_networkx()
    assert isinstance(graph, nx.MultiDiGraph)
    assert set(graph.nodes) == {"sea", "town"}
    pipe = graph.edges["sea", "town", "pipe"]
    row = solution.table.set_index(["arc", "commodity"]).loc[("pipe", "water")]
    assert pipe["outflow"]["water"] == row["outflow"] == solution.outflow("pipe", "water")
    assert pipe["inflow"]["water"] == pytest.approx(0.8 * row["outflow"])
    assert pipe["inflow"]["water"] == pytest.approx(10)
    assert graph.nodes["town"]["supply"] == {"water": -10.0}
    assert graph.nodes["town"]["price"]["water"] == solution.price("town", "water")
    assert row["expansion"] == pytest.approx(12.5 - 4)
    assert set(solution.price_table.columns) == {"node", "commodity", "unit", "supply", "price"}


def test_flows_without_limits_give_no_certificate():
    builder = NetworkBuilder("open", {"flow": "t"}, {"cost": "$"})
    builder.node("a", {"flow": np.inf})
    builder.node("b", {"flow": -1.0})
    builder.arc("a", "b", cost={"cost": {"flow": 0.1}}, events=[ev.Conversion({"flow": {"flow": 1 / 3}})])
    solution = solve_network(builder.build())
    assert solution.objective == pytest.approx(0.3)
    assert not solution.bounds.certified
    assert "not certified" in solution.termination.detail


@pytest.mark.parametrize("form", ["literal", "reduced"])
def test_a_network_that_wants_nothing_does_nothing(form):
    builder = NetworkBuilder("idle", {"flow": "t"}, {"cost": "$"})
    builder.node("a", {"flow": np.inf})
    builder.node("b")
    builder.arc("a", "b", cost={"cost": {"flow": 1.0}}, limit={"flow": 5.0})
    solution = solve_network(builder.build(), form=form)
    assert solution.objective == 0
    assert solution.table.empty
    assert not solution.to_networkx().edges


# --- what is wrong is named ---------------------------------------------------------------------------------------


def _pair():
    builder = NetworkBuilder("pair", {"water": "t", "power": "MWh"}, {"cost": "$"})
    builder.node("a", {"water": 5.0})
    builder.node("b", {"water": -2.0})
    return builder


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda b: b.arc("a", "c"), "node: must be one of a, b, got 'c'"),
        (lambda b: b.node("a"), "nodes: must be unique names, got 'a' twice"),
        (lambda b: b.node("c", {"wter": 1.0}), "supply of 'c': must name commodities of water, power, got 'wter'"),
        (lambda b: (b.arc("a", "b"), b.arc("a", "b")), "arcs: must be unique names, got 'a→b' twice"),
        (lambda b: b.arc("a", "b", cost={"price": {"water": 1}}), "must name criteria of cost, got 'price'"),
        (lambda b: b.arc("a", "b", carries=["oil"]), "commodity: must be one of water, power, got 'oil'"),
        (lambda b: b.arc("a", "b", limit={"water": -1}), "out.limit: must be >= 0, got -1.0 on arc 'a→b'"),
        (lambda b: b.arc("a", "b", capacity={"water": float("nan")}), "out.capacity: must be >= 0, got nan"),
        (lambda b: b.arc("a", "b", takes={"water": {"power": np.inf}}), "out.requirement: must be finite"),
        (lambda b: b.arc("a", "b", cost={"cost": {"water": np.inf}}), "criterion cost.out: must be finite"),
        (lambda b: b.arc("a", "b", duration=-1), "duration: must be finite and >= 0"),
        (lambda b: (b.node("c", {"water": -np.inf}), b.arc("a", "b")), "supply: must be a number or inf, got -inf"),
        (lambda b: None, "arcs: must have at least one name, got none"),
    ],
)
def test_builder_names_what_is_wrong(wrong, message):
    def make():
        builder = _pair()
        wrong(builder)
        return builder.build()

    with pytest.raises(InputError, match=message):
        make()


def test_shapes_are_checked():
    network = small(mixed=False)
    with pytest.raises(InputError, match=r"supply: must have shape \(2, 2\), got \(3, 2\)"):
        network.replace(supply=np.zeros((3, 2)))
    with pytest.raises(InputError, match=r"transformation: must have shape \(2, 2, 2\)"):
        network.replace(transformation=np.eye(2))
    with pytest.raises(InputError, match="head: must be node numbers 0 to 1"):
        network.replace(head=np.array([0, 7]))
    with pytest.raises(InputError, match="arc: must be one of pipe"):
        network.arc("pip")


def test_unreachable_demand_is_named():
    builder = _pair()
    builder.arc("a", "b", takes={"water": {"power": 0.1}})
    with pytest.raises(InputError, match="demands must be reachable from a supply, got none for water at b"):
        solve_network(builder.build())
    builder = _pair()
    builder.node("c", {"power": -1.0})
    builder.arc("a", "b")
    builder.arc("b", "c", carries=["water"])
    with pytest.raises(InputError, match=r"got none for power at c$"):
        solve_network(builder.build())


def test_conflicting_demands_are_named_and_innocent_ones_are_not():
    builder = NetworkBuilder("scarce", {"water": "t"}, {"cost": "$"})
    for name, supply in {"spring": 5.0, "well": 9.0, "x": -3.0, "y": -4.0, "z": -2.0}.items():
        builder.node(name, {"water": supply})
    for tail, head in (("spring", "x"), ("spring", "y"), ("well", "z")):
        builder.arc(tail, head)
    network = builder.build()
    found = conflict(network)
    assert {d.node for d in found.demands} == {"x", "y"}
    assert [s.node for s in found.supplies] == ["spring"]
    assert found.method == "irreducible"
    # All of x and 2 of y are met: half of y is the least sum of unmet shares.
    assert sum(found.shortfall.values()) == pytest.approx(2.0)
    with pytest.raises(InputError, match="cannot be met together: 3 t of water at x, 4 t of water at y"):
        solve_network(network)
    assert conflict(network.with_supply({("spring", "water"): 7.0})) is None


def test_a_limit_that_nothing_meets_is_a_conflict():
    network = small(mixed=False)
    least = solve_network(network).objective
    with pytest.raises(InputError, match="10 t of water at town"):
        solve_network(network, limits={"cost": least / 2})


def test_use_costs_need_limits():
    builder = _pair()
    builder.arc("a", "b", use_cost={"cost": {"water": 1.0}})
    for form in ("literal", "reduced"):
        with pytest.raises(InputError, match="limit: must be finite where use has a cost, got inf on arc 'a→b'"):
            assemble(builder.build(), form=form)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": {"money": 1.0}}, "criterion: must be one of cost, got 'money'"),
        ({"weights": {"cost": -1.0}}, "weight of cost: must be >= 0, got -1.0"),
        ({"weights": {"cost": 0.0}}, "weights: must have one that is > 0, got none"),
        ({"form": "dense"}, "form: must be one of literal, reduced, got 'dense'"),
        ({"rel_gap": 2.0}, r"rel_gap: must be in \[0, 1\), got 2.0"),
        ({"time_limit": 0.0}, "time_limit: must be > 0 seconds, got 0.0"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InputError, match=message):
        solve_network(small(mixed=True), **options)


def test_limits_are_carried_through_the_transformation():
    builder = NetworkBuilder("limits", {"ore": "t", "metal": "t"}, {"cost": "$"})
    builder.node("a")
    builder.node("b")
    becomes = ev.Conversion({"ore": {"metal": 0.5}, "metal": {}})
    builder.arc("a", "b", "open", events=[becomes], limit={"ore": 30.0, "metal": 7.0})
    builder.arc(
        "a", "b", "narrow", events=[becomes], limit={"ore": 30.0}, capacity={"ore": 8.0}, expansion={"ore": 4.0}
    )
    builder.arc("a", "b", "arrival", events=[becomes], limit={"ore": 30.0})
    network = builder.build()
    arriving = network.in_.limit.copy()
    arriving[2, 1] = 5.0
    out, in_ = tight_limits(network.replace(in_=replace(network.in_, limit=arriving)))
    assert out[:, 0].tolist() == [30.0, 12.0, 10.0]
    assert in_.tolist() == [[0.0, 15.0], [0.0, 6.0], [0.0, 5.0]]


def test_gurobi_agrees():
    pytest.importorskip("gurobipy")
    network = small(mixed=True)
    theirs, ours = (solve_network(network, rel_gap=0.0, solver=s) for s in ("gurobi", "highs"))
    assert theirs.objective == pytest.approx(ours.objective, rel=1e-9)
    assert theirs.solver.startswith("gurobi")
    np.testing.assert_allclose(theirs.prices, ours.prices, atol=1e-7)


def test_names_of_the_package_are_there():
    import stochisru.networks as package

    assert all(getattr(package, name).__doc__ for name in package.__all__)
    assert set(package.__all__) == set(dir(package))
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = package.nothing


# --- closing, forcing ---------------------------------------------------------------------------------------------


def test_closed_and_forced_arcs():
    builder = NetworkBuilder("two pipes", {"water": "t"}, {"cost": "$"})
    builder.node("a", {"water": 50.0})
    builder.node("b", {"water": -10.0})
    for name, fixed in (("cheap", 1.0), ("dear", 5.0)):
        builder.arc("a", "b", name, limit={"water": 20.0}, use_cost={"cost": {"water": fixed}})
    network = builder.build()

    def value(n):
        solution = solve_network(n, rel_gap=0.0)
        assert solution.criteria["cost"] == pytest.approx(solution.objective)  # closed arcs are not paid for
        return solution.objective

    assert value(network) == pytest.approx(1)
    assert value(network.closed(np.array([network.arc("cheap")]))) == pytest.approx(5)
    assert value(network.forced(np.array([network.arc("dear")]), "water")) == pytest.approx(5)
    both = network.forced(np.array([0, 1]), "water")
    assert value(both) == pytest.approx(6)
    assert solve_network(both, form="literal", rel_gap=0.0).objective == pytest.approx(6)


# --- fronts -------------------------------------------------------------------------------------------------------


def _two_ways():
    """Three plants of (cost, carbon) 1/9, 4/4, 9/1 per unit of a demand of one, each at most 0.6 of it."""
    builder = NetworkBuilder("ways", {"power": "MWh"}, {"cost": "$", "carbon": "t"})
    builder.node("fuel", {"power": np.inf})
    builder.node("town", {"power": -1.0})
    for name, (cost, carbon) in {"coal": (1.0, 9.0), "gas": (4.0, 4.0), "sun": (9.0, 1.0)}.items():
        builder.arc(
            "fuel", "town", name, limit={"power": 0.6}, cost={"cost": {"power": cost}, "carbon": {"power": carbon}}
        )
    return builder.build()


def test_epsilon_front_is_the_known_one():
    front = epsilon_front(_two_ways(), {"cost": 1}, {"carbon": 1}, points=9)
    # Cheapest: 0.6 coal and 0.4 gas; cleanest: 0.6 sun and 0.4 gas; between them swap coal, then gas, for the cleaner.
    assert front.points[-1].first == pytest.approx(0.6 * 1 + 0.4 * 4)
    assert front.points[0].second == pytest.approx(0.6 * 1 + 0.4 * 4)
    for point in front.points:
        assert point.second <= point.parameter * (1 + 1e-9)
        assert point.first == pytest.approx(_cheapest(point.parameter), rel=1e-6)
    assert front.points[-1].second == pytest.approx(front.points[-1].parameter)  # no limit beyond where it is free
    assert all(front.efficient)
    assert list(front.to_frame().columns) == ["limit", "first", "second", "gap", "efficient"]


def _cheapest(carbon):
    """Least cost under a limit of carbon, written down for scipy."""
    found = linprog(
        [1, 4, 9], A_ub=[[9, 4, 1]], b_ub=[carbon * (1 + 1e-12)], A_eq=[[1, 1, 1]], b_eq=[1], bounds=(0, 0.6)
    )
    return found.fun


def test_weighted_front_is_efficient_and_ordered():
    front = weighted_front(_two_ways(), {"cost": 1}, {"carbon": 1}, [0.99, 0.5, 0.01])
    cost, carbon = [p.first for p in front.points], [p.second for p in front.points]
    assert cost == sorted(cost)
    assert carbon == sorted(carbon, reverse=True)
    assert all(front.efficient)
    with pytest.raises(InputError, match=r"weights: must be in \[0, 1\]"):
        weighted_front(_two_ways(), {"cost": 1}, {"carbon": 1}, [2.0])
    with pytest.raises(InputError, match="points: must be >= 2"):
        epsilon_front(_two_ways(), {"cost": 1}, {"carbon": 1}, points=1)


def test_dominated_points_are_seen():
    front = weighted_front(_two_ways(), {"cost": 1}, {"carbon": 1}, [0.99, 0.5])
    good = front.points[0]
    worse = type(good)(0.0, good.first + 1, good.second + 1, good.solution)
    assert type(front)("weight", (*front.points, worse)).efficient == (True, True, False)


# --- time ---------------------------------------------------------------------------------------------------------


def _ship(duration=1.0):
    builder = NetworkBuilder("ship", {"plant": "t", "oxygen": "t"}, {"mass": "t"})
    builder.node("earth", {"plant": np.inf, "oxygen": np.inf})
    builder.node("moon", {"oxygen": -12.0})
    everything = {"plant": 100.0, "oxygen": 100.0}
    builder.arc(
        "earth", "moon", "ship", limit=everything, cost={"mass": {"plant": 1.0, "oxygen": 1.0}}, duration=duration
    )
    builder.arc(
        "moon", "moon", "work", events=[ev.Production("plant", {"oxygen": 2.0}, {}, remains=1.0)], carries=["plant"],
        limit=everything, duration=1.0,
    )  # fmt: skip
    network = builder.build()
    return with_storage(network, ["moon"], np.eye(2)[None], np.array([[0.0, 100.0]]))


@pytest.mark.parametrize("steps", [2, 3, 4, 7])
def test_plants_work_only_after_they_arrived(steps):
    """Plant sent at step 0 arrives at 1 and gives 2 per step until the last: steps − 2 times; or oxygen is sent."""
    solution = solve_network(expand(_ship(), steps, demand_steps=[steps - 1]).network)
    worked = steps - 2
    assert solution.objective == pytest.approx(12 / max(1, 2 * worked))


def test_expansion_copies_arcs_nodes_and_rows():
    base = small(mixed=False)
    expanded = expand(base, 3, demand_steps=[0, 2], windows={"pipe": [0, 2]})
    network = expanded.network
    assert network.n_nodes == 6
    assert sorted(zip(expanded.arc, expanded.departure, strict=True)) == [(0, 0), (0, 2), (1, 0), (1, 1), (1, 2)]
    assert network.out.concurrency_arc.size == 2
    single = solve_network(base)
    solution = solve_network(network)
    assert solution.objective == pytest.approx(2 * single.objective)
    table = expanded.table(solution)
    assert set(table[table["arc"] == "pipe"]["departure"]) == {0, 2}
    assert expanded.node("town", 2) == "town @2"
    with pytest.raises(InputError, match=r"step: must be in 0..2, got 3"):
        expanded.node("town", 3)


def test_expansion_refuses_what_it_cannot_do():
    with pytest.raises(InputError, match=r"duration: must be whole steps, got 0.5"):
        expand(_ship(0.5), 3, demand_steps=[2])
    with pytest.raises(InputError, match=r"demand_steps: must be in 0..2, got \[3\]"):
        expand(_ship(), 3, demand_steps=[3])
    with pytest.raises(InputError, match="steps: must be >= 1"):
        expand(_ship(), 0, demand_steps=[0])
    with pytest.raises(InputError, match="arc: must be one of"):
        expand(_ship(), 3, demand_steps=[2], windows={"shp": [0]})
    with pytest.raises(InputError, match="none for oxygen at moon @0"):
        solve_network(expand(_ship(), 2, demand_steps=[0]).network)


# --- recourse -----------------------------------------------------------------------------------------------------


def _two_lines(reserve):
    builder = NetworkBuilder("lines", {"water": "t"}, {"cost": "$"})
    builder.node("sea", {"water": np.inf})
    builder.node("town", {"water": -10.0})
    for name, fixed in (("line", 5.0), ("reserve", reserve)):
        builder.arc(
            "sea", "town", name, limit={"water": 20.0}, cost={"cost": {"water": 1.0}},
            use_cost={"cost": {"water": fixed}},
        )  # fmt: skip
    return builder.build()


@given(st.floats(0.05, 0.95), st.floats(1, 200), st.floats(0, 30))
def test_recourse_builds_the_reserve_when_it_pays(probability, reserve, price):
    """By hand: without the reserve 10 t stay unmet while the line has failed, if delivery is worth its unit cost."""
    failures = [Failure("normal", 1 - probability), Failure("line lost", probability, ("line",))]
    found = solve_with_failures(_two_lines(reserve), failures, unmet_price={"water": price}, rel_gap=0.0)
    nothing = 10 * price
    one = 5 + (1 - probability) * 10 * min(1, price) + probability * 10 * price
    other = reserve + 10 * min(1, price)
    both = 5 + reserve + 10 * min(1, price)
    assert found.objective == pytest.approx(min(nothing, one, other, both), rel=1e-6)
    unmet = [found.unmet[f.name].sum() for f in failures]
    assert unmet[0] <= unmet[1] + 1e-6
    if len({round(v, 3) for v in (nothing, one, other, both)}) == 4 and min(nothing, one, other, both) == one:
        assert unmet[1] == pytest.approx(10)


def test_recourse_lies_between_wait_and_see_and_the_nominal_plan():
    network, price = _two_lines(20.0), {"water": 9.0}
    failures = [Failure("normal", 0.8), Failure("line lost", 0.2, ("line",))]
    found = solve_with_failures(network, failures, unmet_price=price, rel_gap=0.0)
    alone = [
        solve_with_failures(network, [Failure(f.name, 1.0, f.lost)], unmet_price=price, rel_gap=0.0).objective
        for f in failures
    ]
    assert 0.8 * alone[0] + 0.2 * alone[1] <= found.objective + 1e-6
    nominal = 0.8 * alone[0] + 0.2 * (5 + 10 * 9)
    assert found.objective <= nominal + 1e-6
    certain = solve_network(network, rel_gap=0.0).objective
    assert alone[0] == pytest.approx(certain)
    frame = found.to_frame()
    assert list(frame["scenario"]) == ["normal", "line lost"]


def test_scenarios_are_checked():
    network = _two_lines(1.0)
    for failures, message in (
        ([Failure("a", 0.5)], "probabilities >= 0 that sum to 1, got a sum of 0.5"),
        ([Failure("a", 0.5), Failure("a", 0.5)], "of different names"),
        ([], "of different names, got none"),
        ([Failure("a", 1.0, ("pipe",))], "arc: must be one of"),
    ):
        with pytest.raises(InputError, match=message):
            solve_with_failures(network, failures, unmet_price={"water": 1.0})
    with pytest.raises(InputError, match="unmet_price of water: must be >= 0"):
        solve_with_failures(network, [Failure("a", 1.0)], unmet_price={"water": -1.0})


# --- files and the command ----------------------------------------------------------------------------------------

TOML = """
name = "pipe"
[commodities]
water = "m3/day"
power = "kWh/day"
[criteria]
cost = "USD/day"
co2 = "kg/day"
[nodes.plant]
water = inf
power = 9000
[nodes.city]
water = -10_000
[[arcs]]
tail = "plant"
head = "city"
events = [{ event = "LineLoss", rate_per_km = { water = 5e-4 }, km = 30 }]
takes = { water = { power = 0.5 } }
limit = { water = 20000, power = 0 }
cost = { cost = { water = 1.5 }, co2 = { water = 2 } }
"""


def test_toml_and_csv_are_the_builder(tmp_path):
    file = tmp_path / "pipe.toml"
    file.write_text(TOML)
    solution = solve_network(load_network(file))
    assert solution.objective == pytest.approx(1.5 * 10_000 / 0.985)
    assert solution.criteria["co2"] == pytest.approx(2 * 10_000 / 0.985)
    folder = tmp_path / "net"
    folder.mkdir()
    head = TOML.split("[nodes.plant]")[0]
    (folder / "network.toml").write_text(head)
    (folder / "nodes.csv").write_text("node,commodity,supply\nplant,water,inf\ncity,water,-10000\nidle,,\n")
    (folder / "arcs.csv").write_text(
        "arc,tail,head,commodity,gain,capacity,limit,expansion\n,plant,city,water,0.985,,20000,\n"
    )
    (folder / "costs.csv").write_text(
        "arc,commodity,criterion,kind,value\nplant→city,water,cost,cost,1.5\nplant→city,water,co2,cost,2\n"
    )
    listed = load_network(folder)
    assert listed.nodes == ("plant", "city", "idle")
    assert solve_network(listed).objective == pytest.approx(solution.objective)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[commodities]", "[commodity]", "unknown key 'commodity'"),
        ('"LineLoss"', '"LineLost"', "event: must be one of LineLoss"),
        ("km = 30", "miles = 30", "LineLoss: must have the fields rate_per_km, km, got rate_per_km, miles"),
        ('tail = "plant"', "", r"arcs\[0\]: tail: must be the name of a node, got None"),
        ("limit", "limits", r"arcs\[0\]: unknown key 'limits'"),
        ("-10_000", '"much"', "nodes.city.water: must be a number, got 'much'"),
        ("-10_000", "true", "nodes.city.water: must be a number, got True"),
        ("name =", "name", "not TOML"),
        ('head = "city"', 'head = "town"', "node: must be one of plant, city, got 'town'"),
    ],
)
def test_bad_files_are_refused_by_field(tmp_path, old, new, message):
    file = tmp_path / "pipe.toml"
    assert old in TOML
    file.write_text(TOML.replace(old, new))
    with pytest.raises(InputError, match=message):
        load_network(file)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("nodes.csv", "node,supply\n", "nodes.csv: must have the columns node, commodity, supply"),
        ("nodes.csv", "node,commodity,supply\na,water,x\n", "nodes.csv: line 2: supply: must be a number"),
        ("costs.csv", "arc,commodity,criterion,kind,value\nq,water,cost,cost,1\n", "one of arcs.csv, got 'q'"),
        ("costs.csv", "arc,commodity,criterion,kind,value\nq,water,cost,price,1\n", "line 2: kind: must be one of"),
        (
            "arcs.csv",
            "arc,tail,head,commodity,gain,capacity,limit,expansion\nx,plant,city,water,,,\n",
            "arcs.csv: line 2: must have 8 cells",
        ),
    ],
)
def test_bad_tables_are_refused_by_line(tmp_path, name, text, message):
    (tmp_path / "network.toml").write_text(TOML)
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=message):
        load_network(tmp_path)


def test_the_command_solves_a_network(run_cli, tmp_path):
    (tmp_path / "pipe.toml").write_text(TOML)
    data = json.loads(run_cli("network", "solve", "pipe.toml", "--json", "-", check=0).stdout)
    assert {"objective", "bounds", "flows", "prices", "size", "criteria"} <= set(data)
    assert data["bounds"]["lower"] <= data["objective"] <= data["bounds"]["upper"]
    by = run_cli("network", "solve", "pipe.toml", "--weight", "co2=1", "--form", "literal", check=0)
    assert "20,304.6 kg/day" in by.stdout
    run_cli("network", "solve", "pipe.toml", "--export", "p.lp", check=0)
    assert "balance(plant,power)" in (tmp_path / "p.lp").read_text()
    for arguments, message in (
        (("--weight", "co2"), "weight: must be CRITERION=NUMBER, got 'co2'"),
        (("--weight", "money=1"), "criterion: must be one of cost, co2, got 'money'"),
        (("--limit", "cost=1"), "demands cannot be met together: 10000 m3/day of water at city"),
    ):
        bad = run_cli("network", "solve", "pipe.toml", *arguments, check=2)
        assert message in bad.stderr
        assert bad.stderr.count("\n") == 1


PIPE = """
name = "pipe"
[commodities]
water = "m3/day"
[criteria]
cost = "USD/day"
[nodes.plant]
water = inf
[nodes.city]
water = -10_000
[[arcs]]
tail = "plant"
head = "city"
cost = { cost = { water = 1.5 } }
"""


def test_every_key_of_an_arc_has_a_shape():
    from stochisru.networks import files

    assert set(files._SHAPES) == files._ARC_KEYS


@pytest.mark.parametrize("value", ["3", '"x"', "[1]", "{ water = 'x' }", "{ cost = 3 }", "true"])
@pytest.mark.parametrize(
    "key",
    ["events", "takes", "concurrency_out", "carries", "capacity", "limit", "arrival_cost", "use_cost", "duration"],
)
def test_wrong_shapes_are_refused_in_one_line(tmp_path, key, value):
    file = tmp_path / "pipe.toml"
    file.write_text(PIPE + f"{key} = {value}\n", encoding="utf-8")
    if (key, value) == ("duration", "3"):
        load_network(file)
        return
    with pytest.raises(InputError, match=rf"pipe.toml: arcs\[0\]: {key}|pipe.toml: arcs\[0\]\.{key}") as caught:
        load_network(file)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("fields", ["rate_per_km = 3, km = 1", 'rate_per_km = { water = 1 }, km = "x"', "km = 1"])
def test_wrong_fields_of_an_event_are_refused(tmp_path, fields):
    file = tmp_path / "pipe.toml"
    file.write_text(PIPE + f'events = [{{ event = "LineLoss", {fields} }}]\n', encoding="utf-8")
    with pytest.raises(InputError, match=r"pipe.toml: arcs\[0\]\.events: LineLoss"):
        load_network(file)


def test_without_limits_no_bound_from_below_is_claimed(tmp_path):
    file = tmp_path / "pipe.toml"
    file.write_text(PIPE, encoding="utf-8")
    data = solve_network(load_network(file)).to_dict()
    assert data["objective"] == pytest.approx(15_000)
    assert data["bounds"]["certified"] is False
    assert data["bounds"]["lower"] is None
    assert data["bounds"]["gap"] is None


# --- ties at the ends of a front


@pytest.mark.parametrize("mixed", [False, True])
def test_ends_of_a_front_are_not_dominated(mixed):
    """Two arcs of equal emissions and two of equal cost: the other criterion chooses, at both ends, in every method."""
    builder = NetworkBuilder("ties", {"water": "m3/day"}, {"cost": "USD/day", "co2": "kg/day"})
    builder.node("plant", {"water": 100})
    builder.node("city", {"water": -10})
    for name, cost, co2 in (("dear", 9, 1), ("clean", 4, 1), ("cheap", 1, 3), ("cheap and dirty", 1, 8)):
        fixed = {"use_cost": {"cost": {"water": 0.5}}} if mixed else {}
        builder.arc(
            "plant", "city", name, limit={"water": 50}, cost={"cost": {"water": cost}, "co2": {"water": co2}}, **fixed
        )
    network, extra = builder.build(), 0.5 * mixed
    clean, cheap = (40 + extra, 10), (10 + extra, 30)
    for first, second, want in (("co2", "cost", clean), ("cost", "co2", cheap)):
        found = lexicographic(network, {first: 1}, {second: 1})
        assert (found.criteria["cost"], found.criteria["co2"]) == pytest.approx(want, rel=1e-5)
        assert found.objective == pytest.approx(found.criteria[first])
        assert found.bounds.lower <= found.objective <= found.bounds.lower * (1 + 2e-6)
    front = weighted_front(network, {"cost": 1}, {"co2": 1}, [0, 0.5, 1])
    assert [(p.first, p.second) for p in front.points][::2] == [
        pytest.approx(clean, rel=1e-5),
        pytest.approx(cheap, rel=1e-5),
    ]
    limits = epsilon_front(network, {"cost": 1}, {"co2": 1}, 2)
    assert limits.points[-1].parameter == pytest.approx(30, rel=1e-5)  # not 80
    assert limits.points[-1].first == pytest.approx(cheap[0], rel=1e-5)


def three_criteria():
    """Four ways of equal emissions; two of them of equal cost, which differ in land."""
    builder = NetworkBuilder("three", {"water": "m3/day"}, {"co2": "kg/day", "cost": "USD/day", "land": "m2"})
    builder.node("plant", {"water": 100})
    builder.node("city", {"water": -10})
    for name, cost, land in (("dear", 9, 1), ("wide", 2, 7), ("narrow", 2, 3), ("tunnel", 4, 0)):
        builder.arc(
            "plant",
            "city",
            name,
            limit={"water": 50},
            cost={"co2": {"water": 1}, "cost": {"water": cost}, "land": {"water": land}},
            use_cost={"cost": {"water": 0.5}},
        )
    return builder.build()


def test_ties_are_broken_by_one_objective_after_the_other():
    network = three_criteria()
    found = lexicographic(network, {"co2": 1}, {"cost": 1}, {"land": 1})
    assert found.criteria == pytest.approx({"co2": 10, "cost": 20.5, "land": 30}, rel=1e-4)
    found = lexicographic(network, {"co2": 1}, {"land": 1}, {"cost": 1})
    assert found.criteria == pytest.approx({"co2": 10, "cost": 40.5, "land": 0}, rel=1e-4, abs=1e-3)
    found = lexicographic(network, {"co2": 1}, {"cost": 1}, {"land": 1}, limits={"land": 15})
    assert found.criteria == pytest.approx({"co2": 10, "cost": 31, "land": 15}, rel=1e-4)
    assert found.termination.reason == "optimal"


@pytest.mark.parametrize("ended", ["without a solution", "with one"])
def test_a_time_limit_in_breaking_ties_keeps_the_first_solution_and_is_said(monkeypatch, ended):
    network = three_criteria()
    first = solve_network(network, {"co2": 1})
    solve, calls = pareto.solve_network, []

    def late(*args, **kwargs):
        calls.append(args[1])
        if len(calls) == 1:
            return solve(*args, **kwargs)
        if ended == "without a solution":
            raise TimeLimitError("highs ended with status 'Time limit reached' before a solution was found")
        found = solve(*args, **kwargs)
        return replace(found, termination=replace(found.termination, limit="time"))

    monkeypatch.setattr(pareto, "solve_network", late)
    found = lexicographic(network, {"co2": 1}, {"cost": 1}, {"land": 1})
    assert found.objective == pytest.approx(first.objective, rel=2e-6)
    assert (found.termination.reason, found.termination.limit) == ("limit", "time")
    assert "ties of the first objective are not broken" in found.termination.detail
    if ended == "without a solution":
        assert (found.flows.out == first.flows.out).all()
        assert len(calls) == 2
    else:
        assert found.criteria["cost"] == pytest.approx(20.5, rel=1e-4)


def test_an_objective_without_a_least_value_breaks_no_ties():
    builder = NetworkBuilder("rent", {"water": "m3/day"}, {"cost": "USD/day", "rent": "USD/day"})
    builder.node("plant", {"water": math.inf})
    builder.node("city", {"water": -10})
    builder.arc("plant", "city", cost={"cost": {"water": 1}, "rent": {"water": 0}})
    builder.node("sea")
    builder.arc("plant", "sea", cost={"rent": {"water": -1}})  # water may go round for ever
    builder.arc("sea", "plant")
    network = builder.build()
    found = lexicographic(network, {"cost": 1}, {"rent": 1})
    assert found.objective == pytest.approx(10)
    with pytest.raises(InputError, match="is unbounded"):
        lexicographic(network, {"rent": 1}, {"cost": 1})


def test_the_command_breaks_ties_by_what_has_no_weight(run_cli, tmp_path):
    """A second pipe of equal emissions at twice the cost, listed first: without a tie-break it may be taken."""
    head, arc = TOML.split("[[arcs]]")
    dear = arc.replace('head = "city"', 'head = "city"\nname = "dear"').replace(
        "cost = { water = 1.5 }", "cost = { water = 3 }"
    )
    (tmp_path / "two.toml").write_text(f"{head}[[arcs]]{dear}[[arcs]]{arc}")
    data = json.loads(run_cli("network", "solve", "two.toml", "--weight", "co2=1", "--json", "-", check=0).stdout)
    assert data["criteria"]["co2"] == pytest.approx(2 * 10_000 / 0.985, rel=2e-6)
    assert data["criteria"]["cost"] == pytest.approx(1.5 * 10_000 / 0.985, rel=1e-5)
