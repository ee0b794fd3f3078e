"""What is released: one version, data of earlier ones, requirements that can be tried, nothing that is POSIX alone."""

import ast
import importlib
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import scenario_trees
import stochisru
from stochisru import load_case

#: Modules that Windows lacks.
POSIX = {"fcntl", "grp", "posix", "pty", "pwd", "readline", "resource", "syslog", "termios", "tty"}
#: Of os and signal: what Windows lacks, and what means another thing there: os.kill(pid, 0) is Ctrl-C.
OF_OS = {"fork", "getuid", "geteuid", "getpgid", "kill", "killpg", "mkfifo", "setsid", "statvfs", "sysconf", "uname"}
OF_SIGNAL = {"SIGHUP", "SIGKILL", "SIGUSR1", "SIGALRM", "alarm", "pause", "setitimer", "pthread_sigmask"}


def sources():
    for package in (scenario_trees, stochisru):
        yield from sorted(Path(package.__file__).parent.rglob("*.py"))


def guarded(tree):
    """Nodes that stand where the system is asked for."""
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "sys.platform" in ast.unparse(node.test):
            yield from (id(inner) for inner in ast.walk(node))


def not_portable(source):
    tree = ast.parse(source)
    asked = set(guarded(tree))
    for node in ast.walk(tree):
        if id(node) in asked:
            continue
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            module = getattr(node, "module", None)
            names = {alias.name for alias in node.names}
            yield from (names | {module}) & POSIX
            yield from names & {"os": OF_OS, "signal": OF_SIGNAL}.get(module, set())
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            of = {"os": OF_OS, "signal": OF_SIGNAL}.get(node.value.id, set())
            yield from {node.attr} & of
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "os.open":
            if "_BINARY" not in ast.unparse(node) and "O_APPEND" in ast.unparse(node):
                yield "os.open of a text"
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", None) in ("read_text", "write_text"):
            said = ast.unparse(node)
            if isinstance(node.func.value, (ast.Name, ast.BinOp)) and "encoding" not in said:
                yield said


def test_nothing_asks_for_posix():
    found = {str(path): list(not_portable(path.read_text(encoding="utf-8"))) for path in sources()}
    assert {path: names for path, names in found.items() if names} == {}


@pytest.mark.parametrize(
    "line", ["os.kill(1, 0)", "import fcntl", "signal.SIGHUP", "from os import fork", "p.read_text()"]
)
def test_the_test_sees_what_is_not_portable(line):
    assert list(not_portable(line))


def test_one_version(root):
    version = stochisru.__version__
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert "version" not in project
    assert (
        re.findall(r"^## (\S+)", (root / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)[0] == version + ","
    )
    assert f"\nversion: {version}\n" in (root / "CITATION.cff").read_text(encoding="utf-8")
    assert f"now {version.rpartition('.')[0]}." in (root / "SECURITY.md").read_text(encoding="utf-8")


# --- what version 0.1 left, see tests/frozen/version-0.1


@pytest.fixture
def earlier(root, tmp_path):
    """A run folder and a checkpoint of progressive hedging as version 0.1.0 wrote them, without tables and figures."""
    kept = root / "tests" / "frozen" / "version-0.1"
    for name, files in {"run": ("case.toml", "manifest.json"), "hedging": ("incumbent.npz", "state.npz")}.items():
        (tmp_path / name).mkdir()
        for file in files:
            shutil.copy(kept / file, tmp_path / name)
    return tmp_path


def test_cases_of_earlier_versions_are_read(earlier):
    case = load_case(earlier / "run" / "case.toml")
    now = load_case("contested-market").replace(T=2)
    assert case.values == now.values
    assert case.process == now.process


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("run", "run/case.toml", "--out", "run"),
            "out: .*/run holds other files or was made by an earlier version: its",
        ),
        (
            ("report", "run"),
            "RUN_DIR: run/manifest.json: title: field required; it was made by version 0.1.0: make the",
        ),
        (
            ("solve", "run/case.toml", "--method", "ph", "--checkpoint", "hedging", "--resume"),
            "checkpoint: hedging holds other files, must be new, empty or a run's of this version",
        ),
    ],
)
def test_folders_of_earlier_versions_are_refused_by_name(run_cli, earlier, words, said):
    before = {path: path.read_bytes() for path in earlier.rglob("*") if path.is_file()}
    outcome = run_cli(*words)
    assert outcome.returncode == 2
    assert re.match(f"error: {said}", outcome.stderr), outcome.stderr
    assert {path: path.read_bytes() for path in earlier.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("name", ["stochisru.linear_program", "stochisru.metrics"])
def test_old_paths_warn_once(monkeypatch, name):
    monkeypatch.delitem(sys.modules, name, raising=False)
    with pytest.warns(DeprecationWarning, match=f"{name} is an old path that goes with 0.3: import from stochisru"):
        module = importlib.import_module(name)
    assert importlib.import_module(name) is module  # no warning, which would be an error here
    assert all(getattr(module, public) for public in module.__all__)


def test_every_requirement_has_a_lowest_version(root):
    said = subprocess.run(
        [sys.executable, root / ".ci" / "lowest.py"], capture_output=True, text=True, check=True
    ).stdout.split()
    names = [line.partition("==")[0] for line in said]
    assert len(set(names)) == len(names) > 20
    assert {"numpy", "mpi4py", "dask", "pytest"} <= set(names)
