"""What is installed and what works here: solvers, MPI, versions, machine."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
from typing import Any

from stochisru.methods.result import versions
from stochisru.solvers import solvers


def diagnose() -> dict[str, Any]:
    """Facts about the installation, plain values for JSON."""
    import pyomo.environ as pyo

    found = {name: solver.version() for name, solver in solvers().items()}
    pyomo_solvers = {}
    for name in ("highs", "appsi_highs", "gurobi_direct", "glpk", "cbc", "ipopt"):
        try:
            pyomo_solvers[name] = bool(pyo.SolverFactory(name).available(exception_flag=False))
        except Exception:  # a solver interface that breaks is a solver that is not available
            pyomo_solvers[name] = False
    return {
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "versions": versions(),
        "solvers": found,
        "pyomo_solvers": pyomo_solvers,
        "mpi": {"mpi4py": importlib.util.find_spec("mpi4py") is not None, "mpiexec": shutil.which("mpiexec")},
        "ok": found["highs"] is not None,
    }
