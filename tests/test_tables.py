"""Cases with tables beyond the base problem: against a program of one's own, limits, the command line, bad input."""

from __future__ import annotations

import copy
import json
import pickle
import re
import tomllib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenario_trees import MarkovLattice, ScenarioTree
from stochisru import InputError, case_from_dict, extensive_form, load_case, sddp, value_table
from stochisru.lunar.case import problem_from_dict
from stochisru.lunar.tables.case import GeneralCase
from stochisru.problem import on_tree
from stochisru.programs.sparse import solve
from stochisru.values import values
from tests.general_by_hand import optimum_by_hand

BASE: dict[str, Any] = {
    "name": "general",
    "horizon": {"T": 3, "lead_time": 1},
    "economics": {"r": 0.08, "P_m": 3000.0},
    "technology": {"eta": 7.0, "alpha": 5.5, "beta": 0.126, "M0": 0.0, "degradation": 0.0},
    "costs": {
        "c_L": 5000.0,
        "c_dev": 10000.0,
        "c_op": 1800.0,
        "c_S": 0.0,
        "c_by": 0.0,
        "c_E": 3000.0,
        "c_bu": 6000.0,
    },
    "demand": {"D0": 1000.0, "mu": 0.2, "sigma": 0.2},
}
ICE = {"name": "ice", "eta": 7.0, "alpha": 5.5, "c_dev": 10000.0, "c_op": 1800.0}
REGOLITH = {
    "name": "regolith plant",
    "eta": 4.0,
    "alpha": 5.5,
    "c_dev": 3000.0,
    "c_op": 900.0,
    "lead_time": 2,
    "lifetime": 2,
    "beta": 0.3,
    "M0": 20.0,
}
TIERS = [
    {"quantity": 300.0, "price": 5000.0},
    {"share": 0.5, "price": 2000.0, "c_bu": 9000.0, "first": 1},
    {"quantity": 100.0, "firm": True, "price": 2500.0, "last": 2},
]
STORE = {"capacity": 200.0, "boil_off": 0.05, "holding_cost": 10.0, "initial": 50.0}
SUPPORT = {
    "dev_share": 0.3,
    "launch_share": [0.1, 0.2, 0.3, 0.4],
    "premium": 200.0,
    "purchase": {"quantity": 150.0, "price": 2500.0},
    "equity": 0.2,
}


def stated(**changes: Any) -> dict[str, Any]:
    """The base case with tables replaced; ``table__key`` changes one key."""
    data = copy.deepcopy(BASE)
    for name, value in copy.deepcopy(changes).items():
        table, _, key = name.partition("__")
        if key:
            data.setdefault(table, {})[key] = value
        else:
            data[table] = value
    if "technologies" in data:
        del data["technology"], data["costs"]["c_dev"], data["costs"]["c_op"]
    return data


CASES: dict[str, dict[str, Any]] = {
    "growth": {"costs__c_L": {"start": 5000.0, "growth": -0.2}},
    "lists": {"economics__P_m": [3000.0, 2000.0, 4000.0, 5000.0], "technology__eta": [7.0, 6.0, 5.0, 8.0]},
    "points": {"costs__c_E": {"years": [0, 2], "values": [2000.0, 4000.0]}},
    "rising cost and degradation": {
        "costs__c_dev": {"start": 4000.0, "growth": 0.6},
        "technology__degradation": [0.0, 0.2, 0.3, 0.1],
    },
    "two technologies": {"technologies": [ICE, REGOLITH]},
    "two and a mass limit": {"technologies": [ICE, REGOLITH], "launch__mass_limit": [400.0, 500.0, 600.0, 100.0]},
    "build limit and availability": {
        "technology__build_limit": [10.0, 50.0, 20.0, 30.0],
        "technology__availability": [0.9, 0.8, 0.7, 0.95],
    },
    "lifetime": {"technology__lifetime": 2, "technology__degradation": 0.1, "technology__M0": 30.0},
    "customers and an Earth limit": {"customers": TIERS, "costs__earth_limit": 400.0},
    "customers where no sort is right": {
        "customers": [
            {"quantity": 300.0, "price": 3000.0, "c_bu": 2000.0},
            {"quantity": 300.0, "price": 0.0, "c_bu": 10000.0},
        ],
        "costs__earth_limit": 300.0,
        "costs__c_E": 1000.0,
    },
    "Earth is sold": {
        "customers": [
            {"quantity": 300.0, "price": 5000.0, "earth": False},
            {"share": 0.5, "price": 4000.0, "c_bu": 100.0},
        ],
        "economics__earth_sold": True,
    },
    "payment in shares": {
        "horizon__lead_time": 2,
        "payment": {"when": "shares", "shares": [0.2, 0.5, 0.3]},
        "costs__c_dev": [1e4, 9e3, 8e3, 7e3],
    },
    "payment at order": {"horizon__lead_time": 2, "payment": {"when": "order"}},
    "salvage": {"terminal": {"salvage": 0.4}, "technology__degradation": 0.1},
    "salvage of plant with a lifetime": {
        "terminal": {"salvage": 0.4},
        "technology__degradation": 0.1,
        "technology__lifetime": 6,
        "technology__M0": 80.0,
    },
    "prices of the year of order": {
        "horizon__lead_time": 2,
        "payment": {"when": "order", "price": "order"},
        "costs__c_L": {"start": 5000.0, "growth": -0.3},
    },
    "hoarding is cheaper than excess": {
        "storage": {"boil_off": 0.0},
        "costs__c_S": 500.0,
        "technology__M0": 1500.0,
    },
    "plant that rests and a store": {
        "technology__availability": [1.0, 1.0, 1.0, 0.0],
        "storage": {"capacity": 5000.0},
        "costs__c_bu": 6e4,
        "costs__c_E": 5e4,
    },
    "margin": {"terminal": {"margin_years": 3.0}, "costs__earth_limit": 300.0, "costs__c_S": 5.0},
    "margin of several tiers": {
        "terminal": {"margin_years": 2.0},
        "customers": TIERS,
        "costs__earth_limit": 300.0,
        "economics__earth_sold": True,
    },
    "storage": {
        "storage": STORE,
        "technology__degradation": 0.2,
        "costs__c_S": 3.0,
        "costs__c_by": 20.0,
    },
    "storage without capacity": {
        "storage": {"boil_off": 0.05},
        "technology__degradation": 0.2,
        "costs__c_E": 9000.0,
    },
    "support": {"support": SUPPORT},
    "campaigns and a grant": {
        "launch": {"fixed_cost": 3e6},
        "technologies": [ICE, REGOLITH],
        "support": {"grant": 1e6},
    },
    "modules": {"launch": {"lot": 40.0, "fixed_cost": 1e6}, "technology__lifetime": 3},
    "nothing in year 0": {"horizon__initial_deployment": "fixed", "technologies": [ICE, REGOLITH]},
    "all together": {
        "technologies": [ICE, REGOLITH],
        "launch__mass_limit": 900.0,
        "customers": [{"quantity": 700.0, "price": 4000.0}, {"share": 0.5}],
        "storage": {"capacity": 150.0, "boil_off": 0.05, "holding_cost": 10.0},
        "payment": {"when": "order"},
        "costs__c_L": {"start": 5000.0, "growth": -0.1},
        "terminal": {"margin_years": 2.0},
        "support": {"equity": 0.1, "premium": 100.0},
    },
}


@pytest.mark.parametrize("name", CASES)
def test_every_table_against_a_program_of_its_own(name: str) -> None:
    data = stated(**CASES[name])
    case = problem_from_dict(data)
    tree = ScenarioTree.from_process(case.process, [3, 2, 2])
    found = values(case.model_on(tree), tree, rel_gap=1e-7)
    for information in ("rp", "static", "fixed", "ws"):
        by_hand = optimum_by_hand(data, tree, information)
        assert found.point(information) == pytest.approx(by_hand, rel=1e-9, abs=1e-2), information


def test_the_case_file_says_the_same_when_it_is_written() -> None:
    for changes in CASES.values():
        case = problem_from_dict(stated(**changes))
        again = problem_from_dict(tomllib.loads(case.to_toml()))
        assert again == case
        assert again.digest() == case.digest()


@pytest.mark.parametrize(
    "changes",
    [
        {"customers": [{"share": 1.0}]},
        {"costs__c_L": {"start": 5000.0, "growth": 0.0}},
        {"costs__c_E": [3000.0] * 4},
        {"economics__P_m": {"years": [1], "values": [3000.0]}},
        {"technologies": [ICE | {"beta": 0.126}]},
        {"technologies": [ICE | {"beta": 0.126}, ICE | {"beta": 0.126, "name": "twin"}]},
        {"technology__lifetime": 10},
        {"technology__availability": 1.0},
        {"launch__mass_limit": 1e9},
        {"storage": {"capacity": 0.0}},
        {"support": {"dev_share": 0.0}},
        {"payment": {"when": "arrival"}},
        {"terminal": {"margin_years": 0.0}},
        {"terminal": {"salvage": 0.0}},
        {"risk": {"kind": "total", "weight": 0.0, "tail": 0.1}},
        {"economics__earth_sold": False},
    ],
    ids=str,
)
def test_tables_that_say_nothing_new_change_nothing(changes: dict[str, Any]) -> None:
    case, base = problem_from_dict(stated(**changes)), case_from_dict(BASE)
    assert isinstance(case, GeneralCase)
    tree = ScenarioTree.from_process(base.process, [3, 2, 2])
    mine, theirs = value_table(case, tree), value_table(base, tree)
    for name in ("ws", "rp", "static", "fixed", "ev", "eev", "evpi", "vss", "vms", "flexibility"):
        assert mine.point(name) == pytest.approx(theirs.point(name), rel=1e-9, abs=1e-2)


@given(
    growth=st.floats(-0.3, 0.6),
    degradation=st.floats(0.0, 0.5),
    lifetime=st.integers(1, 4),
    lead=st.integers(0, 2),
    share=st.floats(0.1, 0.9),
    limit=st.just(0.0) | st.floats(1.0, 800.0),
)
@settings(max_examples=8, deadline=None)
def test_drawn_cases(growth: float, degradation: float, lifetime: int, lead: int, share: float, limit: float) -> None:
    """Prices that rise, plant that wears out and retires, tiers and a limit on Earth together."""
    data = stated(
        costs__c_dev={"start": 6000.0, "growth": growth},
        technology__degradation=degradation,
        technology__lifetime=lifetime,
        horizon__lead_time=lead,
        customers=[{"share": share, "price": 4000.0}, {"quantity": 200.0, "price": 1500.0, "c_bu": 2500.0}],
        costs__earth_limit=limit,
    )
    case = problem_from_dict(data)
    tree = ScenarioTree.from_process(case.process, [2, 2, 2])
    found = values(case.model_on(tree), tree)
    for information in ("rp", "static", "ws"):
        assert found.point(information) == pytest.approx(optimum_by_hand(data, tree, information), rel=1e-8, abs=1.0)


@pytest.mark.parametrize("name", ["two and a mass limit", "storage", "customers and an Earth limit", "support"])
def test_sddp_brackets_the_unfolded_lattice(name: str) -> None:
    case = problem_from_dict(stated(**CASES[name]))
    lattice = MarkovLattice.from_process(case.process, 3, 3)
    best = solve(on_tree(case.model_on(lattice), lattice.to_tree()).program).objective
    bounds = sddp(case, lattice, rel_gap=1e-3, iterations=15, simulations=20).bounds
    room = 1e-7 * abs(best)
    assert bounds.lower - room <= best <= bounds.upper + room
    assert bounds.gap <= 0.02


def test_risk_of_the_total() -> None:
    """Published with the issue: contested-market, T = 5, tail 0.1; and an order that falls with the weight."""
    data = tomllib.loads(load_case("contested-market").replace(T=5).to_toml())
    objectives, orders = [], []
    for weight in (0.0, 0.5, 1.0):
        case = problem_from_dict(data | {"risk": {"kind": "total", "weight": weight, "tail": 0.1}})
        result = extensive_form(case, ScenarioTree.from_process(case.process, [5, 5, 3, 3, 2]))
        objectives.append(result.objective / 1e6)
        orders.append(result.first_stage["dM1"])
        npv = np.sort(np.repeat(result.plan.scenarios, 1))
        assert npv.size == 450
    assert objectives == pytest.approx([8.356, 6.305, 4.769], abs=5e-4)
    assert orders == pytest.approx([79.5, 60.4, 41.0], abs=0.05)
    with pytest.raises(InputError, match="SDDP takes"):
        sddp(case, states=3)


def test_a_price_that_is_a_factor() -> None:
    """Launch gets cheaper at random: the tree of both factors against a program of one's own."""
    data = stated(
        factors=[{"symbol": "c_L", "initial": 5000.0, "mu": -0.2, "sigma": 0.3, "correlation": 0.4}],
        derivation={"c_op": {"rule": "spares_cost", "fraction_per_year": 0.05}},
    )
    del data["costs"]["c_op"], data["costs"]["c_L"]
    case = problem_from_dict(data)
    tree = ScenarioTree.from_process(case.process, [(2, 2), (2, 2), (2, 1)])
    price = tree.factor("c_L")

    def factor(name: str, node: int) -> float | None:
        spares = 0.05 * (10000.0 + 5.5 * price[node])
        return {"c_L": float(price[node]), "c_op": spares}.get(name)

    found = values(case.model_on(tree), tree)
    for information in ("rp", "static", "fixed"):
        by_hand = optimum_by_hand(data, tree, information, factor)
        assert found.point(information) == pytest.approx(by_hand, rel=1e-9)


def test_steps_shorter_than_a_year() -> None:
    """Doubling the stages of a year changes no rate: a certain problem without growth is worth the same."""
    data = stated(demand={"D0": 1000.0, "mu": 0.0, "sigma": 0.0}, horizon={"T": 40, "lead_time": 0, "step": 0.25})
    worth = {}
    for step in (0.25, 0.125):
        case = problem_from_dict(data | {"horizon": {"T": int(10 / step), "lead_time": 0, "step": step}})
        tree = ScenarioTree.from_process(case.process, [1] * case.horizon.T)
        worth[step] = extensive_form(case, tree).objective
    # Each year has one more payment in the first stage; the rest converges.
    first = (7.0 * 1000.0 / 7.0) * 3000.0 - 1800.0 * 1000.0 / 7.0
    assert worth[0.125] == pytest.approx(worth[0.25], abs=0.25 * abs(first))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"costs__c_L": [1.0, 2.0]}, r"costs.c_L: a list must have T \+ 1 = 4 numbers, got 2"),
        ({"costs__c_L": {"start": 1.0}}, r"costs.c_L: must be a number >= 0, a list of them"),
        ({"costs__c_L": {"start": 1.0, "growth": -2}}, r"costs.c_L: must be a finite number > -1, as growth"),
        ({"costs__c_L": {"years": [2, 1], "values": [1, 2]}}, r"costs.c_L: years must ascend"),
        ({"costs__c_L": [1.0, 2.0, -3.0, 4.0]}, r"costs.c_L: must be a finite number >= 0, in a list one per year"),
        ({"technology__availability": 1.5}, r"technology.availability: must be a finite number >= 0 and <= 1"),
        ({"customers": [{"share": 0.7}, {"share": 0.5}]}, r"customers: shares must sum to at most 1, got 1.2"),
        ({"customers": [{"price": 1.0}]}, r"customers.0.*give exactly one of share and quantity"),
        ({"customers": [{"share": 0.5, "firm": True}]}, r"a firm contract has a quantity"),
        ({"customers": [{"share": 0.5, "last": 9}]}, r"customers.0.last: must be <= T = 3, got 9"),
        ({"technologies": [ICE, ICE]}, r"technologies: names must differ"),
        ({"technologies": [{"name": "ice", "eta": 7.0}]}, r"technologies 'ice'.alpha: missing"),
        ({"payment": {"when": "shares", "shares": [0.5]}}, r"payment.shares: must be lead_time \+ 1 = 2 numbers"),
        ({"payment": {"when": "shares"}}, r"payment.shares: belong to when"),
        ({"terminal": {"salvage": 0.5, "margin_years": 1}}, r"terminal.salvage: give exactly one"),
        (
            {"terminal": {"salvage": 1.0}, "costs__c_dev": {"start": 1000.0, "growth": 3.0}},
            r"terminal.salvage: buying plant to scrap it would pay in year 0",
        ),
        ({"risk": {"kind": "both", "weight": 0.5, "tail": 0.1}}, r"risk.kind: must be one of 'total' or 'nested'"),
        ({"risk": {"kind": "total", "weight": 2.0, "tail": 0.1}}, r"risk.weight: must be <= 1"),
        ({"support": {"equity": 1.0}}, r"support.equity: must be a finite number >= 0 and < 1"),
        ({"factors": [{"symbol": "D", "initial": 1.0}]}, r"factors.0.symbol: must be one of"),
        (
            {"factors": [{"symbol": "c_L", "initial": 1.0, "correlation": 2.0}]},
            r"factors.correlation: .*",
        ),
        ({"storage": {"boil_off": 1.5}}, r"storage.boil_off"),
        ({"technologies": [ICE | {"name": "earth"}, REGOLITH]}, r"technologies: must not be called 'earth'"),
        (
            {"technologies": [ICE, REGOLITH], "factors": [{"symbol": "eta", "initial": 1.0}]},
            r"factors.eta: every technology has its own",
        ),
        ({"factors": [{"symbol": "c_L", "initial": 5000.0}]}, r"factors.c_L: c_L is given as well"),
        ({"lauch": {}, "storage": {}}, r"lauch: unknown key"),
        (
            {"payment": {"when": "order"}, "factors": [{"symbol": "c_dev", "initial": 5000.0, "technology": "ice"}]}
            | {"technologies": [{key: x for key, x in ICE.items() if key != "c_dev"}]},
            r"payment.when: a bill whose price is a factor",
        ),
    ],
    ids=lambda value: str(value)[:60],
)
def test_bad_tables_are_one_line(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        problem_from_dict(stated(**changes))
    assert "\n" not in str(caught.value)


def test_replace_cuts_lists_and_refuses_longer_horizons() -> None:
    case = problem_from_dict(stated(**CASES["lists"]))
    assert case.replace(T=2).economics.P_m.given == (3000.0, 2000.0, 4000.0)
    with pytest.raises(InputError, match=r"must have T \+ 1 = 6 numbers, got 4"):
        case.replace(T=5)
    assert problem_from_dict(stated(**CASES["growth"])).replace(T=5, c_E=1.0).horizon.T == 5


def test_on_the_command_line(tmp_path, capsys) -> None:
    from stochisru.cli.main import main

    file = tmp_path / "two.toml"
    file.write_text(problem_from_dict(stated(**CASES["two and a mass limit"])).to_toml())

    def run(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(list(words))
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    code, out, _ = run("solve", str(file), "--branching", "2,2,2", "--json", "-")
    found = json.loads(out)
    assert code == 0
    assert list(found["first_stage"]) == ["ice", "regolith plant"]
    assert list(found["first_stage"]["ice"]) == ["dM0", "dM1"]
    assert list(found["first_stage"]["regolith plant"]) == ["dM0", "dM1", "dM2"]
    code, out, _ = run("value", str(file), "--branching", "2,2,2", "--json", "-")
    told = json.loads(out)
    assert told["rp"] == pytest.approx(found["objective"], rel=1e-9)
    assert {"ws", "rp", "ev", "eev", "static", "fixed", "evpi", "vss", "vms", "flexibility", "brackets"} <= set(told)
    for words in (["frontier"], ["tune"], ["solve", "--method", "threshold"], ["value", "--on", "lattice"]):
        code, out, err = run(words[0], str(file), *words[1:])
        assert code == 2
        assert err.count("\n") == 1
        assert re.match("error: ", err)
    assert run("case", "check", str(file))[0] == 0
    code, out, _ = run("case", "show", str(file))
    assert problem_from_dict(tomllib.loads(out)) == load_case(file)


def test_a_plan_of_several_technologies_is_evaluated(tmp_path, capsys) -> None:
    """What the extensive form decides at the root of a certain case is worth its objective."""
    from stochisru.cli.main import main

    data = stated(**CASES["campaigns and a grant"])
    data["demand"]["sigma"] = 0.0
    case = problem_from_dict(data)
    best = extensive_form(case, ScenarioTree.from_process(case.process, [1, 1, 1]), rel_gap=1e-9)
    file, plan = tmp_path / "case.toml", tmp_path / "plan.csv"
    file.write_text(case.to_toml())
    rows = [
        f"{year},{technology.name},{mass!r}"
        for technology, name in zip(case.technologies, ("dM_ice", "dM_regolith_plant"), strict=True)
        for year, mass in enumerate(best.plan.columns[name].tolist())
    ]
    plan.write_text("\n".join(["year,technology,kg", *rows]))
    for words in (["--branching", "1,1,1"], ["--paths", "10"]):
        with pytest.raises(SystemExit) as ended:
            main(["evaluate", str(file), "--plan", str(plan), *words, "--json", "-"])
        assert not ended.value.code
        told = json.loads(capsys.readouterr().out)
        assert told["value"] == pytest.approx(best.objective, rel=1e-9)
        assert set(told["plan"]) == {"ice", "regolith plant"}
    plan.write_text("year,kg\n1,10\n")
    with pytest.raises(SystemExit) as ended:
        main(["evaluate", str(file), "--plan", str(plan)])
    assert ended.value.code == 2
    assert "must have a column technology, one of ice, regolith plant" in capsys.readouterr().err


SCALES = {
    "a cheaper large plant": {"reference": 200.0, "c_dev_exponent": 0.6},
    "a better large plant": {"reference": 200.0, "eta_exponent": 1.2},
    "cost by mass": {"c_dev_curve": {"breakpoints": [0, 200.0, 1000.0], "values": [0, 4e6, 12e6]}},
    "output by mass": {"eta_curve": {"breakpoints": [0, 200.0, 1000.0], "values": [0, 1000.0, 7000.0]}},
}


@pytest.mark.parametrize("scale", SCALES.values(), ids=SCALES)
def test_size_matters_as_in_a_base_case(scale):
    """A table that changes nothing makes a general case, whose curves are those of the base case."""
    base, case = case_from_dict(stated(scale=scale)), problem_from_dict(stated(scale=scale, customers=[{"share": 1.0}]))
    tree = ScenarioTree.from_process(base.process, [2, 2, 2])
    value = extensive_form(base, tree, rel_gap=1e-6).objective
    assert extensive_form(case, tree, rel_gap=1e-6).objective == pytest.approx(value, rel=1e-6)


def test_output_by_size_asks_for_one_eta():
    data = stated(scale=SCALES["output by mass"], technology__eta=[7.0, 7.0, 7.0, 6.0])
    with pytest.raises(InputError, match=r"scale\.eta_curve: takes an eta that does not move"):
        problem_from_dict(data)


def test_a_case_travels_between_processes_whatever_was_made_of_it():
    case = load_case("regolith-oxygen")
    assert case.model is not None
    assert case.stated is not None
    assert pickle.loads(pickle.dumps(case)) == case
    assert copy.deepcopy(case).model.name == case.name
