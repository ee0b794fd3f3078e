"""Old import path of `stochisru.simulation.metrics`, kept for scripts."""

from stochisru.simulation.metrics import Estimate, npv_metrics

__all__ = ["Estimate", "npv_metrics"]
