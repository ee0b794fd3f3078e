"""Folders that remember a computation: one rule for every method and study.

A folder belongs to one identity: the problem, the options on which its contents depend, and the version of the code
that made them. While a process computes in it the folder is locked; the kernel takes the lock away when the process
ends, however it ends, so a killed run can be resumed at once. Some network file systems give no locks; there a warning
says that nothing keeps others out.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import json
import operator
import sys
import time
import types
import warnings
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from scenario_trees.files import MISSHAPEN, is_part, read_arrays, write_arrays
from stochisru.errors import InputError, UnwrittenWarning
from stochisru.files import to_json, write_text
from stochisru.locks import locked
from stochisru.methods.result import versions

R = TypeVar("R")
L = TypeVar("L")

#: Versions on which random numbers, searches and solutions depend; part of every identity.
_VERSIONS = ("stochisru", "numpy", "scipy")
_LOCK = ".lock"
#: Entry of the header of a file of arrays.
_DIGEST = "digest"


@contextlib.contextmanager
def claimed(folder: Path, identity: Mapping[str, Any], *, kind: str, resume: bool) -> Iterator[Path]:
    """Have a folder to oneself for as long as the context lasts.

    Parameters
    ----------
    folder
        Made where it is missing.
    identity
        What the contents depend on, as plain values; versions and code of the package are added.
    kind
        ``run`` or ``study``: names the file of the identity, and what messages speak of.
    resume
        Go on with what the folder holds; without it, a folder that is in use already is refused.

    Raises
    ------
    InputError
        If the folder cannot be written, is locked by another process, holds something of another identity or anything
        else, or is not to be resumed.
    """
    path = folder / f"{kind}.json"
    ours = json.loads(to_json({**identity, **{name: versions()[name] for name in _VERSIONS}, "code": package_code()}))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _require_own(folder, path, kind)
    except OSError as error:
        raise InputError(f"checkpoint: cannot use {folder}: {error.strerror}") from error
    with locked(folder / _LOCK, folder, "checkpoint") as alone:
        if path.exists():
            require_same(folder, ours, _read_identity(path), kind)
            if not resume:
                raise InputError(f"checkpoint: {folder} holds a {kind} already; resume it or give another folder")
        else:
            _require_own(folder, path, kind)
            write_text(path, to_json(ours), "checkpoint")
        if alone:
            _sweep(folder)
        yield folder


def warn_unwritten(path: Path, error: OSError) -> None:
    """Warn that a checkpoint lacks what was done since; the work it is of goes on."""
    warnings.warn(
        f"checkpoint: cannot write {path}: {error.strerror or error}; going on without it",
        UnwrittenWarning,
        stacklevel=3,
    )


def require_same(folder: Path, ours: Mapping[str, Any], theirs: Mapping[str, Any], kind: str) -> None:
    """Refuse contents of another identity; the message names the first difference."""
    for key in {**ours, **theirs}:
        if ours.get(key) != theirs.get(key):
            raise InputError(
                f"checkpoint: {folder} belongs to another {kind} ({key}: {theirs.get(key)!r} there, "
                f"{ours.get(key)!r} here); give another folder"
            )


@dataclasses.dataclass
class Checkpoint:
    """The state of a run in a folder: files of arrays, each replaced in one step.

    Attributes
    ----------
    folder
        The folder.
    identity
        Method and problem, as plain values; every file repeats them.
    interval
        Seconds between two states.
    """

    folder: Path
    identity: Mapping[str, Any]
    interval: float = 30.0
    _last: float = dataclasses.field(default_factory=time.monotonic)

    def claimed(self, resume: bool, **options: Any) -> contextlib.AbstractContextManager[Path]:
        """Have the folder to oneself for this problem and the options on which the state depends; see `claimed`."""
        return claimed(self.folder, {**self.identity, **options}, kind="run", resume=resume)

    def due(self) -> bool:
        """Whether it is time to write; if so, the next time is an interval from now."""
        now = time.monotonic()
        if now - self._last < self.interval:
            return False
        self._last = now
        return True

    def write(self, name: str, header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
        """Write the file ``name.npz``; where that fails the one before stays, and a warning says so."""
        path = self.folder / f"{name}.npz"
        told = {**self.identity, **header, "versions": versions()}
        try:
            write_arrays(path, {**told, _DIGEST: _digest(told, arrays)}, arrays)
        except OSError as error:
            warn_unwritten(path, error)

    def read(
        self,
        name: str,
        fits: Callable[[Mapping[str, NDArray[Any]]], bool],
        make: Callable[[Mapping[str, Any], Mapping[str, NDArray[Any]]], R],
    ) -> R | None:
        """What ``make`` makes of header and arrays of the file ``name.npz``, or None where there is none.

        Raises
        ------
        InputError
            If it cannot be read, is another problem's, its arrays do not fit, or nothing can be made of them.
        """
        path = self.folder / f"{name}.npz"
        if not path.exists():
            return None
        try:
            header, arrays = read_arrays(path)
        except (OSError, ValueError) as error:
            raise InputError(f"checkpoint: cannot read {path}") from error
        ours = json.loads(to_json(dict(self.identity)))
        require_same(self.folder, ours, {key: header.get(key) for key in ours}, "run")
        if header.pop(_DIGEST, None) != _digest(header, arrays):
            raise InputError(f"checkpoint: {path} is damaged; give another folder, or remove it to start again")
        try:
            good = fits(arrays)
            found = make(header, arrays) if good else None
        except MISSHAPEN as error:
            raise InputError(f"checkpoint: cannot read {path}") from error
        if found is None:
            raise InputError(f"checkpoint: {path} does not fit this problem")
        return found


def _digest(header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> str:
    """Digest of what a file holds: it is not what was written where something in it was changed."""
    plain = json.loads(json.dumps(dict(header)))
    digest = hashlib.sha256(json.dumps(plain, sort_keys=True).encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype} {array.shape};".encode() + array.tobytes())
    return digest.hexdigest()[:16]


def log_of(kind: type[L], lines: Any) -> tuple[L, ...]:
    """Lines of a log as a checkpoint has them; any error of `MISSHAPEN` where they are none of ``kind``."""
    plain: dict[str, Callable[[Any], Any]] = {"int": operator.index, "float": float}
    shape = {field.name: plain[str(field.type)] for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    return tuple(kind(**{name: shape[name](value) for name, value in line.items()}) for line in lines)


@cache
def package_code() -> str:
    """Digest of the sources of this package: an edit makes another version of it, whatever its number says."""
    digest = hashlib.sha256()
    for package in ("scenario_trees", "stochisru"):
        root = Path(str(resources.files(package)))
        for file in sorted(root.rglob("*.py")):
            digest.update(str(file.relative_to(root)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]


def code_of(compute: object) -> str:
    """Digest of a function or callable object: its code, the code of its module that it uses, and its constants.

    Plain values, arrays, fields of the user's dataclasses and whatever has a ``digest()`` count by what they are, other
    objects by their class alone. Code of Python and of installed packages, this one included, counts by its name: the
    identity of a folder has `package_code` besides, and studies of this package name all that their rows depend on.
    """
    digest = hashlib.sha256()
    _describe(compute, digest.update, set())
    return digest.hexdigest()[:16]


def _describe(value: Any, tell: Callable[[bytes], None], seen: set[Any]) -> None:
    if value is None or isinstance(value, (str, bytes, int, float, complex, np.generic, Enum)):
        tell(f"{type(value).__name__} {value!r};".encode())
        return
    parts: list[Any] = []
    if isinstance(value, (types.FunctionType, type)):
        tell(f"{value.__module__}.{value.__qualname__};".encode())
        if value in seen or not _is_users(value.__module__):
            return
        seen.add(value)
        parts = _of_function(value) if isinstance(value, types.FunctionType) else _of_class(value)
    elif isinstance(value, types.CodeType):
        tell(value.co_code)
        parts = [*value.co_names, *value.co_consts]
    elif isinstance(value, np.ndarray) and value.dtype != object:
        tell(f"{value.dtype} {value.shape};".encode() + np.ascontiguousarray(value).tobytes())
    elif isinstance(value, Mapping):
        parts = [part for item in sorted(value.items(), key=lambda item: repr(item[0])) for part in item]
    elif isinstance(value, (list, tuple)):
        parts = list(value)
    elif isinstance(value, (set, frozenset)):
        parts = sorted(value, key=repr)
    elif isinstance(value, functools.partial):
        parts = [value.func, value.args, value.keywords]
    elif isinstance(value, types.MethodType):
        parts = [value.__func__, value.__self__]
    elif isinstance(value, (staticmethod, classmethod)):
        parts = [value.__func__]
    elif callable(getattr(value, "digest", None)):  # cases, trees, lattices
        tell(str(value.digest()).encode())
    else:
        parts = [type(value)]
        if dataclasses.is_dataclass(value) and _is_users(type(value).__module__):
            parts += [getattr(value, field.name) for field in dataclasses.fields(value)]
        elif hasattr(value, "__dict__") and _is_users(type(value).__module__) and not isinstance(value, type):
            parts.append(vars(value))
    for part in parts:
        _describe(part, tell, seen)


def _of_function(function: types.FunctionType) -> list[Any]:
    return [
        function.__code__, function.__defaults__, function.__kwdefaults__, *_closure(function), *_globals(function)
    ]  # fmt: skip


def _of_class(kind: type) -> list[Any]:
    members = {name: part for name, part in vars(kind).items() if name == "__call__" or not name.startswith("__")}
    return [*kind.__mro__[1:-1], members]


def _is_users(module: str) -> bool:
    """Whether code of a module is the user's own: not this package's, Python's or an installed package's."""
    if module.partition(".")[0] in {"stochisru", "scenario_trees", *sys.stdlib_module_names} - {"__main__"}:
        return False
    file = getattr(sys.modules.get(module), "__file__", None)
    return file is None or not any(part in ("site-packages", "dist-packages") for part in Path(file).parts)


def _closure(function: types.FunctionType) -> list[Any]:
    cells = []
    for cell in function.__closure__ or ():
        with contextlib.suppress(ValueError):  # not filled yet
            cells.append(cell.cell_contents)
    return cells


def _globals(function: types.FunctionType) -> list[Any]:
    """What a function uses of its module: functions, classes and plain values."""
    used = [function.__globals__.get(name) for name in _names(function.__code__)]
    return [value for value in used if not isinstance(value, types.ModuleType)]


def _names(code: types.CodeType) -> list[str]:
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names.update(_names(constant))
    return sorted(names)


def _require_own(folder: Path, path: Path, kind: str) -> None:
    """Refuse a folder of other files; a killed start may have left the lock and a part of the identity."""
    ours = (_LOCK, f".{path.stem}.")
    if not path.exists() and any(not item.name.startswith(ours) for item in folder.iterdir()):
        raise InputError(f"checkpoint: {folder} holds other files, must be new, empty or a {kind}'s of this version")


def _sweep(folder: Path) -> None:
    """Remove what a killed process had not written to the end."""
    for leftover in folder.iterdir():
        if is_part(leftover):
            with contextlib.suppress(OSError):
                leftover.unlink()


def _read_identity(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"checkpoint: cannot read {path}") from error
    if not isinstance(found, dict):
        raise InputError(f"checkpoint: cannot read {path}")
    return found
