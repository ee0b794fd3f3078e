"""Commands of Mars: ``network mars`` and ``network mars-sweep``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from stochisru.errors import InputError
from stochisru.networks.terminal import bracket
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
    from stochisru.worked.mars.network import MarsScenario
    from stochisru.worked.mars.study import MarsResult


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
    from stochisru.programs.solvers import solver_named
    from stochisru.worked.mars.study import solve_mars

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
        _opportunities(chosen[0], opportunities, solver, json)
        return
    with progress("solving") as step:
        results = []
        for one in chosen:
            step(one.name)
            results.append(solve_mars(one, solver))
    found = {r.scenario.name: r.to_dict() | _compared(r) for r in results}
    data: dict[str, Any] = {"scenarios": found}
    emit(data if scenario == "all" else found[results[0].scenario.name], json, lambda: _show_mars(results))
    if figure is not None:
        from stochisru.worked.mars.figures import mars_routes

        save_figure(lambda: mars_routes(results[0]), figure)


def _scenarios(name: str, changes: dict[str, Any], reading: str) -> list[MarsScenario]:
    from stochisru.networks.network import one_of
    from stochisru.worked.mars.network import READINGS, SCENARIOS

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


def _compared(result: MarsResult) -> dict[str, Any]:
    """Mars DRA 5.0 and Table 4.3 beside a result."""
    from stochisru.worked.mars.comparison import beside_dra, table_4_3

    return {"dra": beside_dra(result).to_dict("records"), "table_4_3": table_4_3(result).to_dict("records")}


def _without_empty(table: Any) -> Any:
    """A table without columns of published values that there are none of."""
    return table[[c for c in table.columns if "published" not in c or not table[c].isna().all()]]


def _show_mars(results: list[MarsResult]) -> None:
    from stochisru.worked.mars.comparison import beside_dra, table_4_3
    from stochisru.worked.mars.study import arrivals, table_4_7

    table = table_4_7(results)
    print_frame(_without_empty(table), "Mars: mass at KSC (kg, minimised), IMLEO and plants (kg), beside Table 4.7")
    for result in results:
        typer.echo(f"{result.scenario.name}: {bracket(result.solution.bounds, 'kg', 1)}")
    if len(results) == 1:
        print_frame(arrivals(results[0]), "arrivals on transport arcs (kg)")
        print_frame(_without_empty(table_4_3(results[0])), "ISRU at each surface node (kg), beside Table 4.3")
        print_frame(_without_empty(beside_dra(results[0])), "IMLEO (t) beside Mars DRA 5.0, saving in %")


def _opportunities(scenario: MarsScenario, opportunities: int, solver: str, json: str | None) -> None:
    from stochisru.worked.mars.comparison import side_by_side
    from stochisru.worked.mars.opportunities import solve_opportunities
    from stochisru.worked.mars.study import solve_mars

    with progress("solving"):
        result = solve_opportunities(scenario, opportunities, solver=solver)
        static, without = solve_mars(scenario, solver), solve_mars(scenario.replace(sites=()), solver)
    table = side_by_side(static, result, without)

    def show() -> None:
        print_frame(table, f"Mars, {scenario.name}: mass at KSC (kg, minimised) and plants at work (kg)")
        print_frame(result.schedule, f"Mars, {scenario.name}: launch opportunities, the crew flies with the last (kg)")
        typer.echo(f"mass at KSC (minimise): {result.objective:,.0f} kg, {bracket(result.solution.bounds, 'kg', 1)}")

    emit(result.to_dict() | {"side_by_side": table.to_dict("records")}, json, show)


def mars_failures(
    fail: Annotated[
        list[str] | None, typer.Option(help="LSP, DEIM, PHOB, GC or aerobrake, =PROBABILITY; may be repeated.")
    ] = None,
    scenario: Annotated[str, typer.Option(help="baseline, or 1 to 8.")] = "baseline",
    opportunities: Annotated[int, typer.Option(help="Launch opportunities; what fails shows after the first.")] = 2,
    solver: SolverOpt = "highs",
    json: JsonOpt = None,
) -> None:
    """Plan the Mars mission for a site or for aerobraking that may turn out not to work (two stages)."""
    from stochisru.networks.network import one_of
    from stochisru.worked.mars.failures import MarsFailure, solve_mars_failures
    from stochisru.worked.mars.network import SCENARIOS

    json_target(json)
    chosen = SCENARIOS[one_of(list(SCENARIOS), scenario, "scenario")]
    failures = []
    for text in fail or ["PHOB=0.1"]:
        what, equals, chance = text.partition("=")
        if not equals:
            raise InputError(f"fail: must be WHAT=PROBABILITY, got {text!r}")
        failures.append(MarsFailure(what.strip(), number(chance, "fail")))
    with progress("solving"):
        result = solve_mars_failures(failures, chosen, opportunities, solver)

    def show() -> None:
        print_frame(result.table, f"Mars, {chosen.name}: mass at KSC per scenario (kg, minimised)")
        print_frame(result.first, "first opportunity: mass at KSC, plant landed (kg)")
        for name, text in (("ws", "known from the start"), ("rp", "planned for"), ("eev", "as if nothing failed")):
            typer.echo(f"{name.upper():<4} {text}: {bracket(result.values[name], 'kg', 0)}")

    emit(result.to_dict(), json, show)


def mars_sweep(
    parameter: Annotated[str, typer.Option(help="rate (Figure 4-17) or lifetime (Figure 4-16).")] = "rate",
    values: Annotated[str | None, typer.Option(help="Comma-separated values instead of the figure's.")] = None,
    figure: FigureOpt = None,
    solver: SolverOpt = "highs",
    json: JsonOpt = None,
) -> None:
    """Mass at launch against production rate or lifetime of the plants."""
    from stochisru.networks.network import one_of
    from stochisru.worked.mars.study import SWEEPS, sweep

    json_target(json)
    figure_target(figure)
    field, usual = SWEEPS[one_of(list(SWEEPS), parameter, "parameter")]
    grid = usual if values is None else tuple(number(v, "values") for v in values.split(","))
    with progress("solving"):
        table = sweep(field, grid, solver=solver)
    data = {"parameter": field, "sense": "minimise", "unit": "kg", "rows": table.to_dict("records")}
    emit(data, json, lambda: print_frame(table, "Mars baseline: mass at KSC (kg, minimised), IMLEO and plants (kg)"))
    if figure is not None:
        from stochisru.worked.mars.figures import mars_sweep_figure

        save_figure(lambda: mars_sweep_figure(table, field), figure)


#: Commands by the words that call them.
COMMANDS = {"network mars": mars, "network mars-failures": mars_failures, "network mars-sweep": mars_sweep}
