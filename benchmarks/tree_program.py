"""Tree program against mpi-sppy's extensive form, and the share of the time that building takes.

Both sides start from the case and the branching factors, use HiGHS and stop with the optimal value; imports
are done before. Goals: at least 100 times faster on 3^7 leaves with the same objective to 1e-7, and on 3^10
leaves at most 15 % of the solution time for building tree and program.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass

from mpisppy_ef import mpisppy_extensive_form

from scenario_trees import ScenarioTree
from stochisru import extensive_form, load_case

GOAL_RATIO = 100.0
GOAL_DIFFERENCE = 1e-7
GOAL_BUILD = 0.15


@dataclass(frozen=True)
class Outcome:
    """Objective in $ (maximised), nodes, and seconds to build tree and program and for the rest."""

    objective: float
    nodes: int
    build: float
    solve: float


def tree_program(T: int) -> Outcome:
    """Tree of three branches a year, its program, solution, bound and plan."""
    case = load_case("lunar-reference").replace(T=T)
    start = time.perf_counter()
    tree = ScenarioTree.from_process(case.process, [3] * T)
    result = extensive_form(case, tree)
    total = time.perf_counter() - start
    rest = result.timings["solve"] + result.timings["read"]
    return Outcome(result.objective, tree.n_nodes, total - rest, rest)


def main() -> int:
    """Print the tables; return the exit code."""
    tree_program(2)
    small = load_case("lunar-reference").replace(T=2)
    mpisppy_extensive_form(small, ScenarioTree.from_process(small.process, [3, 3]))

    T = 7
    ours = tree_program(T)
    case = load_case("lunar-reference").replace(T=T)
    theirs = mpisppy_extensive_form(case, ScenarioTree.from_process(case.process, [3] * T))
    ratio = (theirs.build + theirs.solve) / (ours.build + ours.solve)
    difference = abs(ours.objective / theirs.objective - 1)
    print(f"lunar-reference, T = {T}, 3^{T} leaves, {ours.nodes:,} nodes; seconds")
    print(f"{'':<24}{'build':>9}{'solve':>9}{'total':>9}  objective ($, maximise)")
    for name, row in (("tree program", ours), ("mpi-sppy ExtensiveForm", theirs)):
        print(f"{name:<24}{row.build:9.3f}{row.solve:9.3f}{row.build + row.solve:9.3f}  {row.objective:,.4f}")
    fast = ratio >= GOAL_RATIO and difference <= GOAL_DIFFERENCE
    print(f"{ratio:.0f} times faster (goal {GOAL_RATIO:.0f}), objectives differ by {difference:.1e} (goal 1e-07)")

    large = tree_program(10)
    share = large.build / large.solve
    print(f"\nlunar-reference, T = 10, 3^10 leaves, {large.nodes:,} nodes; seconds")
    print(f"build {large.build:.3f}, solve {large.solve:.3f}: {share:.1%} (goal at most {GOAL_BUILD:.0%})")
    met = fast and share <= GOAL_BUILD
    print("goals met" if met else "GOAL MISSED")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
