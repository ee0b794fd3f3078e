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


# --- parameters, formulas, families --------------------------------------------------------------------------------

PIPES = """name = "pipes"
[parameters]
growth = 1.0
per_head = "0.2 * growth"
[commodities]
water = "m3/day"
power = "kWh/day"
[criteria]
cost = "USD/day"
[[places]]
rows = "towns.csv"
name = "{town}"
supply = { water = "-per_head * people", power = inf }
[nodes.sea]
"*" = inf
[[arcs]]
tail = "sea"
head = "Harbour"
name = "plant"
carries = ["water"]
cost = { cost = { water = 1.5 } }
[[arcs]]
rows = "pipes.csv"
tail = "{first}"
head = "{second}"
both_ways = true
carries = ["water"]
events = [{ event = "LineLoss", rate_per_km = { water = 5e-4 }, km = "km" }]
takes = { water = { power = "max(0, lift) + km / 70" } }
cost = { cost = { water = 0.1 } }
limit = { "*" = 1e6 }
[arcs.let]
lift = "0.0027 * (head.elevation - tail.elevation)"
"""
FAMILY = {
    "network.toml": PIPES,
    "towns.csv": "town,people,elevation\nHarbour,1000,0\nHill 1,500,200\n",
    "pipes.csv": "first,second,km\nHarbour,Hill 1,30\n",
}


@pytest.fixture
def family(tmp_path):
    """Write a folder of families, one text of a file replaced."""

    def write(old: str = "", new: str = "", **files: str):
        for name, text in FAMILY.items():
            (tmp_path / name).write_text(text.replace(old, new) if old else text, encoding="utf-8")
        for name, text in files.items():
            (tmp_path / f"{name}.csv").write_text(text, encoding="utf-8")
        return tmp_path

    return write


def test_a_family_is_what_one_would_write_arc_by_arc(family):
    network = load_network(family())
    assert network.arcs == ("plant", "Harbour→Hill 1", "Hill 1→Harbour")
    assert network.nodes == ("sea", "Harbour", "Hill 1")
    there = 0.2 * 500 / (1 - 5e-4 * 30)
    assert solve_network(network).objective == pytest.approx(1.5 * (200 + there) + 0.1 * there)
    up, down = network.out.requirement[1:, 1, 0]
    assert up == pytest.approx(0.0027 * 200 + 30 / 70)
    assert down == pytest.approx(30 / 70)


def test_what_follows_from_a_parameter_follows_its_change(family):
    assert load_network(family(), {"growth": 2}).supply[1, 0] == pytest.approx(-400)
    assert load_network(family(), {"per_head": 1}).supply[1, 0] == pytest.approx(-1000)
    listed = family("growth = 1.0\n", "", parameters="name,value,unit,source\ngrowth,3,-,guess\n")
    assert load_network(listed).supply[1, 0] == pytest.approx(-600)


def test_several_tables_make_all_pairs(family):
    folder = family('rows = "pipes.csv"', 'rows = ["pipes.csv", "kinds.csv"]', kinds="kind,wide\nold,0\nnew,1\n")
    toml = folder / "network.toml"
    text = toml.read_text(encoding="utf-8").replace("both_ways = true", 'name = "{kind} {first}"')
    toml.write_text(text.replace('"*" = 1e6', '"*" = "1e6 if wide else 1"'), encoding="utf-8")
    network = load_network(folder)
    assert network.arcs == ("plant", "old Harbour", "new Harbour")
    assert network.out.limit[1:, 0].tolist() == [1, 1e6]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"0.2 * growth"', '"0.2 * grow"', r"parameters.per_head: must be a number, got '0.2 \* grow' \(.*growth"),
        ('"0.2 * growth"', '"growth ** 2 if"', "parameters.per_head: must be a number or a formula, got"),
        ('"0.2 * growth"', "'__import__(\"os\")'", "parameters.per_head: must be .* formula, .*may call abs"),
        ('"0.2 * growth"', '"growth.real"', "parameters.per_head: must be .* formula, .*a point may follow tail"),
        ('"0.2 * growth"', '"[growth]"', "parameters.per_head: must be .* formula, .* arithmetic"),
        ('"0.2 * growth"', '"growth / 0"', "parameters.per_head: formula 'growth / 0' has no value"),
        ('"0.2 * growth"', '"9 ** 9 ** 9 ** 9"', "parameters.per_head: formula .* has no value"),
        ('"0.2 * growth"', "\"'a'\"", "parameters.per_head: must be a number, got 'a' from"),
        ("growth = 1.0", '"no name" = 1.0', "parameters: must be plain names that formulas can use, got 'no name'"),
        ("growth = 1.0", 'growth = "1.0"', "parameters.growth: must be a number or a formula, got '1.0'"),
        ('rows = "pipes.csv"', 'rows = "tubes.csv"', r"arcs\[1\]: rows: must be a table in the folder"),
        ('rows = "pipes.csv"', 'rows = "../pipes.csv"', r"arcs\[1\]: rows: must be a table in the folder"),
        ('rows = "pipes.csv"', "rows = 3", r"arcs\[1\]: rows: must be the name of a table"),
        ("{first}", "{frist}", r"pipes.csv: line 2: network.toml: arcs\[1\]: tail: .* must be one of first"),
        ("{first}", "{first", r"pipes.csv: line 2: network.toml: arcs\[1\]: tail: not a text with columns"),
        ("Harbour,Hill 1,30", "Harbour,Hull,30", "pipes.csv: line 2: .*has no value.*elevation"),
        ("Harbour,Hill 1,30", "Harbour,Hill 1,far", r"pipes.csv: line 2: .*events: LineLoss: km: must be a number"),
        ("Hill 1,500,200", "Harbour,500,200", "towns.csv: line 3: .*must be a node of its own, got 'Harbour' twice"),
        ("both_ways = true", "both_ways = 1", "both_ways: must be true or false, got 1"),
        ("both_ways = true", 'both_ways = true\nname = "a"', "name: must be left out with both_ways"),
        ("supply = {", "suply = {", r"places\[0\]: unknown key 'suply'"),
        ("[arcs.let]", "[arcs.lot]", r"arcs\[1\]: unknown key 'lot'"),
        ("first,second,km", "first,first,km", "pipes.csv: must have columns with a name of their own each"),
    ],
)
def test_a_faulty_family_is_refused_where_it_stands(family, old, new, message):
    with pytest.raises(InputError, match=message) as error:
        load_network(family(old, new))
    assert "\n" not in str(error.value)


def test_an_unknown_parameter_is_refused(family):
    with pytest.raises(InputError, match=r"parameters: must be one of growth.*, got 'grwth'"):
        load_network(family(), {"grwth": 1})
    with pytest.raises(InputError, match=r"parameters.growth: is in parameters.csv as well"):
        load_network(family(parameters="name,value\ngrowth,3\n"))


def test_families_need_a_folder(tmp_path):
    (tmp_path / "alone.toml").write_text(PIPES, encoding="utf-8")
    with pytest.raises(InputError, match=r"rows: must stand in the network.toml of a folder"):
        load_network(tmp_path / "alone.toml")
