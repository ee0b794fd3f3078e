"""Whether this process is one of several under MPI. Nothing is imported from mpi4py unless it is."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

from stochisru.errors import InputError

_LAUNCHERS = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMIX_RANK", "MPI_LOCALNRANKS")


def under_mpi() -> bool:
    """Whether this process was started by an MPI launcher or by ``python -m mpi4py``."""
    return sys.modules.get("mpi4py") is not None or any(name in os.environ for name in _LAUNCHERS)


def world() -> Any | None:
    """World communicator, or None if this process is alone.

    Raises
    ------
    InputError
        If the process was started by an MPI launcher but mpi4py cannot be used.
    """
    if not under_mpi():
        return None
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        raise InputError(
            f"mpi: started under MPI, but mpi4py cannot be used ({str(error).splitlines()[0]}); "
            "pip install 'stochisru[mpi]'"
        ) from error
    return MPI.COMM_WORLD if MPI.COMM_WORLD.size > 1 else None


def rank() -> int:
    """Number of this process, 0 if it is alone."""
    communicator = world()
    return 0 if communicator is None else int(communicator.rank)


def end_all(comm: Any, code: int) -> None:
    """End all ranks with an exit code, when the launcher has passed on what this one has said."""
    sys.stderr.flush()
    time.sleep(1.5)  # Abort ends the launcher as well
    comm.Abort(code)
