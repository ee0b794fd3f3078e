"""The command ``simulate``: policies judged by Monte Carlo, of any case."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stochisru.cli.tables import print_comparison, print_strategies
from stochisru.errors import InputError
from stochisru.lunar.terminal import (
    BranchingOpt,
    CaseArg,
    DemandPathsOpt,
    HorizonOpt,
    OwnPaths,
    named_any,
    named_tree,
)
from stochisru.terminal import JsonOpt, bar, emit, json_target, progress

if TYPE_CHECKING:
    from stochisru.lunar.case import DeploymentCase
    from stochisru.lunar.learning.case import LearningCase
    from stochisru.lunar.strategies import Strategy
    from stochisru.lunar.tables.case import GeneralCase
    from stochisru.simulation.sampling import Sampling


def simulate(
    case: CaseArg,
    strategies: Annotated[
        str | None,
        typer.Option(help="Comma-separated names of policies [default: all heuristics]; see 'stochisru policies'."),
    ] = None,
    paths: Annotated[int | None, typer.Option(help="Monte Carlo paths [default: 1000].")] = None,
    horizon: HorizonOpt = None,
    seed: Annotated[int | None, typer.Option(help="Seed of all random numbers [default: 0].")] = None,
    sampler: Annotated[
        str | None, typer.Option(help="pseudo-random, antithetic or sobol [default: pseudo-random].")
    ] = None,
    workers: Annotated[int | None, typer.Option(help="Processes; results do not depend on it [default: 1].")] = None,
    demand_paths: DemandPathsOpt = None,
    branching: BranchingOpt = None,
    mapping: Annotated[str | None, typer.Option(help="How 'tree' acts between nodes: scaled or nearest.")] = None,
    rolling: Annotated[
        str | None,
        typer.Option(help="Branches per year of the tree that 'rolling' solves [default: 12,6,3,2]."),
    ] = None,
    json: JsonOpt = None,
) -> None:
    """Judge policies by Monte Carlo on common fresh paths, against the exact optimum and perfect information.

    With --demand-paths on paths of one's own, a history among them, which have no optimum.
    """
    from stochisru.lunar.comparison import compared
    from stochisru.lunar.learning.case import is_learning
    from stochisru.lunar.policies import require_policy
    from stochisru.lunar.simulation.monte_carlo import simulated_on
    from stochisru.lunar.strategies import STRATEGIES, RollingHorizon
    from stochisru.lunar.strategies.tree_policy import MAPPINGS
    from stochisru.lunar.tables.case import is_general
    from stochisru.lunar.trees import parse_branching
    from stochisru.methods.result import Of
    from stochisru.simulation.sampling import Sampling

    json_target(json, case)
    own = None if demand_paths is None else OwnPaths(demand_paths)
    drawn: dict[str, Any] = {"paths": paths, "seed": seed, "sampler": sampler, "workers": workers}
    given = {name: value for name, value in drawn.items() if value is not None}
    if own is not None and given:
        raise InputError(
            f"{next(iter(given))}: is of paths that are drawn, --demand-paths gives them; give one of them"
        )
    problem = named_any(case, horizon if own is None else own.horizon(horizon))
    beyond = {"branching": branching, "mapping": mapping, "rolling": rolling}
    if is_learning(problem):
        _simulate_learning(problem, strategies, Sampling(**given), own, beyond, json)
        return
    if is_general(problem):
        _simulate_general(problem, strategies, Sampling(**given), own, beyond, json)
        return
    names = _named(strategies)
    if names is None:
        names = list(STRATEGIES)
    for name in names:
        require_policy(name)
    sample = Sampling(**given)
    if mapping not in (None, *MAPPINGS):
        raise InputError(f"mapping: must be one of {', '.join(MAPPINGS)}, got {mapping!r}")
    for field, said, owner in (
        ("branching", branching, "tree"),
        ("mapping", mapping, "tree"),
        ("rolling", rolling, "rolling"),
    ):
        if said is not None and owner not in names:
            raise InputError(f"{field}: belongs to the strategy '{owner}', which is not among the strategies")
    chosen: list[Strategy | str] = list(names)
    if branching is not None or mapping is not None:
        chosen[names.index("tree")] = _tree_strategy(problem, branching, mapping)
    if rolling is not None:
        chosen[names.index("rolling")] = RollingHorizon(parse_branching(rolling))
    if own is not None:
        demand = own.of(problem)
        with bar(f"simulating {problem.name}", demand.shape[1]) as advance:
            found = simulated_on(problem, chosen, demand, progress=advance)
        emit({**found.to_dict(), "of": Of.PATHS}, json, lambda: print_strategies(found))
        return
    with bar(f"simulating {problem.name}", sample.paths) as advance:
        outcome = compared(problem, chosen, sample, progress=advance)
    emit(outcome.to_dict(), json, lambda: print_comparison(outcome))


def _named(strategies: str | None) -> list[str] | None:
    """Names of an option that lists them; None where it is not given."""
    return None if strategies is None else [name.strip() for name in strategies.split(",")]


def _require_none(options: Mapping[str, Any], why: str) -> None:
    """Refuse the first option that is given."""
    for name, given in options.items():
        if given is not None:
            raise InputError(f"{name}: {why}")


def _simulate_learning(
    case: LearningCase,
    strategies: str | None,
    sample: Sampling,
    own: OwnPaths | None,
    beyond: dict[str, Any],
    json: str | None,
) -> None:
    """Judge policies where plant becomes cheaper as more is built; options of ``beyond`` are for other cases."""
    from stochisru.lunar.learning.policies import learned_policies
    from stochisru.lunar.simulation.monte_carlo import simulated, simulated_on
    from stochisru.methods.result import Of

    _require_none(beyond, "is for cases without learning")
    chosen = learned_policies(case, _named(strategies))
    with progress(f"simulating {case.name}"):
        found = simulated(case, chosen, sample) if own is None else simulated_on(case, chosen, own.of(case))
    of = Of.PROCESS if own is None else Of.PATHS
    data = {**found.to_dict(), "of": of, "learning": vars(case.learning)}

    def show() -> None:
        print_strategies(found)
        typer.echo(f"of {case.title}; all but lattice plan with the price of the first plant")

    emit(data, json, show)


def _simulate_general(
    case: GeneralCase,
    strategies: str | None,
    sample: Sampling,
    own: OwnPaths | None,
    beyond: dict[str, Any],
    json: str | None,
) -> None:
    """Judge policies of a case with tables; options of ``beyond`` are for base cases."""
    from stochisru.lunar.general_policies import simulate_general
    from stochisru.methods.result import Of

    _require_none(beyond, f"is for cases without tables, {case.name} says {case.what}")
    names = _named(strategies)
    with progress(f"simulating {case.name}"):
        found = simulate_general(case, names, sample, None if own is None else own.of(case))
    of = Of.PROCESS if own is None else Of.PATHS
    emit({**found.to_dict(), "of": of}, json, lambda: print_strategies(found))


def _tree_strategy(case: DeploymentCase, branching: str | None, mapping: str | None) -> Strategy:
    from stochisru.lunar.solving import optimum_on_tree

    found: Strategy = optimum_on_tree(case, named_tree(case, branching)).policy(mapping, name="tree")
    return found
