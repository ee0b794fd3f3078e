"""Command of the study of the literature: ``study literature``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from stochisru.studies.terminal import execution_of, numbers
from stochisru.terminal import (
    BackendOpt,
    CheckpointOpt,
    JsonOpt,
    OutOpt,
    ResumeOpt,
    WorkersOpt,
    bar,
    emit_outcome,
    json_target,
    print_frame,
)

if TYPE_CHECKING:
    from stochisru.worked.literature.study import LiteratureStudy


def literature(
    cases: Annotated[str, typer.Option(help="Cases, as in kornuta-2019-moon,roxy-2026-oxygen, or all.")] = "all",
    volatilities: Annotated[str, typer.Option(help="Volatilities of demand.")] = "0.2,0.4",
    moves: Annotated[int, typer.Option(help="Years in which demand moves up or down on a tree.")] = 8,
    customers: Annotated[
        str, typer.Option(help="Customers whose demand is uncertain, as in Moon,LEO, or all.")
    ] = "all",
    workers: WorkersOpt = 1,
    backend: BackendOpt = "processes",
    checkpoint: CheckpointOpt = None,
    resume: ResumeOpt = False,
    out: OutOpt = None,
    json: JsonOpt = None,
) -> None:
    """Published studies rerun, and what they say once demand is uncertain."""
    from dataclasses import replace

    from stochisru.files import keeping
    from stochisru.studies.folder import study_folder, write_figures, write_manifest, write_tables
    from stochisru.worked.literature.figures import figures
    from stochisru.worked.literature.sources import cases as known
    from stochisru.worked.literature.study import LiteratureStudy, literature_study

    json_target(json)
    names = list(known()) if cases.strip() == "all" else [name.strip() for name in cases.split(",")]
    who = None if customers.strip() == "all" else [name.strip() for name in customers.split(",")]
    grid = numbers(volatilities, "volatilities")
    how = execution_of(workers, backend, checkpoint, resume)

    def compute() -> LiteratureStudy:
        with keeping() as keep, study_folder(out, "literature") as folder:
            with bar("studies of the literature", len(names) * len(grid)) as advance:
                study = literature_study(
                    names, volatilities=grid, moves=moves, customers=who, execution=replace(how, progress=advance)
                )
            keep(study)
            if folder is not None:
                names_of_tables = ("published", "rows", "swings", "thresholds", "launch", "timings")
                tables = {name: getattr(study, name) for name in names_of_tables}
                write_tables(folder, {name: rows for name, rows in tables.items() if rows})
                settings: dict[str, Any] = {
                    "cases": names,
                    "volatilities": grid,
                    "moves": moves,
                    "customers": customers,
                }
                write_manifest(folder, "literature", settings)
                text = "\n".join(["# What the numbers say", "", *(f"- {line}" for line in study.findings())])
                (folder / "findings.md").write_text(text + "\n", encoding="utf-8")
                write_figures(folder, lambda: figures(study), study)
        return study

    emit_outcome(compute, LiteratureStudy.to_dict, json, _show)


def _show(study: LiteratureStudy) -> None:
    """Published numbers beside ours, the studies with uncertain demand, and what they say."""
    import pandas as pd

    columns = ("case", "quantity", "published", "lower", "upper", "ours", "difference", "unit")
    print_frame(pd.DataFrame(list(study.published))[list(columns)], "published numbers and ours at σ = 0")
    titles = {"case": "case", "sigma": "σ", "own_certain": "plan, σ = 0", "best_certain": "best, σ = 0"}
    titles |= {"own": "plan", "p_loss_own": "its P(loss)", "rp": "best", "p_loss": "P(loss)"}
    titles |= {"reacting": "reacting", "deferring": "deferring", "evpi": "EVPI", "scenarios": "scenarios"}
    frame = pd.DataFrame([{title: row[name] for name, title in titles.items()} for row in study.rows])
    frame["first order"] = [f"{row['first_order'] / row['plan']:.3g}" for row in study.rows]
    print_frame(frame, "NPV with uncertain demand ($, of ROXY €; first order in plants of the study)")
    for sentence in study.findings():
        typer.echo(f"- {sentence}")


#: Commands by the words that call them.
COMMANDS = {"study literature": literature}
