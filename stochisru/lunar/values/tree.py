"""The value of information and of flexibility, of any case on any tree, in one call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, overload

from scenario_trees.tree import ScenarioTree
from stochisru.errors import InputError, require_kind
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.exact.in_advance import why_not_in_advance
from stochisru.lunar.exact.open_loop import expected_value, expected_value_plan, fixed_design, static_plan
from stochisru.lunar.exact.wait_and_see import wait_and_see
from stochisru.lunar.information import require_match
from stochisru.lunar.tables.case import GeneralCase, is_general
from stochisru.lunar.tree_program import TreePlan
from stochisru.lunar.values.programs import TIME_LIMIT, in_advance_by_programs
from stochisru.lunar.values.table import InAdvance, ValueTable, table_of
from stochisru.methods.result import Bounds, Kind, Of, Result
from stochisru.programs.solvers import solver_named
from stochisru.values import Values, values


@overload
def value_table(
    case: DeploymentCase,
    tree: ScenarioTree,
    *,
    solver: str = "highs",
    recourse: Result[TreePlan] | None = None,
    progress: Callable[[str], None] | None = None,
) -> ValueTable: ...


@overload
def value_table(
    case: GeneralCase,
    tree: ScenarioTree,
    *,
    solver: str = "highs",
    recourse: None = None,
    progress: Callable[[str], None] | None = None,
) -> Values: ...


def value_table(
    case: DeploymentCase | GeneralCase,
    tree: ScenarioTree,
    *,
    solver: str = "highs",
    recourse: Result[TreePlan] | None = None,
    progress: Callable[[str], None] | None = None,
) -> ValueTable | Values:
    """Compute all values of a case on a tree: exactly where that is known, by programs elsewhere.

    Parameters
    ----------
    case, tree
        The problem; the tree needs one stage per year. The values of a general case are those of its model.
    solver
        Solver of what has no exact method: of the recourse problems where costs are linear, and of every value where
        a deployment's cost is not concave in its size or modules degrade.
    recourse
        Result for RP from another method on the same case and tree, with its bracket; solved if not given.
    progress
        Called with the name of each value before it is computed.

    Raises
    ------
    InputError
        If tree, case and ``recourse`` do not belong together, or where only programs are left the tree has more than
        `stochisru.lunar.values.programs.MOST_SCENARIOS` scenarios.

    Examples
    --------
    >>> from scenario_trees import ScenarioTree
    >>> from stochisru import load_case, value_table
    >>> case = load_case("lunar-reference").replace(T=3)
    >>> values = value_table(case, ScenarioTree.from_process(case.process, [3, 3, 3]))
    >>> values.eev.lower <= values.static.lower <= values.rp.lower <= values.ws.lower
    True
    """
    if is_general(case):
        if recourse is not None:
            raise InputError(f"recourse: {case.name} is a general case and solves its own")
        case.require_total()
        return values(case, tree, solver=solver, time_limit=TIME_LIMIT, progress=progress)
    require_match(case, tree)
    if recourse is not None:
        require_kind("recourse", recourse, Result, "a Result on the tree")
    solver_named(solver)
    say = progress or (lambda _: None)
    wishes: dict[str, Any] = {"solver": solver}
    if why_not_in_advance(case) is None:
        known = _exactly(case, tree, say)
    else:
        known = in_advance_by_programs(case, tree, solver, say)
        wishes["time_limit"] = TIME_LIMIT
    return table_of(case, tree, known, wishes, recourse, say)


def _exactly(case: DeploymentCase, tree: ScenarioTree, say: Callable[[str], None]) -> InAdvance:
    """What is known in advance, by layers or levels of plant."""
    say("ws")
    ws = wait_and_see(case, tree)
    say("static, fixed, ev, eev")
    ev = expected_value_plan(case, tree)
    return InAdvance(
        ws,
        static_plan(case, tree),
        fixed_design(case, tree),
        expected_value(case, tree),
        Bounds.point(ev.value, Kind.CERTIFIED, Of.TREE, ws.bounds.flows),
        ev.deployment,
    )
