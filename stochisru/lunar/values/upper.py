"""An upper bound on RP that holds for the process where there is no exact policy: a limit on supply from Earth."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from stochisru.lunar.case import DeploymentCase
from stochisru.methods.jensen import jensen_bound
from stochisru.problem.model import Model


def bounded_by_rows(case: DeploymentCase) -> Model:
    """The model of a case whose operations have no bounds but those of rows, and the limit on supply from Earth.

    What it leaves out never binds, see `stochisru.lunar.model.deployment_model`.
    """
    model, limit = case.model, case.costs.earth_limit
    free = [replace(part, upper=limit if part.name == "Q_earth" else None) for part in model.operations]
    return model.with_part(*free)


@lru_cache(maxsize=32)
def rp_at_most(case: DeploymentCase) -> float:
    """No policy earns more on the process, $; `stochisru.methods.jensen` of the case's linear bound."""
    return jensen_bound(bounded_by_rows(case.linear_bound))
