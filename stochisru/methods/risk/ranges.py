"""What numbers of measures may be."""

from __future__ import annotations

import math

from scenario_trees.errors import is_number
from stochisru.errors import InputError


def require_size(name: str, size: float) -> None:
    """Raise `InputError` unless it is a finite number ≥ 0."""
    if not is_number(size) or not math.isfinite(size) or size < 0:
        raise InputError(f"{name}: must be a finite number >= 0, got {size!r}")
