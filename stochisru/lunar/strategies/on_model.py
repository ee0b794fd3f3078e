"""A strategy as a policy of the deployment model, and of models that were made from it by more parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from scenario_trees.arrays import Array
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.strategies.protocol import Observation, Strategy, first_arrival, whole_modules
from stochisru.problem.policies.protocol import Seen


@dataclass(frozen=True, eq=False)
class OnModel:
    """What a strategy orders, as the decision ``dM`` of `stochisru.lunar.model.deployment_model`.

    Attributes
    ----------
    strategy
        Of the case.
    case
        The case that the model was made from; the strategy knows no parts that were added.

    Examples
    --------
    >>> from stochisru import load_case, policy_named, simulate_policies
    >>> from stochisru.lunar.strategies.on_model import OnModel
    >>> from stochisru.problem import Row
    >>> case = load_case("lunar-reference").replace(T=3)
    >>> dearer = case.model.with_part(Row("mass_limit", {"M_leo": 1.0}, upper=3000.0))
    >>> moderate = OnModel(policy_named("moderate", case), case)
    >>> found = simulate_policies(dearer, [moderate], paths=200)
    >>> found.names
    ['moderate']
    """

    strategy: Strategy
    case: DeploymentCase

    @property
    def name(self) -> str:
        """The strategy's."""
        return self.strategy.name

    def decide(self, seen: Seen) -> dict[str, Array]:
        """What the strategy starts with, later what it orders."""
        if "dM" not in seen.due:
            return {}
        years, lot = seen.due["dM"], self.case.launch.lot
        if seen.year == 0:
            start = whole_modules(np.asarray(self.strategy.start(self.case), dtype=float), lot)
            return {"dM": np.repeat(start[list(years), None], seen.paths, axis=1)}
        lead, t = self.case.horizon.lead_time, seen.year
        kept = 1 - self.case.technology.degradation
        now = seen.amount("M", t) if lead else seen.amount("M", t - 1) * kept
        plants = [*(seen.amount("M", year) for year in range(t)), now]
        first = first_arrival(self.case)  # there is no ΔM of years before it
        ordered = [
            seen.amount("dM", year) if year >= first else np.zeros(seen.paths) for year in range(max(t + lead, 1))
        ]
        beside = seen_beside(self.case.process, seen)
        today = Observation(self.case, t, seen.factors["demand"], plants, ordered, beside)
        return {"dM": whole_modules(np.asarray(self.strategy.order(today), dtype=float), lot)[None]}

    def describe(self) -> str:
        """The strategy's sentence."""
        return self.strategy.describe(self.case)


def seen_beside(process: Any, seen: Seen) -> Array | None:
    """What is seen beside demand of its process in all years, shape ``(year + 1, n, k)``; None where it is not told."""
    names = getattr(process, "names", ("value",))[1:]
    known = [seen.beside.get(name, seen.beside.get(f"demand.{name}")) for name in names]
    told = [each for each in known if each is not None]
    return np.stack(told, axis=2) if told and len(told) == len(names) else None
