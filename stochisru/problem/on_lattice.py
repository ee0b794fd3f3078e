"""The stage programs of a model on a Markov lattice, as SDDP takes them.

The program of stage s holds the columns that are known there: decisions of year s + lead, operations of year s, and the
states that follow from them, years of one part with a lead before others. Its *state* are the columns of earlier
stages that rows of this stage or a later one still refer to: plant that is committed, orders on the way, what is in
store. A state of the model that has no bound to keep but those that its balance implies needs no column at its own
stage: it is the sum of what is added and what is left. Programs of one stage differ between its states in right sides,
bounds and coefficients that depend on factors. All money is discounted to year 0 and maximised. Columns and money of a
stage are measured in powers of two near the size that they may have.

A stage may start from states in which its rows cannot be kept. What is then missing is bought at a price far above all
others: the bound from above stays one, and a plan that buys any is no plan. Rows that can be kept from everywhere
(`stochisru.problem.missing`) have no such slack.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from scenario_trees.arrays import Array
from scenario_trees.lattice import MarkovLattice
from stochisru.errors import InputError
from stochisru.problem.coefficients import Number
from stochisru.problem.lattice_sheet import LatticeSheet
from stochisru.problem.missing import Missing
from stochisru.problem.model import Model
from stochisru.problem.parts import Row, State
from stochisru.problem.tree_problem import flows_on_mean_path
from stochisru.programs.stage import Duals, Stage
from stochisru.programs.stage_model import StageModel

#: A column: its part and its year.
Key = tuple[str, int]
#: Price of what is missing in a row, in units in which costs and coefficients are 1 at most.
_PRICE = 1e3
#: Steps of trial points in the entries of a state: the golden section spreads any number of them evenly.
_GOLDEN = 0.6180339887498949
#: Trial points of a state with an ``enough`` reach from its least to this multiple of its largest.
_BEYOND = 1.3
#: Least unit of money of a stage, in that of the next.
_FALL = 2.0**-10
#: Least size of a column where factors are as expected, in terms of the largest in any state.
_ATYPICAL = 2.0**-10


@dataclass(frozen=True, eq=False)
class ModelRow:
    """One row of a stage: coefficients by column, and its two sides; what differs between states is of its own year.

    Attributes
    ----------
    rule, year
        Name of the `Row`, or of the rule of a state, and the year of it.
    of
        State and year whose balance it is, None of a `Row`.
    """

    terms: dict[Key, Number]
    low: Number
    high: Number
    rule: str
    year: int
    of: Key | None = None

    @property
    def name(self) -> str:
        """What it is called in messages."""
        return f"row {self.rule!r} of year {self.year}"


@dataclass(frozen=True, eq=False)
class Sum:
    """A state that has no column at its own stage: ``constant`` and a sum of columns."""

    terms: dict[Key, float]
    constant: float


@dataclass(frozen=True, eq=False)
class ModelStages:
    """The stage programs of a model on a lattice; with a plan they are `stochisru.protocols.StagePrograms`.

    Raises
    ------
    InputError
        If model and lattice do not match, the model has whole numbers or costs that are not linear, a column has no
        finite bound, or a row needs a number of an earlier year that depends on its factors.
    """

    model: Model
    lattice: MarkovLattice

    def __post_init__(self) -> None:
        for part in self.model.decisions:
            if not part.is_linear:
                raise InputError(f"{part.label}: SDDP takes linear costs and any amount, no lot, curve or fixed cost")
        _ = self.sheet

    @cached_property
    def sheet(self) -> LatticeSheet:
        """The model's numbers on the lattice."""
        return LatticeSheet.of(self.model, self.lattice)

    @property
    def horizon(self) -> int:
        """Last stage T."""
        return self.model.horizon

    @property
    def sign(self) -> float:
        """1 where the model is maximised, −1 where it is minimised."""
        return self.model.sign

    @property
    def identity(self) -> dict[str, Any]:
        """What a checkpoint must agree in."""
        return {"model": self.sheet.digest(), "lattice": self.lattice.digest()}

    @cached_property
    def flows(self) -> float:
        """Size of the sums of money that values are differences of."""
        try:
            expected = flows_on_mean_path(self.model, self.lattice.mean_path().to_tree())
        except InputError:  # bounds cross where factors are as expected, which may be in no state
            expected = 0.0
        return max(expected, *self.moneys)

    # ---------------------------------------------------------- rows and columns

    def _stage(self, key: Key) -> int:
        return self.sheet.places[key[0]].stage(key[1])

    @cached_property
    def decided(self) -> list[list[Key]]:
        """What is decided at every stage, or follows from it."""
        found: list[list[Key]] = [[] for _ in self.model.years]
        for part in self.model.columns:
            for t in self.model.years:
                found[self._stage((part.name, t))].append((part.name, t))
        return found

    @cached_property
    def own(self) -> list[list[Key]]:
        """Columns of every stage: of what is decided, but for `sums`."""
        return [[key for key in keys if key not in self.sums] for keys in self.decided]

    @cached_property
    def sums(self) -> dict[Key, Sum]:
        """States without a column at their own stage: of no upper bound, and of a lower one that their balance keeps.

        `State.enough` is no bound to keep: it says where no optimal plan goes beyond.
        """
        found: dict[Key, Sum] = {}
        for state in self.model.states:
            least = 0.0
            for t in self.model.years:
                row = self._balances[state.name][t]
                before = least
                least = float(np.max(self.sheet.numbers(state, "lower")[t]))
                numbers = (*row.terms.values(), row.low, row.high)
                if state.upper is not None or not all(isinstance(number, float) for number in numbers):
                    continue
                terms = {key: -float(number) for key, number in row.terms.items() if key != (state.name, t)}
                ends = {
                    key: (before, np.inf) if key[0] == state.name else self.sheet.spans[key[0]][key[1]] for key in terms
                }
                low = float(row.low) + sum(x * ends[key][0 if x > 0 else 1] for key, x in terms.items() if x != 0)
                if low >= least:
                    found[state.name, t] = Sum(terms, float(row.low))
        return found

    def _resolved(self, terms: Mapping[Key, Number], stage: int) -> tuple[dict[Key, Number], Number]:
        """A linear expression in the columns of a stage, and its constant."""
        found: dict[Key, Number] = {}
        constant: Number = 0.0
        for key, number in terms.items():
            whole = self.sums.get(key) if self._stage(key) == stage else None
            if whole is None:
                found[key] = found.get(key, 0.0) + number
                continue
            within, still = self._resolved(whole.terms, stage)
            constant = constant + number * (whole.constant + still)
            for column, x in within.items():
                found[column] = found.get(column, 0.0) + number * x
        return found, constant

    @cached_property
    def _balances(self) -> dict[str, list[ModelRow]]:
        return {state.name: [self._balance(state, t) for t in self.model.years] for state in self.model.states}

    @cached_property
    def rows(self) -> list[list[ModelRow]]:
        """Rows of every stage, without the balances of `sums`."""
        return [[row for row in rows if row.of not in self.sums] for rows in self.stated]

    @cached_property
    def stated(self) -> list[list[ModelRow]]:
        """Rows of every stage as the model states them, where every part has a column at its own stage."""
        found: list[list[ModelRow]] = [[] for _ in self.model.years]
        for part in self.model.parts:
            if isinstance(part, State):
                for t in self.model.years:
                    found[self._stage((part.name, t))].append(self._balances[part.name][t])
            elif isinstance(part, Row):
                places = self.sheet.row_places(part)
                for t in places.years:
                    terms = {(name, t): number for name, number in self.sheet.terms(part)[t].items()}
                    low, high = (self.sheet.numbers(part, side)[t] for side in ("lower", "upper"))
                    found[places.stage(t)].append(ModelRow(terms, low, high, part.name, t))
        return found

    def bounds(self, key: Key) -> tuple[Number, Number]:
        """Bounds of a column at its own stage, one number or one per state of the stage."""
        low, high = self.sheet.spans[key[0]][key[1]]
        if (low, high) == (0.0, 0.0):
            return low, high
        said = self.sheet.own(self.model[key[0]], key[1])  # type: ignore[arg-type]
        return np.maximum(low, said[0]), np.minimum(high, said[1])

    def _balance(self, state: State, t: int) -> ModelRow:
        sheet = self.sheet
        keep, inflow, gains = sheet.kept(state), sheet.numbers(state, "inflow"), sheet.gains[state.name]
        terms: dict[Key, Number] = {(state.name, t): 1.0}
        right = inflow[t]
        if t == 0:
            right = right + state.initial
        elif np.any(keep[t] != 0.0):
            terms[state.name, t - 1] = -keep[t]
        for name, gain in gains[t].items():
            terms[name, t] = -gain
        if state.lifetime is not None and t >= state.lifetime:
            old = t - state.lifetime
            left = float(np.prod(np.asarray(keep[old + 1 : t + 1], dtype=float)))
            for name, gain in gains[old].items():
                if not isinstance(gain, float):
                    raise InputError(f"{state.label}: a gain that depends on factors cannot retire on a lattice")
                terms[name, old] = terms.get((name, old), 0.0) + left * gain
            right = right - (left * state.initial if old == 0 else 0.0)
        return ModelRow(terms, right, right, state.rule_name, t, (state.name, t))

    @cached_property
    def entering(self) -> list[list[Key]]:
        """Columns of earlier stages that make the state of every stage, in the order in which they are decided."""
        last: dict[Key, int] = {}
        uses = [(stage, key) for stage, rows in enumerate(self.rows) for row in rows for key in row.terms]
        uses += [(self._stage(key), column) for key, whole in self.sums.items() for column in whole.terms]
        for stage, key in uses:
            last[key] = max(last.get(key, 0), stage)
        decided = [key for keys in self.decided for key in keys]
        return [[key for key in decided if self._stage(key) < s <= last.get(key, -1)] for s in self.model.years]

    def unit(self, key: Key) -> float:
        """Unit of a column: a power of two near the size that it may have."""
        size = self._sizes[key[0]][key[1]] or max(abs(end) for end in self.sheet.spans[key[0]][key[1]])
        return float(2.0 ** np.round(np.log2(size))) if size > 0 else 1.0

    @cached_property
    def _sizes(self) -> Mapping[str, list[float]]:
        """Sizes of all columns where factors are as expected, but no far smaller ones than in some state.

        A coefficient that a unit makes too small is none to a solver.
        """
        most = self.sheet.sizes
        try:
            expected = LatticeSheet.of(self.model, self.lattice.mean_path()).sizes
        except InputError:  # bounds cross where factors are as expected, which may be in no state
            return most
        return {
            name: np.clip(sizes, _ATYPICAL * np.asarray(most[name]), most[name]).tolist()
            for name, sizes in expected.items()
        }

    def state_unit(self, t: int) -> Array:
        """Units of the state from which stage t starts."""
        return np.array([self.unit(key) for key in self.entering[t]])

    # ------------------------------------------------------------------- programs

    @cached_property
    def moneys(self) -> list[float]:
        """Unit of money of every stage: a power of two near the largest that one of its columns can be worth."""
        most = [
            max(
                (float(np.max(np.abs(self.sheet.worth[name][t]))) * self.unit((name, t)) for name, t in keys),
                default=0.0,
            )
            for keys in self.decided
        ]
        for s in range(self.horizon - 1, -1, -1):
            most[s] = max(most[s], _FALL * most[s + 1])
        largest = max(most) or 1.0
        return [float(2.0 ** np.round(np.log2(size or largest))) for size in most]

    @cached_property
    def _unpriced(self) -> list[Stage]:
        """Stages without ceilings."""
        return [self._assemble(s) for s in self.model.years]

    def _assemble(self, s: int) -> Stage:
        own, entering, money = self.own[s], self.entering[s], self.moneys[s]
        count, columns = self.lattice.sizes[s], len(own) + len(entering)
        place = {key: j for j, key in enumerate([*own, *entering])}
        unit = np.array([self.unit(key) for key in place])
        lower, upper, cost = np.zeros((3, count, columns))
        constant = np.zeros(count)
        for key, j in place.items():
            lower[:, j], upper[:, j] = self.sheet.spans[key[0]][key[1]]
        for key in self.decided[s]:
            worth = self.sheet.expected(self.sheet.worth[key[0]][key[1]], key[1], s)
            terms, still = self._resolved({key: worth}, s)
            constant += still
            for column, number in terms.items():
                cost[:, place[column]] += number
        for key in own:
            lower[:, place[key]], upper[:, place[key]] = self.bounds(key)
        rows = np.zeros((count, len(self.rows[s]), columns))
        low, high = np.zeros((2, count, len(self.rows[s])))
        for r, row in enumerate(self.rows[s]):
            terms, still = self._resolved(row.terms, s)
            for key, number in terms.items():
                rows[:, r, place[key]] += number
            low[:, r], high[:, r] = row.low - still, row.high - still
        rows = rows * unit
        size = np.abs(rows).max(axis=(0, 2), initial=0.0)
        scale = np.where(size > 0, 2.0 ** -np.round(np.log2(np.where(size > 0, size, 1.0))), 1.0)
        rows, low, high = rows * scale[:, None], low * scale, high * scale
        lower, upper, cost = lower / unit, upper / unit, cost * unit / money
        slack = Missing.of(rows, low, high, lower, upper, len(own)) if s else Missing.none(low.shape[1])
        price = _PRICE * max(self.moneys) / money
        theta = len(own) + slack.most.size

        def wide(array: Array, slacks: Array, theta: float) -> Array:
            """With the columns of slacks and θ between a stage's own and its state."""
            shape = (*array.shape[:-1], slack.most.size + 1)
            between = np.broadcast_to(np.append(slacks, np.full((*slacks.shape[:-1], 1), theta), axis=-1), shape)
            return np.concatenate([array[..., : len(own)], between, array[..., len(own) :]], axis=-1)

        leaving = self.entering[s + 1] if s < self.horizon else []
        carry, offset = np.zeros((len(leaving), columns)), np.zeros(len(leaving))
        for k, key in enumerate(leaving):
            terms, still = self._resolved({key: 1.0}, s)
            offset[k] = float(still) / self.unit(key)  # of floats alone, see `sums`
            for column, number in terms.items():
                carry[k, place[column]] = number * unit[place[column]] / self.unit(key)
        least = np.array([self.sheet.spans[key[0]][key[1]][0] / self.unit(key) for key in leaving])
        return Stage(
            year=s,
            money=money,
            cost=_shared(wide(cost, np.full(slack.most.size, -price), 1.0)),
            lower=_shared(wide(lower, np.zeros(slack.most.size), 0.0)),
            upper=_shared(wide(upper, slack.most, 0.0)),
            rows=_shared(wide(rows, slack.coefficients.T, 0.0)),
            low=_shared(low),
            high=_shared(high),
            constant=_shared(constant / money),
            slack=slice(len(own), theta),
            theta=theta,
            state=slice(theta + 1, columns + slack.most.size + 1),
            ceiling=np.zeros(count),
            carry=wide(carry, np.zeros(slack.most.size), 0.0),
            offset=offset,
            least=least,
            factor=self.moneys[s + 1] / money if s < self.horizon else 0.0,
            names=tuple(row.name for row in self.rows[s]),
        )

    @cached_property
    def stages(self) -> tuple[Stage, ...]:
        """Programs of stages 0..T; the ceilings are dual bounds over all states that a stage may start from."""
        found: list[Stage] = []
        for stage in self._unpriced[::-1]:
            if not found:
                found.append(stage)
                continue
            most = stage.factor * (self.lattice.transitions[stage.year] @ _largest(found[-1]))
            found.append(replace(stage, ceiling=most + 1e-12 * np.abs(most)))
        return tuple(found[::-1])

    # -------------------------------------------------------------- as SDDP sees it

    def root(self, columns: Array) -> Array:
        """Decisions at the root, in the order of `first_stage`."""
        spans = [self.sheet.spans[name][year] for name, year in self.first_stage]
        place = {key: j for j, key in enumerate(self.own[0])}
        amounts = [columns[place[key]] * self.unit(key) for key in self.first_stage]
        return np.array([min(max(x, low), high) for x, (low, high) in zip(amounts, spans, strict=True)])

    @cached_property
    def first_stage(self) -> list[Key]:
        """Decisions that are taken at the root, with their years of effect."""
        names = {part.name for part in self.model.decisions}
        return [
            (name, year)
            for name, year in self.own[0]
            if name in names and self.sheet.is_open(self.model[name], year)  # type: ignore[arg-type]
        ]

    def spread(self, t: int, place: Array, store: Array) -> Array:
        """States leaving stage t that are spread over their range, in their units, shape ``(k, d)``.

        Parameters
        ----------
        place, store
            Numbers in [0, 1), shape ``(k,)``. States that have an ``enough`` are spread by ``place``, evenly in
            logarithms and all alike, over what is enough in the year's states: where they are short or more than enough
            together. Others are spread by ``store`` over their bounds, one point in two at the lower one.
        """
        found = np.empty((place.size, len(self.entering[t + 1])))
        for j, key in enumerate(self.entering[t + 1]):
            low, high = self.sheet.spans[key[0]][key[1]]
            needs = self._enough(key)
            if needs is None:
                shift = np.mod(store + j * _GOLDEN, 1.0)
                reach = min(high, low + self._sizes[key[0]][key[1]])  # bounds are seldom reached
                amount = low + (reach - low) * np.maximum(2 * shift - 1, 0.0) ** 2
            else:
                amount = np.clip(needs[0] * (_BEYOND * needs[1] / needs[0]) ** place, low, high)
            found[:, j] = amount / self.unit(key)
        return found

    def _enough(self, key: Key) -> tuple[float, float] | None:
        """Least and most that is enough of a state in the states of its year; None of what has no such number."""
        part = self.model[key[0]]
        if not isinstance(part, State) or part.enough is None:
            return None
        number = np.atleast_1d(self.sheet.numbers(part, "enough")[key[1]])
        some = number[number > 0]  # where demand has ended nothing is enough
        return (float(some.min()), float(some.max())) if some.size else None


def _shared(array: Array) -> Array:
    """One row for all states where they are alike."""
    return array[:1] if (array == array[:1]).all() else array


def _largest(stage: Stage) -> Array:
    """What a stage and all later ones are worth at most in each of its states, whatever they start from."""
    found = []
    for i in range(stage.ceiling.size):
        found.append(StageModel(stage, i).duals(None, epoch=0))
    intercept, slope = stage.bound(Duals(*(np.array(part) for part in zip(*found, strict=True))))
    low, high = slope * stage.lower[:, stage.state], slope * stage.upper[:, stage.state]
    return np.asarray(intercept + np.maximum(low, high).sum(axis=1))
