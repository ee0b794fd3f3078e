"""What a run of SDDP knows of itself: its log, and its cuts in a checkpoint."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from scenario_trees.arrays import Array, Index
from stochisru.errors import InputError
from stochisru.methods.checkpoint import claimed, read_arrays, require_same, write_arrays
from stochisru.methods.result import relative_gap
from stochisru.protocols import RiskMeasure, StagePrograms

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
        Rows of cuts, see `stochisru.methods.sddp.cuts`.
    counts
        Their number after every iteration.
    log
        Lines so far.
    best
        Iteration whose cuts are the plan in hand.
    """

    rows: Array
    counts: Index
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
    programs: StagePrograms[Any]
    risk: RiskMeasure
    interval: float = 30.0
    _last: float = field(default_factory=time.monotonic)

    def _identity(self) -> dict[str, Any]:
        return {"format": _FORMAT, **self.programs.identity, "risk": self.risk.label}

    def claimed(self, resume: bool, **options: Any) -> AbstractContextManager[Path]:
        """Have the folder to oneself for this problem and the options on which cuts depend."""
        return claimed(self.folder, {"method": "sddp", **self._identity(), **options}, kind="run", resume=resume)

    def due(self) -> bool:
        """Whether it is time to write."""
        return time.monotonic() - self._last >= self.interval

    def save(self, state: State) -> None:
        """Write the cuts and the log."""
        header = {**self._identity(), "log": [asdict(line) for line in state.log], "best": state.best}
        write_arrays(self.folder / _FILE, header, {"rows": state.rows, "counts": state.counts})
        self._last = time.monotonic()

    def load(self, length: int) -> State | None:
        """State of an earlier run, or None where there is none; its rows must have ``length`` numbers."""
        path = self.folder / _FILE
        found = read_arrays(path)
        if found is None:
            return None
        header, arrays = found
        ours = self._identity()
        require_same(self.folder, ours, {key: header.get(key) for key in ours}, "run")
        try:
            rows, counts = arrays["rows"], arrays["counts"]
            log = tuple(Iteration(**line) for line in header["log"])
        except (KeyError, TypeError) as error:
            raise InputError(f"checkpoint: cannot read {path}") from error
        if rows.ndim != 2 or rows.shape != (int(counts[-1]) if counts.size else 0, length):
            raise InputError(f"checkpoint: {path} does not fit this problem")
        return State(rows, counts, log, int(header["best"]))
