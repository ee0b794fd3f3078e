"""The command line as a user meets it: processes, files, exit codes, one line of error."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from stochisru import __version__, load_case
from stochisru.lunar.shipped import case_text

T3 = ("--horizon", "3", "--branching", "3,3,3")


def test_value_json_has_the_contract_keys(run_cli, tmp_path):
    out = run_cli("value", "lunar-reference", *T3, "--json", "-", check=0)
    data = json.loads(out.stdout)
    assert {"ws", "rp", "ev", "eev", "static", "fixed", "evpi", "vss", "vms", "flexibility"} <= set(data)
    assert data["eev"] <= data["static"] <= data["rp"] <= data["ws"]
    assert data["evpi"] == pytest.approx(data["ws"] - data["rp"])
    assert data["sense"] == "maximise"
    assert len(data["eev_t"]) == 3
    assert out.stderr == ""
    quiet = run_cli("value", "lunar-reference", *T3, "--json", "v.json", check=0)
    assert json.loads((tmp_path / "v.json").read_text())["rp"] == data["rp"]
    assert "flexibility" in quiet.stdout


def test_solve_json(run_cli):
    data = json.loads(run_cli("solve", "lunar-reference", "--method", "ef", *T3, "--json", "-", check=0).stdout)
    assert set(data["first_stage"]) == {"dM0", "dM1"}
    assert data["bounds"]["lower"] <= data["objective"] <= data["bounds"]["upper"]
    assert data["bounds"]["certified"] is True
    assert data["termination"]["reason"] == "optimal"
    assert data["seconds"] > 0
    shown = run_cli("solve", "lunar-reference", "--method", "ef", *T3, check=0).stdout
    assert "kg" in shown
    assert "--method dp finds the same optimum" in shown
    # With other branches every year there are as many levels as nodes: `dp` takes 25 times as long.
    other = ("--horizon", "4", "--branching", "8,7,6,5")
    assert "--method dp" not in run_cli("solve", "lunar-reference", "--method", "ef", *other, check=0).stdout
    assert "--method dp" not in run_cli("solve", "contested-market", *T3, "--method", "dp", check=0).stdout


def test_simulate_json_is_reproducible(run_cli):
    call = ("simulate", "lunar-reference", "--strategies", "moderate,upfront", "--paths", "500", "--horizon", "30",
            "--seed", "7", "--json", "-")  # fmt: skip
    first = run_cli(*call, check=0).stdout
    assert first == run_cli(*call, "--workers", "2", check=0).stdout
    data = json.loads(first)
    keys = {"npv_mean", "npv_sd", "var95", "cvar95", "p_positive", "self_sufficiency", "utilization"}
    assert set(data["strategies"]) == {"moderate", "upfront"}
    assert keys <= set(data["strategies"]["moderate"])
    assert data["horizon"] == 30
    with_tree = run_cli("simulate", "lunar-reference", "--strategies", "tree,moderate", *T3, "--json", "-", check=0)
    assert "tree" in json.loads(with_tree.stdout)["strategies"]


def test_run_folder_and_report(run_cli, tmp_path):
    out = run_cli("run", "contested-market", *T3, "--paths", "400", "--out", "study", "--json", "-", check=0)
    data = json.loads(out.stdout)
    assert {"values", "strategies", "files"} <= set(data)
    folder = tmp_path / "study"
    on_disk = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    assert on_disk == set(data["files"])
    assert {"report.html", "manifest.json", "tree.npz", "tables/values.csv", "tables/values.parquet"} <= on_disk
    assert [p.name for p in tmp_path.iterdir()] == ["study"]
    manifest = json.loads((folder / "manifest.json").read_text())
    assert {"versions", "seed", "solver", "case_hash", "tree_hash"} <= set(manifest)
    before = (folder / "tables" / "metrics.csv").read_bytes()
    run_cli("run", "contested-market", *T3, "--paths", "400", "--out", "study", check=0)
    assert (folder / "tables" / "metrics.csv").read_bytes() == before  # run again, same bytes
    page = (folder / "report.html").read_bytes()
    (folder / "report.html").unlink()
    assert "report.html" in run_cli("report", "study", check=0).stdout
    assert (folder / "report.html").exists()
    assert len((folder / "report.html").read_bytes()) == pytest.approx(len(page), rel=0.01)
    assert [p.name for p in tmp_path.iterdir()] == ["study"]


def test_run_of_a_case_with_economies_of_scale(run_cli, tmp_path):
    case = load_case("lunar-reference").replace(T=3, fixed_cost=2e6, reference=500.0, c_dev_exponent=0.7)
    (tmp_path / "case.toml").write_text(case.to_toml())
    run_cli("run", "case.toml", *T3, "--paths", "200", "--out", "study", check=0)
    manifest = json.loads((tmp_path / "study" / "manifest.json").read_text())
    assert manifest["method"] == "dp"
    assert "solved by <code>dp</code>, exact on the tree" in (tmp_path / "study" / "report.html").read_text()


@pytest.mark.parametrize("again", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_interrupted_run_leaves_no_half_folder(run_cli, tmp_path, stop, again):
    before = {}
    if again:
        run_cli("run", "lunar-reference", "--paths", "50", "--out", "study", check=0)
        before = {p: p.read_bytes() for p in (tmp_path / "study").rglob("*") if p.is_file()}
    process = subprocess.Popen(
        [sys.executable, "-m", "stochisru", "run", "lunar-reference", "--out", "study"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not any(tmp_path.glob(".study.*.part")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(stop)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode != 0
    assert {p: p.read_bytes() for p in (tmp_path / "study").rglob("*") if p.is_file()} == before
    if stop is not signal.SIGKILL:
        assert process.returncode == 130
        assert stderr.strip().splitlines()[-1].startswith("error: interrupted")
    else:  # what a killed run left goes with the next one
        run_cli("run", "lunar-reference", "--paths", "50", "--out", "study", check=0)
    assert [p.name for p in tmp_path.iterdir()] == (["study"] if again or stop is signal.SIGKILL else [])


def test_case_commands(run_cli, tmp_path):
    assert "predecessor" in run_cli("case", "list", check=0).stdout
    shown = run_cli("case", "show", "lunar-reference", check=0).stdout
    assert "Gkaravela" in shown
    assert "derived" in shown
    data = json.loads(run_cli("case", "show", "lunar-reference", "--json", "-", check=0).stdout)
    assert {p["symbol"]: p["value"] for p in data["parameters"]}["D0"] == 1000
    run_cli("case", "init", "mine.toml", check=0)
    assert "mine: ok" in run_cli("case", "check", "mine.toml", check=0).stdout
    assert run_cli("case", "init", "mine.toml").returncode == 2
    run_cli("case", "init", "mine.toml", "--force", "--base", "predecessor", check=0)
    run_cli("case", "init", 'q"ü x.toml', check=0)
    assert "ok" in run_cli("case", "check", 'q"ü x.toml', check=0).stdout
    run_cli("value", "mine.toml", "--horizon", "2", "--branching", "2,2", check=0)


def test_doctor_version_and_help(run_cli):
    facts = json.loads(run_cli("doctor", "--json", "-", check=0).stdout)
    assert facts["solvers"]["highs"]
    assert facts["pyomo_solvers"]["highs"]
    assert "highs" in run_cli("doctor", check=0).stdout
    assert run_cli("--version", check=0).stdout.strip() == __version__
    for arguments in (("--help",), ()):
        assert "simulate" in run_cli(*arguments, check=0).stdout
    assert "init" in run_cli("case", check=0).stdout


BAD = {
    "negative sigma": ("sigma = 0.2", "sigma = -0.2", "demand.sigma"),
    "nan sigma": ("sigma = 0.2", "sigma = nan", "demand.sigma"),
    "zero demand": ("D0 = 10.0", "D0 = 0", "demand.D0"),
    "nan demand": ("D0 = 10.0", "D0 = nan", "demand.D0"),
    "unknown key": ("T = 10", "T = 10\nyears = 3", "horizon.years"),
    "wrong type": ("T = 10", 'T = "ten"', "horizon.T"),
    "not toml": ("T = 10", "T = = 10", "not TOML"),
    "missing key": ("mu = 0.2", "", "demand.mu"),
}


@pytest.mark.parametrize("change", sorted(BAD))
def test_bad_case_files(run_cli, tmp_path, change):
    old, new, field = BAD[change]
    (tmp_path / "bad.toml").write_text(case_text("predecessor").replace(old, new, 1), encoding="utf-8")
    for command in (
        ("run", "bad.toml", "--out", "o"),
        ("value", "bad.toml", "--json", "o.json"),
        ("case", "check", "bad.toml"),
    ):
        out = run_cli(*command)
        assert_refused(out, field, tmp_path, {"bad.toml"})


@pytest.mark.parametrize(
    "arguments, field",
    [
        (("value", "lunar-reference", "--branching", "3,3,3"), "branching"),
        (("value", "lunar-reference", "--horizon", "2", "--branching", "3,0"), "branching"),
        (("value", "lunar-reference", "--horizon", "2", "--branching", "3,x"), "branching"),
        (("value", "lunar-reference", "--horizon", "0"), "horizon.T"),
        (("value", "missing.toml"), "missing.toml"),
        (("value", "lunar-reference", "--horizon", "2", "--branching", "2,2", "--solver", "abacus"), "solver"),
        (("value", "lunar-reference", "--horizon", "1", "--quantization", "dice"), "quantization"),
        (
            ("value", "lunar-reference", "--horizon", "1", "--branching", "3", "--quantization", "binomial"),
            "branching",
        ),
        (("value", "lunar-reference", *T3, "--json", "no/such/folder/x.json"), "json"),
        (("solve", "lunar-reference", "--method", "magic", *T3), "method"),
        (("simulate", "lunar-reference", "--paths", "0"), "paths"),
        (("simulate", "lunar-reference", "--paths", "many"), "paths"),
        (("simulate", "lunar-reference", "--strategies", "bold"), "strategies"),
        (("simulate", "lunar-reference", "--strategies", ""), "strategies"),
        (("simulate", "lunar-reference", "--seed", "-1"), "seed"),
        (("run", "lunar-reference", *T3, "--paths", "0", "--out", "o"), "paths"),
        (("run", "lunar-reference", *T3, "--sampler", "dice", "--out", "o"), "sampler"),
        (("run", "lunar-reference", *T3, "--out", "/proc/nowhere/o"), "out"),
        (("report", "nowhere"), "RUN_DIR"),
        (("simulate", "lunar-reference", "--branching", "3,3"), "branching"),
        (("simulate", "lunar-reference", "--mapping", "magic"), "mapping"),
        (("value", "lunar-reference", "--branching", ""), "branching"),
        (("case", "init", "no/such/case.toml"), "FILE"),
        (("nonsense",), "nonsense"),
        (("value",), "CASE"),
    ],
)
def test_bad_arguments(run_cli, tmp_path, arguments, field):
    assert_refused(run_cli(*arguments), field, tmp_path, set())


def assert_refused(outcome, field, folder, files):
    assert outcome.returncode == 2, outcome.stderr
    assert outcome.stdout == ""
    lines = outcome.stderr.strip().splitlines()
    assert len(lines) == 1, outcome.stderr
    assert lines[0].startswith("error: ")
    assert field in lines[0]
    assert {p.name for p in folder.iterdir()} == files  # nothing written


def test_run_refuses_a_folder_that_only_looks_like_a_run(run_cli, tmp_path):
    folder = tmp_path / "extension"
    folder.mkdir()
    (folder / "manifest.json").write_text('{"name": "my web extension"}')
    assert_refused(run_cli("run", "lunar-reference", *T3, "--out", "extension"), "out", tmp_path, {"extension"})
    (folder / "manifest.json").write_text('{"made_by": "stochisru", "format": 1}')
    (folder / "thesis.txt").write_text("years of work")
    assert_refused(run_cli("run", "lunar-reference", *T3, "--out", "extension"), "out", tmp_path, {"extension"})
    assert (folder / "thesis.txt").read_text() == "years of work"


def test_run_replaces_what_a_link_points_to(run_cli, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    run_cli("run", "lunar-reference", *T3, "--paths", "50", "--out", "link", check=0)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "report.html").exists()
    assert {p.name for p in tmp_path.iterdir()} == {"real", "link"}


def test_json_target_is_never_lost(run_cli, tmp_path):
    """A link's target is updated, a pipe written to, the input refused."""
    (tmp_path / "link.json").symlink_to("real.json")
    run_cli("case", "show", "predecessor", "--json", "link.json", check=0)
    assert (tmp_path / "link.json").is_symlink()
    assert json.loads((tmp_path / "real.json").read_text())["name"] == "predecessor"
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    run_cli("case", "list", "--json", "pipe", check=0)
    assert b"predecessor" in os.read(reader, 4096)
    assert (tmp_path / "pipe").is_fifo()
    os.close(reader)
    run_cli("case", "init", "me.toml", check=0)
    before = (tmp_path / "me.toml").read_bytes()
    out = run_cli("value", "me.toml", *T3, "--json", "me.toml")
    assert (out.returncode, "json: me.toml is the input" in out.stderr) == (2, True)
    assert (tmp_path / "me.toml").read_bytes() == before


def test_odd_surroundings(run_cli, tmp_path):
    ascii_only = {"PYTHONIOENCODING": "ascii"}
    assert "eev" in run_cli("value", "lunar-reference", *T3, check=0, env=ascii_only).stdout
    long = run_cli("value", "lunar-reference", *T3, "--json", "x" * 300)
    assert (long.returncode, len(long.stderr.splitlines())) == (2, 1)
    (tmp_path / "bom.toml").write_text("\ufeff" + case_text("predecessor"), encoding="utf-8")
    run_cli("case", "check", "bom.toml", check=0)
    here = run_cli("run", "lunar-reference", *T3, "--out", ".")
    assert (here.returncode, "current folder" in here.stderr) == (2, True)


def test_run_refuses_a_folder_with_other_files(run_cli, tmp_path):
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis.txt").write_text("years of work")
    assert_refused(run_cli("run", "lunar-reference", *T3, "--out", "precious"), "out", tmp_path, {"precious"})
    assert (tmp_path / "precious" / "thesis.txt").read_text() == "years of work"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_unwritable_folder(run_cli, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    assert_refused(run_cli("run", "lunar-reference", *T3, "--out", "locked/o"), "out", tmp_path, {"locked"})


def test_import_is_light(root):
    """Nothing heavy or optional is imported until it is used."""
    code = (
        "import sys, stochisru; "
        "heavy = {'pyomo', 'mpisppy', 'scipy', 'pandas', 'matplotlib', 'xarray', 'highspy', 'mpi4py', 'gurobipy'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert out.stdout.strip() == "[]"


def test_everything_imports_without_the_optional_packages(root):
    code = (
        "import sys\n"
        "class Missing:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('mpi4py', 'gurobipy', 'dask'): raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Missing())\n"
        "import stochisru as s\n"
        "from scenario_trees import ScenarioTree\n"
        "for name in s.__all__: getattr(s, name)\n"
        "case = s.load_case('lunar-reference').replace(T=2)\n"
        "tree = ScenarioTree.from_process(case.process, [3, 3])\n"
        "s.value_table(case, tree); s.progressive_hedging(case, tree)\n"
        "print('fine')"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=root)
    assert out.stdout.strip().endswith("fine"), out.stderr
