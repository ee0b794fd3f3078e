"""The deployment study as a user runs it: folder, page, sentences that say what the tables say, resuming."""

import html
import json
import re

import pandas as pd
import pytest

from stochisru import InputError, load_case
from stochisru.report.findings import money
from stochisru.studies.deployment import deployment_study
from tests.browser import chromium

SMALL = ("--horizons", "3,5", "--paths", "300", "--rules", "10")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    case = load_case("contested-market")
    return deployment_study(case, folder / "out", horizons=(3, 5), paths=300, rules=10)


def test_folder_has_every_table_figure_and_page(study):
    on_disk = {str(p.relative_to(study.folder)) for p in study.folder.rglob("*") if p.is_file()}
    assert on_disk == set(study.files)
    tables = {p.stem for p in (study.folder / "tables").glob("*.csv")}
    assert tables == {"values", "metrics", "gaps", "operations", "npv", "rules", "tornado", "frontier", "tuning"}
    figures = {p.stem for p in (study.folder / "figures").glob("*.png")}
    for kind in ("target_curves", "operations", "tornado", "frontier"):
        assert {f"{kind}_3", f"{kind}_5"} <= figures
    assert {"shares", "flexibility"} <= figures
    manifest = json.loads((study.folder / "manifest.json").read_text())
    assert manifest["horizons"] == [3, 5]
    assert manifest["study"] == "deployment"


def test_sentences_say_what_the_tables_say(study):
    tables = {n: pd.read_parquet(study.folder / "tables" / f"{n}.parquet") for n in ("values", "gaps", "metrics")}
    text = " ".join(study.findings)
    values = tables["values"].set_index(["horizon", "quantity"])["value"]
    gaps = tables["gaps"].set_index(["horizon", "strategy"])
    for T in (3, 5):
        rp = values[T, "rp"]
        assert f"Over {T} years the optimum is worth {money(rp)}" in text
        for name in ("conservative", "moderate", "aggressive"):
            assert f"{name} {1 - gaps.loc[(T, name), 'gap'] / rp:.1%}" in text
        assert f"flexibility is worth {money(values[T, 'flexibility'])}" in text
        best = gaps.loc[T].loc[["conservative", "moderate", "aggressive"], "gap"].idxmin()
        assert f"best of the three over {T} years is {best}" in text
    assert not re.search(r"\bnan\b|\binf\b|None", text)
    page = (study.folder / "report.html").read_text()
    for sentence in study.findings:
        assert html.escape(sentence) in page


def test_a_case_that_never_pays_is_told_without_shares(tmp_path):
    case = load_case("contested-market").replace(P_m=0.0)
    study = deployment_study(case, tmp_path / "out", horizons=(3,), paths=100, rules=3)
    text = " ".join(study.findings)
    assert "−$" in text
    assert not re.search(r"\bnan\b|\binf\b|None", text)


def test_command_resumes_to_the_same_tables(run_cli, tmp_path):
    call = ("study", "deployment", "contested-market", *SMALL, "--checkpoint", "seen")
    first = run_cli(*call, "--out", "first", "--json", "first.json", check=0)
    assert first.stdout.startswith("- Over 3 years the optimum is worth")
    again = run_cli(*call, "--resume", "--workers", "2", "--out", "second", "--json", "second.json", check=0)
    assert again.stdout.splitlines()[:-1] == first.stdout.splitlines()[:-1]
    for name in ("metrics", "tornado", "frontier", "tuning", "values"):
        assert (tmp_path / "first/tables" / f"{name}.csv").read_bytes() == (
            tmp_path / "second/tables" / f"{name}.csv"
        ).read_bytes()
    data = json.loads((tmp_path / "first.json").read_text())
    assert {"findings", "values", "strategies", "tuned", "files", "horizons"} <= set(data)
    run_cli("study", "deployment", "contested-market", *SMALL, "--out", "first", check=0)  # replaces its own kind
    for arguments, message in (
        (("run", "contested-market", "--horizon", "2", "--branching", "2,2", "--out", "first"), "out: "),
        (("study", "deployment", "--horizons", "10,x"), "horizons: must be years that differ"),
        (("study", "deployment", "--horizons", "3,3"), "horizons: must be years that differ"),
        (("report", "first"), "RUN_DIR: "),
    ):
        outcome = run_cli(*arguments)
        assert outcome.returncode == 2, arguments
        assert outcome.stderr.startswith(f"error: {message}")
        assert len(outcome.stderr.splitlines()) == 1


def test_limited_earth_supply_is_refused_at_once(tmp_path):
    case = load_case("contested-market").replace(earth_limit=500.0)
    with pytest.raises(InputError, match="earth_limit: must be none or 0"):
        deployment_study(case, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_page_opens_in_a_browser(study, browser, tmp_path):
    page = (study.folder / "report.html").read_text(encoding="utf-8")
    assert not re.search(r'(?:src|href)\s*=\s*"(?!data:|#)', page)
    probe = tmp_path / "probe.html"
    script = (
        "<script>addEventListener('load', () => { const p = document.documentElement; p.innerHTML = JSON.stringify({"
        "pictures: [...document.images].map(i => i.naturalWidth), wide: p.scrollWidth > p.clientWidth }) })</script>"
    )
    probe.write_text(page.replace("</body>", script + "</body>"), encoding="utf-8")
    shown = chromium(browser, "--window-size=1200,900", "--dump-dom", probe.as_uri()).stdout.decode()
    seen = json.loads(re.search(r"\{.*\}", shown)[0])
    assert len(seen["pictures"]) == 2 + 2 * 4
    assert min(seen["pictures"]) > 100
    assert not seen["wide"]
