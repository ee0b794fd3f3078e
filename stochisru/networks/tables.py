"""CSV tables of a network: rows with their line, so that every fault is named where it stands.

Commas, semicolons (as spreadsheets write them where the comma is the decimal sign) or tabs separate cells; blanks
around a cell and a byte order mark are ignored. Text is UTF-8.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stochisru.errors import InputError
from stochisru.files import plain_number
from stochisru.networks.builder import NetworkBuilder
from stochisru.networks.events import Conversion
from stochisru.networks.network import position

#: Columns of each table.
COLUMNS = {
    "nodes.csv": ("node", "commodity", "supply"),
    "arcs.csv": ("arc", "tail", "head", "commodity", "gain", "capacity", "limit", "expansion"),
    "costs.csv": ("arc", "commodity", "criterion", "kind", "value"),
}
#: Kinds of cost of an arc.
COST_KINDS = ("cost", "arrival_cost", "expansion_cost", "use_cost")
#: Columns of amounts, and whether they may be unlimited.
_AMOUNTS = {"gain": False, "capacity": True, "limit": True, "expansion": False}


@dataclass(frozen=True)
class TableRow:
    """A row of a table: its cells by column, and where it stands."""

    file: str
    line: int
    cells: dict[str, str]

    def __getitem__(self, column: str) -> str:
        return self.cells[column]

    def where(self, column: str) -> str:
        """File, line and column, for messages."""
        return f"{self.file}: line {self.line}: {column}"

    def name(self, column: str) -> str:
        """A cell that must be filled."""
        if not self[column]:
            raise InputError(f"{self.where(column)}: must be a name, got an empty cell")
        return self[column]

    def known(self, column: str, names: Iterable[str]) -> str:
        """A cell that must be one of some names."""
        position(list(names), self.name(column), self.where(column))
        return self[column]

    def number(self, column: str, *, least: float = -math.inf, unlimited: bool = False) -> float:
        """A cell as a number of at least ``least``; inf only where ``unlimited``."""
        text = self[column]
        wanted = "a number" if least == -math.inf else f"a number >= {least:g}"
        wanted += " or inf" if unlimited else ""
        try:
            value = plain_number(text)
        except ValueError as error:
            hint = " (the decimal sign is a point)" if _decimal_comma(text) else ""
            raise InputError(f"{self.where(column)}: must be {wanted}, got {text!r}{hint}") from error
        if math.isnan(value) or value < least or value == -math.inf or (value == math.inf and not unlimited):
            raise InputError(f"{self.where(column)}: must be {wanted}, got {text!r}")
        return value


def _decimal_comma(text: str) -> bool:
    try:
        plain_number(text.replace(",", ".", 1))
    except ValueError:
        return False
    return "," in text


def read_text(path: Path) -> str:
    """Text of a UTF-8 file, without a byte order mark.

    Raises
    ------
    InputError
        If the file is not UTF-8; the message names file and line.
    """
    data = path.read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{path.name}: line {line}: must be UTF-8 text, got the byte 0x{data[error.start]:02x}; "
            "save the file as UTF-8"
        ) from error


def read_table(path: Path) -> list[TableRow]:
    """Rows of a table with the columns of `COLUMNS`, or none if there is no such file.

    Raises
    ------
    InputError
        If the file cannot be read or its columns are others.
    """
    return read_rows(path, COLUMNS[path.name]) if path.exists() else []


def read_rows(path: Path, columns: Sequence[str] | None = None, *, more: bool = False) -> list[TableRow]:
    """Rows of a table; empty lines are left out.

    Parameters
    ----------
    columns
        The columns that it must have; any, each with a name of its own, if not given.
    more
        Whether it may have others beside them.

    Raises
    ------
    InputError
        If the file cannot be read or its columns are others.
    """
    try:
        text = read_text(path)
    except OSError as error:
        raise InputError(f"{path.name}: cannot be read: {error.strerror}") from error
    first = text.partition("\n")[0]
    separator = max((",", ";", "\t"), key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=True)
    rows: list[TableRow] = []
    head: list[str] | None = None
    line = 1
    try:
        for cells in reader:
            stripped = [cell.strip() for cell in cells]
            if head is None:
                head = stripped
                _check_columns(path.name, head, columns, more)
            elif any(stripped):
                if len(stripped) != len(head):
                    hint = " (the decimal sign is a point)" if separator == "," and len(stripped) > len(head) else ""
                    raise InputError(
                        f"{path.name}: line {line}: must have {len(head)} cells, got {len(stripped)}{hint}"
                    )
                rows.append(TableRow(path.name, line, dict(zip(head, stripped, strict=True))))
            line = reader.line_num + 1
    except csv.Error as error:
        raise InputError(f"{path.name}: line {reader.line_num}: not a table: {error}") from error
    if head is None:
        wanted = "a line of columns" if columns is None else f"the columns {', '.join(columns)}"
        raise InputError(f"{path.name}: must have {wanted}, got an empty file")
    return rows


def _check_columns(file: str, head: Sequence[str], columns: Sequence[str] | None, more: bool) -> None:
    if columns is not None and (not set(columns) <= set(head) if more else sorted(head) != sorted(columns)):
        found = ", ".join(head) or "an empty line"
        raise InputError(f"{file}: must have the columns {', '.join(columns)}, got {found}")
    if len(set(head)) < len(head) or not all(head):
        raise InputError(f"{file}: must have columns with a name of their own each, got {', '.join(head)}")


class _Once:
    """Refuses a key that comes a second time, with both lines."""

    def __init__(self) -> None:
        self._lines: dict[tuple[str, ...], int] = {}

    def add(self, row: TableRow, *key: str) -> None:
        if key in self._lines:
            both, what = f"lines {self._lines[key]} and {row.line}", ", ".join(map(repr, key))
            raise InputError(f"{row.file}: {both}: must be one row for {what}, got two")
        self._lines[key] = row.line


def listed_nodes(
    rows: Sequence[TableRow], commodities: Sequence[str], given: Iterable[str], file: str
) -> dict[str, dict[str, float]]:
    """Supplies by node and commodity; a row without commodity and supply names a node that has none.

    ``given`` are the nodes of ``file``, which must not be listed again.
    """
    elsewhere = set(given)
    once = _Once()
    supplies: dict[str, dict[str, float]] = {}
    for row in rows:
        node = row.name("node")
        if node in elsewhere:
            raise InputError(f"{row.where('node')}: {node!r} is in {file} as well; keep one of the two")
        table = supplies.setdefault(node, {})
        if not row["commodity"] and not row["supply"]:
            once.add(row, node)
            continue
        commodity = row.known("commodity", commodities)
        once.add(row, node, commodity)
        table[commodity] = row.number("supply", unlimited=True)
    return supplies


def add_listed_arcs(
    builder: NetworkBuilder, nodes: Sequence[str], arcs: Sequence[TableRow], costs: Sequence[TableRow]
) -> None:
    """Add the arcs of ``arcs.csv`` with the costs of ``costs.csv``."""
    once = _Once()
    listed: dict[str, list[TableRow]] = {}
    for row in arcs:
        tail, head = row.known("tail", nodes), row.known("head", nodes)
        name = row["arc"] or f"{tail}→{head}"
        once.add(row, name, row.known("commodity", builder.commodities))
        mine = listed.setdefault(name, [])
        mine.append(row)
        if (mine[0]["tail"], mine[0]["head"]) != (tail, head):
            both = f"lines {mine[0].line} and {row.line}"
            raise InputError(f"{row.file}: {both}: arc {name!r}: must have one tail and head, got several")
    priced = _listed_costs(builder, listed, costs)
    for name, rows in listed.items():
        amounts: dict[str, dict[str, float]] = {column: {} for column in _AMOUNTS}
        for row in rows:
            for column, unlimited in _AMOUNTS.items():
                if row[column]:
                    amounts[column][row["commodity"]] = row.number(column, least=0.0, unlimited=unlimited)
        gains = amounts.pop("gain")
        try:
            builder.arc(
                rows[0]["tail"],
                rows[0]["head"],
                name,
                events=[Conversion({c: {c: g} for c, g in gains.items()})],
                carries=[row["commodity"] for row in rows],
                capacity=amounts["capacity"],
                limit=amounts["limit"],
                expansion=amounts["expansion"],
                **priced.get(name, {}),
            )
        except InputError as error:
            raise InputError(f"{rows[0].file}: line {rows[0].line}: {error}") from error


def _listed_costs(
    builder: NetworkBuilder, listed: dict[str, list[TableRow]], costs: Sequence[TableRow]
) -> dict[str, dict[str, Any]]:
    """Costs by arc, kind, criterion and commodity."""
    once = _Once()
    priced: dict[str, dict[str, Any]] = {}
    for row in costs:
        kind = row.known("kind", COST_KINDS)
        name, commodity, criterion = row.name("arc"), row.name("commodity"), row.known("criterion", builder.criteria)
        if name not in listed:
            raise InputError(f"{row.where('arc')}: must be one of arcs.csv, got {name!r}")
        row.known("commodity", [r["commodity"] for r in listed[name]])
        once.add(row, name, commodity, criterion, kind)
        priced.setdefault(name, {}).setdefault(kind, {}).setdefault(criterion, {})[commodity] = row.number("value")
    return priced
