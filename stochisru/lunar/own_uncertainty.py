"""Trees and paths of one's own, as files: CSV, or Parquet where the name ends so."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from scenario_trees import ScenarioTree
from scenario_trees.arrays import Array
from scenario_trees.errors import TreeError
from scenario_trees.processes import CorrelatedFactors
from scenario_trees.table import tree_from_table
from stochisru.errors import InputError
from stochisru.lunar.simulation.drawing import starting_elsewhere

if TYPE_CHECKING:
    import pandas as pd

    from stochisru.lunar.case import DeploymentCase
    from stochisru.lunar.learning.case import LearningCase
    from stochisru.lunar.tables.case import GeneralCase


def read_tree(path: str | Path, early: Literal["refuse", "hold"] = "refuse") -> ScenarioTree:
    """Tree of a file with a row per node; see `scenario_trees.table.tree_from_table`.

    Raises
    ------
    InputError
        One line that names file, column, row and what is expected.
    """
    try:
        return tree_from_table(_table("tree", path), early=early)
    except TreeError as error:
        raise InputError(f"tree: {path}: {error}") from error


def require_its_values(case: DeploymentCase | GeneralCase | LearningCase, tree: ScenarioTree) -> ScenarioTree:
    """One's own tree, if its values are those that the case's process has and start where that does.

    Raises
    ------
    InputError
        If a column beside demand is none of the process's, or a factor has another value at the root.
    """
    process = case.process
    names: tuple[str, ...] = getattr(process, "names", ("demand",))
    factors: tuple[str, ...] = ("demand",)
    start: dict[str, float] = {}
    if isinstance(process, CorrelatedFactors):
        factors, start = process.factors, dict(zip(names, process.start, strict=True))
    surplus = [name for name in tree.names[1:] if name not in names]
    if surplus:
        raise InputError(
            f"tree: has a column {surplus[0]!r}, the values of {case.name} are {', '.join(factors)}: leave it out or "
            "say it in [[factors]]"
        )
    for i, name in enumerate(tree.names):
        known = process.initial if i == 0 else start.get(name)
        root = float(tree.factor(name)[0])
        if known is not None and not np.isclose(root, known, rtol=1e-9):
            raise InputError(f"tree: its root must have {name} = {known:g}, as {case.name} says, got {root:g}")
    return tree


def read_demand_paths(path: str | Path) -> Array:
    """Demand of a file with a row per path and a column per year, named 0 to T.

    Returns
    -------
    numpy.ndarray
        kg/yr, shape ``(T + 1, paths)``.

    Raises
    ------
    InputError
        One line that names file, row, year and what is expected.
    """
    import pandas as pd

    table = _table("demand-paths", path)
    columns = [str(name).strip() for name in table.columns]
    years = [str(t) for t in range(len(columns))]
    if sorted(columns) != sorted(years) or len(years) < 2:
        got = ", ".join(columns[:6]) + (", …" if len(columns) > 6 else "")
        raise InputError(f"demand-paths: {path}: columns must be the years 0, 1, … T, a row a path, got {got}")
    if table.empty:
        raise InputError(f"demand-paths: {path}: must have one path or more, got none")
    table = table.set_axis(columns, axis="columns")
    values = table[years].apply(pd.to_numeric, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    good = np.isfinite(values) & (values >= 0)
    if not good.all():
        row, year = (int(i) for i in np.argwhere(~good)[0])
        got = table[str(year)].iloc[row]
        raise InputError(
            f"demand-paths: {path}: must be finite numbers >= 0, got {got!r} in year {year} of row {row + 1}"
        )
    return np.ascontiguousarray(values.T)


def require_start(initial: float, demand: Array) -> Array:
    """Paths of demand, if all start from the case's D0; raise `InputError` otherwise."""
    other = starting_elsewhere(initial, demand)
    if other.size:
        raise InputError(
            f"demand-paths: must start from the case's D0 = {initial:g} kg/yr in year 0, got {demand[0, other[0]]:g} "
            f"in row {other[0] + 1}; say it in the case's [demand]"
        )
    return demand


def _table(option: str, path: str | Path) -> pd.DataFrame:
    """A file as it stands, cells of CSV as text."""
    import pandas as pd

    try:
        if Path(path).suffix == ".parquet":
            return pd.read_parquet(path)
        # The header is a row: pandas renames columns that are there twice.
        rows = pd.read_csv(path, dtype=str, encoding="utf-8-sig", skipinitialspace=True, header=None)
        return rows.iloc[1:].set_axis([str(name) for name in rows.iloc[0]], axis="columns").reset_index(drop=True)
    except OSError as error:
        raise InputError(f"{option}: cannot read {str(path)!r}: {error.strerror or error}") from error
    except ValueError as error:  # not UTF-8, not a table, not Parquet
        reason = " ".join(str(error).split())
        raise InputError(f"{option}: {path} is no table in CSV or Parquet: {reason}") from error
