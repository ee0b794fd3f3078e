"""A folder belongs to one problem, options and code, and to one process at a time."""

from __future__ import annotations

import errno
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from stochisru import load_case
from stochisru.errors import InputError
from stochisru.methods.checkpoint import claimed, code_of
from stochisru.studies.store import Execution, Study, run_study

HOLD = """
import sys, time
from pathlib import Path
from stochisru.methods.checkpoint import claimed
with claimed(Path(sys.argv[1]), {"problem": 1}, kind="run", resume=True):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_folder_is_locked_until_its_process_is_killed(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    with process.stdout as out:
        assert out.readline() == "held\n"
        with (
            pytest.raises(InputError, match="is in use by another process"),
            claimed(tmp_path, {"problem": 1}, kind="run", resume=True),
        ):
            pass
        process.send_signal(signal.SIGKILL)
    process.wait()
    with claimed(tmp_path, {"problem": 1}, kind="run", resume=True) as folder:
        assert folder == tmp_path


def test_two_starts_at_once_leave_one(tmp_path):
    start = """
import sys, time
from pathlib import Path
from stochisru.methods.checkpoint import claimed
from stochisru.errors import InputError
until = float(sys.argv[2])
time.sleep(max(0.0, until - time.time()))
try:
    with claimed(Path(sys.argv[1]), {"problem": 1}, kind="run", resume=False):
        print("won", flush=True)
        time.sleep(1)
except InputError as error:
    print(error)
"""
    call = [sys.executable, "-c", start, str(tmp_path / "c"), str(time.time() + 4)]
    both = [subprocess.Popen(call, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = sorted(process.communicate()[0].strip() for process in both)
    assert said[1] == "won"
    assert "is in use by another process" in said[0] or "holds a run already" in said[0]


def test_refusals_name_the_difference_in_one_line(tmp_path, monkeypatch):
    def claim(resume=True, **identity):
        with claimed(tmp_path / "c", {"problem": 1, **identity}, kind="run", resume=resume):
            pass

    claim(resume=False)
    claim()
    with pytest.raises(InputError, match=r"holds a run already; resume it or give another folder$"):
        claim(resume=False)
    for resume in (True, False):
        with pytest.raises(
            InputError, match=r"belongs to another run \(problem: 1 there, 2 here\); give another folder$"
        ):
            claim(resume, problem=2)
    with pytest.raises(InputError, match=r"belongs to another run \(seed: None there, 2 here\)"):
        claim(seed=2)
    monkeypatch.setattr("stochisru.methods.checkpoint.package_code", lambda: "edited")
    with pytest.raises(InputError, match=r"belongs to another run \(code: '.*' there, 'edited' here\)"):
        claim()
    monkeypatch.undo()
    with (
        pytest.raises(InputError, match="holds other files"),
        claimed(tmp_path / "c", {"problem": 1}, kind="study", resume=True),
    ):
        pass
    (tmp_path / "c" / "run.json").write_text("[]")
    with pytest.raises(InputError, match="cannot read"):
        claim()


def test_a_start_killed_before_its_identity_is_a_start_again(tmp_path):
    (tmp_path / ".lock").touch()
    (tmp_path / ".run.123.part.json").write_text("{")
    with claimed(tmp_path, {"problem": 1}, kind="run", resume=False):
        assert json.loads((tmp_path / "run.json").read_text())["problem"] == 1


# --- the code that computes

FACTOR = 2.0


def helper(x):
    return FACTOR * x


def compute(point):
    return [{"y": helper(point["x"])}]


@dataclass(frozen=True)
class Scaled:
    factor: float

    def __call__(self, point):
        return [{"y": self._of(point["x"])}]

    def _of(self, x):
        return self.factor * x


def test_code_is_told_from_other_code(monkeypatch):
    case = load_case("lunar-reference")
    known = [
        compute,
        lambda point: [{"y": point["x"]}],
        lambda point: [{"y": 2 * point["x"]}],
        Scaled(1.0),
        Scaled(2.0),
        functools.partial(compute, 1),
        functools.partial(compute, 2),
        functools.partial(compute, case),
        functools.partial(compute, case.replace(r=0.07)),
        functools.partial(compute, np.arange(3)),
        functools.partial(compute, np.arange(3.0)),
        Scaled(1.0)._of,
    ]
    codes = [code_of(f) for f in known]
    assert len(set(codes)) == len(codes)
    assert [code_of(f) for f in known] == codes
    assert code_of(Scaled(1.0)) == codes[3]
    for name, value in (("FACTOR", 3.0), ("helper", lambda x: x)):  # what the function uses of its module
        monkeypatch.setattr(f"{__name__}.{name}", value)
        assert code_of(compute) != codes[0]
        monkeypatch.undo()
    assert code_of(compute) == codes[0]


def test_code_is_the_same_in_every_process(root):
    call = [
        sys.executable,
        "-c",
        "import tests.test_checkpoint as t; print(t.code_of(t.compute), t.code_of(t.Scaled(1)))",
    ]
    said = {
        subprocess.run(
            call, cwd=root, capture_output=True, text=True, check=True, env={**os.environ, "PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2")
    }
    assert len(said) == 1


def test_a_study_never_mixes_rows_of_two_computations(tmp_path):
    how = Execution(checkpoint=tmp_path / "c", resume=True)
    first = run_study(Study({"study": "s"}, [{"x": 1}], Scaled(1.0)), Execution(checkpoint=tmp_path / "c"))
    assert run_study(Study({"study": "s"}, [{"x": 1}], Scaled(1.0)), how) == first
    with pytest.raises(InputError, match=r"belongs to another study \(compute: "):
        run_study(Study({"study": "s"}, [{"x": 1}, {"x": 2}], Scaled(3.0)), how)


# --- methods

PH = ("--method", "ph", "--horizon", "5", "--branching", "3,3,3,3,2", "--cut-stage", "3", "--rel-gap", "0",
      "--checkpoint-interval", "0")  # fmt: skip
SDDP = ("--method", "sddp", "--horizon", "8", "--states", "12", "--rel-gap", "0")


@pytest.mark.parametrize(("options", "file"), [pytest.param(PH, "state.npz", marks=pytest.mark.slow), (SDDP, None)])
def test_a_second_run_does_not_touch_the_first_ones_folder(run_cli, tmp_path, options, file):
    call = ("solve", "lunar-reference", *options, "--checkpoint", "c")
    process = subprocess.Popen(
        [sys.executable, "-m", "stochisru", *call, "--iterations", "100000"], cwd=tmp_path, stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    wanted = tmp_path / "c" / (file or "run.json")
    try:
        until = time.monotonic() + 120
        while not wanted.exists():
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.05)
        for more in ((), ("--resume",)):
            bad = run_cli(*call, *more, "--iterations", "1", check=2)
            assert "c is in use by another process" in bad.stderr
            assert bad.stderr.count("\n") == 1
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    shutil.copytree(tmp_path / "c", tmp_path / "d")
    other = run_cli("solve", "contested-market", *options, "--checkpoint", "d", "--resume", check=2)
    assert "d belongs to another run (case: " in other.stderr
    done = json.loads((Path(tmp_path) / "c" / "run.json").read_text())
    assert done["method"] == options[1]
    result = run_cli(*call, "--resume", "--iterations", "3", "--json", "-")
    assert result.returncode in (0, 1)  # the gap of 0 need not be met
    assert json.loads(result.stdout)["bounds"]["upper"] is not None


def test_what_a_compute_is_given_counts():
    """Arguments of a partial and fields of a user's object are part of what rows depend on."""
    from functools import partial

    from stochisru.lunar.simulation import npv_on_paths
    from stochisru.methods.checkpoint import code_of

    class Rows:
        def __init__(self, factor):
            self.factor = factor

        def __call__(self, point):
            return [{**point, "x": self.factor}]

    assert code_of(partial(npv_on_paths, 1)) != code_of(partial(npv_on_paths, 2))
    assert code_of(Rows(1)) == code_of(Rows(1)) != code_of(Rows(2))


@pytest.mark.skipif(sys.platform == "win32", reason="locks by another call")
def test_a_file_system_without_locks_is_used_with_one_warning(tmp_path, monkeypatch):
    import fcntl

    def none(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    for attempt in range(2):
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            with claimed(tmp_path / "c", {"seed": 1}, kind="study", resume=True):
                pass
        assert [str(w.message) for w in seen] == [
            f"checkpoint: the file system of {tmp_path / 'c'} gives no locks (No locks available): "
            "let no other process use the folder"
        ] * (attempt == 0)
