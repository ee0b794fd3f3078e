"""A model on a lattice, as SDDP takes it: its stage programs, and what their cuts are as a plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from scenario_trees.arrays import Array
from stochisru.estimate import Estimate
from stochisru.problem.lattice_plan import ModelCutPlan
from stochisru.problem.on_lattice import ModelStages


@dataclass(frozen=True, eq=False)
class ModelOnLattice(ModelStages):
    """A model on a lattice; see `stochisru.protocols.StagePrograms`."""

    #: Plans have no order-up-to levels whose value is known.
    orders_up_to = False
    one_level = False

    def plan(self, root: Array, intercept: Sequence[Array], slope: Sequence[Array], neutral: bool) -> ModelCutPlan:
        """The plan that cuts describe."""
        return ModelCutPlan(self, tuple(root.tolist()), tuple(intercept), tuple(slope))

    def with_simulated(self, plan: ModelCutPlan, mean: Estimate) -> ModelCutPlan:
        """A plan with its simulated mean, given as worth, in the model's sense."""
        if self.sign > 0:
            return replace(plan, simulated=mean)
        turned = replace(mean, value=-mean.value, lower=-mean.upper, upper=-mean.lower)
        return replace(plan, simulated=turned)
