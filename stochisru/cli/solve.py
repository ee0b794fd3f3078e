"""The command ``solve``: one problem, one method; options and help are made from the registry of methods."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Optional, get_args, get_type_hints

import typer

from stochisru.errors import InputError
from stochisru.lunar.terminal import (
    BranchingOpt,
    CaseArg,
    EarlyOpt,
    HorizonOpt,
    QuantizationOpt,
    TreeAsked,
    TreeFileOpt,
    named_any,
)
from stochisru.terminal import JsonOpt, emit, iteration_table, json_target, progress

if TYPE_CHECKING:
    from stochisru.lunar.case import DeploymentCase
    from stochisru.lunar.learning.case import LearningCase
    from stochisru.lunar.tables.case import GeneralCase
    from stochisru.lunar.values.distance import Distance
    from stochisru.methods.options import About
    from stochisru.methods.registry import Method
    from stochisru.methods.result import Result
    from stochisru.protocols import Plan

LotOpt = Annotated[float | None, typer.Option(help="Plants come in modules of this mass, kg, instead of the case's.")]
FixedCostOpt = Annotated[float | None, typer.Option(help="Cost of a launch campaign, $, instead of the case's.")]
#: Options of what methods work on: the tree or the lattice that is made for them.
_MADE = {"branching": "tree", "quantization": "tree", "tree": "tree", "early_leaves": "tree", "states": "lattice"}
StatesOpt = Annotated[int | None, typer.Option(help="States per stage of the lattice [default: by method].")]


def solve_listed() -> None:
    """Solve the multistage problem by one method."""


def solve_command(words: list[str]) -> Callable[..., None]:
    """The command with the options of all methods; with those of one where ``words`` ask for its help.

    Parameters
    ----------
    words
        Words of the command line.
    """
    from stochisru.methods.registry import METHODS, method_named, methods

    known = methods()
    chosen = _method_in(words)
    if "--help" in words and chosen in METHODS:
        known = {chosen: method_named(chosen)}
    names = "; ".join(f"{name}: {method.summary}" for name, method in known.items())
    method_opt = Annotated[str, typer.Option(help=f"{names}.")]

    def parameter(name: str, annotation: Any, default: Any = None) -> inspect.Parameter:
        empty = inspect.Parameter.empty if name == "case" else default
        return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=empty, annotation=annotation)

    made = {
        "branching": BranchingOpt,
        "quantization": QuantizationOpt,
        "tree": TreeFileOpt,
        "early_leaves": EarlyOpt,
        "states": StatesOpt,
    }
    worked_on = {str(method.on) for method in known.values()}
    parameters = [
        parameter("case", CaseArg),
        parameter("method", method_opt, "ef" if "ef" in known else chosen),
        parameter("horizon", HorizonOpt),
        *(parameter(n, a) for n, a in made.items() if _MADE[n] in worked_on),
        *(parameter(name, *annotated) for name, annotated in _options(known).items()),
        parameter("lot", LotOpt),
        parameter("fixed_cost", FixedCostOpt),
        parameter("json", JsonOpt),
    ]

    def solve(**given: Any) -> None:
        _solve(given)

    solve.__doc__ = solve_listed.__doc__
    solve.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    solve.__annotations__ = {p.name: p.annotation for p in parameters}
    return solve


def _method_in(words: list[str]) -> str:
    """Method that the words of a command line name, or nothing."""
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word == "--method":
            return following
        if word.startswith("--method="):
            return word.partition("=")[2]
    return ""


def _options(known: dict[str, Method]) -> dict[str, tuple[Any, Any]]:
    """Annotation and default of every option of some methods, by name; an option that is not given is None or False."""
    from stochisru.methods.options import options_of

    kinds: dict[str, Any] = {}
    said: dict[str, dict[str, list[str]]] = {}  # what is said of an option, and the methods of which it is said
    for method in known.values():
        hints = get_type_hints(method.options)
        for name, (default, about) in options_of(method.options).items():
            kinds[name] = next((k for k in get_args(hints[name]) if k is not type(None)), hints[name])
            said.setdefault(name, {}).setdefault(_help(default, about), []).append(method.name)
    found: dict[str, tuple[Any, Any]] = {}
    for name, kind in kinds.items():
        texts = [f"{', '.join(whose)}: {text}" if len(known) > 1 else text for text, whose in said[name].items()]
        if kind is bool:
            found[name] = Annotated[bool, typer.Option(f"--{name.replace('_', '-')}", help="; ".join(texts))], False
        else:
            optional: Any = Optional[kind]  # noqa: UP045  (a type that is only known here)
            found[name] = Annotated[optional, typer.Option(help="; ".join(texts))], None
    return found


def _help(default: Any, about: About) -> str:
    from stochisru.methods.options import default_in_words

    words = default_in_words(default, about)
    allowed = f", {about.allowed}" if about.choices else ""
    return f"{about.help}{allowed}{f' [default: {words}]' if words else ''}"


def _solve(given: dict[str, Any]) -> None:
    from stochisru import mpi
    from stochisru.limits import Limit
    from stochisru.lunar.case import DeploymentCase
    from stochisru.lunar.solving import quickest_on_tree
    from stochisru.lunar.tables.case import is_general
    from stochisru.methods.registry import method_named, methods_on, options_for
    from stochisru.methods.result import Of, Reason

    case, json, name, horizon = (given.pop(key) for key in ("case", "json", "method", "horizon"))
    json_target(json, case)
    asked = TreeAsked(*(given[key] for key in ("branching", "quantization", "tree", "early_leaves")))
    method = method_named(name)
    problem = named_any(case, asked.horizon(horizon))
    said = {key: value for key, value in given.items() if value is not None and value is not False}
    launch = {key: said.pop(key) for key in ("lot", "fixed_cost") if key in said}
    if launch:
        problem = problem.replace(**launch)
    made = {key: said.pop(key) for key in _MADE if key in said}
    for key in made:
        if _MADE[key] != method.on:
            others = " and ".join(m.name for m in methods_on(Of(_MADE[key])))
            raise InputError(f"{key}: is an option of --method {others}")
    options = options_for(method, said)
    if name != "ph" and mpi.world() is not None:
        raise InputError(f"mpi: --method {name} runs in one process; under MPI use --method ph")
    refused = method.refuses(problem)
    if refused is not None:
        raise InputError(refused)
    result = _run(problem, method, options, asked, made.get("states"))
    storage, risk = getattr(options, "storage", None), getattr(options, "risk", None)
    worth = "expected NPV" if risk is None or risk.neutral else "risk-adjusted NPV"
    if is_general(problem) and worth == "expected NPV":
        worth = problem.measure
    has_rule = storage is None and not is_general(problem)  # strategies know neither stores nor tables
    if mpi.rank() == 0:
        away = _distance(problem, result, same_problem=worth == "expected NPV" and has_rule)
        data = result.to_dict() | ({"distance": away.to_dict()} if away else {})
        if is_general(problem):
            data["first_stage"] = problem.first_stage(result.first_stage)
        emit(data, json, lambda: _show(problem, result, worth, has_rule, away))
        if json != "-" and name == "ef" and isinstance(problem, DeploymentCase):
            quickest = quickest_on_tree(problem, result.plan.tree).name
            if quickest == "dp":
                typer.echo("--method dp finds the same optimum without a solver, and faster")
    world = mpi.world()
    if world is not None:
        world.Barrier()  # an exit code ends all ranks: the first one has to have spoken
    missed = result.termination.reason is Reason.LIMIT and result.termination.limit is not Limit.RELAXATION
    if missed and mpi.rank() == 0:
        raise typer.Exit(1)  # the gap was not met


def _run(
    case: DeploymentCase | GeneralCase | LearningCase,
    method: Method,
    options: Any,
    asked: TreeAsked,
    states: int | None,
) -> Result[Any]:
    """Make what the method works on and solve, with a table of its iterations or a spinner."""
    from stochisru.lunar.case import DeploymentCase
    from stochisru.lunar.solving import made_for
    from stochisru.methods.result import Of
    from stochisru.programs.solvers import solver_named

    if hasattr(options, "solver"):
        solver_named(options.solver)
    on: Any
    on = asked.of(case) if method.on is Of.TREE else made_for(case, method, states)
    if not hasattr(options, "iterations"):
        with progress(f"solving {case.name}"):
            return method.solve(case, on, options)
    if method.on is Of.LATTICE and sys.stderr.isatty() and isinstance(case, DeploymentCase):
        from stochisru.lunar.stage_report import problem_report

        storage = getattr(options, "storage", None)
        stated = case.linear_bound if storage is None else case.linear_bound.stored(storage)
        typer.echo(str(problem_report(stated, on)), err=True)
    with iteration_table(f"{case.name}, {on!r}") as line:
        return method.solve(case, on, options, line)


def _distance(
    case: DeploymentCase | GeneralCase | LearningCase, result: Result[Any], *, same_problem: bool
) -> Distance | None:
    """How far the tree or lattice of a result is from the process; None for results on the process itself.

    The optimum of the process stands beside it where it is that of the ``same_problem``.
    """
    from stochisru.lunar.case import DeploymentCase
    from stochisru.lunar.tables.case import is_general
    from stochisru.lunar.values.distance import distance, distance_of_laws
    from stochisru.methods.result import Of

    if result.bounds.of is Of.PROCESS:
        return None
    model = result.plan.tree if result.bounds.of is Of.TREE else result.plan.lattice
    if is_general(case):
        return None if case.factors else distance_of_laws(case, model)
    return distance(case, model) if same_problem and isinstance(case, DeploymentCase) else distance_of_laws(case, model)


def _show(
    case: DeploymentCase | GeneralCase | LearningCase,
    result: Result[Plan],
    worth: str,
    has_rule: bool,
    away: Distance | None,
) -> None:
    from stochisru.lunar.orders import flat
    from stochisru.lunar.tables.case import is_general

    size = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in result.plan.size.items())
    typer.echo(f"{case.title}, T = {case.horizon.T}, {result.method}: {size}")
    bounds = result.bounds
    typer.echo(f"{worth} of the {bounds.of} (maximise) {result.objective:,.2f} $")
    typer.echo(
        f"{'bounds of the ' + bounds.of:<24} [{bounds.lower:,.2f}, {bounds.upper:,.2f}] $, "
        f"gap {bounds.gap:.2g}, {bounds.label}"
    )
    first = case.first_stage(result.first_stage) if is_general(case) else result.first_stage
    for name, kg in flat(first).items():
        typer.echo(f"{name:<24} {kg:,.3f} kg")
    if has_rule:
        typer.echo(f"rule: {result.policy().describe(getattr(case, 'base', case))}")
    if away is not None:
        typer.echo(away.describe(result.objective, result.first_stage))
    if is_general(case) and case.commitment:
        typer.echo(case.commitment)
    typer.echo(f"{result.termination.reason}: {result.termination.detail} in {sum(result.timings.values()):.2f} s")
