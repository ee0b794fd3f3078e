"""The recourse problem RP on a tree in scenario form, by any solver that Pyomo drives.

A copy of the problem per scenario, tied by constraints of nonanticipativity (`stochisru.problem.on_path`), is many
times larger than the program in node form. It is for solvers that the package has no interface to, and as a check.
"""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import Any

import numpy as np

from scenario_trees.arrays import Array
from scenario_trees.tree import ScenarioTree
from stochisru.methods.extensive_form import MIXED_GAP, extensive_forms
from stochisru.methods.problems import stated_on_trees
from stochisru.methods.result import MIXED_ROUNDING, REL_GAP, Bounds, Kind, Of, Reason, Result, Termination
from stochisru.problem.information import Held
from stochisru.problem.model import Model
from stochisru.problem.on_path import scenario_model, solved_by_pyomo

#: Share of the largest amount up to which one is a solver's tolerance.
_NOTHING = 1e-7


def scenario_form(case: Any, tree: ScenarioTree, solver: str) -> Result[Any]:
    """Solve the multistage problem on a tree by a solver that Pyomo knows.

    Parameters
    ----------
    case, tree
        The problem, a case or a `Model`.
    solver
        Pyomo's name, such as ``glpk``, ``cbc`` or ``highs``.

    Returns
    -------
    Result
        The solver's decisions, valued by the program in node form; where the problem is maximised the upper bound is
        the solver's.

    Raises
    ------
    InputError
        If tree and case do not match, or Pyomo knows or finds no such solver.
    SolverError
        If no optimal solution was found.
    """
    start = time.perf_counter()
    model: Model = stated_on_trees(case).on_tree(tree).model  # refuses what does not match
    form = scenario_model(model, tree)
    built = time.perf_counter()
    value, bound = solved_by_pyomo(form, solver)
    solved = time.perf_counter()
    plan = {decision.name: _amounts(form, decision.name, decision.lot, tree) for decision in model.decisions}
    own = next(iter(extensive_forms(case, tree, [Held(plan)])))
    flows, sign = own.plan.flows, model.sign
    limit = sign * max(sign * end for end in (value, bound) if math.isfinite(end)) + sign * MIXED_ROUNDING * flows
    low, high = sorted((own.objective, limit))
    bounds = Bounds(low, high, Kind.SOLVER, Of.TREE, flows)
    asked = REL_GAP if model.is_linear else MIXED_GAP
    met = bounds.meets(asked)
    return replace(
        own,
        bounds=bounds,
        termination=Termination(
            Reason.OPTIMAL if met else Reason.LIMIT,
            None if met else own.termination.limit,
            f"{solver} by Pyomo solved the scenario form of {tree.n_leaves:,} scenarios; gap {bounds.gap:.2g}",
        ),
        timings={"build": built - start, "solve": solved - built, "read": time.perf_counter() - solved},
        solver=f"{solver} by Pyomo",
    )


def _amounts(form: Any, name: str, lot: float | None, tree: ScenarioTree) -> Array:
    """Amounts of a decision at every node, as they can be taken."""
    import pyomo.environ as pyo

    found = np.zeros(tree.n_nodes)
    for leaf, nodes in enumerate(tree.node_paths()):
        taken = form.scenario[leaf].component(name)
        found[nodes] = [pyo.value(taken[t]) for t in range(tree.horizon + 1)]
    if lot is not None:
        return np.asarray(np.rint(found / lot) * lot)
    return np.where(found > _NOTHING * found.max(initial=0.0), found, 0.0)
