"""What a problem must keep: everything that is made of it agrees."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np

from scenario_trees.lattice import MarkovLattice
from scenario_trees.tree import ScenarioTree
from stochisru.errors import InfeasibleError
from stochisru.methods.extensive_form import extensive_form
from stochisru.methods.hedging.progressive_hedging import progressive_hedging
from stochisru.methods.result import Bounds
from stochisru.methods.sddp.method import sddp
from stochisru.problem.evaluate import evaluate
from stochisru.problem.information import Information, Recourse, Static
from stochisru.problem.model import Model
from stochisru.problem.on_path import scenario_model, solve_pyomo
from stochisru.problem.on_tree import on_tree
from stochisru.programs.sparse import LinearProgram, solve_to_gap
from stochisru.testing.require import require
from stochisru.values import Values, values

#: Gap at which programs are left, as a share of the money that flows.
_GAP = 1e-7
#: By how much bounds that no part states are widened.
_WIDER = 10.0


def check_problem(model: Model, on: ScenarioTree | MarkovLattice) -> None:
    """Check that all that is made of a model agrees on a small tree or lattice.

    The values must be ordered, EEV ≤ static ≤ RP ≤ WS in the sense in which more is better; the optimum must not change
    with bounds ten times wider, where they follow from the model and no part states them; the scenario form in Pyomo
    must have it too; the plan must be worth it when it is evaluated; progressive hedging's bracket must hold it, and
    on a lattice that of SDDP where the model is linear.

    Parameters
    ----------
    on
        Small enough to be solved as one program, a lattice as the tree of its histories.

    Raises
    ------
    AssertionError
        Naming what differs, with both numbers.
    InfeasibleError
        If the model has no solution there.

    Examples
    --------
    >>> from stochisru.testing import check_problem
    >>> from stochisru.worked.classics import farmer
    >>> check_problem(*farmer())
    """
    tree = on.to_tree() if isinstance(on, MarkovLattice) else on
    best = extensive_form(model, tree, rel_gap=_GAP / 10)
    slack = 2 * _GAP * best.plan.flows + 1e-9

    def same(what: str, value: float) -> None:
        require(
            abs(value - best.objective) <= slack,
            f"{model.name}: {what} is {value:.10g}, the optimum of the tree's program {best.objective:.10g}",
        )

    found = values(model, tree, rel_gap=_GAP / 10)
    points = {name: _point(found, name) for name in ("eev", "static", "rp", "ws")}
    for worse, better in pairwise(name for name, value in points.items() if np.isfinite(value)):
        gain = model.sign * (points[better] - points[worse])
        require(gain >= -slack, f"{model.name}: {better} is worse than {worse} by {-gain:g}")
    same("rp of its values", points["rp"])
    for name, information in (("optimum", Recourse()), ("static plan", Static())):
        _check_bounds(model, tree, name, information, slack)
    same("the scenario form in Pyomo", solve_pyomo(scenario_model(model, tree)))
    decided = {part.name: best.plan.columns[part.name] for part in model.decisions}
    same("its plan evaluated", evaluate(model, decided, tree, rel_gap=_GAP / 10).value)
    if model.decisions and tree.n_leaves > 1:
        _check_bracket(model, "progressive hedging", progressive_hedging(model, tree).bounds, best.objective, slack)
    if isinstance(on, MarkovLattice) and model.is_linear:
        _check_bracket(model, "SDDP", sddp(model, on).bounds, best.objective, slack)


def _check_bracket(model: Model, what: str, bounds: Bounds, optimum: float, slack: float) -> None:
    lower, upper = bounds.lower, bounds.upper
    require(
        lower - slack <= optimum <= upper + slack,
        f"{model.name}: the bracket of {what}, [{lower:.10g}, {upper:.10g}], does not hold the optimum {optimum:.10g}",
    )


def _check_bounds(model: Model, tree: ScenarioTree, name: str, information: Information, slack: float) -> None:
    """The optimum must not hang on bounds that no part states."""
    program = on_tree(model, tree, information).program
    upper = program.upper.copy()
    for part in model.columns:
        span = program.columns[part.name].span
        if part.upper is None:
            free = program.upper[span] > program.lower[span]
            upper[span] = np.where(
                free, program.upper[span] + _WIDER * np.abs(program.upper[span]), program.upper[span]
            )
    try:
        narrow, wider = _optimum(program), _optimum(replace(program, upper=upper))
    except InfeasibleError:
        return
    require(
        abs(narrow - wider) <= slack,
        f"{model.name}: the {name} is {narrow:.10g}, with bounds ten times wider {wider:.10g}: enough is too small",
    )


def _point(found: Values, name: str) -> float:
    value = found.point(name)
    return float("nan") if value is None else value


def _optimum(program: LinearProgram) -> float:
    return solve_to_gap(program, rel_gap=_GAP / 10).objective
