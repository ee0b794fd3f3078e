"""Orders of this year, solved again with some of them held: by whatever solves the case best.

- The exact policy where there is one, on the process.
- A lattice, by layers of plant or by levels, where the case is a base one and its costs are linear or concave.
- The cuts of SDDP where costs are linear; of cuts that know demand where there are such.
- The extensive form of a tree for all else: several factors, a measure of risk, whole numbers.

Plant that is ordered already is there in its year whatever is decided, and paid. What orders are worth is then expected
NPV with it, and what is lost by ordering another amount a difference of two such values on the same ground.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from scenario_trees.arrays import Array
from scenario_trees.processes import HistoricalIncrements
from stochisru.errors import InputError
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.deciding.standing import OrderOf, open_orders
from stochisru.lunar.exact import by_year, lattice_root, threshold
from stochisru.lunar.exact.by_year import why_no_exact_policy
from stochisru.lunar.exact.lattice_layers import LatticeLayers
from stochisru.lunar.exact.level_root import RootLevels
from stochisru.lunar.exact.root_plan import RootProblem
from stochisru.lunar.exact.threshold import Recursion
from stochisru.lunar.solving import has_exact_policy, made_for
from stochisru.lunar.tables.case import GeneralCase, is_general
from stochisru.methods.registry import method_named
from stochisru.methods.result import Of

#: Passes of SDDP.
PASSES = 6
#: States of a lattice per stage up to which it takes well under a second.
_FEW = 150
#: Orders that are held, kg.
Holding = Mapping[OrderOf, float]


@dataclass(frozen=True)
class Placed:
    """Orders of this year, and what they and all that follows are worth, $ of expected NPV."""

    orders: Mapping[OrderOf, float]
    worth: float

    @property
    def total(self) -> float:
        """All of them, kg."""
        return float(sum(self.orders.values()))


class FirstOrders(Protocol):
    """Orders of this year of a case."""

    @property
    def of(self) -> Of:
        """What stands for the future."""

    @property
    def method(self) -> str:
        """How they are found, in a few words."""

    @property
    def rule(self) -> str:
        """What to do after this year, in one sentence."""

    @property
    def positions(self) -> Mapping[int, float]:
        """k_t of later years by year of order, kg of plant per kg/yr of demand; empty where there is no such rule."""

    @property
    def places(self) -> tuple[OrderOf, ...]:
        """The orders that can be placed."""

    @property
    def error(self) -> float:
        """How far worth may be off beside what stands for the future, $: of a solver, or of cuts that still move."""

    @property
    def points(self) -> int:
        """Amounts of an order that are held for what is lost by them: fewer where each takes its time."""

    @property
    def steps(self) -> int:
        """Halvings of an interval of demands in which an order changes: each makes the ground anew."""

    def best(self, held: Holding | None = None) -> Placed | None:
        """Best orders where some are held; None where there is no plan with these."""


def first_orders(case: DeploymentCase | GeneralCase, ordered: Mapping[str, Array], passes: int = PASSES) -> FirstOrders:
    """Orders of this year of a case, by what solves it best.

    Parameters
    ----------
    ordered
        What arrives whatever is decided, kg by technology and year, see `stochisru.lunar.deciding.standing.ordered`.
    passes
        Of SDDP, where that is what solves it.

    Raises
    ------
    InputError
        If nothing solves the case.
    """
    from stochisru.lunar.deciding.programs import by_program

    if isinstance(case.demand.made(), HistoricalIncrements):
        raise InputError(
            "demand.process: historical repeats what was seen and is for simulation only; decide takes all others, and "
            "--calibrate with one of them takes its parameters from the history"
        )
    if is_general(case):
        if why_no_exact_policy(case) is None:
            return AtRoot(case, _only(ordered))
        return by_program(case, ordered, passes)
    if has_exact_policy(case):
        return AtRoot(case, _only(ordered))
    if method_named("lattice-dp").refuses(case) is not None:
        return by_program(case, ordered, passes)
    return AtRoot(case, _only(ordered)) if case.is_linear else OnLevels(case, _only(ordered))


def _only(ordered: Mapping[str, Array]) -> Array:
    (amounts,) = ordered.values()
    return amounts


@dataclass(frozen=True, eq=False)
class AtRoot:
    """Orders layer by layer: on the process where the exact policy exists, else on a lattice."""

    case: DeploymentCase | GeneralCase
    ordered: Array
    points, error = 21, 0.0

    @property
    def steps(self) -> int:
        """Fewer where states are many."""
        return 12 if self._exact or self._states <= _FEW else 5

    @property
    def of(self) -> Of:
        """The process, or a lattice."""
        return Of.PROCESS if self._exact else Of.LATTICE

    @property
    def method(self) -> str:
        """The exact policy, or layers of a lattice."""
        return "exact policy" if self._exact else f"exact on a lattice of up to {self._states} states a year"

    @cached_property
    def _exact(self) -> bool:
        return is_general(self.case) or has_exact_policy(self.case)

    @cached_property
    def _layers(self) -> LatticeLayers:
        assert not is_general(self.case)
        lattice = made_for(self.case, method_named("lattice-dp"))
        return LatticeLayers(self.case, lattice)  # type: ignore[arg-type]

    @property
    def _states(self) -> int:
        return max(self._layers.lattice.sizes)

    @cached_property
    def _solved(self) -> tuple[RootProblem, Mapping[int, float]]:
        case, positions = self.case, {}
        recursion: Recursion | None
        if is_general(case):
            problem, recursion = by_year.root_problem(case)
        elif self._exact:
            tabulated = threshold.is_tabulated(case)
            problem, recursion = threshold.root_problem(case if tabulated else case.replace(sigma=0.0))
        else:
            return lattice_root.root_problem(self._layers), {}
        if recursion is not None:
            last = case.horizon.T - (self.ordered.size - 1)
            positions = {t: float(np.exp(recursion.log_position(t))) for t in range(1, last + 1)}
        return problem, positions

    @property
    def positions(self) -> Mapping[int, float]:
        """k_t of the exact policy."""
        return self._solved[1]

    @property
    def rule(self) -> str:
        """Order up to a multiple of demand."""
        lead, last = self.ordered.size - 1, self.case.horizon.T - (self.ordered.size - 1)
        if last < 1:
            return "Nothing that is ordered later arrives within the horizon."
        if not self._exact:
            seen = ", demand and belief" if len(self._layers.lattice.names) > 1 else " and demand"
            return f"In every later year order up to a multiple of that year's demand which depends on the year{seen}."
        ordering = {t: k for t, k in self.positions.items() if k > 0}
        if not ordering:
            return "Order nothing in later years, whatever demand does."
        first, end = min(ordering), max(ordering)
        span = f"k_{first} = {ordering[first]:.4g}"
        if end > first:
            span += f" to k_{end} = {ordering[end]:.4g}"
        plant = "that year's plant" if lead == 0 else f"the plant of year t + {lead}"
        nothing = "" if end == last else f"; from year {end + 1} on order nothing"
        return f"In every later year t raise {plant} to k_t·D_t, {span} kg per kg/yr, and order nothing above{nothing}."

    @cached_property
    def places(self) -> tuple[OrderOf, ...]:
        """The orders that can be placed."""
        return open_orders(self.case)

    def best(self, held: Holding | None = None) -> Placed:
        """Best orders where some are held: a held order is plant on its way, less its price."""
        problem, fixed = self._solved[0], np.zeros(self.ordered.size)
        allowed = problem.allowed.copy()
        for order, kg in (held or {}).items():
            fixed[order.arrival], allowed[order.arrival] = kg, False
        there = self.ordered + fixed
        root = problem.best(there, allowed)
        paid = float(problem.unit.bill(np.arange(fixed.size)) @ fixed)
        orders = {order: float(root[order.arrival] + fixed[order.arrival]) for order in self.places}
        return Placed(orders, problem.value(root, there) - paid)


@dataclass(frozen=True, eq=False)
class OnLevels:
    """Orders on levels of plant of a lattice: lots, fixed costs and costs that fall with size."""

    case: DeploymentCase
    ordered: Array
    of, error = Of.LATTICE, 0.0

    @property
    def positions(self) -> Mapping[int, float]:
        """None."""
        return {}

    @cached_property
    def _levels(self) -> RootLevels:
        lattice = made_for(self.case, method_named("lattice-dp"))
        return RootLevels(self.case, lattice, self.ordered)  # type: ignore[arg-type]

    @property
    def points(self) -> int:
        """Fewer where levels are not lots: an order that is held needs levels of its own."""
        return 21 if self.case.launch.lot is not None else 9

    @property
    def steps(self) -> int:
        """Fewer where there are many levels."""
        return 12 if self.case.launch.lot is not None else 7

    @property
    def method(self) -> str:
        """Levels of a lattice."""
        states, levels = max(self._levels.lattice.sizes), self._levels.problem.levels.size
        return f"exact on a lattice of up to {states} states a year and {levels:,} levels of plant"

    @property
    def rule(self) -> str:
        """A level."""
        if self.ordered.size - 1 >= self.case.horizon.T:
            return "Nothing that is ordered later arrives within the horizon."
        seen = ", demand, belief" if len(self._levels.lattice.names) > 1 else ", demand"
        return f"In every later year raise plant to a level that depends on the year{seen} and the plant there is."

    @cached_property
    def places(self) -> tuple[OrderOf, ...]:
        """The orders that can be placed."""
        return open_orders(self.case)

    def best(self, held: Holding | None = None) -> Placed | None:
        """Best orders where some are held."""
        worth, root = self._levels.best({order.arrival: kg for order, kg in (held or {}).items()})
        if not np.isfinite(worth):
            return None
        return Placed({order: float(root[order.arrival]) for order in self.places}, worth)
