"""Cases with tables that a newcomer broke, each as small as it was."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from scenario_trees import ScenarioTree
from stochisru import InputError, decide, extensive_form, load_case, process_values, simulate_policies, value_table
from stochisru.cli.main import main
from stochisru.lunar.general_policies import simulate_general
from stochisru.lunar.strategies import STRATEGIES
from stochisru.lunar.tables.support_worth import support_worth
from stochisru.methods.registry import method_named
from stochisru.problem.evaluate import evaluate
from stochisru.report.answer import rule_after
from stochisru.report.elements import number
from stochisru.simulation.sampling import Sampling

ETA = '[[factors]]\nsymbol = "eta"\ntechnology = "ice"\ninitial = 3.0\nmu = 0.0\nsigma = 0.1\n'
CAMPAIGN = """
name = "campaign"
[horizon]
T = 2
[economics]
r = 0.1
P_m = 6000.0
[costs]
c_L = 4000.0
c_S = 0.0
c_by = 0.0
c_E = 5000.0
c_bu = 8000.0
[demand]
D0 = 1000.0
mu = 0.0
sigma = 0.2
[launch]
fixed_cost = 1e5
[[technologies]]
name = "x"
eta = 7.0
alpha = 5.0
c_dev = 10000.0
c_op = 1000.0
[[technologies]]
name = "y"
eta = 6.0
alpha = 5.0
c_dev = 9000.0
c_op = 1000.0
lead_time = 2
build_limit = [100.0, 100.0, LAST]
"""


def case_of(tmp_path, text, name="case.toml"):
    (tmp_path / name).write_text(text)
    return load_case(tmp_path / name)


def two(tmp_path, *more, **lines):
    text = Path("docs/two-technologies.toml").read_text()
    for key, value in lines.items():
        text = re.sub(rf"^{key} = .*$", value, text, flags=re.MULTILINE)
    return case_of(tmp_path, text + "".join(more))


def test_a_campaign_of_a_year_in_which_a_technology_may_not_come(tmp_path):
    """Its row then knows the order alone, which is known earlier than the campaign."""
    none, dust = (case_of(tmp_path, CAMPAIGN.replace("LAST", x), f"{x}.toml") for x in ("0.0", "1e-9"))
    tree = ScenarioTree.from_process(none.process, [3, 3])
    found, close = (extensive_form(case, tree).objective for case in (none, dust))
    assert found == pytest.approx(close, rel=1e-6)
    assert np.isfinite(simulate_general(none, list(STRATEGIES), Sampling(50, 1)).values).all()


@pytest.mark.parametrize("payment", ["arrival", "order"])
def test_scrap_is_worth_something_in_the_last_year_whenever_plant_is_paid(tmp_path, payment):
    text = CAMPAIGN.replace("fixed_cost = 1e5", "").replace("sigma = 0.2", "sigma = 0.0").split("[[technologies]]")
    text = f'{text[0]}[[technologies]]{text[1]}lifetime = 4\n[payment]\nwhen = "{payment}"\n'
    scrap, none = (
        case_of(tmp_path, text + more, name)
        for more, name in (("[terminal]\nsalvage = 0.4\n", "scrap.toml"), ("", "none.toml"))
    )
    path, plan = np.full((1, 3), 1000.0), {"dM": np.array([0.0, 100.0, 0.0])}
    with_it, without = (evaluate(case.model_on(path), plan, path).value for case in (scrap, none))
    assert with_it - without == pytest.approx(1.1**-2 * 0.4 * 30_000 * 100 * 2 / 4)


def test_a_nested_measure_is_refused_on_trees(tmp_path):
    case = two(tmp_path, '[risk]\nmeasure = "mean-cvar"\nkind = "nested"\nweight = 0.5\ntail = 0.1\n')
    tree = ScenarioTree.from_process(case.process, [2, 2, 2])
    for refused in (lambda: extensive_form(case, tree), lambda: value_table(case, tree)):
        with pytest.raises(InputError, match=r"^risk.kind: .*SDDP"):
            refused()
    assert "tree" not in simulate_general(case, None, Sampling(20, 1)).names


@pytest.mark.parametrize(
    "more",
    [
        '[risk]\nmeasure = "mean-cvar"\nkind = "total"\nweight = 0.5\ntail = 0.1\n',
        '[[factors]]\nsymbol = "P_m"\ninitial = 3000.0\nmu = 0.0\nsigma = 0.2\n',
    ],
)
def test_a_store_under_risk_or_with_a_factor_is_simulated(tmp_path, more):
    lines = {"P_m": ""} if "factors" in more else {}
    case = two(tmp_path, "[storage]\ncapacity = 200.0\n", more, **lines)
    found = simulate_general(case, ["tree", "nothing", "moderate"], Sampling(30, 1))
    assert np.isfinite(found.values).all()


def test_names_that_end_in_digits_keep_their_orders(tmp_path):
    text = Path("docs/two-technologies.toml").read_text().replace('"regolith"', '"ice1"')
    case = case_of(tmp_path, text)
    first = case.first_stage({"dM_ice0": 1.0, "dM_ice1": 2.0, "dM_ice2": 3.0, "dM_ice10": 4.0})
    assert first == {"ice": {"dM0": 1.0, "dM1": 2.0, "dM2": 3.0}, "ice1": {"dM0": 4.0}}


def test_the_plan_behind_rp_is_no_worse_than_a_heuristic(tmp_path):
    regimes = (
        '[demand]\nD0 = 1000.0\n[demand.process]\nkind = "regimes"\ndrifts = [0.3, 0.0]\nvolatilities = [0.2, 0.3]\n'
        "switching = [[0.8, 0.2], [0.3, 0.7]]\n"
    )
    text = re.sub(r"(?s)\[demand\].*?\n\n", regimes + "\n", Path("docs/two-technologies.toml").read_text())
    case = case_of(tmp_path, text)
    found = simulate_general(case, ["policy", *STRATEGIES], Sampling(500, 3))
    for name in STRATEGIES:
        assert found.difference("policy", name).upper >= 0
    values = process_values(case, paths=256)
    assert values.values["rp"].upper - values.values["rp"].lower < 0.3 * values.values["rp"].upper


def test_values_keep_their_order_where_nothing_is_worth_building(tmp_path):
    found = process_values(two(tmp_path, c_dev="c_dev = 200000.0"), paths=256).values
    for less, more in (("nothing", "static"), ("eev", "static"), ("fixed", "static"), ("static", "rp")):
        assert found[less].value <= found[more].value
        assert found[less].upper <= found[more].upper + 1e-6


def test_dust_starts_no_campaign():
    case = load_case("lunar-reference").replace(T=2, fixed_cost=1e6)
    from stochisru.problem.policies import Planned, follow

    paths = np.full((1, 3), 1000.0)
    plans = (Planned({"dM": [0.0, amount, 0.0]}, "p") for amount in (0.0, 1e-13))
    none, dust = (follow(case.model, plan, paths).values[0] for plan in plans)
    assert none == dust
    assert number(-1e-9, "$") == number(0.0, "$")


@pytest.mark.parametrize(
    ("more", "lines", "message"),
    [
        (
            '[[factors]]\nsymbol = "eta"\ntechnology = "ice"\ninitial = 3.0\nmu = 0.0\nsigma = 0.1\n',
            {},
            "gives eta as well",
        ),
        ('[payment]\nwhen = "shares"\nshares = { steam = [1.0] }\n', {}, "must name technologies, ice, regolith"),
        ("[storage]\ncapacity = 10.0\ninitial = 20.0\n", {}, "initial: must be <= capacity = 10"),
        ("[customers]\nshare = 1.0\n", {}, r"must be a list of tables, \[\[customers\]\]"),
        ("", {"P_m": "P_m = { begin = 3.0 }"}, r"\{start, growth\} or \{years, values\}, got"),
    ],
)
def test_what_was_taken_in_silence_is_refused(tmp_path, more, lines, message):
    with pytest.raises(InputError, match=message) as refused:
        two(tmp_path, more, **lines)
    assert "\n" not in str(refused.value)
    assert "{{" not in str(refused.value)


def test_a_run_names_what_is_maximised_and_survives_dollar_signs_and_heavy_tails(tmp_path):
    text = Path("docs/two-technologies.toml").read_text().replace('"ice"', '"kit $_$ US"')
    text = text.replace("sigma = 0.2", "sigma = 1.6")
    text += '[risk]\nmeasure = "mean-cvar"\nkind = "total"\nweight = 0.5\ntail = 0.1\n'
    (tmp_path / "case.toml").write_text(text)
    out, told = tmp_path / "out", tmp_path / "run.json"
    arguments = ["run", str(tmp_path / "case.toml"), "--branching", "2,2,1", "--paths", "256"]
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--out", str(out), "--json", str(told)])
    assert ended.value.code == 0
    page = (out / "report.html").read_text()
    assert "mean-CVaR of total NPV (weight 0.5, worst 10%)" in page
    assert "The plan is a commitment" in page
    assert json.loads(told.read_text())["values"] is None


@pytest.mark.parametrize("equity", [0.0, 0.4])
def test_support_is_a_transfer(tmp_path, equity):
    """What the government pays and gets, kilogram by kilogram of the firm's plan."""
    case = two(
        tmp_path,
        "[support]\ndev_share = 0.3\nlaunch_share = 0.2\npremium = 250.0\n"
        f"purchase = {{ quantity = 100.0, price = 700.0 }}\nequity = {equity}\n",
        c_by="c_by = 20.0",
    )
    tree = ScenarioTree.from_process(case.process, [3, 3, 3])
    found = support_worth(case, tree)
    assert found.firm + found.government == pytest.approx(found.both)

    def paid(plan):
        x, t = plan.quantities, tree.stage
        bill = 0.0
        for name, c_dev in (("ice", 10_000.0), ("regolith", 5000.0)):
            launch, each = 5000.0 * 0.9**t * 5.5, x[f"dM_{name}"]
            bought = (0.3 * c_dev + 0.2 * launch) * each
            bill = bill + bought + equity * ((1 - 0.3) * c_dev + (1 - 0.2) * launch) * each
        operation = 1800.0 * x["M_ice"] + 1200.0 * x["M_regolith"]
        gets = equity * (3000.0 * x["sold"] - operation)
        pays = bill + 250.0 * x["sold"] + 700.0 * x["bought"] - gets
        return float((tree.probability * case.model.discount[t] * pays).sum())

    plan = extensive_form(case, tree).plan
    assert found.government == pytest.approx(-paid(plan), rel=1e-6)
    assert found.per_kg == pytest.approx(-found.government / found.additional)
    assert support_worth(two(tmp_path), tree) is None


def test_support_of_plant_in_place_is_a_transfer_too(tmp_path):
    """Nobody builds: the premium is paid for what is there anyway, and doing nothing gets it as well."""
    text = Path("docs/two-technologies.toml").read_text()
    for key, line in (
        ("P_m", "P_m = 500.0"),
        ("c_by", "c_by = 6000.0"),
        ("c_dev", "c_dev = 1e8\nbeta = 1.0\nM0 = 50.0"),
    ):
        text = re.sub(rf"^{key} = .*$", line, text, flags=re.MULTILINE)
    case = case_of(tmp_path, text + "[support]\npremium = 4000.0\n")
    found = support_worth(case, ScenarioTree.from_process(case.process, [2, 2, 2]))
    assert (found.firm, found.government, found.both) == pytest.approx((0.0, 0.0, 0.0), abs=1e-3)


def test_support_under_a_measure_of_risk_is_an_expected_transfer(tmp_path):
    risk = '[risk]\nmeasure = "mean-cvar"\nkind = "total"\nweight = 0.5\ntail = 0.1\n'
    case = two(tmp_path, "[support]\ndev_share = 0.3\n", risk)
    tree = ScenarioTree.from_process(case.process, [3, 3, 3])
    plan = extensive_form(case, tree).plan
    bill = 0.3 * (10_000.0 * plan.columns["dM_ice"] + 5000.0 * plan.columns["dM_regolith"])
    paid = float((tree.probability * plan.model.discount[tree.stage] * bill).sum())
    assert support_worth(case, tree).government == pytest.approx(-paid, rel=1e-6)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_value_is_lifted_over_the_plan_that_it_is_of(tmp_path, seed):
    case = two(tmp_path, mass_limit="mass_limit = 2000.0\nfixed_cost = 2e6", c_bu="c_bu = 4000.0")
    found = process_values(case, paths=256, seed=seed).values
    assert found["rp"].value <= found["ws"].value + 1e-6
    for less, more in (("nothing", "static"), ("eev", "static"), ("fixed", "static"), ("static", "rp")):
        assert found[less].upper <= found[more].upper + 1e-6


def test_rates_and_paybacks_are_per_year_whatever_a_step_is(tmp_path):
    """The same cash twice as fine: 100 paid at once, 121 back after two years."""
    from stochisru.simulation.returns import return_metrics

    yearly, halves = np.array([[-100.0], [0.0], [121.0]]), np.array([[-100.0], [0.0], [0.0], [0.0], [121.0]])
    coarse, fine = (return_metrics(np.repeat(c, 40, axis=1), None, step=s) for c, s in ((yearly, 1.0), (halves, 0.5)))
    for name in ("irr_p50", "undiscounted_payback_year"):
        assert fine[name].value == pytest.approx(coarse[name].value)
    assert coarse["irr_p50"].value == pytest.approx(0.1)


def test_what_a_grant_pays_is_no_capital_of_the_firm(tmp_path):
    text = CAMPAIGN.replace("LAST", "100.0").replace("fixed_cost = 1e5", "fixed_cost = 2e7")
    none, granted = (
        case_of(tmp_path, text + more, f"{i}.toml") for i, more in enumerate(("", "[support]\ngrant = 2e7\n"))
    )
    capital = [
        simulate_general(case, ["upfront"], Sampling(20, 1)).metrics["upfront"]["first_year_capital"].value
        for case in (none, granted)
    ]
    assert capital[0] - capital[1] == pytest.approx(2e7)


def test_earth_serves_where_it_is_no_dearer_than_shortage(tmp_path):
    base = load_case("lunar-reference").replace(T=3)
    base = base.replace(c_bu=base.costs.c_E)
    case = case_of(tmp_path, base.to_toml() + "\n[[customers]]\nshare = 1.0\n")
    found = simulate_general(case, ["nothing"], Sampling(20, 1)).metrics["nothing"]
    assert found["demand_satisfaction"].value == 1.0
    assert found["shortage"].value == 0.0


@pytest.mark.parametrize(
    "launch",
    ["mass_limit = 2000.0\nlot = 25.0\nfixed_cost = 2e5", "mass_limit = 2000.0\nfixed_cost = 1e5", "lot = 40.0"],
)
def test_sddp_of_lots_and_campaigns_is_that_of_the_relaxation(tmp_path, launch):
    case = two(tmp_path, mass_limit=launch)
    lattice = case.lattice(4)
    found = method_named("sddp").solve(case, lattice, method_named("sddp").options(iterations=10))
    assert found.termination.limit == "relaxation"
    assert not found.bounds.certified
    assert found.bounds.lower <= found.objective <= found.bounds.upper
    # The optimum of a tree that is the lattice unrolled lies between what the plan earns and the relaxation.
    best = extensive_form(case, lattice.to_tree(), rel_gap=1e-3).bounds
    assert found.bounds.lower <= best.upper
    assert found.bounds.upper >= best.lower
    lot = 25.0 if "25" in launch else 40.0 if "40" in launch else None
    orders = [kg for table in case.first_stage(found.first_stage).values() for kg in table.values()]
    assert sum(orders) > 0
    if lot is not None:
        assert np.mod(np.array(orders) / lot + 1e-9, 1.0) == pytest.approx(0.0, abs=1e-6)
    judged = simulate_policies(case.model_on(lattice), [found.policy()], paths=500, seed=9, process=lattice)
    assert np.isfinite(judged.values).all()
    assert judged.metrics["sddp"]["mean"].value == pytest.approx(found.objective, rel=0.2)


def test_a_belief_tells_growth_by_year(tmp_path):
    case = load_case("lunar-reference").replace(T=3)
    by_year = case.with_tables(demand={"mu": [0.0, 0.3, 0.1, 0.0], "sigma": [0.3, 0.2, 0.1, 0.1]})
    told = decide(by_year, [900.0, 1000.0]).belief.describe()
    assert "drifts 0.3, 0.1" in told
    assert "volatilities 0.2, 0.1" in told


def test_errors_name_the_table_as_the_file_does(tmp_path):
    case = load_case("lunar-reference").replace(T=3)
    for tables, start in (
        ({"demand": {"mu": [0.1, 0.2]}}, "demand.mu: a list must have T + 1 = 4 numbers"),
        ({"customers": [{"share": 0.5, "first": 9}]}, "customers.0.first: must be <= T = 3"),
    ):
        with pytest.raises(InputError, match=f"^{re.escape(start)}"):
            case.with_tables(**tables)


def test_what_is_beyond_a_limit_is_told_in_one_way(tmp_path):
    for tables, told in (
        ({"terminal": {"salvage": 2}}, "terminal.salvage: must be "),
        ({"storage": {"boil_off": 1.5}}, "storage.boil_off: must be < 1, got 1.5"),
        ({"risk": {"kind": "total", "weight": -1, "tail": 0.1}}, "risk.weight: must be >= 0, got -1"),
        ({"customers": [{"share": 0.5, "first": -1}]}, "customers.0.first: must be >= 0, got -1"),
    ):
        with pytest.raises(InputError, match=f"^{re.escape(told)}"):
            load_case("lunar-reference").with_tables(**tables)


def test_values_of_a_nested_measure_send_to_what_takes_it(tmp_path):
    case = two(tmp_path, '[risk]\nmeasure = "entropic"\nkind = "nested"\naversion = 1e-7\n')
    with pytest.raises(InputError, match=r"^risk: .*solve --method sddp takes") as refused:
        process_values(case)
    assert "--branching" not in str(refused.value)


@pytest.mark.parametrize(
    ("numbers", "told"),
    [
        ((0.7, 0.8, 0.9, 0.0), "demand (0.800 to 0.900 in later years); nothing from year 4 on."),
        ((0.7, 0.8), "demand (0.800 in later years)."),
        ((0.7, 0.7), "demand."),
        ((0.7,), "demand."),
    ],
)
def test_the_rule_of_later_years_is_not_that_of_the_first(numbers, told):
    rule = pd.DataFrame({"year": range(1, len(numbers) + 1), "k": numbers})
    assert rule_after({}, {"rule": rule}).endswith(told)


def test_nothing_is_shown_as_zero_without_a_sign(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("case.toml").write_text((Path(__file__).parent.parent / "docs/two-technologies.toml").read_text())
    for arguments in (["export", "case.toml", "--branching", "3,3,3", "--to", "p.lp"], ["solve-file", "p.lp"]):
        with pytest.raises(SystemExit, match=r"^0$"):
            main(arguments)
    shown = capsys.readouterr().out
    assert re.search(r" 0$", shown, re.MULTILINE)
    assert not re.search(r" -0$", shown, re.MULTILINE)


@pytest.mark.parametrize(("words", "tail"), [([], 0.2), (["--tail", "0.5"], 0.5)])
def test_the_frontier_is_of_the_tail_of_the_case(tmp_path, capsys, words, tail):
    case = two(tmp_path, '[risk]\nkind = "total"\nweight = 0.5\ntail = 0.2\n')
    (tmp_path / "told.toml").write_text(case.to_toml())
    with pytest.raises(SystemExit, match=r"^0$"):
        main(["risk", str(tmp_path / "told.toml"), "--branching", "2,2,2", "--weights", "0.5", "--json", "-", *words])
    (row,) = json.loads(capsys.readouterr().out)
    own = case.with_tables(risk={"kind": "total", "weight": 0.5, "tail": tail})
    oracle = extensive_form(own, ScenarioTree.from_process(case.process, [2, 2, 2])).objective
    assert row["tail"] == tail
    assert row["objective"] == pytest.approx(oracle, rel=1e-6)
