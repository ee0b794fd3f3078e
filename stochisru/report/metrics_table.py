"""The table of metrics of strategies beside each other."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from stochisru.report.elements import number, table
from stochisru.simulation.metrics import UNITS

if TYPE_CHECKING:
    import pandas as pd

#: Metrics of the comparison table, and whether more is better (None: neither).
_COMPARED = {
    "npv_mean": True,
    "npv_sd": False,
    "npv_p5": True,
    "npv_p50": True,
    "npv_p95": True,
    "cvar95": False,
    "p_positive": True,
    "first_year_capital": False,
    "self_sufficiency": True,
    "demand_satisfaction": True,
    "shortage": False,
    "utilization": True,
    "payback_year": False,
    "never_pays_back": False,
    "undiscounted_payback_year": False,
    "never_pays_back_undiscounted": False,
    "irr_p50": None,
    "sharpe": True,
    "sortino": True,
    "expansions": None,
    "final_capacity": None,
}

_SHARES = (
    "p_positive",
    "self_sufficiency",
    "demand_satisfaction",
    "utilization",
    "never_pays_back",
    "never_pays_back_undiscounted",
    "irr_p50",
)

_LABELS = {
    "npv_mean": "mean NPV",
    "npv_sd": "standard deviation of NPV",
    "npv_p5": "P5 of NPV",
    "npv_p50": "median NPV",
    "npv_p95": "P95 of NPV",
    "cvar95": "CVaR 95 % of the loss",
    "p_positive": "P(NPV > 0)",
    "first_year_capital": "first-year capital",
    "self_sufficiency": "self-sufficiency ΣQ/ΣD",
    "demand_satisfaction": "demand satisfaction Σ(Q + Q_earth)/ΣD",
    "shortage": "shortage ΣS, mean",
    "utilization": "utilisation ΣQ/ΣQcap",
    "payback_year": "payback year (of those that pay back)",
    "never_pays_back": "share that never pays back",
    "undiscounted_payback_year": "payback year without discounting (of those that pay back)",
    "never_pays_back_undiscounted": "share that never pays back without discounting",
    "irr_p50": "median internal rate of return (of those that have one)",
    "sharpe": "Sharpe ratio",
    "sortino": "Sortino ratio",
    "expansions": "years with a deployment",
    "final_capacity": "final capacity",
}


def metrics_table(metrics: pd.DataFrame, manifest: dict[str, Any], shown: Sequence[str] = tuple(_COMPARED)) -> str:
    """Strategies beside each other, one metric per row; ``manifest`` says how they were sampled."""
    names = list(dict.fromkeys(metrics["strategy"]))
    at = metrics.set_index(["metric", "strategy"])
    known_metrics = set(metrics["metric"])
    rows = []
    for metric in shown:
        if metric not in known_metrics:  # of a run of an earlier version
            continue
        better = _COMPARED[metric]
        values = {n: float(at.loc[(metric, n), "value"]) for n in names}
        unit = "%" if metric in _SHARES else UNITS[metric]
        known = {n: v for n, v in values.items() if v == v}
        if metric == "irr_p50" and not known:  # plants that earn in the year in which they are paid have none
            continue
        differ = len(set(known.values())) > 1  # where all are equal none is best
        best = (max if better else min)(known.values()) if differ and better is not None else None
        cells = []
        for name in names:
            row = at.loc[(metric, name)]
            text = number(values[name], unit)
            interval = ""
            if row["lower"] == row["lower"]:
                interval = f"<small>{number(row['lower'], unit)} … {number(row['upper'], unit)}</small>"
            mark = ' class="best"' if best is not None and values[name] == best else ""
            cells.append(f"<span{mark}>{text}</span>{interval}")
        shown = {"$": "$ million", "-": "", "%": "", "yr": "yr"}.get(unit, unit)
        label = _LABELS[metric] + (f" ({shown})" if shown else "")
        rows.append([html.escape(label), *cells])
    caption = (
        f"Strategies on {manifest['paths']:,} fresh paths ({manifest['sampler']}, seed {manifest['seed']}), with "
        f"{manifest['confidence']:.0%} confidence intervals; best of each row marked"
    )
    return table(["metric", *names], rows, caption=caption)
