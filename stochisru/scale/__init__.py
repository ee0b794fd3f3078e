"""Economies of scale: piecewise linear curves, and how to put them into programs."""

from stochisru.scale.curve import Curve, power_curve
from stochisru.scale.fit import PieceFit, ScaleFit, fit_pieces, fit_scale
from stochisru.scale.formulations import Formulation, Terms, add_curve, add_curves
from stochisru.scale.pieces import Direction
from stochisru.scale.pyomo_curves import curve_block

__all__ = [
    "Curve",
    "Direction",
    "Formulation",
    "PieceFit",
    "ScaleFit",
    "Terms",
    "add_curve",
    "add_curves",
    "curve_block",
    "fit_pieces",
    "fit_scale",
    "power_curve",
]
