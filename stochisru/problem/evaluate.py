"""What given decisions are worth: on a tree, or on paths."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from numpy.typing import ArrayLike

from scenario_trees.lattice import MarkovLattice
from scenario_trees.tree import ScenarioTree
from stochisru.errors import InputError
from stochisru.problem.information import Held
from stochisru.problem.model import Model, require_model
from stochisru.problem.on_tree import on_tree
from stochisru.problem.paths import Paths
from stochisru.problem.plan import ModelPlan
from stochisru.programs.sparse import solve_to_gap


@dataclass(frozen=True, eq=False)
class Evaluation(ModelPlan):
    """A plan on a tree, that of paths being a `fan`, with the operations that are best for it.

    Attributes
    ----------
    bound
        What no operations can better: proven by duals.
    """

    bound: float = float("nan")


def evaluate(
    model: Model,
    plan: Mapping[str, ArrayLike],
    on: ScenarioTree | Paths | ArrayLike,
    *,
    rel_gap: float = 1e-9,
    solver: str = "highs",
) -> Evaluation:
    """Worth of given decisions with the best operations.

    Parameters
    ----------
    plan
        Amounts of every decision in their year of effect, shape ``(T + 1,)``, or at every node, shape ``(nodes,)``.
    on
        A tree, or paths of shape ``(paths, T + 1)`` that are alike in year 0, of several factors ``(paths, T + 1,
        factors)`` in the order of the model. On paths nothing may be carried over by operations, such as a store: they
        would know the rest of the path.
    rel_gap
        Where decisions have curves or fixed costs: the gap at which the program is left.

    Raises
    ------
    InputError
        If the plan lacks a decision, names another, or has amounts of another shape; or ``on`` does not suit the model.
    InfeasibleError
        If the plan breaks a bound, or no operations keep the rows.

    Examples
    --------
    >>> from stochisru.problem import Decision, Factor, Model, Operation, Row
    >>> from stochisru.problem.evaluate import evaluate
    >>> newsvendor = Model(
    ...     "newsvendor",
    ...     horizon=1,
    ...     parts=[
    ...         Decision("order", lead=1, years=[1], cost=1.0, upper=200),
    ...         Operation("sold", value=3.0, upper=Factor("demand")),
    ...         Row("stock", {"sold": 1.0, "order": -1.0}, upper=0.0),
    ...     ],
    ... )
    >>> found = evaluate(newsvendor, {"order": [0, 80]}, [[1, 50], [1, 100]])
    >>> found.scenarios.round(6).tolist(), round(found.value, 6)
    ([70.0, 160.0], 115.0)
    """
    require_model(model)
    information = Held(plan)
    information.require_of(model.decisions, model.name)
    for decision in model.decisions:
        if decision.name not in plan:
            raise InputError(f"plan: needs amounts of {decision.name!r}")
    if isinstance(on, MarkovLattice):
        raise InputError("on: must be a tree or paths, got a lattice; sample paths of it, or take its tree")
    if isinstance(on, ScenarioTree):
        tree = on
    else:
        tree, carried = Paths.of(model, on).fan(), model.carried_over
        if carried is not None:
            raise InputError(
                f"{carried.label}: is fed by operations and kept, which on single paths would know the years to come; "
                "evaluate on a tree, or simulate a policy that says how much to keep"
            )
    program = on_tree(model, tree, information)
    solution = solve_to_gap(program.program, rel_gap=rel_gap, solver=solver)
    columns = {part.name: program.on_nodes(solution.x, part.name) for part in model.columns}
    return Evaluation(model, tree, columns, program.information, solution.bound)
