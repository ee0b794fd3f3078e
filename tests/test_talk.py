"""What commands say in a terminal of 80 columns, how much progress they tell, and what a shell may complete."""

import json
import re

import pytest

from stochisru.cli import doctor
from stochisru.cli.main import main
from stochisru.lunar.shipped import described, shipped_cases
from stochisru.lunar.terminal import cases_beginning
from stochisru.terminal import bar, progress, speak

SMALL = ("lunar-reference", "--horizon", "2")
#: Main commands that show tables, small.
SHOWN = {
    "value": ("value", *SMALL),
    "value of a tree": ("value", *SMALL, "--branching", "2,2"),
    "simulate": ("simulate", *SMALL, "--paths", "200"),
    "simulate tables": ("simulate", "TABLES", "--paths", "60", "--strategies", "reactive,moderate"),
    "solve": ("solve", *SMALL, "--branching", "2,2"),
    "sensitivity": ("sensitivity", *SMALL),
    "case show": ("case", "show", "lunar-reference"),
    "support": ("support", "contested-market", "--horizon", "4", "--plant", "300"),
    "network toy": ("network", "toy"),
}


@pytest.fixture
def call(monkeypatch, capsys, root):
    """Run a command in this process as in a terminal of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("FORCE_COLOR", "1")

    def run(*words):
        with pytest.raises(SystemExit) as ended:
            main([str(root / "docs" / "two-technologies.toml") if word == "TABLES" else word for word in words])
        told = capsys.readouterr()
        assert ended.value.code == 0, told.err
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", told.out), told.err

    return run


@pytest.mark.parametrize("name", SHOWN)
def test_no_number_is_cut(name, call):
    out, _ = call(*SHOWN[name])
    assert re.search(r"\d", out)
    assert not re.search(r"\d…", out)


def test_every_case_is_described(call):
    out, _ = call("case", "list")
    for name in shipped_cases():
        assert described(name).endswith(".")
        assert name in out
    assert "Oxygen for a lunar pole" in out


def test_verbose_tells_steps_and_quiet_none(capsys):
    for talk, lines in (("verbose", 4), ("quiet", 0)):
        speak(talk)
        try:
            with progress("solving") as step:
                step("first")
            with bar("paths", 4) as advance:
                advance(4)
        finally:
            speak("usual")
        told = capsys.readouterr().err
        assert told.count("\n") >= lines
        assert ("4 of 4 (100%)" in told and "solving: first" in told) == (talk == "verbose")
        assert told == "" or talk == "verbose"


def test_one_of_quiet_and_verbose(run_cli):
    assert "give one of them" in run_cli("-q", "-v", "case", "list", check=2).stderr


def test_a_shell_completes_cases_options_and_files(tmp_path, monkeypatch, capsys):
    (tmp_path / "mine.toml").write_text("")
    (tmp_path / "mined").mkdir()
    monkeypatch.chdir(tmp_path)
    assert cases_beginning("lunar") == ["lunar-reference"]
    assert cases_beginning("mi") == ["mine.toml", "mined/"]
    asked = {"_STOCHISRU_COMPLETE": "complete_bash", "COMP_WORDS": "stochisru solve x --sta", "COMP_CWORD": "3"}
    for name, value in asked.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.argv", ["stochisru"])
    with pytest.raises(SystemExit):
        main()
    assert capsys.readouterr().out.split() == ["--states"]


def test_doctor_finds_the_launcher_beside_python(tmp_path, monkeypatch):
    beside = tmp_path / "bin" / "mpiexec"
    beside.parent.mkdir()
    beside.touch(mode=0o755)
    monkeypatch.setattr(doctor.sys, "executable", str(beside.parent / "python"))
    monkeypatch.setenv("PATH", "")
    assert doctor._mpiexec() == str(beside)


def test_help_of_studies_promises_no_page(run_cli):
    assert "page" not in run_cli("study", "--help", check=0).stdout.partition("Commands")[0]
    assert json.loads(run_cli("case", "list", "--json", "-", check=0).stdout) == shipped_cases()
