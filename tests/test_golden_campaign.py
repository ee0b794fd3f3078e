"""The plants of a small campaign (curves, deliveries, output, spares) against a committed LP file.

Run ``python -m tests.test_golden_campaign`` to write it again after a change that is meant.
"""

import sys
from pathlib import Path

import numpy as np

from stochisru.programs.sparse import Block, LinearProgram
from stochisru.worked.cislunar.parameters import Campaign
from stochisru.worked.cislunar.program import campaign_program

from .test_golden import GOLDEN, terms


def plants_alone():
    """Rows of the plants' blocks and the columns in them, renumbered block by block."""
    changes = {"largest_extraction": 2500.0, "largest_electrolysis": 1000.0, "interval": 1000.0}
    program = campaign_program(Campaign(years=1, changes=changes)).program
    rows = [b for name, b in program.rows.items() if name.startswith("plant ")]
    row = np.concatenate([b.index for b in rows])
    matrix = program.matrix.tocsr()[row].tocsc()
    column = np.flatnonzero(np.diff(matrix.indptr))
    return LinearProgram(
        name="plants",
        sense=program.sense,
        objective=program.objective[column],
        constant=0.0,
        lower=program.lower[column],
        upper=program.upper[column],
        integer=program.integer[column],
        matrix=matrix[:, column],
        row_lower=program.row_lower[row],
        row_upper=program.row_upper[row],
        columns=renumbered((b.name, int(np.isin(b.index, column).sum())) for b in program.columns.values()),
        rows=renumbered((b.name, b.size) for b in rows),
    )


def renumbered(blocks):
    found, start = {}, 0
    for name, size in blocks:
        if size:
            found[name] = Block(name.replace(" ", "_"), start, size)
            start += size
    return found


def lp(folder):
    return plants_alone().write(folder / "campaign_plants.lp").read_text()


def test_plants_match_their_golden_file(tmp_path):
    assert terms(lp(tmp_path)) == terms((GOLDEN / "campaign_plants.lp").read_text())


if __name__ == "__main__":
    lp(Path(GOLDEN))
    sys.stdout.write("wrote campaign_plants.lp\n")
