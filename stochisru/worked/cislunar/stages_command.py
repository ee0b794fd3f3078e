"""The command ``campaign-stages``: which stage to build for the campaign."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from stochisru.errors import InputError
from stochisru.terminal import JsonOpt, SolverOpt, emit, json_target, number, print_frame, progress

if TYPE_CHECKING:
    from stochisru.worked.cislunar.stages import StageDesign


def campaign_stages(
    stage: Annotated[list[str], typer.Option(help="PROPELLANT:DRY_MASS:PRICE in kg, kg, $; repeated, one per design.")],
    architecture: Annotated[str, typer.Option(help="concentrated or distributed.")] = "concentrated",
    setup: Annotated[bool, typer.Option("--setup", help="The first year is for setting up.")] = False,
    years: Annotated[int, typer.Option(help="Years; demand is due at the end of each.")] = 3,
    rel_gap: Annotated[float, typer.Option("--rel-gap", help="Relative gap at which to stop.")] = 0.01,
    time_limit: Annotated[float, typer.Option("--time-limit", help="Seconds for each program.")] = 90.0,
    solver: SolverOpt = "highs",
    json: JsonOpt = None,
) -> None:
    """Spacecraft sizing: the stage, of a catalogue, with which the campaign costs least."""
    from stochisru.programs.solvers import solver_named
    from stochisru.worked.cislunar.campaign import CAVEAT
    from stochisru.worked.cislunar.parameters import Campaign
    from stochisru.worked.cislunar.stages import choose_stage

    json_target(json)
    solver_named(solver)
    base = Campaign(architecture, setup, years)  # type: ignore[arg-type]
    designs = [_design(text) for text in stage]
    with progress("solving") as step:
        found = choose_stage(
            designs, base, rel_gap=rel_gap, time_limit=time_limit, solver=solver, progress=step
        )  # fmt: skip

    def show() -> None:
        table = found.to_frame()
        for key in ("price", "lower", "cost"):
            table[key] /= 1e6
        print_frame(table.round(1), f"{base.title}: stages (kg, million $), cost with its bound (minimised)")
        typer.echo(f"no stage of these gets the campaign below {found.lower / 1e6:,.1f} million $")
        typer.echo(CAVEAT)

    emit(found.to_dict(), json, show)


def _design(text: str) -> StageDesign:
    from stochisru.worked.cislunar.stages import StageDesign

    parts = text.split(":")
    if len(parts) != 3:
        raise InputError(f"stage: must be PROPELLANT:DRY_MASS:PRICE, as in 65000:6000:150e6, got {text!r}")
    return StageDesign(*(number(part, f"stage {text}") for part in parts))


#: Commands by the words that call them.
COMMANDS = {"campaign-stages": campaign_stages}
