"""The command ``support``: a project of given size, and what makes it worth building, and worth building now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from stochisru.lunar.terminal import CaseArg, HorizonOpt, named_problem
from stochisru.terminal import JsonOpt, emit, json_target, print_frame, progress

if TYPE_CHECKING:
    from stochisru.lunar.project import Project
    from stochisru.studies.store import Row

PlantOpt = Annotated[
    float | None, typer.Option("--plant", help="Size, kg [default: the case's lot, else that of the fixed design].")
]
VolatilitiesOpt = Annotated[
    str | None,
    typer.Option(
        help="Volatilities of demand, as in 0.1,0.3,0.5: both supports and the hurdle at each [default: none]"
    ),
]


def support(
    case: CaseArg,
    plant: PlantOpt = None,
    volatilities: VolatilitiesOpt = None,
    horizon: HorizonOpt = None,
    json: JsonOpt = None,
) -> None:
    """A project of given size: NPV of firm and government, support to earn and to build now, implied hurdle."""
    from stochisru.lunar.project import project
    from stochisru.lunar.studies.support import support_lines
    from stochisru.studies.terminal import numbers

    json_target(json, case)
    problem = named_problem(case, horizon)
    grid = [] if volatilities is None else numbers(volatilities, "volatilities")
    with progress(f"valuing a project of {problem.name}"):
        found = project(problem, plant)
        data = found.to_dict()
        lines = list(support_lines(found.case, found.plant, grid).rows) if grid else []
    emit(data | {"lines": lines}, json, lambda: _show(found, data, lines))


def _show(found: Project, data: dict[str, Any], lines: list[Row]) -> None:
    """Sentences and a line for each share."""
    typer.echo(
        f"{found.case.title}: a plant of {data['plant']:,.1f} kg, built whole now, earns {_m(data['value'])} and costs "
        f"{_m(data['bill'])} (million $ of year 0)"
    )
    typer.echo(f"best: {data['best']}; the option to build later is worth {_m(data['waiting'])}")
    now = data["support_to_build_now"]
    told = "no share of the bill does" if now is None else f"{now:.1%}"
    typer.echo(f"support that makes NPV >= 0: {data['support_to_earn']:.1%} of the bill")
    typer.echo(f"support that makes building now the best: {told}")
    for name in ("unsupported", "to_earn", "to_build_now"):
        sides = data[name]
        if sides is not None:
            per_kg = "" if sides["per_kg"] is None else f", {sides['per_kg']:,.0f} $ per additional kg"
            typer.echo(
                f"{sides['share']:>8.1%} paid: firm {_m(sides['firm'])}, government {_m(sides['government'])}, "
                f"both {_m(sides['both'])}{per_kg}"
            )
    if data["hurdle"] is not None:
        known = data["perpetual_hurdle"]
        beside = "" if known is None else f"; of a perpetual flow in proportion to demand {known:.1%} (Dixit 1992)"
        typer.echo(f"implied hurdle: {data['hurdle']:.1%} a year{beside}")
    typer.echo("of single kilograms with linear costs, each of which may wait, the two supports coincide")
    if lines:
        import pandas as pd

        print_frame(pd.DataFrame(lines), "shares of the bill to earn and to build now, by volatility of demand")


def _m(money: float) -> str:
    return f"{money / 1e6:,.3f}"
