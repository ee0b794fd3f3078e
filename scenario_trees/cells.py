"""Cells of sorted numbers: neighbours are together, and each is nearest to the mean of its own cell."""

from __future__ import annotations

import numpy as np

from scenario_trees.arrays import Array, Index

#: Rounds in which cells follow their means; seldom as many are needed.
_ROUNDS = 1000


def cells(values: Array, count: int) -> tuple[Array, Index]:
    """Put numbers into at most ``count`` cells.

    Cells begin with shares of the sorted numbers; then each end moves to the middle between the means on its two sides
    until none does (Lloyd 1982); the best of three beginnings is kept. With sums of the sorted numbers a round costs
    ``count`` searches and no pass over the numbers. Zeros, from which a process of growth does not return, have a cell
    of their own.

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
    nought = int(np.searchsorted(x, 0.0, side="right")) if count > 1 and x[0] == 0 < x[-1] else 0
    ends = _best(x[nought:], count - (nought > 0)) + nought
    if nought:
        ends = np.append(0, ends)
    cell = np.empty(x.size, dtype=np.int64)
    cell[order] = np.repeat(np.arange(ends.size - 1), np.diff(ends))
    # Not differences of the long sums below: they lose the digits of small numbers.
    return np.bincount(cell, weights=values) / np.diff(ends), cell


def _best(x: Array, count: int) -> Index:
    """Ends of the cells of ascending numbers, the number of numbers last."""
    first = np.flatnonzero(np.concatenate([[True], np.diff(x) > 0]))  # equal numbers are never parted
    sums, n = np.concatenate([[0.0], np.cumsum(x - x[0])]), x.size
    best, most = np.array([0, n]), -np.inf
    for share in _starts(x, count):
        place = first[np.searchsorted(first, np.minimum((n * share).astype(np.int64), n - 1), side="right") - 1]
        ends = np.append(np.unique(place), n)
        for _ in range(_ROUNDS):
            mean = x[0] + np.diff(sums[ends]) / np.diff(ends)
            moved = np.unique(np.concatenate([[0], np.searchsorted(x, (mean[1:] + mean[:-1]) / 2), [n]]))
            if moved.size == ends.size and (moved == ends).all():
                break
            ends = moved
        between = float((np.diff(sums[ends]) ** 2 / np.diff(ends)).sum())  # what cells explain of the sum of squares
        if between > most:
            best, most = ends, between
    return best


def _starts(x: Array, count: int) -> list[Array]:
    """Shares of the numbers below each cell, in the beginning: equal; wider in the tails; of equal width.

    The best density of cells is the cube root of that of the numbers (Panter and Dite 1951): of a normal law a normal
    law √3 times as wide.
    """
    from scipy.special import ndtr, ndtri

    equal = np.arange(count) / count
    wide = np.searchsorted(x, x[0] + (x[-1] - x[0]) * equal) / x.size
    return [equal, np.asarray(ndtr(np.sqrt(3.0) * ndtri(equal))), wide]
