"""The multistage optimum on Gauss–Hermite trees as branching grows. No goal; always exits with 0."""

from __future__ import annotations

from scenario_trees import ScenarioTree
from stochisru import extensive_form, load_case

BRANCHES = range(2, 13)
T = 3


def main() -> None:
    """Print the table."""
    cases = [load_case(name).replace(T=T) for name in ("lunar-reference", "contested-market")]
    print(f"RP ($, maximise), T = {T}, L = 1, b Gauss–Hermite branches a year; change from the tree before")
    print(f"{'b':>3}{'leaves':>8}" + "".join(f"{case.name:>20}{'change':>11}" for case in cases))
    before: dict[int, float] = {}
    for b in BRANCHES:
        line = f"{b:3d}{b**T:8,d}"
        for i, case in enumerate(cases):
            value = extensive_form(case, ScenarioTree.from_process(case.process, [b] * T)).objective
            change = f"{value / before[i] - 1:.2%}" if i in before else "–"
            line += f"{value:20,.0f}{change:>11}"
            before[i] = value
        print(line)


if __name__ == "__main__":
    main()
