"""A model on a tree that is cut at one stage into subtrees, whose problems are coordinated above the cut only.

Subtree i hangs at the i-th node of stage ``cut_stage`` and carries the way from the root to that node. Its problem is
the model's program on `ScenarioTree.branch`. What is decided before the cut is shared with other subtrees. Held alike
are

- of a decision that alone feeds a state, the state and not the decision: the best state of one year hardly depends on
  that of another, so prices on states do not fight each other; the decision follows from it;
- other decisions themselves;
- states by which operations of one year change what is there in the next.

Nothing else links the subtrees: rows are of one year, and operations between states that are alike are equally good.

All is stated as if it were maximised; `Subtrees.sign` says what the model does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from scenario_trees.arrays import Array, Index, Mask
from scenario_trees.tree import ScenarioTree
from stochisru.errors import InputError, require_integer
from stochisru.problem.bounds import ColumnBounds, column_bounds
from stochisru.problem.information import Recourse
from stochisru.problem.model import Model
from stochisru.problem.on_tree import TreeProgram, program_of
from stochisru.problem.parts import Decision, State
from stochisru.problem.places import Places
from stochisru.problem.plan import ModelPlan
from stochisru.problem.sheet import Sheet
from stochisru.problem.tree_problem import flows_on_mean_path
from stochisru.programs.sparse import LinearProgram

if TYPE_CHECKING:
    from stochisru.protocols import Candidates

#: What stands for a probability of zero: means over a node need a weight, and nothing else must notice.
_NEVER = 1e-200


class Shared(NamedTuple):
    """A quantity that is decided before the cut: a part in a year, known at a stage."""

    stage: int
    part: str
    year: int


@dataclass(frozen=True, eq=False)
class SubtreeProgram:
    """The program of one subtree; see `stochisru.protocols.SubtreeProgram`.

    Attributes
    ----------
    stated
        The program, its columns and places; the objective is the conditional expectation given the subtree's node.
    program
        The program itself.
    coordinated, held
        Columns of the quantities that are coordinated, and of those by which a plan above the cut is fixed.
    origin
        Node of the whole tree that each node of the branch is.
    """

    stated: TreeProgram
    program: LinearProgram
    coordinated: Index
    held: Index
    origin: Index

    @property
    def branch(self) -> ScenarioTree:
        """The subtree, with the way from the root to it."""
        return self.stated.tree

    @property
    def mixed(self) -> bool:
        """Whether the program has whole numbers."""
        return bool(self.program.integer.any())

    def settled(self, x: Array, value: float) -> tuple[Array, float]:
        """A solution as it can be carried out, and its value.

        A program with whole numbers may take 1e-9 of a decision for nothing, and its fixed cost is owed all the same:
        decisions are set right as those of a plan of the whole tree are, and paid for as they then are.
        """
        if self.stated.model.is_linear:
            return x, value
        taken = self.stated.taken(x)
        columns = {part.name: self.stated.on_nodes(taken, part.name) for part in self.stated.model.columns}
        return taken, ModelPlan(self.stated.model, self.branch, columns).value

    def on_nodes(self, x: Array) -> Array:
        """What a plan is made of at the nodes of the branch, shape ``(parts, nodes)``; see `Subtrees.plan`."""
        return np.stack([self.stated.on_nodes(x, part.name) for part in self.stated.model.columns])


class Subtrees:
    """A model on a tree, cut at ``cut_stage``; see `stochisru.protocols.Subtrees`.

    Raises
    ------
    InputError
        If model and tree do not match, the stage is not between 1 and T or leaves fewer than two subtrees, or nothing
        is decided before it.
    """

    def __init__(self, model: Model, tree: ScenarioTree, cut_stage: int) -> None:
        self.model, self.tree, self.cut_stage = model, tree, cut_stage
        self.gain = model if model.sense == "maximise" else replace(model, sense="maximise")
        self.sheet = Sheet(self.gain, tree, Recourse())
        model.factors_on(tree)
        require_integer("cut_stage", cut_stage, 1, tree.horizon)
        if self.count < 2:
            raise InputError(
                f"cut_stage: must leave at least 2 subtrees, stage {cut_stage} of this tree has {self.count} node"
            )
        if not self.coordinated:
            raise InputError(f"cut_stage: {model.name} decides nothing before stage {cut_stage}")

    # ------------------------------------------------------------ of the model

    @property
    def sign(self) -> float:
        """1 where the model maximises, −1 where it minimises."""
        return self.model.sign

    #: Whether plans are feasible to the last digit.
    exact = False

    @property
    def identity(self) -> dict[str, Any]:
        """What a checkpoint must agree in."""
        return {"problem": self.sheet.digest(), "tree": self.tree.digest(), "cut_stage": self.cut_stage}

    @property
    def linear(self) -> bool:
        """Whether costs are linear: the best decisions then lie near the mean of the subtrees'."""
        return self.model.is_linear

    @cached_property
    def mixed(self) -> bool:
        """Whether programs need whole numbers: lots, or a cost that is not convex in size."""
        return any(
            part.lot is not None or np.any(part.fixed_cost) or not (part.curve is None or part.curve.is_convex)
            for part in self.model.decisions
        )

    @cached_property
    def flows(self) -> float:
        """Size of the sums of money that values are differences of."""
        return flows_on_mean_path(self.gain, self.tree)

    @cached_property
    def candidates(self) -> Candidates:
        """Plans above the cut that are worth trying."""
        from stochisru.problem.trunk import Trunk

        return Trunk(self)

    def plan(self, table: Array) -> Any:
        """The plan of what `SubtreeProgram.on_nodes` says at all nodes of the tree, shape ``(parts, nodes)``."""
        names = (part.name for part in self.model.columns)
        return ModelPlan(self.model, self.tree, dict(zip(names, table, strict=True)))

    # ---------------------------------------------------------- what is shared

    def before_cut(self, part: str) -> list[Shared]:
        """The years in which a part is decided before the cut."""
        places = self.sheet.places[part]
        return [Shared(places.stage(t), part, t) for t in places.years if places.stage(t) < self.cut_stage]

    @cached_property
    def coordinated(self) -> tuple[Shared, ...]:
        """What prices are on, in the order of stages."""
        return tuple(sorted((s for part in self._parts for s in self.before_cut(part)), key=lambda s: s.stage))

    @cached_property
    def _parts(self) -> list[str]:
        """Parts that are coordinated."""
        parts = [self._stands_for(decision) for decision in self.model.decisions]
        return list(dict.fromkeys([*parts, *(state.name for state in self._carried)]))

    @cached_property
    def held(self) -> tuple[Shared, ...]:
        """By what a plan above the cut is fixed: its decisions, and what operations carry over."""
        parts = [*(part.name for part in self.model.decisions), *(state.name for state in self._carried)]
        return tuple(s for part in parts for s in self.before_cut(part))

    @cached_property
    def _carried(self) -> list[State]:
        """States by which operations of one year change what is there in the next."""
        operated = {part.name for part in self.model.operations}
        found = []
        for state in self.model.states:
            fed = any(name in operated for year in self.sheet.gains[state.name] for name in year)
            if fed:
                operated.add(state.name)
            if fed and any(np.any(keep) for keep in self.sheet.numbers(state, "keep")):
                found.append(state)
        return found

    def _stands_for(self, decision: Decision) -> str:
        """The state from which a decision can be told, if there is one, else the decision."""
        sheet = self.sheet
        for state in self.model.states:
            gains = sheet.gains[state.name]
            places, own = sheet.places[state.name], sheet.places[decision.name]
            if all(
                gain.keys() == {decision.name}
                and isinstance(number := gain[decision.name], float)
                and number > 0
                and (places.stage(t) == own.stage(t) or not sheet.is_open(decision, t))
                for t, gain in enumerate(gains)
            ):
                return state.name
        return decision.name

    @property
    def stages(self) -> tuple[int, ...]:
        """Stage at which each coordinated quantity is decided, ascending."""
        return tuple(shared.stage for shared in self.coordinated)

    def places_of(self, quantities: tuple[Shared, ...], places: dict[str, Places], start: dict[str, int]) -> Index:
        """Number of each quantity on the way to each subtree, ``(count, quantities)``; those of a part from a start."""
        return np.stack(
            [start[s.part] + places[s.part].of(np.full(self.count, s.year), self.way[:, s.stage]) for s in quantities],
            axis=1,
        )

    @cached_property
    def shared(self) -> Index:
        """Place in the whole tree of each coordinated quantity, shape ``(count, quantities)``; part by part."""
        ends = np.cumsum([0, *(self.sheet.places[part].count for part in self._parts)])
        return self.places_of(self.coordinated, self.sheet.places, dict(zip(self._parts, ends.tolist(), strict=False)))

    # ------------------------------------------------------------------ bounds

    @cached_property
    def bounds(self) -> dict[str, ColumnBounds]:
        """Bounds of all columns of the whole tree: what is shared may have to serve other subtrees."""
        return column_bounds(self.sheet)

    def _of_coordinated(self, side: int) -> Array:
        every = np.concatenate([self.bounds[part][side] for part in self._parts])
        return np.asarray(every[self.shared])

    @cached_property
    def lower(self) -> Array:
        """Valid lower bound on each coordinated quantity, shape ``(count, quantities)``."""
        return self._of_coordinated(0)

    @cached_property
    def upper(self) -> Array:
        """Valid upper bound on each coordinated quantity, shape ``(count, quantities)``."""
        return self._of_coordinated(1)

    @cached_property
    def largest(self) -> Array:
        """Size of each coordinated quantity: the largest that its part may have in any year."""
        size = np.maximum(np.abs(self.lower), np.abs(self.upper)).max(axis=0)
        names = np.array([s.part for s in self.coordinated])
        found = np.array([size[names == name].max() for name in names])
        return np.where(found > 0, found, float(np.abs(self.tree.value).max()))

    @cached_property
    def unit_cost(self) -> Array:
        """Discounted cost of one unit of each coordinated quantity, as a scale for prices."""
        found = np.empty(len(self.coordinated))
        by_state = {self._stands_for(decision): decision for decision in self.model.decisions}
        for j, (shared, largest) in enumerate(zip(self.coordinated, self.largest, strict=True)):
            cost = float(np.mean(np.abs(self.sheet.worth[shared.part][shared.year])))
            decision = by_state.get(shared.part)
            if decision is not None:
                gain = self.sheet.gains[shared.part][shared.year] if shared.part != decision.name else {}
                amount = largest / float(np.max(gain.get(decision.name, 1.0)))
                cost += self._bill(decision, shared.year, amount) / largest
            found[j] = cost
        return np.where(found > 0, found, self.flows / (self.largest * len(self.coordinated)))

    def _bill(self, decision: Decision, year: int, amount: float) -> float:
        """Discounted cost of so much of a decision in a year."""
        fixed = self.sheet.numbers(decision, "fixed_cost")[year]
        bill = fixed if decision.curve is None else fixed + float(decision.curve(amount))
        cost = np.mean(np.abs(self.sheet.worth[decision.name][year])) * amount
        return float(cost + self.sheet.paid(decision, year) * bill)

    # ---------------------------------------------------------------- subtrees

    @property
    def nodes(self) -> range:
        """Nodes at which the subtrees hang."""
        at = self.tree.at(self.cut_stage)
        return range(at.start, at.stop)

    @property
    def count(self) -> int:
        """Number of subtrees."""
        return len(self.nodes)

    @cached_property
    def node_probability(self) -> Array:
        """Probability of each node of the tree down to the cut, positive also where the tree has zero."""
        tree = self.tree
        found = tree.probability[: tree.at(self.cut_stage).stop].copy()
        for node in np.flatnonzero(found == 0):  # parents come first
            parent = int(tree.parent[node])
            share = _NEVER if tree.probability[parent] > 0 else 1 / float(tree.child_count[parent])
            found[node] = found[parent] * share
        return np.asarray(found)

    @property
    def probability(self) -> Array:
        """Probability of each subtree, positive also where the tree has zero."""
        return self.node_probability[self.tree.at(self.cut_stage)]

    @cached_property
    def way(self) -> Index:
        """Nodes of stages 0..cut_stage on the way to each subtree, shape ``(count, cut_stage + 1)``."""
        nodes = np.empty((self.count, self.cut_stage + 1), dtype=np.int64)
        nodes[:, -1] = self.nodes
        for t in range(self.cut_stage, 0, -1):
            nodes[:, t - 1] = self.tree.parent[nodes[:, t]]
        return nodes

    def first_above(self, i: int) -> Mask:
        """Whether subtree ``i`` is the first below each node of stages 0..cut_stage on its way."""
        return np.array([i == 0 or self.way[i - 1, t] != self.way[i, t] for t in range(self.cut_stage + 1)])

    def program(self, i: int) -> SubtreeProgram:
        """Build the program of subtree ``i`` with the bounds of the whole tree."""
        branch, origin = self.tree.branch(self.nodes[i])
        sheet = Sheet(self.gain, branch, Recourse())
        bounds = {}
        for name, own in sheet.places.items():
            whole = self.sheet.places[name].of(own.year, origin[own.node])
            bounds[name] = ColumnBounds(*(side[whole] for side in self.bounds[name]))
        stated = program_of(sheet, bounds)
        return SubtreeProgram(
            stated=stated,
            program=stated.program,
            coordinated=_columns(stated, self.coordinated),
            held=_columns(stated, self.held),
            origin=origin,
        )

    def node_mean(self, values: Array) -> Array:
        """Replace ``values`` (count, quantities) by their mean over the subtrees that share each of them."""
        shape = self.shared.shape
        total = np.bincount(self.shared.ravel(), weights=(values * self.probability[:, None]).ravel())
        weight = np.bincount(self.shared.ravel(), weights=np.broadcast_to(self.probability[:, None], shape).ravel())
        return np.asarray(total[self.shared] / weight[self.shared])


def _columns(stated: TreeProgram, quantities: tuple[Shared, ...]) -> Index:
    """Columns of shared quantities in a branch, where the way to the cut is a chain: one for each."""
    return np.array(
        [stated.program.columns[s.part].start + stated.places[s.part].at(s.year).start for s in quantities],
        dtype=np.int64,
    )
