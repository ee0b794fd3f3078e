"""The table ``[time]`` of a network file: steps, and when demands, supplies and departures are.

::

    [time]
    steps = 4
    demand_steps = [3]              # when the demands of [nodes] are made
    supply_steps = [0, 1]           # when its supplies are there; always if left out
    windows = { "earth→moon" = [0, 2] }             # when an arc may leave; always if not named
    nodes.base.oxygen = [0, -5, -5, -5]             # supply (> 0) or demand (< 0) of every step instead

Durations of arcs count steps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypedDict

from scenario_trees.errors import is_integer, is_number
from stochisru.errors import InputError


class TimeSteps(TypedDict):
    """The arguments of `stochisru.networks.expand` beside the network."""

    steps: int
    demand_steps: list[int]
    supply_steps: list[int] | None
    windows: dict[str, list[int]]
    supplies: dict[tuple[str, str], list[float]]


_KEYS = ("steps", "demand_steps", "supply_steps", "windows", "nodes")


def read_schedule(table: Any, where: str) -> TimeSteps:
    """The schedule in a table ``[time]``; ``where`` names it in messages.

    Raises
    ------
    InputError
        If a key is unknown or missing, or a value has the wrong form.
    """
    _require(isinstance(table, dict), where, "a table", table)
    if unknown := set(table) - set(_KEYS):
        raise InputError(f"{where}: unknown key {min(unknown)!r}; known are {', '.join(_KEYS)}")
    steps = table.get("steps")
    _require(is_integer(steps) and steps >= 1, f"{where}.steps", "a whole number >= 1", steps)
    windows, nodes = table.get("windows", {}), table.get("nodes", {})
    _require(isinstance(windows, dict), f"{where}.windows", "a table of steps by arc", windows)
    _require(
        isinstance(nodes, dict) and all(isinstance(v, dict) for v in nodes.values()),
        f"{where}.nodes", "a table {node = {commodity = numbers}}", nodes,
    )  # fmt: skip
    supplies = {
        (node, commodity): _list(amounts, f"{where}.nodes.{node}.{commodity}", _is_number, "numbers")
        for node, goods in nodes.items()
        for commodity, amounts in goods.items()
    }
    return TimeSteps(
        steps=steps,
        demand_steps=_steps(table.get("demand_steps", []), f"{where}.demand_steps"),
        supply_steps=_steps(table["supply_steps"], f"{where}.supply_steps") if "supply_steps" in table else None,
        windows={arc: _steps(value, f"{where}.windows.{arc}") for arc, value in windows.items()},
        supplies=supplies,
    )


def _steps(value: Any, where: str) -> list[int]:
    return _list(value, where, is_integer, "whole numbers")


def _list(value: Any, where: str, fits: Callable[[Any], bool], words: str) -> list[Any]:
    _require(isinstance(value, list) and all(map(fits, value)), where, f"a list of {words}", value)
    return list(value)


def _is_number(value: Any) -> bool:
    return is_number(value) and bool(value == value)


def _require(holds: bool, where: str, wanted: str, got: Any) -> None:
    if not holds:
        raise InputError(f"{where}: must be {wanted}, got {got!r}")
