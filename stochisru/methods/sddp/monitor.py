"""What a run of SDDP knows of itself: its log, and its cuts in a checkpoint."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from scenario_trees.arrays import Array, Index
from stochisru.methods.checkpoint import Checkpoint, log_of
from stochisru.protocols import RiskMeasure, StagePrograms

_FORMAT = 2
_NAME = "cuts"


@dataclass(frozen=True)
class SddpIteration:
    """One line of the iteration log.

    Attributes
    ----------
    number
        Iteration, from 1.
    seconds
        Since the start of the run, earlier parts of a resumed run included.
    lower, upper
        Best bounds so far, in money; infinite until they are known.
    root
        Value of the root program of this iteration, $.
    cuts
        Cuts per stage and state made so far.
    kept
        Mean number of them that a program holds.
    gap
        Of the bounds; see `stochisru.methods.result.relative_gap`.
    """

    number: int
    seconds: float
    lower: float
    upper: float
    root: float
    cuts: int
    kept: float
    gap: float

    def shown(self, sign: float) -> SddpIteration:
        """The line in the sense of a problem that is maximised, ``sign`` 1, or minimised, −1."""
        if sign > 0:
            return self
        return replace(self, lower=-self.upper, upper=-self.lower, root=-self.root)


@dataclass(frozen=True, eq=False)
class SddpState:
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
    log: tuple[SddpIteration, ...]
    best: int

    def save(self, checkpoint: Checkpoint) -> None:
        """Write it to a checkpoint."""
        header = {"log": [asdict(line) for line in self.log], "best": self.best}
        checkpoint.write(_NAME, header, {"rows": self.rows, "counts": self.counts})

    @classmethod
    def load(cls, checkpoint: Checkpoint, length: int) -> SddpState | None:
        """State of an earlier run, or None where there is none; its rows must have ``length`` numbers."""

        def fits(arrays: Mapping[str, Any]) -> bool:
            counts = arrays["counts"]
            rising = counts.ndim == 1 and counts.dtype.kind == "i" and (np.diff(counts, prepend=0) >= 0).all()
            return bool(rising and arrays["rows"].shape == (int(counts[-1]) if counts.size else 0, length))

        def make(header: Mapping[str, Any], arrays: Mapping[str, Any]) -> SddpState:
            log = log_of(SddpIteration, header["log"])
            if len(log) != arrays["counts"].size:
                raise ValueError("as many lines as iterations")
            return cls(arrays["rows"], arrays["counts"], log, operator.index(header["best"]))

        return checkpoint.read(_NAME, fits, make)


def parts(state: SddpState) -> Iterator[Array]:
    """Rows of the iterations of a checkpoint."""
    first = 0
    for last in state.counts:
        yield state.rows[first:last]
        first = int(last)


def sddp_checkpoint(folder: Path, programs: StagePrograms[Any], risk: RiskMeasure) -> Checkpoint:
    """The folder of a run on these programs."""
    return Checkpoint(folder, {"method": "sddp", "format": _FORMAT, **programs.identity, "risk": risk.label})
