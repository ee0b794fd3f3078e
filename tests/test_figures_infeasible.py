"""Figures say what is infeasible: a value without a bar, paths on which a strategy breaks a row."""

import numpy as np
import pandas as pd
import pytest

from stochisru import InputError
from stochisru.report.figures import target_curves, value_ladder


def test_a_ladder_names_members_that_are_infeasible():
    table = pd.DataFrame(
        {"quantity": ["eev", "static", "rp", "ws", "evpi"], "value": [-np.inf, np.nan, 10.0, 12.0, 2.0]}
    )
    ax = value_ladder(table).axes[0]
    ticks = [tick.get_text() for tick in ax.get_xticklabels()]
    assert ticks == ["EEV\ninfeasible", "static plan\ninfeasible", "RP", "WS"]
    assert [round(bar.get_x() + bar.get_width() / 2) for bar in ax.patches] == [2, 3]


def test_target_curves_say_on_which_share_a_strategy_is_infeasible():
    rng = np.random.default_rng(0)
    good, broken = rng.normal(0, 1, 400), rng.normal(0, 1, 400)
    broken[:100] = -np.inf
    ax = target_curves({"good": good, "broken": broken, "never": np.full(400, -np.inf)}).axes[0]
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["good", "broken (infeasible on 0.25 of paths)", "never (infeasible on 1 of paths)"]
    curve = next(line for line in ax.lines if line.get_label().startswith("broken"))
    assert curve.get_ydata().min() == pytest.approx(0.25, abs=0.01)
    assert np.isfinite(ax.get_xlim()).all()
    with pytest.raises(InputError, match="infeasible on all paths"):
        target_curves({"never": np.full(4, np.inf)})
    with pytest.raises(InputError, match="npv of odd"):
        target_curves({"odd": [1.0, np.nan]})
