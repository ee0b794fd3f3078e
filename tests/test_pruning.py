"""Flows left out of a network: none that a demand needs, all that are of no use, and the same optimum."""

import numpy as np
import pytest

from stochisru.networks.builder import NetworkBuilder
from stochisru.networks.events import Conversion, Wear
from stochisru.networks.pruning import present, pruned, useful
from stochisru.networks.solution import solve_network
from stochisru.networks.time_expansion import expand


def chain():
    """Water from A flies in a tank over B to C, where a plant makes it oxygen; nothing ever needs to fly back."""
    builder = NetworkBuilder("chain", dict.fromkeys(("water", "oxygen", "tank", "plant"), "kg"), {"cost": "$"})
    builder.node("A", {"water": np.inf, "tank": np.inf, "plant": np.inf})
    builder.node("B")
    builder.node("C", {"oxygen": -8.0})
    everything = {"water": 100.0, "oxygen": 100.0, "tank": 100.0, "plant": 100.0}
    for tail, head in (("A", "B"), ("B", "A"), ("B", "C"), ("C", "B")):
        builder.arc(
            tail, head, concurrency_out=[{"water": 0.1, "tank": -1.0}], limit=everything, duration=1,
            cost={"cost": dict.fromkeys(everything, 1.0)},
        )  # fmt: skip
    builder.arc("C", "C", "split", events=[Conversion({"water": {"oxygen": 0.8}})], carries=["water"],
                limit={"water": 100.0})  # fmt: skip
    builder.arc("C", "C", "set-up", events=[Wear({"plant": 1.0})], carries=["plant"], limit={"plant": 100.0})
    return builder.build()


def by_name(network, flows):
    return {(network.arcs[a], network.commodities[c]) for a, c in zip(*np.nonzero(flows), strict=True)}


@pytest.fixture(scope="module")
def network():
    return expand(chain(), 4, demand_steps=[3]).network


def test_what_can_be_where(network):
    reached = present(network)
    at = {(network.nodes[i], network.commodities[c]) for i, c in zip(*np.nonzero(reached), strict=True)}
    assert ("C @2", "oxygen") in at
    assert ("C @1", "water") not in at  # two flights away
    assert ("A @3", "oxygen") not in at  # made at C at step 2, two flights back
    assert ("B @3", "oxygen") in at


def test_only_flows_on_the_way_to_a_demand_or_an_end_are_useful(network):
    nothing = np.zeros((network.n_arcs, network.k), dtype=bool)
    serves = by_name(network, useful(network, nothing))
    # There is no waiting: the demand at step 3 is met by what leaves A at step 1 and is split on arrival.
    assert serves == {
        ("A→B @1", "water"), ("A→B @1", "tank"), ("B→C @2", "water"), ("B→C @2", "tank"), ("split @3", "water")
    }  # fmt: skip
    ends = nothing.copy()
    ends[network.arc("set-up @2"), network.commodity("plant")] = True
    more = by_name(network, useful(network, ends)) - serves
    assert more == {("A→B @0", "plant"), ("B→C @1", "plant"), ("set-up @2", "plant")}


def test_the_optimum_stays(network):
    nothing = np.zeros((network.n_arcs, network.k), dtype=bool)
    small = pruned(network, nothing)
    whole, less = solve_network(network), solve_network(small)
    assert less.objective == pytest.approx(whole.objective, rel=1e-9)
    # 10 kg of water in 1 kg of tank over two legs.
    assert whole.objective == pytest.approx(2 * 11.0)
    assert less.size["variables"] < whole.size["variables"] / 3
