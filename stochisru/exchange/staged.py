"""A program on a scenario tree, with the node and the name of every column and row: what files of others are made of.

Formats of stochastic programs tell a *core*, one program of all stages, and how it differs from node to node. So every
column and row has a name within the core, ``M(y3)`` for the plant of year 3, and stands at a node; those of one name
stand at the nodes of one stage. `StageNumbers` holds the numbers of a stage over its nodes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from scenario_trees.arrays import Array, Index, Mask
from scenario_trees.tree import ScenarioTree
from stochisru.errors import InputError
from stochisru.methods.problems import stated_on_trees
from stochisru.problem.on_tree import TreeProgram, on_tree
from stochisru.problem.sheet import Sheet
from stochisru.programs.names import once_each, plain_name, plain_word
from stochisru.programs.sparse import LinearProgram, ProgramBuilder, Sense, Solution, solve_to_gap

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class StagedProgram:
    """A linear or mixed-integer program in node form on a scenario tree.

    Attributes
    ----------
    tree
        Stages, and probabilities of nodes. Files of programs do not tell the values of factors: they are 0 where the
        program was read from one.
    program
        The whole program; its objective is the expectation.
    column_name, row_name
        Name in the core of every column and row: those of one name stand at different nodes of one stage.
    column_node, row_node
        Node at which each is known. Columns of a row stand at its node or above it.

    Raises
    ------
    InputError
        If a name stands at two stages, or twice at one node, or a row has a column that is not known at its node.
    """

    tree: ScenarioTree
    program: LinearProgram
    column_name: Sequence[str]
    column_node: Index
    row_name: Sequence[str]
    row_node: Index

    def __post_init__(self) -> None:
        self._require_numbers()
        for what, names, nodes in (
            ("column", self.column_name, self.column_node),
            ("row", self.row_name, self.row_node),
        ):
            stage_of: dict[str, int] = {}
            seen: set[tuple[str, int]] = set()
            for name, node in zip(names, nodes.tolist(), strict=True):
                stage = int(self.tree.stage[node])
                if stage_of.setdefault(name, stage) != stage:
                    raise InputError(f"{what} {name!r}: stands at stages {stage_of[name]} and {stage}, must at one")
                if (name, node) in seen:
                    raise InputError(f"{what} {name!r}: stands twice at node {node}, must once")
                seen.add((name, node))
        _ = self.core

    def _require_numbers(self) -> None:
        """Refuse costs and coefficients that are not finite, and sides that are no numbers or cross."""
        program = self.program
        if not (np.isfinite(program.objective).all() and np.isfinite(program.matrix.data).all()):
            raise InputError(f"{program.name}: costs and coefficients must be finite numbers")
        for what, names, low, high in (
            ("column", self.column_name, program.lower, program.upper),
            ("row", self.row_name, program.row_lower, program.row_upper),
        ):
            bad = np.flatnonzero(~((low <= high) & (low < np.inf) & (high > -np.inf)))
            if bad.size:
                i = int(bad[0])
                raise InputError(f"{what} {names[i]!r}: lower must be <= upper, got {low[i]:g} and {high[i]:g}")

    @property
    def sense(self) -> Sense:
        """``maximise`` or ``minimise``."""
        return self.program.sense

    @cached_property
    def core(self) -> tuple[StageNumbers, ...]:
        """Numbers of every stage over its nodes."""
        return tuple(_numbers(self))

    def full_names(self) -> tuple[list[str], list[str]]:
        """Names of columns and rows of the whole program: with the node, ``M(y3,n5)``, where the tree has several."""
        if self.tree.n_nodes == 1:
            return list(self.column_name), list(self.row_name)
        return tuple(  # type: ignore[return-value]
            [_at_node(name, node) for name, node in zip(names, nodes.tolist(), strict=True)]
            for names, nodes in ((self.column_name, self.column_node), (self.row_name, self.row_node))
        )

    def solve(self, *, solver: str = "highs", rel_gap: float = 1e-6, time_limit: float | None = None) -> Solution:
        """Solve the whole program.

        Parameters
        ----------
        solver
            ``highs`` or ``gurobi``.
        rel_gap, time_limit
            Of mixed-integer programs; seconds.

        Raises
        ------
        SolverError
            If there is no solution, or none within the time.
        """
        return solve_to_gap(self.program, rel_gap=rel_gap, time_limit=time_limit, solver=solver)

    def first_stage(self, x: Array) -> dict[str, float]:
        """Values of the columns that stand at the root, by name, of a solution ``x`` of shape ``(columns,)``."""
        return {self.column_name[j]: float(x[j]) for j in np.flatnonzero(self.column_node == 0).tolist()}

    def to_frame(self, x: Array) -> pd.DataFrame:
        """A solution as a table: name, node, stage, probability and value of every column."""
        import pandas as pd

        node = self.column_node
        return pd.DataFrame(
            {
                "name": list(self.column_name),
                "node": node,
                "stage": self.tree.stage[node],
                "probability": self.tree.probability[node],
                "value": x,
            }
        )


@dataclass(frozen=True, eq=False)
class StageNumbers:
    """What stands at one stage, in the order of the core, with the numbers of each of its nodes.

    Attributes
    ----------
    columns, rows
        Names in the core.
    cost
        Money per unit, given the node (not times its probability), shape ``(nodes, columns)``.
    lower, upper
        Bounds, shape ``(nodes, columns)``; a column that some node does not have is 0 there.
    integer
        Whole numbers, shape ``(columns,)``.
    low, high
        Sides, shape ``(nodes, rows)``; a row that some node does not have says 0 = 0 there.
    entry_row
        Row of every entry, shape ``(entries,)``.
    entry_stage, entry_column
        Stage of the entry's column, and its number within that stage.
    value
        Coefficients, shape ``(nodes, entries)``.
    """

    columns: tuple[str, ...]
    rows: tuple[str, ...]
    cost: Array
    lower: Array
    upper: Array
    integer: Mask
    low: Array
    high: Array
    entry_row: Index
    entry_stage: Index
    entry_column: Index
    value: Array


def staged(problem: Any, tree: ScenarioTree | None = None) -> StagedProgram:
    """The program of a problem on a tree, with the node and the name of every column and row.

    Parameters
    ----------
    problem
        A case or a `Model`; a `StagedProgram` is itself.
    tree
        Scenario tree with one stage per year.

    Raises
    ------
    InputError
        If problem and tree do not match, or the problem has a measure of risk, which no program of expectations states.

    Examples
    --------
    >>> from stochisru import ScenarioTree, load_case
    >>> from stochisru.exchange import staged
    >>> case = load_case("lunar-reference").replace(T=2)
    >>> found = staged(case, ScenarioTree.from_process(case.process, [3, 3]))
    >>> found.core[0].columns
    ('dM(y0)', 'dM(y1)', 'M(y0)', 'M(y1)', 'Q(y0)', 'Q_earth(y0)', 'S(y0)')
    >>> round(found.solve().objective / 1e6, 2)
    68.72
    """
    if isinstance(problem, StagedProgram):
        return problem
    if not isinstance(tree, ScenarioTree):
        raise InputError(f"tree: must be a ScenarioTree, got {type(tree).__name__}")
    model = stated_on_trees(problem).on_tree(tree).model
    if model.risk is not None:
        raise InputError(
            "risk: a file of a stochastic program states an expectation, and measures of risk belong to who solves it; "
            f"{model.name} has {model.risk!r}; write .mps or .lp, or take the problem without it"
        )
    return _of_tree_program(on_tree(model, tree))


def _of_tree_program(stated: TreeProgram) -> StagedProgram:
    """Names and nodes of the columns and rows of a model's program.

    Parts have places. What a lot, a curve or a fixed cost adds has none; it belongs to the decision whose size it is
    tied to by rows.
    """
    program, tree = stated.program, stated.tree
    sheet = Sheet(stated.model, tree, stated.information)
    places = dict(stated.places)
    row_places = {row.name: sheet.row_places(row) for row in stated.model.rows}
    row_places |= {state.rule_name: places[state.name] for state in stated.model.states}
    column_node, column_year = (np.full(program.shape[1], -1) for _ in range(2))
    row_node, row_year = (np.full(program.shape[0], -1) for _ in range(2))
    for blocks, of, node, year in (
        (program.columns, places, column_node, column_year),
        (program.rows, row_places, row_node, row_year),
    ):
        for name, block in blocks.items():
            if name in of:
                node[block.span], year[block.span] = of[name].node, of[name].year
    owner = _owners(program, column_node >= 0, row_node >= 0)
    for at, node, year in zip(owner, (column_node, row_node), (column_year, row_year), strict=True):
        lost = node < 0
        node[lost], year[lost] = column_node[at[lost]], column_year[at[lost]]
    column_name = _core_names(program.columns, column_node, column_year)
    row_name = _core_names(program.rows, row_node, row_year)
    return StagedProgram(tree, program, column_name, column_node, row_name, row_node)


def _owners(program: LinearProgram, placed_column: Mask, placed_row: Mask) -> tuple[Index, Index]:
    """For columns and rows without a place, the column with one that they are tied to."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    rows, columns = program.shape
    matrix = program.matrix.tocoo()
    row, column = (c.astype(np.int64) for c in matrix.coords)
    loose = ~placed_row[row]
    ties = coo_array((np.ones(loose.sum()), (row[loose], rows + column[loose])), shape=(rows + columns,) * 2)
    _, group = connected_components(ties, directed=False)
    owner = np.full(group.max(initial=0) + 1, -1)
    known = np.flatnonzero(placed_column)
    owner[group[rows + known]] = known
    return owner[group[rows:]], owner[group[:rows]]


def _core_names(blocks: Mapping[str, Any], node: Index, year: Index) -> list[str]:
    """Names within the core: block and year, and a number where a node has several of them."""
    names: list[str] = []
    for name, block in blocks.items():
        word = plain_word(name)
        seen: dict[tuple[int, int], int] = {}
        here = zip(node[block.span].tolist(), year[block.span].tolist(), strict=True)
        found = []
        for key in here:
            seen[key] = seen.get(key, 0) + 1
            found.append((key[1], seen[key]))
        several = max(seen.values(), default=1) > 1
        names += [f"{word}(y{t},{i})" if several else f"{word}(y{t})" for t, i in found]
    return names


def core_names(names: Sequence[str], stages: Sequence[int]) -> list[str]:
    """Names of another tool as those of a core: of signs that all formats can read, one stage for each name."""
    known: dict[tuple[str, int], str] = {}
    for key in zip(names, stages, strict=True):
        known.setdefault(key, plain_name(key[0]))
    known = dict(zip(known, once_each(known.values()), strict=True))
    return [known[key] for key in zip(names, stages, strict=True)]


def _at_node(name: str, node: int) -> str:
    return f"{name[:-1]},n{node})" if name.endswith(")") else f"{name}(n{node})"


def _numbers(staged: StagedProgram) -> list[StageNumbers]:
    """The numbers of every stage over its nodes."""
    tree, program = staged.tree, staged.program
    stages = range(tree.horizon + 1)
    probability = tree.probability
    columns: list[dict[str, int]] = [{} for _ in stages]
    rows: list[dict[str, int]] = [{} for _ in stages]
    for known, names, nodes in (
        (columns, staged.column_name, staged.column_node),
        (rows, staged.row_name, staged.row_node),
    ):
        for name, stage in zip(names, tree.stage[nodes].tolist(), strict=True):
            known[stage].setdefault(name, len(known[stage]))
    column_stage, row_stage = tree.stage[staged.column_node].astype(int), tree.stage[staged.row_node].astype(int)
    column_at = np.array([columns[s][n] for n, s in zip(staged.column_name, column_stage.tolist(), strict=True)], int)
    row_at = np.array([rows[s][n] for n, s in zip(staged.row_name, row_stage.tolist(), strict=True)], int)
    place = np.arange(tree.n_nodes) - tree.offsets[tree.stage]
    matrix = program.matrix.tocoo()
    row, column = (c.astype(np.int64) for c in matrix.coords)
    _require_known(staged, row, column)
    found = []
    for stage in stages:
        count, width, height = tree.at(stage), len(columns[stage]), len(rows[stage])
        nodes = count.stop - count.start
        cost, lower, upper = np.zeros((3, nodes, width))
        integer = np.zeros(width, dtype=bool)
        mine = np.flatnonzero(column_stage == stage)
        at = place[staged.column_node[mine]], column_at[mine]
        share = probability[staged.column_node[mine]]
        cost[at] = np.divide(program.objective[mine], share, out=np.zeros(mine.size), where=share > 0)
        lower[at], upper[at] = program.lower[mine], program.upper[mine]
        integer[column_at[mine]] |= program.integer[mine]
        low, high = np.zeros((2, nodes, height))
        own = np.flatnonzero(row_stage == stage)
        at = place[staged.row_node[own]], row_at[own]
        low[at], high[at] = program.row_lower[own], program.row_upper[own]
        entry = np.flatnonzero(row_stage[row] == stage)
        key = np.stack([row_at[row[entry]], column_stage[column[entry]], column_at[column[entry]]])
        (at_row, at_stage, at_column), number = np.unique(key, axis=1, return_inverse=True)
        value = np.zeros((nodes, at_row.size))
        value[place[staged.row_node[row[entry]]], number.ravel()] = matrix.data[entry]
        found.append(
            StageNumbers(
                columns=tuple(columns[stage]),
                rows=tuple(rows[stage]),
                cost=cost,
                lower=lower,
                upper=upper,
                integer=integer,
                low=low,
                high=high,
                entry_row=at_row,
                entry_stage=at_stage,
                entry_column=at_column,
                value=value,
            )
        )
    return found


def _require_known(staged: StagedProgram, row: Index, column: Index) -> None:
    """Refuse a row with a column of another branch, or of a later stage."""
    tree, up = staged.tree, staged.row_node[row].copy()
    down = staged.column_node[column]
    for _ in range(tree.horizon + 1):
        later = tree.stage[up] > tree.stage[down]
        up[later] = tree.parent[up[later]]
    if (bad := np.flatnonzero(up != down)).size:
        i, j = int(row[bad[0]]), int(column[bad[0]])
        raise InputError(
            f"row {staged.row_name[i]!r} of node {staged.row_node[i]}: has the column {staged.column_name[j]!r} of "
            f"node {staged.column_node[j]}, which is not known there"
        )


def assembled(
    name: str, sense: Sense, constant: float, tree: ScenarioTree, core: Sequence[StageNumbers]
) -> StagedProgram:
    """The program whose numbers by stage are ``core``: what `StagedProgram.core` takes apart, put together."""
    builder = ProgramBuilder(name, sense, constant)
    first: list[Index] = []  # column of the first node of each stage, by number in the core
    column_name: list[str] = []
    row_name: list[str] = []
    column_node, row_node = [], []
    for stage, numbers in enumerate(core):
        nodes = np.arange(tree.at(stage).start, tree.at(stage).stop)
        found = []
        for j, column in enumerate(numbers.columns):
            block = builder.variables(
                f"{column} of stage {stage}", nodes.size, lower=numbers.lower[:, j], upper=numbers.upper[:, j],
                objective=numbers.cost[:, j] * tree.probability[nodes], integer=bool(numbers.integer[j]),
            )  # fmt: skip
            found.append(block.start)
            column_name += [column] * nodes.size
            column_node.append(nodes)
        first.append(np.array(found, dtype=np.int64))
    for stage, numbers in enumerate(core):
        nodes = np.arange(tree.at(stage).start, tree.at(stage).stop)
        above = {stage: nodes}
        for s in range(stage, 0, -1):
            above[s - 1] = tree.parent[above[s]].astype(np.int64)
        order = np.argsort(numbers.entry_row, kind="stable")
        starts = np.searchsorted(numbers.entry_row[order], np.arange(len(numbers.rows) + 1))
        for i, row in enumerate(numbers.rows):
            terms = []
            for e in order[starts[i] : starts[i + 1]].tolist():
                s = int(numbers.entry_stage[e])
                some = numbers.value[:, e] != 0
                place = above[s][some] - tree.offsets[s]
                terms.append((np.flatnonzero(some), first[s][numbers.entry_column[e]] + place, numbers.value[some, e]))
            builder.rows(f"{row} of stage {stage}", numbers.low[:, i], numbers.high[:, i], *terms)
            row_name += [row] * nodes.size
            row_node.append(nodes)
    none = [np.zeros(0, dtype=np.int64)]
    return StagedProgram(
        tree,
        builder.build(),
        column_name,
        np.concatenate(column_node or none),
        row_name,
        np.concatenate(row_node or none),
    )


def with_sense(staged: StagedProgram, sense: Sense) -> StagedProgram:
    """The same problem stated the other way round where it has another sense."""
    program = staged.program
    if program.sense == sense:
        return staged
    turned = replace(program, sense=sense, objective=-program.objective, constant=-program.constant)
    return replace(staged, program=turned)
