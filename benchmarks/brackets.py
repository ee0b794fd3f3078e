"""Coverage and width of the statistical bracket of RP on the process, on cases whose exact value is known.

The bracket takes nothing from the exact policy: below, the plan of a lattice on fresh paths with its control variate;
above, perfect information at a price (`stochisru.lunar.values.penalised`). Coverage is over many seeds, of brackets of
fewer paths, where what the price leaves open counts least beside chance; width is at 4,000 paths. Cases without an
exact policy have their width.

Goal: 95 % brackets hold the exact value in at least 184 of 200 seeds; they are no wider than 0.5 % of it for T = 10 and
1 % for T = 30.
"""

from __future__ import annotations

import argparse
import sys
import time

import numpy as np

from stochisru import load_case, process_values, threshold
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.solving import optimum_on_lattice
from stochisru.lunar.values.penalised import Ends, penalised_ends
from stochisru.simulation.sampling import Sampling

PATHS, FIRST_SEED = 4000, 7_000_000
HELD, WIDTH = 0.92, {10: 0.005, 30: 0.01}
CASES = [(name, T) for T in WIDTH for name in ("lunar-reference", "contested-market", "predecessor")]
#: Cases without an exact policy: what they have beyond `contested-market`.
OTHERS = {
    "Earth supplies 1,000 kg/yr": {"earth_limit": 1000.0},
    "modules of 20 kg": {"lot": 20.0},
    "campaigns of 1 million $": {"fixed_cost": 1e6},
    "cancelled with 5 % a year": {"process": {"kind": "jumps", "jumps": [{"rate": 0.05, "size": -1.0, "spread": 0.0}]}},
    "mean-reverting": {"process": {"kind": "mean-reverting", "level": 4000.0, "reversion": 0.3}},
    "two regimes": {
        "process": {
            "kind": "regimes",
            "drifts": (0.3, -0.1),
            "volatilities": (0.1, 0.3),
            "switching": ((0.8, 0.2), (0.3, 0.7)),
        }
    },
    "unknown drift": {"process": {"kind": "unknown-drift", "prior_sd": 0.1}},
}


def ends_of(case: DeploymentCase, policy: object, paths: int, seed: int) -> Ends:
    """Both ends of one sample."""
    found = penalised_ends(case, policy, Sampling(paths, seed))  # type: ignore[arg-type]
    assert found is not None
    return found


def main() -> int:
    """Print two tables; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--few", type=int, default=1000, help="paths of the brackets whose coverage is measured")
    parser.add_argument("--years", type=int, nargs="*", default=list(WIDTH), choices=list(WIDTH))
    options = parser.parse_args()
    missed = []
    start = time.perf_counter()
    print(
        f"| case | T | held, of {options.seeds} ({options.few:,} paths) | width ({PATHS:,} paths) | plan | price | s |"
    )
    print("|---|---|---|---|---|---|---|")
    for name, T in CASES:
        if T not in options.years:
            continue
        case = load_case(name).replace(T=T)
        exact, policy = threshold(case).objective, optimum_on_lattice(case).policy(name="lattice")
        held = 0
        for s in range(options.seeds):
            ends = ends_of(case, policy, options.few, FIRST_SEED + s)
            held += ends.policy.lower <= exact <= ends.known.upper
        wide = [ends_of(case, policy, PATHS, FIRST_SEED - 1 - s) for s in range(5)]
        width = float(np.mean([e.known.upper - e.policy.lower for e in wide])) / abs(exact)
        below = float(np.mean([e.policy.value for e in wide])) / exact - 1
        above = float(np.mean([e.known.value for e in wide])) / exact - 1
        if held < HELD * options.seeds or width > WIDTH[T]:
            missed.append(f"{name}, T = {T}")
        row = f"{held} | {width:.3%} | {below:+.3%} | {above:+.3%} | {time.perf_counter() - start:.0f}"
        print(f"| {name} | {T} | {row} |", flush=True)
    print("\n| contested-market, and | T | RP, 95 %, million $ | width |\n|---|---|---|---|")
    for T in options.years:
        for what, changed in OTHERS.items():
            rp = process_values(load_case("contested-market").replace(T=T, **changed), paths=PATHS).values["rp"]
            width = (rp.upper - rp.lower) / abs(rp.value)
            print(f"| {what} | {T} | {rp.lower / 1e6:.3f} to {rp.upper / 1e6:.3f} | {width:.2%} |", flush=True)
    print("\n" + (f"MISSED: {', '.join(missed)}" if missed else "goal met"))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
