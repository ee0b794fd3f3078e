"""A quantity that depends on size piecewise linearly: cost, capacity or anything else of a structure.

Economies of scale are data here: a curve starts at zero, may jump by ``fixed`` as soon as there is anything at all,
and goes on in straight pieces between its breakpoints (Gkaravela, Lee and Chen 2025, Eqs 5-14 and 38-40),

    f(0) = 0,    f(x) = fixed + values_j + slope_j·(x − breakpoint_j)  for x in the j-th piece.

Beyond its last breakpoint a curve goes on with the slope of its last piece.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from scenario_trees.arrays import Array
from stochisru.errors import InputError

#: Relative difference of two slopes, or breakpoints, that is rounding and no bend, or piece.
_SAME = 1e-9


def bends(slopes: Array) -> Array:
    """Change of slope from each piece to the next along the last axis, 0 where it is rounding."""
    step = np.diff(slopes)
    scale = np.maximum(np.abs(slopes[..., :-1]), np.abs(slopes[..., 1:]))
    return np.where(np.abs(step) > _SAME * scale, step, 0.0)


def _merged(*breakpoints: Array) -> Array:
    """Breakpoints of several curves, ascending; of those that differ by rounding, where no slope can be told, one."""
    x = np.unique(np.concatenate(breakpoints))
    return np.asarray(x[np.append(True, np.diff(x) > _SAME * x[1:])])


def _numbers(name: str, given: ArrayLike) -> Array:
    try:
        return np.asarray(given, dtype=float)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name}: must be numbers, got {given!r}") from error


@dataclass(frozen=True, eq=False)
class Curve:
    """A piecewise linear curve from zero.

    Parameters
    ----------
    breakpoints
        Sizes at which the slope changes, ascending, the first 0, the last finite; shape ``(n + 1,)``.
    values
        The curve at the breakpoints without ``fixed``; the first is 0.
    fixed
        Jump at zero: what the smallest structure has, ≥ 0.

    Raises
    ------
    InputError
        If the breakpoints do not ascend from 0, the values do not start at 0, or a number is not finite.

    Examples
    --------
    >>> from stochisru.programs.curves import Curve
    >>> cost = Curve([0, 1000, 3000], [0, 10e6, 26e6], fixed=5e6)
    >>> cost([0, 500, 2000]).tolist(), cost.is_concave
    ([0.0, 10000000.0, 23000000.0], True)
    """

    breakpoints: Array
    values: Array
    fixed: float

    def __init__(self, breakpoints: ArrayLike, values: ArrayLike, *, fixed: float = 0.0) -> None:
        x, y = _numbers("breakpoints", breakpoints), _numbers("values", values)
        if x.ndim != 1 or x.size < 2 or not np.isfinite(x).all() or x[0] != 0 or not (np.diff(x) > 0).all():
            raise InputError(f"breakpoints: must be at least two finite numbers that ascend from 0, got {x.tolist()}")
        if y.shape != x.shape or not np.isfinite(y).all() or y[0] != 0:
            raise InputError(
                f"values: must be {x.size} finite numbers, one per breakpoint, the first 0, got {y.tolist()}"
            )
        if not (np.isfinite(fixed) and fixed >= 0):
            raise InputError(f"fixed: must be a finite number >= 0, got {fixed!r}")
        for name, value in (("breakpoints", x.copy()), ("values", y.copy())):
            value.setflags(write=False)
            object.__setattr__(self, name, value)
        object.__setattr__(self, "fixed", float(fixed))

    @classmethod
    def from_slopes(cls, breakpoints: ArrayLike, slopes: ArrayLike, *, fixed: float = 0.0) -> Curve:
        """A curve by the slope of each piece; ``slopes`` has one entry less than ``breakpoints``."""
        x, slope = _numbers("breakpoints", breakpoints), _numbers("slopes", slopes)
        if slope.shape != (max(x.size - 1, 0),):
            raise InputError(f"slopes: must be {max(x.size - 1, 0)} numbers, one per piece, got {slope.tolist()}")
        return cls(x, np.concatenate([[0.0], np.cumsum(slope * np.diff(x))]), fixed=fixed)

    @classmethod
    def linear(cls, slope: float, upper: float, *, fixed: float = 0.0) -> Curve:
        """A straight line with its breakpoint at ``upper``."""
        return cls([0.0, upper], [0.0, slope * upper], fixed=fixed)

    def __call__(self, size: ArrayLike) -> Array:
        """Value at every size, ≥ 0; same shape as ``size``."""
        x = _numbers("size", size)
        if x.size and not x.min() >= 0:
            raise InputError("size: must be >= 0 and not NaN")
        if self.pieces == 1 and self.fixed == 0:  # what a simulation asks for most
            return np.asarray(self.slopes[0] * x)
        piece = np.clip(np.searchsorted(self.breakpoints, x, side="right") - 1, 0, self.pieces - 1)
        y = self.values[piece] + self.slopes[piece] * (x - self.breakpoints[piece])
        return np.asarray(np.where(x > 0, self.fixed + y, 0.0))

    @property
    def pieces(self) -> int:
        """Number of straight pieces."""
        return int(self.breakpoints.size - 1)

    @property
    def upper(self) -> float:
        """Last breakpoint."""
        return float(self.breakpoints[-1])

    @cached_property
    def slopes(self) -> Array:
        """Slope of each piece, shape ``(n,)``."""
        return np.asarray(np.diff(self.values) / np.diff(self.breakpoints))

    @property
    def is_convex(self) -> bool:
        """Whether the curve is convex on all sizes ≥ 0: no jump, slopes that never fall."""
        return bool(self.fixed == 0 and (bends(self.slopes) >= 0).all())

    @property
    def is_concave(self) -> bool:
        """Whether the curve is concave on all sizes ≥ 0, the jump included: slopes that never rise."""
        return bool((bends(self.slopes) <= 0).all())

    @property
    def is_linear(self) -> bool:
        """Whether the curve is a straight line through zero."""
        return self.is_convex and self.is_concave

    @property
    def is_increasing(self) -> bool:
        """Whether a larger size always has a larger value."""
        return bool((self.slopes > 0).all())

    def inverse(self, value: ArrayLike) -> Array:
        """Smallest size from which on the value is at least ``value``; 0 for what ``fixed`` alone reaches.

        Raises
        ------
        InputError
            If the curve falls somewhere, or never reaches a value.
        """
        y = np.asarray(value, dtype=float)
        if (self.slopes < 0).any():
            raise InputError("inverse: the curve must not fall anywhere")
        if not (y >= 0).all():
            raise InputError("value: must be >= 0 and not NaN")
        above = y - self.fixed
        last = self.slopes[-1]
        if last <= 0 and (above > self.values[-1]).any():
            raise InputError(f"value: the curve never reaches more than {self.fixed + self.values[-1]:g}")
        piece = np.clip(np.searchsorted(self.values, above, side="left") - 1, 0, self.pieces - 1)
        slope = np.where(self.slopes[piece] > 0, self.slopes[piece], np.inf)
        return np.asarray(np.where(above <= 0, 0.0, self.breakpoints[piece] + (above - self.values[piece]) / slope))

    def lowest_average(self, upper: float) -> float:
        """Smallest ``f(x)/x`` for 0 < x ≤ ``upper``: the slope of the steepest line below the curve from zero."""
        if not (np.isfinite(upper) and upper > 0):
            raise InputError(f"upper: must be a finite number > 0, got {upper!r}")
        ends = np.append(self.breakpoints[(self.breakpoints > 0) & (self.breakpoints < upper)], upper)
        ratios = self(ends) / ends
        return float(min(ratios.min(), self.slopes[0]) if self.fixed == 0 else ratios.min())

    def restricted(self, upper: float) -> Curve:
        """The same curve with its last breakpoint at ``upper`` > 0."""
        if not (np.isfinite(upper) and upper > 0):
            raise InputError(f"upper: must be a finite number > 0, got {upper!r}")
        x = np.append(self.breakpoints[self.breakpoints < upper], upper)
        y = self(x) - np.where(x > 0, self.fixed, 0.0)
        return Curve(x, y, fixed=self.fixed)

    def plus(self, other: Curve) -> Curve:
        """Sum of two curves, on both their breakpoints."""
        x = _merged(self.breakpoints, other.breakpoints)
        y = self(x) + other(x)
        fixed = self.fixed + other.fixed
        return Curve(x, y - np.where(x > 0, fixed, 0.0), fixed=fixed)

    def of(self, inner: Curve) -> Curve:
        """The curve of another curve's value, ``f(g(x))``, for a rising ``inner`` without a jump.

        Both are straight between neighbours of all breakpoints, those of ``self`` moved to the sizes at which
        ``inner`` reaches them.
        """
        if inner.fixed or not inner.is_increasing:
            raise InputError("inner: must rise everywhere and have no jump at zero")
        x = _merged(inner.breakpoints, inner.inverse(self.breakpoints))
        z = inner(x)
        return Curve(x, self(z) - np.where(z > 0, self.fixed, 0.0), fixed=self.fixed)._without_straight_points()

    def _without_straight_points(self) -> Curve:
        keep = np.concatenate([[True], bends(self.slopes) != 0, [True]])
        return Curve(self.breakpoints[keep], self.values[keep], fixed=self.fixed)

    def times(self, factor: float) -> Curve:
        """The curve times ``factor`` > 0."""
        if not (np.isfinite(factor) and factor > 0):
            raise InputError(f"factor: must be a finite number > 0, got {factor!r}")
        return Curve(self.breakpoints, self.values * factor, fixed=self.fixed * factor)

    def __repr__(self) -> str:
        points = ", ".join(f"{x:g}: {y:g}" for x, y in zip(self.breakpoints, self.values, strict=True))
        jump = f", fixed {self.fixed:g}" if self.fixed else ""
        return f"Curve({points}{jump})"


def power_curve(reference: float, value: float, exponent: float, breakpoints: Sequence[float] | Array) -> Curve:
    """Chords of ``value·(x/reference)^exponent`` between the given breakpoints.

    Parameters
    ----------
    reference, value
        A size and what it has there.
    exponent
        Scale exponent > 0: below 1 for economies of scale in cost, above 1 for those in output.
    """
    for name, number in (("reference", reference), ("value", value), ("exponent", exponent)):
        if not (np.isfinite(number) and number > 0):
            raise InputError(f"{name}: must be a finite number > 0, got {number!r}")
    x = np.asarray(breakpoints, dtype=float)
    return Curve(x, value * (x / reference) ** exponent)
