"""`stochisru decide`: the order against exact policies and plans, what other orders lose, beliefs, page, errors."""

import json
import re
import signal
import tomllib

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from scenario_trees.estimation import regime_beliefs
from scenario_trees.processes import DiscreteDrift, RegimeSwitching, UnknownDrift
from stochisru import InputError, decide, lattice_dp, level_dp, load_case, threshold
from stochisru.cli.main import main
from stochisru.lunar.calibration import calibrate, read_series
from stochisru.lunar.case import problem_from_dict
from stochisru.lunar.deciding.belief import Informed, read_history
from stochisru.lunar.deciding.orders import first_orders
from stochisru.lunar.deciding.programs import OnTree
from stochisru.lunar.deciding.standing import OrderOf, by_technology, open_orders, ordered, technologies
from stochisru.lunar.exact.threshold import root_problem
from stochisru.lunar.trees import case_tree
from stochisru.methods.extensive_form import extensive_form
from tests.browser import chromium

REFERENCE = load_case("lunar-reference")
SERIES = "docs/demand-history.csv"
SEEN = {2020: 800.0, 2021: 870.0, 2023: 900.0, 2024: 1000.0}
HIDDEN = {
    "kind": "hidden-regimes",
    "drifts": [0.2, -0.1],
    "volatilities": [0.1, 0.3],
    "switching": [[0.9, 0.1], [0.3, 0.7]],
    "prior": [0.5, 0.5],
}


def general(case, **tables):
    """The case with tables beyond the base problem."""
    data = tomllib.loads(case.to_toml())
    for name, table in tables.items():
        data[name] = {**data.get(name, {}), **table} if isinstance(table, dict) else table
    return problem_from_dict(data)


@pytest.fixture
def table(tmp_path):
    """Write a table of the lines given."""

    def write(*lines, name="history.csv"):
        path = tmp_path / name
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    return write


@pytest.fixture
def cli(capsys, monkeypatch):
    """Run the command in this process: code, standard output, standard error."""
    monkeypatch.setattr(signal, "signal", lambda *_: None)

    def call(*arguments):
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        return ended.value.code, *capsys.readouterr()

    return call


@pytest.fixture
def cli_json(cli):
    return lambda *arguments: json.loads(cli(*arguments, "--json", "-")[1])


@pytest.fixture
def history(table):
    return table("year,demand", *(f"{year},{kg:g}" for year, kg in SEEN.items()))


# ----------------------------------------------------- the shortest use of it


def test_this_years_order_from_a_history(cli, history):
    code, out, _ = cli("decide", "lunar-reference", "--history", history)
    assert code == 0
    first, then, *_ = out.splitlines()
    assert first.startswith("Order 139.4 kg to arrive in 2024 (year 0) and 124.9 kg to arrive in 2025 (year 1);")
    assert then.startswith("then: In every later year t raise the plant of year t + 1 to k_t·D_t, k_1 = 0.26")


def test_json_has_the_documented_keys(cli_json, history):
    data = cli_json("decide", "lunar-reference", "--history", history, "--horizon", "4")
    assert set(data) >= {"order", "rule", "belief", "regret", "nothing", "demand", "plant", "pipeline", "method", "of"}
    assert set(data["order"]) == {"dM0", "dM1"}
    assert (data["year"], data["horizon"], data["belief"]["demand"]) == ("2024", 4, 1000.0)
    for name, kg in data["order"].items():
        rows = {row["kg"]: row["regret"] for row in data["regret"] if row["order"] == name}
        assert rows[kg] == 0
        assert min(rows.values()) == 0
    assert [row["year"] for row in data["rule_by_year"]] == [1, 2, 3]


# ---------------------------------------------------------- the exact policy


@pytest.mark.parametrize("last", [400.0, 1000.0, 5000.0])
@pytest.mark.parametrize(("plant", "pipeline"), [(0.0, {}), (80.0, {0: 20.0, 1: 30.0}), (4000.0, {1: 1.0})])
def test_the_order_is_what_lacks_to_a_multiple_of_demand(last, plant, pipeline):
    """ΔM_1 = max(0, k_0·D − (1 − δ)·(plant and pipeline of year 0) − pipeline of year 1)."""
    case = REFERENCE.replace(initial_deployment="fixed", degradation=0.03)
    k = threshold(case).first_stage["dM1"] / case.demand.D0
    there = 0.97 * (plant + pipeline.get(0, 0.0)) + pipeline.get(1, 0.0)
    found = decide(case, [500.0, last], plant=plant, pipeline=pipeline)
    assert found.order == {"dM1": pytest.approx(max(0.0, k * last - there), rel=1e-9, abs=1e-9)}


@pytest.mark.parametrize(("lead", "start"), [(0, "free"), (1, "free"), (1, "fixed"), (3, "free"), (3, "fixed")])
def test_equal_to_the_exact_policy(lead, start):
    case = REFERENCE.replace(lead_time=lead, initial_deployment=start, degradation=0.05, M0=40.0)
    exact = threshold(case.replace(D0=1000.0))
    found = decide(case, SEEN)
    allowed = {name: kg for name, kg in exact.first_stage.items() if name in found.order}
    assert found.order == pytest.approx(allowed)
    assert found.best.worth == pytest.approx(exact.objective, rel=1e-12)
    assert list(found.positions.values()) == pytest.approx(exact.plan.position.tolist())
    assert (found.of, found.method) == ("process", "exact policy")


def test_a_case_with_tables_that_has_an_exact_policy():
    stated = general(REFERENCE, horizon={"step": 1})
    mine, base = decide(stated, SEEN, pipeline={1: 30.0}), decide(REFERENCE, SEEN, pipeline={1: 30.0})
    assert mine.order == pytest.approx(base.order)
    assert [row.lost for row in mine.regret] == pytest.approx([row.lost for row in base.regret], abs=1.0)


@settings(max_examples=15, deadline=None)
@given(
    lead=st.integers(1, 3),
    plant=st.floats(0, 600),
    first=st.floats(0, 200),
    last=st.floats(0, 200),
    degradation=st.sampled_from([0.0, 0.1]),
)
@example(lead=2, plant=575.0, first=0.0, last=0.0, degradation=0.1)  # holds more than is ever best
@example(lead=3, plant=0.0, first=0.0, last=173.0, degradation=0.0)  # more on its way than is ever useful
def test_exact_and_lattice_agree_on_what_is_on_its_way(lead, plant, first, last, degradation):
    """On the lattice of a case the layers have the same root as the tree of one state a year has by its program."""
    case = REFERENCE.replace(lead_time=lead, M0=plant, degradation=degradation, sigma=0.0, T=5, earth_limit=1500.0)
    coming = ordered(case, {0: first, lead: last})
    layers, (_amounts,) = first_orders(case, coming), coming.values()
    assert layers.of == "lattice"
    best = layers.best()
    program = OnTree(case, coming).best()
    assert best.worth == pytest.approx(program.worth, rel=1e-7, abs=1e3)
    for order in layers.places:
        held = {order: 0.5 * best.orders[order] + 10.0}
        assert layers.best(held).worth == pytest.approx(OnTree(case, coming).best(held).worth, rel=1e-7, abs=1e3)


# ------------------------------------------------------ the best plan elsewhere


def test_a_limit_on_earth_and_regimes_by_the_optimum_on_a_lattice():
    for case in (
        REFERENCE.replace(earth_limit=500.0, D0=1000.0),
        REFERENCE.replace(T=4, D0=1000.0, process={"kind": "jumps", "jumps": [{"rate": 0.1, "size": -0.5}]}),
    ):
        found, plan = decide(case, SEEN), lattice_dp(case)
        assert found.order == pytest.approx(plan.first_stage)
        assert found.best.worth == pytest.approx(plan.objective)
        assert found.of == "lattice"


def test_lots_by_the_optimum_over_levels(cli_json, history):
    case = REFERENCE.replace(lot=50.0, fixed_cost=5e6)
    found, plan = decide(case, SEEN), level_dp(case.replace(D0=1000.0))
    assert found.order == pytest.approx(plan.first_stage)
    assert all(row.kg % 50 == 0 for row in found.regret)
    less, more = (turn.demand for turn in found.turns if "nothing" not in turn.meaning)
    assert less < 1000.0 < more
    for demand, sign in ((less * 0.995, -1), (more * 1.005, 1)):
        other = decide(case, {2023: 900.0, 2024: demand}).best.total
        assert np.sign(other - found.best.total) == sign


def test_orders_that_are_held_on_levels_are_plans_of_their_own():
    case = REFERENCE.replace(lot=50.0, fixed_cost=5e6, T=4, D0=1000.0)
    found = first_orders(case, ordered(case, {0: 50.0}))
    best = found.best()
    free = {order: found.best({order: kg}).worth for order, kg in best.orders.items()}
    assert list(free.values()) == pytest.approx([best.worth] * 2)
    dM0, dM1 = found.places
    pairs = [found.best({dM0: a, dM1: b}) for a in range(0, 700, 50) for b in range(0, 400, 50)]
    assert max(pair.worth for pair in pairs if pair is not None) == pytest.approx(best.worth)


def test_cases_with_tables_by_sddp_or_their_tree():
    case = load_case("docs/two-technologies.toml").replace(T=2)
    found = decide(case, SEEN, plant={"ice": 0.0, "regolith": 5.0}, pipeline={"ice": {1: 10.0, 2: 5.0}})
    assert set(found.order) == {"ice", "regolith"}
    assert set(found.order["ice"]) == {"dM0", "dM1", "dM2"}
    assert "SDDP" in found.method
    for order in found.best.orders:
        rows = found.regret_of(order)
        slopes = np.diff([row.lost for row in rows]) / np.diff([row.kg for row in rows])
        assert (np.diff(slopes) >= -1e-6 * np.abs(slopes).max()).all()  # convex
    lots = general(REFERENCE.replace(T=3, degradation=0.05), launch={"lot": 50.0}, horizon={"step": 1})
    found = decide(lots, SEEN)
    assert found.of == "tree"
    there = lots.replace(D0=1000.0)
    plan = extensive_form(there, case_tree(there), rel_gap=1e-6)
    assert found.order == pytest.approx(there.first_stage(plan.first_stage))
    with pytest.raises(InputError, match=r"risk.kind: .nested. has no order of its own"):
        decide(
            general(
                REFERENCE.replace(T=3), risk={"measure": "mean-cvar", "kind": "nested", "weight": 0.5, "tail": 0.1}
            ),
            SEEN,
        )


def test_limits_count_what_is_on_its_way():
    case = general(REFERENCE.replace(T=2), launch={"mass_limit": 500.0})
    most = 500.0 / REFERENCE.technology.alpha
    best = first_orders(case, ordered(case, {1: 40.0})).best()
    assert best.orders[OrderOf("", 1)] == pytest.approx(most - 40.0, rel=1e-3)
    with pytest.raises(InputError, match=r"pipeline: year 1 has 120 kg, more than build_limit or launch.mass_limit"):
        decide(case, SEEN, pipeline={1: 120.0})


# ---------------------------------------------------------------------- regret


@settings(max_examples=10, deadline=None)
@given(
    lead=st.integers(0, 2),
    plant=st.floats(0, 300),
    coming=st.floats(0, 100),
    sigma=st.floats(0.05, 0.5),
    limit=st.sampled_from([None, 0.0, 400.0]),
)
def test_regret_is_nothing_at_the_order_and_convex(lead, plant, coming, sigma, limit):
    case = REFERENCE.replace(T=4, lead_time=lead, sigma=sigma, earth_limit=limit)
    found = decide(case, SEEN, plant=plant, pipeline={0: coming})
    for order, kg in found.best.orders.items():
        rows = found.regret_of(order)
        amounts, lost = (np.array([getattr(row, name) for row in rows]) for name in ("kg", "lost"))
        assert lost[amounts == kg] == [0.0]
        assert (lost >= 0).all()
        slopes = np.diff(lost) / np.diff(amounts)
        assert (np.diff(slopes) >= -1e-6 * np.abs(slopes).max() - 1e-3).all()
    assert found.nothing >= max(found.regret_of(order)[0].lost for order in found.best.orders) - 1.0


def test_regret_is_the_difference_of_two_exact_plans():
    found = decide(REFERENCE, SEEN)
    case = REFERENCE.replace(D0=1000.0)
    problem, _ = root_problem(case)
    for row in found.regret[::11]:
        dM0 = np.linspace(0, 400, 161)
        held = (
            [problem.value(np.array([row.kg, x])) for x in dM0]
            if row.order.arrival == 0
            else [problem.value(np.array([x, row.kg])) for x in dM0]
        )
        assert found.best.worth - max(held) == pytest.approx(row.lost, abs=2e5)


def test_the_demand_at_which_the_order_ends_and_starts():
    case = REFERENCE.replace(initial_deployment="fixed")
    k = threshold(case).first_stage["dM1"] / case.demand.D0
    (turn,) = decide(case, SEEN, plant=0.8 * k * 1000.0).turns
    assert turn.demand == pytest.approx(800.0, rel=1e-3)
    assert turn.meaning == "below it nothing is ordered"
    rich = decide(case, SEEN, plant=1.5 * k * 1000.0)
    assert rich.turns[0].demand == pytest.approx(1500.0, rel=1e-3)
    assert (
        rich.sentence
        == f"Order nothing this year; from a demand of {rich.turns[0].demand:,.0f} kg/yr on an order pays."
    )
    for change, orders in rich.leaning.items():
        assert sum(orders.values()) == pytest.approx(max(0.0, k * 1000.0 * (1 + change) - 1.5 * k * 1000.0))


# ---------------------------------------------------------------------- belief


def informed(case, history=None, calibrate=False):
    """The case after a history, and the belief."""
    series = read_history(SEEN if history is None else history, calibrated=calibrate)
    before = Informed.of(case, series, calibrate)
    return before.at(before.demand)


def test_an_unknown_drift_is_learnt_from_the_history():
    case = REFERENCE.replace(T=3, process={"kind": "unknown-drift", "prior_sd": 0.05})
    after, belief = informed(case)
    mean, sd = UnknownDrift(800.0, case.demand.mu, 0.05, case.demand.sigma).posterior(4.0, 1000.0)
    assert belief.facts == pytest.approx({"drift": float(mean), "drift_sd": float(sd)})
    assert after.process == UnknownDrift(1000.0, float(mean), float(sd), case.demand.sigma)
    cut, _ = informed(case.replace(process={"kind": "unknown-drift", "prior_sd": 0.05, "low": 0.0, "high": 0.2}))
    before = DiscreteDrift.truncated_normal(800.0, case.demand.mu, 0.05, 0.0, 0.2, case.demand.sigma)
    assert cut.process.weights == pytest.approx(before.posterior(4.0, 1000.0).tolist())
    two = case.replace(process={"kind": "discrete-drift", "drifts": [0.0, 0.2], "weights": [0.5, 0.5]})
    law = DiscreteDrift(800.0, (0.0, 0.2), (0.5, 0.5), case.demand.sigma).posterior(4.0, 1000.0)
    assert informed(two)[1].facts["probabilities"] == pytest.approx(law.tolist())


def test_beliefs_of_cases_with_tables_are_those_of_the_base_case():
    process = {"kind": "unknown-drift", "prior_sd": 0.05, "low": 0.0, "high": 0.2}
    for own in (process, {"kind": "discrete-drift", "drifts": [0.0, 0.2], "weights": [0.5, 0.5]}):
        base = REFERENCE.replace(T=3, process=own)
        wide = general(base, customers=[{"share": 1.0}])
        assert informed(wide)[1] == informed(base)[1]
        assert informed(wide)[0].process == informed(base)[0].process
    moving = general(REFERENCE.replace(T=3), demand={"mu": [0.0, 0.3, 0.1, -0.1]})
    after, belief = informed(moving)
    assert belief.process == str(after.process)
    assert "drifts 0.3, 0.1, -0.1" in belief.process


def test_regimes_are_filtered_and_move_with_this_years_demand():
    case = REFERENCE.replace(T=2, process=HIDDEN)
    switching = RegimeSwitching(1.0, HIDDEN["drifts"], HIDDEN["volatilities"], HIDDEN["switching"])
    law = regime_beliefs(switching, pd.Series(SEEN))
    after, belief = informed(case)
    assert belief.facts["probabilities"] == pytest.approx(law.tolist())
    assert after.process.prior == pytest.approx(tuple(law))
    slump, worse = informed(case, {**SEEN, 2024: 600.0})
    assert worse.facts["probabilities"][1] > law[1]
    orders = [first_orders(c, ordered(c, None)).best().orders[OrderOf("", 1)] / c.demand.D0 for c in (after, slump)]
    assert orders[1] < orders[0]
    seen = {name: value for name, value in HIDDEN.items() if name != "prior"} | {"kind": "regimes"}
    named, told = informed(case.replace(process=seen))
    assert named.process.regime == told.facts["regime"] == int(np.argmax(law))


@pytest.mark.parametrize("kind", ["gbm", "hidden-regimes", "unknown-drift"])
def test_calibrated_parameters_are_those_of_calibrate(kind):
    process = {"gbm": None, "hidden-regimes": HIDDEN, "unknown-drift": {"kind": "unknown-drift", "prior_sd": 0.5}}
    case = REFERENCE.replace(T=2, process=process[kind])
    after, belief = informed(case, SERIES, calibrate=True)
    assert after.process == calibrate(read_series(SERIES), kind).case(REFERENCE).process
    assert belief.calibrated


def test_a_step_cannot_be_calibrated():
    case = REFERENCE.replace(process={"kind": "step", "size": 0.5, "dates": [2.0]})
    with pytest.raises(InputError, match=r"calibrate: takes a process whose parameters a history gives, gbm, .* step"):
        decide(case, SERIES, calibrate=True)


def test_history_repeated_is_refused():
    case = REFERENCE.replace(process={"kind": "historical", "factors": [1.1, 0.9, 1.2]})
    with pytest.raises(InputError, match=r"demand.process: historical .* is for simulation only"):
        decide(case, SEEN)


def test_levels_and_capacities_stay_those_of_the_case():
    case = REFERENCE.replace(T=3, process={"kind": "mean-reverting", "level": 1200.0, "reversion": 0.3})
    assert informed(case)[0].process.level == 1200.0


# ---------------------------------------------------------------------- errors

BAD_HISTORIES = {
    "no column": (["when,year"], "history.csv: needs at least 2 values, got a table without lines"),
    "two columns": (["year,a,b", "2020,1,2", "2021,1,2"], "column: must be named where history.csv has not one column"),
    "one value": (["year,demand", "2020,5"], "history.csv: demand: needs at least 2 values (1 increment), got 1"),
    "negative": (["year,demand", "2020,5", "2021,-6"], "history.csv: line 3: demand: must be a finite number > 0"),
    "nan alone": (["year,demand", "2020,5", "2021,nan"], "history.csv: demand: needs at least 2 values (1 increment)"),
    "words": (["year,demand", "2020,5", "2021,six"], "history.csv: line 3: demand: must be a number, got 'six'"),
    "empty": ([], "history.csv: must have a line of columns, got an empty file"),
    "descending": (["year,demand", "2021,5", "2020,6"], "history.csv: line 3: year: must come later"),
}


@pytest.mark.parametrize("name", BAD_HISTORIES)
def test_bad_histories_in_one_line(cli, table, name):
    lines, expected = BAD_HISTORIES[name]
    path = table(*lines)
    if not lines:
        path.write_text("")
    code, out, err = cli("decide", "lunar-reference", "--history", path)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert expected in err


BAD_PIPELINES = {
    "late": (["year,kg", "2,50"], "pipeline.csv: line 2: year must be 0 to 1, counted from the year of the decision"),
    "calendar": (["year,kg", "2025,50"], "year must be 0 to 1"),
    "half": (["year,kg", "0.5,50"], "year must be 0 to 1"),
    "negative": (["year,kg", "1,-5"], "pipeline.csv: line 2: kg: must be a number >= 0, got '-5'"),
    "column": (["year,mass", "1,5"], "pipeline.csv: must have the columns year, kg, got year, mass"),
    "empty": (["year,kg"], None),
}


@pytest.mark.parametrize("name", BAD_PIPELINES)
def test_bad_pipelines_in_one_line(cli, table, history, name):
    lines, expected = BAD_PIPELINES[name]
    code, _, err = cli(
        "decide",
        "lunar-reference",
        "--horizon",
        "2",
        "--history",
        history,
        "--pipeline",
        table(*lines, name="pipeline.csv"),
    )
    if expected is None:  # a table without lines is nothing on its way
        assert code == 0
        return
    assert code == 2
    assert err.count("\n") == 1
    assert expected in err


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--plant", "-1"], "plant: must be a finite number >= 0 kg, got -1"),
        (["--plant", "nan"], "plant: must be a finite number >= 0 kg, got nan"),
        (["--plant", "much"], "plant: must be a number, got 'much'"),
        (["--plant", "ice:3"], "plant: must name one of plant, got 'ice'"),
        (["--pipeline", "nowhere.csv"], "nowhere.csv: cannot be read"),
        (["--column", "kg"], "column: history.csv has the columns year, demand, got 'kg'"),
        (["--horizon", "-1"], "horizon.T"),
    ],
)
def test_bad_arguments_in_one_line(cli, history, arguments, expected):
    code, _, err = cli("decide", "lunar-reference", "--history", history, *arguments)
    assert code == 2
    assert err.count("\n") == 1
    assert expected in err


def test_a_history_is_asked_for(cli):
    code, _, err = cli("decide", "lunar-reference")
    assert (code, err) == (
        2,
        "error: history: give --history FILE, a CSV of demand by year that ends with this year's\n",
    )


def test_several_technologies_are_asked_for_by_name(cli, history):
    code, _, err = cli("decide", "docs/two-technologies.toml", "--history", history, "--plant", "3")
    assert code == 2
    assert "plant: must be said of each technology, ice:KG, regolith:KG, got 3" in err
    with pytest.raises(InputError, match=r"pipeline: year must be 0, .* of regolith"):
        decide(load_case("docs/two-technologies.toml"), SEEN, pipeline={"regolith": {1: 3.0}})


def test_wrong_types_in_python():
    for wrong, expected in (
        ("lunar-reference", "case: must be a DeploymentCase"),
        (None, "case: must be a DeploymentCase"),
    ):
        with pytest.raises(InputError, match=expected):
            decide(wrong, SEEN)
    for history, expected in (
        ([1000.0], "needs at least 2 values, got 1"),
        ([1000.0, -1.0], "must be finite numbers > 0, got -1 in 1"),
        ([1000.0, np.inf], "must be finite numbers > 0"),
        (3, "needs at least 2 values|must be a file"),
        ({2021: 5.0, 2020: 6.0}, "must ascend"),
        (object(), "must be a file, or demand by year"),
    ):
        with pytest.raises(InputError, match=expected):
            decide(REFERENCE, history)
    for pipeline in ([1.0], {0: "much"}, {0: -1.0}, {9: 1.0}, {"plant": 3.0}):
        with pytest.raises(InputError, match="pipeline"):
            decide(REFERENCE, SEEN, pipeline=pipeline)
    with pytest.raises(InputError, match="initial_deployment: nothing can be ordered this year"):
        decide(REFERENCE.replace(lead_time=0, initial_deployment="fixed"), SEEN)


def test_names_of_orders():
    case = load_case("docs/two-technologies.toml")
    assert technologies(case) == {"ice": 2, "regolith": 0}
    assert [order.name for order in open_orders(case)] == ["ice dM0", "ice dM1", "ice dM2", "regolith dM0"]
    assert by_technology(case, {OrderOf("ice", 1): 3.0}) == {"ice": {"dM1": 3.0}}


# ---------------------------------------------------------------- folder, page


def test_the_folder_and_its_page(cli, tmp_path, history, browser):
    out = tmp_path / "advice"
    code, told, _ = cli("decide", "lunar-reference", "--history", history, "--out", out, "--json", tmp_path / "a.json")
    assert code == 0
    assert told.endswith(f"report: {out / 'report.html'}\n")
    data = json.loads((tmp_path / "a.json").read_text())
    assert {"report.html", "case.toml", "tables/regret.csv", "figures/regret_dM1.png"} <= set(data["files"])
    page = (out / "report.html").read_text()
    assert page.index("Order 139.4 kg") < page.index("What other orders lose") < page.index("Which demand would change")
    assert "http" not in page.split("</style>")[1].replace("http://www.w3.org", "")
    assert load_case(out / "case.toml").demand.D0 == 1000.0
    shown = chromium(browser, "--dump-dom", (out / "report.html").as_uri()).stdout.decode()
    assert shown.count("<figure>") == 4
    code, _, err = cli("decide", "contested-market", "--history", history, "--out", out)
    assert code == 2
    assert "holds the decision of another case" in err
    assert cli("decide", "lunar-reference", "--history", history, "--out", out)[0] == 0


def test_at_eighty_columns_no_number_is_cut(history, monkeypatch, capsys):
    from rich import console

    from stochisru.cli.decide import _show

    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(console.Console, "is_terminal", property(lambda self: True))
    monkeypatch.setenv("NO_COLOR", "1")
    found = decide(REFERENCE.replace(lead_time=3), {2023: 9e8, 2024: 1e9})
    _show(found)
    lines = re.sub(r"\x1b\[\d*m", "", capsys.readouterr().out).splitlines()
    assert max(map(len, lines)) <= 80
    assert "…" not in "".join(lines)


def test_a_campaign_that_flies_already_is_not_paid_again():
    """An order beside one kilogram on its way costs what it adds to the bill: no fixed cost."""
    fixed, arriving = 2e6, {1: 1.0}
    base = load_case("contested-market").replace(T=3, initial_deployment="fixed", fixed_cost=fixed)
    history = {2023: 900.0, 2024: 1000.0}
    alone, beside = decide(base, history), decide(base, history, pipeline=arriving)
    free = decide(base.replace(fixed_cost=0.0), history)
    discount = 1 / 1.08
    ordered = alone.best.orders[next(iter(alone.best.orders))]
    assert ordered > 0
    # It saves the campaign of year 1; a kilogram more or less is worth far less than that.
    saved = beside.best.worth - alone.best.worth
    assert saved == pytest.approx(fixed * discount, abs=0.05 * fixed)
    assert beside.best.worth <= free.best.worth + 1e5


def test_three_orders_held_lead_to_levels_that_are_there():
    from stochisru.lunar.exact.level_root import RootLevels
    from stochisru.lunar.trees import case_lattice

    case = load_case("lunar-reference").replace(T=4, lead_time=2, fixed_cost=1e6)
    root = RootLevels(case, case_lattice(case, 8), np.zeros(3))
    worth, orders = root.best({0: 13.0, 1: 17.0, 2: 29.0})
    assert orders == pytest.approx([13.0, 17.0, 29.0])
    assert np.isfinite(worth)
    assert worth <= root.best({})[0]
