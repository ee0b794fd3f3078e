"""The parts of a problem: what is decided, what is carried over, what is operated, and what binds them.

Every part is data. A *coefficient* is a number, one number per year, a `Factor`, or a function of (year, factors) that
works on arrays over nodes. Money is in the model's unit in the year in which it flows; the model discounts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import ClassVar, TypeAlias, cast

import numpy as np

from scenario_trees.errors import is_integer
from stochisru.errors import InputError, require_integer, require_number
from stochisru.problem.coefficients import Coefficient, Kept, kept
from stochisru.programs.curves.curve import Curve

_INF = float("inf")


def _years(part: str, given: Iterable[int] | None) -> tuple[int, ...] | None:
    if given is None:
        return None
    years = tuple(given) if isinstance(given, Iterable) else ()
    if not years or not all(map(is_integer, years)):
        got = list(years) if isinstance(given, Iterable) else given
        raise InputError(f"{part}: years must be one or more whole numbers, got {got!r}")
    return tuple(sorted({int(year) for year in years}))


class _Named:
    """What all parts share: a name, words for messages, and coefficients in one form."""

    name: str
    #: Attributes that are coefficients, or tables of them by name.
    _coefficients: ClassVar[tuple[str, ...]] = ()
    #: Those that may be left out, None.
    _optional: ClassVar[frozenset[str]] = frozenset({"upper", "enough"})

    @property
    def tables(self) -> tuple[str, ...]:
        """Attributes that are coefficients, or tables of them by name."""
        return self._coefficients

    @property
    def label(self) -> str:
        """Kind and name, as messages say them."""
        return f"{type(self).__name__.lower()} {self.name!r}"

    @cached_property
    def coefficients(self) -> dict[str, Kept]:
        """All coefficients by what they are, such as ``cost`` or ``gains of 'plant'``."""
        found: dict[str, Kept] = {}
        for what in self._coefficients:
            value = getattr(self, what)
            if isinstance(value, Mapping):
                found |= {f"{what} of {name!r}": coefficient for name, coefficient in value.items()}
            elif value is not None:
                found[what] = value
        return found

    @property
    def rule_name(self) -> str:
        """Name of the rows that define it, where it has any."""
        return getattr(self, "rule", None) or f"{self.name}_is"

    def _set(self, **values: object) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def _check(self, *tables: str) -> None:
        """Check the name, and bring coefficients into the form in which they are kept; ``tables`` are by name."""
        if not (isinstance(self.name, str) and self.name.isidentifier()):
            raise InputError(f"{type(self).__name__.lower()}: name must be letters, digits and _, got {self.name!r}")
        rule = getattr(self, "rule", None)
        if rule is not None and not (isinstance(rule, str) and rule.isidentifier()):
            raise InputError(f"{self.label}: rule must be letters, digits and _, got {rule!r}")
        for what in self._coefficients:
            value = getattr(self, what)
            if what in tables:
                if not isinstance(value, Mapping):
                    raise InputError(f"{self.label}: {what} must be a table of coefficients by name, got {value!r}")
                table = {str(name): kept(self.label, f"{what} of {name!r}", each) for name, each in value.items()}
                self._set(**{what: MappingProxyType(table)})
            elif value is not None or what not in self._optional:
                self._set(**{what: kept(self.label, what, value)})


@dataclass(frozen=True)
class Decision(_Named):
    """An amount ≥ 0 that is committed ``lead`` years before it takes effect.

    Attributes
    ----------
    lead
        L ≥ 0: what takes effect in year t is decided in year max(t − L, 0).
    years
        Years in which it may take effect; all if not given. In others it is 0.
    cost
        Per unit, in the year of effect.
    lower, upper
        Bounds. ``upper`` may be left out of a decision that feeds a `State` with ``enough``.
    lot
        The amount is a whole number of these, or anything if not given.
    fixed_cost
        Paid in every year in which the amount is not 0; a number, or one per year.
    curve
        Cost by size in any year of effect, besides ``cost``; piecewise linear, need not be convex.
    payment
        Shares of the bill, from order to arrival, lead + 1 numbers ≥ 0 that sum to 1: share j is paid in year
        max(t − L + j, 0). All at arrival if not given.
    """

    name: str
    lead: int = 0
    years: Iterable[int] | None = None
    cost: Coefficient = 0.0
    lower: Coefficient = 0.0
    upper: Coefficient | None = None
    lot: float | None = None
    fixed_cost: float | Sequence[float] = 0.0
    curve: Curve | None = None
    payment: Sequence[float] | None = None
    _coefficients = ("cost", "lower", "upper", "fixed_cost")

    def __post_init__(self) -> None:
        self._check()
        require_integer(f"{self.label}: lead", self.lead, 0)
        self._set(years=_years(self.label, self.years))
        if isinstance(self.lower, (float, tuple)) and np.min(self.lower) < 0:
            raise InputError(f"{self.label}: lower must be >= 0, an amount is, got {self.lower!r}")
        if self.lot is not None:
            require_number(f"{self.label}: lot", self.lot, low=0.0, strict=True)
        if not isinstance(self.fixed_cost, (float, tuple)) or np.min(self.fixed_cost) < 0:
            raise InputError(f"{self.label}: fixed_cost must be a number >= 0 or one per year, got {self.fixed_cost!r}")
        if self.curve is not None and not isinstance(self.curve, Curve):
            raise InputError(f"{self.label}: curve must be a Curve, got {self.curve!r}")
        if self.payment is not None:
            given = self.payment if isinstance(self.payment, Iterable) else ()
            shares = tuple(require_number(f"{self.label}: a share of payment", share) for share in given)
            if len(shares) != self.lead + 1 or min(shares) < 0 or abs(sum(shares) - 1) > 1e-9:
                raise InputError(
                    f"{self.label}: payment must be lead + 1 = {self.lead + 1} shares >= 0 that sum to 1, got {shares}"
                )
            self._set(payment=shares)

    @property
    def is_linear(self) -> bool:
        """Whether any amount is allowed and cost is in proportion to it."""
        return self.lot is None and self.curve is None and not np.any(self.fixed_cost)

    @property
    def own_names(self) -> list[str]:
        """Names of blocks by which programs know its lots and costs by size."""
        lots = [] if self.lot is None else [f"{self.name}_lots", f"whole_{self.name}"]
        return lots + ([] if self.curve is None and not np.any(self.fixed_cost) else [f"{self.name}_cost"])

    def pays_in(self, year: int) -> dict[int, float]:
        """Years in which what takes effect in ``year`` is paid, with their shares."""
        if self.payment is None:
            return {year: 1.0}
        paid: dict[int, float] = {}
        for j, share in enumerate(self.payment):
            when = max(year - self.lead + j, 0)
            paid[when] = paid.get(when, 0.0) + share
        return paid


@dataclass(frozen=True)
class State(_Named):
    """What is carried from year to year: ``x_t = keep_t·x_{t−1} + Σ gain_t·y_t + inflow_t``, ``x_0`` from ``initial``.

    Attributes
    ----------
    keep
        Share ≥ 0 that is left of the year before, or what it has become, such as the return of a share; not applied in
        year 0. Where there is ``enough`` or a ``lifetime`` it must be known beforehand.
    gains
        Coefficients of decisions, operations, expressions and states stated before, of the same year.
    inflow
        What is added each year whatever is decided.
    initial
        Stands for ``keep_0·x_{−1}``.
    cost
        Of holding, per unit at the end of the year.
    lower, upper
        Bounds. ``upper`` may be left out where it follows from what feeds the state.
    enough
        Amount of which more earns nothing in a year, whatever happens: no optimal plan adds beyond the largest that may
        still come. It gives the bounds that a dual bound needs (`stochisru.problem.bounds`) and is no constraint.
        Only decisions may feed such a state, or take from it by gains < 0. It has to count all uses: what is worth
        keeping in a store that the state feeds, and what rows together force operations to draw.
    lifetime
        Years after which what a decision has added retires; ``initial`` counts as added in year 0.
    rule
        Name of its balance among the rows of programs, ``NAME_is`` if not given.
    """

    name: str
    keep: Coefficient = 1.0
    gains: Mapping[str, Coefficient] = field(default_factory=dict)
    inflow: Coefficient = 0.0
    initial: float = 0.0
    cost: Coefficient = 0.0
    lower: Coefficient = 0.0
    upper: Coefficient | None = None
    enough: Coefficient | None = None
    lifetime: int | None = None
    rule: str | None = None
    _coefficients = ("keep", "gains", "inflow", "cost", "lower", "upper", "enough")

    def __post_init__(self) -> None:
        self._check("gains")
        known = isinstance(self.keep, (float, tuple))
        if known and not (np.min(cast("float", self.keep)) >= 0 and np.isfinite(cast("float", self.keep)).all()):
            raise InputError(f"{self.label}: keep must be finite numbers >= 0, got {self.keep!r}")
        if not known and (self.enough is not None or self.lifetime is not None):
            what = "enough" if self.enough is not None else "a lifetime"
            raise InputError(f"{self.label}: {what} asks for a keep known beforehand, a number or one per year")
        require_number(f"{self.label}: initial", self.initial)
        if self.lifetime is not None:
            require_integer(f"{self.label}: lifetime", self.lifetime, 1)
            if self.inflow != 0.0:
                raise InputError(f"{self.label}: a state with a lifetime must have no inflow, got {self.inflow!r}")


@dataclass(frozen=True)
class Operation(_Named):
    """An amount that is chosen when the year's factors are seen.

    Attributes
    ----------
    value
        Worth per unit, negative for a cost.
    years
        Years in which there may be any; all if not given. In others it is 0.
    lower, upper
        Bounds; ``upper`` may be left out where a row or the balance of a state says how much there may be.
    """

    name: str
    value: Coefficient = 0.0
    years: Iterable[int] | None = None
    lower: Coefficient = 0.0
    upper: Coefficient | None = None
    _coefficients = ("value", "lower", "upper")

    def __post_init__(self) -> None:
        self._check()
        self._set(years=_years(self.label, self.years))


@dataclass(frozen=True)
class Expression(_Named):
    """A name for ``Σ coefficient·x`` of one year, with a cost per unit; it has no column of its own.

    Attributes
    ----------
    terms
        Coefficients of decisions, states, operations and expressions stated before.
    cost
        Per unit.
    rule
        Name of its definition in a path model, where it is a variable; ``NAME_is`` if not given.
    """

    name: str
    terms: Mapping[str, Coefficient] = field(default_factory=dict)
    cost: Coefficient = 0.0
    rule: str | None = None
    _coefficients = ("terms", "cost")

    def __post_init__(self) -> None:
        self._check("terms")


@dataclass(frozen=True)
class Row(_Named):
    """``lower ≤ Σ coefficient·x ≤ upper`` in each of its years.

    Attributes
    ----------
    terms
        Coefficients of decisions, states, operations and expressions, all of the same year: a lag is a `State`.
    lower, upper
        Sides, at least one of them finite.
    equals
        Both sides at once.
    years
        Years in which it holds; all if not given.
    """

    name: str
    terms: Mapping[str, Coefficient]
    lower: Coefficient = -_INF
    upper: Coefficient = _INF
    equals: Coefficient | None = None
    years: Iterable[int] | None = None
    _coefficients = ("terms", "lower", "upper")
    _optional = frozenset()

    def __post_init__(self) -> None:
        if self.equals is not None:
            if self.lower != -_INF or self.upper != _INF:
                raise InputError(f"{self.label}: takes lower and upper, or equals, not both")
            self._set(lower=self.equals, upper=self.equals, equals=None)
        self._check("terms")
        self._set(years=_years(self.label, self.years))
        if self.lower == -_INF and self.upper == _INF:
            raise InputError(f"{self.label}: needs a finite lower or upper side, or equals")


Part: TypeAlias = Decision | State | Operation | Expression | Row
