"""HiGHS through highspy, fed with arrays."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from stochisru.errors import InputError, SolverError
from stochisru.linear_program import Array, Block, LinearProgram, Solution


class Highs:
    """HiGHS: dual simplex for linear, branch and cut for integer programs; one thread, so runs repeat."""

    name = "highs"

    def version(self) -> str | None:
        """Version of highspy."""
        import highspy

        return str(highspy.Highs().version())

    def solve(self, program: LinearProgram, bounds: Iterable[tuple[Array, Array]]) -> Iterator[Solution]:
        """Solve to optimality for each pair of bounds, warm from the time before, or raise `SolverError`."""
        model = None
        for lower, upper in bounds:
            start = time.perf_counter()
            variant = program.with_bounds(lower, upper)
            if model is None:
                model = load_program(variant)
            else:
                every = np.arange(program.shape[1], dtype=np.int32)
                model.changeColsBounds(every.size, every, lower, upper)
            yield self._optimum(model, variant, start)

    def _optimum(self, model: Any, program: LinearProgram, start: float) -> Solution:
        import highspy

        model.run()
        status = model.getModelStatus()
        if status != highspy.HighsModelStatus.kOptimal:
            raise SolverError(f"{program.name}: highs ended with status {model.modelStatusToString(status)!r}")
        solution = model.getSolution()
        factor = objective_factor(program)
        row_dual = np.asarray(solution.row_dual, dtype=float) / factor
        mixed = bool(program.integer.any())
        return Solution(
            program=program,
            objective=float(model.getInfo().objective_function_value) / factor,
            bound=float(model.getInfo().mip_dual_bound) / factor if mixed else program.dual_bound(row_dual),
            x=np.asarray(solution.col_value, dtype=float),
            row_dual=row_dual,
            solver=f"highs {model.version()}",
            seconds=time.perf_counter() - start,
        )


def objective_factor(program: LinearProgram) -> float:
    """Power of two by which the objective is handed to HiGHS.

    Its dual tolerance is absolute (1e-7), and coefficients that carry small probabilities would drown in it. The
    factor lifts their geometric mean towards a thousand, by a million at most.
    """
    size = np.abs(program.objective[program.objective != 0])
    if size.size == 0:
        return 1.0
    return float(2.0 ** np.clip(np.ceil(10 - np.log2(size).mean()), 0, 20))


def load_program(program: LinearProgram) -> Any:
    """A HiGHS model of the program."""
    import highspy

    lp = highspy.HighsLp()
    lp.num_row_, lp.num_col_ = program.shape
    maximise = program.sense == "maximise"
    lp.sense_ = highspy.ObjSense.kMaximize if maximise else highspy.ObjSense.kMinimize
    factor = objective_factor(program)
    lp.col_cost_, lp.offset_ = program.objective * factor, program.constant * factor
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
    every = np.arange(program.shape[1], dtype=np.int32)
    model.changeColsCost(every.size, every, program.objective)  # the file has the program's own scale
    model.changeObjectiveOffset(program.constant)
    for i, name in enumerate(_names(program.columns)):
        model.passColName(i, name)
    for i, name in enumerate(_names(program.rows)):
        model.passRowName(i, name)
    if model.writeModel(str(path)) == highspy.HighsStatus.kError:
        raise InputError(f"path: cannot write {path}")
