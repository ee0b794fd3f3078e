"""The command ``calibrate``: processes of demand from a series, with errors, tests and values."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stochisru.errors import InputError, require_confidence, require_integer
from stochisru.lunar.terminal import HorizonOpt, named_case
from stochisru.terminal import JsonOpt, SeedOpt, WorkersOpt, bar, emit_outcome, json_target, print_frame, progress

if TYPE_CHECKING:
    from stochisru.lunar.calibration import Bands, Calibration
    from stochisru.lunar.calibration.page import Written

SeriesArg = Annotated[Path, typer.Argument(metavar="FILE", help="CSV with a column of values and one of dates.")]
ColumnOpt = Annotated[str | None, typer.Option(help="Column of values [default: the only one besides the dates].")]
DateOpt = Annotated[
    str | None, typer.Option("--date", help="Column of dates [default: the one named date, year, time or t].")
]
KindOpt = Annotated[
    str,
    typer.Option(
        help="all, or gbm, jumps, mean-reverting, regimes, saturating, hidden-regimes, unknown-drift, historical; all "
        "keeps gbm unless the BIC of another is lower by more than 6."
    ),
]
StartOpt = Annotated[float | None, typer.Option("--D0", help="Demand in year 0, kg/yr [default: the last value].")]
ForOpt = Annotated[
    str | None,
    typer.Option("--case", metavar="CASE", help="Case whose values get bands: its name or a TOML file."),
]
DrawsOpt = Annotated[int | None, typer.Option(help="Draws of the parameters for the bands [default: 200].")]
ConfidenceOpt = Annotated[float, typer.Option(help="Of intervals and bands.")]
FolderOpt = Annotated[Path | None, typer.Option(help="Folder [default: runs/NAME-HASH-calibration].")]

#: Case that gets the demand where none is given.
_BASE = "lunar-reference"


def calibrate(
    file: SeriesArg,
    column: ColumnOpt = None,
    date: DateOpt = None,
    kind: KindOpt = "all",
    d0: StartOpt = None,
    case: ForOpt = None,
    horizon: HorizonOpt = None,
    draws: DrawsOpt = None,
    confidence: ConfidenceOpt = 0.95,
    seed: SeedOpt = 0,
    workers: WorkersOpt = 1,
    out: FolderOpt = None,
    json: JsonOpt = None,
) -> None:
    """Calibrate the process of demand from a series: estimates, tests, a page, a case, bands of values."""
    from stochisru.lunar.calibration import bands, read_series
    from stochisru.lunar.calibration import calibrate as calibrated
    from stochisru.lunar.calibration.bands import fewest_draws
    from stochisru.lunar.calibration.page import Written, default_folder, write_calibration
    from stochisru.studies.store import Execution

    json_target(json, str(file), *([] if case is None else [case]))
    if draws is not None and case is None:
        raise InputError("draws: is an option of --case CASE, whose values get bands")
    Execution(workers)
    require_confidence(confidence)
    count = max(200, fewest_draws(confidence)) if draws is None else draws
    require_integer("draws", count, fewest_draws(confidence))
    require_integer("seed", seed, 0)
    base = named_case(case or _BASE, horizon)
    series = read_series(file, column, date)
    with progress(f"calibrating {file.name}"):
        found = calibrated(series, kind, D0=d0, confidence=confidence)
    for line in found.warnings:
        typer.echo(f"warning: {line}", err=True)
    folder = out if out is not None else default_folder(found, base)

    def carry() -> Bands:
        with bar(f"valuing {base.name}", count) as advance:
            how = Execution(workers, progress=advance)
            return bands(found, base, draws=count, seed=seed, execution=how)

    def compute() -> Written:
        return write_calibration(found, base, folder, None if case is None else carry, seed=seed)

    def show(written: Written) -> None:
        _show(written.calibration)
        if written.bands is not None:
            _show_bands(written.bands)
        for what, file in (("case", "case.toml"), ("report", "report.html")):
            if (folder / file).exists():
                typer.echo(f"{what}: {folder / file}")

    emit_outcome(compute, Written.to_dict, json, show)


def _show(found: Calibration) -> None:
    import pandas as pd

    from stochisru.lunar.calibration.page import TESTS, sentence, verdict

    series = found.series
    title = f"{series.file}, {series.column}: {len(series.labels)} values, {series.labels[0]} to {series.labels[-1]}"
    shown = {"parameters": "k", "log_likelihood": "ln L", "aic": "AIC", "bic": "BIC"}
    shown |= {"normality": "p normal", "autocorrelation": "p indep.", "jumps": "p no jump"}
    members = found.to_frame().rename(columns=shown)
    for name in ("ln L", "AIC", "BIC"):
        members[name] = [f"{x:.2f}" for x in members[name]]
    flat = members.loc[members["note"] != "", "kind"].tolist()
    print_frame(members.drop(columns="note"), title, right=("ln L", "AIC", "BIC"))
    if flat:
        typer.echo(f"the likelihood of {' and '.join(flat)} has a flat direction: no errors are known")
    for kind, reason in found.reasons.items():
        typer.echo(f"{kind}: {reason}")
    table = found.parameters().rename(columns={"standard_error": "± se"})
    print_frame(table, f"maximum likelihood, with standard errors and {100 * found.confidence:.6g} % intervals")
    tests = [getattr(found.fit, name) for name in TESTS]
    asked = pd.DataFrame(
        {
            "question": list(TESTS.values()),
            "test": [test.test for test in tests],
            "p": [test.p_value for test in tests],
            "speaks": [verdict(test) for test in tests],
        }
    )
    print_frame(asked, f"tests of the standardised increments of {found.fit.kind}")
    typer.echo(f"kept: {sentence(found)}")
    typer.echo(f"why: {found.why}")
    typer.echo(f"year 0: {series.labels[-1]}, D0 = {found.D0:,.6g} kg/yr")


def _show_bands(found: Bands) -> None:
    frame = found.to_frame()
    money = frame["unit"] == "$"
    columns = ["estimate", "mean", "lower", "upper"]
    frame.loc[money, columns] /= 1e6
    frame.loc[money, "unit"] = "$ million"
    for name in columns:
        frame[name] = [f"{x:,.3f}" for x in frame[name]]
    title = (
        f"{found.case.name}, T = {found.case.horizon.T}: values of the {found.of} (NPV maximised), "
        f"{100 * found.confidence:.6g} % bands from {len(found.rows)} draws"
    )
    print_frame(frame, title, right=columns)
    if found.refused:
        typer.echo(f"{len(found.refused)} of {found.draws} draws have no values, as {found.refused[0]}")
