"""Tables of results as one file: a workbook of Excel, NetCDF, or the long format of IAMC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scenario_trees.files import replacing
from stochisru.errors import InputError, require_kind, require_path
from stochisru.files import MANIFEST, read_manifest, require_writable
from stochisru.studies.folder import guarded

if TYPE_CHECKING:
    import pandas as pd

#: Formats by suffix.
FORMATS = {
    ".xlsx": "a workbook, a sheet per table",
    ".nc": "NetCDF, a dimension per table",
    ".iamc.csv": "the long format of IAMC: what happens by year",
}
#: Columns of the long format of IAMC, in their order.
IAMC = ("model", "scenario", "region", "variable", "unit", "year", "value")
#: Most rows and letters that a sheet of Excel has.
_ROWS, _LETTERS = 1_048_575, 31


def suffix_of(path: str | Path) -> str:
    """The suffix that names the format of a file; `InputError` for others."""
    require_path("file", path)
    for suffix in FORMATS:
        if Path(path).name.endswith(suffix):
            return suffix
    raise InputError(f"file: must end in {', '.join(FORMATS)}, got {Path(path).name!r}")


def tables_of(folder: str | Path) -> dict[str, pd.DataFrame]:
    """Tables of a folder that ``run`` or a study has made, by name.

    Raises
    ------
    InputError
        If the folder is none of them, or a table cannot be read.
    """
    import pandas as pd

    home = require_path("folder", folder)
    if read_manifest(home) is None:
        raise InputError(f"folder: {home} is no folder of a run or study: it has no {MANIFEST} of stochisru")
    found = {}
    for file in sorted((home / "tables").glob("*.parquet")):
        try:
            found[file.stem] = pd.read_parquet(file)
        except (OSError, ValueError) as error:
            raise InputError(f"folder: cannot read {file}: {' '.join(str(error).split())}") from error
    if not found:
        raise InputError(f"folder: {home} has no tables")
    return found


def write_results(
    tables: Mapping[str, pd.DataFrame], target: str | Path, about: Mapping[str, Any] | None = None
) -> Path:
    """Write tables as one file; the suffix says the format.

    Parameters
    ----------
    tables
        By name.
    target
        ``.xlsx`` or ``.nc``; ``.iamc.csv`` takes one table with the columns of `IAMC`, see `iamc_table`.
    about
        What the tables are of, by name: a sheet ``about`` in Excel, attributes in NetCDF.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    InputError
        If the suffix is another, the file cannot be written, a table is too long for a sheet, or Excel is asked for and
        ``openpyxl`` is not installed (``pip install 'stochisru[excel]'``).

    Examples
    --------
    >>> import pandas as pd
    >>> from tempfile import TemporaryDirectory
    >>> from stochisru.exchange import write_results
    >>> with TemporaryDirectory() as folder:
    ...     plan = pd.DataFrame({"year": [0, 1], "kg": [139.4, 124.9]})
    ...     print(write_results({"plan": plan}, f"{folder}/plan.nc").name)
    plan.nc
    """
    import pandas as pd

    suffix, path = suffix_of(target), Path(target)
    require_writable(path, "file")
    require_kind("tables", tables, Mapping, "tables by name")
    for name, table in tables.items():
        require_kind(f"tables: {name}", table, pd.DataFrame, "a DataFrame")
    if about is not None:
        require_kind("about", about, Mapping, "entries by name")
    if not tables:
        raise InputError("tables: must be one or more, got none")
    with replacing(path) as part:
        if suffix == ".xlsx":
            _write_excel(tables, part, about or {})
        elif suffix == ".nc":
            _write_netcdf(tables, part, about or {})
        else:
            _write_iamc(tables, part)
    return path


def _write_excel(tables: Mapping[str, pd.DataFrame], part: Path, about: Mapping[str, Any]) -> None:
    import pandas as pd

    sheets = dict(tables)
    if about:
        facts = pd.DataFrame({"entry": list(about), "value": [str(value) for value in about.values()]})
        sheets = {"about": facts, **sheets}
    names = [name[:_LETTERS] for name in sheets]
    if len(set(names)) < len(names):
        raise InputError(f"tables: names must differ in their first {_LETTERS} letters, the most that a sheet has")
    for name, table in sheets.items():
        if len(table) > _ROWS:
            raise InputError(
                f"tables: {name} has {len(table):,} rows, a sheet has {_ROWS:,}; write .nc, or take the CSV"
            )
    try:
        import openpyxl  # noqa: F401
    except ImportError as error:
        raise InputError(
            "file: .xlsx needs openpyxl, which is not installed: pip install 'stochisru[excel]'"
        ) from error
    with part.open("wb") as out, pd.ExcelWriter(out, engine="openpyxl") as writer:
        for name, table in zip(names, sheets.values(), strict=True):
            guarded(table).to_excel(writer, sheet_name=name, index=False)


def _write_netcdf(tables: Mapping[str, pd.DataFrame], part: Path, about: Mapping[str, Any]) -> None:
    """NetCDF 3, which SciPy writes: a column is a variable ``TABLE.COLUMN`` over the dimension ``TABLE``."""
    import xarray as xr

    variables = {}
    for name, table in tables.items():
        for column in table.columns:
            values = table[column].to_numpy()
            if values.dtype.kind not in "iuf":
                values = np.array(["" if _missing(x) else str(x) for x in values], dtype=object)
            elif values.dtype.itemsize > 4 and values.dtype.kind in "iu":  # has no such integers
                values = values.astype(float)
            variables[f"{name}.{column}".replace("/", "_")] = (name, values)
    attributes = {str(key): str(value) for key, value in about.items()}
    data = xr.Dataset(variables, attrs=attributes).to_netcdf(engine="scipy")
    part.write_bytes(bytes(data))


def _missing(cell: Any) -> bool:
    return cell is None or (isinstance(cell, float) and cell != cell)


def _write_iamc(tables: Mapping[str, pd.DataFrame], part: Path) -> None:
    import pandas as pd

    for name, table in tables.items():
        if tuple(table.columns) != IAMC:
            raise InputError(f"tables: {name} must have the columns {', '.join(IAMC)}, got {', '.join(table.columns)}")
    guarded(pd.concat(tables.values(), ignore_index=True)).to_csv(part, index=False)


def iamc_table(
    table: pd.DataFrame,
    variables: Mapping[str, tuple[str, str]],
    *,
    model: str,
    scenario: str | Sequence[str],
    region: str,
    year: str = "year",
) -> pd.DataFrame:
    """A table by year in the long format of IAMC, one row per number.

    Parameters
    ----------
    table
        A row per scenario and year.
    variables
        Variable of IAMC, with bars between its levels, and unit, by column.
    scenario
        Name of all rows, or of each, shape ``(rows,)``.
    year
        Column of the years.

    Raises
    ------
    InputError
        If a column is not there.
    """
    import pandas as pd

    require_kind("table", table, pd.DataFrame, "a DataFrame")
    require_kind("variables", variables, Mapping, "variable and unit by column")
    lacking = [name for name in (*variables, year) if name not in table.columns]
    if lacking:
        raise InputError(f"table: must have the columns {', '.join((*variables, year))}, {lacking[0]!r} is not there")
    parts = [
        pd.DataFrame(
            {
                "model": model,
                "scenario": scenario,
                "region": region,
                "variable": variable,
                "unit": unit,
                "year": table[year].to_numpy(),
                "value": table[column].to_numpy(dtype=float),
            }
        )
        for column, (variable, unit) in variables.items()
    ]
    return pd.concat(parts, ignore_index=True)[list(IAMC)]
