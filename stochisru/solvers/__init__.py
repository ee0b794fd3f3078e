"""Solvers for `LinearProgram`: one module per solver, found by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from stochisru.errors import InputError
from stochisru.linear_program import LinearProgram, Solution


class Solver(Protocol):
    """A solver of sparse programs."""

    @property
    def name(self) -> str:
        """Name used in results and on the command line."""
        ...

    def version(self) -> str | None:
        """Version of the installed solver, or None where it is not installed."""
        ...

    def solve(self, programs: Iterable[LinearProgram]) -> Iterator[Solution]:
        """Solve programs that differ in the bounds of their variables alone, one after the other.

        Each is solved to optimality, from the optimum of the one before where the solver can, or
        `SolverError` is raised.
        """
        ...


def solvers() -> dict[str, Solver]:
    """All solvers that the package knows, installed or not."""
    from stochisru.solvers.gurobi import Gurobi
    from stochisru.solvers.highs import Highs

    return {s.name: s for s in (Highs(), Gurobi())}


def solver_named(name: str) -> Solver:
    """Look up an installed solver; raise `InputError` otherwise."""
    known = solvers()
    if name not in known:
        raise InputError(f"solver: must be one of {', '.join(known)}, got {name!r}")
    if known[name].version() is None:
        raise InputError(f"solver: {name} is not installed; pip install 'stochisru[{name}]', or use highs")
    return known[name]
