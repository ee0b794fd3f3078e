"""Markov lattices: few states per stage and the probabilities of going from one to the next.

A lattice recombines, so its size grows with the horizon and not with the number of histories: it stands where a
`ScenarioTree` of the same horizon cannot be stored. The price is that the conditional mean of the process is kept on
average over the states of a stage and not in each of them; `LatticeCheck` says by how much.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from scenario_trees.arrays import Array, Index
from scenario_trees.discretised import states_of_process
from scenario_trees.errors import TreeError, numbers, require_integer, require_number, require_process
from scenario_trees.files import MISSHAPEN, read_arrays, write_arrays
from scenario_trees.growing import unfolded
from scenario_trees.origin import Origin, made_from, plain
from scenario_trees.protocols import Process, Quantization, Sampler, Spread
from scenario_trees.quantization import GaussHermite
from scenario_trees.sampling import require_sampler
from scenario_trees.states import MAX_STATES, recombined_states, states_of_paths
from scenario_trees.tree import ScenarioTree, require_branching, require_others

if TYPE_CHECKING:
    import pandas as pd

    from scenario_trees.diagnostics import LatticeCheck


_FORMAT = 2
_MAX_HORIZON = 10_000


@dataclass(frozen=True, eq=False, repr=False)
class MarkovLattice:
    """States and transition probabilities, stage by stage.

    Parameters
    ----------
    values
        Value of the process in every state, one array per stage 0..T, ≥ 0, finite and ascending; stage 0 has one
        state. Of several factors the first.
    transitions
        Probability of going from state i of stage t to state j of stage t + 1, one array of shape
        ``(states of t, states of t + 1)`` per stage 0..T−1; every row sums to 1.
    others
        What else is known in every state, one array of shape ``(states, k − 1)`` per stage: further factors, a regime.
        States of equal value then differ by it. None if not given.
    names
        Names of the value and of the columns of ``others``.

    Attributes
    ----------
    origin
        Process and step that the lattice was made from; None for one of one's own numbers, and for a copy with other
        arrays (`dataclasses.replace`). It takes no part in equality and `digest`, which are of the arrays.

    Raises
    ------
    TreeError
        If the arrays do not describe such a lattice; the message names the array, the stage and the state.

    Examples
    --------
    >>> from scenario_trees import GeometricBrownianMotion, MarkovLattice
    >>> MarkovLattice.from_process(GeometricBrownianMotion(1000.0, 0.2, 0.2), horizon=50, states=30)
    MarkovLattice(T = 50, up to 30 states a stage, 1,501 states)
    """

    values: tuple[Array, ...]
    transitions: tuple[Array, ...]
    others: tuple[Array, ...] | None = None
    names: tuple[str, ...] = ("value",)
    origin: Origin | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        for name, dimensions in (("values", 1), ("transitions", 2)):
            given = getattr(self, name)
            if isinstance(given, (str, bytes)) or not hasattr(given, "__iter__"):
                raise TreeError(f"{name}: must be a sequence of arrays, one per stage")
            arrays = []
            for t, item in enumerate(given):
                if np.asarray(item).dtype.kind not in "iuf" or np.ndim(item) != dimensions:
                    raise TreeError(f"{name}: must hold numbers in {dimensions} dimension(s), violated at stage {t}")
                array = np.array(item, dtype=np.float64)  # the caller keeps the right to write to its own array
                array.setflags(write=False)
                arrays.append(array)
            object.__setattr__(self, name, tuple(arrays))
        self._keep_others()
        self._validate()

    def _keep_others(self) -> None:
        if self.others is not None and len(self.others) != len(self.values):
            raise TreeError(f"others: must be one array per stage, {len(self.values)}, got {len(self.others)}")
        given = self.others or (None,) * len(self.values)
        kept = [require_others(other, self.names, value.size) for other, value in zip(given, self.values, strict=True)]
        object.__setattr__(self, "names", kept[0][1] if kept else tuple(self.names))
        found = tuple(other for other, _ in kept if other is not None)
        object.__setattr__(self, "others", found if found else None)

    def _validate(self) -> None:
        if len(self.values) != len(self.transitions) + 1:
            raise TreeError(
                f"transitions: must have one matrix less than there are stages, got {len(self.transitions)} "
                f"for {len(self.values)} stages"
            )
        if self.values[0].size != 1:
            raise TreeError(f"values: stage 0 must have 1 state, got {self.values[0].size}")
        for t, value in enumerate(self.values):
            good = np.isfinite(value) & (value >= 0)
            good[1:] &= (np.diff(value) > 0) if self.others is None else (np.diff(value) >= 0)
            if value.size == 0 or not good.all():
                where = f"state {int(np.flatnonzero(~good)[0])}" if value.size else "no state"
                raise TreeError(f"values: must be >= 0, finite and ascending, violated at stage {t}, {where}")
        for t, matrix in enumerate(self.transitions):
            shape = (self.values[t].size, self.values[t + 1].size)
            if matrix.shape != shape:
                raise TreeError(f"transitions: must have shape {shape} at stage {t}, got {matrix.shape}")
            sums = matrix.sum(axis=1)
            bad = ~((matrix >= 0).all(axis=1) & (np.abs(sums - 1) <= 1e-9))  # also finds NaN
            if bad.any():
                i = int(np.flatnonzero(bad)[0])
                raise TreeError(
                    f"transitions: every row must be >= 0 and sum to 1, row {i} of stage {t} sums to {sums[i]:g}"
                )

    # ------------------------------------------------------------ construction

    @classmethod
    def from_process(
        cls, process: Process, horizon: int, states: int | tuple[int, ...], dt: float = 1.0, tilt: float = 0.0
    ) -> MarkovLattice:
        """Quantise the law of every stage into bins.

        A state is worth the conditional mean of its bin, so the mean of every stage is exact. Transition probabilities
        are those of the process between bins: an integral over the normal law of the first stage, by Gauss–Legendre
        quadrature on pieces no longer than the kernel is wide; its error is about 1e-14. Rows are then divided by
        their sums. Other processes of one value go by a fine chain (`scenario_trees.chains`); several factors, and
        hidden regimes, by cells of Sobol paths, so that their means have a sampling error.

        Parameters
        ----------
        process
            Process whose values the states take; without volatility every stage has one state. What only looks like a
            `GeometricBrownianMotion` is refused.
        horizon
            Last stage T >= 0.
        states
            States of every stage but the first, >= 1; of a process with regimes, or whose step may have come, in each
            of these; the value 0 is one more. Of several factors a tuple, one number for each.
        dt
            Time between two stages.
        tilt
            Bins have equal shares of ``(1 − tilt)·probability + tilt·mean``, in [0, 1]. 0: equal probability. After
            many stages the few highest paths carry most of the mean, and one bin of equal probability holds them all;
            with 0.5 both ends are resolved (30 stages of σ = 0.2, 100 states: the error of the optimum falls from
            0.7 % to 0.3 %, the loss of the lattice's policy on fresh paths from 0.5 % to 0.1 %).
        """
        require_process(process)
        _require_size(horizon, *(states if isinstance(states, tuple) and states else (states,)))
        require_number("dt", dt, low=0.0, strict=True)
        if require_number("tilt", tilt, low=0.0) > 1:
            raise TreeError(f"tilt: must be in [0, 1], got {tilt!r}")
        found, transitions = states_of_process(plain(process), horizon, states, dt, tilt)
        names = getattr(plain(process), "names", ("value",))
        return made_from(Origin.of(process, dt), cls._of_states(found, transitions, names))

    @classmethod
    def _of_states(cls, states: Sequence[Array], transitions: Sequence[Array], names: tuple[str, ...]) -> MarkovLattice:
        others = tuple(state[:, 1:] for state in states) if len(names) > 1 else None
        return cls(tuple(state[:, 0] for state in states), tuple(transitions), others, names)

    @classmethod
    def from_growth(
        cls,
        process: Process,
        branching: Sequence[int],
        quantization: Quantization | None = None,
        dt: float = 1.0,
    ) -> MarkovLattice:
        """Recombine the tree of a quantisation: histories that end in one value are one state.

        Growth factors are the same in every node of a stage of `ScenarioTree.from_process`, so what may follow depends
        on the value alone and nothing is lost. Evenly spaced factors (two or three Gauss–Hermite branches, binomial,
        trinomial) at all stages give ``(branches − 1)·t + 1`` states at stage t, others more.

        Parameters
        ----------
        process
            Process whose values the states take.
        branching
            Growth factors of the steps from stages 0..T−1, each >= 1.
        quantization
            Growth factors; Gauss–Hermite if not given.
        dt
            Time between two stages, > 0.
        """
        require_branching(branching)
        require_number("dt", dt, low=0.0, strict=True)
        rule = quantization or GaussHermite()
        values, transitions = recombined_states(plain(process), branching, rule, dt)
        return made_from(Origin.of(process, dt), cls(tuple(values), tuple(transitions)))

    @classmethod
    def independent(
        cls, values: Sequence[ArrayLike], probabilities: Sequence[ArrayLike] | None = None
    ) -> MarkovLattice:
        """A lattice whose stages are independent of each other.

        Parameters
        ----------
        values
            Outcomes of every stage, > 0 and ascending; stage 0 has one.
        probabilities
            Their probabilities, one array per stage; equal within a stage if not given.
        """
        outcomes = tuple(np.atleast_1d(np.asarray(value, dtype=float)) for value in values)
        given = [np.full(x.shape, 1 / max(x.size, 1)) for x in outcomes] if probabilities is None else probabilities
        chances = [np.atleast_1d(np.asarray(chance, dtype=float)) for chance in given]
        if [chance.shape for chance in chances] != [outcome.shape for outcome in outcomes]:
            raise TreeError("probabilities: must be one number per outcome of every stage")
        return cls(outcomes, tuple(np.tile(after, (before.size, 1)) for before, after in pairwise(chances)))

    @classmethod
    def from_paths(
        cls, paths: ArrayLike, states: int | tuple[int, ...], seed: int = 0, names: Sequence[str] = ("value",)
    ) -> MarkovLattice:
        """Put sorted sample paths into cells stage by stage and count how often they go from cell to cell.

        A state is worth the mean of its paths, so the lattice keeps the sample mean of every stage. Cells begin with
        equal shares of the paths and follow their means (`scenario_trees.cells`): every state has paths, and every path
        goes on. Paths at 0 are a state of their own.

        Parameters
        ----------
        paths
            Shape ``(T + 1, paths)``, ≥ 0; all begin at one value, or in one state worth their mean. Of several factors
            shape ``(T + 1, paths, k)``.
        states
            Most states per stage; of several factors a tuple, one number for each: cells of the second lie within those
            of the first.
        seed
            Takes no part: nothing is drawn. Kept for callers of earlier versions.
        names
            Names of the factors.
        """
        sample = numbers("paths", paths)
        if sample.ndim not in (2, 3) or 0 in sample.shape:
            raise TreeError(f"paths: must have shape (T + 1, paths) or (T + 1, paths, factors), got {sample.shape}")
        sample = sample.reshape(*sample.shape[:2], -1)
        if not (np.isfinite(sample).all() and (sample[..., 0] >= 0).all()):
            raise TreeError("paths: every value must be >= 0 and finite")
        counts = states if isinstance(states, tuple) else (states,) * sample.shape[2]
        if len(counts) != sample.shape[2] or len(names) != sample.shape[2]:
            raise TreeError(f"states, names: need one entry per factor, {sample.shape[2]}, got {states!r}, {names!r}")
        _require_size(sample.shape[0] - 1, *counts)
        require_integer("seed", seed, 0)
        return cls._of_states(*states_of_paths(sample, counts), tuple(names))

    # ------------------------------------------------------------------- shape

    @property
    def horizon(self) -> int:
        """Last stage T."""
        return len(self.transitions)

    @property
    def sizes(self) -> tuple[int, ...]:
        """States per stage."""
        return tuple(value.size for value in self.values)

    def known(self, stage: int) -> Array:
        """All that is known in the states of a stage, in the order of ``names``, shape ``(states, k)``."""
        beside = () if self.others is None else (self.others[stage],)
        return np.column_stack([self.values[stage], *beside])

    @cached_property
    def probabilities(self) -> tuple[Array, ...]:
        """Probability of every state, one array per stage."""
        found = [np.ones(1)]
        for matrix in self.transitions:
            found.append(found[-1] @ matrix)
        for array in found:
            array.setflags(write=False)
        return tuple(found)

    def stage_mean(self) -> Array:
        """Expectation of the process per stage, shape ``(T + 1,)``."""
        return np.array([p @ v for p, v in zip(self.probabilities, self.values, strict=True)])

    def mean_path(self) -> MarkovLattice:
        """One state a stage, worth the expectation of each of its numbers."""
        weights = self.probabilities
        values = tuple(np.array([p @ v]) for p, v in zip(weights, self.values, strict=True))
        others = None
        if self.others is not None:
            others = tuple((p @ other)[None, :] for p, other in zip(weights, self.others, strict=True))
        return MarkovLattice(values, (np.ones((1, 1)),) * self.horizon, others, self.names)

    # -------------------------------------------------------------- operations

    def as_belief(self) -> MarkovLattice:
        """The same lattice as one's own belief about the future: it is no longer checked against any process."""
        return replace(self)  # copies have no origin

    def walk(self, uniforms: Array) -> Index:
        """State paths driven by numbers uniform in [0, 1), one row per step.

        Parameters
        ----------
        uniforms
            Shape ``(steps, paths)``, with at most T steps.

        Returns
        -------
        numpy.ndarray
            States of stages 0..steps, shape ``(steps + 1, paths)``.
        """
        if uniforms.ndim != 2 or uniforms.shape[0] > self.horizon:
            raise TreeError(
                f"uniforms: must have shape (steps, paths) with at most {self.horizon} steps, got {uniforms.shape}"
            )
        out = np.zeros((uniforms.shape[0] + 1, uniforms.shape[1]), dtype=np.int64)
        for t, u in enumerate(uniforms):
            # One search for all rows: row i of the distribution function is lifted by i.
            rows, last = self._lifted[t], self.values[t + 1].size - 1
            found = np.searchsorted(rows, out[t] + u, side="right") - out[t] * (last + 1)
            out[t + 1] = np.clip(found, 0, last)
        return out

    @cached_property
    def _lifted(self) -> tuple[Array, ...]:
        lifted = []
        for matrix in self.transitions:
            rows = np.cumsum(matrix, axis=1)
            rows /= rows[:, -1:]
            # Impossible last states keep a distribution function of 1: nothing uniform in [0, 1) reaches them.
            lifted.append((rows + np.arange(matrix.shape[0])[:, None]).ravel())
        return tuple(lifted)

    def sample(self, paths: int, *, seed: int, sampler: Sampler | None = None) -> Index:
        """Draw state paths, in the block streams of `scenario_trees.sampling`.

        Returns
        -------
        numpy.ndarray
            States of stages 0..T, shape ``(T + 1, paths)``.
        """
        from scipy.special import ndtr

        require_integer("paths", paths, 1)
        require_integer("seed", seed, 0)
        sampler = require_sampler(sampler)
        size = sampler.block_size(paths)
        out = np.empty((self.horizon + 1, paths), dtype=np.int64)
        for index, first in enumerate(range(0, paths, size)):
            last = min(first + size, paths)
            out[:, first:last] = self.walk(ndtr(sampler.block(seed, index, last - first, self.horizon)))
        return out

    def to_tree(self, max_nodes: int = 1_000_000) -> ScenarioTree:
        """Unfold into the tree of all histories of positive probability.

        Raises
        ------
        TreeError
            If the tree would have more than ``max_nodes`` nodes.
        """
        require_integer("max_nodes", max_nodes, 1)
        return made_from(self.origin, ScenarioTree(**unfolded(self, max_nodes), names=self.names))

    def check(self, process: Spread, dt: float = 1.0) -> LatticeCheck:
        """Compare the lattice with a process: see `scenario_trees.diagnostics.check_lattice`."""
        from scenario_trees.diagnostics import check_lattice

        return check_lattice(self, process, dt)

    # --------------------------------------------------------------------- i/o

    def to_frame(self) -> pd.DataFrame:
        """One row per state: ``stage``, ``state``, ``probability``, ``value`` and the names of what else is known."""
        import pandas as pd

        return pd.DataFrame(
            {
                "stage": np.repeat(np.arange(self.horizon + 1), self.sizes),
                "state": np.concatenate([np.arange(n) for n in self.sizes]),
                "probability": np.concatenate(self.probabilities),
                "value": np.concatenate(self.values),
            }
            | dict(zip(self.names[1:], np.concatenate(self.others or [np.zeros((sum(self.sizes), 0))]).T, strict=True))
        )

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the lattice to one compressed ``.npz`` file, atomically; return its path."""
        target = Path(path)
        origin = None if self.origin is None else self.origin.to_dict()
        arrays = {
            "sizes": np.array(self.sizes),
            "values": np.concatenate(self.values),
            "transitions": np.concatenate([np.zeros(0), *(m.ravel() for m in self.transitions)]),
        }
        header: dict[str, Any] = {"format": _FORMAT, "lattice": True, "origin": origin}
        if self.names != ("value",):
            header["names"] = list(self.names)
        if self.others is not None:
            arrays["others"] = np.concatenate(self.others)
        try:
            write_arrays(target, header, arrays)
        except OSError as error:
            raise TreeError(f"path: cannot write the lattice to {target}: {error.strerror}") from error
        return target

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> MarkovLattice:
        """Read a lattice written by `save`; raise `TreeError` for anything else.

        Files of format 1 say nothing of the process: their lattices come back as one's own.
        """
        try:
            header, arrays = read_arrays(Path(path))
            sizes, values, flat = arrays["sizes"], arrays["values"], arrays["transitions"]
            if not header.get("lattice") or header.get("format") not in range(1, _FORMAT + 1):
                raise TreeError(f"path: {path} is not a saved lattice of format 1 to {_FORMAT}")
            cells = sizes[:-1] * sizes[1:]
            matrices = np.split(flat, np.cumsum(cells)[:-1]) if cells.size else []
            ends = np.cumsum(sizes)[:-1]
            lattice = cls(
                tuple(np.split(values, ends)),
                tuple(m.reshape(a, b) for m, a, b in zip(matrices, sizes[:-1], sizes[1:], strict=True)),
                tuple(np.split(arrays["others"], ends)) if "others" in arrays else None,
                tuple(header.get("names", ("value",))),
            )
            return made_from(Origin.from_dict(header.get("origin")), lattice)
        except OSError as error:
            raise TreeError(f"path: cannot read a lattice from {path}: {error.strerror or error}") from error
        except TreeError:
            raise
        except MISSHAPEN as error:
            raise TreeError(f"path: {path} is not a saved lattice") from error

    def digest(self) -> str:
        """Hash of the arrays, for manifests and checkpoints."""
        sha = hashlib.sha256(repr(self.sizes).encode())
        for array in (*self.values, *self.transitions, *(self.others or ())):
            sha.update(np.ascontiguousarray(array).tobytes())
        return sha.hexdigest()[:16]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, MarkovLattice):
            return NotImplemented
        mine, theirs = ((*each.values, *each.transitions, *(each.others or ())) for each in (self, other))
        alike = (self.sizes, self.names, len(mine)) == (other.sizes, other.names, len(theirs))
        return alike and all(np.array_equal(a, b) for a, b in zip(mine, theirs, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return (
            f"MarkovLattice(T = {self.horizon}, up to {max(self.sizes):,} states a stage, {sum(self.sizes):,} states)"
        )


def _require_size(horizon: int, *states: int) -> None:
    require_integer("horizon", horizon, 0, _MAX_HORIZON)
    for count in states:
        require_integer("states", count, 1, MAX_STATES)
