"""The command ``evaluate``: what a plan of one's own is worth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from stochisru.errors import InfeasibleError, InputError, require_integer
from stochisru.lunar.terminal import (
    BranchingOpt,
    CaseArg,
    DemandPathsOpt,
    EarlyOpt,
    HorizonOpt,
    OwnPaths,
    QuantizationOpt,
    TreeAsked,
    TreeFileOpt,
    named_any,
)
from stochisru.terminal import JsonOpt, SolverOpt, emit, given_options, json_target, progress

if TYPE_CHECKING:
    from scenario_trees.arrays import Array
    from stochisru.lunar.case import DeploymentCase
    from stochisru.lunar.learning.case import LearningCase
    from stochisru.lunar.tables.case import GeneralCase
    from stochisru.methods.result import Bounds
    from stochisru.problem.evaluate import Evaluation

PlanOpt = Annotated[Path, typer.Option("--plan", metavar="FILE", help="CSV with the columns year, kg [, technology].")]
OnOpt = Annotated[
    str | None,
    typer.Option(help="process, tree or paths [default: by --branching, --tree or --demand-paths, else process]."),
]
#: Places of ``--on`` in which an option has a meaning.
_ON: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("branching", "tree", "quantization"), ("tree",)),
    **dict.fromkeys(("paths", "seed"), ("process",)),
    "demand_paths": ("paths",),
}
PlanPathsOpt = Annotated[int | None, typer.Option(help="Paths of the process [default: 1,000].")]


def evaluate(
    case: CaseArg,
    plan: PlanOpt,
    on: OnOpt = None,
    branching: BranchingOpt = None,
    horizon: HorizonOpt = None,
    tree: TreeFileOpt = None,
    early_leaves: EarlyOpt = None,
    quantization: QuantizationOpt = None,
    demand_paths: DemandPathsOpt = None,
    paths: PlanPathsOpt = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the paths of the process [default: 0].")] = None,
    solver: SolverOpt = "highs",
    json: JsonOpt = None,
) -> None:
    """Value of a given plan of deployments, operations being optimal, on the process, a tree or paths of one's own."""
    from stochisru.lunar.learning.case import is_learning
    from stochisru.lunar.plan_file import read_plan
    from stochisru.lunar.tables.case import is_general
    from stochisru.problem.evaluate import evaluate as evaluated

    json_target(json, case, str(plan))
    asked = TreeAsked(branching, quantization, tree, early_leaves)
    place = on or ("tree" if asked else "process" if demand_paths is None else "paths")
    if place not in ("process", "tree", "paths"):
        raise InputError(f"on: must be process, tree or paths, got {place!r}")
    given_on = {
        "branching": branching,
        "tree": tree,
        "quantization": quantization,
        "paths": paths,
        "seed": seed,
        "demand_paths": demand_paths,
    }
    chosen = given_options(given_on, _ON, "on", place)
    if place == "paths" and demand_paths is None:
        raise InputError("on: paths are those of --demand-paths; give a file")
    own = None if demand_paths is None else OwnPaths(demand_paths)
    stated = named_any(case, asked.horizon(horizon) if own is None else own.horizon(horizon))
    problem = stated.base if is_learning(stated) else stated
    count, start = chosen.get("paths", 1000), chosen.get("seed", 0)
    require_integer("paths", count, 2)
    if place != "tree" and is_general(problem) and problem.risk is not None:
        raise InputError(f"on: the risk of {problem.name} is known on a tree alone; give --branching")
    if own is not None and is_general(problem) and problem.factors:
        raise InputError(f"demand-paths: {problem.name} has factors beside demand, which paths of demand do not tell")
    given = read_plan(problem, plan)
    if is_general(problem):
        problem.require_total()
    ground: Any
    if own is not None:
        ground = own.of(problem).T
    else:
        ground = asked.of(problem) if place == "tree" else _drawn(problem, count, start)
    with progress(f"evaluating {plan.name}"):
        try:
            model = problem.model_on(ground) if is_general(problem) else problem.model
            found = evaluated(model, given, ground, solver=solver)
        except InfeasibleError as error:
            raise InputError(f"plan: {plan} cannot be carried out: {error}") from error
    saved = _saved(stated, given)
    bounds = _bounds(found, place, saved)
    value = found.value + saved
    sizes = {"nodes": found.tree.n_nodes} if place == "tree" else {"paths": found.tree.n_leaves}
    if place == "process":
        sizes["seed"] = start
    data: dict[str, Any] = {
        "case": problem.name,
        "sense": "maximise",
        "unit": "$",
        "of": place,
        "value": value,
        "bounds": bounds.to_dict(),
        "plan": _told(problem, given),
        **sizes,
    }

    def show() -> None:
        typer.echo(f"{stated.title}")
        typer.echo(f"plan {plan}")
        measure = problem.measure if is_general(problem) else "expected NPV"
        typer.echo(f"worth {value / 1e6:,.3f} million $ of the {place}, {measure}")
        typer.echo(f"from {bounds.lower / 1e6:,.3f} to {bounds.upper / 1e6:,.3f} million $ ({bounds.label})")

    emit(data, json, show)


def _drawn(problem: DeploymentCase | GeneralCase, paths: int, seed: int) -> Array:
    """Fresh paths of demand, shape ``(paths, T + 1)``, with further factors ``(paths, T + 1, factors)``."""
    from stochisru.lunar.tables.case import is_general
    from stochisru.simulation.of_model import drawn_paths
    from stochisru.simulation.sampling import Sampling

    # Which factors there are does not depend on how large demand may get.
    model = problem.model_on(np.zeros((1, problem.horizon.T + 1))) if is_general(problem) else problem.model
    found = drawn_paths(model, problem.process, Sampling(paths, seed)).of_factors(model)
    return found if found.shape[2] > 1 else found[:, :, 0]


def _told(problem: DeploymentCase | GeneralCase, given: dict[str, Array]) -> dict[str, Any]:
    """The plan as JSON: dM0, dM1, …; of several technologies a table of each by name."""
    from stochisru.lunar.tables.case import is_general

    masses = {f"{name}{t}": mass for name, amounts in given.items() for t, mass in enumerate(amounts.tolist())}
    return problem.first_stage(masses) if is_general(problem) else masses


def _saved(case: DeploymentCase | GeneralCase | LearningCase, given: dict[str, Array]) -> float:
    """What learning saves of a plan that is fixed in advance, $ of year 0."""
    from stochisru.lunar.learning.case import is_learning

    return case.saved(given["dM"]) if is_learning(case) else 0.0


def _bounds(found: Evaluation, place: str, saved: float) -> Bounds:
    """On a tree or given paths the bracket of the program, on the process that of a mean of paths."""
    from stochisru.methods.result import Bounds, Kind, Of
    from stochisru.simulation.estimators import mean_estimate

    if place != "process":
        lower, upper = sorted((found.value + saved, found.bound + saved))
        return Bounds(lower, upper, Kind.SOLVER, Of(place))
    mean = mean_estimate(found.scenarios + saved)
    return Bounds(mean.lower, mean.upper, Kind.STATISTICAL, Of.PROCESS)
