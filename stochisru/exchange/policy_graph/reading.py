"""Reading StochOptFormat 1.x into a program on a tree.

The policy graph is unrolled: a node of the tree is a node of the graph with one of its realizations, below what came
before. What is read is what a linear or mixed-integer program can hold once the random variables are known: scalar
affine functions, quadratic ones whose products have a random variable, and sides, whole numbers and binaries.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from scenario_trees.errors import TreeError
from scenario_trees.tree import ScenarioTree
from stochisru.errors import InputError, require_number
from stochisru.exchange.staged import StagedProgram, core_names
from stochisru.programs.sparse import Block, LinearProgram

#: Most nodes that the tree of a policy graph may have.
MOST_NODES = 200_000
#: Sets of a scalar function, with the names of their numbers.
_SETS = {"LessThan": ("upper",), "GreaterThan": ("lower",), "EqualTo": ("value",), "Interval": ("lower", "upper")}
#: Largest whole number that is read; Python knows larger ones.
_LARGEST = 1e300
#: What may be missed by sums of probabilities.
_ROUNDING = 1e-6


def read_stochoptformat(path: str | Path) -> StagedProgram:
    """Read a problem from a ``.sof.json`` file.

    Raises
    ------
    InputError
        One line that names the entry and what is expected: if the file is not StochOptFormat 1.x, its graph has a
        cycle, probabilities do not sum to 1, paths have different lengths, or a subproblem is neither linear nor
        mixed-integer when its random variables are known.
    """
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"file: cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"file: {path} is no JSON: {' '.join(str(error).split())}") from error
    try:
        return from_policy_graph(data, Path(path).name.partition(".")[0])
    except InputError as error:
        raise InputError(f"file: {path}: {error}") from None


def from_policy_graph(data: Any, name: str = "problem") -> StagedProgram:
    """A problem from the JSON object of StochOptFormat; see `read_stochoptformat`."""
    described = _Described(data)
    unrolled = _Unrolled(described)
    return unrolled.program(str(described.data.get("name") or name))


def _entry(table: Any, key: str, where: str, kind: type = object, default: Any = None) -> Any:
    """An entry of a JSON object, of a type; `InputError` names what is missing or another."""
    if not isinstance(table, Mapping):
        raise InputError(f"{where}: must be an object, got {type(table).__name__}")
    if key not in table:
        if default is not None:
            return default
        raise InputError(f"{where}: must have {key!r}")
    value = table[key]
    if not isinstance(value, kind):
        raise InputError(f"{where}.{key}: must be {_KINDS[kind]}, got {type(value).__name__}")
    return value


#: What JSON calls the types.
_KINDS: dict[type, str] = {dict: "an object", list: "a list", str: "a text"}


def _number(table: Any, key: str, where: str) -> float:
    """A number of a JSON object that is finite."""
    value = _entry(table, key, where)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _LARGEST:
        raise InputError(f"{where}.{key}: must be a number up to {_LARGEST:g}")
    return require_number(f"{where}.{key}", value)


def _probabilities(table: Mapping[str, Any], where: str) -> dict[str, float]:
    found = {key: _number(table, key, where) for key in table}
    for key, share in found.items():
        if not 0 <= share <= 1:
            raise InputError(f"{where}.{key}: must lie in [0, 1], got {share:g}")
    if found and abs(sum(found.values()) - 1) > _ROUNDING:
        raise InputError(f"{where}: must sum to 1, got {sum(found.values()):g}; a discount or an early end is not read")
    return found


@dataclass(frozen=True, eq=False)
class _Subproblem:
    """A subproblem, checked.

    Attributes
    ----------
    variables
        Names in their order.
    ins, outs
        Variable by state.
    random
        Names of the random variables.
    """

    variables: tuple[str, ...]
    ins: dict[str, str]
    outs: dict[str, str]
    random: tuple[str, ...]
    sense: str
    objective: Mapping[str, Any]
    constraints: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, eq=False)
class _Described:
    """The JSON object, checked entry by entry."""

    data: Mapping[str, Any]
    states: dict[str, float] = field(init=False)
    start: dict[str, float] = field(init=False)
    nodes: dict[str, tuple[str, list[tuple[float, dict[str, float]]], dict[str, float]]] = field(init=False)
    subproblems: dict[str, _Subproblem] = field(init=False)

    def __post_init__(self) -> None:
        version = _entry(self.data, "version", "problem", dict)
        major = _number(version, "major", "version")
        if major != 1:
            raise InputError(f"version.major: must be 1, got {major:g}")
        root = _entry(self.data, "root", "problem", dict)
        states = _entry(root, "state_variables", "root", dict)
        initial = {name: _number(states, name, "root.state_variables") for name in states}
        subproblems = {
            name: _subproblem(described, f"subproblems.{name}", initial)
            for name, described in _entry(self.data, "subproblems", "problem", dict).items()
        }
        start = _probabilities(_entry(root, "successors", "root", dict), "root.successors")
        given = _entry(self.data, "nodes", "problem", dict)
        nodes = {name: self._node(node, f"nodes.{name}", given, subproblems) for name, node in given.items()}
        for word in start:
            if word not in nodes:
                raise InputError(f"root.successors: {word!r} is no node")
        if not start:
            raise InputError("root.successors: must name a node")
        for name, value in (("states", initial), ("start", start), ("nodes", nodes), ("subproblems", subproblems)):
            object.__setattr__(self, name, value)

    @staticmethod
    def _node(
        node: Any, where: str, nodes: Mapping[str, Any], subproblems: Mapping[str, _Subproblem]
    ) -> tuple[str, list[tuple[float, dict[str, float]]], dict[str, float]]:
        word = _entry(node, "subproblem", where, str)
        if word not in subproblems:
            raise InputError(f"{where}.subproblem: {word!r} is no subproblem")
        realizations = []
        for i, each in enumerate(_entry(node, "realizations", where, list, default=[])):
            at = f"{where}.realizations[{i}]"
            support = _entry(each, "support", at, dict)
            values = {name: _number(support, name, f"{at}.support") for name in support}
            realizations.append((_number(each, "probability", at), values))
        random = subproblems[word].random
        for i, (_, values) in enumerate(realizations or [(1.0, {})]):
            lacking = [name for name in random if name not in values]
            if lacking:
                raise InputError(f"{where}.realizations[{i}].support: must have {lacking[0]!r}")
        shares = {str(i): share for i, (share, _) in enumerate(realizations)}
        _probabilities(shares, f"{where}.realizations")
        successors = _probabilities(_entry(node, "successors", where, dict, default={}), f"{where}.successors")
        for other in successors:
            if other not in nodes:
                raise InputError(f"{where}.successors: {other!r} is no node")
        return word, realizations or [(1.0, {})], successors


def _subproblem(described: Any, where: str, states: Mapping[str, float]) -> _Subproblem:
    given = _entry(described, "state_variables", where, dict)
    random = tuple(_entry(described, "random_variables", where, list, default=[]))
    if not all(isinstance(name, str) for name in random):
        raise InputError(f"{where}.random_variables: must be names")
    inner = _entry(described, "subproblem", where, dict)
    where = f"{where}.subproblem"
    variables = tuple(
        _entry(each, "name", f"{where}.variables[{i}]", str)
        for i, each in enumerate(_entry(inner, "variables", where, list))
    )
    if len(set(variables)) < len(variables):
        raise InputError(f"{where}.variables: names must be different")
    ends: dict[str, dict[str, str]] = {"in": {}, "out": {}}
    for state in states:
        pair = _entry(given, state, f"{where}.state_variables", dict)
        for end, found in ends.items():
            found[state] = _entry(pair, end, f"{where}.state_variables.{state}", str)
    for name in (*random, *ends["in"].values(), *ends["out"].values()):
        if name not in variables:
            raise InputError(f"{where}.variables: must have {name!r}")
    objective = _entry(inner, "objective", where, dict)
    sense = _entry(objective, "sense", f"{where}.objective", str)
    if sense not in ("min", "max", "feasibility"):
        raise InputError(f"{where}.objective.sense: must be min, max or feasibility, got {sense!r}")
    nothing = {"type": "ScalarAffineFunction", "terms": [], "constant": 0.0}
    function = _entry(objective, "function", f"{where}.objective", dict, default=nothing)
    constraints = tuple(_entry(inner, "constraints", where, list))
    return _Subproblem(variables, ends["in"], ends["out"], random, sense, function, constraints)


#: A function of columns that are there: coefficients by their numbers, and a constant.
_OfColumns = tuple[dict[int, float], float]


def _affine(function: Any, known: Mapping[str, float], where: str) -> tuple[dict[str, float], float]:
    """A function of a subproblem when its random variables have the values ``known``."""
    kind = _entry(function, "type", where, str)
    if kind == "Variable":
        products, terms, constant = [], [(1.0, _entry(function, "name", where, str))], 0.0
    elif kind in ("ScalarAffineFunction", "ScalarQuadraticFunction"):
        quadratic = kind == "ScalarQuadraticFunction"
        linear = _entry(function, "affine_terms" if quadratic else "terms", where, list)
        terms = [(_number(t, "coefficient", where), _entry(t, "variable", where, str)) for t in linear]
        products = [
            (_number(t, "coefficient", where), *(_entry(t, key, where, str) for key in ("variable_1", "variable_2")))
            for t in (_entry(function, "quadratic_terms", where, list) if quadratic else [])
        ]
        constant = _number(function, "constant", where)
    else:
        raise InputError(f"{where}.type: must be Variable, ScalarAffineFunction or ScalarQuadraticFunction, got {kind}")
    found: dict[str, float] = {}
    for x, a, b in products:
        if a not in known and b not in known:
            raise InputError(f"{where}: the product of {a!r} and {b!r} has no random variable; it must be linear")
        # The function is half of x'Qx: a square counts half of its coefficient.
        factor, other = (known[a], b) if a in known else (known[b], a)
        terms.append(((0.5 if a == b else 1.0) * x * factor, other))
    for x, name in terms:
        if name in known:
            constant += x * known[name]
        else:
            found[name] = found.get(name, 0.0) + x
    return found, constant


@dataclass(eq=False)
class _Unrolled:
    """The tree of a policy graph and its program, node by node."""

    described: _Described
    parent: list[int] = field(default_factory=list)
    stage: list[int] = field(default_factory=list)
    probability: list[float] = field(default_factory=list)
    node: list[str] = field(default_factory=list)
    support: list[dict[str, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        d = self.described
        first = [(share * p, name, support) for name, share in d.start.items() for p, support in d.nodes[name][1]]
        if len(first) == 1:
            self._add(-1, 0, *first[0])
        else:  # what happens first is not certain: the tree begins before it
            self._add(-1, 0, 1.0, "", {})
            for each in first:
                self._add(0, 1, *each)
        at = 0 if len(first) == 1 else 1
        while at < len(self.parent):
            for name, share in d.nodes[self.node[at]][2].items():
                for p, support in d.nodes[name][1]:
                    self._add(at, self.stage[at] + 1, self.probability[at] * share * p, name, support)
            at += 1

    def _add(self, parent: int, stage: int, probability: float, name: str, support: dict[str, float]) -> None:
        if stage > len(self.described.nodes) + 1:
            raise InputError("nodes: must have no cycle; a policy graph without an end is not read")
        if len(self.parent) >= MOST_NODES:
            raise InputError(f"nodes: make a tree of more than {MOST_NODES:,} nodes, the most that is read")
        self.parent.append(parent)
        self.stage.append(stage)
        self.probability.append(probability)
        self.node.append(name)
        self.support.append(support)

    def program(self, name: str) -> StagedProgram:
        """The program: columns of every node, and rows in terms of those of the nodes above."""
        try:
            tree = ScenarioTree(
                parent=np.array(self.parent),
                stage=np.array(self.stage),
                probability=np.array(self.probability),
                value=np.zeros(len(self.parent)),
            )
        except TreeError as error:
            raise InputError(f"nodes: make no scenario tree whose paths are of one length: {error}") from error
        columns, rows = _Columns(), _Rows()
        senses = [s.sense for s in self.described.subproblems.values() if s.sense != "feasibility"]
        sense = "max" if senses and senses.count("max") * 2 > len(senses) else "min"
        outs: list[dict[str, _OfColumns]] = []
        constant = 0.0
        for node, word in enumerate(self.node):
            if not word:
                outs.append({state: ({}, value) for state, value in self.described.states.items()})
                continue
            incoming = (
                outs[self.parent[node]]
                if node
                else {state: ({}, value) for state, value in self.described.states.items()}
            )
            at = _AtNode(self, node, incoming, columns, rows)
            outs.append(at.outgoing())
            constant += at.state(sense)
        return StagedProgram(
            tree=tree,
            program=_linear_program(name, sense, constant, columns, rows),
            column_name=core_names(columns.names, tree.stage[np.array(columns.node, dtype=np.int64)].tolist()),
            column_node=np.array(columns.node, dtype=np.int64),
            row_name=core_names(rows.names, tree.stage[np.array(rows.node, dtype=np.int64)].tolist()),
            row_node=np.array(rows.node, dtype=np.int64),
        )


@dataclass(eq=False)
class _Columns:
    names: list[str] = field(default_factory=list)
    node: list[int] = field(default_factory=list)
    lower: list[float] = field(default_factory=list)
    upper: list[float] = field(default_factory=list)
    cost: list[float] = field(default_factory=list)
    integer: list[bool] = field(default_factory=list)


@dataclass(eq=False)
class _Rows:
    names: list[str] = field(default_factory=list)
    node: list[int] = field(default_factory=list)
    low: list[float] = field(default_factory=list)
    high: list[float] = field(default_factory=list)
    entries: list[tuple[int, int, float]] = field(default_factory=list)


@dataclass(eq=False)
class _AtNode:
    """One node of the tree: its columns and rows are added to those of the whole."""

    unrolled: _Unrolled
    node: int
    incoming: Mapping[str, _OfColumns]
    columns: _Columns
    rows: _Rows

    def __post_init__(self) -> None:
        described = self.unrolled.described
        self.word = described.nodes[self.unrolled.node[self.node]][0]
        self.said = described.subproblems[self.word]
        self.where = f"subproblems.{self.word}.subproblem"
        self.known = {name: self.unrolled.support[self.node][name] for name in self.said.random}
        #: What comes from above, as functions of columns that are there; other variables are columns of the node.
        self.given = {variable: self.incoming[state] for state, variable in self.said.ins.items()}
        self.at: dict[str, int] = {}
        for name in self.said.variables:
            if name not in self.known and name not in self.given:
                self.at[name] = len(self.columns.names)
                self.columns.names.append(name)
                self.columns.node.append(self.node)
                for numbers, start in ((self.columns.lower, -np.inf), (self.columns.upper, np.inf)):
                    numbers.append(start)
                self.columns.cost.append(0.0)
                self.columns.integer.append(False)

    def _resolved(self, function: Any, where: str) -> _OfColumns:
        """A function as coefficients of columns, and a constant."""
        terms, constant = _affine(function, self.known, where)
        found: dict[int, float] = {}
        for name, x in terms.items():
            if name in self.at:
                found[self.at[name]] = found.get(self.at[name], 0.0) + x
            elif name in self.given:
                above, still = self.given[name]
                constant += x * still
                for column, y in above.items():
                    found[column] = found.get(column, 0.0) + x * y
            else:
                raise InputError(f"{where}: {name!r} is no variable")
        return found, constant

    def outgoing(self) -> dict[str, _OfColumns]:
        """States as the node is left."""
        found: dict[str, _OfColumns] = {}
        for state, variable in self.said.outs.items():
            if variable in self.at:
                found[state] = ({self.at[variable]: 1.0}, 0.0)
            else:
                found[state] = self.given[variable] if variable in self.given else ({}, self.known[variable])
        return found

    def state(self, sense: str) -> float:
        """Add objective and constraints; the constant of the objective, times the probability, comes back."""
        share = self.unrolled.probability[self.node]
        turned = -1.0 if self.said.sense not in (sense, "feasibility") else 1.0
        constant = 0.0
        if self.said.sense != "feasibility":
            terms, constant = self._resolved(self.said.objective, f"{self.where}.objective.function")
            for column, x in terms.items():
                self.columns.cost[column] += turned * share * x
        for i, constraint in enumerate(self.said.constraints):
            self._constraint(constraint, i)
        return turned * share * constant

    def _constraint(self, constraint: Any, number: int) -> None:
        where = f"{self.where}.constraints[{number}]"
        function, described = (_entry(constraint, key, where, dict) for key in ("function", "set"))
        kind = _entry(described, "type", f"{where}.set", str)
        if kind in ("Integer", "ZeroOne"):
            name = _entry(function, "name", f"{where}.function", str)
            if name not in self.at:
                raise InputError(f"{where}: {name!r} must be a variable that is neither random nor incoming")
            self.columns.integer[self.at[name]] = True
            if kind == "ZeroOne":
                self._bound(self.at[name], 0.0, 1.0)
            return
        if kind not in _SETS:
            raise InputError(
                f"{where}.set.type: must be one of {', '.join((*_SETS, 'Integer', 'ZeroOne'))}, got {kind}"
            )
        sides = {key: _number(described, key, f"{where}.set") for key in _SETS[kind]}
        low = sides.get("lower", sides.get("value", -np.inf))
        high = sides.get("upper", sides.get("value", np.inf))
        terms, constant = self._resolved(function, f"{where}.function")
        own = len(terms) == 1 and next(iter(terms)) in self.at.values() and function.get("type") == "Variable"
        if own:
            self._bound(next(iter(terms)), low, high)
            return
        row = len(self.rows.names)
        self.rows.names.append(str(constraint.get("name") or f"row{number}"))
        self.rows.node.append(self.node)
        self.rows.low.append(low - constant)
        self.rows.high.append(high - constant)
        self.rows.entries += [(row, column, x) for column, x in terms.items()]

    def _bound(self, column: int, low: float, high: float) -> None:
        self.columns.lower[column] = max(self.columns.lower[column], low)
        self.columns.upper[column] = min(self.columns.upper[column], high)
        if self.columns.lower[column] > self.columns.upper[column]:
            raise InputError(f"{self.where}: bounds of {self.columns.names[column]!r} cross")


def _linear_program(name: str, sense: str, constant: float, columns: _Columns, rows: _Rows) -> LinearProgram:
    from scipy.sparse import coo_array

    size = len(rows.names), len(columns.names)
    row, column, value = zip(*rows.entries, strict=True) if rows.entries else ((), (), ())
    matrix = coo_array((np.array(value, float), (np.array(row, int), np.array(column, int))), shape=size).tocsc()
    return LinearProgram(
        name=name,
        sense="maximise" if sense == "max" else "minimise",
        objective=np.array(columns.cost),
        constant=constant,
        lower=np.array(columns.lower),
        upper=np.array(columns.upper),
        integer=np.array(columns.integer, dtype=bool),
        matrix=matrix,
        row_lower=np.array(rows.low),
        row_upper=np.array(rows.high),
        columns={"columns": Block("columns", 0, size[1])},
        rows={"rows": Block("rows", 0, size[0])},
    )
