"""Scenario trees as immutable node arrays.

Nodes are numbered stage by stage, and within a stage in the order of their parents, so the children of a
node are neighbours and node 0 is the root. Sums, maxima and copies along the tree are then segment
operations on slices; no node is ever an object.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from scenario_trees.arrays import Array, Index
from scenario_trees.errors import (
    TreeError,
    is_integer,
    is_list,
    numbers,
    require_integer,
    require_number,
    require_process,
)
from scenario_trees.files import MISSHAPEN, read_arrays, write_arrays
from scenario_trees.origin import Origin, made_from
from scenario_trees.protocols import Process, Quantization, Spread
from scenario_trees.quantization import GaussHermite

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from scenario_trees.diagnostics import TreeCheck


_FORMAT = 2
#: Arrays that a tree is made of.
_ARRAYS = ("parent", "stage", "probability", "value")
_MAX_NODES = 200_000_000
_MAX_STAGES = 10_000
#: Most lines of a picture.
_DRAWN = 2_000


def require_branching(branching: Sequence[int]) -> None:
    """Refuse branching factors that are not integers >= 1, and more stages than a tree can number."""
    for t, b in enumerate(branching):
        if not is_integer(b) or b < 1:
            raise TreeError(f"branching: every factor must be an integer >= 1, got {b!r} at stage {t}")
    if len(branching) > _MAX_STAGES:
        raise TreeError(f"branching: must have at most {_MAX_STAGES:,} factors, got {len(branching):,}")


def require_others(others: Any, names: object, rows: int) -> tuple[Array | None, tuple[str, ...]]:
    """What else is known beside ``rows`` values, as a frozen array, and the names of all."""
    given = tuple(names) if isinstance(names, (tuple, list)) else ()
    if not given or len(set(given)) < len(given) or not all(isinstance(name, str) and name for name in given):
        raise TreeError(f"names: must be one or more different names, got {names!r}")
    if others is None or np.shape(others) == (rows, 0):
        if len(given) > 1:
            raise TreeError(f"others: must be given, there are {len(given)} names: {', '.join(given)}")
        return None, given
    array = np.array(numbers("others", others))
    if array.shape != (rows, len(given) - 1) or not np.isfinite(array).all():
        raise TreeError(f"others: must be finite and of shape {(rows, len(given) - 1)}, got shape {array.shape}")
    array.setflags(write=False)
    return array, given


@dataclass(frozen=True, eq=False, repr=False)
class ScenarioTree:
    """A scenario tree in stage-major order.

    Parameters
    ----------
    parent
        Parent of every node, −1 for the root; non-decreasing.
    stage
        Stage of every node, 0 for the root; all leaves have the last stage.
    probability
        Unconditional probability; the children of a node share its probability.
    value
        Value of the process, ≥ 0 and finite; of several factors the first.
    others
        What else is known at every node, one column each: further factors, a regime; shape ``(nodes, k − 1)``. None if
        not given.
    names
        Names of the value and of the columns of ``others``.

    Attributes
    ----------
    origin
        Process and step that the tree was made from by `from_process`; None for a tree of one's own numbers, which
        claims to be nobody's, and for a copy with other arrays (`dataclasses.replace`). Branches and saved trees keep
        it. It takes no part in equality and `digest`, which are of the arrays.

    Raises
    ------
    TreeError
        If the arrays do not describe such a tree; the message names the array and the first bad node.
    """

    parent: NDArray[np.int32]
    stage: NDArray[np.int16]
    probability: Array
    value: Array
    others: Array | None = None
    names: tuple[str, ...] = ("value",)
    origin: Origin | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        for name, dtype in (
            ("parent", np.int32),
            ("stage", np.int16),
            ("probability", np.float64),
            ("value", np.float64),
        ):
            given = getattr(self, name)
            if np.ndim(given) != 1:
                raise TreeError(f"{name}: must have one dimension, got {np.ndim(given)}")
            kind = np.asarray(given).dtype.kind
            if kind not in ("iu" if np.issubdtype(dtype, np.integer) else "iuf"):
                raise TreeError(f"{name}: must hold {'integers' if dtype is not np.float64 else 'numbers'}")
            frozen = isinstance(given, np.ndarray) and not given.flags.writeable and given.base is None
            # The caller keeps the right to write to its own array.
            array = np.asarray(given, dtype=dtype) if frozen else np.array(given, dtype=dtype)
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        others, names = require_others(self.others, self.names, self.value.size)
        object.__setattr__(self, "others", others)
        object.__setattr__(self, "names", names)
        self._validate()

    def _validate(self) -> None:
        n = self.parent.size
        if n == 0 or not (self.stage.shape == self.probability.shape == self.value.shape == (n,)):
            raise TreeError(
                "parent, stage, probability, value: must be one-dimensional, of one length >= 1, got lengths "
                f"{self.parent.size}, {self.stage.size}, {self.probability.size}, {self.value.size}"
            )
        if self.parent[0] != -1 or self.stage[0] != 0:
            raise TreeError("parent, stage: node 0 must be the root (parent -1, stage 0)")
        parent = self.parent[1:]
        order = (parent < 0) | (parent >= np.arange(1, n))
        order[1:] |= np.diff(parent) < 0
        if order.any():
            bad = int(np.flatnonzero(order)[0]) + 1
            raise TreeError(f"parent: must be known before and non-decreasing, violated at node {bad}")
        wrong = self.stage[1:] != self.stage[parent] + 1
        if wrong.any():
            bad = int(np.flatnonzero(wrong)[0]) + 1
            raise TreeError(f"stage: must be the parent's stage + 1, violated at node {bad}")
        leaf = self.child_count == 0
        if (self.stage[leaf] != self.stage[-1]).any():
            bad = int(np.flatnonzero(leaf)[0])
            raise TreeError(f"stage: all leaves must have the last stage, node {bad} ends early")
        if not (np.isfinite(self.value) & (self.value >= 0)).all():
            bad = int(np.flatnonzero(~(np.isfinite(self.value) & (self.value >= 0)))[0])
            raise TreeError(f"value: must be >= 0 and finite, got {float(self.value[bad])} at node {bad}")
        if not (self.probability >= 0).all():
            bad = int(np.flatnonzero(~(self.probability >= 0))[0])
            raise TreeError(f"probability: must lie in [0, 1], got {float(self.probability[bad])} at node {bad}")
        if abs(self.probability[0] - 1) > 1e-9:
            raise TreeError(f"probability: the root must have probability 1, got {float(self.probability[0])}")
        if n > 1:
            inner = self.offsets[-2]
            sums = np.add.reduceat(self.probability[1:], self.first_child[:inner] - 1)
            off = np.abs(sums - self.probability[:inner]) > 1e-9
            if off.any():
                bad = int(np.flatnonzero(off)[0])
                raise TreeError(
                    f"probability: the children of node {bad} must sum to {float(self.probability[bad])}, "
                    f"got {float(sums[bad])}"
                )
        for name in ("child_count", "first_child"):  # twice the size of the tree: made again when needed
            vars(self).pop(name, None)

    @classmethod
    def from_process(
        cls,
        process: Process,
        branching: Sequence[int | tuple[int, ...]],
        quantization: Quantization | None = None,
        dt: float = 1.0,
    ) -> ScenarioTree:
        """Build the tree whose stage ``t`` has ``branching[t]`` children per node and kind of future.

        Parameters
        ----------
        process
            Process whose values the nodes take. A geometric Brownian motion has one kind of future; a process of
            regimes has one per regime that may follow, so its nodes have several times ``branching[t]`` children, and
            one that may end has one child of value 0 more. Nodes of value 0 have one child.
        branching
            Values per kind of future at stages 0..T−1, each >= 1; of several factors a tuple, one number for each.
        quantization
            Growth factors of a step; Gauss–Hermite if not given. Those of the package refuse what only looks like a
            `GeometricBrownianMotion`.
        dt
            Time between two stages, > 0.
        """
        from scenario_trees.growing import grown

        require_process(process)
        if not is_list(branching):
            raise TreeError(f"branching: must be branches per year, as in [3, 3], got {branching!r}")
        branching = list(branching)
        quantization = GaussHermite() if quantization is None else quantization
        if not callable(getattr(quantization, "growth", None)):
            raise TreeError(f"quantization: must be one of scenario_trees, got {type(quantization).__name__}")
        require_number("dt", dt, low=0.0, strict=True)
        parts = grown(process, branching, quantization, dt, _MAX_NODES)
        for array in parts.values():
            array.setflags(write=False)
        names = getattr(process, "names", ("value",))
        return made_from(Origin.of(process, dt), cls(**parts, names=names))

    def _repr_html_(self) -> str:
        """What the tree is and its first nodes, for a notebook."""
        return f"<p>{escape(repr(self))}</p>{self.to_frame().to_html(max_rows=12)}"

    def plot(self) -> Figure:
        """The tree as lines from nodes to their children, a node as high as its value, a line as dark as it is likely.

        Of a tree of many nodes the lines are those of the first 2,000.
        """
        from matplotlib.collections import LineCollection
        from matplotlib.figure import Figure

        child = np.arange(1, min(self.n_nodes, _DRAWN + 1))
        parent = self.parent[child]
        ends = np.stack([parent, child], axis=1)
        lines = np.stack([self.stage[ends], self.value[ends]], axis=2)
        figure = Figure(figsize=(6.4, 4.0), layout="constrained")
        axes = figure.subplots()
        shade = 0.2 + 0.8 * np.sqrt(self.probability[child])
        axes.add_collection(LineCollection(list(lines), colors=[(0.1, 0.2, 0.4, a) for a in shade.tolist()]))
        axes.autoscale()
        axes.set_xlabel("year")
        axes.set_ylabel(self.names[0])
        return figure

    # ------------------------------------------------------------------ shape

    @property
    def n_nodes(self) -> int:
        """Number of nodes."""
        return int(self.parent.size)

    @property
    def horizon(self) -> int:
        """Last stage T."""
        return int(self.stage[-1])

    @property
    def n_leaves(self) -> int:
        """Number of leaves (scenarios)."""
        return int(self.offsets[-1] - self.offsets[-2])

    @cached_property
    def offsets(self) -> Index:
        """First node of every stage and, last, the number of nodes; shape ``(T + 2,)``."""
        return np.searchsorted(self.stage, np.arange(self.horizon + 2)).astype(np.int64)

    @cached_property
    def child_count(self) -> Index:
        """Number of children of every node."""
        return np.bincount(self.parent[1:], minlength=self.n_nodes).astype(np.int64)

    @cached_property
    def first_child(self) -> Index:
        """First child of every node (meaningless for leaves)."""
        return 1 + np.concatenate([[0], np.cumsum(self.child_count)[:-1]])

    def factor(self, name: str) -> Array:
        """Values of one factor, or of what else is known, at every node; `TreeError` if there is none of that name."""
        if not isinstance(name, str) or name not in self.names:
            raise TreeError(f"factor: must be one of {', '.join(self.names)}, got {name!r}")
        at = self.names.index(name)
        return self.value if at == 0 or self.others is None else self.others[:, at - 1]

    @property
    def branching(self) -> tuple[int, ...] | None:
        """Children per node at each stage, or None where nodes of one stage differ."""
        factors = []
        for t in range(self.horizon):
            counts = self.child_count[self.at(t)]
            if (counts != counts[0]).any():
                return None
            factors.append(int(counts[0]))
        return tuple(factors)

    def at(self, stage: int) -> slice:
        """Nodes of one stage, as a slice into the node arrays."""
        return slice(int(self.offsets[stage]), int(self.offsets[stage + 1]))

    @property
    def leaves(self) -> slice:
        """The leaves, as a slice into the node arrays."""
        return self.at(self.horizon)

    # ------------------------------------------------------------- operations

    def as_belief(self) -> ScenarioTree:
        """The same tree as one's own belief about the future: it is no longer checked against any process.

        Methods refuse a tree that was made from another process than a case's demand; this one they take as it is.
        """
        return replace(self)  # copies have no origin

    def ancestor(self, lag: int) -> Index:
        """Ancestor of every node ``lag`` stages up, or the root where there is none."""
        require_integer("lag", lag, 0)
        above = np.arange(self.n_nodes, dtype=np.int64)
        step = np.maximum(self.parent, 0)
        for _ in range(min(lag, self.horizon)):
            above = step[above].astype(np.int64)
        return above

    def node_paths(self) -> Index:
        """Nodes on the way to every leaf, shape ``(leaves, T + 1)``."""
        out = np.empty((self.n_leaves, self.horizon + 1), dtype=np.int64)
        out[:, -1] = np.arange(self.offsets[-2], self.offsets[-1])
        for t in range(self.horizon, 0, -1):
            out[:, t - 1] = self.parent[out[:, t]]
        return out

    def branch(self, node: int) -> tuple[ScenarioTree, Index]:
        """Tree of what may happen given ``node``: the way to it, each step certain, and everything below.

        Returns
        -------
        branch
            Tree of the same horizon, root and origin.
        origin
            Node of this tree that each node of the branch is.
        """
        require_integer("node", node, 0, self.n_nodes - 1)
        way = [node]
        while way[0] > 0:
            way.insert(0, int(self.parent[way[0]]))
        levels = [np.array([n], dtype=np.int64) for n in way]
        for _ in range(len(way) - 1, self.horizon):
            # Nodes are in the order of their parents, so those below one node are a range on every stage.
            first, last = levels[-1][0], levels[-1][-1]
            levels.append(np.arange(self.first_child[first], self.first_child[last] + self.child_count[last]))
        origin = np.concatenate(levels)
        place = np.zeros(self.n_nodes, dtype=np.int64)
        place[origin] = np.arange(origin.size)
        parent = place[self.parent[origin]]
        parent[0] = -1
        if self.probability[node] > 0:
            probability = self.probability[origin] / self.probability[node]
        else:  # given that it is there, all its children are alike
            probability = np.ones(origin.size)
            for i in range(len(way), origin.size):  # parents come first
                probability[i] = probability[parent[i]] / self.child_count[self.parent[origin[i]]]
        probability[: len(way)] = 1.0
        tree = ScenarioTree(
            parent=parent.astype(np.int32),
            stage=self.stage[origin],
            probability=probability,
            value=self.value[origin],
            others=None if self.others is None else self.others[origin],
            names=self.names,
        )
        return made_from(self.origin, tree), origin

    def children_sum(self, values: Array, stage: int) -> Array:
        """Sum ``values`` (one per node of ``stage + 1``) over the children of every node of ``stage``."""
        starts = self.first_child[self.at(stage)] - self.offsets[stage + 1]
        return np.asarray(np.add.reduceat(values, starts))

    def _children_maximum(self, values: Array, stage: int) -> Array:
        starts = self.first_child[self.at(stage)] - self.offsets[stage + 1]
        return np.asarray(np.maximum.reduceat(values, starts))

    def subtree_maximum(self, stage: int) -> list[Array]:
        """Largest value at ``stage`` or later below every node of each stage 0..``stage``."""
        best = self.value[self.leaves]
        for t in range(self.horizon - 1, stage - 1, -1):
            best = np.maximum(self._children_maximum(best, t), self.value[self.at(t)])
        levels = [best]
        for t in range(stage - 1, -1, -1):
            levels.append(self._children_maximum(levels[-1], t))
        return levels[::-1]

    def stage_mean(self, values: Array | None = None) -> Array:
        """Expectation per stage of node values (the process by default), shape ``(T + 1,)``."""
        values = self.value if values is None else values
        return np.asarray(np.add.reduceat(self.probability * values, self.offsets[:-1]))

    def check(self, process: Spread, dt: float = 1.0, paths: int | None = None) -> TreeCheck:
        """Compare the tree with a process: see `scenario_trees.diagnostics.check`."""
        from scenario_trees.diagnostics import check

        require_process(process)
        return check(self, process, dt, paths)

    # -------------------------------------------------------------------- i/o

    def to_frame(self) -> pd.DataFrame:
        """One row per node: ``parent``, ``stage``, ``probability``, ``value``, and the names of what else is known."""
        import pandas as pd

        columns = {
            "parent": self.parent,
            "stage": self.stage,
            "probability": self.probability,
            "value": self.value,
        } | {name: self.factor(name) for name in self.names[1:]}
        return pd.DataFrame(columns, index=pd.RangeIndex(self.n_nodes, name="node"))

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the tree to one compressed ``.npz`` file, atomically; return its path."""
        target = Path(path)
        origin = None if self.origin is None else self.origin.to_dict()
        header: dict[str, Any] = {"format": _FORMAT, "nodes": self.n_nodes, "origin": origin}
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        if self.others is not None:
            header["names"], arrays["others"] = list(self.names), self.others
        elif self.names != ("value",):
            header["names"] = list(self.names)
        try:
            write_arrays(target, header, arrays)
        except OSError as error:
            raise TreeError(f"path: cannot write the tree to {target}: {error.strerror}") from error
        return target

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> ScenarioTree:
        """Read a tree written by `save`; raise `TreeError` for anything else.

        Files of format 1 say nothing of the process: their trees come back as one's own.
        """
        try:
            header, arrays = read_arrays(Path(path))
            if header.get("format") not in range(1, _FORMAT + 1):
                raise TreeError(
                    f"path: {path} has tree format {header.get('format')!r}, this version reads 1 to {_FORMAT}"
                )
            names = tuple(header.get("names", ("value",)))
            tree = cls(**{name: arrays[name] for name in _ARRAYS}, others=arrays.get("others"), names=names)
            return made_from(Origin.from_dict(header.get("origin")), tree)
        except OSError as error:
            raise TreeError(f"path: cannot read a tree from {path}: {error.strerror or error}") from error
        except TreeError:
            raise
        except MISSHAPEN as error:
            raise TreeError(f"path: {path} is not a saved tree") from error

    def digest(self) -> str:
        """Hash of the arrays, for manifests and checkpoints."""
        sha = hashlib.sha256()
        for name in _ARRAYS:
            sha.update(np.ascontiguousarray(getattr(self, name)).tobytes())
        if self.others is not None:
            sha.update(np.ascontiguousarray(self.others).tobytes())
        return sha.hexdigest()[:16]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ScenarioTree):
            return NotImplemented
        parts = ("others", *_ARRAYS) if self.others is not None or other.others is not None else _ARRAYS
        return self.names == other.names and all(np.array_equal(getattr(self, n), getattr(other, n)) for n in parts)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        shape = self.branching
        kind = "irregular" if shape is None else ",".join(map(str, shape)) or "one node"
        return f"ScenarioTree({kind}: {self.n_nodes:,} nodes, {self.n_leaves:,} leaves, T = {self.horizon})"
