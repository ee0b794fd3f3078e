"""What is installed and what works here: solvers, MPI, versions, machine."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from stochisru.methods.result import versions
from stochisru.programs.solvers import solvers


def _mpi_library() -> str | None:
    """Version of the MPI library that mpi4py loads, or None; asked in a process of its own, since it may abort."""
    question = "from mpi4py import MPI; print(MPI.Get_library_version().splitlines()[0])"
    command = [sys.executable, "-c", question]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except subprocess.TimeoutExpired:
        return None
    return answer.stdout.strip("\0 \n") or None


def _mpiexec() -> str | None:
    """The launcher that goes with this Python: the one beside it, where ``mpich`` puts it, or the first on the path."""
    return shutil.which("mpiexec", path=str(Path(sys.executable).parent)) or shutil.which("mpiexec")


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
        "mpi": {"library": _mpi_library(), "mpiexec": _mpiexec()},
        "ok": found["highs"] is not None,
    }
