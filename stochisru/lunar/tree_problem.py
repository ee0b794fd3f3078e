"""A case on a tree, as the methods on trees take it: its program, bounds on it, and the plan that a solution is."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from scenario_trees.arrays import Array
from scenario_trees.tree import ScenarioTree
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.information import flows, require_match
from stochisru.lunar.tree_program import TreePlan, plan_from_solution, tree_bound
from stochisru.problem.information import Held
from stochisru.problem.model import Model
from stochisru.problem.tree_problem import ModelOnTree
from stochisru.programs.sparse import LinearProgram, Solution


@dataclass(frozen=True, eq=False)
class TreeProblem:
    """The deployment problem of a case on a tree; see `stochisru.protocols.TreeProblem`.

    Raises
    ------
    InputError
        If case and tree do not match.
    """

    case: DeploymentCase
    tree: ScenarioTree
    #: Plans are feasible to the last digit.
    exact = True

    def __post_init__(self) -> None:
        require_match(self.case, self.tree)

    @cached_property
    def program(self) -> LinearProgram:
        """The sparse program in node form."""
        return self._stated.program

    @property
    def model(self) -> Model:
        """The problem, part by part."""
        return self.case.model

    @cached_property
    def _stated(self) -> ModelOnTree:
        return self.case.model.on_tree(self.tree)

    @property
    def flows(self) -> float:
        """Size of the sums of money that net present values are differences of, $."""
        return flows(self.case, self.tree)

    def holding(self, held: Held) -> LinearProgram:
        """The program where some deployments are as in a plan."""
        return self._stated.holding(held)

    def plan(self, solution: Solution) -> TreePlan:
        """The plan that a solution is, feasible to the last digit."""
        return plan_from_solution(self.case, self.tree, solution)

    def bound(self, program: LinearProgram, row_dual: Array) -> float:
        """Upper bound on a linear program, $, that holds for any row duals."""
        return tree_bound(self.case, self.tree, program, row_dual)
