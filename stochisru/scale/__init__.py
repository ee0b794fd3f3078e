"""Economies of scale: piecewise linear curves, and how to put them into programs."""

from stochisru.scale.curve import Curve, power_curve

__all__ = ["Curve", "power_curve"]
