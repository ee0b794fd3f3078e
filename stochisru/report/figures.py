"""Paper-ready figures of a run, each from tidy tables."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from stochisru.errors import InputError
from stochisru.report.style import DASHES, PALETTE, money, new_figure
from stochisru.simulation.estimators import sample_of
from stochisru.simulation.metrics import metrics_frame, npv_metrics

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

OPERATIONS_CAPTION = (
    "Utilisation of capacity and self-sufficiency over time (and demand satisfaction, where any demand is short), as "
    "ratios of means over all paths."
)
TIMING_CAPTION = (
    "When plant arrives, over all paths: share of paths and mean mass by year; share whose first deployment after year "
    "0 came by a year; share with at least so many years with a deployment."
)
#: Nodes above this number are thinned in the fan figure.
_DRAWN_NODES = 1500


def demand_fan(fan: pd.DataFrame, tree: pd.DataFrame) -> Figure:
    """Quantile fan of demand with the nodes and first branches of the scenario tree."""
    with new_figure(5.2, 3.4) as (figure, ax):
        year = fan["t"]
        levels = [c for c in fan.columns if c not in ("t", "mean")]
        for low, high, alpha in ((levels[0], levels[-1], 0.15), (levels[1], levels[-2], 0.25)):
            label = f"{float(low):.0%}–{float(high):.0%} of the process"
            ax.fill_between(year, fan[low], fan[high], color=PALETTE[0], alpha=alpha, lw=0, label=label)
        ax.plot(year, fan["mean"], color=PALETTE[0], lw=1.6, label="mean")
        by_node = tree.set_index("node")
        early = tree[(tree["stage"] > 0) & (tree["stage"] <= 4)]
        if len(early) <= 400:
            above = by_node.loc[early["parent"]]
            x = np.stack([above["stage"], early["stage"], np.full(len(early), np.nan)])
            y = np.stack([above["value"], early["value"], np.full(len(early), np.nan)])
            ax.plot(x.T.ravel(), y.T.ravel(), color="0.45", lw=0.4, zorder=1)
        # Nodes of one stage that share a value are one dot, its area their probability.
        value = tree["value"].to_numpy()
        rounded = np.round(np.log(value), 6)
        dots = (
            tree.assign(key=rounded)
            .groupby(["stage", "key"], as_index=False)
            .agg(value=("value", "first"), probability=("probability", "sum"))
        )
        if len(dots) > _DRAWN_NODES:
            dots = dots.nlargest(_DRAWN_NODES, "probability")
        ax.scatter(
            dots["stage"],
            dots["value"],
            s=2 + 50 * dots["probability"],
            color=PALETTE[1],
            alpha=0.7,
            lw=0,
            zorder=3,
            label="tree nodes (area: probability)",
        )
        ax.set_yscale("log")
        ax.set(xlabel="year", ylabel="demand (kg/yr)")
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.legend(loc="upper left")
        return figure


def deployment_schedule(schedule: pd.DataFrame) -> Figure:
    """Plant in place and deployments per year of the process: RP against EV and WS, and the tree's RP beside it."""
    lines = {
        ("process", "WS"): ("wait-and-see (mean)", PALETTE[2], "-"),
        ("process", "RP"): ("multistage policy RP (mean)", PALETTE[0], "-"),
        ("process", "EV"): ("mean path's plan EV", PALETTE[1], "-"),
        ("tree", "RP"): ("RP of the tree (mean)", "0.45", ":"),
    }
    drawn = {key: plan for key, plan in schedule.groupby(["of", "plan"]) if key in lines}
    bars = [key for key in lines if key in drawn and key[0] == "process"]
    with new_figure(7.2, 3.2, 2) as (figure, (left, right)):
        for key, (label, color, dash) in lines.items():
            if key not in drawn:
                continue
            plan = drawn[key]
            left.plot(plan["year"], plan["plant"], color=color, lw=1.5, ls=dash, marker="o", ms=3, label=label)
            if key == ("process", "RP"):
                low, high = plan["plant_p5"], plan["plant_p95"]
                left.fill_between(plan["year"], low, high, color=color, alpha=0.15, lw=0, label="RP, P5–P95")
            if key in bars:
                shift = 0.27 * (bars.index(key) - (len(bars) - 1) / 2)
                right.bar(plan["year"] + shift, plan["deployment"], width=0.25, color=color, label=key[1])
        left.set(xlabel="year", ylabel="plant in place M (kg)")
        right.set(xlabel="year", ylabel="expected deployment ΔM (kg)")
        left.set_ylim(bottom=0)
        left.legend(loc="upper left")
        right.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)
        for ax in (left, right):
            ax.xaxis.get_major_locator().set_params(integer=True)
        return figure


def schedule_caption(schedule: pd.DataFrame) -> str:
    """Whose plans the figure of deployments shows."""
    plans = set(zip(schedule["of"], schedule["plan"], strict=True))
    against = [
        text
        for plan, text in (("WS", "perfect foresight (WS)"), ("EV", "the mean path's plan (EV)"))
        if ("process", plan) in plans
    ]
    text = f"Deployment on {schedule['paths'].max():,} fresh paths of the process: the policy behind RP"
    text += f" against {' and '.join(against)}" if against else ""
    return text + (
        "; beside it the plan that is optimal on the tree, by the tree's nodes." if ("tree", "RP") in plans else "."
    )


def value_ladder(values: pd.DataFrame) -> Figure:
    """EEV, fixed, static, RP, WS as bars; between neighbours what information and flexibility are worth.

    Parameters
    ----------
    values
        Table of values by ``quantity``: that of a case, or `stochisru.values.Values.to_frame` of any problem. What is
        infeasible has no bar and says so.

    Raises
    ------
    InputError
        If RP is infeasible.
    """
    table = (values.set_index("quantity") if "quantity" in values.columns else values)["value"]
    every = list(table.index)
    table = table[np.isfinite(table.astype(float))]
    if "rp" not in table.index:
        raise InputError("values: rp is infeasible or missing, there is no ladder")
    costs = "sense" in values.columns and (values["sense"] == "minimise").all()
    labels = {"eev": "EEV", "fixed": "fixed design", "static": "static plan", "rp": "RP", "ws": "WS"}
    steps = [name for name in labels if name in every]
    levels = {name: float(table[name]) for name in steps if name in table.index}
    ticks = [labels[name] if name in levels else f"{labels[name]}\ninfeasible" for name in steps]
    colors = {"rp": PALETTE[0], "ws": PALETTE[2]}
    with new_figure(6.4, 3.4) as (figure, ax):
        ax.bar(
            [steps.index(name) for name in levels],
            list(levels.values()),
            width=0.55,
            color=[colors.get(name, "0.7") for name in levels],
            zorder=2,
        )
        top, low = max(levels.values()), min(0.0, *levels.values())
        span = max(top - low, 1e-9)
        unit = money(ax.yaxis, max(abs(top), abs(low)))
        scale = {"$ billion": 1e9, "$ million": 1e6, "$ thousand": 1e3, "$": 1.0}[unit]
        ax.axhline(levels["rp"], color=PALETTE[0], lw=0.8, ls=":", zorder=1)
        gaps = (
            ("eev", "rp", "vss", "VSS"),
            ("fixed", "static", "scheduling", "scheduling"),
            ("static", "rp", "vms", "reacting"),
            ("rp", "ws", "evpi", "EVPI"),
        )
        for start, end, name, label in gaps:
            if not {name, start, end} <= set(table.index):
                continue
            # Over the bar whose value the difference lifts: to RP, or to the next bar.
            at = steps.index("ws" if end == "ws" else start)
            if abs(levels[end] - levels[start]) > 0.02 * span:
                arrow = {"arrowstyle": "<->", "color": PALETTE[1], "lw": 1.2}
                ax.annotate("", (at, levels[end]), (at, levels[start]), arrowprops=arrow)
            ax.text(
                at,
                max(levels[start], levels[end], levels["rp"], 0) + 0.03 * span,
                f"{label}\n{float(table[name]) / scale:.3g}",
                ha="center",
                va="bottom",
                color=PALETTE[1],
            )
        ax.set_xticks(range(len(steps)), ticks)
        ax.set_ylim(low - 0.05 * span if low < 0 else 0, max(top, 0) + 0.2 * span)
        ax.set_ylabel(f"expected {'cost' if costs else 'NPV'} ({unit})")
        ax.grid(axis="x", visible=False)
        ax.axhline(0, color="0.3", lw=0.8)
        return figure


def target_curves(
    npv: pd.DataFrame | Mapping[str, ArrayLike], metrics: pd.DataFrame | None = None, what: str = "NPV"
) -> Figure:
    """Cumulative distribution of NPV per strategy, with mean (dot) and P5/P95 (ticks).

    Parameters
    ----------
    npv
        A sample of NPV per strategy, $: columns of a table, or arrays by name. Infinite is what is infeasible; its
        share stands beside the name.
    metrics
        Table of `stochisru.simulation.metrics.metrics_frame` with the marked values; made from the sample if not given.
    what
        What the sample is of, such as ``cost``.

    Raises
    ------
    InputError
        If there is no sample, one is not of numbers, or nothing is feasible.
    """
    import pandas as pd

    try:
        npv = pd.DataFrame(npv)
    except ValueError as error:
        raise InputError(f"npv: must be samples of one length by name: {error}") from error
    if npv.empty:
        raise InputError("npv: needs at least one sample of at least one number")
    finite = {}
    for name in npv:
        drawn = npv[name].to_numpy()
        possible = drawn if drawn.dtype.kind not in "iuf" else drawn[~np.isinf(drawn)]
        finite[name] = sample_of(f"npv of {name}", possible) if possible.size else np.zeros(0)
    known = np.concatenate(list(finite.values()))
    if not known.size:
        raise InputError("npv: is infeasible on all paths, there is no curve")
    if metrics is None:
        metrics = metrics_frame({str(name): npv_metrics(sample) for name, sample in finite.items() if sample.size})
    wide = metrics.pivot(index="strategy", columns="metric", values="value")
    with new_figure(6.4, 3.8) as (figure, ax):
        low, high = (float(np.percentile(known, share)) for share in (1, 99))
        level = np.linspace(0.001, 0.999, 500)
        for name, color, dash in zip(npv.columns, cycle(PALETTE), cycle(DASHES), strict=False):
            sample = npv[name].to_numpy()
            broken = 1 - finite[name].size / sample.size
            if broken:
                at = np.quantile(sample, level, method="lower")
                shown = np.isfinite(at)
                label = f"{name} (infeasible on {broken:.2g} of paths)"
                ax.plot(at[shown], level[shown], color=color, ls=dash, lw=1.4, label=label)
                continue
            ax.plot(np.quantile(sample, level), level, color=color, ls=dash, lw=1.4, label=name)
            row = wide.loc[name]
            mean_level = float((sample <= row["npv_mean"]).mean())
            ax.plot(row["npv_mean"], mean_level, "o", color=color, ms=4)
            ax.plot([row["npv_p5"], row["npv_p95"]], [0.05, 0.95], "|", color=color, ms=8, mew=1.4)
        ax.axvline(0, color="0.3", lw=0.8)
        pad = 0.04 * (high - low)
        ax.set_xlim(low - pad, high + pad)
        unit = money(ax.xaxis, max(abs(low), abs(high)))
        ax.set(xlabel=f"{what} ({unit}); dot: mean, ticks: P5 and P95", ylabel=f"P({what} ≤ x)", ylim=(0, 1))
        ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
        return figure


def operations_over_time(operations: pd.DataFrame) -> Figure:
    """Utilisation and self-sufficiency per year and strategy, and demand satisfaction where any demand is short."""
    columns = {"utilization": "utilisation Q/Qcap", "self_sufficiency": "self-sufficiency Q/D"}
    if (operations["shortage"] > 0).any():
        columns["demand_satisfaction"] = "demand satisfaction (Q + Q_earth)/D"
    with new_figure(3.6 * len(columns), 3.2, len(columns)) as (figure, axes):
        names = list(dict.fromkeys(operations["strategy"]))
        for ax, (column, label) in zip(axes, columns.items(), strict=True):
            _lines(ax, operations, names, "year", column)
            ax.set(xlabel="year", ylabel=label, ylim=(0, 1.03))
            ax.xaxis.get_major_locator().set_params(integer=True)
        axes[-1].legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
        return figure


def _lines(ax: Axes, table: pd.DataFrame, names: list[str], x: str, y: str, marker: str = "") -> None:
    for name, color, dash in zip(names, cycle(PALETTE), cycle(DASHES), strict=False):
        part = table[table["strategy"] == name]
        ax.plot(part[x], part[y], color=color, ls=dash, lw=1.4, marker=marker, ms=3, label=name)


#: Indicators of the figure of distributions.
_INDICATORS = {
    "self_sufficiency": "self-sufficiency ΣQ/ΣD",
    "utilization": "utilisation ΣQ/ΣQcap",
    "demand_satisfaction": "demand satisfaction Σ(Q + Q_earth)/ΣD",
    "shortage": "shortage ΣS (kg)",
    "final_capacity": "final capacity (kg/yr)",
    "total_deployment": "total deployment ΣΔM (kg)",
}
#: A largest value over this many times the smallest is drawn on a logarithmic scale.
_WIDE = 30.0


def indicator_distributions(distributions: pd.DataFrame) -> Figure:
    """Cumulative distribution of every indicator that differs between paths or strategies, one panel each."""
    varying = _varying(distributions)
    columns = len(varying) if len(varying) <= 3 else 2 if len(varying) == 4 else 3
    rows = -(-len(varying) // columns)
    with new_figure(2.9 * columns + 1.2, 2.7 * rows, columns, rows) as (figure, axes):
        panels = list(np.ravel(axes))
        for ax in panels[len(varying) :]:
            ax.set_axis_off()
        names = list(dict.fromkeys(distributions["strategy"]))
        for ax, indicator in zip(panels, varying, strict=False):
            part = distributions[distributions["indicator"] == indicator]
            _lines(ax, part, names, "value", "level")
            inner = part[(part["level"] >= 0.01) & (part["level"] <= 0.99)]["value"]
            low, high = float(inner.min()), float(inner.max())
            if part["unit"].iloc[0] != "-" and low > 0 and high > _WIDE * low:
                ax.set_xscale("log")
                ax.set_xlim(low / 1.1, high * 1.1)
            elif high > low:
                ax.set_xlim(low - 0.04 * (high - low), high + 0.04 * (high - low))
            ax.set(xlabel=_INDICATORS[indicator], ylim=(0, 1))
        for ax in panels[::columns]:
            ax.set_ylabel("share of paths ≤ x")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside right center")
        return figure


def _varying(distributions: pd.DataFrame) -> list[str]:
    """Indicators that differ between paths or strategies; all if none does."""
    spans = distributions.groupby("indicator")["value"].agg(["min", "max"])
    width = dict(zip(spans.index, (spans["max"] - spans["min"]).to_numpy(dtype=float), strict=True))
    found = [name for name in _INDICATORS if width[name] > 1e-9]
    return found or list(_INDICATORS)


def distributions_caption(distributions: pd.DataFrame) -> str:
    """What the figure of distributions shows, and the values of the indicators that it leaves out."""
    varying = _varying(distributions)
    text = f"Cumulative distributions over {distributions['paths'].max():,} paths of the indicators other than NPV."
    constant = [name for name in _INDICATORS if name not in varying]
    if constant:
        value = distributions.groupby("indicator")["value"].max()
        said = ", ".join(f"{_INDICATORS[name]} = {value[name]:g}" for name in constant)
        text += f" The same on every path and for every strategy: {said}."
    return text


def deployment_timing(times: pd.DataFrame, numbers: pd.DataFrame) -> Figure:
    """When plant arrives: share of paths and mean mass by year, first arrival after year 0, number of arrivals."""
    with new_figure(7.6, 5.6, 2, 2) as (figure, ((share, mass), (first, count))):
        names = list(dict.fromkeys(times["strategy"]))
        drawn = times.assign(mass=times["mass"].where(times["mass"] > 0))
        added = times.assign(first=times.groupby("strategy")["first"].cumsum())
        tail = numbers.assign(more=1 - numbers.groupby("strategy")["share"].cumsum() + numbers["share"])
        for ax, table, x, y, label in (
            (share, times, "year", "deploying", "share of paths on which plant arrives"),
            (mass, drawn, "year", "mass", "mean ΔM (kg)"),
            (first, added, "year", "first", "share first deploying after 0 by year"),
            (count, tail, "deployments", "more", "share with at least so many"),
        ):
            # A single deployment is a point, not a line.
            _lines(ax, table, names, x, y, marker="o" if ax is mass else "")
            ax.set(xlabel=x if x == "year" else "years with a deployment", ylabel=label)
            ax.xaxis.get_major_locator().set_params(integer=True)
            if ax is not mass:
                ax.set_ylim(-0.02, 1.03)
        if drawn["mass"].max() > 10 * drawn["mass"].median():
            mass.set_yscale("log")
        figure.legend(*share.get_legend_handles_labels(), loc="outside right center")
        return figure


def bounds_by_iteration(log: pd.DataFrame) -> Figure:
    """Bounds of a method by iteration, and its residuals where it has such."""
    with new_figure(7.2, 3.2, 2) as (figure, (left, right)):
        for column, color, label in (
            ("upper", PALETTE[1], "upper bound"),
            ("lower", PALETTE[0], "lower bound"),
        ):
            left.step(log["number"], log[column], where="post", color=color, lw=1.5, label=label)
        unit = money(left.yaxis, float(log[["lower", "upper"]].abs().max().max()))
        left.set(xlabel="iteration", ylabel=f"expected NPV ({unit})")
        left.legend(loc="upper right")
        right.semilogy(log["number"], log["gap"].where(log["gap"] > 0), color=PALETTE[6], lw=1.5, label="relative gap")
        for column, color, label in (
            ("primal_residual", PALETTE[2], "primal residual (kg)"),
            ("dual_residual", PALETTE[3], "dual residual (kg)"),
        ):
            if column in log:
                size = log[column].where(log[column] > 0)
                right.semilogy(log["number"], size, color=color, ls="--", lw=1.2, label=label)
        right.set(xlabel="iteration")
        right.legend(loc="lower left")
        for ax in (left, right):
            ax.xaxis.get_major_locator().set_params(integer=True)
        return figure


def all_figures(tables: dict[str, pd.DataFrame]) -> dict[str, tuple[Figure, str]]:
    """Figures of a run by file name, each with its caption."""
    paths = len(tables["npv"])
    convergence = {}
    if "iterations" in tables:
        last = tables["iterations"].iloc[-1]
        text = f"Bounds and gap on the tree by iteration; {last['number']:.0f} to a gap of {last['gap']:.2g}."
        convergence["convergence"] = (bounds_by_iteration(tables["iterations"]), text)
    return {
        **convergence,
        "demand_fan": (
            demand_fan(tables["fan"], tables["tree"]),
            "Demand: quantile fan and mean of the process, and the scenario tree that stands for it.",
        ),
        "deployment_schedule": (
            deployment_schedule(tables["schedule"]),
            schedule_caption(tables["schedule"]),
        ),
        "value_ladder": (
            value_ladder(tables["values"]),
            "Expected NPV on the process, maximised, and what information and flexibility add.",
        ),
        "target_curves": (
            target_curves(tables["npv"], tables["metrics"]),
            f"Target curves of the strategies on {paths:,} fresh common paths.",
        ),
        "operations": (
            operations_over_time(tables["operations"]),
            OPERATIONS_CAPTION,
        ),
        "distributions": (
            indicator_distributions(tables["distributions"]),
            distributions_caption(tables["distributions"]),
        ),
        "deployment_times": (
            deployment_timing(tables["deployment_times"], tables["deployment_numbers"]),
            TIMING_CAPTION,
        ),
    }
