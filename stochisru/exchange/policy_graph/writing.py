"""A problem as StochOptFormat 1.0: a policy graph with a node per node of a tree, or per state of a lattice.

Nodes of a stage share one subproblem where their coefficients are alike: right sides, bounds and costs that differ are
random variables with one realization per node, ``{"probability": 1, "support": {…}}``. A right side stands in its row
as ``row − ω``, a cost that differs in the objective as ``ω·x``; so SDDP.jl takes it. Where coefficients differ, every
node has its own subproblem.

A column of an earlier stage that rows still refer to is a state. States are named by the part that they are of, and the
names stay: what enters stage t as ``M`` is the plant of year t. Where several columns of a part are on their way,
``dM`` is the one that is decided first, ``dM.2`` the next. A state that is not needed at a stage is 0 there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from scenario_trees.arrays import Array
from scenario_trees.files import replacing
from scenario_trees.lattice import MarkovLattice
from stochisru.exchange.on_states import on_states
from stochisru.exchange.staged import StagedProgram, StageNumbers
from stochisru.programs.sparse import Sense

#: Versions of StochOptFormat and of MathOptFormat, in which subproblems are written.
VERSION = {"major": 1, "minor": 0}
MATHOPTFORMAT = {"major": 1, "minor": 2}
#: A column of the core: its stage, and its number there.
_Column = tuple[int, int]


#: Most paths that are listed as validation scenarios.
SCENARIOS = 100


def write_stochoptformat(staged: StagedProgram, target: str | Path) -> Path:
    """Write a problem on a tree in StochOptFormat.

    All paths of the tree are listed as validation scenarios, unless they are more than `SCENARIOS`.

    Parameters
    ----------
    target
        Ends in ``.sof.json``.

    Returns
    -------
    Path
        The file.
    """
    return _write(_Graph.of_tree(staged), Path(target))


def write_lattice_problem(problem: Any, lattice: MarkovLattice, target: str | Path) -> Path:
    """Write a problem on a Markov lattice in StochOptFormat: the graph has a node per state, as SDDP takes it.

    Parameters
    ----------
    problem
        A case or a `Model` with linear costs.
    target
        Ends in ``.sof.json``.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    InputError
        If problem and lattice do not match, or the problem has lots, curves or fixed costs.
    """
    return _write(_Graph.of_lattice(problem, lattice), Path(target))


def _write(graph: _Graph, path: Path) -> Path:
    with replacing(path) as part:
        part.write_text(json.dumps(graph.to_dict(), indent=1) + "\n", encoding="utf-8")
    return path


@dataclass(frozen=True, eq=False)
class _Graph:
    """A policy graph with the numbers of its nodes.

    Attributes
    ----------
    nodes
        Names of the nodes of every stage, in the order in which ``core`` has their numbers.
    successors
        Probabilities of what may follow a node.
    paths
        Paths to list as scenarios.
    """

    name: str
    about: str
    sense: Sense
    constant: float
    core: Sequence[StageNumbers]
    nodes: list[list[str]]
    successors: Mapping[str, Mapping[str, float]]
    paths: Sequence[Sequence[str]] = ()

    @classmethod
    def of_tree(cls, staged: StagedProgram) -> _Graph:
        """That of a tree."""
        tree = staged.tree
        names = [f"t{stage}n{node}" for node, stage in enumerate(tree.stage.tolist())]
        successors: dict[str, dict[str, float]] = {}
        for node in range(1, tree.n_nodes):
            above = int(tree.parent[node])
            share = tree.probability[node] / tree.probability[above] if tree.probability[above] > 0 else 0.0
            successors.setdefault(names[above], {})[names[node]] = min(float(share), 1.0)
        return cls(
            staged.program.name,
            "A node t3n5 is node 5 of the scenario tree, of stage 3.",
            staged.sense,
            staged.program.constant,
            staged.core,
            [names[tree.at(stage)] for stage in range(tree.horizon + 1)],
            successors,
            [[names[i] for i in path] for path in tree.node_paths()] if tree.n_leaves <= SCENARIOS else (),
        )

    @classmethod
    def of_lattice(cls, problem: Any, lattice: MarkovLattice) -> _Graph:
        """That of a Markov lattice."""
        model, core = on_states(problem, lattice)
        names = [[f"t{stage}s{state}" for state in range(size)] for stage, size in enumerate(lattice.sizes)]
        successors = {
            name: {names[stage + 1][j]: float(matrix[i, j]) for j in np.flatnonzero(matrix[i] > 0).tolist()}
            for stage, matrix in enumerate(lattice.transitions)
            for i, name in enumerate(names[stage])
        }
        about = "A node t3s5 is state 5 of the lattice at stage 3."
        return cls(f"{model.name} on a lattice", about, model.sense, 0.0, core, names, successors)

    @cached_property
    def entering(self) -> list[dict[str, _Column]]:
        """Column that each state is as a stage begins; a state that is not needed there is left out."""
        last: dict[_Column, int] = {}
        for stage, numbers in enumerate(self.core):
            for column in zip(numbers.entry_stage.tolist(), numbers.entry_column.tolist(), strict=True):
                last[column] = max(last.get(column, 0), stage)
        found: list[dict[str, _Column]] = []
        for stage in range(len(self.core)):
            alive: dict[str, list[_Column]] = {}
            for column in sorted(column for column, until in last.items() if column[0] < stage <= until):
                part = self.core[column[0]].columns[column[1]].partition("(")[0]
                alive.setdefault(part, []).append(column)
            found.append(
                {part if i == 0 else f"{part}.{i + 1}": c for part, of in alive.items() for i, c in enumerate(of)}
            )
        return found

    @cached_property
    def states(self) -> tuple[str, ...]:
        """Names of all states."""
        return tuple(dict.fromkeys(name for stage in self.entering for name in stage))

    def ends(self, column: _Column) -> tuple[float, float]:
        """Bounds of a column that hold at all nodes of its stage."""
        numbers, j = self.core[column[0]], column[1]
        return float(numbers.lower[:, j].min()), float(numbers.upper[:, j].max())

    def leaving(self, stage: int) -> dict[str, _Column]:
        """Column that each state is as a stage ends."""
        return self.entering[stage + 1] if stage + 1 < len(self.entering) else {}

    def to_dict(self) -> dict[str, Any]:
        """The JSON object."""
        nodes: dict[str, dict[str, Any]] = {}
        subproblems: dict[str, Any] = {}
        for stage, (numbers, names) in enumerate(zip(self.core, self.nodes, strict=True)):
            alike = bool((numbers.value == numbers.value[0]).all())
            for place, name in enumerate(names):
                word = f"t{stage}" if alike else name
                described = _Subproblem(self, stage, place, shared=alike)
                if word not in subproblems:
                    subproblems[word] = described.to_dict()
                nodes[name] = {"subproblem": word}
                if described.random:
                    nodes[name]["realizations"] = [{"probability": 1.0, "support": described.support()}]
                if name in self.successors:
                    nodes[name]["successors"] = dict(self.successors[name])
        found: dict[str, Any] = {
            "name": self.name,
            "description": f"Written by stochisru. {self.about}",
            "version": VERSION,
            "root": {"state_variables": dict.fromkeys(self.states, 0.0), "successors": {self.nodes[0][0]: 1.0}},
            "nodes": nodes,
            "subproblems": subproblems,
        }
        if self.paths:
            found["validation_scenarios"] = [[_visited(name, nodes[name]) for name in path] for path in self.paths]
        return found


def _visited(name: str, node: Mapping[str, Any]) -> dict[str, Any]:
    realized = node.get("realizations")
    return {"node": name} if realized is None else {"node": name, "support": realized[0]["support"]}


@dataclass(frozen=True, eq=False)
class _Subproblem:
    """What one node of the graph says; nodes of a stage that share it differ in its random variables."""

    graph: _Graph
    stage: int
    place: int
    shared: bool

    @cached_property
    def numbers(self) -> StageNumbers:
        return self.graph.core[self.stage]

    def _differs(self, numbers: Array) -> bool:
        """Whether what the nodes of the stage have is random; limits that are there at some nodes alone are not."""
        return self.shared and bool((numbers != numbers[0]).any())

    @cached_property
    def random(self) -> dict[str, Array]:
        """Random variables, each with its value at every node of the stage, shape ``(nodes,)``."""
        found = {}
        each: Sequence[tuple[str, Array, Sequence[str]]] = (
            ("cost", self.numbers.cost, self.numbers.columns),
            ("least", self.numbers.lower, self.numbers.columns),
            ("most", self.numbers.upper, self.numbers.columns),
            ("low", self.numbers.low, self.numbers.rows),
            ("high", self.numbers.high, self.numbers.rows),
        )
        for word, numbers, names in each:
            for i, name in enumerate(names):
                if self._differs(numbers[:, i]):
                    found[f"{word} of {name}"] = np.clip(numbers[:, i], -_FAR, _FAR)
        for i, name in enumerate(self.numbers.rows):  # an equation needs one
            if (self.numbers.low[:, i] == self.numbers.high[:, i]).all():
                found.pop(f"high of {name}", None)
        return found

    def support(self) -> dict[str, float]:
        """Values of the random variables at this node."""
        return {name: float(values[self.place]) for name, values in self.random.items()}

    def to_dict(self) -> dict[str, Any]:
        """The subproblem with its states."""
        entering, leaving = self.graph.entering[self.stage], self.graph.leaving(self.stage)
        own = {(self.stage, j): name for j, name in enumerate(self.numbers.columns)}
        known = {column: f"{state} in" for state, column in entering.items()}
        variables = list(own.values())
        constraints: list[dict[str, Any]] = []
        states = {}
        for state in self.graph.states:
            variables.append(f"{state} in")
            out = f"{state} out"
            column = leaving.get(state)
            if column in own:
                out = own[column]
            else:  # goes on as it is, or is not needed any more
                variables.append(out)
                if column is None:
                    constraints.append(_of_variable(out, {"type": "EqualTo", "value": 0.0}))
                else:
                    goes_on = [(1.0, out), (-1.0, known[column])]
                    constraints.append(_affine(goes_on, "EqualTo", 0.0, f"{state} goes on"))
                    constraints += _box(out, *self.graph.ends(column))
            states[state] = {"in": f"{state} in", "out": out}
        for j, name in enumerate(self.numbers.columns):
            constraints += self._bounds(j, name)
        names = own | known
        for i, row in enumerate(self.numbers.rows):
            constraints += self._row(i, row, names)
        found: dict[str, Any] = {"state_variables": states}
        if self.random:
            found["random_variables"] = list(self.random)
            variables += list(self.random)
        found["subproblem"] = {
            "version": MATHOPTFORMAT,
            "variables": [{"name": name} for name in variables],
            "objective": {"sense": self.graph.sense[:3], "function": self._objective()},
            "constraints": constraints,
        }
        return found

    def _objective(self) -> dict[str, Any]:
        cost, fixed, products = self.numbers.cost[self.place], [], []
        for j, name in enumerate(self.numbers.columns):
            factor = f"cost of {name}"
            if factor in self.random:
                products.append({"coefficient": 1.0, "variable_1": factor, "variable_2": name})
            elif cost[j]:
                fixed.append({"coefficient": float(cost[j]), "variable": name})
        constant = self.graph.constant if self.stage == 0 else 0.0
        if not products:
            return {"type": "ScalarAffineFunction", "terms": fixed, "constant": constant}
        return {
            "type": "ScalarQuadraticFunction",
            "quadratic_terms": products,
            "affine_terms": fixed,
            "constant": constant,
        }

    def _bounds(self, j: int, name: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        low, high = float(self.numbers.lower[self.place, j]), float(self.numbers.upper[self.place, j])
        least, most = self.graph.ends((self.stage, j))
        for word, kind in (("least", "GreaterThan"), ("most", "LessThan")):
            if f"{word} of {name}" in self.random:  # the column keeps the bound that holds at all nodes
                terms = [(1.0, name), (-1.0, f"{word} of {name}")]
                found.append(_affine(terms, kind, 0.0, f"{name} {word}"))
                low, high = (least, high) if word == "least" else (low, most)
        found += _box(name, low, high)
        if self.numbers.integer[j]:
            found.append(_of_variable(name, {"type": "Integer"}))
        return found

    def _row(self, i: int, row: str, names: Mapping[_Column, str]) -> list[dict[str, Any]]:
        numbers = self.numbers
        here = np.flatnonzero((numbers.entry_row == i) & (numbers.value[self.place] != 0))
        columns = zip(numbers.entry_stage[here].tolist(), numbers.entry_column[here].tolist(), strict=True)
        values = numbers.value[self.place, here].tolist()
        terms = [(x, names[column]) for column, x in zip(columns, values, strict=True)]
        low, high = float(numbers.low[self.place, i]), float(numbers.high[self.place, i])
        if (numbers.low[:, i] == numbers.high[:, i]).all() if self.shared else low == high:
            return [self._side(terms, "EqualTo", f"low of {row}", low, row)]
        found = []
        for kind, side, number in (("GreaterThan", "low", low), ("LessThan", "high", high)):
            if np.isfinite(number) or f"{side} of {row}" in self.random:
                found.append(
                    self._side(terms, kind, f"{side} of {row}", number, row if side == "high" else f"{row}.low")
                )
        return found

    def _side(self, terms: list[tuple[float, str]], kind: str, factor: str, number: float, name: str) -> dict[str, Any]:
        """One side of a row; one that differs between nodes is a random variable."""
        if factor in self.random:
            return _affine([*terms, (-1.0, factor)], kind, 0.0, name)
        return _affine(terms, kind, number, name)


#: What stands for no limit where some nodes have one.
_FAR = 1e15
#: Name of the number of each set.
_NUMBER = {"EqualTo": "value", "GreaterThan": "lower", "LessThan": "upper"}


def _box(name: str, low: float, high: float) -> list[dict[str, Any]]:
    """Bounds of a variable."""
    if low == high:
        return [_of_variable(name, {"type": "EqualTo", "value": low})]
    sides = (("GreaterThan", low), ("LessThan", high))
    return [_of_variable(name, {"type": kind, _NUMBER[kind]: x}) for kind, x in sides if np.isfinite(x)]


def _affine(terms: list[tuple[float, str]], kind: str, number: float, name: str) -> dict[str, Any]:
    function = {
        "type": "ScalarAffineFunction",
        "terms": [{"coefficient": float(x), "variable": variable} for x, variable in terms],
        "constant": 0.0,
    }
    return {"name": name, "function": function, "set": {"type": kind, _NUMBER[kind]: float(number)}}


def _of_variable(name: str, described: dict[str, Any]) -> dict[str, Any]:
    return {"function": {"type": "Variable", "name": name}, "set": described}
