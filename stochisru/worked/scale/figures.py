"""Figure of the study of scale."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from stochisru.lunar.studies.figures import MARKERS, escaped
from stochisru.report.style import PALETTE, money, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from stochisru.worked.scale.study import ScaleStudy


def scale_panels(study: ScaleStudy, quantity: str = "flexibility") -> Figure:
    """A quantity over the scale exponent: a panel per discount and learning rate, a line per volatility."""
    rates, learning = study.axis("r"), study.axis("learning")
    names = {"flexibility": "value of flexibility", "deployments": "expected deployments"}
    size = 1.1 + 2.0 * len(learning), 1.5 + 1.5 * len(rates)
    with new_figure(*size, columns=len(learning), rows=len(rates)) as (figure, axes):
        grid = np.reshape(np.array(axes, dtype=object), (len(rates), len(learning)))
        largest = max(abs(row[quantity]) for row in study.rows)
        unit = ""
        for (i, r), (j, rate) in product(enumerate(rates), enumerate(learning)):
            ax = grid[i, j]
            for k, sigma in enumerate(study.axis("sigma")):
                chosen = [study.at(exponent=b, learning=rate, r=r, sigma=sigma) for b in study.axis("exponent")]
                x, y = [row["exponent"] for row in chosen], [row[quantity] for row in chosen]
                ax.plot(x, y, marker=MARKERS[k], ms=3.5, color=PALETTE[k], label=rf"$\sigma$ = {sigma:g}")
            ax.set_title(rf"$r$ = {r:g}, $\lambda$ = {rate:g}", fontsize="medium")
            if quantity == "flexibility":
                unit = f" ({escaped(money(ax.yaxis, largest))})"
            ax.set_ylim(min(0.0, *(row[quantity] for row in study.rows)), 1.08 * largest)
            ax.set_xticks(study.axis("exponent"))
            ax.label_outer()
        handles, labels = grid[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))
        figure.supxlabel("scale exponent of development cost, b", fontsize="medium")
        figure.supylabel(f"{names[quantity]}{unit}", fontsize="medium")
        return figure
