"""Reading SMPS: see `stochisru.exchange.smps.writing`."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import numpy as np

from scenario_trees.errors import TreeError
from scenario_trees.tree import ScenarioTree
from stochisru.errors import InputError
from stochisru.exchange.smps.writing import INFINITE, MAXIMISED, PARTS
from stochisru.exchange.staged import StagedProgram, StageNumbers, assembled, with_sense
from stochisru.files import plain_number
from stochisru.programs.solvers.highs import Names, read_program
from stochisru.programs.sparse import LinearProgram

#: Most nodes that a tree of independent outcomes may have.
MOST_NODES = 1_000_000
#: Words of a stoch file for the right side, whatever its set is called, and for bounds.
_BOUNDS = ("UP", "LO", "FX")
#: A number of the core that a node has different: its kind, and of what row and column.
_Key = tuple[str, int, int]


@dataclass(frozen=True, eq=False)
class _Periods:
    """The core as it was read, the name of its objective, and the stage of every column and row."""

    program: LinearProgram
    objective: str
    columns: dict[str, int]
    rows: dict[str, int]
    names: Names
    stages: tuple[str, ...]
    column_stage: list[int]
    row_stage: list[int]

    def stage(self, name: str, where: str) -> int:
        """Number of a period."""
        if name not in self.stages:
            raise InputError(f"{where}: period {name!r} is not one of the time file, {', '.join(self.stages)}")
        return self.stages.index(name)

    def key(self, words: list[str], where: str) -> tuple[_Key, int]:
        """What a record changes, and the stage at which it is known; words are the two names of it."""
        column, row = words
        if row in self.rows:
            i = self.rows[row]
            if column in self.columns:
                return ("entry", i, self.columns[column]), self.row_stage[i]
            return ("right", i, -1), self.row_stage[i]  # a set of right sides may have any name
        if column not in self.columns:
            raise InputError(f"{where}: neither a row {row!r} nor a column {column!r} is in the core")
        if row != self.objective:
            raise InputError(f"{where}: row {row!r} is not in the core, and its objective is {self.objective!r}")
        j = self.columns[column]
        return ("cost", -1, j), self.column_stage[j]


def read_smps(path: str | Path) -> StagedProgram:
    """Read a stochastic program from SMPS files.

    Parameters
    ----------
    path
        A ``.smps`` file that lists core, time and stoch file, or one of the three, ``.cor``, ``.tim``, ``.sto``, beside
        which the others are.

    Raises
    ------
    InputError
        One line that names the file, the line and what is expected.
    """
    core, times, stoch = _three(Path(path))
    periods = _periods(core, times)
    tree, changes = _Stoch(periods, stoch).read()
    found = assembled(
        periods.program.name, periods.program.sense, periods.program.constant, tree, _stages(periods, tree, changes)
    )
    negated = any(line.strip() == MAXIMISED for line in _text(core).splitlines()[:10])
    return with_sense(found, "maximise") if negated else found


def _three(path: Path) -> tuple[Path, Path, Path]:
    """Core, time and stoch file."""
    if path.suffix == ".smps":
        names = [line.strip() for line in _text(path).splitlines() if line.strip()]
        if len(names) != 3:
            raise InputError(f"file: {path} must list three files, core, time and stoch, got {len(names)}")
        found = [path.parent / name for name in names]
    else:
        found = [path.with_suffix(f".{part}") for part in PARTS]
    for file, what in zip(found, ("core", "time", "stoch"), strict=True):
        if not file.is_file():
            raise InputError(f"file: the {what} file of {path} is not there: {file}")
    return found[0], found[1], found[2]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise InputError(f"file: cannot read {path}: {error.strerror}") from error


def _records(path: Path) -> Iterator[tuple[str, bool, list[str]]]:
    """Records of a file: where they are, whether they are headers, and their words."""
    for number, line in enumerate(_text(path).splitlines(), start=1):
        words = line.split()
        if words and not line.startswith("*"):
            yield f"{path}, line {number}", not line[0].isspace(), words


def _number(text: str, where: str) -> float:
    try:
        return plain_number(text)
    except ValueError:
        raise InputError(f"{where}: must be a number, got {text!r}") from None


def _periods(core: Path, times: Path) -> _Periods:
    """The core and the stage of its columns and rows: a period begins at a column and a row, in the core's order."""
    with tempfile.TemporaryDirectory() as folder:  # HiGHS knows a format by the name of the file
        copy = Path(folder) / "core.mps"
        shutil.copyfile(core, copy)
        try:
            program, names = read_program(copy)
        except InputError as error:
            raise InputError(str(error).replace(str(copy), str(core))) from None
    columns, rows = ({name: i for i, name in enumerate(each)} for each in names)
    stages: list[str] = []
    starts: list[tuple[int, int]] = []
    for where, header, words in _records(times):
        if header:
            if words[:2] == ["PERIODS", "EXPLICIT"]:
                raise InputError(f"{where}: must be PERIODS IMPLICIT, got EXPLICIT")
            continue
        if len(words) != 3:
            raise InputError(f"{where}: must be column, row and period, got {len(words)} words")
        column, row, period = words
        if column not in columns:
            raise InputError(f"{where}: column {column!r} is not in the core")
        if row not in rows and starts:
            raise InputError(f"{where}: row {row!r} is not in the core")
        starts.append((columns[column], rows.get(row, 0)))  # the first row may be the objective
        stages.append(period)
    if not stages or sorted(starts) != starts or starts[0] != (0, 0):
        raise InputError(f"file: {times} must have periods in the order of the core, from its first column and row on")
    column_stage = np.searchsorted([c for c, _ in starts], np.arange(len(columns)), side="right") - 1
    row_stage = np.searchsorted([r for _, r in starts], np.arange(len(rows)), side="right") - 1
    matrix = program.matrix.tocoo()
    ahead = column_stage[matrix.coords[1]] > row_stage[matrix.coords[0]]
    if ahead.any():
        i, j = (int(c[np.flatnonzero(ahead)[0]]) for c in matrix.coords)
        raise InputError(
            f"file: {times} says that column {names[0][j]!r} is of period {stages[column_stage[j]]}, and a row of "
            f"{stages[row_stage[i]]}, {names[1][i]!r}, has it already"
        )
    of_column, of_row = column_stage.tolist(), row_stage.tolist()
    return _Periods(program, _objective(core), columns, rows, names, tuple(stages), of_column, of_row)


def _objective(core: Path) -> str:
    """Name of the objective, the first row without sides, which the program that is read does not keep."""
    section = ""
    for _, header, words in _records(core):
        section = words[0] if header else section
        if section == "ROWS" and not header and words[0] == "N" and len(words) > 1:
            return words[1]
    return ""


@dataclass
class _Stoch:
    """Reads a stoch file into a tree and what each node has different from the core."""

    periods: _Periods
    file: Path
    parent: list[int] = field(default_factory=list)
    stage: list[int] = field(default_factory=list)
    probability: list[float] = field(default_factory=list)
    changes: list[dict[_Key, float]] = field(default_factory=list)

    def read(self) -> tuple[ScenarioTree, list[dict[_Key, float]]]:
        """The tree in stage-major order, and the changes of its nodes."""
        kind, records = "", []
        for where, header, words in _records(self.file):
            if not header:
                records.append((where, words))
            elif words[0] in ("SCENARIOS", "INDEP", "BLOCKS"):
                if kind:
                    raise InputError(f"{where}: has a second section {words[0]}; one of them is read")
                if words[1:2] != ["DISCRETE"] or words[2:3] not in ([], ["REPLACE"]):
                    raise InputError(f"{where}: must be {words[0]} DISCRETE [REPLACE], got {' '.join(words)}")
                kind = words[0]
            elif words[0] not in ("STOCH", "ENDATA"):
                raise InputError(f"{where}: must be SCENARIOS, INDEP or BLOCKS, got {words[0]}")
        if not kind or not records:
            raise InputError(f"file: {self.file} must have a section SCENARIOS, INDEP or BLOCKS, got none")
        if kind == "SCENARIOS":
            self._scenarios(records)
        else:
            self._independent(self._variables(records) if kind == "INDEP" else self._blocks(records))
        return self._tree()

    def _node(self, parent: int, stage: int, changes: dict[_Key, float], probability: float = 0.0) -> int:
        self.parent.append(parent)
        self.stage.append(stage)
        self.probability.append(probability)
        self.changes.append(changes)
        return len(self.parent) - 1

    def _record(self, words: list[str], where: str) -> tuple[_Key, int, float]:
        """A change: what, at which stage, and its value."""
        if words[0] in _BOUNDS and len(words) == 4 and words[2] in self.periods.columns:
            j = self.periods.columns[words[2]]
            return (words[0], -1, j), self.periods.column_stage[j], _number(words[3], where)
        if len(words) != 3:
            raise InputError(f"{where}: must be column, row and value, got {' '.join(words)}")
        key, stage = self.periods.key(words[:2], where)
        return key, stage, _number(words[2], where)

    def _scenarios(self, records: list[tuple[str, list[str]]]) -> None:
        last = len(self.periods.stages) - 1
        paths: dict[str, list[int]] = {}
        path: list[int] = []
        parted = 0
        for where, words in records:
            if words[0] != "SC":
                if not path:
                    raise InputError(f"{where}: must begin with a record SC, got {' '.join(words)}")
                key, stage, value = self._record(words, where)
                if stage < parted:
                    raise InputError(f"{where}: changes period {self.periods.stages[stage]}, before the scenario parts")
                self.changes[path[stage]][key] = value
                continue
            if len(words) != 5:
                raise InputError(f"{where}: must be SC, scenario, parent, probability, period, got {' '.join(words)}")
            name, parent, share = words[1], words[2].strip("'\""), _number(words[3], where)
            if name in paths:
                raise InputError(f"{where}: scenario {name!r} is there already")
            parted = self.periods.stage(words[4], where)
            if parent == "ROOT":
                before = next(iter(paths.values()), [])
                parted = parted if before else 0
                old: list[dict[_Key, float]] = [{} for _ in self.periods.stages]
            elif parent in paths:
                before = paths[parent]
                old = [self.changes[node] for node in before]
            else:
                raise InputError(f"{where}: the parent {parent!r} is no scenario before it, and not ROOT")
            path = before[:parted]
            for t in range(parted, last + 1):
                path.append(self._node(path[-1] if path else -1, t, dict(old[t])))
            paths[name] = path
            for node in path:
                self.probability[node] += share
        total = self.probability[0]
        if any(path[0] != 0 for path in paths.values()):
            raise InputError(f"file: {self.file} must have scenarios that share the first period")
        if not abs(total - 1) < 1e-6:
            raise InputError(f"file: {self.file} must have probabilities that sum to 1, got {total:g}")
        self.probability = [p / total for p in self.probability]

    #: Outcomes of what is random on its own: changes and probability, by stage.
    _Outcomes = list[list[list[tuple[dict[_Key, float], float]]]]

    def _variables(self, records: list[tuple[str, list[str]]]) -> _Outcomes:
        """Each number is random on its own."""
        found: dict[_Key, list[tuple[dict[_Key, float], float]]] = {}
        stages: dict[_Key, int] = {}
        for where, words in records:
            share = _number(words[-1], where)
            if len(words) > 4 and words[-2] in self.periods.stages:
                words = [*words[:-2], words[-1]]
            key, stage, value = self._record(words[:-1], where)
            stages[key] = stage
            found.setdefault(key, []).append(({key: value}, share))
        return self._by_stage((stages[key], outcomes) for key, outcomes in found.items())

    def _blocks(self, records: list[tuple[str, list[str]]]) -> _Outcomes:
        """Numbers of a block are random together; what an outcome does not name is as in the first."""
        found: dict[str, list[tuple[dict[_Key, float], float]]] = {}
        stages: dict[str, int] = {}
        name = ""
        for where, words in records:
            if words[0] == "BL":
                if len(words) != 4:
                    raise InputError(f"{where}: must be BL, block, period and probability, got {' '.join(words)}")
                name = words[1]
                stages[name] = self.periods.stage(words[2], where)
                outcomes = found.setdefault(name, [])
                outcomes.append((dict(outcomes[0][0]) if outcomes else {}, _number(words[3], where)))
                continue
            if not name:
                raise InputError(f"{where}: must begin with a record BL, got {' '.join(words)}")
            key, stage, value = self._record(words, where)
            if stage != stages[name]:
                raise InputError(f"{where}: is of period {self.periods.stages[stage]}, the block {name!r} of another")
            found[name][-1][0][key] = value
        return self._by_stage((stages[name], outcomes) for name, outcomes in found.items())

    def _by_stage(self, pairs: Iterator[tuple[int, list[tuple[dict[_Key, float], float]]]]) -> _Outcomes:
        found: _Stoch._Outcomes = [[] for _ in self.periods.stages]
        for stage, outcomes in pairs:
            total = sum(share for _, share in outcomes)
            if not abs(total - 1) < 1e-6:
                raise InputError(
                    f"file: {self.file} must have outcomes whose probabilities sum to 1, got {total:g} in period "
                    f"{self.periods.stages[stage]}"
                )
            found[stage].append([(changes, share / total) for changes, share in outcomes])
        if found[0]:
            raise InputError(f"file: {self.file} must have a first period without anything random")
        return found

    def _independent(self, outcomes: _Outcomes) -> None:
        """Every node has all combinations of the outcomes of the next period below it."""
        nodes = [self._node(-1, 0, {}, 1.0)]
        for stage, variables in enumerate(outcomes[1:], start=1):
            count = len(nodes) * int(np.prod([float(len(variable)) for variable in variables]))
            if count > MOST_NODES:
                raise InputError(
                    f"file: {self.file} has a tree of {count:,} nodes in period {self.periods.stages[stage]}, at most "
                    f"{MOST_NODES:,} are read"
                )
            nodes = [
                self._node(
                    parent,
                    stage,
                    {key: value for changes, _ in chosen for key, value in changes.items()},
                    self.probability[parent] * float(np.prod([share for _, share in chosen])),
                )
                for parent in nodes
                for chosen in product(*variables)
            ]

    def _tree(self) -> tuple[ScenarioTree, list[dict[_Key, float]]]:
        """The nodes stage by stage, each stage in the order of the parents."""
        order: list[int] = []
        place: dict[int, int] = {-1: -1}
        for stage in range(len(self.periods.stages)):
            here = [node for node, s in enumerate(self.stage) if s == stage]
            for node in sorted(here, key=lambda node: place[self.parent[node]]):
                place[node] = len(order)
                order.append(node)
        try:
            tree = ScenarioTree(
                parent=np.array([place[self.parent[node]] for node in order]),
                stage=np.array([self.stage[node] for node in order]),
                probability=np.array([self.probability[node] for node in order]),
                value=np.zeros(len(order)),
            )
        except TreeError as error:
            raise InputError(f"file: {self.file} makes no scenario tree: {error}") from error
        return tree, [self.changes[node] for node in order]


def _stages(periods: _Periods, tree: ScenarioTree, changes: Sequence[Mapping[_Key, float]]) -> list[StageNumbers]:
    """The numbers of the core at every node, with what is different there."""
    program = periods.program
    matrix = program.matrix.tocoo()
    entries = {(int(i), int(j)): float(x) for i, j, x in zip(*matrix.coords, matrix.data, strict=True)}
    for here in changes:
        for kind, i, j in here:
            if kind == "entry":
                entries.setdefault((i, j), 0.0)
    column_stage, row_stage = np.array(periods.column_stage, int), np.array(periods.row_stage, int)
    column_at, row_at = np.zeros(column_stage.size, int), np.zeros(row_stage.size, int)
    found = []
    for stage in range(len(periods.stages)):
        nodes = range(tree.at(stage).start, tree.at(stage).stop)
        own, mine = np.flatnonzero(column_stage == stage), np.flatnonzero(row_stage == stage)
        column_at[own], row_at[mine] = np.arange(own.size), np.arange(mine.size)
        keys = [key for key in entries if row_stage[key[0]] == stage]
        place = {key: e for e, key in enumerate(keys)}

        def each(numbers: np.ndarray, count: int = len(nodes)) -> np.ndarray:
            return np.tile(numbers.astype(float), (count, 1))

        cost, lower, upper = each(program.objective[own]), each(program.lower[own]), each(program.upper[own])
        low, high = each(program.row_lower[mine]), each(program.row_upper[mine])
        value = each(np.array([entries[key] for key in keys]))
        for n, node in enumerate(nodes):
            for (kind, i, j), x in changes[node].items():
                number = float(np.inf * np.sign(x)) if abs(x) >= INFINITE else x
                if kind == "entry":
                    value[n, place[i, j]] = x
                elif kind == "cost":
                    cost[n, column_at[j]] = x
                elif kind == "right":
                    _set_side(low, high, n, row_at[i], number)
                else:
                    if kind != "UP":
                        lower[n, column_at[j]] = number
                    if kind != "LO":
                        upper[n, column_at[j]] = number
        at = np.array(keys, dtype=np.int64).reshape(-1, 2)
        found.append(
            StageNumbers(
                tuple(periods.names[0][j] for j in own.tolist()), tuple(periods.names[1][i] for i in mine.tolist()),
                cost, lower, upper, program.integer[own], low, high,
                row_at[at[:, 0]], column_stage[at[:, 1]], column_at[at[:, 1]], value,
            )
        )  # fmt: skip
    return found


def _set_side(low: np.ndarray, high: np.ndarray, node: int, row: int, number: float) -> None:
    """Another right side of a row: both sides of an equation or a range move, else the one that it has."""
    below, above = np.isfinite(low[node, row]), np.isfinite(high[node, row])
    if below and above:
        high[node, row] += number - low[node, row]
        low[node, row] = number
    elif below:
        low[node, row] = number
    else:
        high[node, row] = number
