"""Networks as files: what is said twice, left out, or written in another dialect."""

from __future__ import annotations

import pytest

from stochisru.errors import InputError
from stochisru.networks.files import load_network
from stochisru.networks.solution import solve_network

HEAD = """name = "pipe"
[commodities]
water = "m3/day"
[criteria]
cost = "USD/day"
"""
NODES = "node,commodity,supply\nplant,water,50\ncity,water,-10\n"
ARCS = "arc,tail,head,commodity,gain,capacity,limit,expansion\np,plant,city,water,0.9,,100,\n"
COSTS = "arc,commodity,criterion,kind,value\np,water,cost,cost,1.5\n"


@pytest.fixture
def folder(tmp_path):
    """Write a network, some of its files changed."""

    def write(**changed: str | bytes):
        files = {"network.toml": HEAD, "nodes.csv": NODES, "arcs.csv": ARCS, "costs.csv": COSTS}
        names = {name.partition(".")[0]: name for name in files}
        files |= {names[key]: text for key, text in changed.items()}
        for name, text in files.items():
            (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return tmp_path

    return write


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"nodes": b"\xef\xbb\xbf" + NODES.encode(), "network": b"\xef\xbb\xbf" + HEAD.encode()},
        {"nodes": NODES.replace(",", ", ")},
        {"nodes": NODES.replace(",", ";"), "arcs": ARCS.replace(",", ";")},
        {"costs": COSTS.replace(",", "\t")},
        {"nodes": NODES.replace("\n", "\r\n") + "\r\n,,\r\n"},
        {"nodes": "supply,node,commodity\n50,plant,water\n-10,city,water\n"},
        {"nodes": NODES + "idle,,\n"},
        {"nodes": '"node","commodity","supply"\nplant,"water",50\ncity,water,"-10"\n'},
    ],
)
def test_dialects_of_one_network_are_read_alike(folder, changed):
    assert solve_network(load_network(folder(**changed))).objective == pytest.approx(1.5 * 10 / 0.9)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"nodes": NODES + "city,water,-25\n"}, "nodes.csv: lines 3 and 4: must be one row for 'city', 'water'"),
        ({"nodes": NODES + "idle,,\nidle,,\n"}, "nodes.csv: lines 4 and 5: must be one row for 'idle'"),
        ({"nodes": NODES + "\n\ncity,,-25\n"}, "nodes.csv: line 6: commodity: must be a name, got an empty cell"),
        ({"nodes": NODES + ",water,3\n"}, "nodes.csv: line 4: node: must be a name"),
        ({"nodes": NODES + "c,oil,3\n"}, "nodes.csv: line 4: commodity: must be one of water, got 'oil'"),
        ({"nodes": NODES + "c,water,1_000\n"}, "nodes.csv: line 4: supply: must be a number or inf, got '1_000'"),
        ({"nodes": NODES + "c,water,nan\n"}, "nodes.csv: line 4: supply: must be a number or inf, got 'nan'"),
        ({"nodes": NODES + "c,water,-inf\n"}, "nodes.csv: line 4: supply: must be a number or inf, got '-inf'"),
        ({"nodes": NODES + "c,water,\n"}, "nodes.csv: line 4: supply: must be a number or inf, got ''"),
        ({"nodes": NODES + 'c,water,"1,5"\n'}, r"supply: .*, got '1,5' \(the decimal sign is a point\)"),
        ({"nodes": NODES + "c,water,1,5\n"}, r"nodes.csv: line 4: must have 3 cells, got 4"),
        ({"nodes": NODES.replace("node,", "site,")}, "nodes.csv: must have the columns node, .*, got site,"),
        ({"nodes": NODES.encode() + "M\u00fcnchen,water,1\n".encode("latin-1")}, "nodes.csv: line 4: must be UTF-8"),
        ({"network": HEAD.replace("pipe", "Röhre").encode("latin-1")}, "network.toml: line 1: must be UTF-8 text"),
        ({"network": HEAD + "[nodes.city]\nwater = -99\n"}, "nodes.csv: line 3: node: 'city' is in network.toml"),
        ({"nodes": ""}, "nodes.csv: must have the columns node, commodity, supply, got an empty file"),
        ({"nodes": 'node,commodity,supply\n"plant,water,3\n'}, "nodes.csv: line 2: not a table"),
        ({"arcs": ARCS + "p,plant,city,water,0.8,,,\n"}, "arcs.csv: lines 2 and 3: must be one row for 'p', 'water'"),
        ({"arcs": ARCS + "p,city,plant,water,0.8,,,\n"}, "arcs.csv: lines 2 and 3: "),
        ({"arcs": ARCS + "q,plant,city,,1,,,\n"}, "arcs.csv: line 3: commodity: must be a name"),
        ({"arcs": ARCS + "q,plant,town,water,1,,,\n"}, "arcs.csv: line 3: head: must be one of plant, city"),
        ({"arcs": ARCS.replace("0.9", "-0.9")}, "arcs.csv: line 2: gain: must be a number >= 0, got '-0.9'"),
        ({"arcs": ARCS.replace("0.9", "inf")}, "arcs.csv: line 2: gain: must be a number >= 0, got 'inf'"),
        ({"arcs": ARCS.replace(",,100", ",nan,100")}, "arcs.csv: line 2: capacity: must be a number >= 0 or inf"),
        ({"arcs": ARCS.replace(",,100", ",-1,100")}, "arcs.csv: line 2: capacity: must be a number >= 0 or inf"),
        (
            {"network": HEAD + '[nodes.a]\n[[arcs]]\nname = "p"\ntail = "a"\nhead = "a"\n'},
            "arcs.csv: line 2: arcs: must be unique names, got 'p' twice",
        ),
        ({"costs": COSTS + "p,water,cost,cost,2\n"}, "costs.csv: lines 2 and 3: must be one row for 'p', "),
        ({"costs": COSTS + "q,water,cost,cost,2\n"}, "costs.csv: line 3: arc: must be one of arcs.csv, got 'q'"),
        ({"costs": COSTS + "p,,cost,cost,2\n"}, "costs.csv: line 3: commodity: must be a name"),
        ({"costs": COSTS + "p,water,co2,cost,2\n"}, "costs.csv: line 3: criterion: must be one of cost, got 'co2'"),
        ({"costs": COSTS.replace("1.5", "inf")}, "costs.csv: line 2: value: must be a number, got 'inf'"),
        ({"network": HEAD.replace("name", "nodes = 3\nname")}, "network.toml: nodes: must be a table of nodes by name"),
        ({"network": "arcs = 3\n" + HEAD}, r"network.toml: arcs: must be a list of tables \[\[arcs\]\]"),
        ({"network": HEAD + '[nodes.c]\nwater = "3"\n'}, "network.toml: nodes.c.water: must be a number, got '3'"),
        ({"network": HEAD + "[nodes.c]\nwater = nan\n"}, "network.toml: nodes.c.water: must be a number, got nan"),
        ({"network": HEAD + "[nodes.c]\noil = 1\n"}, "network.toml: nodes.c: .*, got 'oil'"),
        (
            {"network": HEAD + '[nodes.a]\n' + 2 * '[[arcs]]\nname = "q"\ntail = "a"\nhead = "a"\n'},
            r"network.toml: arcs\[1\]: arcs: must be unique names, got 'q' twice",
        ),
    ],
)  # fmt: skip
def test_faults_are_refused_by_file_and_line(folder, changed, message):
    with pytest.raises(InputError, match=message) as caught:
        load_network(folder(**changed))
    assert "\n" not in str(caught.value)


def test_a_negative_gain_is_refused(tmp_path):
    file = tmp_path / "pipe.toml"
    arc = '[nodes.a]\n[[arcs]]\ntail = "a"\nhead = "a"\n'
    arc += 'events = [{ event = "Conversion", becomes = { water = { water = -1 } } }]'
    file.write_text(HEAD + arc)
    with pytest.raises(InputError, match=r"pipe.toml: arcs\[0\]: water from water: must be >= 0, got -1"):
        load_network(file)


def test_the_static_command_refuses_a_duration(run_cli, tmp_path):
    arc = '[[arcs]]\ntail = "earth"\nhead = "moon"\nduration = 3\ncost = { cost = { water = 1.0 } }\n'
    (tmp_path / "slow.toml").write_text(HEAD + "[nodes.earth]\nwater = inf\n[nodes.moon]\nwater = -10\n" + arc)
    bad = run_cli("network", "solve", "slow.toml", check=2)
    assert "slow.toml: arc 'earth→moon': duration: must be 0 or left out in a static network, got 3;" in bad.stderr
    assert bad.stderr.count("\n") == 1
