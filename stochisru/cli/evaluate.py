"""The command ``evaluate``: what a plan of one's own is worth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from stochisru.errors import InfeasibleError, InputError, require_integer
from stochisru.lunar.terminal import BranchingOpt, CaseArg, HorizonOpt, QuantizationOpt, named_problem, named_tree
from stochisru.terminal import JsonOpt, SeedOpt, SolverOpt, emit, json_target, progress

if TYPE_CHECKING:
    from scenario_trees.arrays import Array
    from stochisru.lunar.case import DeploymentCase
    from stochisru.lunar.tables.case import GeneralCase
    from stochisru.methods.result import Bounds
    from stochisru.problem.evaluate import Evaluation

PlanOpt = Annotated[Path, typer.Option("--plan", metavar="FILE", help="CSV with the columns year, kg [, technology].")]
OnOpt = Annotated[
    str | None, typer.Option(help="process or tree [default: tree where --branching is given, else process].")
]
PlanPathsOpt = Annotated[int | None, typer.Option(help="Paths of the process [default: 1,000].")]


def evaluate(
    case: CaseArg,
    plan: PlanOpt,
    on: OnOpt = None,
    branching: BranchingOpt = None,
    horizon: HorizonOpt = None,
    quantization: QuantizationOpt = "gauss-hermite",
    paths: PlanPathsOpt = None,
    seed: SeedOpt = 0,
    solver: SolverOpt = "highs",
    json: JsonOpt = None,
) -> None:
    """Value of a given plan of deployments, operations being optimal, on the process or on a tree."""
    from stochisru.lunar.plan_file import read_plan
    from stochisru.lunar.tables.case import is_general
    from stochisru.problem.evaluate import evaluate as evaluated

    json_target(json, case, str(plan))
    problem = named_problem(case, horizon)
    place = on or ("process" if branching is None else "tree")
    if place not in ("process", "tree"):
        raise InputError(f"on: must be process or tree, got {place!r}")
    if place == "process" and branching is not None:
        raise InputError("branching: is an option of --on tree")
    if place == "tree" and paths is not None:
        raise InputError("paths: is an option of --on process")
    count = 1000 if paths is None else paths
    require_integer("paths", count, 2)
    if place == "process" and is_general(problem) and problem.risk is not None:
        raise InputError(f"on: the risk of {problem.name} is known on a tree alone; give --branching")
    given = read_plan(problem, plan)
    ground = named_tree(problem, branching, quantization) if place == "tree" else _drawn(problem, count, seed)
    with progress(f"evaluating {plan.name}"):
        try:
            model = problem.model_on(ground) if is_general(problem) else problem.model
            found = evaluated(model, given, ground, solver=solver)
        except InfeasibleError as error:
            raise InputError(f"plan: {plan} cannot be carried out: {error}") from error
    bounds = _bounds(found, place)
    data: dict[str, Any] = {
        "case": problem.name,
        "sense": "maximise",
        "unit": "$",
        "of": place,
        "value": found.value,
        "bounds": bounds.to_dict(),
        "plan": _told(problem, given),
        **({"paths": count, "seed": seed} if place == "process" else {"nodes": found.tree.n_nodes}),
    }

    def show() -> None:
        typer.echo(f"{problem.title}")
        typer.echo(f"plan {plan}")
        typer.echo(f"worth {found.value / 1e6:,.3f} million $ of the {place}")
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


def _bounds(found: Evaluation, place: str) -> Bounds:
    """On a tree the bracket of the program, on the process that of a mean of paths."""
    from stochisru.methods.result import Bounds, Kind, Of
    from stochisru.simulation.metrics import mean_estimate

    if place == "tree":
        lower, upper = sorted((found.value, found.bound))
        return Bounds(lower, upper, Kind.SOLVER, Of.TREE)
    mean = mean_estimate(found.scenarios)
    return Bounds(mean.lower, mean.upper, Kind.STATISTICAL, Of.PROCESS)
