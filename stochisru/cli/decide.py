"""The command ``decide``: what to order this year, from a history of demand."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stochisru.errors import InputError
from stochisru.lunar.terminal import CaseArg, HorizonOpt, named_problem
from stochisru.terminal import JsonOpt, emit_outcome, json_target, print_frame, print_words, progress

if TYPE_CHECKING:
    from stochisru.lunar.deciding import Advice

HistoryOpt = Annotated[
    Path | None,
    typer.Option("--history", metavar="FILE", help="CSV of demand by year, kg/yr; the last year is this one."),
]
PlantOpt = Annotated[
    str | None,
    typer.Option(
        metavar="KG", help="Plant in place, kg, or NAME:KG,NAME:KG of several kinds [default: the case's M0]."
    ),
]
PipelineOpt = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="CSV of plant ordered already: year of arrival from now, kg [default: none]."),
]
CalibrateOpt = Annotated[
    bool, typer.Option("--calibrate", help="Take the parameters of demand from the history, not from the case.")
]
ColumnOpt = Annotated[str | None, typer.Option(help="Column of demand [default: the only one besides the dates].")]
DateOpt = Annotated[
    str | None, typer.Option("--date", help="Column of dates [default: the one named date, year, time or t].")
]
FolderOpt = Annotated[Path | None, typer.Option(metavar="DIR", help="Folder for a page, tables and figures.")]


def decide(
    case: CaseArg,
    history: HistoryOpt = None,
    plant: PlantOpt = None,
    pipeline: PipelineOpt = None,
    calibrate: CalibrateOpt = False,
    column: ColumnOpt = None,
    date: DateOpt = None,
    horizon: HorizonOpt = None,
    out: FolderOpt = None,
    json: JsonOpt = None,
) -> None:
    """Decide this year's order from a history of demand: the order, the rule after it, and what other orders lose."""
    from stochisru.lunar.deciding import decide as decided
    from stochisru.lunar.deciding.belief import read_history
    from stochisru.lunar.deciding.page import WrittenAdvice, require_folder, write_advice
    from stochisru.lunar.deciding.standing import placed, plant_of_text, read_pipeline

    if history is None:
        raise InputError("history: give --history FILE, a CSV of demand by year that ends with this year's")
    json_target(json, case, str(history), *([] if pipeline is None else [str(pipeline)]))
    problem = named_problem(case, horizon)
    seen = read_history(history, column, date, calibrate)
    amount = None if plant is None else plant_of_text(plant)
    placed(problem, amount)
    coming = None if pipeline is None else read_pipeline(problem, pipeline)
    if out is not None:
        require_folder(out)

    def compute() -> Advice | WrittenAdvice:
        with progress(f"deciding {problem.name}") as step:
            found = decided(problem, seen, plant=amount, pipeline=coming, calibrate=calibrate, progress=step)
        return found if out is None else write_advice(found, out)

    def show(found: Advice | WrittenAdvice) -> None:
        advice = found.advice if isinstance(found, WrittenAdvice) else found
        _show(advice)
        if isinstance(found, WrittenAdvice) and (found.folder / "report.html").exists():
            typer.echo(f"report: {found.folder / 'report.html'}")

    emit_outcome(compute, lambda found: found.to_dict(), json, show)


def _show(advice: Advice) -> None:
    import pandas as pd

    from stochisru.lunar.deciding.words import amount, shown

    print_words(advice.sentence)
    print_words(f"then: {advice.rule}")
    print_words(f"demand {amount(advice.demand)} kg/yr in {advice.when(0)}; belief: {advice.belief.describe()}")
    print_words(advice.worth)
    for order in advice.best.orders:
        rows = shown(advice.regret_of(order))
        digits = advice.money_digits(order)
        best = advice.best.orders[order]
        table = pd.DataFrame(
            {
                "kg": [amount(row.kg) for row in rows],
                "loses": [f"{row.lost / 1e6:,.{digits}f}" for row in rows],
                "": ["the order" if row.kg == best else "" for row in rows],
            }
        )
        print_words(f"{order.name}, to arrive in {advice.when(order.arrival)}: what other amounts lose ($ million)")
        print_frame(table, "", right=("kg", "loses"))
    print_words("orders (kg) if this year's demand were another")
    print_frame(
        advice.leaning_table().rename(columns={"demand": "demand, kg/yr"}).map(_cell),
        "",
        right=("demand, kg/yr", "change", *(order.name for order in advice.best.orders)),
    )
    for line in advice.turning_lines:
        print_words(line)


def _cell(value: object) -> str:
    from stochisru.lunar.deciding.words import amount

    return amount(value) if isinstance(value, float) else str(value)
