"""Old import path of `stochisru.simulation.metrics`, kept for scripts."""

from stochisru.estimate import Estimate
from stochisru.simulation.metrics import npv_metrics

__all__ = ["Estimate", "npv_metrics"]
