"""The formulations of curves, for structures with three, one and no pieces and a curve each way, against LP files.

Run ``python -m tests.test_golden_scale`` to write them again after a change that is meant.
"""

import sys
from pathlib import Path

import numpy as np
import pytest

from stochisru.programs.curves import Curve, add_curve, add_curves
from stochisru.programs.sparse import ProgramBuilder

from .test_golden import GOLDEN, terms

FORMULATIONS = ("interval", "convex-combination", "incremental")


def lp(formulation, folder):
    """Cost with economies of scale and a jump, output on one binary less; a convex cost on none."""
    cost, output = Curve([0, 2, 5], [0, 8, 14], fixed=3), Curve([0, 1, 2, 5], [0, 1, 3, 6])
    builder = ProgramBuilder(formulation, "minimise")
    size = builder.variables("size", 3, lower=0, upper=[4.0, 2.0, 0.0])
    spent, made = add_curves(
        builder, "plant", [(cost, "small"), (output, "large")], size.index, formulation=formulation
    )
    spent.in_objective(builder)
    builder.rows("demand", 5.0, np.inf, made.rows(row=np.zeros(3, int)))
    effort = builder.variables("effort", 1, lower=0, upper=3.0)
    wear = Curve([0, 1, 3], [0, 1, 5])
    add_curve(builder, "wear", wear, effort.index, direction="small", formulation=formulation).in_objective(builder)
    return builder.build().write(folder / f"scale_{formulation}.lp").read_text()


@pytest.mark.parametrize("formulation", FORMULATIONS)
def test_formulation_matches_its_golden_file(formulation, tmp_path):
    assert terms(lp(formulation, tmp_path)) == terms((GOLDEN / f"scale_{formulation}.lp").read_text())


if __name__ == "__main__":
    for item in FORMULATIONS:
        lp(item, Path(GOLDEN))
    sys.stdout.write(f"wrote {len(FORMULATIONS)} files\n")
