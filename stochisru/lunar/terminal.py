"""Options that name a case and its tree, and how they are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from scenario_trees import ScenarioTree
    from stochisru.lunar.case import DeploymentCase
    from stochisru.lunar.tables.case import GeneralCase

CaseArg = Annotated[str, typer.Argument(metavar="CASE", help="Name of a shipped case, or a TOML file.")]
BranchingOpt = Annotated[str | None, typer.Option(help="Branches per year, as in 3,3,2 (one factor per year).")]
HorizonOpt = Annotated[int | None, typer.Option(help="Last year T, instead of the case's.")]
QuantizationOpt = Annotated[str, typer.Option(help="gauss-hermite, equal-probability, binomial or trinomial branches.")]


def named_case(source: str, horizon: int | None = None) -> DeploymentCase:
    """Base case of a command, with its horizon changed where asked; unusual values are named on standard error."""
    from stochisru.lunar.case import DeploymentCase, require_case

    case = named_problem(source, horizon)
    require_case(case)
    assert isinstance(case, DeploymentCase)
    return case


def named_problem(source: str, horizon: int | None = None) -> DeploymentCase | GeneralCase:
    """Case of a command that takes those with tables beyond the base problem too."""
    from stochisru import mpi
    from stochisru.lunar.case import load_case
    from stochisru.lunar.usual import unusual

    case: DeploymentCase | GeneralCase = load_case(source)
    case = case if horizon is None else case.replace(T=horizon)
    if mpi.rank() == 0:
        for line in unusual(case):
            typer.echo(f"warning: {line}", err=True)
    return case


def named_tree(
    case: DeploymentCase | GeneralCase, branching: str | None, quantization: str = "gauss-hermite"
) -> ScenarioTree:
    """Scenario tree of a command."""
    from stochisru.lunar.trees import case_tree, parse_branching

    return case_tree(case, None if branching is None else parse_branching(branching), quantization)
