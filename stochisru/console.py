"""What the command line shows: tables and JSON on standard output, progress on standard error.

Progress is silent where standard error is not a terminal.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import pandas as pd

    from stochisru.comparison import Comparison
    from stochisru.distance import Distance
    from stochisru.lattice_value import LatticeValues
    from stochisru.methods.result import LogLine, Result
    from stochisru.process_value import ProcessValues
    from stochisru.simulation import Simulation
    from stochisru.value import ValueTable


S = TypeVar("S")


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
    """Write JSON where asked; show the tables unless standard output belongs to JSON."""
    from stochisru.files import to_json, write_text

    if target == "-":
        sys.stdout.write(to_json(data))
        return
    if target is not None:
        write_text(Path(target), to_json(data))
    show()


def emit_outcome(
    compute: Callable[[], S], data: Callable[[S], Any], target: str | None, show: Callable[[S], None]
) -> S:
    """Compute and `emit`; where only the figures fail the JSON is written all the same, and the error goes on."""
    from stochisru.errors import FigureError

    try:
        outcome = compute()
    except FigureError as error:
        if error.kept is not None and target is not None:
            emit(data(error.kept), target, lambda: None)  # type: ignore[arg-type]
        raise
    emit(data(outcome), target, lambda: show(outcome))
    return outcome


@contextlib.contextmanager
def progress(title: str) -> Iterator[Callable[[str], None]]:
    """A spinner with the present step on standard error; silent when that is not a terminal."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    with console.status(title) as status:
        yield lambda step: status.update(f"{title}: {step}")


@contextlib.contextmanager
def bar(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """A progress bar on standard error; silent when that is not a terminal."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(title, total=total)
        yield lambda done: progress.advance(task, done)


def print_frame(frame: pd.DataFrame, title: str, right: Collection[str] = ()) -> None:
    """A table on standard output; numbers, and columns named in ``right``, stand at the right."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=None, header_style="bold", pad_edge=False)
    for column in frame.columns:
        numeric = frame[column].dtype.kind in "fi" or column in right
        table.add_column(str(column), justify="right" if numeric else "left")
    for row in frame.itertuples(index=False):
        table.add_row(*(_cell(v) for v in row))
    console = Console()
    if not console.is_terminal:  # a pipe has no width: do not fold what programs or people will search
        console = Console(width=240)
    console.print(table)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        if value != value:
            return "–"
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return str(value)


#: Width from which a table has room for what each value means.
_ROOM = 120


def print_values(table: pd.DataFrame, title: str) -> None:
    """The table of values, in millions; what each means where there is room."""
    from rich.console import Console

    shown = table[["quantity"]].assign(
        **{column: [f"{x / 1e6:,.3f}" for x in table[column]] for column in ("value", "lower", "upper")},
        kind=table["kind"],
    )
    console = Console()
    if not console.is_terminal or console.width >= _ROOM:
        shown = shown.assign(meaning=table["meaning"])
    print_frame(shown, f"{title} ($ million, NPV maximised)", right=("value", "lower", "upper"))


def print_process_values(values: ProcessValues) -> None:
    """What to commit now, and the values of the process."""
    case, plan = values.case, values.recourse
    print_values(values.to_frame().reset_index(), f"{case.title}, T = {case.horizon.T}: values of the process")
    if not values.exact:
        sys.stdout.write("no exact policy exists for this case: rp is a policy's value and an upper bound\n")
    orders = ", ".join(f"{name} {mass:,.1f} kg" for name, mass in plan.first_stage.items())
    sys.stdout.write(f"decision: {orders}; then {plan.policy().describe(case)}\n")


def print_tree_values(values: ValueTable, away: Distance) -> None:
    """Values of the tree, and how far it is from the process."""
    case, plan = values.case, values.recourse
    frame = values.to_frame().reset_index()
    held = frame["quantity"].str.match(r"eev_\d+$")
    print_values(frame[~held], f"{case.title}: values of the tree, {values.tree!r}")
    sys.stdout.write(f"{away.describe(plan.objective, plan.first_stage)}\n")


def print_lattice_values(values: LatticeValues, away: Distance) -> None:
    """Values of the lattice, and how far it is from the process."""
    plan = values.recourse
    print_values(values.to_frame().reset_index(), f"{values.case.title}: values of the lattice, {values.lattice!r}")
    sys.stdout.write(f"{away.describe(plan.objective, plan.first_stage)}\n")


def warn_of_gap(result: Result[Any]) -> None:
    """A line on standard error where a method ended at a limit, so that its gap is wider than asked for."""
    if result.termination.limit is not None:
        sys.stderr.write(f"warning: {result.method} of the {result.bounds.of}: {result.termination.detail}\n")


def print_strategies(outcome: Simulation) -> None:
    """The main metrics of every strategy."""
    columns = (
        "npv_mean",
        "npv_sd",
        "npv_p5",
        "npv_p95",
        "cvar95",
        "p_positive",
        "self_sufficiency",
        "utilization",
    )
    frame = outcome.to_frame()
    wide = frame.pivot(index="strategy", columns="metric", values="value").loc[outcome.names, list(columns)]
    mean = frame[frame["metric"] == "npv_mean"].set_index("strategy").loc[outcome.names]
    wide.insert(1, "± (CI)", (mean["upper"] - mean["lower"]).to_numpy() / 2)
    title = f"{outcome.case.title}: {outcome.paths:,} paths, T = {outcome.case.horizon.T} ($, NPV maximised)"
    print_frame(wide.reset_index(), title)


def print_comparison(outcome: Comparison) -> None:
    """The main metrics of every policy, and how far each is from the optimum."""
    print_strategies(outcome.simulation)
    ws = outcome.wait_and_see
    if outcome.optimum is not None:
        print_frame(outcome.to_frame(), "Gap to the exact optimum ($, paired on common paths)")
        sys.stdout.write(f"exact optimum RP {outcome.optimum.lower:,.0f} $\n")
    if ws is not None:
        sample = f"({outcome.foresight_paths:,} paths)"
        sys.stdout.write(f"wait-and-see WS {ws.value:,.0f} $, {ws.lower:,.0f} to {ws.upper:,.0f} {sample}\n")


@contextlib.contextmanager
def iteration_table(title: str) -> Iterator[Callable[[LogLine], None]]:
    """A live table of the last iterations of any method; silent when standard error is not a terminal."""
    from rich.console import Console
    from rich.live import Live
    from rich.table import Table

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    lines: list[LogLine] = []

    def table() -> Table:
        shown = Table(title=title, title_justify="left", box=None, header_style="bold")
        heads = [*vars(lines[0]), "gap"] if lines else []
        for head in heads:
            shown.add_column(head.replace("_", " "), justify="right")
        for line in lines[-12:]:
            shown.add_row(*(_cell(value) for value in vars(line).values()), f"{line.gap:.2%}")
        return shown

    with Live(table(), console=console, refresh_per_second=8, transient=True) as live:

        def add(line: LogLine) -> None:
            lines.append(line)
            live.update(table())

        yield add
