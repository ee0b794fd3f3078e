"""What commands of networks share."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from stochisru.methods.result import Bounds

GapOpt = Annotated[float, typer.Option("--rel-gap", help="Relative gap at which to stop.")]
TimeOpt = Annotated[float, typer.Option("--time-limit", help="Seconds for each program.")]


def bracket(bounds: Bounds, unit: str, digits: int) -> str:
    """A bracket in words: its ends, gap, and what stands behind it."""
    space = f" {unit}" if unit else ""
    if not math.isfinite(bounds.lower):
        return f"at most {bounds.upper:,.{digits}f}{space}; no bound from below is proven (flows without a limit)"
    bracket = f"[{bounds.lower:,.{digits}f}, {bounds.upper:,.{digits}f}]{space}, gap {bounds.gap:.2g}"
    return f"bounds {bracket}, certified" if bounds.certified else f"bounds of the solver {bracket}"
