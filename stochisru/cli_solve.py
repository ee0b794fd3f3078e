"""The command ``solve``: one problem, one method, and the options that belong to each."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stochisru.cli_options import (
    BranchingOpt,
    CaseArg,
    HorizonOpt,
    JsonOpt,
    given_options,
    named_case,
    named_tree,
)
from stochisru.console import emit, iteration_table, json_target, progress
from stochisru.errors import InputError

if TYPE_CHECKING:
    from stochisru.case import DeploymentCase
    from stochisru.distance import Distance
    from stochisru.methods.result import Plan, Result

#: Methods on a tree come first.
METHODS = ("ef", "dp", "ph", "sddp", "threshold")
_ON_TREES = ("ef", "dp", "ph")
_BY_SOLVER = ("ef", "ph")
_ITERATIVE = ("ph", "sddp")
#: Options that not every method takes, and the methods that do.
_TAKEN_BY: dict[str, tuple[str, ...]] = {
    "branching": _ON_TREES,
    "quantization": _ON_TREES,
    "solver": _BY_SOLVER,
    "rel_gap": ("ef", "ph", "sddp"),
    "cut_stage": ("ph",),
    "proximal": ("ph",),
    "checkpoint_interval": ("ph",),
    "iterations": _ITERATIVE,
    "time_limit": ("ef", *_ITERATIVE),
    "checkpoint": _ITERATIVE,
    "resume": _ITERATIVE,
    "states": ("sddp",),
    "passes": ("sddp",),
    "workers": ("sddp",),
    "seed": ("sddp",),
    "risk_weight": ("sddp",),
    "risk_tail": ("sddp",),
    "boil_off": ("sddp",),
    "store_capacity": ("sddp",),
    "holding_cost": ("sddp",),
}

#: Options of a store and what `Storage` calls them.
_STORE = {"boil_off": "boil_off", "store_capacity": "capacity", "holding_cost": "holding_cost"}


def solve(
    case: CaseArg,
    method: Annotated[
        str,
        typer.Option(
            help="ef: extensive form; dp: exact on the tree; ph: progressive hedging (also under MPI); sddp: on a "
            "lattice; threshold: exact policy."
        ),
    ] = "ef",
    branching: BranchingOpt = None,
    horizon: HorizonOpt = None,
    quantization: Annotated[str | None, typer.Option(help="Branches of the tree [default: gauss-hermite].")] = None,
    solver: Annotated[str | None, typer.Option(help="ef, ph: highs or gurobi [default: highs].")] = None,
    rel_gap: Annotated[
        float | None, typer.Option(help="Relative gap to reach [default: ef of a linear case 1e-6, else 1e-3].")
    ] = None,
    cut_stage: Annotated[int | None, typer.Option(help="ph: stage at which the tree is cut into subtrees.")] = None,
    proximal: Annotated[str | None, typer.Option(help="ph: quadratic or linearised [default: by solver].")] = None,
    checkpoint_interval: Annotated[float | None, typer.Option(help="ph: seconds between states [default: 30].")] = None,
    states: Annotated[int | None, typer.Option(help="sddp: states per stage of the lattice [default: 30].")] = None,
    passes: Annotated[int | None, typer.Option(help="sddp: passes per iteration [default: 2].")] = None,
    workers: Annotated[int | None, typer.Option(help="sddp: processes; results do not depend on it.")] = None,
    seed: Annotated[int | None, typer.Option(help="sddp: seed of trial points and simulation [default: 0].")] = None,
    risk_weight: Annotated[
        float | None, typer.Option(help="sddp: weight of CVaR in the nested mean-CVaR [default: 0].")
    ] = None,
    risk_tail: Annotated[
        float | None, typer.Option(help="sddp: worst share that CVaR averages [default: 0.05].")
    ] = None,
    boil_off: Annotated[
        float | None, typer.Option(help="sddp: with a store of oxygen that loses this share a year.")
    ] = None,
    store_capacity: Annotated[
        float | None, typer.Option(help="sddp: most oxygen in the store, kg [default: any].")
    ] = None,
    holding_cost: Annotated[
        float | None, typer.Option(help="sddp: cost of stored oxygen, $/(kg yr) [default: 0].")
    ] = None,
    lot: Annotated[
        float | None,
        typer.Option(help="Plants come in modules of this mass, kg, instead of the case's."),
    ] = None,
    fixed_cost: Annotated[
        float | None, typer.Option(help="Cost of a launch campaign, $, instead of the case's.")
    ] = None,
    iterations: Annotated[
        int | None, typer.Option(help="ph, sddp: stop after so many iterations [default: 500].")
    ] = None,
    time_limit: Annotated[
        float | None, typer.Option(help="ph, sddp, ef with whole numbers: stop after so many seconds.")
    ] = None,
    checkpoint: Annotated[Path | None, typer.Option(help="ph, sddp: folder for the state of the run.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="ph, sddp: go on from the checkpoint.")] = False,
    json: JsonOpt = None,
) -> None:
    """Solve the multistage problem by one method."""
    from stochisru import mpi
    from stochisru.methods.result import Reason

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
        "states": states,
        "passes": passes,
        "workers": workers,
        "seed": seed,
        "risk_weight": risk_weight,
        "risk_tail": risk_tail,
        "boil_off": boil_off,
        "store_capacity": store_capacity,
        "holding_cost": holding_cost,
    }
    launch = {name: value for name, value in (("lot", lot), ("fixed_cost", fixed_cost)) if value is not None}
    if launch:
        problem = problem.replace(**launch)
    chosen = given_options(given, _TAKEN_BY, "method", method)
    if method != "ph" and mpi.world() is not None:
        raise InputError(f"mpi: --method {method} runs in one process; under MPI use --method ph")
    solved = {"ef": _on_tree, "dp": _on_tree, "ph": _on_tree, "sddp": _on_lattice, "threshold": _exact}[method]
    result = solved(problem, method, chosen)
    worth = "expected NPV" if risk_weight is None else "risk-adjusted NPV"
    has_rule = boil_off is None  # strategies know no store
    if mpi.rank() == 0:
        away = _distance(problem, result) if risk_weight is None and has_rule else None
        data = result.to_dict() | ({"distance": away.to_dict()} if away else {})
        emit(data, json, lambda: _show(problem, result, worth, has_rule, away))
    world = mpi.world()
    if world is not None:
        world.Barrier()  # an exit code ends all ranks: the first one has to have spoken
    missed = result.termination.reason is Reason.LIMIT and result.termination.limit != "approximation"
    if missed and mpi.rank() == 0:
        raise typer.Exit(1)  # the gap was not met


def _on_tree(case: DeploymentCase, method: str, chosen: dict[str, Any]) -> Result[Any]:
    from stochisru.methods.extensive_form import extensive_form
    from stochisru.methods.progressive_hedging import progressive_hedging
    from stochisru.methods.tree_dp import tree_dp
    from stochisru.solvers import solver_named

    solver_named(chosen.get("solver", "highs"))
    tree = named_tree(case, chosen.pop("branching", None), chosen.pop("quantization", "gauss-hermite"))
    if method != "ph":
        with progress(f"solving {case.name}"):
            return tree_dp(case, tree) if method == "dp" else extensive_form(case, tree, **chosen)
    with iteration_table(f"{case.name}, {tree!r}") as line:
        return progressive_hedging(case, tree, progress=line, **chosen)


def _on_lattice(case: DeploymentCase, method: str, chosen: dict[str, Any]) -> Result[Any]:
    from stochisru.deployment.stage_report import problem_report
    from stochisru.deployment.storage import Storage
    from stochisru.methods.ignoring import sddp_ignoring
    from stochisru.methods.risk import Expectation, MeanCVaR, RiskMeasure
    from stochisru.methods.sddp import sddp
    from stochisru.trees import SDDP_STATES, case_lattice

    weight, tail = chosen.pop("risk_weight", None), chosen.pop("risk_tail", None)
    if tail is not None and weight is None:
        raise InputError("risk_tail: belongs to a risk_weight > 0")
    risk: RiskMeasure = Expectation() if weight is None else MeanCVaR(weight, 0.05 if tail is None else tail)
    sizes = {option: chosen.pop(option) for option in _STORE if option in chosen}
    if sizes and "boil_off" not in sizes:
        raise InputError(f"{next(iter(sizes))}: belongs to a store; give its boil-off, as in --boil-off 0.02")
    store = Storage(**{_STORE[option]: size for option, size in sizes.items()}) if sizes else None
    lattice = case_lattice(case, chosen.pop("states", SDDP_STATES))
    if not case.is_linear and (store is not None or not risk.neutral):
        case.require_linear("SDDP with a store or a risk measure")
    if sys.stderr.isatty():
        typer.echo(str(problem_report(case.linear_bound, lattice, storage=store)), err=True)
    with iteration_table(f"{case.name}, T = {case.horizon.T}") as line:
        if not case.is_linear:
            return sddp_ignoring(case, lattice, progress=line, **chosen)
        return sddp(case, lattice, storage=store, risk=risk, progress=line, **chosen)


def _exact(case: DeploymentCase, method: str, chosen: dict[str, Any]) -> Result[Any]:
    from stochisru.methods.ignoring import threshold_ignoring
    from stochisru.methods.threshold import threshold

    with progress(f"solving {case.name}"):
        return threshold(case) if case.is_linear else threshold_ignoring(case)


def _distance(case: DeploymentCase, result: Result[Any]) -> Distance | None:
    """How far the tree or lattice of a result is from the process; None for results on the process itself."""
    from stochisru.distance import distance
    from stochisru.methods.result import Of

    if result.bounds.of is Of.PROCESS:
        return None
    return distance(case, result.plan.tree if result.bounds.of is Of.TREE else result.plan.lattice)


def _show(case: DeploymentCase, result: Result[Plan], worth: str, has_rule: bool, away: Distance | None) -> None:
    size = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in result.plan.size.items())
    typer.echo(f"{case.title}, T = {case.horizon.T}, {result.method}: {size}")
    typer.echo(f"{worth + ' (maximise)':<24} {result.objective:,.2f} $")
    bounds = result.bounds
    typer.echo(
        f"{'bounds of the ' + bounds.of:<24} [{bounds.lower:,.2f}, {bounds.upper:,.2f}] $, "
        f"gap {bounds.gap:.2g}, {bounds.label}"
    )
    for name, mass in result.first_stage.items():
        typer.echo(f"{name:<24} {mass:,.3f} kg")
    if has_rule:
        typer.echo(f"rule: {result.policy().describe(case)}")
    if away is not None:
        typer.echo(away.describe(result.objective, result.first_stage))
    typer.echo(f"{result.termination.reason}: {result.termination.detail} in {sum(result.timings.values()):.2f} s")
