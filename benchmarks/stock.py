"""mpi-sppy's own driver at its best, on the trees of three branches a year of ``hedging.py``.

mpi-sppy leaves ρ, bundles and the solver to its user. Here are the ways that it offers: ρ given, set from costs or
updated, bundles of whole subtrees of the second stage, quadratic and linearised proximal terms, each solver that is
installed. What it cannot run is a `StockError` with the error that it ended with.
"""

from __future__ import annotations

import math
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

GAP = 1e-3
CASE = "lunar-reference"
HERE = Path(__file__).parent
#: A line of mpi-sppy's log: seconds, iteration, who found what, best bound, best incumbent.
_LINE = re.compile(r"^\[\s*[\d.]+\]\s+(\d+)\s[\sA-Z*]*\s(-?(?:[\d.]+|inf))\s+(-?(?:[\d.]+|inf))\s+-?[\d.inf]+%")
_ERROR = re.compile(r"^(?:error: |(?:\w+\.)*\w*(?:Error|Exception)\b)")
_LINEAR = ("--linearize-proximal-terms",)
#: Solvers by Pyomo's names, fast ones first, and the proximal term that each is given.
SOLVERS: dict[str, tuple[str, ...]] = {
    "gurobi_persistent": (),
    "highs": (),
    "appsi_highs": _LINEAR,
    "cbc": _LINEAR,
    "glpk": _LINEAR,
}


@dataclass(frozen=True)
class Run:
    """What a command proved: seconds, iterations, bounds in $ (maximised)."""

    seconds: float
    iterations: int
    lower: float
    upper: float
    wanted: float = GAP
    #: Seconds until the first solve (iteration 0) and the last iteration were logged.
    first: float = math.nan
    last: float = math.nan
    #: Largest resident memory of each rank, GiB, the largest (the hub's) first.
    peaks: tuple[float, ...] = ()

    @property
    def gap(self) -> float:
        """(upper − lower) / max(|lower|, |upper|), infinite while one side is unknown."""
        if not (math.isfinite(self.lower) and math.isfinite(self.upper)):
            return math.inf
        return (self.upper - self.lower) / max(abs(self.lower), abs(self.upper))

    @property
    def met(self) -> bool:
        """Whether the gap is the one that was asked for."""
        return self.gap <= self.wanted

    def holds(self, optimum: float) -> bool:
        """Whether the optimum lies between the bounds."""
        return self.lower <= optimum * (1 + 1e-6) and self.upper >= optimum * (1 - 1e-6)


def lines(command: Sequence[str], limit: float | None) -> Iterator[str]:
    """Run a command in an empty folder and yield its output; end it, ranks and all, when the limit has passed."""
    paths = [str(HERE), str(HERE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1"}
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            process.wait(limit)
        except subprocess.TimeoutExpired:
            pass
        else:
            if process.returncode:
                output.seek(0)
                text = output.read()
                telling = [line for line in text.splitlines() if _ERROR.match(line)]
                raise StockError(telling[0] if telling else f"{' '.join(command)}\n{text[-2000:]}")
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)  # mpiexec ends its ranks
                process.wait()
        output.seek(0)
        yield from output


class StockError(RuntimeError):
    """A command ended with an error, here its telling line."""


@dataclass(frozen=True)
class Way:
    """How mpi-sppy is asked: options for ρ, a solver, and whether leaves are bundled."""

    rho: tuple[str, ...]
    solver: str
    bundled: bool = False

    def __str__(self) -> str:
        rho = " ".join(option.removeprefix("--") for option in self.rho)
        return f"{self.solver}, {rho}" + (", bundles" if self.bundled else "")

    def options(self, T: int) -> list[str]:
        """Options of ``generic_cylinders`` on 3^T leaves."""
        spread = [*self.rho, "--solver-name", self.solver, *SOLVERS[self.solver]]
        if self.bundled:
            return [*spread, "--scenarios-per-bundle", str(3 ** (T - 1))]
        # Its advice for more than two stages; the free licence of Gurobi has no room for such a subtree.
        below = "appsi_highs" if self.solver.startswith("gurobi") else self.solver
        return [*spread, "--stage2-ef-solver-name", below]


def given(rho: float) -> tuple[str, ...]:
    """One ρ for everything."""
    return ("--default-rho", f"{rho:g}")


#: Ways to set ρ; where mpi-sppy needs a number beside it, the best of those that were tried.
RHOS = (
    given(1),
    given(100),
    given(1000),
    ("--sep-rho",),
    ("--coeff-rho",),
    ("--sensi-rho",),
    ("--grad-rho", *given(1)),
    ("--use-norm-rho-updater", *given(1000)),
    ("--use-primal-dual-rho-updater", *given(1000)),
)


def installed() -> list[str]:
    """Those of `SOLVERS` that Pyomo finds."""
    import pyomo.environ as pyo

    return [name for name in SOLVERS if pyo.SolverFactory(name).available(exception_flag=False)]


def ways(solvers: Sequence[str]) -> list[Way]:
    """Every ρ with the first solver, the best ones with all others, with and without bundles."""
    first, *others = solvers
    found = [Way(rho, first) for rho in RHOS]
    found += [Way(rho, solver) for solver in others for rho in (given(1000), ("--sep-rho",))]
    return found + [Way(rho, solver, True) for solver in solvers for rho in (given(1000), ("--sep-rho",))]


def stock(T: int, way: Way, limit: float) -> Run:
    """mpi-sppy's ``generic_cylinders`` on three ranks: hub, Lagrangian and incumbent spoke.

    Raises
    ------
    StockError
        If it ends with an error before the limit.
    """
    command = ["mpiexec", "-n", "3", sys.executable, "-m", "mpi4py", "-m", "mpisppy.generic_cylinders"]
    command += ["--module-name", "stochisru.mpisppy", "--branching-factors", " ".join(["3"] * T), "--problem", CASE]
    command += ["--rel-gap", str(GAP), "--max-iterations", "100000", "--lagrangian", "--xhatshuffle", *way.options(T)]
    start = time.perf_counter()
    found = [match for line in lines(command, limit) if (match := _LINE.match(line))]
    seconds = time.perf_counter() - start
    if not found:
        return Run(seconds, 0, -math.inf, math.inf)
    return Run(seconds, int(found[-1][1]), float(found[-1][3]), float(found[-1][2]))
