"""Old import path of `stochisru.programs.sparse`; it warns once, and goes with 0.3."""

import warnings

from stochisru.programs.sparse import LinearProgram, ProgramBuilder, Solution, solve, solve_mixed

__all__ = ["LinearProgram", "ProgramBuilder", "Solution", "solve", "solve_mixed"]

warnings.warn(
    "stochisru.linear_program is an old path that goes with 0.3: import from stochisru.programs.sparse",
    DeprecationWarning,
    stacklevel=2,
)
