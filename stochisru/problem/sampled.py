"""Scenarios drawn afresh, in the form in which mpi-sppy's sampling asks for them.

A *sample tree* has a number of branches per stage and the standard normal numbers of a step per node, from a generator
of its own: the same node of the same sample has the same numbers in every scenario that passes it, in whatever order
and on whatever rank scenarios are made. The numbers of a path drive the process of the model; a model without one is
drawn from the tree that it was given.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate, product
from math import prod
from operator import mul
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from scenario_trees.arrays import Array, Index
from scenario_trees.protocols import draws_of
from scenario_trees.tree import ScenarioTree
from stochisru.errors import InputError
from stochisru.problem.bounds import column_bounds
from stochisru.problem.information import Recourse
from stochisru.problem.model import Model
from stochisru.problem.on_path import attach_nodes, decided_at, is_chosen, path_model
from stochisru.problem.parts import Decision, State
from stochisru.problem.paths import Paths, chain_of
from stochisru.problem.sheet import Sheet

if TYPE_CHECKING:
    import pyomo.environ as pyo

#: Paths that tell how large a decision may get, and what that is multiplied by.
_PROBES, _ROOM, _ROOM_MIXED = 256, 100.0, 4.0


class SampledScenarios:
    """Scenarios of sample trees of a problem.

    Parameters
    ----------
    model, tree
        The problem; the tree is drawn from where the model has no process.
    branching
        Branches per stage of the whole sample tree. A scenario whose number is beyond them is a further branch of the
        root: of two stages, scenario i is draw i.
    seed
        Integers ≥ 0; other ones give other, independent samples.

    Examples
    --------
    >>> from stochisru.problem.sampled import SampledScenarios
    >>> from stochisru.worked.classics import newsvendor
    >>> model, lattice = newsvendor()
    >>> drawn = SampledScenarios(model, lattice.to_tree(), [4], [7])
    >>> [drawn.path(drawn.draws([i], 1, [7])).tolist() for i in range(4)]
    [[[100.0], [100.0]], [[100.0], [100.0]], [[100.0], [60.0]], [[100.0], [100.0]]]
    """

    def __init__(self, model: Model, tree: ScenarioTree, branching: Sequence[int], seed: Sequence[int]) -> None:
        if len(branching) != model.horizon:
            raise InputError(
                f"branching-factors: needs one per stage after the first, {model.horizon} for {model.name}, "
                f"got {len(branching)}"
            )
        self.model, self.tree, self.branching, self.seed = model, tree, tuple(branching), tuple(seed)
        self._per_step = draws_of(model.process)
        some = chain_of(model, self.path(np.zeros((model.horizon, self._per_step))))
        self._decided = decided_at(Sheet(model, some, Recourse()))

    # ---------------------------------------------------------------- numbers

    def draws(self, children: Sequence[int], stage: int, seed: Sequence[int]) -> Array:
        """Standard normal numbers of the nodes below a node of ``stage`` (1 is the root) along a way of children.

        Returns
        -------
        numpy.ndarray
            Shape ``(children, numbers of a step)``.
        """
        rows = [self._draw(children[: i + 1], stage, seed) for i in range(len(children))]
        return np.array(rows).reshape(len(children), self._per_step)

    def _draw(self, way: Sequence[int], stage: int, seed: Sequence[int]) -> Array:
        sequence = np.random.SeedSequence([*self.seed, *seed, stage], spawn_key=tuple(way))
        return np.random.default_rng(sequence).standard_normal(self._per_step)

    def path(self, draws: ArrayLike) -> Array:
        """Factors of years 0..T that the numbers of T steps drive, shape ``(T + 1, factors)``."""
        found: Array = self._driven(np.asarray(draws, dtype=float)[None]).of_factors(self.model)[0]
        return found

    def _driven(self, draws: Array) -> Paths:
        """Paths that numbers drive, shape ``(paths, T, numbers of a step)``."""
        normals = np.ascontiguousarray(draws.reshape(draws.shape[0], -1).T)
        if self.model.process is not None:
            return Paths.driven(self.model, self.model.process, normals)
        return Paths.down(self.model, self.tree, self._walk(normals))

    def _walk(self, normals: Array) -> Index:
        """Nodes of ways through the tree, shape ``(paths, T + 1)``, from numbers of shape ``(T, paths)``."""
        from scipy.special import ndtr

        tree, at = self.tree, np.zeros(normals.shape[1], dtype=np.int64)
        nodes = [at.copy()]
        for uniform in ndtr(normals):
            for node in np.unique(at):
                first = int(tree.first_child[node])
                shares = np.cumsum(tree.probability[first : first + int(tree.child_count[node])])
                here = at == node
                at[here] = first + np.searchsorted(shares[:-1] / shares[-1], uniform[here], side="right")
            nodes.append(at.copy())
        return np.stack(nodes, axis=1)

    def sample_tree(self) -> ScenarioTree:
        """The whole sample as a tree: that of the scenarios of `creator` within ``branching``."""
        leaves = prod(self.branching)
        sizes = [1, *accumulate(self.branching, mul)]
        draws = np.empty((leaves, len(self.branching), self._per_step))
        for t, size in enumerate(sizes[1:]):
            ways = product(*map(range, self.branching[: t + 1]))
            draws[:, t] = np.repeat([self._draw(way, 1, ()) for way in ways], leaves // size, axis=0)
        paths = self._driven(draws)
        starts = np.cumsum([0, *sizes])
        above = [starts[t] + np.repeat(np.arange(sizes[t]), self.branching[t]) for t in range(len(self.branching))]
        seen = np.concatenate([paths.values[:: leaves // size, t] for t, size in enumerate(sizes)])
        return ScenarioTree(
            np.concatenate([[-1], *above]).astype(np.int32),
            np.repeat(np.arange(len(sizes)), sizes).astype(np.int16),
            np.repeat(1.0 / np.array(sizes), sizes),
            seen[:, 0],
            others=seen[:, 1:] if len(paths.names) > 1 else None,
            names=paths.names,
        )

    # ---------------------------------------------------------------- models

    def creator(self, name: str) -> pyo.ConcreteModel:
        """Path model of a scenario of the whole sample tree: the ``scenario_creator`` of mpi-sppy."""
        children = _children(_number(name), self.branching)
        m = self._made(self.draws(children, 1, ()), children, self.branching)
        m._mpisppy_probability = "uniform"  # of as many scenarios as mpi-sppy takes
        return m

    def below(
        self, name: str, stage: int, branching: Sequence[int], seed: int, given: Any | None = None
    ) -> pyo.ConcreteModel:
        """Path model of a scenario of a sample tree that starts at a node of ``stage`` (1 is the root).

        Parameters
        ----------
        branching
            Branches per stage below that node.
        seed
            Other ones give independent samples.
        given
            A scenario made here whose past is that of the node; needed where ``stage`` is not 1.
        """
        none = np.empty((0, self._per_step))
        past = none if stage == 1 else getattr(given, "_stochisru_draws", none)[: stage - 1]
        if len(past) != stage - 1 or stage - 1 + len(branching) != self.model.horizon:
            needed = self.model.horizon + 1 - stage
            raise InputError(
                f"given_scenario: stage {stage} needs a sampled scenario and {needed} branching factors, "
                f"got {type(given).__name__} and {len(branching)}"
            )
        children = _children(_number(name) % prod(branching), branching)
        draws = np.concatenate([past, self.draws(children, stage, (seed,))])
        before = stage - 1
        m = self._made(draws, [0] * before + children, [1] * before + [*branching])
        m._mpisppy_probability = 1.0 / prod(branching)
        return m

    def _made(self, draws: Array, children: Sequence[int], branching: Sequence[int]) -> pyo.ConcreteModel:
        path = self.path(draws)
        m = path_model(self.model, path, bounds=self._bounds(path))
        m._stochisru_draws = draws
        names = list(accumulate((str(child) for child in children[:-1]), "{}_{}".format, initial="ROOT"))
        attach_nodes(m, names, [1.0, *(1.0 / count for count in branching[:-1])], self._decided)
        return m

    # ---------------------------------------------------------------- bounds

    def _bounds(self, path: Array) -> dict[str, tuple[Array, Array]]:
        """Bounds that parts say: a plan made on another sample must be possible on this path.

        Only decisions have more, several times what any plan of some other paths takes, so that there is an end to what
        prices on them can ask for.
        """
        sheet, years = Sheet(self.model, chain_of(self.model, path), Recourse()), self.model.years
        bounds: dict[str, tuple[Array, Array]] = {}
        for part in self.model.columns:
            lower = np.array([float(np.max(number)) for number in sheet.numbers(part, "lower")])
            upper = np.full(len(years), np.inf)
            if part.upper is not None:
                upper = np.array([float(np.max(number)) for number in sheet.numbers(part, "upper")])
            if not isinstance(part, State):
                closed = [t for t in years if not is_chosen(sheet, part, t)]
                lower[closed] = upper[closed] = 0.0
            if isinstance(part, Decision):
                upper = np.minimum(upper, np.maximum(self._most[part.name], lower))
            bounds[part.name] = lower, upper
        return bounds

    @cached_property
    def _most(self) -> dict[str, Array]:
        """Upper bounds of decisions, shape ``(T + 1,)``."""
        numbers = np.random.default_rng(0).standard_normal((_PROBES, self.model.horizon, self._per_step))
        most: dict[str, Array] = {}
        for tree in (self.tree, self._driven(numbers).fan()):
            sheet = Sheet(self.model, tree, Recourse())
            bounds = column_bounds(sheet)
            for part in self.model.decisions:
                upper, places = bounds[part.name].upper, sheet.places[part.name]
                largest = np.array([upper[places.at(t)].max() for t in self.model.years])
                room = _ROOM if part.is_linear else _ROOM_MIXED
                most[part.name] = np.maximum(most.get(part.name, 0.0), room * largest)
        return most


def _number(name: str) -> int:
    return int(name.removeprefix("scenario"))


def _children(number: int, branching: Sequence[int]) -> list[int]:
    """Way of a scenario through a tree, as the number of each node among its brothers; the first one is not limited."""
    children = []
    for count in reversed(branching[1:]):
        number, child = divmod(number, count)
        children.append(child)
    return [number, *reversed(children)]
