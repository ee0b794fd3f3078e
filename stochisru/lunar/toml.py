"""Text of case files."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any


def toml_string(text: str) -> str:
    """A TOML basic string: JSON's escapes are a subset of TOML's."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def toml_value(value: Any) -> str:
    """A TOML value, on one line."""
    if isinstance(value, str):
        return toml_string(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(map(toml_value, value)) + "]"
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{toml_key(k)} = {toml_value(v)}" for k, v in value.items()) + " }"
    return repr(value)


def toml_key(key: str) -> str:
    """A TOML key: bare where it may be."""
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else toml_string(key)


def to_toml(data: Mapping[str, Any]) -> str:
    """Text of nested tables: one head per table and per entry of a list of tables, what is inside on one line."""
    lines = [f"{toml_key(k)} = {toml_value(v)}" for k, v in data.items() if not _is_table(v)]
    for name, table in data.items():
        if not _is_table(table):
            continue
        several = not isinstance(table, Mapping)
        for each in table if several else [table]:
            head = toml_key(name)
            lines += ["", f"[[{head}]]" if several else f"[{head}]"]
            lines += [f"{toml_key(k)} = {toml_value(v)}" for k, v in each.items()]
    return "\n".join(lines) + "\n"


def _is_table(value: Any) -> bool:
    tables = isinstance(value, (list, tuple)) and len(value) > 0 and all(isinstance(each, Mapping) for each in value)
    return isinstance(value, Mapping) or tables
