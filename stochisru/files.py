"""Writing results so that an interruption leaves either the old file or the new one, never half of one.

Nothing of a user's is ever lost: a folder of results is replaced file by file, see `stochisru.placing`.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import secrets
import shutil
import tomllib
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum
from functools import wraps
from pathlib import Path, PureWindowsPath
from typing import Any, TypeVar

from scenario_trees.files import part_of, replacing
from stochisru.errors import FigureError, FileWarning, InputError, OutputError
from stochisru.locks import locked
from stochisru.placing import digest_of, earlier, free_name, listing, place

S = TypeVar("S")

MANIFEST = "manifest.json"
#: Entry of the manifest by which a run folder is known.
MADE_BY = {"made_by": "stochisru", "format": 1}
#: Kind of folder whose manifest names no study.
RUN = "run"
#: Entry of the manifest that lists the files of the folder: digests by path.
FILES = "files"
#: Folders of our own beside a result or in it, by their names: not finished, or finished and to be put in place.
_PART, _DONE = ".part", ".done"
#: What a file system itself has at its root.
_SYSTEM = {"lost+found"}


def plain(data: Any) -> Any:
    """Copy as plain values for JSON: what every result says of itself goes through here.

    Results tell their ``to_dict()``, tables their rows; numbers of numpy become Python's, and numbers that are not
    finite become None.
    """
    if isinstance(data, Mapping):
        return {str(k): plain(v) for k, v in data.items()}
    if callable(getattr(data, "to_dict", None)):
        return plain(data.to_dict("records") if hasattr(data, "columns") else data.to_dict())
    if hasattr(data, "tolist"):  # numbers and arrays of numpy
        data = data.tolist()
    if isinstance(data, (list, tuple)):
        return [plain(v) for v in data]
    if isinstance(data, Enum):
        return data.value
    if isinstance(data, float) and not math.isfinite(data):
        return None
    return data


def plainly(tell: Callable[[S], Mapping[str, Any]]) -> Callable[[S], dict[str, Any]]:
    """Make a ``to_dict`` of one that tells its entries as they are: results, tables and arrays become `plain`."""

    @wraps(tell)
    def to_dict(self: S) -> dict[str, Any]:
        return dict(plain(tell(self)))

    return to_dict


def to_json(data: Any) -> str:
    """Strict JSON text."""
    return json.dumps(plain(data), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def toml_tables(text: str, where: str) -> dict[str, Any]:
    """Tables of a TOML text; `InputError` that begins with ``where`` if it is none."""
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise InputError(f"{where} is not TOML: brackets are nested too deeply") from error
    except ValueError as error:  # not TOML, or a whole number of thousands of digits
        raise InputError(f"{where} is not TOML: {error}") from error


def plain_number(text: str) -> float:
    """A number as tables and options write it; `ValueError` for what only Python reads, as ``1_000``."""
    if "_" in text or not text.isascii():
        raise ValueError(f"not a number: {text!r}")
    return float(text)


def require_writable(path: Path, field: str) -> None:
    """Refuse a file that cannot be written, before any work is done."""
    path = path.resolve()
    folder = path.parent
    try:
        if path.is_dir():
            raise InputError(f"{field}: {path} is a folder, must be a file")
        if not folder.is_dir():
            raise InputError(f"{field}: the folder {folder} does not exist")
        if not os.access(folder, os.W_OK):
            raise InputError(f"{field}: the folder {folder} is not writable")
        if path.is_file() or not path.exists():  # a pipe or device is written to as it is
            part = part_of(path)
            part.touch(exist_ok=False)
            part.unlink()
    except OSError as error:
        raise InputError(f"{field}: cannot write {path}: {error.strerror}") from error


def write_text(path: Path, text: str, field: str = "path") -> None:
    """Write a file in one step; a link's target is replaced, a pipe or device is written to.

    Raises
    ------
    InputError
        If it cannot be written; the message begins with ``field``.
    """
    path = path.resolve()
    try:
        if path.exists() and not path.is_file():
            path.write_text(text, encoding="utf-8")
            return
        with replacing(path) as part:
            part.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{field}: cannot write {path}: {error.strerror}") from error


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """Manifest of a run folder, or None if the folder is none."""
    return _manifest(folder / MANIFEST)


def _manifest(file: Path) -> dict[str, Any] | None:
    try:
        manifest = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    known = isinstance(manifest, dict) and all(manifest.get(key) == value for key, value in MADE_BY.items())
    return manifest if known else None


@contextlib.contextmanager
def drawing(kept: object = None) -> Iterator[None]:
    """Make figures and pages: whatever fails in it is a `FigureError`, for which `replacing_folder` keeps the rest.

    ``kept`` is the outcome that they show, which the error passes on.
    """
    try:
        yield
    except FigureError:
        raise
    except Exception as error:
        raise FigureError(
            f"figures: could not be made ({type(error).__name__}: {' '.join(str(error).split())})", kept
        ) from error


@contextlib.contextmanager
def keeping() -> Iterator[Callable[[object], None]]:
    """Keep an outcome that is to be written: call what is yielded with it when it is computed.

    From then on a file that cannot be written is an `OutputError`, which like a `FigureError` passes the outcome on.
    """
    kept: list[object] = []
    try:
        yield kept.append
    except (FigureError, OutputError) as error:
        if kept and error.kept is None:
            error.kept = kept[-1]
        raise
    except OSError as error:
        if not kept:
            raise
        raise _unwritten(error, kept[-1]) from error


def _unwritten(error: OSError, kept: object = None) -> OutputError:
    what = f" {Path(error.filename).name}" if isinstance(error.filename, str) else ""
    return OutputError(f"out: cannot write{what}: {error.strerror or error}", kept)


def list_files(folder: Path) -> None:
    """Say in the manifest of a folder, if it has one, which files are of the result, each with its digest."""
    manifest = read_manifest(folder)
    if manifest is not None:
        write_text(folder / MANIFEST, to_json({**manifest, FILES: listing(folder, but=MANIFEST)}))


def relist_files(folder: Path, written: Iterable[Path]) -> None:
    """Say in the manifest of a folder that lists its files that some of them are made again."""
    manifest = read_manifest(folder)
    if manifest is not None and FILES in manifest:
        again = {path.relative_to(folder).as_posix(): digest_of(path) for path in written}
        write_text(folder / MANIFEST, to_json({**manifest, FILES: {**_listed(manifest), **again}}))


def _listed(manifest: Mapping[str, Any] | None) -> dict[str, str]:
    """What a manifest lists: paths that stay within their folder on any system, with digests."""
    files = {} if manifest is None else manifest.get(FILES)
    inside = isinstance(files, dict) and all(
        isinstance(digest, str) and not PureWindowsPath(name).anchor and ".." not in PureWindowsPath(name).parts
        for name, digest in files.items()
    )
    if not inside:
        return {}
    assert files is not None
    return dict(files)


def require_replaceable(target: Path, kind: str, same: Mapping[str, Any]) -> None:
    """Raise `InputError` unless a folder is new, empty or an earlier result of that kind with the entries ``same``."""
    if not target.exists():
        return
    if not target.is_dir():
        raise InputError(f"out: {target} is a file, must be a folder")
    others = [item.name for item in target.iterdir() if item.name not in _SYSTEM and not _is_ours(item.name, target)]
    manifest = read_manifest(target)
    if others and manifest is None:
        raise InputError(f"out: {target} holds other files, must be new, empty or an earlier {kind}")
    if manifest is not None and not _listed(manifest):
        raise InputError(
            f"out: {target} holds other files or was made by an earlier version: its {MANIFEST} does not list its "
            "files; move it away or give another folder with --out"
        )
    if manifest is not None and manifest.get("study", RUN) != kind:
        raise InputError(f"out: {target} holds a {manifest.get('study', RUN)}, must be new, empty or an earlier {kind}")
    for key, ours in same.items():
        if manifest is not None and manifest.get(key) != ours:
            raise InputError(
                f"out: {target} holds the {kind} of another case ({key} {manifest.get(key)} there, {ours} here); "
                "give another folder with --out"
            )


def _is_ours(name: str, target: Path) -> bool:
    """Whether a name is of a folder, or of the lock, that this module makes for a target."""
    pattern = rf"\.{re.escape(target.name)}\.([0-9a-f]{{8}}({_PART}|{_DONE})|lock)"
    return re.fullmatch(pattern, name) is not None


def _home(target: Path) -> Path:
    """Where to make a new folder whose files can be moved into ``target``: beside it, or in it.

    In it where it is a mount point, as the volume of a container, or where nothing can be made beside it.
    """
    if not target.exists():
        return target.parent
    probe = _unfinished(target.parent, target)
    try:
        probe.touch(exist_ok=False)
    except OSError:
        return target
    try:
        moved = probe.rename(target / probe.name)
    except OSError:
        probe.unlink(missing_ok=True)
        return target
    moved.unlink(missing_ok=True)
    return target.parent


def _unfinished(home: Path, target: Path) -> Path:
    """A name that nobody else has, in another container neither."""
    return home / f".{target.name}.{secrets.token_hex(4)}{_PART}"


def _sweep(home: Path, target: Path, alone: bool) -> None:
    """Finish what a killed run left: put a finished result in its place, remove what was not finished.

    Only where a lock says that nobody else is at it: without one the leftover may be another's work.
    """
    for leftover in list(home.iterdir()) if alone else []:
        if not _is_ours(leftover.name, target) or leftover.suffix not in (_PART, _DONE):
            continue
        if leftover.suffix == _DONE:
            _put(leftover, target)
        elif leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)


def _put(done: Path, target: Path) -> None:
    """Put a finished folder in its place."""
    if not target.exists():
        done.rename(target)
        return
    kept = place(done, target, _listed(_manifest(earlier(done, target, MANIFEST))), MANIFEST)
    if kept:
        names = ", ".join(str(path.relative_to(target)) for path in kept)
        warnings.warn(
            f"out: {target} had files in the way that no run made or that were changed since; kept as {names}",
            FileWarning,
            stacklevel=2,
        )


@contextlib.contextmanager
def replacing_folder(target: Path, kind: str = RUN, same: Mapping[str, Any] | None = None) -> Iterator[Path]:
    """Fill a new folder and put it in the place of ``target`` when all went well.

    An existing ``target`` is replaced only if it is empty or an earlier result of that kind whose manifest has the
    entries ``same``, such as the hash of the case; on any error or interrupt it stays as it was and the new folder
    is removed. Of an earlier result only the files that its manifest lists are replaced: files of the user's stay where
    they are, and one that was changed is kept under another name, with a warning. The new folder is made beside
    ``target``, or in it where it is a mount point. While that lasts no other process can write to ``target``. After a
    `FigureError` the new folder takes its place without figures, and the error goes on.

    Raises
    ------
    InputError
        If the folder cannot be made or replaced; before any work is done.
    FigureError
        If that was raised within; it then names the folder.
    OutputError
        If the results cannot be put there when the work is done; it says where they are.
    """
    same = same or {}
    target = target.resolve()
    if target == Path.cwd():
        raise InputError("out: must not be the current folder")
    folder = target.parent
    existing = next(p for p in (folder, *folder.parents) if p.exists())
    if not existing.is_dir() or not os.access(target if target.is_dir() else existing, os.W_OK):
        raise InputError(f"out: {existing} must be a writable folder")
    _require_no_other(target, kind, same)
    created = [p for p in (folder, *folder.parents) if not p.exists()]
    try:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            home = _home(target)
        except OSError as error:
            raise InputError(f"out: cannot write to {folder}: {error.strerror}") from error
        with locked(home / f".{target.name}.lock", target, "out", remove=True) as alone:
            yield from _filled(home, target, kind, same, alone)
    finally:
        for empty in created:
            with contextlib.suppress(OSError):
                empty.rmdir()  # stays where the results are in it


def _require_no_other(target: Path, kind: str, same: Mapping[str, Any]) -> None:
    """`require_replaceable`, unless a killed run left it half replaced, which is finished first."""
    homes = (target.parent, target) if target.is_dir() else ()
    with contextlib.suppress(OSError):
        if any(_is_ours(item.name, target) and item.suffix == _DONE for home in homes for item in home.iterdir()):
            return
    require_replaceable(target, kind, same)


def _filled(home: Path, target: Path, kind: str, same: Mapping[str, Any], alone: bool) -> Iterator[Path]:
    """`replacing_folder` in a folder that nobody else uses."""
    part = _unfinished(home, target)
    try:
        _sweep(home, target, alone)
        require_replaceable(target, kind, same)
        part.mkdir()
    except OSError as error:
        raise InputError(f"out: cannot write to {home}: {error.strerror}") from error
    failed: FigureError | None = None
    try:
        try:
            yield part
        except FigureError as error:
            failed = error
        try:
            list_files(part)
            done = part.rename(part.with_suffix(_DONE))
        except OSError as error:
            raise _unwritten(error) from error
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    try:
        require_replaceable(target, kind, same)  # others may have put something there in the meantime
    except InputError as error:
        raise OutputError(f"{error}; the results are in {done.rename(free_name(target))}") from error
    try:
        _put(done, target)
    except OSError as error:
        raise OutputError(f"out: cannot put the results at {target}: {error.strerror}; they are in {done}") from error
    if failed is not None:
        raise FigureError(f"{failed}; tables and manifest are in {target}", failed.kept) from failed
