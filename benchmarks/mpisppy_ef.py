"""The deployment problem as mpi-sppy's extensive form: the independent yardstick of the tree program.

One path model per leaf (`stochisru.problem.on_path.Scenarios`); at the node of stage s the deployments that are decided
there, ΔM_{s+L} (at the root ΔM_0..ΔM_L), are nonanticipative. Any lead time and any tree work, irregular ones included.
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
from stochisru.problem.on_path import Scenarios


@functools.cache
def import_mpisppy() -> Any:
    """Import mpi-sppy's class ``ExtensiveForm``, and silence its clock.

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
    mpisppy.tt_timer.ostream = None
    return ExtensiveForm


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

    ExtensiveForm = import_mpisppy()
    start = time.perf_counter()
    scenarios = Scenarios(case.model, tree)
    form = ExtensiveForm(
        {"solver": solver},
        scenarios.names,
        scenarios.creator,
        all_nodenames=scenarios.node_names if tree.horizon > 1 else None,
    )
    built = time.perf_counter()
    results = form.solve_extensive_form()
    solved = time.perf_counter()
    condition = results.solver.termination_condition
    if condition != pyo.TerminationCondition.optimal:
        raise RuntimeError(f"mpi-sppy with {solver} ended with {condition}")
    return Outcome(float(form.get_objective_value()), built - start, solved - built)
