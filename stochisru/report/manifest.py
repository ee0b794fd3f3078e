"""What the page of a run takes from its manifest: a file that may have been changed by hand, or by somebody else."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict

from scenario_trees.errors import is_number
from stochisru.errors import InputError
from stochisru.files import MANIFEST

_STRICT = ConfigDict(strict=True, allow_inf_nan=False)


@with_config(_STRICT)
class _Distance(TypedDict):
    variance_error: float
    wasserstein: float


@with_config(_STRICT)
class _Answer(TypedDict):
    method: str
    of: str
    error: float | None
    nothing: float | None
    break_even: float | None
    price: float | None
    projected: float | None
    demand: float
    refused: str


@with_config(_STRICT)
class _Common(TypedDict):
    case: str
    title: str
    started: str
    versions: dict[str, str]
    horizon: int
    answer: _Answer
    distance: _Distance
    leaves: int
    nodes: int
    paths: int
    seed: int
    sampler: str
    confidence: float
    method: str | None
    solver: str | None


@with_config(_STRICT)
class _Base(_Common):
    decision: dict[str, str | float]
    exact: bool
    foresight: str
    foresight_paths: int
    no_tree_values: str


@with_config(_STRICT)
class _Support(TypedDict):
    firm: float
    government: float
    both: float
    per_kg: float | None


@with_config(_STRICT)
class _Tables(_Common):
    decision: dict[str, str | float | dict[str, float]]
    tables: str
    no_values: str
    measure: str
    foresight: str | None
    foresight_paths: int | None
    commitment: str
    support: _Support | None
    abandonment: float | None


@cache
def _schema(tables: bool) -> TypeAdapter[Any]:
    return TypeAdapter(_Tables if tables else _Base)


def require_entries(manifest: Mapping[str, Any], folder: Path, *, tables: bool) -> None:
    """Raise `InputError` unless a manifest has what the page shows, each of its kind.

    Parameters
    ----------
    tables
        Whether the run is of a case with tables beyond the base problem.
    """
    try:
        _schema(tables).validate_python(dict(manifest))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        what = first["msg"][:1].lower() + first["msg"][1:]
        raise InputError(
            f"RUN_DIR: {folder / MANIFEST}: {where}: {what}; {_made_by(manifest)}make the run again"
        ) from error
    decision = manifest["decision"]
    for name, value in {"rule": None, **decision}.items():
        orders = value if isinstance(value, Mapping) else {name: value} if name.startswith("dM") else {}
        bad = [key for key, kg in orders.items() if not (re.fullmatch(r"dM[0-9]{1,3}", key) and is_number(kg))]
        if value is None or bad:
            what = (
                "missing" if value is None else f"must be kg by year of arrival, dM0, dM1, …, got {reprlib.repr(value)}"
            )
            raise InputError(f"RUN_DIR: {folder / MANIFEST}: decision.{name}: {what}; make the run again")


def _made_by(manifest: Mapping[str, Any]) -> str:
    """Which version made a folder, if it says so."""
    versions = manifest.get("versions")
    version = versions.get("stochisru") if isinstance(versions, dict) else None
    known = isinstance(version, str) and re.fullmatch(r"[0-9][0-9a-z.+-]{0,30}", version)
    return f"it was made by version {version}: " if known else ""
