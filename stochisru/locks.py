"""Locks of folders in use: the kernel takes them away when their process ends, however it ends.

Some network file systems give no locks; there a warning says that nothing keeps others out.
"""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from stochisru.errors import FileWarning, InputError


@contextlib.contextmanager
def locked(file: Path, folder: Path, field: str, *, remove: bool = False) -> Iterator[bool]:
    """Keep other processes out of a folder by a lock on a file; yields whether the file system gave one.

    Parameters
    ----------
    file
        The file, made where it is missing.
    folder, field
        What messages speak of, and what they begin with.
    remove
        Remove the file at the end.

    Raises
    ------
    InputError
        If the file cannot be made, or another process has the lock.
    """
    try:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise InputError(f"{field}: cannot use {folder}: {error.strerror}") from error
    try:
        held = _lock(descriptor, folder, field)
        if held and not _is_still(descriptor, file):  # the one who had it before has just removed the file
            raise InputError(f"{field}: {folder} is in use by another process")
        try:
            yield held
        finally:
            if remove and sys.platform != "win32":  # while the lock is held, so that nobody else's is removed
                with contextlib.suppress(OSError):
                    file.unlink()
    finally:
        os.close(descriptor)
        if remove and sys.platform == "win32":  # removes no file that is open, so none that another holds
            with contextlib.suppress(OSError):
                file.unlink()


def _is_still(descriptor: int, file: Path) -> bool:
    """Whether a file that is open still bears its name."""
    try:
        return os.path.samestat(os.fstat(descriptor), file.stat())
    except OSError:
        return False


@cache
def _warn_unlocked(folder: Path, reason: str | None, field: str) -> None:
    """Warn, once for a folder, that nothing keeps another process out of it."""
    warnings.warn(
        f"{field}: the file system of {folder} gives no locks ({reason}): let no other process use the folder",
        FileWarning,
        stacklevel=2,
    )


def _lock(file: int, folder: Path, field: str) -> bool:
    """Keep others out until the file is closed, also by a crash.

    A file system without locks is used with a warning; returns whether it has them.
    """
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError) as error:
        raise InputError(f"{field}: {folder} is in use by another process") from error
    except OSError as error:
        _warn_unlocked(folder, error.strerror, field)
        return False
    return True
