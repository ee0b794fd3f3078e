"""SDDP of a case with tables whose costs are not linear.

It is that of the relaxation; its plan is placed in whole lots and campaigns, and judged with all costs.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from scenario_trees.arrays import Array
from scenario_trees.lattice import MarkovLattice
from stochisru.limits import Limit
from stochisru.lunar.tables.case import GeneralCase
from stochisru.lunar.tables.fleet import Fleet
from stochisru.lunar.tables.merit_order import best_of
from stochisru.methods.result import Bounds, Kind, Reason, Result, Termination
from stochisru.methods.sddp.method import sddp
from stochisru.problem.lattice_plan import ModelCutPlan
from stochisru.problem.model import Model
from stochisru.problem.policies.by_cuts import ByCuts
from stochisru.problem.policies.follow import follow
from stochisru.problem.policies.protocol import Policy, Seen
from stochisru.problem.relaxed import relaxed
from stochisru.simulation.estimators import mean_estimate
from stochisru.simulation.of_model import simulate_policies
from stochisru.simulation.sampling import Sampling

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

#: Paths of the lattice on which a plan is judged.
_PATHS = 4096
#: Order that is a solver's rounding, kg.
_DUST = 1e-6


@dataclass(frozen=True, eq=False)
class InLots:
    """A policy for any mass, its orders up to whole lots where plant comes so and limits allow, and with campaigns.

    Attributes
    ----------
    policy
        Of the relaxation.
    fleet
        Of the case on the model that the policy is for.
    """

    name: str
    policy: Policy
    fleet: Fleet

    def decide(self, seen: Seen) -> dict[str, ArrayLike]:
        """Orders of today, and the campaigns that they need."""
        given, before = self.policy.decide(seen), self.fleet.decided(seen)
        orders = {name: amounts.copy() for name, amounts in before.items()}
        for name, years in seen.due.items():
            if name in orders:
                mass = np.broadcast_to(np.asarray(given[name], dtype=float), (len(years), seen.paths))
                orders[name][list(years)] = np.where(mass > _DUST, mass, 0.0)
        self.fleet.round_up(orders, before)
        return dict(self.fleet.due(seen, orders))

    def describe(self) -> str:
        """The rule as one sentence."""
        return f"{self.policy.describe()[:-1]}, in whole lots and campaigns, which the cuts ignore."


@dataclass(frozen=True, eq=False)
class CutsInLots(ModelCutPlan):
    """Cuts of the relaxation and the policy that they make; ``root`` is what is placed."""

    placed: InLots | None = None

    def policy(self, name: str, mapping: str | None = None) -> ByCuts:
        """The placed policy under a name."""
        plain = super().policy(name, mapping)
        return cast("ByCuts", replace(cast("InLots", self.placed), name=name, policy=plain))


def sddp_in_lots(
    case: GeneralCase,
    lattice: MarkovLattice,
    *,
    seed: int = 0,
    confidence: float = 0.95,
    progress: Callable[[Any], None] | None = None,
    **options: Any,
) -> Result[ModelCutPlan]:
    """SDDP on the linear problem below a case with lots, campaigns or economies of scale.

    Returns
    -------
    Result
        The objective is the mean NPV of the placed policy on paths of the lattice, with all costs, $ (maximised), cut
        at the upper bound, which is that of the linear problem. The lower bound is the lower end of its confidence
        interval; the termination is a limit, ``relaxation``.
    """
    model = case.model_on(lattice)
    found = cast(
        "Result[ModelCutPlan]",
        sddp(relaxed(model), lattice, seed=seed, confidence=confidence, progress=progress, **options),
    )
    start = time.perf_counter()
    rule = InLots("sddp", found.plan.policy("sddp"), Fleet(case, model))
    sample = Sampling(_PATHS, seed, "antithetic", 1, confidence)
    outcomes = simulate_policies(model, [rule], sampling=sample, process=lattice, operations=best_of(case))
    npv = outcomes.values[0]
    broken = not np.isfinite(npv).all()
    value = mean_estimate(npv, outcomes.units, confidence) if not broken else None
    bounds, upper = found.bounds, found.bounds.upper
    mean, lower = (value.value, value.lower) if value is not None else (-np.inf, -np.inf)
    plan = CutsInLots(
        found.plan.programs, _root(found.plan, model, rule), found.plan.intercept, found.plan.slope, value, rule
    )
    return replace(
        found,
        plan=plan,
        objective=min(mean, upper),
        bounds=Bounds(min(lower, upper), upper, Kind.STATISTICAL, bounds.of, bounds.flows, confidence),
        termination=Termination(
            Reason.LIMIT,
            Limit.RELAXATION,
            f"the cuts ignore lots, campaigns and scale; with all costs their plan earns {mean:,.0f} $ on {_PATHS:,} "
            "paths of the lattice; the upper bound is that of the linear problem, in which no order costs more",
        ),
        timings={**found.timings, "judge": time.perf_counter() - start},
    )


def _root(plan: ModelCutPlan, model: Model, rule: InLots) -> tuple[float, ...]:
    """What is placed at the root, in the order of the plan; any path will do, as the root knows none."""
    lattice = plan.lattice
    path: Array = np.array([[values[0] for values in lattice.values]])
    if lattice.others is not None:
        path = np.array([[lattice.known(t)[0] for t in range(lattice.horizon + 1)]])
    columns = follow(model, rule, path).plan.columns
    return tuple(float(columns[name][year]) for name, year in plan.programs.first_stage)
