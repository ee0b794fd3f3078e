"""SMPS: core, time and stoch file of a linear or mixed-integer program on a scenario tree.

Written are scenarios (``SCENARIOS DISCRETE``): the core holds the numbers of the first leaf's path, and each further
scenario what differs from the one before, from the stage at which they part. What differs are coefficients, costs and
right sides alone, which every reader takes: a bound that differs between nodes is a row beside the bound that holds at
all of them, and so is the second side of a row with two. The format knows no sense. A problem that is maximised is
written with its objective negated, and a comment in the core says so, which `read_smps` heeds.

Read are ``SCENARIOS``, ``INDEP`` and ``BLOCKS``, each ``DISCRETE``, with new values in the place of those of the core.
Numbers come back as they were, to the last digit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from scenario_trees.arrays import Array
from scenario_trees.files import replacing
from stochisru.errors import InputError
from stochisru.exchange.staged import StagedProgram, with_sense
from stochisru.programs.names import plain_word

#: Suffixes of the three files.
PARTS = ("cor", "tim", "sto")
#: Comment of the core that says that the objective is negated.
MAXIMISED = "* sense maximise: the objective is negated"
#: What formats take for no limit.
INFINITE = 1e30


@dataclass
class _CoreStage:
    """One stage of the core: rows whose sides and coefficients alone differ between nodes.

    Attributes
    ----------
    kind
        ``L``, ``G`` or ``E`` of every row.
    right
        Right side of every row, each of shape ``(nodes,)``.
    row, stage, column, value
        Of every entry: its row, the stage and number of its column, and its values, each of shape ``(nodes,)``.
    bounds
        Of the columns, those that hold at all nodes.
    """

    rows: list[str] = field(default_factory=list)
    kind: list[str] = field(default_factory=list)
    right: list[Array] = field(default_factory=list)
    row: list[int] = field(default_factory=list)
    stage: list[int] = field(default_factory=list)
    column: list[int] = field(default_factory=list)
    value: list[Array] = field(default_factory=list)
    bounds: list[tuple[float, float]] = field(default_factory=list)

    def add(self, name: str, kind: str, side: Array, terms: Iterable[tuple[int, int, Array]]) -> None:
        """One row; a term is the stage and the number of its column, and its coefficients."""
        for stage, column, value in terms:
            self.row.append(len(self.rows))
            self.stage.append(stage)
            self.column.append(column)
            self.value.append(value)
        self.rows.append(name)
        self.kind.append(kind)
        self.right.append(np.clip(side, -INFINITE, INFINITE))


_Core = list[_CoreStage]


def write_smps(staged: StagedProgram, target: str | Path) -> tuple[Path, ...]:
    """Write ``NAME.cor``, ``NAME.tim`` and ``NAME.sto``, and ``NAME.smps`` with the names of the three.

    Parameters
    ----------
    target
        Ends in ``.smps``.

    Returns
    -------
    tuple of Path
        The files, that of ``target`` first.

    Raises
    ------
    InputError
        If the files cannot be written.
    """
    path = Path(target)
    problem = with_sense(staged, "minimise")
    core = _core_of(problem)
    files = {part: path.with_suffix(f".{part}") for part in PARTS}
    texts = {
        "cor": _core_text(problem, core, maximised=staged.sense == "maximise"),
        "tim": _time_text(problem, core),
        "sto": _stoch_text(problem, core),
    }
    with ExitStack() as stack:
        for part, lines in texts.items():
            with stack.enter_context(replacing(files[part])).open("w", encoding="ascii") as out:
                out.writelines(f"{line}\n" for line in lines)
        listed = "".join(f"{file.name}\n" for file in files.values())
        stack.enter_context(replacing(path)).write_text(listed, encoding="utf-8")
    return path, *files.values()


def _core_of(staged: StagedProgram) -> _Core:
    """Rows of the core: those of the program, one per side, and bounds that differ between nodes."""
    found = []
    for number, numbers in enumerate(staged.core):
        stage = _CoreStage()
        terms: list[list[tuple[int, int, Array]]] = [[] for _ in numbers.rows]
        every = zip(numbers.entry_row, numbers.entry_stage, numbers.entry_column, numbers.value.T, strict=True)
        for i, s, j, value in every:
            terms[i].append((int(s), int(j), value))
        for i, name in enumerate(numbers.rows):
            low, high = numbers.low[:, i], numbers.high[:, i]
            if (low == high).all():
                stage.add(name, "E", low, terms[i])
                continue
            above = np.isfinite(high).any()
            if above:
                stage.add(name, "L", high, terms[i])
            if np.isfinite(low).any():
                stage.add(f"{name}.low" if above else name, "G", low, terms[i])
        for j, name in enumerate(numbers.columns):
            lower, upper = numbers.lower[:, j], numbers.upper[:, j]
            for kind, suffix, side in (("G", "least", lower), ("L", "most", upper)):
                if (side != side[0]).any():
                    stage.add(f"{name}.{suffix}", kind, side, [(number, j, np.ones(side.size))])
            stage.bounds.append((float(lower.min()), float(upper.max())))
        found.append(stage)
    return found


def _text(number: float) -> str:
    return repr(float(number))


def _core_text(staged: StagedProgram, core: _Core, maximised: bool) -> Iterator[str]:
    if maximised:
        yield MAXIMISED
    yield f"NAME          {_word(staged)}"
    yield "ROWS"
    yield " N  obj"
    for stage in core:
        yield from (f" {kind}  {name}" for name, kind in zip(stage.rows, stage.kind, strict=True))
    yield "COLUMNS"
    of_column = _entries_by_column(core)
    marker = 0
    for number, numbers in enumerate(staged.core):
        for j, name in enumerate(numbers.columns):
            if numbers.integer[j]:
                yield f"    MARKER{marker}  'MARKER'  'INTORG'"
            cost = numbers.cost[0, j]
            entries = [f"    {name}  {row}  {_text(x)}" for row, x in of_column.get((number, j), [])]
            if cost or not entries:
                entries.insert(0, f"    {name}  obj  {_text(cost)}")
            yield from entries
            if numbers.integer[j]:
                yield f"    MARKER{marker + 1}  'MARKER'  'INTEND'"
                marker += 2
    yield "RHS"
    if staged.program.constant:
        yield f"    RHS  obj  {_text(-staged.program.constant)}"
    for stage in core:
        rights = zip(stage.rows, stage.right, strict=True)
        yield from (f"    RHS  {name}  {_text(side[0])}" for name, side in rights if side[0])
    yield "BOUNDS"
    for numbers, stage in zip(staged.core, core, strict=True):
        for name, (least, most) in zip(numbers.columns, stage.bounds, strict=True):
            yield from _bound_lines(name, least, most)
    yield "ENDATA"


def _bound_lines(name: str, low: float, high: float) -> Iterator[str]:
    """Bounds of a column."""
    if low == high:
        yield f" FX BND  {name}  {_text(low)}"
        return
    if np.isinf(low) and np.isinf(high):
        yield f" FR BND  {name}"
        return
    yield f" MI BND  {name}" if np.isinf(low) else f" LO BND  {name}  {_text(low)}"
    yield f" PL BND  {name}" if np.isinf(high) else f" UP BND  {name}  {_text(high)}"


def _entries_by_column(core: _Core) -> dict[tuple[int, int], list[tuple[str, float]]]:
    """Entries of the core by column; those that are 0 there but not at all nodes stand too."""
    found: dict[tuple[int, int], list[tuple[str, float]]] = {}
    for stage in core:
        for i, s, j, value in zip(stage.row, stage.stage, stage.column, stage.value, strict=True):
            if value.any():
                found.setdefault((s, j), []).append((stage.rows[i], float(value[0])))
    return found


def _word(staged: StagedProgram) -> str:
    return plain_word(staged.program.name)


def _time_text(staged: StagedProgram, core: _Core) -> Iterator[str]:
    yield f"TIME          {_word(staged)}"
    yield "PERIODS       IMPLICIT"
    for number, (numbers, stage) in enumerate(zip(staged.core, core, strict=True)):
        if not numbers.columns or not (stage.rows or number == 0):
            raise InputError(
                f"path: SMPS asks for a column and a row at every stage; stage {number} of {staged.program.name} has "
                f"{len(numbers.columns)} and {len(stage.rows)}"
            )
        yield f"    {numbers.columns[0]}  {stage.rows[0] if number else 'obj'}  STAGE{number}"
    yield "ENDATA"


def _stoch_text(staged: StagedProgram, core: _Core) -> Iterator[str]:
    """Scenarios in the order of the leaves, each as what differs from the one before."""
    tree = staged.tree
    yield f"STOCH         {_word(staged)}"
    yield "SCENARIOS     DISCRETE"
    paths = tree.node_paths() - tree.offsets[:-1]
    probability = tree.probability[tree.leaves].tolist()
    for k, (path, p) in enumerate(zip(paths, probability, strict=True)):
        if k == 0:
            yield f" SC S1  ROOT  {_text(p)}  STAGE0"
            continue
        parted = int(np.flatnonzero(path != paths[k - 1])[0])
        yield f" SC S{k + 1}  S{k}  {_text(p)}  STAGE{parted}"
        for stage in range(parted, tree.horizon + 1):
            yield from _changes(staged, core, stage, int(paths[k - 1, stage]), int(path[stage]))
    yield "ENDATA"


def _changes(staged: StagedProgram, core: _Core, number: int, old: int, new: int) -> Iterator[str]:
    """What one node of a stage has different from another."""
    numbers, stage = staged.core[number], core[number]
    for j in np.flatnonzero(numbers.cost[new] != numbers.cost[old]).tolist():
        yield f"    {numbers.columns[j]}  obj  {_text(numbers.cost[new, j])}"
    for i, s, j, value in zip(stage.row, stage.stage, stage.column, stage.value, strict=True):
        if value[new] != value[old]:
            yield f"    {staged.core[s].columns[j]}  {stage.rows[i]}  {_text(value[new])}"
    for name, side in zip(stage.rows, stage.right, strict=True):
        if side[new] != side[old]:
            yield f"    RHS  {name}  {_text(side[new])}"
