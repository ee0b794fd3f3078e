"""Commands for the research questions of Section 5.1.3, and for the evolution of the Saudi network."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stochisru.errors import InputError
from stochisru.networks.terminal import GapOpt, TimeOpt, bracket
from stochisru.terminal import (
    FigureOpt,
    JsonOpt,
    SolverOpt,
    emit,
    figure_target,
    json_target,
    number,
    print_frame,
    progress,
    save_figure,
)

if TYPE_CHECKING:
    from stochisru.worked.saudi.questions import Answer

WeightOpt = Annotated[float, typer.Option(help="Weight of cost in [0, 1].")]
YearOpt = Annotated[int, typer.Option(help="2010, 2030 or 2050.")]
UnmetOpt = Annotated[float, typer.Option(help="Price of water not delivered, USD/m3.")]
SiteOpt = Annotated[str | None, typer.Option(help="Name of a site.")]
LineOpt = Annotated[str | None, typer.Option("--line", help="Pipeline A:B.")]
_UNITS = "billion USD/yr, Mt/yr, million m3/yr, GWh/yr"


def today(
    weight: WeightOpt = 0.5,
    year: YearOpt = 2010,
    outputs: Annotated[
        Path | None, typer.Option(help="CSV (site, output): water that plants make today, 1000 m3/day.")
    ] = None,
    unmet_price: UnmetOpt = 10.0,
    rel_gap: GapOpt = 0.02,
    time_limit: TimeOpt = 60.0,
    solver: SolverOpt = "highs",
    json: JsonOpt = None,
) -> None:
    """Is today's flow optimal? Plants as they are used, at their best, and with building (Section 5.1.3)."""
    from stochisru.worked.saudi.questions import Search, today

    json_target(json)
    with progress("solving"):
        answer = today(
            weight, year=year, outputs=None if outputs is None else _outputs(outputs), unmet_price=unmet_price,
            search=Search(rel_gap, time_limit, solver),
        )  # fmt: skip
    gap = answer.more("as used", "best use")
    data = answer.to_dict() | {"optimality_gap": list(gap), "optimal": None if gap[0] <= 0 else False}

    def show() -> None:
        _show(answer, f"Saudi Arabia {year}: is today's flow optimal? ({_UNITS}; unmet water 1000 m3/day)")
        base = answer.plans["best use"].solution.objective
        typer.echo(f"as used is above the best use by {_between(gap)} of the objective ({_percent(gap, base)})")

    emit(data, json, show)


def change(
    weight: WeightOpt = 0.5,
    year: YearOpt = 2030,
    demand: Annotated[list[str] | None, typer.Option(help="CITY=FACTOR on its demand; may be repeated.")] = None,
    capacity: Annotated[list[str] | None, typer.Option(help="SITE=FACTOR on its capacity; may be repeated.")] = None,
    rel_gap: GapOpt = 0.02,
    time_limit: TimeOpt = 60.0,
    solver: SolverOpt = "highs",
    json: JsonOpt = None,
) -> None:
    """What is the next optimal flow after a change of supply or demand? (Section 5.1.3)."""
    from stochisru.worked.saudi.network import SaudiOptions
    from stochisru.worked.saudi.questions import Search, change

    json_target(json)
    with progress("solving"):
        answer = change(
            weight, demand=_factors(demand, "demand"), capacity=_factors(capacity, "capacity"),
            options=SaudiOptions(year=year), search=Search(rel_gap, time_limit, solver),
        )  # fmt: skip
    _emit_pair(answer, "after", "before", f"Saudi Arabia {year}: before and after the change", json)


def invest(
    weight: WeightOpt = 0.5,
    year: YearOpt = 2030,
    site: SiteOpt = None,
    line: LineOpt = None,
    rel_gap: GapOpt = 0.02,
    time_limit: TimeOpt = 60.0,
    solver: SolverOpt = "highs",
    json: JsonOpt = None,
) -> None:
    """Is it worth investing at a site, or in a pipeline? (Section 5.1.3)."""
    from stochisru.worked.saudi.network import SaudiOptions
    from stochisru.worked.saudi.questions import Search, investment

    json_target(json)
    with progress("solving"):
        answer = investment(
            weight, site=site, line=_line(line), options=SaudiOptions(year=year),
            search=Search(rel_gap, time_limit, solver),
        )  # fmt: skip
    worth = answer.more("without", "with")
    investments = answer.plans["with"].investments
    ends = set(_line(line) or (site,))
    there = investments[[{t, h} == ends or (t == h and t in ends) for t, h in _ends(investments)]]
    verdict = "yes" if worth[0] > 0 else "undecided"
    data = answer.to_dict() | {"worth": list(worth), "verdict": verdict, "built": there.to_dict("records")}

    def show() -> None:
        _show(answer, f"Saudi Arabia {year}: without building there, and with ({_UNITS})")
        print_frame(there, "what the plan builds there (capex in million USD/yr)")
        overlap = "" if worth[0] > 0 else ", the brackets overlap; a smaller --rel-gap may tell"
        typer.echo(f"worth {_between(worth)} of the objective: {verdict}{overlap}")

    emit(data, json, show)


def loss(
    weight: WeightOpt = 0.5,
    year: YearOpt = 2030,
    site: SiteOpt = None,
    line: LineOpt = None,
    unmet_price: UnmetOpt = 10.0,
    rel_gap: GapOpt = 0.02,
    time_limit: TimeOpt = 60.0,
    solver: SolverOpt = "highs",
    json: JsonOpt = None,
) -> None:
    """What does losing a site or a pipeline mean, at once and after replanning? (Section 5.1.3)."""
    from stochisru.worked.saudi.network import SaudiOptions
    from stochisru.worked.saudi.questions import Search, loss

    json_target(json)
    with progress("solving"):
        answer = loss(
            weight, site=site, line=_line(line), unmet_price=unmet_price, options=SaudiOptions(year=year),
            search=Search(rel_gap, time_limit, solver),
        )  # fmt: skip
    outage, replanned = answer.more("outage", "plan"), answer.more("replanned", "plan")
    data = answer.to_dict() | {"outage_cost": list(outage), "retirement_cost": list(replanned)}

    def show() -> None:
        _show(answer, f"Saudi Arabia {year}: the plan, an outage, replanned ({_UNITS}; unmet water 1000 m3/day)")
        typer.echo(f"an outage costs {_between(outage)} of the objective, retirement {_between(replanned)}")

    emit(data, json, show)


def drivers(
    weight: WeightOpt = 0.5,
    year: YearOpt = 2030,
    share: Annotated[float, typer.Option("--change", help="Share by which numbers are lowered and raised.")] = 0.2,
    numbers: Annotated[str | None, typer.Option(help="Comma-separated numbers to vary [default: all].")] = None,
    unmet_price: UnmetOpt = 10.0,
    rel_gap: GapOpt = 0.02,
    time_limit: TimeOpt = 60.0,
    figure: FigureOpt = None,
    solver: SolverOpt = "highs",
    json: JsonOpt = None,
) -> None:
    """Which driver matters most? A tornado of numbers, the worth of every element, prices by city (Section 5.1.3)."""
    from stochisru.worked.saudi.drivers import key_drivers
    from stochisru.worked.saudi.network import SaudiOptions
    from stochisru.worked.saudi.questions import Search

    json_target(json)
    figure_target(figure)
    names = None if numbers is None else [part.strip() for part in numbers.split(",")]
    with progress("solving") as step:
        found = key_drivers(
            weight, change=share, names=names, unmet_price=unmet_price, options=SaudiOptions(year=year),
            search=Search(rel_gap, time_limit, solver), progress=step,
        )  # fmt: skip

    def show() -> None:
        kept = ["number", "objective lower", "objective higher", "cost lower", "cost higher", "swing"]
        print_frame(found.swings[kept], f"objective with numbers {share:.0%} lower and higher (lines as planned)")
        print_frame(found.elements.head(15), "what losing an element costs (objective; unmet water 1000 m3/day)")
        print_frame(found.prices.head(10), "price of water, dearest cities (objective per 1000 m3/day; USD/m3)")
        typer.echo(
            f"objective (minimise) {found.base.objective:.5f}; plan: {bracket(found.plan.solution.bounds, '', 5)}"
        )

    emit(found.to_dict(), json, show)
    if figure is not None:
        from stochisru.worked.saudi.figures import saudi_tornado

        save_figure(lambda: saudi_tornado(found), figure)


def evolve(
    weight: WeightOpt = 0.5,
    years: Annotated[str, typer.Option(help="Comma-separated, of 2010, 2030 and 2050.")] = "2010,2030,2050",
    discount: Annotated[float, typer.Option(help="Rate per year.")] = 0.05,
    rel_gap: GapOpt = 0.03,
    time_limit: TimeOpt = 120.0,
    solver: SolverOpt = "highs",
    json: JsonOpt = None,
) -> None:
    """The network from 2010 to 2050: one plan for all years beside one for each alone."""
    from stochisru.worked.saudi.evolution import evolution
    from stochisru.worked.saudi.questions import Search

    json_target(json)
    chosen = [int(number(part, "years")) for part in years.split(",")]
    with progress("solving"):
        found = evolution(weight, years=chosen, discount=discount, search=Search(rel_gap, time_limit, solver))

    def show() -> None:
        print_frame(
            found.table, "billion USD/yr, Mt/yr; new pipelines in million USD/yr, new desalination in 1000 m3/day"
        )
        print_frame(found.lines.head(15), "new pipelines and since when (capex in million USD/yr)")
        typer.echo(
            f"pipelines that one year's plan alone builds and the next one's does without: {found.regretted:.1f} "
            "million USD/yr"
        )
        typer.echo(f"objective (minimise) {found.plan.objective:.4f}, {bracket(found.plan.bounds, '', 4)}")

    emit(found.to_dict(), json, show)


def _emit_pair(answer: Answer, name: str, than: str, title: str, json: str | None) -> None:
    more, moved = answer.more(name, than), answer.moved(name, than)
    data = answer.to_dict() | {"difference": list(more), "flows": moved.to_dict("records")}

    def show() -> None:
        _show(answer, f"{title} ({_UNITS})")
        print_frame(moved.head(15), "flows that change most")
        typer.echo(f"{name} is above {than} by {_between(more)} of the objective")

    emit(data, json, show)


def _show(answer: Answer, title: str) -> None:
    print_frame(answer.table, title)
    for name, plan in answer.plans.items():
        typer.echo(f"{name}: {bracket(plan.solution.bounds, '', 5)}")


def _between(ends: tuple[float, float]) -> str:
    return f"{ends[0]:.4f} to {ends[1]:.4f}"


def _percent(ends: tuple[float, float], base: float) -> str:
    return f"{100 * ends[0] / base:.1f} to {100 * ends[1] / base:.1f} %"


def _ends(frame: Any) -> list[tuple[str, str]]:
    return list(zip(frame["tail"], frame["head"], strict=True))


def _factors(texts: list[str] | None, field: str) -> dict[str, float]:
    found = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not equals:
            raise InputError(f"{field}: must be NAME=FACTOR, got {text!r}")
        found[name.strip()] = number(value, field)
    return found


def _line(text: str | None) -> tuple[str, str] | None:
    if text is None:
        return None
    first, colon, second = text.partition(":")
    if not colon:
        raise InputError(f"line: must be two sites as A:B, got {text!r}")
    return first.strip(), second.strip()


def _outputs(path: Path) -> dict[str, float]:
    try:
        rows = list(csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"outputs: cannot be read: {path}") from error
    if not rows or set(rows[0]) != {"site", "output"}:
        raise InputError(f"{path.name}: must have the columns site, output and a row")
    return {row["site"].strip(): number(row["output"] or "", f"{path.name}: output of {row['site']}") for row in rows}


#: Commands by the words that call them.
COMMANDS = {
    "network ksa-today": today,
    "network ksa-change": change,
    "network ksa-invest": invest,
    "network ksa-loss": loss,
    "network ksa-drivers": drivers,
    "network ksa-evolution": evolve,
}
