"""The page in a real browser, without network."""

import re

import numpy as np
import pytest

from stochisru import load_case
from stochisru.lunar.exact.threshold import threshold
from stochisru.lunar.run import run_case
from stochisru.lunar.schedule import schedule_table
from stochisru.lunar.simulation import simulate
from stochisru.lunar.trees import case_tree
from stochisru.simulation.sampling import Sampling
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
    assert "progressive hedging on subtrees" in page
    assert "Bounds and gap on the tree by iteration" in page
    values = outcome.tree_values
    assert values.rp.upper - values.rp.lower > 0
    assert values.evpi.upper - values.evpi.lower == pytest.approx(values.rp.upper - values.rp.lower)


def test_schedule_is_of_the_process_and_the_tree_stands_beside_it(run):
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
    page = (run.folder / "report.html").read_text(encoding="utf-8")
    assert "300 fresh paths of the process: the policy behind RP against perfect foresight" in page
    assert "the plan that is optimal on the tree" in page


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
