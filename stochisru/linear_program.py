"""Old import path of `stochisru.programs.sparse`, kept for scripts."""

from stochisru.programs.sparse import LinearProgram, ProgramBuilder, Solution, solve, solve_mixed

__all__ = ["LinearProgram", "ProgramBuilder", "Solution", "solve", "solve_mixed"]
