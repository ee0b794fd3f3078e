"""Command of the study: ``study deployment``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stochisru.errors import InputError
from stochisru.lunar.terminal import CaseArg, named_case
from stochisru.studies.terminal import execution_of
from stochisru.terminal import (
    BackendOpt,
    CheckpointOpt,
    JsonOpt,
    ResumeOpt,
    SamplerOpt,
    SeedOpt,
    WorkersOpt,
    emit_outcome,
    json_target,
    progress,
)


def deployment(
    case: CaseArg = "lunar-reference",
    horizons: Annotated[str, typer.Option(help="Last years that are studied.")] = "10,30,50",
    paths: Annotated[int, typer.Option(help="Runs per horizon.")] = 1000,
    seed: SeedOpt = 0,
    sampler: SamplerOpt = "pseudo-random",
    rules: Annotated[int, typer.Option(help="Trigger rules sampled for the frontier.")] = 100,
    workers: WorkersOpt = 1,
    backend: BackendOpt = "processes",
    checkpoint: CheckpointOpt = None,
    resume: ResumeOpt = False,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the study [default: runs/NAME-deployment, with the hash of a case that is not shipped]."
        ),
    ] = None,
    json: JsonOpt = None,
) -> None:
    """Deployment over 10, 30 and 50 years: profitability, risk, operations, flexibility, sensitivity, efficiency."""
    from stochisru.studies.folder import default_folder
    from stochisru.worked.deployment.study import DeploymentStudy, deployment_study

    json_target(json, case)
    problem = named_case(case)
    years = []
    for item in horizons.split(","):
        if not item.strip().isdecimal() or len(item.strip()) > 9:
            raise InputError(f"horizons: must be years that differ, as in 10,30,50, got {horizons!r}")
        years.append(int(item))
    how = execution_of(workers, backend, checkpoint, resume)
    folder = out if out is not None else default_folder(problem, "deployment")

    def compute() -> DeploymentStudy:
        with progress(f"studying {problem.name}") as step:
            return deployment_study(
                problem,
                folder,
                horizons=years,
                paths=paths,
                seed=seed,
                sampler=sampler,
                rules=rules,
                execution=how,
                progress=step,
            )

    def show(study: DeploymentStudy) -> None:
        for sentence in study.findings:
            typer.echo(f"- {sentence}")
        if (folder / "report.html").exists():
            typer.echo(f"report: {folder / 'report.html'}")

    emit_outcome(compute, DeploymentStudy.to_dict, json, show)


#: Commands by the words that call them.
COMMANDS = {"study deployment": deployment}
