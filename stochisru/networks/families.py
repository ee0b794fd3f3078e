"""Families of nodes and arcs: one description in ``network.toml``, one node or arc per row of a table.

Where a description has ``rows``, it stands for as many nodes or arcs as that table has rows, of several tables for all
combinations (the rows of the last one vary first). The columns of a row are names: in braces in text, as
``tail = "{origin}"``, and in formulas, which may stand wherever a number does. See `stochisru.networks.files`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from string import Formatter
from types import SimpleNamespace
from typing import Any

from stochisru.errors import InputError
from stochisru.files import plain_number
from stochisru.networks.formulas import evaluate, number
from stochisru.networks.network import position
from stochisru.networks.tables import TableRow, read_rows

#: Stands for every commodity in a table of amounts; a commodity that is named as well has its own amount.
EVERY = "*"
#: Keys that make a family of a description, beside those of a node or an arc.
KEYS = ("rows", "let", "both_ways")


@dataclass(frozen=True)
class Member:
    """One node or arc of a family: what formulas may name, the cells as text may show them, and where it stands."""

    names: Mapping[str, Any]
    cells: Mapping[str, str]
    where: str

    def with_names(self, let: Any, more: Mapping[str, Any] | None = None) -> Member:
        """A copy that knows some more names and those of ``let``: formulas by name, each of which may use the last."""
        if not isinstance(let, dict):
            raise InputError(f"{self.where}.let: must be a table of formulas by name, got {let!r}")
        names, cells = {**self.names, **(more or {})}, dict(self.cells)
        for name, formula in let.items():
            value = evaluate(formula, names, f"{self.where}.let.{name}") if isinstance(formula, str) else formula
            names[name] = value
            if isinstance(value, str):
                cells[name] = value
        return Member(names, cells, self.where)

    def _filled(self, template: str) -> Iterator[str]:
        """Pieces of a text whose braces hold a column alone: no attribute, and no width that fills all memory."""
        for literal, column, width, conversion in Formatter().parse(template):
            yield literal
            if width or conversion:
                raise ValueError("braces hold a column alone")
            if column is not None:
                yield self.cells[column]

    def text(self, template: Any, key: str) -> Any:
        """Text with its braces filled; anything else as it is, for checks of its own."""
        if not isinstance(template, str):
            return template
        try:
            return "".join(self._filled(template))
        except KeyError as error:
            position(list(self.cells), str(error.args[0]), f"{self.where}: {key}: {template!r}: column")
            raise
        except (ValueError, IndexError, AttributeError) as error:
            raise InputError(f"{self.where}: {key}: not a text with columns in braces: {template!r}") from error

    def number(self, value: Any, key: str) -> Any:
        """A number where a formula stands for one."""
        return number(value, self.names, f"{self.where}.{key}")

    def amounts(self, table: Any, commodities: Sequence[str], key: str = "") -> Any:
        """A table of numbers by commodity; `EVERY` is written out."""
        if not isinstance(table, dict):
            return table
        every = dict.fromkeys(commodities, table[EVERY]) if EVERY in table else {}
        named = {c: v for c, v in table.items() if c != EVERY}
        return {c: self.number(v, f"{key}.{c}".lstrip(".")) for c, v in {**every, **named}.items()}


def members(
    description: Mapping[str, Any], folder: Path | None, parameters: Mapping[str, float], where: str
) -> Iterator[Member]:
    """The members of a description; itself alone where it names no rows."""
    files = description.get("rows", [])
    files = [files] if isinstance(files, str) else files
    if not isinstance(files, list) or not all(isinstance(f, str) for f in files):
        raise InputError(f"{where}: rows: must be the name of a table or a list of names, got {files!r}")
    if files and folder is None:
        raise InputError(f"{where}: rows: must stand in the network.toml of a folder, which has the tables")
    tables = [_table(folder, file, where) for file in files if folder is not None]
    for rows in itertools.product(*tables):
        cells = {column: cell for row in rows for column, cell in row.cells.items()}
        names: dict[str, Any] = {**parameters, **{column: _value(cell) for column, cell in cells.items()}}
        place = "".join(f"{row.file}: line {row.line}: " for row in rows) + where
        yield Member(names, cells, place)


def _table(folder: Path, file: str, where: str) -> list[TableRow]:
    if Path(file).name != file or not (folder / file).is_file():
        raise InputError(f"{where}: rows: must be a table in the folder of network.toml, got {file!r}")
    return read_rows(folder / file)


def _value(cell: str) -> float | str:
    """A cell as a number where it is one."""
    try:
        value = plain_number(cell)
    except ValueError:
        return cell
    return cell if math.isnan(value) else value


def arcs_of(
    member: Member,
    description: Mapping[str, Any],
    commodities: Sequence[str],
    nodes: Mapping[str, Mapping[str, float | str]],
    events: Mapping[str, Set[str]],
) -> Iterator[dict[str, Any]]:
    """Arguments of `NetworkBuilder.arc` of a member: one arc, or that and the one back where it has ``both_ways``.

    ``nodes`` are the columns of nodes, ``events`` the fields of events that are text.
    """
    plain = {key: value for key, value in description.items() if key not in KEYS}
    both = description.get("both_ways", False)
    if not isinstance(both, bool):
        raise InputError(f"{member.where}: both_ways: must be true or false, got {both!r}")
    if both and "name" in plain:
        raise InputError(f"{member.where}: name: must be left out with both_ways, got {plain['name']!r}")
    ends = [("tail", "head"), ("head", "tail")] if both else [("tail", "head")]
    for first, second in ends:
        tail, head = member.text(plain.get(first), first), member.text(plain.get(second), second)
        at = {key: SimpleNamespace(**nodes.get(str(node), {})) for key, node in (("tail", tail), ("head", head))}
        here = member.with_names(description.get("let", {}), at)
        arc = {key: _resolved(here, key, value, commodities, events) for key, value in plain.items()}
        if "tail" in plain and "head" in plain:
            arc |= {"tail": tail, "head": head}
        yield arc


def _resolved(member: Member, key: str, value: Any, commodities: Sequence[str], events: Mapping[str, Set[str]]) -> Any:
    """The value of a key of an arc with text filled and formulas worked out."""
    if key in ("tail", "head", "name"):
        return member.text(value, key)
    if key in ("capacity", "limit", "lower", "expansion"):
        return member.amounts(value, commodities, key)
    if key in ("concurrency_out", "concurrency_in") and isinstance(value, list):
        return [member.amounts(row, commodities, key) for row in value]
    if key == "events" and isinstance(value, list):
        return [_event(member, table, events) for table in value]
    if key in ("carries", "whole"):
        return value
    if key == "scales" and isinstance(value, list):
        return [_scale(member, table) for table in value]
    if key == "bundles" and isinstance(value, list):
        return [_bundle(member, table, commodities) for table in value]
    if isinstance(value, dict):  # costs by criterion, takes by commodity
        return {outer: member.amounts(table, commodities, f"{key}.{outer}") for outer, table in value.items()}
    return member.number(value, key)


def _scale(member: Member, table: Any) -> Any:
    if not isinstance(table, dict):
        return table
    return {
        key: [member.number(v, f"scales.{key}") for v in value]
        if isinstance(value, list)
        else value
        if key in ("criterion", "commodity", "of")
        else member.number(value, f"scales.{key}")
        for key, value in table.items()
    }


def _bundle(member: Member, table: Any, commodities: Sequence[str]) -> Any:
    if not isinstance(table, dict):
        return table
    found = dict(table)
    if "limit" in table:
        found["limit"] = member.number(table["limit"], "bundles.limit")
    if "weights" in table:
        found["weights"] = member.amounts(table["weights"], commodities, "bundles.weights")
    return found


def _event(member: Member, table: Any, events: Mapping[str, Set[str]]) -> Any:
    if not isinstance(table, dict) or table.get("event") not in events:
        return table
    names = events[table["event"]]
    where = f"events: {table['event']}"
    return {
        key: (
            value
            if key == "event"
            else member.text(value, f"{where}: {key}")
            if key in names
            else _numbers(member, value, f"{where}: {key}")
        )
        for key, value in table.items()
    }


def _numbers(member: Member, value: Any, key: str) -> Any:
    if isinstance(value, dict):
        return {k: _numbers(member, v, f"{key}.{k}") for k, v in value.items()}
    return member.number(value, key)
