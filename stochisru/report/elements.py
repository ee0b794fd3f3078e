"""Pieces that every page is made of: tables, figures inside the page, numbers, the page itself."""

from __future__ import annotations

import base64
import hashlib
import html
import io
import json
import math
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import TYPE_CHECKING, Any

from stochisru.backend import matplotlib
from stochisru.files import FILES
from stochisru.report.canvas import DARK, LIGHT
from stochisru.report.chart import SLIM, Chart

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

#: Bytes of a table above which the page names its file instead of holding it.
_HELD = 60_000


def inline(figure: Figure | Chart, caption: str, name: str = "") -> str:
    """A figure with its caption inside the page; a chart at the width of a page and at that of a telephone.

    Parameters
    ----------
    name
        By which the page's script finds a chart.
    """
    text = html.escape(caption)
    under = f"<figcaption>{text}</figcaption>" if caption else ""
    if isinstance(figure, Chart):
        wide, slim = figure.svg(name=name), figure.svg(SLIM, name=name)
        kind = "half" if figure.width < 600 else "full"
        both = f'<div class="wide-svg">{wide}</div><div class="slim-svg">{slim}</div>'
        return f'<figure class="{kind}">{both}{under}</figure>'
    mpl = matplotlib()
    buffer = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "stochisru", "svg.fonttype": "path"}):  # the same bytes every time
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<figure><img alt="{text}" src="data:image/svg+xml;base64,{data}">{under}</figure>'


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


def significant(value: float, digits: int = 3) -> str:
    """A number with so many digits that count, thousands separated, never as a power of ten."""
    if not math.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    kept = float(f"{value:.{digits - 1}e}")  # 99.96 is 100, which has a digit more in front
    after = digits - 1 - math.floor(math.log10(abs(kept)))
    return f"{kept:,.{max(0, after)}f}".replace("-", "−")


def by_error(value: float, error: float, digits: int = 4) -> str:
    """A number with the digits that its error lets it have, at most ``digits`` of them."""
    if not math.isfinite(value):
        return "–"
    most = 0 if value == 0 else digits - 1 - math.floor(math.log10(abs(float(f"{value:.{digits - 1}e}"))))
    known = most if not (math.isfinite(error) and error > 0) else -math.floor(math.log10(error))
    after = min(most, known)
    return f"{round(value, after) + 0.0:,.{max(0, after)}f}".replace("-", "−")


def dollars(value: float, digits: int = 3) -> str:
    """An amount in words: $, $ million or $ billion."""
    if value == 0:
        return "$0"
    sign = "−" if value < 0 else ""
    size = abs(value)
    if size < 1e5:
        return f"{sign}${significant(size, digits)}"
    scale, unit = (1e9, "billion") if size >= 1e10 else (1e6, "million")
    return f"{sign}${significant(size / scale, digits)} {unit}"


def table(
    head: list[str],
    rows: list[list[str]],
    numeric: bool = True,
    caption: str = "",
    values: Sequence[Sequence[float]] = (),
) -> str:
    """HTML table; cells are already HTML.

    Parameters
    ----------
    values
        Numbers of the cells beside the first of each row: then the page's script lets readers sort by columns.
    """
    title = f"<caption>{html.escape(caption)}</caption>" if caption else ""
    heads = "".join(f'<th scope="col">{html.escape(h)}</th>' for h in head)
    body = ""
    for i, row in enumerate(rows):
        told = [f' data-v="{v:.9g}"' for v in values[i]] if values else [""] * (len(row) - 1)
        cells = "".join(f"<td{v}>{c}</td>" for v, c in zip(told, row[1:], strict=True))
        body += f'<tr><th scope="row">{row[0]}</th>{cells}</tr>'
    kind = "numbers" if numeric else "words"
    kind += " sortable" if values else ""
    inside = f"{title}<thead><tr>{heads}</tr></thead><tbody>{body}</tbody>"
    name = html.escape(caption or head[0])
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{name}"><table class="{kind}">{inside}</table></div>'
    )


def fact(value: Any) -> str:
    """An entry of a manifest as text."""
    if isinstance(value, dict):
        return ", ".join(f"{k} {v}" for k, v in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value)


def data_block(name: str, data: Any) -> str:
    """Numbers for the page's script, which no browser runs."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    return f'<script type="application/json" id="{name}">{text}</script>'


def download(name: str, frame: pd.DataFrame) -> str:
    """A link that saves a table as CSV from inside the page, or names its file where it is large."""
    from stochisru.studies.folder import guarded

    rows, columns = frame.shape
    said = f"{html.escape(name)}.csv"
    size = f"{rows:,} rows, {columns} columns"
    if rows * columns * 8 < _HELD:
        text = guarded(frame).to_csv(index=False)
        if len(text) <= _HELD:
            data = base64.b64encode(text.encode()).decode()
            return f'<li><a download="{said}" href="data:text/csv;base64,{data}">{said}</a> ({size})</li>'
    return f"<li><code>tables/{said}</code> ({size}; in the folder)</li>"


def fold(title: str, body: str, name: str = "") -> str:
    """Something that is opened when wanted."""
    at = f' id="{name}"' if name else ""
    return f"<details{at}><summary>{html.escape(title)}</summary>\n{body}\n</details>"


def contents(body: str) -> str:
    """The list of sections of a page, from its headings of the second rank."""
    found = re.findall(r'<h2 id="([^"]+)">(.*?)</h2>', body)
    items = "".join(f'<li><a href="#{name}">{title}</a></li>' for name, title in found)
    return f'<nav class="contents" aria-label="Contents"><ul>{items}</ul></nav>' if len(found) > 1 else ""


def _colors(colors: Mapping[str, str]) -> str:
    return "".join(f"--{name}:{color};" for name, color in colors.items())


def _style() -> str:
    sheet = (resources.files("stochisru.report") / "page.css").read_text(encoding="utf-8")
    classes = "".join(f".l-{n}{{stroke:var(--{n})}}.f-{n}{{fill:var(--{n})}}" for n in LIGHT)
    dark = f"@media screen and (prefers-color-scheme:dark){{:root{{{_colors(DARK)}}}}}"
    return f":root{{{_colors(LIGHT)}}}\n{dark}\n{classes}\n{sheet}"


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def whole_page(title: str, body: str, scripted: bool = False) -> str:
    """A whole self-contained page: nothing is fetched, and no script runs but, where asked for, our own.

    Its policy names the style sheet and the script by their hashes, so that nothing else runs, whatever a case says.
    """
    style = _style()
    code = (resources.files("stochisru.report") / "page.js").read_text(encoding="utf-8") if scripted else ""
    policy = (
        f"default-src 'none'; style-src 'sha256-{_hash(style)}'; img-src data:; base-uri 'none'; form-action 'none'"
    )
    policy += f"; script-src 'sha256-{_hash(code)}'" if scripted else ""
    run = f"<script>{code}</script>\n" if scripted else ""
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(title)}</title>
<style>{style}</style>
</head>
<body>
<main>
{body}
</main>
{run}</body>
</html>
"""


def manifest_table(manifest: dict[str, Any]) -> str:
    """How the page was made; digests of files say nothing to a reader."""
    facts = [[html.escape(k), html.escape(fact(v))] for k, v in manifest.items() if k != FILES]
    return table(["item", "value"], facts, numeric=False, caption="Manifest")
