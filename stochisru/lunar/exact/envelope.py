"""Maximum of the lower envelope of lines."""

from __future__ import annotations

import numpy as np

from scenario_trees.arrays import Array


def envelope_argmax(intercept: Array, slope: Array, upper: float) -> Array:
    """Where min_k (intercept_k + slope_k·m) is largest on 0 ≤ m ≤ ``upper``.

    Two lines are kept, the lowest at the left and at the right end of a bracket; where they cross, the lowest line
    takes the place of one of them (Kelley 1960), until it is one of the two.

    Parameters
    ----------
    intercept, slope
        Shape ``(n, lines)``, one envelope per row; an infinite intercept stands for no line.

    Returns
    -------
    numpy.ndarray
        Shape ``(n,)``.
    """
    row = np.arange(intercept.shape[0])
    left = np.argmin(intercept, axis=1)
    # At m = 0 the envelope leaves along the flattest of the lowest lines.
    lowest = intercept[row, left]
    left = np.where(intercept <= lowest[:, None], slope, np.inf).argmin(axis=1)
    right = (intercept + slope * upper).argmin(axis=1)
    found = np.full(row.size, upper)
    falling = slope[row, left] <= 0
    found[falling] = 0.0
    open_ = ~falling & (slope[row, right] < 0)
    for _ in range(intercept.shape[1] + 2):
        at = np.flatnonzero(open_)
        if not at.size:
            break
        a, b = intercept[at], slope[at]
        k, le, ri = np.arange(at.size), left[at], right[at]
        cross = (a[k, ri] - a[k, le]) / (b[k, le] - b[k, ri])
        value = a + b * cross[:, None]
        new = value.argmin(axis=1)
        found[at] = cross
        gain = value[k, le] - value[k, new]
        done = (new == le) | (new == ri) | (gain <= 1e-15 * np.abs(value[k, le]))
        rising = b[k, new] > 0
        left[at], right[at] = np.where(rising, new, le), np.where(rising, ri, new)
        open_[at[done]] = False
    return found
