"""Gurobi through gurobipy; its free licence is limited in size."""

from __future__ import annotations

import contextlib
import importlib.util
import time
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from scenario_trees.arrays import Array
from stochisru.errors import InfeasibleError, InputError, SolverError, TimeLimitError, UnboundedError
from stochisru.limits import Limit
from stochisru.programs.conflict import failed
from stochisru.programs.effort import SolverLimits
from stochisru.programs.sparse import LinearProgram, Solution


class Gurobi:
    """Gurobi, if the ``gurobi`` extra is installed."""

    name = "gurobi"

    def version(self) -> str | None:
        """Version of gurobipy, or None where it is not installed."""
        if importlib.util.find_spec("gurobipy") is None:
            return None
        import gurobipy

        return ".".join(map(str, gurobipy.gurobi.version()))

    def solve(self, program: LinearProgram, bounds: Iterable[tuple[Array, Array]]) -> Iterator[Solution]:
        """Solve to optimality for each pair of bounds or raise `SolverError`."""
        for lower, upper in bounds:
            with guarded(program, program.name):
                yield self._optimum(program.with_bounds(lower, upper))

    def solve_mixed(
        self, program: LinearProgram, limits: SolverLimits, start: Array | None = None, cutoff: float | None = None
    ) -> Solution:
        """Branch and cut to a relative gap or until the time is up; `SolverError` without a solution and a bound."""
        import gurobipy as gp

        with guarded(program, program.name):
            began = time.perf_counter()
            model, x, _ = load_program(program)
            if start is not None:
                x.Start = start
            model.Params.MIPGap = limits.rel_gap
            if limits.time_limit is not None:
                model.Params.TimeLimit = limits.time_limit
            if cutoff is not None:
                model.Params.Cutoff, model.Params.Heuristics = cutoff, 0.0
            model.optimize()
            if cutoff is not None and model.Status in (gp.GRB.CUTOFF, gp.GRB.INFEASIBLE):
                raise InfeasibleError(f"{program.name}: no solution is better than {cutoff:g}")
            ended = {gp.GRB.OPTIMAL: None, gp.GRB.TIME_LIMIT: Limit.TIME}
            if model.Status not in ended or model.SolCount == 0 or not np.isfinite(model.ObjBound):
                ended_so = f"{program.name}: gurobi ended with status {model.Status}"
                raise failed(_error(model.Status), f"{ended_so} before a solution and a bound were found", program)
            return self._solution(program, model, x, None, began, ended[model.Status])

    def _optimum(self, program: LinearProgram) -> Solution:
        import gurobipy as gp

        start = time.perf_counter()
        model, x, rows = load_program(program)
        model.optimize()
        if model.Status != gp.GRB.OPTIMAL:
            message = f"{program.name}: gurobi ended with status {model.Status}"
            raise failed(_error(model.Status), message, program)
        return self._solution(program, model, x, None if program.integer.any() else rows, start)

    def _solution(
        self, program: LinearProgram, model: Any, x: Any, rows: Any, start: float, limit: Limit | None = None
    ) -> Solution:
        """What Gurobi has found, checked against the program's rows; ``rows`` are those of a linear program."""
        found = np.asarray(x.X)
        program.require_feasible(found)
        dual = np.zeros(program.shape[0])
        for mask, constraint in rows or ():
            dual[mask] += constraint.Pi
        return Solution(
            program=program,
            objective=program.value(found),
            bound=float(model.ObjBound) if rows is None else program.dual_bound(dual),
            x=found,
            row_dual=dual,
            solver=f"gurobi {self.version()}",
            seconds=time.perf_counter() - start,
            limit=limit,
        )


def load_program(program: LinearProgram) -> tuple[Any, Any, list[tuple[Any, Any]]]:
    """A Gurobi model of the program: model, variables, and (rows, constraints) pairs."""
    import gurobipy as gp

    model: Any = gp.Model(program.name, env=gp.Env(params={"OutputFlag": 0, "Threads": 1}))
    kinds = np.where(program.integer, gp.GRB.INTEGER, gp.GRB.CONTINUOUS)
    x = model.addMVar(program.shape[1], lb=program.lower, ub=program.upper, vtype=kinds)
    equal = program.row_lower == program.row_upper
    above = ~equal & np.isfinite(program.row_lower)
    below = ~equal & np.isfinite(program.row_upper)
    matrix = program.matrix.tocsr()
    rows = [
        (mask, model.addMConstr(matrix[np.flatnonzero(mask)], x, sense, side[mask]))
        for mask, sense, side in (
            (equal, "=", program.row_lower),
            (above, ">", program.row_lower),
            (below, "<", program.row_upper),
        )
        if mask.any()
    ]
    sense = gp.GRB.MAXIMIZE if program.sense == "maximise" else gp.GRB.MINIMIZE
    model.setObjective(program.objective @ x + program.constant, sense)
    return model, x, rows


@contextlib.contextmanager
def guarded(program: LinearProgram, name: str) -> Iterator[None]:
    """Turn Gurobi's errors into ours; the size limit of the free licence is the user's to solve."""
    import gurobipy as gp

    try:
        yield
    except gp.GurobiError as error:
        if error.errno == gp.GRB.Error.SIZE_LIMIT_EXCEEDED:
            n_rows, n_columns = program.shape
            raise InputError(
                f"solver: the free gurobi licence allows at most 2,000 rows and 2,000 columns, {name} has "
                f"{n_rows:,} and {n_columns:,}; use highs, a later cut stage or a full licence"
            ) from error
        raise SolverError(f"{name}: gurobi failed: {error}") from error


def _error(status: int) -> type[SolverError]:
    """The error for a status of a model without a solution."""
    import gurobipy as gp

    return {
        gp.GRB.INFEASIBLE: InfeasibleError,
        gp.GRB.TIME_LIMIT: TimeLimitError,
        gp.GRB.UNBOUNDED: UnboundedError,
        gp.GRB.INF_OR_UNBD: UnboundedError,
    }.get(status, SolverError)
