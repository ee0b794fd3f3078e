"""Stochastic programming and real-options analysis of lunar oxygen production.

The names below are imported on first use, so ``import stochisru`` is quick and needs nothing optional.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scenario_trees import GeometricBrownianMotion, ScenarioTree
    from stochisru.case import DeploymentCase, case_from_dict, load_case, shipped_cases
    from stochisru.errors import BoundsError, InputError, SolverError, StochisruError
    from stochisru.methods.extensive_form import extensive_form
    from stochisru.methods.open_loop import expected_value, fixed_design, static_plan
    from stochisru.methods.progressive_hedging import progressive_hedging
    from stochisru.methods.result import Bounds, Result
    from stochisru.methods.wait_and_see import wait_and_see
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
    "wait_and_see": "stochisru.methods.wait_and_see",
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
    "STRATEGIES",
    "Bounds",
    "BoundsError",
    "DeploymentCase",
    "GeometricBrownianMotion",
    "InputError",
    "Observation",
    "Result",
    "ScenarioTree",
    "Simulation",
    "SolverError",
    "StochisruError",
    "Strategy",
    "ValueTable",
    "case_from_dict",
    "expected_value",
    "extensive_form",
    "fixed_design",
    "load_case",
    "progressive_hedging",
    "shipped_cases",
    "simulate",
    "simulate_panel",
    "static_plan",
    "value_table",
    "wait_and_see",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'stochisru' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
