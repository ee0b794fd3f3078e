"""A model's numbers on a tree: every coefficient evaluated once, expressions resolved, what each column is worth."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property

import numpy as np

from scenario_trees.arrays import Array
from scenario_trees.tree import ScenarioTree
from stochisru.errors import InputError
from stochisru.problem.coefficients import Factor, Number, number_of
from stochisru.problem.information import Information
from stochisru.problem.model import Model, require_model
from stochisru.problem.parts import Decision, Expression, Operation, Row, State
from stochisru.problem.places import Ancestry, Places

#: A linear expression of columns in one year: coefficient by name of the column.
Linear = dict[str, Number]


@dataclass(frozen=True, eq=False)
class Sheet:
    """The numbers of ``model`` on ``tree`` under ``information``."""

    model: Model
    tree: ScenarioTree
    information: Information
    _numbers: dict[tuple[str, str], list[Number]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        require_model(self.model)
        if not isinstance(self.information, Information):
            raise InputError(f"information: must be one, such as Static(), got {self.information!r}")
        _ = self._whole  # that the tree belongs to the model
        self.information.require_of(self.model.decisions, self.model.name)

    @cached_property
    def ancestry(self) -> Ancestry:
        """Of the tree."""
        return Ancestry(self.tree)

    @cached_property
    def _whole(self) -> Mapping[str, Array]:
        return self.model.factors_on(self.tree)

    @cached_property
    def _factors(self) -> list[Mapping[str, Array]]:
        return [{name: values[here] for name, values in self._whole.items()} for here in self.ancestry.nodes]

    def numbers(self, part: Decision | State | Operation | Expression | Row, what: str) -> list[Number]:
        """A coefficient of a part, by year.

        Parameters
        ----------
        what
            Its key in ``part.coefficients``.
        """
        key = part.name, what
        found = self._numbers.get(key)
        if found is None:
            coefficient = part.coefficients[what]
            if isinstance(coefficient, Factor):
                values = self._whole[coefficient.name]  # known to the model
                times = coefficient.by_year(self.model.horizon).tolist()
                self._numbers[key] = [x * values[here] for x, here in zip(times, self.ancestry.nodes, strict=True)]
            elif isinstance(coefficient, float):
                self._numbers[key] = [coefficient] * (self.model.horizon + 1)
            elif isinstance(coefficient, tuple):
                self._numbers[key] = list(coefficient)
            else:
                self._numbers[key] = [
                    number_of(part.label, what, coefficient, t, self._factors[t], self.ancestry.count(t))
                    for t in self.model.years
                ]
            found = self._numbers[key]
            _require_amounts(part, what, found)
        return found

    def kept(self, state: State) -> list[Number]:
        """What is left of a state from the year before, by year; that of year 0 is not applied.

        Raises
        ------
        InputError
            Naming the year, if it is negative or not finite.
        """
        keep = self.numbers(state, "keep")
        for t, number in enumerate(keep[1:], start=1):
            if not (_is_finite(number) and np.min(number) >= 0):
                raise InputError(f"{state.label}: keep of year {t} must be finite and >= 0, got {np.min(number):g}")
        return keep

    # ------------------------------------------------------------ expressions

    @cached_property
    def _linear(self) -> dict[str, list[Linear]]:
        """Every column and expression as a linear expression of columns, by year."""
        found: dict[str, list[Linear]] = {}
        for part in self.model.parts:
            if isinstance(part, Expression):
                found[part.name] = self._resolved(part, "terms", part.terms, found)
            elif not isinstance(part, Row):
                found[part.name] = [{part.name: 1.0}] * len(self.model.years)
        return found

    def _resolved(
        self, part: State | Expression | Row, what: str, terms: Iterable[str], known: Mapping[str, list[Linear]]
    ) -> list[Linear]:
        given = {name: self.numbers(part, f"{what} of {name!r}") for name in terms}
        if all(_steady(numbers) and _steady(known[name]) for name, numbers in given.items()):  # alike in all years
            years: Iterable[int] = self.model.years[:1]
            result: list[Linear] = [{}] * len(self.model.years)
        else:
            years, result = self.model.years, [{} for _ in self.model.years]
        for name, numbers in given.items():
            for t in years:
                factor = numbers[t]
                if isinstance(factor, float) and factor == 0.0:
                    continue
                if not _is_finite(factor):
                    raise InputError(f"{part.label}: {what} of {name!r} of year {t} must be finite")
                for column, coefficient in known[name][t].items():
                    result[t][column] = result[t].get(column, 0.0) + factor * coefficient
        return result

    def terms(self, part: Row | Expression) -> list[Linear]:
        """What a row or an expression sums, as coefficients of columns, by year."""
        return self._linear[part.name] if isinstance(part, Expression) else self._row_terms[part.name]

    @cached_property
    def _row_terms(self) -> dict[str, list[Linear]]:
        return {row.name: self._resolved(row, "terms", row.terms, self._linear) for row in self.model.rows}

    @cached_property
    def gains(self) -> dict[str, list[Linear]]:
        """What feeds each state, as coefficients of columns, by year."""
        return {state.name: self._resolved(state, "gains", state.gains, self._linear) for state in self.model.states}

    # ------------------------------------------------------------------ worth

    @cached_property
    def worth(self) -> dict[str, list[Number]]:
        """Discounted worth per unit of every column, by year, in the sense in which more is better.

        Costs that are not in proportion to the amount (`Decision.curve`, `Decision.fixed_cost`) are not in it.
        """
        discount = self.model.discount.tolist()
        worth: dict[str, list[Number]] = {part.name: [0.0 for _ in self.model.years] for part in self.model.columns}
        for part in self.model.parts:
            if isinstance(part, Row):
                continue
            what = "value" if isinstance(part, Operation) else "cost"
            numbers = self.numbers(part, what)
            if _steady(numbers) and numbers[0] == 0.0:
                continue
            for t, number in enumerate(numbers):
                if isinstance(number, float) and number == 0.0:
                    continue
                if not _is_finite(number):
                    raise InputError(f"{part.label}: {what} of year {t} must be finite")
                unit = self.paid(part, t) if isinstance(part, Decision) else discount[t]
                unit = unit if isinstance(part, Operation) else -unit
                for column, coefficient in self._linear[part.name][t].items():
                    worth[column][t] = worth[column][t] + unit * number * coefficient
        return worth

    def paid(self, decision: Decision, year: int) -> float:
        """Discount factor of the bill of what takes effect in ``year``."""
        if decision.payment is None:
            return float(self.model.discount[year])
        return float(sum(share * self.model.discount[when] for when, share in decision.pays_in(year).items()))

    def digest(self) -> str:
        """Hash of all numbers of the model on the tree: two problems of one digest have the same programs."""
        found = hashlib.sha256(f"{self.model.sense} {self.model.horizon} {self.model.discount_rate!r}".encode())
        if self.model.risk is not None:
            found.update(repr(self.model.risk).encode())
        for part in self.model.parts:
            coefficients = part.coefficients
            told = {f.name: getattr(part, f.name) for f in fields(part) if f.name not in part.tables}
            found.update(f"{part.label} {sorted(told.items(), key=str)!r}".encode())
            for what in coefficients:
                found.update(what.encode())
                for number in self.numbers(part, what):
                    found.update(np.asarray(number, dtype=float).tobytes())
        return found.hexdigest()

    # ----------------------------------------------------------------- places

    def is_open(self, decision: Decision, year: int) -> bool:
        """Whether a decision may take effect in a year, under this information."""
        allowed = decision.years is None or year in decision.years
        return allowed and self.information.is_open(year)

    @cached_property
    def places(self) -> dict[str, Places]:
        """Where the columns of every part stand: at the latest stage at which anything in it is known."""
        T = self.model.horizon
        stages: dict[str, list[int]] = {}
        for part in self.model.columns:
            if isinstance(part, Decision):
                # A year in which there is nothing to decide needs one column, not one per node.
                stages[part.name] = [
                    self.information.decided_at(t, part.lead, T) if self.is_open(part, t) else 0
                    for t in self.model.years
                ]
            elif isinstance(part, Operation):
                stages[part.name] = [
                    self.information.operated_at(t, T) if part.years is None or t in part.years else 0
                    for t in self.model.years
                ]
            else:
                stages[part.name] = self._state_stages(part, stages)
        return {name: Places(self.ancestry, self.model.years, found) for name, found in stages.items()}

    def _state_stages(self, state: State, stages: Mapping[str, list[int]]) -> list[int]:
        found: list[int] = []
        inflow, keep = self.numbers(state, "inflow"), self.kept(state)
        for t, gains in enumerate(self.gains[state.name]):
            before = found[-1] if found else 0
            numbers = (*gains.values(), inflow[t], *keep[t : t + bool(t)])
            known = [t if isinstance(number, np.ndarray) else 0 for number in numbers]
            found.append(max(before, *known, *(stages[column][t] for column in gains)))
        return found

    @cached_property
    def _row_places(self) -> dict[str, Places]:
        return {row.name: self._places_of(row) for row in self.model.rows}

    def row_places(self, row: Row) -> Places:
        """Where a row stands: at the latest stage at which anything in it is known."""
        return self._row_places[row.name]

    def _places_of(self, row: Row) -> Places:
        years = self.model.years if row.years is None else row.years
        sides = self.numbers(row, "lower"), self.numbers(row, "upper")
        stages = []
        for t in years:
            terms = self.terms(row)[t]
            known = [t if isinstance(number, np.ndarray) else 0 for number in (*terms.values(), *(s[t] for s in sides))]
            stages.append(max(0, *known, *(self.places[column].stage(t) for column in terms)))
        return Places(self.ancestry, tuple(years), stages)


def _require_amounts(part: Decision | State | Operation | Expression | Row, what: str, numbers: list[Number]) -> None:
    """Refuse negative numbers where they would say that an amount may be less than 0, or that less than 0 is enough."""
    if (isinstance(part, Decision) and what == "lower") or (isinstance(part, State) and what == "enough"):
        for t, number in enumerate(numbers):
            if np.min(number) < 0:
                raise InputError(f"{part.label}: {what} must be >= 0, got {np.min(number):g} in year {t}")


def _steady(years: Sequence[object]) -> bool:
    """Whether what is said of each year is one and the same number or expression."""
    first = years[0]
    return not isinstance(first, np.ndarray) and all(each is first for each in years)


def _is_finite(number: Number) -> bool:
    return math.isfinite(number) if isinstance(number, float) else bool(np.isfinite(number).all())
