"""Wrong types are one line that says what was expected, in Python as on the command line."""

import inspect
from functools import cache

import numpy as np
import pytest

import stochisru
from scenario_trees import MarkovLattice, ScenarioTree
from scenario_trees.errors import TreeError
from stochisru import exchange, extensive_form, load_case, process_values, simulate, value_table
from stochisru.errors import StochisruError
from stochisru.lunar.project import project
from stochisru.lunar.studies import learning, survey
from stochisru.partial_evpi import partial_evpi
from stochisru.problem import chain, evaluate, fan, held, mean_path, on_tree
from stochisru.values import values

WRONG = ["nonsense", None, 3.5, -1, [3] * 5, np.arange(3.0), {}, object(), float("nan")]
#: What takes any number of seconds if it is given what is right for it, and files that are written.
LEFT_OUT = {"progress", "workers", "target"}


@cache
def good():
    case = load_case("lunar-reference").replace(T=2)
    tree = ScenarioTree.from_process(case.process, [2, 2])
    return {
        "case": case,
        "tree": tree,
        "strategies": ["moderate"],
        "lattice": MarkovLattice.from_process(case.process, 2, 3),
        "problem": case.model,
        "model": case.model,
        "on": tree,
        "process": case.process,
        "branching": [2, 2],
        "name": "rp",
        "plan": {"dM": [1.0, 1.0, 1.0]},
        "paths": [[1.0, 2.0]],
        "path": [1.0, 2.0],
    }


def functions():
    found = {}
    for module in (stochisru, exchange):
        found |= {f"{module.__name__}.{n}": getattr(module, n) for n in module.__all__}
    found = {name: f for name, f in found.items() if inspect.isfunction(f)}
    more = (project, partial_evpi, learning, survey, values, chain, evaluate, fan, held, mean_path, on_tree)
    return found | {f.__name__: f for f in more}


def methods():
    case, tree, lattice = (good()[name] for name in ("case", "tree", "lattice"))
    table, result = value_table(case, tree), extensive_form(case, tree)
    return {
        "ScenarioTree.from_process": ScenarioTree.from_process,
        **{f"tree.{name}": getattr(tree, name) for name in ("branch", "ancestor", "factor", "check")},
        **{f"lattice.{name}": getattr(lattice, name) for name in ("to_tree", "sample")},
        **{f"table.{name}": getattr(table, name) for name in ("point", "bracket")},
        "process_values.point": process_values(case).point,
        "simulation.difference": simulate(case, ["moderate"], paths=50).difference,
        "result.policy": result.policy,
        **{f"case.{name}": getattr(case, name) for name in ("on_tree", "on_lattice", "subtrees", "differences")},
    }


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Folders that wrong names make are not in the checkout."""
    monkeypatch.chdir(tmp_path)


def refused(name, function):
    """Every parameter is given what is wrong in turn; whatever is raised is meant for people."""
    taken = [
        p for p in inspect.signature(function).parameters.values() if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
    ]
    right = {p.name: good().get(p.name) for p in taken if p.default is p.empty}
    bad = []
    for parameter in taken:
        if parameter.name in LEFT_OUT:
            continue
        for wrong in WRONG:
            try:
                function(**{**right, parameter.name: wrong})
            except (StochisruError, TreeError):
                continue
            except Exception as error:
                bad.append(f"{name}({parameter.name}={wrong!r}): {type(error).__name__}: {error}")
    return bad


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", functions())
def test_functions_refuse_wrong_types(name):
    assert refused(name, functions()[name]) == []


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["extensive_form", "simulate_policies", "lattice_dp", "policy_named", "shipped_cases"])
def test_some_functions_refuse_wrong_types(name):
    assert refused(name, getattr(stochisru, name)) == []


@pytest.mark.filterwarnings("ignore")
def test_methods_refuse_wrong_types():
    assert [line for name, method in methods().items() for line in refused(name, method)] == []


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda case: simulate("lunar-reference", ["moderate"]), r"load_case\('lunar-reference'\) makes one"),
        (lambda case: extensive_form(case, [3] * 5), "tree: must be a ScenarioTree, got list"),
        (lambda case: process_values(case).point("RP"), "must be one of .*rp.*, got 'RP'"),
        (lambda case: extensive_form(case, good()["tree"], rel_gap=np.arange(3.0)), "rel_gap: must be in"),
        (lambda case: load_case(3.5), "CASE: must be a path, got float"),
        (lambda case: ScenarioTree.from_process(case, [2, 2]), "process: must be a process of scenario_trees"),
    ],
)
def test_what_is_expected_is_said(call, said):
    with pytest.raises((StochisruError, TreeError), match=said):
        call(good()["case"])
