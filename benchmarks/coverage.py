"""Coverage of the intervals of metrics: how often a nominal 95 % interval holds the truth.

Per horizon and strategy, the truth comes from one large sample and the intervals from several hundred small ones with
other seeds. Where not every sample gives an interval, the share of those that do stands in brackets, and coverage is
that of the given ones; – where none does. `coverage_refused.py` measures what is refused.

Goal: where at least a quarter of the samples give an interval, coverage is at least 88 % (90 % less two standard
errors of a share over 300 seeds, about).
"""

from __future__ import annotations

import argparse
import sys
import time

import numpy as np

from stochisru import load_case, simulate
from stochisru.lunar.strategies import STRATEGIES
from stochisru.simulation.metrics import UNITS, Estimate

HORIZONS = (10, 30, 50)
PATHS = (1000, 4_000, 10_000)
TRUTH_SEED, FIRST_SEED = 987_654_321, 5_000_000
LEAST, GIVEN = 0.88, 0.25


def cell(found: list[Estimate], truth: float) -> tuple[str, bool]:
    """Entry of the table, and whether it meets the goal."""
    given = [e for e in found if np.isfinite(e.lower) and np.isfinite(e.upper)]
    share = len(given) / len(found)
    if not given:
        return "–", True
    # Rounding: where all paths agree, interval and truth are one number summed in different orders.
    slack = 1e-9 * abs(truth)
    hits = float(np.mean([e.lower - slack <= truth <= e.upper + slack for e in given]))
    text = f"{hits:.0%}".replace("%", " %") + ("" if share == 1 else f" [{share:.0%}]".replace("%", " %"))
    return text, share < GIVEN or hits >= LEAST


def main() -> int:
    """Print one table per number of paths; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=300)
    parser.add_argument("--truth", type=int, default=1_000_000)
    options = parser.parse_args()
    names = list(STRATEGIES)
    metrics = [m for m in UNITS if m != "max_loss"]
    start = time.perf_counter()
    missed: list[str] = []
    case = load_case("lunar-reference")
    for T in HORIZONS:
        problem = case.replace(T=T)
        truth = simulate(problem, names, paths=options.truth, seed=TRUTH_SEED).metrics
        for paths in PATHS:
            runs = [simulate(problem, names, paths=paths, seed=FIRST_SEED + s).metrics for s in range(options.seeds)]
            print(f"\nT = {T}, {paths:,} paths, {options.seeds} seeds ({time.perf_counter() - start:.0f} s)\n")
            print("| metric | " + " | ".join(names) + " |")
            print("|---|" + "---|" * len(names))
            for metric in metrics:
                cells = []
                for name in names:
                    text, fine = cell([r[name][metric] for r in runs], truth[name][metric].value)
                    cells.append(text if fine else f"{text} !")
                    if not fine:
                        missed.append(f"T = {T}, {paths:,} paths, {name}, {metric}: {text}")
                print(f"| `{metric}` | " + " | ".join(cells) + " |", flush=True)
    print("\n" + ("goal met" if not missed else "GOAL MISSED:\n" + "\n".join(missed)))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
