"""The deployment problem on a Markov lattice: the stage programs of its model, and what is known of its plans.

The programs are those of `stochisru.problem.on_lattice` for `stochisru.lunar.model`. Their *state* are the plants
M_t..M_{t+L−1} that are already committed (with L = 0: M_{t−1}) and the store. Without a store and under expectation
plans are order-up-to levels, whose value on the lattice is known exactly; see `CutPlan`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from scenario_trees.arrays import Array
from scenario_trees.lattice import MarkovLattice
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.exact.lattice_layers import require_lattice
from stochisru.lunar.information import flows
from stochisru.lunar.model import deployment_model
from stochisru.lunar.storage import Storage
from stochisru.lunar.trees import case_lattice
from stochisru.problem.on_lattice import ModelStages

if TYPE_CHECKING:
    from stochisru.estimate import Estimate
    from stochisru.lunar.cut_plan import CutPlan


@dataclass(frozen=True, eq=False)
class StagePrograms(ModelStages):
    """The stage programs of a case on a lattice.

    Raises
    ------
    InputError
        If case and lattice do not match, or the case's costs are not linear.
    """

    case: DeploymentCase = field(kw_only=True)
    storage: Storage | None = field(default=None, kw_only=True)

    @classmethod
    def of(cls, case: DeploymentCase, lattice: MarkovLattice | int, storage: Storage | None = None) -> StagePrograms:
        """The stage programs of a case, and of a store if there is one; a lattice may be so many states per stage."""
        lattice = lattice if isinstance(lattice, MarkovLattice) else case_lattice(case, lattice)
        require_lattice(case, lattice)
        case.require_linear("SDDP")
        if storage is None:
            return cls(case.model, lattice, case=case)
        highest = [float(values[-1]) for values in lattice.values]
        return cls(deployment_model(case, storage, highest), lattice, case=case, storage=storage)

    @property
    def identity(self) -> dict[str, Any]:
        """What a checkpoint must agree in."""
        return {
            "case": self.case.digest(),
            "lattice": self.lattice.digest(),
            "storage": None if self.storage is None else asdict(self.storage),
        }

    @property
    def orders_up_to(self) -> bool:
        """Whether plans of order-up-to levels, whose value is known exactly, are optimal under expectation."""
        return self.storage is None

    @property
    def one_level(self) -> bool:
        """Whether the level does not depend on what is on order."""
        return self.case.horizon.lead_time <= 1

    @cached_property
    def flows(self) -> float:
        """Size of the sums of money that values are differences of, $."""
        extra = 0.0
        if self.storage is not None:
            c = self.case.costs
            unit = self.case.economics.P_m + c.c_E + c.c_bu + c.c_S + self.storage.holding_cost
            extra = unit * self.storage.initial
        return flows(self.case, self.lattice) + extra

    @cached_property
    def largest(self) -> Array:
        """Largest demand of each year and all later ones, kg/yr, shape ``(T + 1,)``."""
        highest = np.array([value[-1] for value in self.lattice.values])
        return np.asarray(np.maximum.accumulate(highest[::-1])[::-1])

    def root(self, columns: Array) -> Array:
        """Deployments of years 0..min(L, T) at the root, kg; 0 where the case fixes that of year 0."""
        orders = dict(zip(self.first_stage, super().root(columns).tolist(), strict=True))
        lead = min(self.case.horizon.lead_time, self.horizon)
        return np.array([orders.get(("dM", year), 0.0) for year in range(lead + 1)])

    def plan(self, root: Array, intercept: Sequence[Array], slope: Sequence[Array], neutral: bool) -> CutPlan:
        """The plan that cuts describe; see `CutPlan`."""
        from stochisru.lunar.cut_plan import CutPlan

        return CutPlan(self, root, tuple(intercept), tuple(slope), neutral=neutral)

    def with_simulated(self, plan: CutPlan, mean: Estimate) -> CutPlan:
        """A plan with its simulated mean NPV, $."""
        return replace(plan, simulated=mean)
