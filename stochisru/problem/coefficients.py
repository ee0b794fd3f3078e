"""Coefficients of a model: a number, one number per year, a factor, or a function of year and factors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from scenario_trees.arrays import Array
from scenario_trees.errors import is_number
from stochisru.errors import InputError, require_number

#: Values of the factors of one year by name, each of shape ``(nodes,)``.
Factors: TypeAlias = Mapping[str, Array]


@dataclass(frozen=True)
class Factor:
    """A factor of the process as a coefficient, times a number or one number per year.

    Attributes
    ----------
    name
        One of `stochisru.problem.Model.factors`.
    times
        What it is multiplied by: a number, or one per year, shape ``(T + 1,)``.

    Examples
    --------
    >>> from stochisru.problem import Factor
    >>> 2 * Factor("demand") / 5
    Factor(name='demand', times=0.4)
    >>> Factor("demand", [1, 0.5]) * 2
    Factor(name='demand', times=(2.0, 1.0))
    """

    name: str
    times: float | Sequence[float] | Array = 1.0

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise InputError(f"factor: its name must be text, got {self.name!r}")
        where = f"factor {self.name!r}: times"
        if isinstance(self.times, (list, tuple, np.ndarray)) and np.ndim(self.times) == 1:
            object.__setattr__(self, "times", tuple(require_number(where, x) for x in self.times))
        else:
            object.__setattr__(self, "times", require_number(where, self.times))

    def __mul__(self, number: float) -> Factor:
        if not is_number(number):
            raise self._no_multiple(number)
        return Factor(self.name, np.multiply(self.times, number))

    __rmul__ = __mul__

    def __truediv__(self, number: float) -> Factor:
        if not is_number(number) or number == 0:
            raise self._no_multiple(number)
        return Factor(self.name, np.divide(self.times, number))

    def by_year(self, horizon: int) -> Array:
        """What it is multiplied by in years 0..T, shape ``(T + 1,)``."""
        return np.broadcast_to(np.asarray(self.times, dtype=float), (horizon + 1,))

    def __neg__(self) -> Factor:
        return self * -1.0

    def __add__(self, other: object) -> Factor:
        raise self._no_multiple(other)

    __radd__ = __sub__ = __rsub__ = __add__

    def _no_multiple(self, other: object) -> InputError:
        return InputError(
            f"factor {self.name!r}: takes numbers to be multiplied by, not {other!r}; give a function of (year, "
            f"factors), as lambda year, factors: factors[{self.name!r}] + 1"
        )


#: A number; one number per year; a `Factor`; or a function of the year and of `Factors` that gives a number or one per
#: node, shape ``(nodes,)``.
Coefficient: TypeAlias = float | Sequence[float] | Array | Factor | Callable[[int, Factors], ArrayLike]

#: A coefficient as parts keep it.
Kept: TypeAlias = float | tuple[float, ...] | Factor | Callable[[int, Factors], ArrayLike]

#: A coefficient of one year on a tree: a number where it is known beforehand, else one per node of the year's stage.
Number: TypeAlias = float | Array


def kept(part: str, what: str, given: object) -> Kept:
    """A coefficient in the form in which a part keeps it: immutable, numbers as floats.

    Parameters
    ----------
    part, what
        For the error: ``decision 'plant'`` and ``cost``.

    Raises
    ------
    InputError
        If it is none.
    """
    if isinstance(given, Factor) or callable(given):
        return given
    try:
        number = np.asarray(_by_year(part, what, given))
        if number.dtype.kind not in "iuf":
            raise TypeError
        if np.isnan(number).any():
            year = f", it is in year {int(np.argmax(np.isnan(number)))}" if number.ndim == 1 else ""
            raise InputError(f"{part}: {what} must not be NaN{year}")
        if number.ndim == 0:
            return float(number)
        if number.ndim == 1:
            return tuple(number.astype(float).tolist())
    except (TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
    raise InputError(
        f"{part}: {what} must be a number, one per year, a Factor or a function of (year, factors), got {given!r}"
    )


def _by_year(part: str, what: str, given: object) -> object:
    """Numbers of a pandas Series in the order of its years; all else as it is."""
    index = getattr(given, "index", None)
    if index is None or not hasattr(given, "loc"):
        return given
    years = list(range(len(index)))
    if sorted(index) != years:
        raise InputError(
            f"{part}: {what} must have the years 0..{years[-1] if years else 0} as its index, got {list(index)}"
        )
    return given.loc[years].to_numpy()


class _Known(Mapping[str, Array]):
    """The factors of a year as functions of a model see them: an unknown one is named in the error."""

    def __init__(self, values: Mapping[str, Array], where: str) -> None:
        self._values, self._where = values, where

    def __getitem__(self, name: str) -> Array:
        try:
            return self._values[name]
        except KeyError:
            raise InputError(
                f"{self._where} uses the factor {name!r}; the model's factors are {', '.join(self._values) or 'none'}"
            ) from None

    def __iter__(self):  # type: ignore[no-untyped-def]
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def number_of(
    part: str,
    what: str,
    coefficient: Callable[[int, Factors], ArrayLike],
    year: int,
    factors: Factors,
    nodes: int,
) -> Number:
    """What a function says of one year.

    Parameters
    ----------
    factors
        Values at the nodes of the year's stage.
    nodes
        Number of them.

    Raises
    ------
    InputError
        Naming part and year, if a factor is unknown or a function gives anything else than a number or one per node.
    """
    where = f"{part}: {what} of year {year}"
    try:
        given = coefficient(year, _Known(factors, where))
    except InputError:
        raise
    except Exception as error:  # the function is the user's
        raise InputError(
            f"{where} cannot be computed: {type(error).__name__}: {' '.join(str(error).split())}"
        ) from error
    try:
        value = np.asarray(given, dtype=float)
    except (TypeError, ValueError) as error:
        raise InputError(f"{where} must be numbers, got {given!r}") from error
    if value.shape not in ((), (nodes,)):
        raise InputError(f"{where} must be a number or one per node, shape ({nodes},), got shape {value.shape}")
    if np.isnan(value).any():
        raise InputError(f"{where} must not be NaN")
    return float(value) if value.ndim == 0 else value
