"""What cannot be written, and processes that are ended: the work goes on or says in one line what to do."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from stochisru import load_case
from stochisru.cli.main import main
from stochisru.errors import UnwrittenWarning, WorkerError
from stochisru.simulation.blocks import in_order
from stochisru.studies.store import Execution, Study, run_study

TREE = ("--horizon", "3", "--branching", "3,3,3")
PH = ("solve", "lunar-reference", *TREE, "--method", "ph", "--checkpoint-interval", "0")

SDDP = ("solve", "lunar-reference", "--horizon", "3", "--states", "4", "--method", "sddp")


def full(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


def ended(capsys, *arguments):
    """Exit code, output and error of a command."""
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in arguments])
    said = capsys.readouterr()
    return end.value.code, said.out, said.err


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


# --- the disk is full


@pytest.mark.parametrize("method", [PH, SDDP])
def test_a_method_goes_on_without_its_checkpoint(here, monkeypatch, capsys, method):
    plain = json.loads(ended(capsys, *method[:-2] if method is PH else method, "--json", "-")[1])
    monkeypatch.setattr("stochisru.methods.checkpoint.write_arrays", full)
    code, out, said = ended(capsys, *method, "--checkpoint", "c", "--json", "-")
    assert code == 3
    assert json.loads(out)["objective"] == plain["objective"]
    lines = said.splitlines()
    assert lines
    assert len(lines) == len(set(lines))  # once for a file
    for line in lines:
        assert line.startswith("warning: checkpoint: cannot write c/")
        assert line.endswith("npz: No space left on device; going on without it")


def test_a_study_goes_on_and_its_checkpoint_stays_whole(tmp_path, monkeypatch):
    study = Study({"kind": "test"}, [{"x": x} for x in range(4)], square)
    write, left = os.write, [150]

    def until_full(file, data):
        if left[0] <= 0:
            full()
        done = write(file, data[: left[0]])
        left[0] -= done
        return done

    with monkeypatch.context() as patch:
        patch.setattr("stochisru.studies.store.os.write", until_full)
        with pytest.warns(UnwrittenWarning, match=r"cannot write .*points.jsonl: No space left"):
            rows = run_study(study, Execution(checkpoint=tmp_path / "c"))
    assert rows == [{"y": x * x} for x in range(4)]
    kept = (tmp_path / "c" / "points.jsonl").read_text().splitlines()
    assert 0 < len(kept) < 4
    assert [json.loads(line)["point"]["x"] for line in kept] == list(range(len(kept)))
    assert run_study(study, Execution(checkpoint=tmp_path / "c", resume=True)) == rows


def square(point):
    return [{"y": point["x"] ** 2}]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device that is always full")
def test_json_that_cannot_be_written_loses_no_result(here, capsys):
    code, out, said = ended(capsys, "value", "lunar-reference", *TREE, "--json", "/dev/full")
    assert code == 3
    assert "evpi" in out
    assert said == ("error: json: cannot write /dev/full: No space left on device; the result is in the tables alone\n")


def test_a_folder_that_cannot_be_written_loses_no_result(here, monkeypatch, capsys):
    monkeypatch.setattr("pandas.DataFrame.to_parquet", full)
    for command, shown in (
        (("run", "lunar-reference", "--horizon", "2", "--branching", "2,2", "--paths", "100"), "moderate"),
        (("sensitivity", "lunar-reference", "--horizon", "3"), "r"),
        (("learning", "lunar-reference", "--horizon", "3", "--prior-sd", "0.05"), "learning"),
    ):
        code, out, said = ended(capsys, *command, "--out", "o", "--json", "found.json")
        assert code == 3, said
        assert shown in out
        assert said == "error: out: cannot write: No space left on device\n"
        assert json.loads((here / "found.json").read_text())
        (here / "found.json").unlink()
        assert list(here.iterdir()) == []


def test_a_file_that_cannot_be_made_is_refused_before_the_work(here, capsys):
    for target in ("x" * 300, "nowhere/f.json"):
        code, out, said = ended(capsys, "value", "lunar-reference", *TREE, "--json", target)
        assert (code, out, said.count("\n")) == (2, "", 1)
        assert said.startswith("error: json: ")


# --- leftovers


def test_what_a_killed_run_had_not_written_to_the_end_goes(here, capsys):
    assert ended(capsys, *PH, "--checkpoint", "c", "--iterations", "2")[0] in (0, 1)
    for name in (".state.0123abcd.part.npz", ".incumbent.77.part.npz", ".run.12.part.json"):
        (here / "c" / name).write_bytes(b"half")
    assert ended(capsys, *PH, "--checkpoint", "c", "--resume")[0] == 0
    assert sorted(p.name for p in (here / "c").iterdir()) == [".lock", "incumbent.npz", "run.json", "state.npz"]


# --- processes that are ended


def start(*arguments, cwd, **more):
    command = [sys.executable, "-m", "stochisru", *map(str, arguments)]
    return subprocess.Popen(command, cwd=cwd, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **more)


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGHUP, signal.SIGTERM])
@pytest.mark.parametrize("after", [0.1, 0.3, 0.6, 1.2])
def test_an_interrupt_at_any_time_is_one_line(tmp_path, stop, after):
    process = start("value", "lunar-reference", "--horizon", "9", cwd=tmp_path)
    time.sleep(after)
    process.send_signal(stop)
    _, said = process.communicate(timeout=60)
    if process.returncode == -stop and "stochisru" not in said:  # before the first line of the package
        return
    # A KeyboardInterrupt within `exec`, as of a dataclass, ends Python by the signal, which is 130 to a shell.
    assert process.returncode in (130, -signal.SIGINT)
    assert said == "error: interrupted; nothing half-written was left\n"


def test_a_hangup_that_is_ignored_ends_nothing(tmp_path):
    process = start("case", "list", cwd=tmp_path, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    time.sleep(0.3)
    process.send_signal(signal.SIGHUP)
    assert process.communicate(timeout=60)[1] == ""
    assert process.returncode == 0


def test_three_runs_at_once_are_one(tmp_path):
    small = ("--horizon", "2", "--branching", "2,2", "--paths", "100", "--out", "r")
    runs = [start("run", "lunar-reference", *small, cwd=tmp_path) for _ in range(3)]
    said = [run.communicate(timeout=120)[1] for run in runs]
    assert 0 in [run.returncode for run in runs]
    for run, line in zip(runs, said, strict=True):
        refused = "is in use by another process" in line or "holds" in line
        assert run.returncode == 0 or (run.returncode == 2 and line.count("\n") == 1 and refused)
    assert [p.name for p in tmp_path.iterdir()] == ["r"]


def die(point):
    if point["x"] == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return [{"y": float(np.sqrt(point["x"]))}]


def test_a_killed_worker_is_one_line_that_says_what_to_do(tmp_path):
    study = Study({"kind": "test"}, [{"x": x} for x in range(4)], die)
    with pytest.raises(WorkerError, match=r"^workers: .* memory ran out; use fewer workers or a smaller problem$"):
        run_study(study, Execution(workers=2))
    with pytest.raises(WorkerError, match=r"; what is finished is in the checkpoint, go on from there with --resume$"):
        run_study(study, Execution(workers=2, checkpoint=tmp_path / "c"))


def test_a_killed_worker_of_a_simulation_or_of_sddp_is_named(monkeypatch):
    from stochisru import sddp, simulate

    case = load_case("lunar-reference").replace(T=3)
    monkeypatch.setattr("stochisru.methods.sddp.crew._remote_pass", kill)
    with pytest.raises(WorkerError, match=r"^workers: a worker process was killed"):
        sddp(case, states=4, workers=2, rel_gap=0.0)
    monkeypatch.setattr("stochisru.lunar.simulation.monte_carlo.simulate_block", kill)
    with pytest.raises(WorkerError, match=r"^workers: a worker process was killed"):
        simulate(case, ["moderate"], paths=20_000, workers=2)


def kill(*_):
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_worker_that_dask_gave_up_is_named_too():
    from stochisru.workers import watched

    class KilledWorker(Exception):  # noqa: N818  # as dask calls it
        pass

    with pytest.raises(WorkerError, match=r"^workers: "), watched():
        raise KilledWorker
    with pytest.raises(ZeroDivisionError), watched():
        _ = 1 / 0


def _interrupted(number):
    os.kill(os.getpid(), signal.SIGINT)
    return number


def test_workers_do_not_hear_an_interrupt_of_the_terminal():
    """Ctrl-C goes to all processes in the foreground; the parent alone says so, and ends its workers."""
    assert list(in_order(_interrupted, [1, 2, 3], 2)) == [1, 2, 3]
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
