"""Trees and paths of one's own, as tables and files."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenario_trees import GeometricBrownianMotion, ScenarioTree
from scenario_trees.errors import TreeError
from scenario_trees.table import tree_from_table
from stochisru import InputError, extensive_form, load_case, simulate
from stochisru.cli.main import main
from stochisru.lunar.own_uncertainty import read_tree
from stochisru.lunar.simulation import npv_on_paths
from stochisru.lunar.simulation.monte_carlo import simulated_on
from stochisru.lunar.strategies import STRATEGIES

GBM = GeometricBrownianMotion(1000.0, 0.05, 0.2)
ROWS = [
    ("now", None, 0, 1.0, 1000.0),
    ("up", "now", 1, 0.5, 1500.0),
    ("down", "now", 1, 0.5, 700.0),
    ("high", "up", 2, 0.3, 2000.0),
    ("low", "up", 2, 0.2, 1200.0),
    ("end", "down", 2, 0.5, 500.0),
]


def frame(rows=ROWS, probability="probability"):
    return pd.DataFrame(rows, columns=["id", "parent", "year", probability, "demand"])


def call(monkeypatch, *words):
    monkeypatch.setattr("sys.argv", ["stochisru", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code or 0


# ----------------------------------------------------------------------- trees


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(1, 3), min_size=1, max_size=4),
    st.randoms(use_true_random=False),
    st.sampled_from(["integers", "floats", "text", "names"]),
    st.booleans(),
)
def test_a_tree_comes_back_from_its_table_in_any_order_and_dtype(branching, random, ids, conditional):
    tree = ScenarioTree.from_process(GBM, branching)
    table = tree.to_frame().reset_index().rename(columns={"node": "id", "stage": "year", "value": "demand"})
    if conditional:
        up = np.maximum(tree.parent, 0)
        table["conditional_probability"] = tree.probability / np.where(tree.parent < 0, 1, tree.probability[up])
        table = table.drop(columns="probability")
    if ids == "floats":
        table["parent"] = table["parent"].replace(-1, np.nan)
    elif ids == "text":
        table = table.astype(str)
    elif ids == "names":
        names = np.array([f"n{i}" for i in range(tree.n_nodes)])
        table["parent"] = [None if p < 0 else names[p] for p in tree.parent]
        table["id"] = names
    order = list(range(tree.n_nodes))
    random.shuffle(order)
    found = tree_from_table(table.iloc[order])
    # Siblings may stand in another order: a scenario is its path and its probability.
    one, other = (np.array(sorted(map(tuple, leaves(each).round(9)))) for each in (found, tree))
    assert one == pytest.approx(other)
    assert found.names == ("demand",)


def leaves(tree):
    return np.column_stack([tree.value[tree.node_paths()], tree.probability[tree.leaves]])


def test_printed_probabilities_are_scaled_and_others_refused():
    thirds = [("now", None, 0, 1, 10.0), *((i, "now", 1, 0.33, 10.0 + i) for i in range(3))]
    tree = tree_from_table(frame(thirds))
    assert tree.probability.tolist() == pytest.approx([1, 1 / 3, 1 / 3, 1 / 3])
    with pytest.raises(TreeError, match=r"the children of now must sum to 1 within 2% of it, got 0\.9"):
        tree_from_table(frame([thirds[0], *((i, "now", 1, 0.3, 10.0) for i in range(3))]))


def test_ids_are_what_they_say_and_columns_are_there_once(tmp_path):
    (tmp_path / "tree.csv").write_text("id,parent,probability,demand\n10,,1,5\n1_0,10,0.5,6\n3.0,10.0,0.48,7\n")
    assert read_tree(tmp_path / "tree.csv").n_nodes == 3
    (tmp_path / "tree.csv").write_text("id,parent,probability,demand,demand\n10,,1,5,6\n")
    with pytest.raises(InputError, match="columns: demand is there twice"):
        read_tree(tmp_path / "tree.csv")


def test_early_leaves_are_refused_or_held():
    with pytest.raises(TreeError, match="down ends after 1 years, the last leaf after 2"):
        tree_from_table(frame(ROWS[:-1]))
    tree = tree_from_table(frame(ROWS[:-1]), early="hold")
    assert sorted(map(tuple, leaves(tree))) == sorted(
        [(1000, 1500, 2000, 0.3), (1000, 1500, 1200, 0.2), (1000, 700, 700, 0.5)]
    )


def test_further_columns_are_factors():
    table = frame().assign(launch=[5000.0, 4000.0, 6000.0, 3000.0, 4500.0, 7000.0])
    tree = tree_from_table(table)
    assert tree.names == ("demand", "launch")
    assert tree.factor("launch").tolist() == [5000, 4000, 6000, 3000, 4500, 7000]
    assert list(table.columns) == ["id", "parent", "year", "probability", "demand", "launch"]  # as it was


def changed(row, column, value):
    table = frame().astype(object)
    table.loc[row, column] = value
    return table


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (frame().drop(columns="parent"), "columns: must have parent"),
        (frame().drop(columns="probability"), "columns: must have probability or conditional_probability"),
        (frame().assign(conditional_probability=1), "columns: must have probability or conditional_probability"),
        (frame().drop(columns="demand"), "columns: must have one or more of values"),
        (frame().iloc[:0], "rows: must be one or more"),
        (changed(2, "id", "up"), "id: must be there once, up is in rows 2 and 3"),
        (changed(2, "id", None), "id: must not be missing, it is in row 3"),
        (changed(2, "parent", None), "parent: must be missing in one row, the root, got 2: now, down"),
        (changed(0, "parent", "end"), "parent: must be missing in one row, the root, got 0"),
        (changed(2, "parent", "nobody"), "parent: must be an id of the table, got nobody at down"),
        (changed(1, "parent", "high"), "parent: up does not come from the root, its parents go in a circle"),
        (changed(3, "year", 3), "year: must be that of the parent plus one, 2, got 3 at high"),
        (changed(3, "demand", "much"), "demand: must be a finite number, got 'much' at high"),
        (changed(3, "demand", None), "demand: must be a finite number"),
        (changed(3, "probability", -0.3), r"probability: must lie in \[0, 1\], got -0.3 at high"),
        (changed(0, "probability", 0.5), "probability: must be 1 at the root, got 0.5"),
        (changed(3, "demand", -5), "value: must be >= 0"),
    ],
)
def test_bad_tables_are_one_line(table, said):
    with pytest.raises(TreeError, match=said) as error:
        tree_from_table(table)
    assert "\n" not in str(error.value)


def test_commands_take_a_tree_of_ones_own(monkeypatch, tmp_path, capsys):
    """Solved, valued and evaluated as the same tree in Python."""
    frame().to_csv(tmp_path / "tree.csv", index=False)
    (tmp_path / "plan.csv").write_text("year,kg\n0,139\n1,60\n")
    expected = extensive_form(load_case("lunar-reference").replace(T=2), tree_from_table(frame())).objective
    for words, key in (
        (("solve", "lunar-reference"), "objective"),
        (("solve", "lunar-reference", "--method", "ph"), "objective"),
        (("value", "lunar-reference"), "rp"),
    ):
        assert call(monkeypatch, *words, "--tree", tmp_path / "tree.csv", "--json", "-") == 0
        assert json.loads(capsys.readouterr().out)[key] == pytest.approx(expected, rel=2e-3)
    words = (
        "evaluate",
        "lunar-reference",
        "--plan",
        tmp_path / "plan.csv",
        "--tree",
        tmp_path / "tree.csv",
        "--json",
        "-",
    )
    assert call(monkeypatch, *words) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["of"] == "tree"
    assert found["value"] < expected


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--tree", "FILE", "--horizon", 5), "horizon: the tree of FILE has years 0..2, got 5"),
        (("--tree", "FILE", "--branching", "3,3"), "branching: makes a tree, --tree gives one"),
        (("--tree", "FILE", "--early-leaves", "cut"), "early-leaves: must be refuse or hold, got 'cut'"),
        (("--early-leaves", "hold"), "early-leaves: is an option of --tree"),
        (("--tree", "NONE"), "tree: cannot read 'NONE': No such file or directory"),
        (("--tree", "FILE", "--method", "sddp"), "tree: is an option of --method ef"),
    ],
)
def test_bad_trees_on_the_command_line(monkeypatch, tmp_path, capsys, words, said):
    frame().to_csv(tmp_path / "tree.csv", index=False)
    names = {"FILE": str(tmp_path / "tree.csv"), "NONE": str(tmp_path / "none.csv")}

    def filled(text):
        for name, path in names.items():
            text = str(text).replace(name, path)
        return text

    assert call(monkeypatch, "solve", "lunar-reference", *map(filled, words)) == 2
    assert filled(said) in " ".join(capsys.readouterr().err.split())


# ----------------------------------------------------------------------- paths

CASE = load_case("lunar-reference")


def test_given_paths_are_judged_as_drawn_ones():
    """The paths of a simulation, given: the same outcomes path by path, and the same means of all metrics."""
    drawn = simulate(CASE, list(STRATEGIES), paths=300, seed=3)
    paths = CASE.process.sample(300, CASE.horizon.T, seed=3)
    found = simulated_on(CASE, list(STRATEGIES), paths)
    assert found.npv == pytest.approx(drawn.npv)
    for name, metrics in drawn.metrics.items():
        for metric, estimate in metrics.items():
            assert found.metrics[name][metric].value == pytest.approx(estimate.value, nan_ok=True), (name, metric)
    assert (found.seed, found.sampler) == (None, "given paths")
    assert found.to_dict()["sampler"] == "given paths"


def test_many_given_paths_go_in_blocks():
    paths = CASE.process.sample(20_000, CASE.horizon.T, seed=3)
    found = simulated_on(CASE, ["moderate"], paths)
    assert found.npv[0] == pytest.approx(npv_on_paths(CASE, STRATEGIES["moderate"], paths))


def test_a_history_is_one_path_and_has_no_interval():
    found = simulated_on(CASE, ["moderate"], CASE.process.sample(1, CASE.horizon.T, seed=3))
    mean = found.metrics["moderate"]["npv_mean"]
    assert np.isfinite(mean.value)
    assert np.isnan(mean.lower)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_commands_take_paths_of_ones_own(monkeypatch, tmp_path, capsys, suffix):
    paths = CASE.process.sample(50, 6, seed=3)
    table = pd.DataFrame(paths.T, columns=[str(t) for t in range(7)])
    file = tmp_path / f"paths.{suffix}"
    table.to_csv(file, index=False) if suffix == "csv" else table.to_parquet(file)
    assert call(monkeypatch, "simulate", "lunar-reference", "--demand-paths", file, "--json", "-") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["of"], found["paths"], found["horizon"]) == ("paths", 50, 6)
    expected = npv_on_paths(CASE.replace(T=6), STRATEGIES["moderate"], paths).mean()
    assert found["strategies"]["moderate"]["npv_mean"] == pytest.approx(expected)
    (tmp_path / "plan.csv").write_text("year,kg\n0,100\n")
    words = "evaluate", "lunar-reference", "--plan", tmp_path / "plan.csv", "--demand-paths", file, "--json", "-"
    assert call(monkeypatch, *words) == 0
    assert json.loads(capsys.readouterr().out)["of"] == "paths"


@pytest.mark.parametrize(
    ("text", "words", "said"),
    [
        ("0,1\n1000,x\n", (), "must be finite numbers >= 0, got 'x' in year 1 of row 1"),
        ("0,1\n1000,-2\n", (), "must be finite numbers >= 0, got '-2' in year 1 of row 1"),
        ("0,1\n1000,\n", (), "must be finite numbers >= 0"),
        ("0,1\n900,900\n", (), "must start from the case's D0 = 1000 kg/yr in year 0, got 900 in row 1"),
        ("1,2\n1000,900\n", (), "columns must be the years 0, 1, … T, a row a path, got 1, 2"),
        ("0,1\n", (), "must have one path or more, got none"),
        ("", (), "is no table in CSV or Parquet"),
        ("0,1\n1000,900\n", ("--seed", 3), "seed: is of paths that are drawn"),
        ("0,1\n1000,900\n", ("--horizon", 3), "has years 0..1, got 3"),
    ],
)
def test_bad_paths_are_one_line(monkeypatch, tmp_path, capsys, text, words, said):
    (tmp_path / "paths.csv").write_text(text)
    assert call(monkeypatch, "simulate", "lunar-reference", "--demand-paths", tmp_path / "paths.csv", *words) == 2
    told = capsys.readouterr().err
    assert said.removeprefix("has ") in told
    assert told.count("\n") == 1


@pytest.mark.parametrize(
    ("columns", "root", "words"),
    [("demand,price", "1000,3", "has a column 'price'"), ("demand", "900", "its root must have demand = 1000")],
)
@pytest.mark.parametrize("case", ["lunar-reference", "docs/two-technologies.toml"])
def test_a_tree_of_another_problem_is_refused(case, columns, root, words, tmp_path, monkeypatch, capsys):
    file = tmp_path / "tree.csv"
    later = [",".join(str(float(x) * g) for x in root.split(",")) for g in (1.5, 0.7)]
    file.write_text(f"id,parent,probability,{columns}\n0,,1,{root}\n1,0,0.5,{later[0]}\n2,0,0.5,{later[1]}\n")
    assert call(monkeypatch, "value", case, "--tree", file) == 2
    told = capsys.readouterr().err
    assert words in " ".join(told.split())
    assert "Traceback" not in told
