"""Deployments of a general case that are fixed in advance, as a plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike

from scenario_trees.arrays import Array
from scenario_trees.lattice import MarkovLattice
from stochisru.errors import InputError
from stochisru.lunar.orders import NamedOrders, decided_at_root
from stochisru.lunar.tables.case import GeneralCase
from stochisru.methods.sddp.run import cuts_on
from stochisru.problem.lattice_problem import ModelOnLattice
from stochisru.problem.model import Model
from stochisru.problem.policies.planned import Planned
from stochisru.problem.policies.protocol import Policy, Seen
from stochisru.problem.relaxed import relaxed

if TYPE_CHECKING:
    import pandas as pd

    from stochisru.problem.lattice_plan import ModelCutPlan


@dataclass(frozen=True, eq=False)
class HeldPlan(NamedOrders):
    """Amounts by year, whatever happens.

    Attributes
    ----------
    amounts
        Of every decision in its year of effect, each of shape ``(T + 1,)``.
    operated
        Cuts by which it is operated, where what is operated is carried over.
    worth
        NPV on the path that it was made for and its bound, $.
    """

    case: GeneralCase
    model: Model
    amounts: Mapping[str, Array]
    operated: ModelCutPlan | None = None
    worth: tuple[float, float] = (float("nan"), float("nan"))

    @property
    def first_stage(self) -> dict[str, float]:
        """What is decided in year 0, by name and year of effect."""
        return decided_at_root(self.model, self.amounts)

    @property
    def details(self) -> dict[str, Any]:
        """The table has all."""
        return {}

    def policy(self, name: str, mapping: str | None = None) -> Policy:
        """The amounts as a policy; `InputError` if a mapping is given."""
        if mapping is not None:
            raise InputError(f"mapping: a plan that is fixed in advance takes none, got {mapping!r}")
        if self.operated is None:
            return Planned(self.amounts, name)
        return OperatedPlan(name, tuple(self.amounts), self.operated.policy(name))

    def to_frame(self) -> pd.DataFrame:
        """Amounts by ``year``, a column per decision."""
        import pandas as pd

        return pd.DataFrame({"year": range(self.model.horizon + 1), **self.amounts})


@dataclass(frozen=True)
class OperatedPlan:
    """Decisions that are fixed in advance, and a policy that knows them and operates what they build."""

    name: str
    decisions: tuple[str, ...]
    operates: Policy

    def decide(self, seen: Seen) -> Mapping[str, ArrayLike]:
        """What the policy says, which decides as planned."""
        return self.operates.decide(seen)

    def describe(self) -> str:
        """The rule as one sentence."""
        return f"Do as planned in year 0, whatever happens: {', '.join(self.decisions)}; operate what is there by cuts."


def operated_by_cuts(plan: HeldPlan, lattice: MarkovLattice, passes: int) -> HeldPlan:
    """The plan with operations that look ahead: SDDP of the model in which nothing else is decided."""
    model = relaxed(plan.case.model_on(lattice))
    held = [replace(part, lower=plan.amounts[part.name], upper=plan.amounts[part.name]) for part in model.decisions]
    return replace(plan, operated=cuts_on(ModelOnLattice(model.with_part(*held), lattice), passes))
