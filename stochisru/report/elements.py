"""Pieces that every page is made of: tables, figures inside the page, numbers, the page itself."""

from __future__ import annotations

import base64
import html
import io
from importlib import resources
from typing import TYPE_CHECKING, Any

from stochisru.files import FILES
from stochisru.report.style import matplotlib

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def inline(figure: Figure, caption: str) -> str:
    """A figure with its caption, the picture inside the page."""
    mpl = matplotlib()
    buffer = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "stochisru", "svg.fonttype": "path"}):  # the same bytes every time
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    data = base64.b64encode(buffer.getvalue()).decode()
    text = html.escape(caption)
    return f'<figure><img alt="{text}" src="data:image/svg+xml;base64,{data}"><figcaption>{text}</figcaption></figure>'


def number(value: Any, unit: str = "") -> str:
    """A number as a reader wants it: money in millions, shares in per cent."""
    if value is None or value != value:
        return "–"
    if unit == "$":
        scaled = value / 1e6 if abs(value) >= 0.5 else 0.0  # less is rounding
        if 0 < abs(scaled) < 0.01:
            return f"{scaled:.2g}"
        digits = 1 if abs(scaled) >= 100 else 2 if abs(scaled) >= 1 else 4
        return f"{scaled:,.{digits}f}"
    if unit == "%":
        return f"{value:.1%}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def table(head: list[str], rows: list[list[str]], numeric: bool = True, caption: str = "") -> str:
    """HTML table; cells are already HTML."""
    title = f"<caption>{html.escape(caption)}</caption>" if caption else ""
    heads = "".join(f'<th scope="col">{html.escape(h)}</th>' for h in head)
    body = "".join(
        "<tr>" + f'<th scope="row">{r[0]}</th>' + "".join(f"<td>{c}</td>" for c in r[1:]) + "</tr>" for r in rows
    )
    kind = "numbers" if numeric else "words"
    inside = f"{title}<thead><tr>{heads}</tr></thead><tbody>{body}</tbody>"
    return f'<div class="wide"><table class="{kind}">{inside}</table></div>'


def fact(value: Any) -> str:
    """An entry of a manifest as text."""
    if isinstance(value, dict):
        return ", ".join(f"{k} {v}" for k, v in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value)


def whole_page(title: str, body: str) -> str:
    """A whole self-contained page: no script, no network."""
    style = (resources.files("stochisru.report") / "page.css").read_text(encoding="utf-8")
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(title)}</title>
<style>
{style}</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""


def manifest_table(manifest: dict[str, Any]) -> str:
    """How the page was made; digests of files say nothing to a reader."""
    facts = [[html.escape(k), html.escape(fact(v))] for k, v in manifest.items() if k != FILES]
    return table(["item", "value"], facts, numeric=False, caption="Manifest")
