"""Commands of studies: sensitivity, frontier, tune; see ``docs/studies.md``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from stochisru.cli.study_tables import show_break_evens, show_frontier, show_map, show_tornado, show_tuning
from stochisru.errors import InputError
from stochisru.lunar.terminal import CaseArg, HorizonOpt, named_case
from stochisru.studies.terminal import execution_of, run_study_command
from stochisru.terminal import (
    BackendOpt,
    CheckpointOpt,
    JsonOpt,
    OutOpt,
    PathsOpt,
    ResumeOpt,
    SamplerOpt,
    SeedOpt,
    WorkersOpt,
    emit,
    emit_outcome,
    json_target,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.figure import Figure

    from stochisru.lunar.case import DeploymentCase
    from stochisru.lunar.strategies import Trigger
    from stochisru.lunar.studies.efficiency import Frontier
    from stochisru.lunar.studies.tuning import Tuning
    from stochisru.studies.store import Execution, Row


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
        str | None,
        typer.Option(
            help="Symbols to vary, as in sigma=0.1:0.4,c_L, or published: those of published studies, over all that is "
            "published [default: all numbers that are not 0]."
        ),
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
    from stochisru.lunar.studies.values import hold as held
    from stochisru.lunar.studies.values import require_quantity, require_target

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
    how = execution_of(workers, backend, checkpoint, resume)
    if kind == "map":
        assert map_ is not None
        _map(problem, map_, 10 if steps is None else steps, quantity or "staging", target, how, out, json)
    elif kind == "break_even":
        assert break_even is not None
        _break_even(problem, break_even, quantity or "rp", target or 0.0, how, out, json)
    else:
        _tornado(problem, symbols, 0.2 if change is None else change, quantity or "rp", how, out, json)


def _tornado(
    case: DeploymentCase,
    symbols: str | None,
    change: float,
    quantity: str,
    how: Execution,
    out: Path | None,
    json: str | None,
) -> None:
    from stochisru.lunar.published import published_ranges
    from stochisru.lunar.studies.sensitivity import Tornado, default_ranges, tornado

    ranges: Mapping[str, tuple[float, float] | None] | None = None
    if symbols is not None:
        ranges = published_ranges(case) if symbols.strip() == "published" else parse_ranges(symbols, "symbols")
    count = len(default_ranges(case)[0] if ranges is None else ranges)

    def compute(how: Execution) -> Tornado:
        return tornado(case, ranges, change=change, execution=how)

    def draw(study: Tornado) -> dict[str, Figure]:
        from stochisru.lunar.studies.figures import tornado_pair

        return {"tornado": tornado_pair(study)}

    settings = {"change": change, "symbols": symbols}
    emit_outcome(
        lambda: run_study_command("tornado", case, compute, Tornado.to_rows, draw, 2 * count + 1, how, out, settings),
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
    from stochisru.lunar.studies.maps import TwoWayMap, grid_values, two_way_map

    ranges = parse_ranges(axes, "map")
    if len(ranges) != 2:
        raise InputError(f"map: needs two symbols, as in sigma=0.05:0.5,c_L, got {axes!r}")
    x, y = ranges
    values = {symbol: grid_values(case, symbol, span, steps) for symbol, span in ranges.items()}

    def compute(how: Execution) -> TwoWayMap:
        return two_way_map(case, x, y, x_values=values[x], y_values=values[y], execution=how)

    def draw(study: TwoWayMap) -> dict[str, Figure]:
        from stochisru.lunar.studies.figures import value_map

        return {"map": value_map(study, quantity, level)}

    settings = {"map": axes, "steps": steps, "quantity": quantity, "level": level}
    emit_outcome(
        lambda: run_study_command("map", case, compute, TwoWayMap.to_rows, draw, steps**2, how, out, settings),
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
    from stochisru.lunar.studies.crossing import break_evens

    ranges = parse_ranges(symbols, "break_even")

    def compute(how: Execution) -> list[Row]:
        return break_evens(case, ranges, quantity, target=target, execution=how)

    settings = {"symbols": symbols, "quantity": quantity, "target": target}
    rows = run_study_command("break-even", case, compute, list, lambda _: {}, len(ranges), how, out, settings)
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
    from stochisru.lunar.simulation.chosen import resolve
    from stochisru.lunar.studies import efficiency
    from stochisru.lunar.studies.rules import sample_rules
    from stochisru.simulation.sampling import Sampling

    json_target(json, case)
    problem = named_case(case, horizon)
    Sampling(paths, seed, sampler)
    sampled = sample_rules(rules, seed)
    how = execution_of(workers, backend, checkpoint, resume)
    names = efficiency.default_strategies(problem) if strategies is None else strategies.split(",")
    chosen = [*resolve(problem, [n.strip() for n in names]), *sampled]

    def compute(how: Execution) -> Frontier:
        return efficiency.frontier(problem, chosen, paths=paths, seed=seed, sampler=sampler, execution=how)

    def draw(study: Frontier) -> dict[str, Figure]:
        from stochisru.lunar.studies.figures import efficiency_frontiers

        return {"frontier": efficiency_frontiers(study)}

    settings = {"strategies": strategies, "rules": rules, "paths": paths, "seed": seed, "sampler": sampler}
    rows = efficiency.Frontier.to_rows
    emit_outcome(
        lambda: run_study_command("frontier", problem, compute, rows, draw, len(chosen), how, out, settings),
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
    from stochisru.lunar.studies import tuning
    from stochisru.lunar.studies.rules import RULE_RANGES, require_ranges
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
    how = execution_of(workers, backend, checkpoint, resume)

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
        from stochisru.lunar.studies.figures import tuning_result

        return {"tuning": tuning_result(study)}

    count = len(ranges) if ranges is not None else len(RULE_RANGES) if rule.hurdle else 3
    settings: dict[str, Any] = {"parameters": parameters, "base": base, "risk_weight": risk_weight, "paths": paths}
    settings |= {"fresh_paths": fresh_paths, "seed": seed, "sampler": sampler, "generations": generations}
    points, rows = most_evaluations(count, generations), tuning.Tuning.to_rows
    emit_outcome(
        lambda: run_study_command("tune", problem, compute, rows, draw, points, how, out, settings),
        rows,
        json,
        show_tuning,
    )


study_app = typer.Typer(help="Whole studies: tables, figures, and what they say in sentences.", rich_markup_mode=None)


@study_app.callback(invoke_without_command=True)
def _help_alone(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def _base_rule(name: str) -> Trigger:
    from dataclasses import replace

    from stochisru.lunar.strategies import AGGRESSIVE, CONSERVATIVE, MODERATE

    rules = {r.name: r for r in (CONSERVATIVE, MODERATE, AGGRESSIVE)}
    rules["plain"] = replace(MODERATE, hurdle=False)
    if name not in rules:
        raise InputError(f"base: must be one of {', '.join(rules)}, got {name!r}")
    return rules[name]
