"""A network over time: a copy of every node per step, arcs that leave at one step and arrive at a later one.

An arc's ``duration`` counts steps. A loop with a duration is storage, or a process that takes its time: what it makes
is there only at the later step. A loop without one acts within a step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from scenario_trees.arrays import Array, Index
from stochisru.errors import InputError
from stochisru.networks.additions import changed, with_arcs
from stochisru.networks.network import End, Network

if TYPE_CHECKING:
    import pandas as pd

    from stochisru.networks.solution import NetworkSolution


@dataclass(frozen=True, eq=False)
class TimeExpandedNetwork:
    """A network over time and where its nodes and arcs come from.

    Attributes
    ----------
    network
        The expanded network; node ``i`` at step ``t`` is number ``t·n + i``.
    base
        The network that was expanded.
    arc, departure
        (arcs,): the arc of the base that an arc is a copy of, and the step at which it leaves.
    steps
        Number of steps.
    """

    network: Network
    base: Network
    arc: Index
    departure: Index
    steps: int

    def node(self, name: str, step: int) -> str:
        """Name of a node at a step."""
        if not 0 <= step < self.steps:
            raise InputError(f"step: must be in 0..{self.steps - 1}, got {step}")
        return self.network.nodes[step * self.base.n_nodes + self.base.node(name)]

    def table(self, solution: NetworkSolution) -> pd.DataFrame:
        """Tidy flows of a solution with ``arc``, ``tail`` and ``head`` of the base and the step of ``departure``."""
        table = solution.table.copy()
        number = {name: i for i, name in enumerate(self.network.arcs)}
        at = np.array([number[name] for name in table["arc"]], dtype=np.int64)
        names = np.array(self.base.nodes, dtype=object)
        table["arc"] = np.array(self.base.arcs, dtype=object)[self.arc[at]]
        table["tail"] = names[self.base.tail[self.arc[at]]]
        table["head"] = names[self.base.head[self.arc[at]]]
        table.insert(3, "departure", self.departure[at])
        return table


def expand(
    base: Network,
    steps: int,
    *,
    demand_steps: Sequence[int],
    supply_steps: Sequence[int] | None = None,
    windows: Mapping[str, Sequence[int]] | None = None,
    supplies: Mapping[tuple[str, str], Sequence[float]] | None = None,
) -> TimeExpandedNetwork:
    """Expand a network over time.

    Parameters
    ----------
    base
        Network whose durations are whole steps.
    steps
        Number of steps.
    demand_steps
        Steps at which every demand of the base is made.
    supply_steps
        Steps at which every supply of the base is there; all steps if not given.
    windows
        ``{arc: steps at which it may leave}``; arcs that are not named may leave at any step.
    supplies
        ``{(node, commodity): b at every step}`` in place of the base's supply or demand.

    Raises
    ------
    InputError
        If a duration is no whole number, a step out of range, or an arc unknown.
    """
    if steps < 1:
        raise InputError(f"steps: must be >= 1, got {steps}")
    duration = base.duration.astype(np.int64)
    if (duration != base.duration).any():
        raise InputError(f"duration: must be whole steps, got {base.duration[duration != base.duration][0]}")
    step, arc = (a.ravel() for a in np.meshgrid(np.arange(steps), np.arange(base.n_arcs), indexing="ij"))
    opens = np.ones((steps, base.n_arcs), dtype=bool)
    for name, allowed in (windows or {}).items():
        number = base.arc(name)
        opens[:, number] = False
        opens[_steps(allowed, steps, f"window of {name!r}"), number] = True
    kept = opens.ravel() & (step + duration[arc] < steps)
    step, arc = step[kept], arc[kept]
    supply = np.zeros((steps, base.n_nodes, base.k))
    given = np.arange(steps) if supply_steps is None else _steps(supply_steps, steps, "supply_steps")
    supply[given] = np.maximum(base.supply, 0.0)
    wanted = np.zeros(steps)
    wanted[_steps(demand_steps, steps, "demand_steps")] = 1.0
    supply += wanted[:, None, None] * np.minimum(base.supply, 0.0)
    for (node, commodity), amounts in (supplies or {}).items():
        where = base.node(node), base.commodity(commodity)
        if len(amounts) != steps:
            raise InputError(f"supply of {commodity!r} at {node!r}: must be {steps} numbers, got {len(amounts)}")
        supply[:, where[0], where[1]] = amounts
    network = Network(
        name=f"{base.name}, {steps} steps",
        nodes=tuple(f"{node} @{t}" for t in range(steps) for node in base.nodes),
        commodities=base.commodities,
        units=base.units,
        arcs=tuple(f"{base.arcs[a]} @{t}" for t, a in zip(step, arc, strict=True)),
        tail=step * base.n_nodes + base.tail[arc],
        head=(step + duration[arc]) * base.n_nodes + base.head[arc],
        supply=supply.reshape(-1, base.k),
        transformation=base.transformation[arc],
        out=_copies(base.out, arc),
        in_=_copies(base.in_, arc),
        criteria=tuple(changed(c, lambda array: np.asarray(array[arc])) for c in base.criteria),
        use_lower=base.use_lower[arc],
        use_upper=base.use_upper[arc],
        whole=base.whole[arc],
        duration=np.zeros(arc.size),
    )
    return TimeExpandedNetwork(network, base, arc, step, steps)


def with_storage(network: Network, nodes: Sequence[str], transformation: Array, limit: Array) -> Network:
    """A copy with a loop of one step more at some nodes, on which flow waits.

    Parameters
    ----------
    transformation
        What waiting does to the flow, (nodes, k, k); identity matrices where nothing is lost.
    limit
        Most that can wait, (nodes, k); 0 for what cannot.
    """
    where = np.array([network.node(node) for node in nodes], dtype=np.int64)
    return with_arcs(
        network, [f"{node} storage" for node in nodes], where, where, transformation=transformation, limit=limit,
        duration=1.0,
    )  # fmt: skip


def _steps(given: Sequence[int], steps: int, field: str) -> Index:
    found = np.asarray(given, dtype=np.int64)
    if found.size and (found.min() < 0 or found.max() >= steps):
        raise InputError(f"{field}: must be in 0..{steps - 1}, got {list(given)}")
    return found


def _copies(end: End, arc: Index) -> End:
    """An end of the copies of arcs, with the concurrency rows of each."""
    by_arc = np.argsort(end.concurrency_arc, kind="stable")
    count = np.bincount(end.concurrency_arc, minlength=end.capacity.shape[0])
    first = np.cumsum(count) - count
    owner = np.repeat(np.arange(arc.size), count[arc])
    within = np.arange(owner.size) - np.repeat(np.cumsum(count[arc]) - count[arc], count[arc])
    row = by_arc[first[arc[owner]] + within]
    return replace(
        end,
        requirement=end.requirement[arc],
        capacity=end.capacity[arc],
        limit=end.limit[arc],
        lower=end.lower[arc],
        expansion=end.expansion[arc],
        concurrency=end.concurrency[row],
        concurrency_limit=end.concurrency_limit[row],
        concurrency_arc=owner,
    )
