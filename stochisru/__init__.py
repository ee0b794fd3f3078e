"""Stochastic programming and real-options analysis of lunar oxygen production.

The names below are imported on first use, so ``import stochisru`` is quick and needs nothing optional.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scenario_trees import GeometricBrownianMotion, MarkovLattice, ScenarioTree
    from stochisru.errors import BoundsError, InputError, SolverError, StochisruError
    from stochisru.lunar.case import DeploymentCase, case_from_dict, load_case
    from stochisru.lunar.comparison import Comparison, compare
    from stochisru.lunar.deciding import Advice, decide
    from stochisru.lunar.exact.lattice_dp import lattice_dp
    from stochisru.lunar.exact.level_dp import level_dp
    from stochisru.lunar.exact.open_loop import expected_value, fixed_design, static_plan
    from stochisru.lunar.exact.threshold import threshold
    from stochisru.lunar.exact.tree_dp import tree_dp
    from stochisru.lunar.exact.wait_and_see import wait_and_see
    from stochisru.lunar.policies import POLICIES, policy_named
    from stochisru.lunar.relaxation import sddp_ignoring, threshold_ignoring
    from stochisru.lunar.shipped import shipped_cases
    from stochisru.lunar.simulation import Simulation, simulate, simulate_panel
    from stochisru.lunar.storage import Storage
    from stochisru.lunar.strategies import STRATEGIES, Observation, Strategy
    from stochisru.lunar.values.process import ExactValues, ProcessValues, exact_values, process_values
    from stochisru.lunar.values.table import ValueTable
    from stochisru.lunar.values.tree import value_table
    from stochisru.methods.extensive_form import extensive_form
    from stochisru.methods.hedging.progressive_hedging import progressive_hedging
    from stochisru.methods.result import Bounds, Result
    from stochisru.methods.risk import MeanCVaR
    from stochisru.methods.sddp.method import sddp
    from stochisru.simulation.of_model import Outcomes, simulate_policies

__version__ = "0.2.0"

_HOME = {
    "GeometricBrownianMotion": "scenario_trees",
    "ScenarioTree": "scenario_trees",
    "DeploymentCase": "stochisru.lunar.case",
    "case_from_dict": "stochisru.lunar.case",
    "load_case": "stochisru.lunar.case",
    "shipped_cases": "stochisru.lunar.shipped",
    "BoundsError": "stochisru.errors",
    "InputError": "stochisru.errors",
    "SolverError": "stochisru.errors",
    "StochisruError": "stochisru.errors",
    "extensive_form": "stochisru.methods.extensive_form",
    "expected_value": "stochisru.lunar.exact.open_loop",
    "fixed_design": "stochisru.lunar.exact.open_loop",
    "static_plan": "stochisru.lunar.exact.open_loop",
    "progressive_hedging": "stochisru.methods.hedging.progressive_hedging",
    "Bounds": "stochisru.methods.result",
    "Result": "stochisru.methods.result",
    "sddp": "stochisru.methods.sddp.method",
    "MeanCVaR": "stochisru.methods.risk",
    "Storage": "stochisru.lunar.storage",
    "threshold": "stochisru.lunar.exact.threshold",
    "lattice_dp": "stochisru.lunar.exact.lattice_dp",
    "tree_dp": "stochisru.lunar.exact.tree_dp",
    "level_dp": "stochisru.lunar.exact.level_dp",
    "threshold_ignoring": "stochisru.lunar.relaxation",
    "sddp_ignoring": "stochisru.lunar.relaxation",
    "wait_and_see": "stochisru.lunar.exact.wait_and_see",
    "ExactValues": "stochisru.lunar.values.process",
    "ProcessValues": "stochisru.lunar.values.process",
    "exact_values": "stochisru.lunar.values.process",
    "process_values": "stochisru.lunar.values.process",
    "Comparison": "stochisru.lunar.comparison",
    "compare": "stochisru.lunar.comparison",
    "Advice": "stochisru.lunar.deciding",
    "decide": "stochisru.lunar.deciding",
    "POLICIES": "stochisru.lunar.policies",
    "policy_named": "stochisru.lunar.policies",
    "MarkovLattice": "scenario_trees",
    "Simulation": "stochisru.lunar.simulation",
    "simulate": "stochisru.lunar.simulation",
    "simulate_panel": "stochisru.lunar.simulation",
    "Outcomes": "stochisru.simulation.of_model",
    "simulate_policies": "stochisru.simulation.of_model",
    "STRATEGIES": "stochisru.lunar.strategies",
    "Observation": "stochisru.lunar.strategies",
    "Strategy": "stochisru.lunar.strategies",
    "ValueTable": "stochisru.lunar.values.table",
    "value_table": "stochisru.lunar.values.tree",
}

__all__ = [
    "POLICIES",
    "STRATEGIES",
    "Advice",
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
    "Outcomes",
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
    "decide",
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
    "simulate_policies",
    "static_plan",
    "threshold",
    "threshold_ignoring",
    "tree_dp",
    "value_table",
    "wait_and_see",
]


if not TYPE_CHECKING:  # a checker sees the imports above, and no name that is not there

    def __getattr__(name: str) -> Any:
        if name in _HOME:
            return getattr(importlib.import_module(_HOME[name]), name)
        raise AttributeError(f"module 'stochisru' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
