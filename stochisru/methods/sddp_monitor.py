"""What a run of SDDP knows of itself: its log, and its cuts in a checkpoint."""

from __future__ import annotations

import json
import os
import time
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scenario_trees.files import replacing
from stochisru.deployment.stage_program import StagePrograms
from stochisru.errors import InputError
from stochisru.methods.result import relative_gap, versions
from stochisru.methods.risk import RiskMeasure

Array = NDArray[np.float64]

_FORMAT = 1
_FILE = "cuts.npz"


@dataclass(frozen=True)
class Iteration:
    """One line of the iteration log.

    Attributes
    ----------
    number
        Iteration, from 1.
    seconds
        Since the start of the run, earlier parts of a resumed run included.
    lower, upper
        Best bounds so far, $ (maximised); the lower one is −∞ until it is known.
    root
        Value of the root program of this iteration, $.
    cuts
        Cuts per stage and state made so far.
    kept
        Mean number of them that a program holds.
    """

    number: int
    seconds: float
    lower: float
    upper: float
    root: float
    cuts: int
    kept: float

    @property
    def gap(self) -> float:
        """(upper − lower) / max(|lower|, |upper|)."""
        return relative_gap(self.lower, self.upper)


@dataclass(frozen=True, eq=False)
class State:
    """A run to go on with.

    Attributes
    ----------
    rows
        Rows of cuts, see `stochisru.methods.sddp_cuts`.
    counts
        Their number after every iteration.
    log
        Lines so far.
    best
        Iteration whose cuts are the plan in hand.
    """

    rows: Array
    counts: NDArray[np.int64]
    log: tuple[Iteration, ...]
    best: int


def parts(state: State) -> Iterator[Array]:
    """Rows of the iterations of a checkpoint."""
    first = 0
    for last in state.counts:
        yield state.rows[first:last]
        first = int(last)


@dataclass
class Checkpoint:
    """A folder with the cuts of a run in one file that is replaced atomically.

    Raises
    ------
    InputError
        If the folder cannot be used, or holds a run of another problem.
    """

    folder: Path
    programs: StagePrograms
    risk: RiskMeasure
    interval: float = 30.0
    _last: float = field(default_factory=time.monotonic)

    def _identity(self) -> dict[str, Any]:
        storage = self.programs.storage
        return {
            "format": _FORMAT,
            "case": self.programs.case.digest(),
            "lattice": self.programs.lattice.digest(),
            "storage": None if storage is None else asdict(storage),
            "risk": self.risk.label,
        }

    def prepare(self, resume: bool) -> None:
        """Make the folder; refuse one that already holds a run unless that run is to be resumed."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"checkpoint: cannot use {self.folder}: {error.strerror}") from error
        if not os.access(self.folder, os.W_OK):
            raise InputError(f"checkpoint: the folder {self.folder} is not writable")
        if (self.folder / _FILE).exists() and not resume:
            raise InputError(f"checkpoint: {self.folder} holds a run already; resume it or give another folder")

    def due(self) -> bool:
        """Whether it is time to write."""
        return time.monotonic() - self._last >= self.interval

    def save(self, state: State) -> None:
        """Write the cuts and the log."""
        target = self.folder / _FILE
        text = json.dumps(
            {
                **self._identity(),
                "log": [asdict(line) for line in state.log],
                "best": state.best,
                "versions": versions(),
            }
        )
        try:
            with replacing(target) as part, part.open("wb") as stream:
                np.savez(stream, header=np.array(text), rows=state.rows, counts=state.counts)
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise InputError(f"checkpoint: cannot write {target}: {error.strerror}") from error
        self._last = time.monotonic()

    def load(self, length: int) -> State | None:
        """State of an earlier run, or None where there is none; its rows must have ``length`` numbers."""
        path = self.folder / _FILE
        if not path.exists():
            return None
        try:
            with np.load(path, allow_pickle=False) as data:
                header, rows, counts = json.loads(str(data["header"])), data["rows"], data["counts"]
            log = tuple(Iteration(**line) for line in header["log"])
        except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile, EOFError) as error:
            raise InputError(f"checkpoint: cannot read {path}") from error
        for key, value in self._identity().items():
            if header.get(key) != value:
                raise InputError(
                    f"checkpoint: {self.folder} belongs to another run "
                    f"({key} {header.get(key)!r}, this one has {value!r})"
                )
        if rows.ndim != 2 or rows.shape != (int(counts[-1]) if counts.size else 0, length):
            raise InputError(f"checkpoint: {path} does not fit this problem")
        return State(rows, counts, log, int(header["best"]))
