"""An upper bound on RP of the process where there is no exact policy: a limit on supply from Earth, or jumps."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np

from scenario_trees.arrays import Array
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.tables.case import GeneralCase
from stochisru.lunar.tables.plants import Symbols
from stochisru.methods.jensen import Growing, jensen_bound, largest
from stochisru.problem.coefficients import Factor
from stochisru.problem.model import Model
from stochisru.problem.parts import Operation, Part, State
from stochisru.problem.relaxed import relaxed


def bounded_by_rows(case: DeploymentCase) -> Model:
    """The model of a case whose operations have no bounds but those of rows, and the limit on supply from Earth.

    What it leaves out never binds, see `stochisru.lunar.model.deployment_model`.
    """
    model, limit = case.model, case.costs.earth_limit
    free = [replace(part, upper=limit if part.name == "Q_earth" else None) for part in model.operations]
    return model.with_part(*free)


def growing(case: GeneralCase) -> Model:
    """The linear relaxation of a case as `stochisru.methods.jensen` takes it, where it takes it.

    Bounds of operations that follow from rows are left out, as they never bind. What is enough bounds decisions for
    the largest demand that growth in bins can lead to; as a size it is that of the expected demand.
    """
    process, T = case.process, case.horizon.T
    if case.factors or not isinstance(process, Growing):
        return relaxed(case.model_on(np.atleast_2d(np.asarray(process.mean(np.arange(T + 1.0))))))
    most = np.atleast_2d(largest(process, T))
    model, mean = relaxed(case.model_on(most)), np.asarray(process.mean(np.arange(T + 1.0)))
    limit = Symbols(case).get("earth_limit")
    earth = None if limit is None or limit.random else tuple(limit.known(T).tolist())
    parts: list[Part] = []
    for part in model.parts:
        if isinstance(part, Operation) and callable(part.upper):
            parts.append(replace(part, upper=earth if part.name == "Q_earth" else None))
        elif isinstance(part, State) and callable(part.enough) and not isinstance(part.enough, Factor):
            enough = [float(np.max(part.enough(t, {"demand": mean[t : t + 1]}))) for t in range(T + 1)]
            parts.append(replace(part, enough=Factor("demand", np.array(enough) / mean)))
            # No more than this in any year, whatever is lost on the way: `stochisru.problem.bounds`.
            parts += _bounded(model, part, most[0])
    return model.with_part(*parts)


def _bounded(model: Model, state: State, most: Array) -> list[Part]:
    """Decisions that feed a state, with what is enough of it as their bound."""
    assert callable(state.enough)
    needed = np.array([float(np.max(state.enough(t, {"demand": most[t : t + 1]}))) for t in model.years])
    keep = np.broadcast_to(np.asarray(state.keep, dtype=float), needed.shape)
    for t in range(needed.size - 2, -1, -1):
        needed[t] = max(needed[t], needed[t + 1] / keep[t + 1]) if keep[t + 1] > 0 else needed[t]
    found: list[Part] = []
    for part in model.decisions:
        if part.name in state.gains and part.upper is None:
            found.append(replace(part, upper=tuple(needed.tolist())))
    return found


@lru_cache(maxsize=32)
def rp_at_most(case: DeploymentCase) -> float:
    """No policy earns more on the process, $; `stochisru.methods.jensen` of the case's linear bound.

    Infinite where demand does not grow by independent factors, or is certain.
    """
    if case.is_certain or not isinstance(case.process, Growing):
        return float("inf")
    return jensen_bound(bounded_by_rows(case.linear_bound))
