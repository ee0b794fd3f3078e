"""Who knows what when: the commitments of a tree under a lead time.

ΔM_t is committed ``L`` years ahead, so it may depend on D_0..D_{t−L} only. On a tree, one *commitment* is a
pair of a year t and a node of stage ``max(t − L, 0)``: all nodes of stage t below that node share ΔM_t and
M_t. Commitments are numbered year by year, and within a year in node order.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from scenario_trees.arrays import Array, Index
from scenario_trees.lattice import MarkovLattice
from scenario_trees.origin import Origin
from scenario_trees.tree import ScenarioTree
from stochisru.errors import InputError
from stochisru.lunar.case import DeploymentCase, require_case
from stochisru.lunar.operations import MeritOrder, discount_factors


def _require_tree(tree: object) -> None:
    if not isinstance(tree, ScenarioTree):
        hint = "; ScenarioTree.from_process(case.process, branching) makes one"
        raise InputError(f"tree: must be a ScenarioTree, got {type(tree).__name__}{hint}")


def require_match(case: DeploymentCase, tree: ScenarioTree) -> None:
    """Refuse a tree that does not belong to the case.

    Raises
    ------
    InputError
        If horizon or initial demand differ, or the tree was made from another process than the case's demand.
    """
    require_case(case)
    _require_tree(tree)
    if tree.horizon != case.horizon.T:
        raise InputError(
            f"branching: needs one factor per year, {case.horizon.T} for T = {case.horizon.T}, got {tree.horizon}"
        )
    if not np.isclose(tree.value[0], case.demand.D0, rtol=1e-9):
        raise InputError(f"tree: its root must have the demand D0 = {case.demand.D0:g}, got {tree.value[0]:g}")
    require_origin(case, "tree", tree.origin)


def require_origin(case: DeploymentCase, kind: str, origin: Origin | None, way: str = "") -> None:
    """Refuse what was made from another process than the case's demand; numbers of one's own (None) are taken as meant.

    Parameters
    ----------
    kind
        What it is, ``tree`` or ``lattice``.
    way
        What the user does to have it all the same; ``…as_belief()`` of it if not given.
    """
    own = Origin(case.process)
    if origin is not None and not origin.same(own):
        raise InputError(
            f"{kind}: was made from {origin}, the case's demand is {own}; make it from case.process, "
            f"or {way or f'take {kind}.as_belief() to say that it is what you believe'}"
        )


@dataclass(frozen=True)
class Commitments:
    """The commitments of ``tree`` under lead time ``lead_time``."""

    tree: ScenarioTree
    lead_time: int

    def decided_at(self, year: int) -> int:
        """Stage at which the deployment of ``year`` is decided."""
        return max(year - self.lead_time, 0)

    @cached_property
    def offsets(self) -> Index:
        """First commitment of every year and, last, their number; shape ``(T + 2,)``."""
        counts = [self._nodes(t).stop - self._nodes(t).start for t in range(self.tree.horizon + 1)]
        return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)

    def _nodes(self, year: int) -> slice:
        return self.tree.at(self.decided_at(year))

    def at(self, year: int) -> slice:
        """Commitments of one year."""
        return slice(int(self.offsets[year]), int(self.offsets[year + 1]))

    @property
    def count(self) -> int:
        """Number of commitments."""
        return int(self.offsets[-1])

    @cached_property
    def node(self) -> Index:
        """Node at which each commitment is decided."""
        return np.concatenate(
            [np.arange(self._nodes(t).start, self._nodes(t).stop) for t in range(self.tree.horizon + 1)]
        ).astype(np.int64)

    @cached_property
    def year(self) -> Index:
        """Year in which the plant of each commitment arrives."""
        return np.repeat(np.arange(self.tree.horizon + 1), np.diff(self.offsets))

    @cached_property
    def probability(self) -> Array:
        """Probability of each commitment."""
        return self.tree.probability[self.node]

    @cached_property
    def of_node(self) -> Index:
        """Commitment that governs capacity at each node of the tree."""
        above = self.tree.ancestor(self.lead_time)
        stage = self.tree.stage.astype(np.int64)
        first = np.array([self._nodes(t).start for t in range(self.tree.horizon + 1)])
        return np.asarray(self.offsets[stage] + above - first[stage])

    @cached_property
    def previous(self) -> Index:
        """Commitment of the year before on the same history, −1 in year 0."""
        out = np.full(self.count, -1, dtype=np.int64)
        for t in range(1, self.tree.horizon + 1):
            here = self.node[self.at(t)]
            if self.decided_at(t) > self.decided_at(t - 1):
                here = self.tree.parent[here].astype(np.int64)
            out[self.at(t)] = self.offsets[t - 1] + here - self._nodes(t - 1).start
        return out


def capacity_of(case: DeploymentCase, tree: ScenarioTree, deployment: Array) -> Array:
    """M at every node, kg, when ``deployment`` (kg, one entry per node) arrives."""
    kept = 1 - case.technology.degradation
    capacity = np.empty(tree.n_nodes)
    capacity[0] = case.technology.M0 + deployment[0]
    for t in range(1, tree.horizon + 1):
        here = tree.at(t)
        capacity[here] = kept * capacity[tree.parent[here]] + deployment[here]
    return capacity


def node_cash(case: DeploymentCase, tree: ScenarioTree, deployment: Array, capacity: Array) -> Array:
    """Cash flow at every node under optimal operation, $ of that year (not discounted)."""
    merit = MeritOrder.of(case)
    profit = merit.profit(case.technology.eta * capacity, tree.value)
    return np.asarray(profit - case.investment(deployment) - case.costs.c_op * capacity)


def flows(case: DeploymentCase, tree: ScenarioTree | MarkovLattice) -> float:
    """Size of the sums of money that net present values of this problem are differences of, $."""
    c, eta = case.costs, case.technology.eta
    unit = case.economics.P_m + c.c_E + c.c_bu + c.c_S + c.c_by * case.technology.beta
    unit += (case.investment_cost + c.c_op) / eta
    largest = (case.investment_cost + c.c_op) * case.technology.M0
    largest += case.launch.fixed_cost * float(discount_factors(case).sum())
    return float(unit * (discount_factors(case) @ tree.stage_mean()) + largest)


def plan_value(case: DeploymentCase, tree: ScenarioTree, deployment: Array) -> float:
    """Expected NPV on the tree, $, of deployments given per node, operations free."""
    cash = node_cash(case, tree, deployment, capacity_of(case, tree, deployment))
    return float(discount_factors(case) @ tree.stage_mean(cash))
