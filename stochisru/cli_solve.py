"""The command ``solve``: one problem, one method, and the options that belong to each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stochisru.cli_options import (
    BranchingOpt,
    CaseArg,
    HorizonOpt,
    JsonOpt,
    named_case,
    named_tree,
)
from stochisru.console import emit, iteration_table, json_target, progress
from stochisru.errors import InputError

if TYPE_CHECKING:
    from stochisru.case import DeploymentCase
    from stochisru.methods.result import Plan, Result

#: Methods on a tree come first.
METHODS = ("ef", "ph", "threshold")
_ON_TREES = ("ef", "ph")
#: Options that not every method takes, and the methods that do.
_TAKEN_BY = {
    "branching": _ON_TREES,
    "quantization": _ON_TREES,
    "solver": _ON_TREES,
    "rel_gap": _ON_TREES,
    "cut_stage": ("ph",),
    "proximal": ("ph",),
    "iterations": ("ph",),
    "time_limit": ("ph",),
    "checkpoint": ("ph",),
    "checkpoint_interval": ("ph",),
    "resume": ("ph",),
}


def solve(
    case: CaseArg,
    method: Annotated[
        str,
        typer.Option(help="ef: extensive form; ph: progressive hedging (also under MPI); threshold: exact policy."),
    ] = "ef",
    branching: BranchingOpt = None,
    horizon: HorizonOpt = None,
    quantization: Annotated[str | None, typer.Option(help="Branches of the tree [default: gauss-hermite].")] = None,
    solver: Annotated[str | None, typer.Option(help="highs or gurobi [default: highs].")] = None,
    rel_gap: Annotated[float | None, typer.Option(help="Relative gap to reach [default: ef 1e-6, ph 1e-3].")] = None,
    cut_stage: Annotated[int | None, typer.Option(help="ph: stage at which the tree is cut into subtrees.")] = None,
    proximal: Annotated[str | None, typer.Option(help="ph: quadratic or linearised [default: by solver].")] = None,
    iterations: Annotated[int | None, typer.Option(help="ph: stop after so many iterations [default: 500].")] = None,
    time_limit: Annotated[float | None, typer.Option(help="ph: stop after so many seconds.")] = None,
    checkpoint: Annotated[Path | None, typer.Option(help="ph: folder for the state of the run.")] = None,
    checkpoint_interval: Annotated[float | None, typer.Option(help="ph: seconds between states [default: 30].")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="ph: go on from the checkpoint.")] = False,
    json: JsonOpt = None,
) -> None:
    """Solve the multistage problem by one method."""
    from stochisru import mpi

    json_target(json, case)
    problem = named_case(case, horizon)
    if method not in METHODS:
        raise InputError(f"method: must be one of {', '.join(METHODS)}, got {method!r}")
    given: dict[str, Any] = {
        "branching": branching,
        "quantization": quantization,
        "solver": solver,
        "rel_gap": rel_gap,
        "cut_stage": cut_stage,
        "proximal": proximal,
        "iterations": iterations,
        "time_limit": time_limit,
        "checkpoint": checkpoint,
        "checkpoint_interval": checkpoint_interval,
        "resume": resume or None,
    }
    chosen = {name: value for name, value in given.items() if value is not None}
    for name in chosen:
        if method not in _TAKEN_BY[name]:
            raise InputError(f"{name}: is an option of --method {' and '.join(_TAKEN_BY[name])}")
    if method != "ph" and mpi.world() is not None:
        raise InputError(f"mpi: --method {method} runs in one process; under MPI use --method ph")
    result = _on_tree(problem, method, chosen) if method in _ON_TREES else _exact(problem)
    if mpi.rank() == 0:
        emit(result.to_dict(), json, lambda: _show(problem, result))


def _on_tree(case: DeploymentCase, method: str, chosen: dict[str, Any]) -> Result[Any]:
    from stochisru.methods.extensive_form import extensive_form
    from stochisru.methods.progressive_hedging import progressive_hedging
    from stochisru.solvers import solver_named

    solver_named(chosen.get("solver", "highs"))
    tree = named_tree(case, chosen.pop("branching", None), chosen.pop("quantization", "gauss-hermite"))
    if method == "ef":
        with progress(f"solving {case.name}"):
            return extensive_form(case, tree, **chosen)
    with iteration_table(f"{case.name}, {tree!r}") as line:
        return progressive_hedging(case, tree, progress=line, **chosen)


def _exact(case: DeploymentCase) -> Result[Any]:
    from stochisru.methods.threshold import threshold

    with progress(f"solving {case.name}"):
        return threshold(case)


def _show(case: DeploymentCase, result: Result[Plan]) -> None:
    size = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in result.plan.size.items())
    typer.echo(f"{case.name}, T = {case.horizon.T}, {result.method}: {size}")
    typer.echo(f"expected NPV (maximise)  {result.objective:,.2f} $")
    bounds = result.bounds
    proof = "certified" if bounds.certified else "not certified"
    typer.echo(f"bounds                   [{bounds.lower:,.2f}, {bounds.upper:,.2f}] $, gap {bounds.gap:.2g}, {proof}")
    for name, mass in result.first_stage.items():
        typer.echo(f"{name:<24} {mass:,.3f} kg")
    typer.echo(f"rule: {result.policy().describe(case)}")
    typer.echo(f"{result.termination.reason}: {result.termination.detail} in {sum(result.timings.values()):.2f} s")
