"""What a type checker sees of the public names: never `Any` because they are imported on first use."""

import importlib
import re
import subprocess
import sys

import pytest

import scenario_trees
import stochisru

#: Packages whose names are public, and old paths that scripts import.
PACKAGES = (
    *("scenario_trees", "stochisru", "stochisru.networks", "stochisru.lunar.studies", "stochisru.lunar.strategies"),
    *("stochisru.problem", "stochisru.linear_program", "stochisru.metrics"),
)
#: Once these were imported by `__getattr__` alone.
ONCE_LAZY = ("tree_dp", "level_dp", "threshold_ignoring", "sddp_ignoring")
USER = """
from typing import assert_type

import numpy as np

import stochisru
from scenario_trees import tree_from_paths
from stochisru import MarkovLattice, Result, ScenarioTree, load_case
from stochisru.lunar.cut_plan import CutPlan
from stochisru.lunar.exact.lattice_plan import LatticePlan
from stochisru.lunar.exact.level_plan import LevelPlan
from stochisru.lunar.exact.threshold import ThresholdPlan
from stochisru.lunar.tree_program import TreePlan
from stochisru.protocols import Plan

case = load_case("lunar-reference")
assert_type(case, stochisru.DeploymentCase)
tree = ScenarioTree.from_process(case.process, [3, 3])
assert_type(tree, ScenarioTree)
lattice = MarkovLattice.from_process(case.process, 2, 10)
assert_type(stochisru.extensive_form(case, tree), Result[TreePlan])
assert_type(stochisru.progressive_hedging(case, tree), Result[TreePlan])
assert_type(stochisru.tree_dp(case, tree), Result[TreePlan])
assert_type(stochisru.sddp(case, lattice), Result[CutPlan])
assert_type(stochisru.sddp_ignoring(case, lattice), Result[CutPlan])
assert_type(stochisru.lattice_dp(case, lattice), Result[LatticePlan])
assert_type(stochisru.level_dp(case, lattice), Result[LevelPlan])
assert_type(stochisru.threshold(case), Result[ThresholdPlan])
assert_type(stochisru.threshold_ignoring(case), Result[ThresholdPlan])
assert_type(stochisru.exact_values(case).recourse, Result[ThresholdPlan])
assert_type(stochisru.process_values(case).recourse, Result[Plan])
assert_type(stochisru.value_table(case, tree).rp, stochisru.Bounds)
assert_type(stochisru.simulate(case, ["static"]), stochisru.Simulation)
assert_type(stochisru.compare(case, ["static"]), stochisru.Comparison)
assert_type(tree_from_paths(case.process.paths(np.zeros((2, 9))), [1]), ScenarioTree)
"""


def mypy(folder, text):
    """What mypy, strict, says of a user's script in another folder."""
    script = folder / "user.py"
    script.write_text(text, encoding="utf-8")
    call = [sys.executable, "-m", "mypy", "--strict", "--no-pretty", "--cache-dir", str(folder / "cache"), script.name]
    outcome = subprocess.run(call, cwd=folder, capture_output=True, text=True, timeout=300)
    assert outcome.returncode in (0, 1), outcome.stderr
    return outcome.stdout.splitlines()


def public():
    """Every public name with its package; those that are imported on first use among them."""
    for package in PACKAGES:
        module = importlib.import_module(package)
        names = set(module.__all__)
        lazy = getattr(module, "_HOME", {})
        names |= {n for home, of in lazy.items() for n in ((home,) if isinstance(of, str) else of)}
        yield from ((package, name) for name in sorted(names))


def is_any(revealed):
    """Whether a revealed type is `Any`, or a function of which nothing but `Any` is known."""
    return re.search(r'"(Any|def \(\*.*\) -> Any)"$', revealed) is not None


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """What mypy says of the user's script, of every public name, and of a name that is not there; in one run."""
    lines = [USER, "import scenario_trees, importlib"]
    lines += [f"import {package}" for package in PACKAGES]
    names = list(public())
    first = "\n".join(lines).count("\n") + 2
    lines += [f"reveal_type({package}.{name})" for package, name in names]
    lines += ["stochisru.no_such_name", "stochisru.networks.no_such_name", "stochisru.lunar.studies.no_such_name"]
    return names, first, mypy(tmp_path_factory.mktemp("types"), "\n".join(lines) + "\n")


def test_no_public_name_is_any(said):
    names, first, out = said
    revealed = {}
    for line in out:
        number, _, text = line.removeprefix("user.py:").partition(": note: Revealed type is ")
        if text:
            revealed[names[int(number) - first]] = text
    assert set(revealed) == set(names)
    assert [name for name, text in revealed.items() if is_any(text)] == []
    for name in ONCE_LAZY:
        assert "methods.result.Result[stochisru.lunar." in revealed["stochisru", name]


def test_types_of_a_users_script_and_names_that_are_not_there(said):
    errors = [line for line in said[2] if ": error:" in line]
    assert len(errors) == 3, errors  # one for each name that is not there, and none of the script
    assert all('has no attribute "no_such_name"' in line for line in errors)


def test_any_is_seen(tmp_path):
    """The test of the test: a package that is lazy to the checker too."""
    (tmp_path / "lazy.py").write_text("from typing import Any\ndef __getattr__(name: str) -> Any: ...\n")
    out = mypy(tmp_path, "import lazy\nreveal_type(lazy.solve)\nreveal_type(len)\n")
    assert [is_any(line) for line in out if "Revealed" in line] == [True, False]


def test_lazy_names_are_all_public():
    assert set(ONCE_LAZY) <= set(stochisru.__all__)
    assert set(stochisru._HOME) == set(stochisru.__all__)
    assert set(scenario_trees.__all__) <= set(dir(scenario_trees))


def test_the_type_checker_knows_the_shipped_cases():
    """`load_case` says what it returns for a shipped case; of a file it depends on the tables in it."""
    from typing import get_args, get_overloads, get_type_hints

    from stochisru import load_case, shipped_cases
    from stochisru.lunar.tables.case import GeneralCase, is_general

    known = {"GeneralCase": GeneralCase}
    base, general = (list(get_args(get_type_hints(f, None, known)["source"])) for f in get_overloads(load_case)[:2])
    assert sorted(base + general) == shipped_cases()
    assert [is_general(load_case(name)) for name in base + general] == [False] * len(base) + [True] * len(general)
