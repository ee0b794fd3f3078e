"""Studies of a case: sensitivity, efficiency frontier, tuning of rules; remembered on disk, resumable, parallel.

The names below are imported on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stochisru.lunar.studies.crossing import BreakEven, break_even, break_evens
    from stochisru.lunar.studies.drift import DriftValues, learning
    from stochisru.lunar.studies.efficiency import Frontier, default_strategies, frontier, non_dominated
    from stochisru.lunar.studies.maps import TwoWayMap, grid_values, two_way_map
    from stochisru.lunar.studies.prospecting import Prospecting, survey
    from stochisru.lunar.studies.robustness import Robustness, robust_ball, robust_box
    from stochisru.lunar.studies.rules import RULE_RANGES, sample_rules
    from stochisru.lunar.studies.sensitivity import Tornado, tornado
    from stochisru.lunar.studies.tuning import Objective, Tuning, tune
    from stochisru.lunar.studies.values import hold

_HOME = {
    "crossing": ("BreakEven", "break_even", "break_evens"),
    "drift": ("DriftValues", "learning"),
    "efficiency": ("Frontier", "default_strategies", "frontier", "non_dominated"),
    "maps": ("TwoWayMap", "grid_values", "two_way_map"),
    "prospecting": ("Prospecting", "survey"),
    "robustness": ("Robustness", "robust_ball", "robust_box"),
    "rules": ("RULE_RANGES", "sample_rules"),
    "sensitivity": ("Tornado", "tornado"),
    "tuning": ("Objective", "Tuning", "tune"),
    "values": ("hold",),
}

__all__ = [
    "RULE_RANGES",
    "BreakEven",
    "DriftValues",
    "Frontier",
    "Objective",
    "Prospecting",
    "Robustness",
    "Tornado",
    "Tuning",
    "TwoWayMap",
    "break_even",
    "break_evens",
    "default_strategies",
    "frontier",
    "grid_values",
    "hold",
    "learning",
    "non_dominated",
    "robust_ball",
    "robust_box",
    "sample_rules",
    "survey",
    "tornado",
    "tune",
    "two_way_map",
]


if not TYPE_CHECKING:  # a checker sees the imports above, and no name that is not there

    def __getattr__(name: str) -> Any:
        for module, names in _HOME.items():
            if name in names:
                return getattr(importlib.import_module(f"{__name__}.{module}"), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
