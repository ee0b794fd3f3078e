"""The study that the project began with: how to deploy oxygen plants over 10, 30 and 50 years.

For every horizon: the strategies and the exact optimum on common runs (profitability, risk, operations), whether the
outline's hypothesis on the risk of the rules holds and where, the values of
information and flexibility, sensitivity of value and of flexibility, the efficiency frontier over strategies and rules,
and a rule of three numbers tuned and judged against the optimum. Everything goes into one folder of tables and figures,
with a page of findings whose sentences are written from the numbers (`stochisru.worked.deployment.findings`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stochisru.errors import InputError
from stochisru.files import plainly
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.comparison import Comparison, compared
from stochisru.lunar.exact.unit_value import UnitValue
from stochisru.lunar.strategies import MODERATE, Strategy
from stochisru.lunar.studies.efficiency import Frontier, default_strategies, frontier
from stochisru.lunar.studies.rules import RULE_RANGES, sample_rules
from stochisru.lunar.studies.sensitivity import Tornado, tornado
from stochisru.lunar.studies.tuning import Tuning, tune
from stochisru.lunar.values.process import ProcessValues, process_values
from stochisru.placing import files_of
from stochisru.simulation.sampling import Sampling
from stochisru.studies.folder import case_entry, fill, study_folder
from stochisru.studies.store import Execution, Row
from stochisru.worked.deployment.hypothesis import Hypothesis, hypothesis

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from stochisru.report.chart import Chart

#: Years of the study.
HORIZONS = (10, 30, 50)
#: Strategies on common runs: the three of the study and what they are held against.
STRATEGIES = (
    "conservative",
    "moderate",
    "aggressive",
    "upfront",
    "gradual",
    "reactive",
    "static",
    "fixed",
    "threshold",
)
#: Paths per frontier point, and the most generations of the tuning.
_FRONTIER_PATHS, _GENERATIONS = 4000, 20


@dataclass(frozen=True, eq=False)
class HorizonResult:
    """Everything about one horizon."""

    case: DeploymentCase
    comparison: Comparison
    values: ProcessValues
    tornado: Tornado
    frontier: Frontier
    tuning: Tuning
    hypothesis: Hypothesis | None

    @property
    def years(self) -> int:
        """T."""
        return self.case.horizon.T


@dataclass(frozen=True, eq=False)
class DeploymentStudy:
    """Outcome of `deployment_study`."""

    folder: Path
    results: tuple[HorizonResult, ...]
    findings: tuple[str, ...]
    files: tuple[str, ...]

    @plainly
    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: the keys of ``docs/cli.md``."""
        return {
            "case": self.results[0].case.name,
            "folder": str(self.folder),
            "horizons": [r.years for r in self.results],
            "findings": list(self.findings),
            "values": {str(r.years): r.values.to_dict() for r in self.results},
            "strategies": {str(r.years): r.comparison.to_dict()["strategies"] for r in self.results},
            "tuned": {str(r.years): r.tuning.to_rows()[0] for r in self.results},
            "files": list(self.files),
        }


def _with_horizon(tables: Sequence[tuple[int, pd.DataFrame]]) -> list[Row]:
    return [
        {"horizon": T, **{str(k): v for k, v in r.items()}} for T, table in tables for r in table.to_dict("records")
    ]


def study_tables(results: Sequence[HorizonResult]) -> dict[str, list[Row]]:
    """Tidy tables over all horizons, by name; one row per horizon and entry."""
    import pandas as pd

    def over(table: Callable[[HorizonResult], pd.DataFrame]) -> list[Row]:
        return _with_horizon([(r.years, table(r)) for r in results])

    judged = [(r.years, r.hypothesis) for r in results if r.hypothesis is not None]
    return {
        "hypothesis": [{"horizon": T, **row} for T, found in judged for row in found.to_rows()],
        "hypothesis_scan": [{"horizon": T, **row} for T, found in judged for row in found.rows],
        "values": over(lambda r: r.values.to_frame().reset_index()),
        "metrics": over(lambda r: r.comparison.simulation.to_frame()),
        "gaps": over(lambda r: r.comparison.to_frame()),
        "operations": over(lambda r: r.comparison.simulation.yearly()),
        "distributions": over(lambda r: r.comparison.simulation.distributions()),
        "deployment_times": over(lambda r: r.comparison.simulation.deployment_times()),
        "deployment_numbers": over(lambda r: r.comparison.simulation.deployment_numbers()),
        "npv": over(lambda r: pd.DataFrame(r.comparison.simulation.npv.T, columns=r.comparison.simulation.names)),
        "rules": over(
            lambda r: pd.DataFrame(
                [{"strategy": s.name, "rule": s.describe(r.case)} for s in r.comparison.simulation.strategies]
            )
        ),
        "tornado": [row for r in results for row in r.tornado.to_rows()],
        "frontier": [row for r in results for row in r.frontier.to_rows()],
        "tuning": [row for r in results for row in r.tuning.to_rows()],
    }


def study_figures(results: Sequence[HorizonResult]) -> dict[str, Figure | Chart]:
    """Figures by file name: one of each kind per horizon, and those over all horizons."""
    import pandas as pd

    from stochisru.lunar.studies.figures import efficiency_frontiers, tornado_pair
    from stochisru.report.figures import deployment_timing, operations_over_time, target_curves
    from stochisru.report.indicator_figures import indicator_distributions
    from stochisru.worked.deployment.figures import flexibility_by_horizon, shares_by_horizon

    figures: dict[str, Figure | Chart] = {"flexibility": flexibility_by_horizon(results)}
    paying = [r for r in results if r.values.point("rp") > 0]
    if paying:
        figures["shares"] = shares_by_horizon(paying)
    for r in results:
        run = r.comparison.simulation
        figures |= {
            f"target_curves_{r.years}": target_curves(pd.DataFrame(run.npv.T, columns=run.names)),
            f"operations_{r.years}": operations_over_time(run.yearly()),
            f"distributions_{r.years}": indicator_distributions(run.distributions()),
            f"deployment_times_{r.years}": deployment_timing(run.deployment_times()),
            f"tornado_{r.years}": tornado_pair(r.tornado),
            f"frontier_{r.years}": efficiency_frontiers(r.frontier),
        }
    return figures


def deployment_study(
    case: DeploymentCase,
    out: Path,
    *,
    horizons: Sequence[int] = HORIZONS,
    paths: int = 1000,
    seed: int = 0,
    sampler: str = "pseudo-random",
    rules: int = 100,
    execution: Execution | None = None,
    progress: Callable[[str], None] | None = None,
) -> DeploymentStudy:
    """Study deployment over several horizons.

    Parameters
    ----------
    case
        The problem; its horizon is replaced by each of ``horizons``.
    out
        Folder that appears when everything is done; an earlier study of that name is replaced.
    paths, seed, sampler
        Runs per horizon, see `stochisru.simulate`; every strategy sees the same ones.
    rules
        Trigger rules sampled for the frontier.
    execution
        Workers; checkpoint and resume remember the points of sensitivity, frontier and tuning in subfolders.
    progress
        Called with the name of each step.

    Raises
    ------
    InputError
        If an argument is out of range, the case has no exact policy, or the folder cannot be used.
    """
    from stochisru.files import drawing, keeping, write_text
    from stochisru.worked.deployment.findings import findings, render_findings

    say = progress or (lambda _: None)
    how = execution or Execution()
    sample = Sampling(paths, seed, sampler, how.workers).at_least(2)
    if not horizons or len(set(horizons)) < len(horizons):
        raise InputError(f"horizons: must be years that differ, as in 10,30,50, got {list(horizons)!r}")
    cases = [case.replace(T=T) for T in sorted(horizons)]
    UnitValue.of(case)  # refuses a case without an exact policy before any work
    sampled = sample_rules(rules, seed)
    with keeping() as keep, study_folder(out, "deployment", case_entry(case)) as folder:
        assert folder is not None
        results = []
        for here in cases:
            T = here.horizon.T

            def remembered(step: str, T: int = T) -> Execution:
                sub = None if how.checkpoint is None else Path(how.checkpoint) / f"{step}-{T}"
                return replace(how, checkpoint=sub)

            say(f"T = {T}: strategies")
            comparison = compared(here, list(STRATEGIES), sample)
            say(f"T = {T}: values")
            values = process_values(here, seed=seed, workers=how.workers)
            say(f"T = {T}: sensitivity")
            swings = tornado(here, execution=remembered("sensitivity"))
            say(f"T = {T}: frontier")
            chosen: list[Strategy | str] = [*default_strategies(here), *sampled]
            efficient = frontier(
                here, chosen, paths=_FRONTIER_PATHS, seed=seed, sampler=sampler, execution=remembered("frontier")
            )
            say(f"T = {T}: tuning")
            plain = replace(MODERATE, hurdle=False)
            numbers = {name: RULE_RANGES[name] for name in ("initial_ratio", "threshold", "magnitude")}
            tuned = tune(
                here,
                base=plain,
                ranges=numbers,
                seed=seed,
                sampler=sampler,
                generations=_GENERATIONS,
                execution=remembered("tuning"),
            )
            say(f"T = {T}: hypothesis")
            judged = hypothesis(here, comparison.simulation, seed=seed, execution=remembered("hypothesis"))
            results.append(HorizonResult(here, comparison, values, swings, efficient, tuned, judged))
        say("tables and figures")
        settings = {
            "horizons": [r.years for r in results],
            "paths": paths,
            "seed": seed,
            "sampler": results[0].comparison.simulation.sampler,
            "confidence": results[0].comparison.simulation.confidence,
            "rules": rules,
            "frontier_paths": _FRONTIER_PATHS,
        }
        sentences = findings(results)
        figures: dict[str, Figure | Chart] = {}

        def draw() -> dict[str, Figure | Chart]:
            figures.update(study_figures(results))
            return figures

        study = DeploymentStudy(out, tuple(results), tuple(s for group in sentences.values() for s in group), ())
        keep(study)
        fill(folder, "deployment", case, study_tables(results), draw, settings, study)
        with drawing(study):
            write_text(folder / "report.html", render_findings(results, sentences, figures, settings))
        files = files_of(folder)
    return replace(study, files=files)
