"""The deployment problem as mpi-sppy's extensive form: the independent yardstick of the tree program.

One `path_model` per leaf; at the node of stage s the deployments that are decided there, ΔM_{s+L} (at the root
ΔM_0..ΔM_L), are nonanticipative. Any lead time and any tree work, irregular ones included.
"""

from __future__ import annotations

import contextlib
import functools
import io
import sys
import time
from dataclasses import dataclass
from typing import Any

from scenario_trees import ScenarioTree
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.path_model import path_model, widen_plant_bounds
from stochisru.methods.hedging.engine import node_names


@functools.cache
def import_mpisppy() -> tuple[Any, Any]:
    """Import mpi-sppy's classes ``ExtensiveForm`` and ``ScenarioNode``, and silence its clock.

    An extensive form is serial. Where mpi4py is installed without an MPI library, mpi-sppy cannot be imported
    (it expects an ImportError, mpi4py raises a RuntimeError); mpi4py is then hidden from it.
    """
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            import mpisppy
        except RuntimeError:
            sys.modules["mpi4py.MPI"] = None  # type: ignore[assignment]
            import mpisppy
        from mpisppy.opt.ef import ExtensiveForm
        from mpisppy.scenario_tree import ScenarioNode
    mpisppy.tt_timer.ostream = None
    return ExtensiveForm, ScenarioNode


def scenario_names(tree: ScenarioTree) -> list[str]:
    """One name per leaf."""
    return [f"leaf{i}" for i in range(tree.n_leaves)]


def scenario_creator(name: str, *, case: DeploymentCase, tree: ScenarioTree, nodes: Any, names: list[str]) -> Any:
    """Path model of one leaf with the nodes that it passes.

    Parameters
    ----------
    nodes
        ``tree.node_paths()``.
    names
        `node_names` of the tree.
    """
    _, ScenarioNode = import_mpisppy()
    leaf = int(name.removeprefix("leaf"))
    model = path_model(case, tree.value[nodes[leaf]])
    widen_plant_bounds(model, case, float(tree.value.max()))
    T, lead = case.horizon.T, case.horizon.lead_time
    model._mpisppy_node_list = []
    for stage in range(T):  # mpi-sppy wants every node but the leaf, even those where nothing is decided
        node = int(nodes[leaf, stage])
        decided = range(min(lead, T) + 1) if stage == 0 else range(stage + lead, min(stage + lead, T) + 1)
        parent = int(tree.parent[node])
        model._mpisppy_node_list.append(
            ScenarioNode(
                name=names[node],
                cond_prob=1.0 if stage == 0 else float(tree.probability[node] / tree.probability[parent]),
                stage=stage + 1,
                cost_expression=0.0,
                nonant_list=[model.dM[t] for t in decided],
                scen_model=model,
                parent_name=None if stage == 0 else names[parent],
            )
        )
    model._mpisppy_probability = float(tree.probability[int(nodes[leaf, -1])])
    return model


@dataclass(frozen=True)
class Outcome:
    """Objective in $ (maximised), and seconds to build and to solve."""

    objective: float
    build: float
    solve: float


def mpisppy_extensive_form(case: DeploymentCase, tree: ScenarioTree, solver: str = "appsi_highs") -> Outcome:
    """Build and solve the extensive form of a tree with mpi-sppy.

    Parameters
    ----------
    solver
        A solver that Pyomo knows.

    Raises
    ------
    RuntimeError
        If the solver does not report an optimum.
    """
    import pyomo.environ as pyo

    ExtensiveForm, _ = import_mpisppy()
    start = time.perf_counter()
    names = node_names(tree, tree.horizon)
    form = ExtensiveForm(
        {"solver": solver},
        scenario_names(tree),
        scenario_creator,
        scenario_creator_kwargs={"case": case, "tree": tree, "nodes": tree.node_paths(), "names": names},
        all_nodenames=names if tree.horizon > 1 else None,
    )
    built = time.perf_counter()
    results = form.solve_extensive_form()
    solved = time.perf_counter()
    condition = results.solver.termination_condition
    if condition != pyo.TerminationCondition.optimal:
        raise RuntimeError(f"mpi-sppy with {solver} ended with {condition}")
    return Outcome(float(form.get_objective_value()), built - start, solved - built)
