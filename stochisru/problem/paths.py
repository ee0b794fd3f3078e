"""Single paths as trees: the mean path of a tree, and paths of one's own."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from scenario_trees.tree import ScenarioTree


def chain(values: ArrayLike) -> ScenarioTree:
    """A tree with one node per stage: a path that is certain.

    Parameters
    ----------
    values
        Shape ``(T + 1,)``.
    """
    path = np.asarray(values, dtype=float)
    parent, stage = np.arange(path.size, dtype=np.int32) - 1, np.arange(path.size, dtype=np.int16)
    return ScenarioTree(parent.astype(np.int32), stage, np.ones(path.size), path)


def mean_path(tree: ScenarioTree) -> ScenarioTree:
    """The path on which every factor is at its mean; coefficients that are functions are taken there."""
    return chain(tree.stage_mean())
