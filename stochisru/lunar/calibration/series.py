"""A series of demand as a table: when each value was seen, and the value.

A table has one line of column names. The column of dates holds years (2014, also 2014.5) or dates (2014-03-31,
2014-03), one kind throughout; gaps are lines that are missing, or lines without a value. Without such a column values
are a year apart.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scenario_trees.arrays import Array
from scenario_trees.calibration import seen
from scenario_trees.errors import TreeError
from stochisru.errors import InputError
from stochisru.files import plain_number
from stochisru.networks.tables import TableRow, read_rows

if TYPE_CHECKING:
    import pandas as pd

#: Names of columns that hold dates, in any case.
DATES = ("date", "year", "time", "t")
#: Cells that say that nobody knows the value.
MISSING = ("", "na", "n/a", "nan", "null", "none", "-", "–")
#: Values below which no volatility can be said.
_FEWEST = 4
_DATE = re.compile(r"(\d{4})-(\d{2})(?:-(\d{2}))?")


@dataclass(frozen=True, eq=False)
class ObservedSeries:
    """A series as it was read.

    Attributes
    ----------
    file, column, dates
        Name of the file, of the column of values, and of that of dates, None if there is none.
    data
        Values in their order, NaN where nobody knows them, by year (numbers) or date (`pandas.DatetimeIndex`).
    """

    file: str
    column: str
    dates: str | None
    data: pd.Series

    @property
    def labels(self) -> tuple[str, ...]:
        """When each known value was seen, as text."""
        known = self.data.index[self.data.notna()]
        return tuple(f"{x:g}" if isinstance(x, (int, float)) else f"{x:%Y-%m-%d}" for x in known.tolist())

    @property
    def by_calendar(self) -> bool:
        """Whether dates were given: without any, values are counted from 0."""
        import pandas as pd

        index = self.data.index
        return not (isinstance(index, pd.RangeIndex) and index.start == 0 and index.step == 1)

    @property
    def values(self) -> Array:
        """The known values."""
        return seen(self.data, None, 1)[0]

    @property
    def years(self) -> Array:
        """When each known value was seen, in years: of our era if there is a column of dates, else from 0."""
        times, first = seen(self.data, None, 1)[1], self.data.index[0]
        return np.asarray(times + (0 if isinstance(first, (int, float, np.number)) else first.year))

    def digest(self) -> str:
        """Hash of values and dates."""
        text = repr((self.labels, self.values.tolist()))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def read_series(
    path: str | Path, column: str | None = None, date_column: str | None = None, *, fewest: int = _FEWEST
) -> ObservedSeries:
    """Read a series of values > 0 from a CSV file.

    Parameters
    ----------
    column
        Column of values; may be left out where there is one besides the dates.
    date_column
        Column of dates; if left out the first that is named date, year, time or t, in any case.
    fewest
        Values that it must have; of fewer than four nothing is known of volatility.

    Raises
    ------
    InputError
        One line that names file, line, column and what is expected.
    """
    import pandas as pd

    path = Path(path)
    rows = read_rows(path)
    if not rows:
        raise InputError(f"{path.name}: needs at least {fewest} values, got a table without lines")
    columns = list(rows[0].cells)
    by = _date_column(path.name, columns, date_column)
    of = _value_column(path.name, columns, column, by)
    values = [_value(row, of) for row in rows]
    if by is None:
        index: pd.Index = pd.Index(np.arange(len(rows), dtype=np.int64))
    else:
        index = _index(rows, by)
    known = sum(value == value for value in values)
    if known < fewest:
        increments = f"{fewest - 1} increment{'s' if fewest > 2 else ''}"
        raise InputError(f"{path.name}: {of}: needs at least {fewest} values ({increments}), got {known}")
    series = ObservedSeries(path.name, of, by, pd.Series(values, index=index, dtype=float))
    try:
        seen(series.data, None, fewest - 1)
    except TreeError as error:
        raise InputError(f"{path.name}: {of}: {error}") from error
    return series


def _date_column(file: str, columns: list[str], given: str | None) -> str | None:
    if given is None:
        return next((name for name in columns if name.lower() in DATES), None)
    if given not in columns:
        raise InputError(f"date: {file} has the columns {', '.join(columns)}, got {given!r}")
    return given


def _value_column(file: str, columns: list[str], given: str | None, date_column: str | None) -> str:
    others = [name for name in columns if name != date_column]
    if given is not None:
        if given not in columns:
            raise InputError(f"column: {file} has the columns {', '.join(columns)}, got {given!r}")
        if given == date_column:
            raise InputError(f"column: must not be that of the dates, {given!r}")
        return given
    if len(others) != 1:
        raise InputError(
            f"column: must be named where {file} has not one column of values but {len(others)}: "
            f"{', '.join(others) or 'none'}"
        )
    return others[0]


def _value(row: TableRow, column: str) -> float:
    if row[column].lower() in MISSING:
        return float("nan")
    value = row.number(column)
    if not 0 < value < np.inf:
        raise InputError(f"{row.where(column)}: must be a finite number > 0, got {row[column]!r}")
    return value


def _index(rows: list[TableRow], column: str) -> pd.Index:
    """Dates of the rows, ascending: years as numbers, or dates."""
    import pandas as pd

    found = [_when(row, column) for row in rows]
    kind = type(found[0])
    for row, when in zip(rows, found, strict=True):
        if type(when) is not kind:
            raise InputError(
                f"{row.where(column)}: must be a {_said(kind)} as in the lines before, got {row[column]!r}"
            )
    for row, before, when in zip(rows[1:], found, found[1:], strict=False):
        if not when > before:  # type: ignore[operator]
            what = "is there already" if when == before else "must come later than the line before"
            raise InputError(f"{row.where(column)}: {what}, got {row[column]!r}; dates must ascend")
    if kind is date:
        return pd.DatetimeIndex(found)
    years = np.array(found, dtype=float)
    whole = bool((years == np.rint(years)).all())
    index: pd.Index[Any] = pd.Index(years.astype(np.int64) if whole else years)
    return index


def _said(kind: type) -> str:
    return "date (2014-03-31)" if kind is date else "year (2014)"


def _when(row: TableRow, column: str) -> float | date:
    text = row[column]
    match = _DATE.fullmatch(text)
    try:
        if match:
            year, month, day = match.groups()
            return date(int(year), int(month), int(day or 1))
        found = plain_number(text)
    except ValueError as error:
        raise InputError(
            f"{row.where(column)}: must be a year (2014) or a date (2014-03-31, 2014-03), got {text!r}"
        ) from error
    if not -1e5 < found < 1e5:
        raise InputError(f"{row.where(column)}: must be a year between -100000 and 100000, got {text!r}")
    return found
