"""Every constraint and the objective of a two-period case against committed LP files.

The files are compared as sets of lines within sections, so the order of terms and rows does not matter. Run
``python tests/test_golden.py`` to write them again after a change that is meant.
"""

import io
import re
import sys
from pathlib import Path

import pytest

from scenario_trees import ScenarioTree
from stochisru import load_case
from stochisru.lunar.path_model import path_model
from stochisru.lunar.tree_program import tree_program

GOLDEN = Path(__file__).parent / "golden"
CONSTRAINTS = ("balance", "launch", "capacity", "delivery", "excess", "demand")


def case():
    return load_case("predecessor").replace(
        T=1, lead_time=1, degradation=0.1, earth_limit=8.0, M0=1.0, D0=10.0, mu=0.0, sigma=0.5
    )


def terms(text):
    """Sections of an LP file as {section: {row name: sorted terms}}."""
    sections, section, row = {}, None, None
    for raw in text.splitlines():
        line = re.sub(r"\\.*", "", raw).strip()
        if not line:
            continue
        if re.fullmatch(r"(min|max|minimize|maximize|st|s\.t\.|subject to|bounds|end|general|binary)", line.lower()):
            section = line.lower()
            sections.setdefault(section, {})
            row = None
            continue
        if ":" in line:
            name, line = line.split(":", 1)
            row = name.strip()
        if section == "bounds":  # one line per variable: key it by the variable
            row = re.search(r"[A-Za-z_][\w\[\],()]*", line).group()
        found = sections[section].setdefault(row, [])
        found.extend(re.findall(r"[+-]?\s*[\d.eE+-]*\s*[A-Za-z_][\w\[\],()]*|[<>=]+|[+-]?[\d.]+(?:e[+-]?\d+)?", line))
    return {
        s: {r: sorted(rounded(t.replace(" ", "")) for t in found) for r, found in rows.items()}
        for s, rows in sections.items()
    }


def rounded(term):
    """A term with its number to 12 digits: writers differ in how many they print."""
    return re.sub(r"^([+-]?)(\d[\d.]*(?:e[+-]?\d+)?)", lambda m: f"{m[1]}{float(m[2]):.12g}", term)


def path_lp(keep):
    """LP file of the path model with one constraint (or the objective) alone."""
    import pyomo.environ as pyo

    model = path_model(case(), [10.0, 12.0])
    for block in model.component_objects(pyo.Constraint):
        if block.name != keep:
            block.deactivate()
    if keep != "npv":
        model.objective.deactivate()
        model.nothing = pyo.Objective(expr=0 * model.dM[0])
    stream = io.StringIO()
    from pyomo.repn.plugins.lp_writer import LPWriter

    LPWriter().write(model, stream, symbolic_solver_labels=True, file_determinism=30)
    return stream.getvalue()


def tree_lp(folder):
    problem = case()
    tree = ScenarioTree.from_process(problem.process, [2])
    return tree_program(problem, tree).write(folder / "tree_program.lp").read_text()


@pytest.mark.parametrize("name", [*CONSTRAINTS, "npv"])
def test_path_model_matches_its_golden_file(name):
    assert terms(path_lp(name)) == terms((GOLDEN / f"{name}.lp").read_text())


def test_tree_program_matches_its_golden_file(tmp_path):
    assert terms(tree_lp(tmp_path)) == terms((GOLDEN / "tree_program.lp").read_text())


def test_comparison_sees_a_changed_coefficient():
    good = (GOLDEN / "capacity.lp").read_text()
    assert terms(good) != terms(good.replace("-2", "-3"))
    assert terms(good) != terms(good.replace("\n= 0", "\n<= 0"))
    swapped = good.replace("<= M(0) <= 6.0", "<= X <= 6.0").replace("<= Qcap(0) <= 12.0", "<= M(0) <= 12.0")
    assert terms(good) != terms(swapped.replace("<= X <= 6.0", "<= Qcap(0) <= 6.0"))


def test_export_formats(tmp_path):
    problem = case()
    program = tree_program(problem, ScenarioTree.from_process(problem.process, [2]))
    text = program.write(tmp_path / "p.mps").read_text()
    assert "balance_0" in text
    assert "Q_earth_2" in text
    with pytest.raises(Exception, match=r"must end in \.mps or \.lp"):
        program.write(tmp_path / "p.txt")


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for item in (*CONSTRAINTS, "npv"):
        (GOLDEN / f"{item}.lp").write_text(path_lp(item))
    tree_lp(GOLDEN)
    sys.stdout.write(f"wrote {len(CONSTRAINTS) + 2} files\n")
