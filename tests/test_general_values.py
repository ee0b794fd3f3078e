"""Values on the process of cases with tables: against exact policies, and whatever the tables say."""

import json
import tomllib
from typing import Any

import pytest

from scenario_trees.quantization import EqualProbability
from stochisru import InputError, ScenarioTree, exact_values, load_case, process_values, value_table
from stochisru.cli.main import main
from stochisru.lunar.case import problem_from_dict
from stochisru.lunar.values.upper import growing
from stochisru.methods.jensen import jensen_bound, why_no_jensen
from stochisru.problem.policies import Planned, follow
from tests.test_tables import CASES, stated

BASE = load_case("contested-market").replace(T=4)


def general(**tables: Any) -> Any:
    """The base case with tables, alike where they say nothing new."""
    data = tomllib.loads(BASE.to_toml())
    for factor in tables.get("factors", []):
        data["costs"].pop(factor["symbol"], None)
        data["derivation"].pop(factor["symbol"], None)
    for name, table in tables.items():
        data[name] = {**data.get(name, {}), **table} if isinstance(table, dict) else table
    return problem_from_dict(data)


def test_brackets_hold_the_exact_values_of_a_case_that_says_nothing_new() -> None:
    case = general(launch={"mass_limit": 1e9})
    found, exact = process_values(case), exact_values(BASE)
    for name in ("rp", "static", "fixed", "nothing", "ev", "eev", "vss", "vms", "scheduling", "flexibility"):
        value, size = exact.point(name), 1e-9 * 1e8
        assert found.values[name].lower - size <= value <= found.values[name].upper + size, name
    rp = found.values["rp"]
    assert rp.upper - rp.lower <= 0.02 * rp.value
    known = process_values(BASE)
    assert found.values["ws"].lower <= known.values["ws"].upper
    assert known.values["ws"].lower <= found.values["ws"].upper
    assert found.to_dict().keys() == known.to_dict().keys()
    assert not found.exact
    assert found.foresight == "case"
    assert found.decision["dM0"] == pytest.approx(exact.recourse.first_stage["dM0"], rel=0.01)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("all together", marks=pytest.mark.slow),
        pytest.param("storage", marks=pytest.mark.slow),
        "modules",
        "campaigns and a grant",
        "customers where no sort is right",
        "lifetime",
    ],
)
def test_every_table_has_values_of_the_process_or_says_why_not(name: str) -> None:
    case = problem_from_dict(stated(**CASES[name]))
    if case.factors or case.risk is not None:
        with pytest.raises(InputError, match="give --branching"):
            process_values(case, paths=256)
        return
    found = process_values(case, paths=256).values
    for less, more in (("eev", "static"), ("static", "rp"), ("rp", "ws"), ("fixed", "static"), ("nothing", "rp")):
        assert found[less].lower <= found[more].upper, (less, more)
    for value in found.values():
        assert value.lower <= value.value <= value.upper


def test_two_technologies_are_like_their_tree() -> None:
    """A tree of 8 equal branches a year is near the process: a bracket of each holds the other to 2 %."""
    case = load_case("docs/two-technologies.toml").replace(T=2)
    tree = value_table(case, ScenarioTree.from_process(case.process, [8, 8], EqualProbability()))
    found = process_values(case, paths=512).values
    for name in ("rp", "static", "fixed", "eev"):
        value = tree.point(name)
        assert value is not None
        assert found[name].lower - 0.02 * abs(value) <= value <= found[name].upper + 0.02 * abs(value), name


def test_jensen_takes_shares_and_series_and_not_quantities() -> None:
    shares = general(customers=[{"share": [0.5, 0.4, 0.3, 0.3, 0.3]}, {"share": 0.5, "price": 900.0, "first": 1}])
    assert why_no_jensen(growing(shares)) is None
    bound, rp = jensen_bound(growing(shares)), process_values(shares, paths=256).values["rp"]
    assert rp.lower <= bound
    assert rp.upper <= bound
    quantities = general(customers=[{"quantity": 50.0}, {"share": 0.5}])
    assert "demand_1" in str(why_no_jensen(growing(quantities)))


def test_orders_keep_the_limit_on_what_is_launched() -> None:
    """An order that arrives years later may not take more than what can be launched then."""
    case = load_case("docs/two-technologies.toml")
    assert case.model["dM_ice"].upper == pytest.approx((2000 / 5.5,) * 4)
    too_much = Planned({"dM_ice": [0, 0, 400, 0], "dM_regolith": [0, 0, 0, 0]})
    with pytest.raises(InputError, match="must lie in"):
        follow(case.model, too_much, [[1000.0] * 4])


def test_what_is_known_on_trees_alone_is_refused_by_name() -> None:
    risky = general(risk={"kind": "total", "weight": 0.5, "tail": 0.1})
    factor = general(factors=[{"symbol": "c_op", "initial": 900.0, "sigma": 0.1}], costs={})
    for case, word in ((risky, "risk"), (factor, "c_op")):
        with pytest.raises(InputError, match=f"{word}.*give --branching"):
            process_values(case)
    with pytest.raises(InputError, match="paths: must be an integer >= 256"):
        process_values(general(launch={"mass_limit": 1e9}), paths=64)


def test_on_the_command_line(tmp_path, capsys) -> None:
    file, out = tmp_path / "case.toml", tmp_path / "values.json"
    file.write_text(general(launch={"mass_limit": 300.0}).replace(T=2).to_toml())
    with pytest.raises(SystemExit) as ended:
        main(["value", str(file), "--paths", "256", "--json", str(out)])
    assert ended.value.code == 0
    data = json.loads(out.read_text())
    assert data["of"] == "process"
    assert data["brackets"]["rp"][0] <= data["rp"] <= data["brackets"]["rp"][1]
    assert {"dM0", "dM1", "rule"} <= data["decision"].keys()
    with pytest.raises(SystemExit) as ended:
        main(["value", str(file), "--on", "lattice"])
    assert ended.value.code == 2
    assert "lattice" in capsys.readouterr().err
