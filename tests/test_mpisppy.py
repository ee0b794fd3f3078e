"""mpi-sppy's own drivers on our problems: its extensive form, its hub and spokes, its bundles."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.mpisppy_ef import import_mpisppy
from scenario_trees import ScenarioTree
from stochisru import extensive_form, load_case
from stochisru.errors import InputError
from stochisru.lunar.trees import case_tree
from stochisru.mpisppy import inparser_adder, kw_creator, stated
from stochisru.problem import Model
from stochisru.values import values
from stochisru.worked.classics import reservoir

DRIVER = ["-m", "mpisppy.generic_cylinders", "--module-name", "stochisru.mpisppy"]
CLASSICS = "stochisru.worked.classics"


def python_program(*options: str, ranks: int = 1, folder: Path) -> str:
    """Output of a program of mpi-sppy's."""
    python = [sys.executable] if ranks == 1 else ["mpiexec", "-n", str(ranks), sys.executable, "-m", "mpi4py"]
    done = subprocess.run([*python, *options], capture_output=True, text=True, timeout=300, check=False, cwd=folder)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def driver(*options: str, ranks: int = 1, folder: Path) -> str:
    return python_program(*DRIVER, *options, ranks=ranks, folder=folder)


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
    assert _objective(driver("--problem", f"{CLASSICS}:{problem}", *EF, folder=tmp_path)) == pytest.approx(
        best, rel=1e-6
    )


#: Whole modules; a fixed cost and a curve.
MIXED = [{"lot": 50.0}, {"reference": 100.0, "c_dev_exponent": 0.7, "fixed_cost": 5e5}]


@pytest.mark.parametrize("symbols", MIXED)
def test_extensive_form_of_a_mixed_integer_case(symbols: dict[str, float], tmp_path: Path) -> None:
    case = load_case("lunar-reference").replace(T=2, **symbols)
    (tmp_path / "mixed.toml").write_text(case.to_toml())
    found = _objective(driver("--problem", "mixed.toml", "--branching-factors", "3 3", *EF, folder=tmp_path))
    assert found == pytest.approx(extensive_form(case, case_tree(case, (3, 3)), rel_gap=1e-8).objective, rel=1e-4)


def test_a_loss_is_the_negative(tmp_path: Path) -> None:
    options = ("--problem", "lunar-reference", "--branching-factors", "3 3", *EF)
    gain = _objective(driver(*options, folder=tmp_path))
    case = load_case("lunar-reference").replace(T=2)
    assert gain == pytest.approx(extensive_form(case, case_tree(case, (3, 3))).objective)
    assert _objective(driver(*options, "--as-loss", folder=tmp_path)) == pytest.approx(-gain)


def test_a_problem_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from stochisru.worked.classics import lands\n\ndef plants():\n    return lands()\n"
    )
    assert _objective(driver("--problem", "mine:plants", *EF, folder=tmp_path)) == pytest.approx(381.85333)


LIMITS = ("--max-iterations", "40", "--rel-gap", "0.02", "--linearize-proximal-terms", "--solver-name", "appsi_highs")
SPOKES = ("--lagrangian", "--xhatshuffle")
STAGE2 = ("--stage2-ef-solver-name", "appsi_highs")


def bracket(text: str) -> tuple[float, float]:
    """Best outer and inner bound of a hub."""
    table = text[text.index("Statistics at termination") :]
    outer, inner = re.findall(r"\]\s+\d+[A-Z ]*\s(-?[\d.]+)\s+(-?[\d.]+)\s", table)[-1]
    return float(outer), float(inner)


def holds(bracket: tuple[float, float], best: float, width: float, sign: float = 1.0) -> None:
    """The outer bound lies above the optimum where the objective is maximised (sign 1), the inner one below."""
    outer, inner = bracket
    slack = 1e-6 * abs(best)
    assert sign * inner - slack <= sign * best <= sign * outer + slack
    assert abs(outer - inner) <= width * abs(best)


@pytest.mark.parametrize(
    "options",
    [
        ("--problem", f"{CLASSICS}:farmer", "--default-rho", "10"),
        ("--problem", "lunar-reference", "--branching-factors", "3 3", "--default-rho", "1000", *STAGE2),
        ("--problem", f"{CLASSICS}:newsvendor_lognormal", "--scenarios-per-bundle", "200", "--default-rho", "1"),
        ("--problem", "lunar-reference", "--branching-factors", "3 3", "--scenarios-per-bundle", "3", "--sep-rho"),
    ],
)
def test_hub_and_spokes_bracket_the_optimum(options: tuple[str, ...], tmp_path: Path) -> None:
    text = driver(*options, *LIMITS, *SPOKES, ranks=3, folder=tmp_path)
    model, tree = stated(options[1], [3, 3] if "3 3" in options else [])
    best = values(model, tree).point("rp")
    assert best is not None
    holds(bracket(text), best, 0.05, model.sign)


@pytest.mark.parametrize("bundles", [pytest.param((), marks=pytest.mark.slow), ("--scenarios-per-bundle", "3")])
def test_hub_and_spokes_bracket_the_optimum_in_modules(bundles: tuple[str, ...], tmp_path: Path) -> None:
    case = load_case("lunar-reference").replace(T=2, lot=50.0)
    (tmp_path / "modules.toml").write_text(case.to_toml())
    options = ("--problem", "modules.toml", "--branching-factors", "3 3", "--default-rho", "1000", *STAGE2, *bundles)
    text = driver(*options, *LIMITS, *SPOKES, ranks=3, folder=tmp_path)
    holds(bracket(text), extensive_form(case, case_tree(case, (3, 3)), rel_gap=1e-8).objective, 0.05)


def test_bundles_have_the_whole_objective(tmp_path: Path) -> None:
    options = ("--problem", "lunar-reference", "--branching-factors", "3 3", "--scenarios-per-bundle", "3")
    case = load_case("lunar-reference").replace(T=2)
    best = extensive_form(case, case_tree(case, (3, 3))).objective
    assert _objective(driver(*options, *EF, folder=tmp_path)) == pytest.approx(best)


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


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"problem": "farmer_of_nobody"}, "no file 'farmer_of_nobody'"),
        ({"sample_seed": -1}, "sample-seed: must be an integer >= 0, got -1"),
        ({"scenarios_per_bundle": 2}, "scenarios-per-bundle: mpi-sppy takes a number >= 2 that divides 3"),
        (
            {"problem": f"{CLASSICS}:reservoir", "scenarios_per_bundle": 3},
            "divides 27 and is a multiple of 9, the scenarios below a node of the second stage, got 3",
        ),
        ({"problem": f"{CLASSICS}:newsvendor", "sample_size_ratio": 1.0}, "as-loss: mpi-sppy's sequential sampling"),
        (
            {"problem": f"{CLASSICS}:reservoir", "sample_size_ratio": 1.0},
            "branching-factors: mpi-sppy's sequential sampling needs one per year for reservoir, 3 numbers",
        ),
        (
            {"problem": f"{CLASSICS}:garage", "solver_name": "appsi_highs", "linearize_proximal_terms": False},
            "linearize-proximal-terms: appsi_highs",
        ),
        ({"num_scens": 5}, f"num-scens: 5: the tree of {CLASSICS}:farmer has 3 leaves, branching [3]"),
        ({"branching_factors": [3, 3]}, "branching-factors: [3, 3]: the tree of"),
        (
            {"problem": f"{CLASSICS}:reservoir", "sample_seed": 1, "branching_factors": [2]},
            "branching-factors: needs one per stage after the first, 3 for reservoir, got 1",
        ),
    ],
)
def test_what_mpisppy_cannot_run_is_refused(options: dict[str, Any], message: str) -> None:
    import_mpisppy()
    from mpisppy.utils.config import Config

    cfg = Config()
    inparser_adder(cfg)
    cfg.problem = f"{CLASSICS}:farmer"
    for name, value in options.items():
        cfg.quick_assign(name, type(value), value)
    with pytest.raises(InputError, match=re.escape(message)):
        kw_creator(cfg)


@pytest.mark.parametrize(
    ("options", "ranks", "line"),
    [
        (("--problem", "nobody", "--branching-factors", "3 3", *EF), 1, "error: CASE: no file 'nobody'"),
        (("--problem", f"{CLASSICS}:farmer", *EF), 2, "error: EF: mpi-sppy solves it in one process; on 2 ranks"),
    ],
)
def test_programs_end_with_one_line(options: tuple[str, ...], ranks: int, line: str, tmp_path: Path) -> None:
    launcher = ["mpiexec", "-n", str(ranks)] if ranks > 1 else []
    command = [*launcher, sys.executable, *(["-m", "mpi4py"] if ranks > 1 else []), *DRIVER, *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path)
    assert done.returncode != 0
    assert done.stderr.count(line) == 1
    assert "Traceback" not in done.stderr


def test_options_that_mpisppy_drops_are_those_that_were_said() -> None:
    import_mpisppy()
    from mpisppy.utils.config import Config

    cfg = Config()
    inparser_adder(cfg)
    cfg.problem, cfg.sample_seed = f"{CLASSICS}:reservoir", 4
    kw_creator(cfg)
    bare = Config()  # as its multistage sequential sampling makes it
    bare.quick_assign("branching_factors", list, [5, 1, 1])
    bare.quick_assign("start_seed", int, 9)
    found = kw_creator(bare)["scenarios"]
    assert (found.model.name, found.branching, found.seed) == ("reservoir", (5, 1, 1), (4, 9))


PAGE = Path(__file__).parents[1] / "docs" / "mpisppy.md"


def _blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", PAGE.read_text(), flags=re.MULTILINE | re.DOTALL)


def test_commands_and_scripts_of_the_page_run(tmp_path: Path) -> None:
    mine, farm, form, stages = (block for block in _blocks("python") if ">>>" not in block)
    (tmp_path / "mine.py").write_text(mine)
    (tmp_path / "farm.py").write_text(farm)
    (tmp_path / "form.py").write_text(form)
    (tmp_path / "stages.py").write_text(farm.split("cfg.problem")[0] + "from mpisppy.utils import sputils\n" + stages)
    commands = "".join(_blocks("console")).replace("\\\n", " ").split("$ ")[1:]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    texts = []
    for command in ["python stages.py", *commands, "python form.py"]:
        done = subprocess.run(
            shlex.split(command),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            cwd=tmp_path,
            env={**os.environ, "PATH": path},
        )
        assert done.returncode == 0, f"{command}\n{done.stderr[-2000:]}"
        texts.append(done.stdout)
    assert _objective(texts[1]) == pytest.approx(120.0)  # 100 bought; 64, 100 and 100 sold
    case = load_case("lunar-reference").replace(T=3)
    holds(bracket(texts[3]), extensive_form(case, case_tree(case, (3, 3, 3))).objective, 1.1e-3)
    outer, inner = (float(x.replace(",", "")) for x in re.findall(r"-[\d,]+", texts[-2])[-2:])
    holds((outer, inner), -108_390.0, 0.05, -1.0)
    modules = case.replace(T=2, lot=50.0)
    best = extensive_form(modules, case_tree(modules, (3, 2)), rel_gap=1e-8).objective
    assert float(texts[-1].split()[-2].replace(",", "")) == pytest.approx(best, rel=1e-4)
