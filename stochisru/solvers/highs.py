"""HiGHS through highspy, fed with arrays."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from stochisru.errors import InputError, SolverError
from stochisru.linear_program import Block, LinearProgram, Solution


class Highs:
    """HiGHS: dual simplex for linear, branch and cut for integer programs; one thread, so runs repeat."""

    name = "highs"

    def version(self) -> str | None:
        """Version of highspy."""
        import highspy

        return str(highspy.Highs().version())

    def solve(self, programs: Iterable[LinearProgram]) -> Iterator[Solution]:
        """Solve each program to optimality, warm from the one before, or raise `SolverError`."""
        model = None
        for program in programs:
            start = time.perf_counter()
            if model is None:
                model = load_program(program)
            else:
                every = np.arange(program.shape[1], dtype=np.int32)
                model.changeColsBounds(every.size, every, program.lower, program.upper)
            yield self._optimum(model, program, start)

    def _optimum(self, model: Any, program: LinearProgram, start: float) -> Solution:
        import highspy

        model.run()
        status = model.getModelStatus()
        if status != highspy.HighsModelStatus.kOptimal:
            raise SolverError(f"{program.name}: highs ended with status {model.modelStatusToString(status)!r}")
        solution = model.getSolution()
        row_dual = np.asarray(solution.row_dual, dtype=float)
        mixed = bool(program.integer.any())
        return Solution(
            program=program,
            objective=float(model.getInfo().objective_function_value),
            bound=float(model.getInfo().mip_dual_bound) if mixed else program.dual_bound(row_dual),
            x=np.asarray(solution.col_value, dtype=float),
            row_dual=row_dual,
            solver=f"highs {model.version()}",
            seconds=time.perf_counter() - start,
        )


def load_program(program: LinearProgram) -> Any:
    """A HiGHS model of the program."""
    import highspy

    lp = highspy.HighsLp()
    lp.num_row_, lp.num_col_ = program.shape
    maximise = program.sense == "maximise"
    lp.sense_ = highspy.ObjSense.kMaximize if maximise else highspy.ObjSense.kMinimize
    lp.col_cost_, lp.offset_ = program.objective, program.constant
    lp.col_lower_, lp.col_upper_ = program.lower, program.upper
    lp.row_lower_, lp.row_upper_ = program.row_lower, program.row_upper
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_ = program.matrix.indptr
    lp.a_matrix_.index_ = program.matrix.indices
    lp.a_matrix_.value_ = program.matrix.data
    if program.integer.any():
        kinds = (highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger)
        lp.integrality_ = [kinds[int(i)] for i in program.integer]
    model = highspy.Highs()
    model.setOptionValue("output_flag", False)
    model.setOptionValue("threads", 1)
    if model.passModel(lp) == highspy.HighsStatus.kError:
        raise SolverError(f"{program.name}: highs refused the model")
    return model


def _names(blocks: dict[str, Block]) -> list[str]:
    return [f"{b.name}_{i}" for b in blocks.values() for i in range(b.size)]


def write_program(program: LinearProgram, path: Path) -> None:
    """Write a program with readable names in the format that the suffix of ``path`` names."""
    import highspy

    model = load_program(program)
    for i, name in enumerate(_names(program.columns)):
        model.passColName(i, name)
    for i, name in enumerate(_names(program.rows)):
        model.passRowName(i, name)
    if model.writeModel(str(path)) == highspy.HighsStatus.kError:
        raise InputError(f"path: cannot write {path}")
