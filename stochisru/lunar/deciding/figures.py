"""Figures of a decision: what other orders lose, orders by demand, the history and what is believed to come."""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np

from stochisru.lunar.deciding.words import amount
from stochisru.lunar.tables.plants import identifier
from stochisru.report.style import DASHES, PALETTE, money, new_figure

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from stochisru.lunar.deciding.decide import Advice
    from stochisru.lunar.deciding.standing import OrderOf

#: Marks of orders.
_MARKS = ("o", "s", "^", "D", "v", "P", "X")


def regret_name(order: OrderOf) -> str:
    """Name of the file of an order's figure."""
    return "_".join(["regret", *([identifier(order.technology)] if order.technology else []), f"dM{order.arrival}"])


def regret_curve(advice: Advice, order: OrderOf) -> Figure:
    """What each amount of an order loses, with the order marked; points where plant comes in lots."""
    rows = advice.regret_of(order)
    kg, lost = np.array([(row.kg, row.lost) for row in rows]).T
    with new_figure(5.0, 2.6) as (figure, ax):
        ax.plot(kg, lost, *(["o"] if order.lot is not None else []), color=PALETTE[0], lw=1.8, ms=4)
        best = advice.best.orders[order]
        ax.plot(best, 0.0, "o", color=PALETTE[1], ms=8, mec="black", clip_on=False, zorder=3)
        side = "left" if best < 0.15 * kg.max() else "center"
        box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.0}
        said = f"order {amount(best)} kg"
        ax.annotate(said, (best, 0.0), (0, 12), textcoords="offset points", ha=side, bbox=box, zorder=4)
        unit = money(ax.yaxis, float(lost.max()))
        ax.set(xlabel=f"{order.name} (kg)", ylabel=f"expected NPV lost ({unit})")
        ax.set_ylim(bottom=0.0)
        ax.set_xlim(left=0.0, right=1.03 * float(kg.max()) if kg.max() > 0 else None)
        ax.xaxis.set_major_formatter(lambda x, _: f"{x:,.0f}")
        return figure


def order_by_demand(advice: Advice) -> Figure:
    """Orders by this year's demand, near what it is."""
    frame = advice.leaning_table()
    with new_figure(6.4, 3.2) as (figure, ax):
        for order, color, dash, mark in zip(
            advice.best.orders, cycle(PALETTE), cycle(DASHES), cycle(_MARKS), strict=False
        ):
            ax.plot(frame["demand"], frame[order.name], color=color, ls=dash, lw=1.4, marker=mark, label=order.name)
        ax.axvline(advice.demand, color="0.3", lw=0.8)
        ax.set(xlabel="this year's demand (kg/yr); line: as it is", ylabel="order (kg)")
        ax.set_ylim(bottom=0.0)
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_formatter(lambda x, _: f"{x:,.0f}")
        ax.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=3)
        return figure


def history_and_fan(advice: Advice, fan: pd.DataFrame) -> Figure:
    """Demand so far, and quantiles of the process from this year on."""
    series = advice.history
    ahead = series.years[-1] + fan.index.to_numpy(dtype=float)
    with new_figure(6.4, 3.6) as (figure, ax):
        for low, high, alpha in (("0.05", "0.95", 0.15), ("0.25", "0.75", 0.25)):
            label = f"{float(low):.0%}–{float(high):.0%} of what is believed"
            ax.fill_between(ahead, fan[low], fan[high], color=PALETTE[0], alpha=alpha, lw=0, label=label)
        ax.plot(ahead, fan["mean"], color=PALETTE[0], lw=1.6, label="mean")
        ax.plot(series.years, series.values, color="black", lw=1.0, marker="o", ms=3, label="history")
        if (fan["0.05"] > 0).all():
            ax.set_yscale("log")
        ax.set(xlabel="year", ylabel="demand (kg/yr)")
        ax.yaxis.set_major_formatter(lambda x, _: f"{x:,.0f}")
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2)
        return figure
