"""What given decisions are worth: on a tree, or on paths."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from scenario_trees.arrays import Array
from scenario_trees.tree import ScenarioTree
from stochisru.errors import InputError
from stochisru.problem.information import Held
from stochisru.problem.model import Model
from stochisru.problem.on_tree import TreeProgram, on_tree
from stochisru.problem.parts import Decision
from stochisru.problem.paths import fan
from stochisru.problem.sheet import Sheet
from stochisru.programs.sparse import solve, solve_mixed

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A plan on a tree with the operations that are best for it.

    Attributes
    ----------
    program
        The program in which the plan's decisions are held.
    x
        Values of its columns.
    bound
        What no operations can better: proven by duals.
    """

    program: TreeProgram
    x: Array
    bound: float

    @property
    def tree(self) -> ScenarioTree:
        """The tree, that of paths being a `fan`."""
        return self.program.tree

    @cached_property
    def quantities(self) -> dict[str, Array]:
        """All decisions, states, operations and expressions at every node, each of shape ``(nodes,)``."""
        sheet = self._sheet
        found = {part.name: self.program.on_nodes(self.x, part.name) for part in sheet.model.columns}
        for part in sheet.model.expressions:
            total = np.zeros(self.tree.n_nodes)
            for t, terms in enumerate(sheet.terms(part)):
                here = self.tree.at(t)
                for name, coefficient in terms.items():
                    total[here] += coefficient * found[name][here]
            found[part.name] = total
        return found

    @cached_property
    def money(self) -> Array:
        """Discounted money of each node, in the sense of the model: worth where maximised, cost where minimised."""
        sheet, model = self._sheet, self.program.model
        total = np.zeros(self.tree.n_nodes)
        for part in model.columns:
            amount = self.quantities[part.name]
            for t, worth in enumerate(sheet.worth[part.name]):
                here = self.tree.at(t)
                total[here] += worth * amount[here]
            if isinstance(part, Decision) and not part.is_linear:
                fixed = sheet.numbers(part, "fixed_cost")
                for t in model.years:
                    here = self.tree.at(t)
                    cost = fixed[t] * (amount[here] > 0)
                    if part.curve is not None:
                        cost = cost + part.curve(np.maximum(amount[here], 0.0))
                    total[here] -= sheet.paid(part, t) * cost
        return model.sign * total

    @cached_property
    def scenarios(self) -> Array:
        """Discounted money of every scenario, shape ``(leaves,)``; on paths, of every path."""
        along = self.money.copy()
        for t in range(1, self.tree.horizon + 1):
            here = self.tree.at(t)
            along[here] += along[self.tree.parent[here]]
        return along[self.tree.leaves]

    @property
    def value(self) -> float:
        """Expectation of `scenarios`."""
        return float(self.tree.probability @ self.money)

    @cached_property
    def _sheet(self) -> Sheet:
        return Sheet(self.program.model, self.tree, self.program.information)

    def to_frame(self) -> pd.DataFrame:
        """Tidy table: node, year, probability, and a column per quantity."""
        import pandas as pd

        columns = {"year": self.tree.stage, "probability": self.tree.probability, **self.quantities}
        return pd.DataFrame(columns, index=pd.RangeIndex(self.tree.n_nodes, name="node"))


def evaluate(
    model: Model,
    plan: Mapping[str, ArrayLike],
    on: ScenarioTree | ArrayLike,
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
        A tree, or paths of shape ``(paths, T + 1)`` that are alike in year 0. On paths nothing may be carried over by
        operations, such as a store: they would know the rest of the path.
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
    names = [decision.name for decision in model.decisions]
    for name in plan:
        if name not in names:
            raise InputError(f"plan: {name!r} is no decision of {model.name}; its decisions are {', '.join(names)}")
    for name in names:
        if name not in plan:
            raise InputError(f"plan: needs amounts of {name!r}")
    if isinstance(on, ScenarioTree):
        tree = on
    else:
        tree, carried = fan(on), model.carried_over
        if carried is not None:
            raise InputError(
                f"{carried.label}: is fed by operations and kept, which on single paths would know the years to come; "
                "evaluate on a tree"
            )
    program = on_tree(model, tree, Held(plan))
    mixed = program.program.integer.any()
    solution = solve_mixed(program.program, rel_gap=rel_gap, solver=solver) if mixed else solve(program.program, solver)
    return Evaluation(program, solution.x, solution.bound)
