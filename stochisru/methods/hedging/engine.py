"""mpi-sppy's progressive hedging on subtrees in node form.

mpi-sppy keeps the scenarios, W, x̄, ρ and the communication; the subproblem of a scenario is a sparse program of
`stochisru.methods.hedging.proximal` that stays warm, so an iteration changes a few prices and no Pyomo expression.
A scenario's Pyomo model therefore holds the coordinated variables alone.

mpi-sppy itself is imported by the functions below: call `import_mpisppy` before them.
"""

from __future__ import annotations

import contextlib
import io
import sys
import tempfile
from typing import Any

import numpy as np

from scenario_trees.arrays import Array
from scenario_trees.tree import ScenarioTree
from stochisru.errors import BoundsError, InfeasibleError
from stochisru.methods.hedging.proximal import MIXED_GAP, Proximal, Subproblem, subproblem

#: Share of prices and unit costs up to which E[W] ≠ 0 is what rounding leaves over many iterations of large ρ.
_UNCANCELLED = 1e-4


def import_mpisppy(serial: bool) -> None:
    """Import what is needed of mpi-sppy, quietly.

    A serial run hides mpi4py from it; mpi-sppy then takes its own serial stand-in, so no MPI library is needed, and a
    broken one does no harm.
    """
    hidden = serial and "mpi4py.MPI" not in sys.modules and "mpisppy" not in sys.modules
    if hidden:
        sys.modules["mpi4py.MPI"] = None  # type: ignore[assignment]
    # Some modules of mpi-sppy open log files where they are imported.
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()):
        import mpisppy

        mpisppy.tt_timer.ostream = None
        import mpisppy.phbase

        if not serial:
            import mpisppy.cylinders.hub
            import mpisppy.cylinders.spoke
            import mpisppy.spin_the_wheel
    if hidden:  # others may import it later
        del sys.modules["mpi4py.MPI"]


def scenario_names(count: int) -> list[str]:
    """Names of the subtrees for mpi-sppy, in the order of their nodes."""
    return [f"subtree{i}" for i in range(count)]


def node_names(tree: ScenarioTree, last_stage: int) -> list[str]:
    """Names that mpi-sppy wants for the nodes of stages 0..last: the parent's and the number among its siblings."""
    names = ["ROOT"]
    for node in range(1, int(tree.offsets[last_stage + 1])):
        parent = int(tree.parent[node])
        names.append(f"{names[parent]}_{node - int(tree.first_child[parent])}")
    return names


def scenario_creator(name: str, *, subtrees: Any, names: list[str]) -> Any:
    """Pyomo model of a subtree: its coordinated variables y and the nodes where they are decided."""
    import pyomo.environ as pyo
    from mpisppy.scenario_tree import ScenarioNode

    i = int(name.removeprefix("subtree"))
    tree, stages, probability = subtrees.tree, subtrees.stages, subtrees.node_probability
    bounds = list(zip(subtrees.lower[i].tolist(), subtrees.upper[i].tolist(), strict=True))
    model = pyo.ConcreteModel(name)
    model.y = pyo.Var(range(len(stages)), bounds=lambda _, j: bounds[j], initialize=0.0)
    model.objective = pyo.Objective(expr=0.0 * model.y[0], sense=pyo.maximize)
    model._mpisppy_node_list = []
    for stage in range(subtrees.cut_stage):
        node = int(subtrees.way[i, stage])
        parent = int(tree.parent[node])
        model._mpisppy_node_list.append(
            ScenarioNode(
                name=names[node],
                cond_prob=1.0 if stage == 0 else float(probability[node] / probability[parent]),
                stage=stage + 1,
                cost_expression=0.0,
                nonant_list=[model.y[j] for j, decided in enumerate(stages) if decided == stage],
                scen_model=model,
                parent_name=None if stage == 0 else names[parent],
            )
        )
    model._mpisppy_probability = float(subtrees.probability[i])
    return model


def engine_arguments(subtrees: Any, iterations: int) -> dict[str, Any]:
    """Arguments that mpi-sppy's ``PHBase`` takes for a cut tree."""
    names = node_names(subtrees.tree, subtrees.cut_stage)
    return {
        "options": {
            "solver_name": "stochisru",
            "PHIterLimit": iterations,
            "defaultPHrho": 1.0,
            "convthresh": -1.0,  # a small primal residual alone proves nothing: only the gap stops
            "verbose": False,
            "display_progress": False,
            "toc": False,
        },
        "all_scenario_names": scenario_names(subtrees.count),
        "scenario_creator": scenario_creator,
        "scenario_creator_kwargs": {"subtrees": subtrees, "names": names},
        "all_nodenames": names if subtrees.cut_stage > 1 else None,
    }


def engine_class(subtrees: Any, solver: str, proximal: Proximal, mixed_gap: float = MIXED_GAP) -> type:
    """mpi-sppy's PH with the subproblems of ``subtrees`` in the hands of ``solver``, mixed-integer ones up to a gap."""
    from mpisppy.opt.ph import PH

    class SubtreePH(PH):  # type: ignore[misc]
        """Progressive hedging whose scenarios are subtrees."""

        def PH_Prep(self, *_: Any, **__: Any) -> None:  # noqa: N802 (mpi-sppy's name)
            super().PH_Prep(attach_duals=False, attach_prox=False, defer_attach=False)

        def _create_solvers(self, presolve: bool = True) -> None:
            self.subproblems: dict[str, Subproblem] = {}
            self.known: dict[tuple[str, bytes], float] = {}
            for name, model in self.local_scenarios.items():
                i = int(name.removeprefix("subtree"))
                model._solver_plugin = None
                node = subtrees.nodes[i]
                where = f"subtree {i} (node {node} of stage {subtrees.cut_stage})"
                self.subproblems[name] = subproblem(subtrees.program(i), where, solver, proximal, mixed_gap)

        def _check_prox_solver_capability(self) -> None:
            """The form of the proximal term was chosen before."""

        def _reraise_as_prox_capability_error(self, exc: Exception) -> None:
            """A failed subproblem speaks for itself."""

        def solve_one(self, solver_options: Any, k: str, s: Any, **_: Any) -> float:
            """Solve the subproblem of one scenario as W_on and prox_on say; nothing is swallowed."""
            data, model = s._mpisppy_data, s._mpisppy_model
            price = self.row(s, model.W) * model.W_on.value
            if model.prox_on.value:
                wanted = self.subproblems[k].proximal(price, self.row(s, model.xbars), self.row(s, model.rho))
                data.outer_bound = None
            else:
                optimum = self.subproblems[k].priced(price)
                wanted, data.outer_bound = optimum.wanted, optimum.bound
            for variable, value in zip(data.nonant_indices.values(), wanted, strict=True):
                variable.set_value(float(value), skip_validation=True)
                variable.stale = False
            data.solution_available = True
            return 0.0

        @staticmethod
        def row(s: Any, parameter: Any) -> Array:
            """Values of an mpi-sppy parameter of one scenario, in the order of the coordinated quantities."""
            return np.array([parameter[index].value for index in s._mpisppy_data.nonant_indices])

        def rows(self, parameter: str) -> dict[int, Array]:
            """Values of ``W``, ``rho``, ``xbars`` or ``xsqbars`` of the local scenarios."""
            return {
                int(k.removeprefix("subtree")): self.row(s, getattr(s._mpisppy_model, parameter))
                for k, s in self.local_scenarios.items()
            }

        def set_rows(self, parameter: str, values: Array) -> None:
            """Set a parameter of the local scenarios from a table (subtrees, quantities)."""
            for k, s in self.local_scenarios.items():
                row = values[int(k.removeprefix("subtree"))]
                for index, value in zip(s._mpisppy_data.nonant_indices, row, strict=True):
                    getattr(s._mpisppy_model, parameter)[index]._value = float(value)

        def wanted(self) -> dict[int, Array]:
            """Coordinated variables of the local scenarios."""
            return {
                int(k.removeprefix("subtree")): np.array([v.value for v in s._mpisppy_data.nonant_indices.values()])
                for k, s in self.local_scenarios.items()
            }

        def table(self, local: dict[int, Array]) -> Array:
            """The rows of all ranks as one table (subtrees, quantities) on every rank."""
            mine = np.zeros(subtrees.shared.shape)
            for i, row in local.items():
                mine[i] = row
            total = np.empty_like(mine)
            self.mpicomm.Allreduce(mine, total)
            return total

        def received(self, flat: Any) -> Array:
            """Table (subtrees, quantities) from the flat list of one cylinder's rank that mpi-sppy hands to another."""
            rows = np.asarray(flat).reshape(-1, subtrees.shared.shape[1])
            local = zip(self.local_scenarios, rows, strict=True)
            return self.table({int(k.removeprefix("subtree")): row for k, row in local})

        def lagrangian(self, price: Array) -> float:
            """Upper bound from prices, whatever the solver's tolerances.

            The bound needs E[W] = 0 at every node. What rounding leaves of E[W] is taken off, and what is left then is
            charged at the largest quantity it could act on; more than rounding, relative to prices and to what a unit
            costs, is an error.
            """
            mean = subtrees.node_mean(price)
            scale = max(float(np.abs(price).max(initial=0.0)), float(np.max(subtrees.unit_cost, initial=0.0)))
            if np.abs(mean).max(initial=0.0) > _UNCANCELLED * scale:
                raise BoundsError(
                    f"E[W] = {np.abs(mean).max():.3g} at a node, must be 0: prices that do not cancel give no bound"
                )
            price = price - mean
            mean = subtrees.node_mean(price)
            local = np.zeros(1)
            for k, s in self.local_scenarios.items():
                i = int(k.removeprefix("subtree"))
                slack = float(np.abs(mean[i]) @ np.maximum(np.abs(subtrees.lower[i]), np.abs(subtrees.upper[i])))
                local[0] += s._mpisppy_probability * (self.subproblems[k].priced(price[i]).bound + slack)
            total = np.empty(1)
            self.mpicomm.Allreduce(local, total)
            return float(total[0])

        def incumbent(self, plan: Array) -> float:
            """Value of a plan above the cut (subtrees, held) with all below it optimal; −∞ if nothing can follow it."""
            local = np.zeros(1)
            for k, s in self.local_scenarios.items():
                row = plan[int(k.removeprefix("subtree"))]
                key = k, row.tobytes()
                if key not in self.known:  # candidates differ in few subtrees
                    try:
                        self.known[key] = self.subproblems[k].fixed(row).value
                    except InfeasibleError:
                        self.known[key] = -np.inf
                local[0] += s._mpisppy_probability * self.known[key]
            total = np.empty(1)
            self.mpicomm.Allreduce(local, total)
            return float(total[0])

        def node_table(self, plan: Array) -> Array:
            """All of a plan at every node of the whole tree, shape ``(parts, nodes)``, on every rank.

            What subtrees share is equally good in each of them; the first one says it.
            """
            mine: Array | None = None
            for k in self.local_scenarios:
                i = int(k.removeprefix("subtree"))
                program = self.subproblems[k].subtree
                found = program.on_nodes(self.subproblems[k].fixed(plan[i]).x)
                if mine is None:
                    mine = np.zeros((found.shape[0], subtrees.tree.n_nodes))
                own = np.ones(program.origin.size, dtype=bool)
                first = subtrees.first_above(i)
                own[: first.size] = first
                mine[:, program.origin[own]] = found[:, own]
            assert mine is not None  # every rank has a subtree
            total = np.empty_like(mine)
            self.mpicomm.Allreduce(mine, total)
            return total

    return SubtreePH
