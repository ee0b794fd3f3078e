"""Figures of the Saudi case: the front of cost against CO2, and the map of a plan."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from stochisru.report.style import PALETTE, new_figure
from stochisru.worked.saudi.infrastructure import saudi_data

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from stochisru.worked.saudi.drivers import Drivers
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
_LABELLED_LEFT = ("Jeddah", "Umluj", "Medina", "Riyadh")
#: What the map shows: degrees east and north.
_WINDOW = ((34.0, 56.2), (15.6, 32.9))
#: Sizes of the keys, 1000 m³/day.
_KEYS = (100.0, 500.0, 2000.0)


def _width(amount: Any, largest: float) -> Any:
    """Width of a pipeline, points, by its flow."""
    return 0.6 + 4.0 * (amount / largest) ** 0.5


def _demand_area(amount: Any) -> Any:
    """Area of a city, points², by its demand."""
    return 3 + 0.05 * amount


def _output_area(amount: Any) -> Any:
    """Area of a plant, points², by its output."""
    return 10 + 0.12 * amount


def _draw_coast(ax: Axes) -> None:
    """Coast lines and the borders of Saudi Arabia (Natural Earth, 1:50 million)."""
    lines: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for row in saudi_data("coast"):
        at = float(row["longitude_degE"]), float(row["latitude_degN"])
        lines.setdefault((row["kind"], row["line"]), []).append(at)
    for (kind, _), points in lines.items():
        dash, width = ("-", 0.8) if kind == "coast" else ((0, (5, 3)), 0.5)
        ax.plot(*zip(*points, strict=True), color="0.6", ls=dash, lw=width, zorder=1)


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
    with new_figure(7.4, 6.4) as (figure, ax):
        ax.set_aspect(1 / np.cos(np.radians(24)))
        ax.grid(visible=False)
        _draw_coast(ax)
        for arc, amount in zip(arcs, flow, strict=True):
            start, end = where[network.tail[arc]], where[network.head[arc]]
            new = capex[arc] > 0
            color = PALETTE[1] if new else PALETTE[0]
            ax.plot(
                *zip(start, end, strict=True), color=color, lw=_width(amount, largest), alpha=0.8,
                solid_capstyle="round", zorder=2,
            )  # fmt: skip
            if np.hypot(*(end - start)) > 0.8:
                at, step = start + 0.55 * (end - start), 0.02 * (end - start)
                ax.annotate("", at + step, at, arrowprops={"arrowstyle": "-|>", "color": color, "lw": 0.8}, zorder=3)
        demand = -np.minimum(network.supply, 0.0).sum(axis=1)
        city = demand > 0
        ax.scatter(*where[city].T, s=_demand_area(demand[city]), color="0.25", lw=0, zorder=4)
        made = flows.out[network.loops][:, network.commodity("raw water")]
        for kind, color, marker in (("desalination", PALETTE[2], "o"), ("city", PALETTE[4], "D")):
            here = np.array([s.kind == kind for s in places]) & (made > 1.0)
            ax.scatter(
                *where[here].T, s=_output_area(made[here]), facecolor="none", edgecolor=color, marker=marker, lw=1.3,
                zorder=5,
            )  # fmt: skip
        for name in _LABELLED:
            x, y = where[network.node(name)]
            side, align = (-7, "right") if name in _LABELLED_LEFT else (4, "left")
            ax.annotate(name, (x, y), xytext=(side, 4), textcoords="offset points", fontsize=7, ha=align, zorder=6)
        handles: list[Any] = [
            Line2D([], [], color=PALETTE[0], lw=2, label="existing pipeline"),
            Line2D([], [], color=PALETTE[1], lw=2, label="new pipeline"),
            _dot("0.25", "o", "city"),
            _dot("none", "o", "desalination", PALETTE[2]),
            _dot("none", "D", "ground water", PALETTE[4]),
        ]
        kinds = ax.legend(handles=handles, loc="lower left", bbox_to_anchor=(0.0, 0.0))
        ax.add_artist(kinds)
        keys: list[Any] = []
        for amount in _KEYS:
            keys.append(Line2D([], [], color="0.35", lw=_width(min(amount, largest), largest), label=f"{amount:,.0f}"))
        for amount in _KEYS:
            keys.append(_dot("0.25", "o", f"{amount:,.0f}", area=_demand_area(amount)))
        for amount in _KEYS:
            keys.append(_dot("none", "o", f"{amount:,.0f}", PALETTE[2], area=_output_area(amount)))
        ax.legend(
            handles=keys, loc="upper right", ncols=3, labelspacing=0.9, columnspacing=1.2, title_fontsize=8,
            title="1000 m³/day:  flow · demand · output",
        )  # fmt: skip
        ax.set(xlabel="longitude (°E)", ylabel="latitude (°N)", xlim=_WINDOW[0], ylim=_WINDOW[1])
        values = result.values
        ax.set_title(
            f"Potable water {result.options.year}, w = {result.weight:g}: {values['cost']:.2f} billion USD/yr, "
            f"{values['co2']:.1f} Mt CO₂/yr",
            loc="left",
        )
        return figure


#: Numbers that a tornado shows.
_BARS = 14


def saudi_tornado(drivers: Drivers) -> Figure:
    """Objective with each number lower and higher, and what losing the dearest elements costs."""
    swings, elements = drivers.swings.head(_BARS).iloc[::-1], drivers.elements.head(_BARS).iloc[::-1]
    labels = elements["element"] + elements["kind"].map({"site": "", "pipeline": " (water)", "powerline": " (power)"})
    with new_figure(8.6, 4.2, 2) as (figure, (left, right)):
        at = np.arange(len(swings))
        base = drivers.base.objective
        for side, color in (("lower", PALETTE[0]), ("higher", PALETTE[1])):
            left.barh(
                at, swings[f"objective {side}"] - base, left=base, color=color, height=0.7,
                label=f"{drivers.change:.0%} {side}",
            )  # fmt: skip
        left.axvline(base, color="0.2", lw=0.8)
        left.set_yticks(at, swings["number"], fontsize=7.5)
        left.grid(axis="y", visible=False)
        left.set(xlabel="objective (minimised)")
        left.set_title(
            f"Numbers, {drivers.plan.options.year}, w = {drivers.plan.weight:g}; lines as planned", loc="left"
        )
        left.legend(loc="lower right")
        right.barh(np.arange(len(elements)), elements["loss"], color=PALETTE[2], height=0.7)
        right.set_yticks(np.arange(len(elements)), labels, fontsize=7.5)
        right.grid(axis="y", visible=False)
        right.set(xlabel="what losing it adds to the objective")
        right.set_title("Sites and lines", loc="left")
        return figure


def _dot(fill: str, marker: str, label: str, edge: str | None = None, area: float = 36.0) -> Any:
    from matplotlib.lines import Line2D

    return Line2D(
        [], [], ls="none", marker=marker, ms=area**0.5, markerfacecolor=fill, markeredgecolor=edge or fill, label=label
    )
