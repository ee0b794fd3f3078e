"""Run folders: whose they are, what a case is called, and that a figure never loses a study."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest

from stochisru import load_case
from stochisru.errors import FigureError, InputError
from stochisru.files import MADE_BY, MANIFEST, drawing, replacing_folder
from stochisru.lunar.shipped import case_text
from stochisru.studies.folder import default_folder
from tests.cases import BASE_CASES

SMALL = ("--horizon", "2", "--branching", "2,2", "--paths", "100")


def _fill(target, text="x", kind="run", **entries):
    with replacing_folder(target, kind, entries) as folder:
        study = {} if kind == "run" else {"study": kind}
        (folder / MANIFEST).write_text(json.dumps({**MADE_BY, **study, **entries}))
        (folder / "case.toml").write_text(text)


def test_a_folder_of_another_case_is_never_replaced(tmp_path):
    target = tmp_path / "out"
    _fill(target, "first", case_hash="aaaa")
    _fill(target, "again", case_hash="aaaa")
    assert (target / "case.toml").read_text() == "again"
    message = r"holds the run of another case \(case_hash aaaa there, bbbb here\); give another folder with --out$"
    with pytest.raises(InputError, match=message):
        _fill(target, "other", case_hash="bbbb")
    assert (target / "case.toml").read_text() == "again"
    _fill(tmp_path / "map", kind="map", case_hash="aaaa")
    with pytest.raises(InputError, match="holds the map of another case"):
        _fill(tmp_path / "map", kind="map", case_hash="bbbb")


def test_a_changed_case_says_so():
    shipped = load_case("lunar-reference")
    assert (shipped.title, shipped.is_shipped) == ("lunar-reference", True)
    assert default_folder(shipped).as_posix() == "runs/lunar-reference"
    assert default_folder(shipped, "deployment").as_posix() == "runs/lunar-reference-deployment"
    changed = shipped.replace(r=0.1)
    mark = changed.digest()[:8]
    assert changed.title == f"lunar-reference (changed, {mark})"
    assert default_folder(changed).as_posix() == f"runs/lunar-reference-{mark}"
    assert changed.replace(r=0.08).title == "lunar-reference"
    mine = shipped.replace(name="mine")
    assert mine.title == "mine"
    assert default_folder(mine).as_posix() == f"runs/mine-{mine.digest()[:8]}"


def test_runs_of_two_cases_of_one_name_stand_beside_each_other(run_cli, tmp_path):
    text = case_text("lunar-reference").replace("T = 10", "T = 2")
    (tmp_path / "mine.toml").write_text(text.replace("r = 0.08", "r = 0.12"))
    (tmp_path / "other.toml").write_text(text)
    for file in ("mine.toml", "other.toml", "mine.toml"):
        run_cli("run", file, *SMALL[2:], check=0)
    folders = sorted(p.name for p in (tmp_path / "runs").iterdir())
    assert folders == sorted(
        f"lunar-reference-{load_case(tmp_path / f).digest()[:8]}" for f in ("mine.toml", "other.toml")
    )
    first = tmp_path / "runs" / folders[0]
    manifest = json.loads((first / MANIFEST).read_text())
    title = f"lunar-reference (changed, {folders[0].rpartition('-')[2]})"
    assert (manifest["case"], manifest["title"]) == ("lunar-reference", title)
    page = (first / "report.html").read_text()
    assert f'<h1 class="case">{title} ' in page
    bad = run_cli("run", "other.toml", *SMALL[2:], "--out", "runs/" + folders[0], check=None)
    worse = run_cli("run", "mine.toml", *SMALL[2:], "--out", "runs/" + folders[0], check=None)
    assert sorted((bad.returncode, worse.returncode)) == [0, 2]
    assert "of another case (case_hash" in bad.stderr + worse.stderr


@pytest.mark.parametrize("backend", ["module://matplotlib_inline.backend_inline", "no-such-backend"])
def test_figures_do_not_depend_on_the_backend(run_cli, tmp_path, backend):
    run_cli("run", "lunar-reference", *SMALL, "--out", "r", env={"MPLBACKEND": backend}, check=0)
    assert (tmp_path / "r" / "report.html").exists()
    assert any((tmp_path / "r" / "figures").iterdir())
    run_cli("network", "mars", "--figure", "m.png", env={"MPLBACKEND": backend}, check=0)
    assert (tmp_path / "m.png").exists()


def test_the_environment_and_a_backend_that_exists_are_left_alone(run_cli, root):
    import os
    import subprocess
    import sys

    code = (
        "import os; from stochisru.backend import matplotlib; m = matplotlib(); "
        "print(os.environ['MPLBACKEND'], m.get_backend(auto_select=False))"
    )
    for backend, shown in (("svg", "svg svg"), ("no-such-backend", "no-such-backend None")):
        said = subprocess.run(
            [sys.executable, "-c", code],
            cwd=root,
            env={**os.environ, "MPLBACKEND": backend},
            capture_output=True,
            text=True,
            check=True,
        )
        assert said.stdout.strip() == shown


def test_a_figure_that_fails_loses_no_study(tmp_path):
    target = tmp_path / "out"

    def study():
        with replacing_folder(target, same={"case_hash": "a"}) as folder:
            (folder / "tables").mkdir()
            with drawing():
                _ = 1 / 0

    message = r"^figures: could not be made \(ZeroDivisionError: .*\); tables and manifest are in .*/out$"
    with pytest.raises(FigureError, match=message):
        study()
    assert [p.name for p in target.iterdir()] == ["tables"]
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_the_command_says_what_failed_and_keeps_the_tables(tmp_path, monkeypatch, capsys):
    from stochisru.cli.main import main
    from stochisru.files import read_manifest

    monkeypatch.chdir(tmp_path)
    for module, name, command in (
        ("stochisru.report.run_figures", "all_figures", ["run", "lunar-reference", *SMALL, "--out", "r"]),
        (
            "stochisru.lunar.studies.figures",
            "tornado_pair",
            ["sensitivity", "lunar-reference", "--horizon", "3", "--out", "s"],
        ),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(f"{module}.{name}", lambda *_: [][0])
            with pytest.raises(SystemExit) as end:
                main([*command, "--json", "found.json"])
        assert end.value.code == 1
        said = capsys.readouterr().err
        found = json.loads((tmp_path / "found.json").read_text())
        assert found["values"]["rp"] > 0 if isinstance(found, dict) else found[0]["rp"] > 0
        (tmp_path / "found.json").unlink()
        assert said.count("\n") == 1
        assert "figures: could not be made (IndexError: list index out of range); tables and manifest are in" in said
        folder = tmp_path / command[-1]
        assert read_manifest(folder) is not None
        assert any((folder / "tables").iterdir())


# --- provenance and unusual values


def test_defaults_are_not_given():
    frame = load_case("lunar-reference").to_frame()
    defaults = set(frame.index[frame["status"] == "default"])
    by_size = {"reference", "c_dev_exponent", "eta_exponent", "c_dev_curve", "eta_curve"}
    assert defaults == {"lot", "fixed_cost", *by_size, "process"}
    assert set(frame.loc[list(defaults), "source"]) == {"not in the case file"}
    case = load_case("lunar-reference").replace(lot=60.0, r=0.08, T=5)
    frame = case.to_frame()
    assert tuple(frame.loc["lot", ["status", "source"]]) == ("given", "changed by the user")
    assert frame.loc["r", "status"] == "assumed"
    assert frame.loc["fixed_cost", "status"] == "default"
    assert "# fixed_cost = 0.0 (default)\n" in case.to_toml()


@pytest.mark.parametrize("name", BASE_CASES)
def test_a_written_case_keeps_its_provenance(name, tmp_path):
    case = load_case(name).replace(fixed_cost=1e6)
    (tmp_path / "c.toml").write_text(case.to_toml(), encoding="utf-8")
    again = load_case(tmp_path / "c.toml")
    assert again == case
    assert again.to_frame().equals(case.to_frame())
    assert case.linear_bound.digest() == case.replace(fixed_cost=0.0).linear_bound.digest()


@pytest.mark.parametrize(
    ("symbol", "value", "message"),
    [
        ("r", 8, "r: 8 is unusual, usually 0 to 0.5 1/yr; 8 % is written 0.08"),
        ("r", 0.6, "r: 0.6 is unusual, usually 0 to 0.5 1/yr; 0.6 % is written 0.006"),
        ("mu", 4.0, "mu: 4 is unusual, usually -0.5 to 1 1/yr; 4 % is written 0.04"),
        ("sigma", 5.0, "sigma: 5 is unusual, usually 0 to 1.5 1/√yr; 5 % is written 0.05"),
        ("alpha", 0.5, "alpha: 0.5 is unusual, usually 1 to 100 kg/kg"),
        ("P_m", 4e7, "P_m: 4e+07 is unusual, usually 0 to 1e+07 $/kg"),
    ],
)
def test_unusual_values_are_named(symbol, value, message):
    from stochisru.lunar.usual import unusual

    assert unusual(load_case("lunar-reference").replace(**{symbol: value})) == [message]


@pytest.mark.parametrize("name", BASE_CASES)
def test_shipped_cases_are_usual(name):
    from stochisru.lunar.usual import USUAL, unusual

    case = load_case(name)
    assert unusual(case) == []
    assert set(USUAL) <= set(case.values)


def test_commands_warn_in_one_line_and_go_on(run_cli, tmp_path):
    text = case_text("lunar-reference")
    (tmp_path / "percent.toml").write_text(text.replace("r = 0.08", "r = 8"))
    line = "warning: r: 8 is unusual, usually 0 to 0.5 1/yr; 8 % is written 0.08\n"
    check = run_cli("case", "check", "percent.toml", "--json", "-", check=0)
    assert check.stderr == line
    assert json.loads(check.stdout)["warnings"] == [line.removeprefix("warning: ").rstrip()]
    for command in (("solve", "percent.toml", *SMALL[:4]), ("value", "percent.toml", *SMALL[:4])):
        assert run_cli(*command, check=0).stderr == line
    assert json.loads(run_cli("case", "check", "predecessor", "--json", "-", check=0).stdout)["warnings"] == []


HOLD = """
import sys, time
from pathlib import Path
from stochisru.files import replacing_folder
with replacing_folder(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_run_folder_is_one_process_at_a_time_and_free_when_that_is_killed(tmp_path):
    target = tmp_path / "run"
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(target)], stdout=subprocess.PIPE, text=True)
    with process.stdout as out:
        assert out.readline() == "held\n"
        with pytest.raises(InputError, match=r"out: .*run is in use by another process"), replacing_folder(target):
            pass
        process.send_signal(signal.SIGKILL)
    process.wait()
    with replacing_folder(target) as folder:
        (folder / MANIFEST).write_text("{}", encoding="utf-8")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
