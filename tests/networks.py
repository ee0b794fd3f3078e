"""Networks for tests: random ones for properties, small ones for golden files."""

from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from stochisru.networks.builder import NetworkBuilder
from stochisru.networks.events import Conversion, LineLoss, Production


def small(mixed):
    """Two nodes, a lossy arc with power for its pump, a plant; with expansion and use where ``mixed``."""
    builder = NetworkBuilder("small", {"water": "t", "power": "MWh"}, {"cost": "$"})
    builder.node("sea", {"water": 100.0, "power": 30.0})
    builder.node("town", {"water": -10.0})
    more = {"capacity": {"water": 4.0}, "expansion": {"water": 16.0}, "limit": {"water": 20.0, "power": 50.0}}
    builder.arc(
        "sea",
        "town",
        "pipe",
        events=[LineLoss({"water": 0.1}, 2)],
        takes={"water": {"power": 0.5}},
        concurrency_out=[{"power": 1.0, "water": -0.25}],
        concurrency_in=[{"water": 1.0, "power": -8.0}],
        cost={"cost": {"water": 2.0}},
        arrival_cost={"cost": {"power": 1.0}},
        **({**more, "expansion_cost": {"cost": {"water": 3.0}}, "use_cost": {"cost": {"water": 7.0}}} if mixed else {}),
    )
    builder.arc(
        "sea", "sea", "plant", events=[Production("power", {"water": 1.5}, {})], limit={"water": 5.0, "power": 5.0}
    )
    return builder.build()


@st.composite
def plain_networks(draw, max_nodes=6):
    """A connected directed graph with whole capacities, costs and demands: what networkx can solve."""
    n = draw(st.integers(2, max_nodes))
    builder = NetworkBuilder("plain", {"flow": "-"}, {"cost": "-"})
    demand = [draw(st.integers(-8, 8)) for _ in range(n - 1)]
    demand.append(-sum(demand))
    for i in range(n):
        builder.node(str(i), {"flow": float(-demand[i])})
    arcs = []
    for i in range(n):  # a dear ring that can carry everything keeps it feasible
        arcs.append((i, (i + 1) % n, 100, 50))
    pairs = [(i, j) for i in range(n) for j in range(n) if i != j]
    for i, j in draw(st.lists(st.sampled_from(pairs), max_size=12)):
        arcs.append((i, j, draw(st.integers(0, 9)), draw(st.integers(0, 20))))
    for number, (i, j, capacity, cost) in enumerate(arcs):
        builder.arc(str(i), str(j), f"a{number}", limit={"flow": float(capacity)}, cost={"cost": {"flow": float(cost)}})
    return builder.build(), arcs, demand


@st.composite
def rich_networks(draw, mixed=False):
    """Layers of nodes with gains, conversions, requirements, concurrency; every demand can be bought dearly."""
    amount = lambda low, high: draw(st.floats(low, high).map(lambda x: round(x, 2)))  # noqa: E731
    commodities = ("ore", "metal", "power")
    builder = NetworkBuilder("rich", dict.fromkeys(commodities, "t"), {"cost": "$", "carbon": "t"})
    n = draw(st.integers(2, 4))
    builder.node("market", dict.fromkeys(commodities, np.inf))
    for i in range(n):
        builder.node(f"n{i}", {"metal": -amount(0, 10)} if i else {"ore": amount(0, 20)})
    everything = dict.fromkeys(commodities, 60.0)
    for i in range(n):
        builder.arc(
            "market", f"n{i}", limit=everything,
            cost={"cost": dict.fromkeys(commodities, 20.0 + i), "carbon": {"metal": 1.0}},
        )  # fmt: skip
    for i in range(n):
        builder.arc(
            f"n{i}",
            f"n{i}",
            f"smelter {i}",
            events=[Conversion({"ore": {"metal": amount(0.1, 0.9)}})],
            takes={"ore": {"power": amount(0, 2)}},
            carries=["ore"],
            limit=everything,
            cost={"cost": {"ore": amount(0, 5)}, "carbon": {"ore": amount(0, 3)}},
            use_cost={"cost": {"metal": amount(0, 9)}} if mixed else None,  # an arrival alone
        )
        for j in range(n):
            if i == j or draw(st.booleans()):
                continue
            more = {}
            if mixed:
                more = {
                    "capacity": {"metal": amount(0, 4)},
                    "expansion": {"metal": 20.0},
                    "expansion_cost": {"cost": {"metal": amount(0, 2)}},
                    "use_cost": {"cost": {"metal": amount(0, 9), "ore": amount(0, 9)}},
                }
            builder.arc(
                f"n{i}",
                f"n{j}",
                events=[Production("power", {}, {"metal": amount(0, 0.5)}, remains=amount(0, 1))],
                concurrency_out=[{"metal": amount(0, 0.4), "power": -1.0}],
                concurrency_in=[{"ore": 1.0, "metal": -amount(0.1, 3)}],
                limit=everything,
                cost={"cost": dict.fromkeys(commodities, amount(0, 4))},
                arrival_cost={"cost": {"power": amount(0, 1)}},
                **more,
            )
    network = builder.build()
    arriving = network.in_.limit.copy()
    for arc in range(n, network.n_arcs):
        if draw(st.booleans()):
            arriving[arc, 1] = amount(0, 6)
    grown = network.in_
    if mixed and draw(st.booleans()):
        capacity, expansion = network.in_.capacity.copy(), network.in_.expansion.copy()
        capacity[n:, 1], expansion[n:, 1] = amount(0, 3), amount(1, 9)
        grown = replace(grown, capacity=capacity, expansion=expansion)
    return network.replace(in_=replace(grown, limit=arriving))
