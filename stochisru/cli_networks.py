"""The command line of the networks: ``stochisru network …``."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stochisru.cli_options import FigureOpt, JsonOpt, SolverOpt, figure_target, number, save_figure
from stochisru.console import emit, json_target, print_frame, progress
from stochisru.errors import InputError

if TYPE_CHECKING:
    from stochisru.methods.result import Bounds
    from stochisru.networks.ksa import SaudiOptions
    from stochisru.networks.mars import MarsScenario
    from stochisru.networks.mars_study import MarsResult

network_app = typer.Typer(help="Commodity networks: Mars, toy, Saudi Arabia, your own.", rich_markup_mode=None)

GapOpt = Annotated[float, typer.Option("--rel-gap", help="Relative gap at which to stop.")]
TimeOpt = Annotated[float, typer.Option("--time-limit", help="Seconds for each program.")]
YearOpt = Annotated[int, typer.Option(help="2030 or 2050.")]


@network_app.callback(invoke_without_command=True)
def _help_alone(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@network_app.command()
def mars(
    scenario: Annotated[str, typer.Option(help="baseline, 1 to 8, or all.")] = "baseline",
    rate: Annotated[float | None, typer.Option(help="ISRU production, kg per kg of plant and year [10].")] = None,
    lifetime: Annotated[float | None, typer.Option(help="Lifetime of plants, years [5].")] = None,
    sites: Annotated[str | None, typer.Option(help="ISRU sites of LSP,DEIM,PHOB,GC, or none.")] = None,
    engines: Annotated[str | None, typer.Option(help="Engines in space of LOX,NTR.")] = None,
    aerobraking: Annotated[bool | None, typer.Option(help="Whether aeroshells may be used.")] = None,
    boil_off: Annotated[float | None, typer.Option(help="Factor on the boil-off rates; 0 is none.")] = None,
    reading: Annotated[str, typer.Option(help="published or text-only.")] = "published",
    opportunities: Annotated[
        int | None, typer.Option(help="Launch opportunities; plants work only after they landed.")
    ] = None,
    figure: FigureOpt = None,
    solver: SolverOpt = "highs",
    json: JsonOpt = None,
) -> None:
    """Least mass at launch of a Mars mission with propellant made on the way (thesis, Chapter 4)."""
    from stochisru.networks.mars_study import solve_mars
    from stochisru.solvers import solver_named

    json_target(json)
    figure_target(figure)
    solver_named(solver)
    options = {
        "isru_rate": rate,
        "lifetime": lifetime,
        "sites": _names(sites),
        "engines": _names(engines),
        "aerobraking": aerobraking,
        "boil_off": boil_off,
    }
    chosen = _scenarios(scenario, {k: v for k, v in options.items() if v is not None}, reading)
    if len(chosen) > 1 and (opportunities is not None or figure is not None):
        raise InputError("scenario: must be one scenario with --opportunities or --figure, got 'all'")
    if opportunities is not None:
        if figure is not None:
            raise InputError("figure: is drawn for the static network, must not be given with --opportunities")
        _campaign(chosen[0], opportunities, solver, json)
        return
    with progress("solving") as step:
        results = []
        for one in chosen:
            step(one.name)
            results.append(solve_mars(one, solver))
    data: dict[str, Any] = {"scenarios": {r.scenario.name: r.to_dict() for r in results}}
    emit(data if scenario == "all" else results[0].to_dict(), json, lambda: _show_mars(results))
    if figure is not None:
        from stochisru.report.network_figures import mars_routes

        save_figure(lambda: mars_routes(results[0]), figure)


def _scenarios(name: str, changes: dict[str, Any], reading: str) -> list[MarsScenario]:
    from stochisru.networks.mars import READINGS, SCENARIOS
    from stochisru.networks.network import one_of

    if name != "all" and name not in SCENARIOS:
        raise InputError(f"scenario: must be one of {', '.join(SCENARIOS)} or all, got {name!r}")
    one_of(list(READINGS), reading, "reading")
    chosen = list(SCENARIOS.values()) if name == "all" else [SCENARIOS[name]]
    if reading != "published":
        changes = {**changes, "reading": READINGS[reading]}
    changed = [s.replace(**changes) for s in chosen]
    return [
        new if new == old else new.replace(name=f"{old.name}, changed")
        for old, new in zip(chosen, changed, strict=True)
    ]


def _names(text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    return () if text.strip() == "none" else tuple(part.strip() for part in text.split(","))


def _show_mars(results: list[MarsResult]) -> None:
    from stochisru.networks.mars_study import arrivals, table_4_7

    table = table_4_7(results)
    if table["published"].isna().all():
        table = table[[c for c in table.columns if "published" not in c]]
    print_frame(table, "Mars: mass at KSC (kg, minimised), IMLEO and plants (kg), beside Table 4.7")
    for result in results:
        typer.echo(f"{result.scenario.name}: {_bracket(result.solution.bounds, 'kg', 1)}")
    if len(results) == 1:
        print_frame(arrivals(results[0]), "arrivals on transport arcs (kg)")


def _campaign(scenario: MarsScenario, opportunities: int, solver: str, json: str | None) -> None:
    from stochisru.networks.mars_campaign import solve_campaign

    with progress("solving"):
        result = solve_campaign(scenario, opportunities, solver=solver)

    def show() -> None:
        print_frame(result.schedule, f"Mars, {scenario.name}: launch opportunities, the crew flies with the last (kg)")
        typer.echo(f"mass at KSC (minimise): {result.objective:,.0f} kg, {_bracket(result.solution.bounds, 'kg', 1)}")

    emit(result.to_dict(), json, show)


@network_app.command("mars-sweep")
def mars_sweep(
    parameter: Annotated[str, typer.Option(help="rate (Figure 4-17) or lifetime (Figure 4-16).")] = "rate",
    values: Annotated[str | None, typer.Option(help="Comma-separated values instead of the figure's.")] = None,
    figure: FigureOpt = None,
    solver: SolverOpt = "highs",
    json: JsonOpt = None,
) -> None:
    """Mass at launch against production rate or lifetime of the plants."""
    from stochisru.networks.mars_study import SWEEPS, sweep
    from stochisru.networks.network import one_of

    json_target(json)
    figure_target(figure)
    field, usual = SWEEPS[one_of(list(SWEEPS), parameter, "parameter")]
    grid = usual if values is None else tuple(number(v, "values") for v in values.split(","))
    with progress("solving"):
        table = sweep(field, grid, solver=solver)
    data = {"parameter": field, "sense": "minimise", "unit": "kg", "rows": table.to_dict("records")}
    emit(data, json, lambda: print_frame(table, "Mars baseline: mass at KSC (kg, minimised), IMLEO and plants (kg)"))
    if figure is not None:
        from stochisru.report.network_figures import mars_sweep_figure

        save_figure(lambda: mars_sweep_figure(table, field), figure)


@network_app.command()
def toy(
    capex: Annotated[str, typer.Option(help="printed, or table-b1 with the desalination plant.")] = "printed",
    solver: SolverOpt = "highs",
    json: JsonOpt = None,
) -> None:
    """Two plants, two pipelines, one city (Table 5.2)."""
    from stochisru.networks.network import one_of
    from stochisru.networks.toy import CAPEX_READINGS, toy_table

    json_target(json)
    table = toy_table(one_of(CAPEX_READINGS, capex, "capex"), solver)

    def show() -> None:
        import pandas as pd

        units = {"co2": "t/yr", "water": "m3/day"}
        rows = [
            {
                "scenario": name,
                "quantity": key,
                "network": values[key],
                "formula": values["formula"][key],
                "published": values["published"][key],
                "unit": units.get(key, "kWh/day" if key.startswith("electricity") else "USD/yr"),
            }
            for name, values in table.items()
            for key in values["published"]
        ]
        print_frame(pd.DataFrame(rows), f"Table 5.2, CAPEX reading {capex!r} (cost minimised)")

    emit({**table, "capex_reading": capex, "sense": "minimise"}, json, show)


@network_app.command()
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
    from stochisru.networks.ksa import POWERLINES, SaudiOptions
    from stochisru.networks.ksa_study import WEIGHTS, own_scales, published_scales, solve_weights
    from stochisru.networks.network import one_of
    from stochisru.solvers import solver_named

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
        from stochisru.report.network_figures import saudi_front, saudi_map

        save_figure(lambda: saudi_front(results) if weight == "all" else saudi_map(results[0]), figure)


def _show_ksa(results: list[Any], options: SaudiOptions) -> None:
    from stochisru.networks.ksa_study import UNITS, comparison

    units = ", ".join(f"{name} {unit}" for name, unit in UNITS.items() if name != "objective")
    print_frame(comparison(results), f"Saudi Arabia {options.year}, beside the published table ({units}, gap %)")
    if len(results) == 1:
        one = results[0]
        print_frame(one.investments.head(10), "largest investments (capex in million USD/yr)")
        typer.echo(
            f"objective (minimise) {one.solution.objective:.5f}, {_bracket(one.solution.bounds, '', 5)}; "
            f"{one.solution.termination.reason} in {one.solution.seconds:.1f} s"
        )


@network_app.command()
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
    from stochisru.networks.ksa import SaudiOptions
    from stochisru.networks.ksa_failures import solve_failures

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
        typer.echo(f"objective (minimise) {result.solution.objective:.5f}, {_bracket(bounds, '', 5)}")

    emit(result.to_dict(), json, show)


@network_app.command()
def solve(
    source: Annotated[str, typer.Argument(metavar="NETWORK", help="TOML file, or folder with network.toml and CSV.")],
    weight: Annotated[
        list[str] | None, typer.Option(help="CRITERION=WEIGHT; may be repeated [default: the first criterion].")
    ] = None,
    limit: Annotated[list[str] | None, typer.Option(help="CRITERION=LARGEST; may be repeated.")] = None,
    form: Annotated[str, typer.Option(help="reduced or literal.")] = "reduced",
    rel_gap: GapOpt = 1e-4,
    time_limit: Annotated[float | None, typer.Option(help="Seconds for a mixed-integer network.")] = None,
    export: Annotated[Path | None, typer.Option(help="Write the program as .mps or .lp instead of solving it.")] = None,
    solver: SolverOpt = "highs",
    json: JsonOpt = None,
) -> None:
    """Solve a network of your own."""
    from stochisru.networks.assembly import FORMS, assemble, weights_of
    from stochisru.networks.files import load_network, require_static
    from stochisru.networks.network import one_of
    from stochisru.networks.pareto import lexicographic

    json_target(json, source)
    kind = one_of(FORMS, form, "form")
    network = load_network(source)
    require_static(network, source)
    weights, limits = _assignments(weight, "weight"), _assignments(limit, "limit")
    if export is not None:
        written = assemble(network, weights, limits, kind).program.write(export)
        emit({"file": str(written)}, json, lambda: typer.echo(f"wrote {written}"))
        return
    with progress(f"solving {network.name}"):
        # What has no weight is free in the optimum, and what it costs there would be chance.
        free = [{c.name: 1.0} for c in network.criteria if not weights_of(network, weights).get(c.name)]
        solution = lexicographic(
            network,
            weights_of(network, weights),
            *free,
            limits=limits,
            form=kind,
            rel_gap=rel_gap,
            time_limit=time_limit,
            solver=solver,
        )

    def show() -> None:
        print_frame(solution.table, f"{network.name}: flows")
        print_frame(solution.price_table, "nodal prices (objective per unit of demand)")
        for criterion in network.criteria:
            typer.echo(f"{criterion.name:<24} {solution.criteria[criterion.name]:,.6g} {criterion.unit}")
        typer.echo(f"objective (minimise)     {solution.objective:,.6g}, {_bracket(solution.bounds, '', 6)}")

    emit(solution.to_dict(), json, show)


def _pairs(texts: list[str] | None, field: str) -> tuple[tuple[str, str], ...]:
    pairs = []
    for text in texts or ():
        first, colon, second = text.partition(":")
        if not colon:
            raise InputError(f"{field}: must be two sites as A:B, got {text!r}")
        pairs.append((first.strip(), second.strip()))
    return tuple(pairs)


def _assignments(texts: list[str] | None, field: str) -> dict[str, float] | None:
    if not texts:
        return None
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise InputError(f"{field}: must be CRITERION=NUMBER, got {text!r}")
        found[name.strip()] = number(value, field)
    return found


def _bracket(bounds: Bounds, unit: str, digits: int) -> str:
    space = f" {unit}" if unit else ""
    if not math.isfinite(bounds.lower):
        return f"at most {bounds.upper:,.{digits}f}{space}; no bound from below is proven (flows without a limit)"
    bracket = f"[{bounds.lower:,.{digits}f}, {bounds.upper:,.{digits}f}]{space}, gap {bounds.gap:.2g}"
    return f"bounds {bracket}, certified" if bounds.certified else f"bounds of the solver {bracket}"
