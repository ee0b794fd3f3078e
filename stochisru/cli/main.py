"""The command line; see ``docs/cli.md`` for commands and JSON keys.

Exit codes: 0 success, 1 a solver, a bound or a figure failed, 2 bad input (one line on standard error), 3 the result is
printed but a file could not be written, 130 interrupted.
With ``--json -`` nothing but JSON goes to standard output.
"""

from __future__ import annotations

import errno
import importlib
import io
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stochisru.cli.calibrate import calibrate
from stochisru.cli.decide import decide
from stochisru.cli.ending import fail, file_warnings
from stochisru.cli.evaluate import evaluate
from stochisru.cli.exchange import export, solve_file, tables
from stochisru.cli.knowledge import learning, resolve, survey
from stochisru.cli.networks import network_app
from stochisru.cli.risk import risk
from stochisru.cli.robustness import robustness
from stochisru.cli.simulate import simulate
from stochisru.cli.solve import solve_command, solve_listed
from stochisru.cli.start import INTERRUPTED, listen
from stochisru.cli.studies import frontier, sensitivity, study_app, tune
from stochisru.cli.support import support
from stochisru.cli.tables import (
    print_decision,
    print_general_run,
    print_process_values,
    print_strategies,
    print_tree_values,
    warn_of_gap,
)
from stochisru.cli.value import value
from stochisru.errors import InputError, OutputError, StochisruError, TreeError
from stochisru.lunar.shipped import DEFAULT
from stochisru.lunar.terminal import (
    BranchingOpt,
    CaseArg,
    EarlyOpt,
    HorizonOpt,
    QuantizationOpt,
    TreeAsked,
    TreeFileOpt,
    named_any,
    named_problem,
)
from stochisru.terminal import (
    JsonOpt,
    SamplerOpt,
    SeedOpt,
    SolverOpt,
    WorkersOpt,
    emit,
    emit_outcome,
    json_target,
    print_frame,
    print_list,
    progress,
    speak,
)
from stochisru.worked import WORKED

if TYPE_CHECKING:
    pass

app = typer.Typer(
    name="stochisru",
    help="Stochastic programming and real options for lunar oxygen production.",
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
case_app = typer.Typer(help="Show, start and check case files.", rich_markup_mode=None)
app.add_typer(case_app, name="case")
app.command("solve")(solve_listed)
#: Its command is made from the registry of methods when it is called: other commands need not know them.
_SOLVE = app.registered_commands[-1]
app.command()(evaluate)
app.command()(calibrate)
app.command()(decide)
app.command()(export)
app.command("solve-file")(solve_file)
app.command()(tables)
app.add_typer(network_app, name="network")


@app.command()
def run(
    case: CaseArg = DEFAULT,
    out: Annotated[
        Path | None, typer.Option(help="Run folder [default: runs/NAME, with the hash of a case that is not shipped].")
    ] = None,
    branching: BranchingOpt = None,
    tree: TreeFileOpt = None,
    early_leaves: EarlyOpt = None,
    horizon: HorizonOpt = None,
    quantization: QuantizationOpt = None,
    paths: Annotated[
        int | None, typer.Option(help="Monte Carlo paths [default: 10000; of a case with tables 1024].")
    ] = None,
    seed: SeedOpt = 0,
    sampler: SamplerOpt = "pseudo-random",
    workers: WorkersOpt = 1,
    solver: SolverOpt = "highs",
    method: Annotated[
        str | None, typer.Option(help="Method on the tree for RP [default: the one with the strongest bracket].")
    ] = None,
    json: JsonOpt = None,
) -> None:
    """Study a case: values, strategies, figures and a report, into a run folder."""
    from stochisru.lunar.general_run import GeneralRun, run_general_case
    from stochisru.lunar.run import Run, run_case
    from stochisru.lunar.tables.case import is_general
    from stochisru.programs.solvers import solver_named
    from stochisru.studies.folder import default_folder

    json_target(json, case)
    asked = TreeAsked(branching, quantization, tree, early_leaves)
    problem = named_problem(case, asked.horizon(horizon))
    solver_named(solver)
    ground = asked.of(problem)
    folder = out if out is not None else default_folder(problem)
    sample: dict[str, Any] = {"seed": seed, "sampler": sampler, "workers": workers}
    if paths is not None:
        sample["paths"] = paths
    chosen: dict[str, Any] = {**sample, "solver": solver, "method": method}

    def compute() -> Run | GeneralRun:
        with progress(f"running {problem.name}") as step:
            if is_general(problem):
                return run_general_case(problem, folder, tree=ground, **chosen, progress=step)
            return run_case(problem, folder, tree=ground, **chosen, progress=step)

    def show(found: Run | GeneralRun) -> None:
        print_decision(found.decision)
        if found.values is not None:
            print_process_values(found.values)
        if isinstance(found, GeneralRun):
            print_general_run(found)
        else:
            if found.tree_values is not None:
                print_tree_values(found.tree_values, found.distance)
            print_strategies(found.simulation)
        if (folder / "report.html").exists():
            typer.echo(f"report: {folder / 'report.html'}")

    outcome = emit_outcome(compute, lambda found: found.to_dict(), json, show)
    if isinstance(outcome, GeneralRun):
        warn_of_gap(outcome.plan)
    elif outcome.tree_values is None:
        typer.echo(f"warning: no values of the tree: {outcome.no_tree_values}", err=True)
    else:
        warn_of_gap(outcome.tree_values.recourse)


app.command()(value)
app.command()(support)
app.command()(simulate)


@app.command("policies")
def list_policies(json: JsonOpt = None) -> None:
    """List the policies that 'simulate' knows."""
    from stochisru.lunar.policies import POLICIES

    json_target(json)
    emit(list(POLICIES), json, lambda: typer.echo("\n".join(POLICIES)))


@case_app.command("list")
def case_list(json: JsonOpt = None) -> None:
    """List the shipped cases, each with what it is."""
    from stochisru.lunar.shipped import described, shipped_cases

    json_target(json)
    told = {name: described(name) for name in shipped_cases()}
    emit(list(told), json, lambda: print_list(told))


@case_app.command("show")
def case_show(case: CaseArg, json: JsonOpt = None) -> None:
    """Show every parameter with unit, status and source."""
    from stochisru.lunar.learning.case import is_learning
    from stochisru.lunar.tables.case import is_general

    json_target(json, case)
    stated = named_any(case)
    problem = stated.base if is_learning(stated) else stated
    if is_general(problem):
        text = problem.to_toml()
        tables = {"name": problem.name, "hash": problem.digest(), "tables": problem.to_dict()}
        emit(tables, json, lambda: typer.echo(text, nl=False))
        return
    frame = problem.to_frame().reset_index()
    rows = [{**row, "value": problem.plain_values[str(row["symbol"])]} for row in frame.to_dict("records")]
    data: dict[str, Any] = {"name": problem.name, "hash": stated.digest(), "parameters": rows}
    if is_learning(stated):
        data["learning"] = vars(stated.learning)
    emit(data, json, lambda: print_frame(frame, stated.title))


@case_app.command("init")
def case_init(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="TOML file to write.")],
    base: Annotated[str, typer.Option(help="Shipped case to start from.")] = "lunar-reference",
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
    json: JsonOpt = None,
) -> None:
    """Start a case file from a shipped case."""
    from stochisru.files import require_writable, write_text
    from stochisru.lunar.shipped import case_text, shipped_cases
    from stochisru.lunar.toml import toml_string

    if base not in shipped_cases():
        raise InputError(f"base: must be one of {', '.join(shipped_cases())}, got {base!r}")
    json_target(json)
    require_writable(file, "FILE")
    if file.exists() and not force:
        raise InputError(f"FILE: {file} exists; choose another name or give --force")
    text = case_text(base).replace(f'name = "{base}"', f"name = {toml_string(file.stem)}", 1)
    write_text(file, text)
    emit(
        {"file": str(file), "base": base},
        json,
        lambda: typer.echo(f"wrote {file}; edit it, then: stochisru case check {file}"),
    )


@case_app.command("check")
def case_check(case: CaseArg, json: JsonOpt = None) -> None:
    """Check a case file; exit with 2 and one line if it cannot be used."""
    from stochisru.lunar.learning.case import is_learning
    from stochisru.lunar.tables.case import is_general
    from stochisru.lunar.usual import unusual

    json_target(json, case)
    stated = named_any(case)
    problem = stated.base if is_learning(stated) else stated
    size = f"with {problem.what}" if is_general(problem) else f"{len(problem.values)} parameters"
    emit(
        {"name": problem.name, "hash": stated.digest(), "ok": True, "warnings": unusual(problem)},
        json,
        lambda: typer.echo(f"{stated.title}: ok ({size}, hash {stated.digest()})"),
    )


for study_command in (sensitivity, frontier, risk, tune, robustness, learning, survey, resolve):
    app.command()(study_command)
app.add_typer(study_app, name="study")

#: Variable by which a shell asks for completion.
_COMPLETING = "_STOCHISRU_COMPLETE"
#: Typer applications by the first words of a command.
_GROUPS = {"network": network_app, "study": study_app}


def collect_worked() -> None:
    """Add the commands of the worked cases, each named by its words, as in ``network mars``."""
    for case_name in WORKED:
        commands = importlib.import_module(f"stochisru.worked.{case_name}.command").COMMANDS
        for words, command in commands.items():
            group, _, name = words.rpartition(" ")
            (_GROUPS[group] if group else app).command(name)(command)


collect_worked()


@app.command()
def report(
    run_dir: Annotated[Path, typer.Argument(metavar="RUN_DIR", help="Folder made by 'stochisru run'.")],
    json: JsonOpt = None,
) -> None:
    """Make figures and page of a run folder again from its tables."""
    from stochisru.report.page import rebuild_report

    json_target(json)
    with progress(f"reporting {run_dir}"):
        files = rebuild_report(run_dir)
    emit({"files": [str(f) for f in files]}, json, lambda: typer.echo(f"wrote {len(files)} files; open {files[-1]}"))


@app.command()
def doctor(json: JsonOpt = None) -> None:
    """Show solvers, MPI, versions and what is missing."""
    from stochisru.cli.doctor import diagnose

    json_target(json)
    facts = diagnose()

    def show() -> None:
        typer.echo(f"platform    {facts['platform']}, {facts['cores']} cores")
        for name, version in facts["versions"].items():
            typer.echo(f"{name:<11} {version}")
        for name, version in facts["solvers"].items():
            typer.echo(f"solver      {name}: {version or 'not installed'}")
        ready = [name for name, there in facts["pyomo_solvers"].items() if there]
        typer.echo(f"pyomo       {', '.join(ready) or 'no solver'}")
        mpi = facts["mpi"]
        typer.echo(f"mpi         {mpi['library'] or 'no library'}, mpiexec {mpi['mpiexec'] or 'not found'}")

    emit(facts, json, show)
    if not facts["ok"]:
        raise typer.Exit(1)


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress on standard error.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Every step as a line on standard error, with the time so far.")
    ] = False,
) -> None:
    if quiet and verbose:
        raise InputError("quiet, verbose: give one of them")
    speak("quiet" if quiet else "verbose" if verbose else "usual")
    if version:
        from stochisru import __version__

        typer.echo(__version__)
        raise typer.Exit
    from stochisru import mpi

    if context.invoked_subcommand not in (None, "solve", "doctor") and mpi.world() is not None:
        raise InputError(f"mpi: '{context.invoked_subcommand}' runs in one process; under MPI use solve --method ph")
    _help_alone(context)


@case_app.callback(invoke_without_command=True)
def _help_alone(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main(arguments: list[str] | None = None) -> None:
    """Entry point: run a command and turn errors into one line and an exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that lacks a letter gets a question mark, no traceback
            stream.reconfigure(errors="replace")
    # A batch system ends a job by SIGTERM, a closed terminal by SIGHUP: clean up as after Ctrl-C.
    listen(signal.default_int_handler)
    words = list(sys.argv[1:] if arguments is None else arguments)
    if _COMPLETING in os.environ:  # a shell asks what may come next; the options of solve are among it
        words = os.environ.get("COMP_WORDS", "").split()[1:]
    try:
        _SOLVE.callback = solve_command(words) if words[:1] == ["solve"] else solve_listed
        with file_warnings() as unwritten:
            code = app(args=arguments, standalone_mode=False)
        sys.stdout.flush()
        code = code or (3 if unwritten else 0)
    except KeyboardInterrupt:
        code = 130
    except (InputError, TreeError) as error:
        fail(str(error), 2)
    except OutputError as error:
        fail(str(error), 3)
    except StochisruError as error:
        fail(str(error), 1)
    except BrokenPipeError:  # the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EIO)
        fail(f"{error.filename or 'output'}: {error.strerror}", 1 if full else 2)
    except MemoryError as error:
        fail(f"not enough memory: {error}; use a smaller tree or fewer paths", 1)
    except Exception as error:
        # Usage errors of the command line parser, whose class typer does not export.
        if not hasattr(error, "format_message"):
            raise
        fail(error.format_message(), 2)
    if code == 130:  # typer turns an interrupt into this code
        fail(INTERRUPTED, 130)
    sys.exit(code if isinstance(code, int) else 0)
