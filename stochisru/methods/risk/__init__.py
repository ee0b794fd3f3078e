"""Risk measures of the next year's value, nested over the years.

A measure gives weights: probabilities under which the expectation of the outcomes, with a penalty where the measure is
not coherent, is what they are worth. The weights at a trial point make a cut like the probabilities of the expectation
do (Shapiro 2011). One file per measure; a further one needs what `stochisru.protocols.RiskMeasure` says.
"""

from stochisru.methods.risk.adjustment import Adjusted, Nested, adjusted
from stochisru.methods.risk.chi_square import ChiSquareBall
from stochisru.methods.risk.entropic import Entropic
from stochisru.methods.risk.expectation import Expectation
from stochisru.methods.risk.mean_cvar import MeanCVaR
from stochisru.methods.risk.wasserstein import WassersteinBall
from stochisru.methods.risk.worst_case import WorstCase

__all__ = [
    "Adjusted",
    "ChiSquareBall",
    "Entropic",
    "Expectation",
    "MeanCVaR",
    "Nested",
    "WassersteinBall",
    "WorstCase",
    "adjusted",
]
