"""Economies of scale: piecewise linear curves, and how to put them into programs."""

from stochisru.scale.curve import Curve, power_curve
from stochisru.scale.formulations import Terms, add_curve, add_curves

__all__ = ["Curve", "Terms", "add_curve", "add_curves", "power_curve"]
