"""How far a tree or a lattice is from the process that it stands for.

A tree is not the process: its few branches lack the extremes that information and flexibility are worth most in. The
distance says by how much, from the laws of the stages and, where the exact policy exists, from the optimum itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from scenario_trees.lattice import MarkovLattice
from scenario_trees.tree import ScenarioTree
from stochisru.files import plainly
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.learning.case import LearningCase
from stochisru.lunar.solving import optimum_on_process
from stochisru.lunar.tables.case import GeneralCase
from stochisru.methods.result import Of, Result
from stochisru.protocols import Plan


@dataclass(frozen=True)
class Distance:
    """Distance of a tree or lattice to a case's process.

    Attributes
    ----------
    of
        What is measured: tree or lattice.
    mean_error, variance_error
        Relative errors of the mean and the variance of demand, the largest over the stages in absolute value.
    wasserstein
        Wasserstein-1 distance of demand divided by its mean, the largest over the stages.
    exact
        Optimum on the process, or None where no exact policy exists.
    """

    of: Of
    mean_error: float
    variance_error: float
    wasserstein: float
    exact: Result[Plan] | None

    @plainly
    def to_dict(self) -> dict[str, Any]:
        """Plain values: errors of demand (relative), ``optimum`` of the process ($) and its root deployments (kg)."""
        found: dict[str, Any] = {
            "of": self.of.value,
            "mean_error": self.mean_error,
            "variance_error": self.variance_error,
            "wasserstein": self.wasserstein,
            "optimum": None,
            "first_stage": None,
        }
        if self.exact is not None:
            found |= {"optimum": self.exact.objective, "first_stage": self.exact.first_stage}
        return found

    def describe(self, value: float, first_stage: dict[str, float]) -> str:
        """The distance in a sentence, beside what was found on the tree or lattice ($, kg)."""
        laws = (
            f"the {self.of} is not the process: variance of demand {self.variance_error:+.1%}, "
            f"Wasserstein distance {self.wasserstein:.1%} of the mean"
        )
        if self.exact is None:
            return laws
        off = (value - self.exact.objective) / abs(self.exact.objective) if self.exact.objective else np.nan
        orders = ", ".join(
            f"{name} {mass:,.1f} kg ({first_stage[name]:,.1f} here)" for name, mass in self.exact.first_stage.items()
        )
        return f"{laws}; optimum of the process {self.exact.objective:,.0f} $ ({off:+.2%} here), {orders}"


def distance(case: DeploymentCase, model: ScenarioTree | MarkovLattice, exact: Result[Plan] | None = None) -> Distance:
    """Distance of a tree or lattice to the process of a case.

    Parameters
    ----------
    exact
        Optimum on the process where the caller has it already; solved where it exists if not given.

    Examples
    --------
    >>> from scenario_trees import ScenarioTree
    >>> from stochisru import load_case
    >>> from stochisru.lunar.values.distance import distance
    >>> case = load_case("lunar-reference")
    >>> found = distance(case, ScenarioTree.from_process(case.process, [2] * 10))
    >>> round(found.exact.first_stage["dM1"], 1)
    124.9
    """
    return replace(distance_of_laws(case, model), exact=exact or optimum_on_process(case))


def distance_of_laws(
    case: DeploymentCase | GeneralCase | LearningCase, model: ScenarioTree | MarkovLattice
) -> Distance:
    """Distance of the laws of demand alone, where the optimum on the process is of another problem.

    So it is with a store, a risk measure or learning, which the exact policy does not know.
    """
    check = model.check(case.process)
    most = [float(error[np.abs(error).argmax()]) for error in (check.mean_error, check.variance_error)]
    of = Of.TREE if isinstance(model, ScenarioTree) else Of.LATTICE
    return Distance(of, most[0], most[1], float(check.wasserstein.max()), None)
