"""The recourse problem RP on a tree, solved whole: a linear program, with economies of scale a mixed-integer one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import numpy as np

from scenario_trees.tree import ScenarioTree
from stochisru.errors import InputError
from stochisru.limits import Limit
from stochisru.methods.options import Options, option
from stochisru.methods.problems import stated_on_trees, why_not_on_trees
from stochisru.methods.result import MIXED_ROUNDING, REL_GAP, Bounds, Kind, Of, Reason, Result, Termination
from stochisru.problem.information import Held
from stochisru.programs.effort import SolverLimits
from stochisru.programs.sparse import FEASIBILITY, LinearProgram, Solution, solve, solve_family, solve_mixed
from stochisru.protocols import ProblemOnTrees, TreePlanT

#: Relative gap at which a mixed-integer program is left.
MIXED_GAP = 1e-3


@dataclass(frozen=True)
class ExtensiveFormOptions(Options):
    """Options of the extensive form."""

    solver: str = option("highs", "solver of the program", choices=("highs", "gurobi"))
    rel_gap: float | None = option(None, "relative gap to reach", default="1e-6; 1e-3 with whole numbers", low=0.0)
    time_limit: float | None = option(
        None, "seconds for a program with whole numbers", default="none", unit="s", low=0.0, strict=True
    )
    pyomo_solver: str | None = option(
        None, "solver that Pyomo knows, such as glpk or cbc, for the scenario form instead", default="none"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.pyomo_solver is not None and (self.solver, self.rel_gap, self.time_limit) != ("highs", None, None):
            raise InputError("pyomo_solver: takes no solver, rel_gap and time_limit; the solver's own defaults hold")


class ExtensiveForm:
    """The whole tree as one sparse program; see `extensive_form`."""

    name, summary, on = "ef", "extensive form: the whole tree as one program", Of.TREE
    options = ExtensiveFormOptions

    def refuses(self, case: Any) -> str | None:
        """Nothing that can be stated on a tree."""
        return why_not_on_trees(case)

    def kind(self, case: Any) -> Kind:
        """A dual bound; where there may be whole numbers the solver's own."""
        return Kind.CERTIFIED if case.is_linear and case.has_exact_plans else Kind.SOLVER

    def solve(
        self, case: Any, on: ScenarioTree, options: ExtensiveFormOptions, progress: Callable[[Any], None] | None = None
    ) -> Result[Any]:
        """Solve a problem on a tree."""
        from stochisru.methods.scenario_form import scenario_form

        if options.pyomo_solver is not None:
            return scenario_form(case, on, options.pyomo_solver)
        return extensive_form(case, on, **_in_node_form(options))

    def holding(
        self, case: Any, on: ScenarioTree, held: Sequence[Held], options: ExtensiveFormOptions
    ) -> Iterator[Result[Any]]:
        """Solve once for every given start of a plan."""
        return extensive_forms(case, on, held, **_in_node_form(options))


def _in_node_form(options: ExtensiveFormOptions) -> dict[str, Any]:
    return {name: value for name, value in vars(options).items() if name != "pyomo_solver"}


def extensive_form(
    case: ProblemOnTrees[TreePlanT],
    tree: ScenarioTree,
    *,
    solver: str = "highs",
    rel_gap: float | None = None,
    time_limit: float | None = None,
) -> Result[TreePlanT]:
    """Solve the multistage problem on ``tree`` whole.

    Parameters
    ----------
    case, tree
        The problem.
    solver
        ``highs`` or ``gurobi``.
    rel_gap
        Gap up to which the result is called optimal, and at which a mixed-integer program is left; `REL_GAP` if not
        given, `MIXED_GAP` for a mixed-integer program.
    time_limit
        Seconds after which a mixed-integer program (modules, fixed costs, economies of scale) is left with the gap that
        it has; none if not given.

    Returns
    -------
    Result
        Where the problem is maximised, the lower bound is the plan's value, the upper bound a dual bound that holds
        whatever the solver's tolerances; for a mixed-integer program the solver's own. It is certified where that is
        not so and the problem evaluates plans without a solver, as a case does.

    Raises
    ------
    InputError
        If tree and case do not match, or the solver is not there.
    SolverError
        If the solver fails.
    """
    return next(extensive_forms(case, tree, [Held()], solver=solver, rel_gap=rel_gap, time_limit=time_limit))


def extensive_forms(
    case: ProblemOnTrees[TreePlanT],
    tree: ScenarioTree,
    held: Iterable[Held],
    *,
    solver: str = "highs",
    rel_gap: float | None = None,
    time_limit: float | None = None,
) -> Iterator[Result[TreePlanT]]:
    """Solve the problem once for every given start of the plan.

    Parameters
    ----------
    held
        Plans, each fixed in advance through a stage; later decisions are free. Each linear program starts from the
        optimum of the one before.
    """
    start = time.perf_counter()
    problem = stated_on_trees(case).on_tree(tree)
    program = problem.program
    sign = 1.0 if program.sense == "maximise" else -1.0
    building = time.perf_counter() - start
    variants = (problem.holding(plan) for plan in held)
    mixed = bool(program.integer.any())
    gap = SolverLimits((MIXED_GAP if mixed else REL_GAP) if rel_gap is None else rel_gap, time_limit).rel_gap
    solutions: Iterator[Solution]
    if mixed:
        solutions = (solve_mixed(variant, rel_gap=gap, time_limit=time_limit, solver=solver) for variant in variants)
    else:
        solutions = _in_turn(program, variants, solver)
    for solution in solutions:
        solved = time.perf_counter()
        plan = problem.plan(solution)
        size = plan.flows
        # The solver's bound of a mixed-integer program is relative to its tolerance on whole numbers.
        limit = solution.bound + (sign * MIXED_ROUNDING * size if mixed else 0.0)
        kind = Kind.CERTIFIED if problem.exact and not mixed else Kind.SOLVER
        slack = 0.0 if problem.exact else FEASIBILITY

        def bracket(limit: float) -> Bounds:
            return Bounds.of_plan(plan.value, limit, sign, kind, Of.TREE, size, slack=slack)  # noqa: B023

        bounds = bracket(limit)
        if not mixed and not bounds.meets(gap):
            bounds = bracket(problem.bound(solution.program, solution.row_dual))
        if not bounds.meets(gap):  # a plan that does nothing has no flows to measure by
            bounds = replace(bounds, flows=max(size, problem.flows))
        met = bounds.meets(gap)
        told = f"{solution.solver} solved the whole tree{_whole_numbers(program)}"
        told += "; bound of the solver" if mixed else ""
        read = time.perf_counter() - solved
        yield Result(
            method="ef",
            objective=plan.value,
            bounds=bounds,
            termination=Termination(
                Reason.OPTIMAL if met else Reason.LIMIT,
                None if met else solution.limit or Limit.NUMERICAL,
                f"{told}; gap {bounds.gap:.2g}, {gap:.2g} asked for",
            ),
            plan=plan,
            sense=program.sense,
            timings={"build": building, "solve": solution.seconds, "read": read},
            solver=solution.solver,
        )


def bettered(
    result: Result[TreePlanT], plans: Iterable[Result[TreePlanT]], ceiling: float = np.inf
) -> Result[TreePlanT]:
    """The result with the best plan in hand: its own or one of others of the same problem.

    Parameters
    ----------
    plans
        Plans that are feasible for the problem of ``result``, such as the static one.
    ceiling
        Value that no plan can exceed, $, such as that of perfect information.
    """
    best = max((result, *plans), key=lambda r: r.objective)
    old = result.bounds
    if best is result and ceiling >= old.upper:
        return result
    value = best.objective
    bounds = replace(old, lower=value, upper=min(old.upper, ceiling))
    return replace(result, objective=value, bounds=bounds, plan=best.plan)


def _in_turn(program: LinearProgram, variants: Iterable[LinearProgram], solver: str) -> Iterator[Solution]:
    """Variants with the program's own matrix are solved warm from the one before, others on their own."""
    for own, group in groupby(variants, lambda variant: variant.matrix is program.matrix):
        if own:
            yield from solve_family(program, ((variant.lower, variant.upper) for variant in group), solver)
        else:
            yield from (solve(variant, solver) for variant in group)


def _whole_numbers(program: LinearProgram) -> str:
    whole = int(program.integer.sum())
    return f" with {whole:,} whole numbers" if whole else ""
