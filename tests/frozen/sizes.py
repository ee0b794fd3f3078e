"""Size of the tree program of a row: the one place of the frozen table that knows a module inside the package."""

from __future__ import annotations

from tests.frozen.problems import Problem


def program_size(problem: Problem) -> dict[str, int]:
    """Rows, columns, whole columns and nonzeros."""
    from stochisru.lunar.tree_program import tree_program

    program = tree_program(problem.case, problem.tree)
    rows, columns = program.matrix.shape
    return {
        "rows": rows,
        "columns": columns,
        "whole": int(program.integer.sum()),
        "nonzeros": int(program.matrix.count_nonzero()),
    }
