"""Economies of scale: piecewise linear curves, and how to put them into programs."""

from stochisru.programs.curves.curve import Curve, power_curve
from stochisru.programs.curves.fit import PieceFit, ScaleFit, fit_pieces, fit_scale
from stochisru.programs.curves.formulations import Formulation, Terms, add_curve, add_curves
from stochisru.programs.curves.path_model import curve_block
from stochisru.programs.curves.pieces import Direction

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
