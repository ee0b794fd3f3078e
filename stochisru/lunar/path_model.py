"""The source formulation as a Pyomo model, for any solver that Pyomo drives.

`path_model` states the problem on one demand path with every variable and constraint of the source under its own name;
`scenario_model` joins one such block per leaf by explicit nonanticipativity constraints. Both are those of the case's
`Model`: see `stochisru.problem.on_path`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from scenario_trees.tree import ScenarioTree
from stochisru.errors import InputError
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.information import require_match
from stochisru.problem import on_path

if TYPE_CHECKING:
    import pyomo.environ as pyo


def path_model(case: DeploymentCase, demand: ArrayLike, target: Any | None = None) -> pyo.ConcreteModel:
    """Deployment on one known path of demand.

    Parameters
    ----------
    case
        The problem.
    demand
        Demand per year, kg/yr, > 0, shape ``(T + 1,)``.
    target
        Pyomo block to fill; a new ``ConcreteModel`` if not given.

    Returns
    -------
    pyomo.environ.ConcreteModel
        With variables ``dM, M_leo, M, Qcap, Q, byproduct, Q_earth, S, E`` and constraints ``launch, balance, capacity,
        delivery, excess, demand``; see `stochisru.problem.on_path.path_model`. Where cost depends on size, M_leo is
        part of the curve of ``dM``.
    """
    path = np.asarray(demand, dtype=float)
    if path.shape != (case.horizon.T + 1,):
        raise InputError(f"demand: needs {case.horizon.T + 1} values for T = {case.horizon.T}, got {path.shape}")
    if not (np.isfinite(path) & (path > 0)).all():
        raise InputError("demand: every value must be > 0 and finite")
    return on_path.path_model(case.model, path, target=target)


def scenario_model(case: DeploymentCase, tree: ScenarioTree) -> pyo.ConcreteModel:
    """The tree's problem in scenario form; see `stochisru.problem.on_path.scenario_model`."""
    require_match(case, tree)
    return on_path.scenario_model(case.model, tree)
