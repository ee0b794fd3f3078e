"""A number that was estimated from a sample."""

from __future__ import annotations

from dataclasses import dataclass


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
