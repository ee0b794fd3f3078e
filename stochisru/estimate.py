"""A number that was estimated from a sample."""

from __future__ import annotations

import math
from dataclasses import dataclass

#: Why an interval has no width.
CONSTANT = "the sample does not vary"


@dataclass(frozen=True)
class Estimate:
    """A metric with its confidence interval.

    ``lower`` and ``upper`` are NaN where the sample gives no interval (a maximum, a single unit), or where an interval
    would not hold; ``reason`` then says why. It also says so where an interval has no width, as the sample is constant.
    """

    value: float
    standard_error: float
    lower: float
    upper: float
    reason: str = ""

    @classmethod
    def of_error(cls, value: float, standard_error: float, units: int, confidence: float) -> Estimate:
        """A value whose standard error comes from so many independent units, with Student's interval."""
        from scipy.special import stdtrit

        nan = float("nan")
        if units < 2 or not math.isfinite(standard_error):
            why = "one group of paths has no interval" if units < 2 else "no path has a value"
            return cls(value, nan, nan, nan, why)
        half = float(stdtrit(units - 1, 0.5 + confidence / 2)) * standard_error
        return cls(value, standard_error, value - half, value + half, "" if standard_error > 0 else CONSTANT)
