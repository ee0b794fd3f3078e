"""What commands share: options, tables and JSON on standard output, progress on standard error.

Progress is silent where standard error is not a terminal. Worked cases make their commands of these.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import typer

from stochisru.errors import InputError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure
    from rich.console import Console

    from stochisru.protocols import LogLine

S = TypeVar("S")

JsonOpt = Annotated[str | None, typer.Option("--json", metavar="FILE", help="Write JSON to FILE ('-': stdout).")]
SolverOpt = Annotated[str, typer.Option(help="highs or gurobi.")]
PathsOpt = Annotated[int, typer.Option(help="Monte Carlo paths.")]
SeedOpt = Annotated[int, typer.Option(help="Seed of all random numbers.")]
SamplerOpt = Annotated[str, typer.Option(help="pseudo-random, antithetic or sobol.")]
FigureOpt = Annotated[Path | None, typer.Option(metavar="FILE", help="Draw a figure (.png, .svg or .pdf).")]
WorkersOpt = Annotated[int, typer.Option(help="Processes; results do not depend on it.")]
BackendOpt = Annotated[str, typer.Option(help="Where workers run: processes or dask.")]
CheckpointOpt = Annotated[Path | None, typer.Option(help="Folder that remembers finished points.")]
ResumeOpt = Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint.")]
OutOpt = Annotated[Path | None, typer.Option(help="Folder for tables (CSV, Parquet) and figures (PNG, PDF, SVG).")]


def number(text: str, field: str) -> float:
    """A number given as text; `InputError` names the field if it is none."""
    from stochisru.files import plain_number

    try:
        return plain_number(text)
    except ValueError as error:
        raise InputError(f"{field}: must be a number, got {text!r}") from error


def figure_target(path: Path | None) -> None:
    """Refuse a file that no figure can be drawn into, before any work is done."""
    from stochisru.files import require_writable

    if path is not None:
        if path.suffix not in (".png", ".svg", ".pdf"):
            raise InputError(f"figure: must end in .png, .svg or .pdf, got {path.name!r}")
        require_writable(path, "figure")


def save_figure(draw: Callable[[], Figure], path: Path) -> None:
    """Draw a figure and write it in the format that its suffix names; to be called when the results are written.

    Raises
    ------
    FigureError
        If the figure cannot be made.
    """
    from stochisru.files import drawing

    with drawing():
        draw().savefig(path)


def json_target(target: str | None, *inputs: str) -> None:
    """Refuse an output file that cannot be written, or is an input, before any work is done."""
    from stochisru.errors import InputError
    from stochisru.files import require_writable

    if target is None or target == "-":
        return
    require_writable(Path(target), "json")
    if Path(target).exists() and any(Path(i).exists() and Path(i).samefile(target) for i in inputs):
        raise InputError(f"json: {target} is the input, must be another file")


def emit(data: Any, target: str | None, show: Callable[[], None]) -> None:
    """Write JSON where asked; show the tables unless standard output belongs to JSON.

    Raises
    ------
    OutputError
        If the JSON cannot be written, when the tables are shown.
    """
    from stochisru.errors import OutputError
    from stochisru.files import to_json, write_text

    if target == "-":
        sys.stdout.write(to_json(data))
        return
    failed: InputError | None = None
    if target is not None:
        try:
            write_text(Path(target), to_json(data), "json")
        except InputError as error:
            failed = error
    show()
    if failed is not None:
        raise OutputError(f"{failed}; the result is in the tables alone") from failed


def emit_outcome(
    compute: Callable[[], S], data: Callable[[S], Any], target: str | None, show: Callable[[S], None]
) -> S:
    """Compute and `emit`; where only figures or files fail that is done all the same, and the error goes on."""
    from stochisru.errors import FigureError, OutputError

    try:
        outcome = compute()
    except (FigureError, OutputError) as error:
        kept = error.kept
        if kept is not None:
            with contextlib.suppress(OutputError):
                emit(data(kept), target, lambda: show(kept))  # type: ignore[arg-type]
        raise
    emit(data(outcome), target, lambda: show(outcome))
    return outcome


def _console(**options: Any) -> Console:
    """A console that shows words as they are: names may have signs that rich takes for markup or emoji."""
    from rich.console import Console

    return Console(markup=False, emoji=False, **options)


#: How much progress tells on standard error.
Talk = Literal["quiet", "usual", "verbose"]
_TALK: list[Talk] = ["usual"]


def speak(talk: Talk) -> None:
    """Say how much progress is told from now on: nothing, what a terminal shows, or every step as a line."""
    _TALK[0] = talk


def _is_shown(console: Console) -> bool:
    return console.is_terminal and _TALK[0] == "usual"


@contextlib.contextmanager
def _lines(title: str) -> Iterator[Callable[[str], None]]:
    """Steps as lines on standard error, each with the seconds since the beginning."""
    start = time.monotonic()

    def tell(step: str) -> None:
        sys.stderr.write(f"{time.monotonic() - start:8.1f} s  {title}{f': {step}' if step else ''}\n")

    tell("")
    yield tell
    tell("done")


@contextlib.contextmanager
def progress(title: str) -> Iterator[Callable[[str], None]]:
    """A spinner with the present step and the time so far on standard error; silent when that is not a terminal."""
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = _console(stderr=True)
    if _TALK[0] == "verbose":
        with _lines(title) as tell:
            yield tell
        return
    if not _is_shown(console):
        yield lambda _: None
        return
    columns = SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True) as shown:
        task = shown.add_task(title)
        yield lambda step: shown.update(task, description=f"{title}: {step}")


@contextlib.contextmanager
def bar(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar with the share done and the time left on standard error; silent when that is not a terminal."""
    from rich.markup import escape
    from rich.progress import Progress

    console = _console(stderr=True)
    if _TALK[0] == "verbose":
        with _lines(title) as tell:
            sofar = [0]

            def count(done: int) -> None:
                sofar[0] += done
                tell(f"{sofar[0]:,} of {total:,} ({sofar[0] / max(total, 1):.0%})")

            yield count
        return
    with Progress(console=console, transient=True, disable=not _is_shown(console)) as progress:
        task = progress.add_task(escape(title), total=total)
        yield lambda done: progress.advance(task, done)


def print_frame(frame: pd.DataFrame, title: str, right: Collection[str] = ()) -> None:
    """A table on standard output; numbers, and columns named in ``right``, stand at the right.

    Where the terminal is too narrow the columns go below each other in blocks, each begun by the first column: words
    may fold, a number is never cut. A pipe has no width: nothing that programs or people will search is folded.
    """
    from rich.table import Table

    console = _console()
    if not console.is_terminal:
        console = _console(width=1000)
    cells = {str(name): [_cell(value) for value in frame[name]] for name in frame.columns}
    numeric = {str(name) for name in frame.columns if frame[name].dtype.kind in "fi" or name in right}
    natural = {name: max(map(len, (name, *rows))) for name, rows in cells.items()}
    least = {name: width if name in numeric else min(width, _FOLD) for name, width in natural.items()}
    for part, columns in enumerate(_blocks(least, console.width)):
        table = Table(title=title, title_justify="left", box=None, header_style="bold", pad_edge=False)
        if part:
            table.title = None
            console.print()
        for name in columns:
            table.add_column(
                name,
                justify="right" if name in numeric else "left",
                no_wrap=name in numeric,
                min_width=min(least[name], console.width),
            )
        for row in zip(*(cells[name] for name in columns), strict=True):
            table.add_row(*row)
        console.print(table)


def print_list(told: dict[str, str]) -> None:
    """Names, each with a sentence that is folded beside it where that is a terminal."""
    from rich.table import Table

    console = _console()
    if not console.is_terminal:
        sys.stdout.write("".join(f"{name}: {text}\n" for name, text in told.items()))
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column()
    for name, text in told.items():
        table.add_row(name, text)
    console.print(table)


def print_words(text: str) -> None:
    """A sentence on standard output, folded between words where that is a terminal."""
    from rich.console import Console

    console = Console()
    if console.is_terminal:
        console.print(text, markup=False, highlight=False, emoji=False)
    else:
        sys.stdout.write(f"{text}\n")


#: Width below which a column of words is not folded, and the space between two columns.
_FOLD, _GAP = 16, 2


def _blocks(widths: dict[str, int], room: int) -> list[list[str]]:
    """Columns that stand beside each other in ``room`` characters; every block begins with the first column."""
    key, *others = widths
    blocks = [[key]]
    used = widths[key]
    for name in others:
        if used + _GAP + widths[name] > room and len(blocks[-1]) > 1:
            blocks.append([key])
            used = widths[key]
        blocks[-1].append(name)
        used += _GAP + widths[name]
    return blocks


#: Units of money and their sizes, the largest first.
_UNITS = (("$ million", 1e6), ("$ thousand", 1e3), ("$", 1.0))


def money_unit(amounts: Any) -> tuple[str, float]:
    """The unit in which the largest of some amounts in $ is read best, and what one of it is in $."""
    import numpy as np

    sizes = np.abs(np.asarray(amounts, dtype=float))
    largest = float(np.nanmax(sizes, initial=0.0))
    return next(((unit, size) for unit, size in _UNITS if largest >= size), _UNITS[-1])


def _cell(value: Any) -> str:
    if isinstance(value, float):
        if value != value:
            return "–"
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return str(value)


@contextlib.contextmanager
def iteration_table(title: str) -> Iterator[Callable[[LogLine], None]]:
    """A live table of the last iterations of any method; silent when standard error is not a terminal."""
    from rich.live import Live
    from rich.table import Table

    console = _console(stderr=True)
    if _TALK[0] == "verbose":
        with _lines(title) as tell:
            yield lambda line: tell(
                ", ".join(f"{name.replace('_', ' ')} {_logged(name, value)}" for name, value in vars(line).items())
            )
        return
    if not _is_shown(console):
        yield lambda _: None
        return
    lines: list[LogLine] = []

    def table() -> Table:
        shown = Table(title=title, title_justify="left", box=None, header_style="bold")
        for head in vars(lines[0]) if lines else ():
            shown.add_column(head.replace("_", " "), justify="right")
        for line in lines[-12:]:
            shown.add_row(*(_logged(name, v) for name, v in vars(line).items()))
        return shown

    with Live(table(), console=console, refresh_per_second=8, transient=True) as live:

        def add(line: LogLine) -> None:
            lines.append(line)
            live.update(table())

        yield add


def _logged(name: str, value: Any) -> str:
    """A number of a log, a gap as a share."""
    return f"{value:.2%}" if name == "gap" else _cell(value)


def given_options(
    options: dict[str, Any], taken_by: dict[str, tuple[str, ...]], option: str, chosen: str
) -> dict[str, Any]:
    """Options that were given; raise `InputError` for one that does not go with the value ``chosen`` of ``option``."""
    given = {name: value for name, value in options.items() if value is not None}
    for name in given:
        if chosen not in taken_by[name]:
            raise InputError(f"{name}: is an option of --{option} {' and '.join(taken_by[name])}")
    return given
