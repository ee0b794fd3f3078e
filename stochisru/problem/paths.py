"""Paths as trees: a certain one, the mean path of a tree, and many that share their first year.

Paths of one factor have shape ``(paths, T + 1)``, of several ``(paths, T + 1, factors)`` in the order of
`stochisru.problem.Model.factors`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import ArrayLike

from scenario_trees.arrays import Array, Index
from scenario_trees.errors import is_list, numbers
from scenario_trees.lattice import MarkovLattice
from scenario_trees.tree import ScenarioTree
from stochisru.errors import InputError, require_kind

if TYPE_CHECKING:
    from stochisru.problem.model import Model


def chain(values: ArrayLike, names: Sequence[str] = ("value",)) -> ScenarioTree:
    """A tree with one node per stage: a path that is certain.

    Parameters
    ----------
    values
        Shape ``(T + 1,)``; of several factors ``(T + 1, factors)``.
    names
        Names of the factors.
    """
    path = _numbers(values)
    if path.ndim not in (1, 2) or not path.size:
        raise InputError(f"path: must have one number per year, got shape {path.shape}")
    path = path.reshape(path.shape[0], -1)
    stages = np.arange(path.shape[0])
    return _tree(stages - 1, stages, np.ones(stages.size), path, names)


def fan(paths: ArrayLike, probability: ArrayLike | None = None, names: Sequence[str] = ("value",)) -> ScenarioTree:
    """A tree whose scenarios are given paths: all share the root, and none another node.

    Whoever is at a node of year 1 knows the rest of the path, so a fan is for plans that are fixed in advance and for
    what is operated year by year.

    Parameters
    ----------
    paths
        Shape ``(paths, T + 1)``, T ≥ 1, alike in year 0; of several factors ``(paths, T + 1, factors)``.
    probability
        Of each path; alike if not given.
    names
        Names of the factors.

    Raises
    ------
    InputError
        If the paths have another shape or differ in year 0.
    """
    if not is_list(names) or not all(isinstance(name, str) for name in names) or len(names) < 1:
        raise InputError(f"names: must be names of the factors, got {names!r}")
    values = _shaped(_numbers(paths), names)
    if values.shape[0] < 1 or values.shape[1] < 2:
        raise InputError(f"paths: must be one or more, of two years or more, got shape {np.shape(paths)}")
    if not np.isfinite(values).all() or (values[:, :, 0] < 0).any():
        raise InputError(f"paths: must be finite numbers, {names[0]} >= 0, got {values.min():g}")
    if (values[:, 0] != values[0, 0]).any():
        first = values[:, 0, int((values[:, 0] != values[0, 0]).any(axis=0).argmax())]
        raise InputError(f"paths: must be alike in year 0, got {first.min():g} to {first.max():g}")
    n, T = values.shape[0], values.shape[1] - 1
    share = np.full(n, 1 / n) if probability is None else numbers("probability", probability)
    parent = np.concatenate([[-1], np.zeros(n), np.arange(1, n * (T - 1) + 1)])
    stage = np.concatenate([[0], np.repeat(np.arange(1, T + 1), n)])
    seen = np.concatenate([values[0, :1], values[:, 1:].swapaxes(0, 1).reshape(n * T, -1)])
    return _tree(parent, stage, np.concatenate([[1.0], np.tile(share, T)]), seen, names)


def _numbers(given: ArrayLike) -> Array:
    try:
        return np.asarray(given, dtype=float)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"paths: must be numbers, of shape (paths, years) or (paths, years, factors), got {type(given).__name__}"
        ) from error


def _tree(
    parent: Array | Index, stage: Array | Index, probability: Array, seen: Array, names: Sequence[str]
) -> ScenarioTree:
    """A tree of what is seen at its nodes, shape ``(nodes, names)``."""
    if seen.shape[1] != len(names):
        raise InputError(f"path: must have {len(names)} numbers a year, {', '.join(names)}, got {seen.shape[1]}")
    others = seen[:, 1:] if len(names) > 1 else None
    return ScenarioTree(
        parent.astype(np.int32), stage.astype(np.int16), probability, seen[:, 0], others=others, names=tuple(names)
    )


def _shaped(values: Array, names: Sequence[str]) -> Array:
    """Paths with an axis of factors, shape ``(paths, T + 1, factors)``."""
    k = len(names)
    wanted = "(paths, years)" if k == 1 else f"(paths, years, {k}), factors in the order {', '.join(names)}"
    if values.ndim == 2 and k == 1:
        return values[:, :, None]
    if values.ndim != 3 or values.shape[2] != k:
        raise InputError(f"paths: must have shape {wanted}, got {values.shape}")
    return values


@dataclass(frozen=True, eq=False)
class Paths:
    """Paths of what is seen of a model's process: its factors, and what else is known beside them.

    Attributes
    ----------
    values
        Shape ``(paths, T + 1, names)``.
    names
        The model's factors in its order, then what else is seen: a regime, a factor that the model does not use.
    """

    values: Array
    names: tuple[str, ...]

    def __len__(self) -> int:
        return int(self.values.shape[0])

    def __getitem__(self, chosen: Index | slice) -> Paths:
        return replace(self, values=self.values[chosen])

    def of_factors(self, model: Model) -> Array:
        """Paths of the model's factors alone, shape ``(paths, T + 1, factors)``."""
        return self.values[:, :, : len(_named(model))]

    def fan(self) -> ScenarioTree:
        """The paths as a tree."""
        return fan(self.values, names=self.names)

    @classmethod
    def of(cls, model: Model, given: Paths | ArrayLike) -> Paths:
        """Paths that a user gives: of the factors of the model.

        Parameters
        ----------
        given
            Shape ``(paths, T + 1)``, of several factors ``(paths, T + 1, factors)`` in the order of the model.

        Raises
        ------
        InputError
            If the shape is another, or they have other years than the model.
        """
        if not isinstance(given, Paths):
            names = _named(model)
            given = cls(_shaped(_numbers(given), names), names)
        if given.values.shape[1] != model.horizon + 1:
            raise InputError(
                f"paths: need one number per year 0..{model.horizon} for {model.name}, got {given.values.shape[1]}"
            )
        return given

    @classmethod
    def seen(cls, model: Model, what: str, values: Array, names: Sequence[str]) -> Paths:
        """Paths of all that has names, shape ``(paths, T + 1, names)``, in the order and words of the model."""
        columns = model.seen_among(what, tuple(names))
        return cls(values[:, :, list(columns.values())], tuple(columns))

    @classmethod
    def down(cls, model: Model, tree: ScenarioTree, nodes: Index) -> Paths:
        """Ways down a tree, given by their nodes, shape ``(paths, T + 1)``: all are `ScenarioTree.node_paths`."""
        known = np.stack([tree.factor(name)[nodes] for name in tree.names], axis=2)
        return cls.seen(model, "tree", known, tree.names)

    @classmethod
    def of_states(cls, model: Model, lattice: MarkovLattice, states: Index) -> Paths:
        """Paths of states of a lattice, shape ``(T + 1, paths)``."""
        if lattice.horizon != model.horizon:
            raise InputError(
                f"process: needs one stage per year, {model.horizon} for {model.name}, got {lattice.horizon}"
            )
        seen = [lattice.known(t)[state] for t, state in enumerate(states)]
        return cls.seen(model, "lattice", np.stack(seen, axis=1), lattice.names)

    @classmethod
    def driven(cls, model: Model, process: Any, normals: Array) -> Paths:
        """Paths that standard normal numbers drive through a process.

        Parameters
        ----------
        process
            Gives ``state_paths`` and their ``names`` (`scenario_trees.protocols.Stepping`), or ``paths`` of one value.
        normals
            Shape ``(draws·T, paths)``.

        Raises
        ------
        InputError
            If the process lacks a factor of the model.
        """
        names, states = ("value",), getattr(process, "state_paths", None)
        if states is None:
            values = np.asarray(process.paths(normals), dtype=float)[:, :, None]
        else:
            names, values = tuple(process.names), np.asarray(states(normals), dtype=float)
        return cls.seen(model, "process", np.ascontiguousarray(values.swapaxes(0, 1)), names)


def _named(model: Model) -> tuple[str, ...]:
    """Names of what paths are of; a model without factors has paths of one number that it does not look at."""
    return cast("tuple[str, ...]", model.factors) or ("value",)


def chain_of(model: Model, path: ArrayLike) -> ScenarioTree:
    """A path of the factors of a model as a tree.

    Parameters
    ----------
    path
        Shape ``(T + 1,)``; of several factors ``(T + 1, factors)`` in the order of the model.
    """
    values = np.atleast_1d(_numbers(path))
    if len(values) != model.horizon + 1:
        raise InputError(f"path: must have one number per year 0..{model.horizon} of {model.name}, got {len(values)}")
    return chain(values, _named(model))


def mean_path(tree: ScenarioTree) -> ScenarioTree:
    """The path on which every factor is at its mean; coefficients that are functions are taken there.

    A product of two correlated factors is then that of their means, and not its mean: who plans with the mean path
    plans otherwise where the product is itself the factor.
    """
    require_kind("tree", tree, ScenarioTree, "a ScenarioTree")
    path = chain(tree.stage_mean())
    if tree.others is None:
        return path
    others = np.stack([tree.stage_mean(column) for column in tree.others.T], axis=1)
    return replace(path, others=others, names=tree.names)
