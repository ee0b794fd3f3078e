"""The processes of the package: one file per member of the family, and their names."""

from __future__ import annotations

from typing import Any

from scenario_trees.processes.gbm import GeometricBrownianMotion
from scenario_trees.processes.hidden_regimes import HiddenRegimes
from scenario_trees.processes.historical import HistoricalIncrements
from scenario_trees.processes.jumps import Jump, JumpDiffusion
from scenario_trees.processes.markov import MarkovProcess
from scenario_trees.processes.mean_reverting import MeanReverting
from scenario_trees.processes.regimes import RegimeSwitching
from scenario_trees.processes.saturating import SaturatingGrowth
from scenario_trees.processes.several import CorrelatedFactors
from scenario_trees.processes.steps import DatedStep
from scenario_trees.processes.unknown_drift import DiscreteDrift, UnknownDrift
from scenario_trees.processes.varying import VaryingBrownianMotion

#: A process with one value.
OneFactor = GeometricBrownianMotion | MarkovProcess | HistoricalIncrements

#: Every member by the name of its class; files and tests find them here.
PROCESSES: dict[str, Any] = {
    member.__name__: member
    for member in (
        GeometricBrownianMotion,
        JumpDiffusion,
        MeanReverting,
        RegimeSwitching,
        HiddenRegimes,
        UnknownDrift,
        DiscreteDrift,
        SaturatingGrowth,
        DatedStep,
        VaryingBrownianMotion,
        CorrelatedFactors,
        HistoricalIncrements,
    )
}

__all__ = [
    "PROCESSES",
    "CorrelatedFactors",
    "DatedStep",
    "DiscreteDrift",
    "GeometricBrownianMotion",
    "HiddenRegimes",
    "HistoricalIncrements",
    "Jump",
    "JumpDiffusion",
    "MarkovProcess",
    "MeanReverting",
    "OneFactor",
    "RegimeSwitching",
    "SaturatingGrowth",
    "UnknownDrift",
    "VaryingBrownianMotion",
]
