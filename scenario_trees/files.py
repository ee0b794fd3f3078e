"""Files that are written whole: an interruption leaves either the old one or the new one, never half of one."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: What reading a table of plain values raises where something in it is missing or of another kind.
MISSHAPEN = (KeyError, ValueError, TypeError, IndexError, AttributeError, ArithmeticError, RecursionError)
#: What stands before the suffix of a file that is not whole yet.
_PART = ".part"


def part_of(target: Path) -> Path:
    """Where a file is written before it takes its place: beside it, with the same suffix and a dot first.

    No other process has the same path: numbers of processes are not enough, as two containers that share a folder may
    have equal ones.
    """
    return target.with_name(f".{target.stem}.{secrets.token_hex(4)}{_PART}{target.suffix}")


def is_part(path: Path) -> bool:
    """Whether a path is one of `part_of`; a killed process leaves it, with what it had written."""
    return path.name.startswith(".") and (path.suffix == _PART or Path(path.stem).suffix == _PART)


@contextlib.contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Yield a path to write to; it takes the place of ``target`` when all went well and is removed otherwise.

    It is that of `part_of`.
    """
    part = part_of(target)
    try:
        yield part
        part.replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def write_arrays(target: Path, header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays with a header of plain values to one compressed ``.npz`` file, flushed to the disk.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    with replacing(target) as part, part.open("wb") as stream:
        np.savez_compressed(stream, header=np.array(json.dumps(dict(header))), **arrays)  # type: ignore[arg-type]
        stream.flush()
        os.fsync(stream.fileno())


def read_arrays(path: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Header and arrays of a file of `write_arrays`.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is no such file.
    """
    try:
        with np.load(path, allow_pickle=False) as data:
            header = json.loads(str(data["header"]))
            arrays = {key: data[key] for key in data.files if key != "header"}
    except OSError:
        raise
    except Exception as error:  # zip, zlib, numpy and json each have errors of their own for what is damaged
        raise ValueError(f"{path} has no arrays with a header") from error
    if not isinstance(header, dict) or any(array.dtype.kind not in "fiub" for array in arrays.values()):
        raise ValueError(f"{path}: the header is no table, or an array has no real numbers")
    return header, arrays
