"""A rule that is at hand as a plan: where it earns more than what a method found, it is what to do."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from scenario_trees.arrays import Array
from stochisru.errors import InputError
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.orders import NamedOrders, RootOrders, decided_at_root
from stochisru.lunar.strategies.protocol import Strategy
from stochisru.problem.model import Model
from stochisru.problem.policies.follow import follow
from stochisru.problem.policies.protocol import Policy

if TYPE_CHECKING:
    import pandas as pd

    from stochisru.lunar.tables.case import GeneralCase


@dataclass(frozen=True, eq=False)
class RulePlan(RootOrders):
    """A strategy and what it orders at the root.

    Attributes
    ----------
    root
        ΔM_0..ΔM_min(L, T), kg.
    """

    case: DeploymentCase
    rule: Strategy
    root: Array

    @classmethod
    def of(cls, case: DeploymentCase, rule: Strategy) -> RulePlan:
        """The plan of a strategy."""
        return cls(case, rule, np.asarray(rule.start(case), dtype=float))

    @property
    def size(self) -> dict[str, int]:
        """Nothing to count."""
        return {}

    @property
    def details(self) -> dict[str, Any]:
        """The rule in words."""
        return {"rule": self.rule.describe(self.case)}

    def to_frame(self) -> pd.DataFrame:
        """Deployments at the root: ``year``, ``deployment`` (kg)."""
        import pandas as pd

        return pd.DataFrame({"year": range(self.root.size), "deployment": self.root})

    def policy(self, name: str, mapping: str | None = None) -> Strategy:
        """The rule under a name; `InputError` if a mapping is given."""
        if mapping is not None:
            raise InputError(f"mapping: a rule takes none, got {mapping!r}")
        return replace(self.rule, name=name)  # type: ignore[type-var]  # strategies of the package are dataclasses


@dataclass(frozen=True, eq=False)
class PolicyPlan(NamedOrders):
    """A policy of a case with tables that is at hand, and what it decides at the root.

    Attributes
    ----------
    first_stage
        What is decided in year 0, by name and year of effect.
    """

    case: GeneralCase
    model: Model
    rule: Policy
    first_stage: dict[str, float]

    @classmethod
    def of(cls, case: GeneralCase, model: Model, rule: Policy, path: Array) -> PolicyPlan:
        """The plan of a policy; ``path`` of the factor, shape ``(1, T + 1)``, is any, as the root knows none of it."""
        # Of one path the nodes are the years.
        return cls(case, model, rule, decided_at_root(model, follow(model, rule, path).plan.columns))

    @property
    def details(self) -> dict[str, Any]:
        """The rule in words."""
        return {"rule": self.rule.describe()}

    def to_frame(self) -> pd.DataFrame:
        """What is decided at the root: ``decision``, ``amount``."""
        import pandas as pd

        return pd.DataFrame({"decision": list(self.first_stage), "amount": list(self.root)})

    def policy(self, name: str, mapping: str | None = None) -> Policy:
        """The rule under a name; `InputError` if a mapping is given."""
        if mapping is not None:
            raise InputError(f"mapping: a rule takes none, got {mapping!r}")
        return replace(self.rule, name=name)  # type: ignore[type-var]  # policies of the package are dataclasses
