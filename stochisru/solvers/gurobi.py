"""Gurobi through gurobipy; its free licence is limited in size."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Iterable, Iterator

import numpy as np

from stochisru.errors import InputError, SolverError
from stochisru.linear_program import LinearProgram, Solution


class Gurobi:
    """Gurobi, if the ``gurobi`` extra is installed."""

    name = "gurobi"

    def version(self) -> str | None:
        """Version of gurobipy, or None where it is not installed."""
        if importlib.util.find_spec("gurobipy") is None:
            return None
        import gurobipy

        return ".".join(map(str, gurobipy.gurobi.version()))

    def solve(self, programs: Iterable[LinearProgram]) -> Iterator[Solution]:
        """Solve each program to optimality or raise `SolverError`."""
        for program in programs:
            yield self._optimum(program)

    def _optimum(self, program: LinearProgram) -> Solution:
        import gurobipy as gp

        start = time.perf_counter()
        try:
            with gp.Env(params={"OutputFlag": 0}) as env, gp.Model(program.name, env=env) as model:
                kinds = np.where(program.integer, gp.GRB.INTEGER, gp.GRB.CONTINUOUS)
                x = model.addMVar(program.shape[1], lb=program.lower, ub=program.upper, vtype=kinds)
                equal = program.row_lower == program.row_upper
                above = ~equal & np.isfinite(program.row_lower)
                below = ~equal & np.isfinite(program.row_upper)
                rows = program.matrix.tocsr()
                parts = [
                    (mask, model.addMConstr(rows[np.flatnonzero(mask)], x, sense, side[mask]))
                    for mask, sense, side in (
                        (equal, "=", program.row_lower),
                        (above, ">", program.row_lower),
                        (below, "<", program.row_upper),
                    )
                    if mask.any()
                ]
                maximise = program.sense == "maximise"
                model.setObjective(
                    program.objective @ x + program.constant, gp.GRB.MAXIMIZE if maximise else gp.GRB.MINIMIZE
                )
                model.optimize()
                if model.Status != gp.GRB.OPTIMAL:
                    raise SolverError(f"{program.name}: gurobi ended with status {model.Status}")
                dual = np.zeros(program.shape[0])
                mixed = bool(program.integer.any())
                if not mixed:
                    for mask, constraint in parts:
                        dual[mask] += constraint.Pi
                return Solution(
                    program=program,
                    objective=float(model.ObjVal),
                    bound=float(model.ObjBound) if mixed else program.dual_bound(dual),
                    x=np.asarray(x.X),
                    row_dual=dual,
                    solver=f"gurobi {self.version()}",
                    seconds=time.perf_counter() - start,
                )
        except gp.GurobiError as error:
            if error.errno == gp.GRB.Error.SIZE_LIMIT_EXCEEDED:
                n_rows, n_columns = program.shape
                raise InputError(
                    f"solver: the free gurobi licence allows at most 2,000 rows and 2,000 columns, "
                    f"{program.name} has {n_rows:,} and {n_columns:,}; use highs or a full licence"
                ) from error
            raise SolverError(f"{program.name}: gurobi failed: {error}") from error
