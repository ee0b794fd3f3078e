"""Networks as files: one TOML file, or a folder of TOML and CSV.

The TOML file has ``name``, ``[commodities]`` and ``[criteria]`` (name = unit), ``[nodes.NAME]`` (commodity = supply)
and ``[[arcs]]`` with the arguments of `NetworkBuilder.arc`; an event is a table with its class in ``event`` and its
fields::

    [[arcs]]
    tail = "plant"
    head = "city"
    cost = { cost = { water = 1.5 } }
    events = [{ event = "LineLoss", rate_per_km = { water = 5e-4 }, km = 30 }]

A folder has it as ``network.toml`` and may add tables for what is long: ``nodes.csv`` (node, commodity, supply),
``arcs.csv`` (arc, tail, head, commodity, gain, capacity, limit, expansion; a row per commodity that the arc carries)
and ``costs.csv`` (arc, commodity, criterion, kind, value; kind is cost, arrival_cost, expansion_cost or use_cost). An
empty amount means the default; a node without supply is a row with its name alone. Nothing may be said twice.

Wherever the TOML file has a number, a formula in quotes may stand, over names of ``[parameters]`` (name = number or
formula) and ``parameters.csv`` (name, value and columns of your own). With ``rows = "FILE.csv"`` an arc stands for one
per row of that table, and ``[[places]]`` (rows, name, supply) for nodes: see `stochisru.networks.families`.

A table ``[time]`` makes it a network over time (`load_over_time`, see `stochisru.networks.schedule`).
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scenario_trees.errors import is_number
from stochisru.errors import InputError
from stochisru.files import toml_tables
from stochisru.networks import events as _events
from stochisru.networks.builder import ArcScale, Bundle, NetworkBuilder
from stochisru.networks.events import Event
from stochisru.networks.families import KEYS, Member, arcs_of, members
from stochisru.networks.formulas import with_parameters
from stochisru.networks.network import Network, position
from stochisru.networks.schedule import read_schedule
from stochisru.networks.tables import (
    COLUMNS,
    COST_KINDS,
    add_listed_arcs,
    listed_nodes,
    read_rows,
    read_table,
    read_text,
)
from stochisru.networks.time_expansion import TimeExpandedNetwork, expand
from stochisru.programs.curves.curve import Curve

#: Events that a file may name, by class name.
EVENTS: dict[str, Any] = {
    name: getattr(_events, name)
    for name in ("Burn", "BoilOff", "Consumption", "Leakage", "Wear", "LineLoss", "Production", "Conversion")
}
#: Table of numbers by name that formulas may use.
PARAMETERS = "parameters.csv"
_ARC_KEYS = {name for name in inspect.signature(NetworkBuilder.arc).parameters if name != "self"}


def _is_table(value: Any) -> bool:
    return isinstance(value, dict) and all(map(is_number, value.values()))


def _is_list_of(kind: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(map(kind, value))


@dataclass(frozen=True)
class _Shape:
    """What the value of a key must look like."""

    text: str
    fits: Callable[[Any], bool]


_NAME = _Shape("a name", lambda v: isinstance(v, str))
_AMOUNTS = _Shape("a table of numbers by commodity", _is_table)
_PRICES = _Shape(
    "a table {criterion = {commodity = number}}", lambda v: isinstance(v, dict) and all(map(_is_table, v.values()))
)
#: Shape of every key of an arc in a file.
_SHAPES = {
    "tail": _NAME,
    "head": _NAME,
    "name": _NAME,
    "events": _Shape("a list of tables", _is_list_of(lambda v: isinstance(v, dict))),
    "takes": _Shape("a table {commodity = {other = number}}", _PRICES.fits),
    "concurrency_out": _Shape("a list of tables of numbers by commodity", _is_list_of(_is_table)),
    "concurrency_in": _Shape("a list of tables of numbers by commodity", _is_list_of(_is_table)),
    "carries": _Shape("a list of commodities", _is_list_of(lambda v: isinstance(v, str))),
    "bundles": _Shape(
        "a list of tables {limit = number, weights = {commodity = number}}",
        _is_list_of(lambda v: isinstance(v, dict) and is_number(v.get("limit")) and _is_table(v.get("weights", {}))),
    ),
    "scales": _Shape(
        "a list of tables {criterion, commodity, of, sizes = numbers, costs = numbers, fixed = number}",
        _is_list_of(lambda v: isinstance(v, dict)),
    ),
    "whole": _Shape("a list of commodities", _is_list_of(lambda v: isinstance(v, str))),
    **dict.fromkeys(("capacity", "limit", "lower", "expansion"), _AMOUNTS),
    **dict.fromkeys(COST_KINDS, _PRICES),
    "duration": _Shape("a number", is_number),
}


def _shape_of(annotation: str) -> _Shape:
    """Shape of a field of an event, by its type."""
    if annotation.startswith("Mapping"):
        return _PRICES if "Mapping[str, Mapping" in annotation else _AMOUNTS
    return _NAME if annotation.startswith("str") else _Shape("a number", is_number)


#: Shape of every field of the events, and which of them are text.
_EVENT_SHAPES = {
    name: {key: _shape_of(str(field.annotation)) for key, field in inspect.signature(event).parameters.items()}
    for name, event in EVENTS.items()
}
_EVENT_TEXTS = {
    name: {key for key, shape in shapes.items() if shape is _NAME} for name, shapes in _EVENT_SHAPES.items()
}


def load_network(source: str | Path, parameters: Mapping[str, float] | None = None) -> Network:
    """Read a network from a TOML file or a folder with ``network.toml``: that of one step where it has a ``[time]``.

    Parameters
    ----------
    parameters
        Numbers that take the place of parameters of the file, by name.

    Raises
    ------
    InputError
        If a file is missing or malformed, or what it says is inconsistent; the message names file and field.
    """
    folder, file = _located(source)
    return _network(_read(file, source), folder, file, parameters or {})


def load_over_time(source: str | Path, parameters: Mapping[str, float] | None = None) -> TimeExpandedNetwork | None:
    """Read a network with a table ``[time]`` and expand it; None where the file has no such table.

    ``parameters`` are those of `load_network`.

    Raises
    ------
    InputError
        As `load_network`, and for steps, windows and supplies that do not fit the network.
    """
    folder, file = _located(source)
    data = _read(file, source)
    if "time" not in data:
        return None
    schedule = read_schedule(data["time"], f"{file.name}: time")
    try:
        return expand(_network(data, folder, file, parameters or {}), **schedule)
    except InputError as error:
        text = str(error)
        raise InputError(text if text.startswith(f"{file.name}:") else f"{file.name}: time: {text}") from error


def _located(source: str | Path) -> tuple[Path | None, Path]:
    """The folder of a network, if it is one, and its TOML file."""
    path = Path(source)
    return (path, path / "network.toml") if path.is_dir() else (None, path)


def _read(file: Path, source: str | Path) -> dict[str, Any]:
    try:
        return toml_tables(read_text(file), f"{file.name}:")
    except OSError as error:
        raise InputError(
            f"network: must be a TOML file or a folder with network.toml, got {source} ({error.strerror})"
        ) from error


def _network(data: dict[str, Any], folder: Path | None, file: Path, parameters: Mapping[str, float]) -> Network:
    known = {"name", "commodities", "criteria", "parameters", "nodes", "places", "arcs", "time"}
    if unknown := set(data) - known:
        raise InputError(f"{file.name}: unknown key {min(unknown)!r}")
    for table in ("commodities", "criteria"):
        if not isinstance(data.get(table), dict) or not all(isinstance(u, str) for u in data[table].values()):
            raise InputError(f"{file.name}: {table}: must be a table of units by name, got {data.get(table)!r}")
    for key, kind, words in (
        ("nodes", dict, "a table of nodes by name"),
        ("arcs", list, "a list of tables [[arcs]]"),
        ("places", list, "a list of tables [[places]]"),
        ("parameters", dict, "a table of numbers by name"),
    ):
        if not isinstance(data.get(key, kind()), kind):
            raise InputError(f"{file.name}: {key}: must be {words}, got {data[key]!r}")
    builder = NetworkBuilder(str(data.get("name", (folder or file).stem)), data["commodities"], data["criteria"])
    tables = {name: read_table(folder / name) if folder else [] for name in COLUMNS}
    names = with_parameters(_given_parameters(data, folder, file.name), parameters, file.name)
    commodities = list(builder.commodities)
    supplies = _given_nodes(data.get("nodes", {}), commodities, names, file.name)
    places: dict[str, Mapping[str, Any]] = {}
    for number, place in enumerate(data.get("places", [])):
        for member, name, supply in _placed(place, folder, names, commodities, f"{file.name}: places[{number}]"):
            if name in supplies:
                raise InputError(f"{member.where}: name: must be a node of its own, got {name!r} twice")
            supplies[name], places[name] = supply, member.names
    supplies |= listed_nodes(tables["nodes.csv"], commodities, supplies, file.name)
    for name, supply in supplies.items():
        try:
            builder.node(name, supply)
        except InputError as error:
            raise InputError(f"{file.name}: nodes.{name}: {error}") from error
    for number, described in enumerate(data.get("arcs", [])):
        where = f"{file.name}: arcs[{number}]"
        _check_keys(described, _ARC_KEYS, where)
        for member in members(described, folder, names, where):
            for arc in arcs_of(member, described, commodities, places, _EVENT_TEXTS):
                arguments = _arc_arguments(arc, member.where)
                try:
                    builder.arc(**arguments)
                except InputError as error:
                    raise InputError(f"{member.where}: {error}") from error
    add_listed_arcs(builder, list(supplies), tables["arcs.csv"], tables["costs.csv"])
    try:
        return builder.build()
    except InputError as error:
        raise InputError(f"{file.name}: {error}") from error


def require_static(network: Network, source: str | Path) -> None:
    """Refuse arcs that take time, which a static network would pass over in silence.

    Raises
    ------
    InputError
        If an arc has a duration; the message names it and says what to do.
    """
    slow = next((a for a in range(network.n_arcs) if network.duration[a] > 0), None)
    if slow is not None:
        raise InputError(
            f"{Path(source).name}: arc {network.arcs[slow]!r}: duration: must be 0 or left out in a static network, "
            f"got {network.duration[slow]:g}; a table [time] with its steps makes it a network over time"
        )


def _given_parameters(data: Mapping[str, Any], folder: Path | None, file: str) -> dict[str, Any]:
    """Parameters of ``parameters.csv`` and then of the TOML file, as they are written."""
    listed: dict[str, Any] = {}
    if folder is not None and (folder / PARAMETERS).exists():
        for row in read_rows(folder / PARAMETERS, ("name", "value"), more=True):
            if row.name("name") in listed:
                raise InputError(f"{row.where('name')}: must be a name of its own, got {row['name']!r} twice")
            listed[row["name"]] = row.number("value")
    for name in data.get("parameters", {}):
        if name in listed:
            raise InputError(f"{file}: parameters.{name}: is in {PARAMETERS} as well; keep one of the two")
    return {**listed, **data.get("parameters", {})}


def _given_nodes(
    given: Mapping[str, Any], commodities: Sequence[str], names: Mapping[str, float], file: str
) -> dict[str, dict[str, float]]:
    supplies: dict[str, dict[str, float]] = {}
    for name, table in given.items():
        supplies[name] = _supply(Member(names, {}, f"{file}: nodes.{name}"), table, commodities)
    return supplies


def _supply(node: Member, table: Any, commodities: Sequence[str]) -> dict[str, float]:
    if not isinstance(table, dict):
        raise InputError(f"{node.where}: must be a table of supplies by commodity, got {table!r}")
    return {c: _number(v, f"{node.where}.{c}") for c, v in node.amounts(table, commodities).items()}


def _placed(
    place: Any, folder: Path | None, names: Mapping[str, float], commodities: Sequence[str], where: str
) -> Iterator[tuple[Member, str, dict[str, float]]]:
    """Nodes of a description with rows: what formulas know of them, name, supply."""
    _check_keys(place, {"name", "supply"}, where)
    for row in members(place, folder, names, where):
        member = row.with_names(place.get("let", {}))
        name = member.text(place.get("name"), "name")
        if not isinstance(name, str) or not name:
            raise InputError(f"{member.where}: name: must be the name of a node, got {name!r}")
        yield member, name, _supply(member, place.get("supply", {}), commodities)


def _check_keys(described: Any, keys: Set[str], where: str) -> None:
    if not isinstance(described, dict):
        raise InputError(f"{where}: must be a table, got {described!r}")
    if unknown := set(described) - keys - set(KEYS):
        raise InputError(f"{where}: unknown key {min(unknown)!r}; known are {', '.join(sorted({*keys, *KEYS}))}")


def _arc_arguments(arc: dict[str, Any], where: str) -> dict[str, Any]:
    for key in ("tail", "head"):
        if not isinstance(arc.get(key), str):
            raise InputError(f"{where}: {key}: must be the name of a node, got {arc.get(key)!r}")
    for key, value in arc.items():
        wanted = _SHAPES[key]
        if not wanted.fits(value):
            raise InputError(f"{where}: {key}: must be {wanted.text}, got {value!r}")
    events = [_event(e, f"{where}.events") for e in arc.get("events", [])]
    found = {**_numbers(arc, where), "events": events}
    if "scales" in found:
        found["scales"] = [_scale(s, f"{where}.scales") for s in found["scales"]]
    if "bundles" in found:
        found["bundles"] = [_bundle(b, f"{where}.bundles") for b in found["bundles"]]
    return found


def _scale(table: dict[str, Any], where: str) -> ArcScale:
    known = ("criterion", "commodity", "of", "sizes", "costs", "fixed")
    if unknown := set(table) - set(known):
        raise InputError(f"{where}: unknown key {min(unknown)!r}; known are {', '.join(known)}")
    for key in ("criterion", "commodity", "sizes", "costs"):
        wanted, fits = ("a list of numbers", list) if key in ("sizes", "costs") else ("a name", str)
        if not isinstance(table.get(key), fits):
            raise InputError(f"{where}.{key}: must be {wanted}, got {table.get(key)!r}")
    try:
        curve = Curve(table["sizes"], table["costs"], fixed=table.get("fixed", 0.0))
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    return ArcScale(table["criterion"], table["commodity"], curve, table.get("of", "expansion"))


def _bundle(table: dict[str, Any], where: str) -> Bundle:
    if unknown := set(table) - {"limit", "weights"}:
        raise InputError(f"{where}: unknown key {min(unknown)!r}; known are limit, weights")
    return Bundle(**table)


def _numbers(value: Any, where: str) -> Any:
    """The value with every number checked and made a float."""
    if isinstance(value, dict):
        return {k: _numbers(v, f"{where}.{k}") for k, v in value.items()}
    if isinstance(value, list):
        return [_numbers(v, where) for v in value]
    return value if isinstance(value, str) else _number(value, where)


def _event(table: Any, where: str) -> Event:
    if not isinstance(table, dict) or "event" not in table:
        raise InputError(f"{where}: must be tables with the key 'event', got {table!r}")
    name = table["event"]
    position(list(EVENTS), name, f"{where}: event")
    fields = _numbers({k: v for k, v in table.items() if k != "event"}, where)
    wanted = _EVENT_SHAPES[name]
    try:
        event: Event = EVENTS[name](**fields)
    except TypeError as error:
        raise InputError(
            f"{where}: {name}: must have the fields {', '.join(wanted)}, got {', '.join(fields)}"
        ) from error
    for key, value in fields.items():
        if not wanted[key].fits(value):
            raise InputError(f"{where}: {name}: {key}: must be {wanted[key].text}, got {table[key]!r}")
    return event


def _number(value: Any, where: str) -> float:
    if not is_number(value) or math.isnan(value):
        raise InputError(f"{where}: must be a number, got {value!r}")
    return float(value)
