"""Figures of Mars: routes, and mass at launch against a parameter."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from stochisru.report.style import PALETTE, new_figure

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from stochisru.worked.mars.study import MarsResult

#: Where the places of the Mars network are drawn: Earth on the left, the Moon above, Mars on the right.
_PLACES = {
    "KSC": (0.0, 0.7), "PAC": (0.0, -0.7), "LEO": (1.3, 0.0), "GEO": (1.6, -1.3), "GTO": (2.9, -0.3),
    "EML1": (2.0, 1.1), "EML2": (3.6, 1.2), "EML45": (3.6, -1.6), "LLO": (2.9, 2.3), "LSP": (1.5, 2.3),
    "DTO": (5.3, 1.0), "DEIM": (5.3, 2.3), "PTO": (5.3, -0.6), "PHOB": (5.3, -1.9), "LMO": (7.0, -1.4),
    "GC": (8.4, 0.3),
}  # fmt: skip
#: Cargo below this is not drawn, kg.
_SMALLEST = 500.0


class _Load(NamedTuple):
    """What a panel shows: label, commodities that are summed, colour, line style."""

    label: str
    commodities: tuple[str, ...]
    color: str
    dash: str


_PANELS: tuple[tuple[str, tuple[_Load, ...]], ...] = (
    (
        "Crew and vehicle",
        (
            _Load("outbound", ("crew", "vehicle"), PALETTE[0], "-"),
            _Load("homebound", ("crewRe", "vehicle"), PALETTE[1], (0, (4, 2))),  # type: ignore[arg-type]
        ),
    ),
    ("Plant and its maintenance", (_Load("plant and maintenance", ("plant", "maintenance"), PALETTE[2], "-"),)),
    (
        f"Hydrogen, oxygen and water (from {_SMALLEST / 1000:g} t)",
        (_Load("hydrogen, oxygen and water", ("hydrogen", "oxygen", "water"), PALETTE[3], "-"),),
    ),
)


def mars_routes(result: MarsResult) -> Figure:
    """Routes of crew, plant and propellant: what departs on each arc, in tonnes; plants at work at their sites."""
    title = (
        f"Mars, {result.scenario.name}: {result.objective / 1000:,.0f} t at KSC, {result.imleo / 1000:,.1f} t in LEO"
    )
    with new_figure(7.2, 9.6, 1) as (figure, axes):
        figure.delaxes(axes)
        figure.suptitle(f"{title}\nnumbers: tonnes that depart; widths compare within a panel", fontsize=9)
        for row, (name, loads) in enumerate(_PANELS):
            ax = figure.add_subplot(len(_PANELS), 1, row + 1)
            _draw_panel(ax, result, loads)
            ax.set_title(name, loc="left")
        return figure


def _draw_panel(ax: Axes, result: MarsResult, loads: tuple[_Load, ...]) -> None:
    from matplotlib.lines import Line2D

    network, flows = result.solution.network, result.solution.flows
    touched: set[str] = set()
    for load in loads:
        parts = [network.commodity(c) for c in load.commodities]
        # A vehicle belongs to the crew that it carries; alone it is cargo.
        shown = (
            flows.out[:, parts[0]] > 1e-3
            if "vehicle" in load.commodities
            else flows.out[:, parts].sum(axis=1) > _SMALLEST
        )
        if "hydrogen" in load.commodities:  # not what the launcher burns
            shown = shown & (network.tail != network.node("KSC"))
        mass: dict[tuple[str, str], float] = {}
        for arc in np.flatnonzero(shown & ~network.loops):
            ends = network.nodes[network.tail[arc]], network.nodes[network.head[arc]]
            mass[ends] = mass.get(ends, 0.0) + float(flows.out[arc, parts].sum())
        largest = max(mass.values(), default=1.0)
        for (tail, head), kg in mass.items():
            _arrow(ax, tail, head, 0.8 + 2.6 * (kg / largest) ** 0.5, load, kg)
            touched |= {tail, head}
    for place, (x, y) in _PLACES.items():
        used = place in touched
        ax.text(
            x, y, place, ha="center", va="center", fontsize=7.5, zorder=5, color="black" if used else "0.6",
            bbox={"boxstyle": "round,pad=0.25", "fc": "white", "ec": "0.2" if used else "0.8", "lw": 0.8},
        )  # fmt: skip
    if "plant" in loads[0].commodities:
        for site, kg in result.plants.items():
            if kg > 0.5:
                x, y = _PLACES[site]
                side, align = (-0.32, "right") if site == "LSP" else (0.4, "left")
                text = f"{kg / 1000:.1f} t at work"
                ax.text(x + side, y, text, fontsize=7, color=loads[0].color, ha=align, va="center", zorder=6)
    ax.set(xlim=(-0.4, 9.4), ylim=(-2.2, 2.6))
    ax.axis("off")
    if len(loads) > 1:
        handles = [Line2D([], [], color=load.color, ls=load.dash, lw=1.6, label=load.label) for load in loads]
        ax.legend(handles=handles, loc="lower right", bbox_to_anchor=(1.0, 0.0))


def _arrow(ax: Axes, tail: str, head: str, width: float, load: _Load, kg: float) -> None:
    from matplotlib.patches import FancyArrowPatch

    start, end = np.array(_PLACES[tail]), np.array(_PLACES[head])
    bend = 0.14 if np.hypot(*(end - start)) > 1.6 else 0.3
    ax.add_patch(
        FancyArrowPatch(
            tuple(start),
            tuple(end),
            connectionstyle=f"arc3,rad={bend}",
            arrowstyle="-|>,head_length=5,head_width=2.6",
            shrinkA=13,
            shrinkB=13,
            lw=width,
            ls=load.dash,
            color=load.color,
            alpha=0.9,
            mutation_scale=1.0,
            zorder=3,
        )
    )
    step = end - start
    # The middle of the arc, which bends to the right of its direction.
    middle = (start + end) / 2 + bend / 2 * np.array([step[1], -step[0]])
    text = f"{kg / 1000:,.1f}" if kg < 99_950 else f"{kg / 1000:,.0f}"
    ax.text(
        float(middle[0]), float(middle[1]), text, fontsize=7, ha="center", va="center", color="0.15", zorder=4,
        bbox={"boxstyle": "round,pad=0.1", "fc": "white", "ec": "none", "alpha": 0.9},
    )  # fmt: skip


def mars_sweep_figure(table: pd.DataFrame, parameter: str) -> Figure:
    """Mass at KSC and plants at work against production rate (Figure 4-17) or lifetime (Figure 4-16)."""
    labels = {"isru_rate": "production rate (kg/kg/yr)", "lifetime": "lifetime of plants (yr)"}
    with new_figure(7.2, 3.2, 2) as (figure, (left, right)):
        x = table[parameter]
        left.plot(x, table["objective"] / 1e3, color=PALETTE[0], marker="o", ms=3, lw=1.5)
        left.set(xlabel=labels[parameter], ylabel="mass at KSC (t, minimised)")
        left.set_ylim(bottom=0)
        for site, color, dash, marker in zip(
            ("LSP", "DEIM", "PHOB", "GC"), PALETTE, ("-", "--", "-.", ":"), "osD^", strict=False
        ):
            right.plot(x, table[site] / 1e3, color=color, ls=dash, marker=marker, ms=3, lw=1.4, label=site)
        right.set(xlabel=labels[parameter], ylabel="plant at work (t)")
        right.set_ylim(bottom=0)
        right.legend(loc="upper right")
        return figure
