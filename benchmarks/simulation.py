"""Monte Carlo of six strategies against drawing the normal numbers alone.

One million path-years: 33,334 paths of 30 years, the six heuristics, all metrics with their intervals, on one
core. The yardstick is ``numpy.random.Generator.standard_normal`` for the same numbers. The two are timed in
turn, after a warm-up; the medians of five runs are compared. Goal: at most 10 times the yardstick.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

import numpy as np

from stochisru import STRATEGIES, load_case, simulate

PATHS, T = 33_334, 30
GOAL = 10.0


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> int:
    """Print the table; return the exit code."""
    case = load_case("lunar-reference").replace(T=T)

    def monte_carlo() -> object:
        return simulate(case, list(STRATEGIES), paths=PATHS, seed=7).metrics

    def normals() -> object:
        return np.random.default_rng(7).standard_normal((T, PATHS))

    monte_carlo(), normals()
    runs = [(seconds(monte_carlo), seconds(normals)) for _ in range(5)]
    full, alone = (statistics.median(column) for column in zip(*runs, strict=True))
    ratio = full / alone
    print(f"{case.name}, {PATHS:,} paths, T = {T}, {len(STRATEGIES)} strategies; seconds, median of 5")
    print(f"simulate and metrics  {full:.4f}")
    print(f"normal numbers alone  {alone:.4f}")
    print(f"ratio {ratio:.1f} (goal at most {GOAL:.0f}): {'goal met' if ratio <= GOAL else 'GOAL MISSED'}")
    return 0 if ratio <= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
