"""A plan of deployments as a table: year of arrival, technology, kg."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np

from scenario_trees.arrays import Array
from stochisru.errors import InputError
from stochisru.files import plain_number
from stochisru.lunar.case import DeploymentCase

#: Name of the technology of a case that names none.
TECHNOLOGY = "plant"


def read_plan(case: DeploymentCase, path: str | Path) -> dict[str, Array]:
    """Deployments of a CSV file with the columns ``year``, ``kg`` and, where wanted, ``technology``.

    Years that are left out have none.

    Returns
    -------
    dict
        ``dM``, kg by year of arrival, shape ``(T + 1,)``, as `stochisru.problem.evaluate` takes it.

    Raises
    ------
    InputError
        One line that names file, line and what is expected.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise InputError(f"plan: cannot read {str(path)!r}: {reason}") from error
    try:
        return _deployments(case, path, text)
    except csv.Error as error:
        raise InputError(f"plan: {path} is not a table: {error}") from error


def _deployments(case: DeploymentCase, path: str | Path, text: str) -> dict[str, Array]:
    reader = csv.DictReader(io.StringIO(text, newline=""), skipinitialspace=True, strict=True)
    columns = [name.strip() for name in reader.fieldnames or []]
    if not {"year", "kg"} <= set(columns) <= {"year", "technology", "kg"}:
        raise InputError(f"plan: {path} must have the columns year, kg and, if any, technology, got {columns}")
    reader.fieldnames = columns
    T = case.horizon.T
    deployment: dict[int, float] = {}
    for row in reader:
        where = f"plan: {path}, line {reader.line_num}"
        if None in row or None in row.values():
            raise InputError(f"{where}: must have {len(columns)} values, one per column")
        technology = row.get("technology", TECHNOLOGY).strip()
        if technology != TECHNOLOGY:
            raise InputError(f"{where}: technology must be {TECHNOLOGY}, got {technology!r}")
        year = _number(row["year"], f"{where}: year must be a whole number in 0..{T}")
        if year not in range(T + 1):
            raise InputError(f"{where}: year must be a whole number in 0..{T}, got {row['year']}")
        if int(year) in deployment:
            raise InputError(f"{where}: year {int(year)} of {technology} is there already")
        mass = _number(row["kg"], f"{where}: kg must be a finite number >= 0")
        if not (np.isfinite(mass) and mass >= 0):
            raise InputError(f"{where}: kg must be a finite number >= 0, got {row['kg']}")
        deployment[int(year)] = mass
    return {"dM": np.array([deployment.get(t, 0.0) for t in range(T + 1)])}


def _number(text: str, expected: str) -> float:
    try:
        return plain_number(text.strip())
    except ValueError as error:
        raise InputError(f"{expected}, got {text!r}") from error
