"""Distributions of the indicators of a simulation, and what is said of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stochisru.report.chart import Axis, Chart, Panel
from stochisru.report.figures import CUT, lines_of

if TYPE_CHECKING:
    import pandas as pd

#: A largest value over this many times the smallest is drawn on a logarithmic scale.
_WIDE = 30.0
#: Indicators of the figure of distributions.
_INDICATORS = {
    "self_sufficiency": "self-sufficiency ΣQ/ΣD",
    "utilization": "utilisation ΣQ/ΣQcap",
    "demand_satisfaction": "demand satisfaction Σ(Q + Q_earth)/ΣD",
    "shortage": "shortage ΣS (kg)",
    "final_capacity": "final capacity (kg/yr)",
    "total_deployment": "total deployment ΣΔM (kg)",
}


def indicator_distributions(distributions: pd.DataFrame) -> Chart:
    """Cumulative distribution of every indicator that differs between paths or strategies, one panel each."""
    panels = []
    for indicator in shown_indicators(distributions):
        part = distributions[distributions["indicator"] == indicator]
        inner = part[(part["level"] >= CUT) & (part["level"] <= 1 - CUT)]["value"]
        low, high = float(inner.min()), float(inner.max())
        log = part["unit"].iloc[0] != "-" and low > 0 and high > _WIDE * low
        pad = 0.04 * (high - low) or 0.05
        ends = (low / 1.1, high * 1.1) if log else (low - pad, high + pad)
        x = Axis(_INDICATORS[indicator], *ends, log=log, percent=part["unit"].iloc[0] == "-")
        y = Axis("share of futures below", 0.0, 1.0, percent=True)
        panels.append(Panel(x, y, tuple(lines_of(part, "value", "level"))))
    told = f"Distributions by strategy of {', '.join(panel.x.label for panel in panels)}."
    return Chart(tuple(panels), told, 330)


def _varying(distributions: pd.DataFrame) -> list[str]:
    """Indicators that differ between paths or strategies; all if none does."""
    spans = distributions.groupby("indicator")["value"].agg(["min", "max"])
    width = dict(zip(spans.index, (spans["max"] - spans["min"]).to_numpy(dtype=float), strict=True))
    found = [name for name in _INDICATORS if width[name] > 1e-9]
    return found or list(_INDICATORS)


def _repeated(distributions: pd.DataFrame) -> bool:
    """Whether total deployment is final capacity in another unit, as where plant does not wear."""
    by = {name: part["value"].to_numpy(dtype=float) for name, part in distributions.groupby("indicator")}
    total, final = by.get("total_deployment"), by.get("final_capacity")
    if total is None or final is None or total.shape != final.shape or not total.any():
        return False
    return bool(np.allclose(final * total.max(), total * final.max(), rtol=1e-6, atol=1e-9 * total.max() * final.max()))


def shown_indicators(distributions: pd.DataFrame) -> list[str]:
    """Indicators that have a panel: those that vary, none of them another one in another unit."""
    found = _varying(distributions)
    if {"total_deployment", "final_capacity"} <= set(found) and _repeated(distributions):
        found.remove("total_deployment")
    return found


def distributions_caption(distributions: pd.DataFrame) -> str:
    """What the figure of distributions shows, and the values of the indicators that it leaves out."""
    varying = _varying(distributions)
    text = f"Cumulative distributions over {distributions['paths'].max():,} paths of the indicators other than NPV"
    text += f"; {CUT:.0%} at either end is cut off."
    if set(varying) - set(shown_indicators(distributions)):
        text += " Total deployment is final capacity in another unit."
    constant = [name for name in _INDICATORS if name not in varying]
    if constant:
        value = distributions.groupby("indicator")["value"].max()
        said = ", ".join(f"{_INDICATORS[name]} = {value[name]:g}" for name in constant)
        text += f" The same on every path and for every strategy: {said}."
    return text
