"""Signatures of what users may bring: a process, a quantisation of its steps, a source of random numbers.

A process of few demands gives paths and means (`Process`): that is enough for simulation. One whose steps are known
from each state (`Stepping`) also makes trees and lattices. One whose growth does not depend on where it stands
(`ScalesWithInitial`) may be moved to another start, which scaled policies need.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self, runtime_checkable

from numpy.typing import ArrayLike

from scenario_trees.arrays import Array, Index

if TYPE_CHECKING:
    from scenario_trees.law import Mixture
    from scenario_trees.processes.gbm import GeometricBrownianMotion


class Process(Protocol):
    """A stochastic process with a known start, as a tree is compared with and simulations are drawn from.

    A process that needs several standard normal numbers a step says how many in a whole number ``draws`` (one if it
    says nothing); rows ``draws·k`` to ``draws·(k + 1) − 1`` are then those of step k.
    """

    @property
    def initial(self) -> float:
        """Value at time 0, in any unit; all values have that unit."""
        ...

    def mean(self, t: ArrayLike) -> Array:
        """Expected value at times ``t`` ≥ 0, of the shape of ``t``."""
        ...

    def paths(self, normals: Array, dt: float = 1.0) -> Array:
        """Paths from standard normal numbers of shape ``(draws·steps, n)``, shape ``(steps + 1, n)``."""
        ...


class Spread(Process, Protocol):
    """A process that knows how far its values spread."""

    def variance(self, t: ArrayLike) -> Array:
        """Variance at times ``t`` ≥ 0, of the shape of ``t``."""
        ...

    def quantile(self, q: ArrayLike, t: ArrayLike) -> Array:
        """Quantile at level ``q`` in (0, 1); broadcasts ``q`` against ``t``."""
        ...


@runtime_checkable
class Stepping(Spread, Protocol):
    """A process that is Markov in a state: its value, what else is seen (``names``), and the time.

    A state is a row of numbers, the value first. Trees keep all of them at every node, lattices in every state.
    """

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the numbers of a state, ``value`` or the name of a factor first."""
        ...

    @property
    def start(self) -> Array:
        """State at time 0, shape ``(k,)``."""
        ...

    def step(
        self, states: Array, branches: int, quantization: Quantization | None = None, *, t: float = 0.0, dt: float = 1.0
    ) -> tuple[Array, Array]:
        """What may follow each state of time ``t`` after ``dt``.

        Parameters
        ----------
        states
            Shape ``(n, k)``.
        branches
            Values per kind of successor: see `scenario_trees.processes.markov.MarkovProcess.step`.

        Returns
        -------
        successors
            Shape ``(n, b, k)``; their mean given the state is the process's.
        probability
            Shape ``(n, b)``; 0 for what cannot follow.
        """
        ...

    def expected(self, states: Array, *, t: float = 0.0, dt: float = 1.0) -> Array:
        """Mean of the value ``dt`` after each state of time ``t``, shape ``(n,)``."""
        ...


@runtime_checkable
class ScalesWithInitial(Process, Protocol):
    """A process whose growth does not depend on its value: from another start it is the same, scaled."""

    def scaled(self, initial: float) -> Self:
        """The same process from another start."""
        ...


class Sampler(Protocol):
    """A way to draw standard normal numbers block by block."""

    @property
    def name(self) -> str:
        """Name used in results and on the command line."""
        ...

    def block_size(self, paths: int) -> int:
        """Paths per block when ``paths`` are drawn in all."""
        ...

    def block(self, seed: int, index: int, size: int, steps: int) -> Array:
        """Standard normal numbers of one block, shape ``(steps, size)``."""
        ...

    def units(self, paths: int) -> Index:
        """Sizes of the consecutive groups of paths that are independent of each other."""
        ...


class Quantization(Protocol):
    """A way to replace one step of the process by finitely many growth factors."""

    @property
    def name(self) -> str:
        """Name used in results and on the command line."""
        ...

    def growth(self, process: GeometricBrownianMotion, branches: int, dt: float) -> tuple[Array, Array]:
        """Ascending growth factors and their probabilities, both of shape ``(branches,)``."""
        ...


@runtime_checkable
class QuantizesLaws(Quantization, Protocol):
    """A quantisation that takes the steps of every process, and not only those of a geometric Brownian motion."""

    def split(self, law: Mixture, branches: int) -> tuple[Array, Array]:
        """Values and probabilities for n laws, both of shape ``(n, branches)``; each row keeps the law's mean."""
        ...


def draws_of(process: object) -> int:
    """Standard normal numbers that a process takes per step: one if it does not say."""
    return int(getattr(process, "draws", 1))
