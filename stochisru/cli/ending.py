"""How a command ends: what is said on standard error, in one line each."""

from __future__ import annotations

import contextlib
import sys
import time
import warnings
from collections.abc import Iterator
from typing import Any

from stochisru.errors import FileWarning, InputError, UnwrittenWarning

#: Letters of a message that are shown; what is left out is in the middle.
_LONGEST = 800


def one_line(text: str) -> str:
    """A message as one line that a terminal can show: nothing of it is a command to the terminal, or without end."""
    line = "".join(c if c.isprintable() else repr(c)[1:-1] for c in " ".join(text.split()))
    half = _LONGEST // 2
    return line if len(line) <= _LONGEST else f"{line[:half]} … {line[-half:]}"


@contextlib.contextmanager
def file_warnings() -> Iterator[list[Warning]]:
    """Say what is wrong with files in one line each; yields those that lack something in the end."""
    unwritten: list[Warning] = []
    with warnings.catch_warnings():
        warnings.simplefilter("default", FileWarning)
        others = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
            if not isinstance(message, FileWarning):
                others(message, category, *place, **more)
                return
            sys.stderr.write(f"warning: {one_line(str(message))}\n")
            if isinstance(message, UnwrittenWarning):
                unwritten.append(message)

        warnings.showwarning = show
        yield unwritten


def fail(message: str, code: int) -> None:
    """Say what went wrong in one line and exit; under MPI end all ranks, which would wait for this one."""
    from stochisru import mpi

    try:
        world = mpi.world() if "mpi4py.MPI" in sys.modules else None
    except InputError:
        world = None
    where = ""
    if world is not None and world.rank != 0:
        time.sleep(1.0)  # where all ranks fail alike, the first one speaks for all
        where = f"rank {world.rank}: "
    with contextlib.suppress(OSError):  # the terminal may be gone
        sys.stderr.write(f"error: {where}{one_line(message)}\n")
        sys.stderr.flush()
    if world is not None:
        mpi.end_all(world, code)
    sys.exit(code)
