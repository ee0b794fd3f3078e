"""Solvers for `LinearProgram`: one module per solver, found by name."""

from __future__ import annotations

from stochisru.errors import InputError, require_choice
from stochisru.programs.solver import Solver


def solvers() -> dict[str, Solver]:
    """All solvers that the package knows, installed or not."""
    from stochisru.programs.solvers.gurobi import Gurobi
    from stochisru.programs.solvers.highs import Highs

    return {s.name: s for s in (Highs(), Gurobi())}


def solver_named(name: str) -> Solver:
    """Look up an installed solver; raise `InputError` otherwise."""
    known = solvers()
    require_choice("solver", name, known)
    if known[name].version() is None:
        raise InputError(f"solver: {name} is not installed; pip install 'stochisru[{name}]', or use highs")
    return known[name]
