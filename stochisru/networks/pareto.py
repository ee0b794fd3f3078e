"""Two objectives against each other: weighted sums and ε-constraints.

An objective is a weighted sum of a network's criteria, as in ``{"capex": 1, "opex": 1}``. Weighted sums reach the
convex hull of the front only; ε-constraints reach every point of it. Where one objective has no weight, its value would
be anything; the ends of a front are therefore `lexicographic` optima.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from stochisru.errors import InputError, TimeLimitError, UnboundedError
from stochisru.limits import Limit
from stochisru.methods.result import Reason, Termination
from stochisru.networks.assembly import Form, weighted, weights_of
from stochisru.networks.network import Network
from stochisru.networks.solution import NetworkSolution, solve_network, value_of

if TYPE_CHECKING:
    import pandas as pd

Weights = Mapping[str, float]
#: Share of the first objective that is given away for the sake of the second where ties are broken.
TIE_TOLERANCE = 1e-6


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


def lexicographic(
    network: Network,
    first: Weights,
    *others: Weights,
    limits: Mapping[str, float] | None = None,
    form: Form = "reduced",
    rel_gap: float = 1e-4,
    time_limit: float | None = None,
    solver: str = "highs",
) -> NetworkSolution:
    """Minimise the first objective, among its optima the second, and so on.

    A program for each: it holds those before at the best value found, up to the share `TIE_TOLERANCE` of it. The result
    is a solution of the first program: its objective and bounds are of the first objective. ``rel_gap`` and
    ``time_limit`` (seconds) are for each program, ``limits`` are those of `solve_network`. Where a later program ends
    at its limit of time, the termination says so: ties are broken as far as was found, or stay as they were. An
    objective without a least value breaks none.

    Examples
    --------
    Two ways of equal emissions, of which one is dear:

    >>> from stochisru.networks.builder import NetworkBuilder
    >>> builder = NetworkBuilder("two ways", {"water": "m3/day"}, {"cost": "USD/day", "co2": "kg/day"})
    >>> builder.node("plant", {"water": 100})
    >>> builder.node("city", {"water": -10})
    >>> for name, cost in (("dear", 5), ("cheap", 1)):
    ...     builder.arc("plant", "city", name, limit={"water": 50}, cost={"cost": {"water": cost}, "co2": {"water": 2}})
    >>> found = lexicographic(builder.build(), {"co2": 1}, {"cost": 1})
    >>> round(found.objective, 4), round(found.criteria["cost"], 4)
    (20.0, 10.0)
    """
    solve = partial(solve_network, form=form, rel_gap=rel_gap, time_limit=time_limit, solver=solver)
    best = solve(network, first, limits=limits)
    objective = weighted(network, best.weights)
    held, most, reached = network, dict(limits or {}), best.objective
    before, flows, seconds, late = objective, best.flows, best.seconds, False
    for number, other in enumerate(others, start=1):
        before = replace(before, name=f"objective {number} of {len(others) + 1}")
        held = held.replace(criteria=(*held.criteria, before))
        most[before.name] = reached + TIE_TOLERANCE * abs(reached)
        started = time.perf_counter()
        try:
            broken = solve(held, other, limits=most)
        except TimeLimitError:
            late, seconds = True, seconds + time.perf_counter() - started
            break
        except InputError as error:
            if not isinstance(error.__cause__, UnboundedError):
                raise
            break
        late = late or broken.termination.limit is not None
        flows, seconds, reached = broken.flows, seconds + broken.seconds, broken.objective
        before = weighted(held, broken.weights)
    value = value_of(objective, flows)
    found = replace(
        best,
        flows=flows,
        objective=value,
        bounds=replace(best.bounds, lower=min(best.bounds.lower, value), upper=value),
        seconds=seconds,
    )
    if not late:
        return found
    detail = f"{best.termination.detail}; ties of the first objective are not broken to the end: limit of time"
    return replace(found, termination=Termination(Reason.LIMIT, best.termination.limit or Limit.TIME, detail))


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
    """Minimise ``w·first/first* + (1 − w)·second/second*`` for each weight, the factors being the two optima.

    At the weights 0 and 1 ties are broken by the objective that has no weight.
    """
    network, names = _with_objectives(network, first, second)
    best = [solve_network(network, {n: 1.0}, rel_gap=rel_gap, time_limit=time_limit, solver=solver) for n in names]
    scale = [abs(s.objective) or 1.0 for s in best]
    points = []
    for weight in weights:
        if not 0 <= weight <= 1:
            raise InputError(f"weights: must be in [0, 1], got {weight}")
        mixed = {names[0]: weight / scale[0], names[1]: (1 - weight) / scale[1]}
        other = names[0] if weight == 0 else names[1] if weight == 1 else None
        if other is None:
            found = solve_network(network, mixed, rel_gap=rel_gap, time_limit=time_limit, solver=solver)
        else:
            found = lexicographic(network, mixed, {other: 1.0}, rel_gap=rel_gap, time_limit=time_limit, solver=solver)
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
    """Minimise the first objective under limits of the second, evenly from its optimum to where they bind no longer."""
    if points < 2:
        raise InputError(f"points: must be >= 2, got {points}")
    network, names = _with_objectives(network, first, second)
    low = solve_network(network, {names[1]: 1.0}, rel_gap=rel_gap, time_limit=time_limit, solver=solver)
    free = lexicographic(
        network, {names[0]: 1.0}, {names[1]: 1.0}, rel_gap=rel_gap, time_limit=time_limit, solver=solver
    )
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
        added.append(replace(total, name=name))
    return network.replace(criteria=(*network.criteria, *added)), names


def _point(parameter: float, solution: NetworkSolution, names: tuple[str, str]) -> FrontPoint:
    return FrontPoint(parameter, solution.criteria[names[0]], solution.criteria[names[1]], solution)
