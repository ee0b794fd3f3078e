"""Options that several commands share, and how they are read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stochisru.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from scenario_trees import ScenarioTree
    from stochisru.case import DeploymentCase

CaseArg = Annotated[str, typer.Argument(metavar="CASE", help="Name of a shipped case, or a TOML file.")]
JsonOpt = Annotated[str | None, typer.Option("--json", metavar="FILE", help="Write JSON to FILE ('-': stdout).")]
BranchingOpt = Annotated[str | None, typer.Option(help="Branches per year, as in 3,3,2 (one factor per year).")]
HorizonOpt = Annotated[int | None, typer.Option(help="Last year T, instead of the case's.")]
QuantizationOpt = Annotated[str, typer.Option(help="gauss-hermite, equal-probability, binomial or trinomial branches.")]
SolverOpt = Annotated[str, typer.Option(help="highs or gurobi.")]
PathsOpt = Annotated[int, typer.Option(help="Monte Carlo paths.")]
SeedOpt = Annotated[int, typer.Option(help="Seed of all random numbers.")]
SamplerOpt = Annotated[str, typer.Option(help="pseudo-random, antithetic or sobol.")]
FigureOpt = Annotated[Path | None, typer.Option(metavar="FILE", help="Draw a figure (.png, .svg or .pdf).")]
WorkersOpt = Annotated[int, typer.Option(help="Processes; results do not depend on it.")]


def named_case(source: str, horizon: int | None = None) -> DeploymentCase:
    """Case of a command, with its horizon changed where asked; unusual values are named on standard error."""
    from stochisru import mpi
    from stochisru.case import load_case
    from stochisru.usual import unusual

    case = load_case(source)
    case = case if horizon is None else case.replace(T=horizon)
    if mpi.rank() == 0:
        for line in unusual(case):
            typer.echo(f"warning: {line}", err=True)
    return case


def named_tree(case: DeploymentCase, branching: str | None, quantization: str = "gauss-hermite") -> ScenarioTree:
    """Scenario tree of a command."""
    from stochisru.trees import case_tree, parse_branching

    return case_tree(case, None if branching is None else parse_branching(branching), quantization)


def given_options(
    options: dict[str, Any], taken_by: dict[str, tuple[str, ...]], option: str, chosen: str
) -> dict[str, Any]:
    """Options that were given; raise `InputError` for one that does not go with the value ``chosen`` of ``option``."""
    given = {name: value for name, value in options.items() if value is not None}
    for name in given:
        if chosen not in taken_by[name]:
            raise InputError(f"{name}: is an option of --{option} {' and '.join(taken_by[name])}")
    return given


def number(text: str, field: str) -> float:
    """A number given as text; `InputError` names the field if it is none."""
    from stochisru.files import plain_number

    try:
        return plain_number(text)
    except ValueError as error:
        raise InputError(f"{field}: must be a number, got {text!r}") from error


def figure_target(path: Path | None) -> None:
    """Refuse a file that no figure can be drawn into, before any work is done."""
    from stochisru.files import require_writable

    if path is not None:
        if path.suffix not in (".png", ".svg", ".pdf"):
            raise InputError(f"figure: must end in .png, .svg or .pdf, got {path.name!r}")
        require_writable(path, "figure")


def save_figure(draw: Callable[[], Figure], path: Path) -> None:
    """Draw a figure and write it in the format that its suffix names; to be called when the results are written.

    Raises
    ------
    FigureError
        If the figure cannot be made.
    """
    from stochisru.files import drawing

    with drawing():
        draw().savefig(path)
