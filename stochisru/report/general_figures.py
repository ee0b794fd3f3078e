"""Figures of the run of a case with tables beyond the base problem, each from tidy tables."""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np

from stochisru.report.figures import demand_fan, value_ladder
from stochisru.report.style import DASHES, PALETTE, money, new_figure

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

#: The policy that is committed, as tables name it.
COMMITTED = "policy"
#: Shares of paths that the distribution of NPV leaves out at either end.
_CUT = 0.005


def plant_by_year(operations: pd.DataFrame) -> Figure:
    """Plant in place under the committed policy: a line and a band per technology."""
    own = operations[(operations["strategy"] == COMMITTED) & (operations["group"] == "plant")]
    with new_figure(5.2, 3.2) as (figure, ax):
        for name, color, dash in zip(dict.fromkeys(own["of"]), cycle(PALETTE), cycle(DASHES), strict=False):
            part = own[own["of"] == name]
            ax.fill_between(part["year"], part["p5"], part["p95"], color=color, alpha=0.15, lw=0)
            ax.plot(part["year"], part["mean"], color=color, ls=dash, lw=1.6, label=str(name))
        ax.set(xlabel="year", ylabel="plant in place (kg)")
        ax.set_ylim(bottom=0)
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.legend(loc="upper left")
        return figure


def supply_by_year(operations: pd.DataFrame) -> Figure:
    """Who supplies what is wanted, on average, under the committed policy."""
    own = operations[operations["strategy"] == COMMITTED]
    layers = {
        str(name): part.set_index("year")["mean"]
        for name, part in own[own["group"] == "supply"].groupby("of", sort=False)
    }
    for group, label in (("Earth", "from Earth"), ("shortage", "shortage")):
        layers[label] = own[own["group"] == group].groupby("year")["mean"].sum()
    years = np.sort(own["year"].unique())
    colors = {"from Earth": "0.55", "shortage": "0.85"}
    colors |= dict(zip((name for name in layers if name not in colors), cycle(PALETTE), strict=False))
    with new_figure(5.2, 3.2) as (figure, ax):
        below = np.zeros(years.size)
        for name, layer in layers.items():
            height = np.maximum(layer.reindex(years, fill_value=0.0).to_numpy(dtype=float), 0.0)
            if height.any():
                ax.bar(years, height, bottom=below, width=0.8, color=colors[name], label=name)
                below = below + height
        ax.set(xlabel="year", ylabel="oxygen (kg/yr), mean")
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.legend(loc="upper left")
        ax.grid(axis="x", visible=False)
        return figure


def npv_curves(npv: pd.DataFrame) -> Figure:
    """Cumulative distribution of NPV of every policy that keeps its rows on all paths."""
    with new_figure(5.2, 3.2) as (figure, ax):
        kept = [name for name in npv.columns if np.isfinite(npv[name]).all()]
        ends = np.quantile(npv[kept].to_numpy(dtype=float), [_CUT, 1 - _CUT])
        unit = money(ax.xaxis, float(np.abs(ends).max()))
        for name, color, dash in zip(kept, cycle(PALETTE), cycle(DASHES), strict=False):
            x = np.sort(npv[name].to_numpy(dtype=float))
            level = (np.arange(x.size) + 0.5) / x.size
            ax.step(x, level, where="post", color=color, ls=dash, lw=2.2 if name == COMMITTED else 1.2, label=name)
        if ends[1] > ends[0]:
            ax.set_xlim(*ends)
        ax.set(xlabel=f"NPV ({unit})", ylabel="share of paths ≤ x", ylim=(0, 1))
        ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
        return figure


def general_figures(tables: dict[str, pd.DataFrame]) -> dict[str, tuple[Figure, str]]:
    """Figures of a run by file name, each with its caption."""
    paths = len(tables["npv"])
    found = {}
    if "fan" in tables:
        found["demand_fan"] = (
            demand_fan(tables["fan"], tables["tree"]),
            "Demand: quantile fan and mean of the process, and the scenario tree that stands for it.",
        )
    of = "process" if "values" in tables else "tree"
    found["value_ladder"] = (
        value_ladder(tables["values" if "values" in tables else "tree_values"]),
        f"Expected NPV on the {of}, maximised, and what information and flexibility add.",
    )
    found["plant"] = (
        plant_by_year(tables["operations"]),
        "Plant in place under the policy: mean, and the range of 5 to 95 % of paths.",
    )
    found["supply"] = (
        supply_by_year(tables["operations"]),
        "Who supplies what is wanted under the policy, on average.",
    )
    found["npv"] = (
        npv_curves(tables["npv"]),
        f"Distribution of NPV on {paths:,} fresh common paths; half a per cent at either end is cut off.",
    )
    return found
