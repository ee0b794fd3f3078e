"""Two objectives against each other: weighted sums and ε-constraints.

An objective is a weighted sum of a network's criteria, as in ``{"capex": 1, "opex": 1}``. Weighted sums reach the
convex hull of the front only; ε-constraints reach every point of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stochisru.errors import InputError
from stochisru.networks.assembly import weighted, weights_of
from stochisru.networks.network import Criterion, Network
from stochisru.networks.solution import NetworkSolution, solve_network

if TYPE_CHECKING:
    import pandas as pd

Weights = Mapping[str, float]


@dataclass(frozen=True, eq=False)
class FrontPoint:
    """A solution of a front: the weight of the first objective or the limit ε of the second, and both values."""

    parameter: float
    first: float
    second: float
    solution: NetworkSolution


@dataclass(frozen=True, eq=False)
class Front:
    """Points of a Pareto front in the order in which they were asked for."""

    parameter: str
    points: tuple[FrontPoint, ...]

    @property
    def efficient(self) -> tuple[bool, ...]:
        """Whether no other point is at least as good in both objectives and better in one."""
        values = np.array([(p.first, p.second) for p in self.points])
        as_good, better = values[:, None] <= values[None], values[:, None] < values[None]
        dominated = np.any(np.all(as_good, axis=2) & np.any(better, axis=2), axis=0)
        return tuple(not bool(d) for d in np.atleast_1d(dominated))

    def to_frame(self) -> pd.DataFrame:
        """A row per point: parameter, first, second, gap, efficient."""
        import pandas as pd

        return pd.DataFrame(
            {
                self.parameter: [p.parameter for p in self.points],
                "first": [p.first for p in self.points],
                "second": [p.second for p in self.points],
                "gap": [p.solution.bounds.gap for p in self.points],
                "efficient": self.efficient,
            }
        )


def weighted_front(
    network: Network,
    first: Weights,
    second: Weights,
    weights: Iterable[float],
    *,
    rel_gap: float = 1e-4,
    time_limit: float | None = None,
    solver: str = "highs",
) -> Front:
    """Minimise ``w·first/first* + (1 − w)·second/second*`` for each weight, the factors being the two optima."""
    network, names = _with_objectives(network, first, second)
    best = [solve_network(network, {n: 1.0}, rel_gap=rel_gap, time_limit=time_limit, solver=solver) for n in names]
    scale = [abs(s.objective) or 1.0 for s in best]
    points = []
    for weight in weights:
        if not 0 <= weight <= 1:
            raise InputError(f"weights: must be in [0, 1], got {weight}")
        mixed = {names[0]: weight / scale[0], names[1]: (1 - weight) / scale[1]}
        found = solve_network(network, mixed, rel_gap=rel_gap, time_limit=time_limit, solver=solver)
        points.append(_point(weight, found, names))
    return Front("weight", tuple(points))


def epsilon_front(
    network: Network,
    first: Weights,
    second: Weights,
    points: int,
    *,
    rel_gap: float = 1e-4,
    time_limit: float | None = None,
    solver: str = "highs",
) -> Front:
    """Minimise the first objective under limits of the second, evenly from its optimum to where it is free."""
    if points < 2:
        raise InputError(f"points: must be >= 2, got {points}")
    network, names = _with_objectives(network, first, second)
    low = solve_network(network, {names[1]: 1.0}, rel_gap=rel_gap, time_limit=time_limit, solver=solver)
    free = solve_network(network, {names[0]: 1.0}, rel_gap=rel_gap, time_limit=time_limit, solver=solver)
    found = []
    # The least limit is the best value found; rounding must not make it unreachable.
    least = low.objective + 1e-9 * max(1.0, abs(low.objective))
    for limit in np.linspace(least, max(least, free.criteria[names[1]]), points):
        solution = solve_network(
            network, {names[0]: 1.0}, limits={names[1]: float(limit)}, rel_gap=rel_gap, time_limit=time_limit,
            solver=solver,
        )  # fmt: skip
        found.append(_point(float(limit), solution, names))
    return Front("limit", tuple(found))


def _with_objectives(network: Network, first: Weights, second: Weights) -> tuple[Network, tuple[str, str]]:
    """The network with two criteria more, the objectives, and their names."""
    names = ("first objective", "second objective")
    added = []
    for name, weights in zip(names, (first, second), strict=True):
        total = weighted(network, weights_of(network, weights))
        added.append(Criterion(name, "", total.out, total.in_, total.expansion_out, total.expansion_in, total.use))
    return network.replace(criteria=(*network.criteria, *added)), names


def _point(parameter: float, solution: NetworkSolution, names: tuple[str, str]) -> FrontPoint:
    return FrontPoint(parameter, solution.criteria[names[0]], solution.criteria[names[1]], solution)
