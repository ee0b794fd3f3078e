"""What a solver of sparse programs is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from scenario_trees.arrays import Array
from stochisru.programs.effort import SolverLimits
from stochisru.programs.sparse import LinearProgram, Solution


class Solver(Protocol):
    """A solver of sparse programs."""

    @property
    def name(self) -> str:
        """Name used in results and on the command line."""

    def version(self) -> str | None:
        """Version of the installed solver, or None where it is not installed."""

    def solve(self, program: LinearProgram, bounds: Iterable[tuple[Array, Array]]) -> Iterator[Solution]:
        """Solve the program once for each pair of bounds on its variables.

        Each time to optimality, from the optimum of the time before where the solver can, or `SolverError` is
        raised.
        """

    def solve_mixed(
        self, program: LinearProgram, limits: SolverLimits, start: Array | None = None, cutoff: float | None = None
    ) -> Solution:
        """Solve a mixed-integer program to a relative gap or until the time is up, from a known solution if given.

        With a cutoff only solutions better than it count, and `InfeasibleError` is raised if there are none.
        `SolverError` is raised if there is no solution or no bound by then.
        """
