"""The main job of a case with tables beyond the base problem: its study into a run folder.

The folder is that of `stochisru.lunar.run`; in place of the base problem's indicators it has every quantity of the
model by year (``operations``), and what each of several technologies is worth beside the others.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scenario_trees.arrays import Array
from scenario_trees.tree import ScenarioTree
from stochisru.errors import InputError
from stochisru.files import RUN, drawing, keeping, plainly, replacing_folder
from stochisru.lunar.deciding.answer import answer_tables
from stochisru.lunar.general_policies import held_policies, model_of_sample
from stochisru.lunar.simulation.of_tables import OutcomesOfTables, simulate_tables
from stochisru.lunar.simulation.outcome import demand_kurtosis
from stochisru.lunar.strategies import STRATEGIES
from stochisru.lunar.strategies.by_technology import heuristic
from stochisru.lunar.tables.case import GeneralCase
from stochisru.lunar.tables.customers import tiers
from stochisru.lunar.tables.merit_order import best_of
from stochisru.lunar.tables.plants import plants
from stochisru.lunar.tables.support_worth import SupportWorth, support_worth
from stochisru.lunar.tables.worth_of_each import WorthOfTechnology, worth_of_abandoning, worth_of_each
from stochisru.lunar.values.distance import Distance, distance_of_laws
from stochisru.lunar.values.general import FEWEST, PATHS, why_no_process_values
from stochisru.lunar.values.process import ProcessValues, process_values
from stochisru.lunar.values.tree import value_table
from stochisru.methods.registry import method_for, method_named, methods_on, options_for
from stochisru.methods.result import Of, Result
from stochisru.placing import files_of
from stochisru.problem.model import Model
from stochisru.problem.policies.follow import follow
from stochisru.problem.policies.protocol import Policy
from stochisru.programs.solvers import solver_named
from stochisru.protocols import Plan
from stochisru.simulation.estimators import why_no_mean
from stochisru.simulation.of_model import Outcomes, drawn_paths
from stochisru.simulation.sampling import Sampling
from stochisru.studies.folder import case_entry, write_case, write_manifest, write_tables
from stochisru.values import Values

if TYPE_CHECKING:
    import pandas as pd

#: Paths on which quantities are followed year by year.
_FOLLOWED = 1000
#: Quantiles of them.
_LOW, _HIGH = 0.05, 0.95
#: Quantile levels of the demand fan.
_FAN = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True, eq=False)
class GeneralRun:
    """Outcome of `run_general_case`.

    Attributes
    ----------
    values, no_values
        Values of the process: the headline, and what to commit now; or None, and why there are none.
    tree_values
        Values of the scenario tree.
    plan
        The plan that is committed: that behind RP of the process, else that of the tree.
    distance
        How far the tree is from the process.
    simulation
        Policies on fresh paths of the process.
    technologies
        What each of several is worth beside the others.
    abandonment
        What the option to abandon plant is worth, where there is one.
    support
        What support is worth to whom, where there is any.
    files
        Files of the run folder.
    """

    case: GeneralCase
    folder: Path
    values: ProcessValues | None
    no_values: str
    tree_values: Values
    plan: Result[Plan]
    distance: Distance
    simulation: OutcomesOfTables
    technologies: tuple[WorthOfTechnology, ...]
    abandonment: WorthOfTechnology | None
    support: SupportWorth | None
    files: tuple[str, ...]

    @property
    def decision(self) -> dict[str, Any]:
        """What to commit now, by technology where there are several, and the rule that the plan follows after it."""
        if self.values is not None:
            return self.values.decision
        first, rule = self.case.first_stage(self.plan.first_stage), self.plan.policy().describe()
        return {**first, "rule": rule, "method": self.plan.method, "of": Of.TREE.value}

    @plainly
    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: the keys of ``docs/cli.md``."""
        simulation = self.simulation.to_dict()
        del simulation["case"], simulation["versions"]
        return {
            "case": self.case.name,
            "folder": str(self.folder),
            "decision": self.decision,
            "values": self.values,
            "no_values": self.no_values or None,
            "tree": {"values": self.tree_values, "no_values": None, "distance": self.distance},
            "technologies": {worth.name: worth.to_dict() for worth in self.technologies},
            "abandonment": None if self.abandonment is None else self.abandonment.to_dict(),
            "support": None if self.support is None else self.support.to_dict(),
            "strategies": simulation.pop("strategies"),
            "simulation": simulation,
            "files": list(self.files),
        }


def run_general_case(
    case: GeneralCase,
    out: Path,
    *,
    tree: ScenarioTree,
    paths: int = PATHS,
    seed: int = 0,
    sampler: str = "pseudo-random",
    workers: int = 1,
    solver: str = "highs",
    method: str | None = None,
    progress: Callable[[str], None] | None = None,
) -> GeneralRun:
    """Study a case: values of the process and of a tree, policies on fresh paths, figures and report.

    Arguments and errors are those of `stochisru.lunar.run.run_case`.
    """
    from stochisru.report.page import build_report

    say = progress or (lambda _: None)
    started, clock = datetime.now(UTC), time.perf_counter()
    sample = Sampling(paths, seed, sampler, workers).at_least(2)
    solver_named(solver)
    if method is not None and method_named(method).on is not Of.TREE:
        on_trees = ", ".join(each.name for each in methods_on(Of.TREE))
        raise InputError(f"method: must be one of {on_trees}, which work on a tree, got {method!r}")
    by = method_for(method or "ef", case)
    refused = why_no_process_values(case) or _too_heavy(case, paths)
    with keeping() as keep, replacing_folder(out, same=case_entry(case)) as folder:
        say(f"rp of the tree by {by.name}")
        on_tree = by.solve(case, tree, options_for(by, {"solver": solver} if by.name == "ef" else {}))
        tree_values = value_table(case, tree, solver=solver, progress=say)
        technologies = worth_of_each(case, tree, solver=solver, progress=say)
        if case.can_abandon:
            say("abandoning plant")
        abandonment = worth_of_abandoning(case, tree, solver=solver, with_it=tree_values.bracket("rp"))
        support = support_worth(case, tree, solver=solver, progress=say)
        process: ProcessValues | None = None
        if not refused:
            say("values of the process")
            process = process_values(case, paths=max(paths, FEWEST), seed=seed, workers=workers)
        plan = on_tree if process is None else process.recourse
        say("policies")
        model, policies = _policies(case, plan, on_tree, sample)
        simulation = simulate_tables(case, model, policies, sample)
        away = distance_of_laws(case, tree)
        outcome = GeneralRun(
            case, out, process, refused, tree_values, plan, away, simulation, technologies, abandonment, support, ()
        )
        keep(outcome)
        around, told = answer_tables(case, outcome.decision, say)
        say("tables")
        write_tables(folder, {**_tables(outcome, tree, on_tree, sample), **around})
        tree.save(folder / "tree.npz")
        write_case(folder, case)
        entries = {
            "page": "tables",
            "tables": case.what,
            "measure": case.measure,
            "support": None if support is None else support.to_dict(),
            "abandonment": None if abandonment is None else abandonment.value,
            "commitment": case.commitment,
            "tree_hash": tree.digest(),
            "tree_origin": tree.origin,
            "branching": tree.branching,
            "nodes": tree.n_nodes,
            "leaves": tree.n_leaves,
            "decision": outcome.decision,
            "answer": told,
            "distance": away,
            "exact": process is not None and process.exact,
            "foresight": None if process is None else process.foresight,
            "foresight_paths": None if process is None else process.foresight_paths,
            "paths": paths,
            "followed": min(paths, _FOLLOWED),
            "seed": seed,
            "sampler": sample.source.name,
            "confidence": sample.confidence,
            "method": on_tree.method,
            "solver": on_tree.solver,
            "no_values": refused,
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


def _too_heavy(case: GeneralCase, paths: int) -> str:
    """Why the tails of demand refuse means over so many paths, or nothing."""
    heavy = why_no_mean(max(paths, FEWEST), demand_kurtosis(case))
    return f"values of the process: {heavy}" if heavy else ""


def _policies(
    case: GeneralCase, plan: Result[Plan], on_tree: Result[Any], sample: Sampling
) -> tuple[Model, list[Policy]]:
    """The model on the paths of a sample, and the policies that are judged on them."""
    model = model_of_sample(case, sample)
    found: dict[str, Policy] = {"policy": plan.policy(name="policy"), "tree": on_tree.policy(name="tree")}
    if plan is on_tree:
        del found["tree"]
    held = held_policies(case, model, sample)
    return model, [*found.values(), *held.values(), *(heuristic(name, case) for name in STRATEGIES)]


def _tables(run: GeneralRun, tree: ScenarioTree, on_tree: Result[Any], sample: Sampling) -> Mapping[str, pd.DataFrame]:
    import pandas as pd

    case, outcomes = run.case, run.simulation
    rules = [{"strategy": policy.name, "rule": policy.describe()} for policy in outcomes.policies]
    plan: dict[str, Array] = dict(on_tree.plan.quantities)
    worth = [{"technology": each.name, **each.to_dict()} for each in run.technologies]
    known = {} if run.values is None else {"values": run.values.to_frame().reset_index()}
    fan = {} if case.factors else {"fan": case.process.fan(case.horizon.T, _FAN).rename(columns=str).reset_index()}
    return {
        **known,
        **fan,
        **({"technologies": pd.DataFrame(worth)} if worth else {}),
        "tree_values": run.tree_values.to_frame().reset_index(),
        "plan": pd.DataFrame({"node": np.arange(tree.n_nodes)} | plan),
        "tree": tree.to_frame().reset_index(),
        "tree_check": tree.check(case.process).to_frame().reset_index(),
        "strategies": pd.DataFrame(rules),
        "metrics": outcomes.to_frame(),
        "differences": _differences(outcomes),
        "operations": _operations(case, outcomes, sample),
        "npv": pd.DataFrame(outcomes.values.T, columns=outcomes.names),
    }


def _differences(outcomes: Outcomes) -> pd.DataFrame:
    """The committed policy against every other, path by path."""
    import pandas as pd

    first, *others = outcomes.names
    rows = [
        {"first": first, "second": other, **vars(outcomes.difference(first, other))}
        for other in others
        if np.isfinite(outcomes.values[[0, outcomes.names.index(other)]]).all()
    ]
    return pd.DataFrame(rows, columns=["first", "second", "value", "standard_error", "lower", "upper", "reason"])


def _operations(case: GeneralCase, outcomes: Outcomes, sample: Sampling) -> pd.DataFrame:
    """Mean and quantiles of every quantity by policy and year; what it is, and of what, in words."""
    import pandas as pd

    model, what = outcomes.model, _words(case)
    paths = drawn_paths(model, case.process, sample)[: min(sample.paths, _FOLLOWED)]
    rows = []
    for policy in outcomes.policies:
        plan = follow(model, policy, paths, best_of(case)).plan
        for name, amounts in plan.quantities.items():
            group, of = what.get(name, ("other", name))
            told = {"strategy": policy.name, "quantity": name, "group": group, "of": of}
            rows += [{**told, "year": year, **_spread(plan.tree, amounts, year)} for year in model.years]
    return pd.DataFrame(rows)


def _words(case: GeneralCase) -> dict[str, tuple[str, str]]:
    """Group of the quantities that people look at, and whose they are, by name."""
    found = {}
    for kind in plants(case):
        found[f"dM{kind.suffix}"] = "deployment", kind.name
        found[f"M{kind.suffix}"] = "plant", kind.name
        found[f"scrap{kind.suffix}"] = "scrap", kind.name
        found[f"Q{kind.suffix}"] = "supply", kind.name
    if case.storage is not None:
        found = {name: what for name, what in found.items() if what[0] != "supply"} | {"Q": ("supply", "plant")}
    for number, tier in enumerate(tiers(case), start=1):
        found[f"Q_earth{tier.suffix}"] = "Earth", f"tier {number}"
        found[f"S{tier.suffix}"] = "shortage", f"tier {number}"
    return found


def _spread(tree: ScenarioTree, amounts: Array, year: int) -> dict[str, float]:
    here = amounts[tree.at(year)]
    low, high = np.quantile(here, [_LOW, _HIGH])
    return {"mean": float(here.mean()), "p5": float(low), "p95": float(high)}
