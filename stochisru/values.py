"""The values of information and of flexibility of any problem on a tree.

Every value is the optimum of one program under another information (Birge and Louveaux 2011, ch. 4; Escudero et al.
2007). Where the objective is maximised

    EEV ≤ static ≤ RP ≤ WS,      fixed ≤ static,      EEV = EEV_last ≤ … ≤ EEV_0 ≤ RP,

and the other way round where it is minimised. A value whose program has no solution is −∞ where the objective is
maximised, +∞ where it is minimised; it is called infeasible, and differences with it are none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from scenario_trees.arrays import Array
from scenario_trees.tree import ScenarioTree
from stochisru.errors import BoundsError, InfeasibleError, InputError, require_kind
from stochisru.files import plainly
from stochisru.methods.registry import closed_forms
from stochisru.methods.result import ROUNDING, Bounds, Kind, Of
from stochisru.problem.information import Fixed, Information, Recourse, Static, WaitAndSee, held
from stochisru.problem.model import Model
from stochisru.problem.on_tree import TreeProgram, on_tree
from stochisru.problem.paths import mean_path
from stochisru.programs.effort import SolverLimits
from stochisru.programs.sparse import FEASIBILITY, Solution, solve_to_gap
from stochisru.shown import Shown

if TYPE_CHECKING:
    import pandas as pd


#: Gap at which a mixed-integer program is left.
MIXED_GAP = 1e-3

#: The values of a problem and what each means.
MEANING = {
    "ws": "wait-and-see: every scenario known in advance",
    "rp": "recourse problem: the multistage optimum",
    "static": "all decisions taken at the root",
    "fixed": "one decision for year 0, none later",
    "ev": "optimum of the mean path",
    "eev": "expected result of the mean path's plan",
}
#: Differences: the two values that each lies between, the one that is no worse first, and what it means.
DIFFERENCES = {
    "evpi": ("ws", "rp", "value of perfect information"),
    "vss": ("rp", "eev", "value of the stochastic solution"),
    "vms": ("rp", "static", "value of the multistage solution: reacting"),
    "scheduling": ("static", "fixed", "value of decisions for several years, fixed in advance"),
    "flexibility": ("rp", "fixed", "value of flexibility: scheduling and reacting"),
}


class Stated(Protocol):
    """Anything that has a model, such as a case."""

    @property
    def model(self) -> Model:
        """The problem."""
        ...


@runtime_checkable
class StatedOnTrees(Protocol):
    """Anything whose model depends on the tree, such as a case whose store may hold what demand there asks for."""

    def model_on(self, ground: ScenarioTree) -> Model:
        """The problem on a tree."""
        ...


@dataclass(frozen=True, eq=False)
class Optimum:
    """What a program under one information came to.

    Attributes
    ----------
    bounds
        Bracket of the optimum in the model's unit of money.
    plan
        Decisions at the nodes of the tree, None of wait-and-see, which has none that can be taken.
    """

    bounds: Bounds
    plan: Mapping[str, Array] | None


class ClosedForm(Protocol):
    """Optima that need no program; those of `stochisru.methods.registry.CLOSED_FORMS` are tried before one."""

    def refuses(self, problem: Any, tree: ScenarioTree, information: Information) -> str | None:
        """Why there is none for a problem under an information, in one sentence, or None."""

    def optimum(self, problem: Any, tree: ScenarioTree, information: Information) -> Optimum:
        """The optimum of a problem that is not refused."""


@dataclass(frozen=True, eq=False, repr=False)
class Values(Shown):
    """Values of a problem on a tree.

    Attributes
    ----------
    optima
        By name: those of `MEANING`, and ``eev_0``, ``eev_1``, …; None where the program has no solution.
    """

    model: Model
    tree: ScenarioTree
    optima: Mapping[str, Optimum | None]

    @property
    def sense(self) -> str:
        """``maximise`` or ``minimise``."""
        return self.model.sense

    @property
    def worst(self) -> float:
        """What an infeasible value is: −∞ where the objective is maximised, ∞ where it is minimised."""
        return -self.model.sign * np.inf

    def bracket(self, name: str) -> Bounds | None:
        """Bracket of a value or of a difference; None where a program has no solution."""
        require_kind("name", name, str, f"one of {', '.join([*self.optima, *DIFFERENCES])}")
        if name in DIFFERENCES:
            better, worse = (self.bracket(part) for part in DIFFERENCES[name][:2])
            if better is None or worse is None:
                return None
            return better.minus(worse) if self.model.sign > 0 else worse.minus(better)
        if name not in self.optima:
            raise InputError(f"name: must be one of {', '.join([*self.optima, *DIFFERENCES])}, got {name!r}")
        optimum = self.optima[name]
        return None if optimum is None else optimum.bounds

    def point(self, name: str) -> float | None:
        """A value: what the plan in hand is worth, `worst` if there is none; or a difference, None if there is none.

        A difference is ≥ 0 up to the gaps of its values, 0 where it is rounding.
        """
        if isinstance(name, str) and name in DIFFERENCES:
            if self.bracket(name) is None:
                return None
            better, worse = DIFFERENCES[name][:2]
            difference = self.model.sign * (self._in_hand(better) - self._in_hand(worse))
            flows = max(b.flows for b in (self.bracket(better), self.bracket(worse)) if b is not None)
            return difference if abs(difference) > ROUNDING * flows else 0.0
        return self._in_hand(name)

    def _in_hand(self, name: str) -> float:
        bounds = self.bracket(name)
        if bounds is None:
            return self.worst
        return bounds.lower if self.model.sign > 0 else bounds.upper

    def __repr__(self) -> str:
        told = {name: self.point(name) for name in (*MEANING, *DIFFERENCES)}
        words = ", ".join(f"{name} {_told(value)}" for name, value in told.items())
        return f"Values({self.model.name}, {self.tree!r}, of the tree, {self.sense}d: {words})"

    def to_frame(self) -> pd.DataFrame:
        """One row per value: value, lower, upper, kind, of, sense, meaning; infeasible values and differences NaN."""
        import pandas as pd

        meaning = MEANING | {name: text for name, (_, _, text) in DIFFERENCES.items()}
        stages = [name for name in self.optima if name not in meaning]
        meaning |= {name: f"decisions of stages 0..{name[4:]} as in the mean path's plan" for name in stages}
        rows = []
        for name, text in meaning.items():
            bounds, value = self.bracket(name), self.point(name)
            rows.append(
                {
                    "quantity": name,
                    "value": np.nan if value is None else value,
                    "lower": np.nan if bounds is None else bounds.lower,
                    "upper": np.nan if bounds is None else bounds.upper,
                    "kind": "infeasible" if bounds is None else bounds.label,
                    "of": Of.TREE.value,
                    "sense": self.sense,
                    "meaning": text,
                }
            )
        return pd.DataFrame(rows).set_index("quantity")

    @plainly
    def to_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON; an infeasible value is the word ``infeasible``, a difference with it None."""
        names = (*self.optima, *DIFFERENCES)
        brackets = {name: self.bracket(name) for name in names}
        points = {name: self.point(name) for name in names}
        named = {name: "infeasible" if x is not None and np.isinf(x) else x for name, x in points.items()}
        ladder = [name for name in self.optima if name not in MEANING]
        return {
            "problem": self.model.name,
            **entries(Of.TREE, self.sense, named, brackets),
            "reacting": named["vms"],
            "certified": all(b is not None and b.certified for b in brackets.values()),
            "eev_t": [named[name] for name in ladder],
        }


class Bracket(Protocol):
    """Ends of a value, and what stands behind them."""

    @property
    def lower(self) -> float:
        """Lower end."""

    @property
    def upper(self) -> float:
        """Upper end."""

    @property
    def label(self) -> str:
        """What stands behind the bracket, in a word."""


def entries(
    of: Of, sense: str, points: Mapping[str, float | str | None], brackets: Mapping[str, Bracket | None]
) -> dict[str, Any]:
    """Entries of values for JSON: of what and in which sense they are, each by its name, brackets beside them."""
    return {
        "sense": sense,
        "of": of,
        **points,
        "brackets": {name: None if b is None else [b.lower, b.upper] for name, b in brackets.items()},
        "kind": {name: None if b is None else b.label for name, b in brackets.items()},
    }


def _told(value: float | None) -> str:
    if value is None:
        return "none"
    return "infeasible" if np.isinf(value) else f"{value:,.6g}"


def values(
    problem: Model | Stated | StatedOnTrees,
    tree: ScenarioTree,
    *,
    solver: str = "highs",
    rel_gap: float = MIXED_GAP,
    time_limit: float | None = None,
    progress: Callable[[str], None] | None = None,
) -> Values:
    """All values of a problem on a tree, each by the first closed form that does not refuse it, else by its program.

    Parameters
    ----------
    problem
        A `Model`, which has programs alone, or a case, which has closed forms too.
    tree
        One stage per year.
    solver
        Solver of all programs.
    rel_gap, time_limit
        Gap at which a mixed-integer program is left, and seconds after which it is left with the gap that it has.
    progress
        Called with the name of each value before it is computed.

    Raises
    ------
    BoundsError
        If the values are out of their order by more than the solver's tolerances.
    SolverError
        If a program has no bounds or the solver fails.

    Examples
    --------
    >>> from scenario_trees import ScenarioTree
    >>> from stochisru.problem import Decision, Factor, Model, Operation, Row
    >>> from stochisru.values import values
    >>> newsvendor = Model(
    ...     "newsvendor",
    ...     horizon=1,
    ...     parts=[
    ...         Decision("order", lead=1, years=[1], cost=1.0, upper=200),
    ...         Operation("sold", value=3.0, upper=Factor("demand")),
    ...         Row("stock", {"sold": 1.0, "order": -1.0}, upper=0.0),
    ...     ],
    ... )
    >>> tree = ScenarioTree(parent=[-1, 0, 0], stage=[0, 1, 1], probability=[1, 0.5, 0.5], value=[1, 50, 100])
    >>> found = values(newsvendor, tree)
    >>> {name: round(found.point(name), 6) for name in ("ws", "rp", "eev", "evpi", "vss")}
    {'ws': 150.0, 'rp': 125.0, 'eev': 112.5, 'evpi': 25.0, 'vss': 12.5}
    """
    model = _stated(problem, tree)
    say, limits = progress or (lambda _: None), SolverLimits(rel_gap, time_limit)

    exact: tuple[ClosedForm, ...] = closed_forms()

    def best(name: str, information: Information, on: ScenarioTree) -> Optimum | None:
        say(name)
        for form in exact:
            if form.refuses(problem, on, information) is None:
                found: Optimum | None = form.optimum(problem, on, information)
                return found
        if isinstance(information, WaitAndSee):
            return _wait_and_see(model, on, solver, limits)
        return optimum(model, on, information, solver, limits)

    found: dict[str, Optimum | None] = {
        "rp": best("rp", Recourse(), tree),
        "static": best("static", Static(), tree),
        "fixed": best("fixed", Fixed(), tree),
        "ev": best("ev", Recourse(), mean_path(tree)),
        "ws": best("ws", WaitAndSee(), tree),
    }
    ladder = _held_stages(model)
    ev = found["ev"]
    for through in ladder:
        name = f"eev_{through}"
        found[name] = None if ev is None or ev.plan is None else best(name, held(ev.plan, through), tree)
    found["eev"] = found[f"eev_{ladder[-1]}"]
    names = [f"eev_{through}" for through in reversed(ladder)]
    _require_order(model, found, [["eev", "static", "rp", "ws"], ["fixed", "static"], [*names, "rp"]])
    order = (*MEANING, *reversed(names))
    return Values(model, tree, {name: found[name] for name in order})


def _stated(problem: Model | Stated | StatedOnTrees, tree: ScenarioTree) -> Model:
    """The model of a problem; of a case whose limits follow from demand that on the tree."""
    if isinstance(problem, StatedOnTrees):
        return problem.model_on(tree)
    model = problem if isinstance(problem, Model) else getattr(problem, "model", None)
    if not isinstance(model, Model):
        raise InputError(f"problem: must be a Model or a case, got {type(problem).__name__}")
    return model


def _held_stages(model: Model) -> range:
    """Stages at which decisions are taken."""
    last = [max(max(d.years or model.years) - d.lead, 0) for d in model.decisions]
    return range(max(last, default=0) + 1)


def optimum(
    model: Model,
    tree: ScenarioTree,
    information: Information,
    solver: str,
    limits: SolverLimits,
) -> Optimum | None:
    """Optimum under one information, None if there is no plan."""
    try:
        ours = on_tree(model, tree, information)
        solution = solve_to_gap(ours.program, **vars(limits), solver=solver)
    except InfeasibleError:
        return None
    plan = None if isinstance(information, WaitAndSee) else ours.plan(solution.x)
    return Optimum(_bounds(ours, solution), plan)


def _bounds(ours: TreeProgram, solution: Solution) -> Bounds:
    """Bracket of a solved program; that the solver's point keeps its rows is true to the solver's tolerances only."""
    objective = np.abs(ours.program.objective)
    # Where nothing is best nothing flows, and yet the solver's point is off by its tolerance in the dearest variable.
    flows = max(float(objective @ np.abs(solution.x) + abs(ours.program.constant)), float(objective.max(initial=0.0)))
    ends = solution.objective, solution.bound
    lower, upper = ends if ours.model.sign > 0 else ends[::-1]
    if lower > upper and lower - upper <= FEASIBILITY * max(1.0, flows):
        lower, upper = upper, lower
    return Bounds(lower, upper, Kind.SOLVER, Of.TREE, flows)


def _wait_and_see(model: Model, tree: ScenarioTree, solver: str, limits: SolverLimits) -> Optimum | None:
    """WS: one program for all scenarios where there are no whole numbers, else one for each, which meets its gap."""
    if model.is_linear or model.risk is not None:  # the risk of a total is not a sum over scenarios
        return optimum(model, tree, WaitAndSee(), solver, limits)
    total: Bounds | None = None
    for leaf in range(tree.leaves.start, tree.leaves.stop):
        branch, _ = tree.branch(leaf)
        one = optimum(model, branch, WaitAndSee(), solver, limits)
        if one is None:
            return None
        p, b = float(tree.probability[leaf]), one.bounds
        scaled = Bounds(p * b.lower, p * b.upper, b.kind, b.of, p * b.flows)
        if total is not None:
            lower, upper, flows = (getattr(total, x) + getattr(scaled, x) for x in ("lower", "upper", "flows"))
            scaled = replace(scaled, lower=lower, upper=upper, flows=flows)
        total = scaled
    return None if total is None else Optimum(total, None)


def _require_order(model: Model, found: dict[str, Optimum | None], chains: list[list[str]]) -> None:
    """Check the order of values, and let each tell of its neighbours: no bracket is wider than the order allows.

    A plan that can be taken with less information can be taken with more; ``chains`` go from less to more.
    """
    for chain in [*chains, *chains]:  # the second time what one chain has told another
        for less, more in pairwise(chain):
            low, high = found[less], found[more]
            if low is None:
                continue
            if high is None:
                raise BoundsError(f"values: {more} is infeasible, {less} is not")
            found[less], found[more] = _neighbours(model.sign, less, low, more, high)


def _neighbours(sign: float, less: str, low: Optimum, more: str, high: Optimum) -> tuple[Optimum, Optimum]:
    """Two optima, each told what the other proves: more information has a plan as good, less no better bound."""
    (low_hand, low_limit), (high_hand, high_limit) = (_as_gain(sign, each.bounds) for each in (low, high))
    if low_hand > high_limit + FEASIBILITY * max(1.0, low.bounds.flows, high.bounds.flows):
        raise BoundsError(f"values out of order: {less} {sign * low_hand!r}, {more} {sign * high_limit!r}")
    if low_hand > high_hand:
        bounds = _of_gain(sign, high.bounds, low_hand, max(low_hand, high_limit))
        high = Optimum(bounds, None if high.plan is None else low.plan)
    if high_limit < low_limit:
        low = Optimum(_of_gain(sign, low.bounds, low_hand, max(low_hand, high_limit)), low.plan)
    return low, high


def _as_gain(sign: float, bounds: Bounds) -> tuple[float, float]:
    """What is in hand and what cannot be exceeded, as if the objective were maximised."""
    return (bounds.lower, bounds.upper) if sign > 0 else (-bounds.upper, -bounds.lower)


def _of_gain(sign: float, bounds: Bounds, hand: float, limit: float) -> Bounds:
    lower, upper = (hand, limit) if sign > 0 else (-limit, -hand)
    return replace(bounds, lower=lower, upper=upper)
