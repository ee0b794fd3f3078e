"""Worker processes: what is said when one of them dies."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor

from stochisru.errors import WorkerError


@contextlib.contextmanager
def watched(remembered: bool = False) -> Iterator[None]:
    """Turn the death of a worker process into a `WorkerError` that says what to do.

    Parameters
    ----------
    remembered
        Whether a checkpoint has what was finished.
    """
    try:
        yield
    except Exception as error:
        # That of dask is known by its name alone: dask need not be there.
        if not isinstance(error, BrokenExecutor) and type(error).__name__ != "KilledWorker":
            raise
        again = "; what is finished is in the checkpoint, go on from there with --resume" if remembered else ""
        raise WorkerError(
            "workers: a worker process was killed, most often because memory ran out; use fewer workers or a smaller "
            f"problem{again}"
        ) from error
