"""What a deployment strategy is.

A strategy acts on all paths at once: arrays in, arrays out. At the root it commits ΔM_0..ΔM_L; from year 1 on
it places one order a year, which arrives L years later. It sees what happened up to today and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from scenario_trees.arrays import Array
from scenario_trees.origin import Origin
from stochisru.errors import InputError, require_integer
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.information import require_origin
from stochisru.lunar.operations import MeritOrder


@dataclass(frozen=True, eq=False)
class Observation:
    """What is known at the time of an order, for ``n`` paths.

    Attributes
    ----------
    case
        The problem.
    year
        Today, ``1 ≤ year ≤ T − L``.
    demand
        Demand of years 0..year, kg/yr, shape ``(year + 1, n)``.
    plant_by_year
        Plant in place in years 0..year, kg, each of shape ``(n,)``; today's is that before today's order.
    deployment_by_year
        ΔM of all years that are decided, 0..max(year + L − 1, 0), kg, each of shape ``(n,)``.
    seen
        What is seen beside demand (a regime; whether a date has come) in years 0..year, shape ``(year + 1, n, k)``;
        None where there is nothing, or paths of demand alone were given.
    """

    case: DeploymentCase
    year: int
    demand: Array
    plant_by_year: Sequence[Array] | Array
    deployment_by_year: Sequence[Array] | Array
    seen: Array | None = None

    @property
    def plant(self) -> Array:
        """Plant in place today before today's order, kg, shape ``(n,)``."""
        return self.plant_by_year[-1]

    @property
    def pipeline(self) -> Array:
        """Plant ordered before that arrives in years year + 1..year + L − 1, kg, shape ``(max(L − 1, 0), n)``."""
        arriving = self.deployment_by_year[self.year + 1 :]
        return np.array(arriving).reshape(len(arriving), self.plant.size)

    @cached_property
    def plants(self) -> Array:
        """Plant in place in years 0..year, kg, shape ``(year + 1, n)``; today's without today's order."""
        return _history(self.plant_by_year)

    @cached_property
    def deployments(self) -> Array:
        """ΔM of all years that are decided, 0..max(year + L − 1, 0), kg, shape ``(max(year + L, 1), n)``."""
        return _history(self.deployment_by_year)

    @cached_property
    def delivered(self) -> Array:
        """Oxygen from plants in years 0..year, kg/yr, shape ``(year + 1, n)``; today's without today's order."""
        return MeritOrder.of(self.case).delivered(self.capacity, self.demand)

    @property
    def capacity(self) -> Array:
        """Capacity in years 0..year, kg/yr, shape ``(year + 1, n)``; today's without today's order."""
        return self.case.technology.eta * self.plants

    def utilization(self, years: int = 1) -> Array:
        """ΣQ/ΣQcap of the last years, today included, shape ``(n,)``; NaN where there was no capacity."""
        require_integer("years", years, 1)
        made, could = self.delivered[-years:].sum(axis=0), self.capacity[-years:].sum(axis=0)
        found: Array = np.divide(made, could, out=np.full(made.shape, np.nan), where=could > 0)
        return found

    def beside(self, names: tuple[str, ...]) -> Array:
        """``seen``, for a rule that needs these names; `InputError` where it is not known."""
        if self.seen is None or self.seen.shape[2] != len(names):
            raise InputError(f"demand: the rule needs {', '.join(names)} beside demand, which given paths do not tell")
        return self.seen

    def today(self, names: tuple[str, ...]) -> Array:
        """What is seen today under these names, shape ``(n, k)``, as `beside`; of no names nothing."""
        return self.beside(names)[-1] if names else np.zeros((self.demand.shape[1], 0))

    @property
    def position(self) -> Array:
        """Plant in place and on order, kg, shape ``(n,)``."""
        pipeline = self.pipeline
        return self.plant + pipeline.sum(axis=0) if len(pipeline) else self.plant

    def projected(self) -> Array:
        """Plant that will be in place when today's order arrives, without that order, kg, shape ``(n,)``."""
        kept = 1 - self.case.technology.degradation
        lead = self.case.horizon.lead_time
        total = self.plant * kept**lead
        for i, arriving in enumerate(self.pipeline, start=1):
            total = total + arriving * kept ** (lead - i)
        return total


def _history(by_year: Sequence[Array] | Array) -> Array:
    """Years as the rows of one array, which is made where a rule asks for it."""
    rows = np.array(by_year)
    rows.setflags(write=False)
    return rows


class Strategy(Protocol):
    """A rule that deploys plants."""

    @property
    def name(self) -> str:
        """Short name, unique within a comparison."""
        ...

    def start(self, case: DeploymentCase) -> Array:
        """Deployments ΔM_0..ΔM_min(L, T) committed at the root, kg; only D_0 is known."""
        ...

    def order(self, observation: Observation) -> Array:
        """Deployment that arrives ``L`` years from today, kg ≥ 0, shape ``(n,)``."""
        ...

    def describe(self, case: DeploymentCase) -> str:
        """The rule as one sentence."""
        ...


def whole_modules(orders: Array, lot: float | None) -> Array:
    """Orders as they are placed, kg: up to whole modules of ``lot`` kg where plants come in modules.

    Rounding is no reason for one more module.
    """
    return orders if lot is None else np.ceil(orders / lot - 1e-9) * lot + 0.0  # no minus before a zero


def ignored_by(case: DeploymentCase) -> str:
    """What becomes of a rule that was made for linear costs, as the end of its sentence."""
    lot, rest = case.launch.lot, case.replace(lot=None)
    rounded = "" if lot is None else f"; every order is rounded up to whole modules of {lot:g} kg"
    ignored = rest.describe_scale()
    return f"{rounded}; it ignores {ignored}." if ignored else f"{rounded}."


def root_years(case: DeploymentCase) -> int:
    """Number of deployments that are committed at the root."""
    return min(case.horizon.lead_time, case.horizon.T) + 1


def first_arrival(case: DeploymentCase) -> int:
    """First year in which plants may arrive."""
    return 0 if case.horizon.initial_deployment == "free" else 1


def require_made_for(
    name: str, made_of: str, made_for: DeploymentCase, origin: Origin | None, case: DeploymentCase
) -> None:
    """Refuse a case of another horizon, lead time or process of demand than a plan was made for.

    Parameters
    ----------
    name
        Name of the strategy.
    made_of
        What its plan is on, ``tree`` or ``lattice``.
    made_for
        The plan's case.
    origin
        Origin of its tree or lattice; None is the user's own belief, which may be judged on any process.
    """
    there, here = made_for.horizon, case.horizon
    if (here.T, here.lead_time) != (there.T, there.lead_time):
        raise InputError(
            f"strategy {name}: its {made_of} has T = {there.T} and lead time {there.lead_time}, "
            f"the case has T = {here.T} and lead time {here.lead_time}"
        )
    way = f"solve on {made_of}.as_belief() to judge what is best under one process on another"
    try:
        require_origin(case, made_of, origin, way)
    except InputError as error:
        raise InputError(f"strategy {name}: its {error}") from None


def require_process(name: str, origin: Origin | None, case: DeploymentCase) -> None:
    """Refuse a case of another process of demand than a policy without tree or lattice was made for."""
    try:
        require_origin(case, "policy", origin, "take policy.as_belief() to judge it on another process")
    except InputError as error:
        raise InputError(f"strategy {name}: its {error}") from None


def believed(origin: Origin | None) -> str:
    """Words for the description of a rule whose tree or lattice is of the user's own numbers."""
    return " of one's own numbers (not made from the case's process)" if origin is None else ""
