"""A plan on a tree under learning: that of a base case, with what learning saves."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from scenario_trees.arrays import Array
from stochisru.lunar.learning.case import LearningCase
from stochisru.lunar.operations import discount_factors
from stochisru.lunar.tree_program import TreePlan


@dataclass(frozen=True, eq=False)
class LearnedPlan(TreePlan):
    """Deployments on a tree whose cost falls with what was built before.

    Attributes
    ----------
    whole
        The case with learning, ``case`` being the one without.
    """

    whole: LearningCase = field(kw_only=True)

    @cached_property
    def saving(self) -> Array:
        """What learning saves at every node, $ of its year."""
        before = np.where(self.tree.stage > 0, self.plant[self.tree.parent], self.case.technology.M0)
        return self.whole.learning.saving(self.case, self.deployment, before)

    @cached_property
    def value(self) -> float:
        """Expected NPV on the tree, $."""
        plain = TreePlan(self.case, self.tree, self.deployment).value
        return plain + float(discount_factors(self.case) @ self.tree.stage_mean(self.saving))
