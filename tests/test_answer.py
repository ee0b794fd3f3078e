"""What stands around the order of a run: losses, rule, changes, break-even; beside other methods and simulation."""

import tomllib

import numpy as np
import pytest

from stochisru import load_case, threshold
from stochisru.lunar.case import problem_from_dict
from stochisru.lunar.deciding.answer import answer, answer_tables
from stochisru.lunar.simulation import simulate
from stochisru.lunar.strategies.order_up_to import OrderUpTo


@pytest.fixture(scope="module")
def case():
    return load_case("lunar-reference").replace(T=5, degradation=0.05)


@pytest.fixture(scope="module")
def exact(case):
    return threshold(case)


@pytest.fixture(scope="module")
def found(case, exact):
    return answer(case, exact.first_stage)


def test_losses_are_those_of_the_policy_with_another_order(case, exact, found):
    """Oracle: the same policy simulated with that order, path by path."""
    regret = found.regret()
    assert (regret[regret["best"]]["regret"] == 0).all()
    assert (regret["regret"] >= 0).all()
    rows = regret[(regret["arrival"] == 1) & ~regret["best"]]
    policy = exact.policy()
    root = policy.root
    others = [OrderUpTo(f"o{i}", (root[0], kg), policy.position) for i, kg in enumerate(rows["kg"])]
    others.append(OrderUpTo("none", (0.0, 0.0), policy.position))
    run = simulate(case, [policy, *others], paths=40_000, seed=3)
    for i, lost in enumerate([*rows["regret"], found.nothing()]):
        drawn = run.npv[0] - run.npv[1 + i]
        assert lost == pytest.approx(drawn.mean(), abs=4 * drawn.std() / np.sqrt(drawn.size))


def test_losses_are_convex(found):
    for _, rows in found.regret().groupby("arrival"):
        slopes = np.diff(rows["regret"]) / np.diff(rows["kg"])
        assert (np.diff(slopes) >= -1e-6 * abs(slopes).max()).all()


def test_the_rule_and_the_plant_that_will_be_there(case, exact, found):
    rule = found.rule()
    assert rule["k"].to_numpy() == pytest.approx(exact.plan.position)
    assert (rule["arrival"] - rule["year"]).tolist() == [1] * 4
    first, second = exact.plan.root
    kept = 1 - case.technology.degradation
    assert found.projected() == pytest.approx((first * kept + second) * kept)


def test_changes_are_optima_of_changed_cases(case, found):
    table = found.changes()
    assert table["symbol"].iloc[0] == ""
    assert table["worth"].iloc[0] == pytest.approx(threshold(case).objective, rel=1e-5)
    for symbol in ("P_m", "sigma", "mu"):
        for row in table[table["symbol"] == symbol].to_dict("records"):
            other = threshold(case.replace(**{symbol: row["value"]}))
            assert row["worth"] == pytest.approx(other.objective, rel=1e-5)
            assert row["dM1"] == pytest.approx(other.first_stage["dM1"], rel=1e-4)
    assert table[table["symbol"] == "c_L"]["moves"].iloc[0] == "c_op, c_E, P_m, c_bu"


def test_the_plan_breaks_even_where_it_says(case, found):
    held = {name: case.values[name] for name in case.derivation}
    line = found.break_even_line()
    assert len(line) == 3
    assert np.diff(line["x"]).min() > 0  # dearer launch, dearer oxygen
    for x, y in line.to_numpy():
        worth = [threshold(case.replace(**{**held, "P_m": x * (1 + e), "c_L": y})).objective for e in (-0.02, 0.02)]
        assert worth[0] < 0 < worth[1]
    grid = found.grid()
    here = grid[(grid["x"] == case.values["P_m"]) & (grid["y"] == case.values["c_L"])]
    assert here["value"].iloc[0] == pytest.approx(threshold(case).objective, rel=1e-5)


def test_prices_that_move_have_a_break_even_too():
    """Oracle: the same case with tables that say the same as the base one."""
    base = load_case("contested-market").replace(T=3)
    data = tomllib.loads(base.replace(**{name: base.values[name] for name in base.derivation}).to_toml())
    data["economics"]["P_m"] = {"start": data["economics"]["P_m"], "growth": 0.0}
    case = problem_from_dict(data)
    plain, moving = (answer(c, threshold(base).first_stage) for c in (base, case))
    assert moving.break_even() == pytest.approx(plain.break_even(), rel=2.5e-2)
    x, y = (base.values[name] for name in ("P_m", "c_L"))
    one, other = plain.grid(), moving.grid()
    assert other["x"].to_numpy() * x == pytest.approx(one["x"].to_numpy())
    assert other["y"].to_numpy() * y == pytest.approx(one["y"].to_numpy())
    assert other["value"].to_numpy() == pytest.approx(one["value"].to_numpy(), rel=1e-4, abs=1.0)


def two_kinds(case):
    data = tomllib.loads(case.to_toml())
    plant = data.pop("technology")
    costs = {name: data["costs"].pop(name) for name in ("c_dev", "c_op")}
    own = {name: plant[name] for name in ("eta", "alpha", "beta")}
    data["technologies"] = [
        {"name": "oven", **own, **costs},
        {"name": "<ice>", **own, "c_dev": 3 * costs["c_dev"], "c_op": 0.1 * costs["c_op"], "lead_time": 2},
    ]
    return problem_from_dict(data)


def test_several_technologies_have_losses_and_changes_of_each():
    base = load_case("contested-market").replace(T=3)
    data = base.replace(**{name: base.values[name] for name in base.derivation})
    case = two_kinds(data)
    decision = {"oven": {"dM0": 100.0, "dM1": 20.0}, "<ice>": {"dM0": 0.0, "dM1": 0.0, "dM2": 10.0}}
    said = []
    tables, entries = answer_tables(case, decision, said.append)
    regret = tables["regret"].set_index(["technology", "arrival"])
    assert set(regret.index) == {("oven", 0), ("oven", 1), ("<ice>", 0), ("<ice>", 1), ("<ice>", 2)}
    chosen = tables["regret"][tables["regret"]["best"]].set_index(["technology", "arrival"])["kg"]
    assert chosen["oven", 0] == 100
    assert chosen["<ice>", 2] == 10
    assert "rule" not in tables
    assert entries["refused"] == ""
    assert entries["projected"] is None
    assert "changes" not in tables  # each would take as long as all this
    assert len(said) == 2


def test_a_case_whose_orders_cannot_be_held_says_why():
    from stochisru.lunar.tables.case import general_case

    data = tomllib.loads(load_case("contested-market").replace(T=3).to_toml())
    data["risk"] = {"kind": "nested", "weight": 0.5, "tail": 0.1}
    tables, entries = answer_tables(general_case(data), {"dM0": 1.0, "dM1": 1.0}, lambda _: None)
    assert tables == {}
    assert "nested" in entries["refused"]


def test_tables_change_nothing_of_what_would_change_the_answer():
    """A case with rules, and the same one written with a table of customers: prices alone move on the map."""
    base = load_case("contested-market").replace(T=3)
    wide = problem_from_dict(tomllib.loads(base.to_toml()) | {"customers": [{"share": 1.0}]})
    order = {"dM0": 100.0, "dM1": 50.0}
    ours, theirs = answer(base, order), answer(wide, order)
    assert theirs.grid()["value"].to_numpy() == pytest.approx(ours.grid()["value"].to_numpy(), rel=1e-6)
    assert theirs.break_even(2.0) == pytest.approx(ours.break_even(2.0), rel=1e-6)
    left, right = ours.changes(), theirs.changes()
    assert left[["symbol", "moves"]].to_numpy().tolist() == right[["symbol", "moves"]].to_numpy().tolist()
    assert "c_op" in right.set_index("symbol").at["c_dev", "moves"].tolist()
    assert right["worth"].to_numpy() == pytest.approx(left["worth"].to_numpy(), rel=1e-6)
    assert right["value"].to_numpy() == pytest.approx(left["value"].to_numpy(), nan_ok=True)
