"""An upper bound on RP of the process where there is no exact policy: a limit on supply from Earth, or jumps."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from scenario_trees.processes import GeometricBrownianMotion
from scenario_trees.processes.jumps import JumpDiffusion
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
    """No policy earns more on the process, $; `stochisru.methods.jensen` of the case's linear bound.

    Infinite where demand does not grow by independent factors, or is certain.
    """
    if case.is_certain or not isinstance(case.process, (GeometricBrownianMotion, JumpDiffusion)):
        return float("inf")
    return jensen_bound(bounded_by_rows(case.linear_bound))
