"""The part of a run's page on ways to decide: distributions with a choice of curves, a short table, all metrics."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from stochisru.report.elements import by_error, data_block, inline, number, table
from stochisru.report.figures import curve_of, sample_range, scale_of
from stochisru.report.words import leading, named

if TYPE_CHECKING:
    import pandas as pd

    from stochisru.report.chart import Chart

#: Columns of the short table: metric, heading, unit, and whether more is better (None: neither).
_SHORT = (
    ("npv_mean", "mean NPV, $ million", "$", True),
    ("npv_p5", "5% of futures below", "$", True),
    ("npv_p95", "95% below", "$", True),
    ("p_positive", "share that earns money", "%", True),
    ("self_sufficiency", "demand met from the Moon", "%", True),
    ("utilization", "capacity used", "%", None),
    ("first_year_capital", "paid in year 0, $ million", "$", None),
    ("infeasible", "share of futures without a plan", "%", False),
)


def policies_section(
    manifest: Mapping[str, Any], tables: Mapping[str, pd.DataFrame], charts: Mapping[str, Chart]
) -> str:
    """Target curves with a choice of curves and a value to read at, and the short table."""
    chart = charts.get("target_curves")
    shown = "" if chart is None else inline(chart, _caption(tables["npv"]), "target_curves")
    controls = "" if chart is None else _controls(tables)
    return f"""<h2 id="curves">What each way of deciding earns</h2>
{controls}
{shown}
{short_table(manifest, tables["metrics"])}"""


def _caption(npv: pd.DataFrame) -> str:
    return f"Share of {len(npv):,} fresh common futures in which a way of deciding earns less than a value."


def _controls(tables: Mapping[str, pd.DataFrame]) -> str:
    npv = tables["npv"]
    names = [str(name) for name in npv.columns]
    known = np.concatenate([s[np.isfinite(s)] for s in (npv[n].to_numpy(dtype=float) for n in names)])
    low, high = sample_range(known)
    scale, unit = scale_of(max(abs(low), abs(high)))
    curves = []
    for name in names:
        x, y = curve_of(npv[name].to_numpy(dtype=float))
        if x.size:
            values = [float(f"{v:.5g}") for v in x / scale]
            curves.append(
                {"key": name, "name": named(name), "values": values, "levels": [round(float(p), 5) for p in y]}
            )
    lead = leading(names) or names[0]
    shown = [lead, *_comparator(npv, lead)]
    data = {"unit": unit, "scale": scale, "shown": shown, "curves": curves}
    start = float(np.median(npv[lead].to_numpy(dtype=float))) / scale
    step = float(f"{(high - low) / scale / 400:.1g}")
    return f"""<fieldset id="curves-choice" class="needs-script only-screen" hidden><legend>Curves</legend></fieldset>
{data_block("curves-data", data)}
<div class="needs-script only-screen" hidden><label for="curves-at">Read at a value ({html.escape(unit)})</label>
<input id="curves-at" type="range" min="{low / scale:.6g}" max="{high / scale:.6g}" step="{step:g}" value="{start:.6g}">
<p id="curves-tip" aria-live="polite"></p></div>"""


def _comparator(npv: pd.DataFrame, lead: str) -> list[str]:
    """The best on average of the ways that are no plan of ours."""
    others = [
        str(n) for n in npv.columns if n not in (lead, "tree") and np.isfinite(npv[n].to_numpy(dtype=float)).all()
    ]
    return [max(others, key=lambda name: float(npv[name].to_numpy(dtype=float).mean()))] if others else []


def short_table(manifest: Mapping[str, Any], metrics: pd.DataFrame) -> str:
    """Ways to decide, one a row, with the digits that their errors let numbers have."""
    at: Any = metrics.set_index(["metric", "strategy"])
    mean = metrics[metrics["metric"] == "npv_mean"].set_index("strategy")["value"]
    names = [str(name) for name in mean.sort_values(ascending=False, kind="stable").index]
    there = set(metrics["metric"])
    columns = [column for column in _SHORT if column[0] in there]
    marked = {metric: _best(at, metric, names, better) for metric, _, _, better in columns}
    rows, values = [], []
    for name in names:
        cells, numbers = [], []
        for metric, _, unit, _ in columns:
            row = at.loc[(metric, name)]
            value, error = float(row["value"]), 0.5 * float(row["upper"] - row["lower"])
            text = _said(value, error, unit)
            cells.append(f'<span class="best">{text}</span>' if name in marked[metric] else text)
            numbers.append(value)
        rows.append([html.escape(named(name)), *cells])
        values.append(numbers)
    share = f"{manifest['confidence']:.0%}"
    caption = (
        f"Over {manifest['paths']:,} futures; ± and digits by the {share} interval; marked: best or within its interval"
    )
    return table(["way of deciding", *(heading for _, heading, _, _ in columns)], rows, caption=caption, values=values)


def _said(value: float, error: float, unit: str) -> str:
    if value != value:
        return "–"
    scale = 1e6 if unit == "$" else 0.01
    known = error / scale if error == error and error > 0 else float("nan")
    text = by_error(value / scale, known, 4 if unit == "$" else 3)
    if unit == "%":
        return f"{text}%"
    return f"{text} ± {by_error(known, known, 1)}" if known == known else text


def _best(at: Any, metric: str, names: list[str], better: bool | None) -> set[str]:
    """The best of a metric and those whose intervals reach it; none where all are equal, or nothing is better."""
    if better is None:
        return set()
    known = {n: float(at.loc[(metric, n), "value"]) for n in names}
    known = {n: v for n, v in known.items() if np.isfinite(v)}
    if len({number(v) for v in known.values()}) < 2:
        return set()
    sign = 1.0 if better else -1.0
    top = max(known, key=lambda n: sign * known[n])
    end = at.loc[(metric, top), "lower" if better else "upper"]
    if end != end:
        return {top}
    reach = {n: at.loc[(metric, n), "upper" if better else "lower"] for n in known}
    found = {n for n in known if n == top or (reach[n] == reach[n] and sign * (reach[n] - end) >= 0)}
    return found if len(found) < len(known) else set()
