"""The command line of the networks: ``stochisru network …``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stochisru.errors import InputError
from stochisru.networks.terminal import GapOpt, bracket
from stochisru.terminal import JsonOpt, SolverOpt, emit, json_target, number, print_frame, progress

network_app = typer.Typer(help="Commodity networks: Mars, toy, Saudi Arabia, your own.", rich_markup_mode=None)


@network_app.callback(invoke_without_command=True)
def _help_alone(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@network_app.command()
def solve(
    source: Annotated[str, typer.Argument(metavar="NETWORK", help="TOML file, or folder with network.toml and CSV.")],
    weight: Annotated[
        list[str] | None, typer.Option(help="CRITERION=WEIGHT; may be repeated [default: the first criterion].")
    ] = None,
    limit: Annotated[list[str] | None, typer.Option(help="CRITERION=LARGEST; may be repeated.")] = None,
    parameter: Annotated[
        list[str] | None, typer.Option(help="NAME=NUMBER for a parameter of the file; may be repeated.")
    ] = None,
    form: Annotated[str, typer.Option(help="reduced or literal.")] = "reduced",
    rel_gap: GapOpt = 1e-4,
    time_limit: Annotated[float | None, typer.Option(help="Seconds for a mixed-integer network.")] = None,
    export: Annotated[Path | None, typer.Option(help="Write the program as .mps or .lp instead of solving it.")] = None,
    solver: SolverOpt = "highs",
    json: JsonOpt = None,
) -> None:
    """Solve a network of your own; a table [time] in its file makes it one over time."""
    from stochisru.networks.assembly import FORMS, assemble, weights_of
    from stochisru.networks.files import load_network, load_over_time, require_static
    from stochisru.networks.network import one_of
    from stochisru.networks.pareto import lexicographic

    json_target(json, source)
    kind = one_of(FORMS, form, "form")
    parameters = _assignments(parameter, "parameter", "NAME")
    expanded = load_over_time(source, parameters)
    if expanded is None:
        network = load_network(source, parameters)
        require_static(network, source)
    else:
        network = expanded.network
    weights, limits = _assignments(weight, "weight"), _assignments(limit, "limit")
    if export is not None:
        stated = assemble(network, weights, limits, kind)
        written = stated.program.write(export, stated.names())
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
        print_frame(solution.table if expanded is None else expanded.table(solution), f"{network.name}: flows")
        print_frame(solution.price_table, "nodal prices (objective per unit of demand)")
        for criterion in network.criteria:
            typer.echo(f"{criterion.name:<24} {solution.criteria[criterion.name]:,.6g} {criterion.unit}")
        typer.echo(f"objective (minimise)     {solution.objective:,.6g}, {bracket(solution.bounds, '', 6)}")

    data = solution.to_dict()
    if expanded is not None:
        flows = expanded.table(solution).drop(columns=["used"])
        data |= {"steps": expanded.steps, "flows": flows.to_dict("records")}
    emit(data, json, show)


def _assignments(texts: list[str] | None, field: str, of: str = "CRITERION") -> dict[str, float] | None:
    if not texts:
        return None
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise InputError(f"{field}: must be {of}=NUMBER, got {text!r}")
        found[name.strip()] = number(value, field)
    return found
