"""Which method on a tree for which problem and size: processor seconds to a gap of 0.1 %, memory beside them.

    python benchmarks/methods.py [--years 3 5 7] [--limit 60]

Trees have three branches a year. Each cell is a process of its own that ends at ``limit`` processor seconds. The
quickest method of a line is starred. No goal.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stochisru import load_case
from stochisru.errors import StochisruError
from stochisru.lunar.case import problem_from_dict
from stochisru.lunar.trees import case_tree
from stochisru.methods.options import options_of
from stochisru.methods.registry import method_named, methods_on, options_for
from stochisru.methods.result import Of

TWO = Path(__file__).resolve().parent.parent / "docs" / "two-technologies.toml"
GAP = 1e-3


def with_tables(years: int, **tables: dict[str, Any]) -> Any:
    """The reference case with tables beyond the base problem."""
    return problem_from_dict(tomllib.loads(load_case("lunar-reference").replace(T=years).to_toml()) | tables)


KINDS: dict[str, Callable[[int], Any]] = {
    "linear": lambda T: load_case("lunar-reference").replace(T=T),
    "modules of 50 kg": lambda T: load_case("lunar-reference").replace(T=T, lot=50.0),
    "5 M$ per campaign": lambda T: load_case("lunar-reference").replace(T=T, fixed_cost=5e6),
    "limit on Earth": lambda T: load_case("lunar-reference").replace(T=T, earth_limit=500.0),
    "two technologies": lambda T: load_case(str(TWO)).replace(T=T),
    "store": lambda T: with_tables(T, storage={"boil_off": 0.05}),
}


def measured(case: Any, word: str, years: int, limit: int) -> tuple[float, float, float] | str:
    """Processor seconds, GB and gap of a method; or why there are none."""
    method = method_named(word)
    if (why := method.refuses(case)) is not None:
        return f"refused: {why.partition(':')[0]}"
    tree = case_tree(case, [3] * years)
    given = {"rel_gap": GAP} if "rel_gap" in options_of(method.options) else {}
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        resource.setrlimit(resource.RLIMIT_CPU, (limit + 2, limit + 2))
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        before = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
        try:
            gap = method.solve(case, tree, options_for(method, given)).bounds.gap
        except StochisruError as error:
            os.write(writer, f"! {type(error).__name__}".encode())
            os._exit(0)
        used = resource.getrusage(resource.RUSAGE_SELF)
        os.write(writer, f"{sum(used[:2]) - before} {used.ru_maxrss / 2**20} {gap}".encode())
        os._exit(0)
    os.close(writer)
    told = os.fdopen(reader).read()
    os.waitpid(child, 0)
    if not told or told.startswith("!"):
        return told[2:] or f"> {limit}"
    seconds, memory, gap = map(float, told.split())
    return seconds, memory, gap


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--years", nargs="+", type=int, default=[3, 5, 7])
    parser.add_argument("--limit", type=int, default=60)
    asked = parser.parse_args()
    words = [method.name for method in methods_on(Of.TREE)]
    print(f"{'problem':<20}{'leaves':>8}" + "".join(f"{word:>26}" for word in words))
    for kind, make in KINDS.items():
        for years in asked.years:
            found = {word: measured(make(years), word, years, asked.limit) for word in words}
            times = {word: cell[0] for word, cell in found.items() if not isinstance(cell, str) and cell[2] <= 2 * GAP}
            best = min(times, key=lambda word: times[word]) if times else None
            cells = [
                cell[:24] if isinstance(cell, str) else f"{cell[0]:.2f} s {cell[1]:.2f} GB {cell[2]:.0e}"
                for cell in found.values()
            ]
            line = "".join(f"{('*' if word == best else '') + c:>26}" for word, c in zip(words, cells, strict=True))
            print(f"{kind:<20}{3**years:>8}{line}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
