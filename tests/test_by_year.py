"""The exact policy with prices by year, tiers of shares, payment and terminal worth, against other methods."""

import math
import tomllib
from typing import Any

import numpy as np
import pytest

from scenario_trees import ScenarioTree
from scenario_trees.quantization import EqualProbability
from stochisru import InputError, exact_values, extensive_form, load_case, process_values, simulate, threshold
from stochisru.lunar.case import problem_from_dict
from stochisru.lunar.exact.by_year import (
    exact_in_advance,
    exact_plan_value,
    exact_policy,
    exact_single,
    has_exact_single,
    why_no_exact_policy,
)
from stochisru.lunar.exact.lattice_dp import lattice_dp
from stochisru.lunar.exact.single_deployment import single_deployment
from stochisru.lunar.strategies import Schedule
from stochisru.lunar.values.upper import growing
from stochisru.methods.jensen import jensen_bound
from stochisru.methods.registry import method_named
from stochisru.simulation.of_model import simulate_policies
from stochisru.simulation.sampling import Sampling
from stochisru.values import values

BASE = load_case("contested-market").replace(T=2)


def case_of(base: Any = BASE, **tables: Any) -> Any:
    """A base case with tables."""
    data = tomllib.loads(base.to_toml())
    for name, table in tables.items():
        data[name] = {**data.get(name, {}), **table} if isinstance(table, dict) else table
        for symbol in table if isinstance(table, dict) else ():
            data.get("derivation", {}).pop(symbol, None)
    return problem_from_dict(data)


TABLES: dict[str, dict[str, Any]] = {
    "cost rises and plant is lost": {
        "costs": {"c_L": {"start": 5000.0, "growth": 0.4}},
        "technology": {"degradation": 0.2},
    },
    "costs fall": {"costs": {"c_L": {"start": 5000.0, "growth": -0.3}, "c_E": {"start": 3000.0, "growth": -0.1}}},
    "tiers": {
        "customers": [
            {"share": [0.5, 0.4, 0.3], "price": 9000.0},
            {"share": 0.4, "c_bu": 12000.0, "earth": False, "first": 1},
        ]
    },
    "payment at order": {"payment": {"when": "order"}},
    "salvage": {"terminal": {"salvage": 0.5}},
    "margin": {"terminal": {"margin_years": 3.0}},
    "yield and availability": {"technology": {"eta": [7.0, 6.0, 6.5], "availability": 0.9}},
    "all together": {
        "costs": {"c_L": {"start": 5000.0, "growth": -0.1}},
        "customers": [{"share": 0.5}, {"share": 0.3, "price": 500.0}],
        "payment": {"when": "shares", "shares": [0.4, 0.6]},
        "terminal": {"salvage": 0.3},
        "support": {"equity": 0.2, "premium": 10.0, "launch_share": 0.1},
        "technology": {"degradation": 0.1, "M0": 20.0},
        "economics": {"earth_sold": True},
    },
}


@pytest.mark.parametrize("name", TABLES)
def test_it_is_just_below_a_fine_tree_of_means_and_jensen(name: str) -> None:
    """Nodes that are means of bins earn more (Jensen), by little where there are 40; the policy earns its value."""
    case = case_of(**TABLES[name])
    found = exact_policy(case)
    tree = ScenarioTree.from_process(case.process, [40, 40], EqualProbability())
    near = values(case.model_on(tree), tree)
    pairs = {"rp": found.objective, "static": exact_in_advance(case)[0], "fixed": exact_in_advance(case, True)[0]}
    flows = found.bounds.flows
    for value, exact in pairs.items():
        point = near.point(value)
        assert point is not None
        assert exact - 1e-9 * flows <= point <= exact + 2e-3 * max(abs(exact), 0.5 * flows), value
    assert found.objective <= jensen_bound(growing(case)) + 1e-9 * flows
    assert found.bounds.upper - found.bounds.lower <= 1e-9 * flows
    on_paths = case.model_on(np.array([[100.0, 1e4, 1e5]]))
    sample = Sampling(2048, 1, "sobol")
    earned = simulate_policies(on_paths, [found.policy()], sampling=sample).metrics["threshold"]["mean"]
    assert abs(earned.value - found.objective) <= 2 * (earned.upper - earned.lower)


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("lunar-reference", {}),
        ("contested-market", {"T": 20, "lead_time": 2, "degradation": 0.1, "M0": 50.0}),
        ("contested-market", {"lead_time": 0, "T": 10}),
        ("contested-market", {"lead_time": 3, "T": 2}),
        ("contested-market", {"T": 6, "earth_limit": 0.0, "initial_deployment": "fixed"}),
    ],
)
def test_a_table_that_says_nothing_new_is_the_base_policy(name: str, changed: dict[str, Any]) -> None:
    base = load_case(name).replace(**changed)
    found, known = exact_policy(case_of(base, economics={"earth_sold": False})), threshold(base)
    assert found.objective == pytest.approx(known.objective, rel=1e-12)
    assert found.plan.root == pytest.approx(known.plan.root, rel=1e-12)
    assert found.plan.position == pytest.approx(known.plan.position, rel=1e-12)


def test_growth_of_nothing_is_the_number_bit_for_bit() -> None:
    still = exact_policy(case_of(costs={"c_L": {"start": 5000.0, "growth": 0.0}}))
    number = exact_policy(case_of(economics={"earth_sold": False}))
    assert still.objective == number.objective
    assert still.plan.position.tolist() == number.plan.position.tolist()


def test_one_tier_of_all_is_no_tier_and_two_alike_are_one() -> None:
    none = exact_policy(case_of(economics={"earth_sold": False})).objective
    for tiers in ([{"share": 1.0}], [{"share": 0.3}, {"share": 0.7}]):
        assert exact_policy(case_of(customers=tiers)).objective == pytest.approx(none, rel=1e-12)


def test_steps_of_a_quarter_are_near_the_year() -> None:
    """Shorter steps see more often and order at finer times: continuous, and no worse with plant there at once."""
    case = load_case("contested-market").replace(T=4, lead_time=0)
    found = [exact_policy(case_of(case.replace(T=4 * n), horizon={"step": 1 / n})).objective / 1e6 for n in (1, 2, 4)]
    assert abs(found[2] - found[1]) < abs(found[1] - found[0])


@pytest.mark.parametrize(
    ("tables", "word"),
    [
        ({"launch": {"mass_limit": 100.0}}, "launch.mass_limit"),
        ({"customers": [{"quantity": 10.0}]}, "customers"),
        ({"launch": {"lot": 10.0}, "economics": {"earth_sold": False}}, "launch"),
        ({"storage": {"capacity": 10.0}}, "storage"),
        ({"technology": {"lifetime": 2}}, "lifetime"),
        ({"technology": {"build_limit": 20.0}}, "build_limit"),
        ({"costs": {"earth_limit": [1.0, 1.0, 0.0]}}, "earth_limit"),
        ({"risk": {"kind": "total", "weight": 0.5, "tail": 0.1}}, "risk"),
        ({"demand": {"sigma": 0.0}, "economics": {"earth_sold": False}}, "sigma"),
        ({"technology": {"availability": [1.0, 0.0, 1.0]}}, "availability"),
    ],
)
def test_what_it_does_not_take_is_named(tables: dict[str, Any], word: str) -> None:
    case = case_of(**tables)
    assert str(why_no_exact_policy(case)).startswith(word)
    assert method_named("threshold").refuses(case) is not None
    with pytest.raises(InputError, match=word):
        exact_policy(case)


def test_values_of_the_process_are_exact() -> None:
    case = case_of(economics={"earth_sold": False})
    found, known = process_values(case), exact_values(BASE)
    assert found.exact
    for name in ("rp", "static", "fixed", "ev", "eev", "nothing", "vss", "vms", "flexibility"):
        assert found.point(name) == pytest.approx(known.point(name), rel=1e-6), name
    ws = process_values(BASE).values["ws"]
    assert found.values["ws"].lower <= ws.upper
    assert ws.lower <= found.values["ws"].upper
    held = found.recourse.plan
    assert exact_plan_value(case, np.zeros(3)) < found.point("rp")
    assert held.first_stage["dM0"] == pytest.approx(known.recourse.first_stage["dM0"])


# ------------------------------------------------------------------ jumps of demand


JUMPS = {
    "dips": [{"rate": 0.2, "size": -0.3}],
    "end": [{"rate": 0.05, "size": -1.0}],
    "both": [{"rate": 0.2, "size": -0.3, "spread": 0.1}, {"rate": 0.05, "size": -1.0}],
}


def _as_tables(case):
    return case_of(case, customers=[{"share": 1.0}])


@pytest.mark.parametrize("lead", [0, 1, 3])
@pytest.mark.parametrize("jumps", list(JUMPS))
def test_jumps_as_on_a_fine_lattice(jumps, lead):
    base = load_case("contested-market").replace(T=6, lead_time=lead, degradation=0.05)
    case = base.replace(process={"kind": "jumps", "jumps": JUMPS[jumps]})
    found = exact_policy(_as_tables(case))
    lattice = lattice_dp(case, states=150)
    assert found.bounds.kind == "exact"
    nothing = abs(exact_plan_value(_as_tables(case), np.zeros(7)))
    assert found.objective == pytest.approx(lattice.objective, abs=4e-4 * nothing)
    assert found.objective > lattice.objective  # states of a lattice are means of bins: plans know less


def test_jumps_that_never_come_are_none():
    base = load_case("contested-market").replace(T=5)
    never = base.replace(process={"kind": "jumps", "jumps": [{"rate": 1e-15, "size": -0.5, "spread": 0.2}]})
    plain, rare = (exact_policy(_as_tables(case)) for case in (base, never))
    assert rare.objective == pytest.approx(plain.objective, rel=1e-9)
    assert rare.plan.position == pytest.approx(plain.plan.position, rel=1e-9)


def test_demand_that_may_end_is_discounted_by_that():
    """Plant that costs nothing to keep and is there at once: an end at rate λ is interest of e^λ more."""
    base = load_case("contested-market").replace(T=8, lead_time=0)
    free = {"costs": {"c_op": 0.0}, "customers": [{"share": 1.0}]}
    ending = base.replace(process={"kind": "jumps", "jumps": [{"rate": 0.07, "size": -1.0}]})
    end = exact_policy(case_of(ending, **free))
    none = exact_policy(case_of(base.replace(r=1.08 * math.exp(0.07) - 1), **free))
    assert end.objective == pytest.approx(none.objective, rel=1e-10)
    assert end.plan.position == pytest.approx(none.plan.position, rel=1e-10)


@pytest.mark.parametrize("jumps", list(JUMPS))
def test_plans_in_advance_under_jumps_earn_what_paths_say(jumps):
    case = load_case("contested-market").replace(T=5, process={"kind": "jumps", "jumps": JUMPS[jumps]})
    general = _as_tables(case)
    value, plan = exact_in_advance(general)
    assert value >= exact_plan_value(general, plan * 0.9)
    assert value >= exact_plan_value(general, plan * 1.1)
    run = simulate(case, [Schedule("static", tuple(plan.tolist()))], paths=100_000, seed=3)
    npv = run.metrics["static"]["npv_mean"]
    assert abs(npv.value - value) < 4 * npv.standard_error


@pytest.mark.parametrize("name", [name for name in TABLES if name != "all together"])
def test_a_single_deployment_is_the_best_year_of_a_fine_tree(name: str) -> None:
    """Without old plant the year is known in advance: the best of the programs that allow one year alone."""
    case = case_of(**TABLES[name])
    tree = ScenarioTree.from_process(case.process, [40, 40], EqualProbability())
    best = -np.inf
    for year in range(3):
        limit = [1e9 if t == year else 0.0 for t in range(3)]
        alone = problem_from_dict(
            case.to_dict() | {"technology": {**case.to_dict()["technology"], "build_limit": limit}}
        )
        best = max(best, extensive_form(alone, tree).objective)
    found, flows = exact_single(case), exact_policy(case).bounds.flows
    assert found.error == 0
    assert found.value - 1e-9 * flows <= best <= found.value + 2e-3 * max(abs(found.value), 0.5 * flows)


@pytest.mark.parametrize("changes", [{"T": 8, "lead_time": 2, "mu": 0.5}, {"T": 6, "M0": 70.0, "degradation": 0.02}])
def test_numbers_that_stand_still_are_the_base_case(changes: dict[str, Any]) -> None:
    base = load_case("contested-market").replace(**changes)
    still = case_of(base, costs={"c_L": {"start": 5000.0, "growth": 0.0}}, technology={"availability": 1.0})
    found, known = exact_single(still), single_deployment(base)
    assert found.value == pytest.approx(known.value, rel=1e-9)
    assert found.error <= known.error + 1e-9 * abs(known.value)


def test_what_deferring_is_worth_is_told_with_the_values() -> None:
    """A price that falls makes one deployment wait; old plant and jumps together have no value of that."""
    case = case_of(costs={"c_L": {"start": 30000.0, "growth": -0.6}}, horizon={"T": 6})
    found = process_values(case, paths=256)
    assert found.point("defer") > 0.01 * found.point("rp")
    assert found.point("defer") + found.point("staging") == pytest.approx(found.point("flexibility"))
    jumps = {"process": {"kind": "jumps", "jumps": [{"rate": 0.05, "size": -1.0}]}}
    ends = case_of(demand=jumps, customers=[{"share": 1.0}])
    assert has_exact_single(ends)
    assert exact_single(ends).value <= exact_policy(ends).objective
    old = case_of(demand=jumps, customers=[{"share": 1.0}], technology={"M0": 10.0})
    assert not has_exact_single(old)
    with pytest.raises(InputError, match="M0: must be 0"):
        exact_single(old)
