"""Putting finished files where they belong, so that nothing of anybody else's is lost.

Of what stands there only what an earlier listing names, and is as it was then, is replaced; whatever a user has added
stays, and whatever a user has changed is kept beside under another name.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping
from pathlib import Path

from scenario_trees.signals import uninterrupted

#: What is replaced last, and where it waits while that lasts: without it a folder is none of ours.
_BEFORE = ".before"


def listing(folder: Path, *, but: str) -> dict[str, str]:
    """Digest of every file of a folder by its path in it, without the file ``but``."""
    return {name: digest_of(folder / name) for name in files_of(folder) if name != but}


def files_of(folder: Path) -> tuple[str, ...]:
    """Paths of the files of a folder in it, in order."""
    return tuple(sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()))


def digest_of(path: Path) -> str:
    """Digest of what a file holds."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:16]


def place(ready: Path, target: Path, before: Mapping[str, str], last: str) -> list[Path]:
    """Move the files of ``ready`` into the folder ``target``, the file ``last`` last.

    It may be called again with the same arguments after it was killed, and goes on where it was; `earlier` has what it
    needs for that.

    Parameters
    ----------
    before
        Digests of the files that stand there and may be replaced.
    last
        File that makes the folder valid: it goes first and comes last, so a mixture of old and new is never valid.

    Returns
    -------
    list
        Files of the user's that stood in the way, under the names that they have now.
    """
    kept = []
    with uninterrupted():
        if (target / last).exists():
            (target / last).replace(ready / _BEFORE)
        ours = set(files_of(ready))
        for name in sorted(set(before) - ours):
            if _unchanged(target, name, before):
                (target / name).unlink()
        for name in sorted(ours - {last, _BEFORE}):
            kept += _cleared(target, name, before)
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (ready / name).replace(target / name)
        if last in ours:
            (ready / last).replace(target / last)
        with contextlib.suppress(FileNotFoundError):
            (ready / _BEFORE).unlink()
        for folder in sorted((path for path in ready.rglob("*") if path.is_dir()), reverse=True):
            folder.rmdir()
        ready.rmdir()
        _remove_empty(target, before)
    return kept


def earlier(ready: Path, target: Path, last: str) -> Path:
    """Where the file ``last`` that is to be replaced is: in ``target``, or set aside by a `place` that was killed."""
    return ready / _BEFORE if (ready / _BEFORE).exists() else target / last


def _unchanged(target: Path, name: str, before: Mapping[str, str]) -> bool:
    path = target / name
    if any(part.is_symlink() for part in (path, *path.parents) if part.is_relative_to(target) and part != target):
        return False
    return path.is_file() and digest_of(path) == before.get(name)


def _cleared(target: Path, name: str, before: Mapping[str, str]) -> list[Path]:
    """Set aside what stands in the way of a file and is the user's: a changed file, or a file in place of a folder."""
    way = [target / name, *(target / name).parents]
    for path in reversed([p for p in way if p.is_relative_to(target) and p != target]):
        stands = path.is_symlink() or path.exists()
        folder = path.is_dir() and not path.is_symlink()
        if not stands or (folder and path != target / name) or _unchanged(target, name, before):
            continue
        return [path.rename(free_name(path))]
    return []


def free_name(path: Path) -> Path:
    """A name beside a path that nothing has."""
    number = 1
    while (free := path.with_name(f"{path.stem}.kept-{number}{path.suffix}")).exists() or free.is_symlink():
        number += 1
    return free


def _remove_empty(target: Path, before: Mapping[str, str]) -> None:
    """Remove folders that held nothing but files that are gone."""
    for folder in sorted(
        {target / parent for name in before for parent in Path(name).parents} - {target}, reverse=True
    ):
        with contextlib.suppress(OSError):
            folder.rmdir()
