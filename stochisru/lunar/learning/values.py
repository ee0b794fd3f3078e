"""Values of information and of flexibility on a tree under learning by doing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scenario_trees.arrays import Array
from scenario_trees.tree import ScenarioTree
from stochisru.files import plainly
from stochisru.lunar.exact.levels import Choice
from stochisru.lunar.information import Commitments, flows, require_match
from stochisru.lunar.learning.bracket import Grid, Knowledge, foreseen, on_tree
from stochisru.lunar.learning.case import LearningCase
from stochisru.lunar.learning.plan import LearnedPlan
from stochisru.lunar.learning.solving import orders, stages
from stochisru.lunar.values.table import DIFFERENCES, MEANING, Differences, values_frame
from stochisru.methods.result import ROUNDING, Bounds, Kind, Of, versions
from stochisru.problem.paths import mean_path

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, repr=False)
class LearnedValues(Differences):
    """Values of a case with learning on a tree, each with its certified bracket, in $ (maximised).

    All are of one grid of levels (`stochisru.lunar.learning.bracket`), so the plans in hand keep their order.
    """

    case: LearningCase
    tree: ScenarioTree
    ws: Bounds
    rp: Bounds
    static: Bounds
    fixed: Bounds
    nothing: Bounds
    ev: Bounds
    eev: Bounds
    plan: LearnedPlan

    def point(self, name: str) -> float:
        """What the plan in hand is worth, $, or the difference of two such values (0 if rounding)."""
        if name in DIFFERENCES:
            return self._apart(*DIFFERENCES[name], self.rp.flows)
        return self.bracket(name).lower

    def __repr__(self) -> str:
        told = ", ".join(f"{name} {self.point(name):,.0f}" for name in MEANING)
        return f"LearnedValues({self.case.title}, {self.tree!r}, $ of the tree, maximised: {told})"

    def to_frame(self) -> pd.DataFrame:
        """One row per value: value, lower, upper ($), kind, of, unit, sense, meaning."""
        return values_frame((name, self.point(name), self.bracket(name), meaning) for name, meaning in MEANING.items())

    @plainly
    def to_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON, as those of a base case."""
        return {
            "case": self.case.name,
            "learning": vars(self.case.learning),
            **self.entries(Of.TREE),
            "first_stage": self.plan.first_stage,
            "branching": self.tree.branching,
            "nodes": self.tree.n_nodes,
            "leaves": self.tree.n_leaves,
            "versions": versions(),
        }


def learned_values(
    case: LearningCase, tree: ScenarioTree, progress: Callable[[str], None] | None = None
) -> LearnedValues:
    """All values of a case with learning on a tree.

    Parameters
    ----------
    progress
        Called with the name of each value before it is computed.

    Raises
    ------
    InputError
        If tree and case do not match, or the tree is too large.

    Examples
    --------
    >>> from scenario_trees import ScenarioTree
    >>> from stochisru import load_case
    >>> from stochisru.lunar.learning.case import LearningCase
    >>> from stochisru.lunar.learning.rate import Learning
    >>> from stochisru.lunar.learning.values import learned_values
    >>> case = LearningCase(load_case("contested-market").replace(T=3), Learning(0.2, 40.0))
    >>> values = learned_values(case, ScenarioTree.from_process(case.process, [3, 3, 3]))
    >>> values.eev.lower <= values.static.lower <= values.rp.lower <= values.ws.lower
    True
    """
    base, say = case.base, progress or (lambda _: None)
    require_match(base, tree)
    T, lead, size = tree.horizon, base.horizon.lead_time, flows(base, tree)
    mean = mean_path(tree)
    rows = max(Commitments(tree, lead).count, tree.n_leaves * (T + 1))
    demand = [np.append(each, m) for each, m in zip(stages(tree), mean.value, strict=True)]
    grid = Grid.of(base, case.learning, demand, rows)

    def bracket(known: Knowledge, only: int = T) -> tuple[Bounds, list[Choice]]:
        floor, choices = grid.floor(known, only)
        upper = grid.ceiling(known, only) + ROUNDING * size
        return Bounds(floor, upper, Kind.CERTIFIED, Of.TREE, size), choices

    def plan(deployment: Array) -> LearnedPlan:
        return LearnedPlan(base, tree, deployment, whole=case)

    say("ws")
    ws, _ = bracket(foreseen(base, tree, grid.levels))
    say("rp")
    rp, choices = bracket(on_tree(base, tree, grid.levels, lead))
    say("static, fixed, ev, eev")
    at_root = on_tree(base, tree, grid.levels, T)
    ev, certain = bracket(on_tree(base, mean, grid.levels, T))
    eev = plan(orders(case, mean, T, grid.levels, certain)[tree.stage]).value
    nothing = plan(np.zeros(tree.n_nodes)).value
    return LearnedValues(
        case=case,
        tree=tree,
        ws=ws,
        rp=rp,
        static=bracket(at_root)[0],
        fixed=bracket(at_root, only=0)[0],
        nothing=Bounds.point(nothing, Kind.CERTIFIED, Of.TREE, size),
        ev=ev,
        eev=Bounds.point(eev, Kind.CERTIFIED, Of.TREE, size),
        plan=plan(orders(case, tree, lead, grid.levels, choices)),
    )
