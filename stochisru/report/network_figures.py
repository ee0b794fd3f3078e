"""Paper-ready figures of the networks: routes to Mars, sweeps, the Saudi map and front."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from stochisru.report.style import PALETTE, new_figure

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from stochisru.worked.mars.study import MarsResult
    from stochisru.worked.saudi.study import SaudiResult

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


def saudi_front(results: Sequence[SaudiResult]) -> Figure:
    """Cost against CO2 for all weights, beside the published front."""
    with new_figure(5.6, 3.8) as (figure, ax):
        ours = np.array([(r.values["cost"], r.values["co2"]) for r in results])
        known = [(r.published["cost"], r.published["co2"]) for r in results if r.published]
        if known:
            printed = np.array(known)
            ax.plot(*printed.T, color="0.5", marker="s", ms=4, lw=1.0, ls="--", label="published")
        ax.plot(*ours.T, color=PALETTE[0], marker="o", ms=4, lw=1.2, label="this network")
        last = np.full(2, np.inf)
        for result, point in zip(results, ours, strict=True):
            if (np.abs(point - last) > (0.12, 0.6)).any():  # leave out labels that would lie on each other
                ax.annotate(f"{result.weight:g}", point, xytext=(5, 5), textcoords="offset points", fontsize=7)
                last = point
        ax.set(xlabel="cost (billion USD/yr)", ylabel="CO₂ (Mt/yr)")
        ax.set_title(f"Saudi Arabia {results[0].options.year}; numbers: weight of cost", loc="left")
        ax.legend(loc="upper right")
        return figure


_LABELLED = (
    "Riyadh", "Jeddah", "Mecca", "Medina", "Tabuk", "Dammam", "Buraydah", "Ha'il", "Khamis Mushayt", "Hofuf",
    "Jubail", "Umluj", "Najran",
)  # fmt: skip

_LABELLED_LEFT = ("Jeddah", "Umluj")


def saudi_map(result: SaudiResult) -> Figure:
    """Where water is made and flows: pipelines by flow, old and new; plants and cities by size."""
    from matplotlib.lines import Line2D

    from stochisru.worked.saudi.network import sites
    from stochisru.worked.saudi.study import water_lines

    network, flows = result.solution.network, result.solution.flows
    places = sites()
    where = np.array([(s.longitude, s.latitude) for s in places])
    arcs, flow = water_lines(result)
    capex = network.criterion("capex").use[:, network.commodity("potable water")]
    largest = flow.max(initial=1.0)
    with new_figure(6.6, 5.4) as (figure, ax):
        ax.set_aspect(1 / np.cos(np.radians(24)))
        for arc, amount in zip(arcs, flow, strict=True):
            start, end = where[network.tail[arc]], where[network.head[arc]]
            new = capex[arc] > 0
            color = PALETTE[1] if new else PALETTE[0]
            width = 0.6 + 4.0 * (amount / largest) ** 0.5
            ax.plot(*zip(start, end, strict=True), color=color, lw=width, alpha=0.8, solid_capstyle="round", zorder=2)
            if np.hypot(*(end - start)) > 0.8:
                at, step = start + 0.55 * (end - start), 0.02 * (end - start)
                ax.annotate("", at + step, at, arrowprops={"arrowstyle": "-|>", "color": color, "lw": 0.8}, zorder=3)
        demand = np.array([s.potable_demand + s.nonpotable_demand for s in places])
        city = demand > 0
        ax.scatter(*where[city].T, s=3 + 0.05 * demand[city], color="0.25", lw=0, zorder=4)
        made = flows.out[network.loops][:, network.commodity("raw water")]
        for kind, color, marker in (("desalination", PALETTE[2], "o"), ("city", PALETTE[4], "D")):
            here = np.array([s.kind == kind for s in places]) & (made > 1.0)
            ax.scatter(
                *where[here].T, s=10 + 0.12 * made[here], facecolor="none", edgecolor=color, marker=marker, lw=1.3,
                zorder=5,
            )  # fmt: skip
        for name in _LABELLED:
            x, y = where[network.node(name)]
            side, align = (-7, "right") if name in _LABELLED_LEFT else (4, "left")
            ax.annotate(name, (x, y), xytext=(side, 4), textcoords="offset points", fontsize=7, ha=align, zorder=6)
        handles: list[Any] = [
            Line2D([], [], color=PALETTE[0], lw=2, label="existing pipeline"),
            Line2D([], [], color=PALETTE[1], lw=2, label="new pipeline"),
            _dot("0.25", "o", "city (area: demand)"),
            _dot("none", "o", "desalination (area: output)", PALETTE[2]),
            _dot("none", "D", "ground water (area: output)", PALETTE[4]),
        ]
        ax.legend(handles=handles, loc="lower left")
        ax.set(xlabel="longitude (°E)", ylabel="latitude (°N)")
        values = result.values
        ax.set_title(
            f"Potable water {result.options.year}, w = {result.weight:g}: {values['cost']:.2f} billion USD/yr, "
            f"{values['co2']:.1f} Mt CO₂/yr",
            loc="left",
        )
        return figure


def _dot(fill: str, marker: str, label: str, edge: str | None = None) -> Any:
    from matplotlib.lines import Line2D

    return Line2D(
        [], [], ls="none", marker=marker, ms=6, markerfacecolor=fill, markeredgecolor=edge or fill, label=label
    )
