"""A model on a tree, as the methods on trees take it: its program, bounds under a held plan, and what a solution is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from scenario_trees.arrays import Array
from scenario_trees.tree import ScenarioTree
from stochisru.errors import SolverError
from stochisru.problem.bounds import column_bounds
from stochisru.problem.information import Held
from stochisru.problem.model import Model
from stochisru.problem.on_tree import TreeProgram, on_tree
from stochisru.problem.paths import mean_path
from stochisru.problem.plan import ModelPlan
from stochisru.problem.sheet import Sheet
from stochisru.programs.sparse import LinearProgram, Solution, solve

#: Share of what bounds allow up to which money does not flow.
_NOTHING = 1e-12


@dataclass(frozen=True, eq=False)
class ModelOnTree:
    """A model on a tree; see `stochisru.protocols.TreeProblem`.

    Raises
    ------
    InputError
        If model and tree do not match.
    """

    model: Model
    tree: ScenarioTree
    #: Plans keep their rows to the solver's tolerances.
    exact = False

    def __post_init__(self) -> None:
        self.model.factors_on(self.tree)

    @cached_property
    def stated(self) -> TreeProgram:
        """The program with what its columns mean."""
        return on_tree(self.model, self.tree)

    @property
    def program(self) -> LinearProgram:
        """The sparse program in node form."""
        return self.stated.program

    @cached_property
    def flows(self) -> float:
        """Size of the sums of money that values are differences of, before anything is solved."""
        return flows_on_mean_path(self.model, self.tree)

    def holding(self, held: Held) -> LinearProgram:
        """The program where some decisions are as in a plan: `program` with other bounds if costs are linear.

        What a curve, a lot or a fixed cost adds to a program depends on how large an amount may be, and a plan that is
        held may be larger somewhere than any that is chosen there.
        """
        if not held.plan:
            return self.program
        if not self.model.is_linear:
            return on_tree(self.model, self.tree, held).program
        lower, upper = self.program.lower.copy(), self.program.upper.copy()
        for name, bounds in column_bounds(Sheet(self.model, self.tree, held)).items():
            span = self.program.columns[name].span
            lower[span], upper[span] = bounds
        return self.program.with_bounds(lower, upper)

    def plan(self, solution: Solution) -> ModelPlan:
        """The plan that a solution is: decisions as they can be taken, all else to the solver's tolerances."""
        stated = replace(self.stated, program=solution.program)  # whose bounds a held plan may have moved
        columns = {part.name: stated.on_nodes(solution.x, part.name) for part in self.model.columns}
        return ModelPlan(self.model, self.tree, columns | stated.plan(solution.x))

    def bound(self, program: LinearProgram, row_dual: Array) -> float:
        """Bound on a linear program that holds for any row duals, in the model's sense."""
        return program.dual_bound(row_dual)


def flows_on_mean_path(model: Model, tree: ScenarioTree) -> float:
    """Size of the sums of money that values of a model on a tree are differences of, before anything is solved.

    That of the mean path's plan; where it is best to do nothing, what could be earned if nothing cost anything; of
    bounds alone where there is no plan.
    """
    program = on_tree(model, mean_path(tree)).program
    sign, money = 1.0 if program.sense == "maximise" else -1.0, np.abs(program.objective)
    relaxed = replace(program, integer=np.zeros_like(program.integer))
    try:
        flows = float(money @ np.abs(solve(relaxed).x))
        if flows > _NOTHING * float(money @ np.maximum(np.abs(program.lower), np.abs(program.upper))):
            return flows
        earned = replace(relaxed, objective=sign * np.maximum(sign * program.objective, 0.0))
        return float(np.abs(earned.objective) @ np.abs(solve(earned).x))
    except SolverError:
        return float(money @ np.maximum(np.abs(program.lower), np.abs(program.upper)))
