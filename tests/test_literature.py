"""Studies of the literature: their published numbers, where every number comes from, and the study of them."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from scipy.stats import norm

from scenario_trees import ScenarioTree
from stochisru import InputError, load_case, value_table
from stochisru.lunar.published import UNITS, published_parameters
from stochisru.lunar.shipped import DEFAULT
from stochisru.problem.evaluate import evaluate
from stochisru.worked.literature.certain import QUANTITIES, at_prices, best, break_even, worth
from stochisru.worked.literature.sources import DATA, cases, published, study_case, study_plan, table
from stochisru.worked.literature.study import literature_study
from stochisru.worked.literature.uncertain import moving_tree, uncertain, with_shares
from tests.cases import LITERATURE

#: Ours less what is published where a study leaves open what it depends on: the years of its payments.
OPEN = {
    ("sowers-2020-commercial", "irr"): -0.40,
    ("sowers-2020-lunar", "irr"): -0.88,
    ("sowers-2020-mars", "irr"): -0.98,
    ("sowers-2020-commercial", "break_even"): 47.3,
    ("charania-2007-surface", "break_even"): 8434.7,
    ("charania-2007-llo", "break_even"): 28_993.9,
    ("charania-2007-geo", "break_even"): 1_171_310.7,
    ("roxy-2026-oxygen", "irr"): 2.02,
    ("roxy-2026-metals", "irr"): 1.63,
}


def test_every_case_has_its_study():
    assert list(cases()) == LITERATURE
    assert {row.case for row in published()} == set(LITERATURE) - {"metzger-2023"}  # prints nothing of its baseline


@pytest.mark.parametrize("row", published(), ids=lambda row: f"{row.case} {row.quantity}")
def test_published_numbers(row):
    """Within rounding, or by as much off as what the study leaves open makes it, within the range of that."""
    ours = QUANTITIES[row.quantity](study_case(row.case), study_plan(row.case))
    if row.lower is not None:
        assert row.lower <= ours <= row.upper
    if row.value is None:
        return
    off = OPEN.get((row.case, row.quantity))
    assert ours - row.value == (pytest.approx(0, abs=row.rounding) if off is None else pytest.approx(off, rel=0.02))


@pytest.mark.parametrize(
    ("scenario", "price"),
    [
        ("moon", 7881.19),
        ("eml1", 2814.71),
        ("leo", 625.49),
        ("leo-moon", 579.50),
        ("eml1-leo", 511.77),
        ("moon-eml1", 2074.00),
        ("all", 480.56),
    ],
)
def test_break_even_prices_of_kornuta_by_annuity(scenario, price):
    """(4,050 M$ over the annuity of ten years at 10 %, and 129 M$) over what is sold a year, $/kg."""
    case, plan = study_case(f"kornuta-2019-{scenario}"), study_plan(f"kornuta-2019-{scenario}")
    annuity = (1 - 1.1**-10) / 0.1
    by_hand = (4050e6 / annuity + 129e6) / case.demand.D0
    assert by_hand == pytest.approx(price, abs=0.006)
    assert break_even(case, plan) == pytest.approx(by_hand, rel=1e-6)


def test_a_published_plan_is_evaluated_by_command(run_cli):
    plan = DATA / "plans" / "kornuta-2019-moon.csv"
    told = json.loads(
        run_cli("evaluate", "kornuta-2019-moon", "--plan", plan, "--paths", 2, "--json", "-", check=0).stdout
    )
    assert told["value"] == pytest.approx(-234e6, abs=5e6)
    assert best(study_case("kornuta-2019-moon"))[0] == pytest.approx(0, abs=1)  # a published loss is no optimum


def test_scenarios_of_a_study_differ_in_their_customers_alone():
    known = [study_case(name).to_dict() for name in LITERATURE if name.startswith("kornuta")]
    for data in known:
        for name in ("name", "customers", "sources"):
            del data[name]
        del data["demand"]["D0"]
    assert all(data == known[0] for data in known)


@pytest.mark.parametrize("name", [*LITERATURE, DEFAULT])
def test_every_number_says_where_it_comes_from(name):
    data = load_case(name).to_dict()
    sources = data.pop("sources")
    needed = set()
    for head, symbols in data.items():
        if head == "customers":
            needed |= {f"customers.{c['name']}.{key}" for c in symbols for key in c if key not in ("name", "firm")}
        elif head in ("payment", "support"):
            needed |= {head} if head == "payment" else {f"{head}.{key}" for key in symbols}
        elif head != "name":
            needed |= set(symbols)
    assert needed == set(sources)
    assert all(re.match(r"(given|derived|assumed): \S", text) for text in sources.values())
    money = ("c_L", "c_dev", "c_op")
    assert all(re.search(r"price year not stated|\$ of |€", sources[symbol]) for symbol in money)


def test_tables_of_the_data_are_whole():
    for row in published_parameters():
        assert float(row["value"]) > 0
        assert re.match(r"(given|derived)", row["source"])
        assert row["quantity"] in UNITS
    for name in ("plants", "launch"):
        assert all(re.match(r"(given|derived)", row["source"]) for row in table(name))
    assert all(row.quantity in QUANTITIES for row in published())


# ------------------------------------------------------------ with uncertain demand


@pytest.mark.parametrize("name", ["kornuta-2019-leo-moon", "sowers-2020-mars", "charania-2007-llo"])
def test_shares_of_certain_demand_are_the_study(name):
    case, plan = study_case(name), study_plan(name)
    assert worth(with_shares(case, 0.0), plan) == pytest.approx(worth(case, plan), rel=1e-9)


def test_the_tree_keeps_mean_and_variance():
    case = with_shares(study_case("sowers-2020-mars"), 0.3)
    tree = moving_tree(case, 5)
    T, D0 = case.horizon.T, case.demand.D0
    assert (tree.horizon, tree.n_leaves) == (T, 32)
    assert tree.stage_mean() == pytest.approx(np.full(T + 1, D0))
    moved = [
        t for t in range(1, T + 1) if tree.at(t).stop - tree.at(t).start > tree.at(t - 1).stop - tree.at(t - 1).start
    ]
    assert moved == [3, 6, 9, 12, 15]
    for t in moved:
        assert np.log(tree.value[tree.at(t)]).var() == pytest.approx(0.3**2 * t)


def test_a_plan_with_uncertain_demand_by_hand():
    """Two moves, in years 5 and 10; where demand exceeds the plant the dearest customers come first."""
    case, plan = study_case("kornuta-2019-all"), study_plan("kornuta-2019-all")
    volatile = with_shares(case, 0.3)
    found = uncertain(volatile, plan, moving_tree(volatile, 2))
    step = 0.3 * np.sqrt(5)
    ups = np.array([np.exp(step), np.exp(-step)]) / np.cosh(step)
    levels = np.ones((11, 4))
    levels[5:] = np.repeat(ups, 2)
    levels[10] *= np.tile(ups, 2)

    def revenue(level):
        earned, left = 0.0, 1_640_000.0
        for quantity, price in ((100e3, 7500), (280e3, 3750), (1260e3, 500)):
            sold = min(level * quantity, left)
            earned, left = earned + price * sold, left - sold
        return earned

    npv = -4050e6 + sum((np.vectorize(revenue)(levels[t]) - 129e6) / 1.1**t for t in range(1, 11))
    assert found["own"] == pytest.approx(npv.mean(), rel=1e-6)
    assert found["p_loss_own"] == pytest.approx((npv < 0).mean())
    assert found["first_order"] == pytest.approx(30_000)


def test_trees_come_near_the_process():
    """A plant of the size of mean demand sells E min(D_t, D0) = 2·Φ(−σ√t/2)·D0; trees have less of the tails."""
    case, plan = study_case("sowers-2020-lunar"), study_plan("sowers-2020-lunar")
    t = np.arange(6, 16)
    free = worth(at_prices(case, 0.0), plan)
    exact = free + (579e6 * 2 * norm.cdf(-0.2 * np.sqrt(t) / 2) / 1.1**t).sum()
    volatile = with_shares(case, 0.2)
    trees = [moving_tree(volatile, moves) for moves in (4, 6, 8)]
    found = np.array([evaluate(volatile.model_on(tree), plan, tree).value for tree in trees])
    assert (np.diff(found) < 0).all()
    assert found[0] - exact < 40e6
    assert 0 < found[-1] - exact < 12e6


def test_waiting_is_worth_what_it_saves():
    """The one customer whose printed plan loses: nothing is ordered now, and a plant only where demand went up."""
    case, plan = study_case("kornuta-2019-moon"), study_plan("kornuta-2019-moon")
    volatile = with_shares(case, 0.4)
    found = uncertain(volatile, plan, moving_tree(volatile, 3))
    assert found["own"] == pytest.approx(worth(case, plan), rel=1e-6)  # the plant has room for 16 times the demand
    assert found["first_order"] == 0
    assert 0 < found["orders_later"] < 1
    assert found["deferring"] == pytest.approx(found["rp"])
    assert found["lower"] <= found["rp"] * (1 + 1e-9)
    assert found["rp"] <= found["upper"] * (1 + 1e-9)


def test_one_customer_may_be_uncertain():
    """A plant with room for it: the dear customer that comes first changes nothing in the mean."""
    study = literature_study(
        ["kornuta-2019-moon-eml1", "kornuta-2019-leo"], volatilities=[0.2], moves=2, customers=["Moon"]
    )
    (row,) = study.rows
    assert (row["case"], row["uncertain"], row["customers"]) == ("kornuta-2019-moon-eml1", ["Moon"], 2)
    assert row["own"] == pytest.approx(row["own_certain"], rel=1e-6)


def test_the_study_writes_its_findings():
    study = literature_study(["kornuta-2019-leo-moon", "metzger-2023"], volatilities=[0.2], moves=2)
    text = " ".join(study.findings())
    assert "'every scenario with more than one customer has positive NPV' survives" in text
    assert study.thresholds[0]["threshold"] == pytest.approx(35, abs=0.5)  # Metzger's, of his first launch price
    assert [row["launch"] for row in study.thresholds] == [2000, 436, 119, 30]
    assert [row["orders"][0] for row in study.launch] == [0, 0, 0]
    assert all(row["now"] > row["waited"] for row in study.launch)
    assert len(study.published) == 2
    json.dumps(study.to_dict())


def test_the_command_writes_tables_figures_and_findings(run_cli, tmp_path):
    told = run_cli(
        *("study", "literature", "--cases", "kornuta-2019-leo", "--volatilities", "0.2", "--moves", "2"),
        *("--out", "found", "--json", "-"),
        check=0,
    )
    row = json.loads(told.stdout)["rows"][0]
    assert (row["case"], row["scenarios"], row["first_order"]) == ("kornuta-2019-leo", 4, 0)
    assert (tmp_path / "found" / "findings.md").read_text(encoding="utf-8").startswith("# What the numbers say")
    assert (tmp_path / "found" / "tables" / "rows.csv").exists()
    assert (tmp_path / "found" / "figures" / "break_even_map.png").exists()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"names": ["lunar-reference"]}, "cases: must be of charania"),
        ({"names": []}, "cases: must be of charania"),
        ({"names": ["kornuta-2019-moon"], "customers": ["LEO"]}, "customers: must be of Moon, got LEO"),
        ({"moves": 0}, "moves: must be an integer"),
        ({"volatilities": [0.0]}, "volatilities: must be numbers > 0"),
    ],
)
def test_bad_input_of_the_study(changed, message):
    with pytest.raises(InputError, match=message):
        literature_study(**changed)


def test_values_where_nothing_is_best():
    """A solver's whole number is off by its tolerance, which is money where a plant is dear and no money flows."""
    case = with_shares(study_case("kornuta-2019-leo"), 0.4).replace(T=5)
    found = value_table(case, ScenarioTree.from_process(case.process, [2] * 5))
    assert [found.point(name) for name in ("eev", "static", "rp", "ws")] == pytest.approx([0.0] * 4, abs=1e-3)
