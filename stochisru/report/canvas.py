"""Where a chart is drawn: SVG text for pages and files, matplotlib's artists for PNG and PDF.

Both take the same strokes in pixels of 1/96 inch, y downwards, so that page and paper show one picture. Colours are
names; a page gives them their values by its style sheet, for light and dark.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from scenario_trees.arrays import Array
from stochisru.backend import matplotlib

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Colours of series on white: each at least 3 : 1 against it, and told apart by lightness or dash in deuteranopia.
LIGHT = {
    "s0": "#005a9c",
    "s1": "#b84a00",
    "s2": "#00785a",
    "s3": "#a2457c",
    "s4": "#7d6300",
    "s5": "#3a86b8",
    "s6": "#4a4f57",
    "s7": "#7b57a8",
    "fg": "#1c2430",
    "muted": "#55606e",
    "line": "#d8dde5",
    "bg": "#ffffff",
}
#: The same on a dark ground.
DARK = {
    "s0": "#6bb8f0",
    "s1": "#f0904a",
    "s2": "#3cc49a",
    "s3": "#e79cc8",
    "s4": "#d8b53c",
    "s5": "#9ad4f7",
    "s6": "#b9c1cc",
    "s7": "#bfa2ea",
    "fg": "#e6eaf0",
    "muted": "#a2adba",
    "line": "#38414d",
    "bg": "#12161c",
}
#: Series colours, in the order of use.
SERIES = tuple(name for name in LIGHT if name.startswith("s"))
#: Dashes of series but the first, pixels, so that lines differ without colour too; their number and that of the colours
#: have no common factor, so that no pair returns early.
DASHES: tuple[tuple[float, ...], ...] = ((7, 3), (2, 3), (9, 3, 2, 3), (12, 4), (4, 2), (9, 3, 2, 3, 2, 3))
#: Size of text, pixels.
TEXT = 12.5
_NARROW = set(" .,:;ilIjtfr|()'[]!1-")
_WIDE = set("mwMWQG%@—ΣΔ")


def text_width(text: str, size: float = TEXT, bold: bool = False) -> float:
    """Width of a text, pixels, from above: letters of the fonts in use are no wider on average."""
    units = sum(0.36 if c in _NARROW else 0.86 if c in _WIDE else 1.0 if ord(c) > 0x2E80 else 0.61 for c in text)
    return size * units * (1.09 if bold else 1.0)


class Canvas(Protocol):
    """Takes strokes."""

    def path(
        self, points: Array, color: str, *, width: float = 1.0, dash: Sequence[float] = (), opacity: float = 1.0
    ) -> None:
        """A line through points, shape ``(n, 2)``; NaN breaks it."""

    def area(self, points: Array, color: str, *, opacity: float = 1.0) -> None:
        """A filled polygon."""

    def dot(self, x: float, y: float, radius: float, color: str, *, hollow: bool = False) -> None:
        """A disc, or a ring."""

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        color: str = "fg",
        anchor: str = "start",
        size: float = TEXT,
        bold: bool = False,
        halo: bool = False,
        turned: bool = False,
    ) -> None:
        """A text with its base line at y; ``turned`` reads upwards."""

    def open(self, kind: str, **data: str) -> None:
        """Begin a group, which scripts of a page find by its class and data."""

    def close(self) -> None:
        """End a group."""


class SvgCanvas:
    """SVG text."""

    def __init__(self) -> None:
        self._parts: list[str] = []

    def path(
        self, points: Array, color: str, *, width: float = 1.0, dash: Sequence[float] = (), opacity: float = 1.0
    ) -> None:
        """A line."""
        said, pen = [], "M"
        for x, y in points.tolist():
            if x != x or y != y:
                pen = "M"
                continue
            said.append(f"{pen}{x:.1f} {y:.1f}")
            pen = "L"
        dashes = f' stroke-dasharray="{" ".join(f"{d:g}" for d in dash)}"' if dash else ""
        through = f' opacity="{opacity:g}"' if opacity < 1 else ""
        self._parts.append(
            f'<path class="l-{color}" d="{"".join(said)}" fill="none" stroke-width="{width:g}"{dashes}{through}/>'
        )

    def area(self, points: Array, color: str, *, opacity: float = 1.0) -> None:
        """A polygon."""
        said = "L".join(f"{x:.1f} {y:.1f}" for x, y in points.tolist())
        self._parts.append(f'<path class="f-{color}" d="M{said}Z" fill-opacity="{opacity:g}"/>')

    def dot(self, x: float, y: float, radius: float, color: str, *, hollow: bool = False) -> None:
        """A disc."""
        kind = f'class="l-{color} f-bg" stroke-width="1.6"' if hollow else f'class="f-{color}"'
        self._parts.append(f'<circle {kind} cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}"/>')

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        color: str = "fg",
        anchor: str = "start",
        size: float = TEXT,
        bold: bool = False,
        halo: bool = False,
        turned: bool = False,
    ) -> None:
        """A text."""
        more = f' text-anchor="{anchor}"' if anchor != "start" else ""
        more += f' font-size="{size:g}"' if size != TEXT else ""
        more += ' font-weight="700"' if bold else ""
        more += f' transform="rotate(-90 {x:.1f} {y:.1f})"' if turned else ""
        kind = f"f-{color} halo" if halo else f"f-{color}"
        self._parts.append(f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}"{more}>{html.escape(text)}</text>')

    def open(self, kind: str, **data: str) -> None:
        """Begin a group."""
        told = "".join(f' data-{name}="{html.escape(value)}"' for name, value in data.items())
        self._parts.append(f'<g class="{kind}"{told}>')

    def close(self) -> None:
        """End a group."""
        self._parts.append("</g>")

    def body(self) -> str:
        """What was drawn."""
        return "".join(self._parts)


def svg_colors(colors: Mapping[str, str]) -> str:
    """Style of the classes that `SvgCanvas` uses, with fixed colours: for a file that stands alone."""
    rules = [f".l-{n}{{stroke:{c}}}.f-{n}{{fill:{c}}}" for n, c in colors.items()]
    return "".join(rules) + f".halo{{paint-order:stroke;stroke:{colors['bg']};stroke-width:3px;stroke-linejoin:round}}"


class PaperCanvas:
    """Artists of a matplotlib figure without axes."""

    def __init__(self, width: float, height: float) -> None:
        matplotlib()
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.transforms import Affine2D

        self.figure: Figure = Figure(figsize=(width / 96, height / 96), facecolor=LIGHT["bg"])
        FigureCanvasAgg(self.figure)
        self._pixels = Affine2D().scale(1 / 96, -1 / 96).translate(0, height / 96) + self.figure.dpi_scale_trans

    def _add(self, artist: Any) -> None:
        artist.set_transform(self._pixels)
        self.figure.add_artist(artist, clip=False)

    def path(
        self, points: Array, color: str, *, width: float = 1.0, dash: Sequence[float] = (), opacity: float = 1.0
    ) -> None:
        """A line."""
        from matplotlib.lines import Line2D

        points_wide = width * 0.75  # pixels of 1/96 inch to points
        style: Any = (0, [d * 0.75 / points_wide for d in dash]) if dash else "-"
        x, y = points.T
        line = Line2D(x, y, color=LIGHT[color], lw=points_wide, ls=style, alpha=opacity, solid_joinstyle="round")
        self._add(line)

    def area(self, points: Array, color: str, *, opacity: float = 1.0) -> None:
        """A polygon."""
        from matplotlib.patches import Polygon

        self._add(Polygon(points, closed=True, facecolor=LIGHT[color], alpha=opacity, lw=0))

    def dot(self, x: float, y: float, radius: float, color: str, *, hollow: bool = False) -> None:
        """A disc."""
        from matplotlib.patches import Circle

        face = LIGHT["bg"] if hollow else LIGHT[color]
        self._add(Circle((x, y), radius, facecolor=face, edgecolor=LIGHT[color], lw=1.2 if hollow else 0))

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        color: str = "fg",
        anchor: str = "start",
        size: float = TEXT,
        bold: bool = False,
        halo: bool = False,
        turned: bool = False,
    ) -> None:
        """A text; signs that the font lacks are boxes, as no font has all of them."""
        from matplotlib.patheffects import withStroke

        side = {"start": "left", "middle": "center", "end": "right"}[anchor]
        made = self.figure.text(
            x,
            y,
            drawable(text),
            transform=self._pixels,
            ha=side,
            va="baseline",
            fontsize=size * 0.75 * 0.92,  # the font of papers is wider than that of pages
            fontfamily="DejaVu Sans",
            fontweight="bold" if bold else "normal",
            color=LIGHT[color],
            rotation=90 if turned else 0,
            rotation_mode="anchor",
            parse_math=False,  # names of a case are no formulas, whatever signs they have
        )
        if halo:
            made.set_path_effects([withStroke(linewidth=2.2, foreground=LIGHT["bg"])])

    def open(self, kind: str, **data: str) -> None:
        """Groups are for pages."""

    def close(self) -> None:
        """Groups are for pages."""


def drawable(text: str) -> str:
    """The text with boxes for signs that the font of papers lacks."""
    from matplotlib.font_manager import findfont, get_font

    if text.isascii():
        return text
    known = get_font(findfont("DejaVu Sans")).get_charmap()
    return "".join(sign if ord(sign) in known else "□" for sign in text)


def as_points(x: Array, y: Array) -> Array:
    """Points of a path, shape ``(n, 2)``."""
    return np.stack([np.asarray(x, dtype=float), np.asarray(y, dtype=float)], axis=1)
