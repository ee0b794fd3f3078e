"""kill -9 at random moments of every command that writes: what is there is whole, and to go on gives the same numbers.

Two moments of some commands in every run of the tests, twenty of each in the nightly one.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stochisru.files import FILES, read_manifest
from stochisru.placing import listing

HISTORY = "docs/demand-history.csv"
TREE = ("--horizon", "4", "--branching", "3,3,3,3")
CHECKPOINT = ("--checkpoint", "c", "--resume")
#: Commands, each as long as one kill needs to find it at work; a command without a checkpoint begins again.
COMMANDS = {
    "run": ("run", "lunar-reference", "--horizon", "2", "--branching", "2,2", "--paths", "100", "--out", "o"),
    "run tables": ("run", "docs/two-technologies.toml", "--horizon", "2", "--branching", "2,2", "--out", "o"),
    "ph": ("solve", "lunar-reference", *TREE, "--method", "ph", "--checkpoint-interval", "0", *CHECKPOINT),
    "sddp": ("solve", "lunar-reference", "--horizon", "8", "--states", "8", "--method", "sddp", *CHECKPOINT),
    "sensitivity": ("sensitivity", "contested-market", "--horizon", "4", "--out", "o", *CHECKPOINT),
    "tune": ("tune", "contested-market", "--horizon", "4", "--generations", "3", "--out", "o", *CHECKPOINT),
    # The search for campaigns divides its time by the clock: it must end by its gap to be the same on a busy machine.
    "campaign": ("campaign", "--rel-gap", "0.9", "--years", "2", "--time-limit", "3000"),
    "campaign-sweep": (
        *("campaign-sweep", "--values", "1,2", "--rel-gap", "0.9", "--time-limit", "3000"),
        *("--architecture", "concentrated"),
        *("--phases", "without", "--out", "o", *CHECKPOINT),
    ),
    "decide": ("decide", "lunar-reference", "--history", HISTORY, "--out", "o"),
    "calibrate": ("calibrate", HISTORY, "--kind", "gbm", "--D0", "1000", "--out", "o"),
}
OFTEN = 20
#: Entries that a clock makes.
CLOCKS = {"seconds", "timings", "started", "iterations", "detail"}


def numbers(data):
    """A result without what a clock makes."""
    if isinstance(data, dict):
        return {key: numbers(value) for key, value in data.items() if key not in CLOCKS}
    return [numbers(value) for value in data] if isinstance(data, list) else data


def started(arguments, folder):
    words = [sys.executable, "-m", "stochisru", *arguments, "--json", "found.json"]
    return subprocess.Popen(words, cwd=folder, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)


def finished(arguments, folder):
    process = started(arguments, folder)
    said = process.communicate(timeout=300)[1]
    assert process.returncode == 0, said
    return numbers(json.loads((folder / "found.json").read_text()))


@pytest.fixture(scope="module")
def whole(tmp_path_factory, root):
    """Numbers of an uninterrupted command and its seconds, made once."""
    found = {}

    def of(name, arguments):
        if name not in found:
            folder = tmp_path_factory.mktemp("whole")
            begin = time.monotonic()
            found[name] = finished(arguments, folder), time.monotonic() - begin
        return found[name]

    return of


def kill_and_go_on(name, moments, whole, tmp_path, root):
    arguments = [str(root / word) if word.startswith("docs/") else word for word in COMMANDS[name]]
    expected, seconds = whole(name, arguments)
    chance = random.Random(f"{name} {moments}")
    for moment in range(moments):
        folder = tmp_path / str(moment)
        folder.mkdir()
        for _ in range(2):  # what goes on is killed too
            process = started(arguments, folder)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(chance.uniform(0.2, seconds))
            process.kill()
            process.communicate(timeout=60)
            if (folder / "o").exists():
                manifest = read_manifest(folder / "o")
                assert manifest is not None
                assert listing(folder / "o", but="manifest.json") == manifest[FILES]
            if (folder / "found.json").exists():
                assert numbers(json.loads((folder / "found.json").read_text())) == expected
        assert finished(arguments, folder) == expected
        wanted = {"o": "--out", "c": "--checkpoint"}
        left = {path.name for path in folder.iterdir()} - {"found.json"}
        assert {p for p in left if ".part" not in p} == {n for n, option in wanted.items() if option in arguments}
        assert not any(".part" in p.name for p in (folder / "c").glob("*"))


@pytest.mark.parametrize("name", ["run", "ph", "sddp", "tune"])
def test_killed_twice_it_goes_on_to_the_same_numbers(name, whole, tmp_path, root):
    kill_and_go_on(name, 1, whole, tmp_path, root)


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_killed_often_it_goes_on_to_the_same_numbers(name, whole, tmp_path, root):
    kill_and_go_on(name, OFTEN, whole, tmp_path, root)


# --- a rank under MPI


def ranks_of(launcher):
    """Numbers of the Python processes below a launcher."""
    parents, found = {}, {launcher}
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            name, rest = status.read_text().rpartition(")")[::2]
            parents[int(status.parent.name)] = int(rest.split()[1]), "python" in name
    for _ in range(4):
        found |= {process for process, (parent, _) in parents.items() if parent in found}
    return sorted(process for process in found if parents.get(process, (0, False))[1])


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
def test_when_a_rank_is_killed_all_end_and_the_checkpoint_goes_on(tmp_path):
    pytest.importorskip("mpi4py")
    launcher = shutil.which("mpiexec", path=os.path.dirname(sys.executable))  # noqa: PTH120
    if launcher is None:
        pytest.skip("the mpi extra is not installed")
    words = ["-m", "mpi4py", "-m", "stochisru", *COMMANDS["ph"], "--json", "found.json"]
    call = [launcher, "-n", "3", sys.executable, *words]
    chance = random.Random(7)
    for moment in range(OFTEN // 2):
        folder = tmp_path / str(moment)
        folder.mkdir()
        process = subprocess.Popen(call, cwd=folder, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        time.sleep(chance.uniform(0.5, 4.0))
        ranks = ranks_of(process.pid)
        if ranks:
            with contextlib.suppress(ProcessLookupError):
                os.kill(chance.choice(ranks), signal.SIGKILL)
        process.communicate(timeout=60)  # nobody waits for ever
        said = subprocess.run(call, cwd=folder, capture_output=True, text=True, timeout=240)
        assert said.returncode == 0, said.stderr
        found = json.loads((folder / "found.json").read_text())
        assert found["bounds"]["gap"] <= 1e-3
        assert found["objective"] == pytest.approx(134_705_568, rel=0.02)  # of the process
        assert sorted(p.name for p in (folder / "c").iterdir()) == [".lock", "incumbent.npz", "run.json", "state.npz"]
