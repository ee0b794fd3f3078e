"""Old import path of `stochisru.simulation.metrics`; it warns once, and goes with 0.3."""

import warnings

from stochisru.estimate import Estimate
from stochisru.simulation.metrics import npv_metrics

__all__ = ["Estimate", "npv_metrics"]

warnings.warn(
    "stochisru.metrics is an old path that goes with 0.3: import from stochisru.simulation.metrics",
    DeprecationWarning,
    stacklevel=2,
)
