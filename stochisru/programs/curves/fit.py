"""Scale exponents from data, and power laws as pieces, each with its error.

A power law is ``f(x) = value·(x/reference)^exponent``. The chord of a power law over [a, r·a] misses it by a relative
error that depends on the ratio r alone, so breakpoints of equal ratio have the least largest error of all chords.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from scenario_trees.arrays import Array
from stochisru.errors import InputError, require_integer
from stochisru.programs.curves.curve import Curve

#: Most pieces that are tried to meet an error.
_MOST = 1000


@dataclass(frozen=True)
class ScaleFit:
    """A power law fitted to data by least squares of logarithms.

    Attributes
    ----------
    reference, value
        Geometric mean of the sizes, and what the fitted law has there.
    exponent
        Scale exponent.
    standard_error
        Of the exponent.
    r_squared
        Share of the variance of the logarithms that is explained.
    max_relative_error
        Largest ``|fit/data − 1|``.
    points
        Number of data.
    """

    reference: float
    value: float
    exponent: float
    standard_error: float
    r_squared: float
    max_relative_error: float
    points: int

    def __call__(self, size: ArrayLike) -> Array:
        """The law at every size."""
        return np.asarray(self.value * (np.asarray(size, float) / self.reference) ** self.exponent)

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Confidence interval of the exponent (Student's t)."""
        from scipy.special import stdtrit

        if not 0 < confidence < 1:
            raise InputError(f"confidence: must be in (0, 1), got {confidence!r}")
        half = float(stdtrit(self.points - 2, (1 + confidence) / 2)) * self.standard_error
        return self.exponent - half, self.exponent + half


@dataclass(frozen=True)
class PieceFit:
    """A power law as a curve.

    Attributes
    ----------
    curve
        The curve; pieces in [``lower``, ``upper``] have ends of equal ratio.
    lower, upper
        Sizes between which the error holds.
    max_relative_error
        Largest ``|curve/law − 1|`` between them.
    """

    curve: Curve
    lower: float
    upper: float
    max_relative_error: float


def fit_scale(sizes: ArrayLike, values: ArrayLike) -> ScaleFit:
    """Scale exponent of data.

    Parameters
    ----------
    sizes, values
        At least three pairs of positive numbers, not all of one size.

    Raises
    ------
    InputError
        If the data are too few, not positive, or all of one size.

    Examples
    --------
    >>> from stochisru.programs.curves import fit_scale
    >>> fit = fit_scale([1, 2, 4, 8], [10, 15.4, 22.8, 35.1])
    >>> print(f"exponent {fit.exponent:.3f} ± {fit.standard_error:.3f}, R² {fit.r_squared:.4f}")
    exponent 0.600 ± 0.008, R² 0.9996
    """
    x, y = (np.array(a, dtype=float) for a in (sizes, values))
    if x.ndim != 1 or x.size < 3:
        raise InputError(f"sizes: must be at least three numbers, got {x.tolist()}")
    for name, a in (("sizes", x), ("values", y)):
        if a.shape != x.shape or not (np.isfinite(a) & (a > 0)).all():
            raise InputError(f"{name}: must be {x.size} finite numbers > 0, got {a.tolist()}")
    u, v = np.log(x), np.log(y)
    reference = float(np.exp(u.mean()))
    du, dv = u - u.mean(), v - v.mean()
    if not (np.ptp(u) > 0):
        raise InputError("sizes: must not all be equal")
    spread = float(du @ du)
    exponent = float(du @ dv) / spread
    residual = dv - exponent * du
    total = float(dv @ dv)
    return ScaleFit(
        reference=reference,
        value=float(np.exp(v.mean())),
        exponent=exponent,
        standard_error=float(np.sqrt(residual @ residual / (x.size - 2) / spread)),
        r_squared=1 - float(residual @ residual) / total if total > 0 else 1.0,
        max_relative_error=float(np.abs(np.expm1(-residual)).max()),
        points=x.size,
    )


def fit_pieces(
    reference: float,
    value: float,
    exponent: float,
    lower: float,
    upper: float,
    *,
    pieces: int | None = None,
    max_error: float | None = None,
    balanced: bool = True,
) -> PieceFit:
    """Power law ``value·(x/reference)^exponent`` as pieces between two sizes.

    Below ``lower``, a law of economies (exponent < 1) goes on with its first piece and jumps at zero: use ``lower`` as
    least size of a structure, or take it that anything smaller is priced too high. A law with an exponent > 1 goes
    straight to zero from ``lower``, by one more piece, and lies above the law.

    Parameters
    ----------
    reference, value, exponent
        The law; all > 0.
    lower, upper
        Sizes, 0 < ``lower`` < ``upper``, between which it is approximated.
    pieces, max_error
        Number of pieces between them, or the relative error that the fewest pieces must meet; one of the two.
    balanced
        Whether the curve is scaled so that it errs as far above the law as below. Otherwise its pieces are
        chords: exact at the breakpoints, below the law for an exponent < 1 and above it for an exponent > 1.

    Raises
    ------
    InputError
        If a number is out of its range, or the error would take more than 1,000 pieces.

    Examples
    --------
    >>> from stochisru.programs.curves import fit_pieces
    >>> for n in (1, 2, 4, 8):
    ...     print(n, f"{fit_pieces(1000, 8e6, 0.6, 100, 10_000, pieces=n).max_relative_error:.2%}")
    1 25.91%
    2 7.53%
    4 1.96%
    8 0.50%
    """
    for name, number in (("reference", reference), ("value", value), ("exponent", exponent), ("lower", lower)):
        if not (np.isfinite(number) and number > 0):
            raise InputError(f"{name}: must be a finite number > 0, got {number!r}")
    if not (np.isfinite(upper) and upper > lower):
        raise InputError(f"upper: must be a finite number > lower = {lower:g}, got {upper!r}")
    if (pieces is None) == (max_error is None):
        raise InputError("pieces: give either pieces or max_error")
    if pieces is None:
        if not (max_error is not None and 0 < max_error < 1):
            raise InputError(f"max_error: must be in (0, 1), got {max_error!r}")
        reached = (_error((upper / lower) ** (1 / n), exponent, balanced) <= max_error for n in range(1, _MOST + 1))
        pieces = next((n for n, enough in enumerate(reached, 1) if enough), None)
        if pieces is None:
            raise InputError(f"max_error: must be large enough for {_MOST} pieces, got {max_error!r}")
    else:
        require_integer("pieces", pieces, 1)
    ratio = (upper / lower) ** (1 / pieces)
    factor = 2 / (2 + _gap(ratio, exponent)) if balanced else 1.0
    points = lower * ratio ** np.arange(pieces + 1)
    points[-1] = upper
    law = factor * value * (points / reference) ** exponent
    slope = (law[1] - law[0]) / (points[1] - points[0])
    fixed = max(law[0] - slope * lower, 0.0) if exponent < 1 else 0.0
    curve = (
        Curve(np.append(0.0, points[1:]), np.append(0.0, law[1:] - fixed), fixed=fixed)
        if exponent <= 1
        else Curve(np.append(0.0, points), np.append(0.0, law))
    )
    return PieceFit(curve, float(lower), float(upper), _error(ratio, exponent, balanced))


def _gap(ratio: float, exponent: float) -> float:
    """``chord/law − 1`` where the chord of ``x^exponent`` over [1, ratio] is farthest from it."""
    slope = (ratio**exponent - 1) / (ratio - 1)
    intercept = 1 - slope
    if abs(exponent - 1) < 1e-9 or intercept == 0:
        return 0.0
    x = intercept * exponent / (slope * (1 - exponent))
    return float((intercept + slope * x) / x**exponent - 1)


def _error(ratio: float, exponent: float, balanced: bool) -> float:
    gap = _gap(ratio, exponent)
    return abs(gap) / (2 + gap) if balanced else abs(gap)
