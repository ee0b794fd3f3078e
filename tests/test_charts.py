"""Charts: colours that can be told apart, text that does not lie over text, files at the size that a paper wants."""

import re
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from stochisru.report.canvas import DARK, DASHES, LIGHT, SERIES, text_width
from stochisru.report.chart import SLIM, Axis, Chart, Line, Panel, Ribbon, nice
from stochisru.report.elements import by_error, dollars, significant
from stochisru.report.figures import target_curves, value_ladder
from stochisru.report.labels import spots
from stochisru.studies.folder import write_figure


def linear(color):
    """Linear sRGB of a colour."""
    value = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def contrast(one, other):
    """As the Web Content Accessibility Guidelines 2.2 define it."""
    bright = sorted(float(linear(c) @ [0.2126, 0.7152, 0.0722]) for c in (one, other))
    return (bright[1] + 0.05) / (bright[0] + 0.05)


#: Deuteranopia in linear sRGB (Viénot, Brettel and Mollon 1999).
_DEUTERANOPE = np.array([[0.29275, 0.70725, 0.0], [0.29275, 0.70725, 0.0], [-0.02234, 0.02234, 1.0]])


@pytest.mark.parametrize("scheme", [LIGHT, DARK])
def test_colours_stand_out_and_survive_deuteranopia(scheme):
    for name in SERIES:
        assert contrast(scheme[name], scheme["bg"]) >= 3
    for name in ("fg", "muted"):
        assert contrast(scheme[name], scheme["bg"]) >= 4.5
    seen = np.cbrt(np.clip([_DEUTERANOPE @ linear(scheme[name]) for name in SERIES], 0, 1))
    lead = np.linalg.norm(seen[1:] - seen[0], axis=1)
    assert lead[:3].min() > 0.12  # the plan against the first that stand beside it


def test_no_two_series_share_colour_and_dash():
    lines = [Line(np.zeros(2), np.zeros(2), series=i) for i in range(1, 1 + (len(SERIES) - 1) * len(DASHES))]
    assert len({(line.color, line.dash) for line in lines}) == len(lines)
    plan = Line(np.zeros(2), np.zeros(2), lead=True)
    assert plan.color not in {line.color for line in lines}
    assert plan.dash == ()
    assert all(line.dash for line in lines)
    assert plan.width > 1.5 * max(line.width for line in lines)


@given(low=st.floats(-1e9, 1e9), span=st.floats(1e-6, 1e9), count=st.floats(1.5, 12))
def test_ticks_are_round_inside_and_not_too_many(low, span, count):
    high = low + span
    ticks = nice(low, high, count)
    assert len(ticks) <= count + 1.01
    slack = 1e-6 * max(abs(low), abs(high), span)
    assert all(low - slack <= t <= high + slack for t in ticks)
    if len(ticks) > 2:
        assert np.diff(ticks) == pytest.approx(np.diff(ticks)[0], abs=2e-15 * max(abs(low), abs(high)))


@given(value=st.floats(1e-3, 1e15), digits=st.integers(2, 6))
def test_numbers_have_the_digits_that_count_and_no_powers(value, digits):
    text = significant(value, digits)
    assert "e" not in text
    assert float(text.replace(",", "")) == pytest.approx(value, rel=0.51 * 10.0 ** (1 - digits))
    assert len(re.sub(r"[,.]", "", text).lstrip("0")) >= digits


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (467.7, 4.2, "468"),
        (467.72, 0.32, "467.7"),
        (853.05, 40.0, "850"),
        (-83.0, 7.9, "−83"),
        (0.6054, np.nan, "0.6054"),
        (12.0, 300.0, "0"),
        (np.nan, 1.0, "–"),
    ],
)
def test_digits_follow_the_error(value, error, text):
    assert by_error(value, error) == text


def test_money_in_words():
    assert dollars(468.46e6) == "$468 million"
    assert dollars(-1.2e10) == "−$12.0 billion"
    assert dollars(7850.0) == "$7,850"
    assert dollars(99.96e6) == "$100 million"
    assert dollars(0.0) == "$0"


def test_names_lie_clear_of_each_other_and_inside():
    x = np.linspace(0, 400, 50)
    lines = [np.stack([x, 40 + 25 * i + 0.2 * x], axis=1) for i in range(6)]
    sizes = [(text_width(f"strategy {i}"), 12.5) for i in range(6)]
    found = spots(lines, lines, sizes, (0, 0, 400, 300))
    boxes = []
    for spot, (width, height) in zip(found, sizes, strict=True):
        left = spot.x - width * {"start": 0, "middle": 0.5, "end": 1}[spot.anchor]
        boxes.append((left, spot.y - 0.8 * height, left + width, spot.y + 0.25 * height))
    for i, a in enumerate(boxes):
        assert a[0] > -1
        assert a[2] < 401
        for b in boxes[:i]:
            assert min(a[2], b[2]) <= max(a[0], b[0]) or min(a[3], b[3]) <= max(a[1], b[1])


def chart():
    rng = np.random.default_rng(0)
    return target_curves({"optimal": rng.normal(5e8, 1e8, 500), "upfront": rng.normal(3e8, 1e8, 500)})


def test_files_are_for_papers_and_the_same_every_time(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        write_figure(tmp_path / folder, "curves", chart())
    for suffix in ("png", "pdf", "svg"):
        first, second = ((tmp_path / folder / f"curves.{suffix}").read_bytes() for folder in ("a", "b"))
        assert first == second
    with Image.open(tmp_path / "a" / "curves.png") as image:
        assert image.info["dpi"] == pytest.approx((300, 300), abs=0.1)
        assert image.width == pytest.approx(chart().width / 96 * 300, abs=2)
    text = (tmp_path / "a" / "curves.svg").read_text(encoding="utf-8")
    assert text.startswith("<svg xmlns=")
    assert LIGHT["s0"] in text
    assert "var(" not in text


def test_matplotlib_figures_are_written_at_300_dots_an_inch_too(tmp_path):
    """Once 110: the style's own number was set in a context that had ended."""
    from stochisru.report.style import new_figure

    with new_figure(3.0, 2.0) as (figure, ax):
        ax.plot([0, 1])
    write_figure(tmp_path, "plain", figure)
    with Image.open(tmp_path / "plain.png") as image:
        assert image.size == (900, 600)


def test_names_that_no_font_has_make_no_warning(tmp_path):
    line = Line(np.arange(3.0), np.arange(3.0), "酸素 $x_1$ <b>", lead=True)
    plain = Chart((Panel(Axis("year", 0, 2), Axis("kg", 0, 2), (line,)),), "told")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for suffix in ("png", "pdf"):
            plain.savefig(tmp_path / f"x.{suffix}")
    assert "酸素 $x_1$ &lt;b&gt;" in plain.svg()


def test_panels_go_below_each_other_on_a_telephone():
    panel = Panel(Axis("year", 0, 2), Axis("kg", 0, 2), (Ribbon(np.arange(3.0), np.zeros(3), np.ones(3), "half"),))
    two = Chart((panel, panel), "told", height=200)
    assert two.size(two.width) == (2, 200)
    assert two.size(SLIM) == (1, 400)
    assert two.svg(SLIM).count("half") == 2


def test_the_plan_is_the_strongest_line_of_a_distribution():
    (panel,) = chart().panels
    lines = [piece for piece in panel.pieces if isinstance(piece, Line)]
    assert lines[-1].lead  # above all others
    assert lines[-1].key == "optimal"
    assert "lie beyond the axis" in panel.x.label  # what is cut off is said


def test_a_ladder_says_what_ways_of_deciding_are():
    import pandas as pd

    table = pd.DataFrame({"quantity": ["ws", "rp", "static", "nothing"], "value": [12e6, 10e6, 8e6, -1e9]})
    made = value_ladder(table)
    assert made.panels[0].y.names[0] == "perfect forecast (WS)"
    assert "perfect forecast (WS) 12.00 (+2.00)" in made.told
    assert "build nothing −1,000 (−1,010)" in made.told
