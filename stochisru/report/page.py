"""One self-contained page per run: the answer first, all else below it; nothing is fetched."""

from __future__ import annotations

import html
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scenario_trees.files import MISSHAPEN
from stochisru.errors import InputError
from stochisru.files import MANIFEST, read_manifest, relist_files, write_text
from stochisru.report.answer import changes_section, facts, next_years, regret_section, sentence
from stochisru.report.details import details
from stochisru.report.elements import contents, inline, whole_page
from stochisru.report.manifest import require_entries
from stochisru.report.policies import policies_section
from stochisru.studies.folder import write_figure

if TYPE_CHECKING:
    import pandas as pd

    from stochisru.report.chart import Chart

#: Tables that every run has, those of a base case and of one with tables beside them, and those that may be there.
_COMMON = ("tree", "tree_check", "strategies", "metrics", "differences", "operations", "npv")
_BASE = ("parameters", "values", "schedule", "fan", "distributions", "deployment_times", "deployment_numbers")
_OF_TABLES = ("tree_values", "plan")
_MAY = (
    "values",
    "tree_values",
    "fan",
    "technologies",
    "iterations",
    "regret",
    "rule",
    "changes",
    "prices",
    "break_even",
)


def read_tables(folder: Path) -> tuple[dict[str, Any], dict[str, pd.DataFrame]]:
    """Manifest and tables of a run folder.

    Raises
    ------
    InputError
        If the folder is not a run folder or a table cannot be read.
    """
    import pandas as pd

    manifest = read_manifest(folder)
    if manifest is None:
        raise InputError(f"RUN_DIR: {folder} is not a run folder (no {MANIFEST} of this version of stochisru)")
    if "study" in manifest:
        raise InputError(f"RUN_DIR: {folder} holds a {manifest['study']} study; make it again with its own command")
    require_entries(manifest, folder, tables=_has_tables(manifest))
    try:
        names = [*_COMMON, *(_OF_TABLES if _has_tables(manifest) else _BASE)]
        if manifest["method"] is not None and "tree_values" not in names:
            names.append("tree_values")
        there = [name for name in _MAY if (folder / "tables" / f"{name}.parquet").exists()]
        names += [name for name in there if name not in names]
        tables = {name: pd.read_parquet(folder / "tables" / f"{name}.parquet") for name in names}
    except Exception as error:  # pandas and pyarrow have errors of their own for what is damaged
        raise InputError(f"RUN_DIR: cannot read {folder}: {error}") from error
    return manifest, tables


def _has_tables(manifest: dict[str, Any]) -> bool:
    """Whether the run is of a case with tables beyond the base problem."""
    return manifest.get("page") == "tables"


def build_report(folder: Path) -> list[Path]:
    """Make figures and page of a run folder from its tables; return the files written."""
    from stochisru.report.run_figures import all_figures

    manifest, tables = read_tables(folder)
    figures = all_figures(manifest, tables)
    text = render(manifest, tables, figures)
    target = folder / "figures"
    try:
        target.mkdir(exist_ok=True)
        written = [path for name, figure in figures.items() for path in write_figure(target, name, figure)]
    except OSError as error:
        raise InputError(f"RUN_DIR: cannot write to {target}: {error.strerror}") from error
    page = folder / "report.html"
    write_text(page, text)
    relist_files(folder, [*written, page])
    return [*written, page]


def rebuild_report(folder: Path) -> list[Path]:
    """`build_report` of a folder that may have been changed since its run; `InputError` where it cannot be read."""
    try:
        return build_report(folder)
    except InputError:
        raise
    except MISSHAPEN as error:
        said = f"{type(error).__name__}: {error}"
        raise InputError(
            f"RUN_DIR: {folder}: its tables are not those of a run ({said}); make the run again"
        ) from error


def render(manifest: dict[str, Any], tables: dict[str, pd.DataFrame], figures: Mapping[str, Chart]) -> str:
    """Text of the page."""
    title = str(manifest.get("title", manifest["case"]))
    made = str(manifest.get("started", ""))[:10]
    version = str(dict(manifest.get("versions") or {}).get("stochisru", ""))
    by = f" · made {made} with stochisru {version}" if made else ""
    sections = "\n".join(
        [
            regret_section(manifest, tables, figures),
            next_years(manifest, tables),
            policies_section(manifest, tables, figures),
            changes_section(manifest, tables, figures),
            _demand_and_plan(figures),
            details(manifest, tables, figures),
        ]
    )
    body = f"""<header><h1 class="case">{html.escape(title)} · {manifest["horizon"]} years{html.escape(by)}</h1>
{sentence(manifest, tables)}</header>
{facts(manifest, tables)}
{contents(sections)}
{sections}"""
    return whole_page(f"{title}: what to commit this year", body, scripted=True)


def _demand_and_plan(figures: Mapping[str, Chart]) -> str:
    """Demand and the plant that serves it, what is committed now marked."""
    shown = [
        inline(figures[name], caption)
        for name, caption in (
            ("demand_fan", "Demand: the range of futures, and the same quantiles of the scenario tree as rings."),
            ("deployment_schedule", "Plant in place: the plan, and what others who know more or less would have."),
            ("plant", "Plant in place under the plan: mean, and the range of 90% of futures."),
            ("supply", "Who supplies what is wanted under the plan, on average."),
        )
        if name in figures
    ]
    return f'<h2 id="plan">Demand and plan</h2>\n<div class="two">{"".join(shown)}</div>'
