"""Failures of arcs as scenarios with recourse: build first, see what fails, then route.

Expansions ``y`` and uses ``z`` are decided before it is known which scenario comes; flows are chosen in each scenario,
where the arcs that failed carry nothing, and demands may stay unmet at a price: a network on a tree of two stages
(`stochisru.networks.on_tree`), built with a lead of one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scenario_trees.arrays import Array
from scenario_trees.tree import ScenarioTree
from stochisru.errors import InputError
from stochisru.methods.result import Bounds, Termination
from stochisru.networks.assembly import Flows
from stochisru.networks.network import Network
from stochisru.networks.on_tree import Stages, solve_on_tree
from stochisru.networks.solution import value_of

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Failure:
    """A scenario.

    Attributes
    ----------
    name
        Name.
    probability
        Probability.
    lost
        Arcs that fail.
    commodities
        What they no longer carry; nothing at all if not given.
    """

    name: str
    probability: float
    lost: tuple[str, ...] = ()
    commodities: tuple[str, ...] | None = None


@dataclass(frozen=True, eq=False)
class RecourseSolution:
    """A plan for all scenarios.

    Attributes
    ----------
    failures
        The scenarios.
    objective
        Expected weighted sum of the criteria and of the price of what stays unmet (minimised).
    bounds
        Bracket of its optimum.
    flows
        Values of the variables in each scenario, by its name; expansions and uses are the same in all.
    unmet
        (nodes, k) by scenario: demand that stays unmet.
    """

    network: Network
    failures: tuple[Failure, ...]
    objective: float
    bounds: Bounds
    termination: Termination
    flows: dict[str, Flows]
    unmet: dict[str, Array]
    size: dict[str, int]
    seconds: float

    @property
    def plan(self) -> Flows:
        """The first scenario's variables; its expansions and uses are everyone's."""
        return self.flows[self.failures[0].name]

    def to_frame(self) -> pd.DataFrame:
        """A row per scenario: name, probability, every criterion, and unmet demand per commodity."""
        import pandas as pd

        rows = []
        for failure in self.failures:
            flows, unmet = self.flows[failure.name], self.unmet[failure.name].sum(axis=0)
            rows.append(
                {
                    "scenario": failure.name,
                    "probability": failure.probability,
                    **{c.name: value_of(c, flows) for c in self.network.criteria},
                    **{f"unmet {c}": u for c, u in zip(self.network.commodities, unmet, strict=True) if u > 0},
                }
            )
        return pd.DataFrame(rows).fillna(0.0)


def solve_with_failures(
    network: Network,
    failures: Sequence[Failure],
    weights: Mapping[str, float] | None = None,
    *,
    unmet_price: Mapping[str, float],
    rel_gap: float = 0.02,
    time_limit: float | None = 120.0,
    solver: str = "highs",
) -> RecourseSolution:
    """Minimise the expected weighted criteria over scenarios of failed arcs.

    Parameters
    ----------
    failures
        Scenarios whose probabilities sum to 1; one without lost arcs is the normal state.
    unmet_price
        ``{commodity: price}`` per unit of demand that stays unmet, in units of the objective. Demands of other
        commodities must be met in every scenario.

    Raises
    ------
    InputError
        If probabilities do not sum to 1, names are not unique, or an arc is unknown.
    """
    _check(failures)
    states = [_in_state(network, failure) for failure in failures]
    found = solve_on_tree(
        _fan([f.probability for f in failures]),
        lambda _, number: states[int(number) - 1],
        weights,
        Stages(weights=(0.0, 1.0), lead=1, unmet_price=unmet_price),
        rel_gap=rel_gap,
        time_limit=time_limit,
        solver=solver,
    )
    names = {failure.name: node for node, failure in enumerate(failures, start=1)}
    return RecourseSolution(
        network=network,
        failures=tuple(failures),
        objective=found.objective,
        bounds=found.bounds,
        termination=found.termination,
        flows={name: found.flows[node] for name, node in names.items()},
        unmet={name: found.unmet[node] for name, node in names.items()},
        size=found.size,
        seconds=found.seconds,
    )


def _in_state(network: Network, failure: Failure) -> Network:
    """The network of a scenario: arcs that are lost carry nothing."""
    lost = np.array([network.arc(a) for a in failure.lost], dtype=np.int64)
    return network.closed(lost, failure.commodities)


def _fan(probability: Sequence[float]) -> ScenarioTree:
    """A tree of two stages whose leaves are numbered from 1 by their values."""
    n = len(probability)
    return ScenarioTree(
        np.array([-1] + [0] * n, dtype=np.int32),
        np.array([0] + [1] * n, dtype=np.int16),
        np.array([1.0, *probability]),
        np.array([1.0, *range(1, n + 1)]),
    )


def _check(failures: Sequence[Failure]) -> None:
    names = [f.name for f in failures]
    if len(set(names)) < len(names) or not names:
        raise InputError(f"failures: must be scenarios of different names, got {', '.join(names) or 'none'}")
    total = sum(f.probability for f in failures)
    if abs(total - 1) > 1e-9 or any(f.probability < 0 for f in failures):
        raise InputError(f"failures: must have probabilities >= 0 that sum to 1, got a sum of {total:g}")
