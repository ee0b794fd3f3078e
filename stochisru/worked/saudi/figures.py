"""Figures of the Saudi case: the front of cost against CO2, and the map of a plan."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from stochisru.report.style import PALETTE, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from stochisru.worked.saudi.study import SaudiResult


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

    from stochisru.worked.saudi.places import sites
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
