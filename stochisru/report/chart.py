"""Charts: what they show, once, and how that is laid out at any width.

A `Chart` is drawn by `Chart.svg` at the width of a page or a phone, and by `Chart.savefig` for a paper. Series have
their names beside them; where a line goes and where its name has room is worked out in pixels, see
`stochisru.report.labels`.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scenario_trees.arrays import Array
from stochisru.report.canvas import (
    DASHES,
    LIGHT,
    SERIES,
    TEXT,
    Canvas,
    PaperCanvas,
    SvgCanvas,
    as_points,
    svg_colors,
    text_width,
)
from stochisru.report.labels import Spot, spots
from stochisru.studies.folder import DPI

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Widths, pixels: of a page, of a telephone, of a panel below which panels go under each other.
WIDE, SLIM, _LEAST = 860.0, 350.0, 330.0
_TOP, _BOTTOM, _RIGHT = 26.0, 46.0, 16.0


@dataclass(frozen=True)
class Axis:
    """An axis: what it shows, and from where to where.

    Attributes
    ----------
    scale
        What values are divided by for its numbers, such as 1e6 for $ million.
    names
        Names of the values 0, 1, 2, … in place of numbers.
    """

    label: str
    low: float
    high: float
    log: bool = False
    scale: float = 1.0
    percent: bool = False
    names: tuple[str, ...] = ()
    whole: bool = False

    def place(self, values: Any) -> Array:
        """Shares of the axis."""
        v = np.asarray(values, dtype=float)
        if self.log:
            return np.asarray(np.log(v / self.low) / np.log(self.high / self.low))
        return np.asarray((v - self.low) / (self.high - self.low))

    def ticks(self, room: float) -> list[tuple[float, str]]:
        """Values that are marked, with their text; ``room`` is the length in pixels."""
        if self.names:
            return [(float(i), name) for i, name in enumerate(self.names)]
        if self.log:
            found = [m * 10.0**e for e in range(-12, 19) for m in (1, 2, 5) if self.low <= m * 10.0**e <= self.high]
            while len(found) > max(2, room / 55):
                found = found[::2]
        else:
            found = [v * self.scale for v in nice(self.low / self.scale, self.high / self.scale, room / 44, self.whole)]
        return [(v, self.said(v, found)) for v in found]

    def said(self, value: float, beside: Sequence[float]) -> str:
        """A value as text, with as many digits as its neighbours need."""
        v = value / self.scale + 0.0
        if self.percent:
            return f"{v:.0%}"
        gaps = np.diff([b / self.scale for b in beside]) if len(beside) > 1 else np.array([v or 1.0])
        least = float(np.abs(gaps).min()) or 1.0
        digits = max(0, -int(np.floor(np.log10(least) + 1e-9)))
        return f"{v:,.{digits}f}".replace("-", "−")


def series_color(series: int) -> str:
    """Colour of a series: 0 is that of the one that is looked at, which no other has."""
    return SERIES[0] if series == 0 else SERIES[1 + (series - 1) % (len(SERIES) - 1)]


def nice(low: float, high: float, count: float, whole: bool = False) -> list[float]:
    """Round numbers between two, about ``count`` of them."""
    if not high > low:
        return [low]
    rough = (high - low) / max(count, 1.5)
    power = 10.0 ** np.floor(np.log10(rough))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough * (1 - 1e-9))
    if whole:
        step = max(1.0, np.ceil(step))
    first = np.ceil(low / step - 1e-9) * step
    return [float(first + i * step) for i in range(int((high - first) / step + 1e-9) + 1)]


@dataclass(frozen=True)
class Line:
    """A line. ``series`` is its number among colours and dashes; ``lead`` makes it the one that is looked at."""

    x: Array
    y: Array
    label: str = ""
    series: int = 0
    lead: bool = False
    step: bool = False
    key: str = ""
    quiet: bool = False
    marks: bool = False

    @property
    def width(self) -> float:
        """Pixels."""
        return 3.4 if self.lead else 1.2 if self.quiet else 1.9

    @property
    def dash(self) -> tuple[float, ...]:
        """Its own, with its colour; of the line that is looked at none."""
        return () if self.lead or self.quiet else DASHES[(self.series - 1) % len(DASHES)] if self.series else ()

    @property
    def color(self) -> str:
        """Name of its colour."""
        return "muted" if self.quiet else series_color(self.series)


@dataclass(frozen=True)
class Ribbon:
    """What lies between two lines."""

    x: Array
    low: Array
    high: Array
    label: str = ""
    series: int = 0
    opacity: float = 0.18


@dataclass(frozen=True)
class Bars:
    """Bars: upright at x, or lying at y where ``lying``; with a text at each end, if given."""

    at: Array
    start: Array
    end: Array
    width: float = 0.7
    series: int = 0
    label: str = ""
    said: tuple[str, ...] = ()
    lying: bool = False
    faint: bool = False


@dataclass(frozen=True)
class Dots:
    """Marks."""

    x: Array
    y: Array
    label: str = ""
    series: int = 0
    radius: float = 4.0
    hollow: bool = False


@dataclass(frozen=True)
class Mark:
    """A line across the panel at x or at y, with a word; or a strip up to ``until``."""

    x: float | None = None
    y: float | None = None
    label: str = ""
    until: float | None = None


Piece = Line | Ribbon | Bars | Dots | Mark


@dataclass(frozen=True)
class Panel:
    """Pieces on two axes; later ones lie above earlier ones."""

    x: Axis
    y: Axis
    pieces: tuple[Piece, ...]
    title: str = ""


@dataclass(frozen=True)
class Chart:
    """Panels beside each other, or below each other where there is no room.

    Attributes
    ----------
    told
        What it shows, in words, for those who do not see it.
    height
        Of a panel, pixels.
    """

    panels: tuple[Panel, ...]
    told: str
    height: float = 280.0
    width: float = WIDE

    def size(self, width: float) -> tuple[int, float]:
        """Columns, and height in pixels."""
        columns = max(1, min(len(self.panels), int(width // _LEAST)))
        return columns, -(-len(self.panels) // columns) * self.height

    def _draw(self, canvas: Canvas, width: float) -> None:
        columns, _ = self.size(width)
        for i, panel in enumerate(self.panels):
            left = (i % columns) * width / columns
            _draw_panel(canvas, panel, left, (i // columns) * self.height, width / columns, self.height)

    def svg(self, width: float | None = None, name: str = "", alone: bool = False) -> str:
        """SVG text at a width in pixels; ``alone`` gives it colours and fonts of its own, for a file."""
        w = width or self.width
        canvas = SvgCanvas()
        self._draw(canvas, w)
        _, height = self.size(w)
        told = html.escape(self.told)
        space = f' xmlns="http://www.w3.org/2000/svg" width="{w:g}" height="{height:g}"' if alone else ""
        of = f' data-chart="{html.escape(name)}"' if name else ""
        font = f"text{{font:{TEXT}px DejaVu Sans,Arial,sans-serif}}" if alone else ""
        style = f"<style>{svg_colors(LIGHT)}{font}</style>" if alone else ""
        ground = f'<rect class="f-bg" width="{w:g}" height="{height:g}"/>' if alone else ""
        head = f'<svg{space} viewBox="0 0 {w:g} {height:g}" role="img" aria-label="{told}"{of}>'
        return f"{head}{style}{ground}{canvas.body()}</svg>"

    def figure(self) -> Figure:
        """A matplotlib figure of it, without axes: as in `svg`."""
        _, height = self.size(self.width)
        canvas = PaperCanvas(self.width, height)
        self._draw(canvas, self.width)
        return canvas.figure

    def savefig(self, path: Any, /, *, format: str | None = None, dpi: float = DPI, metadata: Any = None) -> None:
        """Write it as PNG, PDF or SVG.

        Parameters
        ----------
        path
            A path, or an open binary file.
        format
            ``png``, ``pdf`` or ``svg``; that of the path's name if not given.
        dpi
            Dots per inch of PNG.
        """
        kind = format or Path(path).suffix.lstrip(".").lower()
        if kind != "svg":
            self.figure().savefig(path, format=kind, dpi=dpi, metadata=metadata)
            return
        data = self.svg(alone=True).encode()
        if hasattr(path, "write"):
            path.write(data)
        else:
            Path(path).write_bytes(data)

    def __repr__(self) -> str:
        return f"{type(self).__name__}: {self.told}"

    def _repr_html_(self) -> str:
        """As a notebook shows it."""
        return self.svg(alone=True)


# ------------------------------------------------------------------- drawing


@dataclass(frozen=True)
class _Frame:
    """A panel in pixels."""

    panel: Panel
    left: float
    top: float
    right: float
    bottom: float

    def x(self, values: Any) -> Array:
        return np.asarray(self.left + self.panel.x.place(values) * (self.right - self.left))

    def y(self, values: Any) -> Array:
        return np.asarray(self.bottom - self.panel.y.place(values) * (self.bottom - self.top))

    def inside(self, points: Array) -> Array:
        """Points with NaN for what lies outside sideways, and what lies above or below pulled to the edge."""
        out = points.copy()
        away = (out[:, 0] < self.left - 0.5) | (out[:, 0] > self.right + 0.5)
        out[away] = np.nan
        out[:, 1] = np.clip(out[:, 1], self.top, self.bottom)
        return out


def _draw_panel(canvas: Canvas, panel: Panel, left: float, top: float, width: float, height: float) -> None:
    below = _BOTTOM if panel.x.label else 30.0
    rows = panel.y.ticks(height - _TOP - below)
    turned = bool(panel.y.names)
    gutter = max([text_width(text) for _, text in rows], default=0.0) + 14
    frame = _Frame(panel, left + min(gutter, 0.45 * width), top + _TOP, left + width - _RIGHT, top + height - below)
    canvas.text(left + 4, top + 14, panel.title or panel.y.label, color="muted", bold=bool(panel.title))
    for value, text in rows:
        at = float(frame.y(value))
        if not turned:
            canvas.path(as_points(np.array([frame.left, frame.right]), np.array([at, at])), "line")
        canvas.text(frame.left - 7, at + 4, text, color="muted", anchor="end")
    columns = _columns(panel.x, frame.right - frame.left)
    for value, text in columns:
        at = float(frame.x(value))
        canvas.path(as_points(np.array([at, at]), np.array([frame.bottom, frame.bottom + 4])), "muted")
        canvas.text(at, frame.bottom + 17, text, color="muted", anchor="middle")
    canvas.text(frame.right, frame.bottom + 36, panel.x.label, color="muted", anchor="end")
    if not turned and panel.y.low < 0 < panel.y.high:
        zero = float(frame.y(0.0))
        canvas.path(as_points(np.array([frame.left, frame.right]), np.array([zero, zero])), "muted")
    data = {"x0": panel.x.low, "x1": panel.x.high, "left": frame.left, "right": frame.right}
    data |= {"top": frame.top, "bottom": frame.bottom}
    canvas.open("plot", **{name: f"{value:.10g}" for name, value in data.items()})
    lines = [piece for piece in panel.pieces if isinstance(piece, Line | Ribbon) and piece.label]
    lines.sort(key=lambda piece: isinstance(piece, Ribbon))  # lines choose first
    found = dict(zip(map(id, lines), _spots(frame, lines, panel), strict=True))
    for piece in panel.pieces:
        _draw_piece(canvas, frame, piece, found.get(id(piece)))
    canvas.close()


def _columns(axis: Axis, room: float) -> list[tuple[float, str]]:
    """Marked values of the lower axis: as many as have room beside each other."""
    share = room
    while True:
        found = axis.ticks(share)
        wide = max((text_width(text) for _, text in found), default=0.0) + 10
        if len(found) <= 2 or len(found) * wide <= room or share < 0.1 * room:
            return found
        share *= 0.8


def _path_of(frame: _Frame, line: Line | Ribbon) -> Array:
    """Pixels of a line, or just below the upper edge of a band."""
    if isinstance(line, Ribbon):
        x, low, high = (np.asarray(v, dtype=float) for v in (line.x, line.low, line.high))
        edge = frame.y(high)
        inside = edge + np.minimum(16.0, 0.5 * (frame.y(low) - edge))
        wide = frame.y(low) - edge > 2 * TEXT  # where the name has room within it
        return frame.inside(as_points(frame.x(x), inside))[wide if wide.any() else slice(None)]
    x, y = np.asarray(line.x, dtype=float), np.asarray(line.y, dtype=float)
    if line.step:
        x, y = np.repeat(x, 2)[1:], np.repeat(y, 2)[:-1]
    return frame.inside(as_points(frame.x(x), frame.y(y)))


def _spots(frame: _Frame, named: Sequence[Line | Ribbon], panel: Panel) -> list[Spot]:
    every = [_path_of(frame, line) for line in panel.pieces if isinstance(line, Line)]
    every += [as_points(frame.x(dots.x), frame.y(dots.y)) for dots in panel.pieces if isinstance(dots, Dots)]
    own = [_path_of(frame, piece) for piece in named]
    sizes = [(text_width(piece.label, bold=isinstance(piece, Line) and piece.lead), TEXT) for piece in named]
    return spots(own, every, sizes, (frame.left, frame.top, frame.right, frame.bottom))


def _draw_piece(canvas: Canvas, frame: _Frame, piece: Piece, spot: Spot | None) -> None:
    if isinstance(piece, Line):
        points = _path_of(frame, piece)
        canvas.open("series", **({"key": piece.key} if piece.key else {}))
        canvas.path(points, piece.color, width=piece.width, dash=piece.dash)
        if piece.marks:
            for x, y in points.tolist():
                canvas.dot(x, y, 3.2 if piece.lead else 2.6, piece.color)
        if spot is not None:
            side = spot.anchor
            canvas.text(spot.x, spot.y, piece.label, color=piece.color, anchor=side, bold=piece.lead, halo=True)
        canvas.close()
    elif isinstance(piece, Ribbon):
        x = frame.x(piece.x)
        y = np.concatenate([frame.y(piece.low), frame.y(piece.high)[::-1]])
        canvas.area(
            as_points(np.concatenate([x, x[::-1]]), np.clip(y, frame.top, frame.bottom)),
            series_color(piece.series),
            opacity=piece.opacity,
        )
        if spot is not None:
            canvas.text(spot.x, spot.y, piece.label, anchor=spot.anchor, halo=True)
    elif isinstance(piece, Bars):
        _draw_bars(canvas, frame, piece)
    elif isinstance(piece, Dots):
        for x, y in zip(frame.x(piece.x), frame.y(piece.y), strict=True):
            canvas.dot(
                float(x),
                float(np.clip(y, frame.top, frame.bottom)),
                piece.radius,
                series_color(piece.series),
                hollow=piece.hollow,
            )
        if piece.label and len(piece.x):
            x, y = float(frame.x(piece.x)[-1]), float(frame.y(piece.y)[-1])
            half = 0.5 * text_width(piece.label, bold=True)
            at = float(np.clip(x, frame.left + half, frame.right - half))
            up = y - 12 if y - 26 > frame.top else y + 22
            canvas.text(at, up, piece.label, anchor="middle", bold=True, halo=True)
    else:
        _draw_mark(canvas, frame, piece)


def _draw_bars(canvas: Canvas, frame: _Frame, bars: Bars) -> None:
    color = series_color(bars.series)
    ends = zip(np.asarray(bars.at), np.asarray(bars.start), np.asarray(bars.end), strict=True)
    for i, (at, start, end) in enumerate(ends):
        near, far = at - bars.width / 2, at + bars.width / 2
        if bars.lying:
            x, y = frame.x(np.array([start, end, end, start])), frame.y(np.array([near, near, far, far]))
        else:
            x, y = frame.x(np.array([near, far, far, near])), frame.y(np.array([start, start, end, end]))
        canvas.area(as_points(x, y), color, opacity=0.45 if bars.faint else 1.0)
        if bars.said and bars.said[i]:
            if bars.lying:
                right = max(float(x[0]), float(x[1]))
                room = right + 6 + text_width(bars.said[i]) < frame.right
                canvas.text(
                    right + 6 if room else right - 6,
                    float(y.mean()) + 4,
                    bars.said[i],
                    anchor="start" if room else "end",
                    color="fg" if room else "bg",
                )
            else:
                canvas.text(float(x.mean()), float(y.min()) - 5, bars.said[i], anchor="middle")


def _draw_mark(canvas: Canvas, frame: _Frame, mark: Mark) -> None:
    ends_x, ends_y = np.array([frame.left, frame.right]), np.array([frame.top, frame.bottom])
    if mark.y is not None:
        at = float(frame.y(mark.y))
        canvas.path(as_points(ends_x, np.array([at, at])), "muted", width=1.2, dash=(5, 3))
        canvas.text(frame.right - 2, at - 5, mark.label, color="muted", anchor="end", halo=True)
        return
    assert mark.x is not None
    at = float(frame.x(mark.x))
    if mark.until is not None:
        to = float(frame.x(mark.until))
        corners = np.array([[at, frame.top], [to, frame.top], [to, frame.bottom], [at, frame.bottom]])
        canvas.area(corners, "s4", opacity=0.14)
        canvas.text(at + 3, frame.top + 13, mark.label, color="s4", halo=True)
        return
    canvas.path(as_points(np.array([at, at]), ends_y), "muted", width=1.2)
    if mark.label:
        canvas.text(at + 4, frame.top + 10, mark.label, color="muted", halo=True)
