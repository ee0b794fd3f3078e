"""The multistage optimum on Gauss–Hermite trees against the exact one, as branching grows.

The error of a tree of b branches a year falls about as 1/b, and oscillates: the integrand has kinks. No goal; always
exits with 0.
"""

from __future__ import annotations

import numpy as np

from scenario_trees import ScenarioTree
from stochisru import extensive_form, load_case, threshold

BRANCHES = range(2, 13)
T = 3


def main() -> None:
    """Print the table."""
    cases = [load_case(name).replace(T=T) for name in ("lunar-reference", "contested-market")]
    exact = [threshold(case).objective for case in cases]
    print(f"RP ($, maximise), T = {T}, L = 1, b Gauss–Hermite branches a year; error against the exact policy")
    print(f"{'b':>7}{'leaves':>8}" + "".join(f"{case.name:>20}{'error':>11}" for case in cases))
    errors: list[list[float]] = [[] for _ in cases]
    for b in BRANCHES:
        line = f"{b:7d}{b**T:8,d}"
        for i, case in enumerate(cases):
            value = extensive_form(case, ScenarioTree.from_process(case.process, [b] * T)).objective
            errors[i].append(abs(value / exact[i] - 1))
            line += f"{value:20,.0f}{value / exact[i] - 1:>11.2%}"
        print(line)
    print(f"{'exact':>7}{'':8}" + "".join(f"{value:20,.0f}{'':11}" for value in exact))
    slopes = [float(np.polyfit(np.log(BRANCHES), np.log(e), 1)[0]) for e in errors]
    print("log–log slope of the error: " + ", ".join(f"{c.name} {s:.1f}" for c, s in zip(cases, slopes, strict=True)))


if __name__ == "__main__":
    main()
