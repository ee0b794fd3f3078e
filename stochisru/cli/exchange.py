"""Commands that hand problems and results to other tools, and take problems of others."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stochisru.errors import InputError, require_integer
from stochisru.lunar.terminal import (
    BranchingOpt,
    CaseArg,
    EarlyOpt,
    HorizonOpt,
    QuantizationOpt,
    TreeAsked,
    TreeFileOpt,
    named_problem,
)
from stochisru.terminal import JsonOpt, SolverOpt, emit, json_target, progress

if TYPE_CHECKING:
    from stochisru.exchange import StagedProgram
    from stochisru.programs.sparse import Solution

ToOpt = Annotated[
    Path,
    typer.Option("--to", metavar="FILE", help="File to write; its end says the format: .smps, .sof.json, .mps or .lp."),
]
StatesOpt = Annotated[
    int | None, typer.Option(help="Write the problem on a lattice of so many states per stage (.sof.json).")
]


def export(
    case: CaseArg,
    to: ToOpt,
    branching: BranchingOpt = None,
    horizon: HorizonOpt = None,
    quantization: QuantizationOpt = None,
    tree: TreeFileOpt = None,
    early_leaves: EarlyOpt = None,
    states: StatesOpt = None,
    json: JsonOpt = None,
) -> None:
    """Write a case on a tree or lattice as a problem of other tools: SMPS, StochOptFormat, MPS, LP.

    'stochisru solve-file' reads all of them.
    """
    from scenario_trees import MarkovLattice
    from stochisru.exchange.problems import suffix_of, write_problem

    json_target(json, case)
    suffix_of(to)
    asked = TreeAsked(branching, quantization, tree, early_leaves)
    problem = named_problem(case, asked.horizon(horizon))
    if states is None:
        ground: Any = asked.of(problem)
    else:
        if asked:
            raise InputError("states: makes a lattice, --branching and --tree a tree; give one of them")
        require_integer("states", states, 1)
        ground = MarkovLattice.from_process(problem.process, problem.horizon.T, states)
    with progress(f"writing {problem.name}"):
        files = write_problem(problem, ground, to)
    data = {"files": [str(file) for file in files], "case": problem.name, "hash": problem.digest(), "of": repr(ground)}
    emit(data, json, lambda: typer.echo(f"wrote {', '.join(map(str, files))}: {problem.title} on {ground!r}"))


def solve_file(
    file: Annotated[Path, typer.Argument(metavar="FILE", help=".smps (.cor, .tim, .sto), .sof.json, .mps or .lp.")],
    to: Annotated[
        Path | None, typer.Option("--to", metavar="FILE", help="Write it in another format instead of solving it.")
    ] = None,
    rel_gap: Annotated[float, typer.Option(help="Relative gap of mixed-integer programs.")] = 1e-6,
    time_limit: Annotated[float | None, typer.Option(help="Seconds for a mixed-integer program.")] = None,
    solver: SolverOpt = "highs",
    json: JsonOpt = None,
) -> None:
    """Solve a problem of another tool as one program, or write it in another format."""
    from stochisru.exchange.problems import read_problem, suffix_of, write_problem

    json_target(json, str(file))
    if to is not None:
        suffix_of(to)
    problem = read_problem(file)
    if to is not None:
        files = write_problem(problem, None, to)
        emit({"files": [str(f) for f in files]}, json, lambda: typer.echo(f"wrote {', '.join(map(str, files))}"))
        return
    with progress(f"solving {file.name}"):
        solution = problem.solve(solver=solver, rel_gap=rel_gap, time_limit=time_limit)
    emit(_told(file, problem, solution), json, lambda: _show(file, problem, solution))


def _told(file: Path, problem: StagedProgram, solution: Solution) -> dict[str, Any]:
    rows, columns = problem.program.shape
    ends = (solution.objective, solution.bound)
    return {
        "file": str(file),
        "name": problem.program.name,
        "sense": problem.sense,
        "objective": solution.objective,
        "bounds": {"lower": min(ends), "upper": max(ends), "of": "tree"},
        "first_stage": problem.first_stage(solution.x),
        "stages": problem.tree.horizon + 1,
        "nodes": problem.tree.n_nodes,
        "leaves": problem.tree.n_leaves,
        "rows": rows,
        "columns": columns,
        "solver": solution.solver,
        "seconds": solution.seconds,
        "limit": solution.limit,
    }


#: Most columns of the root that are shown; JSON has all.
_SHOWN = 20


def _show(file: Path, problem: StagedProgram, solution: Solution) -> None:
    rows, columns = problem.program.shape
    tree = problem.tree
    shape = f"{tree.horizon + 1} stages, {tree.n_nodes:,} nodes, " if tree.n_nodes > 1 else ""
    typer.echo(f"{file.name}: {problem.program.name}, {shape}{rows:,} rows, {columns:,} columns")
    bound = f", bound {solution.bound:,.10g}" if math.isfinite(solution.bound) else ""
    typer.echo(f"optimum ({problem.sense}) {solution.objective:,.10g}{bound}")
    first = problem.first_stage(solution.x)
    for name, value in list(first.items())[:_SHOWN]:
        typer.echo(f"{name:<24} {value + 0.0:,.6g}")  # no -0
    if len(first) > _SHOWN:
        typer.echo(f"… and {len(first) - _SHOWN:,} more columns of the root (--json has all)")


def tables(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder of a run or a study.")],
    to: Annotated[
        Path,
        typer.Option("--to", metavar="FILE", help="File to write; its end says the format: .xlsx, .nc or .iamc.csv."),
    ],
    json: JsonOpt = None,
) -> None:
    """Write the tables of a run or study as one file: Excel, NetCDF, or the long format of IAMC."""
    from stochisru.exchange.results import suffix_of, tables_of, write_results
    from stochisru.files import FILES, read_manifest
    from stochisru.lunar.long_table import iamc_of_run

    json_target(json)
    suffix = suffix_of(to)
    found = tables_of(folder)
    manifest = read_manifest(folder) or {}
    if suffix == ".iamc.csv":
        found = {"iamc": iamc_of_run(found, manifest)}
    about = {key: value for key, value in manifest.items() if key != FILES}
    written = write_results(found, to, about)
    data = {"file": str(written), "tables": {name: len(table) for name, table in found.items()}}
    emit(data, json, lambda: typer.echo(f"wrote {written}: {', '.join(found)}"))
