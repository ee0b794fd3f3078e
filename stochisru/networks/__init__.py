"""Generalised multi-commodity network flows: a library, and the Mars, toy and Saudi cases on it.

The names below are imported on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stochisru.networks.additions import with_relief
    from stochisru.networks.assembly import assemble
    from stochisru.networks.builder import ArcScale, Bundle, NetworkBuilder
    from stochisru.networks.files import load_network, load_over_time
    from stochisru.networks.infeasible import conflict
    from stochisru.networks.network import Network
    from stochisru.networks.on_tree import Stages, solve_on_tree
    from stochisru.networks.pareto import epsilon_front, weighted_front
    from stochisru.networks.recourse import Failure, solve_with_failures
    from stochisru.networks.solution import NetworkSolution, solve_network
    from stochisru.networks.time_expansion import expand, with_storage
    from stochisru.networks.time_on_tree import solve_over_time
    from stochisru.networks.tree_values import line_tree, values_on_tree

_HOME = {
    "ArcScale": "builder",
    "Bundle": "builder",
    "Failure": "recourse",
    "Network": "network",
    "NetworkBuilder": "builder",
    "NetworkSolution": "solution",
    "Stages": "on_tree",
    "assemble": "assembly",
    "conflict": "infeasible",
    "epsilon_front": "pareto",
    "expand": "time_expansion",
    "load_network": "files",
    "load_over_time": "files",
    "solve_network": "solution",
    "solve_on_tree": "on_tree",
    "solve_over_time": "time_on_tree",
    "line_tree": "tree_values",
    "values_on_tree": "tree_values",
    "solve_with_failures": "recourse",
    "weighted_front": "pareto",
    "with_relief": "additions",
    "with_storage": "time_expansion",
}

__all__ = [
    "ArcScale",
    "Bundle",
    "Failure",
    "Network",
    "NetworkBuilder",
    "NetworkSolution",
    "Stages",
    "assemble",
    "conflict",
    "epsilon_front",
    "expand",
    "line_tree",
    "load_network",
    "load_over_time",
    "solve_network",
    "solve_on_tree",
    "solve_over_time",
    "solve_with_failures",
    "values_on_tree",
    "weighted_front",
    "with_relief",
    "with_storage",
]


if not TYPE_CHECKING:  # a checker sees the imports above, and no name that is not there

    def __getattr__(name: str) -> Any:
        if name in _HOME:
            return getattr(importlib.import_module(f"stochisru.networks.{_HOME[name]}"), name)
        raise AttributeError(f"module 'stochisru.networks' has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
