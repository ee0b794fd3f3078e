"""How results stand in a console and a notebook: one short line, and a table with its first rows."""

from __future__ import annotations

import html
from typing import Any

#: Rows of a table that are shown, half from each end.
ROWS = 20


def as_html(shown: Any) -> str:
    """What an object says of itself and the table that it is, for a notebook.

    A long table is shown by its ends.
    """
    text = f"<p>{html.escape(repr(shown))}</p>"
    if hasattr(shown, "to_frame"):
        frame = shown.to_frame()
    elif hasattr(shown, "first_stage"):
        import pandas as pd

        frame = pd.Series(shown.first_stage, name="decided at the root").to_frame()
    else:
        return text
    more = f"<p>{len(frame):,} rows; to_frame() has all</p>" if len(frame) > ROWS else ""
    table = frame.to_html(max_rows=ROWS, na_rep="–", float_format=_number)
    return f"{text}{table}{more}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


class Shown:
    """A result that a notebook shows as its `repr` and its table."""

    def _repr_html_(self) -> str:
        return as_html(self)


class PlanShown(Shown):
    """A plan: its repr is what it is of and what it decides first, its table is its own."""

    def __repr__(self) -> str:
        plan: Any = self
        size = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in plan.size.items())
        first = ", ".join(f"{name} {amount:,.4g}" for name, amount in list(plan.first_stage.items())[:4])
        more = ", …" if len(plan.first_stage) > 4 else ""
        return f"{type(self).__name__}({plan.case.name}: {size}; at the root {first}{more})"
