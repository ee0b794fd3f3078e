"""Finite bounds on all columns that cut off no optimal plan.

A dual bound is as good as the bounds of its columns are valid: one that cuts off an optimal plan certifies a wrong
number. Bounds of decisions and operations are what their parts say. For a state x that says ``enough``, an amount e of
which more earns nothing in a year, they follow; κ is what is ``keep``-t from a year to the next, g a gain.

**Any costs.** Let a plan add y > 0 in year t at a place c, and let x_t exceed at all nodes below c

    B_t(c) = max over years s ≥ t and nodes below c of e_s / (κ_{t+1} · … · κ_s).

Then x_s > e_s in every later year, since nothing that feeds x is negative. Lowering y until x_t = B_t (with lots: by
whole lots as long as x_t stays ≥ B_t) earns no less in any year and costs no more, so there is an optimal plan with

    y_t ≤ B_t / g_t, up to whole lots,        x_t ≤ max(B_t + one lot, what is left of the year before).

The second needs that what is left is the same at all nodes below c, as it is where one lead feeds the state; where what
is left is known later than y, x_t is bounded by what is left and the bounds of what is added. It needs as well that
what is there stays: where plant has a lifetime, what is added beyond e may be of use when older plant has retired, and
the first alone holds, since y retires at once. Neither holds where less of y does harm: `stochisru.problem.enough`. A
decision that feeds several states has the largest of their bounds. A decision that takes from x takes no more than
there can be: what it began with, or B and a lot.

**Linear costs that do not rise faster than plant is lost.** B_t may then be the largest e_s alone, without the products
of κ. Let w_t be the discounted cost per unit of x by a decision that is free in every year from its first on, without
lots, curves, fixed costs or bounds of its own, and in no row; let w_t ≥ κ_{t+1}·w_{t+1}, and let holding x cost
nothing negative. If x_t exceeds all e_s with s ≥ t below c, lower y_t until it does not, by ε, and add κ_{t+1}·ε in
year t + 1: x is as before from then on, the bill is no larger, and x_t is still at least e_t. Year by year nothing is
added beyond the largest e. A decision that is taken later sees more, so the change is possible under every information
that leaves later years open; under `Fixed`, or where prices rise fast, the first form holds.

A state without ``enough`` is bounded by what feeds it. An operation without ``upper`` gets twice what some row or
balance allows given the bounds of all else in it: the bound never binds, so that prices belong to rows alone.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import NamedTuple, cast

import numpy as np

from scenario_trees.arrays import Array
from stochisru.errors import InfeasibleError, InputError
from stochisru.problem.coefficients import Number
from stochisru.problem.enough import Enough, never_ahead
from stochisru.problem.parts import Decision, Operation, State
from stochisru.problem.sheet import Linear, Sheet
from stochisru.programs.sparse import FEASIBILITY


class ColumnBounds(NamedTuple):
    """Bounds of the columns of one part, one per place."""

    lower: Array
    upper: Array


def column_bounds(sheet: Sheet) -> dict[str, ColumnBounds]:
    """Bounds of all columns, by part.

    Raises
    ------
    InputError
        Naming part and year, if a column has none that is finite, or a lower one above the upper one.
    """
    bounds = _Bounds(sheet)
    for part in sheet.model.columns:
        bounds.add(part)
    return bounds.known


def said_bounds(sheet: Sheet, part: Decision | State | Operation) -> ColumnBounds:
    """Bounds that a part says itself, one per place: they hold in everything that may come; infinite without any."""
    places = sheet.places[part.name]
    lower, upper = np.empty((2, places.count))
    sides = [(lower, "lower", sheet.ancestry.largest), (upper, "upper", sheet.ancestry.least)]
    for side, what, worst in sides:
        if what == "upper" and part.upper is None:
            side[:] = np.inf
            continue
        numbers = sheet.numbers(part, what)
        if places.in_step or all(isinstance(number, float) for number in numbers):
            side[:] = places.spread(numbers)
        else:
            for t in places.years:
                side[places.at(t)] = worst(numbers[t], t, places.stage(t))
    return ColumnBounds(lower, upper)


@dataclass(eq=False)
class _Bounds:
    """Bounds of the parts so far; each part refers to earlier ones only."""

    sheet: Sheet
    known: dict[str, ColumnBounds] = field(default_factory=dict)
    _most: dict[str, list[Array]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._by_enough = Enough(self.sheet)

    def add(self, part: Decision | State | Operation) -> None:
        if isinstance(part, Decision):
            (lower, upper), hint = self._of_decision(part), "give upper, or enough of a state that it feeds"
        elif isinstance(part, Operation):
            (lower, upper), hint = self._of_operation(part), self._hint(part)
        else:
            (lower, upper), hint = self._of_state(part), "give upper, or bounds to what feeds it"
        places = self.sheet.places[part.name]
        for what, value in (("lower", lower), ("upper", upper)):
            if not np.isfinite(value).all():
                year = places.year[np.argmin(np.isfinite(value))]
                raise InputError(
                    f"{part.label}: needs a finite {what} bound in year {year}, or no bound on the optimum can be "
                    f"proven; {hint}"
                )
        if (lower > upper).any():
            i = int(np.argmax(lower > upper))
            raise InputError(
                f"{part.label}: lower must be <= upper in year {places.year[i]}, got {lower[i]:g} > {upper[i]:g}"
            )
        self.known[part.name] = ColumnBounds(lower, upper)

    def _hint(self, part: Operation) -> str:
        """What would give an operation an upper bound: parts that limit it may be stated too late."""
        hint, model = "give upper, or bounds to all else in a row with it", self.sheet.model
        later = [other.name for other in model.columns[model.columns.index(part) + 1 :]]
        together = [terms for row in model.rows for terms in self.sheet.terms(row)]
        fed = [
            state.name for state in model.states if any(part.name in gains for gains in self.sheet.gains[state.name])
        ]
        with_it = [name for name in later if name in fed or any(part.name in t and name in t for t in together)]
        return f"{hint}, or state {' and '.join(map(repr, with_it))} before it" if with_it else hint

    def _own(self, part: Decision | State | Operation, t: int) -> tuple[Number, Number]:
        """The bounds that a part says, at its places: they hold in everything that may come."""
        ancestry, stage = self.sheet.ancestry, self.sheet.places[part.name].stage(t)
        lower = ancestry.largest(self.sheet.numbers(part, "lower")[t], t, stage)
        upper = np.inf if part.upper is None else ancestry.least(self.sheet.numbers(part, "upper")[t], t, stage)
        return lower, upper

    def _of_operation(self, part: Operation) -> tuple[Array, Array]:
        places = self.sheet.places[part.name]
        lower, upper = said_bounds(self.sheet, part)
        for t in self.sheet.model.years if part.upper is None or part.years is not None else ():
            here = places.at(t)
            if part.years is not None and t not in part.years:
                lower[here] = upper[here] = 0.0
            elif part.upper is None:
                upper[here] = np.maximum(2 * self._allowed(part, t), lower[here])
        return lower, upper

    def _allowed(self, part: Operation, t: int) -> Number:
        """Most of an operation that rows and balances of a year allow, at its places; infinite if none does."""
        sheet, stage = self.sheet, self.sheet.places[part.name].stage(t)
        most: Number = np.inf
        for row in sheet.model.rows:
            terms = sheet.terms(row)[t]
            if part.name in terms and (row.years is None or t in row.years) and sheet.row_places(row).stage(t) == stage:
                sides = (sheet.ancestry.seen(sheet.numbers(row, side)[t], t, stage) for side in ("lower", "upper"))
                most = np.minimum(most, self._limit(part, t, terms, *sides))
        for state in sheet.model.states:
            gains = sheet.gains[state.name][t]
            if part.name in gains and sheet.places[state.name].stage(t) == stage and state.lifetime is None:
                # Σ gain·y = x_t − what is left of the year before.
                low, high = (-x for x in reversed(self._left(state, t)))
                own = self._ends(state.name, t, stage)
                most = np.minimum(most, self._limit(part, t, gains, own[0] + low, own[1] + high))
        return most

    def _limit(self, part: Operation, t: int, terms: Linear, lower: Number, upper: Number) -> Number:
        """Most of one column in ``lower ≤ Σ coefficient·x ≤ upper``, given the bounds of the others."""
        stage = self.sheet.places[part.name].stage(t)
        least, most = self._span(terms, t, stage, without=part.name)
        own = self.sheet.ancestry.seen(terms[part.name], t, stage)
        with np.errstate(divide="ignore", invalid="ignore"):
            limit = np.where(own > 0, (upper - least) / own, np.where(own < 0, (lower - most) / own, np.inf))
        return np.asarray(np.where(np.isnan(limit), np.inf, limit))

    def _ends(self, name: str, t: int, stage: int) -> tuple[Number, Number]:
        """Bounds of a column at the nodes of a stage at which it is known; of one that comes later, those it says."""
        if name in self.known:
            at = self.sheet.places[name].seen_from(t, stage)
            return self.known[name].lower[at], self.known[name].upper[at]
        low, high = self._own(cast("Operation | State", self.sheet.model[name]), t)
        own = self.sheet.places[name].stage(t)
        return self.sheet.ancestry.seen(low, own, stage), self.sheet.ancestry.seen(high, own, stage)

    def _left(self, state: State, t: int) -> tuple[Number, Number]:
        """Bounds of what a state has without what is added in year ``t``, at its places of that year."""
        sheet, stage = self.sheet, self.sheet.places[state.name].stage(t)
        inflow = sheet.ancestry.seen(sheet.numbers(state, "inflow")[t], t, stage)
        if t == 0:
            return state.initial + inflow, state.initial + inflow
        keep = np.asarray(sheet.ancestry.seen(sheet.kept(state)[t], t, stage))
        # What nothing is left of is 0, whatever it was.
        low, high = (np.where(keep > 0, end, 0.0) for end in self._ends(state.name, t - 1, stage))
        return keep * low + inflow, keep * high + inflow

    def _of_decision(self, part: Decision) -> tuple[Array, Array]:
        sheet, places = self.sheet, self.sheet.places[part.name]
        enough = [(sheet.gains[state.name], self._enough(state)) for state in self._by_enough.bounds(part)]
        drained = self._by_enough.drained(part)
        lower, upper = said_bounds(self.sheet, part)
        for t in sheet.model.years:
            here = places.at(t)
            if not sheet.is_open(part, t):
                if part.years is None or t in part.years:
                    self._require_nothing(part, t, lower[here])
                lower[here] = upper[here] = 0.0
            given = sheet.information.given(part, t, sheet.tree)
            if given is not None:
                lower[here], upper[here] = self._held(part, t, given, lower[here], upper[here])
                continue
            if drained is not None:
                upper[here] = np.minimum(upper[here], self._there(drained) / -sheet.gains[drained.name][t][part.name])
            if enough and all(np.all(gains[t].get(part.name, 0.0) > 0) for gains, _ in enough):
                each = (
                    sheet.ancestry.largest(amount[t], t, places.stage(t)) / gains[t][part.name]
                    for gains, amount in enough
                )
                most = functools.reduce(np.maximum, each)
                if part.lot is not None:
                    most = np.ceil(most / part.lot) * part.lot
                upper[here] = np.minimum(upper[here], np.maximum(most, lower[here]))
        return lower, upper

    def _there(self, state: State) -> float:
        """Most that can be in a state that has enough."""
        return max(state.initial, max(float(amount.max()) for amount in self._enough(state)) + self._lot(state))

    def _require_nothing(self, part: Decision, t: int, low: Array) -> None:
        """Where an information leaves a year no decision, its lower bound must allow that."""
        if np.any(low > 0):
            raise InfeasibleError(f"{part.label}: there is none in year {t}, and lower is {np.max(low):g}")

    def _held(self, part: Decision, t: int, given: Number, low: Number, high: Number) -> tuple[Number, Number]:
        """Amount of a plan as bounds, at the places of its decision, if the decision can be that."""
        ancestry, stage = self.sheet.ancestry, self.sheet.places[part.name].stage(t)
        amount = ancestry.largest(given, t, stage)
        if np.any(amount != ancestry.least(given, t, stage)):
            raise InputError(
                f"plan: {part.name!r} of year {t} is decided at stage {stage} and must be alike below a node"
            )
        slack = FEASIBILITY * np.maximum(1.0, np.abs(amount))
        rules = [((amount < low - slack) | (amount > high + slack), "out of the decision's bounds")]
        if part.lot is not None:
            whole = np.rint(amount / part.lot) * part.lot
            rules.append((np.abs(amount - whole) > slack, f"no whole number of lots of {part.lot:g}"))
        for broken, what in rules:
            if np.any(broken):
                worst = float(np.broadcast_to(amount, np.shape(broken))[np.asarray(broken)].flat[0])
                raise InfeasibleError(f"{part.label}: the plan's {worst:g} of year {t} is {what}")
        inside = np.clip(amount, low, high)
        return inside, inside

    def _of_state(self, part: State) -> tuple[Array, Array]:
        sheet, ancestry, places = self.sheet, self.sheet.ancestry, self.sheet.places[part.name]
        keep, inflow, lot = sheet.kept(part), sheet.numbers(part, "inflow"), self._lot(part)
        lower, upper = said_bounds(self.sheet, part)
        for t in sheet.model.years:
            stage, before = places.stage(t), places.stage(t - 1) if t else 0
            left: Number = part.initial
            if t:
                left = ancestry.seen(keep[t], t, stage) * ancestry.seen(upper[places.at(t - 1)], before, stage)
            left = left + ancestry.seen(inflow[t], t, stage)
            least, most = self._span(sheet.gains[part.name][t], t, stage)
            high = left + most
            if self._by_enough.caps(part) and all(sheet.places[name].stage(t) >= before for name in part.gains):
                added = {name: gain for name, gain in sheet.gains[part.name][t].items() if np.min(gain) >= 0}
                least, most = self._span(added, t, stage)
                earliest = min((sheet.places[name].stage(t) for name in part.gains), default=stage)
                use = ancestry.seen(ancestry.largest(self._enough(part)[t], t, earliest), min(earliest, stage), stage)
                enough = use + lot
                # Where nothing is free, the state is what it is.
                high = np.where(most > least, np.maximum(enough, left + least), high)
            upper[places.at(t)] = np.minimum(high, upper[places.at(t)])
        return lower, upper

    def _span(self, terms: Linear, t: int, stage: int, without: str = "") -> tuple[Number, Number]:
        """Least and most of ``Σ coefficient·x`` in year ``t`` at the nodes of a stage, one column left out."""
        least: Number = 0.0
        most: Number = 0.0
        for name, number in terms.items():
            if name != without:
                factor = self.sheet.ancestry.seen(number, t, stage)
                low, high = (np.asarray(factor * bound) for bound in self._ends(name, t, stage))
                least, most = least + np.minimum(low, high), most + np.maximum(low, high)
        return least, most

    def _lot(self, state: State) -> float:
        """What the largest lot adds to a state."""
        lots = [
            part.lot * float(np.max(gains.get(part.name, 0.0)))
            for part in self.sheet.model.decisions
            for gains in self.sheet.gains[state.name]
            if part.lot is not None
        ]
        return max(lots, default=0.0)

    def _enough(self, state: State) -> list[Array]:
        """B of the module's text at the nodes of each year."""
        if state.name not in self._most:
            tree, years = self.sheet.tree, self.sheet.model.years
            enough = self.sheet.numbers(state, "enough")
            keep = np.asarray(self.sheet.numbers(state, "keep"), dtype=float)
            if never_ahead(self.sheet, state):
                keep = np.ones_like(keep)
            best = [np.broadcast_to(enough[t], self.sheet.ancestry.count(t)) for t in years]
            for t in reversed(years[:-1]):
                if keep[t + 1] > 0:
                    starts = tree.first_child[tree.at(t)] - tree.offsets[t + 1]
                    best[t] = np.maximum(best[t], np.maximum.reduceat(best[t + 1], starts) / keep[t + 1])
            self._most[state.name] = best
        return self._most[state.name]
