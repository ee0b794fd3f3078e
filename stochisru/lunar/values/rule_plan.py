"""A rule that is at hand as a plan: where it earns more than what a method found, it is what to do."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from scenario_trees.arrays import Array
from stochisru.errors import InputError
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.orders import RootOrders
from stochisru.lunar.strategies.protocol import Strategy

if TYPE_CHECKING:
    import pandas as pd


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
