"""A model's numbers on a Markov lattice: coefficients per state, and bounds of every column that hold in all states.

A column may have bounds of its own in each state of the stage where it stands; if that is before its year, they are
those that hold in every state that may come from there. `spans` are intervals, one per column and year, that hold
whatever the history: what `stochisru.problem.bounds` proves node by node on a tree holds for the largest and smallest
numbers of a year's states.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from scenario_trees.arrays import Array, Index
from scenario_trees.lattice import MarkovLattice
from scenario_trees.origin import Origin
from stochisru.errors import InputError
from stochisru.problem.coefficients import Number
from stochisru.problem.enough import Enough, never_ahead
from stochisru.problem.information import Recourse
from stochisru.problem.model import Model
from stochisru.problem.parts import Decision, Operation, State
from stochisru.problem.sheet import Linear, Sheet

if TYPE_CHECKING:
    from stochisru.problem.places import Ancestry

#: Least and most of something.
Span = tuple[float, float]


@dataclass(eq=False)
class LatticeStates:
    """States of a lattice in place of the nodes of a tree: where those of each stage stand, and how many there are."""

    lattice: MarkovLattice
    above: dict[tuple[object, ...], Index] = field(default_factory=dict)
    weights: dict[tuple[int, ...], Array] = field(default_factory=dict)

    @cached_property
    def nodes(self) -> list[slice]:
        """States of every stage among all."""
        return [slice(*span) for span in pairwise([0, *accumulate(self.lattice.sizes)])]

    def count(self, stage: int) -> int:
        """Number of states of a stage."""
        return self.lattice.sizes[stage]

    def least(self, number: Number, year: int, stage: int) -> Number:
        """Smallest of a number of ``year`` that may still come, in the states of an earlier stage."""
        if isinstance(number, float):
            return number
        for matrix in self.lattice.transitions[stage:year][::-1]:
            number = np.where(matrix > 0, number, np.inf).min(axis=1)
        return number

    def largest(self, number: Number, year: int, stage: int) -> Number:
        """Largest of a number of ``year`` that may still come, in the states of an earlier stage."""
        return -self.least(-number, year, stage)


@dataclass(frozen=True, eq=False)
class LatticeSheet(Sheet):
    """The numbers of a model on a lattice; what depends on factors has one number per state of its year.

    Raises
    ------
    InputError
        If the lattice does not belong to the model.
    """

    def __post_init__(self) -> None:
        lattice: MarkovLattice = self.lattice
        if not isinstance(lattice, MarkovLattice):
            raise InputError(f"lattice: must be a MarkovLattice, got {type(lattice).__name__}")
        if lattice.horizon != self.model.horizon:
            raise InputError(
                f"lattice: needs one stage per year, {self.model.horizon} for {self.model.name}, got {lattice.horizon}"
            )
        if self.model.process is not None and lattice.origin is not None:
            own = Origin(self.model.process)
            if not lattice.origin.same(own):
                raise InputError(
                    f"lattice: was made from {lattice.origin}, the process of {self.model.name} is {own}; "
                    "take lattice.as_belief() to say that it is what you believe"
                )
        self.model.seen_among("lattice", lattice.names)

    @classmethod
    def of(cls, model: Model, lattice: MarkovLattice) -> LatticeSheet:
        """The numbers of a model on a lattice."""
        return cls(model, cast("Any", lattice), Recourse())

    @property
    def lattice(self) -> MarkovLattice:
        """The lattice."""
        return cast("MarkovLattice", self.tree)

    @cached_property
    def ancestry(self) -> Ancestry:
        """The states of the lattice."""
        return cast("Ancestry", LatticeStates(self.lattice))

    @cached_property
    def _whole(self) -> Mapping[str, Array]:
        lattice = self.lattice
        columns = self.model.seen_among("lattice", lattice.names)
        known = [np.concatenate(lattice.values), *np.concatenate(lattice.others or [np.empty((0, 0))]).T]
        return {name: known[columns[name]] for name in self.model.factors}

    def expected(self, number: Number, year: int, stage: int) -> Number:
        """Expectation of a number of ``year`` in every state of an earlier stage."""
        if isinstance(number, float):
            return number
        for matrix in self.lattice.transitions[stage:year][::-1]:
            number = matrix @ number
        return number

    # ----------------------------------------------------------------- bounds

    @cached_property
    def spans(self) -> Mapping[str, list[Span]]:
        """Least and most of every column, by part and year.

        Raises
        ------
        InputError
            Naming part and year, if one of them is not finite.
        """
        return self._year_by_year(_Spans(self))

    @cached_property
    def sizes(self) -> Mapping[str, list[float]]:
        """What every column is like at most where each year's factors ask for what is enough in that year alone."""
        found = self._year_by_year(_Sizes(self))
        return {name: [max(map(abs, span)) for span in spans] for name, spans in found.items()}

    def _year_by_year(self, spans: _Spans) -> Mapping[str, list[Span]]:
        for t in self.model.years:  # what is in store bounds what may be taken out of it a year later
            for part in self.model.columns:
                spans.known.setdefault(part.name, []).append(self._finite(part, t, spans.of(part, t)))
        return spans.known

    def _finite(self, part: Decision | State | Operation, year: int, span: Span) -> Span:
        for what, value in zip(("lower", "upper"), span, strict=True):
            if not np.isfinite(value):
                raise InputError(
                    f"{part.label}: needs a finite {what} bound in year {year}, or no bound on the optimum can be "
                    "proven; give upper, or bounds to all else in a row with it"
                )
        if span[0] > span[1]:
            raise InputError(
                f"{part.label}: lower must be <= upper in year {year}, got {span[0]:g} > {span[1]:g} in some state"
            )
        return span

    def own(self, part: Decision | State | Operation, year: int) -> tuple[Number, Number]:
        """The bounds that a part says, per state of the stage where its column stands: they hold in all that may come.

        Raises
        ------
        InputError
            If the lower one is above the upper one in a state that may be reached.
        """
        stage = self.places[part.name].stage(year)
        lower = self.ancestry.largest(self.numbers(part, "lower")[year], year, stage)
        upper = float("inf") if part.upper is None else self.numbers(part, "upper")[year]
        upper = self.ancestry.least(upper, year, stage)
        crossed = (lower > np.broadcast_to(upper, self.ancestry.count(stage))) & (self.lattice.probabilities[stage] > 0)
        if crossed.any():
            low, high = (np.broadcast_to(side, crossed.shape)[np.argmax(crossed)] for side in (lower, upper))
            raise InputError(
                f"{part.label}: lower must be <= upper in year {year}, got {low:g} > {high:g} in state "
                f"{np.argmax(crossed)} of stage {stage}"
            )
        return lower, upper


@dataclass(eq=False)
class _Spans:
    """Intervals so far, year by year; each part refers to earlier years and, within a year, to earlier parts."""

    sheet: LatticeSheet
    known: dict[str, list[Span]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._by_enough = Enough(self.sheet)

    def of(self, part: Decision | State | Operation, t: int) -> Span:
        if isinstance(part, Decision):
            return self._of_decision(part, t)
        return self._of_operation(part, t) if isinstance(part, Operation) else self._of_state(part, t)

    def _own(self, part: Decision | State | Operation, t: int) -> Span:
        lower, upper = self.sheet.own(part, t)
        return float(np.min(lower)), float(np.max(upper))

    def _ends(self, name: str, t: int) -> Span:
        """Interval of a column; of one that comes later, what it says."""
        if len(self.known.get(name, ())) > t:
            return self.known[name][t]
        return self._own(cast("Operation | State", self.sheet.model[name]), t)

    def _sum(self, terms: Linear, t: int, without: str = "") -> Span:
        low = high = 0.0
        for name, number in terms.items():
            if name != without:
                least, most = _times(_ends(number), self._ends(name, t))
                low, high = low + least, high + most
        return low, high

    def _of_decision(self, part: Decision, t: int) -> Span:
        if not self.sheet.is_open(part, t):
            return 0.0, 0.0
        low, high = self._own(part, t)
        fed = self._by_enough.bounds(part)
        gains = [float(np.min(self.sheet.gains[state.name][t].get(part.name, 0.0))) for state in fed]
        if fed and min(gains) > 0:
            most = max(self._enough(state)[t] / gain for state, gain in zip(fed, gains, strict=True))
            high = min(high, max(most, low))
        drained = self._by_enough.drained(part)
        if drained is not None:
            gain = -float(np.max(self.sheet.gains[drained.name][t][part.name]))
            high = min(high, max(drained.initial, *self._enough(drained)) / gain)
        return low, high

    def _of_operation(self, part: Operation, t: int) -> Span:
        if part.years is not None and t not in part.years:
            return 0.0, 0.0
        low, high = self._own(part, t)
        return (low, high) if part.upper is not None else (low, max(2 * self._allowed(part, t), low))

    def _allowed(self, part: Operation, t: int) -> float:
        """Most of an operation that rows and balances of a year allow; infinite if none does."""
        sheet, most = self.sheet, float("inf")
        for row in sheet.model.rows:
            terms = sheet.terms(row)[t]
            if part.name in terms and (row.years is None or t in row.years):
                lower, upper = (_ends(sheet.numbers(row, side)[t]) for side in ("lower", "upper"))
                most = min(most, self._limit(part, t, terms, (lower[0], upper[1])))
        for state in sheet.model.states:
            gains = sheet.gains[state.name][t]
            if part.name in gains and state.lifetime is None:
                left, own = self._left(state, t), self._ends(state.name, t)
                most = min(most, self._limit(part, t, gains, (own[0] - left[1], own[1] - left[0])))
        return most

    def _limit(self, part: Operation, t: int, terms: Linear, sides: Span) -> float:
        """Most of one column in ``sides[0] ≤ Σ coefficient·x ≤ sides[1]``, given the intervals of the others."""
        low, high = _ends(terms[part.name])
        others = self._sum(terms, t, without=part.name)
        if low > 0:
            room = sides[1] - others[0]
        elif high < 0:
            room, low, high = others[1] - sides[0], -high, -low
        else:
            return float("inf")
        return max(room / low, room / high) if np.isfinite(room) else float("inf")

    def _left(self, state: State, t: int) -> Span:
        """What a state has without what is added in year ``t``."""
        inflow = _ends(self.sheet.numbers(state, "inflow")[t])
        if t == 0:
            return state.initial + inflow[0], state.initial + inflow[1]
        keep = _ends(self.sheet.kept(state)[t])
        low, high = _times(keep, self._ends(state.name, t - 1)) if keep[1] > 0 else (0.0, 0.0)
        return low + inflow[0], high + inflow[1]

    def _of_state(self, part: State, t: int) -> Span:
        own = self._own(part, t)
        left, added = self._left(part, t), self._sum(self.sheet.gains[part.name][t], t)
        high = left[1] + added[1]
        places = self.sheet.places
        before = places[part.name].stage(t - 1) if t else 0
        late = all(places[name].stage(t) >= before for name in part.gains if name in places)
        if self._by_enough.caps(part) and late and added[1] > added[0]:
            gains = self.sheet.gains[part.name][t]
            added = self._sum({name: gain for name, gain in gains.items() if np.min(gain) >= 0}, t)
            high = min(high, max(self._enough(part)[t], left[1] + added[0]))
        return own[0], min(high, own[1])

    def _enough(self, state: State) -> list[float]:
        """B of `stochisru.problem.bounds`, the largest over all states of each year."""
        sheet = self.sheet
        enough = [float(np.max(number)) for number in sheet.numbers(state, "enough")]
        keep = [float(np.max(number)) for number in sheet.numbers(state, "keep")]
        ahead = never_ahead(sheet, state)
        for t in range(sheet.model.horizon - 1, -1, -1):
            if keep[t + 1] > 0:
                enough[t] = max(enough[t], enough[t + 1] / (1.0 if ahead else keep[t + 1]))
        return enough


class _Sizes(_Spans):
    """The same without plans for later years."""

    def _enough(self, state: State) -> list[float]:
        return [float(np.max(number)) for number in self.sheet.numbers(state, "enough")]


def _ends(number: Number) -> Span:
    return float(np.min(number)), float(np.max(number))


def _times(factor: Span, span: Span) -> Span:
    with np.errstate(invalid="ignore"):
        products = np.outer(factor, span)
    products[np.isnan(products)] = 0.0  # nothing of what may be infinite
    return float(products.min()), float(products.max())
