"""Orders of this year by programs: the cuts of SDDP where costs are linear, the extensive form elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import cast

import numpy as np

from scenario_trees.arrays import Array
from scenario_trees.tree import ScenarioTree
from stochisru.errors import InfeasibleError, InputError
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.deciding.orders import PASSES, FirstOrders, Holding, Placed
from stochisru.lunar.deciding.standing import OrderOf, open_orders
from stochisru.lunar.plan_file import TECHNOLOGY
from stochisru.lunar.tables.case import GeneralCase, is_general
from stochisru.lunar.tables.plants import plants
from stochisru.lunar.trees import case_tree
from stochisru.lunar.values.upper import growing
from stochisru.methods.jensen import BINS, Grown, why_no_jensen
from stochisru.methods.result import Of
from stochisru.methods.risk import Expectation
from stochisru.methods.sddp.engine import Engine
from stochisru.methods.sddp.trials import Trials
from stochisru.problem.bounds import ColumnBounds, column_bounds, said_bounds
from stochisru.problem.coefficients import Coefficient
from stochisru.problem.information import Recourse
from stochisru.problem.lattice_problem import ModelOnLattice
from stochisru.problem.model import Model
from stochisru.problem.on_tree import TreeProgram, program_of
from stochisru.problem.parts import Decision, Part, Row, State
from stochisru.problem.sheet import Sheet
from stochisru.programs.sparse import Solution, solve_to_gap
from stochisru.programs.stage_model import StageModel

#: States of a lattice per stage.
_STATES = 32
#: Gap and seconds of a program with whole numbers: what is lost by an order is a difference of two optima.
_GAP, _SECONDS = 1e-6, 5.0
#: Rounding of a bound.
_JUST = 1 + 1e-12
_LATER = "In every later year decide again, with the demand seen by then"


def by_program(case: DeploymentCase | GeneralCase, ordered: Mapping[str, Array], passes: int = PASSES) -> FirstOrders:
    """Orders of this year of a case by a program.

    Raises
    ------
    InputError
        If risk is nested, which no tree as a whole and no cuts of the expectation know; or what is ordered already is
        more than limits allow.
    """
    if not is_general(case):
        return OnTree(case, ordered)
    if case.risk is not None and case.risk.kind == "nested":
        raise InputError(
            'risk.kind: "nested" has no order of its own here; solve --method sddp takes it, decide takes "total"'
        )
    if case.is_linear and case.risk is None and not case.factors:
        return OnCuts(case, ordered, passes)
    return OnTree(case, ordered)


def with_ordered(model: Model, case: DeploymentCase | GeneralCase, ordered: Mapping[str, Array]) -> Model:
    """The model where plant is ordered already: it is there in its year, takes its share of limits, and is paid.

    Raises
    ------
    InputError
        If it is more than a limit on what arrives in a year allows.
    """
    suffixes = {kind.name: kind.suffix for kind in plants(case)} if is_general(case) else {TECHNOLOGY: ""}
    parts: list[Part] = []
    coming = {f"dM{suffixes[name]}": amounts for name, amounts in ordered.items() if amounts.any()}
    if not coming:
        return model
    for part in model.parts:
        if isinstance(part, Decision) and part.name in coming:
            amounts = np.zeros(model.horizon + 1)
            amounts[: coming[part.name].size] = coming[part.name]
            fixed = tuple(amounts.tolist())
            parts.append(Decision(_already(part.name), lead=part.lead, lower=fixed, upper=fixed))
            # A fixed cost is paid once a year, and then already.
            fixed_cost = cast("tuple[float, ...]", _where_none(part.fixed_cost, amounts))
            parts.append(replace(part, upper=_less(part, amounts), fixed_cost=fixed_cost))
        elif isinstance(part, Decision) and part.name == "campaign":
            flying = np.zeros(model.horizon + 1)
            for amounts in coming.values():
                flying[: amounts.size] += amounts
            parts.append(replace(part, cost=_where_none(part.cost, flying)))
        elif isinstance(part, State) and coming.keys() & part.gains.keys():
            more = {_already(name): gain for name, gain in part.gains.items() if name in coming}
            parts.append(replace(part, gains={**part.gains, **more}))
        elif isinstance(part, Row) and part.name == "launch_mass":
            more = {_already(name): mass for name, mass in part.terms.items() if name in coming}
            parts.append(replace(part, terms={**part.terms, **more}))
        else:
            parts.append(part)
    return replace(model, parts=tuple(parts))


def _where_none(cost: Coefficient, amounts: Array) -> Coefficient:
    """A cost by year, but nothing in years in which plant is on its way."""
    if not np.any(amounts > 0) or callable(cost):
        return cost
    return tuple(np.where(amounts > 0, 0.0, np.asarray(cost, dtype=float)).tolist())


def _already(name: str) -> str:
    return f"ordered_{name}"


def _less(part: Decision, amounts: Array) -> tuple[float, ...] | None:
    """What limits leave of a decision beside what is ordered already."""
    if part.upper is None:
        return None
    left = np.broadcast_to(np.asarray(part.upper, dtype=float), amounts.shape) - amounts
    over = np.flatnonzero((left < 0) & (amounts > 0))
    if over.size:
        t = int(over[0])
        raise InputError(
            f"pipeline: year {t} has {amounts[t]:g} kg, more than build_limit or launch.mass_limit lets arrive in a "
            f"year, {amounts[t] + left[t]:g} kg"
        )
    return tuple(np.maximum(left, 0.0).tolist())


@dataclass(frozen=True, eq=False)
class OnPrograms:
    """What orders by programs share."""

    case: DeploymentCase | GeneralCase
    ordered: Mapping[str, Array]

    @property
    def positions(self) -> Mapping[int, float]:
        """None."""
        return {}

    @cached_property
    def places(self) -> tuple[OrderOf, ...]:
        """The orders that can be placed."""
        return open_orders(self.case)

    @cached_property
    def keys(self) -> dict[OrderOf, tuple[str, int]]:
        """Decision of the model and year of every order."""
        if not is_general(self.case):
            return {order: ("dM", order.arrival) for order in self.places}
        suffixes = {kind.name: kind.suffix for kind in plants(self.case)}
        return {order: (f"dM{suffixes.get(order.technology, '')}", order.arrival) for order in self.places}


@dataclass(frozen=True, eq=False)
class OnTree(OnPrograms):
    """Orders at the root of a scenario tree, by its program."""

    of = Of.TREE
    points, steps = 11, 7

    @cached_property
    def tree(self) -> ScenarioTree:
        """The tree that is made for the case."""
        return case_tree(self.case)

    @property
    def method(self) -> str:
        """The extensive form."""
        return f"extensive form of a tree of {self.tree.n_leaves:,} scenarios"

    @property
    def rule(self) -> str:
        """Decide again."""
        return f"{_LATER}: this year's order is the root of a tree, which has no rule for demand between its nodes."

    @cached_property
    def _sheet(self) -> Sheet:
        model = self.case.model_on(self.tree) if is_general(self.case) else self.case.model
        return Sheet(with_ordered(model, self.case, self.ordered), self.tree, Recourse())

    @cached_property
    def _stated(self) -> TreeProgram:
        return self._with_room(0.0)

    def _with_room(self, more: float) -> TreeProgram:
        """The program with room for so much more than is ever best, kg: what is ordered or held may be that."""
        coming = more + sum(float(amounts.sum()) for amounts in self.ordered.values())
        room = {name: more for name, _ in self.keys.values()} | {s.name: coming for s in self._sheet.model.states}
        fixed = {_already(name) for name, _ in self.keys.values()}
        bounds = {
            name: ColumnBounds(lower, upper + room.get(name, 0.0))
            for name, (lower, upper) in column_bounds(self._sheet).items()
        }
        bounds |= {
            part.name: said_bounds(self._sheet, part) for part in self._sheet.model.decisions if part.name in fixed
        }
        return program_of(self._sheet, bounds)

    def _column(self, order: OrderOf) -> int:
        name, year = self.keys[order]
        return int(self._stated.program.columns[name].start + self._stated.places[name].at(year).start)

    def _most(self, order: OrderOf) -> float:
        """What limits let arrive, kg."""
        name, year = self.keys[order]
        said = self._sheet.model[name].upper  # type: ignore[union-attr]
        return (
            np.inf
            if said is None
            else float(np.broadcast_to(np.asarray(said, dtype=float), self.case.horizon.T + 1)[year])
        )

    @cached_property
    def _free(self) -> Solution:
        return solve_to_gap(self._stated.program, rel_gap=_GAP, time_limit=_SECONDS)

    @cached_property
    def _gaps(self) -> list[float]:
        """Gaps of all programs that were solved, $."""
        return []

    @property
    def error(self) -> float:
        """Largest gap of the programs with whole numbers so far."""
        mixed = bool(self._stated.program.integer.any())
        return max(self._gaps, default=0.0) if mixed else 0.0

    def best(self, held: Holding | None = None) -> Placed | None:
        """Best orders where some are held."""
        if not held:
            return self._placed(self._free)
        program = self._with_room(sum(held.values())).program
        lower, upper = program.lower.copy(), program.upper.copy()
        for order, kg in held.items():
            column = self._column(order)
            if not lower[column] <= kg <= self._most(order) * _JUST:
                return None
            lower[column] = upper[column] = min(kg, upper[column], self._most(order))
        try:
            return self._placed(solve_to_gap(program.with_bounds(lower, upper), rel_gap=_GAP, time_limit=_SECONDS))
        except InfeasibleError:
            return None

    def _placed(self, found: Solution) -> Placed:
        self._gaps.append(abs(found.bound - found.objective))
        taken = self._stated.taken(found.x)
        return Placed({order: float(taken[self._column(order)]) for order in self.places}, found.objective)


@dataclass(frozen=True, eq=False)
class OnCuts(OnPrograms):
    """Orders at the root of the programs of SDDP: their cuts price what every order leaves behind."""

    passes: int = PASSES
    of = Of.LATTICE
    points, steps = 21, 5

    @cached_property
    def _trained(self) -> Engine:
        """The engine with its cuts."""
        programs = self._programs
        engine, trials = Engine(programs, Expectation()), Trials(programs, 0)
        for number in range(self.passes):
            engine.absorb(trials.rows(engine, number, 0, 1))
        return engine

    @property
    def error(self) -> float:
        """Not known: cuts bound worth from above, and least well where none were made, as at orders that are held."""
        return float("nan")

    @cached_property
    def _programs(self) -> ModelOnLattice:
        assert is_general(self.case)
        grows = with_ordered(growing(self.case), self.case, self.ordered)
        if why_no_jensen(grows) is None:
            return Grown.of(grows, BINS)
        lattice = self.case.lattice(_STATES)
        return with_ordered(self.case.model_on(lattice), self.case, self.ordered).on_lattice(lattice)

    @property
    def _knows_demand(self) -> bool:
        return isinstance(self._programs, Grown)

    @property
    def method(self) -> str:
        """SDDP."""
        if self._knows_demand:
            return f"SDDP with cuts that know demand, {BINS} bins of a year's growth"
        return f"SDDP on a lattice of up to {max(self._programs.lattice.sizes)} states a year"

    @property
    def rule(self) -> str:
        """Decide again."""
        return f"{_LATER}: the best order depends on demand and all plant that is there or on its way."

    def best(self, held: Holding | None = None) -> Placed | None:
        """Best orders where some are held."""
        programs, engine = self._programs, self._trained
        stage = programs.stages[0]
        lower, upper = stage.lower.copy(), stage.upper.copy()
        place = {key: j for j, key in enumerate(programs.own[0])}
        for order, kg in (held or {}).items():
            j, unit = place[self.keys[order]], programs.unit(self.keys[order])
            if not lower[0, j] <= kg / unit <= upper[0, j] * _JUST:
                return None
            lower[:, j] = upper[:, j] = min(kg / unit, upper[0, j])
        model = StageModel(replace(stage, lower=lower, upper=upper), 0)
        intercept, slope, _ = engine.pool.of(0)
        rows = engine.kept[0][0]
        model.add(intercept[rows, 0], slope[rows, 0])
        try:
            columns, _ = model.solve(np.empty(0), 0)
        except InfeasibleError:
            return None
        worth = stage.money * (stage.at(0).constant + float(stage.at(0).cost @ columns))
        amounts = dict(zip(programs.first_stage, programs.root(columns), strict=True))
        return Placed({order: max(0.0, float(amounts.get(self.keys[order], 0.0))) for order in self.places}, worth)
