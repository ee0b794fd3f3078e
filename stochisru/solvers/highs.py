"""HiGHS through highspy, fed with arrays."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from stochisru.errors import InfeasibleError, InputError, SolverError, TimeLimitError
from stochisru.linear_program import Array, Block, Index, LinearProgram, Solution

#: HiGHS' strategy for a subsystem by solving (2), made irreducible (4).
_IIS_IRREDUCIBLE = 6


class Highs:
    """HiGHS: dual simplex for linear, branch and cut for integer programs; one thread, so runs repeat."""

    name = "highs"

    def version(self) -> str | None:
        """Version of highspy."""
        return str(new_model().version())

    def solve(self, program: LinearProgram, bounds: Iterable[tuple[Array, Array]]) -> Iterator[Solution]:
        """Solve to optimality for each pair of bounds, warm from the time before, or raise `SolverError`."""
        model, scale = None, Scale.of(program)
        for lower, upper in bounds:
            start = time.perf_counter()
            variant = program.with_bounds(lower, upper)
            if model is None:
                model = load_program(variant, scale)
            else:
                every = np.arange(program.shape[1], dtype=np.int32)
                model.changeColsBounds(every.size, every, lower / scale.q, upper / scale.q)
            yield self._optimum(model, variant, scale, start)

    def solve_mixed(
        self, program: LinearProgram, rel_gap: float, time_limit: float | None, start: Array | None = None
    ) -> Solution:
        """Branch and cut to a relative gap or until the time is up; `SolverError` without a solution and a bound."""
        import highspy

        began, scale = time.perf_counter(), Scale.of(program)
        model = load_program(program, scale)
        if start is not None:
            known = highspy.HighsSolution()
            known.col_value = (start / scale.q).tolist()
            model.setSolution(known)
        model.setOptionValue("mip_rel_gap", rel_gap)
        if time_limit is not None:
            model.setOptionValue("time_limit", time_limit)
        model.run()
        status, info = model.getModelStatus(), model.getInfo()
        ended = {highspy.HighsModelStatus.kOptimal: None, highspy.HighsModelStatus.kTimeLimit: "time"}
        found = info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible
        if status not in ended or not (found and np.isfinite(info.mip_dual_bound)):
            text = model.modelStatusToString(status)
            raise _error(status)(
                f"{program.name}: highs ended with status {text!r} before a solution and a bound were found"
            )
        solution = model.getSolution()
        return Solution(
            program=program,
            objective=float(info.objective_function_value) / scale.f,
            bound=float(info.mip_dual_bound) / scale.f,
            x=np.asarray(solution.col_value, dtype=float) * scale.q,
            row_dual=np.zeros(program.shape[0]),
            solver=f"highs {model.version()}",
            seconds=time.perf_counter() - began,
            limit=ended[status],
        )

    def _optimum(self, model: Any, program: LinearProgram, scale: Scale, start: float) -> Solution:
        optimise(model, program.name)
        solution = model.getSolution()
        row_dual = np.asarray(solution.row_dual, dtype=float) / (scale.f * scale.q)
        mixed = bool(program.integer.any())
        return Solution(
            program=program,
            objective=float(model.getInfo().objective_function_value) / scale.f,
            bound=float(model.getInfo().mip_dual_bound) / scale.f if mixed else program.dual_bound(row_dual),
            x=np.asarray(solution.col_value, dtype=float) * scale.q,
            row_dual=row_dual,
            solver=f"highs {model.version()}",
            seconds=time.perf_counter() - start,
        )


def optimise(model: Any, name: str) -> None:
    """Run HiGHS to optimality or raise `SolverError`.

    A warm basis can lead the simplex method astray (HiGHS 1.15 then ends with "Not Set"), and so can presolve (1.16
    ends with "Solve error" on some trees), so it is run once more from the start, and once without presolve, before
    a failure counts.
    """
    import highspy

    _, presolve = model.getOptionValue("presolve")
    for attempt in ("warm", "cold", "without presolve"):
        if attempt != "warm":
            model.clearSolver()
        if attempt == "without presolve":
            model.setOptionValue("presolve", "off")
        model.run()
        model.setOptionValue("presolve", presolve)
        if model.getModelStatus() == highspy.HighsModelStatus.kOptimal:
            return
    status = model.getModelStatus()
    raise _error(status)(f"{name}: highs ended with status {model.modelStatusToString(status)!r}")


def _error(status: Any) -> type[SolverError]:
    """The error for a status of a model without a solution."""
    import highspy

    kinds = {
        highspy.HighsModelStatus.kInfeasible: InfeasibleError,
        highspy.HighsModelStatus.kTimeLimit: TimeLimitError,
    }
    return kinds.get(status, SolverError)


def conflicting_rows(program: LinearProgram) -> Index | None:
    """Numbers of the rows of an irreducible infeasible subsystem of a linear program, or None if HiGHS finds none."""
    model = load_program(program, Scale(1.0, 1.0))
    model.setOptionValue("iis_strategy", _IIS_IRREDUCIBLE)
    model.run()
    _, found = model.getIis()
    rows = np.asarray(found.row_index_, dtype=np.int64)
    return rows if found.valid_ and rows.size else None


class Scale(NamedTuple):
    """Powers of two by which HiGHS is handed a program: ``objective·f`` over ``x/q``.

    Its tolerances are absolute (1e-7): coefficients that carry small probabilities, or quantities in large units,
    would drown in them.
    """

    f: float
    q: float

    @classmethod
    def of(cls, program: LinearProgram) -> Scale:
        """Scale of a program: ``q`` is 1 while the largest bound lies between 1 and 1e9."""
        sides = np.abs(np.concatenate([program.row_lower, program.row_upper, program.upper]))
        largest = sides[np.isfinite(sides)].max(initial=0.0)
        scaled = largest > 0 and not 1.0 <= largest <= 1e9 and not program.integer.any()
        return cls.by_size(program, largest / 2**17 if scaled else 1.0)

    @classmethod
    def by_size(cls, program: LinearProgram, size: float) -> Scale:
        """Scale in which quantities of ``size`` are about 1.

        ``f·q`` lifts the geometric mean of the objective towards a thousand, by a million at most.
        """
        q = float(2.0 ** np.round(np.log2(size)))
        costs = np.abs(program.objective[program.objective != 0])
        lift = 2.0 ** np.clip(np.ceil(10 - np.log2(costs).mean()), 0, 20) if costs.size else 1.0
        return cls(float(lift) / q, q)


@cache
def _silent() -> Any:
    import highspy

    class Silent(highspy.Highs):  # type: ignore[misc]
        def enableCallbacks(self) -> None:  # noqa: N802
            # HiGHS 1.16 greets on standard output at its first call, which is this one in its constructor.
            self.setOptionValue("output_flag", False)
            super().enableCallbacks()

    return Silent


def new_model() -> Any:
    """An empty HiGHS model that runs in one thread and prints nothing."""
    model = _silent()()
    model.setOptionValue("output_flag", False)
    model.setOptionValue("threads", 1)
    return model


def load_program(program: LinearProgram, scale: Scale) -> Any:
    """A HiGHS model of the program."""
    import highspy

    lp = highspy.HighsLp()
    lp.num_row_, lp.num_col_ = program.shape
    maximise = program.sense == "maximise"
    lp.sense_ = highspy.ObjSense.kMaximize if maximise else highspy.ObjSense.kMinimize
    lp.col_cost_, lp.offset_ = program.objective * (scale.f * scale.q), program.constant * scale.f
    lp.col_lower_, lp.col_upper_ = program.lower / scale.q, program.upper / scale.q
    lp.row_lower_, lp.row_upper_ = program.row_lower / scale.q, program.row_upper / scale.q
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_ = program.matrix.indptr
    lp.a_matrix_.index_ = program.matrix.indices
    lp.a_matrix_.value_ = program.matrix.data
    if program.integer.any():
        kinds = (highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger)
        lp.integrality_ = [kinds[int(i)] for i in program.integer]
    model = new_model()
    if model.passModel(lp) == highspy.HighsStatus.kError:
        largest = max(np.abs(program.objective).max(initial=0), np.abs(program.upper).max(initial=0))
        raise SolverError(f"{program.name}: highs refused the model; its largest number is {largest:.3g}")
    return model


def _names(blocks: dict[str, Block]) -> list[str]:
    return [f"{b.name}_{i}" for b in blocks.values() for i in range(b.size)]


def write_program(program: LinearProgram, path: Path) -> None:
    """Write a program with readable names in the format that the suffix of ``path`` names."""
    import highspy

    model = load_program(program, Scale(1.0, 1.0))
    for i, name in enumerate(_names(program.columns)):
        model.passColName(i, name)
    for i, name in enumerate(_names(program.rows)):
        model.passRowName(i, name)
    if model.writeModel(str(path)) == highspy.HighsStatus.kError:
        raise InputError(f"path: cannot write {path}")
