"""Any of our problems as a module that mpi-sppy's own drivers load.

    python -m mpisppy.generic_cylinders --module-name stochisru.mpisppy --problem my_module:farm --EF …

``--problem`` is the name of a shipped case, the path of a case file, or ``MODULE:FUNCTION``, a function without
arguments that returns a `Model` and its `ScenarioTree` or `MarkovLattice`. Cases take ``--branching-factors``; what a
function returns has its own tree. A scenario is a leaf: its path model in Pyomo, with the nodes that it passes and what
is decided there (`stochisru.problem.on_path.Scenarios`), curves, lots and fixed costs included. See
``docs/hedging.md``.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scenario_trees import MarkovLattice, ScenarioTree
from stochisru.errors import InputError
from stochisru.problem.model import Model
from stochisru.problem.on_path import Scenarios


def stated(problem: str, branching: Sequence[int] = ()) -> tuple[Model, ScenarioTree]:
    """A problem and its tree by what ``--problem`` says.

    Parameters
    ----------
    branching
        Branches per year of the tree of a case; a function's problem has its own tree.

    Raises
    ------
    InputError
        If there is no such problem, or it has no tree that mpi-sppy's drivers can name the nodes of.
    """
    module, colon, function = problem.rpartition(":")
    if colon and function.isidentifier():
        model, made = _returned(module, function, problem)
        tree = made.to_tree() if isinstance(made, MarkovLattice) else made
    else:
        model, tree = _case(problem, branching)
    if tree.horizon < 1:
        raise InputError(f"{problem}: must have two stages or more")
    if tree.horizon > 1 and tree.branching is None:
        raise InputError(
            f"{problem}: mpi-sppy's drivers know trees of more than two stages by one branching factor per stage; "
            "this one is uneven: give Scenarios(model, tree) to its classes"
        )
    return model, tree


def _returned(module: str, function: str, problem: str) -> tuple[Model, ScenarioTree | MarkovLattice]:
    if str(Path.cwd()) not in sys.path:  # where a user's own module lies
        sys.path.insert(0, str(Path.cwd()))
    try:
        found = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise InputError(f"problem: {problem!r} cannot be imported: {error}") from error
    given = found()
    if not (isinstance(given, tuple) and len(given) == 2 and isinstance(given[0], Model)):
        raise InputError(f"problem: {problem} must return a Model and its ScenarioTree or MarkovLattice, got {given!r}")
    return given


def _case(problem: str, branching: Sequence[int]) -> tuple[Model, ScenarioTree]:
    from stochisru.lunar.case import load_case

    case = load_case(problem)
    if not branching:
        raise InputError(f"branching-factors: needed for a case, one per year of 0..T, as in '3 3 2', for {problem}")
    case = case.replace(T=len(branching))
    return case.model, ScenarioTree.from_process(case.process, branching)


# What follows is called by mpi-sppy.


def inparser_adder(cfg: Any) -> None:
    """Add the options that say which problem it is."""
    cfg.add_branching_factors()
    cfg.num_scens_optional()
    cfg.add_to_config(
        "problem",
        description="shipped case, case file, or MODULE:FUNCTION that returns a model and its tree or lattice",
        domain=str,
        default="lunar-reference",
    )


def kw_creator(cfg: Any) -> dict[str, Any]:
    """Arguments of `scenario_creator`; sets what the driver must know of the tree."""
    # Two stages have scenarios and no branching factors, here and where this is called a second time.
    given = cfg.get("branching_factors") or [number for number in (cfg.get("num_scens"),) if number is not None]
    model, tree = stated(cfg.problem, list(given))
    cfg.branching_factors = list(tree.branching or ()) if tree.horizon > 1 else None
    cfg.quick_assign("num_scens", int, tree.n_leaves)
    return {"scenarios": Scenarios(model, tree)}


def scenario_names_creator(num_scens: int, start: int | None = None) -> list[str]:
    """Names of leaves in the order of the tree."""
    first = start or 0
    return [f"scenario{i}" for i in range(first, first + num_scens)]


def scenario_creator(name: str, *, scenarios: Scenarios, branching_factors: Any = None) -> Any:
    """Path model of one leaf; the tree knows the branching factors that the driver gives for a bundle."""
    return scenarios.creator(name)


def scenario_denouement(rank: int, name: str, scenario: Any) -> None:
    """mpi-sppy asks for it; nothing to do."""
