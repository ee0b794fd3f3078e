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
from typing import TYPE_CHECKING, Any

import numpy as np

from scenario_trees.tree import ScenarioTree
from stochisru.errors import InputError
from stochisru.files import MADE_BY, MANIFEST, drawing, replacing_folder, to_json
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.simulation import Simulation, require_sampling, simulate
from stochisru.lunar.strategies import STRATEGIES
from stochisru.lunar.strategies.protocol import Strategy
from stochisru.lunar.values.distance import Distance, distance
from stochisru.lunar.values.process import ProcessValues, process_values
from stochisru.lunar.values.table import MEANING, ValueTable, value_table
from stochisru.methods.options import options_of
from stochisru.methods.registry import Method, method_named, methods, options_for
from stochisru.methods.result import Of, versions

if TYPE_CHECKING:
    import pandas as pd

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
    tree_values, distance
        Values of the scenario tree, and how far the tree is from the process.
    simulation
        Strategies on fresh paths of the process.
    files
        Files of the run folder.
    """

    folder: Path
    values: ProcessValues
    tree_values: ValueTable
    distance: Distance
    simulation: Simulation
    files: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: the keys of ``docs/cli.md``."""
        simulation = self.simulation.to_dict()
        return {
            "case": self.values.case.name,
            "folder": str(self.folder),
            "decision": self.values.decision,
            "values": self.values.to_dict(),
            "tree": {"values": self.tree_values.to_dict(), "distance": self.tree_distance},
            "strategies": simulation.pop("strategies"),
            "simulation": simulation,
            "files": list(self.files),
        }

    @property
    def tree_distance(self) -> dict[str, Any]:
        """Distance of the tree to the process, and of its values to those of the process: tree less process, $."""
        here, there = self.tree_values, self.values.values
        off = {name: here.point(name) - there[name].value for name in MEANING if name in there}
        return {**self.distance.to_dict(), "values": off}


def schedule_table(values: ValueTable) -> pd.DataFrame:
    """Plant and deployments over time: plan, year, deployment, plant (mean, kg), plant_p5, plant_p95.

    RP and WS differ from node to node: means and quantiles are over the tree. EV and static are one plan.
    """
    import pandas as pd

    tree, case = values.tree, values.case
    kept = 1 - case.technology.degradation
    rows = []

    def add(plan: str, year: int, deployment: np.ndarray, plant: np.ndarray, probability: np.ndarray) -> None:
        order = np.argsort(plant, kind="stable")
        level = np.cumsum(probability[order])
        low, high = (plant[order][min(int(np.searchsorted(level, q)), plant.size - 1)] for q in (0.05, 0.95))
        rows.append(
            {
                "plan": plan,
                "year": year,
                "deployment": float(probability @ deployment),
                "plant": float(probability @ plant),
                "plant_p5": float(low),
                "plant_p95": float(high),
            }
        )

    for name, result in (("RP", values.recourse), ("EV", values.expected), ("static", values.static_result)):
        for t in range(tree.horizon + 1):
            at = tree.at(t)
            add(name, t, result.plan.deployment[at], result.plan.plant[at], tree.probability[at])
    foreseen = values.wait_and_see
    plant = np.full(tree.n_leaves, case.technology.M0)
    for t in range(tree.horizon + 1):
        plant = plant * (kept if t else 1.0) + foreseen.leaf_deployment[t]
        add("WS", t, foreseen.leaf_deployment[t], plant, foreseen.probability)
    return pd.DataFrame(rows)


def _tables(process: ProcessValues, values: ValueTable, simulation: Simulation) -> dict[str, pd.DataFrame]:
    import pandas as pd

    case, tree = values.case, values.tree
    npv = pd.DataFrame(simulation.npv[:, :_STORED_PATHS].T, columns=simulation.names)
    rules = [{"strategy": s.name, "rule": s.describe(case)} for s in simulation.strategies]
    parameters = case.to_frame().reset_index()
    parameters["value"] = [_as_text(v) for v in parameters["value"]]
    log = values.recourse.log
    return {
        **({"iterations": log} if len(log) else {}),
        "parameters": parameters,
        "values": process.to_frame().reset_index(),
        "tree_values": values.to_frame().reset_index(),
        "schedule": schedule_table(values),
        "tree": tree.to_frame().reset_index(),
        "plan": pd.DataFrame(
            {"node": np.arange(tree.n_nodes)}
            | {name: column for name, (column, _) in values.recourse.plan.quantities().items()}
        ),
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
    method = method_named(name)
    if method.on is not Of.TREE:
        on_trees = ", ".join(m.name for m in methods().values() if m.on is Of.TREE)
        raise InputError(f"method: must be one of {on_trees}, which work on a tree, got {name!r}")
    refused = method.refuses(case)
    if refused is not None:
        raise InputError(refused)
    return method


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
        Method on trees for RP (`stochisru.methods.registry`); ``ef``, or ``dp`` where costs are not linear, if not
        given.
    progress
        Called with the name of each step.

    Raises
    ------
    InputError
        If an argument is out of range or the folder cannot be written; nothing is left behind.
    FigureError
        If a figure or the page cannot be made; tables and manifest are in the folder.
    """
    from stochisru.report.page import build_report

    say = progress or (lambda _: None)
    started = datetime.now(UTC)
    clock = time.perf_counter()
    require_sampling(paths, seed, sampler, workers)
    chosen = None if method is None else _method_on_trees(method, case)
    with replacing_folder(out, same={"case_hash": case.digest()}) as folder:
        recourse = None
        if chosen is not None:
            say(f"rp by {chosen.name}")
            named = {"solver": solver} if "solver" in options_of(chosen.options) else {}
            recourse = chosen.solve(case, tree, options_for(chosen, named))
        values = value_table(case, tree, solver=solver, recourse=recourse, progress=say)
        say("values of the process")
        process = process_values(case, seed=seed, workers=workers)
        away = distance(case, tree, process.recourse if process.exact else None)
        say("strategies")
        optimal = process.recourse.policy(name="optimal" if process.exact else "policy")
        strategies: list[Strategy | str] = [*STRATEGIES.values()]
        if "static" in process.values:
            strategies.append("static")
        strategies += [values.recourse.policy("scaled", name="tree"), optimal]
        simulation = simulate(case, strategies, paths=paths, seed=seed, sampler=sampler, workers=workers)
        say("tables")
        (folder / "tables").mkdir()
        tables = _tables(process, values, simulation)
        for name, table in tables.items():
            table.to_parquet(folder / "tables" / f"{name}.parquet", index=False)
            table.to_csv(folder / "tables" / f"{name}.csv", index=False)
        tree.save(folder / "tree.npz")
        (folder / "case.toml").write_text(case.to_toml(), encoding="utf-8")
        manifest = {
            **MADE_BY,
            "case": case.name,
            "title": case.title,
            "case_hash": case.digest(),
            "tree_hash": tree.digest(),
            "tree_origin": None if tree.origin is None else tree.origin.to_dict(),
            "branching": tree.branching,
            "nodes": tree.n_nodes,
            "leaves": tree.n_leaves,
            "horizon": case.horizon.T,
            "decision": process.decision,
            "distance": away.to_dict(),
            "exact": process.exact,
            "foresight_paths": process.foresight_paths,
            "paths": paths,
            "seed": seed,
            "sampler": simulation.sampler,
            "confidence": simulation.confidence,
            "method": values.recourse.method,
            "solver": values.recourse.solver,
            "started": started.isoformat(timespec="seconds"),
            "seconds": round(time.perf_counter() - clock, 3),
            "versions": versions(),
        }
        (folder / MANIFEST).write_text(to_json(manifest), encoding="utf-8")
        say("report")
        outcome = Run(out, process, values, away, simulation, _files(folder))
        with drawing(outcome):
            build_report(folder)
        files = _files(folder)
    return replace(outcome, files=files)


def _files(folder: Path) -> tuple[str, ...]:
    return tuple(sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()))
