"""Figures over the horizons of the deployment study."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from stochisru.lunar.studies.figures import amount
from stochisru.report.style import PALETTE, new_figure
from stochisru.simulation.estimators import share_reached

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from stochisru.worked.deployment.study import HorizonResult


#: Colour and label of each value.
_SHOWN = {
    "defer": (PALETTE[5], "deferring a single start"),
    "staging": (PALETTE[0], "staging"),
    "scheduling": (PALETTE[3], "scheduling"),
    "vms": (PALETTE[2], "reacting (VMS)"),
    "evpi": (PALETTE[1], "EVPI, WS − RP"),
    "earth_backup": (PALETTE[4], "Earth supply as a back-up"),
}


def flexibility_by_horizon(results: Sequence[HorizonResult]) -> Figure:
    """Value of flexibility per horizon by option, and as scheduling and reacting; relative to the optimal NPV."""
    with new_figure(6.4, 3.4) as (figure, ax):
        place = np.arange(len(results))
        scale = np.array([abs(r.values.point("rp")) for r in results])
        shares = {name: np.array([r.values.point(name) for r in results]) / scale for name in _SHOWN}
        for offset, parts in ((-0.3, ("defer", "staging")), (-0.08, ("scheduling", "vms"))):
            low = np.zeros(len(results))
            for name in parts:
                color, label = _SHOWN[name]
                ax.bar(place + offset, shares[name], 0.2, bottom=low, color=color, label=f"flexibility: {label}")
                low = low + shares[name]
        for offset, name in ((0.12, "evpi"), (0.3, "earth_backup")):
            color, label = _SHOWN[name]
            ax.bar(place + offset, shares[name], 0.16, color=color, label=label)
        ax.set_xticks(place, [f"T = {r.years}\nRP {amount(_round(r.values.point('rp')), 'rp')}" for r in results])
        ax.set_ylabel("value relative to the optimal NPV (-)")
        ax.grid(axis="x", visible=False)
        ax.legend(loc="upper left")
        return figure


def shares_by_horizon(results: Sequence[HorizonResult]) -> Figure:
    """Share of the optimal NPV, which is positive, that each strategy reaches, per horizon; below −1 they are cut."""
    names = [n for n in results[0].comparison.simulation.names if n != "threshold"] + ["tuned rule"]
    with new_figure(6.8, 3.4) as (figure, ax):
        place = np.arange(len(names))
        width = 0.8 / len(results)
        for k, r in enumerate(results):
            rp = r.values.point("rp")
            tuned = r.tuning.share("share_of_npv")
            shares = [*(share_reached(rp, r.comparison.gaps[n]) for n in names[:-1]), tuned]
            share, low, high = ([getattr(s, end) for s in shares] for end in ("value", "lower", "upper"))
            at = place + (k - (len(results) - 1) / 2) * width
            shown = np.maximum(share, -1.0)
            ax.bar(at, shown, width * 0.92, color=PALETTE[k], label=f"T = {r.years}", zorder=2)
            inside = np.array(share) > -1.0
            error = np.stack([np.array(share) - low, np.array(high) - share])[:, inside]
            ax.errorbar(at[inside], shown[inside], yerr=error, fmt="none", ecolor="black", elinewidth=0.8, zorder=3)
            for x, cut in zip(at[~inside], np.array(share)[~inside], strict=True):
                ax.text(x, -0.99, f"{cut:.0%}", rotation=90, ha="center", va="bottom", fontsize=6.5, color="white")
        ax.axhline(1.0, color="0.3", lw=0.8, ls=":")
        ax.axhline(0.0, color="0.3", lw=0.8)
        ax.set_xticks(place, names, rotation=25, ha="right")
        ax.set_ylabel("share of the optimal NPV (-)")
        ax.set_ylim(-1.0, 1.12)
        ax.grid(axis="x", visible=False)
        ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=len(results))
        return figure


def _round(value: float) -> float:
    return float(f"{value:.3g}")
