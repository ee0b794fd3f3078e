"""mpi-sppy's own drivers on our problems: its extensive form, its hub and spokes, its bundles."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from scenario_trees import ScenarioTree
from stochisru import extensive_form, load_case
from stochisru.errors import InputError
from stochisru.lunar.trees import case_tree
from stochisru.mpisppy import stated
from stochisru.problem import Model
from stochisru.values import values
from stochisru.worked.classics import reservoir

DRIVER = ["-m", "mpisppy.generic_cylinders", "--module-name", "stochisru.mpisppy"]
CLASSICS = "stochisru.worked.classics"


def _run(*options: str, ranks: int = 1, folder: Path) -> str:
    python = [sys.executable] if ranks == 1 else ["mpiexec", "-n", str(ranks), sys.executable, "-m", "mpi4py"]
    command = [*python, *DRIVER, *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, cwd=folder)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def _objective(text: str) -> float:
    found = re.search(r"EF objective: (\S+)", text)
    assert found is not None, text
    return float(found[1])


EF = ("--EF", "--EF-solver-name", "appsi_highs")


@pytest.mark.parametrize(
    ("problem", "best"),
    [("farmer", -108_390.0), ("financial_planning", -1.514085), ("wagner_whitin", 1_380.0), ("garage", 6_238_417.0)],
)
def test_extensive_form_of_problems_with_known_answers(problem: str, best: float, tmp_path: Path) -> None:
    assert _objective(_run("--problem", f"{CLASSICS}:{problem}", *EF, folder=tmp_path)) == pytest.approx(best, rel=1e-6)


def test_extensive_form_of_a_case_in_modules(tmp_path: Path) -> None:
    case = load_case("lunar-reference").replace(T=2, lot=50.0)
    (tmp_path / "modules.toml").write_text(case.to_toml())
    found = _objective(_run("--problem", "modules.toml", "--branching-factors", "3 3", *EF, folder=tmp_path))
    assert found == pytest.approx(extensive_form(case, case_tree(case, (3, 3)), rel_gap=1e-8).objective, rel=1e-6)


def test_a_problem_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from stochisru.worked.classics import lands\n\ndef plants():\n    return lands()\n"
    )
    assert _objective(_run("--problem", "mine:plants", *EF, folder=tmp_path)) == pytest.approx(381.85333)


@pytest.mark.parametrize(
    "options",
    [
        ("--problem", f"{CLASSICS}:farmer", "--default-rho", "10"),
        (
            *("--problem", "lunar-reference", "--branching-factors", "3 3", "--default-rho", "1000"),
            *("--stage2-ef-solver-name", "appsi_highs"),
        ),
        ("--problem", f"{CLASSICS}:newsvendor_lognormal", "--scenarios-per-bundle", "200", "--default-rho", "1"),
    ],
)
def test_hub_and_spokes_bracket_the_optimum(options: tuple[str, ...], tmp_path: Path) -> None:
    limits = ("--max-iterations", "40", "--rel-gap", "0.02", "--linearize-proximal-terms", "--solver-name")
    text = _run(*options, *limits, "appsi_highs", "--lagrangian", "--xhatshuffle", ranks=3, folder=tmp_path)
    table = text[text.index("Statistics at termination") :]
    numbers = re.findall(r"\]\s+\d+[A-Z ]*\s(-?[\d.]+)\s+(-?[\d.]+)\s", table)
    outer, inner = (float(x) for x in numbers[-1])
    model, tree = stated(options[1], [3, 3] if "3 3" in options else [])
    best = values(model, tree).point("rp")
    assert best is not None
    low, high = sorted((outer, inner))
    slack = 1e-6 * abs(best)
    assert low - slack <= best <= high + slack
    assert high - low <= 0.05 * abs(best)


def uneven() -> tuple[Model, ScenarioTree]:
    """A tree of three stages and more whose nodes have not equally many children."""
    model, _ = reservoir()
    parent, stage = [-1, 0, 0, 1, 2, 2, 3, 4, 5], [0, 1, 1, 2, 2, 2, 3, 3, 3]
    probability = [1.0, 0.5, 0.5, 0.5, 0.25, 0.25, 0.5, 0.25, 0.25]
    return model, ScenarioTree(parent, stage, probability, [2.0] * 9)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("problem", "message"),
    [
        ("nowhere:farm", "problem: 'nowhere:farm' cannot be imported"),
        (f"{CLASSICS}:barn", "cannot be imported"),
        ("os:getcwd", "must return a Model and its ScenarioTree or MarkovLattice"),
        ("lunar-reference", "branching-factors: needed for a case"),
        ("nobody", "no file 'nobody' and no shipped case"),
        (f"{__name__}:uneven", "this one is uneven"),
    ],
)
def test_what_is_no_problem(problem: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        stated(problem)
