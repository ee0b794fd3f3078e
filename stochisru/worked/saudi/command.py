"""Commands of the Saudi case: ``network ksa`` and ``network failures``."""

from __future__ import annotations

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
from stochisru.worked.saudi.questions_command import COMMANDS as QUESTIONS

if TYPE_CHECKING:
    from stochisru.worked.saudi.network import SaudiOptions

YearOpt = Annotated[int, typer.Option(help="2010, 2030 or 2050.")]


def ksa(
    year: YearOpt = 2030,
    weight: Annotated[str, typer.Option(help="Weight of cost in [0, 1], or all (Tables 5.3, 5.5).")] = "0.5",
    form: Annotated[str, typer.Option(help="reduced, or literal as in Table 3.2.")] = "reduced",
    rel_gap: GapOpt = 0.02,
    time_limit: TimeOpt = 60.0,
    diameter: Annotated[float, typer.Option(help="Diameter of pipelines, m.")] = 1.5,
    powerlines: Annotated[str, typer.Option(help="existing or new.")] = "existing",
    treatment_opex: Annotated[float, typer.Option(help="OPEX of waste-water treatment, USD/m3.")] = 0.5,
    scales: Annotated[str, typer.Option(help="cost* and CO2* of the objective: published or own.")] = "published",
    lose: Annotated[list[str] | None, typer.Option(help="Site whose processes stop; may be repeated.")] = None,
    lose_pipeline: Annotated[list[str] | None, typer.Option(help="Pipeline A:B that is lost.")] = None,
    force_pipeline: Annotated[list[str] | None, typer.Option(help="Pipeline A:B that must exist.")] = None,
    figure: FigureOpt = None,
    solver: SolverOpt = "highs",
    json: JsonOpt = None,
) -> None:
    """Water and power of Saudi Arabia: cost against CO2 (thesis, Chapter 5)."""
    from stochisru.networks.assembly import FORMS
    from stochisru.networks.network import one_of
    from stochisru.programs.solvers import solver_named
    from stochisru.worked.saudi.network import POWERLINES, SaudiOptions
    from stochisru.worked.saudi.study import WEIGHTS, own_scales, published_scales, solve_weights

    json_target(json)
    figure_target(figure)
    solver_named(solver)
    options = SaudiOptions(
        year=year,
        pipe_diameter_m=diameter,
        powerlines=one_of(POWERLINES, powerlines, "powerlines"),
        treatment_opex=treatment_opex,
        lost=tuple(lose or ()),
        lost_pipelines=_pairs(lose_pipeline, "lose_pipeline"),
        forced_pipelines=_pairs(force_pipeline, "force_pipeline"),
    )
    one_of(("published", "own"), scales, "scales")
    kind = one_of(FORMS, form, "form")
    weights = WEIGHTS if weight == "all" else (number(weight, "weight"),)
    with progress(f"Saudi Arabia {year}") as step:
        factors = published_scales(year) if scales == "published" else own_scales(options, rel_gap, time_limit)
        results = solve_weights(
            weights,
            options,
            scales=factors,
            form=kind,
            rel_gap=rel_gap,
            time_limit=time_limit,
            solver=solver,
            progress=step,
        )

    def show() -> None:
        _show_ksa(results, options)

    emit({"results": [r.to_dict() for r in results]} if weight == "all" else results[0].to_dict(), json, show)
    if figure is not None:
        from stochisru.worked.saudi.figures import saudi_front, saudi_map

        save_figure(lambda: saudi_front(results) if weight == "all" else saudi_map(results[0]), figure)


def _show_ksa(results: list[Any], options: SaudiOptions) -> None:
    from stochisru.worked.saudi.study import UNITS, comparison

    units = ", ".join(f"{name} {unit}" for name, unit in UNITS.items() if name != "objective")
    print_frame(comparison(results), f"Saudi Arabia {options.year}, beside the published table ({units}, gap %)")
    if len(results) == 1:
        one = results[0]
        print_frame(one.investments.head(10), "largest investments (capex in million USD/yr)")
        typer.echo(
            f"objective (minimise) {one.solution.objective:.5f}, {bracket(one.solution.bounds, '', 5)}; "
            f"{one.solution.termination.reason} in {one.solution.seconds:.1f} s"
        )


def failures(
    state: Annotated[str, typer.Option(help="What fails: trunk, trunks or gulf.")] = "trunk",
    probability: Annotated[float, typer.Option(help="Share of the time that it lasts.")] = 0.05,
    unmet_price: Annotated[float, typer.Option(help="Price of water not delivered, USD/m3.")] = 10.0,
    weight: Annotated[float, typer.Option(help="Weight of cost in [0, 1].")] = 0.5,
    year: YearOpt = 2030,
    rel_gap: GapOpt = 0.02,
    time_limit: TimeOpt = 120.0,
    solver: SolverOpt = "highs",
    json: JsonOpt = None,
) -> None:
    """Plan the Saudi network for a failure that may come (two stages)."""
    from stochisru.worked.saudi.failures import solve_failures
    from stochisru.worked.saudi.network import SaudiOptions

    json_target(json)
    with progress("solving"):
        result = solve_failures(
            state, probability, unmet_price, weight, SaudiOptions(year=year), rel_gap=rel_gap,
            time_limit=time_limit, solver=solver,
        )  # fmt: skip

    def show() -> None:
        print_frame(result.table, "per state: billion USD/yr, Mt/yr, water to Riyadh and unmet in 1000 m3/day")
        print_frame(result.new_lines.head(10), "new pipelines, million USD/yr")
        bounds = result.solution.bounds
        typer.echo(f"objective (minimise) {result.solution.objective:.5f}, {bracket(bounds, '', 5)}")

    emit(result.to_dict(), json, show)


def _pairs(texts: list[str] | None, field: str) -> tuple[tuple[str, str], ...]:
    pairs = []
    for text in texts or ():
        first, colon, second = text.partition(":")
        if not colon:
            raise InputError(f"{field}: must be two sites as A:B, got {text!r}")
        pairs.append((first.strip(), second.strip()))
    return tuple(pairs)


#: Commands by the words that call them.
COMMANDS = {"network ksa": ksa, "network failures": failures, **QUESTIONS}
