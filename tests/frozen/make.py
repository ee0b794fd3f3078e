"""Write the frozen table again: ``python -m tests.frozen.make``, a few minutes.

To be run after a change of numbers that is meant, and for nothing else; the commit says why they change.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from stochisru.lunar.exact.in_advance import why_not_in_advance
from tests.frozen.commands import COMMANDS, run_command
from tests.frozen.generate import rows
from tests.frozen.methods import ALWAYS, ORDERS, Answer, answer
from tests.frozen.problems import BASE, Problem
from tests.frozen.refusals import REFUSALS, refused
from tests.frozen.sizes import program_size

TABLE, REFUSED = Path(__file__).parent / "table.jsonl", Path(__file__).parent / "refused.json"
#: A relative change of all prices that leaves a unique plan where it is, or nearly so, and chooses among equals.
_NUDGE = 1e-8
#: Signs of the changes of the two variants, by symbol.
_NUDGED = {"c_L": 1, "c_dev": 1, "c_op": 1, "r": 1, "P_m": -1, "c_E": -1, "c_bu": -1, "c_S": 1, "c_by": 1}
#: Methods whose plan is an optimal one to the last digit, and the one by which that of SDDP is judged.
_EXACT_PLANS = (
    "extensive_form",
    "tree_dp",
    "static_plan",
    "fixed_design",
    "expected_value",
    "lattice_dp",
    "level_dp",
    "threshold",
    "threshold_ignoring",
)


def nudged(problem: Problem, sign: int) -> Problem:
    """The same problem with plants a little dearer and oxygen a little cheaper (``sign`` 1), or the reverse."""
    symbols = BASE | problem.symbols
    change: dict[str, Any] = {}
    for symbol, direction in _NUDGED.items():
        value, step = symbols[symbol], sign * direction * _NUDGE
        change[symbol] = value * (1 + step) if value else max(step, 0.0)
    return problem.with_symbols(**change)


def alike(one: Iterable[float], other: Iterable[float], scale: float) -> bool:
    """Whether two plans are one, to a tenth of what the test allows."""
    return all(abs(a - b) <= 0.1 * ORDERS * scale for a, b in zip(one, other, strict=True))


def keep_unique_orders(problem: Problem, answers: dict[str, Answer]) -> None:
    """Drop first orders that are not unique: a nudge of the prices either way moves them, or they are not exact."""
    scale = problem.case.demand.D0 / problem.case.technology.eta
    for method, told in answers.items():
        if "orders" not in told:
            continue
        near = max(scale, *told["orders"])
        unique = method in _EXACT_PLANS and told["kind"] != "solver"
        for sign in (1, -1) if unique else ():
            other = answer(method, nudged(problem, sign))
            unique = unique and "error" not in other and alike(told["orders"], other["orders"], near)
        if method == "sddp":
            best = answers["lattice_dp"].get("orders")
            unique = best is not None and alike(told["orders"], best, near)
        if not unique:
            told["orders"] = None


def row_with_answers(row: dict[str, Any]) -> dict[str, Any]:
    """A row of the table."""
    problem = Problem(row["case"], row["tree"], row["lattice"])
    also = [name for name in row["also"] if name != "program"]
    if why_not_in_advance(problem.case) is not None:  # programs with a limit of time say another gap every day
        also = [name for name in also if name != "value_table"]
    answers = {method: answer(method, problem) for method in (*ALWAYS, *also)}
    keep_unique_orders(problem, answers)
    for told in answers.values():
        told.pop("classes", None)
    size = {"program": program_size(problem)} if "program" in row["also"] else {}
    return {name: row[name] for name in ("case", "tree", "lattice")} | size | {"answers": answers}


def main() -> None:
    """Write both files."""
    lines = []
    for number, row in enumerate(rows()):
        lines.append(json.dumps(row_with_answers(row), separators=(",", ":")))
        if number % 50 == 49:
            sys.stderr.write(f"{number + 1} cases\n")
    TABLE.write_text("\n".join(lines) + "\n")
    told = {
        "python": {name: refused(name)["error"] for name in REFUSALS},
        "command line": {line: run_command(line) for line in COMMANDS},
    }
    REFUSED.write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
