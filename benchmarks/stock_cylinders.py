"""The deployment problem as a module that mpi-sppy's own driver ``generic_cylinders`` loads.

One scenario per leaf, as in `mpisppy_ef`: a ``path_model`` in Pyomo, ΔM nonanticipative. ``hedging.py`` runs it.
"""

from __future__ import annotations

from typing import Any

import mpisppy
import mpisppy_ef

from scenario_trees import ScenarioTree
from stochisru import load_case
from stochisru.problem.on_path import Scenarios

_stream = mpisppy.tt_timer.ostream
mpisppy_ef.import_mpisppy()  # silences mpi-sppy's clock, which prints the bounds that are wanted here
mpisppy.tt_timer.ostream = _stream


def inparser_adder(cfg: Any) -> None:
    """Add the options that say which problem it is."""
    cfg.add_branching_factors()
    cfg.add_to_config("case", description="shipped case or TOML file", domain=str, default="lunar-reference")


def scenario_names_creator(num_scens: int, start: int | None = None) -> list[str]:
    """Names of leaves in the order of the tree."""
    first = start or 0
    return [f"leaf{i}" for i in range(first, first + num_scens)]


def kw_creator(cfg: Any) -> dict[str, Any]:
    """Arguments of `scenario_creator`."""
    factors = list(cfg.branching_factors)
    case = load_case(cfg.case).replace(T=len(factors))
    tree = ScenarioTree.from_process(case.process, factors)
    return {"scenarios": Scenarios(case.model, tree)}


def scenario_creator(name: str, *, scenarios: Scenarios) -> Any:
    """Path model of one leaf."""
    return scenarios.creator(name)


def scenario_denouement(rank: int, name: str, scenario: Any) -> None:
    """mpi-sppy asks for it; nothing to do."""
