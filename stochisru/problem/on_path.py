"""A model in Pyomo: every variable and constraint under its own name, for any solver that Pyomo drives.

`path_model` states a problem on one known path, `scenario_model` joins one such block per scenario of a tree by
explicit nonanticipativity constraints, and `Scenarios` is what mpi-sppy's own drivers take. They are the readable and
the independent form of `stochisru.problem.on_tree`, meant for checking and for extension by users; on large trees that
program is orders of magnitude faster.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from scenario_trees.arrays import Array
from scenario_trees.tree import ScenarioTree
from stochisru.errors import InfeasibleError, InputError, SolverError
from stochisru.problem.bounds import column_bounds
from stochisru.problem.coefficients import Number
from stochisru.problem.information import Information, Recourse
from stochisru.problem.model import Model, require_model
from stochisru.problem.parts import Decision, Expression, Operation, Row, State
from stochisru.problem.paths import Paths, chain_of
from stochisru.problem.sheet import Linear, Sheet
from stochisru.programs.curves.curve import Curve
from stochisru.programs.curves.path_model import curve_block

if TYPE_CHECKING:
    import pyomo.environ as pyo

#: Lower and upper bounds of each column by year, each of shape ``(T + 1,)``.
Bounds = Mapping[str, tuple[Array, Array]]


def _require_names(model: Model, empty: pyo.ConcreteModel) -> None:
    """Refuse parts whose names a Pyomo model has for something else, and would replace or lose."""
    taken = {"years", "money", "total", "objective", "nonanticipativity", "scenario", *dir(empty)}
    for part in model.parts:
        if part.name in taken:
            raise InputError(f"{part.label}: a path model has {part.name!r} for something else; choose another name")


def path_model(
    model: Model, path: ArrayLike, *, target: Any | None = None, bounds: Bounds | None = None
) -> pyo.ConcreteModel:
    """A problem on one known path of its factors.

    Parameters
    ----------
    path
        The factor per year, shape ``(T + 1,)``; of several factors ``(T + 1, factors)`` in the order of the model.
    target
        Pyomo block to fill; a new ``ConcreteModel`` if not given.
    bounds
        Bounds of the columns in place of those that hold on this path alone, such as a whole tree's.

    Returns
    -------
    pyomo.environ.ConcreteModel
        Indexed by ``years``: a variable for each decision, state, operation and expression under its name, a
        constraint for each row under its name and for each state and expression under its ``rule``, and the expression
        ``money`` (of the year in which it flows, not discounted, in the sense of the model). ``total`` is its
        discounted sum, on a new model the ``objective``. Lots are ``NAME_lots``, curves and fixed costs blocks
        ``NAME_cost``.

    Examples
    --------
    >>> import pyomo.environ as pyo
    >>> from stochisru import load_case
    >>> from stochisru.problem.on_path import path_model
    >>> m = path_model(load_case("lunar-reference").replace(T=2).model, [500.0, 600.0, 700.0])
    >>> _ = pyo.SolverFactory("appsi_highs").solve(m)
    >>> [round(pyo.value(m.Qcap[t]), 3) for t in m.years]
    [500.0, 600.0, 700.0]
    """
    import pyomo.environ as pyo

    require_model(model)
    model.require_neutral("a path model")
    sheet = Sheet(model, chain_of(model, path), Recourse())
    m = pyo.ConcreteModel(name=f"path of {model.name}") if target is None else target
    _require_names(model, pyo.ConcreteModel())
    m.years = pyo.RangeSet(0, model.horizon)
    _Path(sheet, m, bounds or dict(column_bounds(sheet))).fill()
    if target is None:
        m.objective = pyo.Objective(expr=m.total, sense=_sense(model))
    return m


class _Path:
    """Fills a Pyomo block with a problem on a path."""

    def __init__(self, sheet: Sheet, m: Any, bounds: Bounds) -> None:
        self.sheet, self.m, self.bounds = sheet, m, dict(bounds)

    def fill(self) -> None:
        import pyomo.environ as pyo

        model = self.sheet.model
        for part in model.parts:
            if not isinstance(part, Row):
                if isinstance(part, Expression):
                    self.bounds[part.name] = self._span(part)
                lower, upper = self.bounds[part.name]
                pairs = list(zip(lower.tolist(), upper.tolist(), strict=True))
                self.m.add_component(part.name, pyo.Var(self.m.years, bounds=lambda _, t, pairs=pairs: pairs[t]))
        for part in model.parts:
            if isinstance(part, Row):
                self._add(part.name, part.years or model.years, self._row(part))
            elif isinstance(part, State):
                self._add(part.rule_name, model.years, self._balance(part))
            elif isinstance(part, Expression):
                self._add(part.rule_name, model.years, self._definition(part))
            elif isinstance(part, Decision) and not part.is_linear:
                self._sizes(part)
        money = self._money()
        self.m.money = pyo.Expression(self.m.years, rule=lambda _, t: money[t])
        self.m.total = pyo.Expression(expr=sum(float(d) * self.m.money[t] for t, d in enumerate(model.discount)))

    def _add(self, name: str, years: Any, rules: Iterator[Any]) -> None:
        import pyomo.environ as pyo

        made = dict(zip(years, rules, strict=True))
        self.m.add_component(name, pyo.Constraint(list(made), rule=lambda _, t: made[t]))

    def _var(self, name: str, year: int) -> Any:
        return self.m.component(name)[year]

    def _sum(self, terms: Mapping[str, Number], year: int) -> Any:
        """``Σ coefficient·x``; names may be those of expressions, which are variables here."""
        return sum(_number(coefficient) * self._var(name, year) for name, coefficient in terms.items())

    def _own(self, part: State | Expression | Row, what: str, year: int) -> Linear:
        """Terms as the part states them, expressions by their names."""
        return {
            name: number
            for name in getattr(part, what)
            if not np.all((number := self.sheet.numbers(part, f"{what} of {name!r}")[year]) == 0.0)
        }

    def _span(self, part: Expression) -> tuple[Array, Array]:
        ends = np.zeros((2, self.sheet.model.horizon + 1))
        for t in self.sheet.model.years:
            for name, coefficient in self._own(part, "terms", t).items():
                both = sorted(_number(coefficient) * bound[t] for bound in self.bounds[name])
                ends[:, t] += both
        return ends[0], ends[1]

    def _row(self, row: Row) -> Iterator[Any]:
        import pyomo.environ as pyo

        for t in row.years or self.sheet.model.years:
            low, high = (_number(self.sheet.numbers(row, side)[t]) for side in ("lower", "upper"))
            body = self._sum(self._own(row, "terms", t), t)
            if isinstance(body, (int, float)):
                yield pyo.Constraint.Feasible if low <= body <= high else pyo.Constraint.Infeasible
            elif low == high:
                yield body == low
            elif not np.isfinite([low, high]).any():
                yield pyo.Constraint.Feasible
            else:
                yield pyo.inequality(low if np.isfinite(low) else None, body, high if np.isfinite(high) else None)

    def _balance(self, state: State) -> Iterator[Any]:
        keep = [_number(k) for k in self.sheet.kept(state)]
        for t in self.sheet.model.years:
            right = self._sum(self._own(state, "gains", t), t) + _number(self.sheet.numbers(state, "inflow")[t])
            right += keep[t] * self._var(state.name, t - 1) if t else state.initial
            if state.lifetime is not None and t >= state.lifetime:
                old = t - state.lifetime
                left = float(np.prod(keep[old + 1 : t + 1]))
                right -= left * self._sum(self._own(state, "gains", old), old)
                right -= left * state.initial if old == 0 else 0.0
            yield self._var(state.name, t) == right

    def _definition(self, part: Expression) -> Iterator[Any]:
        for t in self.sheet.model.years:
            yield self._var(part.name, t) == self._sum(self._own(part, "terms", t), t)

    def _sizes(self, decision: Decision) -> None:
        """Lots, and a block with the curve and the fixed cost of a decision."""
        import pyomo.environ as pyo

        size = self.m.component(decision.name)
        if decision.lot is not None:
            most = [(0, float(np.ceil(upper / decision.lot))) for upper in self.bounds[decision.name][1]]
            lots = pyo.Var(self.m.years, domain=pyo.Integers, bounds=lambda _, t: most[t])
            self.m.add_component(f"{decision.name}_lots", lots)
            self._add(
                f"whole_{decision.name}",
                self.sheet.model.years,
                (size[t] == decision.lot * lots[t] for t in self.sheet.model.years),
            )
        curves = self._curves(decision)
        if curves:
            self.m.add_component(f"{decision.name}_cost", curve_block([(curve, "small") for curve, _ in curves], size))

    def _curves(self, decision: Decision) -> list[tuple[Curve, list[float]]]:
        """Curves of a decision with what they are multiplied by in each year."""
        years = self.sheet.model.years
        curves = [] if decision.curve is None else [(decision.curve, [1.0 for _ in years])]
        if np.any(decision.fixed_cost):
            largest = max(float(self.bounds[decision.name][1].max()), 1.0)
            fixed = [_number(cost) for cost in self.sheet.numbers(decision, "fixed_cost")]
            curves.append((Curve.linear(0.0, largest, fixed=1.0), fixed))
        return curves

    def _money(self) -> list[Any]:
        """Money of each year in which it flows, in the sense of the model."""
        model, sign = self.sheet.model, self.sheet.model.sign
        flows: list[Any] = [0.0 for _ in model.years]
        for part in model.parts:
            if isinstance(part, Row):
                continue
            what, gain = ("cost", -sign) if not part.coefficients.keys() & {"value"} else ("value", sign)
            for t, number in enumerate(self.sheet.numbers(part, what)):
                bill = gain * _number(number) * self._var(part.name, t)
                if isinstance(part, Decision):
                    for c, (_, factors) in enumerate(self._curves(part)):
                        bill += gain * factors[t] * self.m.component(f"{part.name}_cost").value[c, t]
                    for when, share in part.pays_in(t).items():
                        flows[when] += share * bill
                else:
                    flows[t] += bill
        return flows


def _number(number: Number) -> float:
    """A coefficient on a path, where it is one number whether it depends on factors or not."""
    return float(np.asarray(number).reshape(-1)[0])


# --------------------------------------------------------------------- scenarios


class Scenarios:
    """The scenarios of a tree as path models, also for mpi-sppy's own drivers.

    Parameters
    ----------
    model, tree
        The problem.
    information
        Who knows what when; `Recourse` if not given.

    Examples
    --------
    mpi-sppy's extensive form of it::

        scenarios = Scenarios(model, tree)
        ExtensiveForm({"solver": "highs"}, scenarios.names, scenarios.creator, all_nodenames=scenarios.node_names)
    """

    def __init__(self, model: Model, tree: ScenarioTree, information: Information | None = None) -> None:
        self.model, self.tree = model, tree
        self._sheet = Sheet(model, tree, information or Recourse())
        self._bounds = column_bounds(self._sheet)
        self._nodes = tree.node_paths()
        self._paths = Paths.down(model, tree, self._nodes).of_factors(model)
        self._decided = decided_at(self._sheet)
        T = model.horizon
        #: Place of each column, by part, shape ``(leaves, T + 1)``.
        self.places = {
            part.name: np.stack([self._sheet.places[part.name].seen_from(t, T) for t in model.years], axis=1)
            for part in model.columns
        }

    def block(self, leaf: int, target: Any | None = None) -> Any:
        """Path model of a scenario with the bounds of the whole tree: what is shared may serve other scenarios."""
        bounds = {
            name: (own.lower[self.places[name][leaf]], own.upper[self.places[name][leaf]])
            for name, own in self._bounds.items()
        }
        return path_model(self.model, self._paths[leaf], target=target, bounds=bounds)

    @property
    def names(self) -> list[str]:
        """Names of the scenarios."""
        return [f"scenario{i}" for i in range(self.tree.n_leaves)]

    @cached_property
    def node_names(self) -> list[str]:
        """Name of every node, as mpi-sppy wants them: ``ROOT``, then ``PARENT_child``."""
        names = ["ROOT"]
        for node in range(1, self.tree.n_nodes):
            parent = int(self.tree.parent[node])
            names.append(f"{names[parent]}_{node - int(self.tree.first_child[parent])}")
        return names

    def creator(self, name: str) -> pyo.ConcreteModel:
        """Path model of one of `names` with the nodes that it passes: the ``scenario_creator`` of mpi-sppy."""
        leaf = int(name.removeprefix("scenario"))
        m = self.block(leaf)
        nodes = self._nodes[leaf]
        above = [1.0, *self.tree.probability[nodes[:-1]].tolist()]
        attach_nodes(
            m,
            [self.node_names[node] for node in nodes[:-1]],
            (self.tree.probability[nodes[:-1]] / above[:-1]).tolist(),
            self._decided,
        )
        m._mpisppy_probability = float(self.tree.probability[nodes[-1]])
        return m


def shared_parts(model: Model) -> tuple[Decision | Operation, ...]:
    """Parts that are alike wherever the same is known: decisions, and operations where they are carried over.

    Other operations are alike by themselves, or equally good.
    """
    return (*model.decisions, *(model.operations if model.carried_over is not None else ()))


def decided_at(sheet: Sheet) -> list[list[tuple[str, int]]]:
    """Part and year of what is alike at the nodes of each stage but the last, where there is a choice."""
    horizon = sheet.model.horizon
    stages: list[list[tuple[str, int]]] = [[] for _ in range(horizon)]
    for part in shared_parts(sheet.model):
        for t in sheet.model.years:
            stage = sheet.places[part.name].stage(t)
            if stage < horizon and is_chosen(sheet, part, t):
                stages[stage].append((part.name, t))
    return stages


def is_chosen(sheet: Sheet, part: Decision | Operation, year: int) -> bool:
    """Whether a decision or an operation may be other than 0 in a year."""
    if isinstance(part, Decision):
        return sheet.is_open(part, year)
    return part.years is None or year in part.years


def attach_nodes(
    m: Any, names: Sequence[str], shares: Sequence[float], decided: Sequence[Sequence[tuple[str, int]]]
) -> None:
    """Tell mpi-sppy which nodes a path model passes, even those where nothing is decided, and what is alike there.

    Parameters
    ----------
    names, shares
        Of every node but the leaf: its name, and its probability given the node before.
    decided
        Part and year of each variable that is alike at a node.
    """
    from mpisppy.scenario_tree import ScenarioNode

    m._mpisppy_node_list = [
        ScenarioNode(
            name=name,
            cond_prob=share,
            stage=stage + 1,
            cost_expression=0.0,
            nonant_list=[m.component(part)[t] for part, t in alike],
            scen_model=m,
            parent_name=None if stage == 0 else names[stage - 1],
        )
        for stage, (name, share, alike) in enumerate(zip(names, shares, decided, strict=True))
    ]


def scenario_model(model: Model, tree: ScenarioTree, information: Information | None = None) -> pyo.ConcreteModel:
    """A problem on a tree in scenario form: a path block per leaf and nonanticipativity constraints.

    ``nonanticipativity`` ties what is shared to that of the first scenario that knows the same; see `shared_parts`.

    Returns
    -------
    pyomo.environ.ConcreteModel
        With blocks ``scenario[leaf]`` (see `path_model`), the constraints, and ``objective``.
    """
    import pyomo.environ as pyo

    scenarios = Scenarios(model, tree, information)
    m = pyo.ConcreteModel(name=f"scenarios of {model.name}")
    m.scenario = pyo.Block(range(tree.n_leaves))
    for leaf in range(tree.n_leaves):
        scenarios.block(leaf, m.scenario[leaf])
    m.nonanticipativity = pyo.ConstraintList()
    for part in shared_parts(model):
        for t in model.years:
            _, first, which = np.unique(scenarios.places[part.name][:, t], return_index=True, return_inverse=True)
            for leaf, other in enumerate(first[which].tolist()):
                if leaf != other:
                    mine, theirs = (m.scenario[i].component(part.name)[t] for i in (leaf, other))
                    m.nonanticipativity.add(mine == theirs)
    probability = tree.probability[tree.leaves]
    m.objective = pyo.Objective(
        expr=sum(float(probability[i]) * m.scenario[i].total for i in range(tree.n_leaves)), sense=_sense(model)
    )
    return m


def _sense(model: Model) -> Any:
    import pyomo.environ as pyo

    return pyo.maximize if model.sign > 0 else pyo.minimize


def solve_pyomo(model: pyo.ConcreteModel, solver: str = "highs") -> float:
    """Solve a model with any solver that Pyomo knows and return its objective; see `solved_by_pyomo`."""
    return solved_by_pyomo(model, solver)[0]


def solved_by_pyomo(model: pyo.ConcreteModel, solver: str) -> tuple[float, float]:
    """Solve a model with any solver that Pyomo knows.

    Returns
    -------
    float, float
        Its objective, and what the solver says that none can better; NaN where it does not say.

    Raises
    ------
    InputError
        If the solver is unknown or not installed, or ``model`` is no model of Pyomo.
    SolverError
        If no optimal solution was found; `InfeasibleError` where the solver says that there is none.
    """
    import pyomo.environ as pyo
    from pyomo.common.log import LoggingIntercept

    if not isinstance(model, pyo.ConcreteModel):
        raise InputError(f"model: must be a ConcreteModel of Pyomo, got {type(model).__name__}")
    try:
        with LoggingIntercept(io.StringIO(), "pyomo"):  # a solver that is not there logs a traceback
            engine = pyo.SolverFactory(solver)
            available = bool(engine.available(exception_flag=False))
    except Exception as error:  # Pyomo's unknown solvers raise a bare RuntimeError or ApplicationError
        raise InputError(f"solver: Pyomo knows no solver {solver!r}") from error
    if not available:
        raise InputError(f"solver: {solver!r} is not available to Pyomo on this machine")
    with LoggingIntercept(io.StringIO(), "pyomo"):  # of solutions that are not there
        outcome = engine.solve(model, load_solutions=False)
    condition = outcome.solver.termination_condition
    if condition != pyo.TerminationCondition.optimal:
        infeasible = (pyo.TerminationCondition.infeasible, pyo.TerminationCondition.infeasibleOrUnbounded)
        kind = InfeasibleError if condition in infeasible else SolverError
        raise kind(f"{model.name}: {solver} ended with {condition}")
    model.solutions.load_from(outcome)
    end = "upper_bound" if model.objective.sense == pyo.maximize else "lower_bound"
    try:
        bound = float(outcome.problem[0][end].value)
    except (TypeError, ValueError, KeyError, AttributeError):
        bound = math.nan
    return float(pyo.value(model.objective)), bound
