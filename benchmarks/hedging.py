"""Progressive hedging against mpi-sppy's own driver, and how its time grows with leaves and with the cut.

Both sides solve the same trees on three ranks until a gap of 0.1 % is proven; seconds are those of the whole command,
start-up included. mpi-sppy gets ``generic_cylinders`` with a Lagrangian and an incumbent spoke, one scenario per leaf
or bundles of whole subtrees, and every way to set ρ and every solver that is there (``stock.py``); the best ways on 3^3
leaves go on to 3^5. Its bounds are read from its log, the gap is formed again from them, and the bracket must hold the
optimum of the tree program. A run that has no such gap when its time is up counts with that time, as "more than"; one
that ends with an error is named with it. Goals on 3^5 leaves: at least 10 times faster than the fastest of mpi-sppy's
runs without bundles, and faster than the fastest with them.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from stock import CASE, GAP, Run, StockError, Way, installed, lines, stock, ways

from scenario_trees import ScenarioTree
from stochisru import extensive_form, load_case

GOAL_PLAIN, GOAL_BUNDLED = 10.0, 1.0
#: The command line, with the largest resident memory (KiB on Linux) printed at the end.
_MEASURED = (
    "import atexit, os, resource, sys; from stochisru.cli.main import main; "
    "atexit.register(lambda: os.write(1, "
    "b'peak_kib %d\\n' % resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)); sys.exit(main())"
)


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
    print(f"{name:<58}{seconds:>9}{run.iterations:>11}{run.gap:>10.3%}", flush=True)


def head(title: str) -> None:
    """Print the head of a table."""
    print(f"\n{title}\n{'':<58}{'seconds':>9}{'iterations':>11}{'gap':>10}", flush=True)


def compare(T: int, tried: Sequence[Way], limit: float) -> tuple[dict[Way, Run], Run, bool]:
    """Race on one tree: mpi-sppy's runs, ours on three ranks, and whether all bounds are right."""
    best = optimum(T)
    head(f"{CASE}, 3^{T} leaves, gap {GAP:.1%}, optimum {best:,.0f} $")
    serial, parallel = hedging(T), hedging(T, ranks=3)
    show("stochisru, one process", serial)
    show("stochisru, 3 ranks", parallel)
    theirs: dict[Way, Run] = {}
    for way in tried:
        try:
            theirs[way] = stock(T, way, limit)
        except StockError as error:
            print(f"{way!s:<58}{str(error)[:120]}", flush=True)
            continue
        show(str(way), theirs[way])
    right = all(run.holds(best) for run in (serial, parallel, *theirs.values())) and serial.met and parallel.met
    if not right:
        print("BOUNDS WRONG OR GAP NOT MET")
    return theirs, parallel, right


def rank(runs: Mapping[Way, Run]) -> list[Way]:
    """Ways by seconds, those that met the gap first, the others by their gap."""
    return sorted(runs, key=lambda way: (not runs[way].met, runs[way].seconds if runs[way].met else runs[way].gap))


def times(runs: Mapping[Way, Run], ours: Run, kind: str) -> float:
    """Print and return how many times faster we are than the best of mpi-sppy's runs; infinite if none ran."""
    if not runs:
        print(f"mpi-sppy has no run {kind}")
        return math.inf
    best = rank(runs)[0]
    ratio = runs[best].seconds / ours.seconds
    print(f"{'' if runs[best].met else 'more than '}{ratio:.1f} times faster than the fastest {kind}: {best}")
    return ratio


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
        except StockError as error:
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
    parser.add_argument("--limit", type=float, default=60.0, help="seconds for a stock run on 3^5 leaves")
    parser.add_argument("--small-limit", type=float, default=15.0, help="seconds for a stock run on 3^3 leaves")
    parser.add_argument("--stock-solver", nargs="+", default=installed(), help="of those that are installed")
    parser.add_argument("--scale", action="store_true", help="measure memory and time of large trees instead")
    arguments = parser.parse_args()
    if arguments.scale:
        return 0 if scale() else 1

    small, _, right = compare(3, ways(arguments.stock_solver), arguments.small_limit)
    order = rank(small)
    plain_order = [way for way in order if not way.bundled]
    other = [way for way in plain_order if way.solver != plain_order[0].solver]
    finalists = [way for way in order if way.bundled][:2] + plain_order[:2] + other[:1]
    large, ours, rightly = compare(5, finalists, arguments.limit)
    plain = times({way: run for way, run in large.items() if not way.bundled}, ours, "without bundles")
    bundled = times({way: run for way, run in large.items() if way.bundled}, ours, "with bundles")
    grown = growth()
    met = plain >= GOAL_PLAIN and bundled >= GOAL_BUNDLED and right and rightly and grown
    print(f"\ngoals {GOAL_PLAIN:g} and {GOAL_BUNDLED:g} on 3^5 leaves: {'met' if met else 'MISSED'}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
