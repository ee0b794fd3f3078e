"""What a method must keep."""

from __future__ import annotations

from typing import Any

from scenario_trees.lattice import MarkovLattice
from scenario_trees.tree import ScenarioTree
from stochisru.errors import InputError
from stochisru.lunar.case import DeploymentCase
from stochisru.methods.registry import Method, options_for
from stochisru.methods.result import Kind
from stochisru.testing.require import require


def check_method(method: Method, case: DeploymentCase, on: ScenarioTree | MarkovLattice | None, **options: Any) -> None:
    """Check that a method keeps its protocol on a case that it takes.

    Its result must bear its word, be about what it works on, have a plan of this very case and tree or lattice, and a
    bracket that rests on what the method said (`Method.kind`) or on more.

    Parameters
    ----------
    on
        Tree or lattice of the case; None for a method on the process.
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
    require(result.plan.case in (case, case.linear_bound), f"{name}: its plan is of another case")
    for what in ("tree", "lattice"):
        own = getattr(result.plan, what, None)
        require(own is None or method.on != what or own == on, f"{name}: its plan is on another {what}")
    require(
        result.bounds.lower <= result.objective <= result.bounds.upper or not result.bounds.certified,
        f"{name}: its objective is outside its bracket",
    )
