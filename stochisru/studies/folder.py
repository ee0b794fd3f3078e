"""Folder of a study: its table, figures, the case and a manifest."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stochisru.case import DeploymentCase
from stochisru.files import MADE_BY, MANIFEST, replacing_folder, to_json
from stochisru.methods.result import versions
from stochisru.studies.store import Row

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@contextlib.contextmanager
def study_folder(out: Path | None, kind: str) -> Iterator[Path | None]:
    """Folder to fill while the study runs; it takes its place when all went well. None passes None on.

    Raises
    ------
    InputError
        If the folder holds anything but an earlier study of that kind, or cannot be written.
    """
    if out is None:
        yield None
        return
    with replacing_folder(out, kind) as folder:
        yield folder


def fill(
    folder: Path,
    kind: str,
    case: DeploymentCase,
    tables: Mapping[str, Sequence[Row]],
    figures: Mapping[str, Figure],
    settings: Mapping[str, Any],
) -> None:
    """Write tables (CSV and Parquet), figures (PNG and PDF), case and manifest."""
    write_tables(folder, tables)
    write_figures(folder, figures)
    (folder / "case.toml").write_text(case.to_toml(), encoding="utf-8")
    manifest = {**MADE_BY, "study": kind, "case": case.name, "case_hash": case.digest(), "horizon": case.horizon.T}
    manifest |= {**settings, "versions": versions()}
    (folder / MANIFEST).write_text(to_json(manifest), encoding="utf-8")


def write_tables(folder: Path, tables: Mapping[str, Sequence[Row]]) -> None:
    """Write tables as CSV and Parquet into ``folder/tables``."""
    import pandas as pd

    (folder / "tables").mkdir()
    for name, rows in tables.items():
        table = pd.DataFrame(list(rows))
        table.to_csv(folder / "tables" / f"{name}.csv", index=False)
        table.to_parquet(folder / "tables" / f"{name}.parquet", index=False)


def write_figures(folder: Path, figures: Mapping[str, Figure]) -> None:
    """Write figures as PNG and PDF into ``folder/figures``."""
    (folder / "figures").mkdir()
    for name, figure in figures.items():
        figure.savefig(folder / "figures" / f"{name}.png")
        figure.savefig(folder / "figures" / f"{name}.pdf", metadata={"CreationDate": None})
