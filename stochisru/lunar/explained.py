"""What is wrong with a case file, in one line."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from stochisru.lunar.parts import Part

_RANGE = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<", "min_length": "length >=", "max_length": "length <="}
_LIMITS = {"greater_than_equal": "ge", "greater_than": "gt", "less_than_equal": "le", "less_than": "lt"}


_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 100


def _field_range(location: tuple[Any, ...], parts: Mapping[str, type[Part]]) -> str:
    """Allowed range of a symbol, from the metadata of its field."""
    model = parts.get(str(location[0])) if location else None
    info = model.model_fields.get(str(location[1])) if model and len(location) > 1 else None
    if info is None:
        return ""
    metadata = list(info.metadata)
    for argument in getattr(info.annotation, "__args__", ()):
        for note in getattr(argument, "__metadata__", ()):
            metadata.extend(getattr(note, "metadata", ()))
    limits = [f"{sign} {getattr(m, key):g}" for m in metadata for key, sign in _RANGE.items() if hasattr(m, key)]
    kind = "an integer" if info.annotation is int else "a finite number"
    return f"{kind} {' and '.join(limits)}".strip()


def explained(error: ValidationError, parts: Mapping[str, type[Part]]) -> str:
    """All problems of a case on one line: field, what is allowed, what was given."""
    problems = []
    for item in error.errors():
        where = ".".join(str(x) for x in item["loc"]) or "case"
        kind = item["type"]
        if where == "name":
            given = item.get("input")
            problems.append(
                f"name: must be 1 to 100 characters without slashes, not beginning with a dot, got {_SHORT.repr(given)}"
            )
        elif kind == "extra_forbidden":
            problems.append(f"{where}: unknown key")
        elif kind == "missing":
            problems.append(f"{where}: missing")
        elif kind == "value_error":
            # what is wrong with the whole names its table itself
            problems.append(f"{where}.{item['ctx']['error']}" if item["loc"] else str(item["ctx"]["error"]))
        elif kind in ("model_type", "model_attributes_type"):
            problems.append(f"{where}: must be a table, got {_SHORT.repr(item['input'])}")
        elif kind == "tuple_type":
            problems.append(f"{where}: must be a list of tables, [[{where}]], got {_SHORT.repr(item['input'])}")
        elif kind in ("literal_error", "union_tag_invalid", "union_tag_not_found"):
            allowed = item.get("ctx", {}).get("expected") or item.get("ctx", {}).get("expected_tags", "")
            problems.append(f"{where}: must be one of {allowed}, got {_SHORT.repr(item['input'])}")
        elif kind == "too_large":
            problems.append(f"{where}: {item['msg']}, got {_SHORT.repr(item['input'])}")
        elif len(item["loc"]) == 2 and (allowed := _field_range(item["loc"], parts)):
            problems.append(f"{where}: must be {allowed}, got {_SHORT.repr(item['input'])}")
        elif kind in _LIMITS:
            limit = _LIMITS[kind]
            problems.append(
                f"{where}: must be {_RANGE[limit]} {item['ctx'][limit]:g}, got {_SHORT.repr(item['input'])}"
            )
        else:
            problems.append(f"{where}: {item['msg']}, got {_SHORT.repr(item['input'])}")
    return "; ".join(dict.fromkeys(problems))
