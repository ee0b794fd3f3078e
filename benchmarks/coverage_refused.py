"""How often 95 % intervals of metrics hold the truth, which is a sample of two million paths.

    python benchmarks/coverage_refused.py [ROUNDS]

Sizes are those at which intervals of the standard deviation begin to be given, and below, where they are refused in
use: the table shows both, so that the refusal can be judged.
"""

from __future__ import annotations

import sys

import numpy as np

from stochisru import load_case, simulate
from stochisru.simulation.metrics import EFFECTIVE, lognormal_kurtosis, npv_metrics

RULES = ("conservative", "moderate", "aggressive", "upfront", "reactive")
NAMES = ("npv_mean", "npv_sd", "sharpe", "cvar95", "npv_p5", "p_positive")
SIZES = ((10, 1_000), (10, 4_000), (30, 4_000), (30, 50_000), (50, 20_000))


def main(rounds: int) -> None:
    """Print a row per horizon, size and rule."""
    print(f"{'T':>3} {'paths':>7} {'effective':>9} {'rule':<13}" + "".join(f"{name:>11}" for name in NAMES))
    for T, n in SIZES:
        case = load_case("lunar-reference").replace(T=T)
        effective = n / lognormal_kurtosis(case.process.volatility**2 * T)
        here = min(rounds, 3_000_000 // n)
        truth = simulate(case, RULES, paths=2_000_000, seed=1)
        sample = simulate(case, RULES, paths=here * n, seed=2)
        for i, rule in enumerate(RULES):
            known = npv_metrics(truth.npv[i])
            rows = [npv_metrics(npv, kurtosis=n / EFFECTIVE) for npv in sample.npv[i].reshape(here, n)]
            held = [
                np.mean([row[name].lower <= known[name].value <= row[name].upper for row in rows]) for name in NAMES
            ]
            cells = "".join(f"{share:>11.0%}" for share in held)
            print(f"{T:>3} {n:>7,} {effective:>9,.0f} {rule:<13}{cells}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 300)
