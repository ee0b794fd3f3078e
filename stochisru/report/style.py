"""The common look of all figures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from stochisru.backend import matplotlib

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Okabe and Ito's palette, which stays readable in print and for colour-blind readers.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#7F7F7F")
#: Line styles, so that lines differ without colour too; one more than colours, so that no pair returns early.
DASHES = ("-", "--", "-.", ":", "-", "--", "-", "-.", ":")
_STYLE: dict[Any, Any] = {
    "font.size": 9,
    "text.parse_math": False,  # names of a case are no formulas, whatever signs they have
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "grid.linewidth": 0.5,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "figure.dpi": 110,
    "savefig.dpi": 220,
}


@contextmanager
def new_figure(width: float, height: float, columns: int = 1, rows: int = 1) -> Iterator[tuple[Figure, Any]]:
    """A figure of the common look, inches, with its axes."""
    mpl = matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        yield figure, figure.subplots(rows, columns)


def money(axis: Any, largest: float) -> str:
    """Scale an axis in dollars to thousands, millions or billions; return the unit."""
    from matplotlib.ticker import FuncFormatter

    scale, unit = next(
        (s, u)
        for s, u in ((1e9, "$ billion"), (1e6, "$ million"), (1e3, "$ thousand"), (1.0, "$"))
        if largest >= 2 * s or s == 1.0
    )
    axis.set_major_formatter(FuncFormatter(lambda x, _: f"{x / scale:g}"))
    return unit
