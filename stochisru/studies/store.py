"""A study as a list of independent points, computed in parallel and remembered on disk.

A point is a dictionary of plain values, and what is computed at it depends on nothing but the point and the identity of
the study (kind, case, seeds). So points can be computed in any order and by any number of processes, and what one
run has finished another need not compute again. Rows always take the way through JSON, whether they were just computed
or read back: a resumed study gives the same bytes as one that was never interrupted.
"""

from __future__ import annotations

import contextlib
import json
import os
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scenario_trees.files import MISSHAPEN
from stochisru.errors import InputError, StochisruError, require_integer
from stochisru.files import plain
from stochisru.methods.checkpoint import claimed, code_of, warn_unwritten
from stochisru.workers import unhearing, watched

Point = Mapping[str, Any]
Row = dict[str, Any]

#: Ways to run the points of a study in parallel.
BACKENDS = ("processes", "dask")
_POINTS = "points.jsonl"
#: On Windows a file of bytes has to be asked for: lines are cut at their length.
_BINARY: int = getattr(os, "O_BINARY", 0)


@dataclass(frozen=True)
class Study:
    """Points and what to compute at each.

    Attributes
    ----------
    identity
        What all rows depend on besides their point (kind of study, hash of the case, seed, ...), as plain values. A
        checkpoint is only continued by a study of the same identity and the same code (`stochisru.methods.checkpoint`).
    points
        Plain values by name; no two the same.
    compute
        Rows of a point, a pure function; it is sent to other processes.
    """

    identity: Mapping[str, Any]
    points: Sequence[Point]
    compute: Callable[[Point], list[Row]]


@dataclass(frozen=True)
class Execution:
    """How a study is run; its rows do not depend on it.

    Attributes
    ----------
    workers
        Processes, ≥ 1.
    backend
        ``processes`` on this machine, or ``dask``: the dask client that is active, else the scheduler named by the
        environment variable DASK_SCHEDULER_ADDRESS, else a local cluster of ``workers`` processes.
    checkpoint
        Folder that remembers finished points; None remembers nothing.
    resume
        Go on from the checkpoint. Without it, a folder that holds a study already is refused.
    progress
        Called with the number of points that were just done.

    Raises
    ------
    InputError
        If a value is out of range, or dask is asked for and not installed.
    """

    workers: int = 1
    backend: str = "processes"
    checkpoint: str | Path | None = None
    resume: bool = False
    progress: Callable[[int], None] | None = None

    def __post_init__(self) -> None:
        require_integer("workers", self.workers, 1)
        if self.backend not in BACKENDS:
            raise InputError(f"backend: must be one of {', '.join(BACKENDS)}, got {self.backend!r}")
        if self.resume and self.checkpoint is None:
            raise InputError("resume: needs the checkpoint folder of the study to go on with")
        if self.backend == "dask":
            try:
                import distributed  # noqa: F401
            except ImportError as error:
                raise InputError("backend: dask is not installed; pip install 'stochisru[dask]'") from error

    @contextlib.contextmanager
    def opened(self, identity: Mapping[str, Any], compute: Callable[[Point], list[Row]]) -> Iterator[Evaluator]:
        """Checkpoint and dask client of a study, open for as long as points are asked for."""
        with contextlib.ExitStack() as stack:
            whole = identity if self.checkpoint is None else {**identity, "compute": code_of(compute)}
            memory = stack.enter_context(Memory.opened(whole, self.checkpoint, self.resume))
            if self.backend == "dask":
                stack.enter_context(_dask_client(self.workers))
            yield Evaluator(compute, memory, self)


def _key(point: Point) -> str:
    return json.dumps(plain(dict(point)), sort_keys=True, ensure_ascii=False)


def _check(entry: Mapping[str, Any]) -> int:
    """Sum by which a line tells whether it is as it was written."""
    return zlib.crc32(json.dumps(entry, sort_keys=True).encode())


class Memory:
    """Rows of finished points, in memory and in a folder.

    The folder holds ``study.json`` (the identity and versions) and ``points.jsonl``, to which one line per finished
    point is appended and flushed to the disk. A line that a crash cut short is dropped when the folder is opened again.
    One process at a time may have it open.
    """

    def __init__(self, file: int | None = None, path: Path | None = None) -> None:
        self._file, self._path = file, path
        self._rows: dict[str, list[Row]] = {}

    @classmethod
    @contextlib.contextmanager
    def opened(cls, identity: Mapping[str, Any], folder: str | Path | None, resume: bool) -> Iterator[Memory]:
        """Open a folder, or a memory without one.

        Raises
        ------
        InputError
            If the folder cannot be used, holds another study, or one that is not to be resumed.
        """
        if folder is None:
            yield cls()
            return
        with claimed(Path(folder), identity, kind="study", resume=resume) as claim:
            try:
                file = os.open(claim / _POINTS, os.O_RDWR | os.O_CREAT | os.O_APPEND | _BINARY, 0o666)
            except OSError as error:
                raise InputError(f"checkpoint: cannot use {folder}: {error.strerror}") from error
            try:
                memory = cls(file, claim / _POINTS)
                memory._load(claim / _POINTS)
                yield memory
            finally:
                os.close(file)

    def _load(self, path: Path) -> None:
        text = path.read_bytes()
        whole = text.rfind(b"\n") + 1
        if whole < len(text):
            assert self._file is not None
            os.ftruncate(self._file, whole)
        for number, line in enumerate(text[:whole].splitlines(), start=1):
            try:
                entry = json.loads(line)
                found = entry["rows"]
                if entry.pop("check") != _check(entry) or not all(isinstance(row, dict) for row in found):
                    raise ValueError("another line was written")
                self._rows[_key(entry["point"])] = found
            except MISSHAPEN as error:
                raise InputError(
                    f"checkpoint: line {number} of {path} cannot be read; remove it to compute its point again"
                ) from error

    def get(self, point: Point) -> list[Row] | None:
        """Rows of a finished point, or None."""
        return self._rows.get(_key(point))

    def put(self, point: Point, rows: list[Row]) -> None:
        """Remember a finished point."""
        entry = json.loads(json.dumps(plain({"point": dict(point), "rows": rows}), allow_nan=False))
        if self._file is not None:
            line = json.dumps({**entry, "check": _check(entry)}, ensure_ascii=False)
            self._append(line.encode() + b"\n")
        self._rows[_key(point)] = entry["rows"]

    def _append(self, data: bytes) -> None:
        """Add a line to the file; where that fails the file ends with the line before, and a warning says so."""
        assert self._file is not None
        assert self._path is not None
        whole = os.fstat(self._file).st_size
        try:
            while data:
                data = data[os.write(self._file, data) :]
            os.fsync(self._file)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, whole)
            warn_unwritten(self._path, error)


def run_study(study: Study, execution: Execution | None = None) -> list[Row]:
    """Rows of all points, in the order of the points.

    Raises
    ------
    InputError
        If two points are the same, the checkpoint cannot be used, or a point is refused; the message names the point.
    """
    keys = [_key(p) for p in study.points]
    if len(set(keys)) < len(keys):
        twice = next(k for k in keys if keys.count(k) > 1)
        raise InputError(f"points: must differ, {twice} is given twice")
    with (execution or Execution()).opened(study.identity, study.compute) as evaluator:
        return [row for rows in evaluator.rows(study.points) for row in rows]


@dataclass(frozen=True)
class Evaluator:
    """Computes points that are not yet remembered; for studies whose points depend on earlier ones."""

    compute: Callable[[Point], list[Row]]
    memory: Memory
    execution: Execution

    def rows(self, points: Sequence[Point]) -> list[list[Row]]:
        """Rows of each point, in the order of the points."""
        missing = {_key(p): p for p in points if self.memory.get(p) is None}
        self._progress(len({_key(p) for p in points}) - len(missing))
        waiting = list(missing.values())
        for i, rows in _computed(self.compute, waiting, self.execution):
            self.memory.put(waiting[i], rows)
            self._progress(1)
        return [[dict(row) for row in self.memory.get(p) or []] for p in points]

    def _progress(self, points: int) -> None:
        if self.execution.progress is not None and points:
            self.execution.progress(points)


@dataclass(frozen=True)
class _Task:
    """A point with its place; errors name it."""

    compute: Callable[[Point], list[Row]]

    def __call__(self, index: int, point: Point) -> tuple[int, list[Row]]:
        try:
            return index, self.compute(point)
        except StochisruError as error:
            where = ", ".join(f"{k} = {v:g}" if isinstance(v, float) else f"{k} = {v}" for k, v in point.items())
            raise type(error)(f"{error} (at {where or 'the base case'})") from error


def _computed(
    compute: Callable[[Point], list[Row]], points: Sequence[Point], how: Execution
) -> Iterator[tuple[int, list[Row]]]:
    """Rows of points as they are finished, with their place."""
    task = _Task(compute)
    if how.backend == "processes" and (how.workers == 1 or len(points) < 2):
        yield from map(task, range(len(points)), points)
        return
    if not points:
        return
    from joblib import Parallel, delayed, parallel_config

    backend, jobs = ("loky", how.workers) if how.backend == "processes" else ("dask", -1)
    with parallel_config(backend=backend), watched(how.checkpoint is not None):
        # One point per task: a batch would hold back points that are finished.
        parallel = Parallel(n_jobs=jobs, return_as="generator_unordered", batch_size=1)
        with unhearing():
            results = parallel(delayed(task)(i, p) for i, p in enumerate(points))
        yield from results


@contextlib.contextmanager
def _dask_client(workers: int) -> Iterator[None]:
    """The active dask client, or one of our own for the time being."""
    import dask
    from distributed import Client, get_client

    try:
        get_client()
    except ValueError:
        pass
    else:
        yield
        return
    if dask.config.get("scheduler-address", None):
        client = Client(set_as_default=True)
    else:
        with unhearing():
            client = Client(n_workers=workers, threads_per_worker=1, dashboard_address=None, set_as_default=True)
    with client:
        yield
