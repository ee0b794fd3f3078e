"""The source formulation as a Pyomo model, for any solver that Pyomo drives.

`path_model` states the problem on one demand path with every variable and constraint of the source under
its own name; `scenario_model` joins one such block per leaf by explicit nonanticipativity constraints. They
are the readable and the independent form of `stochisru.lunar.tree_program`, meant for checking and for
extension by users; on large trees the tree program is orders of magnitude faster.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from scenario_trees.tree import ScenarioTree
from stochisru.errors import InputError, SolverError
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.information import Commitments, require_match
from stochisru.lunar.operations import discount_factors

if TYPE_CHECKING:
    import pyomo.environ as pyo

Array = NDArray[np.float64]


def path_model(case: DeploymentCase, demand: Array, target: Any | None = None) -> pyo.ConcreteModel:
    """Deployment on one known path of demand.

    Parameters
    ----------
    case
        The problem.
    demand
        Demand per year, kg/yr, shape ``(T + 1,)``.
    target
        Pyomo block to fill; a new ``ConcreteModel`` if not given.

    Returns
    -------
    pyomo.environ.ConcreteModel
        With variables ``dM, M_leo, M, Qcap, Q, E, Q_earth, S``, constraints ``initial_plant, balance, launch,
        capacity, excess, demand``, the expression ``cash`` per year and, on a new model, the objective ``npv``.
    """
    import pyomo.environ as pyo

    case.require_linear("the path model")
    demand = np.asarray(demand, dtype=float)
    if demand.shape != (case.horizon.T + 1,):
        raise InputError(f"demand: needs {case.horizon.T + 1} values for T = {case.horizon.T}, got {demand.shape}")
    if not (np.isfinite(demand) & (demand >= 0)).all():
        raise InputError("demand: every value must be >= 0 and finite")
    c, tech = case.costs, case.technology
    years = range(case.horizon.T + 1)
    kept = 1 - tech.degradation
    # Bounds as in Commitments.plant_bounds, with the largest demand of the whole path: nonanticipativity
    # may ask for more plant on this path than the path itself needs, so callers widen them.
    largest = float(demand.max()) / tech.eta
    m = pyo.ConcreteModel(name=f"path of {case.name}") if target is None else target
    m.years = pyo.RangeSet(0, case.horizon.T)
    m.dM = pyo.Var(m.years, bounds=(0, largest))
    m.M_leo = pyo.Var(m.years, bounds=(0, tech.alpha * largest))
    m.M = pyo.Var(m.years, bounds=(0, max(largest, tech.M0)))
    m.Qcap = pyo.Var(m.years, bounds=(0, tech.eta * max(largest, tech.M0)))
    m.Q = pyo.Var(m.years, bounds=lambda _, t: (0, float(demand[t])))
    m.E = pyo.Var(m.years, bounds=(0, tech.eta * max(largest, tech.M0)))
    limit = np.inf if c.earth_limit is None else c.earth_limit
    m.Q_earth = pyo.Var(m.years, bounds=lambda _, t: (0, min(float(demand[t]), limit)))
    m.S = pyo.Var(m.years, bounds=lambda _, t: (0, float(demand[t])))

    m.initial_plant = pyo.Constraint(expr=m.M[0] == tech.M0 + m.dM[0])
    m.balance = pyo.Constraint(list(years)[1:], rule=lambda b, t: b.M[t] == kept * b.M[t - 1] + b.dM[t])
    m.launch = pyo.Constraint(m.years, rule=lambda b, t: b.M_leo[t] == tech.alpha * b.dM[t])
    m.capacity = pyo.Constraint(m.years, rule=lambda b, t: b.Qcap[t] == tech.eta * b.M[t])
    m.excess = pyo.Constraint(m.years, rule=lambda b, t: b.E[t] == b.Qcap[t] - b.Q[t])
    m.demand = pyo.Constraint(m.years, rule=lambda b, t: b.Q[t] + b.Q_earth[t] + b.S[t] == float(demand[t]))
    if case.horizon.initial_deployment == "fixed":
        m.dM[0].fix(0.0)

    def cash(b: Any, t: int) -> Any:
        return (
            case.economics.P_m * b.Q[t]
            - c.c_L * b.M_leo[t]
            - c.c_dev * b.dM[t]
            - c.c_op * b.M[t]
            - c.c_bu * b.S[t]
            - c.c_S * b.E[t]
            - c.c_by * tech.beta * b.Q[t]
            - c.c_E * b.Q_earth[t]
        )

    m.cash = pyo.Expression(m.years, rule=cash)
    discount = discount_factors(case)
    m.net_present_value = pyo.Expression(expr=sum(float(discount[t]) * m.cash[t] for t in years))
    if target is None:
        m.npv = pyo.Objective(expr=m.net_present_value, sense=pyo.maximize)
    return m


def widen_plant_bounds(block: Any, case: DeploymentCase, largest_demand: float) -> None:
    """Let the plant on one path serve the largest demand of a whole tree.

    A path shares its plant with paths of higher demand, so its own demand does not bound it.
    """
    tech = case.technology
    order = largest_demand / tech.eta
    plant = max(order, tech.M0)
    for variable, upper in (
        (block.dM, order),
        (block.M_leo, tech.alpha * order),
        (block.M, plant),
        (block.Qcap, tech.eta * plant),
        (block.E, tech.eta * plant),
    ):
        variable[:].setub(upper)


def scenario_model(case: DeploymentCase, tree: ScenarioTree) -> pyo.ConcreteModel:
    """The tree's problem in scenario form: a path block per leaf and nonanticipativity constraints.

    The constraint ``nonanticipativity[leaf, t]`` ties ΔM_t of a leaf to that of the first leaf that knows the
    same history up to stage ``t − L``.
    """
    import pyomo.environ as pyo

    require_match(case, tree)
    commitments = Commitments(tree, case.horizon.lead_time)
    nodes = tree.node_paths()
    owner = commitments.of_node[nodes]
    m = pyo.ConcreteModel(name=f"scenarios of {case.name}")
    m.scenario = pyo.Block(range(tree.n_leaves))
    for leaf in range(tree.n_leaves):
        path_model(case, tree.value[nodes[leaf]], m.scenario[leaf])
        widen_plant_bounds(m.scenario[leaf], case, float(tree.value.max()))
    m.nonanticipativity = pyo.ConstraintList()
    for t in range(tree.horizon + 1):
        commitment, first = np.unique(owner[:, t], return_index=True)
        representative = dict(zip(commitment.tolist(), first.tolist(), strict=True))
        for leaf in range(tree.n_leaves):
            other = representative[int(owner[leaf, t])]
            if other != leaf:
                m.nonanticipativity.add(m.scenario[leaf].dM[t] == m.scenario[other].dM[t])
    probability = tree.probability[tree.leaves]
    m.npv = pyo.Objective(
        expr=sum(float(probability[i]) * m.scenario[i].net_present_value for i in range(tree.n_leaves)),
        sense=pyo.maximize,
    )
    return m


def solve_pyomo(model: pyo.ConcreteModel, solver: str = "highs") -> float:
    """Solve a model with any solver that Pyomo knows and return its objective, $.

    Raises
    ------
    InputError
        If the solver is unknown or not installed.
    SolverError
        If no optimal solution was found.
    """
    import pyomo.environ as pyo

    engine = pyo.SolverFactory(solver)
    try:
        available = bool(engine.available(exception_flag=False))
    except Exception as error:  # Pyomo's unknown solvers raise a bare RuntimeError or ApplicationError
        raise InputError(f"solver: Pyomo knows no solver {solver!r}") from error
    if not available:
        raise InputError(f"solver: {solver!r} is not available to Pyomo on this machine")
    outcome = engine.solve(model)
    condition = outcome.solver.termination_condition
    if condition != pyo.TerminationCondition.optimal:
        raise SolverError(f"{model.name}: {solver} ended with {condition}")
    return float(pyo.value(model.npv))
