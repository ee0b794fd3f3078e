"""Options that name a case and its tree, and how they are read."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stochisru.errors import InputError

if TYPE_CHECKING:
    from scenario_trees import ScenarioTree
    from scenario_trees.arrays import Array
    from stochisru.lunar.case import DeploymentCase
    from stochisru.lunar.learning.case import LearningCase
    from stochisru.lunar.tables.case import GeneralCase


def cases_beginning(incomplete: str) -> list[str]:
    """Shipped cases, and TOML files and folders, that a word may become."""
    from stochisru.lunar.shipped import shipped_cases

    found = [name for name in shipped_cases() if name.startswith(incomplete)]
    home, _, begun = incomplete.rpartition("/")
    folder = Path(home or ("/" if incomplete.startswith("/") else "."))
    for path in sorted(folder.glob("*")) if folder.is_dir() else []:
        if path.name.startswith(begun) and (path.suffix == ".toml" or path.is_dir()):
            found.append(f"{incomplete[: len(incomplete) - len(begun)]}{path.name}{'/' if path.is_dir() else ''}")
    return found


CaseArg = Annotated[
    str,
    typer.Argument(metavar="CASE", help="Name of a shipped case, or a TOML file.", autocompletion=cases_beginning),
]
BranchingOpt = Annotated[str | None, typer.Option(help="Branches per year, as in 3,3,2 (one factor per year).")]
QuantizationOpt = Annotated[
    str | None,
    typer.Option(
        help="Branches of the tree: gauss-hermite, equal-probability, binomial or trinomial [default: gauss-hermite]."
    ),
]
HorizonOpt = Annotated[int | None, typer.Option(help="Last year T, instead of the case's.")]
TreeFileOpt = Annotated[
    Path | None,
    typer.Option(
        "--tree", metavar="FILE", help="Tree of one's own: CSV or Parquet with id, parent, probability, values."
    ),
]
EarlyOpt = Annotated[
    str | None,
    typer.Option(metavar="HOW", help="--tree: leaves before the last year: refuse or hold [default: refuse]."),
]
DemandPathsOpt = Annotated[
    Path | None,
    typer.Option("--demand-paths", metavar="FILE", help="Paths of one's own: a row a path, columns years 0 … T."),
]


def named_case(source: str, horizon: int | None = None) -> DeploymentCase:
    """Base case of a command, with its horizon changed where asked; unusual values are named on standard error."""
    from stochisru.lunar.case import DeploymentCase, require_case

    case = named_problem(source, horizon)
    require_case(case)
    assert isinstance(case, DeploymentCase)
    return case


def named_problem(source: str, horizon: int | None = None) -> DeploymentCase | GeneralCase:
    """Case of a command that takes those with tables beyond the base problem too."""
    from stochisru.lunar.learning.case import is_learning

    case = named_any(source, horizon)
    if is_learning(case):
        raise InputError(case.beyond)
    return case


def named_any(source: str, horizon: int | None = None) -> DeploymentCase | GeneralCase | LearningCase:
    """Case of a command that takes learning by doing too."""
    from stochisru import mpi
    from stochisru.lunar.case import load_case
    from stochisru.lunar.learning.case import is_learning
    from stochisru.lunar.usual import unusual

    case: DeploymentCase | GeneralCase | LearningCase = load_case(source)
    case = case if horizon is None else case.replace(T=horizon)
    if mpi.rank() == 0:
        for line in unusual(case.base if is_learning(case) else case):
            typer.echo(f"warning: {line}", err=True)
    return case


@dataclass(frozen=True)
class TreeAsked:
    """The tree that a command is asked for: made by numbers of branches, or one's own in a file."""

    branching: str | None = None
    quantization: str | None = None
    file: Path | None = None
    early: str | None = None

    def __post_init__(self) -> None:
        for name in ("branching", "quantization"):
            if self.file is not None and getattr(self, name) is not None:
                raise InputError(f"{name}: makes a tree, --tree gives one; give one of them")
        if self.file is None and self.early is not None:
            raise InputError("early-leaves: is an option of --tree")

    def __bool__(self) -> bool:
        return self.branching is not None or self.file is not None

    @cached_property
    def own(self) -> ScenarioTree | None:
        """The tree of the file."""
        from stochisru.lunar.own_uncertainty import read_tree

        if self.early not in (None, "refuse", "hold"):
            raise InputError(f"early-leaves: must be refuse or hold, got {self.early!r}")
        return None if self.file is None else read_tree(self.file, "hold" if self.early == "hold" else "refuse")

    def horizon(self, asked: int | None) -> int | None:
        """Last year T of the case: that of one's own tree, or as asked for; None for the case's."""
        if self.own is None or asked in (None, self.own.horizon):
            return asked if self.own is None else self.own.horizon
        raise InputError(f"horizon: the tree of {self.file} has years 0..{self.own.horizon}, got {asked}")

    def of(self, case: DeploymentCase | GeneralCase | LearningCase) -> ScenarioTree:
        """The tree, for a case."""
        from stochisru.lunar.learning.case import is_learning
        from stochisru.lunar.own_uncertainty import require_its_values

        if self.own is not None:
            return require_its_values(case.base if is_learning(case) else case, self.own)
        return named_tree(case, self.branching, self.quantization or "gauss-hermite")


@dataclass(frozen=True)
class OwnPaths:
    """Paths of one's own in a file."""

    file: Path

    @cached_property
    def demand(self) -> Array:
        """Demand, kg/yr, shape ``(T + 1, paths)``."""
        from stochisru.lunar.own_uncertainty import read_demand_paths

        return read_demand_paths(self.file)

    def horizon(self, asked: int | None) -> int:
        """Last year T of the paths, which may be asked for but no other."""
        last: int = self.demand.shape[0] - 1
        if asked not in (None, last):
            raise InputError(f"horizon: the paths of {self.file} have years 0..{last}, got {asked}")
        return last

    def of(self, case: DeploymentCase | GeneralCase | LearningCase) -> Array:
        """The paths, if they start from the case's demand."""
        from stochisru.lunar.own_uncertainty import require_start

        return require_start(case.process.initial, self.demand)


def named_tree(
    case: DeploymentCase | GeneralCase | LearningCase, branching: str | None, quantization: str = "gauss-hermite"
) -> ScenarioTree:
    """Scenario tree of a command."""
    from stochisru.lunar.trees import case_tree, parse_branching

    return case_tree(case, None if branching is None else parse_branching(branching), quantization)
