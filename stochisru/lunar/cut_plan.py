"""A plan that is read off the cuts of a lattice: what SDDP finds."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from scenario_trees.arrays import Array, Index
from scenario_trees.lattice import MarkovLattice
from stochisru.errors import InputError
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.exact.envelope import envelope_argmax
from stochisru.lunar.exact.lattice_layers import LatticeLayers
from stochisru.lunar.exact.lattice_plan import LatticePlan
from stochisru.lunar.operations import MeritOrder, discount_factors
from stochisru.lunar.orders import RootOrders
from stochisru.lunar.stage_program import StagePrograms
from stochisru.lunar.stage_report import ProblemReport, report_of
from stochisru.lunar.storage import Storage
from stochisru.shown import PlanShown

if TYPE_CHECKING:
    import pandas as pd

    from stochisru.estimate import Estimate
    from stochisru.lunar.strategies.protocol import Strategy


@dataclass(frozen=True, eq=False, repr=False)
class CutPlan(RootOrders, PlanShown):
    """Deployments at the root, and cuts that price what every state leaves behind.

    Attributes
    ----------
    root
        ΔM_0..ΔM_min(L, T), kg.
    intercept
        Per stage 0..T−1: intercepts of the cuts of every state, $ of year 0, shape ``(states, cuts)``. Rows are filled
        up with infinity.
    slope
        Their slopes, $ of year 0 per kilogram in the state that the stage leaves (plants of years t + 1..t + L, then
        the store), shape ``(states, cuts, d)``. With L = 0 the plant is that of year t.
    simulated
        Mean NPV of the plan on fresh paths of the lattice, $, with its confidence interval.
    neutral
        Whether the cuts are of the expectation.
    """

    programs: StagePrograms
    root: Array
    intercept: tuple[Array, ...]
    slope: tuple[Array, ...]
    simulated: Estimate | None = None
    neutral: bool = True

    @property
    def case(self) -> DeploymentCase:
        """The problem."""
        return self.programs.case

    @property
    def lattice(self) -> MarkovLattice:
        """The lattice."""
        return self.programs.lattice

    @property
    def storage(self) -> Storage | None:
        """The store, if there is one."""
        return self.programs.storage

    @property
    def cuts(self) -> int:
        """Cuts of all states."""
        return int(sum(np.isfinite(a).sum() for a in self.intercept))

    @cached_property
    def report(self) -> ProblemReport:
        """Size and coefficients of the stage programs."""
        return report_of(self.programs)

    @property
    def size(self) -> dict[str, int]:
        """States, programs with their rows and columns, and cuts."""
        report = self.report
        return {
            "states": report.states,
            "states_per_stage": max(self.lattice.sizes),
            "programs": report.models,
            "rows": report.rows,
            "columns": report.columns,
            "cuts": self.cuts,
        }

    def level(self, t: int, state: int, passing: Array) -> Array:
        """Plant to have in place in year t + L, kg, in a state of stage t, shape ``(n,)``.

        Parameters
        ----------
        t
            1 ≤ t ≤ T − L.
        passing
            Plants of years t + 1..t + L − 1, kg, shape ``(max(L − 1, 0), n)``.
        """
        lead = self.case.horizon.lead_time
        n = passing.shape[1]
        price = self._price(t + lead)
        upper = float(self.programs.largest[t + lead] / self.case.technology.eta)
        if t == self.programs.horizon:  # only with L = 0
            a, b = np.zeros((n, 1)), np.zeros((n, 1))
        else:
            slope = self.slope[t][state]
            a = np.tile(self.intercept[t][state], (n, 1))
            for k, plant in enumerate(passing):
                a += slope[None, :, k] * plant[:, None]
            b = np.tile(slope[:, len(passing)], (n, 1))
        if lead == 0:
            now_a, now_b = self._present(t, state)
            a, b = (a[:, :, None] + now_a).reshape(n, -1), (b[:, :, None] + now_b).reshape(n, -1)
        return envelope_argmax(a, b - price, upper)

    def _price(self, year: int) -> float:
        """Cost of a kilogram of plant in a year, $ of year 0: to deploy it, and to keep it whatever it makes."""
        worth = self.programs.sheet.worth
        return -float(worth["dM"][year] + worth["M"][year])

    def _present(self, t: int, state: int) -> tuple[Array, Array]:
        """What M_t earns in year t, $ of year 0, as the lower envelope of lines; what it costs is in `_price`."""
        merit, eta = MeritOrder.of(self.case), self.case.technology.eta
        demand = self.lattice.values[t][state]
        beyond = float(merit.beyond_earth(np.array([demand]))[0])
        first, second = merit.against_shortage, merit.against_alternative
        intercept = np.array([0.0, (first - second) * beyond, (first - second) * beyond + second * demand])
        slope, today = np.array([first, second, 0.0]) * eta, float(discount_factors(self.case)[t])
        kept = slice(0, 3) if merit.limited else slice(1, 3)
        intercept = intercept if merit.limited else intercept - (first - second) * beyond
        return today * intercept[kept], today * slope[kept]

    @cached_property
    def levels(self) -> tuple[Array, ...]:
        """Order-up-to level of every state of stages 1..T−L, kg.

        With L ≥ 2 the cuts' level depends on the plants on order, though the best one does not: the level given here is
        that with as much plant on order in every year as leads to the level itself by decay.

        Raises
        ------
        InputError
            If the plan has a store, whose content it depends on too.
        """
        if self.storage is not None:
            raise InputError("storage: with a store the plan has no order-up-to levels")
        lead = self.case.horizon.lead_time
        found = []
        for t in range(1, self.programs.horizon - lead + 1):
            row = [float(self._flat_level(t, i)) for i in range(self.lattice.sizes[t])]
            found.append(np.array(row))
        return tuple(found)

    def _flat_level(self, t: int, state: int) -> float:
        lead, kept = self.case.horizon.lead_time, 1 - self.case.technology.degradation
        if lead <= 1:
            return float(self.level(t, state, np.zeros((0, 1)))[0])
        before = kept ** -np.arange(lead - 1.0, 0.0, -1.0) if kept > 0 else np.ones(lead - 1)
        price = self._price(t + lead)
        slope = self.slope[t][state]
        # Along this line of states the last plant alone pays; the others are there already and bring what they bring.
        m = np.unique(np.append(self._candidates(t), 0.0))
        worth = self.intercept[t][state][:, None] + (slope[:, -1:] + slope[:, :-1] @ before[:, None]) * m
        active = worth.argmin(axis=0)
        falls = slope[active, -1] <= price
        return float(m[falls.argmax()]) if falls.any() else float(m[-1])

    def _candidates(self, t: int) -> Array:
        """Plants at which demand of later years is served, kg."""
        eta, lead = self.case.technology.eta, self.case.horizon.lead_time
        upper = float(self.programs.largest[t + lead] / eta)
        return np.minimum(np.geomspace(self.lattice.values[t][0] / eta / 4, upper, 400), upper)

    @property
    def orders_up_to(self) -> bool:
        """Whether the plan is an order-up-to level per stage and state: no store, and expectation or L ≤ 1."""
        return self.storage is None and (self.neutral or self.case.horizon.lead_time <= 1)

    @property
    def details(self) -> dict[str, Any]:
        """Process that the lattice was made from, None for one's own numbers, and the mean on fresh paths of it."""
        found: dict[str, Any] = {"origin": self.lattice.origin}
        if self.simulated is not None:
            found["simulated"] = {name: getattr(self.simulated, name) for name in ("value", "lower", "upper")}
        return found

    def to_frame(self) -> pd.DataFrame:
        """One row per state of stages 1..T−1.

        Returns
        -------
        pandas.DataFrame
            ``stage``, ``state``, ``demand`` (kg/yr), ``probability``, ``cuts`` and, where the plan orders up to a
            level, ``level`` (kg, for year ``stage`` + L) and ``trigger`` as in `LatticePlan`, else NaN.
        """
        import pandas as pd

        stages = range(1, self.programs.horizon)
        sizes = [self.lattice.sizes[t] for t in stages]
        empty = [np.zeros(0)]
        table = pd.DataFrame(
            {
                "stage": np.repeat(np.array(stages, dtype=np.int64), sizes),
                "state": np.concatenate([np.arange(n) for n in sizes] + [np.zeros(0, dtype=np.int64)]),
                "demand": np.concatenate([self.lattice.values[t] for t in stages] + empty),
                "probability": np.concatenate([self.lattice.probabilities[t] for t in stages] + empty),
                "cuts": np.concatenate([np.isfinite(self.intercept[t]).sum(axis=1) for t in stages] + empty).astype(
                    int
                ),
            }
        )
        if not self.orders_up_to:
            return table.assign(level=np.nan, trigger=np.nan)
        levels = self._as_lattice_plan().to_frame()[["stage", "state", "level", "trigger"]]
        return table.merge(levels, how="left", on=["stage", "state"])

    def _as_lattice_plan(self) -> LatticePlan:
        return LatticePlan(self.case, self.lattice, self.root, self.levels)

    def policy(self, name: str, mapping: str | None = None) -> Strategy:
        """The plan as a strategy on any path of demand.

        It is a `LatticePolicy` of order-up-to levels; under nested risk with L ≥ 2 the cuts of the neighbouring states
        are evaluated, see `stochisru.lunar.strategies.cut_policy`.

        Raises
        ------
        InputError
            If a mapping is given, or the plan has a store, which strategies do not know.
        """
        if mapping is not None:
            raise InputError(f"mapping: plans on a lattice take none, got {mapping!r}")
        if self.storage is not None:
            raise InputError("storage: strategies know no store; simulate the plan on its lattice with plan.simulate")
        if self.orders_up_to:
            return self._as_lattice_plan().policy(name)
        from stochisru.lunar.strategies.cut_policy import CutPolicy

        return CutPolicy(plan=self, name=name)

    def exact_value(self) -> float:
        """Expected NPV, $, on the lattice of the plan's `levels`."""
        return LatticeLayers(self.case, self.lattice).value(self.root, self.levels)

    def simulate(self, paths: int = 1000, *, seed: int = 0, confidence: float = 0.95) -> Estimate:
        """Mean NPV on fresh paths of the lattice, $, with its confidence interval."""
        from stochisru.lunar.cut_simulation import simulate_on_lattice

        return simulate_on_lattice(self, paths, seed, confidence)


def plant_paths(plan: CutPlan, states: Index) -> Array:
    """Plants of a plan without store on paths of the lattice, kg, shape ``(T + 1, n)``."""
    case, T = plan.case, plan.programs.horizon
    lead, kept = case.horizon.lead_time, 1 - case.technology.degradation
    plant = np.empty(states.shape)
    left = case.technology.M0
    for t, mass in enumerate(plan.root):
        plant[t] = left + mass
        left = kept * plant[t]
    for t in range(1, T - lead + 1):
        before = kept * plant[t + lead - 1]
        target = np.empty(states.shape[1])
        for i in np.unique(states[t]):
            here = states[t] == i
            if plan.orders_up_to:
                target[here] = plan.levels[t - 1][i]
            else:
                target[here] = plan.level(t, int(i), plant[t + 1 : t + lead, here])
        plant[t + lead] = np.maximum(before, target)
    return plant
