"""When what a state says is `State.enough` bounds the decisions that feed it.

More of such a state earns nothing, so a plan with less of a decision that feeds it is as good, as long as less of that
decision costs nothing elsewhere and breaks nothing. That is checked here, row by row. What cannot be checked is what
``enough`` says: that no operation that lives on the state is forced, by several rows together, to ask for more.

Decisions may take from such a state too, as where plant is scrapped. Of what was added beyond what is enough so much
less is taken later, the last that came being the first that goes: until all of it has gone that way nothing has been
taken, so that there is still enough, and from then on the state is what it was. It must be possible to take less, and
adding to take must earn nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from scenario_trees.arrays import Array
from stochisru.problem.coefficients import Number
from stochisru.problem.parts import Decision, Operation, Part, Row, State
from stochisru.problem.sheet import Linear, Sheet

#: Share of what a unit costs up to which it earns nothing.
_ROUNDING = 1e-12


@dataclass(eq=False)
class Enough:
    """Which decisions and states of a model have bounds by what is enough."""

    sheet: Sheet
    _fed: dict[str, list[State]] = field(default_factory=dict)

    def bounds(self, part: Decision) -> list[State]:
        """States that a decision feeds, if less of it does no harm where all of them have enough; else none.

        Less of it does no harm if every state that it feeds says what is enough, may be 0 and feeds no other state, no
        row asks for it or for such a state, its cost rises with size, and it earns no more than it costs, what is
        earned by holding the states and by taking from them included.
        """
        if part.name not in self._fed:
            fed = [state for state in self.sheet.model.states if self._feeds(part, state)]
            wanted = (
                any(self._takes(part, state) or not self._can_take_less(part, state) for state in fed)
                or any(state.enough is None or self._has_floor(state) or self._feeds_on(state) for state in fed)
                or any(self._asks_for(row, part.name) for row in self.sheet.model.rows)
                or any(self._cannot_do_without(row, state.name) for row in self.sheet.model.rows for state in fed)
                or (part.curve is not None and not part.curve.is_increasing)
                or (self._earned(part, fed) > _ROUNDING * np.abs(_largest(self.sheet.worth[part.name]))).any()
            )
            self._fed[part.name] = [] if wanted else fed
        return self._fed[part.name]

    def caps(self, state: State) -> bool:
        """Whether nothing is added to a state that has enough: its decisions feed no other, and what is there stays."""
        if state.enough is None or state.lifetime is not None:
            return False
        feeding = (
            part for part in self.sheet.model.decisions if self._feeds(part, state) and not self._takes(part, state)
        )
        return all(self.bounds(part) == [state] for part in feeding)

    def drained(self, part: Decision) -> State | None:
        """The state from which a decision takes, if no more can be there than it began with or is enough; or None."""
        taken = [state for state in self.sheet.model.states if self._takes(part, state)]
        if len(taken) != 1 or not self.caps(taken[0]):
            return None
        keep = _largest(self.sheet.numbers(taken[0], "keep"))
        still = not any(np.any(number) for number in self.sheet.numbers(taken[0], "inflow"))
        return taken[0] if still and (keep <= 1).all() else None

    def _takes(self, part: Decision, state: State) -> bool:
        return any(np.any(np.asarray(year.get(part.name, 0.0)) < 0) for year in self.sheet.gains[state.name])

    def _taking(self, state: State) -> list[Decision]:
        return [part for part in self.sheet.model.decisions if self._takes(part, state)]

    def _can_take_less(self, part: Decision, state: State) -> bool:
        """Whether what is taken from a state may be less wherever ``part`` may be: nothing asks for it, or holds it."""
        sheet, years = self.sheet, self.sheet.model.years
        free = [t for t in years if sheet.is_open(part, t) and sheet.information.given(part, t, sheet.tree) is None]
        for drain in self._taking(state):
            others = [other for other in sheet.model.states if other is not state and self._feeds(drain, other)]
            lower = any(np.any(number) for number in sheet.numbers(drain, "lower"))
            held = any(
                sheet.information.given(drain, t, sheet.tree) is not None for t in years if t >= min(free, default=0)
            )
            asked = any(self._asks_for(row, drain.name) for row in sheet.model.rows)
            if others or lower or asked or not drain.is_linear or (held and free):
                return False
        return True

    def _has_floor(self, state: State) -> bool:
        return any(np.any(number > 0) for number in self.sheet.numbers(state, "lower"))

    def _feeds(self, part: Decision, state: State) -> bool:
        return any(np.any(year.get(part.name, 0.0)) for year in self.sheet.gains[state.name])

    def _feeds_on(self, state: State) -> bool:
        """Whether a state feeds another, or others by it, that is worth more for it.

        What operations draw on, as a store, only passes on what is made; ``enough`` has to count what may be kept in
        it. It must have no floor, no row may ask for it, and holding it may earn nothing.
        """
        return any(
            not self._adapts(other)
            or self._has_floor(other)
            or any(np.any(number > 0) for number in self.sheet.worth[other.name])
            or any(self._cannot_do_without(row, other.name, alone=True) for row in self.sheet.model.rows)
            for other in self._downstream(state)
        )

    def _downstream(self, state: State) -> list[State]:
        """States that a state feeds, by itself or by others."""
        found: dict[str, State] = {state.name: state}
        for other in self.sheet.model.states:  # each is stated after what feeds it
            if any(np.any(year.get(name, 0.0)) for name in found for year in self.sheet.gains[other.name]):
                found[other.name] = other
        return [other for other in found.values() if other is not state]

    def _earned(self, part: Decision, fed: list[State]) -> Array:
        """Most that a unit of a decision earns by itself, by year of effect: less than nothing where it costs."""
        earned = _largest(self.sheet.worth[part.name])
        for state in fed:
            gain = _largest([year.get(part.name, 0.0) for year in self.sheet.gains[state.name]])
            held, keep = _largest(self.sheet.worth[state.name]), _largest(self.sheet.numbers(state, "keep"))
            later, taken = 0.0, self._taken(state)
            for t in reversed(self.sheet.model.years):
                later = max(max(held[t], 0.0) + later, taken[t])
                earned[t] += gain[t] * later
                later *= keep[t]
        return earned

    def _taken(self, state: State) -> Array:
        """Most that a unit of a state brings where it is taken away, by year."""
        best = np.zeros(self.sheet.model.horizon + 1)
        for drain in self._taking(state):
            gain = _largest([-np.asarray(year.get(drain.name, 0.0)) for year in self.sheet.gains[state.name]])
            worth = np.maximum(_largest(self.sheet.worth[drain.name]), 0.0)
            best = np.maximum(best, np.divide(worth, gain, out=np.zeros_like(worth), where=gain > 0))
        return best

    def _asks_for(self, row: Row, name: str) -> bool:
        """Whether a row may be broken by less of a column."""
        lower, upper = (self.sheet.numbers(row, side) for side in ("lower", "upper"))
        for t in self.sheet.model.years if row.years is None else row.years:
            coefficient = np.asarray(self.sheet.terms(row)[t].get(name, 0.0))
            wants = (np.isfinite(lower[t]).any() and (coefficient > 0).any()) or (
                np.isfinite(upper[t]).any() and (coefficient < 0).any()
            )
            if wants:
                return True
        return False

    def _cannot_do_without(self, row: Row, name: str, alone: bool = False) -> bool:
        """Whether a row may be broken where a state is 0, operations doing their best to keep it.

        ``alone``: only if the row is one of states and decisions, which no operation can keep.
        """
        lower, upper = (self.sheet.numbers(row, side) for side in ("lower", "upper"))
        for t in self.sheet.model.years if row.years is None else row.years:
            terms = self.sheet.terms(row)[t]
            if alone and any(isinstance(self.sheet.model[other], Operation) for other in terms):
                continue
            own = np.asarray(terms.get(name, 0.0))
            for side, sign in ((lower[t], 1.0), (upper[t], -1.0)):  # lower ≤ Σ, and −upper ≤ −Σ
                wanted = np.isfinite(side) & (sign * own > 0)
                if wanted.any() and (wanted & (self._least(terms, name, t, sign) < sign * np.asarray(side))).any():
                    return True
        return False

    def _least(self, terms: Linear, without: str, t: int, sign: float) -> Array:
        """Least of ``sign·Σ coefficient·x`` over what is decided, most over operations and what they feed."""
        total: Array = np.zeros(())
        for name, coefficient in terms.items():
            if name == without:
                continue
            factor, part = sign * np.asarray(coefficient), self.sheet.model[name]
            low = np.asarray(self.sheet.numbers(part, "lower")[t])
            upper = None if part.upper is None else self.sheet.numbers(part, "upper")[t]  # type: ignore[union-attr]
            high = np.asarray(np.inf if upper is None else upper)
            if isinstance(part, Operation):
                low = np.maximum(low, self._forced(name, t))
            if isinstance(part, (Decision, Operation)) and part.years is not None and t not in part.years:
                low = high = np.zeros(())
            with np.errstate(invalid="ignore"):
                ends = [np.where(factor == 0, 0.0, factor * end) for end in (low, high)]
            total = total + (np.maximum(*ends) if self._adapts(part) else np.minimum(*ends))
        return total

    def _forced(self, operation: str, t: int) -> Array:
        """Least of an operation that rows of it alone ask for."""
        least: Array = np.asarray(-np.inf)
        for row in self.sheet.model.rows:
            terms = self.sheet.terms(row)[t]
            if set(terms) != {operation} or (row.years is not None and t not in row.years):
                continue
            own = np.asarray(terms[operation])
            lower, upper = (np.asarray(self.sheet.numbers(row, side)[t]) for side in ("lower", "upper"))
            with np.errstate(divide="ignore", invalid="ignore"):
                floor = np.where(own > 0, lower / own, np.where(own < 0, upper / own, -np.inf))
            least = np.maximum(least, floor)
        return least

    def _adapts(self, part: Part) -> bool:
        """Whether an amount follows what is there: an operation, and a state that operations feed."""
        if not isinstance(part, State):
            return isinstance(part, Operation)
        return any(
            isinstance(self.sheet.model[name], Operation) for year in self.sheet.gains[part.name] for name in year
        )


def _largest(numbers: list[Number]) -> Array:
    """Largest number of each year."""
    return np.array([number if isinstance(number, float) else np.max(number) for number in numbers])


def never_ahead(sheet: Sheet, state: State) -> bool:
    """Whether nothing is gained by adding to a state before the year in which it is of use: the second form."""
    model = sheet.model
    keep = np.asarray(sheet.numbers(state, "keep"), dtype=float)
    held = sheet.worth[state.name]
    if state.lifetime is not None or any(np.any(number > 0) for number in held):
        return False
    bound = {name for row in model.rows for linear in sheet.terms(row) for name in linear}
    bound |= {name for other in model.states if other is not state for year in sheet.gains[other.name] for name in year}
    for part in model.decisions:
        if part.name not in state.gains:
            continue
        free = [sheet.is_open(part, t) and sheet.information.given(part, t, sheet.tree) is None for t in model.years]
        gains = [year.get(part.name, 0.0) for year in sheet.gains[state.name]]
        cost = sheet.worth[part.name]
        if (
            not part.is_linear
            or part.upper is not None
            or part.lower != 0.0
            or part.name in bound
            or free != sorted(free)
            or not all(isinstance(number, float) for number in cost)
            or not all(isinstance(gain, float) and gain > 0 for gain in gains)
        ):
            return False
        unit = -np.array(cost) / np.array(gains)
        later = keep[1:] * unit[1:] * (1 - 1e-12)
        if not (unit[:-1] >= later)[free[:-1]].all():
            return False
    return True
