"""Worker processes: how they are started, and what is said when one of them dies."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor

from stochisru.errors import WorkerError


@contextlib.contextmanager
def unhearing() -> Iterator[None]:
    """Start processes that Ctrl-C does not reach; one that comes in the meantime is heard at the end.

    A terminal sends it to all processes in the foreground. Workers end with their parent; one that hears it while it is
    starting prints where it was.
    """
    if sys.platform == "win32":
        yield
    else:
        from multiprocessing import resource_tracker

        resource_tracker.ensure_running()  # comes with the first process; its start lets signals through again
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


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
