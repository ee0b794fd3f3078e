"""Stochastic processes and scenario trees for multistage stochastic programming.

The package knows processes, quantisations, trees, lattices and their diagnostics. It knows no application and no
solver. Notation: ``t = 0..T`` are stages one ``dt`` apart, a *node* is one possible history up to its
stage, a *leaf* is one scenario.
"""

from scenario_trees.calibration import Goodness, ProcessFit
from scenario_trees.diagnostics import LatticeCheck, TreeCheck, check, check_lattice, conditional_means
from scenario_trees.errors import CalibrationWarning, TreeError
from scenario_trees.estimation import ESTIMATED, LikelihoodFit, compare_processes, drift_prior, estimate, history
from scenario_trees.lattice import MarkovLattice
from scenario_trees.origin import Origin
from scenario_trees.processes import PROCESSES
from scenario_trees.processes.gbm import GeometricBrownianMotion
from scenario_trees.processes.hidden_regimes import HiddenRegimes
from scenario_trees.processes.historical import HistoricalIncrements
from scenario_trees.processes.jumps import Jump, JumpDiffusion
from scenario_trees.processes.mean_reverting import MeanReverting
from scenario_trees.processes.regimes import RegimeSwitching
from scenario_trees.processes.saturating import SaturatingGrowth
from scenario_trees.processes.several import CorrelatedFactors
from scenario_trees.processes.steps import DatedStep
from scenario_trees.processes.unknown_drift import DiscreteDrift, UnknownDrift
from scenario_trees.processes.varying import VaryingBrownianMotion
from scenario_trees.protocols import Process, Quantization, Sampler, ScalesWithInitial, Stepping
from scenario_trees.quantization import QUANTIZATIONS, Binomial, EqualProbability, GaussHermite, Trinomial
from scenario_trees.reduction import Reduction, forward_selection, k_means, tree_from_paths
from scenario_trees.sampling import SAMPLERS, Antithetic, PseudoRandom, Sobol
from scenario_trees.table import tree_from_table
from scenario_trees.tree import ScenarioTree

__all__ = [
    "ESTIMATED",
    "PROCESSES",
    "QUANTIZATIONS",
    "SAMPLERS",
    "Antithetic",
    "Binomial",
    "CalibrationWarning",
    "CorrelatedFactors",
    "DatedStep",
    "DiscreteDrift",
    "EqualProbability",
    "GaussHermite",
    "GeometricBrownianMotion",
    "Goodness",
    "HiddenRegimes",
    "HistoricalIncrements",
    "Jump",
    "JumpDiffusion",
    "LatticeCheck",
    "LikelihoodFit",
    "MarkovLattice",
    "MeanReverting",
    "Origin",
    "Process",
    "ProcessFit",
    "PseudoRandom",
    "Quantization",
    "Reduction",
    "RegimeSwitching",
    "Sampler",
    "SaturatingGrowth",
    "ScalesWithInitial",
    "ScenarioTree",
    "Sobol",
    "Stepping",
    "TreeCheck",
    "TreeError",
    "Trinomial",
    "UnknownDrift",
    "VaryingBrownianMotion",
    "check",
    "check_lattice",
    "compare_processes",
    "conditional_means",
    "drift_prior",
    "estimate",
    "forward_selection",
    "history",
    "k_means",
    "tree_from_paths",
    "tree_from_table",
]
