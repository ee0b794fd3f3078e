"""The command line of the cislunar campaign: ``campaign`` and ``campaign-sweep``; see ``docs/campaign.md``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stochisru.errors import InputError
from stochisru.terminal import (
    FigureOpt,
    JsonOpt,
    SolverOpt,
    WorkersOpt,
    bar,
    emit,
    emit_outcome,
    figure_target,
    json_target,
    number,
    print_frame,
    progress,
    save_figure,
)
from stochisru.worked.cislunar.chain_command import COMMANDS as CHAIN
from stochisru.worked.cislunar.stages_command import COMMANDS as STAGES

if TYPE_CHECKING:
    from stochisru.studies.store import Row
    from stochisru.worked.cislunar.campaign import CampaignResult
    from stochisru.worked.cislunar.parameters import Campaign
    from stochisru.worked.cislunar.scenarios import ScenarioResult

ArchitectureOpt = Annotated[str, typer.Option(help="concentrated (all plants on the Moon), distributed, or both.")]
FormulationOpt = Annotated[str, typer.Option(help="interval, convex-combination or incremental.")]
GapOpt = Annotated[float, typer.Option("--rel-gap", help="Relative gap at which to stop.")]
TimeOpt = Annotated[
    float, typer.Option("--time-limit", help="Seconds for each campaign; more where there is no plan by then.")
]
SetOpt = Annotated[list[str] | None, typer.Option("--set", help="PARAMETER=VALUE of the data; may be repeated.")]
DemandOpt = Annotated[
    list[str] | None, typer.Option(help="PLACE:COMMODITY=KG of a year, instead of those of Table 3; may be repeated.")
]


def campaign(
    architecture: ArchitectureOpt = "concentrated",
    setup: Annotated[bool, typer.Option("--setup", help="The first year is for setting up: no demand in it.")] = False,
    years: Annotated[int, typer.Option(help="Years; demand is due at the end of each.")] = 3,
    set_: SetOpt = None,
    demand: DemandOpt = None,
    initial: Annotated[str, typer.Option(help="Plant on the Moon at the start: SWE, DWE or none.")] = "SWE",
    initial_counts: Annotated[bool, typer.Option(help="Whether it counts in the ISRU mass.")] = True,
    stage_launch_paid: Annotated[bool, typer.Option(help="Whether a stage's launch is paid by the kilogram.")] = True,
    return_to_leo: Annotated[bool, typer.Option(help="Whether stages may fly back to LEO.")] = True,
    own_propellant: Annotated[bool, typer.Option(help="Whether a stage may deliver its own propellant.")] = False,
    storage_in_tanks: Annotated[bool, typer.Option(help="Whether what waits needs tanks, too.")] = False,
    same_half_year: Annotated[
        bool, typer.Option(help="Whether electrolysis takes in what is extracted beside it in the same half year.")
    ] = True,
    plants_in_any_window: Annotated[
        bool,
        typer.Option("--plants-in-any-window", help="Plants may be set up after every window."),
    ] = False,
    masses: Annotated[
        str | None,
        typer.Option(help="Comma-separated ISRU masses (kg): what the plan's own flights cost with plants of these."),
    ] = None,
    formulation: FormulationOpt = "interval",
    rel_gap: GapOpt = 0.01,
    time_limit: TimeOpt = 90.0,
    scenarios: Annotated[
        str | None,
        typer.Option(
            help="FACTOR:PROBABILITY[@WINDOW],… of demand, known after the first window; launches of WINDOW slip "
            "(!WINDOW: are lost)."
        ),
    ] = None,
    figure: FigureOpt = None,
    solver: SolverOpt = "highs",
    json: JsonOpt = None,
) -> None:
    """Least cost of supplying GEO, EML1 and the Moon, with water plants under economies of scale."""
    import pandas as pd

    from stochisru.programs.solvers import solver_named
    from stochisru.worked.cislunar.campaign import solve_campaign
    from stochisru.worked.cislunar.comparison import cost_at_mass
    from stochisru.worked.cislunar.parameters import ARCHITECTURES, Campaign, Reading

    json_target(json)
    figure_target(figure)
    solver_named(solver)
    _formulation(formulation)
    base = Campaign(
        setup=setup,
        years=years,
        changes=_values(set_),
        demand=_demand(demand),
        reading=Reading(
            initial,
            initial_counts,
            stage_launch_paid,
            return_to_leo,
            own_propellant,
            storage_in_tanks,
            same_half_year,
            plants_in_any_window,
        ),
    )
    if architecture not in (*ARCHITECTURES, "both"):
        raise InputError(f"architecture: must be one of {', '.join(ARCHITECTURES)}, both, got {architecture!r}")
    chosen = ARCHITECTURES if architecture == "both" else (architecture,)
    cells = [base.replace(architecture=a) for a in chosen]
    fixed = None if masses is None else [number(kg, "masses") for kg in masses.split(",")]
    if scenarios is not None:
        if figure is not None or fixed is not None:
            name = "figure" if figure is not None else "masses"
            raise InputError(f"{name}: is of one plan, must not be given with --scenarios")
        _scenarios(cells, scenarios, rel_gap, time_limit, formulation, solver, json)
        return
    results: list[CampaignResult] = []
    with progress("solving") as step:
        for cell in cells:
            results.append(
                solve_campaign(
                    cell, rel_gap=rel_gap, time_limit=time_limit, formulation=formulation,  # type: ignore[arg-type]
                    solver=solver, starts=results, progress=step,
                )
            )  # fmt: skip
    curves = [] if fixed is None else [cost_at_mass(r, fixed, solver) for r in results]
    each = [r.to_dict() for r in results]
    for one, curve in zip(each, curves, strict=False):
        one["cost_at_mass"] = curve
    data: Any = dict(zip(chosen, each, strict=True)) if architecture == "both" else each[0]

    def show() -> None:
        _show(results)
        for r, curve in zip(results, curves, strict=False):
            table = pd.DataFrame(curve).assign(cost=lambda t: t["cost"].astype(float) / 1e9)
            print_frame(table, f"{r.campaign.title}: its own flights with other plants (kg, billion $)")

    emit(data, json, show)
    if figure is not None:
        from stochisru.worked.cislunar.figures import campaign_plan

        save_figure(lambda: campaign_plan(results[-1]), figure)


def _scenarios(
    cells: list[Campaign], text: str, rel_gap: float, time_limit: float, formulation: Any, solver: str, json: str | None
) -> None:
    """Two-stage plans; see `stochisru.worked.cislunar.scenarios`."""
    from stochisru.worked.cislunar.scenarios import parse_scenarios, solve_scenarios

    cases = parse_scenarios(text)
    results: list[ScenarioResult] = []
    with progress("solving") as step:
        for cell in cells:
            results.append(
                solve_scenarios(
                    cell, cases, rel_gap=rel_gap, time_limit=time_limit, formulation=formulation, solver=solver,
                    start=results[0] if results else None, progress=step,
                )
            )  # fmt: skip
    data: Any = {r.campaign.architecture: r.to_dict() for r in results}
    emit(data if len(results) > 1 else results[0].to_dict(), json, lambda: _show_scenarios(results))


def _show_scenarios(results: list[ScenarioResult]) -> None:
    import pandas as pd

    from stochisru.worked.cislunar.campaign import CAVEAT
    from stochisru.worked.cislunar.scenarios import VALUES

    for result in results:
        brackets = [(text, getattr(result, name).lower, getattr(result, name).upper) for name, text in VALUES.items()]
        brackets += [("VSS = EEV − RP", *result.vss), ("EVPI = RP − WS", *result.evpi)]
        rows = [{"expected cost": text, "lower": low / 1e9, "upper": high / 1e9} for text, low, high in brackets]
        print_frame(pd.DataFrame(rows), f"{result.campaign.title}: brackets, billion $ (minimised)")
        plants = [
            {"plant": f"{kind} {site}", "two-stage": kg, "mean demand": result.mean_sizes[kind, site]}
            for (kind, site), kg in result.sizes.items()
            if kg > 1e-3 or result.mean_sizes[kind, site] > 1e-3
        ]
        print_frame(pd.DataFrame(plants, columns=["plant", "two-stage", "mean demand"]).round(0), "plants (kg)")
        typer.echo(f"after {result.seconds:.0f} s")
    typer.echo(CAVEAT)


def _show(results: list[CampaignResult]) -> None:
    from stochisru.worked.cislunar.campaign import CAVEAT
    from stochisru.worked.cislunar.comparison import in_words, table_5

    last = results[-1]
    shown = results if last.concentrated is None or len(results) > 1 else [last.concentrated, last]
    table = table_5(shown)
    if table["Table 5"].isna().all():
        table = table.drop(columns=["Table 5", "verdict", "Table 5 ISRU"])
    print_frame(table, "bound from below and cost (billion $, minimised), gap, ISRU mass (kg)")
    for line in in_words(shown):
        typer.echo(line)
    typer.echo(CAVEAT)
    for result in results:
        print_frame(result.plants, f"{result.campaign.title}: plants (kg, $, kg water/yr)")
        print_frame(_brief(result), "flights (stages, kg)")
        parts = ", ".join(f"{name} {value / 1e6:,.0f}" for name, value in result.costs.items())
        typer.echo(f"million $: {parts}; {result.termination.reason} after {result.seconds:.0f} s")
        flown = result.replay
        short = ", ".join(f"{rule} {amount:,.0f}" for rule, amount in flown.shortages.items() if amount)
        typer.echo(
            f"flown again by its own arithmetic: {flown.cost / 1e6:,.1f} million $, "
            + ("every rule is kept" if flown.holds else f"short of {short or 'nothing, but at another cost'}")
        )
        if result.at_bound:
            typer.echo(f"at a bound of the search, larger may be better: {', '.join(result.at_bound)}")


def _brief(result: CampaignResult) -> Any:
    """Flights without the columns that are nothing."""
    table = result.flights.copy()
    table.insert(3, "leg", table.pop("tail") + "→" + table.pop("head"))
    table = table.drop(columns=["window", "launch"])
    return table[[c for c in table.columns if table[c].dtype.kind not in "fi" or (table[c] != 0).any()]].round(1)


def campaign_sweep(
    parameter: Annotated[
        str, typer.Option(help="duration, productivity, volume-discount, cost-discount or interval; or all.")
    ] = "duration",
    values: Annotated[str | None, typer.Option(help="Comma-separated values instead of the usual ones.")] = None,
    architecture: ArchitectureOpt = "both",
    phases: Annotated[str, typer.Option(help="without, with or both: with a set-up year or not.")] = "both",
    set_: SetOpt = None,
    demand: DemandOpt = None,
    formulation: FormulationOpt = "interval",
    rel_gap: GapOpt = 0.01,
    time_limit: TimeOpt = 90.0,
    workers: WorkersOpt = 1,
    backend: Annotated[str, typer.Option(help="Where workers run: processes or dask.")] = "processes",
    checkpoint: Annotated[Path | None, typer.Option(help="Folder that remembers finished points.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint.")] = False,
    out: Annotated[Path | None, typer.Option(help="Folder for tables and figures (PNG, PDF, SVG).")] = None,
    solver: SolverOpt = "highs",
    json: JsonOpt = None,
) -> None:
    """Cost and ISRU mass against a parameter (Figures 9-13), both architectures, with and without set-up."""
    import pandas as pd

    from stochisru.files import keeping
    from stochisru.programs.solvers import solver_named
    from stochisru.studies.folder import study_folder
    from stochisru.studies.store import Execution
    from stochisru.worked.cislunar.campaign import CAVEAT
    from stochisru.worked.cislunar.parameters import Campaign
    from stochisru.worked.cislunar.signs import signs
    from stochisru.worked.cislunar.sweep import KIND, SWEEPS, Sweep, run_sweep, write_sweep

    json_target(json)
    solver_named(solver)
    _formulation(formulation)
    if parameter != "all" and parameter not in SWEEPS:
        raise InputError(f"parameter: must be one of {', '.join(SWEEPS)} or all, got {parameter!r}")
    if values is not None and parameter == "all":
        raise InputError("values: must be given for one parameter, got parameter 'all'")
    chosen = {"both": (False, True), "without": (False,), "with": (True,)}
    if phases not in chosen:
        raise InputError(f"phases: must be one of {', '.join(chosen)}, got {phases!r}")
    sweep = Sweep(
        base=Campaign(changes=_values(set_), demand=_demand(demand)),
        parameters=tuple(SWEEPS) if parameter == "all" else (parameter,),
        values=None if values is None else tuple(number(v, "values") for v in values.split(",")),
        architectures=_architectures(architecture),
        phases=chosen[phases],
        rel_gap=rel_gap,
        time_limit=time_limit,
        formulation=formulation,  # type: ignore[arg-type]
        solver=solver,
    )
    how = Execution(workers, backend, checkpoint, resume)

    def compute() -> list[Row]:
        with keeping() as keep, study_folder(out, KIND, {"numbers": sweep.identity["numbers"]}) as folder:
            with bar("campaigns", len(sweep.points)) as advance:
                rows = run_sweep(sweep, Execution(how.workers, how.backend, how.checkpoint, how.resume, advance))
            keep(rows)
            if folder is not None:
                write_sweep(folder, sweep, rows)
        return rows

    def data(rows: list[Row]) -> dict[str, Any]:
        found = [sign._asdict() for sign in signs(rows)]
        unit = {"cost": "$", "isru_mass": "kg"}
        return {"sense": "minimise", "unit": unit, "note": CAVEAT, "rows": rows, "signs": found}

    def show(rows: list[Row]) -> None:
        table = pd.DataFrame(rows)
        table = table.assign(cost=table["cost"] / 1e9, bound=table.pop("lower") / 1e9)
        keep = ["parameter", "value", "architecture", "setup", "cost", "bound", "gap", "isru_mass", "seconds"]
        print_frame(table[keep], "cost and bound (billion $, minimised), ISRU mass (kg)")
        if found := signs(rows):
            print_frame(pd.DataFrame(found), "what the paper says of its figures, on brackets")
        typer.echo(CAVEAT)

    emit_outcome(compute, data, json, show)


def _architectures(name: str) -> Any:
    from stochisru.networks.network import one_of
    from stochisru.worked.cislunar.parameters import ARCHITECTURES

    return ARCHITECTURES if name == "both" else (one_of(ARCHITECTURES, name, "architecture"),)


def _formulation(name: str) -> None:
    from typing import get_args

    from stochisru.programs.curves.formulations import Formulation

    if name not in get_args(Formulation):
        raise InputError(f"formulation: must be one of {', '.join(get_args(Formulation))}, got {name!r}")


def _values(items: list[str] | None) -> dict[str, float]:
    found: dict[str, float] = {}
    for item in items or ():
        key, equals, value = (part.strip() for part in item.partition("="))
        if not equals:
            raise InputError(f"set: must be PARAMETER=VALUE, got {item!r}")
        found[key] = number(value, f"set {key}")
    return found


def _demand(items: list[str] | None) -> dict[tuple[str, str], float] | None:
    if not items:
        return None
    found: dict[tuple[str, str], float] = {}
    for item in items:
        where, equals, value = (part.strip() for part in item.partition("="))
        place, colon, commodity = (part.strip() for part in where.partition(":"))
        if not (equals and colon):
            raise InputError(f"demand: must be PLACE:COMMODITY=KG, as in GEO:oxygen=20000, got {item!r}")
        if (place, commodity) in found:
            raise InputError(f"demand: must be given once for {commodity} at {place}, got {item!r} again")
        found[place, commodity] = number(value, f"demand of {commodity} at {place}")
    return found


#: Commands by the words that call them.
COMMANDS = {"campaign": campaign, "campaign-sweep": campaign_sweep, **CHAIN, **STAGES}
