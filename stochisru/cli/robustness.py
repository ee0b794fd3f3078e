"""The command ``robustness``; see ``docs/robustness.md``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from stochisru.errors import InputError
from stochisru.lunar.terminal import CaseArg, HorizonOpt, named_case
from stochisru.studies.terminal import execution_of, numbers, run_study_command
from stochisru.terminal import (
    BackendOpt,
    CheckpointOpt,
    JsonOpt,
    OutOpt,
    PathsOpt,
    ResumeOpt,
    SeedOpt,
    WorkersOpt,
    emit_outcome,
    json_target,
    money_unit,
    print_frame,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from stochisru.lunar.studies.robustness import Robustness
    from stochisru.studies.store import Execution

#: Options of the curve of a ball; the others are of a box.
_OF_BALLS = ("radii", "states")


def robustness(
    case: CaseArg,
    ball: Annotated[
        str | None, typer.Option(help="Nested ball around probabilities: chi-square or wasserstein [default: a box].")
    ] = None,
    radii: Annotated[str | None, typer.Option(help="Radii of the ball, ascending [default: 0,0.02,0.1,0.5].")] = None,
    states: Annotated[int | None, typer.Option(help="States per stage of the lattice [default: 30].")] = None,
    mu: Annotated[str | None, typer.Option(help="Ends of the box in mu, as in 0.1,0.3.")] = None,
    sigma: Annotated[str | None, typer.Option(help="Ends of the box in sigma, as in 0.1,0.3.")] = None,
    sizes: Annotated[
        str | None, typer.Option(help="Shares of the box, ascending [default: 0,0.25,0.5,0.75,1].")
    ] = None,
    points: Annotated[int | None, typer.Option(help="Points per side of a box [default: 2, its corners].")] = None,
    horizon: HorizonOpt = None,
    paths: PathsOpt | None = None,
    seed: SeedOpt | None = None,
    workers: WorkersOpt = 1,
    backend: BackendOpt = "processes",
    checkpoint: CheckpointOpt = None,
    resume: ResumeOpt = False,
    out: OutOpt = None,
    json: JsonOpt = None,
) -> None:
    """What a plan for the worst case guarantees, and what it costs where the case's numbers hold."""
    from stochisru.lunar.studies import robustness as study
    from stochisru.methods.risk.options import BALLS

    json_target(json, case)
    problem = named_case(case, horizon)
    if ball is not None and ball not in BALLS:
        raise InputError(f"ball: must be {' or '.join(BALLS)}, got {ball!r}")
    options: dict[str, Any] = {
        "radii": radii,
        "states": states,
        "mu": mu,
        "sigma": sigma,
        "sizes": sizes,
        "points": points,
    }
    options |= {"paths": paths, "seed": seed}
    given = {name: value for name, value in options.items() if value is not None}
    for name in given:
        if (name in _OF_BALLS) != (ball is not None):
            there = "a ball, as in --ball chi-square" if name in _OF_BALLS else "a box, without --ball"
            raise InputError(f"{name}: belongs to {there}")
    for name in ("radii", "sizes"):
        if name in given:
            given[name] = numbers(given[name], name)
    for name in ("mu", "sigma"):
        if name in given:
            ends = numbers(given[name], name)
            if len(ends) != 2:
                raise InputError(f"{name}: must be the two ends of the box, as in 0.1,0.3, got {given[name]!r}")
            given[name] = ends[0], ends[1]
    how = execution_of(workers, backend, checkpoint, resume)

    def compute(how: Execution) -> Robustness:
        if ball is None:
            return study.robust_box(problem, execution=how, **given)
        return study.robust_ball(problem, ball, given.pop("radii", study.RADII), execution=how, **given)

    def draw(found: Robustness) -> dict[str, Figure]:
        from stochisru.lunar.studies.figures import robustness_curve

        return {"robustness": robustness_curve(found)}

    count = len(given.get("radii", study.RADII)) if ball else 1
    rows = study.Robustness.to_rows
    settings = {"ball": ball, **given}
    emit_outcome(
        lambda: run_study_command("robustness", problem, compute, rows, draw, count, how, out, settings),
        rows,
        json,
        show_robustness,
    )


def show_robustness(study: Robustness) -> None:
    """The curve as a table, and what it says at its end."""
    frame = study.to_frame()
    orders = [name for name in frame.columns if name.startswith("dM")][:2]
    money = ["guaranteed", "ceiling", "nominal", "price"]
    frame[money] = frame[money].astype(float)
    unit, size = money_unit(frame[money])
    shown = frame[["size", *money, *orders]].copy()
    shown[money] /= size
    shown = shown.rename(columns={"size": "share of box" if study.kind == "box" else "radius"})
    what = "a box of mu and sigma" if study.kind == "box" else f"nested {study.kind} balls"
    typer.echo(f"{study.case.title}, T = {study.case.horizon.T}: {what}")
    typer.echo(f"values of the {study.of}: {study.basis}")
    print_frame(shown, f"{unit}, NPV maximised; orders in kg")
    last = study.rows[-1]
    typer.echo(
        f"RP {study.rp:,.0f} $. At {last['size']:g} the plan is worth {last['guaranteed']:,.0f} $ at worst,\n"
        f"and gives up {last['price']:,.0f} $ where the case's own numbers hold."
    )
    if study.kind == "box":
        typer.echo(
            f"Worst are mu = {last['worst_mu']:g} and sigma = {last['worst_sigma']:g}.\n"
            f"The plan is the best one for mu = {last['plan_mu']:g} and sigma = {last['plan_sigma']:g};\n"
            f"that of the case itself is worth {last['unprepared']:,.0f} $ at worst."
        )
