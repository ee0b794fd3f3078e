"""Paths as trees: a certain one, the mean path of a tree, and many that share their first year."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from scenario_trees.tree import ScenarioTree
from stochisru.errors import InputError


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


def fan(paths: ArrayLike, probability: ArrayLike | None = None) -> ScenarioTree:
    """A tree whose scenarios are given paths: all share the root, and none another node.

    Whoever is at a node of year 1 knows the rest of the path, so a fan is for plans that are fixed in advance and for
    what is operated year by year.

    Parameters
    ----------
    paths
        Shape ``(paths, T + 1)``, T ≥ 1, alike in year 0.
    probability
        Of each path; alike if not given.

    Raises
    ------
    InputError
        If the paths have another shape or differ in year 0.
    """
    try:
        values = np.asarray(paths, dtype=float)
    except (TypeError, ValueError) as error:
        raise InputError(f"paths: must be numbers of shape (paths, years), got {type(paths).__name__}") from error
    if values.ndim != 2 or values.shape[0] < 1 or values.shape[1] < 2:
        raise InputError(f"paths: must have shape (paths, years) with two years or more, got {values.shape}")
    if not (np.isfinite(values) & (values >= 0)).all():
        raise InputError(f"paths: must be finite numbers >= 0, got {values.min():g}")
    if (values[:, 0] != values[0, 0]).any():
        raise InputError(f"paths: must be alike in year 0, got {values[:, 0].min():g} to {values[:, 0].max():g}")
    n, T = values.shape[0], values.shape[1] - 1
    share = np.full(n, 1 / n) if probability is None else np.asarray(probability, dtype=float)
    parent = np.concatenate([[-1], np.zeros(n), np.arange(1, n * (T - 1) + 1)])
    stage = np.concatenate([[0], np.repeat(np.arange(1, T + 1), n)])
    return ScenarioTree(
        parent.astype(np.int32),
        stage.astype(np.int16),
        np.concatenate([[1.0], np.tile(share, T)]),
        np.concatenate([values[0, :1], values[:, 1:].T.ravel()]),
    )


def mean_path(tree: ScenarioTree) -> ScenarioTree:
    """The path on which every factor is at its mean; coefficients that are functions are taken there."""
    path = chain(tree.stage_mean())
    if tree.others is None:
        return path
    others = np.stack([tree.stage_mean(column) for column in tree.others.T], axis=1)
    return replace(path, others=others, names=tree.names)
