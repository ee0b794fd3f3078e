"""The folder of a calibration: its tables, figures, case and one self-contained page."""

from __future__ import annotations

import hashlib
import html
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scenario_trees.calibration import Goodness
from stochisru.files import drawing, keeping, plainly, replacing_folder, write_text
from stochisru.lunar.calibration.bands import VALUES, Bands
from stochisru.lunar.calibration.figures import LEVELS, bands_drawn, fan_table, increments_checked, series_and_fan
from stochisru.lunar.calibration.fitted import Calibration
from stochisru.lunar.case import DeploymentCase
from stochisru.methods.result import versions
from stochisru.placing import files_of
from stochisru.report.elements import inline, manifest_table, number, table, whole_page
from stochisru.studies.folder import write_case, write_figures, write_manifest, write_tables

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

#: Kind of folder.
KIND = "calibration"
#: p-value below which a test is said to speak against a process.
_SMALL = 0.05
#: What each test asks, and what speaks against it.
TESTS = {
    "normality": "are they normal?",
    "autocorrelation": "are they independent?",
    "jumps": "are none of them jumps?",
}


@dataclass(frozen=True, eq=False)
class Written:
    """A calibration in its folder.

    Attributes
    ----------
    bands
        Values with bands, or None where no case was given for them.
    """

    calibration: Calibration
    bands: Bands | None
    folder: Path
    files: tuple[str, ...]

    @plainly
    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: the keys of ``docs/cli.md``."""
        return {
            **self.calibration.to_dict(),
            "values": None if self.bands is None else self.bands,
            "folder": str(self.folder),
            "files": list(self.files),
        }


def identity(found: Calibration, base: DeploymentCase) -> dict[str, str]:
    """Entries of the manifest in which a calibration must agree with the one that it replaces."""
    return {"series_hash": found.series.digest(), "base_hash": base.digest()}


def default_folder(found: Calibration, base: DeploymentCase) -> Path:
    """``runs/NAME-HASH-calibration``: another series or case goes beside, never over."""
    text = "".join(identity(found, base).values())
    stem = found.series.file.rpartition(".")[0] or found.series.file
    return Path("runs") / f"{stem}-{hashlib.sha256(text.encode()).hexdigest()[:8]}-calibration"


def write_calibration(
    found: Calibration,
    base: DeploymentCase,
    out: Path,
    carry: Callable[[], Bands] | None = None,
    *,
    horizon: int | None = None,
    seed: int = 0,
) -> Written:
    """Write tables, case, figures and page of a calibration into a folder that appears when all is done.

    Parameters
    ----------
    base
        The case whose demand is replaced: ``case.toml`` is the whole case, ``demand.toml`` the tables alone.
    carry
        Computes the values with bands, once the folder is known to be usable; none if not given.
    horizon
        Years of the fan; the horizon of the case if not given.

    Raises
    ------
    InputError
        If the folder cannot be used or the case cannot have the process; nothing is left behind.
    FigureError
        If a figure or the page cannot be made; tables and case are in the folder.
    """
    case = found.case(base)
    with keeping() as keep, replacing_folder(out, KIND, identity(found, base)) as folder:
        bands = None if carry is None else carry()
        fan = fan_table(found, case.horizon.T if horizon is None else horizon, seed)
        keep(Written(found, bands, out, ()))
        write_tables(folder, _tables(found, fan, bands))
        write_case(folder, case)
        (folder / "demand.toml").write_text(found.to_toml(), encoding="utf-8")
        entries: dict[str, Any] = {
            **identity(found, base),
            "file": found.series.file,
            "column": found.series.column,
            "kind": found.kind,
            "why": found.why,
            "confidence": found.confidence,
            "seed": seed,
            **({} if bands is None else {"draws": bands.draws, "of": bands.of}),
        }
        write_manifest(folder, KIND, entries, case)
        outcome = Written(found, bands, out, files_of(folder))
        figures = _figures(found, fan, bands)
        write_figures(folder, lambda: figures, outcome)
        with drawing(outcome):
            write_text(folder / "report.html", render(found, bands, figures, {**entries, "versions": versions()}))
        files = files_of(folder)
    return Written(found, bands, out, files)


def _tables(found: Calibration, fan: pd.DataFrame, bands: Bands | None) -> dict[str, pd.DataFrame]:
    import pandas as pd

    series = pd.DataFrame({"date": found.series.labels, "year": found.series.years, "value": found.series.values})
    increments = pd.DataFrame({"date": found.series.labels[1:], "standardised": found.fit.standardised})
    made = {
        "series": series,
        "members": found.to_frame(),
        "parameters": found.parameters(),
        "increments": increments,
        "fan": fan.reset_index(),
    }
    if bands is not None:
        made |= {"bands": bands.to_frame(), "draws": pd.DataFrame(list(bands.rows)).drop(columns="note")}
    return made


def _figures(found: Calibration, fan: pd.DataFrame, bands: Bands | None) -> dict[str, Figure]:
    with drawing():
        figures = {"series": series_and_fan(found, fan), "increments": increments_checked(found)}
        return figures if bands is None else {**figures, "bands": bands_drawn(bands)}


def verdict(test: Goodness) -> str:
    """What a test says, in words."""
    if test.p_value != test.p_value:
        return "says nothing"
    return "against it" if test.p_value < _SMALL else "not against it"


def sentence(found: Calibration) -> str:
    """The chosen process and its errors in one sentence."""
    fit = found.fit
    parts = [
        f"{name.replace('_', ' ')} {number(value)}"
        + ("" if fit.standard_errors[name] != fit.standard_errors[name] else f" ± {number(fit.standard_errors[name])}")
        for name, value in fit.estimates.items()
    ]
    return f"{found.kind}: {', '.join(parts)} ({fit.steps} increments over {found.span:.4g} years)"


def render(found: Calibration, bands: Bands | None, figures: Mapping[str, Figure], manifest: Mapping[str, Any]) -> str:
    """The page."""
    series = found.series
    title = f"Calibration of {series.column}, {series.file}"
    warned = "".join(f"<p><b>Unusual.</b> {html.escape(line)}</p>" for line in found.warnings)
    start = (
        ""
        if series.values[-1] == found.D0
        else f" Year 0 starts at {number(found.D0)} kg/yr, to which the series is scaled."
    )
    dashed = (
        " Dashed: the same with parameters drawn from the law of their errors."
        if found.kind in found.fits and found.fit.identified
        else ""
    )
    body = f"""<h1>{html.escape(title)}</h1>
<p class="lead"><b>{html.escape(sentence(found))}.</b> Kept because {html.escape(found.why)}.</p>
<p>{len(series.labels)} values from {series.labels[0]} to {series.labels[-1]}; gaps and uneven steps are taken by
their length. ± is one standard error, intervals are of {100 * found.confidence:.6g} %.{start}</p>
{warned}
<h2 id="series">The series and what comes next</h2>
{
        inline(
            figures["series"],
            f"The series, and {LEVELS[0]:.0%} to {LEVELS[-1]:.0%} of {found.kind} from year 0 on." + dashed,
        )
    }
<h2 id="members">Members of the family</h2>
{_members(found)}
{_parameters(found)}
<h2 id="tests">Tests of the increments</h2>
{_tests(found)}
{
        inline(
            figures["increments"],
            "Ordered standardised increments against the normal law, and their autocorrelation; "
            "shaded is what 95 % of samples do, point by point.",
        )
    }
<h2 id="case">The case table</h2>
<p><code>demand.toml</code> goes into a case file in place of its own; <code>case.toml</code> is the whole case:
<code>stochisru run case.toml</code>.</p>
<pre>{html.escape(found.to_toml())}</pre>
{_bands(bands, figures)}
<h2 id="manifest">How this was made</h2>
{manifest_table(dict(manifest))}"""
    return whole_page(f"stochisru: {title}", body)


def _interval(lower: float, upper: float, unit: str = "") -> str:
    """An interval; a dash where it has no end at all."""
    if lower != lower and upper != upper:
        return "–"
    return f"[{number(lower, unit)}, {number(upper, unit)}]"


def _members(found: Calibration) -> str:
    rows = [
        [
            f'<span class="best">{row["kind"]}</span>' if row["kind"] == found.kind else str(row["kind"]),
            str(row["parameters"]),
            *(f"{row[name]:.2f}" for name in ("log_likelihood", "aic", "bic")),
            *(number(row[name]) for name in TESTS),
            html.escape(str(row["note"])),
        ]
        for row in found.to_frame().to_dict("records")
    ]
    blank = [""] * 7
    rows += [[kind, *blank, html.escape(reason)] for kind, reason in found.reasons.items()]
    head = ["member", "parameters", "ln L", "AIC", "BIC", "p normality", "p independence", "p no jumps", "note"]
    return table(head, rows, caption="Members by BIC, the least first; small p-values speak against a member")


def _parameters(found: Calibration) -> str:
    rows = [
        [
            html.escape(f"{row['kind']}: {str(row['parameter']).replace('_', ' ')}"),
            number(row["value"]),
            number(row["standard_error"]),
            _interval(row["lower"], row["upper"]),
            html.escape(str(row["unit"])),
        ]
        for row in found.parameters().to_dict("records")
    ]
    caption = f"Estimates with standard errors and {100 * found.confidence:.6g} % intervals"
    return table(["parameter", "estimate", "standard error", "interval", "unit"], rows, caption=caption)


def _tests(found: Calibration) -> str:
    rows = []
    for name, asked in TESTS.items():
        test: Goodness = getattr(found.fit, name)
        cells = [html.escape(test.test), number(test.statistic), number(test.p_value), verdict(test)]
        rows.append([html.escape(asked), *cells])
    caption = f"Tests of the standardised increments of {found.fit.kind}; below {_SMALL:g} a p-value speaks against it"
    return table(["question", "test", "statistic", "p", f"speaks, of {found.fit.kind}"], rows, caption=caption)


def _bands(bands: Bands | None, figures: Mapping[str, Figure]) -> str:
    if bands is None:
        return ""
    rows = []
    for name, unit in bands.quantities.items():
        band = bands.band(name)
        cells = [number(x, unit) for x in (band.estimate, band.mean, band.lower, band.upper)]
        ends = " and ".join(_interval(a, b, unit) for a, b in (band.lower_range, band.upper_range))
        shown = "$ million" if unit == "$" else unit
        meaning = VALUES.get(name, f"plant to arrive in year {name[2:]}, committed now")
        rows.append([f"{html.escape(name)} ({shown})", *cells, ends, html.escape(meaning)])
    counted = f"{bands.draws} draws" + (f", {len(bands.refused)} of them without values" if bands.refused else "")
    head = [
        "value",
        "at the estimate",
        "mean of draws",
        "band from",
        "to",
        "95 % of its ends (– : more draws)",
        "meaning",
    ]
    caption = f"Values of the {bands.of} (NPV, maximised), {counted}; bands of {100 * bands.confidence:.6g} %"
    return f"""<h2 id="values">What the series leaves open of the values</h2>
<p>{html.escape(bands.case.name)}, T = {bands.case.horizon.T}. Parameters are drawn from the normal law of their errors
and the case is valued with each draw as if it were known. That law is of many increments; of few the bands are too
narrow.</p>
{table(head, rows, caption=caption)}
{inline(figures["bands"], "Values and orders over the draws: the estimate (solid), ends of the band (dashed).")}"""
