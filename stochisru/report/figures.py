"""Figures of a run and of any study of values and policies, each from tidy tables; see `stochisru.report.chart`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from scenario_trees.arrays import Array
from stochisru.errors import InputError
from stochisru.report.chart import Axis, Bars, Chart, Dots, Line, Mark, Panel, Piece, Ribbon, nice
from stochisru.report.elements import significant
from stochisru.report.words import LADDER, leading, named
from stochisru.simulation.estimators import sample_of

if TYPE_CHECKING:
    import pandas as pd

OPERATIONS_CAPTION = (
    "Share of capacity that is used, and share of demand that is met from the Moon (and in all, where any is short), "
    "by year: ratios of means over all paths."
)
TIMING_CAPTION = (
    "When plant arrives: share of paths on which some does, and mean mass, by year; the first years are out of sight "
    "where they hold much more than all others."
)
#: Shares of the distribution that the axis of a distribution leaves out at either end.
CUT = 0.01
#: Points of a curve of a distribution.
_POINTS = 161
#: A largest mass over so many times the second one is cut off.
_FAR = 3.0


def scale_of(largest: float) -> tuple[float, str]:
    """What dollars are divided by, and the name of the unit."""
    steps = ((1e9, "$ billion"), (1e6, "$ million"), (1e3, "$ thousand"), (1.0, "$"))
    return next((s, unit) for s, unit in steps if largest >= 2 * s or s == 1.0)


def _years(values: Any) -> Axis:
    first, last = float(np.min(values)), float(np.max(values))
    return Axis("year", first, max(last, first + 1), whole=True)


def _mass(label: str, top: float) -> Axis:
    return Axis(label, 0.0, 1.08 * top if top > 0 else 1.0)


# ------------------------------------------------------------------ decision


def regret_curve(regret: pd.DataFrame, order: str) -> Chart:
    """What other amounts of an order lose, with the order marked.

    Parameters
    ----------
    regret
        Rows of one order: ``kg``, ``regret`` ($), ``best`` and ``lot`` (whether it comes in lots).
    """
    kg, lost = regret["kg"].to_numpy(dtype=float), regret["regret"].to_numpy(dtype=float)
    chosen = regret[regret["best"]].iloc[0]
    scale, unit = scale_of(float(lost.max()))
    top = max(float(lost.max()), scale * 1e-3)
    y = Axis(f"loss of expected NPV, {unit}", 0.0, 1.05 * top, scale=scale)
    x = Axis(f"kg ordered: {order}", 0.0, max(1.04 * float(kg.max()), 1.0))
    at = np.array([chosen["kg"]]), np.array([chosen["regret"]])
    lots = bool(regret["lot"].iloc[0])
    line: Piece = Dots(kg, lost, radius=3.5) if lots else Line(kg, lost, lead=True)
    said = f"order {chosen['kg']:,.0f} kg"
    told = f"{order}: " + "; ".join(f"{a:,.0f} kg loses {b / scale:,.3g}" for a, b in zip(kg, lost, strict=True))
    return Chart((Panel(x, y, (line, Dots(*at, said, series=1, radius=6))),), f"{told} ({unit}).", 260, 430)


def break_even(
    grid: pd.DataFrame, line: pd.DataFrame | None, base: Mapping[str, float], names: tuple[str, str]
) -> Chart:
    """Expected NPV over two symbols: lines of equal value, the break-even bold, and the case as it is.

    Parameters
    ----------
    grid
        ``x``, ``y`` and ``value`` ($) of every point of a rectangle.
    line
        ``x`` and ``y`` where it is nothing, in the order of ``y``; None where that is nowhere near.
    base
        ``x``, ``y`` of the case.
    names
        What the symbols are, with units.
    """
    from contourpy import contour_generator

    table = grid.pivot_table(index="y", columns="x", values="value")
    xs, ys, z = table.columns.to_numpy(dtype=float), table.index.to_numpy(dtype=float), table.to_numpy(dtype=float)
    scale, unit = scale_of(float(np.abs(z).max()))
    levels = [v for v in nice(float(z.min()) / scale, float(z.max()) / scale, 6) if v != 0]
    made = contour_generator(xs, ys, z, line_type="Separate")
    pieces: list[Piece] = []
    for value in levels:
        for path in made.lines(value * scale):
            a, b = np.asarray(path).T
            pieces.append(Line(a, b, f"{value:,.6g}".replace("-", "−"), quiet=True))
    low, high = float(xs[0]), float(xs[-1])
    if line is not None:
        a, b = (line[name].to_numpy(dtype=float) for name in ("x", "y"))
        pieces.append(Line(a, b, "breaks even", lead=True))
        low, high = min(low, 0.9 * float(a.min())), max(high, 1.1 * float(a.max()))
    pieces.append(Dots(np.array([base["x"]]), np.array([base["y"]]), "the case", series=1, radius=6))
    x, y = Axis(names[0], low, high), Axis(names[1], float(ys[0]), float(ys[-1]))
    told = f"Lines of equal expected NPV ({unit}) over {names[0]} and {names[1]}; the case is marked."
    told += " It breaks even nowhere near." if line is None else ""
    return Chart((Panel(x, y, tuple(pieces), title=f"expected NPV, {unit}; upwards {names[1]}"),), told, 330, 560)


# -------------------------------------------------------------------- demand


def demand_fan(fan: pd.DataFrame, tree: pd.DataFrame | None = None, committed: int | None = None) -> Chart:
    """Quantiles and mean of demand; the same quantiles of the scenario tree as rings.

    Parameters
    ----------
    committed
        Last year whose plant is committed now, which is marked.
    """
    year = fan["t"].to_numpy(dtype=float)
    levels = [c for c in fan.columns if c not in ("t", "mean")]
    outer, inner = (levels[0], levels[-1]), (levels[1], levels[-2])
    pieces: list[Piece] = _committed(committed, year)
    for (low, high), opacity in ((outer, 0.16), (inner, 0.28)):
        share = float(high) - float(low)
        pieces.append(Ribbon(year, fan[low].to_numpy(), fan[high].to_numpy(), f"{share:.0%} of futures", 0, opacity))
    pieces.append(Line(year, fan["mean"].to_numpy(), "mean", lead=True))
    told = f"Demand by year: the mean rises from {fan['mean'].iloc[0]:,.0f} to {fan['mean'].iloc[-1]:,.0f} kg/yr; "
    told += f"{float(outer[1]) - float(outer[0]):.0%} of futures end between {fan[outer[0]].iloc[-1]:,.0f} and "
    told += f"{fan[outer[1]].iloc[-1]:,.0f}."
    top = float(fan[outer[1]].max())
    if tree is not None:
        found = _tree_quantiles(tree, (float(outer[0]), 0.5, float(outer[1])))
        for i, level in enumerate(found.T):
            pieces.append(Dots(year, level, "tree" if i == 2 else "", series=1, radius=3, hollow=True))
        told += " Rings are the 5, 50 and 95 per cent quantiles of the scenario tree."
        top = max(top, float(found.max()))
    return Chart((Panel(_years(year), _mass("demand, kg/yr", top), tuple(pieces)),), told, 280, 430)


def _tree_quantiles(tree: pd.DataFrame, levels: tuple[float, ...]) -> Array:
    """Quantiles of the values of each stage, shape ``(stages, levels)``."""
    stage, value, weight = (tree[c].to_numpy() for c in ("stage", "value", "probability"))
    order = np.lexsort((value, stage))
    stage, value, weight = stage[order], value[order], weight[order]
    starts = np.flatnonzero(np.diff(stage, prepend=-1))
    rows = []
    for first, end in zip(starts, [*starts[1:], stage.size], strict=True):
        below = np.cumsum(weight[first:end])
        at = np.minimum(np.searchsorted(below, np.array(levels) * below[-1] * (1 - 1e-12)), end - first - 1)
        rows.append(value[first:end][at])
    return np.array(rows)


def _committed(last: int | None, year: Array) -> list[Piece]:
    if last is None:
        return []
    return [Mark(x=float(year[0]), until=min(last + 0.5, float(year[-1])), label="committed now")]


def deployment_schedule(schedule: pd.DataFrame, committed: int | None = None) -> Chart:
    """Plant in place by year under the plan, beside what a forecast, the mean path and the tree would have.

    Parameters
    ----------
    schedule
        Table of `stochisru.lunar.schedule.schedule_table`.
    committed
        Last year whose plant is committed now, which is marked.
    """
    words = {
        ("process", "WS"): ("with a perfect forecast", 2),
        ("process", "EV"): ("plan for the mean path", 1),
        ("tree", "RP"): ("optimal on the tree", 3),
        ("process", "RP"): ("the plan", 0),
    }
    drawn = {key: plan for key, plan in schedule.groupby(["of", "plan"]) if key in words}
    own = drawn["process", "RP"]
    year = own["year"].to_numpy(dtype=float)
    pieces: list[Piece] = _committed(committed, year)
    pieces.append(Ribbon(year, own["plant_p5"].to_numpy(), own["plant_p95"].to_numpy(), "90% of futures"))
    for key, (label, series) in words.items():
        if key in drawn:
            x, y = drawn[key]["year"].to_numpy(dtype=float), drawn[key]["plant"].to_numpy()
            pieces.append(Line(x, y, label, series, lead=series == 0))
    top = max(float(own["plant_p95"].max()), *(float(p["plant"].max()) for p in drawn.values()))
    last = own.iloc[-1]
    told = f"Plant in place under the plan: mean {last['plant']:,.0f} kg in year {last['year']:.0f}, 90% of futures "
    told += f"{last['plant_p5']:,.0f} to {last['plant_p95']:,.0f} kg."
    panel = Panel(_years(year), _mass("plant in place, kg", top), tuple(pieces))
    return Chart((panel,), told, 280, 430)


def schedule_caption(schedule: pd.DataFrame) -> str:
    """Whose plans the figure of deployments shows."""
    plans = set(zip(schedule["of"], schedule["plan"], strict=True))
    against = [
        text
        for plan, text in (("WS", "perfect foresight"), ("EV", "the mean path's plan"))
        if ("process", plan) in plans
    ]
    text = f"Deployment on {schedule['paths'].max():,} fresh paths of the process: the policy behind the plan"
    text += f" against {' and '.join(against)}" if against else ""
    return text + (
        "; beside it the plan that is optimal on the tree, by the tree's nodes." if ("tree", "RP") in plans else "."
    )


# -------------------------------------------------------------------- values


def value_ladder(values: pd.DataFrame) -> Chart:
    """What ways to decide are worth, from the mean path's plan to a perfect forecast, as lying bars.

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
    costs = "sense" in values.columns and bool((values["sense"] == "minimise").all())
    steps = [name for name in LADDER if name in every][::-1]
    levels = np.array([float(table.get(name, np.nan)) for name in steps])
    known = ~np.isnan(levels)
    scale, unit = scale_of(float(np.abs(levels[known]).max()))
    at, plan = np.arange(len(steps), dtype=float), steps.index("rp")
    said = [_beside(v, levels[plan], scale, i == plan) for i, v in enumerate(levels)]
    others = known & (at != plan)
    pieces: tuple[Piece, ...] = (
        Bars(at[others], np.zeros(others.sum()), levels[others], 0.62, 6, "", _picked(said, others), True, True),
        Bars(at[[plan]], np.zeros(1), levels[[plan]], 0.62, 0, "", (said[plan],), True),
    )
    low, high = min(0.0, *levels[known]), max(0.0, *levels[known])
    room = 0.34 * (high - low or 1.0)
    labels = tuple(f"{LADDER[name]}{'' if ok else ': infeasible'}" for name, ok in zip(steps, known, strict=True))
    x = Axis(f"expected {'cost' if costs else 'NPV'}, {unit}", low, high + room, scale=scale)
    told = "; ".join(f"{label} {text}" for label, text in zip(labels[::-1], said[::-1], strict=True))
    panel = Panel(x, Axis("", -0.6, len(steps) - 0.4, names=labels), (*pieces, Mark(x=0.0)))
    return Chart((panel,), f"Expected {'cost' if costs else 'NPV'}, {unit}: {told}.", 60 + 38.0 * len(steps))


def _beside(value: float, plan: float, scale: float, is_plan: bool) -> str:
    if value != value:
        return ""
    text, off = significant(value / scale, 4), significant(abs(value - plan) / scale, 3)
    return text if is_plan else f"{text} ({'+' if value >= plan else '−'}{off})"


def _picked(said: list[str], which: Array) -> tuple[str, ...]:
    return tuple(text for text, wanted in zip(said, which, strict=True) if wanted)


# ------------------------------------------------------------------ policies


def curve_of(sample: Array, count: int = _POINTS) -> tuple[Array, Array]:
    """Values and shares of a sample's distribution; shares of what is infeasible (−∞ or ∞) are left out."""
    level = np.linspace(0.0, 1.0, count)
    level[0], level[-1] = min(0.0005, 0.5 / sample.size), 1 - min(0.0005, 0.5 / sample.size)
    if np.isfinite(sample).all():
        return np.quantile(sample, level), level
    at = np.quantile(sample, level, method="lower")
    known = np.isfinite(at)
    return at[known], level[known]


def sample_range(known: Array) -> tuple[float, float]:
    """From where to where an axis of a distribution goes: all but `CUT` of it at either end."""
    low, high = (float(np.quantile(known, share)) for share in (CUT, 1 - CUT))
    pad = 0.04 * (high - low) if high > low else 0.05 * abs(high) + 1e-9
    return low - pad, high + pad


def target_curves(npv: pd.DataFrame | Mapping[str, ArrayLike], what: str = "NPV", lead: str | None = None) -> Chart:
    """Cumulative distribution of NPV by strategy: the share of futures below each value.

    Parameters
    ----------
    npv
        A sample of NPV per strategy, $: columns of a table, or arrays by name. Infinite is what is infeasible; its
        share stands beside the name.
    what
        What the sample is of, such as ``cost``.
    lead
        The strategy that is drawn bold; the optimal plan where there is one if not given.

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
    low, high = sample_range(known)
    names = [str(name) for name in npv.columns]
    first = leading(names) if lead is None else lead
    pieces: list[Piece] = [Mark(x=0.0)] if low < 0 < high else []
    series = iter(range(1, 1000))
    lines: list[Line] = []
    for name in names:
        sample = npv[name].to_numpy(dtype=float)
        broken = 1 - finite[name].size / sample.size
        x, y = curve_of(sample)
        more = f" (infeasible on {broken:.2g} of paths)" if broken else ""
        number = 0 if name == first else next(series)
        lines.append(Line(x, y, f"{named(name)}{more}", number, lead=name == first, key=name))
    lines.sort(key=lambda line: line.lead)
    pieces += lines  # the one that is looked at lies above
    scale, unit = scale_of(max(abs(low), abs(high)))
    beyond = 1 - float(((known >= low) & (known <= high)).mean())
    cut = f"; {beyond:.1%} of all values lie beyond the axis" if beyond > 0 else ""
    x_axis = Axis(f"{what}, {unit}{cut}", low, high, scale=scale)
    panel = Panel(x_axis, Axis("share of futures below", 0.0, 1.0, percent=True), tuple(pieces))
    medians = ", ".join(f"{named(n)} {np.median(npv[n].to_numpy(dtype=float)) / scale:,.3g}" for n in names)
    return Chart((panel,), f"Distribution of {what} by strategy; medians in {unit}: {medians}.", 360)


def operations_over_time(operations: pd.DataFrame) -> Chart:
    """Use of capacity and share of demand met per year and strategy; demand met in all where any is short."""
    columns = {"utilization": "share of capacity used", "self_sufficiency": "share of demand met from the Moon"}
    if (operations["shortage"] > 0).any():
        columns["demand_satisfaction"] = "share of demand met in all"
    panels = tuple(
        Panel(
            _years(operations["year"]),
            Axis(label, 0.0, 1.03, percent=True),
            tuple(lines_of(operations, "year", column)),
            title=label,
        )
        for column, label in columns.items()
    )
    return Chart(panels, f"By year and strategy: {', '.join(columns.values())}.", 330)


def lines_of(table: pd.DataFrame, x: str, y: str) -> list[Line]:
    """A line per strategy, the leading one last so that it lies on top."""
    names = [str(name) for name in dict.fromkeys(table["strategy"])]
    first = leading(names)
    series = iter(range(1, 1000))
    made = []
    for name in names:
        part = table[table["strategy"] == name]
        lead = name == first
        number = 0 if lead else next(series)
        made.append(Line(part[x].to_numpy(dtype=float), part[y].to_numpy(dtype=float), named(name), number, lead))
    return sorted(made, key=lambda line: line.lead)


def deployment_timing(times: pd.DataFrame) -> Chart:
    """When plant arrives: share of paths on which some does, and mean mass, by year."""
    mass = np.sort(times["mass"].to_numpy(dtype=float))[::-1]
    later = float(times[times["year"] > times["year"].min()]["mass"].max())
    top = later if mass[0] > _FAR * later > 0 else mass[0]
    cut = f", up to {1.08 * top:,.0f}" if top < mass[0] else ""
    shares = Panel(
        _years(times["year"]), Axis("", 0.0, 1.03, percent=True), tuple(lines_of(times, "year", "deploying")),
        title="share of futures in which plant arrives",
    )  # fmt: skip
    masses = Panel(
        _years(times["year"]), _mass("", top), tuple(lines_of(times, "year", "mass")),
        title=f"mean mass that arrives, kg{cut}",
    )  # fmt: skip
    return Chart((shares, masses), "Share of futures in which plant arrives, and its mean mass, by year.", 330)


def bounds_by_iteration(log: pd.DataFrame) -> Chart:
    """Bounds of a method by iteration, and its gap."""
    number = log["number"].to_numpy(dtype=float)
    both = log[["lower", "upper"]].to_numpy(dtype=float)
    known = both[np.isfinite(both)]
    scale, unit = scale_of(float(np.abs(known).max()))
    pad = 0.05 * float(np.ptp(known)) or 0.01 * float(np.abs(known).max()) or 1.0
    last = float(np.median(np.abs(both[-1])))
    low, high = max(float(known.min()), last - 3 * abs(last)) - pad, min(float(known.max()), last + 3 * abs(last)) + pad
    lines = tuple(
        Line(number, both[:, i], f"{name} bound", series, step=True) for i, (name, series) in
        enumerate((("lower", 0), ("upper", 1)))
    )  # fmt: skip
    panels = [Panel(Axis("iteration", number[0], max(number[-1], number[0] + 1), whole=True),
                    Axis(f"expected NPV, {unit}", low, high, scale=scale), lines)]  # fmt: skip
    gap = log["gap"].to_numpy(dtype=float)
    open_ = np.isfinite(gap) & (gap > 0)
    if open_.any():
        x = Axis("iteration", number[0], max(number[-1], number[0] + 1), whole=True)
        y = Axis("relative gap", float(gap[open_].min()) / 1.5, float(gap[open_].max()) * 1.5, log=True)
        panels.append(Panel(x, y, (Line(number[open_], gap[open_], lead=True),)))
    return Chart(tuple(panels), f"Bounds by iteration; the gap ends at {gap[-1]:.2g}.", 300)


# ------------------------------------------------------------------ of tables


def plant_by_year(operations: pd.DataFrame, committed: int | None = None) -> Chart:
    """Plant in place under the committed policy: a line and a band per technology."""
    own = operations[(operations["strategy"] == "policy") & (operations["group"] == "plant")]
    year = np.unique(own["year"].to_numpy(dtype=float))
    pieces: list[Piece] = _committed(committed, year)
    lines = []
    for series, name in enumerate(dict.fromkeys(own["of"])):
        part = own[own["of"] == name]
        pieces.append(Ribbon(year, part["p5"].to_numpy(), part["p95"].to_numpy(), series=series % 8, opacity=0.15))
        lines.append(Line(year, part["mean"].to_numpy(), str(name), series, lead=series == 0))
    panel = Panel(_years(year), _mass("plant in place, kg", float(own["p95"].max())), (*pieces, *lines))
    return Chart((panel,), "Plant in place by year: mean, and the range of 90% of futures.", 280, 430)


def supply_by_year(operations: pd.DataFrame) -> Chart:
    """Who supplies what is wanted, on average, under the committed policy."""
    own = operations[operations["strategy"] == "policy"]
    layers = {
        str(name): part.set_index("year")["mean"]
        for name, part in own[own["group"] == "supply"].groupby("of", sort=False)
    }
    for group, label in (("Earth", "from Earth"), ("shortage", "shortage")):
        layers[label] = own[own["group"] == group].groupby("year")["mean"].sum()
    years = np.sort(own["year"].unique()).astype(float)
    below = np.zeros(years.size)
    pieces: list[Piece] = []
    lines: list[Line] = []
    series = 0
    for name, layer in layers.items():
        height = np.maximum(layer.reindex(years, fill_value=0.0).to_numpy(dtype=float), 0.0)
        if height.any():
            pieces.append(Ribbon(years, below, below + height, name, series % 8, 0.55))
            below = below + height
            lines.append(Line(years, below, series=series))
            series += 1
    panel = Panel(_years(years), _mass("oxygen, kg/yr, mean", float(below.max())), (*pieces, *lines))
    return Chart((panel,), "Who supplies what is wanted by year, on average, one above the other.", 280, 430)
