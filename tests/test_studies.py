"""Studies: checkpoints that survive, rows that do not depend on how they were computed, and values with an oracle."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stochisru import InputError, load_case, simulate
from stochisru.cli.main import main
from stochisru.lunar import studies
from stochisru.lunar.strategies import MODERATE, STRATEGIES
from stochisru.lunar.studies import (
    Objective,
    break_even,
    break_evens,
    default_strategies,
    frontier,
    grid_values,
    hold,
    non_dominated,
    sample_rules,
    tornado,
    tune,
    two_way_map,
)
from stochisru.lunar.values.process import exact_values
from stochisru.studies.search import RuleSearch
from stochisru.studies.store import Evaluator, Execution, Study, run_study
from tests.cases import deployment_cases


@pytest.fixture(scope="module")
def contested():
    return load_case("contested-market").replace(T=6)


# --- points, checkpoints, workers


def third(point):
    return [{"i": point["i"], "x": point["i"] / 3, "missing": float("nan")}, {"i": point["i"], "x": -0.1, "missing": 1}]


def study_of(n, compute=third, **identity):
    return Study({"study": "thirds", **identity}, [{"i": i} for i in range(n)], compute)


def test_rows_do_not_depend_on_workers_backend_or_checkpoint(tmp_path):
    rows = run_study(study_of(7))
    assert [r["i"] for r in rows] == [i for i in range(7) for _ in range(2)]
    assert rows[0]["missing"] is None
    assert run_study(study_of(7), Execution(2)) == rows
    assert run_study(study_of(7), Execution(checkpoint=tmp_path / "c")) == rows
    seen = []
    again = Execution(2, checkpoint=tmp_path / "c", resume=True, progress=seen.append)
    assert run_study(study_of(7), again) == rows
    assert seen == [7]


@pytest.mark.filterwarnings("ignore")  # what dask warns of is between dask and its dependencies
def test_dask_gives_the_same_rows():
    pytest.importorskip("distributed")
    assert run_study(study_of(5), Execution(1, "dask")) == run_study(study_of(5))


def test_dask_missing_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(InputError, match=r"backend: dask is not installed; pip install 'stochisru\[dask\]'"):
        Execution(backend="dask")


def test_a_checkpoint_extends_to_more_points(tmp_path):
    run_study(study_of(3), Execution(checkpoint=tmp_path / "c"))
    seen = []
    rows = run_study(study_of(5), Execution(checkpoint=tmp_path / "c", resume=True, progress=seen.append))
    assert seen == [3, 1, 1]
    assert rows == run_study(study_of(5))


def test_a_line_cut_short_is_dropped(tmp_path):
    folder = tmp_path / "c"
    rows = run_study(study_of(4), Execution(checkpoint=folder))
    whole = (folder / "points.jsonl").read_bytes()
    for cut in (whole[:-1], whole[:-20], whole[: whole.index(b"\n") + 1]):
        (folder / "points.jsonl").write_bytes(cut)
        assert run_study(study_of(4), Execution(checkpoint=folder, resume=True)) == rows
        assert (folder / "points.jsonl").read_bytes() == whole
    (folder / "points.jsonl").write_bytes(b"nonsense\n" + whole)
    with pytest.raises(InputError, match="line 1 of"):
        run_study(study_of(4), Execution(checkpoint=folder, resume=True))


def test_checkpoints_are_refused_for_a_reason(tmp_path):
    folder = tmp_path / "c"
    run_study(study_of(2, seed=1), Execution(checkpoint=folder))
    with pytest.raises(InputError, match="holds a study already"):
        run_study(study_of(2, seed=1), Execution(checkpoint=folder))
    with pytest.raises(InputError, match=r"another study \(seed: 1 there, 2 here\)"):
        run_study(study_of(2, seed=2), Execution(checkpoint=folder, resume=True))
    with (
        Execution(checkpoint=folder, resume=True).opened({"study": "thirds", "seed": 1}, third),
        pytest.raises(InputError, match="in use by another process"),
    ):
        run_study(study_of(2, seed=1), Execution(checkpoint=folder, resume=True))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="holds other files"):
        run_study(study_of(2), Execution(checkpoint=tmp_path / "mine"))
    with pytest.raises(InputError, match="cannot use"):
        run_study(study_of(2), Execution(checkpoint=tmp_path / "mine" / "thesis.txt"))


def refuses_two(point):
    if point["i"] == 2:
        raise InputError("x: must be small")
    return third(point)


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_names_its_point_and_keeps_the_others(tmp_path, workers):
    how = Execution(workers, checkpoint=tmp_path / "c")
    with pytest.raises(InputError, match=r"x: must be small \(at i = 2\)"):
        run_study(study_of(3, refuses_two), how)
    with pytest.raises(InputError, match="points: must differ"):
        run_study(Study({}, [{"i": 1}, {"i": 1}], third))


def test_bad_executions():
    for arguments, field in (((0,), "workers"), ((1.5,), "workers"), ((1, "spark"), "backend")):
        with pytest.raises(InputError, match=f"^{field}: must be"):
            Execution(*arguments)
    with pytest.raises(InputError, match="resume: needs"):
        Execution(resume=True)


@pytest.mark.parametrize(
    "command",
    [
        ("sensitivity", "contested-market", "--map", "sigma,c_L", "--steps", "6", "--horizon", "4"),
        ("tune", "lunar-reference", "--paths", "300", "--generations", "4", "--fresh-paths", "500", "--seed", "3"),
    ],
)
def test_a_killed_study_resumes_to_the_same_bytes(run_cli, tmp_path, command):
    whole = run_cli(*command, "--json", "-", check=0).stdout
    call = [sys.executable, "-m", "stochisru", *command, "--checkpoint", "c", "--json", "killed.json"]
    process = subprocess.Popen(call, cwd=tmp_path, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    points = tmp_path / "c" / "points.jsonl"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (points.exists() and points.read_bytes().count(b"\n") >= 5):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (tmp_path / "killed.json").exists()
    finished = points.read_bytes()
    finished = finished[: finished.rfind(b"\n") + 1]
    resumed = run_cli(*command, "--checkpoint", "c", "--resume", "--workers", "2", "--json", "-", check=0).stdout
    assert resumed == whole
    assert points.read_bytes().startswith(finished)  # nothing finished is lost, nothing is computed twice
    lines = points.read_bytes().splitlines()
    assert len({json.dumps(json.loads(line)["point"], sort_keys=True) for line in lines}) == len(lines)


def test_public_names_exist_and_are_documented():
    for name in studies.__all__:
        assert getattr(studies, name).__doc__, name
    assert set(dir(studies)) == set(studies.__all__)
    with pytest.raises(AttributeError, match="no attribute 'luck'"):
        _ = studies.luck


# --- sensitivity


def level(study, symbol, name):
    return next(r for r in study.rows if (r["symbol"], r["level"]) == (symbol, name))


def test_tornado_at_zero_change_is_the_base(contested):
    study = tornado(contested, change=0.0)
    values = exact_values(contested)
    relative = [r for r in study.rows if r["symbol"] != "degradation"]  # which has a range, as it is 0
    assert {r["rp"] for r in relative} == {values.point("rp")}
    assert {r["flexibility"] for r in relative} == {values.point("flexibility")}
    assert {study.swing(r["symbol"]) for r in relative} == {0}
    assert {"M0", "c_S", "c_by", "earth_limit"} == set(study.left_out)


def test_tornado_against_theory(contested):
    study = tornado(contested)
    base = level(study, "r", "base")
    for scale, name in ((0.8, "low"), (1.2, "high")):  # values scale with demand
        for quantity in ("rp", "flexibility", "staging", "vss", "dM0"):
            assert level(study, "D0", name)[quantity] == pytest.approx(scale * base[quantity], rel=1e-8)
    for symbol, up in (("P_m", True), ("eta", True), ("c_L", False), ("c_dev", False), ("c_op", False), ("c_E", False)):
        low, middle, high = (level(study, symbol, x)["rp"] for x in ("low", "base", "high"))
        assert (low < middle < high) if up else (low > middle > high), symbol
    for symbol in ("beta", "c_bu"):  # hydrogen is free here, and Earth supply leaves no shortage
        assert study.swing(symbol) == 0
    assert study.swing("alpha") == pytest.approx(study.swing("c_L"), rel=1e-9)  # both act through their product
    swings = [float(f"{study.swing(s):.9g}") for s in study.ranked()]  # c_L and alpha are equal but for rounding
    assert swings == sorted(swings, reverse=True)
    assert list(dict.fromkeys(r["symbol"] for r in study.rows)) == study.ranked()
    for row in study.rows:
        assert row["flexibility"] == pytest.approx(row["defer"] + row["staging"], abs=1e-6 * abs(base["rp"]))
        assert row["note"] is None
        assert row["error"] < 1e-6 * abs(base["rp"])


@settings(max_examples=10)
@given(deployment_cases(linear_only=True), st.floats(0, 0.9))
def test_price_never_hurts(case, change):
    study = tornado(case, {"P_m": (1000.0 * (1 - change), 1000.0 * (1 + change))})
    low, high = (level(study, "P_m", x) for x in ("low", "high"))
    assert low["rp"] <= high["rp"] + low["error"] + high["error"] + 1e-6


def test_without_risk_there_is_nothing_to_react_to(contested):
    row = level(tornado(contested, {"sigma": (0.0, 0.3)}), "sigma", "low")
    assert row["vms"] == row["vss"] == 0
    assert row["rp"] == pytest.approx(row["static"], rel=1e-12) == row["eev"]
    assert row["flexibility"] > 0  # staging alone: the fixed design is bought once, however certain demand is


def test_derived_symbols_move_or_are_held(reference):
    row = level(tornado(reference.replace(T=3), {"c_L": None}), "c_L", "high")
    assert row["moves"] == "c_op, c_E, P_m, c_bu"
    held = hold(reference.replace(T=3), ["c_E", "P_m", "c_bu"])
    row = level(tornado(held, {"c_L": None}), "c_L", "high")
    assert row["moves"] == "c_op"
    assert row["rp"] < level(tornado(held, {"c_L": None}), "c_L", "base")["rp"]
    with pytest.raises(InputError, match=r"hold: must be among the derived symbols \(alpha, .*\), got 'mu'"):
        hold(reference, ["mu"])


def test_refused_levels_are_named(contested):
    study = tornado(contested.replace(degradation=0.9), {"degradation": None, "T": None})
    row = level(study, "degradation", "high")
    assert (row["rp"], row["note"]) == (None, "technology.degradation: must be a finite number >= 0 and < 1, got 1.08")
    assert np.isnan(study.swing("degradation"))
    assert study.ranked() == ["T", "degradation"]
    assert [level(study, "T", x)["value"] for x in ("low", "base", "high")] == [5, 6, 7]


def test_workers_and_checkpoint_do_not_change_exact_rows(contested, tmp_path):
    ranges = {"sigma": (0.1, 0.3), "c_L": None}
    rows = tornado(contested, ranges).to_rows()
    assert tornado(contested, ranges, execution=Execution(2, checkpoint=tmp_path / "c")).to_rows() == rows
    done = []
    two_way_map(
        contested,
        x_values=[0.1, 0.3],
        y_values=[5000.0, 6000.0],
        execution=Execution(checkpoint=tmp_path / "c", resume=True, progress=done.append),
    )
    assert len(rows) == 6
    other = contested.replace(P_m=2999.0)
    with pytest.raises(InputError, match="another study"):
        tornado(other, ranges, execution=Execution(checkpoint=tmp_path / "c", resume=True))


def test_map_is_the_exact_value_and_its_line_the_break_even(contested):
    sigma, launch = grid_values(contested, "sigma", (0.1, 0.5), 3), grid_values(contested, "c_L", (6000, 15_000), 9)
    study = two_way_map(contested, x_values=sigma, y_values=launch)
    here = exact_values(contested.replace(sigma=sigma[1], c_L=launch[2]))
    assert study.grid("staging")[2, 1] == here.point("staging")
    assert study.grid("dM0")[2, 1] == here.recourse.plan.root[0]
    line = study.contour("rp", 0.0)
    on_grid = line[np.isclose(line["sigma"], sigma[1])]["c_L"].to_numpy()
    root = break_even(contested.replace(sigma=sigma[1]), "c_L", low=6000, high=15_000)
    assert on_grid == pytest.approx([root.value], abs=0.02 * (launch[1] - launch[0]))
    for row in study.rows:
        expected = "fixed" if row["fixed"] > 0 else "only flexible" if row["rp"] > 0 else "none"
        assert row["pays"] == expected
    assert study.contour("rp", 1e15).empty


def test_break_even_brackets_its_root(contested):
    found = break_even(contested, "P_m", low=500, high=5000)
    assert found.lower <= found.value <= found.upper
    assert found.upper - found.lower <= 3e-6 * found.value
    assert found.at_lower <= 0 <= found.at_upper
    for price, value in ((found.lower, found.at_lower), (found.upper, found.at_upper)):
        assert exact_values(contested.replace(P_m=price)).point("rp") == value
    base = exact_values(contested).point("rp")  # RP is proportional to D0
    assert break_even(contested, "D0", low=10, high=1e5, target=2 * base).value == pytest.approx(2000, rel=1e-5)
    falling = break_even(contested, "c_L", low=1000, high=50_000)
    assert falling.at_lower >= 0 >= falling.at_upper


def test_break_even_without_a_crossing_says_both_ends(contested):
    low, high = (exact_values(contested.replace(c_bu=x)).point("rp") for x in (5000.0, 9000.0))
    with pytest.raises(InputError) as error:
        break_even(contested, "c_bu", low=5000, high=9000)
    assert str(error.value) == (
        f"c_bu: rp must cross 0 $ between 5000 and 9000, is {low:,.6g} $ and {high:,.6g} $ there"
    )
    row, found = break_evens(contested, {"c_bu": (5000, 9000), "P_m": None})
    assert (row["value"], row["note"]) == (None, str(error.value))
    assert found["lower"] <= found["value"] <= found["upper"]
    assert (found["low"], found["high"]) == (300, 30_000)


@pytest.mark.parametrize(
    "call, field",
    [
        (lambda c: tornado(c, {"nonsense": None}), "nonsense: unknown symbol"),
        (lambda c: tornado(c, {"earth_limit": None}), "earth_limit: is none"),
        (lambda c: tornado(c, {"c_S": None}), "c_S: is 0"),
        (lambda c: tornado(c, {"sigma": (-1, 0.1)}), "demand.sigma: must be"),
        (lambda c: tornado(c, {}), "symbols: needs"),
        (lambda c: tornado(c, change=1.0), "change: must lie"),
        (lambda c: tornado(c.replace(earth_limit=500.0)), "earth_limit: must be none or 0"),
        (lambda c: two_way_map(c.replace(earth_limit=500.0)), "earth_limit: must be none or 0"),
        (lambda c: two_way_map(c, "sigma", "sigma"), "map: needs two different"),
        (lambda c: two_way_map(c, "sigma", "T"), "T: takes whole numbers"),
        (lambda c: two_way_map(c, x_values=[0.3, 0.1]), "sigma: needs two or more increasing"),
        (lambda c: grid_values(c, "sigma", None, 1), "steps: must be"),
        (lambda c: break_even(c, "P_m", "profit", low=1, high=2), "quantity: must be one of"),
        (lambda c: break_even(c, "P_m", low=2, high=1), "P_m: range must have low < high"),
        (lambda c: break_evens(c, {"M0": None}), "M0: is 0, so it needs a range"),
        (lambda c: tornado(c, {"sigma": None}).swing("mu"), "mu: is not among"),
        (lambda c: sample_rules(-1), "rules: must be"),
        (lambda c: sample_rules(3, seed=-1), "seed: must be"),
        (lambda c: frontier(c, ["bold"]), "strategies: must be among"),
        (lambda c: frontier(c, [MODERATE, MODERATE]), "strategies: names must differ"),
        (lambda c: frontier(c, ["moderate"], paths=0), "paths: must be"),
        (lambda c: tune(c, ranges={"luck": (0, 1)}), "parameters: must be among"),
        (lambda c: tune(c, ranges={"threshold": (0, 1)}), "threshold: must be > 0"),
        (lambda c: tune(c, ranges={"threshold": (2, 1)}), "threshold: range must have"),
        (lambda c: tune(c, seed=3, fresh_seed=3), "fresh_seed: must differ"),
        (lambda c: tune(c, generations=0), "generations: must be"),
        (lambda c: Objective(1.5), "risk_weight: must lie"),
    ],
)
def test_errors_name_the_field(contested, call, field):
    with pytest.raises(InputError) as error:
        call(contested)
    assert str(error.value).startswith(field)
    assert "\n" not in str(error.value)


# --- frontier

COORDINATE = st.integers(-3, 3) | st.floats(-1e6, 1e6)


@settings(max_examples=200)
@given(st.lists(st.tuples(COORDINATE, COORDINATE), max_size=30))
def test_non_dominated_by_brute_force(points):
    a, b = np.array(points, dtype=float).reshape(-1, 2).T
    expected = [not any((a >= x) & (b >= y) & ((a > x) | (b > y))) for x, y in zip(a, b, strict=True)]
    assert non_dominated(a, b).tolist() == expected


def test_frontier_rows(contested):
    rules = sample_rules(6, seed=2)
    assert sample_rules(6, seed=2) == rules != sample_rules(6, seed=3)
    study = frontier(contested, [*default_strategies(contested), *rules], paths=4000, seed=5)
    rows = {r["strategy"]: r for r in study.rows}
    assert list(rows) == [*STRATEGIES, "threshold", "static", "fixed", "ev", *(r.name for r in rules)]
    alone = simulate(contested, ["moderate"], paths=4000, seed=5).metrics["moderate"]
    for name in ("npv_mean", "npv_sd", "cvar95", "first_year_capital", "p_positive"):
        assert rows["moderate"][name] == alone[name].value
        assert rows["moderate"][f"{name}_lower"] == alone[name].lower
    for traded, side in (("cvar95", "risk"), ("first_year_capital", "capital")):
        for row in study.rows:
            beaten_by = [
                o
                for o in study.rows
                if o["npv_mean"] >= row["npv_mean"]
                and o[traded] <= row[traded]
                and (o["npv_mean"] > row["npv_mean"] or o[traded] < row[traded])
            ]
            assert row[f"efficient_{side}"] == (not beaten_by)
            named = row[f"dominated_by_{side}"]
            assert (named is None) == (not beaten_by)
            assert named is None or named in {o["strategy"] for o in beaten_by if o[f"efficient_{side}"]}
    assert set(study.dominated) == set(rows) - set(study.efficient("risk")) - set(study.efficient("capital"))
    assert all(r["gap_upper"] >= 0 for r in study.rows)  # nothing beats the exact policy beyond its interval
    assert rows["threshold"]["gap"] == 0
    two = frontier(contested, [*default_strategies(contested), *rules], paths=4000, seed=5, execution=Execution(2))
    assert two.to_rows() == study.to_rows()


def test_frontier_without_an_exact_policy(contested):
    limited = contested.replace(earth_limit=500.0)
    study = frontier(limited, paths=200)
    assert "threshold" not in {r["strategy"] for r in study.rows}
    assert all(r["gap"] is None for r in study.rows)


# --- tuning


def test_search_finds_a_known_optimum():
    peak = {"initial_ratio": 1.23, "threshold": 0.71}
    ranges = {"initial_ratio": (0.0, 3.0), "threshold": (0.3, 1.3)}

    def bowl(point):
        return [{"objective": 5.0 - sum((point[k] - peak[k]) ** 2 for k in peak)}]

    with Execution().opened({}, bowl) as evaluator:
        assert isinstance(evaluator, Evaluator)
        search = RuleSearch(evaluator, ranges)
        search.evolve(0, 20)
        search.polish()
        assert search.rounded() == peak


def test_objective_weighs_mean_and_tail(contested):
    outcome = simulate(contested, ["moderate"], paths=777, seed=1)
    mean, tail = (outcome.metrics["moderate"][x].value for x in ("npv_mean", "cvar95"))
    for w in (0.0, 0.3, 1.0):
        assert Objective(w).value(outcome.npv[0]) == pytest.approx((1 - w) * mean - w * tail, rel=1e-12)


@pytest.fixture(scope="module")
def tuned(contested):
    return tune(contested, paths=400, generations=6, fresh_paths=4000, seed=4)


def test_a_tuned_rule_does_not_beat_the_exact_policy(contested, tuned):
    best = tuned.rows[0]
    assert best["gap_upper"] >= 0
    assert best["objective"] == tuned.fresh.value
    presets = [r for r in tuned.rows if r["strategy"] in STRATEGIES]
    assert all(tuned.in_sample >= r["objective_in_sample"] for r in presets)
    values = exact_values(contested)
    share = tuned.share("share_of_flexibility")
    assert share.value == pytest.approx(1 - best["gap"] / values.point("flexibility"))
    assert share.lower <= share.value <= share.upper
    parameters = [getattr(tuned.rule, k) for k in ("initial_ratio", "threshold", "magnitude", "risk_tolerance")]
    assert all(round(p, 2) == p for p in parameters)
    fresh = simulate(contested, [tuned.rule, "threshold"], paths=4000, seed=5)  # the rule can be typed in again
    assert fresh.difference("threshold", "tuned").value == pytest.approx(best["gap"], rel=1e-12)
    assert tuned.describe() in repr(tuned)
    assert {r["strategy"] for r in tuned.rows} >= {"tuned", "static", "fixed", "none", "threshold"}


def test_tuning_is_the_same_for_any_workers(contested, tuned, tmp_path):
    how = Execution(2, checkpoint=tmp_path / "c")
    assert tune(contested, paths=400, generations=6, fresh_paths=4000, seed=4, execution=how).to_rows() == (
        tuned.to_rows()
    )


def test_tuning_keeps_what_it_is_not_asked_to_tune(contested):
    result = tune(contested, ranges={"threshold": (0.5, 1.0)}, paths=200, generations=3, fresh_paths=200)
    assert (result.rule.magnitude, result.rule.initial_ratio) == (MODERATE.magnitude, MODERATE.initial_ratio)
    assert result.rule.describe(contested) == result.describe()
    limited = tune(contested.replace(earth_limit=500.0), paths=100, generations=1, fresh_paths=100)
    assert limited.rows[0]["share_of_npv"] is None
    with pytest.raises(InputError, match="share_of_npv: is not defined"):
        limited.share()


# --- command line


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    """Run the command in this process, in an empty folder: exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)
    before = signal.getsignal(signal.SIGTERM)

    def call(*arguments):
        with pytest.raises(SystemExit) as end:
            main(list(arguments))
        out = capsys.readouterr()
        return end.value.code, out.out, out.err

    yield call
    signal.signal(signal.SIGTERM, before)


def test_commands_give_lists_of_rows_tables_and_figures(command, tmp_path):
    small = ("contested-market", "--horizon", "4")
    for name, call in {
        "tornado": ("sensitivity", *small, "--symbols", "sigma=0.1:0.3,c_L"),
        "map": ("sensitivity", *small, "--map", "sigma=0.1:0.4,c_L", "--steps", "3", "--target", "1e6"),
        "break-even": ("sensitivity", *small, "--break-even", "P_m,c_bu"),
        "frontier": ("frontier", *small, "--paths", "200", "--rules", "3"),
        "tune": ("tune", *small, "--paths", "100", "--generations", "1", "--fresh-paths", "200", "--base", "plain"),
    }.items():
        code, stdout, stderr = command(*call, "--out", name, "--json", f"{name}.json")
        assert (code, stderr) == (0, "")
        assert "contested-market" in stdout
        rows = json.loads((tmp_path / f"{name}.json").read_text())
        assert isinstance(rows, list)
        assert {r["study"] for r in rows} == {name}
        files = {p.name for p in (tmp_path / name).rglob("*") if p.is_file()}
        assert {"manifest.json", "case.toml", f"{name}.csv", f"{name}.parquet"} <= files
        pictures = {p.suffix for p in (tmp_path / name / "figures").iterdir()}
        assert pictures == (set() if name == "break-even" else {".png", ".pdf", ".svg"})
    code, stdout, _ = command("frontier", *small, "--paths", "1", "--rules", "0")  # no interval can be given
    assert (code, "moderate" in stdout) == (0, True)
    code, _, stderr = command("sensitivity", *small, "--out", "tune")
    assert (code, "holds a tune, must be" in stderr) == (2, True)


@pytest.mark.parametrize(
    "arguments, field",
    [
        (("sensitivity", "lunar-reference", "--symbols", "luck"), "luck"),
        (("sensitivity", "lunar-reference", "--map", "sigma"), "map"),
        (("sensitivity", "lunar-reference", "--steps", "3"), "steps"),
        (("sensitivity", "lunar-reference", "--break-even", "P_m=a:b"), "break_even"),
        (("sensitivity", "lunar-reference", "--out", "/proc/nowhere/o"), "out"),
        (("frontier", "lunar-reference", "--rules", "-1"), "rules"),
        (("frontier", "lunar-reference", "--strategies", "bold"), "strategies"),
        (("tune", "lunar-reference", "--base", "bold"), "base"),
        (("tune", "lunar-reference", "--parameters", "luck"), "parameters"),
        (("tune", "lunar-reference", "--base", "plain", "--parameters", "risk_tolerance"), "risk_tolerance"),
        (("tune", "lunar-reference", "--resume"), "resume"),
    ],
)
def test_bad_arguments(command, tmp_path, arguments, field):
    code, stdout, stderr = command(*arguments)
    assert (code, stdout) == (2, ""), stderr
    lines = stderr.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(f"error: {field}")
    assert not os.listdir(tmp_path)  # noqa: PTH208


def test_break_even_of_what_becomes_nothing_finds_where(contested_short):
    found = break_even(contested_short, "c_L", "staging", low=5000, high=100_000)
    assert 20_000 < found.value < 40_000
    assert found.lower <= found.value <= found.upper < 1.0001 * found.lower
    assert found.at_upper == 0 < found.at_lower
    wider = break_even(contested_short, "c_L", "staging", low=5000, high=200_000)
    assert wider.value == pytest.approx(found.value, rel=1e-3)
    with pytest.raises(InputError, match="c_L: staging must cross 0"):
        break_even(contested_short, "c_L", "staging", low=60_000, high=100_000)
    with pytest.raises(InputError, match="target: must be a finite number"):
        break_even(contested_short, "c_L", low=5000, high=9000, target=float("nan"))


@pytest.fixture
def contested_short():
    return load_case("contested-market").replace(T=6)


def test_a_strategy_called_threshold_is_not_taken_for_the_exact_policy(contested_short):
    from stochisru.lunar.strategies import Schedule

    nothing = Schedule("threshold", (0.0,) * 7)
    (row,) = frontier(contested_short, [nothing], paths=500).rows
    assert row["gap"] > 0
    (exact,) = frontier(contested_short, ["threshold"], paths=500).rows
    assert exact["gap"] == 0


def test_shares_have_the_interval_of_the_gap(contested_short):
    study = tune(contested_short, paths=300, generations=2, fresh_paths=1000)
    row = study.rows[0]
    rp = 1 - row["share_of_npv"]
    assert (1 - row["share_of_npv_lower"]) / rp == pytest.approx(row["gap_upper"] / row["gap"])
    assert (1 - row["share_of_npv_upper"]) / rp == pytest.approx(row["gap_lower"] / row["gap"])
