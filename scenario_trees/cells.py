"""Cells of sorted numbers: neighbours are together, and each is nearest to the mean of its own cell."""

from __future__ import annotations

import numpy as np

from scenario_trees.arrays import Array, Index

#: Rounds in which cells follow their means; a few dozen are enough where they begin with equal shares.
_ROUNDS = 100


def cells(values: Array, count: int) -> tuple[Array, Index]:
    """Put numbers into at most ``count`` cells.

    Cells begin with equal shares of the sorted numbers; then each end moves to the middle between the means on its
    two sides until none does (Lloyd 1982). With sums of the sorted numbers a round costs ``count`` searches and no
    pass over the numbers. Zeros, from which a process of growth does not return, have a cell of their own.

    Parameters
    ----------
    values
        Shape ``(n,)``, n ≥ 1, finite.
    count
        Most cells, ≥ 1.

    Returns
    -------
    means
        Mean of every cell, ascending.
    cell
        Cell of every number, shape ``(n,)``.
    """
    order = np.argsort(values, kind="stable")
    x = values[order]
    new = np.concatenate([[True], np.diff(x) > 0])  # equal numbers are never parted
    first = np.flatnonzero(new)
    sums, n = np.concatenate([[0.0], np.cumsum(x)]), x.size
    # A cell of zeros first, where there are zeros and other numbers.
    nought = int(np.searchsorted(x, 0.0, side="right")) if x[0] == 0 and x[-1] > 0 else 0
    free = max(count - (nought > 0), 1)
    start = nought + ((n - nought) * np.arange(free)) // free
    start = np.unique(first[np.searchsorted(first, start, side="right") - 1])
    for _ in range(_ROUNDS):
        ends = np.append(start, n)
        mean = np.diff(sums[ends]) / np.diff(ends)
        moved = np.unique(np.append(nought, np.searchsorted(x, (mean[1:] + mean[:-1]) / 2)))
        moved = moved[(moved >= nought) & (moved < n)]
        if moved.size == start.size and (moved == start).all():
            break
        start = moved
    if nought and count > 1:
        start = np.append(0, start)
    elif nought:
        start = np.array([0])
    ends = np.append(start, n)
    cell = np.empty(n, dtype=np.int64)
    cell[order] = np.repeat(np.arange(start.size), np.diff(ends))
    # Sums of few numbers one by one: differences of long sums lose the digits of small numbers.
    return np.bincount(cell, weights=values) / np.diff(ends), cell
