"""Paper-ready figures of what knowledge is worth: learning, surveys, single factors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stochisru.lunar.studies.figures import escaped
from stochisru.report.style import DASHES, PALETTE, money, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from stochisru.lunar.studies.drift import DriftValues
    from stochisru.lunar.studies.prospecting import Prospecting
    from stochisru.partial_evpi import PartialEvpi


def learning_figure(study: DriftValues) -> Figure:
    """Planning with one rate against learning; what a study adds beside it, where studies were valued."""
    columns = 2 if study.studies else 1
    with new_figure(3.6 * columns, 2.9, columns) as (figure, axes):
        left = axes[0] if columns == 2 else axes
        rate, worth = study.believed.T
        left.plot(100 * rate, worth, color=PALETTE[0], label="one rate, never revised")
        left.plot(100 * study.best_rate, study.ignoring.value, "o", color=PALETTE[0], ms=4, label="the best rate")
        for value, name, color, dash in (
            (study.learning.value, "learning", PALETTE[1], DASHES[1]),
            (study.known.value, "drift known", PALETTE[2], DASHES[2]),
        ):
            left.axhline(value, color=color, ls=dash, lw=1.2, label=name)
        unit = escaped(money(left.yaxis, max(abs(worth).max(), abs(study.known.value))))
        low, high = min(study.at_prior, study.at_matched), study.known.value
        left.set_ylim(low - 0.15 * (high - low), high + 0.15 * (high - low))  # who believes in much less is far below
        left.set_xlabel("believed growth (% a year)")
        left.set_ylabel(f"expected NPV ({unit})")
        left.legend(loc="best")
        if columns == 2:
            right = axes[1]
            years = list(study.evsi)
            right.plot([0.0, *years], [0.0, *(v.value for v in study.evsi.values())], "o-", color=PALETTE[0], ms=3.5)
            right.axhline(study.evpi.value, color=PALETTE[1], ls=DASHES[1], lw=1.2)
            right.text(years[-1], study.evpi.value, "drift known (EVPI)", ha="right", va="bottom", fontsize=8)
            unit = escaped(money(right.yaxis, study.evpi.value))
            right.set_ylim(0, 1.15 * study.evpi.value or 1.0)
            right.set_xlabel("study, years' worth of observation")
            right.set_ylabel(f"value, EVSI ({unit})")
        return figure


def partial_evpi_figure(study: PartialEvpi) -> Figure:
    """What knowing each factor is worth, and all; whiskers are brackets that are no points."""
    names = [*study.ranked, "all"]
    parts = [*(study.parts[name] for name in study.ranked), study.evpi]
    with new_figure(4.6, 0.9 + 0.36 * len(names)) as (figure, ax):
        for place, part in enumerate(parts):
            ax.barh(place, part.value, height=0.62, color=PALETTE[0] if place < len(parts) - 1 else PALETTE[7])
            low, high = part.bounds.lower, part.bounds.upper
            if high - low > 0.01 * study.evpi.value:
                ax.plot([low, high], [place, place], color="0.2", lw=1.0, marker="|", ms=6)
        ax.set_yticks(range(len(names)), [f"{name} known" for name in names])
        ax.invert_yaxis()
        ax.set_axisbelow(True)
        ax.grid(axis="y", visible=False)
        unit = escaped(money(ax.xaxis, max(part.bounds.upper for part in parts)))
        ax.set_xlabel(f"value of knowing its path from the start ({unit})")
        return figure


def survey_figure(study: Prospecting) -> Figure:
    """What surveys are worth by accuracy, beside what one costs."""
    with new_figure(4.2, 2.9) as (figure, ax):
        told = {0.0: 0.0, **study.worth}
        ax.plot([100 * a for a in told], list(told.values()), "o-", color=PALETTE[0], ms=3.5, label="a survey is worth")
        ax.axhline(study.evpi, color=PALETTE[1], ls=DASHES[1], lw=1.2, label="yield known (EVPI)")
        if study.cost > 0:
            ax.axhline(study.cost, color=PALETTE[7], ls=DASHES[3], lw=1.2, label="a survey costs")
        unit = escaped(money(ax.yaxis, max(study.evpi, study.cost)))
        ax.set_xlim(-2, 102)
        ax.set_ylim(0, 1.1 * max(study.evpi, study.cost) or 1.0)
        ax.set_xlabel("accuracy, share of the variance of ln yield (%)")
        ax.set_ylabel(f"value ({unit})")
        ax.legend(loc="best")
        return figure
