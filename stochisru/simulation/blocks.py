"""Independent tasks in any number of processes, with their results in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from stochisru.workers import unhearing, watched

R = TypeVar("R")


def in_order(task: Callable[[int], R], starts: Sequence[int], workers: int) -> Iterator[R]:
    """Results of the tasks in their order, whatever the number of processes."""
    if workers == 1 or len(starts) == 1:
        yield from map(task, starts)
        return
    from joblib import Parallel, delayed

    with watched():
        with unhearing():
            results = Parallel(n_jobs=workers, return_as="generator")(delayed(task)(first) for first in starts)
        yield from results
