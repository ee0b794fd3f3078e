"""A plan of deployments as a table: year of arrival, technology, kg."""

from __future__ import annotations

import csv
import io
import reprlib
from pathlib import Path

import numpy as np

from scenario_trees.arrays import Array
from stochisru.errors import InputError
from stochisru.files import plain_number
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.parts import LARGEST
from stochisru.lunar.tables.case import GeneralCase, is_general
from stochisru.lunar.tables.plants import identifier, plants

#: Name of the technology of a case that names none.
TECHNOLOGY = "plant"


def read_plan(case: DeploymentCase | GeneralCase, path: str | Path) -> dict[str, Array]:
    """Deployments of a CSV file with the columns ``year``, ``kg`` and, of several or where wanted, ``technology``.

    Years and technologies that are left out have none; a launch campaign flies in each year with a deployment.

    Returns
    -------
    dict
        By decision, ``dM`` or that of each technology: kg by year of arrival, shape ``(T + 1,)``, as
        `stochisru.problem.evaluate` takes it.

    Raises
    ------
    InputError
        One line that names file, line and what is expected.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text; a spreadsheet must be saved as CSV"
        raise InputError(f"plan: cannot read {str(path)!r}: {reason}") from error
    try:
        return _deployments(case, path, text)
    except csv.Error as error:
        raise InputError(f"plan: {path} is not a table: {error}") from error


def _decisions(case: DeploymentCase | GeneralCase) -> dict[str, str]:
    """Decisions by the names of their technologies."""
    if is_general(case) and case.technologies:
        names = [technology.name for technology in case.technologies]
        return {name: "dM" if len(names) == 1 else f"dM_{identifier(name)}" for name in names}
    return {TECHNOLOGY: "dM"}


def _deployments(case: DeploymentCase | GeneralCase, path: str | Path, text: str) -> dict[str, Array]:
    reader = csv.DictReader(io.StringIO(text, newline=""), skipinitialspace=True, strict=True)
    columns = [name.strip() for name in reader.fieldnames or []]
    if not {"year", "kg"} <= set(columns) <= {"year", "technology", "kg"} or len(set(columns)) < len(columns):
        got = reprlib.repr(", ".join(columns)) if columns else "an empty file"
        raise InputError(f"plan: {path} must have the columns year, kg and, if any, technology, once each, got {got}")
    reader.fieldnames = columns
    T, decisions = case.horizon.T, _decisions(case)
    if "technology" not in columns and len(decisions) > 1:
        raise InputError(f"plan: {path} must have a column technology, one of {', '.join(decisions)}")
    deployment: dict[tuple[str, int], float] = {}
    for row in reader:
        where = f"plan: {path}, line {reader.line_num}"
        if None in row or None in row.values():
            raise InputError(f"{where}: must have {len(columns)} values, one per column")
        technology = row.get("technology", next(iter(decisions))).strip()
        if technology not in decisions:
            raise InputError(f"{where}: technology must be {' or '.join(decisions)}, got {technology!r}")
        year = _number(row["year"], f"{where}: year must be a whole number in 0..{T}")
        if year not in range(T + 1):
            raise InputError(f"{where}: year must be a whole number in 0..{T}, got {row['year']}")
        if (technology, int(year)) in deployment:
            raise InputError(f"{where}: year {int(year)} of {technology} is there already")
        mass = _number(row["kg"], f"{where}: kg must be a number in 0..{LARGEST:g}")
        if not 0 <= mass <= LARGEST:
            raise InputError(f"{where}: kg must be a number in 0..{LARGEST:g}, got {row['kg']}")
        deployment[technology, int(year)] = mass
    if not deployment:
        raise InputError(f"plan: {path} has no rows; a plan of nothing is a row with 0 kg")
    plan = {
        decision: np.array([deployment.get((technology, t), 0.0) for t in range(T + 1)])
        for technology, decision in decisions.items()
    }
    if is_general(case):  # a plan of deployments scraps nothing
        leaving = [f"scrap{kind.suffix}" for kind in plants(case) if kind.scrap is not None]
        plan |= {name: np.zeros(T + 1) for name in leaving}
    if is_general(case) and case.shares_campaigns:
        plan["campaign"] = np.any([mass > 0 for mass in plan.values()], axis=0).astype(float)
    return plan


def _number(text: str, expected: str) -> float:
    try:
        return plain_number(text.strip())
    except ValueError as error:
        raise InputError(f"{expected}, got {text!r}") from error
