"""The garage of docs/garage.md: its functions against plain loops and the published optimum, and its claims.

Run ``python -m tests.test_garage`` to draw the figure of the page again.
"""

import doctest
from pathlib import Path

import numpy as np
import pytest

from stochisru.report.chart import Line
from stochisru.simulation.estimators import mean_estimate

DOCS = Path(__file__).resolve().parent.parent / "docs"
PUBLISHED = {6: 6_238_416}


def run_page():
    """Names that the examples of the page define."""
    page = doctest.DocTestParser().get_doctest((DOCS / "garage.md").read_text(), {}, "garage.md", None, 0)
    doctest.DocTestRunner(verbose=False).run(page, clear_globs=False)
    return page.globs


@pytest.fixture(scope="module")
def page():
    return run_page()


def loop(start, demand, *, grows, columns=0.0):
    """NPV of one path, written out: levels of $3.2 million, dearer by a tenth each above two."""

    def level_cost(n):
        return 3.2e6 * (1.1 ** (n - 2) if n > 2 else 1)

    levels, full_before = start, False
    npv = -3.6e6 - (1 + columns) * sum(level_cost(n) for n in range(1, start + 1))
    for t, d in enumerate(demand, 1):
        cash = 10_000 * min(d, 200 * levels) - 2_000 * 200 * levels - 3.6e6
        full = d >= 200 * levels
        if grows and full and full_before and levels < 9:
            levels += 1
            cash -= level_cost(levels)
        full_before = full
        npv += cash / 1.12**t
    return npv


def test_certain_demand_has_the_published_optimum(page):
    demand = [round(1750 - 1000 * 4 ** (-(t - 1) / 9)) for t in range(1, 16)]
    assert page["expected"].tolist() == demand
    values = {levels: loop(levels, demand, grows=False) for levels in range(1, 10)}
    for levels, value in values.items():
        assert float(page["rigid"](levels, page["expected"])) == pytest.approx(value)
    best = max(values, key=values.get)
    assert values[best] == pytest.approx(6_238_417, abs=0.5)
    assert [best] == list(PUBLISHED)
    assert values[best] == pytest.approx(PUBLISHED[best], abs=1.5)


def test_rules_equal_a_plain_loop(page):
    demand = page["fresh"][:150]
    for start in (3, 5, 9):
        npv, _ = page["flexible"](start, demand)
        assert npv == pytest.approx([loop(start, d, grows=True, columns=0.05) for d in demand])
        assert page["rigid"](start, demand) == pytest.approx([loop(start, d, grows=False) for d in demand])


def test_growth_does_not_see_the_future(page):
    demand = page["fresh"][:500]
    other = demand.copy()
    other[:, 10:] = np.random.default_rng(0).permutation(other[:, 10:])
    _, early = page["flexible"](4, demand, latest=10)
    _, again = page["flexible"](4, other, latest=10)
    assert (early == again).all()
    assert (page["flexible"](4, demand)[1] >= early).all()


def test_uncertainty_makes_the_plan_worse_and_growth_better(page):
    design, fresh, rigid, flexible = (page[name] for name in ("design", "fresh", "rigid", "flexible"))
    means = {levels: rigid(levels, design).mean() for levels in range(2, 10)}
    starts = {start: flexible(start, design)[0].mean() for start in range(2, 10)}
    assert (max(means, key=means.get), max(starts, key=starts.get)) == (5, 4)
    # Averages: the mean NPV of the plan is far below its NPV at the mean demand.
    plan = mean_estimate(rigid(6, fresh))
    assert plan.upper < float(rigid(6, fresh.mean(axis=0))) - 2e6
    value = mean_estimate(flexible(4, fresh)[0] - rigid(5, fresh))
    assert 2e6 < value.lower < value.upper < 2.4e6
    assert value.standard_error < mean_estimate(rigid(5, fresh)).standard_error
    assert (np.sort(flexible(4, fresh)[0]) > np.sort(rigid(5, fresh))).all()  # the whole target curve lies to the right
    without = flexible(4, fresh, columns=0.0, latest=0)[0]
    assert without == pytest.approx(rigid(4, fresh))


def test_figure_shows_every_design(page):
    (panel,) = page["figure"].panels
    lines = [piece for piece in panel.pieces if isinstance(piece, Line)]
    assert [line.label for line in lines] == ["rigid, 6 levels", "rigid, 5 levels", "flexible, 4 at first"]
    for line, sample in zip(lines, page["samples"].values(), strict=True):
        assert np.interp(0.5, line.y, line.x) == pytest.approx(np.median(sample))
    assert (DOCS / "_static" / "garage_target_curves.png").exists()


if __name__ == "__main__":
    run_page()["figure"].savefig(DOCS / "_static" / "garage_target_curves.png")
