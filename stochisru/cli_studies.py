"""Commands of studies: sensitivity, frontier, tune; see ``docs/studies.md``."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from stochisru.cli_options import (
    CaseArg,
    HorizonOpt,
    JsonOpt,
    PathsOpt,
    SamplerOpt,
    SeedOpt,
    WorkersOpt,
    named_case,
)
from stochisru.console import bar, emit, emit_outcome, json_target, progress
from stochisru.console_studies import show_break_evens, show_frontier, show_map, show_tornado, show_tuning
from stochisru.errors import InputError
from stochisru.files import plain_number

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from matplotlib.figure import Figure

    from stochisru.case import DeploymentCase
    from stochisru.strategies import Trigger
    from stochisru.studies.efficiency import Frontier
    from stochisru.studies.store import Execution, Row
    from stochisru.studies.tuning import Tuning

BackendOpt = Annotated[str, typer.Option(help="Where workers run: processes or dask.")]
CheckpointOpt = Annotated[Path | None, typer.Option(help="Folder that remembers finished points.")]
ResumeOpt = Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint.")]
OutOpt = Annotated[Path | None, typer.Option(help="Folder for tables (CSV, Parquet) and figures (PNG, PDF).")]

S = TypeVar("S")
Ranges = dict[str, tuple[float, float] | None]


def parse_ranges(text: str, field: str) -> Ranges:
    """Names with an optional range, as in ``sigma=0.1:0.4,c_L``."""
    ranges: Ranges = {}
    for item in text.split(","):
        name, equals, span = (part.strip() for part in item.partition("="))
        if not name or name in ranges:
            raise InputError(f"{field}: must be names that differ, as in sigma=0.1:0.4,c_L, got {text!r}")
        ranges[name] = None
        if equals:
            try:
                low, high = map(float, span.split(":"))
            except ValueError as error:
                raise InputError(f"{field}: a range must be LOW:HIGH, as in {name}=1:2, got {item!r}") from error
            ranges[name] = low, high
    return ranges


def sensitivity(
    case: CaseArg,
    symbols: Annotated[
        str | None, typer.Option(help="Symbols to vary, as in sigma=0.1:0.4,c_L [default: all numbers that are not 0].")
    ] = None,
    change: Annotated[
        float | None, typer.Option(help="Relative change where no range is given [default: 0.2].")
    ] = None,
    map_: Annotated[str | None, typer.Option("--map", help="Two symbols of a map instead, as in sigma,c_L.")] = None,
    steps: Annotated[int | None, typer.Option(help="Values per axis of the map [default: 10].")] = None,
    break_even: Annotated[
        str | None, typer.Option(help="Symbols whose break-even is sought instead, as in P_m=1000:50000,c_L.")
    ] = None,
    quantity: Annotated[
        str | None, typer.Option(help="Quantity that is mapped [staging], sought [rp] or ranked by [rp].")
    ] = None,
    target: Annotated[float | None, typer.Option(help="Its value on the line of the map, or sought.")] = None,
    hold: Annotated[str | None, typer.Option(help="Derived symbols that keep their values, as in P_m,c_bu.")] = None,
    horizon: HorizonOpt = None,
    workers: WorkersOpt = 1,
    backend: BackendOpt = "processes",
    checkpoint: CheckpointOpt = None,
    resume: ResumeOpt = False,
    out: OutOpt = None,
    json: JsonOpt = None,
) -> None:
    """Exact sensitivity of value and flexibility: tornado, two-way map, break-even."""
    from stochisru.studies.values import hold as held
    from stochisru.studies.values import require_quantity, require_target

    json_target(json, case)
    problem = named_case(case, horizon)
    if hold is not None:
        problem = held(problem, [s.strip() for s in hold.split(",")])
    if quantity is not None:
        require_quantity(quantity)
    if target is not None:
        require_target(target)
    kind = "map" if map_ is not None else "break_even" if break_even is not None else "tornado"
    for name, value, kinds in (
        ("break_even", break_even, ("break_even",)),
        ("symbols", symbols, ("tornado",)),
        ("change", change, ("tornado",)),
        ("steps", steps, ("map",)),
        ("target", target, ("map", "break_even")),
    ):
        if value is not None and kind not in kinds:
            raise InputError(f"{name}: does not go with a {kind.replace('_', '-')}")
    how = _execution(workers, backend, checkpoint, resume)
    if kind == "map":
        assert map_ is not None
        _map(problem, map_, 10 if steps is None else steps, quantity or "staging", target, how, out, json)
    elif kind == "break_even":
        assert break_even is not None
        _break_even(problem, break_even, quantity or "rp", target or 0.0, how, out, json)
    else:
        _tornado(problem, symbols, 0.2 if change is None else change, quantity or "rp", how, out, json)


def _execution(workers: int, backend: str, checkpoint: Path | None, resume: bool) -> Execution:
    from stochisru.studies.store import Execution

    return Execution(workers, backend, checkpoint, resume)


def _tornado(
    case: DeploymentCase,
    symbols: str | None,
    change: float,
    quantity: str,
    how: Execution,
    out: Path | None,
    json: str | None,
) -> None:
    from stochisru.studies.sensitivity import Tornado, default_ranges, tornado

    ranges = None if symbols is None else parse_ranges(symbols, "symbols")
    count = len(default_ranges(case)[0] if ranges is None else ranges)

    def compute(how: Execution) -> Tornado:
        return tornado(case, ranges, change=change, execution=how)

    def draw(study: Tornado) -> dict[str, Figure]:
        from stochisru.report.study_figures import tornado_pair

        return {"tornado": tornado_pair(study)}

    settings = {"change": change, "symbols": symbols}
    emit_outcome(
        lambda: _run("tornado", case, compute, Tornado.to_rows, draw, 2 * count + 1, how, out, settings),
        Tornado.to_rows,
        json,
        lambda study: show_tornado(study, quantity),
    )


def _map(
    case: DeploymentCase,
    axes: str,
    steps: int,
    quantity: str,
    level: float | None,
    how: Execution,
    out: Path | None,
    json: str | None,
) -> None:
    from stochisru.studies.maps import TwoWayMap, grid_values, two_way_map

    ranges = parse_ranges(axes, "map")
    if len(ranges) != 2:
        raise InputError(f"map: needs two symbols, as in sigma=0.05:0.5,c_L, got {axes!r}")
    x, y = ranges
    values = {symbol: grid_values(case, symbol, span, steps) for symbol, span in ranges.items()}

    def compute(how: Execution) -> TwoWayMap:
        return two_way_map(case, x, y, x_values=values[x], y_values=values[y], execution=how)

    def draw(study: TwoWayMap) -> dict[str, Figure]:
        from stochisru.report.study_figures import value_map

        return {"map": value_map(study, quantity, level)}

    settings = {"map": axes, "steps": steps, "quantity": quantity, "level": level}
    emit_outcome(
        lambda: _run("map", case, compute, TwoWayMap.to_rows, draw, steps**2, how, out, settings),
        TwoWayMap.to_rows,
        json,
        lambda study: show_map(study, quantity, level),
    )


def _break_even(
    case: DeploymentCase,
    symbols: str,
    quantity: str,
    target: float,
    how: Execution,
    out: Path | None,
    json: str | None,
) -> None:
    from stochisru.studies.crossing import break_evens

    ranges = parse_ranges(symbols, "break_even")

    def compute(how: Execution) -> list[Row]:
        return break_evens(case, ranges, quantity, target=target, execution=how)

    settings = {"symbols": symbols, "quantity": quantity, "target": target}
    rows = _run("break-even", case, compute, list, lambda _: {}, len(ranges), how, out, settings)
    emit(rows, json, lambda: show_break_evens(rows))


def frontier(
    case: CaseArg,
    strategies: Annotated[
        str | None, typer.Option(help="Comma-separated policies [default: heuristics, threshold, static, fixed, ev].")
    ] = None,
    rules: Annotated[int, typer.Option(help="Trigger rules sampled beside them.")] = 200,
    paths: PathsOpt = 10_000,
    seed: SeedOpt = 0,
    sampler: SamplerOpt = "pseudo-random",
    horizon: HorizonOpt = None,
    workers: WorkersOpt = 1,
    backend: BackendOpt = "processes",
    checkpoint: CheckpointOpt = None,
    resume: ResumeOpt = False,
    out: OutOpt = None,
    json: JsonOpt = None,
) -> None:
    """Which strategies and rules are not dominated in (mean, CVaR) and in (capital, NPV)."""
    from stochisru.simulation import require_sampling, resolve
    from stochisru.studies import efficiency
    from stochisru.studies.rules import sample_rules

    json_target(json, case)
    problem = named_case(case, horizon)
    require_sampling(paths, seed, sampler)
    sampled = sample_rules(rules, seed)
    how = _execution(workers, backend, checkpoint, resume)
    names = efficiency.default_strategies(problem) if strategies is None else strategies.split(",")
    chosen = [*resolve(problem, [n.strip() for n in names]), *sampled]

    def compute(how: Execution) -> Frontier:
        return efficiency.frontier(problem, chosen, paths=paths, seed=seed, sampler=sampler, execution=how)

    def draw(study: Frontier) -> dict[str, Figure]:
        from stochisru.report.study_figures import efficiency_frontiers

        return {"frontier": efficiency_frontiers(study)}

    settings = {"strategies": strategies, "rules": rules, "paths": paths, "seed": seed, "sampler": sampler}
    rows = efficiency.Frontier.to_rows
    emit_outcome(
        lambda: _run("frontier", problem, compute, rows, draw, len(chosen), how, out, settings),
        rows,
        json,
        lambda study: show_frontier(study, {rule.name for rule in sampled}),
    )


def tune(
    case: CaseArg,
    parameters: Annotated[
        str | None, typer.Option(help="Parameters to tune, as in initial_ratio=0:3,threshold [default: all].")
    ] = None,
    base: Annotated[
        str, typer.Option(help="Rule that is tuned: conservative, moderate, aggressive, plain.")
    ] = "moderate",
    risk_weight: Annotated[float, typer.Option(help="Weight w of CVaR in (1 − w)·mean − w·CVaR95.")] = 0.0,
    generations: Annotated[int, typer.Option(help="Most generations of differential evolution.")] = 40,
    paths: PathsOpt = 4000,
    fresh_paths: Annotated[int, typer.Option(help="Fresh paths that the result is judged on.")] = 20_000,
    seed: SeedOpt = 0,
    sampler: SamplerOpt = "pseudo-random",
    horizon: HorizonOpt = None,
    workers: WorkersOpt = 1,
    backend: BackendOpt = "processes",
    checkpoint: CheckpointOpt = None,
    resume: ResumeOpt = False,
    out: OutOpt = None,
    json: JsonOpt = None,
) -> None:
    """Tune a trigger rule, judge it on fresh paths, compare it with the exact policy."""
    from stochisru.studies import tuning
    from stochisru.studies.rules import RULE_RANGES, require_ranges
    from stochisru.studies.search import most_evaluations

    json_target(json, case)
    problem = named_case(case, horizon)
    rule = _base_rule(base)
    ranges: Mapping[str, tuple[float, float]] | None = None
    if parameters is not None:
        given = parse_ranges(parameters, "parameters")
        ranges = {name: span or RULE_RANGES.get(name, (0.0, 1.0)) for name, span in given.items()}
        require_ranges(ranges)
    objective = tuning.Objective(risk_weight)
    how = _execution(workers, backend, checkpoint, resume)

    def compute(how: Execution) -> Tuning:
        return tuning.tune(
            problem,
            base=rule,
            ranges=ranges,
            objective=objective,
            paths=paths,
            seed=seed,
            fresh_paths=fresh_paths,
            sampler=sampler,
            generations=generations,
            execution=how,
        )

    def draw(study: Tuning) -> dict[str, Figure]:
        from stochisru.report.study_figures import tuning_result

        return {"tuning": tuning_result(study)}

    count = len(ranges) if ranges is not None else len(RULE_RANGES) if rule.hurdle else 3
    settings: dict[str, Any] = {"parameters": parameters, "base": base, "risk_weight": risk_weight, "paths": paths}
    settings |= {"fresh_paths": fresh_paths, "seed": seed, "sampler": sampler, "generations": generations}
    points, rows = most_evaluations(count, generations), tuning.Tuning.to_rows
    emit_outcome(
        lambda: _run("tune", problem, compute, rows, draw, points, how, out, settings), rows, json, show_tuning
    )


study_app = typer.Typer(help="Whole studies, each with a page of findings.", rich_markup_mode=None)


@study_app.callback(invoke_without_command=True)
def _help_alone(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@study_app.command()
def deployment(
    case: CaseArg = "lunar-reference",
    horizons: Annotated[str, typer.Option(help="Last years that are studied.")] = "10,30,50",
    paths: Annotated[int, typer.Option(help="Runs per horizon.")] = 1000,
    seed: SeedOpt = 0,
    sampler: SamplerOpt = "pseudo-random",
    rules: Annotated[int, typer.Option(help="Trigger rules sampled for the frontier.")] = 100,
    workers: WorkersOpt = 1,
    backend: BackendOpt = "processes",
    checkpoint: CheckpointOpt = None,
    resume: ResumeOpt = False,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the study [default: runs/NAME-deployment, with the hash of a case that is not shipped]."
        ),
    ] = None,
    json: JsonOpt = None,
) -> None:
    """Deployment over 10, 30 and 50 years: profitability, risk, operations, flexibility, sensitivity, efficiency."""
    from stochisru.files import default_folder
    from stochisru.studies.deployment import DeploymentStudy, deployment_study

    json_target(json, case)
    problem = named_case(case)
    years = []
    for item in horizons.split(","):
        if not item.strip().isdecimal():
            raise InputError(f"horizons: must be years that differ, as in 10,30,50, got {horizons!r}")
        years.append(int(item))
    how = _execution(workers, backend, checkpoint, resume)
    folder = out if out is not None else default_folder(problem, "deployment")

    def compute() -> DeploymentStudy:
        with progress(f"studying {problem.name}") as step:
            return deployment_study(
                problem,
                folder,
                horizons=years,
                paths=paths,
                seed=seed,
                sampler=sampler,
                rules=rules,
                execution=how,
                progress=step,
            )

    def show(study: DeploymentStudy) -> None:
        for sentence in study.findings:
            typer.echo(f"- {sentence}")
        typer.echo(f"report: {folder / 'report.html'}")

    emit_outcome(compute, DeploymentStudy.to_dict, json, show)


@study_app.command()
def scale(
    case: CaseArg = "lunar-reference",
    exponents: Annotated[str, typer.Option(help="Scale exponents of development cost.")] = "0.6,0.8,1",
    learning: Annotated[
        str, typer.Option(help="Shares by which cost falls with every doubling of plant.")
    ] = "0,0.1,0.2",
    rates: Annotated[str, typer.Option(help="Discount rates.")] = "0.04,0.08,0.12",
    volatilities: Annotated[str, typer.Option(help="Volatilities of demand.")] = "0.1,0.2,0.4",
    reference: Annotated[
        float | None, typer.Option(help="Size at which c_dev holds, kg [default: the case's, or D0/eta].")
    ] = None,
    states: Annotated[int, typer.Option(help="States per stage of the lattice.")] = 12,
    horizon: Annotated[int, typer.Option(help="Last year T.")] = 20,
    workers: WorkersOpt = 1,
    backend: BackendOpt = "processes",
    checkpoint: CheckpointOpt = None,
    resume: ResumeOpt = False,
    out: OutOpt = None,
    json: JsonOpt = None,
) -> None:
    """Economies of scale against uncertainty: the value of flexibility, with learning."""
    from stochisru.console_studies import show_scale
    from stochisru.studies.scale import ScaleStudy, reference_of, scale_study

    json_target(json, case)
    problem = named_case(case, horizon)
    grid = {
        "exponents": _numbers(exponents, "exponents"),
        "learning_rates": _numbers(learning, "learning"),
        "discount_rates": _numbers(rates, "rates"),
        "volatilities": _numbers(volatilities, "volatilities"),
    }

    def compute(execution: Execution) -> ScaleStudy:
        return scale_study(problem, **grid, reference=reference, states=states, execution=execution)

    def draw(study: ScaleStudy) -> dict[str, Figure]:
        from stochisru.report.study_figures import scale_panels

        return {name: scale_panels(study, name) for name in ("flexibility", "deployments")}

    how = _execution(workers, backend, checkpoint, resume)
    settings: dict[str, Any] = {**grid, "reference": reference or reference_of(problem), "states": states}
    points = prod(map(len, grid.values()))
    emit_outcome(
        lambda: _run("scale", problem, compute, ScaleStudy.to_rows, draw, points, how, out, settings),
        lambda study: {"rows": study.to_rows(), "findings": study.findings()},
        json,
        show_scale,
    )


def _numbers(text: str, field: str) -> list[float]:
    try:
        return [plain_number(item) for item in text.split(",")]
    except ValueError as error:
        raise InputError(f"{field}: must be numbers, as in 0.1,0.2, got {text!r}") from error


def _base_rule(name: str) -> Trigger:
    from dataclasses import replace

    from stochisru.strategies import AGGRESSIVE, CONSERVATIVE, MODERATE

    rules = {r.name: r for r in (CONSERVATIVE, MODERATE, AGGRESSIVE)}
    rules["plain"] = replace(MODERATE, hurdle=False)
    if name not in rules:
        raise InputError(f"base: must be one of {', '.join(rules)}, got {name!r}")
    return rules[name]


def _run(
    kind: str,
    case: DeploymentCase,
    compute: Callable[[Execution], S],
    rows: Callable[[S], list[Row]],
    draw: Callable[[S], dict[str, Figure]],
    points: int,
    how: Execution,
    out: Path | None,
    settings: dict[str, Any],
) -> S:
    """Compute a study under a progress bar, into a folder where asked."""
    from dataclasses import replace

    from stochisru.studies.folder import case_entry, fill, study_folder

    with study_folder(out, kind, case_entry(case)) as folder:
        with bar(f"{kind} of {case.name}", points) as advance:
            study = compute(replace(how, progress=advance))
        if folder is not None:
            fill(folder, kind, case, {kind: rows(study)}, lambda: draw(study), settings, study)
    return study


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    for command in (sensitivity, frontier, tune):
        app.command()(command)
    app.add_typer(study_app, name="study")
