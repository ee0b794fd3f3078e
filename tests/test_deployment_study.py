"""The deployment study as a user runs it: folder, page, sentences that say what the tables say, resuming."""

import html
import json
import re

import numpy as np
import pandas as pd
import pytest

from stochisru import InputError, load_case
from stochisru.worked.deployment.findings import money
from stochisru.worked.deployment.study import deployment_study
from tests.browser import page_of

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
    assert tables == {
        *("values", "metrics", "gaps", "operations", "npv", "rules", "tornado", "frontier", "tuning"),
        *("distributions", "deployment_times", "deployment_numbers", "hypothesis", "hypothesis_scan"),
    }
    figures = {p.stem for p in (study.folder / "figures").glob("*.png")}
    for kind in ("target_curves", "operations", "distributions", "deployment_times", "tornado", "frontier"):
        assert {f"{kind}_3", f"{kind}_5"} <= figures
    assert {"shares", "flexibility"} <= figures
    manifest = json.loads((study.folder / "manifest.json").read_text())
    assert manifest["horizons"] == [3, 5]
    assert manifest["study"] == "deployment"


def test_sentences_say_what_the_tables_say(study):
    """Every number of every sentence is formed again from the tables on disk."""
    tables = {
        n: pd.read_parquet(study.folder / "tables" / f"{n}.parquet")
        for n in ("values", "gaps", "metrics", "tornado", "tuning")
    }
    text = " ".join(study.findings)
    values = tables["values"].set_index(["horizon", "quantity"])
    gaps = tables["gaps"].set_index(["horizon", "strategy"])
    metrics = tables["metrics"].set_index(["horizon", "strategy", "metric"])
    tuning = tables["tuning"].set_index(["horizon", "strategy"])
    studied = ["conservative", "moderate", "aggressive"]

    def amount(value, low, high):
        if low != low:  # heavy tails: no interval
            return money(value)
        return f"{money(value)} [{money(low)}, {money(high)}]"

    def share(value, low, high):
        return f"{value:.1%} [{low:.1%}, {high:.1%}]"

    for T in (3, 5):
        point = values.loc[T, "value"]
        rp = point["rp"]
        assert f"Over {T} years the optimum is worth {money(rp)} of expected NPV" in text
        for name in [*studied, "threshold"]:
            label = "the exact policy" if name == "threshold" else name
            row = {m: metrics.loc[(T, name, m)] for m in ("npv_mean", "p_positive", "cvar95", "utilization")}
            served = metrics.loc[(T, name, "self_sufficiency")]
            tail = row["cvar95"]
            for line, said in (
                ("profit", share(*row["p_positive"][["value", "lower", "upper"]])),
                ("worst", amount(-tail["value"], -tail["upper"], -tail["lower"])),
                ("served", share(*served[["value", "lower", "upper"]])),
                ("in use", share(*row["utilization"][["value", "lower", "upper"]])),
            ):
                where = [s for s in study.findings if line in s and re.search(rf"\b{T}[ -]year", s)]
                assert any(f"{label} {said}" in s for s in where), (line, label, said)
        for name in studied:
            mean, gap = metrics.loc[(T, name, "npv_mean")], gaps.loc[(T, name)]
            assert f"{name} {amount(*mean[['value', 'lower', 'upper']])}" in text
            assert f"{name} {amount(*gap[['gap', 'gap_lower', 'gap_upper']])}" in text
        best = gaps.loc[T].loc[studied, "gap"].idxmin()
        reached = share(*(1 - gaps.loc[(T, best), g] / rp for g in ("gap", "gap_upper", "gap_lower")))
        assert f"The best of the three over {T} years is {best}, with {reached} of the optimum." in text
        evpi = amount(*values.loc[(T, "evpi"), ["value", "lower", "upper"]])
        for said in (
            f"flexibility is worth {money(point['flexibility'])} over",
            f"{money(point['defer'])} from deferring a single start and {money(point['staging'])} from staging",
            f"Earth supply as a back-up is worth {money(point['earth_backup'])}",
            f"Over {T} years perfect information would add {evpi} (EVPI)",
            f"{money(point['vss'])} more than the mean path's plan (VSS)",
            f"{money(point['vms'])} more than the best schedule",
            f"{money(point['scheduling'])} from scheduling",
            f"{money(point['vms'])} from reacting to demand",
            f"Over {T} years doing nothing, with Earth serving demand or nobody, is worth {money(point['nothing'])}",
            f"the optimal rule earns {money(rp - point['nothing'])} more",
            share(*tuning.loc[(T, "tuned"), ["share_of_npv", "share_of_npv_lower", "share_of_npv_upper"]]),
        ):
            assert said in text, said
        of_horizon = tables["tornado"][tables["tornado"]["horizon"] == T]
        swings = of_horizon.groupby("symbol", sort=False)["rp"].agg(np.ptp)
        order = swings.map(lambda x: float(f"{x:.9g}")).sort_values(ascending=False, kind="stable").index
        top = ", ".join(f"{s} ({money(swings[s])})" for s in order[:3])
        assert f"the optimal NPV moves most with {top}" in text
    assert not re.search(r"\bnan\b|\binf\b|None", text)
    page = (study.folder / "report.html").read_text()
    for sentence in study.findings:
        assert html.escape(sentence) in page


def test_the_hypothesis_is_judged_from_the_tables(study):
    """Verdict, reason and counts of the sentences are formed again from the tables on disk."""
    read = {n: pd.read_parquet(study.folder / "tables" / f"{n}.parquet") for n in ("hypothesis", "hypothesis_scan")}
    metrics = pd.read_parquet(study.folder / "tables" / "metrics.parquet").set_index(["horizon", "strategy", "metric"])
    text = " ".join(study.findings)
    for T in (3, 5):
        at = read["hypothesis"].set_index(["horizon", "quantity"])["value"].loc[T]
        assert set(at[["sd_riskier", "p5_loss_riskier", "cvar_loss_riskier"]]) == {0.0}
        said = next(s for s in study.findings if s.startswith(f"Over {T} years the hypothesis"))
        assert "conservative more concentrated fails. Standard deviation" in said
        for rule in ("aggressive", "conservative"):
            sd, tail = (metrics.loc[(T, rule, m)] for m in ("npv_sd", "cvar95"))
            assert f"{rule} {money(sd['value'])}" in said
            assert f"{rule} {money(-tail['value'])}" in said
            left = 1 - metrics.loc[(T, rule, "self_sufficiency"), "value"]
            assert f"{rule} leaves {left:.1%} of demand unserved by plants (0.0% is short)" in text
            assert f"by {money(at[f'slope_{rule}'])}, which explains {at[f'explained_{rule}']:.0%}" in text
        assert abs(at["slope_conservative"]) > abs(at["slope_aggressive"])
        assert at["unserved"] == 3000
        scan = read["hypothesis_scan"].query("horizon == @T")
        held = scan[scan["verdict"] == "holds"]
        assert 0 < len(held) < len(scan)
        assert f"Of {len(scan)} points around the case over {T} years" in text
        assert f"by all three measures at {len(held)}: by multiples of c_E and c_bu" in text
        assert f"over {T} years costs {money(held['unserved_cost'].max())} (" in text
    page = (study.folder / "report.html").read_text()
    assert "Where aggressive is riskier than conservative" in page


@pytest.mark.slow
def test_a_fixed_start_says_what_flexibility_is_measured_from(tmp_path):
    case = load_case("contested-market").replace(initial_deployment="fixed")
    study = deployment_study(case, tmp_path / "out", horizons=(3,), paths=100, rules=2)
    assert any("over no plants at all" in s for s in study.findings)


def test_a_case_that_never_pays_is_told_without_shares(tmp_path):
    case = load_case("contested-market").replace(P_m=0.0)
    study = deployment_study(case, tmp_path / "out", horizons=(3,), paths=100, rules=3)
    text = " ".join(study.findings)
    assert "−$" in text
    assert not re.search(r"\bnan\b|\binf\b|None", text)


@pytest.mark.slow
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


def test_page_opens_in_a_browser(study, browser):
    page = (study.folder / "report.html").read_text(encoding="utf-8")
    assert not re.search(r'(?:src|href)\s*=\s*"(?!data:|#)', page)
    with page_of(browser) as shown:
        shown.size(1200)
        shown.open((study.folder / "report.html").as_uri())
        pictures = shown("[...document.images].map(i => i.naturalWidth)")
        charts = shown("[...document.querySelectorAll('.wide-svg svg')].map(s => s.getBoundingClientRect().width)")
        assert len(pictures) + len(charts) == 2 + 2 * 6
        assert len(charts) == 2 * 4
        assert min(pictures + charts) > 100
        assert shown.overflow() == 0
        assert shown.complaints == []
