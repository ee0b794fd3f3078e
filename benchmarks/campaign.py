"""The cislunar campaign: formulations of the plants' curves against each other, and bounds per structure against one M.

Two instances of two years with a set-up year: oxygen on the Moon, which is solved to 1 %, and oxygen at EML1, whose gap
after a fixed time is reported. Every variant is run with several random seeds of HiGHS; seconds are those of the
processor, so they do not depend on what else the machine does. Ratios are taken within one run.
Goals: the relaxations of the three formulations are equal to 1e-6, all optima agree within their gaps, and bounds per
structure have a relaxation at least as high as one M.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from stochisru.programs.solvers.highs import load_program
from stochisru.programs.solvers.highs import run as run_highs
from stochisru.programs.solvers.scaling import Scaling
from stochisru.programs.sparse import LinearProgram, solve
from stochisru.worked.cislunar.parameters import Campaign
from stochisru.worked.cislunar.program import campaign_program

SEEDS = (1, 2, 3)
ONE_M = 50_000.0
REL_GAP = 0.01
LIMIT = 90.0
FIXED = 12.0
INSTANCES = {
    "Moon": Campaign(years=2, setup=True, demand={("Moon", "oxygen"): 40_000.0}),
    "EML1": Campaign(years=2, setup=True, demand={("EML1", "oxygen"): 20_000.0}),
}


@dataclass(frozen=True)
class Run:
    """One search: cost and bound in $, processor seconds, nodes."""

    cost: float
    bound: float
    seconds: float
    nodes: int

    @property
    def gap(self) -> float:
        """Relative gap."""
        return (self.cost - self.bound) / self.cost


def variants(campaign: Campaign) -> dict[str, LinearProgram]:
    """The program in all forms."""
    found = {
        form: campaign_program(campaign, formulation=form).program  # type: ignore[arg-type]
        for form in ("interval", "convex-combination", "incremental")
    }
    found["interval, without counts of flights"] = campaign_program(campaign, counts=False).program
    one = campaign_program(campaign, common_bound=ONE_M).program
    found["interval, one bound for all"] = one
    found["interval, one M"] = with_one_m(one)
    return found


def with_one_m(program: LinearProgram) -> LinearProgram:
    """``x_g ≤ M·z_g`` with the same M in every interval of every structure; an interval's end bounds x_g itself."""
    matrix = program.matrix.copy()
    row = matrix.indices
    for name, block in program.rows.items():
        if name.endswith("_most"):
            mine = (row >= block.start) & (row < block.start + block.size) & (matrix.data < 0)
            matrix.data[mine] = -ONE_M
    return replace(program, matrix=matrix)


def run(program: LinearProgram, seed: int, limit: float) -> Run:
    """Branch and cut by HiGHS in one thread."""
    scale = Scaling.of(program)
    model: Any = load_program(program, scale)
    for option, value in (("mip_rel_gap", REL_GAP), ("time_limit", limit), ("random_seed", seed)):
        model.setOptionValue(option, value)
    began = time.process_time()
    run_highs(model)
    info = model.getInfo()
    cost, bound = info.objective_function_value / scale.f, info.mip_dual_bound / scale.f
    return Run(cost, bound, time.process_time() - began, int(info.mip_node_count))


def main() -> int:
    """Print a table per instance; 1 if a goal is missed."""
    missed = []
    for name, campaign in INSTANCES.items():
        limit = LIMIT if name == "Moon" else FIXED
        print(f"\noxygen at {name}, {campaign.title}; {limit:g} s at most, {len(SEEDS)} seeds")
        print(f"{'':38}{'binaries':>9}{'LP, $M':>9}{'cost, $M':>10}{'gap %':>14}{'CPU s (range)':>22}{'ratio':>7}")
        relaxed, runs = {}, {}
        for form, program in variants(campaign).items():
            whole = program.integer & (program.upper <= 1)
            relaxed[form] = solve(replace(program, integer=np.zeros_like(program.integer))).objective
            runs[form] = [run(program, seed, limit) for seed in SEEDS]
            mine = runs[form]
            seconds, gaps = [r.seconds for r in mine], [100 * r.gap for r in mine]
            ratio = float(np.median(seconds)) / float(np.median([r.seconds for r in runs["interval"]]))
            print(
                f"{form:38}{int(whole.sum()):9d}{relaxed[form] / 1e6:9.2f}{min(r.cost for r in mine) / 1e6:10.2f}"
                f"{min(gaps):7.1f}–{max(gaps):<6.1f}{np.median(seconds):9.1f} ({min(seconds):.1f}–{max(seconds):.1f})"
                f"{ratio:7.2f}",
                flush=True,
            )
        forms = [relaxed[f] for f in ("interval", "convex-combination", "incremental")]
        if max(forms) - min(forms) > 1e-6 * max(forms):
            missed.append(f"{name}: relaxations differ")
        if relaxed["interval, one M"] > relaxed["interval"] * (1 + 1e-9):
            missed.append(f"{name}: one M has the higher relaxation")
        least, most = min(r.cost for m in runs.values() for r in m), max(r.bound for m in runs.values() for r in m)
        if least < most * (1 - 1e-6):
            missed.append(f"{name}: a plan costs less than a bound")
    for text in missed:
        print("missed:", text)
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
