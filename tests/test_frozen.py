"""Every method against the frozen table, `tests.frozen`: no rebuilding changes a number, a bound or a refusal."""

import json

import pytest

from scenario_trees import QUANTIZATIONS
from tests.frozen.commands import COMMANDS, run_command
from tests.frozen.generate import CASES
from tests.frozen.make import REFUSED, TABLE
from tests.frozen.methods import ALWAYS, METHODS, answer, differences
from tests.frozen.problems import BASE, Problem
from tests.frozen.refusals import REFUSALS, refused
from tests.frozen.sizes import program_size

ROWS = [json.loads(line) for line in TABLE.read_text().splitlines()]
TOLD = json.loads(REFUSED.read_text())
#: Relative differences of what commands print: of exact methods, and of those that stop at a gap.
EXACT, AT_A_GAP = 1e-8, 1e-3


def problem_of(row):
    return Problem(row["case"], row["tree"], row["lattice"])


#: Every row at night, one in so many by day.
DAILY = 4


@pytest.mark.parametrize(
    "number", [pytest.param(n, marks=pytest.mark.slow if n % DAILY else ()) for n in range(len(ROWS))]
)
def test_every_method_answers_as_it_did(number):
    row = ROWS[number]
    problem = problem_of(row)
    scale = problem.case.demand.D0 / problem.case.technology.eta
    found = [
        f"{method} {difference}"
        for method, was in row["answers"].items()
        for difference in differences(was, answer(method, problem), scale)
    ]
    assert not found, f"case {number}, {row['case']}:\n" + "\n".join(found)


def test_tree_programs_have_the_sizes_that_they_had():
    rows = [row for row in ROWS if "program" in row]
    assert [program_size(problem_of(row)) for row in rows] == [row["program"] for row in rows]


@pytest.mark.parametrize("name", REFUSALS)
def test_what_was_refused_is_refused_by_an_error_of_that_kind(name):
    assert TOLD["python"][name] in refused(name)["classes"]


def flat(answer):
    """Every number of an answer under one name: those within others are compared like the rest."""
    found = {}
    for name, value in answer.items():
        if isinstance(value, dict):
            found |= {f"{name}.{within}": number for within, number in flat(value).items()}
        else:
            found[name] = value
    return found


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_answer_and_exit_as_they_did(line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    was, now = flat(TOLD["command line"][line]), flat(run_command(line))
    assert {k: v for k, v in was.items() if not isinstance(v, float)} == {
        k: v for k, v in now.items() if not isinstance(v, float)
    }
    open_gap = was.get("method") in ("ph", "sddp") or was.get("kind") == "solver"
    size = max((abs(v) for v in was.values() if isinstance(v, float)), default=0.0)
    for name, value in was.items():
        if isinstance(value, float):
            assert now[name] == pytest.approx(value, abs=(AT_A_GAP if open_gap else EXACT) * size, rel=0), name


# ------------------------------------------------------------------ the table itself


def features(row):
    """What a row has of what the table is to cover; of linear costs and of others alike."""
    problem = problem_of(row)
    case, tree, lattice = problem.case, problem.tree, problem.lattice
    T, lead, costs, branching = case.horizon.T, case.horizon.lead_time, case.costs, tree.branching
    return {
        "L = 0": lead == 0,
        "L = 1 < T": lead == 1 < T,
        "L = 2 < T": lead == 2 < T,
        "L = T": lead == T,
        "L > T": lead > T,
        "T = 1": T == 1,
        "T > 4": T > 4,
        "fixed start": case.horizon.initial_deployment == "fixed",
        "M0": case.technology.M0 > 0,
        "degradation": case.technology.degradation > 0,
        "no supply from Earth": costs.earth_limit == 0,
        "limited supply from Earth": (costs.earth_limit or 0) > 0,
        "by-product dearer than oxygen": case.economics.P_m < costs.c_by * case.technology.beta,
        "cost of excess": costs.c_S > 0,
        "shortage cheaper than Earth": costs.c_bu < costs.c_E,
        "no discount": case.economics.r == 0,
        "no volatility": case.demand.sigma == 0,
        "nodes of probability zero": bool((tree.probability == 0).any()),
        "stages that branch differently": branching is not None and len(set(branching)) > 1,
        "nodes that branch differently": branching is None,
        "steps of a lattice of probability zero": any((m == 0).any() for m in lattice.transitions),
        "stages of a lattice of different size": len(set(lattice.sizes[1:])) > 1,
    }


def scales(row):
    """The shapes of cost that the table is to cover."""
    case = problem_of(row).case
    cost = case.investment
    bent = cost.pieces > 1
    return {
        "lot": case.launch.lot is not None,
        "fixed cost": case.launch.fixed_cost > 0,
        "lot and fixed cost": case.launch.lot is not None and case.launch.fixed_cost > 0,
        "convex": bent and cost.is_convex,
        "concave": bent and cost.is_concave,
        "neither": not (cost.is_convex or cost.is_concave),
        "line of another slope": cost.is_linear and not case.is_linear,
    }


def rare(told):
    """Those of several tellings that are true of fewer than three rows."""
    return [name for name in told[0] if sum(row[name] for row in told) < 3]


def test_the_table_covers_what_it_is_to_cover():
    assert len(ROWS) == CASES == 300
    for linear in (True, False):
        assert rare([features(row) for row in ROWS if problem_of(row).case.is_linear == linear]) == []
    assert rare([scales(row) for row in ROWS if not problem_of(row).case.is_linear]) == []
    quantizations = [row["tree"].get("quantization") for row in ROWS]
    assert min(quantizations.count(q) for q in QUANTIZATIONS) >= 3
    told = {method: [row["answers"].get(method) for row in ROWS] for method in METHODS}
    for method in ALWAYS:
        assert None not in told[method]
    answered = {method: sum(a is not None and "error" not in a for a in found) for method, found in told.items()}
    assert {method: n for method, n in answered.items() if n < 8} == {}
    unique = {
        method: sum(bool(a and a.get("orders") is not None) for a in told[method])
        for method in ("extensive_form", "tree_dp", "static_plan", "lattice_dp", "level_dp", "threshold", "sddp")
    }
    assert {method: n for method, n in unique.items() if n < 20} == {}
    assert sum("program" in row for row in ROWS) >= 50
    assert set(TOLD["python"]) == set(REFUSALS)
    assert "nothing" not in TOLD["python"].values()
    assert set(TOLD["command line"]) == set(COMMANDS)
    assert {a["exit"] for a in TOLD["command line"].values()} == {0, 1, 2}


def test_the_table_gives_all_symbols_of_a_case():
    case = problem_of(ROWS[0]).case
    assert set(BASE) == set(case.values)
    assert not case.derivation


def test_methods_agree_where_they_solve_one_problem():
    """The numbers are right as well as frozen: exact methods meet on the tree and on the lattice."""
    for row in ROWS:
        on_tree, by_dp = row["answers"]["extensive_form"], row["answers"]["tree_dp"]
        slack = 1e-9 * on_tree["flows"]
        if "error" not in by_dp:
            low, high = on_tree["bounds"]
            assert low - slack <= by_dp["objective"] <= high + slack
        layers, levels = row["answers"]["lattice_dp"], row["answers"]["level_dp"]
        if "error" not in layers and "error" not in levels:
            assert layers["objective"] == pytest.approx(levels["objective"], abs=1e-9 * layers["flows"], rel=0)
        if "error" not in layers and "error" not in (cuts := row["answers"].get("sddp", {"error": ""})):
            (low, high), slack = cuts["bounds"], 1e-9 * layers["flows"]
            assert low - slack <= layers["objective"] <= high + slack


def test_a_number_that_moved_is_seen():
    was = {"objective": 100.0, "bounds": [100.0, 100.0], "flows": 1e4, "reason": "optimal", "orders": [5.0, 0.0]}
    assert differences(was, {**was, "objective": 100.0 + 0.9e-5}, 1.0) == []
    for moved in (
        {"objective": 100.0 + 1.1e-5},
        {"bounds": [100.0, 100.1]},
        {"bounds": [float("nan"), 100.0]},
        {"flows": 1.1e4},
        {"reason": "limit"},
        {"orders": [5.0, 1e-5]},
        {"orders": [5.0]},
    ):
        assert len(differences(was, {**was, **moved}, 1.0)) == 1
    assert differences({**was, "orders": None}, was, 1.0) == []
    assert differences({**was, "gap": 1e-3}, {**was, "objective": 100.05}, 1.0) == []
    assert len(differences(was, {"error": "InputError", "classes": ["InputError"]}, 1.0)) == 1
    assert len(differences({"error": "InputError"}, was, 1.0)) == 1
    assert differences({"error": "SolverError"}, {"error": "NewError", "classes": ["NewError", "SolverError"]}, 1) == []
