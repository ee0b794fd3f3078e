"""The page of a run in a real browser, without network: what it says, and that it can be used."""

import base64
import hashlib
import json
import re
from importlib import resources

import numpy as np
import pandas as pd
import pytest

from stochisru import load_case
from stochisru.lunar.exact.threshold import threshold
from stochisru.lunar.run import run_case
from stochisru.lunar.schedule import schedule_table
from stochisru.lunar.simulation import simulate
from stochisru.lunar.trees import case_tree
from stochisru.report.page import read_tables
from stochisru.simulation.sampling import Sampling
from tests.browser import page_of

CURVE = "document.querySelector('.wide-svg svg[data-chart=target_curves] .series[data-key={}]')"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report") / "run"
    case = load_case("lunar-reference").replace(T=4)
    return run_case(case, folder, tree=case_tree(case, [3, 3, 2, 2]), paths=300, seed=1)


@pytest.fixture(scope="module")
def text(run):
    return (run.folder / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def opened(run, browser):
    with page_of(browser) as page:
        page.size(1366)
        page.open((run.folder / "report.html").as_uri())
        yield page
        assert page.complaints == []
        assert page.requested == [(run.folder / "report.html").as_uri()]


# ------------------------------------------------------------------ the text


def test_page_is_self_contained(text):
    assert not re.search(r'(?:src|href)\s*=\s*"(?!data:|#)', text)
    assert "http" not in re.sub(r"data:[^\"]*|http-equiv", "", text.replace("http://www.w3.org/2000/svg", ""))
    for said in ("Gkaravela", "assumed", "value of flexibility", "P(NPV", "Manifest", "highs"):
        assert said in text


def test_policy_lets_only_our_script_and_style_run(text):
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text).group(1)
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    for kind in ("script", "style"):
        (inside,) = re.findall(rf"<{kind}>(.*?)</{kind}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert not re.search(r"<[^>]* (?:style|on\w+)=", text)


def test_the_answer_comes_first_and_in_order(run, text):
    placed = [kg for name, kg in run.decision.items() if name.startswith("dM")]
    assert f"Commit {sum(placed):.0f} kg of plant this year: {placed[0]:.0f} kg for year 0" in text
    k = threshold(run.values.case).plan.position
    assert f"order up to {k[0]:.3g} kg of plant per kg/yr" in text
    heads = ["regret", "next", "curves", "changes", "plan", "details"]
    assert re.findall(r'<h2 id="(\w+)">', text) == heads
    assert re.findall(r'<a href="#(\w+)">', text) == heads
    assert text.index('class="answer"') < text.index('class="facts"') < text.index('<h2 id="regret">')
    assert text.count("<dt>", 0, text.index("</dl>")) == 4


def test_page_says_how_much_demand_is_met_and_which_indicators_do_not_vary(run, text):
    assert "demand satisfaction Σ(Q + Q_earth)/ΣD" in text
    assert "The same on every path and for every strategy: demand satisfaction Σ(Q + Q_earth)/ΣD = 1, shortage" in text
    assert {"tables/distributions.csv", "tables/deployment_times.csv", "tables/deployment_numbers.csv"} <= set(
        run.files
    )
    for suffix in ("png", "pdf", "svg"):
        assert {f"figures/{name}.{suffix}" for name in ("distributions", "regret_dM1", "break_even")} <= set(run.files)


def test_tables_can_be_saved_from_the_page(run, text):
    links = dict(re.findall(r'<a download="(\w+)\.csv" href="data:text/csv;base64,([^"]*)"', text))
    assert {"regret", "rule", "changes", "metrics", "values"} <= set(links)
    for name, data in links.items():
        assert base64.b64decode(data).decode() == (run.folder / "tables" / f"{name}.csv").read_text()


# --------------------------------------------------------------- the browser


@pytest.mark.parametrize("width", [1366, 390])
def test_page_fits_and_its_charts_can_be_read(opened, width):
    opened.size(width)
    assert opened.overflow() == 0
    sizes = opened(
        "[...document.querySelectorAll('figure svg')].filter(s => s.getBoundingClientRect().width > 0)"
        ".map(s => 12.5 * s.getBoundingClientRect().width / s.viewBox.baseVal.width)"
    )
    assert len(sizes) >= 6
    assert min(sizes) > 10  # pixels of the charts' text
    opened.size(1366)


def test_curves_are_chosen_by_pointer_and_by_keys(opened):
    shown = f"!{CURVE}.classList.contains('off')"
    assert opened(shown.format("optimal"))
    assert not opened(shown.format("gradual"))
    assert opened("document.querySelectorAll('#curves-choice input:checked').length") == 2
    opened.click("#curves-choice input[value=gradual]")
    assert opened(shown.format("gradual"))
    opened("document.querySelector('#curves-choice input[value=gradual]').focus()")
    opened.key(" ", 32, " ")
    assert not opened(shown.format("gradual"))


def test_the_share_of_futures_below_a_value_is_that_of_the_sample(opened, run):
    npv = pd.read_parquet(run.folder / "tables" / "npv.parquet")["optimal"]

    def said():
        found = re.match(r"Below (.*?) \$ million:.*optimal plan ([\d.]+)%", opened("curvesTip()"))
        return float(found[1].replace(",", "").replace("−", "-")) * 1e6, float(found[2]) / 100

    opened("window.curvesTip = () => document.getElementById('curves-tip').textContent")
    opened("document.getElementById('curves-at').focus()")
    x, share = said()
    assert share == pytest.approx((npv < x).mean(), abs=0.01)
    opened.key("ArrowRight", 39)
    assert said()[0] > x
    left, middle, width, _ = opened.middle(".wide-svg svg[data-chart=target_curves]")
    for at in (0.35, 0.6, 0.8):
        opened.move(left + (at - 0.5) * width, middle)
        x, share = said()
        assert share == pytest.approx((npv < x).mean(), abs=0.01)


def test_the_calculator_orders_what_the_policy_orders(opened, run):
    """Oracle: the library's own policy on one path."""
    case = run.values.case
    policy = threshold(case).policy()
    for year, demand, plant in ((1, 1500.0, 264.0), (2, 2100.5, 300.0), (3, 900.0, 1000.0)):
        for name, value in (("year", year), ("demand", demand), ("plant", plant)):
            opened(
                f"(() => {{ const e = document.getElementById('rule-{name}'); e.value = {json.dumps(str(value))}; "
                "e.dispatchEvent(new Event('input')) })()"
            )
        expected = max(0.0, policy.position[year - 1] * demand - plant)
        assert float(opened("document.getElementById('rule-order').dataset.kg")) == pytest.approx(expected, abs=1e-9)
        assert f"year {year + 1}" in opened("document.getElementById('rule-order').textContent")


def test_tables_are_sorted_by_their_headings(opened):
    column = "[...document.querySelectorAll('table.sortable tbody tr')].map(r => Number(r.cells[1].dataset.v))"
    head = "table.sortable thead th:nth-child(2)"
    for direction, sign in (("descending", -1), ("ascending", 1)):
        opened.click(f"{head} button")
        assert opened(f"document.querySelector('{head}').getAttribute('aria-sort')") == direction
        found = opened(column)
        assert found == sorted(found, key=lambda x: sign * x)


def test_print_keeps_every_column(opened, tmp_path):
    opened("dispatchEvent(new Event('beforeprint'))")
    opened.media("print")
    opened.size(688)  # A4 less its margins
    room = opened("document.documentElement.clientWidth")
    ends = opened(
        "[...document.querySelectorAll('table')].map(t => [t.caption?.textContent, t.getBoundingClientRect().right])"
    )
    assert len(ends) >= 8
    assert [name for name, right in ends if right > room + 1] == []
    assert opened("[...document.querySelectorAll('details')].every(d => d.open)")
    opened.pdf(tmp_path / "page.pdf")
    assert (tmp_path / "page.pdf").read_bytes().count(b"/Type /Page\n") >= 3
    opened.media()
    opened.size(1366)
    opened("dispatchEvent(new Event('afterprint'))")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1366, 390])
def test_page_is_accessible(opened, scheme, width):
    opened.size(width)
    opened.media(prefers_color_scheme=scheme)
    opened("for (const part of document.querySelectorAll('details')) part.open = true")
    axe = (resources.files("axe_core_python") / "axe.min.js").read_text(encoding="utf-8")
    opened(f"{axe}; 0")
    found = opened("axe.run(document).then(r => r.violations.map(v => [v.id, v.nodes.map(n => n.html.slice(0, 200))]))")
    assert found == []
    ground = opened("getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(255, 255, 255)") == (scheme == "light")
    opened.media()
    opened.size(1366)


# ----------------------------------------------------------------- the study


def test_report_of_progressive_hedging_shows_its_convergence(tmp_path):
    case = load_case("contested-market").replace(T=4)
    outcome = run_case(case, tmp_path / "run", tree=case_tree(case, [3, 3, 2, 2]), paths=50, method="ph")
    assert "figures/convergence.png" in outcome.files
    assert "tables/iterations.csv" in outcome.files
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "progressive hedging on subtrees" in page
    assert "Bounds and gap on the tree by iteration" in page
    values = outcome.tree_values
    assert values.rp.upper - values.rp.lower > 0
    assert values.evpi.upper - values.evpi.lower == pytest.approx(values.rp.upper - values.rp.lower)


def test_schedule_is_of_the_process_and_the_tree_stands_beside_it(run, text):
    """Oracles: the simulation's own means on the same paths, and the tree's means by probability."""
    case = run.values.case
    table = schedule_table(run.values, run.tree_values, Sampling(300, 1)).set_index(["of", "plan", "year"])
    tree, plan = run.tree_values.tree, run.tree_values.recourse.plan
    assert table.loc[("tree", "RP", 4), "plant"] == pytest.approx(tree.stage_mean(plan.plant)[4])
    assert (table["plant_p5"] <= table["plant_p95"] + 1e-9).all()
    assert table.loc[("tree", "EV", 0), "plant"] == pytest.approx(1000 / case.technology.eta)
    exact = threshold(case)
    simulated = simulate(case, [exact.policy(), "static", "ev"], paths=300, seed=1)
    for name, means in zip(("RP", "static", "EV"), simulated.plant, strict=True):
        assert [table.loc[("process", name, t), "plant"] for t in range(5)] == pytest.approx(means)
    for name, mass in exact.first_stage.items():  # what is committed is the same on every path
        assert table.loc[("process", "RP", int(name[2:])), "deployment"] == pytest.approx(mass)
    ws = [table.loc[("process", "WS", t), "plant"] for t in range(5)]
    assert ws == pytest.approx(np.maximum.accumulate(ws))
    for said in ("optimal on the tree", "with a perfect forecast", "committed now"):
        assert said in text


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"c_dev_exponent": 1.3, "reference": 100.0}, marks=pytest.mark.slow),
        {"lot": 50.0, "degradation": 0.05},
    ],
)
def test_run_values_the_tree_by_programs_where_no_exact_method_takes_it(changed, tmp_path):
    """Once a run ended there, later it had no values of the tree."""
    case = load_case("lunar-reference").replace(T=3, **changed)
    for method in (None, "ef"):
        outcome = run_case(case, tmp_path / "run", tree=case_tree(case, [2, 2, 1]), paths=60, method=method)
        assert outcome.tree_values.recourse.method == "ef"
        assert "tables/tree_values.csv" in outcome.files
        data = outcome.to_dict()["tree"]
        assert data["no_values"] is None
        assert data["values"]["eev"] <= data["values"]["static"] <= data["values"]["rp"] <= data["values"]["ws"]
        page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
        assert "solved by <code>ef</code>" in page
        assert "Values of the tree" in page
    manifest, tables = read_tables(tmp_path / "run")
    assert "rule" not in tables  # no rule of one number a year, so a table in place of the calculator
    assert 'id="rule-form"' not in page
    assert "What the" in page
    assert manifest["answer"]["refused"] == ""
