"""The command ``value``: information and flexibility, of the process, a lattice or a tree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from stochisru.cli.tables import (
    print_abandonment,
    print_decision,
    print_lattice_values,
    print_process_values,
    print_tree_values,
    print_values,
    warn_of_gap,
)
from stochisru.errors import InputError
from stochisru.lunar.terminal import (
    BranchingOpt,
    CaseArg,
    EarlyOpt,
    HorizonOpt,
    TreeAsked,
    TreeFileOpt,
    named_any,
)
from stochisru.terminal import JsonOpt, emit, given_options, json_target, progress

if TYPE_CHECKING:
    from stochisru.lunar.learning.case import LearningCase
    from stochisru.lunar.tables.case import GeneralCase

#: Options of ``value`` and where each has a meaning.
_VALUE_OPTIONS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("branching", "tree", "quantization", "solver"), ("tree",)),
    **dict.fromkeys(("paths", "seed", "sampler"), ("process", "lattice")),
    "workers": ("process",),
    "states": ("lattice",),
}


def value(
    case: CaseArg,
    on: Annotated[
        str | None,
        typer.Option(help="process, lattice or tree [default: tree with --branching or --tree, else process]."),
    ] = None,
    branching: BranchingOpt = None,
    tree: TreeFileOpt = None,
    early_leaves: EarlyOpt = None,
    horizon: HorizonOpt = None,
    quantization: Annotated[str | None, typer.Option(help="tree: branches [default: gauss-hermite].")] = None,
    solver: Annotated[str | None, typer.Option(help="tree: highs or gurobi [default: highs].")] = None,
    paths: Annotated[int | None, typer.Option(help="process: paths [default: 16384, with tables 1024].")] = None,
    seed: Annotated[int | None, typer.Option(help="process: seed of the paths [default: 0].")] = None,
    sampler: Annotated[str | None, typer.Option(help="process: as in simulate [default: sobol].")] = None,
    workers: Annotated[int | None, typer.Option(help="process: processes; results do not depend on it.")] = None,
    states: Annotated[int | None, typer.Option(help="lattice: states per stage [default: 100].")] = None,
    json: JsonOpt = None,
) -> None:
    """Value of information and of flexibility: of the demand process, of a lattice, or of a scenario tree."""
    from stochisru.lunar.learning.case import is_learning
    from stochisru.lunar.tables.case import is_general
    from stochisru.lunar.values.distance import distance
    from stochisru.lunar.values.lattice import lattice_values
    from stochisru.lunar.values.process import process_values
    from stochisru.lunar.values.tree import value_table
    from stochisru.programs.solvers import solver_named

    json_target(json, case)
    asked = TreeAsked(branching, quantization, tree, early_leaves)
    problem = named_any(case, asked.horizon(horizon))
    if on not in (None, "tree", "lattice", "process"):
        raise InputError(f"on: must be one of tree, lattice, process, got {on!r}")
    if on is None:
        on = "tree" if asked else "process"
    given = {
        "branching": branching,
        "tree": tree,
        "quantization": quantization,
        "solver": solver,
        "paths": paths,
        "seed": seed,
        "sampler": sampler,
        "workers": workers,
        "states": states,
    }
    chosen = given_options(given, _VALUE_OPTIONS, "on", on)
    if is_learning(problem):
        _value_of_learning(problem, on, asked, chosen, json)
        return
    if on == "process":
        with progress(f"valuing {problem.name}"):
            found = process_values(problem, **chosen)

        def show() -> None:
            print_decision(found.decision)
            print_process_values(found)

        emit(found.to_dict(), json, show)
        return
    if is_general(problem):
        _value_of_general(problem, on, asked, chosen, json)
        return
    if on == "lattice":
        with progress(f"valuing {problem.name}") as step:
            there = lattice_values(problem, **chosen, progress=step)
            away = distance(problem, there.lattice)
        emit({**there.to_dict(), "distance": away.to_dict()}, json, lambda: print_lattice_values(there, away))
        return
    solver_named(chosen.get("solver", "highs"))
    ground = asked.of(problem)
    with progress(f"valuing {problem.name}") as step:
        table = value_table(problem, ground, solver=chosen.get("solver", "highs"), progress=step)
        away = distance(problem, ground)
    emit({**table.to_dict(), "distance": away.to_dict()}, json, lambda: print_tree_values(table, away))
    warn_of_gap(table.recourse)


def _value_of_learning(case: LearningCase, on: str, asked: TreeAsked, chosen: dict[str, Any], json: str | None) -> None:
    """Values of a case with learning on a tree."""
    from stochisru.lunar.learning.values import learned_values
    from stochisru.lunar.values.distance import distance_of_laws

    if on != "tree":
        raise InputError(f"on: {case.name} has learning and values on a tree alone; give --branching or --on tree")
    if "solver" in chosen:
        raise InputError(f"solver: {case.name} has learning, whose values ask no solver; leave it out")
    tree = asked.of(case)
    with progress(f"valuing {case.name}") as step:
        found = learned_values(case, tree, progress=step)
        away = distance_of_laws(case, tree)

    def show() -> None:
        print_values(found.to_frame().reset_index(), f"{case.title}: values of the tree, {tree!r}")
        typer.echo(away.describe(found.point("rp"), found.plan.first_stage))

    emit({**found.to_dict(), "distance": away.to_dict()}, json, show)


def _value_of_general(case: GeneralCase, on: str, asked: TreeAsked, chosen: dict[str, Any], json: str | None) -> None:
    """Values of a case with tables beyond the base problem, those of its model on a tree."""
    from stochisru.lunar.tables.worth_of_each import worth_of_abandoning
    from stochisru.lunar.values.distance import distance_of_laws
    from stochisru.lunar.values.tree import value_table
    from stochisru.methods.result import versions
    from stochisru.programs.solvers import solver_named

    if on != "tree":
        raise InputError(
            f"on: {case.name} says {case.what} and has values of the process and on a tree, none on a lattice"
        )
    solver = chosen.get("solver", "highs")
    solver_named(solver)
    tree = asked.of(case)
    with progress(f"valuing {case.name}") as step:
        found = value_table(case, tree, solver=solver, progress=step)
        option = worth_of_abandoning(case, tree, solver=solver, with_it=found.bracket("rp"))
        away = None if case.factors else distance_of_laws(case, tree).to_dict()
    data = {
        "case": case.name,
        "unit": "$",
        **found.to_dict(),
        "branching": tree.branching,
        "nodes": tree.n_nodes,
        "leaves": tree.n_leaves,
        "solver": solver,
        "versions": versions(),
        "distance": away,
    }
    if option is not None:
        data["abandonment"] = option.to_dict()

    def show() -> None:
        print_values(found.to_frame().reset_index(), f"{case.title}: values of the tree, {tree!r}")
        if option is not None:
            print_abandonment(option)

    emit(data, json, show)
