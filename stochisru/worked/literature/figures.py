"""Figures of the study of the literature."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stochisru.report.style import PALETTE, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from stochisru.studies.store import Row
    from stochisru.worked.literature.study import LiteratureStudy


def figures(study: LiteratureStudy) -> dict[str, Figure]:
    """All figures by name; those that no case has something for are left out."""
    found = {}
    if sold := [row for row in study.rows if row["average_price"] is not None]:
        found["break_even_map"] = break_even_map(sold)
        found["with_uncertainty"] = with_uncertainty(sold)
    if waits := [row for row in study.timings if row["sales"] == "study's price" and row["slope"] < 0]:
        most = max(waits, key=lambda row: row["value"] - max(0.0, row["now"]))
        found["launch_triggers"] = launch_triggers(most["case"], max(row["volatility"] for row in waits))
    if study.thresholds:
        found["threshold"] = threshold()
    return found


def _first(rows: list[Row]) -> list[Row]:
    """One row per case."""
    return list({row["case"]: row for row in reversed(rows)}.values())[::-1]


def break_even_map(rows: list[Row]) -> Figure:
    """What a kilogram of plant sells and costs in the published plans, with lines of the price that pays for it."""
    with new_figure(6.6, 4.6) as (figure, ax):
        points = _first(rows)
        sold, cost = (np.array([row[name] for row in points]) for name in ("sold_by_mass", "cost_by_mass"))
        gains = np.array([row["own_certain"] > 0 for row in points])
        reach = np.array([sold.min() / 3, sold.max() * 3])
        for price in 10.0 ** np.arange(2, 8):
            line = price * reach
            if line[1] < cost.min() / 3 or line[0] > cost.max() * 3:
                continue
            ax.plot(reach, line, color="0.8", lw=0.8, zorder=0)
            ax.annotate(f"{price:,.0f} $/kg", (reach[1], line[1]), fontsize=6.5, color="0.45", va="center")
        for mask, color, label in (
            (gains, PALETTE[2], "positive NPV as printed"),
            (~gains, PALETTE[1], "negative or 0"),
        ):
            if mask.any():
                ax.scatter(sold[mask], cost[mask], color=color, s=18, label=label)
        at = np.log10(np.stack([sold, cost]))
        left = list(np.argsort(sold))
        while left:  # neighbours share a label, line by line
            near = [i for i in left if (np.abs(at[:, i] - at[:, left[0]]) < 0.2).all()]
            place = (sold[near[0]], cost[near].max())
            names = "\n".join(points[i]["case"] for i in near)
            ax.annotate(names, place, xytext=(-4, 5), textcoords="offset points", fontsize=5.5)
            left = [i for i in left if i not in near]
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.set_ylim(cost.min() / 3, cost.max() * 3)
        ax.set_xlabel("sold over the life, discounted (kg per kg of plant)")
        ax.set_ylabel("cost over the life, discounted ($ per kg of plant)")
        ax.legend(loc="upper right")
        return figure


def with_uncertainty(rows: list[Row]) -> Figure:
    """NPV of the published plan and of the optimum by volatility, as shares of what the plan costs."""
    names = [row["case"] for row in _first(rows)]
    sigmas = sorted({row["sigma"] for row in rows})
    with new_figure(6.6, 0.32 * len(names) + 1.4) as (figure, ax):
        place = np.arange(len(names))[::-1]

        def shares(chosen: list[Row], name: str) -> np.ndarray:
            return np.array([row[name] / (row["cost_by_mass"] * row["plan"]) for row in chosen])

        ax.plot(shares(_first(rows), "own_certain"), place, "|", ms=11, color="black", label="published plan, σ = 0")
        for k, sigma in enumerate(sigmas):
            chosen = [row for row in rows if row["sigma"] == sigma]
            color, at = PALETTE[k % len(PALETTE)], place - 0.12 * (k + 1)
            ax.plot(
                shares(chosen, "own"), at, "o", ms=4, mfc="none", color=color, label=f"published plan, σ = {sigma:g}"
            )
            ax.plot(shares(chosen, "rp"), at, "o", ms=4, color=color, label=f"optimum, σ = {sigma:g}")
        ax.axvline(0.0, color="0.3", lw=0.8)
        ax.set_yticks(place, names, fontsize=7)
        ax.set_xlabel("NPV over discounted cost of the published plan (-)")
        ax.legend(loc="lower right", fontsize=6.5)
        return figure


def launch_triggers(name: str, volatility: float) -> Figure:
    """The price of launch on its way down in three markets, and up to which price one plant is ordered in each."""
    from stochisru.worked.literature.launch import launch_option
    from stochisru.worked.literature.sources import LAUNCH_YEARS, launch_markets

    today, *markets = launch_markets().values()
    years = np.arange(LAUNCH_YEARS + 1)
    with new_figure(6.6, 3.6) as (figure, ax):
        for k, market in enumerate(markets):
            option = launch_option(name, market, volatility, with_sales=False)
            color = PALETTE[k % len(PALETTE)]
            ax.plot(years, (1 + market.fall) ** years, color=color, lw=1.2, label=f"mean, to {market.price:.0f} $/kg")
            trigger = np.array([option.trigger(float(t)) or np.nan for t in years])
            ax.plot(years, trigger, "--", color=color, lw=1.2, label="ordered up to")
        ax.set_yscale("log")
        ax.set_xlabel("year")
        ax.set_ylabel(f"price of launch over today's {today.price:,.0f} $/kg (-)")
        ax.set_title(f"{name}, σ of the launch price {volatility:g}", fontsize=8)
        ax.legend(loc="lower left", fontsize=6.5, ncols=3)
        return figure


def threshold() -> Figure:
    """Metzger's threshold as a contour of the exact break-even map, and what the published plans make of their mass."""
    from stochisru.worked.literature.launch import product_over_mass, sellers, threshold_map
    from stochisru.worked.literature.sources import cases, launch_markets

    products, gears = np.geomspace(3.0, 1000.0, 160), np.linspace(1.5, 20.0, 120)
    npv = threshold_map(products, gears)
    most: dict[str, float] = {}  # by study; Charania and DePasquale state no mass
    for name in sellers(cases()):
        study = name.partition("-20")[0]
        if study != "charania":
            most[study] = max(most.get(study, 0.0), product_over_mass(name))
    with new_figure(6.6, 4.0) as (figure, ax):
        ax.contourf(products, gears, npv, levels=[-np.inf, 0.0, np.inf], colors=["0.9", "#cfe8df"])
        line = ax.contour(products, gears, npv, levels=[0.0], colors=[PALETTE[2]])
        ax.clabel(line, fmt={0.0: "NPV = 0"}, fontsize=7)
        ax.plot([35.0], [10.0], "o", color="black", ms=5, label="Metzger: about 35 at a gear of 10")
        for study, product in most.items():
            ax.axvline(product, color="0.6", lw=0.6)
            ax.annotate(f"{study} ", (product, gears[-1]), rotation=90, va="top", ha="right", fontsize=6.5)
        ax.set_xscale("log")
        ax.set_xlabel("product over capital mass over the life, φ (kg/kg)")
        today = launch_markets()["today"].price
        ax.set_ylabel(f"kg launched at {today:,.0f} $/kg for one landed, G (kg/kg)")
        ax.legend(loc="lower left", fontsize=7)
        return figure
