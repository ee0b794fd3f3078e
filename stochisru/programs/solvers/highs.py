"""HiGHS through highspy, fed with arrays."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from scenario_trees.arrays import Array, Index
from stochisru.errors import InfeasibleError, InputError, SolverError, TimeLimitError, UnboundedError
from stochisru.limits import Limit
from stochisru.programs.conflict import failed
from stochisru.programs.effort import SolverLimits
from stochisru.programs.names import block_names
from stochisru.programs.solvers.scaling import Scaling
from stochisru.programs.sparse import Block, LinearProgram, Solution

#: HiGHS' strategy for a subsystem by solving (2), made irreducible (4).
_IIS_IRREDUCIBLE = 6
#: Options that leave all time to a proof.
_NO_HEURISTICS: dict[str, float | bool] = {
    "mip_heuristic_effort": 0.0,
    **{f"mip_heuristic_run_{name}": False for name in ("feasibility_jump", "rins", "rens", "root_reduced_cost")},
}
#: Coefficients of a scaled program that HiGHS is told to keep: the least that it takes. It drops smaller ones.
SMALL_COEFFICIENT = 1e-12


class Highs:
    """HiGHS: dual simplex for linear, branch and cut for integer programs; one thread, so runs repeat."""

    name = "highs"

    def version(self) -> str | None:
        """Version of highspy."""
        return str(new_model().version())

    def solve(self, program: LinearProgram, bounds: Iterable[tuple[Array, Array]]) -> Iterator[Solution]:
        """Solve to optimality for each pair of bounds, warm from the time before, or raise `SolverError`."""
        model, scale = None, Scaling.of(program)
        for lower, upper in bounds:
            start = time.perf_counter()
            variant = program.with_bounds(lower, upper)
            if model is None:
                model = load_program(variant, scale)
            else:
                every = np.arange(program.shape[1], dtype=np.int32)
                model.changeColsBounds(every.size, every, lower / scale.column, upper / scale.column)
            yield self._optimum(model, variant, scale, start)

    def solve_mixed(
        self, program: LinearProgram, limits: SolverLimits, start: Array | None = None, cutoff: float | None = None
    ) -> Solution:
        """Branch and cut to a relative gap or until the time is up; `SolverError` without a solution and a bound."""
        import highspy

        began, scale = time.perf_counter(), Scaling.of(program)
        model = load_program(program, scale)
        if start is not None:
            known = highspy.HighsSolution()
            known.col_value = (start / scale.column).tolist()
            model.setSolution(known)
        model.setOptionValue("mip_rel_gap", limits.rel_gap)
        if limits.time_limit is not None:
            model.setOptionValue("time_limit", limits.time_limit)
        sign = -1.0 if program.sense == "maximise" else 1.0  # HiGHS minimises within
        if cutoff is not None:
            model.setOptionValue("objective_bound", sign * cutoff * scale.f)
            for name, value in _NO_HEURISTICS.items():
                model.setOptionValue(name, value)
        run(model)
        if model.getModelStatus() == highspy.HighsModelStatus.kUnboundedOrInfeasible:  # presolve does not say which
            model.setOptionValue("presolve", "off")
            run(model)
        status, info = model.getModelStatus(), model.getInfo()
        ended = {highspy.HighsModelStatus.kOptimal: None, highspy.HighsModelStatus.kTimeLimit: Limit.TIME}
        found = info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible
        bound = float(info.mip_dual_bound) / scale.f if np.isfinite(info.mip_dual_bound) else None
        if cutoff is not None:
            # HiGHS may end with a solution that the cutoff excludes.
            found = found and sign * info.objective_function_value / scale.f < sign * cutoff
            complete = status == highspy.HighsModelStatus.kOptimal or _error(status) is InfeasibleError
            if complete and not found:
                raise InfeasibleError(f"{program.name}: no solution is better than {cutoff:g}")
            bound = None if bound is None else sign * min(sign * bound, sign * cutoff)
        if status not in ended or not (found and bound is not None):
            text = model.modelStatusToString(status)
            message = f"{program.name}: highs ended with status {text!r} before a solution and a bound were found"
            if _error(status) is TimeLimitError:
                raise TimeLimitError(message, bound)
            raise failed(_error(status), message, program)
        return self._solution(model, program, scale, began, mixed=True, limit=ended[status])

    def _optimum(self, model: Any, program: LinearProgram, scale: Scaling, start: float) -> Solution:
        optimise(model, program.name, program)
        return self._solution(model, program, scale, start, mixed=bool(program.integer.any()))

    def _solution(
        self,
        model: Any,
        program: LinearProgram,
        scale: Scaling,
        start: float,
        *,
        mixed: bool,
        limit: Limit | None = None,
    ) -> Solution:
        """What HiGHS has found, in the units of the program, checked against its rows."""
        found = model.getSolution()
        x = np.asarray(found.col_value, dtype=float) * scale.column
        program.require_feasible(x, scale.column, 1 / scale.row)
        row_dual = np.zeros(program.shape[0])
        if not mixed:
            row_dual = np.asarray(found.row_dual, dtype=float) * scale.row / scale.f
        return Solution(
            program=program,
            objective=program.value(x),
            bound=float(model.getInfo().mip_dual_bound) / scale.f if mixed else program.dual_bound(row_dual),
            x=x,
            row_dual=row_dual,
            solver=f"highs {model.version()}",
            seconds=time.perf_counter() - start,
            limit=limit,
        )


def run(model: Any) -> None:
    """Run HiGHS with a task scheduler of its own: every run of this package goes through here.

    HiGHS has one scheduler per thread of Python, whose number of threads is that of the first run; runs that ask for
    another number end at once with "Not Set". So what ran before is put away, and nothing stays for what runs after.
    With one thread there is nothing to start: the time is not measurable.
    """
    model.resetGlobalScheduler(True)
    try:
        model.run()
    finally:
        model.resetGlobalScheduler(True)


#: HiGHS' number of its scaling by equilibration.
_EQUILIBRATE = 2


def optimise(model: Any, name: str, program: LinearProgram | None = None) -> None:
    """Run HiGHS to optimality or raise `SolverError`, which names the rows of ``program`` that are in conflict.

    A warm basis can lead the simplex method astray (HiGHS 1.15 then ends with "Not Set"), and so can presolve (1.16
    ends with "Solve error" on some trees) or the lack of it and of scaling ("Unknown" on one small program in 10^5), so
    it is run once more from the start, once with presolve the other way round, and once with scaling as well, before
    a failure counts. The last attempt does without perturbed costs: they can leave columns that cost nothing beyond a
    bound that is far away ("Unknown" on a network over time).
    """
    import highspy

    run(model)
    if model.getModelStatus() == highspy.HighsModelStatus.kOptimal:
        return
    calm = {"presolve": "on", "simplex_scale_strategy": _EQUILIBRATE, "dual_simplex_cost_perturbation_multiplier": 0.0}
    kept = {option: model.getOptionValue(option)[1] for option in calm}
    for changed in ({}, {"presolve": "on" if kept["presolve"] == "off" else "off"}, calm):
        model.clearSolver()
        for option, value in changed.items():
            model.setOptionValue(option, value)
        run(model)
        for option in changed:
            model.setOptionValue(option, kept[option])
        if model.getModelStatus() == highspy.HighsModelStatus.kOptimal:
            return
    status = model.getModelStatus()
    message = f"{name}: highs ended with status {model.modelStatusToString(status)!r}"
    raise failed(_error(status), message, program)


def _error(status: Any) -> type[SolverError]:
    """The error for a status of a model without a solution."""
    import highspy

    kinds = {
        highspy.HighsModelStatus.kInfeasible: InfeasibleError,
        highspy.HighsModelStatus.kTimeLimit: TimeLimitError,
        highspy.HighsModelStatus.kUnbounded: UnboundedError,
        highspy.HighsModelStatus.kUnboundedOrInfeasible: UnboundedError,
    }
    return kinds.get(status, SolverError)


def conflicting(program: LinearProgram) -> tuple[Index, Index] | None:
    """Rows and bounded columns of an irreducible infeasible subsystem of a linear program; see `conflict_in`."""
    return conflict_in(load_program(program, Scaling.of(program)))


def conflict_in(model: Any) -> tuple[Index, Index] | None:
    """Numbers of the rows and bounded columns of an irreducible infeasible subsystem; None if HiGHS finds none."""
    model.setOptionValue("iis_strategy", _IIS_IRREDUCIBLE)
    run(model)
    _, found = model.getIis()
    rows, columns = (np.asarray(index, dtype=np.int64) for index in (found.row_index_, found.col_index_))
    return (rows, columns) if found.valid_ and rows.size + columns.size else None


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


def load_program(program: LinearProgram, scale: Scaling) -> Any:
    """A HiGHS model of the program."""
    import highspy

    lp = highspy.HighsLp()
    lp.num_row_, lp.num_col_ = program.shape
    maximise = program.sense == "maximise"
    lp.sense_ = highspy.ObjSense.kMaximize if maximise else highspy.ObjSense.kMinimize
    lp.col_cost_, lp.offset_ = program.objective * (scale.f * scale.column), program.constant * scale.f
    lp.col_lower_, lp.col_upper_ = program.lower / scale.column, program.upper / scale.column
    lp.row_lower_, lp.row_upper_ = program.row_lower * scale.row, program.row_upper * scale.row
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_ = program.matrix.indptr
    lp.a_matrix_.index_ = program.matrix.indices
    lp.a_matrix_.value_ = _coefficients(program, scale)
    if program.integer.any():
        kinds = (highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger)
        lp.integrality_ = [kinds[int(i)] for i in program.integer]
    model = new_model()
    model.setOptionValue("small_matrix_value", SMALL_COEFFICIENT)
    _, infinite = model.getOptionValue("infinite_cost")
    largest = np.abs(lp.col_cost_).max(initial=0.0)
    # HiGHS takes costs of 1e20 for infinite and leaves rows with coefficients of 1e15 alone.
    if not largest < infinite or model.passModel(lp) == highspy.HighsStatus.kError:
        raise SolverError(
            f"{program.name}: highs takes no such numbers: the largest coefficient is {_largest_of_matrix(program)}, "
            f"cost {_largest(program.objective, program.columns)}, bound {_largest(program.upper, program.columns)}; "
            "choose other units"
        )
    return model


def _coefficients(program: LinearProgram, scale: Scaling) -> Array:
    matrix = program.matrix
    data = matrix.data * scale.row[matrix.indices]
    return np.asarray(data * np.repeat(scale.column, np.diff(matrix.indptr)))


def _largest(values: Array, blocks: dict[str, Block]) -> str:
    """The largest of the values of columns or rows, and whose it is."""
    finite = np.where(np.isfinite(values), np.abs(values), 0.0)
    if not finite.size:
        return "0"
    at = int(finite.argmax())
    whose = next((f" ({name})" for name, block in blocks.items() if 0 <= at - block.start < block.size), "")
    return f"{finite[at]:.3g}{whose}"


def _largest_of_matrix(program: LinearProgram) -> str:
    """The largest coefficient, and the rows in which it is."""
    rows = np.zeros(program.shape[0])
    np.maximum.at(rows, program.matrix.indices, np.abs(program.matrix.data))
    return _largest(rows, program.rows)


#: Names of all columns and of all rows of a program.
Names = tuple[Sequence[str], Sequence[str]]


def write_program(program: LinearProgram, path: Path, names: Names | None = None) -> None:
    """Write a program in the format that the suffix of ``path`` names, with the names of blocks if none are given."""
    import highspy

    columns, rows = (block_names(program.columns), block_names(program.rows)) if names is None else names
    model = load_program(program, Scaling.none(program))
    for i, name in enumerate(columns):
        model.passColName(i, name)
    for i, name in enumerate(rows):
        model.passRowName(i, name)
    if model.writeModel(str(path)) == highspy.HighsStatus.kError:
        raise InputError(f"path: cannot write {path}")


def read_program(path: Path) -> tuple[LinearProgram, Names]:
    """Read a program from an ``.mps`` or ``.lp`` file, with the names of its columns and rows.

    Raises
    ------
    InputError
        If the file is no such program, or has semi-continuous columns or a quadratic objective.
    """
    import highspy
    from scipy.sparse import csc_array

    model = new_model()
    model.setOptionValue("small_matrix_value", SMALL_COEFFICIENT)
    if model.readModel(str(path)) == highspy.HighsStatus.kError:
        raise InputError(f"file: {path} is no program in {path.suffix[1:].upper()}, or cannot be read")
    lp = model.getLp()
    if not lp.num_col_:
        raise InputError(f"file: {path} has no columns")
    kinds = np.array(lp.integrality_ or [highspy.HighsVarType.kContinuous] * lp.num_col_)
    whole = kinds == highspy.HighsVarType.kInteger
    if not (whole | (kinds == highspy.HighsVarType.kContinuous)).all():
        raise InputError(f"file: {path} has semi-continuous columns; columns must be continuous or whole numbers")
    if model.getModel().hessian_.dim_:
        raise InputError(f"file: {path} has a quadratic objective; it must be linear")
    size = lp.num_row_, lp.num_col_
    try:
        name, columns, rows = lp.model_name_ or path.stem, list(lp.col_names_), list(lp.row_names_)
    except UnicodeDecodeError as error:
        raise InputError(f"file: {path} has names that are not UTF-8") from error
    model.ensureColwise()
    of = model.getLp().a_matrix_
    matrix = csc_array((np.asarray(of.value_), np.asarray(of.index_), np.asarray(of.start_)), shape=size)
    program = LinearProgram(
        name=name,
        sense="maximise" if lp.sense_ == highspy.ObjSense.kMaximize else "minimise",
        objective=np.asarray(lp.col_cost_, dtype=float),
        constant=float(lp.offset_),
        lower=np.asarray(lp.col_lower_, dtype=float),
        upper=np.asarray(lp.col_upper_, dtype=float),
        integer=whole,
        matrix=matrix,
        row_lower=np.asarray(lp.row_lower_, dtype=float),
        row_upper=np.asarray(lp.row_upper_, dtype=float),
        columns={"columns": Block("columns", 0, size[1])},
        rows={"rows": Block("rows", 0, size[0])},
    )
    # HiGHS drops all names of a file where some cannot be used.
    return program, (columns or [f"c{j}" for j in range(size[1])], rows or [f"r{i}" for i in range(size[0])])
