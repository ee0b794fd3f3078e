"""The deployment problem on a Markov lattice as one small linear program per stage and state.

The program of stage t sees demand and decides the order that arrives in year t + L (at the root those of years
0..min(L, T)), deliveries, supply from Earth, shortage, and what is stored. Its *state* are the plants M_t..M_{t+L−1}
that are already committed (with L = 0: M_{t−1}) and the store; θ stands for the discounted worth of the years to come:

    max  cash + θ
    s.t. Q + stored ≤ η·M_t + store,   Q + Q_earth + S = D_t,   θ ≤ a_k + b_k·x for every cut k,

with x the state that the program leaves, a linear function of its columns. Programs of one stage differ in D_t and in
their cuts only. Plants, oxygen and money of a stage are measured in powers of two near its mean demand, so that
coefficients stay near 1 while demand grows by orders of magnitude.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from scenario_trees.arrays import Array
from scenario_trees.lattice import MarkovLattice
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.exact.lattice_layers import require_lattice
from stochisru.lunar.information import flows
from stochisru.lunar.operations import discount_factors
from stochisru.lunar.storage import Storage
from stochisru.programs.stage import Stage

if TYPE_CHECKING:
    from stochisru.estimate import Estimate
    from stochisru.lunar.cut_plan import CutPlan


#: Plants are spread from those that the lowest demand of a stage asks for to this multiple of the highest.
_BEYOND = 1.3
#: Most oxygen in store that is tried, in years of demand.
_STORE = 1.0


@dataclass(frozen=True, eq=False)
class OxygenStage(Stage):
    """A stage of the deployment problem: columns are orders, θ, Q, Q_earth, S, stored, state; rows capacity and demand.

    Attributes
    ----------
    mass, oxygen
        Units: kg of plant, kg/yr (= η·mass).
    """

    mass: float
    oxygen: float

    def feasible(self, columns: Array, state: Array, i: int) -> Array:
        """Columns near the given ones that keep all bounds and rows in state ``i``, to rounding."""
        program = self.at(i)
        (supply, demand), capacity = program.high, program.rows[0]
        out = np.clip(columns, 0.0, self.upper[0])
        out[self.state] = state
        Q, earth, short = self.theta + 1, self.theta + 2, self.theta + 3
        room = supply - capacity @ out + out[Q]  # for deliveries and what is stored
        if short + 1 < self.state.start:
            stored = short + 1
            room += out[stored]
            out[stored] = min(out[stored], max(room, 0.0))
            room -= out[stored]
        out[Q] = min(out[Q], max(room, 0.0), demand)
        out[earth] = min(out[earth], demand - out[Q])
        out[short] = demand - out[Q] - out[earth]
        return out


@dataclass(frozen=True, eq=False)
class StagePrograms:
    """The stage programs of a case on a lattice.

    Raises
    ------
    InputError
        If case and lattice do not match.
    """

    case: DeploymentCase
    lattice: MarkovLattice
    storage: Storage | None = None

    def __post_init__(self) -> None:
        require_lattice(self.case, self.lattice)
        self.case.require_linear("SDDP")

    @property
    def horizon(self) -> int:
        """Last stage T."""
        return self.case.horizon.T

    @property
    def identity(self) -> dict[str, Any]:
        """What a checkpoint must agree in."""
        return {
            "case": self.case.digest(),
            "lattice": self.lattice.digest(),
            "storage": None if self.storage is None else asdict(self.storage),
        }

    #: Net present value is maximised.
    sign = 1.0

    @property
    def orders_up_to(self) -> bool:
        """Whether plans of order-up-to levels, whose value is known exactly, are optimal under expectation."""
        return self.storage is None

    @property
    def one_level(self) -> bool:
        """Whether the level does not depend on what is on order."""
        return self.case.horizon.lead_time <= 1

    def plan(self, root: Array, intercept: Sequence[Array], slope: Sequence[Array], neutral: bool) -> CutPlan:
        """The plan that cuts describe; see `CutPlan`."""
        from stochisru.lunar.cut_plan import CutPlan

        return CutPlan(self, root, tuple(intercept), tuple(slope), neutral=neutral)

    def with_simulated(self, plan: CutPlan, mean: Estimate) -> CutPlan:
        """A plan with its simulated mean NPV, $."""
        return replace(plan, simulated=mean)

    def spread(self, t: int, place: Array, store: Array) -> Array:
        """States leaving stage t, in their units, shape ``(k, d)``.

        Parameters
        ----------
        place
            Place in [0, 1] of the plants in their range, shape ``(k,)``.
        store
            The same of the store; one point in two starts from an empty one.
        """
        rows = []
        for year in self.committed(t + 1):
            values = self.lattice.values[year]
            values = values[values > 0] if values[-1] > 0 else np.ones(1)
            rows.append(values[0] * (_BEYOND * values[-1] / values[0]) ** place / self.case.technology.eta)
        if self.storage is not None:
            rows.append(_STORE * self.lattice.values[t][-1] * np.maximum(2 * store - 1, 0.0))
        return np.asarray(np.minimum(np.array(rows).T, self.state_upper(t + 1)) / self.state_unit(t + 1))

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

    @cached_property
    def needed(self) -> Array:
        """Plant beyond which no order of a year pays, kg, shape ``(T + 1,)``.

        Capacity never needs to exceed the largest later demand; but where plant wears out and oxygen can be stored, it
        may be cheaper to build once and to store what later years need.
        """
        highest = np.array([value[-1] for value in self.lattice.values])
        most = self.largest.copy()
        if self.storage is not None and self.case.technology.degradation > 0:
            room = np.inf if self.storage.capacity is None else self.storage.capacity
            later = 0.0  # oxygen of today that would serve all later demand
            for t in range(self.horizon, -1, -1):
                kept = later / (1 - self.storage.boil_off)
                most[t] = max(most[t], highest[t] + min(room, kept))
                later = highest[t] + kept
        return np.asarray(most / self.case.technology.eta)

    @cached_property
    def plant_upper(self) -> Array:
        """What M_t can reach, kg; see `Commitments.plant_bounds`."""
        kept = 1 - self.case.technology.degradation
        needed = self.needed.copy()
        if self.case.horizon.initial_deployment == "fixed":
            needed[0] = 0.0
        bound, left = np.empty(self.horizon + 1), self.case.technology.M0
        for t in range(self.horizon + 1):
            bound[t] = max(needed[t], left)
            left = kept * bound[t]
        return bound

    @cached_property
    def store_upper(self) -> Array:
        """What the store can hold at the end of each year, kg, shape ``(T + 1,)``."""
        bound = np.zeros(self.horizon + 1)
        if self.storage is None:
            return bound
        limit = np.inf if self.storage.capacity is None else self.storage.capacity
        left = self.storage.initial
        for t in range(self.horizon + 1):
            bound[t] = min(limit, left + self.case.technology.eta * self.plant_upper[t])
            left = (1 - self.storage.boil_off) * bound[t]
        return bound

    def arrivals(self, t: int) -> tuple[int, ...]:
        """Years in which the orders of stage t arrive."""
        lead = self.case.horizon.lead_time
        return tuple(range(min(lead, self.horizon) + 1)) if t == 0 else (t + lead,) * (t + lead <= self.horizon)

    def committed(self, t: int) -> tuple[int, ...]:
        """Years of the plants in the state from which stage t starts."""
        lead = self.case.horizon.lead_time
        if t == 0:
            return ()
        return (t - 1,) if lead == 0 else tuple(range(t, min(t + lead - 1, self.horizon) + 1))

    def state_upper(self, t: int) -> Array:
        """What the state from which stage t starts can reach, kg."""
        plants = self.plant_upper[list(self.committed(t))]
        if self.storage is None or t == 0:
            return plants
        return np.append(plants, (1 - self.storage.boil_off) * self.store_upper[t - 1])

    def state_unit(self, t: int) -> Array:
        """Units of that state, kg."""
        unit = np.full(len(self.committed(t)), self._masses[t])
        return unit if self.storage is None or t == 0 else np.append(unit, self._masses[t] * self.case.technology.eta)

    @cached_property
    def _masses(self) -> Array:
        return np.asarray(2.0 ** np.round(np.log2(self.lattice.stage_mean() / self.case.technology.eta)))

    @cached_property
    def _price(self) -> float:
        """Unit of money per kilogram of oxygen, $."""
        c, tech = self.case.costs, self.case.technology
        unit = max(self.case.economics.P_m, c.c_E, c.c_bu, (self.case.investment_cost + c.c_op) / tech.eta)
        return float(2.0 ** np.round(np.log2(unit))) if unit > 0 else 1.0

    @cached_property
    def _ceilings(self) -> tuple[Array, ...]:
        """What the years after each stage can be worth at most, $ of its year: all demand served the best way, free."""
        c = self.case.costs
        unit = max(self.case.economics.P_m - c.c_by * self.case.technology.beta, -c.c_E, -c.c_bu)
        found = [np.zeros(self.lattice.sizes[-1])]
        for t in range(self.horizon - 1, -1, -1):
            later = unit * self.lattice.values[t + 1] + found[-1]
            expected = self.lattice.transitions[t] @ later / (1 + self.case.economics.r)
            found.append(expected + 1e-12 * np.abs(expected))
        return tuple(found[::-1])

    def root(self, columns: Array) -> Array:
        """Deployments at the root, kg."""
        stage = self.stages[0]
        return np.asarray(np.maximum(columns[: stage.theta], 0.0) * stage.mass)

    @cached_property
    def stages(self) -> tuple[OxygenStage, ...]:
        """Programs of stages 0..T."""
        return tuple(self._stage(t) for t in range(self.horizon + 1))

    def _stage(self, t: int) -> OxygenStage:
        case, storage = self.case, self.storage
        c, tech, T = case.costs, case.technology, self.horizon
        kept, discount = 1 - tech.degradation, discount_factors(case)
        mass, oxygen = float(self._masses[t]), float(self._masses[t] * tech.eta)
        money = oxygen * self._price
        arrivals, committed = self.arrivals(t), self.committed(t)
        store = storage is not None
        theta = len(arrivals)
        Q, earth, short = theta + 1, theta + 2, theta + 3
        first = theta + 4 + store
        columns = first + len(committed) + (store and t > 0)
        column = np.eye(columns)

        # Plants of the years that matter, as functions of the columns.
        plant: dict[int, tuple[Array, float]] = {}
        for k, year in enumerate(committed):
            plant[year] = column[first + k], 0.0
        for k, year in enumerate(arrivals):
            before, still = plant.get(year - 1, (np.zeros(columns), tech.M0 / mass if year == 0 else 0.0))
            decay = kept if year > 0 else 1.0
            plant[year] = decay * before + column[k], decay * still
        here, standing = plant[t]

        limit = np.inf if c.earth_limit is None else c.earth_limit / oxygen
        loose = 2 * self.lattice.values[t][-1] / oxygen  # never binding, see `tree_program`
        holding = -(c.c_op + c.c_S * tech.eta) * mass / money
        cost = holding * here
        cost[: len(arrivals)] -= case.investment_cost * discount[[y - t for y in arrivals]] * mass / money
        own = case.economics.P_m - c.c_by * tech.beta + c.c_S
        cost[theta], cost[[Q, earth, short]] = 1.0, np.array([own, -c.c_E, -c.c_bu]) * oxygen / money
        upper = np.empty(columns)
        upper[: len(arrivals)] = [self.needed[y] / mass for y in arrivals]
        if t == 0 and case.horizon.initial_deployment == "fixed":
            upper[0] = 0.0
        upper[[theta, Q, earth, short]] = 0.0, loose, min(loose, limit), loose
        rows = np.stack([column[Q] - here, column[Q] + column[earth] + column[short]])
        supply, constant = standing, holding * standing
        leaving = [] if t == T else [plant[y] for y in self.committed(t + 1)]
        scale = mass / float(self._masses[t + 1]) if t < T else 1.0
        if storage is not None:
            stored = short + 1
            upper[stored] = self.store_upper[t] / oxygen
            cost[stored] = (c.c_S - storage.holding_cost) * oxygen / money
            rows[0] += column[stored]
            if t == 0:
                supply += storage.initial / oxygen
                constant -= c.c_S * storage.initial / money
            else:
                rows[0] -= column[-1]
                cost[-1] = -c.c_S * oxygen / money
            if t < T:
                leaving.append(((1 - storage.boil_off) * column[stored], 0.0))
        state = slice(first, columns)
        upper[state] = self.state_upper(t) / self.state_unit(t) if t else []
        following = discount[1] * self._masses[t + 1] / self._masses[t] if t < T else 0.0
        demand = self.lattice.values[t] / oxygen
        return OxygenStage(
            year=t,
            money=money,
            cost=cost[None],
            lower=np.zeros((1, columns)),
            upper=upper[None],
            rows=rows[None],
            low=np.stack([np.full(demand.size, -np.inf), demand], axis=1),
            high=np.stack([np.full(demand.size, supply), demand], axis=1),
            constant=np.array([constant]),
            slack=slice(0, 0),  # demand that nobody serves is a column already
            theta=theta,
            state=state,
            ceiling=self._ceilings[t] / money,
            carry=scale * np.array([row for row, _ in leaving]).reshape(len(leaving), columns),
            offset=scale * np.array([x for _, x in leaving]),
            least=np.zeros(len(leaving)),
            factor=float(following),
            mass=mass,
            oxygen=oxygen,
        )
