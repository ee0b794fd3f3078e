"""The passes of an iteration, in this process or in several.

A worker process keeps its engine between iterations. New cuts reach it through a folder of the run, one file per
iteration, so it reads what it has not absorbed yet whichever iterations it took part in; what a pass gives depends on
the rows absorbed and on its number only.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from scenario_trees.arrays import Array
from stochisru.methods.sddp.engine import Engine
from stochisru.methods.sddp.monitor import SddpState, parts
from stochisru.methods.sddp.trials import Trials
from stochisru.protocols import RiskMeasure
from stochisru.workers import unhearing, watched

#: Engine of a worker process, by the folder of its run.
_ENGINES: dict[str, Engine] = {}


@dataclass
class Crew:
    """Makes the passes of one iteration after the other."""

    engine: Engine
    trials: Trials
    passes: int
    workers: int
    folder: Path | None

    def iteration(self, number: int, until: float | None = None) -> Array:
        """Rows of all passes of iteration ``number`` (from 0), in the order of the passes.

        Parameters
        ----------
        until
            Time (`time.monotonic`, the same in all processes) at which they are to be over.
        """
        count = self.trials.count(number, self.passes)
        if self.folder is None:
            parts = [self.trials.rows(self.engine, number, k, self.passes, until) for k in range(count)]
        else:
            from joblib import Parallel, delayed

            task = delayed(_remote_pass)
            arguments = (self.folder, self.trials, self.engine.risk, self.engine.version, number)
            calls = (task(*arguments, k, self.passes, until) for k in range(count))
            with watched():
                with unhearing():
                    results = Parallel(n_jobs=self.workers, return_as="generator")(calls)
                parts = list(results)
        return np.concatenate(parts)

    def absorb(self, rows: Array) -> None:
        """Hand the rows of an iteration to all engines."""
        if self.folder is not None:
            np.save(self.folder / f"{self.engine.version}.npy", rows)
        self.engine.absorb(rows)


@contextlib.contextmanager
def crew_of(engine: Engine, trials: Trials, passes: int, workers: int, state: SddpState) -> Iterator[Crew]:
    """A crew of so many processes; ``state`` is what the engine has absorbed before."""
    if workers == 1:
        yield Crew(engine, trials, passes, workers, None)
        return
    with TemporaryDirectory(prefix="stochisru-sddp-") as folder:
        for k, rows in enumerate(parts(state)):
            np.save(Path(folder) / f"{k}.npy", rows)
        yield Crew(engine, trials, passes, workers, Path(folder))


def _remote_pass(
    folder: Path,
    trials: Trials,
    risk: RiskMeasure,
    version: int,
    number: int,
    index: int,
    passes: int,
    until: float | None,
) -> Array:
    """One pass in a worker process."""
    key = str(folder)
    if key not in _ENGINES:
        _ENGINES.clear()  # the engine of an earlier run is not needed any more
        _ENGINES[key] = Engine(trials.programs, risk)
    engine = _ENGINES[key]
    for missing in range(engine.version, version):
        engine.absorb(np.load(folder / f"{missing}.npy"))
    return trials.rows(engine, number, index, passes, until)
