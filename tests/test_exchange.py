"""Problems go out to files of other tools and come back with the same optimum; files of others are read."""

import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from scenario_trees import GeometricBrownianMotion, MarkovLattice, ScenarioTree
from stochisru import InputError, load_case
from stochisru.cli.main import main
from stochisru.exchange import iamc_table, read_problem, staged, tables_of, write_problem, write_results
from stochisru.lunar.long_table import iamc_of_run
from stochisru.networks.assembly import assemble
from stochisru.programs.names import plain_word
from stochisru.programs.sparse import solve
from stochisru.worked import classics
from tests import models
from tests.networks import small

SUFFIXES = ("smps", "sof.json", "mps", "lp")
DEMAND = GeometricBrownianMotion(100.0, 0.03, 0.2)


def on_trees():
    case = load_case("lunar-reference").replace(T=3)
    small = ScenarioTree.from_process(DEMAND, [2, 2, 2])
    found = {name: (getattr(models, name)(3), small) for name in ("power", "hydro", "several_leads")}
    found |= {name: (getattr(models, name)(3), small) for name in ("machines", "cheaper_by_size")}
    for name in ("farmer", "lands", "financial_planning", "reservoir", "garage"):
        model, lattice = getattr(classics, name)()
        found[name] = model, lattice.to_tree()
    return found | {"lunar": (case, ScenarioTree.from_process(case.process, [3, 2, 2]))}


ON_TREES = on_trees()


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("name", ON_TREES)
def test_a_problem_comes_back_with_its_optimum(name, suffix, tmp_path):
    problem, tree = ON_TREES[name]
    write_problem(problem, tree, tmp_path / f"p.{suffix}")
    there, back = staged(problem, tree), read_problem(tmp_path / f"p.{suffix}")
    expected = there.solve(rel_gap=1e-9)
    found = back.solve(rel_gap=1e-9)
    assert back.sense == there.sense
    assert found.objective == pytest.approx(expected.objective, rel=1e-8)
    assert np.isfinite(found.bound)
    if suffix in ("smps", "sof.json"):
        assert np.allclose(back.tree.probability, tree.probability, rtol=1e-12, atol=0)
        assert (back.tree.parent == tree.parent).all()


def test_published_optima_survive_both_formats(tmp_path):
    published = {"farmer": -108390.0, "lands": 381.853333, "financial_planning": -1.514084643, "garage": 6238416.67}
    for name, value in published.items():
        problem, tree = ON_TREES[name]
        write_problem(problem, tree, tmp_path / f"{name}.sof.json")
        write_problem(read_problem(tmp_path / f"{name}.sof.json"), None, tmp_path / f"{name}.smps")
        assert read_problem(tmp_path / f"{name}.smps").solve().objective == pytest.approx(value, rel=1e-7)


@pytest.mark.parametrize("name", ["farmer", "lands", "financial_planning", "reservoir"])
def test_a_lattice_goes_out_as_a_graph_of_its_states(name, tmp_path):
    model, lattice = getattr(classics, name)()
    write_problem(model, lattice, tmp_path / "p.sof.json")
    data = json.loads((tmp_path / "p.sof.json").read_text())
    assert len(data["nodes"]) == sum(lattice.sizes)
    expected = staged(model, lattice.to_tree()).solve().objective
    assert read_problem(tmp_path / "p.sof.json").solve().objective == pytest.approx(expected, rel=1e-8)


def test_a_case_with_tables_goes_out_on_a_lattice(tmp_path, root):
    case = load_case(str(root / "docs" / "two-technologies.toml"))
    lattice = MarkovLattice.from_process(case.process, case.horizon.T, 3)
    write_problem(case, lattice, tmp_path / "p.sof.json")
    expected = solve(case.on_tree(lattice.to_tree()).program).objective
    assert read_problem(tmp_path / "p.sof.json").solve().objective == pytest.approx(expected, rel=1e-8)


# --- files as others write them

#: Louveaux and Smeers (1988) with the random load of the middle of three modes of demand, by hand.
CORE = """NAME LandS
ROWS
 N OBJ
 G S1C1
 L S1C2
 L S2C1
 L S2C2
 L S2C3
 L S2C4
 G S2C5
 G S2C6
 G S2C7
COLUMNS
    X1 OBJ 10 S1C1 1
    X1 S1C2 10 S2C1 -1
    X2 OBJ 7 S1C1 1
    X2 S1C2 7 S2C2 -1
    X3 OBJ 16 S1C1 1
    X3 S1C2 16 S2C3 -1
    X4 OBJ 6 S1C1 1
    X4 S1C2 6 S2C4 -1
{operations}
RHS
    RHS S1C1 12 S1C2 120
    RHS S2C5 0 S2C6 3
    RHS S2C7 2
BOUNDS
{bounds}
ENDATA
"""
RUNNING = {1: (40, 24, 4), 2: (45, 27, 4.5), 3: (32, 19.2, 3.2), 4: (55, 33, 5.5)}
OPERATIONS = "\n".join(
    f"    Y{i}{j} OBJ {cost} S2C{i} 1\n    Y{i}{j} S2C{4 + j} 1"
    for i, costs in RUNNING.items()
    for j, cost in enumerate(costs, start=1)
)
TIME = "TIME LandS\nPERIODS LP\n    X1 OBJ PERIOD1\n    Y11 S2C1 PERIOD2\nENDATA\n"
INDEP = "INDEP DISCRETE\n" + "".join(f"    RHS S2C5 {d} PERIOD2 {p}\n" for d, p in ((3, 0.3), (5, 0.4), (7, 0.3)))
BLOCKS = "BLOCKS DISCRETE\n" + "".join(
    f" BL LOAD PERIOD2 {p}\n    RHS S2C5 {d}\n" for d, p in ((3, 0.3), (5, 0.4), (7, 0.3))
)
SCENARIOS = "SCENARIOS DISCRETE\n" + "".join(
    f" SC S{d} 'ROOT' {p} {'PERIOD1' if d == 3 else 'PERIOD2'}\n    RHS S2C5 {d}\n"
    for d, p in ((3, 0.3), (5, 0.4), (7, 0.3))
)


def lands(folder, stoch, bounds="", name="lands"):
    core = CORE.format(operations=OPERATIONS, bounds=bounds)
    for suffix, text in (("cor", core), ("tim", TIME), ("sto", f"STOCH LandS\n{stoch}ENDATA\n")):
        (folder / f"{name}.{suffix}").write_text(text)
    return folder / f"{name}.cor"


@pytest.mark.parametrize("stoch", [INDEP, BLOCKS, SCENARIOS], ids=["indep", "blocks", "scenarios"])
def test_smps_by_hand_has_the_published_optimum(stoch, tmp_path):
    problem = read_problem(lands(tmp_path, stoch))
    assert problem.tree.probability.tolist() == pytest.approx([1, 0.3, 0.4, 0.3])
    assert problem.solve().objective == pytest.approx(381.853333, abs=1e-6)


def test_random_bounds_costs_and_coefficients_of_smps(tmp_path):
    """A column whose bound, cost and coefficient are random: sold at 3 or 5, of which 10 or 4 are there, at 1 each."""
    (tmp_path / "p.cor").write_text(
        "NAME p\nROWS\n N COST\n L THERE\nCOLUMNS\n X COST 1 THERE -1\n SOLD COST -3 THERE 1\n"
        "RHS\nBOUNDS\n UP BND X 20\n UP BND SOLD 10\nENDATA\n"
    )
    (tmp_path / "p.tim").write_text("TIME p\nPERIODS\n X COST ONE\n SOLD THERE TWO\nENDATA\n")
    (tmp_path / "p.sto").write_text(
        "STOCH p\nSCENARIOS DISCRETE\n SC A ROOT 0.5 ONE\n SC B A 0.5 TWO\n"
        " SOLD COST -5\n UP BND SOLD 4\n X THERE -0.5\nENDATA\n"
    )
    problem = read_problem(tmp_path / "p.sto")
    # x earns 1.5 up to 10 in A and 5·0.5·0.5 up to 8 in B, and costs 1: x = 10 sells 10 in A and 4 in B.
    assert problem.solve().objective == pytest.approx(10 - 0.5 * 3 * 10 - 0.5 * 5 * 4)
    write_problem(problem, None, tmp_path / "again.sof.json")
    assert read_problem(tmp_path / "again.sof.json").solve().objective == pytest.approx(-15.0)


def newsvendor():
    """Two realizations at one node of the graph, a cost that is random, a product with a random variable."""
    affine = {"type": "ScalarAffineFunction", "constant": 0.0}
    variables = [{"name": name} for name in ("x in", "x out", "u", "d", "price")]
    second = {
        "state_variables": {"x": {"in": "x in", "out": "x out"}},
        "random_variables": ["d", "price"],
        "subproblem": {
            "version": {"major": 1, "minor": 2},
            "variables": variables,
            "objective": {
                "sense": "max",
                "function": {
                    "type": "ScalarQuadraticFunction",
                    "quadratic_terms": [{"coefficient": 1.0, "variable_1": "price", "variable_2": "u"}],
                    "affine_terms": [],
                    "constant": 0.0,
                },
            },
            "constraints": [
                {
                    "function": affine | {"terms": [_term(1.0, "u"), _term(-1.0, "x in")]},
                    "set": {"type": "LessThan", "upper": 0.0},
                },
                {
                    "function": affine | {"terms": [_term(1.0, "u"), _term(-1.0, "d")]},
                    "set": {"type": "LessThan", "upper": 0.0},
                },
                {"function": {"type": "Variable", "name": "u"}, "set": {"type": "GreaterThan", "lower": 0.0}},
            ],
        },
    }
    first = {
        "state_variables": {"x": {"in": "x in", "out": "x out"}},
        "subproblem": {
            "version": {"major": 1, "minor": 2},
            "variables": [{"name": "x in"}, {"name": "x out"}],
            "objective": {"sense": "min", "function": affine | {"terms": [_term(1.0, "x out")]}},
            "constraints": [
                {"function": {"type": "Variable", "name": "x out"}, "set": {"type": "GreaterThan", "lower": 0.0}}
            ],
        },
    }
    chances = [
        {"probability": 0.4, "support": {"d": 10.0, "price": 1.5}},
        {"probability": 0.6, "support": {"d": 14.0, "price": 2.0}},
    ]
    return {
        "version": {"major": 1, "minor": 0},
        "root": {"state_variables": {"x": 0.0}, "successors": {"buy": 1.0}},
        "nodes": {
            "buy": {"subproblem": "first", "successors": {"sell": 1.0}},
            "sell": {"subproblem": "second", "realizations": chances},
        },
        "subproblems": {"first": first, "second": second},
    }


def _term(coefficient, variable):
    return {"coefficient": coefficient, "variable": variable}


def test_a_policy_graph_by_hand(tmp_path):
    (tmp_path / "n.sof.json").write_text(json.dumps(newsvendor()))
    problem = read_problem(tmp_path / "n.sof.json")
    # Bought at 1 and sold at 1.5 or 2: 14 are bought, as the last four earn 0.6·2 > 1.
    solution = problem.solve()
    assert problem.sense == "minimise"  # senses of subproblems may differ: one of two each, so as SDDP.jl has it
    assert solution.objective == pytest.approx(14 - 0.4 * 1.5 * 10 - 0.6 * 2 * 14)
    assert problem.first_stage(solution.x) == pytest.approx({"x_out": 14.0})


def _changed(at, value):
    def change(data):
        *path, last = at
        for key in path:
            data = data[key]
        if value is None:
            del data[last]
        else:
            data[last] = value

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_changed(("version",), None), "problem: must have 'version'"),
        (_changed(("version", "major"), 2), "version.major: must be 1, got 2"),
        (_changed(("root", "successors"), {"buy": 0.9}), "root.successors: must sum to 1, got 0.9"),
        (_changed(("root", "successors"), {"market": 1.0}), "root.successors: 'market' is no node"),
        (_changed(("nodes", "buy", "subproblem"), "zero"), "nodes.buy.subproblem: 'zero' is no subproblem"),
        (_changed(("nodes", "sell", "successors"), {"buy": 1.0}), "nodes: must have no cycle"),
        (_changed(("nodes", "sell", "realizations", 0, "support"), {}), "support: must have 'd'"),
        (_changed(("nodes", "sell", "realizations", 0, "probability"), 0.5), "must sum to 1, got 1.1"),
        (
            _changed(("subproblems", "second", "subproblem", "constraints", 0, "set", "type"), "PowerCone"),
            "constraints[0].set.type: must be one of LessThan, GreaterThan, EqualTo, Interval, Integer, ZeroOne",
        ),
        (
            _changed(("subproblems", "second", "random_variables"), ["d"]),
            "the product of 'price' and 'u' has no random variable",
        ),
        (_changed(("root", "state_variables", "x"), float("nan")), "x: must be a finite number"),
    ],
)
def test_what_is_wrong_with_a_policy_graph_is_named(change, said, tmp_path):
    data = newsvendor()
    change(data)
    (tmp_path / "n.sof.json").write_text(json.dumps(data))
    with pytest.raises(InputError) as error:
        read_problem(tmp_path / "n.sof.json")
    assert str(error.value).startswith(f"file: {tmp_path / 'n.sof.json'}: ")
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("stoch", "said"),
    [
        ("INDEP NORMAL\n    RHS S2C5 3 PERIOD2 1\n", "line 2: must be INDEP DISCRETE [REPLACE], got INDEP NORMAL"),
        (
            "INDEP DISCRETE\n    RHS S2C9 3 PERIOD2 1\n",
            "line 3: neither a row 'S2C9' nor a column 'RHS' is in the core",
        ),
        (
            "INDEP DISCRETE\n    Y11 S2C9 3 PERIOD2 1\n",
            "line 3: row 'S2C9' is not in the core, and its objective is 'OBJ'",
        ),
        ("INDEP DISCRETE\n    RHS S2C5 3 PERIOD2 0.9\n", "must have outcomes whose probabilities sum to 1, got 0.9"),
        ("INDEP DISCRETE\n    RHS S1C1 3 PERIOD1 1\n", "must have a first period without anything random"),
        ("INDEP DISCRETE\n    RHS S2C5 x PERIOD2 1\n", "line 3: must be a number, got 'x'"),
        ("SCENARIOS DISCRETE\n SC A B 1 PERIOD1\n", "line 3: the parent 'B' is no scenario before it, and not ROOT"),
        ("SCENARIOS DISCRETE\n SC A ROOT 1 LATE\n", "line 3: period 'LATE' is not one of the time file"),
        ("CHANCE\n", "line 2: must be SCENARIOS, INDEP or BLOCKS, got CHANCE"),
        ("", "must have a section SCENARIOS, INDEP or BLOCKS, got none"),
    ],
)
def test_what_is_wrong_with_a_stoch_file_is_named(stoch, said, tmp_path):
    with pytest.raises(InputError) as error:
        read_problem(lands(tmp_path, stoch))
    assert said in str(error.value)


def test_what_no_format_can_say_is_refused(tmp_path):
    case = load_case("lunar-reference").replace(T=2)
    tree = ScenarioTree.from_process(case.process, [2, 2])
    lattice = MarkovLattice.from_process(case.process, 2, 3)
    for on, target, said in (
        (tree, "p.xml", "file: must end in .smps, .sof.json, .mps, .lp, got 'p.xml'"),
        (lattice, "p.smps", "file: a problem on a lattice is written as .sof.json, got 'p.smps'"),
        (None, "p.lp", "tree: must be a ScenarioTree, got NoneType"),
        (tree, "none/p.lp", "file: the folder"),
    ):
        with pytest.raises(InputError, match=said.replace(".", r"\.")):
            write_problem(case, on, tmp_path / target)
    with pytest.raises(InputError, match="takes linear costs and any amount"):
        write_problem(models.machines(2), MarkovLattice.from_process(DEMAND, 2, 3), tmp_path / "p.sof.json")
    with pytest.raises(InputError, match="is not there"):
        read_problem(tmp_path / "nothing.smps")
    (tmp_path / "p.cor").write_text("NAME p\n")
    with pytest.raises(InputError, match="the time file of"):
        read_problem(tmp_path / "p.cor")


# --- names


def test_names_say_part_year_and_node(tmp_path):
    problem, tree = ON_TREES["lunar"]
    write_problem(problem, tree, tmp_path / "p.lp")
    text = (tmp_path / "p.lp").read_text()
    for name in ("dM(y1,n0)", "M(y3,n4)", "Q(y3,n21)", "balance(y2,n1):"):
        assert name in text


def test_names_of_a_network_say_arc_and_commodity():
    network = small(mixed=True)
    for form in ("literal", "reduced"):
        stated = assemble(network, None, {}, form)
        columns, rows = stated.names()
        a, c = np.argwhere(stated.x_out >= 0)[0]
        assert columns[stated.x_out[a, c]] == f"x_out({plain_word(network.arcs[a])},{network.commodities[c]})"
        assert any(name.startswith(f"balance({network.nodes[0]},") for name in rows)
        assert len(set(columns)) == len(columns) == stated.program.shape[1]


# --- results


def test_tables_go_into_a_workbook_and_netcdf(tmp_path):
    tables = {"plan": pd.DataFrame({"year": [0, 1], "kg": [139.4, np.nan], "who": ["=1+1", None]})}
    write_results(tables, tmp_path / "r.nc", {"case": "c"})
    with xr.open_dataset(tmp_path / "r.nc", engine="scipy") as data:
        assert data["plan.kg"].to_numpy() == pytest.approx([139.4, np.nan], nan_ok=True)
        assert data.attrs["case"] == "c"
        assert [str(x) for x in data["plan.who"].astype(str).to_numpy()] == ["=1+1", ""]
    pytest.importorskip("openpyxl")
    write_results(tables, tmp_path / "r.xlsx", {"case": "=2"})
    sheets = pd.read_excel(tmp_path / "r.xlsx", sheet_name=None)
    assert list(sheets) == ["about", "plan"]
    assert sheets["plan"]["who"].iloc[0] == "'=1+1"
    assert sheets["about"]["value"].iloc[0] == "'=2"


def test_what_happens_by_year_goes_into_the_long_format(tmp_path):
    numbers = {name: [1.0, 2.0] for name in ("demand", "delivered", "shortage", "capacity", "utilization")}
    operations = pd.DataFrame({"strategy": "moderate", "year": [0, 1], **numbers, "self_sufficiency": [0.5, 0.7]})
    schedule = pd.DataFrame({"of": "process", "plan": "RP", "year": [0, 1], "deployment": [9.0, 1.0], "plant": 10.0})
    found = iamc_of_run({"operations": operations, "schedule": schedule}, {"title": "base"})
    assert tuple(found.columns) == ("model", "scenario", "region", "variable", "unit", "year", "value")
    plans = found[(found.variable == "Capacity Additions|Plant Mass") & (found.scenario == "base|RP of process")]
    assert plans[["unit", "year", "value"]].to_numpy().tolist() == [["kg", 0, 9.0], ["kg", 1, 1.0]]
    write_results({"iamc": found}, tmp_path / "r.iamc.csv")
    assert len(pd.read_csv(tmp_path / "r.iamc.csv")) == 2 * (6 + 2)
    with pytest.raises(InputError, match="no table 'operations'"):
        iamc_of_run({"schedule": schedule}, {})
    with pytest.raises(InputError, match="is no folder of a run or study"):
        tables_of(tmp_path)


def test_a_table_without_its_columns_is_refused():
    with pytest.raises(InputError, match="'year' is not there"):
        iamc_table(pd.DataFrame({"kg": [1.0]}), {"kg": ("Mass", "kg")}, model="m", scenario="s", region="Moon")


# --- commands


def test_a_case_goes_out_and_is_solved_again(monkeypatch, tmp_path, capsys):
    def call(*words):
        with pytest.raises(SystemExit) as ended:
            main([*words, "--json", "-"])
        assert ended.value.code == 0
        return json.loads(capsys.readouterr().out)

    monkeypatch.chdir(tmp_path)
    case = "lunar-reference", "--horizon", "2", "--branching", "3,2"
    told = call("export", *case, "--to", "p.smps")
    assert told["files"] == ["p.smps", "p.cor", "p.tim", "p.sto"]
    call("solve-file", "p.smps", "--to", "p.sof.json")
    found, solved = call("solve-file", "p.sof.json"), call("solve", *case)
    assert found["objective"] == pytest.approx(solved["objective"], rel=1e-8)
    assert found["bounds"]["upper"] == pytest.approx(found["objective"], rel=1e-9)
    assert found["first_stage"]["dM(y1)"] == pytest.approx(solved["first_stage"]["dM1"], rel=1e-6)
