"""A case solved by a method of the registry: what the method works on is made from the case.

Which method that is nobody asks of the case's numbers: a method says itself what it refuses and what its bracket rests
on (`stochisru.methods.registry.takers`).
"""

from __future__ import annotations

from typing import Any

from scenario_trees.lattice import MarkovLattice
from scenario_trees.tree import ScenarioTree
from stochisru.lunar.case import DeploymentCase
from stochisru.lunar.exact.levels import has_few_levels
from stochisru.lunar.learning.case import LearningCase, is_learning
from stochisru.lunar.tables.case import GeneralCase, is_general
from stochisru.lunar.trees import DEFAULT_STATES, case_lattice, case_tree
from stochisru.methods.registry import Method, method_named, options_for, takers
from stochisru.methods.result import Kind, Of, Result
from stochisru.protocols import OnLattices, Plan


def made_for(
    case: DeploymentCase | GeneralCase | LearningCase, method: Method, states: int | None = None
) -> ScenarioTree | MarkovLattice | None:
    """The tree or lattice of a case that a method works on; None for the process.

    Parameters
    ----------
    states
        States per stage of a lattice; what suits the method if not given.
    """
    if method.on is Of.PROCESS:
        return None
    if method.on is Of.TREE:
        return case_tree(case)
    if states is None and isinstance(method, OnLattices):
        states = method.states(case)
    if is_general(case):
        return case.lattice(DEFAULT_STATES if states is None else states)
    case = case.base if is_learning(case) else case
    assert isinstance(case, DeploymentCase)
    return case_lattice(case) if states is None else case_lattice(case, states)


def solved(case: DeploymentCase, method: Method, **options: Any) -> Result[Plan]:
    """Result of a method on the tree or lattice that is made for it."""
    return method.solve(case, made_for(case, method), options_for(method, options))


def has_exact_policy(case: DeploymentCase) -> bool:
    """Whether a method solves the case exactly on its process."""
    return bool(takers(case, Of.PROCESS, Kind.EXACT))


def optimum_on_process(case: DeploymentCase) -> Result[Plan] | None:
    """Optimum on the process; None where no method proves it."""
    exact = takers(case, Of.PROCESS, Kind.EXACT)
    return solved(case, exact[0]) if exact else None


def optimum_on_lattice(case: DeploymentCase) -> Result[Plan]:
    """Exact optimum on the case's lattice; that of the linear problem below a case which the method refuses."""
    return _on_lattice(case, believed=False)


def believed_on_lattice(case: DeploymentCase) -> Result[Plan]:
    """`optimum_on_lattice` of a lattice that is a belief: its policy may be judged on any process."""
    return _on_lattice(case, believed=True)


def _on_lattice(case: DeploymentCase, believed: bool) -> Result[Plan]:
    method = method_named("lattice-dp")
    taken = case if method.refuses(case) is None else case.linear_bound
    lattice = made_for(taken, method)
    assert isinstance(lattice, MarkovLattice)
    return method.solve(taken, lattice.as_belief() if believed else lattice, method.options())


def quickest_on_tree(case: DeploymentCase, tree: ScenarioTree) -> Method:
    """The method with the strongest bracket on a tree; of equals the dynamic programme where a tree has few levels.

    On trees with the same branches in every year it took a third to a seventeenth of the time of the extensive form
    (3^10 leaves, lead times of 1 and 3, a limit on Earth), elsewhere up to ten times as much.
    """
    strong = takers(case, Of.TREE)
    levels = method_named("dp")
    if levels.refuses(case) is None and strong[0].kind(case) == levels.kind(case) and has_few_levels(case, tree):
        return levels
    return strong[0]


def optimum_on_tree(case: DeploymentCase, tree: ScenarioTree) -> Result[Plan]:
    """Optimum on a tree by the method with the strongest bracket."""
    method = quickest_on_tree(case, tree)
    return method.solve(case, tree, method.options())
