"""What a method must keep."""

from __future__ import annotations

from typing import Any

import numpy as np

from scenario_trees.lattice import MarkovLattice
from scenario_trees.tree import ScenarioTree
from stochisru.errors import InputError
from stochisru.methods.extensive_form import extensive_form
from stochisru.methods.options import options_of
from stochisru.methods.registry import Method, options_for
from stochisru.methods.result import Bounds, Kind, Result
from stochisru.methods.sddp.histories import MOST_HISTORIES, histories
from stochisru.testing.require import require

#: Gap of the extensive form that brackets are compared with, and what they may differ by as a share of the flows.
_GAP, _SLACK = 1e-7, 1e-6


def check_method(method: Method, case: Any, on: ScenarioTree | MarkovLattice | None, **options: Any) -> None:
    """Check that a method keeps its protocol on a case or model that it takes, and that what it says is right.

    Its result must bear its word, be about what it works on, have a plan of this very case and tree or lattice, and a
    bracket that rests on what the method said (`Method.kind`) or on more. On a tree of up to 3,000 nodes, or a lattice
    with as many histories, the bracket must hold the optimum of the extensive form, no plan may be worth more than
    that, and the plan must be worth what it says: bounds of another information, or such as are wrong by more than
    rounding, are found. A statistical bracket is given three times its width.

    Parameters
    ----------
    case
        A `DeploymentCase` or `Model`.
    on
        Tree or lattice of the case; None for a method on the process, whose numbers are not compared.
    options
        Options of the method that are not left at their defaults.

    Raises
    ------
    AssertionError
        Naming the rule that is broken.
    InputError
        If the method refuses the case, or an option is not its own or out of range.

    Examples
    --------
    >>> from stochisru import load_case
    >>> from stochisru.lunar.trees import case_tree
    >>> from stochisru.methods.registry import method_named
    >>> from stochisru.testing import check_method
    >>> case = load_case("lunar-reference").replace(T=2)
    >>> check_method(method_named("ef"), case, case_tree(case, [3, 3]))
    """
    reason = method.refuses(case)
    if reason is not None:
        raise InputError(reason)
    result = method.solve(case, on, options_for(method, options))
    name, strength = method.name, list(Kind).index
    require(result.method == name, f"{name}: its result is called {result.method!r}")
    require(result.bounds.of == method.on, f"{name}: works on a {method.on}, its bracket is of the {result.bounds.of}")
    kind = Kind(method.kind(case))
    require(
        strength(result.bounds.kind) <= strength(kind),
        f"{name}: says that its bracket is {kind} at the least, and it is {result.bounds.kind}",
    )
    own_cases = (case, getattr(case, "linear_bound", case))
    require(result.plan.case in own_cases, f"{name}: its plan is of another case")
    for what in ("tree", "lattice"):
        own = getattr(result.plan, what, None)
        require(own is None or method.on != what or own == on, f"{name}: its plan is on another {what}")
    require(
        result.bounds.lower <= result.objective <= result.bounds.upper or not result.bounds.certified,
        f"{name}: its objective is outside its bracket",
    )
    if not any(options_of(method.options)[word][1].poses for word in options):
        _check_numbers(name, case, on, result)


def _check_numbers(name: str, case: Any, on: ScenarioTree | MarkovLattice | None, result: Result[Any]) -> None:
    """Compare a result with the extensive form, where that is small."""
    if isinstance(on, MarkovLattice):
        tree = on.to_tree() if histories(on, neutral=True) <= MOST_HISTORIES else None
    else:
        tree = on if on is not None and on.n_nodes <= MOST_HISTORIES else None
    if tree is None or getattr(case, "risk", None) is not None:
        return
    best = extensive_form(case, tree, rel_gap=_GAP)
    slack = _SLACK * max(1.0, best.bounds.flows, best.plan.flows)
    bounds = result.bounds
    room = bounds.upper - bounds.lower if bounds.kind is Kind.STATISTICAL else 0.0
    room = slack + (room if np.isfinite(room) else 0.0)
    require(result.sense == best.sense, f"{name}: says that the problem is to {result.sense}, it is to {best.sense}")
    require(
        bounds.lower - room <= best.bounds.upper and bounds.upper + room >= best.bounds.lower,
        f"{name}: its bracket {_shown(bounds)} does not hold the optimum of the extensive form, {best.objective:.10g}",
    )
    gain = result.objective - best.bounds.upper if best.sense == "maximise" else best.bounds.lower - result.objective
    require(
        gain <= room,
        f"{name}: its objective {result.objective:.10g} is better than the optimum {best.objective:.10g}",
    )
    worth = getattr(result.plan, "value", None)
    require(
        worth is None or not isinstance(on, ScenarioTree) or abs(worth - result.objective) <= slack,
        f"{name}: its plan is worth {worth!r}, its objective is {result.objective!r}",
    )


def _shown(bounds: Bounds) -> str:
    return f"[{bounds.lower:.10g}, {bounds.upper:.10g}]"
