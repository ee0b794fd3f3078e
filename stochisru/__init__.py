"""Stochastic programming and real-options analysis of lunar oxygen production.

The names below are imported on first use, so ``import stochisru`` is quick and needs nothing optional.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scenario_trees import GeometricBrownianMotion, MarkovLattice, ScenarioTree
    from stochisru.case import DeploymentCase, case_from_dict, load_case, shipped_cases
    from stochisru.comparison import Comparison, compare
    from stochisru.deployment.storage import Storage
    from stochisru.errors import BoundsError, InputError, SolverError, StochisruError
    from stochisru.methods.extensive_form import extensive_form
    from stochisru.methods.lattice_dp import lattice_dp
    from stochisru.methods.open_loop import expected_value, fixed_design, static_plan
    from stochisru.methods.progressive_hedging import progressive_hedging
    from stochisru.methods.result import Bounds, Result
    from stochisru.methods.risk import MeanCVaR
    from stochisru.methods.sddp import sddp
    from stochisru.methods.threshold import threshold
    from stochisru.methods.wait_and_see import wait_and_see
    from stochisru.policies import POLICIES, policy_named
    from stochisru.process_value import ExactValues, ProcessValues, exact_values, process_values
    from stochisru.simulation import Simulation, simulate, simulate_panel
    from stochisru.strategies import STRATEGIES, Observation, Strategy
    from stochisru.value import ValueTable, value_table

__version__ = "0.1.0"

_HOME = {
    "GeometricBrownianMotion": "scenario_trees",
    "ScenarioTree": "scenario_trees",
    "DeploymentCase": "stochisru.case",
    "case_from_dict": "stochisru.case",
    "load_case": "stochisru.case",
    "shipped_cases": "stochisru.case",
    "BoundsError": "stochisru.errors",
    "InputError": "stochisru.errors",
    "SolverError": "stochisru.errors",
    "StochisruError": "stochisru.errors",
    "extensive_form": "stochisru.methods.extensive_form",
    "expected_value": "stochisru.methods.open_loop",
    "fixed_design": "stochisru.methods.open_loop",
    "static_plan": "stochisru.methods.open_loop",
    "progressive_hedging": "stochisru.methods.progressive_hedging",
    "Bounds": "stochisru.methods.result",
    "Result": "stochisru.methods.result",
    "sddp": "stochisru.methods.sddp",
    "MeanCVaR": "stochisru.methods.risk",
    "Storage": "stochisru.deployment.storage",
    "threshold": "stochisru.methods.threshold",
    "lattice_dp": "stochisru.methods.lattice_dp",
    "tree_dp": "stochisru.methods.tree_dp",
    "level_dp": "stochisru.methods.level_dp",
    "threshold_ignoring": "stochisru.methods.ignoring",
    "sddp_ignoring": "stochisru.methods.ignoring",
    "wait_and_see": "stochisru.methods.wait_and_see",
    "ExactValues": "stochisru.process_value",
    "ProcessValues": "stochisru.process_value",
    "exact_values": "stochisru.process_value",
    "process_values": "stochisru.process_value",
    "Comparison": "stochisru.comparison",
    "compare": "stochisru.comparison",
    "POLICIES": "stochisru.policies",
    "policy_named": "stochisru.policies",
    "MarkovLattice": "scenario_trees",
    "Simulation": "stochisru.simulation",
    "simulate": "stochisru.simulation",
    "simulate_panel": "stochisru.simulation",
    "STRATEGIES": "stochisru.strategies",
    "Observation": "stochisru.strategies",
    "Strategy": "stochisru.strategies",
    "ValueTable": "stochisru.value",
    "value_table": "stochisru.value",
}

__all__ = [
    "POLICIES",
    "STRATEGIES",
    "Bounds",
    "BoundsError",
    "Comparison",
    "DeploymentCase",
    "ExactValues",
    "GeometricBrownianMotion",
    "InputError",
    "MarkovLattice",
    "MeanCVaR",
    "Observation",
    "ProcessValues",
    "Result",
    "ScenarioTree",
    "Simulation",
    "SolverError",
    "StochisruError",
    "Storage",
    "Strategy",
    "ValueTable",
    "case_from_dict",
    "compare",
    "exact_values",
    "expected_value",
    "extensive_form",
    "fixed_design",
    "lattice_dp",
    "level_dp",
    "load_case",
    "policy_named",
    "process_values",
    "progressive_hedging",
    "sddp",
    "sddp_ignoring",
    "shipped_cases",
    "simulate",
    "simulate_panel",
    "static_plan",
    "threshold",
    "threshold_ignoring",
    "tree_dp",
    "value_table",
    "wait_and_see",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'stochisru' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
