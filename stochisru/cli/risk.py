"""The command ``risk``; see ``docs/robustness.md``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from stochisru.lunar.terminal import (
    BranchingOpt,
    CaseArg,
    EarlyOpt,
    HorizonOpt,
    QuantizationOpt,
    TreeAsked,
    TreeFileOpt,
    named_problem,
)
from stochisru.studies.terminal import execution_of, numbers, run_study_command
from stochisru.terminal import (
    BackendOpt,
    CheckpointOpt,
    JsonOpt,
    OutOpt,
    ResumeOpt,
    SolverOpt,
    WorkersOpt,
    emit_outcome,
    json_target,
    money_unit,
    print_frame,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from stochisru.lunar.studies.tail_frontier import TailFrontier
    from stochisru.studies.store import Execution


def risk(
    case: CaseArg,
    tail: Annotated[
        float | None,
        typer.Option(help="Worst share of the scenarios, whose mean is the CVaR [default: the case's, else 0.05]."),
    ] = None,
    weights: Annotated[
        str | None, typer.Option(help="Weights of the CVaR, ascending [default: 0,0.1,0.25,0.5,0.75,0.9,1].")
    ] = None,
    branching: BranchingOpt = None,
    tree: TreeFileOpt = None,
    early_leaves: EarlyOpt = None,
    quantization: QuantizationOpt = None,
    horizon: HorizonOpt = None,
    solver: SolverOpt = "highs",
    workers: WorkersOpt = 1,
    backend: BackendOpt = "processes",
    checkpoint: CheckpointOpt = None,
    resume: ResumeOpt = False,
    out: OutOpt = None,
    json: JsonOpt = None,
) -> None:
    """Efficient frontier of mean and CVaR of total NPV on a tree, with the first orders at each weight."""
    from stochisru.lunar.studies import tail_frontier as study
    from stochisru.programs.solvers import solver_named

    json_target(json, case)
    asked = TreeAsked(branching, quantization, tree, early_leaves)
    problem = named_problem(case, asked.horizon(horizon))
    stated = getattr(problem, "risk", None)
    own = None if stated is None else stated.tail
    share = next(x for x in (tail, own, 0.05) if x is not None)
    chosen = study.WEIGHTS if weights is None else tuple(numbers(weights, "weights"))
    solver_named(solver)
    ground = asked.of(problem)

    def compute(how: Execution) -> TailFrontier:
        return study.tail_frontier(problem, ground, tail=share, weights=chosen, solver=solver, execution=how)

    def draw(found: TailFrontier) -> dict[str, Figure]:
        from stochisru.lunar.studies.figures import tail_curve

        return {"risk": tail_curve(found)}

    how = execution_of(workers, backend, checkpoint, resume)
    rows, settings = study.TailFrontier.to_rows, {"tail": share, "weights": list(chosen), "tree": ground.digest()}
    emit_outcome(
        lambda: run_study_command("risk", problem, compute, rows, draw, len(chosen), how, out, settings),
        rows,
        json,
        show_frontier,
    )


def show_frontier(study: TailFrontier) -> None:
    """The frontier as a table."""
    frame = study.to_frame()
    money = ["objective", "mean", "cvar"]
    unit, size = money_unit(frame[money])
    shown = frame[["weight", *money, *study.orders]].copy()
    shown[money] /= size
    typer.echo(f"{study.case.title}, T = {study.case.horizon.T}: total NPV of the tree,")
    typer.echo(f"weight x CVaR of the worst {study.tail:g} + (1 - weight) x mean")
    print_frame(shown, f"{unit}, maximised; orders in kg")
    typer.echo("Each plan is a commitment: solved again later, it would be another.")
