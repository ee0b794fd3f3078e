"""A million out-of-sample path-years of every policy, against drawing the normal numbers alone.

33,334 paths of 30 years on one core. "make" is the time to compute the policy, "run" the time to simulate it with all
metrics, "ratio" run over the time of ``numpy.random.Generator.standard_normal`` for the same numbers (median of five).
No goal; always exits with 0.
"""

from __future__ import annotations

import statistics
import time

import numpy as np

from stochisru import POLICIES, load_case, policy_named, simulate

PATHS, T = 33_334, 30


def main() -> None:
    """Print the table."""
    case = load_case("lunar-reference").replace(T=T)
    draws = []
    for _ in range(5):
        start = time.perf_counter()
        np.random.default_rng(7).standard_normal((T, PATHS))
        draws.append(time.perf_counter() - start)
    alone = statistics.median(draws)
    print(f"{case.name}, {PATHS:,} paths, T = {T}; seconds; normal numbers alone {alone:.4f}")
    print(f"{'policy':<14}{'make':>9}{'run':>9}{'ratio':>9}")
    for name in POLICIES:
        start = time.perf_counter()
        policy = policy_named(name, case)
        made = time.perf_counter() - start
        simulate(case, [policy], paths=2000, seed=1)  # what is cached by the first call
        start = time.perf_counter()
        _ = simulate(case, [policy], paths=PATHS, seed=7).metrics
        run = time.perf_counter() - start
        print(f"{name:<14}{made:9.3f}{run:9.3f}{run / alone:9.1f}")


if __name__ == "__main__":
    main()
