"""Writing results so that an interruption leaves either the old file or the new one, never half of one."""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stochisru.errors import InputError

#: A folder that has this file is a run folder and may be replaced by a new run.
MANIFEST = "manifest.json"


def plain(data: Any) -> Any:
    """Copy with numpy numbers turned into Python's and numbers that are not finite into None."""
    if isinstance(data, dict):
        return {str(k): plain(v) for k, v in data.items()}
    if isinstance(data, (list, tuple)):
        return [plain(v) for v in data]
    if hasattr(data, "item"):
        data = data.item()
    if isinstance(data, float) and not math.isfinite(data):
        return None
    return data


def to_json(data: Any) -> str:
    """Strict JSON text."""
    return json.dumps(plain(data), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def require_writable(path: Path, field: str) -> None:
    """Refuse a file that cannot be written, before any work is done."""
    folder = path.parent
    if path.is_dir():
        raise InputError(f"{field}: {path} is a folder, must be a file")
    if not folder.is_dir():
        raise InputError(f"{field}: the folder {folder} does not exist")
    if not os.access(folder, os.W_OK):
        raise InputError(f"{field}: the folder {folder} is not writable")


def write_text(path: Path, text: str) -> None:
    """Write a file in one step."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise InputError(f"path: cannot write {path}: {error.strerror}") from error


@contextlib.contextmanager
def replacing_folder(target: Path) -> Iterator[Path]:
    """Fill a new folder beside ``target`` and put it in its place when all went well.

    An existing ``target`` is replaced only if it is empty or holds a `MANIFEST`; on any error it stays as
    it was and the new folder is removed.
    """
    target = target.absolute()
    if target.exists():
        if not target.is_dir():
            raise InputError(f"out: {target} is a file, must be a folder")
        if any(target.iterdir()) and not (target / MANIFEST).is_file():
            raise InputError(f"out: {target} holds other files, must be new, empty or an earlier run")
    folder = target.parent
    existing = next(p for p in (folder, *folder.parents) if p.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        raise InputError(f"out: {existing} must be a writable folder")
    created = [p for p in (folder, *folder.parents) if not p.exists()]
    part = folder / f".{target.name}.{os.getpid()}.part"
    try:
        part.mkdir(parents=True)
        yield part
        if target.exists():
            old = folder / f".{target.name}.{os.getpid()}.old"
            target.rename(old)
            part.rename(target)
            shutil.rmtree(old)
        else:
            part.rename(target)
    except BaseException as error:
        shutil.rmtree(part, ignore_errors=True)
        for empty in created:
            with contextlib.suppress(OSError):
                empty.rmdir()
        if isinstance(error, OSError):
            raise InputError(f"out: cannot write to {target}: {error.strerror}") from error
        raise
