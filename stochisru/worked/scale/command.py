"""Command of the study: ``study scale``."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stochisru.lunar.terminal import CaseArg, named_case
from stochisru.studies.terminal import execution_of, numbers, run_study_command
from stochisru.terminal import (
    BackendOpt,
    CheckpointOpt,
    JsonOpt,
    OutOpt,
    ResumeOpt,
    WorkersOpt,
    emit_outcome,
    json_target,
    print_frame,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from stochisru.studies.store import Execution
    from stochisru.worked.scale.study import ScaleStudy


def scale(
    case: CaseArg = "lunar-reference",
    exponents: Annotated[str, typer.Option(help="Scale exponents of development cost.")] = "0.6,0.8,1",
    learning: Annotated[
        str, typer.Option(help="Shares by which cost falls with every doubling of plant.")
    ] = "0,0.1,0.2",
    rates: Annotated[str, typer.Option(help="Discount rates.")] = "0.04,0.08,0.12",
    volatilities: Annotated[str, typer.Option(help="Volatilities of demand.")] = "0.1,0.2,0.4",
    reference: Annotated[
        float | None, typer.Option(help="Size at which c_dev holds, kg [default: the case's, or D0/eta].")
    ] = None,
    states: Annotated[int, typer.Option(help="States per stage of the lattice.")] = 12,
    horizon: Annotated[int, typer.Option(help="Last year T.")] = 20,
    workers: WorkersOpt = 1,
    backend: BackendOpt = "processes",
    checkpoint: CheckpointOpt = None,
    resume: ResumeOpt = False,
    out: OutOpt = None,
    json: JsonOpt = None,
) -> None:
    """Economies of scale against uncertainty: the value of flexibility, with learning."""
    from stochisru.worked.scale.study import ScaleStudy, reference_of, scale_study

    json_target(json, case)
    problem = named_case(case, horizon)
    grid = {
        "exponents": numbers(exponents, "exponents"),
        "learning_rates": numbers(learning, "learning"),
        "discount_rates": numbers(rates, "rates"),
        "volatilities": numbers(volatilities, "volatilities"),
    }

    def compute(execution: Execution) -> ScaleStudy:
        return scale_study(problem, **grid, reference=reference, states=states, execution=execution)

    def draw(study: ScaleStudy) -> dict[str, Figure]:
        from stochisru.worked.scale.figures import scale_panels

        return {name: scale_panels(study, name) for name in ("flexibility", "deployments")}

    how = execution_of(workers, backend, checkpoint, resume)
    settings: dict[str, Any] = {**grid, "reference": reference or reference_of(problem), "states": states}
    points = prod(map(len, grid.values()))
    emit_outcome(
        lambda: run_study_command("scale", problem, compute, ScaleStudy.to_rows, draw, points, how, out, settings),
        lambda study: {"rows": study.to_rows(), "findings": study.findings()},
        json,
        _show,
    )


def _show(study: ScaleStudy) -> None:
    """Values over the grid, and what they say."""
    import pandas as pd

    columns = {"exponent": "b", "learning": "λ", "r": "r", "sigma": "σ", "rp": "RP", "fixed": "fixed"}
    columns |= {"flexibility": "flexibility", "vms": "VMS", "first_plant": "first plant, kg"}
    columns |= {"fixed_plant": "fixed plant, kg", "deployments": "deployments", "stage_wise_error": "stage-wise error"}
    frame = pd.DataFrame([{title: row[name] for name, title in columns.items()} for row in study.rows])
    title = f"{study.case.title}, T = {study.case.horizon.T}, reference {study.reference:,.0f} kg ($, NPV maximised)"
    print_frame(frame, title)
    for sentence in study.findings():
        typer.echo(f"- {sentence}")


#: Commands by the words that call them.
COMMANDS = {"study scale": scale}
