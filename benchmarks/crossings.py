"""Where one method overtakes another as the horizon grows: processor seconds on `lunar-reference`.

    python benchmarks/crossings.py [--years 6 8 10 11]

Trees have three branches a year, the lattice of SDDP ten states a stage; hedging and SDDP end at a gap of 0.1 %.
No goal.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

from scenario_trees import MarkovLattice
from stochisru import extensive_form, load_case, progressive_hedging, sddp, threshold
from stochisru.lunar.trees import case_tree

#: Longest horizon of each method: a year more takes three times as long on trees.
LONGEST = {"extensive form": 11, "progressive hedging": 10, "SDDP": 50, "exact policy": 50}


def solved(years: int) -> dict[str, Callable[[], Any]]:
    """Methods on the case of so many years, by name."""
    case = load_case("lunar-reference").replace(T=years)
    return {
        "extensive form": lambda: extensive_form(case, case_tree(case, [3] * years)),
        "progressive hedging": lambda: progressive_hedging(case, case_tree(case, [3] * years), rel_gap=1e-3),
        "SDDP": lambda: sddp(case, MarkovLattice.from_process(case.process, years, 10), rel_gap=1e-3),
        "exact policy": lambda: threshold(case),
    }


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--years", type=int, nargs="+", default=[4, 6, 8, 9, 10, 11, 20, 40])
    print(f"{'T':>3} " + "".join(f"{name:>22}" for name in LONGEST))
    threshold(load_case("lunar-reference").replace(T=2))  # imports are done before the clock starts
    for years in parser.parse_args().years:
        cells = []
        for name, solve in solved(years).items():
            if years > LONGEST[name]:
                cells.append("–")
                continue
            start = time.process_time()
            found = solve()
            cells.append(f"{time.process_time() - start:.2f} s, gap {found.bounds.gap:.0e}")
        print(f"{years:>3} " + "".join(f"{cell:>22}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
