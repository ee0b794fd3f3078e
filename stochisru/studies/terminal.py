"""What commands of studies share: how they run, and the folder that they fill."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from stochisru.errors import InputError
from stochisru.files import plain_number
from stochisru.terminal import bar

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from stochisru.protocols import Case
    from stochisru.studies.store import Execution, Row

S = TypeVar("S")


def run_study_command(
    kind: str,
    case: Case,
    compute: Callable[[Execution], S],
    rows: Callable[[S], list[Row]],
    draw: Callable[[S], dict[str, Figure]],
    points: int,
    how: Execution,
    out: Path | None,
    settings: dict[str, Any],
) -> S:
    """Compute a study under a progress bar, into a folder where asked."""
    from stochisru.files import keeping
    from stochisru.studies.folder import case_entry, fill, study_folder

    with keeping() as keep, study_folder(out, kind, case_entry(case)) as folder:
        with bar(f"{kind} of {case.name}", points) as advance:
            study = compute(replace(how, progress=advance))
        keep(study)
        if folder is not None:
            fill(folder, kind, case, {kind: rows(study)}, lambda: draw(study), settings, study)
    return study


def execution_of(workers: int, backend: str, checkpoint: Path | None, resume: bool) -> Execution:
    """How a study runs, from its options."""
    from stochisru.studies.store import Execution

    return Execution(workers, backend, checkpoint, resume)


def numbers(text: str, field: str) -> list[float]:
    """Numbers given as text, separated by commas; `InputError` names the field if they are none."""
    try:
        return [plain_number(item) for item in text.split(",")]
    except ValueError as error:
        raise InputError(f"{field}: must be numbers, as in 0.1,0.2, got {text!r}") from error
