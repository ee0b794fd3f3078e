"""Figures of the cislunar campaign: the plan as a bat chart, and the sensitivities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from stochisru.report.style import PALETTE, new_figure
from stochisru.worked.cislunar.network import CARGO, POINTS, windows
from stochisru.worked.cislunar.parameters import PLACES, WINDOWS_PER_YEAR

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text
    from matplotlib.transforms import Bbox

    from stochisru.worked.cislunar.campaign import CampaignResult

#: Height of the places in the chart.
_HEIGHT = {"Earth": 0.0, "LEO": 1.0, "GEO": 2.1, "EML1": 3.2, "Moon": 4.3}
#: Windows side by side in one panel.
_PER_PANEL = 4
#: Width of a window in the chart, in points of time; the rest is the time between windows.
_STRIDE = 5.0
#: Short names of cargo, in the order in which labels name them.
_SHORT = {
    "payload": "payload", "oxygen": "O₂", "hydrogen": "H₂", "water": "H₂O", "extraction plant": "SWE",
    "electrolysis plant": "DWE", "spares": "spares", "cryogenic tank": "tanks", "water tank": "tanks",
}  # fmt: skip
_OUTWARD, _HOMEWARD, _WORK, _DEMAND = PALETTE[0], PALETTE[1], PALETTE[2], PALETTE[3]


def campaign_plan(result: CampaignResult) -> Figure:
    """Flights, launches, work of the plants and demand over time, in tonnes: who flies where in which window."""
    count = windows(result.campaign)
    panels = -(-count // _PER_PANEL)
    with new_figure(10.0, 1.1 + 3.9 * panels) as (figure, axes):
        figure.delaxes(axes)
        written: list[Labels] = []
        p, least = result.campaign, result.bounds.lower / 1e9
        plants = ", ".join(f"{kind} {site} {kg / 1000:.1f} t" for (kind, site), kg in result.sizes.items() if kg > 0)
        figure.suptitle(
            f"{p.title}: {result.cost / 1e9:.3f} billion $ (minimised; none can cost less than {least:.3f})\n"
            f"{result.isru_mass / 1000:.1f} t of plant: {plants}\n"
            "×n: stages (1 if not given); then cargo in tonnes; dashed: no cargo",
            fontsize=9,
        )
        for panel in range(panels):
            shown = range(panel * _PER_PANEL, min(count, (panel + 1) * _PER_PANEL))
            ax = figure.add_subplot(panels, 1, panel + 1)
            _frame(ax, shown)
            labels = Labels(ax)
            _demand(ax, result, shown, labels)
            _work(ax, result, shown, labels)
            _launches(ax, result, shown, labels)
            _flights(ax, result, shown, labels)
            written.append(labels)
            if panel == 0:
                _legend(ax)
        figure.canvas.draw()  # now every axes has its place
        for labels in written:
            labels.place()
        return figure


class Labels:
    """Texts of an axes, each at the first of its possible places where it covers no other."""

    def __init__(self, ax: Axes) -> None:
        self.ax = ax
        self._waiting: list[tuple[str, list[tuple[float, float]], dict[str, Any]]] = []
        self.placed: list[Text] = []

    def add(self, text: str, places: list[tuple[float, float]], **style: Any) -> None:
        """A text and where it may stand, best places first."""
        self._waiting.append((text, places, style))

    def place(self) -> None:
        """Write all texts; the figure must have been drawn once."""
        renderer = self.ax.figure.canvas.get_renderer()  # type: ignore[attr-defined]
        taken: list[Bbox] = []
        for text, places, style in self._waiting:
            written = self.ax.text(
                *places[0], text, zorder=6, linespacing=0.95, in_layout=False,
                bbox={"boxstyle": "round,pad=0.08", "fc": "white", "ec": "none", "alpha": 0.85}, **style,
            )  # fmt: skip
            covered = []
            for place in places:
                written.set_position(place)
                box = written.get_window_extent(renderer)
                covered.append(sum(_common_area(box, other) for other in taken))
                if covered[-1] == 0:
                    break
            written.set_position(places[int(np.argmin(covered))])
            taken.append(written.get_window_extent(renderer))
            self.placed.append(written)
        self._waiting.clear()


def _common_area(one: Bbox, other: Bbox) -> float:
    """Area that two boxes share, pixels²."""
    wide = min(one.x1, other.x1) - max(one.x0, other.x0)
    high = min(one.y1, other.y1) - max(one.y0, other.y0)
    return float(max(wide, 0.0) * max(high, 0.0))


def _x(window: int, point: float) -> float:
    return window * _STRIDE + point


def _frame(ax: Axes, shown: range) -> None:
    for place, height in _HEIGHT.items():
        ax.axhline(height, color="0.75", lw=0.8, zorder=1)
        ax.text(_x(shown[0], -0.9), height, place, ha="right", va="center", fontsize=9)
    for window in shown:
        ax.axvspan(_x(window, -0.25), _x(window, POINTS - 0.75), color="0.95", lw=0, zorder=0)
        year = window / WINDOWS_PER_YEAR
        ax.text(_x(window, (POINTS - 1) / 2), -0.62, f"year {year:g}", ha="center", va="top", fontsize=8)
    last = shown[0] + max(len(shown), _PER_PANEL) - 1 if len(shown) < _PER_PANEL and shown[0] else shown[-1]
    ax.set(xlim=(_x(shown[0], -0.7), _x(last, POINTS - 0.4)), ylim=(-0.95, 5.1))
    ax.axis("off")


def _cargo(row: Mapping[Any, Any]) -> list[str]:
    """Cargo in tonnes by short name, from 50 kg on; tanks only where there is nothing else."""
    parts: dict[str, float] = {}
    for name in _SHORT:
        if row[name] >= 50:
            parts[_SHORT[name]] = parts.get(_SHORT[name], 0.0) + row[name] / 1000
    if len(parts) > 1:
        parts.pop("tanks", None)
    return [f"{t:.1f} {name}" if t < 9.95 else f"{t:.0f} {name}" for name, t in parts.items()]


def _launches(ax: Axes, result: CampaignResult, shown: range, labels: Labels) -> None:
    table = result.flights
    for row in table[table["launch"]].to_dict("records"):
        if row["window"] not in shown:
            continue
        total = row["propellant"] + sum(row[c] for c in CARGO)
        x = _x(row["window"], row["point"])
        ax.annotate(
            "", (x, _HEIGHT["LEO"]), (x, _HEIGHT["Earth"]),
            arrowprops={"arrowstyle": "-|>", "color": "0.25", "lw": 1 + 2 * min(total / 2e5, 1.5)}, zorder=3,
        )  # fmt: skip
        new = f"{row['stages']} new stage{'s' if row['stages'] > 1 else ''}" if row["stages"] else ""
        fuel = "propellant" if row["point"] == 0 else "prop."
        lines = [new, f"{row['propellant'] / 1000:.0f} t {fuel}" if row["propellant"] >= 50 else ""]
        rest = (total - row["propellant"]) / 1000
        lines.append(f"{rest:.0f} t cargo" if rest >= 0.5 else "")
        text = "\n".join(line for line in lines if line)
        if text:
            heights = (0.66, 0.3, 0.5, 0.8, 0.18)
            labels.add(text, [(x + 0.1, y) for y in heights], fontsize=6.5, va="center", ha="left", color="0.2")


def _flights(ax: Axes, result: CampaignResult, shown: range, labels: Labels) -> None:
    from matplotlib.patches import FancyArrowPatch

    table = result.flights
    for row in table[~table["launch"]].to_dict("records"):
        if row["window"] not in shown:
            continue
        outward = PLACES.index(row["head"]) > PLACES.index(row["tail"])
        color = _OUTWARD if outward else _HOMEWARD
        start = np.array([_x(row["window"], row["point"]), _HEIGHT[row["tail"]]])
        end = np.array([_x(row["window"], row["point"] + 1), _HEIGHT[row["head"]]])
        cargo, mass = _cargo(row), sum(row[c] for c in CARGO)
        ax.add_patch(
            FancyArrowPatch(
                tuple(start),
                tuple(end),
                arrowstyle="-|>,head_length=4,head_width=2",
                mutation_scale=1.0,
                shrinkA=2,
                shrinkB=2,
                lw=0.9 + 2.2 * min(mass / 4e4, 1.5),
                color=color,
                ls="-" if cargo else (0, (4, 2)),
                zorder=3,
            )
        )
        lines = [f"×{row['stages']}"] if row["stages"] > 1 else []
        lines += cargo
        if lines:
            places = [
                (float(at[0]) + aside, float(at[1]))
                for aside in (0.0, 0.3, -0.3, 0.6, -0.6)
                for at in (start + share * (end - start) for share in (0.5, 0.4, 0.6, 0.3, 0.7, 0.2, 0.8))
            ]
            labels.add("\n".join(lines), places, fontsize=6, ha="center", va="center", color=color)


def _work(ax: Axes, result: CampaignResult, shown: range, labels: Labels) -> None:
    table = result.work
    offset = {"SWE": 0.12, "DWE": -0.12}
    for row in table.to_dict("records"):
        if row["window"] not in shown:
            continue
        y = _HEIGHT[row["site"]] + offset[row["kind"]]
        start, end = _x(row["window"], POINTS - 1), min(_x(row["window"] + 1, 0), _x(shown[-1], POINTS - 0.4))
        ax.plot([start, end], [y, y], color=_WORK, lw=2.4, solid_capstyle="butt", zorder=2)
        if end - start < 1.0:  # goes on in the next panel, where there is room for its label
            continue
        up = row["kind"] == "SWE"
        text = f"{row['kind']} {row['feed'] / 1000:.0f} t"
        side = 0.07 if up else -0.07
        places = [(start + share * (end - start), y + far * side) for far in (1, 3) for share in (0.5, 0.3, 0.7)]
        labels.add(text, places, fontsize=6, color=_WORK, ha="center", va="bottom" if up else "top")


def _demand(ax: Axes, result: CampaignResult, shown: range, labels: Labels) -> None:
    campaign = result.campaign
    due = {year * WINDOWS_PER_YEAR for year in campaign.due}
    for window in due & set(shown):
        for place in PLACES[1:]:
            parts = [
                f"{kg / 1000:g} {_SHORT[c]}" for (node, c), kg in campaign.yearly.items() if node == place and kg > 0
            ]
            if parts:
                x, y = _x(window, POINTS - 1), _HEIGHT[place]
                ax.plot(x, y, marker="v", ms=6, color=_DEMAND, zorder=5)
                above = 0.4 if place == "Moon" else 0.1
                places = [(x + 0.15, y + above + more) for more in (0.0, 0.15, 0.3)]
                labels.add("\n".join(parts), places, fontsize=6, color=_DEMAND, ha="left", va="bottom")


def _legend(ax: Axes) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color="0.25", lw=1.6, label="launch"),
        Line2D([], [], color=_OUTWARD, lw=1.6, label="outward"),
        Line2D([], [], color=_HOMEWARD, lw=1.6, label="homeward"),
        Line2D([], [], color=_WORK, lw=2.4, label="plant at work: water extracted, split"),
        Line2D([], [], ls="none", marker="v", ms=6, color=_DEMAND, label="demand due (t)"),
    ]
    ax.legend(handles=handles, loc="lower center", bbox_to_anchor=(0.5, 0.97), ncols=5)


def sweep_figure(rows: Sequence[Mapping[str, Any]], parameter: str) -> Figure:
    """Cost and ISRU mass against a parameter; the band below a cost reaches down to its proven bound."""
    import pandas as pd

    from stochisru.worked.cislunar.sweep import SWEEPS

    table = pd.DataFrame(list(rows))
    table = table[table["parameter"] == parameter]
    axis = SWEEPS[parameter]
    with new_figure(7.2, 3.5, 2) as (figure, (left, right)):
        for (architecture, setup), line in table.groupby(["architecture", "setup"], sort=False):
            _line(left, right, line, str(architecture), bool(setup))
        left.set(xlabel=axis.label, ylabel="cost (billion $, minimised)")
        right.set(xlabel=axis.label, ylabel="ISRU mass (t)")
        for ax in (left, right):
            ax.set_ylim(0, 1.05 * ax.get_ylim()[1])
            ax.set_xticks(sorted(table["value"].unique()))
        figure.legend(*left.get_legend_handles_labels(), loc="outside upper center", ncols=2)
        return figure


def _line(left: Axes, right: Axes, line: pd.DataFrame, architecture: str, setup: bool) -> None:
    color = PALETTE[0] if architecture == "concentrated" else PALETTE[1]
    look: dict[str, Any] = {
        "color": color, "ls": "--" if setup else "-", "marker": "s" if setup else "o", "ms": 3.5, "lw": 1.4,
        "mfc": "white" if architecture == "distributed" else color,
    }  # fmt: skip
    label = f"{architecture}, {'with' if setup else 'without'} set-up"
    x = line["value"].to_numpy()
    left.fill_between(x, line["lower"] / 1e9, line["cost"] / 1e9, color=color, alpha=0.1, lw=0)
    left.plot(x, line["cost"] / 1e9, label=label, **look)
    right.plot(x, line["isru_mass"] / 1e3, **look)
