"""A network over time from a file: the same as `expand` in Python, and the command."""

import json

import numpy as np
import pytest

from stochisru.errors import InputError
from stochisru.networks import NetworkBuilder, expand, load_network, load_over_time, solve_network
from stochisru.networks.events import Production

SHIP = """
name = "moon"
[commodities]
plant = "t"
oxygen = "t"
[criteria]
mass = "t"
[nodes.earth]
plant = inf
oxygen = inf
[nodes.moon]
oxygen = -12
[[arcs]]
tail = "earth"
head = "moon"
duration = 1
limit = { plant = 100, oxygen = 100 }
cost = { mass = { plant = 1, oxygen = 1 } }
[[arcs]]
tail = "moon"
head = "moon"
name = "work"
events = [{ event = "Production", plant = "plant", makes = { oxygen = 2 }, uses = {}, remains = 1 }]
carries = ["plant"]
limit = { plant = 100 }
duration = 1
[[arcs]]
tail = "moon"
head = "moon"
name = "store"
carries = ["oxygen"]
limit = { oxygen = 100 }
duration = 1
[time]
steps = 4
demand_steps = [3]
"""


def by_hand(steps, **more):
    builder = NetworkBuilder("moon", {"plant": "t", "oxygen": "t"}, {"mass": "t"})
    builder.node("earth", {"plant": np.inf, "oxygen": np.inf})
    builder.node("moon", {"oxygen": -12.0})
    most = {"plant": 100.0, "oxygen": 100.0}
    builder.arc("earth", "moon", limit=most, cost={"mass": {"plant": 1.0, "oxygen": 1.0}}, duration=1)
    work = Production("plant", {"oxygen": 2.0}, {}, remains=1.0)
    builder.arc("moon", "moon", "work", events=[work], carries=["plant"], limit={"plant": 100.0}, duration=1)
    builder.arc("moon", "moon", "store", carries=["oxygen"], limit={"oxygen": 100.0}, duration=1)
    return expand(builder.build(), steps, **more)


@pytest.mark.parametrize(
    ("time", "more", "tonnes"),
    [
        ("steps = 4\ndemand_steps = [3]", {"demand_steps": [3]}, 3.0),  # 12 t / (2 t per step · 2 steps)
        ("steps = 4\ndemand_steps = [3]\nsupply_steps = [1]", {"demand_steps": [3], "supply_steps": [1]}, 6.0),
        (
            'steps = 4\ndemand_steps = [3]\nwindows = { "earth→moon" = [2] }',
            {"demand_steps": [3], "windows": {"earth→moon": [2]}},
            12.0,
        ),
        (
            "steps = 4\nnodes.moon.oxygen = [0, 0, -4, -4]",
            {"demand_steps": [], "supplies": {("moon", "oxygen"): [0, 0, -4, -4]}},
            2.0,
        ),
    ],
)
def test_a_file_expands_as_python_does(tmp_path, time, more, tonnes):
    file = tmp_path / "moon.toml"
    file.write_text(SHIP.split("[time]")[0] + "[time]\n" + time + "\n")
    expanded = load_over_time(file)
    assert solve_network(expanded.network).objective == pytest.approx(tonnes)
    other = by_hand(4, **more)
    assert expanded.network.arcs == other.network.arcs
    np.testing.assert_array_equal(expanded.network.supply, other.network.supply)
    assert load_network(file).n_nodes == 2  # the network of one step


def test_a_file_without_time_is_static(tmp_path):
    file = tmp_path / "moon.toml"
    file.write_text(SHIP.split("[time]")[0])
    assert load_over_time(file) is None


@pytest.mark.parametrize(
    ("time", "message"),
    [
        ("steps = 0", r"moon.toml: time.steps: must be a whole number >= 1, got 0"),
        ("demand_steps = [3]", r"moon.toml: time.steps: must be a whole number >= 1, got None"),
        ("steps = 4\nstep = 3", r"moon.toml: time: unknown key 'step'; known are steps"),
        ("steps = 4\ndemand_steps = 3", r"time.demand_steps: must be a list of whole numbers, got 3"),
        ("steps = 4\ndemand_steps = [4]", r"moon.toml: time: demand_steps: must be in 0..3, got \[4\]"),
        ("steps = 4\nwindows = { ship = [1] }", r"moon.toml: time: arc: must be one of .*got 'ship'"),
        ("steps = 4\nwindows = { work = [true] }", r"time.windows.work: must be a list of whole numbers"),
        ("steps = 4\nnodes.moon.oxygen = [1]", r"time: supply of 'oxygen' at 'moon': must be 4 numbers, got 1"),
        ("steps = 4\nnodes.moon.oxygen = [nan, 1, 1, 1]", r"time.nodes.moon.oxygen: must be a list of numbers"),
        ("steps = 4\nnodes.moon = 3", r"time.nodes: must be a table \{node = \{commodity = numbers\}\}"),
    ],
)
def test_bad_schedules_are_refused_by_field(tmp_path, time, message):
    file = tmp_path / "moon.toml"
    file.write_text(SHIP.split("[time]")[0] + "[time]\n" + time + "\n")
    with pytest.raises(InputError, match=message):
        load_over_time(file)


def test_the_command_expands_time(run_cli, tmp_path):
    (tmp_path / "moon.toml").write_text(SHIP)
    data = json.loads(run_cli("network", "solve", "moon.toml", "--json", "-", check=0).stdout)
    assert data["objective"] == pytest.approx(3.0)
    assert data["steps"] == 4
    flights = [f for f in data["flows"] if f["arc"] == "earth→moon"]
    assert [(f["departure"], f["commodity"], f["tail"]) for f in flights] == [(0, "plant", "earth")]
    bad = run_cli("network", "solve", "moon.toml", "--weight", "cost=1", check=2)
    assert bad.stderr.startswith("error:")
