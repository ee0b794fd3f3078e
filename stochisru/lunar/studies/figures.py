"""Paper-ready figures of studies."""

from __future__ import annotations

from itertools import cycle
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np

from stochisru.lunar.studies.values import MEANING, UNITS, unit_of
from stochisru.report.style import PALETTE, money, new_figure

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from stochisru.lunar.case import DeploymentCase
    from stochisru.lunar.studies.efficiency import Frontier
    from stochisru.lunar.studies.maps import TwoWayMap
    from stochisru.lunar.studies.robustness import Robustness
    from stochisru.lunar.studies.sensitivity import Tornado
    from stochisru.lunar.studies.tail_frontier import TailFrontier
    from stochisru.lunar.studies.tuning import Tuning

_LOW, _HIGH = PALETTE[5], PALETTE[1]
#: Names that are too long for an axis, shortened.
_NAMES = {"rp": "expected NPV, RP", "vss": "VSS", "vms": "VMS", "earth_backup": "value of Earth supply"}
MARKERS = "osD^vP*X><pd"
_SIGNS = {
    "sigma": r"$\sigma$",
    "mu": r"$\mu$",
    "eta": r"$\eta$",
    "alpha": r"$\alpha$",
    "beta": r"$\beta$",
    "degradation": r"$\delta$",
    "D0": "$D_0$",
    "M0": "$M_0$",
    "r": "$r$",
    "lead_time": "$L$",
    "T": "$T$",
}


def sign(symbol: str) -> str:
    """A symbol as it is printed."""
    head, _, tail = symbol.partition("_")
    return _SIGNS.get(symbol, rf"${head}_{{\mathrm{{{tail}}}}}$" if tail else symbol)


def escaped(text: str) -> str:
    """Text whose dollars are no mathematics."""
    return text.replace("$", r"\$")


def _axis_label(case: DeploymentCase, symbol: str) -> str:
    description = str(case.to_frame().loc[symbol, "description"])
    text = f"{description}, SIGN ({unit_of(case, symbol)})"
    lines = wrap(text, 32) if len(text) > 44 else [text]
    return escaped("\n".join(lines)).replace("SIGN", sign(symbol))


def tornado_pair(study: Tornado, quantities: tuple[str, str] = ("rp", "flexibility"), largest: int = 12) -> Figure:
    """Two tornados side by side, each ranked by its own swings; symbols without effect are left out."""
    shown = {q: [s for s in study.ranked(q) if study.swing(s, q) > 0][:largest] for q in quantities}
    rows = {(r["symbol"], r["level"]): r for r in study.rows}
    base = next(r for r in study.rows if r["level"] == "base")
    height = 1.1 + 0.27 * max(1, *(len(s) for s in shown.values()))
    with new_figure(7.2, height, len(quantities)) as (figure, axes):
        for ax, quantity in zip(axes, quantities, strict=True):
            symbols = shown[quantity]
            for place, symbol in enumerate(symbols):
                for level, color in (("low", _LOW), ("high", _HIGH)):
                    end = rows[symbol, level][quantity]
                    label = f"{level} value" if place == 0 else None
                    ax.barh(place, end - base[quantity], left=base[quantity], height=0.62, color=color, label=label)
            ax.set_yticks(range(len(symbols)), [_span_label(study, s) for s in symbols])
            ax.invert_yaxis()
            ax.axvline(base[quantity], color="0.3", lw=0.8)
            ax.grid(axis="y", visible=False)
            values = [rows[s, level][quantity] for s in symbols for level in ("low", "high")]
            unit = _scaled(ax.xaxis, quantity, values or [base[quantity]])
            ax.set_xlabel(f"{_NAMES.get(quantity, MEANING[quantity])} ({unit})")
            ax.locator_params(axis="x", nbins=5)
        handles, labels = axes[0].get_legend_handles_labels()
        if handles:
            figure.legend(handles, labels, loc="outside upper center", ncols=2)
        return figure


def _span_label(study: Tornado, symbol: str) -> str:
    ends = [r["value"] for r in study.rows if r["symbol"] == symbol and r["level"] != "base"]
    unit = escaped(unit_of(study.case, symbol))
    return f"{sign(symbol)}  {_short(ends[0])}–{_short(ends[1])} {unit if unit != '-' else ''}".rstrip()


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _scaled(axis: Any, quantity: str, values: list[float]) -> str:
    """Scale an axis to the size of a quantity; return its unit, ready to be drawn."""
    if UNITS[quantity] != "$":
        return UNITS[quantity]
    return escaped(money(axis, max(abs(v) for v in values)))


def value_map(study: TwoWayMap, quantity: str = "staging", level: float | None = None) -> Figure:
    """Map of the optimal NPV with the lines where designs begin to pay, and of one more quantity beside it.

    Parameters
    ----------
    quantity
        Quantity of the right map.
    level
        Value of it whose line is drawn bold; none if not given.
    """
    with new_figure(7.2, 3.5, 2) as (figure, axes):
        for ax, name in zip(axes, ("rp", quantity), strict=True):
            _filled(figure, ax, study, name)
            ax.set(xlabel=_axis_label(study.case, study.x), ylabel=_axis_label(study.case, study.y))
            ax.grid(visible=False)
        lines = {
            "expected NPV of the optimum = 0": _line(axes[0], study, "rp", 0.0, "-"),
            "expected NPV of the fixed design = 0": _line(axes[0], study, "fixed", 0.0, "--"),
        }
        drawn = {text: line for text, line in lines.items() if line is not None}
        if drawn:
            axes[0].legend(drawn.values(), drawn.keys(), loc="lower center", bbox_to_anchor=(0.5, 1.0))
            _name_regions(axes[0], study)
        if level is not None:
            handle = _line(axes[1], study, quantity, level, "-")
            if handle is not None:
                text = f"{MEANING[quantity]} = {amount(level, quantity)}"
                axes[1].legend([handle], [text], loc="lower center", bbox_to_anchor=(0.5, 1.0))
        return figure


def _name_regions(ax: Axes, study: TwoWayMap) -> None:
    """Say in each region which designs pay there, where its name has most room; too small regions stay unnamed."""
    from scipy.interpolate import RegularGridInterpolator

    x, y = (np.linspace(v[0], v[-1], 41) for v in (study.x_values, study.y_values))
    mesh = np.stack(np.meshgrid(y, x, indexing="ij"), axis=-1)
    rp, fixed = (
        RegularGridInterpolator((study.y_values, study.x_values), study.grid(q))(mesh) for q in ("rp", "fixed")
    )
    j, i = np.meshgrid(np.linspace(0, 1, x.size), np.linspace(0, 1, y.size))
    width, height = 0.3, 0.06  # half the size of a name, in axes
    regions = {
        "fixed design pays": fixed > 0,
        "pays only if flexible": (fixed <= 0) & (rp > 0),
        "does not pay": rp <= 0,
    }
    for text, inside in regions.items():
        room = np.minimum(np.minimum(j, 1 - j) / width, np.minimum(i, 1 - i) / height)
        if not inside.all():
            aside, above = abs(j[..., None] - j[~inside]) / width, abs(i[..., None] - i[~inside]) / height
            room = np.minimum(room, np.maximum(aside, above).min(axis=-1))
        k = np.unravel_index(np.argmax(np.where(inside, room, 0)), room.shape)
        if room[k] > 0.9 and inside[k]:
            box = {"boxstyle": "round,pad=0.2", "fc": "white", "ec": "none", "alpha": 0.75}
            ax.text(x[k[1]], y[k[0]], text, ha="center", va="center", fontsize=7.5, bbox=box)


def amount(value: float, quantity: str) -> str:
    """A value of a quantity with its unit, short."""
    unit = UNITS[quantity]
    if unit != "$":
        return f"{value:g} {unit}"
    scale, name = next(
        (s, n) for s, n in ((1e9, " billion"), (1e6, " million"), (1.0, "")) if abs(value) >= s or s == 1
    )
    return rf"\${value / scale:g}{name}"


def _line(ax: Axes, study: TwoWayMap, quantity: str, level: float, dash: str) -> Any:
    """Draw the line on which a quantity has a level; None if there is none."""
    handle = None
    for _, line in study.contour(quantity, level).groupby("line"):
        (handle,) = ax.plot(line[study.x], line[study.y], color="black", lw=1.8, ls=dash)
    return handle


def _filled(figure: Figure, ax: Axes, study: TwoWayMap, quantity: str) -> None:
    grid = np.ma.masked_invalid(study.grid(quantity))
    filled = ax.contourf(study.x_values, study.y_values, grid, levels=10, cmap="cividis", alpha=0.85)
    ax.contour(study.x_values, study.y_values, grid, levels=filled.levels, colors="white", linewidths=0.4)
    bar = figure.colorbar(filled, ax=ax, orientation="vertical", shrink=0.95)
    unit = _scaled(bar.ax.yaxis, quantity, [float(np.abs(grid).max())])
    bar.set_label(f"{_NAMES.get(quantity, MEANING[quantity])} ({unit})")


def efficiency_frontiers(study: Frontier) -> Figure:
    """Mean NPV against CVaR of the loss and against first-year capital, with the non-dominated strategies joined."""
    from matplotlib.ticker import SymmetricalLogLocator

    frame = study.to_frame()
    sampled = frame["initial_ratio"].notna() & frame["strategy"].str.startswith("rule-")
    named, rules = frame[~sampled], frame[sampled]
    floor = float(named["npv_mean"].min() if len(named) else rules["npv_mean"].quantile(0.1))
    shown = rules[rules["npv_mean"] >= floor]
    with new_figure(7.2, 3.6, 2) as (figure, axes):
        for ax, traded, side, label in (
            (axes[0], "cvar95", "risk", "CVaR of the loss, 95 %"),
            (axes[1], "first_year_capital", "capital", "capital of the first year"),
        ):
            if len(shown):
                text = f"sampled rules\n({len(shown)} of {len(rules)} above\nthe worst strategy)"
                ax.plot(shown[traded], shown["npv_mean"], ".", color="0.65", ms=3, label=text, zorder=1)
            best = frame[frame[f"efficient_{side}"].astype(bool) & (frame["npv_mean"] >= floor)]
            best = best.sort_values([traded, "npv_mean"])
            ring = {"marker": "o", "mfc": "none", "ms": 9}
            ax.plot(best[traded], best["npv_mean"], color="black", lw=0.9, label="not dominated", zorder=2, **ring)
            for row, marker, color in zip(named.itertuples(), cycle(MARKERS), cycle(PALETTE), strict=False):
                ax.plot(getattr(row, traded), row.npv_mean, marker, color=color, ms=5, label=row.strategy, zorder=3)
            seen = np.concatenate([named[traded], shown[traded]])
            if side == "capital" and seen.max() > 0:
                smallest = float(seen[seen > 0].min())
                linear = max(smallest, 1e-6 * seen.max())
                ax.set_xscale("symlog", linthresh=linear)
                between = [1, 2, 5] if seen.max() < 300 * linear else [1]
                base = 10 if seen.max() < 1e4 * linear else 100  # labels need room
                ax.xaxis.set_major_locator(SymmetricalLogLocator(base=base, linthresh=linear, subs=between))
            x_unit = escaped(money(ax.xaxis, float(np.abs(seen).max())))
            y_unit = escaped(money(ax.yaxis, float(frame["npv_mean"].max())))
            ax.set(xlabel=f"{label} ({x_unit})", ylabel=f"mean NPV ({y_unit})")
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside right center")
        return figure


def tuning_result(study: Tuning) -> Figure:
    """Objective of the tuned rule and its yardsticks on fresh paths, and the share of the optimum they reach."""
    frame = study.to_frame()
    frame = frame[frame["strategy"] != "none"].sort_values("objective", ascending=True)
    place = np.arange(len(frame))
    names = frame["strategy"].replace({"threshold": "exact policy", "tuned": "tuned rule"})
    colors = [PALETTE[1] if s == "tuned" else PALETTE[0] for s in frame["strategy"]]
    with new_figure(7.2, 1.2 + 0.3 * len(frame), 2) as (figure, (left, right)):
        _bars(left, place, frame, "objective", colors)
        left.plot(
            frame["objective_in_sample"], place, "d", color="black", ms=4, mfc="none", label="on the tuning paths"
        )
        left.set_yticks(place, names)
        unit = escaped(money(left.xaxis, float(frame["objective"].abs().max())))
        weight = study.objective.risk_weight
        label = "mean NPV" if weight == 0 else f"{1 - weight:g}·mean NPV − {weight:g}·CVaR"
        left.set_xlabel(f"{label} ({unit}), fresh paths")
        left.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0))
        shares = frame["share_of_flexibility"].notna().all()
        if shares:
            _bars(right, place, frame, "share_of_flexibility", colors)
            for y, share in zip(place, frame["share_of_flexibility"], strict=True):
                right.text(1.04, y, f"{share:.1%}", va="center", fontsize=8, transform=right.get_yaxis_transform())
            right.set_xlim(min(0.0, max(-1.0, float(frame["share_of_flexibility"].min()))), 1.05)
            right.set_xlabel("share of the value of flexibility (-)")
        right.set_yticks(place, [""] * len(frame))
        right.tick_params(left=False)
        for ax in (left, right):
            ax.grid(axis="y", visible=False)
            ax.axvline(0, color="0.3", lw=0.8)
        right.set_visible(bool(shares))
        return figure


def robustness_curve(study: Robustness) -> Figure:
    """Guaranteed and nominal value of the plan for the worst case over its size, and the first orders."""
    frame = study.to_frame()
    frame[["guaranteed", "ceiling", "nominal"]] = frame[["guaranteed", "ceiling", "nominal"]].astype(float)
    with new_figure(7.2, 3.2, 2) as (figure, (left, right)):
        size = frame["size"]
        left.axhline(study.rp, color="0.3", lw=0.8, ls=":", label="RP of the case")
        left.fill_between(size, frame["nominal_lower"], frame["nominal_upper"], color=PALETTE[0], alpha=0.2, lw=0)
        left.plot(size, frame["nominal"], "-o", color=PALETTE[0], ms=4, label="nominal: the case's numbers hold")
        left.plot(size, frame["guaranteed"], "--s", color=PALETTE[1], ms=4, label="guaranteed: at worst")
        if frame["ceiling"].notna().all():
            left.fill_between(size, frame["guaranteed"], frame["ceiling"], color=PALETTE[1], alpha=0.2, lw=0)
        if "unprepared" in frame:
            left.plot(size, frame["unprepared"], "-.", color=PALETTE[7], lw=1, label="the case's own plan, at worst")
        values = frame[["guaranteed", "nominal"]].to_numpy()
        unit = escaped(money(left.yaxis, float(np.abs(values).max())))
        left.set_ylabel(f"NPV of the {study.of} ({unit})")
        orders = [name for name in frame.columns if name.startswith("dM")][:2]
        for name, marker, color in zip(orders, MARKERS, PALETTE, strict=False):
            right.plot(size, frame[name], marker=marker, color=color, ms=4, label=f"year {name[2:]}")
        right.set_ylabel("ordered at the start (kg)")
        right.set_ylim(bottom=0)
        kind = "share of the box (-)" if study.kind == "box" else f"radius of the {study.kind} ball (-)"
        for ax in (left, right):
            ax.set_xlabel(kind)
            ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0))
        return figure


def tail_curve(study: TailFrontier) -> Figure:
    """Mean against CVaR of total NPV, a point per weight, and the first orders over the weight."""
    frame = study.to_frame()
    with new_figure(7.2, 3.2, 2) as (figure, (left, right)):
        left.plot(frame["cvar"], frame["mean"], "-o", color=PALETTE[0], ms=4)
        last = len(frame) - 1
        for i, row in enumerate(frame.itertuples()):
            offset = (6, 4) if i < last else (-4, -12)
            left.annotate(
                f"{row.weight:g}", (row.cvar, row.mean), xytext=offset, textcoords="offset points", fontsize=7
            )
        across = escaped(money(left.xaxis, float(np.abs(frame["cvar"]).max())))
        up = escaped(money(left.yaxis, float(np.abs(frame["mean"]).max())))
        left.set_xlabel(f"CVaR, mean of the worst {study.tail:g} ({across})")
        left.set_ylabel(f"mean NPV of the tree ({up})")
        left.margins(0.12)
        left.set_title("weight of the CVaR at each point", fontsize=8)
        for name, marker, color in zip(study.orders[: len(MARKERS)], cycle(MARKERS), cycle(PALETTE), strict=False):
            right.plot(frame["weight"], frame[name], marker=marker, color=color, ms=4, label=_order_name(name))
        right.set_xlabel("weight of the CVaR (-)")
        right.set_ylabel("ordered at the start (kg)")
        right.set_ylim(bottom=0)
        right.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
        return figure


def _order_name(order: str) -> str:
    """``dM1`` as ``year 1``, of a technology with its name."""
    technology, _, year = order.rpartition(" ")
    return f"{technology} year {year[2:]}".strip()


def _bars(ax: Axes, place: Any, frame: pd.DataFrame, column: str, colors: list[str]) -> None:
    value = frame[column].astype(float)
    error = [value - frame[f"{column}_lower"].astype(float), frame[f"{column}_upper"].astype(float) - value]
    ax.barh(place, value, height=0.6, color=colors, alpha=0.8, zorder=2)
    ax.errorbar(
        value, place, xerr=np.maximum(error, 0), fmt="none", ecolor="black", elinewidth=0.9, capsize=2, zorder=3
    )
