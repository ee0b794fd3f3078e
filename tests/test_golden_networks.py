"""The programs of Tables 3.1 and 3.2 on a small network, and their reduced forms, against committed LP files.

Run ``python -m tests.test_golden_networks`` to write them again after a change that is meant.
"""

import sys
from pathlib import Path

import pytest

from stochisru.networks.assembly import assemble

from .networks import small
from .test_golden import GOLDEN, terms

PROGRAMS = {
    "table_3_1": (False, "literal"),
    "table_3_1_reduced": (False, "reduced"),
    "table_3_2": (True, "literal"),
    "table_3_2_reduced": (True, "reduced"),
}


def lp(name, folder):
    mixed, form = PROGRAMS[name]
    network = small(mixed)
    program = assemble(network, limits={"cost": 500.0} if mixed else None, form=form).program
    return program.write(folder / f"{name}.lp").read_text()


@pytest.mark.parametrize("name", PROGRAMS)
def test_program_matches_its_golden_file(name, tmp_path):
    assert terms(lp(name, tmp_path)) == terms((GOLDEN / f"{name}.lp").read_text())


def test_every_block_of_the_tables_is_there():
    lp_rows = set(assemble(small(mixed=False), form="literal").program.rows)
    assert lp_rows == {"balance", "transformation", "concurrency_out", "concurrency_in"}
    mixed = assemble(small(mixed=True), form="literal").program
    assert set(mixed.rows) == lp_rows | {"capacity_out", "capacity_in", "use_out", "use_in"}
    assert set(mixed.columns) == {"x_out", "x_in", "y_out", "y_in", "z"}
    n, k = 2, 2
    assert mixed.columns["z"].size == n * k
    assert all(mixed.integer[mixed.columns["z"].span])


if __name__ == "__main__":
    for item in PROGRAMS:
        lp(item, Path(GOLDEN))
    sys.stdout.write(f"wrote {len(PROGRAMS)} files\n")
