"""The main job: the whole study of a case into a run folder.

The folder holds the case as it was solved, the tree, every table as Parquet and CSV, figures, one
self-contained page, and a manifest with versions, seeds and hashes. Figures and page are made from the
tables alone, so `stochisru report` can make them again.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from scenario_trees.tree import ScenarioTree
from stochisru.errors import InputError
from stochisru.files import RUN, drawing, keeping, plainly, replacing_folder
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.deciding.answer import answer_tables
from stochisru.lunar.information import require_match
from stochisru.lunar.schedule import schedule_table
from stochisru.lunar.simulation import Simulation
from stochisru.lunar.simulation.monte_carlo import simulated
from stochisru.lunar.strategies import STRATEGIES
from stochisru.lunar.strategies.protocol import Strategy
from stochisru.lunar.values.distance import Distance, distance
from stochisru.lunar.values.process import ProcessValues, process_values
from stochisru.lunar.values.programs import why_no_tree_values
from stochisru.lunar.values.table import MEANING, ValueTable
from stochisru.lunar.values.tree import value_table
from stochisru.methods.options import options_of
from stochisru.methods.registry import Method, method_for, method_named, methods_on, options_for
from stochisru.methods.result import Of
from stochisru.placing import files_of
from stochisru.programs.solvers import solver_named
from stochisru.simulation.sampling import Sampling
from stochisru.studies.folder import case_entry, write_case, write_manifest, write_tables

if TYPE_CHECKING:
    import pandas as pd

    from stochisru.lunar.tree_program import TreePlan
    from stochisru.methods.result import Result

#: Quantile levels of the demand fan.
FAN_LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
#: Paths whose NPV is stored and drawn; the metrics use all.
_STORED_PATHS = 20_000


@dataclass(frozen=True, eq=False)
class Run:
    """Outcome of `run_case`.

    Attributes
    ----------
    values
        Values of the process: the headline, and what to commit now.
    tree_values, no_tree_values
        Values of the scenario tree; or None, and why there are none.
    distance
        How far the tree is from the process.
    simulation
        Strategies on fresh paths of the process.
    files
        Files of the run folder.
    """

    folder: Path
    values: ProcessValues
    tree_values: ValueTable | None
    no_tree_values: str
    distance: Distance
    simulation: Simulation
    files: tuple[str, ...]

    @property
    def decision(self) -> dict[str, Any]:
        """What to commit now, and the rule that the plan follows after it."""
        return self.values.decision

    @plainly
    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: the keys of ``docs/cli.md``."""
        simulation = self.simulation.to_dict()
        return {
            "case": self.values.case.name,
            "folder": str(self.folder),
            "decision": self.decision,
            "values": self.values,
            "tree": {
                "values": None if self.tree_values is None else self.tree_values,
                "no_values": self.no_tree_values or None,
                "distance": self.tree_distance,
            },
            "strategies": simulation.pop("strategies"),
            "simulation": simulation,
            "files": list(self.files),
        }

    @property
    def tree_distance(self) -> dict[str, Any]:
        """Distance of the tree to the process, and of its values to those of the process: tree less process, $."""
        here, there = self.tree_values, self.values.values
        if here is None:
            return {**self.distance.to_dict(), "values": None}
        off = {name: here.point(name) - there[name].value for name in MEANING if name in there}
        return {**self.distance.to_dict(), "values": off}


def _tree_tables(values: ValueTable) -> dict[str, pd.DataFrame]:
    import pandas as pd

    log = values.recourse.log
    return {
        **({"iterations": log} if len(log) else {}),
        "tree_values": values.to_frame().reset_index(),
        "plan": pd.DataFrame(
            {"node": np.arange(values.tree.n_nodes)}
            | {name: column for name, (column, _) in values.recourse.plan.quantities().items()}
        ),
    }


def _tables(
    process: ProcessValues, tree: ScenarioTree, values: ValueTable | None, simulation: Simulation, sample: Sampling
) -> dict[str, pd.DataFrame]:
    import pandas as pd

    case = process.base
    npv = pd.DataFrame(simulation.npv[:, :_STORED_PATHS].T, columns=simulation.names)
    rules = [{"strategy": s.name, "rule": s.describe(case)} for s in simulation.strategies]
    parameters = case.to_frame().reset_index()
    parameters["value"] = [_as_text(v) for v in parameters["value"]]
    return {
        **({} if values is None else _tree_tables(values)),
        "parameters": parameters,
        "values": process.to_frame().reset_index(),
        "schedule": schedule_table(process, values, sample),
        "tree": tree.to_frame().reset_index(),
        "tree_check": tree.check(case.process).to_frame().reset_index(),
        "fan": case.process.fan(case.horizon.T, FAN_LEVELS).rename(columns=str).reset_index(),
        "strategies": pd.DataFrame(rules),
        "metrics": simulation.to_frame(),
        "differences": simulation.differences(),
        "operations": simulation.yearly(),
        "distributions": simulation.distributions(),
        "deployment_times": simulation.deployment_times(),
        "deployment_numbers": simulation.deployment_numbers(),
        "npv": npv,
    }


def _as_text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.10g}"
    return "none" if value is None else str(value)


def _method_on_trees(name: str, case: DeploymentCase) -> Method:
    """A method on trees that takes the case; `InputError` otherwise."""
    if method_named(name).on is not Of.TREE:
        on_trees = ", ".join(method.name for method in methods_on(Of.TREE))
        raise InputError(f"method: must be one of {on_trees}, which work on a tree, got {name!r}")
    return method_for(name, case)


def _on_tree(
    case: DeploymentCase, tree: ScenarioTree, method: Method | None, solver: str, say: Callable[[str], None]
) -> tuple[ValueTable | None, str]:
    """Values of the tree; where it is too large for the case none, and why. The process' do not depend on them."""
    reason = why_no_tree_values(case, tree)
    if reason is not None:
        return None, reason
    recourse = None
    if method is not None:
        say(f"rp by {method.name}")
        named = {"solver": solver} if "solver" in options_of(method.options) else {}
        found = method.solve(case, tree, options_for(method, named))
        recourse = cast("Result[TreePlan]", found)  # a method on trees finds the plan that the case makes of a solution
    return value_table(case, tree, solver=solver, recourse=recourse, progress=say), ""


def run_case(
    case: DeploymentCase,
    out: Path,
    *,
    tree: ScenarioTree,
    paths: int = 10_000,
    seed: int = 0,
    sampler: str = "pseudo-random",
    workers: int = 1,
    solver: str = "highs",
    method: str | None = None,
    progress: Callable[[str], None] | None = None,
) -> Run:
    """Study a case: values of the process and of a tree, strategies on fresh paths, figures and report.

    Parameters
    ----------
    out
        Run folder. It appears when everything is done; an earlier run of the same case is replaced, none of another.
    tree
        Scenario tree of the case.
    paths, seed, sampler, workers
        Monte Carlo, see `stochisru.simulate`.
    solver
        Solver of the recourse problems.
    method
        Method on trees for RP; of those that take the case the one with the strongest bracket if not given, see
        `stochisru.methods.registry.takers`.
    progress
        Called with the name of each step.

    Raises
    ------
    InputError
        If an argument is out of range or the folder cannot be written; nothing is left behind.
    FigureError
        If a figure or the page cannot be made; tables and manifest are in the folder.
    OutputError
        If the folder cannot be written when all is computed; ``kept`` is the outcome.
    """
    from stochisru.report.page import build_report

    say = progress or (lambda _: None)
    started = datetime.now(UTC)
    clock = time.perf_counter()
    sample = Sampling(paths, seed, sampler, workers).at_least(2)
    solver_named(solver)
    require_match(case, tree)
    chosen = None if method is None else _method_on_trees(method, case)
    with keeping() as keep, replacing_folder(out, same=case_entry(case)) as folder:
        values, refused = _on_tree(case, tree, chosen, solver, say)
        say("values of the process")
        process = process_values(case, seed=seed, workers=workers)
        away = distance(case, tree, process.recourse if process.exact else None)
        say("strategies")
        optimal = process.recourse.policy(name="optimal" if process.exact else "policy")
        strategies: list[Strategy | str] = [*STRATEGIES.values()]
        if "static" in process.values:
            strategies.append("static")
        if values is not None:
            strategies.append(values.recourse.policy("scaled", name="tree"))
        strategies.append(optimal)
        simulation = simulated(case, strategies, sample)
        outcome = Run(out, process, values, refused, away, simulation, ())
        keep(outcome)
        around, told = answer_tables(case, process.decision, say)
        say("tables")
        write_tables(folder, {**_tables(process, tree, values, simulation, sample), **around})
        tree.save(folder / "tree.npz")
        write_case(folder, case)
        entries = {
            "tree_hash": tree.digest(),
            "tree_origin": tree.origin,
            "branching": tree.branching,
            "nodes": tree.n_nodes,
            "leaves": tree.n_leaves,
            "decision": process.decision,
            "answer": told,
            "distance": away,
            "exact": process.exact,
            "foresight": process.foresight,
            "foresight_paths": process.foresight_paths,
            "paths": paths,
            "seed": seed,
            "sampler": simulation.sampler,
            "confidence": simulation.confidence,
            "method": None if values is None else values.recourse.method,
            "solver": None if values is None else values.recourse.solver,
            "no_tree_values": refused,
            "started": started.isoformat(timespec="seconds"),
            "seconds": round(time.perf_counter() - clock, 3),
        }
        write_manifest(folder, RUN, entries, case)
        say("report")
        outcome = replace(outcome, files=files_of(folder))
        with drawing(outcome):
            build_report(folder)
        files = files_of(folder)
    return replace(outcome, files=files)
