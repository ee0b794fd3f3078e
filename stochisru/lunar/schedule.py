"""Plant and deployments over time: of the plans of the process on fresh paths, and of the tree's beside them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scenario_trees.arrays import Array
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.exact.in_advance import perfect_information
from stochisru.lunar.policies import open_loop_plans
from stochisru.lunar.simulation import follow
from stochisru.lunar.simulation.drawing import drawn_paths
from stochisru.lunar.strategies import Schedule
from stochisru.lunar.values.process import ProcessValues
from stochisru.lunar.values.table import ValueTable
from stochisru.methods.result import Of
from stochisru.simulation.sampling import Sampling

if TYPE_CHECKING:
    import pandas as pd


#: Fresh paths that plans are followed on at most; of n paths a level is off by 1.36/√n at most (Kolmogorov, 95 %).
SCHEDULE_PATHS = 4096
#: Levels between which 90 % of the paths lie.
_LOW, _HIGH = 0.05, 0.95


@dataclass(frozen=True)
class _Year:
    """Deployment and plant of one plan in one year on paths or nodes, kg, with their probabilities."""

    of: Of
    plan: str
    year: int
    deployment: Array
    plant: Array
    probability: Array
    paths: int

    def row(self) -> dict[str, float | int | str]:
        """Means, and quantiles of the plant."""
        order = np.argsort(self.plant, kind="stable")
        level = np.cumsum(self.probability[order])
        # Sums of equal shares may miss a level by rounding.
        at = [min(int(np.searchsorted(level, q * (1 - 1e-12))), order.size - 1) for q in (_LOW, _HIGH)]
        low, high = self.plant[order][at]
        return {
            "of": self.of.value,
            "plan": self.plan,
            "year": self.year,
            "deployment": float(self.probability @ self.deployment),
            "plant": float(self.probability @ self.plant),
            "plant_p5": float(low),
            "plant_p95": float(high),
            "paths": self.paths,
        }


def _on_process(values: ProcessValues, sample: Sampling) -> Iterator[_Year]:
    case, paths = values.base, min(sample.paths, SCHEDULE_PATHS)
    demand, seen = drawn_paths(case, paths, sample.seed, sample.source)
    even = np.full(paths, 1 / paths)
    strategies = {"RP": values.recourse.policy(name="RP")}
    plans = open_loop_plans(case)
    strategies |= {name: Schedule(name, tuple(map(float, plans[key]))) for name, key in _IN_ADVANCE.items()}
    for name, strategy in strategies.items():
        for t, (deployment, plant) in enumerate(follow(case, strategy, demand, seen)):
            yield _Year(Of.PROCESS, name, t, deployment, plant, even, paths)
    if values.foresight == "case":
        foreseen = perfect_information(case, demand)[1]
        yield from _foreseen(case, Of.PROCESS, foreseen, even, paths)


#: Plans that are fixed in advance, by their names in the table.
_IN_ADVANCE = {"EV": "ev", "static": "static"}


def _foreseen(case: DeploymentCase, of: Of, deployment: Array, probability: Array, paths: int) -> Iterator[_Year]:
    """Plans under perfect information; ``deployment`` has shape ``(T + 1, n)``."""
    technology = case.technology
    plant = np.full(deployment.shape[1], technology.M0)
    for t, arriving in enumerate(deployment):
        plant = plant * (1 - technology.degradation if t else 1.0) + arriving
        yield _Year(of, "WS", t, arriving, plant, probability, paths)


def _on_tree(values: ValueTable) -> Iterator[_Year]:
    tree = values.tree
    for name, result in (("RP", values.recourse), ("EV", values.expected), ("static", values.static_result)):
        for t in range(tree.horizon + 1):
            at = tree.at(t)
            yield _Year(Of.TREE, name, t, result.plan.deployment[at], result.plan.plant[at], tree.probability[at], 0)
    foreseen = values.wait_and_see
    yield from _foreseen(values.case, Of.TREE, foreseen.leaf_deployment, foreseen.probability, 0)


def schedule_table(process: ProcessValues, tree: ValueTable | None, sample: Sampling) -> pd.DataFrame:
    """Plant and deployments over time.

    Parameters
    ----------
    process, tree
        Values with their plans; there may be none of a tree.
    sample
        Fresh paths, the first `SCHEDULE_PATHS` at most.

    Returns
    -------
    pandas.DataFrame
        ``of`` (process or tree), ``plan``, ``year``; ``deployment`` and ``plant`` (means, kg), ``plant_p5`` and
        ``plant_p95`` (kg) over fresh paths or over the nodes of the tree; ``paths``, 0 on the tree. RP of the process
        is the policy behind its value. EV and static are one plan; WS is missing where perfect information is not
        solved.
    """
    import pandas as pd

    years = list(_on_process(process, sample))
    if tree is not None:
        years += _on_tree(tree)
    return pd.DataFrame([year.row() for year in years])
