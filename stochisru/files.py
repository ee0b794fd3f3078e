"""Writing results so that an interruption leaves either the old file or the new one, never half of one."""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

from scenario_trees.files import replacing
from stochisru.errors import FigureError, InputError
from stochisru.locks import locked

S = TypeVar("S")

MANIFEST = "manifest.json"
#: Entry of the manifest by which a run folder is known.
MADE_BY = {"made_by": "stochisru", "format": 1}
#: Kind of folder whose manifest names no study.
RUN = "run"
#: All that a run writes into its folder.
_ENTRIES = {MANIFEST, "case.toml", "demand.toml", "figures", "report.html", "tables", "tree.npz"}


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


def plain_number(text: str) -> float:
    """A number as tables and options write it; `ValueError` for what only Python reads, as ``1_000``."""
    if "_" in text or not text.isascii():
        raise ValueError(f"not a number: {text!r}")
    return float(text)


def require_writable(path: Path, field: str) -> None:
    """Refuse a file that cannot be written, before any work is done."""
    path = path.resolve()
    folder = path.parent
    if path.is_dir():
        raise InputError(f"{field}: {path} is a folder, must be a file")
    if not folder.is_dir():
        raise InputError(f"{field}: the folder {folder} does not exist")
    if not os.access(folder, os.W_OK):
        raise InputError(f"{field}: the folder {folder} is not writable")


def write_text(path: Path, text: str) -> None:
    """Write a file in one step; a link's target is replaced, a pipe or device is written to."""
    path = path.resolve()
    try:
        if path.exists() and not path.is_file():
            path.write_text(text, encoding="utf-8")
            return
        with replacing(path) as part:
            part.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"path: cannot write {path}: {error.strerror}") from error


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """Manifest of a run folder, or None if the folder is none."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
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


def _require_replaceable(target: Path, kind: str, same: Mapping[str, Any]) -> None:
    if not target.exists():
        return
    if not target.is_dir():
        raise InputError(f"out: {target} is a file, must be a folder")
    entries = {item.name for item in target.iterdir()}
    manifest = read_manifest(target)
    if entries and (manifest is None or entries - _ENTRIES):
        raise InputError(f"out: {target} holds other files, must be new, empty or an earlier {kind}")
    if manifest is not None and manifest.get("study", RUN) != kind:
        raise InputError(f"out: {target} holds a {manifest.get('study', RUN)}, must be new, empty or an earlier {kind}")
    for key, ours in same.items():
        if manifest is not None and manifest.get(key) != ours:
            raise InputError(
                f"out: {target} holds the {kind} of another case ({key} {manifest.get(key)} there, {ours} here); "
                "give another folder with --out"
            )


def _sweep(target: Path) -> None:
    """Finish what a killed run left: bring back a result that was moved aside, remove the rest."""
    for leftover in target.parent.glob(f".{target.name}.*.*"):
        owner, _, kind = leftover.name.removeprefix(f".{target.name}.").partition(".")
        if kind not in ("part", "old") or not owner.isdigit() or _alive(int(owner)):
            continue
        if kind == "old" and not target.exists():
            leftover.rename(target)
        else:
            shutil.rmtree(leftover, ignore_errors=True)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


@contextlib.contextmanager
def replacing_folder(target: Path, kind: str = RUN, same: Mapping[str, Any] | None = None) -> Iterator[Path]:
    """Fill a new folder beside ``target`` and put it in its place when all went well.

    An existing ``target`` is replaced only if it is empty or an earlier result of that kind whose manifest has the
    entries ``same``, such as the hash of the case; on any error or interrupt it stays as it was and the new folder
    is removed. While that lasts no other process can write to ``target``. After a `FigureError` the new folder
    takes its place without figures, and the error goes on.

    Raises
    ------
    InputError
        If the folder cannot be made or replaced.
    FigureError
        If that was raised within; it then names the folder.
    """
    same = same or {}
    target = target.resolve()
    if target == Path.cwd():
        raise InputError("out: must not be the current folder, which is replaced as a whole")
    _require_replaceable(target, kind, same)
    folder = target.parent
    existing = next(p for p in (folder, *folder.parents) if p.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        raise InputError(f"out: {existing} must be a writable folder")
    created = [p for p in (folder, *folder.parents) if not p.exists()]
    try:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"out: cannot write to {folder}: {error.strerror}") from error
        with locked(folder / f".{target.name}.lock", target, "out", remove=True):
            yield from _filled(target, kind, same)
    finally:
        for empty in created:
            with contextlib.suppress(OSError):
                empty.rmdir()  # stays where the results are in it


def _filled(target: Path, kind: str, same: Mapping[str, Any]) -> Iterator[Path]:
    """`replacing_folder` in a folder that nobody else uses."""
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    old = target.with_name(f".{target.name}.{os.getpid()}.old")

    def clean() -> None:
        if old.exists() and not target.exists():
            old.rename(target)
        shutil.rmtree(part, ignore_errors=True)

    try:
        _sweep(target)
        part.mkdir()
    except OSError as error:
        clean()
        raise InputError(f"out: cannot write to {target.parent}: {error.strerror}") from error
    failed: FigureError | None = None
    try:
        yield part
    except FigureError as error:
        failed = error
    except BaseException:
        clean()
        raise
    try:
        _require_replaceable(target, kind, same)  # another run may have come before the lock
        if target.exists():
            target.rename(old)
        part.rename(target)
    except OSError as error:
        clean()
        raise InputError(f"out: cannot put the results at {target}: {error.strerror}") from error
    except BaseException:
        clean()
        raise
    shutil.rmtree(old, ignore_errors=True)
    if failed is not None:
        raise FigureError(f"{failed}; tables and manifest are in {target}", failed.kept) from failed
