"""The page in a real browser, without network."""

import re

import pytest

from stochisru import load_case
from stochisru.lunar.run import run_case, schedule_table
from stochisru.lunar.trees import case_tree
from tests.browser import chromium


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report") / "run"
    case = load_case("lunar-reference").replace(T=4)
    return run_case(case, folder, tree=case_tree(case, [3, 3, 2, 2]), paths=300, seed=1)


def test_page_is_self_contained(run):
    page = (run.folder / "report.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert not re.search(r'(?:src|href)\s*=\s*"(?!data:|#)', page)
    assert "http" not in re.sub(r"data:[^\"]*", "", page)
    for text in ("Gkaravela", "assumed", "value of flexibility", "P(NPV", "Manifest", "highs"):
        assert text in page


def test_page_opens_and_shows_every_figure(run, browser, tmp_path):
    page = run.folder / "report.html"
    probe = tmp_path / "probe.html"
    # The page itself has no script; the probe adds one that reports what the browser laid out.
    probe.write_text(
        page.read_text(encoding="utf-8").replace(
            "</body>",
            """<script>
            window.addEventListener('load', () => {
                const page = document.documentElement;
                document.title = JSON.stringify({
                    figures: [...document.images].filter(i => i.complete && i.naturalWidth > 100).length,
                    tables: document.querySelectorAll('table').length,
                    overflow: page.scrollWidth - page.clientWidth,
                });
            });
            </script></body>""",
        ),
        encoding="utf-8",
    )
    dom = chromium(browser, "--dump-dom", "--window-size=1200,900", f"file://{probe}").stdout.decode()
    title = re.search(r"<title>(.*?)</title>", dom).group(1)
    assert '"figures":7' in title.replace("&quot;", '"')
    assert '"overflow":0' in title
    shot = tmp_path / "page.png"
    chromium(browser, "--hide-scrollbars", "--window-size=1200,900", f"--screenshot={shot}", f"file://{page}")
    assert shot.stat().st_size > 20_000


def test_page_says_how_much_demand_is_met_and_which_indicators_do_not_vary(run):
    page = (run.folder / "report.html").read_text(encoding="utf-8")
    assert "demand satisfaction Σ(Q + Q_earth)/ΣD" in page
    assert "The same on every path and for every strategy: demand satisfaction Σ(Q + Q_earth)/ΣD = 1, shortage" in page
    assert {"tables/distributions.csv", "tables/deployment_times.csv", "tables/deployment_numbers.csv"} <= set(
        run.files
    )
    assert {"figures/distributions.png", "figures/deployment_times.pdf"} <= set(run.files)


def test_report_of_progressive_hedging_shows_its_convergence(tmp_path):
    case = load_case("contested-market").replace(T=4)
    outcome = run_case(case, tmp_path / "run", tree=case_tree(case, [3, 3, 2, 2]), paths=50, method="ph")
    assert "figures/convergence.png" in outcome.files
    assert "tables/iterations.csv" in outcome.files
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "progressive hedging with" in page
    assert "Progressive hedging: bounds" in page
    values = outcome.tree_values
    assert values.rp.upper - values.rp.lower > 0
    assert values.evpi.upper - values.evpi.lower == pytest.approx(values.rp.upper - values.rp.lower)


def test_schedule_table_means_are_probability_weighted(run):
    table = schedule_table(run.tree_values).set_index(["plan", "year"])
    tree = run.tree_values.tree
    plan = run.tree_values.recourse.plan
    assert table.loc[("RP", 4), "plant"] == pytest.approx(tree.stage_mean(plan.plant)[4])
    assert (table["plant_p5"] <= table["plant_p95"] + 1e-9).all()
    assert table.loc[("EV", 0), "plant"] == pytest.approx(1000 / run.values.case.technology.eta)
