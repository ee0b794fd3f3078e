"""Internal rate of return, and payback without discounting, of cash by year and path.

NPV ranks plans, since it is money; a rate of return or a payback does not: a small plan may return more and earn less.
They are what a board asks for beside it.
"""

from __future__ import annotations

import numpy as np

from scenario_trees.arrays import Array, Index
from stochisru.estimate import Estimate
from stochisru.simulation.estimators import groups_of, mean_estimate, mean_of_known, quantile_estimate, share_estimate

#: Rates between which an internal one is looked for, per year.
LOWEST, HIGHEST = -0.9, 100.0
#: Growth factors at which the sign of NPV is looked at, and halvings of an interval between two (1e-10 of 1 + rate).
_GRID = np.geomspace(1 + LOWEST, 1 + HIGHEST, 97)
_HALVINGS = 30


def internal_rates(cash: Array) -> Array:
    """Rate at which the cash of a path is worth nothing, per year.

    Parameters
    ----------
    cash
        Undiscounted, $, shape ``(years, n)``.

    Returns
    -------
    numpy.ndarray
        Shape ``(n,)``; NaN where NPV as a function of the rate, looked at in 97 places, does not change its sign once,
        from above zero, between `LOWEST` and `HIGHEST`: cash of one sign has no such rate, orders that follow
        each other may have several, and plant that earns in the year in which it is paid needs no return at all.

    Examples
    --------
    >>> import numpy as np
    >>> from stochisru.simulation.returns import internal_rates
    >>> internal_rates(np.array([[-100.0, -100.0, 10.0], [0.0, 60.0, 10.0], [121.0, 60.0, 10.0]])).round(4)
    array([0.1   , 0.1307,    nan])
    """
    years = np.arange(cash.shape[0])
    # einsum, not BLAS: the sum must not depend on the number of threads.
    worth = np.einsum("rt,tn->rn", _GRID[:, None] ** -years, cash)
    falls = (worth[:-1] > 0) & (worth[1:] <= 0)
    once = (falls.sum(axis=0) == 1) & ~((worth[:-1] <= 0) & (worth[1:] > 0)).any(axis=0)
    rates = np.full(cash.shape[1], np.nan)
    own = cash[:, once]
    at = falls[:, once].argmax(axis=0)
    low, high = _GRID[at], _GRID[at + 1]
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        value = np.zeros(middle.size)
        for flow in own[::-1]:  # Horner
            value = value / middle + flow
        low, high = np.where(value > 0, middle, low), np.where(value > 0, high, middle)
    rates[once] = (low + high) / 2 - 1
    return rates


def payback_years(cash: Array) -> Array:
    """First year in which cash adds up to 0 or more, shape ``(n,)``; NaN where it never does."""
    paid = np.cumsum(cash, axis=0) >= 0
    return np.where(paid.any(axis=0), paid.argmax(axis=0), np.nan)


def whole_groups(units: Index, paths: int) -> tuple[int, Index]:
    """Number of the first ``paths`` paths that are in whole groups, and the sizes of these; all of one that is cut."""
    ends = np.cumsum(units)
    groups = int(np.searchsorted(ends, paths, side="right"))
    return (int(ends[groups - 1]), units[:groups]) if groups else (paths, np.array([paths]))


def return_metrics(cash: Array, units: Index, confidence: float = 0.95, step: float = 1.0) -> dict[str, Estimate]:
    """Median internal rate and mean undiscounted payback of the paths that have one, and the shares that have none.

    Parameters
    ----------
    cash
        As in `internal_rates`.
    units
        Sizes of the independent groups of these paths.
    confidence
        Level of the intervals, in (0, 1).
    step
        Years from one row of cash to the next.
    """
    units = groups_of(units, cash.shape[1])
    rates, years = (1 + internal_rates(cash)) ** (1 / step) - 1, payback_years(cash) * step

    def missing(sample: Array) -> Estimate:
        return share_estimate(mean_estimate(np.isnan(sample).astype(float), units, confidence), units.size, confidence)

    return {
        "irr_p50": quantile_estimate(rates, 0.5, units, confidence),
        "no_irr": missing(rates),
        "undiscounted_payback_year": mean_of_known(years, units, confidence),
        "never_pays_back_undiscounted": missing(years),
    }
