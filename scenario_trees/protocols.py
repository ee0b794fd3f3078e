"""Signatures of what users may bring: a process, a quantisation of its steps, a source of random numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from numpy.typing import ArrayLike

from scenario_trees.arrays import Array, Index

if TYPE_CHECKING:
    from scenario_trees.processes.gbm import GeometricBrownianMotion


class Process(Protocol):
    """A stochastic process with a known start, as a tree is compared with and simulations are drawn from."""

    @property
    def initial(self) -> float:
        """Value at time 0, in any unit; all values have that unit."""
        ...

    def mean(self, t: ArrayLike) -> Array:
        """Expected value at times ``t`` ≥ 0, of the shape of ``t``."""
        ...

    def paths(self, normals: Array, dt: float = 1.0) -> Array:
        """Paths from standard normal numbers of shape ``(steps, n)``, shape ``(steps + 1, n)``."""
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
