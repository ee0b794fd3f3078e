"""Plans above the cut of a tree that can be carried out there, near to what its subtrees want.

The mean of what subtrees want of a shared decision need not keep the rows: lots are whole, and what is left of several
means may not be what is stored. The *trunk* is the program of what is decided before the cut, with the rows in which
nothing else stands. Its point nearest to a wish, in shares of each quantity's size, can be carried out down to the cut.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from scenario_trees.arrays import Array, Index
from scenario_trees.tree import ScenarioTree
from stochisru.problem.bounds import ColumnBounds
from stochisru.problem.information import Recourse
from stochisru.problem.model import Model
from stochisru.problem.on_tree import TreeProgram, program_of
from stochisru.problem.parts import Decision, Expression, Operation, Part, State
from stochisru.problem.sheet import Sheet
from stochisru.programs.sparse import Block, LinearProgram, ProgramBuilder, solve_to_gap

if TYPE_CHECKING:
    from stochisru.problem.subtrees import Subtrees

#: Step through the subtrees that share a decision, as a share of them: neighbours in time lie far apart.
_GOLDEN = (5**0.5 - 1) / 2
#: Nearest whole numbers are not worth more than so many seconds, nor a smaller gap.
_SECONDS, _GAP = 10.0, 1e-2


@dataclass(frozen=True, eq=False)
class Trunk:
    """Candidates for the plan above the cut; see `stochisru.protocols.Candidates`."""

    subtrees: Subtrees

    def near(self, wanted: Array, number: int) -> Iterator[Array]:
        """Plans near what the subtrees want; the more, the earlier, and where whole numbers make the mean a poor guide.

        Parameters
        ----------
        wanted
            Coordinated quantities, shape ``(count, quantities)``.

        Yields
        ------
        numpy.ndarray
            Held quantities, shape ``(count, held)``.
        """
        yield self.nearest(self.subtrees.node_mean(wanted))
        if number == 0:  # what is least and most may do where the mean does not
            for extreme in (np.maximum, np.minimum):
                yield self.nearest(self._of_all(wanted, extreme))
        if not self.subtrees.linear:
            yield self.nearest(self._of_some(wanted, (number * _GOLDEN) % 1))

    def neighbours(self, plan: Array) -> Iterator[Array]:
        """None: nothing is known of where else the optimum may lie."""
        return iter(())

    def _of_all(self, wanted: Array, extreme: np.ufunc) -> Array:
        found = wanted.copy()
        for column, shared in enumerate(self.subtrees.shared.T):
            _, first = np.unique(shared, return_index=True)  # ascending: subtrees below one node are a range
            sizes = np.diff(np.append(first, shared.size))
            found[:, column] = np.repeat(extreme.reduceat(wanted[:, column], first), sizes)
        return found

    def _of_some(self, wanted: Array, share: float) -> Array:
        found = wanted.copy()
        for column, shared in enumerate(self.subtrees.shared.T):
            _, first = np.unique(shared, return_index=True)
            sizes = np.diff(np.append(first, shared.size))
            found[:, column] = np.repeat(wanted[first + (share * sizes).astype(int), column], sizes)
        return found

    # ------------------------------------------------------------------- trunk

    @cached_property
    def _stated(self) -> TreeProgram:
        """The model without money on the tree above the cut, from whose last nodes one path each goes on."""
        subtrees = self.subtrees
        tree, origin = trunk_of(subtrees.tree, subtrees.cut_stage)
        sheet = Sheet(_without_money(subtrees.gain), tree, Recourse())
        bounds = {}
        for name, own in sheet.places.items():
            whole = subtrees.sheet.places[name].of(own.year, origin[own.node])
            bounds[name] = ColumnBounds(*(side[whole] for side in subtrees.bounds[name]))
        return program_of(sheet, bounds)

    @cached_property
    def _program(self) -> tuple[LinearProgram, Index]:
        """Program of the nearest point, and the number in it of each column of the whole one, −1 where it has none."""
        program = self._stated.program
        early = np.zeros(program.shape[1], dtype=bool)
        for block in program.columns.values():
            part = block.name.removesuffix("_lots")
            places = self._stated.places[block.name if block.name in self._stated.places else part]
            early[block.span] = [places.stage(t) < self.subtrees.cut_stage for t in places.year.tolist()]
        matrix = program.matrix.tocsr()
        rows = abs(matrix) @ (~early).astype(float) == 0
        count = int(early.sum())
        number = np.full(early.size, -1)
        number[early] = np.arange(count)
        wanted = np.unique(number[self._wanted])
        early_part = LinearProgram(
            name=f"trunk of {self.subtrees.model.name}",
            sense="minimise",
            objective=np.zeros(count),
            constant=0.0,
            lower=program.lower[early],
            upper=program.upper[early],
            integer=program.integer[early],
            matrix=matrix[rows][:, early].tocsc(),
            row_lower=program.row_lower[rows],
            row_upper=program.row_upper[rows],
            columns={"x": Block("x", 0, count)},
            rows={"kept": Block("kept", 0, int(rows.sum()))},
        )
        builder = ProgramBuilder.extending(early_part)
        span = np.maximum(early_part.upper[wanted] - early_part.lower[wanted], 0.0)
        size = np.where(span > 0, span, 1.0)
        far = builder.variables("far", wanted.size, lower=0.0, upper=span, objective=1 / size)
        wish = builder.variables("wish", wanted.size, lower=0.0, upper=0.0)
        each = np.arange(wanted.size)
        for name, side in (("above", 1.0), ("below", -1.0)):
            terms = ((each, wanted, side), (each, wish.index, -side), (each, far.index, -1.0))
            builder.rows(name, -np.inf, np.zeros(wanted.size), *terms)
        return builder.build(), number

    def _columns(self, quantities: tuple[object, ...]) -> Index:
        """Columns of shared quantities in the trunk's program, shape ``(count, quantities)``."""
        stated = self._stated
        start = {name: stated.program.columns[name].start for name in stated.places}
        return self.subtrees.places_of(quantities, dict(stated.places), start)  # type: ignore[arg-type]

    @cached_property
    def _wanted(self) -> Index:
        return self._columns(self.subtrees.coordinated)

    @cached_property
    def _held(self) -> Index:
        return self._columns(self.subtrees.held)

    def nearest(self, wanted: Array) -> Array:
        """The plan nearest to a wish of coordinated quantities, alike where they are shared: ``(count, held)``.

        Raises
        ------
        InfeasibleError
            If nothing can be done above the cut.
        """
        program, number = self._program
        _, first = np.unique(self._wanted.ravel(), return_index=True)
        wish = program.columns["wish"].span
        lower, upper = program.lower.copy(), program.upper.copy()
        x = number[np.unique(self._wanted.ravel())]
        lower[wish] = upper[wish] = np.clip(wanted.ravel()[first], lower[x], upper[x])
        variant = program.with_bounds(lower, upper)
        found = solve_to_gap(variant, rel_gap=_GAP, time_limit=_SECONDS).x
        found = np.where(program.integer, np.rint(found), found)
        plan = np.clip(found, program.lower, program.upper)[number[self._held]]
        for column, shared in enumerate(self.subtrees.held):
            part = self.subtrees.gain[shared.part]
            if isinstance(part, Decision) and part.lot is not None:
                plan[:, column] = np.rint(plan[:, column] / part.lot) * part.lot
        return np.asarray(plan)


def trunk_of(tree: ScenarioTree, cut_stage: int) -> tuple[ScenarioTree, Index]:
    """The nodes of a tree above a stage, and below each of the last of them one path to the end, with their origin."""
    levels = [np.arange(tree.offsets[cut_stage])]
    last = levels[0][tree.at(cut_stage - 1)]
    for _ in range(cut_stage, tree.horizon + 1):
        last = tree.first_child[last].astype(np.int64)
        levels.append(last)
    origin = np.concatenate(levels)
    place = np.zeros(tree.n_nodes, dtype=np.int64)
    place[origin] = np.arange(origin.size)
    parent = place[tree.parent[origin]]
    parent[0] = -1
    probability = tree.probability[origin].copy()
    for i in range(levels[0].size, origin.size):  # parents come first
        probability[i] = probability[parent[i]]
    made = ScenarioTree(
        parent=parent.astype(np.int32),
        stage=tree.stage[origin],
        probability=probability,
        value=tree.value[origin],
        others=None if tree.others is None else tree.others[origin],
        names=tree.names,
    )
    return made, origin


def _without_money(model: Model) -> Model:
    """The model's rows alone."""
    parts: list[Part] = []
    for part in model.parts:
        if isinstance(part, Decision):
            parts.append(replace(part, cost=0.0, fixed_cost=0.0, curve=None))
        elif isinstance(part, Operation):
            parts.append(replace(part, value=0.0))
        elif isinstance(part, (State, Expression)):
            parts.append(replace(part, cost=0.0))
        else:
            parts.append(part)
    return replace(model, parts=parts)
