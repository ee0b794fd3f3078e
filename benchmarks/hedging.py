"""Progressive hedging against mpi-sppy's own driver, and how its time grows with leaves and with the cut.

Both sides solve the same trees with HiGHS on three ranks until a gap of 0.1 % is proven; seconds are those of the
whole command, start-up included. mpi-sppy gets one scenario per leaf, ``generic_cylinders`` with a Lagrangian and an
incumbent spoke. Its bounds are read from its log, the gap is formed again from them, and the bracket must hold the
optimum of the tree program. A run that has no such gap when its time is up counts with that time, as "more than".
Goal: at least 20 times faster on 3^5 leaves than the fastest of mpi-sppy's runs.
"""

from __future__ import annotations

import argparse
import json
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

from scenario_trees import ScenarioTree
from stochisru import extensive_form, load_case

GOAL_RATIO = 20.0
GAP = 1e-3
CASE = "lunar-reference"
HERE = Path(__file__).parent
#: A line of mpi-sppy's log: seconds, iteration, who found what, best bound, best incumbent.
_LINE = re.compile(r"^\[\s*[\d.]+\]\s+(\d+)\s[\sA-Z*]*\s(-?(?:[\d.]+|inf))\s+(-?(?:[\d.]+|inf))\s+-?[\d.inf]+%")

#: The command line, with the largest resident memory (KiB on Linux) printed at the end.
_MEASURED = (
    "import atexit, os, resource, sys; from stochisru.cli.main import main; "
    "atexit.register(lambda: os.write(1, "
    "b'peak_kib %d\\n' % resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)); sys.exit(main())"
)


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
                raise RuntimeError(f"{' '.join(command)}\n{output.read()[-2000:]}")
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)  # mpiexec ends its ranks
                process.wait()
        output.seek(0)
        yield from output


def stock(T: int, rho: float, solver: str, limit: float) -> Run:
    """mpi-sppy's ``generic_cylinders`` on the tree of three branches a year, with its defaults but for ρ."""
    command = ["mpiexec", "-n", "3", sys.executable, "-m", "mpi4py", "-m", "mpisppy.generic_cylinders"]
    command += ["--module-name", "stochisru.mpisppy", "--branching-factors", " ".join(["3"] * T)]
    command += ["--problem", CASE, "--solver-name", solver, "--default-rho", str(rho), "--rel-gap", str(GAP)]
    command += ["--max-iterations", "100000", "--lagrangian", "--xhatshuffle"]
    command += ["--stage2-ef-solver-name", solver]  # mpi-sppy's advice for more than two stages
    if solver == "appsi_highs":  # has no quadratic objective
        command += ["--linearize-proximal-terms"]
    start = time.perf_counter()
    found = [match for line in lines(command, limit) if (match := _LINE.match(line))]
    seconds = time.perf_counter() - start
    if not found:
        return Run(seconds, 0, -math.inf, math.inf)
    return Run(seconds, int(found[-1][1]), float(found[-1][3]), float(found[-1][2]))


def hedging(
    T: int, ranks: int = 1, cut_stage: int | None = None, gap: float = GAP, limit: float = 600.0, measure: bool = False
) -> Run:
    """``stochisru solve --method ph`` on the same tree."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "result.json"
        command = ["mpiexec", "-n", str(ranks), sys.executable, "-m", "mpi4py"] if ranks > 1 else [sys.executable]
        command += ["-c", _MEASURED] if measure else ["-m", "stochisru"]
        command += ["solve", CASE, "--method", "ph", "--horizon", str(T)]
        command += ["--branching", ",".join(["3"] * T), "--rel-gap", str(gap), "--json", str(file)]
        if cut_stage is not None:
            command += ["--cut-stage", str(cut_stage)]
        start = time.perf_counter()
        output = list(lines(command, limit))
        seconds = time.perf_counter() - start
        if not file.exists():
            return Run(seconds, 0, -math.inf, math.inf, gap)
        data = json.loads(file.read_text())
    log = data["iterations"]
    return Run(
        seconds,
        log[-1]["number"],
        data["bounds"]["lower"],
        data["bounds"]["upper"],
        gap,
        first=log[0]["seconds"],
        last=log[-1]["seconds"],
        peaks=tuple(
            sorted((int(line.split()[1]) / 2**20 for line in output if line.startswith("peak_kib ")), reverse=True)
        ),
    )


def optimum(T: int) -> float:
    """Optimal value of the tree program, $."""
    case = load_case(CASE).replace(T=T)
    return extensive_form(case, ScenarioTree.from_process(case.process, [3] * T)).objective


def show(name: str, run: Run) -> None:
    """Print one line of a table."""
    seconds = f"{'' if run.met else '> '}{run.seconds:.1f}"
    print(f"{name:<44}{seconds:>9}{run.iterations:>11}{run.gap:>10.3%}", flush=True)


def head(title: str) -> None:
    """Print the head of a table."""
    print(f"\n{title}\n{'':<44}{'seconds':>9}{'iterations':>11}{'gap':>10}", flush=True)


def compare(T: int, rhos: Sequence[float], solvers: Sequence[str], limit: float) -> tuple[float, bool]:
    """Race on one tree: how many times faster we are at least, and whether all bounds are right."""
    best = optimum(T)
    head(f"{CASE}, 3^{T} leaves, gap {GAP:.1%}, optimum {best:,.0f} $")
    serial, parallel = hedging(T), hedging(T, ranks=3)
    show("stochisru, one process", serial)
    show("stochisru, 3 ranks", parallel)
    theirs = []
    for solver in solvers:
        for rho in rhos:
            theirs.append(stock(T, rho, solver, limit))
            show(f"generic_cylinders, 3 ranks, {solver}, rho {rho:g}", theirs[-1])
    right = all(run.holds(best) for run in (serial, parallel, *theirs)) and serial.met and parallel.met
    fastest = min(theirs, key=lambda run: run.seconds)
    for name, ours in (("3 ranks", parallel), ("one process", serial)):
        prefix = "" if fastest.met else "more than "
        print(f"{name}: {prefix}{fastest.seconds / ours.seconds:.0f} times faster than the fastest of these")
    if not right:
        print("BOUNDS WRONG OR GAP NOT MET")
    return fastest.seconds / parallel.seconds, right


def growth() -> bool:
    """Print how time grows with leaves and with the cut; say whether every run met its gap."""
    met = True
    head("one process, leaves; cut at the default stage")
    for T in (3, 5, 7, 9):
        run = hedging(T)
        show(f"3^{T} leaves", run)
        met &= run.met
    head("one process, cut stage")
    for T, cut in ((7, 1), (7, 2), (7, 3), (7, 4), (3, 3), (5, 5)):
        run = hedging(T, cut_stage=cut)
        show(f"3^{T} leaves, cut at {cut}: {3**cut} subtrees{' (classical)' if cut == T else ''}", run)
        met &= run.met
    return met


def scale() -> bool:
    """Print memory per rank and time per iteration; say whether every run met its gap."""
    met = True
    columns = ("ranks", "subtrees", "gap", "iterations", "first", "each", "whole", "peak GiB per rank")
    widths = (6, 9, 8, 11, 8, 8, 8, 24)
    print("\nleaves" + "".join(f"{name:>{width}}" for name, width in zip(columns, widths, strict=True)), flush=True)
    runs = [(8, 1, 2, GAP), (8, 2, 2, GAP), (8, 3, 2, GAP), (10, 1, 2, GAP), (10, 2, 2, GAP), (10, 3, 2, GAP)]
    runs += [(10, 1, 4, GAP), (10, 2, 4, GAP), (11, 2, 3, 0.01), (12, 2, 4, 0.01)]
    for T, ranks, cut, gap in runs:
        try:
            run = hedging(T, ranks, cut, gap, limit=600.0, measure=True)
        except RuntimeError as error:
            print(f"3^{T}, {ranks} ranks, {3**cut} subtrees failed: {error}", flush=True)
            met = False
            continue
        each = (run.last - run.first) / max(run.iterations, 1)
        cells = (f"{ranks}", f"{3**cut}", f"{run.gap:.2%}", f"{run.iterations}", f"{run.first:.1f}", f"{each:.2f}")
        cells += (f"{run.seconds:.0f}", " ".join(f"{peak:.2f}" for peak in run.peaks))
        row = "".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
        print(f"{f'3^{T}':<6}{row}", flush=True)
        met &= run.met
    return met


def main() -> int:
    """Print the tables; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--limit", type=float, default=240.0, help="seconds for a stock run on 3^5 leaves")
    parser.add_argument("--small-limit", type=float, default=120.0, help="seconds for a stock run on 3^3 leaves")
    parser.add_argument("--rho", type=float, nargs="+", default=[1.0, 100.0, 1000.0])
    parser.add_argument("--stock-solver", nargs="+", default=["highs"], help="highs and/or appsi_highs")
    parser.add_argument("--scale", action="store_true", help="measure memory and time of large trees instead")
    arguments = parser.parse_args()
    if arguments.scale:
        return 0 if scale() else 1

    _, small = compare(3, arguments.rho, arguments.stock_solver, arguments.small_limit)
    ratio, large = compare(5, arguments.rho, arguments.stock_solver, arguments.limit)
    grown = growth()
    met = ratio >= GOAL_RATIO and small and large and grown
    print(f"\n3^5 leaves: {ratio:.0f} times faster (goal {GOAL_RATIO:.0f}); {'goal met' if met else 'GOAL MISSED'}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
