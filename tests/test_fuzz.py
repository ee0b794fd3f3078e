"""Nothing gets in: a damaged or crafted input of any kind is read, or refused by one error for people.

About a hundred mutated inputs of each kind in every run of the tests, 2,000 in the nightly one.
"""

from __future__ import annotations

import ast
import contextlib
import json
import pickle
import re
import shutil
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scenario_trees import MarkovLattice, ScenarioTree
from scenario_trees.errors import TreeError
from stochisru import load_case, progressive_hedging, sddp
from stochisru.cli.ending import one_line
from stochisru.cli.main import main
from stochisru.errors import InputError
from stochisru.exchange import read_problem, write_problem
from stochisru.lunar.calibration.series import read_series
from stochisru.lunar.deciding.standing import read_pipeline
from stochisru.lunar.own_uncertainty import read_demand_paths, read_tree
from stochisru.lunar.plan_file import read_plan
from stochisru.lunar.shipped import case_text
from stochisru.methods.hedging.monitor import HedgingState, Incumbent, hedging_checkpoint
from stochisru.methods.problems import stated_on_lattices, stated_on_trees
from stochisru.methods.risk import Expectation
from stochisru.methods.sddp.engine import Engine
from stochisru.methods.sddp.monitor import SddpState, sddp_checkpoint
from stochisru.networks.files import load_network, load_over_time
from stochisru.networks.formulas import evaluate
from stochisru.report import page
from stochisru.studies.folder import guarded
from stochisru.studies.store import Execution, Study, run_study
from tests import mutations

ROOT = Path(__file__).parent.parent
SMALL = ("--horizon", "2", "--branching", "2,2", "--paths", "100")
PLAN = "year,technology,kg\n0,plant,100\n1,plant,50.5\n"
TREE = "id,parent,probability,value\n0,,1,1000\n1,0,0.5,1100\n2,0,0.5,900\n"
#: A network with everything that a file may say, as formulas, sizes, events, steps and tables.
NETWORK = {
    "network.toml": """name = "pipe"
commodities = {water = "m3/day", power = "MWh/day"}
criteria = {cost = "USD/day"}
[parameters]
rate = 0.5
factor = "max(rate, 0.1) * 2"
[nodes.plant]
water = 50
power = "100 * factor"
[[places]]
name = "{site}"
rows = "sites.csv"
supply = {water = "-need if need > 1 else 0"}
[[arcs]]
tail = "plant"
head = "{site}"
rows = "sites.csv"
events = [{event = "Conversion", becomes = {water = {water = "1 - rate / 10"}}}]
cost = {cost = {water = "head.need / 10"}}
capacity = {water = 100}
duration = 1
[[arcs.scales]]
criterion = "cost"
commodity = "water"
sizes = [0, 10, 20]
costs = [0, 5, 8]
[time]
steps = 3
""",
    "sites.csv": "site,need\ncity,10\ntown,5\n",
    "nodes.csv": "node,commodity,supply\nhill,water,-1\n",
    "arcs.csv": "arc,tail,head,commodity,gain,capacity,limit,expansion\np,plant,hill,water,0.9,,100,\n",
    "costs.csv": "arc,commodity,criterion,kind,value\np,water,cost,cost,1.5\n",
    "parameters.csv": "name,value\nother,3\n",
}


def squared(point):
    return [{"y": point["x"] ** 2}]


STUDY = Study({"kind": "test"}, [{"x": x} for x in range(3)], squared)


@pytest.fixture(scope="module")
def kinds(tmp_path_factory):
    """Of each kind of input: a function that makes a mutated one, and one that reads it."""
    at = tmp_path_factory.mktemp("fuzz")
    case = load_case("contested-market").replace(T=2)
    tree = ScenarioTree.from_process(case.process, [2, 2])
    tree.save(at / "tree.npz")
    MarkovLattice.from_process(case.process, 2, 3).save(at / "lattice.npz")
    progressive_hedging(case, tree, checkpoint=at / "ph", checkpoint_interval=0.0, iterations=2, rel_gap=0.0)
    sddp(case, states=3, checkpoint=at / "sddp", iterations=2, rel_gap=0.0)
    subtrees = stated_on_trees(case).subtrees(tree, 1)
    programs = stated_on_lattices(case).on_lattice(3)
    ph, cuts = hedging_checkpoint(at / "ph", subtrees, 0.0), sddp_checkpoint(at / "sddp", programs, Expectation())
    length = Engine(programs, Expectation()).layout.length
    run_study(STUDY, Execution(checkpoint=at / "study"))
    cases = [case_text(name) for name in ("lunar-reference", "contested-market", "predecessor")]
    cases.append((ROOT / "docs" / "two-technologies.toml").read_text())
    for name in ("p.smps", "q.smps", "p.sof.json", "p.mps"):
        write_problem(case, tree, at / name)
    (at / "p.sof.json").write_text(json.dumps(json.loads((at / "p.sof.json").read_text())))
    network = at / "network"
    network.mkdir()
    for name, text in NETWORK.items():
        (network / name).write_text(text)

    def file(name, read, make):
        def load(data):
            (at / name).write_bytes(data)
            return read(at / name)

        return make, load

    def of_text(name, read, *texts):
        return file(name, read, lambda r: mutations.text(r.choice(texts), r))

    def of_arrays(name, read):
        good = (at / name).read_bytes()
        return file(name, read, lambda r: mutations.arrays(good, r))

    def of_json(name, read):
        good = (at / name).read_text()

        def make(r):
            if r.randrange(2):
                return mutations.text(good, r)
            return b"".join(
                json.dumps(mutations.table(json.loads(x), r)).encode() + b"\n" for x in good.split("\n")[:2] if x
            )

        return file(name, read, make)

    def read_network(pair):
        name, data = pair
        try:
            (network / name).write_bytes(data)
            return load_over_time(network) or load_network(network)
        finally:
            (network / name).write_text(NETWORK[name])

    def of_network(r):
        name = r.choice(sorted(NETWORK))
        return name, mutations.text(NETWORK[name], r)

    def resumed(_):
        return run_study(STUDY, Execution(checkpoint=at / "study", resume=True))

    return {
        "tree": of_arrays("tree.npz", ScenarioTree.load),
        "lattice": of_arrays("lattice.npz", MarkovLattice.load),
        "state": of_arrays("ph/state.npz", lambda _: HedgingState.load(ph, subtrees)),
        "incumbent": of_arrays("ph/incumbent.npz", lambda _: Incumbent.load(ph, subtrees)),
        "cuts": of_arrays("sddp/cuts.npz", lambda _: SddpState.load(cuts, length)),
        "points": of_json("study/points.jsonl", resumed),
        "case": of_text("case.toml", load_case, *cases),
        "plan": of_text(
            "plan.csv", lambda path: read_plan(case, path), "year,technology,kg\n0,plant,100\n1,plant,50.5\n"
        ),
        "own tree": of_text("own.csv", read_tree, TREE),
        "pipeline": of_text("p.csv", lambda path: read_pipeline(case, path), "year,kg\n0,100\n1,50.5\n"),
        "paths": of_text("paths.csv", read_demand_paths, "0,1,2\n1000,1100,1200\n1000,900,800\n"),
        "series": of_text("series.csv", read_series, (ROOT / "docs" / "demand-history.csv").read_text()),
        "network": (of_network, read_network),
        "core": of_text("p.cor", read_problem, (at / "p.cor").read_text()),
        "stoch": of_text("q.sto", read_problem, (at / "q.sto").read_text()),
        "policy graph": of_json("p.sof.json", read_problem),
        "mps": of_text("p.mps", read_problem, (at / "p.mps").read_text()),
    }


NAMES = (
    *("tree", "lattice", "state", "incumbent", "cuts", "points"),
    *("case", "plan", "own tree", "pipeline", "paths", "series", "network"),
    *("core", "stoch", "policy graph", "mps"),
)


def attempt(make, load, examples):
    """Read mutated inputs; return how many were refused."""
    refused = []

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(st.randoms(use_true_random=False))
    def one(r):
        data = make(r)
        try:
            load(data)
        except (InputError, TreeError) as error:
            line = one_line(str(error))
            assert line.isprintable()
            assert 0 < len(line) < 900
            refused.append(line)

    one()
    return len(refused)


@pytest.mark.filterwarnings("ignore")  # of numbers that are no numbers
@pytest.mark.parametrize("name", NAMES)
def test_a_mutated_input_is_read_or_refused(kinds, name):
    assert attempt(*kinds[name], 100) > 20


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", NAMES)
def test_many_mutated_inputs_are_read_or_refused(kinds, name):
    assert attempt(*kinds[name], 2000) > 400


# --- the folder of a run


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Run folders of a base case and of one with tables."""
    at = tmp_path_factory.mktemp("runs")
    for name, case in (("base", "lunar-reference"), ("tables", ROOT / "docs" / "two-technologies.toml")):
        with pytest.raises(SystemExit) as end:
            main(["run", str(case), *SMALL, "--out", str(at / name)])
        assert end.value.code == 0
    return at


def of_runs(runs, monkeypatch):
    """Mutated manifests, and the page that is made of one, without its figures."""
    good = {name: json.loads((runs / name / "manifest.json").read_text()) for name in ("base", "tables")}

    def make(r):
        name = r.choice(sorted(good))
        other = mutations.text(json.dumps(good[name]), r) if r.randrange(4) == 0 else None
        return name, other or json.dumps(mutations.table(good[name], r)).encode()

    def load(pair):
        name, data = pair
        (runs / name / "manifest.json").write_bytes(data)
        try:
            manifest, tables = page.read_tables(runs / name)
            ours = page.render(manifest, tables, {})
            assert ours.count("<script>") == 1  # our own; the policy lets no other run
            assert ours.count("<script") <= 3
            assert "alert(1)" not in re.sub(r"&lt;script&gt;alert\(1\)&lt;/script&gt;", "", ours)
        finally:
            (runs / name / "manifest.json").write_text(json.dumps(good[name]))

    return make, load


def test_a_mutated_manifest_makes_a_page_or_is_refused(runs, monkeypatch):
    assert attempt(*of_runs(runs, monkeypatch), 100) > 20


@pytest.mark.slow
def test_many_mutated_manifests_make_a_page_or_are_refused(runs, monkeypatch):
    assert attempt(*of_runs(runs, monkeypatch), 2000) > 400


@pytest.mark.parametrize("name", ["base", "tables"])
def test_no_entry_of_a_manifest_gets_a_script_in(runs, monkeypatch, name):
    """Every entry in turn, and every name of a decision."""
    _, load = of_runs(runs, monkeypatch)
    good, bad = json.loads((runs / name / "manifest.json").read_text()), "<script>alert(1)</script>"
    others = [{**good, key: bad} for key in good]
    others.append({**good, "decision": {**good["decision"], f"dM{bad}": 1.0}})
    others.append({**good, "decision": {**good["decision"], bad: {f"dM{bad}": 1.0}}})
    for other in others:
        with contextlib.suppress(InputError):
            load((name, json.dumps(other).encode()))


def test_damaged_tables_are_refused_in_one_line(runs, tmp_path, capsys):
    for change in ("column", "words", "half"):
        shutil.rmtree(tmp_path / "r", ignore_errors=True)
        shutil.copytree(runs / "base", tmp_path / "r")
        file = tmp_path / "r" / "tables" / "metrics.parquet"
        if change == "half":
            file.write_bytes(file.read_bytes()[:500])
        else:
            metrics = pd.read_parquet(file)
            bad = metrics.drop(columns="value") if change == "column" else metrics.assign(value="<script>")
            bad.to_parquet(file)
        with pytest.raises(SystemExit) as end:
            main(["report", str(tmp_path / "r")])
        said = capsys.readouterr().err
        assert (end.value.code, said.count("\n")) == (2, 1)
        assert said.startswith("error: RUN_DIR: ")


# --- single faults


def test_a_pickle_in_a_file_of_arrays_is_not_opened(tmp_path):
    class Opened:
        def __reduce__(self):
            return Path.touch, (tmp_path / "opened",)

    np.savez(tmp_path / "t.npz", header=np.array(Opened(), dtype=object), value=np.zeros(1))
    with pytest.raises(TreeError, match="is not a saved tree"):
        ScenarioTree.load(tmp_path / "t.npz")
    (tmp_path / "p.npz").write_bytes(pickle.dumps(Opened()))
    with pytest.raises(TreeError, match="is not a saved tree"):
        ScenarioTree.load(tmp_path / "p.npz")
    with zipfile.ZipFile(tmp_path / "z.npz", "w") as file:
        file.writestr("header.npy", pickle.dumps(Opened()))
    with pytest.raises(TreeError, match="is not a saved tree"):
        ScenarioTree.load(tmp_path / "z.npz")
    assert not (tmp_path / "opened").exists()


def test_the_package_has_no_pickle_no_eval_and_no_network():
    """Formulas of networks are computed from their syntax tree."""
    banned = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "socket", "urllib", "http", "requests", "ftplib"}
    for file in sorted([*ROOT.glob("stochisru/**/*.py"), *ROOT.glob("scenario_trees/**/*.py")]):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not banned & {name.partition(".")[0] for name in names}, file
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in ("eval", "exec", "compile", "__import__"), file


def test_cells_that_begin_a_formula_are_guarded(tmp_path):
    cells = ["=1+1", "+cmd", "-2+3|calc", "@sum", "\t=x", " =x", "-", "-0.5", "+1e3", "plant", "", "dM-1"]
    found = guarded(pd.DataFrame({"=name": cells, "mass": range(len(cells))}))
    assert list(found.columns) == ["'=name", "mass"]
    assert found["'=name"].tolist() == [
        *("'=1+1", "'+cmd", "'-2+3|calc", "'@sum", "'\t=x", "' =x", "-", "-0.5", "+1e3", "plant", "", "dM-1")
    ]


def test_names_of_a_case_are_escaped_in_page_and_guarded_in_tables(tmp_path, run_cli):
    text = (ROOT / "docs" / "two-technologies.toml").read_text().replace('name = "ice"', 'name = "=<b>ice"')
    (tmp_path / "c.toml").write_text(text)
    run_cli("run", "c.toml", *SMALL, "--out", "r", check=0)
    shown = (tmp_path / "r" / "report.html").read_text()
    assert "<b>ice" not in shown
    assert "=&lt;b&gt;ice" in shown
    table = pd.read_csv(tmp_path / "r" / "tables" / "technologies.csv")
    assert "'=<b>ice" in set(table["technology"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"P_m": 1e30}, r"^economics\.P_m: must be at most 1e\+15, got 1e\+30$"),
        ({"eta": 1e30}, r"^technology\.eta: must be at most 1e\+15, got 1e\+30$"),
        ({"D0": 1e30}, r"^demand\.D0: must be at most 1e\+15, got 1e\+30$"),
    ],
)
def test_values_beyond_all_units_name_their_field(reference, changes, message):
    with pytest.raises(InputError, match=message):
        reference.replace(**changes)


def test_a_plant_that_costs_nothing_costs_nothing_at_any_size(reference):
    from stochisru import extensive_form

    tree = ScenarioTree.from_process(reference.replace(T=2).process, [2, 2])
    free = extensive_form(reference.replace(T=2, c_dev=0.0), tree).objective
    for exponent in (0.7, 1.3):
        case = reference.replace(T=2, c_dev=0.0, reference=500.0, c_dev_exponent=exponent)
        assert extensive_form(case, tree).objective == pytest.approx(free, rel=1e-9)


@pytest.mark.parametrize(
    "command",
    [
        ("simulate", "lunar-reference", "--paths", "100000000000000000000"),
        ("simulate", "lunar-reference", "--paths", "1e20"),
        ("simulate", "lunar-reference", "--workers", "100000000000000000000"),
        ("frontier", "lunar-reference", "--rules", "100000000000000000000"),
        ("tune", "lunar-reference", "--fresh-paths", "100000000000000000000"),
        ("sensitivity", "contested-market", "--map", "sigma,c_L", "--steps", "100000000000000000000"),
    ],
)
def test_counts_beyond_all_machines_name_their_option(capsys, command):
    with pytest.raises(SystemExit) as end:
        main(list(command))
    said = capsys.readouterr().err
    assert (end.value.code, said.count("\n")) == (2, 1)
    assert command[-2].rpartition("-")[2] in said


def test_messages_are_one_printable_line_of_bounded_length():
    assert one_line("a\nb\t\x1b[2Jc") == "a b \\x1b[2Jc"
    assert len(one_line("x" * 131_073)) < 810


@pytest.mark.parametrize(
    ("formula", "value"),
    [
        ("2 + 3 * x ** 2 / 4 - -1", 6.0),
        ("7 // 2 + 7 % 4", 6.0),
        ("max(1, x, min(5, 3)) if 0 < x <= 2 and not x == 1 else 1 / 0", 3.0),
        ("x or 1 / 0", 2.0),
        ("tail.height + exp(0) + (kind == 'sea')", 12.0),
        ("kind if x != 3 else 1", "sea"),
        ("1 < x < 1.5", 0.0),
    ],
)
def test_formulas_mean_what_python_says(formula, value):
    names = {"x": 2.0, "kind": "sea", "tail": SimpleNamespace(height=10.0)}
    assert evaluate(formula, names, "here") == value


@pytest.mark.parametrize(
    "formula",
    [
        *("abs", "(-1) ** 0.5", "'%999999999d' % 1", "'a' * 9", "9 ** 9 ** 9", "-" * 1999 + "1", "-" * 3000 + "1"),
        *("(" * 300 + "1" + ")" * 300, "tail.__class__", "x.__class__", "().__class__", "[x]", "lambda: 1", "f'{x}'"),
        *(
            "open('x')",
            "max(*[1])",
            "exp(x=1)",
            "1 if x",
            "x := 1",
            "1j",
            "b'a'",
            "None",
            "x is 1",
            "x @ 1",
            "exp('a')",
        ),
    ],
    ids=lambda formula: formula[:20],
)
def test_other_formulas_are_refused_in_one_line(formula):
    with pytest.raises(InputError, match=r"^here: "):
        evaluate(formula, {"x": 2.0, "tail": SimpleNamespace(height=10.0)}, "here")


@pytest.mark.parametrize(
    "name", ["{site.__class__}", "{site[0]}", "{site!r}", "{site:>9999999999}", "{site:{need}}", "{", "}"]
)
def test_braces_of_a_network_hold_a_column_alone(tmp_path, name):
    for file, text in NETWORK.items():
        (tmp_path / file).write_text(text.replace('name = "{site}"', f'name = "{name}"'))
    with pytest.raises(InputError, match=r"places\[0\]: name: "):
        load_over_time(tmp_path)
