"""Subtrees of the lunar problem: those of its model, with plans that are judged in closed form.

Coordinated is M, the plant in place, and a plan above the cut is held by its orders ΔM.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from scenario_trees.arrays import Array
from scenario_trees.tree import ScenarioTree
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.information import Commitments, flows, plan_value, require_match
from stochisru.lunar.tree_program import TreePlan, feasible_orders
from stochisru.problem import subtrees as problem

if TYPE_CHECKING:
    from stochisru.lunar.candidates import Candidates


@dataclass(frozen=True, eq=False)
class DeploymentSubtree(problem.SubtreeProgram):
    """The program of one subtree of a case."""

    case: DeploymentCase

    def settled(self, x: Array, value: float) -> tuple[Array, float]:
        """Orders that can be placed; where costs are not linear, at what they are worth without a solver."""
        if self.case.is_linear:
            return x, value
        orders, x = self.program.columns["dM"].span, x.copy()
        x[orders] = feasible_orders(self.case, x[orders], self.program.upper[orders])
        return x, plan_value(self.case, self.branch, self.on_nodes(x)[0])

    def on_nodes(self, x: Array) -> Array:
        """ΔM at the nodes of the branch, kg, shape ``(1, nodes)``."""
        return self.stated.on_nodes(x, "dM")[None]


class DeploymentSubtrees(problem.Subtrees):
    """The problem of a case on a tree, cut at ``cut_stage``; see `stochisru.problem.subtrees.Subtrees`."""

    exact = True

    def __init__(self, case: DeploymentCase, tree: ScenarioTree, cut_stage: int) -> None:
        require_match(case, tree)
        self.case = case
        super().__init__(case.model, tree, cut_stage)

    @property
    def identity(self) -> dict[str, Any]:
        """What a checkpoint must agree in."""
        return {"case": self.case.digest(), "tree": self.tree.digest(), "cut_stage": self.cut_stage}

    @cached_property
    def flows(self) -> float:
        """Size of the sums of money that values are differences of, $."""
        return flows(self.case, self.tree)

    @cached_property
    def candidates(self) -> Candidates:
        """Orders above the cut that are worth trying."""
        from stochisru.lunar.candidates import Candidates

        return Candidates(self)

    def plan(self, table: Array) -> TreePlan:
        """The plan of deployments ΔM at all nodes of the tree, kg."""
        return TreePlan(self.case, self.tree, table[0])

    @cached_property
    def commitments(self) -> Commitments:
        """Commitments of the whole tree."""
        return Commitments(self.tree, self.case.horizon.lead_time)

    @property
    def years(self) -> range:
        """Coordinated years: those whose deployment is decided before the cut."""
        return range(len(self.coordinated))

    @cached_property
    def order_upper(self) -> Array:
        """Valid upper bound on ΔM of each coordinated year, kg, shape ``(count, years)``."""
        return np.asarray(self.bounds["dM"].upper[self.shared])

    def program(self, i: int) -> DeploymentSubtree:
        """Build the program of subtree ``i``."""
        found = super().program(i)
        return DeploymentSubtree(**{f.name: getattr(found, f.name) for f in fields(found)}, case=self.case)
