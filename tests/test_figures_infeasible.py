"""Figures say what is infeasible: a value without a bar, paths on which a strategy breaks a row."""

import numpy as np
import pandas as pd
import pytest

from stochisru import InputError
from stochisru.report.chart import Bars, Line
from stochisru.report.figures import target_curves, value_ladder


def test_a_ladder_names_members_that_are_infeasible():
    table = pd.DataFrame(
        {"quantity": ["eev", "static", "rp", "ws", "evpi"], "value": [-np.inf, np.nan, 10.0, 12.0, 2.0]}
    )
    (panel,) = value_ladder(table).panels
    assert panel.y.names == (
        "perfect forecast (WS)",
        "the plan, which reacts (RP)",
        "plan fixed today (static): infeasible",
        "plan for the mean path, held (EEV): infeasible",
    )
    bars = [piece for piece in panel.pieces if isinstance(piece, Bars)]
    assert sorted((at, end) for bar in bars for at, end in zip(bar.at, bar.end, strict=True)) == [(0, 12.0), (1, 10.0)]


def test_target_curves_say_on_which_share_a_strategy_is_infeasible():
    rng = np.random.default_rng(0)
    good, broken = rng.normal(0, 1, 400), rng.normal(0, 1, 400)
    broken[:100] = -np.inf
    (panel,) = target_curves({"good": good, "broken": broken, "never": np.full(400, -np.inf)}).panels
    lines = [piece for piece in panel.pieces if isinstance(piece, Line)]
    assert [line.label for line in lines] == [
        "good",
        "broken (infeasible on 0.25 of paths)",
        "never (infeasible on 1 of paths)",
    ]
    assert lines[1].y.min() == pytest.approx(0.25, abs=0.01)
    assert np.isfinite([panel.x.low, panel.x.high]).all()
    with pytest.raises(InputError, match="infeasible on all paths"):
        target_curves({"never": np.full(4, np.inf)})
    with pytest.raises(InputError, match="npv of odd"):
        target_curves({"odd": [1.0, np.nan]})
