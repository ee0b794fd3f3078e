"""Folder of a study: its table, figures, the case and a manifest."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from scenario_trees.files import replacing
from stochisru.backend import matplotlib
from stochisru.files import MADE_BY, MANIFEST, RUN, drawing, replacing_folder, to_json
from stochisru.methods.result import versions
from stochisru.protocols import Case
from stochisru.studies.store import Row

if TYPE_CHECKING:
    import pandas as pd

#: Dots per inch of PNG files.
DPI = 300


@contextlib.contextmanager
def study_folder(out: Path | None, kind: str, same: Mapping[str, Any] | None = None) -> Iterator[Path | None]:
    """Folder to fill while the study runs; it takes its place when all went well. None passes None on.

    ``same`` are the entries of the manifest in which an earlier study must agree to be replaced.

    Raises
    ------
    InputError
        If the folder holds anything but an earlier study of that kind and case, or cannot be written.
    """
    if out is None:
        yield None
        return
    with replacing_folder(out, kind, same) as folder:
        yield folder


def fill(
    folder: Path,
    kind: str,
    case: Case,
    tables: Mapping[str, Sequence[Row]],
    figures: Callable[[], Mapping[str, Drawing]],
    settings: Mapping[str, Any],
    kept: object = None,
) -> None:
    """Write tables (CSV and Parquet), case and manifest, then the figures (PNG, PDF, SVG), which may fail.

    ``kept`` is the outcome that they show, which a `FigureError` passes on.
    """
    write_tables(folder, tables)
    write_case(folder, case)
    write_manifest(folder, kind, settings, case)
    write_figures(folder, figures, kept)


def write_case(folder: Path, case: Case) -> None:
    """Write the case as it was studied."""
    (folder / "case.toml").write_text(case.to_toml(), encoding="utf-8")


def write_manifest(folder: Path, kind: str, entries: Mapping[str, Any], case: Case | None = None) -> None:
    """Write what made the folder: kind of study, case, ``entries``, versions."""
    study = {} if kind == RUN else {"study": kind}
    of = {} if case is None else {"case": case.name, "title": case.title, **case_entry(case), "horizon": case.horizon.T}
    manifest = {**MADE_BY, **study, **of, **entries, "versions": versions()}
    (folder / MANIFEST).write_text(to_json(manifest), encoding="utf-8")


def case_entry(case: Case) -> dict[str, str]:
    """Entry of a manifest in which a study must agree with the one that it replaces."""
    return {"case_hash": case.digest()}


def write_tables(folder: Path, tables: Mapping[str, Sequence[Row] | pd.DataFrame]) -> None:
    """Write tables, given as such or as rows, as CSV and Parquet into ``folder/tables``."""
    import pandas as pd

    (folder / "tables").mkdir()
    for name, rows in tables.items():
        table = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(list(rows))
        guarded(table).to_csv(folder / "tables" / f"{name}.csv", index=False)
        table.to_parquet(folder / "tables" / f"{name}.parquet", index=False)


def guarded(table: pd.DataFrame) -> pd.DataFrame:
    """The table for a spreadsheet: text that it would take for a formula begins with an apostrophe there.

    Names come from case files, which may be somebody else's. Numbers stay as they are.
    """
    safe = table.copy(deep=False)
    for name in table.columns:
        if table[name].dtype.kind not in "biufcmM":
            safe[name] = table[name].map(_guarded)
    return safe.rename(columns=_guarded)


def _guarded(cell: Any) -> Any:
    """A cell, with an apostrophe where it is text that begins as formulas do and is no number."""
    if not isinstance(cell, str) or len(cell) < 2 or not cell.lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r")):
        return cell
    try:
        float(cell)
    except ValueError:
        return f"'{cell}"
    return cell


class Drawing(Protocol):
    """What writes itself: a matplotlib figure, or a chart of `stochisru.report.chart`."""

    def savefig(self, fname: Any, /, *, format: str, dpi: float, metadata: Any) -> Any:
        """Write it to an open binary file."""


def write_figure(folder: Path, name: str, figure: Drawing) -> list[Path]:
    """Write a figure as PNG, PDF and SVG, the same bytes every time; return the files."""
    mpl = matplotlib()
    if (place := getattr(figure, "get_layout_engine", None)) is not None and place() is not None:
        figure.draw_without_rendering()  # type: ignore[attr-defined]
        figure.set_layout_engine("none")  # type: ignore[attr-defined]  # it is placed once, not once a file
    written = []
    for suffix, undated in (("png", None), ("pdf", {"CreationDate": None}), ("svg", {"Date": None})):
        path = folder / f"{name}.{suffix}"
        with replacing(path) as part, mpl.rc_context({"svg.hashsalt": "stochisru", "svg.fonttype": "path"}):
            figure.savefig(part, format=suffix, dpi=DPI, metadata=undated)
        written.append(path)
    return written


def write_figures(folder: Path, figures: Callable[[], Mapping[str, Drawing]], kept: object = None) -> None:
    """Make figures and write them as PNG, PDF and SVG into ``folder/figures``; `FigureError` where that fails."""
    with drawing(kept):
        (folder / "figures").mkdir()
        for name, figure in figures().items():
            write_figure(folder / "figures", name, figure)


def default_folder(case: Case, study: str | None = None) -> Path:
    """Folder of a run or study that is given none: ``runs/NAME`` of a shipped case, ``runs/NAME-HASH`` of any other.

    So a case that was changed goes beside what it was, never over it.
    """
    name = case.name if case.is_shipped else f"{case.name}-{case.digest()[:8]}"
    return Path("runs") / (name if study is None else f"{name}-{study}")
