"""Failures on the way to Mars, as scenarios with recourse: an ISRU site, or aerobraking, that turns out not to work.

The mission is that over launch opportunities. What flies with the first one is decided before anything is known; then
it turns out whether a site makes nothing, neither of what stands there nor of what comes, or whether aeroshells cannot
be used any more, and all later flights react. The extensive form is that of `stochisru.networks.time_on_tree`. All
programs are linear, and all bounds certified.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from scenario_trees.tree import ScenarioTree
from stochisru.errors import InputError
from stochisru.methods.result import Bounds
from stochisru.networks.network import position
from stochisru.networks.solution import bracket_of
from stochisru.networks.time_expansion import TimeExpandedNetwork
from stochisru.networks.time_on_tree import OverTimeSolution, solve_over_time
from stochisru.networks.tree_values import line_tree
from stochisru.worked.mars.network import SITES, MarsScenario
from stochisru.worked.mars.opportunities import opportunities_network

if TYPE_CHECKING:
    import pandas as pd

#: What can fail beside a site.
AEROBRAKE = "aerobrake"
NORMAL = "normal"


@dataclass(frozen=True)
class MarsFailure:
    """A scenario: what fails (a site of `SITES` or ``aerobrake``) and its probability."""

    what: str
    probability: float

    def __post_init__(self) -> None:
        position((*SITES, AEROBRAKE), self.what, "failure")
        if not 0 < self.probability <= 1:
            raise InputError(f"probability of {self.what}: must be in (0, 1], got {self.probability}")


@dataclass(frozen=True, eq=False)
class MarsFailureResult:
    """Plans under failures.

    Attributes
    ----------
    scenarios
        Name and probability of each, the normal one first.
    plan
        The plan that knows what may fail (RP).
    nominal
        The plan that thinks nothing does.
    eev
        What flies first as in the nominal plan, all else reacting.
    ws
        Expected mass if what fails were known from the start.
    """

    scenario: MarsScenario
    scenarios: tuple[tuple[str, float], ...]
    plan: OverTimeSolution
    nominal: OverTimeSolution
    eev: OverTimeSolution
    ws: Bounds

    @property
    def values(self) -> dict[str, Bounds]:
        """Brackets of WS, RP and EEV, kg at KSC (minimised)."""
        return {"ws": self.ws, "rp": self.plan.bounds, "eev": self.eev.bounds}

    @property
    def table(self) -> pd.DataFrame:
        """A row per scenario: mass at KSC by plan, kg."""
        import pandas as pd

        leaves = sorted(self.plan.flows)
        return pd.DataFrame(
            [
                {
                    "scenario": name,
                    "probability": probability,
                    "planned for": self.plan.criteria(leaf)["launch_mass"],
                    "as if nothing failed": self.eev.criteria(leaf)["launch_mass"],
                }
                for leaf, (name, probability) in zip(leaves, self.scenarios, strict=True)
            ]
        )

    @property
    def first(self) -> pd.DataFrame:
        """What the first opportunity lands, kg of plant by site, and its mass at KSC: planned for, and nominal."""
        import pandas as pd

        rows = []
        for name, plan in (("planned for", self.plan), ("as if nothing failed", self.nominal)):
            leaf = next(iter(plan.flows))
            expanded, flows = plan.networks[leaf], plan.flows[leaf]
            base, now = expanded.base, expanded.departure == 0
            row: dict[str, Any] = {"plan": name}
            row["mass at KSC"] = float(flows.out[now & (base.tail[expanded.arc] == base.node("KSC"))].sum())
            for site in SITES:
                landing = now & (base.head[expanded.arc] == base.node(site)) & ~base.loops[expanded.arc]
                row[site] = float(flows.in_[landing, base.commodity("plant")].sum())
            rows.append(row)
        return pd.DataFrame(rows)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        rp, eev, ws = self.plan.bounds, self.eev.bounds, self.ws
        return {
            "scenario": self.scenario.name,
            "unit": "kg",
            "sense": "minimise",
            "objective": self.plan.objective,
            **{name: bracket_of(bounds) for name, bounds in self.values.items()},
            "vss": [max(0.0, eev.lower - rp.upper), eev.upper - rp.lower],
            "evpi": [max(0.0, rp.lower - ws.upper), rp.upper - ws.lower],
            "scenarios": self.table.to_dict("records"),
            "first": self.first.to_dict("records"),
            "size": self.plan.size,
            "seconds": self.plan.seconds,
        }


def solve_mars_failures(
    failures: Sequence[MarsFailure],
    scenario: MarsScenario | None = None,
    opportunities: int = 2,
    solver: str = "highs",
) -> MarsFailureResult:
    """Plan a mission over launch opportunities for failures that show after the first one.

    Parameters
    ----------
    failures
        What may fail, one at a time; the rest of the probability is that nothing does.
    opportunities
        At least 2; the crew flies with the last one.

    Raises
    ------
    InputError
        If probabilities sum to more than 1, or a failure is named twice.
    """
    scenario = scenario or MarsScenario()
    names = [f.what for f in failures]
    if not failures or len(set(names)) < len(names):
        raise InputError(f"failures: must be different ones, at least one, got {', '.join(names) or 'none'}")
    rest = 1 - math.fsum(f.probability for f in failures)
    if rest < -1e-9:
        raise InputError(f"failures: probabilities must sum to at most 1, got {1 - rest:g}")
    if opportunities < 2:
        raise InputError(f"opportunities: must be >= 2, a first one and one that reacts, got {opportunities}")
    whole = opportunities_network(scenario, opportunities)
    networks = [whole, *(failed(whole, f.what) for f in failures)]
    chances = [max(rest, 0.0), *(f.probability for f in failures)]
    tree = _tree(chances, opportunities)
    plan = solve_over_time(tree, lambda values: networks[int(values[1]) - 1], solver=solver)
    nominal = solve_over_time(_certain(opportunities), lambda _: whole, solver=solver)
    eev = solve_over_time(tree, lambda values: networks[int(values[1]) - 1], root=nominal, solver=solver)
    alone = [nominal.bounds, *(_alone(network, opportunities, solver) for network in networks[1:])]
    known = list(zip(chances, alone, strict=True))
    ws = Bounds(
        math.fsum(p * b.lower for p, b in known), math.fsum(p * b.upper for p, b in known), plan.bounds.kind,
        plan.bounds.of, plan.bounds.flows,
    )  # fmt: skip
    scenarios = tuple(zip([NORMAL, *names], chances, strict=True))
    return MarsFailureResult(scenario, scenarios, plan, nominal, eev, ws)


def failed(expanded: TimeExpandedNetwork, what: str) -> TimeExpandedNetwork:
    """The network over opportunities in which a site makes nothing, or no aeroshell is used after the first one."""
    base, network = expanded.base, expanded.network
    if what == AEROBRAKE:
        aero = np.array([" aero" in name for name in base.arcs])[expanded.arc] & (expanded.departure > 0)
        return replace(expanded, network=network.closed(np.flatnonzero(aero).astype(np.int64)))
    transformation = network.transformation.copy()
    resources = [network.commodity(c) for c in ("water", "oxygen")]
    works = np.flatnonzero(expanded.arc == base.arc(f"{what} plant"))
    for resource in resources:
        transformation[works, resource, network.commodity("plant")] = 0.0
    return replace(expanded, network=network.replace(transformation=transformation))


def _tree(chances: Sequence[float], steps: int) -> ScenarioTree:
    """A root, and a path per scenario whose values are its number, from 1."""
    n = len(chances)
    parent = [-1, *([0] * n), *(range(1, n * (steps - 2) + 1))]
    stage = [0, *(t for t in range(1, steps) for _ in range(n))]
    probability = [1.0, *(list(chances) * (steps - 1))]
    value = [1.0, *([float(s) for s in range(1, n + 1)] * (steps - 1))]
    return ScenarioTree(
        np.array(parent, dtype=np.int32), np.array(stage, dtype=np.int16), np.array(probability), np.array(value)
    )


def _alone(network: TimeExpandedNetwork, opportunities: int, solver: str) -> Bounds:
    """Bracket of a scenario that is known from the start."""
    return solve_over_time(_certain(opportunities), lambda _: network, solver=solver).bounds


def _certain(steps: int) -> ScenarioTree:
    return line_tree(np.ones(steps))
